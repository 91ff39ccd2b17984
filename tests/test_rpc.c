/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_rpc.c - what ipc9_rpc.h promises to programs with an rpcgen interface: handles, asynchronous calls,
 * servers of one and of several threads, deferred replies.
 *
 * The dispatcher below has the form of what rpcgen -M -m makes.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/ipc9_rpc.h"
#include "tests/harness.h"
#include "transport/address.h"
#include "transport/connect.h"
#include "util/clock.h"
#include "util/text.h"

enum {
	PROGRAM = 0x20007777,
	VERSION = 3,
	ECHO = 1,    /* string -> string */
	MEET = 2,    /* waits until as many handlers are in it as the number says */
	LATER = 3,   /* deferred: answered by answer_later */
	WHO = 4,     /* -> "how uid flavor" */
	TOGETHER = 6 /* handlers that meet */
};

#define XDR_VOID ((xdrproc_t)(void (*)(void))xdr_void)
#define XDR_TEXT ((xdrproc_t)xdr_wrapstring)
#define XDR_NUMBER ((xdrproc_t)xdr_u_int)

/* --- The program ------------------------------------------------------------------------------- */

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned inside, most; /* handlers in MEET now, and at the same time at most */
	_Atomic unsigned echoed;
	struct ipc9_rpc_deferred *later[64];
	unsigned n_later;
} state = { .lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER };

static void forget_state(void)
{
	state.inside = state.most = state.echoed = state.n_later = 0;
}

static void meet(unsigned how_many)
{
	pthread_mutex_lock(&state.lock);
	if (++state.inside > state.most)
		state.most = state.inside;
	pthread_cond_broadcast(&state.changed);
	while (state.most < how_many)
		pthread_cond_wait(&state.changed, &state.lock);
	state.inside--;
	pthread_mutex_unlock(&state.lock);
}

static void echo(SVCXPRT *transport)
{
	char *text = NULL;

	if (!svc_getargs(transport, XDR_TEXT, (caddr_t)&text)) {
		svcerr_decode(transport);
		return;
	}
	state.echoed++;
	if (!svc_sendreply(transport, XDR_TEXT, (caddr_t)&text))
		svcerr_systemerr(transport);
	if (!svc_freeargs(transport, XDR_TEXT, (caddr_t)&text))
		abort();
}

static void tell_who(struct svc_req *request, SVCXPRT *transport)
{
	struct authunix_parms *sys = request->rq_clntcred;
	struct ipc9_identity who;
	char text[512], *result = text;

	ipc9_rpc_caller(request, &who);
	text_format(text, sizeof(text), "how %d uid %u host %s flavor %d sys %ld", (int)who.how,
	    who.uid, who.host, (int)request->rq_cred.oa_flavor, sys ? (long)sys->aup_uid : -1L);
	svc_sendreply(transport, XDR_TEXT, (caddr_t)&result);
}

static void defer(struct svc_req *request)
{
	pthread_mutex_lock(&state.lock);
	state.later[state.n_later++] = ipc9_rpc_defer(request);
	pthread_cond_broadcast(&state.changed);
	pthread_mutex_unlock(&state.lock);
}

static void dispatch(struct svc_req *request, SVCXPRT *transport)
{
	unsigned number = 0;

	switch (request->rq_proc) {
	case NULLPROC:
		svc_sendreply(transport, XDR_VOID, NULL);
		return;
	case ECHO:
		echo(transport);
		return;
	case MEET:
		if (!svc_getargs(transport, XDR_NUMBER, (caddr_t)&number)) {
			svcerr_decode(transport);
			return;
		}
		meet(number);
		svc_sendreply(transport, XDR_NUMBER, (caddr_t)&number);
		return;
	case LATER:
		defer(request);
		return;
	case WHO:
		tell_who(request, transport);
		return;
	default:
		svcerr_noproc(transport);
	}
}

/* --- The server -------------------------------------------------------------------------------- */

struct fixture {
	struct ipc9_rpc_server *server;
	pthread_t thread;
	char folder[64], path[96], tcp[64];
};

static void *run(void *context)
{
	EQUAL(ipc9_rpc_server_run(context), 0);
	return NULL;
}

