/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ipc9.h - interprocess communication for a network of hosts.
 *
 * Everything starts from a context (ipc9_new).  Objects are named //HOST/mechanism/NAME:
 *
 *	//./pipe/NAME		this host
 *	//HOST/pipe/NAME	another host, by name or address ([...] around IPv6); //HOST:PORT/ for a
 *				daemon that is not on port 20490
 *	//@/mailslot/NAME	every host of our domain; //@DOMAIN/ of another (broadcasts only)
 *
 * or \\HOST\pipe\NAME; a plain NAME where the call already says which mechanism means //./.
 *
 * Results.  Functions return 0, a positive enum ipc9_code for what the contract foresees, or a negative
 * errno for trouble inside this process.  Where a struct ipc9_error is passed it receives one sentence for a
 * person: what was tried where, why it failed, what to try.  Outputs named ret_ are written on success only.
 *
 * Waiting.  A call to a daemon is limited by the context's timeout_ms in all: name look-up, connecting,
 * asking.  Calls with a wait_ms of their own wait that long in addition (IPC9_FOREVER: without end).
 *
 * Threads.  Different contexts share nothing.  A context may be used by several threads.  An object made
 * from it (copy, paste, mailslot, pipe) belongs to one thread at a time, but for a pipe: one thread may read
 * it and poll it while another writes and ends it.  Free objects before their context.
 *
 * The library prints nothing (libtirpc below it does when memory ends: "xdr_array: out of memory"), never exits, installs no signal handler, and raises no SIGPIPE.  After fork
 * the child uses none of the parent's objects.
 */
#ifndef IPC9_H
#define IPC9_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define IPC9_PUBLIC __attribute__((visibility("default")))
#else
#define IPC9_PUBLIC
#endif

/* --- Results ----------------------------------------------------------------------------------- */

/* What a call may answer beside 0.  The numbers are the protocol's (idl/common.x), and stay. */
enum ipc9_code {
	IPC9_OK = 0,
	IPC9_E_NOENT = 1,	 /* no object of that name */
	IPC9_E_BADNAME = 2,	 /* the name does not have the required form */
	IPC9_E_ACCESS = 3,	 /* refused by an access list, a direction or a flag */
	IPC9_E_EXISTS = 4,	 /* an object of that name exists already */
	IPC9_E_BUSY = 5,	 /* the pipe exists, but no instance is free */
	IPC9_E_LISTENING = 6,	 /* the instance exists, but no client came yet */
	IPC9_E_NOTCONN = 7,	 /* the server disconnected this client, or is disconnected */
	IPC9_E_PEERCLOSED = 8,	 /* the other end was closed: what is written would not be read */
	IPC9_E_EOF = 9,		 /* the other end finished, and everything it sent has been read */
	IPC9_E_LOST = 10,	 /* the other end vanished without closing: data may be missing */
	IPC9_E_BADSTATE = 11,	 /* this end's state or mode does not allow the call */
	IPC9_E_TOOSMALL = 12,	 /* the message does not fit the buffer, and stays */
	IPC9_E_TIMEDOUT = 13,	 /* nothing came within the time asked for */
	IPC9_E_TOOBIG = 14,	 /* over a limit; nothing was sent */
	IPC9_E_UNKNOWN = 15,	 /* connection lost after the request left: it may have been done */
	IPC9_E_CHANGED = 16,	 /* the board changed while it was read */
	IPC9_E_NOFORMAT = 17,	 /* the board holds no such format */
	IPC9_E_EMPTY = 18,	 /* the board is empty */
	IPC9_E_QUOTA = 19,	 /* a budget over there is used up */
	IPC9_E_INVALID = 20,	 /* an argument is out of its range */
	IPC9_E_UNSUPPORTED = 21, /* that daemon does not do that */
	IPC9_E_NOPATH = 22,	 /* the host or domain cannot be resolved or reached */
	IPC9_E_NODAEMON = 23,	 /* no daemon answers where it should, or not in time */
	IPC9_E_MISMATCH = 24,	 /* the other side speaks other versions of the protocol */
	IPC9_E_SYSTEM = 25,	 /* the other side is in trouble of its own; see its log */
	IPC9_E_CANCELLED = 26,	 /* it was cancelled before it was done */
	IPC9_E_PENDING = 27,	 /* started, and still under way */
	IPC9_E_WOULDBLOCK =
	    28, /* it would have to wait, and this end does not (ipc9_pipe_set_mode) */
};

