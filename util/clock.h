/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clock.h - times and deadlines.
 *
 * All waiting is measured on the monotonic clock, in nanoseconds.  A deadline is a point on it;
 * CLOCK_NEVER is one that does not come.
 */
#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdint.h>
#include <time.h>

#define CLOCK_NEVER INT64_MAX
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S INT64_C(1000000000)

static inline int64_t clock_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* For people only: microseconds since 1970, which may jump. */
static inline uint64_t clock_wall_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* The deadline so many milliseconds from now; a negative number means never. */
static inline int64_t clock_deadline_ms(int64_t ms)
{
	return ms < 0 ? CLOCK_NEVER : clock_now() + ms * NS_PER_MS;
}

/* A point on the clock, or a span, as the system's calls take it; CLOCK_NEVER is for none of them. */
static inline struct timespec clock_timespec(int64_t ns)
{
	struct timespec t = { .tv_sec = (time_t)(ns / NS_PER_S), .tv_nsec = (long)(ns % NS_PER_S) };

	return t;
}

/* What poll() and epoll_wait() take for a deadline: rounded up, -1 for never. */
static inline int clock_poll_ms(int64_t deadline)
{
	int64_t left;

	if (deadline == CLOCK_NEVER)
		return -1;
	left = deadline - clock_now();
	if (left <= 0)
		return 0;
	left = (left + NS_PER_MS - 1) / NS_PER_MS;
	return left > 1000000000 ? 1000000000 : (int)left;
}

#endif
