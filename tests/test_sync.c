/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sync.c - mutexes, semaphores and events between threads and programs, some of which are killed, scribble, or have
 * an older kernel.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/ipc9.h"
#include "client/sync.h"
#include "tests/daemon.h"
#include "tests/harness.h"
#include "tests/process.h"
#include "util/text.h"

#define LONG_MS 20000 /* what comes, comes sooner */
#define SHORT_MS 30   /* for what does not come */

struct world {
	struct daemon_fixture daemon;
	struct ipc9 *ipc9;
	struct ipc9_error error;
};

static struct ipc9 *context(const struct daemon_fixture *d)
{
	struct ipc9_options options = { .timeout_ms = 10000, .socket = d->socket };
	struct ipc9 *ipc9 = NULL;

	return ipc9_new(&options, &ipc9, NULL) ? NULL : ipc9;
}

static void begin(struct world *w)
{
	memset(w, 0, sizeof(*w));
	daemon_start(&w->daemon, "");
	w->ipc9 = context(&w->daemon);
	HOLDS(w->ipc9 != NULL);
}

static void end(struct world *w)
{
	ipc9_free(w->ipc9);
	daemon_end(&w->daemon);
}

static struct ipc9_sync *make(struct world *w, const char *name, enum ipc9_sync_kind kind,
    uint32_t initial, uint32_t maximum, unsigned flags)
{
	struct ipc9_sync_options options = {
		.initial = initial, .maximum = maximum, .flags = flags
	};
	struct ipc9_sync *sync = NULL;

	if (!EQUAL(ipc9_sync_create(w->ipc9, name, kind, &options, &sync, &w->error), 0))
		printf("  %s\n", w->error.text);
	return sync;
}

static struct ipc9_sync *mutex(struct world *w, const char *name)
{
	return make(w, name, IPC9_SYNC_MUTEX, 0, 0, 0);
}

static struct ipc9_sync *semaphore(struct world *w, const char *name, uint32_t initial,
    uint32_t maximum)
{
	return make(w, name, IPC9_SYNC_SEMAPHORE, initial, maximum, 0);
}

static int wait_status(struct ipc9_sync *s, int ms)
{
	return ipc9_sync_wait(s, ms, NULL, NULL);
}

/* In another program: opens what the test made.  NULL: it cannot. */
static struct ipc9_sync *open_there(struct ipc9 *ipc9, const char *name, enum ipc9_sync_kind kind)
{
	struct ipc9_sync *s = NULL;

	return ipc9 && !ipc9_sync_open(ipc9, name, kind, &s, NULL) ? s : NULL;
}

/* What a thread waits for, and what came of it. */
struct waiter {
	pthread_t thread;
	struct ipc9_sync *sync;
	int ms, result;
	bool abandoned;
	_Atomic bool begun;
};

static void *wait_in_thread(void *argument)
{
	struct waiter *w = argument;

	atomic_store(&w->begun, true);
	w->result = ipc9_sync_wait(w->sync, w->ms, &w->abandoned, NULL);
	return NULL;
}

static void waiter_start(struct waiter *w, struct ipc9_sync *s, int ms)
{
	*w = (struct waiter){ .sync = s, .ms = ms, .result = -1 };
	EQUAL(pthread_create(&w->thread, NULL, wait_in_thread, w), 0);
}

static int waiter_end(struct waiter *w)
{
	pthread_join(w->thread, NULL);
	return w->result;
}

/* Whether somebody sleeps on a semaphore or auto event. */
static bool has_sleepers(void *sync)
{
	const struct ipc9_sync *s = sync;

	return atomic_load(&s->state->waiters) > 0;
}

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

	begin(&w);
	s = mutex(&w, "m");
	HOLDS(!ipc9_sync_existed(s));
	EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), IPC9_E_BADSTATE);
	EQUAL(wait_status(s, 0), 0);
	EQUAL(wait_status(s, 0), 0);
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
	end(&w);
}

#define ROUNDS 3000

static int count_under_mutex(struct process *self, void *socket)
{
	struct ipc9 *ipc9 = context(socket);
	struct ipc9_sync *s = open_there(ipc9, "m", IPC9_SYNC_MUTEX);
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

	begin(&w);
	s = mutex(&w, "m");
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
	end(&w);
}

