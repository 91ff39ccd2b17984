/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_ring.c - both sides of a ring whose memory somebody else writes to: whatever stands there, a side touches
 * nothing outside of the memory, says -EPROTO for ever once it has said so, and comes back.
 *
 * Input: one byte (bit 0: messages; bit 1: growing fails), then steps of one byte and what it takes.  The lowest three bits say which:
 *	0	a shared word is set (one byte: which; eight bytes: to what)
 *	1	a shared word is moved (one byte: which; one byte: by how much, from -128)
 *	2	bytes of the memory are set (two bytes: where; one byte: how many; these)
 *	3	the consumer reads (two bytes: how many)
 *	4	it takes a message, or a part (two bytes: how many)
 *	5	it looks in place and gives back (one byte: how much of it, in 256ths) or peeks (odd)
 *	6	the producer writes, or sends (two bytes: how many, times 4)
 *	7	it reserves and commits (two bytes: how many; one byte: how much of it), or looks (zero)
 * A bit of 8 in the step: while the ring asks for memory, in the middle of the step, one more step of kind 0 or 2 is
 * taken from the input.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#include "transport/ring.h"

#define SIZE (4 * RING_FIRST_BYTES)
#define WORDS 12
#define STEPS_MAX 2000

struct state {
	struct ring_shared *shared;
	struct ring_memory memory;
	struct ring_producer p;
	struct ring_consumer c;
	struct input *in;
	bool refuses, meddles;
	bool consumer_broken, producer_broken;
	unsigned char *buffer;
	volatile unsigned sum;
};

static void set_word(struct state *s, unsigned which, uint64_t value, bool relative)
{
	_Atomic uint64_t *wide[] = { &s->shared->head, &s->shared->written, &s->shared->jumps[0].at,
		&s->shared->jumps[0].offset, &s->shared->jumps[1].at, &s->shared->jumps[1].offset,
		&s->shared->tail, &s->shared->read };
	_Atomic uint32_t *narrow[] = { &s->shared->producer_state, &s->shared->consumer_state,
		&s->shared->producer_waiting, &s->shared->consumer_waiting };

	which %= WORDS;
	if (which < 8)
		atomic_store(wide[which], value + (relative ? atomic_load(wide[which]) : 0));
	else
		atomic_store(narrow[which - 8], (uint32_t)value);
}

static void set_absolute(struct state *s)
{
	unsigned which = input_byte(s->in);
	uint64_t value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | input_byte(s->in);
	set_word(s, which, value, false);
}

static void set_data(struct state *s)
{
	size_t at = input_short(s->in), size;
	const uint8_t *data = input_take(s->in, input_byte(s->in), &size);

	memcpy(s->memory.data + at, data, size < SIZE - at ? size : SIZE - at);
}

static int reserve(void *context, uint64_t offset, uint64_t size)
{
	struct state *s = context;

	CLAIM(offset <= SIZE && size <= SIZE - offset && size > 0);
	if (s->meddles && s->in->left) {
		if (input_byte(s->in) % 2)
			set_data(s);
		else
			set_absolute(s);
	}
	return s->refuses ? -ENOSPC : 0;
}

/* Of all bytes that are shown: that they can be read. */
static void touch(struct state *s, const void *data, size_t size)
{
	const unsigned char *p = data;

	CLAIM(p >= s->memory.data && size <= SIZE && (size_t)(p - s->memory.data) <= SIZE - size);
	for (size_t i = 0; i < size; i += 61)
		s->sum += p[i];
	if (size)
		s->sum += p[size - 1];
}

static void claim_consumer(struct state *s, int r)
{
	CLAIM(r == 0 || r == RING_AGAIN || r == -EPROTO || (r == -ENOSPC && s->refuses));
	CLAIM(!s->consumer_broken || r == -EPROTO);
	s->consumer_broken |= r == -EPROTO;
}

static void claim_producer(struct state *s, int r)
{
	CLAIM(r == 0 || r == RING_AGAIN || r == -EPROTO || r == -EMSGSIZE || r == -ENOMEM);
	CLAIM(!s->producer_broken || r == -EPROTO || r == -EMSGSIZE);
	s->producer_broken |= r == -EPROTO;
}

