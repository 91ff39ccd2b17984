/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_rpc_async.c - what ipc9_rpc.h promises of calls that nobody waits for, on both sides: asynchronous calls, and
 * deferred replies.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"
#include "tests/rpc.h"
#include "util/text.h"

/* --- Deferred replies -------------------------------------------------------------------------- */

static bool are_deferred(void *n)
{
	bool so;

	pthread_mutex_lock(&rpc_state.lock);
	so = rpc_state.n_later >= *(unsigned *)n;
	pthread_mutex_unlock(&rpc_state.lock);
	return so;
}

struct later {
	enum clnt_stat stat;
	char *result;
	unsigned done;
};

static void on_done(void *context, enum clnt_stat stat, const struct rpc_err *error)
{
	struct later *l = context;

	EQUAL(error->re_status, stat);
	l->stat = stat;
	l->done++;
}

static int begin(CLIENT *c, rpcproc_t procedure, const char *text, struct later *l, int ms,
    struct ipc9_rpc_call **ret)
{
	char *args = (char *)(uintptr_t)text;

	memset(l, 0, sizeof(*l));
	return ipc9_rpc_begin(c, procedure, text ? XDR_TEXT : XDR_VOID, text ? &args : NULL,
	    XDR_TEXT, &l->result, ms, on_done, l, ret);
}

static void test_deferred_replies_leave_in_any_order_from_any_thread(void)
{
	char first[] = "first", second[] = "second", *texts[2] = { first, second };
	unsigned two = 2;
	struct later l[2];
	struct rpc_fixture f;
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	EQUAL(begin(c, RPC_TEST_LATER, NULL, &l[0], 20000, NULL), 0);
	EQUAL(begin(c, RPC_TEST_LATER, NULL, &l[1], 20000, NULL), 0);
	EQUAL(ipc9_rpc_process(c, 0), 0);
	HOLDS(wait_until(are_deferred, &two, 10000));
	EQUAL(ipc9_rpc_is_gone(rpc_state.later[1]), false);
	EQUAL(ipc9_rpc_reply(rpc_state.later[1], XDR_TEXT, &texts[1]), 0);
	EQUAL(ipc9_rpc_process(c, 20000), 1);
	EQUAL(l[0].done, 0);
	EQUAL(l[1].done, 1);
	SAME_TEXT(l[1].result, "second");
	EQUAL(ipc9_rpc_reply(rpc_state.later[0], XDR_TEXT, &texts[0]), 0);
	EQUAL(ipc9_rpc_process(c, 20000), 1);
	SAME_TEXT(l[0].result, "first");
	EQUAL(ipc9_rpc_process(c, 20000), 0);
	free(l[0].result);
	free(l[1].result);
	clnt_destroy(c);
	rpc_stop(&f);
}

static bool is_gone(void *call)
{
	return ipc9_rpc_is_gone(call);
}

static void test_a_deferred_call_outlives_its_caller_and_its_server(void)
{
	char text[] = "too late", *result = text;
	unsigned two = 2;
	struct later l[2];
	struct rpc_fixture f;
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	EQUAL(begin(c, RPC_TEST_LATER, NULL, &l[0], 20000, NULL), 0);
	EQUAL(begin(c, RPC_TEST_LATER, NULL, &l[1], 20000, NULL), 0);
	EQUAL(ipc9_rpc_process(c, 0), 0);
	HOLDS(wait_until(are_deferred, &two, 10000));
	clnt_destroy(c);
	EQUAL(l[0].done, 0);
	HOLDS(wait_until(is_gone, rpc_state.later[0], 10000));
	EQUAL(ipc9_rpc_reply(rpc_state.later[0], XDR_TEXT, &result), IPC9_E_LOST);
	rpc_stop(&f);
	EQUAL(ipc9_rpc_is_gone(rpc_state.later[1]), true);
	ipc9_rpc_refuse(rpc_state.later[1], SYSTEM_ERR);
}

/* --- Asynchronous calls ------------------------------------------------------------------------ */

