/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conduit_wait.c - sleeping and waking.
 *
 *  Whoever waits says so in a word of the shared memory, looks once more, and sleeps; whoever
 * changes something looks at that word afterwards, takes it back to 0, and wakes the other.  Four accesses matter:
 *
 *	waiter:	store waiting, load what it waits for		other: store what it waits for, load waiting
 *
 * All four are seq_cst: in the one order of these at least one of the two loads comes last and sees the other's
 * store, so it cannot be that there is something and both go to sleep.  tests/model/conduit.pml proves that, and that
 * weaker accesses do not do.  The word itself is what the futex compares: if it was taken back before the
 * sleep began, there is no sleep.
 *
 * What the waiting side's words say is not believed either.  At worst a lying peer lets us wake it in vain, or not
 * sleep (then we nap), or sleep too long: no sleep is longer than SLICE_NS, after which it is asked again
 * whether the deadline has come, and whether the peer is alive.
 *
 * The peer's death is read off the socket.  `lost` is loaded before its last words are: when it is set, nothing
 * comes any more.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "transport/conduit_end.h"
#include "transport/crash.h"
#include "util/clock.h"

#ifndef SLICE_NS /* a test of many deaths takes a shorter one */
#define SLICE_NS (NS_PER_MS * 100)
#endif
#define LOOK_NS                                                                                    \
	(NS_PER_MS * 80) /* between two looks at the socket; its clock ticks every 1 to 10 ms */
#define TIGHT_LOOKS 96	 /* without giving the CPU away, some 1.5 us */
#define VAIN_MAX 256	 /* wake-ups for nothing, until the sleeper naps */
#define NAP_MS 1
#ifndef GRACE_NAPS
#define GRACE_NAPS 20
#endif

/* --- Waking ------------------------------------------------------------------------------------ */

