/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_carrier.c - what carries a pipe's data when the daemon has left the path: every test over every carrier.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/carrier.h"
#include "tests/harness.h"
#include "util/clock.h"

#define QUOTA 65536

static struct ends bytes(size_t way)
{
	return carrier_make(way, IPC9_PIPE_TYPE_BYTE, QUOTA);
}

static struct ends messages(size_t way)
{
	return carrier_make(way, IPC9_PIPE_TYPE_MESSAGE, QUOTA);
}

/* --- Data -------------------------------------------------------------------------------------- */

static void test_bytes_cross_the_boundaries_of_writes(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = bytes(w);
		char buffer[16] = "";

		EQUAL(put(e.c[0], "abc", 3), 0);
		EQUAL(put(e.c[0], "", 0), 0);
		EQUAL(put(e.c[0], "defgh", 5), 0);
		EQUAL(get(e.c[1], buffer, 2, false, SOON), 2);
		SAME_BYTES(buffer, 2, "ab", 2);
		for (int n = 0; n < 6;)
			n += get(e.c[1], buffer + n, sizeof(buffer) - (size_t)n, false, SOON);
		SAME_BYTES(buffer, 6, "cdefgh", 6);
		EQUAL(get(e.c[1], buffer, 1, false, 0), -IPC9_E_TIMEDOUT);
		shut_both(&e);
	}
}

static void test_messages_keep_their_boundaries_and_may_be_empty_and_read_in_parts(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = messages(w);
		char buffer[16] = "";

		EQUAL(put(e.c[0], "first", 5), 0);
		EQUAL(put(e.c[0], "", 0), 0);
		EQUAL(put(e.c[0], "a longer one", 12), 0);
		EQUAL(put(e.c[0], "", 0), 0);
		EQUAL(get(e.c[1], buffer, 16, true, SOON), 5);
		EQUAL(get(e.c[1], buffer, 16, true, SOON), 0);
		EQUAL(get(e.c[1], buffer, 8, true, SOON), 1000008);
		SAME_BYTES(buffer, 8, "a longer", 8);
		EQUAL(get(e.c[1], buffer, 0, true, SOON), 1000000);
		EQUAL(get(e.c[1], buffer, 16, true, SOON), 4);
		SAME_BYTES(buffer, 4, " one", 4);
		EQUAL(get(e.c[1], buffer, 16, true, SOON), 0);
		EQUAL(get(e.c[1], buffer, 16, true, 0), -IPC9_E_TIMEDOUT);
		shut_both(&e);
	}
}

static void test_bytes_read_from_messages_ignore_boundaries_but_stop_at_empty_ones(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = messages(w);
		struct carrier_waiting waiting = { .total = 0 };
		char buffer[16] = "";

		EQUAL(put(e.c[0], "ab", 2), 0);
		EQUAL(put(e.c[0], "cd", 2), 0);
		EQUAL(put(e.c[0], "", 0), 0);
		EQUAL(put(e.c[0], "ef", 2), 0);
		while (waiting.total < 6)
			EQUAL(e.c[1]->ops->peek(e.c[1], buffer, 0, &waiting), 0);
		EQUAL(get(e.c[1], buffer, 16, false, SOON), 4);
		SAME_BYTES(buffer, 4, "abcd", 4);
		EQUAL(get(e.c[1], buffer, 16, false, SOON), 0);
		EQUAL(get(e.c[1], buffer, 16, false, SOON), 2);
		shut_both(&e);
	}
}

static void test_peek_tells_without_taking(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = messages(w);
		struct carrier_waiting waiting = { .total = 0 };
		char buffer[16] = "";

		EQUAL(e.c[1]->ops->peek(e.c[1], buffer, 4, &waiting), 0);
		HOLDS(!waiting.message);
		EQUAL(put(e.c[0], "message", 7), 0);
		EQUAL(put(e.c[0], "xyz", 3), 0);
		while (waiting.total < 10)
			EQUAL(e.c[1]->ops->peek(e.c[1], buffer, 4, &waiting), 0);
		EQUAL(waiting.copied, 4);
		EQUAL(waiting.message_left, 3);
		SAME_BYTES(buffer, 4, "mess", 4);
		EQUAL(get(e.c[1], buffer, 16, true, SOON), 7);
		shut_both(&e);
	}
}

