/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frames_later.c - what leaves without a call of the program: frames that were kept, and those of ends that are closed.
 *
 * One thread of the process does that for all ends.  It is started when an end has something that did not leave, and ends when
 * for a while none has.  An end whose program comes again soon is left to it for that long (PAUSE_NS); then the thread waits
 * until its socket can be written.
 *
 * 1. An end has a place here from the time something is kept until the thread has found nothing kept, or it is forgotten.  The
 *    end points to it by `later`; both belong to the lock below, which is taken behind an end's send_lock, and held while
 *    nothing else is.
 * 2. The thread works on an end without the lock, and has it in `busy` meanwhile: whoever forgets it waits for that.
 * 3. A place that is given up is freed by the thread between two waits, as the last one may have told of it.
 *
 * It is the one state of the library that hangs from no handle: ends of all contexts, and of none, share the thread, and those
 * that are closed outlive theirs.  A child after fork() has neither the thread nor a use for its parent's ends: all begins anew.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "client/frames_state.h"
#include "util/clock.h"

#define PAUSE_NS (1 * NS_PER_MS)
#define IDLE_NS (200 * NS_PER_MS) /* that the thread waits for the next end before it ends */
#define EVENTS 16
#define LINGER_LOOK_NS (10 * NS_PER_MS) /* at what has left but has not arrived: nothing tells */
#define LINGER_MOST_NS (1000 * NS_PER_MS)
#define LINGER_NS (300 * NS_PER_S) /* for a reader that is there and does not read */
#define LINGER_OUT_NS                                                                              \
	(1 * NS_PER_S) /* for one that was thrown out: of what it has not read nothing counts */

struct frames_later {
	struct list link;      /* in `places` or `left` */
	struct frames *frames; /* NULL: forgotten */
	unsigned generation;   /* later's, when it was made; of another one it is in no list */
	bool armed;	       /* its socket is in the epoll's set */
	bool closed;	       /* and to be freed */
	int64_t look_at;       /* CLOCK_NEVER: when the socket says so */
	int64_t pause;	       /* of one that is closed: until the next look */
	int64_t until;	       /* the same: for no longer than this */
};

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	struct list places, left; /* those of ends; those to be freed */
	unsigned generation;	  /* another one in a child after fork() */
	bool runs;
	int epoll_fd, wake_fd;
	int64_t sleeps_until; /* 0: it does not */
	struct frames *busy;
} later = {
	.lock = PTHREAD_MUTEX_INITIALIZER,
	.changed = PTHREAD_COND_INITIALIZER,
	.places = { &later.places, &later.places },
	.left = { &later.left, &later.left },
	.epoll_fd = -1,
	.wake_fd = -1,
};

/* --- Places; with the lock held ---------------------------------------------------------------- */

static void wake_by(int64_t when)
{
	if (when < later.sleeps_until)
		(void)eventfd_write(later.wake_fd, 1);
}

/* So that the thread learns, once, when the socket can be written, or read. */
static void arm(struct frames_later *p, uint32_t events)
{
	struct epoll_event event = { .events = events | EPOLLONESHOT, .data.ptr = p };

	p->look_at = CLOCK_NEVER;
	if (epoll_ctl(later.epoll_fd, p->armed ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, p->frames->fd,
		&event))
		p->look_at = clock_now() + LINGER_LOOK_NS; /* there is no memory for that */
	else
		p->armed = true;
}

static struct frames_later *add(struct frames *f)
{
	struct frames_later *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->frames = f;
	p->generation = later.generation;
	p->pause = LINGER_LOOK_NS;
	list_append(&later.places, &p->link);
	f->later = p;
	atomic_store_explicit(&f->has_place, true, memory_order_seq_cst);
	return p;
}

