/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe.h - a pipe's end, and the ways in which one can be connected.
 *
 * What programs call is in pipe.c, pipe_start.c and pipe_list.c: they check arguments, keep the modes, and go through the
 * table of the end's way.  pipe_place.c does the same for what is used in place.  A way moves the data and keeps the state
 * table of ipc9.h.  Ordinary calls of pipe.x are in pipe_calls.c and pipe_calls_start.c; every end begins with them, since
 * CREATE, OPEN and ACCEPT are calls, and a server's end comes back to them when its client was disconnected.  Carriers
 * (carrier.h) are in pipe_stream.c and pipe_stream_start.c.
 */
#ifndef CLIENT_PIPE_H
#define CLIENT_PIPE_H

#include <pthread.h>

#include "client/carrier.h"
#include "client/link.h"
#include "rpcgen-out/pipe.h"
#include "util/list.h"

struct calls_accept;
struct calls_started;
struct pipe_way;

/*
 * What a program has in place, in one direction.  It belongs to the thread that reads, or writes; others look at `held` and
 * count `started`.
 */
struct pipe_place {
	_Atomic bool held; /* something is reserved, or viewed */
	_Atomic unsigned
	    started;	  /* operations that were started in this direction and are not done */
	unsigned session; /* of the pipe, in which it was begun */
	struct carrier *carrier; /* in whose memory it lies; NULL: in the buffer */
	size_t size;
	unsigned char *buffer; /* capacity bytes, and as much again to take them into; or NULL */
	size_t capacity;
};

/*
 * One end.  Its connection is its own and is never replaced, so the end lives as long as that; calls on it are
 * made by a reading and a writing thread, which share nothing else here.
 */
struct ipc9_pipe {
	struct link link;
	const struct pipe_way *_Atomic way;
	ipc9_handle handle;
	enum ipc9_pipe_type type;
	uint32_t quota_bytes;
	unsigned mode;
	bool server;
	struct ipc9_pipe_options made; /* a server's end: how, with its own rules */
	bool lost;		       /* and its daemon was lost, as the program has been told */
	/*
	 * Taking a client that nobody has accepted goes under `taking`; an accept that waits holds it only to say that it does
	 * (`accepting`), and then it is the one that gets the client.
	 */
	pthread_mutex_t taking;
	_Atomic bool accepting;
	_Atomic bool connected;	   /* there is, or was, another end; the writing thread looks */
	bool was_connected;	   /* of the last accept */
	struct ipc9_identity peer; /* all zero: not known */

	_Atomic unsigned cancels; /* ipc9_pipe_cancel was called so often */
	_Atomic bool ended;	  /* ipc9_pipe_end was called, for the other end at hand */

	struct pipe_place reserved, viewed; /* pipe_place.c */
	_Atomic unsigned sessions; /* goes up when the client, or the whole instance, is another */

	/* Operations that were started: pipe_start.c. */
	struct list ops; /* in the order started; also those that are done */
	unsigned n_done; /* of them */
	int done_fd;	 /* readable while n_done > 0; -1 until somebody asks */
	bool armed;	 /* the carrier was asked to tell */
	/* Carriers that disconnect has taken away; with the last of them what was started before has ended. */
	_Atomic unsigned drops;
	pthread_mutex_t watching; /* the last of all locks; guards all down to wake_fd */
	unsigned n_waiting;  /* operations that are not done; the starting thread's to change */
	int epoll_fd;	     /* -1 until somebody asks; likewise */
	int way_fd;	     /* the way's that is in it; -1: none */
	uint32_t way_events; /* of that */
	_Atomic bool woken;  /* something has changed for them; a look is for anybody */
	int wake_fd;	     /* readable while woken; -1: nobody ever slept */

