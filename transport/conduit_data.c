/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conduit_data.c - reading and writing, as attempts: each looks what can be done, does it, and tells the peer.
 *
 * `lost` and the states are loaded before the ring is asked: what was published before them counts.
 */
#include <errno.h>

#include "transport/conduit_end.h"
#include "util/clock.h"

#define PATIENCE_NS (NS_PER_MS * 3 / 10) /* for half of the ring, when it was full */

static int ring_result(struct conduit *c, int r)
{
	if (r != -EPROTO)
		return r;
	atomic_store_explicit(&c->broken, true, memory_order_relaxed);
	return CONDUIT_BROKEN;
}

/* --- Reading ----------------------------------------------------------------------------------- */

/* What there is to say when the ring said r; `state` and `lost` were loaded before it was asked. */
static int reading_result(struct conduit *c, int r, enum ring_producer_state state, bool lost)
{
	if (r != RING_AGAIN)
		return ring_result(c, r);
	if (state != RING_OPEN)
		return CONDUIT_EOF;
	return lost ? CONDUIT_LOST : RING_AGAIN;
}

static int attempt_reading(struct conduit *c, struct operation *o,
    int (*take)(struct conduit *c, struct operation *o))
{
	bool lost = conduit_is_lost(c);
	enum ring_producer_state state = ring_producer_state(c->in_shared);

	if (state == RING_DISCONNECTED || conduit_is_disconnected(c))
		return CONDUIT_DISCONNECTED;
	return reading_result(c, take(c, o), state, lost);
}

static int take_view(struct conduit *c, struct operation *o)
{
	return ring_view(&c->consumer, o->ret_pieces, &o->n);
}

static int attempt_view(struct conduit *c, struct operation *o)
{
	return attempt_reading(c, o, take_view);
}

static int take_some(struct conduit *c, struct operation *o)
{
	uint64_t read = c->consumer.read, tail = c->consumer.tail;
	int r;

	if (o->ret_more)
		r = ring_receive(&c->consumer, o->buffer, o->size, &o->n, o->ret_more);
	else
		r = ring_read(&c->consumer, o->buffer, o->size, &o->n);
	if (!r && (c->consumer.read != read || c->consumer.tail != tail))
		conduit_gave_back(c);
	return r;
}

static int attempt_read(struct conduit *c, struct operation *o)
{
	return attempt_reading(c, o, take_some);
}

int conduit_view(struct conduit *c, int64_t deadline, struct iovec ret_pieces[2], size_t *ret_n)
{
	struct operation o = { .attempt = attempt_view, .ret_pieces = ret_pieces };
	int r = conduit_run(c, &c->in, &o, deadline);

	if (!r)
		*ret_n = o.n;
	return r;
}

int conduit_consume(struct conduit *c, size_t n)
{
	int r;

	if (atomic_load_explicit(&c->aborted, memory_order_relaxed))
		return CONDUIT_CANCELLED;
	if (ring_producer_state(c->in_shared) == RING_DISCONNECTED || conduit_is_disconnected(c))
		return CONDUIT_DISCONNECTED;
	r = ring_consume(&c->consumer, n);
	if (!r)
		conduit_gave_back(c);
	return ring_result(c, r);
}

/* Takes what else is there of a long read, as far as it does not have to wait. */
static size_t read_on(struct conduit *c, unsigned char *buffer, size_t size, size_t done)
{
	struct operation o = { .attempt = attempt_read };

	while (done < size) {
		o.buffer = buffer + done;
		o.size = size - done;
		if (attempt_read(c, &o) || !o.n)
			break;
		done += o.n;
	}
	return done;
}

int conduit_read(struct conduit *c, void *buffer, size_t size, int64_t deadline, size_t *ret_size)
{
	struct operation o = { .attempt = attempt_read, .buffer = buffer, .size = size };
	struct iovec pieces[2];
	size_t n;
	int r;

	if (!size) {
		r = conduit_view(c, deadline, pieces, &n);
		if (!r)
			*ret_size = 0;
		return r;
	}
	r = conduit_run(c, &c->in, &o, deadline);
	if (r)
		return r;
	*ret_size =
	    c->type == RING_BYTES && o.n == RING_PUBLISH ? read_on(c, buffer, size, o.n) : o.n;
	return 0;
}

