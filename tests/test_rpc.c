/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_rpc.c - what ipc9_rpc.h promises to programs with an rpcgen interface: handles, and servers of one and of
 * several threads.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness.h"
#include "tests/rpc.h"
#include "util/text.h"

enum {
	TOGETHER = 6 /* handlers that meet */
};

/* --- Handles ----------------------------------------------------------------------------------- */

static void test_a_handle_calls_over_tcp_udp_and_local_sockets(void)
{
	const struct ipc9_rpc_options datagrams = { .udp = true };
	struct rpc_fixture f;
	char udp[64];
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	rpc_expect_echo(c, "over TCP");
	clnt_destroy(c);
	c = rpc_client_to(f.path, RPC_TEST_VERSION);
	rpc_expect_echo(c, "over a local socket");
	clnt_destroy(c);
	text_format(udp, sizeof(udp), "//127.0.0.1:%u", ipc9_rpc_server_port(f.server, "udp"));
	c = ipc9_rpc_client(udp, RPC_TEST_PROGRAM, RPC_TEST_VERSION, &datagrams, NULL);
	if (HOLDS(c != NULL)) {
		CLIENT *d = ipc9_rpc_share(c, RPC_TEST_PROGRAM, RPC_TEST_VERSION + 2);

		rpc_expect_echo(c, "over UDP");
		clnt_destroy(c);
		if (HOLDS(d != NULL)) {
			rpc_expect_echo(d, "by another handle");
			clnt_destroy(d);
		}
	}
	rpc_stop(&f);
}

static void test_a_shared_handle_is_another_version_on_the_same_connection(void)
{
	struct ipc9_rpc_server_stats stats;
	struct rpc_fixture f;
	CLIENT *c, *d;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	d = ipc9_rpc_share(c, RPC_TEST_PROGRAM, RPC_TEST_VERSION + 2);
	rpc_expect_echo(c, "three");
	clnt_destroy(c);
	rpc_expect_echo(d, "five");
	ipc9_rpc_server_stats(f.server, &stats);
	EQUAL(stats.accepted, 1);
	EQUAL(stats.calls, 2);
	clnt_destroy(d);
	rpc_stop(&f);
}

static void test_calls_that_are_not_served_are_answered_as_rfc_5531_says(void)
{
	struct rpc_fixture f;
	struct rpc_err e;
	char *result;
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION + 1);
	EQUAL(rpc_call_text(c, RPC_TEST_ECHO, "x", &result), RPC_PROGVERSMISMATCH);
	clnt_geterr(c, &e);
	EQUAL(e.re_vers.low, RPC_TEST_VERSION);
	EQUAL(e.re_vers.high, RPC_TEST_VERSION + 2);
	clnt_destroy(c);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	EQUAL(rpc_call_text(c, 999, NULL, &result), RPC_PROCUNAVAIL);
	EQUAL(rpc_call_text(c, RPC_TEST_ECHO, NULL, &result), RPC_CANTDECODEARGS);
	rpc_expect_echo(c, "and the connection still works");
	clnt_destroy(c);
	rpc_stop(&f);
}

static void test_targets_that_make_no_sense_are_refused_with_a_reason(void)
{
	static const struct {
		const char *target;
		int code;
		const char *says;
	} cases[] = {
		{ "", IPC9_E_BADNAME, "not a valid target" },
		{ "a/b", IPC9_E_BADNAME, "//HOST/rpc/PROG" },
		{ "//@/rpc/1", IPC9_E_BADNAME, "every host" },
		{ "//127.0.0.1/rpc/x", IPC9_E_BADNAME, "a program's number" },
		{ "//127.0.0.1/rpc/17", IPC9_E_INVALID, "names program 17" },
		{ "127.0.0.1:1", IPC9_E_NODAEMON, "connection refused" },
		{ "/nowhere/at/all", IPC9_E_NODAEMON, "No such file" },
		{ "name.invalid:5", IPC9_E_NOPATH, "name.invalid" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct ipc9_error e = { 0 };

		HOLDS(ipc9_rpc_client(cases[i].target, RPC_TEST_PROGRAM, RPC_TEST_VERSION, NULL,
			  &e) == NULL);
		EQUAL(e.code, cases[i].code);
		if (!strstr(e.text, cases[i].says))
			SAME_TEXT(e.text, cases[i].says);
		HOLDS(rpc_createerr.cf_stat != RPC_SUCCESS);
	}
}

static void test_the_kernel_tells_who_calls_on_a_local_socket_and_the_credential_elsewhere(void)
{
	char expected[128], *result;
	struct rpc_fixture f;
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.path, RPC_TEST_VERSION);
	auth_destroy(c->cl_auth);
	c->cl_auth = authunix_create((char[]){ "elsewhere" }, 4242, 4242, 0, NULL);
	EQUAL(rpc_call_text(c, RPC_TEST_WHO, NULL, &result), RPC_SUCCESS);
	text_format(expected, sizeof(expected), "how 1 uid %u host local flavor 1 sys %u",
	    (unsigned)geteuid(), (unsigned)geteuid());
	SAME_TEXT(result, expected);
	free(result);
	auth_destroy(c->cl_auth);
	clnt_destroy(c);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	c->cl_auth = authunix_create((char[]){ "elsewhere" }, 4242, 4242, 0, NULL);
	EQUAL(rpc_call_text(c, RPC_TEST_WHO, NULL, &result), RPC_SUCCESS);
	SAME_TEXT(result, "how 2 uid 4242 host 127.0.0.1 flavor 1 sys 4242");
	free(result);
	auth_destroy(c->cl_auth);
	clnt_destroy(c);
	rpc_stop(&f);
}

