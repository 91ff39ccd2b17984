/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_descriptors.c - open descriptors that travel with calls and replies, and connections that are handed over.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rpcgen-out/common.h"
#include "tests/engine.h"
#include "tests/harness.h"
#include "transport/channel.h"
#include "transport/descriptors.h"
#include "util/clock.h"

static const struct channel_target swap_target = { ENGINE_PROGRAM, ENGINE_VERSION, ENGINE_SWAP,
	NULL };
static const struct channel_target turn_target = { ENGINE_PROGRAM, ENGINE_VERSION, ENGINE_TURN,
	NULL };

static struct channel *channel_to(const struct engine *e, enum engine_transport t)
{
	int fd = engine_connect(e, t);
	struct channel *c = NULL;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	EQUAL(channel_new(fd, false, &c), 0);
	return c;
}

static unsigned open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static ino_t inode(int fd)
{
	struct stat s = { 0 };

	fstat(fd, &s);
	return s.st_ino;
}

/* Sends n descriptors (the two ends of a pipe in turn) and a number; what came back is in parcels. */
static enum clnt_stat call_with(struct channel *c, const struct channel_target *target,
    struct channel_parcels *parcels, uint32_t number, uint32_t *ret_number)
{
	struct channel_call call;
	struct rpc_err error;
	int64_t deadline = clock_deadline_ms(5000);
	enum clnt_stat stat = channel_send_with(c, &call, parcels, target, (xdrproc_t)xdr_uint32_t,
	    &number, deadline, &error);

	if (stat != RPC_SUCCESS)
		return stat;
	return channel_wait(c, &call, (xdrproc_t)xdr_uint32_t, ret_number, deadline, &error);
}

static void test_descriptors_go_with_a_call_and_come_with_its_reply_in_order(void)
{
	struct engine *e = engine_start(NULL);
	struct channel *c = channel_to(e, ENGINE_LOCAL);
	int given[DESCRIPTORS_MAX], pipes[2];
	struct channel_parcels none = { .n_give = 0 };
	uint32_t got = 0;
	unsigned before;

	EQUAL(call_with(c, &swap_target, &none, 0, &got), RPC_SUCCESS);
	before = open_descriptors();

	for (unsigned i = 0; i < DESCRIPTORS_MAX; i += 2) {
		EQUAL(pipe(pipes), 0);
		given[i] = pipes[0];
		given[i + 1] = pipes[1];
	}
	for (unsigned n = 0; n <= DESCRIPTORS_MAX; n += 8) {
		struct channel_parcels p = { .give = given, .n_give = n };

		EQUAL(call_with(c, &swap_target, &p, n, &got), RPC_SUCCESS);
		EQUAL(got, n);
		EQUAL(p.taken.n, n);
		for (unsigned i = 0; i < p.taken.n; i++) {
			EQUAL(inode(p.taken.fds[i]), inode(given[n - 1 - i]));
			EQUAL(fcntl(p.taken.fds[i], F_GETFD), FD_CLOEXEC);
		}
		descriptors_close(&p.taken);
	}
	for (unsigned i = 0; i < DESCRIPTORS_MAX; i++)
		close(given[i]);
	EQUAL(engine_stats(e).surplus_descriptors, 0);
	EQUAL(open_descriptors(), before);
	channel_unref(c);
	engine_stop(e);
}

static void test_a_call_that_announces_more_than_came_is_refused_and_the_connection_stays(void)
{
	struct engine *e = engine_start(NULL);
	struct channel *c = channel_to(e, ENGINE_LOCAL);
	int one = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct channel_parcels p = { .give = &one, .n_give = 1 };
	uint32_t got = 0;

	EQUAL(call_with(c, &swap_target, &p, 2, &got), RPC_CANTDECODEARGS);
	EQUAL(p.taken.n, 0);
	EQUAL(engine_stats(e).surplus_descriptors, 1);
	EQUAL(call_with(c, &swap_target, &p, 1, &got), RPC_SUCCESS);
	EQUAL(p.taken.n, 1);
	descriptors_close(&p.taken);
	close(one);
	channel_unref(c);
	engine_stop(e);
}

/* One byte or more with n descriptors, past everything that checks them. */
static bool send_raw(int fd, const void *data, size_t size, const int *fds, unsigned n)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(253 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, size };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = CMSG_SPACE(n * sizeof(int)) };
	struct cmsghdr *h = CMSG_FIRSTHDR(&msg);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(h), fds, n * sizeof(int));
	return sendmsg(fd, &msg, MSG_NOSIGNAL) == (ssize_t)size;
}

static bool has_surplus_3(void *e)
{
	return engine_stats(e).surplus_descriptors == 3;
}

