/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pipe_states.c - what each operation of a pipe's end comes to in each of its states, as ipc9.h has it in a table; by every
 * way in which a client can reach a pipe.
 */
#include <stdio.h>
#include <string.h>

#include "tests/pipes.h"

/* --- States ------------------------------------------------------------------------------------ */

enum state {
	LISTENING,
	CONNECTED, /* the other end has not read what this one wrote */
	CONNECTED_DATA,
	CLOSING_DATA,
	CLOSING_EMPTY,
	LOST_DATA,
	LOST_EMPTY,
	DISCONNECTED_SERVER,
	DISCONNECTED_CLIENT,
	STATES,
};

/* Brings a fresh pipe into a state; returns the end that is asked then. */
typedef struct ipc9_pipe *enter_fn(struct pipe_world *w, bool server);

static struct ipc9_pipe *end_of(struct pipe_world *w, bool server)
{
	return server ? w->server : w->client;
}

static void close_one(struct pipe_world *w, bool server)
{
	struct ipc9_pipe **pipe = server ? &w->server : &w->client;

	*pipe = ipc9_pipe_close(*pipe);
}

/* The other end goes without a word. */
static void lose(struct pipe_world *w, bool server)
{
	ipc9_pipe_abort(end_of(w, !server));
	EQUAL(ipc9_pipe_wait_closed(end_of(w, server), 10000, &w->error), IPC9_E_LOST);
}

static struct ipc9_pipe *enter_listening(struct pipe_world *w, bool server)
{
	(void)server;
	pipe_world_create(w, &pipe_messages);
	return w->server;
}

static struct ipc9_pipe *enter_connected(struct pipe_world *w, bool server)
{
	pipe_world_connect(w, &pipe_messages);
	EQUAL(ipc9_pipe_set_mode(w->client, IPC9_PIPE_MODE_MESSAGES, &w->error), 0);
	EQUAL(pipe_put(end_of(w, server), "mine"), 0);
	return end_of(w, server);
}

static struct ipc9_pipe *enter_connected_data(struct pipe_world *w, bool server)
{
	enter_connected(w, server);
	EQUAL(pipe_put(end_of(w, !server), "yours"), 0);
	return end_of(w, server);
}

static struct ipc9_pipe *enter_closing_data(struct pipe_world *w, bool server)
{
	enter_connected_data(w, server);
	close_one(w, !server);
	return end_of(w, server);
}

static struct ipc9_pipe *enter_closing_empty(struct pipe_world *w, bool server)
{
	enter_connected(w, server);
	close_one(w, !server);
	return end_of(w, server);
}

static struct ipc9_pipe *enter_lost_data(struct pipe_world *w, bool server)
{
	enter_connected_data(w, server);
	lose(w, server);
	return end_of(w, server);
}

static struct ipc9_pipe *enter_lost_empty(struct pipe_world *w, bool server)
{
	enter_connected(w, server);
	lose(w, server);
	return end_of(w, server);
}

static struct ipc9_pipe *enter_disconnected(struct pipe_world *w, bool server)
{
	enter_connected_data(w, server);
	EQUAL(ipc9_pipe_disconnect(w->server, &w->error), 0);
	return end_of(w, server);
}

static const struct {
	const char *name;
	enter_fn *enter;
	bool by_server, by_client; /* which ends can be in it */
} states[STATES] = {
	[LISTENING] = { "listening", enter_listening, true, false },
	[CONNECTED] = { "connected", enter_connected, true, true },
	[CONNECTED_DATA] = { "connected, with data", enter_connected_data, true, true },
	[CLOSING_DATA] = { "closing, with data", enter_closing_data, true, true },
	[CLOSING_EMPTY] = { "closing, empty", enter_closing_empty, true, true },
	[LOST_DATA] = { "lost, with data", enter_lost_data, true, true },
	[LOST_EMPTY] = { "lost, empty", enter_lost_empty, true, true },
	[DISCONNECTED_SERVER] = { "disconnected, server's end", enter_disconnected, true, false },
	[DISCONNECTED_CLIENT] = { "disconnected, client's end", enter_disconnected, false, true },
};

/* --- Operations; none waits -------------------------------------------------------------------- */

typedef int operation_fn(struct pipe_world *w, struct ipc9_pipe *pipe);

static char got[64];

