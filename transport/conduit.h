/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conduit.h - a pipe between two processes of one host that needs nobody else: two rings in one shared file, and a
 * local socket for what memory cannot do, which is waking a program that waits in poll() and telling that a peer died.
 *
 * The introducer (the daemon) makes one with conduit_create, maps nothing, and gives the file to both ends and one
 * socket to each.  Each opens its side with the same type and quota.  The fields of the shared memory are not
 * believed (ring.h, shm.h).
 *
 * Threads: at each end one thread reads and one writes at a time ("reading" and "writing" operations below);
 * conduit_cancel and conduit_abort are for any thread.  Whoever frees an end sees to it that no operation runs.
 *
 * Deadlines are points of clock.h; one that has passed (0) means: do not wait.  Waiting is a look again for up to 50 us
 * where that pays and the peer runs on another CPU, or to give the CPU away once where it runs on the same, then sleep.  A peer that died is noticed within 1 s by whoever
 * waits, at once by poll(), and within 100 ms by reads that find nothing and by writes.  What it had published
 * can still be read; then reads return CONDUIT_LOST.
 */
#ifndef TRANSPORT_CONDUIT_H
#define TRANSPORT_CONDUIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "transport/ring.h"

#define CONDUIT_MESSAGE_MAX RING_MESSAGE_MAX
#define CONDUIT_QUOTA_MAX (4u << 20) /* of a direction; at least 1 */

struct conduit;

enum conduit_side {
	CONDUIT_FIRST,
	CONDUIT_SECOND
};

/*
 * Results.  0: done.  Negative: -EMSGSIZE (a message longer than CONDUIT_MESSAGE_MAX, or for which there is no
 * memory), -EINVAL (not of this type), -ENOMEM, -ENOSPC.
 */
enum conduit_result {
	CONDUIT_EOF = RING_AGAIN + 1, /* reading: the peer ended or closed, and all is read */
	CONDUIT_PEERCLOSED,	      /* writing: the peer closed, or reads no more */
	CONDUIT_DISCONNECTED,	      /* one of the ends disconnected; nothing is queued any more */
	CONDUIT_LOST,		      /* the peer died without a word; reading: and all is read */
	CONDUIT_TIMEDOUT,  /* also what a call that must not wait returns instead of waiting */
	CONDUIT_CANCELLED, /* by conduit_cancel, or conduit_abort */
	CONDUIT_BROKEN,	   /* the peer wrote what cannot be into the shared memory; for ever */
	CONDUIT_ENDED,	   /* writing: this end said conduit_end before */
};

/* --- Making and freeing ------------------------------------------------------------------------ */

/*
 * The file, and two connected sockets, all closed on exec and the caller's.  Both directions have the same quota.
 * 0 or -errno, and then nothing is left: -EINVAL for a quota out of range, -EOPNOTSUPP where the CPU cannot do it, and
 * what shm_create says; a relay by sockets works instead.
 */
int conduit_create(enum ring_type type, uint64_t quota_bytes, int *ret_memory, int ret_sockets[2]);

/*
 * How large that file is, for a quota in its range.  conduit_create reserves the beginning of each ring (RING_FIRST_BYTES); whoever has the
 * file may take as much as this of the host's memory, with and without need, and no more, and it stays taken until nobody has
 * the file any more.
 */
uint64_t conduit_size(enum ring_type type, uint64_t quota_bytes);

/*
 * One end, from what was given for it; the two ends take different sides.  On success the descriptors belong to
 * the conduit, which keeps the socket only where the kernel allows that (5.14); on failure they stay the caller's.
 * -EPROTO: they are not what conduit_create makes of type and quota.
 */
int conduit_open(int memory, int socket, enum conduit_side side, enum ring_type type,
    uint64_t quota_bytes, struct conduit **ret);

/*
 * For whoever keeps the other side's share for somebody: whether an end that is gone left anything to read, and whether it said
 * that it closed; by a look into the file, which may lie.
 */
bool conduit_has_left(int memory, enum conduit_side side, bool *ret_closed);

/* Tells the peer, which can still read what is queued, and frees the end.  Accepts NULL, returns NULL. */
struct conduit *conduit_close(struct conduit *c);

/*
 * Frees the end without a word, for a process that has given it to another, as after fork().  The peer sees a
 * death when the last process that has the socket is gone.
 */
struct conduit *conduit_forget(struct conduit *c);

/* --- Telling the peer -------------------------------------------------------------------------- */

/* Writes no more: the peer reads what is queued, then CONDUIT_EOF.  Belongs to writing. */
void conduit_end(struct conduit *c);

/* Reads no more: the peer's writes return CONDUIT_PEERCLOSED.  Belongs to reading. */
void conduit_stop_reading(struct conduit *c);

/*
 * What is queued both ways is void, and operations of both ends, those under way too, return CONDUIT_DISCONNECTED.  For
 * any thread.
 */
void conduit_disconnect(struct conduit *c);

/* --- Reading ----------------------------------------------------------------------------------- */

/*
 * Takes what is there, at least one byte and up to `size`, across the boundaries of writes and messages.  An empty
 * message in front reads as 0 bytes and is gone.  size 0: waits until something is there, takes nothing.
 */
int conduit_read(struct conduit *c, void *buffer, size_t size, int64_t deadline, size_t *ret_size);

