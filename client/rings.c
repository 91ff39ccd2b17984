/* SPDX-License-Identifier: BSD-3-Clause */
/* rings.c - see rings.h: a pipe's end over a conduit, in the terms of carrier.h. */
#include "client/rings.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "transport/conduit.h"
#include "util/clock.h"

struct rings {
	struct carrier carrier;
	struct conduit *conduit;
	bool message;
	bool server;
	_Atomic bool aborted, disconnected; /* by this end */
};

static struct rings *rings_of(struct carrier *c)
{
	return (struct rings *)(void *)c;
}

static bool is_aborted(const struct rings *s)
{
	return atomic_load_explicit(&s->aborted, memory_order_seq_cst);
}

/* A conduit's result as a pipe's.  Of an end that was aborted it is LOST, whatever the other end made of that. */
static int code(const struct rings *s, int r)
{
	if (r > 0 && is_aborted(s))
		return IPC9_E_LOST;
	switch (r) {
	case CONDUIT_EOF:
		return IPC9_E_EOF;
	case CONDUIT_PEERCLOSED:
		return IPC9_E_PEERCLOSED;
	case CONDUIT_DISCONNECTED: /* which a client cannot */
		return s->server && !atomic_load_explicit(&s->disconnected, memory_order_relaxed)
		    ? IPC9_E_LOST
		    : IPC9_E_NOTCONN;
	case CONDUIT_LOST:
	case CONDUIT_BROKEN:
		return IPC9_E_LOST;
	case CONDUIT_TIMEDOUT:
		return IPC9_E_TIMEDOUT;
	case CONDUIT_CANCELLED:
		return IPC9_E_CANCELLED;
	case CONDUIT_ENDED:
		return IPC9_E_BADSTATE;
	default:
		return r;
	}
}

/* The same for an operation that had begun when the other end closed. */
static int code_begun(const struct rings *s, int r)
{
	return r == CONDUIT_PEERCLOSED && !is_aborted(s) ? IPC9_E_EOF : code(s, r);
}

/* Whether the other end has closed, and this one was not aborted. */
static bool is_closed(const struct rings *s, int r)
{
	return (r == CONDUIT_EOF || r == CONDUIT_PEERCLOSED) && !is_aborted(s);
}

/* --- Reading ----------------------------------------------------------------------------------- */

static int rings_read(struct carrier *c, void *buffer, size_t size, bool message, int64_t deadline,
    size_t *ret_size, bool *ret_more)
{
	struct rings *s = rings_of(c);

	*ret_more = false;
	if (message)
		return code(s,
		    conduit_read_message(s->conduit, buffer, size, deadline, ret_size, ret_more));
	return code(s, conduit_read(s->conduit, buffer, size, deadline, ret_size));
}

static int rings_peek(struct carrier *c, void *buffer, size_t size, struct carrier_waiting *ret)
{
	struct rings *s = rings_of(c);
	uint64_t first = 0;
	int r;

	*ret = (struct carrier_waiting){ .total = 0 };
	if (is_aborted(s))
		return IPC9_E_LOST;
	r = conduit_peek(s->conduit, buffer, size, &ret->copied, &ret->total, &first);
	if (r)
		return code(s, r);
	if (s->message)
		ret->message_left = (size_t)(first - ret->copied);
	/* An empty message shows only as something to read. */
	ret->message = first > 0 || conduit_arm(s->conduit, CONDUIT_READING) != 0;
	return 0;
}

static int rings_wait_closed(struct carrier *c, int64_t deadline)
{
	struct rings *s = rings_of(c);
	int r = conduit_wait_closed(s->conduit, deadline);

	return is_closed(s, r) ? 0 : code(s, r);
}

/* --- Writing ----------------------------------------------------------------------------------- */

/* How much of a write is taken that does not wait. */
static size_t fitting(struct rings *s, size_t size, enum carrier_write how)
{
	uint64_t room = conduit_room(s->conduit);

	if (size <= room)
		return size;
	return how == CARRIER_PART && !s->message ? (size_t)room : 0;
}

