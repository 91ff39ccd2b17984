/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_udp.c - calls served over UDP: repeated and colliding ones, those that take their time, answers that are too
 * long for a datagram, and what a stranger can make us send.
 */
#include <arpa/inet.h>
#include <sys/time.h>

#include "tests/conformance/udp.h"
#include "tests/daemon.h"
#include "util/clock.h"

/* How long nothing has to come to be nothing; what comes later is missed, not blamed. */
#define NOTHING_MS 50
#define HEADER 24 /* of a successful reply */

static const struct server_limits caching = CACHING;

static void post(int fd, const struct raw *call)
{
	EQUAL(send(fd, call->data, call->size, 0), (ssize_t)call->size);
}

static bool is_silent(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, NOTHING_MS) == 0;
}

static struct raw number_call(uint32_t xid, enum engine_procedure procedure, uint32_t number)
{
	return raw_call(xid, procedure, &number);
}

struct expected {
	struct engine *engine;
	uint64_t datagrams;
};

static bool are_seen(void *context)
{
	struct expected *e = context;
	struct server_stats stats = engine_stats(e->engine);

	/* One that is too long is dropped before it counts as one. */
	return stats.datagrams + stats.dropped - stats.dropped_over >= e->datagrams;
}

/* Waits until the server has seen so many datagrams. */
static void await_datagrams(struct engine *engine, uint64_t n)
{
	struct expected e = { engine, n };

	HOLDS(wait_until(are_seen, &e, LONG_ENOUGH_S * 1000));
}

/* --- Repeats and collisions -------------------------------------------------------------------- */

static void test_copies_of_a_call_that_runs_are_silent(void)
{
	struct engine *e = engine_start(&caching);
	struct raw keep = number_call(1, ENGINE_KEEP, 0), null = raw_call(2, ENGINE_NULL, NULL), r;
	int fd = engine_datagram(e);

	for (int i = 0; i < 3; i++)
		post(fd, &keep);
	post(fd, &null);
	if (HOLDS(take(fd, &r)))
		EQUAL(raw_at(&r, 0), 2);
	EQUAL(engine_stats(e).calls, 2);
	EQUAL(engine_stats(e).replayed, 2);
	HOLDS(is_silent(fd));
	close(fd);
	engine_stop(e);
}

static void test_copies_of_a_call_that_ended_get_the_same_bytes(void)
{
	/* At once, after a wait, and where it is refused. */
	static const enum engine_procedure procedures[] = { ENGINE_LARGE, ENGINE_PARK, 99 };
	struct engine *e = engine_start(&caching);
	int fd = engine_datagram(e);

	for (uint32_t i = 0; i < 3; i++) {
		struct raw call = number_call(i, procedures[i], 8), first, r;

		post(fd, &call);
		HOLDS(take(fd, &first));
		for (int copy = 0; copy < 2; copy++) {
			post(fd, &call);
			HOLDS(take(fd, &r));
			SAME_BYTES(r.data, r.size, first.data, first.size);
		}
	}
	EQUAL(engine_stats(e).calls, 3);
	EQUAL(engine_stats(e).replayed, 6);
	close(fd);
	engine_stop(e);
}

static void test_without_a_cache_a_copy_is_another_call(void)
{
	struct engine *e = engine_start(NULL);
	struct raw call = raw_call(1, ENGINE_NULL, NULL), r;
	int fd = engine_datagram(e);

	for (int i = 0; i < 3; i++) {
		post(fd, &call);
		HOLDS(take(fd, &r));
	}
	EQUAL(engine_stats(e).calls, 3);
	EQUAL(engine_stats(e).replayed, 0);
	close(fd);
	engine_stop(e);
}

static void test_the_same_xid_of_another_source_is_another_call(void)
{
	struct engine *e = engine_start(&caching);
	struct raw call = number_call(7, ENGINE_LARGE, 8), r;
	int one = engine_datagram(e), two = engine_datagram(e);

	post(one, &call);
	HOLDS(take(one, &r));
	post(two, &call);
	HOLDS(take(two, &r));
	EQUAL(engine_stats(e).calls, 2);
	EQUAL(engine_stats(e).replayed, 0);
	HOLDS(is_silent(one));
	close(one);
	close(two);
	engine_stop(e);
}

