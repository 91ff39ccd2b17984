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

#include "transport/descriptors.h"
#include "transport/message.h"
#include "util/bytes.h"
#include "util/gather.h"

struct channel;
struct channel_target;

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

/* The same, for this errno; returns the one that it ended with. */
int channel_fail(struct channel *channel, int error);

/* Whether calls can still be made, as far as that shows without making one. */
bool channel_is_alive(struct channel *channel);

/* Sends AUTH_NONE from now on.  Before the first call. */
void channel_make_anonymous(struct channel *channel);

/* How many bytes of a reply are taken; 16 MiB unless said.  Before the first call. */
void channel_limit_reply(struct channel *channel, size_t bytes);

size_t channel_reply_max(const struct channel *channel);

/*
 * Has the channel ask for shared memory (line.h) when so many calls have been made by its handles; for a local socket.
 * quota: of the conduit, as the server knows it.  Before the first call; without memory for it the channel stays as it
 * is.
 */
struct line;
void channel_offer_line(struct channel *channel, const struct channel_target *attach,
    uint64_t quota, unsigned after);
/* NULL: it has none. */
struct line *channel_line(const struct channel *channel);

/*
 * From now on calls with parcels may be made while other threads wait for other replies: whoever receives takes descriptors
 * in, for whichever call they are.  Otherwise who slept in a receive before the call was sent would lose them.
 */
void channel_expect_descriptors(struct channel *channel);

struct channel_parcels;

/*
 * One call; lies with the caller, whose it is again when channel_wait or channel_forget returned, or when fn runs.
 */
struct channel_call {
	struct channel_call *next; /* in the channel's table, under its lock */
	uint32_t xid;
	struct channel_parcels *parcels;
	bool done;
	bool sent;   /* some of it left: the other side may have run it */
	bool stands; /* it is there for whoever may need it, and not under way */
	struct bytes
	    *reply; /* the whole record, once done, where it came before anybody said xdr */

	/* Whoever reads the reply decodes it at once, under the channel's lock, if xdr is set. */
	xdrproc_t xdr;
	void *results;
	enum clnt_stat stat;
	struct rpc_err *error;
	/* Then, for calls that nobody waits for, with the call out of the table; not when the channel dies. */
	void (*fn)(struct channel_call *call);
};

/*
 * Open descriptors that go with a call over a local socket, and with its reply.  While one such call is under way no
 * other may be: what comes is taken to be its.
 */
struct channel_parcels {
	const int *give; /* duplicates leave with the call */
	unsigned n_give;
	struct descriptors
	    taken; /* what came with the reply: the caller's; empty without a reply */
	bool
	    last; /* the call's reply is the last thing read: what follows it stays in the socket */
};

struct channel_target {
	uint32_t program, version, procedure;
	const struct message_auth *credential; /* NULL: the channel's */
};

/*
 * Sends one call.  RPC_SUCCESS; RPC_CANTENCODEARGS; RPC_CANTSEND with error->re_errno; RPC_TIMEDOUT.  What
 * xdr encodes by reference must stay until return.
 */
enum clnt_stat channel_send(struct channel *channel, struct channel_call *call,
    const struct channel_target *target, xdrproc_t xdr, void *args, int64_t deadline,
    struct rpc_err *ret_error);

/* The same with descriptors; parcels must stay until the call has ended. */
enum clnt_stat channel_send_with(struct channel *channel, struct channel_call *call,
    struct channel_parcels *parcels, const struct channel_target *target, xdrproc_t xdr, void *args,
    int64_t deadline, struct rpc_err *ret_error);

/*
 * Waits for the reply and decodes it into results, which start from all zero; a blob in them refers to the
 * record or has a block of its own.  Ends the call in every case.
 */
enum clnt_stat channel_wait(struct channel *channel, struct channel_call *call, xdrproc_t xdr,
    void *results, int64_t deadline, struct rpc_err *ret_error);

/* Waits for the reply, or the end of the channel, and leaves the call under way.  False: neither came in time. */
bool channel_await(struct channel *channel, struct channel_call *call, int64_t deadline);

/* Ends a call that was sent and is not waited for. */
void channel_forget(struct channel *channel, struct channel_call *call);

/* --- Parts, for calls that nobody waits for ---------------------------------------------------- */

/* Puts a call into the table, with an xid; with the channel's lock held.  0 or -errno: the channel is dead. */
int channel_enter(struct channel *channel, struct channel_call *call);

/* Whether no call is under way, and calls can be made; a caller's own calls at least are seen without the lock. */
bool channel_is_quiet(const struct channel *channel);

/* Takes it out again; with the channel's lock held. */
void channel_leave(struct channel *channel, struct channel_call *call);

/* Appends a call's record to out.  False: the arguments cannot be encoded, and out is as before. */
bool channel_encode(struct channel *channel, uint32_t xid, const struct channel_target *target,
    xdrproc_t xdr, void *args, struct gather *out);

/* The same into memory, without a mark.  How many bytes it is; 0: more than `room`, or the arguments cannot be encoded. */
size_t channel_encode_at(struct channel *channel, uint32_t xid, const struct channel_target *target,
    xdrproc_t xdr, void *args, unsigned char *at, size_t room);

/*
 * Sends what can be sent now without waiting, of whole records that out owns; what is left stays there, and a
 * record that left in part is completed before anything else.  0: all has left; -EAGAIN; or the channel is dead.
 */
int channel_flush(struct channel *channel, struct gather *out);

/*
 * Takes in replies, waiting for some until the deadline, and for room to send if `full`.  0; -ETIMEDOUT; -EAGAIN:
 * another thread reads, and has for the time waited; or the channel is dead.
 */
int channel_read(struct channel *channel, int64_t deadline, bool full);

/* What guards the table of calls, and is held when fn runs. */
void channel_lock(struct channel *channel);
void channel_unlock(struct channel *channel);

int channel_fd(const struct channel *channel);

/*
 * After a call with parcels->last has been answered: a duplicate of the socket, nonblocking, with which the caller goes on
 * by itself, or -errno.  The channel makes no more calls.
 */
int channel_take_socket(struct channel *channel);

/* --- CLIENT handles (handle.c) ----------------------------------------------------------------- */

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

/* The channel of such a handle, still the handle's; NULL: it is another library's handle. */
struct channel *channel_client_channel(const CLIENT *client);

/*
 * What one of the handle's calls goes to, with the credential of its cl_auth; *ret_memory holds that while it is
 * used.  False: cl_auth makes none.
 */
struct client_credential;
bool channel_client_target(const CLIENT *client, uint32_t procedure,
    struct channel_target *ret_target, struct client_credential *ret_memory);

/* What begins asynchronous calls on the handle, made at the first use; NULL: not ours, or no memory. */
struct async *channel_client_async(CLIENT *client);

#endif
