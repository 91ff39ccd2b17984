/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_rpc_shared.c - calls of ipc9_rpc.h by shared memory: which of them go that way, that they end as they do over the
 * connection, and that handlers keep to the same rules.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "client/rpc_server.h"
#include "client/rpc_shared.h"
#include "tests/harness.h"
#include "tests/rpc.h"
#include "transport/line.h"
#include "util/text.h"

enum {
	SAFE_MS = 10000,
	MIB = 1 << 20,
	CALLERS = 4
};

static CLIENT *connect_with(const struct rpc_fixture *f, int shared)
{
	const struct ipc9_rpc_options options = { .shared = shared };
	struct ipc9_error e = { 0 };
	CLIENT *c = ipc9_rpc_client(f->path, RPC_TEST_PROGRAM, RPC_TEST_VERSION, &options, &e);

	SAME_TEXT(e.text, "");
	return c;
}

/* A client whose next call goes by shared memory. */
static CLIENT *connect_shared(const struct rpc_fixture *f)
{
	CLIENT *c = connect_with(f, IPC9_RPC_SHARED_SOON);

	rpc_expect_echo(c, "first");
	return c;
}

static uint64_t shared_calls(CLIENT *c)
{
	struct ipc9_rpc_info info;

	EQUAL(ipc9_rpc_info(c, &info), 0);
	return info.shared_calls;
}

static bool is_shared(CLIENT *c)
{
	struct ipc9_rpc_info info;

	EQUAL(ipc9_rpc_info(c, &info), 0);
	return info.is_shared;
}

static enum clnt_stat call_number(CLIENT *c, rpcproc_t procedure, unsigned number, int ms)
{
	const struct timeval limit = { ms / 1000, ms % 1000 * 1000 };
	unsigned result = 0;

	return clnt_call(c, procedure, XDR_NUMBER, (caddr_t)&number, XDR_NUMBER, (caddr_t)&result,
	    limit);
}

static bool is_unwanted(void)
{
	if (rpc_shared_wish() != RPC_SHARED_NEVER)
		return false;
	skip_test("IPC9_RPC_SHARED=0");
	return true;
}

/* --- Which calls ------------------------------------------------------------------------------- */

static void test_calls_to_a_local_socket_go_by_shared_memory_with_the_same_results(void)
{
	struct ipc9_rpc_server_stats stats;
	struct rpc_fixture f;
	CLIENT *c, *d;
	char *result, *over_socket;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	d = connect_with(&f, IPC9_RPC_SHARED_NEVER);
	c = connect_shared(&f);
	HOLDS(is_shared(c));
	EQUAL(shared_calls(c), 0);
	rpc_expect_echo(c, "second");
	EQUAL(rpc_call_text(c, RPC_TEST_WHO, NULL, &result), RPC_SUCCESS);
	EQUAL(rpc_call_text(d, RPC_TEST_WHO, NULL, &over_socket), RPC_SUCCESS);
	SAME_TEXT(result, over_socket);
	free(result);
	free(over_socket);
	EQUAL(rpc_call_text(c, 99, NULL, &result), RPC_PROCUNAVAIL);
	EQUAL(rpc_call_text(c, RPC_TEST_ECHO, NULL, &result), RPC_CANTDECODEARGS);
	EQUAL(shared_calls(c), 4);
	HOLDS(!is_shared(d));
	ipc9_rpc_server_stats(f.server, &stats);
	EQUAL(stats.shared, 1);
	EQUAL(stats.shared_calls, 4);
	clnt_destroy(c);
	clnt_destroy(d);
	rpc_stop(&f);
}