/* What differs: arguments, procedure, credential, version. */
static void test_the_same_xid_with_other_contents_is_another_call(void)
{
	struct engine *e = engine_start(&caching);
	struct raw calls[5], r;
	int fd = engine_datagram(e);

	for (int i = 0; i < 5; i++)
		calls[i] = number_call(7, i == 1 ? ENGINE_PARK : ENGINE_LARGE, i == 2 ? 12 : 8);
	calls[3].data[31] = 1; /* the credential's length, and so a word more of it */
	memset(calls[3].data + 28, 0, 4);
	calls[3].data[27] = 77; /* its flavor, which this server does not look at */
	calls[4].data[19] = 9;	/* the version, likewise */
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 5; i++) {
			post(fd, &calls[i]);
			HOLDS(take(fd, &r));
			EQUAL(r.size, i == 1 ? HEADER + 4 : i == 2 ? HEADER + 16 : HEADER + 12);
		}
	}
	EQUAL(engine_stats(e).calls, 5);
	EQUAL(engine_stats(e).replayed, 5);
	close(fd);
	engine_stop(e);
}

/* --- Calls that outlive the handler ------------------------------------------------------------ */

static void test_a_call_that_waits_is_answered_when_it_ends(void)
{
	struct engine *e = engine_start(NULL);
	struct raw slow = number_call(1, ENGINE_PARK, 20), fast = number_call(2, ENGINE_PARK, 1), r;
	int fd = engine_datagram(e);

	post(fd, &slow);
	post(fd, &fast);
	for (int i = 0; i < 2; i++) {
		if (HOLDS(take(fd, &r)))
			EQUAL(raw_at(&r, 6), raw_at(&r, 0) == 1 ? 20 : 1);
	}
	close(fd);
	engine_stop(e);
}

static void test_calls_over_a_sockets_bound_are_dropped(void)
{
	const struct server_limits limits = { .calls_datagram = 1 };
	struct engine *e = engine_start(&limits);
	struct raw keep = number_call(1, ENGINE_KEEP, 0);
	int fd = engine_datagram(e);

	for (int i = 0; i < 3; i++)
		post(fd, &keep);
	await_datagrams(e, 3);
	EQUAL(engine_stats(e).calls, 1);
	EQUAL(engine_stats(e).dropped_over, 2);
	close(fd);
	engine_stop(e);
}

/* A server without a thread, whose calls wait, or are kept, until the test ends them. */
struct bench {
	struct loop *loop;
	struct server *server;
	struct list parked;
	struct call *call;
	unsigned gone, wanted; /* wanted: how many calls end the run */
	bool keeps, answers;
};

struct bench_call {
	struct call call;
	struct bench *bench;
};

static void on_bench_ended(struct call *call, enum call_end end)
{
	((struct bench_call *)(void *)call)->bench->gone += end == CALL_GONE;
}

static void on_bench_call(void *context, struct call *call, const struct message_call *header,
    XDR *args)
{
	struct bench *b = context;

	(void)header, (void)args;
	((struct bench_call *)(void *)call)->bench = b;
	b->call = call;
	if (server_stats(b->server)->calls == b->wanted)
		loop_stop(b->loop);
	if (b->answers)
		call_reply(call, (xdrproc_t)(void (*)(void))xdr_void, NULL);
	else if (b->keeps)
		call_keep(call);
	else if (call_park(call, &b->parked, 30000, 0, on_bench_ended))
		call_drop(call);
}

/* Returns the server's socket. */
static int bench_open(struct bench *b, const char *address, struct address *ret_address)
{
	static const struct server_ops ops = {
		.call_size = sizeof(struct bench_call),
		.call = on_bench_call,
	};
	static const struct server_limits limits = { .reply_cache_bytes = 1,
		.calls_datagram_host = 1 };
	int fd = bind_to(address, ret_address);

	memset(b, 0, sizeof(*b));
	b->wanted = 1;
	list_init(&b->parked);
	if (fd < 0 || loop_new(&b->loop) || server_new(b->loop, &ops, b, &limits, &b->server) ||
	    server_receive(b->server, fd, true))
		abort();
	return fd;
}

static void bench_close(struct bench *b)
{
	server_free(b->server);
	loop_free(b->loop);
}

static int caller_of(const struct address *to)
{
	struct raw null = raw_call(1, ENGINE_NULL, NULL);
	int fd = -1;

	EQUAL(datagram_open(to, &fd), 0);
	post(fd, &null);
	return fd;
}

struct second_try {
	struct loop_timer timer;
	struct bench *bench;
	struct raw call;
	int fd;
};

static void on_second_try(struct loop_timer *timer)
{
	struct second_try *t = LIST_ENTRY(timer, struct second_try, timer);

	EQUAL(server_stats(t->bench->server)->datagrams, 2);
	EQUAL(server_stats(t->bench->server)->dropped_over, 1);
	EQUAL(t->bench->call->xid, 1);
	call_reply(t->bench->call, (xdrproc_t)(void (*)(void))xdr_void, NULL);
	post(t->fd, &t->call);
}

