/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_conduit_peers.c - an end whose peer stops or dies, one without memory, and many that sleep and wake.
 *
 * E2E_LONG: the iterations of sleeping and waking in full.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/conduit.h"
#include "tests/harness.h"
#include "transport/conduit_end.h"
#include "util/clock.h"

/* --- Death ------------------------------------------------------------------------------------- */

static int write_and_sleep(struct conduit *c)
{
	size_t n;

	if (conduit_write(c, "last words", 10, 0, &n))
		return 1;
	return sleep_for_ever(c);
}

static void test_what_a_killed_peer_had_written_is_read_then_it_is_lost(void)
{
	pid_t pid;
	struct conduit *c = start_peer(RING_BYTES, MIB, write_and_sleep, &pid);

	EQUAL(conduit_read(c, NULL, 0, patient(), &(size_t){ 0 }), 0);
	kill_peer(pid);
	EQUAL(conduit_wait_closed(c, patient()), CONDUIT_LOST);
	check_read(c, "last words");
	EQUAL(read_now(c), CONDUIT_LOST);
	EQUAL(write_now(c), CONDUIT_LOST);
	EQUAL(conduit_peer(c), CONDUIT_LOST);
	conduit_close(c);
}

struct killer {
	pid_t pid;
	pthread_t thread;
	unsigned after_ms;
};

static void *kill_later(void *context)
{
	struct killer *k = context;

	usleep(k->after_ms * 1000);
	kill_peer(k->pid);
	return NULL;
}

static void start_killer(struct killer *k, pid_t pid)
{
	k->pid = pid;
	k->after_ms = 30;
	pthread_create(&k->thread, NULL, kill_later, k);
}

static void test_whoever_waits_for_a_peer_that_is_killed_is_told(void)
{
	struct killer k;
	size_t n;
	pid_t pid;
	struct conduit *c = start_peer(RING_BYTES, MIB, sleep_for_ever, &pid);
	char byte;

	start_killer(&k, pid);
	EQUAL(conduit_read(c, &byte, 1, patient(), &n), CONDUIT_LOST);
	pthread_join(k.thread, NULL);
	conduit_close(c);
	c = start_peer(RING_BYTES, 70000, sleep_for_ever, &pid);
	start_killer(&k, pid);
	EQUAL(write_size(c, MIB, patient(), &n), CONDUIT_LOST);
	HOLDS(n > 0);
	EQUAL(conduit_wait_quota(c, patient()), CONDUIT_LOST);
	EQUAL(conduit_flush(c, patient()), CONDUIT_LOST);
	pthread_join(k.thread, NULL);
	conduit_close(c);
}

static void test_calls_that_do_not_wait_notice_a_death(void)
{
	pid_t pid;
	struct conduit *c = start_peer(RING_BYTES, MIB, sleep_for_ever, &pid);
	int64_t end = patient();
	int r;

	EQUAL(read_now(c), CONDUIT_TIMEDOUT);
	kill_peer(pid);
	while ((r = read_now(c)) == CONDUIT_TIMEDOUT && clock_now() < end)
		usleep(1000);
	EQUAL(r, CONDUIT_LOST);
	conduit_close(c);
	c = start_peer(RING_BYTES, MIB, sleep_for_ever, &pid);
	EQUAL(write_now(c), 0);
	kill_peer(pid);
	while ((r = write_now(c)) == 0 && clock_now() < end)
		usleep(1000);
	EQUAL(r, CONDUIT_LOST);
	conduit_close(c);
}

static void test_a_stopped_peer_loses_nothing(void)
{
	unsigned char *buffer = malloc(300000);
	uint64_t total = 0;
	pid_t pid;
	struct conduit *c = start_peer(RING_BYTES, MIB, read_stream, &pid);
	struct pair other = open_pair(RING_MESSAGES, MIB);
	unsigned stops = 0;

	while (total < STREAM_BYTES) {
		size_t n, size = STREAM_BYTES - total < 300000 ? STREAM_BYTES - total : 300000;
		int r;

		if (total / 300000 % 40 == 20)
			kill(pid, SIGSTOP);
		for (size_t i = 0; i < size; i++)
			buffer[i] = byte_at(total + i);
		r = conduit_write(c, buffer, size, clock_deadline_ms(20), &n);
		total += n;
		if (r == CONDUIT_TIMEDOUT) {
			/* Others go on meanwhile. */
			EQUAL(write_now(other.a), 0);
			check_read(other.b, "x");
			EQUAL(conduit_peer(c), 0);
			stops++;
			kill(pid, SIGCONT);
		} else if (!EQUAL(r, 0)) {
			break;
		}
	}
	HOLDS(stops > 0);
	kill(pid, SIGCONT);
	conduit_end(c);
	EQUAL(exit_code(pid), 0);
	conduit_close(c);
	close_pair(&other);
	free(buffer);
}

