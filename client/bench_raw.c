/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_raw.c - the raw references of a measurement: plain blocking sockets to a thread of the same daemon, of
 * the same kind and to the same address as the calls (idl/bench.x says what goes over them).
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/bench.h"
#include "client/error.h"
#include "transport/connect.h"
#include "util/clock.h"
#include "util/text.h"

#define ADDRESSES_MAX 8
#define CONNECT_MS 5000
#define CLOSE_MS 1000
/* Below what the daemon allows: one that is left alone, or old, is replaced before it is closed over there. */
#define IDLE_NS (IPC9_BENCH_RAW_WAIT_MS * NS_PER_MS / 2)
#define AGE_NS (IPC9_BENCH_RAW_TOTAL_MS * NS_PER_MS / 3)

_Static_assert(IPC9_BENCH_RUN_MS <= IPC9_BENCH_RAW_TOTAL_MS / 3,
    "a run that begins on a raw connection can end on it, warm-up and all");

LINK_ASSERT_RESULTS(ipc9_bench_raw_res);

static const struct link_procedure raw_procedure = {
	.number = IPC9_BENCHPROC_RAW,
	.loss = LINK_LOSS_UNDONE,
	LINK_TYPES(ipc9_bench_raw_args, ipc9_bench_raw_res),
};

/* --- Bytes ------------------------------------------------------------------------------------- */

static int lost(const struct ipc9_bench *b, ssize_t n, struct ipc9_error *e)
{
	int error = n < 0 ? errno : 0;

	if (error == EAGAIN || error == EWOULDBLOCK)
		return error_set(e, IPC9_E_LOST, "%s: nothing moved on the raw connection in time",
		    b->link.target.subject);
	return error_set(e, IPC9_E_LOST, "%s: the raw connection ended (%s)",
	    b->link.target.subject, error ? strerror(error) : "closed over there");
}

