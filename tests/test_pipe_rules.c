/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pipe_rules.c - what pipes promise beside their states: reading, writing and quotas, transactions, flush and disconnect,
 * instances and who waits for them; by every way in which a client can reach a pipe.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/pipes.h"
#include "util/clock.h"
#include "util/text.h"

static char much[4000000], got[4000000];

static int read_n(struct ipc9_pipe *pipe, size_t max, bool message, size_t *ret, bool *ret_more)
{
	*ret_more = false;
	return message ? ipc9_pipe_read_message(pipe, got, max, 5000, ret, ret_more, NULL)
		       : ipc9_pipe_read(pipe, got, max, 5000, ret, NULL);
}

/* --- Reading ----------------------------------------------------------------------------------- */

BY_EVERY_WAY(test_a_message_read_in_parts_says_that_it_goes_on)
{
	size_t n;
	bool more;

	pipe_world_connect(w, &pipe_messages);
	EQUAL(pipe_put(w->client, "0123456789"), 0);
	EQUAL(pipe_put(w->client, ""), 0);
	EQUAL(pipe_put(w->client, "x"), 0);
	EQUAL(read_n(w->server, 4, true, &n, &more), 0);
	SAME_BYTES(got, n, "0123", 4);
	EQUAL(more, true);
	/* The end goes; what has arrived stays. */
	w->client = ipc9_pipe_close(w->client);
	EQUAL(read_n(w->server, 100, true, &n, &more), 0);
	SAME_BYTES(got, n, "456789", 6);
	EQUAL(more, false);
	pipe_expect(w->server, "");
	pipe_expect(w->server, "x");
	EQUAL(pipe_look(w->server), IPC9_E_EOF);
}

BY_EVERY_WAY(test_a_byte_read_of_a_message_pipe_ignores_boundaries_but_of_empty_messages)
{
	size_t n;
	bool more;

	pipe_world_connect(w, &pipe_messages);
	EQUAL(pipe_put(w->server, "ab"), 0);
	EQUAL(pipe_put(w->server, "cd"), 0);
	EQUAL(pipe_put(w->server, ""), 0);
	EQUAL(pipe_put(w->server, "e"), 0);
	EQUAL(read_n(w->client, 3, false, &n, &more), 0);
	SAME_BYTES(got, n, "abc", 3);
	EQUAL(read_n(w->client, 9, false, &n, &more), 0);
	SAME_BYTES(got, n, "d", 1);
	EQUAL(read_n(w->client, 0, false, &n, &more),
	    0); /* takes nothing, not even the empty one */
	EQUAL(read_n(w->client, 9, false, &n, &more), 0);
	EQUAL(n, 0);
	EQUAL(read_n(w->client, 9, false, &n, &more), 0);
	SAME_BYTES(got, n, "e", 1);
}

BY_EVERY_WAY(test_a_read_of_no_bytes_waits_for_data_and_leaves_it)
{
	size_t n = 9;
	bool more = true;

	pipe_world_connect(w, NULL);
	EQUAL(ipc9_pipe_read(w->server, NULL, 0, 0, &n, NULL), IPC9_E_TIMEDOUT);
	EQUAL(pipe_put(w->client, "abc"), 0);
	EQUAL(ipc9_pipe_read(w->server, NULL, 0, 5000, &n, NULL), 0);
	EQUAL(n, 0);
	pipe_expect(w->server, "abc");
	pipe_world_close(w);
	pipe_world_connect(w, &pipe_messages);
	EQUAL(pipe_put(w->client, ""), 0);
	EQUAL(ipc9_pipe_read_message(w->server, NULL, 0, 5000, &n, &more, NULL), 0);
	EQUAL(more, false); /* there was no more of the empty message, which is taken */
	EQUAL(pipe_look(w->server), IPC9_E_TIMEDOUT);
}

BY_EVERY_WAY(test_peek_copies_what_is_there_and_takes_nothing)
{
	struct ipc9_pipe_peeked p;

	pipe_world_connect(w, NULL);
	EQUAL(ipc9_pipe_peek(w->server, got, 9, &p, &w->error), 0);
	EQUAL(p.waiting, false);
	EQUAL(pipe_put(w->client, "abc"), 0);
	memset(much, 'm', 20000);
	EQUAL(ipc9_pipe_write(w->client, much, 20000, 0, NULL, NULL),
	    0); /* not in one block with it */
	EQUAL(ipc9_pipe_peek(w->server, got, 5, &p, &w->error), 0);
	SAME_BYTES(got, p.size_bytes, "abcmm", 5);
	EQUAL(p.total_bytes, 20003);
	EQUAL(p.left_bytes, 0);
	EQUAL(ipc9_pipe_peek(w->server, NULL, 0, &p, &w->error), 0);
	EQUAL(p.waiting && p.size_bytes == 0 && p.total_bytes == 20003, true);
	pipe_world_close(w);

	pipe_world_connect(w, &pipe_messages);
	EQUAL(pipe_put(w->client, ""), 0);
	EQUAL(pipe_put(w->client, "abcdef"), 0);
	EQUAL(ipc9_pipe_peek(w->server, got, 9, &p, &w->error), 0);
	EQUAL(p.waiting && p.size_bytes == 0 && p.total_bytes == 6 && p.left_bytes == 0, true);
	pipe_expect(w->server, "");
	/* The first message alone, although this reads bytes. */
	EQUAL(pipe_put(w->client, "ghi"), 0);
	EQUAL(ipc9_pipe_set_mode(w->server, 0, &w->error), 0);
	EQUAL(ipc9_pipe_peek(w->server, got, 99, &p, &w->error), 0);
	SAME_BYTES(got, p.size_bytes, "abcdef", 6);
	EQUAL(ipc9_pipe_peek(w->server, got, 4, &p, &w->error), 0);
	EQUAL(p.size_bytes == 4 && p.left_bytes == 2 && p.total_bytes == 9, true);
}

