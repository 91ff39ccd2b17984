/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_calls.c - a pipe's end by the ordinary calls of pipe.x: the daemon has the queues, and keeps the state table.
 *
 * READs go one at a time: what an answer took out of the pipe must never be on its way when nobody waits.
 *
 * A large write to a byte pipe is several WRITEs under way at once, in order.  Together they stay well
 * under what the daemon lets one connection hold in waiting calls (4 MiB): beyond that it would stop reading
 * the connection, and with it the other thread's READs, and two ends that both write much would wait for
 * each other for ever.
 *
 * To cancel is a call too, since only the daemon knows what has been done: what waits there is answered CANCELLED.
 * A call that is about to leave then would be missed; so calls leave under `sending`, and only while nobody has cancelled since
 * their operation began.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "client/error.h"
#include "client/pipe.h"
#include "client/wire.h"
#include "util/clock.h"

_Static_assert((int)IPC9_PIPE_BY_SOCKET == IPC9_PIPE_BY_CALLS + IPC9_PIPE_WAY_FRAMES &&
	(int)IPC9_PIPE_BY_MEMORY == IPC9_PIPE_BY_CALLS + IPC9_PIPE_WAY_SHARED,
    "ipc9.h and pipe.x agree on ways");
_Static_assert(CALLS_PIECE *LINK_WINDOW <= IPC9_BLOB_MAX, "two threads' worth is far below 4 MiB");

LINK_ASSERT_RESULTS(ipc9_pipe_accept_res);
LINK_ASSERT_RESULTS(ipc9_pipe_read_res);
LINK_ASSERT_RESULTS(ipc9_pipe_write_res);
LINK_ASSERT_RESULTS(ipc9_pipe_poll_res);
LINK_ASSERT_RESULTS(ipc9_pipe_peek_res);
LINK_ASSERT_RESULTS(ipc9_pipe_cancel_res);
LINK_ASSERT_RESULTS(ipc9_pipe_info_res);

/* Calls about the end: it goes with the connection. */
#define END_PROCEDURE(NUMBER, ARGS, RESULTS)                                                       \
	{                                                                                          \
		.number = (NUMBER), .loss = LINK_LOSS_LOST, .lost = PIPE_LOST,                     \
		LINK_TYPES(ARGS, RESULTS)                                                          \
	}

const struct link_procedure calls_accept_procedure =
    END_PROCEDURE(IPC9_PIPEPROC_ACCEPT, ipc9_pipe_accept_args, ipc9_pipe_accept_res);
const struct link_procedure calls_read_procedure =
    END_PROCEDURE(IPC9_PIPEPROC_READ, ipc9_pipe_read_args, ipc9_pipe_read_res);
const struct link_procedure calls_write_procedure =
    END_PROCEDURE(IPC9_PIPEPROC_WRITE, ipc9_pipe_write_args, ipc9_pipe_write_res);
const struct link_procedure calls_flush_procedure =
    END_PROCEDURE(IPC9_PIPEPROC_FLUSH, ipc9_pipe_flush_args, ipc9_void_res);
const struct link_procedure calls_transact_procedure = {
	.number = IPC9_PIPEPROC_TRANSACT,
	.loss = LINK_LOSS_UNKNOWN,
	.lost = PIPE_LOST,
	LINK_TYPES(ipc9_pipe_transact_args, ipc9_pipe_read_res),
};
const struct link_procedure calls_poll_procedure =
    END_PROCEDURE(IPC9_PIPEPROC_POLL, ipc9_pipe_poll_args, ipc9_pipe_poll_res);
static const struct link_procedure end_procedure =
    END_PROCEDURE(IPC9_PIPEPROC_END, ipc9_handle_args, ipc9_void_res);
static const struct link_procedure close_procedure =
    END_PROCEDURE(IPC9_PIPEPROC_CLOSE, ipc9_handle_args, ipc9_void_res);
