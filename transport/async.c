/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * async.c - see async.h.
 *
 * A call is in `under_way`, ordered by deadline, until whoever reads its reply moves it to `ended`, or it expires, or
 * the channel dies; its function runs from async_process alone, so never inside another function of ours.  Both
 * lists are guarded by the channel's lock, because any thread may be the one that reads.
 */
#include "transport/async.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/list.h"

#define CALLS_KEPT 64
#define COLLECT_BYTES 65536 /* what is begun beyond leaves at once */

struct async {
	struct channel *channel;
	struct list under_way, ended, completing, unused;
	unsigned n_unused;
	struct gather_pool pool;
	struct gather out; /* begun, and not sent; all owned */
	bool unsent;	   /* the connection did not take all */
	atomic_bool processing;

	int epoll_fd; /* -1 until somebody asks */
	int timer_fd, event_fd;
	int64_t armed;	   /* what the timer is set for */
	uint32_t watching; /* what the socket is watched for */
};

struct async_call {
	struct channel_call call; /* first */
	struct async *async;
	struct list link;
	int64_t deadline;
	struct rpc_err error;
	bool completing; /* done runs */
	async_done_fn *done;
	void *context;
};

/* --- Life -------------------------------------------------------------------------------------- */

struct async *async_new(struct channel *channel)
{
	struct async *a = calloc(1, sizeof(*a));

	if (!a)
		return NULL;
	a->channel = channel;
	a->epoll_fd = a->timer_fd = a->event_fd = -1;
	list_init(&a->under_way);
	list_init(&a->ended);
	list_init(&a->completing);
	list_init(&a->unused);
	gather_init(&a->out);
	gather_use_pool(&a->out, &a->pool);
	return a;
}

static struct async_call *first(struct list *list)
{
	return LIST_ENTRY(list->next, struct async_call, link);
}

static void call_free(struct async_call *call)
{
	struct async *a = call->async;

	if (a->n_unused == CALLS_KEPT) {
		free(call);
		return;
	}
	a->n_unused++;
	list_append(&a->unused, &call->link);
}

static struct async_call *call_new(struct async *a)
{
	struct async_call *call;

	if (list_is_empty(&a->unused)) {
		call = malloc(sizeof(*call));
	} else {
		call = first(&a->unused);
		list_remove(&call->link);
		a->n_unused--;
	}
	if (!call)
		return NULL;
	memset(call, 0, sizeof(*call));
	call->async = a;
	list_init(&call->link);
	return call;
}

uint32_t async_xid(const struct async_call *call)
{
	return call->call.xid;
}

void async_cancel(struct async_call *call)
{
	struct async *a = call->async;

	if (call->completing)
		return;
	channel_lock(a->channel);
	channel_leave(a->channel, &call->call);
	list_remove(&call->link);
	channel_unlock(a->channel);
	call_free(call);
}

/* Any thread may be moving calls from the one list to the other. */
static struct async_call *first_of_all(struct async *a)
{
	struct async_call *call = NULL;

	channel_lock(a->channel);
	if (!list_is_empty(&a->under_way))
		call = first(&a->under_way);
	else if (!list_is_empty(&a->ended))
		call = first(&a->ended);
	channel_unlock(a->channel);
	return call;
}

static void close_all(struct async *a)
{
	if (a->epoll_fd >= 0)
		close(a->epoll_fd);
	if (a->timer_fd >= 0)
		close(a->timer_fd);
	channel_lock(a->channel);
	if (a->event_fd >= 0)
		close(a->event_fd);
	a->epoll_fd = a->timer_fd = a->event_fd = -1;
	channel_unlock(a->channel);
}

void async_free(struct async *a)
{
	struct async_call *call;

	if (!a)
		return;
	while ((call = first_of_all(a)))
		async_cancel(call);
	while (!list_is_empty(&a->unused)) {
		call = first(&a->unused);
		list_remove(&call->link);
		free(call);
	}
	close_all(a);
	gather_clear(&a->out);
	gather_pool_clear(&a->pool);
	free(a);
}