struct ipc9_error {
	int code;	/* what the call returned */
	char text[508]; /* UTF-8, one line, no full stop or newline at the end */
};

/* The code's meaning in a few words, for 0, an enum ipc9_code or a negative errno; never NULL. */
IPC9_PUBLIC const char *ipc9_strerror(int code);

/* The nearest errno (positive) of an enum ipc9_code; a negative errno is turned round; 0 stays 0. */
IPC9_PUBLIC int ipc9_errno(int code);

/* The exit status that the command ipc9 gives for a code: 0, 1, 3, 4, 5 or 6 (see ipc9(1)). */
IPC9_PUBLIC int ipc9_exit_status(int code);

/* "0.1.0"; the version of the library that is running, not of the header. */
IPC9_PUBLIC const char *ipc9_version(void);

/* --- Context ----------------------------------------------------------------------------------- */

#define IPC9_FOREVER (-1)

struct ipc9;

/* All zero is a good start; ipc9_new(NULL, ...) is the same. */
struct ipc9_options {
	/*
	 * Milliseconds for each exchange with a daemon; IPC9_FOREVER waits as long as the connection
	 * lives.  0: the environment's IPC9_TIMEOUT (milliseconds, 0 for ever), else 10000.
	 */
	int timeout_ms;
	/*
	 * Path of the local daemon's socket.  NULL: the environment's IPC9_SOCKET; else the first that
	 * is there of $XDG_RUNTIME_DIR/ipc9/ipc9d.sock and /run/ipc9/ipc9d.sock.  A path that was said, here
	 * or in the environment, is the only one tried.
	 */
	const char *socket;
};

/* Makes a context; touches neither network nor daemon.  Free it with ipc9_free. */
IPC9_PUBLIC int ipc9_new(const struct ipc9_options *options, struct ipc9 **ret_ipc9,
    struct ipc9_error *ret_error);

/* Closes the context's connections.  NULL is fine; returns NULL. */
IPC9_PUBLIC struct ipc9 *ipc9_free(struct ipc9 *ipc9);

/* --- Identities -------------------------------------------------------------------------------- */

enum ipc9_how {
	IPC9_HOW_NONE = 0,    /* not known: anonymous */
	IPC9_HOW_KERNEL = 1,  /* the kernel told: same host */
	IPC9_HOW_CLAIMED = 2, /* AUTH_SYS from an address whose claims that host trusts */
	IPC9_HOW_KERBEROS = 3,
	IPC9_HOW_CERTIFICATE = 4,
};

/* Who somebody is, as found out by the daemon that tells it, never by what they said of themselves. */
struct ipc9_identity {
	enum ipc9_how how;
	uint32_t uid, gid;   /* meaningless with IPC9_HOW_NONE */
	uint32_t pid;	     /* 0 unless on the same host as the daemon */
	char host[256];	     /* address, or "local" */
	char principal[256]; /* Kerberos or certificate name, or "" */
};

/* --- Clipboard --------------------------------------------------------------------------------- */

/*
 * A board is //HOST/clipboard/NAME, or //HOST for the caller's own board there, or NULL for the caller's own
 * board on this host.  Types are MIME types, compared without case.
 */

struct ipc9_clipboard_version {
	uint64_t epoch; /* random per start of the board's daemon */
	uint64_t seq;	/* grows with every change */
};

struct ipc9_copy;

/*
 * Starts a copy; the board keeps its old content until ipc9_copy_publish.  Then, for each format, best first:
 * ipc9_copy_format, ipc9_copy_write as often as needed.  A format of a type already added replaces it.
 */