static int own_until_killed(struct process *self, void *socket)
{
	struct ipc9_sync *s = open_there(context(socket), "m", IPC9_SYNC_MUTEX);

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

	begin(&w);
	s = mutex(&w, "m");
	for (int i = 0; i < 3; i++) {
		process_start(&other, own_until_killed, &w.daemon);
		EQUAL(process_hear(&other), 'o');
		EQUAL(wait_status(s, SHORT_MS), IPC9_E_TIMEDOUT);
		if (i == 1) { /* somebody sleeps on it then */
			waiter_start(&waiter, s, LONG_MS);
			EQUAL(wait_status(s, SHORT_MS), IPC9_E_TIMEDOUT);
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
	end(&w);
}

static void test_a_mutex_whose_thread_ended_is_abandoned(void)
{
	struct ipc9_sync *s, *same;
	struct waiter other;
	bool abandoned = false;
	struct world w;

	begin(&w);
	s = mutex(&w, "m");
	same = mutex(&w, "m");
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
	end(&w);
}

static void test_closing_is_not_releasing(void)
{
	struct ipc9_sync *s, *same;
	bool abandoned = false;
	struct world w;

	begin(&w);
	s = mutex(&w, "m");
	same = mutex(&w, "m");
	EQUAL(wait_status(same, 0), 0);
	ipc9_sync_close(same);
	EQUAL(ipc9_sync_wait(s, 0, &abandoned, &w.error), 0);
	HOLDS(abandoned);
	ipc9_sync_close(s);
	end(&w);
}

static void test_a_mutex_by_two_handles_is_no_deadlock(void)
{
	struct ipc9_sync *s, *same;
	struct world w;

	begin(&w);
	s = mutex(&w, "m");
	same = mutex(&w, "m");
	EQUAL(wait_status(s, 0), 0);
	EQUAL(ipc9_sync_wait(same, IPC9_FOREVER, NULL, &w.error), IPC9_E_BADSTATE);
	EQUAL(ipc9_sync_release(same, 1, NULL, &w.error), IPC9_E_BADSTATE);
	EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), 0);
	EQUAL(wait_status(same, 0), 0);
	ipc9_sync_close(same);
	ipc9_sync_close(s);
	end(&w);
}

static void test_a_mutex_is_made_owned_if_it_is_made(void)
{
	struct ipc9_sync *s, *same;
	struct waiter other;
	struct world w;

	begin(&w);
	s = make(&w, "m", IPC9_SYNC_MUTEX, 1, 0, 0);
	waiter_start(&other, s, SHORT_MS);
	EQUAL(waiter_end(&other), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), 0);
	same = make(&w, "m", IPC9_SYNC_MUTEX, 1, 0, 0);
	HOLDS(ipc9_sync_existed(same));
	EQUAL(ipc9_sync_release(same, 1, NULL, &w.error), IPC9_E_BADSTATE);
	ipc9_sync_close(same);
	ipc9_sync_close(s);
	end(&w);
}

/* --- Semaphores -------------------------------------------------------------------------------- */

