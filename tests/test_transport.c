/* SPDX-License-Identifier: BSD-3-Clause */
/* test_transport.c - loop, record reader, message headers, addresses: the parts without a peer. */
#include <errno.h>
#include <netinet/in.h>
#include <rpc/rpc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/harness.h"
#include "transport/address.h"
#include "transport/loop.h"
#include "transport/message.h"
#include "transport/record.h"
#include "util/clock.h"

/* --- loop -------------------------------------------------------------------------------------- */

enum {
	TIMERS = 200
};

struct alarms {
	struct loop *loop;
	struct loop_timer timers[TIMERS];
	int64_t last;
	unsigned fired, out_of_order;
};

static struct alarms *alarms_now; /* timers carry no context of their own */

static void on_cleared(struct loop_timer *timer)
{
	(void)timer;
	alarms_now->out_of_order++;
}

static void on_fire(struct loop_timer *timer)
{
	struct alarms *a = alarms_now;

	a->out_of_order += timer->deadline < a->last;
	a->last = timer->deadline;
	a->fired++;
	if (a->fired == TIMERS / 2)
		loop_stop(a->loop);
}

static void test_timers_fire_in_order_and_cleared_ones_do_not(void)
{
	struct alarms *a = calloc(1, sizeof(*a));
	int64_t now = clock_now();
	unsigned random = 12345;

	alarms_now = a;
	EQUAL(loop_new(&a->loop), 0);
	for (int i = 0; i < TIMERS; i++) {
		a->timers[i].fn = i % 2 ? on_cleared : on_fire;
		random = random * 1103515245u + 12345u;
		EQUAL(loop_timer_set(a->loop, &a->timers[i], now + random % 20000000), 0);
	}
	for (int i = 0; i < TIMERS; i += 2) { /* moved once */
		random = random * 1103515245u + 12345u;
		EQUAL(loop_timer_set(a->loop, &a->timers[i], now + random % 20000000), 0);
	}
	for (int i = 1; i < TIMERS; i += 2)
		loop_timer_clear(&a->timers[i]);
	EQUAL(loop_run(a->loop), 0);
	EQUAL(a->fired, TIMERS / 2);
	EQUAL(a->out_of_order, 0);
	loop_free(a->loop);
	free(a);
}

struct two_pipes {
	struct loop *loop;
	struct loop_io io[2];
	int fds[2][2];
	unsigned calls;
};

static struct two_pipes *pipes_now;

static void on_either(struct loop_io *io, uint32_t events)
{
	struct two_pipes *p = pipes_now;

	(void)io, (void)events;
	p->calls++;
	/* Both are ready; the other one's event is in the batch already. */
	loop_remove(&p->io[0]);
	loop_remove(&p->io[1]);
	loop_stop(p->loop);
}

static void test_a_removed_source_is_not_called_even_if_its_event_was_collected(void)
{
	struct two_pipes p = { 0 };

	pipes_now = &p;
	EQUAL(loop_new(&p.loop), 0);
	for (int i = 0; i < 2; i++) {
		EQUAL(pipe(p.fds[i]), 0);
		EQUAL(write(p.fds[i][1], "x", 1), 1);
		p.io[i].fn = on_either;
		EQUAL(loop_add(p.loop, &p.io[i], p.fds[i][0], EPOLLIN), 0);
	}
	EQUAL(loop_run(p.loop), 0);
	EQUAL(p.calls, 1);
	for (int i = 0; i < 2; i++)
		close(p.fds[i][0]), close(p.fds[i][1]);
	loop_free(p.loop);
}

SUITE(loop, TEST(test_timers_fire_in_order_and_cleared_ones_do_not),
    TEST(test_a_removed_source_is_not_called_even_if_its_event_was_collected));

/* --- record ------------------------------------------------------------------------------------ */

struct collected {
	unsigned char data[400000];
	size_t size, records;
};

static void collect(void *context, const unsigned char *data, size_t size, struct bytes *owner)
{
	struct collected *c = context;

	(void)owner;
	memcpy(c->data + c->size, data, size);
	c->size += size;
	c->data[c->size++] = '|';
	c->records++;
}

static size_t put_fragment(unsigned char *to, const char *data, size_t len, bool last)
{
	to[0] = (unsigned char)((last ? 0x80 : 0) | len >> 24);
	to[1] = (unsigned char)(len >> 16);
	to[2] = (unsigned char)(len >> 8);
	to[3] = (unsigned char)len;
	memcpy(to + 4, data, len);
	return len + 4;
}

