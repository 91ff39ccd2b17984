/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ipc9_pipe.h - named pipes; a part of ipc9.h, which includes it.
 */
#ifndef IPC9_PIPE_H
#define IPC9_PIPE_H

#include <sys/types.h>
#include <sys/uio.h>

#include "ipc9.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- Pipes ------------------------------------------------------------------------------------- */

/*
 * A server makes instances of a name on its host; each has two ends and serves one client at a time.  What a call comes to
 * depends on the state of the end (codes without IPC9_E_; "data/empty": whether there is still something to read):
 *
 *			listening	connected	closing		disconnected: server's, client's end
 *	read		LISTENING	0, or waits	0/EOF		NOTCONN		NOTCONN
 *	write		LISTENING	0, or waits	PEERCLOSED	NOTCONN		NOTCONN
 *	peek		BADSTATE	0		0/EOF		BADSTATE	NOTCONN
 *	reserve		LISTENING	0, or waits	PEERCLOSED	NOTCONN		NOTCONN
 *	view		LISTENING	0, or waits	0/EOF		NOTCONN		NOTCONN
 *	transact	BADSTATE	0, or waits	BADSTATE	BADSTATE	NOTCONN
 *	flush		0		waits		0		0		NOTCONN
 *	accept		waits		0		PEERCLOSED	listens again	INVALID
 *	disconnect	LISTENING	0		0		NOTCONN		INVALID
 *	mode, info	0		0		0		0		NOTCONN
 *
 * Closing: the other end was closed.  If it vanished without a word, LOST takes the place of EOF and PEERCLOSED.  A call that
 * waits when the other end is closed ends with EOF (or LOST), when the server disconnects the client with NOTCONN.  Clients'
 * ends accept and disconnect nothing: INVALID.
 */

struct ipc9_pipe;

enum ipc9_pipe_type {
	IPC9_PIPE_TYPE_BYTE = 0,
	IPC9_PIPE_TYPE_MESSAGE = 1,
};

enum ipc9_pipe_access {
	IPC9_PIPE_ACCESS_INBOUND = 1,  /* the client writes, the server reads */
	IPC9_PIPE_ACCESS_OUTBOUND = 2, /* the server writes, the client reads */
	IPC9_PIPE_ACCESS_DUPLEX = 3,
};

#define IPC9_PIPE_NO_LIMIT 255	      /* as max_instances */
#define IPC9_PIPE_DEFAULT_WAIT (-2)   /* as wait_ms of ipc9_pipe_wait and ipc9_pipe_call */
#define IPC9_PIPE_QUOTA_BYTES 4194304 /* the largest quota */
#define IPC9_PIPE_WAIT_MS 30000	      /* the largest default wait */

/*
 * How the data of a connection goes.  Which it is depends on where the two ends are, and on what both offer; what a call comes to
 * does not depend on it.
 */
enum ipc9_pipe_way {
	IPC9_PIPE_WAY_ANY = 0,
	IPC9_PIPE_BY_CALLS =
	    1, /* through the daemon of the serving host, which keeps what is unread */
	IPC9_PIPE_BY_SOCKET = 2, /* over a socket that the two processes share */
	IPC9_PIPE_BY_MEMORY = 3, /* through memory that they share; within a host only */
};

struct ipc9_pipe_options {
	enum ipc9_pipe_type type;     /* the first instance decides; ipc9_pipe_type tells */
	enum ipc9_pipe_access access; /* 0: duplex; must be the same for all instances */
	uint32_t max_instances; /* 1..254, or IPC9_PIPE_NO_LIMIT; 0 means 1; the first decides */
	uint32_t quota_bytes;	/* unread bytes a direction holds before writers wait; 0: 1 MiB */
	enum ipc9_pipe_way way; /* at most; 0: the fastest that there is */
	/*
	 * Who else may what, as of ipc9_acl_set; the first instance's count, those of others are ignored.
	 * NULL, or n_rules 0: only the owner may.  Borrowed until the call returns.
	 */
	const char *const *rules;
	size_t n_rules;
	bool first; /* make the name, or nothing: IPC9_E_EXISTS where one's own is there already */
	/*
	 * Only programs of this host may open it: others get IPC9_E_ACCESS before the server sees anything of them.  The first
	 * instance decides; IPC9_E_ACCESS if that one was made without.
	 */
	bool local_only;
	uint32_t default_wait_ms; /* IPC9_PIPE_DEFAULT_WAIT of clients; 0: 50; the first decides */
};

/*
 * Creates one instance of a pipe on this host; clients can connect from then on, also before
 * ipc9_pipe_accept.  options: NULL means a byte pipe, duplex, one instance.  IPC9_E_BUSY: all instances are
 * there; IPC9_E_ACCESS: the name is another user's, or reserved for others, or its instances have another direction;
 * IPC9_E_INVALID: an option is out of its range, a rule is none, or the pipe is there with other rules than these (NULL:
 * whichever it has), and nothing was created.
 */
IPC9_PUBLIC int ipc9_pipe_create(struct ipc9 *ipc9, const char *name,
    const struct ipc9_pipe_options *options, struct ipc9_pipe **ret_pipe,
    struct ipc9_error *ret_error);

