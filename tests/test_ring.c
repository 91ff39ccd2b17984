/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_ring.c - the ring between two sides in one process, in private memory: what it promises of what is written
 * and read, how it grows, and that no lie of a peer gets through.  Two processes: test_conduit.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/harness.h"
#include "transport/ring.h"

#define KIB 1024u
#define MIB 1048576u

struct fixture {
	struct ring_shared *shared;
	struct ring_memory memory;
	struct ring_producer p;
	struct ring_consumer c;
	uint64_t reserved; /* memory that was asked for */
	int refusal;	   /* of more memory; 0: none */
	unsigned refusals;
};

static int reserve(void *context, uint64_t offset, uint64_t size)
{
	struct fixture *f = context;

	if (f->refusal && offset + size > RING_FIRST_BYTES) {
		f->refusals++;
		return f->refusal;
	}
	if (offset + size > f->reserved)
		f->reserved = offset + size;
	return 0;
}

static void open_ring(struct fixture *f, enum ring_type type, uint64_t size)
{
	memset(f, 0, sizeof(*f));
	f->reserved = RING_FIRST_BYTES;
	f->shared = aligned_alloc(RING_LINE, sizeof(*f->shared));
	memset(f->shared, 0, sizeof(*f->shared));
	f->memory = (struct ring_memory){ type, f->shared, malloc(size), size, reserve, f };
	ring_producer_init(&f->p, &f->memory);
	ring_consumer_init(&f->c, &f->memory);
}

static void close_ring(struct fixture *f)
{
	free(f->shared);
	free(f->memory.data);
}

static int send_text(struct fixture *f, const char *text)
{
	struct iovec piece = { (void *)(uintptr_t)text, strlen(text) };

	return ring_send(&f->p, &piece, 1);
}

static int send_size(struct fixture *f, size_t size)
{
	unsigned char *data = calloc(1, size ? size : 1);
	struct iovec piece = { data, size };
	int r = ring_send(&f->p, &piece, 1);

	free(data);
	return r;
}

/* --- A model of both disciplines --------------------------------------------------------------- */

/* The byte at each total of users' bytes. */
static unsigned char byte_at(uint64_t total)
{
	return (unsigned char)((total * 0x9e3779b97f4a7c15u) >> 56);
}

static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void fill(unsigned char *data, uint64_t total, size_t n)
{
	for (size_t i = 0; i < n; i++)
		data[i] = byte_at(total + i);
}

static bool is_right(const unsigned char *data, uint64_t total, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (data[i] != byte_at(total + i))
			return false;
	return true;
}

#define MODEL_MESSAGES 65536u

struct model {
	uint64_t random, written, read;
	uint64_t ends[MODEL_MESSAGES]; /* where the messages end, by their number */
	unsigned first, last;
	unsigned char buffer[2 * MIB];
};

/* Mostly small ones; some of any size up to the limit. */
static size_t random_size(struct model *m, size_t limit)
{
	uint64_t r = next_random(&m->random);
	size_t most = r % 16 == 0 ? limit : r % 4 == 0 ? limit / 16 : 300;

	return (size_t)(next_random(&m->random) % (most + 1));
}

static bool model_put_bytes(struct fixture *f, struct model *m)
{
	size_t n = random_size(m, MIB / 2) + 1, done;
	void *room;
	int r;

	if (next_random(&m->random) % 2) {
		fill(m->buffer, m->written, n);
		r = ring_write(&f->p, m->buffer, n, &done);
	} else {
		r = ring_reserve(&f->p, n, &room, &done);
		if (!r) {
			done = (size_t)(next_random(&m->random) % (done + 1));
			fill(room, m->written, done);
			ring_commit(&f->p, done);
		}
	}
	if (!r)
		m->written += done;
	return r == 0 || (r == RING_AGAIN && m->written > m->read);
}

