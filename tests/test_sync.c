/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sync.c - mutexes, semaphores and events, each by itself, between threads and programs, some of which are killed.
 */
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness.h"
#include "tests/memory.h"
#include "tests/process.h"

/* --- Mutexes ----------------------------------------------------------------------------------- */

static void *release_in_thread(void *sync)
{
	return (void *)(intptr_t)ipc9_sync_release(sync, 1, NULL, NULL);
}

static void test_a_mutex_is_its_threads_as_often_as_it_took_it(void)
{
	struct ipc9_sync *s;
	struct waiter other;
	pthread_t thread;
	struct world w;
	void *result;

	memory_begin(&w, "");
	s = memory_mutex(&w, "m");
	HOLDS(!ipc9_sync_existed(s));
	EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), IPC9_E_BADSTATE);
	EQUAL(memory_wait(s, 0), 0);
	EQUAL(memory_wait(s, 0), 0);
	waiter_start(&other, s, SHORT_MS);
	EQUAL(waiter_end(&other), IPC9_E_TIMEDOUT);
	pthread_create(&thread, NULL, release_in_thread, s);
	pthread_join(thread, &result);
	EQUAL((intptr_t)result, IPC9_E_BADSTATE);
	EQUAL(ipc9_sync_release(s, 2, NULL, &w.error), IPC9_E_INVALID);
	EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), 0);
	waiter_start(&other, s, 0);
	EQUAL(waiter_end(&other), IPC9_E_TIMEDOUT);
	waiter_start(&other, s, LONG_MS);
	EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), 0);
	EQUAL(waiter_end(&other), 0);
	HOLDS(!other.abandoned);
	EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), IPC9_E_BADSTATE);
	ipc9_sync_close(s);
	memory_end(&w);
}

#define ROUNDS 3000

static int count_under_mutex(struct process *self, void *socket)
{
	struct ipc9 *ipc9 = memory_context(socket);
	struct ipc9_sync *s = memory_sync_there(ipc9, "m", IPC9_SYNC_MUTEX);
	struct ipc9_filemap_view *view;
	struct ipc9_filemap *map;
	volatile uint64_t *number;

	if (!s || ipc9_filemap_open(ipc9, "n", IPC9_FILEMAP_ACCESS_WRITE, &map, NULL) ||
	    ipc9_filemap_map(map, 0, 0, 0, &view, NULL))
		return 1;
	number = ipc9_filemap_data(view);
	process_tell(self, 'r');
	process_hear(self);
	for (int i = 0; i < ROUNDS; i++) {
		uint64_t was;

		if (ipc9_sync_wait(s, LONG_MS, NULL, NULL))
			return 2;
		was = *number;
		if (i % 100 == 0)
			sched_yield();
		*number = was + 1;
		if (ipc9_sync_release(s, 1, NULL, NULL))
			return 3;
	}
	ipc9_filemap_unmap(view);
	ipc9_filemap_close(map);
	ipc9_sync_close(s);
	ipc9_free(ipc9);
	return 0;
}

static void test_a_mutex_lets_one_in_at_a_time(void)
{
	enum {
		N = 4
	};
	struct ipc9_filemap_options options = { .size_bytes = 8 };
	struct ipc9_filemap_view *view = NULL;
	struct ipc9_filemap *map = NULL;
	struct process others[N];
	struct ipc9_sync *s;
	struct world w;

	memory_begin(&w, "");
	s = memory_mutex(&w, "m");
	EQUAL(ipc9_filemap_create(w.ipc9, "n", &options, &map, &w.error), 0);
	EQUAL(ipc9_filemap_map(map, 0, 0, 0, &view, &w.error), 0);
	for (int i = 0; i < N; i++)
		process_start(&others[i], count_under_mutex, &w.daemon);
	for (int i = 0; i < N; i++)
		EQUAL(process_hear(&others[i]), 'r');
	for (int i = 0; i < N; i++)
		process_tell(&others[i], 'g');
	for (int i = 0; i < N; i++)
		process_end(&others[i]);
	EQUAL(*(uint64_t *)ipc9_filemap_data(view), N * ROUNDS);
	ipc9_filemap_unmap(view);
	ipc9_filemap_close(map);
	ipc9_sync_close(s);
	memory_end(&w);
}