IPC9_PUBLIC int ipc9_copy_begin(struct ipc9 *ipc9, const char *board, struct ipc9_copy **ret_copy,
    struct ipc9_error *ret_error);
IPC9_PUBLIC int ipc9_copy_format(struct ipc9_copy *copy, const char *type,
    struct ipc9_error *ret_error);
IPC9_PUBLIC int ipc9_copy_write(struct ipc9_copy *copy, const void *data, size_t size_bytes,
    struct ipc9_error *ret_error);
/* Makes the formats the board's content, in one step.  ret_version may be NULL. */
IPC9_PUBLIC int ipc9_copy_publish(struct ipc9_copy *copy,
    struct ipc9_clipboard_version *ret_version, struct ipc9_error *ret_error);
/* Gives a copy up unless it was published.  NULL is fine; returns NULL. */
IPC9_PUBLIC struct ipc9_copy *ipc9_copy_free(struct ipc9_copy *copy);

struct ipc9_paste;

/*
 * Opens one format of a board for reading.  type: a MIME type; without parameters it also finds one that
 * has some.  NULL: text/plain if it is there, else the first.  IPC9_E_EMPTY, IPC9_E_NOFORMAT.
 */
IPC9_PUBLIC int ipc9_paste_begin(struct ipc9 *ipc9, const char *board, const char *type,
    struct ipc9_paste **ret_paste, struct ipc9_error *ret_error);
/* The type found, as it was spelled when copied; lives as long as the paste. */
IPC9_PUBLIC const char *ipc9_paste_type(const struct ipc9_paste *paste);
IPC9_PUBLIC uint64_t ipc9_paste_size_bytes(const struct ipc9_paste *paste);
/*
 * Reads the next piece, at most size_bytes; *ret_size_bytes == 0 at the end and only there.
 * IPC9_E_CHANGED: somebody copied meanwhile; what was read so far belongs to the older content.
 */
IPC9_PUBLIC int ipc9_paste_read(struct ipc9_paste *paste, void *buffer, size_t size_bytes,
    size_t *ret_size_bytes, struct ipc9_error *ret_error);
IPC9_PUBLIC struct ipc9_paste *ipc9_paste_free(struct ipc9_paste *paste);

struct ipc9_clipboard_format {
	const char *type;
	uint64_t size_bytes;
};

struct ipc9_clipboard_listing {
	struct ipc9_clipboard_version version;
	uint64_t changed_us; /* microseconds since 1970; 0: never */
	struct ipc9_identity author;
	size_t n_formats;		       /* 0: the board is empty */
	struct ipc9_clipboard_format *formats; /* in the order copied */
};

/* Tells what a board holds.  Free the listing with ipc9_clipboard_listing_free. */
IPC9_PUBLIC int ipc9_clipboard_list(struct ipc9 *ipc9, const char *board,
    struct ipc9_clipboard_listing **ret_listing, struct ipc9_error *ret_error);
IPC9_PUBLIC struct ipc9_clipboard_listing *ipc9_clipboard_listing_free(
    struct ipc9_clipboard_listing *listing);

/*
 * Empties a board; a shared one without an access list of its own goes away with that, and it is no error when there
 * was none.  ret_version may be NULL.
 */
IPC9_PUBLIC int ipc9_clipboard_clear(struct ipc9 *ipc9, const char *board,
    struct ipc9_clipboard_version *ret_version, struct ipc9_error *ret_error);

/* --- Mailslots --------------------------------------------------------------------------------- */

#define IPC9_BROADCAST_BYTES 400   /* the longest broadcast */
#define IPC9_MESSAGE_BYTES 1048576 /* the longest message to one slot, and of a pipe */

struct ipc9_mailslot;

