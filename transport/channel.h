/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channel.h - the calling half of the engine: one connection, many calls in flight, any number of threads.
 *
 * Whoever waits for a reply while nobody reads the connection becomes its reader, hands replies to those
 * they belong to, and passes the role on when its own has come.  A thread that cannot send because the
 * connection is full takes replies in meanwhile, so that two sides that both send much do not lock each other.
 *
 * Replies that nobody waits for (late ones, forged ones) are skipped.  A channel whose stream ended or went
 * wrong is dead: all its calls end, and it is never used again.
 */
#ifndef TRANSPORT_CHANNEL_H
#define TRANSPORT_CHANNEL_H

#include <rpc/rpc.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/bytes.h"

struct channel;

/*
 * Takes over a connected stream socket, on success.  auth_sys: send an AUTH_SYS credential for this process
 * with each call, else AUTH_NONE (a local socket tells who we are by itself).  One reference.
 */
int channel_new(int fd, bool auth_sys, struct channel **ret_channel);
struct channel *channel_ref(struct channel *channel);
/* Accepts NULL, returns NULL; the last one closes the connection. */
struct channel *channel_unref(struct channel *channel);

/* Ends the connection under everybody who uses it. */
void channel_abort(struct channel *channel);

/* Whether calls can still be made, as far as that shows without making one. */
bool channel_is_alive(struct channel *channel);

/* One call; lies with the caller, whose it is again when channel_wait or channel_forget returned. */
struct channel_call {
	struct channel_call *next; /* in the channel's table, under its lock */
	uint32_t xid;
	bool done;
	bool sent;	     /* some of it left: the other side may have run it */
	struct bytes *reply; /* the whole record, once done */
};

struct channel_target {
	uint32_t program, version, procedure;
};

/*
 * Sends one call.  RPC_SUCCESS; RPC_CANTENCODEARGS; RPC_CANTSEND with error->re_errno; RPC_TIMEDOUT.  What
 * xdr encodes by reference must stay until return.
 */
enum clnt_stat channel_send(struct channel *channel, struct channel_call *call,
    const struct channel_target *target, xdrproc_t xdr, void *args, int64_t deadline,
    struct rpc_err *ret_error);

/*
 * Waits for the reply and decodes it into results, which start from all zero; blobs in them refer to the
 * record.  Ends the call in every case.
 */
enum clnt_stat channel_wait(struct channel *channel, struct channel_call *call, xdrproc_t xdr,
    void *results, int64_t deadline, struct rpc_err *ret_error);

/* Ends a call that was sent and is not waited for. */
void channel_forget(struct channel *channel, struct channel_call *call);

/* --- CLIENT handles ---------------------------------------------------------------------------- */

/*
 * A standard handle for rpcgen's stubs over a channel, with its own reference.  Light: each thread makes its
 * own.  clnt_destroy frees it.  NULL without memory.
 */
CLIENT *channel_client(struct channel *channel, uint32_t program, uint32_t version);

/*
 * The deadline of the handle's calls (util/clock.h) from now on; it takes the place of the time that stubs
 * pass.
 */
void channel_client_deadline(CLIENT *client, int64_t deadline);

/* Whether something of the handle's last call left for the other side. */
bool channel_client_sent(const CLIENT *client);

#endif