/* --- Writing and the quota --------------------------------------------------------------------- */

BY_EVERY_WAY(test_a_write_waits_until_what_is_unread_fits_the_quota)
{
	const struct ipc9_pipe_options tight = { .type = IPC9_PIPE_TYPE_MESSAGE,
		.quota_bytes = 10 };
	struct ipc9_pipe_op *op = NULL;
	size_t n = 99;

	pipe_world_connect(w, &tight);
	EQUAL(ipc9_pipe_write(w->client, "0123456789", 10, 5000, &n, &w->error), 0); /* just fits */
	EQUAL(n, 10);
	EQUAL(ipc9_pipe_write(w->client, "abc", 3, 30, &n, &w->error), IPC9_E_TIMEDOUT);
	EQUAL(n, 3); /* it is there all the same, whole */
	EQUAL(ipc9_pipe_write(w->client, "", 0, 5000, &n, &w->error), 0); /* never waits */
	EQUAL(ipc9_pipe_start_write(w->client, "0123456789abcd", 14, &op, &w->error), 0);
	pipe_settle(w, w->client);
	pipe_expect(w->server, "0123456789");
	pipe_expect(w->server, "abc");
	EQUAL(ipc9_pipe_finish(op, 0, NULL, &w->error), IPC9_E_PENDING);
	pipe_expect(w->server, "");
	pipe_settle(w, w->client);
	/* Longer than the quota: it is over when the rest fits. */
	EQUAL(ipc9_pipe_finish(op, 0, NULL, &w->error), IPC9_E_PENDING);
	EQUAL(ipc9_pipe_read_message(w->server, got, 3, 0, &n, &(bool){ false }, &w->error), 0);
	pipe_settle(w, w->client);
	EQUAL(ipc9_pipe_finish(op, 0, NULL, &w->error), IPC9_E_PENDING);
	EQUAL(ipc9_pipe_read_message(w->server, got, 1, 0, &n, &(bool){ false }, &w->error), 0);
	EQUAL(ipc9_pipe_finish(op, 10000, NULL, &w->error), 0);
}

BY_EVERY_WAY(test_without_waiting_a_write_takes_what_fits)
{
	const struct ipc9_pipe_options bytes = { .quota_bytes = 10 };
	const struct ipc9_pipe_options messages = { .type = IPC9_PIPE_TYPE_MESSAGE,
		.quota_bytes = 10 };
	size_t n = 99;

	pipe_world_connect(w, &bytes);
	EQUAL(ipc9_pipe_write(w->client, "0123456", 7, 0, &n, &w->error), 0);
	EQUAL(n, 7);
	EQUAL(ipc9_pipe_write(w->client, "789abc", 6, 0, &n, &w->error), IPC9_E_TIMEDOUT);
	EQUAL(n, 3);
	pipe_expect(w->server, "0123456789");
	pipe_world_close(w);
	pipe_world_connect(w, &messages);
	EQUAL(ipc9_pipe_write(w->client, "01234567890", 11, 0, &n, &w->error), IPC9_E_TIMEDOUT);
	EQUAL(n, 0);
	EQUAL(ipc9_pipe_write(w->client, "0123456789", 10, 0, &n, &w->error), 0);
	EQUAL(ipc9_pipe_write(w->client, "x", 1, 0, &n, &w->error), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_pipe_write(w->client, "", 0, 0, &n, &w->error), 0);
	pipe_expect(w->server, "0123456789");
	pipe_expect(w->server, "");
	EQUAL(pipe_look(w->server), IPC9_E_TIMEDOUT);
}