static int own_until_killed(struct process *self, void *socket)
{
	struct ipc9_sync *s = memory_sync_there(memory_context(socket), "m", IPC9_SYNC_MUTEX);

	if (!s || ipc9_sync_wait(s, LONG_MS, NULL, NULL) || ipc9_sync_wait(s, 0, NULL, NULL))
		return 1;
	process_tell(self, 'o');
	process_hear(self);
	return 2;
}

static void test_a_mutex_whose_owner_is_killed_is_abandoned_to_the_next(void)
{
	struct process other;
	struct ipc9_sync *s;
	struct waiter waiter;
	bool abandoned = false;
	struct world w;

	memory_begin(&w, "");
	s = memory_mutex(&w, "m");
	for (int i = 0; i < 3; i++) {
		process_start(&other, own_until_killed, &w.daemon);
		EQUAL(process_hear(&other), 'o');
		EQUAL(memory_wait(s, SHORT_MS), IPC9_E_TIMEDOUT);
		if (i == 1) { /* somebody sleeps on it then */
			waiter_start(&waiter, s, LONG_MS);
			EQUAL(memory_wait(s, SHORT_MS), IPC9_E_TIMEDOUT);
		}
		process_kill(&other);
		if (i == 1) {
			EQUAL(waiter_end(&waiter), 0);
			HOLDS(waiter.abandoned);
		}
		EQUAL(ipc9_sync_wait(s, LONG_MS, &abandoned, &w.error), 0);
		HOLDS(abandoned);
		EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), 0);
		EQUAL(ipc9_sync_wait(s, 0, &abandoned, &w.error), 0);
		HOLDS(!abandoned); /* told once */
		EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), 0);
	}
	ipc9_sync_close(s);
	memory_end(&w);
}

static void test_a_mutex_whose_thread_ended_is_abandoned(void)
{
	struct ipc9_sync *s, *same;
	struct waiter other;
	bool abandoned = false;
	struct world w;

	memory_begin(&w, "");
	s = memory_mutex(&w, "m");
	same = memory_mutex(&w, "m");
	HOLDS(ipc9_sync_existed(same));
	for (int i = 0; i < 20; i++) {
		waiter_start(&other, s, LONG_MS);
		EQUAL(waiter_end(&other), 0);
		HOLDS(i == 0 || !other.abandoned);
		/* By the handle that it had it by, and by another. */
		EQUAL(ipc9_sync_wait(i % 2 ? s : same, LONG_MS, &abandoned, &w.error), 0);
		HOLDS(abandoned);
		EQUAL(ipc9_sync_release(i % 2 ? s : same, 1, NULL, &w.error), 0);
	}
	ipc9_sync_close(same);
	ipc9_sync_close(s);
	memory_end(&w);
}

struct keeper {
	struct ipc9_sync *sync;
	pthread_t thread;
	int fds[2]; /* to the thread, and to the test */
	int taken, released;
};

static void *keep_until_told(void *argument)
{
	struct keeper *k = argument;
	char byte;

	k->taken = ipc9_sync_wait(k->sync, 0, NULL, NULL);
	(void)write(k->fds[1], "t", 1);
	(void)read(k->fds[1], &byte, 1);
	k->released = ipc9_sync_release(k->sync, 1, NULL, NULL);
	return NULL;
}

static void keeper_start(struct keeper *k, struct ipc9_sync *s)
{
	char byte;

	*k = (struct keeper){ .sync = s };
	EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, k->fds), 0);
	EQUAL(pthread_create(&k->thread, NULL, keep_until_told, k), 0);
	EQUAL(read(k->fds[0], &byte, 1), 1);
	EQUAL(k->taken, 0);
}