/* --- Without memory ---------------------------------------------------------------------------- */

#if defined(__x86_64__)
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

/* From now on a system call fails. */
static bool refuse(unsigned call, unsigned error)
{
#ifdef OWN_ARCH
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OWN_ARCH, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { 6, filter };

	return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) &&
	    !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
#else
	(void)call, (void)error;
	return false;
#endif
}

static int count_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1000; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

/* In a child that can reserve nothing: 0, or where it went wrong. */
static int run_without_memory(void)
{
	struct pair p = open_pair(RING_BYTES, 4 * MIB), m = open_pair(RING_MESSAGES, MIB);
	unsigned char *data = malloc(MIB);
	int memory, sockets[2], before;
	struct iovec piece = { data, RING_FIRST_BYTES / 2 };
	uint64_t total = 0;
	bool more;
	size_t n;

	memset(data, 5, MIB);
	if (!refuse(SYS_fallocate, ENOSPC) || !refuse(SYS_madvise, ENOMEM))
		return 77;
	before = count_descriptors();
	if (conduit_create(RING_BYTES, MIB, &memory, sockets) != -ENOSPC ||
	    count_descriptors() != before)
		return 1;
	if (conduit_write(p.a, data, MIB, 0, &n) != CONDUIT_TIMEDOUT || n != RING_FIRST_BYTES)
		return 2;
	for (int i = 0; i < 100; i++) {
		if (conduit_read(p.b, data, MIB, 0, &n))
			return 3;
		total += n;
		conduit_write(p.a, data, MIB, 0, &n);
	}
	if (total < 50 * RING_FIRST_BYTES)
		return 4;
	for (int i = 0; i < 20; i++)
		if (conduit_send(m.a, &piece, 1, 0) ||
		    conduit_read_message(m.b, data, MIB, 0, &n, &more) || n != piece.iov_len)
			return 5;
	piece.iov_len = RING_FIRST_BYTES + 1;
	return conduit_send(m.a, &piece, 1, patient()) == -ENOMEM ? 0 : 6;
}

/* A child whose system calls can fail. */
static void check_in_child(int (*run)(void))
{
	pid_t pid;
	int code;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		_exit(run());
	code = exit_code(pid);
	if (code == 77)
		skip_test("system calls cannot be filtered here");
	else
		EQUAL(code, 0);
}

static void test_without_memory_making_fails_cleanly_and_what_there_is_goes_on(void)
{
	check_in_child(run_without_memory);
}

static int run_on_an_old_kernel(void)
{
	struct pair p;
	size_t n;
	int before = count_descriptors();

	if (!refuse(SYS_madvise, EINVAL))
		return 77;
	p = open_pair(RING_BYTES, MIB);
	if (count_descriptors() != before + 4)
		return 1;
	if (write_size(p.a, MIB, 0, &n) || n != MIB || conduit_room(p.a) != 0)
		return 2;
	close_pair(&p);
	return count_descriptors() == before ? 0 : 3;
}

static void test_where_memory_is_reserved_by_descriptors_only_a_ring_grows_too(void)
{
	check_in_child(run_on_an_old_kernel);
}

static void test_an_end_has_one_descriptor(void)
{
	int before = count_descriptors();
	struct pair p = open_pair(RING_BYTES, MIB);

	HOLDS(count_descriptors() <= before + 2 || p.a->memory_fd >= 0);
	close_pair(&p);
	EQUAL(count_descriptors(), before);
}

/* --- A hostile peer ---------------------------------------------------------------------------- */

static bool is_long(void)
{
	const char *value = getenv("E2E_LONG");

	return value && *value && *value != '0';
}

/* Has the memory of one of the sides, and writes to all of it as fast as it can. */
struct vandal {
	struct ring_shared *words; /* of both rings, in a mapping of its own */
	unsigned char *data;	   /* of the ring that the victim reads */
	size_t data_size;
	uint64_t random, steps;
	_Atomic bool stops;
	pthread_t thread;
};

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Near to what was there, mostly: then it takes longer until the victim has had enough. */
static uint64_t lie(struct vandal *v, uint64_t truth)
{
	uint64_t r = next_random(&v->random);

	if (r % 64 == 0)
		return next_random(&v->random);
	return r % 8 == 0 ? truth + (r >> 32) % 70000 : truth + (r >> 32) % 64 * 8;
}

