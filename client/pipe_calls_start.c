/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_calls_start.c - started operations by the ordinary calls of pipe.x.
 *
 * An operation's calls are its parts.  They are begun by advance(), which looks at the operations in the order in which they
 * were started, and by nobody else:
 *
 * 1. One READ at a time, as in pipe_calls.c; the next operation's leaves when the one before is done.  A transaction's request
 *    leaves when every read before it is done and every write before it has left; what is behind it waits for that in turn.
 * 2. WRITEs leave one behind the other up to OUT_MAX bytes, well below what the daemon lets a connection hold.
 * 3. What the daemon answers with TIMEDOUT, since no call waits for ever, is asked again.  A WRITE whose data was taken over the
 *    quota goes on as a FLUSH until there is room.
 * 4. An operation is done when it has no part under way and nothing more to do; or is cancelled, or failed, and has no part
 *    under way.
 */
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "client/error.h"
#include "client/pipe.h"
#include "client/wire.h"
#include "util/clock.h"

#define OUT_MAX 2097152
#define CANCEL_AGAIN_MS 100

struct calls_started {
	struct async *async;
	size_t out_bytes; /* of WRITEs under way */
	bool advancing;
};

/* A call under way. */
struct part {
	struct list link; /* in its operation's */
	struct ipc9_pipe_op *op;
	const struct link_procedure *procedure;
	struct async_call *call;
	uint32_t size; /* of a WRITE */
	union {
		ipc9_pipe_read_res read; /* of a TRANSACT too */
		ipc9_pipe_write_res write;
		ipc9_pipe_poll_res poll;
		ipc9_void_res flush;
	} results;
};

static void advance(struct ipc9_pipe *pipe);

static bool is_cancelled(const struct ipc9_pipe_op *op)
{
	return op->cancel ||
	    op->cancels != atomic_load_explicit(&op->pipe->cancels, memory_order_relaxed);
}

/* --- Parts ------------------------------------------------------------------------------------- */

static void part_free(struct part *part)
{
	list_remove(&part->link);
	part->op->pipe->started->out_bytes -= part->size;
	free(part);
}

/* The operation has failed, unless it had before. */
static void op_fail(struct ipc9_pipe_op *op, int code, const struct ipc9_error *e)
{
	if (op->code)
		return;
	op->code = code;
	op->error = *e;
}

static void take_write(struct part *part, int code, const struct link_try *try,
    const struct ipc9_error *e)
{
	const ipc9_pipe_write_ok *ok = &part->results.write.ipc9_pipe_write_res_u.ok;
	struct ipc9_pipe_op *op = part->op;
	uint64_t taken = 0;

	if (!code) {
		taken = ok->taken_bytes;
		op->full |= ok->full;
	} else if (code == IPC9_E_CANCELLED && try->stat == RPC_SUCCESS) {
		taken = part->results.write.ipc9_pipe_write_res_u.error.value;
	}
	op->writing.n += taken < part->size ? (size_t)taken : part->size;
	if (code)
		op_fail(op, code, e);
}

/* A WRITE was refused for itself, and others behind it may be taken. */
static bool leaves_hole(const struct part *part, int code)
{
	const struct ipc9_pipe *pipe = part->op->pipe;

	return (code == IPC9_E_QUOTA || code == IPC9_E_SYSTEM) &&
	    pipe->type == IPC9_PIPE_TYPE_BYTE && pipe->started->out_bytes > part->size;
}

/* What a part came to. */
static void take(struct part *part, int code, const struct link_try *try, struct ipc9_error *e)
{
	struct ipc9_pipe_op *op = part->op;
	uint32_t number = part->procedure->number;

	if (number == IPC9_PIPEPROC_WRITE) {
		if (leaves_hole(part, code))
			code = calls_give_up(op->pipe, e);
		take_write(part, code, try, e);
	} else if (code == IPC9_E_TIMEDOUT && try->stat == RPC_SUCCESS) {
		op->written = true; /* of a transaction: its request; of an accept: it has waited */
	} else if (code && op->kind == PIPE_OP_TRANSACT &&
	    (try->stat == RPC_SUCCESS || op->written)) {
		code = calls_explain_transaction(op->pipe, code, e);
		op_fail(op, code, e);
	} else if (code) {
		op_fail(op, code, e);
	} else if (number == IPC9_PIPEPROC_POLL) {
		return; /* a client has come, and is accepted in the next round */
	} else if (number == IPC9_PIPEPROC_FLUSH) {
		op->full = false;
	} else {
		code = calls_take_read(op->pipe, &op->reading, &part->results.read, e);
		if (code)
			op_fail(op, code, e);
		op->all_sent = op->written = true;
		pipe_op_done(op, op->code);
	}
}

