/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pipe_start.c - operations on pipes that are started and finished later, the descriptor that they are polled by, and
 * cancelling; by every way in which a client can reach a pipe.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "rpcgen-out/pipe.h"
#include "tests/pipes.h"
#include "util/clock.h"

#define FOR_EVERY_WAY(M) for (const struct pipe_maker *M = pipe_makers; M->name; M++)

static void test_a_started_read_is_done_when_something_comes(void)
{
	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_result result = { .size_bytes = 99 };
		struct ipc9_pipe_op *op = NULL;
		struct pipe_world w;
		char got[32];

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, &pipe_messages);
		EQUAL(ipc9_pipe_start_read(w.server, got, 3, &op, &w.error), 0);
		EQUAL(ipc9_pipe_finish(op, 0, &result, &w.error), IPC9_E_PENDING);
		EQUAL(ipc9_pipe_finish(op, 20, &result, &w.error), IPC9_E_TIMEDOUT);
		EQUAL(pipe_put(w.client, "abcde"), 0);
		EQUAL(finish_by_polling(w.server, op, &result), 0);
		SAME_BYTES(got, result.size_bytes, "abc", 3);
		EQUAL(result.more, true);
		EQUAL(readable(ipc9_pipe_fd(w.server), 0), false); /* nothing is left to do */
		pipe_expect(w.server, "de");
		pipe_world_end(&w);
	}
}

static void test_started_reads_are_done_in_order_whichever_is_finished_first(void)
{
	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_op *ops[3] = { NULL };
		struct ipc9_pipe_result result;
		char got[3][8] = { "" };
		struct pipe_world w;

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, NULL);
		for (int i = 0; i < 3; i++)
			EQUAL(ipc9_pipe_start_read(w.client, got[i], 2, &ops[i], &w.error), 0);
		EQUAL(pipe_put(w.server, "aabbcc"), 0);
		EQUAL(ipc9_pipe_finish(ops[2], 10000, &result, &w.error), 0);
		/* Done and not finished: the descriptor says so, and goes on saying so. */
		EQUAL(readable(ipc9_pipe_fd(w.client), 10000), true);
		EQUAL(ipc9_pipe_finish(ops[0], 0, &result, &w.error), 0);
		EQUAL(readable(ipc9_pipe_fd(w.client), 10000), true);
		EQUAL(ipc9_pipe_finish(ops[1], 0, &result, &w.error), 0);
		EQUAL(readable(ipc9_pipe_fd(w.client), 0), false);
		for (int i = 0; i < 3; i++)
			SAME_BYTES(got[i], 2, &"aabbcc"[2 * i], 2);
		pipe_world_end(&w);
	}
}

static void test_started_writes_arrive_in_order_and_all_of_them(void)
{
	enum {
		SIZE = 1500000
	};
	char *data = malloc(SIZE), *got = malloc(3 * SIZE);

	for (int i = 0; i < SIZE; i++)
		data[i] = (char)(i * 7 ^ i >> 11);
	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_op *ops[3] = { NULL }, *reading = NULL;
		struct ipc9_pipe_result result;
		struct pipe_world w;
		size_t total = 0;
		int r = 0;

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, NULL);
		for (int i = 0; i < 3; i++)
			EQUAL(ipc9_pipe_start_write(w.client, data, SIZE, &ops[i], &w.error), 0);
		/* All in one thread: the writes go on while they are looked at. */
		while (total < 3 * SIZE && !r) {
			EQUAL(ipc9_pipe_start_read(w.server, got + total, 3 * SIZE - total,
				  &reading, &w.error),
			    0);
			do {
				r = ipc9_pipe_finish(reading, 5, &result, &w.error);
				for (int i = 0; i < 3; i++)
					if (ops[i] &&
					    ipc9_pipe_finish(ops[i], 0, NULL, &w.error) !=
						IPC9_E_PENDING)
						ops[i] = NULL;
			} while (r == IPC9_E_TIMEDOUT);
			total += r ? 0 : result.size_bytes;
		}
		EQUAL(r, 0);
		for (int i = 0; i < 3; i++) {
			SAME_BYTES(got + i * SIZE, SIZE, data, SIZE);
			if (ops[i])
				EQUAL(ipc9_pipe_finish(ops[i], 10000, &result, &w.error), 0);
		}
		pipe_world_end(&w);
	}
	free(data);
	free(got);
}

