/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pipe.c - pipe.x in the ordinary-call mode, promise by promise, against a real daemon.
 */
#include "rpcgen-out/pipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/daemon.h"
#include "tests/harness.h"
#include "util/clock.h"

static char pipe_name[] = "P";

/* One end: a connection and a handle. */
struct side {
	struct channel *channel;
	CLIENT *client;
	uint64_t pipe;
};

struct world {
	struct daemon_fixture daemon;
	struct side server, client;
};

static void side_open(const struct world *w, struct side *s, bool local)
{
	s->channel = daemon_channel(&w->daemon, local);
	s->client = channel_client(s->channel, IPC9_PROG_PIPE, 1);
	daemon_patience(s->client, 10000);
}

static void side_close(struct side *s)
{
	if (!s->client)
		return;
	clnt_destroy(s->client);
	channel_unref(s->channel);
	memset(s, 0, sizeof(*s));
}

struct shape {
	int type, direction;
	unsigned max_instances, quota, flags;
};

static const struct shape bytes_shape = { IPC9_PIPE_BYTE, IPC9_PIPE_DUPLEX, 1, 0, 0 };
static const struct shape message_shape = { IPC9_PIPE_MESSAGE, IPC9_PIPE_DUPLEX, 1, 0, 0 };

static int create(struct side *s, const struct shape *shape)
{
	ipc9_pipe_create_args args = { pipe_name, shape->type, shape->direction,
		shape->max_instances, shape->quota, NULL, shape->flags, 0 };
	ipc9_pipe_create_res res = { 0 };
	int status = -1;

	if (EQUAL(ipc9_pipeproc_create_1(&args, &res, s->client), RPC_SUCCESS)) {
		status = res.status;
		if (!status)
			s->pipe = res.ipc9_pipe_create_res_u.ok.pipe;
	}
	xdr_free((xdrproc_t)xdr_ipc9_pipe_create_res, &res);
	return status;
}

static int open_pipe(struct side *s, unsigned flags)
{
	ipc9_pipe_open_args args = { pipe_name, flags };
	ipc9_pipe_open_res res = { 0 };
	int status = -1;

	if (EQUAL(ipc9_pipeproc_open_1(&args, &res, s->client), RPC_SUCCESS)) {
		status = res.status;
		if (!status)
			s->pipe = res.ipc9_pipe_open_res_u.ok.pipe;
	}
	xdr_free((xdrproc_t)xdr_ipc9_pipe_open_res, &res);
	return status;
}

static int accept_pipe(struct side *s, uint32_t wait_ms)
{
	ipc9_pipe_accept_args args = { s->pipe, wait_ms };
	ipc9_pipe_accept_res res = { 0 };
	int status = -1;

	if (EQUAL(ipc9_pipeproc_accept_1(&args, &res, s->client), RPC_SUCCESS))
		status = res.status;
	xdr_free((xdrproc_t)xdr_ipc9_pipe_accept_res, &res);
	return status;
}

static int write_bytes(struct side *s, const void *data, size_t size, uint32_t wait_ms,
    bool *ret_full)
{
	ipc9_pipe_write_args args = { s->pipe, wait_ms, 0, { data, (uint32_t)size, NULL } };
	ipc9_pipe_write_res res = { 0 };
	int status = -1;

	if (EQUAL(ipc9_pipeproc_write_1(&args, &res, s->client), RPC_SUCCESS)) {
		status = res.status;
		if (!status && ret_full)
			*ret_full = res.ipc9_pipe_write_res_u.ok.full;
	}
	xdr_free((xdrproc_t)xdr_ipc9_pipe_write_res, &res);
	return status;
}

static int write_text(struct side *s, const char *text)
{
	return write_bytes(s, text, strlen(text), 0, NULL);
}

struct reading {
	unsigned max, wait_ms;
	bool messages;
	bool more; /* out */
	char data[128];
	size_t size;
};

static int read_pipe(struct side *s, struct reading *r)
{
	ipc9_pipe_read_args args = { s->pipe, r->max, r->wait_ms, r->messages };
	ipc9_pipe_read_res res = { 0 };
	const ipc9_pipe_read_ok *ok = &res.ipc9_pipe_read_res_u.ok;
	int status = -1;

	if (EQUAL(ipc9_pipeproc_read_1(&args, &res, s->client), RPC_SUCCESS)) {
		status = res.status;
		if (!status && HOLDS(ok->data.len <= sizeof(r->data))) {
			r->size = ok->data.len;
			memcpy(r->data, ok->data.data, r->size);
			r->more = ok->more;
		}
	}
	xdr_free((xdrproc_t)xdr_ipc9_pipe_read_res, &res);
	return status;
}

