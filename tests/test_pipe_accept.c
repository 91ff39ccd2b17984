/* SPDX-License-Identifier: BSD-3-Clause */
/* test_pipe_accept.c - clients of a pipe between their open and their server's accept. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "client/frames.h"
#include "client/rings.h"
#include "rpcgen-out/pipe.h"
#include "tests/carrier.h"
#include "tests/pipes.h"
#include "util/text.h"

/* --- Answers that come late -------------------------------------------------------------------- */

/* A pipe whose server does not wait long for the daemon. */
struct hasty {
	struct pipe_world w;
	struct ipc9 *ipc9;
};

static void begin(struct hasty *h, const struct pipe_maker *maker)
{
	struct ipc9_options options = { .timeout_ms = 150 };

	pipe_world_begin(&h->w, maker);
	options.socket = h->w.daemon.socket;
	EQUAL(ipc9_new(&options, &h->ipc9, &h->w.error), 0);
	text_format(h->w.name, sizeof(h->w.name), "late");
	EQUAL(ipc9_pipe_create(h->ipc9, h->w.name, NULL, &h->w.server, &h->w.error), 0);
}

static void end(struct hasty *h)
{
	pipe_world_close(&h->w);
	ipc9_free(h->ipc9);
	pipe_world_end(&h->w);
}

/* An accept that the daemon answers after the server has given it up. */
static void accept_too_late(struct hasty *h)
{
	kill(h->w.daemon.pid, SIGSTOP);
	EQUAL(ipc9_pipe_accept(h->w.server, 0, NULL, &h->w.error), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_pipe_accept(h->w.server, 10, NULL, &h->w.error), IPC9_E_TIMEDOUT);
	kill(h->w.daemon.pid, SIGCONT);
}

#define FOR_EVERY_WAY(M) for (const struct pipe_maker *M = pipe_makers; M->name; M++)

static void test_an_accept_that_is_answered_too_late_loses_no_client(void)
{
	FOR_EVERY_WAY(m)
	{
		struct ipc9_pipe_end_info info = { .server = false };
		struct hasty h;

		begin(&h, m);
		EQUAL(pipe_world_open(&h.w, NULL, &h.w.client), 0);
		EQUAL(pipe_put(h.w.client, "early"), 0);
		accept_too_late(&h);
		EQUAL(ipc9_pipe_accept(h.w.server, 20000, NULL, &h.w.error), 0);
		pipe_expect(h.w.server, "early");
		EQUAL(pipe_put(h.w.server, "answer"), 0);
		pipe_expect(h.w.client, "answer");
		EQUAL(ipc9_pipe_info_of(h.w.server, &info, &h.w.error), 0);
		EQUAL(info.way, m->carried);
		end(&h);
	}
}

/* When the daemon handed it over it was there. */
static void test_a_client_that_went_on_its_way_to_the_server_and_left_nothing_is_told_of(void)
{
	FOR_EVERY_WAY(m)
	{
		struct hasty h;

		if (m->carried == IPC9_PIPE_BY_CALLS)
			continue;
		begin(&h, m);
		for (int with_data = 0; with_data < 2; with_data++) {
			EQUAL(pipe_world_open(&h.w, NULL, &h.w.client), 0);
			if (with_data)
				EQUAL(pipe_put(h.w.client, "left"), 0);
			accept_too_late(&h);
			h.w.client = ipc9_pipe_close(h.w.client);
			EQUAL(ipc9_pipe_accept(h.w.server, 20000, NULL, &h.w.error),
			    with_data ? 0 : IPC9_E_PEERCLOSED);
			if (with_data)
				pipe_expect(h.w.server, "left");
			EQUAL(pipe_look(h.w.server), IPC9_E_EOF);
			EQUAL(ipc9_pipe_disconnect(h.w.server, &h.w.error), 0);
			EQUAL(ipc9_pipe_accept(h.w.server, 0, NULL, &h.w.error), IPC9_E_TIMEDOUT);
		}
		end(&h);
	}
}