static void test_a_semaphore_counts_from_0_to_its_maximum(void)
{
	struct ipc9_sync_options over = { .initial = 4, .maximum = 3 },
				 huge = { .maximum = 1u << 31 };
	struct ipc9_sync *s, *same, *none = NULL;
	uint32_t previous = 99;
	struct world w;

	begin(&w);
	EQUAL(ipc9_sync_create(w.ipc9, "s", IPC9_SYNC_SEMAPHORE, &over, &none, &w.error),
	    IPC9_E_INVALID);
	EQUAL(ipc9_sync_create(w.ipc9, "s", IPC9_SYNC_SEMAPHORE, &huge, &none, &w.error),
	    IPC9_E_INVALID);
	s = semaphore(&w, "s", 2, 3);
	same = semaphore(&w, "s", 0, 99); /* which counts for nothing */
	EQUAL(wait_status(same, 0), 0);
	EQUAL(wait_status(s, 0), 0);
	EQUAL(wait_status(same, 0), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_sync_release(s, 2, &previous, &w.error), 0);
	EQUAL(previous, 0);
	EQUAL(ipc9_sync_release(same, 2, &previous, &w.error), IPC9_E_TOOBIG);
	EQUAL(ipc9_sync_release(s, UINT32_MAX, &previous, &w.error), IPC9_E_TOOBIG);
	EQUAL(ipc9_sync_release(s, 0, &previous, &w.error), IPC9_E_INVALID);
	EQUAL(ipc9_sync_release(s, 1, &previous, &w.error), 0);
	EQUAL(previous, 2);
	EQUAL(ipc9_sync_set(s, &w.error), IPC9_E_INVALID);
	for (int i = 0; i < 3; i++)
		EQUAL(wait_status(s, 0), 0);
	EQUAL(wait_status(s, 0), IPC9_E_TIMEDOUT);
	ipc9_sync_close(same);
	ipc9_sync_close(s);
	end(&w);
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

	begin(&w);
	e = make(&w, "e", IPC9_SYNC_EVENT, 0, 0, 0);
	for (unsigned i = 0; i < 4; i++)
		waiter_start(&waiters[i], e, i < 2 ? LONG_MS : 2 * SHORT_MS);
	HOLDS(wait_until(has_sleepers, e, LONG_MS));
	EQUAL(waiter_end(&waiters[2]), IPC9_E_TIMEDOUT);
	EQUAL(waiter_end(&waiters[3]), IPC9_E_TIMEDOUT);
	for (unsigned i = 0; i < 2; i++) {
		EQUAL(ipc9_sync_set(e, &w.error), 0);
		/* Until it was taken: two settings at once are one. */
		while (sync_is_free(e))
			sched_yield();
	}
	EQUAL(count_ready(waiters, 2), 2);
	EQUAL(wait_status(e, 0), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_sync_set(e, &w.error), 0);
	EQUAL(ipc9_sync_set(e, &w.error), 0);
	EQUAL(wait_status(e, 0), 0);
	EQUAL(wait_status(e, 0), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_sync_set(e, &w.error), 0);
	EQUAL(ipc9_sync_reset(e, &w.error), 0);
	EQUAL(wait_status(e, 0), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_sync_release(e, 1, NULL, &w.error), IPC9_E_INVALID);
	ipc9_sync_close(e);
	end(&w);
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

	begin(&w);
	e = make(&w, "e", IPC9_SYNC_EVENT, 0, 0, IPC9_SYNC_CREATE_MANUAL);
	for (unsigned i = 0; i < 4; i++)
		waiter_start(&waiters[i], e, LONG_MS);
	HOLDS(wait_until(have_begun, waiters, LONG_MS));
	nanosleep(&moment, NULL); /* most of them sleep now; those that do not find it set */
	EQUAL(ipc9_sync_set(e, &w.error), 0);
	EQUAL(count_ready(waiters, 4), 4);
	EQUAL(wait_status(e, 0), 0);
	EQUAL(wait_status(e, 0), 0);
	EQUAL(ipc9_sync_reset(e, &w.error), 0);
	EQUAL(wait_status(e, 0), IPC9_E_TIMEDOUT);
	ipc9_sync_close(e);
	end(&w);
}

static void test_set_and_reset_at_once_lets_those_go_who_waited(void)
{
	struct sync_look look;
	struct ipc9_sync *e;
	struct world w;

	begin(&w);
	e = make(&w, "e", IPC9_SYNC_EVENT, 0, 0, IPC9_SYNC_CREATE_MANUAL);
	sync_look_begin(e, &look); /* the wait has begun */
	EQUAL(sync_take(e, &look, false), -EBUSY);
	EQUAL(ipc9_sync_set(e, &w.error), 0);
	EQUAL(ipc9_sync_reset(e, &w.error), 0);
	EQUAL(sync_take(e, &look, false), 0);
	EQUAL(wait_status(e, 0), IPC9_E_TIMEDOUT); /* one that begins now */
	ipc9_sync_close(e);
	end(&w);
}

static int wait_as_reader(struct process *self, void *socket)
{
	struct ipc9_sync *s;
	struct ipc9 *ipc9;

	if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
		return 1;
	ipc9 = context(socket);
	s = open_there(ipc9, "manual", IPC9_SYNC_EVENT);
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
	begin(&w);
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
	end(&w);
}

