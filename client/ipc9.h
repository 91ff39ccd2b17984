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
 * from it (copy, paste, mailslot, pipe) belongs to one thread at a time, but for a pipe: one thread may read it while
 * another writes and ends it (ipc9_pipe.h says what goes beside started operations); mappings and what programs
 * synchronize by say their own rules.  Free objects before their context.  What pipes over sockets could not send at once is
 * sent by a thread of the library, which takes no signals and ends with its work.
 *
 * The library prints nothing (libtirpc below it does when memory ends: "xdr_array: out of memory"), never exits,
 * installs no signal handler, and raises no SIGPIPE.  After fork the child uses none of the parent's objects.
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

#include "ipc9_filemap.h"
#include "ipc9_pipe.h"

#endif
