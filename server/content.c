/* SPDX-License-Identifier: BSD-3-Clause */
/* content.c - see content.h. */
#include "server/content.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define GATHER_BELOW 32768 /* shorter payloads are copied together */
#define BLOCK_MIN 64
#define BLOCK_MAX 262144

static int make_room(struct content *c)
{
	size_t capacity = c->capacity ? c->capacity * 2 : 8;
	ipc9_blob *more;

	if (c->n < c->capacity)
		return 0;
	more = realloc(c->pieces, capacity * sizeof(*more));
	if (!more)
		return -ENOMEM;
	c->pieces = more;
	c->capacity = capacity;
	return 0;
}

static int add_piece(struct content *c, const ipc9_blob *payload)
{
	ipc9_blob kept = *payload;
	int r = make_room(c);

	if (r)
		return r;
	bytes_ref(kept.owner);
	r = blob_keep(&kept);
	if (r) {
		bytes_unref(kept.owner);
		return r;
	}
	c->pieces[c->n++] = kept;
	return 0;
}

/* A block of ours that grows with what was gathered so far. */
static int add_block(struct content *c, uint32_t at_least)
{
	size_t capacity = c->size_bytes < BLOCK_MAX ? (size_t)c->size_bytes : BLOCK_MAX;
	struct bytes *block;
	int r = make_room(c);

	if (r)
		return r;
	if (capacity < BLOCK_MIN)
		capacity = BLOCK_MIN;
	block = bytes_new(capacity > at_least ? capacity : at_least);
	if (!block)
		return -ENOMEM;
	c->pieces[c->n++] = (ipc9_blob){ .data = block->data, .owner = block };
	return 0;
}

/* Whether the last piece is a block that only we hold, with room behind what is in it. */
static bool has_room(const struct content *c, uint32_t len)
{
	const ipc9_blob *last = c->n ? &c->pieces[c->n - 1] : NULL;

	return last && last->data == last->owner->data && last->len == last->owner->size &&
	    last->owner->capacity - last->owner->size >= len &&
	    atomic_load_explicit(&last->owner->refs, memory_order_acquire) == 1;
}

static int gather(struct content *c, const ipc9_blob *payload)
{
	ipc9_blob *last;
	int r = has_room(c, payload->len) ? 0 : add_block(c, payload->len);

	if (r)
		return r;
	last = &c->pieces[c->n - 1];
	memcpy(last->owner->data + last->len, payload->data, payload->len);
	last->len += payload->len;
	last->owner->size = last->len;
	return 0;
}

int content_append(struct content *c, const ipc9_blob *payload)
{
	int r;

	if (payload->len == 0)
		return 0;
	r = payload->len < GATHER_BELOW ? gather(c, payload) : add_piece(c, payload);
	if (!r)
		c->size_bytes += payload->len;
	return r;
}

ipc9_blob content_view(const struct content *c, uint64_t offset, size_t max)
{
	ipc9_blob view = { .data = (const unsigned char *)"" };

	for (size_t i = 0; i < c->n; i++) {
		const ipc9_blob *p = &c->pieces[i];

		if (offset >= p->len) {
			offset -= p->len;
			continue;
		}
		view.data = p->data + offset;
		view.len = p->len - (uint32_t)offset;
		if (view.len > max)
			view.len = (uint32_t)max;
		view.owner = p->owner;
		return view;
	}
	return view;
}

void content_clear(struct content *c)
{
	for (size_t i = 0; i < c->n; i++)
		bytes_unref(c->pieces[i].owner);
	free(c->pieces);
	memset(c, 0, sizeof(*c));
}
