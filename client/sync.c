/* SPDX-License-Identifier: BSD-3-Clause */
/* sync.c - the life of a synchronization object's handle (sync.h), over filemap.x. */
#include "client/sync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/acl.h"
#include "client/error.h"

_Static_assert((int)IPC9_SYNC_MUTEX == IPC9_FILEMAP_MUTEX &&
	(int)IPC9_SYNC_SEMAPHORE == IPC9_FILEMAP_SEMAPHORE &&
	(int)IPC9_SYNC_EVENT == IPC9_FILEMAP_EVENT,
    "ipc9_filemap.h and filemap.x agree on kinds");

#define BOTH (IPC9_FILEMAP_READ | IPC9_FILEMAP_WRITE)

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* --- The page ---------------------------------------------------------------------------------- */

/* Maps what the handle got.  0 or a code with a sentence. */
static int map_state(struct ipc9_sync *s, struct ipc9_error *e)
{
	struct filemap_handle *h = &s->handle;
	int protection = PROT_READ | (h->writable ? PROT_WRITE : 0), r = 0;
	void *page;

	s->manual = h->flags & IPC9_FILEMAP_MANUAL;
	if (h->size_bytes != page_size())
		return error_set(e, IPC9_E_MISMATCH,
		    "%s: another release of ipc9 made it: it has %llu bytes", h->target.subject,
		    (unsigned long long)h->size_bytes);
	page = mmap(NULL, page_size(), protection, MAP_SHARED, h->fd, 0);
	if (page == MAP_FAILED)
		return error_set_own(e, -errno);
	s->state = page;
	if (s->state->version != SYNC_VERSION)
		return error_set(e, IPC9_E_MISMATCH,
		    "%s: another release of ipc9 made it: its version is %u, not %u",
		    h->target.subject, s->state->version, SYNC_VERSION);
	if (s->kind == IPC9_SYNC_MUTEX)
		r = sync_mutex_init(&s->mutex, h->fd);
	return r ? error_set_own(e, r) : 0;
}

static void unmap_state(struct ipc9_sync *s)
{
	if (!s->state)
		return;
	sync_mutex_clear(&s->mutex, s->state);
	(void)munmap(s->state, page_size());
	s->state = NULL;
}

/* Maps memory that nobody else has yet, and writes what the object begins with; an owned mutex is taken. */
static int begin_state(struct ipc9_sync *s, const struct filemap_stuff *stuff, uint32_t initial,
    struct ipc9_error *e)
{
	bool abandoned;
	void *page =
	    mmap(NULL, page_size(), PROT_READ | PROT_WRITE, MAP_SHARED, stuff->write_fd, 0);
	int r = 0;

	if (page == MAP_FAILED)
		return error_set_own(e, -errno);
	s->state = page;
	s->state->version = SYNC_VERSION;
	if (s->kind != IPC9_SYNC_MUTEX)
		atomic_init(&s->state->word, initial);
	else
		r = sync_mutex_init(&s->mutex, stuff->write_fd);
	if (!r && s->kind == IPC9_SYNC_MUTEX && initial)
		r = sync_mutex_try(&s->mutex, stuff->write_fd, s->state, &abandoned);
	return r ? error_set_own(e, r) : 0;
}

/* --- Making and opening ------------------------------------------------------------------------ */

static struct ipc9_sync *sync_new(struct ipc9 *ipc9, const struct target *target,
    enum ipc9_sync_kind kind)
{
	struct ipc9_sync *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	filemap_handle_init(&s->handle, ipc9, target);
	atomic_init(&s->watch, NULL);
	s->kind = kind;
	return s;
}

struct ipc9_sync *ipc9_sync_close(struct ipc9_sync *s)
{
	if (!s)
		return NULL;
	sync_watch_free(atomic_load(&s->watch));
	unmap_state(s);
	filemap_leave(&s->handle);
	free(s);
	return NULL;
}

static int check_kind(const char *subject, enum ipc9_sync_kind kind, struct ipc9_error *e)
{
	if (kind == IPC9_SYNC_MUTEX || kind == IPC9_SYNC_SEMAPHORE || kind == IPC9_SYNC_EVENT)
		return 0;
	return error_set(e, IPC9_E_INVALID,
	    "%s: kind is %d; there is IPC9_SYNC_MUTEX, _SEMAPHORE and _EVENT", subject, (int)kind);
}

static uint32_t maximum_of(enum ipc9_sync_kind kind, const struct ipc9_sync_options *options)
{
	if (kind != IPC9_SYNC_SEMAPHORE)
		return 1;
	return options->maximum ? options->maximum : 1;
}

static int check_options(const char *subject, enum ipc9_sync_kind kind,
    const struct ipc9_sync_options *options, struct ipc9_error *e)
{
	unsigned known = IPC9_SYNC_CREATE_NEW | IPC9_SYNC_CREATE_KEEP;

	if (kind == IPC9_SYNC_EVENT)
		known |= IPC9_SYNC_CREATE_MANUAL;
	if (options->flags & ~known)
		return error_set(e, IPC9_E_INVALID, "%s: this kind of object has no flags 0x%x",
		    subject, options->flags & ~known);
	if (options->maximum > IPC9_FILEMAP_COUNT_MAX ||
	    (options->maximum && kind != IPC9_SYNC_SEMAPHORE))
		return error_set(e, IPC9_E_INVALID,
		    "%s: maximum is %u; that of a semaphore is 1 to %d, others have none", subject,
		    options->maximum, IPC9_FILEMAP_COUNT_MAX);
	if (options->initial > maximum_of(kind, options))
		return error_set(e, IPC9_E_INVALID, "%s: initial is %u, over the maximum, %u",
		    subject, options->initial, maximum_of(kind, options));
	return 0;
}