static void start(struct fixture *f, const struct ipc9_rpc_server_options *with)
{
	struct ipc9_rpc_server_options options =
	    with ? *with : (struct ipc9_rpc_server_options){ 0 };
	struct ipc9_error e = { 0 };

	options.no_rpcbind = true;
	forget_state();
	text_format(f->folder, sizeof(f->folder), "/tmp/ipc9-test-XXXXXX");
	HOLDS(mkdtemp(f->folder) != NULL);
	text_format(f->path, sizeof(f->path), "%s/socket", f->folder);
	EQUAL(ipc9_rpc_server_new(&options, &f->server, &e), 0);
	EQUAL(ipc9_rpc_server_listen(f->server, "tcp", NULL, &e), 0);
	EQUAL(ipc9_rpc_server_listen(f->server, "udp", "loopback", &e), 0);
	EQUAL(ipc9_rpc_server_listen(f->server, "local", f->path, &e), 0);
	SAME_TEXT(e.text, "");
	EQUAL(ipc9_rpc_server_add(f->server, PROGRAM, VERSION, dispatch, &e), 0);
	EQUAL(ipc9_rpc_server_add(f->server, PROGRAM, VERSION + 2, dispatch, &e), 0);
	text_format(f->tcp, sizeof(f->tcp), "127.0.0.1:%u", ipc9_rpc_server_port(f->server, "tcp"));
	EQUAL(pthread_create(&f->thread, NULL, run, f->server), 0);
}

static void stop(struct fixture *f)
{
	ipc9_rpc_server_stop(f->server);
	pthread_join(f->thread, NULL);
	HOLDS(ipc9_rpc_server_free(f->server) == NULL);
	EQUAL(access(f->path, F_OK), -1);
	EQUAL(rmdir(f->folder), 0);
}

static CLIENT *client_to(const char *target, rpcvers_t version)
{
	struct ipc9_error e = { 0 };
	CLIENT *c = ipc9_rpc_client(target, PROGRAM, version, NULL, &e);

	if (!HOLDS(c != NULL))
		SAME_TEXT(e.text, "");
	return c;
}

static enum clnt_stat call_text(CLIENT *c, rpcproc_t procedure, const char *text, char **ret)
{
	const struct timeval soon = { 20, 0 };
	char *args = (char *)(uintptr_t)text;

	*ret = NULL;
	return clnt_call(c, procedure, text ? XDR_TEXT : XDR_VOID, (caddr_t)(text ? &args : NULL),
	    XDR_TEXT, (caddr_t)ret, soon);
}

static void expect_echo(CLIENT *c, const char *text)
{
	char *result;

	EQUAL(call_text(c, ECHO, text, &result), RPC_SUCCESS);
	SAME_TEXT(result, text);
	free(result);
}

/* --- Handles ----------------------------------------------------------------------------------- */

static void test_a_handle_calls_over_tcp_udp_and_local_sockets(void)
{
	const struct ipc9_rpc_options datagrams = { .udp = true };
	struct fixture f;
	char udp[64];
	CLIENT *c;

	start(&f, NULL);
	c = client_to(f.tcp, VERSION);
	expect_echo(c, "over TCP");
	clnt_destroy(c);
	c = client_to(f.path, VERSION);
	expect_echo(c, "over a local socket");
	clnt_destroy(c);
	text_format(udp, sizeof(udp), "//127.0.0.1:%u", ipc9_rpc_server_port(f.server, "udp"));
	c = ipc9_rpc_client(udp, PROGRAM, VERSION, &datagrams, NULL);
	if (HOLDS(c != NULL)) {
		expect_echo(c, "over UDP");
		clnt_destroy(c);
	}
	stop(&f);
}

static void test_a_shared_handle_is_another_version_on_the_same_connection(void)
{
	struct ipc9_rpc_server_stats stats;
	struct fixture f;
	CLIENT *c, *d;

	start(&f, NULL);
	c = client_to(f.tcp, VERSION);
	d = ipc9_rpc_share(c, PROGRAM, VERSION + 2);
	expect_echo(c, "three");
	clnt_destroy(c);
	expect_echo(d, "five");
	ipc9_rpc_server_stats(f.server, &stats);
	EQUAL(stats.accepted, 1);
	EQUAL(stats.calls, 2);
	clnt_destroy(d);
	stop(&f);
}

