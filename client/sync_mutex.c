/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sync_mutex.c - a mutex in memory that others may scribble over, which the kernel releases when its owner dies (sync.h).
 *
 * The kernel finds what a dying thread owns by the thread's robust list (set_robust_list(2)).  That list is the C library's,
 * and goes through the mutexes themselves: in shared memory anybody could bend its pointers.  So a mutex lies across the
 * boundary of two pages: the futex is the last word but one of the object's page, which all share, and what follows it,
 * the list's links among it, is at the beginning of a page of this program's own.
 *
 *	| the object's page, shared ........ lock count | owner ... kind ... links | nothing |
 *
 * 1. The C library's mutex is only ever tried for, and released by the thread that has it; what it keeps in its own part is
 *    therefore true whatever stands in the shared word.  Sleeping is ours (sync_wait.c).
 * 2. A place, once its links may be in some thread's list without this program knowing whose, is not used again and not
 *    unmapped: its owner died, or the word does not tell any more that it is the owner's.  Another is mapped in
 *    its stead.  That costs a program two pages for each of its threads that dies with a mutex.
 * 3. Threads are known by their ids, as the kernel writes them.  That of the calling thread stands in the guard while it
 *    holds that, which saves a system call for each step.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/sync.h"

#define SHARED_BYTES 8 /* of the mutex: the futex, and a count that is not used */

_Static_assert(offsetof(pthread_mutex_t, __data.__lock) == 0 &&
	sizeof(((pthread_mutex_t *)NULL)->__data.__lock) == 4 &&
	offsetof(pthread_mutex_t, __data.__owner) == SHARED_BYTES &&
	offsetof(pthread_mutex_t, __data.__list) >= SHARED_BYTES,
    "the futex comes first, and all that the C library relies on behind the boundary");
_Static_assert(_Alignof(pthread_mutex_t) <= SHARED_BYTES, "it may lie across a boundary of pages");

/* Two pages; what is behind the boundary is the mutex's own part. */
struct sync_place {
	pthread_mutex_t *mutex;
};

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* The calling thread, which holds the guard. */
static uint32_t own_id(const struct sync_mutex *m)
{
	return (uint32_t)m->guard.__data.__owner;
}

_Atomic uint32_t *sync_mutex_word(struct sync_state *state)
{
	return (_Atomic uint32_t *)(void *)((char *)state + page_size() - SHARED_BYTES);
}

bool sync_mutex_is_free(uint32_t word)
{
	return word == 0 || word & FUTEX_OWNER_DIED;
}

uint32_t sync_mutex_contended(uint32_t word)
{
	return word | FUTEX_WAITERS;
}

/* --- Places ------------------------------------------------------------------------------------ */

/* The own part of a mutex as the C library makes it: robust, shared, and telling whom it deadlocks. */
static int make_own_part(pthread_mutex_t *mutex)
{
	pthread_mutexattr_t kind;
	pthread_mutex_t fresh;
	int r = pthread_mutexattr_init(&kind);

	if (r)
		return -r;
	(void)pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST);
	(void)pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED);
	(void)pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
	r = pthread_mutex_init(&fresh, &kind);
	(void)pthread_mutexattr_destroy(&kind);
	if (!r)
		memcpy((char *)mutex + SHARED_BYTES, (const char *)&fresh + SHARED_BYTES,
		    sizeof(fresh) - SHARED_BYTES);
	return -r;
}

static void place_free(struct sync_place *place)
{
	if (!place)
		return;
	(void)munmap((char *)place->mutex + SHARED_BYTES - page_size(), 2 * page_size());
	free(place);
}

