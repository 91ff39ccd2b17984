/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pipe_place.c - pipes in place: what reserve, commit, view and consume promise, by every way in which a client can reach
 * a pipe, and over unnamed ones.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/pipes.h"

#define LONG_MS 20000
#define MUCH 5000000

static char got[256];

static struct ipc9_error e;

/* What a reservation that does not wait comes to; *ret_room is where it is. */
static int reserve(struct ipc9_pipe *pipe, size_t size, void **ret_room)
{
	size_t n = 0;
	int r = ipc9_pipe_reserve(pipe, size, 0, ret_room, &n, &e);

	if (!r)
		EQUAL(n, size);
	return r;
}

static int place(struct ipc9_pipe *pipe, const char *text)
{
	size_t n = strlen(text);
	void *room = NULL;
	int r = reserve(pipe, n, &room);

	if (r)
		return r;
	memcpy(room, text, n);
	return ipc9_pipe_commit(pipe, n, LONG_MS, &e);
}

/* Views, compares, and leaves it viewed. */
static void expect_view(struct ipc9_pipe *pipe, const char *text)
{
	const void *data = NULL;
	size_t n = 0;

	if (EQUAL(ipc9_pipe_view(pipe, 5000, &data, &n, &e), 0))
		SAME_BYTES(data, n, text, strlen(text));
}

static int look(struct ipc9_pipe *pipe)
{
	const void *data;
	size_t n;

	return ipc9_pipe_view(pipe, 0, &data, &n, &e);
}

/* --- Data -------------------------------------------------------------------------------------- */

BY_EVERY_WAY(test_what_is_reserved_can_be_read_once_it_is_committed)
{
	void *room = NULL;

	pipe_world_connect(w, NULL);
	EQUAL(reserve(w->client, 100, &room), 0);
	memcpy(room, "in place, and what is behind", 28);
	EQUAL(pipe_look(w->server), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_pipe_commit(w->client, 8, LONG_MS, &e), 0);
	expect_view(w->server, "in place");
	EQUAL(ipc9_pipe_consume(w->server, 3, &e), 0);
	expect_view(w->server, "place"); /* what was not consumed is still there */
	EQUAL(ipc9_pipe_consume(w->server, 0, &e), 0);
	pipe_expect(w->server, "place");
	EQUAL(pipe_look(w->server), IPC9_E_TIMEDOUT);
	/* The other way, beside copying. */
	EQUAL(place(w->server, "back"), 0);
	pipe_expect(w->client, "back");
	EQUAL(pipe_put(w->server, "again"), 0);
	expect_view(w->client, "again");
	EQUAL(ipc9_pipe_consume(w->client, 5, &e), 0);
	EQUAL(look(w->client), IPC9_E_TIMEDOUT);
}

BY_EVERY_WAY(test_messages_are_viewed_whole_and_may_be_empty)
{
	void *room = NULL;

	pipe_world_connect(w, &pipe_messages);
	EQUAL(place(w->client, "first"), 0);
	EQUAL(place(w->client, ""), 0);
	EQUAL(reserve(w->client, 9, &room), 0);
	memcpy(room, "xy", 2);
	EQUAL(ipc9_pipe_commit(w->client, 2, LONG_MS, &e), 0);
	EQUAL(reserve(w->client, 9, &room), 0);
	EQUAL(ipc9_pipe_commit(w->client, 0, LONG_MS, &e), 0); /* an empty one, too */
	EQUAL(place(w->client, "last"), 0);
	expect_view(w->server, "first");
	EQUAL(ipc9_pipe_consume(w->server, 2, &e), 0);
	expect_view(w->server, "rst");
	EQUAL(ipc9_pipe_consume(w->server, 0, &e), 0); /* takes nothing */
	pipe_expect(w->server, "rst");
	expect_view(w->server, "");
	EQUAL(ipc9_pipe_consume(w->server, 0, &e), 0); /* takes it */
	expect_view(w->server, "xy");
	EQUAL(ipc9_pipe_consume(w->server, 2, &e), 0);
	pipe_expect(w->server, "");
	expect_view(w->server, "last");
	EQUAL(ipc9_pipe_consume(w->server, 4, &e), 0);
	EQUAL(look(w->server), IPC9_E_TIMEDOUT);
}

BY_EVERY_WAY(test_what_is_given_up_is_not_written)
{
	void *room = NULL;

	pipe_world_connect(w, &pipe_messages);
	ipc9_pipe_unreserve(w->client); /* nothing */
	EQUAL(reserve(w->client, 7, &room), 0);
	memcpy(room, "nothing", 7);
	ipc9_pipe_unreserve(w->client);
	EQUAL(ipc9_pipe_commit(w->client, 0, LONG_MS, &e), IPC9_E_BADSTATE);
	EQUAL(pipe_put(w->client, "copied"), 0);
	EQUAL(place(w->client, "placed"), 0);
	pipe_expect(w->server, "copied");
	pipe_expect(w->server, "placed");
	EQUAL(pipe_look(w->server), IPC9_E_TIMEDOUT);
}

