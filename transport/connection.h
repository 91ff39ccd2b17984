/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connection.h - what server.c, connection.c and call.c share; the rest of the tree uses server.h.
 */
#ifndef TRANSPORT_CONNECTION_H
#define TRANSPORT_CONNECTION_H

#include "transport/descriptors.h"
#include "transport/hosts.h"
#include "transport/record.h"
#include "transport/server.h"
#include "transport/socket.h"
#include "util/gather.h"

#define CONNECTION_SCRATCH 65536

#define CALLS_KEPT 64 /* call objects that wait to be used again */

struct server {
	struct loop *loop;
	const struct server_ops *ops;
	void *context;
	struct server_limits limits;
	struct server_stats stats;
	struct closer *closer; /* NULL: what peers sent is closed in place */
	struct list listeners, sockets, connections;
	struct hosts hosts;	 /* of the connections */
	struct limiter *limiter; /* both from the first datagram socket on */
	struct replies *replies; /* NULL: repeated calls run again */
	uint32_t n_sockets;	 /* datagram sockets so far */
	struct shelf shelf;
	struct gather_pool pool; /* for the replies of all connections */
	struct list free_calls;	 /* by their link; n_free_calls of them */
	unsigned n_free_calls;
	unsigned char
	    scratch[CONNECTION_SCRATCH]; /* what one receive brought; nothing stays in it */
};

struct connection {
	struct server *server;
	struct list link; /* in the server's connections */
	struct peer peer;
	struct loop_io io;
	struct record_reader reader;
	size_t beyond;		       /* bytes received that the reader has not been passed */
	struct gather out;	       /* replies that have not left */
	struct list parcels;	       /* descriptors in them */
	struct descriptors *received;  /* those that nobody has taken yet; NULL: never any */
	unsigned n_counted;	       /* of those, in the account */
	struct closer_account account; /* of the peer's descriptors */
	struct list calls;	       /* under way */
	struct list watches;
	struct list enders;  /* watches that last as long as the descriptor */
	struct list backlog; /* records that came while a bound was reached */
	struct loop_timer backlog_timer;
	struct loop_deferred flush;
	struct loop_timer record_timer; /* set while a record is incomplete and we are reading */
	struct loop_timer unread_timer; /* set while out waits for the peer to read */
	int64_t record_began;
	size_t held; /* payload held by calls under way */
	struct bulk bulk;
	unsigned n_calls;
	unsigned n_busy; /* kept calls that somebody works on */
	bool leaving;	 /* the peer sends no more: nothing waits for it any longer */
	bool ended;	 /* and all that it sent has been received */
	bool doomed;	 /* to be freed when the events at hand are done */
};

/* Takes fd and the peer's groups over on success.  0 or -errno; -EUSERS: the peer's host has its share; -EDQUOT: not admitted. */
int connection_new(struct server *server, int fd, const struct peer *peer);
void connection_free(struct connection *connection);

/* After some of `received` came or went. */
void connection_count_received(struct connection *connection);

/* Takes the descriptor out of it, which lives on; the connection is to be freed soon. */
int connection_steal(struct connection *connection);

/* Sends what can be sent now; as gather_send. */
ssize_t connection_send(struct connection *connection);

/* Something was appended to out, or a bound may have been left: sends and looks again, a little later. */
void connection_stir(struct connection *connection);

struct call *call_new(struct server *server, struct connection *connection,
    struct datagram_socket *socket, const struct peer *peer, uint32_t xid);

int datagram_fd(const struct datagram_socket *socket);

/* The connection or socket of a kept call goes. */
void call_lose(struct call *call);

/* Frees the objects that wait to be used again. */
void call_free_all(struct server *server);

/* Counts a connection; 0, -EUSERS, -ENOMEM as hosts_enter. */
int server_enter(struct server *server, const struct peer *peer);
/* Takes it back when its descriptor is closed: listeners that paused go on. */
void server_leave(struct server *server, const struct peer *peer);

/* Sends a reply the way its call came, notes it for repeats, and empties out. */
void server_answer_datagram(struct call *call, struct gather *out);

/* Lets go of what a call keeps of its datagram. */
void server_end_datagram(struct call *call);

/* Closes all datagram sockets; their calls end or are lost. */
void server_forget_all(struct server *server);

#endif
