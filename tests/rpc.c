/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc.c - see rpc.h.
 *
 * The dispatcher has the form of what rpcgen -M -m makes.
 */
#include "tests/rpc.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness.h"
#include "util/text.h"

/* --- The program ------------------------------------------------------------------------------- */

struct rpc_state rpc_state = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
};

static void forget_state(void)
{
	rpc_state.inside = rpc_state.most = rpc_state.echoed = rpc_state.n_later = 0;
	rpc_state.open = rpc_state.entered = rpc_state.counted = 0;
	rpc_state.deferred_late = false;
}

static void meet(unsigned how_many)
{
	pthread_mutex_lock(&rpc_state.lock);
	if (++rpc_state.inside > rpc_state.most)
		rpc_state.most = rpc_state.inside;
	pthread_cond_broadcast(&rpc_state.changed);
	while (rpc_state.most < how_many)
		pthread_cond_wait(&rpc_state.changed, &rpc_state.lock);
	rpc_state.inside--;
	pthread_mutex_unlock(&rpc_state.lock);
}

static void nap(unsigned us)
{
	pthread_mutex_lock(&rpc_state.lock);
	if (++rpc_state.inside > rpc_state.most)
		rpc_state.most = rpc_state.inside;
	pthread_mutex_unlock(&rpc_state.lock);
	usleep(us);
	pthread_mutex_lock(&rpc_state.lock);
	rpc_state.inside--;
	pthread_mutex_unlock(&rpc_state.lock);
}

static void pass_gate(unsigned number)
{
	pthread_mutex_lock(&rpc_state.lock);
	rpc_state.entered++;
	while (rpc_state.open < number)
		pthread_cond_wait(&rpc_state.changed, &rpc_state.lock);
	pthread_mutex_unlock(&rpc_state.lock);
}

void rpc_open_gate(unsigned number)
{
	pthread_mutex_lock(&rpc_state.lock);
	rpc_state.open = number;
	pthread_cond_broadcast(&rpc_state.changed);
	pthread_mutex_unlock(&rpc_state.lock);
}

static bool have_entered(void *n)
{
	bool so;

	pthread_mutex_lock(&rpc_state.lock);
	so = rpc_state.entered >= *(unsigned *)n;
	pthread_mutex_unlock(&rpc_state.lock);
	return so;
}

bool rpc_await_entered(unsigned n)
{
	return wait_until(have_entered, &n, 10000);
}