struct ipc9_mailslot_options {
	uint32_t max_message_bytes; /* 0: IPC9_MESSAGE_BYTES */
	int read_timeout_ms; /* for ipc9_mailslot_read; IPC9_FOREVER: no limit; 0: do not wait */
	/*
	 * Who else may what, as of ipc9_acl_set, from the first moment on.  NULL: whom the host lets in may
	 * write.  Not NULL and n_rules 0: only the owner may.  Borrowed until the call returns.
	 */
	const char *const *rules;
	size_t n_rules;
};

/*
 * Creates a slot on this host and makes the caller its server.  name: NAME or //./mailslot/NAME.  options:
 * NULL means any size and IPC9_FOREVER.  IPC9_E_EXISTS, IPC9_E_BADNAME; IPC9_E_ACCESS: the host reserves
 * the name for others; IPC9_E_INVALID: a rule is none, and nothing was created.
 */
IPC9_PUBLIC int ipc9_mailslot_create(struct ipc9 *ipc9, const char *name,
    const struct ipc9_mailslot_options *options, struct ipc9_mailslot **ret_slot,
    struct ipc9_error *ret_error);
/* Removes the slot with the messages in it.  NULL is fine; returns NULL. */
IPC9_PUBLIC struct ipc9_mailslot *ipc9_mailslot_close(struct ipc9_mailslot *slot);
IPC9_PUBLIC int ipc9_mailslot_set_timeout(struct ipc9_mailslot *slot, int read_timeout_ms,
    struct ipc9_error *ret_error);

struct ipc9_mailslot_message {
	size_t size_bytes;
	struct ipc9_identity sender;
	bool broadcast;	     /* from another host sender.host is all that is known */
	uint64_t arrived_us; /* microseconds since 1970 */
	uint32_t waiting;    /* messages still in the slot */
};

/*
 * Takes the oldest message, waiting as long as the slot's read timeout says.  Zero-length messages exist.
 * IPC9_E_TIMEDOUT; IPC9_E_TOOSMALL: it stays, and *ret_message tells its size.
 */
IPC9_PUBLIC int ipc9_mailslot_read(struct ipc9_mailslot *slot, void *buffer, size_t size_bytes,
    struct ipc9_mailslot_message *ret_message, struct ipc9_error *ret_error);

/*
 * Sends one message.  To one host: 0 means it is in the slot's queue; the library sends it again by itself
 * after a broken connection, without doubling it; IPC9_E_NOENT, IPC9_E_TOOBIG, IPC9_E_QUOTA (no room until
 * the server reads), IPC9_E_ACCESS, IPC9_E_UNKNOWN.  To //@/mailslot/NAME: at most IPC9_BROADCAST_BYTES,
 * else IPC9_E_TOOBIG and nothing is sent; 0 means sent, not received.
 */
IPC9_PUBLIC int ipc9_mailslot_send(struct ipc9 *ipc9, const char *name, const void *data,
    size_t size_bytes, struct ipc9_error *ret_error);

struct ipc9_mailslot_info {
	const char *name;
	struct ipc9_identity owner;
	uint32_t max_message_bytes;
	int read_timeout_ms;
	uint32_t waiting;
	uint64_t waiting_bytes;
	uint32_t next_bytes; /* size of the oldest message; 0 when none waits */
	uint64_t received, refused;
};

struct ipc9_mailslot_listing {
	size_t n_slots;
	struct ipc9_mailslot_info *slots; /* sorted by name */
};

/* Tells about one slot (a listing of one), or about all slots of a host: name is //HOST or NULL. */
IPC9_PUBLIC int ipc9_mailslot_info(struct ipc9 *ipc9, const char *name,
    struct ipc9_mailslot_listing **ret_listing, struct ipc9_error *ret_error);
IPC9_PUBLIC int ipc9_mailslot_list(struct ipc9 *ipc9, const char *host,
    struct ipc9_mailslot_listing **ret_listing, struct ipc9_error *ret_error);
IPC9_PUBLIC struct ipc9_mailslot_listing *ipc9_mailslot_listing_free(
    struct ipc9_mailslot_listing *listing);

/* --- Pipes ------------------------------------------------------------------------------------- */

