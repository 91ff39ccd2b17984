/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe.c - named pipes, over pipe.x, in the ordinary-call mode: names and instances, and the table of procedures.  Those that
 * move data are in pipe_data.c; what all work on, and the rules it keeps, in pipe_instance.h.
 */
#include "rpcgen-out/pipe.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/audit.h"
#include "server/daemon.h"
#include "server/named.h"
#include "server/pipe_data.h"
#include "util/name.h"

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
	n->local_only = a->flags & IPC9_PIPE_CREATE_LOCAL_ONLY;
	n->default_wait_ms = a->default_wait_ms ? a->default_wait_ms : IPC9_PIPE_DEFAULT_WAIT_MS;
	list_init(&n->instances);
	list_init(&n->listening);
	list_init(&n->waiters);
	*ret = n;
	return 0;
}

/* 0, IPC9_STATUS_QUOTA, -ENOMEM. */
static int add_instance(struct request *r, struct pipe_name *n, const ipc9_pipe_create_args *a,
    struct instance **ret)
{
	struct pipes *all = r->state;
	struct instance *i = instance_new(all, n);
	int e;

	if (!i)
		return -ENOMEM;
	i->quota = a->quota_bytes ? a->quota_bytes : IPC9_PIPE_QUOTA_DEFAULT;
	i->streams = a->flags & IPC9_PIPE_CREATE_STREAM;
	i->shares = a->flags & IPC9_PIPE_CREATE_SHARED;
	e = quota_charge(r->daemon->quota, &r->caller, QUOTA_OBJECTS, 1, &i->charge);
	if (!e)
		e = end_enter(&i->server, r);
	if (e) {
		instance_free(i);
		return e;
	}
	list_append(&n->instances, &i->link);
	n->n_instances++;
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
	if (a->flags &
	    ~(unsigned)(IPC9_PIPE_CREATE_FIRST | IPC9_PIPE_CREATE_LOCAL_ONLY |
		IPC9_PIPE_CREATE_STREAM | IPC9_PIPE_CREATE_SHARED))
		return "it has a flag that there is not";
	if (a->default_wait_ms > IPC9_WAIT_MAX_MS)
		return "the default wait is over its limit";
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
	else if (a->flags & IPC9_PIPE_CREATE_LOCAL_ONLY && !n->local_only)
		request_fail(r, IPC9_STATUS_ACCESS, 0,
		    "its instances are open to other hosts as well");
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
	ipc9_pipe_create_ok *ok = &res.ipc9_pipe_create_res_u.ok;
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
		e = add_instance(r, n, a, &i);
	if (e) {
		if (n && n->n_instances == 0)
			pipe_name_free(all, n);
		request_fail_charge(r, e, &r->caller, QUOTA_OBJECTS);
		return;
	}
	ok->pipe = i->server.id;
	ok->first = first;
	ok->type = i->type;
	ok->quota_bytes = i->quota;
	request_reply(r, &res);
	instance_listen(i);
}

static void handle_accept(struct request *r, void *args)
{
	const ipc9_pipe_accept_args *a = args;
	struct end *e = end_find_server(r, a->pipe);

	if (!e)
		return;
	if (e->instance->client->state == END_DISCONNECTED)
		instance_listen(e->instance);
	if (end_accept_state(e) != -EAGAIN)
		end_answer_accept(r, e, false);
	else
		pipe_park(r, &e->acceptors, a->wait_ms);
}

static void handle_disconnect(struct request *r, void *args)
{
	const ipc9_handle_args *a = args;
	struct end *e = end_find_server(r, a->handle);

	if (!e)
		return;
	if (e->instance->client->state == END_ABSENT)
		end_fail(r, IPC9_STATUS_LISTENING);
	else if (e->instance->client->state == END_DISCONNECTED)
		end_fail(r, IPC9_STATUS_NOTCONN);
	else if (instance_disconnect(e->instance))
		request_trouble(r, -ENOMEM);
	else
		request_done(r);
}

