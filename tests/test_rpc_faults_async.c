/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_rpc_faults_async.c - what handles of ipc9_rpc.h owe their callers when replies come late, connections
 * end, functions do what they may, and others read the same connection.  E2E_LONG=1: more rounds.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness.h"
#include "tests/rpc.h"
#include "util/text.h"

enum {
	SAFE_MS = 10000 /* for what has to happen */
};

struct later {
	enum clnt_stat stat;
	char *text;
	unsigned number, done;
};

static void on_done(void *context, enum clnt_stat stat, const struct rpc_err *error)
{
	struct later *l = context;

	(void)error;
	l->stat = stat;
	l->done++;
}

/* A call with a number, whose reply is one. */
static int begin(CLIENT *c, rpcproc_t procedure, unsigned number, struct later *l, int ms,
    struct ipc9_rpc_call **ret)
{
	memset(l, 0, sizeof(*l));
	return ipc9_rpc_begin(c, procedure, XDR_NUMBER, &number, XDR_NUMBER, &l->number, ms,
	    on_done, l, ret);
}

static bool is_readable(int fd, int ms)
{
	return poll(&(struct pollfd){ .fd = fd, .events = POLLIN }, 1, ms) == 1;
}

static void finish(CLIENT *c, struct rpc_fixture *f)
{
	clnt_destroy(c);
	rpc_open_gate(UINT_MAX);
	rpc_stop(f);
}

/* --- The descriptor ---------------------------------------------------------------------------- */

/* What has come to the connection is taken in by one ipc9_rpc_process, and then the descriptor is quiet. */
static void expect_quiet_after_process(CLIENT *c)
{
	int socket;

	HOLDS(clnt_control(c, CLGET_FD, (caddr_t)&socket));
	HOLDS(is_readable(socket, SAFE_MS));
	EQUAL(ipc9_rpc_process(c, 0), 0);
	EQUAL(is_readable(ipc9_rpc_fd(c), 0), false);
}

static void test_the_descriptor_is_quiet_behind_the_reply_of_a_cancelled_call(void)
{
	struct ipc9_rpc_call *call;
	struct rpc_fixture f;
	struct later l;
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	HOLDS(ipc9_rpc_fd(c) >= 0);
	EQUAL(begin(c, RPC_TEST_GATE, 1, &l, SAFE_MS, &call), 0);
	EQUAL(ipc9_rpc_process(c, 0), 0);
	HOLDS(rpc_await_entered(1));
	ipc9_rpc_cancel(call);
	rpc_open_gate(1);
	expect_quiet_after_process(c);
	EQUAL(l.done, 0);
	rpc_expect_echo(c, "and the connection still works");
	finish(c, &f);
}

static void test_the_descriptor_is_quiet_behind_the_reply_of_a_call_whose_time_was_over(void)
{
	struct rpc_fixture f;
	struct later l;
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	HOLDS(ipc9_rpc_fd(c) >= 0);
	EQUAL(begin(c, RPC_TEST_GATE, 1, &l, 1, NULL), 0);
	EQUAL(ipc9_rpc_process(c, SAFE_MS), 1);
	EQUAL(l.stat, RPC_TIMEDOUT);
	HOLDS(rpc_await_entered(1));
	rpc_open_gate(1);
	expect_quiet_after_process(c);
	EQUAL(l.done, 1);
	rpc_expect_echo(c, "and the connection still works");
	finish(c, &f);
}

static void test_the_descriptor_is_quiet_behind_the_end_of_the_connection(void)
{
	struct rpc_fixture f;
	struct later l;
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	HOLDS(ipc9_rpc_fd(c) >= 0);
	EQUAL(begin(c, RPC_TEST_GATE, 0, &l, SAFE_MS, NULL), 0);
	EQUAL(ipc9_rpc_process(c, SAFE_MS), 1);
	rpc_stop(&f);
	expect_quiet_after_process(c);
	EQUAL(begin(c, RPC_TEST_GATE, 0, &l, SAFE_MS, NULL), IPC9_E_LOST);
	clnt_destroy(c);
}

/* --- Shared connections ------------------------------------------------------------------------ */

struct chain {
	CLIENT *client;
	unsigned left;
	struct later calls[2];
};

static void on_link(void *context, enum clnt_stat stat, const struct rpc_err *error)
{
	struct chain *chain = context;
	unsigned number = 0;

	(void)error;
	EQUAL(stat, RPC_SUCCESS);
	if (chain->left && --chain->left)
		EQUAL(ipc9_rpc_begin(chain->client, RPC_TEST_GATE, XDR_NUMBER, &number, XDR_NUMBER,
			  &chain->calls[0].number, SAFE_MS, on_link, chain, NULL),
		    0);
}

struct sleeper {
	CLIENT *client;
	enum clnt_stat stat;
	struct timeval time;
	pthread_t thread;
};

/* A call that lasts until the gate opens for 1. */
static void *call_and_wait(void *context)
{
	struct sleeper *s = context;
	unsigned number = 1;

	s->stat = clnt_call(s->client, RPC_TEST_GATE, XDR_NUMBER, (caddr_t)&number, XDR_NUMBER,
	    (caddr_t)&number, s->time);
	return NULL;
}