static bool model_take_bytes(struct fixture *f, struct model *m)
{
	size_t n = random_size(m, MIB / 2) + 1, got = 0, pieces, total = 0;
	struct iovec views[2];
	uint64_t queued, first;
	int r;

	if (next_random(&m->random) % 2) {
		r = ring_read(&f->c, m->buffer, n, &got);
		if (!r && !(got && is_right(m->buffer, m->read, got)))
			return false;
	} else if (next_random(&m->random) % 2) {
		r = ring_view(&f->c, views, &pieces);
		for (size_t i = 0; !r && i < pieces; i++) {
			if (!is_right(views[i].iov_base, m->read + total, views[i].iov_len))
				return false;
			total += views[i].iov_len;
		}
		if (!r) {
			got = (size_t)(next_random(&m->random) % (total + 1));
			ring_consume(&f->c, got);
		}
	} else {
		r = ring_peek(&f->c, m->buffer, n, &pieces, &queued, &first);
		return r == RING_AGAIN ? m->read == m->written
				       : r == 0 && queued == m->written - m->read &&
			is_right(m->buffer, m->read, pieces);
	}
	m->read += got;
	return r == 0 ? m->read <= m->written : r == RING_AGAIN && m->read == m->written;
}

static bool model_put_message(struct fixture *f, struct model *m)
{
	size_t n = random_size(m, RING_MESSAGE_MAX), half = n / 2;
	struct iovec pieces[2] = { { m->buffer, half }, { m->buffer + half, n - half } };
	void *room;
	size_t size;
	int r;

	if (m->last - m->first == MODEL_MESSAGES)
		return true;
	if (next_random(&m->random) % 2) {
		fill(m->buffer, m->written, n);
		r = ring_send(&f->p, pieces, 2);
	} else {
		r = ring_reserve(&f->p, n + n / 2 <= RING_MESSAGE_MAX ? n + n / 2 : n, &room,
		    &size);
		if (!r) {
			fill(room, m->written, n);
			ring_commit(&f->p, n);
		}
	}
	if (r)
		return r == RING_AGAIN && m->last != m->first;
	m->written += n;
	m->ends[m->last++ % MODEL_MESSAGES] = m->written;
	return true;
}

static bool model_take_message(struct fixture *f, struct model *m)
{
	size_t n = random_size(m, RING_MESSAGE_MAX), got;
	uint64_t end = m->ends[m->first % MODEL_MESSAGES], queued, first;
	bool more;
	int r;

	if (next_random(&m->random) % 8 == 0) {
		r = ring_peek(&f->c, m->buffer, n, &got, &queued, &first);
		return r == RING_AGAIN ? m->first == m->last
				       : r == 0 && queued == m->written - m->read &&
			first == end - m->read && is_right(m->buffer, m->read, got);
	}
	r = ring_receive(&f->c, m->buffer, n, &got, &more);
	if (r)
		return r == RING_AGAIN && m->first == m->last;
	if (m->first == m->last || got > end - m->read || more != (got < end - m->read) ||
	    !is_right(m->buffer, m->read, got))
		return false;
	m->read += got;
	m->first += !more;
	return true;
}

static void run_model(enum ring_type type, uint64_t size, uint64_t seed)
{
	struct model *m = calloc(1, sizeof(*m));
	struct fixture f;
	bool good = true;
	unsigned step;

	open_ring(&f, type, size);
	m->random = seed;
	for (step = 0; step < 60000 && good; step++) {
		/* Phases in which one side is faster. */
		bool put = next_random(&m->random) % 8 < (step / 3000 % 2 ? 6u : 3u);

		if (type == RING_BYTES)
			good = put ? model_put_bytes(&f, m) : model_take_bytes(&f, m);
		else
			good = put ? model_put_message(&f, m) : model_take_message(&f, m);
		good =
		    good && !ring_producer_look(&f.p) && ring_unread(&f.p) == m->written - m->read;
	}
	EQUAL(step, 60000);
	HOLDS(good);
	HOLDS(f.p.jumps > 3);
	HOLDS(f.reserved == size || type == RING_MESSAGES);
	close_ring(&f);
	free(m);
}

