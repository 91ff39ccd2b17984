/* SPDX-License-Identifier: BSD-3-Clause */
/* sync_futex.c - sleeping on words of shared memory (sync.h). */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/sync.h"
#include "util/clock.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449 /* on all architectures */
#endif
/* As in newer linux/futex.h. */
struct wait_vector {
	uint64_t val, uaddr;
	uint32_t flags, reserved;
};
#define WAIT_VECTOR_32 2u /* a word of 32 bits, shared */

#define LOOK_AGAIN_MS 5 /* where the kernel cannot wait for several words */

void sync_futex_wake(_Atomic uint32_t *word, int n)
{
	(void)syscall(SYS_futex, word, FUTEX_WAKE, n, NULL, NULL, 0);
}

/* 0 or errno. */
static int sleep_one(const struct sync_futex *f, int64_t until)
{
	struct timespec t = clock_timespec(until);

	return syscall(SYS_futex, f->word, FUTEX_WAIT_BITSET, f->asleep, &t, NULL,
		   FUTEX_BITSET_MATCH_ANY) < 0
	    ? errno
	    : 0;
}

static int sleep_many(const struct sync_futex *futexes, unsigned n, int64_t until)
{
	struct wait_vector vector[SYNC_FUTEX_MAX];
	struct timespec t = clock_timespec(until);

	for (unsigned i = 0; i < n; i++)
		vector[i] = (struct wait_vector){ futexes[i].asleep,
			(uint64_t)(uintptr_t)futexes[i].word, WAIT_VECTOR_32, 0 };
	return syscall(SYS_futex_waitv, vector, n, 0, &t, CLOCK_MONOTONIC) < 0 ? errno : 0;
}

bool sync_futex_sleep(const struct sync_futex *futexes, unsigned n, int64_t deadline)
{
	int64_t until = clock_deadline_ms(SYNC_SLICE_MS), soon;
	int e = ENOSYS;

	if (until > deadline)
		until = deadline;
	if (n > 1)
		e = sleep_many(futexes, n, until);
	if (n > 1 && e != ENOSYS && e != EPERM && e != EINVAL)
		return e != ETIMEDOUT;
	if (n == 1)
		return sleep_one(&futexes[0], until) != ETIMEDOUT;
	/* The kernel does not do that: the caller looks at all of them soon. */
	soon = clock_deadline_ms(LOOK_AGAIN_MS);
	(void)sleep_one(&futexes[0], soon < until ? soon : until);
	return true;
}