static void test_calls_that_are_not_served_are_answered_as_rfc_5531_says(void)
{
	struct fixture f;
	struct rpc_err e;
	char *result;
	CLIENT *c;

	start(&f, NULL);
	c = client_to(f.tcp, VERSION + 1);
	EQUAL(call_text(c, ECHO, "x", &result), RPC_PROGVERSMISMATCH);
	clnt_geterr(c, &e);
	EQUAL(e.re_vers.low, VERSION);
	EQUAL(e.re_vers.high, VERSION + 2);
	clnt_destroy(c);
	c = client_to(f.tcp, VERSION);
	EQUAL(call_text(c, 99, NULL, &result), RPC_PROCUNAVAIL);
	EQUAL(call_text(c, ECHO, NULL, &result), RPC_CANTDECODEARGS);
	expect_echo(c, "and the connection still works");
	clnt_destroy(c);
	stop(&f);
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

		HOLDS(ipc9_rpc_client(cases[i].target, PROGRAM, VERSION, NULL, &e) == NULL);
		EQUAL(e.code, cases[i].code);
		if (!strstr(e.text, cases[i].says))
			SAME_TEXT(e.text, cases[i].says);
		HOLDS(rpc_createerr.cf_stat != RPC_SUCCESS);
	}
}

static void test_the_kernel_tells_who_calls_on_a_local_socket_and_the_credential_elsewhere(void)
{
	char expected[128], *result;
	struct fixture f;
	CLIENT *c;

	start(&f, NULL);
	c = client_to(f.path, VERSION);
	auth_destroy(c->cl_auth);
	c->cl_auth = authunix_create((char[]){ "elsewhere" }, 4242, 4242, 0, NULL);
	EQUAL(call_text(c, WHO, NULL, &result), RPC_SUCCESS);
	text_format(expected, sizeof(expected), "how 1 uid %u host local flavor 1 sys %u",
	    (unsigned)geteuid(), (unsigned)geteuid());
	SAME_TEXT(result, expected);
	free(result);
	auth_destroy(c->cl_auth);
	clnt_destroy(c);
	c = client_to(f.tcp, VERSION);
	c->cl_auth = authunix_create((char[]){ "elsewhere" }, 4242, 4242, 0, NULL);
	EQUAL(call_text(c, WHO, NULL, &result), RPC_SUCCESS);
	SAME_TEXT(result, "how 2 uid 4242 host 127.0.0.1 flavor 1 sys 4242");
	free(result);
	auth_destroy(c->cl_auth);
	clnt_destroy(c);
	stop(&f);
}

static void test_an_anonymous_handle_sends_no_credential(void)
{
	const struct ipc9_rpc_options anonymous = { .anonymous = true };
	struct fixture f;
	char *result;
	CLIENT *c;

	start(&f, NULL);
	c = ipc9_rpc_client(f.tcp, PROGRAM, VERSION, &anonymous, NULL);
	EQUAL(call_text(c, WHO, NULL, &result), RPC_SUCCESS);
	SAME_TEXT(result, "how 0 uid 0 host 127.0.0.1 flavor 0 sys -1");
	free(result);
	clnt_destroy(c);
	stop(&f);
}

static void test_a_call_ends_at_its_timeout_and_the_handle_goes_on(void)
{
	struct timeval none = { 0, 1000 };
	struct fixture f;
	char *result;
	CLIENT *c;

	start(&f, NULL);
	c = client_to(f.tcp, VERSION);
	HOLDS(clnt_control(c, CLSET_TIMEOUT, (caddr_t)&none));
	EQUAL(call_text(c, LATER, NULL, &result), RPC_TIMEDOUT);
	none.tv_sec = 20;
	HOLDS(clnt_control(c, CLSET_TIMEOUT, (caddr_t)&none));
	expect_echo(c, "again");
	EQUAL(state.n_later, 1);
	ipc9_rpc_refuse(state.later[0], SYSTEM_ERR);
	expect_echo(c, "and behind the late reply");
	clnt_destroy(c);
	stop(&f);
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

	m->stat = clnt_call(m->client, MEET, XDR_NUMBER, (caddr_t)&m->how_many, XDR_NUMBER,
	    (caddr_t)&result, long_enough);
	return NULL;
}

static void test_handlers_run_at_the_same_time_also_for_one_connection(void)
{
	const struct ipc9_rpc_server_options options = { .threads = TOGETHER };
	struct meeting m[TOGETHER];
	struct fixture f;
	CLIENT *c;

	start(&f, &options);
	c = client_to(f.tcp, VERSION);
	for (size_t i = 0; i < TOGETHER; i++) {
		m[i].client = ipc9_rpc_share(c, PROGRAM, VERSION);
		m[i].how_many = TOGETHER;
		pthread_create(&m[i].thread, NULL, go_to_meeting, &m[i]);
	}
	for (size_t i = 0; i < TOGETHER; i++) {
		pthread_join(m[i].thread, NULL);
		EQUAL(m[i].stat, RPC_SUCCESS);
		clnt_destroy(m[i].client);
	}
	EQUAL(state.most, TOGETHER);
	clnt_destroy(c);
	stop(&f);
}