/*
 * Waits for a client.  0 also when it was there already (ipc9_pipe_was_connected tells), and when it is gone again but has
 * left something to read.  On an instance that was disconnected: listens again, behind all others of the name; before that
 * nobody can open it.  ret_client may be NULL.  IPC9_E_TIMEDOUT, and it goes on listening, also where the
 * daemon was too slow to say: whom its late answer brings is the next call's client; IPC9_E_PEERCLOSED,
 * IPC9_E_LOST: a client came and went, and ipc9_pipe_disconnect makes room for the next.  One whose data does not go by
 * calls, and that went before without having written anything, holds the instance only from the next call on it on: until
 * then others may open it.
 *
 * IPC9_E_LOST also when the daemon was: then the next call makes the instance again, as it was made, with whatever daemon
 * answers by then, and fails as ipc9_pipe_create where that fails.
 */
IPC9_PUBLIC int ipc9_pipe_accept(struct ipc9_pipe *pipe, int wait_ms,
    struct ipc9_identity *ret_client, struct ipc9_error *ret_error);

/* Whether the client that was accepted last had been there before the call. */
IPC9_PUBLIC bool ipc9_pipe_was_connected(const struct ipc9_pipe *pipe);

/*
 * Connects to the instance of //HOST/pipe/NAME that has been listening longest, whether or not its server accepts already.
 * IPC9_E_NOENT; IPC9_E_BUSY: no instance is free (ipc9_pipe_wait); IPC9_E_ACCESS; IPC9_E_QUOTA.
 */
IPC9_PUBLIC int ipc9_pipe_open(struct ipc9 *ipc9, const char *name, struct ipc9_pipe **ret_pipe,
    struct ipc9_error *ret_error);

/* All zero is what ipc9_pipe_open does. */
struct ipc9_pipe_open_options {
	/*
	 * Who has to serve the pipe: "uid:N", the uid that the pipe's daemon was told by its kernel.  Anybody else, or
	 * somebody unknown: IPC9_E_ACCESS, and no data was sent or can be received.  NULL: whoever it is.  Another text
	 * is IPC9_E_INVALID.  It is as good as the daemon that tells it: on this host the kernel vouches for
	 * that one; over TCP whoever has the host's port can tell what they like (docs/security.md).
	 */
	const char *server;
	unsigned mode;		/* IPC9_PIPE_MODE_..., as of ipc9_pipe_set_mode */
	enum ipc9_pipe_way way; /* at most; 0: the fastest there is */
};

/* The same with options, which are borrowed until the call returns; NULL is fine. */
IPC9_PUBLIC int ipc9_pipe_open_with(struct ipc9 *ipc9, const char *name,
    const struct ipc9_pipe_open_options *options, struct ipc9_pipe **ret_pipe,
    struct ipc9_error *ret_error);

/*
 * Waits until an instance of a name is free: wait_ms, IPC9_FOREVER, or IPC9_PIPE_DEFAULT_WAIT for as long as its server
 * said.  0 reserves nothing: to open it may still be IPC9_E_BUSY.  IPC9_E_NOENT, at once, when it has no instance at all;
 * IPC9_E_TIMEDOUT; IPC9_E_ACCESS.
 */
IPC9_PUBLIC int ipc9_pipe_wait(struct ipc9 *ipc9, const char *name, int wait_ms,
    struct ipc9_error *ret_error);

/*
 * Opens a message pipe, waiting for a free instance if needed, writes one message, reads one, and closes: all of it within
 * wait_ms (with IPC9_PIPE_DEFAULT_WAIT: each wait for an instance as long as its server said, and the reply without limit).
 * *ret_more: the reply was longer than the buffer, and the rest is lost.  IPC9_E_INVALID: it is a byte pipe; IPC9_E_TIMEDOUT: if
 * the request was written, which the sentence says, it may have been read, and its reply is lost.
 */
IPC9_PUBLIC int ipc9_pipe_call(struct ipc9 *ipc9, const char *name, const void *request,
    size_t request_bytes, void *buffer, size_t size_bytes, int wait_ms, size_t *ret_size_bytes,
    bool *ret_more, struct ipc9_error *ret_error);

/* The pipe's type, and who serves it (for the server: who the client is, once accepted); with the pid on one host. */
IPC9_PUBLIC enum ipc9_pipe_type ipc9_pipe_type(const struct ipc9_pipe *pipe);
IPC9_PUBLIC const struct ipc9_identity *ipc9_pipe_peer(const struct ipc9_pipe *pipe);

enum ipc9_pipe_mode {
	/*
	 * Messages are read one at a time: by ipc9_pipe_start_read, and as ipc9_pipe_transact needs it.  Of the functions that
	 * read at once each says by its name what it reads.  Clients begin without it, servers of a message pipe with it.
	 */
	IPC9_PIPE_MODE_MESSAGES = 1,
	/*
	 * Nothing waits, whatever wait_ms says: to read an empty pipe is IPC9_E_WOULDBLOCK, to accept without a client
	 * IPC9_E_LISTENING; a write that does not fit the quota writes nothing and returns 0 (of bytes: what reads that
	 * wait at the other end ask for), as *ret_written tells; an empty message without room is IPC9_E_QUOTA.
	 */
	IPC9_PIPE_MODE_NO_WAIT = 2,
};

