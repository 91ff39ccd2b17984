/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ipc9_rpc.h - the RPC engine for programs with an rpcgen interface of their own.
 *
 * The calling side gets a standard CLIENT handle for rpcgen's stubs, the serving side takes rpcgen's dispatcher;
 * neither is changed, and each works with stock libtirpc, or any other ONC RPC, on the other side.  What they
 * gain: calls of many threads in flight on one connection, replies in any order, asynchronous calls, one
 * deadline for all of a call, handlers in parallel, bounds on what a peer can cost, a cache of UDP replies.
 *
 * As with all of ipc9.h, a child after fork uses none of its parent's handles and servers, and frees none.
 *
 * docs/examples/ has a whole program.  Link with -lipc9 -ltirpc.  Names that begin ipc9_rpc_ are of this header.
 */
#ifndef IPC9_RPC_H
#define IPC9_RPC_H

#include <rpc/rpc.h>

#include "ipc9.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Calling ----------------------------------------------------------------------------------- */

/* All zero is a good start; NULL for a pointer to one is the same. */
struct ipc9_rpc_options {
	/*
	 * Milliseconds in which name look-up, rpcbind and connecting have to be done.  IPC9_FOREVER: no
	 * limit.  0: 10000.
	 */
	int timeout_ms;
	/*
	 * Datagrams instead of a stream.  A call is sent again after 100 ms, 200 ms, ... (with some
	 * jitter) until its deadline; only servers with a reply cache, such as ours, run it once then.
	 */
	bool udp;
	/* Credential: by default AUTH_SYS for this process over networks, AUTH_NONE on this host's sockets. */
	bool anonymous; /* AUTH_NONE in any case */
	/* Longest reply taken, in bytes.  0: 16 MiB. */
	uint32_t reply_bytes;
	/*
	 * Shared memory with a server of ours on this host, reached by a local socket.  0: asked for once 16 calls
	 * have been made; IPC9_RPC_SHARED_SOON: with the first; IPC9_RPC_SHARED_NEVER.
	 */
	int shared;
};

enum {
	IPC9_RPC_SHARED_SOON = 1,
	IPC9_RPC_SHARED_NEVER = -1
};

/*
 * Connects to a server of (program, version) and returns a standard handle: for rpcgen's stubs, clnt_call,
 * clnt_control and clnt_destroy.  target:
 *
 *	//HOST/rpc/PROG		PROG: the program's number, as rpcbind on HOST lists it; HOST may be "."
 *	//HOST			the same for `program`
 *	HOST:PORT, [IPv6]:PORT, //HOST:PORT		a port, without rpcbind
 *	/PATH			a local socket
 *
 * May block for options->timeout_ms.  NULL: *ret_error (may be NULL) says what was tried and why it failed:
 * IPC9_E_BADNAME, IPC9_E_NOPATH, IPC9_E_NOENT (rpcbind does not know the program), IPC9_E_NODAEMON; libtirpc's
 * rpc_createerr is set as well, for clnt_pcreateerror.
 *
 * A stub's call ends within the handle's timeout: what CLSET_TIMEOUT set, else what the caller passed to
 * clnt_call (rpcgen's stubs pass 25 s).  A handle is for one thread at a time; ipc9_rpc_share makes more of them over
 * the same connection.  A handle whose connection broke answers RPC_CANTSEND or RPC_CANTRECV from then on.
 * cl_auth is used if the caller replaced it (AUTH_NONE and AUTH_SYS).
 */
IPC9_PUBLIC CLIENT *ipc9_rpc_client(const char *target, rpcprog_t program, rpcvers_t version,
    const struct ipc9_rpc_options *options, struct ipc9_error *ret_error);

/*
 * Another handle over the connection of `client`, for another thread, program or version.  Each is ended by
 * clnt_destroy; the connection closes with the last.  A datagram handle gets a socket of its own to the same address.
 * NULL: no memory, no descriptor, or not a handle of ours.
 */
