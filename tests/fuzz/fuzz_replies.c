/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_replies.c - the memory for repeated calls: whatever is asked in whatever order, a call gets its own reply or
 * none, one that runs is never new, and what is kept stays within its bounds.
 *
 * Input: steps of one byte and what it takes.  The lowest two bits say which:
 *	0	a call comes (one byte: which of 64)
 *	1	a call that runs ends (one byte: which; two bytes: size of its reply, 0: without one)
 *	2	time passes (one byte: seconds)
 *	3	a datagram comes (one byte: its length; its bytes)
 *
 * The model keeps what was answered to each call and when that was last asked for.  Which replies go first is for
 * tests/test_replies.c; here it holds that nothing goes while there is room, and that nothing stays beyond its age.
 */
#include "tests/fuzz/fuzz.h"

#include "transport/replies.h"
#include "util/clock.h"

#define CALLS 64u
#define HOSTS 5u
#define AGE_S 60
#define STEPS_MAX 4096

struct known {
	bool running, done;
	size_t size;
	int64_t asked;
	struct replies_entry *entry;
};

struct state {
	struct replies *replies;
	struct replies_key keys[CALLS];
	struct known known[CALLS];
	int64_t now;
	bool was_full; /* some may have gone for want of room */
};

static void make_keys(struct state *s)
{
	for (unsigned i = 0; i < CALLS; i++) {
		const unsigned char body[4] = { 0, 0, 0, (unsigned char)(i / 2 % 2) };
		const struct message_call header = {
			.xid = i / 4,
			.program = 7,
			.credential = { 1, sizeof(body), body },
		};
		struct address from;
		char text[32];

		snprintf(text, sizeof(text), i % HOSTS ? "10.0.0.%u" : "2001:db8::%u", i % HOSTS);
		CLAIM(address_parse(text, 700, &from) == 0);
		replies_make_key(s->replies, &from, 0, &header, body, i % 2 * 4, &s->keys[i]);
	}
}

/* The first byte of a reply says whose it is. */
static void claim_own(const struct bytes *reply, unsigned call, size_t size)
{
	CLAIM(reply->size == size);
	for (size_t i = 0; i < size; i++)
		CLAIM(reply->data[i] == call);
}

static void come(struct state *s, unsigned call)
{
	struct known *k = &s->known[call];
	const struct bytes *reply = NULL;
	enum replies_state state = replies_find(s->replies, &s->keys[call], s->now, &reply);

	CLAIM((state == REPLIES_RUNNING) == k->running);
	if (state == REPLIES_RUNNING)
		return;
	if (state == REPLIES_DONE) {
		CLAIM(k->done && s->now - k->asked <= AGE_S * NS_PER_S);
		if (k->size && k->size + REPLIES_OVERHEAD <= REPLIES_BYTES_MIN / REPLIES_SHARES)
			claim_own(reply, call, k->size);
		else
			CLAIM(!reply);
		k->asked = s->now;
		return;
	}
	CLAIM(!k->done || s->was_full || s->now - k->asked > AGE_S * NS_PER_S);
	CLAIM(replies_begin(s->replies, &s->keys[call], &k->entry) == 0);
	k->running = true;
	k->done = false;
}

static void end(struct state *s, unsigned call, size_t size)
{
	struct known *k = &s->known[call];
	struct bytes *reply = NULL;
	size_t before = replies_bytes(s->replies), charge = size + REPLIES_OVERHEAD;

	if (!k->running)
		return;
	if (size) {
		reply = bytes_new(size);
		CLAIM(reply);
		memset(reply->data, (int)call, size);
		reply->size = (uint32_t)size;
	}
	replies_done(s->replies, k->entry, reply, s->now);
	bytes_unref(reply);
	s->was_full |= before + charge > REPLIES_BYTES_MIN;
	k->running = false;
	k->done = true;
	k->size = size;
	k->asked = s->now;
}

static void take(struct state *s, struct input *in)
{
	size_t size, want = input_byte(in);
	const uint8_t *at = input_take(in, want, &size);
	unsigned char *data = copy_of(at, size);
	const struct bytes *reply;
	struct message_call header;
	struct replies_key key;
	struct address from;

	CLAIM(address_parse("192.0.2.1", 700, &from) == 0);
	if (message_parse_call(data, size, &header) == 0) {
		replies_make_key(s->replies, &from, 1, &header, data + header.header_size,
		    size - header.header_size, &key);
		CLAIM(replies_find(s->replies, &key, s->now, &reply) == REPLIES_NEW);
	}
	free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	static struct state s;

	memset(&s, 0, sizeof(s));
	CLAIM(replies_new(0, AGE_S * NS_PER_S, &s.replies) == 0);
	make_keys(&s);
	for (unsigned step = 0; in.left && step < STEPS_MAX; step++) {
		unsigned choice = input_byte(&in) % 4;

		if (choice == 0) {
			come(&s, input_byte(&in) % CALLS);
		} else if (choice == 1) {
			unsigned call = input_byte(&in) % CALLS;

			end(&s, call, input_short(&in));
		} else if (choice == 2) {
			s.now += (int64_t)input_byte(&in) * NS_PER_S;
		} else {
			take(&s, &in);
		}
		CLAIM(replies_bytes(s.replies) <= REPLIES_BYTES_MIN);
	}
	for (unsigned i = 0; i < CALLS; i++)
		end(&s, i, 0);
	replies_free(s.replies);
	return 0;
}