static void test_descriptors_that_no_call_takes_are_closed_at_once(void)
{
	struct engine *e = engine_start(NULL);
	int fd = engine_connect(e, ENGINE_LOCAL), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct raw call = raw_call(7, ENGINE_NULL, NULL), reply, marked = { .size = 0 };
	int fds[3] = { null, null, null }, ends[2];
	char byte;

	/* Whoever holds the writing end keeps the reading one from its end of file. */
	EQUAL(pipe2(ends, O_CLOEXEC), 0);
	fds[1] = ends[1];
	raw_word(&marked, 0x80000000u | (uint32_t)call.size);
	raw_bytes(&marked, call.data, call.size);
	HOLDS(send_raw(fd, marked.data, marked.size, fds, 3));
	HOLDS(raw_receive_record(fd, &reply));
	HOLDS(wait_until(has_surplus_3, e, 5000));
	close(ends[1]);
	EQUAL(read(ends[0], &byte, 1), 0);
	HOLDS(raw_null_answers(fd, 8));
	close(ends[0]);
	close(null);
	close(fd);
	engine_stop(e);
}

static void test_a_flood_of_descriptors_ends_its_connection_and_no_other(void)
{
	struct engine *e = engine_start(NULL);
	int good = engine_connect(e, ENGINE_LOCAL), bad = engine_connect(e, ENGINE_LOCAL);
	int slow = engine_connect(e, ENGINE_LOCAL), fds[253];
	unsigned before;

	HOLDS(raw_null_answers(bad, 1) && raw_null_answers(slow, 1) && raw_null_answers(good, 1));
	before = open_descriptors();
	for (unsigned i = 0; i < 253; i++)
		fds[i] = good;
	/* The beginning of a record, so that the descriptors might be meant for it. */
	HOLDS(send_raw(bad, "\x80", 1, fds, 253));
	HOLDS(raw_is_closed(bad, 5000));
	/* The same by and by. */
	HOLDS(send_raw(slow, "\x80", 1, fds, DESCRIPTORS_MAX));
	HOLDS(send_raw(slow, "", 1, fds, 1));
	HOLDS(raw_is_closed(slow, 5000));
	HOLDS(raw_null_answers(good, 1));
	EQUAL(open_descriptors(), before - 2); /* the engine's ends of the two that it closed */
	close(bad);
	close(slow);
	close(good);
	engine_stop(e);
}

static void test_over_tcp_no_descriptors_are_taken(void)
{
	struct engine *e = engine_start(NULL);
	struct channel *c = channel_to(e, ENGINE_TCP4);
	struct channel_parcels none = { .n_give = 0 };
	uint32_t got = 0;

	EQUAL(call_with(c, &swap_target, &none, 1, &got), RPC_CANTDECODEARGS);
	EQUAL(call_with(c, &swap_target, &none, 0, &got), RPC_SUCCESS);
	channel_unref(c);
	engine_stop(e);
}

static void test_a_connection_is_handed_over_with_nothing_lost_behind_the_answer(void)
{
	const size_t size = strlen(ENGINE_TURNED);

	for (enum engine_transport t = 0; t < ENGINE_TRANSPORTS; t++) {
		struct engine *e = engine_start(NULL);
		struct channel *c = channel_to(e, t);
		struct channel_parcels p = { .last = true };
		char got[64] = "";
		uint32_t number = 0;
		size_t n = 0;
		int fd;

		EQUAL(call_with(c, &turn_target, &p, 77, &number), RPC_SUCCESS);
		EQUAL(number, 77);
		fd = channel_take_socket(c);
		HOLDS(fd >= 0);
		channel_unref(c);
		fcntl(fd, F_SETFL, 0);
		while (n < size) {
			ssize_t r = read(fd, got + n, sizeof(got) - n);

			if (!HOLDS(r > 0))
				break;
			n += (size_t)r;
		}
		SAME_BYTES(got, n, ENGINE_TURNED, size);
		EQUAL(read(fd, got, 1), 0);
		close(fd);
		EQUAL(engine_stats(e).connections, 0);
		engine_stop(e);
	}
}

static void test_a_connection_with_other_calls_under_way_is_not_handed_over(void)
{
	struct engine *e = engine_start(NULL);
	int fd = engine_connect(e, ENGINE_TCP4);
	const uint32_t ms = 30000;
	struct raw parked = raw_call(1, ENGINE_KEEP, &ms), turn = raw_call(2, ENGINE_TURN, &ms);

	HOLDS(raw_send_record(fd, &parked));
	HOLDS(raw_send_record(fd, &turn));
	HOLDS(raw_is_closed(fd, 5000));
	close(fd);
	engine_stop(e);
}

