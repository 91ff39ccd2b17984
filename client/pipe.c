/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe.c - the life of a pipe's end, and telling about pipes, over pipe.x.  Reading and writing: pipe_data.c.
 */
#include "client/pipe.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "client/acl.h"
#include "client/error.h"
#include "client/wire.h"
#include "util/clock.h"
#include "util/text.h"

_Static_assert((int)IPC9_PIPE_TYPE_BYTE == IPC9_PIPE_BYTE &&
	(int)IPC9_PIPE_TYPE_MESSAGE == IPC9_PIPE_MESSAGE,
    "ipc9.h and pipe.x agree on types");
_Static_assert((int)IPC9_PIPE_ACCESS_INBOUND == IPC9_PIPE_INBOUND &&
	(int)IPC9_PIPE_ACCESS_OUTBOUND == IPC9_PIPE_OUTBOUND &&
	(int)IPC9_PIPE_ACCESS_DUPLEX == IPC9_PIPE_DUPLEX &&
	IPC9_PIPE_NO_LIMIT == IPC9_PIPE_UNLIMITED,
    "ipc9.h and pipe.x agree on directions");

LINK_ASSERT_RESULTS(ipc9_pipe_create_res);
LINK_ASSERT_RESULTS(ipc9_pipe_accept_res);
LINK_ASSERT_RESULTS(ipc9_pipe_open_res);
LINK_ASSERT_RESULTS(ipc9_pipe_poll_res);
LINK_ASSERT_RESULTS(ipc9_pipe_list_res);

static const struct link_procedure create_procedure = {
	.number = IPC9_PIPEPROC_CREATE,
	.loss = LINK_LOSS_UNDONE,
	LINK_TYPES(ipc9_pipe_create_args, ipc9_pipe_create_res),
};
static const struct link_procedure accept_procedure = {
	.number = IPC9_PIPEPROC_ACCEPT,
	.loss = LINK_LOSS_LOST,
	LINK_TYPES(ipc9_pipe_accept_args, ipc9_pipe_accept_res),
};
static const struct link_procedure open_procedure = {
	.number = IPC9_PIPEPROC_OPEN,
	.loss = LINK_LOSS_UNDONE,
	LINK_TYPES(ipc9_pipe_open_args, ipc9_pipe_open_res),
};
static const struct link_procedure poll_procedure = {
	.number = IPC9_PIPEPROC_POLL,
	.loss = LINK_LOSS_LOST,
	.lost = PIPE_LOST,
	LINK_TYPES(ipc9_pipe_poll_args, ipc9_pipe_poll_res),
};
static const struct link_procedure close_procedure = {
	.number = IPC9_PIPEPROC_CLOSE,
	.loss = LINK_LOSS_LOST,
	LINK_TYPES(ipc9_handle_args, ipc9_void_res),
};
static const struct link_procedure list_procedure = {
	.number = IPC9_PIPEPROC_LIST,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_list_args, ipc9_pipe_list_res),
};

/* --- Beginning --------------------------------------------------------------------------------- */

/* What an end is made from: one of both. */
struct beginning {
	const struct ipc9_pipe_options *create;
	const uint32_t *server; /* of an end to open: the uid of who has to serve it, or NULL */
};

static int pipe_new(struct ipc9 *ipc9, const struct target *target,
    int (*begin)(struct ipc9_pipe *, const struct beginning *, struct ipc9_error *),
    const struct beginning *beginning, struct ipc9_pipe **ret, struct ipc9_error *e)
{
	struct ipc9_pipe *pipe = calloc(1, sizeof(*pipe));
	int r;

	if (!pipe)
		return error_set_own(e, -ENOMEM);
	link_init(&pipe->link, ipc9, IPC9_PROG_PIPE, target, true);
	r = begin(pipe, beginning, e);
	if (r) {
		link_close(&pipe->link);
		free(pipe);
		return r;
	}
	*ret = pipe;
	return 0;
}