/* --- Several ----------------------------------------------------------------------------------- */

static void test_any_takes_the_first_of_those_that_are_free(void)
{
	struct ipc9_sync *all[3], *twice[2];
	struct world w;
	size_t index = 99;

	begin(&w);
	all[0] = semaphore(&w, "0", 0, 9);
	all[1] = mutex(&w, "1");
	all[2] = make(&w, "2", IPC9_SYNC_EVENT, 1, 0, 0);
	EQUAL(ipc9_sync_wait_any(all, 3, 0, &index, NULL, &w.error), 0);
	EQUAL(index, 1);
	EQUAL(ipc9_sync_release(all[0], 1, NULL, &w.error), 0);
	EQUAL(ipc9_sync_wait_any(all, 3, 0, &index, NULL, &w.error), 0);
	EQUAL(index, 0);
	EQUAL(ipc9_sync_wait_any(all + 2, 1, 0, &index, NULL, &w.error), 0);
	EQUAL(index, 0);
	EQUAL(ipc9_sync_release(all[1], 1, NULL, &w.error), 0);
	twice[0] = twice[1] = all[0];
	EQUAL(ipc9_sync_wait_any(twice, 2, 0, &index, NULL, &w.error), IPC9_E_INVALID);
	EQUAL(ipc9_sync_wait_any(all, 0, 0, &index, NULL, &w.error), IPC9_E_INVALID);
	EQUAL(ipc9_sync_wait_any(all, IPC9_SYNC_WAIT_MAX + 1, 0, &index, NULL, &w.error),
	    IPC9_E_INVALID);
	EQUAL(ipc9_sync_wait_any(all, 1, -2, &index, NULL, &w.error), IPC9_E_INVALID);
	for (int i = 0; i < 3; i++)
		ipc9_sync_close(all[i]);
	end(&w);
}

/* --- Sixty-four -------------------------------------------------------------------------------- */

static int give_the_last(struct process *self, void *socket)
{
	struct ipc9 *ipc9 = context(socket);
	struct ipc9_sync *s = open_there(ipc9, "63", IPC9_SYNC_SEMAPHORE);

	if (!s)
		return 1;
	process_tell(self, 'r');
	process_hear(self);
	/* Somebody sleeps on it. */
	while (!has_sleepers(s))
		sched_yield();
	if (ipc9_sync_release(s, 1, NULL, NULL))
		return 2;
	ipc9_sync_close(s);
	ipc9_free(ipc9);
	return 0;
}

static void wait_for_64(struct world *w, struct process *other)
{
	struct ipc9_sync *all[IPC9_SYNC_WAIT_MAX];
	size_t index = 99;
	char name[8];

	for (int i = 0; i < IPC9_SYNC_WAIT_MAX; i++) {
		text_format(name, sizeof(name), "%d", i);
		all[i] = semaphore(w, name, 0, 1);
	}
	EQUAL(ipc9_sync_wait_any(all, IPC9_SYNC_WAIT_MAX, SHORT_MS, &index, NULL, &w->error),
	    IPC9_E_TIMEDOUT);
	process_start(other, give_the_last, &w->daemon);
	EQUAL(process_hear(other), 'r');
	process_tell(other, 'g');
	EQUAL(ipc9_sync_wait_any(all, IPC9_SYNC_WAIT_MAX, LONG_MS, &index, NULL, &w->error), 0);
	EQUAL(index, IPC9_SYNC_WAIT_MAX - 1);
	process_end(other);
	for (int i = 0; i < IPC9_SYNC_WAIT_MAX; i++) {
		EQUAL(atomic_load(&all[i]->state->waiters), 0);
		ipc9_sync_close(all[i]);
	}
}

static void test_64_are_waited_for_at_once(void)
{
	struct process other;
	struct world w;

	begin(&w);
	wait_for_64(&w, &other);
	end(&w);
}