static char pattern(size_t at)
{
	return (char)(at * 167 + (at >> 8) * 13 + (at >> 16));
}

/* Writes MUCH in place, in pieces of changing lengths. */
static void *place_much(void *context)
{
	struct ipc9_pipe *pipe = context;
	size_t at = 0, n = 0;
	int r = 0;

	while (!r && at < MUCH) {
		size_t want = 1 + at * 7919 % 300000;
		char *room = NULL;

		want = want < MUCH - at ? want : MUCH - at;
		r = ipc9_pipe_reserve(pipe, want, LONG_MS, (void **)&room, &n, NULL);
		for (size_t i = 0; !r && i < n; i++)
			room[i] = pattern(at + i);
		if (!r)
			r = ipc9_pipe_commit(pipe, n, LONG_MS, NULL);
		at += n;
	}
	EQUAL(r, 0);
	EQUAL(ipc9_pipe_end(pipe, NULL), 0);
	return NULL;
}

/* Reads it in place to the end, now much at once and now little; how many bytes were as they should be. */
static size_t view_much(struct ipc9_pipe *pipe)
{
	size_t at = 0, n = 0, good = 0;
	const char *data = NULL;
	int r;

	while (!(r = ipc9_pipe_view(pipe, LONG_MS, (const void **)&data, &n, &e))) {
		size_t part = at % 3 && n > 1000 ? n / 2 : n;

		for (size_t i = 0; i < part; i++)
			good += data[i] == pattern(at + i);
		at += part;
		if (!EQUAL(ipc9_pipe_consume(pipe, part, &e), 0))
			break;
	}
	EQUAL(r, IPC9_E_EOF);
	return good;
}

BY_EVERY_WAY(test_much_data_arrives_whole_in_place)
{
	for (int message = 0; message < 2; message++)
		for (int i = 0; i < 2; i++) {
			const struct ipc9_pipe_options options = {
				.type = message ? IPC9_PIPE_TYPE_MESSAGE : IPC9_PIPE_TYPE_BYTE,
				.quota_bytes = i ? 1000 : 0,
			};
			pthread_t thread;

			pipe_world_connect(w, &options);
			EQUAL(pthread_create(&thread, NULL, place_much, w->client), 0);
			EQUAL(view_much(w->server), MUCH);
			pthread_join(thread, NULL);
			pipe_world_close(w);
		}
}

BY_EVERY_WAY(test_the_longest_message_goes_in_place)
{
	const struct ipc9_pipe_options tight = { .type = IPC9_PIPE_TYPE_MESSAGE,
		.quota_bytes = 10 };
	size_t n = 0;
	void *room = NULL;
	const void *data = NULL;
	char *copy = malloc(IPC9_MESSAGE_BYTES);

	pipe_world_connect(w, &tight);
	EQUAL(ipc9_pipe_reserve(w->client, IPC9_MESSAGE_BYTES + 1, LONG_MS, &room, &n, &e),
	    IPC9_E_TOOBIG);
	if (EQUAL(ipc9_pipe_reserve(w->client, IPC9_MESSAGE_BYTES, LONG_MS, &room, &n, &e), 0)) {
		for (size_t i = 0; i < IPC9_MESSAGE_BYTES; i++)
			copy[i] = pattern(i);
		memcpy(room, copy, IPC9_MESSAGE_BYTES);
		/* Beyond what a socket holds: somebody has to read meanwhile. */
		EQUAL(ipc9_pipe_set_mode(w->client, 0, &e), 0);
		for (int r = IPC9_E_TIMEDOUT; r == IPC9_E_TIMEDOUT;) {
			r = ipc9_pipe_commit(w->client, n, 1, &e);
			HOLDS(r == 0 || r == IPC9_E_TIMEDOUT);
		}
	}
	for (int r = IPC9_E_TIMEDOUT; r == IPC9_E_TIMEDOUT;) {
		r = ipc9_pipe_view(w->server, 1, &data, &n, &e);
		ipc9_pipe_flush(w->client, 1, &e); /* what has not left leaves */
	}
	EQUAL(n, IPC9_MESSAGE_BYTES);
	HOLDS(memcmp(data, copy, n) == 0);
	EQUAL(ipc9_pipe_consume(w->server, n, &e), 0);
	EQUAL(ipc9_pipe_flush(w->client, LONG_MS, &e), 0);
	free(copy);
}