static int create(struct ipc9_pipe *pipe, const struct beginning *beginning, struct ipc9_error *e)
{
	static const struct ipc9_pipe_options usual;
	const struct ipc9_pipe_options *o = beginning->create ? beginning->create : &usual;
	ipc9_pipe_create_args args = {
		.name = pipe->link.target.name.object,
		.type = (int)o->type,
		.direction = o->access ? (int)o->access : IPC9_PIPE_DUPLEX,
		.max_instances = o->max_instances ? o->max_instances : 1,
		.quota_bytes = o->quota_bytes,
		.flags = o->first ? IPC9_PIPE_CREATE_FIRST : 0,
	};
	ipc9_pipe_create_res res;
	ipc9_rules rules;
	int r = acl_rules(&pipe->link, o->rules, o->n_rules, &rules, e);

	if (!r && o->rules)
		args.rules = &rules;
	if (!r)
		r = link_call(&pipe->link, &create_procedure, &args, &res,
		    context_deadline(pipe->link.ipc9), e);
	if (r)
		return r;
	pipe->handle = res.ipc9_pipe_create_res_u.ok.pipe;
	pipe->type = o->type;
	return 0;
}

int ipc9_pipe_create(struct ipc9 *ipc9, const char *name, const struct ipc9_pipe_options *options,
    struct ipc9_pipe **ret, struct ipc9_error *e)
{
	const struct beginning beginning = { .create = options };
	struct target target;
	int r = target_own_object(name, "pipe", &target, e);

	return r ? r : pipe_new(ipc9, &target, create, &beginning, ret, e);
}

/* Says that this end is closed, so that the other reads EOF. */
static void close_end(struct ipc9_pipe *pipe)
{
	ipc9_handle_args args = { pipe->handle };
	ipc9_void_res res;

	if (!link_call(&pipe->link, &close_procedure, &args, &res, link_close_deadline(&pipe->link),
		NULL))
		xdr_free(close_procedure.results, &res);
}

/* Whether uid serves the other end; before anything is written to it. */
static int check_server(const struct ipc9_pipe *pipe, uint32_t uid, struct ipc9_error *e)
{
	const struct ipc9_identity *who = &pipe->peer;

	if (who->how != IPC9_HOW_NONE && who->uid == uid)
		return 0;
	if (who->how == IPC9_HOW_NONE)
		return error_set(e, IPC9_E_ACCESS,
		    "%s: its server is not known, and uid %u was demanded; nothing was sent",
		    pipe->link.target.subject, uid);
	return error_set(e, IPC9_E_ACCESS,
	    "%s: uid %u serves it, and uid %u was demanded; nothing was sent",
	    pipe->link.target.subject, who->uid, uid);
}

static int open_in(struct ipc9_pipe *pipe, unsigned flags, int64_t deadline, struct ipc9_error *e)
{
	ipc9_pipe_open_args args = { .name = pipe->link.target.name.object, .flags = flags };
	ipc9_pipe_open_res res;
	const ipc9_pipe_open_ok *ok = &res.ipc9_pipe_open_res_u.ok;
	int r = link_call(&pipe->link, &open_procedure, &args, &res, deadline, e);

	if (r)
		return r;
	pipe->handle = ok->pipe;
	pipe->type = (enum ipc9_pipe_type)ok->type;
	pipe->connected = true;
	wire_identity(&ok->server, &pipe->peer);
	xdr_free(open_procedure.results, &res);
	return 0;
}

