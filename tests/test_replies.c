/* SPDX-License-Identifier: BSD-3-Clause */
/* test_replies.c - the memory for repeated calls, and the rate of answers to datagrams. */
#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"
#include "transport/limiter.h"
#include "transport/replies.h"
#include "util/clock.h"
#include "util/siphash.h"

#define AGE (60 * NS_PER_S)
#define SHARE (REPLIES_BYTES_MIN / REPLIES_SHARES)

static struct bytes *block(size_t size, int fill)
{
	struct bytes *b = bytes_new(size);

	memset(b->data, fill, size);
	b->size = (uint32_t)size;
	return b;
}

/* A call of host 10.0.0.N: the parts that tests vary. */
static struct replies_key key_of(const struct replies *r, unsigned host, uint16_t port,
    uint32_t xid)
{
	const struct message_call header = { .xid = xid, .program = 7, .version = 1 };
	struct address from;
	struct replies_key key;
	char text[32];

	snprintf(text, sizeof(text), "10.0.0.%u", host);
	address_parse(text, port, &from);
	replies_make_key(r, &from, 0, &header, "args", 4, &key);
	return key;
}

static enum replies_state look(struct replies *r, const struct replies_key *key, int64_t now)
{
	const struct bytes *reply;

	return replies_find(r, key, now, &reply);
}

/* Runs a call and answers it with so many bytes. */
static void run_call(struct replies *r, const struct replies_key *key, size_t size, int64_t now)
{
	struct replies_entry *e;
	struct bytes *reply = block(size, 'r');

	if (HOLDS(replies_begin(r, key, &e) == 0))
		replies_done(r, e, reply, now);
	bytes_unref(reply);
}

static struct replies *make(void)
{
	struct replies *r = NULL;

	EQUAL(replies_new(0, AGE, &r), 0);
	return r;
}

static void test_a_call_is_new_then_running_then_done_with_the_same_bytes(void)
{
	struct replies *r = make();
	struct replies_key key = key_of(r, 1, 700, 1);
	struct replies_entry *e;
	struct bytes *reply = block(100, 'a');
	const struct bytes *kept = NULL;

	EQUAL(look(r, &key, 0), REPLIES_NEW);
	EQUAL(replies_begin(r, &key, &e), 0);
	EQUAL(look(r, &key, 0), REPLIES_RUNNING);
	replies_done(r, e, reply, 0);
	EQUAL(replies_find(r, &key, 0, &kept), REPLIES_DONE);
	SAME_BYTES(kept->data, kept->size, reply->data, reply->size);
	bytes_unref(reply);
	EQUAL(replies_bytes(r), 100 + REPLIES_OVERHEAD);
	replies_free(r);
}

static void test_a_call_that_ended_without_a_reply_stays_unanswered(void)
{
	struct replies *r = make();
	struct replies_key key = key_of(r, 1, 700, 1);
	struct replies_entry *e;
	const struct bytes *kept = (const struct bytes *)&key;

	EQUAL(replies_begin(r, &key, &e), 0);
	replies_done(r, e, NULL, 0);
	EQUAL(replies_find(r, &key, 0, &kept), REPLIES_DONE);
	HOLDS(!kept);
	replies_free(r);
}

/* The first vectors of the reference implementation. */
static void test_the_digest_is_siphash_of_128_bits(void)
{
	static const unsigned char expected[2][16] = {
		{ 0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7,
		    0x55, 0x02, 0x93 },
		{ 0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b,
		    0x22, 0xfc, 0x45 },
	};
	const struct siphash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	uint64_t words[2];
	unsigned char got[16];

	for (size_t len = 0; len < 2; len++) {
		siphash_128(&key, "", len, words);
		for (int i = 0; i < 16; i++)
			got[i] = (unsigned char)(words[i / 8] >> i % 8 * 8);
		SAME_BYTES(got, 16, expected[len], 16);
	}
}

