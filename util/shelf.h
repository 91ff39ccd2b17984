/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shelf.h - a few large blocks that wait to be used again.
 *
 * The system takes a large block back as soon as it is freed, and clears every page of the next one; where records of
 * that size come one after another this costs more than receiving them.
 */
#ifndef UTIL_SHELF_H
#define UTIL_SHELF_H

#include "util/bytes.h"

#define SHELF_BLOCKS 2
#define SHELF_BLOCK_MIN 131072u /* smaller ones are malloc's business */

struct shelf {
	struct bytes *blocks[SHELF_BLOCKS]; /* from all NULL; each with its sole reference */
};

/* A block of at least that capacity and at most four times as much, empty; NULL: none waits. */
struct bytes *shelf_take(struct shelf *shelf, size_t capacity);

/* Drops a reference; a large block that nobody else refers to waits here, if there is room. */
void shelf_give(struct shelf *shelf, struct bytes *bytes);

void shelf_clear(struct shelf *shelf);

#endif