BY_EVERY_WAY(test_an_end_that_does_not_wait_says_so_in_its_own_words)
{
	const struct ipc9_pipe_options tight = { .quota_bytes = 10 };
	struct ipc9_pipe_op *op = NULL;
	struct ipc9_pipe_result result = { .size_bytes = 0 };
	size_t n = 99;

	pipe_world_create(w, &tight);
	EQUAL(ipc9_pipe_set_mode(w->server, IPC9_PIPE_MODE_NO_WAIT, &w->error), 0);
	EQUAL(ipc9_pipe_accept(w->server, IPC9_FOREVER, NULL, &w->error), IPC9_E_LISTENING);
	EQUAL(pipe_world_open(w, &(struct ipc9_pipe_open_options){ .mode = IPC9_PIPE_MODE_NO_WAIT },
		  &w->client),
	    0);
	EQUAL(ipc9_pipe_accept(w->server, IPC9_FOREVER, NULL, &w->error), 0);
	EQUAL(ipc9_pipe_was_connected(w->server), true);
	EQUAL(ipc9_pipe_read(w->server, got, 9, IPC9_FOREVER, &n, &w->error), IPC9_E_WOULDBLOCK);
	EQUAL(ipc9_pipe_write(w->client, "0123456789a", 11, IPC9_FOREVER, &n, &w->error), 0);
	EQUAL(n, 0); /* does not fit: not a part either */
	EQUAL(ipc9_pipe_write(w->client, "0123456789", 10, IPC9_FOREVER, &n, &w->error), 0);
	EQUAL(n, 10);
	pipe_expect(w->server, "0123456789");
	if (w->maker->carried != IPC9_PIPE_BY_CALLS)
		return; /* what somebody waits for over there is not known here */
	/* What somebody waits to read counts as room: the quota and 4. */
	EQUAL(ipc9_pipe_start_read(w->server, got, 4, &op, &w->error), 0);
	pipe_settle(w, w->server);
	EQUAL(ipc9_pipe_write(w->client, "0123456789abcde", 15, IPC9_FOREVER, &n, &w->error), 0);
	EQUAL(n, 4); /* does not fit: what is waited for */
	EQUAL(ipc9_pipe_finish(op, 10000, &result, &w->error), 0);
	SAME_BYTES(got, result.size_bytes, "0123", 4);
	EQUAL(ipc9_pipe_start_read(w->server, got, 4, &op, &w->error), 0);
	pipe_settle(w, w->server);
	EQUAL(ipc9_pipe_write(w->client, "0123456789abcd", 14, IPC9_FOREVER, &n, &w->error), 0);
	EQUAL(n, 14);
	EQUAL(ipc9_pipe_finish(op, 10000, &result, &w->error), 0);
}

static void *write_much(void *context)
{
	struct pipe_world *w = context;

	EQUAL(ipc9_pipe_write(w->client, much, sizeof(much), IPC9_FOREVER, NULL, NULL), 0);
	EQUAL(ipc9_pipe_end(w->client, NULL), 0);
	return NULL;
}

BY_EVERY_WAY(test_one_write_may_be_much_larger_than_the_quota)
{
	const struct ipc9_pipe_options tight = { .quota_bytes = 1000 };
	size_t total = 0, n = 0;
	pthread_t thread;
	int r;

	for (size_t i = 0; i < sizeof(much); i++)
		much[i] = (char)(i ^ i >> 9);
	pipe_world_connect(w, &tight);
	EQUAL(pthread_create(&thread, NULL, write_much, w), 0);
	while ((r = ipc9_pipe_read(w->server, got + total, sizeof(got) - total, 20000, &n,
		    &w->error)) == 0 &&
	    n > 0)
		total += n;
	EQUAL(r == 0 || r == IPC9_E_EOF, true);
	pthread_join(thread, NULL);
	SAME_BYTES(got, total, much, sizeof(much));
}

BY_EVERY_WAY(test_what_a_cancelled_write_left_unread_is_taken_back_from_the_daemon)
{
	const struct ipc9_pipe_options tight = { .quota_bytes = 10 };
	struct ipc9_pipe_op *ops[3] = { NULL };
	struct ipc9_pipe_result result;
	struct ipc9_pipe_peeked p;
	size_t n;

	if (w->maker->carried != IPC9_PIPE_BY_CALLS)
		return;
	pipe_world_connect(w, &tight);
	EQUAL(pipe_put(w->client, "0123456789"), 0);
	EQUAL(ipc9_pipe_start_write(w->client, "abcdef", 6, &ops[0], &w->error), 0);
	EQUAL(ipc9_pipe_start_write(w->client, "ghijklmnop", 10, &ops[1], &w->error), 0);
	EQUAL(ipc9_pipe_start_write(w->client, "qrs", 3, &ops[2], &w->error), 0);
	pipe_settle(w, w->client);
	EQUAL(ipc9_pipe_peek(w->server, got, 99, &p, &w->error), 0);
	SAME_BYTES(got, p.size_bytes, "0123456789abcdefghijklmnopqrs", 29);
	EQUAL(ipc9_pipe_read(w->server, got, 12, 0, &n, &w->error), 0); /* two of the first */
	ipc9_pipe_op_cancel(ops[1]);					/* in the middle */
	EQUAL(ipc9_pipe_finish(ops[1], 10000, &result, &w->error), IPC9_E_CANCELLED);
	EQUAL(result.size_bytes, 0);
	EQUAL(ipc9_pipe_finish(ops[0], 10000, &result, &w->error), 0);
	EQUAL(result.size_bytes, 6);
	EQUAL(ipc9_pipe_finish(ops[2], 10000, &result, &w->error), 0);
	pipe_expect(w->server, "cdefqrs");
	/* A part of it was read. */
	EQUAL(ipc9_pipe_start_write(w->client, "0123456789abcdef", 16, &ops[0], &w->error), 0);
	pipe_settle(w, w->client);
	EQUAL(ipc9_pipe_read(w->server, got, 5, 0, &n, &w->error), 0);
	ipc9_pipe_op_cancel(ops[0]);
	EQUAL(ipc9_pipe_finish(ops[0], 10000, &result, &w->error), IPC9_E_CANCELLED);
	EQUAL(result.size_bytes, 5);
	EQUAL(pipe_look(w->server), IPC9_E_TIMEDOUT);
	EQUAL(pipe_put(w->client, "on"), 0);
	pipe_expect(w->server, "on");
}

