/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_instance.h - instances of pipes and their two ends: states, queues, and who waits in them.  The
 * procedures over them are in pipe.c and pipe_data.c.
 *
 * An instance has two ends; each end has a queue of what the other sent it.  An end goes through
 *
 *	ABSENT -> OPEN -> CLOSED	by CLOSE
 *		       -> LOST		its connection ended without CLOSE
 *		       -> DISCONNECTED	by the server's DISCONNECT; of clients' ends only
 *	       -> AWAY			by OPEN, where client and server exchange data by themselves (pipe_hand.c)
 *
 * 1. The server's end is OPEN from CREATE on; the client's becomes OPEN by OPEN.  An instance is listening
 *    while its client end is ABSENT, and stands in its name's queue of listening ones then; and where a client that was
 *    AWAY has gone before ACCEPT and left nothing, until the next call of the server's end, which is told of that client.
 * 2. DISCONNECT parts an OPEN client end from its instance: it goes on as an end with no instance, until its client closes
 *    it, and the instance gets another one in its place.  That is DISCONNECTED too, until ACCEPT makes it ABSENT.
 * 3. When the server's end is closed or lost the instance leaves its name, and costs its server nothing any more; it is freed
 *    when neither end is OPEN any more.  A name is removed with its last instance.
 * 4. A parked READ or TRANSACT waits in the end that reads; a parked WRITE or FLUSH in the end that has not read yet what
 *    was written; a parked ACCEPT or POLL in the end that asks; a parked WAIT in the name.  Whatever changes an end
 *    or its queue calls end_wake() for it.
 * 5. A name and an instance are charged to whoever made them, and a client's end to the client for as long as it is OPEN,
 *    with an instance or without.  The instance's `charge` pays for both queues while the server's end is there; what that
 *    left unread is the client's then, or is lost where their share does not hold it.  A client that is AWAY is
 *    charged for what is kept for the server until ACCEPT takes it, and nothing then: its instance is the server's to end.
 * 6. Of a parked WRITE or FLUSH `place` is the point of the queue behind what was written, as a charge, and `amount` the
 *    same as payload (queue.h).  What is taken back moves the points behind it.
 */
#ifndef SERVER_PIPE_INSTANCE_H
#define SERVER_PIPE_INSTANCE_H

#include "rpcgen-out/pipe.h"
#include "server/named.h"
#include "server/queue.h"
#include "transport/loop.h"
#include "util/map.h"

enum end_state {
	END_ABSENT,
	END_OPEN,
	END_CLOSED,
	END_LOST,
	END_DISCONNECTED,
	END_AWAY,
};

struct end {
	UT_hash_handle by_handle;
	uint64_t id;
	struct pipes *pipes;
	struct instance *instance; /* NULL: a client's end that was disconnected */
	enum end_state state;
	bool finished;	    /* sends no more: END or CLOSE came */
	bool reads, writes; /* what it was opened for, within the pipe's direction */
	struct connection *connection;
	struct connection_watch watch;
	struct caller who;
	struct charge charge;  /* of a client's end that is OPEN, or has no instance */
	struct queue queue;    /* to be read by this end */
	struct list readers;   /* parked READs and TRANSACTs of this end */
	struct list writers;   /* parked WRITEs of the other, until `queue` is down to the quota */
	struct list flushers;  /* parked FLUSHes of the other, until `queue` was read so far */
	struct list pollers;   /* parked POLLs of this end */
	struct list acceptors; /* parked ACCEPTs; of the server's end only */
};

struct instance {
	struct list link;	/* in its name's instances */
	struct list listening;	/* in its name's listening ones */
	struct pipe_name *name; /* NULL once the server's end is gone */
	struct pipes *pipes;
	int type, direction;
	uint32_t quota;
	bool accepted; /* ACCEPT has told of this client */
	bool streams;  /* its server takes clients over */
	bool shares;   /* and shares memory with them */
	int way;       /* IPC9_PIPE_WAY_..., of this client */
	int fds[2];    /* the server's share of that, until ACCEPT gives it; n_fds of them */
	unsigned n_fds;
	struct loop_io
	    gone; /* added while they are kept: the client's side of them has been closed */
	int left; /* IPC9_PIPE_CLOSING, _LOST: so it was, but what it sent is to be read; or 0 */
	struct charge parked, parked_bytes; /* of fds and what they are of: the client's */
	struct charge charge;
	struct end server, *client; /* never NULL */
};

struct pipe_name {
	struct named named;
	struct caller owner;
	struct charge charge;
	int type, direction;
	bool local_only;
	uint32_t default_wait_ms;
	unsigned max_instances, n_instances, n_listening;
	struct list instances, listening;
	struct list waiters; /* parked WAITs */
};