/* Makes futex_waitv a call that there is not, as in kernels before 5.16. */
static bool forget_futex_waitv(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 449, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static int wait_for_any_of_two(struct process *self, void *socket)
{
	struct ipc9 *ipc9 = context(socket);
	struct ipc9_sync *both[2] = { open_there(ipc9, "a", IPC9_SYNC_SEMAPHORE),
		open_there(ipc9, "b", IPC9_SYNC_SEMAPHORE) };
	size_t index = 99;

	if (!both[0] || !both[1])
		return 1;
	if (!forget_futex_waitv())
		return 2;
	if (ipc9_sync_wait_any(both, 2, SHORT_MS, &index, NULL, NULL) != IPC9_E_TIMEDOUT)
		return 3;
	process_tell(self, 'w');
	if (ipc9_sync_wait_any(both, 2, LONG_MS, &index, NULL, NULL) || index != 1)
		return 4;
	return 0;
}

static void test_several_are_waited_for_where_the_kernel_cannot(void)
{
	struct ipc9_sync *a, *b;
	struct process other;
	struct world w;

	begin(&w);
	a = semaphore(&w, "a", 0, 1);
	b = semaphore(&w, "b", 0, 1);
	process_start(&other, wait_for_any_of_two, &w.daemon);
	EQUAL(process_hear(&other), 'w');
	EQUAL(ipc9_sync_release(b, 1, NULL, &w.error), 0);
	process_end(&other);
	ipc9_sync_close(a);
	ipc9_sync_close(b);
	end(&w);
}

static void test_all_takes_all_or_none(void)
{
	struct ipc9_sync *all[3];
	bool abandoned = true;
	struct world w;

	begin(&w);
	all[0] = mutex(&w, "0");
	all[1] = semaphore(&w, "1", 0, 2);
	all[2] = make(&w, "2", IPC9_SYNC_EVENT, 1, 0, 0);
	EQUAL(ipc9_sync_wait_all(all, 3, SHORT_MS, &abandoned, &w.error), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_sync_release(all[0], 1, NULL, &w.error), IPC9_E_BADSTATE);
	EQUAL(wait_status(all[2], 0), 0);
	EQUAL(ipc9_sync_set(all[2], &w.error), 0);
	EQUAL(ipc9_sync_release(all[1], 1, NULL, &w.error), 0);
	EQUAL(ipc9_sync_wait_all(all, 3, 0, &abandoned, &w.error), 0);
	HOLDS(!abandoned);
	EQUAL(ipc9_sync_release(all[0], 1, NULL, &w.error), 0);
	EQUAL(wait_status(all[1], 0), IPC9_E_TIMEDOUT);
	EQUAL(wait_status(all[2], 0), IPC9_E_TIMEDOUT);
	for (int i = 0; i < 3; i++)
		ipc9_sync_close(all[i]);
	end(&w);
}

static void test_what_is_put_back_is_as_it_was(void)
{
	struct ipc9_sync *m, *s, *e;
	struct sync_look look;
	struct waiter other;
	bool abandoned = false;
	struct world w;

	begin(&w);
	m = mutex(&w, "m");
	s = semaphore(&w, "s", 2, 2);
	e = make(&w, "e", IPC9_SYNC_EVENT, 1, 0, 0);
	waiter_start(&other, m, LONG_MS);
	EQUAL(waiter_end(&other), 0); /* and its thread is gone */
	sync_look_begin(m, &look);
	EQUAL(sync_take(m, &look, true), 0);
	HOLDS(look.abandoned);
	sync_put_back(m, &look);
	EQUAL(ipc9_sync_wait(m, 0, &abandoned, &w.error), 0);
	HOLDS(abandoned);
	EQUAL(sync_take(s, &look, true), 0);
	sync_put_back(s, &look);
	EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), IPC9_E_TOOBIG);
	EQUAL(sync_take(e, &look, true), 0);
	sync_put_back(e, &look);
	EQUAL(wait_status(e, 0), 0);
	ipc9_sync_close(m);
	ipc9_sync_close(s);
	ipc9_sync_close(e);
	end(&w);
}

/* Philosophers: each takes its two forks by one wait for both, or one of the two, and gives back what it took. */
#define FORKS 3
#define MEALS 400

struct philosopher {
	pthread_t thread;
	struct ipc9_sync *forks[2];
	bool any;
	int failed;
};

