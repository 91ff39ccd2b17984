/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring.c - see ring.h.
 *
 * What always holds, as long as both sides keep to it:
 * 1. tail <= head, and the bytes between lie in at most three stretches, joined by the last two jumps.
 * 2. Jump number n is in jumps[n % 2], and is written over by n + 2 once the tail is beyond n, so that the consumer
 *    has made it: jump n + 1 comes when the tail is beyond n, or, to fresh memory, beyond n - 1.  A jump is
 *    published together with at least one byte behind it.
 * 3. A jump goes to offset 0 when the consumer is in the same stretch; then there is room up to where it is, and up
 *    to the end of the memory when it has come to the jump.  Or it goes to where the memory ended so far, when the
 *    ring is full and the consumer is in the stretch before; then there is room up to the new end.  Without a jump
 *    there is room up to the end of the memory, which may grow.
 * 4. A record lies in one stretch.
 *
 * The words that somebody may sleep on (head, tail, states) are stored and loaded in the one order that all
 * threads agree on (seq_cst), as is the word that says who sleeps: see conduit.c.  The others are relaxed, and
 * ordered by these.
 */
#include "transport/ring.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "transport/crash.h"

#define GROWN_SHARE                                                                                \
	4 /* beyond that part of its size a ring grows to the whole before it goes back to its beginning */
#define BUSY_SHARE 4 /* and before, when that part of it is unread */
#define LONG_BYTES                                                                                 \
	16384u /* of a stream, which are copied faster from the beginning of a cache line on */
#define COPY_LINE 64u

_Static_assert(sizeof(struct ring_shared) == 4 * RING_LINE, "a line for each writer");
_Static_assert(offsetof(struct ring_shared, jumps) == 16, "the layout is shared");
_Static_assert(offsetof(struct ring_shared, tail) == RING_LINE, "the layout is shared");
_Static_assert(offsetof(struct ring_shared, producer_state) == 2 * RING_LINE,
    "the layout is shared");
_Static_assert(offsetof(struct ring_shared, producer_wants) == 2 * RING_LINE + 16, "no holes");
_Static_assert(offsetof(struct ring_shared, consumer_state) == 3 * RING_LINE,
    "the layout is shared");
_Static_assert(sizeof(_Atomic uint64_t) == 8 && sizeof(_Atomic uint32_t) == 4, "plain words");

/* Before a message; host's byte order, as both ends are on one. */
struct record {
	uint32_t size, flags; /* no flags are known: 0 */
};

_Static_assert(sizeof(struct record) == RING_RECORD, "a message's header");

static uint64_t record_bytes(uint64_t size)
{
	return (RING_RECORD + size + RING_RECORD - 1) & ~(uint64_t)(RING_RECORD - 1);
}

uint64_t ring_size_for(enum ring_type type, uint64_t quota_bytes)
{
	uint64_t message = record_bytes(RING_MESSAGE_MAX), size = RING_PUBLISH;
	/*
	 * Two messages, because the room may be cut in two; or, as bytes can be cut, none.  And what grows
	 * from a GROWN_SHARE to fresh memory has that much less of it.
	 */
	uint64_t steady = type == RING_MESSAGES ? quota_bytes + 2 * message : quota_bytes;
	uint64_t grown = type == RING_MESSAGES ? quota_bytes + message : quota_bytes;

	while (size < steady || size - size / GROWN_SHARE < grown)
		size *= 2;
	return size;
}

/* --- The producer ------------------------------------------------------------------------------ */

void ring_producer_init(struct ring_producer *p, const struct ring_memory *memory)
{
	*p = (struct ring_producer){ .memory = *memory, .capacity = RING_FIRST_BYTES };
}

