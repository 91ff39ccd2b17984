/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe.c - named pipes, over pipe.x, in the ordinary-call mode: the procedures.  What they work on, and the
 * rules it keeps, are in pipe_instance.h.
 */
#include "rpcgen-out/pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/daemon.h"
#include "server/named.h"
#include "server/pipe_instance.h"
#include "util/name.h"

#define OVER_QUOTA_MAX 4194304 /* what a writer may have under way beyond the quota */

/* --- Waiting ----------------------------------------------------------------------------------- */

static void park(struct request *r, struct list *queue, uint32_t wait_ms, call_ended_fn *ended)
{
	int e = 0;

	if (wait_ms == 0)
		ended(&r->call, CALL_EXPIRED);
	else
		e = request_park(r, queue, wait_ms, 0, ended);
	if (e)
		request_fail_charge(r, e, &r->caller, QUOTA_WAITING);
}

static void on_wait_ended(struct call *call, enum call_end end)
{
	if (end == CALL_EXPIRED)
		request_fail(request_of(call), IPC9_STATUS_TIMEDOUT, 0, "%s", "");
}

static void on_write_ended(struct call *call, enum call_end end)
{
	if (end == CALL_EXPIRED)
		end_answer_write(request_of(call), true);
}

/* --- Making and opening ------------------------------------------------------------------------ */

static struct pipe_name *name_find(const struct request *r, const char *name)
{
	const struct pipes *all = r->state;

	return (struct pipe_name *)(void *)named_find_for(r, &all->names, name);
}

static struct named *find_pipe(struct request *r, void *state, const char *name)
{
	const struct pipes *all = state;

	(void)r;
	return named_find(&all->names, name);
}

/* 0, IPC9_STATUS_QUOTA, -ENOMEM. */
static int name_new(struct request *r, const ipc9_pipe_create_args *a, struct pipe_name **ret)
{
	struct pipes *all = r->state;
	struct pipe_name *n = calloc(1, sizeof(*n));
	int e = -ENOMEM;

	if (n)
		e = quota_charge(r->daemon->quota, &r->caller, QUOTA_OBJECTS, 1, &n->charge);
	if (!e)
		e = named_add(&all->names, &n->named, r, a->name, NULL, &n->charge);
	if (e) {
		if (n)
			charge_release(&n->charge);
		free(n);
		return e;
	}
	n->owner = access_keep(&r->caller);
	n->type = a->type;
	n->direction = a->direction;
	n->max_instances = a->max_instances;
	list_init(&n->instances);
	list_init(&n->listening);
	*ret = n;
	return 0;
}

/* 0, IPC9_STATUS_QUOTA, -ENOMEM. */
static int instance_new(struct request *r, struct pipe_name *n, uint32_t quota,
    struct instance **ret)
{
	struct pipes *all = r->state;
	struct instance *i = malloc(sizeof(*i));
	int e;

	if (!i)
		return -ENOMEM;
	instance_init(i, all, n);
	i->quota = quota ? quota : IPC9_PIPE_QUOTA_DEFAULT;
	e = quota_charge(r->daemon->quota, &r->caller, QUOTA_OBJECTS, 1, &i->charge);
	if (!e)
		e = end_enter(&i->server, r);
	if (e) {
		charge_release(&i->charge);
		free(i);
		return e;
	}
	list_append(&n->instances, &i->link);
	list_append(&n->listening, &i->listening);
	n->n_instances++;
	n->n_listening++;
	all->n_instances++;
	*ret = i;
	return 0;
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
	if (a->flags & ~(unsigned)IPC9_PIPE_CREATE_FIRST)
		return "it has a flag that there is not";
	return NULL;
}

