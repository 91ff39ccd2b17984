/* SPDX-License-Identifier: BSD-3-Clause */
/* bench.c - what measurements call, over bench.x; the raw references are in bench_raw.c. */
#include "rpcgen-out/bench.h"

#include <errno.h>
#include <stdlib.h>

#include "server/bench_raw.h"
#include "server/daemon.h"

static void handle_echo(struct request *r, void *args)
{
	const ipc9_bench_echo_args *a = args;
	ipc9_bench_echo_res res = { .status = IPC9_STATUS_OK };

	if (a->data.len > IPC9_BENCH_ECHO_MAX) {
		request_fail(r, IPC9_STATUS_TOOBIG, IPC9_BENCH_ECHO_MAX,
		    "an echo has at most %d bytes, not %u", IPC9_BENCH_ECHO_MAX, a->data.len);
		return;
	}
	res.ipc9_bench_echo_res_u.ok.data = a->data;
	request_reply(r, &res);
}

static void handle_sink(struct request *r, void *args)
{
	const ipc9_bench_sink_args *a = args;
	ipc9_bench_sink_res res = { .status = IPC9_STATUS_OK };

	res.ipc9_bench_sink_res_u.ok.size_bytes = a->data.len;
	request_reply(r, &res);
}

static void handle_raw(struct request *r, void *args)
{
	const ipc9_bench_raw_args *a = args;
	ipc9_bench_raw_res res = { .status = IPC9_STATUS_OK };
	int e;

	if (a->kind != IPC9_BENCH_RAW_ECHO && a->kind != IPC9_BENCH_RAW_SINK) {
		request_fail(r, IPC9_STATUS_INVALID, IPC9_BENCH_RAW_SINK,
		    "the kind is echo or sink");
		return;
	}
	if (a->kind == IPC9_BENCH_RAW_ECHO &&
	    (a->size_bytes == 0 || a->size_bytes > IPC9_BENCH_ECHO_MAX)) {
		request_fail(r, IPC9_STATUS_INVALID, IPC9_BENCH_ECHO_MAX,
		    "pieces of an echo have 1 to %d bytes, not %u", IPC9_BENCH_ECHO_MAX,
		    a->size_bytes);
		return;
	}
	e = bench_raw_new(r->state, r, a, &res.ipc9_bench_raw_res_u.ok);
	if (e == -EDQUOT)
		request_fail(r, IPC9_STATUS_QUOTA, IPC9_BENCH_RAW_MAX,
		    "all %d raw connections are in use by measurements; try again when they are over",
		    IPC9_BENCH_RAW_MAX);
	else if (e)
		request_fail_charge(r, e, &r->caller, QUOTA_OBJECTS);
	else
		request_reply(r, &res);
}

/* --- Life -------------------------------------------------------------------------------------- */

static int bench_start(struct daemon *daemon, void **ret_state)
{
	struct bench_raws *raws = calloc(1, sizeof(*raws));

	(void)daemon;
	if (!raws)
		return -ENOMEM;
	list_init(&raws->raws);
	*ret_state = raws;
	return 0;
}

static void bench_stop(void *state)
{
	bench_raw_end_all(state);
	free(state);
}

static void bench_count(const void *state, struct tally *tally)
{
	const struct bench_raws *raws = state;

	tally_add(tally, "bench.raw", raws->n);
}

static const struct procedure procedures[] = {
	PROCEDURE_NULL,
	{
	    PROCEDURE(IPC9_BENCHPROC_ECHO, ipc9_bench_echo_args, ipc9_bench_echo_res),
	    .right = RIGHT_WRITE,
	    .handle = handle_echo,
	},
	{
	    PROCEDURE(IPC9_BENCHPROC_SINK, ipc9_bench_sink_args, ipc9_bench_sink_res),
	    .right = RIGHT_WRITE,
	    .handle = handle_sink,
	},
	{
	    PROCEDURE(IPC9_BENCHPROC_RAW, ipc9_bench_raw_args, ipc9_bench_raw_res),
	    .right = RIGHT_WRITE,
	    .handle = handle_raw,
	},
};

extern const struct service service_bench;
const struct service service_bench = {
	.name = "bench",
	.program = IPC9_PROG_BENCH,
	.version = IPC9_BENCH_V1,
	.procedures = procedures,
	.n_procedures = sizeof(procedures) / sizeof(procedures[0]),
	.start = bench_start,
	.stop = bench_stop,
	.count = bench_count,
};
