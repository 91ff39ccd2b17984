/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mailslot.c - serving a slot and telling about slots, over mailslot.x.  Sending: mailslot_send.c.
 *
 * A slot has a connection of its own, with which it ends at the latest.  One thread uses it at a time.
 */
#include "rpcgen-out/mailslot.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "client/acl.h"
#include "client/error.h"
#include "client/link.h"
#include "client/wire.h"
#include "util/clock.h"
#include "util/text.h"

_Static_assert(IPC9_BROADCAST_BYTES == IPC9_BROADCAST_MAX, "ipc9.h and mailslot.x agree");
_Static_assert(IPC9_MESSAGE_BYTES == IPC9_BLOB_MAX, "ipc9.h and common.x agree");

struct ipc9_mailslot {
	struct link link;
	ipc9_handle handle;
	int read_timeout_ms;
};

LINK_ASSERT_RESULTS(ipc9_mailslot_create_res);
LINK_ASSERT_RESULTS(ipc9_mailslot_read_res);
LINK_ASSERT_RESULTS(ipc9_mailslot_info_res);
LINK_ASSERT_RESULTS(ipc9_mailslot_list_res);

#define SLOT_GONE "the slot and what waited in it are gone"

static const struct link_procedure create_procedure = {
	.number = IPC9_MAILSLOTPROC_CREATE,
	.loss = LINK_LOSS_UNDONE,
	LINK_TYPES(ipc9_mailslot_create_args, ipc9_mailslot_create_res),
};
static const struct link_procedure read_procedure = {
	.number = IPC9_MAILSLOTPROC_READ,
	.loss = LINK_LOSS_LOST,
	.lost = SLOT_GONE,
	LINK_TYPES(ipc9_mailslot_read_args, ipc9_mailslot_read_res),
};
static const struct link_procedure settimeout_procedure = {
	.number = IPC9_MAILSLOTPROC_SETTIMEOUT,
	.loss = LINK_LOSS_LOST,
	.lost = SLOT_GONE,
	LINK_TYPES(ipc9_mailslot_timeout_args, ipc9_void_res),
};
static const struct link_procedure close_procedure = {
	.number = IPC9_MAILSLOTPROC_CLOSE,
	.loss = LINK_LOSS_LOST,
	LINK_TYPES(ipc9_handle_args, ipc9_void_res),
};
static const struct link_procedure info_procedure = {
	.number = IPC9_MAILSLOTPROC_INFO,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_name_args, ipc9_mailslot_info_res),
};
static const struct link_procedure list_procedure = {
	.number = IPC9_MAILSLOTPROC_LIST,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_list_args, ipc9_mailslot_list_res),
};

/* --- Serving ----------------------------------------------------------------------------------- */

static uint32_t timeout_to_wire(int ms)
{
	return ms == IPC9_FOREVER ? IPC9_WAIT_FOREVER_MS : (uint32_t)ms;
}

static int timeout_from_wire(uint32_t ms)
{
	if (ms == IPC9_WAIT_FOREVER_MS)
		return IPC9_FOREVER;
	return ms > INT_MAX ? INT_MAX : (int)ms;
}

static int check_options(const struct link *link, const struct ipc9_mailslot_options *options,
    struct ipc9_error *e)
{
	if (options->max_message_bytes > IPC9_MESSAGE_BYTES)
		return error_set(e, IPC9_E_INVALID,
		    "%s: max_message_bytes is %u; a message has at most %d bytes",
		    link->target.subject, options->max_message_bytes, IPC9_MESSAGE_BYTES);
	return link_check_wait(link, options->read_timeout_ms, e);
}

static int create(struct ipc9_mailslot *slot, const struct ipc9_mailslot_options *options,
    struct ipc9_error *e)
{
	ipc9_mailslot_create_args args = {
		.name = slot->link.target.name.object,
		.max_message_bytes = options->max_message_bytes,
		.read_timeout_ms = timeout_to_wire(options->read_timeout_ms),
	};
	ipc9_mailslot_create_res res;
	ipc9_rules rules;
	int r = check_options(&slot->link, options, e);

	if (!r)
		r = acl_rules(&slot->link, options->rules, options->n_rules, &rules, e);
	if (!r && options->rules)
		args.rules = &rules;
	if (!r)
		r = link_call(&slot->link, &create_procedure, &args, &res,
		    context_deadline(slot->link.ipc9), e);
	if (r)
		return r;
	slot->handle = res.ipc9_mailslot_create_res_u.ok.slot;
	slot->read_timeout_ms = options->read_timeout_ms;
	return 0;
}