	/* Of an end that the daemon has brought together with another: pipe_stream.c. */
	struct carrier *_Atomic carrier; /* NULL: there is none, and calls are the way */
	_Atomic unsigned users;		 /* of the carrier, at the moment */
	enum ipc9_pipe_way most;	 /* that the program wants */
	enum ipc9_pipe_way carried;	 /* how it goes */
	bool once;			 /* it is closed behind its transaction: ipc9_pipe_call */
	bool reads, writes;		 /* what this end may */
	bool peer_writes;		 /* and whether the other may */
	enum ipc9_pipe_access
	    pair;   /* of an unnamed pipe, of which no daemon knows; 0: it is none */
	bool first; /* end of such a pair */

	/* Of ordinary calls: pipe_calls.c. */
	pthread_mutex_t sending;       /* a call leaves before a CANCEL, or not at all */
	struct calls_started *started; /* NULL until something is */
	struct calls_accept *
	    asked; /* an ACCEPT that was not answered in time, and may bring the client yet; NULL: none */
};

#define PIPE_LOST "data may be missing"
#define CALLS_PIECE 262144 /* bytes of a WRITE to a byte pipe */

/* --- What a way is asked to do ----------------------------------------------------------------- */

struct pipe_reading {
	bool message;
	void *buffer;
	size_t size;
	size_t n;  /* out */
	bool more; /* out */
};

struct pipe_writing {
	const unsigned char *data;
	size_t size; /* of a message pipe: at most IPC9_MESSAGE_BYTES */
	bool
	    fitting; /* do not wait: what fits now, all or nothing, and as IPC9_PIPE_MODE_NO_WAIT says */
	bool part; /* with fitting, on a byte pipe: whatever there is room for */
	bool
	    queued; /* do not wait for the quota, only until it has left; of a byte pipe at most CALLS_PIECE bytes */
	size_t n; /* out, in every case: what the other end has read or will */
};

struct pipe_transacting {
	const void *request;
	size_t request_size;
	struct pipe_reading reply;
};

enum pipe_op_kind {
	PIPE_OP_READ,
	PIPE_OP_WRITE,
	PIPE_OP_ACCEPT,
	PIPE_OP_TRANSACT,
};

/* A started operation.  The way fills in what it comes to, and calls pipe_op_done. */
struct ipc9_pipe_op {
	struct list link; /* in the pipe's */
	struct ipc9_pipe *pipe;
	enum pipe_op_kind kind;
	struct pipe_reading reading; /* also a transaction's reply */
	struct pipe_writing writing; /* also a transaction's request */
	bool connected;		     /* accept */
	struct ipc9_identity client; /* accept */
	unsigned cancels, drops;     /* the pipe's when it was started */
	bool cancel;		     /* ipc9_pipe_op_cancel was called */
	bool asked;		     /* and the daemon was asked to */
	bool done;
	int code;
	struct ipc9_error error;

	/* Of ordinary calls: pipe_calls_start.c. */
	struct list parts; /* calls under way for it */
	size_t sent;	   /* bytes of `writing` that have left in them */
	bool all_sent;	   /* of a transaction: the request has left */
	bool full;	   /* the quota was exceeded to the end of a WRITE's wait */
	bool written;	   /* a transaction whose request was taken: the reply is to be read */
};

/*
 * Each returns 0, or a code with a sentence in e.  `until` is when to stop waiting (util/clock.h), IPC9_E_TIMEDOUT.  Those that
 * wait end with IPC9_E_CANCELLED when cancel was called after they began.
 */
