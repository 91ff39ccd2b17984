/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc_client.c - handles for rpcgen's stubs: from a target's text to a CLIENT.  See ipc9_rpc.h.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/error.h"
#include "client/ipc9_rpc.h"
#include "client/rpc_shared.h"
#include "rpcgen-out/rpcring.h"
#include "transport/async.h"
#include "transport/client_base.h"
#include "transport/connect.h"
#include "transport/datagram_client.h"
#include "transport/line.h"
#include "util/clock.h"
#include "util/name.h"
#include "util/text.h"

#define DEFAULT_TIMEOUT_MS 10000
#define SHARED_AFTER 16 /* calls, before shared memory is worth its making */
#define RPCBIND_SOCKET "/run/rpcbind.sock"

/* What a client is made from. */
struct plan {
	const struct ipc9_rpc_options *options;
	struct connect_target to; /* host NULL: this host, by whatever rpcbind here knows */
	struct name name;
	const char *path; /* a local socket, or NULL */
	const char *text;
	int64_t deadline;
};

/* --- Targets ----------------------------------------------------------------------------------- */

static int refuse(const struct plan *p, const char *why, struct ipc9_error *e)
{
	return error_set(e, IPC9_E_BADNAME, "%.200s: not a valid target: %s", p->text, why);
}

/* The PROG of //HOST/rpc/PROG must be the program that the stubs are for. */
static int check_program(const struct plan *p, struct ipc9_error *e)
{
	const char *text = p->name.object;
	unsigned long number;
	char *end;

	if (!*text)
		return 0;
	errno = 0;
	number = strtoul(text, &end, 0);
	if (errno || *end || *text < '0' || *text > '9' || number > UINT32_MAX)
		return refuse(p, "the part behind rpc/ is a program's number", e);
	if (number != p->to.program)
		return error_set(e, IPC9_E_INVALID,
		    "%.200s: names program %lu, but the caller's interface is of program %lu",
		    p->text, number, (unsigned long)p->to.program);
	return 0;
}

/* HOST:PORT as well as the names of util/name.h. */
static int parse(struct plan *p, struct ipc9_error *e)
{
	char with_slashes[NAME_TEXT_MAX + 16];
	const char *text = p->text, *why;

	if (text[0] == '/' && text[1] != '/') {
		p->path = text;
		return 0;
	}
	if (strncmp(text, "//", 2) != 0 && strncmp(text, "\\\\", 2) != 0) {
		if (strchr(text, '/') || strlen(text) > NAME_TEXT_MAX)
			return refuse(p, "use //HOST/rpc/PROG, HOST:PORT, or the path of a socket",
			    e);
		text_format(with_slashes, sizeof(with_slashes), "//%s", text);
		text = with_slashes;
	}
	why = name_parse(text, "rpc", &p->name);
	if (why)
		return refuse(p, why, e);
	if (p->name.scope == NAME_DOMAIN)
		return refuse(p, "it stands for every host of a domain", e);
	p->to.port = p->name.port;
	p->to.host = p->name.scope == NAME_HOST ? p->name.host : NULL;
	if (p->to.port && !p->to.host)
		p->to.host = "127.0.0.1";
	return check_program(p, e);
}

/* --- Reaching ---------------------------------------------------------------------------------- */

static int explain(const struct plan *p, const struct connect_failure *f, struct ipc9_error *e)
{
	const char *host = p->to.host;
	unsigned program = p->to.program, version = p->to.version;

	if (f->error == -ENOMEM || f->error == -EMFILE || f->error == -ENFILE)
		return error_set_own(e, f->error);
	if (f->step == CONNECT_RESOLVE)
		return error_set(e, IPC9_E_NOPATH, "%s: name not found (%s)", host, f->text);
	if (f->step == CONNECT_RPCBIND && f->error == -ENOENT)
		return error_set(e, IPC9_E_NOENT,
		    "%s: rpcbind there knows no program %u version %u; is its server running?",
		    host, program, version);
	if (f->step == CONNECT_RPCBIND)
		return error_set(e, IPC9_E_NODAEMON,
		    "%s: rpcbind was not reached on port 111 (%s); say the port, as in %s:700, where "
		    "there is none",
		    host, f->text, host);
	if (f->error == -ECONNREFUSED)
		return error_set(e, IPC9_E_NODAEMON,
		    "%s: nobody listens for program %u version %u (connection refused)", p->text,
		    program, version);
	return error_set(e, IPC9_E_NOPATH, "%s: not reached (%s)", p->text, f->text);
}

static int open_local(const struct plan *p, const char *path, struct channel **ret,
    struct ipc9_error *e)
{
	struct address a;
	int fd, r;

