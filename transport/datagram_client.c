/* SPDX-License-Identifier: BSD-3-Clause */
/* datagram_client.c - see datagram_client.h. */
#include "transport/datagram_client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <rpc/rpcb_prot.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/client_base.h"
#include "transport/reply.h"
#include "transport/spin.h"
#include "util/clock.h"
#include "util/text.h"
#include "xdr/stream.h"

#define CALL_MAX 65507	 /* what a datagram holds */
#define REPLY_SIZE 65536 /* what a reply is received into; what is longer is no UDP datagram */
#define RETRY_FIRST (100 * NS_PER_MS)
#define RETRY_LAST (3 * NS_PER_S)
#define RETRY_MIN NS_PER_MS
#define RPCBIND_PORT 111

struct handle {
	struct client_base base; /* first */
	int fd;
	bool close_fd;
	uint32_t xid;
	unsigned char credential[MESSAGE_AUTH_MAX];
	uint32_t flavor, credential_len;
	int64_t retry; /* the first pause between two sendings */
	uint64_t random;
	struct spin spin;
	struct address address; /* of the server; asked for when somebody wants it */
	unsigned char reply[REPLY_SIZE];
};

static struct handle *handle_of(const CLIENT *client)
{
	return (struct handle *)client->cl_private;
}

/* --- Sending ----------------------------------------------------------------------------------- */

static bool encode(struct handle *h, rpcproc_t procedure, xdrproc_t xdr, void *args,
    struct gather *out)
{
	struct message_call header = {
		.xid = h->xid,
		.program = h->base.program,
		.version = h->base.version,
		.procedure = (uint32_t)procedure,
		.credential = { h->flavor, h->credential_len, h->credential },
	};
	struct client_credential credential;
	int own = client_base_credential(&h->base, &credential);
	XDR xdrs;

	if (own < 0)
		return false;
	if (own)
		header.credential = credential.auth;
	if (message_put_call(out, &header))
		return false;
	xdr_gather_create(&xdrs, out);
	return xdr(&xdrs, args);
}

/* A quarter more or less, so that clients that lost their datagrams together do not come back together. */
static int64_t jitter(struct handle *h, int64_t pause)
{
	h->random = h->random * 6364136223846793005u + 1442695040888963407u;
	return pause - pause / 4 + (int64_t)((h->random >> 33) % (uint64_t)(pause / 2 + 1));
}

/* 0: sent, or lost as datagrams may be; else -errno. */
static int send_call(int fd, const struct bytes *call)
{
	ssize_t n = send(fd, call->data, call->size, MSG_DONTWAIT | MSG_NOSIGNAL);

	/* The first error may be that of an earlier datagram; by telling us the kernel forgets it. */
	if (n < 0 && errno == ECONNREFUSED)
		n = send(fd, call->data, call->size, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n >= 0 || errno == EAGAIN || errno == ENOBUFS || errno == EINTR)
		return 0;
	return -errno;
}

/* --- Receiving --------------------------------------------------------------------------------- */

enum {
	NOTHING_YET = 0,
	GOT_REPLY = 1
};

/* Takes one datagram in, if there is one and it is the call's reply. *ret_size: all of it. */
static int receive(struct handle *h, size_t *ret_size)
{
	ssize_t n = recv(h->fd, h->reply, sizeof(h->reply), MSG_DONTWAIT | MSG_TRUNC);
	uint32_t words[2];

	if (n < 0)
		return errno == EINTR ? NOTHING_YET : -errno;
	if ((size_t)n < sizeof(words))
		return NOTHING_YET;
	memcpy(words, h->reply, sizeof(words));
	if (ntohl(words[0]) != h->xid || ntohl(words[1]) != REPLY)
		return NOTHING_YET;
	*ret_size = (size_t)n;
	return GOT_REPLY;
}

