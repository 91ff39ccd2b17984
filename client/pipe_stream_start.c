/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_stream_start.c - started operations through a carrier.
 *
 * Each pass looks at the operations in the order in which they were started and goes on with those that nothing before them
 * holds up: a read by reads, a write by writes, a transaction by both.  Nothing waits in a pass; between two the carrier is
 * asked to say when something has changed.
 */
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>

#include "client/error.h"
#include "client/pipe.h"
#include "util/clock.h"

#define SLICE_MS                                                                                   \
	100 /* a cancel from another thread is seen after that, where there is no descriptor to be had */
#define ROUNDS 64 /* without a wait between them */

static bool is_cancelled(const struct ipc9_pipe_op *op)
{
	return op->cancel ||
	    op->cancels != atomic_load_explicit(&op->pipe->cancels, memory_order_relaxed);
}

/* What an operation that waits holds up: CARRIER_READABLE for those that read, CARRIER_WRITABLE for those that write. */
static unsigned holds_up(const struct ipc9_pipe_op *op)
{
	switch (op->kind) {
	case PIPE_OP_READ:
		return CARRIER_READABLE;
	case PIPE_OP_WRITE:
		return CARRIER_WRITABLE;
	case PIPE_OP_TRANSACT:
		return op->written ? CARRIER_READABLE : CARRIER_READABLE | CARRIER_WRITABLE;
	default:
		return 0;
	}
}

/* What an operation waits for that has been tried. */
static unsigned waits_for(const struct ipc9_pipe_op *op)
{
	return op->kind == PIPE_OP_TRANSACT && !op->written ? CARRIER_WRITABLE : holds_up(op);
}

/* Ends an operation with a carrier's code. */
static void op_end(struct ipc9_pipe_op *op, int code)
{
	stream_explain(op->pipe, code,
	    code == IPC9_E_ACCESS ? "it was not opened for that, or does not have this direction"
				  : NULL,
	    &op->error);
	if (op->kind == PIPE_OP_TRANSACT && op->written && code > 0)
		code = calls_explain_transaction(op->pipe, code, &op->error);
	pipe_op_done(op, code);
}

/* Each goes on with an operation: IPC9_E_TIMEDOUT when it has to wait, else its end. */
static int try_read(struct ipc9_pipe_op *op, struct carrier *c)
{
	return op->pipe->reads ? stream_read_some(op->pipe, c, &op->reading, 0) : IPC9_E_ACCESS;
}

/*
 * A write that has not begun, together with those that were started right behind it: where a carrier says that several are
 * faster than one after the other.  Those that are left go by themselves, and tell what is wrong.
 */
static void write_together(struct ipc9_pipe_op *first, struct carrier *c)
{
	struct ipc9_pipe_op *ops[CARRIER_TOGETHER], *op = first;
	struct iovec pieces[CARRIER_TOGETHER];
	size_t n = 0, bytes = 0;

	if (!c->ops->write_together)
		return;
	for (; op && n < CARRIER_TOGETHER; op = pipe_op_next(op->pipe, op)) {
		struct pipe_writing *w = &op->writing;

		if (op->done || is_cancelled(op) || pipe_op_is_dropped(op) ||
		    !(holds_up(op) & CARRIER_WRITABLE))
			continue;
		bytes += w->size;
		if (op->kind != PIPE_OP_WRITE || op->all_sent || w->n ||
		    bytes > CARRIER_TOGETHER_BYTES)
			break;
		ops[n] = op;
		pieces[n++] = (struct iovec){ (void *)(uintptr_t)w->data, w->size };
	}
	if (n < 2)
		return;
	(void)c->ops->write_together(c, pieces, n, &n);
	while (n) {
		op = ops[--n];
		op->writing.n = op->writing.size;
		op->all_sent = true;
	}
}

static int write_on(struct ipc9_pipe_op *op, struct carrier *c)
{
	struct pipe_writing *w = &op->writing;
	size_t n = 0;
	int r;

	if (!op->all_sent && !w->n)
		write_together(op, c);
	/* Taken, which of an empty message only the code tells, and then waited for: never the two in one. */
	if (!op->all_sent) {
		r = c->ops->write(c, w->data + w->n, w->size - w->n, CARRIER_QUEUED, 0, &n);
		w->n += n;
		if (r)
			return r;
		op->all_sent = true;
	}
	return c->ops->room(c, w->size > 0, 0);
}

static int try_write(struct ipc9_pipe_op *op, struct carrier *c)
{
	int r = op->pipe->writes ? write_on(op, c) : IPC9_E_ACCESS;

	stream_count_read(op->pipe, c, r, &op->writing.n);
	return r;
}

