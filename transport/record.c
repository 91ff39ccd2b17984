/* SPDX-License-Identifier: BSD-3-Clause */
/* record.c - see record.h. */
#include "transport/record.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#define LAST_FRAGMENT 0x80000000u
#define FRAGMENTS_MAX 4096 /* stock senders use one for each 4 to 64 KiB */

void record_reader_init(struct record_reader *r, size_t limit)
{
	memset(r, 0, sizeof(*r));
	r->limit = limit;
}

void record_reader_clear(struct record_reader *r)
{
	struct shelf *shelf = r->shelf;

	bytes_unref(r->partial);
	record_reader_init(r, r->limit);
	r->shelf = shelf;
}

bool record_reader_is_inside(const struct record_reader *r)
{
	return r->mark_size > 0 || r->fragments > 0;
}

size_t record_reader_behind(const struct record_reader *r)
{
	return r->behind;
}

size_t record_reader_missing(const struct record_reader *r)
{
	return r->in_fragment ? r->fragment_left : 0;
}

size_t record_reader_wanted(const struct record_reader *r)
{
	return r->in_fragment ? r->fragment_left : sizeof(r->mark) - r->mark_size;
}

size_t record_reader_announced(const struct record_reader *r)
{
	return (r->partial ? r->partial->size : 0) + (size_t)r->fragment_left;
}

/* The mark is complete: checks what it announces. */
static int begin_fragment(struct record_reader *r)
{
	uint32_t mark = (uint32_t)r->mark[0] << 24 | (uint32_t)r->mark[1] << 16 |
	    (uint32_t)r->mark[2] << 8 | r->mark[3];

	r->mark_size = 0;
	r->in_fragment = true;
	r->last = (mark & LAST_FRAGMENT) != 0;
	r->fragment_left = mark & ~LAST_FRAGMENT;
	if (record_reader_announced(r) > r->limit || ++r->fragments > FRAGMENTS_MAX)
		return -EMSGSIZE;
	return 0;
}

/* As bytes_grow, into a block from the shelf if one waits there. */
static struct bytes *grow(struct record_reader *r, size_t capacity)
{
	struct bytes *b = r->shelf ? shelf_take(r->shelf, capacity) : NULL;

	if (!b)
		return bytes_grow(r->partial, capacity);
	memcpy(b->data, r->partial->data, r->partial->size);
	b->size = r->partial->size;
	bytes_unref(r->partial);
	return b;
}

/* Makes room behind partial for at least one byte of the fragment. */
static int make_room(struct record_reader *r)
{
	size_t announced = record_reader_announced(r);
	size_t have = r->partial ? r->partial->size : 0;
	size_t want = announced;
	struct bytes *b;

	if (r->partial && r->partial->capacity > have)
		return 0;
	if (have < RECORD_FIRST_STEP && want > RECORD_FIRST_STEP)
		want = RECORD_FIRST_STEP;
	b = r->partial ? grow(r, want) : bytes_new(want);
	if (!b)
		return -ENOMEM;
	r->partial = b;
	return 0;
}

static void end_fragment(struct record_reader *r, record_fn *fn, void *context)
{
	struct bytes *record = r->partial;

	r->in_fragment = false;
	if (!r->last)
		return;
	r->partial = NULL;
	r->fragments = 0;
	if (record)
		fn(context, record->data, record->size, record);
	else
		fn(context, (const unsigned char *)"", 0, NULL);
	if (r->shelf)
		shelf_give(r->shelf, record);
	else
		bytes_unref(record);
}

/* Hands out what most input consists of: records of one fragment that are there as a whole.  Returns the rest. */
static const unsigned char *feed_whole(struct record_reader *r, const unsigned char *data,
    const unsigned char *end, record_fn *fn, void *context)
{
	while ((size_t)(end - data) >= sizeof(r->mark)) {
		uint32_t mark, len;

		memcpy(&mark, data, sizeof(mark));
		mark = ntohl(mark);
		len = mark & ~LAST_FRAGMENT;
		if (!(mark & LAST_FRAGMENT) || len > r->limit ||
		    len > (size_t)(end - data) - sizeof(mark))
			break;
		data += sizeof(mark) + len;
		r->behind = (size_t)(end - data);
		fn(context, data - len, len, NULL);
	}
	return data;
}

static int feed(struct record_reader *r, const unsigned char *data, size_t size, record_fn *fn,
    void *context)
{
	const unsigned char *end = data + size;

	if (!record_reader_is_inside(r))
		data = feed_whole(r, data, end, fn, context);
	while (data < end || (r->in_fragment && !r->fragment_left)) {
		int e;

		if (!r->in_fragment) {
			r->mark[r->mark_size++] = *data++;
			e = r->mark_size == sizeof(r->mark) ? begin_fragment(r) : 0;
			if (e)
				return e;
		} else if (!r->fragment_left) {
			r->behind = (size_t)(end - data);
			end_fragment(r, fn, context);
		} else if (!r->partial && r->last && (size_t)(end - data) >= r->fragment_left) {
			size_t whole = r->fragment_left;

			r->in_fragment = false;
			r->fragment_left = 0;
			r->fragments = 0;
			data += whole;
			r->behind = (size_t)(end - data);
			fn(context, data - whole, whole, NULL);
		} else {
			size_t n = (size_t)(end - data);

			e = make_room(r);
			if (e)
				return e;
			if (n > r->fragment_left)
				n = r->fragment_left;
			if (n > r->partial->capacity - r->partial->size)
				n = r->partial->capacity - r->partial->size;
			memcpy(r->partial->data + r->partial->size, data, n);
			r->partial->size += (uint32_t)n;
			r->fragment_left -= (uint32_t)n;
			data += n;
		}
	}
	return 0;
}

int record_reader_feed(struct record_reader *r, const unsigned char *data, size_t size,
    record_fn *fn, void *context)
{
	int e = feed(r, data, size, fn, context);

	r->behind = 0;
	return e;
}

size_t record_reader_room(struct record_reader *r, unsigned char **ret_at)
{
	size_t n;

	if (!r->in_fragment || !r->partial || make_room(r))
		return 0;
	n = r->partial->capacity - r->partial->size;
	*ret_at = r->partial->data + r->partial->size;
	return n < r->fragment_left ? n : r->fragment_left;
}

void record_reader_filled(struct record_reader *r, size_t size, record_fn *fn, void *context)
{
	r->partial->size += (uint32_t)size;
	r->fragment_left -= (uint32_t)size;
	if (!r->fragment_left)
		end_fragment(r, fn, context);
}