static int put(struct rings *s, const void *data, size_t size, int64_t deadline,
    size_t *ret_written)
{
	const struct iovec piece = { (void *)(uintptr_t)data, size };
	int r;

	if (!s->message)
		return conduit_write(s->conduit, data, size, deadline, ret_written);
	r = conduit_send(s->conduit, &piece, 1, deadline);
	if (!r)
		*ret_written = size;
	return r;
}

static int rings_write(struct carrier *c, const void *data, size_t size, enum carrier_write how,
    int64_t deadline, size_t *ret_written)
{
	struct rings *s = rings_of(c);
	int r;

	*ret_written = 0;
	r = conduit_known_peer(s->conduit); /* whoever writes looks now and then whether it died */
	if (r)
		return code(s, r);
	if (how == CARRIER_FITTING || how == CARRIER_PART) {
		bool whole = fitting(s, size, how) == size;

		size = fitting(s, size, how);
		if (!whole && !size)
			return IPC9_E_WOULDBLOCK;
		r = code(s, put(s, data, size, 0, ret_written));
		/* Very many very short messages fill the ring; and that no bytes were taken says nothing. */
		if (r == IPC9_E_TIMEDOUT && !*ret_written)
			r = size ? IPC9_E_WOULDBLOCK : IPC9_E_QUOTA;
		return r;
	}
	r = put(s, data, size, deadline, ret_written);
	if (!r && how == CARRIER_WHOLE && size) /* an empty message does not wait */
		r = conduit_wait_quota(s->conduit, deadline);
	return code_begun(s, r);
}

static int rings_room(struct carrier *c, bool quota, int64_t deadline)
{
	struct rings *s = rings_of(c);

	return quota ? code_begun(s, conduit_wait_quota(s->conduit, deadline)) : 0;
}

static int rings_flush(struct carrier *c, int64_t deadline)
{
	struct rings *s = rings_of(c);
	int r = conduit_peer(s->conduit);

	if (r)
		return is_closed(s, r) ? 0 : code(s, r);
	return code_begun(s, conduit_flush(s->conduit, deadline));
}

static int rings_end(struct carrier *c)
{
	struct rings *s = rings_of(c);
	int r = conduit_peer(s->conduit);

	conduit_end(s->conduit);
	return is_closed(s, r) ? 0 : code(s, r);
}

/* --- In place ---------------------------------------------------------------------------------- */

/* Of two reasons the other end's comes first, as in rings_write, which asks for it each time. */
static int refused(const struct rings *s, int r)
{
	int peer = r == CONDUIT_ENDED ? conduit_peer(s->conduit) : 0;

	return code(s, peer ? peer : r);
}

static int rings_reserve(struct carrier *c, size_t size, bool if_fitting, int64_t deadline,
    void **ret_data, size_t *ret_size)
{
	struct rings *s = rings_of(c);
	size_t want = if_fitting ? fitting(s, size, CARRIER_PART) : size;
	bool fits = s->message ? want == size : want > 0;
	int r;

	/* Whoever is refused before it waits is told so otherwise than whoever has begun. */
	r = conduit_reserve(s->conduit, want || s->message ? want : 1, 0, ret_data, ret_size);
	if (r && (r != CONDUIT_TIMEDOUT || if_fitting))
		return refused(s, r);
	if (if_fitting)
		return fits ? 0 : IPC9_E_TIMEDOUT;
	if (r)
		r = conduit_reserve(s->conduit, want, deadline, ret_data, ret_size);
	if (!r && size)
		r = conduit_wait_quota(s->conduit, deadline);
	return code_begun(s, r);
}

static int rings_commit(struct carrier *c, size_t size)
{
	struct rings *s = rings_of(c);

	return refused(s, conduit_commit(s->conduit, size));
}

static int rings_view(struct carrier *c, int64_t deadline, const void **ret_data, size_t *ret_size)
{
	struct rings *s = rings_of(c);
	struct iovec pieces[2];
	size_t n;
	int r = conduit_view(s->conduit, deadline, pieces, &n);

	if (r)
		return code(s, r);
	*ret_data = pieces[0].iov_base;
	*ret_size = pieces[0].iov_len;
	return 0;
}