static void expect_read(struct side *s, unsigned max, bool messages, const char *want, bool more)
{
	struct reading r = { .max = max, .wait_ms = 2000, .messages = messages };

	if (EQUAL(read_pipe(s, &r), 0)) {
		SAME_BYTES(r.data, r.size, want, strlen(want));
		EQUAL(r.more, more);
	}
}

static int read_status(struct side *s)
{
	struct reading r = { .max = 100 };

	return read_pipe(s, &r);
}

static int simple(struct side *s,
    enum clnt_stat (*stub)(ipc9_handle_args *, ipc9_void_res *, CLIENT *))
{
	ipc9_handle_args args = { s->pipe };
	ipc9_void_res res = { 0 };
	int status = -1;

	if (EQUAL(stub(&args, &res, s->client), RPC_SUCCESS))
		status = res.status;
	xdr_free((xdrproc_t)xdr_ipc9_void_res, &res);
	return status;
}

static int poll_pipe(struct side *s, unsigned events, uint32_t wait_ms, unsigned *ret)
{
	ipc9_pipe_poll_args args = { s->pipe, events, wait_ms };
	ipc9_pipe_poll_res res = { 0 };
	int status = -1;

	if (EQUAL(ipc9_pipeproc_poll_1(&args, &res, s->client), RPC_SUCCESS)) {
		status = res.status;
		if (!status && ret)
			*ret = res.ipc9_pipe_poll_res_u.ok.events;
	}
	xdr_free((xdrproc_t)xdr_ipc9_pipe_poll_res, &res);
	return status;
}

static void begin(struct world *w, const struct shape *shape)
{
	memset(w, 0, sizeof(*w));
	daemon_start(&w->daemon, "");
	side_open(w, &w->server, true);
	side_open(w, &w->client, true);
	EQUAL(create(&w->server, shape), 0);
}

static void begin_connected(struct world *w, const struct shape *shape)
{
	begin(w, shape);
	EQUAL(open_pipe(&w->client, IPC9_PIPE_OPEN_READ | IPC9_PIPE_OPEN_WRITE), 0);
	EQUAL(accept_pipe(&w->server, 1000), 0);
}

static void end(struct world *w)
{
	side_close(&w->server);
	side_close(&w->client);
	daemon_end(&w->daemon);
}

/* --- Bytes and messages ------------------------------------------------------------------------ */

static void test_bytes_cross_the_boundaries_of_writes(void)
{
	struct world w;

	begin_connected(&w, &bytes_shape);
	EQUAL(write_text(&w.client, "abc"), 0);
	EQUAL(write_text(&w.client, ""), 0); /* no effect */
	EQUAL(write_text(&w.client, "defg"), 0);
	expect_read(&w.server, 5, false, "abcde", false);
	expect_read(&w.server, 100, false, "fg", false);
	EQUAL(read_status(&w.server), IPC9_STATUS_TIMEDOUT);
	EQUAL(write_text(&w.server, "back"), 0);
	expect_read(&w.client, 100, false, "back", false);
	end(&w);
}

static void test_messages_keep_their_boundaries_also_empty_ones(void)
{
	struct world w;

	begin_connected(&w, &message_shape);
	EQUAL(write_text(&w.client, "first"), 0);
	EQUAL(write_text(&w.client, ""), 0);
	EQUAL(write_text(&w.client, "third"), 0);
	expect_read(&w.server, 3, true, "fir", true);
	expect_read(&w.server, 100, true, "st", false);
	expect_read(&w.server, 100, true, "", false);
	expect_read(&w.server, 100, true, "third", false);
	EQUAL(read_status(&w.server), IPC9_STATUS_TIMEDOUT);
	end(&w);
}

static void test_a_byte_read_of_a_message_pipe_ignores_boundaries(void)
{
	struct world w;

	begin_connected(&w, &message_shape);
	EQUAL(write_text(&w.client, "one"), 0);
	EQUAL(write_text(&w.client, "two"), 0);
	EQUAL(write_text(&w.client, ""), 0);
	EQUAL(write_text(&w.client, "x"), 0);
	expect_read(&w.server, 4, false, "onet", false);
	expect_read(&w.server, 100, false, "wo", false);
	expect_read(&w.server, 100, false, "", false); /* the empty message, and no EOF */
	expect_read(&w.server, 100, false, "x", false);
	end(&w);
}