/*
 * A server makes instances of a name on its host; each has two ends and serves one client at a time.  What a call comes to
 * depends on the state of the end (codes without IPC9_E_; "data/empty": whether there is still something to read):
 *
 *			listening	connected	closing		disconnected: server's, client's end
 *	read		LISTENING	0, or waits	0/EOF		NOTCONN		NOTCONN
 *	write		LISTENING	0, or waits	PEERCLOSED	NOTCONN		NOTCONN
 *	peek		BADSTATE	0		0/EOF		BADSTATE	NOTCONN
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
 * nobody can open it.  ret_client may be NULL.  IPC9_E_TIMEDOUT, and it goes on listening; IPC9_E_PEERCLOSED,
 * IPC9_E_LOST: a client came and went, and ipc9_pipe_disconnect makes room for the next.
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
 * *ret_more: the reply was longer than the buffer, and the rest is lost.  IPC9_E_INVALID: it is a byte pipe.
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
	 * wait at the other end ask for), as *ret_written tells.
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
 * writes what fits the quota now.
 *
 * IPC9_E_PEERCLOSED, IPC9_E_LOST, IPC9_E_NOTCONN, IPC9_E_LISTENING; IPC9_E_EOF: the other end was closed while this
 * waited; IPC9_E_CANCELLED: what was not read was taken back; IPC9_E_TOOBIG: nothing was sent; IPC9_E_BADSTATE: after
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

/* --- Pipes in an event loop -------------------------------------------------------------------- */

/*
 * An operation that was started is finished later by ipc9_pipe_finish, which is to be called when ipc9_pipe_fd says so, and
 * until it tells what the operation came to.  Several may be under way on an end; reads are done in the order in which they
 * were started, and so are writes.  Buffers and data stay the caller's and must stay in place until then.
 *
 * Starting and finishing on one end are for one thread at a time; meanwhile one other thread may read in the ordinary
 * way and one may write.  The mode of the end is the one at the start; IPC9_PIPE_MODE_NO_WAIT means nothing here.
 */
struct ipc9_pipe_op;

/* A descriptor to poll: readable when ipc9_pipe_finish of an operation has something to do or to tell.  -errno. */
IPC9_PUBLIC int ipc9_pipe_fd(struct ipc9_pipe *pipe);

/*
 * They start what the function of the same name does, and do not wait for anything.  0: it is under way, or done, and
 * *ret_op is to be finished, which also tells what is wrong with it; otherwise, as IPC9_E_TOOBIG, IPC9_E_INVALID or -ENOMEM,
 * nothing was started.  To wait for data and take none, read no bytes.
 */
IPC9_PUBLIC int ipc9_pipe_start_read(struct ipc9_pipe *pipe, void *buffer, size_t size_bytes,
    struct ipc9_pipe_op **ret_op, struct ipc9_error *ret_error);
IPC9_PUBLIC int ipc9_pipe_start_write(struct ipc9_pipe *pipe, const void *data, size_t size_bytes,
    struct ipc9_pipe_op **ret_op, struct ipc9_error *ret_error);
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

/* --- Access lists ------------------------------------------------------------------------------ */

/*
 * Every named object has an owner, who may everything, and a list of rules for all others: lines such as
 *
 *	allow uid:1000 read,write
 *	deny host:10.0.0.0/8 all
 *
 * in the form of ipc9d.conf(5), with "all" or those rights that the mechanism asks of an object (ipc9-acl(1)); with another
 * one IPC9_E_INVALID.  The first line that has the caller and the right decides; behind the last one
 * nobody may.  Before the list is asked the host's configuration must let the caller in; its administrators
 * need no list.
 *
 * An object on which the caller has none of these rights is not there for them: whatever names it is answered
 * IPC9_E_NOENT; with one of them, but not the one that is needed, IPC9_E_ACCESS.
 *
 * name is an object with its mechanism, //HOST/pipe/NAME or //./clipboard/NAME.  The functions answer the owner and
 * administrators, all others IPC9_E_ACCESS, or IPC9_E_NOENT as said; IPC9_E_BADNAME; IPC9_E_UNSUPPORTED: that daemon has no
 * lists.  Each blocks for one exchange with a daemon.
 */

