/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_carrier_quota.c - what carriers take while nobody reads: that it arrives, and how much of it there can be; every test over
 * every carrier.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/carrier.h"
#include "tests/harness.h"
#include "util/clock.h"

/* So that no two places look alike, nor frames, nor pieces. */
static unsigned char pattern(uint64_t at)
{
	return (unsigned char)(at * 167 + (at >> 8) * 13 + (at >> 16));
}

/* Reads to the end; how many bytes were as they should be. */
static uint64_t count_bytes(struct carrier *c)
{
	unsigned char data[10000];
	uint64_t at = 0;
	bool good = true;
	int n;

	while (good && (n = get(c, data, sizeof(data), false, SOON)) > 0)
		for (int i = 0; i < n; i++, at++)
			good = good && data[i] == pattern(at);
	return good ? at : 0;
}

/* As large as the quota and larger; some of it finds no room in a socket. */
static void test_a_message_that_was_taken_can_be_read_without_another_call(void)
{
	enum {
		SIZE = 1000001
	};
	static const struct {
		enum carrier_write how;
		int wait_ms;
		uint32_t quota;
		int result;
	} writes[] = { { CARRIER_FITTING, 0, 1048576, 0 }, { CARRIER_WHOLE, 20, 1048576, 0 },
		{ CARRIER_WHOLE, 20, 65536, IPC9_E_TIMEDOUT }, { CARRIER_QUEUED, 20, 65536, 0 } };
	unsigned char *data = malloc(SIZE), *buffer = malloc(SIZE);

	for (size_t i = 0; i < SIZE; i++)
		data[i] = pattern(i);
	for (size_t w = 0; w < N_CARRIER_WAYS; w++)
		for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++) {
			struct ends e = carrier_make(w, IPC9_PIPE_TYPE_MESSAGE, writes[i].quota);
			size_t n = 0;

			/* Twice, as the end is treated otherwise that was left alone before. */
			for (int round = 0; round < 2; round++) {
				EQUAL(e.c[0]->ops->write(e.c[0], data, SIZE, writes[i].how,
					  clock_deadline_ms(writes[i].wait_ms), &n),
				    writes[i].result);
				EQUAL(n, SIZE);
				memset(buffer, 0, SIZE);
				EQUAL(get(e.c[1], buffer, SIZE, true, SOON), SIZE);
				EQUAL(memcmp(buffer, data, SIZE), 0);
			}
			EQUAL(e.c[0]->ops->flush(e.c[0], SOON), 0);
			shut(e.c[0]);
			shut(e.c[1]);
		}
	free(data);
	free(buffer);
}

/* Whether so many messages of that length follow each other, and then nothing. */
static bool are_there(struct carrier *c, size_t n, int size)
{
	char got[8];
	size_t i = 0;

	while (i < n && get(c, got, sizeof(got), true, SOON) == size)
		i++;
	return EQUAL(i, n) && EQUAL(get(c, got, sizeof(got), true, 0), -IPC9_E_TIMEDOUT);
}

static void test_short_messages_within_the_quota_find_room_while_nobody_reads(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++)
		for (size_t size = 0; size < 4; size++)
			for (int waits = 0; waits < 2; waits++) {
				struct ends e = carrier_make(w, IPC9_PIPE_TYPE_MESSAGE, 65536);
				size_t n = size, count = 0;

				while (count < CARRIER_MESSAGES && n == size &&
				    !e.c[0]->ops->write(e.c[0], "abc", size,
					waits ? CARRIER_WHOLE : CARRIER_FITTING, waits ? SOON : 0,
					&n))
					count++;
				EQUAL(count, CARRIER_MESSAGES);
				are_there(e.c[1], count, (int)size);
				shut(e.c[0]);
				shut(e.c[1]);
			}
}

static void test_more_messages_than_find_room_wait_or_are_not_taken(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++)
		for (size_t size = 0; size < 2; size++) {
			struct ends e = carrier_make(w, IPC9_PIPE_TYPE_MESSAGE, 4194304);
			size_t n = 0, count = 0;
			int r;

			while (!(r = e.c[0]->ops->write(e.c[0], "x", size, CARRIER_FITTING, 0, &n)))
				count++;
			EQUAL(r, size ? IPC9_E_WOULDBLOCK : IPC9_E_QUOTA);
			EQUAL(n, 0);
			HOLDS(count > CARRIER_MESSAGES);
			r = e.c[0]->ops->write(e.c[0], "x", size, CARRIER_WHOLE,
			    clock_deadline_ms(20), &n);
			EQUAL(r, IPC9_E_TIMEDOUT);
			EQUAL(n, 0);
			are_there(e.c[1], count, (int)size);
			EQUAL(put(e.c[0], "x", size), 0);
			are_there(e.c[1], 1, (int)size);
			shut(e.c[0]);
			shut(e.c[1]);
		}
}

static void test_short_pieces_of_bytes_fill_the_quota_while_nobody_reads(void)
{
	enum {
		MANY = 1048576
	};

	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = carrier_make(w, IPC9_PIPE_TYPE_BYTE, MANY);
		size_t n = 1, at = 0;
		unsigned char byte = pattern(0);

		while (at < MANY && !e.c[0]->ops->write(e.c[0], &byte, 1, CARRIER_PART, 0, &n))
			byte = pattern(++at);
		EQUAL(at, MANY);
		EQUAL(e.c[0]->ops->write(e.c[0], "x", 1, CARRIER_PART, 0, &n), IPC9_E_WOULDBLOCK);
		EQUAL(e.c[0]->ops->end(e.c[0]), 0);
		EQUAL(count_bytes(e.c[1]), MANY);
		shut(e.c[0]);
		shut(e.c[1]);
	}
}

SUITE(carrier_quota, TEST(test_a_message_that_was_taken_can_be_read_without_another_call),
    TEST(test_short_messages_within_the_quota_find_room_while_nobody_reads),
    TEST(test_more_messages_than_find_room_wait_or_are_not_taken),
    TEST(test_short_pieces_of_bytes_fill_the_quota_while_nobody_reads));