static int keeper_end(struct keeper *k)
{
	EQUAL(write(k->fds[0], "r", 1), 1);
	pthread_join(k->thread, NULL);
	close(k->fds[0]);
	close(k->fds[1]);
	return k->released;
}

static bool has_lost_nothing(void *sync)
{
	struct ipc9_sync *s = sync;

	(void)ipc9_sync_release(s, 1, NULL, NULL);
	return s->mutex.lost == NULL;
}

/* What may be in another thread's list is not used again, until that cannot be (client/sync_mutex.c). */
static void test_a_mutex_that_was_lost_is_taken_by_another_place(void)
{
	struct ipc9_sync *m, *good;
	const struct sync_place *place;
	struct keeper keeper;
	struct waiter other;
	struct world w;

	memory_begin(&w, "");
	m = memory_mutex(&w, "m");
	good = memory_mutex(&w, "good");
	EQUAL(memory_wait(good, 0), 0);
	place = m->mutex.place;
	EQUAL(memory_wait(m, 0), 0);
	EQUAL(ipc9_sync_release(m, 1, NULL, &w.error), 0);
	EQUAL(memory_wait(m, 0), 0);
	HOLDS(m->mutex.place == place);
	/* Somebody writes over it while we have it: it leaves our list as soon as we see that. */
	atomic_store(sync_word(m), 0);
	EQUAL(ipc9_sync_release(m, 1, NULL, &w.error), IPC9_E_BADSTATE);
	HOLDS(!m->mutex.lost);
	EQUAL(memory_wait(m, 0), 0);
	atomic_store(sync_word(m), 0);
	EQUAL(memory_wait(m, 0), 0);
	HOLDS(!m->mutex.lost);
	EQUAL(ipc9_sync_release(m, 1, NULL, &w.error), 0);
	/* While another thread has it: that thread takes it out. */
	keeper_start(&keeper, m);
	place = m->mutex.place;
	atomic_store(sync_word(m), 0);
	EQUAL(memory_wait(m, 0), 0);
	HOLDS(m->mutex.place != place && m->mutex.lost == place);
	EQUAL(keeper_end(&keeper), IPC9_E_BADSTATE);
	HOLDS(!m->mutex.lost);
	EQUAL(ipc9_sync_release(m, 1, NULL, &w.error), 0);
	/* Its owner is gone. */
	waiter_start(&other, m, 0);
	EQUAL(waiter_end(&other), 0);
	EQUAL(memory_wait(m, LONG_MS), 0);
	EQUAL(ipc9_sync_release(m, 1, NULL, &w.error), 0);
	HOLDS(wait_until(has_lost_nothing, m, LONG_MS));
	EQUAL(ipc9_sync_release(good, 1, NULL, &w.error), 0);
	ipc9_sync_close(m);
	ipc9_sync_close(good);
	memory_end(&w);
}

static void test_closing_is_not_releasing(void)
{
	struct ipc9_sync *s, *same;
	bool abandoned = false;
	struct world w;

	memory_begin(&w, "");
	s = memory_mutex(&w, "m");
	same = memory_mutex(&w, "m");
	EQUAL(memory_wait(same, 0), 0);
	ipc9_sync_close(same);
	EQUAL(ipc9_sync_wait(s, 0, &abandoned, &w.error), 0);
	HOLDS(abandoned);
	ipc9_sync_close(s);
	memory_end(&w);
}

