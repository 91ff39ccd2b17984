/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_channel.c - the calling half: many calls in flight on one connection, deadlines that hold, servers that
 * are late, silent, wrong, or gone.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpcgen-out/common.h"
#include "tests/engine.h"
#include "tests/harness.h"
#include "transport/channel.h"
#include "transport/connect.h"
#include "transport/socket.h"
#include "util/clock.h"

static const struct channel_target null_target = { ENGINE_PROGRAM, ENGINE_VERSION, ENGINE_NULL,
	NULL };
static const struct channel_target park_target = { ENGINE_PROGRAM, ENGINE_VERSION, ENGINE_PARK,
	NULL };

#define XDR_NOTHING ((xdrproc_t)(void (*)(void))xdr_void)

static struct channel *channel_over(int fd)
{
	struct channel *c = NULL;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	EQUAL(channel_new(fd, false, &c), 0);
	return c;
}

static struct channel *channel_to(struct engine *e)
{
	return channel_over(engine_connect(e, ENGINE_TCP4));
}

/* --- In flight --------------------------------------------------------------------------------- */

static void test_500_calls_in_flight_from_one_thread_get_their_own_replies(void)
{
	enum {
		N = 500
	};
	const struct server_limits limits = { .calls = 1000 };
	struct engine *e = engine_start(&limits);
	struct channel *c = channel_to(e);
	static struct channel_call calls[N];
	struct rpc_err error;
	int64_t begin = clock_now();

	for (uint32_t i = 0; i < N; i++) {
		uint32_t ms = 100 + (i * 37) % 100;

		EQUAL(channel_send(c, &calls[i], &park_target, (xdrproc_t)xdr_uint32_t, &ms,
			  clock_deadline_ms(5000), &error),
		    RPC_SUCCESS);
	}
	for (uint32_t i = N; i-- > 0;) {
		uint32_t got = 0;

		EQUAL(channel_wait(c, &calls[i], (xdrproc_t)xdr_uint32_t, &got,
			  clock_deadline_ms(5000), &error),
		    RPC_SUCCESS);
		EQUAL(got, 100 + (i * 37) % 100);
	}
	HOLDS(clock_now() - begin < 5 * NS_PER_S); /* not one after another: that were 75 s */
	channel_unref(c);
	engine_stop(e);
}

struct worker {
	pthread_t thread;
	struct channel *channel;
	uint32_t number;
	unsigned wrong;
};

static void *work(void *context)
{
	struct worker *w = context;
	CLIENT *client = channel_client(w->channel, ENGINE_PROGRAM, ENGINE_VERSION);
	const struct timeval patience = { 10, 0 };

	for (uint32_t i = 0; i < 500; i++) {
		ipc9_blob got = { 0 }, sent = { (const unsigned char *)&w->number, 4, NULL };

		if (clnt_call(client, ENGINE_ECHO, (xdrproc_t)xdr_ipc9_blob, &sent,
			(xdrproc_t)xdr_ipc9_blob, &got, patience) != RPC_SUCCESS ||
		    got.len != 4 || memcmp(got.data, &w->number, 4) != 0)
			w->wrong++;
		clnt_freeres(client, (xdrproc_t)xdr_ipc9_blob, &got);
	}
	clnt_destroy(client);
	return NULL;
}

