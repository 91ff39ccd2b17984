/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * context.h - struct ipc9: what was chosen once (time, sockets), who we are as a sender, and the connections
 * that are kept for the next call.
 *
 * Kept connections are shared: any thread's calls may be on one.  Whoever takes one has a reference and
 * gives it back; what is kept here is another reference.
 */
#ifndef CLIENT_CONTEXT_H
#define CLIENT_CONTEXT_H

#include <pthread.h>

#include "client/ipc9.h"
#include "rpcgen-out/common.h"
#include "transport/channel.h"
#include "util/name.h"

#define CONTEXT_CONNECTIONS 8
#define CONTEXT_SOCKETS 2

struct filemap_way;

/* Where a connection leads to. */
struct destination {
	bool local;
	uint16_t port;		      /* 0: the default, or what rpcbind says */
	char host[NAME_TEXT_MAX + 1]; /* "" when local */
};

struct kept {
	struct destination destination;
	struct channel *channel; /* NULL: a free place */
	uint64_t used;		 /* when, in uses of the context */
};

struct ipc9 {
	int timeout_ms; /* or IPC9_FOREVER */
	char
	    *sockets[CONTEXT_SOCKETS]; /* of the local daemon, in the order to try; NULL: no more */

	unsigned char sender[IPC9_SENDER_SIZE];
	_Atomic uint64_t next_seq;

	pthread_mutex_t lock; /* for what follows; held for no longer than it takes to look */
	struct filemap_way *filemap; /* the one that new handles are on; a reference, or NULL */
	struct kept kept[CONTEXT_CONNECTIONS];
	uint64_t uses;
};

/* When an exchange that begins now must be over. */
int64_t context_deadline(const struct ipc9 *ipc9);

/* The id of a new message. */
void context_new_id(struct ipc9 *ipc9, ipc9_id *ret_id);

/* A connection that is kept and still alive, with a reference; or NULL. */
struct channel *context_take(struct ipc9 *ipc9, const struct destination *destination);

/* Keeps a connection for others; takes a reference of its own. */
void context_keep(struct ipc9 *ipc9, const struct destination *destination,
    struct channel *channel);

/* Keeps it no longer. */
void context_drop(struct ipc9 *ipc9, const struct channel *channel);

#endif
