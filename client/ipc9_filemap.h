/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ipc9_filemap.h - shared memory by name, and what programs synchronize by; a part of ipc9.h, which includes it.
 */
#ifndef IPC9_FILEMAP_H
#define IPC9_FILEMAP_H

#include "ipc9.h"

#ifdef __cplusplus
extern "C" {
#endif

/* --- File mapping ------------------------------------------------------------------------------ */

/*
 * Memory, or a file in memory, that programs of one host share under a name: NAME or //./filemap/NAME.  Names of
 * mappings, mutexes, semaphores and events are of one name space, in which case counts.  A name of another host is
 * refused with IPC9_E_UNSUPPORTED: memory is shared under one kernel only.
 *
 * A name is there while anybody holds the object: a struct ipc9_filemap that was not closed, or a view of one.  A program
 * that ends, in whatever way, holds nothing any more; but what it held is held on by children that it forked and that did not call
 * exec(2), as they have its connection.  IPC9_FILEMAP_CREATE_KEEP: the daemon holds it too.
 *
 * What is there has an address of its own in each program: keep offsets in it, no pointers.  Whoever may write can
 * write anything at any time: take what others wrote as you would take it from a socket, and copy before you check.
 * Memory never shrinks; a file can be cut by whoever may, and then reading past its end raises SIGBUS.  So does writing to a
 * hole of a file (one that was made long without room on the disk) when the disk is full: take posix_fallocate(3) first.
 *
 * When the daemon is restarted all that was opened goes on, but the name is gone: who opens or creates it then
 * gets another object.
 */

struct ipc9_filemap;
struct ipc9_filemap_view;

enum ipc9_filemap_access {
	IPC9_FILEMAP_ACCESS_READ = 1,
	IPC9_FILEMAP_ACCESS_WRITE = 3, /* reading and writing */
	/* Reading; what is written stays in the one view (copy on write). */
	IPC9_FILEMAP_ACCESS_COPY = 4,
};

enum ipc9_filemap_create_flags {
	IPC9_FILEMAP_CREATE_NEW = 1, /* IPC9_E_EXISTS instead of opening what is there */
	/* It stays without anybody until ipc9_filemap_remove, or the daemon's end. */
	IPC9_FILEMAP_CREATE_KEEP = 2,
};

struct ipc9_filemap_options {
	/*
	 * Of memory: its size, which is reserved when it is made, zeroed, and counts against the caller's quota of bytes.
	 * Of a file: how much of it is mapped, from its beginning; 0 is all there is.  More than there is makes the file
	 * longer (with IPC9_FILEMAP_ACCESS_WRITE).
	 */
	uint64_t size_bytes;
	const char *
	    file; /* path of a regular file that is opened with the caller's rights; NULL: memory */
	/*
	 * 0: IPC9_FILEMAP_ACCESS_WRITE.  The caller's own, and of a file everybody's: one that is not opened for writing here
	 * nobody gets for writing by this name.  That does not protect the file: who opens the name has a descriptor of it, and
	 * whom the file's own mode lets write can open it anew by /proc/self/fd, also where its folder would not let them come to it.
	 */
	enum ipc9_filemap_access access;
	unsigned flags; /* enum ipc9_filemap_create_flags */
	/*
	 * Who else may "read" and "write", as of ipc9_acl_set.  NULL, or n_rules 0: only the owner may.  Borrowed until the
	 * call returns.
	 */
	const char *const *rules;
	size_t n_rules;
};

/*
 * Makes a mapping, or opens the one of that name; then ipc9_filemap_existed tells, its own size stays, and of the options
 * only access and IPC9_FILEMAP_CREATE_NEW count (rules, if there are any, have to be those that it has).  IPC9_E_BADSTATE: the name is a
 * mutex, semaphore or event; IPC9_E_ACCESS: it is another user's, or the host reserves it for others; IPC9_E_QUOTA;
 * IPC9_E_INVALID: no size, an empty file, an unknown flag, a rule that is none; -errno: the file cannot be opened or made
 * longer, or there is not so much memory.  Blocks for up to three exchanges with the daemon, and for as long as reserving takes
 * (1/4 s for 1 GiB).  Where it fails, or the name was there, a file is as it was; only where somebody else opened it in that
 * moment it may have been made longer, and the sentence says so.
 */
IPC9_PUBLIC int ipc9_filemap_create(struct ipc9 *ipc9, const char *name,
    const struct ipc9_filemap_options *options, struct ipc9_filemap **ret_map,
    struct ipc9_error *ret_error);

/*
 * Opens one that is there.  IPC9_E_NOENT: also where it does not admit the caller to anything; IPC9_E_BADSTATE;
 * IPC9_E_ACCESS: not for writing, or it was made to be read alone.
 */
IPC9_PUBLIC int ipc9_filemap_open(struct ipc9 *ipc9, const char *name,
    enum ipc9_filemap_access access, struct ipc9_filemap **ret_map, struct ipc9_error *ret_error);

/* Whether the name was there when it was created or opened; its size; who made it (good until closed). */
IPC9_PUBLIC bool ipc9_filemap_existed(const struct ipc9_filemap *map);
IPC9_PUBLIC uint64_t ipc9_filemap_size_bytes(const struct ipc9_filemap *map);
IPC9_PUBLIC const struct ipc9_identity *ipc9_filemap_owner(const struct ipc9_filemap *map);
/*
 * The descriptor of the memory or file, still the map's; open for writing only where access said so.  It is one open file with those
 * of all who opened the name, other users too (open(2), "open file description"): its offset, its flags (O_APPEND) and its locks of
 * flock(2) and F_OFD_SETLK are everybody's.  Use pread(2) and pwrite(2), and a mutex of ipc9_sync_create.
 */
IPC9_PUBLIC int ipc9_filemap_fd(const struct ipc9_filemap *map);

/*
 * Closes the handle.  Its views stay, and hold the object.  Waits at most 2 s (or the context's time, if that is less) for the daemon,
 * and once only for one that does not answer; the name is free then when the daemon goes on.  NULL is fine; returns NULL.
 */
IPC9_PUBLIC struct ipc9_filemap *ipc9_filemap_close(struct ipc9_filemap *map);

/*
 * Maps a part into this program.  offset: a multiple of the page size (sysconf(3)); size_bytes 0: to the end.
 * IPC9_E_INVALID: it is not so, or reaches beyond the end; IPC9_E_ACCESS: the map was opened for less.  access 0: the
 * map's.  A view may be used by all threads, and outlives the map.
 */
IPC9_PUBLIC int ipc9_filemap_map(struct ipc9_filemap *map, enum ipc9_filemap_access access,
    uint64_t offset, size_t size_bytes, struct ipc9_filemap_view **ret_view,
    struct ipc9_error *ret_error);
IPC9_PUBLIC void *ipc9_filemap_data(const struct ipc9_filemap_view *view);
IPC9_PUBLIC size_t ipc9_filemap_view_bytes(const struct ipc9_filemap_view *view);
/*
 * Writes part of a view of a file to the disk, and returns when it is there; size_bytes 0: to the end.  Of memory there is
 * nothing to do.  IPC9_E_INVALID: beyond the view; IPC9_E_BADSTATE: a view with IPC9_FILEMAP_ACCESS_COPY; -errno.
 */
IPC9_PUBLIC int ipc9_filemap_flush(struct ipc9_filemap_view *view, size_t offset, size_t size_bytes,
    struct ipc9_error *ret_error);
/* Unmaps it: its address is nobody's any more.  NULL is fine; returns NULL. */
IPC9_PUBLIC struct ipc9_filemap_view *ipc9_filemap_unmap(struct ipc9_filemap_view *view);

/*
 * Takes the name from an object of whichever kind: at once it is free for another.  Who holds the object keeps it.  For its
 * owner, and who has the right "delete".  IPC9_E_NOENT; IPC9_E_ACCESS.
 */
IPC9_PUBLIC int ipc9_filemap_remove(struct ipc9 *ipc9, const char *name,
    struct ipc9_error *ret_error);

enum ipc9_filemap_kind {
	IPC9_FILEMAP_KIND_MAPPING = 1,
	IPC9_FILEMAP_KIND_MUTEX = 2,
	IPC9_FILEMAP_KIND_SEMAPHORE = 3,
	IPC9_FILEMAP_KIND_EVENT = 4,
};

struct ipc9_filemap_info {
	const char *name;
	struct ipc9_identity owner;
	enum ipc9_filemap_kind kind;
	bool file;     /* a mapping of a file */
	bool kept;     /* stays without holders */
	bool manual;   /* an event that is reset by hand */
	bool writable; /* to those whom its list lets write */
	uint64_t size_bytes;
	uint32_t maximum;    /* of a semaphore */
	uint32_t holders;    /* handles of all programs */
	uint64_t created_us; /* microseconds since 1970 */
};

struct ipc9_filemap_listing {
	size_t n_objects;
	struct ipc9_filemap_info *objects; /* sorted by name */
};

/* Tells about one object (a listing of one), or about all of this host that the caller may read. */
IPC9_PUBLIC int ipc9_filemap_info(struct ipc9 *ipc9, const char *name,
    struct ipc9_filemap_listing **ret_listing, struct ipc9_error *ret_error);
IPC9_PUBLIC int ipc9_filemap_list(struct ipc9 *ipc9, struct ipc9_filemap_listing **ret_listing,
    struct ipc9_error *ret_error);
IPC9_PUBLIC struct ipc9_filemap_listing *ipc9_filemap_listing_free(
    struct ipc9_filemap_listing *listing);

/* --- Synchronization --------------------------------------------------------------------------- */

/*
 * Named objects by which programs of one host wait for each other; names and their life are those of mappings.  Opening
 * asks the daemon.  Waiting, setting and releasing do not: they work on memory that all holders share, sleep in the kernel,
 * and go on when the daemon is restarted.
 *
 * Whoever may write to an object can set its words to anything.  That may release or keep those who wait for this
 * object, and does nothing else to them: no wait is longer than its wait_ms, nothing crashes.  Let only those write whom you
 * would let unlock it.
 *
 * One struct ipc9_sync may be used by all threads of a program, but is closed by one when no other uses it.
 */
struct ipc9_sync;

#define IPC9_SYNC_WAIT_MAX 64 /* objects in one wait */

enum ipc9_sync_kind {
	/*
	 * Is owned by one thread at a time, which takes it as often as it likes and releases it as often.  When
	 * its thread or program ends without, the next one gets it all the same, and is told that it was abandoned: what
	 * the mutex protects may be half done.  Threads are told apart by their ids: all programs that share one have
	 * to be in one PID namespace.
	 */
	IPC9_SYNC_MUTEX = 2,
	/* A count: waiting takes one, releasing gives some.  What a program took is not given back when it ends. */
	IPC9_SYNC_SEMAPHORE = 3,
	/* Set or not.  A wait ends while it is set, and resets it unless it is manual (IPC9_SYNC_CREATE_MANUAL). */
	IPC9_SYNC_EVENT = 4,
};

enum ipc9_sync_create_flags {
	IPC9_SYNC_CREATE_NEW = 1,    /* IPC9_E_EXISTS instead of opening what is there */
	IPC9_SYNC_CREATE_KEEP = 2,   /* it stays without anybody until ipc9_filemap_remove */
	IPC9_SYNC_CREATE_MANUAL = 4, /* an event that lets all through until it is reset */
};

struct ipc9_sync_options {
	/*
	 * Mutex: 1 makes the calling thread its owner.  Semaphore: the count to begin with.  Event: 1 is set.  Without
	 * effect where the object was there already.
	 */
	uint32_t initial;
	uint32_t maximum; /* of a semaphore, 1 to 2147483647; 0 is 1.  Otherwise 0 */
	unsigned flags;	  /* enum ipc9_sync_create_flags */
	/* Who else may: "read,write".  To wait for a manual event "read" is enough. */
	const char *const *rules;
	size_t n_rules;
};

/*
 * Makes an object, or opens the one of that name and kind, as it is.  options: NULL is all zero.  The errors are those of
 * ipc9_filemap_create and ipc9_filemap_open.
 */
IPC9_PUBLIC int ipc9_sync_create(struct ipc9 *ipc9, const char *name, enum ipc9_sync_kind kind,
    const struct ipc9_sync_options *options, struct ipc9_sync **ret_sync,
    struct ipc9_error *ret_error);
IPC9_PUBLIC int ipc9_sync_open(struct ipc9 *ipc9, const char *name, enum ipc9_sync_kind kind,
    struct ipc9_sync **ret_sync, struct ipc9_error *ret_error);
IPC9_PUBLIC bool ipc9_sync_existed(const struct ipc9_sync *sync);
/*
 * Closing is not releasing: who owns a mutex leaves it abandoned.  If that is another thread of this program, some memory
 * stays until the program ends.  NULL is fine; returns NULL.
 */
IPC9_PUBLIC struct ipc9_sync *ipc9_sync_close(struct ipc9_sync *sync);

/*
 * Waits until the object is free, and takes it.  wait_ms: IPC9_FOREVER; 0 does not wait.  ret_abandoned (may be NULL):
 * it is a mutex, is this thread's now, and its last owner ended without releasing it.  IPC9_E_TIMEDOUT; IPC9_E_BADSTATE: this
 * thread owns the mutex by another struct ipc9_sync, and would wait for itself.
 */
IPC9_PUBLIC int ipc9_sync_wait(struct ipc9_sync *sync, int wait_ms, bool *ret_abandoned,
    struct ipc9_error *ret_error);

/*
 * Waits for one of n (1 to IPC9_SYNC_WAIT_MAX, none of them twice), and takes the first in the array of those that
 * are free; *ret_index says which.
 */
IPC9_PUBLIC int ipc9_sync_wait_any(struct ipc9_sync *const *syncs, size_t n, int wait_ms,
    size_t *ret_index, bool *ret_abandoned, struct ipc9_error *ret_error);

/*
 * Waits until all of n are free at the same time, and takes all or none; while it waits it has none, so that no order
 * has to be kept.  It is not atomic for others: they may find one taken for an instant that is then put back.
 * *ret_abandoned: at least one of them was.  One object by two handles is waited for twice: a semaphore has to have two, an
 * event that is not manual is never free so.  IPC9_E_BADSTATE: this thread owns one of the mutexes by another struct ipc9_sync, also
 * by one in the array.
 */
IPC9_PUBLIC int ipc9_sync_wait_all(struct ipc9_sync *const *syncs, size_t n, int wait_ms,
    bool *ret_abandoned, struct ipc9_error *ret_error);

/*
 * Gives up a mutex (n is 1), or adds n to a semaphore.  ret_previous (may be NULL): the semaphore's count before.
 * IPC9_E_BADSTATE: this thread does not own the mutex; IPC9_E_TOOBIG: the count would pass the maximum, and is as it was;
 * IPC9_E_INVALID: it is an event, or n.
 */
IPC9_PUBLIC int ipc9_sync_release(struct ipc9_sync *sync, uint32_t n, uint32_t *ret_previous,
    struct ipc9_error *ret_error);

/*
 * Sets an event: a manual one lets go all who wait now, and all later until it is reset; another lets go one, now or when it
 * comes.  Resets it.  IPC9_E_INVALID: no event; IPC9_E_ACCESS: it was opened to be read.
 */
IPC9_PUBLIC int ipc9_sync_set(struct ipc9_sync *sync, struct ipc9_error *ret_error);
IPC9_PUBLIC int ipc9_sync_reset(struct ipc9_sync *sync, struct ipc9_error *ret_error);

/*
 * A descriptor for poll(2), the object's until it is closed: readable once the object was seen free.  Then call
 * ipc9_sync_wait with 0, which may fail as another was faster, and in either case makes the descriptor tell anew.  The first
 * call starts a thread, which has all signals blocked.  -errno.
 */
IPC9_PUBLIC int ipc9_sync_fd(struct ipc9_sync *sync, int *ret_fd, struct ipc9_error *ret_error);

#ifdef __cplusplus
}
#endif

#endif