static void on_done(void *context, enum clnt_stat stat, const struct rpc_err *error)
{
	struct part *part = context;
	struct ipc9_pipe *pipe = part->op->pipe;
	struct ipc9_error e;
	struct link_try try;
	int code;

	link_ended(&pipe->link, stat, error, 0, &try);
	code = link_explain(&pipe->link, part->procedure, &try, &part->results, &e);
	take(part, code, &try, &e);
	part_free(part);
	advance(pipe);
}

/* Begins a part; what is wrong is noted in the operation. */
static void part_begin(struct ipc9_pipe_op *op, const struct link_procedure *p, void *args,
    uint32_t wait_ms, uint32_t size)
{
	struct ipc9_pipe *pipe = op->pipe;
	struct part *part = calloc(1, sizeof(*part));
	struct ipc9_error e;
	struct link_try try;
	int r;

	if (!part) {
		op_fail(op, error_set_own(&e, -ENOMEM), &e);
		return;
	}
	part->op = op;
	part->procedure = p;
	part->size = size;
	pipe->started->out_bytes += size;
	list_append(&op->parts, &part->link);
	r = link_begin(&pipe->link, pipe->started->async, p, args, &part->results,
	    link_wait_deadline(&pipe->link, wait_ms), on_done, part, &part->call);
	if (!r)
		return;
	link_ended(&pipe->link, RPC_CANTSEND, NULL, r, &try);
	op_fail(op, link_explain(&pipe->link, p, &try, &part->results, &e), &e);
	part_free(part);
}

/* --- What comes next --------------------------------------------------------------------------- */

static void begin_read(struct ipc9_pipe_op *op)
{
	ipc9_pipe_read_args args = {
		.pipe = op->pipe->handle,
		.max_bytes =
		    op->reading.size < IPC9_BLOB_MAX ? (u_int)op->reading.size : IPC9_BLOB_MAX,
		.wait_ms = IPC9_WAIT_MAX_MS,
		.messages = op->reading.message,
	};

	part_begin(op, &calls_read_procedure, &args, args.wait_ms, 0);
}

static void begin_transact(struct ipc9_pipe_op *op)
{
	ipc9_pipe_transact_args args = {
		.pipe = op->pipe->handle,
		.max_bytes =
		    op->reading.size < IPC9_BLOB_MAX ? (u_int)op->reading.size : IPC9_BLOB_MAX,
		.wait_ms = IPC9_WAIT_MAX_MS,
		.data = { .data = op->writing.data, .len = (uint32_t)op->writing.size },
	};

	op->all_sent = true;
	part_begin(op, &calls_transact_procedure, &args, args.wait_ms, 0);
}

/*
 * Takes the client if one is there, with whatever carrier it comes; else asks to be told when there is one.  The first
 * ACCEPT makes an instance that was disconnected listen again.
 */
static void begin_accept(struct ipc9_pipe_op *op)
{
	struct ipc9_pipe *pipe = op->pipe;
	ipc9_pipe_poll_args args = {
		.pipe = pipe->handle,
		.events = IPC9_PIPE_READABLE | IPC9_PIPE_WRITABLE | IPC9_PIPE_CLOSED,
		.wait_ms = IPC9_WAIT_MAX_MS,
	};
	struct ipc9_error e;
	int r;

	pthread_mutex_lock(&pipe->taking);
	r = calls_accept_now(pipe, &e);
	pthread_mutex_unlock(&pipe->taking);
	if (r == IPC9_E_TIMEDOUT) {
		part_begin(op, &calls_poll_procedure, &args, args.wait_ms, 0);
		op->written = true; /* it has waited */
		return;
	}
	if (r)
		op_fail(op, r, &e);
	op->client = pipe->peer;
	op->connected = pipe->was_connected = !op->written;
	op->all_sent = true;
}

