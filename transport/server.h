/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.h - the serving half of the engine: listeners, connections, datagrams, and one object per call.
 *
 * A server lives on one loop, and everything here is for that loop's thread.  A call arrives once, through
 * server_ops, and is ended once: by call_reply, call_refuse or call_drop, at once or after it was parked.
 * Replies leave in the order in which calls are ended, which need not be the order in which they came.
 *
 * What a peer can cost is bounded: the length of a record (before it is read), the time a record may take, the
 * calls it has under way, the payload that those hold, the replies it does not read, the connections of its
 * host.  At a bound we stop reading that peer, never another; only a record over its length or time, replies that
 * nobody reads for long, and a connection beyond its host's share are closed.
 */
#ifndef TRANSPORT_SERVER_H
#define TRANSPORT_SERVER_H

#include <rpc/rpc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/address.h"
#include "transport/loop.h"
#include "transport/message.h"
#include "util/list.h"

struct server;
struct connection;
struct datagram_socket;
struct datagram_origin;
struct closer;
struct parcel;
struct shared_descriptor;
struct call;

/* What the kernel knows of the other side. */
struct peer {
	bool local;    /* over a local socket: uid, gid and pid are true */
	bool datagram; /* anybody can write any address into one */
	uid_t uid;
	gid_t gid;
	pid_t pid;
	unsigned n_groups;
	gid_t *groups; /* supplementary; the connection's to free */
	struct address address;
};

enum call_end {
	CALL_EXPIRED, /* its wait is over: reply now */
	CALL_GONE,    /* the connection is gone: let go of the call, it is freed on return */
};

/* How a parked call's wait ends, unless its owner unparks it first. */
typedef void call_ended_fn(struct call *call, enum call_end end);

/*
 * Another way for calls of a connection, and for their answers, than its stream.  It outlives its calls: whoever
 * ends it dooms the connection first.
 */
struct call_line {
	/* Takes an answer, header and all.  False: it cannot, and the answer leaves by the stream. */
	bool (*answer)(struct call_line *line, struct call *call, const struct gather *reply);
};

/* One call.  Servers embed it at the beginning of a struct of their own (server_ops.call_size). */
struct call {
	struct list link; /* in the calls of its connection or socket */
	struct server *server;
	struct connection *connection; /* NULL: came as a datagram */
	struct datagram_socket *socket;
	struct call_line *line;		/* NULL: it came by the stream */
	struct datagram_origin *origin; /* what is kept of the datagram */
	const struct peer *peer;	/* good until the call ends */
	uint32_t xid;
	bool unanswered; /* whatever ends it, nothing is sent */
	bool kept;	 /* call_keep */
	bool idle;	 /* kept, and nobody works on it: call_defer */
	bool gone;	 /* kept, and nobody is there any more who wants an answer */

	struct list parked; /* in its owner's queue while it waits */
	struct loop_timer timer;
	call_ended_fn *ended;
	size_t held; /* payload bytes that count against the connection until the call ends */
	struct parcel *parcel; /* descriptors that leave with the answer; NULL: none */
};

struct server_ops {
	size_t call_size;
	bool
	    takes_descriptors; /* those that come over a local socket; otherwise they are closed unseen */
	/*
	 * A call has come.  header and args are good until return only.
	 */
	void (*call)(void *context, struct call *call, const struct message_call *header,
	    XDR *args);
	/*
	 * Optional: whether a peer's connection may stay; false closes it at once.  What the answer takes for it is given
	 * back by a connection_watch.  peer lives as long as the connection.
	 */
	bool (*admit)(void *context, struct connection *connection, const struct peer *peer);
	/* Optional: what stays the same in an object that serves for one call after the other. */
	void (*init)(struct call *call);
	/* Optional: a kept call has gone, and may be dropped now. */
	void (*lost)(struct call *call);
};

