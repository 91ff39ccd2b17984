/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_rpc_faults.c - what a server of ipc9_rpc.h owes its callers when it is busy: answers that leave when they are
 * made, calls of those who have sent all, bounds on what it keeps.  Handlers wait at the fixture's gate, so that no
 * test depends on how long something takes.  E2E_LONG=1: more rounds.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/engine.h"
#include "tests/harness.h"
#include "tests/rpc.h"
#include "util/gather.h"
#include "xdr/stream.h"

enum {
	SAFE_S = 10, /* for what has to happen */
	CALLS_MAX = 128,
	MIB = 1 << 20
};

/* --- Raw clients ------------------------------------------------------------------------------- */

/* A blocking socket, to the server's TCP port. */
static int connect_to(const struct rpc_fixture *f)
{
	const struct timeval limit = { SAFE_S, 0 };
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons(ipc9_rpc_server_port(f->server, "tcp")),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	HOLDS(fd >= 0);
	EQUAL(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	EQUAL(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
	EQUAL(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), 0);
	return fd;
}

/* The mark and the header of a call without a credential, and a number of arguments; size: the others. */
static void put_call(struct raw *out, uint32_t xid, uint32_t procedure, uint32_t number,
    uint32_t size)
{
	const uint32_t words[] = { 0x80000000u | (44 + size), xid, 0, 2, RPC_TEST_PROGRAM,
		RPC_TEST_VERSION, procedure, 0, 0, 0, 0, number };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		raw_word(out, words[i]);
}

/* Calls with these numbers, in one send; the first has that xid, and so on. */
static bool send_calls(int fd, uint32_t xid, uint32_t procedure, const uint32_t *numbers, size_t n)
{
	unsigned char all[CALLS_MAX * 48];
	size_t size = 0;

	for (size_t i = 0; i < n && n <= CALLS_MAX; i++) {
		struct raw one = { .size = 0 };

		put_call(&one, xid + (uint32_t)i, procedure, numbers[i], 0);
		memcpy(all + size, one.data, one.size);
		size += one.size;
	}
	return raw_send(fd, all, size);
}

static bool send_call(int fd, uint32_t xid, uint32_t procedure, uint32_t number)
{
	return send_calls(fd, xid, procedure, &number, 1);
}

/* The xid of the next reply, which says that the call was accepted; 0: none came, or it says something else. */
static uint32_t next_reply(int fd)
{
	struct raw reply;

	if (!raw_receive_record(fd, &reply) || raw_at(&reply, 1) != 1 || raw_at(&reply, 2) != 0 ||
	    raw_at(&reply, 5) != 0)
		return 0;
	return raw_at(&reply, 0);
}

/* Whether a call on that connection is answered. */
static bool answers(int fd)
{
	return send_call(fd, 4711, NULLPROC, 0) && next_reply(fd) == 4711;
}

/* The same where no thread is left for handlers: a call that none takes is refused. */
static bool refuses(int fd)
{
	struct raw call = { .size = 0 }, reply;

	put_call(&call, 4711, NULLPROC, 0, 0);
	call.data[5 * 4 + 3] = RPC_TEST_VERSION + 1;
	return raw_send(fd, call.data, call.size) && raw_receive_record(fd, &reply) &&
	    raw_at(&reply, 5) == PROG_MISMATCH;
}

static bool answers_new_client(const struct rpc_fixture *f)
{
	int fd = connect_to(f);
	bool so = answers(fd);

	close(fd);
	return so;
}

/* Gives the server's threads the time to fall asleep.  Nothing depends on it, but a lost wake-up shows only then. */
static void let_sleep(void)
{
	usleep(3000);
}

static void finish(struct rpc_fixture *f)
{
	rpc_open_gate(UINT32_MAX);
	rpc_stop(f);
}

/* --- Answers ----------------------------------------------------------------------------------- */

static void test_calls_beyond_the_bound_go_on_when_another_thread_has_become_the_receiver(void)
{
	const struct ipc9_rpc_server_options options = { .threads = 2, .calls = 1 };
	const uint32_t numbers[] = { 1, 2, 3, 4 };
	struct rpc_fixture f;
	int fd, other;

	rpc_start(&f, &options);
	fd = connect_to(&f);
	other = connect_to(&f);
	HOLDS(send_calls(fd, 1, RPC_TEST_GATE, numbers, 4));
	for (uint32_t i = 1; i <= 4; i++) {
		if (!HOLDS(rpc_await_entered(i)))
			break;
		HOLDS(answers(other)); /* by that other thread */
		let_sleep();
		rpc_open_gate(i);
		EQUAL(next_reply(fd), i);
	}
	close(fd);
	close(other);
	finish(&f);
}

/* Handlers that last about as long as the server takes to notice, so that threads come and go. */
static void make_burst(int fd, unsigned *seed)
{
	uint32_t naps[4];
	size_t n = 2 + (size_t)rand_r(seed) % 3;

	for (size_t i = 0; i < n; i++)
		naps[i] = 200 + (uint32_t)rand_r(seed) % 1200;
	HOLDS(send_calls(fd, 1, RPC_TEST_NAP, naps, n));
	for (size_t i = 0; i < n; i++)
		HOLDS(next_reply(fd) != 0);
}

static void test_new_clients_are_answered_after_bursts_while_handlers_take_long(void)
{
	const struct ipc9_rpc_server_options options = { .threads = 4 };
	const uint32_t rounds = rpc_times(100, 2000);
	unsigned seed = 1;
	struct rpc_fixture f;
	bool well = true;
	int bursts, others;

	rpc_start(&f, &options);
	bursts = connect_to(&f);
	others = connect_to(&f);
	for (uint32_t i = 1; well && i <= rounds; i++) {
		const uint32_t numbers[] = { i, i, i };

		make_burst(bursts, &seed);
		let_sleep();
		HOLDS(send_calls(others, 1, RPC_TEST_GATE, numbers, 3));
		well = HOLDS(rpc_await_entered(3 * i)) && HOLDS(answers_new_client(&f));
		rpc_open_gate(i);
		for (size_t j = 0; j < 3; j++)
			well = HOLDS(next_reply(others) != 0) && well;
	}
	close(bursts);
	close(others);
	finish(&f);
}

static void test_replies_leave_before_the_next_handler_of_a_sole_thread_has_ended(void)
{
	const uint32_t numbers[] = { 0, 1, 1 };
	struct rpc_fixture f;
	int fd;

	rpc_start(&f, NULL);
	fd = connect_to(&f);
	HOLDS(send_calls(fd, 1, RPC_TEST_GATE, numbers, 3));
	EQUAL(next_reply(fd), 1);
	rpc_open_gate(1);
	EQUAL(next_reply(fd), 2);
	EQUAL(next_reply(fd), 3);
	close(fd);
	finish(&f);
}

static void test_a_reply_leaves_while_its_handler_goes_on_and_calls_wait(void)
{
	const struct ipc9_rpc_server_options options = { .threads = 2 };
	const uint32_t busy[] = { 1, 2 };
	struct rpc_fixture f;
	int fd, other, third;

	rpc_start(&f, &options);
	fd = connect_to(&f);
	other = connect_to(&f);
	third = connect_to(&f);
	HOLDS(send_calls(fd, 1, RPC_TEST_GATE, busy, 2));
	HOLDS(rpc_await_entered(2));
	HOLDS(send_call(other, 3, RPC_TEST_EARLY, 3));
	HOLDS(send_call(other, 4, RPC_TEST_GATE, 3));
	HOLDS(refuses(third)); /* so the calls before are taken */
	let_sleep();
	rpc_open_gate(1); /* one thread goes on to call 3; the second is not free for call 4 */
	EQUAL(next_reply(fd), 1);
	EQUAL(next_reply(other), 3);
	rpc_open_gate(3);
	EQUAL(next_reply(fd), 2);
	EQUAL(next_reply(other), 4);
	close(fd);
	close(other);
	close(third);
	finish(&f);
}

static void test_a_reader_is_not_dropped_for_the_time_of_others_handlers(void)
{
	const struct ipc9_rpc_server_options options = { .unread_ms = 800 };
	const size_t size = 24 * MIB;
	const int room = MIB / 4;
	struct ipc9_rpc_server_stats stats;
	struct rpc_fixture f;
	char *bytes = malloc(MIB);
	size_t got = 0;
	ssize_t n = 1;
	int fd, other;

	rpc_start(&f, &options);
	fd = connect_to(&f);
	EQUAL(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room)), 0);
	other = connect_to(&f);
	HOLDS(send_call(fd, 1, RPC_TEST_BIG, (uint32_t)size));
	EQUAL(recv(fd, bytes, 1, MSG_PEEK), 1); /* the reply leaves */
	HOLDS(send_call(other, 2, RPC_TEST_GATE, 1));
	HOLDS(rpc_await_entered(1));
	/* All that the kernel holds is read; the server could send more, but for the handler. */
	while (poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, 1200) == 1 && n > 0) {
		n = recv(fd, bytes, MIB, 0);
		got += n > 0 ? (size_t)n : 0;
	}
	HOLDS(got < size);
	rpc_open_gate(1);
	while (n > 0 && got < size + 32) {
		n = recv(fd, bytes, MIB, 0);
		got += n > 0 ? (size_t)n : 0;
	}
	EQUAL(got, size + 32); /* with the mark, the header and the length */
	ipc9_rpc_server_stats(f.server, &stats);
	EQUAL(stats.closed_unread, 0);
	EQUAL(next_reply(other), 2);
	close(fd);
	close(other);
	free(bytes);
	finish(&f);
}