int ring_producer_look(struct ring_producer *p)
{
	const struct ring_shared *s = p->memory.shared;
	uint64_t tail, read;

	if (p->broken)
		return -EPROTO;
	tail = atomic_load_explicit(&s->tail, memory_order_seq_cst);
	read = tail;
	if (p->memory.type == RING_MESSAGES)
		read = atomic_load_explicit(&s->read, memory_order_seq_cst);
	p->broken = tail < p->tail || tail > p->head || read < p->read || read > p->written ||
	    (tail == p->head && read != p->written);
	if (p->broken)
		return -EPROTO;
	p->tail = tail;
	p->read = read;
	return 0;
}

uint64_t ring_unread(const struct ring_producer *p)
{
	return p->written - p->read;
}

bool ring_is_drained(const struct ring_producer *p)
{
	return p->tail == p->head;
}

/* Whether the consumer has made the last jump. */
static bool is_followed(const struct ring_producer *p)
{
	return !p->jumps || p->tail > p->here.at;
}

static uint64_t offset_of(const struct ring_stretch *s, uint64_t total)
{
	return s->offset + (total - s->at);
}

/* Up to where there is room without a jump. */
static uint64_t limit_of(const struct ring_producer *p)
{
	return p->tail >= p->here.at || p->here.offset ? p->capacity
						       : offset_of(&p->before, p->tail);
}

/* Makes the ring at least that large. */
static bool grow(struct ring_producer *p, uint64_t least)
{
	uint64_t capacity = p->capacity;

	if (least > p->memory.size || p->head < p->retry)
		return false;
	while (capacity < least)
		capacity *= 2;
	if (p->memory.reserve &&
	    p->memory.reserve(p->memory.context, p->capacity, capacity - p->capacity)) {
		p->retry = p->head + p->capacity;
		return false;
	}
	p->capacity = capacity;
	return true;
}

static int take(struct ring_producer *p, uint64_t offset, uint64_t limit, bool jump)
{
	p->reserved = offset;
	p->room = limit - offset;
	p->jump = jump;
	return 0;
}

/* When the consumer is in the same stretch, at `from`. */
static int find_room_behind(struct ring_producer *p, uint64_t need, uint64_t at)
{
	uint64_t from = offset_of(&p->here, p->tail);
	bool is_large = p->capacity == p->memory.size;
	bool is_quiet = p->capacity <= p->memory.size / GROWN_SHARE &&
	    p->head - p->tail <= p->capacity / BUSY_SHARE;

	if (p->tail == p->head && need <= p->capacity)
		return take(p, 0, p->capacity, true);
	if (from >= need && (is_large || is_quiet))
		return take(p, 0, from, true);
	if (grow(p, at + need))
		return take(p, at, p->capacity, false);
	if (from >= need)
		return take(p, 0, from, true);
	/* Nothing that the consumer does would help. */
	return p->tail == p->head ? -ENOMEM : RING_AGAIN;
}

static int find_room(struct ring_producer *p, uint64_t need)
{
	uint64_t at = offset_of(&p->here, p->head), limit = limit_of(p), end = p->capacity;

	p->room = 0;
	if (limit - at >= need)
		return take(p, at, limit, false);
	if (is_followed(p))
		return find_room_behind(p, need, at);
	if (p->here.offset)
		return grow(p, at + need) ? take(p, at, p->capacity, false) : RING_AGAIN;
	return grow(p, end + need) ? take(p, end, p->capacity, true) : RING_AGAIN;
}

/* First by what is known of the consumer, which may be enough. */
static int require_room(struct ring_producer *p, uint64_t need)
{
	uint64_t at, limit;
	int r;

	if (p->broken)
		return -EPROTO;
	at = offset_of(&p->here, p->head);
	limit = limit_of(p);
	if (limit - at >= need)
		return take(p, at, limit, false);
	r = ring_producer_look(p);
	return r ? r : find_room(p, need);
}

/*
 * Behind bytes of an odd number, as a header that was sent by itself, all long copies would begin within a line, and take a
 * third longer.  An empty ring begins anew; whether it is empty is looked at once in a round.
 */
