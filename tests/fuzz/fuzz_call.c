/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_call.c - the header of a call and its credential: what is accepted lies inside the message, and comes
 * out the same after it was written and read again.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#include "transport/message.h"

static void claim_inside(const struct message_auth *auth, const unsigned char *data, size_t size)
{
	CLAIM(auth->len <= MESSAGE_AUTH_MAX);
	CLAIM(auth->body >= data && auth->body + auth->len <= data + size);
}

/* 0 or -EBADMSG, read from a block of the credential's own size. */
static int parse_sys(const struct message_auth *auth, struct message_auth_sys *ret)
{
	struct message_auth own = *auth;
	int r;

	own.body = copy_of(auth->body, auth->len);
	memset(ret, 0, sizeof(*ret));
	r = message_parse_auth_sys(&own, ret);
	free((void *)(uintptr_t)own.body);
	CLAIM(r == 0 || r == -EBADMSG);
	if (!r)
		CLAIM(ret->n_groups <= MESSAGE_GROUPS_MAX);
	return r;
}

static void claim_same_claim(const struct message_auth *a, const struct message_auth *b)
{
	struct message_auth_sys x, y;
	int r = parse_sys(a, &x);

	CLAIM(parse_sys(b, &y) == r);
	if (r)
		return;
	CLAIM(x.uid == y.uid && x.gid == y.gid && x.n_groups == y.n_groups);
	CLAIM(memcmp(x.groups, y.groups, x.n_groups * sizeof(x.groups[0])) == 0);
}

static void claim_survives_writing(const struct message_call *call)
{
	struct message_call again;
	unsigned char *flat;
	struct gather out;

	gather_init(&out);
	CLAIM(message_put_call(&out, call) == 0);
	flat = flatten(&out);
	CLAIM(message_parse_call(flat, out.size, &again) == 0);
	CLAIM(again.header_size == out.size);
	CLAIM(again.xid == call->xid && again.rpc_version == call->rpc_version);
	CLAIM(again.program == call->program && again.version == call->version);
	CLAIM(again.procedure == call->procedure);
	CLAIM(again.credential.flavor == call->credential.flavor);
	CLAIM(again.credential.len == call->credential.len);
	CLAIM(memcmp(again.credential.body, call->credential.body, call->credential.len) == 0);
	CLAIM(again.verifier.flavor == AUTH_NONE && again.verifier.len == 0);
	claim_same_claim(&call->credential, &again.credential);
	/* Without its last byte it is not a header any more. */
	CLAIM(message_parse_call(flat, out.size - 1, &again) == -EBADMSG);
	free(flat);
	gather_clear(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unsigned char *message = copy_of(data, size);
	struct message_call call;
	int r = message_parse_call(message, size, &call);

	if (r == 0) {
		CLAIM(call.header_size <= size && call.header_size % 4 == 0);
		claim_inside(&call.credential, message, call.header_size);
		claim_inside(&call.verifier, message, call.header_size);
		claim_survives_writing(&call);
	} else {
		CLAIM(r == -EBADMSG || r == -EPROTO || r == -EPROTONOSUPPORT);
	}
	free(message);
	return 0;
}
