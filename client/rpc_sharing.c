/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc_sharing.c - what a server tells of its calls by shared memory, for those who ask it (idl/rpcring.x, STATUS).
 */
#include "client/ipc9_rpc.h"
#include "rpcgen-out/rpcring.h"

_Static_assert(IPC9_RPC_SHARING_PROGRAM == IPC9_PROG_RPC, "idl/common.x");
_Static_assert(IPC9_RPC_SHARING_VERSION == IPC9_RPC_V1, "idl/rpcring.x");
_Static_assert(IPC9_RPC_SHARING_STATUS == IPC9_RPCPROC_STATUS, "idl/rpcring.x");

bool_t ipc9_rpc_xdr_sharing(XDR *xdrs, struct ipc9_rpc_sharing *sharing)
{
	ipc9_rpc_rings_res result = { .status = -1 };
	const ipc9_rpc_rings *told = &result.ipc9_rpc_rings_res_u.ok;
	bool_t done;

	if (xdrs->x_op == XDR_FREE)
		return TRUE;
	if (xdrs->x_op != XDR_DECODE)
		return FALSE;
	done = xdr_ipc9_rpc_rings_res(xdrs, &result) && result.status == IPC9_STATUS_OK;
	if (done)
		*sharing = (struct ipc9_rpc_sharing){
			.connections_shared = told->connections_ring,
			.connections_socket = told->connections_socket,
			.calls_shared = told->calls_ring,
			.calls_socket = told->calls_socket,
			.refused_limit = told->refused_limit,
			.refused_share = told->refused_share,
			.refused_off = told->refused_off,
			.refused_memory = told->refused_memory,
			.refused_wrong = told->refused_wrong,
		};
	xdr_free((xdrproc_t)(void (*)(void))xdr_ipc9_rpc_rings_res, (char *)&result);
	return done;
}