static const struct link_procedure peek_procedure =
    END_PROCEDURE(IPC9_PIPEPROC_PEEK, ipc9_pipe_peek_args, ipc9_pipe_peek_res);
static const struct link_procedure disconnect_procedure =
    END_PROCEDURE(IPC9_PIPEPROC_DISCONNECT, ipc9_handle_args, ipc9_void_res);
static const struct link_procedure cancel_procedure =
    END_PROCEDURE(IPC9_PIPEPROC_CANCEL, ipc9_pipe_cancel_args, ipc9_pipe_cancel_res);
static const struct link_procedure info_procedure =
    END_PROCEDURE(IPC9_PIPEPROC_INFO, ipc9_handle_args, ipc9_pipe_info_res);

/* --- Calls that can be cancelled --------------------------------------------------------------- */

static unsigned cancels_of(const struct ipc9_pipe *pipe)
{
	return atomic_load_explicit(&pipe->cancels, memory_order_relaxed);
}

/* Takes `sending`, which somebody with much to send may have; false at the deadline. */
static bool begin_sending(struct ipc9_pipe *pipe, int64_t deadline)
{
	struct timespec until = clock_timespec(deadline);

	if (deadline == CLOCK_NEVER)
		return !pthread_mutex_lock(&pipe->sending);
	return !pthread_mutex_clocklock(&pipe->sending, CLOCK_MONOTONIC, &until);
}

/* As link_window_send, for an operation that began at so many `cancels`.  0, or a code with a sentence. */
static int send_call(struct ipc9_pipe *pipe, struct link_window *window,
    const struct link_procedure *p, void *args, int64_t deadline, unsigned cancels,
    struct ipc9_error *e)
{
	ipc9_void_res nothing = { 0 };
	struct link_try try = { .stat = RPC_TIMEDOUT };
	bool cancelled = false, sent = false;

	if (begin_sending(pipe, deadline)) {
		cancelled = cancels_of(pipe) != cancels;
		if (!cancelled)
			sent = link_window_send(&pipe->link, window, p, args, deadline, &try);
		pthread_mutex_unlock(&pipe->sending);
	}
	if (cancelled)
		return pipe_cancelled(pipe, e);
	/* Nothing was received, so there is nothing to free; the type does not matter. */
	return sent ? 0
		    : link_explain(&pipe->link,
			  &(struct link_procedure){ .number = p->number,
			      .loss = p->loss,
			      .lost = p->lost,
			      LINK_TYPES(ipc9_handle_args, ipc9_void_res) },
			  &try, &nothing, e);
}

/* As link_call, for an operation that began at so many `cancels`. */
static int call(struct ipc9_pipe *pipe, const struct link_procedure *p, void *args, void *results,
    int64_t deadline, unsigned cancels, struct ipc9_error *e)
{
	struct link_window window = { .n = 0 };
	struct link_try try;
	int r = send_call(pipe, &window, p, args, deadline, cancels, e);

	if (r)
		return r;
	link_window_wait(&pipe->link, &window, p, results, deadline, &try);
	return link_explain(&pipe->link, p, &try, results, e);
}

void calls_cancel(struct ipc9_pipe *pipe, bool all, uint32_t xid)
{
	ipc9_pipe_cancel_args args = { pipe->handle, all, xid };
	int64_t deadline = link_close_deadline(&pipe->link);
	struct link_window window = { .n = 0 };
	ipc9_pipe_cancel_res res;
	struct link_try try;
	bool sent;

	if (all)
		atomic_fetch_add_explicit(&pipe->cancels, 1, memory_order_relaxed);
	if (!begin_sending(pipe, deadline))
		return;
	sent = link_window_send(&pipe->link, &window, &cancel_procedure, &args, deadline, &try);
	pthread_mutex_unlock(&pipe->sending);
	if (!sent)
		return;
	link_window_wait(&pipe->link, &window, &cancel_procedure, &res, deadline, &try);
	if (!link_explain(&pipe->link, &cancel_procedure, &try, &res, NULL))
		xdr_free(cancel_procedure.results, &res);
}