static void test_shared_memory_is_asked_for_after_some_calls_and_not_over_tcp(void)
{
	struct rpc_fixture f;
	CLIENT *c, *d;

	if (rpc_shared_wish() != RPC_SHARED_USUAL) {
		skip_test("IPC9_RPC_SHARED is set");
		return;
	}
	rpc_start(&f, NULL);
	c = connect_with(&f, 0);
	d = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	for (unsigned i = 0; i < 15; i++)
		rpc_expect_echo(c, "x");
	HOLDS(!is_shared(c));
	for (unsigned i = 0; i < 5; i++)
		rpc_expect_echo(c, "x");
	HOLDS(is_shared(c));
	EQUAL(shared_calls(c), 4);
	for (unsigned i = 0; i < 20; i++)
		rpc_expect_echo(d, "x");
	HOLDS(!is_shared(d));
	clnt_destroy(c);
	clnt_destroy(d);
	rpc_stop(&f);
}

static void test_calls_stay_with_the_socket_where_the_server_gives_no_memory(void)
{
	const struct ipc9_rpc_server_options none = { .no_shared = true }, one = { .shared = 1 };
	struct rpc_fixture f;
	CLIENT *c, *d;

	if (is_unwanted())
		return;
	rpc_start(&f, &none);
	c = connect_shared(&f);
	rpc_expect_echo(c, "x");
	HOLDS(!is_shared(c));
	clnt_destroy(c);
	rpc_stop(&f);
	rpc_start(&f, &one);
	c = connect_shared(&f);
	d = connect_shared(&f);
	rpc_expect_echo(c, "x");
	rpc_expect_echo(d, "x");
	HOLDS(is_shared(c));
	HOLDS(!is_shared(d));
	clnt_destroy(c);
	clnt_destroy(d);
	rpc_stop(&f);
}

struct opaque {
	u_int size;
	char *data;
};

static bool_t xdr_opaque_value(XDR *xdrs, struct opaque *value)
{
	return xdr_bytes(xdrs, &value->data, &value->size, UINT32_MAX);
}

#define XDR_OPAQUE ((xdrproc_t)(void (*)(void))xdr_opaque_value)

/* A call and a reply with so many bytes. */
static void exchange(CLIENT *c, unsigned size)
{
	struct opaque args = { size, calloc(1, size + 1) }, back = { 0 };
	const struct timeval limit = { 20, 0 };
	unsigned counted = 0;

	EQUAL(clnt_call(c, RPC_TEST_LOAD, XDR_OPAQUE, (caddr_t)&args, XDR_NUMBER, (caddr_t)&counted,
		  limit),
	    RPC_SUCCESS);
	EQUAL(counted, size);
	EQUAL(clnt_call(c, RPC_TEST_BIG, XDR_NUMBER, (caddr_t)&size, XDR_OPAQUE, (caddr_t)&back,
		  limit),
	    RPC_SUCCESS);
	SAME_BYTES(back.data ? back.data : "", back.size, args.data, size);
	xdr_free(XDR_OPAQUE, (char *)&back);
	free(args.data);
}

static void test_calls_and_replies_of_any_size_arrive_whole(void)
{
	static const unsigned sizes[] = { 0, 500, 4096, 70000, MIB - 100, MIB, 3 * MIB };
	const struct ipc9_rpc_server_options options = { .record_bytes = 4 * MIB };
	struct rpc_fixture f;
	CLIENT *c;

	if (is_unwanted())
		return;
	rpc_start(&f, &options);
	c = connect_shared(&f);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		exchange(c, sizes[i]);
	/* All but the two calls that are longer than a message may be. */
	EQUAL(shared_calls(c), 12);
	clnt_destroy(c);
	rpc_stop(&f);
}

static void test_calls_and_replies_about_as_long_as_what_is_encoded_in_place_arrive_whole(void)
{
	struct rpc_fixture f;
	unsigned n = 0;
	CLIENT *c;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	c = connect_shared(&f);
	for (unsigned size = LINE_IN_PLACE - 60; size <= LINE_IN_PLACE + 4; size++, n++)
		exchange(c, size);
	for (unsigned i = 0; i < 4;
	     i++, n++) /* each finds that the last one was of the other kind */
		exchange(c, i % 2 ? 0 : 2 * LINE_IN_PLACE);
	EQUAL(shared_calls(c), 2 * n);
	clnt_destroy(c);
	rpc_stop(&f);
}