static void test_calls_over_a_hosts_share_are_dropped_and_can_be_asked_again(void)
{
	struct bench b;
	struct second_try again = { { .fn = on_second_try }, &b, raw_call(2, 0, NULL), -1 };
	struct address a;

	bench_open(&b, "127.0.0.1", &a);
	again.fd = caller_of(&a);
	b.keeps = true;
	b.wanted = 2;
	post(again.fd, &again.call);
	loop_timer_set(b.loop, &again.timer, clock_deadline_ms(NOTHING_MS));
	loop_run(b.loop);
	EQUAL(server_stats(b.server)->datagrams, 3);
	EQUAL(b.call->xid, 2);
	call_reply(b.call, (xdrproc_t)(void (*)(void))xdr_void, NULL);
	close(again.fd);
	bench_close(&b);
}

static void test_calls_that_wait_end_with_their_socket(void)
{
	struct bench b;
	struct address a;
	int server = bench_open(&b, "127.0.0.1", &a), fd = caller_of(&a);

	loop_run(b.loop);
	EQUAL(b.gone, 0);
	server_forget(b.server, server);
	EQUAL(b.gone, 1);
	HOLDS(list_is_empty(&b.parked));
	close(fd);
	bench_close(&b);
}

static void test_a_kept_call_has_its_peer_until_its_socket_goes(void)
{
	struct bench b;
	struct address a, mine = { .len = sizeof(mine.storage) };
	char expected[ADDRESS_TEXT_SIZE], got[ADDRESS_TEXT_SIZE];
	int server = bench_open(&b, "127.0.0.1", &a), fd = caller_of(&a);

	b.keeps = true;
	loop_run(b.loop);
	getsockname(fd, (struct sockaddr *)&mine.storage, &mine.len);
	address_text(&mine, expected);
	address_text(&b.call->peer->address, got);
	SAME_TEXT(got, expected);
	HOLDS(!b.call->gone);
	server_forget(b.server, server);
	HOLDS(b.call->gone && !b.call->peer);
	call_reply(b.call, (xdrproc_t)(void (*)(void))xdr_void, NULL);
	close(fd);
	bench_close(&b);
}

/* A host with several addresses: connected clients take replies from the one they called only. */
static void test_a_late_reply_leaves_from_the_address_that_was_called(void)
{
	struct bench b;
	struct address a, called;
	struct raw r;
	int fd;

	bench_open(&b, "0.0.0.0", &a);
	address_parse("127.0.0.9", address_port(&a), &called);
	fd = caller_of(&called);
	b.keeps = true;
	loop_run(b.loop);
	call_reply(b.call, (xdrproc_t)(void (*)(void))xdr_void, NULL);
	HOLDS(take(fd, &r) && raw_at(&r, 0) == 1);
	close(fd);
	bench_close(&b);
}

static void test_a_late_reply_leaves_over_ipv6_as_well(void)
{
	struct bench b;
	struct address a;
	struct raw r;
	int fd = bind_to("::1", &a);

	close(fd);
	if (fd < 0) {
		skip_test("no IPv6");
		return;
	}
	bench_open(&b, "::1", &a);
	fd = caller_of(&a);
	b.keeps = true;
	loop_run(b.loop);
	call_reply(b.call, (xdrproc_t)(void (*)(void))xdr_void, NULL);
	HOLDS(take(fd, &r) && raw_at(&r, 0) == 1);
	close(fd);
	bench_close(&b);
}

static void test_what_was_sent_to_a_broadcast_address_is_not_answered(void)
{
	struct raw null = raw_call(1, ENGINE_NULL, NULL);
	struct bench b;
	struct address a;
	int fd, one = 1;

	bench_open(&b, "127.255.255.255", &a);
	/* Not connected: an answer would leave from another address. */
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	EQUAL(sendto(fd, null.data, null.size, 0, (struct sockaddr *)&a.storage, a.len), 40);
	b.answers = true;
	loop_run(b.loop); /* until it has been called */
	EQUAL(server_stats(b.server)->calls, 1);
	HOLDS(is_silent(fd));
	close(fd);
	bench_close(&b);
}

/* --- What does not fit ------------------------------------------------------------------------- */

static size_t ask_for(int fd, uint32_t size, unsigned char *reply)
{
	struct raw call = number_call(size, ENGINE_LARGE, size);
	ssize_t n;

	post(fd, &call);
	n = recv(fd, reply, 1 << 16, 0);
	return n > 0 ? (size_t)n : 0;
}

static void test_an_answer_that_fits_no_datagram_is_a_system_error(void)
{
	static unsigned char reply[1 << 16];
	const uint32_t fits = (SERVER_DATAGRAM_MAX - HEADER - 4) & ~3u;
	struct engine *e = engine_start(&caching);
	int fd = engine_datagram(e);

	EQUAL(ask_for(fd, fits, reply), HEADER + 4 + fits);
	for (int copy = 0; copy < 2; copy++) {
		EQUAL(ask_for(fd, fits + 1, reply), HEADER);
		EQUAL(reply[23], SYSTEM_ERR);
	}
	EQUAL(ask_for(fd, 1 << 20, reply), HEADER);
	EQUAL(reply[23], SYSTEM_ERR);
	EQUAL(engine_stats(e).answers_too_long, 2);
	EQUAL(engine_stats(e).replayed, 1);
	close(fd);
	engine_stop(e);
}