static void cancel(struct ipc9_pipe *pipe)
{
	calls_cancel(pipe, true, 0);
}

/*
 * Makes calls that wait over there, one after the other, until one ends otherwise than by IPC9_E_TIMEDOUT or the time is
 * over.  wait_ms lies in args.
 */
static int call_until(struct ipc9_pipe *pipe, const struct link_procedure *p, void *args,
    u_int *wait_ms, void *results, int64_t until, unsigned cancels, struct ipc9_error *e)
{
	int r;

	do {
		*wait_ms = link_wait_ms(until);
		r = call(pipe, p, args, results, link_wait_deadline(&pipe->link, *wait_ms), cancels,
		    e);
	} while (r == IPC9_E_TIMEDOUT && clock_now() < until);
	return r;
}

/* --- Reading ----------------------------------------------------------------------------------- */

int calls_take_read(const struct ipc9_pipe *pipe, struct pipe_reading *reading,
    ipc9_pipe_read_res *res, struct ipc9_error *e)
{
	const ipc9_pipe_read_ok *ok = &res->ipc9_pipe_read_res_u.ok;
	int r = 0;

	if (ok->data.len > reading->size) {
		r = error_set(e, IPC9_E_MISMATCH, "%s: %s sent more than was asked for",
		    pipe->link.target.subject, pipe->link.target.who);
	} else {
		if (ok->data.len)
			memcpy(reading->buffer, ok->data.data, ok->data.len);
		reading->n = ok->data.len;
		reading->more = ok->more;
	}
	xdr_free(calls_read_procedure.results, res);
	return r;
}

static u_int blob_bytes(size_t size)
{
	return size < IPC9_BLOB_MAX ? (u_int)size : IPC9_BLOB_MAX;
}

static int read_since(struct ipc9_pipe *pipe, struct pipe_reading *reading, int64_t until,
    unsigned cancels, struct ipc9_error *e)
{
	ipc9_pipe_read_args args = {
		.pipe = pipe->handle,
		.max_bytes = blob_bytes(reading->size),
		.messages = reading->message,
	};
	ipc9_pipe_read_res res;
	int r =
	    call_until(pipe, &calls_read_procedure, &args, &args.wait_ms, &res, until, cancels, e);

	if (r == IPC9_E_TIMEDOUT)
		error_set(e, r, "%s: nothing came in time", pipe->link.target.subject);
	return r ? r : calls_take_read(pipe, reading, &res, e);
}

static int read_pipe(struct ipc9_pipe *pipe, struct pipe_reading *reading, int64_t until,
    struct ipc9_error *e)
{
	return read_since(pipe, reading, until, cancels_of(pipe), e);
}

static int peek(struct ipc9_pipe *pipe, void *buffer, size_t size, struct ipc9_pipe_peeked *ret,
    struct ipc9_error *e)
{
	ipc9_pipe_peek_args args = { pipe->handle, blob_bytes(size) };
	ipc9_pipe_peek_res res;
	const ipc9_pipe_peek_ok *ok = &res.ipc9_pipe_peek_res_u.ok;
	int r = call(pipe, &peek_procedure, &args, &res, context_deadline(pipe->link.ipc9),
	    cancels_of(pipe), e);

	if (r)
		return r;
	if (ok->data.len > size) {
		r = error_set(e, IPC9_E_MISMATCH, "%s: %s sent more than was asked for",
		    pipe->link.target.subject, pipe->link.target.who);
	} else {
		if (ok->data.len)
			memcpy(buffer, ok->data.data, ok->data.len);
		*ret = (struct ipc9_pipe_peeked){ ok->waiting, ok->data.len, ok->total_bytes,
			ok->left_bytes };
	}
	xdr_free(peek_procedure.results, &res);
	return r;
}

/* --- Writing ----------------------------------------------------------------------------------- */

