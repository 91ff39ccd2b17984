/* SPDX-License-Identifier: BSD-3-Clause */
/* sync_object.c - what is done to the words of an object, without waiting (sync.h). */
#include <errno.h>
#include <limits.h>

#include "client/error.h"
#include "client/sync.h"

#define SET 1u	     /* of a manual event's word */
#define TIMES_SET 2u /* what one more setting adds to it */

_Atomic uint32_t *sync_word(struct ipc9_sync *s)
{
	return s->kind == IPC9_SYNC_MUTEX ? sync_mutex_word(s->state) : &s->state->word;
}

static uint32_t look(struct ipc9_sync *s)
{
	return atomic_load(sync_word(s));
}

/* --- Taking ------------------------------------------------------------------------------------ */

void sync_look_begin(struct ipc9_sync *s, struct sync_look *l)
{
	*l = (struct sync_look){ .began = look(s) };
}

/* Takes one of a count. */
static int take_one(_Atomic uint32_t *word)
{
	uint32_t count = atomic_load(word);

	while (count)
		if (atomic_compare_exchange_weak(word, &count, count - 1))
			return 0;
	return -EBUSY;
}

int sync_take(struct ipc9_sync *s, struct sync_look *l, bool all)
{
	uint32_t word;

	if (s->kind == IPC9_SYNC_MUTEX)
		return sync_mutex_try(&s->mutex, s->handle.fd, s->state, &l->abandoned);
	if (s->kind == IPC9_SYNC_SEMAPHORE)
		return take_one(&s->state->word);
	if (!s->manual)
		return atomic_load(&s->state->word) && atomic_exchange(&s->state->word, 0) ? 0
											   : -EBUSY;
	/* Set and reset again while we slept is set. */
	word = atomic_load(&s->state->word);
	if (word & SET || (!all && (word ^ l->began) & ~SET))
		return 0;
	return -EBUSY;
}

bool sync_is_free(struct ipc9_sync *s)
{
	if (s->kind == IPC9_SYNC_MUTEX)
		return sync_mutex_is_free(look(s)) || sync_mutex_is_mine(&s->mutex, s->state);
	return s->manual ? look(s) & SET : look(s) != 0;
}

bool sync_is_own_elsewhere(struct ipc9_sync *s)
{
	return s->kind == IPC9_SYNC_MUTEX && sync_mutex_is_mine_elsewhere(&s->mutex, s->state);
}

/* --- Giving ------------------------------------------------------------------------------------ */

static void wake_some(struct ipc9_sync *s, uint32_t n)
{
	if (atomic_load(&s->state->waiters))
		sync_futex_wake(&s->state->word, n < INT_MAX ? (int)n : INT_MAX);
}

void sync_put_back(struct ipc9_sync *s, const struct sync_look *l)
{
	uint32_t count = atomic_load(&s->state->word);

	if (s->kind == IPC9_SYNC_MUTEX) {
		if (l->abandoned)
			atomic_store_explicit(&s->state->abandoned, 1, memory_order_relaxed);
		(void)sync_mutex_release(&s->mutex, s->state);
	} else if (s->kind == IPC9_SYNC_SEMAPHORE) {
		while (count < s->handle.maximum &&
		    !atomic_compare_exchange_weak(&s->state->word, &count, count + 1))
			;
		wake_some(s, 1);
	} else if (!s->manual) {
		atomic_store(&s->state->word, 1);
		wake_some(s, 1);
	}
}

void sync_pass_on(struct ipc9_sync *s)
{
	uint32_t word = look(s);

	if (s->kind == IPC9_SYNC_MUTEX) {
		if (sync_mutex_is_free(word))
			sync_futex_wake(sync_word(s), 1);
	} else if (!s->manual && word) {
		wake_some(s, 1);
	}
}

void sync_taken_late(struct ipc9_sync *s)
{
	_Atomic uint32_t *word = sync_word(s);

	/* The word of a free mutex had lost what it knew of sleepers. */
	if (s->kind == IPC9_SYNC_MUTEX)
		atomic_fetch_or(word, sync_mutex_contended(0));
}

