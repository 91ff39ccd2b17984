/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_data.c - reading and writing a pipe, in the ordinary-call mode of pipe.x.
 *
 * READs go one at a time: what an answer took out of the pipe must never be on its way when nobody waits.
 *
 * A large write to a byte pipe is several WRITEs under way at once, in order.  Together they stay well
 * under what the daemon lets one connection hold in waiting calls (4 MiB): beyond that it would stop reading
 * the connection, and with it the other thread's READs, and two ends that both write much would wait for
 * each other for ever.
 */
#include <string.h>

#include "client/error.h"
#include "client/pipe.h"
#include "util/clock.h"

#define WRITE_PIECE 262144

_Static_assert(WRITE_PIECE *LINK_WINDOW <= IPC9_BLOB_MAX, "two threads' worth is far below 4 MiB");

LINK_ASSERT_RESULTS(ipc9_pipe_read_res);
LINK_ASSERT_RESULTS(ipc9_pipe_write_res);

static const struct link_procedure read_procedure = {
	.number = IPC9_PIPEPROC_READ,
	.loss = LINK_LOSS_LOST,
	.lost = PIPE_LOST,
	LINK_TYPES(ipc9_pipe_read_args, ipc9_pipe_read_res),
};
static const struct link_procedure write_procedure = {
	.number = IPC9_PIPEPROC_WRITE,
	.loss = LINK_LOSS_LOST,
	.lost = PIPE_LOST,
	LINK_TYPES(ipc9_pipe_write_args, ipc9_pipe_write_res),
};
static const struct link_procedure end_procedure = {
	.number = IPC9_PIPEPROC_END,
	.loss = LINK_LOSS_LOST,
	.lost = PIPE_LOST,
	LINK_TYPES(ipc9_handle_args, ipc9_void_res),
};

/* --- Reading ----------------------------------------------------------------------------------- */

static int read_until(struct ipc9_pipe *pipe, ipc9_pipe_read_args *args, int64_t until,
    ipc9_pipe_read_res *res, struct ipc9_error *e)
{
	int r;

	do {
		args->wait_ms = link_wait_ms(until);
		r = link_call(&pipe->link, &read_procedure, args, res,
		    link_wait_deadline(&pipe->link, args->wait_ms), e);
	} while (r == IPC9_E_TIMEDOUT && clock_now() < until);
	if (r == IPC9_E_TIMEDOUT)
		error_set(e, r, "%s: nothing came in time", pipe->link.target.subject);
	return r;
}

static int read_piece(struct ipc9_pipe *pipe, bool message, void *buffer, size_t size, int wait_ms,
    size_t *ret_size, bool *ret_more, struct ipc9_error *e)
{
	ipc9_pipe_read_args args = {
		.pipe = pipe->handle,
		.max_bytes = size < IPC9_BLOB_MAX ? (u_int)size : IPC9_BLOB_MAX,
		.messages = message,
	};
	ipc9_pipe_read_res res;
	const ipc9_pipe_read_ok *ok = &res.ipc9_pipe_read_res_u.ok;
	int r = link_check_wait(&pipe->link, wait_ms, e);

	if (!r)
		r = read_until(pipe, &args, clock_deadline_ms(wait_ms), &res, e);
	if (r)
		return r;
	if (ok->data.len > args.max_bytes) {
		r = error_set(e, IPC9_E_MISMATCH, "%s: %s sent more than was asked for",
		    pipe->link.target.subject, pipe->link.target.who);
	} else {
		if (ok->data.len)
			memcpy(buffer, ok->data.data, ok->data.len);
		*ret_size = ok->data.len;
		*ret_more = ok->more;
	}
	xdr_free(read_procedure.results, &res);
	return r;
}

int ipc9_pipe_read(struct ipc9_pipe *pipe, void *buffer, size_t size, int wait_ms, size_t *ret_size,
    struct ipc9_error *e)
{
	bool more;

	if (size == 0)
		return error_set(e, IPC9_E_INVALID, "%s: a buffer of no bytes",
		    pipe->link.target.subject);
	return read_piece(pipe, false, buffer, size, wait_ms, ret_size, &more, e);
}

int ipc9_pipe_read_message(struct ipc9_pipe *pipe, void *buffer, size_t size, int wait_ms,
    size_t *ret_size, bool *ret_more, struct ipc9_error *e)
{
	if (pipe->type != IPC9_PIPE_TYPE_MESSAGE)
		return error_set(e, IPC9_E_BADSTATE, "%s: a byte pipe has no messages",
		    pipe->link.target.subject);
	return read_piece(pipe, true, buffer, size, wait_ms, ret_size, ret_more, e);
}

/* --- Writing ----------------------------------------------------------------------------------- */