/* Encodes some of it, and then cannot go on. */
static bool_t xdr_half(XDR *xdrs, unsigned *number)
{
	return xdr_u_int(xdrs, number) && xdrs->x_op != XDR_ENCODE;
}

static void test_arguments_that_cannot_be_encoded_cost_nothing_but_the_call(void)
{
	const struct timeval limit = { SAFE_MS / 1000, 0 };
	unsigned number = 1, result;
	struct rpc_fixture f;
	CLIENT *c;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	c = connect_shared(&f);
	for (unsigned i = 1; i <= 3; i++) {
		EQUAL(clnt_call(c, RPC_TEST_BIG, (xdrproc_t)(void (*)(void))xdr_half,
			  (caddr_t)&number, XDR_NUMBER, (caddr_t)&result, limit),
		    RPC_CANTENCODEARGS);
		rpc_expect_echo(c, "goes on");
		EQUAL(shared_calls(c), i);
	}
	clnt_destroy(c);
	rpc_stop(&f);
}

static void test_a_reply_that_is_too_long_ends_the_connection_either_way(void)
{
	static const int ways[] = { IPC9_RPC_SHARED_NEVER, IPC9_RPC_SHARED_SOON };
	struct rpc_fixture f;
	char *result;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	for (size_t i = 0; i < 2; i++) {
		const struct ipc9_rpc_options options = { .shared = ways[i], .reply_bytes = 1000 };
		CLIENT *c =
		    ipc9_rpc_client(f.path, RPC_TEST_PROGRAM, RPC_TEST_VERSION, &options, NULL);

		rpc_expect_echo(c, "first");
		EQUAL(is_shared(c), i);
		EQUAL(call_number(c, RPC_TEST_BIG, 2000, SAFE_MS), RPC_CANTRECV);
		EQUAL(rpc_call_text(c, RPC_TEST_ECHO, "x", &result), RPC_CANTSEND);
		clnt_destroy(c);
	}
	rpc_stop(&f);
}

/* --- Beside others ----------------------------------------------------------------------------- */

static bool are_deferred(void *n)
{
	bool so;

	pthread_mutex_lock(&rpc_state.lock);
	so = rpc_state.n_later >= *(unsigned *)n;
	pthread_mutex_unlock(&rpc_state.lock);
	return so;
}

static void *reply_later(void *context)
{
	unsigned n = *(unsigned *)context;
	char *text = (char *)(uintptr_t) "late";

	HOLDS(wait_until(are_deferred, &n, SAFE_MS));
	EQUAL(ipc9_rpc_reply(rpc_state.later[n - 1], XDR_TEXT, &text), 0);
	return NULL;
}

static void test_a_deferred_reply_comes_from_another_thread(void)
{
	struct rpc_fixture f;
	pthread_t thread;
	char *result;
	unsigned one = 1;
	CLIENT *c;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	c = connect_shared(&f);
	EQUAL(pthread_create(&thread, NULL, reply_later, &one), 0);
	EQUAL(rpc_call_text(c, RPC_TEST_LATER, NULL, &result), RPC_SUCCESS);
	SAME_TEXT(result, "late");
	free(result);
	pthread_join(thread, NULL);
	EQUAL(shared_calls(c), 1);
	clnt_destroy(c);
	rpc_stop(&f);
}

static void test_after_a_timeout_calls_use_the_socket_until_the_late_reply_has_come(void)
{
	struct rpc_fixture f;
	unsigned one = 1;
	CLIENT *c;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	c = connect_shared(&f);
	EQUAL(call_number(c, RPC_TEST_LATER, 0, 20), RPC_TIMEDOUT);
	EQUAL(shared_calls(c), 1);
	rpc_expect_echo(c, "meanwhile");
	EQUAL(shared_calls(c), 1);
	reply_later(&one);
	rpc_expect_echo(c, "again");
	EQUAL(shared_calls(c), 2);
	clnt_destroy(c);
	rpc_stop(&f);
}