IPC9_PUBLIC CLIENT *ipc9_rpc_share(CLIENT *client, rpcprog_t program, rpcvers_t version);

struct ipc9_rpc_info {
	bool is_stream;	       /* else datagrams */
	bool is_shared;	       /* calls that are alone on the connection go by shared memory */
	uint64_t shared_calls; /* that have, of all handles of the connection */
};

/* How a handle's calls travel.  IPC9_E_UNSUPPORTED: not a handle of ours. */
IPC9_PUBLIC int ipc9_rpc_info(CLIENT *client, struct ipc9_rpc_info *ret_info);

/*
 * What a server of ours on this host tells, to anybody who can reach its local socket, of how calls come there: by
 * shared memory, or by local sockets (ipc9 status --rpc shows it).  Ask with clnt_call or ipc9_rpc_begin, on a handle
 * that has the program and the version below and goes to the socket's path: procedure IPC9_RPC_SHARING_STATUS, no arguments.
 * Whoever asks so is not counted.  RPC_PROGUNAVAIL: it is another kind of server.
 */
struct ipc9_rpc_sharing {
	uint64_t connections_shared, connections_socket; /* now */
	uint64_t calls_shared, calls_socket;		 /* so far */
	/* Clients that asked for shared memory and got none, as in struct ipc9_rpc_server_stats: */
	uint64_t refused_limit, refused_share, refused_off, refused_memory, refused_wrong;
};

enum {
	IPC9_RPC_SHARING_PROGRAM = 0x20490008,
	IPC9_RPC_SHARING_VERSION = 1,
	IPC9_RPC_SHARING_STATUS = 2
};

/* Decodes it; nothing is allocated. */
IPC9_PUBLIC bool_t ipc9_rpc_xdr_sharing(XDR *xdrs, struct ipc9_rpc_sharing *sharing);

/* --- Asynchronous calls ------------------------------------------------------------------------ */

struct ipc9_rpc_call;

/*
 * A call ended: RPC_SUCCESS and the results are decoded, or error says why not (RPC_TIMEDOUT at its deadline).
 * Runs inside ipc9_rpc_process, on its thread; may begin and cancel calls, and must not destroy the handle.
 */
typedef void ipc9_rpc_done_fn(void *context, enum clnt_stat stat, const struct rpc_err *error);

/*
 * Begins a call on a stream handle and returns without waiting for anything.  The first call leaves at once; what is
 * begun while others are under way leaves together, with the next ipc9_rpc_process (which ipc9_rpc_fd asks for)
 * or when it is much.  args are encoded before return.  results must start from all zero and
 * stay until done has run; what XDR allocates in them is the caller's, for xdr_free.
 *
 * 0, then done runs exactly once unless the call is cancelled (ret_call may be NULL);
 * IPC9_E_UNSUPPORTED: not a stream handle of ours; IPC9_E_INVALID: args cannot be encoded; IPC9_E_LOST: the
 * connection is broken; -ENOMEM.
 */
IPC9_PUBLIC int ipc9_rpc_begin(CLIENT *client, rpcproc_t procedure, xdrproc_t xdr_args, void *args,
    xdrproc_t xdr_results, void *results, int timeout_ms, ipc9_rpc_done_fn *done, void *context,
    struct ipc9_rpc_call **ret_call);

/* Ends a call that is under way: done does not run, a reply is skipped.  The server may still run it. */
IPC9_PUBLIC void ipc9_rpc_cancel(struct ipc9_rpc_call *call);

/*
 * A descriptor that polls readable when ipc9_rpc_process has something to do, deadlines included.  It stays
 * the handle's.  -errno.
 */
IPC9_PUBLIC int ipc9_rpc_fd(CLIENT *client);

/*
 * Sends what waits, takes in what came, and runs done for each call that ended.  wait_ms: waits so
 * long for the first one to end; 0: does not wait; IPC9_FOREVER.  Returns the number of calls that ended; 0 also when none
 * is under way; IPC9_E_LOST never: calls on a broken connection end with RPC_CANTRECV.
 */