struct pipe_way {
	/* A client came: peer and was_connected are set.  Servers only; NULL: never asked. */
	int (*accept)(struct ipc9_pipe *pipe, int64_t until, struct ipc9_error *e);
	int (*read)(struct ipc9_pipe *pipe, struct pipe_reading *reading, int64_t until,
	    struct ipc9_error *e);
	int (*peek)(struct ipc9_pipe *pipe, void *buffer, size_t size, struct ipc9_pipe_peeked *ret,
	    struct ipc9_error *e);
	int (*write)(struct ipc9_pipe *pipe, struct pipe_writing *writing, int64_t until,
	    struct ipc9_error *e);
	/* Until what was written before fits the quota, *ret_unread bytes at most; else as write. */
	int (*room)(struct ipc9_pipe *pipe, int64_t until, uint64_t *ret_unread,
	    struct ipc9_error *e);
	int (*transact)(struct ipc9_pipe *pipe, struct pipe_transacting *transacting, int64_t until,
	    struct ipc9_error *e);
	int (*flush)(struct ipc9_pipe *pipe, int64_t until, struct ipc9_error *e);
	int (*disconnect)(struct ipc9_pipe *pipe, struct ipc9_error *e);
	int (*end)(struct ipc9_pipe *pipe, struct ipc9_error *e);
	int (*wait_closed)(struct ipc9_pipe *pipe, int64_t until, struct ipc9_error *e);
	/* All but mode. */
	int (*info)(struct ipc9_pipe *pipe, struct ipc9_pipe_end_info *ret, struct ipc9_error *e);

	/* From any thread. */
	void (*cancel)(struct ipc9_pipe *pipe);
	void (*abort)(struct ipc9_pipe *pipe);

	/* Begins what an operation, the last of the pipe's list, is for; it may be done on return. */
	void (*start)(struct ipc9_pipe_op *op);
	/* Goes on with what was started, waiting until then at most for something to happen. */
	void (*progress)(struct ipc9_pipe *pipe, int64_t until);
	/* Makes an operation that is not done end soon. */
	void (*op_cancel)(struct ipc9_pipe_op *op);
	/* A descriptor that is readable when progress has something to do; the way's.  -errno. */
	int (*fd)(struct ipc9_pipe *pipe);

	/* Says that this end is closed, and lets go of what the way has; then the operations are freed. */
	void (*close)(struct ipc9_pipe *pipe);
};

/* When a call's wait is over; a mode that does not wait is stronger.  0, or IPC9_E_INVALID with a sentence. */
int pipe_wait_until(const struct ipc9_pipe *pipe, int wait_ms, int64_t *ret_until,
    struct ipc9_error *e);
/* What a wait that was over at once is called where nothing waits. */
int pipe_without_wait(const struct ipc9_pipe *pipe, int code, int instead, struct ipc9_error *e);

/* The sentence for an end that may not do that; IPC9_E_ACCESS. */
int pipe_refuse_direction(const struct ipc9_pipe *pipe, struct ipc9_error *e);

/* Whether nothing is in place, so that somebody may write, or read, otherwise: 0, or IPC9_E_BADSTATE. */
int pipe_check_unreserved(const struct ipc9_pipe *pipe, struct ipc9_error *e);
int pipe_check_unviewed(const struct ipc9_pipe *pipe, struct ipc9_error *e);
/* An operation that was started, or is done now. */
void pipe_place_started(struct ipc9_pipe *pipe, enum pipe_op_kind kind);
void pipe_place_done(struct ipc9_pipe *pipe, enum pipe_op_kind kind);
/* For ipc9_pipe_close, before the way's. */
void pipe_places_free(struct ipc9_pipe *pipe);

/* Notes what an operation came to; error.text is there already unless code is 0. */
void pipe_op_done(struct ipc9_pipe_op *op, int code);

/* Ends all operations and their descriptors, for ipc9_pipe_close. */
void pipe_ops_free(struct ipc9_pipe *pipe);

/*
 * From any thread: something has changed that what was started may wait for, and may be seen now.  The descriptor says so, and
 * whoever sleeps on pipe_wake_fd looks up; pipe_look_up, which comes before a look at the operations, ends that.
 */
void pipe_wake(struct ipc9_pipe *pipe);
void pipe_look_up(struct ipc9_pipe *pipe);
/* -1: there is none to be had. */
int pipe_wake_fd(struct ipc9_pipe *pipe);