/* --- Much -------------------------------------------------------------------------------------- */

/* So that no two places look alike, nor frames, nor pieces. */
static unsigned char pattern(uint64_t at)
{
	return (unsigned char)(at * 167 + (at >> 8) * 13 + (at >> 16));
}

struct writer {
	struct carrier *c;
	uint64_t total;
	size_t piece;
	bool message;
	int result;
	_Atomic bool ended;
	bool uneven; /* pieces of other lengths each time, up to piece */
};

static size_t next_piece(const struct writer *w, uint64_t at)
{
	size_t n = w->uneven ? 1 + (size_t)((at * 2654435761u >> 9) % w->piece) : w->piece;

	return w->total - at < n ? (size_t)(w->total - at) : n;
}

static void *write_much(void *arg)
{
	struct writer *w = arg;
	unsigned char *data = malloc(w->piece);
	uint64_t at = 0;

	while (at < w->total && !w->result) {
		size_t n = next_piece(w, at);

		for (size_t i = 0; i < n; i++)
			data[i] = pattern(at + i);
		w->result = put(w->c, data, n);
		at += n;
	}
	free(data);
	if (!w->result)
		w->result = w->c->ops->end(w->c);
	return NULL;
}

/* Reads in pieces to the end; how many bytes were as they should be. */
static uint64_t read_much(struct carrier *c, size_t piece)
{
	unsigned char *data = malloc(piece);
	uint64_t at = 0;
	bool good = true;
	int n;

	while (good && (n = get(c, data, piece, false, SOON)) >= 0)
		for (int i = 0; i < n; i++, at++)
			good = good && data[i] == pattern(at);
	EQUAL(n, -IPC9_E_EOF);
	free(data);
	return good ? at : 0;
}

static void test_much_data_arrives_whole_whatever_the_pieces(void)
{
	static const struct {
		size_t writes, reads;
	} pieces[] = { { 1048576, 1048576 }, { 1048576, 60001 }, { 3000000, 100000 },
		{ 70001, 1048576 }, { 13, 65536 }, { 65536, 17 }, { 300000, 299999 } };

	for (size_t w = 0; w < N_CARRIER_WAYS; w++)
		for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
			struct ends e = bytes(w);
			struct writer writer = { e.c[0],
				pieces[i].writes < 100 || pieces[i].reads < 100 ? 300007 : 9000007,
				pieces[i].writes, false, 0, false, false };
			pthread_t t;

			pthread_create(&t, NULL, write_much, &writer);
			EQUAL(read_much(e.c[1], pieces[i].reads), writer.total);
			pthread_join(t, NULL);
			EQUAL(writer.result, 0);
			shut_both(&e);
		}
}

static void test_pieces_of_changing_lengths_arrive_in_order(void)
{
	static const size_t pieces[] = { 30, 20000, 150000, 1048576 };

	for (size_t w = 0; w < N_CARRIER_WAYS; w++)
		for (size_t i = 0; i < 2 * sizeof(pieces) / sizeof(pieces[0]); i++) {
			size_t piece = pieces[i / 2];
			struct ends e = carrier_make(w, IPC9_PIPE_TYPE_BYTE, 1048576);
			struct writer writer = { e.c[0], piece < 100 ? 300007 : 20000003, piece,
				false, 0, false, true };
			pthread_t t;

			pthread_create(&t, NULL, write_much, &writer);
			EQUAL(read_much(e.c[1], i % 2 ? 1048576 : 50001), writer.total);
			pthread_join(t, NULL);
			EQUAL(writer.result, 0);
			shut_both(&e);
		}
}