struct pipes {
	struct named_map names;
	struct end *ends; /* by handle; those that are OPEN, and those without instance */
	uint64_t next_id;
	unsigned n_instances;
	uint64_t bytes; /* charge of all queues */
};

/* --- Life -------------------------------------------------------------------------------------- */

/* Ends a name that has no instances. */
void pipe_name_free(struct pipes *pipes, struct pipe_name *name);

/* Makes a new instance of a name: both ends ABSENT, in no list.  NULL without memory. */
struct instance *instance_new(struct pipes *pipes, struct pipe_name *name);

/* Ends an instance that was never entered anywhere. */
void instance_free(struct instance *instance);

/* Lets an instance without client listen, behind all others of its name. */
void instance_listen(struct instance *instance);

/* The same for one whose client has gone and left nothing, which its server can still be told. */
void instance_offer(struct instance *instance);

/* Takes the instance off the queue of listening ones, for a client. */
void instance_take(struct instance *instance);

/* Throws the client out, with what waits to be read.  0 or -ENOMEM, and nothing has changed. */
int instance_disconnect(struct instance *instance);

/* Makes an end OPEN for the request's connection.  0 or -ENOMEM. */
int end_enter(struct end *end, struct request *request);

/* The same for a client's end, which is charged to the caller.  0, IPC9_STATUS_QUOTA, -ENOMEM. */
int end_enter_client(struct end *end, struct request *request);

/* Ends an end: CLOSED or LOST.  The instance, and its name, may be gone on return. */
void end_leave(struct end *end, enum end_state how);

/* The end of a handle of this connection; ends the request when there is none, or when it was disconnected. */
struct end *end_find(struct request *request, uint64_t id);

/* The same also for one that was disconnected: its instance is NULL. */
struct end *end_find_any(struct request *request, uint64_t id);

/* The same for what only a server's end can do: INVALID for others. */
struct end *end_find_server(struct request *request, uint64_t id);

bool end_is_server(const struct end *end);
struct end *end_other(const struct end *end);

/* --- Bringing together; pipe_hand.c ------------------------------------------------------------ */

/*
 * Answers an OPEN of a listening instance by bringing client and server together, and ends the request.  False: that is
 * not possible here and now, and nothing has changed.
 */
bool instance_hand_over(struct instance *instance, struct request *request, unsigned flags);

/* Lets the server's share leave with the answer to an ACCEPT.  0 or -errno. */
int instance_give(struct instance *instance, struct request *request);

/* Closes what was not given; the client pays for it no more. */
void instance_keep_nothing(struct instance *instance);

/* --- States ------------------------------------------------------------------------------------ */

/*
 * What a READ, WRITE, ACCEPT, PEEK, FLUSH or TRANSACT of this end would come to now: 0, or the status that it fails with, or
 * -EAGAIN: it waits.
 */
int end_read_state(const struct end *end);
int end_write_state(const struct end *end);
int end_accept_state(const struct end *end);
int end_peek_state(const struct end *end);
int end_flush_state(const struct end *end);
int end_transact_state(const struct end *end);

/* IPC9_PIPE_READABLE, ... : those that hold. */
unsigned end_events(const struct end *end);

/* IPC9_PIPE_LISTENING, ... */
int end_state_number(const struct end *end);

/* --- Answers ----------------------------------------------------------------------------------- */

/* amount of a READ: max_bytes, and above them whether one message is asked for. */
#define READ_MESSAGE (UINT64_C(1) << 32)

/* Each ends its request; read and accept by what the end's state says, which must not be -EAGAIN. */
void end_answer_read(struct request *request, struct end *end);
void end_answer_accept(struct request *request, struct end *end, bool waited);
void end_answer_write(struct request *request, bool full, uint32_t taken_bytes);
void end_answer_poll(struct request *request, unsigned events);
void end_fail(struct request *request, int status);

/* Whether what a WRITE of len bytes, which ends at those points, left unread in `to` fits the quota. */
bool end_write_fits(const struct end *to, uint64_t amount, uint64_t place, uint32_t len);

/* Answers whoever waits for something of this end and need not any more. */
void end_wake(struct end *end);

/* Takes what a WRITE, which is not parked any more, left unread in `to` back; returns how many bytes that were. */
uint64_t end_withdraw(struct end *to, const struct request *write);

/* Ends calls of this end that wait, all or the one with an xid, as CANCELLED.  Returns how many. */
unsigned end_cancel(struct end *end, bool all, uint32_t xid);

/* Takes the call that has waited longest out of a queue of parked ones. */
struct request *end_unpark_first(struct list *queue);

#endif
