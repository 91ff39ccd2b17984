/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_carrier_ends.c - how operations end that are under way both ways at both ends when one of these disconnects or
 * aborts: over every carrier, and many times, as it depends on where each of them is at that moment.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/carrier.h"
#include "tests/harness.h"

#define ROUNDS 60
#define ROUNDS_OF_DEATH 12 /* who sleeps in memory notices one after up to 0.1 s */
#define QUOTA 65536
#define PIECE 3000

/* One that reads or writes until that fails. */
struct worker {
	struct carrier *c;
	bool writes, message;
	_Atomic unsigned done; /* operations that came to something */
	int result;
	pthread_t thread;
};

static void *work(void *arg)
{
	struct worker *w = arg;
	char *data = calloc(1, 4 * QUOTA);
	size_t size = w->message ? PIECE : 4 * QUOTA;

	do {
		size_t n = 0;
		bool more;

		w->result = w->writes
		    ? w->c->ops->write(w->c, data, size, CARRIER_WHOLE, SOON, &n)
		    : w->c->ops->read(w->c, data, PIECE, w->message, SOON, &n, &more);
		atomic_fetch_add(&w->done, n > 0);
	} while (!w->result);
	free(data);
	return NULL;
}

static bool is_busy(void *arg)
{
	struct worker *w = arg;

	for (int i = 0; i < 4; i++)
		if (!w[i].writes && atomic_load(&w[i].done) < 20)
			return false;
	return true;
}

/* Two ends, and at each a reader and a writer: 0 and 1 are those of the first. */
static struct ends begin(size_t way, bool message, struct worker workers[4])
{
	struct ends e =
	    carrier_make(way, message ? IPC9_PIPE_TYPE_MESSAGE : IPC9_PIPE_TYPE_BYTE, QUOTA);

	for (int i = 0; i < 4; i++) {
		workers[i] =
		    (struct worker){ .c = e.c[i / 2], .writes = i % 2, .message = message };
		pthread_create(&workers[i].thread, NULL, work, &workers[i]);
	}
	HOLDS(wait_until(is_busy, workers, 10000));
	return e;
}

/* Waits for the two of one end and closes it; whether both came to that. */
static bool finish(struct ends *e, int end, struct worker workers[4], int want)
{
	bool good = true;

	for (int i = 2 * end; i < 2 * end + 2; i++) {
		pthread_join(workers[i].thread, NULL);
		good &= EQUAL(workers[i].result, want);
	}
	e->c[end]->ops->close(e->c[end], 0);
	return good;
}

static void check(void (*change)(struct carrier *c), int want, int rounds)
{
	for (size_t way = 0; way < N_CARRIER_WAYS; way++) {
		bool good = true;

		for (int round = 0; good && round < rounds; round++) {
			struct worker workers[4];
			struct ends e = begin(way, round % 2, workers);

			change(e.c[0]);
			good = finish(&e, 0, workers, want);
			good &= finish(&e, 1, workers, want);
			if (!good)
				printf("  %s, round %d\n", carrier_ways[way].name, round);
		}
	}
}

static void disconnect(struct carrier *c)
{
	c->ops->disconnect(c);
}

static void test_what_is_under_way_at_both_ends_is_told_that_the_server_disconnected(void)
{
	check(disconnect, IPC9_E_NOTCONN, ROUNDS);
}

static void abort_it(struct carrier *c)
{
	c->ops->abort(c);
}

static void test_what_is_under_way_at_both_ends_of_one_that_is_aborted_is_lost(void)
{
	check(abort_it, IPC9_E_LOST, ROUNDS_OF_DEATH);
}

/* --- An end that is aborted while the other one closes ----------------------------------------- */

/* Closes as soon as it sees that something has happened. */
static void *close_when_told(void *arg)
{
	struct carrier *c = arg;

	c->ops->wait_closed(c, SOON);
	c->ops->close(c, 0);
	return NULL;
}

static void test_an_end_that_was_aborted_stays_lost_when_the_other_one_closes(void)
{
	for (size_t way = 0; way < N_CARRIER_WAYS; way++)
		for (int round = 0; round < ROUNDS_OF_DEATH; round++) {
			struct ends e = carrier_make(way, IPC9_PIPE_TYPE_BYTE, QUOTA);
			struct worker reader = { .c = e.c[0] };
			struct carrier_waiting waiting;
			pthread_t thread;
			size_t n;

			pthread_create(&reader.thread, NULL, work, &reader);
			pthread_create(&thread, NULL, close_when_told, e.c[1]);
			EQUAL(put(e.c[0], "x", 1), 0);
			e.c[0]->ops->abort(e.c[0]);
			pthread_join(reader.thread, NULL);
			EQUAL(reader.result, IPC9_E_LOST);
			pthread_join(thread, NULL);
			EQUAL(put(e.c[0], "x", 1), IPC9_E_LOST);
			EQUAL(e.c[0]->ops->write(e.c[0], "x", 1, CARRIER_PART, 0, &n), IPC9_E_LOST);
			EQUAL(e.c[0]->ops->peek(e.c[0], NULL, 0, &waiting), IPC9_E_LOST);
			EQUAL(e.c[0]->ops->peer(e.c[0]), IPC9_E_LOST);
			EQUAL(e.c[0]->ops->flush(e.c[0], SOON), IPC9_E_LOST);
			EQUAL(e.c[0]->ops->end(e.c[0]), IPC9_E_LOST);
			EQUAL(e.c[0]->ops->wait_closed(e.c[0], SOON), IPC9_E_LOST);
			e.c[0]->ops->close(e.c[0], 0);
		}
}

/* An end whose server has disconnected, when it is aborted. */
static void test_an_end_that_was_disconnected_is_lost_when_it_is_aborted(void)
{
	for (size_t way = 0; way < N_CARRIER_WAYS; way++) {
		struct ends e = carrier_make(way, IPC9_PIPE_TYPE_BYTE, QUOTA);
		char byte;

		e.c[0]->ops->disconnect(e.c[0]);
		EQUAL(get(e.c[1], &byte, 1, false, SOON), -IPC9_E_NOTCONN);
		e.c[1]->ops->abort(e.c[1]);
		EQUAL(get(e.c[1], &byte, 1, false, SOON), -IPC9_E_LOST);
		EQUAL(put(e.c[1], "x", 1), IPC9_E_LOST);
		shut(e.c[0]);
		shut(e.c[1]);
	}
}

SUITE(carrier_ends, TEST(test_what_is_under_way_at_both_ends_is_told_that_the_server_disconnected),
    TEST(test_what_is_under_way_at_both_ends_of_one_that_is_aborted_is_lost),
    TEST(test_an_end_that_was_aborted_stays_lost_when_the_other_one_closes),
    TEST(test_an_end_that_was_disconnected_is_lost_when_it_is_aborted));