/* Reads a message whose rest the other end sends whenever it is asked for its events. */
static int get_by_turns(struct ends *e, void *buffer, size_t size)
{
	int r;

	do {
		e->c[0]->ops->events(e->c[0], CARRIER_WRITABLE);
		r = get(e->c[1], buffer, size, true, clock_deadline_ms(1));
	} while (r == -IPC9_E_TIMEDOUT);
	return r;
}

/* The socket takes a part of the first one at once. */
static void test_messages_that_nobody_waited_for_arrive_whole(void)
{
	enum {
		SIZE = 1000001,
		MESSAGES = 4
	};

	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = carrier_make(w, IPC9_PIPE_TYPE_MESSAGE, 4194304);
		unsigned char *data = malloc(SIZE), *buffer = malloc(SIZE);
		int taken = 0;
		size_t n;

		for (size_t i = 0; i < SIZE; i++)
			data[i] = pattern(i);
		while (taken < MESSAGES &&
		    !e.c[0]->ops->write(e.c[0], data, SIZE, CARRIER_FITTING, 0, &n))
			taken++;
		HOLDS(taken > 0);
		EQUAL(e.c[0]->ops->end(e.c[0]), 0);
		for (int i = 0; i < taken; i++) {
			memset(buffer, 0, SIZE);
			EQUAL(get_by_turns(&e, buffer, SIZE), SIZE);
			EQUAL(memcmp(buffer, data, SIZE), 0);
		}
		free(data);
		free(buffer);
		shut_both(&e);
	}
}

struct both {
	struct carrier *c;
	uint64_t got;
};

static void *read_other(void *arg)
{
	struct both *b = arg;

	b->got = read_much(b->c, 100000);
	return NULL;
}

static void test_both_directions_at_once_do_not_lock_each_other(void)
{
	enum {
		TOTAL = 6000001
	};

	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = bytes(w);
		struct writer writers[2] = { { e.c[0], TOTAL, 500000, false, 0, false, false },
			{ e.c[1], TOTAL, 500000, false, 0, false, false } };
		struct both readers[2] = { { e.c[0], 0 }, { e.c[1], 0 } };
		pthread_t t[4];

		for (int i = 0; i < 2; i++) {
			pthread_create(&t[i], NULL, write_much, &writers[i]);
			pthread_create(&t[2 + i], NULL, read_other, &readers[i]);
		}
		for (int i = 0; i < 4; i++)
			pthread_join(t[i], NULL);
		EQUAL(readers[0].got, TOTAL);
		EQUAL(readers[1].got, TOTAL);
		shut_both(&e);
	}
}

/* --- Quota ------------------------------------------------------------------------------------- */

static void test_a_write_completes_while_what_is_unread_fits_the_quota(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = bytes(w);
		char *data = calloc(1, QUOTA + 1), *buffer = malloc(QUOTA);
		size_t n = 0;

		EQUAL(put(e.c[0], data, QUOTA), 0);
		EQUAL(e.c[0]->ops->write(e.c[0], "x", 1, CARRIER_FITTING, 0, &n),
		    IPC9_E_WOULDBLOCK);
		EQUAL(n, 0);
		EQUAL(e.c[0]->ops->write(e.c[0], "x", 1, CARRIER_WHOLE, clock_deadline_ms(20), &n),
		    IPC9_E_TIMEDOUT);
		EQUAL(n, 1); /* taken, and only not read */
		EQUAL(get(e.c[1], buffer, QUOTA, false, SOON) > 0, 1);
		EQUAL(e.c[0]->ops->room(e.c[0], true, SOON), 0);
		free(data);
		free(buffer);
		shut_both(&e);
	}
}

static void test_a_write_that_does_not_wait_is_taken_if_it_fits_and_partly_if_asked(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = bytes(w);
		char *data = calloc(1, QUOTA + 1);
		size_t n = 7;

		EQUAL(e.c[0]->ops->write(e.c[0], data, QUOTA + 1, CARRIER_FITTING, 0, &n),
		    IPC9_E_WOULDBLOCK);
		EQUAL(n, 0);
		EQUAL(e.c[0]->ops->write(e.c[0], data, QUOTA + 1, CARRIER_PART, 0, &n), 0);
		EQUAL(n, QUOTA);
		EQUAL(e.c[0]->ops->write(e.c[0], data, 1, CARRIER_PART, 0, &n), IPC9_E_WOULDBLOCK);
		free(data);
		shut_both(&e);
	}
}