/*
 * Sets the modes of this end, IPC9_PIPE_MODE_... together; asks the daemon for the state of the end.  IPC9_E_INVALID:
 * messages on a byte pipe, or a mode that there is not; IPC9_E_NOTCONN: the server disconnected this client.
 */
IPC9_PUBLIC int ipc9_pipe_set_mode(struct ipc9_pipe *pipe, unsigned mode,
    struct ipc9_error *ret_error);

enum ipc9_pipe_end_state {
	IPC9_PIPE_STATE_LISTENING = 1, /* a server's end: no client yet */
	IPC9_PIPE_STATE_CONNECTED = 2,
	IPC9_PIPE_STATE_CLOSING = 3, /* the other end is closed; what it sent can still be read */
	IPC9_PIPE_STATE_LOST = 4,    /* the same, but it vanished without a word */
	IPC9_PIPE_STATE_DISCONNECTED = 5, /* a server's end, after ipc9_pipe_disconnect */
};

struct ipc9_pipe_end_info {
	enum ipc9_pipe_end_state state;
	bool server;		/* it is the server's end */
	enum ipc9_pipe_way way; /* 0 without a client */
	enum ipc9_pipe_type type;
	enum ipc9_pipe_access access; /* of the pipe */
	unsigned mode;		      /* IPC9_PIPE_MODE_... of this end */
	/* Of the name; 0 once the server's end is gone. */
	uint32_t instances, max_instances, default_wait_ms;
	bool local_only;
	uint32_t quota_bytes;	   /* of each direction */
	uint64_t unread_bytes;	   /* that this end has not read yet */
	uint64_t sent_bytes;	   /* that the other end has not read yet */
	struct ipc9_identity peer; /* who the other end is, or was; all zero without one */
};

/* Tells about an end and its pipe.  IPC9_E_NOTCONN: the server disconnected this client. */
IPC9_PUBLIC int ipc9_pipe_info_of(struct ipc9_pipe *pipe, struct ipc9_pipe_end_info *ret_info,
    struct ipc9_error *ret_error);

/*
 * Reads bytes: waits until something is there, returns what is there, at most size_bytes, across the
 * boundaries of writes; on a message pipe a zero-length message in front reads as 0 bytes.  size_bytes 0 waits in
 * the same way and takes nothing.  IPC9_E_EOF, IPC9_E_LOST, IPC9_E_TIMEDOUT, IPC9_E_LISTENING (no client
 * yet), IPC9_E_NOTCONN, IPC9_E_CANCELLED.
 */
IPC9_PUBLIC int ipc9_pipe_read(struct ipc9_pipe *pipe, void *buffer, size_t size_bytes, int wait_ms,
    size_t *ret_size_bytes, struct ipc9_error *ret_error);

/*
 * Reads one message, zero bytes long or more.  When *ret_more is true the message goes on, and the next
 * call returns more of it.  On a byte pipe IPC9_E_BADSTATE.
 */
IPC9_PUBLIC int ipc9_pipe_read_message(struct ipc9_pipe *pipe, void *buffer, size_t size_bytes,
    int wait_ms, size_t *ret_size_bytes, bool *ret_more, struct ipc9_error *ret_error);

struct ipc9_pipe_peeked {
	bool waiting;	      /* there is something, be it a zero-length message */
	size_t size_bytes;    /* copied */
	uint64_t total_bytes; /* that wait to be read */
	size_t left_bytes;    /* of the first message, behind what was copied; 0 on a byte pipe */
};

/*
 * Copies what could be read and leaves it there: of a message pipe the first message alone, whatever the mode.  Never waits
 * for data, and a short buffer is no failure.  buffer may be NULL with size_bytes 0.  IPC9_E_EOF, IPC9_E_LOST: nothing is
 * left; IPC9_E_BADSTATE: no client is there.
 */
IPC9_PUBLIC int ipc9_pipe_peek(struct ipc9_pipe *pipe, void *buffer, size_t size_bytes,
    struct ipc9_pipe_peeked *ret_peeked, struct ipc9_error *ret_error);