/* A write under way. */
struct writing {
	struct pipe_writing *what;
	int64_t until;
	unsigned cancels;
	struct link_window window;
	uint32_t sizes[LINK_WINDOW]; /* of those in the window, oldest first */
	bool full;		     /* the quota was still exceeded when a WRITE's wait was over */
	bool failed;		     /* a WRITE was refused */
	bool broken;		     /* and a later one was not */
};

static int send_write(struct ipc9_pipe *pipe, struct writing *w, const unsigned char *data,
    uint32_t size, struct ipc9_error *e)
{
	ipc9_pipe_write_args args = {
		.pipe = pipe->handle,
		.wait_ms = link_wait_ms(w->until),
		.flags = (w->what->fitting ? IPC9_PIPE_WRITE_FITTING : 0u) |
		    (w->what->part ? IPC9_PIPE_WRITE_PART : 0u),
		.data = { .data = data, .len = size },
	};
	int r = send_call(pipe, &w->window, &calls_write_procedure, &args,
	    link_wait_deadline(&pipe->link, args.wait_ms), w->cancels, e);

	if (!r)
		w->sizes[w->window.n - 1] = size;
	return r;
}

static int collect_write(struct ipc9_pipe *pipe, struct writing *w, struct ipc9_error *e)
{
	ipc9_pipe_write_res res;
	const ipc9_pipe_write_ok *ok = &res.ipc9_pipe_write_res_u.ok;
	struct link_try try;
	uint64_t taken;
	int r;

	link_window_wait(&pipe->link, &w->window, &calls_write_procedure, &res,
	    link_wait_deadline(&pipe->link, IPC9_WAIT_MAX_MS), &try);
	r = link_explain(&pipe->link, &calls_write_procedure, &try, &res, e);
	if (!r)
		w->full |= ok->full;
	w->broken |= !r && w->failed;
	w->failed |= r != 0;
	taken = r == 0 ? ok->taken_bytes
	    : r == IPC9_E_CANCELLED && try.stat == RPC_SUCCESS
	    ? res.ipc9_pipe_write_res_u.error.value
	    : 0;
	w->what->n += taken < w->sizes[0] ? (size_t)taken : w->sizes[0];
	memmove(w->sizes, w->sizes + 1, sizeof(w->sizes) - sizeof(w->sizes[0]));
	return r;
}

int calls_give_up(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	link_abort(&pipe->link);
	return error_set(e, IPC9_E_LOST, "%s: a part of a write was refused; the pipe is given up",
	    pipe->link.target.subject);
}

/* After a failure, or when the time is over: sees to the WRITEs that had left before.  What is wrong with the first of them. */
static int collect_rest(struct ipc9_pipe *pipe, struct writing *w, struct ipc9_error *e)
{
	int r = 0;

	while (w->window.n) {
		int again = collect_write(pipe, w, r ? NULL : e);

		r = r ? r : again;
	}
	return r;
}

/* Until what is unread fits the quota. */
static int wait_for_quota(struct ipc9_pipe *pipe, int64_t until, unsigned cancels,
    struct ipc9_error *e)
{
	ipc9_pipe_flush_args args = { .pipe = pipe->handle, .room = TRUE };
	ipc9_void_res res;

	if (clock_now() >= until)
		return IPC9_E_TIMEDOUT;
	return call_until(pipe, &calls_flush_procedure, &args, &args.wait_ms, &res, until, cancels,
	    e);
}

/* Everything that left was taken, but more than the quota is unread: waits for the reader. */
static int wait_for_room(struct ipc9_pipe *pipe, struct writing *w, struct ipc9_error *e)
{
	int r = wait_for_quota(pipe, w->until, w->cancels, e);

	w->full = false;
	return r;
}

/* One that does not wait is taken as one, so that it is all or nothing. */
static uint32_t piece_of(const struct ipc9_pipe *pipe, const struct writing *w, size_t size)
{
	bool whole = w->what->fitting || pipe->type == IPC9_PIPE_TYPE_MESSAGE;
	uint32_t max = whole ? IPC9_BLOB_MAX : CALLS_PIECE;

	return size < max ? (uint32_t)size : max;
}

