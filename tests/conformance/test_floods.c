/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_floods.c - who gets a connection when many want one: each host its share, local clients always, and the
 * rest when one ends.  The floods of thousands are in tests/e2e/hostile.sh.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tests/engine.h"
#include "tests/harness.h"
#include "transport/hosts.h"
#include "transport/socket.h"
#include "util/clock.h"

enum {
	ALL = 20,
	EACH = 5,
	LOCAL = 4,
};

static const struct server_limits limits = {
	.connections = ALL,
	.connections_per_host = EACH,
	.local_connections = LOCAL,
};

/* A connection from 127.0.0.N; every address of 127.0.0.0/8 is this host's. */
static int connect_from(const struct engine *e, unsigned n)
{
	const struct timeval limit = { 5, 0 };
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + n);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(engine_port(e));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit))) {
		close(fd);
		return -1;
	}
	return fd;
}

static void close_all(int *fds, int n)
{
	for (int i = 0; i < n; i++)
		close(fds[i]);
}

struct wish {
	struct engine *engine;
	uint64_t connections;
};

static bool is_granted(void *context)
{
	struct wish *w = context;

	return engine_stats(w->engine).connections == w->connections;
}

static bool settles_at(struct engine *e, uint64_t connections)
{
	struct wish w = { e, connections };

	return wait_until(is_granted, &w, 5000);
}

static void test_one_host_gets_its_share_and_others_get_theirs(void)
{
	struct engine *e = engine_start(&limits);
	int fds[EACH], over, other;

	for (int i = 0; i < EACH; i++) {
		fds[i] = connect_from(e, 2);
		HOLDS(raw_null_answers(fds[i], 1));
	}
	for (int i = 0; i < 10; i++) {
		over = connect_from(e, 2);
		HOLDS(raw_is_closed(over, 5000));
		close(over);
	}
	EQUAL(engine_stats(e).refused_host, 10);
	EQUAL(engine_stats(e).accepted, EACH);
	other = connect_from(e, 3);
	HOLDS(raw_null_answers(other, 2));
	for (int i = 0; i < EACH; i++) /* those there were are as before */
		HOLDS(raw_null_answers(fds[i], 3));
	close(fds[0]);
	HOLDS(settles_at(e, EACH));
	fds[0] = connect_from(e, 2);
	HOLDS(raw_null_answers(fds[0], 4));
	close_all(fds, EACH);
	close(other);
	HOLDS(settles_at(e, 0));
	engine_stop(e);
}

static void test_a_host_may_have_all_where_the_limit_says_so(void)
{
	const struct server_limits generous = { .connections = ALL, .connections_per_host = ALL };
	struct engine *e = engine_start(&generous);
	int fds[ALL];

	for (unsigned i = 0; i < ALL; i++) {
		fds[i] = connect_from(e, 2);
		HOLDS(raw_null_answers(fds[i], i));
	}
	close_all(fds, ALL);
	engine_stop(e);
}

/* Without a limit of its own a third host finds something where two have taken what they get. */
static void test_two_hosts_leave_something_to_a_third(void)
{
	const struct server_limits plain = { .connections = ALL };
	struct engine *e = engine_start(&plain);
	int fds[3][ALL / 2], n[3] = { 0 };

	for (unsigned h = 0; h < 3; h++) {
		int fd = connect_from(e, 2 + h);

		for (; raw_null_answers(fd, 1); fd = connect_from(e, 2 + h))
			fds[h][n[h]++] = fd;
		close(fd);
	}
	EQUAL(n[0], ALL / 2);
	EQUAL(n[1], ALL / 4);
	EQUAL(n[2], (ALL / 4 + 1) / 2);
	for (unsigned h = 0; h < 3; h++)
		close_all(fds[h], n[h]);
	engine_stop(e);
}

/* Fills the server from several hosts: the last of them get less, being half of what is left, and none gets nothing. */
static void fill(struct engine *e, int fds[ALL])
{
	for (unsigned i = 0; i < ALL; i++) {
		fds[i] = connect_from(e, i < 15 ? 2 + i / EACH : i < 18 ? 5 : i - 12);
		HOLDS(raw_null_answers(fds[i], i));
	}
}