IPC9_PUBLIC int ipc9_rpc_process(CLIENT *client, int wait_ms);

/* --- Serving ----------------------------------------------------------------------------------- */

struct ipc9_rpc_server;

/* Zero means the default; budgets are for each peer unless said otherwise. */
struct ipc9_rpc_server_options {
	unsigned threads; /* handlers that may run at the same time; default 1 */
	bool no_rpcbind;  /* serve only those who know the port */
	bool no_shared;	  /* no shared memory with clients on this host: local sockets alone */
	/*
	 * Connections that have some; each takes a thread.  Default 64.  A user has at most half of what other users leave, but
	 * root and the server's own user may have all.
	 */
	uint32_t shared;

	uint32_t record_bytes; /* longest call; default 1 MiB and 8 KiB */
	uint32_t record_ms;    /* for a call to arrive, beside its time at 32 KiB/s; default 10 s */
	uint32_t calls;	       /* under way on one connection; default 64 */
	uint32_t unread_bytes; /* replies that wait to be read; default 4 MiB */
	uint32_t unread_ms;    /* until a peer that reads nothing is dropped; default 30 s */
	uint32_t connections;  /* in all; default: descriptors less a reserve */
	uint32_t connections_per_host; /* default: half of what other hosts leave */

	/* Over UDP; what comes beyond is not answered, and its client asks again. */
	uint32_t reply_cache_bytes;  /* replies kept for repeated calls, in all; default 4 MiB */
	uint32_t udp_calls;	     /* under way, of each socket; default 1024 */
	uint32_t udp_calls_per_host; /* default 64 */
	uint32_t
	    udp_answer_bytes_per_s; /* to each network; default 8 MiB, and no limit for this host */
};

/* rpcgen's dispatcher, PROG_VERS of PROG_svc.c (rpcgen -m, with or without -M). */
typedef void ipc9_rpc_dispatch_fn(struct svc_req *request, SVCXPRT *transport);

/* Makes a server; it listens nowhere and serves nothing yet. */
IPC9_PUBLIC int ipc9_rpc_server_new(const struct ipc9_rpc_server_options *options,
    struct ipc9_rpc_server **ret_server, struct ipc9_error *ret_error);

/* Stops serving, drops calls that wait, frees.  Not from a handler.  NULL is fine; returns NULL. */
IPC9_PUBLIC struct ipc9_rpc_server *ipc9_rpc_server_free(struct ipc9_rpc_server *server);

/*
 * Listens.  netid: "tcp", "udp" (IPv4), "tcp6", "udp6", or "local".  address: for "local" the path of a
 * socket (one that nobody listens on is replaced; it is removed by ipc9_rpc_server_free); else an
 * address with or without port: "127.0.0.1:700", "[::1]:700", "any:700", "loopback".  Without port, or with
 * port 0, a free one is taken.  NULL: loopback and a free port.  Handlers get one connection's calls in any order
 * once there are threads.
 */
IPC9_PUBLIC int ipc9_rpc_server_listen(struct ipc9_rpc_server *server, const char *netid,
    const char *address, struct ipc9_error *ret_error);

/* The port of the first listener with that netid; 0: there is none. */
IPC9_PUBLIC uint16_t ipc9_rpc_server_port(const struct ipc9_rpc_server *server, const char *netid);

/*
 * Adds a version of a program.  Before run.  Several versions and programs share the listeners; another
 * version of a program is answered with the range of those added.  IPC9_E_EXISTS.
 */
IPC9_PUBLIC int ipc9_rpc_server_add(struct ipc9_rpc_server *server, rpcprog_t program,
    rpcvers_t version, ipc9_rpc_dispatch_fn *dispatch, struct ipc9_error *ret_error);

/*
 * Registers with rpcbind (and again when rpcbind lost it), serves until ipc9_rpc_server_stop, and removes
 * the registration.  The caller's thread is one of those that serve.  While no rpcbind answers the ports are
 * served all the same.  0 or -errno.
 */