/* Whether the carrier that an operation was started on is gone. */
bool pipe_op_is_dropped(const struct ipc9_pipe_op *op);

/* The next operation of a list, NULL at its end. */
struct ipc9_pipe_op *pipe_op_next(struct ipc9_pipe *pipe, const struct ipc9_pipe_op *op);

/* Whether a message may be that long, IPC9_E_TOOBIG; and whether this end's mode allows a transaction, IPC9_E_BADSTATE. */
int pipe_check_message(const struct ipc9_pipe *pipe, size_t size, struct ipc9_error *e);
int pipe_check_transaction(const struct ipc9_pipe *pipe, size_t request_size, struct ipc9_error *e);

/* Before an operation of a server's end: takes a client that nobody has accepted yet, if it came with a carrier. */
void pipe_take_client(struct ipc9_pipe *pipe);

/* Fills in what the name's listing tells, for a client that its daemon does not know any more.  0 also if the name is gone. */
int pipe_tell_name(struct ipc9_pipe *pipe, struct ipc9_pipe_end_info *info);

/* "SUBJECT: cancelled"; returns IPC9_E_CANCELLED. */
int pipe_cancelled(const struct ipc9_pipe *pipe, struct ipc9_error *e);

/* From any thread: the way has got another descriptor, or waits for something else on it: EPOLLIN, ...; -1: for nothing. */
void pipe_watch(struct ipc9_pipe *pipe, int fd, uint32_t events);

/* An end that has nothing yet, to be freed by pipe_free.  NULL: no memory. */
struct ipc9_pipe *pipe_alloc(struct ipc9 *ipc9, const struct target *target);
struct ipc9_pipe *pipe_free(struct ipc9_pipe *pipe);

/* --- Carriers ---------------------------------------------------------------------------------- */

extern const struct pipe_way pipe_stream_way;

/*
 * Goes over to a carrier of the way that the daemon said (IPC9_PIPE_WAY_...), made from fds, which are taken in every case.  0,
 * or a code with a sentence, and then the end is good for nothing.
 */
int pipe_carry(struct ipc9_pipe *pipe, int way, struct descriptors *fds, struct ipc9_error *e);

/* Takes back, of what was written, what nobody can read any more, if that is what the code says: the end of the other end. */
void stream_count_read(const struct ipc9_pipe *pipe, struct carrier *c, int code, size_t *written);

/* Of a client that came with a carrier: whether it is there, or has left something to read.  0, PEERCLOSED, LOST. */
int stream_greet(struct ipc9_pipe *pipe, struct ipc9_error *e);

/* The same with one that has been made. */
void pipe_use_carrier(struct ipc9_pipe *pipe, struct carrier *carrier, enum ipc9_pipe_way way);

/* What pipe_stream.c and pipe_stream_start.c share. */

/* The carrier, which stays until stream_leave; NULL: it is gone, and calls are the way. */
struct carrier *stream_enter(struct ipc9_pipe *pipe);
void stream_leave(struct ipc9_pipe *pipe);
/* The memory of one that was entered stays, whatever becomes of it, until it is let go. */
void stream_hold(struct carrier *carrier);
void stream_let_go(struct carrier *carrier);

/* Whether a transaction can begin: 0, or a code. */
int stream_check_transaction(struct ipc9_pipe *pipe, struct carrier *carrier);
/* One read; *reading->n is set. */
int stream_read_some(struct ipc9_pipe *pipe, struct carrier *carrier, struct pipe_reading *reading,
    int64_t until);
/* The sentence for a code of a carrier; instead of its own, where instead is not NULL. */
int stream_explain(const struct ipc9_pipe *pipe, int code, const char *instead,
    struct ipc9_error *e);

void stream_start(struct ipc9_pipe_op *op);
void stream_progress(struct ipc9_pipe *pipe, int64_t until);
void stream_op_cancel(struct ipc9_pipe_op *op);
int stream_fd(struct ipc9_pipe *pipe);

