/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * gather.h - bytes on their way out, in pieces.
 *
 * Small things are copied into blocks of the gather's own; large ones are referred to where they lie.  A
 * piece is owned (a reference to its block is held) or borrowed; borrowed pieces are good until
 * gather_own, which whoever lent the memory must be able to rely on.
 *
 * What always holds: size is the sum of the pieces' lengths; no piece is empty.
 */
#ifndef UTIL_GATHER_H
#define UTIL_GATHER_H

#include <stddef.h>
#include <sys/types.h>

#include "util/bytes.h"

#define GATHER_DESCRIPTORS 16 /* that leave with one send */

struct gather_piece {
	const unsigned char *data;
	size_t len;
	struct bytes *owner; /* NULL: borrowed */
};

#define GATHER_INLINE 4

/* Blocks that wait for gathers of the same owner; from all zero.  gather_pool_clear frees them. */
#define GATHER_POOL 8
struct gather_pool {
	struct bytes *blocks[GATHER_POOL];
	unsigned n;
};

struct gather {
	struct gather_piece *pieces; /* inline_pieces until they do not suffice */
	size_t first, end, capacity; /* pieces[first..end) are in use */
	size_t size;		     /* bytes in all */
	size_t n_borrowed;	     /* pieces without an owner */
	struct bytes *tail; /* last block of our own, where the next copies go; not a reference */
	struct gather_pool *pool; /* NULL: blocks are made and freed */
	struct gather_piece inline_pieces[GATHER_INLINE];
};

/* A place to come back to when what was added since turns out wrong. */
struct gather_mark {
	size_t pieces, last_len, size;
};

void gather_init(struct gather *g);
void gather_clear(struct gather *g);

/* Takes blocks from the pool and puts them back there; the pool's lock is held whenever g is used. */
void gather_use_pool(struct gather *g, struct gather_pool *pool);
void gather_pool_clear(struct gather_pool *pool);

/* Small things go into a block of the caller's first, which has to outlast the gather. */
void gather_lend(struct gather *g, struct bytes *block);

/* Room for len bytes in one run, counted as written; NULL without memory. */
unsigned char *gather_reserve(struct gather *g, size_t len);

/* 0 or -ENOMEM. */
int gather_copy(struct gather *g, const void *data, size_t len);

/* Adds a piece without copying.  owner: a reference is taken; NULL: borrowed. */
int gather_refer(struct gather *g, const void *data, size_t len, struct bytes *owner);

/* Copies what is borrowed, so that the lenders may go. */
int gather_own(struct gather *g);

/* Copies all of it to there. */
void gather_copy_out(const struct gather *g, unsigned char *to);

/* All of it in one block, which is the caller's; NULL without memory. */
struct bytes *gather_flatten(const struct gather *g);

/* Moves all pieces of another gather to the end of this one, and leaves that one empty. */
int gather_append(struct gather *g, struct gather *other);

void gather_mark(const struct gather *g, struct gather_mark *ret);
void gather_rewind(struct gather *g, const struct gather_mark *mark);
/* The same, to behind the first piece. */
void gather_leave_first(struct gather *g);

/*
 * Sends what the socket takes now, without SIGPIPE and without waiting.  Number of bytes, or -errno
 * (-EAGAIN: none now).
 */
ssize_t gather_send(struct gather *g, int fd);

/*
 * The same, but no more than limit bytes; and with their first one n_fds open descriptors, over a local socket, which
 * have left if any byte has.
 */
ssize_t gather_send_with(struct gather *g, int fd, size_t limit, const int *fds, unsigned n_fds);

#endif
