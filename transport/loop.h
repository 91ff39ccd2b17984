/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop.h - one thread's event loop: descriptors, timers, things put off.
 *
 * Everything but loop_stop is for the loop's own thread.  Callbacks run on it and must not
 * block.  A callback may remove any source or timer, its own included; a removed one is not called again,
 * not even for events that had already been collected.
 *
 * A loop that was given a lock (loop_share) is for whoever holds it: the running thread lets go of it only while it
 * waits for events, and in loop_each_turn's callback; other threads work between
 * loop_enter and loop_leave.
 */
#ifndef TRANSPORT_LOOP_H
#define TRANSPORT_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "util/list.h"

struct loop;
struct loop_io;
struct loop_timer;

/* events: EPOLLIN, ... as epoll reports them. */
typedef void loop_io_fn(struct loop_io *io, uint32_t events);
typedef void loop_timer_fn(struct loop_timer *timer);

/* Lies inside the struct that it serves; start from all zero with fn set. */
struct loop_io {
	loop_io_fn *fn;
	/*
	 * Optional: takes in what has come, if anything has, without waiting; whether it had.  While the
	 * loop spins it asks the source of the last event in this way, which is cheaper than epoll.
	 */
	bool (*look)(struct loop_io *io);
	bool is_bulk;	   /* it takes in bulk now: what comes next is not worth a spin */
	struct loop *loop; /* NULL while not added */
	int fd;
	uint32_t events;
};

struct loop_timer {
	loop_timer_fn *fn;
	struct loop *loop;
	int64_t deadline; /* on util/clock.h's clock */
	size_t slot;	  /* place in the loop's heap, from 1; 0: not set */
};

int loop_new(struct loop **ret_loop);
struct loop *loop_free(struct loop *loop);

/* Watches fd, level-triggered.  0 or -errno.  The descriptor stays the caller's. */
int loop_add(struct loop *loop, struct loop_io *io, int fd, uint32_t events);
int loop_change(struct loop_io *io, uint32_t events);
/* To be called before the descriptor is closed or given away.  Fine when it is not added. */
void loop_remove(struct loop_io *io);

/* Calls timer->fn once at the deadline; setting it again moves it.  CLOCK_NEVER: the same as clearing. */
int loop_timer_set(struct loop *loop, struct loop_timer *timer, int64_t deadline);
void loop_timer_clear(struct loop_timer *timer);

/* Something to be done after the events at hand, before the loop sleeps; once per loop_defer. */
struct loop_deferred {
	void (*fn)(struct loop_deferred *deferred);
	struct list link; /* list_init before first use */
};
void loop_defer(struct loop *loop, struct loop_deferred *deferred);
void loop_undefer(struct loop_deferred *deferred);

/*
 * Runs until loop_stop; 0, or -errno when waiting itself fails.  On a shared loop another thread may call it
 * while a callback of the first has let go of the lock; the first then returns 0 as soon as that callback does.
 */
int loop_run(struct loop *loop);

/* From any thread, and from signal handlers. */
void loop_stop(struct loop *loop);

/* --- Loops of several threads ------------------------------------------------------------------ */

/* From now on the loop is guarded by lock, which loop_run and everything else expects to be held. */
void loop_share(struct loop *loop, pthread_mutex_t *lock);

/*
 * fn runs on the running thread once in each turn, before what was put off; it may let go of the lock for a
 * while, and returns at once when loop_runs has changed after that.
 */
void loop_each_turn(struct loop *loop, void (*fn)(void *context), void *context);

/* Takes the lock; and lets go of it when what was put off has been done. */
void loop_enter(struct loop *loop);
void loop_leave(struct loop *loop);
/* Does what was put off, with the lock held. */
void loop_settle(struct loop *loop);

/* Which thread runs the loop: changes whenever loop_run is entered. */
uint64_t loop_runs(const struct loop *loop);

bool loop_is_stopping(const struct loop *loop);

#endif