static void test_a_message_read_of_a_byte_pipe_is_refused(void)
{
	struct reading r = { .max = 10, .messages = true };
	struct world w;

	begin_connected(&w, &bytes_shape);
	EQUAL(read_pipe(&w.server, &r), IPC9_STATUS_BADSTATE);
	end(&w);
}

/* --- Waiting ----------------------------------------------------------------------------------- */

static void test_a_read_waits_for_what_is_written_later(void)
{
	const struct channel_target target = { IPC9_PROG_PIPE, 1, IPC9_PIPEPROC_READ, NULL };
	struct channel_call call[2];
	ipc9_pipe_read_res res;
	struct rpc_err error;
	struct world w;

	begin_connected(&w, &bytes_shape);
	ipc9_pipe_read_args args = { w.server.pipe, 2, 5000, FALSE };
	for (int i = 0; i < 2; i++)
		EQUAL(channel_send(w.server.channel, &call[i], &target,
			  (xdrproc_t)xdr_ipc9_pipe_read_args, &args, clock_deadline_ms(5000),
			  &error),
		    RPC_SUCCESS);
	EQUAL(write_text(&w.client, "abcd"), 0);
	/* In the order in which they were asked, whichever is waited for first. */
	for (int i = 1; i >= 0; i--) {
		memset(&res, 0, sizeof(res));
		EQUAL(channel_wait(w.server.channel, &call[i], (xdrproc_t)xdr_ipc9_pipe_read_res,
			  &res, clock_deadline_ms(5000), &error),
		    RPC_SUCCESS);
		SAME_BYTES(res.ipc9_pipe_read_res_u.ok.data.data,
		    res.ipc9_pipe_read_res_u.ok.data.len, i ? "cd" : "ab", 2);
		xdr_free((xdrproc_t)xdr_ipc9_pipe_read_res, &res);
	}
	end(&w);
}

static void test_a_write_over_the_quota_is_answered_when_it_was_read(void)
{
	static const struct shape tight = { IPC9_PIPE_BYTE, IPC9_PIPE_DUPLEX, 1, 10, 0 };
	const struct channel_target target = { IPC9_PROG_PIPE, 1, IPC9_PIPEPROC_WRITE, NULL };
	struct channel_call call;
	ipc9_pipe_write_res res = { 0 };
	struct rpc_err error;
	struct world w;
	bool full = false;

	begin_connected(&w, &tight);
	EQUAL(write_bytes(&w.client, "0123456789", 10, 0, &full), 0);
	EQUAL(full, false); /* just fits */
	EQUAL(write_bytes(&w.client, "x", 1, 0, &full), 0);
	EQUAL(full, true); /* accepted all the same */
	expect_read(&w.server, 100, false, "0123456789x", false);
	ipc9_pipe_write_args args = { w.client.pipe, 5000, 0,
		{ (const unsigned char *)"0123456789abcd", 14, NULL } };
	EQUAL(channel_send(w.client.channel, &call, &target, (xdrproc_t)xdr_ipc9_pipe_write_args,
		  &args, clock_deadline_ms(5000), &error),
	    RPC_SUCCESS);
	EQUAL(poll_pipe(&w.client, IPC9_PIPE_WRITABLE, 50, NULL), IPC9_STATUS_TIMEDOUT);
	expect_read(&w.server, 3, false, "012", false);
	EQUAL(poll_pipe(&w.client, IPC9_PIPE_WRITABLE, 50, NULL), IPC9_STATUS_TIMEDOUT);
	expect_read(&w.server, 2, false, "34", false);
	EQUAL(channel_wait(w.client.channel, &call, (xdrproc_t)xdr_ipc9_pipe_write_res, &res,
		  clock_deadline_ms(5000), &error),
	    RPC_SUCCESS);
	EQUAL(res.status, 0);
	EQUAL(res.ipc9_pipe_write_res_u.ok.full, FALSE);
	end(&w);
}

static void test_a_writer_who_does_not_wait_is_refused_in_the_end(void)
{
	static unsigned char big[IPC9_BLOB_MAX];
	struct world w;
	int status = 0, n = 0;

	begin_connected(&w, &bytes_shape);
	for (; n < 100 && !status; n++)
		status = write_bytes(&w.client, big, sizeof(big), 0, NULL);
	EQUAL(status, IPC9_STATUS_QUOTA);
	HOLDS(n <= 8); /* 1 MiB of quota, and 4 beyond it */
	EQUAL(simple(&w.client, ipc9_pipeproc_close_1), 0);
	end(&w);
}

