/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_place.c - writing and reading in place: ipc9_pipe_reserve and what goes with it.
 *
 * 1. Where the carrier has memory that both ends share, a place is in that, and holds it: a disconnect by another thread tells
 *    the other end and leaves the memory to whoever has the place.
 * 2. Otherwise it is in a buffer, and what is done goes through the table of the end's way, so that quota, flush, peek and the
 *    state of the end are what they are without: what is reserved is written when it is committed; what is viewed was peeked at,
 *    and is read when it is consumed.
 * 3. A place belongs to the client for which it was begun (`sessions`), and is worth nothing for the next one.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "client/error.h"
#include "client/pipe.h"

#define RESERVE_BYTES CALLS_PIECE /* at most, of bytes in a buffer */
#define VIEW_BYTES 65536	  /* the same; they are copied again where less is consumed */

/* --- What else may be done --------------------------------------------------------------------- */

static bool is_held(const struct pipe_place *place)
{
	return atomic_load_explicit(&place->held, memory_order_relaxed);
}

static int refuse(const struct ipc9_pipe *pipe, const char *why, struct ipc9_error *e)
{
	return error_set(e, IPC9_E_BADSTATE, "%s: %s", pipe->link.target.subject, why);
}

int pipe_check_unreserved(const struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	return is_held(&pipe->reserved)
	    ? refuse(pipe, "something is reserved, and to be committed or given up first", e)
	    : 0;
}

int pipe_check_unviewed(const struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	return is_held(&pipe->viewed)
	    ? refuse(pipe, "something is viewed, and to be consumed first", e)
	    : 0;
}

/* Whether a place can be begun beside what was started. */
static int check_started(const struct ipc9_pipe *pipe, const struct pipe_place *place,
    struct ipc9_error *e)
{
	return atomic_load_explicit(&place->started, memory_order_relaxed)
	    ? refuse(pipe, "an operation that was started is still under way", e)
	    : 0;
}

static void count(struct ipc9_pipe *pipe, enum pipe_op_kind kind, unsigned n)
{
	if (kind == PIPE_OP_READ || kind == PIPE_OP_TRANSACT)
		atomic_fetch_add_explicit(&pipe->viewed.started, n, memory_order_relaxed);
	if (kind == PIPE_OP_WRITE || kind == PIPE_OP_TRANSACT)
		atomic_fetch_add_explicit(&pipe->reserved.started, n, memory_order_relaxed);
}

void pipe_place_started(struct ipc9_pipe *pipe, enum pipe_op_kind kind)
{
	count(pipe, kind, 1);
}

void pipe_place_done(struct ipc9_pipe *pipe, enum pipe_op_kind kind)
{
	count(pipe, kind, -1u);
}

/* --- A place's life ---------------------------------------------------------------------------- */

static bool is_message(const struct ipc9_pipe *pipe)
{
	return pipe->type == IPC9_PIPE_TYPE_MESSAGE;
}

static unsigned session_of(const struct ipc9_pipe *pipe)
{
	return atomic_load_explicit(&pipe->sessions, memory_order_seq_cst);
}

/* The carrier in whose memory a place can be, entered; NULL: a buffer it is. */
static struct carrier *enter_memory(struct ipc9_pipe *pipe)
{
	struct carrier *c = stream_enter(pipe);

	if (c && c->ops->reserve)
		return c;
	if (c)
		stream_leave(pipe);
	return NULL;
}

static void leave_memory(struct ipc9_pipe *pipe, struct pipe_place *place, struct carrier *c,
    bool hold)
{
	place->carrier = hold ? c : NULL;
	if (hold)
		stream_hold(c);
	stream_leave(pipe);
}

static void hold(struct pipe_place *place, unsigned session, size_t size)
{
	place->session = session;
	place->size = size;
	atomic_store_explicit(&place->held, true, memory_order_relaxed);
}

static void let_go(struct pipe_place *place)
{
	if (place->carrier)
		stream_let_go(place->carrier);
	place->carrier = NULL;
	atomic_store_explicit(&place->held, false, memory_order_relaxed);
}

/* A buffer of so many bytes at least, of which the second half is for taking them.  0, or -ENOMEM with a sentence. */
static int require_buffer(struct pipe_place *place, size_t size, struct ipc9_error *e)
{
	if (place->buffer && size <= place->capacity)
		return 0;
	free(place->buffer);
	place->capacity = size ? size : 1;
	place->buffer = malloc(2 * place->capacity);
	return place->buffer ? 0 : error_set_own(e, -ENOMEM);
}

void pipe_places_free(struct ipc9_pipe *pipe)
{
	let_go(&pipe->reserved);
	let_go(&pipe->viewed);
	free(pipe->reserved.buffer);
	free(pipe->viewed.buffer);
	pipe->reserved.buffer = pipe->viewed.buffer = NULL;
}

