/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loop.c - see loop.h.
 *
 * Timers lie in a binary heap, soonest first; heap[0] is not used, so that a timer's slot 0 can mean "not
 * set".
 *
 * While the running thread of a shared loop waits, `events` is the kernel's to write, and other threads may
 * remove sources.  What they remove is noted in `removed`, and the waiting thread leaves its events out; where there were
 * too many to note it forgets all events of that look, which come again.
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
#define REMOVED_MAX 64
#define HOT_HITS_MAX 32	  /* then the other sources have a look as well */
#define HOT_MISSES_MAX 16 /* likewise */
#define HOT_NS 20000	  /* the same, where others have their turn between two looks */

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
	bool bulk;	     /* among the sources of the last batch */
	struct loop_io *hot; /* the only source of the last batch, if it can be looked at */
	unsigned hot_hits;   /* since the last batch */

	pthread_mutex_t *lock; /* NULL: one thread's own */
	uint64_t runs;
	bool waiting; /* the running thread does not hold the lock, and waits for events */
	int64_t wait_until;
	const struct loop_io *removed[REMOVED_MAX];
	size_t n_removed; /* REMOVED_MAX: at least so many */
	void (*turn)(void *context);
	void *turn_context;
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
	if (l->hot == io)
		l->hot = NULL;
	if (l->waiting && l->n_removed < REMOVED_MAX)
		l->removed[l->n_removed++] = io;
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

/* --- Waiting ----------------------------------------------------------------------------------- */

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

	if (n >= 0)
		return n;
	return errno == EINTR ? 0 : -errno;
}

/* Collects events: those that are there, or come within a spin, or before the deadline. */
static int wait_for_events(struct loop *l, int64_t deadline)
{
	struct spin_run spin = { 0 };
	int64_t slept_from;
	int n = 0;

	if (!l->bulk && spin_begin(&l->spin, &spin))
		n = look(l, 0);

	if (n)
		return n;
	while (!n && spin_again(&spin, deadline))
		n = look(l, 0);
	if (n) {
		spin_hit(&l->spin, &spin);
		return n;
	}
	if (!l->bulk)
		spin_missed(&l->spin, &spin);
	slept_from = clock_now();
	n = look(l, clock_poll_ms(deadline));
	if (n > 0)
		spin_slept(&l->spin, slept_from);
	return n;
}

/* --- Several threads --------------------------------------------------------------------------- */

void loop_share(struct loop *l, pthread_mutex_t *lock)
{
	l->lock = lock;
}

void loop_each_turn(struct loop *l, void (*fn)(void *context), void *context)
{
	l->turn = fn;
	l->turn_context = context;
}

static void wake(struct loop *l)
{
	uint64_t one = 1;

	(void)!write(l->wake_fd, &one, sizeof(one));
}

void loop_enter(struct loop *l)
{
	pthread_mutex_lock(l->lock);
}

void loop_settle(struct loop *l)
{
	run_deferred(l);
	/* Whoever waits knows nothing of a timer that was set meanwhile. */
	if (l->waiting && l->n_timers && l->heap[1]->deadline < l->wait_until)
		wake(l);
}

void loop_leave(struct loop *l)
{
	loop_settle(l);
	pthread_mutex_unlock(l->lock);
}

uint64_t loop_runs(const struct loop *l)
{
	return l->runs;
}

/* Leaves out the events of what was removed since they began to be collected. */
static void forget_removed(struct loop *l)
{
	for (size_t r = 0; r < l->n_removed; r++)
		for (int i = 0; i < l->n_events; i++)
			if (l->n_removed == REMOVED_MAX || l->events[i].data.ptr == l->removed[r])
				l->events[i].data.ptr = NULL;
}

/* 0 or -errno. */
static int collect(struct loop *l)
{
	int64_t deadline = l->n_timers ? l->heap[1]->deadline : CLOCK_NEVER;
	int n;

	if (l->lock) {
		l->n_removed = 0;
		l->wait_until = deadline;
		l->waiting = true;
		pthread_mutex_unlock(l->lock);
	}
	n = wait_for_events(l, deadline);
	if (l->lock) {
		pthread_mutex_lock(l->lock);
		l->waiting = false;
	}
	l->n_events = n > 0 ? n : 0;
	if (l->lock)
		forget_removed(l);
	return n < 0 ? n : 0;
}

/* --- Spinning on one source -------------------------------------------------------------------- */

/* Lets other threads of the program, and of the machine, have their turn. */
static bool yield_once(struct loop *l, struct spin_run *spin, int64_t deadline)
{
	bool again;

	if (!l->lock)
		return spin_again(spin, deadline);
	pthread_mutex_unlock(l->lock);
	again = spin_again(spin, deadline);
	pthread_mutex_lock(l->lock);
	return again;
}

/*
 * Looks at the source of the last event until something comes from it; false: nothing has, or others are due.
 */
static bool look_at_hot(struct loop *l, uint64_t run)
{
	int64_t deadline = l->n_timers ? l->heap[1]->deadline : CLOCK_NEVER;
	struct spin_run spin;
	int64_t until;

	if (!l->hot || l->hot->is_bulk || l->hot_hits >= HOT_HITS_MAX ||
	    !spin_begin(&l->spin, &spin))
		return false;
	until = spin.seen + HOT_NS;
	for (int i = 0; i < HOT_MISSES_MAX && spin.seen < until && yield_once(l, &spin, deadline);
	     i++) {
		if (l->runs != run || !l->hot)
			return false;
		if (l->hot->look(l->hot)) {
			spin_hit(&l->spin, &spin);
			l->hot_hits++;
			return true;
		}
	}
	if (spin.hogged)
		spin_missed(&l->spin, &spin);
	return false;
}

static void run_events(struct loop *l)
{
	struct loop_io *only = l->n_events == 1 ? l->events[0].data.ptr : NULL;

	l->hot = only && only->look ? only : NULL;
	l->hot_hits = 0;
	l->bulk = false;
	for (int i = 0; i < l->n_events; i++) {
		struct loop_io *io = l->events[i].data.ptr;

		if (!io)
			continue;
		io->fn(io, l->events[i].events);
		/* Removed ones, whose memory may be gone, are NULL now. */
		if (l->events[i].data.ptr && io->is_bulk)
			l->bulk = true;
	}
	l->n_events = 0;
}

/* --- Running ----------------------------------------------------------------------------------- */

int loop_run(struct loop *l)
{
	uint64_t run = ++l->runs;
	int r;

	for (;;) {
		if (l->turn)
			l->turn(l->turn_context);
		loop_settle(l); /* another thread may be the one that waits now */
		if (loop_is_stopping(l) || l->runs != run)
			return 0;
		if (!look_at_hot(l, run) && l->runs == run) {
			r = collect(l);
			if (r)
				return r;
			run_events(l);
		}
		run_timers(l);
	}
}

bool loop_is_stopping(const struct loop *l)
{
	return atomic_load_explicit(&l->stopping, memory_order_acquire);
}

void loop_stop(struct loop *l)
{
	int saved = errno;

	atomic_store_explicit(&l->stopping, true, memory_order_release);
	wake(l);
	errno = saved;
}