/* --- Ends -------------------------------------------------------------------------------------- */

static void test_close_is_eof_after_what_was_sent(void)
{
	struct world w;
	unsigned events = 0;

	begin_connected(&w, &bytes_shape);
	EQUAL(write_text(&w.client, "last"), 0);
	EQUAL(simple(&w.client, ipc9_pipeproc_close_1), 0);
	EQUAL(write_text(&w.server, "x"), IPC9_STATUS_PEERCLOSED);
	expect_read(&w.server, 100, false, "last", false);
	EQUAL(read_status(&w.server), IPC9_STATUS_EOF);
	EQUAL(read_status(&w.server), IPC9_STATUS_EOF);
	EQUAL(poll_pipe(&w.server, IPC9_PIPE_CLOSED, 0, &events), 0);
	EQUAL(events & IPC9_PIPE_CLOSED, IPC9_PIPE_CLOSED);
	end(&w);
}

static void test_a_vanished_peer_is_lost_after_what_was_sent(void)
{
	struct world w;

	begin_connected(&w, &bytes_shape);
	EQUAL(write_text(&w.client, "last"), 0);
	side_close(&w.client);
	EQUAL(poll_pipe(&w.server, IPC9_PIPE_CLOSED, 5000, NULL), IPC9_STATUS_LOST);
	expect_read(&w.server, 100, false, "last", false);
	EQUAL(read_status(&w.server), IPC9_STATUS_LOST);
	EQUAL(write_text(&w.server, "x"), IPC9_STATUS_LOST);
	end(&w);
}

static void test_a_vanished_server_is_lost_for_its_client(void)
{
	struct world w;

	begin_connected(&w, &bytes_shape);
	side_close(&w.server);
	EQUAL(poll_pipe(&w.client, IPC9_PIPE_CLOSED, 5000, NULL), IPC9_STATUS_LOST);
	EQUAL(read_status(&w.client), IPC9_STATUS_LOST);
	side_close(&w.client);
	side_open(&w, &w.client, true);
	EQUAL(open_pipe(&w.client, IPC9_PIPE_OPEN_READ), IPC9_STATUS_NOENT);
	end(&w);
}

static void test_end_closes_one_direction_only(void)
{
	struct world w;
	unsigned events = 0;

	begin_connected(&w, &bytes_shape);
	EQUAL(write_text(&w.client, "question"), 0);
	EQUAL(simple(&w.client, ipc9_pipeproc_end_1), 0);
	EQUAL(write_text(&w.client, "more"), IPC9_STATUS_BADSTATE);
	expect_read(&w.server, 100, false, "question", false);
	EQUAL(read_status(&w.server), IPC9_STATUS_EOF);
	EQUAL(poll_pipe(&w.server, IPC9_PIPE_CLOSED, 0, &events), IPC9_STATUS_TIMEDOUT);
	EQUAL(write_text(&w.server, "answer"), 0);
	expect_read(&w.client, 100, false, "answer", false);
	EQUAL(simple(&w.client, ipc9_pipeproc_close_1), 0);
	EQUAL(poll_pipe(&w.server, IPC9_PIPE_CLOSED, 1000, &events), 0);
	end(&w);
}

static void test_closing_wakes_whoever_waits_at_the_other_end(void)
{
	const struct channel_target target = { IPC9_PROG_PIPE, 1, IPC9_PIPEPROC_READ, NULL };
	struct channel_call call;
	ipc9_pipe_read_res res = { 0 };
	struct rpc_err error;
	struct world w;

	begin_connected(&w, &bytes_shape);
	ipc9_pipe_read_args args = { w.server.pipe, 100, 20000, FALSE };
	EQUAL(channel_send(w.server.channel, &call, &target, (xdrproc_t)xdr_ipc9_pipe_read_args,
		  &args, clock_deadline_ms(5000), &error),
	    RPC_SUCCESS);
	EQUAL(simple(&w.client, ipc9_pipeproc_close_1), 0);
	EQUAL(channel_wait(w.server.channel, &call, (xdrproc_t)xdr_ipc9_pipe_read_res, &res,
		  clock_deadline_ms(5000), &error),
	    RPC_SUCCESS);
	EQUAL(res.status, IPC9_STATUS_EOF);
	xdr_free((xdrproc_t)xdr_ipc9_pipe_read_res, &res);
	end(&w);
}

