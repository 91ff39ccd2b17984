/* SPDX-License-Identifier: BSD-3-Clause */
/* gather.c - see gather.h. */
#include "util/gather.h"

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#define BLOCK_SIZE 4064 /* a block and its header fill a page's worth */
#define PIECES_PER_SEND 64

void gather_init(struct gather *g)
{
	memset(g, 0, sizeof(*g));
	g->pieces = g->inline_pieces;
	g->capacity = GATHER_INLINE;
}

void gather_use_pool(struct gather *g, struct gather_pool *pool)
{
	g->pool = pool;
}

void gather_lend(struct gather *g, struct bytes *block)
{
	g->tail = block;
}

void gather_pool_clear(struct gather_pool *pool)
{
	while (pool->n)
		bytes_unref(pool->blocks[--pool->n]);
}

static struct bytes *new_block(struct gather *g, size_t len)
{
	struct bytes *b;

	if (len > BLOCK_SIZE || !g->pool || !g->pool->n)
		return bytes_new(len > BLOCK_SIZE ? len : BLOCK_SIZE);
	b = g->pool->blocks[--g->pool->n];
	b->size = 0;
	return b;
}

static void drop_block(struct gather *g, struct bytes *b)
{
	if (b && g->pool && g->pool->n < GATHER_POOL && b->capacity == BLOCK_SIZE &&
	    bytes_is_sole(b))
		g->pool->blocks[g->pool->n++] = b;
	else
		bytes_unref(b);
}

/* Nothing is left: nor is anything kept. */
static void start_over(struct gather *g)
{
	g->first = g->end = 0;
	g->tail = NULL;
	if (g->pieces != g->inline_pieces) {
		free(g->pieces);
		g->pieces = g->inline_pieces;
		g->capacity = GATHER_INLINE;
	}
}

static void drop_first(struct gather *g)
{
	struct gather_piece *p = &g->pieces[g->first++];

	if (p->owner == g->tail)
		g->tail = NULL;
	g->size -= p->len;
	g->n_borrowed -= !p->owner;
	drop_block(g, p->owner);
	if (g->first == g->end)
		start_over(g);
}

void gather_clear(struct gather *g)
{
	while (g->first < g->end)
		drop_first(g);
}

static int make_room(struct gather *g)
{
	struct gather_piece *more;
	size_t n = g->end - g->first;

	if (g->end < g->capacity)
		return 0;
	if (g->first >= g->capacity / 2) {
		memmove(g->pieces, g->pieces + g->first, n * sizeof(*g->pieces));
		g->first = 0;
		g->end = n;
		return 0;
	}
	more = malloc(g->capacity * 2 * sizeof(*more));
	if (!more)
		return -ENOMEM;
	memcpy(more, g->pieces + g->first, n * sizeof(*more));
	if (g->pieces != g->inline_pieces)
		free(g->pieces);
	g->pieces = more;
	g->capacity *= 2;
	g->first = 0;
	g->end = n;
	return 0;
}

/* A piece of its own for len bytes behind what the block holds. */
static unsigned char *begin_piece(struct gather *g, struct bytes *block, size_t len)
{
	unsigned char *at = block->data + block->size;

	g->pieces[g->end++] = (struct gather_piece){ at, len, block };
	g->tail = block;
	block->size += (uint32_t)len;
	g->size += len;
	return at;
}

/* Where the last piece cannot become longer. */
static __attribute__((noinline)) unsigned char *reserve_piece(struct gather *g, size_t len)
{
	static unsigned char nothing[1];
	struct bytes *block = g->tail;

	if (!len)
		return nothing; /* no piece is empty */
	if (make_room(g))
		return NULL;
	block =
	    block && block->capacity - block->size >= len ? bytes_ref(block) : new_block(g, len);
	return block ? begin_piece(g, block, len) : NULL;
}

unsigned char *gather_reserve(struct gather *g, size_t len)
{
	struct bytes *block = g->tail;
	struct gather_piece *last;
	unsigned char *at;

	if (!block || g->end == g->first || !len || block->capacity - block->size < len)
		return reserve_piece(g, len);
	last = &g->pieces[g->end - 1];
	at = block->data + block->size;
	if (last->owner != block || last->data + last->len != at)
		return reserve_piece(g, len);
	last->len += len;
	block->size += (uint32_t)len;
	g->size += len;
	return at;
}

int gather_copy(struct gather *g, const void *data, size_t len)
{
	unsigned char *at;

	if (len == 0)
		return 0;
	at = gather_reserve(g, len);
	if (!at)
		return -ENOMEM;
	memcpy(at, data, len);
	return 0;
}

int gather_refer(struct gather *g, const void *data, size_t len, struct bytes *owner)
{
	if (len == 0)
		return 0;
	if (make_room(g))
		return -ENOMEM;
	g->pieces[g->end++] = (struct gather_piece){ data, len, bytes_ref(owner) };
	g->n_borrowed += !owner;
	g->size += len;
	return 0;
}