static void futex_wake(_Atomic uint32_t *word)
{
	syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

static void count(_Atomic uint64_t *counter)
{
	atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* After something was stored that the peer may wait for. */
void conduit_wake_peer(struct conduit *c, _Atomic uint32_t *word)
{
	uint32_t how = atomic_load_explicit(word, memory_order_seq_cst);

	if (how == NOBODY)
		return;
	how = atomic_exchange_explicit(word, NOBODY, memory_order_seq_cst);
	CRASH_POINT(CRASH_WAKE_TAKEN);
	if (how == FUTEX)
		futex_wake(word);
	else if (how == BELL)
		/* Where there is no room for it, there are others. */
		(void)!send(c->socket, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	else
		return;
	count(&c->wakes);
}

/* The own thread; where it is not in a word that was lost, it is woken all the same. */
void conduit_wake_own(struct half *h)
{
	uint32_t how = FUTEX;

	atomic_compare_exchange_strong_explicit(h->waiting, &how, NOBODY, memory_order_seq_cst,
	    memory_order_relaxed);
	futex_wake(h->waiting);
}

static void tell_cpu(struct half *h)
{
	uint32_t cpu = (uint32_t)sched_getcpu() + 1;

	if (cpu == h->told_cpu)
		return;
	h->told_cpu = cpu;
	atomic_store_explicit(h->cpu, cpu, memory_order_relaxed);
}

/* After a publication. */
void conduit_told_more(struct conduit *c)
{
	tell_cpu(&c->out);
	conduit_wake_peer(c, c->out.peer_waiting);
}

/* After something was given back: the producer may not care yet. */
void conduit_gave_back(struct conduit *c)
{
	tell_cpu(&c->in);
	if (atomic_load_explicit(c->in.peer_waiting, memory_order_seq_cst) == NOBODY)
		return;
	if (c->consumer.tail >=
	    atomic_load_explicit(&c->in_shared->producer_wants, memory_order_seq_cst))
		conduit_wake_peer(c, c->in.peer_waiting);
}

/* --- The peer ---------------------------------------------------------------------------------- */

void conduit_look_at_socket(struct conduit *c)
{
	struct pollfd p = { .fd = c->socket, .events = POLLRDHUP };

	if (poll(&p, 1, 0) > 0 && p.revents & (POLLHUP | POLLRDHUP | POLLERR | POLLNVAL))
		atomic_store_explicit(&c->lost, true, memory_order_seq_cst);
}

static int64_t coarse_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Now and then; for those who do not wait. */
void conduit_look_sometimes(struct conduit *c, struct half *h)
{
	int64_t now = coarse_now();

	if (now - h->looked < LOOK_NS)
		return;
	h->looked = now;
	conduit_look_at_socket(c);
}

/* --- Waiting ----------------------------------------------------------------------------------- */

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#endif
}

static bool is_cancelled(const struct conduit *c, const struct half *h, unsigned cancels)
{
	return atomic_load_explicit(&h->cancels, memory_order_seq_cst) != cancels ||
	    atomic_load_explicit(&c->aborted, memory_order_seq_cst);
}

static int look_tightly(struct conduit *c, struct operation *o)
{
	int r = RING_AGAIN;

	for (unsigned i = 0; i < TIGHT_LOOKS && r == RING_AGAIN; i++) {
		relax();
		r = o->attempt(c, o);
	}
	return r;
}

/*
 * Looks again for a while.  A peer that needs this very CPU for going on gets it, once: then it goes on for as long as it
 * can without us, and nobody has to be woken.  To be woken for the first of many pieces, and again for the next, is slower.
 */
static int spin(struct conduit *c, struct half *h, struct operation *o, int64_t deadline)
{
	struct spin_run run = { 0 };
	bool is_shared;
	int r = RING_AGAIN;

	tell_cpu(h);
	is_shared = atomic_load_explicit(h->peer_cpu, memory_order_relaxed) == h->told_cpu;
	if (!h->spin.budget)
		return RING_AGAIN;
	if (!is_shared)
		r = look_tightly(c, o);
	if (r == RING_AGAIN && !spin_begin(&h->spin, &run))
		return RING_AGAIN;
	if (is_shared)
		run.looks = 1;
	while (r == RING_AGAIN && spin_again(&run, deadline))
		r = o->attempt(c, o);
	if (r == RING_AGAIN)
		spin_missed(&h->spin, &run);
	else
		spin_hit(&h->spin, &run);
	return r;
}

static void futex_wait(_Atomic uint32_t *word, int64_t ns)
{
	struct timespec t = clock_timespec(ns);

	syscall(SYS_futex, word, FUTEX_WAIT, FUTEX, &t, NULL, 0);
}

/* Whoever changed something may have been held up before it came to wake us. */
static bool is_forgotten(const struct half *h)
{
	for (int i = 0; i < GRACE_NAPS; i++) {
		if (atomic_load_explicit(h->waiting, memory_order_seq_cst) != FUTEX)
			return false;
		poll(NULL, 0, NAP_MS);
	}
	return atomic_load_explicit(h->waiting, memory_order_seq_cst) == FUTEX;
}

/* Nobody woke us for a whole slice: the peer may be dead, and must not have forgotten us. */
static int sleep_out(struct conduit *c, struct half *h, struct operation *o)
{
	int r = o->attempt(c, o);

	if (r == RING_AGAIN) {
		conduit_look_at_socket(c);
		r = o->attempt(c, o);
	} else if (is_forgotten(h)) {
		count(&c->forgotten);
	}
	atomic_store_explicit(h->waiting, NOBODY, memory_order_relaxed);
	return r;
}

/* Says that it sleeps, and does unless something has come; the attempt's last result. */
static int sleep_once(struct conduit *c, struct half *h, struct operation *o, unsigned cancels,
    int64_t deadline)
{
	uint64_t wants = o->wants;
	int64_t now, until;
	int r;

	CRASH_POINT(CRASH_SLEEPY);
	if (h == &c->out)
		atomic_store_explicit(&c->out_shared->producer_wants, wants, memory_order_seq_cst);
	atomic_store_explicit(h->waiting, FUTEX, memory_order_seq_cst);
	CRASH_POINT(CRASH_WAITING);
	r = o->attempt(c, o);
	/* What it waits for may be another thing by now. */
	if (r == RING_AGAIN && o->wants == wants && !is_cancelled(c, h, cancels)) {
		now = clock_now();
		until = now + SLICE_NS < deadline ? now + SLICE_NS : deadline;
		if (o->patience > now && o->patience < until)
			until = o->patience;
		if (until > now) {
			count(&c->sleeps);
			futex_wait(h->waiting, until - now);
			CRASH_POINT(CRASH_WOKEN);
		}
		if (until == now + SLICE_NS && clock_now() >= until)
			return sleep_out(c, h, o);
	}
	atomic_store_explicit(h->waiting, NOBODY, memory_order_relaxed);
	return r == RING_AGAIN ? o->attempt(c, o) : r;
}

static void note_time_out(struct conduit *c, const struct half *h)
{
	if (h != &c->out)
		return;
	c->timed_out = true;
	c->timed_out_tail = c->producer.tail;
	c->timed_out_read = c->producer.read;
}

/* The last attempt, without patience. */
static int give_up(struct conduit *c, struct half *h, struct operation *o)
{
	int r;

	conduit_look_sometimes(c, h);
	o->patience = 0;
	o->has_waited = false;
	r = o->attempt(c, o);
	if (r != RING_AGAIN)
		return r;
	note_time_out(c, h);
	return CONDUIT_TIMEDOUT;
}

static int wait_on(struct conduit *c, struct half *h, struct operation *o, unsigned cancels,
    int64_t deadline)
{
	unsigned vain = 0;
	int r;

	/* Whoever does not wait does not look at the clock. */
	if (deadline <= 0 || deadline <= clock_now())
		return give_up(c, h, o);
	o->has_waited = true;
	r = spin(c, h, o, deadline);
	while (r == RING_AGAIN) {
		int64_t from = clock_now();

		if (is_cancelled(c, h, cancels))
			return CONDUIT_CANCELLED;
		if (from >= deadline)
			return give_up(c, h, o);
		r = sleep_once(c, h, o, cancels, deadline);
		if (r != RING_AGAIN)
			spin_slept(&h->spin, from);
		else if (++vain > VAIN_MAX)
			poll(NULL, 0, NAP_MS);
	}
	return r;
}

int conduit_run(struct conduit *c, struct half *h, struct operation *o, int64_t deadline)
{
	unsigned cancels = atomic_load_explicit(&h->cancels, memory_order_relaxed);
	int r;

	if (atomic_load_explicit(&c->aborted, memory_order_relaxed))
		return CONDUIT_CANCELLED;
	r = o->attempt(c, o);
	return r == RING_AGAIN ? wait_on(c, h, o, cancels, deadline) : r;
}
