/* SPDX-License-Identifier: BSD-3-Clause */
/* pipe_instance.c - see pipe_instance.h. */
#include "server/pipe_instance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- Ends -------------------------------------------------------------------------------------- */

bool end_is_server(const struct end *e)
{
	return e == &e->instance->server;
}

struct end *end_other(const struct end *e)
{
	return end_is_server(e) ? &e->instance->client : &e->instance->server;
}

static void end_init(struct end *e, struct instance *i)
{
	e->instance = i;
	queue_init(&e->queue, &i->pipes->bytes, &i->charge);
	list_init(&e->readers);
	list_init(&e->writers);
	list_init(&e->pollers);
	list_init(&e->acceptors);
	list_init(&e->watch.link);
}

void instance_init(struct instance *i, struct pipes *pipes, struct pipe_name *name)
{
	memset(i, 0, sizeof(*i));
	list_init(&i->link);
	list_init(&i->listening);
	i->pipes = pipes;
	i->name = name;
	i->type = name->type;
	i->direction = name->direction;
	end_init(&i->server, i);
	end_init(&i->client, i);
	i->server.reads = i->direction & IPC9_PIPE_INBOUND;
	i->server.writes = i->direction & IPC9_PIPE_OUTBOUND;
}

static void instance_free(struct instance *i)
{
	queue_clear(&i->server.queue);
	queue_clear(&i->client.queue);
	i->pipes->n_instances--;
	charge_release(&i->charge);
	free(i);
}

void pipe_name_free(struct pipes *all, struct pipe_name *n)
{
	named_remove(&all->names, &n->named);
	charge_release(&n->charge);
	free(n);
}

static void leave_name(struct instance *i)
{
	struct pipe_name *n = i->name;

	if (!n)
		return;
	i->name = NULL;
	n->n_instances--;
	if (!list_is_empty(&i->listening))
		n->n_listening--;
	list_remove(&i->link);
	list_remove(&i->listening);
	if (n->n_instances == 0)
		pipe_name_free(i->pipes, n);
}

void end_leave(struct end *e, enum end_state how)
{
	struct instance *i = e->instance;
	struct end *other = end_other(e);

	e->state = how;
	if (how == END_CLOSED)
		e->finished = true;
	list_remove(&e->watch.link);
	HASH_DELETE(by_handle, i->pipes->ends, e);
	e->connection = NULL;
	if (end_is_server(e))
		leave_name(i);
	/* Nobody will read what is still here; those who wait to see it read learn that. */
	queue_clear(&e->queue);
	end_wake(e);
	end_wake(other);
	if (i->server.state != END_OPEN && i->client.state != END_OPEN)
		instance_free(i);
}

static void on_connection_closed(struct connection_watch *watch)
{
	end_leave(LIST_ENTRY(watch, struct end, watch), END_LOST);
}

int end_enter(struct end *e, struct request *r)
{
	struct pipes *all = e->instance->pipes;
	bool added;

	e->id = all->next_id++;
	MAP_ADD_KEY(by_handle, all->ends, &e->id, sizeof(e->id), e, added);
	if (!added)
		return -ENOMEM;
	e->state = END_OPEN;
	e->who = access_keep(&r->caller);
	e->connection = r->call.connection;
	e->watch.closed = on_connection_closed;
	connection_watch(e->connection, &e->watch);
	return 0;
}

struct end *end_find(struct request *r, uint64_t id)
{
	const struct pipes *all = r->state;
	struct end *e;

	HASH_FIND(by_handle, all->ends, &id, sizeof(id), e);
	if (e && e->connection == r->call.connection)
		return e;
	request_fail(r, IPC9_STATUS_NOENT, 0, "no such pipe on this connection");
	return NULL;
}

/* --- States ------------------------------------------------------------------------------------ */

int end_read_state(const struct end *e)
{
	const struct end *other = end_other(e);

	if (!e->reads)
		return IPC9_STATUS_ACCESS;
	if (!queue_is_empty(&e->queue))
		return 0;
	if (other->state == END_ABSENT)
		return IPC9_STATUS_LISTENING;
	if (other->finished)
		return IPC9_STATUS_EOF;
	if (other->state == END_LOST)
		return IPC9_STATUS_LOST;
	return -EAGAIN;
}

int end_write_state(const struct end *e)
{
	const struct end *other = end_other(e);

	if (!e->writes)
		return IPC9_STATUS_ACCESS;
	if (other->state == END_ABSENT)
		return IPC9_STATUS_LISTENING;
	if (other->state == END_CLOSED)
		return IPC9_STATUS_PEERCLOSED;
	if (other->state == END_LOST)
		return IPC9_STATUS_LOST;
	if (e->finished)
		return IPC9_STATUS_BADSTATE;
	return queue_charge(&other->queue) < e->instance->quota ? 0 : -EAGAIN;
}

