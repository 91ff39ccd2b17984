/* SPDX-License-Identifier: BSD-3-Clause */
/* handle.c - a standard CLIENT over a channel.  See channel.h. */
#include <stdlib.h>
#include <string.h>

#include "transport/async.h"
#include "transport/channel.h"
#include "transport/message.h"
#include "util/clock.h"

#define TIMEOUT_MAX_S 100000000 /* as good as for ever */

struct handle {
	CLIENT client;
	struct channel *channel;
	struct channel_target target;
	AUTH
	    own_auth; /* what cl_auth is unless somebody replaced it: the channel's credential is sent */
	int64_t deadline; /* of all calls, if own_deadline */
	int64_t timeout;  /* of each call, if own_timeout; ns */
	bool own_deadline, own_timeout, sent;
	struct rpc_err error;
	struct async *async; /* made with the first asynchronous call */
};

static struct handle *handle_of(const CLIENT *client)
{
	return (struct handle *)client->cl_private;
}

/* --- Calls ------------------------------------------------------------------------------------- */

static int64_t nanoseconds(const struct timeval *t)
{
	int64_t s = t->tv_sec < TIMEOUT_MAX_S ? t->tv_sec : TIMEOUT_MAX_S;

	return s * NS_PER_S + t->tv_usec * INT64_C(1000);
}

/* The credential of an AUTH that the program made itself; body points into memory. */
static bool marshal(AUTH *auth, char *memory, u_int size, struct message_auth *ret)
{
	XDR xdrs;
	bool ok;

	xdrmem_create(&xdrs, memory, size, XDR_ENCODE);
	ok = AUTH_MARSHALL(auth, &xdrs);
	xdr_destroy(&xdrs);
	return ok && message_parse_auth((unsigned char *)memory, size, ret) == 0;
}

static enum clnt_stat call_by(struct handle *h, const struct channel_target *target,
    xdrproc_t xdr_args, void *args, xdrproc_t xdr_results, void *results, int64_t timeout)
{
	struct channel_call call;
	int64_t deadline = h->own_deadline ? h->deadline : clock_now() + timeout;
	/* A call without time is sent and not waited for (RFC 5531 section 8.4.1, batching). */
	bool batched = !h->own_deadline && timeout == 0;
	enum clnt_stat stat;

	stat = channel_send(h->channel, &call, target, xdr_args, args,
	    batched ? CLOCK_NEVER : deadline, &h->error);
	h->sent = call.sent;
	if (stat != RPC_SUCCESS)
		return stat;
	if (!batched)
		return channel_wait(h->channel, &call, xdr_results, results, deadline, &h->error);
	channel_forget(h->channel, &call);
	return xdr_results ? RPC_TIMEDOUT : RPC_SUCCESS;
}

static enum clnt_stat handle_call(CLIENT *client, rpcproc_t procedure, xdrproc_t xdr_args,
    void *args, xdrproc_t xdr_results, void *results, struct timeval timeout)
{
	struct handle *h = handle_of(client);
	struct channel_credential credential;
	struct channel_target target;

	memset(&h->error, 0, sizeof(h->error));
	if (!channel_client_target(client, procedure, &target, &credential)) {
		h->error.re_status = RPC_CANTENCODEARGS;
		return h->error.re_status;
	}
	h->error.re_status = call_by(h, &target, xdr_args, args, xdr_results, results,
	    h->own_timeout ? h->timeout : nanoseconds(&timeout));
	return h->error.re_status;
}

/* --- The rest of the table --------------------------------------------------------------------- */

static void handle_abort(CLIENT *client)
{
	(void)client;
}

static void handle_geterr(CLIENT *client, struct rpc_err *ret)
{
	*ret = handle_of(client)->error;
}

static bool_t handle_freeres(CLIENT *client, xdrproc_t xdr, void *results)
{
	(void)client;
	xdr_free(xdr, results);
	return TRUE;
}

static void handle_destroy(CLIENT *client)
{
	struct handle *h = handle_of(client);

	async_free(h->async);
	channel_unref(h->channel);
	free(h);
}

static bool_t set_timeout(struct handle *h, const struct timeval *t)
{
	if (t->tv_sec < 0 || t->tv_usec < 0 || t->tv_usec > 1000000)
		return FALSE;
	h->timeout = nanoseconds(t);
	h->own_timeout = true;
	return TRUE;
}

static bool_t handle_control(CLIENT *client, u_int request, void *info)
{
	struct handle *h = handle_of(client);

	switch (request) {
	case CLSET_TIMEOUT:
		return set_timeout(h, info);
	case CLGET_TIMEOUT:
		((struct timeval *)info)->tv_sec = (time_t)(h->timeout / NS_PER_S);
		((struct timeval *)info)->tv_usec = (suseconds_t)(h->timeout % NS_PER_S / 1000);
		return h->own_timeout;
	case CLGET_VERS:
		*(rpcvers_t *)info = h->target.version;
		return TRUE;
	case CLSET_VERS:
		h->target.version = *(const rpcvers_t *)info;
		return TRUE;
	case CLGET_PROG:
		*(rpcprog_t *)info = h->target.program;
		return TRUE;
	case CLSET_PROG:
		h->target.program = *(const rpcprog_t *)info;
		return TRUE;
	case CLGET_FD:
		*(int *)info = channel_fd(h->channel);
		return TRUE;
	case CLSET_FD_NCLOSE: /* the channel closes it, with its last handle */
	default:
		return FALSE;
	}
}

/* libtirpc declares the table's type inside CLIENT and does not change it. */
static struct clnt_ops *ops(void)
{
	static struct clnt_ops table = {
		.cl_call = handle_call,
		.cl_abort = handle_abort,
		.cl_geterr = handle_geterr,
		.cl_freeres = handle_freeres,
		.cl_destroy = handle_destroy,
		.cl_control = handle_control,
	};

	return &table;
}

CLIENT *channel_client(struct channel *c, uint32_t program, uint32_t version)
{
	const AUTH *none = authnone_create(); /* allocates, the first time */
	struct handle *h = none ? calloc(1, sizeof(*h)) : NULL;

	if (!h)
		return NULL;
	h->channel = channel_ref(c);
	h->target.program = program;
	h->target.version = version;
	h->client.cl_ops = ops();
	h->client.cl_private = h;
	/* An object of its own, so that the library's sole AUTH_NONE can take its place. */
	h->own_auth = *none;
	h->client.cl_auth = &h->own_auth;
	return &h->client;
}

void channel_client_deadline(CLIENT *client, int64_t deadline)
{
	struct handle *h = handle_of(client);

	h->deadline = deadline;
	h->own_deadline = true;
}

bool channel_client_sent(const CLIENT *client)
{
	return handle_of(client)->sent;
}

struct channel *channel_client_channel(const CLIENT *client)
{
	return client->cl_ops == ops() ? handle_of(client)->channel : NULL;
}

bool channel_client_target(const CLIENT *client, uint32_t procedure, struct channel_target *ret,
    struct channel_credential *c)
{
	const struct handle *h = handle_of(client);

	*ret = h->target;
	ret->procedure = procedure;
	if (client->cl_auth == &h->own_auth)
		return true;
	ret->credential = &c->auth;
	return marshal(client->cl_auth, c->memory, sizeof(c->memory), &c->auth);
}

struct async *channel_client_async(CLIENT *client)
{
	struct handle *h = handle_of(client);

	if (client->cl_ops != ops())
		return NULL;
	if (!h->async)
		h->async = async_new(h->channel);
	return h->async;
}
