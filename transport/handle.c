/* SPDX-License-Identifier: BSD-3-Clause */
/* handle.c - a standard CLIENT over a channel.  See channel.h. */
#include <stdlib.h>
#include <string.h>

#include "transport/async.h"
#include "transport/channel.h"
#include "transport/client_base.h"
#include "transport/line.h"
#include "util/clock.h"

struct handle {
	struct client_base base; /* first */
	struct channel *channel;
	int64_t deadline; /* of all calls, if own_deadline */
	bool own_deadline;
	struct async *async; /* made with the first asynchronous call */
};

static struct handle *handle_of(const CLIENT *client)
{
	return (struct handle *)client->cl_private;
}

/* --- Calls ------------------------------------------------------------------------------------- */

static enum clnt_stat call_by(struct handle *h, const struct channel_target *target,
    xdrproc_t xdr_args, void *args, xdrproc_t xdr_results, void *results, int64_t timeout)
{
	struct channel_call call;
	int64_t deadline = h->own_deadline ? h->deadline : clock_now() + timeout;
	/* A call without time is sent and not waited for (RFC 5531 section 8.4.1, batching). */
	bool batched = !h->own_deadline && timeout == 0;
	struct line *line = channel_line(h->channel);
	enum clnt_stat stat;
	uint64_t behind;

	if (line && !batched &&
	    line_call(line, target, xdr_args, args, xdr_results, results, deadline, &h->base.error,
		&stat))
		return stat;
	behind = line ? line_behind(line) : 0;
	if (line && batched)
		line_sent_behind(line);
	stat = channel_send(h->channel, &call, target, xdr_args, args,
	    batched ? CLOCK_NEVER : deadline, &h->base.error);
	if (stat != RPC_SUCCESS)
		return stat;
	if (!batched) {
		stat =
		    channel_wait(h->channel, &call, xdr_results, results, deadline, &h->base.error);
		if (line && stat != RPC_TIMEDOUT && stat != RPC_CANTRECV)
			line_caught_up(line, behind);
		return stat;
	}
	channel_forget(h->channel, &call);
	return xdr_results ? RPC_TIMEDOUT : RPC_SUCCESS;
}

static enum clnt_stat handle_call(CLIENT *client, rpcproc_t procedure, xdrproc_t xdr_args,
    void *args, xdrproc_t xdr_results, void *results, struct timeval timeout)
{
	struct handle *h = handle_of(client);
	struct client_credential credential;
	struct channel_target target;

	memset(&h->base.error, 0, sizeof(h->base.error));
	if (!channel_client_target(client, procedure, &target, &credential)) {
		h->base.error.re_status = RPC_CANTENCODEARGS;
		return h->base.error.re_status;
	}
	h->base.error.re_status = call_by(h, &target, xdr_args, args, xdr_results, results,
	    client_base_timeout(&h->base, &timeout));
	return h->base.error.re_status;
}

/* --- The rest of the table --------------------------------------------------------------------- */

static void handle_destroy(CLIENT *client)
{
	struct handle *h = handle_of(client);

	async_free(h->async);
	channel_unref(h->channel);
	free(h);
}

static bool_t handle_control(CLIENT *client, u_int request, void *info)
{
	struct handle *h = handle_of(client);

	if (request != CLGET_FD) /* CLSET_FD_...: the channel closes it, with its last handle */
		return client_base_control(&h->base, request, info);
	*(int *)info = channel_fd(h->channel);
	return TRUE;
}

/* libtirpc declares the table's type inside CLIENT and does not change it. */
static struct clnt_ops *ops(void)
{
	static struct clnt_ops table = {
		.cl_call = handle_call,
		.cl_abort = client_abort,
		.cl_geterr = client_geterr,
		.cl_freeres = client_freeres,
		.cl_destroy = handle_destroy,
		.cl_control = handle_control,
	};

	return &table;
}

CLIENT *channel_client(struct channel *c, uint32_t program, uint32_t version)
{
	struct handle *h = calloc(1, sizeof(*h));

	if (!h || !client_base_init(&h->base, ops(), program, version)) {
		free(h);
		return NULL;
	}
	h->channel = channel_ref(c);
	return &h->base.client;
}

void channel_client_deadline(CLIENT *client, int64_t deadline)
{
	struct handle *h = handle_of(client);

	h->deadline = deadline;
	h->own_deadline = true;
}

struct channel *channel_client_channel(const CLIENT *client)
{
	return client->cl_ops == ops() ? handle_of(client)->channel : NULL;
}

bool channel_client_target(const CLIENT *client, uint32_t procedure, struct channel_target *ret,
    struct client_credential *c)
{
	const struct handle *h = handle_of(client);
	int own = client_base_credential(&h->base, c);

	*ret = (struct channel_target){ h->base.program, h->base.version, procedure,
		own ? &c->auth : NULL };
	return own >= 0;
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