static int rings_consume(struct carrier *c, size_t size)
{
	struct rings *s = rings_of(c);

	return code(s, conduit_consume(s->conduit, size));
}

/* --- Telling ----------------------------------------------------------------------------------- */

static unsigned rings_events(struct carrier *c, unsigned wanted)
{
	struct rings *s = rings_of(c);
	unsigned events = 0, interest, have;

	if (!wanted) /* what this thread takes in nobody rings for */
		return 0;
	conduit_answer(s->conduit);
	interest = (wanted & CARRIER_READABLE ? CONDUIT_READING : 0u) |
	    (wanted & CARRIER_WRITABLE ? CONDUIT_WRITING : 0u);
	have = conduit_arm(s->conduit, interest);
	if (have & CONDUIT_READING)
		events |= CARRIER_READABLE;
	if (have & CONDUIT_WRITING)
		events |= CARRIER_WRITABLE;
	if (conduit_peer(s->conduit))
		events |= CARRIER_CLOSED;
	return events;
}

static int rings_peer(struct carrier *c)
{
	struct rings *s = rings_of(c);

	return code(s, conduit_peer(s->conduit));
}

static uint64_t rings_unread(struct carrier *c)
{
	return conduit_unread(rings_of(c)->conduit);
}

static int rings_fd(const struct carrier *c, short *ret_poll)
{
	*ret_poll = POLLIN;
	return conduit_fd(((const struct rings *)(const void *)c)->conduit);
}

/* --- Ending ------------------------------------------------------------------------------------ */

static void rings_cancel(struct carrier *c)
{
	conduit_cancel(rings_of(c)->conduit, CONDUIT_READING | CONDUIT_WRITING);
}

static void rings_abort(struct carrier *c)
{
	struct rings *s = rings_of(c);

	/* Before the other end can notice, and close: an operation under way that sees that must see this as well. */
	atomic_store_explicit(&s->aborted, true, memory_order_seq_cst);
	conduit_abort(s->conduit);
	/* The other end is to see that something is missing. */
	shutdown(conduit_fd(s->conduit), SHUT_RDWR);
}

static void rings_disconnect(struct carrier *c)
{
	struct rings *s = rings_of(c);

	atomic_store_explicit(&s->disconnected, true, memory_order_relaxed);
	conduit_disconnect(s->conduit);
}

static void rings_close(struct carrier *c, int64_t deadline)
{
	struct rings *s = rings_of(c);

	(void)deadline; /* what was written is with the other end already */
	if (is_aborted(s))
		conduit_forget(s->conduit);
	else
		conduit_close(s->conduit);
	free(s);
}

/* --- Life -------------------------------------------------------------------------------------- */

static const struct carrier_ops ops = {
	.name = "shared memory",
	.read = rings_read,
	.write = rings_write,
	.peek = rings_peek,
	.flush = rings_flush,
	.room = rings_room,
	.reserve = rings_reserve,
	.commit = rings_commit,
	.view = rings_view,
	.consume = rings_consume,
	.end = rings_end,
	.wait_closed = rings_wait_closed,
	.events = rings_events,
	.peer = rings_peer,
	.unread = rings_unread,
	.fd = rings_fd,
	.disconnect = rings_disconnect,
	.cancel = rings_cancel,
	.abort = rings_abort,
	.close = rings_close,
};

int rings_new(int memory, int socket, bool server, enum ipc9_pipe_type type, uint32_t quota,
    struct carrier **ret)
{
	struct rings *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->carrier.ops = &ops;
	s->message = type == IPC9_PIPE_TYPE_MESSAGE;
	s->server = server;
	r = conduit_open(memory, socket, server ? CONDUIT_FIRST : CONDUIT_SECOND,
	    s->message ? RING_MESSAGES : RING_BYTES, quota, &s->conduit);
	if (r) {
		free(s);
		return r;
	}
	*ret = &s->carrier;
	return 0;
}
