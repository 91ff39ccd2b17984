/* SPDX-License-Identifier: BSD-3-Clause */
/* client_base.c - see client_base.h. */
#include "transport/client_base.h"

#include <errno.h>

#include "util/clock.h"

bool client_base_init(struct client_base *b, struct clnt_ops *ops, uint32_t program,
    uint32_t version)
{
	const AUTH *none = authnone_create(); /* allocates, the first time */

	if (!none)
		return false;
	/* An object of its own, so that the library's sole AUTH_NONE can take its place. */
	b->own_auth = *none;
	b->client.cl_auth = &b->own_auth;
	b->client.cl_ops = ops;
	b->client.cl_private = b;
	b->program = program;
	b->version = version;
	return true;
}

int client_base_credential(const struct client_base *b, struct client_credential *ret)
{
	AUTH *auth = b->client.cl_auth;
	XDR xdrs;
	bool ok;

	if (auth == &b->own_auth)
		return 0;
	xdrmem_create(&xdrs, ret->memory, sizeof(ret->memory), XDR_ENCODE);
	ok = AUTH_MARSHALL(auth, &xdrs);
	xdr_destroy(&xdrs);
	if (!ok ||
	    message_parse_auth((unsigned char *)ret->memory, sizeof(ret->memory), &ret->auth))
		return -EINVAL;
	return 1;
}

/* --- Times ------------------------------------------------------------------------------------- */

int64_t client_time_ns(const struct timeval *t)
{
	int64_t s = t->tv_sec < CLIENT_TIMEOUT_MAX_S ? t->tv_sec : CLIENT_TIMEOUT_MAX_S;

	return s * NS_PER_S + t->tv_usec * INT64_C(1000);
}

bool client_is_time(const struct timeval *t)
{
	return t->tv_sec >= 0 && t->tv_usec >= 0 && t->tv_usec <= 1000000;
}

void client_tell_time(int64_t ns, struct timeval *ret)
{
	ret->tv_sec = (time_t)(ns / NS_PER_S);
	ret->tv_usec = (suseconds_t)(ns % NS_PER_S / 1000);
}

int64_t client_base_timeout(const struct client_base *b, const struct timeval *time)
{
	return b->own_timeout ? b->timeout : client_time_ns(time);
}

/* --- The table --------------------------------------------------------------------------------- */

bool_t client_base_control(struct client_base *b, u_int request, void *info)
{
	switch (request) {
	case CLSET_TIMEOUT:
		if (!client_is_time(info))
			return FALSE;
		b->timeout = client_time_ns(info);
		b->own_timeout = true;
		return TRUE;
	case CLGET_TIMEOUT:
		client_tell_time(b->timeout, info);
		return b->own_timeout;
	case CLGET_VERS:
		*(rpcvers_t *)info = b->version;
		return TRUE;
	case CLSET_VERS:
		b->version = (uint32_t) * (const rpcvers_t *)info;
		return TRUE;
	case CLGET_PROG:
		*(rpcprog_t *)info = b->program;
		return TRUE;
	case CLSET_PROG:
		b->program = (uint32_t) * (const rpcprog_t *)info;
		return TRUE;
	default:
		return FALSE;
	}
}

void client_abort(CLIENT *client)
{
	(void)client;
}

void client_geterr(CLIENT *client, struct rpc_err *ret)
{
	*ret = ((const struct client_base *)client->cl_private)->error;
}

bool_t client_freeres(CLIENT *client, xdrproc_t xdr, void *results)
{
	(void)client;
	xdr_free(xdr, results);
	return TRUE;
}
