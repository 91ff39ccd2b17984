/* SPDX-License-Identifier: BSD-3-Clause */
/* pipe_data.c - see pipe_data.h. */
#include "server/pipe_data.h"

#include <errno.h>

#include "server/daemon.h"

#define OVER_QUOTA_MAX 4194304 /* what a writer may have under way beyond the quota */

/* --- Waiting ----------------------------------------------------------------------------------- */

static void on_wait_ended(struct call *call, enum call_end end)
{
	if (end == CALL_EXPIRED)
		request_fail(request_of(call), IPC9_STATUS_TIMEDOUT, 0, "%s", "");
}

void pipe_park(struct request *r, struct list *queue, uint32_t wait_ms)
{
	int e = 0;

	if (wait_ms == 0)
		on_wait_ended(&r->call, CALL_EXPIRED);
	else
		e = request_park(r, queue, wait_ms, 0, on_wait_ended);
	if (e)
		request_fail_charge(r, e, &r->caller, QUOTA_WAITING);
}

/* --- Reading ----------------------------------------------------------------------------------- */

void pipe_handle_read(struct request *r, void *args)
{
	const ipc9_pipe_read_args *a = args;
	struct end *e = end_find(r, a->pipe);
	uint32_t max = a->max_bytes < IPC9_BLOB_MAX ? a->max_bytes : IPC9_BLOB_MAX;

	if (!e)
		return;
	if (a->messages && e->instance->type != IPC9_PIPE_MESSAGE) {
		request_fail(r, IPC9_STATUS_BADSTATE, 0, "this is a byte pipe");
		return;
	}
	r->amount = max | (a->messages ? READ_MESSAGE : 0);
	/* Earlier READs of this end come first. */
	if (list_is_empty(&e->readers) && end_read_state(e) != -EAGAIN) {
		end_answer_read(r, e);
		end_wake(e);
	} else {
		pipe_park(r, &e->readers, a->wait_ms);
	}
}

void pipe_handle_peek(struct request *r, void *args)
{
	const ipc9_pipe_peek_args *a = args;
	struct end *e = end_find(r, a->pipe);
	ipc9_pipe_peek_res res = { .status = IPC9_STATUS_OK };
	ipc9_pipe_peek_ok *ok = &res.ipc9_pipe_peek_res_u.ok;
	uint32_t max = a->max_bytes < IPC9_BLOB_MAX ? a->max_bytes : IPC9_BLOB_MAX;
	int status = e ? end_peek_state(e) : 0;

	if (!e)
		return;
	if (status) {
		end_fail(r, status);
		return;
	}
	ok->waiting = !queue_is_empty(&e->queue);
	ok->total_bytes = queue_bytes(&e->queue);
	if (ok->waiting &&
	    queue_peek(&e->queue, max, e->instance->type == IPC9_PIPE_MESSAGE, &ok->data,
		&ok->left_bytes)) {
		request_trouble(r, -ENOMEM);
		return;
	}
	request_reply(r, &res);
	bytes_unref(ok->data.owner);
}

/* --- Writing ----------------------------------------------------------------------------------- */

/* Of a WRITE `object` is the end that is to read it. */
static void on_write_ended(struct call *call, enum call_end end)
{
	struct request *r = request_of(call);
	struct end *to = r->object;

	if (end == CALL_EXPIRED) {
		end_answer_write(r, true, (uint32_t)call->held);
		return;
	}
	/* Its writer is gone, and had not sent it for good. */
	end_withdraw(to, r);
	end_wake(to);
}

/* The data is queued; whatever happens to the waiting, the answer must not deny that. */
static void park_write(struct request *r, struct end *to, const ipc9_pipe_write_args *a)
{
	r->object = to;
	if (a->wait_ms == 0 ||
	    request_park(r, &to->writers, a->wait_ms, a->data.len, on_write_ended))
		end_answer_write(r, true, a->data.len);
}

/* How many bytes the READs that wait ask for. */
static uint64_t bytes_asked(const struct end *e)
{
	uint64_t n = 0;

	LIST_FOR_EACH (link, &e->readers)
		n += (uint32_t)request_of(LIST_ENTRY(link, struct call, parked))->amount;
	return n;
}

/* Far more than the quota: of messages so many that their charges come to that. */
static bool is_over_full(const struct end *to)
{
	return queue_charge(&to->queue) > (uint64_t)to->instance->quota + OVER_QUOTA_MAX;
}

/* How much of a WRITE that does not wait is taken; false: nothing, not even an empty message. */
static bool fit(const struct end *to, const ipc9_pipe_write_args *a, uint32_t *ret)
{
	uint64_t asked = bytes_asked(to), unread = queue_bytes(&to->queue);
	uint64_t quota = to->instance->quota, room = asked + (quota > unread ? quota - unread : 0);
	uint64_t part = a->flags & IPC9_PIPE_WRITE_PART ? room : asked;

	*ret = a->data.len;
	/* What no bytes are taken of is not to be told from an empty message: push refuses that. */
	if (a->data.len && is_over_full(to))
		return false;
	if (a->data.len <= room)
		return true;
	if (to->instance->type == IPC9_PIPE_MESSAGE)
		return false;
	*ret = part < a->data.len ? (uint32_t)part : a->data.len;
	return *ret > 0;
}