/* Whether there is a place, and so much in it. */
static int check_place(const struct ipc9_pipe *pipe, const struct pipe_place *place, size_t size,
    const char *what, struct ipc9_error *e)
{
	if (!is_held(place))
		return error_set(e, IPC9_E_BADSTATE, "%s: nothing is %s", pipe->link.target.subject,
		    what);
	if (size > place->size)
		return error_set(e, IPC9_E_INVALID, "%s: %zu bytes, where %zu are %s",
		    pipe->link.target.subject, size, place->size, what);
	return 0;
}

static int explain(const struct ipc9_pipe *pipe, int code, const char *late, struct ipc9_error *e)
{
	return stream_explain(pipe, code,
	    code == IPC9_E_TIMEDOUT	 ? late
		: code == IPC9_E_LOST	 ? "it vanished without closing; " PIPE_LOST
		: code == IPC9_E_NOTCONN ? "disconnected in the meantime"
					 : NULL,
	    e);
}

/* --- Writing ----------------------------------------------------------------------------------- */

static const char no_room[] = "there was no room in time, as the other end does not read";

/* Room in the buffer, which is written from later; *size is cut to what there is. */
static int reserve_buffer(struct ipc9_pipe *pipe, size_t *size, bool fitting, int64_t until,
    struct ipc9_error *e)
{
	uint64_t unread = 0, room;
	int r;

	if (!is_message(pipe) && *size > RESERVE_BYTES)
		*size = RESERVE_BYTES;
	r = require_buffer(&pipe->reserved, *size, e);
	if (!r)
		r = pipe->way->room(pipe, *size ? until : 0, &unread, e);
	if (r == IPC9_E_TIMEDOUT && !*size)
		return 0; /* an empty message is one of those that do not wait */
	room = unread < pipe->quota_bytes ? pipe->quota_bytes - unread : 0;
	if (r || !fitting || *size <= room)
		return r;
	if (is_message(pipe) || !room)
		return explain(pipe, IPC9_E_TIMEDOUT, no_room, e);
	*size = (size_t)room;
	return 0;
}

static int reserve(struct ipc9_pipe *pipe, size_t size, bool fitting, int64_t until,
    void **ret_data, size_t *ret_room, struct ipc9_error *e)
{
	struct carrier *c = enter_memory(pipe);
	int r;

	if (!c) {
		r = reserve_buffer(pipe, &size, fitting, until, e);
		if (!r) {
			*ret_data = pipe->reserved.buffer;
			*ret_room = size;
		}
		return r;
	}
	r = c->ops->reserve(c, size, fitting, fitting ? 0 : until, ret_data, ret_room);
	leave_memory(pipe, &pipe->reserved, c, !r);
	return explain(pipe, r, no_room, e);
}

int ipc9_pipe_reserve(struct ipc9_pipe *pipe, size_t size, int wait_ms, void **ret_data,
    size_t *ret_room, struct ipc9_error *e)
{
	bool fitting = wait_ms == 0 || pipe->mode & IPC9_PIPE_MODE_NO_WAIT;
	unsigned session = session_of(pipe);
	size_t room = 0;
	void *data = NULL;
	int64_t until;
	int r = pipe_check_unreserved(pipe, e);

	if (!r)
		r = check_started(pipe, &pipe->reserved, e);
	if (!r)
		r = pipe_check_message(pipe, size, e);
	if (!r && !size && !is_message(pipe))
		r = error_set(e, IPC9_E_INVALID, "%s: no bytes to reserve",
		    pipe->link.target.subject);
	if (!r)
		r = pipe_wait_until(pipe, wait_ms, &until, e);
	if (r)
		return r;
	pipe_take_client(pipe);
	if (!pipe->writes)
		return pipe_refuse_direction(pipe, e);
	r = pipe_without_wait(pipe, reserve(pipe, size, fitting, until, &data, &room, e),
	    IPC9_E_WOULDBLOCK, e);
	if (r)
		return r;
	hold(&pipe->reserved, session, room);
	*ret_data = data;
	*ret_room = room;
	return 0;
}

static int commit(struct ipc9_pipe *pipe, size_t size, int64_t until, struct ipc9_error *e)
{
	struct pipe_place *place = &pipe->reserved;
	struct pipe_writing writing = { .data = place->buffer, .size = size, .queued = true };
	int r;

	if (place->session != session_of(pipe))
		return explain(pipe, IPC9_E_NOTCONN, NULL, e);
	if (place->carrier)
		return explain(pipe, place->carrier->ops->commit(place->carrier, size), NULL, e);
	r = pipe->way->write(pipe, &writing, until, e);
	/* What has begun to leave will arrive. */
	if ((r == IPC9_E_TIMEDOUT || r == IPC9_E_CANCELLED) && size && writing.n == size)
		return 0;
	return r;
}