/* What each is made of, so that none can be taken for another. */
static void fill_piece(char *data, size_t size, unsigned number)
{
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(number * 31 + i * 7 + (i >> 9));
}

#define TOGETHER 100 /* more than leave with one send */

static void test_messages_started_together_arrive_in_order_and_each_by_itself(void)
{
	static char data[TOGETHER][9000], got[9000];

	FOR_EVERY_WAY(m)
	{
		struct iovec pieces[TOGETHER];
		struct ipc9_pipe_op *ops[TOGETHER] = { NULL };
		struct ipc9_pipe_result result;
		struct pipe_world w;
		bool more;
		size_t n;

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, &pipe_messages);
		for (unsigned i = 0; i < TOGETHER; i++) {
			pieces[i] = (struct iovec){ data[i], i % 5 ? i * 83u : i % 2 };
			fill_piece(data[i], pieces[i].iov_len, i);
		}
		EQUAL(ipc9_pipe_start_writes(w.client, pieces, TOGETHER, ops, &w.error), 0);
		memset(pieces, 0xff, sizeof(pieces)); /* not needed any more */
		for (unsigned i = 0; i < TOGETHER; i++) {
			size_t size = i % 5 ? i * 83u : i % 2;

			EQUAL(ipc9_pipe_finish(ops[i], 10000, &result, &w.error), 0);
			EQUAL(result.size_bytes, size);
			EQUAL(ipc9_pipe_read_message(w.server, got, sizeof(got), 10000, &n, &more,
				  &w.error),
			    0);
			SAME_BYTES(got, n, data[i], size);
		}
		EQUAL(pipe_look(w.server), IPC9_E_TIMEDOUT);
		pipe_world_end(&w);
	}
}

static void test_one_of_those_started_together_is_cancelled_and_the_others_arrive(void)
{
	enum {
		QUOTA = 131072,
		SIZE = QUOTA / 2,
		N = 8,
		LEFT = 6 /* cancelled */
	};
	static char data[N][SIZE], got[N * SIZE];
	const struct ipc9_pipe_options options = { .quota_bytes = QUOTA };

	FOR_EVERY_WAY(m)
	{
		struct iovec pieces[N];
		struct ipc9_pipe_op *ops[N] = { NULL };
		struct ipc9_pipe_result result;
		struct pipe_world w;
		size_t n = 0, at = 0, some = 0, total = 0;
		bool cancelled;
		int r;

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, &options);
		/* Two fill the quota, and one more may be under way; the others wait. */
		for (unsigned i = 0; i < N; i++) {
			pieces[i] = (struct iovec){ data[i], i < 3 ? SIZE : 1000 + i };
			fill_piece(data[i], pieces[i].iov_len, i);
		}
		EQUAL(ipc9_pipe_start_writes(w.client, pieces, N, ops, &w.error), 0);
		EQUAL(ipc9_pipe_finish(ops[LEFT], 0, &result, &w.error), IPC9_E_PENDING);
		while (n < QUOTA &&
		    !ipc9_pipe_read(w.server, got + n, QUOTA - n, 10000, &some, &w.error))
			n += some;
		ipc9_pipe_op_cancel(ops[LEFT]); /* now that there is room for all */
		for (unsigned i = 0; i < N; i++) {
			while (n < QUOTA + SIZE && i == 2 &&
			    !ipc9_pipe_read(w.server, got + n, 1, 10000, &some, &w.error))
				n += some;
			r = ipc9_pipe_finish(ops[i], 10000, &result, &w.error);
			cancelled = i == LEFT && r == IPC9_E_CANCELLED;
			/* The daemon may have taken it by then. */
			HOLDS(cancelled ||
			    (i == LEFT && m->carried != IPC9_PIPE_BY_CALLS) == false);
			EQUAL(r, cancelled ? IPC9_E_CANCELLED : 0);
			EQUAL(result.size_bytes, cancelled ? 0 : pieces[i].iov_len);
			if (cancelled)
				pieces[i].iov_len = 0;
		}
		for (unsigned i = 0; i < N; i++)
			total += pieces[i].iov_len;
		while (n < total &&
		    !ipc9_pipe_read(w.server, got + n, total - n, 10000, &some, &w.error))
			n += some;
		EQUAL(pipe_look(w.server), IPC9_E_TIMEDOUT);
		for (unsigned i = 0; i < N; at += pieces[i++].iov_len)
			SAME_BYTES(got + at, pieces[i].iov_len, data[i], pieces[i].iov_len);
		pipe_world_end(&w);
	}
}