static bool straighten(struct ring_producer *p, size_t want)
{
	if (p->memory.type != RING_BYTES || want < LONG_BYTES || p->head < p->straighten ||
	    offset_of(&p->here, p->head) % COPY_LINE == 0 || ring_producer_look(p))
		return false;
	p->straighten = p->head + p->capacity;
	return p->tail == p->head && !take(p, 0, p->capacity, true);
}

/* A ring whose reader keeps up stays as large as it is, and would cut what is moved at a time. */
static void lengthen(struct ring_producer *p, size_t want)
{
	if (p->memory.type == RING_BYTES && want > p->capacity && p->capacity < RING_PUBLISH)
		grow(p, RING_PUBLISH);
}

int ring_reserve(struct ring_producer *p, size_t want, void **ret_data, size_t *ret_size)
{
	bool messages = p->memory.type == RING_MESSAGES;
	int r;

	if (messages && want > RING_MESSAGE_MAX)
		return -EMSGSIZE;
	lengthen(p, want);
	r = straighten(p, want) ? 0 : require_room(p, messages ? record_bytes(want) : 1);
	if (r)
		return r;
	CRASH_POINT(CRASH_RESERVED);
	if (messages)
		p->room = record_bytes(want);
	else if (p->room > want)
		p->room = want;
	*ret_data = p->memory.data + p->reserved + (messages ? RING_RECORD : 0);
	*ret_size = messages ? want : (size_t)p->room;
	return 0;
}

static void publish_jump(struct ring_producer *p)
{
	struct ring_jump *jump = &p->memory.shared->jumps[++p->jumps % 2];

	p->before = p->here;
	p->here = (struct ring_stretch){ p->head, p->reserved };
	atomic_store_explicit(&jump->offset, p->here.offset, memory_order_relaxed);
	CRASH_POINT(CRASH_JUMP_OFFSET);
	atomic_store_explicit(&jump->at, p->here.at, memory_order_relaxed);
	CRASH_POINT(CRASH_JUMP);
}

void ring_commit(struct ring_producer *p, size_t n)
{
	struct ring_shared *s = p->memory.shared;
	uint64_t bytes = n;

	if (p->memory.type == RING_MESSAGES) {
		struct record header = { (uint32_t)n, 0 };

		bytes = record_bytes(n);
		assert(bytes <= p->room);
		memcpy(p->memory.data + p->reserved, &header, sizeof(header));
		CRASH_POINT(CRASH_HEADER);
	}
	assert(bytes <= p->room);
	p->room = 0;
	if (!bytes)
		return;
	if (p->jump)
		publish_jump(p);
	p->written += n;
	p->head += bytes;
	/* Before the head, so that the users' total is never less than what can be read. */
	if (p->memory.type == RING_MESSAGES)
		atomic_store_explicit(&s->written, p->written, memory_order_relaxed);
	CRASH_POINT(CRASH_WRITTEN);
	atomic_store_explicit(&s->head, p->head, memory_order_seq_cst);
	CRASH_POINT(CRASH_HEAD);
}

int ring_write(struct ring_producer *p, const void *data, size_t size, size_t *ret_size)
{
	void *room;
	size_t n;
	int r = ring_reserve(p, size < RING_PUBLISH ? size : RING_PUBLISH, &room, &n);

	if (r)
		return r;
	memcpy(room, data, n);
	ring_commit(p, n);
	*ret_size = n;
	return 0;
}

int ring_send(struct ring_producer *p, const struct iovec *pieces, size_t n)
{
	unsigned char *at;
	size_t size = 0;
	void *room;
	int r;

	for (size_t i = 0; i < n; i++) {
		if (pieces[i].iov_len > RING_MESSAGE_MAX - size)
			return -EMSGSIZE;
		size += pieces[i].iov_len;
	}
	r = ring_reserve(p, size, &room, &size);
	if (r)
		return r;
	at = room;
	for (size_t i = 0; i < n; i++) {
		if (!pieces[i].iov_len)
			continue;
		memcpy(at, pieces[i].iov_base, pieces[i].iov_len);
		at += pieces[i].iov_len;
	}
	ring_commit(p, size);
	return 0;
}