/* Each part on its own makes another call of it. */
static void test_every_part_of_the_key_counts(void)
{
	static const unsigned char body[2][4] = { "abc", "abd" };
	struct replies *r = make();
	struct message_call base = { 5, 2, 7, 1, 3, { 1, 4, body[0] }, { 0, 0, NULL }, 0 }, h;
	struct address from, other;
	struct replies_key key;

	address_parse("10.0.0.1", 700, &from);
	replies_make_key(r, &from, 0, &base, "args", 4, &key);
	run_call(r, &key, 8, 0);
	replies_make_key(r, &from, 0, &base, "args", 4, &key);
	EQUAL(look(r, &key, 0), REPLIES_DONE);
	for (int part = 0; part < 12; part++) {
		uint32_t socket = part == 0;
		const char *args = part == 1 ? "arga" : "args";

		h = base;
		other = from;
		h.xid += part == 2;
		h.program += part == 3;
		h.version += part == 4;
		h.procedure += part == 5;
		h.credential.flavor += part == 6;
		h.credential.body = body[part == 7];
		h.credential.len -= part == 8;
		if (part == 9)
			address_parse("10.0.0.2", 700, &other);
		if (part == 10)
			address_set_port(&other, 701);
		replies_make_key(r, &other, socket, &h, args, part == 11 ? 3 : 4, &key);
		EQUAL(look(r, &key, 0), REPLIES_NEW);
	}
	replies_free(r);
}

static void test_an_ipv4_address_inside_ipv6_is_the_same_host(void)
{
	const struct message_call h = { .xid = 1 };
	struct replies *r = make();
	struct replies_key four, six;
	struct address a;

	address_parse("10.0.0.1", 700, &a);
	replies_make_key(r, &a, 0, &h, NULL, 0, &four);
	address_parse("::ffff:10.0.0.1", 700, &a);
	replies_make_key(r, &a, 0, &h, NULL, 0, &six);
	SAME_BYTES(&six, sizeof(six), &four, sizeof(four));
	replies_free(r);
}

static void test_a_reply_is_kept_for_its_age_since_it_was_asked_for(void)
{
	struct replies *r = make();
	struct replies_key key = key_of(r, 1, 700, 1), other = key_of(r, 1, 700, 2);

	run_call(r, &key, 8, 0);
	run_call(r, &other, 8, 0);
	EQUAL(look(r, &key, AGE), REPLIES_DONE);
	EQUAL(look(r, &other, AGE + 1), REPLIES_NEW);
	EQUAL(look(r, &key, 2 * AGE), REPLIES_DONE);
	EQUAL(look(r, &key, 3 * AGE + 1), REPLIES_NEW);
	EQUAL(replies_bytes(r), 0);
	replies_free(r);
}

/* A host that has all to itself fills it, and then loses its own. */
static void test_a_host_loses_its_own_oldest_reply_and_nobody_elses(void)
{
	struct replies *r = make();
	struct replies_key others = key_of(r, 2, 700, 1), running = key_of(r, 1, 700, 0);
	struct replies_entry *e;
	const size_t charge = 700 + REPLIES_OVERHEAD;
	const unsigned n = 1000, fit = REPLIES_BYTES_MIN / charge - 1;

	run_call(r, &others, 700, 0);
	EQUAL(replies_begin(r, &running, &e), 0);
	for (unsigned xid = 1; xid <= n; xid++) {
		struct replies_key key = key_of(r, 1, (uint16_t)xid, xid);

		run_call(r, &key, 700, 1);
	}
	EQUAL(replies_bytes(r), (fit + 1) * charge);
	for (unsigned xid = 1; xid <= n; xid++) {
		struct replies_key key = key_of(r, 1, (uint16_t)xid, xid);

		EQUAL(look(r, &key, 1), xid > n - fit ? REPLIES_DONE : REPLIES_NEW);
	}
	EQUAL(look(r, &others, 1), REPLIES_DONE);
	EQUAL(look(r, &running, 1), REPLIES_RUNNING);
	replies_done(r, e, NULL, 1);
	replies_free(r);
}

static void test_many_hosts_never_take_more_than_the_limit(void)
{
	struct replies *r = make();

	for (unsigned host = 1; host < 250; host++) {
		struct replies_key key = key_of(r, host, 700, host);

		run_call(r, &key, 5000, 1);
		HOLDS(replies_bytes(r) <= REPLIES_BYTES_MIN);
		EQUAL(look(r, &key, 1), REPLIES_DONE);
	}
	HOLDS(replies_bytes(r) > REPLIES_BYTES_MIN - 5000 - REPLIES_OVERHEAD);
	replies_free(r);
}

static void test_a_reply_over_the_share_is_not_kept_but_its_call_is(void)
{
	struct replies *r = make();
	struct replies_key fits = key_of(r, 1, 700, 1), larger = key_of(r, 2, 700, 2);
	const struct bytes *kept = NULL;

	run_call(r, &fits, SHARE - REPLIES_OVERHEAD, 0);
	run_call(r, &larger, SHARE - REPLIES_OVERHEAD + 1, 0);
	EQUAL(replies_find(r, &fits, 0, &kept), REPLIES_DONE);
	HOLDS(kept && kept->size == SHARE - REPLIES_OVERHEAD);
	EQUAL(replies_find(r, &larger, 0, &kept), REPLIES_DONE);
	HOLDS(!kept);
	replies_free(r);
}