static int write_pieces(struct ipc9_pipe *pipe, struct writing *w, struct ipc9_error *e)
{
	/* While it is not known that somebody is there, a refusal may be followed by success. */
	unsigned n_max = pipe->connected && !w->what->fitting ? LINK_WINDOW : 1;
	size_t sent = 0;
	bool begun = false;
	int r = 0;

	while (!r && (!begun || sent < w->what->size || w->window.n || w->full)) {
		uint32_t piece = piece_of(pipe, w, w->what->size - sent);
		bool all = begun && sent == w->what->size;

		if (w->window.n && (all || w->full || w->window.n == n_max)) {
			r = collect_write(pipe, w, e);
			if (!r && w->what->fitting && w->what->n < sent)
				break; /* there is no more room */
		} else if (w->full) {
			r = wait_for_room(pipe, w, e);
		} else if (begun && clock_now() >= w->until && !w->what->fitting) {
			r = IPC9_E_TIMEDOUT;
		} else {
			r = send_write(pipe, w, w->what->data + sent, piece, e);
			begun = true;
			sent += piece;
		}
	}
	return r;
}

static int write_pipe(struct ipc9_pipe *pipe, struct pipe_writing *writing, int64_t until,
    struct ipc9_error *e)
{
	struct writing w = { .what = writing, .until = until, .cancels = cancels_of(pipe) };
	int r;

	if (writing->queued) /* what does not wait is taken whole all the same */
		w.until = 0;
	r = write_pieces(pipe, &w, e);

	if (r == IPC9_E_TIMEDOUT) {
		int rest = collect_rest(pipe, &w, e);

		r = rest ? rest : r;
	} else if (r) {
		collect_rest(pipe, &w, NULL);
	}
	if (w.broken)
		return calls_give_up(pipe, e);
	if (r == IPC9_E_TIMEDOUT && writing->queued && writing->n && writing->n == writing->size)
		return 0;
	/* What does not fit is no failure for whoever does not wait. */
	if (!r && writing->part && writing->n < writing->size)
		r = IPC9_E_TIMEDOUT;
	if (r == IPC9_E_TIMEDOUT)
		return error_set(e, r, "%s: in time %zu of %zu bytes were written, %s",
		    pipe->link.target.subject, writing->n, writing->size,
		    "as the other end does not read");
	return r;
}

/* --- Transactions ------------------------------------------------------------------------------ */

int calls_explain_transaction(const struct ipc9_pipe *pipe, int code, struct ipc9_error *e)
{
	const char *subject = pipe->link.target.subject;

	if (code == IPC9_E_LOST)
		return error_set(e, IPC9_E_UNKNOWN,
		    "%s: the other end was lost before its reply; it may have read the request or not",
		    subject);
	if (code == IPC9_E_TIMEDOUT)
		return error_set(e, code, "%s: no reply came in time; the request was written, %s",
		    subject,
		    pipe->once ? "and its reply, should there be one, is lost"
			       : "and its reply can still be read");
	return code;
}

static int transact(struct ipc9_pipe *pipe, struct pipe_transacting *t, int64_t until,
    struct ipc9_error *e)
{
	unsigned cancels = cancels_of(pipe);
	ipc9_pipe_transact_args args = {
		.pipe = pipe->handle,
		.max_bytes = blob_bytes(t->reply.size),
		.wait_ms = link_wait_ms(until),
		.data = { .data = t->request, .len = (uint32_t)t->request_size },
	};
	int64_t deadline = link_wait_deadline(&pipe->link, args.wait_ms);
	struct link_window window = { .n = 0 };
	ipc9_pipe_read_res res;
	struct link_try try;
	int r = send_call(pipe, &window, &calls_transact_procedure, &args, deadline, cancels, e);