static void test_room_for_no_bytes_does_not_become_an_empty_piece(void)
{
	char *bytes = calloc(1, RPC_EMPTY_INLINE);
	const struct timeval soon = { SAFE_S, 0 };
	struct rpc_fixture f;
	struct gather g;
	bool well = true;
	CLIENT *c;
	XDR xdrs;

	gather_init(&g);
	xdr_gather_create(&xdrs, &g);
	HOLDS(rpc_xdr_empty_inline(&xdrs, bytes));
	for (size_t i = g.first; i < g.end; i++)
		well = HOLDS(g.pieces[i].len > 0) && well;
	gather_clear(&g);
	if (well) { /* else the server would never end */
		rpc_start(&f, NULL);
		c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
		EQUAL(clnt_call(c, RPC_TEST_EMPTY, XDR_VOID, NULL, (xdrproc_t)rpc_xdr_empty_inline,
			  bytes, soon),
		    RPC_SUCCESS);
		clnt_destroy(c);
		rpc_stop(&f);
	}
	free(bytes);
}

static void test_a_call_that_was_answered_cannot_be_deferred(void)
{
	struct rpc_fixture f;
	int fd;

	rpc_start(&f, NULL);
	fd = connect_to(&f);
	HOLDS(send_call(fd, 1, RPC_TEST_TWICE, 0));
	HOLDS(send_call(fd, 2, NULLPROC, 0));
	EQUAL(next_reply(fd), 1);
	EQUAL(next_reply(fd), 2);
	EQUAL(rpc_state.deferred_late, false);
	close(fd);
	finish(&f);
}

