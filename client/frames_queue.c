/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frames_queue.c - what came as frames and is to be read.
 *
 * 1. Bytes stand in chunks, in order, also those of a message whose end has not come.
 * 2. Of a message pipe the lengths of the messages stand apart, those of empty ones in a row as one number.  So there are at
 *    most twice as many numbers as bytes, which the window limits: whatever comes has room, and nothing has to stay in the socket.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/frames_state.h"

#define CHUNK_MIN 16384 /* small frames share one */
#define ENDS_MIN 16
#define EMPTY 0x80000000u /* with how many there are */

static bool is_message_pipe(const struct frames *f)
{
	return f->type == IPC9_PIPE_TYPE_MESSAGE;
}

void frames_queue_init(struct frames *f)
{
	list_init(&f->chunks);
}

static void free_chunks(struct list *chunks)
{
	LIST_FOR_EACH (link, chunks) {
		list_remove(link);
		free(LIST_ENTRY(link, struct chunk, link));
	}
}

void frames_queue_clear(struct frames *f)
{
	free_chunks(&f->chunks);
	free(f->ends.at);
}

void frames_drop(struct frames *f)
{
	/* The one that is being filled stays: somebody may be receiving there. */
	if (f->chunk)
		list_remove(&f->chunk->link);
	free_chunks(&f->chunks);
	if (f->chunk)
		list_append(&f->chunks, &f->chunk->link);
	f->ends.n = 0;
	f->queued = 0;
	f->partial_bytes = 0;
}

/* --- Bytes in ---------------------------------------------------------------------------------- */

struct chunk *frames_chunk_add(struct frames *f, size_t capacity)
{
	struct chunk *k = malloc(sizeof(*k) + capacity);

	if (!k)
		return NULL;
	*k = (struct chunk){ .capacity = capacity };
	list_append(&f->chunks, &k->link);
	return k;
}

/* The last chunk, if so many bytes fit behind what it has. */
static struct chunk *chunk_with_room(struct frames *f, size_t size)
{
	struct chunk *k = LIST_ENTRY(f->chunks.prev, struct chunk, link);

	return !list_is_empty(&f->chunks) && k->capacity - k->end >= size ? k : NULL;
}

/* A message that nothing waits before is one frame most of the time, and read before the next one comes. */
static bool has_room_of_its_own(const struct frames *f)
{
	return f->left > CHUNK_MIN || (is_message_pipe(f) && list_is_empty(&f->chunks));
}

struct chunk *frames_chunk_for(struct frames *f, size_t size)
{
	struct chunk *k = f->chunk ? f->chunk : chunk_with_room(f, size);

	return k ? k : frames_chunk_add(f, has_room_of_its_own(f) ? f->left : CHUNK_MIN);
}

/* --- Messages in ------------------------------------------------------------------------------- */

static uint32_t *end_at(const struct frames_ends *ends, size_t i)
{
	return &ends->at[(ends->first + i) & (ends->capacity - 1)];
}

/* 0 or -ENOMEM. */
static int make_room(struct frames_ends *ends)
{
	size_t capacity = ends->capacity ? 2 * ends->capacity : ENDS_MIN;
	uint32_t *at;

	if (ends->n < ends->capacity)
		return 0;
	at = malloc(capacity * sizeof(*at));
	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < ends->n; i++)
		at[i] = *end_at(ends, i);
	free(ends->at);
	*ends = (struct frames_ends){ at, 0, ends->n, capacity };
	return 0;
}

int frames_queue_end_message(struct frames *f)
{
	struct frames_ends *ends = &f->ends;
	uint32_t len = (uint32_t)f->partial_bytes;
	uint32_t *last = ends->n ? end_at(ends, ends->n - 1) : NULL;

	if (!len && last && *last & EMPTY && *last < UINT32_MAX) {
		++*last;
		return 0;
	}
	if (make_room(ends))
		return -ENOMEM;
	*end_at(ends, ends->n++) = len ? len : EMPTY | 1;
	f->queued += len;
	f->partial_bytes = 0;
	return 0;
}