static void test_an_anonymous_handle_sends_no_credential(void)
{
	const struct ipc9_rpc_options anonymous = { .anonymous = true };
	struct rpc_fixture f;
	char *result;
	CLIENT *c;

	rpc_start(&f, NULL);
	c = ipc9_rpc_client(f.tcp, RPC_TEST_PROGRAM, RPC_TEST_VERSION, &anonymous, NULL);
	EQUAL(rpc_call_text(c, RPC_TEST_WHO, NULL, &result), RPC_SUCCESS);
	SAME_TEXT(result, "how 0 uid 0 host 127.0.0.1 flavor 0 sys -1");
	free(result);
	clnt_destroy(c);
	rpc_stop(&f);
}

static void test_a_call_ends_at_its_timeout_and_the_handle_goes_on(void)
{
	struct timeval none = { 0, 1000 };
	struct rpc_fixture f;
	char *result;
	CLIENT *c;

	rpc_start(&f, NULL);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	HOLDS(clnt_control(c, CLSET_TIMEOUT, (caddr_t)&none));
	EQUAL(rpc_call_text(c, RPC_TEST_LATER, NULL, &result), RPC_TIMEDOUT);
	none.tv_sec = 20;
	HOLDS(clnt_control(c, CLSET_TIMEOUT, (caddr_t)&none));
	rpc_expect_echo(c, "again");
	EQUAL(rpc_state.n_later, 1);
	ipc9_rpc_refuse(rpc_state.later[0], SYSTEM_ERR);
	rpc_expect_echo(c, "and behind the late reply");
	clnt_destroy(c);
	rpc_stop(&f);
}

/* --- Threads ----------------------------------------------------------------------------------- */

struct meeting {
	CLIENT *client;
	pthread_t thread;
	enum clnt_stat stat;
	unsigned how_many;
};

static void *go_to_meeting(void *context)
{
	const struct timeval long_enough = { 60, 0 };
	struct meeting *m = context;
	unsigned result = 0;

	m->stat = clnt_call(m->client, RPC_TEST_MEET, XDR_NUMBER, (caddr_t)&m->how_many, XDR_NUMBER,
	    (caddr_t)&result, long_enough);
	return NULL;
}

static void test_handlers_run_at_the_same_time_also_for_one_connection(void)
{
	const struct ipc9_rpc_server_options options = { .threads = TOGETHER };
	struct meeting m[TOGETHER];
	struct rpc_fixture f;
	CLIENT *c;

	rpc_start(&f, &options);
	c = rpc_client_to(f.tcp, RPC_TEST_VERSION);
	for (size_t i = 0; i < TOGETHER; i++) {
		m[i].client = ipc9_rpc_share(c, RPC_TEST_PROGRAM, RPC_TEST_VERSION);
		m[i].how_many = TOGETHER;
		pthread_create(&m[i].thread, NULL, go_to_meeting, &m[i]);
	}
	for (size_t i = 0; i < TOGETHER; i++) {
		pthread_join(m[i].thread, NULL);
		EQUAL(m[i].stat, RPC_SUCCESS);
		clnt_destroy(m[i].client);
	}
	EQUAL(rpc_state.most, TOGETHER);
	clnt_destroy(c);
	rpc_stop(&f);
}

static bool are_inside(void *n)
{
	bool so;

	pthread_mutex_lock(&rpc_state.lock);
	so = rpc_state.inside >= *(unsigned *)n;
	pthread_mutex_unlock(&rpc_state.lock);
	return so;
}