static void test_any_division_of_the_stream_gives_the_same_records(void)
{
	static char big[100000];
	static unsigned char stream[250000];
	struct collected *whole = calloc(1, sizeof(*whole)), *parts = calloc(1, sizeof(*parts));
	struct record_reader r;
	size_t n = 0;

	memset(big, 'b', sizeof(big));
	n += put_fragment(stream + n, "one", 3, true);
	n += put_fragment(stream + n, "tw", 2, false);
	n += put_fragment(stream + n, "", 0, false);
	n += put_fragment(stream + n, "o", 1, true);
	n += put_fragment(stream + n, "", 0, true);
	n += put_fragment(stream + n, big, sizeof(big), true);
	n += put_fragment(stream + n, big, 70000, false);
	n += put_fragment(stream + n, "end", 3, true);
	record_reader_init(&r, 200000);
	EQUAL(record_reader_feed(&r, stream, n, collect, whole), 0);
	EQUAL(whole->records, 5);
	HOLDS(!record_reader_is_inside(&r));
	for (size_t step = 1; step < 7000; step = step * 3 + 1) {
		size_t at = 0;

		parts->size = parts->records = 0;
		while (at < n) {
			unsigned char *room;
			size_t len = step < n - at ? step : n - at;
			size_t direct = record_reader_room(&r, &room);

			if (direct > len)
				direct = len;
			if (direct) {
				memcpy(room, stream + at, direct);
				record_reader_filled(&r, direct, collect, parts);
			}
			EQUAL(record_reader_feed(&r, stream + at + direct, len - direct, collect,
				  parts),
			    0);
			at += len;
		}
		EQUAL(parts->records, 5);
		SAME_BYTES(parts->data, parts->size, whole->data, whole->size);
	}
	free(whole);
	free(parts);
}

static void test_the_limit_counts_before_anything_is_set_aside(void)
{
	unsigned char mark[4] = { 0x80, 0, 4, 1 }, exact[4] = { 0x80, 0, 4, 0 };
	struct record_reader r;

	record_reader_init(&r, 1024);
	EQUAL(record_reader_feed(&r, mark, 4, collect, NULL), -EMSGSIZE);
	record_reader_clear(&r);
	EQUAL(record_reader_feed(&r, exact, 4, collect, NULL), 0);
	EQUAL(record_reader_announced(&r), 1024);
	HOLDS(r.partial == NULL);
	record_reader_clear(&r);
}

static void test_memory_follows_what_came(void)
{
	unsigned char begin[5] = { 0x80, 0x0f, 0xff, 0xff, 'x' };
	static unsigned char more[RECORD_FIRST_STEP];
	struct record_reader r;

	record_reader_init(&r, 1u << 20);
	EQUAL(record_reader_feed(&r, begin, 5, collect, NULL), 0);
	EQUAL(r.partial->capacity, RECORD_FIRST_STEP);
	EQUAL(record_reader_feed(&r, more, sizeof(more), collect, NULL), 0);
	EQUAL(r.partial->capacity, 0x0fffff);
	record_reader_clear(&r);
}

static void test_endless_empty_fragments_end(void)
{
	static const unsigned char empty[4];
	struct collected *c = calloc(1, sizeof(*c));
	struct record_reader r;
	int e = 0, n = 0;

	record_reader_init(&r, 1024);
	for (; n < 100000 && !e; n++)
		e = record_reader_feed(&r, empty, 4, collect, c);
	EQUAL(e, -EMSGSIZE);
	HOLDS(n < 10000);
	record_reader_clear(&r);
	free(c);
}

SUITE(record, TEST(test_any_division_of_the_stream_gives_the_same_records),
    TEST(test_the_limit_counts_before_anything_is_set_aside), TEST(test_memory_follows_what_came),
    TEST(test_endless_empty_fragments_end));

/* --- message ----------------------------------------------------------------------------------- */

static void test_what_is_put_parses_again(void)
{
	unsigned char body[MESSAGE_AUTH_MAX];
	struct message_call c = { .xid = 1, .program = 2, .version = 3, .procedure = 4 }, parsed;
	struct message_auth_sys sys;
	struct gather g;

	c.credential =
	    (struct message_auth){ AUTH_SYS, (uint32_t)message_make_auth_sys(body), body };
	gather_init(&g);
	EQUAL(message_put_call(&g, &c), 0);
	EQUAL(g.end - g.first, 1);
	EQUAL(message_parse_call(g.pieces[0].data, g.size, &parsed), 0);
	EQUAL(parsed.header_size, g.size);
	EQUAL(parsed.program, 2);
	EQUAL(parsed.procedure, 4);
	EQUAL(message_parse_auth_sys(&parsed.credential, &sys), 0);
	EQUAL(sys.uid, geteuid());
	EQUAL(sys.gid, getegid());
	gather_clear(&g);
}