static void test_a_quick_client_that_left_something_is_still_served(void)
{
	struct world w;

	begin(&w, &bytes_shape);
	EQUAL(read_status(&w.server), IPC9_STATUS_LISTENING);
	EQUAL(write_text(&w.server, "x"), IPC9_STATUS_LISTENING);
	EQUAL(accept_pipe(&w.server, 10), IPC9_STATUS_TIMEDOUT);
	EQUAL(open_pipe(&w.client, IPC9_PIPE_OPEN_WRITE), 0);
	EQUAL(write_text(&w.client, "quick"), 0);
	EQUAL(simple(&w.client, ipc9_pipeproc_close_1), 0);
	EQUAL(accept_pipe(&w.server, 0), 0);
	expect_read(&w.server, 100, false, "quick", false);
	EQUAL(accept_pipe(&w.server, 0), IPC9_STATUS_PEERCLOSED);
	end(&w);
}

/* --- Instances, directions, names -------------------------------------------------------------- */

static void test_instances_are_limited_and_served_in_order(void)
{
	static const struct shape two = { IPC9_PIPE_BYTE, IPC9_PIPE_DUPLEX, 2, 0, 0 };
	struct side second = { 0 }, third = { 0 }, clients[3] = { { 0 } };
	struct world w;

	begin(&w, &two);
	side_open(&w, &second, true);
	side_open(&w, &third, true);
	EQUAL(create(&second, &two), 0);
	EQUAL(create(&third, &two), IPC9_STATUS_BUSY);
	for (int i = 0; i < 3; i++) {
		side_open(&w, &clients[i], true);
		EQUAL(open_pipe(&clients[i], IPC9_PIPE_OPEN_WRITE), i < 2 ? 0 : IPC9_STATUS_BUSY);
	}
	EQUAL(write_text(&clients[0], "to the first"), 0);
	EQUAL(write_text(&clients[1], "to the second"), 0);
	expect_read(&w.server, 100, false, "to the first", false);
	expect_read(&second, 100, false, "to the second", false);
	for (int i = 0; i < 3; i++)
		side_close(&clients[i]);
	side_close(&second);
	side_close(&third);
	end(&w);
}

static void test_who_wants_to_be_first_makes_the_name_or_nothing(void)
{
	static const struct shape first = { IPC9_PIPE_BYTE, IPC9_PIPE_DUPLEX, 2, 0,
		IPC9_PIPE_CREATE_FIRST };
	static const struct shape any = { IPC9_PIPE_BYTE, IPC9_PIPE_DUPLEX, 2, 0, 0 };
	struct side second = { 0 };
	struct world w;

	begin(&w, &first);
	side_open(&w, &second, true);
	EQUAL(create(&second, &first), IPC9_STATUS_EXISTS);
	EQUAL(create(&second, &any), 0);
	EQUAL(simple(&second, ipc9_pipeproc_close_1), 0);
	EQUAL(simple(&w.server, ipc9_pipeproc_close_1), 0);
	EQUAL(create(&second, &first), 0);
	side_close(&second);
	end(&w);
}

static void test_directions_are_kept(void)
{
	static const struct shape inbound = { IPC9_PIPE_BYTE, IPC9_PIPE_INBOUND, 2, 0, 0 };
	static const struct shape outbound = { IPC9_PIPE_BYTE, IPC9_PIPE_OUTBOUND, 2, 0, 0 };
	struct side other = { 0 };
	struct world w;

	begin(&w, &inbound);
	side_open(&w, &other, true);
	EQUAL(create(&other, &outbound), IPC9_STATUS_ACCESS);
	EQUAL(open_pipe(&w.client, IPC9_PIPE_OPEN_READ), IPC9_STATUS_ACCESS);
	EQUAL(open_pipe(&w.client, IPC9_PIPE_OPEN_WRITE), 0);
	EQUAL(write_text(&w.server, "x"), IPC9_STATUS_ACCESS);
	EQUAL(read_status(&w.client), IPC9_STATUS_ACCESS);
	EQUAL(write_text(&w.client, "in"), 0);
	expect_read(&w.server, 10, false, "in", false);
	side_close(&other);
	end(&w);
	begin(&w, &bytes_shape);
	EQUAL(open_pipe(&w.client, 0), 0);
	EQUAL(write_text(&w.client, "x"), IPC9_STATUS_ACCESS);
	EQUAL(read_status(&w.client), IPC9_STATUS_ACCESS);
	end(&w);
}