/* A write under way. */
struct writing {
	struct link_window window;
	bool full;   /* the quota was still exceeded when a WRITE's wait was over */
	bool broken; /* a WRITE was taken after an earlier one was not */
};

static int send_write(struct ipc9_pipe *pipe, struct writing *w, const unsigned char *data,
    uint32_t size, struct ipc9_error *e)
{
	ipc9_pipe_write_args args = {
		.pipe = pipe->handle,
		.wait_ms = IPC9_WAIT_MAX_MS,
		.data = { .data = data, .len = size },
	};
	ipc9_pipe_write_res res = { 0 };
	struct link_try try;

	if (link_window_send(&pipe->link, &w->window, &write_procedure, &args,
		link_wait_deadline(&pipe->link, args.wait_ms), &try))
		return 0;
	return link_explain(&pipe->link, &write_procedure, &try, &res, e);
}

static int collect_write(struct ipc9_pipe *pipe, struct writing *w, struct ipc9_error *e)
{
	ipc9_pipe_write_res res;
	struct link_try try;
	int r;

	link_window_wait(&pipe->link, &w->window, &write_procedure, &res,
	    link_wait_deadline(&pipe->link, IPC9_WAIT_MAX_MS), &try);
	r = link_explain(&pipe->link, &write_procedure, &try, &res, e);
	if (!r)
		w->full |= res.ipc9_pipe_write_res_u.ok.full;
	return r;
}

/* After a failure: sees to the WRITEs that had left before it was known. */
static void collect_rest(struct ipc9_pipe *pipe, struct writing *w)
{
	while (w->window.n)
		if (collect_write(pipe, w, NULL) == 0)
			w->broken = true;
}

/* Everything was taken, but more than the quota is unread: waits for the reader. */
static int wait_for_room(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	unsigned events;
	int r = pipe_poll(pipe, IPC9_PIPE_WRITABLE, IPC9_FOREVER, &events, e);

	if (r || !(events & IPC9_PIPE_CLOSED))
		return r;
	/* Closed, or lost? */
	r = pipe_poll(pipe, IPC9_PIPE_CLOSED, 0, NULL, e);
	return r ? r
		 : error_set(e, IPC9_E_PEERCLOSED, "%s: %s", pipe->link.target.subject,
		       ipc9_strerror(IPC9_E_PEERCLOSED));
}

static int write_pieces(struct ipc9_pipe *pipe, struct writing *w, const unsigned char *data,
    size_t size, struct ipc9_error *e)
{
	/* While it is not known that somebody is there, a refusal may be followed by success. */
	unsigned n_max = pipe->connected ? LINK_WINDOW : 1;
	int r = 0;

	while (!r && (size || w->window.n)) {
		uint32_t piece = size < WRITE_PIECE ? (uint32_t)size : WRITE_PIECE;

		if (!size || w->window.n == n_max) {
			r = collect_write(pipe, w, e);
			continue;
		}
		r = send_write(pipe, w, data, piece, e);
		data += piece;
		size -= piece;
	}
	return r;
}

static int write_message(struct ipc9_pipe *pipe, struct writing *w, const void *data, size_t size,
    struct ipc9_error *e)
{
	int r;

	if (size > IPC9_MESSAGE_BYTES)
		return error_set(e, IPC9_E_TOOBIG,
		    "%s: the message has %zu bytes and may have at most %d; nothing was sent",
		    pipe->link.target.subject, size, IPC9_MESSAGE_BYTES);
	r = send_write(pipe, w, data, (uint32_t)size, e);
	return r ? r : collect_write(pipe, w, e);
}

int ipc9_pipe_write(struct ipc9_pipe *pipe, const void *data, size_t size, struct ipc9_error *e)
{
	struct writing w = { .full = false };
	int r = pipe->type == IPC9_PIPE_TYPE_MESSAGE ? write_message(pipe, &w, data, size, e)
						     : write_pieces(pipe, &w, data, size, e);

	if (!r)
		return w.full ? wait_for_room(pipe, e) : 0;
	collect_rest(pipe, &w);
	if (w.broken) {
		/* There is a hole in what the other end got: it must not take it for the whole. */
		channel_abort(pipe->link.channel);
		error_set(e, IPC9_E_LOST, "%s: a part of a write was refused; the pipe is given up",
		    pipe->link.target.subject);
		return IPC9_E_LOST;
	}
	return r;
}

int ipc9_pipe_end(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	ipc9_handle_args args = { pipe->handle };
	ipc9_void_res res;
	int r = link_call(&pipe->link, &end_procedure, &args, &res,
	    context_deadline(pipe->link.ipc9), e);

	if (!r)
		xdr_free(end_procedure.results, &res);
	return r;
}
