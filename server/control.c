/* SPDX-License-Identifier: BSD-3-Clause */
/* control.c - the daemon itself, over control.x. */
#include "rpcgen-out/control.h"

#include <string.h>
#include <unistd.h>

#include "server/daemon.h"
#include "transport/registration.h"
#include "util/clock.h"

static void count_engine(const struct daemon *d, struct tally *t)
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
	count_engine(d, &tally);
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

static const struct procedure procedures[] = {
	PROCEDURE_NULL,
	{
	    .number = IPC9_CONTROLPROC_STATUS,
	    .right = RIGHT_READ,
	    .args = XDR_PROC(void),
	    .results = XDR_PROC(ipc9_status_res),
	    .handle = handle_status,
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
