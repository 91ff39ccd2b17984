/* SPDX-License-Identifier: BSD-3-Clause */
/* reply.c - see reply.h. */
#include "transport/reply.h"

#include "xdr/stream.h"

enum clnt_stat reply_decode(const unsigned char *data, size_t size, struct bytes *owner,
    xdrproc_t xdr, void *results, struct rpc_err *e)
{
	struct rpc_msg msg = { 0 };
	XDR xdrs;

	/* The results are decoded below, once it is known that there are any. */
	msg.acpted_rply.ar_results.proc = (xdrproc_t)(void (*)(void))xdr_void;
	if (owner)
		xdr_record_create(&xdrs, data, size, owner);
	else
		xdr_record_create_passing(&xdrs, data, size);
	if (!xdr_replymsg(&xdrs, &msg)) {
		xdr_free((xdrproc_t)xdr_replymsg, &msg);
		return RPC_CANTDECODERES;
	}
	_seterr_reply(&msg, e);
	if (msg.rm_reply.rp_stat == MSG_ACCEPTED && msg.acpted_rply.ar_verf.oa_base)
		xdr_free((xdrproc_t)xdr_opaque_auth, &msg.acpted_rply.ar_verf);
	if (e->re_status == RPC_SUCCESS && xdr && !xdr(&xdrs, results))
		return RPC_CANTDECODERES;
	return e->re_status;
}