/* Zero means the default. */
struct server_limits {
	size_t record_bytes; /* longest record; default 1 MiB and 8 KiB */
	unsigned record_ms;  /* a record's time, beside what it takes at 32 KiB/s; default 10 s */
	unsigned unread_ms;  /* replies that nobody takes; default 30 s */
	unsigned calls;	     /* under way, per connection; default 64 */
	size_t held_bytes;   /* payload held by calls under way, per connection; default 4 MiB */
	size_t unread_bytes; /* replies waiting to be read, per connection; default 4 MiB */
	/*
	 * Those of networks, and of local ones what is beyond local_connections.  Together with local_connections never
	 * more than the process's descriptors less a reserve, which is also the default.
	 */
	unsigned connections;
	/*
	 * See transport/hosts.h.  Default: half of connections; and where it is no more than that, a host has at most half
	 * of what the other hosts leave.
	 */
	unsigned connections_per_host;
	/* Beyond those, for local clients, who take these first; networks always leave them half of it free.  Default 64. */
	unsigned local_connections;
	unsigned
	    other_descriptors; /* that the process holds beside; at most half of all; default 0 */
	unsigned vanished_ms;  /* TCP peers without a sign of life; default 25 s */

	size_t datagram_bytes; /* the longest taken; default 4096, at most SERVER_DATAGRAM_MAX */
	/* Calls under way that came as datagrams; further ones are dropped, and asked again by their clients. */
	unsigned calls_datagram;      /* of a socket; default 1024 */
	unsigned calls_datagram_host; /* of a host's (transport/hosts.h), on a socket; default 64 */
	/*
	 * Bytes per second that are sent in answer to datagrams into a network (transport/limiter.h), and four
	 * times as many in all: each answer counts what it is longer than its call, and 64 bytes at
	 * least.  Answers over that are not sent.  Default 8 MiB, but no bound for what comes from this
	 * host itself.
	 */
	size_t answer_bytes;
	/*
	 * Replies to datagrams that are kept for repeated calls (transport/replies.h), which then do not run
	 * again.  Default 0: no reply is kept, and a repeat is a new call.
	 */
	size_t reply_cache_bytes;
	unsigned reply_cache_ms; /* since a reply was last asked for; default 60 s */
};

struct server_stats {
	uint64_t connections, accepted;
	uint64_t local; /* of connections: those over local sockets */
	uint64_t calls, refused, dropped;
	uint64_t local_calls; /* of calls: those of local connections */
	uint64_t datagrams;
	uint64_t closed_oversize, closed_garbage, closed_slow_record, closed_unread;
	uint64_t refused_host;	      /* connections beyond what a host may have */
	uint64_t surplus_descriptors; /* that came with no call that takes them */
	uint64_t refused_user;	      /* connections that server_ops did not admit */
	/* Of datagrams: */
	uint64_t replayed;	   /* repeats, answered with the reply kept, or silent */
	uint64_t dropped_over;	   /* calls beyond calls_datagram or its host's, also in dropped */
	uint64_t answers_limited;  /* not sent, being over answer_bytes */
	uint64_t answers_too_long; /* that fit no datagram: the caller got SYSTEM_ERR */
};

int server_new(struct loop *loop, const struct server_ops *ops, void *context,
    const struct server_limits *limits, struct server **ret_server);

/*
 * Before it listens: has descriptors closed that come over local sockets and are not taken, or sent and not shared.  It must
 * outlive the server.  Without, or with NULL, they are closed in place.
 */
void server_set_closer(struct server *server, struct closer *closer);

/* Closes listeners and connections; parked calls end with CALL_GONE. */
struct server *server_free(struct server *server);

/* Takes over a listening stream socket (TCP or local). 0 or -errno; then fd is still the caller's. */
int server_listen(struct server *server, int fd);

/* The longest message that a UDP datagram holds over IPv4, which goes for IPv6 as well. */
#define SERVER_DATAGRAM_MAX 65507

/*
 * Takes over a datagram socket.  Without `answers` nothing is ever sent from it; and what was sent to a group
 * or a broadcast address, or is no call, is not answered in any case.  Answers leave from the address
 * that was called.  One that fits no datagram is never cut off: the caller gets SYSTEM_ERR in its place, and has
 * to ask over a stream.
 */
int server_receive(struct server *server, int fd, bool answers);
/* Closes such a socket again; its calls end with CALL_GONE. */
void server_forget(struct server *server, int fd);