#define IPC9_RULE_BYTES 319 /* the longest line */
#define IPC9_RULES 64	    /* the longest list */

struct ipc9_acl_listing {
	bool owned;	    /* false: an anonymous caller made it, and nobody is its owner */
	uint32_t owner_uid; /* meaningless unless owned */
	bool given;	    /* false: nobody gave it a list; these are the mechanism's defaults */
	size_t n_rules;
	const char **rules;
};

/* An object's list.  Free it with ipc9_acl_listing_free. */
IPC9_PUBLIC int ipc9_acl_get(struct ipc9 *ipc9, const char *name,
    struct ipc9_acl_listing **ret_listing, struct ipc9_error *ret_error);
IPC9_PUBLIC struct ipc9_acl_listing *ipc9_acl_listing_free(struct ipc9_acl_listing *listing);

/*
 * Gives an object another list, whole and in one step; n_rules 0: only the owner may (rules may be NULL then).  What is
 * open stays open, and what is queued stays; whoever opens, sends, reads or lists afterwards meets the new list.
 * IPC9_E_INVALID: a line is none, or there are too many, and the object keeps its list.
 */
IPC9_PUBLIC int ipc9_acl_set(struct ipc9 *ipc9, const char *name, const char *const *rules,
    size_t n_rules, struct ipc9_error *ret_error);

struct ipc9_acl_verdict {
	bool allowed;
	char why[512]; /* what decides, for a person: "deny uid:5 write (list of the object)" */
};

/*
 * Whether somebody would be allowed something now.  who: "uid:5", "uid:5,gid:7,gid:8" a user of that host, who belongs
 * to no group that is not named; "uid:5,from:10.0.0.2" one who claims to be that from there; "from:10.0.0.2" an
 * anonymous caller; NULL: the caller of this function.  right: "read", "write", "create", "delete" or "admin".
 * IPC9_E_INVALID: who or right is none.
 */
IPC9_PUBLIC int ipc9_acl_test(struct ipc9 *ipc9, const char *name, const char *who,
    const char *right, struct ipc9_acl_verdict *ret_verdict, struct ipc9_error *ret_error);

/* --- Status ------------------------------------------------------------------------------------ */

struct ipc9_counter {
	const char *name;
	uint64_t value;
};

struct ipc9_status {
	const char *release; /* version of the daemon */
	const char *host, *domain;
	const char *rpcbind; /* state of its registration, a sentence */
	uint64_t uptime_ms;
	uint32_t pid;
	struct ipc9_identity you; /* who the daemon takes the caller for */
	size_t n_addresses;
	const char **addresses;
	size_t n_counters;
	struct ipc9_counter *counters;
};

/* Asks the daemon of a host (//HOST or NULL for this one) how it is. */
IPC9_PUBLIC int ipc9_status(struct ipc9 *ipc9, const char *host, struct ipc9_status **ret_status,
    struct ipc9_error *ret_error);
IPC9_PUBLIC struct ipc9_status *ipc9_status_free(struct ipc9_status *status);

/* Of one resource.  Nobody takes more than half of what the others leave of a daemon's total: ipc9d.conf(5). */
struct ipc9_quota_use {
	uint64_t used;
	uint64_t share; /* what it may be now, used included; of the host: the total */
};

struct ipc9_quota_info {
	struct ipc9_identity who; /* pid is of no meaning; of the host: all 0 */
	struct ipc9_quota_use
	    objects; /* named things, instances of pipes, copies that are being made */
	struct ipc9_quota_use bytes;   /* payload that is kept, and access lists */
	struct ipc9_quota_use waiting; /* calls that wait */
	struct ipc9_quota_use
	    connections; /* of other hosts: limited for each address; of the host: local ones */
};

struct ipc9_quota_listing {
	struct ipc9_quota_info host; /* all together */
	size_t n_users;
	struct ipc9_quota_info *users; /* in the order in which they came */
};

