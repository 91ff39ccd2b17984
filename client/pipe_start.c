/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_start.c - operations on a pipe that are started and finished later, over the table of its way (pipe.h).
 *
 * An operation stays in its pipe's list until it was finished.  The pipe's descriptor is an epoll of two: the way's own, for
 * what has to be taken in, and done_fd, which is readable while an operation is done that nobody has finished.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/error.h"
#include "client/pipe.h"
#include "util/clock.h"

/* --- What is done ------------------------------------------------------------------------------ */

/* Makes the descriptor readable, from any thread. */
static void announce(struct ipc9_pipe *pipe)
{
	int fd = atomic_load_explicit(&pipe->done_fd, memory_order_acquire);

	if (fd >= 0)
		(void)eventfd_write(fd, 1);
}

/* Makes it unreadable, unless something is done. */
static void settle(struct ipc9_pipe *pipe)
{
	int fd = atomic_load_explicit(&pipe->done_fd, memory_order_relaxed);
	eventfd_t count;

	if (fd >= 0 && pipe->n_done == 0)
		(void)!read(fd, &count, sizeof(count));
}

void pipe_op_done(struct ipc9_pipe_op *op, int code)
{
	op->done = true;
	op->code = code;
	op->pipe->n_done++;
	pipe_place_done(op->pipe, op->kind);
	announce(op->pipe);
}

struct ipc9_pipe_op *pipe_op_next(struct ipc9_pipe *pipe, const struct ipc9_pipe_op *op)
{
	struct list *link = op ? op->link.next : pipe->ops.next;

	return link == &pipe->ops ? NULL : LIST_ENTRY(link, struct ipc9_pipe_op, link);
}

static void op_free(struct ipc9_pipe_op *op)
{
	op->pipe->n_done -= op->done;
	list_remove(&op->link);
	free(op);
}

void pipe_ops_free(struct ipc9_pipe *pipe)
{
	int fd = atomic_load_explicit(&pipe->done_fd, memory_order_relaxed);

	while (!list_is_empty(&pipe->ops))
		op_free(LIST_ENTRY(pipe->ops.next, struct ipc9_pipe_op, link));
	if (pipe->epoll_fd >= 0)
		close(pipe->epoll_fd);
	if (fd >= 0)
		close(fd);
}

/* --- The descriptor ---------------------------------------------------------------------------- */

static int watch(int epoll_fd, int how, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(epoll_fd, how, fd, &event) ? -errno : 0;
}

void pipe_watch(struct ipc9_pipe *pipe, int fd, uint32_t events)
{
	if (pipe->epoll_fd < 0)
		return;
	if (pipe->way_fd >= 0 && pipe->way_fd != fd)
		watch(pipe->epoll_fd, EPOLL_CTL_DEL, pipe->way_fd, 0);
	/* Without memory for that nothing is lost: whoever finishes an operation looks. */
	if (fd >= 0)
		watch(pipe->epoll_fd, pipe->way_fd == fd ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, fd,
		    events);
	pipe->way_fd = fd;
}