static void test_the_server_receives_and_refuses_while_all_its_handlers_wait(void)
{
	const struct ipc9_rpc_server_options options = { .threads = 2 };
	unsigned both = 2, number = 0;
	struct meeting m[2];
	struct rpc_fixture f;
	char *result;
	CLIENT *c;

	rpc_start(&f, &options);
	for (size_t i = 0; i < 2; i++) {
		m[i].client = rpc_client_to(f.tcp, RPC_TEST_VERSION);
		m[i].how_many = 3;
		pthread_create(&m[i].thread, NULL, go_to_meeting, &m[i]);
	}
	HOLDS(wait_until(are_inside, &both, 10000));
	c = rpc_client_to(f.path, RPC_TEST_VERSION + 1);
	EQUAL(rpc_call_text(c, RPC_TEST_ECHO, "x", &result), RPC_PROGVERSMISMATCH);
	/* The meeting needs a third, for which there is no thread; let it end. */
	pthread_mutex_lock(&rpc_state.lock);
	rpc_state.most = 3;
	pthread_cond_broadcast(&rpc_state.changed);
	pthread_mutex_unlock(&rpc_state.lock);
	for (size_t i = 0; i < 2; i++) {
		pthread_join(m[i].thread, NULL);
		EQUAL(m[i].stat, RPC_SUCCESS);
		clnt_destroy(m[i].client);
	}
	(void)number;
	clnt_destroy(c);
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

static void test_many_clients_and_threads_get_their_own_replies(void)
{
	const struct ipc9_rpc_server_options options = { .threads = 3 };
	enum {
		N = 8
	};
	CLIENT *clients[N];
	pthread_t threads[N];
	struct rpc_fixture f;

	rpc_start(&f, &options);
	for (size_t i = 0; i < N; i++) {
		/* Half of them on the connection of the one before. */
		clients[i] = i % 2
		    ? ipc9_rpc_share(clients[i - 1], RPC_TEST_PROGRAM, RPC_TEST_VERSION)
		    : rpc_client_to(i % 4 ? f.tcp : f.path, RPC_TEST_VERSION);
		pthread_create(&threads[i], NULL, echo_often, clients[i]);
	}
	for (size_t i = 0; i < N; i++) {
		pthread_join(threads[i], NULL);
		clnt_destroy(clients[i]);
	}
	rpc_stop(&f);
}

/* --- Servers ----------------------------------------------------------------------------------- */

static void test_what_a_server_cannot_do_is_said(void)
{
	struct ipc9_rpc_server *s;
	struct ipc9_error e = { 0 };
	struct rpc_fixture f;

	rpc_start(&f, NULL);
	EQUAL(ipc9_rpc_server_new(NULL, &s, &e), 0);
	EQUAL(ipc9_rpc_server_listen(s, "sctp", NULL, &e), IPC9_E_INVALID);
	HOLDS(strstr(e.text, "sctp: no netid of ours") != NULL);
	EQUAL(ipc9_rpc_server_listen(s, "tcp", "[::1]:0", &e), IPC9_E_INVALID);
	EQUAL(ipc9_rpc_server_listen(s, "tcp", "127.0.0.1:x", &e), IPC9_E_INVALID);
	EQUAL(ipc9_rpc_server_listen(s, "tcp", "127.0.0.1:70000", &e), IPC9_E_INVALID);
	EQUAL(ipc9_rpc_server_listen(s, "local", "relative", &e), IPC9_E_INVALID);
	EQUAL(ipc9_rpc_server_listen(s, "local", f.path, &e), IPC9_E_BUSY);
	EQUAL(ipc9_rpc_server_listen(s, "local", "/dev/null", &e), IPC9_E_EXISTS);
	EQUAL(ipc9_rpc_server_listen(s, "tcp", f.tcp, &e), -EADDRINUSE);
	EQUAL(ipc9_rpc_server_port(s, "tcp"), 0);
	EQUAL(ipc9_rpc_server_listen(s, "tcp6", NULL, &e), 0);
	HOLDS(ipc9_rpc_server_port(s, "tcp6") != 0);
	EQUAL(ipc9_rpc_server_add(s, RPC_TEST_PROGRAM, RPC_TEST_VERSION, rpc_dispatch, &e), 0);
	EQUAL(ipc9_rpc_server_add(s, RPC_TEST_PROGRAM, RPC_TEST_VERSION, rpc_dispatch, &e),
	    IPC9_E_EXISTS);
	ipc9_rpc_server_free(s);
	rpc_stop(&f);
}

SUITE(rpc, TEST(test_a_handle_calls_over_tcp_udp_and_local_sockets),
    TEST(test_a_shared_handle_is_another_version_on_the_same_connection),
    TEST(test_calls_that_are_not_served_are_answered_as_rfc_5531_says),
    TEST(test_targets_that_make_no_sense_are_refused_with_a_reason),
    TEST(test_the_kernel_tells_who_calls_on_a_local_socket_and_the_credential_elsewhere),
    TEST(test_an_anonymous_handle_sends_no_credential),
    TEST(test_a_call_ends_at_its_timeout_and_the_handle_goes_on),
    TEST(test_handlers_run_at_the_same_time_also_for_one_connection),
    TEST(test_the_server_receives_and_refuses_while_all_its_handlers_wait),
    TEST(test_many_clients_and_threads_get_their_own_replies),
    TEST(test_what_a_server_cannot_do_is_said));
