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
 * 2. A place whose word does not tell any more that its holder has the mutex (the holder died, or somebody wrote over the
 *    word) is lost: it is in the holder's list, so that it is neither used again nor unmapped, and another is mapped in its
 *    stead.  It is freed when its holder comes by, who takes it out of the list (place_unlink), or when that thread is gone, as
 *    the kernel has been through its list before.  So no thread's list, which the kernel reads as far as 2048, has more than
 *    one such place for each handle, whatever others write and how often.
 * 3. Threads are known by their ids, as the kernel writes them, and by a number that is given once, because an id comes back: who
 *    took a place out of another's list would write to memory that is gone.  The id of the calling thread stands in the
 *    guard while it holds that, which saves a system call for each step.
 */
#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
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
	struct sync_thread holder; /* of one that was lost */
	struct sync_place *next;
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

static uint64_t own_number(void)
{
	static _Atomic uint64_t last;
	static _Thread_local uint64_t own;

	if (!own)
		own = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
	return own;
}

/* Whether that is the calling thread, which holds the guard. */
static bool is_own(const struct sync_mutex *m, const struct sync_thread *t)
{
	return t->id == own_id(m) && t->number == own_number();
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
	struct sync_place *place = calloc(1, sizeof(*place));
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

/* Takes it out of the list of the calling thread, its holder.  False: it is there still. */
static bool place_unlink(struct sync_place *place)
{
	char *page = (char *)place->mutex + SHARED_BYTES - page_size();

	/* To the C library it is unlocked; but by a word of our own, as the object's may be another owner's now. */
	if (mmap(page, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
		-1, 0) == MAP_FAILED)
		return false;
	place->mutex->__data.__lock = (int)place->holder.id;
	return pthread_mutex_unlock(place->mutex) == 0;
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
	m->made = r == 0;
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

static bool is_gone(const struct sync_thread *t)
{
	return syscall(SYS_tgkill, getpid(), (pid_t)t->id, 0) < 0 && errno == ESRCH;
}

static void free_lost(struct sync_mutex *m)
{
	struct sync_place **at = &m->lost;

	while (*at) {
		struct sync_place *place = *at;

		if (is_own(m, &place->holder) ? place_unlink(place) : is_gone(&place->holder)) {
			*at = place->next;
			place_free(place);
		} else {
			at = &place->next;
		}
	}
}

/* The holder does not have it any more, and the place is in its list (2). */
static void lose(struct sync_mutex *m)
{
	m->place->holder = m->holder;
	m->place->next = m->lost;
	m->lost = m->place;
	m->place = NULL;
	m->holder.id = 0;
	free_lost(m);
}

/*
 * Sees to it that there is a place and that it is in nobody's list, if this program's part of the mutex is free.  0; -EBUSY: it is
 * not; -ENOMEM.  With the guard held.
 */
static int ready(struct sync_mutex *m, int fd, struct sync_state *state)
{
	if (m->holder.id && owner_of(state) == m->holder.id)
		return -EBUSY;
	if (m->holder.id)
		lose(m);
	else if (m->lost)
		free_lost(m);
	return m->place ? 0 : place_new(fd, &m->place);
}

int sync_mutex_try(struct sync_mutex *m, int fd, struct sync_state *state, bool *ret_abandoned)
{
	int r;

	*ret_abandoned = false;
	pthread_mutex_lock(&m->guard);
	r = ready(m, fd, state);
	if (r == -EBUSY && is_own(m, &m->holder)) {
		r = m->depth == UINT32_MAX ? -EOVERFLOW : 0;
		m->depth += r == 0;
	} else if (r == 0) {
		r = -pthread_mutex_trylock(m->place->mutex);
		if (r == -EOWNERDEAD) {
			*ret_abandoned = true;
			r = -pthread_mutex_consistent(m->place->mutex);
		}
		if (r == 0) {
			m->holder = (struct sync_thread){ own_id(m), own_number() };
			m->depth = 1;
			if (atomic_exchange_explicit(&state->abandoned, 0, memory_order_relaxed))
				*ret_abandoned = true;
		}
	}
	pthread_mutex_unlock(&m->guard);
	return r;
}

/* With the guard held. */
static bool has_it(const struct sync_mutex *m, struct sync_state *state)
{
	return is_own(m, &m->holder) && owner_of(state) == m->holder.id;
}

bool sync_mutex_is_mine(struct sync_mutex *m, struct sync_state *state)
{
	bool mine;

	pthread_mutex_lock(&m->guard);
	mine = has_it(m, state);
	pthread_mutex_unlock(&m->guard);
	return mine;
}

bool sync_mutex_is_mine_elsewhere(struct sync_mutex *m, struct sync_state *state)
{
	bool mine;

	pthread_mutex_lock(&m->guard);
	mine = owner_of(state) == own_id(m) && !has_it(m, state);
	pthread_mutex_unlock(&m->guard);
	return mine;
}

/* By the thread that has it.  0; -EPERM: written over in this very moment. */
static int unlock(struct sync_mutex *m)
{
	int r = -pthread_mutex_unlock(m->place->mutex);

	if (r)
		lose(m);
	m->holder.id = 0;
	return r;
}

int sync_mutex_release(struct sync_mutex *m, struct sync_state *state)
{
	int r = 0;

	pthread_mutex_lock(&m->guard);
	if (has_it(m, state)) {
		if (--m->depth == 0)
			r = unlock(m);
	} else {
		r = -EPERM;
		if (is_own(m, &m->holder))
			lose(m);
		else if (m->lost)
			free_lost(m);
	}
	pthread_mutex_unlock(&m->guard);
	return r;
}

void sync_mutex_clear(struct sync_mutex *m, struct sync_state *state)
{
	if (!m->made)
		return;
	pthread_mutex_lock(&m->guard);
	if (has_it(m, state)) {
		/* Closing is not releasing. */
		atomic_store_explicit(&state->abandoned, 1, memory_order_relaxed);
		(void)unlock(m);
	}
	if (m->holder.id)
		lose(m);
	free_lost(m);
	place_free(m->place);
	m->place = NULL;
	while (m->lost) { /* their pages stay (2) */
		struct sync_place *place = m->lost;

		m->lost = place->next;
		free(place);
	}
	m->made = false;
	pthread_mutex_unlock(&m->guard);
	pthread_mutex_destroy(&m->guard);
}
