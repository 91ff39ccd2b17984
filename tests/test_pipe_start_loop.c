/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pipe_start_loop.c - what the descriptor of started operations tells in an event loop, where other threads and other
 * operations have a hand in it; by every way in which a client can reach a pipe.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/pipes.h"

#define FOR_EVERY_WAY(M) for (const struct pipe_maker *M = pipe_makers; M->name; M++)

static void *read_until_closed(void *arg)
{
	struct ipc9_pipe *pipe = arg;
	char got[4096];
	size_t n;

	while (!ipc9_pipe_read(pipe, got, sizeof(got), IPC9_FOREVER, &n, NULL))
		continue;
	return NULL;
}

/* One write over the quota, which is read at the other end; whether all went well. */
static bool write_and_be_told(struct pipe_world *w, int fd)
{
	enum {
		SIZE = 1500
	};
	static const char data[SIZE];
	struct ipc9_pipe_op *op = NULL;
	size_t total = 0, n = 0;
	char got[SIZE];

	if (!EQUAL(ipc9_pipe_start_write(w->client, data, SIZE, &op, &w->error), 0) ||
	    !EQUAL(ipc9_pipe_finish(op, 0, NULL, &w->error), IPC9_E_PENDING))
		return false;
	for (; total < SIZE; total += n)
		if (!EQUAL(ipc9_pipe_read(w->server, got, SIZE, 10000, &n, &w->error), 0))
			return false;
	/* Whoever takes in that this was read may be the other thread. */
	return HOLDS(readable(fd, 10000)) && EQUAL(finish_by_polling(w->client, op, NULL), 0);
}

static void test_a_started_write_is_announced_while_another_thread_reads(void)
{
	const struct ipc9_pipe_options small = { .quota_bytes = 1000 };

	FOR_EVERY_WAY(m)
	{
		struct pipe_world w;
		pthread_t reader;
		int fd;

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, &small);
		fd = ipc9_pipe_fd(w.client);
		EQUAL(pthread_create(&reader, NULL, read_until_closed, w.client), 0);
		for (int i = 0; i < 300; i++)
			if (!write_and_be_told(&w, fd))
				break;
		w.server = ipc9_pipe_close(w.server);
		pthread_join(reader, NULL);
		pipe_world_end(&w);
	}
}

static void *read_and_answer(void *arg)
{
	enum {
		ROOM = 1u << 20
	};
	struct ipc9_pipe *pipe = arg;
	char *got = malloc(ROOM);
	size_t n = 0;
	bool more;

	if (!ipc9_pipe_read_message(pipe, got, ROOM, 20000, &n, &more, NULL))
		pipe_put(pipe, "ok");
	free(got);
	return NULL;
}

static void test_what_a_write_could_not_wait_for_leaves_while_a_read_is_polled_for(void)
{
	enum {
		SIZE = 900000
	};
	char *data = calloc(1, SIZE);

	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_result result = { 0 };
		struct ipc9_pipe_op *op = NULL;
		struct pipe_world w;
		pthread_t other;
		char got[8];
		size_t n = 0;

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, &pipe_messages);
		HOLDS(ipc9_pipe_fd(w.client) >= 0);
		EQUAL(ipc9_pipe_start_read(w.client, got, sizeof(got), &op, &w.error), 0);
		EQUAL(ipc9_pipe_finish(op, 0, NULL, &w.error), IPC9_E_PENDING);
		EQUAL(ipc9_pipe_write(w.client, data, SIZE, 0, &n, &w.error), 0);
		EQUAL(pthread_create(&other, NULL, read_and_answer, w.server), 0);
		/* No look before the descriptor says so. */
		HOLDS(readable(ipc9_pipe_fd(w.client), 10000));
		EQUAL(finish_by_polling(w.client, op, &result), 0);
		SAME_BYTES(got, result.size_bytes, "ok", 2);
		pthread_join(other, NULL);
		pipe_world_end(&w);
	}
	free(data);
}

static void test_a_cancel_is_announced_for_what_is_left_when_another_is_finished(void)
{
	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_op *first = NULL, *second = NULL;
		struct pipe_world w;
		char got[2][4];
		int fd;

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, NULL);
		fd = ipc9_pipe_fd(w.client);
		EQUAL(pipe_put(w.server, "abcd"), 0);
		EQUAL(ipc9_pipe_start_read(w.client, got[0], 4, &first, &w.error), 0);
		EQUAL(ipc9_pipe_start_read(w.client, got[1], 4, &second, &w.error), 0);
		EQUAL(ipc9_pipe_finish(second, 100, NULL, &w.error), IPC9_E_TIMEDOUT);
		ipc9_pipe_cancel(w.client);
		EQUAL(ipc9_pipe_finish(first, 10000, NULL, &w.error), 0);
		HOLDS(readable(fd, 10000));
		EQUAL(finish_by_polling(w.client, second, NULL), IPC9_E_CANCELLED);
		EQUAL(readable(fd, 0), false);
		pipe_world_end(&w);
	}
}

