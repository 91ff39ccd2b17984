/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring.h - a queue in shared memory, from one producer to one consumer; no system calls, no waiting.
 *
 * Two disciplines, chosen when it is made.  BYTES: a stream.  MESSAGES: each is published whole or not at all, of zero
 * bytes or more, and may be read in parts.
 *
 * All positions are totals since the start, 64 bits wide, which never go back: what is queued, whether all was read,
 * and what a lying peer cannot say are arithmetic.  Where a total lies in the memory is said by jumps: behind a jump
 * (at, offset) the total t lies at offset + t - at.  The producer alone decides where it jumps: back to the
 * beginning when the end is reached or would cut a message, or when long bytes would lie crookedly and the ring is empty,
 * and on to fresh memory when the ring is full and may grow.  The consumer follows, and needs not know how large the ring is at the moment.  So a ring begins with
 * RING_FIRST_BYTES, takes more only when the consumer lets it run full, and does so at any time, without copying.
 *
 * The peer is hostile.  Each shared word is read once into a local, which is checked against what this side knows;
 * what cannot be (backwards, more than there is room for, a message longer than what is queued) breaks the
 * ring: from then on every call of this side returns -EPROTO.  Nothing outside of the ring's memory is ever
 * touched, and each call does a bounded amount of work.  The bytes themselves can change while one looks at them in
 * place (ring_view): copy them before believing them.
 *
 * All words are zero at the start, as are those of fresh memory.  Each side is used by one thread at a time.
 */
#ifndef TRANSPORT_RING_H
#define TRANSPORT_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define RING_LINE 128		    /* words of different writers are that far apart */
#define RING_FIRST_BYTES 16384u	    /* what a ring has at the start */
#define RING_BYTES_MAX (8u << 20)   /* what one can grow to */
#define RING_MESSAGE_MAX (1u << 20) /* of one message */
#define RING_RECORD 8u		    /* a message's header; messages begin at multiples of it */
#define RING_PUBLISH 65536u	    /* of a stream of bytes, what is moved at a time */

enum ring_type {
	RING_BYTES,
	RING_MESSAGES
};

#define RING_AGAIN 1 /* there is no room, or nothing to read, at the moment */

/* What a producer says about itself.  Words of one direction; only ever raised. */
enum ring_producer_state {
	RING_OPEN,
	RING_END,	   /* sends no more; what is queued counts */
	RING_CLOSED,	   /* the same, and has gone */
	RING_DISCONNECTED, /* what is queued is void */
};

/* What a consumer says about itself. */
enum ring_consumer_state {
	RING_READING,
	RING_READS_NO_MORE,
	RING_READER_DISCONNECTED,
};

/* --- The shared part --------------------------------------------------------------------------- */

struct ring_jump {
	_Atomic uint64_t at, offset;
};

/*
 * The words that both sides see.  Producer and consumer each write lines of their own; those of `quiet` change
 * seldom and are read often.  The words of who waits are conduit.c's.
 */
struct ring_shared {
	_Alignas(RING_LINE) _Atomic uint64_t
	    head;		   /* total of bytes published, records' headers included */
	_Atomic uint64_t written;  /* of these, the users' */
	struct ring_jump jumps[2]; /* the last two; number n is in jumps[n % 2] */
	_Alignas(RING_LINE) _Atomic uint64_t tail; /* total of bytes given back */
	_Atomic uint64_t read;			   /* the users' bytes that were read */
	_Alignas(RING_LINE) _Atomic uint32_t producer_state;
	_Atomic uint32_t producer_cpu;	   /* 1 + where it ran last; 0: unknown */
	_Atomic uint32_t producer_waiting; /* for room, or for the end of the queue */
	_Atomic uint64_t producer_wants;   /* no need to wake it before the tail is there */
	_Alignas(RING_LINE) _Atomic uint32_t consumer_state;
	_Atomic uint32_t consumer_cpu;
	_Atomic uint32_t consumer_waiting; /* for data, or for a change of state */
};

/*
 * Sees to it that there is memory behind a part of the ring, before it is used: 0 or -errno, and then the ring stays
 * as small as it is.  The first RING_FIRST_BYTES are there from the start.
 */
typedef int ring_reserve_fn(void *context, uint64_t offset, uint64_t size);

struct ring_memory {
	enum ring_type type;
	struct ring_shared *shared;
	unsigned char *data;	  /* `size` bytes, aligned to 8 */
	uint64_t size;		  /* what it may grow to: a power of two from RING_FIRST_BYTES */
	ring_reserve_fn *reserve; /* NULL: all of it is there */
	void *context;
};

/*
 * How large a ring must be able to become for a quota: however the queue lies, one may have as many bytes unread as
 * the quota says and still write RING_MESSAGE_MAX more as one message.  (A message also takes
 * its header and what rounds it up to 8: with very many very small ones the ring is full before the quota is.  Of those the
 * second RING_MESSAGE_MAX of ring_size_for holds 65536 beside the quota.)
 */
uint64_t ring_size_for(enum ring_type type, uint64_t quota_bytes);

/* --- The producer ------------------------------------------------------------------------------ */

/* A stretch of totals: behind `at` the total t lies at offset + t - at. */
struct ring_stretch {
	uint64_t at, offset;
};

