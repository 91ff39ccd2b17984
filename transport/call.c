/* SPDX-License-Identifier: BSD-3-Clause */
/* call.c - one call from its arrival to its end.  See server.h. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transport/connection.h"
#include "util/clock.h"
#include "xdr/stream.h"

struct call *call_new(struct server *s, struct connection *c, struct datagram_socket *socket,
    const struct peer *peer, uint32_t xid)
{
	struct call *call;

	assert(s->ops->call_size >= sizeof(*call));
	call = malloc(s->ops->call_size);
	if (!call)
		return NULL;
	memset(call, 0, sizeof(*call));
	call->connection = c;
	call->socket = socket;
	call->peer = peer;
	call->xid = xid;
	list_init(&call->link);
	list_init(&call->parked);
	if (c) {
		list_append(&c->calls, &call->link);
		c->n_calls++;
	}
	s->stats.calls++;
	return call;
}

static void call_free(struct call *call)
{
	struct connection *c = call->connection;

	assert(list_is_empty(&call->parked));
	if (c) {
		list_remove(&call->link);
		c->n_calls--;
		c->held -= call->held;
		connection_stir(c);
	}
	free(call);
}

/* Ends a call with what was put into out: a whole record on a stream, a datagram otherwise. */
static void finish(struct call *call, struct gather *out)
{
	if (!call->connection)
		server_answer_datagram(call, out);
	call_free(call);
}

void call_refuse(struct call *call, enum message_refusal why, uint32_t low, uint32_t high)
{
	struct gather own, *out = call->connection ? &call->connection->out : &own;
	struct gather_mark before;
	unsigned char *mark = NULL;
	size_t start;

	gather_init(&own);
	gather_mark(out, &before);
	if (call->connection)
		mark = message_begin_record(out);
	start = out->size;
	if ((call->connection && !mark) || message_put_refusal(out, call->xid, why, low, high))
		gather_rewind(out, &before);
	else if (mark)
		message_end_record(mark, out->size - start);
	finish(call, out);
}

void call_reply(struct call *call, xdrproc_t xdr, void *results)
{
	struct gather own, *out = call->connection ? &call->connection->out : &own;
	struct gather_mark before;
	unsigned char *mark = NULL;
	size_t start;
	XDR xdrs;

	gather_init(&own);
	gather_mark(out, &before);
	if (call->connection)
		mark = message_begin_record(out);
	start = out->size;
	xdr_gather_create(&xdrs, out);
	if ((call->connection && !mark) || message_put_success(out, call->xid) ||
	    !xdr(&xdrs, results) || gather_own(out)) {
		gather_rewind(out, &before);
		call_refuse(call, MESSAGE_SYSTEM_ERR, 0, 0);
		return;
	}
	if (mark)
		message_end_record(mark, out->size - start);
	finish(call, out);
}

void call_drop(struct call *call)
{
	call_free(call);
}

static void on_expired(struct loop_timer *timer)
{
	struct call *call = LIST_ENTRY(timer, struct call, timer);

	call_unpark(call);
	call->ended(call, CALL_EXPIRED);
}

int call_park(struct call *call, struct list *queue, unsigned wait_ms, size_t held_bytes,
    call_ended_fn *ended)
{
	struct connection *c = call->connection;
	int r;

	assert(c && list_is_empty(&call->parked));
	call->timer.fn = on_expired;
	call->ended = ended;
	r = loop_timer_set(c->server->loop, &call->timer, clock_deadline_ms(wait_ms));
	if (r)
		return r;
	c->held += held_bytes - call->held;
	call->held = held_bytes;
	list_append(queue, &call->parked);
	return 0;
}

void call_unpark(struct call *call)
{
	loop_timer_clear(&call->timer);
	list_remove(&call->parked);
}