/*
 * Writes all of it and returns when what the other end has not read fits the quota; the other end can read it at once.  On
 * a message pipe one call is one message of at most IPC9_MESSAGE_BYTES, longer than the quota or not, and a zero-length
 * one does not wait.  On a byte pipe no bytes are no effect.
 *
 * ret_written may be NULL; it is set in every case, to how much the other end has read or can read: less than all of it
 * with an error, and with IPC9_E_TIMEDOUT what was written in wait_ms.  A message is written whole or not at all.  wait_ms 0
 * writes what fits the quota now.  What was written arrives without another call here, as long as this process lives.
 *
 * Messages take memory beside their bytes.  16384 that are unread find room beside what the quota says, however short they
 * are, by every way.  With more of them there may be no room for one, and then it is as if it did not fit the quota: it waits,
 * also an empty one, or is not written.  Of an empty one that is not to wait, IPC9_E_QUOTA says so; by calls
 * IPC9_E_QUOTA also refuses one that waits where far more than that is unread.
 *
 * IPC9_E_PEERCLOSED, IPC9_E_LOST, IPC9_E_NOTCONN, IPC9_E_LISTENING; IPC9_E_EOF: the other end was closed while this
 * waited; IPC9_E_CANCELLED: what was not read was taken back, where the daemon has it (enum ipc9_pipe_way); IPC9_E_TOOBIG: nothing was sent; IPC9_E_BADSTATE: after
 * ipc9_pipe_end.
 */
IPC9_PUBLIC int ipc9_pipe_write(struct ipc9_pipe *pipe, const void *data, size_t size_bytes,
    int wait_ms, size_t *ret_written_bytes, struct ipc9_error *ret_error);

/*
 * Writes a message, whatever the quota, and reads one into buffer.  Either end of a duplex message pipe may begin one, with
 * IPC9_PIPE_MODE_MESSAGES; otherwise, or without another end, IPC9_E_BADSTATE.  *ret_more: the reply goes on, and
 * ipc9_pipe_read_message reads the rest.
 *
 * IPC9_E_BUSY: something waits to be read before, and nothing was written; IPC9_E_TIMEDOUT, IPC9_E_CANCELLED: the request
 * was written, and the reply can still be read when it comes; IPC9_E_EOF, IPC9_E_NOTCONN: the request was written, and no
 * reply will come; IPC9_E_UNKNOWN: the connection or the other end was lost, and the request may have been read or not.  It
 * is never sent twice.
 */
IPC9_PUBLIC int ipc9_pipe_transact(struct ipc9_pipe *pipe, const void *request,
    size_t request_bytes, void *buffer, size_t size_bytes, int wait_ms, size_t *ret_size_bytes,
    bool *ret_more, struct ipc9_error *ret_error);

/* Waits until the other end has read everything that this one wrote.  IPC9_E_EOF: it was closed before that. */
IPC9_PUBLIC int ipc9_pipe_flush(struct ipc9_pipe *pipe, int wait_ms, struct ipc9_error *ret_error);

/*
 * Throws the client out, and with it what either end has not read: its calls end with IPC9_E_NOTCONN from then on.  So the
 * clean end of a session is ipc9_pipe_flush, ipc9_pipe_disconnect, and ipc9_pipe_accept for the next client or
 * ipc9_pipe_close.  IPC9_E_LISTENING; IPC9_E_NOTCONN: it is disconnected; IPC9_E_INVALID: a client's end.
 */
IPC9_PUBLIC int ipc9_pipe_disconnect(struct ipc9_pipe *pipe, struct ipc9_error *ret_error);

/* Says that this end writes no more; the other end reads EOF and may go on writing. */
IPC9_PUBLIC int ipc9_pipe_end(struct ipc9_pipe *pipe, struct ipc9_error *ret_error);

/* Waits until the other end is closed altogether: 0 when it closed, IPC9_E_LOST, IPC9_E_NOTCONN, IPC9_E_TIMEDOUT. */
IPC9_PUBLIC int ipc9_pipe_wait_closed(struct ipc9_pipe *pipe, int wait_ms,
    struct ipc9_error *ret_error);

/*
 * Makes calls that other threads have under way on this pipe, and operations that were started on it, end with
 * IPC9_E_CANCELLED, unless it is too late; the end stays usable.  May be called by any thread.
 */
IPC9_PUBLIC void ipc9_pipe_cancel(struct ipc9_pipe *pipe);

/*
 * Makes calls that other threads have under way on this pipe return (IPC9_E_LOST), and all later ones.  For
 * use before ipc9_pipe_close when another thread still works on the pipe.
 */
IPC9_PUBLIC void ipc9_pipe_abort(struct ipc9_pipe *pipe);

/* Closes this end; what was written stays readable at the other.  Started operations are freed.  NULL is fine; returns NULL. */
IPC9_PUBLIC struct ipc9_pipe *ipc9_pipe_close(struct ipc9_pipe *pipe);

/* --- Pipes in place ---------------------------------------------------------------------------- */

/*
 * To write and to read without copying: a writer reserves room, fills it in and commits it; a reader views what has come,
 * and consumes it.  Where the two ends share memory (IPC9_PIPE_BY_MEMORY) it is that memory which one fills in and looks
 * at.  By other ways the library has a buffer of its own, so that programs are the same everywhere; there it is one copy
 * more, and by calls a view goes over the connection twice.
 *
 * One thing at a time is reserved on an end, and one is viewed; it begins with ipc9_pipe_reserve or ipc9_pipe_view, and the
 * data stays where it is until that which ends it, whatever becomes of the pipe: cancel, abort, disconnect and the other
 * end's end take nothing away, and commit or consume then says what has happened.  Only ipc9_pipe_close does.  In between
 * what would write (or read) otherwise is IPC9_E_BADSTATE: write and start_write while something is reserved, read,
 * read_message and start_read while something is viewed, transact and start_transact with either; so is to reserve or view
 * while operations of that direction that were started are not done.  Everything else may be called.  Reserving and viewing
 * are independent, one thread may do the one and another the other.
 *
 * What lies in shared memory is the other end's as well, which may belong to somebody else and can change every byte at any
 * time:
 * - a reader reads a value that decides something (a length, a type, an offset) once into a variable, checks that, and uses
 *   that; what was checked in place may be something else when it is looked at again.  Where everything has to hold
 *   together, ipc9_pipe_read copies first.
 * - a writer does not read back what it wrote, and puts nothing there that it may not send: what was given up, or lies
 *   behind what was committed, can be seen too.
 */