	if (r)
		return r;
	link_window_wait(&pipe->link, &window, &calls_transact_procedure, &res, deadline, &try);
	r = link_explain(&pipe->link, &calls_transact_procedure, &try, &res, e);
	if (!r)
		return calls_take_read(pipe, &t->reply, &res, e);
	if (r == IPC9_E_TIMEDOUT && clock_now() < until)
		r = read_since(pipe, &t->reply, until, cancels, e);
	return r ? calls_explain_transaction(pipe, r, e) : 0;
}

/* --- The rest ---------------------------------------------------------------------------------- */

/* An ACCEPT under way.  What it brings is the client, who must not be lost because the answer came late. */
struct calls_accept {
	struct link_window window;
	struct channel_parcels parcels;
};

void calls_accept_free(struct ipc9_pipe *pipe)
{
	struct calls_accept *a = pipe->asked;

	if (!a)
		return;
	link_window_forget(&pipe->link, &a->window);
	descriptors_close(&a->parcels.taken);
	free(a);
	pipe->asked = NULL;
}

static int ask_for_client(struct ipc9_pipe *pipe, uint32_t wait_ms, int64_t deadline,
    unsigned cancels, struct ipc9_error *e)
{
	ipc9_pipe_accept_args args = { pipe->handle, wait_ms };
	int r;

	pipe->asked = calloc(1, sizeof(*pipe->asked));
	if (!pipe->asked)
		return error_set_own(e, -ENOMEM);
	pipe->asked->window.parcels = &pipe->asked->parcels;
	r = send_call(pipe, &pipe->asked->window, &calls_accept_procedure, &args, deadline, cancels,
	    e);
	if (r)
		calls_accept_free(pipe);
	return r;
}

/* Whoever asks next is to have an answer to that soon: the client, or that the daemon has stopped waiting for one. */
static int give_up_asking(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	const struct link_window *asked = &pipe->asked->window;
	ipc9_pipe_cancel_args args = { pipe->handle, FALSE, asked->calls[asked->first].xid };
	int64_t deadline = link_close_deadline(&pipe->link);
	struct link_window window = { .n = 0 };
	struct link_try try;

	if (begin_sending(pipe, deadline)) {
		if (link_window_send(&pipe->link, &window, &cancel_procedure, &args, deadline,
			&try))
			link_window_forget(&pipe->link, &window);
		pthread_mutex_unlock(&pipe->sending);
	}
	return error_set(e, IPC9_E_TIMEDOUT, "%s: no client came in time",
	    pipe->link.target.subject);
}

/* The client may come with a carrier. */
static int take_client(struct ipc9_pipe *pipe, const ipc9_pipe_accept_ok *ok, bool first,
    struct ipc9_error *e)
{
	int r = 0;

	wire_identity(&ok->client, &pipe->peer);
	pipe->was_connected = first && !ok->waited;
	pipe->peer_writes = ok->flags & IPC9_PIPE_OPEN_WRITE;
	pipe->carried = IPC9_PIPE_BY_CALLS;
	if (ok->way != IPC9_PIPE_WAY_CALLS)
		r = pipe_carry(pipe, ok->way, &pipe->asked->parcels.taken, e);
	pipe->connected = true;
	return r || ok->way == IPC9_PIPE_WAY_CALLS ? r : stream_greet(pipe, e);
}

/* What the ACCEPT under way comes to. */
static int wait_for_client(struct ipc9_pipe *pipe, int64_t deadline, bool first,
    struct ipc9_error *e)
{
	ipc9_pipe_accept_res res;
	struct link_try try;
	int r;

	if (!link_window_await(&pipe->link, &pipe->asked->window, deadline))
		return give_up_asking(pipe, e);
	link_window_wait(&pipe->link, &pipe->asked->window, &calls_accept_procedure, &res, deadline,
	    &try);
	r = link_explain(&pipe->link, &calls_accept_procedure, &try, &res, e);
	if (!r) {
		r = take_client(pipe, &res.ipc9_pipe_accept_res_u.ok, first, e);
		xdr_free(calls_accept_procedure.results, &res);
	}
	calls_accept_free(pipe);
	return r;
}

