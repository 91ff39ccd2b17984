/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pipe_start_stress.c - started operations in event loops at both ends of a pipe, beside threads that read and write in the
 * ordinary way, while everything is cancelled now and then; by every way in which a client can reach a pipe.
 *
 * The client's loop writes and the server's loop reads; a thread beside each of them does the other.  Messages have
 * numbers.  One that was cancelled and written counts as written, so what arrives are exactly those that count, in
 * order.  What never ends by itself is seen by the loops, whose descriptor has to say something within a long time.
 */
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/pipes.h"
#include "util/clock.h"

enum {
	N_MESSAGES = 300, /* of a round and direction */
	N_STARTED = 4,
	QUOTA = 3000,
	MESSAGE_MAX = 6000,
	SILENCE_MS = 20000,
};

/* What arrives at one end: which numbers count as written over there is known when both have ended. */
struct direction {
	uint32_t written[N_MESSAGES], n_written;
	uint32_t read[N_MESSAGES], n_read;
};

struct end {
	struct ipc9_pipe *pipe, *other;
	struct direction *out, *in;
	unsigned seed, seed_beside;
	bool disconnects; /* in the middle, by the thread beside the loop */
	const char *_Atomic wrong;
};

static unsigned below(unsigned *seed, unsigned n)
{
	*seed = *seed * 1103515245 + 12345;
	return (*seed >> 8) % n;
}

static void *go_wrong(struct end *s, const char *what)
{
	s->wrong = what;
	/* Nobody is to wait for this end any more. */
	ipc9_pipe_abort(s->pipe);
	return NULL;
}

static size_t make_message(unsigned *seed, uint32_t number, unsigned char *message)
{
	size_t size = sizeof(number) + below(seed, below(seed, 4) ? 100 : MESSAGE_MAX - 4);

	memset(message, (int)(number * 7 % 251), size);
	memcpy(message, &number, sizeof(number));
	return size;
}

static bool take_message(struct direction *d, const unsigned char *message, size_t size)
{
	uint32_t number;

	if (size < sizeof(number) || d->n_read == N_MESSAGES)
		return false;
	memcpy(&number, message, sizeof(number));
	for (size_t i = sizeof(number); i < size; i++)
		if (message[i] != number * 7 % 251)
			return false;
	d->read[d->n_read++] = number;
	return true;
}

/* Now and then, what is under way at either end. */
static void meddle(struct end *s, unsigned *seed)
{
	if (!below(seed, 64))
		ipc9_pipe_cancel(s->pipe);
	if (!below(seed, 64))
		ipc9_pipe_cancel(s->other);
}

/* The other end was disconnected, or this one. */
static bool is_over(int code)
{
	return code == IPC9_E_EOF || code == IPC9_E_NOTCONN || code == IPC9_E_PEERCLOSED ||
	    code == IPC9_E_LOST;
}

/* --- Loops ------------------------------------------------------------------------------------- */

struct started {
	struct ipc9_pipe_op *op;
	unsigned char message[MESSAGE_MAX];
	size_t size;
	uint32_t number;
};

/* Which one is finished next: any of them, as programs do. */
static int finish(unsigned *seed, struct ipc9_pipe_op *op, struct ipc9_pipe_result *ret)
{
	int r = ipc9_pipe_finish(op, below(seed, 8) ? 0 : 2, ret, NULL);

	return r == IPC9_E_TIMEDOUT ? IPC9_E_PENDING : r;
}

static bool wait_for_news(struct ipc9_pipe *pipe)
{
	struct pollfd p = { .fd = ipc9_pipe_fd(pipe), .events = POLLIN };

	return poll(&p, 1, SILENCE_MS) == 1;
}

/* The next k, from a place on: one after the other, or together. */
static bool start_writes(struct end *s, struct started *ops, unsigned first, unsigned k,
    uint32_t *next)
{
	bool together = below(&s->seed, 2);
	struct ipc9_pipe_op *started[N_STARTED];
	struct iovec data[N_STARTED];
	int r = 0;

	for (unsigned i = 0; i < k && !r; i++) {
		struct started *o = &ops[(first + i) % N_STARTED];

		o->number = (*next)++;
		o->size = make_message(&s->seed, o->number, o->message);
		data[i] = (struct iovec){ o->message, o->size };
		if (!together)
			r = ipc9_pipe_start_write(s->pipe, o->message, o->size, &started[i], NULL);
	}
	if (together)
		r = ipc9_pipe_start_writes(s->pipe, data, k, started, NULL);
	for (unsigned i = 0; i < k && !r; i++) {
		ops[(first + i) % N_STARTED].op = started[i];
		if (!below(&s->seed, 16))
			ipc9_pipe_op_cancel(started[i]);
	}
	return !r;
}

