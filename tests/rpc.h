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
	RPC_TEST_GATE =
	    5, /* waits until the gate is open as far as the number says -> the number */
	RPC_TEST_EARLY = 6,  /* the same, but replies before it waits */
	RPC_TEST_COUNT = 7,  /* the same one-way, and is counted */
	RPC_TEST_LOAD = 8,   /* opaque -> its length; counted */
	RPC_TEST_BIG = 9,    /* number -> opaque of so many bytes */
	RPC_TEST_NAP = 10,   /* sleeps so many microseconds -> the number */
	RPC_TEST_EMPTY = 11, /* -> rpc_xdr_empty_inline */
	RPC_TEST_TWICE = 12, /* replies, and then defers as well: rpc_state.deferred_late */
};

#define XDR_VOID ((xdrproc_t)(void (*)(void))xdr_void)
#define XDR_TEXT ((xdrproc_t)xdr_wrapstring)
#define XDR_NUMBER ((xdrproc_t)xdr_u_int)

extern struct rpc_state {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned inside, most; /* handlers in MEET and NAP now, and at the same time at most */
	_Atomic unsigned echoed;
	struct ipc9_rpc_deferred *later[64];
	unsigned n_later;
	unsigned open, entered; /* the gate; handlers that have come to it so far */
	_Atomic unsigned counted;
	_Atomic bool deferred_late;
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

void rpc_open_gate(unsigned number);
/* Whether so many handlers have come to the gate since rpc_start, at last. */
bool rpc_await_entered(unsigned n);

/* Encodes RPC_EMPTY_INLINE bytes, and asks for room for none behind them; decodes the bytes. */
#define RPC_EMPTY_INLINE 20000
bool_t rpc_xdr_empty_inline(XDR *xdrs, void *bytes);

/* How often to try what goes wrong seldom: E2E_LONG=1 is thorough. */
unsigned rpc_times(unsigned usual, unsigned thorough);

CLIENT *rpc_client_to(const char *target, rpcvers_t version);

/* *ret for free(). */
enum clnt_stat rpc_call_text(CLIENT *client, rpcproc_t procedure, const char *text, char **ret);
void rpc_expect_echo(CLIENT *client, const char *text);

#endif