enum ring_consumer_state ring_consumer_state(const struct ring_shared *s)
{
	uint32_t state = atomic_load_explicit(&s->consumer_state, memory_order_seq_cst);

	return state == RING_READING || state == RING_READER_DISCONNECTED ? state
									  : RING_READS_NO_MORE;
}

/* By more than one thread of a side, each of which may raise it. */
static void raise_state(_Atomic uint32_t *word, uint32_t state)
{
	uint32_t old = atomic_load_explicit(word, memory_order_relaxed);

	while (old < state &&
	    !atomic_compare_exchange_weak_explicit(word, &old, state, memory_order_seq_cst,
		memory_order_relaxed))
		;
}

void ring_set_producer_state(struct ring_shared *s, enum ring_producer_state state)
{
	raise_state(&s->producer_state, state);
	CRASH_POINT(CRASH_PRODUCER_STATE);
}

/* --- The consumer ------------------------------------------------------------------------------ */

void ring_consumer_init(struct ring_consumer *c, const struct ring_memory *memory)
{
	*c = (struct ring_consumer){ .memory = *memory, .backed = RING_FIRST_BYTES };
}

static int broken(struct ring_consumer *c)
{
	c->broken = true;
	return -EPROTO;
}

static int look(struct ring_consumer *c)
{
	uint64_t head = atomic_load_explicit(&c->memory.shared->head, memory_order_seq_cst);

	if (head < c->head || head - c->tail > c->memory.size ||
	    (c->memory.type == RING_MESSAGES && head % RING_RECORD))
		return broken(c);
	c->head = head;
	return 0;
}

/*
 * The jump behind stretch `s`, number n, if it was published with what is known of the head: then both its words
 * were too, and stay.  An older jump in its place has a lower `at`, a newer one a higher one.
 */
static bool next_jump(const struct ring_consumer *c, uint64_t n, const struct ring_stretch *s,
    struct ring_stretch *ret)
{
	const struct ring_jump *jump = &c->memory.shared->jumps[n % 2];

	ret->at = atomic_load_explicit(&jump->at, memory_order_relaxed);
	ret->offset = atomic_load_explicit(&jump->offset, memory_order_relaxed);
	return ret->at > s->at && ret->at < c->head;
}

/* Where the bytes from `from` lie that are in one stretch with it. */
static bool place(const struct ring_consumer *c, const struct ring_stretch *s, uint64_t from,
    uint64_t end, struct iovec *ret)
{
	uint64_t size = c->memory.size, behind = from - s->at;

	if (s->offset > size || behind > size - s->offset || end - from > size - s->offset - behind)
		return false;
	ret->iov_base = c->memory.data + s->offset + behind;
	ret->iov_len = (size_t)(end - from);
	return true;
}

/* Makes a jump that lies at the tail; finds the next one. */
static int follow(struct ring_consumer *c)
{
	c->has_next = next_jump(c, c->jumps + 1, &c->here, &c->next);
	if (c->has_next && c->next.at == c->tail) {
		c->here = c->next;
		c->jumps++;
		c->has_next = next_jump(c, c->jumps + 1, &c->here, &c->next);
	}
	if (c->has_next && c->next.at <= c->tail)
		return broken(c);
	if (c->memory.type == RING_MESSAGES && c->here.offset % RING_RECORD)
		return broken(c);
	return 0;
}

