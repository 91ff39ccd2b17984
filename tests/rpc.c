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

void rpc_dispatch(struct svc_req *request, SVCXPRT *transport)
{
	unsigned number = 0;

	switch (request->rq_proc) {
	case NULLPROC:
		svc_sendreply(transport, XDR_VOID, NULL);
		return;
	case RPC_TEST_ECHO:
		echo(transport);
		return;
	case RPC_TEST_MEET:
		if (!svc_getargs(transport, XDR_NUMBER, (caddr_t)&number)) {
			svcerr_decode(transport);
			return;
		}
		meet(number);
		svc_sendreply(transport, XDR_NUMBER, (caddr_t)&number);
		return;
	case RPC_TEST_LATER:
		defer(request);
		return;
	case RPC_TEST_WHO:
		tell_who(request, transport);
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
