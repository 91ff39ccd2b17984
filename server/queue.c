/* SPDX-License-Identifier: BSD-3-Clause */
/* queue.c - see queue.h. */
#include "server/queue.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define GATHER_BELOW 8192
#define BLOCK_SIZE 16352

/* A message or what is left of it, or a run of bytes. */
struct chunk {
	struct list link;
	ipc9_blob rest; /* what has not been taken; with an owner */
	bool message;
	bool gathering; /* a block of our own, with perhaps room behind rest */
};

void queue_init(struct queue *q, uint64_t *total, const struct charge *payer)
{
	memset(q, 0, sizeof(*q));
	q->total = total;
	q->payer = payer;
	list_init(&q->chunks);
}

static struct chunk *first(const struct queue *q)
{
	return LIST_ENTRY(q->chunks.next, struct chunk, link);
}

static uint64_t chunk_charge(const struct chunk *c)
{
	return c->rest.len + (c->message ? QUEUE_MESSAGE_CHARGE : 0);
}

static void count_taken(struct queue *q, uint64_t charge, uint64_t bytes)
{
	q->taken += charge;
	q->taken_bytes += bytes;
	*q->total -= charge;
	charge_shrink(&q->charge, charge);
}

static void chunk_free(struct chunk *c)
{
	bytes_unref(c->rest.owner);
	list_remove(&c->link);
	free(c);
}

static void drop(struct queue *q, struct chunk *c)
{
	count_taken(q, chunk_charge(c), c->rest.len);
	chunk_free(c);
}

void queue_clear(struct queue *q)
{
	while (!queue_is_empty(q))
		drop(q, first(q));
}

int queue_move(struct queue *q, const struct charge *payer)
{
	int r = charge_move(&q->charge, payer);

	if (!r)
		q->payer = payer;
	return r;
}

/* --- In ---------------------------------------------------------------------------------------- */

/* Room for len bytes at the end of the last block, or NULL. */
static unsigned char *room_in_last(const struct queue *q, uint32_t len)
{
	struct chunk *last = LIST_ENTRY(q->chunks.prev, struct chunk, link);
	struct bytes *block;

	if (queue_is_empty(q) || !last->gathering)
		return NULL;
	block = last->rest.owner;
	if (block->capacity - block->size < len ||
	    atomic_load_explicit(&block->refs, memory_order_acquire) != 1)
		return NULL;
	last->rest.len += len;
	block->size += len;
	return block->data + block->size - len;
}

static int add_chunk(struct queue *q, const ipc9_blob *payload, bool message, bool gathering)
{
	struct chunk *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	c->rest = *payload;
	c->message = message;
	c->gathering = gathering;
	list_append(&q->chunks, &c->link);
	return 0;
}

static int gather(struct queue *q, const ipc9_blob *payload)
{
	unsigned char *at = room_in_last(q, payload->len);
	ipc9_blob start = { 0 };
	int r;

	if (!at) {
		start.owner = bytes_new(BLOCK_SIZE);
		if (!start.owner)
			return -ENOMEM;
		start.data = start.owner->data;
		r = add_chunk(q, &start, false, true);
		if (r) {
			bytes_unref(start.owner);
			return r;
		}
		at = room_in_last(q, payload->len);
	}
	memcpy(at, payload->data, payload->len);
	return 0;
}

static int keep(struct queue *q, const ipc9_blob *payload, bool message)
{
	ipc9_blob kept = *payload;
	int r;

	bytes_ref(kept.owner);
	r = blob_keep(&kept);
	if (!r)
		r = add_chunk(q, &kept, message, false);
	if (r)
		bytes_unref(kept.owner);
	return r;
}

int queue_push(struct queue *q, const ipc9_blob *payload, bool message)
{
	uint64_t cost = payload->len + (message ? QUEUE_MESSAGE_CHARGE : 0);
	int r;

	if (cost == 0)
		return 0;
	r = charge_add(q->payer, QUOTA_BYTES, cost, &q->charge);
	if (r)
		return r;
	if (!message && payload->len < GATHER_BELOW)
		r = gather(q, payload);
	else
		r = keep(q, payload, message);
	if (r) {
		charge_shrink(&q->charge, cost);
		return r;
	}
	q->pushed_bytes += payload->len;
	q->pushed += cost;
	*q->total += cost;
	return 0;
}

/* --- Out --------------------------------------------------------------------------------------- */

/* Moves n bytes of the first chunk's beginning out of the queue; the chunk goes when nothing is left. */
static void consume(struct queue *q, uint32_t n)
{
	struct chunk *c = first(q);

	c->rest.data += n;
	c->rest.len -= n;
	count_taken(q, n, n);
	if (c->rest.len == 0)
		drop(q, c);
	else if (!c->gathering)
		blob_keep(
		    &c->rest); /* a small rest must not hold a large block; without memory it does */
}

/* The beginning of the first chunk, by reference. */
static void take_reference(struct queue *q, uint32_t n, ipc9_blob *ret)
{
	struct chunk *c = first(q);

	*ret = (ipc9_blob){ c->rest.data, n, bytes_ref(c->rest.owner) };
	consume(q, n);
}