static void test_of_writes_started_together_each_tells_how_the_other_end_went(void)
{
	static char data[IPC9_MESSAGE_BYTES + 1];

	FOR_EVERY_WAY(m)
	{
		struct iovec pieces[6];
		struct ipc9_pipe_op *ops[6] = { NULL };
		struct ipc9_pipe_result result;
		struct pipe_world w;

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, &pipe_messages);
		for (unsigned i = 0; i < 6; i++)
			pieces[i] = (struct iovec){ data, 600000 };
		pieces[5].iov_len = sizeof(data);
		EQUAL(ipc9_pipe_start_writes(w.client, pieces, 6, ops, &w.error), IPC9_E_TOOBIG);
		EQUAL(ops[0] == NULL, true);
		EQUAL(ipc9_pipe_start_writes(w.client, pieces, 0, ops, &w.error), 0);
		EQUAL(ipc9_pipe_start_writes(w.client, pieces, 5, ops, &w.error), 0);
		EQUAL(ipc9_pipe_disconnect(w.server, &w.error), 0);
		for (unsigned i = 0; i < 5; i++) {
			int r = ipc9_pipe_finish(ops[i], 20000, &result, &w.error);

			/* What fitted the quota was done before. */
			HOLDS(r == IPC9_E_NOTCONN || (r == 0 && i < 2));
			HOLDS(result.size_bytes == 600000 || (r && !result.size_bytes));
		}
		EQUAL(ipc9_pipe_start_writes(w.client, pieces, 2, ops, &w.error), 0);
		for (unsigned i = 0; i < 2; i++) {
			EQUAL(ipc9_pipe_finish(ops[i], 20000, &result, &w.error), IPC9_E_NOTCONN);
			EQUAL(result.size_bytes, 0);
		}
		pipe_world_end(&w);
	}
}

static void test_accepts_and_transactions_can_be_started(void)
{
	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_op *accepting = NULL, *asking = NULL, *refused = NULL;
		struct ipc9_pipe_result result;
		struct pipe_world w;
		char got[32];

		pipe_world_begin(&w, m);
		pipe_world_create(&w, &pipe_messages);
		EQUAL(ipc9_pipe_start_accept(w.server, &accepting, &w.error), 0);
		EQUAL(ipc9_pipe_finish(accepting, 0, NULL, &w.error), IPC9_E_PENDING);
		EQUAL(pipe_world_open(&w,
			  &(struct ipc9_pipe_open_options){ .mode = IPC9_PIPE_MODE_MESSAGES },
			  &w.client),
		    0);
		EQUAL(finish_by_polling(w.server, accepting, &result), 0);
		EQUAL(result.connected, false);
		HOLDS(result.client.how != IPC9_HOW_NONE);
		EQUAL(ipc9_pipe_start_accept(w.client, &refused, &w.error), IPC9_E_INVALID);
		EQUAL(ipc9_pipe_start_transact(w.client, "2+2", 3, got, sizeof(got), &asking,
			  &w.error),
		    0);
		pipe_expect(w.server, "2+2");
		EQUAL(ipc9_pipe_finish(asking, 0, NULL, &w.error), IPC9_E_PENDING);
		EQUAL(pipe_put(w.server, "4"), 0);
		EQUAL(finish_by_polling(w.client, asking, &result), 0);
		SAME_BYTES(got, result.size_bytes, "4", 1);
		/* Once more: the client had been there. */
		EQUAL(ipc9_pipe_start_accept(w.server, &accepting, &w.error), 0);
		EQUAL(ipc9_pipe_finish(accepting, 10000, &result, &w.error), 0);
		EQUAL(result.connected, true);
		pipe_world_end(&w);
	}
}

