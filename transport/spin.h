/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spin.h - how long to look again before sleeping.
 *
 * A sleep and a wake-up across CPUs cost more time, and more CPU time, than a short spin.  So whoever waits
 * for a peer looks a while longer, and gives the CPU away between looks, which makes it harmless when the peer,
 * or another thread with something to do, needs this very CPU.  A spin is counted in looks, not in time: among many
 * threads on one CPU each looks once in a round, and finds that what it waits for has come meanwhile.
 *
 * The budget follows what happens: it shrinks with every spin that was in vain, down to none, and comes back
 * when a sleep turns out to have been short.  An idle waiter does not spin.
 */
#ifndef TRANSPORT_SPIN_H
#define TRANSPORT_SPIN_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "util/clock.h"

#define SPIN_LOOKS 96 /* about 50 us where nobody else wants the CPU */
#define SPIN_LOOKS_MIN 4
#define SPIN_HOG_NS                                                                                \
	INT64_C(1000000) /* given away for so long, the CPU is wanted by somebody else */
#define SPIN_WORTH_NS INT64_C(1000000) /* a sleep this short may have been worth a spin */
#define SPIN_PATIENCE 4		       /* misses in a row before spins are rare */
#define SPIN_RETRY 16		       /* then one for so many sleeps */
#define SPIN_SHY_MAX 8	/* and twice as many for each time that the CPU did not come back */
#define SPIN_FORGIVE 64 /* hits until one such time is forgotten */

struct spin {
	unsigned budget; /* looks; 0: do not spin */
	unsigned misses; /* since the last hit */
	unsigned sleeps; /* short ones since the last try, once spins kept missing */
	unsigned shy, hits;
};

/* One spin. */
struct spin_run {
	unsigned looks;
	int64_t seen; /* when it looked last */
	bool hogged;  /* a look came late: a sleeper would have got the CPU back sooner */
};

/* False where there is to be none. */
static inline bool spin_begin(const struct spin *s, struct spin_run *run)
{
	run->looks = s->budget;
	run->seen = run->looks ? clock_now() : 0;
	run->hogged = false;
	return run->looks > 0;
}

/* Gives the CPU away once; false: the spin is over. */
static inline bool spin_again(struct spin_run *run, int64_t deadline)
{
	int64_t now;

	if (!run->looks)
		return false;
	sched_yield();
	now = clock_now();
	run->hogged = now - run->seen > SPIN_HOG_NS;
	run->looks = run->hogged ? 0 : run->looks - 1;
	run->seen = now;
	return now < deadline;
}

static inline void spin_missed(struct spin *s, const struct spin_run *run)
{
	s->misses++;
	s->budget = s->budget / 2 < SPIN_LOOKS_MIN ? 0 : s->budget / 2;
	if (!run->hogged)
		return;
	/* Among programs that want the CPU all the time a spin costs a turn of theirs. */
	s->budget = 0;
	s->misses = SPIN_PATIENCE + 1;
	s->sleeps = s->hits = 0;
	s->shy += s->shy < SPIN_SHY_MAX;
}

static inline void spin_hit(struct spin *s, const struct spin_run *run)
{
	if (run->hogged) {
		spin_missed(s, run);
		return;
	}
	s->budget = SPIN_LOOKS;
	s->misses = 0;
	if (s->shy && ++s->hits == SPIN_FORGIVE) {
		s->shy--;
		s->hits = 0;
	}
}

/*
 * What came ended a sleep that began at `slept_from`.  Where the answer always takes a little longer than a spin, as
 * behind bulk, spins are tried now and then only.
 */
static inline void spin_slept(struct spin *s, int64_t slept_from)
{
	if (clock_now() - slept_from >= SPIN_WORTH_NS)
		return;
	if (s->misses > SPIN_PATIENCE && ++s->sleeps % (SPIN_RETRY << s->shy))
		return;
	s->budget = SPIN_LOOKS;
}

#endif
