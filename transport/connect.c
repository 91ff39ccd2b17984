/* SPDX-License-Identifier: BSD-3-Clause */
/* connect.c - see connect.h. */
#include "transport/connect.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <rpc/rpc.h>
#include <rpc/rpcb_prot.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transport/socket.h"
#include "util/clock.h"
#include "util/text.h"

#define RPCBIND_PORT 111
#define ADDRESSES_MAX 8

/* --- Looking up -------------------------------------------------------------------------------- */

/* Shared by the asker and the thread; whoever leaves last frees it. */
struct lookup {
	pthread_mutex_t lock;
	pthread_cond_t finished;
	int refs;
	bool done;
	int error;
	struct addrinfo *found;
	char host[256];
};

static void lookup_unref(struct lookup *l)
{
	int left;

	pthread_mutex_lock(&l->lock);
	left = --l->refs;
	pthread_mutex_unlock(&l->lock);
	if (left)
		return;
	if (l->found)
		freeaddrinfo(l->found);
	pthread_cond_destroy(&l->finished);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static void *lookup_run(void *context)
{
	struct lookup *l = context;
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG }, *found;
	int error = getaddrinfo(l->host, NULL, &hints, &found);

	pthread_mutex_lock(&l->lock);
	l->error = error;
	if (!error)
		l->found = found;
	l->done = true;
	pthread_cond_signal(&l->finished);
	pthread_mutex_unlock(&l->lock);
	lookup_unref(l);
	return NULL;
}

static struct lookup *lookup_new(const char *host)
{
	struct lookup *l = calloc(1, sizeof(*l));
	pthread_condattr_t monotonic;

	if (!l)
		return NULL;
	text_format(l->host, sizeof(l->host), "%s", host);
	l->refs = 1;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&l->finished, &monotonic);
	pthread_condattr_destroy(&monotonic);
	return l;
}

static int lookup_start(struct lookup *l)
{
	pthread_t thread;
	pthread_attr_t attributes;
	int r;

	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	l->refs++;
	r = pthread_create(&thread, &attributes, lookup_run, l);
	pthread_attr_destroy(&attributes);
	if (r)
		l->refs--;
	return -r;
}

static size_t copy_addresses(const struct addrinfo *found, struct address *to, size_t max)
{
	size_t n = 0;

	for (; found && n < max; found = found->ai_next) {
		memset(&to[n], 0, sizeof(to[n]));
		memcpy(&to[n].storage, found->ai_addr, found->ai_addrlen);
		to[n++].len = found->ai_addrlen;
	}
	return n;
}

int connect_resolve(const char *host, int64_t deadline, struct address *ret, size_t max,
    size_t *ret_n, char *ret_text, size_t text_size)
{
	struct lookup *l;
	int r;

	if (!address_parse(host, 0, &ret[0])) {
		*ret_n = 1;
		return 0;
	}
	l = lookup_new(host);
	if (!l)
		return -ENOMEM;
	r = lookup_start(l);
	pthread_mutex_lock(&l->lock);
	while (!r && !l->done) {
		struct timespec until = clock_timespec(deadline);

		r = deadline == CLOCK_NEVER
		    ? pthread_cond_wait(&l->finished, &l->lock)
		    : -pthread_cond_timedwait(&l->finished, &l->lock, &until);
	}
	if (!r && l->error) {
		text_format(ret_text, text_size, "%s", gai_strerror(l->error));
		r = -ENOENT;
	} else if (!r) {
		*ret_n = copy_addresses(l->found, ret, max);
	}
	pthread_mutex_unlock(&l->lock);
	lookup_unref(l);
	return r;
}

/* --- Connecting -------------------------------------------------------------------------------- */

static int finish_connect(int fd, int64_t deadline)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int error = 0, r;
	socklen_t len = sizeof(error);

	do
		r = poll(&p, 1, clock_poll_ms(deadline));
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return -errno;
	if (r == 0)
		return -ETIMEDOUT;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len))
		return -errno;
	return -error;
}