static void test_an_empty_message_is_taken_when_the_quota_is_full(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = messages(w);
		char *data = calloc(1, QUOTA);
		size_t n;

		EQUAL(put(e.c[0], data, QUOTA), 0);
		EQUAL(e.c[0]->ops->write(e.c[0], "", 0, CARRIER_FITTING, 0, &n), 0);
		free(data);
		shut_both(&e);
	}
}

static void *flush_one(void *arg)
{
	struct writer *w = arg;

	w->result = w->c->ops->flush(w->c, SOON);
	return NULL;
}

static void test_flush_returns_when_the_other_end_has_read_all(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = messages(w);
		struct writer flusher = { .c = e.c[0], .result = -1 };
		char buffer[8];
		pthread_t t;

		EQUAL(e.c[0]->ops->flush(e.c[0], SOON), 0);
		EQUAL(put(e.c[0], "one", 3), 0);
		EQUAL(put(e.c[0], "two", 3), 0);
		EQUAL(e.c[0]->ops->flush(e.c[0], clock_deadline_ms(10)), IPC9_E_TIMEDOUT);
		EQUAL(get(e.c[1], buffer, 8, true, SOON), 3);
		EQUAL(e.c[0]->ops->flush(e.c[0], clock_deadline_ms(10)), IPC9_E_TIMEDOUT);
		pthread_create(&t, NULL, flush_one, &flusher);
		EQUAL(get(e.c[1], buffer, 8, true, SOON), 3);
		/* The reader does nothing more here: the flush is told at the moment of the read. */
		pthread_join(t, NULL);
		EQUAL(flusher.result, 0);
		shut_both(&e);
	}
}

/* --- Ends -------------------------------------------------------------------------------------- */

static void test_after_end_the_other_end_reads_eof_and_still_writes(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = bytes(w);
		char buffer[8];

		EQUAL(put(e.c[0], "last", 4), 0);
		EQUAL(e.c[0]->ops->end(e.c[0]), 0);
		EQUAL(put(e.c[0], "x", 1), IPC9_E_BADSTATE);
		EQUAL(get(e.c[1], buffer, 8, false, SOON), 4);
		EQUAL(get(e.c[1], buffer, 8, false, SOON), -IPC9_E_EOF);
		EQUAL(put(e.c[1], "back", 4), 0);
		EQUAL(get(e.c[0], buffer, 8, false, SOON), 4);
		shut_both(&e);
	}
}

static void test_what_was_written_before_close_is_read_then_eof(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = bytes(w);
		char buffer[8];

		/* Also what this end did not read must not take it along. */
		EQUAL(put(e.c[1], "unread", 6), 0);
		EQUAL(put(e.c[0], "last", 4), 0);
		shut(e.c[0]);
		e.c[0] = NULL;
		EQUAL(e.c[1]->ops->wait_closed(e.c[1], SOON), 0);
		EQUAL(put(e.c[1], "x", 1), IPC9_E_PEERCLOSED);
		EQUAL(get(e.c[1], buffer, 8, false, SOON), 4);
		EQUAL(get(e.c[1], buffer, 8, false, SOON), -IPC9_E_EOF);
		EQUAL(e.c[1]->ops->flush(e.c[1], SOON), 0);
		shut_both(&e);
	}
}