int conduit_read_message(struct conduit *c, void *buffer, size_t size, int64_t deadline,
    size_t *ret_size, bool *ret_more)
{
	struct operation o = {
		.attempt = attempt_read, .buffer = buffer, .size = size, .ret_more = ret_more
	};
	int r = c->type == RING_MESSAGES ? conduit_run(c, &c->in, &o, deadline) : -EINVAL;

	if (!r)
		*ret_size = o.n;
	return r;
}

int conduit_peek(struct conduit *c, void *buffer, size_t size, size_t *ret_size,
    uint64_t *ret_total, uint64_t *ret_first)
{
	enum ring_producer_state state;
	bool lost;
	int r;

	conduit_look_sometimes(c, &c->in);
	lost = conduit_is_lost(c);
	state = ring_producer_state(c->in_shared);
	if (state == RING_DISCONNECTED || conduit_is_disconnected(c))
		return CONDUIT_DISCONNECTED;
	r = ring_peek(&c->consumer, buffer, size, ret_size, ret_total, ret_first);
	r = reading_result(c, r, state, lost);
	if (r != RING_AGAIN)
		return r;
	*ret_size = 0;
	*ret_total = *ret_first = 0;
	return 0;
}

static int attempt_closed(struct conduit *c, struct operation *o)
{
	bool lost = conduit_is_lost(c);
	enum ring_producer_state state = ring_producer_state(c->in_shared);

	(void)o;
	if (state == RING_DISCONNECTED || conduit_is_disconnected(c))
		return CONDUIT_DISCONNECTED;
	if (state == RING_CLOSED)
		return CONDUIT_EOF;
	return lost ? CONDUIT_LOST : RING_AGAIN;
}

int conduit_wait_closed(struct conduit *c, int64_t deadline)
{
	struct operation o = { .attempt = attempt_closed };

	return conduit_run(c, &c->in, &o, deadline);
}

bool conduit_is_readable(struct conduit *c)
{
	struct iovec pieces[2];
	struct operation o = { .ret_pieces = pieces };

	return attempt_view(c, &o) != RING_AGAIN;
}

/* --- Writing ----------------------------------------------------------------------------------- */

/* 0, or why nothing can be written. */
int conduit_check_writing(struct conduit *c)
{
	bool lost = conduit_is_lost(c);
	enum ring_consumer_state state = ring_consumer_state(c->out_shared);

	if (state == RING_READER_DISCONNECTED || conduit_is_disconnected(c))
		return CONDUIT_DISCONNECTED;
	if (state == RING_READS_NO_MORE)
		return CONDUIT_PEERCLOSED;
	return lost ? CONDUIT_LOST : 0;
}

/* Whether it pays to wait for more room than there is: until `left` bytes or less are unread. */
static bool is_worth_waiting(struct conduit *c, struct operation *o, uint64_t left)
{
	int64_t now;

	if (!o->has_waited || c->producer.head - c->producer.tail <= left)
		return false;
	now = clock_now();
	if (!o->patience)
		o->patience = now + PATIENCE_NS;
	if (now >= o->patience)
		return false;
	o->wants = c->producer.head - left;
	return true;
}

/* A ring that was full is left alone until half of it is free. */
static int look_when_full(struct conduit *c, struct operation *o)
{
	int r;

	if (!o->has_waited)
		return 0;
	r = ring_producer_look(&c->producer);
	if (!r && is_worth_waiting(c, o, c->producer.capacity / 2))
		r = RING_AGAIN;
	return r;
}

static int attempt_writing(struct conduit *c, struct operation *o,
    int (*put)(struct conduit *c, struct operation *o))
{
	int r = conduit_check_writing(c);

	if (!r)
		r = look_when_full(c, o);
	if (r == RING_AGAIN)
		return r;
	o->wants = 0;
	return r ? ring_result(c, r) : ring_result(c, put(c, o));
}

static int put_some(struct conduit *c, struct operation *o)
{
	int r = ring_write(&c->producer, o->data, o->size, &o->n);

	if (!r)
		conduit_told_more(c);
	return r;
}

static int attempt_write(struct conduit *c, struct operation *o)
{
	return attempt_writing(c, o, put_some);
}

static int put_message(struct conduit *c, struct operation *o)
{
	int r = ring_send(&c->producer, o->pieces, o->n);

	if (!r)
		conduit_told_more(c);
	return r;
}

