/* SPDX-License-Identifier: BSD-3-Clause */
/* values_control.c - golden values of idl/control.x. */
#include "rpcgen-out/control.h"
#include "tests/golden/golden.h"

#define NUMBER(PROCEDURE) IPC9_CONTROLPROC_##PROCEDURE

static ipc9_text addresses[] = { "tcp+udp 127.0.0.1:20490", "local /run/ipc9/ipc9d.sock" };
static ipc9_number counters[] = { { "rpc.calls", 0xffffffffffffffff }, { "pipe.instances", 0 } };

const struct golden golden_control[] = {
	NULL_CALL_AND_OK,

	{ .procedure = "STATUS",
	    .variant = "call",
	    .kind = GOLDEN_CALL,
	    .number = NUMBER(STATUS),
	    GOLDEN_VOID },
	OK(STATUS, ipc9_status_res,
	    "release:s host:s domain:s uptime_ms:h pid addresses[ address:s ] rpcbind:s " CALLER(
		"you") "counters[ name:s value:h ]",
	    { IPC9_STATUS_OK,
		.ipc9_status_res_u.ok = { "0.1.0", "h1", "ipc9", 0x123456789, 4242,
		    { 2, addresses }, "", { IPC9_BY_KERNEL, 1000, 100, 77, "local", "" },
		    { 2, counters } } }),
	REFUSED(STATUS, ipc9_status_res, SYSTEM, "Cannot allocate memory", 0),

	{ .procedure = NULL },
};