static void test_local_clients_get_in_when_networks_have_taken_all(void)
{
	struct engine *e = engine_start(&limits);
	int fds[ALL], local[LOCAL], victim;

	fill(e, fds);
	for (int i = 0; i < LOCAL; i++) {
		local[i] = engine_connect(e, ENGINE_LOCAL);
		HOLDS(raw_null_answers(local[i], 1));
	}
	victim = connect_from(e, 100);
	HOLDS(!raw_is_closed(victim, 50)); /* it waits */
	for (unsigned i = 0; i < ALL; i++)
		HOLDS(raw_null_answers(fds[i], 2));
	close_all(fds, ALL);
	HOLDS(raw_null_answers(victim, 3));
	close(victim);
	close_all(local, LOCAL);
	engine_stop(e);
}

static void test_local_clients_take_nothing_from_networks_before_half_their_reserve_is_used_up(void)
{
	struct engine *e = engine_start(&limits);
	int fds[ALL], local[LOCAL], victim;

	for (int i = 0; i < LOCAL / 2; i++) {
		local[i] = engine_connect(e, ENGINE_LOCAL);
		HOLDS(raw_null_answers(local[i], 1));
	}
	fill(e, fds);
	for (int i = LOCAL / 2; i < LOCAL; i++) {
		local[i] = engine_connect(e, ENGINE_LOCAL);
		HOLDS(raw_null_answers(local[i], 1));
	}
	for (int i = 0; i < LOCAL / 2; i++) {
		close(fds[i]);
		HOLDS(settles_at(e, ALL + LOCAL - (uint64_t)i - 1));
	}
	victim = connect_from(e, 100);
	HOLDS(!raw_is_closed(victim, 50)); /* it waits */
	close(local[0]);
	HOLDS(raw_null_answers(victim, 3));
	close(victim);
	close_all(fds + LOCAL / 2, ALL - LOCAL / 2);
	close_all(local + 1, LOCAL - 1);
	engine_stop(e);
}

/* Whoever came first: what local clients took of the networks' part must not shut out further ones. */
static void test_networks_leave_local_clients_half_their_reserve_beside_what_they_have(void)
{
	enum {
		LOCALS = ALL / 2,
		REST = ALL - (LOCALS - LOCAL / 2)
	};
	struct engine *e = engine_start(&limits);
	int fds[REST], local[LOCALS + LOCAL / 2], victim;

	for (int i = 0; i < LOCALS; i++) {
		local[i] = engine_connect(e, ENGINE_LOCAL);
		HOLDS(raw_null_answers(local[i], 1));
	}
	for (unsigned i = 0; i < REST; i++) {
		fds[i] = connect_from(e, 2 + i);
		HOLDS(raw_null_answers(fds[i], 1));
	}
	victim = connect_from(e, 100);
	HOLDS(!raw_is_closed(victim, 50)); /* it waits */
	for (int i = LOCALS; i < LOCALS + LOCAL / 2; i++) {
		local[i] = engine_connect(e, ENGINE_LOCAL);
		HOLDS(raw_null_answers(local[i], 1));
	}
	close(victim);
	close_all(fds, REST);
	close_all(local, LOCALS + LOCAL / 2);
	engine_stop(e);
}

static void test_who_waits_gets_in_when_another_leaves(void)
{
	struct engine *e = engine_start(&limits);
	int fds[ALL], waiting[EACH];

	fill(e, fds);
	for (int i = 0; i < EACH; i++)
		waiting[i] = connect_from(e, 101 + (unsigned)i);
	for (int i = 0; i < EACH; i++) {
		close(fds[i]);
		HOLDS(raw_null_answers(waiting[i], 1));
	}
	close_all(fds + EACH, ALL - EACH);
	close_all(waiting, EACH);
	engine_stop(e);
}