static int do_read(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	size_t n = 99;
	bool more = true;
	int r = ipc9_pipe_read_message(pipe, got, sizeof(got), 0, &n, &more, &w->error);

	if (!r) {
		EQUAL(n, 5);
		EQUAL(more, false);
	}
	return r;
}

static int do_read_bytes(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	size_t n = 99;
	int r = ipc9_pipe_read(pipe, got, sizeof(got), 0, &n, &w->error);

	if (!r)
		SAME_BYTES(got, n, "yours", 5);
	return r;
}

static int do_read_nothing(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	size_t n = 99;
	bool more = false;
	int r = ipc9_pipe_read_message(pipe, got, 0, 0, &n, &more, &w->error);

	if (!r) {
		EQUAL(n, 0);
		EQUAL(more, true);
		EQUAL(do_read(w, pipe), 0); /* nothing was taken */
	}
	return r;
}

static int do_write(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	size_t n = 99;
	int r = ipc9_pipe_write(pipe, "abc", 3, 0, &n, &w->error);

	EQUAL(n, r ? 0 : 3);
	return r;
}

static int do_write_nothing(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	return ipc9_pipe_write(pipe, "", 0, 0, NULL, &w->error);
}

static int do_peek(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	struct ipc9_pipe_peeked peeked;
	int r = ipc9_pipe_peek(pipe, got, 2, &peeked, &w->error);

	if (!r) {
		EQUAL(peeked.size_bytes, peeked.waiting ? 2 : 0);
		EQUAL(peeked.total_bytes, peeked.waiting ? 5 : 0);
		EQUAL(peeked.left_bytes, peeked.waiting ? 3 : 0);
	}
	return r;
}

static int do_reserve(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	void *room = NULL;
	size_t n = 99;
	int r = ipc9_pipe_reserve(pipe, 3, 0, &room, &n, &w->error);

	EQUAL(n, r ? 99 : 3);
	if (!r) {
		memcpy(room, "abc", 3);
		EQUAL(ipc9_pipe_commit(pipe, 3, 5000, &w->error), 0);
	}
	return r;
}

static int do_view(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	const void *data = NULL;
	size_t n = 99;
	int r = ipc9_pipe_view(pipe, 0, &data, &n, &w->error);

	EQUAL(n, r ? 99 : 5);
	if (!r) {
		SAME_BYTES(data, n, "yours", 5);
		EQUAL(ipc9_pipe_consume(pipe, n, &w->error), 0);
	}
	return r;
}

static int do_transact(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	size_t n;
	bool more;

	return ipc9_pipe_transact(pipe, "?", 1, got, sizeof(got), 0, &n, &more, &w->error);
}

static int do_flush(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	return ipc9_pipe_flush(pipe, 0, &w->error);
}

static int do_accept(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	int r = ipc9_pipe_accept(pipe, 0, NULL, &w->error);

	if (!r)
		EQUAL(ipc9_pipe_was_connected(pipe), true);
	return r;
}

static int do_disconnect(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	return ipc9_pipe_disconnect(pipe, &w->error);
}

static int do_set_mode(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	return ipc9_pipe_set_mode(pipe, 0, &w->error);
}

static int do_info(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	struct ipc9_pipe_end_info info;
	int r = ipc9_pipe_info_of(pipe, &info, &w->error);

	if (!r)
		EQUAL(info.server, pipe == w->server);
	return r;
}

static int do_close(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	close_one(w, pipe == w->server);
	return 0;
}

/* --- The table --------------------------------------------------------------------------------- */

#define WAITS IPC9_E_TIMEDOUT

