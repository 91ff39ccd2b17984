/* SPDX-License-Identifier: BSD-3-Clause */
/* values_bench.c - golden values of idl/bench.x. */
#include "rpcgen-out/bench.h"
#include "tests/golden/golden.h"

#define NUMBER(PROCEDURE) IPC9_BENCHPROC_##PROCEDURE

static const unsigned char five[] = { 0x00, 0xff, 'i', '9', 0x80 };

const struct golden golden_bench[] = {
	NULL_CALL_AND_OK,

	CALL(ECHO, ipc9_bench_echo_args, "data:o", { { five, sizeof(five), NULL } }),
	OK(ECHO, ipc9_bench_echo_res, "data:o",
	    { IPC9_STATUS_OK, .ipc9_bench_echo_res_u.ok = { { five, sizeof(five), NULL } } }),
	REFUSED(ECHO, ipc9_bench_echo_res, TOOBIG, "an echo has at most 65536 bytes, not 65537",
	    65536),

	CALL(SINK, ipc9_bench_sink_args, "data:o", { { five, sizeof(five), NULL } }),
	OK(SINK, ipc9_bench_sink_res, "size_bytes",
	    { IPC9_STATUS_OK, .ipc9_bench_sink_res_u.ok = { 1048576 } }),
	REFUSED(SINK, ipc9_bench_sink_res, SYSTEM, "Cannot allocate memory", 0),

	CALL(RAW, ipc9_bench_raw_args, "kind size_bytes wait_ms",
	    { IPC9_BENCH_RAW_ECHO, 64, 10000 }),
	OK(RAW, ipc9_bench_raw_res, "port key:16",
	    { IPC9_STATUS_OK,
		.ipc9_bench_raw_res_u.ok = { 40961,
		    { 0, 1, 2, 3, 4, 5, 6, 7, -8, 9, 10, 11, 12, 13, 14, -1 } } }),
	REFUSED(RAW, ipc9_bench_raw_res, QUOTA, "all 2 raw connections are in use", 2),

	{ .procedure = NULL },
};