static void test_an_accept_that_was_given_up_before_a_client_came_is_no_matter_to_the_next(void)
{
	FOR_EVERY_WAY(m)
	{
		struct hasty h;

		begin(&h, m);
		accept_too_late(&h);
		EQUAL(ipc9_pipe_accept(h.w.server, 0, NULL, &h.w.error), IPC9_E_TIMEDOUT);
		EQUAL(pipe_world_open(&h.w, NULL, &h.w.client), 0);
		EQUAL(ipc9_pipe_accept(h.w.server, 20000, NULL, &h.w.error), 0);
		EQUAL(ipc9_pipe_was_connected(h.w.server), true);
		EQUAL(pipe_put(h.w.client, "text"), 0);
		pipe_expect(h.w.server, "text");
		end(&h);
	}
}

static void test_a_client_of_an_accept_that_was_given_up_can_be_thrown_out(void)
{
	FOR_EVERY_WAY(m)
	{
		struct hasty h;

		begin(&h, m);
		EQUAL(pipe_world_open(&h.w, NULL, &h.w.client), 0);
		accept_too_late(&h);
		EQUAL(ipc9_pipe_disconnect(h.w.server, &h.w.error), 0);
		EQUAL(ipc9_pipe_wait_closed(h.w.client, 20000, &h.w.error), IPC9_E_NOTCONN);
		h.w.client = ipc9_pipe_close(h.w.client);
		EQUAL(ipc9_pipe_accept(h.w.server, 0, NULL, &h.w.error), IPC9_E_TIMEDOUT);
		EQUAL(pipe_world_open(&h.w, NULL, &h.w.client), 0);
		EQUAL(pipe_put(h.w.client, "next"), 0);
		EQUAL(ipc9_pipe_accept(h.w.server, 20000, NULL, &h.w.error), 0);
		pipe_expect(h.w.server, "next");
		end(&h);
	}
}

static void test_an_end_can_be_closed_while_its_accept_is_not_answered(void)
{
	FOR_EVERY_WAY(m)
	{
		struct hasty h;

		begin(&h, m);
		EQUAL(pipe_world_open(&h.w, NULL, &h.w.client), 0);
		accept_too_late(&h);
		h.w.server = ipc9_pipe_close(h.w.server);
		HOLDS(ipc9_pipe_wait_closed(h.w.client, 20000, &h.w.error) != IPC9_E_TIMEDOUT);
		end(&h);
	}
}

/* --- Clients that go before they are accepted -------------------------------------------------- */

static struct ipc9_pipe *go(struct ipc9_pipe *client, bool vanishes)
{
	if (vanishes)
		ipc9_pipe_abort(client);
	return ipc9_pipe_close(client);
}

static bool opens(void *arg)
{
	struct pipe_world *w = arg;

	return pipe_world_open(w, NULL, &w->client) == 0;
}

static bool is_free(void *arg)
{
	struct pipe_world *w = arg;

	return ipc9_pipe_wait(w->ipc9, w->name, 0, NULL) == 0;
}

/* By every way the server is told of a client that came and went, and then nobody takes its place unseen. */
static void test_a_server_is_told_of_a_client_that_came_and_went(void)
{
	FOR_EVERY_WAY(m)
	{
		struct pipe_world w;

		pipe_world_begin(&w, m);
		for (int vanishes = 0; vanishes < 2; vanishes++) {
			int want = vanishes ? IPC9_E_LOST : IPC9_E_PEERCLOSED;

			pipe_world_create(&w, NULL);
			EQUAL(pipe_world_open(&w, NULL, &w.client), 0);
			w.client = go(w.client, vanishes);
			if (m->carried != IPC9_PIPE_BY_CALLS)
				HOLDS(wait_until(is_free, &w, 10000));
			else
				EQUAL(ipc9_pipe_wait_closed(w.server, 10000, NULL),
				    vanishes ? IPC9_E_LOST : 0);
			EQUAL(ipc9_pipe_accept(w.server, 0, NULL, &w.error), want);
			EQUAL(pipe_world_open(&w, NULL, &w.client), IPC9_E_BUSY);
			EQUAL(ipc9_pipe_disconnect(w.server, &w.error), 0);
			EQUAL(ipc9_pipe_accept(w.server, 0, NULL, &w.error), IPC9_E_TIMEDOUT);
			EQUAL(pipe_world_open(&w, NULL, &w.client), 0);
			EQUAL(ipc9_pipe_accept(w.server, 10000, NULL, &w.error), 0);
			pipe_world_close(&w);
		}
		pipe_world_end(&w);
	}
}

