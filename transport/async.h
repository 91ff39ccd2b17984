/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * async.h - calls that nobody waits for: begun now, completed by a function later.
 *
 * An async is one thread's; other threads may use its channel meanwhile.  What is begun leaves at once where
 * nothing else is under way, else together with others, with the next async_process or when they are many.
 */
#ifndef TRANSPORT_ASYNC_H
#define TRANSPORT_ASYNC_H

#include "transport/channel.h"

struct async;
struct async_call;

typedef void async_done_fn(void *context, enum clnt_stat stat, const struct rpc_err *error);

/* Over a channel that outlives it; NULL without memory. */
struct async *async_new(struct channel *channel);
/* Gives its calls up; NULL is fine. */
void async_free(struct async *async);

struct async_request {
	struct channel_target target;
	xdrproc_t xdr_args, xdr_results;
	void *args, *results;
	int64_t deadline;
	async_done_fn *done;
	void *context;
};

/* 0; -EINVAL: args cannot be encoded; -ENOMEM; another -errno: the channel is dead. */
int async_begin(struct async *async, const struct async_request *request,
    struct async_call **ret_call);

/* The xid that it left with, or is going to. */
uint32_t async_xid(const struct async_call *call);

/* The call ends without done. */
void async_cancel(struct async_call *call);

/* A descriptor that is readable when async_process has something to do; -errno. */
int async_fd(struct async *async);

/* Runs done for each call that ended, waiting for the first until the deadline; returns their number. */
int async_process(struct async *async, int64_t deadline);

#endif
