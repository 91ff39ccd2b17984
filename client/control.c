/* SPDX-License-Identifier: BSD-3-Clause */
/* control.c - the daemon itself, over control.x. */
#include "rpcgen-out/control.h"

#include <errno.h>
#include <stdlib.h>

#include "client/error.h"
#include "client/link.h"
#include "client/wire.h"

LINK_ASSERT_RESULTS(ipc9_status_res);
LINK_ASSERT_RESULTS(ipc9_quota_res);

static const struct link_procedure status_procedure = {
	.number = IPC9_CONTROLPROC_STATUS,
	.loss = LINK_LOSS_REPEAT,
	.args = (xdrproc_t)(void (*)(void))xdr_void,
	.results = (xdrproc_t)xdr_ipc9_status_res,
	.results_size = sizeof(ipc9_status_res),
};

static const struct link_procedure quota_procedure = {
	.number = IPC9_CONTROLPROC_QUOTA,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_quota_args, ipc9_quota_res),
};

static int copy_addresses(const ipc9_status_ok *ok, struct ipc9_status *s)
{
	size_t n = ok->addresses.addresses_len;

	s->addresses = calloc(n + 1, sizeof(s->addresses[0]));
	if (!s->addresses)
		return -ENOMEM;
	for (; s->n_addresses < n; s->n_addresses++) {
		const char *text = wire_text(ok->addresses.addresses_val[s->n_addresses]);

		if (!text)
			return -ENOMEM;
		s->addresses[s->n_addresses] = text;
	}
	return 0;
}

static int copy_counters(const ipc9_status_ok *ok, struct ipc9_status *s)
{
	size_t n = ok->counters.counters_len;

	s->counters = calloc(n + 1, sizeof(s->counters[0]));
	if (!s->counters)
		return -ENOMEM;
	for (; s->n_counters < n; s->n_counters++) {
		const ipc9_number *number = &ok->counters.counters_val[s->n_counters];
		const char *name = wire_text(number->name);

		if (!name)
			return -ENOMEM;
		s->counters[s->n_counters] = (struct ipc9_counter){ name, number->value };
	}
	return 0;
}

static int copy_status(const ipc9_status_ok *ok, struct ipc9_status *s)
{
	s->release = wire_text(ok->release);
	s->host = wire_text(ok->host);
	s->domain = wire_text(ok->domain);
	s->rpcbind = wire_text(ok->rpcbind);
	if (!s->release || !s->host || !s->domain || !s->rpcbind)
		return -ENOMEM;
	s->uptime_ms = ok->uptime_ms;
	s->pid = ok->pid;
	wire_identity(&ok->you, &s->you);
	return copy_addresses(ok, s) ? -ENOMEM : copy_counters(ok, s);
}

int ipc9_status(struct ipc9 *ipc9, const char *host, struct ipc9_status **ret, struct ipc9_error *e)
{
	struct ipc9_status *s;
	struct target target;
	struct link link;
	ipc9_status_res res;
	int r;

	r = target_host(host, "control", &target, e);
	if (r)
		return r;
	link_init(&link, ipc9, IPC9_PROG_CONTROL, &target, false);
	r = link_call(&link, &status_procedure, NULL, &res, context_deadline(ipc9), e);
	link_close(&link);
	if (r)
		return r;
	s = calloc(1, sizeof(*s));
	if (!s || copy_status(&res.ipc9_status_res_u.ok, s)) {
		s = ipc9_status_free(s);
		r = error_set_own(e, -ENOMEM);
	} else {
		*ret = s;
	}
	xdr_free(status_procedure.results, &res);
	return r;
}

struct ipc9_status *ipc9_status_free(struct ipc9_status *s)
{
	if (!s)
		return NULL;
	for (size_t i = 0; i < s->n_addresses; i++)
		wire_text_free(s->addresses[i]);
	for (size_t i = 0; i < s->n_counters; i++)
		wire_text_free(s->counters[i].name);
	free(s->addresses);
	free(s->counters);
	wire_text_free(s->release);
	wire_text_free(s->host);
	wire_text_free(s->domain);
	wire_text_free(s->rpcbind);
	free(s);
	return NULL;
}

/* --- Quotas ------------------------------------------------------------------------------------ */

static struct ipc9_quota_use copy_use(const ipc9_quota_amount *amount)
{
	return (struct ipc9_quota_use){ amount->used, amount->share };
}

static void copy_amounts(const ipc9_quota_amounts *amounts, struct ipc9_quota_info *ret)
{
	ret->objects = copy_use(&amounts->objects);
	ret->bytes = copy_use(&amounts->bytes);
	ret->waiting = copy_use(&amounts->waiting);
	ret->connections = copy_use(&amounts->connections);
}

static int add_lines(struct ipc9_quota_listing *listing, const ipc9_quota_line *lines, size_t n)
{
	void *array = listing->users;
	int r = wire_grow(&array, listing->n_users, n, sizeof(listing->users[0]));

	if (r)
		return r;
	listing->users = array;
	for (size_t i = 0; i < n; i++) {
		struct ipc9_quota_info *info = &listing->users[listing->n_users++];

		wire_identity(&lines[i].who, &info->who);
		copy_amounts(&lines[i].amounts, info);
	}
	return 0;
}

/* Takes one page; moves *after on, or sets it to 0 behind the last.  0 or an error of ours. */
static int take_quota_page(struct ipc9_quota_listing *listing, const ipc9_quota_ok *ok,
    uint64_t *after)
{
	size_t n = ok->lines.lines_len;
	uint64_t last = n ? ok->lines.lines_val[n - 1].id : 0;

	copy_amounts(&ok->host, &listing->host);
	if (ok->more && last <= *after)
		return -EPROTO; /* it would go on for ever */
	*after = ok->more ? last : 0;
	return add_lines(listing, ok->lines.lines_val, n);
}

static int fetch_quotas(struct link *link, struct ipc9_quota_listing *listing, int64_t deadline,
    struct ipc9_error *e)
{
	uint64_t after = 0;
	int r;

	do {
		ipc9_quota_args args = { .after = after };
		ipc9_quota_res res;

		r = link_call(link, &quota_procedure, &args, &res, deadline, e);
		if (r)
			return r;
		r = take_quota_page(listing, &res.ipc9_quota_res_u.ok, &after);
		xdr_free(quota_procedure.results, &res);
		if (r)
			return error_set_own(e, r);
	} while (after);
	return 0;
}

int ipc9_quota_list(struct ipc9 *ipc9, const char *host, struct ipc9_quota_listing **ret,
    struct ipc9_error *e)
{
	struct ipc9_quota_listing *listing;
	struct target target;
	struct link link;
	int r = target_host(host, "control", &target, e);

	if (r)
		return r;
	listing = calloc(1, sizeof(*listing));
	if (!listing)
		return error_set_own(e, -ENOMEM);
	link_init(&link, ipc9, IPC9_PROG_CONTROL, &target, false);
	r = fetch_quotas(&link, listing, context_deadline(ipc9), e);
	link_close(&link);
	if (r)
		ipc9_quota_listing_free(listing);
	else
		*ret = listing;
	return r;
}

struct ipc9_quota_listing *ipc9_quota_listing_free(struct ipc9_quota_listing *listing)
{
	if (listing)
		free(listing->users);
	free(listing);
	return NULL;
}