static void test_bytes_come_out_as_they_went_in_whatever_the_pieces(void)
{
	run_model(RING_BYTES, RING_FIRST_BYTES, 1);
	run_model(RING_BYTES, ring_size_for(RING_BYTES, 300 * KIB), 2);
	run_model(RING_BYTES, RING_BYTES_MAX, 3);
}

static void test_messages_come_out_as_they_went_in_whatever_the_sizes(void)
{
	run_model(RING_MESSAGES, ring_size_for(RING_MESSAGES, 1), 4);
	run_model(RING_MESSAGES, ring_size_for(RING_MESSAGES, MIB), 5);
	run_model(RING_MESSAGES, RING_BYTES_MAX, 6);
}

/* --- Messages ---------------------------------------------------------------------------------- */

static void test_an_empty_message_is_a_message(void)
{
	struct fixture f;
	char buffer[8];
	bool more = true;
	size_t n = 7;

	open_ring(&f, RING_MESSAGES, ring_size_for(RING_MESSAGES, MIB));
	EQUAL(ring_send(&f.p, NULL, 0), 0);
	EQUAL(send_text(&f, "x"), 0);
	EQUAL(ring_receive(&f.c, buffer, sizeof(buffer), &n, &more), 0);
	EQUAL(n, 0);
	HOLDS(!more);
	EQUAL(ring_receive(&f.c, buffer, sizeof(buffer), &n, &more), 0);
	SAME_BYTES(buffer, n, "x", 1);
	EQUAL(ring_receive(&f.c, buffer, sizeof(buffer), &n, &more), RING_AGAIN);
	close_ring(&f);
}

static void test_the_rest_of_a_message_stays(void)
{
	struct fixture f;
	char buffer[8];
	uint64_t total, first;
	bool more;
	size_t n;

	open_ring(&f, RING_MESSAGES, ring_size_for(RING_MESSAGES, MIB));
	EQUAL(send_text(&f, "abcdef"), 0);
	EQUAL(send_text(&f, "xy"), 0);
	EQUAL(ring_receive(&f.c, buffer, 4, &n, &more), 0);
	SAME_BYTES(buffer, n, "abcd", 4);
	HOLDS(more);
	EQUAL(ring_producer_look(&f.p), 0);
	EQUAL(ring_unread(&f.p), 4);
	EQUAL(ring_peek(&f.c, buffer, sizeof(buffer), &n, &total, &first), 0);
	SAME_BYTES(buffer, n, "ef", 2);
	EQUAL(total, 4);
	EQUAL(first, 2);
	EQUAL(ring_receive(&f.c, buffer, sizeof(buffer), &n, &more), 0);
	SAME_BYTES(buffer, n, "ef", 2);
	HOLDS(!more);
	HOLDS(!ring_is_drained(&f.p));
	EQUAL(ring_receive(&f.c, buffer, sizeof(buffer), &n, &more), 0);
	EQUAL(ring_producer_look(&f.p), 0);
	HOLDS(ring_is_drained(&f.p));
	close_ring(&f);
}

static void test_reading_bytes_of_messages_crosses_boundaries_but_for_empty_ones(void)
{
	struct fixture f;
	char buffer[16];
	size_t n;

	open_ring(&f, RING_MESSAGES, ring_size_for(RING_MESSAGES, MIB));
	EQUAL(send_text(&f, "ab"), 0);
	EQUAL(send_text(&f, "cd"), 0);
	EQUAL(send_text(&f, ""), 0);
	EQUAL(send_text(&f, "ef"), 0);
	EQUAL(ring_read(&f.c, buffer, 3, &n), 0);
	SAME_BYTES(buffer, n, "abc", 3);
	EQUAL(ring_read(&f.c, buffer, sizeof(buffer), &n), 0);
	SAME_BYTES(buffer, n, "d", 1);
	EQUAL(ring_read(&f.c, buffer, sizeof(buffer), &n), 0);
	EQUAL(n, 0);
	EQUAL(ring_read(&f.c, buffer, sizeof(buffer), &n), 0);
	SAME_BYTES(buffer, n, "ef", 2);
	EQUAL(ring_read(&f.c, buffer, sizeof(buffer), &n), RING_AGAIN);
	close_ring(&f);
}

