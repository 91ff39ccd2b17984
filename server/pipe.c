/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe.c - named pipes, over pipe.x, in the ordinary-call mode.
 *
 * An instance has two ends; each end has a queue of what the other sent it.  An end goes through
 *
 *	ABSENT -> OPEN -> CLOSED	by CLOSE
 *		       -> LOST		its connection ended without CLOSE
 *
 * 1. The server's end is OPEN from CREATE on; the client's becomes OPEN by OPEN.  An instance is listening
 *    while its client end is ABSENT, and stands in its name's queue of listening ones exactly then.
 * 2. When the server's end is closed or lost the instance leaves its name; it is freed when neither end is OPEN
 *    any more.  A name is removed with its last instance.
 * 3. A parked READ waits in the end that reads; a parked WRITE in the end that has not read yet what was
 *    written; a parked ACCEPT or POLL in the end that asks.  Whatever changes an end or its queue calls
 *    wake() for it.
 */
#include "rpcgen-out/pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/daemon.h"
#include "server/named.h"
#include "server/queue.h"
#include "util/map.h"
#include "util/name.h"

#define INSTANCES_TOTAL_MAX 4096

enum end_state {
	END_ABSENT,
	END_OPEN,
	END_CLOSED,
	END_LOST,
};

struct end {
	UT_hash_handle by_handle;
	uint64_t id;
	struct instance *instance;
	enum end_state state;
	bool finished; /* sends no more: END or CLOSE came */
	struct connection *connection;
	struct connection_watch watch;
	struct caller who;
	struct queue queue;    /* to be read by this end */
	struct list readers;   /* parked READs of this end */
	struct list writers;   /* parked WRITEs of the other, until `queue` is down to the quota */
	struct list pollers;   /* parked POLLs of this end */
	struct list acceptors; /* parked ACCEPTs; of the server's end only */
};

struct instance {
	struct list link;	/* in its name's instances */
	struct list listening;	/* in its name's listening ones */
	struct pipe_name *name; /* NULL once the server's end is gone */
	struct pipes *pipes;
	int type, direction;
	uint32_t quota;
	struct end server, client;
};

struct pipe_name {
	struct named named;
	struct caller owner;
	int type, direction;
	unsigned max_instances, n_instances, n_listening;
	struct list instances, listening;
};

struct pipes {
	struct named_map names;
	struct end *ends; /* by handle; those that are OPEN */
	uint64_t next_id;
	unsigned n_instances;
};

static void wake(struct end *end);

/* --- Ends -------------------------------------------------------------------------------------- */

static bool is_server(const struct end *e)
{
	return e == &e->instance->server;
}

static struct end *other_of(const struct end *e)
{
	return is_server(e) ? &e->instance->client : &e->instance->server;
}

static void end_init(struct end *e, struct instance *i)
{
	e->instance = i;
	queue_init(&e->queue);
	list_init(&e->readers);
	list_init(&e->writers);
	list_init(&e->pollers);
	list_init(&e->acceptors);
	list_init(&e->watch.link);
}

static void instance_free(struct instance *i)
{
	queue_clear(&i->server.queue);
	queue_clear(&i->client.queue);
	i->pipes->n_instances--;
	free(i);
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
	if (n->n_instances == 0) {
		named_remove(&i->pipes->names, &n->named);
		free(n);
	}
}

/* Ends an end: CLOSED or LOST.  The instance may be gone on return. */
static void end_leave(struct end *e, enum end_state how)
{
	struct instance *i = e->instance;
	struct end *other = other_of(e);

	e->state = how;
	if (how == END_CLOSED)
		e->finished = true;
	list_remove(&e->watch.link);
	HASH_DELETE(by_handle, i->pipes->ends, e);
	e->connection = NULL;
	if (is_server(e))
		leave_name(i);
	/* Nobody will read what is still here; those who wait to see it read learn that. */
	queue_clear(&e->queue);
	wake(e);
	wake(other);
	if (i->server.state != END_OPEN && i->client.state != END_OPEN)
		instance_free(i);
}

static void on_connection_closed(struct connection_watch *watch)
{
	end_leave(LIST_ENTRY(watch, struct end, watch), END_LOST);
}

