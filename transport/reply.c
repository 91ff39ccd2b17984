/* SPDX-License-Identifier: BSD-3-Clause */
/* reply.c - see reply.h. */
#include "transport/reply.h"

#include <errno.h>
#include <string.h>

#include "xdr/stream.h"

#define SUCCESS_SIZE 24 /* bytes of such a reply before its results */

/* What most replies are: accepted, without a verifier, and successful. */
static bool is_plain_success(const unsigned char *data, size_t size)
{
	static const unsigned char header[SUCCESS_SIZE - 4] = { 0, 0, 0, REPLY };

	return size >= SUCCESS_SIZE && memcmp(data + 4, header, sizeof(header)) == 0;
}

/* xdr routines say no more than that they failed. */
static enum clnt_stat not_decoded(struct rpc_err *e)
{
	e->re_status = RPC_CANTDECODERES;
	e->re_errno = errno == ENOMEM ? ENOMEM : 0;
	return RPC_CANTDECODERES;
}

/* Any reply; the results are decoded once it is known that there are any. */
static enum clnt_stat decode_any(XDR *xdrs, xdrproc_t xdr, void *results, struct rpc_err *e)
{
	struct rpc_msg msg = { 0 };

	msg.acpted_rply.ar_results.proc = (xdrproc_t)(void (*)(void))xdr_void;
	if (!xdr_replymsg(xdrs, &msg)) {
		xdr_free((xdrproc_t)xdr_replymsg, &msg);
		return not_decoded(e);
	}
	_seterr_reply(&msg, e);
	if (msg.rm_reply.rp_stat == MSG_ACCEPTED && msg.acpted_rply.ar_verf.oa_base)
		xdr_free((xdrproc_t)xdr_opaque_auth, &msg.acpted_rply.ar_verf);
	if (e->re_status == RPC_SUCCESS && xdr && !xdr(xdrs, results))
		return not_decoded(e);
	return e->re_status;
}

enum clnt_stat reply_decode(const unsigned char *data, size_t size, struct bytes *owner,
    xdrproc_t xdr, void *results, struct rpc_err *e)
{
	XDR xdrs;

	errno = 0;
	if (owner)
		xdr_record_create(&xdrs, data, size, owner);
	else
		xdr_record_create_passing(&xdrs, data, size);
	if (is_plain_success(data, size)) {
		xdr_record_skip(&xdrs, SUCCESS_SIZE);
		e->re_status = RPC_SUCCESS;
		return !xdr || xdr(&xdrs, results) ? RPC_SUCCESS : not_decoded(e);
	}
	return decode_any(&xdrs, xdr, results, e);
}
