/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_stream.c - record marking and RPC replies over every stream transport: what a well-behaved peer may do
 * in any way that RFC 5531 allows, and the exact answers to what it may not.
 */
#include <errno.h>
#include <rpc/rpc.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/engine.h"
#include "tests/harness.h"

static void on_every_transport(void (*run)(struct engine *, enum engine_transport))
{
	struct engine *e = engine_start(NULL);
	unsigned n = 0;

	for (enum engine_transport t = 0; t < ENGINE_TRANSPORTS; t++) {
		int fd = engine_connect(e, t);

		if (fd < 0)
			continue;
		close(fd);
		n++;
		run(e, t);
	}
	HOLDS(n >= 2);
	engine_stop(e);
}

/* Sends bytes, and expects the answer of a NULL call with xid 7, and then that of another one. */
static void expect_null(struct engine *e, enum engine_transport t, const struct raw *bytes)
{
	int fd = engine_connect(e, t);
	struct raw reply;

	HOLDS(raw_send(fd, bytes->data, bytes->size));
	if (HOLDS(raw_receive_record(fd, &reply))) {
		EQUAL(raw_at(&reply, 0), 7);
		EQUAL(raw_at(&reply, 5), 0);
	}
	HOLDS(raw_null_answers(fd, 8));
	close(fd);
}

static void fragments(struct engine *e, enum engine_transport t)
{
	struct raw call = raw_call(7, ENGINE_NULL, NULL), r = { .size = 0 };

	raw_word(&r, 12);
	memcpy(r.data + r.size, call.data, 12);
	r.size += 12;
	raw_word(&r, 0); /* an empty fragment in the middle */
	raw_word(&r, 0x80000000u | (uint32_t)(call.size - 12));
	memcpy(r.data + r.size, call.data + 12, call.size - 12);
	r.size += call.size - 12;
	expect_null(e, t, &r);
}

static void test_a_record_may_come_in_fragments(void)
{
	on_every_transport(fragments);
}

static void empty_last(struct engine *e, enum engine_transport t)
{
	struct raw call = raw_call(7, ENGINE_NULL, NULL), r = { .size = 0 };

	raw_word(&r, (uint32_t)call.size);
	memcpy(r.data + r.size, call.data, call.size);
	r.size += call.size;
	raw_word(&r, 0x80000000u);
	expect_null(e, t, &r);
}

static void test_the_last_fragment_may_be_empty(void)
{
	on_every_transport(empty_last);
}

static void by_bytes(struct engine *e, enum engine_transport t)
{
	struct raw call = raw_call(7, ENGINE_NULL, NULL), r = { .size = 0 }, reply;
	int fd = engine_connect(e, t);

	raw_word(&r, 0x80000000u | (uint32_t)call.size);
	memcpy(r.data + r.size, call.data, call.size);
	r.size += call.size;
	for (size_t i = 0; i < r.size; i++)
		HOLDS(raw_send(fd, r.data + i, 1));
	HOLDS(raw_receive_record(fd, &reply));
	EQUAL(raw_at(&reply, 0), 7);
	close(fd);
}

static void test_a_record_may_come_byte_by_byte(void)
{
	on_every_transport(by_bytes);
}

static void many_at_once(struct engine *e, enum engine_transport t)
{
	enum {
		N = 1000
	};
	static unsigned char batch[N * 44];
	int fd = engine_connect(e, t);
	size_t size = 0;

	for (uint32_t i = 0; i < N; i++) {
		struct raw call = raw_call(i, ENGINE_NULL, NULL), mark = { .size = 0 };

		raw_word(&mark, 0x80000000u | (uint32_t)call.size);
		memcpy(batch + size, mark.data, 4);
		memcpy(batch + size + 4, call.data, call.size);
		size += 4 + call.size;
	}
	HOLDS(raw_send(fd, batch, size));
	for (uint32_t i = 0; i < N; i++) {
		struct raw reply;

		if (!HOLDS(raw_receive_record(fd, &reply)) || !EQUAL(raw_at(&reply, 0), i))
			break;
	}
	close(fd);
}

static void test_a_thousand_calls_in_one_write_are_answered_in_order(void)
{
	on_every_transport(many_at_once);
}