/* Receives until the reply is there, or until `until`; GOT_REPLY, NOTHING_YET, or -errno. */
static int receive_until(struct handle *h, int64_t until, size_t *ret_size)
{
	struct spin_run spin;
	int64_t slept_from;
	struct pollfd p = { .fd = h->fd, .events = POLLIN };
	int r;

	spin_begin(&h->spin, &spin);
	for (;;) {
		r = receive(h, ret_size);
		if (r == GOT_REPLY)
			spin_hit(&h->spin, &spin);
		if (r && r != -EAGAIN)
			return r;
		if (clock_now() >= until)
			return NOTHING_YET;
		if (r == NOTHING_YET || spin_again(&spin, until))
			continue;
		spin_missed(&h->spin, &spin);
		slept_from = clock_now();
		r = poll(&p, 1, clock_poll_ms(until));
		if (r < 0 && errno != EINTR)
			return -errno;
		if (r > 0)
			spin_slept(&h->spin, slept_from);
	}
}

/* Sends, and sends again, until there is a reply; as receive_until, NOTHING_YET at the deadline. */
static int exchange(struct handle *h, const struct bytes *call, int64_t deadline, size_t *ret_size,
    bool *ret_sent)
{
	int64_t pause = h->retry;
	int r;

	do {
		int64_t again;

		r = send_call(h->fd, call);
		if (r)
			return r;
		*ret_sent = true;
		again = clock_now() + jitter(h, pause);
		pause = pause < RETRY_LAST / 2 ? pause * 2 : RETRY_LAST;
		r = receive_until(h, again < deadline ? again : deadline, ret_size);
	} while (r == NOTHING_YET && clock_now() < deadline);
	return r;
}

/* --- Calls ------------------------------------------------------------------------------------- */

static enum clnt_stat end_with(struct handle *h, enum clnt_stat stat, int error)
{
	h->base.error.re_errno = error;
	return stat;
}

static enum clnt_stat call_by(struct handle *h, const struct bytes *call, xdrproc_t xdr,
    void *results, int64_t timeout)
{
	size_t size = 0;
	bool sent = false;
	int r;

	/* A call without time is sent and not waited for (RFC 5531 section 8.4.1, batching). */
	if (timeout == 0) {
		r = send_call(h->fd, call);
		if (r)
			return end_with(h, RPC_CANTSEND, -r);
		return xdr ? RPC_TIMEDOUT : RPC_SUCCESS;
	}
	r = exchange(h, call, clock_now() + timeout, &size, &sent);
	if (r == NOTHING_YET)
		return RPC_TIMEDOUT;
	if (r < 0)
		return end_with(h, sent ? RPC_CANTRECV : RPC_CANTSEND, -r);
	if (size > sizeof(h->reply))
		return end_with(h, RPC_CANTDECODERES, EMSGSIZE);
	return reply_decode(h->reply, size, NULL, xdr, results, &h->base.error);
}

/* The whole call in one block; else NULL, and *ret_stat says why. */
static struct bytes *make_call(struct handle *h, rpcproc_t procedure, xdrproc_t xdr, void *args,
    enum clnt_stat *ret_stat)
{
	struct bytes *call = NULL;
	struct gather out;

	gather_init(&out);
	if (!encode(h, procedure, xdr, args, &out)) {
		*ret_stat = RPC_CANTENCODEARGS;
	} else if (out.size > CALL_MAX) {
		*ret_stat = end_with(h, RPC_CANTSEND, EMSGSIZE);
	} else {
		call = gather_flatten(&out);
		if (!call)
			*ret_stat = end_with(h, RPC_CANTSEND, ENOMEM);
	}
	gather_clear(&out);
	return call;
}

static enum clnt_stat handle_call(CLIENT *client, rpcproc_t procedure, xdrproc_t xdr_args,
    void *args, xdrproc_t xdr_results, void *results, struct timeval timeout)
{
	struct handle *h = handle_of(client);
	enum clnt_stat stat = RPC_FAILED;
	struct bytes *call;

	memset(&h->base.error, 0, sizeof(h->base.error));
	h->xid++;
	call = make_call(h, procedure, xdr_args, args, &stat);
	if (call)
		stat =
		    call_by(h, call, xdr_results, results, client_base_timeout(&h->base, &timeout));
	bytes_unref(call);
	h->base.error.re_status = stat;
	return stat;
}