static void handle_close(struct request *r, void *args)
{
	const ipc9_handle_args *a = args;
	struct end *e = end_find_any(r, a->handle);

	if (!e)
		return;
	end_cancel(e, true, 0);
	end_leave(e, END_CLOSED);
	request_done(r);
}

static const struct object *object_of_open(struct request *r, const void *args)
{
	const ipc9_pipe_open_args *a = args;
	struct pipe_name *n = name_find(r, a->name);

	return n ? &n->named.object : NULL;
}

static const struct object *object_of_wait(struct request *r, const void *args)
{
	const ipc9_pipe_wait_args *a = args;
	struct pipe_name *n = name_find(r, a->name);

	return n ? &n->named.object : NULL;
}

/* Whether a pipe is not for the caller, being of another host; ends the request then. */
static bool refuse_remote(struct request *r, const struct pipe_name *n)
{
	if (!n->local_only || r->caller.local)
		return false;
	audit_refusal(r, &n->named, RIGHT_READ, "the pipe is local only");
	request_fail(r, IPC9_STATUS_ACCESS, 0, "only programs of its own host may open it");
	return true;
}

#define OPEN_FLAGS                                                                                 \
	(IPC9_PIPE_OPEN_READ | IPC9_PIPE_OPEN_WRITE | IPC9_PIPE_OPEN_STREAM | IPC9_PIPE_OPEN_SHARED)

/* Whether what OPEN asks for can be had; ends the request if not. */
static bool check_open(struct request *r, const char *name, const struct pipe_name *n,
    unsigned flags)
{
	char why[ACCESS_WHY_SIZE];

	if (!n)
		named_fail_absent(r, request_service(r), name);
	else if (refuse_remote(r, n))
		return false;
	else if (flags & ~(unsigned)OPEN_FLAGS)
		request_fail(r, IPC9_STATUS_INVALID, 0, "it has a flag that there is not");
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
	int e;

	if (!check_open(r, a->name, n, a->flags))
		return;
	i = LIST_ENTRY(n->listening.next, struct instance, listening);
	if (instance_hand_over(i, r, a->flags))
		return;
	e = end_enter_client(i->client, r);
	if (e) {
		request_fail_charge(r, e, &r->caller, QUOTA_OBJECTS);
		return;
	}
	i->client->reads = a->flags & IPC9_PIPE_OPEN_READ;
	i->client->writes = a->flags & IPC9_PIPE_OPEN_WRITE;
	instance_take(i);
	ok->pipe = i->client->id;
	ok->type = i->type;
	ok->quota_bytes = i->quota;
	access_tell(&i->server.who, from, &ok->server);
	request_reply(r, &res);
	end_wake(&i->server);
}

static void handle_wait(struct request *r, void *args)
{
	const ipc9_pipe_wait_args *a = args;
	struct pipe_name *n = name_find(r, a->name);

	if (!n)
		named_fail_absent(r, request_service(r), a->name);
	else if (refuse_remote(r, n))
		return;
	else if (!list_is_empty(&n->listening))
		request_done(r);
	else
		pipe_park(r, &n->waiters,
		    a->wait_ms == IPC9_PIPE_WAIT_DEFAULT ? n->default_wait_ms : a->wait_ms);
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
	ret->default_wait_ms = n->default_wait_ms;
	ret->local_only = n->local_only;
}

/* One page of the names that the caller may open; they are what `page` had room for, or there are no more. */
static int list_names(struct request *r, const char *after, struct named_page *page)
{
	const struct pipes *all = r->state;
	size_t n;
	int e;

	do {
		e = named_list(&all->names, r, RIGHT_READ, after, page);
		if (e)
			return e;
		if (page->n)
			after = page->objects[page->n - 1]->name;
		n = 0;
		for (size_t i = 0; i < page->n; i++) {
			const struct pipe_name *name = (const void *)page->objects[i];

			if (!name->local_only || r->caller.local)
				page->objects[n++] = page->objects[i];
		}
		page->n = n;
	} while (n == 0 && page->more);
	return 0;
}