static void test_transactions_wait_for_what_was_started_before_them(void)
{
	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_op *reading = NULL, *asking[2] = { NULL };
		struct ipc9_pipe_result result;
		char got[3][8] = { "" };
		struct pipe_world w;

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, &pipe_messages);
		EQUAL(ipc9_pipe_set_mode(w.client, IPC9_PIPE_MODE_MESSAGES, &w.error), 0);
		EQUAL(ipc9_pipe_start_read(w.client, got[0], 8, &reading, &w.error), 0);
		for (int i = 0; i < 2; i++)
			EQUAL(ipc9_pipe_start_transact(w.client, &"pq"[i], 1, got[1 + i], 8,
				  &asking[i], &w.error),
			    0);
		EQUAL(ipc9_pipe_finish(asking[1], 0, NULL, &w.error), IPC9_E_PENDING);
		EQUAL(pipe_put(w.server, "a"), 0);
		EQUAL(finish_by_polling(w.client, reading, &result), 0);
		SAME_BYTES(got[0], result.size_bytes, "a", 1);
		for (int i = 0; i < 2; i++) {
			pipe_expect(w.server, i ? "q" : "p");
			EQUAL(pipe_put(w.server, i ? "c" : "b"), 0);
			EQUAL(finish_by_polling(w.client, asking[i], &result), 0);
			SAME_BYTES(got[1 + i], result.size_bytes, &"bc"[i], 1);
		}
		pipe_world_end(&w);
	}
}

static void test_what_was_started_and_fails_says_so_when_it_is_finished(void)
{
	FOR_EVERY_WAY(m)
	{
		static char long_message[IPC9_MESSAGE_BYTES + 1];
		struct ipc9_pipe_op *op = NULL;
		struct pipe_world w;
		char got[8];

		pipe_world_begin(&w, m);
		pipe_world_create(&w, &pipe_messages);
		EQUAL(ipc9_pipe_start_write(w.server, long_message, sizeof(long_message), &op,
			  &w.error),
		    IPC9_E_TOOBIG);
		EQUAL(ipc9_pipe_start_write(w.server, "x", 1, &op, &w.error), 0);
		EQUAL(ipc9_pipe_finish(op, 10000, NULL, &w.error), IPC9_E_LISTENING);
		HOLDS(w.error.text[0] != '\0' && w.error.code == IPC9_E_LISTENING);
		EQUAL(pipe_world_open(&w, NULL, &w.client), 0);
		EQUAL(ipc9_pipe_start_read(w.server, got, 8, &op, &w.error), 0);
		daemon_kill(&w.daemon);
		if (m->carried != IPC9_PIPE_BY_CALLS) { /* it does not need the daemon any more */
			EQUAL(pipe_put(w.client, "go on"), 0);
			EQUAL(ipc9_pipe_finish(op, 20000, NULL, &w.error), 0);
			SAME_BYTES(got, 5, "go on", 5);
			ipc9_pipe_abort(w.client);
			EQUAL(ipc9_pipe_start_read(w.server, got, 8, &op, &w.error), 0);
		}
		EQUAL(ipc9_pipe_finish(op, 20000, NULL, &w.error), IPC9_E_LOST);
		EQUAL(ipc9_pipe_start_read(w.client, got, 8, &op, &w.error), 0);
		EQUAL(ipc9_pipe_finish(op, 20000, NULL, &w.error), IPC9_E_LOST);
		pipe_world_close(&w);
		ipc9_free(w.ipc9);
	}
}