static void test_a_reservation_that_is_not_committed_is_not_seen(void)
{
	enum ring_type types[] = { RING_BYTES, RING_MESSAGES };
	struct iovec pieces[2];
	struct fixture f;
	void *room;
	size_t n;

	for (int i = 0; i < 2; i++) {
		open_ring(&f, types[i], ring_size_for(types[i], MIB));
		EQUAL(ring_reserve(&f.p, 100, &room, &n), 0);
		EQUAL(n, 100);
		EQUAL(ring_view(&f.c, pieces, &n), RING_AGAIN);
		EQUAL(ring_reserve(&f.p, 10, &room, &n), 0);
		memcpy(room, "0123456789", 10);
		ring_commit(&f.p, 5);
		EQUAL(ring_view(&f.c, pieces, &n), 0);
		EQUAL(n, 1);
		SAME_BYTES(pieces[0].iov_base, pieces[0].iov_len, "01234", 5);
		close_ring(&f);
	}
}

static void test_a_message_over_the_limit_is_refused_and_one_of_it_is_not(void)
{
	struct fixture f;

	open_ring(&f, RING_MESSAGES, ring_size_for(RING_MESSAGES, 1));
	EQUAL(send_size(&f, RING_MESSAGE_MAX + 1), -EMSGSIZE);
	EQUAL(send_size(&f, RING_MESSAGE_MAX), 0);
	close_ring(&f);
}

/* --- Quota and growth -------------------------------------------------------------------------- */

/* Fills with messages of a size until the quota is exceeded, from any position; nobody reads. */
static bool fits_behind(uint64_t quota, size_t before, size_t size)
{
	struct fixture f;
	unsigned char *buffer = malloc(RING_MESSAGE_MAX);
	uint64_t queued = 0;
	bool more, good = true;
	size_t n;

	open_ring(&f, RING_MESSAGES, ring_size_for(RING_MESSAGES, quota));
	/* The consumer stops with one message unread, wherever that is. */
	good = send_size(&f, before) == 0 && send_size(&f, 8) == 0;
	for (int i = 0; i < 200 && good; i++)
		good = send_size(&f, before) == 0 && send_size(&f, 8) == 0 &&
		    !ring_receive(&f.c, buffer, RING_MESSAGE_MAX, &n, &more) &&
		    !ring_receive(&f.c, buffer, RING_MESSAGE_MAX, &n, &more);
	queued = before + 8;
	while (good && queued + size + RING_RECORD <= quota) {
		good = send_size(&f, size) == 0;
		queued += size + RING_RECORD + 8;
	}
	good = good && send_size(&f, RING_MESSAGE_MAX) == 0;
	close_ring(&f);
	free(buffer);
	return good;
}

static void test_a_message_fits_behind_any_queue_within_the_quota(void)
{
	static const size_t sizes[] = { 1000, 20000, 65536, 200000, RING_MESSAGE_MAX };
	static const size_t befores[] = { 10, 3000, 30000, 65000, 150000, 400000 };
	static const uint64_t quotas[] = { 70000, MIB, 4 * MIB };

	for (int q = 0; q < 3; q++)
		for (int s = 0; s < 5; s++)
			for (int b = 0; b < 6; b++)
				if (befores[b] + 100 < quotas[q] &&
				    !HOLDS(fits_behind(quotas[q], befores[b], sizes[s])))
					return;
}