int ipc9_pipe_commit(struct ipc9_pipe *pipe, size_t size, int wait_ms, struct ipc9_error *e)
{
	int64_t until;
	int r = check_place(pipe, &pipe->reserved, size, "reserved", e);

	if (!r)
		r = pipe_wait_until(pipe, wait_ms, &until, e);
	if (r)
		return r;
	r = pipe_without_wait(pipe, commit(pipe, size, until, e), IPC9_E_WOULDBLOCK, e);
	if (r != IPC9_E_TIMEDOUT && r != IPC9_E_WOULDBLOCK && r != IPC9_E_CANCELLED)
		let_go(&pipe->reserved);
	return r;
}

void ipc9_pipe_unreserve(struct ipc9_pipe *pipe)
{
	let_go(&pipe->reserved);
}

/* --- Reading ----------------------------------------------------------------------------------- */

/* Copies a piece of what waits to be read, or the first message, into the buffer. */
static int peek(struct ipc9_pipe *pipe, struct ipc9_pipe_peeked *ret, struct ipc9_error *e)
{
	struct pipe_place *place = &pipe->viewed;
	size_t want = VIEW_BYTES;
	int r;

	do {
		r = require_buffer(place, want, e);
		if (!r)
			r = pipe->way->peek(pipe, place->buffer, place->capacity, ret, e);
		want = IPC9_MESSAGE_BYTES;
	} while (!r && ret->left_bytes && place->capacity < want);
	return r;
}

static int view_buffer(struct ipc9_pipe *pipe, int64_t until, size_t *ret_size,
    struct ipc9_error *e)
{
	struct ipc9_pipe_peeked peeked = { .waiting = false };
	int r;

	do { /* until nobody takes it back in between */
		struct pipe_reading nothing = { .size = 0 };

		r = pipe->way->read(pipe, &nothing, until, e);
		if (!r)
			r = peek(pipe, &peeked, e);
	} while (!r && !peeked.waiting);
	*ret_size = peeked.size_bytes;
	return r;
}

static int view(struct ipc9_pipe *pipe, int64_t until, const void **ret_data, size_t *ret_size,
    struct ipc9_error *e)
{
	/* Of one that may not write all that can come is the end. */
	struct carrier *c = pipe->reads && pipe->peer_writes ? enter_memory(pipe) : NULL;
	int r;

	if (!c) {
		r = view_buffer(pipe, until, ret_size, e);
		*ret_data = pipe->viewed.buffer;
		return r;
	}
	r = c->ops->view(c, until, ret_data, ret_size);
	leave_memory(pipe, &pipe->viewed, c, !r);
	return explain(pipe, r, "nothing came in time", e);
}

int ipc9_pipe_view(struct ipc9_pipe *pipe, int wait_ms, const void **ret_data, size_t *ret_size,
    struct ipc9_error *e)
{
	unsigned session = session_of(pipe);
	const void *data = NULL;
	size_t size = 0;
	int64_t until;
	int r = pipe_check_unviewed(pipe, e);

	if (!r)
		r = check_started(pipe, &pipe->viewed, e);
	if (!r)
		r = pipe_wait_until(pipe, wait_ms, &until, e);
	if (r)
		return r;
	pipe_take_client(pipe);
	r = pipe_without_wait(pipe, view(pipe, until, &data, &size, e), IPC9_E_WOULDBLOCK, e);
	if (r)
		return r;
	hold(&pipe->viewed, session, size);
	*ret_data = data;
	*ret_size = size;
	return 0;
}

/* Something else came than what was shown, and is lost: the end must not go on as if nothing had been. */
static int give_up(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	pipe->way->abort(pipe);
	return error_set(e, IPC9_E_LOST,
	    "%s: what was viewed was taken back by its writer; the pipe is given up",
	    pipe->link.target.subject);
}

/* Reads what was viewed, for good. */
static int take(struct ipc9_pipe *pipe, size_t size, struct ipc9_error *e)
{
	struct pipe_place *place = &pipe->viewed;
	unsigned char *taken = place->buffer + place->capacity;
	struct pipe_reading reading = { .message = is_message(pipe) };
	size_t done = 0;
	int r;

	if (!size && (place->size || !is_message(pipe)))
		return 0;
	do {
		reading.buffer = taken + done;
		reading.size = size ? size - done : 1;
		r = pipe->way->read(pipe, &reading, 0, e);
		done += r ? 0 : reading.n;
	} while (!r && reading.n && done < size);
	if (r && !done)
		return r == IPC9_E_TIMEDOUT ? pipe_cancelled(pipe, e) : r;
	if (r || done != size || memcmp(taken, place->buffer, done) != 0)
		return give_up(pipe, e);
	return 0;
}

int ipc9_pipe_consume(struct ipc9_pipe *pipe, size_t size, struct ipc9_error *e)
{
	struct pipe_place *place = &pipe->viewed;
	int r = check_place(pipe, place, size, "viewed", e);

	if (r)
		return r;
	if (place->session != session_of(pipe))
		r = explain(pipe, IPC9_E_NOTCONN, NULL, e);
	else if (place->carrier)
		r = explain(pipe, place->carrier->ops->consume(place->carrier, size), NULL, e);
	else
		r = take(pipe, size, e);
	let_go(place);
	return r;
}