/*
 * Gives room for writing in place: on a message pipe for a message of up to size_bytes, which may be none; on a byte pipe
 * for 1 to size_bytes bytes, in one piece, which may be less than would fit.  *ret_data and *ret_room_bytes (on a message
 * pipe size_bytes) are set on success; the memory is not cleared.
 *
 * Waits until what was written before fits the quota, as ipc9_pipe_write does afterwards; so a write in place may exceed
 * the quota as any other, and it is the next one that waits for that.  wait_ms 0, or IPC9_PIPE_MODE_NO_WAIT: gives only
 * what fits the quota now, else IPC9_E_TIMEDOUT or IPC9_E_WOULDBLOCK.  An empty message does not wait.
 *
 * Errors as of ipc9_pipe_write (IPC9_E_EOF: the other end was closed while this waited), and IPC9_E_BADSTATE: something is
 * reserved already; IPC9_E_INVALID: 0 bytes of a byte pipe.  Nothing is reserved then.
 */
IPC9_PUBLIC int ipc9_pipe_reserve(struct ipc9_pipe *pipe, size_t size_bytes, int wait_ms,
    void **ret_data, size_t *ret_room_bytes, struct ipc9_error *ret_error);

/*
 * Writes the first size_bytes of what is reserved, as one message on a message pipe, and the room is the caller's no more.
 * The other end can read it at once.  On a byte pipe no bytes are no effect.
 *
 * In shared memory this does not wait.  By other ways it waits until all of it has left, never for the quota:
 * IPC9_E_TIMEDOUT, IPC9_E_WOULDBLOCK (IPC9_PIPE_MODE_NO_WAIT), IPC9_E_CANCELLED: nothing has been written, and it stays
 * reserved, to be committed later or given up.  With any other error nothing is reserved any more: IPC9_E_PEERCLOSED,
 * IPC9_E_EOF, IPC9_E_LOST, IPC9_E_QUOTA, IPC9_E_NOTCONN (the server has disconnected the client that it was reserved for),
 * IPC9_E_BADSTATE after ipc9_pipe_end.  IPC9_E_BADSTATE also: nothing is reserved; IPC9_E_INVALID: so much was not reserved,
 * and everything stays as it is.
 */
IPC9_PUBLIC int ipc9_pipe_commit(struct ipc9_pipe *pipe, size_t size_bytes, int wait_ms,
    struct ipc9_error *ret_error);

/* Gives up what is reserved, if something is: nothing of it is written. */
IPC9_PUBLIC void ipc9_pipe_unreserve(struct ipc9_pipe *pipe);

/*
 * Waits until something is there to be read, and shows it without taking it: of a message pipe the first message, or what
 * is left of it, whole (zero bytes of an empty one), whatever the mode; of a byte pipe at least one byte and what lies in
 * one piece with it, which may be less than is there.  *ret_data and *ret_size_bytes are set on success.  To see on a byte
 * pipe what lies behind, consume first.
 *
 * Errors as of ipc9_pipe_read, and IPC9_E_BADSTATE: something is viewed already.  Nothing is viewed then.
 */
IPC9_PUBLIC int ipc9_pipe_view(struct ipc9_pipe *pipe, int wait_ms, const void **ret_data,
    size_t *ret_size_bytes, struct ipc9_error *ret_error);

/*
 * Takes the first size_bytes of what is viewed as read, and ends the view; the rest can be viewed, or read, again.  0 takes
 * nothing, but of an empty message that.  Does not wait for the other end.  What is not consumed counts as unread: a writer
 * that waits for the quota goes on the sooner, the smaller the parts are.
 *
 * IPC9_E_NOTCONN: the server has disconnected, and what was viewed is void; IPC9_E_LOST: aborted here, or, by calls, the
 * daemon was lost.  By calls alone a writer that cancels or vanishes may take back what is viewed: IPC9_E_CANCELLED, it was
 * not read; or IPC9_E_LOST, and the pipe is given up, if something else has come in its place.  The view ends with all of
 * these.  IPC9_E_BADSTATE: nothing is viewed; IPC9_E_INVALID: so much was not shown, and everything stays as it is.
 */
IPC9_PUBLIC int ipc9_pipe_consume(struct ipc9_pipe *pipe, size_t size_bytes,
    struct ipc9_error *ret_error);

/* --- Pipes in an event loop -------------------------------------------------------------------- */