const struct server_stats *server_stats(const struct server *server);
/* Those in force, without zeros. */
const struct server_limits *server_limits(const struct server *server);
/* How many connections a host may have now, those that it has included. */
unsigned server_host_share(const struct server *server, const struct address *address);

/* --- Calls ------------------------------------------------------------------------------------- */

/*
 * Ends a call with its results.  What xdr encodes by reference without an owner is copied.  Results that
 * cannot be encoded become SYSTEM_ERR.
 */
void call_reply(struct call *call, xdrproc_t xdr, void *results);
void call_refuse(struct call *call, enum message_refusal why, uint32_t low, uint32_t high);
/* Ends a call without an answer. */
void call_drop(struct call *call);

/*
 * The same in two steps: what was answered, and only once, is still there until call_drop.  On a call that is gone
 * nothing happens.
 */
void call_answer(struct call *call, xdrproc_t xdr, void *results);
/* The same with a whole reply, header and all, which is taken out of `reply`; what is borrowed in it must be owned. */
void call_answer_encoded(struct call *call, struct gather *reply);
void call_answer_refusal(struct call *call, enum message_refusal why, uint32_t low, uint32_t high);

/*
 * The call goes on after the handler, outside any queue: when its connection goes before it is ended, it stays, with
 * `gone` set and `connection` and `peer` NULL.
 */
void call_keep(struct call *call);

/*
 * Drops a reference to the block of a call's arguments; what is not used elsewhere serves for another record.
 */
void call_give_back(struct call *call, struct bytes *record);

/* A kept call waits for something from now on: a peer that closes its side does not wait for that. */
void call_defer(struct call *call);

/* So many bytes count against the call's connection until the call ends. */
void call_hold(struct call *call, size_t bytes);

/* The socket that a call came by; the server's. */
int call_fd(const struct call *call);

/*
 * Open descriptors with calls, over a local socket (transport/descriptors.h).
 *
 * While a call is handled: takes so many of those that came, which are the caller's from now on.  0, or -EPROTO: fewer came.
 */
int call_take_descriptors(struct call *call, unsigned n, int *ret_fds);
/* Before a call is answered: duplicates of these leave with the answer.  Once; 0 or -errno. */
int call_give_descriptors(struct call *call, const int *fds, unsigned n);
/* The same with one that others have as well (transport/descriptors.h). */
int call_give_shared(struct call *call, struct shared_descriptor *shared);

/*
 * Ends a call with its results, and with it the connection as one that carries calls: what comes over it from now on is
 * the caller's business, and so is the descriptor.  For a peer that has sent nothing else and waits for this answer.
 * 0; -EBUSY: it has sent something else; -errno: the answer did not leave.  After a failure the connection ends.
 */
int call_hand_over(struct call *call, xdrproc_t xdr, void *results, int *ret_fd);

/*
 * Leaves a call waiting at the end of a queue.  ended runs after wait_ms, or when the connection goes;
 * held_bytes count against the connection meanwhile.  0 or -ENOMEM (the call is not parked).
 */
int call_park(struct call *call, struct list *queue, unsigned wait_ms, size_t held_bytes,
    call_ended_fn *ended);
/* Takes it out again, to be ended by the caller. */
void call_unpark(struct call *call);

/* --- Connections ------------------------------------------------------------------------------- */

/* Lies inside something that must go when its connection goes. */
struct connection_watch {
	struct list link; /* list_init before first use; list_remove ends the watch */
	void (*closed)(struct connection_watch *watch);
};

void connection_watch(struct connection *connection, struct connection_watch *watch);

/* A record that came by a line; server_ops.call gets it before return.  owner: of the block it is in, or NULL. */
void connection_receive(struct connection *connection, struct call_line *line,
    const unsigned char *data, size_t size, struct bytes *owner);

/* Has it freed soon: nothing more is read, and nothing sent. */
void connection_doom(struct connection *connection);

/* The same, but while the peer is only leaving it stays: until the descriptor is closed. */
void connection_watch_end(struct connection *connection, struct connection_watch *watch);

#endif
