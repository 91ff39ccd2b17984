/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc_server.h - what the parts of an application's server share: rpc_server.c (listeners, programs, life),
 * rpc_call.c (one call as rpcgen's dispatcher sees it), rpc_threads.c (who runs handlers), rpc_rings.c (calls that
 * come by shared memory).
 *
 * One lock guards everything: the loop, the engine's server, the queue, the threads' state.  It is
 * let go of while the running thread waits, and while a handler runs.
 */
#ifndef CLIENT_RPC_SERVER_H
#define CLIENT_RPC_SERVER_H

#include <pthread.h>

#include "client/ipc9_rpc.h"
#include "transport/loop.h"
#include "transport/registration.h"
#include "transport/server.h"
#include "util/bytes.h"
#include "util/list.h"

struct rpc_program {
	uint32_t number, version;
	ipc9_rpc_dispatch_fn *dispatch;
};

struct rpc_listener {
	char netid[8];
	struct address address;
	char path[ADDRESS_TEXT_SIZE]; /* of a local socket */
};

/* See rpc_threads.c. */
struct rpc_threads {
	pthread_t *others;
	unsigned n_others;   /* beside the one that called run */
	pthread_cond_t work; /* for idle threads: there is something to do */
	pthread_cond_t look; /* for the monitor */
	unsigned idle;
	bool has_runner;
	bool is_serving; /* the runner is at the queue, or in a handler from it */
	bool has_monitor, monitor_sleeps;
	unsigned helpers, helpers_wanted;
	uint64_t handled; /* handlers that have ended */
	unsigned running; /* handlers now */
	unsigned queuing; /* threads that wait until another may run */
	unsigned overdue; /* of them; nobody goes before these */
	pthread_cond_t slot;
};

/* Why a client gets no ring; as ipc9_rpc_rings in rpcring.x tells. */
enum rpc_rings_refusal {
	RPC_RINGS_LIMIT = 1,
	RPC_RINGS_SHARE,
	RPC_RINGS_OFF,
	RPC_RINGS_MEMORY,
	RPC_RINGS_WRONG,
	RPC_RINGS_REFUSALS
};

/* See rpc_rings.c. */
struct rpc_rings {
	struct list list; /* of rpc_ring.link; each has a thread */
	unsigned n;
	pthread_cond_t gone; /* a thread has ended */
	uint64_t calls;
	uint64_t own_calls; /* of rpcring.x, by sockets */
	uint64_t refused[RPC_RINGS_REFUSALS];
	bool off;
};

/* How long a procedure's handlers take, as far as it matters: see rpc_threads.c. */
struct rpc_pace {
	uint32_t program, version, procedure;
	unsigned fast; /* handlers in a row that were */
};
#define RPC_PACES 64

struct ipc9_rpc_server {
	struct ipc9_rpc_server_options options;
	pthread_mutex_t lock;
	struct loop *loop;
	struct server *server;
	struct registration *registration;
	struct rpc_program *programs;
	size_t n_programs;
	struct rpc_listener *listeners;
	size_t n_listeners;
	struct list queue; /* of rpc_call.queued: calls that wait for a thread */
	struct rpc_threads threads;
	struct rpc_rings rings;
	struct rpc_pace paces[RPC_PACES]; /* by the procedure's number; a collision starts anew */
	size_t n_deferred;
	bool is_freed; /* only deferred calls keep the struct */
};

#define RPC_CALL_SMALL 512 /* arguments of so many bytes need no block of their own */

struct rpc_call {
	struct call call; /* first */
	struct ipc9_rpc_server *server;
	struct list queued;
	ipc9_rpc_dispatch_fn *dispatch;
	unsigned holds; /* by the dispatcher, and by whoever deferred it */
	bool is_answered;
	uint64_t run; /* of the loop, when its handler began */

	SVCXPRT transport;
	SVCXPRT_EXT extension;
	struct svc_req request;
	struct address address;
	bool is_local;
	pid_t pid;
	struct authunix_parms sys;
	gid_t groups[NGRPS];
	char machine[MAX_MACHINE_NAME + 1];
	char credential[MAX_AUTH_BYTES];

	const unsigned char *args;
	size_t args_size;
	struct bytes *record; /* holds args; NULL: they are in `small` */
	unsigned char small[RPC_CALL_SMALL];
};

/* server_ops.init, server_ops.call, server_ops.lost. */
void rpc_call_init(struct call *call);
void rpc_call_lost(struct call *call);
void rpc_call_arrived(void *server, struct call *call, const struct message_call *header,
    XDR *args);

/* Runs the dispatcher; called with the lock held, lets go of it meanwhile. */
void rpc_call_run(struct rpc_call *call);

/* Whether a call's handler is known to be so short that replies may wait for it.  With the lock held. */
bool rpc_call_is_short(const struct rpc_call *call);

/* Runs the dispatcher as soon as one more handler may run; with the lock held, but not meanwhile. */
void rpc_threads_run_call(struct ipc9_rpc_server *server, struct rpc_call *call);

/* Serves until loop_stop, on the caller's thread and the others.  0 or -errno. */
int rpc_threads_run(struct ipc9_rpc_server *server);

/* --- rpc_rings.c, with the lock held ----------------------------------------------------------- */

/* Whether the call is one of rpcring.x, and so has been answered. */
bool rpc_rings_take(struct ipc9_rpc_server *server, struct call *call,
    const struct message_call *header);
/*
 * Without the lock, and in a handler that a ring's thread runs: answers the call in place.  False: the answer does not fit or
 * cannot be encoded, and nothing was done.
 */
bool rpc_rings_reply(struct rpc_call *call, xdrproc_t xdr, void *results);
/* A call has come by a ring, whose thread is to run it. */
void rpc_rings_arrived(struct rpc_call *call);
/* Ends all rings, and returns when their handlers have. */
void rpc_rings_end(struct ipc9_rpc_server *server);

/* Frees a server that has stopped, when no deferred call is left. */
void rpc_server_release(struct ipc9_rpc_server *server);

#endif