/* Writes are finished in their order, since they count in it. */
static void *write_in_a_loop(void *arg)
{
	struct end *s = arg;
	static _Thread_local struct started ops[N_STARTED];
	struct ipc9_pipe_result result;
	unsigned first = 0, n = 0;
	uint32_t next = 0;
	int r = 0;

	while (n || (next < N_MESSAGES && !is_over(r))) {
		while (n < N_STARTED && next < N_MESSAGES && !is_over(r)) {
			unsigned k = 1 + below(&s->seed, N_STARTED - n);

			if (k > N_MESSAGES - next)
				k = N_MESSAGES - next;
			if (!start_writes(s, ops, first + n, k, &next))
				return go_wrong(s, "a write was not started");
			n += k;
		}
		meddle(s, &s->seed);
		if (below(&s->seed, 4) && !wait_for_news(s->pipe))
			return go_wrong(s, "the descriptor of a loop that writes is silent");
		while (n) {
			struct started *o = &ops[first];

			r = finish(&s->seed, o->op, &result);
			if (r == IPC9_E_PENDING)
				break;
			if (r && r != IPC9_E_CANCELLED && !is_over(r))
				return go_wrong(s, "a started write failed");
			if (result.size_bytes == o->size)
				s->out->written[s->out->n_written++] = o->number;
			first = (first + 1) % N_STARTED;
			n--;
		}
	}
	r = ipc9_pipe_end(s->pipe, NULL);
	return r && !is_over(r) ? go_wrong(s, "a loop's writing was not ended") : NULL;
}

static void *read_in_a_loop(void *arg)
{
	struct end *s = arg;
	static _Thread_local struct started ops[N_STARTED];
	struct ipc9_pipe_result result;
	unsigned first = 0, n = 0;
	bool over = false;
	int r;

	while (n || !over) {
		while (n < N_STARTED && !over) {
			struct started *o = &ops[(first + n++) % N_STARTED];

			if (ipc9_pipe_start_read(s->pipe, o->message, MESSAGE_MAX, &o->op, NULL))
				return go_wrong(s, "a read was not started");
			if (!below(&s->seed, 16))
				ipc9_pipe_op_cancel(o->op);
		}
		meddle(s, &s->seed);
		if (below(&s->seed, 4) && !wait_for_news(s->pipe))
			return go_wrong(s, "the descriptor of a loop that reads is silent");
		while (n) {
			r = finish(&s->seed, ops[first].op, &result);
			if (r == IPC9_E_PENDING)
				break;
			if (r && r != IPC9_E_CANCELLED && !is_over(r))
				return go_wrong(s, "a started read failed");
			if (!r && !take_message(s->in, ops[first].message, result.size_bytes))
				return go_wrong(s, "a started read is not what was written");
			over |= is_over(r);
			first = (first + 1) % N_STARTED;
			n--;
		}
	}
	return NULL;
}

/* --- Beside them ------------------------------------------------------------------------------- */

static void *read_beside(void *arg)
{
	struct end *s = arg;
	unsigned char message[MESSAGE_MAX];
	size_t size;
	bool more;
	int r;

	do {
		r = ipc9_pipe_read_message(s->pipe, message, sizeof(message), IPC9_FOREVER, &size,
		    &more, NULL);
		if (!r && !take_message(s->in, message, size))
			return go_wrong(s, "what was read is not what was written");
	} while (!r || r == IPC9_E_CANCELLED);
	return is_over(r) ? NULL : go_wrong(s, "a read failed");
}

