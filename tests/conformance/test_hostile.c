/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_hostile.c - peers that stall, trickle, claim, or do not read, over every stream transport: each is
 * stopped at its bound, and a well-behaved client beside them never waits.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/engine.h"
#include "tests/harness.h"
#include "util/clock.h"

#define RECORD_MS 400
#define UNREAD_MS 600
#define UNREAD_BYTES 262144

static const struct server_limits limits = {
	.record_ms = RECORD_MS,
	.unread_ms = UNREAD_MS,
	.unread_bytes = UNREAD_BYTES,
	.record_bytes = 1056768,
};

static void on_every_transport(void (*run)(struct engine *, enum engine_transport))
{
	for (enum engine_transport t = 0; t < ENGINE_TRANSPORTS; t++) {
		struct engine *e = engine_start(&limits);
		int fd = engine_connect(e, t);

		if (fd >= 0) {
			close(fd);
			run(e, t);
		}
		engine_stop(e);
	}
}

/* A victim makes NULL calls for a while; the longest one in ms. */
static int64_t victim_for(struct engine *e, enum engine_transport t, unsigned ms)
{
	int64_t until = clock_deadline_ms(ms), worst = 0;
	const struct timespec pause = { 0, 5000000 };
	int fd = engine_connect(e, t);

	for (uint32_t i = 0; clock_now() < until; i++) {
		int64_t begin = clock_now();

		if (!HOLDS(raw_null_answers(fd, i)))
			break;
		if (clock_now() - begin > worst)
			worst = clock_now() - begin;
		nanosleep(&pause, NULL);
	}
	close(fd);
	return worst / NS_PER_MS;
}

/* --- Stalled and slow records ------------------------------------------------------------------ */

enum {
	PEERS = 100
};

static void half_records(struct engine *e, enum engine_transport t)
{
	static const unsigned char part[] = { 0x80, 0, 1, 0, 1, 2, 3, 4 };
	int fds[PEERS];

	for (int i = 0; i < PEERS; i++) {
		fds[i] = engine_connect(e, t);
		HOLDS(raw_send(fds[i], part,
		    i % 2 ? sizeof(part) : 2)); /* half of them: half a mark */
	}
	HOLDS(victim_for(e, t, RECORD_MS / 2) < 1000);
	for (int i = 0; i < PEERS; i++) {
		HOLDS(raw_is_closed(fds[i], 5000));
		close(fds[i]);
	}
	EQUAL(engine_stats(e).closed_slow_record, PEERS);
}

static void test_half_records_stop_nobody_and_are_closed_in_time(void)
{
	on_every_transport(half_records);
}

static void trickle(struct engine *e, enum engine_transport t)
{
	const struct timespec pause = { 0, 20000000 };
	struct raw mark = { .size = 0 };
	int fd = engine_connect(e, t);
	int64_t begin = clock_now();
	unsigned sent = 0;

	raw_word(&mark, 0x80000000u | 6000);
	HOLDS(raw_send(fd, mark.data, mark.size));
	while (send(fd, "x", 1, MSG_NOSIGNAL) == 1 && clock_now() - begin < 10 * NS_PER_S) {
		sent++;
		nanosleep(&pause, NULL);
	}
	/* 400 ms, and what 6000 bytes take at 32 KiB/s; a deadline for each byte would never pass. */
	HOLDS(clock_now() - begin < 3 * NS_PER_S);
	HOLDS(sent > 5);
	EQUAL(engine_stats(e).closed_slow_record, 1);
	close(fd);
}

static void test_a_trickle_is_closed_by_the_deadline_of_the_whole_record(void)
{
	on_every_transport(trickle);
}