static int attempt_send(struct conduit *c, struct operation *o)
{
	return attempt_writing(c, o, put_message);
}

static int make_room(struct conduit *c, struct operation *o)
{
	return ring_reserve(&c->producer, o->n, o->ret_room, &o->size);
}

static int attempt_reserve(struct conduit *c, struct operation *o)
{
	return attempt_writing(c, o, make_room);
}

static int begin_writing(struct conduit *c)
{
	if (atomic_load_explicit(&c->ended, memory_order_relaxed))
		return CONDUIT_ENDED;
	conduit_look_sometimes(c, &c->out);
	return 0;
}

int conduit_write(struct conduit *c, const void *data, size_t size, int64_t deadline,
    size_t *ret_size)
{
	struct operation o = { .attempt = attempt_write, .data = data, .size = size };
	int r = c->type == RING_BYTES ? begin_writing(c) : -EINVAL;

	if (!r && !size)
		r = conduit_check_writing(c);
	while (!r && o.size) {
		o.has_waited = false;
		o.patience = 0;
		r = conduit_run(c, &c->out, &o, deadline);
		if (r)
			break;
		o.data += o.n;
		o.size -= o.n;
	}
	*ret_size = size - o.size;
	return r;
}

int conduit_send(struct conduit *c, const struct iovec *pieces, size_t n, int64_t deadline)
{
	struct operation o = { .attempt = attempt_send, .pieces = pieces, .n = n };
	int r = c->type == RING_MESSAGES ? begin_writing(c) : -EINVAL;

	return r ? r : conduit_run(c, &c->out, &o, deadline);
}

int conduit_reserve(struct conduit *c, size_t want, int64_t deadline, void **ret_data,
    size_t *ret_size)
{
	struct operation o = { .attempt = attempt_reserve, .n = want, .ret_room = ret_data };
	int r = begin_writing(c);

	if (!r)
		r = conduit_run(c, &c->out, &o, deadline);
	if (!r)
		*ret_size = o.size;
	return r;
}

int conduit_commit(struct conduit *c, size_t n)
{
	int r;

	if (atomic_load_explicit(&c->aborted, memory_order_relaxed))
		return CONDUIT_CANCELLED;
	if (atomic_load_explicit(&c->ended, memory_order_relaxed))
		return CONDUIT_ENDED;
	r = conduit_check_writing(c);
	if (r)
		return r;
	ring_commit(&c->producer, n);
	conduit_told_more(c);
	return 0;
}

static int attempt_quota(struct conduit *c, struct operation *o)
{
	int r = ring_producer_look(&c->producer);

	if (r)
		return ring_result(c, r);
	if (ring_unread(&c->producer) <= c->quota)
		return is_worth_waiting(c, o, c->quota / 2) && !conduit_check_writing(c)
		    ? RING_AGAIN
		    : 0;
	r = conduit_check_writing(c);
	if (r)
		return r;
	/* Of messages only those who read them know how far it is. */
	if (!is_worth_waiting(c, o, c->quota / 2))
		o->wants = c->type == RING_BYTES ? c->producer.head - c->quota : 0;
	return RING_AGAIN;
}

int conduit_wait_quota(struct conduit *c, int64_t deadline)
{
	struct operation o = { .attempt = attempt_quota };

	if (ring_unread(&c->producer) <= c->quota)
		return 0;
	return conduit_run(c, &c->out, &o, deadline);
}

uint64_t conduit_room(struct conduit *c)
{
	uint64_t unread;

	if (ring_producer_look(&c->producer))
		return 0;
	unread = ring_unread(&c->producer);
	return unread < c->quota ? c->quota - unread : 0;
}

uint64_t conduit_unread(struct conduit *c)
{
	(void)!ring_producer_look(&c->producer); /* in vain: what was known before */
	return ring_unread(&c->producer);
}

static int attempt_flush(struct conduit *c, struct operation *o)
{
	int r = ring_producer_look(&c->producer);

	if (r)
		return ring_result(c, r);
	if (ring_is_drained(&c->producer))
		return 0;
	o->wants = c->producer.head;
	r = conduit_check_writing(c);
	return r ? r : RING_AGAIN;
}

int conduit_flush(struct conduit *c, int64_t deadline)
{
	struct operation o = { .attempt = attempt_flush };

	return conduit_run(c, &c->out, &o, deadline);
}
