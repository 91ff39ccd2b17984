/* SPDX-License-Identifier: BSD-3-Clause */
/* control.c - the daemon itself, over control.x. */
#include "rpcgen-out/control.h"

#include <string.h>
#include <unistd.h>

#include "server/acl.h"
#include "server/daemon.h"
#include "transport/registration.h"
#include "util/clock.h"

/* refusals: also how many callers were refused what is there, which tells of what is hidden from who asks. */
static void count_engine(const struct daemon *d, bool refusals, struct tally *t)
{
	const struct server_stats *s = server_stats(d->server);

	tally_add(t, "rpc.connections", s->connections);
	tally_add(t, "rpc.accepted", s->accepted);
	tally_add(t, "rpc.calls", s->calls);
	tally_add(t, "rpc.datagrams", s->datagrams);
	tally_add(t, "rpc.dropped", s->dropped);
	tally_add(t, "rpc.closed.garbage", s->closed_garbage);
	tally_add(t, "rpc.closed.oversize", s->closed_oversize);
	tally_add(t, "rpc.closed.slow", s->closed_slow_record);
	tally_add(t, "rpc.closed.unread", s->closed_unread);
	tally_add(t, "rpc.refused.host", s->refused_host);
	tally_add(t, "rpc.refused.user", s->refused_user);
	if (refusals)
		tally_add(t, "access.refused", d->refusals);
}

static void handle_status(struct request *r, void *args)
{
	static char release[] = IPC9_VERSION;
	ipc9_number numbers[IPC9_NUMBER_LIST_MAX];
	struct tally tally = { numbers, 0, IPC9_NUMBER_LIST_MAX };
	struct daemon *d = r->daemon;
	char rpcbind[IPC9_TEXT_MAX + 1], from[ADDRESS_TEXT_SIZE];
	ipc9_status_res res = { .status = IPC9_STATUS_OK };
	ipc9_status_ok *ok = &res.ipc9_status_res_u.ok;

	(void)args;
	registration_describe(d->registration, rpcbind, sizeof(rpcbind));
	count_engine(d, access_allows(&d->access, &r->caller, RIGHT_ADMIN, NULL), &tally);
	for (size_t i = 0; services[i]; i++)
		if (services[i]->count)
			services[i]->count(d->states[i], &tally);
	ok->release = release;
	ok->host = d->host;
	ok->domain = d->config.domain;
	ok->uptime_ms = (u_quad_t)((clock_now() - d->started) / NS_PER_MS);
	ok->pid = (u_int)getpid();
	ok->addresses.addresses_len = d->n_addresses;
	ok->addresses.addresses_val = d->addresses;
	ok->rpcbind = rpcbind;
	access_tell(&r->caller, from, &ok->you);
	ok->counters.counters_len = tally.n;
	ok->counters.counters_val = numbers;
	request_reply(r, &res);
}

/* --- Quotas ------------------------------------------------------------------------------------ */

static void tell_amounts(const uint64_t used[QUOTA_RESOURCES],
    const uint64_t share[QUOTA_RESOURCES], ipc9_quota_amounts *ret)
{
	ret->objects = (ipc9_quota_amount){ used[QUOTA_OBJECTS], share[QUOTA_OBJECTS] };
	ret->bytes = (ipc9_quota_amount){ used[QUOTA_BYTES], share[QUOTA_BYTES] };
	ret->waiting = (ipc9_quota_amount){ used[QUOTA_WAITING], share[QUOTA_WAITING] };
	ret->connections = (ipc9_quota_amount){ used[QUOTA_CONNECTIONS], share[QUOTA_CONNECTIONS] };
}

/* The same of one principal: what limits the connections of those who are not local is the engine. */
static void tell_user(const struct daemon *d, const struct quota_usage *u, ipc9_quota_amounts *ret)
{
	tell_amounts(u->used, u->share, ret);
	if (!u->who.local)
		ret->connections = (ipc9_quota_amount){ u->used[QUOTA_NETWORK],
			server_host_share(d->server, &u->who.address) };
}

static void tell_host(const struct quota *q, ipc9_quota_amounts *ret)
{
	uint64_t used[QUOTA_RESOURCES], totals[QUOTA_RESOURCES];

	for (size_t i = 0; i < QUOTA_RESOURCES; i++) {
		used[i] = quota_total_used(q, (enum quota_resource)i);
		totals[i] = quota_total(q, (enum quota_resource)i);
	}
	/* Those of networks as well, which have no total of their own. */
	used[QUOTA_CONNECTIONS] += used[QUOTA_NETWORK];
	totals[QUOTA_CONNECTIONS] = totals[QUOTA_NETWORK];
	tell_amounts(used, totals, ret);
}

static void handle_quota(struct request *r, void *args)
{
	const ipc9_quota_args *a = args;
	const struct quota *q = r->daemon->quota;
	struct quota_usage usages[IPC9_LIST_MAX + 1]; /* the last tells whether there are more */
	ipc9_quota_line lines[IPC9_LIST_MAX];
	char from[IPC9_LIST_MAX][ADDRESS_TEXT_SIZE];
	ipc9_quota_res res = { .status = IPC9_STATUS_OK };
	ipc9_quota_ok *ok = &res.ipc9_quota_res_u.ok;
	size_t n = 1;

	if (access_allows(&r->daemon->access, &r->caller, RIGHT_ADMIN, NULL))
		n = quota_list(q, a->after, usages, IPC9_LIST_MAX + 1);
	else
		quota_own(q, &r->caller, &usages[0]);
	ok->more = n > IPC9_LIST_MAX;
	if (ok->more)
		n = IPC9_LIST_MAX;
	for (size_t i = 0; i < n; i++) {
		lines[i].id = usages[i].id;
		access_tell(&usages[i].who, from[i], &lines[i].who);
		tell_user(r->daemon, &usages[i], &lines[i].amounts);
	}
	tell_host(q, &ok->host);
	ok->lines.lines_len = (u_int)n;
	ok->lines.lines_val = lines;
	request_reply(r, &res);
}

static const struct procedure procedures[] = {
	PROCEDURE_NULL,
	{
	    .number = IPC9_CONTROLPROC_STATUS,
	    .right = RIGHT_READ,
	    .args = XDR_PROC(void),
	    .results = XDR_PROC(ipc9_status_res),
	    .handle = handle_status,
	},
	{
	    PROCEDURE(IPC9_CONTROLPROC_ACL_GET, ipc9_acl_get_args, ipc9_acl_get_res),
	    .right = RIGHT_READ,
	    .handle = acl_handle_get,
	},
	{
	    PROCEDURE(IPC9_CONTROLPROC_ACL_SET, ipc9_acl_set_args, ipc9_void_res),
	    .right = RIGHT_WRITE,
	    .handle = acl_handle_set,
	},
	{
	    PROCEDURE(IPC9_CONTROLPROC_ACL_TEST, ipc9_acl_test_args, ipc9_acl_test_res),
	    .right = RIGHT_READ,
	    .handle = acl_handle_test,
	},
	{
	    PROCEDURE(IPC9_CONTROLPROC_QUOTA, ipc9_quota_args, ipc9_quota_res),
	    .right = RIGHT_READ,
	    .handle = handle_quota,
	},
};

extern const struct service service_control;
const struct service service_control = {
	.name = "control",
	.program = IPC9_PROG_CONTROL,
	.version = IPC9_CONTROL_V1,
	.procedures = procedures,
	.n_procedures = sizeof(procedures) / sizeof(procedures[0]),
};
