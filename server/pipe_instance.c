/* SPDX-License-Identifier: BSD-3-Clause */
/* pipe_instance.c - see pipe_instance.h. */
#include "server/pipe_instance.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/daemon.h"

/* What the charges of messages may come to beyond the quota before writers wait: 16384 empty ones. */
#define MESSAGES_CHARGE_MAX (16384 * QUEUE_MESSAGE_CHARGE)

/* --- Ends -------------------------------------------------------------------------------------- */

bool end_is_server(const struct end *e)
{
	return e->instance && e == &e->instance->server;
}

struct end *end_other(const struct end *e)
{
	return end_is_server(e) ? e->instance->client : &e->instance->server;
}

static void end_init(struct end *e, struct instance *i)
{
	memset(e, 0, sizeof(*e));
	e->pipes = i->pipes;
	e->instance = i;
	queue_init(&e->queue, &i->pipes->bytes, &i->charge);
	list_init(&e->readers);
	list_init(&e->writers);
	list_init(&e->flushers);
	list_init(&e->pollers);
	list_init(&e->acceptors);
	list_init(&e->watch.link);
}

struct instance *instance_new(struct pipes *pipes, struct pipe_name *name)
{
	struct instance *i = calloc(1, sizeof(*i));
	struct end *client = malloc(sizeof(*client));

	if (!i || !client) {
		free(i);
		free(client);
		return NULL;
	}
	list_init(&i->link);
	list_init(&i->listening);
	i->pipes = pipes;
	i->name = name;
	i->type = name->type;
	i->direction = name->direction;
	i->client = client;
	end_init(&i->server, i);
	end_init(i->client, i);
	i->server.reads = i->direction & IPC9_PIPE_INBOUND;
	i->server.writes = i->direction & IPC9_PIPE_OUTBOUND;
	return i;
}

void instance_free(struct instance *i)
{
	instance_keep_nothing(i);
	queue_clear(&i->server.queue);
	queue_clear(&i->client->queue);
	charge_release(&i->charge);
	free(i->client);
	free(i);
}

void pipe_name_free(struct pipes *all, struct pipe_name *n)
{
	while (!list_is_empty(&n->waiters))
		request_fail(end_unpark_first(&n->waiters), IPC9_STATUS_NOENT, 0,
		    "its last instance was closed");
	named_remove(&all->names, &n->named);
	charge_release(&n->charge);
	free(n);
}

static bool is_offered(const struct instance *i)
{
	return !list_is_empty(&i->listening);
}

static void leave_name(struct instance *i)
{
	struct pipe_name *n = i->name;

	if (!n)
		return;
	i->name = NULL;
	n->n_instances--;
	if (is_offered(i))
		n->n_listening--;
	list_remove(&i->link);
	list_remove(&i->listening);
	if (n->n_instances == 0)
		pipe_name_free(i->pipes, n);
}

void instance_listen(struct instance *i)
{
	i->client->state = END_ABSENT;
	instance_offer(i);
}

void instance_offer(struct instance *i)
{
	struct pipe_name *n = i->name;

	list_append(&n->listening, &i->listening);
	n->n_listening++;
	while (!list_is_empty(&n->waiters))
		request_done(end_unpark_first(&n->waiters));
}

void instance_take(struct instance *i)
{
	list_remove(&i->listening);
	i->name->n_listening--;
	i->client->finished = false;
}

/* An end that is in the map leaves it, and its connection. */
static void drop_handle(struct end *e)
{
	list_remove(&e->watch.link);
	HASH_DELETE(by_handle, e->pipes->ends, e);
	e->connection = NULL;
}

/*
 * The server's end is gone, and its queue empty: it pays no more for what a client keeps by not closing.  A client who cannot
 * pay either loses what is unread, and learns that something is missing.
 */
static void hand_to_client(struct instance *i)
{
	struct end *client = i->client;

	if (client->state == END_OPEN && queue_move(&client->queue, &client->charge)) {
		queue_clear(&client->queue);
		i->server.state = END_LOST;
		i->server.finished = false;
	}
	charge_release(&i->charge);
}