static const struct {
	const char *name;
	operation_fn *run;
	int want[STATES];
	bool server_only; /* clients' ends get IPC9_E_INVALID in every state */
} operations[] = {
	{ "read", do_read,
	    { IPC9_E_LISTENING, WAITS, 0, 0, IPC9_E_EOF, 0, IPC9_E_LOST, IPC9_E_NOTCONN,
		IPC9_E_NOTCONN },
	    false },
	{ "byte read", do_read_bytes,
	    { IPC9_E_LISTENING, WAITS, 0, 0, IPC9_E_EOF, 0, IPC9_E_LOST, IPC9_E_NOTCONN,
		IPC9_E_NOTCONN },
	    false },
	{ "zero-byte read", do_read_nothing,
	    { IPC9_E_LISTENING, WAITS, 0, 0, IPC9_E_EOF, 0, IPC9_E_LOST, IPC9_E_NOTCONN,
		IPC9_E_NOTCONN },
	    false },
	{ "write", do_write,
	    { IPC9_E_LISTENING, 0, 0, IPC9_E_PEERCLOSED, IPC9_E_PEERCLOSED, IPC9_E_LOST,
		IPC9_E_LOST, IPC9_E_NOTCONN, IPC9_E_NOTCONN },
	    false },
	{ "zero-byte write", do_write_nothing,
	    { IPC9_E_LISTENING, 0, 0, IPC9_E_PEERCLOSED, IPC9_E_PEERCLOSED, IPC9_E_LOST,
		IPC9_E_LOST, IPC9_E_NOTCONN, IPC9_E_NOTCONN },
	    false },
	{ "peek", do_peek,
	    { IPC9_E_BADSTATE, 0, 0, 0, IPC9_E_EOF, 0, IPC9_E_LOST, IPC9_E_BADSTATE,
		IPC9_E_NOTCONN },
	    false },
	{ "reserve", do_reserve,
	    { IPC9_E_LISTENING, 0, 0, IPC9_E_PEERCLOSED, IPC9_E_PEERCLOSED, IPC9_E_LOST,
		IPC9_E_LOST, IPC9_E_NOTCONN, IPC9_E_NOTCONN },
	    false },
	{ "view", do_view,
	    { IPC9_E_LISTENING, WAITS, 0, 0, IPC9_E_EOF, 0, IPC9_E_LOST, IPC9_E_NOTCONN,
		IPC9_E_NOTCONN },
	    false },
	{ "transact", do_transact,
	    { IPC9_E_BADSTATE, WAITS, IPC9_E_BUSY, IPC9_E_BADSTATE, IPC9_E_BADSTATE,
		IPC9_E_BADSTATE, IPC9_E_BADSTATE, IPC9_E_BADSTATE, IPC9_E_NOTCONN },
	    false },
	{ "flush", do_flush, { 0, WAITS, WAITS, 0, 0, IPC9_E_LOST, IPC9_E_LOST, 0, IPC9_E_NOTCONN },
	    false },
	{ "accept", do_accept,
	    { WAITS, 0, 0, IPC9_E_PEERCLOSED, IPC9_E_PEERCLOSED, IPC9_E_LOST, IPC9_E_LOST, WAITS,
		IPC9_E_INVALID },
	    true },
	{ "disconnect", do_disconnect,
	    { IPC9_E_LISTENING, 0, 0, 0, 0, 0, 0, IPC9_E_NOTCONN, IPC9_E_INVALID }, true },
	{ "set mode", do_set_mode, { 0, 0, 0, 0, 0, 0, 0, 0, IPC9_E_NOTCONN }, false },
	{ "info", do_info, { 0, 0, 0, 0, 0, 0, 0, 0, IPC9_E_NOTCONN }, false },
	{ "close", do_close, { 0 }, false },
};

static void check_cell(struct pipe_world *w, size_t operation, enum state state, bool server)
{
	struct ipc9_pipe *pipe = states[state].enter(w, server);
	int want = operations[operation].want[state];

	if (!server && operations[operation].server_only)
		want = IPC9_E_INVALID;
	if (!EQUAL(operations[operation].run(w, pipe), want))
		printf("  %s, by the %s, %s: %s\n", operations[operation].name,
		    server ? "server" : "client", states[state].name, w->maker->name);
	pipe_world_close(w);
}

static void test_each_operation_comes_to_what_the_table_says(void)
{
	for (const struct pipe_maker *m = pipe_makers; m->name; m++) {
		struct pipe_world w;

		pipe_world_begin(&w, m);
		for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
			for (enum state s = 0; s < STATES; s++) {
				if (states[s].by_server)
					check_cell(&w, i, s, true);
				if (states[s].by_client)
					check_cell(&w, i, s, false);
			}
		pipe_world_end(&w);
	}
}