static void test_a_late_reply_that_comes_by_the_socket_is_taken_for_no_other(void)
{
	const struct ipc9_rpc_server_options options = { .record_bytes = 4 * MIB };
	struct opaque big = { 2 * MIB, calloc(1, 2 * MIB) };
	struct rpc_fixture f;
	unsigned one = 1;
	CLIENT *c;

	if (is_unwanted()) {
		free(big.data);
		return;
	}
	rpc_start(&f, &options);
	c = connect_shared(&f);
	EQUAL(call_number(c, RPC_TEST_LATER, 0, 20), RPC_TIMEDOUT);
	HOLDS(wait_until(are_deferred, &one, SAFE_MS));
	EQUAL(ipc9_rpc_reply(rpc_state.later[0], XDR_OPAQUE, &big), 0);
	exchange(c, 3 * MIB); /* by the socket, behind it */
	rpc_expect_echo(c, "again");
	EQUAL(shared_calls(c), 3); /* with the call whose reply alone was too long */
	free(big.data);
	clnt_destroy(c);
	rpc_stop(&f);
}

static void on_done(void *context, enum clnt_stat stat, const struct rpc_err *error)
{
	(void)error;
	*(enum clnt_stat *)context = stat;
}

static void test_calls_beside_one_that_is_under_way_use_the_socket(void)
{
	enum clnt_stat stat = RPC_FAILED;
	struct rpc_fixture f;
	unsigned one = 1;
	char *result = NULL;
	CLIENT *c;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	c = connect_shared(&f);
	EQUAL(ipc9_rpc_begin(c, RPC_TEST_LATER, XDR_VOID, NULL, XDR_TEXT, &result, SAFE_MS, on_done,
		  &stat, NULL),
	    0);
	rpc_expect_echo(c, "meanwhile");
	EQUAL(shared_calls(c), 0);
	reply_later(&one);
	EQUAL(ipc9_rpc_process(c, SAFE_MS), 1);
	EQUAL(stat, RPC_SUCCESS);
	free(result);
	rpc_expect_echo(c, "alone");
	EQUAL(shared_calls(c), 1);
	clnt_destroy(c);
	rpc_stop(&f);
}

static void test_a_call_does_not_overtake_those_that_its_caller_did_not_wait_for(void)
{
	const struct timeval none = { 0, 0 };
	struct rpc_fixture f;
	unsigned open = 0;
	CLIENT *c;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	c = connect_shared(&f);
	for (unsigned round = 1; round <= 50; round++) {
		for (unsigned i = 0; i < 10; i++)
			EQUAL(clnt_call(c, RPC_TEST_COUNT, XDR_NUMBER, (caddr_t)&open, NULL, NULL,
				  none),
			    RPC_SUCCESS);
		rpc_expect_echo(c, "behind them");
		EQUAL(rpc_state.counted, 10 * round);
		rpc_expect_echo(c, "alone");
		EQUAL(shared_calls(c), round);
	}
	clnt_destroy(c);
	rpc_stop(&f);
}

/* --- Handlers ---------------------------------------------------------------------------------- */

struct meeting {
	CLIENT *client;
	pthread_t thread;
	rpcproc_t procedure;
	unsigned number, times;
	unsigned failed;
};

static void *go_to_meetings(void *context)
{
	struct meeting *m = context;

	for (unsigned i = 0; i < m->times; i++)
		m->failed +=
		    call_number(m->client, m->procedure, m->number, SAFE_MS) != RPC_SUCCESS;
	return NULL;
}