/* Nobody is at it.  Its place goes as soon as the thread does not know of it any more. */
static void give_up_place(struct frames_later *p)
{
	if (p->armed)
		epoll_ctl(later.epoll_fd, EPOLL_CTL_DEL, p->frames->fd, NULL);
	atomic_store_explicit(&p->frames->has_place, false, memory_order_seq_cst);
	p->frames->later = NULL;
	p->frames = NULL;
	list_remove(&p->link);
	list_append(&later.left, &p->link);
}

static void free_left(void)
{
	LIST_FOR_EACH (link, &later.left) {
		list_remove(link);
		free(LIST_ENTRY(link, struct frames_later, link));
	}
}

/* --- The thread; with the lock held but for while it works, or waits ---------------------------- */

/* Sends what is kept of an end.  False: it has no place here any more. */
static void push(struct frames_later *p)
{
	struct frames *f = p->frames;
	bool had = atomic_load_explicit(&f->kept, memory_order_relaxed), looked;

	pthread_mutex_unlock(&later.lock);
	looked = frames_push(f);
	pthread_mutex_lock(&later.lock);
	/* Where the program does not come by itself the next time needs no pause. */
	f->is_left_alone = had;
	/*
	 * Whoever keeps something says that it did, then looks whether the end has a place: at least one of the two sees the other.
	 */
	atomic_store_explicit(&f->has_place, false, memory_order_seq_cst);
	if (!atomic_load_explicit(&f->kept, memory_order_seq_cst)) {
		give_up_place(p);
		return;
	}
	atomic_store_explicit(&f->has_place, true, memory_order_seq_cst);
	if (looked)
		arm(p, EPOLLOUT);
	else /* somebody is at it */
		p->look_at = clock_now() + PAUSE_NS;
}

/* One step of an end that is closed. */
static void leave(struct frames_later *p)
{
	struct frames *f = p->frames;
	bool is_over, has_more;

	pthread_mutex_unlock(&later.lock);
	is_over = frames_leave(f, &has_more) || clock_now() >= p->until || frames_has_vanished(f);
	pthread_mutex_lock(&later.lock);
	if (is_over) {
		give_up_place(p);
		pthread_mutex_unlock(&later.lock);
		frames_free(f);
		pthread_mutex_lock(&later.lock);
		return;
	}
	if (has_more)
		arm(p,
		    atomic_load_explicit(&f->kept, memory_order_relaxed) ? EPOLLIN | EPOLLOUT
									 : EPOLLIN);
	p->look_at = clock_now() + p->pause;
	p->pause = p->pause * 2 < LINGER_MOST_NS ? p->pause * 2 : LINGER_MOST_NS;
}

static void work(struct frames_later *p)
{
	later.busy = p->frames;
	if (p->closed)
		leave(p);
	else
		push(p);
	later.busy = NULL;
	pthread_cond_broadcast(&later.changed);
}

/* Works on those whose time has come; when the next one's comes. */
static int64_t work_on_due(void)
{
	for (;;) {
		struct frames_later *due = NULL;
		int64_t now = clock_now(), next = CLOCK_NEVER;

		LIST_FOR_EACH (link, &later.places) {
			struct frames_later *p = LIST_ENTRY(link, struct frames_later, link);

			if (p->look_at <= now)
				due = p;
			else if (p->look_at < next)
				next = p->look_at;
		}
		if (!due)
			return next;
		work(due);
	}
}

static void sleep_and_work(int64_t until)
{
	struct epoll_event events[EVENTS];
	eventfd_t count;
	int n;

	later.sleeps_until = until;
	pthread_mutex_unlock(&later.lock);
	n = epoll_wait(later.epoll_fd, events, EVENTS, clock_poll_ms(until));
	pthread_mutex_lock(&later.lock);
	later.sleeps_until = 0;
	for (int i = 0; i < n; i++) {
		struct frames_later *p = events[i].data.ptr;

		if (!p)
			(void)!read(later.wake_fd, &count, sizeof(count));
		else if (p->frames)
			work(p);
	}
}