static void test_threads_share_a_connection(void)
{
	struct engine *e = engine_start(NULL);
	struct channel *c = channel_to(e);
	struct worker workers[8];

	for (uint32_t i = 0; i < 8; i++) {
		workers[i] = (struct worker){ .channel = c, .number = i };
		EQUAL(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
	}
	for (int i = 0; i < 8; i++) {
		pthread_join(workers[i].thread, NULL);
		EQUAL(workers[i].wrong, 0);
	}
	channel_unref(c);
	engine_stop(e);
}

static void test_two_sides_that_both_send_much_do_not_lock_each_other(void)
{
	enum {
		N = 64,
		SIZE = 262144
	};
	static unsigned char payload[SIZE];
	const struct channel_target echo = { ENGINE_PROGRAM, ENGINE_VERSION, ENGINE_ECHO, NULL };
	struct engine *e = engine_start(NULL);
	struct channel *c = channel_to(e);
	static struct channel_call calls[N];
	struct rpc_err error;

	for (int i = 0; i < N; i++) {
		ipc9_blob sent = { payload, SIZE, NULL };

		EQUAL(channel_send(c, &calls[i], &echo, (xdrproc_t)xdr_ipc9_blob, &sent,
			  clock_deadline_ms(10000), &error),
		    RPC_SUCCESS);
	}
	for (int i = 0; i < N; i++) {
		ipc9_blob got = { 0 };

		EQUAL(channel_wait(c, &calls[i], (xdrproc_t)xdr_ipc9_blob, &got,
			  clock_deadline_ms(10000), &error),
		    RPC_SUCCESS);
		EQUAL(got.len, SIZE);
		xdr_free((xdrproc_t)xdr_ipc9_blob, &got);
	}
	channel_unref(c);
	engine_stop(e);
}

/* --- Deadlines and bad servers ----------------------------------------------------------------- */

static void test_a_deadline_holds_and_a_late_reply_is_skipped(void)
{
	const uint32_t ms = 150;
	struct engine *e = engine_start(NULL);
	struct channel *c = channel_to(e);
	struct channel_call call;
	struct rpc_err error;
	uint32_t got = 7;
	int64_t begin = clock_now();

	EQUAL(channel_send(c, &call, &park_target, (xdrproc_t)xdr_uint32_t, (void *)(uintptr_t)&ms,
		  CLOCK_NEVER, &error),
	    RPC_SUCCESS);
	EQUAL(channel_wait(c, &call, (xdrproc_t)xdr_uint32_t, &got, clock_deadline_ms(50), &error),
	    RPC_TIMEDOUT);
	HOLDS(clock_now() - begin >= 50 * NS_PER_MS);
	EQUAL(got, 7); /* untouched, also later */
	for (uint32_t i = 0; i < 2; i++) {
		EQUAL(channel_send(c, &call, &park_target, (xdrproc_t)xdr_uint32_t,
			  (void *)(uintptr_t)&ms, CLOCK_NEVER, &error),
		    RPC_SUCCESS);
		EQUAL(channel_wait(c, &call, (xdrproc_t)xdr_uint32_t, &got, clock_deadline_ms(5000),
			  &error),
		    RPC_SUCCESS);
	}
	EQUAL(got, 150);
	channel_unref(c);
	engine_stop(e);
}

static void test_forged_replies_are_ignored(void)
{
	struct channel *c;
	struct channel_call call;
	struct rpc_err error;
	static unsigned char batch[28 * 1000];
	struct raw forged = { .size = 0 }, right = { .size = 0 }, record;
	int fds[2];

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	c = channel_over(fds[0]);
	EQUAL(channel_send(c, &call, &null_target, XDR_NOTHING, NULL, CLOCK_NEVER, &error),
	    RPC_SUCCESS);
	HOLDS(raw_receive_record(fds[1], &record));
	EQUAL(record.size, 40);
	for (uint32_t i = 0; i < 6; i++)
		raw_word(&forged, i == 0 ? raw_at(&record, 0) + 1 : i == 1);
	for (uint32_t i = 0; i < 6; i++)
		raw_word(&right, i == 0 ? raw_at(&record, 0) : i == 1);
	for (size_t i = 0; i < 1000; i++) { /* in one write: nobody reads yet */
		memcpy(batch + i * 28, "\x80\0\0\x18", 4);
		memcpy(batch + i * 28 + 4, forged.data, 24);
	}
	HOLDS(raw_send(fds[1], batch, sizeof(batch)));
	HOLDS(raw_send_record(fds[1], &(struct raw){ .size = 0 }));
	HOLDS(raw_send_record(fds[1], &right));
	EQUAL(channel_wait(c, &call, XDR_NOTHING, NULL, clock_deadline_ms(5000), &error),
	    RPC_SUCCESS);
	channel_unref(c);
	close(fds[1]);
}

static void test_a_server_that_trickles_does_not_stretch_the_deadline(void)
{
	struct channel *c;
	struct channel_call call;
	struct rpc_err error;
	int64_t begin = clock_now();
	int fds[2];

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	c = channel_over(fds[0]);
	EQUAL(channel_send(c, &call, &null_target, XDR_NOTHING, NULL, CLOCK_NEVER, &error),
	    RPC_SUCCESS);
	(void)!write(fds[1], "\x80\0\0", 3);
	EQUAL(channel_wait(c, &call, XDR_NOTHING, NULL, clock_deadline_ms(100), &error),
	    RPC_TIMEDOUT);
	HOLDS(clock_now() - begin < 2 * NS_PER_S);
	channel_unref(c);
	close(fds[1]);
}

static void test_a_server_that_is_gone_ends_all_calls_at_once(void)
{
	struct channel *c;
	struct channel_call calls[3];
	struct rpc_err error = { 0 };
	int fds[2];

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	c = channel_over(fds[0]);
	HOLDS(channel_is_alive(c));
	for (int i = 0; i < 3; i++)
		EQUAL(channel_send(c, &calls[i], &null_target, XDR_NOTHING, NULL, CLOCK_NEVER,
			  &error),
		    RPC_SUCCESS);
	close(fds[1]);
	for (int i = 0; i < 3; i++)
		EQUAL(channel_wait(c, &calls[i], XDR_NOTHING, NULL, CLOCK_NEVER, &error),
		    RPC_CANTRECV);
	HOLDS(!channel_is_alive(c));
	EQUAL(channel_send(c, &calls[0], &null_target, XDR_NOTHING, NULL, CLOCK_NEVER, &error),
	    RPC_CANTSEND);
	channel_unref(c);
}

static void test_an_oversize_reply_ends_the_channel(void)
{
	struct channel *c;
	struct channel_call call;
	struct rpc_err error = { 0 };
	int fds[2];

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	c = channel_over(fds[0]);
	EQUAL(channel_send(c, &call, &null_target, XDR_NOTHING, NULL, CLOCK_NEVER, &error),
	    RPC_SUCCESS);
	(void)!write(fds[1], "\xff\xff\xff\xff", 4);
	EQUAL(channel_wait(c, &call, XDR_NOTHING, NULL, clock_deadline_ms(5000), &error),
	    RPC_CANTRECV);
	EQUAL(error.re_errno, EMSGSIZE);
	channel_unref(c);
	close(fds[1]);
}

static void *abort_soon(void *context)
{
	struct pollfd nothing = { .fd = -1 };

	poll(&nothing, 1, 50);
	channel_abort(context);
	return NULL;
}

static void test_abort_wakes_who_waits(void)
{
	struct engine *e = engine_start(NULL);
	struct channel *c = channel_to(e);
	struct channel_target keep = park_target;
	struct channel_call call;
	struct rpc_err error;
	uint32_t number = 0;
	pthread_t thread;

	keep.procedure = ENGINE_KEEP;
	EQUAL(channel_send(c, &call, &keep, (xdrproc_t)xdr_uint32_t, &number, CLOCK_NEVER, &error),
	    RPC_SUCCESS);
	EQUAL(pthread_create(&thread, NULL, abort_soon, c), 0);
	EQUAL(channel_wait(c, &call, (xdrproc_t)xdr_uint32_t, &number, CLOCK_NEVER, &error),
	    RPC_CANTRECV);
	pthread_join(thread, NULL);
	channel_unref(c);
	engine_stop(e);
}

SUITE(channel, TEST(test_500_calls_in_flight_from_one_thread_get_their_own_replies),
    TEST(test_threads_share_a_connection),
    TEST(test_two_sides_that_both_send_much_do_not_lock_each_other),
    TEST(test_a_deadline_holds_and_a_late_reply_is_skipped), TEST(test_forged_replies_are_ignored),
    TEST(test_a_server_that_trickles_does_not_stretch_the_deadline),
    TEST(test_a_server_that_is_gone_ends_all_calls_at_once),
    TEST(test_an_oversize_reply_ends_the_channel), TEST(test_abort_wakes_who_waits));

/* --- connect ----------------------------------------------------------------------------------- */

static void test_a_refused_port_says_so_at_once(void)
{
	struct connect_target t = { .host = "127.0.0.1" };
	struct connect_failure f;
	struct channel *c;
	struct address a;
	int64_t begin = clock_now();
	int fd;

	/* A port that was ours a moment ago. */
	address_parse("127.0.0.1", 0, &a);
	EQUAL(socket_listen(&a, &fd), 0);
	a.len = sizeof(a.storage);
	getsockname(fd, (struct sockaddr *)&a.storage, &a.len);
	t.port = address_port(&a);
	close(fd);
	EQUAL(connect_host(&t, clock_deadline_ms(5000), &c, &f), -ECONNREFUSED);
	EQUAL(f.step, CONNECT_HOST);
	HOLDS(clock_now() - begin < NS_PER_S);
}

static void test_an_unknown_name_is_told_from_an_unreached_host(void)
{
	const struct connect_target t = { .host = "no-such-host.invalid", .port = 1 };
	struct connect_failure f;
	struct channel *c;

	HOLDS(connect_host(&t, clock_deadline_ms(5000), &c, &f) < 0);
	EQUAL(f.step, CONNECT_RESOLVE);
	HOLDS(f.text[0] != '\0');
}

static void test_the_deadline_holds_for_a_host_that_accepts_nothing(void)
{
	struct connect_target t = { .host = "127.0.0.1" };
	struct connect_failure f;
	struct channel *c;
	struct address a;
	int listener, fillers[4], n = 0, r;
	int64_t begin;

	/* A backlog of one that nobody takes from: the kernel drops further SYNs. */
	address_parse("127.0.0.1", 0, &a);
	EQUAL(socket_listen(&a, &listener), 0);
	EQUAL(listen(listener, 0), 0);
	a.len = sizeof(a.storage);
	getsockname(listener, (struct sockaddr *)&a.storage, &a.len);
	for (; n < 4; n++)
		if (connect_address(&a, clock_deadline_ms(100), &fillers[n]))
			break;
	t.port = address_port(&a);
	begin = clock_now();
	r = connect_host(&t, clock_deadline_ms(200), &c, &f);
	EQUAL(r, -ETIMEDOUT);
	HOLDS(clock_now() - begin < 2 * NS_PER_S);
	while (n-- > 0)
		close(fillers[n]);
	close(listener);
}

SUITE(connect, TEST(test_a_refused_port_says_so_at_once),
    TEST(test_an_unknown_name_is_told_from_an_unreached_host),
    TEST(test_the_deadline_holds_for_a_host_that_accepts_nothing));