/* All but the first client by shared memory; the most handlers that ran at the same time. */
static unsigned most_handlers(const struct rpc_fixture *f, rpcproc_t procedure, unsigned number,
    unsigned times)
{
	struct meeting m[CALLERS];

	for (unsigned i = 0; i < CALLERS; i++) {
		m[i] = (struct meeting){ .client = i ? connect_shared(f)
						     : connect_with(f, IPC9_RPC_SHARED_NEVER),
			.procedure = procedure,
			.number = number,
			.times = times };
		EQUAL(is_shared(m[i].client), i > 0);
	}
	for (unsigned i = 0; i < CALLERS; i++)
		EQUAL(pthread_create(&m[i].thread, NULL, go_to_meetings, &m[i]), 0);
	for (unsigned i = 0; i < CALLERS; i++) {
		pthread_join(m[i].thread, NULL);
		EQUAL(m[i].failed, 0);
		EQUAL(shared_calls(m[i].client), i ? times : 0);
		clnt_destroy(m[i].client);
	}
	return rpc_state.most;
}

static void test_a_server_of_one_thread_never_runs_two_handlers(void)
{
	struct rpc_fixture f;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	EQUAL(most_handlers(&f, RPC_TEST_NAP, 50, rpc_times(100, 10000)), 1);
	rpc_stop(&f);
}

static void test_handlers_of_all_connections_run_at_the_same_time_up_to_the_bound(void)
{
	const struct ipc9_rpc_server_options four = { .threads = 4 }, two = { .threads = 2 };
	struct rpc_fixture f;

	if (is_unwanted())
		return;
	rpc_start(&f, &four);
	EQUAL(most_handlers(&f, RPC_TEST_MEET, 4, 1), 4);
	rpc_stop(&f);
	rpc_start(&f, &two);
	HOLDS(most_handlers(&f, RPC_TEST_NAP, 50, rpc_times(100, 10000)) <= 2);
	rpc_stop(&f);
}

static bool are_inside(void *n)
{
	bool so;

	pthread_mutex_lock(&rpc_state.lock);
	so = rpc_state.inside == *(unsigned *)n;
	pthread_mutex_unlock(&rpc_state.lock);
	return so;
}

/* Lets those go who wait for so many. */
static void end_meeting(unsigned number)
{
	pthread_mutex_lock(&rpc_state.lock);
	rpc_state.most = number;
	pthread_cond_broadcast(&rpc_state.changed);
	pthread_mutex_unlock(&rpc_state.lock);
}

/* Whether a call of a ring has waited for so long that it comes before those by the socket. */
static bool is_overdue(void *context)
{
	struct ipc9_rpc_server *s = context;
	bool so;

	pthread_mutex_lock(&s->lock);
	so = s->threads.overdue == 1;
	pthread_mutex_unlock(&s->lock);
	return so;
}

static void test_a_call_by_shared_memory_that_has_waited_comes_before_those_queued_by_the_socket(
    void)
{
	enum {
		QUEUED = 32
	};
	struct meeting waits = { .procedure = RPC_TEST_MEET, .number = 2, .times = 1 };
	enum clnt_stat later_stat, stats[QUEUED];
	unsigned first = 1, numbers[QUEUED], none = 0;
	char *later = NULL;
	struct rpc_fixture f;
	CLIENT *crowd;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	crowd = connect_with(&f, IPC9_RPC_SHARED_NEVER);
	waits.client = connect_shared(&f);
	/* Beside one that is under way the others leave together, and so the server has them all when the first runs. */
	EQUAL(ipc9_rpc_begin(crowd, RPC_TEST_LATER, XDR_VOID, NULL, XDR_TEXT, &later, SAFE_MS,
		  on_done, &later_stat, NULL),
	    0);
	for (unsigned i = 0; i < QUEUED; i++)
		EQUAL(ipc9_rpc_begin(crowd, RPC_TEST_GATE, XDR_NUMBER, i ? &none : &first,
			  XDR_NUMBER, &numbers[i], SAFE_MS, on_done, &stats[i], NULL),
		    0);
	EQUAL(ipc9_rpc_process(crowd, 0), 0);
	HOLDS(rpc_await_entered(1));
	EQUAL(pthread_create(&waits.thread, NULL, go_to_meetings, &waits), 0);
	HOLDS(wait_until(is_overdue, f.server, SAFE_MS));
	rpc_open_gate(1);
	HOLDS(wait_until(are_inside, (unsigned[]){ 1 }, SAFE_MS));
	EQUAL(rpc_state.entered, 1);
	end_meeting(2);
	pthread_join(waits.thread, NULL);
	EQUAL(waits.failed, 0);
	reply_later(&first);
	for (int n = 0; n < QUEUED + 1;)
		n += ipc9_rpc_process(crowd, SAFE_MS);
	EQUAL(rpc_state.entered, QUEUED);
	free(later);
	clnt_destroy(waits.client);
	clnt_destroy(crowd);
	rpc_stop(&f);
}