static void test_hundreds_of_calls_in_flight_each_end_once_with_their_own_result(void)
{
	const struct ipc9_rpc_server_options options = { .calls = 16 };
	enum {
		N = 700
	};
	struct later *l = calloc(N, sizeof(*l));
	char text[N][12];
	struct rpc_fixture f;
	unsigned ended = 0;
	CLIENT *c;

	rpc_start(&f, &options);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	for (unsigned i = 0; i < N; i++) {
		text_format(text[i], sizeof(text[i]), "call %u", i);
		EQUAL(begin(c, RPC_TEST_ECHO, text[i], &l[i], 60000, NULL), 0);
	}
	while (ended < N) {
		int n = ipc9_rpc_process(c, 60000);

		if (!HOLDS(n > 0))
			break;
		ended += (unsigned)n;
	}
	for (unsigned i = 0; i < N; i++) {
		EQUAL(l[i].done, 1);
		EQUAL(l[i].stat, RPC_SUCCESS);
		SAME_TEXT(l[i].result, text[i]);
		free(l[i].result);
	}
	EQUAL(rpc_state.echoed, N);
	free(l);
	clnt_destroy(c);
	rpc_stop(&f);
}

static void test_the_descriptor_is_readable_when_there_is_something_to_do(void)
{
	struct pollfd p = { .events = POLLIN };
	unsigned one = 1;
	struct later l, e;
	struct rpc_fixture f;
	char text[] = "now", *result = text;
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.path, RPC_TEST_VERSION);
	p.fd = ipc9_rpc_fd(c);
	HOLDS(p.fd >= 0);
	EQUAL(begin(c, RPC_TEST_LATER, NULL, &l, 20000, NULL), 0);
	HOLDS(wait_until(are_deferred, &one, 10000));
	EQUAL(poll(&p, 1, 0), 0);
	EQUAL(ipc9_rpc_reply(rpc_state.later[0], XDR_TEXT, &result), 0);
	EQUAL(poll(&p, 1, 10000), 1);
	EQUAL(ipc9_rpc_process(c, 0), 1);
	SAME_TEXT(l.result, "now");
	free(l.result);
	EQUAL(poll(&p, 1, 0), 0);
	/* So is what waits to be sent with others. */
	EQUAL(begin(c, RPC_TEST_ECHO, "first", &l, 20000, NULL), 0);
	EQUAL(begin(c, RPC_TEST_ECHO, "second", &e, 20000, NULL), 0);
	while (!l.done || !e.done) {
		if (!EQUAL(poll(&p, 1, 10000), 1))
			break;
		ipc9_rpc_process(c, 0);
	}
	SAME_TEXT(l.result, "first");
	SAME_TEXT(e.result, "second");
	free(l.result);
	free(e.result);
	/* And a deadline. */
	EQUAL(begin(c, RPC_TEST_LATER, NULL, &l, 30, NULL), 0);
	EQUAL(poll(&p, 1, 10000), 1);
	EQUAL(ipc9_rpc_process(c, 0), 1);
	EQUAL(l.stat, RPC_TIMEDOUT);
	EQUAL(poll(&p, 1, 0), 0);
	EQUAL(begin(c, RPC_TEST_ECHO, "behind it", &e, 20000, NULL), 0);
	EQUAL(ipc9_rpc_process(c, 20000), 1);
	SAME_TEXT(e.result, "behind it");
	free(e.result);
	ipc9_rpc_refuse(rpc_state.later[1], SYSTEM_ERR);
	clnt_destroy(c);
	rpc_stop(&f);
}

static void test_a_cancelled_call_does_not_end(void)
{
	struct ipc9_rpc_call *call;
	struct later l, e;
	unsigned one = 1;
	struct rpc_fixture f;
	char text[] = "late", *result = text;
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	EQUAL(begin(c, RPC_TEST_LATER, NULL, &l, 20000, &call), 0);
	HOLDS(wait_until(are_deferred, &one, 10000));
	ipc9_rpc_cancel(call);
	EQUAL(ipc9_rpc_reply(rpc_state.later[0], XDR_TEXT, &result), 0);
	EQUAL(begin(c, RPC_TEST_ECHO, "after", &e, 20000, NULL), 0);
	EQUAL(ipc9_rpc_process(c, 20000), 1);
	EQUAL(l.done, 0);
	HOLDS(l.result == NULL);
	SAME_TEXT(e.result, "after");
	free(e.result);
	clnt_destroy(c);
	rpc_stop(&f);
}