static void vandalize(struct vandal *v)
{
	struct ring_shared *s = &v->words[next_random(&v->random) % 2];
	_Atomic uint64_t *wide[] = { &s->head, &s->written, &s->tail, &s->read, &s->jumps[0].at,
		&s->jumps[0].offset, &s->jumps[1].at, &s->jumps[1].offset, &s->producer_wants };
	_Atomic uint32_t *narrow[] = { &s->producer_cpu, &s->producer_waiting, &s->consumer_cpu,
		&s->consumer_waiting };
	uint64_t r = next_random(&v->random), truth;
	size_t at = (size_t)(r >> 8) % (v->data_size / 8) * 8;
	uint32_t header[2] = { (uint32_t)(r >> 20) % (r % 5 ? 300u : UINT32_MAX), r % 64 == 7 };

	if (r % 4 == 0) {
		truth = atomic_load(wide[(r >> 3) % 9]);
		atomic_store(wide[(r >> 3) % 9], lie(v, truth));
	} else if (r % 4 == 1) {
		atomic_store(narrow[(r >> 3) % 4], (uint32_t)(r >> 10) % 4);
	} else {
		memcpy(v->data + (r % 4 == 2 ? at % 4096 : at), header, sizeof(header));
	}
	v->steps++;
}

static void *run_vandal(void *context)
{
	struct vandal *v = context;

	while (!atomic_load_explicit(&v->stops, memory_order_relaxed))
		vandalize(v);
	return NULL;
}

static bool start_vandal(struct vandal *v, struct conduit *victim, int file)
{
	void *memory = mmap(NULL, victim->size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);

	if (!HOLDS(memory != MAP_FAILED))
		return false;
	v->words = memory;
	v->data_size = RING_FIRST_BYTES;
	v->data = (unsigned char *)memory +
	    (victim->consumer.memory.data - (unsigned char *)victim->memory);
	atomic_store(&v->stops, false);
	return EQUAL(pthread_create(&v->thread, NULL, run_vandal, v), 0);
}

/* One of what the victim may do; its result. */
static int do_something(struct conduit *c, uint64_t *random, unsigned char *buffer)
{
	int64_t deadline = next_random(random) % 64 ? 0 : clock_now() + 50000;
	size_t size = (size_t)next_random(random) % 3000, n;
	struct iovec piece = { buffer, size }, pieces[2];
	uint64_t total, first;
	bool more;
	int r;

	switch (next_random(random) % 8) {
	case 0:
		return conduit_read(c, buffer, size, deadline, &n);
	case 1:
		if (conduit_type(c) == RING_BYTES)
			return conduit_write(c, buffer, size, deadline, &n);
		return conduit_send(c, &piece, 1, deadline);
	case 2:
		return conduit_peek(c, buffer, size, &n, &total, &first);
	case 3:
		return conduit_flush(c, deadline);
	case 4:
		return conduit_wait_quota(c, deadline);
	case 5:
		conduit_arm(c, CONDUIT_READING | CONDUIT_WRITING);
		conduit_answer(c);
		return 0;
	case 6:
		r = conduit_view(c, deadline, pieces, &n);
		if (!r)
			conduit_consume(c, pieces[0].iov_len);
		return r;
	default:
		if (conduit_type(c) == RING_BYTES)
			return conduit_read(c, buffer, size, deadline, &n);
		return conduit_read_message(c, buffer, size, deadline, &n, &more);
	}
}

static void test_whatever_a_peer_writes_into_the_memory_calls_return_and_nothing_breaks(void)
{
	uint64_t enough = is_long() ? 100000000 : 3000000;
	struct vandal v = { .random = 2463534242u };
	uint64_t random = 88172645463325252u, broken = 0, rounds = 0;
	unsigned char *buffer = calloc(1, 4096);

	while (v.steps < enough) {
		enum ring_type type = rounds++ % 2 ? RING_BYTES : RING_MESSAGES;
		int file;
		struct pair p = open_pair_and_memory(type, 100000, &file);
		struct conduit_counters counters;

		for (int i = 0; i < 10; i++)
			write_now(p.b);
		if (!start_vandal(&v, p.a, file))
			break;
		close(file);
		for (int i = 0; i < 3000; i++) {
			int64_t before = clock_now();
			int r = do_something(p.a, &random, buffer);

			if (!HOLDS(r >= 0 || r == -ENOMEM) ||
			    !HOLDS(clock_now() - before < PATIENT_MS * NS_PER_MS))
				break;
		}
		atomic_store(&v.stops, true);
		pthread_join(v.thread, NULL);
		munmap(v.words, p.a->size);
		conduit_count(p.a, &counters);
		broken += counters.broken;
		close_pair(&p);
	}
	HOLDS(broken > 0);
	HOLDS(broken <= rounds);
	free(buffer);
}