static void test_the_server_receives_while_handlers_of_shared_memory_take_all_there_may_be(void)
{
	const struct ipc9_rpc_server_options two = { .threads = 2 };
	struct meeting m[2];
	struct rpc_fixture f;
	char *result;
	CLIENT *c, *d;

	if (is_unwanted())
		return;
	rpc_start(&f, &two);
	for (unsigned i = 0; i < 2; i++) {
		m[i] = (struct meeting){ .client = connect_shared(&f),
			.procedure = RPC_TEST_MEET,
			.number = 3,
			.times = 1 };
		EQUAL(pthread_create(&m[i].thread, NULL, go_to_meetings, &m[i]), 0);
	}
	HOLDS(wait_until(are_inside, (unsigned[]){ 2 }, SAFE_MS));
	c = connect_with(&f, IPC9_RPC_SHARED_NEVER);
	d = ipc9_rpc_share(c, RPC_TEST_PROGRAM, RPC_TEST_VERSION + 1);
	EQUAL(rpc_call_text(d, RPC_TEST_ECHO, "x", &result), RPC_PROGVERSMISMATCH);
	end_meeting(3);
	rpc_expect_echo(c, "after them");
	for (unsigned i = 0; i < 2; i++) {
		pthread_join(m[i].thread, NULL);
		EQUAL(m[i].failed, 0);
		clnt_destroy(m[i].client);
	}
	clnt_destroy(c);
	clnt_destroy(d);
	rpc_stop(&f);
}

SUITE(rpc_shared, TEST(test_calls_to_a_local_socket_go_by_shared_memory_with_the_same_results),
    TEST(test_shared_memory_is_asked_for_after_some_calls_and_not_over_tcp),
    TEST(test_calls_stay_with_the_socket_where_the_server_gives_no_memory),
    TEST(test_calls_and_replies_of_any_size_arrive_whole),
    TEST(test_calls_and_replies_about_as_long_as_what_is_encoded_in_place_arrive_whole),
    TEST(test_arguments_that_cannot_be_encoded_cost_nothing_but_the_call),
    TEST(test_a_reply_that_is_too_long_ends_the_connection_either_way),
    TEST(test_a_deferred_reply_comes_from_another_thread),
    TEST(test_after_a_timeout_calls_use_the_socket_until_the_late_reply_has_come),
    TEST(test_a_late_reply_that_comes_by_the_socket_is_taken_for_no_other),
    TEST(test_calls_beside_one_that_is_under_way_use_the_socket),
    TEST(test_a_call_does_not_overtake_those_that_its_caller_did_not_wait_for),
    TEST(test_a_server_of_one_thread_never_runs_two_handlers),
    TEST(test_handlers_of_all_connections_run_at_the_same_time_up_to_the_bound),
    TEST(test_a_call_by_shared_memory_that_has_waited_comes_before_those_queued_by_the_socket),
    TEST(test_the_server_receives_while_handlers_of_shared_memory_take_all_there_may_be));