/*
 * MESSAGES: takes one message, or the rest of one.  *ret_more: the buffer was too short; the rest stays.
 * size 0: waits, takes nothing of a message that is not empty.
 */
int conduit_read_message(struct conduit *c, void *buffer, size_t size, int64_t deadline,
    size_t *ret_size, bool *ret_more);

/*
 * Copies without taking and without waiting; of messages the first one only.  *ret_total: unread bytes in all;
 * *ret_first: unread bytes of the first message (BYTES: as the total).  0 also when nothing is there; an end
 * that nothing can come to any more says why, as reading does.
 */
int conduit_peek(struct conduit *c, void *buffer, size_t size, size_t *ret_size,
    uint64_t *ret_total, uint64_t *ret_first);

/*
 * In place: waits for something, and shows it in one or two pieces (see ring_view); conduit_consume takes n bytes
 * of it: 0, CONDUIT_DISCONNECTED, _CANCELLED (by conduit_abort), _BROKEN.  The peer can change the bytes while one looks at
 * them.
 */
int conduit_view(struct conduit *c, int64_t deadline, struct iovec ret_pieces[2], size_t *ret_n);
int conduit_consume(struct conduit *c, size_t n);

/*
 * Waits until the peer has closed, disconnected or died, whatever is queued: CONDUIT_EOF, _DISCONNECTED, _LOST,
 * _BROKEN; _TIMEDOUT, _CANCELLED.  A reading operation.
 */
int conduit_wait_closed(struct conduit *c, int64_t deadline);

/* --- Writing ----------------------------------------------------------------------------------- */

/*
 * BYTES: puts all of it into the queue, waiting for room where there is none; *ret_size, also when it fails, is how
 * much of it the peer can read.  The quota is not looked at: see conduit_wait_quota.
 */
int conduit_write(struct conduit *c, const void *data, size_t size, int64_t deadline,
    size_t *ret_size);

/* MESSAGES: puts one message of n pieces into the queue, whole or not at all. */
int conduit_send(struct conduit *c, const struct iovec *pieces, size_t n, int64_t deadline);

/*
 * In place: room in one piece (see ring_reserve), and publishing n bytes of it, without waiting: 0, or why nobody would read
 * it, and then nothing is published.
 */
int conduit_reserve(struct conduit *c, size_t want, int64_t deadline, void **ret_data,
    size_t *ret_size);
int conduit_commit(struct conduit *c, size_t n);

/*
 * A write is complete when what is unread is not more than the quota: waits for that.  Where it did have to wait, it
 * may take some 0.3 ms longer, until half of the quota is free, because a ring that is kept full is slow.
 */
int conduit_wait_quota(struct conduit *c, int64_t deadline);

/* How many bytes could be written such that conduit_wait_quota would not wait. */
uint64_t conduit_room(struct conduit *c);

/* How many bytes this end wrote that the other has not read, as far as its words say. */
uint64_t conduit_unread(struct conduit *conduit);

/* Waits until the peer has read all that was written; it counts as done if the peer closed after it had. */
int conduit_flush(struct conduit *c, int64_t deadline);

/* --- From any thread --------------------------------------------------------------------------- */

/* Bits: which operations; and what conduit_arm looks for. */
enum conduit_interest {
	CONDUIT_READING = 1, /* something can be read, or nothing will be any more */
	CONDUIT_WRITING =
	    2 /* the peer read something since a writing operation (also conduit_wait_quota and
			      * conduit_flush) timed out, or they will fail */
};

/* The operations under way (CONDUIT_READING, CONDUIT_WRITING) return CONDUIT_CANCELLED; the end stays as it is. */
void conduit_cancel(struct conduit *c, unsigned which);

/* The same for all, now and later: for taking an end down. */
void conduit_abort(struct conduit *c);

/* --- In an event loop -------------------------------------------------------------------------- */

/*
 * The descriptor: becomes readable when what was armed may have happened, and hangs up when the peer died or
 * closed.  Only for poll() and its like.
 *
 * A round: conduit_answer takes the bells off the socket; operations with deadline 0 until they say CONDUIT_TIMEDOUT;
 * conduit_arm; if that returns 0, poll.
 */
int conduit_fd(const struct conduit *c);
void conduit_answer(struct conduit *c);

/*
 * Asks the peer to ring once when one of these comes true.  Returns those that are true already, for which it will not
 * ring; 0: all are armed.  Armed until it rang or an operation that waits took over.
 */
unsigned conduit_arm(struct conduit *c, unsigned interest);

/* --- Asking ------------------------------------------------------------------------------------ */

/* What the peer has come to: 0 (open, or only ended), CONDUIT_PEERCLOSED, _DISCONNECTED, _LOST, _BROKEN. */
int conduit_peer(struct conduit *c);

/* The same as far as it is known, without a system call: that it died shows as soon as somebody has looked or waited. */
int conduit_known_peer(struct conduit *c);

enum ring_type conduit_type(const struct conduit *c);

/*
 * Counters, for status: lies of the peer (0 or 1), sleeps, wake-ups given, and sleeps out of which nobody woke us
 * although there was something, which must not be.
 */
struct conduit_counters {
	uint64_t broken, sleeps, wakes, forgotten;
};
void conduit_count(const struct conduit *c, struct conduit_counters *ret);

#endif
