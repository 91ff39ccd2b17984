/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spin.h - how long to look again before sleeping.
 *
 * A sleep and a wake-up across CPUs cost more time, and more CPU time, than a short spin.  So whoever waits
 * for a peer looks a while longer, and gives the CPU away between looks, which makes it harmless when the peer
 * needs this very CPU.  The budget follows what happens: it shrinks with every spin that was in vain, down to
 * none, and comes back when a sleep turns out to have been shorter than a spin.  An idle waiter does not spin.
 */
#ifndef TRANSPORT_SPIN_H
#define TRANSPORT_SPIN_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

#define SPIN_MAX_NS INT64_C(50000)
#define SPIN_MIN_NS INT64_C(2000)
#define SPIN_WORTH_NS                                                                              \
	INT64_C(150000) /* a sleep this short, with its wake-up, could have been a spin */

#define SPIN_PATIENCE 4 /* misses in a row before spins are rare */
#define SPIN_RETRY 16	/* then one for so many sleeps */

struct spin {
	int64_t budget_ns; /* 0: do not spin */
	unsigned misses;   /* since the last hit */
	unsigned sleeps;   /* short ones since the last try, once spins kept missing */
};

/* The end of a spin that begins now; in the past where there is to be none. */
static inline int64_t spin_end(const struct spin *s)
{
	return s->budget_ns ? clock_now() + s->budget_ns : 0;
}

/* Gives the CPU away once; false: the spin is over. */
static inline bool spin_again(int64_t end)
{
	if (!end)
		return false;
	sched_yield();
	return clock_now() < end;
}

static inline void spin_hit(struct spin *s)
{
	s->budget_ns = SPIN_MAX_NS;
	s->misses = 0;
}

static inline void spin_missed(struct spin *s)
{
	s->misses++;
	s->budget_ns = s->budget_ns / 2 < SPIN_MIN_NS ? 0 : s->budget_ns / 2;
}

/*
 * What came ended a sleep that began at `slept_from`.  Where the answer always takes a little longer than a spin, as
 * behind bulk, spins are tried now and then only.
 */
static inline void spin_slept(struct spin *s, int64_t slept_from)
{
	if (clock_now() - slept_from >= SPIN_WORTH_NS)
		return;
	if (s->misses > SPIN_PATIENCE && ++s->sleeps % SPIN_RETRY)
		return;
	s->budget_ns = SPIN_MAX_NS;
}

#endif