static void test_a_client_that_left_nothing_makes_room_for_another_by_going(void)
{
	FOR_EVERY_WAY(m)
	{
		struct pipe_world w;

		if (m->carried == IPC9_PIPE_BY_CALLS)
			continue; /* of that the server is told */
		pipe_world_begin(&w, m);
		for (int vanishes = 0; vanishes < 2; vanishes++) {
			pipe_world_create(&w, NULL);
			for (int i = 0; i < 3; i++) {
				if (!HOLDS(wait_until(opens, &w, 10000)))
					break;
				if (i == 1)
					EQUAL(ipc9_pipe_end(w.client, &w.error), 0);
				w.client = go(w.client, vanishes);
			}
			if (HOLDS(wait_until(opens, &w, 10000))) {
				EQUAL(pipe_put(w.client, "next"), 0);
				EQUAL(ipc9_pipe_accept(w.server, 10000, NULL, &w.error), 0);
				pipe_expect(w.server, "next");
			}
			pipe_world_close(&w);
		}
		pipe_world_end(&w);
	}
}

/* A server's end by bare calls, which do not take the client by themselves. */
struct bare {
	CLIENT *client;
	uint64_t pipe;
	int want; /* the state that is waited for */
};

static void bare_create(struct bare *b, struct pipe_world *w, bool message)
{
	ipc9_pipe_create_args args = { .name = w->name,
		.type = message ? IPC9_PIPE_MESSAGE : IPC9_PIPE_BYTE,
		.direction = IPC9_PIPE_DUPLEX,
		.max_instances = 1,
		.flags = IPC9_PIPE_CREATE_STREAM | IPC9_PIPE_CREATE_SHARED };
	ipc9_pipe_create_res res = { 0 };

	text_format(w->name, sizeof(w->name), "bare");
	b->client = daemon_client(&w->daemon, true, IPC9_PROG_PIPE);
	EQUAL(ipc9_pipeproc_create_1(&args, &res, b->client), RPC_SUCCESS);
	EQUAL(res.status, 0);
	b->pipe = res.ipc9_pipe_create_res_u.ok.pipe;
	xdr_free((xdrproc_t)xdr_ipc9_pipe_create_res, &res);
}

static bool is_in_state(void *arg)
{
	struct bare *b = arg;
	ipc9_handle_args args = { b->pipe };
	ipc9_pipe_info_res res = { 0 };
	int state;

	EQUAL(ipc9_pipeproc_info_1(&args, &res, b->client), RPC_SUCCESS);
	state = res.ipc9_pipe_info_res_u.ok.state;
	xdr_free((xdrproc_t)xdr_ipc9_pipe_info_res, &res);
	return state == b->want;
}

/* Accepts; what the client left is in the carrier. */
static struct carrier *bare_accept(const struct bare *b, bool message)
{
	static const struct channel_target target = { IPC9_PROG_PIPE, 1, IPC9_PIPEPROC_ACCEPT,
		NULL };
	const enum ipc9_pipe_type type = message ? IPC9_PIPE_TYPE_MESSAGE : IPC9_PIPE_TYPE_BYTE;
	struct channel *channel = channel_client_channel(b->client);
	struct channel_parcels parcels = { .n_give = 0 };
	ipc9_pipe_accept_args args = { b->pipe, 0 };
	ipc9_pipe_accept_res res = { 0 };
	struct carrier *c = NULL;
	struct channel_call call;
	struct rpc_err error;

