/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replies.h - calls that came as datagrams, remembered with their replies for those who ask again.
 *
 * A client that has no reply sends its call again.  The repeat must not run the call a second time: while the
 * first one runs it is passed over in silence, and later it gets the very same bytes.  Two calls are
 * the same when all of these are: sender's address and port, socket, xid, program, version, procedure, credential,
 * arguments (the last two by a digest of 128 bits under a random key).  So a reply is never given to another.
 *
 * Bounds: replies are kept until nobody asked for them for a while, and in all they take so many bytes.  An
 * eighth of that is a host's share.  Where room is needed, hosts with more than their share lose replies first, so
 * that no sender pushes out those of the others.  A reply that is larger than a share is not kept, but
 * its call is: its repeats stay unanswered rather than run.  Calls that run are kept in any case; their number is
 * for the user to bound.
 */
#ifndef TRANSPORT_REPLIES_H
#define TRANSPORT_REPLIES_H

#include <stddef.h>
#include <stdint.h>

#include "transport/address.h"
#include "transport/message.h"
#include "util/bytes.h"

#define REPLIES_BYTES_MIN (64u << 10)
#define REPLIES_SHARES 8
#define REPLIES_OVERHEAD 320u /* what an entry takes beside its reply */

struct replies;
struct replies_entry;

/* What makes a call the same; without holes, because all its bytes are compared. */
struct replies_key {
	unsigned char address[16];
	uint32_t family, scope, port, socket;
	uint32_t xid, program, version, procedure;
	uint32_t flavor, credential_len;
	uint64_t credential[2], arguments[2];
};

/* At least REPLIES_BYTES_MIN are taken; age_ns counts from when a reply was last asked for.  0 or -ENOMEM. */
int replies_new(size_t limit_bytes, int64_t age_ns, struct replies **ret_replies);
/* No call may be running any more.  Accepts NULL, returns NULL. */
struct replies *replies_free(struct replies *replies);

/* socket: a number of the socket by which the call came. */
void replies_make_key(const struct replies *replies, const struct address *from, uint32_t socket,
    const struct message_call *header, const void *arguments, size_t arguments_size,
    struct replies_key *ret_key);

enum replies_state {
	REPLIES_NEW,	 /* never seen, or forgotten */
	REPLIES_RUNNING, /* to be passed over */
	REPLIES_DONE,	 /* *ret_reply is to be sent again; NULL: nothing is */
};

/* *ret_reply is good until the next call here. */
enum replies_state replies_find(struct replies *replies, const struct replies_key *key, int64_t now,
    const struct bytes **ret_reply);

/* Notes that a new call runs; to be ended by replies_done.  0 or -ENOMEM. */
int replies_begin(struct replies *replies, const struct replies_key *key,
    struct replies_entry **ret_entry);

/* The call was run and answered so; a reference is taken.  NULL: without a reply. */
void replies_done(struct replies *replies, struct replies_entry *entry, struct bytes *reply,
    int64_t now);

/* Bytes taken by calls that are done, overhead included. */
size_t replies_bytes(const struct replies *replies);

#endif