static int put(struct ipc9_bench *b, const void *data, size_t size, struct ipc9_error *e)
{
	const char *p = data;

	while (size) {
		ssize_t n = send(b->raw.fd, p, size, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return lost(b, n, e);
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

static int take(struct ipc9_bench *b, void *data, size_t size, struct ipc9_error *e)
{
	char *p = data;

	while (size) {
		ssize_t n = recv(b->raw.fd, p, size, MSG_WAITALL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return lost(b, n, e);
		p += n;
		size -= (size_t)n;
	}
	return 0;
}

/* --- Connecting -------------------------------------------------------------------------------- */

static void set_patience(int fd, int ms)
{
	struct timeval t = { 0 }; /* for ever */

	if (ms > 0)
		t = (struct timeval){ ms / 1000, (suseconds_t)(ms % 1000) * 1000 };
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof(t));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t));
}

void bench_raw_close(struct ipc9_bench *b)
{
	ssize_t n;

	if (b->raw.fd < 0)
		return;
	/* The end from over there says that its place is free for the next one. */
	set_patience(b->raw.fd, CLOSE_MS);
	shutdown(b->raw.fd, SHUT_WR);
	do
		n = recv(b->raw.fd, b->back, sizeof(b->back), 0);
	while (n > 0);
	close(b->raw.fd);
	b->raw.fd = -1;
}

static void local_address(u_int number, struct address *ret)
{
	struct sockaddr_un *un = (struct sockaddr_un *)&ret->storage;

	memset(ret, 0, sizeof(*ret));
	un->sun_family = AF_UNIX;
	snprintf(un->sun_path + 1, sizeof(un->sun_path) - 1, "%05x", number & 0xfffff);
	ret->len = offsetof(struct sockaddr_un, sun_path) + 6;
}

/* Tries the addresses of the host in the order in which the calls' connection was tried. */
static int connect_remote(const struct ipc9_bench *b, u_int port, int64_t deadline, int *ret_fd)
{
	struct address addresses[ADDRESSES_MAX];
	char text[160];
	size_t n = 0;
	int r = connect_resolve(b->link.target.name.host, deadline, addresses, ADDRESSES_MAX, &n,
	    text, sizeof(text));

	for (size_t i = 0; i < n; i++) {
		address_set_port(&addresses[i], (uint16_t)port);
		r = connect_address(&addresses[i], deadline, ret_fd);
		if (!r)
			break;
	}
	return r;
}

static int raw_connect(struct ipc9_bench *b, const ipc9_bench_raw_ok *ok, struct ipc9_error *e)
{
	int64_t deadline = context_deadline(b->link.ipc9), until = clock_deadline_ms(CONNECT_MS);
	int r, one = 1, zero = 0, fd = -1;
	struct address address;

	if (deadline < until)
		until = deadline;
	if (b->link.target.local) {
		local_address(ok->port, &address);
		r = connect_address(&address, until, &fd);
	} else {
		r = connect_remote(b, ok->port, until, &fd);
	}
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return error_set_own(e, r);
	if (r)
		return error_set(e, IPC9_E_NOPATH,
		    "%s: the raw connection to compare with was not made, on port %u (%s); does a "
		    "firewall "
		    "let it through?",
		    b->link.target.subject, ok->port,
		    r == -ETIMEDOUT ? "no answer in time" : strerror(-r));
	ioctl(fd, FIONBIO, &zero);
	if (!b->link.target.local)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	set_patience(fd, b->link.ipc9->timeout_ms);
	b->raw.fd = fd;
	b->raw.opened = b->raw.used = clock_now();
	return put(b, ok->key, sizeof(ok->key), e);
}

/* Sees to it that there is one of this kind, with time ahead of it. */
static int raw_open(struct ipc9_bench *b, int kind, uint32_t size, struct ipc9_error *e)
{
	ipc9_bench_raw_args args = { .kind = kind, .size_bytes = size };
	int64_t now = clock_now();
	ipc9_bench_raw_res res;
	int r;

	if (b->raw.fd >= 0 && b->raw.kind == kind && b->raw.size == size &&
	    now - b->raw.used < IDLE_NS && now - b->raw.opened < AGE_NS)
		return 0;
	bench_raw_close(b);
	r = link_call(&b->link, &raw_procedure, &args, &res, context_deadline(b->link.ipc9), e);
	if (r)
		return r;
	r = raw_connect(b, &res.ipc9_bench_raw_res_u.ok, e);
	b->raw.kind = kind;
	b->raw.size = size;
	xdr_free(raw_procedure.results, &res);
	return r;
}

/* After a run: a connection that failed is not used again. */
static int raw_done(struct ipc9_bench *b, int r)
{
	b->raw.used = clock_now();
	if (r && b->raw.fd >= 0) {
		close(b->raw.fd);
		b->raw.fd = -1;
	}
	return r;
}

/* --- Measuring --------------------------------------------------------------------------------- */

static int exchange(struct ipc9_bench *b, uint32_t size, struct ipc9_error *e)
{
	int r = put(b, b->data, size, e);

	if (!r)
		r = take(b, b->back, size, e);
	if (!r && memcmp(b->back, b->data, size) != 0)
		r = error_set(e, IPC9_E_MISMATCH,
		    "%s: what came back on the raw connection is not what was sent",
		    b->link.target.subject);
	return r;
}

int ipc9_bench_raw_calls(struct ipc9_bench *b, uint32_t size, int duration_ms,
    struct ipc9_bench_result *ret, struct ipc9_error *e)
{
	int r = raw_open(b, IPC9_BENCH_RAW_ECHO, size, e);

	if (!r)
		r = bench_measure_calls(b, exchange, size, duration_ms, ret, e);
	return raw_done(b, r);
}

static int transfer(struct ipc9_bench *b, uint64_t bytes, struct ipc9_error *e)
{
	unsigned char number[8];
	uint64_t counted = 0;
	int r;

	for (int i = 0; i < 8; i++)
		number[i] = (unsigned char)(bytes >> (56 - 8 * i));
	r = put(b, number, sizeof(number), e);
	for (uint64_t sent = 0; !r && sent < bytes; sent += IPC9_BLOB_MAX)
		r = put(b, b->data, IPC9_BLOB_MAX, e);
	if (!r)
		r = take(b, number, sizeof(number), e);
	if (r)
		return r;
	for (int i = 0; i < 8; i++)
		counted = counted << 8 | number[i];
	if (counted != bytes)
		return error_set(e, IPC9_E_MISMATCH, "%s: the raw connection's count is not right",
		    b->link.target.subject);
	return 0;
}

int ipc9_bench_raw_stream(struct ipc9_bench *b, int duration_ms, struct ipc9_bench_result *ret,
    struct ipc9_error *e)
{
	int r = raw_open(b, IPC9_BENCH_RAW_SINK, 0, e);

	if (!r)
		r = bench_measure_stream(b, transfer, duration_ms, ret, e);
	return raw_done(b, r);
}