/* --- The rest of the table --------------------------------------------------------------------- */

static void handle_destroy(CLIENT *client)
{
	struct handle *h = handle_of(client);

	if (h->close_fd)
		close(h->fd);
	free(h);
}

static bool_t handle_address(struct handle *h, u_int request, void *info)
{
	struct netbuf *buffer = info;

	h->address.len = sizeof(h->address.storage);
	if (getpeername(h->fd, (struct sockaddr *)&h->address.storage, &h->address.len))
		return FALSE;
	if (request == CLGET_SERVER_ADDR) {
		memcpy(info, &h->address.storage, h->address.len);
		return TRUE;
	}
	buffer->buf = &h->address.storage;
	buffer->len = buffer->maxlen = h->address.len;
	return TRUE;
}

static bool_t handle_control(CLIENT *client, u_int request, void *info)
{
	struct handle *h = handle_of(client);

	switch (request) {
	case CLSET_RETRY_TIMEOUT:
		if (!client_is_time(info) || client_time_ns(info) < RETRY_MIN)
			return FALSE;
		h->retry = client_time_ns(info);
		return TRUE;
	case CLGET_RETRY_TIMEOUT:
		client_tell_time(h->retry, info);
		return TRUE;
	case CLGET_SERVER_ADDR:
	case CLGET_SVC_ADDR:
		return handle_address(h, request, info);
	case CLSET_FD_CLOSE:
	case CLSET_FD_NCLOSE:
		h->close_fd = request == CLSET_FD_CLOSE;
		return TRUE;
	case CLGET_FD:
		*(int *)info = h->fd;
		return TRUE;
	case CLGET_XID:
		*(u_int32_t *)info = h->xid;
		return TRUE;
	default:
		return client_base_control(&h->base, request, info);
	}
}

/* libtirpc declares the table's type inside CLIENT and does not change it. */
static struct clnt_ops *table(void)
{
	static struct clnt_ops ops = {
		.cl_call = handle_call,
		.cl_abort = client_abort,
		.cl_geterr = client_geterr,
		.cl_freeres = client_freeres,
		.cl_destroy = handle_destroy,
		.cl_control = handle_control,
	};

	return &ops;
}

CLIENT *datagram_client(int fd, uint32_t program, uint32_t version, bool auth_sys)
{
	struct handle *h = calloc(1, sizeof(*h));

	if (!h || !client_base_init(&h->base, table(), program, version)) {
		free(h);
		return NULL;
	}
	h->fd = fd;
	h->close_fd = true;
	h->retry = RETRY_FIRST;
	if (auth_sys) {
		h->flavor = AUTH_SYS;
		h->credential_len = (uint32_t)message_make_auth_sys(h->credential);
	}
	/* Who cannot see our calls must not guess the xid of one, nor when it is sent again. */
	if (getrandom(&h->random, sizeof(h->random), 0) != sizeof(h->random))
		h->random = (uint64_t)clock_now();
	h->xid = (uint32_t)h->random;
	return &h->base.client;
}

/* --- From a host to a socket ------------------------------------------------------------------- */

int datagram_open(const struct address *a, int *ret_fd)
{
	int fd = socket(a->storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a->storage, a->len)) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* What a call says of the way there: 0 when somebody answered it, else -errno. */
static int way_of(CLIENT *client, enum clnt_stat stat)
{
	struct rpc_err error;

	clnt_geterr(client, &error);
	switch (stat) {
	case RPC_TIMEDOUT:
		return -ETIMEDOUT;
	case RPC_CANTSEND:
	case RPC_CANTRECV:
		return error.re_errno ? -error.re_errno : -EIO;
	default:
		return 0;
	}
}

/* The time left as clnt_call takes it; never none, which would not wait. */
static struct timeval time_left(int64_t deadline)
{
	int64_t left =
	    deadline == CLOCK_NEVER ? CLIENT_TIMEOUT_MAX_S * NS_PER_S : deadline - clock_now();

	if (left < NS_PER_MS)
		left = NS_PER_MS;
	return (struct timeval){ (time_t)(left / NS_PER_S), (suseconds_t)(left % NS_PER_S / 1000) };
}