static void test_a_mutex_of_this_thread_by_another_handle_is_waited_for_by_nobody(void)
{
	struct ipc9_sync *own, *all[2];
	struct world w;

	memory_begin(&w, "");
	own = memory_mutex(&w, "m");
	all[0] = memory_semaphore(&w, "s", 0, 9);
	all[1] = memory_mutex(&w, "m");
	EQUAL(memory_wait(own, 0), 0);
	EQUAL(memory_wait(all[1], LONG_MS), IPC9_E_BADSTATE);
	EQUAL(ipc9_sync_wait_any(all, 2, LONG_MS, NULL, NULL, &w.error), IPC9_E_BADSTATE);
	EQUAL(ipc9_sync_wait_all(all, 2, LONG_MS, NULL, &w.error), IPC9_E_BADSTATE);
	EQUAL(ipc9_sync_release(own, 1, NULL, &w.error), 0);
	ipc9_sync_close(own);
	for (int i = 0; i < 2; i++)
		ipc9_sync_close(all[i]);
	memory_end(&w);
}

static void test_a_mutex_by_two_handles_is_no_deadlock(void)
{
	struct ipc9_sync *s, *same;
	struct world w;

	memory_begin(&w, "");
	s = memory_mutex(&w, "m");
	same = memory_mutex(&w, "m");
	EQUAL(memory_wait(s, 0), 0);
	EQUAL(ipc9_sync_wait(same, IPC9_FOREVER, NULL, &w.error), IPC9_E_BADSTATE);
	EQUAL(ipc9_sync_release(same, 1, NULL, &w.error), IPC9_E_BADSTATE);
	EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), 0);
	EQUAL(memory_wait(same, 0), 0);
	ipc9_sync_close(same);
	ipc9_sync_close(s);
	memory_end(&w);
}

static void test_a_mutex_is_made_owned_if_it_is_made(void)
{
	struct ipc9_sync *s, *same;
	struct waiter other;
	struct world w;

	memory_begin(&w, "");
	s = memory_sync(&w, "m", IPC9_SYNC_MUTEX, 1, 0, 0);
	waiter_start(&other, s, SHORT_MS);
	EQUAL(waiter_end(&other), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), 0);
	same = memory_sync(&w, "m", IPC9_SYNC_MUTEX, 1, 0, 0);
	HOLDS(ipc9_sync_existed(same));
	EQUAL(ipc9_sync_release(same, 1, NULL, &w.error), IPC9_E_BADSTATE);
	ipc9_sync_close(same);
	ipc9_sync_close(s);
	memory_end(&w);
}

/* --- Semaphores -------------------------------------------------------------------------------- */

static void test_a_semaphore_counts_from_0_to_its_maximum(void)
{
	struct ipc9_sync_options over = { .initial = 4, .maximum = 3 },
				 huge = { .maximum = 1u << 31 };
	struct ipc9_sync *s, *same, *none = NULL;
	uint32_t previous = 99;
	struct world w;

	memory_begin(&w, "");
	EQUAL(ipc9_sync_create(w.ipc9, "s", IPC9_SYNC_SEMAPHORE, &over, &none, &w.error),
	    IPC9_E_INVALID);
	EQUAL(ipc9_sync_create(w.ipc9, "s", IPC9_SYNC_SEMAPHORE, &huge, &none, &w.error),
	    IPC9_E_INVALID);
	s = memory_semaphore(&w, "s", 2, 3);
	same = memory_semaphore(&w, "s", 0, 99); /* which counts for nothing */
	EQUAL(memory_wait(same, 0), 0);
	EQUAL(memory_wait(s, 0), 0);
	EQUAL(memory_wait(same, 0), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_sync_release(s, 2, &previous, &w.error), 0);
	EQUAL(previous, 0);
	EQUAL(ipc9_sync_release(same, 2, &previous, &w.error), IPC9_E_TOOBIG);
	EQUAL(ipc9_sync_release(s, UINT32_MAX, &previous, &w.error), IPC9_E_TOOBIG);
	EQUAL(ipc9_sync_release(s, 0, &previous, &w.error), IPC9_E_INVALID);
	EQUAL(ipc9_sync_release(s, 1, &previous, &w.error), 0);
	EQUAL(previous, 2);
	EQUAL(ipc9_sync_set(s, &w.error), IPC9_E_INVALID);
	for (int i = 0; i < 3; i++)
		EQUAL(memory_wait(s, 0), 0);
	EQUAL(memory_wait(s, 0), IPC9_E_TIMEDOUT);
	ipc9_sync_close(same);
	ipc9_sync_close(s);
	memory_end(&w);
}

