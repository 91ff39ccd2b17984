/* SPDX-License-Identifier: BSD-3-Clause */
/* frames_state.h - what frames.c, frames_in.c, frames_out.c and frames_later.c share. */
#ifndef CLIENT_FRAMES_STATE_H
#define CLIENT_FRAMES_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "client/frames.h"
#include "rpcgen-out/pipe.h"
#include "transport/socket.h"
#include "transport/spin.h"
#include "util/gather.h"
#include "util/list.h"

#define FRAME_HEAD_MAX 16 /* mark, kind, and a number of 4 or 8 bytes */
#define FRAMES_SCRATCH 65536

/* Bytes that came, in order. */
struct chunk {
	struct list link;
	size_t first, end; /* those still to be read */
	size_t capacity;
	unsigned char data[];
};

/* Of the messages to be read, in order: how long each is, of the first what is left of it. */
struct frames_ends {
	uint32_t *at; /* a ring; see frames_queue.c */
	size_t first, n, capacity;
};

/* Of the other end, as far as we know. */
enum frames_peer {
	PEER_OPEN,
	PEER_ENDED,  /* sends no more, but reads */
	PEER_CLOSED, /* neither */
	PEER_DISCONNECTED,
	PEER_LOST,
};

/*
 * Locks: send_lock is held while a frame is written, so that frames do not mix; it may wait for the socket, is taken before
 * `lock`, never after, and guards `rest`, `bytes` and `said`.  `lock` guards what says so; it is not held across a system call
 * that may wait.
 * What receives belongs to whoever set `receiving`.
 */
struct frames {
	struct carrier carrier;
	int fd;
	_Atomic int wake;	/* an eventfd that makes sleepers look up; -1: nobody ever slept */
	bool may_be_thrown_out; /* by DISCONNECT: a client's end of a named pipe */
	bool is_tcp;
	unsigned vanished_ms; /* without a sign of life while something is under way; of TCP */
	enum ipc9_pipe_type type;
	uint64_t quota, window;

	pthread_mutex_t send_lock;
	unsigned
	    said; /* 1 << kind of END, CLOSE, DISCONNECT: no data may follow; under send_lock */
	/* Frames that were kept, in pieces that end where a frame does; of the first one a part may have left. */
	struct gather rest;
	struct gather
	    bytes; /* of a byte pipe, behind these and in no frame yet; at most IPC9_BLOB_MAX */
	size_t kept_max;   /* of both together, but for what has left in part */
	_Atomic bool kept; /* there is something in one of the two; for a look from anywhere */
	_Atomic int64_t full_since; /* the socket takes nothing since then; 0: it does */
	_Atomic bool asked;	    /* frames_tell was called, and nobody has looked since */
	_Atomic bool
	    blocked; /* somebody could not wait for room in the socket; for a look from anywhere */
	_Atomic bool
	    awaits_room; /* events() was told that there is none in the socket; for a look from anywhere */

	struct frames_later
	    *later; /* its place in frames_later.c, whose lock guards this and the next two */
	bool is_left_alone;	/* what was kept the last time was not sent by the program */
	bool is_closing;	/* it gets no place any more but the one to close it */
	_Atomic bool has_place; /* whether there is one; for a look from anywhere */

	pthread_mutex_t lock; /* all down to n_active */
	pthread_cond_t changed;
	bool receiving;
	struct list chunks; /* to be read, and behind that of a message whose end has not come */
	struct frames_ends ends; /* of the messages to be read */
	uint64_t queued;	 /* bytes to be read */
	uint64_t arrived, consumed,
	    told; /* since the start: bytes that came, were read here, the last CONSUMED */
	uint64_t sent, taken; /* bytes of ours that left, and of those what was read over there */
	enum frames_peer peer;
	bool no_memory; /* LOST is what we made of it, having no memory for what came */
	bool ended;	/* we send no more */
	unsigned n_cancels;
	unsigned n_active; /* operations under way */
	unsigned
	    n_stale; /* of them, those that were under way when somebody cancelled, and have not ended */
	unsigned
	    words; /* 1 << kind of frames without payload that leave as soon as somebody can send them */
	uint64_t partial_bytes; /* of a message whose end has not come, as announced */
	bool woken;		/* `wake` is readable */
	unsigned armed; /* of carrier_events: `changed` is called when one of them may hold */

	/* The receiver's. */
	unsigned char head[FRAME_HEAD_MAX];
	size_t n_head,
	    head_size; /* bytes of it that came; how many it has, as far as that is known */
	uint32_t left, padding;	 /* of the DATA frame at hand */
	uint32_t last_len;	 /* of the last DATA frame: what the next ones are taken to be */
	struct chunk *chunk;	 /* where its payload goes; NULL: none made yet */
	_Atomic unsigned streak; /* receives of long frames in a row, while we send none */
	struct bulk bulk;
	struct spin spin;
	int64_t received_at; /* the last time when something came */
	bool rested;	     /* that was long after the time before */
	bool filled;	     /* and it filled all of its places: more may be there */
	unsigned char *scratch;
};

/* Where payload may go directly: the buffer of somebody who reads bytes and for whom nothing is queued. */
struct frames_direct {
	unsigned char *at;
	size_t room, n; /* n: bytes that went there */
};

/* --- frames.c ---------------------------------------------------------------------------------- */

/* With `lock` held: tells whoever waits for it that what has come makes a difference. */
void frames_changed(struct frames *frames);

/* --- frames_queue.c: what is to be read; with `lock` held ----------------------------------------- */

