/* SPDX-License-Identifier: BSD-3-Clause */
/* test_datagram.c - calls as UDP datagrams: each is one message, what is none is not answered. */
#include <rpc/rpc.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/engine.h"
#include "tests/harness.h"

static bool exchange(int fd, const struct raw *call, struct raw *reply)
{
	ssize_t n;

	if (send(fd, call->data, call->size, 0) != (ssize_t)call->size)
		return false;
	n = recv(fd, reply->data, sizeof(reply->data), 0);
	reply->size = n > 0 ? (size_t)n : 0;
	return n > 0;
}

static void test_a_call_in_a_datagram_is_answered_in_one(void)
{
	struct engine *e = engine_start(NULL);
	struct raw call = raw_call(11, ENGINE_NULL, NULL), reply;
	int fd = engine_datagram(e);

	if (HOLDS(exchange(fd, &call, &reply))) {
		EQUAL(reply.size, 24);
		EQUAL(raw_at(&reply, 0), 11);
		EQUAL(raw_at(&reply, 5), SUCCESS);
	}
	close(fd);
	engine_stop(e);
}

/* One buffer serves all datagrams: what an earlier one left in it must never be read. */
static void test_a_datagram_that_claims_more_than_it_carries_gets_garbage_args(void)
{
	struct engine *e = engine_start(NULL);
	struct raw full = raw_call(1, ENGINE_ECHO, NULL), empty = raw_call(2, ENGINE_ECHO, NULL),
		   reply;
	int fd = engine_datagram(e);

	raw_word(&full, 200);
	raw_bytes(&full, memset((char[200]){ 0 }, 's', 200), 200);
	HOLDS(exchange(fd, &full, &reply));
	EQUAL(reply.size, 24 + 4 + 200);
	raw_word(&empty, 200);
	HOLDS(exchange(fd, &empty, &reply));
	EQUAL(raw_at(&reply, 5), GARBAGE_ARGS);
	EQUAL(reply.size, 24);
	close(fd);
	engine_stop(e);
}

static void test_what_is_no_call_is_not_answered(void)
{
	struct engine *e = engine_start(NULL);
	struct raw call = raw_call(3, ENGINE_NULL, NULL), junk = raw_call(4, ENGINE_NULL, NULL),
		   reply;
	struct raw other_version = raw_call(5, ENGINE_NULL, NULL);
	int fd = engine_datagram(e);

	(void)!send(fd, "x", 1, 0);
	(void)!send(fd, junk.data, 20, 0);
	junk.data[7] = 1; /* a reply */
	(void)!send(fd, junk.data, junk.size, 0);
	other_version.data[11] = 9;
	(void)!send(fd, other_version.data, other_version.size, 0);
	/* The first and only answer is that of the good call behind them. */
	HOLDS(exchange(fd, &call, &reply));
	EQUAL(raw_at(&reply, 0), 3);
	EQUAL(engine_stats(e).dropped, 4);
	close(fd);
	engine_stop(e);
}

static void test_answers_are_no_longer_than_questions(void)
{
	struct engine *e = engine_start(NULL);
	struct raw call = raw_call(6, ENGINE_NULL, NULL), reply;
	int fd = engine_datagram(e);

	for (uint32_t procedure = 0; procedure < 2; procedure++) {
		call = raw_call(6, procedure ? 99 : 0, NULL);
		HOLDS(exchange(fd, &call, &reply));
		HOLDS(reply.size <= call.size);
	}
	close(fd);
	engine_stop(e);
}

SUITE(datagram, TEST(test_a_call_in_a_datagram_is_answered_in_one),
    TEST(test_a_datagram_that_claims_more_than_it_carries_gets_garbage_args),
    TEST(test_what_is_no_call_is_not_answered), TEST(test_answers_are_no_longer_than_questions));