static void handle_list(struct request *r, void *args)
{
	const ipc9_list_args *a = args;
	ipc9_pipe_list_res res = { .status = IPC9_STATUS_OK };
	ipc9_pipe_list_ok *ok = &res.ipc9_pipe_list_res_u.ok;
	ipc9_pipe_state states[IPC9_LIST_MAX];
	char from[IPC9_LIST_MAX][ADDRESS_TEXT_SIZE];
	struct named_page page;
	int e = list_names(r, a->after, &page);

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

static void handle_info(struct request *r, void *args)
{
	const ipc9_handle_args *a = args;
	struct end *e = end_find(r, a->handle);
	ipc9_pipe_info_res res = { .status = IPC9_STATUS_OK };
	ipc9_pipe_info_ok *ok = &res.ipc9_pipe_info_res_u.ok;
	char from[ADDRESS_TEXT_SIZE], nothing[] = "";
	const struct pipe_name *n;

	if (!e)
		return;
	n = e->instance->name;
	ok->name = nothing;
	if (n) {
		ok->name = n->named.name;
		ok->instances = n->n_instances;
		ok->max_instances = n->max_instances;
		ok->default_wait_ms = n->default_wait_ms;
		ok->local_only = n->local_only;
	}
	ok->type = e->instance->type;
	ok->direction = e->instance->direction;
	ok->quota_bytes = e->instance->quota;
	ok->server = end_is_server(e);
	ok->state = end_state_number(e);
	ok->way = e->instance->way;
	ok->unread_bytes = queue_bytes(&e->queue);
	ok->sent_bytes = queue_bytes(&end_other(e)->queue);
	if (ok->state == IPC9_PIPE_LISTENING || ok->state == IPC9_PIPE_DISCONNECTED)
		ok->peer = (ipc9_caller){ .host = nothing, .principal = nothing };
	else
		access_tell(&end_other(e)->who, from, &ok->peer);
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
	    .handle = pipe_handle_read,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_WRITE, ipc9_pipe_write_args, ipc9_pipe_write_res),
	    .right = RIGHT_WRITE,
	    .handle = pipe_handle_write,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_POLL, ipc9_pipe_poll_args, ipc9_pipe_poll_res),
	    .right = RIGHT_READ,
	    .handle = pipe_handle_poll,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_END, ipc9_handle_args, ipc9_void_res),
	    .right = RIGHT_READ,
	    .handle = pipe_handle_end,
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
	{
	    PROCEDURE(IPC9_PIPEPROC_PEEK, ipc9_pipe_peek_args, ipc9_pipe_peek_res),
	    .right = RIGHT_READ,
	    .handle = pipe_handle_peek,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_FLUSH, ipc9_pipe_flush_args, ipc9_void_res),
	    .right = RIGHT_READ,
	    .handle = pipe_handle_flush,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_DISCONNECT, ipc9_handle_args, ipc9_void_res),
	    .right = RIGHT_CREATE,
	    .handle = handle_disconnect,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_TRANSACT, ipc9_pipe_transact_args, ipc9_pipe_read_res),
	    .right = RIGHT_WRITE,
	    .handle = pipe_handle_transact,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_WAIT, ipc9_pipe_wait_args, ipc9_void_res),
	    .right = RIGHT_READ,
	    .handle = handle_wait,
	    .object = object_of_wait,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_CANCEL, ipc9_pipe_cancel_args, ipc9_pipe_cancel_res),
	    .right = RIGHT_READ,
	    .handle = pipe_handle_cancel,
	},
	{
	    PROCEDURE(IPC9_PIPEPROC_INFO, ipc9_handle_args, ipc9_pipe_info_res),
	    .right = RIGHT_READ,
	    .handle = handle_info,
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