static void test_disconnect_throws_away_what_was_not_read(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = bytes(w);
		struct carrier_waiting waiting;
		char buffer[8];
		size_t n;

		EQUAL(put(e.c[0], "gone", 4), 0);
		e.c[0]->ops->disconnect(e.c[0]);
		EQUAL(get(e.c[0], buffer, 8, false, SOON), -IPC9_E_NOTCONN);
		EQUAL(put(e.c[0], "x", 1), IPC9_E_NOTCONN);
		EQUAL(e.c[1]->ops->wait_closed(e.c[1], SOON), IPC9_E_NOTCONN);
		EQUAL(get(e.c[1], buffer, 8, false, SOON), -IPC9_E_NOTCONN);
		EQUAL(e.c[1]->ops->write(e.c[1], "x", 1, CARRIER_WHOLE, SOON, &n), IPC9_E_NOTCONN);
		EQUAL(e.c[1]->ops->peek(e.c[1], buffer, 8, &waiting), IPC9_E_NOTCONN);
		EQUAL(e.c[1]->ops->flush(e.c[1], SOON), IPC9_E_NOTCONN);
		shut_both(&e);
	}
}

static void *read_one(void *arg)
{
	struct writer *w = arg;
	char byte;

	w->result = get(w->c, &byte, 1, false, SOON);
	return NULL;
}

static void *write_one(void *arg)
{
	struct writer *w = arg;
	char *data = calloc(1, 4 * QUOTA);
	size_t n;

	w->result = w->c->ops->write(w->c, data, 4 * QUOTA, CARRIER_WHOLE, SOON, &n);
	w->total = n;
	free(data);
	return NULL;
}

/* So much that its writer has to wait. */
static bool has_much(void *arg)
{
	struct carrier *c = arg;
	struct carrier_waiting waiting;

	return c->ops->peek(c, NULL, 0, &waiting) == 0 && waiting.total > QUOTA;
}

static void test_operations_that_wait_when_the_other_end_closes_end_with_eof(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = bytes(w);
		struct writer reader = { .c = e.c[0], .result = 0 };
		struct writer writer = { .c = e.c[0], .result = 0 };
		pthread_t t[2];

		pthread_create(&t[0], NULL, read_one, &reader);
		pthread_create(&t[1], NULL, write_one, &writer);
		HOLDS(wait_until(has_much, e.c[1], 10000));
		shut(e.c[1]);
		e.c[1] = NULL;
		pthread_join(t[0], NULL);
		pthread_join(t[1], NULL);
		EQUAL(reader.result, -IPC9_E_EOF);
		EQUAL(writer.result, IPC9_E_EOF);
		shut_both(&e);
	}
}

static void test_cancel_ends_what_waits_and_the_end_stays_usable(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = bytes(w);
		struct writer reader = { .c = e.c[0], .result = 0 };
		struct writer writer = { .c = e.c[0], .result = 0 };
		pthread_t t[2];
		char *buffer = malloc(4 * QUOTA), byte;

		pthread_create(&t[0], NULL, read_one, &reader);
		pthread_create(&t[1], NULL, write_one, &writer);
		HOLDS(wait_until(has_much, e.c[1], 10000));
		e.c[0]->ops->cancel(e.c[0]);
		pthread_join(t[1], NULL);
		EQUAL(writer.result, IPC9_E_CANCELLED);
		/* The reader may have begun after the writer. */
		e.c[0]->ops->cancel(e.c[0]);
		EQUAL(put(e.c[1], "x", 1), 0);
		pthread_join(t[0], NULL);
		if (reader.result == -IPC9_E_CANCELLED)
			EQUAL(get(e.c[0], &byte, 1, false, SOON), 1);
		else
			EQUAL(reader.result, 1);
		for (uint64_t n = 0; n < writer.total;) {
			int got = get(e.c[1], buffer, 4 * QUOTA, false, SOON);

			if (!HOLDS(got > 0))
				break;
			n += (unsigned)got;
		}
		EQUAL(put(e.c[0], "y", 1), 0);
		EQUAL(get(e.c[1], buffer, 1, false, SOON), 1);
		free(buffer);
		shut_both(&e);
	}
}

static void test_abort_ends_everything_with_lost(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = bytes(w);
		char byte;

		EQUAL(put(e.c[1], "x", 1), 0);
		e.c[0]->ops->abort(e.c[0]);
		EQUAL(get(e.c[0], &byte, 1, false, SOON), -IPC9_E_LOST);
		EQUAL(put(e.c[0], "x", 1), IPC9_E_LOST);
		shut_both(&e);
	}
}