static void test_the_descriptor_tells_of_replies_that_another_thread_has_read(void)
{
	const struct ipc9_rpc_server_options options = { .threads = 3 };
	struct sleeper reader = { .time = { 120, 0 } };
	struct chain chain = { .left = rpc_times(30000, 500000) };
	unsigned number = 0;
	struct rpc_fixture f;
	int fd;

	rpc_start(&f, &options);
	chain.client = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	fd = ipc9_rpc_fd(chain.client);
	reader.client = ipc9_rpc_share(chain.client, RPC_TEST_PROGRAM, RPC_TEST_VERSION);
	pthread_create(&reader.thread, NULL, call_and_wait, &reader);
	HOLDS(rpc_await_entered(1));
	for (size_t i = 0; i < 2; i++)
		EQUAL(ipc9_rpc_begin(chain.client, RPC_TEST_GATE, XDR_NUMBER, &number, XDR_NUMBER,
			  &chain.calls[i].number, SAFE_MS / 2, on_link, &chain, NULL),
		    0);
	while (chain.left) {
		/* A lost one would show at its deadline only. */
		if (!HOLDS(is_readable(fd, SAFE_MS / 4)))
			break;
		ipc9_rpc_process(chain.client, 0);
	}
	rpc_open_gate(1);
	pthread_join(reader.thread, NULL);
	EQUAL(reader.stat, RPC_SUCCESS);
	clnt_destroy(reader.client);
	finish(chain.client, &f);
}

struct echoes {
	CLIENT *client;
	atomic_bool is_over;
};

static void *echo_until_over(void *context)
{
	struct echoes *e = context;

	while (!e->is_over)
		rpc_expect_echo(e->client, "beside");
	return NULL;
}

static void test_a_handle_can_go_with_calls_whose_replies_another_thread_reads(void)
{
	struct rpc_fixture f;
	struct later l[8];
	struct echoes beside = { .is_over = false };
	pthread_t thread;
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	beside.client = ipc9_rpc_share(c, RPC_TEST_PROGRAM, RPC_TEST_VERSION);
	pthread_create(&thread, NULL, echo_until_over, &beside);
	for (unsigned i = 0; i < rpc_times(1000, 50000); i++) {
		CLIENT *passing = ipc9_rpc_share(c, RPC_TEST_PROGRAM, RPC_TEST_VERSION);

		for (unsigned j = 0; j <= i % 8; j++)
			EQUAL(begin(passing, RPC_TEST_GATE, 0, &l[j], SAFE_MS, NULL), 0);
		if (i % 3)
			ipc9_rpc_process(passing, 0);
		if (i % 2)
			rpc_expect_echo(c, "between");
		clnt_destroy(passing);
	}
	beside.is_over = true;
	pthread_join(thread, NULL);
	clnt_destroy(beside.client);
	finish(c, &f);
}

/* --- Functions --------------------------------------------------------------------------------- */

struct own {
	struct ipc9_rpc_call *call;
	unsigned done;
};

static void on_own_end(void *context, enum clnt_stat stat, const struct rpc_err *error)
{
	struct own *own = context;

	(void)error;
	EQUAL(stat, RPC_SUCCESS);
	own->done++;
	ipc9_rpc_cancel(own->call);
}

static void test_a_function_that_cancels_its_own_call_changes_nothing(void)
{
	struct ipc9_rpc_call *calls[2];
	struct own own = { 0 };
	unsigned number = 0;
	struct rpc_fixture f;
	struct later l[2];
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	EQUAL(ipc9_rpc_begin(c, RPC_TEST_GATE, XDR_NUMBER, &number, XDR_NUMBER, &number, SAFE_MS,
		  on_own_end, &own, &own.call),
	    0);
	EQUAL(ipc9_rpc_process(c, SAFE_MS), 1);
	EQUAL(own.done, 1);
	rpc_open_gate(2);
	EQUAL(begin(c, RPC_TEST_GATE, 1, &l[0], SAFE_MS, &calls[0]), 0);
	EQUAL(begin(c, RPC_TEST_GATE, 2, &l[1], SAFE_MS, &calls[1]), 0);
	if (HOLDS(calls[0] != calls[1])) { /* else the handle's lists have no end */
		while (!l[0].done || !l[1].done)
			if (!HOLDS(ipc9_rpc_process(c, SAFE_MS) > 0))
				break;
		EQUAL(l[0].number, 1);
		EQUAL(l[1].number, 2);
		clnt_destroy(c);
	}
	rpc_stop(&f);
}

static void test_an_asynchronous_call_without_results_to_decode_succeeds(void)
{
	unsigned number = 0;
	struct rpc_fixture f;
	struct later l = { 0 };
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	EQUAL(ipc9_rpc_begin(c, RPC_TEST_GATE, XDR_NUMBER, &number, NULL, NULL, SAFE_MS / 5,
		  on_done, &l, NULL),
	    0);
	EQUAL(ipc9_rpc_process(c, SAFE_MS), 1);
	EQUAL(l.done, 1);
	EQUAL(l.stat, RPC_SUCCESS);
	finish(c, &f);
}