static void begin_flush(struct ipc9_pipe_op *op)
{
	ipc9_pipe_flush_args args = { op->pipe->handle, IPC9_WAIT_MAX_MS, TRUE };

	part_begin(op, &calls_flush_procedure, &args, args.wait_ms, 0);
}

/* Sends the next WRITE of an operation; false: it has to wait, or there is none. */
static bool begin_write(struct ipc9_pipe_op *op)
{
	struct ipc9_pipe *pipe = op->pipe;
	uint32_t max = pipe->type == IPC9_PIPE_TYPE_MESSAGE ? IPC9_BLOB_MAX : CALLS_PIECE;
	size_t left = op->writing.size - op->sent, out = pipe->started->out_bytes;
	ipc9_pipe_write_args args = {
		.pipe = pipe->handle,
		.wait_ms = IPC9_WAIT_MAX_MS,
		.data = { .data = op->writing.data + op->sent,
		    .len = left < max ? (uint32_t)left : max },
	};

	if (op->all_sent || op->code || op->full || (out && out + args.data.len > OUT_MAX))
		return false;
	op->sent += args.data.len;
	op->all_sent = op->sent == op->writing.size;
	part_begin(op, &calls_write_procedure, &args, args.wait_ms, args.data.len);
	return true;
}

static void begin_writes(struct ipc9_pipe_op *op)
{
	while (begin_write(op))
		continue;
	if (list_is_empty(&op->parts) && !op->code && op->full)
		begin_flush(op);
}

/* What stands before an operation, of those that are not done. */
struct before {
	bool reads;  /* one that reads */
	bool unsent; /* one whose writing has not all left */
	bool accepts;
};

/* A carrier had the operation, and was taken away by a disconnect. */
static void op_drop(struct ipc9_pipe_op *op)
{
	struct ipc9_error e;
	int r = stream_explain(op->pipe, IPC9_E_NOTCONN, NULL, &e);

	if (op->kind == PIPE_OP_TRANSACT && op->written)
		r = calls_explain_transaction(op->pipe, r, &e);
	op_fail(op, r, &e);
}

static void op_advance(struct ipc9_pipe_op *op, const struct before *before)
{
	bool idle = list_is_empty(&op->parts);

	if (!is_cancelled(op) && pipe_op_is_dropped(op))
		op_drop(op);
	if (op->code || is_cancelled(op))
		return;
	switch (op->kind) {
	case PIPE_OP_READ:
		if (idle && !before->reads)
			begin_read(op);
		break;
	case PIPE_OP_WRITE:
		if (!before->unsent)
			begin_writes(op);
		break;
	case PIPE_OP_ACCEPT:
		if (idle && !before->accepts && !op->all_sent)
			begin_accept(op);
		break;
	case PIPE_OP_TRANSACT:
		if (idle && op->written)
			begin_read(op);
		else if (idle && !before->reads && !before->unsent)
			begin_transact(op);
		break;
	}
}

/* Whether an operation has nothing more to do; what was cancelled too late has done it all. */
static bool op_ends(struct ipc9_pipe_op *op)
{
	bool complete =
	    (op->kind == PIPE_OP_WRITE || op->kind == PIPE_OP_ACCEPT) && op->all_sent && !op->full;
	struct ipc9_error e;

	if (op->done || !list_is_empty(&op->parts))
		return false;
	if (!op->code && !complete && is_cancelled(op))
		op_fail(op, pipe_cancelled(op->pipe, &e), &e);
	return op->code || complete;
}

/* Begins whatever can be begun.  Parts that fail at once are seen in the next round. */
static void advance(struct ipc9_pipe *pipe)
{
	struct calls_started *s = pipe->started;
	struct before before = { false, false, false };
	struct ipc9_pipe_op *op = NULL;

	if (s->advancing)
		return;
	s->advancing = true;
	/* Once a client has come with a carrier, whatever is left goes on there. */
	while (pipe->way == &pipe_calls_way && (op = pipe_op_next(pipe, op))) {
		if (op->done)
			continue;
		op_advance(op, &before);
		if (op_ends(op)) {
			pipe_op_done(op, op->code);
			continue;
		}
		before.reads |= op->kind == PIPE_OP_READ || op->kind == PIPE_OP_TRANSACT;
		before.unsent |=
		    (op->kind == PIPE_OP_WRITE || op->kind == PIPE_OP_TRANSACT) && !op->all_sent;
		before.accepts |= op->kind == PIPE_OP_ACCEPT;
	}
	s->advancing = false;
}