static void read_some(struct state *s, bool message)
{
	size_t want = input_short(s->in), n = 0;
	unsigned char *buffer = malloc(want ? want : 1);
	bool more = false, receives = message && s->memory.type == RING_MESSAGES;
	int r;

	CLAIM(buffer);
	if (receives)
		r = ring_receive(&s->c, buffer, want, &n, &more);
	else
		r = ring_read(&s->c, buffer, want, &n);
	claim_consumer(s, r);
	CLAIM(r || n <= want);
	free(buffer);
}

static void look_in_place(struct state *s)
{
	unsigned part = input_byte(s->in);
	uint64_t total, first;
	struct iovec pieces[2];
	size_t n = 0, sum = 0;
	int r;

	if (part % 2) {
		r = ring_peek(&s->c, s->buffer, 1000, &n, &total, &first);
		claim_consumer(s, r);
		CLAIM(r || (n <= 1000 && n <= first && first <= total && total <= SIZE));
		return;
	}
	r = ring_view(&s->c, pieces, &n);
	claim_consumer(s, r);
	if (r)
		return;
	CLAIM(n == 1 || (n == 2 && s->memory.type == RING_BYTES));
	for (size_t i = 0; i < n; i++) {
		touch(s, pieces[i].iov_base, pieces[i].iov_len);
		sum += pieces[i].iov_len;
	}
	CLAIM(sum <= SIZE);
	ring_consume(&s->c, sum * (part + 2) / 256);
}

static void write_some(struct state *s)
{
	struct iovec piece = { s->buffer, 4u * (size_t)input_short(s->in) };
	size_t n = 0;
	int r;

	if (s->memory.type == RING_MESSAGES)
		r = ring_send(&s->p, &piece, 1);
	else
		r = piece.iov_len ? ring_write(&s->p, s->buffer, piece.iov_len, &n) : RING_AGAIN;
	if (s->memory.type == RING_MESSAGES || piece.iov_len)
		claim_producer(s, r);
	CLAIM(r || n <= piece.iov_len);
}

static void reserve_some(struct state *s)
{
	size_t want = input_short(s->in), n = 0;
	unsigned part = input_byte(s->in);
	void *room;
	int r;

	if (!want) {
		claim_producer(s, ring_producer_look(&s->p));
		CLAIM(s->producer_broken || ring_unread(&s->p) <= SIZE);
		return;
	}
	r = ring_reserve(&s->p, want, &room, &n);
	claim_producer(s, r);
	if (r)
		return;
	CLAIM(n > 0 && n <= want);
	touch(s, room, n);
	memset(room, (int)part, n);
	ring_commit(&s->p, n * part / 255);
}

static void take_step(struct state *s)
{
	unsigned step = input_byte(s->in), which;

	s->meddles = step & 8;
	switch (step % 8) {
	case 0:
		set_absolute(s);
		return;
	case 1:
		which = input_byte(s->in);
		set_word(s, which, (uint64_t)((int64_t)input_byte(s->in) - 128), true);
		return;
	case 2:
		set_data(s);
		return;
	case 3:
	case 4:
		read_some(s, step % 8 == 4);
		return;
	case 5:
		look_in_place(s);
		return;
	case 6:
		write_some(s);
		return;
	default:
		reserve_some(s);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	struct state s = { .in = &in };
	unsigned options = input_byte(&in);

	s.shared = aligned_alloc(RING_LINE, sizeof(*s.shared));
	s.buffer = calloc(1, 4 * 65536);
	s.memory = (struct ring_memory){ options & 1 ? RING_MESSAGES : RING_BYTES, s.shared,
		malloc(SIZE), SIZE, reserve, &s };
	CLAIM(s.shared && s.memory.data && s.buffer);
	memset(s.shared, 0, sizeof(*s.shared));
	memset(s.memory.data, 0, SIZE);
	s.refuses = options & 2;
	ring_producer_init(&s.p, &s.memory);
	ring_consumer_init(&s.c, &s.memory);
	for (unsigned step = 0; in.left && step < STEPS_MAX; step++)
		take_step(&s);
	free(s.shared);
	free(s.memory.data);
	free(s.buffer);
	return 0;
}