static void out_of_order(struct engine *e, enum engine_transport t)
{
	const uint32_t slow = 300, fast = 50;
	struct raw calls[3] = { raw_call(1, ENGINE_PARK, &slow), raw_call(2, ENGINE_PARK, &fast),
		raw_call(3, ENGINE_NULL, NULL) };
	const uint32_t order[3] = { 3, 2, 1 };
	int fd = engine_connect(e, t);

	for (int i = 0; i < 3; i++)
		HOLDS(raw_send_record(fd, &calls[i]));
	for (int i = 0; i < 3; i++) {
		struct raw reply;

		HOLDS(raw_receive_record(fd, &reply));
		EQUAL(raw_at(&reply, 0), order[i]);
	}
	close(fd);
}

static void test_parked_calls_are_answered_when_they_are_ready(void)
{
	on_every_transport(out_of_order);
}

static void echo_large(struct engine *e, enum engine_transport t)
{
	enum {
		SIZE = 1048576
	};
	static unsigned char sent[SIZE], received[SIZE];
	struct raw head = raw_call(9, ENGINE_ECHO, NULL), whole = { .size = 0 }, reply_head;
	int fd = engine_connect(e, t);
	size_t n = 0;

	for (size_t i = 0; i < SIZE; i++)
		sent[i] = (unsigned char)(i * 31 + i / 251);
	raw_word(&head, SIZE);
	raw_word(&whole, 0x80000000u | (uint32_t)(head.size + SIZE));
	memcpy(whole.data + 4, head.data, head.size);
	HOLDS(raw_send(fd, whole.data, head.size + 4) && raw_send(fd, sent, SIZE));
	reply_head.size = 4 + 24 + 4;
	HOLDS(recv(fd, reply_head.data, reply_head.size, MSG_WAITALL) == (ssize_t)reply_head.size);
	EQUAL(raw_at(&reply_head, 0), 0x80000000u | (24 + 4 + SIZE));
	while (n < SIZE) {
		ssize_t got = recv(fd, received + n, SIZE - n, 0);

		if (!HOLDS(got > 0))
			break;
		n += (size_t)got;
	}
	SAME_BYTES(received, n, sent, SIZE);
	close(fd);
}

static void test_a_payload_of_1_mib_comes_back_as_it_went(void)
{
	on_every_transport(echo_large);
}

/* --- Exact answers ----------------------------------------------------------------------------- */

static void refusals(struct engine *e, enum engine_transport t)
{
	static const struct {
		const char *what;
		size_t word;
		uint32_t value;	    /* put there */
		uint32_t answer[5]; /* from the third word on */
		size_t n_answer;
	} cases[] = {
		{ "RPC version 3", 2, 3, { MSG_DENIED, RPC_MISMATCH, 2, 2 }, 4 },
		{ "RPC version 0", 2, 0, { MSG_DENIED, RPC_MISMATCH, 2, 2 }, 4 },
		{ "another program", 3, 77, { MSG_ACCEPTED, 0, 0, PROG_UNAVAIL }, 4 },
		{ "another procedure", 5, 99, { MSG_ACCEPTED, 0, 0, GARBAGE_ARGS }, 4 },
	};
	int fd = engine_connect(e, t);

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct raw call = raw_call(5, ENGINE_NULL, NULL), patch = { .size = 0 }, reply;

		raw_word(&patch, cases[i].value);
		memcpy(call.data + 4 * cases[i].word, patch.data, 4);
		HOLDS(raw_send_record(fd, &call));
		if (!HOLDS(raw_receive_record(fd, &reply)))
			continue;
		EQUAL(reply.size, 4 * (2 + cases[i].n_answer));
		for (size_t j = 0; j < cases[i].n_answer; j++)
			if (!EQUAL(raw_at(&reply, 2 + j), cases[i].answer[j]))
				printf("  in case \"%s\" over %s\n", cases[i].what,
				    engine_transport_name(t));
	}
	HOLDS(raw_null_answers(fd, 6));
	close(fd);
}

static void test_wrong_versions_programs_and_arguments_get_their_answers(void)
{
	on_every_transport(refusals);
}

static void reply_message(struct engine *e, enum engine_transport t)
{
	struct raw reply = { .size = 0 };
	int fd = engine_connect(e, t);

	for (int i = 0; i < 6; i++)
		raw_word(&reply, i == 1 ? 1 : 0);
	HOLDS(raw_send_record(fd, &reply));
	/* The next answer is the next call's. */
	HOLDS(raw_null_answers(fd, 4));
	close(fd);
}