static void test_closing_frees_what_was_started(void)
{
	FOR_EVERY_WAY(m)
	{
		static char much[3000000];
		struct ipc9_pipe_op *op;
		struct pipe_world w;
		char got[8];

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, NULL);
		for (int i = 0; i < 3; i++) {
			EQUAL(ipc9_pipe_start_read(w.client, got, 8, &op, &w.error), 0);
			EQUAL(ipc9_pipe_start_write(w.client, much, sizeof(much), &op, &w.error),
			    0);
		}
		HOLDS(ipc9_pipe_fd(w.client) >= 0);
		w.client = ipc9_pipe_close(w.client);
		pipe_world_end(&w);
	}
}

/* --- Cancelling -------------------------------------------------------------------------------- */

static void test_one_operation_is_cancelled_and_the_others_go_on(void)
{
	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_op *ops[3] = { NULL };
		struct ipc9_pipe_result result;
		char got[3][8];
		struct pipe_world w;

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, NULL);
		for (int i = 0; i < 3; i++)
			EQUAL(ipc9_pipe_start_read(w.server, got[i], 8, &ops[i], &w.error), 0);
		ipc9_pipe_op_cancel(ops[1]); /* has not left */
		ipc9_pipe_op_cancel(ops[0]); /* waits over there */
		ipc9_pipe_op_cancel(ops[0]); /* twice is fine */
		EQUAL(finish_by_polling(w.server, ops[0], &result), IPC9_E_CANCELLED);
		EQUAL(ipc9_pipe_finish(ops[1], 0, &result, &w.error), IPC9_E_CANCELLED);
		EQUAL(pipe_put(w.client, "abc"), 0);
		EQUAL(finish_by_polling(w.server, ops[2], &result), 0);
		SAME_BYTES(got[2], result.size_bytes, "abc", 3);
		pipe_world_end(&w);
	}
}

struct waiter {
	struct ipc9_pipe *pipe;
	pthread_t thread;
	atomic_int result;
};

static void *read_forever(void *context)
{
	struct waiter *waiter = context;
	char got[8];
	size_t n;

	atomic_store(&waiter->result, ipc9_pipe_read(waiter->pipe, got, 8, IPC9_FOREVER, &n, NULL));
	return NULL;
}

static bool is_over(void *context)
{
	struct waiter *waiter = context;

	if (atomic_load(&waiter->result) == -1)
		ipc9_pipe_cancel(waiter->pipe); /* it may not have begun before */
	return atomic_load(&waiter->result) != -1;
}

static void test_a_call_of_another_thread_is_cancelled_and_the_end_stays_usable(void)
{
	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_op *op = NULL;
		struct waiter waiter;
		struct pipe_world w;
		char got[8];

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, NULL);
		ipc9_pipe_cancel(w.client); /* nothing is under way: nothing happens */
		EQUAL(pipe_put(w.server, "x"), 0);
		pipe_expect(w.client, "x");
		waiter.pipe = w.client;
		atomic_init(&waiter.result, -1);
		EQUAL(pthread_create(&waiter.thread, NULL, read_forever, &waiter), 0);
		HOLDS(wait_until(is_over, &waiter, 20000));
		pthread_join(waiter.thread, NULL);
		EQUAL(atomic_load(&waiter.result), IPC9_E_CANCELLED);
		EQUAL(ipc9_pipe_start_read(w.client, got, 8, &op, &w.error), 0);
		ipc9_pipe_cancel(w.client);
		EQUAL(finish_by_polling(w.client, op, NULL), IPC9_E_CANCELLED);
		EQUAL(pipe_put(w.server, "y"), 0);
		pipe_expect(w.client, "y");
		EQUAL(pipe_put(w.client, "z"), 0);
		pipe_expect(w.server, "z");
		pipe_world_end(&w);
	}
}