BY_EVERY_WAY(test_through_memory_nothing_is_copied)
{
	char *room = NULL;
	const char *data = NULL;
	size_t n = 0;

	pipe_world_connect(w, NULL);
	EQUAL(reserve(w->client, 3, (void **)&room), 0);
	memcpy(room, "abc", 3);
	EQUAL(ipc9_pipe_commit(w->client, 3, LONG_MS, &e), 0);
	EQUAL(ipc9_pipe_view(w->server, LONG_MS, (const void **)&data, &n, &e), 0);
	room[1] = 'x'; /* as only a program that does wrong would */
	SAME_BYTES(data, n, w->maker->carried == IPC9_PIPE_BY_MEMORY ? "axc" : "abc", 3);
}

static void test_unnamed_pipes_go_in_place_too(void)
{
	static const enum ipc9_pipe_way ways[] = { IPC9_PIPE_BY_MEMORY, IPC9_PIPE_BY_SOCKET };

	for (size_t i = 0; i < 2; i++) {
		const struct ipc9_pipe_pair_options options = { .way = ways[i],
			.access = IPC9_PIPE_ACCESS_INBOUND };
		struct ipc9_pipe_loose loose[2];
		struct ipc9_pipe *pipe[2] = { NULL, NULL };
		struct ipc9 *ipc9;
		void *room;

		EQUAL(ipc9_new(NULL, &ipc9, NULL), 0);
		EQUAL(ipc9_pipe_pair(&options, loose, &e), 0);
		for (int j = 0; j < 2; j++)
			EQUAL(ipc9_pipe_adopt(ipc9, &loose[j], &pipe[j], &e), 0);
		EQUAL(place(pipe[1], "unnamed"), 0);
		expect_view(pipe[0], "unnamed");
		EQUAL(ipc9_pipe_consume(pipe[0], 7, &e), 0);
		/* In the other direction there is nothing. */
		EQUAL(reserve(pipe[0], 1, &room), IPC9_E_ACCESS);
		EQUAL(look(pipe[1]), IPC9_E_ACCESS);
		pipe[1] = ipc9_pipe_close(pipe[1]);
		EQUAL(ipc9_pipe_wait_closed(pipe[0], LONG_MS, &e), 0);
		EQUAL(look(pipe[0]), IPC9_E_EOF);
		ipc9_pipe_close(pipe[0]);
		ipc9_free(ipc9);
	}
}

/* --- Quota ------------------------------------------------------------------------------------- */

BY_EVERY_WAY(test_a_reservation_waits_until_what_was_written_fits_the_quota)
{
	const struct ipc9_pipe_options tight = { .type = IPC9_PIPE_TYPE_MESSAGE,
		.quota_bytes = 10 };
	void *room = NULL;
	size_t n = 0;

	pipe_world_connect(w, &tight);
	EQUAL(place(w->client, "01234567"), 0);
	/* It may exceed the quota, if it waits; and does not wait for what was not. */
	EQUAL(ipc9_pipe_reserve(w->client, 5, LONG_MS, &room, &n, &e), 0);
	memcpy(room, "89abc", 5);
	EQUAL(ipc9_pipe_commit(w->client, 5, LONG_MS, &e), 0);
	EQUAL(ipc9_pipe_reserve(w->client, 1, 20, &room, &n, &e), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_pipe_reserve(w->client, 0, LONG_MS, &room, &n, &e), 0); /* never waits */
	EQUAL(ipc9_pipe_commit(w->client, 0, LONG_MS, &e), 0);
	/* What is viewed is unread until it is consumed. */
	expect_view(w->server, "01234567");
	EQUAL(ipc9_pipe_reserve(w->client, 1, 20, &room, &n, &e), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_pipe_consume(w->server, 8, &e), 0);
	EQUAL(ipc9_pipe_reserve(w->client, 1, LONG_MS, &room, &n, &e), 0);
}