/* The peer says that it reserved memory up to there; to believe that would be to risk a signal. */
static int back(struct ring_consumer *c, const struct iovec *piece)
{
	uint64_t end =
	    (uint64_t)((unsigned char *)piece->iov_base - c->memory.data) + piece->iov_len;
	int r;

	if (end <= c->backed)
		return 0;
	end = (end + RING_FIRST_BYTES - 1) & ~(uint64_t)(RING_FIRST_BYTES - 1);
	r = c->memory.reserve ? c->memory.reserve(c->memory.context, c->backed, end - c->backed)
			      : 0;
	if (!r)
		c->backed = end;
	return r;
}

static int view_bytes(struct ring_consumer *c, struct iovec pieces[2], size_t *ret_n)
{
	struct ring_stretch third;
	uint64_t end;
	size_t n = 0;
	int r = 0;

	if (!place(c, &c->here, c->tail, c->has_next ? c->next.at : c->head, &pieces[n++]))
		return broken(c);
	if (c->has_next) {
		end = next_jump(c, c->jumps + 2, &c->next, &third) ? third.at : c->head;
		if (!place(c, &c->next, c->next.at, end, &pieces[n++]))
			return broken(c);
	}
	c->viewed = 0;
	for (size_t i = 0; i < n && !r; i++) {
		r = back(c, &pieces[i]);
		c->viewed += pieces[i].iov_len;
	}
	*ret_n = n;
	return r;
}

/* Reads the header of the first message, once. */
static int open_message(struct ring_consumer *c)
{
	struct record header;
	struct iovec piece;
	size_t queued;
	int r;

	if (!place(c, &c->here, c->tail, c->has_next ? c->next.at : c->head, &piece))
		return broken(c);
	queued = piece.iov_len;
	if (queued < RING_RECORD)
		return broken(c);
	piece.iov_len = RING_RECORD;
	r = back(c, &piece);
	if (r)
		return r;
	memcpy(&header, piece.iov_base, sizeof(header));
	/* Not to be read again by a compiler that thinks it can. */
	atomic_signal_fence(memory_order_seq_cst);
	if (header.flags || header.size > RING_MESSAGE_MAX || record_bytes(header.size) > queued)
		return broken(c);
	piece.iov_len = (size_t)record_bytes(header.size);
	r = back(c, &piece);
	if (r)
		return r;
	c->message = (uint64_t)((unsigned char *)piece.iov_base - c->memory.data) + RING_RECORD;
	c->message_size = header.size;
	c->message_read = 0;
	c->in_message = true;
	return 0;
}

int ring_view(struct ring_consumer *c, struct iovec pieces[2], size_t *ret_n)
{
	int r = c->broken ? -EPROTO : 0;

	if (!r && !c->in_message) {
		/* Bytes: all that is there; messages: the first will do. */
		if (c->tail == c->head || c->memory.type == RING_BYTES)
			r = look(c);
		if (!r && c->tail == c->head)
			r = RING_AGAIN;
		if (!r)
			r = follow(c);
		if (!r && c->memory.type == RING_MESSAGES)
			r = open_message(c);
	}
	if (r == RING_AGAIN)
		CRASH_POINT(CRASH_EMPTY);
	if (r)
		return r;
	CRASH_POINT(CRASH_VIEWED);
	if (c->memory.type == RING_BYTES)
		return view_bytes(c, pieces, ret_n);
	pieces[0].iov_base = c->memory.data + c->message + c->message_read;
	pieces[0].iov_len = c->message_size - c->message_read;
	*ret_n = 1;
	return 0;
}

