/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crash.c - one end of a conduit is killed at each numbered point of transport/crash.h, the other one goes on; or
 * both are held up at these points, for any time, and nobody may be forgotten.
 *
 *	crash [RUNS [ITERATIONS]]
 *
 * RUNS (3) times for each type, each role of who is killed, and each point, at a different passage of it.  Who is left
 * must see complete records in their order, then that the peer is lost (or its orderly end, where it got that
 * far), and never wait until its own deadline.  Then ITERATIONS (60000) calls and replies, and as many writes
 * of a stream, with random delays: no sleeper may find by itself what it should have been woken for.  Prints a line for what failed; the last line is
 * "crash: N passed, N failed, N skipped".  Exit 1 if something failed or a point was never met.
 */
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "transport/conduit_end.h"
#include "transport/crash.h"
#include "util/clock.h"

#define QUOTA 100000u
#define MESSAGES 120
#define PASSAGES 60
#define BYTES_MAX 60000u
#define DEADLINE_MS 20000

/* Of the process itself: it is in the middle of the library's work, which gives no context. */
static unsigned target, passages;
static uint64_t delays; /* the state of their random numbers; 0: there are none */

static uint64_t next_random(uint64_t *state);

/* Any time up to some microseconds, and rarely one in which others run. */
static void delay(void)
{
	uint64_t r = next_random(&delays);

	if (r % 512 == 0)
		usleep(50);
	else if (r % 32 == 0)
		sched_yield();
	else if (r % 4 == 0)
		for (volatile unsigned i = 0; i < (r >> 20) % 1000; i++)
			;
}

void crash_point(enum crash_number number)
{
	if (delays)
		delay();
	else if (number == target && passages && --passages == 0)
		kill(getpid(), SIGKILL);
}

static int64_t deadline(void)
{
	return clock_deadline_ms(DEADLINE_MS);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static unsigned char byte_at(uint64_t total)
{
	return (unsigned char)((total * 0x9e3779b97f4a7c15u) >> 56);
}

/* Now and then, so that the other side comes to wait. */
static void dawdle(uint64_t *random)
{
	if (next_random(random) % 16 == 0)
		usleep(300);
}

/* Numbered messages, or a stream; each ends in its own way. */
static int produce(struct conduit *c, uint64_t seed)
{
	static unsigned char data[BYTES_MAX];
	uint64_t random = seed, total = 0;
	int r = 0;

	for (uint32_t i = 0; i < MESSAGES && !r; i++) {
		size_t size = 4 + (size_t)next_random(&random) % (BYTES_MAX - 4), n;
		struct iovec piece = { data, size };

		for (size_t j = 0; j < size; j++)
			data[j] = byte_at(total + j);
		dawdle(&random);
		if (conduit_type(c) == RING_BYTES) {
			r = conduit_write(c, data, size, deadline(), &n);
			total += size;
		} else {
			memset(data, (int)i, size);
			memcpy(data, &i, sizeof(i));
			r = conduit_send(c, &piece, 1, deadline());
		}
		if (!r)
			r = i % 16 == 15 ? conduit_flush(c, deadline())
					 : conduit_wait_quota(c, deadline());
	}
	if (!r)
		conduit_end(c);
	/* Until the other one has seen it. */
	return r ? r : conduit_wait_closed(c, deadline());
}

static bool is_message(const unsigned char *data, size_t size, uint32_t number)
{
	if (size < sizeof(number) || memcmp(data, &number, sizeof(number)) != 0)
		return false;
	for (size_t i = sizeof(number); i < size; i++)
		if (data[i] != (unsigned char)number)
			return false;
	return true;
}

/* What ended it; -1: something came that was never written. */
static int consume(struct conduit *c, uint64_t seed)
{
	static unsigned char data[BYTES_MAX];
	uint64_t random = seed, total = 0;
	uint32_t number = 0;
	bool more;
	size_t n;
	int r;

	for (;;) {
		dawdle(&random);
		if (conduit_type(c) == RING_MESSAGES) {
			r = conduit_read_message(c, data, sizeof(data), deadline(), &n, &more);
			if (!r && (more || !is_message(data, n, number++)))
				return -1;
		} else {
			r = conduit_read(c, data, 1 + next_random(&random) % sizeof(data),
			    deadline(), &n);
			for (size_t i = 0; !r && i < n; i++)
				if (data[i] != byte_at(total++))
					return -1;
		}
		if (r)
			break;
	}
	if (r == CONDUIT_EOF && conduit_type(c) == RING_MESSAGES && number != MESSAGES)
		return -1;
	return r;
}

struct result {
	bool good, met;
};

/* One killing, at the n-th passage of a point. */
static struct result run(enum ring_type type, bool kill_producer, unsigned point, unsigned n)
{
	int memory, sockets[2], status, r;
	struct conduit *c;
	bool met;
	pid_t pid;

	if (conduit_create(type, QUOTA, &memory, sockets))
		return (struct result){ false, false };
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(sockets[0]);
		if (conduit_open(memory, sockets[1], CONDUIT_SECOND, type, QUOTA, &c))
			_exit(1);
		target = point;
		passages = n;
		r = kill_producer ? produce(c, n + 77) : consume(c, n + 77);
		conduit_close(c);
		_exit(r == CONDUIT_EOF ? 0 : 1);
	}
	close(sockets[1]);
	if (conduit_open(memory, sockets[0], CONDUIT_FIRST, type, QUOTA, &c))
		return (struct result){ false, false };
	r = kill_producer ? consume(c, n) : produce(c, n);
	conduit_close(c);
	waitpid(pid, &status, 0);
	met = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	/* It may have been killed when it had told its end already. */
	if (met)
		return (struct result){
			r == CONDUIT_LOST || r == CONDUIT_EOF || r == CONDUIT_PEERCLOSED, true
		};
	return (struct result){ r == CONDUIT_EOF && status == 0, false };
}