/*
 * Asks the daemon of a host (//HOST or NULL for this one) who uses how much: everybody who uses anything with the right
 * "admin", otherwise the caller alone.  Free the listing with ipc9_quota_listing_free.
 */
IPC9_PUBLIC int ipc9_quota_list(struct ipc9 *ipc9, const char *host,
    struct ipc9_quota_listing **ret_listing, struct ipc9_error *ret_error);
IPC9_PUBLIC struct ipc9_quota_listing *ipc9_quota_listing_free(struct ipc9_quota_listing *listing);

/* --- Measuring --------------------------------------------------------------------------------- */

#define IPC9_BENCH_CALL_BYTES 65536    /* the largest call that is measured */
#define IPC9_BENCH_PIECE_BYTES 1048576 /* what one call of a stream carries */
#define IPC9_BENCH_RUN_MS 30000	       /* the longest run */

/*
 * The way to one daemon, and, to compare with, a raw socket of the same kind to a thread of that daemon.  A
 * measurement is made of runs of both in turns.  One thread at a time.
 */
struct ipc9_bench;

/*
 * Connects, on a connection of its own, to the daemon of a host: //HOST, or NULL for this one by its local
 * socket.  IPC9_E_UNSUPPORTED: that daemon has no program bench; IPC9_E_ACCESS: the right "write" is needed.
 */
IPC9_PUBLIC int ipc9_bench_open(struct ipc9 *ipc9, const char *host, struct ipc9_bench **ret_bench,
    struct ipc9_error *ret_error);

/* Whether it goes by the local socket; otherwise it is TCP. */
IPC9_PUBLIC bool ipc9_bench_is_local(const struct ipc9_bench *bench);

/* What a run came to.  The warm-up before it is not in it. */
struct ipc9_bench_result {
	uint64_t calls; /* done; of a stream: pieces of IPC9_BENCH_PIECE_BYTES */
	uint64_t
	    bytes; /* of payload in one direction; of a stream as the other side counted them */
	uint64_t elapsed_ns; /* never 0 */
	uint64_t cpu_ns;     /* that the calling thread was busy, in the kernel too */
	/* Calls: how long they took, at most 1/64 above the truth between the ends.  Streams: 0. */
	uint64_t min_ns, p50_ns, p90_ns, p99_ns, p999_ns, max_ns;
};

/*
 * Make one run and block for about 9/8 of duration_ms (1 to IPC9_BENCH_RUN_MS; a stream at least as long as one
 * piece takes).  Calls are made one at a time: size_bytes (1 to IPC9_BENCH_CALL_BYTES) go and come back, and are
 * compared.  A stream has several pieces under way, and is counted by the other side.  The raw ones do the same
 * with blocking send and recv; they are IPC9_E_QUOTA when too many measure there at once, and IPC9_E_NOPATH
 * when nothing but the daemon's own port is let through.
 */
IPC9_PUBLIC int ipc9_bench_calls(struct ipc9_bench *bench, uint32_t size_bytes, int duration_ms,
    struct ipc9_bench_result *ret_result, struct ipc9_error *ret_error);
IPC9_PUBLIC int ipc9_bench_raw_calls(struct ipc9_bench *bench, uint32_t size_bytes, int duration_ms,
    struct ipc9_bench_result *ret_result, struct ipc9_error *ret_error);
IPC9_PUBLIC int ipc9_bench_stream(struct ipc9_bench *bench, int duration_ms,
    struct ipc9_bench_result *ret_result, struct ipc9_error *ret_error);
IPC9_PUBLIC int ipc9_bench_raw_stream(struct ipc9_bench *bench, int duration_ms,
    struct ipc9_bench_result *ret_result, struct ipc9_error *ret_error);

/* Closes the connections, at most 1 s after.  NULL is fine; returns NULL. */
IPC9_PUBLIC struct ipc9_bench *ipc9_bench_close(struct ipc9_bench *bench);

#ifdef __cplusplus
}
#endif

#endif
