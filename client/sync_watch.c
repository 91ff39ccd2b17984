/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sync_watch.c - a descriptor that tells when an object was seen free (sync.h).
 *
 * A thread of its own sleeps as a waiter does, but takes nothing: when it sees the object free it passes on what it may have
 * been woken for, makes the descriptor readable, and rests until a wait of this program has ended.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/error.h"
#include "client/sync.h"
#include "util/clock.h"

enum {
	WATCH_RESTS = 0,
	WATCH_LOOKS = 1,
	WATCH_ENDS = 2,
};

struct sync_watch {
	struct ipc9_sync *sync;
	pthread_t thread;
	int fd;			/* eventfd, non-blocking */
	_Atomic uint32_t state; /* WATCH_...; the thread sleeps on it too */
};

static void set_state(struct sync_watch *w, uint32_t state)
{
	atomic_store(&w->state, state);
	sync_futex_wake(&w->state, 1);
}

static void tell(struct sync_watch *w)
{
	uint32_t looks = WATCH_LOOKS;

	if (atomic_compare_exchange_strong(&w->state, &looks, WATCH_RESTS))
		(void)eventfd_write(w->fd, 1);
	sync_pass_on(w->sync);
}

static void sleep_once(struct sync_watch *w, uint32_t state)
{
	struct sync_futex futexes[2] = { { &w->state, state } };
	struct ipc9_sync *s = w->sync;
	struct sync_look look;

	if (state == WATCH_RESTS) {
		(void)sync_futex_sleep(futexes, 1, CLOCK_NEVER);
		return;
	}
	sync_look_begin(s, &look);
	if (sync_sleep_begin(s, &look, true)) {
		futexes[1] = (struct sync_futex){ sync_word(s), look.asleep };
		(void)sync_futex_sleep(futexes, 2, CLOCK_NEVER);
	}
	sync_sleep_end(s, &look);
}

static void *run(void *argument)
{
	struct sync_watch *w = argument;

	for (;;) {
		uint32_t state = atomic_load(&w->state);

		if (state == WATCH_ENDS)
			return NULL;
		if (state == WATCH_LOOKS && sync_is_free(w->sync))
			tell(w);
		else
			sleep_once(w, state);
	}
}

/* 0 or -errno. */
static int start(struct sync_watch *w)
{
	sigset_t all, before;
	int r;

	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	r = -pthread_create(&w->thread, NULL, run, w);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

static int watch_new(struct ipc9_sync *s, struct sync_watch **ret)
{
	struct sync_watch *w = calloc(1, sizeof(*w));
	int r = 0;

	if (!w)
		return -ENOMEM;
	w->sync = s;
	atomic_init(&w->state, WATCH_LOOKS);
	w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->fd < 0)
		r = -errno;
	else
		r = start(w);
	if (r) {
		if (w->fd >= 0)
			close(w->fd);
		free(w);
		return r;
	}
	*ret = w;
	return 0;
}

void sync_watch_free(struct sync_watch *w)
{
	if (!w)
		return;
	set_state(w, WATCH_ENDS);
	pthread_join(w->thread, NULL);
	close(w->fd);
	free(w);
}

void sync_watch_rearm(struct ipc9_sync *s)
{
	struct sync_watch *w = atomic_load(&s->watch);
	eventfd_t told;

	if (!w)
		return;
	(void)eventfd_read(w->fd, &told);
	set_state(w, WATCH_LOOKS);
}

int ipc9_sync_fd(struct ipc9_sync *s, int *ret_fd, struct ipc9_error *e)
{
	struct sync_watch *w = atomic_load(&s->watch), *none = NULL;
	int r = w ? 0 : watch_new(s, &w);

	if (r)
		return error_set(e, r, "%s: cannot watch it: %s", s->handle.target.subject,
		    strerror(-r));
	/* Another thread may have asked at the same time. */
	if (w != atomic_load(&s->watch) && !atomic_compare_exchange_strong(&s->watch, &none, w)) {
		sync_watch_free(w);
		w = none;
	}
	*ret_fd = w->fd;
	return 0;
}