static int64_t cpu_ms(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000 +
	    (u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1000;
}

static void test_a_full_server_does_not_spin_while_others_wait(void)
{
	struct engine *e = engine_start(&limits);
	int fds[ALL], waiting[EACH];
	int64_t before;

	fill(e, fds);
	for (int i = 0; i < EACH; i++)
		waiting[i] = connect_from(e, 101);
	before = cpu_ms();
	nanosleep(&(struct timespec){ .tv_nsec = 500000000 }, NULL);
	HOLDS(cpu_ms() - before < 100);
	close_all(fds, ALL);
	close_all(waiting, EACH);
	engine_stop(e);
}

static void test_connections_that_come_and_go_leave_nothing(void)
{
	const struct linger reset = { 1, 0 };
	struct engine *e = engine_start(&limits);
	int victim = connect_from(e, 100);

	for (unsigned i = 0; i < 2000; i++) {
		int fd = connect_from(e, 2 + i % 50);

		if (!HOLDS(fd >= 0))
			break;
		if (i % 2)
			setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
		close(fd);
		if (i % 100 == 0)
			HOLDS(raw_null_answers(victim, i));
	}
	HOLDS(settles_at(e, 1));
	HOLDS(raw_null_answers(victim, 5));
	close(victim);
	engine_stop(e);
}

static void test_limits_leave_descriptors_for_everything_else(void)
{
	const struct server_limits greedy = { .connections = 1000000,
		.local_connections = 1000000 };
	static const struct server_ops none = { .call_size = sizeof(struct call) };
	struct rlimit saved, few = { 200, 0 };
	struct server *s = NULL;
	struct loop *loop = NULL;

	getrlimit(RLIMIT_NOFILE, &saved);
	few.rlim_max = saved.rlim_max;
	setrlimit(RLIMIT_NOFILE, &few);
	if (HOLDS(loop_new(&loop) == 0) && HOLDS(server_new(loop, &none, NULL, &greedy, &s) == 0)) {
		const struct server_limits *l = server_limits(s);

		HOLDS(l->connections + l->local_connections <= 200 - 32);
		HOLDS(l->connections >= 50);
		HOLDS(l->local_connections >= 20);
		EQUAL(l->connections_per_host, (l->connections + 1) / 2);
	}
	setrlimit(RLIMIT_NOFILE, &saved);
	server_free(s);
	loop_free(loop);
}

static int tcp_option(int fd, int option)
{
	int value = -1;
	socklen_t len = sizeof(value);

	getsockopt(fd, IPPROTO_TCP, option, &value, &len);
	return value;
}

static void test_accepted_connections_give_up_vanished_hosts_in_time(void)
{
	static const struct {
		unsigned vanished_ms;
		int idle, every;
	} cases[] = { { SOCKET_VANISHED_MS, 10, 5 }, { 2000, 1, 1 }, { 3600000, 1440, 720 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address a;
		int listener, client, fd, alive = 0;
		socklen_t len = sizeof(alive);

		address_parse("127.0.0.1", 0, &a);
		EQUAL(socket_listen(&a, &listener), 0);
		socket_tune(listener, cases[i].vanished_ms);
		getsockname(listener, (struct sockaddr *)&a.storage, &a.len);
		client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		EQUAL(connect(client, (struct sockaddr *)&a.storage, a.len), 0);
		fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		EQUAL(tcp_option(fd, TCP_NODELAY), 1);
		EQUAL(tcp_option(fd, TCP_KEEPIDLE), cases[i].idle);
		EQUAL(tcp_option(fd, TCP_KEEPINTVL), cases[i].every);
		EQUAL(tcp_option(fd, TCP_USER_TIMEOUT), cases[i].vanished_ms);
		getsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &alive, &len);
		EQUAL(alive, 1);
		close(fd);
		close(client);
		close(listener);
	}
}

SUITE(floods, TEST(test_one_host_gets_its_share_and_others_get_theirs),
    TEST(test_a_host_may_have_all_where_the_limit_says_so),
    TEST(test_two_hosts_leave_something_to_a_third),
    TEST(test_local_clients_get_in_when_networks_have_taken_all),
    TEST(test_local_clients_take_nothing_from_networks_before_half_their_reserve_is_used_up),
    TEST(test_networks_leave_local_clients_half_their_reserve_beside_what_they_have),
    TEST(test_who_waits_gets_in_when_another_leaves),
    TEST(test_a_full_server_does_not_spin_while_others_wait),
    TEST(test_connections_that_come_and_go_leave_nothing),
    TEST(test_limits_leave_descriptors_for_everything_else),
    TEST(test_accepted_connections_give_up_vanished_hosts_in_time));

/* --- Hosts ------------------------------------------------------------------------------------- */

static int enter(struct hosts *h, const char *text, unsigned limit)
{
	struct address a;

	if (!EQUAL(address_parse(text, 1, &a), 0))
		return -EINVAL;
	return hosts_enter(h, &a, limit);
}

static void leave(struct hosts *h, const char *text)
{
	struct address a;

	address_parse(text, 2, &a); /* the port is not part of it */
	hosts_leave(h, &a);
}

static void test_a_host_is_an_address_or_a_prefix_of_64_bits(void)
{
	static const struct {
		const char *first, *second;
		bool same;
	} cases[] = {
		{ "10.0.0.1", "10.0.0.1", true },
		{ "10.0.0.1", "10.0.0.2", false },
		{ "fd77:1::1", "fd77:1::ffff:1", true },
		{ "fd77:1::1", "fd77:1:0:1::1", false },
		{ "10.0.0.1", "::ffff:10.0.0.1", true },
		{ "a00:1::", "10.0.0.1", false },
		{ "fe80::1%1", "fe80::1%1", true },
		{ "fe80::1%1", "fe80::2%1", false },
		{ "fe80::1%1", "fe80::1%2", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct hosts h = { 0 };
		bool same;

		EQUAL(enter(&h, cases[i].first, 1), 0);
		same = enter(&h, cases[i].second, 1) == -EUSERS;
		if (!EQUAL(same, cases[i].same))
			printf("  %s, %s\n", cases[i].first, cases[i].second);
		leave(&h, cases[i].first);
		if (!same)
			leave(&h, cases[i].second);
		HOLDS(h.head == NULL);
	}
}

static void test_a_local_peer_is_no_host(void)
{
	struct hosts h = { 0 };
	struct address a;

	address_local("/tmp/socket", &a);
	for (int i = 0; i < 3; i++)
		EQUAL(hosts_enter(&h, &a, 1), 0);
	HOLDS(h.head == NULL);
	hosts_leave(&h, &a);
}

static void test_a_host_that_left_may_come_again(void)
{
	struct hosts h = { 0 };

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 10; i++)
			EQUAL(enter(&h, "192.0.2.7", 10), 0);
		EQUAL(enter(&h, "192.0.2.7", 10), -EUSERS);
		for (int i = 0; i < 10; i++)
			leave(&h, "192.0.2.7");
		HOLDS(h.head == NULL);
	}
}

