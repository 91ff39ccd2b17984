/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * filemap.h - what mappings and synchronization objects share: making memory, handing it to the daemon under a name, and
 * the connection on which all handles of a context are.
 *
 * One connection serves all handles of a context, so that a program with many objects does not need as many; exchanges
 * on it are made one at a time.  When it is lost its handles are over there, and so are their names; the memory stays.
 */
#ifndef CLIENT_FILEMAP_H
#define CLIENT_FILEMAP_H

#include "client/link.h"
#include "rpcgen-out/filemap.h"

struct filemap_way;

/* One name held open.  All zero: none. */
struct filemap_handle {
	struct ipc9 *ipc9;
	struct filemap_way *way; /* a reference; NULL: nothing is held */
	ipc9_handle id;
	struct target target;
	struct ipc9_identity owner;
	bool existed, writable; /* writable: the descriptor is */
	uint32_t flags, maximum;
	uint64_t size_bytes;
	int fd; /* -1: none */
};

/* The name of an object on this host; others are refused with IPC9_E_UNSUPPORTED. */
int filemap_target(const char *name, struct target *ret_target, struct ipc9_error *ret_error);

/* All zero but for these. */
void filemap_handle_init(struct filemap_handle *handle, struct ipc9 *ipc9,
    const struct target *target);

/* What to make: memory of a size, or a file. */
struct filemap_stuff {
	int write_fd, read_fd; /* as in filemap.x; write_fd -1: none */
};
void filemap_stuff_close(struct filemap_stuff *stuff);

/* A sealed memfd without pages yet, named in sentences by subject.  0 or -errno with a sentence. */
int filemap_memory(const char *subject, uint64_t size_bytes, struct filemap_stuff *ret_stuff,
    struct ipc9_error *ret_error);

/*
 * Gives all of it its pages.  Large memory is first charged to its maker, by filemap_create.  0 or -errno with a
 * sentence, and some of the pages may be there.
 */
int filemap_reserve(const char *subject, int fd, uint64_t size_bytes, struct ipc9_error *ret_error);

/* A second descriptor of write_fd's file, for reading alone.  0 or -errno. */
int filemap_reopen(struct filemap_stuff *stuff);

/* Exchanges that fill in the handle; name and descriptor count of args are set here. */
int filemap_create(struct filemap_handle *handle, ipc9_filemap_create_args *args,
    const struct filemap_stuff *stuff, struct ipc9_error *ret_error);
int filemap_open(struct filemap_handle *handle, int kind, unsigned rights,
    struct ipc9_error *ret_error);

/*
 * Gives the name up and closes the descriptor; fine where nothing is held.  At once, or when a daemon comes back that does not answer
 * within link_close_deadline.
 */
void filemap_leave(struct filemap_handle *handle);

/* For ipc9_free.  NULL is fine. */
void filemap_way_unref(struct filemap_way *way);

#endif
