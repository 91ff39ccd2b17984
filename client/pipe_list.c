/* SPDX-License-Identifier: BSD-3-Clause */
/* pipe_list.c - what can be asked of a pipe by its name: listing, waiting for an instance, one call and its reply. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/error.h"
#include "client/pipe.h"
#include "client/wire.h"
#include "util/clock.h"
#include "util/text.h"

LINK_ASSERT_RESULTS(ipc9_pipe_list_res);

static const struct link_procedure list_procedure = {
	.number = IPC9_PIPEPROC_LIST,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_list_args, ipc9_pipe_list_res),
};
static const struct link_procedure wait_procedure = {
	.number = IPC9_PIPEPROC_WAIT,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_pipe_wait_args, ipc9_void_res),
};

/* --- Waiting for an instance ------------------------------------------------------------------- */

/* At least once, also when `until` is over. */
static int wait_until(struct ipc9 *ipc9, const struct target *target, bool as_default,
    int64_t until, struct ipc9_error *e)
{
	ipc9_pipe_wait_args args = { .wait_ms = IPC9_PIPE_WAIT_DEFAULT };
	ipc9_void_res res;
	struct link link;
	int r;

	link_init(&link, ipc9, IPC9_PROG_PIPE, target, false);
	args.name = link.target.name.object;
	do {
		/* Of the default we do not know how long it is; no longer than any call waits. */
		uint32_t wait_ms = as_default ? IPC9_WAIT_MAX_MS : link_wait_ms(until);

		if (!as_default)
			args.wait_ms = wait_ms;
		r = link_call(&link, &wait_procedure, &args, &res,
		    link_wait_deadline(&link, wait_ms), e);
	} while (r == IPC9_E_TIMEDOUT && !as_default && clock_now() < until);
	if (r == IPC9_E_TIMEDOUT)
		error_set(e, r, "%s: no instance became free in time", link.target.subject);
	link_close(&link);
	return r;
}

static int read_wait(const char *name, int wait_ms, struct target *ret, struct ipc9_error *e)
{
	int r = target_object(name, "pipe", ret, e);

	if (r || wait_ms >= IPC9_FOREVER || wait_ms == IPC9_PIPE_DEFAULT_WAIT)
		return r;
	return error_set(e, IPC9_E_INVALID,
	    "%s: a wait of %d ms; it must be IPC9_PIPE_DEFAULT_WAIT, IPC9_FOREVER or not negative",
	    ret->subject, wait_ms);
}

int ipc9_pipe_wait(struct ipc9 *ipc9, const char *name, int wait_ms, struct ipc9_error *e)
{
	struct target target;
	int r = read_wait(name, wait_ms, &target, e);

	return r ? r
		 : wait_until(ipc9, &target, wait_ms == IPC9_PIPE_DEFAULT_WAIT,
		       clock_deadline_ms(wait_ms), e);
}

/* --- One call ---------------------------------------------------------------------------------- */

/* The time left for a wait. */
static int left_ms(int64_t until)
{
	return until == CLOCK_NEVER ? IPC9_FOREVER : clock_poll_ms(until);
}

/* Opens the pipe as soon as an instance is free. */
static int open_waiting(struct ipc9 *ipc9, const char *name, const struct target *target,
    bool as_default, int64_t until, struct ipc9_pipe **ret, struct ipc9_error *e)
{
	const struct ipc9_pipe_open_options options = { .mode = IPC9_PIPE_MODE_MESSAGES };

	for (;;) {
		int r = ipc9_pipe_open_with(ipc9, name, &options, ret, e);

		if (r != IPC9_E_BUSY || (!as_default && clock_now() >= until))
			return r;
		r = wait_until(ipc9, target, as_default, until, e);
		if (r)
			return r;
	}
}

int ipc9_pipe_call(struct ipc9 *ipc9, const char *name, const void *request, size_t request_size,
    void *buffer, size_t size, int wait_ms, size_t *ret_size, bool *ret_more, struct ipc9_error *e)
{
	int64_t until = clock_deadline_ms(wait_ms);
	struct ipc9_pipe *pipe = NULL;
	struct target target;
	int r = read_wait(name, wait_ms, &target, e);

	if (!r)
		r = open_waiting(ipc9, name, &target, wait_ms == IPC9_PIPE_DEFAULT_WAIT, until,
		    &pipe, e);
	if (!r) {
		pipe->once = true;
		r = ipc9_pipe_transact(pipe, request, request_size, buffer, size, left_ms(until),
		    ret_size, ret_more, e);
	}
	ipc9_pipe_close(pipe);
	return r;
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
	info->default_wait_ms = state->default_wait_ms;
	info->local_only = state->local_only;
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

static int list(struct ipc9 *ipc9, const struct target *target, struct ipc9_pipe_listing **ret,
    struct ipc9_error *e)
{
	struct ipc9_pipe_listing *listing = calloc(1, sizeof(*listing));
	ipc9_pipe_list_res res;
	struct link link;
	int r;

	if (!listing)
		return error_set_own(e, -ENOMEM);
	link_init(&link, ipc9, IPC9_PROG_PIPE, target, false);
	r = link_list(&link, &list_procedure, &res, take_page, listing, e);
	link_close(&link);
	if (r)
		ipc9_pipe_listing_free(listing);
	else
		*ret = listing;
	return r;
}

int ipc9_pipe_list(struct ipc9 *ipc9, const char *host, struct ipc9_pipe_listing **ret,
    struct ipc9_error *e)
{
	struct target target;
	int r = target_host(host, "pipe", &target, e);

	return r ? r : list(ipc9, &target, ret, e);
}

/* Leaves the one of that name in a listing, or none. */
static void keep_one(struct ipc9_pipe_listing *listing, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < listing->n_pipes; i++) {
		if (n == 0 && strcasecmp(listing->pipes[i].name, name) == 0)
			listing->pipes[n++] = listing->pipes[i];
		else
			wire_text_free(listing->pipes[i].name);
	}
	listing->n_pipes = n;
}

int ipc9_pipe_info(struct ipc9 *ipc9, const char *name, struct ipc9_pipe_listing **ret,
    struct ipc9_error *e)
{
	struct ipc9_pipe_listing *listing;
	struct target target;
	int r = target_object(name, "pipe", &target, e);

	if (!r)
		r = list(ipc9, &target, &listing, e);
	if (r)
		return r;
	keep_one(listing, target.name.object);
	if (listing->n_pipes == 0) {
		ipc9_pipe_listing_free(listing);
		return error_set(e, IPC9_E_NOENT, "%s: no pipe of that name that you may open",
		    target.subject);
	}
	*ret = listing;
	return 0;
}

int pipe_tell_name(struct ipc9_pipe *pipe, struct ipc9_pipe_end_info *ret)
{
	struct ipc9_pipe_listing *listing;
	int r = list(pipe->link.ipc9, &pipe->link.target, &listing, NULL);

	if (r)
		return r;
	keep_one(listing, pipe->link.target.name.object);
	if (listing->n_pipes) {
		const struct ipc9_pipe_info *info = &listing->pipes[0];

		ret->access = info->access;
		ret->instances = info->instances;
		ret->max_instances = info->max_instances;
		ret->default_wait_ms = info->default_wait_ms;
		ret->local_only = info->local_only;
	}
	ipc9_pipe_listing_free(listing);
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