static void test_a_reply_is_not_answered(void)
{
	on_every_transport(reply_message);
}

static void garbage(struct engine *e, enum engine_transport t)
{
	struct raw cases[4];

	cases[0].size = 0; /* an empty record */
	cases[1] = raw_call(1, ENGINE_NULL, NULL);
	cases[1].size = 10; /* a header cut off */
	cases[2].size = 0;  /* neither call nor reply */
	for (int i = 0; i < 10; i++)
		raw_word(&cases[2], 2);
	cases[3] = raw_call(1, ENGINE_NULL, NULL); /* a credential of 404 bytes */
	cases[3].size = 28;
	raw_word(&cases[3], 404);
	memset(cases[3].data + cases[3].size, 0, 412);
	cases[3].size += 412;
	for (size_t i = 0; i < 4; i++) {
		int fd = engine_connect(e, t);

		HOLDS(raw_send_record(fd, &cases[i]));
		if (!HOLDS(raw_is_closed(fd, 3000)))
			printf("  in case %zu over %s\n", i, engine_transport_name(t));
		close(fd);
	}
}

static void test_what_is_no_message_closes_the_connection(void)
{
	on_every_transport(garbage);
}

static void early_end(struct engine *e, enum engine_transport t)
{
	unsigned before = engine_gone(e);
	struct raw call = raw_call(1, ENGINE_KEEP, &(uint32_t){ 1 });
	int fd = engine_connect(e, t);
	int other = engine_connect(e, t);

	HOLDS(raw_send_record(fd, &call));
	HOLDS(raw_null_answers(fd, 2)); /* the first is parked by now */
	close(fd);
	/* Its end is noticed before a call that comes later, a few rounds at most. */
	for (uint32_t i = 0; i < 1000 && engine_gone(e) == before; i++)
		raw_null_answers(other, i);
	EQUAL(engine_gone(e), before + 1);
	close(other);
}

static void test_a_parked_call_ends_with_its_connection(void)
{
	on_every_transport(early_end);
}

static void no_memory_for_results(struct engine *e, enum engine_transport t)
{
	struct raw call = raw_call(2, ENGINE_FAIL, &(uint32_t){ ENOMEM });
	int fd = engine_connect(e, t), other = engine_connect(e, t);
	char byte;

	HOLDS(raw_null_answers(fd, 1));
	HOLDS(raw_send_record(fd, &call));
	EQUAL(recv(fd, &byte, 1, 0), 0); /* the end, and nothing of an answer before it */
	HOLDS(raw_null_answers(other, 3));
	close(fd);
	close(other);
}

/* It may have taken something, so that SYSTEM_ERR, "nothing was done", would be a lie; silence would be waited for. */
static void test_results_for_which_there_is_no_memory_end_the_connection(void)
{
	on_every_transport(no_memory_for_results);
}

static void bad_results(struct engine *e, enum engine_transport t)
{
	struct raw call = raw_call(2, ENGINE_FAIL, &(uint32_t){ 0 }), reply;
	int fd = engine_connect(e, t);

	HOLDS(raw_send_record(fd, &call));
	if (HOLDS(raw_receive_record(fd, &reply))) {
		EQUAL(reply.size, 24);
		EQUAL(raw_at(&reply, 0), 2);
		EQUAL(raw_at(&reply, 2), MSG_ACCEPTED);
		EQUAL(raw_at(&reply, 5), SYSTEM_ERR);
	}
	HOLDS(raw_null_answers(fd, 3));
	close(fd);
}

static void test_results_that_cannot_be_encoded_are_a_system_error(void)
{
	on_every_transport(bad_results);
}

SUITE(stream, TEST(test_a_record_may_come_in_fragments), TEST(test_the_last_fragment_may_be_empty),
    TEST(test_a_record_may_come_byte_by_byte),
    TEST(test_a_thousand_calls_in_one_write_are_answered_in_order),
    TEST(test_parked_calls_are_answered_when_they_are_ready),
    TEST(test_a_payload_of_1_mib_comes_back_as_it_went),
    TEST(test_wrong_versions_programs_and_arguments_get_their_answers),
    TEST(test_a_reply_is_not_answered), TEST(test_what_is_no_message_closes_the_connection),
    TEST(test_a_parked_call_ends_with_its_connection),
    TEST(test_results_for_which_there_is_no_memory_end_the_connection),
    TEST(test_results_that_cannot_be_encoded_are_a_system_error));
