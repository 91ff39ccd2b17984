/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop.c - see loop.h.
 *
 * Timers lie in a binary heap, soonest first; heap[0] is not used, so that a timer's slot 0 can mean "not
 * set".
 */
#include "transport/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "transport/spin.h"
#include "util/clock.h"

#define EVENTS_PER_WAIT 64

struct loop {
	int epoll_fd;
	int wake_fd; /* eventfd: another thread wants the loop to look at `stopping` */
	struct loop_io wake_io;
	atomic_bool stopping;
	struct loop_timer **heap;
	size_t n_timers, heap_capacity;
	struct list deferred;
	struct epoll_event events[EVENTS_PER_WAIT];
	int n_events; /* of the batch at hand */
	struct spin spin;
};

static void on_wake(struct loop_io *io, uint32_t events)
{
	uint64_t count;

	(void)events;
	(void)!read(io->fd, &count, sizeof(count));
}

int loop_new(struct loop **ret_loop)
{
	struct loop *l = calloc(1, sizeof(*l));
	int r;

	if (!l)
		return -ENOMEM;
	list_init(&l->deferred);
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	l->wake_io.fn = on_wake;
	if (l->epoll_fd < 0 || l->wake_fd < 0)
		r = -errno;
	else
		r = loop_add(l, &l->wake_io, l->wake_fd, EPOLLIN);
	if (r) {
		loop_free(l);
		return r;
	}
	*ret_loop = l;
	return 0;
}

struct loop *loop_free(struct loop *l)
{
	if (!l)
		return NULL;
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	free(l->heap);
	free(l);
	return NULL;
}

/* --- Descriptors ------------------------------------------------------------------------------- */

int loop_add(struct loop *l, struct loop_io *io, int fd, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = io };

	if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, fd, &e))
		return -errno;
	io->loop = l;
	io->fd = fd;
	io->events = events;
	return 0;
}

int loop_change(struct loop_io *io, uint32_t events)
{
	struct epoll_event e = { .events = events, .data.ptr = io };

	if (io->events == events)
		return 0;
	if (epoll_ctl(io->loop->epoll_fd, EPOLL_CTL_MOD, io->fd, &e))
		return -errno;
	io->events = events;
	return 0;
}

void loop_remove(struct loop_io *io)
{
	struct loop *l = io->loop;

	if (!l)
		return;
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, io->fd, NULL);
	for (int i = 0; i < l->n_events; i++)
		if (l->events[i].data.ptr == io)
			l->events[i].data.ptr = NULL;
	io->loop = NULL;
}

/* --- Timers ------------------------------------------------------------------------------------ */

static void place(struct loop *l, size_t slot, struct loop_timer *timer)
{
	l->heap[slot] = timer;
	timer->slot = slot;
}

/* Moves a timer from a slot whose neighbours are in order to where it belongs. */
static void sift(struct loop *l, size_t slot, struct loop_timer *timer)
{
	while (slot > 1 && l->heap[slot / 2]->deadline > timer->deadline) {
		place(l, slot, l->heap[slot / 2]);
		slot /= 2;
	}
	for (size_t child = slot * 2; child <= l->n_timers; child = slot * 2) {
		if (child < l->n_timers && l->heap[child + 1]->deadline < l->heap[child]->deadline)
			child++;
		if (l->heap[child]->deadline >= timer->deadline)
			break;
		place(l, slot, l->heap[child]);
		slot = child;
	}
	place(l, slot, timer);
}

static int grow_heap(struct loop *l)
{
	size_t capacity = l->heap_capacity ? l->heap_capacity * 2 : 64;
	struct loop_timer **heap;

	if (l->n_timers + 1 < l->heap_capacity)
		return 0;
	heap = realloc(l->heap, capacity * sizeof(struct loop_timer *));
	if (!heap)
		return -ENOMEM;
	l->heap = heap;
	l->heap_capacity = capacity;
	return 0;
}

int loop_timer_set(struct loop *l, struct loop_timer *timer, int64_t deadline)
{
	if (deadline == CLOCK_NEVER) {
		loop_timer_clear(timer);
		return 0;
	}
	timer->loop = l;
	timer->deadline = deadline;
	if (!timer->slot) {
		int r = grow_heap(l);

		if (r)
			return r;
		timer->slot = ++l->n_timers;
	}
	sift(l, timer->slot, timer);
	return 0;
}

void loop_timer_clear(struct loop_timer *timer)
{
	struct loop *l = timer->loop;
	size_t slot = timer->slot;
	struct loop_timer *last;

	if (!slot)
		return;
	timer->slot = 0;
	last = l->heap[l->n_timers--];
	if (last != timer)
		sift(l, slot, last);
}

static void run_timers(struct loop *l)
{
	int64_t now;

	if (!l->n_timers)
		return;
	now = clock_now();
	while (l->n_timers && l->heap[1]->deadline <= now) {
		struct loop_timer *t = l->heap[1];

		loop_timer_clear(t);
		t->fn(t);
	}
}

/* --- Running ----------------------------------------------------------------------------------- */

void loop_defer(struct loop *l, struct loop_deferred *d)
{
	if (list_is_empty(&d->link))
		list_append(&l->deferred, &d->link);
}

void loop_undefer(struct loop_deferred *d)
{
	list_remove(&d->link);
}

static void run_deferred(struct loop *l)
{
	while (!list_is_empty(&l->deferred)) {
		struct loop_deferred *d = LIST_ENTRY(l->deferred.next, struct loop_deferred, link);

		list_remove(&d->link);
		d->fn(d);
	}
}

static int look(struct loop *l, int ms)
{
	int n = epoll_wait(l->epoll_fd, l->events, EVENTS_PER_WAIT, ms);

	return n < 0 && errno == EINTR ? 0 : n;
}

/* Collects events: those that are there, or come within a spin, or before the deadline. */
static int wait_for_events(struct loop *l, int64_t deadline)
{
	int64_t end = spin_end(&l->spin), slept_from;
	int n = look(l, 0);

	if (n)
		return n;
	while (!n && spin_again(end < deadline ? end : deadline))
		n = look(l, 0);
	if (n) {
		spin_hit(&l->spin);
		return n;
	}
	spin_missed(&l->spin);
	slept_from = clock_now();
	n = look(l, clock_poll_ms(deadline));
	if (n > 0)
		spin_slept(&l->spin, slept_from);
	return n;
}

int loop_run(struct loop *l)
{
	while (!atomic_load_explicit(&l->stopping, memory_order_acquire)) {
		int64_t deadline = l->n_timers ? l->heap[1]->deadline : CLOCK_NEVER;

		l->n_events = wait_for_events(l, deadline);
		if (l->n_events < 0)
			return -errno;
		for (int i = 0; i < l->n_events; i++) {
			struct loop_io *io = l->events[i].data.ptr;

			if (io)
				io->fn(io, l->events[i].events);
		}
		l->n_events = 0;
		run_timers(l);
		run_deferred(l);
	}
	return 0;
}

void loop_stop(struct loop *l)
{
	uint64_t one = 1;
	int saved = errno;

	atomic_store_explicit(&l->stopping, true, memory_order_release);
	(void)!write(l->wake_fd, &one, sizeof(one));
	errno = saved;
}
