/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bytes.h - a block of memory that several places may refer to.
 *
 * Records are received into one, and whatever keeps a part of a record keeps a reference to its block
 * instead of a copy.  Only the owner of the sole reference writes; a block that is shared is read-only.
 * References may be taken and dropped on any thread.
 */
#ifndef UTIL_BYTES_H
#define UTIL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bytes {
	_Atomic uint32_t refs;
	uint32_t capacity;
	uint32_t size; /* how much of data means something */
	unsigned char data[];
};

/* One reference, size 0; NULL without memory. */
struct bytes *bytes_new(size_t capacity);

/*
 * A block on the stack of whoever declares it: struct bytes *name, good for references that are dropped before it
 * goes out of scope.
 */
#define BYTES_ON_STACK(name, room)                                                                 \
	union {                                                                                    \
		struct bytes bytes;                                                                \
		unsigned char memory[sizeof(struct bytes) + (room)];                               \
	} name##_room;                                                                             \
	struct bytes *name = bytes_init(&name##_room.bytes, (room))
struct bytes *bytes_init(struct bytes *bytes, size_t capacity);

/* Grows the capacity of a block that nobody else refers to, moving it.  NULL: no memory, and *bytes stays. */
struct bytes *bytes_grow(struct bytes *bytes, size_t capacity);

/* Whether the caller's reference is the only one. */
bool bytes_is_sole(const struct bytes *bytes);

/* Both accept NULL; bytes_unref returns NULL. */
struct bytes *bytes_ref(struct bytes *bytes);
struct bytes *bytes_unref(struct bytes *bytes);

#endif