BY_EVERY_WAY(test_without_waiting_a_reservation_is_for_what_fits)
{
	const struct ipc9_pipe_options bytes = { .quota_bytes = 10 };
	const struct ipc9_pipe_options messages = { .type = IPC9_PIPE_TYPE_MESSAGE,
		.quota_bytes = 10 };
	void *room = NULL;
	size_t n = 0;

	pipe_world_connect(w, &bytes);
	EQUAL(place(w->client, "0123456"), 0);
	EQUAL(ipc9_pipe_reserve(w->client, 6, 0, &room, &n, &e), 0);
	EQUAL(n, 3);
	memcpy(room, "789", 3);
	EQUAL(ipc9_pipe_commit(w->client, 3, LONG_MS, &e), 0);
	EQUAL(ipc9_pipe_reserve(w->client, 6, 0, &room, &n, &e), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_pipe_set_mode(w->client, IPC9_PIPE_MODE_NO_WAIT, &e), 0);
	EQUAL(ipc9_pipe_reserve(w->client, 6, LONG_MS, &room, &n, &e), IPC9_E_WOULDBLOCK);
	EQUAL(ipc9_pipe_set_mode(w->server, IPC9_PIPE_MODE_NO_WAIT, &e), 0);
	expect_view(w->server, "0123456789");
	EQUAL(ipc9_pipe_consume(w->server, 10, &e), 0);
	EQUAL(look(w->server), IPC9_E_WOULDBLOCK);
	pipe_world_close(w);
	pipe_world_connect(w, &messages);
	EQUAL(reserve(w->client, 11, &room), IPC9_E_TIMEDOUT);
	EQUAL(place(w->client, "0123456"), 0);
	EQUAL(reserve(w->client, 4, &room), IPC9_E_TIMEDOUT);
	EQUAL(place(w->client, "789"), 0);
	EQUAL(place(w->client, ""), 0);
	pipe_expect(w->server, "0123456");
	pipe_expect(w->server, "789");
	pipe_expect(w->server, "");
}

BY_EVERY_WAY(test_what_is_viewed_is_unread_for_everybody)
{
	struct ipc9_pipe_end_info info = { .unread_bytes = 99 };
	struct ipc9_pipe_peeked peeked = { .size_bytes = 0 };

	pipe_world_connect(w, &pipe_messages);
	EQUAL(pipe_put(w->client, "viewed"), 0);
	expect_view(w->server, "viewed");
	EQUAL(ipc9_pipe_flush(w->client, 20, &e), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_pipe_info_of(w->server, &info, &e), 0);
	EQUAL(info.unread_bytes, 6);
	EQUAL(ipc9_pipe_peek(w->server, got, sizeof(got), &peeked, &e), 0);
	SAME_BYTES(got, peeked.size_bytes, "viewed", 6);
	EQUAL(ipc9_pipe_consume(w->server, 6, &e), 0);
	EQUAL(ipc9_pipe_flush(w->client, LONG_MS, &e), 0);
}

/* --- What goes together ------------------------------------------------------------------------ */

BY_EVERY_WAY(test_while_something_is_reserved_nothing_else_is_written)
{
	struct ipc9_pipe_op *op = NULL;
	const struct iovec piece = { (void *)(uintptr_t) "x", 1 };
	void *room = NULL;
	size_t n = 99;
	bool more;

	pipe_world_connect(w, &pipe_messages);
	EQUAL(ipc9_pipe_set_mode(w->client, IPC9_PIPE_MODE_MESSAGES, &e), 0);
	EQUAL(ipc9_pipe_commit(w->client, 0, LONG_MS, &e), IPC9_E_BADSTATE);
	EQUAL(reserve(w->client, 4, &room), 0);
	EQUAL(reserve(w->client, 4, &room), IPC9_E_BADSTATE);
	EQUAL(ipc9_pipe_write(w->client, "x", 1, LONG_MS, &n, &e), IPC9_E_BADSTATE);
	EQUAL(n, 0);
	EQUAL(ipc9_pipe_start_write(w->client, "x", 1, &op, &e), IPC9_E_BADSTATE);
	EQUAL(ipc9_pipe_start_writes(w->client, &piece, 1, &op, &e), IPC9_E_BADSTATE);
	EQUAL(ipc9_pipe_transact(w->client, "x", 1, got, 9, LONG_MS, &n, &more, &e),
	    IPC9_E_BADSTATE);
	EQUAL(ipc9_pipe_start_transact(w->client, "x", 1, got, 9, &op, &e), IPC9_E_BADSTATE);
	EQUAL(ipc9_pipe_commit(w->client, 5, LONG_MS, &e), IPC9_E_INVALID);
	EQUAL(ipc9_pipe_commit(w->client, 4, -2, &e), IPC9_E_INVALID);
	/* The other direction has nothing to do with it, nor has what only waits. */
	EQUAL(pipe_put(w->server, "there"), 0);
	pipe_expect(w->client, "there");
	EQUAL(ipc9_pipe_flush(w->client, LONG_MS, &e), 0);
	memcpy(room, "good", 4);
	EQUAL(ipc9_pipe_commit(w->client, 4, LONG_MS, &e), 0);
	pipe_expect(w->server, "good");
	EQUAL(pipe_look(w->server), IPC9_E_TIMEDOUT);
	/* To end does not take it away, but there is nothing more to be done with it. */
	EQUAL(reserve(w->client, 4, &room), 0);
	EQUAL(ipc9_pipe_end(w->client, &e), 0);
	EQUAL(ipc9_pipe_commit(w->client, 4, LONG_MS, &e), IPC9_E_BADSTATE);
	EQUAL(reserve(w->client, 4, &room), IPC9_E_BADSTATE);
	EQUAL(look(w->server), IPC9_E_EOF);
}