	if (address_local(path, &a))
		return refuse(p, "the path of a socket has at most 107 bytes", e);
	r = connect_address(&a, p->deadline, &fd);
	if (r)
		return error_set(e, IPC9_E_NODAEMON, "%.200s: not reached (%s)", path,
		    strerror(-r));
	r = channel_new(fd, false, ret);
	if (!r)
		return 0;
	close(fd);
	return error_set_own(e, r);
}

static int open_host(const struct plan *p, struct channel **ret, struct ipc9_error *e)
{
	struct connect_failure failure;

	if (connect_host(&p->to, p->deadline, ret, &failure))
		return explain(p, &failure, e);
	return 0;
}

/* This host: a local socket if the program has one, because that is faster and tells who calls. */
static int open_own_host(struct plan *p, struct channel **ret, struct ipc9_error *e)
{
	char path[ADDRESS_TEXT_SIZE];
	struct address rpcbind;

	if (!address_local(RPCBIND_SOCKET, &rpcbind) &&
	    !connect_ask_rpcbind_at(&rpcbind, p->to.program, p->to.version, p->deadline, path,
		sizeof(path)) &&
	    path[0] == '/' && !open_local(p, path, ret, NULL))
		return 0;
	p->to.host = "127.0.0.1";
	return open_host(p, ret, e);
}

static int open_datagrams(struct plan *p, CLIENT **ret, struct ipc9_error *e)
{
	struct connect_failure failure;
	int fd;

	if (p->path)
		return error_set(e, IPC9_E_UNSUPPORTED,
		    "%.200s: a local socket, and datagrams were asked for", p->path);
	if (!p->to.host)
		p->to.host = "127.0.0.1";
	if (datagram_connect(&p->to, p->deadline, &fd, &failure))
		return explain(p, &failure, e);
	*ret = datagram_client(fd, p->to.program, p->to.version,
	    !(p->options && p->options->anonymous));
	if (*ret)
		return 0;
	close(fd);
	return error_set_own(e, -ENOMEM);
}

static bool is_local(const struct channel *channel)
{
	socklen_t size = sizeof(int);
	int domain;

	return !getsockopt(channel_fd(channel), SOL_SOCKET, SO_DOMAIN, &domain, &size) &&
	    domain == AF_UNIX;
}

enum rpc_shared_wish rpc_shared_wish(void)
{
	const char *value = getenv("IPC9_RPC_SHARED");

	if (value && strcmp(value, "0") == 0)
		return RPC_SHARED_NEVER;
	return value && strcmp(value, "1") == 0 ? RPC_SHARED_SOON : RPC_SHARED_USUAL;
}

static void offer_line(const struct plan *p, struct channel *channel)
{
	const struct channel_target attach = {
		.program = IPC9_PROG_RPC, .version = IPC9_RPC_V1, .procedure = IPC9_RPCPROC_ATTACH
	};
	enum rpc_shared_wish wish = rpc_shared_wish();
	int shared = p->options ? p->options->shared : 0;

	if (shared >= 0 && wish != RPC_SHARED_NEVER)
		channel_offer_line(channel, &attach, IPC9_RPC_QUOTA,
		    shared > 0 || wish == RPC_SHARED_SOON ? 1 : SHARED_AFTER);
}

static int open_stream(struct plan *p, CLIENT **ret, struct ipc9_error *e)
{
	struct channel *channel;
	int r;

	if (p->path)
		r = open_local(p, p->path, &channel, e);
	else
		r = p->to.host ? open_host(p, &channel, e) : open_own_host(p, &channel, e);
	if (r)
		return r;
	if (p->options && p->options->reply_bytes)
		channel_limit_reply(channel, p->options->reply_bytes);
	if (p->options && p->options->anonymous)
		channel_make_anonymous(channel);
	if (is_local(channel))
		offer_line(p, channel);
	*ret = channel_client(channel, p->to.program, p->to.version);
	channel_unref(channel);
	return *ret ? 0 : error_set_own(e, -ENOMEM);
}

/* --- For clnt_pcreateerror ---------------------------------------------------------------------- */

static void set_create_error(int code)
{
	static const struct {
		int code;
		enum clnt_stat stat;
	} ends[] = {
		{ IPC9_E_NOPATH, RPC_UNKNOWNHOST },
		{ IPC9_E_NOENT, RPC_PROGNOTREGISTERED },
		{ IPC9_E_BADNAME, RPC_UNKNOWNADDR },
		{ IPC9_E_INVALID, RPC_UNKNOWNADDR },
	};

	memset(&rpc_createerr, 0, sizeof(rpc_createerr));
	rpc_createerr.cf_stat = RPC_SYSTEMERROR;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (ends[i].code == code)
			rpc_createerr.cf_stat = ends[i].stat;
	rpc_createerr.cf_error.re_errno = ipc9_errno(code);
}