/* Fields are ring.c's. */
struct ring_producer {
	struct ring_memory memory;
	uint64_t head, written;		  /* published */
	uint64_t tail, read;		  /* as last seen and believed */
	uint64_t capacity;		  /* memory there is */
	uint64_t jumps;			  /* how many so far */
	struct ring_stretch here, before; /* where head lies; and the one before */
	uint64_t retry;			  /* growing failed: not again before head is there */
	uint64_t straighten;		  /* the same, for straightening */
	uint64_t reserved, room;	  /* where there is room, and how much of it; 0: none */
	bool jump;			  /* it lies behind a jump */
	bool broken;
};

/* A ring that nobody has used yet. */
void ring_producer_init(struct ring_producer *p, const struct ring_memory *memory);

/*
 * Room for writing in place.  BYTES: up to `want` (at least 1) bytes in one piece; MESSAGES: room for one of `want`
 * bytes, which may be zero.  Replaces an earlier reservation that was not committed.  0, RING_AGAIN, -EPROTO;
 * -EMSGSIZE: longer than RING_MESSAGE_MAX, or than the ring can become for want of memory.
 */
int ring_reserve(struct ring_producer *p, size_t want, void **ret_data, size_t *ret_size);

/* Publishes the first n bytes of what was reserved, as a message where it is one; to be followed by a look at who waits. */
void ring_commit(struct ring_producer *p, size_t n);

/* BYTES: copies and publishes up to RING_PUBLISH bytes: 0 with *ret_size > 0, RING_AGAIN, -EPROTO. */
int ring_write(struct ring_producer *p, const void *data, size_t size, size_t *ret_size);

/* MESSAGES: copies and publishes one message from n pieces; results as of ring_reserve. */
int ring_send(struct ring_producer *p, const struct iovec *pieces, size_t n);

/* Reads what the consumer says, for the following: 0 or -EPROTO. */
int ring_producer_look(struct ring_producer *p);

/* As last looked at: users' bytes not yet read; whether all that was published was given back. */
uint64_t ring_unread(const struct ring_producer *p);
bool ring_is_drained(const struct ring_producer *p);

/* The consumer's state; words that mean nothing count as RING_READS_NO_MORE. */
enum ring_consumer_state ring_consumer_state(const struct ring_shared *s);
/* Raises the own state, after all that was published. */
void ring_set_producer_state(struct ring_shared *s, enum ring_producer_state state);

/* --- The consumer ------------------------------------------------------------------------------ */

/* Fields are ring.c's. */
struct ring_consumer {
	struct ring_memory memory;
	uint64_t head, tail, read; /* head as last seen and believed */
	uint64_t backed;	   /* memory that is known to be there */
	uint64_t jumps;		   /* how many were made so far */
	struct ring_stretch here;  /* where tail lies */
	struct ring_stretch next;  /* behind the jump that was seen, if has_next */
	uint64_t viewed;	   /* BYTES: how much of it was seen */
	uint64_t message;	   /* where the first message's bytes lie, if in_message */
	uint32_t message_size, message_read;
	bool has_next, in_message;
	bool broken;
};

void ring_consumer_init(struct ring_consumer *c, const struct ring_memory *memory);

/*
 * What can be read in place.  BYTES: all that is queued, in one or two pieces (what lies behind a second jump
 * comes next time).  MESSAGES: the unread rest of the first message, in one piece, which may be of zero bytes.  Good
 * until ring_consume; the peer can change it meanwhile.  0, RING_AGAIN, -EPROTO; -ENOMEM, -ENOSPC: there is no
 * memory behind what the peer says is there.
 */
int ring_view(struct ring_consumer *c, struct iovec ret_pieces[2], size_t *ret_n);

/*
 * Gives back n bytes of what was seen.  MESSAGES: with its last byte (of an empty one, with n = 0) a message is gone.
 * To be followed by a look at who waits.  0; -EPROTO: it was looked at again since, and a peer that lies had made it less.
 */
int ring_consume(struct ring_consumer *c, size_t n);

/*
 * BYTES: copies out up to `size`, and no more than RING_PUBLISH, bytes.  MESSAGES: up to `size` bytes, across the
 * boundaries of messages; an empty message in front reads as 0 bytes, one behind stays.  Results as of ring_view.
 */
int ring_read(struct ring_consumer *c, void *buffer, size_t size, size_t *ret_size);

/* MESSAGES: copies out up to `size` bytes of the first message; *ret_more: it has more. */
int ring_receive(struct ring_consumer *c, void *buffer, size_t size, size_t *ret_size,
    bool *ret_more);

/*
 * Copies without consuming, of a message from the first one only.  *ret_total: users' bytes queued in all;
 * *ret_first: those of the first message (BYTES: the same as the total).
 */
int ring_peek(struct ring_consumer *c, void *buffer, size_t size, size_t *ret_size,
    uint64_t *ret_total, uint64_t *ret_first);

/* The producer's state; words that mean nothing count as RING_CLOSED.  To be read before what is queued. */
enum ring_producer_state ring_producer_state(const struct ring_shared *s);
void ring_set_consumer_state(struct ring_shared *s, enum ring_consumer_state state);

#endif