static void test_info_tells_the_state(void)
{
	static const enum ipc9_pipe_end_state want[STATES] = {
		IPC9_PIPE_STATE_LISTENING,
		IPC9_PIPE_STATE_CONNECTED,
		IPC9_PIPE_STATE_CONNECTED,
		IPC9_PIPE_STATE_CLOSING,
		IPC9_PIPE_STATE_CLOSING,
		IPC9_PIPE_STATE_LOST,
		IPC9_PIPE_STATE_LOST,
		IPC9_PIPE_STATE_DISCONNECTED,
	};

	for (const struct pipe_maker *m = pipe_makers; m->name; m++) {
		struct pipe_world w;

		pipe_world_begin(&w, m);
		for (enum state s = 0; s < DISCONNECTED_CLIENT; s++) {
			struct ipc9_pipe_end_info info = { .server = false };
			struct ipc9_pipe *pipe = states[s].enter(&w, true);

			if (EQUAL(ipc9_pipe_info_of(pipe, &info, &w.error), 0) &&
			    !EQUAL(info.state, want[s]))
				printf("  %s\n", states[s].name);
			pipe_world_close(&w);
		}
		pipe_world_end(&w);
	}
}

/* --- What waits when the state changes --------------------------------------------------------- */

enum change {
	OTHER_CLOSES,
	OTHER_VANISHES,
	DISCONNECT,
	CHANGES,
};

static const char *const change_names[CHANGES] = { "the other end closes", "the other end vanishes",
	"the server disconnects" };

enum waiting {
	WAITING_READ,
	WAITING_WRITE,
	WAITING_TRANSACT,
	WAITINGS,
};

static const struct {
	const char *name;
	int want[CHANGES];
} waitings[WAITINGS] = {
	{ "read", { IPC9_E_EOF, IPC9_E_LOST, IPC9_E_NOTCONN } },
	{ "write", { IPC9_E_EOF, IPC9_E_LOST, IPC9_E_NOTCONN } },
	{ "transact", { IPC9_E_EOF, IPC9_E_UNKNOWN, IPC9_E_NOTCONN } },
};

static struct ipc9_pipe_op *start(struct pipe_world *w, struct ipc9_pipe *pipe, enum waiting what)
{
	static char much[200], room[64];
	struct ipc9_pipe_op *op = NULL;
	int r = 0;

	switch (what) {
	case WAITING_READ:
		r = ipc9_pipe_start_read(pipe, room, sizeof(room), &op, &w->error);
		break;
	case WAITING_WRITE:
		r = ipc9_pipe_start_write(pipe, much, sizeof(much), &op, &w->error);
		break;
	case WAITING_TRANSACT:
		r = ipc9_pipe_start_transact(pipe, much, 10, room, sizeof(room), &op, &w->error);
		break;
	case WAITINGS:
		break;
	}
	EQUAL(r, 0);
	pipe_settle(w, pipe);
	return op;
}

static void check_change(struct pipe_world *w, enum waiting what, enum change change, bool server)
{
	const struct ipc9_pipe_options tight = { .type = IPC9_PIPE_TYPE_MESSAGE,
		.quota_bytes = 100 };
	struct ipc9_pipe_op *op;

	pipe_world_connect(w, &tight);
	EQUAL(ipc9_pipe_set_mode(w->client, IPC9_PIPE_MODE_MESSAGES, &w->error), 0);
	op = start(w, end_of(w, server), what);
	EQUAL(ipc9_pipe_finish(op, 0, NULL, &w->error), IPC9_E_PENDING);
	if (change == OTHER_CLOSES)
		close_one(w, !server);
	else if (change == OTHER_VANISHES)
		ipc9_pipe_abort(end_of(w, !server));
	else
		EQUAL(ipc9_pipe_disconnect(w->server, &w->error), 0);
	if (!EQUAL(ipc9_pipe_finish(op, 10000, NULL, &w->error), waitings[what].want[change]))
		printf("  %s of the %s when %s: %s\n", waitings[what].name,
		    server ? "server" : "client", change_names[change], w->maker->name);
	pipe_world_close(w);
}

static void test_what_waits_ends_when_the_state_changes(void)
{
	for (const struct pipe_maker *m = pipe_makers; m->name; m++) {
		struct pipe_world w;

		pipe_world_begin(&w, m);
		for (enum waiting what = 0; what < WAITINGS; what++)
			for (enum change c = 0; c < CHANGES; c++) {
				check_change(&w, what, c, false);
				check_change(&w, what, c, true);
			}
		pipe_world_end(&w);
	}
}

SUITE(pipe_states, TEST(test_each_operation_comes_to_what_the_table_says),
    TEST(test_info_tells_the_state), TEST(test_what_waits_ends_when_the_state_changes));
