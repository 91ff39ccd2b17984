/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_sync_several.c - waiting for several objects, polling them, and programs that scribble, or have an older kernel, or
 * no daemon.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "tests/harness.h"
#include "tests/memory.h"
#include "tests/process.h"
#include "util/text.h"

/* --- Several ----------------------------------------------------------------------------------- */

static void test_any_takes_the_first_of_those_that_are_free(void)
{
	struct ipc9_sync *all[3], *twice[2];
	struct world w;
	size_t index = 99;

	memory_begin(&w, "");
	all[0] = memory_semaphore(&w, "0", 0, 9);
	all[1] = memory_mutex(&w, "1");
	all[2] = memory_sync(&w, "2", IPC9_SYNC_EVENT, 1, 0, 0);
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
	memory_end(&w);
}

static int64_t cpu_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void test_all_of_one_object_by_two_handles_waits_for_two_of_it(void)
{
	enum {
		WAIT_MS = 400
	};
	struct ipc9_sync *counts[2], *events[2];
	struct world w;
	int64_t before;

	memory_begin(&w, "");
	for (int i = 0; i < 2; i++) {
		counts[i] = memory_semaphore(&w, "s", 1, 9);
		events[i] = memory_sync(&w, "e", IPC9_SYNC_EVENT, 1, 0, 0);
	}
	before = cpu_ms();
	EQUAL(ipc9_sync_wait_all(counts, 2, WAIT_MS, NULL, &w.error), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_sync_wait_all(events, 2, WAIT_MS, NULL, &w.error), IPC9_E_TIMEDOUT);
	/* Of 800 ms; they are the processor's, and no clock's. */
	HOLDS(cpu_ms() - before < WAIT_MS / 2);
	EQUAL(ipc9_sync_release(counts[0], 1, NULL, &w.error), 0);
	EQUAL(ipc9_sync_wait_all(counts, 2, LONG_MS, NULL, &w.error), 0);
	EQUAL(memory_wait(counts[0], 0), IPC9_E_TIMEDOUT);
	EQUAL(memory_wait(events[1], 0), 0); /* it was put back */
	for (int i = 0; i < 2; i++) {
		ipc9_sync_close(counts[i]);
		ipc9_sync_close(events[i]);
	}
	memory_end(&w);
}

/* --- Sixty-four -------------------------------------------------------------------------------- */

static int give_the_last(struct process *self, void *socket)
{
	struct ipc9 *ipc9 = memory_context(socket);
	struct ipc9_sync *s = memory_sync_there(ipc9, "63", IPC9_SYNC_SEMAPHORE);

	if (!s)
		return 1;
	process_tell(self, 'r');
	process_hear(self);
	/* Somebody sleeps on it. */
	while (!memory_has_sleepers(s))
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
		all[i] = memory_semaphore(w, name, 0, 1);
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

	memory_begin(&w, "");
	wait_for_64(&w, &other);
	memory_end(&w);
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
	struct ipc9 *ipc9 = memory_context(socket);
	struct ipc9_sync *both[2] = { memory_sync_there(ipc9, "a", IPC9_SYNC_SEMAPHORE),
		memory_sync_there(ipc9, "b", IPC9_SYNC_SEMAPHORE) };
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

	memory_begin(&w, "");
	a = memory_semaphore(&w, "a", 0, 1);
	b = memory_semaphore(&w, "b", 0, 1);
	process_start(&other, wait_for_any_of_two, &w.daemon);
	EQUAL(process_hear(&other), 'w');
	EQUAL(ipc9_sync_release(b, 1, NULL, &w.error), 0);
	process_end(&other);
	ipc9_sync_close(a);
	ipc9_sync_close(b);
	memory_end(&w);
}

