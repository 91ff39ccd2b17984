/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sync_wait.c - waiting for one object, any of several, or all of them (sync.h).
 *
 * Each round tries to take, then sleeps on what was not free.  A wait for all has nothing while it sleeps: it takes all
 * when all were seen free, and puts back what it got when one of them was taken meanwhile.
 */
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "client/error.h"
#include "client/sync.h"
#include "util/clock.h"

#define NAP_MAX_MS 16

struct waiting {
	struct ipc9_sync *const *syncs;
	size_t n;
	bool all;
	int64_t deadline;
	struct sync_look looks[IPC9_SYNC_WAIT_MAX];
	size_t taken;	   /* which was; of a failure, which it was about */
	bool slept, woken; /* at all; the last time */
	int nap_ms;	   /* the next one */
};

/* --- Rounds ------------------------------------------------------------------------------------ */

static int take_any(struct waiting *w)
{
	for (size_t i = 0; i < w->n; i++) {
		int r = sync_take(w->syncs[i], &w->looks[i], false);

		w->taken = i;
		if (r != -EBUSY)
			return r;
	}
	return -EBUSY;
}

static int take_all(struct waiting *w)
{
	int r = 0;
	size_t i;

	for (i = 0; i < w->n; i++) {
		if (sync_is_free(w->syncs[i]))
			continue;
		w->taken = i;
		if (sync_is_own_elsewhere(w->syncs[i]))
			return -EDEADLK;
		r = -EBUSY;
	}
	if (r)
		return r;
	for (i = 0; i < w->n; i++) {
		r = sync_take(w->syncs[i], &w->looks[i], true);
		w->taken = i;
		if (r)
			break;
	}
	while (r && i-- > 0)
		sync_put_back(w->syncs[i], &w->looks[i]);
	return r;
}

/*
 * All were free, and yet were not taken together: somebody was faster, or one object is there by two handles and cannot be had
 * twice.  That ends soon or never, and nobody wakes us.
 */
static void nap(struct waiting *w)
{
	_Atomic uint32_t nobody = 0;
	const struct sync_futex futex = { &nobody, 0 };
	int64_t until = clock_deadline_ms(w->nap_ms);

	if (w->nap_ms == 0)
		(void)sched_yield();
	else
		(void)sync_futex_sleep(&futex, 1, until < w->deadline ? until : w->deadline);
	w->nap_ms = w->nap_ms == 0 ? 1 : w->nap_ms < NAP_MAX_MS ? 2 * w->nap_ms : NAP_MAX_MS;
}

static void sleep_once(struct waiting *w)
{
	struct sync_futex futexes[SYNC_FUTEX_MAX];
	unsigned n = 0;
	bool look_again = false;
	size_t i;

	for (i = 0; i < w->n && !look_again; i++) {
		struct ipc9_sync *s = w->syncs[i];

		/* Of those that are free only the others are waited for. */
		if (w->all && sync_is_free(s))
			continue;
		look_again = !sync_sleep_begin(s, &w->looks[i], w->all);
		futexes[n++] = (struct sync_futex){ sync_word(s), w->looks[i].asleep };
	}
	if (n == 0) {
		nap(w);
	} else if (!look_again) {
		w->nap_ms = 0;
		w->woken = sync_futex_sleep(futexes, n, w->deadline);
		w->slept = true;
	}
	while (i-- > 0)
		sync_sleep_end(w->syncs[i], &w->looks[i]);
}

/* Others that we were woken for and do not take are somebody else's. */
static void pass_on(const struct waiting *w, bool but_taken)
{
	if (w->n == 1 || !w->slept)
		return;
	for (size_t i = 0; i < w->n; i++)
		if (!but_taken || (!w->all && i != w->taken))
			sync_pass_on(w->syncs[i]);
}

