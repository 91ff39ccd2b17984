/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * client_base.h - what standard CLIENT handles have in common, whatever they call over: who calls, how long, what
 * went wrong last.
 */
#ifndef TRANSPORT_CLIENT_BASE_H
#define TRANSPORT_CLIENT_BASE_H

#include <rpc/rpc.h>
#include <stdbool.h>
#include <stdint.h>

#include "transport/message.h"

#define CLIENT_TIMEOUT_MAX_S 100000000 /* as good as for ever */

/* The first member of a handle, to which cl_private points. */
struct client_base {
	CLIENT client;
	AUTH
	    own_auth; /* what cl_auth is unless somebody replaced it: the handle's own credential is sent */
	uint32_t program, version;
	int64_t timeout; /* of each call, if own_timeout; ns */
	bool own_timeout;
	struct rpc_err error;
};

/* base is all zero.  False: no memory. */
bool client_base_init(struct client_base *base, struct clnt_ops *ops, uint32_t program,
    uint32_t version);

/* A credential that the program made itself; auth.body points into memory. */
struct client_credential {
	struct message_auth auth;
	char memory[2 * (MESSAGE_AUTH_MAX + 8)];
};

/* Whether somebody replaced cl_auth, and then what it makes.  1, 0, or -EINVAL: it makes none. */
int client_base_credential(const struct client_base *base, struct client_credential *ret);

/* A time as clnt_call and clnt_control take it, in ns; and whether it is one. */
int64_t client_time_ns(const struct timeval *time);
bool client_is_time(const struct timeval *time);
void client_tell_time(int64_t ns, struct timeval *ret);

/* How long a call may take that was given `time`, in ns. */
int64_t client_base_timeout(const struct client_base *base, const struct timeval *time);

/* CLSET_TIMEOUT, CLGET_TIMEOUT, CLSET_VERS, CLGET_VERS, CLSET_PROG, CLGET_PROG; FALSE for others. */
bool_t client_base_control(struct client_base *base, u_int request, void *info);

/* For clnt_ops. */
void client_abort(CLIENT *client);
void client_geterr(CLIENT *client, struct rpc_err *ret_error);
bool_t client_freeres(CLIENT *client, xdrproc_t xdr, void *results);

#endif