int ring_consume(struct ring_consumer *c, size_t n)
{
	struct ring_shared *s = c->memory.shared;

	if (c->memory.type == RING_BYTES) {
		if (n > c->viewed)
			return broken(c);
		c->viewed -= n;
		c->tail += n;
		if (c->has_next && c->tail >= c->next.at) {
			c->here = c->next;
			c->jumps++;
			c->has_next = false;
		}
	} else {
		assert(c->in_message && n <= c->message_size - c->message_read);
		c->message_read += (uint32_t)n;
		c->read += n;
		if (c->message_read < c->message_size) {
			atomic_store_explicit(&s->read, c->read, memory_order_seq_cst);
			return 0;
		}
		/* Before the tail, so that where all was given back all counts as read. */
		atomic_store_explicit(&s->read, c->read, memory_order_relaxed);
		CRASH_POINT(CRASH_READ);
		c->tail += record_bytes(c->message_size);
		c->in_message = false;
	}
	atomic_store_explicit(&s->tail, c->tail, memory_order_seq_cst);
	CRASH_POINT(CRASH_TAIL);
	return 0;
}

static size_t copy_out(unsigned char *to, size_t size, const struct iovec *pieces, size_t n)
{
	size_t done = 0;

	for (size_t i = 0; i < n && done < size; i++) {
		size_t m = pieces[i].iov_len < size - done ? pieces[i].iov_len : size - done;

		if (m)
			memcpy(to + done, pieces[i].iov_base, m);
		done += m;
	}
	return done;
}

int ring_receive(struct ring_consumer *c, void *buffer, size_t size, size_t *ret_size,
    bool *ret_more)
{
	struct iovec pieces[2];
	size_t n;
	int r = ring_view(c, pieces, &n);

	if (r)
		return r;
	n = copy_out(buffer, size, pieces, n);
	*ret_size = n;
	*ret_more = n < pieces[0].iov_len;
	return ring_consume(c, n);
}

/* Across messages; it stops before an empty one that is not the first. */
static int read_messages(struct ring_consumer *c, unsigned char *buffer, size_t size,
    size_t *ret_size)
{
	struct iovec pieces[2];
	size_t done = 0, n;
	bool more;
	int r;

	do {
		r = ring_receive(c, buffer + done, size - done, &n, &more);
		if (r)
			break;
		done += n;
		if (!n || done == size)
			break;
		r = ring_view(c, pieces, &n);
	} while (!r && pieces[0].iov_len);
	*ret_size = done;
	return done ? 0 : r;
}

int ring_read(struct ring_consumer *c, void *buffer, size_t size, size_t *ret_size)
{
	struct iovec pieces[2];
	size_t n;
	int r;

	if (c->memory.type == RING_MESSAGES)
		return read_messages(c, buffer, size, ret_size);
	if (size > RING_PUBLISH)
		size = RING_PUBLISH;
	r = ring_view(c, pieces, &n);
	if (r)
		return r;
	*ret_size = copy_out(buffer, size, pieces, n);
	return ring_consume(c, *ret_size);
}

int ring_peek(struct ring_consumer *c, void *buffer, size_t size, size_t *ret_size,
    uint64_t *ret_total, uint64_t *ret_first)
{
	struct iovec pieces[2];
	uint64_t total, first;
	size_t n;
	int r = c->broken ? -EPROTO : look(c);

	if (!r)
		r = ring_view(c, pieces, &n);
	if (r)
		return r;
	if (c->memory.type == RING_BYTES) {
		total = first = c->head - c->tail;
	} else {
		first = pieces[0].iov_len;
		total = atomic_load_explicit(&c->memory.shared->written, memory_order_seq_cst) -
		    c->read;
		if (total < first || total > c->memory.size)
			return broken(c);
	}
	*ret_size = copy_out(buffer, size, pieces, n);
	*ret_total = total;
	*ret_first = first;
	return 0;
}

enum ring_producer_state ring_producer_state(const struct ring_shared *s)
{
	uint32_t state = atomic_load_explicit(&s->producer_state, memory_order_seq_cst);

	return state == RING_OPEN || state == RING_END || state == RING_DISCONNECTED ? state
										     : RING_CLOSED;
}

void ring_set_consumer_state(struct ring_shared *s, enum ring_consumer_state state)
{
	raise_state(&s->consumer_state, state);
	CRASH_POINT(CRASH_CONSUMER_STATE);
}