/* Opens it as well as the caller may; who may only read can wait for a manual event. */
static int open_there(struct ipc9_sync *s, struct ipc9_error *e)
{
	const char *subject = s->handle.target.subject;
	int r = filemap_open(&s->handle, (int)s->kind, BOTH, e);

	if (r == IPC9_E_ACCESS && s->kind == IPC9_SYNC_EVENT) {
		struct ipc9_error second;

		/* What the first try said counts, if the second fails as well. */
		if (filemap_open(&s->handle, (int)s->kind, IPC9_FILEMAP_READ, &second))
			return r;
		if (!(s->handle.flags & IPC9_FILEMAP_MANUAL))
			return error_set(e, IPC9_E_ACCESS,
			    "%s: it admits you to read, but to wait for an event that is not manual is to reset it",
			    subject);
		r = 0;
	}
	return r ? r : map_state(s, e);
}

static int make(struct ipc9_sync *s, const struct ipc9_sync_options *options,
    ipc9_filemap_create_args *args, struct ipc9_error *e)
{
	struct filemap_stuff stuff = { -1, -1 };
	const char *subject = s->handle.target.subject;
	int r = filemap_memory(subject, page_size(), &stuff, e);

	if (!r)
		r = filemap_reserve(subject, stuff.write_fd, page_size(), e);
	if (!r)
		r = begin_state(s, &stuff, options->initial, e);
	if (!r)
		r = filemap_create(&s->handle, args, &stuff, e);
	filemap_stuff_close(&stuff);
	if (!r && s->handle.existed) {
		/* Somebody made it since we looked: theirs counts, and ours is not wanted. */
		unmap_state(s);
		return map_state(s, e);
	}
	s->manual = args->flags & IPC9_FILEMAP_MANUAL;
	return r;
}

static int create(struct ipc9_sync *s, const struct ipc9_sync_options *options,
    struct ipc9_error *e)
{
	ipc9_filemap_create_args args = {
		.kind = (int)s->kind,
		.rights = BOTH,
		.size_bytes = page_size(),
		.maximum = s->kind == IPC9_SYNC_SEMAPHORE ? maximum_of(s->kind, options) : 0,
	};
	const struct link naming = { .target = s->handle.target };
	ipc9_rules rules;
	int r = acl_rules(&naming, options->rules, options->n_rules, &rules, e);

	if (r)
		return r;
	if (options->rules)
		args.rules = &rules;
	args.flags = (options->flags & IPC9_SYNC_CREATE_NEW ? IPC9_FILEMAP_NEW : 0) |
	    (options->flags & IPC9_SYNC_CREATE_KEEP ? IPC9_FILEMAP_KEEP : 0) |
	    (options->flags & IPC9_SYNC_CREATE_MANUAL ? IPC9_FILEMAP_MANUAL : 0);
	if (!(options->flags & IPC9_SYNC_CREATE_NEW) && !options->rules) {
		r = open_there(s, e);
		if (r != IPC9_E_NOENT)
			return r;
	}
	return make(s, options, &args, e);
}

static int finish(struct ipc9_sync *s, int r, struct ipc9_sync **ret)
{
	if (r)
		ipc9_sync_close(s);
	else
		*ret = s;
	return r;
}

int ipc9_sync_create(struct ipc9 *ipc9, const char *name, enum ipc9_sync_kind kind,
    const struct ipc9_sync_options *options, struct ipc9_sync **ret, struct ipc9_error *e)
{
	static const struct ipc9_sync_options usual = { .initial = 0 };
	struct target target;
	struct ipc9_sync *s;
	int r = filemap_target(name, &target, e);

	if (!options)
		options = &usual;
	if (!r)
		r = check_kind(target.subject, kind, e);
	if (!r)
		r = check_options(target.subject, kind, options, e);
	if (r)
		return r;
	s = sync_new(ipc9, &target, kind);
	if (!s)
		return error_set_own(e, -ENOMEM);
	return finish(s, create(s, options, e), ret);
}

int ipc9_sync_open(struct ipc9 *ipc9, const char *name, enum ipc9_sync_kind kind,
    struct ipc9_sync **ret, struct ipc9_error *e)
{
	struct target target;
	struct ipc9_sync *s;
	int r = filemap_target(name, &target, e);

	if (!r)
		r = check_kind(target.subject, kind, e);
	if (r)
		return r;
	s = sync_new(ipc9, &target, kind);
	if (!s)
		return error_set_own(e, -ENOMEM);
	return finish(s, open_there(s, e), ret);
}

bool ipc9_sync_existed(const struct ipc9_sync *s)
{
	return s->handle.existed;
}
