/* SPDX-License-Identifier: BSD-3-Clause */
/* bytes.c - see bytes.h. */
#include "util/bytes.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

struct bytes *bytes_init(struct bytes *b, size_t capacity)
{
	atomic_init(&b->refs, 1);
	b->capacity = (uint32_t)capacity;
	b->size = 0;
	return b;
}

struct bytes *bytes_new(size_t capacity)
{
	struct bytes *b;

	assert(capacity <= UINT32_MAX / 2);
	b = malloc(sizeof(*b) + capacity);
	return b ? bytes_init(b, capacity) : NULL;
}

struct bytes *bytes_grow(struct bytes *b, size_t capacity)
{
	assert(atomic_load_explicit(&b->refs, memory_order_relaxed) == 1);
	assert(capacity >= b->size && capacity <= UINT32_MAX / 2);
	b = realloc(b, sizeof(*b) + capacity);
	if (!b)
		return NULL;
	b->capacity = (uint32_t)capacity;
	return b;
}

bool bytes_is_sole(const struct bytes *b)
{
	return atomic_load_explicit(&b->refs, memory_order_acquire) == 1;
}

struct bytes *bytes_ref(struct bytes *b)
{
	if (b)
		atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
	return b;
}

struct bytes *bytes_unref(struct bytes *b)
{
	/* The last one out must see what the others wrote before they left. */
	if (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1)
		free(b);
	return NULL;
}
