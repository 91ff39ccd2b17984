/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * tsan.c - what the thread sanitizer of GCC 12 does not know: pthread_mutex_clocklock, which it would take for
 * no locking at all.  Here it is said in terms of what it knows.  In other builds there is nothing in this file.
 */
#ifdef __SANITIZE_THREAD__

#include <pthread.h>
#include <time.h>

int pthread_mutex_clocklock(pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until)
{
	struct timespec now, end;

	clock_gettime(clock, &now);
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += until->tv_sec - now.tv_sec;
	end.tv_nsec += until->tv_nsec - now.tv_nsec;
	if (end.tv_nsec < 0) {
		end.tv_sec--;
		end.tv_nsec += 1000000000;
	} else if (end.tv_nsec >= 1000000000) {
		end.tv_sec++;
		end.tv_nsec -= 1000000000;
	}
	return pthread_mutex_timedlock(mutex, &end);
}

#endif