/* --- Unnamed pipes ----------------------------------------------------------------------------- */

/* What is wrong with a kind of pair, or NULL; and whether a descriptor can be a pair's socket. */
const char *pipe_pair_wrong(enum ipc9_pipe_type type, enum ipc9_pipe_access access,
    enum ipc9_pipe_way way, uint32_t quota_bytes);
bool pipe_pair_is_socket(int fd);

/*
 * An offer is a pair of which the second end goes to a program that comes for it: one that has inherited the other side of the
 * offer's socket, from whoever was started or through any number of programs in between, and a text that tells what and where
 * it is (PIPE_OFFER_VARIABLE).  pipe_offer.c says how it is taken, and why by one only.
 */
#define PIPE_OFFER_VARIABLE "IPC9_PIPE"
#define PIPE_OFFER_SIZE 128

struct pipe_offer {
	int fd; /* -1: there is none, or no longer */
	struct ipc9_pipe_loose ends[2];
};
#define PIPE_OFFER_NONE                                                                            \
	{                                                                                          \
		-1,                                                                                \
		{                                                                                  \
			{ .fds = { -1, -1 } },                                                     \
			{                                                                          \
				.fds = { -1, -1 }                                                  \
			}                                                                          \
		}                                                                                  \
	}

/* *ret_fd: the other side of its socket, the caller's and closed on exec.  0, or a code with a sentence, as ipc9_pipe_pair. */
int pipe_offer_make(const struct ipc9_pipe_pair_options *options, struct pipe_offer *ret,
    int *ret_fd, struct ipc9_error *e);
/* The text, for processes that have that other side by this number.  0 or -errno. */
int pipe_offer_text(const struct pipe_offer *offer, int fd, int number, char text[PIPE_OFFER_SIZE]);
/*
 * Waits until a program takes it, which has the second end then, and nobody else has: 0, PEERCLOSED, TIMEDOUT, MISMATCH or -errno,
 * without a sentence.
 */
int pipe_offer_agree(struct pipe_offer *offer, int64_t until);
/* Withdraws it, or what is left of it. */
void pipe_offer_close(struct pipe_offer *offer);

/* --- Ordinary calls ---------------------------------------------------------------------------- */

extern const struct pipe_way pipe_calls_way;

/* What the two files of that way share. */
extern const struct link_procedure calls_read_procedure, calls_write_procedure,
    calls_accept_procedure, calls_transact_procedure, calls_flush_procedure, calls_poll_procedure;

/* Takes a client that has come, without waiting: 0, IPC9_E_TIMEDOUT, or another code with a sentence. */
int calls_accept_now(struct ipc9_pipe *pipe, struct ipc9_error *e);

/* Lets go of an ACCEPT under way, and of what it brought; before the connection goes. */
void calls_accept_free(struct ipc9_pipe *pipe);

/* Asks the daemon to end calls of this end: all of them, or one. */
void calls_cancel(struct ipc9_pipe *pipe, bool all, uint32_t xid);
/* What a READ or TRANSACT brought, into reading; frees results.  0, or IPC9_E_MISMATCH. */
int calls_take_read(const struct ipc9_pipe *pipe, struct pipe_reading *reading,
    ipc9_pipe_read_res *results, struct ipc9_error *e);
/* After a transaction's request has left: what its end was then. */
int calls_explain_transaction(const struct ipc9_pipe *pipe, int code, struct ipc9_error *e);
/* There is a hole in what the other end got, and it must not take it for the whole.  Returns IPC9_E_LOST. */
int calls_give_up(struct ipc9_pipe *pipe, struct ipc9_error *e);

void calls_start(struct ipc9_pipe_op *op);
void calls_progress(struct ipc9_pipe *pipe, int64_t until);
void calls_op_cancel(struct ipc9_pipe_op *op);
int calls_fd(struct ipc9_pipe *pipe);
void calls_started_free(struct ipc9_pipe *pipe);

#endif
