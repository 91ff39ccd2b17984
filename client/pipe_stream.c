/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_stream.c - a pipe's end whose data goes through a carrier: the daemon has left the path, and the state table is kept
 * here and in the carrier.
 *
 * 1. A client's end has nothing to do with its daemon any more.  A server's end keeps its connection: the instance is
 *    disconnected, listens again and is closed by calls.
 * 2. `carrier` goes back to NULL by disconnect only.  Operations hold it by stream_enter; disconnect makes them return, waits
 *    until they have, and frees it.  An operation that comes late goes by calls, and learns the state from the daemon.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/error.h"
#include "client/frames.h"
#include "client/pipe.h"
#include "client/rings.h"
#include "util/clock.h"

#define LEAVE_LOOK_NS 50000 /* how often disconnect looks whether operations have returned */

/* --- The carrier ------------------------------------------------------------------------------- */

struct carrier *stream_enter(struct ipc9_pipe *pipe)
{
	struct carrier *c;

	atomic_fetch_add_explicit(&pipe->users, 1, memory_order_seq_cst);
	c = atomic_load_explicit(&pipe->carrier, memory_order_seq_cst);
	if (!c)
		stream_leave(pipe);
	return c;
}

void stream_leave(struct ipc9_pipe *pipe)
{
	atomic_fetch_sub_explicit(&pipe->users, 1, memory_order_release);
}

/* Has started operations of other threads look at what this one has changed, or what is watched for has become. */
static void tell_started(struct ipc9_pipe *pipe, const struct carrier *c)
{
	short events;

	c->ops->fd(c, &events);
	if (events & POLLOUT)
		pipe_wake(pipe);
}

static void on_change(void *context)
{
	pipe_wake(context);
}

void stream_hold(struct carrier *c)
{
	atomic_fetch_add_explicit(&c->holds, 1, memory_order_relaxed);
}

static void let_go(struct carrier *c, int64_t deadline)
{
	if (atomic_fetch_sub_explicit(&c->holds, 1, memory_order_acq_rel) == 1)
		c->ops->close(c, deadline);
}

void stream_let_go(struct carrier *c)
{
	let_go(c, 0);
}

/*
 * Takes it away from whoever may come, waits for those who are there, and closes it; unless a place in its memory is held:
 * then whoever has that closes it.
 */
static void drop_carrier(struct ipc9_pipe *pipe, int64_t deadline)
{
	struct carrier *c = atomic_exchange_explicit(&pipe->carrier, NULL, memory_order_seq_cst);
	const struct timespec look = { 0, LEAVE_LOOK_NS };

	if (!c)
		return;
	while (atomic_load_explicit(&pipe->users, memory_order_acquire))
		nanosleep(&look, NULL);
	pipe_watch(pipe, -1, 0);
	let_go(c, deadline);
}

void pipe_use_carrier(struct ipc9_pipe *pipe, struct carrier *c, enum ipc9_pipe_way way)
{
	pipe->carried = way;
	c->changed = on_change;
	c->context = pipe;
	atomic_init(&c->holds, 1);
	atomic_store_explicit(&pipe->carrier, c, memory_order_seq_cst);
	if (atomic_load_explicit(&pipe->link.aborted, memory_order_seq_cst))
		c->ops->abort(c); /* see abort_pipe of pipe_calls.c */
	pipe->way = &pipe_stream_way;
	pipe_watch(pipe, -1, 0); /* until something waits */
	pipe_wake(pipe);	 /* what was started goes on through it */
}

/* Descriptors that a way comes with. */
static unsigned fds_of(int way)
{
	return way == IPC9_PIPE_WAY_SHARED ? 2 : 1;
}

int pipe_carry(struct ipc9_pipe *pipe, int way, struct descriptors *fds, struct ipc9_error *e)
{
	struct carrier *c = NULL;
	int r = -EPROTO;

	if (fds->n == fds_of(way) && way == IPC9_PIPE_WAY_SHARED)
		r = rings_new(fds->fds[0], fds->fds[1], pipe->server, pipe->type, pipe->quota_bytes,
		    &c);
	else if (fds->n == fds_of(way) && way == IPC9_PIPE_WAY_FRAMES)
		r = frames_new(fds->fds[0], pipe->server, pipe->type, pipe->quota_bytes, &c);
	if (!r)
		fds->n = 0;
	descriptors_close(fds);
	if (r == -EPROTO)
		return error_set(e, IPC9_E_MISMATCH,
		    "%s: what %s gave for the pipe's data is not what it should be",
		    pipe->link.target.subject, pipe->link.target.who);
	if (r)
		return error_set_own(e, r);
	pipe_use_carrier(pipe, c,
	    way == IPC9_PIPE_WAY_SHARED ? IPC9_PIPE_BY_MEMORY : IPC9_PIPE_BY_SOCKET);
	return 0;
}