static unsigned share(const struct hosts *h, const char *text, unsigned total)
{
	struct address a;

	address_parse(text, 2, &a);
	return hosts_share(h, &a, total);
}

static void test_a_host_has_half_of_what_the_others_leave(void)
{
	struct hosts h = { 0 };

	EQUAL(share(&h, "192.0.2.1", 20), 10);
	EQUAL(share(&h, "192.0.2.1", 1), 1);
	EQUAL(share(&h, "192.0.2.1", 0), 0);
	for (int i = 0; i < 10; i++)
		EQUAL(enter(&h, "192.0.2.1", 10), 0);
	EQUAL(share(&h, "192.0.2.1", 20), 10);
	EQUAL(share(&h, "192.0.2.2", 20), 5);
	EQUAL(share(&h, "192.0.2.2", 10), 0);
	EQUAL(share(&h, "192.0.2.2", 9), 0);
	for (int i = 0; i < 5; i++)
		EQUAL(enter(&h, "192.0.2.2", 5), 0);
	EQUAL(share(&h, "192.0.2.1", 20), 8);
	EQUAL(share(&h, "192.0.2.3", 20), 3);
	for (int i = 0; i < 10; i++)
		leave(&h, "192.0.2.1");
	for (int i = 0; i < 5; i++)
		leave(&h, "192.0.2.2");
	EQUAL(share(&h, "192.0.2.1", 20), 10);
}

SUITE(hosts, TEST(test_a_host_has_half_of_what_the_others_leave),
    TEST(test_a_host_is_an_address_or_a_prefix_of_64_bits), TEST(test_a_local_peer_is_no_host),
    TEST(test_a_host_that_left_may_come_again));
