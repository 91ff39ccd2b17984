/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc_server.c - an application's server: its listeners, its programs, its life.  See ipc9_rpc.h.
 */
#include "client/rpc_server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/error.h"
#include "client/rpc_shared.h"
#include "transport/connect.h"
#include "transport/socket.h"
#include "util/clock.h"
#include "util/text.h"

#define REPLY_CACHE_BYTES (4u << 20)
#define PROBE_MS 1000

static const struct server_ops ops = {
	.call_size = sizeof(struct rpc_call),
	.takes_descriptors = true,
	.init = rpc_call_init,
	.lost = rpc_call_lost,
	.call = rpc_call_arrived,
};

/* --- Life -------------------------------------------------------------------------------------- */

static void init_condition(pthread_cond_t *condition)
{
	pthread_condattr_t monotonic;

	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(condition, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

static struct server_limits limits_of(const struct ipc9_rpc_server_options *o)
{
	return (struct server_limits){
		.record_bytes = o->record_bytes,
		.record_ms = o->record_ms,
		.unread_ms = o->unread_ms,
		.calls = o->calls,
		.unread_bytes = o->unread_bytes,
		.connections = o->connections,
		.connections_per_host = o->connections_per_host,
		.datagram_bytes = SERVER_DATAGRAM_MAX,
		.reply_cache_bytes =
		    o->reply_cache_bytes ? o->reply_cache_bytes : REPLY_CACHE_BYTES,
		.calls_datagram = o->udp_calls,
		.calls_datagram_host = o->udp_calls_per_host,
		.answer_bytes = o->udp_answer_bytes_per_s,
	};
}

int ipc9_rpc_server_new(const struct ipc9_rpc_server_options *options, struct ipc9_rpc_server **ret,
    struct ipc9_error *ret_error)
{
	struct ipc9_rpc_server *s = calloc(1, sizeof(*s));
	struct server_limits limits;
	int r;

	if (!s)
		return error_set_own(ret_error, -ENOMEM);
	if (options)
		s->options = *options;
	list_init(&s->queue);
	pthread_mutex_init(&s->lock, NULL);
	init_condition(&s->threads.work);
	init_condition(&s->threads.look);
	init_condition(&s->threads.slot);
	init_condition(&s->rings.gone);
	list_init(&s->rings.list);
	s->rings.off = s->options.no_shared || rpc_shared_wish() == RPC_SHARED_NEVER;
	limits = limits_of(&s->options);
	r = loop_new(&s->loop);
	if (!r)
		r = server_new(s->loop, &ops, s, &limits, &s->server);
	if (r) {
		ipc9_rpc_server_free(s);
		return error_set_own(ret_error, r);
	}
	loop_share(s->loop, &s->lock);
	*ret = s;
	return 0;
}

void rpc_server_release(struct ipc9_rpc_server *s)
{
	pthread_cond_destroy(&s->threads.work);
	pthread_cond_destroy(&s->threads.look);
	pthread_cond_destroy(&s->threads.slot);
	pthread_cond_destroy(&s->rings.gone);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

struct ipc9_rpc_server *ipc9_rpc_server_free(struct ipc9_rpc_server *s)
{
	bool last;

	if (!s)
		return NULL;
	pthread_mutex_lock(&s->lock);
	server_free(
	    s->server); /* calls that no thread took are dropped; deferred ones are gone from here on */
	loop_free(s->loop);
	for (size_t i = 0; i < s->n_listeners; i++)
		if (s->listeners[i].address.storage.ss_family == AF_UNIX)
			unlink(s->listeners[i].path);
	free(s->listeners);
	free(s->programs);
	s->is_freed = true;
	last = s->n_deferred == 0;
	pthread_mutex_unlock(&s->lock);
	if (last)
		rpc_server_release(s);
	return NULL;
}

/* --- Listening --------------------------------------------------------------------------------- */

static const struct netid {
	const char *name;
	int family;
	bool datagrams;
	const char *any, *loopback;
} netids[] = {
	{ "tcp", AF_INET, false, "0.0.0.0", "127.0.0.1" },
	{ "udp", AF_INET, true, "0.0.0.0", "127.0.0.1" },
	{ "tcp6", AF_INET6, false, "::", "::1" },
	{ "udp6", AF_INET6, true, "::", "::1" },
	{ "local", AF_UNIX, false, NULL, NULL },
};

static const struct netid *find_netid(const char *name)
{
	for (size_t i = 0; i < sizeof(netids) / sizeof(netids[0]); i++)
		if (strcmp(netids[i].name, name) == 0)
			return &netids[i];
	return NULL;
}

/* Splits "HOST:PORT", "[HOST]:PORT" or "HOST"; false: no such port. */
static bool split(const char *text, char *host, size_t size, uint16_t *ret_port)
{
	const char *colon = strrchr(text, ':'), *close = strchr(text, ']');
	bool bracketed = text[0] == '[' && close;
	unsigned long port = 0;
	char *end;

	if (bracketed ? close[1] != ':' : colon && strchr(text, ':') != colon)
		colon = NULL; /* an IPv6 address alone */
	if (colon) {
		errno = 0;
		port = strtoul(colon + 1, &end, 10);
		if (errno || *end || colon[1] < '0' || colon[1] > '9' || port > 65535)
			return false;
	}
	if (bracketed)
		text_format(host, size, "%.*s", (int)(close - text - 1), text + 1);
	else
		text_format(host, size, "%.*s", colon ? (int)(colon - text) : (int)strlen(text),
		    text);
	*ret_port = (uint16_t)port;
	return true;
}

static int network_address(const struct netid *n, const char *text, struct address *ret,
    struct ipc9_error *e)
{
	char host[128];
	uint16_t port;

	if (!split(text ? text : "loopback", host, sizeof(host), &port))
		return error_set(e, IPC9_E_INVALID, "%.100s: no port behind the colon", text);
	if (strcmp(host, "any") == 0)
		text_format(host, sizeof(host), "%s", n->any);
	else if (strcmp(host, "loopback") == 0)
		text_format(host, sizeof(host), "%s", n->loopback);
	if (address_parse(host, port, ret) || ret->storage.ss_family != n->family)
		return error_set(e, IPC9_E_INVALID,
		    "%.100s: not an address for netid %s: use one such as %s:700, any:700, or loopback",
		    text, n->name, n->family == AF_INET ? "127.0.0.1" : "[::1]");
	return 0;
}

/* Removes a socket on which nobody listens. */
static int clear_path(const struct address *a, const char *path)
{
	struct stat st;
	int fd, r;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	r = connect_address(a, clock_deadline_ms(PROBE_MS), &fd);
	if (r == 0)
		close(fd);
	if (r != -ECONNREFUSED)
		return -EADDRINUSE;
	return unlink(path) ? -errno : 0;
}

static int local_address(const char *path, struct address *ret, struct ipc9_error *e)
{
	int r;

	if (!path || path[0] != '/' || address_local(path, ret))
		return error_set(e, IPC9_E_INVALID,
		    "%.120s: netid local takes an absolute path of at most 107 bytes",
		    path ? path : "no path");
	r = clear_path(ret, path);
	if (r == -EADDRINUSE)
		return error_set(e, IPC9_E_BUSY, "%s: another server listens there", path);
	if (r == -EEXIST)
		return error_set(e, IPC9_E_EXISTS, "%s: is there and is no socket", path);
	return r ? error_set(e, r, "%s: %s", path, strerror(-r)) : 0;
}

/* Takes over fd; 0 or -errno. */
static int serve_socket(struct ipc9_rpc_server *s, const struct netid *n, int fd, const char *path)
{
	struct rpc_listener *more = realloc(s->listeners, (s->n_listeners + 1) * sizeof(*more));
	struct rpc_listener *l;
	int r;

	if (!more) {
		close(fd);
		return -ENOMEM;
	}
	s->listeners = more;
	l = &more[s->n_listeners];
	memset(l, 0, sizeof(*l));
	text_format(l->netid, sizeof(l->netid), "%s", n->name);
	l->address.len = sizeof(l->address.storage);
	if (getsockname(fd, (struct sockaddr *)&l->address.storage, &l->address.len))
		r = -errno;
	else
		r = n->datagrams ? server_receive(s->server, fd, true)
				 : server_listen(s->server, fd);
	if (r) {
		close(fd);
		return r;
	}
	if (path)
		text_format(l->path, sizeof(l->path), "%s", path);
	s->n_listeners++;
	return 0;
}

int ipc9_rpc_server_listen(struct ipc9_rpc_server *s, const char *netid, const char *text,
    struct ipc9_error *ret_error)
{
	const struct netid *n = find_netid(netid);
	struct address a;
	int fd, r;

	if (!n)
		return error_set(ret_error, IPC9_E_INVALID,
		    "%.40s: no netid of ours: use tcp, udp, tcp6, udp6 or local", netid);
	r = n->family == AF_UNIX ? local_address(text, &a, ret_error)
				 : network_address(n, text, &a, ret_error);
	if (r)
		return r;
	r = n->datagrams ? socket_receive(&a, false, &fd) : socket_listen(&a, &fd);
	if (!r) {
		pthread_mutex_lock(&s->lock);
		r = serve_socket(s, n, fd, n->family == AF_UNIX ? text : NULL);
		pthread_mutex_unlock(&s->lock);
	}
	if (r)
		return error_set(ret_error, r, "cannot listen on %s %.120s: %s", netid,
		    text ? text : "loopback", strerror(-r));
	return 0;
}

uint16_t ipc9_rpc_server_port(const struct ipc9_rpc_server *s, const char *netid)
{
	for (size_t i = 0; i < s->n_listeners; i++)
		if (strcmp(s->listeners[i].netid, netid) == 0)
			return s->listeners[i].address.storage.ss_family == AF_UNIX
			    ? 0
			    : address_port(&s->listeners[i].address);
	return 0;
}

/* --- Programs ---------------------------------------------------------------------------------- */

int ipc9_rpc_server_add(struct ipc9_rpc_server *s, rpcprog_t program, rpcvers_t version,
    ipc9_rpc_dispatch_fn *dispatch, struct ipc9_error *ret_error)
{
	struct rpc_program *more;

	for (size_t i = 0; i < s->n_programs; i++)
		if (s->programs[i].number == program && s->programs[i].version == version)
			return error_set(ret_error, IPC9_E_EXISTS,
			    "program %lu version %lu has been added before", (unsigned long)program,
			    (unsigned long)version);
	more = realloc(s->programs, (s->n_programs + 1) * sizeof(*more));
	if (!more)
		return error_set_own(ret_error, -ENOMEM);
	s->programs = more;
	more[s->n_programs++] =
	    (struct rpc_program){ (uint32_t)program, (uint32_t)version, dispatch };
	return 0;
}

/* --- Running ----------------------------------------------------------------------------------- */

static int register_all(struct ipc9_rpc_server *s)
{
	size_t n = s->n_programs * s->n_listeners, i = 0;
	struct registration_entry *entries;
	int r;

	if (s->options.no_rpcbind || !n)
		return 0;
	entries = calloc(n, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	for (size_t p = 0; p < s->n_programs; p++) {
		for (size_t l = 0; l < s->n_listeners; l++, i++) {
			entries[i].program = s->programs[p].number;
			entries[i].version = s->programs[p].version;
			text_format(entries[i].netid, sizeof(entries[i].netid), "%s",
			    s->listeners[l].netid);
			address_universal(&s->listeners[l].address, entries[i].universal);
		}
	}
	r = registration_start(entries, n, NULL, false, &s->registration);
	free(entries);
	return r;
}

int ipc9_rpc_server_run(struct ipc9_rpc_server *s)
{
	int r = register_all(s);

	if (!r)
		r = rpc_threads_run(s);
	s->registration = registration_stop(s->registration);
	return r;
}

void ipc9_rpc_server_stop(struct ipc9_rpc_server *s)
{
	loop_stop(s->loop);
}

void ipc9_rpc_server_stats(struct ipc9_rpc_server *s, struct ipc9_rpc_server_stats *ret)
{
	const struct server_stats *stats = server_stats(s->server);

	pthread_mutex_lock(&s->lock);
	*ret = (struct ipc9_rpc_server_stats){
		.connections = stats->connections,
		.accepted = stats->accepted,
		.calls = stats->calls,
		.replayed = stats->replayed,
		.dropped = stats->dropped,
		.dropped_over = stats->dropped_over,
		.answers_limited = stats->answers_limited,
		.answers_too_long = stats->answers_too_long,
		.closed_oversize = stats->closed_oversize,
		.closed_garbage = stats->closed_garbage,
		.closed_slow = stats->closed_slow_record,
		.closed_unread = stats->closed_unread,
		.shared = s->rings.n,
		.shared_calls = s->rings.calls,
		.shared_refused_limit = s->rings.refused[RPC_RINGS_LIMIT],
		.shared_refused_share = s->rings.refused[RPC_RINGS_SHARE],
		.shared_refused_off = s->rings.refused[RPC_RINGS_OFF],
		.shared_refused_memory = s->rings.refused[RPC_RINGS_MEMORY],
		.shared_refused_wrong = s->rings.refused[RPC_RINGS_WRONG],
		.local = stats->local,
		.local_calls = stats->local_calls,
	};
	pthread_mutex_unlock(&s->lock);
}