static void *dine(void *argument)
{
	struct philosopher *p = argument;

	for (int i = 0; i < MEALS && !p->failed; i++) {
		size_t index = 0;

		if (p->any)
			p->failed = ipc9_sync_wait_any(p->forks, 2, LONG_MS, &index, NULL, NULL);
		else
			p->failed = ipc9_sync_wait_all(p->forks, 2, LONG_MS, NULL, NULL);
		if (p->failed)
			break;
		if (i % 7 == 0)
			sched_yield();
		p->failed = ipc9_sync_release(p->forks[index], 1, NULL, NULL);
		if (!p->any && !p->failed)
			p->failed = ipc9_sync_release(p->forks[1], 1, NULL, NULL);
	}
	return NULL;
}

static int dine_elsewhere(struct process *self, void *socket)
{
	struct ipc9 *ipc9 = context(socket);
	struct philosopher all[FORKS];
	struct ipc9_sync *forks[FORKS];
	int failed = 0;
	char name[8];

	for (int i = 0; i < FORKS; i++) {
		text_format(name, sizeof(name), "fork %d", i);
		forks[i] = open_there(ipc9, name, i == 0 ? IPC9_SYNC_MUTEX : IPC9_SYNC_SEMAPHORE);
		if (!forks[i])
			return 1;
	}
	process_tell(self, 'r');
	process_hear(self);
	for (int i = 0; i < FORKS; i++) {
		all[i] = (struct philosopher){ .forks = { forks[i], forks[(i + 1) % FORKS] },
			.any = i == 2 };
		if (pthread_create(&all[i].thread, NULL, dine, &all[i]))
			return 2;
	}
	for (int i = 0; i < FORKS; i++) {
		pthread_join(all[i].thread, NULL);
		if (all[i].failed)
			failed = 10 + i;
	}
	for (int i = 0; i < FORKS; i++)
		ipc9_sync_close(forks[i]);
	ipc9_free(ipc9);
	return failed;
}

static void test_nobody_starves_and_nothing_is_lost_among_many_waits(void)
{
	enum {
		N = 3
	};
	struct ipc9_sync *forks[FORKS];
	struct process others[N];
	struct world w;
	char name[8];

	begin(&w);
	forks[0] = mutex(&w, "fork 0");
	for (int i = 1; i < FORKS; i++) {
		text_format(name, sizeof(name), "fork %d", i);
		forks[i] = semaphore(&w, name, 1, 1);
	}
	for (int i = 0; i < N; i++)
		process_start(&others[i], dine_elsewhere, &w.daemon);
	for (int i = 0; i < N; i++)
		EQUAL(process_hear(&others[i]), 'r');
	for (int i = 0; i < N; i++)
		process_tell(&others[i], 'g');
	for (int i = 0; i < N; i++)
		process_end(&others[i]);
	for (int i = 0; i < FORKS; i++) {
		EQUAL(wait_status(forks[i], 0), 0);
		EQUAL(ipc9_sync_release(forks[i], 1, NULL, &w.error), 0);
		EQUAL(atomic_load(&forks[i]->state->waiters), 0);
		ipc9_sync_close(forks[i]);
	}
	end(&w);
}

/* --- Descriptors ------------------------------------------------------------------------------- */

static bool is_readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static void test_the_descriptor_tells_when_it_is_worth_trying(void)
{
	struct ipc9_sync *s, *e;
	struct world w;
	int fd = -1, same = -1, fd_e = -1;

	begin(&w);
	s = semaphore(&w, "s", 0, 2);
	e = make(&w, "e", IPC9_SYNC_EVENT, 0, 0, IPC9_SYNC_CREATE_MANUAL);
	EQUAL(ipc9_sync_fd(s, &fd, &w.error), 0);
	EQUAL(ipc9_sync_fd(s, &same, &w.error), 0);
	EQUAL(fd, same);
	EQUAL(ipc9_sync_fd(e, &fd_e, &w.error), 0);
	HOLDS(!is_readable(fd, SHORT_MS));
	EQUAL(ipc9_sync_release(s, 2, NULL, &w.error), 0);
	HOLDS(is_readable(fd, LONG_MS));
	EQUAL(wait_status(s, 0), 0);
	HOLDS(is_readable(fd, LONG_MS)); /* there is another */
	EQUAL(wait_status(s, 0), 0);
	EQUAL(wait_status(s, 0), IPC9_E_TIMEDOUT);
	HOLDS(!is_readable(fd, SHORT_MS));
	HOLDS(!is_readable(fd_e, 0));
	EQUAL(ipc9_sync_set(e, &w.error), 0);
	HOLDS(is_readable(fd_e, LONG_MS));
	ipc9_sync_close(s);
	ipc9_sync_close(e);
	end(&w);
}