static void test_all_takes_all_or_none(void)
{
	struct ipc9_sync *all[3];
	bool abandoned = true;
	struct world w;

	memory_begin(&w, "");
	all[0] = memory_mutex(&w, "0");
	all[1] = memory_semaphore(&w, "1", 0, 2);
	all[2] = memory_sync(&w, "2", IPC9_SYNC_EVENT, 1, 0, 0);
	EQUAL(ipc9_sync_wait_all(all, 3, SHORT_MS, &abandoned, &w.error), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_sync_release(all[0], 1, NULL, &w.error), IPC9_E_BADSTATE);
	EQUAL(memory_wait(all[2], 0), 0);
	EQUAL(ipc9_sync_set(all[2], &w.error), 0);
	EQUAL(ipc9_sync_release(all[1], 1, NULL, &w.error), 0);
	EQUAL(ipc9_sync_wait_all(all, 3, 0, &abandoned, &w.error), 0);
	HOLDS(!abandoned);
	EQUAL(ipc9_sync_release(all[0], 1, NULL, &w.error), 0);
	EQUAL(memory_wait(all[1], 0), IPC9_E_TIMEDOUT);
	EQUAL(memory_wait(all[2], 0), IPC9_E_TIMEDOUT);
	for (int i = 0; i < 3; i++)
		ipc9_sync_close(all[i]);
	memory_end(&w);
}

