/* SPDX-License-Identifier: BSD-3-Clause */
/* test_call_table.c - calls by xid: each its own, also once the numbers begin again. */
#include <stddef.h>

#include "tests/harness.h"
#include "transport/call_table.h"

static void test_calls_are_found_by_xid_until_they_are_taken_out(void)
{
	enum {
		N = 3 * CALL_TABLE_BUCKETS
	};
	struct channel_call calls[N] = { { .xid = 0 } };
	struct call_table t;

	call_table_init(&t);
	for (size_t i = 0; i < N; i++)
		call_table_enter(&t, &calls[i]);
	EQUAL(t.n, N);
	for (size_t i = 0; i < N; i += 2)
		call_table_remove(&t, &calls[i]);
	EQUAL(t.n, N / 2);
	for (size_t i = 0; i < N; i++)
		HOLDS(call_table_find(&t, calls[i].xid) == (i % 2 ? &calls[i] : NULL));
	call_table_remove(&t, &calls[0]); /* again */
	EQUAL(t.n, N / 2);
}

static void test_an_old_call_keeps_its_xid_when_the_numbers_come_round(void)
{
	struct channel_call old[2] = { { .xid = 0 } }, young = { .xid = 0 };
	struct call_table t;
	uint32_t first;

	call_table_init(&t);
	first = t.next_xid = UINT32_MAX;
	call_table_enter(&t, &old[0]);
	call_table_enter(&t, &old[1]);
	EQUAL(old[0].xid, UINT32_MAX);
	EQUAL(old[1].xid, 0);
	t.next_xid = first; /* 2^32 calls later */
	call_table_enter(&t, &young);
	EQUAL(young.xid, 1);
	HOLDS(call_table_find(&t, UINT32_MAX) == &old[0]);
	HOLDS(call_table_find(&t, 0) == &old[1]);
}

static void test_what_only_stands_there_does_not_count(void)
{
	struct channel_call standing = { .stands = true };
	struct call_table t;

	call_table_init(&t);
	call_table_enter(&t, &standing);
	EQUAL(t.n, 0);
	HOLDS(call_table_find(&t, standing.xid) == &standing);
	call_table_remove(&t, &standing);
	EQUAL(t.n, 0);
	HOLDS(!call_table_find(&t, standing.xid));
}

SUITE(call_table, TEST(test_calls_are_found_by_xid_until_they_are_taken_out),
    TEST(test_an_old_call_keeps_its_xid_when_the_numbers_come_round),
    TEST(test_what_only_stands_there_does_not_count));