/* --- Sleeping and waking ----------------------------------------------------------------------- */

/* Does nothing for a while, of any length up to some microseconds, and rarely much longer. */
static void delay(uint64_t *random)
{
	uint64_t r = next_random(random);

	if (r % 1024 == 0)
		usleep(100);
	else if (r % 16 == 0)
		sched_yield();
	for (volatile unsigned i = 0; r % 3 && i < (r >> 20) % 2000; i++)
		;
}

/* Spins or sleeps by chance, so that both meet all that the peer does. */
static void shake(struct conduit *c, uint64_t *random)
{
	c->in.spin.budget = next_random(random) % 4 ? 0 : SPIN_LOOKS;
	c->out.spin.budget = next_random(random) % 4 ? 0 : SPIN_LOOKS;
	delay(random);
}

static int check_nobody_forgotten(struct conduit *c, int r)
{
	struct conduit_counters counters;

	conduit_count(c, &counters);
	return r ? r : counters.forgotten ? 98 : 0;
}

static int echo_shakily(struct conduit *c)
{
	uint64_t random = 99, number;
	struct iovec piece = { &number, sizeof(number) };
	bool more;
	size_t n;
	int r;

	while (!(r = conduit_read_message(c, &number, sizeof(number), patient(), &n, &more))) {
		shake(c, &random);
		if (conduit_send(c, &piece, 1, patient()))
			return 97;
	}
	return check_nobody_forgotten(c, r == CONDUIT_EOF ? 0 : r);
}

static void test_no_wake_up_is_lost_between_calls_and_replies(void)
{
	uint64_t random = 1234567, count = is_long() ? 5000000 : 15000, got;
	struct iovec piece = { &random, sizeof(random) };
	pid_t pid;
	struct conduit *c = start_peer(RING_MESSAGES, MIB, echo_shakily, &pid);
	bool more;
	size_t n;

	for (uint64_t i = 0; i < count; i++) {
		uint64_t sent = i;

		piece.iov_base = &sent;
		shake(c, &random);
		if (!EQUAL(conduit_send(c, &piece, 1, patient()), 0) ||
		    (i % 64 == 0 && !EQUAL(conduit_flush(c, patient()), 0)) ||
		    !EQUAL(conduit_read_message(c, &got, sizeof(got), patient(), &n, &more), 0) ||
		    !EQUAL(got, sent))
			break;
	}
	conduit_end(c);
	EQUAL(check_nobody_forgotten(c, 0), 0);
	EQUAL(exit_code(pid), 0);
	conduit_close(c);
}

static int read_shakily(struct conduit *c)
{
	static unsigned char buffer[70000];
	uint64_t random = 4711;
	size_t n;
	int r;

	do {
		shake(c, &random);
		r = conduit_read(c, buffer, 1 + next_random(&random) % sizeof(buffer), patient(),
		    &n);
	} while (!r);
	return check_nobody_forgotten(c, r == CONDUIT_EOF ? 0 : r);
}

static void test_no_wake_up_is_lost_at_a_ring_that_is_full_and_empty_by_turns(void)
{
	static unsigned char buffer[70000];
	uint64_t random = 1234567, count = is_long() ? 5000000 : 15000;
	pid_t pid;
	struct conduit *c = start_peer(RING_BYTES, 20000, read_shakily, &pid);
	size_t n;

	for (uint64_t i = 0; i < count; i++) {
		shake(c, &random);
		if (!EQUAL(conduit_write(c, buffer, 1 + next_random(&random) % sizeof(buffer),
			       patient(), &n),
			0) ||
		    (i % 4 == 0 && !EQUAL(conduit_wait_quota(c, patient()), 0)))
			break;
	}
	conduit_end(c);
	EQUAL(check_nobody_forgotten(c, 0), 0);
	EQUAL(exit_code(pid), 0);
	conduit_close(c);
}

SUITE(conduit_peers, TEST(test_what_a_killed_peer_had_written_is_read_then_it_is_lost),
    TEST(test_whoever_waits_for_a_peer_that_is_killed_is_told),
    TEST(test_calls_that_do_not_wait_notice_a_death), TEST(test_a_stopped_peer_loses_nothing),
    TEST(test_without_memory_making_fails_cleanly_and_what_there_is_goes_on),
    TEST(test_where_memory_is_reserved_by_descriptors_only_a_ring_grows_too),
    TEST(test_an_end_has_one_descriptor),
    TEST(test_whatever_a_peer_writes_into_the_memory_calls_return_and_nothing_breaks),
    TEST(test_no_wake_up_is_lost_between_calls_and_replies),
    TEST(test_no_wake_up_is_lost_at_a_ring_that_is_full_and_empty_by_turns));