CLIENT *ipc9_rpc_client(const char *target, rpcprog_t program, rpcvers_t version,
    const struct ipc9_rpc_options *options, struct ipc9_error *ret_error)
{
	int ms = options && options->timeout_ms ? options->timeout_ms : DEFAULT_TIMEOUT_MS;
	struct plan p = {
		.options = options,
		.text = target ? target : "",
		.deadline = clock_deadline_ms(ms),
		.to = { .program = (uint32_t)program, .version = (uint32_t)version },
	};
	CLIENT *client = NULL;
	int r;

	if (ms < IPC9_FOREVER)
		r = error_set(ret_error, IPC9_E_INVALID, "timeout_ms is %d", ms);
	else
		r = parse(&p, ret_error);
	if (!r)
		r = options && options->udp ? open_datagrams(&p, &client, ret_error)
					    : open_stream(&p, &client, ret_error);
	if (r)
		set_create_error(r);
	return client;
}

static CLIENT *share_datagrams(CLIENT *client, rpcprog_t program, rpcvers_t version)
{
	bool auth_sys;
	struct address a;
	CLIENT *shared;
	int fd;

	if (!datagram_client_address(client, &a, &auth_sys) || datagram_open(&a, &fd))
		return NULL;
	shared = datagram_client(fd, (uint32_t)program, (uint32_t)version, auth_sys);
	if (!shared)
		close(fd);
	return shared;
}

CLIENT *ipc9_rpc_share(CLIENT *client, rpcprog_t program, rpcvers_t version)
{
	struct channel *channel = channel_client_channel(client);

	if (!channel)
		return share_datagrams(client, program, version);
	return channel_client(channel, (uint32_t)program, (uint32_t)version);
}

int ipc9_rpc_info(CLIENT *client, struct ipc9_rpc_info *ret)
{
	struct channel *channel = channel_client_channel(client);
	struct line *line = channel ? channel_line(channel) : NULL;
	struct address a;
	bool auth_sys;

	if (!channel && !datagram_client_address(client, &a, &auth_sys))
		return IPC9_E_UNSUPPORTED;
	*ret = (struct ipc9_rpc_info){
		.is_stream = channel != NULL,
		.is_shared = line && line_is_open(line),
		.shared_calls = line ? line_calls(line) : 0,
	};
	return 0;
}

/* --- Asynchronous calls ------------------------------------------------------------------------ */

/* struct ipc9_rpc_call is struct async_call under its public name. */

int ipc9_rpc_begin(CLIENT *client, rpcproc_t procedure, xdrproc_t xdr_args, void *args,
    xdrproc_t xdr_results, void *results, int timeout_ms, ipc9_rpc_done_fn *done, void *context,
    struct ipc9_rpc_call **ret_call)
{
	struct async_request q = {
		.xdr_args = xdr_args,
		.args = args,
		.xdr_results = xdr_results ? xdr_results : (xdrproc_t)(void (*)(void))xdr_void,
		.results = results,
		.deadline = clock_deadline_ms(timeout_ms),
		.done = done,
		.context = context,
	};
	struct client_credential credential;
	struct async_call *call;
	struct async *async;
	int r;

	if (!channel_client_channel(client))
		return IPC9_E_UNSUPPORTED;
	async = channel_client_async(client);
	if (!async)
		return -ENOMEM;
	if (!channel_client_target(client, (uint32_t)procedure, &q.target, &credential))
		return IPC9_E_INVALID;
	r = async_begin(async, &q, &call);
	if (r == -EINVAL)
		return IPC9_E_INVALID;
	if (r && r != -ENOMEM)
		return IPC9_E_LOST;
	if (!r && ret_call)
		*ret_call = (struct ipc9_rpc_call *)call;
	return r;
}

void ipc9_rpc_cancel(struct ipc9_rpc_call *call)
{
	async_cancel((struct async_call *)call);
}

int ipc9_rpc_fd(CLIENT *client)
{
	struct async *async;

	if (!channel_client_channel(client))
		return -EOPNOTSUPP;
	async = channel_client_async(client);
	return async ? async_fd(async) : -ENOMEM;
}

int ipc9_rpc_process(CLIENT *client, int wait_ms)
{
	struct async *async = channel_client_channel(client) ? channel_client_async(client) : NULL;

	return async ? async_process(async, clock_deadline_ms(wait_ms)) : 0;
}