static void in_pieces(struct engine *e, enum engine_transport t)
{
	enum {
		SIZE = 1000000,
		PIECE = 30011
	};
	static unsigned char payload[SIZE + 4], got[SIZE + 32];
	const struct timespec pause = { 0, 2000000 };
	struct raw head = raw_call(9, ENGINE_ECHO, NULL), mark = { .size = 0 };
	int fd = engine_connect(e, t);
	size_t n = 0;

	for (size_t i = 0; i < SIZE; i++)
		payload[i] = (unsigned char)(i * 7 + i / 250);
	raw_word(&head, SIZE);
	raw_word(&mark, 0x80000000u | (uint32_t)(head.size + SIZE));
	HOLDS(raw_send(fd, mark.data, 4) && raw_send(fd, head.data, head.size));
	for (size_t i = 0; i < SIZE; i += PIECE) {
		HOLDS(raw_send(fd, payload + i, SIZE - i < PIECE ? SIZE - i : PIECE));
		nanosleep(&pause, NULL); /* so that it is received in pieces, too */
	}
	while (n < SIZE + 32) {
		ssize_t part = recv(fd, got + n, SIZE + 32 - n, 0);

		if (!HOLDS(part > 0))
			break;
		n += (size_t)part;
	}
	SAME_BYTES(got + 32, n - 32, payload, SIZE);
	HOLDS(raw_null_answers(fd, 10));
	close(fd);
}

static void test_a_large_record_may_come_in_small_pieces(void)
{
	on_every_transport(in_pieces);
}

/* --- Claims ------------------------------------------------------------------------------------ */

static long resident_kib(void)
{
	char line[128];
	long kib = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %ld", &kib) == 1)
			break;
	if (f)
		fclose(f);
	return kib;
}

static void claims(struct engine *e, enum engine_transport t)
{
	static const uint32_t marks[] = { 0xffffffffu, 0x7fffffffu, 0x80000000u | 1056769, 1056769,
		0x80000000u | 0x7ffffff0 };
	size_t n = sizeof(marks) / sizeof(marks[0]);

	for (size_t i = 0; i < n; i++) {
		struct raw mark = { .size = 0 };
		int fd = engine_connect(e, t);

		raw_word(&mark, marks[i]);
		HOLDS(raw_send(fd, mark.data, mark.size));
		HOLDS(raw_is_closed(fd, RECORD_MS / 2)); /* at once, not by the deadline */
		close(fd);
	}
	EQUAL(engine_stats(e).closed_oversize, n);
}

static void test_a_claim_over_the_limit_is_closed_at_once(void)
{
	on_every_transport(claims);
}

static void sum_of_fragments(struct engine *e, enum engine_transport t)
{
	static unsigned char fragment[262144 + 4];
	int fd = engine_connect(e, t);
	struct raw mark = { .size = 0 };
	bool open = true;

	raw_word(&mark, 262144);
	memcpy(fragment, mark.data, 4);
	for (int i = 0; i < 5 && open; i++)
		open = raw_send(fd, fragment, sizeof(fragment));
	HOLDS(raw_is_closed(fd, RECORD_MS / 2));
	EQUAL(engine_stats(e).closed_oversize, 1);
	close(fd);
}

static void test_the_limit_holds_for_the_sum_of_all_fragments(void)
{
	on_every_transport(sum_of_fragments);
}

static void claimed_memory(struct engine *e, enum engine_transport t)
{
	int fds[PEERS];
	long before;
	struct raw mark = { .size = 0 };

	for (int i = 0; i < PEERS; i++)
		fds[i] = engine_connect(e, t);
	before = resident_kib();
	raw_word(&mark, 0x80000000u | 1056768);
	for (int i = 0; i < PEERS; i++)
		HOLDS(raw_send(fds[i], mark.data, 4) && raw_send(fds[i], "begin", 5));
	HOLDS(victim_for(e, t, 100) < 1000);
	/* 100 claims of 1 MiB: what came is 9 bytes each. */
	if (resident_kib() - before > 16384)
		EQUAL(resident_kib() - before, 0);
	for (int i = 0; i < PEERS; i++)
		close(fds[i]);
}

static void test_claimed_bytes_cost_no_memory_before_they_come(void)
{
	on_every_transport(claimed_memory);
}

/* --- Peers that do not read -------------------------------------------------------------------- */