/* Whether another instance may be added to a name; ends the request if not. */
static bool may_join(struct request *r, const struct pipe_name *n, const ipc9_pipe_create_args *a)
{
	if (!access_is_owner(&r->caller, &n->named.object))
		named_refuse_taken(r, &n->named, RIGHT_CREATE, "only its owner adds instances");
	else if (a->flags & IPC9_PIPE_CREATE_FIRST)
		request_fail(r, IPC9_STATUS_EXISTS, 0, "it has %u instance%s already",
		    n->n_instances, n->n_instances == 1 ? "" : "s");
	else if (a->direction != n->direction)
		request_fail(r, IPC9_STATUS_ACCESS, 0, "its instances have another direction");
	else if (n->max_instances != IPC9_PIPE_UNLIMITED && n->n_instances >= n->max_instances)
		request_fail(r, IPC9_STATUS_BUSY, n->max_instances, "all %u instances are there",
		    n->max_instances);
	else
		return named_has_rules(r, &n->named, a->rules);
	return false;
}

static void handle_create(struct request *r, void *args)
{
	const ipc9_pipe_create_args *a = args;
	struct pipes *all = r->state;
	const char *bad_name = name_check_object(a->name, false), *bad = check_create(a);
	struct pipe_name *n = name_find(r, a->name);
	ipc9_pipe_create_res res = { .status = IPC9_STATUS_OK };
	bool first = !n;
	struct instance *i;
	int e = 0;

	if (bad_name || bad) {
		request_fail(r, bad_name ? IPC9_STATUS_BADNAME : IPC9_STATUS_INVALID, 0, "%s",
		    bad_name ? bad_name : bad);
		return;
	}
	if (n ? !may_join(r, n, a) : !named_may_create(r, a->name))
		return;
	if (first)
		e = name_new(r, a, &n);
	if (!e && first && !named_take_rules(r, &n->named, a->rules)) {
		pipe_name_free(all, n);
		return;
	}
	if (!e)
		e = instance_new(r, n, a->quota_bytes, &i);
	if (e) {
		if (n && n->n_instances == 0)
			pipe_name_free(all, n);
		request_fail_charge(r, e, &r->caller, QUOTA_OBJECTS);
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
	if (!end_is_server(e))
		request_fail(r, IPC9_STATUS_INVALID, 0, "this is a client's end");
	else if (end_accept_state(e) != -EAGAIN)
		end_answer_accept(r, e, false);
	else
		park(r, &e->acceptors, a->wait_ms, on_wait_ended);
}

static const struct object *object_of_open(struct request *r, const void *args)
{
	const ipc9_pipe_open_args *a = args;
	struct pipe_name *n = name_find(r, a->name);

	return n ? &n->named.object : NULL;
}

/* Whether what OPEN asks for can be had; ends the request if not. */
static bool check_open(struct request *r, const char *name, const struct pipe_name *n,
    unsigned flags)
{
	char why[ACCESS_WHY_SIZE];

	if (flags & IPC9_PIPE_OPEN_STREAM)
		request_fail(r, IPC9_STATUS_UNSUPPORTED, 0,
		    "this daemon serves ordinary calls only");
	else if (!n)
		named_fail_absent(r, request_service(r), name);
	else if ((flags & IPC9_PIPE_OPEN_READ && !(n->direction & IPC9_PIPE_OUTBOUND)) ||
	    (flags & IPC9_PIPE_OPEN_WRITE && !(n->direction & IPC9_PIPE_INBOUND)))
		request_fail(r, IPC9_STATUS_ACCESS, 0, "the pipe does not have this direction");
	else if (flags & IPC9_PIPE_OPEN_WRITE &&
	    !access_decide(&r->daemon->access, &r->caller, RIGHT_WRITE, &n->named.object, why))
		request_refuse(r, &n->named.object, RIGHT_WRITE, why);
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
	struct pipe_name *n = name_find(r, a->name);
	ipc9_pipe_open_res res = { .status = IPC9_STATUS_OK };
	ipc9_pipe_open_ok *ok = &res.ipc9_pipe_open_res_u.ok;
	char from[ADDRESS_TEXT_SIZE];
	struct instance *i;

	if (!check_open(r, a->name, n, a->flags))
		return;
	i = LIST_ENTRY(n->listening.next, struct instance, listening);
	if (end_enter(&i->client, r)) {
		request_trouble(r, -ENOMEM);
		return;
	}
	i->client.reads = a->flags & IPC9_PIPE_OPEN_READ;
	i->client.writes = a->flags & IPC9_PIPE_OPEN_WRITE;
	list_remove(&i->listening);
	n->n_listening--;
	ok->pipe = i->client.id;
	ok->type = i->type;
	access_tell(&i->server.who, from, &ok->server);
	request_reply(r, &res);
	end_wake(&i->server);
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
	if (list_is_empty(&e->readers) && end_read_state(e) != -EAGAIN) {
		end_answer_read(r, e);
		end_wake(e);
	} else {
		park(r, &e->readers, a->wait_ms, on_wait_ended);
	}
}

/* The data is queued; whatever happens to the waiting, the answer must not deny that. */
static void park_write(struct request *r, struct end *to, const ipc9_pipe_write_args *a)
{
	if (a->wait_ms == 0 ||
	    request_park(r, &to->writers, a->wait_ms, a->data.len, on_write_ended))
		end_answer_write(r, true);
}

static void handle_write(struct request *r, void *args)
{
	const ipc9_pipe_write_args *a = args;
	struct end *e = end_find(r, a->pipe), *to;
	int status;

	if (!e)
		return;
	status = end_write_state(e);
	if (status > 0) {
		end_fail(r, status);
		return;
	}
	to = end_other(e);
	if (queue_charge(&to->queue) > (uint64_t)e->instance->quota + OVER_QUOTA_MAX) {
		request_fail(r, IPC9_STATUS_QUOTA, e->instance->quota,
		    "too much waits to be read; wait for answers before writing more");
		return;
	}
	status = queue_push(&to->queue, &a->data, e->instance->type == IPC9_PIPE_MESSAGE);
	if (status) {
		request_fail_charge(r, status, charge_payer(&e->instance->charge), QUOTA_BYTES);
		return;
	}
	r->amount = to->queue.pushed;
	end_wake(to);
	if (r->amount <= to->queue.taken + e->instance->quota)
		end_answer_write(r, false);
	else
		park_write(r, to, a);
}

static void handle_poll(struct request *r, void *args)
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
		park(r, &e->pollers, a->wait_ms, on_wait_ended);
}

