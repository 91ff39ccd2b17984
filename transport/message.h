/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * message.h - the RPC message (RFC 5531 section 9): call and reply headers, decoded and encoded by hand,
 * because every call passes here.
 */
#ifndef TRANSPORT_MESSAGE_H
#define TRANSPORT_MESSAGE_H

#include <rpc/rpc.h>
#include <stddef.h>
#include <stdint.h>

#include "util/gather.h"

#define MESSAGE_RPC_VERSION 2
#define MESSAGE_AUTH_MAX 400 /* bytes in the body of a credential or verifier */
#define MESSAGE_GROUPS_MAX 16

/* A credential or a verifier; body points into the message. */
struct message_auth {
	uint32_t flavor;
	uint32_t len;
	const unsigned char *body;
};

struct message_call {
	uint32_t xid, rpc_version, program, version, procedure;
	struct message_auth credential, verifier;
	size_t header_size; /* of a parsed call: the arguments begin here */
};

/*
 * Reads the header of a call.  0; -EBADMSG: too short, an authenticator over its limit, or neither call nor
 * reply; -EPROTO: a reply; -EPROTONOSUPPORT: another RPC version (xid is set).
 */
int message_parse_call(const unsigned char *data, size_t size, struct message_call *ret_call);

/* Reads one authenticator, as it begins a credential or verifier.  0 or -EBADMSG. */
int message_parse_auth(const unsigned char *data, size_t size, struct message_auth *ret_auth);

/* The body of an AUTH_SYS credential (RFC 5531 appendix A), as claimed by the caller. */
struct message_auth_sys {
	uint32_t stamp, machine_len;
	const unsigned char *machine; /* at most 255 bytes, in the credential */
	uint32_t uid, gid, n_groups;
	uint32_t groups[MESSAGE_GROUPS_MAX];
};

/* 0 or -EBADMSG; the whole body must be used up. */
int message_parse_auth_sys(const struct message_auth *credential, struct message_auth_sys *ret_sys);

/*
 * Writes the body of an AUTH_SYS credential for this process: its uid, gid and at most 16 groups.  Returns
 * its length.
 */
size_t message_make_auth_sys(unsigned char body[MESSAGE_AUTH_MAX]);

/* Appends the header of a call, to be followed by the arguments; its verifier is AUTH_NONE.  0 or -ENOMEM. */
int message_put_call(struct gather *out, const struct message_call *call);

/* The same into memory of so many bytes. */
size_t message_call_size(const struct message_call *call);
void message_write_call(unsigned char *at, const struct message_call *call);

/* What ends a call other than its results: accept_stat, or a denial. */
enum message_refusal {
	MESSAGE_PROG_UNAVAIL = PROG_UNAVAIL,
	MESSAGE_PROG_MISMATCH = PROG_MISMATCH,
	MESSAGE_PROC_UNAVAIL = PROC_UNAVAIL,
	MESSAGE_GARBAGE_ARGS = GARBAGE_ARGS,
	MESSAGE_SYSTEM_ERR = SYSTEM_ERR,
	MESSAGE_RPC_MISMATCH = 100,
	MESSAGE_AUTH_BADCRED,
	MESSAGE_AUTH_REJECTEDCRED,
	MESSAGE_AUTH_TOOWEAK,
};

/* Appends the header of a successful reply, to be followed by the results.  0 or -ENOMEM. */
int message_put_success(struct gather *out, uint32_t xid);

/* The same behind a record mark, which is returned for message_end_record; NULL without memory. */
unsigned char *message_begin_success(struct gather *out, uint32_t xid);
#define MESSAGE_SUCCESS_SIZE 24 /* bytes of that header */
void message_write_success(unsigned char at[MESSAGE_SUCCESS_SIZE], uint32_t xid);

/* Appends a whole reply that refuses; low and high only matter with PROG_MISMATCH. */
int message_put_refusal(struct gather *out, uint32_t xid, enum message_refusal why, uint32_t low,
    uint32_t high);

/* Room for a record mark at the end of out, to be filled in by message_end_record once all is there. */
#define MESSAGE_MARK_SIZE 4
unsigned char *message_begin_record(struct gather *out);
void message_end_record(unsigned char *mark, size_t record_size);

#endif
