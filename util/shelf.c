/* SPDX-License-Identifier: BSD-3-Clause */
/* shelf.c - see shelf.h. */
#include "util/shelf.h"

struct bytes *shelf_take(struct shelf *s, size_t capacity)
{
	for (size_t i = 0; i < SHELF_BLOCKS; i++) {
		struct bytes *b = s->blocks[i];

		if (!b || b->capacity < capacity || b->capacity / 4 > capacity)
			continue;
		s->blocks[i] = NULL;
		b->size = 0;
		return b;
	}
	return NULL;
}

void shelf_give(struct shelf *s, struct bytes *b)
{
	if (b && b->capacity >= SHELF_BLOCK_MIN && bytes_is_sole(b)) {
		for (size_t i = 0; i < SHELF_BLOCKS; i++) {
			if (s->blocks[i])
				continue;
			s->blocks[i] = b;
			return;
		}
	}
	bytes_unref(b);
}

void shelf_clear(struct shelf *s)
{
	for (size_t i = 0; i < SHELF_BLOCKS; i++)
		s->blocks[i] = bytes_unref(s->blocks[i]);
}