static void echo(SVCXPRT *transport)
{
	char *text = NULL;

	if (!svc_getargs(transport, XDR_TEXT, (caddr_t)&text)) {
		svcerr_decode(transport);
		return;
	}
	rpc_state.echoed++;
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
	pthread_mutex_lock(&rpc_state.lock);
	rpc_state.later[rpc_state.n_later++] = ipc9_rpc_defer(request);
	pthread_cond_broadcast(&rpc_state.changed);
	pthread_mutex_unlock(&rpc_state.lock);
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

static void load(SVCXPRT *transport)
{
	struct opaque value = { 0 };

	rpc_state.counted++;
	if (!svc_getargs(transport, XDR_OPAQUE, (caddr_t)&value)) {
		svcerr_decode(transport);
		return;
	}
	svc_sendreply(transport, XDR_NUMBER, (caddr_t)&value.size);
	svc_freeargs(transport, XDR_OPAQUE, (caddr_t)&value);
}

static void send_big(SVCXPRT *transport, unsigned size)
{
	struct opaque value = { size, calloc(1, size) };

	if (!value.data)
		abort();
	svc_sendreply(transport, XDR_OPAQUE, (caddr_t)&value);
	free(value.data);
}

bool_t rpc_xdr_empty_inline(XDR *xdrs, void *bytes)
{
	if (!xdr_opaque(xdrs, bytes, RPC_EMPTY_INLINE))
		return FALSE;
	if (xdrs->x_op == XDR_ENCODE)
		(void)XDR_INLINE(xdrs, 0);
	return TRUE;
}

static void send_empty(SVCXPRT *transport)
{
	char *bytes = calloc(1, RPC_EMPTY_INLINE);

	if (!bytes)
		abort();
	svc_sendreply(transport, (xdrproc_t)rpc_xdr_empty_inline, bytes);
	free(bytes);
}

static void reply_and_defer(struct svc_req *request, SVCXPRT *transport)
{
	struct ipc9_rpc_deferred *later;

	svc_sendreply(transport, XDR_VOID, NULL);
	later = ipc9_rpc_defer(request);
	rpc_state.deferred_late = later != NULL;
	if (later)
		ipc9_rpc_refuse(later, SYSTEM_ERR);
}

static void dispatch_number(struct svc_req *request, SVCXPRT *transport)
{
	unsigned number = 0;

	if (!svc_getargs(transport, XDR_NUMBER, (caddr_t)&number)) {
		svcerr_decode(transport);
		return;
	}
	switch (request->rq_proc) {
	case RPC_TEST_MEET:
		meet(number);
		break;
	case RPC_TEST_GATE:
		pass_gate(number);
		break;
	case RPC_TEST_EARLY:
		svc_sendreply(transport, XDR_NUMBER, (caddr_t)&number);
		pass_gate(number);
		return;
	case RPC_TEST_COUNT:
		pass_gate(number);
		rpc_state.counted++;
		return;
	case RPC_TEST_BIG:
		send_big(transport, number);
		return;
	case RPC_TEST_NAP:
		nap(number);
		break;
	}
	svc_sendreply(transport, XDR_NUMBER, (caddr_t)&number);
}

void rpc_dispatch(struct svc_req *request, SVCXPRT *transport)
{
	switch (request->rq_proc) {
	case NULLPROC:
		svc_sendreply(transport, XDR_VOID, NULL);
		return;
	case RPC_TEST_ECHO:
		echo(transport);
		return;
	case RPC_TEST_LATER:
		defer(request);
		return;
	case RPC_TEST_WHO:
		tell_who(request, transport);
		return;
	case RPC_TEST_LOAD:
		load(transport);
		return;
	case RPC_TEST_EMPTY:
		send_empty(transport);
		return;
	case RPC_TEST_TWICE:
		reply_and_defer(request, transport);
		return;
	case RPC_TEST_MEET:
	case RPC_TEST_GATE:
	case RPC_TEST_EARLY:
	case RPC_TEST_COUNT:
	case RPC_TEST_BIG:
	case RPC_TEST_NAP:
		dispatch_number(request, transport);
		return;
	default:
		svcerr_noproc(transport);
	}
}

/* --- The server -------------------------------------------------------------------------------- */

static void *run(void *context)
{
	EQUAL(ipc9_rpc_server_run(context), 0);
	return NULL;
}

void rpc_start(struct rpc_fixture *f, const struct ipc9_rpc_server_options *with)
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
	EQUAL(ipc9_rpc_server_add(f->server, RPC_TEST_PROGRAM, RPC_TEST_VERSION, rpc_dispatch, &e),
	    0);
	EQUAL(ipc9_rpc_server_add(f->server, RPC_TEST_PROGRAM, RPC_TEST_VERSION + 2, rpc_dispatch,
		  &e),
	    0);
	text_format(f->tcp, sizeof(f->tcp), "127.0.0.1:%u", ipc9_rpc_server_port(f->server, "tcp"));
	EQUAL(pthread_create(&f->thread, NULL, run, f->server), 0);
}

void rpc_stop(struct rpc_fixture *f)
{
	ipc9_rpc_server_stop(f->server);
	pthread_join(f->thread, NULL);
	HOLDS(ipc9_rpc_server_free(f->server) == NULL);
	EQUAL(access(f->path, F_OK), -1);
	EQUAL(rmdir(f->folder), 0);
}

unsigned rpc_times(unsigned usual, unsigned thorough)
{
	const char *value = getenv("E2E_LONG");

	return value && strcmp(value, "1") == 0 ? thorough : usual;
}

CLIENT *rpc_client_to(const char *target, rpcvers_t version)
{
	struct ipc9_error e = { 0 };
	CLIENT *c = ipc9_rpc_client(target, RPC_TEST_PROGRAM, version, NULL, &e);

	if (!HOLDS(c != NULL))
		SAME_TEXT(e.text, "");
	return c;
}

enum clnt_stat rpc_call_text(CLIENT *c, rpcproc_t procedure, const char *text, char **ret)
{
	const struct timeval soon = { 20, 0 };
	char *args = (char *)(uintptr_t)text;

	*ret = NULL;
	return clnt_call(c, procedure, text ? XDR_TEXT : XDR_VOID, (caddr_t)(text ? &args : NULL),
	    XDR_TEXT, (caddr_t)ret, soon);
}

void rpc_expect_echo(CLIENT *c, const char *text)
{
	char *result;

	EQUAL(rpc_call_text(c, RPC_TEST_ECHO, text, &result), RPC_SUCCESS);
	SAME_TEXT(result, text);
	free(result);
}