void end_leave(struct end *e, enum end_state how)
{
	struct instance *i = e->instance;
	struct end *other;

	drop_handle(e);
	if (!i) {
		charge_release(&e->charge);
		free(e);
		return;
	}
	/* Calls of this end that waited have ended before: by CLOSE, or with the connection. */
	other = end_other(e);
	e->state = how;
	if (how == END_CLOSED)
		e->finished = true;
	/* Nobody will read what is still here; those who wait to see it read learn that. */
	queue_clear(&e->queue);
	if (end_is_server(e)) {
		leave_name(i);
		hand_to_client(i);
	}
	charge_release(&e->charge);
	end_wake(e);
	end_wake(other);
	if (i->server.state == END_OPEN || i->client->state == END_OPEN)
		return;
	i->pipes->n_instances--;
	instance_free(i);
}

static void on_connection_closed(struct connection_watch *watch)
{
	end_leave(LIST_ENTRY(watch, struct end, watch), END_LOST);
}

int end_enter(struct end *e, struct request *r)
{
	struct pipes *all = e->pipes;
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

int end_enter_client(struct end *e, struct request *r)
{
	int status = quota_charge(r->daemon->quota, &r->caller, QUOTA_OBJECTS, 1, &e->charge);

	if (!status)
		status = end_enter(e, r);
	if (status)
		charge_release(&e->charge);
	return status;
}

struct end *end_find_any(struct request *r, uint64_t id)
{
	const struct pipes *all = r->state;
	struct end *e;

	HASH_FIND(by_handle, all->ends, &id, sizeof(id), e);
	if (e && e->connection == r->call.connection) {
		/* Whose client has gone, and who is about to be told: nobody may take that one's place from now on. */
		if (end_is_server(e) && e->instance->client->state != END_ABSENT &&
		    is_offered(e->instance)) {
			list_remove(&e->instance->listening);
			e->instance->name->n_listening--;
		}
		return e;
	}
	request_fail(r, IPC9_STATUS_NOENT, 0, "no such pipe on this connection");
	return NULL;
}

struct end *end_find(struct request *r, uint64_t id)
{
	struct end *e = end_find_any(r, id);

	if (!e || e->instance)
		return e;
	end_fail(r, IPC9_STATUS_NOTCONN);
	return NULL;
}

struct end *end_find_server(struct request *r, uint64_t id)
{
	struct end *e = end_find_any(r, id);

	if (!e || end_is_server(e))
		return e;
	request_fail(r, IPC9_STATUS_INVALID, 0, "this is a client's end");
	return NULL;
}

/* --- Disconnecting ----------------------------------------------------------------------------- */

static void fail_all(struct list *queue, int status)
{
	while (!list_is_empty(queue))
		end_fail(end_unpark_first(queue), status);
}

static void end_throw_out(struct end *e)
{
	fail_all(&e->readers, IPC9_STATUS_NOTCONN);
	fail_all(&e->writers, IPC9_STATUS_NOTCONN);
	fail_all(&e->flushers, IPC9_STATUS_NOTCONN);
	fail_all(&e->pollers, IPC9_STATUS_NOTCONN);
	queue_clear(&e->queue);
	e->finished = false;
}

int instance_disconnect(struct instance *i)
{
	struct end *old = i->client, *fresh = old;

	if (old->state == END_OPEN) {
		fresh = malloc(sizeof(*fresh));
		if (!fresh)
			return -ENOMEM;
	}
	end_throw_out(&i->server);
	end_throw_out(old);
	if (fresh != old) {
		old->instance = NULL;
		old->state = END_DISCONNECTED;
	}
	instance_keep_nothing(i);
	i->way = IPC9_PIPE_WAY_CALLS;
	end_init(fresh, i);
	fresh->state = END_DISCONNECTED;
	i->client = fresh;
	i->accepted = false;
	return 0;
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
	if (other->state == END_DISCONNECTED)
		return IPC9_STATUS_NOTCONN;
	if (other->state == END_AWAY)
		return IPC9_STATUS_BADSTATE;
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
	if (other->state == END_DISCONNECTED)
		return IPC9_STATUS_NOTCONN;
	if (other->state == END_AWAY)
		return IPC9_STATUS_BADSTATE;
	if (other->state == END_CLOSED)
		return IPC9_STATUS_PEERCLOSED;
	if (other->state == END_LOST)
		return IPC9_STATUS_LOST;
	if (e->finished)
		return IPC9_STATUS_BADSTATE;
	return queue_bytes(&other->queue) < e->instance->quota ? 0 : -EAGAIN;
}

int end_accept_state(const struct end *e)
{
	const struct end *client = end_other(e);

	if (client->state == END_ABSENT || client->state == END_DISCONNECTED)
		return -EAGAIN;
	if (client->state == END_OPEN || client->state == END_AWAY ||
	    (!e->instance->accepted && !queue_is_empty(&e->queue)))
		return 0;
	return client->state == END_LOST ? IPC9_STATUS_LOST : IPC9_STATUS_PEERCLOSED;
}

int end_peek_state(const struct end *e)
{
	const struct end *other = end_other(e);
	int status;

	if (e->reads && (other->state == END_ABSENT || other->state == END_DISCONNECTED))
		return IPC9_STATUS_BADSTATE;
	status = end_read_state(e);
	return status == -EAGAIN ? 0 : status;
}

int end_flush_state(const struct end *e)
{
	const struct end *other = end_other(e);

	if (other->state == END_LOST && e->writes)
		return IPC9_STATUS_LOST;
	return queue_is_empty(&other->queue) ? 0 : -EAGAIN;
}

int end_transact_state(const struct end *e)
{
	if (e->instance->type != IPC9_PIPE_MESSAGE || !e->reads || !e->writes ||
	    end_other(e)->state != END_OPEN || end_other(e)->finished || e->finished)
		return IPC9_STATUS_BADSTATE;
	return queue_is_empty(&e->queue) ? 0 : IPC9_STATUS_BUSY;
}

unsigned end_events(const struct end *e)
{
	const struct end *other = end_other(e);
	unsigned events = 0;

	if (other->state == END_ABSENT)
		return 0;
	if (end_read_state(e) != -EAGAIN)
		events |= IPC9_PIPE_READABLE;
	if (end_write_state(e) != -EAGAIN)
		events |= IPC9_PIPE_WRITABLE;
	if (other->state == END_CLOSED || other->state == END_LOST)
		events |= IPC9_PIPE_CLOSED;
	return events;
}

int end_state_number(const struct end *e)
{
	static const int numbers[] = {
		[END_ABSENT] = IPC9_PIPE_LISTENING,
		[END_OPEN] = IPC9_PIPE_CONNECTED,
		[END_CLOSED] = IPC9_PIPE_CLOSING,
		[END_LOST] = IPC9_PIPE_LOST,
		[END_DISCONNECTED] = IPC9_PIPE_DISCONNECTED,
		[END_AWAY] = IPC9_PIPE_CONNECTED,
	};

	if (end_other(e)->state == END_AWAY && e->instance->left)
		return e->instance->left;
	return numbers[end_other(e)->state];
}

void end_fail(struct request *r, int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{ IPC9_STATUS_ACCESS,
		    "it was not opened for that, or does not have this direction" },
		{ IPC9_STATUS_BADSTATE,
		    "its state does not allow that, or its data does not pass here" },
		{ IPC9_STATUS_LISTENING, "no client is there yet" },
		{ IPC9_STATUS_LOST, "it vanished without closing; data may be missing" },
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
	bool more = false;

	if (status) {
		end_fail(r, status);
		return;
	}
	/* A read of no bytes takes nothing, and so no empty message from whoever ignores boundaries. */
	if (r->amount != 0 &&
	    queue_take(&e->queue, (uint32_t)r->amount, r->amount & READ_MESSAGE, &ok->data,
		&more)) {
		request_trouble(r, -ENOMEM);
		return;
	}
	ok->more = more;
	request_reply(r, &res);
	bytes_unref(ok->data.owner);
}

void end_answer_write(struct request *r, bool full, uint32_t taken_bytes)
{
	ipc9_pipe_write_res res = { .status = IPC9_STATUS_OK };

	res.ipc9_pipe_write_res_u.ok.full = full;
	res.ipc9_pipe_write_res_u.ok.taken_bytes = taken_bytes;
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
	status = instance_give(e->instance, r);
	if (status) {
		request_trouble(r, status);
		return;
	}
	e->instance->accepted = true;
	ok->waited = waited;
	ok->way = e->instance->way;
	ok->flags = (e->instance->client->reads ? (u_int)IPC9_PIPE_OPEN_READ : 0u) |
	    (e->instance->client->writes ? (u_int)IPC9_PIPE_OPEN_WRITE : 0u);
	access_tell(&e->instance->client->who, from, &ok->client);
	request_reply(r, &res);
}

/* --- Waking ------------------------------------------------------------------------------------ */

struct request *end_unpark_first(struct list *queue)
{
	struct request *r = request_of(LIST_ENTRY(queue->next, struct call, parked));

	request_unpark(r);
	return r;
}

bool end_write_fits(const struct end *to, uint64_t amount, uint64_t place, uint32_t len)
{
	uint64_t quota = to->instance->quota;

	return (len == 0 || amount <= to->queue.taken_bytes + quota) &&
	    place <= to->queue.taken + quota + MESSAGES_CHARGE_MAX;
}

/* Of a FLUSH until there is room `held` is 0 as well; but it waits for the quota all the same. */
static bool is_written(const struct end *to, const struct request *r)
{
	bool flush = r->procedure->number == IPC9_PIPEPROC_FLUSH;

	return end_write_fits(to, r->amount, r->place, flush ? 1 : (uint32_t)r->call.held);
}

/* What a WRITE or FLUSH ends with when this end, which was to read, is not OPEN any more. */
static int gone_status(const struct end *e)
{
	return e->state == END_LOST ? IPC9_STATUS_LOST : IPC9_STATUS_EOF;
}

/* WRITEs of the other end whose data has been read down to the quota, or never will be. */
static void wake_writers(struct end *e)
{
	while (!list_is_empty(&e->writers)) {
		struct request *r = request_of(LIST_ENTRY(e->writers.next, struct call, parked));

		if (e->state == END_OPEN && !is_written(e, r))
			return;
		request_unpark(r);
		if (e->state != END_OPEN)
			end_fail(r, gone_status(e));
		else if (r->procedure->number == IPC9_PIPEPROC_FLUSH)
			request_done(r);
		else
			end_answer_write(r, false, (uint32_t)r->call.held);
	}
}

static void wake_flushers(struct end *e)
{
	while (!list_is_empty(&e->flushers)) {
		struct request *r = request_of(LIST_ENTRY(e->flushers.next, struct call, parked));

		if (e->state == END_OPEN && r->place > e->queue.taken)
			return;
		request_unpark(r);
		if (e->state == END_OPEN)
			request_done(r);
		else
			end_fail(r, gone_status(e));
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
	wake_flushers(e);
	while (!list_is_empty(&e->acceptors) && end_accept_state(e) != -EAGAIN)
		end_answer_accept(end_unpark_first(&e->acceptors), e, true);
	wake_pollers(e);
	wake_pollers(end_other(e));
}

/* --- Taking back ------------------------------------------------------------------------------- */

static void move_back(struct list *queue, uint64_t behind, const struct queue_cut *cut)
{
	LIST_FOR_EACH (link, queue) {
		struct request *r = request_of(LIST_ENTRY(link, struct call, parked));

		if (r->place >= behind) {
			r->place -= cut->charge;
			r->amount -= cut->bytes;
		}
	}
}

uint64_t end_withdraw(struct end *to, const struct request *write)
{
	struct queue_cut cut = queue_withdraw(&to->queue, write->place, (uint32_t)write->call.held);

	move_back(&to->writers, write->place, &cut);
	move_back(&to->flushers, write->place, &cut);
	return cut.bytes;
}

static unsigned cancel_in(struct list *queue, bool all, uint32_t xid, struct end *to)
{
	unsigned n = 0;

	LIST_FOR_EACH (link, queue) {
		struct request *r = request_of(LIST_ENTRY(link, struct call, parked));
		uint64_t read = 0;

		if (!all && r->call.xid != xid)
			continue;
		request_unpark(r);
		if (to && r->procedure->number == IPC9_PIPEPROC_WRITE)
			read = r->call.held - end_withdraw(to, r);
		request_fail(r, IPC9_STATUS_CANCELLED, read, "%s", "");
		n++;
	}
	return n;
}

unsigned end_cancel(struct end *e, bool all, uint32_t xid)
{
	unsigned n = 0;
	struct end *to;

	if (!e->instance)
		return 0; /* disconnected: nothing of it waits */
	to = end_other(e);
	n += cancel_in(&e->readers, all, xid, NULL);
	n += cancel_in(&e->pollers, all, xid, NULL);
	n += cancel_in(&e->acceptors, all, xid, NULL);
	n += cancel_in(&to->writers, all, xid, to);
	n += cancel_in(&to->flushers, all, xid, NULL);
	if (n)
		end_wake(to);
	return n;
}