int ipc9_pipe_fd(struct ipc9_pipe *pipe)
{
	int fd, done_fd, epoll_fd, r = 0;

	if (pipe->epoll_fd >= 0)
		return pipe->epoll_fd;
	fd = pipe->way->fd(pipe);
	if (fd < 0)
		return fd;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	done_fd = eventfd(pipe->n_done ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (epoll_fd < 0 || done_fd < 0)
		r = -errno;
	if (!r)
		r = watch(epoll_fd, EPOLL_CTL_ADD, done_fd, EPOLLIN);
	if (!r)
		r = watch(epoll_fd, EPOLL_CTL_ADD, fd, EPOLLIN);
	if (r) {
		if (epoll_fd >= 0)
			close(epoll_fd);
		if (done_fd >= 0)
			close(done_fd);
		return r;
	}
	pipe->epoll_fd = epoll_fd;
	pipe->way_fd = fd;
	atomic_store_explicit(&pipe->done_fd, done_fd, memory_order_release);
	pipe->way->progress(pipe, 0); /* it knows what is to be watched for */
	return epoll_fd;
}

/* --- Starting ---------------------------------------------------------------------------------- */

/* An operation at the end of the pipe's list; NULL without memory, and *e says so. */
static struct ipc9_pipe_op *op_new(struct ipc9_pipe *pipe, enum pipe_op_kind kind,
    struct ipc9_error *e)
{
	struct ipc9_pipe_op *op = calloc(1, sizeof(*op));

	if (!op) {
		error_set_own(e, -ENOMEM);
		return NULL;
	}
	op->pipe = pipe;
	op->kind = kind;
	op->cancels = atomic_load_explicit(&pipe->cancels, memory_order_relaxed);
	list_init(&op->parts);
	list_append(&pipe->ops, &op->link);
	pipe_place_started(pipe, kind);
	return op;
}

static int op_start(struct ipc9_pipe_op *op, struct ipc9_pipe_op **ret)
{
	if (!op)
		return -ENOMEM;
	if (op->kind != PIPE_OP_ACCEPT)
		pipe_take_client(op->pipe);
	op->pipe->way->start(op);
	*ret = op;
	return 0;
}

int ipc9_pipe_start_read(struct ipc9_pipe *pipe, void *buffer, size_t size,
    struct ipc9_pipe_op **ret, struct ipc9_error *e)
{
	struct ipc9_pipe_op *op;
	int r = pipe_check_unviewed(pipe, e);

	if (r)
		return r;
	op = op_new(pipe, PIPE_OP_READ, e);
	if (op)
		op->reading =
		    (struct pipe_reading){ .message = pipe->mode & IPC9_PIPE_MODE_MESSAGES,
			    .buffer = buffer,
			    .size = size };
	return op_start(op, ret);
}

int ipc9_pipe_start_write(struct ipc9_pipe *pipe, const void *data, size_t size,
    struct ipc9_pipe_op **ret, struct ipc9_error *e)
{
	struct ipc9_pipe_op *op;
	int r = pipe_check_unreserved(pipe, e);

	if (!r)
		r = pipe_check_message(pipe, size, e);
	if (r)
		return r;
	op = op_new(pipe, PIPE_OP_WRITE, e);
	if (op)
		op->writing = (struct pipe_writing){ .data = data, .size = size };
	return op_start(op, ret);
}

int ipc9_pipe_start_writes(struct ipc9_pipe *pipe, const struct iovec *data, size_t n,
    struct ipc9_pipe_op **ret, struct ipc9_error *e)
{
	struct list *before = pipe->ops.prev, *link = before;
	int r = 0;

	for (size_t i = 0; i < n && !r; i++)
		r = pipe_check_message(pipe, data[i].iov_len, e);
	for (size_t i = 0; i < n && !r; i++) {
		struct ipc9_pipe_op *op = op_new(pipe, PIPE_OP_WRITE, e);

		if (op)
			op->writing = (struct pipe_writing){ .data = data[i].iov_base,
				.size = data[i].iov_len };
		else
			r = -ENOMEM;
	}
	while (r && pipe->ops.prev != before)
		op_free(LIST_ENTRY(pipe->ops.prev, struct ipc9_pipe_op, link));
	if (r)
		return r;
	for (size_t i = 0; i < n; i++) {
		link = link->next;
		ret[i] = LIST_ENTRY(link, struct ipc9_pipe_op, link);
	}
	if (n)
		pipe_take_client(pipe);
	/* Now that all are there: the first one takes with it what can leave. */
	for (size_t i = 0; i < n; i++)
		if (!ret[i]->done)
			pipe->way->start(ret[i]);
	return 0;
}

int ipc9_pipe_start_accept(struct ipc9_pipe *pipe, struct ipc9_pipe_op **ret, struct ipc9_error *e)
{
	if (!pipe->server)
		return error_set(e, IPC9_E_INVALID, "%s: this is a client's end",
		    pipe->link.target.subject);
	return op_start(op_new(pipe, PIPE_OP_ACCEPT, e), ret);
}

int ipc9_pipe_start_transact(struct ipc9_pipe *pipe, const void *request, size_t request_size,
    void *buffer, size_t size, struct ipc9_pipe_op **ret, struct ipc9_error *e)
{
	struct ipc9_pipe_op *op;
	int r = pipe_check_transaction(pipe, request_size, e);

	if (r)
		return r;
	op = op_new(pipe, PIPE_OP_TRANSACT, e);
	if (op) {
		op->writing = (struct pipe_writing){ .data = request, .size = request_size };
		op->reading =
		    (struct pipe_reading){ .message = true, .buffer = buffer, .size = size };
	}
	return op_start(op, ret);
}

/* --- Finishing --------------------------------------------------------------------------------- */

static void tell(const struct ipc9_pipe_op *op, struct ipc9_pipe_result *ret)
{
	*ret = (struct ipc9_pipe_result){
		.size_bytes = op->kind == PIPE_OP_WRITE ? op->writing.n : op->reading.n,
		.more = op->reading.more,
		.connected = op->connected,
		.client = op->client,
	};
}

int ipc9_pipe_finish(struct ipc9_pipe_op *op, int wait_ms, struct ipc9_pipe_result *ret,
    struct ipc9_error *e)
{
	struct ipc9_pipe *pipe = op->pipe;
	int64_t until = clock_deadline_ms(wait_ms);
	int r = link_check_wait(&pipe->link, wait_ms, e);

	if (r)
		return r;
	settle(pipe);
	if (!op->done)
		pipe->way->progress(pipe, wait_ms ? until : 0);
	while (!op->done && wait_ms && clock_now() < until)
		pipe->way->progress(pipe, until);
	if (!op->done) {
		r = wait_ms ? IPC9_E_TIMEDOUT : IPC9_E_PENDING;
		return error_set(e, r, "%s: %s", pipe->link.target.subject, ipc9_strerror(r));
	}
	r = op->code;
	if (ret)
		tell(op, ret);
	if (r && e)
		*e = op->error;
	op_free(op);
	settle(pipe);
	return r;
}

void ipc9_pipe_op_cancel(struct ipc9_pipe_op *op)
{
	op->cancel = true;
	if (!op->done)
		op->pipe->way->op_cancel(op);
}

void ipc9_pipe_cancel(struct ipc9_pipe *pipe)
{
	pipe->way->cancel(pipe);
	announce(pipe); /* for operations that were about to leave */
}
