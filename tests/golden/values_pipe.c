/* SPDX-License-Identifier: BSD-3-Clause */
/* values_pipe.c - golden values of idl/pipe.x, the frames of its STREAM mode among them. */
#include "rpcgen-out/pipe.h"
#include "tests/golden/golden.h"

#define NUMBER(PROCEDURE) IPC9_PIPEPROC_##PROCEDURE

/* Long enough to be referred to and not copied (BLOB_REFER_MIN), and no multiple of 4. */
static const unsigned char long_payload[2049] = {
	[0] = 0x89, [1] = 'P', [2047] = 0xfe, [2048] = 0xff
};

#define FRAME(VARIANT, LAYOUT, ...)                                                                \
	{                                                                                          \
		.procedure = "FRAME", .variant = VARIANT, .kind = GOLDEN_BARE, .layout = LAYOUT,   \
		GOLDEN_TYPE(ipc9_pipe_frame, __VA_ARGS__)                                          \
	}

const struct golden golden_pipe[] = {
	NULL_CALL_AND_OK,

	CALL_LOCAL(CREATE, ipc9_pipe_create_args,
	    "name:s type direction max_instances quota_bytes rules=present rules.lines[ line:s ] flags default_wait_ms",
	    { "sum", IPC9_PIPE_MESSAGE, IPC9_PIPE_DUPLEX, IPC9_PIPE_UNLIMITED, 65536,
		&(ipc9_rules){
		    { 2, (ipc9_rule[]){ "deny uid:1007 all", "allow local read,write" } } },
		IPC9_PIPE_CREATE_FIRST | IPC9_PIPE_CREATE_LOCAL_ONLY, 200 }),
	OK(CREATE, ipc9_pipe_create_res, "pipe:h first type quota_bytes",
	    { IPC9_STATUS_OK,
		.ipc9_pipe_create_res_u.ok = { 0x80000000, TRUE, IPC9_PIPE_MESSAGE, 65536 } }),
	REFUSED(CREATE, ipc9_pipe_create_res, BUSY, "all instances are there", 254),

	CALL(ACCEPT, ipc9_pipe_accept_args, "pipe:h wait_ms", { 0x0123456789abcdef, 30000 }),
	OK(ACCEPT, ipc9_pipe_accept_res, "waited way flags " CALLER("client"),
	    { IPC9_STATUS_OK,
		.ipc9_pipe_accept_res_u.ok = { FALSE, IPC9_PIPE_WAY_FRAMES,
		    IPC9_PIPE_OPEN_READ | IPC9_PIPE_OPEN_WRITE,
		    { IPC9_BY_KERBEROS, 4294967294, 4294967294, 0, "2001:db8::2",
			"alice@LAB.TEST" } } }),
	REFUSED(ACCEPT, ipc9_pipe_accept_res, TIMEDOUT, "no client came", 0),

	CALL(OPEN, ipc9_pipe_open_args, "name:s flags",
	    { "sum",
		IPC9_PIPE_OPEN_READ | IPC9_PIPE_OPEN_WRITE | IPC9_PIPE_OPEN_STREAM |
		    IPC9_PIPE_OPEN_SHARED }),
	OK(OPEN, ipc9_pipe_open_res, "pipe:h type quota_bytes way " CALLER("server"),
	    { IPC9_STATUS_OK,
		.ipc9_pipe_open_res_u.ok = { 0, IPC9_PIPE_MESSAGE, 1048576, IPC9_PIPE_WAY_SHARED,
		    { IPC9_BY_KERNEL, 0, 0, 1, "local", "" } } }),
	REFUSED(OPEN, ipc9_pipe_open_res, BUSY,
	    "its 1 instance serves other clients; try again later", 0),

	CALL(READ, ipc9_pipe_read_args, "pipe:h max_bytes wait_ms messages",
	    { 0x0123456789abcdef, 4096, 0, TRUE }),
	OK(READ, ipc9_pipe_read_res, "more data:o",
	    { IPC9_STATUS_OK,
		.ipc9_pipe_read_res_u.ok = { TRUE, { (const unsigned char *)"ab", 2, NULL } } }),
	REFUSED(READ, ipc9_pipe_read_res, EOF, "", 0),

	CALL(WRITE, ipc9_pipe_write_args, "pipe:h wait_ms flags data:o",
	    { 0x0123456789abcdef, 30000, IPC9_PIPE_WRITE_FITTING,
		{ long_payload, sizeof(long_payload), NULL } }),
	OK(WRITE, ipc9_pipe_write_res, "full taken_bytes",
	    { IPC9_STATUS_OK, .ipc9_pipe_write_res_u.ok = { FALSE, 2049 } }),
	REFUSED(WRITE, ipc9_pipe_write_res, PEERCLOSED, "the other end is closed", 0),

	CALL(POLL, ipc9_pipe_poll_args, "pipe:h events wait_ms",
	    { 0x0123456789abcdef, IPC9_PIPE_READABLE | IPC9_PIPE_CLOSED, 1000 }),
	OK(POLL, ipc9_pipe_poll_res, "events",
	    { IPC9_STATUS_OK, .ipc9_pipe_poll_res_u.ok = { IPC9_PIPE_WRITABLE } }),
	REFUSED(POLL, ipc9_pipe_poll_res, LOST, "the other end vanished", 0),

	CALL(END, ipc9_handle_args, "handle:h", { 0x0123456789abcdef }),
	DONE(END),
	REFUSED(END, ipc9_void_res, LISTENING, "", 0),

	CALL(CLOSE, ipc9_handle_args, "handle:h", { 0 }),
	DONE(CLOSE),
	REFUSED(CLOSE, ipc9_void_res, NOENT, "", 0),

	CALL(LIST, ipc9_list_args, "after:s", { "a" }),
	OK(LIST, ipc9_pipe_list_res,
	    "pipes[ name:s " CALLER(
		"owner") "type direction instances max_instances listening default_wait_ms local_only ] more",
	    { IPC9_STATUS_OK,
		.ipc9_pipe_list_res_u
		    .ok = { { 2,
				(ipc9_pipe_state[]){
				    { "sum", { IPC9_BY_CLAIM, 1000, 1000, 0, "10.0.0.1", "" },
					IPC9_PIPE_MESSAGE, IPC9_PIPE_DUPLEX, 3, 255, 1, 50, FALSE },
				    { "unpack", { IPC9_BY_KERNEL, 0, 0, 99, "local", "" },
					IPC9_PIPE_BYTE, IPC9_PIPE_INBOUND, 1, 1, 0, 30000,
					TRUE } } },
		    FALSE } }),
	REFUSED(LIST, ipc9_pipe_list_res, SYSTEM, "Cannot allocate memory", 0),

	CALL(PEEK, ipc9_pipe_peek_args, "pipe:h max_bytes", { 0x0123456789abcdef, 16 }),
	OK(PEEK, ipc9_pipe_peek_res, "waiting total_bytes:h left_bytes data:o",
	    { IPC9_STATUS_OK,
		.ipc9_pipe_peek_res_u.ok = { TRUE, 70000, 4,
		    { (const unsigned char *)"abcde", 5, NULL } } }),
	REFUSED(PEEK, ipc9_pipe_peek_res, BADSTATE, "", 0),

	CALL(FLUSH, ipc9_pipe_flush_args, "pipe:h wait_ms room",
	    { 0x0123456789abcdef, 5000, TRUE }),
	DONE(FLUSH),
	REFUSED(FLUSH, ipc9_void_res, TIMEDOUT, "", 0),

	CALL(DISCONNECT, ipc9_handle_args, "handle:h", { 0x0123456789abcdef }),
	DONE(DISCONNECT),
	REFUSED(DISCONNECT, ipc9_void_res, INVALID, "this is a client's end", 0),

	CALL(TRANSACT, ipc9_pipe_transact_args, "pipe:h max_bytes wait_ms data:o",
	    { 0x0123456789abcdef, 65536, 1000, { (const unsigned char *)"2+2", 3, NULL } }),
	OK(TRANSACT, ipc9_pipe_read_res, "more data:o",
	    { IPC9_STATUS_OK,
		.ipc9_pipe_read_res_u.ok = { FALSE, { (const unsigned char *)"4", 1, NULL } } }),
	REFUSED(TRANSACT, ipc9_pipe_read_res, BUSY, "", 0),

	CALL(WAIT, ipc9_pipe_wait_args, "name:s wait_ms", { "sum", IPC9_PIPE_WAIT_DEFAULT }),
	DONE(WAIT),
	REFUSED(WAIT, ipc9_void_res, NOENT, "", 0),

	CALL(CANCEL, ipc9_pipe_cancel_args, "pipe:h all xid",
	    { 0x0123456789abcdef, FALSE, 0x49504339 }),
	OK(CANCEL, ipc9_pipe_cancel_res, "cancelled",
	    { IPC9_STATUS_OK, .ipc9_pipe_cancel_res_u.ok = { 1 } }),
	REFUSED(CANCEL, ipc9_pipe_cancel_res, NOENT, "", 0),

	CALL(INFO, ipc9_handle_args, "handle:h", { 0x0123456789abcdef }),
	OK(INFO, ipc9_pipe_info_res,
	    "name:s type direction instances max_instances default_wait_ms local_only quota_bytes "
	    "server state way unread_bytes:h sent_bytes:h " CALLER("peer"),
	    { IPC9_STATUS_OK,
		.ipc9_pipe_info_res_u.ok = { "sum", IPC9_PIPE_MESSAGE, IPC9_PIPE_DUPLEX, 3, 255, 50,
		    FALSE, 65536, TRUE, IPC9_PIPE_CONNECTED, IPC9_PIPE_WAY_CALLS, 5, 0x100000000,
		    { IPC9_BY_CLAIM, 1000, 1000, 0, "10.0.0.1", "" } } }),
	REFUSED(INFO, ipc9_pipe_info_res, NOTCONN, "", 0),

	FRAME("data", "kind=DATA data:o",
	    { IPC9_PIPE_FRAME_DATA,
		.ipc9_pipe_frame_u.data = { (const unsigned char *)"abcdef", 6, NULL } }),
	FRAME("msg_end", "kind=MSG_END", { .kind = IPC9_PIPE_FRAME_MSG_END }),
	FRAME("consumed", "kind=CONSUMED consumed_bytes:h",
	    { IPC9_PIPE_FRAME_CONSUMED, .ipc9_pipe_frame_u.consumed_bytes = 0x100000001 }),
	FRAME("end", "kind=END", { .kind = IPC9_PIPE_FRAME_END }),
	FRAME("close", "kind=CLOSE", { .kind = IPC9_PIPE_FRAME_CLOSE }),
	FRAME("disconnect", "kind=DISCONNECT", { .kind = IPC9_PIPE_FRAME_DISCONNECT }),

	{ .procedure = NULL },
};