static void test_calls_of_a_connection_that_breaks_end_with_an_error(void)
{
	unsigned one = 1;
	struct later l[2];
	struct rpc_fixture f;
	char *result;
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	EQUAL(begin(c, RPC_TEST_LATER, NULL, &l[0], 20000, NULL), 0);
	HOLDS(wait_until(are_deferred, &one, 10000));
	ipc9_rpc_refuse(rpc_state.later[0], PROC_UNAVAIL);
	EQUAL(ipc9_rpc_process(c, 20000), 1);
	EQUAL(l[0].stat, RPC_PROCUNAVAIL);
	EQUAL(begin(c, RPC_TEST_LATER, NULL, &l[0], 20000, NULL), 0);
	EQUAL(begin(c, RPC_TEST_LATER, NULL, &l[1], 20000, NULL), 0);
	EQUAL(ipc9_rpc_process(c, 0), 0);
	one = 3;
	HOLDS(wait_until(are_deferred, &one, 10000));
	rpc_stop(&f);
	EQUAL(ipc9_rpc_process(c, 20000), 2);
	EQUAL(l[0].stat, RPC_CANTRECV);
	EQUAL(l[1].stat, RPC_CANTRECV);
	EQUAL(begin(c, RPC_TEST_ECHO, "x", &l[0], 20000, NULL), IPC9_E_LOST);
	HOLDS(rpc_call_text(c, RPC_TEST_ECHO, "x", &result) != RPC_SUCCESS);
	ipc9_rpc_refuse(rpc_state.later[1], SYSTEM_ERR);
	ipc9_rpc_refuse(rpc_state.later[2], SYSTEM_ERR);
	clnt_destroy(c);
}

struct chain {
	CLIENT *client;
	unsigned left;
	char *result;
};

static void on_link(void *context, enum clnt_stat stat, const struct rpc_err *error)
{
	char text[] = "link", *args = text;
	struct chain *chain = context;

	(void)error;
	EQUAL(stat, RPC_SUCCESS);
	SAME_TEXT(chain->result, "link");
	free(chain->result);
	chain->result = NULL;
	if (--chain->left)
		EQUAL(ipc9_rpc_begin(chain->client, RPC_TEST_ECHO, XDR_TEXT, &args, XDR_TEXT,
			  &chain->result, 20000, on_link, chain, NULL),
		    0);
}

static void test_a_function_can_begin_the_next_call(void)
{
	char text[] = "link", *args = text;
	struct chain chain = { .left = 1000 };
	struct rpc_fixture f;

	rpc_start(&f, NULL);
	chain.client = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	EQUAL(ipc9_rpc_begin(chain.client, RPC_TEST_ECHO, XDR_TEXT, &args, XDR_TEXT, &chain.result,
		  20000, on_link, &chain, NULL),
	    0);
	while (chain.left && ipc9_rpc_process(chain.client, 20000) > 0)
		;
	EQUAL(chain.left, 0);
	clnt_destroy(chain.client);
	rpc_stop(&f);
}

static void *echo_often(void *context)
{
	char text[32];

	for (int i = 0; i < 500; i++) {
		text_format(text, sizeof(text), "%p %d", context, i);
		rpc_expect_echo(context, text);
	}
	return NULL;
}

static void test_asynchronous_and_waiting_calls_share_a_connection(void)
{
	struct rpc_fixture f;
	pthread_t thread;
	CLIENT *c, *d;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	d = ipc9_rpc_share(c, RPC_TEST_PROGRAM, RPC_TEST_VERSION);
	HOLDS(ipc9_rpc_fd(c) >= 0);
	pthread_create(&thread, NULL, echo_often, d);
	for (int i = 0; i < 500; i++) {
		struct later l;

		EQUAL(begin(c, RPC_TEST_ECHO, "shared", &l, 20000, NULL), 0);
		EQUAL(ipc9_rpc_process(c, 20000), 1);
		SAME_TEXT(l.result, "shared");
		free(l.result);
	}
	pthread_join(thread, NULL);
	clnt_destroy(d);
	clnt_destroy(c);
	rpc_stop(&f);
}

SUITE(rpc_async, TEST(test_deferred_replies_leave_in_any_order_from_any_thread),
    TEST(test_a_deferred_call_outlives_its_caller_and_its_server),
    TEST(test_hundreds_of_calls_in_flight_each_end_once_with_their_own_result),
    TEST(test_the_descriptor_is_readable_when_there_is_something_to_do),
    TEST(test_a_cancelled_call_does_not_end),
    TEST(test_calls_of_a_connection_that_breaks_end_with_an_error),
    TEST(test_a_function_can_begin_the_next_call),
    TEST(test_asynchronous_and_waiting_calls_share_a_connection));