IPC9_PUBLIC int ipc9_rpc_server_run(struct ipc9_rpc_server *server);

/*
 * Ends ipc9_rpc_server_run once the handlers that run have returned; it does not serve again.  From any thread, or a
 * signal handler.
 */
IPC9_PUBLIC void ipc9_rpc_server_stop(struct ipc9_rpc_server *server);

struct ipc9_rpc_server_stats {
	uint64_t connections; /* now */
	uint64_t accepted;    /* connections so far */
	uint64_t calls;	      /* taken so far */
	uint64_t replayed; /* UDP calls answered from the cache, or silent as the first still ran */
	uint64_t dropped_over;	   /* UDP calls beyond a budget, also in dropped */
	uint64_t answers_limited;  /* UDP answers beyond udp_answer_bytes_per_s, not sent */
	uint64_t answers_too_long; /* UDP answers that fit no datagram: the caller got SYSTEM_ERR */
	uint64_t dropped;	   /* messages and datagrams that were none, or not answered */
	uint64_t closed_oversize;  /* connections closed for a record over its limit */
	uint64_t closed_garbage;   /* ... for what is no call */
	uint64_t closed_slow;	   /* ... for a record that did not end in time */
	uint64_t closed_unread;	   /* ... for replies that nobody read */
	uint64_t shared;	   /* connections with shared memory, now */
	uint64_t shared_calls;	   /* calls that came by it, also in calls */
	/* Clients that asked for shared memory and got none, so that their calls stay with the socket: */
	uint64_t shared_refused_limit;	/* `shared` connections have some */
	uint64_t shared_refused_share;	/* the client's user has as much as one may have */
	uint64_t shared_refused_off;	/* no_shared */
	uint64_t shared_refused_memory; /* no memory, descriptor or thread */
	uint64_t shared_refused_wrong;	/* they asked for what cannot be */
	uint64_t local;			/* of connections: those over local sockets */
	uint64_t local_calls; /* of calls: those of such connections, shared_calls included */
};

IPC9_PUBLIC void ipc9_rpc_server_stats(struct ipc9_rpc_server *server,
    struct ipc9_rpc_server_stats *ret_stats);

/* --- In a handler ------------------------------------------------------------------------------ */

/*
 * Who calls.  On a local socket the kernel tells (and what request->rq_clntcred holds for AUTH_SYS is the kernel's
 * answer, not the caller's claim); over a network an AUTH_SYS credential is IPC9_HOW_CLAIMED: anybody
 * can write one.  ret_identity->host is the address.
 */
IPC9_PUBLIC void ipc9_rpc_caller(const struct svc_req *request, struct ipc9_identity *ret_identity);

struct ipc9_rpc_deferred;

/*
 * Puts the reply off: the handler (rpcgen -M) then returns FALSE, and whoever has the results later calls
 * ipc9_rpc_reply, on any thread.  rpcgen's dispatcher frees arguments and result all the same: zero *result before
 * returning, and take from the arguments what is needed by copying it and zeroing the original.  NULL: the call has been
 * answered already.
 */
IPC9_PUBLIC struct ipc9_rpc_deferred *ipc9_rpc_defer(struct svc_req *request);

/*
 * Ends a deferred call.  Results are encoded before return and stay the caller's; if they cannot be, the
 * caller gets SYSTEM_ERR.  0, or IPC9_E_LOST: nobody is there any more.
 */
IPC9_PUBLIC int ipc9_rpc_reply(struct ipc9_rpc_deferred *call, xdrproc_t xdr_results,
    void *results);

/* The same without results: SYSTEM_ERR, GARBAGE_ARGS, ... */
IPC9_PUBLIC void ipc9_rpc_refuse(struct ipc9_rpc_deferred *call, enum accept_stat why);

/* Whether the caller's connection is gone, so that the work can be given up; the call must still be ended. */
IPC9_PUBLIC bool ipc9_rpc_is_gone(struct ipc9_rpc_deferred *call);

#ifdef __cplusplus
}
#endif

#endif