BY_EVERY_WAY(test_while_something_is_viewed_nothing_else_is_read)
{
	struct ipc9_pipe_op *op = NULL;
	size_t n = 99;
	bool more;

	pipe_world_connect(w, &pipe_messages);
	EQUAL(ipc9_pipe_consume(w->server, 0, &e), IPC9_E_BADSTATE);
	EQUAL(pipe_put(w->client, "viewed"), 0);
	expect_view(w->server, "viewed");
	EQUAL(look(w->server), IPC9_E_BADSTATE);
	EQUAL(pipe_look(w->server), IPC9_E_BADSTATE);
	EQUAL(ipc9_pipe_read_message(w->server, got, 9, 0, &n, &more, &e), IPC9_E_BADSTATE);
	EQUAL(ipc9_pipe_start_read(w->server, got, 9, &op, &e), IPC9_E_BADSTATE);
	EQUAL(ipc9_pipe_transact(w->server, "x", 1, got, 9, LONG_MS, &n, &more, &e),
	    IPC9_E_BADSTATE);
	EQUAL(ipc9_pipe_consume(w->server, 7, &e), IPC9_E_INVALID);
	EQUAL(pipe_put(w->server, "answer"), 0);
	pipe_expect(w->client, "answer");
	EQUAL(ipc9_pipe_consume(w->server, 6, &e), 0);
	EQUAL(look(w->server), IPC9_E_TIMEDOUT);
	/* Of a view that failed there is nothing to consume. */
	EQUAL(ipc9_pipe_consume(w->server, 0, &e), IPC9_E_BADSTATE);
	EQUAL(look(w->server), IPC9_E_TIMEDOUT);
}

BY_EVERY_WAY(test_nothing_is_in_place_beside_operations_that_were_started)
{
	const struct ipc9_pipe_options tight = { .quota_bytes = 10 };
	struct ipc9_pipe_op *reading = NULL, *writing = NULL;
	void *room = NULL;

	pipe_world_connect(w, &tight);
	EQUAL(ipc9_pipe_start_read(w->server, got, 4, &reading, &e), 0);
	pipe_settle(w, w->server);
	EQUAL(look(w->server), IPC9_E_BADSTATE);
	EQUAL(reserve(w->server, 1, &room), 0); /* the other direction */
	EQUAL(ipc9_pipe_start_write(w->client, "0123456789abcdef", 16, &writing, &e), 0);
	EQUAL(reserve(w->client, 1, &room), IPC9_E_BADSTATE);
	EQUAL(ipc9_pipe_finish(reading, LONG_MS, NULL, &e), 0);
	EQUAL(ipc9_pipe_finish(writing, 0, NULL, &e), IPC9_E_PENDING);
	expect_view(w->server, "456789abcdef");
	EQUAL(ipc9_pipe_consume(w->server, 12, &e), 0);
	EQUAL(ipc9_pipe_finish(writing, LONG_MS, NULL, &e), 0);
	EQUAL(reserve(w->client, 1, &room), 0);
}

BY_EVERY_WAY(test_a_started_read_of_no_bytes_tells_when_to_view)
{
	struct ipc9_pipe_op *op = NULL;

	pipe_world_connect(w, NULL);
	EQUAL(ipc9_pipe_start_read(w->server, NULL, 0, &op, &e), 0);
	EQUAL(ipc9_pipe_finish(op, 0, NULL, &e), IPC9_E_PENDING);
	EQUAL(place(w->client, "news"), 0);
	EQUAL(ipc9_pipe_finish(op, LONG_MS, NULL, &e), 0);
	EQUAL(look(w->server), 0);
	EQUAL(ipc9_pipe_consume(w->server, 4, &e), 0);
}