static void test_what_is_put_back_is_as_it_was(void)
{
	struct ipc9_sync *m, *s, *e;
	struct sync_look look;
	struct waiter other;
	bool abandoned = false;
	struct world w;

	memory_begin(&w, "");
	m = memory_mutex(&w, "m");
	s = memory_semaphore(&w, "s", 2, 2);
	e = memory_sync(&w, "e", IPC9_SYNC_EVENT, 1, 0, 0);
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
	EQUAL(memory_wait(e, 0), 0);
	ipc9_sync_close(m);
	ipc9_sync_close(s);
	ipc9_sync_close(e);
	memory_end(&w);
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
	struct ipc9 *ipc9 = memory_context(socket);
	struct philosopher all[FORKS];
	struct ipc9_sync *forks[FORKS];
	unsigned rescued = 0;
	int failed = 0;
	char name[8];

	for (int i = 0; i < FORKS; i++) {
		text_format(name, sizeof(name), "fork %d", i);
		forks[i] =
		    memory_sync_there(ipc9, name, i == 0 ? IPC9_SYNC_MUTEX : IPC9_SYNC_SEMAPHORE);
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
	for (int i = 0; i < FORKS; i++) {
		rescued += atomic_load(&forks[i]->rescued);
		ipc9_sync_close(forks[i]);
	}
	ipc9_free(ipc9);
	/* On a busy machine a wait may happen to end when a slice does; wakes that go astray are many more. */
	return rescued > FORKS * MEALS / 100 ? 20 : failed;
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

	memory_begin(&w, "");
	forks[0] = memory_mutex(&w, "fork 0");
	for (int i = 1; i < FORKS; i++) {
		text_format(name, sizeof(name), "fork %d", i);
		forks[i] = memory_semaphore(&w, name, 1, 1);
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
		EQUAL(memory_wait(forks[i], 0), 0);
		EQUAL(ipc9_sync_release(forks[i], 1, NULL, &w.error), 0);
		EQUAL(atomic_load(&forks[i]->state->waiters), 0);
		ipc9_sync_close(forks[i]);
	}
	memory_end(&w);
}

/* --- Wakes that go astray ---------------------------------------------------------------------- */

/*
 * Who is not woken looks again after a slice all the same, which `rescued` counts.  On a busy machine that can happen to
 * somebody who would have been woken a moment later; so each of these has some tries.
 */
#define WAKE_TRIES 5

static bool two_sleep(void *sync)
{
	const struct ipc9_sync *s = sync;

	return atomic_load(&s->state->waiters) == 2;
}

static bool is_contended(void *sync)
{
	struct ipc9_sync *s = sync;
	uint32_t word = atomic_load(sync_word(s));

	return word == sync_mutex_contended(word);
}

/* Between what is seen in the words and the kernel's queue. */
static void a_moment(void)
{
	const struct timespec moment = { 0, 20000000 };

	nanosleep(&moment, NULL);
}

static void test_what_is_passed_on_wakes_another(void)
{
	unsigned rescued = 1, of_mutex = 1;
	struct ipc9_sync *s, *m;
	struct waiter waiter;
	struct world w;

	memory_begin(&w, "");
	for (int i = 0; i < WAKE_TRIES && rescued; i++) {
		s = memory_semaphore(&w, "s", 0, 1);
		waiter_start(&waiter, s, LONG_MS);
		HOLDS(wait_until(memory_has_sleepers, s, LONG_MS));
		a_moment();
		atomic_store(&s->state->word, 1); /* as if the wake had gone to somebody else */
		sync_pass_on(s);
		EQUAL(waiter_end(&waiter), 0);
		rescued = atomic_load(&s->rescued);
		ipc9_sync_close(s);
	}
	EQUAL(rescued, 0);
	for (int i = 0; i < WAKE_TRIES && of_mutex; i++) {
		m = memory_mutex(&w, "m");
		EQUAL(memory_wait(m, 0), 0);
		waiter_start(&waiter, m, LONG_MS);
		HOLDS(wait_until(is_contended, m, LONG_MS));
		a_moment();
		atomic_store(sync_word(m), atomic_load(sync_word(m)) & ~sync_mutex_contended(0));
		EQUAL(ipc9_sync_release(m, 1, NULL, &w.error), 0);
		sync_pass_on(m);
		EQUAL(waiter_end(&waiter), 0);
		of_mutex = atomic_load(&m->rescued);
		ipc9_sync_close(m);
	}
	EQUAL(of_mutex, 0);
	memory_end(&w);
}

static void *wait_and_release(void *argument)
{
	struct waiter *w = argument;

	w->result = ipc9_sync_wait(w->sync, w->ms, NULL, NULL);
	if (!w->result)
		w->result = ipc9_sync_release(w->sync, 1, NULL, NULL);
	return NULL;
}

static void test_who_slept_wakes_the_next_when_it_releases(void)
{
	struct waiter waiters[3];
	unsigned rescued = 1;
	struct ipc9_sync *m;
	struct world w;

	memory_begin(&w, "");
	for (int i = 0; i < WAKE_TRIES && rescued; i++) {
		m = memory_mutex(&w, "m");
		EQUAL(memory_wait(m, 0), 0);
		for (int k = 0; k < 3; k++) {
			waiters[k] = (struct waiter){ .sync = m, .ms = LONG_MS };
			EQUAL(pthread_create(&waiters[k].thread, NULL, wait_and_release,
				  &waiters[k]),
			    0);
		}
		HOLDS(wait_until(is_contended, m, LONG_MS));
		a_moment();
		EQUAL(ipc9_sync_release(m, 1, NULL, &w.error), 0);
		for (int k = 0; k < 3; k++)
			EQUAL(waiter_end(&waiters[k]), 0);
		rescued = atomic_load(&m->rescued);
		ipc9_sync_close(m);
	}
	EQUAL(rescued, 0);
	memory_end(&w);
}

static void *wait_for_any_in_thread(void *argument)
{
	struct ipc9_sync **both = argument;
	size_t index = 99;

	return (void *)(intptr_t)(ipc9_sync_wait_any(both, 2, LONG_MS, &index, NULL, NULL)
		? -1
		: (int)index);
}

static void test_who_is_woken_and_takes_another_passes_it_on(void)
{
	struct ipc9_sync *both[2];
	struct waiter second;
	unsigned rescued = 1;
	pthread_t first;
	struct world w;
	void *index;

	memory_begin(&w, "");
	for (int i = 0; i < WAKE_TRIES && rescued; i++) {
		both[0] = memory_semaphore(&w, "a", 0, 1);
		both[1] = memory_semaphore(&w, "b", 0, 1);
		EQUAL(pthread_create(&first, NULL, wait_for_any_in_thread, both), 0);
		HOLDS(wait_until(memory_has_sleepers, both[1], LONG_MS));
		a_moment();
		waiter_start(&second, both[1], LONG_MS);
		HOLDS(wait_until(two_sleep, both[1], LONG_MS));
		a_moment();
		/* The first in the queue is woken for b, and finds a. */
		atomic_store(&both[0]->state->word, 1);
		EQUAL(ipc9_sync_release(both[1], 1, NULL, &w.error), 0);
		pthread_join(first, &index);
		EQUAL((intptr_t)index, 0);
		EQUAL(waiter_end(&second), 0);
		rescued = atomic_load(&both[1]->rescued);
		ipc9_sync_close(both[0]);
		ipc9_sync_close(both[1]);
	}
	EQUAL(rescued, 0);
	memory_end(&w);
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

	memory_begin(&w, "");
	s = memory_semaphore(&w, "s", 0, 2);
	e = memory_sync(&w, "e", IPC9_SYNC_EVENT, 0, 0, IPC9_SYNC_CREATE_MANUAL);
	EQUAL(ipc9_sync_fd(s, &fd, &w.error), 0);
	EQUAL(ipc9_sync_fd(s, &same, &w.error), 0);
	EQUAL(fd, same);
	EQUAL(ipc9_sync_fd(e, &fd_e, &w.error), 0);
	HOLDS(!is_readable(fd, SHORT_MS));
	EQUAL(ipc9_sync_release(s, 2, NULL, &w.error), 0);
	HOLDS(is_readable(fd, LONG_MS));
	EQUAL(memory_wait(s, 0), 0);
	HOLDS(is_readable(fd, LONG_MS)); /* there is another */
	EQUAL(memory_wait(s, 0), 0);
	EQUAL(memory_wait(s, 0), IPC9_E_TIMEDOUT);
	HOLDS(!is_readable(fd, SHORT_MS));
	HOLDS(!is_readable(fd_e, 0));
	EQUAL(ipc9_sync_set(e, &w.error), 0);
	HOLDS(is_readable(fd_e, LONG_MS));
	ipc9_sync_close(s);
	ipc9_sync_close(e);
	memory_end(&w);
}

static void test_who_polls_keeps_nothing_from_who_waits(void)
{
	struct ipc9_sync *s, *polled;
	struct waiter waiter;
	struct world w;
	int fd = -1;

	memory_begin(&w, "");
	s = memory_semaphore(&w, "s", 0, 1);
	polled = memory_semaphore(&w, "s", 0, 1);
	EQUAL(ipc9_sync_fd(polled, &fd, &w.error), 0);
	for (int i = 0; i < 20; i++) {
		waiter_start(&waiter, s, LONG_MS);
		EQUAL(ipc9_sync_release(s, 1, NULL, &w.error), 0);
		EQUAL(waiter_end(&waiter), 0);
		(void)memory_wait(polled, 0);
	}
	ipc9_sync_close(polled);
	ipc9_sync_close(s);
	memory_end(&w);
}

/* --- Those who scribble ------------------------------------------------------------------------ */

static int scribble(struct process *self, void *socket)
{
	static const char *const names[] = { "m", "s", "e" };
	struct ipc9 *ipc9 = memory_context(socket);
	_Atomic uint32_t *pages[3];
	size_t words = (size_t)sysconf(_SC_PAGESIZE) / 4;
	uint32_t dice = 12345;

	for (int i = 0; i < 3; i++) {
		struct ipc9_sync *s =
		    memory_sync_there(ipc9, names[i], (enum ipc9_sync_kind)(IPC9_SYNC_MUTEX + i));

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

static int count_maps(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	int n = 0, c;

	while (maps && (c = fgetc(maps)) != EOF)
		n += c == '\n';
	if (maps)
		(void)fclose(maps);
	return n;
}

static void test_who_scribbles_over_an_object_harms_nothing_else(void)
{
	struct ipc9_sync *all[3], *good;
	struct process other;
	struct world w;
	size_t index;
	int n_maps;

	memory_begin(&w, "");
	all[0] = memory_mutex(&w, "m");
	all[1] = memory_semaphore(&w, "s", 1, 9);
	all[2] = memory_sync(&w, "e", IPC9_SYNC_EVENT, 0, 0, 0);
	good = memory_mutex(&w, "good");
	EQUAL(memory_wait(good, 0), 0);
	process_start(&other, scribble, &w.daemon);
	EQUAL(process_hear(&other), 'r');
	n_maps = count_maps();
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
	HOLDS(count_maps() < n_maps + 50);
	for (int i = 0; i < 3; i++)
		ipc9_sync_close(all[i]);
	/* The list of what this thread owns is whole. */
	EQUAL(memory_wait(good, 0), 0);
	EQUAL(ipc9_sync_release(good, 1, NULL, &w.error), 0);
	EQUAL(ipc9_sync_release(good, 1, NULL, &w.error), 0);
	ipc9_sync_close(good);
	memory_end(&w);
}

#define TIMES_LOST 5000 /* the kernel reads a thread's list as far as 2048 */

static int lose_again_and_again(struct process *self, void *socket)
{
	struct ipc9 *ipc9 = memory_context(socket);
	struct ipc9_sync *good = memory_sync_there(ipc9, "good", IPC9_SYNC_MUTEX);
	struct ipc9_sync *m = memory_sync_there(ipc9, "m", IPC9_SYNC_MUTEX);
	int n_maps;

	if (!good || !m || ipc9_sync_wait(good, 0, NULL, NULL))
		return 1;
	n_maps = count_maps();
	for (int i = 0; i < TIMES_LOST; i++) {
		if (ipc9_sync_wait(m, 0, NULL, NULL))
			return 2;
		atomic_store(sync_word(m), 0); /* as another program may at this moment */
		if (i % 2 && ipc9_sync_release(m, 1, NULL, NULL) != IPC9_E_BADSTATE)
			return 3;
	}
	process_tell(self, count_maps() < n_maps + 50 ? 'r' : 'm');
	process_hear(self);
	return 4;
}

static void test_other_mutexes_of_who_was_scribbled_over_are_abandoned_when_it_dies(void)
{
	struct ipc9_sync *good, *m;
	struct process other;
	bool abandoned = false;
	struct world w;

	memory_begin(&w, "");
	good = memory_mutex(&w, "good");
	m = memory_mutex(&w, "m");
	process_start(&other, lose_again_and_again, &w.daemon);
	EQUAL(process_hear(&other), 'r');
	process_kill(&other);
	EQUAL(ipc9_sync_wait(good, LONG_MS, &abandoned, &w.error), 0);
	HOLDS(abandoned);
	ipc9_sync_close(good);
	ipc9_sync_close(m);
	memory_end(&w);
}

/* --- Without a daemon -------------------------------------------------------------------------- */

static int answer_by_events(struct process *self, void *socket)
{
	struct ipc9 *ipc9 = memory_context(socket);
	struct ipc9_sync *question = memory_sync_there(ipc9, "question", IPC9_SYNC_EVENT);
	struct ipc9_sync *answer = memory_sync_there(ipc9, "answer", IPC9_SYNC_EVENT);

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

	memory_begin(&w, "");
	question = memory_sync(&w, "question", IPC9_SYNC_EVENT, 0, 0, 0);
	answer = memory_sync(&w, "answer", IPC9_SYNC_EVENT, 0, 0, 0);
	process_start(&other, answer_by_events, &w.daemon);
	EQUAL(process_hear(&other), 'r');
	daemon_kill(&w.daemon);
	for (int i = 0; i < 100; i++) {
		EQUAL(ipc9_sync_set(question, &w.error), 0);
		if (!EQUAL(memory_wait(answer, LONG_MS), 0))
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

	memory_begin(&w, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!EQUAL(ipc9_sync_create(w.ipc9, "x", cases[i].kind, &cases[i].options, &s,
			       &w.error),
			IPC9_E_INVALID))
			printf("  case %zu\n", i);
	EQUAL(ipc9_sync_open(w.ipc9, "x", IPC9_SYNC_EVENT, &s, &w.error), IPC9_E_NOENT);
	memory_end(&w);
}

SUITE(sync_several, TEST(test_all_of_one_object_by_two_handles_waits_for_two_of_it),
    TEST(test_any_takes_the_first_of_those_that_are_free), TEST(test_64_are_waited_for_at_once),
    TEST(test_several_are_waited_for_where_the_kernel_cannot), TEST(test_all_takes_all_or_none),
    TEST(test_what_is_put_back_is_as_it_was),
    TEST(test_nobody_starves_and_nothing_is_lost_among_many_waits),
    TEST(test_what_is_passed_on_wakes_another),
    TEST(test_who_slept_wakes_the_next_when_it_releases),
    TEST(test_who_is_woken_and_takes_another_passes_it_on),
    TEST(test_the_descriptor_tells_when_it_is_worth_trying),
    TEST(test_who_polls_keeps_nothing_from_who_waits),
    TEST(test_who_scribbles_over_an_object_harms_nothing_else),
    TEST(test_other_mutexes_of_who_was_scribbled_over_are_abandoned_when_it_dies),
    TEST(test_waiting_needs_no_daemon), TEST(test_options_that_make_no_sense_are_refused));