/*
 * An operation that was started is finished later by ipc9_pipe_finish, which is to be called when ipc9_pipe_fd says so, and
 * until it tells what the operation came to.  Several may be under way on an end; reads are done in the order in which they
 * were started, and so are writes.  Buffers and data stay the caller's and must stay in place until then.
 *
 * Starting and finishing on one end, and ipc9_pipe_fd, are for one thread at a time; meanwhile one other thread may read in the
 * ordinary way, if no reads are started, and one may write, if no writes are, or disconnect; any may cancel all
 * (ipc9_pipe_cancel).  What was started before ipc9_pipe_disconnect ends with IPC9_E_NOTCONN, and is to be finished all the same.
 * The mode of the end is the one at the start; IPC9_PIPE_MODE_NO_WAIT means nothing here.
 */
struct ipc9_pipe_op;

/*
 * A descriptor to poll: readable when ipc9_pipe_finish of an operation has something to do or to tell, also where that came of
 * another thread's doing; not while nothing is started.  It stays the same, and belongs to the end.  -errno.
 */
IPC9_PUBLIC int ipc9_pipe_fd(struct ipc9_pipe *pipe);

/*
 * They start what the function of the same name does, and do not wait for anything.  0: it is under way, or done, and
 * *ret_op is to be finished, which also tells what is wrong with it; otherwise, as IPC9_E_TOOBIG, IPC9_E_INVALID or -ENOMEM,
 * nothing was started.  To wait for data and take none, read no bytes.  A write over a socket is done when it has left, or when
 * the other end has read nothing for some 10 ms and it fits the quota, which ipc9_pipe_finish finds out.
 */
IPC9_PUBLIC int ipc9_pipe_start_read(struct ipc9_pipe *pipe, void *buffer, size_t size_bytes,
    struct ipc9_pipe_op **ret_op, struct ipc9_error *ret_error);
IPC9_PUBLIC int ipc9_pipe_start_write(struct ipc9_pipe *pipe, const void *data, size_t size_bytes,
    struct ipc9_pipe_op **ret_op, struct ipc9_error *ret_error);
/*
 * n writes, each an operation of its own, in this order: ret_ops[i] is that of data[i].  What fits the quota leaves together:
 * between hosts up to 64 writes of 512 KiB in all by one system call.  Otherwise as n calls of ipc9_pipe_start_write, but that
 * all are started or, with a code, none.  The array data itself is not needed any more.
 */
IPC9_PUBLIC int ipc9_pipe_start_writes(struct ipc9_pipe *pipe, const struct iovec *data, size_t n,
    struct ipc9_pipe_op **ret_ops, struct ipc9_error *ret_error);
IPC9_PUBLIC int ipc9_pipe_start_accept(struct ipc9_pipe *pipe, struct ipc9_pipe_op **ret_op,
    struct ipc9_error *ret_error);
IPC9_PUBLIC int ipc9_pipe_start_transact(struct ipc9_pipe *pipe, const void *request,
    size_t request_bytes, void *buffer, size_t size_bytes, struct ipc9_pipe_op **ret_op,
    struct ipc9_error *ret_error);

struct ipc9_pipe_result {
	size_t size_bytes;	     /* read; of a write: written, with an error too */
	bool more;		     /* of a message: it goes on */
	bool connected;		     /* accept: the client had been there before */
	struct ipc9_identity client; /* accept */
};

/*
 * Waits for an operation to be done, and for 0 ms only looks.  IPC9_E_PENDING (wait_ms 0) or IPC9_E_TIMEDOUT: it is still
 * under way, and to be finished later; anything else is what it came to, and it is freed.  ret_result may be NULL.
 */
IPC9_PUBLIC int ipc9_pipe_finish(struct ipc9_pipe_op *op, int wait_ms,
    struct ipc9_pipe_result *ret_result, struct ipc9_error *ret_error);

/* Makes an operation end soon with IPC9_E_CANCELLED, if it is not too late; it is to be finished all the same. */
IPC9_PUBLIC void ipc9_pipe_op_cancel(struct ipc9_pipe_op *op);

/* --- Telling about pipes ----------------------------------------------------------------------- */

struct ipc9_pipe_info {
	const char *name;
	struct ipc9_identity owner;
	enum ipc9_pipe_type type;
	enum ipc9_pipe_access access;
	uint32_t instances, max_instances, listening;
	uint32_t default_wait_ms;
	bool local_only;
};

struct ipc9_pipe_listing {
	size_t n_pipes;
	struct ipc9_pipe_info *pipes; /* sorted by name */
};

/* Tells about the pipes of a host that the caller may open: host is //HOST or NULL. */
IPC9_PUBLIC int ipc9_pipe_list(struct ipc9 *ipc9, const char *host,
    struct ipc9_pipe_listing **ret_listing, struct ipc9_error *ret_error);
/* Tells about one of them (a listing of one).  IPC9_E_NOENT: also if the caller may not open it. */
IPC9_PUBLIC int ipc9_pipe_info(struct ipc9 *ipc9, const char *name,
    struct ipc9_pipe_listing **ret_listing, struct ipc9_error *ret_error);