/* --- Against a simple model -------------------------------------------------------------------- */

#define MODEL_HOSTS 11u
#define MODEL_CALLS 40u /* of each host */
#define MODEL_KEYS (MODEL_HOSTS * MODEL_CALLS)

struct model_entry {
	bool here, running;
	size_t size; /* of the reply; 0: there is none */
	uint64_t order;
	int64_t asked;
	struct replies_entry *entry;
};

struct model {
	struct replies *replies;
	struct replies_key keys[MODEL_KEYS];
	struct model_entry entries[MODEL_KEYS];
	uint64_t random, order;
	int64_t now;
};

static unsigned pick(struct model *m, unsigned n)
{
	m->random = m->random * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)((m->random >> 33) % n);
}

static size_t model_bytes(const struct model *m, unsigned host)
{
	size_t sum = 0;

	for (unsigned i = 0; i < MODEL_KEYS; i++)
		if (m->entries[i].here && !m->entries[i].running &&
		    (host == MODEL_HOSTS || i % MODEL_HOSTS == host))
			sum += m->entries[i].size + REPLIES_OVERHEAD;
	return sum;
}

/* The oldest of those hosts that have more than their share, or else of all. */
static void model_drop_oldest(struct model *m)
{
	struct model_entry *oldest = NULL;
	bool rich[MODEL_HOSTS], any = false;

	for (unsigned host = 0; host < MODEL_HOSTS; host++)
		any |= rich[host] = model_bytes(m, host) > SHARE;

	for (unsigned i = 0; i < MODEL_KEYS; i++) {
		struct model_entry *e = &m->entries[i];

		if (e->here && !e->running && (!any || rich[i % MODEL_HOSTS]) &&
		    (!oldest || e->order < oldest->order))
			oldest = e;
	}
	if (HOLDS(oldest != NULL))
		oldest->here = false;
}

static void model_age(struct model *m)
{
	for (unsigned i = 0; i < MODEL_KEYS; i++)
		if (!m->entries[i].running && m->now - m->entries[i].asked > AGE)
			m->entries[i].here = false;
}

static void model_find(struct model *m, unsigned i)
{
	struct model_entry *e = &m->entries[i];
	const struct bytes *reply = NULL;
	enum replies_state state = replies_find(m->replies, &m->keys[i], m->now, &reply);

	model_age(m);
	EQUAL(state, !e->here ? REPLIES_NEW : e->running ? REPLIES_RUNNING : REPLIES_DONE);
	if (state == REPLIES_DONE) {
		EQUAL(reply ? reply->size : 0, e->size);
		if (reply)
			EQUAL(reply->data[0], i % 251);
		e->order = m->order++;
		e->asked = m->now;
	} else if (state == REPLIES_NEW) {
		EQUAL(replies_begin(m->replies, &m->keys[i], &e->entry), 0);
		e->here = e->running = true;
	}
}

static void model_done(struct model *m, unsigned i)
{
	static const size_t sizes[] = { 0, 24, 400, 3000, SHARE - REPLIES_OVERHEAD,
		SHARE - REPLIES_OVERHEAD + 1 };
	struct model_entry *e = &m->entries[i];
	size_t size = sizes[pick(m, 6)];
	struct bytes *reply = size ? block(size, (int)(i % 251)) : NULL;

	replies_done(m->replies, e->entry, reply, m->now);
	bytes_unref(reply);
	model_age(m);
	e->size = size + REPLIES_OVERHEAD <= SHARE ? size : 0;
	e->running = false;
	e->order = m->order++;
	e->asked = m->now;
	while (model_bytes(m, MODEL_HOSTS) > REPLIES_BYTES_MIN)
		model_drop_oldest(m);
}

static void test_any_sequence_goes_as_in_a_simple_model(void)
{
	static struct model m;

	memset(&m, 0, sizeof(m));
	m.replies = make();
	m.random = 20490;
	for (unsigned i = 0; i < MODEL_KEYS; i++)
		m.keys[i] = key_of(m.replies, 1 + i % MODEL_HOSTS, 700, i);
	for (unsigned step = 0; step < 20000; step++) {
		/* The second choice favours few keys, so that they are asked for again. */
		unsigned i = pick(&m, step % 2 ? MODEL_KEYS : 30);

		m.now += pick(&m, 100) ? (int64_t)pick(&m, 1000) * NS_PER_MS : AGE / 3;
		if (m.entries[i].here && m.entries[i].running && pick(&m, 3))
			model_done(&m, i);
		else
			model_find(&m, i);
		if (!EQUAL(replies_bytes(m.replies), model_bytes(&m, MODEL_HOSTS)))
			break;
	}
	for (unsigned i = 0; i < MODEL_KEYS; i++)
		if (m.entries[i].here && m.entries[i].running)
			replies_done(m.replies, m.entries[i].entry, NULL, m.now);
	replies_free(m.replies);
}