static ssize_t echo(struct engine *e, size_t size)
{
	static unsigned char call[1 << 16], reply[1 << 16];
	struct raw header = raw_call(1, ENGINE_ECHO, NULL);
	const struct timeval brief = { 0, NOTHING_MS * 1000 };
	int fd = engine_datagram(e);
	ssize_t n;

	raw_word(&header, (uint32_t)size);
	memcpy(call, header.data, header.size);
	memset(call + header.size, 'e', size);
	EQUAL(send(fd, call, header.size + size, 0), header.size + size);
	await_datagrams(e, 1);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief));
	n = recv(fd, reply, sizeof(reply), 0);
	close(fd);
	return n;
}

static void test_the_longest_call_taken_is_configuration(void)
{
	const size_t header = 44;
	struct engine *e = engine_start(NULL);

	EQUAL(echo(e, 4096 - header), HEADER + 4 + 4096 - header);
	engine_stop(e);
	e = engine_start(NULL);
	EQUAL(echo(e, 4096 - header + 4), -1);
	EQUAL(engine_stats(e).dropped, 1);
	engine_stop(e);
	e = engine_start(&caching);
	EQUAL(echo(e, 65504 - header), HEADER + 4 + 65504 - header);
	engine_stop(e);
}

/* --- What a stranger can make us send ---------------------------------------------------------- */

static void test_answers_over_the_rate_are_not_sent(void)
{
	const struct server_limits limits = { .answer_bytes = 100, .reply_cache_bytes = 1 << 20 };
	struct engine *e = engine_start(&limits);
	struct raw call = number_call(1, ENGINE_LARGE, 4000), r;
	int fd = engine_datagram(e);

	post(fd, &call);
	HOLDS(take(fd, &r));
	for (int i = 0; i < 10; i++)
		post(fd, &call);
	await_datagrams(e, 11);
	/* 40 s are used up. */
	EQUAL(engine_stats(e).answers_limited, 10);
	HOLDS(is_silent(fd));
	close(fd);
	engine_stop(e);
}

/* The daemon's programs: NULL in no more bytes than asked, nothing else but refusals, of no more either. */
static void test_no_answer_of_the_daemon_is_longer_than_its_question(void)
{
	struct daemon_fixture d;
	struct address a;
	int fd = -1;

	daemon_start(&d, "");
	address_parse("127.0.0.1", d.port, &a);
	EQUAL(datagram_open(&a, &fd), 0);
	for (uint32_t program = 0; program < 16; program++) {
		for (uint32_t procedure = 0; procedure < 32; procedure++) {
			struct raw call = raw_call(program << 8 | procedure, procedure, NULL), r;
			struct raw null = raw_call(9999, 0, NULL);
			const uint32_t number = htonl(0x20490000u + program),
				       one = htonl(0x20490001);

			memcpy(call.data + 12, &number, 4);
			memcpy(null.data + 12, &one, 4);
			post(fd, &call);
			post(fd, &null);
			do {
				if (!HOLDS(take(fd, &r)))
					break;
				HOLDS(r.size <= call.size);
			} while (raw_at(&r, 0) != 9999);
		}
	}
	close(fd);
	daemon_end(&d);
}

SUITE(udp, TEST(test_copies_of_a_call_that_runs_are_silent),
    TEST(test_copies_of_a_call_that_ended_get_the_same_bytes),
    TEST(test_without_a_cache_a_copy_is_another_call),
    TEST(test_the_same_xid_of_another_source_is_another_call),
    TEST(test_the_same_xid_with_other_contents_is_another_call),
    TEST(test_a_call_that_waits_is_answered_when_it_ends),
    TEST(test_calls_over_a_hosts_share_are_dropped_and_can_be_asked_again),
    TEST(test_calls_over_a_sockets_bound_are_dropped),
    TEST(test_calls_that_wait_end_with_their_socket),
    TEST(test_a_kept_call_has_its_peer_until_its_socket_goes),
    TEST(test_a_late_reply_leaves_from_the_address_that_was_called),
    TEST(test_a_late_reply_leaves_over_ipv6_as_well),
    TEST(test_what_was_sent_to_a_broadcast_address_is_not_answered),
    TEST(test_an_answer_that_fits_no_datagram_is_a_system_error),
    TEST(test_the_longest_call_taken_is_configuration),
    TEST(test_answers_over_the_rate_are_not_sent),
    TEST(test_no_answer_of_the_daemon_is_longer_than_its_question));