/* What has not left is ours afterwards: whoever passed arguments may change them. */
static void flush(struct async *a)
{
	a->unsent = channel_flush(a->channel, &a->out) == -EAGAIN;
	if (gather_own(&a->out))
		channel_abort(a->channel);
}

/* --- The descriptor ---------------------------------------------------------------------------- */

static int watch(struct async *a, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	return fd < 0 || epoll_ctl(a->epoll_fd, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

/* Makes the descriptor tell of what is to come: room to send, and the next deadline. */
static void arm(struct async *a)
{
	uint32_t wanted = EPOLLIN | (a->unsent ? EPOLLOUT : 0u);
	struct epoll_event e = { .events = wanted, .data.fd = channel_fd(a->channel) };
	int64_t next = CLOCK_NEVER;

	if (a->epoll_fd < 0)
		return;
	channel_lock(a->channel);
	if (!list_is_empty(&a->under_way))
		next = first(&a->under_way)->deadline;
	channel_unlock(a->channel);
	if (a->watching && wanted != a->watching &&
	    !epoll_ctl(a->epoll_fd, EPOLL_CTL_MOD, e.data.fd, &e))
		a->watching = wanted;
	if (next != a->armed) {
		struct itimerspec at = { .it_value = { 0 } };

		if (next != CLOCK_NEVER)
			at.it_value = clock_timespec(next);
		timerfd_settime(a->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
		a->armed = next;
	}
}

int async_fd(struct async *a)
{
	int r, event_fd;

	if (a->epoll_fd >= 0)
		return a->epoll_fd;
	a->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	a->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	channel_lock(a->channel); /* on_reply may be looking */
	a->event_fd = event_fd;
	channel_unlock(a->channel);
	a->armed = CLOCK_NEVER;
	a->watching = EPOLLIN;
	r = a->epoll_fd < 0 ? -errno : watch(a, channel_fd(a->channel));
	if (!r)
		r = watch(a, a->timer_fd);
	if (!r)
		r = watch(a, a->event_fd);
	if (r) {
		close_all(a);
		return r;
	}
	arm(a);
	return a->epoll_fd;
}

/* --- Calls ------------------------------------------------------------------------------------- */

/* Makes the descriptor readable; with the channel's lock held. */
static void announce(struct async *a)
{
	uint64_t one = 1;

	if (a->event_fd >= 0)
		(void)!write(a->event_fd, &one, sizeof(one));
}

/* By whoever reads the channel, with its lock held. */
static void on_reply(struct channel_call *c)
{
	struct async_call *call = (struct async_call *)(void *)c;
	struct async *a = call->async;

	list_remove(&call->link);
	list_append(&a->ended, &call->link);
	if (!atomic_load_explicit(&a->processing, memory_order_relaxed))
		announce(a);
}

/* With the channel's lock held; later deadlines are the rule, so the search begins at the end. */
static void put_in_order(struct async *a, struct async_call *call)
{
	struct list *after = a->under_way.prev;

	while (after != &a->under_way &&
	    LIST_ENTRY(after, struct async_call, link)->deadline > call->deadline)
		after = after->prev;
	list_append(after->next, &call->link);
}

int async_begin(struct async *a, const struct async_request *q, struct async_call **ret)
{
	struct async_call *call = call_new(a);
	bool alone;
	int r;

	if (!call)
		return -ENOMEM;
	call->deadline = q->deadline;
	call->done = q->done;
	call->context = q->context;
	call->call.xdr = q->xdr_results;
	call->call.results = q->results;
	call->call.error = &call->error;
	call->call.fn = on_reply;
	channel_lock(a->channel);
	r = channel_enter(a->channel, &call->call);
	alone = list_is_empty(&a->under_way);
	if (!r)
		put_in_order(a, call);
	channel_unlock(a->channel);
	if (r) {
		call_free(call);
		return r;
	}
	if (!channel_encode(a->channel, call->call.xid, &q->target, q->xdr_args, q->args,
		&a->out)) {
		async_cancel(call);
		return -EINVAL;
	}
	if (ret)
		*ret = call;
	/* Others leave together, when async_process comes; what is long need not be copied if it leaves at once. */
	if ((alone && !a->processing) || a->out.n_borrowed || a->out.size >= COLLECT_BYTES)
		flush(a);
	else
		a->unsent = true;
	if (!a->processing)
		arm(a);
	return 0;
}

/* --- Completing -------------------------------------------------------------------------------- */

/* Ends the calls whose time is over; all of them if the channel is dead. */
static void expire(struct async *a, int error)
{
	channel_lock(a->channel);
	while (!list_is_empty(&a->under_way)) {
		struct async_call *call = first(&a->under_way);

		if (!error && call->deadline > clock_now())
			break;
		channel_leave(a->channel, &call->call);
		list_remove(&call->link);
		list_append(&a->ended, &call->link);
		call->call.stat = error ? RPC_CANTRECV : RPC_TIMEDOUT;
		call->error.re_status = call->call.stat;
		call->error.re_errno = error;
	}
	channel_unlock(a->channel);
}

/* Runs the functions of those that ended; calls that these end are theirs to run too. */
static int complete(struct async *a)
{
	int n = 0;

	channel_lock(a->channel);
	while (!list_is_empty(&a->ended)) {
		list_take_all(&a->completing, &a->ended);
		channel_unlock(a->channel);
		/* The list is this thread's alone; functions may cancel others of it. */
		for (; !list_is_empty(&a->completing); n++) {
			struct async_call *call = first(&a->completing);

			list_remove(&call->link);
			call->error.re_status = call->call.stat;
			call->completing = true;
			if (call->done)
				call->done(call->context, call->call.stat, &call->error);
			call_free(call);
		}
		channel_lock(a->channel);
	}
	channel_unlock(a->channel);
	return n;
}

/* The earlier of `until` and the first deadline; 0 when no call is under way. */
static int64_t next_deadline(struct async *a, int64_t until)
{
	channel_lock(a->channel);
	if (list_is_empty(&a->under_way))
		until = 0;
	else if (first(&a->under_way)->deadline < until)
		until = first(&a->under_way)->deadline;
	channel_unlock(a->channel);
	return until;
}

/* One look at the connection, waiting until then at most. */
static void look(struct async *a, int64_t until)
{
	int r = channel_read(a->channel, until, a->unsent);

	if (r && r != -ETIMEDOUT && r != -EAGAIN) {
		/* There is nothing more to come. */
		if (a->epoll_fd >= 0 && a->watching)
			epoll_ctl(a->epoll_fd, EPOLL_CTL_DEL, channel_fd(a->channel), NULL);
		a->watching = 0;
		expire(a, -r);
	}
}

int async_process(struct async *a, int64_t deadline)
{
	uint64_t count;
	int n;

	if (a->processing)
		return 0;
	atomic_store_explicit(&a->processing, true, memory_order_relaxed);
	if (a->event_fd >= 0)
		(void)!read(a->event_fd, &count, sizeof(count));
	flush(a);
	expire(a, 0);
	n = complete(a);
	while (!n) {
		int64_t until = next_deadline(a, deadline);

		if (!until) {
			/* What comes now is late; left where it is, it would keep the descriptor readable. */
			look(a, clock_now());
			n = complete(a); /* another thread's reading may have ended the last one */
			break;
		}
		look(a, until);
		expire(a, 0);
		n = complete(a);
		flush(a);
		if (clock_now() >= deadline)
			break;
	}
	/* What another thread's reading has ended since, on_reply did not announce. */
	channel_lock(a->channel);
	atomic_store_explicit(&a->processing, false, memory_order_relaxed);
	if (!list_is_empty(&a->ended))
		announce(a);
	channel_unlock(a->channel);
	flush(a);
	arm(a);
	return n;
}