IPC9_PUBLIC struct ipc9_pipe_listing *ipc9_pipe_listing_free(struct ipc9_pipe_listing *listing);

/* --- Unnamed pipes ----------------------------------------------------------------------------- */

/*
 * A pair of ends without a name, for related processes of one host; no daemon has a part in it.  A loose end is one that no
 * process uses yet: its descriptors, which are closed on exec, and what it is.  It becomes usable by ipc9_pipe_adopt, in this
 * process, in a child after fork(), or wherever it was sent with SCM_RIGHTS; every process that has it beside closes it
 * (ipc9_pipe_loose_close), since the other end sees this one's death when nobody has it any more.
 *
 * An adopted end does what ends of named pipes do, in the states connected and closing; there is nobody to accept or to
 * disconnect (IPC9_E_INVALID).  ipc9_pipe_peer is whoever made the pair.
 */
struct ipc9_pipe_loose {
	int fds[2]; /* a socket, and memory that is shared; -1: none */
	enum ipc9_pipe_type type;
	enum ipc9_pipe_access access; /* of the pair: the first end is its server */
	enum ipc9_pipe_way way;	      /* IPC9_PIPE_BY_MEMORY or IPC9_PIPE_BY_SOCKET */
	uint32_t quota_bytes;
	bool second; /* of the two */
};

/* All zero is a duplex pair of bytes. */
struct ipc9_pipe_pair_options {
	enum ipc9_pipe_type type;
	enum ipc9_pipe_access
	    access;		/* 0: duplex; inbound: the first end reads; outbound: it writes */
	uint32_t quota_bytes;	/* of each direction, told as it was given; 0: 1 MiB */
	enum ipc9_pipe_way way; /* at most; 0: memory where there is such, else a socket */
};

/*
 * Makes two loose ends, both the caller's.  options may be NULL.  IPC9_E_INVALID: an option is out of its range, or the way
 * is by calls; -EMFILE, -ENOMEM and others of the kernel's.
 */
IPC9_PUBLIC int ipc9_pipe_pair(const struct ipc9_pipe_pair_options *options,
    struct ipc9_pipe_loose ret_ends[2], struct ipc9_error *ret_error);

/*
 * Makes a loose end this process's, which then has no descriptors any more; otherwise it stays as it is.  An end is good for
 * one process at one time: it is adopted once.  IPC9_E_MISMATCH: its descriptors are not what it says.
 */
IPC9_PUBLIC int ipc9_pipe_adopt(struct ipc9 *ipc9, struct ipc9_pipe_loose *loose,
    struct ipc9_pipe **ret_pipe, struct ipc9_error *ret_error);

/* Closes its descriptors, if it has some, and those alone.  NULL is fine. */
IPC9_PUBLIC void ipc9_pipe_loose_close(struct ipc9_pipe_loose *loose);

/* --- Children ---------------------------------------------------------------------------------- */

/* A program that was started.  Any thread may use it, but one at a time reads a stream and one writes. */
struct ipc9_child;

/* Its standard streams; their numbers are 0, 1 and 2. */
enum ipc9_child_stream {
	IPC9_CHILD_STDIN = 1,
	IPC9_CHILD_STDOUT = 2,
	IPC9_CHILD_STDERR = 4,
};

struct ipc9_spawn_options {
	const char *program; /* its path; NULL: argv[0], looked for in PATH unless it has a '/' */
	unsigned
	    streams; /* those that are pipe(7)s to this process; the others are this process's own */
	uint32_t stream_bytes; /* a hint how much each of them holds; 0: what the system gives */
	const char *const *environment; /* "NAME=VALUE", ends with NULL; NULL: as here */
	const char *folder;		/* to run it in; NULL: this one */
	const void *signal_mask; /* a sigset_t: of the signals that it gets blocked; NULL: none */
	bool group; /* a process group of its own, and ipc9_child_kill is for all of it */
	bool
	    keep_descriptors; /* it also gets those of this process that are not closed on exec; else 0 to 2 only */
	/*
	 * Beside its standard streams the program is offered an unnamed pipe of this kind, which is in shared memory unless said
	 * otherwise; NULL: none.  ipc9_child_pipe tells whether it is a program that takes it; any other one notices nothing.
	 */
	const struct ipc9_pipe_pair_options *pipe;
};

/*
 * Starts a program on this host; does not wait for anything but its start.  options, borrowed, may be NULL: standard input and
 * output are pipes then.  It gets SIGPIPE with the default action.  IPC9_E_NOENT: there is no such program, or folder, or
 * a script's interpreter is missing, as the sentence says;
 * IPC9_E_ACCESS: it may not be run; IPC9_E_TOOBIG: arguments and environment are; IPC9_E_BADNAME: argv[0] is a name of
 * another host's, where nothing is started (a named pipe reaches what runs there); IPC9_E_INVALID; IPC9_E_UNKNOWN:
 * it has ended at once, and this process lets nobody know of its children (SIGCHLD ignored).
 */