static void test_events_tell_what_would_not_wait(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = bytes(w);
		char *data = calloc(1, QUOTA);
		const unsigned all = CARRIER_READABLE | CARRIER_WRITABLE | CARRIER_CLOSED;
		size_t n;

		EQUAL(e.c[0]->ops->events(e.c[0], all), CARRIER_WRITABLE);
		EQUAL(put(e.c[0], data, QUOTA), 0);
		EQUAL(e.c[0]->ops->write(e.c[0], "x", 1, CARRIER_WHOLE, 0, &n), IPC9_E_TIMEDOUT);
		EQUAL(e.c[0]->ops->events(e.c[0], all), 0);
		EQUAL(put(e.c[1], "x", 1), 0);
		while (!(e.c[0]->ops->events(e.c[0], CARRIER_READABLE) & CARRIER_READABLE))
			;
		shut(e.c[1]);
		e.c[1] = NULL;
		EQUAL(e.c[0]->ops->wait_closed(e.c[0], SOON), 0);
		EQUAL(e.c[0]->ops->events(e.c[0], all), all);
		free(data);
		shut_both(&e);
	}
}

/* --- Ends that do not read --------------------------------------------------------------------- */

#define MUCH 4194304

/* Writes until somebody ends that: nobody reads, and there is no room for it in any socket. */
static void *write_on(void *arg)
{
	struct writer *w = arg;
	char *data = calloc(1, MUCH);
	size_t n;

	while (!(w->result = w->c->ops->write(w->c, data, MUCH, CARRIER_WHOLE, SOON, &n)))
		w->total += n;
	w->total += n;
	free(data);
	atomic_store(&w->ended, true);
	return NULL;
}

static bool has_begun(void *arg)
{
	struct carrier *c = arg;
	struct carrier_waiting waiting;

	return c->ops->peek(c, NULL, 0, &waiting) == 0 && waiting.total > 0;
}

/* A writer that is under way, in *ret_thread. */
static struct ends with_writer(size_t way, struct writer *writer, pthread_t *ret_thread)
{
	struct ends e = carrier_make(way, IPC9_PIPE_TYPE_BYTE, MUCH);

	memset(writer, 0, sizeof(*writer));
	writer->c = e.c[0];
	pthread_create(ret_thread, NULL, write_on, writer);
	HOLDS(wait_until(has_begun, e.c[1], 10000));
	return e;
}

/* A cancel that comes between two writes ends none of them. */
static void cancel_until_ended(struct writer *writer)
{
	const struct timespec look = { 0, 1000000 };

	while (!atomic_load(&writer->ended)) {
		writer->c->ops->cancel(writer->c);
		nanosleep(&look, NULL);
	}
}

static void test_to_end_and_to_disconnect_wait_for_no_writer(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct writer writer;
		pthread_t t;
		struct ends e = with_writer(w, &writer, &t);

		EQUAL(e.c[0]->ops->end(e.c[0]), 0);
		e.c[0]->ops->disconnect(e.c[0]);
		pthread_join(t, NULL);
		/* Unless it had come to its next write in between. */
		HOLDS(writer.result == IPC9_E_NOTCONN || writer.result == IPC9_E_BADSTATE);
		e.c[0]->ops->close(e.c[0], 0);
		EQUAL(e.c[1]->ops->wait_closed(e.c[1], SOON), IPC9_E_NOTCONN);
		shut(e.c[1]);
	}
}

static void test_cancel_ends_a_writer_whose_data_has_begun_to_leave(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct writer writer;
		pthread_t t;
		struct ends e = with_writer(w, &writer, &t);
		char *buffer = malloc(MUCH);
		uint64_t n = 0;
		int got = 1;

		cancel_until_ended(&writer);
		pthread_join(t, NULL);
		EQUAL(writer.result, IPC9_E_CANCELLED);
		/* What was said to be written arrives, and nothing else. */
		EQUAL(e.c[0]->ops->end(e.c[0]), 0);
		e.c[0]->ops->close(e.c[0], 0);
		while ((got = get(e.c[1], buffer, MUCH, false, SOON)) > 0)
			n += (unsigned)got;
		EQUAL(got, -IPC9_E_EOF);
		EQUAL(n, writer.total);
		free(buffer);
		shut(e.c[1]);
	}
}