/* Makes an end OPEN for the request's connection.  0 or -ENOMEM. */
static int end_enter(struct end *e, struct request *r)
{
	struct pipes *all = e->instance->pipes;
	bool added;

	e->id = all->next_id++;
	MAP_ADD_KEY(by_handle, all->ends, &e->id, sizeof(e->id), e, added);
	if (!added)
		return -ENOMEM;
	e->state = END_OPEN;
	e->who = r->caller;
	e->connection = r->call.connection;
	e->watch.closed = on_connection_closed;
	connection_watch(e->connection, &e->watch);
	return 0;
}

/* The end of a handle of this connection; ends the request when there is none. */
static struct end *end_find(struct request *r, uint64_t id)
{
	const struct pipes *all = r->state;
	struct end *e;

	HASH_FIND(by_handle, all->ends, &id, sizeof(id), e);
	if (e && e->connection == r->call.connection)
		return e;
	request_fail(r, IPC9_STATUS_NOENT, 0, "no such pipe on this connection");
	return NULL;
}

static bool may_read(const struct end *e)
{
	return e->instance->direction & (is_server(e) ? IPC9_PIPE_INBOUND : IPC9_PIPE_OUTBOUND);
}

static bool may_write(const struct end *e)
{
	return e->instance->direction & (is_server(e) ? IPC9_PIPE_OUTBOUND : IPC9_PIPE_INBOUND);
}

/* --- What a call would say now: 0, or the status that it fails with, or -EAGAIN: it waits ------ */

