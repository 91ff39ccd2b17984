/* SPDX-License-Identifier: BSD-3-Clause */
/* memory.c - see memory.h. */
#include "tests/memory.h"

#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness.h"

struct ipc9 *memory_context(const struct daemon_fixture *d)
{
	struct ipc9_options options = { .timeout_ms = 10000, .socket = d->socket };
	struct ipc9 *ipc9 = NULL;

	return ipc9_new(&options, &ipc9, NULL) ? NULL : ipc9;
}

void memory_begin(struct world *w, const char *configuration)
{
	memset(w, 0, sizeof(*w));
	daemon_start(&w->daemon, configuration);
	w->ipc9 = memory_context(&w->daemon);
	w->page = (size_t)sysconf(_SC_PAGESIZE);
	HOLDS(w->ipc9 != NULL);
}

void memory_end(struct world *w)
{
	ipc9_free(w->ipc9);
	daemon_end(&w->daemon);
}

struct ipc9_filemap *memory_create(struct world *w, const char *name, uint64_t size, unsigned flags)
{
	struct ipc9_filemap_options options = { .size_bytes = size, .flags = flags };
	struct ipc9_filemap *map = NULL;

	if (!EQUAL(ipc9_filemap_create(w->ipc9, name, &options, &map, &w->error), 0))
		printf("  %s\n", w->error.text);
	return map;
}

int memory_open_status(struct world *w, const char *name, enum ipc9_filemap_access access)
{
	struct ipc9_filemap *map = NULL;
	int r = ipc9_filemap_open(w->ipc9, name, access, &map, &w->error);

	if (!r)
		ipc9_filemap_close(map);
	return r;
}

struct ipc9_filemap_view *memory_view(struct world *w, struct ipc9_filemap *map,
    enum ipc9_filemap_access access)
{
	struct ipc9_filemap_view *v = NULL;

	EQUAL(ipc9_filemap_map(map, access, 0, 0, &v, &w->error), 0);
	return v;
}

int memory_view_status(struct world *w, struct ipc9_filemap *map, enum ipc9_filemap_access access,
    uint64_t offset, size_t size)
{
	struct ipc9_filemap_view *v = NULL;
	int r = ipc9_filemap_map(map, access, offset, size, &v, &w->error);

	if (!r)
		ipc9_filemap_unmap(v);
	return r;
}

struct ipc9_sync *memory_sync(struct world *w, const char *name, enum ipc9_sync_kind kind,
    uint32_t initial, uint32_t maximum, unsigned flags)
{
	struct ipc9_sync_options options = {
		.initial = initial, .maximum = maximum, .flags = flags
	};
	struct ipc9_sync *sync = NULL;

	if (!EQUAL(ipc9_sync_create(w->ipc9, name, kind, &options, &sync, &w->error), 0))
		printf("  %s\n", w->error.text);
	return sync;
}

struct ipc9_sync *memory_mutex(struct world *w, const char *name)
{
	return memory_sync(w, name, IPC9_SYNC_MUTEX, 0, 0, 0);
}

struct ipc9_sync *memory_semaphore(struct world *w, const char *name, uint32_t initial,
    uint32_t maximum)
{
	return memory_sync(w, name, IPC9_SYNC_SEMAPHORE, initial, maximum, 0);
}

int memory_wait(struct ipc9_sync *s, int ms)
{
	return ipc9_sync_wait(s, ms, NULL, NULL);
}

struct ipc9_sync *memory_sync_there(struct ipc9 *ipc9, const char *name, enum ipc9_sync_kind kind)
{
	struct ipc9_sync *s = NULL;

	return ipc9 && !ipc9_sync_open(ipc9, name, kind, &s, NULL) ? s : NULL;
}

static void *wait_in_thread(void *argument)
{
	struct waiter *w = argument;

	atomic_store(&w->begun, true);
	w->result = ipc9_sync_wait(w->sync, w->ms, &w->abandoned, NULL);
	return NULL;
}

void waiter_start(struct waiter *w, struct ipc9_sync *s, int ms)
{
	*w = (struct waiter){ .sync = s, .ms = ms, .result = -1 };
	EQUAL(pthread_create(&w->thread, NULL, wait_in_thread, w), 0);
}

int waiter_end(struct waiter *w)
{
	pthread_join(w->thread, NULL);
	return w->result;
}

bool memory_has_sleepers(void *sync)
{
	const struct ipc9_sync *s = sync;

	return atomic_load(&s->state->waiters) > 0;
}