/* --- Those who have sent all ------------------------------------------------------------------- */

static bool is_counted(void *n)
{
	return rpc_state.counted >= *(unsigned *)n;
}

static void leave_after_one_way_calls(unsigned threads)
{
	const struct ipc9_rpc_server_options options = { .threads = threads };
	const struct timeval none = { 0, 0 };
	unsigned number = 1, n = 2000, open = 0;
	struct rpc_fixture f;
	CLIENT *c;

	rpc_start(&f, &options);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	EQUAL(clnt_call(c, RPC_TEST_COUNT, XDR_NUMBER, (caddr_t)&number, NULL, NULL, none),
	    RPC_SUCCESS);
	for (unsigned i = 1; i < n; i++)
		EQUAL(clnt_call(c, RPC_TEST_COUNT, XDR_NUMBER, (caddr_t)&open, NULL, NULL, none),
		    RPC_SUCCESS);
	clnt_destroy(c);
	rpc_open_gate(1);
	wait_until(is_counted, &n, SAFE_S * 1000);
	EQUAL(rpc_state.counted, n);
	finish(&f);
}

static void test_one_way_calls_run_though_their_caller_has_left(void)
{
	leave_after_one_way_calls(1);
	leave_after_one_way_calls(2);
}

static void close_sending_side_after(unsigned threads, size_t n)
{
	const struct ipc9_rpc_server_options options = { .threads = threads };
	uint32_t numbers[CALLS_MAX] = { 1 };
	bool seen[CALLS_MAX + 1] = { false };
	struct rpc_fixture f;
	int fd;

	rpc_start(&f, &options);
	fd = connect_to(&f);
	HOLDS(send_calls(fd, 1, RPC_TEST_GATE, numbers, n));
	EQUAL(shutdown(fd, SHUT_WR), 0);
	HOLDS(rpc_await_entered(1));
	rpc_open_gate(1);
	for (size_t i = 0; i < n; i++) {
		uint32_t xid = next_reply(fd);

		if (!HOLDS(xid > 0 && xid <= n && !seen[xid]))
			break;
		seen[xid] = true;
	}
	HOLDS(raw_is_closed(fd, SAFE_S * 1000));
	close(fd);
	finish(&f);
}