static int try_transact(struct ipc9_pipe_op *op, struct carrier *c)
{
	size_t n;
	int r;

	if (!op->written) {
		r = stream_check_transaction(op->pipe, c);
		if (!r)
			r = c->ops->write(c, op->writing.data, op->writing.size, CARRIER_QUEUED, 0,
			    &n);
		if (r)
			return r;
		op->written = true;
	}
	return stream_read_some(op->pipe, c, &op->reading, 0);
}

static int try_accept(struct ipc9_pipe_op *op, struct carrier *c)
{
	int r = c->ops->peer(c);

	op->connected = !r;
	op->client = op->pipe->peer;
	return r;
}

static int op_try(struct ipc9_pipe_op *op, struct carrier *c)
{
	switch (op->kind) {
	case PIPE_OP_READ:
		return try_read(op, c);
	case PIPE_OP_WRITE:
		return try_write(op, c);
	case PIPE_OP_ACCEPT:
		return try_accept(op, c);
	case PIPE_OP_TRANSACT:
		return try_transact(op, c);
	}
	return IPC9_E_INVALID;
}

/*
 * One pass; what those wait for that were tried and are left, and in *ret_done whether one has ended.  What waits for another
 * operation waits for nothing of the carrier's.
 */
static unsigned pass(struct ipc9_pipe *pipe, struct carrier *c, bool *ret_done)
{
	struct ipc9_pipe_op *op = NULL;
	unsigned waiting = 0, held = 0;

	while ((op = pipe_op_next(pipe, op))) {
		int r = IPC9_E_TIMEDOUT;

		if (op->done)
			continue;
		if (is_cancelled(op)) {
			r = IPC9_E_CANCELLED;
		} else if (pipe_op_is_dropped(op)) {
			r = IPC9_E_NOTCONN;
		} else if (!(held & holds_up(op))) {
			r = op_try(op, c);
			waiting |= r == IPC9_E_TIMEDOUT ? waits_for(op) : 0;
		}
		if (r == IPC9_E_TIMEDOUT) {
			held |= holds_up(op);
			continue;
		}
		op_end(op, r);
		*ret_done = true;
	}
	return waiting;
}

static void sleep_until(struct ipc9_pipe *pipe, const struct carrier *c, int64_t until)
{
	int64_t slice = clock_deadline_ms(SLICE_MS);
	struct pollfd p[2] = { { .fd = -1 }, { .fd = pipe_wake_fd(pipe), .events = POLLIN } };

	p[0].fd = c->ops->fd(c, &p[0].events);
	poll(p, 2, clock_poll_ms(slice < until ? slice : until));
}

/* Has the descriptor of the pipe tell, once, when something has changed for what waits. */
static void watch(struct ipc9_pipe *pipe, const struct carrier *c)
{
	short events = 0;
	int fd = c ? c->ops->fd(c, &events) : -1;

	pipe_watch(pipe, fd,
	    EPOLLONESHOT | (events & POLLIN ? (uint32_t)EPOLLIN : 0u) |
		(events & POLLOUT ? (uint32_t)EPOLLOUT : 0u));
}

void stream_progress(struct ipc9_pipe *pipe, int64_t until)
{
	struct carrier *c = stream_enter(pipe);
	bool done = false;
	unsigned waiting, rounds = 0;

	if (!c) { /* disconnected by another thread: the daemon knows the state */
		pipe_calls_way.progress(pipe, until);
		return;
	}
	calls_started_free(pipe); /* what had begun before there was a carrier */
	for (;;) {
		pipe_look_up(pipe);
		if (pipe->armed) /* what this thread takes in it needs not be told */
			c->ops->events(c, 0);
		waiting = pass(pipe, c, &done);
		pipe->armed = waiting;
		if (waiting && c->ops->events(c, waiting) & waiting) {
			if (++rounds < ROUNDS)
				continue; /* it has come in the meantime */
			pipe_wake(pipe);  /* as others may keep it from us for long */
			break;
		}
		if (done || !waiting || clock_now() >= until)
			break;
		sleep_until(pipe, c, until);
	}
	watch(pipe, waiting ? c : NULL);
	stream_leave(pipe);
}

void stream_start(struct ipc9_pipe_op *op)
{
	stream_progress(op->pipe, 0);
}

void stream_op_cancel(struct ipc9_pipe_op *op)
{
	stream_progress(op->pipe, 0);
}

int stream_fd(struct ipc9_pipe *pipe)
{
	const struct carrier *c = stream_enter(pipe);
	short events;
	int fd;

	if (!c)
		return calls_fd(pipe);
	fd = c->ops->fd(c, &events);
	stream_leave(pipe);
	return fd;
}