/*
 * The length of what lies before an empty message, which a read of its own will find; at most max.  Stops looking there.
 */
static uint32_t length_across(const struct queue *q, uint32_t max)
{
	uint64_t len = 0;

	LIST_FOR_EACH (link, &q->chunks) {
		const struct chunk *c = LIST_ENTRY(link, struct chunk, link);

		if (c->rest.len == 0 || len >= max)
			break;
		len += c->rest.len;
	}
	return len < max ? (uint32_t)len : max;
}

/* Across boundaries, by copying; stops before an empty message. */
static int take_copy(struct queue *q, uint32_t n, ipc9_blob *ret)
{
	struct bytes *copy = bytes_new(n);

	if (!copy)
		return -ENOMEM;
	while (copy->size < n && !queue_is_empty(q) && first(q)->rest.len > 0) {
		uint32_t part = first(q)->rest.len;

		if (part > n - copy->size)
			part = n - copy->size;
		memcpy(copy->data + copy->size, first(q)->rest.data, part);
		copy->size += part;
		consume(q, part);
	}
	*ret = (ipc9_blob){ copy->data, copy->size, copy };
	return 0;
}

int queue_take(struct queue *q, uint32_t max, bool one_message, ipc9_blob *ret, bool *ret_more)
{
	uint32_t len = first(q)->rest.len;
	uint64_t all = queue_bytes(q) < max ? queue_bytes(q) : max;

	*ret_more = one_message && len > max;
	if (one_message || len == 0 || len >= all) {
		take_reference(q, len < max ? len : max, ret);
		return 0;
	}
	return take_copy(q, (uint32_t)all, ret);
}

int queue_peek(const struct queue *q, uint32_t max, bool one_message, ipc9_blob *ret,
    uint32_t *ret_left)
{
	const struct chunk *c = first(q);
	uint32_t n = one_message ? c->rest.len : length_across(q, max);
	struct bytes *copy;

	n = n < max ? n : max;
	*ret_left = one_message ? c->rest.len - n : 0;
	if (n <= c->rest.len) {
		*ret = (ipc9_blob){ c->rest.data, n, bytes_ref(c->rest.owner) };
		return 0;
	}
	copy = bytes_new(n);
	if (!copy)
		return -ENOMEM;
	for (const struct list *link = &c->link; copy->size < n; link = link->next) {
		uint32_t part = n - copy->size;

		c = LIST_ENTRY(link, struct chunk, link);
		if (part > c->rest.len)
			part = c->rest.len;
		memcpy(copy->data + copy->size, c->rest.data, part);
		copy->size += part;
	}
	*ret = (ipc9_blob){ copy->data, n, copy };
	return 0;
}

/* --- Back -------------------------------------------------------------------------------------- */

/* Takes n bytes from `at` on out of a run of bytes.  False: there is no memory for what follows them. */
static bool chunk_cut(struct chunk *c, uint32_t at, uint32_t n)
{
	struct chunk *behind;

	if (at == 0) {
		c->rest.data += n;
	} else if (at + n < c->rest.len) {
		behind = malloc(sizeof(*behind));
		if (!behind)
			return false;
		*behind = *c;
		bytes_ref(behind->rest.owner);
		behind->rest.data += at + n;
		behind->rest.len -= at + n;
		list_append(c->link.next, &behind->link);
		c->rest.len = at + n;
		c->gathering = false;
	} else {
		c->gathering = false;
	}
	c->rest.len -= n;
	return true;
}

static void count_cut(struct queue *q, struct queue_cut *cut, uint64_t charge, uint64_t bytes)
{
	cut->charge += charge;
	cut->bytes += bytes;
	q->pushed -= charge;
	q->pushed_bytes -= bytes;
	*q->total -= charge;
	charge_shrink(&q->charge, charge);
}

/* What of the range [from, to) lies in a run of bytes that begins at `at`. */
static void cut_range(struct queue *q, struct chunk *c, uint64_t at, uint64_t from, uint64_t to,
    struct queue_cut *cut)
{
	uint64_t end = at + c->rest.len;
	uint64_t low = from > at ? from : at, high = to < end ? to : end;

	if (low >= high || !chunk_cut(c, (uint32_t)(low - at), (uint32_t)(high - low)))
		return;
	count_cut(q, cut, high - low, high - low);
	if (c->rest.len == 0)
		chunk_free(c);
}

struct queue_cut queue_withdraw(struct queue *q, uint64_t end, uint32_t len)
{
	struct queue_cut cut = { 0, 0 };
	uint64_t at = q->taken;

	LIST_FOR_EACH (link, &q->chunks) {
		struct chunk *c = LIST_ENTRY(link, struct chunk, link);
		uint64_t next = at + chunk_charge(c);

		if (at >= end)
			break;
		if (!c->message) {
			cut_range(q, c, at, end - len, end, &cut);
		} else if (next == end) {
			count_cut(q, &cut, chunk_charge(c), c->rest.len);
			chunk_free(c);
		}
		at = next;
	}
	return cut;
}