/* Nothing may be lost between the answer of a READ and the CANCEL that comes too late. */
static void *write_numbers(void *context)
{
	struct ipc9_pipe *pipe = context;

	for (uint32_t i = 0; i < 2000; i++)
		EQUAL(ipc9_pipe_write(pipe, &i, sizeof(i), 20000, NULL, NULL), 0);
	EQUAL(ipc9_pipe_end(pipe, NULL), 0);
	return NULL;
}

static void test_cancelling_reads_loses_nothing(void)
{
	FOR_EVERY_WAY(m)
	{
		uint32_t number, expected = 0, n_cancelled = 0;
		struct ipc9_pipe_result result;
		struct ipc9_pipe_op *op = NULL;
		struct pipe_world w;
		pthread_t thread;
		int r = 0;

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, &pipe_messages);
		EQUAL(pthread_create(&thread, NULL, write_numbers, w.server), 0);
		EQUAL(ipc9_pipe_set_mode(w.client, IPC9_PIPE_MODE_MESSAGES, &w.error), 0);
		while (r == 0 || r == IPC9_E_CANCELLED) {
			EQUAL(ipc9_pipe_start_read(w.client, &number, sizeof(number), &op,
				  &w.error),
			    0);
			ipc9_pipe_op_cancel(op);
			r = ipc9_pipe_finish(op, 20000, &result, &w.error);
			n_cancelled += r == IPC9_E_CANCELLED;
			if (r == 0 && !EQUAL(number, expected++))
				break;
		}
		EQUAL(r, IPC9_E_EOF);
		EQUAL(expected, 2000);
		pthread_join(thread, NULL);
		pipe_world_end(&w);
	}
}

static void read_all_of(struct ipc9_pipe *pipe, size_t size)
{
	static char buffer[5000];

	while (size) {
		size_t n = 0;

		if (!EQUAL(ipc9_pipe_read(pipe, buffer, size, 20000, &n, NULL), 0))
			return;
		size -= n;
	}
}

/* What the other end has read, and no more: nobody else will.  By calls the daemon does not say how much of a write was. */
static void test_a_write_that_ends_when_the_other_end_closes_says_how_much_was_read(void)
{
	static const struct ipc9_pipe_options small = { .quota_bytes = 1000, .max_instances = 1 };
	static char data[5000];

	FOR_EVERY_WAY(m)
	for (size_t some = 0; some <= 1500; some += 1500) {
		struct ipc9_pipe_result result = { .size_bytes = 0 };
		struct ipc9_pipe_op *op = NULL;
		struct pipe_world w;

		pipe_world_begin(&w, m);
		pipe_world_connect(&w, &small);
		EQUAL(ipc9_pipe_start_write(w.client, data, sizeof(data), &op, &w.error), 0);
		EQUAL(ipc9_pipe_finish(op, 20, &result, &w.error), IPC9_E_TIMEDOUT);
		read_all_of(w.server, some);
		w.server = ipc9_pipe_close(w.server);
		EQUAL(ipc9_pipe_finish(op, 20000, &result, &w.error), IPC9_E_EOF);
		EQUAL(result.size_bytes, m->carried == IPC9_PIPE_BY_CALLS ? 0 : some);
		pipe_world_end(&w);
	}
}

/* --- Empty messages ---------------------------------------------------------------------------- */

#define MESSAGE_END 8 /* bytes of an empty message, which is no more than its end */

/* An end that takes no more until `other`, the bare socket at the other end, is read. */
struct stuffed {
	struct ipc9 *ipc9;
	struct ipc9_pipe *pipe;
	struct ipc9_pipe_loose other;
	int sent; /* empty messages that were taken */
	int come; /* and of those that have come there */
	unsigned char part[MESSAGE_END];
	size_t n_part;
};

