/* SPDX-License-Identifier: BSD-3-Clause */
/* codec.c - see codec.h. */
#include "tests/golden/codec.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "xdr/stream.h"

/* What stands before the value; which half of it counts is the row's kind. */
struct header {
	struct message_call call;
	uint32_t xid;
	bool refused;
	enum message_refusal why;
	uint32_t low, high;
	unsigned char credential[MESSAGE_AUTH_MAX];
};

static bool is_call(const struct golden *row)
{
	return row->kind == GOLDEN_CALL || row->kind == GOLDEN_CALL_SYS;
}

static bool is_reply(const struct golden *row)
{
	return row->kind == GOLDEN_REPLY || row->kind == GOLDEN_REFUSAL;
}

/* --- Credentials ------------------------------------------------------------------------------- */

static size_t put(unsigned char *to, uint32_t value)
{
	value = htonl(value);
	memcpy(to, &value, 4);
	return 4;
}

static size_t claim_by_hand(unsigned char *body)
{
	const struct golden_claim *c = &golden_claim;
	size_t len = strlen(c->machine), n = put(body, c->stamp);

	n += put(body + n, (uint32_t)len);
	memcpy(body + n, c->machine, len);
	n += (len + 3) & ~(size_t)3;
	n += put(body + n, c->uid);
	n += put(body + n, c->gid);
	n += put(body + n, 1);
	n += put(body + n, c->gid);
	return n;
}

static size_t claim_by_stock(unsigned char *body)
{
	const struct golden_claim *c = &golden_claim;
	gid_t gid = c->gid;
	struct authunix_parms p = { c->stamp, (char *)(uintptr_t)c->machine, c->uid, c->gid, 1,
		&gid };
	XDR xdrs;

	xdrmem_create(&xdrs, (char *)body, MESSAGE_AUTH_MAX, XDR_ENCODE);
	return xdr_authunix_parms(&xdrs, &p) ? xdr_getpos(&xdrs) : 0;
}

/* The engine reads in a claim what was claimed. */
static bool is_golden_claim(const struct message_auth *credential)
{
	struct message_auth_sys s;

	return message_parse_auth_sys(credential, &s) == 0 && s.uid == golden_claim.uid &&
	    s.gid == golden_claim.gid && s.n_groups == 1 && s.groups[0] == golden_claim.gid;
}

/* --- Encoding ---------------------------------------------------------------------------------- */

static bool flatten(const struct gather *g, struct hex *ret)
{
	ret->size = 0;
	if (g->size > HEX_MAX)
		return false;
	for (size_t i = g->first; i < g->end; i++) {
		memcpy(ret->data + ret->size, g->pieces[i].data, g->pieces[i].len);
		ret->size += g->pieces[i].len;
	}
	return true;
}

static bool encode_by_engine(const struct golden *row, const struct header *h, void *value,
    struct hex *ret)
{
	struct gather g;
	XDR xdrs;
	bool good = true;

	gather_init(&g);
	if (is_call(row))
		good = message_put_call(&g, &h->call) == 0;
	else if (is_reply(row) && h->refused)
		good = message_put_refusal(&g, h->xid, h->why, h->low, h->high) == 0;
	else if (is_reply(row))
		good = message_put_success(&g, h->xid) == 0;
	xdr_gather_create(&xdrs, &g);
	if (good && !h->refused)
		good = row->xdr(&xdrs, value);
	good = good && flatten(&g, ret);
	gather_clear(&g);
	return good;
}