/* --- Results ----------------------------------------------------------------------------------- */

int stream_explain(const struct ipc9_pipe *pipe, int code, const char *instead,
    struct ipc9_error *e)
{
	if (code <= 0)
		return code ? error_set_own(e, code) : 0;
	return error_set(e, code, "%s: %s", pipe->link.target.subject,
	    instead ? instead : ipc9_strerror(code));
}

int pipe_refuse_direction(const struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	return stream_explain(pipe, IPC9_E_ACCESS,
	    "it was not opened for that, or does not have this direction", e);
}

static const char *lost_text(int code)
{
	return code == IPC9_E_LOST ? "it vanished without closing; data may be missing" : NULL;
}

/* --- Reading ----------------------------------------------------------------------------------- */

int stream_read_some(struct ipc9_pipe *pipe, struct carrier *c, struct pipe_reading *reading,
    int64_t until)
{
	char unasked;
	size_t n;
	bool more;
	int r;

	if (pipe->peer_writes)
		return c->ops->read(c, reading->buffer, reading->size, reading->message, until,
		    &reading->n, &reading->more);
	/* It may not write, only end: with one that writes all the same there is nothing more to do. */
	r = c->ops->read(c, &unasked, 1, false, until, &n, &more);
	if (r)
		return r;
	c->ops->abort(c);
	return IPC9_E_LOST;
}

static int read_pipe(struct ipc9_pipe *pipe, struct pipe_reading *reading, int64_t until,
    struct ipc9_error *e)
{
	struct carrier *c;
	int r;

	if (!pipe->reads)
		return pipe_refuse_direction(pipe, e);
	c = stream_enter(pipe);
	if (!c)
		return pipe_calls_way.read(pipe, reading, until, e);
	r = stream_read_some(pipe, c, reading, until);
	stream_leave(pipe);
	return r ? stream_explain(pipe, r,
		       r == IPC9_E_TIMEDOUT ? "nothing came in time" : lost_text(r), e)
		 : 0;
}

static int peek(struct ipc9_pipe *pipe, void *buffer, size_t size, struct ipc9_pipe_peeked *ret,
    struct ipc9_error *e)
{
	struct carrier_waiting waiting;
	struct carrier *c;
	int r;

	if (!pipe->reads)
		return pipe_refuse_direction(pipe, e);
	c = stream_enter(pipe);
	if (!c)
		return pipe_calls_way.peek(pipe, buffer, size, ret, e);
	r = c->ops->peek(c, buffer, pipe->peer_writes ? size : 0, &waiting);
	stream_leave(pipe);
	if (r)
		return stream_explain(pipe, r, lost_text(r), e);
	if (!pipe->peer_writes)
		memset(&waiting, 0, sizeof(waiting));
	*ret = (struct ipc9_pipe_peeked){ waiting.message, waiting.copied, waiting.total,
		waiting.message_left };
	return 0;
}

/* --- Writing ----------------------------------------------------------------------------------- */

void stream_count_read(const struct ipc9_pipe *pipe, struct carrier *c, int code, size_t *written)
{
	uint64_t unread;

	if (code != IPC9_E_EOF && code != IPC9_E_LOST && code != IPC9_E_NOTCONN)
		return;
	unread = c->ops->unread(c);
	if (unread >= *written || (unread && pipe->type == IPC9_PIPE_TYPE_MESSAGE))
		*written = 0;
	else
		*written -= (size_t)unread;
}

static int write_pipe(struct ipc9_pipe *pipe, struct pipe_writing *w, int64_t until,
    struct ipc9_error *e)
{
	enum carrier_write how = w->queued ? CARRIER_QUEUED
	    : !w->fitting		   ? CARRIER_WHOLE
	    : w->part			   ? CARRIER_PART
					   : CARRIER_FITTING;
	struct carrier *c;
	int r;