static void close_both(void)
{
	if (later.epoll_fd >= 0)
		close(later.epoll_fd);
	if (later.wake_fd >= 0)
		close(later.wake_fd);
	later.epoll_fd = later.wake_fd = -1;
}

static void *run(void *arg)
{
	int64_t idle_until = CLOCK_NEVER;

	prctl(PR_SET_NAME, "ipc9-pipes");
	pthread_mutex_lock(&later.lock);
	for (;;) {
		int64_t next = work_on_due();

		free_left();
		if (!list_is_empty(&later.places)) {
			idle_until = CLOCK_NEVER;
		} else {
			if (idle_until == CLOCK_NEVER)
				idle_until = clock_now() + IDLE_NS;
			if (clock_now() >= idle_until)
				break;
			next = idle_until;
		}
		sleep_and_work(next);
	}
	later.runs = false;
	close_both();
	pthread_mutex_unlock(&later.lock);
	return arg;
}

/* --- Starting it ------------------------------------------------------------------------------- */

/* With the lock held.  Whether it runs. */
static bool start(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	pthread_attr_t attributes;
	sigset_t all, old;
	pthread_t thread;

	if (later.runs)
		return true;
	later.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	later.wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (later.epoll_fd >= 0 && later.wake_fd >= 0 &&
	    !epoll_ctl(later.epoll_fd, EPOLL_CTL_ADD, later.wake_fd, &event)) {
		sigfillset(&all);
		pthread_sigmask(SIG_SETMASK, &all, &old);
		pthread_attr_init(&attributes);
		pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
		later.runs = !pthread_create(&thread, &attributes, run, NULL);
		pthread_attr_destroy(&attributes);
		pthread_sigmask(SIG_SETMASK, &old, NULL);
	}
	if (!later.runs)
		close_both();
	return later.runs;
}

/* So that the child finds all of it as it should be. */
static void before_fork(void)
{
	pthread_mutex_lock(&later.lock);
}

static void after_fork(void)
{
	pthread_mutex_unlock(&later.lock);
}

static void begin_anew(void)
{
	close_both();
	pthread_cond_init(&later.changed, NULL);
	list_init(&later.places);
	list_init(&later.left);
	later.generation++;
	later.runs = false;
	later.sleeps_until = 0;
	later.busy = NULL;
	pthread_mutex_unlock(&later.lock);
}

static void watch_forks(void)
{
	pthread_atfork(before_fork, after_fork, begin_anew);
}

static bool lock_and_start(void)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&later.lock);
	if (start())
		return true;
	pthread_mutex_unlock(&later.lock);
	return false;
}

/* --- For ends ---------------------------------------------------------------------------------- */

void frames_send_later(struct frames *f)
{
	struct frames_later *p;

	if (atomic_load_explicit(&f->has_place, memory_order_seq_cst) || !lock_and_start())
		return;
	if (f->later) { /* the thread is about to see what is kept */
		p = f->later;
	} else if (f->is_closing || !(p = add(f))) {
		pthread_mutex_unlock(&later.lock);
		return;
	} else if (f->is_left_alone) {
		arm(p, EPOLLOUT);
	} else {
		p->look_at = clock_now() + PAUSE_NS;
	}
	wake_by(p->look_at);
	pthread_mutex_unlock(&later.lock);
}

void frames_forget(struct frames *f)
{
	pthread_mutex_lock(&later.lock);
	f->is_closing = true;
	while (later.busy == f)
		pthread_cond_wait(&later.changed, &later.lock);
	if (f->later && f->later->generation == later.generation)
		give_up_place(f->later);
	pthread_mutex_unlock(&later.lock);
}

bool frames_linger(struct frames *f)
{
	struct frames_later *p;

	if (!lock_and_start())
		return false;
	p = add(f);
	if (p) {
		p->closed = true;
		p->until = clock_now() + (f->peer == PEER_DISCONNECTED ? LINGER_OUT_NS : LINGER_NS);
		wake_by(p->look_at);
	}
	pthread_mutex_unlock(&later.lock);
	return p;
}
