/* SPDX-License-Identifier: BSD-3-Clause */
/* values_mailslot.c - golden values of idl/mailslot.x. */
#include "rpcgen-out/mailslot.h"
#include "tests/golden/golden.h"

#define NUMBER(PROCEDURE) IPC9_MAILSLOTPROC_##PROCEDURE
#define STATE                                                                                      \
	"name:s " CALLER("owner") "max_message_bytes read_timeout_ms waiting waiting_bytes:h "     \
				  "next_bytes received:h refused:h"

#define ID                                                                                         \
	{                                                                                          \
		"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff",                \
		    0xfedcba9876543210                                                             \
	}
#define ID_LAYOUT "id.sender:16 id.seq:h "

#define NEWS                                                                                       \
	{                                                                                          \
		"News", { IPC9_BY_KERNEL, 1000, 100, 4242, "local", "" }, 0, IPC9_WAIT_FOREVER_MS, \
		    2, 300, 100, 0x100000000, 1                                                    \
	}

const struct golden golden_mailslot[] = {
	NULL_CALL_AND_OK,

	CALL_LOCAL(CREATE, ipc9_mailslot_create_args,
	    "name:s max_message_bytes read_timeout_ms rules=absent",
	    { "News", 65536, IPC9_WAIT_FOREVER_MS, NULL }),
	OK(CREATE, ipc9_mailslot_create_res, "slot:h",
	    { IPC9_STATUS_OK, .ipc9_mailslot_create_res_u.ok = { 1 } }),
	REFUSED(CREATE, ipc9_mailslot_create_res, EXISTS, "there is a slot of that name", 0),

	CALL(READ, ipc9_mailslot_read_args, "slot:h max_bytes wait_ms",
	    { 0x0123456789abcdef, 1048576, 30000 }),
	OK(READ, ipc9_mailslot_read_res, CALLER("sender") "broadcast arrived_us:h waiting data:o",
	    { IPC9_STATUS_OK,
		.ipc9_mailslot_read_res_u.ok = { { IPC9_BY_NONE, 65534, 65534, 0, "fe80::1%eth0",
						     "" },
		    TRUE, 0x000660c9ffd70c7c, 0, { (const unsigned char *)"lunch", 5, NULL } } }),
	REFUSED(READ, ipc9_mailslot_read_res, TOOSMALL, "the message is longer", 1048576),

	CALL(SETTIMEOUT, ipc9_mailslot_timeout_args, "slot:h read_timeout_ms",
	    { 0x0123456789abcdef, 0 }),
	DONE(SETTIMEOUT),
	REFUSED(SETTIMEOUT, ipc9_void_res, NOENT, "", 0),

	CALL(CLOSE, ipc9_handle_args, "handle:h", { 0x0123456789abcdef }),
	DONE(CLOSE),
	REFUSED(CLOSE, ipc9_void_res, NOENT, "no such slot on this connection", 0),

	CALL(SEND, ipc9_mailslot_send_args, "name:s " ID_LAYOUT "age_ms data:o",
	    { "News", ID, 1500, { (const unsigned char *)"", 0, NULL } }),
	OK(SEND, ipc9_mailslot_send_res, "duplicate",
	    { IPC9_STATUS_OK, .ipc9_mailslot_send_res_u.ok = { TRUE } }),
	REFUSED(SEND, ipc9_mailslot_send_res, QUOTA, "the slot is full", IPC9_MAILSLOT_QUEUE_MAX),

	CALL_LOCAL(SENDALL, ipc9_mailslot_sendall_args, "name:s domain:s " ID_LAYOUT "data:o",
	    { "News", "golden.test", ID, { 6, "to all" } }),
	OK(SENDALL, ipc9_mailslot_sendall_res, "datagrams here",
	    { IPC9_STATUS_OK, .ipc9_mailslot_sendall_res_u.ok = { 3, FALSE } }),
	REFUSED(SENDALL, ipc9_mailslot_sendall_res, NOPATH, "no interface is up", 0),

	CALL(INFO, ipc9_name_args, "name:s", { "NEWS" }),
	OK(INFO, ipc9_mailslot_info_res, STATE,
	    { IPC9_STATUS_OK, .ipc9_mailslot_info_res_u.state = NEWS }),
	REFUSED(INFO, ipc9_mailslot_info_res, NOENT, "", 0),

	CALL(LIST, ipc9_list_args, "after:s", { "" }),
	OK(LIST, ipc9_mailslot_list_res, "slots[ " STATE " ] more",
	    { IPC9_STATUS_OK,
		.ipc9_mailslot_list_res_u.ok = { { 1, (ipc9_mailslot_state[]){ NEWS } }, TRUE } }),
	REFUSED(LIST, ipc9_mailslot_list_res, BADNAME, "", 0),

	CALL_LOCAL(BROADCAST, ipc9_mailslot_broadcast_args, "name:s domain:s " ID_LAYOUT "data:o",
	    { "News", "ipc9", ID, { 5, "lunch" } }),

	{ .procedure = NULL },
};
