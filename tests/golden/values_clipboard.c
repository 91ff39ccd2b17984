/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * values_clipboard.c - golden values of idl/clipboard.x.
 *
 * LIST is an exchange that took place: docs/protocol.md shows it word by word.
 */
#include "rpcgen-out/clipboard.h"
#include "tests/golden/golden.h"

#define NUMBER(PROCEDURE) IPC9_CLIPBOARDPROC_##PROCEDURE
#define VERSION "current.epoch:h current.seq:h"

const struct golden_claim golden_claim = { 0, "h1", 1000, 1000 };

const struct golden golden_clipboard[] = {
	NULL_CALL_AND_OK,

	CALL(BEGIN, ipc9_name_args, "name:s", { "Team/caf\xc3\xa9" }),
	OK(BEGIN, ipc9_clipboard_begin_res, "ticket:h",
	    { IPC9_STATUS_OK, .ipc9_clipboard_begin_res_u.ok = { 0xfedcba9876543210 } }),
	REFUSED(BEGIN, ipc9_clipboard_begin_res, BADNAME, "the name is reserved", 0),

	CALL(ADD, ipc9_clipboard_add_args, "ticket:h type:s",
	    { 0x0123456789abcdef, "text/plain;charset=utf-8" }),
	DONE(ADD),
	REFUSED(ADD, ipc9_void_res, INVALID, "too many formats", IPC9_FORMAT_LIST_MAX),

	CALL(PUT, ipc9_clipboard_put_args, "ticket:h data:o",
	    { 0x0123456789abcdef, { (const unsigned char *)"\0\1\200\376\377", 5, NULL } }),
	DONE(PUT),
	REFUSED(PUT, ipc9_void_res, TOOBIG, "the item would be too big", IPC9_CLIPBOARD_ITEM_MAX),

	CALL(PUBLISH, ipc9_handle_args, "handle:h", { 0x0123456789abcdef }),
	OK(PUBLISH, ipc9_clipboard_version_res, VERSION,
	    { IPC9_STATUS_OK, .ipc9_clipboard_version_res_u.current = { 0x8bd9901ad5f025c0, 2 } }),
	REFUSED(PUBLISH, ipc9_clipboard_version_res, BADSTATE, "no format was started", 0),

	CALL(DISCARD, ipc9_handle_args, "handle:h", { 0xffffffffffffffff }),
	DONE(DISCARD),
	REFUSED(DISCARD, ipc9_void_res, NOENT, "", 0),

	CALL(GET, ipc9_clipboard_get_args,
	    "board:s type:s wanted.epoch:h wanted.seq:h offset:h max_bytes",
	    { "~", "text/plain", { 0x8bd9901ad5f025c0, 0x8000000000000001 }, 0x100000001,
		0xffffffff }),
	OK(GET, ipc9_clipboard_get_res, VERSION " size_bytes:h data:o",
	    { IPC9_STATUS_OK,
		.ipc9_clipboard_get_res_u.ok = { { 0x8bd9901ad5f025c0, 2 }, 12,
		    { (const unsigned char *)"hello world\n", 12, NULL } } }),
	REFUSED(GET, ipc9_clipboard_get_res, CHANGED, "somebody copied meanwhile", 0),

	{ .procedure = "LIST",
	    .variant = "call",
	    .kind = GOLDEN_CALL_SYS,
	    .number = NUMBER(LIST),
	    .xid = 0x90f4015f,
	    .layout = "name:s",
	    GOLDEN_TYPE(ipc9_name_args, { "~" }) },
	{ .procedure = "LIST",
	    .variant = "ok",
	    .kind = GOLDEN_REPLY,
	    .number = NUMBER(LIST),
	    .xid = 0x90f4015f,
	    .layout = "status=OK " VERSION
		      " changed_us:h " CALLER("author") "formats[ type:s size_bytes:h ]",
	    GOLDEN_TYPE(ipc9_clipboard_list_res,
		{ IPC9_STATUS_OK,
		    .ipc9_clipboard_list_res_u.ok = { { 0x8bd9901ad5f025c0, 2 }, 0x000660c9ffd70c7c,
			{ IPC9_BY_CLAIM, 1000, 1000, 0, "127.0.0.1", "" },
			{ 2,
			    (ipc9_board_format[]){
				{ "text/html", 19 }, { "text/plain;charset=utf-8", 12 } } } } }) },
	REFUSED(LIST, ipc9_clipboard_list_res, ACCESS,
	    "you have no board here: nobody knows your uid", 0),

	CALL(CLEAR, ipc9_name_args, "name:s", { "b" }),
	OK(CLEAR, ipc9_clipboard_version_res, VERSION,
	    { IPC9_STATUS_OK, .ipc9_clipboard_version_res_u.current = { 1, 0xffffffff } }),
	REFUSED(CLEAR, ipc9_clipboard_version_res, NOENT, "there is no board of that name", 0),

	{ .procedure = NULL },
};
