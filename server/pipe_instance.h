/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_instance.h - instances of pipes and their two ends: states, queues, and who waits in them.  The
 * procedures over them are in pipe.c.
 *
 * An instance has two ends; each end has a queue of what the other sent it.  An end goes through
 *
 *	ABSENT -> OPEN -> CLOSED	by CLOSE
 *		       -> LOST		its connection ended without CLOSE
 *
 * 1. The server's end is OPEN from CREATE on; the client's becomes OPEN by OPEN.  An instance is listening
 *    while its client end is ABSENT, and stands in its name's queue of listening ones exactly then.
 * 2. When the server's end is closed or lost the instance leaves its name; it is freed when neither end is OPEN
 *    any more.  A name is removed with its last instance.
 * 3. A parked READ waits in the end that reads; a parked WRITE in the end that has not read yet what was
 *    written; a parked ACCEPT or POLL in the end that asks.  Whatever changes an end or its queue calls
 *    end_wake() for it.
 * 4. A name, an instance and what waits in its ends are charged to whoever made them: an instance's `charge` pays
 *    for its queues.
 */
#ifndef SERVER_PIPE_INSTANCE_H
#define SERVER_PIPE_INSTANCE_H

#include "rpcgen-out/pipe.h"
#include "server/named.h"
#include "server/queue.h"
#include "util/map.h"

enum end_state {
	END_ABSENT,
	END_OPEN,
	END_CLOSED,
	END_LOST,
};

struct end {
	UT_hash_handle by_handle;
	uint64_t id;
	struct instance *instance;
	enum end_state state;
	bool finished;	    /* sends no more: END or CLOSE came */
	bool reads, writes; /* what it was opened for, within the pipe's direction */
	struct connection *connection;
	struct connection_watch watch;
	struct caller who;
	struct queue queue;    /* to be read by this end */
	struct list readers;   /* parked READs of this end */
	struct list writers;   /* parked WRITEs of the other, until `queue` is down to the quota */
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
	struct charge charge;
	struct end server, client;
};

struct pipe_name {
	struct named named;
	struct caller owner;
	struct charge charge;
	int type, direction;
	unsigned max_instances, n_instances, n_listening;
	struct list instances, listening;
};

struct pipes {
	struct named_map names;
	struct end *ends; /* by handle; those that are OPEN */
	uint64_t next_id;
	unsigned n_instances;
	uint64_t bytes; /* charge of all queues */
};

/* Ends a name that has no instances. */
void pipe_name_free(struct pipes *pipes, struct pipe_name *name);

/* Makes a new instance of a name: both ends ABSENT, every list empty. */
void instance_init(struct instance *instance, struct pipes *pipes, struct pipe_name *name);

/* Makes an end OPEN for the request's connection.  0 or -ENOMEM. */
int end_enter(struct end *end, struct request *request);

/* Ends an end: CLOSED or LOST.  The instance, and its name, may be gone on return. */
void end_leave(struct end *end, enum end_state how);

/* The end of a handle of this connection; ends the request when there is none. */
struct end *end_find(struct request *request, uint64_t id);

bool end_is_server(const struct end *end);
struct end *end_other(const struct end *end);

/*
 * What a READ, WRITE or ACCEPT of this end would come to now: 0, or the status that it fails with, or
 * -EAGAIN: it waits.
 */
int end_read_state(const struct end *end);
int end_write_state(const struct end *end);
int end_accept_state(const struct end *end);

/* IPC9_PIPE_READABLE, ... : those that hold. */
unsigned end_events(const struct end *end);

/* amount of a READ: max_bytes, and above them whether one message is asked for. */
#define READ_MESSAGE (UINT64_C(1) << 32)

/* Each ends its request; read and accept by what the end's state says, which must not be -EAGAIN. */
void end_answer_read(struct request *request, struct end *end);
void end_answer_accept(struct request *request, struct end *end, bool waited);
void end_answer_write(struct request *request, bool full);
void end_answer_poll(struct request *request, unsigned events);
void end_fail(struct request *request, int status);

/* Answers whoever waits for something of this end and need not any more. */
void end_wake(struct end *end);

/* Takes the call that has waited longest out of a queue of parked ones. */
struct request *end_unpark_first(struct list *queue);

#endif
