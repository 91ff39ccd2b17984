/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * carrier.h - what carries the data of a pipe once the daemon has left the path: frames on a socket (frames.h), or rings
 * in memory that both processes share.  The states and rules of a pipe's end, which the daemon keeps in the ordinary-call
 * mode, are kept here then.
 *
 * Every operation returns 0, a positive ipc9 code without a sentence, or -errno of our own.  One thread may be reading and
 * one writing at a time; cancel and abort are for any thread.
 */
#ifndef CLIENT_CARRIER_H
#define CLIENT_CARRIER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "client/ipc9.h"

#define CARRIER_MESSAGES 16384u /* that may be unread, whatever their lengths */
#define CARRIER_TOGETHER 64
#define CARRIER_TOGETHER_BYTES (512u << 10)

struct carrier;

/* What has come and was not read. */
struct carrier_waiting {
	size_t copied;	     /* bytes now in the buffer, still to be read */
	uint64_t total;	     /* bytes in all */
	size_t message_left; /* of the first message, beyond what was copied; 0 on a byte pipe */
	bool message;	     /* there is one, be it empty */
};

/* What holds of an end. */
enum carrier_events {
	CARRIER_READABLE = 1, /* a read would not wait */
	CARRIER_WRITABLE = 2, /* a small write would not wait */
	CARRIER_CLOSED = 4,   /* the other end is closed, or gone */
};

/* How much of a write is taken. */
enum carrier_write {
	CARRIER_WHOLE,	 /* all of it; waits until what is unread fits the quota */
	CARRIER_QUEUED,	 /* all of it; does not wait for the quota */
	CARRIER_FITTING, /* all of it if it fits the quota now, else nothing */
	CARRIER_PART,	 /* of a byte pipe what fits now */
};

struct carrier_ops {
	const char *name; /* as users see it */

	/*
	 * As soon as anything is there; `message`: one message or the beginning of it, the rest of which stays.  EOF, LOST,
	 * NOTCONN, TIMEDOUT, CANCELLED.
	 */
	int (*read)(struct carrier *carrier, void *buffer, size_t size, bool message,
	    int64_t deadline, size_t *ret_size, bool *ret_more);
	/*
	 * *ret_written is set in every case: how many bytes can be read over there, be they read or not, without another call
	 * here.  Of a message all or none; of an empty one TIMEDOUT and CANCELLED mean that it was not taken.  CARRIER_MESSAGES
	 * of them have room beside what the quota says; with more there may be none, which is as if they did not fit it.  A
	 * deadline of 0 with CARRIER_WHOLE or _QUEUED: the caller comes again with what was not written, and what was
	 * stays in place.
	 *
	 * PEERCLOSED; EOF: the same, while it waited; BADSTATE: after end; LOST, NOTCONN, TIMEDOUT, CANCELLED.  With
	 * CARRIER_FITTING and _PART where nothing was taken WOULDBLOCK, and of an empty message QUOTA.
	 */
	int (*write)(struct carrier *carrier, const void *data, size_t size, enum carrier_write how,
	    int64_t deadline, size_t *ret_written);
	/*
	 * The first of n pieces, as far as they fit the quota now and leave without waiting, each a write of its own; together.
	 * *ret_n, in every case: how many were taken, whole.  n is at most CARRIER_TOGETHER, all of them CARRIER_TOGETHER_BYTES.
	 * NULL: there is nothing to gain.  As write.
	 */
	int (*write_together)(struct carrier *carrier, const struct iovec *pieces, size_t n,
	    size_t *ret_n);
	/* Never waits.  EOF, LOST, NOTCONN. */
	int (*peek)(struct carrier *carrier, void *buffer, size_t size,
	    struct carrier_waiting *ret);
	/* Until the other end has read all that was written.  PEERCLOSED: it will not; NOTCONN, TIMEDOUT, CANCELLED. */
	int (*flush)(struct carrier *carrier, int64_t deadline);
	/* Until what was written has left this end, as far as it needs that; and, for `quota`, what is unread fits that. */
	int (*room)(struct carrier *carrier, bool quota, int64_t deadline);

	/*
	 * In place, in memory that stays until `close`; NULL: there is no such memory.
	 *
	 * reserve: room for a message of size bytes, or for 1 to size bytes of a byte pipe, when what is unread fits the quota;
	 * an empty message does not wait.  fitting: only as much as fits the quota now, else TIMEDOUT.  Codes of write.
	 * commit: the other end can read size bytes of it.  Codes of write; does not wait.
	 * view: the rest of a message, or what lies in one piece.  Codes of read.
	 * consume: size bytes of it were read; of an empty message 0.  NOTCONN, LOST.
	 */
	int (*reserve)(struct carrier *carrier, size_t size, bool fitting, int64_t deadline,
	    void **ret_data, size_t *ret_size);
	int (*commit)(struct carrier *carrier, size_t size);
	int (*view)(struct carrier *carrier, int64_t deadline, const void **ret_data,
	    size_t *ret_size);
	int (*consume)(struct carrier *carrier, size_t size);

	/* This end writes no more. */
	int (*end)(struct carrier *carrier);
	/* Until the other end is closed: 0, LOST, NOTCONN, TIMEDOUT, CANCELLED. */
	int (*wait_closed)(struct carrier *carrier, int64_t deadline);

	/*
	 * What may hold, of carrier_events: after an operation that was not to wait and has come to TIMEDOUT, what it waits for
	 * may hold only if something has changed.  When none of `wanted` may, fd becomes readable as soon as that is different;
	 * or `changed` is called, once, where another thread has taken from fd what has made it different.  wanted 0: forgets
	 * what was asked for, and tells nothing.
	 */
	unsigned (*events)(struct carrier *carrier, unsigned wanted);
	/* *ret_poll: what to wait for on it, POLLIN and POLLOUT. */
	int (*fd)(const struct carrier *carrier, short *ret_poll);

	/* What the other end has come to: 0 (open, or only ended), PEERCLOSED, NOTCONN, LOST. */
	int (*peer)(struct carrier *carrier);
	/* Bytes that were written and are unread over there, as far as is known. */
	uint64_t (*unread)(struct carrier *carrier);

	/* What is queued either way is void; all operations of both ends, also those under way, return NOTCONN. */
	void (*disconnect)(struct carrier *carrier);
	/* Operations under way return CANCELLED. */
	void (*cancel)(struct carrier *carrier);
	/* All of them, now and later, return LOST. */
	void (*abort)(struct carrier *carrier);
	/*
	 * Closes this end, of which what was written stays readable over there, and frees it; no operation may be under way.
	 * May wait until the deadline for that to leave.
	 */
	void (*close)(struct carrier *carrier, int64_t deadline);
};

/* Carriers begin with it. */
struct carrier {
	const struct carrier_ops *ops;
	/* See events; called with locks of the carrier's held.  NULL: nobody asks. */
	void (*changed)(void *context);
	void *context;
	_Atomic unsigned
	    holds; /* the pipe's, and one for each place in its memory: pipe_stream.c */
};

#endif