/* --- For the table ----------------------------------------------------------------------------- */

/* 0, or -ENOMEM with a sentence. */
static int begin_started(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	struct calls_started *s;

	if (pipe->started)
		return 0;
	s = calloc(1, sizeof(*s));
	if (s)
		s->async = async_new(pipe->link.channel);
	if (!s || !s->async) {
		free(s);
		return error_set_own(e, -ENOMEM);
	}
	pipe->started = s;
	return 0;
}

static void watch(struct ipc9_pipe *pipe)
{
	if (pipe->epoll_fd >= 0 && pipe->way == &pipe_calls_way)
		pipe_watch(pipe, async_fd(pipe->started->async), EPOLLIN);
}

void calls_start(struct ipc9_pipe_op *op)
{
	struct ipc9_error e;
	int r = begin_started(op->pipe, &e);

	if (r) {
		op_fail(op, r, &e);
		pipe_op_done(op, r);
		return;
	}
	watch(op->pipe);
	advance(op->pipe);
	/* What was begun while something else was under way leaves now. */
	async_process(op->pipe->started->async, 0);
}

/* Whether there is what operations go on with; without memory for that they end. */
static bool begin_all(struct ipc9_pipe *pipe)
{
	struct ipc9_pipe_op *op = NULL;
	struct ipc9_error e;
	int r = begin_started(pipe, &e);

	while (r && (op = pipe_op_next(pipe, op))) {
		if (op->done)
			continue;
		op_fail(op, r, &e);
		pipe_op_done(op, op->code);
	}
	return !r;
}

void calls_progress(struct ipc9_pipe *pipe, int64_t until)
{
	int64_t again = clock_deadline_ms(CANCEL_AGAIN_MS);
	struct ipc9_pipe_op *op = NULL;
	unsigned n_done = pipe->n_done;
	bool cancelling = false;

	pipe_look_up(pipe);
	if (!begin_all(pipe))
		return;
	watch(pipe);
	while ((op = pipe_op_next(pipe, op))) {
		if (!op->done && is_cancelled(op) && !op->asked)
			calls_op_cancel(op);
		cancelling |= !op->done && is_cancelled(op);
	}
	advance(pipe); /* what a carrier had is left to end */
	if (pipe->n_done != n_done || pipe->way != &pipe_calls_way)
		until = 0;
	async_process(pipe->started->async, cancelling && again < until ? again : until);
	/* Whatever had not left when it was cancelled is asked about again. */
	while (cancelling && clock_now() >= again && (op = pipe_op_next(pipe, op)))
		op->asked = false;
}

void calls_op_cancel(struct ipc9_pipe_op *op)
{
	struct ipc9_pipe *pipe = op->pipe;

	if (!pipe->started)
		return;
	async_process(pipe->started->async, 0); /* it may have been done, or not have left */
	if (op->done)
		return;
	op->asked = true;
	/* Nothing of the list ends here: their ends are taken in by async_process. */
	LIST_FOR_EACH (link, &op->parts)
		calls_cancel(pipe, false, async_xid(LIST_ENTRY(link, struct part, link)->call));
	advance(pipe);
}

int calls_fd(struct ipc9_pipe *pipe)
{
	int r = begin_started(pipe, NULL);

	return r ? r : async_fd(pipe->started->async);
}

void calls_started_free(struct ipc9_pipe *pipe)
{
	struct calls_started *s = pipe->started;
	struct ipc9_pipe_op *op = NULL;

	if (!s)
		return;
	async_free(s->async);
	while ((op = pipe_op_next(pipe, op))) {
		LIST_FOR_EACH (link, &op->parts) {
			struct part *part = LIST_ENTRY(link, struct part, link);

			xdr_free(part->procedure->results, &part->results);
			part_free(part);
		}
	}
	pipe->started = NULL;
	free(s);
}