int gather_own(struct gather *g)
{
	for (size_t i = g->first; g->n_borrowed && i < g->end; i++) {
		struct gather_piece *p = &g->pieces[i];

		if (p->owner)
			continue;
		p->owner = bytes_new(p->len);
		if (!p->owner)
			return -ENOMEM;
		memcpy(p->owner->data, p->data, p->len);
		p->owner->size = (uint32_t)p->len;
		p->data = p->owner->data;
		g->n_borrowed--;
	}
	return 0;
}

void gather_copy_out(const struct gather *g, unsigned char *to)
{
	for (size_t i = g->first; i < g->end; i++) {
		memcpy(to, g->pieces[i].data, g->pieces[i].len);
		to += g->pieces[i].len;
	}
}

struct bytes *gather_flatten(const struct gather *g)
{
	struct bytes *flat = bytes_new(g->size);

	if (!flat)
		return NULL;
	gather_copy_out(g, flat->data);
	flat->size = (uint32_t)g->size;
	return flat;
}

int gather_append(struct gather *g, struct gather *other)
{
	while (other->first < other->end) {
		struct gather_piece *p = &other->pieces[other->first];
		int r = gather_refer(g, p->data, p->len, p->owner);

		if (r)
			return r;
		drop_first(other);
	}
	return 0;
}

void gather_mark(const struct gather *g, struct gather_mark *ret)
{
	ret->pieces = g->end - g->first;
	ret->last_len = ret->pieces ? g->pieces[g->end - 1].len : 0;
	ret->size = g->size;
}

void gather_rewind(struct gather *g, const struct gather_mark *mark)
{
	while (g->end - g->first > mark->pieces) {
		struct gather_piece *p = &g->pieces[--g->end];

		if (p->owner == g->tail)
			g->tail = NULL;
		g->n_borrowed -= !p->owner;
		drop_block(g, p->owner);
	}
	if (mark->pieces)
		g->pieces[g->end - 1].len = mark->last_len;
	else
		start_over(g);
	/* What was cut off the last block is not used again. */
	g->tail = NULL;
	g->size = mark->size;
}

void gather_leave_first(struct gather *g)
{
	struct gather_mark first = { .pieces = g->first < g->end };

	if (first.pieces)
		first.last_len = first.size = g->pieces[g->first].len;
	gather_rewind(g, &first);
}

static void consume(struct gather *g, size_t n)
{
	while (n) {
		struct gather_piece *p = &g->pieces[g->first];

		if (n >= p->len) {
			n -= p->len;
			drop_first(g);
			continue;
		}
		p->data += n;
		p->len -= n;
		g->size -= n;
		n = 0;
	}
}

/* The first pieces, as far as they fit and the limit allows; their bytes. */
static size_t collect(const struct gather *g, size_t limit, struct iovec iov[PIECES_PER_SEND],
    struct msghdr *msg)
{
	size_t want = 0;

	msg->msg_iov = iov;
	msg->msg_iovlen = 0;
	for (size_t i = g->first; i < g->end && msg->msg_iovlen < PIECES_PER_SEND && want < limit;
	     i++) {
		size_t len = g->pieces[i].len < limit - want ? g->pieces[i].len : limit - want;

		iov[msg->msg_iovlen].iov_base = (void *)(uintptr_t)g->pieces[i].data;
		iov[msg->msg_iovlen++].iov_len = len;
		want += len;
	}
	return want;
}

static void attach(struct msghdr *msg, void *control, const int *fds, unsigned n_fds)
{
	struct cmsghdr *c;

	msg->msg_control = n_fds ? control : NULL;
	msg->msg_controllen = n_fds ? CMSG_SPACE(n_fds * sizeof(int)) : 0;
	if (!n_fds)
		return;
	memset(control, 0, msg->msg_controllen);
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n_fds * sizeof(int));
}

ssize_t gather_send_with(struct gather *g, int fd, size_t limit, const int *fds, unsigned n_fds)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(GATHER_DESCRIPTORS * sizeof(int))];
	struct iovec iov[PIECES_PER_SEND];
	ssize_t total = 0;

	assert(n_fds <= GATHER_DESCRIPTORS);
	while (g->first < g->end && (size_t)total < limit) {
		struct msghdr msg = { .msg_iov = iov };
		size_t want = collect(g, limit - (size_t)total, iov, &msg);
		ssize_t n;

		attach(&msg, control, fds, total ? 0 : n_fds);
		n = sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return total ? total : -errno;
		consume(g, (size_t)n);
		total += n;
		if ((size_t)n < want)
			break;
	}
	return total;
}

ssize_t gather_send(struct gather *g, int fd)
{
	return gather_send_with(g, fd, SIZE_MAX, NULL, 0);
}