static bool_t stock_reply(XDR *xdrs, const struct header *h)
{
	struct rpc_msg m = { .rm_xid = h->xid, .rm_direction = REPLY };

	if (h->refused && h->why >= MESSAGE_RPC_MISMATCH) {
		m.rm_reply.rp_stat = MSG_DENIED;
		if (h->why == MESSAGE_RPC_MISMATCH) {
			m.rjcted_rply.rj_stat = RPC_MISMATCH;
			m.rjcted_rply.rj_vers.low = h->low;
			m.rjcted_rply.rj_vers.high = h->high;
		} else {
			m.rjcted_rply.rj_stat = AUTH_ERROR;
			m.rjcted_rply.rj_why = h->why == MESSAGE_AUTH_BADCRED ? AUTH_BADCRED
			    : h->why == MESSAGE_AUTH_REJECTEDCRED	      ? AUTH_REJECTEDCRED
									      : AUTH_TOOWEAK;
		}
		return xdr_replymsg(xdrs, &m);
	}
	m.rm_reply.rp_stat = MSG_ACCEPTED;
	m.acpted_rply.ar_stat = h->refused ? (enum accept_stat)h->why : SUCCESS;
	if (h->refused) {
		m.acpted_rply.ar_vers.low = h->low;
		m.acpted_rply.ar_vers.high = h->high;
	} else {
		m.acpted_rply.ar_results.proc = (xdrproc_t)(void (*)(void))xdr_void;
	}
	return xdr_replymsg(xdrs, &m);
}

static bool_t stock_call(XDR *xdrs, const struct message_call *c)
{
	struct rpc_msg m = { .rm_xid = c->xid, .rm_direction = CALL };

	m.rm_call.cb_rpcvers = RPC_MSG_VERSION;
	m.rm_call.cb_prog = c->program;
	m.rm_call.cb_vers = c->version;
	m.rm_call.cb_proc = c->procedure;
	m.rm_call.cb_cred.oa_flavor = (enum_t)c->credential.flavor;
	m.rm_call.cb_cred.oa_base = (char *)(uintptr_t)c->credential.body;
	m.rm_call.cb_cred.oa_length = c->credential.len;
	return xdr_callmsg(xdrs, &m);
}

static bool encode_by_stock(const struct golden *row, const struct header *h, void *value,
    struct hex *ret)
{
	bool good = true;
	XDR xdrs;

	xdrmem_create(&xdrs, (char *)ret->data, sizeof(ret->data), XDR_ENCODE);
	if (is_call(row))
		good = stock_call(&xdrs, &h->call);
	else if (is_reply(row))
		good = stock_reply(&xdrs, h);
	if (good && !h->refused)
		good = row->xdr(&xdrs, value);
	ret->size = xdr_getpos(&xdrs);
	return good;
}

static bool encode(enum codec codec, const struct golden *row, const struct header *h, void *value,
    struct hex *ret)
{
	return codec == CODEC_ENGINE ? encode_by_engine(row, h, value, ret)
				     : encode_by_stock(row, h, value, ret);
}

bool codec_encode(enum codec codec, const struct golden_set *set, const struct golden *row,
    struct hex *ret)
{
	struct header h = { .xid = row->xid ? row->xid : GOLDEN_XID,
		.refused = row->kind == GOLDEN_REFUSAL,
		.why = row->refusal,
		.low = 1,
		.high = 1 };

	if (row->refusal == MESSAGE_RPC_MISMATCH)
		h.low = h.high = RPC_MSG_VERSION;
	h.call = (struct message_call){ h.xid, MESSAGE_RPC_VERSION, set->program, GOLDEN_VERSION,
		row->number, { AUTH_NONE, 0, h.credential }, { AUTH_NONE, 0, NULL }, 0 };
	if (row->kind == GOLDEN_CALL_SYS) {
		h.call.credential.flavor = AUTH_SYS;
		h.call.credential.len =
		    (uint32_t)(codec == CODEC_ENGINE ? claim_by_hand(h.credential)
						     : claim_by_stock(h.credential));
		if (!is_golden_claim(&h.call.credential))
			return false;
	}
	return encode(codec, row, &h, (void *)(uintptr_t)row->value, ret);
}

/* --- Decoding ---------------------------------------------------------------------------------- */