	if (!pipe->writes)
		return pipe_refuse_direction(pipe, e);
	c = stream_enter(pipe);
	if (!c)
		return pipe_calls_way.write(pipe, w, until, e);
	/* Of what was prepared long before, the other end may have said meanwhile that nobody will read it. */
	r = w->queued ? c->ops->peer(c) : 0;
	if (!r)
		r = c->ops->write(c, w->data, w->size, how, until, &w->n);
	stream_count_read(pipe, c, r, &w->n);
	tell_started(pipe, c);
	stream_leave(pipe);
	/* What does not fit is no failure for whoever does not wait. */
	if (r == IPC9_E_WOULDBLOCK)
		r = 0;
	if (!r && w->part && w->n < w->size)
		r = IPC9_E_TIMEDOUT;
	if (r == IPC9_E_TIMEDOUT)
		return error_set(e, r, "%s: in time %zu of %zu bytes were written, %s",
		    pipe->link.target.subject, w->n, w->size, "as the other end does not read");
	if (r == IPC9_E_QUOTA)
		return stream_explain(pipe, r, "too many messages wait to be read", e);
	return stream_explain(pipe, r, lost_text(r), e);
}

static int room(struct ipc9_pipe *pipe, int64_t until, uint64_t *ret_unread, struct ipc9_error *e)
{
	struct carrier *c = stream_enter(pipe);
	int r;

	if (!c)
		return pipe_calls_way.room(pipe, until, ret_unread, e);
	r = c->ops->peer(c);
	if (!r && pipe->ended)
		r = IPC9_E_BADSTATE;
	if (!r)
		r = c->ops->room(c, true, until);
	*ret_unread = c->ops->unread(c);
	stream_leave(pipe);
	return stream_explain(pipe, r,
	    r == IPC9_E_TIMEDOUT ? "there was no room in time, as the other end does not read"
				 : lost_text(r),
	    e);
}

static int flush(struct ipc9_pipe *pipe, int64_t until, struct ipc9_error *e)
{
	struct carrier *c = stream_enter(pipe);
	int r;

	if (!c)
		return pipe_calls_way.flush(pipe, until, e);
	r = c->ops->flush(c, until);
	stream_leave(pipe);
	if (r == IPC9_E_LOST && !pipe->writes)
		r = 0;
	return stream_explain(pipe, r,
	    r == IPC9_E_TIMEDOUT ? "not everything was read in time" : lost_text(r), e);
}

static int end_pipe(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	struct carrier *c = stream_enter(pipe);
	int r;

	if (!c)
		return pipe_calls_way.end(pipe, e);
	r = c->ops->end(c);
	pipe_wake(pipe);
	stream_leave(pipe);
	return stream_explain(pipe, r, lost_text(r), e);
}

/* --- Transactions ------------------------------------------------------------------------------ */

int stream_check_transaction(struct ipc9_pipe *pipe, struct carrier *c)
{
	struct carrier_waiting waiting;
	int r = c->ops->peer(c);

	if (r == IPC9_E_NOTCONN)
		return r;
	if (r || !pipe->reads || !pipe->writes || !pipe->peer_writes)
		return IPC9_E_BADSTATE;
	r = c->ops->peek(c, NULL, 0, &waiting);
	if (r) /* it has ended, at least */
		return r == IPC9_E_NOTCONN ? r : IPC9_E_BADSTATE;
	return waiting.message ? IPC9_E_BUSY : 0;
}

static int transact(struct ipc9_pipe *pipe, struct pipe_transacting *t, int64_t until,
    struct ipc9_error *e)
{
	struct carrier *c = stream_enter(pipe);
	size_t written;
	int r;

	if (!c)
		return pipe_calls_way.transact(pipe, t, until, e);
	r = stream_check_transaction(pipe, c);
	if (!r)
		r = c->ops->write(c, t->request, t->request_size, CARRIER_QUEUED, until, &written);
	if (r) {
		stream_leave(pipe);
		return stream_explain(pipe, r, lost_text(r), e);
	}
	r = stream_read_some(pipe, c, &t->reply, until);
	stream_leave(pipe);
	r = stream_explain(pipe, r, NULL, e);
	return r > 0 ? calls_explain_transaction(pipe, r, e) : r;
}

/* --- The other end ----------------------------------------------------------------------------- */

static int accept_pipe(struct ipc9_pipe *pipe, int64_t until, struct ipc9_error *e)
{
	struct carrier *c = stream_enter(pipe);
	int r;

	if (!c)
		return pipe_calls_way.accept(pipe, until, e);
	r = c->ops->peer(c);
	stream_leave(pipe);
	pipe->was_connected = !r;
	return stream_explain(pipe, r, lost_text(r), e);
}

int stream_greet(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	struct carrier *c = stream_enter(pipe);
	struct carrier_waiting waiting = { .message = false };
	int r;

	if (!c)
		return 0;
	r = c->ops->peer(c);
	if (r && pipe->peer_writes && !c->ops->peek(c, NULL, 0, &waiting) && waiting.message)
		r = 0;
	stream_leave(pipe);
	return stream_explain(pipe, r, lost_text(r), e);
}