/* The caller does not say which directions it wants: all that there are and that it may use. */
static int open_any(struct ipc9_pipe *pipe, const struct beginning *beginning, struct ipc9_error *e)
{
	static const unsigned choices[] = { IPC9_PIPE_OPEN_READ, IPC9_PIPE_OPEN_WRITE };
	int64_t deadline = context_deadline(pipe->link.ipc9);
	int r = open_in(pipe, IPC9_PIPE_OPEN_READ | IPC9_PIPE_OPEN_WRITE, deadline, e);

	for (size_t i = 0; i < 2 && r == IPC9_E_ACCESS && pipe->link.channel; i++) {
		struct ipc9_error again;
		int r_again = open_in(pipe, choices[i], deadline, &again);

		if (r_again == IPC9_E_ACCESS)
			continue; /* the sentence about both is the better one */
		if (r_again)
			error_set(e, r_again, "%s", again.text);
		r = r_again;
	}
	if (!r && beginning->server) {
		r = check_server(pipe, *beginning->server, e);
		if (r)
			close_end(pipe);
	}
	return r;
}

/* Reads who has to serve a pipe; NULL: anybody. */
static int read_server(const char *text, struct beginning *beginning, uint32_t *uid,
    struct ipc9_error *e)
{
	unsigned long value;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	value = strncmp(text, "uid:", 4) == 0 && text[4] >= '0' && text[4] <= '9'
	    ? strtoul(text + 4, &end, 10)
	    : ULONG_MAX;
	if (value >= UINT32_MAX || errno || *end)
		return error_set(e, IPC9_E_INVALID, "the server \"%.60s\" is not of the form uid:N",
		    text);
	*uid = (uint32_t)value;
	beginning->server = uid;
	return 0;
}

int ipc9_pipe_open_with(struct ipc9 *ipc9, const char *name,
    const struct ipc9_pipe_open_options *options, struct ipc9_pipe **ret, struct ipc9_error *e)
{
	struct beginning beginning = { NULL, NULL };
	struct target target;
	uint32_t uid;
	int r = target_object(name, "pipe", &target, e);

	if (!r && options)
		r = read_server(options->server, &beginning, &uid, e);
	return r ? r : pipe_new(ipc9, &target, open_any, &beginning, ret, e);
}

int ipc9_pipe_open(struct ipc9 *ipc9, const char *name, struct ipc9_pipe **ret,
    struct ipc9_error *e)
{
	return ipc9_pipe_open_with(ipc9, name, NULL, ret, e);
}

/* --- While it is there ------------------------------------------------------------------------- */

static int accept_once(struct ipc9_pipe *pipe, int64_t until, struct ipc9_error *e)
{
	ipc9_pipe_accept_args args = { .pipe = pipe->handle, .wait_ms = link_wait_ms(until) };
	ipc9_pipe_accept_res res;
	int r = link_call(&pipe->link, &accept_procedure, &args, &res,
	    link_wait_deadline(&pipe->link, args.wait_ms), e);

	if (r)
		return r;
	wire_identity(&res.ipc9_pipe_accept_res_u.ok.client, &pipe->peer);
	xdr_free(accept_procedure.results, &res);
	return 0;
}

int ipc9_pipe_accept(struct ipc9_pipe *pipe, int wait_ms, struct ipc9_identity *ret_client,
    struct ipc9_error *e)
{
	int64_t until = clock_deadline_ms(wait_ms);
	int r = link_check_wait(&pipe->link, wait_ms, e);

	if (r)
		return r;
	do
		r = accept_once(pipe, until, e);
	while (r == IPC9_E_TIMEDOUT && clock_now() < until);
	if (r == IPC9_E_TIMEDOUT)
		return error_set(e, r, "%s: no client came in time", pipe->link.target.subject);
	if (r)
		return r;
	pipe->connected = true;
	if (ret_client)
		*ret_client = pipe->peer;
	return 0;
}

enum ipc9_pipe_type ipc9_pipe_type(const struct ipc9_pipe *pipe)
{
	return pipe->type;
}

const struct ipc9_identity *ipc9_pipe_peer(const struct ipc9_pipe *pipe)
{
	return &pipe->peer;
}

int pipe_poll(struct ipc9_pipe *pipe, unsigned events, int wait_ms, unsigned *ret_events,
    struct ipc9_error *e)
{
	int64_t until = clock_deadline_ms(wait_ms);
	ipc9_pipe_poll_args args = { .pipe = pipe->handle, .events = events };
	ipc9_pipe_poll_res res;
	int r;

