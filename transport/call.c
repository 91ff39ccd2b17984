/* SPDX-License-Identifier: BSD-3-Clause */
/* call.c - one call from its arrival to its end.  See server.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transport/connection.h"
#include "util/clock.h"
#include "xdr/stream.h"

#define COPY_MAX 2048 /* bytes of an encoded reply that are cheaper to copy than to refer to */

static struct call *take_free(struct server *s)
{
	struct call *call;

	if (list_is_empty(&s->free_calls)) {
		call = malloc(s->ops->call_size);
		if (call && s->ops->init)
			s->ops->init(call);
		return call;
	}
	call = LIST_ENTRY(s->free_calls.next, struct call, link);
	list_remove(&call->link);
	s->n_free_calls--;
	return call;
}

struct call *call_new(struct server *s, struct connection *c, struct datagram_socket *socket,
    const struct peer *peer, uint32_t xid)
{
	struct call *call;

	assert(s->ops->call_size >= sizeof(*call));
	call = take_free(s);
	if (!call)
		return NULL;
	memset(call, 0, sizeof(*call));
	call->server = s;
	call->connection = c;
	call->socket = socket;
	call->peer = peer;
	call->xid = xid;
	list_init(&call->link);
	list_init(&call->parked);
	if (c) {
		list_append(&c->calls, &call->link);
		c->n_calls++;
		s->stats.local_calls += c->peer.local;
	}
	s->stats.calls++;
	return call;
}

static void leave_work(struct call *call)
{
	if (call->connection && call->kept && !call->idle)
		call->connection->n_busy--;
}

void call_drop(struct call *call)
{
	struct connection *c = call->connection;
	struct server *s = call->server;

	assert(list_is_empty(&call->parked));
	list_remove(&call->link);
	leave_work(call);
	call->parcel = parcel_free(call->parcel);
	if (c) {
		c->n_calls--;
		c->held -= call->held;
		if (!call->line || c->leaving || !(c->io.events & EPOLLIN))
			connection_stir(c);
	}
	if (call->socket)
		server_end_datagram(call);
	if (call->gone || s->n_free_calls == CALLS_KEPT) { /* gone: the server may be so too */
		free(call);
		return;
	}
	s->n_free_calls++;
	list_append(&s->free_calls, &call->link);
}

void call_free_all(struct server *s)
{
	while (!list_is_empty(&s->free_calls))
		free(take_free(s));
}

void call_give_back(struct call *call, struct bytes *record)
{
	if (call->gone) /* and the server with it, perhaps */
		bytes_unref(record);
	else
		shelf_give(&call->server->shelf, record);
}

int call_fd(const struct call *call)
{
	return call->connection ? call->connection->io.fd : datagram_fd(call->socket);
}

void call_keep(struct call *call)
{
	call->kept = true;
	if (call->connection)
		call->connection->n_busy++;
}

void call_defer(struct call *call)
{
	leave_work(call);
	call->idle = true;
	if (call->connection)
		connection_stir(call->connection);
}

void call_hold(struct call *call, size_t bytes)
{
	if (call->connection)
		call->connection->held += bytes - call->held;
	call->held = bytes;
}

void call_lose(struct call *call)
{
	struct connection *c = call->connection;

	leave_work(call);
	call->parcel = parcel_free(call->parcel);
	if (c) {
		c->n_calls--;
		c->held -= call->held;
	}
	call->gone = true;
	call->connection = NULL;
	call->socket = NULL;
	call->peer = NULL;
	list_remove(&call->link);
	if (call->server->ops->lost)
		call->server->ops->lost(call);
}

/* --- Answers ----------------------------------------------------------------------------------- */

static bool is_by_stream(const struct call *call)
{
	return call->connection && !call->line;
}

struct answer {
	struct gather own, *out;
	struct gather_mark before;
};

static void answer_begin(struct answer *a, struct call *call)
{
	bool by_stream = is_by_stream(call);

	a->out = by_stream ? &call->connection->out : &a->own;
	if (!by_stream)
		gather_init(&a->own);
	gather_mark(a->out, &a->before);
}

/* A short reply is copied to where others are; a long one is referred to. */
static bool put_encoded(struct gather *out, struct gather *reply)
{
	if (reply->size > COPY_MAX)
		return !gather_append(out, reply);
	for (size_t i = reply->first; i < reply->end; i++)
		if (gather_copy(out, reply->pieces[i].data, reply->pieces[i].len))
			return false;
	return true;
}

/* What has been encoded by itself joins the others of the stream. */
static void answer_by_stream(struct call *call, struct gather *reply)
{
	struct connection *c = call->connection;
	struct gather_mark before;
	unsigned char *mark;

	gather_mark(&c->out, &before);
	mark = message_begin_record(&c->out);
	if (mark && put_encoded(&c->out, reply)) {
		message_end_record(mark, c->out.size - before.size - MESSAGE_MARK_SIZE);
		connection_stir(c);
	} else {
		gather_rewind(&c->out, &before);
		connection_doom(c);
	}
}

static void answer_by_line(struct call *call, struct gather *reply)
{
	if (!call->line->answer(call->line, call, reply))
		answer_by_stream(call, reply);
}