static void test_arguments_out_of_range_are_refused(void)
{
	static const struct shape bad[] = {
		{ 2, IPC9_PIPE_DUPLEX, 1, 0, 0 },
		{ IPC9_PIPE_BYTE, 0, 1, 0, 0 },
		{ IPC9_PIPE_BYTE, 4, 1, 0, 0 },
		{ IPC9_PIPE_BYTE, IPC9_PIPE_DUPLEX, 0, 0, 0 },
		{ IPC9_PIPE_BYTE, IPC9_PIPE_DUPLEX, 256, 0, 0 },
		{ IPC9_PIPE_BYTE, IPC9_PIPE_DUPLEX, 1, IPC9_PIPE_QUOTA_MAX + 1, 0 },
		{ IPC9_PIPE_BYTE, IPC9_PIPE_DUPLEX, 1, 0, 16 },
	};
	struct side s = { 0 };
	struct world w;

	begin(&w, &bytes_shape);
	side_open(&w, &s, true);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQUAL(create(&s, &bad[i]), IPC9_STATUS_INVALID);
	EQUAL(open_pipe(&s, IPC9_PIPE_OPEN_READ | 16), IPC9_STATUS_INVALID);
	EQUAL(open_pipe(&s, 0xf7), IPC9_STATUS_INVALID);
	side_close(&s);
	end(&w);
}

static void test_a_handle_belongs_to_its_connection(void)
{
	struct side thief = { 0 };
	struct world w;

	begin_connected(&w, &bytes_shape);
	side_open(&w, &thief, true);
	thief.pipe = w.client.pipe;
	EQUAL(read_status(&thief), IPC9_STATUS_NOENT);
	EQUAL(simple(&thief, ipc9_pipeproc_close_1), IPC9_STATUS_NOENT);
	EQUAL(write_text(&w.client, "x"), 0);
	side_close(&thief);
	end(&w);
}

static void test_a_pipe_admits_only_its_owner(void)
{
	struct side s = { 0 };
	struct world w;

	daemon_start(&w.daemon, "allow = host:127.0.0.0/8 read,write\n");
	side_open(&w, &w.server, true);
	w.client = (struct side){ 0 };
	EQUAL(create(&w.server, &bytes_shape), 0);
	side_open(&w, &s, false); /* anonymous */
	EQUAL(open_pipe(&s, IPC9_PIPE_OPEN_READ), IPC9_STATUS_NOENT);
	side_close(&s);
	end(&w);
	daemon_start(&w.daemon,
	    "trust_sys = 127.0.0.0/8\ntrust_root = yes\n"
	    "allow = host:127.0.0.0/8 read,write\n");
	side_open(&w, &w.server, true);
	EQUAL(create(&w.server, &bytes_shape), 0);
	side_open(&w, &s, false); /* our own uid, claimed and trusted */
	EQUAL(open_pipe(&s, IPC9_PIPE_OPEN_READ | IPC9_PIPE_OPEN_WRITE), 0);
	EQUAL(write_text(&s, "hello"), 0);
	expect_read(&w.server, 10, false, "hello", false);
	side_close(&s);
	end(&w);
}

SUITE(pipe, TEST(test_bytes_cross_the_boundaries_of_writes),
    TEST(test_messages_keep_their_boundaries_also_empty_ones),
    TEST(test_a_byte_read_of_a_message_pipe_ignores_boundaries),
    TEST(test_a_message_read_of_a_byte_pipe_is_refused),
    TEST(test_a_read_waits_for_what_is_written_later),
    TEST(test_a_write_over_the_quota_is_answered_when_it_was_read),
    TEST(test_a_writer_who_does_not_wait_is_refused_in_the_end),
    TEST(test_close_is_eof_after_what_was_sent),
    TEST(test_a_vanished_peer_is_lost_after_what_was_sent),
    TEST(test_a_vanished_server_is_lost_for_its_client), TEST(test_end_closes_one_direction_only),
    TEST(test_closing_wakes_whoever_waits_at_the_other_end),
    TEST(test_a_quick_client_that_left_something_is_still_served),
    TEST(test_instances_are_limited_and_served_in_order), TEST(test_directions_are_kept),
    TEST(test_who_wants_to_be_first_makes_the_name_or_nothing),
    TEST(test_arguments_out_of_range_are_refused), TEST(test_a_handle_belongs_to_its_connection),
    TEST(test_a_pipe_admits_only_its_owner));