BY_EVERY_WAY(test_in_place_one_says_what_cannot_be)
{
	const void *data;
	void *room = NULL;
	size_t n = 99;

	pipe_world_connect(w, NULL);
	EQUAL(ipc9_pipe_reserve(w->client, 0, LONG_MS, &room, &n, &e), IPC9_E_INVALID);
	EQUAL(ipc9_pipe_reserve(w->client, 1, -2, &room, &n, &e), IPC9_E_INVALID);
	EQUAL(ipc9_pipe_view(w->client, -2, &data, &n, &e), IPC9_E_INVALID);
	EQUAL(n, 99);
	EQUAL(reserve(w->client, 1, &room), 0);
	EQUAL(ipc9_pipe_commit(w->client, 0, LONG_MS, &e), 0); /* no bytes, no effect */
	EQUAL(look(w->server), IPC9_E_TIMEDOUT);
	pipe_world_close(w);
	pipe_world_connect(w, &(struct ipc9_pipe_options){ .access = IPC9_PIPE_ACCESS_INBOUND });
	EQUAL(look(w->client), IPC9_E_ACCESS);
	EQUAL(reserve(w->server, 1, &room), IPC9_E_ACCESS);
	EQUAL(place(w->client, "inbound"), 0);
	expect_view(w->server, "inbound");
}

/* --- When the state changes -------------------------------------------------------------------- */

enum change {
	OTHER_CLOSES,
	OTHER_VANISHES,
	DISCONNECT,
	ABORT,
	CANCEL,
	CHANGES,
};

static const struct {
	const char *name;
	int commit, consume;
} changes[CHANGES] = {
	{ "the other end closes", IPC9_E_PEERCLOSED, 0 },
	{ "the other end vanishes", IPC9_E_LOST, 0 },
	{ "the server disconnects", IPC9_E_NOTCONN, IPC9_E_NOTCONN },
	{ "this end aborts", IPC9_E_LOST, IPC9_E_LOST },
	{ "nothing is under way to be cancelled", 0, 0 },
};

static void change_state(struct pipe_world *w, enum change change, bool server)
{
	struct ipc9_pipe *mine = server ? w->server : w->client;
	struct ipc9_pipe **other = server ? &w->client : &w->server;

	switch (change) {
	case OTHER_CLOSES:
		*other = ipc9_pipe_close(*other);
		EQUAL(ipc9_pipe_wait_closed(mine, LONG_MS, &e), 0);
		break;
	case OTHER_VANISHES:
		ipc9_pipe_abort(*other);
		EQUAL(ipc9_pipe_wait_closed(mine, LONG_MS, &e), IPC9_E_LOST);
		break;
	case DISCONNECT:
		EQUAL(ipc9_pipe_disconnect(w->server, &e), 0);
		break;
	case ABORT:
		ipc9_pipe_abort(mine);
		break;
	default:
		ipc9_pipe_cancel(mine);
	}
}

static void check_change(struct pipe_world *w, enum change change, bool server)
{
	struct ipc9_pipe *pipe;
	const char *data = NULL;
	void *room = NULL;
	size_t n = 0;
	int commit, consume;

	pipe_world_connect(w, &pipe_messages);
	pipe = server ? w->server : w->client;
	EQUAL(pipe_put(server ? w->client : w->server, "yours"), 0);
	EQUAL(reserve(pipe, 4, &room), 0);
	EQUAL(ipc9_pipe_view(pipe, LONG_MS, (const void **)&data, &n, &e), 0);
	change_state(w, change, server);
	/* Both are still there, whatever they are good for. */
	memcpy(room, "mine", 4);
	SAME_BYTES(data, n, "yours", 5);
	commit = ipc9_pipe_commit(pipe, 4, LONG_MS, &e);
	consume = ipc9_pipe_consume(pipe, 5, &e);
	if (!EQUAL(commit, changes[change].commit) || !EQUAL(consume, changes[change].consume))
		printf("  at the %s when %s: %s\n", server ? "server" : "client",
		    changes[change].name, w->maker->name);
	EQUAL(ipc9_pipe_commit(pipe, 4, LONG_MS, &e), IPC9_E_BADSTATE);
	EQUAL(ipc9_pipe_consume(pipe, 0, &e), IPC9_E_BADSTATE);
	pipe_world_close(w);
}

BY_EVERY_WAY(test_what_is_in_place_stays_and_says_what_has_happened)
{
	for (enum change c = 0; c < CHANGES; c++) {
		check_change(w, c, false);
		check_change(w, c, true);
	}
}