static bool are_inside(void *n)
{
	bool so;

	pthread_mutex_lock(&state.lock);
	so = state.inside >= *(unsigned *)n;
	pthread_mutex_unlock(&state.lock);
	return so;
}

static void test_the_server_receives_and_refuses_while_all_its_handlers_wait(void)
{
	const struct ipc9_rpc_server_options options = { .threads = 2 };
	unsigned both = 2, number = 0;
	struct meeting m[2];
	struct fixture f;
	char *result;
	CLIENT *c;

	start(&f, &options);
	for (size_t i = 0; i < 2; i++) {
		m[i].client = client_to(f.tcp, VERSION);
		m[i].how_many = 3;
		pthread_create(&m[i].thread, NULL, go_to_meeting, &m[i]);
	}
	HOLDS(wait_until(are_inside, &both, 10000));
	c = client_to(f.path, VERSION + 1);
	EQUAL(call_text(c, ECHO, "x", &result), RPC_PROGVERSMISMATCH);
	/* The meeting needs a third, for which there is no thread; let it end. */
	pthread_mutex_lock(&state.lock);
	state.most = 3;
	pthread_cond_broadcast(&state.changed);
	pthread_mutex_unlock(&state.lock);
	for (size_t i = 0; i < 2; i++) {
		pthread_join(m[i].thread, NULL);
		EQUAL(m[i].stat, RPC_SUCCESS);
		clnt_destroy(m[i].client);
	}
	(void)number;
	clnt_destroy(c);
	stop(&f);
}