/* --- Delays ------------------------------------------------------------------------------------ */

/* Spins or sleeps by chance, so that both meet all that the peer does. */
static void shake(struct conduit *c)
{
	c->in.spin.budget = next_random(&delays) % 4 ? 0 : SPIN_LOOKS;
	c->out.spin.budget = next_random(&delays) % 4 ? 0 : SPIN_LOOKS;
	delay();
}

static bool nobody_was_forgotten(struct conduit *c)
{
	struct conduit_counters counters;

	conduit_count(c, &counters);
	if (counters.forgotten)
		printf("FAIL %ju of %ju sleeps were forgotten\n", (uintmax_t)counters.forgotten,
		    (uintmax_t)counters.sleeps);
	return !counters.forgotten;
}

static bool answer_calls(struct conduit *c)
{
	uint64_t number;
	struct iovec piece = { &number, sizeof(number) };
	bool more;
	size_t n;
	int r;

	while (!(r = conduit_read_message(c, &number, sizeof(number), deadline(), &n, &more))) {
		shake(c);
		r = conduit_send(c, &piece, 1, deadline());
		if (r)
			break;
	}
	return r == CONDUIT_EOF;
}

static bool make_calls(struct conduit *c, uint64_t n_calls)
{
	uint64_t number, got;
	struct iovec piece = { &number, sizeof(number) };
	bool more;
	size_t n;

	for (number = 0; number < n_calls; number++) {
		shake(c);
		if (conduit_send(c, &piece, 1, deadline()) ||
		    (number % 64 == 0 && conduit_flush(c, deadline())) ||
		    conduit_read_message(c, &got, sizeof(got), deadline(), &n, &more) ||
		    got != number)
			return false;
	}
	conduit_end(c);
	return true;
}

static bool read_all(struct conduit *c)
{
	static unsigned char buffer[70000];
	size_t n;
	int r;

	do {
		shake(c);
		r = conduit_read(c, buffer, 1 + next_random(&delays) % sizeof(buffer), deadline(),
		    &n);
	} while (!r);
	return r == CONDUIT_EOF;
}

static bool write_much(struct conduit *c, uint64_t n_writes)
{
	static unsigned char buffer[70000];
	size_t n;

	for (uint64_t i = 0; i < n_writes; i++) {
		shake(c);
		if (conduit_write(c, buffer, 1 + next_random(&delays) % sizeof(buffer), deadline(),
			&n) ||
		    (i % 4 == 0 && conduit_wait_quota(c, deadline())))
			return false;
	}
	conduit_end(c);
	return true;
}