static void test_bytes_of_the_quota_fit_although_nobody_reads(void)
{
	static const uint64_t quotas[] = { 1, 65536, 100000, MIB, 4 * MIB };
	unsigned char *data = calloc(1, 4 * MIB);
	struct fixture f;
	size_t n;

	for (int q = 0; q < 5; q++)
		for (size_t before = 1; before < 200000; before += 7777) {
			uint64_t left = quotas[q];

			open_ring(&f, RING_BYTES, ring_size_for(RING_BYTES, quotas[q]));
			for (size_t done = 0; done < before; done += n) {
				EQUAL(ring_write(&f.p, data, before - done, &n), 0);
				EQUAL(ring_read(&f.c, data, before, &n), 0);
			}
			while (left && ring_write(&f.p, data, left, &n) == 0)
				left -= n;
			EQUAL(left, 0);
			close_ring(&f);
		}
	free(data);
}

static void test_a_ring_whose_reader_keeps_up_stays_small(void)
{
	unsigned char data[4000] = { 0 };
	struct fixture f;
	bool more;
	size_t n;

	open_ring(&f, RING_MESSAGES, ring_size_for(RING_MESSAGES, MIB));
	for (int i = 0; i < 1000; i++) {
		struct iovec piece = { data, 1 + (size_t)i * 4 % sizeof(data) };

		EQUAL(ring_send(&f.p, &piece, 1), 0);
		EQUAL(ring_receive(&f.c, data, sizeof(data), &n, &more), 0);
	}
	HOLDS(f.reserved <= RING_FIRST_BYTES);
	close_ring(&f);
}

/* Copies that begin within a line take a third longer, and after one odd piece all would. */
static void test_long_bytes_behind_odd_ones_begin_with_a_line_once_all_was_read(void)
{
	static unsigned char data[RING_PUBLISH];
	struct iovec pieces[2];
	struct fixture f;
	size_t n;

	open_ring(&f, RING_BYTES, MIB);
	EQUAL(ring_write(&f.p, data, 7, &n), 0);
	EQUAL(ring_write(&f.p, data, sizeof(data), &n), 0);
	EQUAL(n, RING_PUBLISH - 7); /* not empty: behind it */
	EQUAL(ring_read(&f.c, data, sizeof(data), &n), 0);
	EQUAL(n, RING_PUBLISH);
	EQUAL(ring_write(&f.p, data, 7, &n), 0);
	EQUAL(ring_read(&f.c, data, sizeof(data), &n), 0);
	/* It was looked at a round ago. */
	for (int i = 0; i < 3; i++) {
		EQUAL(ring_write(&f.p, data, sizeof(data), &n), 0);
		EQUAL(n, sizeof(data));
		EQUAL(ring_view(&f.c, pieces, &n), 0);
		EQUAL(n, 1);
		EQUAL(pieces[0].iov_len, sizeof(data));
		EQUAL((uint64_t)((unsigned char *)pieces[0].iov_base - f.memory.data) % 64, 0);
		ring_consume(&f.c, sizeof(data));
	}
	EQUAL(f.reserved, RING_PUBLISH);
	close_ring(&f);
}

static void test_without_memory_a_ring_stays_small_and_goes_on(void)
{
	unsigned char *data = calloc(1, MIB);
	struct fixture f;
	bool more;
	size_t n;

	open_ring(&f, RING_MESSAGES, ring_size_for(RING_MESSAGES, MIB));
	f.refusal = -ENOSPC;
	EQUAL(send_size(&f, 10000), 0);
	EQUAL(send_size(&f, 10000), RING_AGAIN);
	HOLDS(f.refusals > 0);
	EQUAL(send_size(&f, 100000), RING_AGAIN);
	EQUAL(ring_receive(&f.c, data, MIB, &n, &more), 0);
	EQUAL(n, 10000);
	for (int i = 0; i < 100; i++) {
		EQUAL(send_size(&f, 10000), 0);
		EQUAL(ring_receive(&f.c, data, MIB, &n, &more), 0);
	}
	/* There is nothing to wait for. */
	EQUAL(send_size(&f, 100000), -ENOMEM);
	f.refusal = 0;
	for (int i = 0; i < 3; i++) {
		EQUAL(send_size(&f, 10000), 0);
		EQUAL(ring_receive(&f.c, data, MIB, &n, &more), 0);
	}
	EQUAL(send_size(&f, 100000), 0);
	EQUAL(ring_receive(&f.c, data, MIB, &n, &more), 0);
	EQUAL(n, 100000);
	close_ring(&f);
	free(data);
}

