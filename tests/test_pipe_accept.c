/* SPDX-License-Identifier: BSD-3-Clause */
/* test_pipe_accept.c - clients of a pipe between their open and their server's accept. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

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
    TEST(test_an_accept_that_was_given_up_before_a_client_came_is_no_matter_to_the_next),
    TEST(test_a_client_of_an_accept_that_was_given_up_can_be_thrown_out),
    TEST(test_an_end_can_be_closed_while_its_accept_is_not_answered),
    TEST(test_an_end_that_is_aborted_while_its_client_comes_is_lost));