/* Puts data into `to`; the caller wakes it.  False: the request was ended. */
static bool push(struct request *r, struct end *to, const ipc9_blob *data)
{
	const struct instance *i = to->instance;
	int e;

	if (is_over_full(to)) {
		request_fail(r, IPC9_STATUS_QUOTA, i->quota,
		    "too much waits to be read; wait for answers before writing more");
		return false;
	}
	e = queue_push(&to->queue, data, i->type == IPC9_PIPE_MESSAGE);
	if (e)
		request_fail_charge(r, e, charge_payer(&i->charge), QUOTA_BYTES);
	return !e;
}

void pipe_handle_write(struct request *r, void *args)
{
	const ipc9_pipe_write_args *a = args;
	struct end *e = end_find(r, a->pipe), *to;
	bool fitting = a->flags & IPC9_PIPE_WRITE_FITTING;
	ipc9_blob data = a->data;
	int status = e ? end_write_state(e) : 0;

	if (!e)
		return;
	if (status > 0) {
		end_fail(r, status);
		return;
	}
	if (a->flags & ~(unsigned)(IPC9_PIPE_WRITE_FITTING | IPC9_PIPE_WRITE_PART)) {
		request_fail(r, IPC9_STATUS_INVALID, 0, "it has a flag that there is not");
		return;
	}
	to = end_other(e);
	if (fitting && !fit(to, a, &data.len)) {
		end_answer_write(r, false, 0);
		return;
	}
	if (!push(r, to, &data))
		return;
	r->amount = to->queue.pushed_bytes;
	r->place = to->queue.pushed;
	end_wake(to);
	if (fitting || end_write_fits(to, r->amount, r->place, data.len))
		end_answer_write(r, false, data.len);
	else
		park_write(r, to, a);
}

void pipe_handle_flush(struct request *r, void *args)
{
	const ipc9_pipe_flush_args *a = args;
	struct end *e = end_find(r, a->pipe), *to;
	int status = e ? end_flush_state(e) : 0;

	if (!e)
		return;
	to = end_other(e);
	r->amount = to->queue.pushed_bytes;
	r->place = to->queue.pushed;
	if (status > 0)
		end_fail(r, status);
	else if (!status || (a->room && end_write_fits(to, r->amount, r->place, 1)))
		request_done(r);
	else
		pipe_park(r, a->room ? &to->writers : &to->flushers, a->wait_ms);
}

void pipe_handle_transact(struct request *r, void *args)
{
	const ipc9_pipe_transact_args *a = args;
	struct end *e = end_find(r, a->pipe);
	uint32_t max = a->max_bytes < IPC9_BLOB_MAX ? a->max_bytes : IPC9_BLOB_MAX;
	int status = e ? end_transact_state(e) : 0;

	if (!e)
		return;
	if (status) {
		request_fail(r, status, 0, "%s",
		    status == IPC9_STATUS_BUSY
			? "something waits to be read before; nothing was written"
			: "it takes a duplex message pipe, open for both, and another end");
		return;
	}
	if (!push(r, end_other(e), &a->data))
		return;
	r->amount = max | READ_MESSAGE;
	end_wake(end_other(e));
	/* The request is written; whatever happens to the waiting, the answer must not deny that. */
	if (a->wait_ms == 0 || request_park(r, &e->readers, a->wait_ms, 0, on_wait_ended))
		on_wait_ended(&r->call, CALL_EXPIRED);
}

/* --- Both -------------------------------------------------------------------------------------- */

void pipe_handle_poll(struct request *r, void *args)
{
	const ipc9_pipe_poll_args *a = args;
	struct end *e = end_find(r, a->pipe);

	if (!e)
		return;
	r->amount = a->events;
	if (a->events & IPC9_PIPE_CLOSED && end_other(e)->state == END_LOST)
		end_fail(r, IPC9_STATUS_LOST);
	else if (end_events(e) & a->events)
		end_answer_poll(r, end_events(e));
	else
		pipe_park(r, &e->pollers, a->wait_ms);
}

void pipe_handle_end(struct request *r, void *args)
{
	const ipc9_handle_args *a = args;
	struct end *e = end_find(r, a->handle);

	if (!e)
		return;
	e->finished = true;
	request_done(r);
	end_wake(end_other(e));
}

void pipe_handle_cancel(struct request *r, void *args)
{
	const ipc9_pipe_cancel_args *a = args;
	struct end *e = end_find_any(r, a->pipe);
	ipc9_pipe_cancel_res res = { .status = IPC9_STATUS_OK };

	if (!e)
		return;
	res.ipc9_pipe_cancel_res_u.ok.cancelled = end_cancel(e, a->all, a->xid);
	request_reply(r, &res);
}