int ipc9_mailslot_create(struct ipc9 *ipc9, const char *name,
    const struct ipc9_mailslot_options *options, struct ipc9_mailslot **ret, struct ipc9_error *e)
{
	static const struct ipc9_mailslot_options usual = { .read_timeout_ms = IPC9_FOREVER };
	struct ipc9_mailslot *slot;
	struct target target;
	int r;

	r = target_own_object(name, "mailslot", &target, e);
	if (r)
		return r;
	slot = calloc(1, sizeof(*slot));
	if (!slot)
		return error_set_own(e, -ENOMEM);
	link_init(&slot->link, ipc9, IPC9_PROG_MAILSLOT, &target, true);
	r = create(slot, options ? options : &usual, e);
	if (r) {
		link_close(&slot->link);
		free(slot);
		return r;
	}
	*ret = slot;
	return 0;
}

struct ipc9_mailslot *ipc9_mailslot_close(struct ipc9_mailslot *slot)
{
	ipc9_handle_args args;
	ipc9_void_res res;

	if (!slot)
		return NULL;
	/* The connection's end would do, but not before we return: the name must be free then. */
	args.handle = slot->handle;
	if (!link_call(&slot->link, &close_procedure, &args, &res, link_close_deadline(&slot->link),
		NULL))
		xdr_free(close_procedure.results, &res);
	link_close(&slot->link);
	free(slot);
	return NULL;
}

int ipc9_mailslot_set_timeout(struct ipc9_mailslot *slot, int read_timeout_ms, struct ipc9_error *e)
{
	ipc9_mailslot_timeout_args args = { slot->handle, timeout_to_wire(read_timeout_ms) };
	ipc9_void_res res;
	int r = link_check_wait(&slot->link, read_timeout_ms, e);

	if (!r)
		r = link_call(&slot->link, &settimeout_procedure, &args, &res,
		    context_deadline(slot->link.ipc9), e);
	if (!r)
		slot->read_timeout_ms = read_timeout_ms;
	return r;
}

/* --- Reading ----------------------------------------------------------------------------------- */

static int read_once(struct ipc9_mailslot *slot, uint32_t max_bytes, int64_t until,
    ipc9_mailslot_read_res *res, struct ipc9_error *e)
{
	ipc9_mailslot_read_args args = {
		.slot = slot->handle,
		.max_bytes = max_bytes,
		.wait_ms = link_wait_ms(until),
	};

	return link_call(&slot->link, &read_procedure, &args, res,
	    link_wait_deadline(&slot->link, args.wait_ms), e);
}

/* Copies the message out and frees it. */
static int hand_over(struct ipc9_mailslot *slot, ipc9_mailslot_read_res *res, void *buffer,
    size_t size, struct ipc9_mailslot_message *ret, struct ipc9_error *e)
{
	const ipc9_mailslot_read_ok *ok = &res->ipc9_mailslot_read_res_u.ok;
	int r = 0;

	if (ok->data.len > size) {
		r = error_set(e, IPC9_E_MISMATCH, "%s: %s sent a longer message than was asked for",
		    slot->link.target.subject, slot->link.target.who);
	} else {
		if (ok->data.len)
			memcpy(buffer, ok->data.data, ok->data.len);
		memset(ret, 0, sizeof(*ret));
		ret->size_bytes = ok->data.len;
		wire_identity(&ok->sender, &ret->sender);
		ret->broadcast = ok->broadcast;
		ret->arrived_us = ok->arrived_us;
		ret->waiting = ok->waiting;
	}
	xdr_free(read_procedure.results, res);
	return r;
}

int ipc9_mailslot_read(struct ipc9_mailslot *slot, void *buffer, size_t size,
    struct ipc9_mailslot_message *ret, struct ipc9_error *e)
{
	uint32_t max_bytes = size < IPC9_BLOB_MAX ? (uint32_t)size : IPC9_BLOB_MAX;
	int64_t until = clock_deadline_ms(slot->read_timeout_ms);
	ipc9_mailslot_read_res res;
	int r;