static int read_state(const struct end *e)
{
	const struct end *other = other_of(e);

	if (!may_read(e))
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

static int write_state(const struct end *e)
{
	const struct end *other = other_of(e);

	if (!may_write(e))
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

static int accept_state(const struct end *e)
{
	const struct end *client = other_of(e);

	if (client->state == END_ABSENT)
		return -EAGAIN;
	if (client->state == END_OPEN || !queue_is_empty(&e->queue))
		return 0;
	return client->state == END_LOST ? IPC9_STATUS_LOST : IPC9_STATUS_PEERCLOSED;
}

static unsigned events_of(const struct end *e)
{
	const struct end *other = other_of(e);
	unsigned events = 0;

	if (read_state(e) != -EAGAIN && other->state != END_ABSENT)
		events |= IPC9_PIPE_READABLE;
	if (write_state(e) != -EAGAIN && other->state != END_ABSENT)
		events |= IPC9_PIPE_WRITABLE;
	if (other->state == END_CLOSED || other->state == END_LOST)
		events |= IPC9_PIPE_CLOSED;
	return events;
}

static void fail_with(struct request *r, int status)
{
	static const struct {
		int status;
		const char *text;
	} texts[] = {
		{ IPC9_STATUS_ACCESS, "the pipe does not have this direction" },
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

/* amount of a READ: max_bytes, and above them whether one message is asked for. */
#define READ_MESSAGE (UINT64_C(1) << 32)

static void answer_read(struct request *r, struct end *e)
{
	ipc9_pipe_read_res res = { .status = IPC9_STATUS_OK };
	ipc9_pipe_read_ok *ok = &res.ipc9_pipe_read_res_u.ok;
	int status = read_state(e);
	bool more;

	if (status) {
		fail_with(r, status);
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

static void answer_write(struct request *r, bool full)
{
	ipc9_pipe_write_res res = { .status = IPC9_STATUS_OK };

	res.ipc9_pipe_write_res_u.ok.full = full;
	request_reply(r, &res);
}

static void answer_poll(struct request *r, unsigned events)
{
	ipc9_pipe_poll_res res = { .status = IPC9_STATUS_OK };

	res.ipc9_pipe_poll_res_u.ok.events = events;
	request_reply(r, &res);
}

static void answer_accept(struct request *r, struct end *e, bool waited)
{
	ipc9_pipe_accept_res res = { .status = IPC9_STATUS_OK };
	ipc9_pipe_accept_ok *ok = &res.ipc9_pipe_accept_res_u.ok;
	char from[ADDRESS_TEXT_SIZE];
	int status = accept_state(e);

	if (status) {
		fail_with(r, status);
		return;
	}
	ok->waited = waited;
	access_tell(&e->instance->client.who, from, &ok->client);
	request_reply(r, &res);
}

/* --- Waking ------------------------------------------------------------------------------------ */

static struct request *unpark_first(struct list *queue)
{
	struct call *call = LIST_ENTRY(queue->next, struct call, parked);

	call_unpark(call);
	return request_of(call);
}

/* WRITEs of the other end whose data has been read down to the quota, or never will be. */
static void wake_writers(struct end *e)
{
	while (!list_is_empty(&e->writers)) {
		struct call *call = LIST_ENTRY(e->writers.next, struct call, parked);
		struct request *r = request_of(call);

		if (e->state == END_OPEN && r->amount > e->queue.taken + e->instance->quota)
			return;
		call_unpark(call);
		if (e->state == END_OPEN)
			answer_write(r, false);
		else
			fail_with(r,
			    e->state == END_LOST ? IPC9_STATUS_LOST : IPC9_STATUS_PEERCLOSED);
	}
}

static void wake_pollers(struct end *e)
{
	unsigned events = events_of(e);
	bool lost = other_of(e)->state == END_LOST;

	LIST_FOR_EACH (link, &e->pollers) {
		struct call *call = LIST_ENTRY(link, struct call, parked);
		struct request *r = request_of(call);

		if (!(events & r->amount))
			continue;
		call_unpark(call);
		if (lost && r->amount & IPC9_PIPE_CLOSED)
			fail_with(r, IPC9_STATUS_LOST);
		else
			answer_poll(r, events);
	}
}

/* Answers whoever waits for something of this end and need not any more. */
static void wake(struct end *e)
{
	while (!list_is_empty(&e->readers) && read_state(e) != -EAGAIN)
		answer_read(unpark_first(&e->readers), e);
	wake_writers(e);
	while (!list_is_empty(&e->acceptors) && accept_state(e) != -EAGAIN)
		answer_accept(unpark_first(&e->acceptors), e, true);
	wake_pollers(e);
	wake_pollers(other_of(e));
}

static void park(struct request *r, struct list *queue, uint32_t wait_ms, size_t held,
    call_ended_fn *ended)
{
	if (wait_ms == 0)
		ended(&r->call, CALL_EXPIRED);
	else if (call_park(&r->call, queue, wait_ms < IPC9_WAIT_MAX_MS ? wait_ms : IPC9_WAIT_MAX_MS,
		     held, ended))
		request_trouble(r, -ENOMEM);
}

static void on_wait_ended(struct call *call, enum call_end end)
{
	if (end == CALL_EXPIRED)
		request_fail(request_of(call), IPC9_STATUS_TIMEDOUT, 0, "%s", "");
}

static void on_write_ended(struct call *call, enum call_end end)
{
	if (end == CALL_EXPIRED)
		answer_write(request_of(call), true);
}

/* --- Making and opening ------------------------------------------------------------------------ */

static struct pipe_name *name_find(const struct pipes *all, const char *name)
{
	return (struct pipe_name *)(void *)named_find(&all->names, name);
}

static struct pipe_name *name_new(struct request *r, const ipc9_pipe_create_args *a)
{
	struct pipes *all = r->state;
	struct pipe_name *n = calloc(1, sizeof(*n));

	if (!n || named_add(&all->names, &n->named, a->name, &r->caller, NULL)) {
		free(n);
		return NULL;
	}
	n->owner = r->caller;
	n->type = a->type;
	n->direction = a->direction;
	n->max_instances = a->max_instances;
	list_init(&n->instances);
	list_init(&n->listening);
	return n;
}

static struct instance *instance_new(struct request *r, struct pipe_name *n, uint32_t quota)
{
	struct pipes *all = r->state;
	struct instance *i = calloc(1, sizeof(*i));

	if (!i)
		return NULL;
	i->pipes = all;
	i->name = n;
	i->type = n->type;
	i->direction = n->direction;
	i->quota = quota ? quota : IPC9_PIPE_QUOTA_DEFAULT;
	end_init(&i->server, i);
	end_init(&i->client, i);
	if (end_enter(&i->server, r)) {
		free(i);
		return NULL;
	}
	list_append(&n->instances, &i->link);
	list_append(&n->listening, &i->listening);
	n->n_instances++;
	n->n_listening++;
	all->n_instances++;
	return i;
}

/* What is wrong with the arguments, or NULL. */
static const char *check_create(const ipc9_pipe_create_args *a)
{
	if (a->type != IPC9_PIPE_BYTE && a->type != IPC9_PIPE_MESSAGE)
		return "the type is byte or message";
	if (a->direction < IPC9_PIPE_INBOUND || a->direction > IPC9_PIPE_DUPLEX)
		return "the direction is inbound, outbound or duplex";
	if (a->max_instances < 1 || a->max_instances > IPC9_PIPE_UNLIMITED)
		return "instances are 1 to 254, or 255 for no limit";
	if (a->quota_bytes > IPC9_PIPE_QUOTA_MAX)
		return "the quota is over its limit";
	return NULL;
}

/* Whether another instance may be added to a name; ends the request if not. */
static bool may_join(struct request *r, const struct pipe_name *n, const ipc9_pipe_create_args *a)
{
	if (!access_is_owner(&r->caller, &n->named.object))
		request_fail(r, IPC9_STATUS_ACCESS, 0, "the name belongs to uid %u", n->owner.uid);
	else if (a->direction != n->direction)
		request_fail(r, IPC9_STATUS_ACCESS, 0, "its instances have another direction");
	else if (n->max_instances != IPC9_PIPE_UNLIMITED && n->n_instances >= n->max_instances)
		request_fail(r, IPC9_STATUS_BUSY, n->max_instances, "all %u instances are there",
		    n->max_instances);
	else
		return true;
	return false;
}

static void handle_create(struct request *r, void *args)
{
	const ipc9_pipe_create_args *a = args;
	const struct pipes *all = r->state;
	const char *bad_name = name_check_object(a->name, false), *bad = check_create(a);
	struct pipe_name *n = name_find(all, a->name);
	ipc9_pipe_create_res res = { .status = IPC9_STATUS_OK };
	bool first = !n;
	struct instance *i;

	if (bad_name || bad) {
		request_fail(r, bad_name ? IPC9_STATUS_BADNAME : IPC9_STATUS_INVALID, 0, "%s",
		    bad_name ? bad_name : bad);
		return;
	}
	if (n && !may_join(r, n, a))
		return;
	if (all->n_instances >= INSTANCES_TOTAL_MAX) {
		request_fail(r, IPC9_STATUS_QUOTA, INSTANCES_TOTAL_MAX, "there are %d instances",
		    INSTANCES_TOTAL_MAX);
		return;
	}
	if (first)
		n = name_new(r, a);
	i = n ? instance_new(r, n, a->quota_bytes) : NULL;
	if (!i) {
		if (n && n->n_instances == 0) {
			named_remove(&((struct pipes *)r->state)->names, &n->named);
			free(n);
		}
		request_trouble(r, -ENOMEM);
		return;
	}
	res.ipc9_pipe_create_res_u.ok.pipe = i->server.id;
	res.ipc9_pipe_create_res_u.ok.first = first;
	request_reply(r, &res);
}

static void handle_accept(struct request *r, void *args)
{
	const ipc9_pipe_accept_args *a = args;
	struct end *e = end_find(r, a->pipe);

	if (!e)
		return;
	if (!is_server(e))
		request_fail(r, IPC9_STATUS_INVALID, 0, "this is a client's end");
	else if (accept_state(e) != -EAGAIN)
		answer_accept(r, e, false);
	else
		park(r, &e->acceptors, a->wait_ms, 0, on_wait_ended);
}

static const struct object *object_of_open(struct request *r, const void *args)
{
	const ipc9_pipe_open_args *a = args;
	struct pipe_name *n = name_find(r->state, a->name);

	return n ? &n->named.object : NULL;
}

/* Whether what OPEN asks for can be had; ends the request if not. */
static bool check_open(struct request *r, const struct pipe_name *n, unsigned flags)
{
	if (flags & IPC9_PIPE_OPEN_STREAM)
		request_fail(r, IPC9_STATUS_UNSUPPORTED, 0,
		    "this daemon serves ordinary calls only");
	else if (!n)
		request_fail(r, IPC9_STATUS_NOENT, 0, "%s", "");
	else if ((flags & IPC9_PIPE_OPEN_READ && !(n->direction & IPC9_PIPE_OUTBOUND)) ||
	    (flags & IPC9_PIPE_OPEN_WRITE && !(n->direction & IPC9_PIPE_INBOUND)))
		request_fail(r, IPC9_STATUS_ACCESS, 0, "the pipe does not have this direction");
	else if (flags & IPC9_PIPE_OPEN_WRITE &&
	    !access_allows(&r->daemon->access, &r->caller, RIGHT_WRITE, &n->named.object))
		request_fail(r, IPC9_STATUS_ACCESS, 0, "it does not let you write");
	else if (list_is_empty(&n->listening))
		request_fail(r, IPC9_STATUS_BUSY, 0,
		    "its %u instance%s serve%s other clients; try again later", n->n_instances,
		    n->n_instances == 1 ? "" : "s", n->n_instances == 1 ? "s" : "");
	else
		return true;
	return false;
}

static void handle_open(struct request *r, void *args)
{
	const ipc9_pipe_open_args *a = args;
	struct pipe_name *n = name_find(r->state, a->name);
	ipc9_pipe_open_res res = { .status = IPC9_STATUS_OK };
	ipc9_pipe_open_ok *ok = &res.ipc9_pipe_open_res_u.ok;
	char from[ADDRESS_TEXT_SIZE];
	struct instance *i;

	if (!check_open(r, n, a->flags))
		return;
	i = LIST_ENTRY(n->listening.next, struct instance, listening);
	if (end_enter(&i->client, r)) {
		request_trouble(r, -ENOMEM);
		return;
	}
	list_remove(&i->listening);
	n->n_listening--;
	ok->pipe = i->client.id;
	ok->type = i->type;
	access_tell(&i->server.who, from, &ok->server);
	request_reply(r, &res);
	wake(&i->server);
}

/* --- Data -------------------------------------------------------------------------------------- */

static void handle_read(struct request *r, void *args)
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
	if (list_is_empty(&e->readers) && read_state(e) != -EAGAIN) {
		answer_read(r, e);
		wake(e);
	} else {
		park(r, &e->readers, a->wait_ms, 0, on_wait_ended);
	}
}

static void handle_write(struct request *r, void *args)
{
	const ipc9_pipe_write_args *a = args;
	struct end *e = end_find(r, a->pipe), *to;
	int status;

	if (!e)
		return;
	status = write_state(e);
	if (status > 0) {
		fail_with(r, status);
		return;
	}
	to = other_of(e);
	if (queue_push(&to->queue, &a->data, e->instance->type == IPC9_PIPE_MESSAGE)) {
		request_trouble(r, -ENOMEM);
		return;
	}
	r->amount = to->queue.pushed;
	wake(to);
	if (r->amount <= to->queue.taken + e->instance->quota)
		answer_write(r, false);
	else
		park(r, &to->writers, a->wait_ms, a->data.len, on_write_ended);
}

static void handle_poll(struct request *r, void *args)
{
	const ipc9_pipe_poll_args *a = args;
	struct end *e = end_find(r, a->pipe);

	if (!e)
		return;
	r->amount = a->events;
	if (a->events & IPC9_PIPE_CLOSED && other_of(e)->state == END_LOST)
		fail_with(r, IPC9_STATUS_LOST);
	else if (events_of(e) & a->events)
		answer_poll(r, events_of(e));
	else
		park(r, &e->pollers, a->wait_ms, 0, on_wait_ended);
}

static void handle_end(struct request *r, void *args)
{
	const ipc9_handle_args *a = args;
	struct end *e = end_find(r, a->handle);

	if (!e)
		return;
	e->finished = true;
	request_done(r);
	wake(other_of(e));
}

static void handle_close(struct request *r, void *args)
{
	const ipc9_handle_args *a = args;
	struct end *e = end_find(r, a->handle);

	if (!e)
		return;
	/* Calls of this end that wait are over. */
	while (!list_is_empty(&e->readers))
		request_fail(unpark_first(&e->readers), IPC9_STATUS_NOENT, 0, "closed");
	while (!list_is_empty(&e->pollers))
		request_fail(unpark_first(&e->pollers), IPC9_STATUS_NOENT, 0, "closed");
	while (!list_is_empty(&e->acceptors))
		request_fail(unpark_first(&e->acceptors), IPC9_STATUS_NOENT, 0, "closed");
	while (!list_is_empty(&other_of(e)->writers))
		answer_write(unpark_first(&other_of(e)->writers), true);
	end_leave(e, END_CLOSED);
	request_done(r);
}

/* --- Telling ----------------------------------------------------------------------------------- */

static void describe(const struct pipe_name *n, char from[ADDRESS_TEXT_SIZE], ipc9_pipe_state *ret)
{
	ret->name = n->named.name;
	access_tell(&n->owner, from, &ret->owner);
	ret->type = n->type;
	ret->direction = n->direction;
	ret->instances = n->n_instances;
	ret->max_instances = n->max_instances;
	ret->listening = n->n_listening;
}

static void handle_list(struct request *r, void *args)
{
	const ipc9_list_args *a = args;
	const struct pipes *all = r->state;
	ipc9_pipe_list_res res = { .status = IPC9_STATUS_OK };
	ipc9_pipe_list_ok *ok = &res.ipc9_pipe_list_res_u.ok;
	ipc9_pipe_state states[IPC9_LIST_MAX];
	char from[IPC9_LIST_MAX][ADDRESS_TEXT_SIZE];
	size_t n;
	struct named **found = named_select(&all->names, r, RIGHT_READ, a->after, &n);

	if (!found) {
		request_trouble(r, -ENOMEM);
		return;
	}
	ok->more = n > IPC9_LIST_MAX;
	if (ok->more)
		n = IPC9_LIST_MAX;
	for (size_t i = 0; i < n; i++)
		describe((const struct pipe_name *)(const void *)found[i], from[i], &states[i]);
	ok->pipes.pipes_len = (u_int)n;
	ok->pipes.pipes_val = states;
	request_reply(r, &res);
	free(found);
}

/* --- Service ----------------------------------------------------------------------------------- */

static int start(struct daemon *d, void **ret_state)
{
	struct pipes *all = calloc(1, sizeof(*all));

	(void)d;
	if (!all)
		return -ENOMEM;
	all->next_id = 1;
	*ret_state = all;
	return 0;
}

static void stop(void *state)
{
	free(state);
}

static void count(const void *state, struct tally *t)
{
	const struct pipes *all = state;

	tally_add(t, "pipe.names", named_count(&all->names));
	tally_add(t, "pipe.instances", all->n_instances);
}

static const struct procedure procedures[] = {
	PROCEDURE_NULL,
	{
	    PROCEDURE(IPC9_PIPEPROC_CREATE, ipc9_pipe_create_args, ipc9_pipe_create_res),
	    .flags = PROCEDURE_LOCAL,
	    .right = RIGHT_CREATE,
	    .handle = handle_create,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_ACCEPT, ipc9_pipe_accept_args, ipc9_pipe_accept_res),
	    .right = RIGHT_CREATE,
	    .handle = handle_accept,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_OPEN, ipc9_pipe_open_args, ipc9_pipe_open_res),
	    .right = RIGHT_READ,
	    .handle = handle_open,
	    .object = object_of_open,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_READ, ipc9_pipe_read_args, ipc9_pipe_read_res),
	    .right = RIGHT_READ,
	    .handle = handle_read,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_WRITE, ipc9_pipe_write_args, ipc9_pipe_write_res),
	    .right = RIGHT_WRITE,
	    .handle = handle_write,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_POLL, ipc9_pipe_poll_args, ipc9_pipe_poll_res),
	    .right = RIGHT_READ,
	    .handle = handle_poll,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_END, ipc9_handle_args, ipc9_void_res),
	    .right = RIGHT_READ,
	    .handle = handle_end,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_CLOSE, ipc9_handle_args, ipc9_void_res),
	    .right = RIGHT_READ,
	    .handle = handle_close,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_LIST, ipc9_list_args, ipc9_pipe_list_res),
	    .right = RIGHT_READ,
	    .handle = handle_list,
	},
};

extern const struct service service_pipe;
const struct service service_pipe = {
	.name = "pipe",
	.program = IPC9_PROG_PIPE,
	.version = IPC9_PIPE_V1,
	.procedures = procedures,
	.n_procedures = sizeof(procedures) / sizeof(procedures[0]),
	.start = start,
	.stop = stop,
	.count = count,
};