static void test_calls_before_a_shutdown_of_the_sending_side_are_all_answered(void)
{
	for (unsigned threads = 1; threads <= 2; threads++) {
		close_sending_side_after(threads, 1);
		close_sending_side_after(threads, 10);
		close_sending_side_after(threads, 100); /* more than may be under way */
	}
}

/* --- What a server keeps ----------------------------------------------------------------------- */

/* Bytes in use by the whole process. */
static size_t allocated(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	extern size_t __sanitizer_get_current_allocated_bytes(void);

	return __sanitizer_get_current_allocated_bytes();
#else
	struct mallinfo2 info = mallinfo2();

	return info.uordblks + info.hblkhd;
#endif
}

/* A call of 1 MiB; the caller's. */
static unsigned char *large_call(size_t *ret_size)
{
	struct raw head = { .size = 0 };
	unsigned char *call;

	put_call(&head, 3, RPC_TEST_LOAD, MIB, MIB);
	*ret_size = head.size + MIB;
	call = calloc(1, *ret_size);
	memcpy(call, head.data, head.size);
	return call;
}

/* Both threads of the server are in handlers afterwards, until the gate opens for 1. */
static int occupy(const struct rpc_fixture *f)
{
	const uint32_t numbers[] = { 1, 1 };
	int fd = connect_to(f);

	HOLDS(send_calls(fd, 1, RPC_TEST_GATE, numbers, 2));
	HOLDS(rpc_await_entered(2));
	return fd;
}

/* Sends calls until the server takes no more of them. */
static void flood(int fd, const unsigned char *call, size_t size, unsigned n)
{
	size_t at = 0;

	while (n) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t sent;

		if (poll(&p, 1, 100) != 1)
			return;
		sent = send(fd, call + at, size - at, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		at += (size_t)sent;
		if (at == size) {
			at = 0;
			n--;
		}
	}
}

