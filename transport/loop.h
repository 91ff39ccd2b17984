/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop.h - one thread's event loop: descriptors, timers, things put off.
 *
 * Everything but loop_stop is for the loop's own thread.  Callbacks run on it and must not
 * block.  A callback may remove any source or timer, its own included; a removed one is not called again,
 * not even for events that had already been collected.
 */
#ifndef TRANSPORT_LOOP_H
#define TRANSPORT_LOOP_H

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

/* Runs until loop_stop; 0, or -errno when waiting itself fails. */
int loop_run(struct loop *loop);

/* From any thread, and from signal handlers. */
void loop_stop(struct loop *loop);

#endif