static bool get_call_by_stock(XDR *xdrs, struct header *h)
{
	static char verifier[MAX_AUTH_BYTES];
	struct rpc_msg m = { 0 };

	m.rm_call.cb_cred.oa_base = (char *)h->credential;
	m.rm_call.cb_verf.oa_base = verifier;
	if (!xdr_callmsg(xdrs, &m))
		return false;
	h->call = (struct message_call){ .xid = m.rm_xid,
		.rpc_version = m.rm_call.cb_rpcvers,
		.program = m.rm_call.cb_prog,
		.version = m.rm_call.cb_vers,
		.procedure = m.rm_call.cb_proc,
		.credential = { (uint32_t)m.rm_call.cb_cred.oa_flavor, m.rm_call.cb_cred.oa_length,
		    h->credential } };
	return true;
}

static void take_refusal(const struct rpc_msg *m, struct header *h)
{
	const struct rejected_reply *no = &m->rjcted_rply;

	h->refused = true;
	if (m->rm_reply.rp_stat == MSG_ACCEPTED) {
		h->why = (enum message_refusal)m->acpted_rply.ar_stat;
		h->low = (uint32_t)m->acpted_rply.ar_vers.low;
		h->high = (uint32_t)m->acpted_rply.ar_vers.high;
	} else if (no->rj_stat == RPC_MISMATCH) {
		h->why = MESSAGE_RPC_MISMATCH;
		h->low = (uint32_t)no->rj_vers.low;
		h->high = (uint32_t)no->rj_vers.high;
	} else {
		h->why = no->rj_why == AUTH_BADCRED   ? MESSAGE_AUTH_BADCRED
		    : no->rj_why == AUTH_REJECTEDCRED ? MESSAGE_AUTH_REJECTEDCRED
						      : MESSAGE_AUTH_TOOWEAK;
	}
}

/* Also the engine reads headers of replies by this, on its own stream (transport/channel.c). */
static bool get_reply(XDR *xdrs, struct header *h)
{
	static char verifier[MAX_AUTH_BYTES];
	struct rpc_msg m = { 0 };

	m.acpted_rply.ar_verf.oa_base = verifier;
	m.acpted_rply.ar_results.proc = (xdrproc_t)(void (*)(void))xdr_void;
	if (!xdr_replymsg(xdrs, &m) || m.rm_direction != REPLY)
		return false;
	h->xid = m.rm_xid;
	if (m.rm_reply.rp_stat != MSG_ACCEPTED || m.acpted_rply.ar_stat != SUCCESS)
		take_refusal(&m, h);
	return true;
}

static bool decode_by_engine(const struct golden *row, const struct hex *message, struct header *h,
    void *value)
{
	size_t at = 0;
	XDR xdrs;

	if (is_call(row)) {
		if (message_parse_call(message->data, message->size, &h->call))
			return false;
		at = h->call.header_size;
	}
	xdr_record_create(&xdrs, message->data + at, message->size - at, NULL);
	if (is_reply(row) && !get_reply(&xdrs, h))
		return false;
	return (h->refused || row->xdr(&xdrs, value)) && xdr_record_left(&xdrs) == 0;
}

static bool decode_by_stock(const struct golden *row, const struct hex *message, struct header *h,
    void *value)
{
	XDR xdrs;

	xdrmem_create(&xdrs, (char *)(uintptr_t)message->data, (u_int)message->size, XDR_DECODE);
	if (is_call(row) && !get_call_by_stock(&xdrs, h))
		return false;
	if (is_reply(row) && !get_reply(&xdrs, h))
		return false;
	return (h->refused || row->xdr(&xdrs, value)) && xdr_getpos(&xdrs) == message->size;
}

bool codec_again(enum codec codec, const struct golden *row, const struct hex *message,
    struct hex *ret)
{
	struct header h = { 0 };
	void *value = calloc(1, row->size + 1);
	bool good = value &&
	    (codec == CODEC_ENGINE ? decode_by_engine(row, message, &h, value)
				   : decode_by_stock(row, message, &h, value));

	good = good && encode(codec, row, &h, value, ret);
	if (value && row->xdr)
		xdr_free(row->xdr, value);
	free(value);
	return good;
}