	EQUAL(channel_send_with(channel, &call, &parcels, &target,
		  (xdrproc_t)xdr_ipc9_pipe_accept_args, &args, SOON, &error),
	    RPC_SUCCESS);
	EQUAL(channel_wait(channel, &call, (xdrproc_t)xdr_ipc9_pipe_accept_res, &res, SOON, &error),
	    RPC_SUCCESS);
	EQUAL(res.status, 0);
	if (parcels.taken.n == 2)
		EQUAL(rings_new(parcels.taken.fds[0], parcels.taken.fds[1], true, type,
			  IPC9_PIPE_QUOTA_DEFAULT, &c),
		    0);
	else if (EQUAL(parcels.taken.n, 1))
		EQUAL(frames_new(parcels.taken.fds[0], true, type, IPC9_PIPE_QUOTA_DEFAULT, &c), 0);
	xdr_free((xdrproc_t)xdr_ipc9_pipe_accept_res, &res);
	return c;
}

static void check_left(struct pipe_world *w, bool message, bool vanishes)
{
	struct carrier *c;
	struct bare b;
	char byte[8];

	bare_create(&b, w, message);
	EQUAL(pipe_world_open(w, NULL, &w->client), 0);
	b.want = IPC9_PIPE_CONNECTED;
	HOLDS(is_in_state(&b));
	EQUAL(pipe_put(w->client, message ? "" : "left"), 0);
	w->client = go(w->client, vanishes);
	b.want = vanishes ? IPC9_PIPE_LOST : IPC9_PIPE_CLOSING;
	if (!HOLDS(wait_until(is_in_state, &b, 10000)))
		printf("  %s, %s\n", w->maker->name, vanishes ? "vanishes" : "closes");
	c = bare_accept(&b, message);
	if (c) {
		EQUAL(get(c, byte, sizeof(byte), message, SOON), message ? 0 : 4);
		EQUAL(get(c, byte, sizeof(byte), message, SOON),
		    vanishes ? -IPC9_E_LOST : -IPC9_E_EOF);
		shut(c);
	}
	daemon_client_end(b.client);
}

static void test_what_a_client_left_that_went_is_kept_and_told_of(void)
{
	FOR_EVERY_WAY(m)
	{
		struct pipe_world w;

		if (m->carried == IPC9_PIPE_BY_CALLS)
			continue;
		pipe_world_begin(&w, m);
		for (int i = 0; i < 4; i++)
			check_left(&w, i & 1, i & 2);
		pipe_world_end(&w);
	}
}

/* --- Aborting ---------------------------------------------------------------------------------- */

static void *accept_and_read(void *arg)
{
	struct ipc9_pipe *pipe = arg;
	char byte;
	size_t n;

	if (ipc9_pipe_accept(pipe, 20000, NULL, NULL) == 0)
		EQUAL(ipc9_pipe_read(pipe, &byte, 1, 20000, &n, NULL), IPC9_E_LOST);
	return NULL;
}

static void test_an_end_that_is_aborted_while_its_client_comes_is_lost(void)
{
	FOR_EVERY_WAY(m)
	{
		struct pipe_world w;

		pipe_world_begin(&w, m);
		for (unsigned round = 0; round < 100; round++) {
			struct timespec while_it_comes = { 0, (long)(round % 50) * 2000 };
			pthread_t thread;

			pipe_world_create(&w, NULL);
			EQUAL(pthread_create(&thread, NULL, accept_and_read, w.server), 0);
			pipe_world_open(&w, NULL, &w.client);
			nanosleep(&while_it_comes, NULL);
			ipc9_pipe_abort(w.server);
			pthread_join(thread, NULL);
			pipe_world_close(&w);
		}
		pipe_world_end(&w);
	}
}

SUITE(pipe_accept, TEST(test_an_accept_that_is_answered_too_late_loses_no_client),
    TEST(test_a_client_that_went_on_its_way_to_the_server_and_left_nothing_is_told_of),
    TEST(test_an_accept_that_was_given_up_before_a_client_came_is_no_matter_to_the_next),
    TEST(test_a_client_of_an_accept_that_was_given_up_can_be_thrown_out),
    TEST(test_an_end_can_be_closed_while_its_accept_is_not_answered),
    TEST(test_a_client_that_left_nothing_makes_room_for_another_by_going),
    TEST(test_a_server_is_told_of_a_client_that_came_and_went),
    TEST(test_what_a_client_left_that_went_is_kept_and_told_of),
    TEST(test_an_end_that_is_aborted_while_its_client_comes_is_lost));