/* --- Out --------------------------------------------------------------------------------------- */

bool frames_is_readable(const struct frames *f)
{
	return is_message_pipe(f) ? f->ends.n > 0 : f->queued > 0;
}

/* The message at the front is read.  What many of them needed is not kept when none is left. */
static void pop_end(struct frames_ends *ends)
{
	ends->first = (ends->first + 1) & (ends->capacity - 1);
	if (--ends->n || ends->capacity <= 64 * ENDS_MIN)
		return;
	free(ends->at);
	*ends = (struct frames_ends){ .n = 0 };
}

static void pop_empty(struct frames_ends *ends)
{
	uint32_t *first = end_at(ends, 0);

	if (--*first == EMPTY)
		pop_end(ends);
}

/* Takes so many bytes, which there are. */
static void take_bytes(struct frames *f, unsigned char *buffer, size_t size)
{
	f->queued -= size;
	f->consumed += size;
	while (size) {
		struct chunk *k = LIST_ENTRY(f->chunks.next, struct chunk, link);
		size_t n = k->end - k->first < size ? k->end - k->first : size;

		memcpy(buffer, k->data + k->first, n);
		k->first += n;
		buffer += n;
		size -= n;
		if (k->first < k->end || k == f->chunk) /* that one is still being filled */
			continue;
		list_remove(&k->link);
		free(k);
	}
}

/* Of the message at the front, which is not empty; how many bytes. */
static size_t take_of_message(struct frames *f, unsigned char *buffer, size_t size)
{
	uint32_t *left = end_at(&f->ends, 0);
	size_t n = *left < size ? *left : size;

	take_bytes(f, buffer, n);
	*left -= (uint32_t)n;
	if (!*left)
		pop_end(&f->ends);
	return n;
}

static bool is_empty_next(const struct frames *f)
{
	return f->ends.n && *end_at(&f->ends, 0) & EMPTY;
}

bool frames_queue_take_message(struct frames *f, unsigned char *buffer, size_t size,
    size_t *ret_size)
{
	size_t n_ends = f->ends.n;

	*ret_size = 0;
	if (is_empty_next(f)) {
		pop_empty(&f->ends);
		return false;
	}
	*ret_size = take_of_message(f, buffer, size);
	return f->ends.n == n_ends;
}

size_t frames_queue_take(struct frames *f, unsigned char *buffer, size_t size)
{
	size_t done = 0;

	if (!is_message_pipe(f)) {
		done = f->queued < size ? (size_t)f->queued : size;
		take_bytes(f, buffer, done);
		return done;
	}
	/* An empty message is read by itself, be it as no bytes; who asks for none takes no message. */
	if (size && is_empty_next(f))
		pop_empty(&f->ends);
	else
		while (done < size && f->ends.n && !is_empty_next(f))
			done += take_of_message(f, buffer + done, size - done);
	return done;
}

/* How much a peek shows at most. */
static size_t first_bytes(const struct frames *f)
{
	if (!is_message_pipe(f))
		return (size_t)f->queued;
	return f->ends.n && !is_empty_next(f) ? *end_at(&f->ends, 0) : 0;
}

void frames_queue_peek(const struct frames *f, unsigned char *buffer, size_t size,
    struct carrier_waiting *ret)
{
	size_t have = first_bytes(f), want = have < size ? have : size;

	*ret = (struct carrier_waiting){ want, f->queued, is_message_pipe(f) ? have - want : 0,
		frames_is_readable(f) };
	for (struct list *link = f->chunks.next; want; link = link->next) {
		const struct chunk *k = LIST_ENTRY(link, const struct chunk, link);
		size_t n = k->end - k->first < want ? k->end - k->first : want;

		memcpy(buffer, k->data + k->first, n);
		buffer += n;
		want -= n;
	}
}
