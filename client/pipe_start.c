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

void pipe_wake(struct ipc9_pipe *pipe)
{
	pthread_mutex_lock(&pipe->watching);
	if (pipe->n_waiting && !atomic_load_explicit(&pipe->woken, memory_order_relaxed)) {
		atomic_store_explicit(&pipe->woken, true, memory_order_relaxed);
		if (pipe->wake_fd >= 0)
			(void)eventfd_write(pipe->wake_fd, 1);
	}
	pthread_mutex_unlock(&pipe->watching);
}

/* With `watching` held. */
static void look_up(struct ipc9_pipe *pipe)
{
	eventfd_t count;

	if (!atomic_load_explicit(&pipe->woken, memory_order_relaxed))
		return;
	atomic_store_explicit(&pipe->woken, false, memory_order_relaxed);
	if (pipe->wake_fd >= 0)
		(void)!read(pipe->wake_fd, &count, sizeof(count));
}

void pipe_look_up(struct ipc9_pipe *pipe)
{
	/* Whoever says it right now has the descriptor say so afterwards. */
	if (!atomic_load_explicit(&pipe->woken, memory_order_relaxed))
		return;
	pthread_mutex_lock(&pipe->watching);
	look_up(pipe);
	pthread_mutex_unlock(&pipe->watching);
}

int pipe_wake_fd(struct ipc9_pipe *pipe)
{
	int fd;

	pthread_mutex_lock(&pipe->watching);
	if (pipe->wake_fd < 0)
		pipe->wake_fd =
		    eventfd(atomic_load_explicit(&pipe->woken, memory_order_relaxed) ? 1 : 0,
			EFD_CLOEXEC | EFD_NONBLOCK);
	fd = pipe->wake_fd;
	pthread_mutex_unlock(&pipe->watching);
	return fd;
}

/* Nobody is woken while nothing waits. */
static void count_waiting(struct ipc9_pipe *pipe, int more)
{
	pthread_mutex_lock(&pipe->watching);
	pipe->n_waiting += (unsigned)more;
	if (!pipe->n_waiting)
		look_up(pipe);
	pthread_mutex_unlock(&pipe->watching);
}

void pipe_op_done(struct ipc9_pipe_op *op, int code)
{
	struct ipc9_pipe *pipe = op->pipe;

	op->done = true;
	op->code = code;
	count_waiting(pipe, -1);
	pipe_place_done(pipe, op->kind);
	if (pipe->n_done++ == 0 && pipe->done_fd >= 0)
		(void)eventfd_write(pipe->done_fd, 1);
}

bool pipe_op_is_dropped(const struct ipc9_pipe_op *op)
{
	return op->drops != atomic_load_explicit(&op->pipe->drops, memory_order_acquire);
}

struct ipc9_pipe_op *pipe_op_next(struct ipc9_pipe *pipe, const struct ipc9_pipe_op *op)
{
	struct list *link = op ? op->link.next : pipe->ops.next;

	return link == &pipe->ops ? NULL : LIST_ENTRY(link, struct ipc9_pipe_op, link);
}

static void op_free(struct ipc9_pipe_op *op)
{
	struct ipc9_pipe *pipe = op->pipe;
	eventfd_t count;

	if (!op->done) {
		count_waiting(pipe, -1);
		pipe_place_done(pipe, op->kind);
	} else if (--pipe->n_done == 0 && pipe->done_fd >= 0) {
		(void)!read(pipe->done_fd, &count, sizeof(count));
	}
	list_remove(&op->link);
	free(op);
}

void pipe_ops_free(struct ipc9_pipe *pipe)
{
	const int fds[] = { pipe->epoll_fd, pipe->done_fd, pipe->wake_fd };

	while (!list_is_empty(&pipe->ops))
		op_free(LIST_ENTRY(pipe->ops.next, struct ipc9_pipe_op, link));
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

/* --- The descriptor ---------------------------------------------------------------------------- */

static int watch(int epoll_fd, int how, int fd, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.fd = fd };

	return epoll_ctl(epoll_fd, how, fd, &event) ? -errno : 0;
}

/* With `watching` held. */
static void watch_way(struct ipc9_pipe *pipe, int fd, uint32_t events)
{
	if (pipe->way_fd >= 0 && pipe->way_fd != fd)
		watch(pipe->epoll_fd, EPOLL_CTL_DEL, pipe->way_fd, 0);
	/*
	 * Without memory for that nothing is lost: whoever finishes an operation looks.  One of the same number may have been
	 * closed, and have left by that.
	 */
	if (fd >= 0 &&
	    (pipe->way_fd != fd || watch(pipe->epoll_fd, EPOLL_CTL_MOD, fd, events) == -ENOENT))
		watch(pipe->epoll_fd, EPOLL_CTL_ADD, fd, events);
	pipe->way_fd = fd;
	pipe->way_events = events;
}

void pipe_watch(struct ipc9_pipe *pipe, int fd, uint32_t events)
{
	pthread_mutex_lock(&pipe->watching);
	/* What tells once is asked for anew. */
	if (pipe->epoll_fd >= 0 &&
	    (pipe->way_fd != fd || pipe->way_events != events || events & EPOLLONESHOT))
		watch_way(pipe, fd, events);
	pthread_mutex_unlock(&pipe->watching);
}

int ipc9_pipe_fd(struct ipc9_pipe *pipe)
{
	int fd, done_fd, epoll_fd, wake_fd, r = 0;

	if (pipe->epoll_fd >= 0)
		return pipe->epoll_fd;
	fd = pipe->way->fd(pipe);
	if (fd < 0)
		return fd;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	done_fd = eventfd(pipe->n_done ? 1 : 0, EFD_CLOEXEC | EFD_NONBLOCK);
	wake_fd = pipe_wake_fd(pipe);
	if (epoll_fd < 0 || done_fd < 0 || wake_fd < 0)
		r = -errno;
	if (!r)
		r = watch(epoll_fd, EPOLL_CTL_ADD, done_fd, EPOLLIN);
	if (!r)
		r = watch(epoll_fd, EPOLL_CTL_ADD, wake_fd, EPOLLIN);
	if (r) {
		if (epoll_fd >= 0)
			close(epoll_fd);
		if (done_fd >= 0)
			close(done_fd);
		return r;
	}
	pipe->done_fd = done_fd;
	pthread_mutex_lock(&pipe->watching);
	pipe->epoll_fd = epoll_fd;
	pthread_mutex_unlock(&pipe->watching);
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
	op->drops = atomic_load_explicit(&pipe->drops, memory_order_acquire);
	list_init(&op->parts);
	list_append(&pipe->ops, &op->link);
	count_waiting(pipe, 1);
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
	int r = pipe_check_unreserved(pipe, e);

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
	/* What others have said is for the operations that are left, even if this one is done. */
	if (!op->done ||
	    (pipe->n_waiting && atomic_load_explicit(&pipe->woken, memory_order_relaxed)))
		pipe->way->progress(pipe, wait_ms && !op->done ? until : 0);
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
	pipe_wake(pipe); /* for operations that were about to leave */
}