static int ask_rpcbind(const struct address *address, const struct connect_target *t,
    int64_t deadline, uint16_t *ret_port)
{
	struct address at = *address;
	struct rpcb wanted = { .r_prog = t->program, .r_vers = t->version };
	char nothing[] = "", netid[] = "udp", netid6[] = "udp6";
	char *universal = NULL;
	enum clnt_stat stat;
	CLIENT *client;
	int fd, r;

	address_set_port(&at, RPCBIND_PORT);
	wanted.r_netid = at.storage.ss_family == AF_INET6 ? netid6 : netid;
	wanted.r_addr = nothing;
	wanted.r_owner = nothing;
	r = datagram_open(&at, &fd);
	if (r)
		return r;
	client = datagram_client(fd, RPCBPROG, RPCBVERS, false);
	if (!client) {
		close(fd);
		return -ENOMEM;
	}
	stat = clnt_call(client, RPCBPROC_GETADDR, (xdrproc_t)xdr_rpcb, &wanted,
	    (xdrproc_t)xdr_wrapstring, &universal, time_left(deadline));
	r = way_of(client, stat);
	if (!r && stat != RPC_SUCCESS)
		r = -EPROTO;
	clnt_destroy(client);
	if (r)
		return r;
	*ret_port = address_universal_port(universal);
	xdr_free((xdrproc_t)xdr_wrapstring, &universal);
	return *ret_port ? 0 : -ENOENT;
}

/* Whether somebody answers at all. */
static int ask_program(int fd, const struct connect_target *t, int64_t deadline)
{
	CLIENT *client = datagram_client(fd, t->program, t->version, false);
	enum clnt_stat stat;
	bool_t keep = TRUE;
	int r;

	if (!client)
		return -ENOMEM;
	clnt_control(client, CLSET_FD_NCLOSE, (char *)&keep);
	stat = clnt_call(client, NULLPROC, (xdrproc_t)(void (*)(void))xdr_void, NULL,
	    (xdrproc_t)(void (*)(void))xdr_void, NULL, time_left(deadline));
	r = way_of(client, stat);
	clnt_destroy(client);
	return r;
}

/* What try_address is to do. */
struct attempt {
	const struct connect_target *target;
	int fd; /* the result */
};

static int try_address(struct address *a, bool is_only, int64_t deadline, void *context,
    struct connect_failure *f)
{
	struct attempt *attempt = context;
	const struct connect_target *t = attempt->target;
	uint16_t port = t->port;
	int fd, r;

	if (!port) {
		r = ask_rpcbind(a, t, deadline, &port);
		f->rpcbind_answers = r == 0 || r == -ENOENT;
		if (r)
			connect_fail(f, CONNECT_RPCBIND, r);
		if (r == -ENOENT)
			text_format(f->text, sizeof(f->text),
			    "the program is not registered for UDP");
		if (r)
			return r;
	}
	address_set_port(a, port);
	r = datagram_open(a, &fd);
	if (r)
		return connect_fail(f, CONNECT_HOST, r);
	if (t->port && !is_only)
		r = ask_program(fd, t, deadline);
	if (r) {
		close(fd);
		return connect_fail(f, CONNECT_HOST, r);
	}
	attempt->fd = fd;
	return 0;
}

int datagram_connect(const struct connect_target *t, int64_t deadline, int *ret_fd,
    struct connect_failure *f)
{
	struct attempt attempt = { t, -1 };
	int r = connect_each(t->host, deadline, try_address, &attempt, f);

	if (!r)
		*ret_fd = attempt.fd;
	return r;
}

bool datagram_client_address(const CLIENT *client, struct address *ret, bool *ret_auth_sys)
{
	const struct handle *h;

	if (client->cl_ops != table())
		return false;
	h = handle_of(client);
	ret->len = sizeof(ret->storage);
	*ret_auth_sys = h->flavor == AUTH_SYS;
	return getpeername(h->fd, (struct sockaddr *)&ret->storage, &ret->len) == 0;
}