static void handle_end(struct request *r, void *args)
{
	const ipc9_handle_args *a = args;
	struct end *e = end_find(r, a->handle);

	if (!e)
		return;
	e->finished = true;
	request_done(r);
	end_wake(end_other(e));
}

static void handle_close(struct request *r, void *args)
{
	const ipc9_handle_args *a = args;
	struct end *e = end_find(r, a->handle);

	if (!e)
		return;
	/* Calls of this end that wait are over. */
	while (!list_is_empty(&e->readers))
		request_fail(end_unpark_first(&e->readers), IPC9_STATUS_NOENT, 0, "closed");
	while (!list_is_empty(&e->pollers))
		request_fail(end_unpark_first(&e->pollers), IPC9_STATUS_NOENT, 0, "closed");
	while (!list_is_empty(&e->acceptors))
		request_fail(end_unpark_first(&e->acceptors), IPC9_STATUS_NOENT, 0, "closed");
	while (!list_is_empty(&end_other(e)->writers))
		end_answer_write(end_unpark_first(&end_other(e)->writers), true);
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
	struct named_page page;
	int e = named_list(&all->names, r, RIGHT_READ, a->after, &page);

	if (e) {
		request_trouble(r, e);
		return;
	}
	for (size_t i = 0; i < page.n; i++)
		describe((const struct pipe_name *)(const void *)page.objects[i], from[i],
		    &states[i]);
	ok->more = page.more;
	ok->pipes.pipes_len = (u_int)page.n;
	ok->pipes.pipes_val = states;
	request_reply(r, &res);
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
	tally_add(t, "pipe.bytes", all->bytes);
}

static const struct procedure procedures[] = {
	PROCEDURE_NULL,
	{
	    PROCEDURE(IPC9_PIPEPROC_CREATE, ipc9_pipe_create_args, ipc9_pipe_create_res),
	    .flags = PROCEDURE_LOCAL,
	    .strength = STRENGTH_IDENTITY, /* it has an owner, who pays */
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
	.rights = RIGHT_READ | RIGHT_WRITE,
	.find = find_pipe,
};