int connect_address(const struct address *a, int64_t deadline, int *ret_fd)
{
	int fd = socket(a->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (connect(fd, (const struct sockaddr *)&a->storage, a->len)) {
		r = -errno;
		if (r == -EINPROGRESS)
			r = finish_connect(fd, deadline);
	}
	if (r) {
		close(fd);
		return r;
	}
	if (a->storage.ss_family != AF_UNIX)
		socket_tune(fd, SOCKET_VANISHED_MS);
	*ret_fd = fd;
	return 0;
}

static const char *netid_of(const struct address *a)
{
	switch (a->storage.ss_family) {
	case AF_UNIX:
		return "local";
	case AF_INET6:
		return "tcp6";
	default:
		return "tcp";
	}
}

int connect_ask_rpcbind_at(const struct address *rpcbind, uint32_t program, uint32_t version,
    int64_t deadline, char *ret_universal, size_t size)
{
	char nothing[] = "", netid[8], *universal = NULL;
	struct rpcb wanted = { program, version, netid, nothing, nothing };
	struct channel_target target = { RPCBPROG, RPCBVERS, RPCBPROC_GETADDR, NULL };
	struct channel *channel;
	struct channel_call call;
	struct rpc_err error = { 0 };
	enum clnt_stat stat;
	int fd, r;

	text_format(netid, sizeof(netid), "%s", netid_of(rpcbind));
	r = connect_address(rpcbind, deadline, &fd);
	if (r)
		return r;
	r = channel_new(fd, false, &channel);
	if (r) {
		close(fd);
		return r;
	}
	stat =
	    channel_send(channel, &call, &target, (xdrproc_t)xdr_rpcb, &wanted, deadline, &error);
	if (stat == RPC_SUCCESS)
		stat = channel_wait(channel, &call, (xdrproc_t)xdr_wrapstring, &universal, deadline,
		    &error);
	channel_unref(channel);
	if (stat != RPC_SUCCESS)
		return stat == RPC_TIMEDOUT ? -ETIMEDOUT : -EPROTO;
	text_format(ret_universal, size, "%s", universal ? universal : "");
	xdr_free((xdrproc_t)xdr_wrapstring, &universal);
	return 0;
}

int connect_ask_rpcbind(const struct address *address, uint32_t program, uint32_t version,
    int64_t deadline, uint16_t *ret_port)
{
	struct address at = *address;
	char universal[ADDRESS_TEXT_SIZE];
	int r;

	address_set_port(&at, RPCBIND_PORT);
	r = connect_ask_rpcbind_at(&at, program, version, deadline, universal, sizeof(universal));
	if (r)
		return r;
	*ret_port = address_universal_port(universal);
	return *ret_port ? 0 : -ENOENT;
}

/* --- Hosts ------------------------------------------------------------------------------------- */

int connect_fail(struct connect_failure *f, enum connect_step step, int error)
{
	f->step = step;
	f->error = error;
	if (error == -ETIMEDOUT)
		text_format(f->text, sizeof(f->text), "no answer in time");
	else
		text_format(f->text, sizeof(f->text), "%s", strerror(-error));
	return error;
}

int connect_each(const char *host, int64_t deadline, connect_try_fn *try_address, void *context,
    struct connect_failure *f)
{
	struct address addresses[ADDRESSES_MAX];
	size_t n = 0;
	int r;

	memset(f, 0, sizeof(*f));
	r = connect_resolve(host, deadline, addresses, ADDRESSES_MAX, &n, f->text, sizeof(f->text));
	if (r == -ENOENT) {
		f->step = CONNECT_RESOLVE;
		return r;
	}
	if (r)
		return connect_fail(f, CONNECT_RESOLVE, r);
	r = -EHOSTUNREACH;
	for (size_t i = 0; i < n && r; i++) {
		int64_t until = deadline;

		/* One dead address of several must not eat the time of the others. */
		if (deadline != CLOCK_NEVER && i + 1 < n)
			until = clock_now() + (deadline - clock_now()) / (int64_t)(n - i);
		r = try_address(&addresses[i], n == 1, until, context, f);
	}
	return r;
}

/* What try_address is to do. */
struct attempt {
	const struct connect_target *target;
	int fd; /* the result */
};

/* One address: the port said, and then, if that is wanted, rpcbind's. */
static int try_address(struct address *a, bool is_only, int64_t deadline, void *context,
    struct connect_failure *f)
{
	struct attempt *attempt = context;
	const struct connect_target *t = attempt->target;
	uint16_t port;
	int r = -ECONNREFUSED, asked;

	(void)is_only;
	if (t->port) {
		address_set_port(a, t->port);
		r = connect_address(a, deadline, &attempt->fd);
		if (r)
			connect_fail(f, CONNECT_HOST, r);
		if (r != -ECONNREFUSED || !t->ask_rpcbind)
			return r;
	}
	asked = connect_ask_rpcbind(a, t->program, t->version, deadline, &port);
	f->rpcbind_answers = asked == 0 || asked == -ENOENT;
	if (asked)
		return t->port ? r : connect_fail(f, CONNECT_RPCBIND, asked);
	address_set_port(a, port);
	r = connect_address(a, deadline, &attempt->fd);
	return r ? connect_fail(f, CONNECT_HOST, r) : 0;
}

int connect_host(const struct connect_target *target, int64_t deadline,
    struct channel **ret_channel, struct connect_failure *f)
{
	struct attempt attempt = { target, -1 };
	int r = connect_each(target->host, deadline, try_address, &attempt, f);

	if (r)
		return r;
	r = channel_new(attempt.fd, true, ret_channel);
	if (r) {
		close(attempt.fd);
		return connect_fail(f, CONNECT_HOST, r);
	}
	return 0;
}
