/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * memory.h - what the tests of mappings and of what programs synchronize by share: a daemon, a context, and the objects of
 * one line each.
 */
#ifndef TESTS_MEMORY_H
#define TESTS_MEMORY_H

#include <pthread.h>

#include "client/ipc9.h"
#include "client/sync.h"
#include "tests/daemon.h"

#define OTHER_UID 65534 /* a user, where there is more than one */
#define LONG_MS 20000	/* what comes, comes sooner */
#define SHORT_MS 30	/* for what does not come */

struct world {
	struct daemon_fixture daemon;
	struct ipc9 *ipc9;
	struct ipc9_error error;
	size_t page;
};

/* What a thread waits for, and what came of it. */
struct waiter {
	pthread_t thread;
	struct ipc9_sync *sync;
	int ms, result;
	bool abandoned;
	_Atomic bool begun;
};

/* Of this or another program; NULL: it cannot be made. */
struct ipc9 *memory_context(const struct daemon_fixture *d);

/* configuration: of the daemon. */
void memory_begin(struct world *w, const char *configuration);
void memory_end(struct world *w);

/* A mapping of memory; the test fails without. */
struct ipc9_filemap *memory_create(struct world *w, const char *name, uint64_t size,
    unsigned flags);

/* What opening gives; what was opened is closed again. */
int memory_open_status(struct world *w, const char *name, enum ipc9_filemap_access access);

/* Of all of it. */
struct ipc9_filemap_view *memory_view(struct world *w, struct ipc9_filemap *map,
    enum ipc9_filemap_access access);

/* As memory_open_status. */
int memory_view_status(struct world *w, struct ipc9_filemap *map, enum ipc9_filemap_access access,
    uint64_t offset, size_t size);

/* Objects; the test fails without. */
struct ipc9_sync *memory_sync(struct world *w, const char *name, enum ipc9_sync_kind kind,
    uint32_t initial, uint32_t maximum, unsigned flags);
struct ipc9_sync *memory_mutex(struct world *w, const char *name);
struct ipc9_sync *memory_semaphore(struct world *w, const char *name, uint32_t initial,
    uint32_t maximum);
int memory_wait(struct ipc9_sync *s, int ms);

/* In another program: opens what the test made.  NULL: it cannot. */
struct ipc9_sync *memory_sync_there(struct ipc9 *ipc9, const char *name, enum ipc9_sync_kind kind);

/* A thread that waits, and what came of it. */
void waiter_start(struct waiter *w, struct ipc9_sync *s, int ms);
int waiter_end(struct waiter *w);

/* For wait_until: whether somebody sleeps on a semaphore or auto event. */
bool memory_has_sleepers(void *sync);

#endif