static void test_every_shortened_header_is_refused(void)
{
	const struct message_call c = { .xid = 1, .program = 2, .version = 3, .procedure = 4 };
	struct message_call parsed;
	struct gather g;

	gather_init(&g);
	EQUAL(message_put_call(&g, &c), 0);
	for (size_t n = 0; n < g.size; n++) {
		unsigned char *copy =
		    malloc(n ? n : 1); /* so that a sanitizer sees a read beyond */

		memcpy(copy, g.pieces[0].data, n);
		EQUAL(message_parse_call(copy, n, &parsed), -EBADMSG);
		free(copy);
	}
	gather_clear(&g);
}

static void test_malformed_auth_sys_is_refused(void)
{
	unsigned char body[MESSAGE_AUTH_MAX];
	size_t len = message_make_auth_sys(body);
	struct message_auth_sys sys;
	struct message_auth cred = { AUTH_SYS, (uint32_t)len, body };

	for (uint32_t n = 0; n < len; n++) {
		cred.len = n;
		EQUAL(message_parse_auth_sys(&cred, &sys), -EBADMSG);
	}
	cred.len = (uint32_t)len + 4; /* something behind it */
	EQUAL(message_parse_auth_sys(&cred, &sys), -EBADMSG);
	cred.len = (uint32_t)len;
	memset(body + 4, 0xff, 4); /* a machine name of 4 GiB */
	EQUAL(message_parse_auth_sys(&cred, &sys), -EBADMSG);
	memset(body, 0, sizeof(body));
	cred.len = 5 * 4 + 17 * 4;
	body[19] = 17; /* groups */
	EQUAL(message_parse_auth_sys(&cred, &sys), -EBADMSG);
	body[19] = 16;
	cred.len = 5 * 4 + 16 * 4;
	EQUAL(message_parse_auth_sys(&cred, &sys), 0);
	EQUAL(sys.n_groups, 16);
}

SUITE(message, TEST(test_what_is_put_parses_again), TEST(test_every_shortened_header_is_refused),
    TEST(test_malformed_auth_sys_is_refused));

/* --- address ----------------------------------------------------------------------------------- */

static void test_addresses_have_their_texts(void)
{
	static const struct {
		const char *host, *text, *universal;
	} cases[] = {
		{ "10.0.0.1", "10.0.0.1:20490", "10.0.0.1.80.10" },
		{ "::1", "[::1]:20490", "::1.80.10" },
		{ "0.0.0.0", "0.0.0.0:20490", "0.0.0.0.80.10" },
	};
	char text[ADDRESS_TEXT_SIZE];
	struct address a;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EQUAL(address_parse(cases[i].host, 20490, &a), 0);
		address_text(&a, text);
		SAME_TEXT(text, cases[i].text);
		address_universal(&a, text);
		SAME_TEXT(text, cases[i].universal);
		EQUAL(address_universal_port(text), 20490);
	}
	EQUAL(address_parse("host.example", 1, &a), -EINVAL);
	EQUAL(address_universal_port(""), 0);
	EQUAL(address_universal_port("1.2"), 0);
	EQUAL(address_universal_port("10.0.0.1.256.1"), 0);
	EQUAL(address_universal_port("/run/x.sock"), 0);
	EQUAL(address_local("/run/x", &a), 0);
	address_universal(&a, text);
	SAME_TEXT(text, "/run/x");
}

static void test_ranges_hold_their_addresses_and_no_others(void)
{
	static const struct {
		const char *range, *address;
		bool inside;
	} cases[] = {
		{ "10.0.0.0/8", "10.255.0.1", true },
		{ "10.0.0.0/8", "11.0.0.1", false },
		{ "10.77.1.0/25", "10.77.1.127", true },
		{ "10.77.1.0/25", "10.77.1.128", false },
		{ "10.77.1.9", "10.77.1.9", true },
		{ "10.77.1.9", "10.77.1.8", false },
		{ "0.0.0.0/0", "1.2.3.4", true },
		{ "0.0.0.0/0", "::1", false },
		{ "fd77::/16", "fd77::1", true },
		{ "fd77::/16", "fd78::1", false },
		{ "10.0.0.0/8", "::ffff:10.1.1.1", true },
		{ "::/0", "10.0.0.1", false },
	};
	static const char *const bad[] = { "", "10.0.0.0/33", "10.0.0.1/8", "10.0.0/8", "x",
		"10.0.0.0/", "::ffff:10.0.0.3", "::ffff:10.0.0.0/104", "10.0.0.0/-1", "fd77::/129",
		"10.0.0.0/8x" };
	struct address_range range;
	struct address a;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EQUAL(address_range_parse(cases[i].range, &range), 0);
		EQUAL(address_parse(cases[i].address, 0, &a), 0);
		if (!EQUAL(address_range_has(&range, &a), cases[i].inside))
			printf("  %s in %s\n", cases[i].address, cases[i].range);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQUAL(address_range_parse(bad[i], &range), -EINVAL);
}

SUITE(address, TEST(test_addresses_have_their_texts),
    TEST(test_ranges_hold_their_addresses_and_no_others));