/* --- Credentials ------------------------------------------------------------------------------- */

static void expect_who(CLIENT *c, const char *who)
{
	char *text;

	EQUAL(rpc_call_text(c, RPC_TEST_WHO, NULL, &text), RPC_SUCCESS);
	SAME_TEXT(text, who);
	free(text);
}

static void expect_who_async(CLIENT *c, const char *who)
{
	struct later l = { 0 };

	EQUAL(ipc9_rpc_begin(c, RPC_TEST_WHO, XDR_VOID, NULL, XDR_TEXT, &l.text, SAFE_MS, on_done,
		  &l, NULL),
	    0);
	EQUAL(ipc9_rpc_process(c, SAFE_MS), 1);
	EQUAL(l.stat, RPC_SUCCESS);
	SAME_TEXT(l.text, who);
	free(l.text);
}

#define NOBODY "how 0 uid 0 host 127.0.0.1 flavor 0 sys -1"
#define SOMEBODY "how 2 uid 4242 host 127.0.0.1 flavor 1 sys 4242"

static void test_every_kind_of_call_carries_the_credential_that_the_caller_chose(void)
{
	const struct ipc9_rpc_options datagrams = { .udp = true };
	AUTH *somebody = authunix_create((char[]){ "elsewhere" }, 4242, 4242, 0, NULL);
	struct rpc_fixture f;
	char udp[64];
	CLIENT *c, *d;

	rpc_start(&f, NULL);
	text_format(udp, sizeof(udp), "//127.0.0.1:%u", ipc9_rpc_server_port(f.server, "udp"));
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	d = ipc9_rpc_client(udp, RPC_TEST_PROGRAM, RPC_TEST_VERSION, &datagrams, NULL);
	c->cl_auth = d->cl_auth = somebody;
	expect_who(c, SOMEBODY);
	expect_who_async(c, SOMEBODY);
	expect_who(d, SOMEBODY);
	c->cl_auth = d->cl_auth = authnone_create();
	expect_who(c, NOBODY);
	expect_who_async(c, NOBODY);
	expect_who(d, NOBODY);
	clnt_destroy(d);
	finish(c, &f);
	auth_destroy(somebody);
}

/* --- Time -------------------------------------------------------------------------------------- */

/* A call that has for ever ends with its reply, not before. */
static void wait_for_ever(CLIENT *c, const struct timeval *time)
{
	struct sleeper s = { .client = c, .time = *time };

	pthread_mutex_lock(&rpc_state.lock);
	rpc_state.open = rpc_state.entered = 0;
	pthread_mutex_unlock(&rpc_state.lock);
	pthread_create(&s.thread, NULL, call_and_wait, &s);
	HOLDS(rpc_await_entered(1));
	rpc_open_gate(1);
	pthread_join(s.thread, NULL);
	EQUAL(s.stat, RPC_SUCCESS);
}

static void wait_with_huge_times(CLIENT *c)
{
	static const time_t seconds[] = { LONG_MAX, LONG_MAX / 1000, INT64_MAX / 1000000000,
		INT_MAX };

	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		const struct timeval time = { seconds[i], 999999 };

		wait_for_ever(c, &time);
	}
	for (size_t i = 0; i < sizeof(seconds) / sizeof(seconds[0]); i++) {
		struct timeval time = { seconds[i], 999999 };
		const struct timeval none = { 0, 0 };

		HOLDS(clnt_control(c, CLSET_TIMEOUT, (caddr_t)&time));
		wait_for_ever(c, &none);
	}
	clnt_destroy(c);
}

static void test_a_call_with_more_seconds_than_a_clock_counts_waits_for_its_reply(void)
{
	const struct ipc9_rpc_options datagrams = { .udp = true };
	struct rpc_fixture f;
	char udp[64];

	rpc_start(&f, NULL);
	text_format(udp, sizeof(udp), "//127.0.0.1:%u", ipc9_rpc_server_port(f.server, "udp"));
	wait_with_huge_times(rpc_client_to(f.tcp, RPC_TEST_VERSION));
	wait_with_huge_times(ipc9_rpc_client(udp, RPC_TEST_PROGRAM, RPC_TEST_VERSION, &datagrams,
	    NULL));
	rpc_open_gate(UINT_MAX);
	rpc_stop(&f);
}

SUITE(rpc_faults_async, TEST(test_the_descriptor_is_quiet_behind_the_reply_of_a_cancelled_call),
    TEST(test_the_descriptor_is_quiet_behind_the_reply_of_a_call_whose_time_was_over),
    TEST(test_the_descriptor_is_quiet_behind_the_end_of_the_connection),
    TEST(test_the_descriptor_tells_of_replies_that_another_thread_has_read),
    TEST(test_a_handle_can_go_with_calls_whose_replies_another_thread_reads),
    TEST(test_a_function_that_cancels_its_own_call_changes_nothing),
    TEST(test_an_asynchronous_call_without_results_to_decode_succeeds),
    TEST(test_every_kind_of_call_carries_the_credential_that_the_caller_chose),
    TEST(test_a_call_with_more_seconds_than_a_clock_counts_waits_for_its_reply));