static int place_new(int fd, struct sync_place **ret)
{
	struct sync_place *place = malloc(sizeof(*place));
	size_t page = page_size();
	char *pages;
	int r = 0;

	if (!place)
		return -ENOMEM;
	pages = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED) {
		free(place);
		return -ENOMEM;
	}
	if (mmap(pages, page, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		r = -errno;
	place->mutex = (pthread_mutex_t *)(void *)(pages + page - SHARED_BYTES);
	if (!r)
		r = make_own_part(place->mutex);
	if (r)
		place_free(place);
	else
		*ret = place;
	return r;
}

int sync_mutex_init(struct sync_mutex *m, int fd)
{
	pthread_mutexattr_t kind;
	int r = -pthread_mutexattr_init(&kind);

	if (r)
		return r;
	/* The other kinds need not note who holds them. */
	(void)pthread_mutexattr_settype(&kind, PTHREAD_MUTEX_ERRORCHECK);
	r = place_new(fd, &m->place);
	if (!r)
		pthread_mutex_init(&m->guard, &kind);
	(void)pthread_mutexattr_destroy(&kind);
	return r;
}

/* --- Owning ------------------------------------------------------------------------------------ */

static uint32_t owner_of(struct sync_state *state)
{
	uint32_t word = atomic_load_explicit(sync_mutex_word(state), memory_order_relaxed);

	return word & FUTEX_OWNER_DIED ? 0 : word & FUTEX_TID_MASK;
}

/*
 * Sees to it that the place is in nobody's list, if this program's part of the mutex is free.  0; -EBUSY: it is
 * not; -ENOMEM.  With the guard held.
 */
static int ready(struct sync_mutex *m, int fd, struct sync_state *state)
{
	struct sync_place *other;
	int r;

	if (m->holder && owner_of(state) == m->holder)
		return -EBUSY;
	/* The holder died, or somebody wrote over the word; either way we cannot tell its list (2). */
	if (m->holder)
		m->stale = true;
	m->holder = 0;
	if (!m->stale)
		return 0;
	r = place_new(fd, &other);
	if (r)
		return r;
	free(m->place);
	m->place = other;
	m->stale = false;
	return 0;
}

int sync_mutex_try(struct sync_mutex *m, int fd, struct sync_state *state, bool *ret_abandoned)
{
	uint32_t id;
	int r;

	*ret_abandoned = false;
	pthread_mutex_lock(&m->guard);
	id = own_id(m);
	r = ready(m, fd, state);
	if (r == -EBUSY && m->holder == id) {
		r = m->depth == UINT32_MAX ? -EOVERFLOW : 0;
		m->depth += r == 0;
	} else if (r == 0) {
		r = -pthread_mutex_trylock(m->place->mutex);
		if (r == -EOWNERDEAD) {
			*ret_abandoned = true;
			r = -pthread_mutex_consistent(m->place->mutex);
		}
		if (r == 0) {
			m->holder = id;
			m->depth = 1;
			if (atomic_exchange_explicit(&state->abandoned, 0, memory_order_relaxed))
				*ret_abandoned = true;
		}
	}
	pthread_mutex_unlock(&m->guard);
	return r;
}

bool sync_mutex_is_mine(struct sync_mutex *m, struct sync_state *state)
{
	bool mine;

	pthread_mutex_lock(&m->guard);
	mine = m->holder == own_id(m) && owner_of(state) == m->holder;
	pthread_mutex_unlock(&m->guard);
	return mine;
}

int sync_mutex_release(struct sync_mutex *m, struct sync_state *state)
{
	int r = 0;

	pthread_mutex_lock(&m->guard);
	if (m->holder != own_id(m) || owner_of(state) != m->holder) {
		r = -EPERM;
	} else if (--m->depth == 0) {
		m->holder = 0;
		r = -pthread_mutex_unlock(m->place->mutex);
		/* Written over in this very moment: it is in our list still. */
		m->stale = r != 0;
	}
	pthread_mutex_unlock(&m->guard);
	return r;
}

void sync_mutex_clear(struct sync_mutex *m, struct sync_state *state)
{
	if (!m->place)
		return;
	pthread_mutex_lock(&m->guard);
	if (m->holder && m->holder == own_id(m) && owner_of(state) == m->holder) {
		/* Closing is not releasing. */
		atomic_store_explicit(&state->abandoned, 1, memory_order_relaxed);
		m->holder = 0;
		m->stale = pthread_mutex_unlock(m->place->mutex) != 0;
	}
	if (m->holder || m->stale)
		free(m->place); /* the pages stay (2) */
	else
		place_free(m->place);
	m->place = NULL;
	pthread_mutex_unlock(&m->guard);
	pthread_mutex_destroy(&m->guard);
}