static bool run_delays(enum ring_type type, uint64_t iterations)
{
	int memory, sockets[2], status = 1;
	struct conduit *c;
	bool good;
	pid_t pid;

	if (conduit_create(type, 20000, &memory, sockets))
		return false;
	fflush(stdout);
	pid = fork();
	delays = pid ? 88172645463325252u : 2463534242u;
	if (conduit_open(memory, sockets[pid == 0], pid ? CONDUIT_FIRST : CONDUIT_SECOND, type,
		20000, &c))
		return false;
	close(sockets[pid != 0]);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		good = type == RING_MESSAGES ? answer_calls(c) : read_all(c);
		good &= nobody_was_forgotten(c);
		fflush(stdout);
		_exit(!good);
	}
	good = type == RING_MESSAGES ? make_calls(c, iterations) : write_much(c, iterations);
	good &= nobody_was_forgotten(c);
	waitpid(pid, &status, 0);
	conduit_close(c);
	delays = 0;
	if (status)
		printf("FAIL the other end of %s did not come to its end\n",
		    type == RING_MESSAGES ? "calls" : "a stream");
	return good && !status;
}

#define SHORT_STREAMS 100

/* Streams of a byte and an end: whoever sees the end has seen the byte. */
static bool run_ends(void)
{
	int memory[SHORT_STREAMS], sockets[SHORT_STREAMS][2], status = 1, wrong = 0;
	struct conduit *c;
	char byte = 'x';
	pid_t pid;
	size_t n;

	for (int i = 0; i < SHORT_STREAMS; i++)
		if (conduit_create(RING_BYTES, QUOTA, &memory[i], sockets[i]))
			return false;
	fflush(stdout);
	pid = fork();
	delays = pid ? 88172645463325252u : 2463534242u;
	for (int i = 0; i < SHORT_STREAMS; i++) {
		close(sockets[i][pid != 0]);
		if (conduit_open(memory[i], sockets[i][pid == 0],
			pid ? CONDUIT_FIRST : CONDUIT_SECOND, RING_BYTES, QUOTA, &c))
			_exit(1);
		shake(c);
		if (!pid) {
			conduit_write(c, &byte, 1, deadline(), &n);
			conduit_end(c);
			conduit_wait_closed(c, deadline());
		} else {
			wrong += conduit_read(c, &byte, 1, deadline(), &n) != 0 ||
			    conduit_read(c, &byte, 1, deadline(), &n) != CONDUIT_EOF;
		}
		conduit_close(c);
	}
	if (!pid)
		_exit(0);
	waitpid(pid, &status, 0);
	delays = 0;
	if (wrong)
		printf("FAIL %d of %d streams ended before their end\n", wrong, SHORT_STREAMS);
	return !wrong && !status;
}

int main(int argc, char **argv)
{
	unsigned runs = argc > 1 ? (unsigned)atoi(argv[1]) : 3, passed = 0, failed = 0;
	unsigned met[CRASH_POINTS] = { 0 };
	uint64_t random = 42, iterations = argc > 2 ? strtoull(argv[2], NULL, 10) : 60000;

	for (unsigned kind = 0; runs && kind < 4 * CRASH_POINTS; kind++) {
		enum ring_type type = kind % 2 ? RING_MESSAGES : RING_BYTES;
		bool kill_producer = kind / 2 % 2, good = true;
		unsigned point = kind / 4;

		for (unsigned i = 0; i < runs && good; i++) {
			/* The first passage, and any. */
			unsigned n = i ? 1 + (unsigned)(next_random(&random) % PASSAGES) : 1;
			struct result r = run(type, kill_producer, point, n);

			met[point] += r.met;
			good = r.good;
			if (!good)
				printf("FAIL %s, %s killed at point %u, passage %u\n",
				    type == RING_BYTES ? "bytes" : "messages",
				    kill_producer ? "producer" : "consumer", point, n);
		}
		passed += good;
		failed += !good;
	}
	for (unsigned i = 0; i < CRASH_POINTS; i++)
		if (runs && !met[i]) {
			printf("FAIL nobody was killed at point %u\n", i);
			failed++;
		}
	for (int type = RING_BYTES; type <= RING_MESSAGES; type++) {
		bool good = run_delays(type, iterations);

		passed += good;
		failed += !good;
	}
	if (run_ends())
		passed++;
	else
		failed++;
	printf("crash: %u passed, %u failed, 0 skipped\n", passed, failed);
	return failed != 0;
}