static void stuff(struct stuffed *s)
{
	const struct ipc9_pipe_pair_options options = { .type = IPC9_PIPE_TYPE_MESSAGE,
		.way = IPC9_PIPE_BY_SOCKET };
	struct ipc9_pipe_loose loose[2];

	*s = (struct stuffed){ .ipc9 = NULL };
	EQUAL(ipc9_new(NULL, &s->ipc9, NULL), 0);
	EQUAL(ipc9_pipe_pair(&options, loose, NULL), 0);
	EQUAL(ipc9_pipe_adopt(s->ipc9, &loose[0], &s->pipe, NULL), 0);
	s->other = loose[1];
	while (ipc9_pipe_write(s->pipe, "", 0, 0, NULL, NULL) == 0)
		s->sent++;
}

static void unstuff(struct stuffed *s)
{
	ipc9_pipe_close(s->pipe);
	ipc9_pipe_loose_close(&s->other);
	ipc9_free(s->ipc9);
}

/* Takes what has come. */
static void take(struct stuffed *s)
{
	static const unsigned char end[MESSAGE_END] = { 0x80, 0, 0, 4, 0, 0, 0,
		IPC9_PIPE_FRAME_MSG_END };
	static unsigned char bytes[1 << 16];
	ssize_t n = recv(s->other.fds[0], bytes, sizeof(bytes), MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++) {
		s->part[s->n_part++] = bytes[i];
		if (s->n_part < MESSAGE_END)
			continue;
		s->come += memcmp(s->part, end, MESSAGE_END) == 0;
		s->n_part = 0;
	}
}

/* Takes so many, and sees that there are no more. */
static void take_all(struct stuffed *s, int messages)
{
	while (s->come < messages && HOLDS(readable(s->other.fds[0], 20000)))
		take(s);
	EQUAL(s->come, messages);
	EQUAL(readable(s->other.fds[0], 20), false);
}

static void test_an_empty_message_that_has_to_wait_is_sent_once(void)
{
	struct ipc9_pipe_op *op;
	struct stuffed s;
	int r;

	stuff(&s);
	EQUAL(ipc9_pipe_start_write(s.pipe, "", 0, &op, NULL), 0);
	EQUAL(ipc9_pipe_finish(op, 0, NULL, NULL), IPC9_E_PENDING);
	while ((r = ipc9_pipe_finish(op, 0, NULL, NULL)) == IPC9_E_PENDING)
		take(&s);
	EQUAL(r, 0);
	take_all(&s, s.sent + 1);
	unstuff(&s);
}

/* Whoever is told that it was late can send it again. */
static void test_an_empty_message_that_was_late_was_not_sent(void)
{
	struct stuffed s;

	stuff(&s);
	EQUAL(ipc9_pipe_write(s.pipe, "", 0, 1, NULL, NULL), IPC9_E_TIMEDOUT);
	take_all(&s, s.sent);
	EQUAL(ipc9_pipe_write(s.pipe, "", 0, 1, NULL, NULL), 0);
	take_all(&s, s.sent + 1);
	unstuff(&s);
}

SUITE(pipe_start, TEST(test_a_started_read_is_done_when_something_comes),
    TEST(test_started_reads_are_done_in_order_whichever_is_finished_first),
    TEST(test_started_writes_arrive_in_order_and_all_of_them),
    TEST(test_messages_started_together_arrive_in_order_and_each_by_itself),
    TEST(test_one_of_those_started_together_is_cancelled_and_the_others_arrive),
    TEST(test_of_writes_started_together_each_tells_how_the_other_end_went),
    TEST(test_accepts_and_transactions_can_be_started),
    TEST(test_transactions_wait_for_what_was_started_before_them),
    TEST(test_what_was_started_and_fails_says_so_when_it_is_finished),
    TEST(test_closing_frees_what_was_started),
    TEST(test_one_operation_is_cancelled_and_the_others_go_on),
    TEST(test_a_call_of_another_thread_is_cancelled_and_the_end_stays_usable),
    TEST(test_cancelling_reads_loses_nothing),
    TEST(test_a_write_that_ends_when_the_other_end_closes_says_how_much_was_read),
    TEST(test_an_empty_message_that_has_to_wait_is_sent_once),
    TEST(test_an_empty_message_that_was_late_was_not_sent));
