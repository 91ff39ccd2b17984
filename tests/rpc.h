/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc.h - what the tests of ipc9_rpc.h share: a program with a dispatcher, a server of it on a thread, and calls.
 */
#ifndef TESTS_RPC_H
#define TESTS_RPC_H

#include <pthread.h>

#include "client/ipc9_rpc.h"

enum {
	RPC_TEST_PROGRAM = 0x20007777,
	RPC_TEST_VERSION = 3, /* and 5 */
	RPC_TEST_ECHO = 1,    /* string -> string */
	RPC_TEST_MEET = 2,    /* waits until as many handlers are in it as the number says */
	RPC_TEST_LATER = 3,   /* deferred: rpc_state.later */
	RPC_TEST_WHO = 4,     /* -> "how N uid N host H flavor N sys N" */
};

#define XDR_VOID ((xdrproc_t)(void (*)(void))xdr_void)
#define XDR_TEXT ((xdrproc_t)xdr_wrapstring)
#define XDR_NUMBER ((xdrproc_t)xdr_u_int)

extern struct rpc_state {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned inside, most; /* handlers in MEET now, and at the same time at most */
	_Atomic unsigned echoed;
	struct ipc9_rpc_deferred *later[64];
	unsigned n_later;
} rpc_state;

struct rpc_fixture {
	struct ipc9_rpc_server *server;
	pthread_t thread;
	char folder[64], path[96], tcp[64];
};

void rpc_dispatch(struct svc_req *request, SVCXPRT *transport);

/* A server over TCP and UDP on loopback and a local socket, without rpcbind; options may be NULL. */
void rpc_start(struct rpc_fixture *fixture, const struct ipc9_rpc_server_options *options);
void rpc_stop(struct rpc_fixture *fixture);

CLIENT *rpc_client_to(const char *target, rpcvers_t version);

/* *ret for free(). */
enum clnt_stat rpc_call_text(CLIENT *client, rpcproc_t procedure, const char *text, char **ret);
void rpc_expect_echo(CLIENT *client, const char *text);

#endif