static void test_who_polls_keeps_nothing_from_who_waits(void)
{
	struct ipc9_sync *s, *polled;
	struct waiter waiter;
	struct world w;
	int fd = -1;

	begin(&w);
	s = semaphore(&w, "s", 0, 1);
	polled = semaphore(&w, "s", 0, 1);
	EQUAL(ipc9_sync_fd(polled, &fd, &w.error), 0);
	for (int i = 0; i < 20; i++) {
		waiter_start(&waiter, s, LONG_MS);
		EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), 0);
		EQUAL(waiter_end(&waiter), 0);
		(void)wait_status(polled, 0);
	}
	ipc9_sync_close(polled);
	ipc9_sync_close(s);
	end(&w);
}

/* --- Those who scribble ------------------------------------------------------------------------ */

static int scribble(struct process *self, void *socket)
{
	static const char *const names[] = { "m", "s", "e" };
	struct ipc9 *ipc9 = context(socket);
	_Atomic uint32_t *pages[3];
	size_t words = (size_t)sysconf(_SC_PAGESIZE) / 4;
	uint32_t dice = 12345;

	for (int i = 0; i < 3; i++) {
		struct ipc9_sync *s =
		    open_there(ipc9, names[i], (enum ipc9_sync_kind)(IPC9_SYNC_MUTEX + i));

		if (!s)
			return 1;
		pages[i] = (void *)s->state;
	}
	process_tell(self, 'r');
	for (;;) {
		_Atomic uint32_t *page = pages[dice % 3];
		/* The words that mean something, and now and then any. */
		size_t word = dice >> 8 & 1 ? 1 + (dice >> 9) % 3
		    : dice >> 8 & 2	    ? words - 2 + (dice >> 9) % 2
					    : (dice >> 9) % words;

		dice = dice * 1664525 + 1013904223;
		atomic_store(&page[word],
		    dice & 0x10000 ? dice : (uint32_t)getppid() | (dice & 0xc0000000));
	}
}

static void test_who_scribbles_over_an_object_harms_nothing_else(void)
{
	struct ipc9_sync *all[3], *good;
	struct process other;
	struct world w;
	size_t index;

	begin(&w);
	all[0] = mutex(&w, "m");
	all[1] = semaphore(&w, "s", 1, 9);
	all[2] = make(&w, "e", IPC9_SYNC_EVENT, 0, 0, 0);
	good = mutex(&w, "good");
	EQUAL(wait_status(good, 0), 0);
	process_start(&other, scribble, &w.daemon);
	EQUAL(process_hear(&other), 'r');
	for (int i = 0; i < 3000; i++) {
		/* Whatever they return, they return. */
		(void)ipc9_sync_wait(all[i % 3], i % 100 == 0 ? 5 : 0, NULL, NULL);
		(void)ipc9_sync_release(all[0], 1, NULL, NULL);
		(void)ipc9_sync_release(all[1], (uint32_t)i, NULL, NULL);
		(void)ipc9_sync_set(all[2], NULL);
		(void)ipc9_sync_wait_any(all, 3, 0, &index, NULL, NULL);
		(void)ipc9_sync_wait_all(all, 3, 0, NULL, NULL);
	}
	process_kill(&other);
	for (int i = 0; i < 3; i++)
		ipc9_sync_close(all[i]);
	/* The list of what this thread owns is whole. */
	EQUAL(wait_status(good, 0), 0);
	EQUAL(ipc9_sync_release(good, 1, NULL, &w.error), 0);
	EQUAL(ipc9_sync_release(good, 1, NULL, &w.error), 0);
	ipc9_sync_close(good);
	end(&w);
}

/* --- Without a daemon -------------------------------------------------------------------------- */