/* A writer that vanishes had not sent for good what it still waited with. */
BY_EVERY_WAY(test_a_write_under_way_of_a_writer_that_vanishes_is_taken_back_by_the_daemon)
{
	const struct ipc9_pipe_options tight = { .type = IPC9_PIPE_TYPE_MESSAGE,
		.quota_bytes = 10 };
	struct ipc9_pipe_op *op;

	if (w->maker->carried != IPC9_PIPE_BY_CALLS)
		return;
	pipe_world_connect(w, &tight);
	EQUAL(pipe_put(w->client, "0123456789"), 0);
	EQUAL(ipc9_pipe_start_write(w->client, "waiting", 7, &op, &w->error), 0);
	pipe_settle(w, w->client);
	ipc9_pipe_abort(w->client);
	EQUAL(ipc9_pipe_wait_closed(w->server, 10000, &w->error), IPC9_E_LOST);
	pipe_expect(w->server, "0123456789");
	EQUAL(pipe_look(w->server), IPC9_E_LOST);
}

/* --- Transactions ------------------------------------------------------------------------------ */

/* Answers one transaction: the request and "!". */
static void *answer(void *context)
{
	struct ipc9_pipe *pipe = context;
	char request[100];
	size_t n = 0;
	bool more;

	if (EQUAL(ipc9_pipe_read_message(pipe, request, 99, 20000, &n, &more, NULL), 0)) {
		request[n] = '!';
		EQUAL(ipc9_pipe_write(pipe, request, n + 1, 5000, NULL, NULL), 0);
	}
	return NULL;
}

BY_EVERY_WAY(test_a_transaction_is_a_request_and_its_reply)
{
	struct ipc9_pipe *asks;
	pthread_t thread;
	size_t n = 0;
	bool more = true;

	pipe_world_connect(w, &pipe_messages);
	EQUAL(ipc9_pipe_transact(w->client, "2+2", 3, got, 99, 0, &n, &more, &w->error),
	    IPC9_E_BADSTATE); /* a client's end begins by reading bytes */
	EQUAL(ipc9_pipe_set_mode(w->client, IPC9_PIPE_MODE_MESSAGES, &w->error), 0);
	for (int i = 0; i < 2; i++) { /* either end may begin one */
		asks = i ? w->server : w->client;
		EQUAL(pthread_create(&thread, NULL, answer, i ? w->client : w->server), 0);
		EQUAL(ipc9_pipe_transact(asks, "2+2", 3, got, 99, 20000, &n, &more, &w->error), 0);
		pthread_join(thread, NULL);
		SAME_BYTES(got, n, "2+2!", 4);
		EQUAL(more, false);
	}
	/* A short buffer. */
	EQUAL(pthread_create(&thread, NULL, answer, w->server), 0);
	EQUAL(ipc9_pipe_transact(w->client, "long", 4, got, 2, 20000, &n, &more, &w->error), 0);
	pthread_join(thread, NULL);
	SAME_BYTES(got, n, "lo", 2);
	EQUAL(more, true);
	pipe_expect(w->client, "ng!");
}

BY_EVERY_WAY(test_a_transaction_that_was_given_up_has_sent_its_request)
{
	const struct ipc9_pipe_options tight = { .type = IPC9_PIPE_TYPE_MESSAGE, .quota_bytes = 4 };
	struct ipc9_pipe_op *op = NULL;
	size_t n;
	bool more;

	pipe_world_create(w, &tight);
	EQUAL(pipe_world_open(w,
		  &(struct ipc9_pipe_open_options){ .mode = IPC9_PIPE_MODE_MESSAGES }, &w->client),
	    0);
	/* Longer than the quota: the request never waits for that. */
	EQUAL(ipc9_pipe_transact(w->client, "question", 8, got, 99, 30, &n, &more, &w->error),
	    IPC9_E_TIMEDOUT);
	pipe_expect(w->server, "question");
	EQUAL(pipe_put(w->server, "late"), 0);
	EQUAL(ipc9_pipe_transact(w->client, "x", 1, got, 99, 30, &n, &more, &w->error),
	    IPC9_E_BUSY);			      /* the reply is there to be read first */
	EQUAL(pipe_look(w->server), IPC9_E_TIMEDOUT); /* and nothing was written */
	pipe_expect(w->client, "late");
	EQUAL(ipc9_pipe_start_transact(w->client, "more", 4, got, 99, &op, &w->error), 0);
	pipe_settle(w, w->client);
	ipc9_pipe_op_cancel(op);
	EQUAL(ipc9_pipe_finish(op, 10000, NULL, &w->error), IPC9_E_CANCELLED);
	pipe_expect(w->server, "more");
}

