/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * values_rpc.c - golden values of RPC itself: how a call is refused, and XDR's types that other people's
 * programs use and ours do not.
 */
#include "rpcgen-out/rpcring.h"
#include "tests/golden/golden.h"

#define NUMBER(PROCEDURE) IPC9_RPCPROC_##PROCEDURE

#define REFUSAL(VARIANT, WHY, LAYOUT)                                                              \
	{                                                                                          \
		.procedure = "REFUSAL", .variant = VARIANT, .kind = GOLDEN_REFUSAL,                \
		.refusal = WHY, .layout = LAYOUT                                                   \
	}
#define ACCEPTED "reply_stat=MSG_ACCEPTED verf.flavor=AUTH_NONE verf.length "
#define DENIED "reply_stat=MSG_DENIED reject_stat=AUTH_ERROR "

struct every_type {
	int low, high;
	u_int all_bits;
	quad_t low_hyper;
	u_quad_t high_hyper;
	float single_;
	double double_, tiny;
	bool_t yes;
	char *text;
	char fixed[6];
	struct {
		u_int n;
		char *at;
	} opaque;
	struct {
		u_int n;
		short *at;
	} shorts;
};
typedef struct every_type every_type;

static bool_t xdr_every_type(XDR *x, every_type *v)
{
	return xdr_int(x, &v->low) && xdr_int(x, &v->high) && xdr_u_int(x, &v->all_bits) &&
	    xdr_quad_t(x, &v->low_hyper) && xdr_u_quad_t(x, &v->high_hyper) &&
	    xdr_float(x, &v->single_) && xdr_double(x, &v->double_) && xdr_double(x, &v->tiny) &&
	    xdr_bool(x, &v->yes) && xdr_string(x, &v->text, 64) && xdr_opaque(x, v->fixed, 6) &&
	    xdr_bytes(x, &v->opaque.at, &v->opaque.n, 64) &&
	    xdr_array(x, (char **)&v->shorts.at, &v->shorts.n, 8, sizeof(short),
		(xdrproc_t)xdr_short);
}

const struct golden golden_rpc[] = {
	/* idl/rpcring.x, which applications' servers serve and no daemon does. */
	{ .procedure = "NULL", .variant = "call", .kind = GOLDEN_CALL, .local = true, GOLDEN_VOID },
	{ .procedure = "NULL", .variant = "ok", .kind = GOLDEN_REPLY, GOLDEN_VOID },
	{ .procedure = "ATTACH",
	    .variant = "call",
	    .kind = GOLDEN_CALL,
	    .local = true,
	    .number = IPC9_RPCPROC_ATTACH,
	    GOLDEN_VOID },
	{ .procedure = "ATTACH",
	    .variant = "ok",
	    .kind = GOLDEN_REPLY,
	    .number = IPC9_RPCPROC_ATTACH,
	    GOLDEN_VOID },
	{ .procedure = "STATUS",
	    .variant = "call",
	    .kind = GOLDEN_CALL,
	    .local = true,
	    .number = IPC9_RPCPROC_STATUS,
	    GOLDEN_VOID },
	OK(STATUS, ipc9_rpc_rings_res,
	    "connections_ring:h connections_socket:h calls_ring:h calls_socket:h refused_limit:h "
	    "refused_share:h refused_off:h refused_memory:h refused_wrong:h",
	    { IPC9_STATUS_OK,
		.ipc9_rpc_rings_res_u.ok = { 64, 3, 12345678901, 77, 5, 4, 0, 1, 2 } }),
	REFUSED(STATUS, ipc9_rpc_rings_res, SYSTEM, "Cannot allocate memory", 0),

	{ .procedure = "TYPES",
	    .variant = "all",
	    .kind = GOLDEN_BARE,
	    .layout = "int int unsigned_int hyper:l unsigned_hyper:h float double:h double:h bool "
		      "string:s opaque[6]:6 opaque<>:o array[ short ]",
	    GOLDEN_TYPE(every_type,
		{ -2147483647 - 1, 2147483647, 4294967295u, -9223372036854775807 - 1,
		    0x8000000000000001, -1.5f, 3.141592653589793, 4.9406564584124654e-324, TRUE,
		    "na\xc3\xafve", "\0\1\2\xfd\xfe\xff", { 7, "\xff\0\xff\0\xff\0\xff" },
		    { 3, (short[]){ -32768, -1, 32767 } } }) },

	REFUSAL("prog_unavail", MESSAGE_PROG_UNAVAIL, ACCEPTED "accept_stat=PROG_UNAVAIL"),
	REFUSAL("prog_mismatch", MESSAGE_PROG_MISMATCH,
	    ACCEPTED "accept_stat=PROG_MISMATCH low high"),
	REFUSAL("proc_unavail", MESSAGE_PROC_UNAVAIL, ACCEPTED "accept_stat=PROC_UNAVAIL"),
	REFUSAL("garbage_args", MESSAGE_GARBAGE_ARGS, ACCEPTED "accept_stat=GARBAGE_ARGS"),
	REFUSAL("system_err", MESSAGE_SYSTEM_ERR, ACCEPTED "accept_stat=SYSTEM_ERR"),
	REFUSAL("rpc_mismatch", MESSAGE_RPC_MISMATCH,
	    "reply_stat=MSG_DENIED reject_stat=RPC_MISMATCH low high"),
	REFUSAL("auth_badcred", MESSAGE_AUTH_BADCRED, DENIED "auth_stat=AUTH_BADCRED"),
	REFUSAL("auth_rejectedcred", MESSAGE_AUTH_REJECTEDCRED,
	    DENIED "auth_stat=AUTH_REJECTEDCRED"),
	REFUSAL("auth_tooweak", MESSAGE_AUTH_TOOWEAK, DENIED "auth_stat=AUTH_TOOWEAK"),

	{ .procedure = NULL },
};