IPC9_PUBLIC int ipc9_spawn(const char *const *argv, const struct ipc9_spawn_options *options,
    struct ipc9_child **ret_child, struct ipc9_error *ret_error);

IPC9_PUBLIC pid_t ipc9_child_pid(const struct ipc9_child *child);

/*
 * Our end of a stream, to poll(2), to read or to write; it does not block, and is the child's.  -1: it is no pipe, or was closed
 * or taken.  Writing to it yourself raises SIGPIPE when the program has closed its end; ipc9_child_write does not.
 */
IPC9_PUBLIC int ipc9_child_fd(const struct ipc9_child *child, enum ipc9_child_stream stream);
/* The same, and from now on it is the caller's and blocks. */
IPC9_PUBLIC int ipc9_child_take_fd(struct ipc9_child *child, enum ipc9_child_stream stream);

/*
 * Reads from standard output or error: waits until something is there, and returns what is there, at most size_bytes.
 * IPC9_E_EOF: nobody has the other end any more, and all is read; IPC9_E_TIMEDOUT; IPC9_E_INVALID: it is no pipe to read.
 */
IPC9_PUBLIC int ipc9_child_read(struct ipc9_child *child, enum ipc9_child_stream stream,
    void *buffer, size_t size_bytes, int wait_ms, size_t *ret_size_bytes,
    struct ipc9_error *ret_error);

/* How much can be read from it at once.  IPC9_E_INVALID as above; a stream that has ended has 0. */
IPC9_PUBLIC int ipc9_child_peek(struct ipc9_child *child, enum ipc9_child_stream stream,
    size_t *ret_total_bytes, struct ipc9_error *ret_error);

/*
 * Writes all of it to standard input, waiting where it is full.  *ret_written_bytes, which may be NULL, is set in every case.
 * IPC9_E_PEERCLOSED: nobody has the other end any more, and no signal is raised; IPC9_E_TIMEDOUT; IPC9_E_INVALID.
 */
IPC9_PUBLIC int ipc9_child_write(struct ipc9_child *child, const void *data, size_t size_bytes,
    int wait_ms, size_t *ret_written_bytes, struct ipc9_error *ret_error);

/* Closes our end of a stream: the program reads its standard input to the end, or cannot write any more. */
IPC9_PUBLIC void ipc9_child_end(struct ipc9_child *child, enum ipc9_child_stream stream);

/*
 * Waits until the program has taken the pipe that it was offered (ipc9_pipe_inherit), or another one that it has started has:
 * the first that asks and still waits.  *ret_pipe is the first of its ends then, of which the other is that program's alone.
 * Otherwise the offer is withdrawn, and a program that comes to it later keeps to its standard streams: IPC9_E_TIMEDOUT;
 * IPC9_E_PEERCLOSED: all that had the offer have ended or waited no longer; IPC9_E_MISMATCH: something else was written to
 * its descriptor.  IPC9_E_NOENT: there is no offer, or no longer.
 */
IPC9_PUBLIC int ipc9_child_pipe(struct ipc9_child *child, struct ipc9 *ipc9, int wait_ms,
    struct ipc9_pipe **ret_pipe, struct ipc9_error *ret_error);

/*
 * In the program: takes the pipe that it was offered in the environment variable IPC9_PIPE, and waits until whoever offered it
 * has agreed.  A process comes to an offer once.  IPC9_E_NOENT: there is none, or it was withdrawn, or another program has got it:
 * standard streams are what there is; IPC9_E_TIMEDOUT: nobody has agreed, and nobody will: another program may still take it;
 * IPC9_E_MISMATCH: the variable is not as ipc9_spawn writes it, and what it names is left as it is.
 */
IPC9_PUBLIC int ipc9_pipe_inherit(struct ipc9 *ipc9, int wait_ms, struct ipc9_pipe **ret_pipe,
    struct ipc9_error *ret_error);

/* Readable once the program has ended; the child's. */
IPC9_PUBLIC int ipc9_child_ended_fd(const struct ipc9_child *child);

/*
 * Waits until the program has ended; *ret_status is as of waitpid(2), and the same each time.  IPC9_E_TIMEDOUT: it runs;
 * IPC9_E_UNKNOWN: something else in this process has taken its status (waitpid(-1), SIGCHLD ignored).
 */
IPC9_PUBLIC int ipc9_child_wait(struct ipc9_child *child, int wait_ms, int *ret_status,
    struct ipc9_error *ret_error);

/*
 * Sends a signal; never to a process that has got its number since.  IPC9_E_NOENT: ipc9_child_wait has said that it ended;
 * IPC9_E_INVALID: there is no such signal.
 */
IPC9_PUBLIC int ipc9_child_kill(struct ipc9_child *child, int signal_number,
    struct ipc9_error *ret_error);

/*
 * Closes the streams that were not taken, and forgets the program: it is not ended by that, and one that was not waited for is
 * left to this process's own waitpid(2).  NULL is fine; returns NULL.
 */
IPC9_PUBLIC struct ipc9_child *ipc9_child_free(struct ipc9_child *child);

#ifdef __cplusplus
}
#endif

#endif
