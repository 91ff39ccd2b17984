/* SPDX-License-Identifier: BSD-3-Clause */
/* frames_state.h - what frames.c, frames_in.c and frames_out.c share. */
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
	bool ends_message;
	unsigned char data[];
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
 * `lock`, never after, and guards `rest` and `said`.  `lock` guards what says so; it is not held across a system call that may wait.
 * What receives belongs to whoever set `receiving`.
 */
struct frames {
	struct carrier carrier;
	int fd;
	_Atomic int wake; /* an eventfd that makes sleepers look up; -1: nobody ever slept */
	bool server;	  /* the server's end, which alone disconnects */
	bool is_tcp;
	unsigned vanished_ms; /* without a sign of life while something is under way; of TCP */
	enum ipc9_pipe_type type;
	uint64_t quota, window;

	pthread_mutex_t send_lock;
	struct gather rest; /* of frames that left in part */
	unsigned
	    said; /* 1 << kind of END, CLOSE, DISCONNECT: no data may follow; under send_lock */
	_Atomic bool asked; /* frames_tell was called, and nobody has looked since */
	_Atomic bool
	    blocked; /* somebody could not wait for room in the socket; for a look from anywhere */

	pthread_mutex_t lock; /* all down to n_active */
	pthread_cond_t changed;
	bool receiving;
	struct list chunks;  /* to be read */
	struct list partial; /* of a message whose end has not come */
	uint64_t queued;     /* bytes in chunks */
	size_t n_chunks;     /* of those */
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
	uint64_t partial_bytes; /* in partial */
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
	unsigned char *scratch;
};

/* Where payload may go directly: the buffer of somebody who reads bytes and for whom nothing is queued. */
struct frames_direct {
	unsigned char *at;
	size_t room, n; /* n: bytes that went there */
};

/* With `lock` held: tells whoever waits for it that what has come makes a difference. */
void frames_changed(struct frames *frames);

/* --- frames_in.c ------------------------------------------------------------------------------- */

void frames_in_init(struct frames *frames);
void frames_in_clear(struct frames *frames);

/* Takes in what is there without waiting, by whoever receives.  1; 0: nothing; or the peer's state changed for good. */
int frames_receive(struct frames *frames, struct frames_direct *direct);

/*
 * With `lock` held, but for while it waits: until something has changed, as receiver if there is none, or the
 * deadline has come.  0, IPC9_E_TIMEDOUT, -errno.  cancels: n_cancels when the operation began; IPC9_E_CANCELLED.
 */
int frames_wait(struct frames *frames, struct frames_direct *direct, unsigned cancels,
    int64_t deadline);

/* With `lock` held: takes in all that has come, if nobody else does. */
void frames_drain(struct frames *frames);

/* The same, once. */
void frames_look(struct frames *frames);

/* Whether so many small messages wait to be read that what else has come stays in the socket; with `lock` held. */
bool frames_is_full(const struct frames *frames);

/* Whether long frames come one after the other, and none go the other way; that they are not any more. */
bool frames_is_stream(const struct frames *frames);
void frames_break_stream(struct frames *frames);

/* Throws away what has come; with `lock` held. */
void frames_drop(struct frames *frames);

/* --- frames_out.c ------------------------------------------------------------------------------ */

/*
 * Sends a frame of a kind with a payload, and MSG_END behind it if `message`.  What could not leave by the deadline leaves
 * before anything else.  0: it counts as sent; IPC9_E_TIMEDOUT: nothing of it; IPC9_E_LOST; IPC9_E_CANCELLED; -errno.
 */
int frames_send_data(struct frames *frames, const void *data, size_t size, bool message,
    unsigned cancels, int64_t deadline);

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

/* Sends of that what leaves without waiting; for whoever is about to wait for something else. */
void frames_push(struct frames *frames);

/* Makes whoever sleeps look up, until the operations under way have ended; with `lock` held. */
void frames_wake(struct frames *frames);

#endif