static int check_event(struct ipc9_sync *s, struct ipc9_error *e)
{
	if (s->kind != IPC9_SYNC_EVENT)
		return error_set(e, IPC9_E_INVALID, "%s: it is no event: only those are set",
		    s->handle.target.subject);
	if (!s->handle.writable)
		return error_set(e, IPC9_E_ACCESS, "%s: it does not admit you to set or reset it",
		    s->handle.target.subject);
	return 0;
}

int ipc9_sync_set(struct ipc9_sync *s, struct ipc9_error *e)
{
	uint32_t word;
	int r = check_event(s, e);

	if (r)
		return r;
	if (!s->manual) {
		atomic_store(&s->state->word, 1);
		wake_some(s, 1);
		return 0;
	}
	word = atomic_load(&s->state->word);
	while (!(word & SET) &&
	    !atomic_compare_exchange_weak(&s->state->word, &word, (word + TIMES_SET) | SET))
		;
	sync_futex_wake(&s->state->word, INT_MAX);
	return 0;
}

int ipc9_sync_reset(struct ipc9_sync *s, struct ipc9_error *e)
{
	int r = check_event(s, e);

	if (!r && s->manual)
		atomic_fetch_and(&s->state->word, ~SET);
	else if (!r)
		atomic_store(&s->state->word, 0);
	return r;
}

static int release_count(struct ipc9_sync *s, uint32_t n, uint32_t *ret, struct ipc9_error *e)
{
	uint32_t maximum = s->handle.maximum, count = atomic_load(&s->state->word);

	do {
		if (count > maximum || n > maximum - count)
			return error_set(e, IPC9_E_TOOBIG,
			    "%s: %u more than %u would pass the semaphore's maximum, %u",
			    s->handle.target.subject, n, count, maximum);
	} while (!atomic_compare_exchange_weak(&s->state->word, &count, count + n));
	wake_some(s, n);
	if (ret)
		*ret = count;
	return 0;
}

int ipc9_sync_release(struct ipc9_sync *s, uint32_t n, uint32_t *ret_previous, struct ipc9_error *e)
{
	const char *subject = s->handle.target.subject;

	if (s->kind == IPC9_SYNC_EVENT)
		return error_set(e, IPC9_E_INVALID, "%s: an event is set, not released", subject);
	if (n == 0 || (s->kind == IPC9_SYNC_MUTEX && n != 1))
		return error_set(e, IPC9_E_INVALID, "%s: %u cannot be released", subject, n);
	if (s->kind == IPC9_SYNC_SEMAPHORE)
		return release_count(s, n, ret_previous, e);
	if (sync_mutex_release(&s->mutex, s->state))
		return error_set(e, IPC9_E_BADSTATE, "%s: this thread does not own the mutex",
		    subject);
	if (ret_previous)
		*ret_previous = 1;
	return 0;
}

/* --- Sleeping ---------------------------------------------------------------------------------- */

/* A mutex: leaves word that somebody sleeps. */
static bool mark_contended(_Atomic uint32_t *word, struct sync_look *l)
{
	uint32_t now = atomic_load(word);

	while (!sync_mutex_is_free(now)) {
		l->asleep = sync_mutex_contended(now);
		if (now == l->asleep || atomic_compare_exchange_weak(word, &now, l->asleep))
			return true;
	}
	return false;
}

bool sync_sleep_begin(struct ipc9_sync *s, struct sync_look *l, bool all)
{
	if (s->kind == IPC9_SYNC_MUTEX)
		return mark_contended(sync_word(s), l);
	if (s->manual) {
		l->asleep = look(s);
		return !(l->asleep & SET) && (all || !((l->asleep ^ l->began) & ~SET));
	}
	l->asleep = 0;
	atomic_fetch_add(&s->state->waiters, 1);
	l->slept = true;
	return true; /* where it is free already the kernel does not let us sleep */
}

void sync_sleep_end(struct ipc9_sync *s, struct sync_look *l)
{
	if (l->slept)
		atomic_fetch_sub(&s->state->waiters, 1);
	l->slept = false;
}