BY_EVERY_WAY(test_what_was_reserved_for_one_client_is_not_for_the_next)
{
	struct ipc9_pipe *second = NULL;
	const char *data = NULL;
	void *room = NULL;
	size_t n = 0;

	pipe_world_connect(w, NULL);
	EQUAL(pipe_put(w->client, "first"), 0);
	EQUAL(reserve(w->server, 6, &room), 0);
	EQUAL(ipc9_pipe_view(w->server, LONG_MS, (const void **)&data, &n, &e), 0);
	EQUAL(ipc9_pipe_disconnect(w->server, &e), 0);
	EQUAL(ipc9_pipe_accept(w->server, 0, NULL, &e), IPC9_E_TIMEDOUT);
	EQUAL(pipe_world_open(w, NULL, &second), 0);
	EQUAL(ipc9_pipe_accept(w->server, LONG_MS, NULL, &e), 0);
	EQUAL(pipe_put(second, "second"), 0);
	memcpy(room, "secret", 6);
	SAME_BYTES(data, n, "first", 5);
	EQUAL(ipc9_pipe_commit(w->server, 6, LONG_MS, &e), IPC9_E_NOTCONN);
	EQUAL(ipc9_pipe_consume(w->server, 5, &e), IPC9_E_NOTCONN);
	EQUAL(pipe_look(second), IPC9_E_TIMEDOUT);
	expect_view(w->server, "second");
	EQUAL(ipc9_pipe_consume(w->server, 6, &e), 0);
	EQUAL(place(w->server, "for it"), 0);
	pipe_expect(second, "for it");
	/* And once more, closed with both in place, of which the one is an earlier client's. */
	EQUAL(reserve(w->server, 6, &room), 0);
	EQUAL(ipc9_pipe_disconnect(w->server, &e), 0);
	ipc9_pipe_close(second);
	w->client = ipc9_pipe_close(w->client);
	EQUAL(ipc9_pipe_accept(w->server, 0, NULL, &e), IPC9_E_TIMEDOUT);
	EQUAL(pipe_world_open(w, NULL, &w->client), 0);
	EQUAL(pipe_put(w->client, "third"), 0);
	expect_view(w->server, "third");
	w->server = ipc9_pipe_close(w->server);
	EQUAL(ipc9_pipe_wait_closed(w->client, LONG_MS, &e), 0);
}

/* Has both in place, in a thread of its own, while the server disconnects. */
struct holder {
	struct ipc9_pipe *pipe;
	_Atomic bool holds, disconnected;
	int commit, consume;
};

static bool is_set(void *flag)
{
	return atomic_load((_Atomic bool *)flag);
}

static void *hold_both(void *context)
{
	struct holder *h = context;
	const char *data = NULL;
	void *room = NULL;
	size_t n = 0;

	EQUAL(ipc9_pipe_view(h->pipe, LONG_MS, (const void **)&data, &n, NULL), 0);
	EQUAL(ipc9_pipe_reserve(h->pipe, 3, LONG_MS, &room, &n, NULL), 0);
	atomic_store(&h->holds, true);
	while (!atomic_load(&h->disconnected)) {
		memset(room, data[0], 3);
		memset(room, data[4], 3);
	}
	h->commit = ipc9_pipe_commit(h->pipe, 3, LONG_MS, NULL);
	h->consume = ipc9_pipe_consume(h->pipe, 5, NULL);
	return NULL;
}

BY_EVERY_WAY(test_a_disconnect_by_another_thread_takes_no_memory_away)
{
	struct holder h = { .commit = 0 };
	pthread_t thread;

	pipe_world_connect(w, NULL);
	h.pipe = w->server;
	EQUAL(pipe_put(w->client, "yours"), 0);
	EQUAL(pthread_create(&thread, NULL, hold_both, &h), 0);
	HOLDS(wait_until(is_set, &h.holds, LONG_MS));
	EQUAL(ipc9_pipe_disconnect(w->server, &e), 0);
	atomic_store(&h.disconnected, true);
	pthread_join(thread, NULL);
	EQUAL(h.commit, IPC9_E_NOTCONN);
	EQUAL(h.consume, IPC9_E_NOTCONN);
	EQUAL(pipe_look(w->client), IPC9_E_NOTCONN);
}

/* One that waits in a thread of its own. */
struct waiter {
	struct ipc9_pipe *pipe;
	bool writes;
	int result;
	pthread_t thread;
	_Atomic bool ended;
};

static void *wait_in_place(void *context)
{
	struct waiter *waiter = context;
	const void *data;
	void *room;
	size_t n;

	waiter->result = waiter->writes
	    ? ipc9_pipe_reserve(waiter->pipe, 1, LONG_MS, &room, &n, NULL)
	    : ipc9_pipe_view(waiter->pipe, LONG_MS, &data, &n, NULL);
	atomic_store(&waiter->ended, true);
	return NULL;
}

/* A client of which a view and a reservation wait. */
static void start_waiters(struct pipe_world *w, struct waiter waiters[2])
{
	const struct ipc9_pipe_options tight = { .type = IPC9_PIPE_TYPE_MESSAGE,
		.quota_bytes = 10 };
	size_t n;

	pipe_world_connect(w, &tight);
	EQUAL(ipc9_pipe_write(w->client, "0123456789abc", 13, 1, &n, &e), IPC9_E_TIMEDOUT);
	for (int i = 0; i < 2; i++) {
		waiters[i] = (struct waiter){ .pipe = w->client, .writes = i };
		EQUAL(pthread_create(&waiters[i].thread, NULL, wait_in_place, &waiters[i]), 0);
	}
}