/* A call of ENGINE_TURN in one record of a size, of which so many bytes are a fragment of their own, with a few bytes behind it. */
static void send_turn_and_more(int fd, size_t size, size_t first)
{
	const uint32_t number = 1;
	struct raw turn = raw_call(1, ENGINE_TURN, &number);
	unsigned char *all = calloc(1, size + 16), *at = all;

	for (size_t from = 0, n = first; from < size; from += n, n = size - from) {
		uint32_t mark = htonl((uint32_t)n | (from + n == size ? 0x80000000u : 0));

		memcpy(at, &mark, sizeof(mark));
		if (from < turn.size)
			memcpy(at + sizeof(mark), turn.data + from,
			    n < turn.size - from ? n : turn.size - from);
		at += sizeof(mark) + n;
	}
	HOLDS(raw_send(fd, all, (size_t)(at - all) + 4));
	free(all);
}

static void test_a_connection_that_brought_more_than_the_call_is_not_handed_over(void)
{
	static const struct {
		size_t size, first;
	} cases[] = {
		{ 44, 44 },
		{ 44, 20 },
		{ 44, 40 },
		{ 65536, 65536 },
		{ 100000, 100000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct engine *e = engine_start(NULL);
		int fd = engine_connect(e, ENGINE_TCP4);
		char got[64];

		send_turn_and_more(fd, cases[i].size, cases[i].first);
		if (!HOLDS(recv(fd, got, sizeof(got), 0) <= 0))
			printf("  case %zu\n", i);
		close(fd);
		engine_stop(e);
	}
}

/* --- Threads ----------------------------------------------------------------------------------- */

struct sleeper {
	struct channel *channel;
	_Atomic pid_t tid;
};

/* Waits for the replies of others; nothing comes for a second, or a reply does. */
static void *sleep_on_channel(void *arg)
{
	struct sleeper *s = arg;

	atomic_store(&s->tid, gettid());
	channel_read(s->channel, clock_deadline_ms(20000), false);
	return NULL;
}

static bool is_asleep(void *arg)
{
	struct sleeper *s = arg;
	char path[64], line[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", (int)atomic_load(&s->tid));
	f = atomic_load(&s->tid) ? fopen(path, "re") : NULL;
	if (!f)
		return false;
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	fclose(f);
	return atoi(line) == SYS_recvmsg || atoi(line) == SYS_recvfrom;
}

static bool_t xdr_nothing(XDR *xdrs, void *nothing)
{
	(void)xdrs;
	(void)nothing;
	return TRUE;
}

/* A reply of nothing, with one descriptor. */
static void answer_with(int fd, int give)
{
	uint32_t call[64], reply[7] = { htonl(0x80000000u | 24), 0, htonl(1) };
	struct gather out;

	HOLDS(read(fd, call, sizeof(call)) >= 8);
	reply[1] = call[1];
	gather_init(&out);
	EQUAL(gather_copy(&out, reply, sizeof(reply)), 0);
	EQUAL(gather_send_with(&out, fd, SIZE_MAX, &give, 1), sizeof(reply));
	gather_clear(&out);
}

static void test_descriptors_reach_their_call_whoever_receives_them(void)
{
	struct channel_parcels parcels = { .n_give = 0 };
	struct sleeper sleeper = { .tid = 0 };
	struct channel_call call;
	struct rpc_err error;
	pthread_t thread;
	int fds[2];

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	EQUAL(channel_new(fds[0], false, &sleeper.channel), 0);
	channel_expect_descriptors(sleeper.channel);
	EQUAL(pthread_create(&thread, NULL, sleep_on_channel, &sleeper), 0);
	HOLDS(wait_until(is_asleep, &sleeper, 20000));
	EQUAL(channel_send_with(sleeper.channel, &call, &parcels, &swap_target,
		  (xdrproc_t)xdr_nothing, NULL, clock_deadline_ms(20000), &error),
	    RPC_SUCCESS);
	answer_with(fds[1], fds[1]);
	EQUAL(channel_wait(sleeper.channel, &call, (xdrproc_t)xdr_nothing, NULL,
		  clock_deadline_ms(20000), &error),
	    RPC_SUCCESS);
	EQUAL(parcels.taken.n, 1);
	pthread_join(thread, NULL);
	descriptors_close(&parcels.taken);
	close(fds[1]);
	channel_unref(sleeper.channel);
}

SUITE(descriptors, TEST(test_descriptors_go_with_a_call_and_come_with_its_reply_in_order),
    TEST(test_a_call_that_announces_more_than_came_is_refused_and_the_connection_stays),
    TEST(test_descriptors_that_no_call_takes_are_closed_at_once),
    TEST(test_a_flood_of_descriptors_ends_its_connection_and_no_other),
    TEST(test_over_tcp_no_descriptors_are_taken),
    TEST(test_a_connection_is_handed_over_with_nothing_lost_behind_the_answer),
    TEST(test_a_connection_with_other_calls_under_way_is_not_handed_over),
    TEST(test_a_connection_that_brought_more_than_the_call_is_not_handed_over),
    TEST(test_descriptors_reach_their_call_whoever_receives_them));
