/* SPDX-License-Identifier: BSD-3-Clause */
/* values_filemap.c - golden values of idl/filemap.x. */
#include "rpcgen-out/filemap.h"
#include "tests/golden/golden.h"

#define NUMBER(PROCEDURE) IPC9_FILEMAPPROC_##PROCEDURE
#define STATE                                                                                      \
	"name:s " CALLER("owner") "kind flags rights size_bytes:h maximum holders created_us:h "

#define FRAME                                                                                      \
	{                                                                                          \
		"Frame", { IPC9_BY_KERNEL, 1000, 100, 4242, "local", "" }, IPC9_FILEMAP_MAPPING,   \
		    IPC9_FILEMAP_KEEP, IPC9_FILEMAP_READ | IPC9_FILEMAP_WRITE, 0x100000000, 0, 2,  \
		    0x000660c9ffd70c7c                                                             \
	}
#define SLOTS                                                                                      \
	{                                                                                          \
		"slots", { IPC9_BY_KERNEL, 1000, 100, 4242, "local", "" }, IPC9_FILEMAP_SEMAPHORE, \
		    0, IPC9_FILEMAP_READ | IPC9_FILEMAP_WRITE, 4096, IPC9_FILEMAP_COUNT_MAX, 1, 0  \
	}

const struct golden golden_filemap[] = {
	NULL_CALL_AND_OK,

	CALL_LOCAL(CREATE, ipc9_filemap_create_args,
	    "name:s kind flags rights size_bytes:h maximum descriptors rules=absent",
	    { "Frame", IPC9_FILEMAP_MAPPING, IPC9_FILEMAP_NEW | IPC9_FILEMAP_KEEP,
		IPC9_FILEMAP_READ | IPC9_FILEMAP_WRITE, 0x100000000, 0, 2, NULL }),
	OK(CREATE, ipc9_filemap_open_res, "handle:h flags " STATE,
	    { IPC9_STATUS_OK, .ipc9_filemap_open_res_u.ok = { 1, 0, FRAME } }),
	REFUSED(CREATE, ipc9_filemap_open_res, EXISTS, "it belongs to uid 1000", 0),

	CALL_LOCAL(OPEN, ipc9_filemap_open_args, "name:s kind rights",
	    { "slots", IPC9_FILEMAP_SEMAPHORE, IPC9_FILEMAP_READ | IPC9_FILEMAP_WRITE }),
	OK(OPEN, ipc9_filemap_open_res, "handle:h flags " STATE,
	    { IPC9_STATUS_OK,
		.ipc9_filemap_open_res_u.ok = { 0x0123456789abcdef, IPC9_FILEMAP_EXISTED,
		    SLOTS } }),
	REFUSED(OPEN, ipc9_filemap_open_res, BADSTATE, "that name is a mutex", IPC9_FILEMAP_MUTEX),

	CALL_LOCAL(CLOSE, ipc9_handle_args, "handle:h", { 0x0123456789abcdef }),
	DONE(CLOSE),
	REFUSED(CLOSE, ipc9_void_res, NOENT, "no such handle on this connection", 0),

	CALL_LOCAL(REMOVE, ipc9_name_args, "name:s", { "Frame" }),
	DONE(REMOVE),
	REFUSED(REMOVE, ipc9_void_res, ACCESS, "it belongs to uid 1000", 0),

	CALL_LOCAL(INFO, ipc9_name_args, "name:s", { "Frame" }),
	OK(INFO, ipc9_filemap_info_res, STATE,
	    { IPC9_STATUS_OK, .ipc9_filemap_info_res_u.state = FRAME }),
	REFUSED(INFO, ipc9_filemap_info_res, NOENT, "", 0),

	CALL_LOCAL(LIST, ipc9_list_args, "after:s", { "Frame" }),
	OK(LIST, ipc9_filemap_list_res, "objects[ " STATE " ] more",
	    { IPC9_STATUS_OK,
		.ipc9_filemap_list_res_u.ok = { { 1, (ipc9_filemap_state[]){ SLOTS } }, FALSE } }),
	REFUSED(LIST, ipc9_filemap_list_res, SYSTEM, "Cannot allocate memory", 0),

	{ .procedure = NULL },
};