void frames_queue_init(struct frames *frames);
void frames_queue_clear(struct frames *frames);

/* Throws away what has come, after which nothing may come any more. */
void frames_drop(struct frames *frames);

/* A chunk of its own at the end; one for the next bytes, so many, of the frame at hand.  NULL: no memory. */
struct chunk *frames_chunk_add(struct frames *frames, size_t capacity);
struct chunk *frames_chunk_for(struct frames *frames, size_t size);

/* What has come since the last end is a message.  0 or -ENOMEM. */
int frames_queue_end_message(struct frames *frames);

/* Whether a read that asks for something need not wait. */
bool frames_is_readable(const struct frames *frames);

/* The message at the front or a part of it; whether it has more. */
bool frames_queue_take_message(struct frames *frames, unsigned char *buffer, size_t size,
    size_t *ret_size);
/* Bytes, whatever messages they are of; how many. */
size_t frames_queue_take(struct frames *frames, unsigned char *buffer, size_t size);
void frames_queue_peek(const struct frames *frames, unsigned char *buffer, size_t size,
    struct carrier_waiting *ret);

/* --- frames_in.c ------------------------------------------------------------------------------- */

void frames_in_init(struct frames *frames);
void frames_in_clear(struct frames *frames);

/* Takes in what is there without waiting, by whoever receives.  How many bytes, 1 also for the end; 0: nothing; -ENOMEM. */
int frames_receive(struct frames *frames, struct frames_direct *direct);

/*
 * With `lock` held, but for while it waits: until something has changed, as receiver if there is none, or the
 * deadline has come.  0, IPC9_E_TIMEDOUT, -errno.  cancels: n_cancels when the operation began; IPC9_E_CANCELLED.
 */
int frames_wait(struct frames *frames, struct frames_direct *direct, unsigned cancels,
    int64_t deadline);

/* With `lock` held: takes in all that has come by now, if nobody else does. */
void frames_drain(struct frames *frames);

/*
 * With `lock` held: before data is handed out looks whether it was thrown away meanwhile; `came`: it has come just now.  Not
 * at each read in the middle of a frame or of a stream, where that would cost more than it tells.
 */
void frames_catch_up(struct frames *frames, bool came);

/* Tells what was read if somebody may wait for that, as far as what has come shows; with `lock` held, but for meanwhile. */
void frames_tell_writer(struct frames *frames);

/* Whether long frames come one after the other, and none go the other way; that they are not any more. */
bool frames_is_stream(const struct frames *frames);
void frames_break_stream(struct frames *frames);

/* --- frames_out.c ------------------------------------------------------------------------------ */

/* When data for which there is no room in the socket is kept, which takes a copy; what has left in part is in any case. */
enum frames_keep {
	KEEP_AT_ONCE,
	KEEP_WHEN_STALLED, /* when the other end has read nothing for a while, and at the deadline if that is not 0 */
	KEEP_AT_LAST, /* at the deadline */
	KEEP_BEGUN,   /* never */
};

/* What is copied cheaply. */
#define FRAMES_SHORT 2048

/*
 * Sends a DATA frame, and MSG_END behind it if `message`.  0: it has left, or is kept and leaves before anything else;
 * IPC9_E_TIMEDOUT: nothing of it, by the deadline, and there is no room to keep it, or it is not to be; IPC9_E_LOST;
 * IPC9_E_CANCELLED; -errno.
 */
int frames_send_data(struct frames *frames, const void *data, size_t size, bool message,
    enum frames_keep keep, unsigned cancels, int64_t deadline);

/*
 * The same for several at once, which do not wait; see carrier.h.  *ret_n: how many of them count as sent, the rest have not
 * left; with 0 all of them do.
 */
int frames_send_together(struct frames *frames, const struct iovec *pieces, size_t n, bool message,
    size_t *ret_n);

/* END, CLOSE or DISCONNECT.  Waits for nobody: whoever sends at the moment sends it next, and what cannot leave leaves later. */
void frames_send_word(struct frames *frames, int kind);

/* Tells what was read, if it is time to, and sends the words that wait. */
void frames_tell(struct frames *frames);

/* Sends what is left to send, until the deadline; cancels as of frames_wait. */
int frames_finish(struct frames *frames, unsigned cancels, int64_t deadline);

/* The same without waiting: IPC9_E_TIMEDOUT if something is left, but 0 if the other end has read nothing for a while. */
int frames_settle(struct frames *frames, unsigned cancels);

/* Sends of that what leaves without waiting; for whoever is about to wait for something else.  False: somebody else is at it. */
bool frames_push(struct frames *frames);

/* Makes whoever sleeps look up, until the operations under way have ended; with `lock` held. */
void frames_wake(struct frames *frames);

/* --- frames_later.c ---------------------------------------------------------------------------- */

/* Something is kept: sees to it that it leaves, also without another call.  With send_lock held. */
void frames_send_later(struct frames *frames);

/* Sees to that no more, before the end is closed; waits until nobody is at it. */
void frames_forget(struct frames *frames);

/* Takes over an end that was forgotten and that nobody uses, until all has left; frees it then.  False: it cannot. */
bool frames_linger(struct frames *frames);

/* --- frames.c, for that ------------------------------------------------------------------------ */

/* One step of an end that nobody uses, without waiting: whether all has left.  *ret_more: something may come from the other end. */
bool frames_leave(struct frames *frames, bool *ret_more);
/* Of TCP: nothing has come for so long, not even a sign of life. */
bool frames_has_vanished(const struct frames *frames);
void frames_free(struct frames *frames);

#endif