	do
		r = read_once(slot, max_bytes, until, &res, e);
	while (r == IPC9_E_TIMEDOUT && clock_now() < until);
	if (r == 0)
		return hand_over(slot, &res, buffer, size, ret, e);
	if (r == IPC9_E_TOOSMALL) {
		memset(ret, 0, sizeof(*ret));
		/* The daemon says it; a wrong one must not look small. */
		if (res.ipc9_mailslot_read_res_u.error.value < SIZE_MAX)
			ret->size_bytes = (size_t)res.ipc9_mailslot_read_res_u.error.value;
		else
			ret->size_bytes = SIZE_MAX;
	}
	return r;
}

/* --- Telling ----------------------------------------------------------------------------------- */

static int copy_info(const ipc9_mailslot_state *state, struct ipc9_mailslot_info *info)
{
	info->name = wire_text(state->name);
	if (!info->name)
		return -ENOMEM;
	wire_identity(&state->owner, &info->owner);
	info->max_message_bytes =
	    state->max_message_bytes ? state->max_message_bytes : IPC9_MESSAGE_BYTES;
	info->read_timeout_ms = timeout_from_wire(state->read_timeout_ms);
	info->waiting = state->waiting;
	info->waiting_bytes = state->waiting_bytes;
	info->next_bytes = state->next_bytes;
	info->received = state->received;
	info->refused = state->refused;
	return 0;
}

static int add_slots(struct ipc9_mailslot_listing *listing, const ipc9_mailslot_state *states,
    size_t n)
{
	void *array = listing->slots;
	int r = wire_grow(&array, listing->n_slots, n, sizeof(listing->slots[0]));

	if (r)
		return r;
	listing->slots = array;
	for (size_t i = 0; i < n && !r; i++)
		r = copy_info(&states[i], &listing->slots[listing->n_slots++]);
	return r;
}

static int take_page(void *listing, const void *results, struct link_page *ret)
{
	const ipc9_mailslot_list_res *res = results;
	const ipc9_mailslot_list_ok *ok = &res->ipc9_mailslot_list_res_u.ok;

	ret->n = ok->slots.slots_len;
	ret->more = ok->more;
	ret->last = ret->n ? ok->slots.slots_val[ret->n - 1].name : NULL;
	return add_slots(listing, ok->slots.slots_val, ret->n);
}

static int list_all(struct link *link, struct ipc9_mailslot_listing *listing, struct ipc9_error *e)
{
	ipc9_mailslot_list_res res;

	return link_list(link, &list_procedure, &res, take_page, listing, e);
}

static int tell_one(struct link *link, struct ipc9_mailslot_listing *listing, struct ipc9_error *e)
{
	ipc9_name_args args = { .name = link->target.name.object };
	ipc9_mailslot_info_res res;
	int r = link_call(link, &info_procedure, &args, &res, context_deadline(link->ipc9), e);

	if (r)
		return r;
	r = add_slots(listing, &res.ipc9_mailslot_info_res_u.state, 1);
	xdr_free(info_procedure.results, &res);
	return r ? error_set_own(e, r) : 0;
}

static int tell(struct ipc9 *ipc9, const struct target *target,
    int (*ask)(struct link *, struct ipc9_mailslot_listing *, struct ipc9_error *),
    struct ipc9_mailslot_listing **ret, struct ipc9_error *e)
{
	struct ipc9_mailslot_listing *listing = calloc(1, sizeof(*listing));
	struct link link;
	int r;

	if (!listing)
		return error_set_own(e, -ENOMEM);
	link_init(&link, ipc9, IPC9_PROG_MAILSLOT, target, false);
	r = ask(&link, listing, e);
	link_close(&link);
	if (r) {
		ipc9_mailslot_listing_free(listing);
		return r;
	}
	*ret = listing;
	return 0;
}

int ipc9_mailslot_info(struct ipc9 *ipc9, const char *name, struct ipc9_mailslot_listing **ret,
    struct ipc9_error *e)
{
	struct target target;
	int r = target_object(name, "mailslot", &target, e);

	return r ? r : tell(ipc9, &target, tell_one, ret, e);
}

int ipc9_mailslot_list(struct ipc9 *ipc9, const char *host, struct ipc9_mailslot_listing **ret,
    struct ipc9_error *e)
{
	struct target target;
	int r = target_host(host, "mailslot", &target, e);

	return r ? r : tell(ipc9, &target, list_all, ret, e);
}

struct ipc9_mailslot_listing *ipc9_mailslot_listing_free(struct ipc9_mailslot_listing *listing)
{
	if (!listing)
		return NULL;
	for (size_t i = 0; i < listing->n_slots; i++)
		wire_text_free(listing->slots[i].name);
	free(listing->slots);
	free(listing);
	return NULL;
}