/* The carrier stays until the daemon knows: an operation that comes late learns the same from either. */
static int disconnect(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	struct carrier *c = stream_enter(pipe);
	int r;

	if (c) {
		c->ops->disconnect(c);
		pipe_wake(pipe);
		stream_leave(pipe);
	}
	r = pipe_calls_way.disconnect(pipe, e);
	/* The operations are the starting thread's, which ends those that began before this. */
	atomic_fetch_add_explicit(&pipe->drops, 1, memory_order_release);
	pipe->way = &pipe_calls_way;
	drop_carrier(pipe, 0); /* what is left to say is said meanwhile */
	pipe_wake(pipe);
	return r;
}

static int wait_closed(struct ipc9_pipe *pipe, int64_t until, struct ipc9_error *e)
{
	struct carrier *c = stream_enter(pipe);
	int r;

	if (!c)
		return pipe_calls_way.wait_closed(pipe, until, e);
	r = c->ops->wait_closed(c, until);
	stream_leave(pipe);
	return stream_explain(pipe, r,
	    r == IPC9_E_TIMEDOUT ? "the other end was not closed in time" : lost_text(r), e);
}

/* --- Telling ----------------------------------------------------------------------------------- */

/* What only the daemon knows; a client asks about the name, which may be gone. */
static int ask_daemon(struct ipc9_pipe *pipe, struct ipc9_pipe_end_info *ret, struct ipc9_error *e)
{
	int r = pipe->server ? pipe_calls_way.info(pipe, ret, e) : IPC9_E_LOST;

	if (r != IPC9_E_LOST)
		return r;
	/* A client, or a server whose daemon is gone, and the name with it. */
	*ret = (struct ipc9_pipe_end_info){
		.type = pipe->type,
		.quota_bytes = pipe->quota_bytes,
		.peer = pipe->peer,
		.access = pipe->pair,
		.server = pipe->server || pipe->first,
	};
	return pipe->pair || pipe->server ? 0 : pipe_tell_name(pipe, ret);
}

static enum ipc9_pipe_end_state state_of(int peer)
{
	return peer == 0		? IPC9_PIPE_STATE_CONNECTED
	    : peer == IPC9_E_PEERCLOSED ? IPC9_PIPE_STATE_CLOSING
					: IPC9_PIPE_STATE_LOST;
}

static int info(struct ipc9_pipe *pipe, struct ipc9_pipe_end_info *ret, struct ipc9_error *e)
{
	struct carrier *c = stream_enter(pipe);
	struct carrier_waiting waiting = { .total = 0 };
	uint64_t unread;
	int r;

	if (!c)
		return pipe_calls_way.info(pipe, ret, e);
	r = c->ops->peer(c);
	unread = c->ops->unread(c);
	c->ops->peek(c, NULL, 0, &waiting);
	stream_leave(pipe);
	if (r == IPC9_E_NOTCONN)
		return stream_explain(pipe, r, NULL, e);
	if (ask_daemon(pipe, ret, e) && pipe->server)
		return e ? e->code : IPC9_E_LOST;
	ret->state = state_of(r);
	ret->way = pipe->carried;
	ret->unread_bytes = waiting.total;
	ret->sent_bytes = unread;
	return 0;
}

/* --- From any thread --------------------------------------------------------------------------- */

static void cancel(struct ipc9_pipe *pipe)
{
	struct carrier *c = stream_enter(pipe);

	atomic_fetch_add_explicit(&pipe->cancels, 1, memory_order_relaxed);
	if (!c)
		return;
	c->ops->cancel(c);
	stream_leave(pipe);
}

static void abort_pipe(struct ipc9_pipe *pipe)
{
	struct carrier *c = stream_enter(pipe);

	if (c) {
		c->ops->abort(c);
		pipe_wake(pipe);
		stream_leave(pipe);
	}
	link_abort(&pipe->link);
}

/* --- Ending ------------------------------------------------------------------------------------ */

static void close_pipe(struct ipc9_pipe *pipe)
{
	drop_carrier(pipe, link_close_deadline(&pipe->link));
	if (pipe->server)
		pipe_calls_way.close(pipe);
}

const struct pipe_way pipe_stream_way = {
	.accept = accept_pipe,
	.read = read_pipe,
	.peek = peek,
	.write = write_pipe,
	.room = room,
	.transact = transact,
	.flush = flush,
	.disconnect = disconnect,
	.end = end_pipe,
	.wait_closed = wait_closed,
	.info = info,
	.cancel = cancel,
	.abort = abort_pipe,
	.start = stream_start,
	.progress = stream_progress,
	.op_cancel = stream_op_cancel,
	.fd = stream_fd,
	.close = close_pipe,
};