BY_EVERY_WAY(test_transactions_are_for_duplex_message_pipes)
{
	const struct ipc9_pipe_options inbound = { .type = IPC9_PIPE_TYPE_MESSAGE,
		.access = IPC9_PIPE_ACCESS_INBOUND };
	size_t n;
	bool more;

	pipe_world_connect(w, NULL);
	EQUAL(ipc9_pipe_set_mode(w->client, IPC9_PIPE_MODE_MESSAGES, &w->error), IPC9_E_INVALID);
	EQUAL(ipc9_pipe_transact(w->client, "x", 1, got, 99, 0, &n, &more, &w->error),
	    IPC9_E_BADSTATE);
	EQUAL(pipe_world_open(w,
		  &(struct ipc9_pipe_open_options){ .mode = IPC9_PIPE_MODE_MESSAGES }, NULL),
	    IPC9_E_BUSY);
	pipe_world_close(w);
	pipe_world_connect(w, &inbound);
	EQUAL(ipc9_pipe_set_mode(w->client, IPC9_PIPE_MODE_MESSAGES, &w->error), 0);
	EQUAL(ipc9_pipe_transact(w->client, "x", 1, got, 99, 0, &n, &more, &w->error),
	    IPC9_E_BADSTATE);
	EQUAL(ipc9_pipe_transact(w->client, much, IPC9_MESSAGE_BYTES + 1, got, 99, 0, &n, &more,
		  &w->error),
	    IPC9_E_TOOBIG);
}

/* A server of one client after the other, each with one call; until a call says "end". */
static void *serve_calls(void *context)
{
	struct ipc9_pipe *pipe = context;
	struct ipc9_error e;
	char request[100] = "";
	size_t n = 0;
	bool more;

	while (memcmp(request, "end", 3) != 0) {
		if (!EQUAL(ipc9_pipe_accept(pipe, 20000, NULL, &e), 0) ||
		    !EQUAL(ipc9_pipe_read_message(pipe, request, 99, 20000, &n, &more, &e), 0))
			break;
		request[n] = '!';
		EQUAL(ipc9_pipe_write(pipe, request, n + 1, 5000, NULL, &e), 0);
		ipc9_pipe_flush(pipe, 20000, &e);
		EQUAL(ipc9_pipe_disconnect(pipe, &e), 0);
	}
	return NULL;
}

struct caller {
	struct pipe_world *w;
	pthread_t thread;
	int id;
};

static int call(struct pipe_world *w, const char *request, size_t size, int wait_ms, char *reply,
    size_t *ret_n, bool *ret_more)
{
	char address[128];

	w->maker->address(w, address, sizeof(address));
	return ipc9_pipe_call(w->ipc9, address, request, strlen(request), reply, size, wait_ms,
	    ret_n, ret_more, NULL);
}

static void *call_often(void *context)
{
	struct caller *c = context;

	for (int i = 0; i < 10; i++) {
		char request[32], want[32], reply[32];
		size_t n = 0;
		bool more = true;

		text_format(request, sizeof(request), "%d of %d", i, c->id);
		text_format(want, sizeof(want), "%s!", request);
		if (EQUAL(call(c->w, request, sizeof(reply), 60000, reply, &n, &more), 0)) {
			SAME_BYTES(reply, n, want, strlen(want));
			EQUAL(more, false);
		}
	}
	return NULL;
}