static void test_a_cancel_with_nothing_started_is_not_announced(void)
{
	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_op *op = NULL;
		struct pipe_world w;
		char got[4];

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, NULL);
		HOLDS(ipc9_pipe_fd(w.client) >= 0);
		ipc9_pipe_cancel(w.client);
		EQUAL(readable(ipc9_pipe_fd(w.client), 0), false);
		EQUAL(ipc9_pipe_start_read(w.client, got, 4, &op, &w.error), 0);
		EQUAL(ipc9_pipe_finish(op, 0, NULL, &w.error), IPC9_E_PENDING);
		EQUAL(readable(ipc9_pipe_fd(w.client), 0), false);
		EQUAL(pipe_put(w.server, "abcd"), 0);
		EQUAL(finish_by_polling(w.client, op, NULL), 0);
		pipe_world_end(&w);
	}
}

static void test_of_two_started_accepts_both_are_announced(void)
{
	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_op *ops[2] = { NULL };
		struct pipe_world w;

		pipe_world_begin(&w, m);
		pipe_world_create(&w, NULL);
		HOLDS(ipc9_pipe_fd(w.server) >= 0);
		for (int i = 0; i < 2; i++)
			EQUAL(ipc9_pipe_start_accept(w.server, &ops[i], &w.error), 0);
		EQUAL(pipe_world_open(&w, NULL, &w.client), 0);
		EQUAL(finish_by_polling(w.server, ops[0], NULL), 0);
		HOLDS(readable(ipc9_pipe_fd(w.server), 10000));
		EQUAL(finish_by_polling(w.server, ops[1], NULL), 0);
		pipe_world_end(&w);
	}
}

static void test_waiting_for_one_operation_while_another_is_done_takes_no_time(void)
{
	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_op *first = NULL, *second = NULL;
		struct timespec from, to;
		struct pipe_world w;
		char got[2][4];

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, NULL);
		HOLDS(ipc9_pipe_fd(w.client) >= 0);
		EQUAL(pipe_put(w.server, "abcd"), 0);
		EQUAL(ipc9_pipe_start_read(w.client, got[0], 4, &first, &w.error), 0);
		EQUAL(ipc9_pipe_start_read(w.client, got[1], 4, &second, &w.error), 0);
		EQUAL(ipc9_pipe_finish(second, 20, NULL, &w.error), IPC9_E_TIMEDOUT);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &from);
		EQUAL(ipc9_pipe_finish(second, 500, NULL, &w.error), IPC9_E_TIMEDOUT);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &to);
		HOLDS((to.tv_sec - from.tv_sec) * 1000 + (to.tv_nsec - from.tv_nsec) / 1000000 <
		    100);
		EQUAL(ipc9_pipe_finish(first, 0, NULL, &w.error), 0);
		pipe_world_end(&w);
	}
}

static void *disconnect(void *arg)
{
	return ipc9_pipe_disconnect(arg, NULL) ? arg : NULL;
}

static void test_another_thread_disconnects_and_what_was_started_ends(void)
{
	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_op *ops[3] = { NULL };
		struct pipe_world w;
		pthread_t other;
		void *wrong = NULL;
		char got[3][4];
		int fd;

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, NULL);
		fd = ipc9_pipe_fd(w.server);
		for (int i = 0; i < 3; i++)
			EQUAL(ipc9_pipe_start_read(w.server, got[i], 4, &ops[i], &w.error), 0);
		EQUAL(pthread_create(&other, NULL, disconnect, w.server), 0);
		/* One sleeps in it, and is woken. */
		EQUAL(ipc9_pipe_finish(ops[0], 20000, NULL, &w.error), IPC9_E_NOTCONN);
		for (int i = 1; i < 3; i++)
			EQUAL(finish_by_polling(w.server, ops[i], NULL), IPC9_E_NOTCONN);
		pthread_join(other, &wrong);
		HOLDS(!wrong);
		EQUAL(readable(fd, 0), false);
		/* The descriptor goes on to tell, of the next client. */
		w.client = ipc9_pipe_close(w.client);
		EQUAL(ipc9_pipe_start_accept(w.server, &ops[0], &w.error), 0);
		EQUAL(ipc9_pipe_finish(ops[0], 0, NULL, &w.error), IPC9_E_PENDING);
		EQUAL(pipe_world_open(&w, NULL, &w.client), 0);
		EQUAL(finish_by_polling(w.server, ops[0], NULL), 0);
		EQUAL(ipc9_pipe_start_read(w.server, got[0], 4, &ops[0], &w.error), 0);
		EQUAL(ipc9_pipe_finish(ops[0], 0, NULL, &w.error), IPC9_E_PENDING);
		EQUAL(pipe_put(w.client, "abcd"), 0);
		EQUAL(finish_by_polling(w.server, ops[0], NULL), 0);
		SAME_BYTES(got[0], 4, "abcd", 4);
		pipe_world_end(&w);
	}
}

SUITE(pipe_start_loop, TEST(test_a_started_write_is_announced_while_another_thread_reads),
    TEST(test_what_a_write_could_not_wait_for_leaves_while_a_read_is_polled_for),
    TEST(test_a_cancel_is_announced_for_what_is_left_when_another_is_finished),
    TEST(test_a_cancel_with_nothing_started_is_not_announced),
    TEST(test_of_two_started_accepts_both_are_announced),
    TEST(test_waiting_for_one_operation_while_another_is_done_takes_no_time),
    TEST(test_another_thread_disconnects_and_what_was_started_ends));