static void join(struct waiter waiters[2])
{
	for (int i = 0; i < 2; i++)
		pthread_join(waiters[i].thread, NULL);
}

BY_EVERY_WAY(test_what_waits_is_cancelled_and_the_end_stays_usable)
{
	const struct timespec pause = { 0, 1000000 };
	struct waiter waiters[2];

	start_waiters(w, waiters);
	while (!atomic_load(&waiters[0].ended) || !atomic_load(&waiters[1].ended)) {
		ipc9_pipe_cancel(w->client); /* a cancel that comes too early ends nothing */
		nanosleep(&pause, NULL);
	}
	join(waiters);
	EQUAL(waiters[0].result, IPC9_E_CANCELLED);
	EQUAL(waiters[1].result, IPC9_E_CANCELLED);
	pipe_expect(w->server, "0123456789abc");
	EQUAL(ipc9_pipe_flush(w->client, LONG_MS, &e), 0);
	EQUAL(place(w->client, "on"), 0);
	expect_view(w->server, "on");
}

BY_EVERY_WAY(test_what_waits_ends_when_the_other_end_does)
{
	for (int vanishes = 0; vanishes < 2; vanishes++) {
		struct waiter waiters[2];

		start_waiters(w, waiters);
		if (vanishes)
			ipc9_pipe_abort(w->server);
		else
			w->server = ipc9_pipe_close(w->server);
		join(waiters);
		EQUAL(waiters[0].result, vanishes ? IPC9_E_LOST : IPC9_E_EOF);
		/* Unless it had not begun. */
		if ((waiters[1].result != IPC9_E_PEERCLOSED || vanishes) &&
		    !EQUAL(waiters[1].result, vanishes ? IPC9_E_LOST : IPC9_E_EOF))
			printf("  %s\n", w->maker->name);
		pipe_world_close(w);
	}
}

BY_EVERY_WAY(test_what_its_writer_takes_back_cannot_be_consumed)
{
	const struct ipc9_pipe_options tight = { .quota_bytes = 10 };
	struct ipc9_pipe_op *op = NULL;

	if (w->maker->carried != IPC9_PIPE_BY_CALLS)
		return;
	for (int again = 0; again < 2; again++) {
		pipe_world_connect(w, &tight);
		EQUAL(ipc9_pipe_start_write(w->client, "0123456789abcdef", 16, &op, &e), 0);
		pipe_settle(w, w->client);
		expect_view(w->server, "0123456789abcdef");
		ipc9_pipe_op_cancel(op);
		EQUAL(ipc9_pipe_finish(op, LONG_MS, NULL, &e), IPC9_E_CANCELLED);
		if (again) /* what came in its place must not be taken for it */
			EQUAL(pipe_put(w->client, "another"), 0);
		EQUAL(ipc9_pipe_consume(w->server, 7, &e), again ? IPC9_E_LOST : IPC9_E_CANCELLED);
		EQUAL(look(w->server), again ? IPC9_E_LOST : IPC9_E_TIMEDOUT);
		pipe_world_close(w);
	}
}

SUITE(pipe_place, TEST(test_what_is_reserved_can_be_read_once_it_is_committed),
    TEST(test_messages_are_viewed_whole_and_may_be_empty),
    TEST(test_what_is_given_up_is_not_written), TEST(test_much_data_arrives_whole_in_place),
    TEST(test_the_longest_message_goes_in_place), TEST(test_through_memory_nothing_is_copied),
    TEST(test_unnamed_pipes_go_in_place_too),
    TEST(test_a_reservation_waits_until_what_was_written_fits_the_quota),
    TEST(test_without_waiting_a_reservation_is_for_what_fits),
    TEST(test_what_is_viewed_is_unread_for_everybody),
    TEST(test_while_something_is_reserved_nothing_else_is_written),
    TEST(test_while_something_is_viewed_nothing_else_is_read),
    TEST(test_nothing_is_in_place_beside_operations_that_were_started),
    TEST(test_a_started_read_of_no_bytes_tells_when_to_view),
    TEST(test_in_place_one_says_what_cannot_be),
    TEST(test_what_is_in_place_stays_and_says_what_has_happened),
    TEST(test_what_was_reserved_for_one_client_is_not_for_the_next),
    TEST(test_a_disconnect_by_another_thread_takes_no_memory_away),
    TEST(test_what_waits_is_cancelled_and_the_end_stays_usable),
    TEST(test_what_waits_ends_when_the_other_end_does),
    TEST(test_what_its_writer_takes_back_cannot_be_consumed));
