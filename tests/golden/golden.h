/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * golden.h - the values behind the golden files: one set for each program, one row for each file.
 *
 * A row's file is SET-PROCEDURE-VARIANT.hex in small letters.  Of each procedure of idl/ there are, where it has
 * them: call, ok and refused; a set may have more variants.
 */
#ifndef TESTS_GOLDEN_GOLDEN_H
#define TESTS_GOLDEN_GOLDEN_H

#include <rpc/rpc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/message.h"

enum golden_kind {
	GOLDEN_CALL,	 /* the header of a call and its arguments */
	GOLDEN_CALL_SYS, /* the same with an AUTH_SYS credential: golden_claim */
	GOLDEN_REPLY,	 /* the header of a successful reply and its results */
	GOLDEN_REFUSAL,	 /* a reply that refuses; no type */
	GOLDEN_BARE,	 /* a value and nothing before it */
};

struct golden {
	const char *procedure, *variant;
	enum golden_kind kind;
	uint32_t number; /* the procedure's */
	uint32_t xid;	 /* 0: GOLDEN_XID */
	bool local;	 /* a call that is not served over TCP */
	enum message_refusal refusal;
	const char *type; /* of what follows the header, as idl/ spells it */
	xdrproc_t xdr;
	size_t size;
	const void *value;
	const char *layout; /* for hex_write; of a GOLDEN_REFUSAL all of it behind the xid */
};

struct golden_set {
	const char *name;
	uint32_t program;
	const struct golden *rows; /* ends with a NULL procedure */
};

/* Ends with a NULL name. */
extern const struct golden_set golden_sets[];

extern const struct golden golden_control[], golden_bench[], golden_clipboard[], golden_filemap[],
    golden_mailslot[], golden_pipe[], golden_rpc[];

#define GOLDEN_XID 0x49504339u
#define GOLDEN_VERSION 1u

/* What a GOLDEN_CALL_SYS claims. */
struct golden_claim {
	uint32_t stamp;
	const char *machine;
	uint32_t uid, gid;
};
extern const struct golden_claim golden_claim;

/* --- Rows -------------------------------------------------------------------------------------- */

#define GOLDEN_TYPE(TYPE, ...)                                                                     \
	.type = #TYPE, .xdr = (xdrproc_t)(void (*)(void))xdr_##TYPE, .size = sizeof(TYPE),         \
	.value = &(TYPE)__VA_ARGS__

#define GOLDEN_VOID .type = "void", .xdr = (xdrproc_t)(void (*)(void))xdr_void, .layout = ""

/* NUMBER(PROCEDURE) is for each set to define.  What stands at the end is the value's initializer. */
#define CALL(PROCEDURE, TYPE, LAYOUT, ...)                                                         \
	{                                                                                          \
		.procedure = #PROCEDURE, .variant = "call", .kind = GOLDEN_CALL,                   \
		.number = NUMBER(PROCEDURE), .layout = LAYOUT, GOLDEN_TYPE(TYPE, __VA_ARGS__)      \
	}
#define CALL_LOCAL(PROCEDURE, TYPE, LAYOUT, ...)                                                   \
	{                                                                                          \
		.procedure = #PROCEDURE, .variant = "call", .kind = GOLDEN_CALL, .local = true,    \
		.number = NUMBER(PROCEDURE), .layout = LAYOUT, GOLDEN_TYPE(TYPE, __VA_ARGS__)      \
	}
#define OK(PROCEDURE, TYPE, LAYOUT, ...)                                                           \
	{                                                                                          \
		.procedure = #PROCEDURE, .variant = "ok", .kind = GOLDEN_REPLY,                    \
		.number = NUMBER(PROCEDURE), .layout = "status=OK " LAYOUT,                        \
		GOLDEN_TYPE(TYPE, __VA_ARGS__)                                                     \
	}
#define DONE(PROCEDURE) OK(PROCEDURE, ipc9_void_res, "", { .status = IPC9_STATUS_OK })
#define REFUSED(PROCEDURE, TYPE, STATUS, DETAIL, VALUE)                                            \
	{                                                                                          \
		.procedure = #PROCEDURE, .variant = "refused", .kind = GOLDEN_REPLY,               \
		.number = NUMBER(PROCEDURE),                                                       \
		.layout =                                                                          \
		    "status=" #STATUS " error.status=" #STATUS " error.detail:s error.value:h",    \
		GOLDEN_TYPE(TYPE,                                                                  \
		    { IPC9_STATUS_##STATUS,                                                        \
			.TYPE##_u.error = { IPC9_STATUS_##STATUS, DETAIL, VALUE } })               \
	}
/* Procedure 0, whose name is a macro of stddef.h. */
#define NULL_CALL_AND_OK                                                                           \
	{ .procedure = "NULL", .variant = "call", .kind = GOLDEN_CALL, GOLDEN_VOID },              \
	{                                                                                          \
		.procedure = "NULL", .variant = "ok", .kind = GOLDEN_REPLY, GOLDEN_VOID            \
	}

/* The layout of an ipc9_caller. */
#define CALLER(NAME)                                                                               \
	NAME ".how " NAME ".uid " NAME ".gid " NAME ".pid " NAME ".host:s " NAME ".principal:s "

#endif
