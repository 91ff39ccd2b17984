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

static void count_taken(struct queue *q, uint64_t charge)
{
	q->taken += charge;
	*q->total -= charge;
	charge_shrink(&q->charge, charge);
}

static void drop(struct queue *q, struct chunk *c)
{
	q->bytes -= c->rest.len;
	count_taken(q, c->rest.len + (c->message ? QUEUE_MESSAGE_CHARGE : 0));
	bytes_unref(c->rest.owner);
	list_remove(&c->link);
	free(c);
}

void queue_clear(struct queue *q)
{
	while (!queue_is_empty(q))
		drop(q, first(q));
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
	q->bytes += payload->len;
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
	q->bytes -= n;
	count_taken(q, n);
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

/* Across boundaries, by copying; stops before an empty message, which a read of its own will find. */
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
	uint64_t all = q->bytes < max ? q->bytes : max;

	*ret_more = one_message && len > max;
	if (one_message || len == 0 || len >= all) {
		take_reference(q, len < max ? len : max, ret);
		return 0;
	}
	return take_copy(q, (uint32_t)all, ret);
}