static int answer_by_events(struct process *self, void *socket)
{
	struct ipc9 *ipc9 = context(socket);
	struct ipc9_sync *question = open_there(ipc9, "question", IPC9_SYNC_EVENT);
	struct ipc9_sync *answer = open_there(ipc9, "answer", IPC9_SYNC_EVENT);

	if (!question || !answer)
		return 1;
	process_tell(self, 'r');
	for (int i = 0; i < 100; i++)
		if (ipc9_sync_wait(question, LONG_MS, NULL, NULL) || ipc9_sync_set(answer, NULL))
			return 2;
	ipc9_sync_close(question);
	ipc9_sync_close(answer);
	ipc9_free(ipc9);
	return 0;
}

static void test_waiting_needs_no_daemon(void)
{
	struct ipc9_sync *question, *answer;
	struct process other;
	struct world w;

	begin(&w);
	question = make(&w, "question", IPC9_SYNC_EVENT, 0, 0, 0);
	answer = make(&w, "answer", IPC9_SYNC_EVENT, 0, 0, 0);
	process_start(&other, answer_by_events, &w.daemon);
	EQUAL(process_hear(&other), 'r');
	daemon_kill(&w.daemon);
	for (int i = 0; i < 100; i++) {
		EQUAL(ipc9_sync_set(question, &w.error), 0);
		if (!EQUAL(wait_status(answer, LONG_MS), 0))
			break;
	}
	process_end(&other);
	ipc9_sync_close(question);
	ipc9_sync_close(answer);
	ipc9_free(w.ipc9);
}

static void test_options_that_make_no_sense_are_refused(void)
{
	static const struct {
		enum ipc9_sync_kind kind;
		struct ipc9_sync_options options;
	} cases[] = {
		{ (enum ipc9_sync_kind)1, { 0 } },
		{ (enum ipc9_sync_kind)5, { 0 } },
		{ IPC9_SYNC_MUTEX, { .flags = IPC9_SYNC_CREATE_MANUAL } },
		{ IPC9_SYNC_EVENT, { .flags = 8 } },
		{ IPC9_SYNC_EVENT, { .initial = 2 } },
		{ IPC9_SYNC_EVENT, { .maximum = 1 } },
		{ IPC9_SYNC_MUTEX, { .initial = 2 } },
	};
	struct ipc9_sync *s = NULL;
	struct world w;

	begin(&w);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!EQUAL(ipc9_sync_create(w.ipc9, "x", cases[i].kind, &cases[i].options, &s,
			       &w.error),
			IPC9_E_INVALID))
			printf("  case %zu\n", i);
	EQUAL(ipc9_sync_open(w.ipc9, "x", IPC9_SYNC_EVENT, &s, &w.error), IPC9_E_NOENT);
	end(&w);
}

SUITE(sync, TEST(test_a_mutex_is_its_threads_as_often_as_it_took_it),
    TEST(test_a_mutex_lets_one_in_at_a_time),
    TEST(test_a_mutex_whose_owner_is_killed_is_abandoned_to_the_next),
    TEST(test_a_mutex_whose_thread_ended_is_abandoned), TEST(test_closing_is_not_releasing),
    TEST(test_a_mutex_by_two_handles_is_no_deadlock),
    TEST(test_a_mutex_is_made_owned_if_it_is_made),
    TEST(test_a_semaphore_counts_from_0_to_its_maximum),
    TEST(test_an_event_lets_one_go_for_each_time_it_is_set),
    TEST(test_a_manual_event_lets_all_go_until_it_is_reset),
    TEST(test_set_and_reset_at_once_lets_those_go_who_waited),
    TEST(test_who_may_only_read_waits_for_a_manual_event_and_no_other),
    TEST(test_any_takes_the_first_of_those_that_are_free), TEST(test_64_are_waited_for_at_once),
    TEST(test_several_are_waited_for_where_the_kernel_cannot), TEST(test_all_takes_all_or_none),
    TEST(test_what_is_put_back_is_as_it_was),
    TEST(test_nobody_starves_and_nothing_is_lost_among_many_waits),
    TEST(test_the_descriptor_tells_when_it_is_worth_trying),
    TEST(test_who_polls_keeps_nothing_from_who_waits),
    TEST(test_who_scribbles_over_an_object_harms_nothing_else), TEST(test_waiting_needs_no_daemon),
    TEST(test_options_that_make_no_sense_are_refused));