static void *echo_often(void *context)
{
	char text[32];

	for (int i = 0; i < 500; i++) {
		text_format(text, sizeof(text), "%p %d", context, i);
		expect_echo(context, text);
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
	struct fixture f;

	start(&f, &options);
	for (size_t i = 0; i < N; i++) {
		/* Half of them on the connection of the one before. */
		clients[i] = i % 2 ? ipc9_rpc_share(clients[i - 1], PROGRAM, VERSION)
				   : client_to(i % 4 ? f.tcp : f.path, VERSION);
		pthread_create(&threads[i], NULL, echo_often, clients[i]);
	}
	for (size_t i = 0; i < N; i++) {
		pthread_join(threads[i], NULL);
		clnt_destroy(clients[i]);
	}
	stop(&f);
}

/* --- Deferred replies -------------------------------------------------------------------------- */

static bool are_deferred(void *n)
{
	bool so;

	pthread_mutex_lock(&state.lock);
	so = state.n_later >= *(unsigned *)n;
	pthread_mutex_unlock(&state.lock);
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
	struct fixture f;
	CLIENT *c;

	start(&f, NULL);
	c = client_to(f.tcp, VERSION);
	EQUAL(begin(c, LATER, NULL, &l[0], 20000, NULL), 0);
	EQUAL(begin(c, LATER, NULL, &l[1], 20000, NULL), 0);
	EQUAL(ipc9_rpc_process(c, 0), 0);
	HOLDS(wait_until(are_deferred, &two, 10000));
	EQUAL(ipc9_rpc_is_gone(state.later[1]), false);
	EQUAL(ipc9_rpc_reply(state.later[1], XDR_TEXT, &texts[1]), 0);
	EQUAL(ipc9_rpc_process(c, 20000), 1);
	EQUAL(l[0].done, 0);
	EQUAL(l[1].done, 1);
	SAME_TEXT(l[1].result, "second");
	EQUAL(ipc9_rpc_reply(state.later[0], XDR_TEXT, &texts[0]), 0);
	EQUAL(ipc9_rpc_process(c, 20000), 1);
	SAME_TEXT(l[0].result, "first");
	EQUAL(ipc9_rpc_process(c, 20000), 0);
	free(l[0].result);
	free(l[1].result);
	clnt_destroy(c);
	stop(&f);
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
	struct fixture f;
	CLIENT *c;

	start(&f, NULL);
	c = client_to(f.tcp, VERSION);
	EQUAL(begin(c, LATER, NULL, &l[0], 20000, NULL), 0);
	EQUAL(begin(c, LATER, NULL, &l[1], 20000, NULL), 0);
	EQUAL(ipc9_rpc_process(c, 0), 0);
	HOLDS(wait_until(are_deferred, &two, 10000));
	clnt_destroy(c);
	EQUAL(l[0].done, 0);
	HOLDS(wait_until(is_gone, state.later[0], 10000));
	EQUAL(ipc9_rpc_reply(state.later[0], XDR_TEXT, &result), IPC9_E_LOST);
	stop(&f);
	EQUAL(ipc9_rpc_is_gone(state.later[1]), true);
	ipc9_rpc_refuse(state.later[1], SYSTEM_ERR);
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
	struct fixture f;
	unsigned ended = 0;
	CLIENT *c;

	start(&f, &options);
	c = client_to(f.tcp, VERSION);
	for (unsigned i = 0; i < N; i++) {
		text_format(text[i], sizeof(text[i]), "call %u", i);
		EQUAL(begin(c, ECHO, text[i], &l[i], 60000, NULL), 0);
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
	EQUAL(state.echoed, N);
	free(l);
	clnt_destroy(c);
	stop(&f);
}

static void test_the_descriptor_is_readable_when_there_is_something_to_do(void)
{
	struct pollfd p = { .events = POLLIN };
	unsigned one = 1;
	struct later l, e;
	struct fixture f;
	char text[] = "now", *result = text;
	CLIENT *c;

	start(&f, NULL);
	c = client_to(f.path, VERSION);
	p.fd = ipc9_rpc_fd(c);
	HOLDS(p.fd >= 0);
	EQUAL(begin(c, LATER, NULL, &l, 20000, NULL), 0);
	HOLDS(wait_until(are_deferred, &one, 10000));
	EQUAL(poll(&p, 1, 0), 0);
	EQUAL(ipc9_rpc_reply(state.later[0], XDR_TEXT, &result), 0);
	EQUAL(poll(&p, 1, 10000), 1);
	EQUAL(ipc9_rpc_process(c, 0), 1);
	SAME_TEXT(l.result, "now");
	free(l.result);
	EQUAL(poll(&p, 1, 0), 0);
	/* So is what waits to be sent with others. */
	EQUAL(begin(c, ECHO, "first", &l, 20000, NULL), 0);
	EQUAL(begin(c, ECHO, "second", &e, 20000, NULL), 0);
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
	EQUAL(begin(c, LATER, NULL, &l, 30, NULL), 0);
	EQUAL(poll(&p, 1, 10000), 1);
	EQUAL(ipc9_rpc_process(c, 0), 1);
	EQUAL(l.stat, RPC_TIMEDOUT);
	EQUAL(poll(&p, 1, 0), 0);
	EQUAL(begin(c, ECHO, "behind it", &e, 20000, NULL), 0);
	EQUAL(ipc9_rpc_process(c, 20000), 1);
	SAME_TEXT(e.result, "behind it");
	free(e.result);
	ipc9_rpc_refuse(state.later[1], SYSTEM_ERR);
	clnt_destroy(c);
	stop(&f);
}

static void test_a_cancelled_call_does_not_end(void)
{
	struct ipc9_rpc_call *call;
	struct later l, e;
	unsigned one = 1;
	struct fixture f;
	char text[] = "late", *result = text;
	CLIENT *c;

	start(&f, NULL);
	c = client_to(f.tcp, VERSION);
	EQUAL(begin(c, LATER, NULL, &l, 20000, &call), 0);
	HOLDS(wait_until(are_deferred, &one, 10000));
	ipc9_rpc_cancel(call);
	EQUAL(ipc9_rpc_reply(state.later[0], XDR_TEXT, &result), 0);
	EQUAL(begin(c, ECHO, "after", &e, 20000, NULL), 0);
	EQUAL(ipc9_rpc_process(c, 20000), 1);
	EQUAL(l.done, 0);
	HOLDS(l.result == NULL);
	SAME_TEXT(e.result, "after");
	free(e.result);
	clnt_destroy(c);
	stop(&f);
}

static void test_calls_of_a_connection_that_breaks_end_with_an_error(void)
{
	unsigned one = 1;
	struct later l[2];
	struct fixture f;
	char *result;
	CLIENT *c;

	start(&f, NULL);
	c = client_to(f.tcp, VERSION);
	EQUAL(begin(c, LATER, NULL, &l[0], 20000, NULL), 0);
	HOLDS(wait_until(are_deferred, &one, 10000));
	ipc9_rpc_refuse(state.later[0], PROC_UNAVAIL);
	EQUAL(ipc9_rpc_process(c, 20000), 1);
	EQUAL(l[0].stat, RPC_PROCUNAVAIL);
	EQUAL(begin(c, LATER, NULL, &l[0], 20000, NULL), 0);
	EQUAL(begin(c, LATER, NULL, &l[1], 20000, NULL), 0);
	EQUAL(ipc9_rpc_process(c, 0), 0);
	one = 3;
	HOLDS(wait_until(are_deferred, &one, 10000));
	stop(&f);
	EQUAL(ipc9_rpc_process(c, 20000), 2);
	EQUAL(l[0].stat, RPC_CANTRECV);
	EQUAL(l[1].stat, RPC_CANTRECV);
	EQUAL(begin(c, ECHO, "x", &l[0], 20000, NULL), IPC9_E_LOST);
	HOLDS(call_text(c, ECHO, "x", &result) != RPC_SUCCESS);
	ipc9_rpc_refuse(state.later[1], SYSTEM_ERR);
	ipc9_rpc_refuse(state.later[2], SYSTEM_ERR);
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
		EQUAL(ipc9_rpc_begin(chain->client, ECHO, XDR_TEXT, &args, XDR_TEXT, &chain->result,
			  20000, on_link, chain, NULL),
		    0);
}

static void test_a_function_can_begin_the_next_call(void)
{
	char text[] = "link", *args = text;
	struct chain chain = { .left = 1000 };
	struct fixture f;

	start(&f, NULL);
	chain.client = client_to(f.tcp, VERSION);
	EQUAL(ipc9_rpc_begin(chain.client, ECHO, XDR_TEXT, &args, XDR_TEXT, &chain.result, 20000,
		  on_link, &chain, NULL),
	    0);
	while (chain.left && ipc9_rpc_process(chain.client, 20000) > 0)
		;
	EQUAL(chain.left, 0);
	clnt_destroy(chain.client);
	stop(&f);
}

static void *wait_in_a_call(void *context)
{
	echo_often(context);
	return NULL;
}

static void test_asynchronous_and_waiting_calls_share_a_connection(void)
{
	struct fixture f;
	pthread_t thread;
	CLIENT *c, *d;

	start(&f, NULL);
	c = client_to(f.tcp, VERSION);
	d = ipc9_rpc_share(c, PROGRAM, VERSION);
	HOLDS(ipc9_rpc_fd(c) >= 0);
	pthread_create(&thread, NULL, wait_in_a_call, d);
	for (int i = 0; i < 500; i++) {
		struct later l;

		EQUAL(begin(c, ECHO, "shared", &l, 20000, NULL), 0);
		EQUAL(ipc9_rpc_process(c, 20000), 1);
		SAME_TEXT(l.result, "shared");
		free(l.result);
	}
	pthread_join(thread, NULL);
	clnt_destroy(d);
	clnt_destroy(c);
	stop(&f);
}

/* --- Servers ----------------------------------------------------------------------------------- */

static void test_what_a_server_cannot_do_is_said(void)
{
	struct ipc9_rpc_server *s;
	struct ipc9_error e = { 0 };
	struct fixture f;

	start(&f, NULL);
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
	EQUAL(ipc9_rpc_server_add(s, PROGRAM, VERSION, dispatch, &e), 0);
	EQUAL(ipc9_rpc_server_add(s, PROGRAM, VERSION, dispatch, &e), IPC9_E_EXISTS);
	ipc9_rpc_server_free(s);
	stop(&f);
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
    TEST(test_deferred_replies_leave_in_any_order_from_any_thread),
    TEST(test_a_deferred_call_outlives_its_caller_and_its_server),
    TEST(test_hundreds_of_calls_in_flight_each_end_once_with_their_own_result),
    TEST(test_the_descriptor_is_readable_when_there_is_something_to_do),
    TEST(test_a_cancelled_call_does_not_end),
    TEST(test_calls_of_a_connection_that_breaks_end_with_an_error),
    TEST(test_a_function_can_begin_the_next_call),
    TEST(test_asynchronous_and_waiting_calls_share_a_connection),
    TEST(test_what_a_server_cannot_do_is_said));