/* 0; -EBUSY: the time is over; -EDEADLK; -errno. */
static int rounds(struct waiting *w)
{
	for (size_t i = 0; i < w->n; i++)
		sync_look_begin(w->syncs[i], &w->looks[i]);
	for (;;) {
		int r = w->all ? take_all(w) : take_any(w);

		if (r != -EBUSY || clock_now() >= w->deadline) {
			if (r == 0 && w->slept && !w->woken)
				atomic_fetch_add(&w->syncs[w->taken]->rescued, 1);
			pass_on(w, r == 0);
			return r;
		}
		if (w->all)
			pass_on(w, false);
		sleep_once(w);
	}
}

/* --- Waiting ----------------------------------------------------------------------------------- */

static int explain(const struct waiting *w, int r, int wait_ms, struct ipc9_error *e)
{
	const char *subject = w->syncs[w->taken]->handle.target.subject;

	if (r == -EDEADLK)
		return error_set(e, IPC9_E_BADSTATE,
		    "%s: this thread owns the mutex by another handle, and would wait for itself",
		    subject);
	if (r != -EBUSY)
		return error_set(e, r, "%s: cannot wait: %s", subject, strerror(-r));
	if (w->n == 1 && wait_ms == 0)
		return error_set(e, IPC9_E_TIMEDOUT, "%s: not free now", subject);
	if (w->n == 1)
		return error_set(e, IPC9_E_TIMEDOUT, "%s: not free within %d ms", subject, wait_ms);
	return error_set(e, IPC9_E_TIMEDOUT, "%s %zu objects was free within %d ms",
	    w->all ? "at no time all of" : "none of", w->n, wait_ms);
}

static int check(struct ipc9_sync *const *syncs, size_t n, int wait_ms, struct ipc9_error *e)
{
	if (n == 0 || n > IPC9_SYNC_WAIT_MAX)
		return error_set(e, IPC9_E_INVALID, "a wait is for 1 to %d objects, not %zu",
		    IPC9_SYNC_WAIT_MAX, n);
	if (wait_ms < IPC9_FOREVER)
		return error_set(e, IPC9_E_INVALID,
		    "%s: a wait of %d ms; it must be IPC9_FOREVER or not negative",
		    syncs[0]->handle.target.subject, wait_ms);
	for (size_t i = 1; i < n; i++)
		for (size_t k = 0; k < i; k++)
			if (syncs[i] == syncs[k])
				return error_set(e, IPC9_E_INVALID,
				    "%s: it is waited for twice in one wait",
				    syncs[i]->handle.target.subject);
	return 0;
}

static int wait_for(struct ipc9_sync *const *syncs, size_t n, bool all, int wait_ms,
    size_t *ret_index, bool *ret_abandoned, struct ipc9_error *e)
{
	struct waiting w = {
		.syncs = syncs,
		.n = n,
		.all = all,
		.deadline = clock_deadline_ms(wait_ms),
	};
	bool abandoned = false;
	int r = check(syncs, n, wait_ms, e);

	if (r)
		return r;
	r = rounds(&w);
	for (size_t i = 0; i < n; i++) {
		bool is_taken = r == 0 && (all || i == w.taken);

		if (is_taken && w.slept)
			sync_taken_late(syncs[i]);
		abandoned = abandoned || (is_taken && w.looks[i].abandoned);
		sync_watch_rearm(syncs[i]);
	}
	if (r)
		return explain(&w, r, wait_ms, e);
	if (ret_index)
		*ret_index = w.taken;
	if (ret_abandoned)
		*ret_abandoned = abandoned;
	return 0;
}

int ipc9_sync_wait(struct ipc9_sync *sync, int wait_ms, bool *ret_abandoned, struct ipc9_error *e)
{
	return wait_for(&sync, 1, false, wait_ms, NULL, ret_abandoned, e);
}

int ipc9_sync_wait_any(struct ipc9_sync *const *syncs, size_t n, int wait_ms, size_t *ret_index,
    bool *ret_abandoned, struct ipc9_error *e)
{
	return wait_for(syncs, n, false, wait_ms, ret_index, ret_abandoned, e);
}

int ipc9_sync_wait_all(struct ipc9_sync *const *syncs, size_t n, int wait_ms, bool *ret_abandoned,
    struct ipc9_error *e)
{
	return wait_for(syncs, n, true, wait_ms, NULL, ret_abandoned, e);
}
