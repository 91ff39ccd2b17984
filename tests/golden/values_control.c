/* SPDX-License-Identifier: BSD-3-Clause */
/* values_control.c - golden values of idl/control.x. */
#include "rpcgen-out/control.h"
#include "tests/golden/golden.h"

#define NUMBER(PROCEDURE) IPC9_CONTROLPROC_##PROCEDURE

static ipc9_text addresses[] = { "tcp+udp 127.0.0.1:20490", "local /run/ipc9/ipc9d.sock" };
static ipc9_number counters[] = { { "rpc.calls", 0xffffffffffffffff }, { "pipe.instances", 0 } };

static ipc9_rule rules[] = { "deny host:10.77.0.0/16 all", "allow uid:1000 read,write" };

#define AMOUNT(NAME) NAME ".used:h " NAME ".share:h "
#define AMOUNTS(NAME)                                                                              \
	AMOUNT(NAME ".objects")                                                                    \
	AMOUNT(NAME ".bytes") AMOUNT(NAME ".waiting") AMOUNT(NAME ".connections")

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

	CALL(QUOTA, ipc9_quota_args, "after:h", { 0x0123456789abcdef }),
	OK(QUOTA, ipc9_quota_res,
	    AMOUNTS("host") "lines[ id:h " CALLER("who") AMOUNTS("amounts") "] more",
	    { IPC9_STATUS_OK,
		.ipc9_quota_res_u.ok = { { { 7, 4096 }, { 5000000000, 8589934592 }, { 1, 8192 },
					     { 2, 960 } },
		    { 1,
			(ipc9_quota_line[]){ { 3, { IPC9_BY_NONE, 0, 0, 0, "10.0.0.1", "" },
			    { { 0, 2048 }, { 0, 4294967296 }, { 0, 4096 }, { 1, 479 } } } } },
		    TRUE } }),
	REFUSED(QUOTA, ipc9_quota_res, ACCESS, "", 0),

	CALL(ACL_GET, ipc9_acl_get_args, "mechanism:s name:s", { "pipe", "sum" }),
	OK(ACL_GET, ipc9_acl_get_res, "owned owner given lines[ line:s ]",
	    { IPC9_STATUS_OK, .ipc9_acl_get_res_u.ok = { TRUE, 1000, TRUE, { { 2, rules } } } }),
	REFUSED(ACL_GET, ipc9_acl_get_res, NOENT, "no pipe of that name", 0),

	CALL(ACL_SET, ipc9_acl_set_args, "mechanism:s name:s lines[ line:s ]",
	    { "mailslot", "News", { { 2, rules } } }),
	DONE(ACL_SET),
	REFUSED(ACL_SET, ipc9_void_res, INVALID, "it begins with allow or deny", 0),

	CALL(ACL_TEST, ipc9_acl_test_args, "mechanism:s name:s who:s right:s",
	    { "clipboard", "team", "uid:1000,gid:100,from:10.77.1.2", "read" }),
	OK(ACL_TEST, ipc9_acl_test_res, "allowed why:s",
	    { IPC9_STATUS_OK,
		.ipc9_acl_test_res_u.ok = { FALSE,
		    "deny host:10.77.0.0/16 all (list of the object)" } }),
	REFUSED(ACL_TEST, ipc9_acl_test_res, ACCESS, "it belongs to uid 1000", 0),

	{ .procedure = NULL },
};