static void never_reads(struct engine *e, enum engine_transport t)
{
	const uint32_t size = 65536;
	struct raw call = raw_call(1, ENGINE_LARGE, &size), record = { .size = 0 };
	const struct timespec pause = { 0, 5000000 };
	int64_t until = clock_deadline_ms(20000);
	int fd = engine_connect(e, t);
	uint64_t calls;

	raw_word(&record, 0x80000000u | (uint32_t)call.size);
	memcpy(record.data + 4, call.data, call.size);
	record.size = 4 + call.size;
	/* Sends for as long as anybody takes it, without ever reading. */
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (engine_stats(e).closed_unread == 0 && clock_now() < until)
		if (send(fd, record.data, record.size, MSG_NOSIGNAL) < 0)
			nanosleep(&pause, NULL);
	EQUAL(engine_stats(e).closed_unread, 1);
	/* What was answered before we stopped: the bound and one more, and what the sockets took; 64 KiB each. */
	calls = engine_stats(e).calls;
	HOLDS(calls < UNREAD_BYTES / 65536 + 2 + 256);
	HOLDS(victim_for(e, t, 100) < 1000);
	close(fd);
}

static void test_a_peer_that_never_reads_is_closed_alone(void)
{
	on_every_transport(never_reads);
}

static void too_many_calls(struct engine *e, enum engine_transport t)
{
	const uint32_t ms = 1;
	struct raw call = raw_call(1, ENGINE_KEEP, &ms), record = { .size = 0 };
	const struct timespec pause = { 0, 1000000 };
	int64_t until = clock_deadline_ms(300);
	int fd = engine_connect(e, t);

	raw_word(&record, 0x80000000u | (uint32_t)call.size);
	memcpy(record.data + 4, call.data, call.size);
	record.size = 4 + call.size;
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (clock_now() < until)
		if (send(fd, record.data, record.size, MSG_NOSIGNAL) < 0)
			nanosleep(&pause, NULL);
	EQUAL(engine_stats(e).calls, 64);
	HOLDS(victim_for(e, t, 100) < 1000);
	close(fd);
}

static void test_calls_under_way_are_bounded_for_each_connection(void)
{
	on_every_transport(too_many_calls);
}

static void greedy(struct engine *e, enum engine_transport t)
{
	struct raw call = raw_call(1, ENGINE_NULL, NULL), record = { .size = 0 };
	static unsigned char batch[48 * 1000], sink[65536];
	int fd = engine_connect(e, t);
	int64_t until = clock_deadline_ms(300), worst = 0;
	int victim = engine_connect(e, t);
	size_t n = 0;

	raw_word(&record, 0x80000000u | (uint32_t)call.size);
	memcpy(record.data + 4, call.data, call.size);
	for (int i = 0; i < 1000; i++, n += call.size + 4)
		memcpy(batch + n, record.data, call.size + 4);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	for (uint32_t i = 0; clock_now() < until; i++) {
		int64_t begin;

		(void)!send(fd, batch, n, MSG_NOSIGNAL);
		begin = clock_now();
		if (!HOLDS(raw_null_answers(victim, i)))
			break;
		if (clock_now() - begin > worst)
			worst = clock_now() - begin;
		while (recv(fd, sink, sizeof(sink), 0) > 0)
			;
	}
	HOLDS(worst < NS_PER_S);
	close(fd);
	close(victim);
}

static void test_a_greedy_pipeliner_does_not_starve_others(void)
{
	on_every_transport(greedy);
}

SUITE(hostile, TEST(test_half_records_stop_nobody_and_are_closed_in_time),
    TEST(test_a_trickle_is_closed_by_the_deadline_of_the_whole_record),
    TEST(test_a_large_record_may_come_in_small_pieces),
    TEST(test_a_claim_over_the_limit_is_closed_at_once),
    TEST(test_the_limit_holds_for_the_sum_of_all_fragments),
    TEST(test_claimed_bytes_cost_no_memory_before_they_come),
    TEST(test_a_peer_that_never_reads_is_closed_alone),
    TEST(test_calls_under_way_are_bounded_for_each_connection),
    TEST(test_a_greedy_pipeliner_does_not_starve_others));