/* mark: the reply's record mark, on a stream; ok: all of it is there. */
static void answer_end(struct answer *a, struct call *call, unsigned char *mark, bool ok)
{
	if (!ok)
		gather_rewind(a->out, &a->before);
	else if (mark)
		message_end_record(mark, a->out->size - a->before.size - MESSAGE_MARK_SIZE);
	if (ok && call->parcel) {
		call->parcel->ahead = a->before.size;
		list_append(&call->connection->parcels, &call->parcel->link);
		call->parcel = NULL;
	}
	if (!call->connection)
		server_answer_datagram(call, a->out);
	else if (ok && call->line)
		answer_by_line(call, a->out);
	else if (ok)
		connection_stir(call->connection);
	else /* whoever waits for the answer learns at least that it does not come */
		connection_doom(call->connection);
	if (call->line)
		gather_clear(a->out);
}

void call_answer_refusal(struct call *call, enum message_refusal why, uint32_t low, uint32_t high)
{
	unsigned char *mark = NULL;
	struct answer a;

	if (call->gone)
		return;
	answer_begin(&a, call);
	if (is_by_stream(call))
		mark = message_begin_record(a.out);
	answer_end(&a, call, mark,
	    (mark || !is_by_stream(call)) &&
		!message_put_refusal(a.out, call->xid, why, low, high));
}

void call_answer(struct call *call, xdrproc_t xdr, void *results)
{
	unsigned char *mark = NULL;
	struct answer a;
	XDR xdrs;
	bool ok;

	if (call->gone)
		return;
	answer_begin(&a, call);
	errno = 0;
	if (is_by_stream(call))
		mark = message_begin_success(a.out, call->xid);
	ok = is_by_stream(call) ? mark != NULL : !message_put_success(a.out, call->xid);
	if (ok) {
		xdr_gather_create(&xdrs, a.out);
		ok = xdr(&xdrs, results) && !gather_own(a.out);
	}
	/*
	 * Without memory the connection ends instead: a refusal would say that nothing was done, while data may have
	 * been taken, or a handle made, that nobody knows of.
	 */
	if (ok || (errno == ENOMEM && call->connection)) {
		answer_end(&a, call, mark, ok);
		return;
	}
	gather_rewind(a.out, &a.before);
	call_answer_refusal(call, MESSAGE_SYSTEM_ERR, 0, 0);
}

void call_answer_encoded(struct call *call, struct gather *reply)
{
	unsigned char *mark;
	struct answer a;

	if (call->gone)
		return;
	if (!call->connection) {
		server_answer_datagram(call, reply);
		return;
	}
	if (call->line) {
		answer_by_line(call, reply);
		return;
	}
	answer_begin(&a, call);
	mark = message_begin_record(a.out);
	answer_end(&a, call, mark, mark && put_encoded(a.out, reply));
}

void call_refuse(struct call *call, enum message_refusal why, uint32_t low, uint32_t high)
{
	call_answer_refusal(call, why, low, high);
	call_drop(call);
}

void call_reply(struct call *call, xdrproc_t xdr, void *results)
{
	call_answer(call, xdr, results);
	call_drop(call);
}

/* --- Descriptors ------------------------------------------------------------------------------- */

int call_take_descriptors(struct call *call, unsigned n, int *ret_fds)
{
	struct connection *c = call->connection;

	if (n == 0)
		return 0;
	if (!c || !c->received || descriptors_take(c->received, n, ret_fds))
		return -EPROTO;
	connection_count_received(c);
	return 0;
}

int call_give_descriptors(struct call *call, const int *fds, unsigned n)
{
	assert(!call->parcel);
	if (n == 0 || call->gone)
		return 0;
	if (!is_by_stream(call) || !call->connection->bulk.is_local)
		return -EAFNOSUPPORT;
	return parcel_new(fds, n, &call->connection->account, &call->parcel);
}

int call_give_shared(struct call *call, struct shared_descriptor *shared)
{
	assert(!call->parcel);
	if (call->gone)
		return 0;
	if (!is_by_stream(call) || !call->connection->bulk.is_local)
		return -EAFNOSUPPORT;
	return parcel_new_shared(shared, &call->parcel);
}

/* Nothing but this call has come, and nothing is under way. */
static bool is_alone(const struct connection *c)
{
	return c && c->n_calls == 1 && !c->doomed && !c->leaving && list_is_empty(&c->backlog) &&
	    !record_reader_is_inside(&c->reader) && !record_reader_behind(&c->reader) && !c->beyond;
}

int call_hand_over(struct call *call, xdrproc_t xdr, void *results, int *ret_fd)
{
	struct connection *c = call->connection;
	ssize_t n = 0;
	int r = 0;

	if (!is_alone(c))
		r = -EBUSY;
	else
		call_answer(call, xdr, results);
	while (!r && !c->doomed && c->out.size && n >= 0)
		n = connection_send(c);
	if (!r && n < 0)
		r = (int)n;
	else if (!r && c->doomed)
		r = -ENOMEM;
	if (!r)
		*ret_fd = connection_steal(c);
	else if (c)
		connection_doom(c);
	call_drop(call);
	return r;
}

/* --- Waiting ----------------------------------------------------------------------------------- */

static void on_expired(struct loop_timer *timer)
{
	struct call *call = LIST_ENTRY(timer, struct call, timer);

	call_unpark(call);
	call->ended(call, CALL_EXPIRED);
}

int call_park(struct call *call, struct list *queue, unsigned wait_ms, size_t held_bytes,
    call_ended_fn *ended)
{
	int r;

	assert(!call->gone && list_is_empty(&call->parked));
	call->timer.fn = on_expired;
	call->ended = ended;
	r = loop_timer_set(call->server->loop, &call->timer, clock_deadline_ms(wait_ms));
	if (r)
		return r;
	call_hold(call, held_bytes);
	list_append(queue, &call->parked);
	return 0;
}

void call_unpark(struct call *call)
{
	loop_timer_clear(&call->timer);
	list_remove(&call->parked);
}
