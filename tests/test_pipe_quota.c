/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pipe_quota.c - what nobody reads yet: that it can be read, and how much of it there can be; by every way in which a client
 * can reach a pipe.
 */
#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "tests/pipes.h"

static char much[1000000], got[1000000];

static int get(struct ipc9_pipe *pipe, size_t *ret)
{
	bool more;

	return ipc9_pipe_read_message(pipe, got, sizeof(got), 5000, ret, &more, NULL);
}

BY_EVERY_WAY(test_what_was_written_can_be_read_whatever_its_writer_does)
{
	static const int waits[] = { 0, 50, IPC9_FOREVER };
	size_t n;

	pipe_world_connect(w, &pipe_messages);
	for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
		bool no_wait = waits[i] == IPC9_FOREVER;

		EQUAL(ipc9_pipe_set_mode(w->client, no_wait ? IPC9_PIPE_MODE_NO_WAIT : 0,
			  &w->error),
		    0);
		memset(much, (int)i + 1, 1000000);
		EQUAL(ipc9_pipe_write(w->client, much, 1000000, waits[i], &n, &w->error), 0);
		EQUAL(n, 1000000);
		EQUAL(get(w->server, &n), 0);
		EQUAL(n, 1000000);
		EQUAL(memcmp(got, much, 1000000), 0);
	}
}

BY_EVERY_WAY(test_started_writes_that_fit_the_quota_are_done_while_nobody_reads)
{
	static const size_t sizes[] = { 400000, 0, 1, 400000, 0, 2000, 0 };
	enum {
		N = sizeof(sizes) / sizeof(sizes[0])
	};
	struct ipc9_pipe_op *ops[N] = { NULL };
	struct ipc9_pipe_result result;
	size_t n;

	pipe_world_connect(w, &pipe_messages);
	memset(much, 's', sizeof(much));
	for (size_t i = 0; i < N; i++)
		EQUAL(ipc9_pipe_start_write(w->client, much, sizes[i], &ops[i], &w->error), 0);
	for (size_t i = 0; i < N; i++) {
		EQUAL(ipc9_pipe_finish(ops[i], 10000, &result, &w->error), 0);
		EQUAL(result.size_bytes, sizes[i]);
	}
	for (size_t i = 0; i < N; i++) {
		EQUAL(get(w->server, &n), 0);
		EQUAL(n, sizes[i]);
		EQUAL(memcmp(got, much, n), 0);
	}
	EQUAL(pipe_look(w->server), IPC9_E_TIMEDOUT);
}

BY_EVERY_WAY(test_messages_of_a_byte_fill_the_quota_and_empty_ones_do_not_wait)
{
	enum {
		MANY = 16384
	};
	const struct ipc9_pipe_options tight = { .type = IPC9_PIPE_TYPE_MESSAGE,
		.quota_bytes = MANY };
	size_t n = 1, count = 0;

	pipe_world_connect(w, &tight);
	while (count < MANY && !ipc9_pipe_write(w->client, "x", 1, 0, &n, &w->error) && n == 1)
		count++;
	EQUAL(count, MANY);
	EQUAL(ipc9_pipe_write(w->client, "x", 1, 0, &n, &w->error), IPC9_E_TIMEDOUT);
	EQUAL(n, 0);
	EQUAL(ipc9_pipe_write(w->client, "", 0, 0, &n, &w->error), 0);
	EQUAL(ipc9_pipe_set_mode(w->client, IPC9_PIPE_MODE_NO_WAIT, &w->error), 0);
	EQUAL(ipc9_pipe_write(w->client, "x", 1, IPC9_FOREVER, &n, &w->error), 0);
	EQUAL(n, 0);
	EQUAL(ipc9_pipe_write(w->client, "", 0, IPC9_FOREVER, &n, &w->error), 0);
	for (count = 0; count < MANY && !get(w->server, &n) && n == 1;)
		count++;
	EQUAL(count, MANY);
	pipe_expect(w->server, "");
	pipe_expect(w->server, "");
	EQUAL(pipe_look(w->server), IPC9_E_TIMEDOUT);
}

/* How many differs; that they end, and how, does not. */
BY_EVERY_WAY(test_far_too_many_messages_are_not_taken)
{
	size_t n = 1;
	int r;

	if (w->maker->carried == IPC9_PIPE_BY_CALLS && w->maker->remote)
		return; /* the same as local, and slow */
	pipe_world_connect(w, &pipe_messages);
	while (!(r = ipc9_pipe_write(w->client, "x", 1, 0, &n, &w->error)) && n == 1)
		;
	EQUAL(r, IPC9_E_TIMEDOUT);
	EQUAL(n, 0);
	EQUAL(ipc9_pipe_set_mode(w->client, IPC9_PIPE_MODE_NO_WAIT, &w->error), 0);
	EQUAL(ipc9_pipe_write(w->client, "x", 1, IPC9_FOREVER, &n, &w->error), 0);
	EQUAL(n, 0);
	while (!(r = ipc9_pipe_write(w->client, "", 0, 0, &n, &w->error)))
		;
	EQUAL(r, IPC9_E_QUOTA);
}

static void *cancel_soon(void *pipe)
{
	poll(NULL, 0, 4);
	ipc9_pipe_cancel(pipe);
	return NULL;
}

/* Reads to the end; how many bytes that were. */
static size_t read_all(struct ipc9_pipe *pipe)
{
	size_t total = 0, n;

	while (!ipc9_pipe_read(pipe, got, sizeof(got), 5000, &n, NULL))
		total += n;
	return total;
}

/* A commit that was cancelled has written nothing, however much there was before. */
BY_EVERY_WAY(test_what_is_committed_again_arrives_once)
{
	const struct ipc9_pipe_options options = { .quota_bytes = 400000 };
	size_t n, room = 0;
	pthread_t thread;
	void *data;
	int r;

	pipe_world_connect(w, &options);
	EQUAL(ipc9_pipe_write(w->client, much, 399000, 0, &n, &w->error), 0);
	EQUAL(n, 399000);
	EQUAL(ipc9_pipe_reserve(w->client, 200000, 5000, &data, &room, &w->error), 0);
	memset(data, 'x', room);
	EQUAL(pthread_create(&thread, NULL, cancel_soon, w->client), 0);
	r = ipc9_pipe_commit(w->client, room, IPC9_FOREVER, &w->error);
	pthread_join(thread, NULL);
	if (r == IPC9_E_CANCELLED)
		r = ipc9_pipe_commit(w->client, room, IPC9_FOREVER, &w->error);
	EQUAL(r, 0);
	EQUAL(ipc9_pipe_end(w->client, &w->error), 0);
	EQUAL(read_all(w->server), 399000 + room);
}

SUITE(pipe_quota, TEST(test_what_was_written_can_be_read_whatever_its_writer_does),
    TEST(test_started_writes_that_fit_the_quota_are_done_while_nobody_reads),
    TEST(test_messages_of_a_byte_fill_the_quota_and_empty_ones_do_not_wait),
    TEST(test_far_too_many_messages_are_not_taken),
    TEST(test_what_is_committed_again_arrives_once));