static void *write_beside(void *arg)
{
	struct end *s = arg;
	uint32_t stop = s->disconnects ? below(&s->seed_beside, N_MESSAGES) : N_MESSAGES;
	unsigned char message[MESSAGE_MAX];
	int r = 0;

	for (uint32_t i = 0; i < stop && !is_over(r); i++) {
		size_t size = make_message(&s->seed_beside, i, message), n;

		r = ipc9_pipe_write(s->pipe, message, size, IPC9_FOREVER, &n, NULL);
		if (r && r != IPC9_E_CANCELLED && !is_over(r))
			return go_wrong(s, "a write failed");
		if (n == size)
			s->out->written[s->out->n_written++] = i;
		meddle(s, &s->seed_beside);
	}
	r = s->disconnects ? ipc9_pipe_disconnect(s->pipe, NULL) : ipc9_pipe_end(s->pipe, NULL);
	return r && !is_over(r) ? go_wrong(s, "a thread's writing was not ended") : NULL;
}

/* --- Rounds ------------------------------------------------------------------------------------ */

static void check_direction(const struct direction *d, bool all)
{
	HOLDS(d->n_read <= d->n_written);
	if (all)
		HOLDS(d->n_written > N_MESSAGES / 4 && d->n_read == d->n_written);
	SAME_BYTES(d->read, sizeof(uint32_t) * d->n_read, d->written,
	    sizeof(uint32_t) * (d->n_read < d->n_written ? d->n_read : d->n_written));
}

static void run(struct pipe_world *w, unsigned seed, bool disconnects)
{
	static const struct ipc9_pipe_options options = { .type = IPC9_PIPE_TYPE_MESSAGE,
		.quota_bytes = QUOTA };
	struct direction *ways = calloc(2, sizeof(*ways));
	struct end client = { .out = &ways[0], .in = &ways[1], .seed = seed },
		   server = { .out = &ways[1], .in = &ways[0], .seed = seed + 1 };
	void *(*const work[])(void *) = { write_in_a_loop, read_beside, read_in_a_loop,
		write_beside };
	pthread_t threads[4];

	pipe_world_connect(w, &options);
	EQUAL(ipc9_pipe_set_mode(w->client, IPC9_PIPE_MODE_MESSAGES, &w->error), 0);
	EQUAL(ipc9_pipe_set_mode(w->server, IPC9_PIPE_MODE_MESSAGES, &w->error), 0);
	client.pipe = server.other = w->client;
	server.pipe = client.other = w->server;
	client.seed_beside = seed + 2;
	server.seed_beside = seed + 3;
	server.disconnects = disconnects;
	HOLDS(ipc9_pipe_fd(w->client) >= 0 && ipc9_pipe_fd(w->server) >= 0);
	for (int i = 0; i < 4; i++)
		EQUAL(pthread_create(&threads[i], NULL, work[i], i < 2 ? &client : &server), 0);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	SAME_TEXT(client.wrong ? client.wrong : "", "");
	SAME_TEXT(server.wrong ? server.wrong : "", "");
	for (int i = 0; i < 2; i++)
		check_direction(&ways[i], !disconnects);
	pipe_world_close(w);
	free(ways);
}

/* IPC9_STRESS_SEED is for one that has failed, IPC9_STRESS_ROUNDS for more of them. */
static unsigned from_environment(const char *name, unsigned otherwise)
{
	const char *value = getenv(name);

	return value ? (unsigned)strtoul(value, NULL, 0) : otherwise;
}

static void stress(bool disconnects)
{
	unsigned seed = from_environment("IPC9_STRESS_SEED", (unsigned)clock_now());
	unsigned rounds = from_environment("IPC9_STRESS_ROUNDS", 4);

	printf("started operations at random: IPC9_STRESS_SEED=%u\n", seed);
	for (const struct pipe_maker *m = pipe_makers; m->name; m++) {
		struct pipe_world w;

		pipe_world_begin(&w, m);
		for (unsigned i = 0; i < rounds; i++)
			run(&w, seed + i * 1000003, disconnects);
		pipe_world_end(&w);
	}
}

static void test_loops_and_threads_at_both_ends_lose_nothing_while_all_is_cancelled(void)
{
	stress(false);
}

static void test_loops_and_threads_at_both_ends_end_when_one_disconnects(void)
{
	stress(true);
}

SUITE(pipe_start_stress,
    TEST(test_loops_and_threads_at_both_ends_lose_nothing_while_all_is_cancelled),
    TEST(test_loops_and_threads_at_both_ends_end_when_one_disconnects));