static void test_large_calls_that_wait_keep_within_the_budget_however_often_their_caller_returns(
    void)
{
	const struct ipc9_rpc_server_options options = { .threads = 2, .connections_per_host = 4 };
	size_t size, before;
	unsigned char *call = large_call(&size);
	struct rpc_fixture f;
	int fd;

	rpc_start(&f, &options);
	fd = occupy(&f);
	before = allocated();
	for (int i = 0; i < 8; i++) {
		int visitor = connect_to(&f);

		flood(visitor, call, size, 50);
		close(visitor);
		if (!HOLDS(allocated() < before + 64 * MIB))
			break;
	}
	rpc_open_gate(1);
	HOLDS(next_reply(fd) != 0);
	HOLDS(next_reply(fd) != 0);
	close(fd);
	free(call);
	finish(&f);
}

struct awaited {
	struct ipc9_rpc_server *server;
	uint64_t calls, connections;
};

static bool have_come(void *context)
{
	struct awaited *a = context;
	struct ipc9_rpc_server_stats stats;

	ipc9_rpc_server_stats(a->server, &stats);
	return stats.calls >= a->calls;
}

static bool have_gone(void *context)
{
	struct awaited *a = context;
	struct ipc9_rpc_server_stats stats;

	ipc9_rpc_server_stats(a->server, &stats);
	return stats.connections == a->connections;
}

/* Three large calls, which are taken, and then no more interest in them. */
static bool call_and_break(const struct rpc_fixture *f, const unsigned char *call, size_t size,
    uint64_t calls)
{
	const struct linger at_once = { .l_onoff = 1, .l_linger = 0 };
	struct awaited a = { f->server, calls + 3, 1 };
	int fd = connect_to(f);
	bool well = true;

	for (int i = 0; i < 3; i++)
		well = HOLDS(raw_send(fd, call, size)) && well;
	well = HOLDS(wait_until(have_come, &a, SAFE_S * 1000)) && well;
	EQUAL(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
	close(fd);
	return HOLDS(wait_until(have_gone, &a, SAFE_S * 1000)) && well;
}

static void test_calls_that_wait_are_dropped_with_their_connection(void)
{
	const struct ipc9_rpc_server_options options = { .threads = 2 };
	size_t size, before;
	unsigned char *call = large_call(&size);
	struct rpc_fixture f;
	bool well = true;
	int fd;

	rpc_start(&f, &options);
	fd = occupy(&f);
	before = allocated();
	for (unsigned i = 0; well && i < 25; i++) {
		well = call_and_break(&f, call, size, 2 + 3 * i);
		well = HOLDS(allocated() < before + 64 * MIB) && well;
	}
	rpc_open_gate(1);
	HOLDS(next_reply(fd) != 0);
	HOLDS(next_reply(fd) != 0);
	HOLDS(answers_new_client(&f)); /* behind whatever else waits */
	close(fd);
	finish(&f);
	EQUAL(rpc_state.counted, 0);
	free(call);
}

SUITE(rpc_faults,
    TEST(test_calls_beyond_the_bound_go_on_when_another_thread_has_become_the_receiver),
    TEST(test_new_clients_are_answered_after_bursts_while_handlers_take_long),
    TEST(test_replies_leave_before_the_next_handler_of_a_sole_thread_has_ended),
    TEST(test_a_reply_leaves_while_its_handler_goes_on_and_calls_wait),
    TEST(test_a_reader_is_not_dropped_for_the_time_of_others_handlers),
    TEST(test_room_for_no_bytes_does_not_become_an_empty_piece),
    TEST(test_a_call_that_was_answered_cannot_be_deferred),
    TEST(test_one_way_calls_run_though_their_caller_has_left),
    TEST(test_calls_before_a_shutdown_of_the_sending_side_are_all_answered),
    TEST(test_large_calls_that_wait_keep_within_the_budget_however_often_their_caller_returns),
    TEST(test_calls_that_wait_are_dropped_with_their_connection));