static void test_to_ask_what_would_not_wait_waits_for_no_writer(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct writer writer;
		pthread_t t;
		struct ends e = with_writer(w, &writer, &t);
		char buffer[8];

		EQUAL(put(e.c[1], "hello", 5), 0);
		while (!(e.c[0]->ops->events(e.c[0], CARRIER_READABLE) & CARRIER_READABLE))
			;
		EQUAL(get(e.c[0], buffer, 8, false, SOON), 5);
		cancel_until_ended(&writer);
		pthread_join(t, NULL);
		e.c[0]->ops->close(e.c[0], 0);
		shut(e.c[1]);
	}
}

static void test_what_was_written_stays_for_a_reader_that_comes_after_close(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = carrier_make(w, IPC9_PIPE_TYPE_BYTE, MUCH);
		char *data = calloc(1, MUCH);
		size_t n = 0, total = 0;
		int got;

		EQUAL(put(e.c[1], "unread", 6), 0);
		EQUAL(e.c[0]->ops->write(e.c[0], data, MUCH, CARRIER_QUEUED, 0, &n) >= 0, 1);
		HOLDS(n > 0);
		e.c[0]->ops->close(e.c[0], 0);
		while ((got = get(e.c[1], data, 100000, false, SOON)) > 0)
			total += (unsigned)got;
		EQUAL(got, -IPC9_E_EOF);
		EQUAL(total, n);
		free(data);
		shut(e.c[1]);
	}
}

static void test_a_client_cannot_disconnect_its_server(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = bytes(w);
		char byte;

		e.c[1]->ops->disconnect(e.c[1]);
		EQUAL(get(e.c[0], &byte, 1, false, SOON), -IPC9_E_LOST);
		EQUAL(e.c[0]->ops->peer(e.c[0]), IPC9_E_LOST);
		shut_both(&e);
	}
}

SUITE(carrier, TEST(test_bytes_cross_the_boundaries_of_writes),
    TEST(test_messages_keep_their_boundaries_and_may_be_empty_and_read_in_parts),
    TEST(test_bytes_read_from_messages_ignore_boundaries_but_stop_at_empty_ones),
    TEST(test_peek_tells_without_taking), TEST(test_much_data_arrives_whole_whatever_the_pieces),
    TEST(test_pieces_of_changing_lengths_arrive_in_order),
    TEST(test_messages_that_nobody_waited_for_arrive_whole),
    TEST(test_both_directions_at_once_do_not_lock_each_other),
    TEST(test_a_write_completes_while_what_is_unread_fits_the_quota),
    TEST(test_a_write_that_does_not_wait_is_taken_if_it_fits_and_partly_if_asked),
    TEST(test_an_empty_message_is_taken_when_the_quota_is_full),
    TEST(test_flush_returns_when_the_other_end_has_read_all),
    TEST(test_after_end_the_other_end_reads_eof_and_still_writes),
    TEST(test_what_was_written_before_close_is_read_then_eof),
    TEST(test_disconnect_throws_away_what_was_not_read),
    TEST(test_operations_that_wait_when_the_other_end_closes_end_with_eof),
    TEST(test_cancel_ends_what_waits_and_the_end_stays_usable),
    TEST(test_abort_ends_everything_with_lost), TEST(test_events_tell_what_would_not_wait),
    TEST(test_to_end_and_to_disconnect_wait_for_no_writer),
    TEST(test_cancel_ends_a_writer_whose_data_has_begun_to_leave),
    TEST(test_to_ask_what_would_not_wait_waits_for_no_writer),
    TEST(test_what_was_written_stays_for_a_reader_that_comes_after_close),
    TEST(test_a_client_cannot_disconnect_its_server));