	do {
		args.wait_ms = link_wait_ms(until);
		r = link_call(&pipe->link, &poll_procedure, &args, &res,
		    link_wait_deadline(&pipe->link, args.wait_ms), e);
	} while (r == IPC9_E_TIMEDOUT && clock_now() < until);
	if (!r && ret_events)
		*ret_events = res.ipc9_pipe_poll_res_u.ok.events;
	return r;
}

int ipc9_pipe_wait_closed(struct ipc9_pipe *pipe, int wait_ms, struct ipc9_error *e)
{
	int r = link_check_wait(&pipe->link, wait_ms, e);

	if (!r)
		r = pipe_poll(pipe, IPC9_PIPE_CLOSED, wait_ms, NULL, e);
	if (r == IPC9_E_TIMEDOUT)
		return error_set(e, r, "%s: the other end was not closed in time",
		    pipe->link.target.subject);
	return r;
}

void ipc9_pipe_abort(struct ipc9_pipe *pipe)
{
	link_abort(&pipe->link);
}

struct ipc9_pipe *ipc9_pipe_close(struct ipc9_pipe *pipe)
{
	if (!pipe)
		return NULL;
	close_end(pipe);
	link_close(&pipe->link);
	free(pipe);
	return NULL;
}

/* --- Telling ----------------------------------------------------------------------------------- */

static int copy_info(const ipc9_pipe_state *state, struct ipc9_pipe_info *info)
{
	info->name = wire_text(state->name);
	if (!info->name)
		return -ENOMEM;
	wire_identity(&state->owner, &info->owner);
	info->type = (enum ipc9_pipe_type)state->type;
	info->access = (enum ipc9_pipe_access)state->direction;
	info->instances = state->instances;
	info->max_instances = state->max_instances;
	info->listening = state->listening;
	return 0;
}

static int add_pipes(struct ipc9_pipe_listing *listing, const ipc9_pipe_state *states, size_t n)
{
	void *array = listing->pipes;
	int r = wire_grow(&array, listing->n_pipes, n, sizeof(listing->pipes[0]));

	if (r)
		return r;
	listing->pipes = array;
	for (size_t i = 0; i < n && !r; i++)
		r = copy_info(&states[i], &listing->pipes[listing->n_pipes++]);
	return r;
}

static int take_page(void *listing, const void *results, struct link_page *ret)
{
	const ipc9_pipe_list_res *res = results;
	const ipc9_pipe_list_ok *ok = &res->ipc9_pipe_list_res_u.ok;

	ret->n = ok->pipes.pipes_len;
	ret->more = ok->more;
	ret->last = ret->n ? ok->pipes.pipes_val[ret->n - 1].name : NULL;
	return add_pipes(listing, ok->pipes.pipes_val, ret->n);
}

int ipc9_pipe_list(struct ipc9 *ipc9, const char *host, struct ipc9_pipe_listing **ret,
    struct ipc9_error *e)
{
	struct ipc9_pipe_listing *listing;
	ipc9_pipe_list_res res;
	struct target target;
	struct link link;
	int r = target_host(host, "pipe", &target, e);

	if (r)
		return r;
	listing = calloc(1, sizeof(*listing));
	if (!listing)
		return error_set_own(e, -ENOMEM);
	link_init(&link, ipc9, IPC9_PROG_PIPE, &target, false);
	r = link_list(&link, &list_procedure, &res, take_page, listing, e);
	link_close(&link);
	if (r) {
		ipc9_pipe_listing_free(listing);
		return r;
	}
	*ret = listing;
	return 0;
}

struct ipc9_pipe_listing *ipc9_pipe_listing_free(struct ipc9_pipe_listing *listing)
{
	if (!listing)
		return NULL;
	for (size_t i = 0; i < listing->n_pipes; i++)
		wire_text_free(listing->pipes[i].name);
	free(listing->pipes);
	free(listing);
	return NULL;
}