static void test_a_consumer_reads_no_memory_that_it_cannot_reserve(void)
{
	struct iovec pieces[2];
	struct fixture f;
	size_t n;

	open_ring(&f, RING_BYTES, RING_BYTES_MAX);
	f.refusal = -ENOSPC;
	atomic_store(&f.shared->head, 1 * MIB);
	EQUAL(ring_view(&f.c, pieces, &n), -ENOSPC);
	f.refusal = 0;
	EQUAL(ring_view(&f.c, pieces, &n), 0);
	EQUAL(pieces[0].iov_len, MIB);
	close_ring(&f);
}

/* --- States ------------------------------------------------------------------------------------ */

static void test_states_only_rise_and_unknown_ones_are_the_peers_end(void)
{
	struct fixture f;

	open_ring(&f, RING_BYTES, RING_FIRST_BYTES);
	EQUAL(ring_producer_state(f.shared), RING_OPEN);
	ring_set_producer_state(f.shared, RING_CLOSED);
	ring_set_producer_state(f.shared, RING_END);
	EQUAL(ring_producer_state(f.shared), RING_CLOSED);
	ring_set_consumer_state(f.shared, RING_READER_DISCONNECTED);
	ring_set_consumer_state(f.shared, RING_READS_NO_MORE);
	EQUAL(ring_consumer_state(f.shared), RING_READER_DISCONNECTED);
	atomic_store(&f.shared->producer_state, 77);
	atomic_store(&f.shared->consumer_state, 77);
	EQUAL(ring_producer_state(f.shared), RING_CLOSED);
	EQUAL(ring_consumer_state(f.shared), RING_READS_NO_MORE);
	close_ring(&f);
}

/* --- Lies -------------------------------------------------------------------------------------- */

/* A ring with something in it and something behind it. */
static void open_used(struct fixture *f, enum ring_type type)
{
	unsigned char data[64] = { 0 };
	struct iovec piece = { data, 40 };
	size_t n;
	bool more;

	open_ring(f, type, ring_size_for(type, MIB));
	for (int i = 0; i < 3; i++) {
		if (type == RING_BYTES)
			EQUAL(ring_write(&f->p, data, 40, &n), 0);
		else
			EQUAL(ring_send(&f->p, &piece, 1), 0);
		if (i)
			continue;
		EQUAL(type == RING_BYTES ? ring_read(&f->c, data, 40, &n)
					 : ring_receive(&f->c, data, 40, &n, &more),
		    0);
	}
	EQUAL(ring_producer_look(&f->p), 0);
}

/* Once a lie was seen the ring stays broken. */
static void check_producer_breaks(struct fixture *f)
{
	uint64_t tail = atomic_load(&f->shared->tail);
	void *room;
	size_t n;

	EQUAL(ring_producer_look(&f->p), -EPROTO);
	atomic_store(&f->shared->tail, f->p.tail);
	atomic_store(&f->shared->read, f->p.read);
	EQUAL(ring_producer_look(&f->p), -EPROTO);
	EQUAL(ring_reserve(&f->p, 1, &room, &n), -EPROTO);
	atomic_store(&f->shared->tail, tail);
	close_ring(f);
}

static void check_consumer_breaks(struct fixture *f)
{
	struct iovec pieces[2];
	unsigned char byte;
	uint64_t total, first;
	size_t n;

	EQUAL(ring_peek(&f->c, &byte, 1, &n, &total, &first), -EPROTO);
	atomic_store(&f->shared->head, f->p.head);
	EQUAL(ring_view(&f->c, pieces, &n), -EPROTO);
	EQUAL(ring_read(&f->c, &byte, 1, &n), -EPROTO);
	close_ring(f);
}