/* --- The limiter ------------------------------------------------------------------------------- */

static unsigned answers(struct limiter *l, const char *to, size_t bytes, unsigned tries,
    int64_t now)
{
	struct address a;
	unsigned n = 0;

	address_parse(to, 700, &a);
	for (unsigned i = 0; i < tries; i++)
		n += limiter_take(l, &a, bytes, now);
	return n;
}

static struct limiter *limit(uint64_t network, uint64_t total)
{
	struct limiter *l = NULL;

	EQUAL(limiter_new(network, total, &l), 0);
	return l;
}

static void test_a_network_gets_its_rate_and_no_more(void)
{
	struct limiter *l = limit(1000, 1000000);

	EQUAL(answers(l, "192.0.2.1", 100, 1000, NS_PER_S), 10);
	EQUAL(answers(l, "192.0.2.200", 100, 1000, NS_PER_S), 0);
	EQUAL(answers(l, "192.0.2.1", 100, 1000, 2 * NS_PER_S), 10);
	EQUAL(answers(l, "192.0.2.1", 100, 1000, 2 * NS_PER_S + NS_PER_S / 2), 5);
	EQUAL(answers(l, "192.0.2.1", 100, 1000, 100 * NS_PER_S), 10);
	EQUAL(answers(l, "2001:db8:0:aa01::1", 100, 1000, 100 * NS_PER_S), 10);
	EQUAL(answers(l, "2001:db8:0:aaff::2", 100, 1000, 100 * NS_PER_S), 0);
	limiter_free(l);
}

static void test_a_network_that_is_over_its_rate_does_not_silence_another(void)
{
	struct limiter *l = limit(1000, 1000000);
	unsigned heard = 0;
	char text[32];

	answers(l, "192.0.2.1", 100, 1000, NS_PER_S);
	/* They may meet in a place of the table, but not all of them. */
	for (unsigned i = 0; i < 100; i++) {
		snprintf(text, sizeof(text), "198.51.%u.1", i);
		heard += answers(l, text, 100, 1, NS_PER_S);
	}
	HOLDS(heard > 90);
	limiter_free(l);
}

static void test_all_networks_together_get_the_total(void)
{
	struct limiter *l = limit(1000, 5000);
	unsigned n = 0;
	char text[32];

	for (unsigned i = 0; i < 250; i++) {
		snprintf(text, sizeof(text), "198.51.%u.1", i);
		n += answers(l, text, 100, 100, NS_PER_S);
	}
	EQUAL(n, 50);
	limiter_free(l);
}

static void test_an_answer_larger_than_the_rate_leaves_once_in_its_time(void)
{
	struct limiter *l = limit(1000, 100000);

	EQUAL(answers(l, "192.0.2.1", 10000, 5, NS_PER_S), 1);
	EQUAL(answers(l, "192.0.2.1", 10000, 5, 9 * NS_PER_S), 0);
	EQUAL(answers(l, "192.0.2.1", 10000, 5, 11 * NS_PER_S), 1);
	limiter_free(l);
}

SUITE(replies, TEST(test_the_digest_is_siphash_of_128_bits),
    TEST(test_a_call_is_new_then_running_then_done_with_the_same_bytes),
    TEST(test_a_call_that_ended_without_a_reply_stays_unanswered),
    TEST(test_every_part_of_the_key_counts),
    TEST(test_an_ipv4_address_inside_ipv6_is_the_same_host),
    TEST(test_a_reply_is_kept_for_its_age_since_it_was_asked_for),
    TEST(test_a_host_loses_its_own_oldest_reply_and_nobody_elses),
    TEST(test_many_hosts_never_take_more_than_the_limit),
    TEST(test_a_reply_over_the_share_is_not_kept_but_its_call_is),
    TEST(test_any_sequence_goes_as_in_a_simple_model),
    TEST(test_a_network_gets_its_rate_and_no_more),
    TEST(test_a_network_that_is_over_its_rate_does_not_silence_another),
    TEST(test_all_networks_together_get_the_total),
    TEST(test_an_answer_larger_than_the_rate_leaves_once_in_its_time));