BY_EVERY_WAY(test_calls_wait_for_the_one_instance_and_get_their_own_replies)
{
	struct caller callers[4];
	pthread_t server;
	char reply[2];
	size_t n = 0;
	bool more = false;

	pipe_world_create(w, &pipe_messages);
	EQUAL(pthread_create(&server, NULL, serve_calls, w->server), 0);
	for (int i = 0; i < 4; i++) {
		callers[i] = (struct caller){ .w = w, .id = i };
		EQUAL(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(callers[i].thread, NULL);
	EQUAL(call(w, "end", sizeof(reply), 60000, reply, &n, &more), 0);
	SAME_BYTES(reply, n, "en", 2);
	EQUAL(more, true); /* the rest is lost */
	pthread_join(server, NULL);
	EQUAL(call(w, "x", sizeof(reply), 30, reply, &n, &more), IPC9_E_TIMEDOUT);
	w->server = ipc9_pipe_close(w->server);
	EQUAL(call(w, "x", sizeof(reply), IPC9_FOREVER, reply, &n, &more), IPC9_E_NOENT);
}

BY_EVERY_WAY(test_a_call_that_waited_no_longer_does_not_promise_its_reply)
{
	char address[128], reply[2];
	size_t n;
	bool more;

	pipe_world_create(w, &pipe_messages);
	w->maker->address(w, address, sizeof(address));
	EQUAL(ipc9_pipe_call(w->ipc9, address, "x", 1, reply, sizeof(reply), 500, &n, &more,
		  &w->error),
	    IPC9_E_TIMEDOUT);
	if (!HOLDS(strstr(w->error.text, "the request was written, and its reply, ") != NULL))
		SAME_TEXT(w->error.text, "");
}

/* --- Flush and disconnect ---------------------------------------------------------------------- */

static void *flush_forever(void *context)
{
	struct ipc9_pipe *pipe = context;

	EQUAL(ipc9_pipe_flush(pipe, 20000, NULL), 0);
	return NULL;
}

BY_EVERY_WAY(test_a_flush_is_over_when_the_other_end_has_read_and_closed_at_once)
{
	for (int i = 0; i < 20; i++) {
		pthread_t thread;

		pipe_world_connect(w, &pipe_messages);
		EQUAL(pipe_put(w->server, "all of it"), 0);
		EQUAL(pipe_put(w->server, ""), 0);
		EQUAL(ipc9_pipe_flush(w->server, 0, &w->error), IPC9_E_TIMEDOUT);
		EQUAL(pthread_create(&thread, NULL, flush_forever, w->server), 0);
		pipe_expect(w->client, "all of it");
		EQUAL(ipc9_pipe_read_message(w->client, got, 9, 0, &(size_t){ 0 }, &(bool){ false },
			  &w->error),
		    0);
		/* The reader is gone before the flush can look again. */
		w->client = ipc9_pipe_close(w->client);
		pthread_join(thread, NULL);
		pipe_world_close(w);
	}
}

BY_EVERY_WAY(test_disconnect_throws_away_what_is_unread_and_frees_the_instance)
{
	struct ipc9_pipe *second = NULL;

	pipe_world_connect(w, &pipe_messages);
	EQUAL(pipe_put(w->server, "to the client"), 0);
	EQUAL(pipe_put(w->client, "to the server"), 0);
	EQUAL(ipc9_pipe_disconnect(w->server, &w->error), 0);
	EQUAL(pipe_look(w->client), IPC9_E_NOTCONN);
	EQUAL(ipc9_pipe_wait_closed(w->client, 0, &w->error), IPC9_E_NOTCONN);
	/* Not before it accepts. */
	EQUAL(pipe_world_open(w, NULL, &second), IPC9_E_BUSY);
	EQUAL(ipc9_pipe_accept(w->server, 0, NULL, &w->error), IPC9_E_TIMEDOUT);
	EQUAL(pipe_world_open(w, NULL, &second), 0);
	EQUAL(ipc9_pipe_accept(w->server, 5000, NULL, &w->error), 0);
	EQUAL(pipe_look(w->server), IPC9_E_TIMEDOUT);
	EQUAL(pipe_look(second), IPC9_E_TIMEDOUT);
	EQUAL(pipe_put(second, "hello"), 0);
	pipe_expect(w->server, "hello");
	EQUAL(pipe_look(w->client), IPC9_E_NOTCONN); /* still */
	EQUAL(ipc9_pipe_end(second, &w->error), 0);
	w->client = ipc9_pipe_close(w->client);
	EQUAL(pipe_look(w->server), IPC9_E_EOF);
	EQUAL(ipc9_pipe_disconnect(w->server, &w->error), 0);
	ipc9_pipe_close(second);
	/* END was the last client's. */
	EQUAL(ipc9_pipe_accept(w->server, 0, NULL, &w->error), IPC9_E_TIMEDOUT);
	EQUAL(pipe_world_open(w, NULL, &w->client), 0);
	EQUAL(pipe_look(w->server), IPC9_E_TIMEDOUT);
}

/* A client that was thrown out, and does not close, is charged for what is kept of it. */
BY_EVERY_WAY(test_who_was_thrown_out_holds_no_instance)
{
	struct ipc9_pipe *clients[20] = { NULL };
	struct ipc9_quota_listing *quota = NULL;

	pipe_world_create(w, &pipe_messages);
	for (int i = 0; i < 20; i++) {
		EQUAL(ipc9_pipe_accept(w->server, 0, NULL, &w->error), IPC9_E_TIMEDOUT);
		EQUAL(pipe_world_open(w, NULL, &clients[i]), 0);
		EQUAL(ipc9_pipe_disconnect(w->server, &w->error), 0);
	}
	for (int i = 0; i < 20; i++) {
		EQUAL(pipe_look(clients[i]), IPC9_E_NOTCONN);
		ipc9_pipe_close(clients[i]);
	}
	w->server = ipc9_pipe_close(w->server);
	if (EQUAL(ipc9_quota_list(w->ipc9, NULL, &quota, &w->error), 0))
		EQUAL(quota->host.objects.used, 0);
	ipc9_quota_listing_free(quota);
}

/* --- Instances --------------------------------------------------------------------------------- */

BY_EVERY_WAY(test_an_instance_that_listens_again_goes_to_the_back)
{
	const struct ipc9_pipe_options two = { .max_instances = 2 };
	struct ipc9_pipe *second = NULL, *client = NULL;

	pipe_world_create(w, &two);
	EQUAL(ipc9_pipe_create(w->ipc9, w->name, &two, &second, &w->error), 0);
	EQUAL(pipe_world_open(w, NULL, &w->client), 0); /* the first */
	EQUAL(ipc9_pipe_disconnect(w->server, &w->error), 0);
	EQUAL(ipc9_pipe_accept(w->server, 0, NULL, &w->error), IPC9_E_TIMEDOUT);
	/* An accept that waits does not jump the queue: it is the second's turn. */
	EQUAL(pipe_world_open(w, NULL, &client), 0);
	EQUAL(pipe_put(client, "to the second"), 0);
	pipe_expect(second, "to the second");
	EQUAL(ipc9_pipe_accept(second, 0, NULL, &w->error), 0);
	EQUAL(ipc9_pipe_was_connected(second), true);
	EQUAL(ipc9_pipe_accept(w->server, 0, NULL, &w->error), IPC9_E_TIMEDOUT);
	ipc9_pipe_close(client);
	ipc9_pipe_close(second);
}

BY_EVERY_WAY(test_a_later_instance_is_as_the_first)
{
	const struct ipc9_pipe_options first = {
		.type = IPC9_PIPE_TYPE_MESSAGE, .max_instances = 2, .default_wait_ms = 70
	};
	const struct ipc9_pipe_options later = {
		.max_instances = IPC9_PIPE_NO_LIMIT, .quota_bytes = 10, .default_wait_ms = 900
	};
	const struct ipc9_pipe_options outbound = { .access = IPC9_PIPE_ACCESS_OUTBOUND };
	struct ipc9_pipe *second = NULL, *third = NULL;
	struct ipc9_pipe_end_info info = { .mode = 99 };

	pipe_world_create(w, &first);
	EQUAL(ipc9_pipe_create(w->ipc9, w->name, &outbound, &second, &w->error), IPC9_E_ACCESS);
	EQUAL(ipc9_pipe_create(w->ipc9, w->name, &later, &second, &w->error), 0);
	EQUAL(ipc9_pipe_type(second), IPC9_PIPE_TYPE_MESSAGE);
	if (EQUAL(ipc9_pipe_info_of(second, &info, &w->error), 0)) {
		EQUAL(info.instances, 2);
		EQUAL(info.max_instances, 2);
		EQUAL(info.default_wait_ms, 70);
		EQUAL(info.quota_bytes, 10); /* its own */
		EQUAL(info.mode, IPC9_PIPE_MODE_MESSAGES);
		EQUAL(info.access, IPC9_PIPE_ACCESS_DUPLEX);
	}
	EQUAL(ipc9_pipe_create(w->ipc9, w->name, &later, &third, &w->error), IPC9_E_BUSY);
	ipc9_pipe_close(second);
}

static void *open_one(void *context)
{
	struct pipe_world *w = context;
	char address[128];

	w->maker->address(w, address, sizeof(address));
	EQUAL(ipc9_pipe_wait(w->ipc9, address, 20000, NULL), 0);
	return NULL;
}

BY_EVERY_WAY(test_who_waits_for_an_instance_is_woken_by_one)
{
	const struct ipc9_pipe_options two = { .max_instances = 2 };
	struct ipc9_pipe *second = NULL;
	char address[128];
	pthread_t thread;

	pipe_world_create(w, &two);
	w->maker->address(w, address, sizeof(address));
	EQUAL(ipc9_pipe_wait(w->ipc9, address, 0, &w->error), 0);
	EQUAL(pipe_world_open(w, NULL, &w->client), 0);
	EQUAL(ipc9_pipe_wait(w->ipc9, address, 0, &w->error), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_pipe_wait(w->ipc9, address, IPC9_PIPE_DEFAULT_WAIT, &w->error), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_pipe_wait(w->ipc9, address, -3, &w->error), IPC9_E_INVALID);
	/* By a new one. */
	EQUAL(pthread_create(&thread, NULL, open_one, w), 0);
	EQUAL(ipc9_pipe_create(w->ipc9, w->name, &two, &second, &w->error), 0);
	pthread_join(thread, NULL);
	second = ipc9_pipe_close(second);
	/* By one that listens again. */
	EQUAL(pthread_create(&thread, NULL, open_one, w), 0);
	EQUAL(ipc9_pipe_disconnect(w->server, &w->error), 0);
	EQUAL(ipc9_pipe_accept(w->server, 0, NULL, &w->error), IPC9_E_TIMEDOUT);
	pthread_join(thread, NULL);
	pipe_world_close(w);
	EQUAL(ipc9_pipe_wait(w->ipc9, address, IPC9_FOREVER, &w->error), IPC9_E_NOENT);
}

BY_EVERY_WAY(test_a_pipe_for_its_own_host_is_closed_to_others)
{
	const struct ipc9_pipe_options local_only = { .local_only = true, .max_instances = 3 };
	const struct ipc9_pipe_options any = { .max_instances = 3 };
	int want = w->maker->remote ? IPC9_E_ACCESS : 0;
	struct ipc9_pipe_listing *listing = NULL;
	struct ipc9_pipe *second = NULL;
	char address[128];

	pipe_world_create(w, &local_only);
	w->maker->address(w, address, sizeof(address));
	EQUAL(pipe_world_open(w, NULL, &w->client), want);
	EQUAL(ipc9_pipe_accept(w->server, 0, NULL, &w->error), want ? IPC9_E_TIMEDOUT : 0);
	EQUAL(ipc9_pipe_create(w->ipc9, w->name, &any, &second, &w->error), 0);
	EQUAL(ipc9_pipe_wait(w->ipc9, address, 0, &w->error), want);
	/* Nor do others hear of it. */
	EQUAL(ipc9_pipe_info(w->ipc9, address, &listing, &w->error), want ? IPC9_E_NOENT : 0);
	if (listing)
		EQUAL(listing->pipes[0].local_only, true);
	ipc9_pipe_listing_free(listing);
	ipc9_pipe_close(second);
	pipe_world_close(w);
	pipe_world_create(w, &any);
	EQUAL(ipc9_pipe_create(w->ipc9, w->name, &local_only, &second, &w->error), IPC9_E_ACCESS);
}

BY_EVERY_WAY(test_both_ends_learn_who_the_other_is)
{
	struct ipc9_identity client = { .uid = 99 };
	struct ipc9_pipe_end_info info;

	pipe_world_create(w, NULL);
	EQUAL(pipe_world_open(w, NULL, &w->client), 0);
	EQUAL(ipc9_pipe_accept(w->server, 5000, &client, &w->error), 0);
	EQUAL(client.uid, getuid());
	EQUAL(client.how, w->maker->remote ? IPC9_HOW_CLAIMED : IPC9_HOW_KERNEL);
	EQUAL(client.pid, w->maker->remote ? 0 : getpid()); /* means something on one host only */
	EQUAL(ipc9_pipe_peer(w->client)->uid, getuid());
	EQUAL(ipc9_pipe_info_of(w->server, &info, &w->error), 0);
	EQUAL(info.peer.uid, getuid());
	EQUAL(info.peer.pid, client.pid);
	EQUAL(ipc9_pipe_disconnect(w->server, &w->error), 0);
	EQUAL(ipc9_pipe_info_of(w->server, &info, &w->error), 0);
	EQUAL(info.peer.how, IPC9_HOW_NONE);
}

BY_EVERY_WAY(test_a_server_whose_daemon_was_restarted_is_told_once_and_goes_on)
{
	const char *const rules[] = { "allow uid:4242 read" };
	const struct ipc9_pipe_options options = {
		.type = IPC9_PIPE_TYPE_MESSAGE, .first = true, .rules = rules, .n_rules = 1
	};
	struct ipc9_acl_listing *acl = NULL;
	char address[128];

	pipe_world_connect(w, &options);
	daemon_restart(&w->daemon);
	if (w->maker->carried != IPC9_PIPE_BY_CALLS) { /* what is in use goes on */
		EQUAL(pipe_put(w->client, "still"), 0);
		pipe_expect(w->server, "still");
	}
	w->client = ipc9_pipe_close(w->client);
	EQUAL(ipc9_pipe_disconnect(w->server, &w->error), IPC9_E_LOST);
	EQUAL(ipc9_pipe_accept(w->server, 0, NULL, &w->error), IPC9_E_TIMEDOUT);
	EQUAL(pipe_world_open(w, NULL, &w->client), 0);
	EQUAL(ipc9_pipe_accept(w->server, 5000, NULL, &w->error), 0);
	EQUAL(pipe_put(w->client, "again"), 0);
	pipe_expect(w->server, "again");
	text_format(address, sizeof(address), "//./pipe/%s", w->name);
	if (EQUAL(ipc9_acl_get(w->ipc9, address, &acl, &w->error), 0))
		EQUAL(acl->n_rules, 1);
	ipc9_acl_listing_free(acl);
	/* And once more, while it listens. */
	w->client = ipc9_pipe_close(w->client);
	EQUAL(ipc9_pipe_disconnect(w->server, &w->error), 0);
	EQUAL(ipc9_pipe_accept(w->server, 0, NULL, &w->error), IPC9_E_TIMEDOUT);
	daemon_restart(&w->daemon);
	EQUAL(ipc9_pipe_accept(w->server, 5000, NULL, &w->error), IPC9_E_LOST);
	EQUAL(ipc9_pipe_accept(w->server, 0, NULL, &w->error), IPC9_E_TIMEDOUT);
	EQUAL(pipe_world_open(w, NULL, &w->client), 0);
}

SUITE(pipe_rules, TEST(test_a_message_read_in_parts_says_that_it_goes_on),
    TEST(test_a_byte_read_of_a_message_pipe_ignores_boundaries_but_of_empty_messages),
    TEST(test_a_read_of_no_bytes_waits_for_data_and_leaves_it),
    TEST(test_peek_copies_what_is_there_and_takes_nothing),
    TEST(test_a_write_waits_until_what_is_unread_fits_the_quota),
    TEST(test_without_waiting_a_write_takes_what_fits),
    TEST(test_an_end_that_does_not_wait_says_so_in_its_own_words),
    TEST(test_one_write_may_be_much_larger_than_the_quota),
    TEST(test_what_a_cancelled_write_left_unread_is_taken_back_from_the_daemon),
    TEST(test_a_write_under_way_of_a_writer_that_vanishes_is_taken_back_by_the_daemon),
    TEST(test_a_transaction_is_a_request_and_its_reply),
    TEST(test_a_transaction_that_was_given_up_has_sent_its_request),
    TEST(test_transactions_are_for_duplex_message_pipes),
    TEST(test_calls_wait_for_the_one_instance_and_get_their_own_replies),
    TEST(test_a_call_that_waited_no_longer_does_not_promise_its_reply),
    TEST(test_a_flush_is_over_when_the_other_end_has_read_and_closed_at_once),
    TEST(test_disconnect_throws_away_what_is_unread_and_frees_the_instance),
    TEST(test_who_was_thrown_out_holds_no_instance),
    TEST(test_an_instance_that_listens_again_goes_to_the_back),
    TEST(test_a_later_instance_is_as_the_first),
    TEST(test_who_waits_for_an_instance_is_woken_by_one),
    TEST(test_a_pipe_for_its_own_host_is_closed_to_others),
    TEST(test_both_ends_learn_who_the_other_is),
    TEST(test_a_server_whose_daemon_was_restarted_is_told_once_and_goes_on));