/* One ACCEPT, behind an earlier one that has not been answered. */
static int accept_once(struct ipc9_pipe *pipe, uint32_t wait_ms, unsigned cancels, bool first,
    struct ipc9_error *e)
{
	int64_t deadline = link_wait_deadline(&pipe->link, wait_ms);
	int r;

	if (pipe->asked) {
		r = wait_for_client(pipe, deadline, first, e);
		/* How long that one waited, and that it was cancelled, is no matter to this one. */
		if (pipe->asked || (r != IPC9_E_TIMEDOUT && r != IPC9_E_CANCELLED))
			return r;
	}
	r = ask_for_client(pipe, wait_ms, deadline, cancels, e);
	return r ? r : wait_for_client(pipe, deadline, first, e);
}

int calls_accept_now(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	return accept_once(pipe, 0, cancels_of(pipe), true, e);
}

static int accept_pipe(struct ipc9_pipe *pipe, int64_t until, struct ipc9_error *e)
{
	unsigned cancels = cancels_of(pipe);
	bool first = true;
	int r;

	for (;; first = false) {
		r = accept_once(pipe, link_wait_ms(until), cancels, first, e);
		if (r != IPC9_E_TIMEDOUT || clock_now() >= until)
			break;
	}
	if (r == IPC9_E_TIMEDOUT)
		return error_set(e, r, "%s: no client came in time", pipe->link.target.subject);
	return r;
}

static int flush(struct ipc9_pipe *pipe, int64_t until, struct ipc9_error *e)
{
	ipc9_pipe_flush_args args = { .pipe = pipe->handle };
	ipc9_void_res res;
	int r = call_until(pipe, &calls_flush_procedure, &args, &args.wait_ms, &res, until,
	    cancels_of(pipe), e);

	if (r == IPC9_E_TIMEDOUT)
		return error_set(e, r, "%s: not everything was read in time",
		    pipe->link.target.subject);
	return r;
}

/* A call with nothing but the handle, and no news. */
static int simple(struct ipc9_pipe *pipe, const struct link_procedure *p, int64_t deadline,
    struct ipc9_error *e)
{
	ipc9_handle_args args = { pipe->handle };
	ipc9_void_res res;

	return call(pipe, p, &args, &res, deadline, cancels_of(pipe), e);
}

static int disconnect(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	int r = simple(pipe, &disconnect_procedure, context_deadline(pipe->link.ipc9), e);

	if (!r) {
		calls_accept_free(pipe); /* its answer came before, and was about that client */
		pipe->connected = false;
		pipe->carried = IPC9_PIPE_WAY_ANY;
		memset(&pipe->peer, 0, sizeof(pipe->peer));
	}
	return r;
}

static int end_pipe(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	return simple(pipe, &end_procedure, context_deadline(pipe->link.ipc9), e);
}

static int wait_closed(struct ipc9_pipe *pipe, int64_t until, struct ipc9_error *e)
{
	ipc9_pipe_poll_args args = { .pipe = pipe->handle, .events = IPC9_PIPE_CLOSED };
	ipc9_pipe_poll_res res;
	int r = call_until(pipe, &calls_poll_procedure, &args, &args.wait_ms, &res, until,
	    cancels_of(pipe), e);

	if (r == IPC9_E_TIMEDOUT)
		return error_set(e, r, "%s: the other end was not closed in time",
		    pipe->link.target.subject);
	return r;
}