static void test_a_consumer_that_goes_back_or_ahead_breaks_the_ring(void)
{
	enum ring_type types[] = { RING_BYTES, RING_MESSAGES };
	struct fixture f;

	for (int i = 0; i < 2; i++) {
		open_used(&f, types[i]);
		atomic_store(&f.shared->tail, f.p.tail - 8);
		check_producer_breaks(&f);
		open_used(&f, types[i]);
		atomic_store(&f.shared->tail, f.p.head + 8);
		check_producer_breaks(&f);
		open_used(&f, types[i]);
		atomic_store(&f.shared->tail, UINT64_MAX);
		check_producer_breaks(&f);
	}
	open_used(&f, RING_MESSAGES);
	atomic_store(&f.shared->read, f.p.read - 1);
	check_producer_breaks(&f);
	open_used(&f, RING_MESSAGES);
	atomic_store(&f.shared->read, f.p.written + 1);
	check_producer_breaks(&f);
	open_used(&f, RING_MESSAGES);
	atomic_store(&f.shared->tail, f.p.head);
	check_producer_breaks(&f);
}

static void test_a_producer_that_goes_back_or_ahead_breaks_the_ring(void)
{
	enum ring_type types[] = { RING_BYTES, RING_MESSAGES };
	struct iovec pieces[2];
	struct fixture f;
	size_t n;

	for (int i = 0; i < 2; i++) {
		open_used(&f, types[i]);
		EQUAL(ring_view(&f.c, pieces, &n), 0);
		atomic_store(&f.shared->head, f.c.head - 8);
		check_consumer_breaks(&f);
		open_used(&f, types[i]);
		atomic_store(&f.shared->head, f.c.tail + f.memory.size + 8);
		check_consumer_breaks(&f);
		open_used(&f, types[i]);
		atomic_store(&f.shared->head, UINT64_MAX - 7);
		check_consumer_breaks(&f);
	}
	open_used(&f, RING_MESSAGES);
	atomic_store(&f.shared->head, f.p.head + 1);
	check_consumer_breaks(&f);
}

static void test_a_jump_that_cannot_be_breaks_the_ring(void)
{
	enum ring_type types[] = { RING_BYTES, RING_MESSAGES };
	struct fixture f;

	for (int i = 0; i < 2; i++) {
		struct ring_jump *jump;

		/* Into what is read already, out of the memory, so far that sums overflow. */
		open_used(&f, types[i]);
		jump = &f.shared->jumps[1];
		atomic_store(&jump->at, f.c.tail - 8);
		check_consumer_breaks(&f);
		open_used(&f, types[i]);
		jump = &f.shared->jumps[1];
		atomic_store(&jump->at, f.c.tail);
		atomic_store(&jump->offset, f.memory.size - 8);
		check_consumer_breaks(&f);
		open_used(&f, types[i]);
		jump = &f.shared->jumps[1];
		atomic_store(&jump->at, f.c.tail);
		atomic_store(&jump->offset, UINT64_MAX - 7);
		check_consumer_breaks(&f);
	}
	open_used(&f, RING_MESSAGES);
	atomic_store(&f.shared->jumps[1].at, f.c.tail);
	atomic_store(&f.shared->jumps[1].offset, 1001);
	check_consumer_breaks(&f);
}

static void set_header(struct fixture *f, uint32_t size, uint32_t flags)
{
	uint32_t header[2] = { size, flags };

	memcpy(f->memory.data + f->c.tail, header, sizeof(header));
}