int end_accept_state(const struct end *e)
{
	const struct end *client = end_other(e);

	if (client->state == END_ABSENT)
		return -EAGAIN;
	if (client->state == END_OPEN || !queue_is_empty(&e->queue))
		return 0;
	return client->state == END_LOST ? IPC9_STATUS_LOST : IPC9_STATUS_PEERCLOSED;
}

unsigned end_events(const struct end *e)
{
	const struct end *other = end_other(e);
	unsigned events = 0;

	if (end_read_state(e) != -EAGAIN && other->state != END_ABSENT)
		events |= IPC9_PIPE_READABLE;
	if (end_write_state(e) != -EAGAIN && other->state != END_ABSENT)
		events |= IPC9_PIPE_WRITABLE;
	if (other->state == END_CLOSED || other->state == END_LOST)
		events |= IPC9_PIPE_CLOSED;
	return events;
}

void end_fail(struct request *r, int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{ IPC9_STATUS_ACCESS,
		    "it was not opened for that, or does not have this direction" },
		{ IPC9_STATUS_LISTENING, "no client is there yet" },
		{ IPC9_STATUS_EOF, "" },
		{ IPC9_STATUS_LOST, "it vanished without closing; data may be missing" },
		{ IPC9_STATUS_PEERCLOSED, "" },
		{ IPC9_STATUS_BADSTATE, "this end said that it writes no more" },
	};
	const char *text = "";

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].status == status)
			text = texts[i].text;
	request_fail(r, status, 0, "%s", text);
}

/* --- Answers ----------------------------------------------------------------------------------- */

void end_answer_read(struct request *r, struct end *e)
{
	ipc9_pipe_read_res res = { .status = IPC9_STATUS_OK };
	ipc9_pipe_read_ok *ok = &res.ipc9_pipe_read_res_u.ok;
	int status = end_read_state(e);
	bool more;

	if (status) {
		end_fail(r, status);
		return;
	}
	if (queue_take(&e->queue, (uint32_t)r->amount, r->amount & READ_MESSAGE, &ok->data,
		&more)) {
		request_trouble(r, -ENOMEM);
		return;
	}
	ok->more = more;
	request_reply(r, &res);
	bytes_unref(ok->data.owner);
}

void end_answer_write(struct request *r, bool full)
{
	ipc9_pipe_write_res res = { .status = IPC9_STATUS_OK };

	res.ipc9_pipe_write_res_u.ok.full = full;
	request_reply(r, &res);
}

void end_answer_poll(struct request *r, unsigned events)
{
	ipc9_pipe_poll_res res = { .status = IPC9_STATUS_OK };

	res.ipc9_pipe_poll_res_u.ok.events = events;
	request_reply(r, &res);
}

void end_answer_accept(struct request *r, struct end *e, bool waited)
{
	ipc9_pipe_accept_res res = { .status = IPC9_STATUS_OK };
	ipc9_pipe_accept_ok *ok = &res.ipc9_pipe_accept_res_u.ok;
	char from[ADDRESS_TEXT_SIZE];
	int status = end_accept_state(e);

	if (status) {
		end_fail(r, status);
		return;
	}
	ok->waited = waited;
	access_tell(&e->instance->client.who, from, &ok->client);
	request_reply(r, &res);
}

/* --- Waking ------------------------------------------------------------------------------------ */

struct request *end_unpark_first(struct list *queue)
{
	struct request *r = request_of(LIST_ENTRY(queue->next, struct call, parked));

	request_unpark(r);
	return r;
}

/* WRITEs of the other end whose data has been read down to the quota, or never will be. */
static void wake_writers(struct end *e)
{
	while (!list_is_empty(&e->writers)) {
		struct call *call = LIST_ENTRY(e->writers.next, struct call, parked);
		struct request *r = request_of(call);

		if (e->state == END_OPEN && r->amount > e->queue.taken + e->instance->quota)
			return;
		request_unpark(r);
		if (e->state == END_OPEN)
			end_answer_write(r, false);
		else
			end_fail(r,
			    e->state == END_LOST ? IPC9_STATUS_LOST : IPC9_STATUS_PEERCLOSED);
	}
}

static void wake_pollers(struct end *e)
{
	unsigned events = end_events(e);
	bool lost = end_other(e)->state == END_LOST;

	LIST_FOR_EACH (link, &e->pollers) {
		struct call *call = LIST_ENTRY(link, struct call, parked);
		struct request *r = request_of(call);

		if (!(events & r->amount))
			continue;
		request_unpark(r);
		if (lost && r->amount & IPC9_PIPE_CLOSED)
			end_fail(r, IPC9_STATUS_LOST);
		else
			end_answer_poll(r, events);
	}
}

void end_wake(struct end *e)
{
	while (!list_is_empty(&e->readers) && end_read_state(e) != -EAGAIN)
		end_answer_read(end_unpark_first(&e->readers), e);
	wake_writers(e);
	while (!list_is_empty(&e->acceptors) && end_accept_state(e) != -EAGAIN)
		end_answer_accept(end_unpark_first(&e->acceptors), e, true);
	wake_pollers(e);
	wake_pollers(end_other(e));
}