/* --- Events ------------------------------------------------------------------------------------ */

static unsigned count_ready(struct waiter *waiters, unsigned n)
{
	unsigned ready = 0;

	for (unsigned i = 0; i < n; i++)
		ready += waiter_end(&waiters[i]) == 0;
	return ready;
}

static void test_an_event_lets_one_go_for_each_time_it_is_set(void)
{
	struct waiter waiters[4];
	struct ipc9_sync *e;
	struct world w;

	memory_begin(&w, "");
	e = memory_sync(&w, "e", IPC9_SYNC_EVENT, 0, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		waiter_start(&waiters[i], e, i < 2 ? LONG_MS : 2 * SHORT_MS);
	HOLDS(wait_until(memory_has_sleepers, e, LONG_MS));
	EQUAL(waiter_end(&waiters[2]), IPC9_E_TIMEDOUT);
	EQUAL(waiter_end(&waiters[3]), IPC9_E_TIMEDOUT);
	for (unsigned i = 0; i < 2; i++) {
		EQUAL(ipc9_sync_set(e, &w.error), 0);
		/* Until it was taken: two settings at once are one. */
		while (sync_is_free(e))
			sched_yield();
	}
	EQUAL(count_ready(waiters, 2), 2);
	EQUAL(memory_wait(e, 0), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_sync_set(e, &w.error), 0);
	EQUAL(ipc9_sync_set(e, &w.error), 0);
	EQUAL(memory_wait(e, 0), 0);
	EQUAL(memory_wait(e, 0), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_sync_set(e, &w.error), 0);
	EQUAL(ipc9_sync_reset(e, &w.error), 0);
	EQUAL(memory_wait(e, 0), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_sync_release(e, 1, NULL, &w.error), IPC9_E_INVALID);
	ipc9_sync_close(e);
	memory_end(&w);
}

static bool have_begun(void *waiters)
{
	struct waiter *w = waiters;

	for (unsigned i = 0; i < 4; i++)
		if (!atomic_load(&w[i].begun))
			return false;
	return true;
}

static void test_a_manual_event_lets_all_go_until_it_is_reset(void)
{
	const struct timespec moment = { 0, 20000000 };
	struct waiter waiters[4];
	struct ipc9_sync *e;
	struct world w;

	memory_begin(&w, "");
	e = memory_sync(&w, "e", IPC9_SYNC_EVENT, 0, 0, IPC9_SYNC_CREATE_MANUAL);
	for (unsigned i = 0; i < 4; i++)
		waiter_start(&waiters[i], e, LONG_MS);
	HOLDS(wait_until(have_begun, waiters, LONG_MS));
	nanosleep(&moment, NULL); /* most of them sleep now; those that do not find it set */
	EQUAL(ipc9_sync_set(e, &w.error), 0);
	EQUAL(count_ready(waiters, 4), 4);
	EQUAL(memory_wait(e, 0), 0);
	EQUAL(memory_wait(e, 0), 0);
	EQUAL(ipc9_sync_reset(e, &w.error), 0);
	EQUAL(memory_wait(e, 0), IPC9_E_TIMEDOUT);
	ipc9_sync_close(e);
	memory_end(&w);
}

static void test_set_and_reset_at_once_lets_those_go_who_waited(void)
{
	struct sync_look look;
	struct ipc9_sync *e;
	struct world w;

	memory_begin(&w, "");
	e = memory_sync(&w, "e", IPC9_SYNC_EVENT, 0, 0, IPC9_SYNC_CREATE_MANUAL);
	sync_look_begin(e, &look); /* the wait has begun */
	EQUAL(sync_take(e, &look, false), -EBUSY);
	EQUAL(ipc9_sync_set(e, &w.error), 0);
	EQUAL(ipc9_sync_reset(e, &w.error), 0);
	EQUAL(sync_take(e, &look, false), 0);
	EQUAL(memory_wait(e, 0), IPC9_E_TIMEDOUT); /* one that begins now */
	ipc9_sync_close(e);
	memory_end(&w);
}

static int wait_as_reader(struct process *self, void *socket)
{
	struct ipc9_sync *s;
	struct ipc9 *ipc9;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 1;
	ipc9 = memory_context(socket);
	s = memory_sync_there(ipc9, "manual", IPC9_SYNC_EVENT);
	if (!s)
		return 2;
	if (ipc9_sync_set(s, NULL) != IPC9_E_ACCESS || ipc9_sync_reset(s, NULL) != IPC9_E_ACCESS)
		return 3;
	if (ipc9_sync_wait(s, SHORT_MS, NULL, NULL) != IPC9_E_TIMEDOUT)
		return 4;
	process_tell(self, 'w');
	if (ipc9_sync_wait(s, LONG_MS, NULL, NULL))
		return 5;
	ipc9_sync_close(s);
	if (ipc9_sync_open(ipc9, "auto", IPC9_SYNC_EVENT, &s, NULL) != IPC9_E_ACCESS)
		return 6;
	ipc9_free(ipc9);
	return 0;
}

static void test_who_may_only_read_waits_for_a_manual_event_and_no_other(void)
{
	static const char *const rules[] = { "allow uid:65534 read" };
	struct ipc9_sync_options options = {
		.flags = IPC9_SYNC_CREATE_MANUAL, .rules = rules, .n_rules = 1
	};
	struct ipc9_sync *manual = NULL, *other = NULL;
	struct process reader;
	struct world w;

	if (geteuid() != 0) {
		skip_test("needs root, to be two users");
		return;
	}
	memory_begin(&w, "");
	EQUAL(chmod(w.daemon.folder, 0711), 0);
	EQUAL(ipc9_sync_create(w.ipc9, "manual", IPC9_SYNC_EVENT, &options, &manual, &w.error), 0);
	options.flags = 0;
	EQUAL(ipc9_sync_create(w.ipc9, "auto", IPC9_SYNC_EVENT, &options, &other, &w.error), 0);
	process_start(&reader, wait_as_reader, &w.daemon);
	EQUAL(process_hear(&reader), 'w');
	EQUAL(ipc9_sync_set(manual, &w.error), 0);
	process_end(&reader);
	ipc9_sync_close(manual);
	ipc9_sync_close(other);
	memory_end(&w);
}

SUITE(sync, TEST(test_a_mutex_is_its_threads_as_often_as_it_took_it),
    TEST(test_a_mutex_lets_one_in_at_a_time),
    TEST(test_a_mutex_whose_owner_is_killed_is_abandoned_to_the_next),
    TEST(test_a_mutex_whose_thread_ended_is_abandoned),
    TEST(test_a_mutex_that_was_lost_is_taken_by_another_place), TEST(test_closing_is_not_releasing),
    TEST(test_a_mutex_of_this_thread_by_another_handle_is_waited_for_by_nobody),
    TEST(test_a_mutex_by_two_handles_is_no_deadlock),
    TEST(test_a_mutex_is_made_owned_if_it_is_made),
    TEST(test_a_semaphore_counts_from_0_to_its_maximum),
    TEST(test_an_event_lets_one_go_for_each_time_it_is_set),
    TEST(test_a_manual_event_lets_all_go_until_it_is_reset),
    TEST(test_set_and_reset_at_once_lets_those_go_who_waited),
    TEST(test_who_may_only_read_waits_for_a_manual_event_and_no_other));