static void test_a_message_that_cannot_be_breaks_the_ring(void)
{
	/* What is queued are two of 48 with their headers. */
	static const uint32_t headers[][2] = { { 97, 0 }, { UINT32_MAX, 0 },
		{ RING_MESSAGE_MAX + 1, 0 }, { 40, 1 } };
	struct iovec pieces[2];
	struct fixture f;
	size_t n;

	for (int i = 0; i < 4; i++) {
		open_used(&f, RING_MESSAGES);
		set_header(&f, headers[i][0], headers[i][1]);
		EQUAL(ring_view(&f.c, pieces, &n), -EPROTO);
		check_consumer_breaks(&f);
	}
	open_used(&f, RING_MESSAGES);
	atomic_store(&f.shared->written, f.c.read + 39);
	check_consumer_breaks(&f);
}

static void test_what_was_viewed_and_has_become_less_is_not_consumed(void)
{
	struct fixture f;
	struct iovec pieces[2];
	uint64_t total, first;
	char bytes[16] = "0123456789abcde";
	size_t n;

	open_ring(&f, RING_BYTES, RING_FIRST_BYTES);
	EQUAL(ring_write(&f.p, bytes, sizeof(bytes), &n), 0);
	EQUAL(ring_view(&f.c, pieces, &n), 0);
	EQUAL(pieces[0].iov_len, sizeof(bytes));
	/* Two jumps of which there was nothing to be seen before. */
	atomic_store(&f.shared->jumps[1].offset, 100);
	atomic_store(&f.shared->jumps[1].at, 4);
	atomic_store(&f.shared->jumps[0].offset, 200);
	atomic_store(&f.shared->jumps[0].at, 8);
	EQUAL(ring_peek(&f.c, bytes, 1, &n, &total, &first), 0);
	EQUAL(ring_consume(&f.c, pieces[0].iov_len), -EPROTO);
	EQUAL(ring_view(&f.c, pieces, &n), -EPROTO);
	close_ring(&f);
}

static void test_a_length_that_changes_after_it_was_believed_does_not_count(void)
{
	unsigned char buffer[64];
	struct fixture f;
	bool more;
	size_t n;

	open_used(&f, RING_MESSAGES);
	EQUAL(ring_receive(&f.c, buffer, 10, &n, &more), 0);
	HOLDS(more);
	set_header(&f, RING_MESSAGE_MAX, 0);
	EQUAL(ring_receive(&f.c, buffer, sizeof(buffer), &n, &more), 0);
	EQUAL(n, 30);
	HOLDS(!more);
	close_ring(&f);
}

SUITE(ring, TEST(test_bytes_come_out_as_they_went_in_whatever_the_pieces),
    TEST(test_messages_come_out_as_they_went_in_whatever_the_sizes),
    TEST(test_an_empty_message_is_a_message), TEST(test_the_rest_of_a_message_stays),
    TEST(test_reading_bytes_of_messages_crosses_boundaries_but_for_empty_ones),
    TEST(test_a_reservation_that_is_not_committed_is_not_seen),
    TEST(test_a_message_over_the_limit_is_refused_and_one_of_it_is_not),
    TEST(test_a_message_fits_behind_any_queue_within_the_quota),
    TEST(test_bytes_of_the_quota_fit_although_nobody_reads),
    TEST(test_a_ring_whose_reader_keeps_up_stays_small),
    TEST(test_long_bytes_behind_odd_ones_begin_with_a_line_once_all_was_read),
    TEST(test_without_memory_a_ring_stays_small_and_goes_on),
    TEST(test_a_consumer_reads_no_memory_that_it_cannot_reserve),
    TEST(test_states_only_rise_and_unknown_ones_are_the_peers_end),
    TEST(test_a_consumer_that_goes_back_or_ahead_breaks_the_ring),
    TEST(test_a_producer_that_goes_back_or_ahead_breaks_the_ring),
    TEST(test_a_jump_that_cannot_be_breaks_the_ring),
    TEST(test_a_message_that_cannot_be_breaks_the_ring),
    TEST(test_what_was_viewed_and_has_become_less_is_not_consumed),
    TEST(test_a_length_that_changes_after_it_was_believed_does_not_count));