static int info(struct ipc9_pipe *pipe, struct ipc9_pipe_end_info *ret, struct ipc9_error *e)
{
	ipc9_handle_args args = { pipe->handle };
	ipc9_pipe_info_res res;
	const ipc9_pipe_info_ok *ok = &res.ipc9_pipe_info_res_u.ok;
	int r = call(pipe, &info_procedure, &args, &res, context_deadline(pipe->link.ipc9),
	    cancels_of(pipe), e);

	if (r)
		return r;
	*ret = (struct ipc9_pipe_end_info){
		.state = (enum ipc9_pipe_end_state)ok->state,
		.server = ok->server,
		.type = (enum ipc9_pipe_type)ok->type,
		.access = (enum ipc9_pipe_access)ok->direction,
		.instances = ok->instances,
		.max_instances = ok->max_instances,
		.default_wait_ms = ok->default_wait_ms,
		.local_only = ok->local_only,
		.quota_bytes = ok->quota_bytes,
		.unread_bytes = ok->unread_bytes,
		.sent_bytes = ok->sent_bytes,
		.way = ok->state == IPC9_PIPE_LISTENING || ok->state == IPC9_PIPE_DISCONNECTED
		    ? IPC9_PIPE_WAY_ANY
		    : (enum ipc9_pipe_way)(IPC9_PIPE_BY_CALLS + ok->way),
	};
	wire_identity(&ok->peer, &ret->peer);
	xdr_free(info_procedure.results, &res);
	return 0;
}

/* What a write comes to at once in a state of the end, or 0. */
static int refusal(const struct ipc9_pipe *pipe, enum ipc9_pipe_end_state state)
{
	switch (state) {
	case IPC9_PIPE_STATE_LISTENING:
		return IPC9_E_LISTENING;
	case IPC9_PIPE_STATE_CLOSING:
		return IPC9_E_PEERCLOSED;
	case IPC9_PIPE_STATE_LOST:
		return IPC9_E_LOST;
	case IPC9_PIPE_STATE_DISCONNECTED:
		return IPC9_E_NOTCONN;
	default:
		return pipe->ended ? IPC9_E_BADSTATE : 0;
	}
}

/* Asks for the state: 0 and what is unread, or why nothing can be written, `closed` where the other end is closed. */
static int ask_room(struct ipc9_pipe *pipe, int closed, uint64_t *ret_unread, struct ipc9_error *e)
{
	struct ipc9_pipe_end_info now;
	int r = info(pipe, &now, e);

	if (r)
		return r;
	*ret_unread = now.sent_bytes;
	r = refusal(pipe, now.state);
	if (r == IPC9_E_PEERCLOSED)
		r = closed;
	return stream_explain(pipe, r, r == IPC9_E_LOST ? PIPE_LOST : NULL, e);
}

static int room(struct ipc9_pipe *pipe, int64_t until, uint64_t *ret_unread, struct ipc9_error *e)
{
	unsigned cancels = cancels_of(pipe);
	int r = ask_room(pipe, IPC9_E_PEERCLOSED, ret_unread, e);

	if (r || *ret_unread <= pipe->quota_bytes)
		return r;
	r = wait_for_quota(pipe, until, cancels, e);
	if (r == IPC9_E_TIMEDOUT)
		return error_set(e, r, "%s: there was no room in time, %s",
		    pipe->link.target.subject, "as the other end does not read");
	/* To the daemon it is over also when the other end is closed. */
	return r ? r : ask_room(pipe, IPC9_E_EOF, ret_unread, e);
}

/* A client whom another thread accepts at this moment may bring a carrier: that thread sees the link, or this one the carrier. */
static void abort_pipe(struct ipc9_pipe *pipe)
{
	struct carrier *c;

	link_abort(&pipe->link);
	c = stream_enter(pipe);
	if (!c)
		return;
	c->ops->abort(c);
	stream_leave(pipe);
}

/* Without the connection the other end would read LOST; with CLOSE it reads EOF. */
static void close_pipe(struct ipc9_pipe *pipe)
{
	simple(pipe, &close_procedure, link_close_deadline(&pipe->link), NULL);
	calls_accept_free(pipe);
	calls_started_free(pipe);
}

const struct pipe_way pipe_calls_way = {
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
	.start = calls_start,
	.progress = calls_progress,
	.op_cancel = calls_op_cancel,
	.fd = calls_fd,
	.close = close_pipe,
};
