/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * line.c - see line.h.
 *
 * `lock` is held by the one call under way, from before it is sent until it has ended; who finds it taken goes by the
 * connection.  It is taken before the channel's locks.
 */
#include "transport/line.h"

#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transport/reply.h"
#include "util/clock.h"

#define PIECES_MAX 16
#define SMALL_CALL 960	/* a call of so many bytes is encoded on the stack */
#define REPLY_ROOM 4096 /* a reply of so many bytes is decoded on the stack */

enum state {
	COUNTING, /* calls, until it is worth while */
	ASKED,
	OPEN,
	NONE
};

struct line {
	struct channel *channel;
	struct channel_target attach;
	uint64_t quota;
	_Atomic int state;
	_Atomic unsigned to_go; /* calls until the other side is asked */

	/* What asks. */
	struct channel_call call;
	struct channel_parcels parcels;
	struct rpc_err error;

	struct conduit *conduit; /* from ASKED on; NULL again with NONE */
	pthread_mutex_t lock;
	/*
	 * The channel's table has it for many calls, one after the other: an answer may come by the connection, and only
	 * then, or when a call was given up, a new one is made.
	 */
	struct channel_call own;
	bool is_entered;
	bool is_long; /* the last call did not fit LINE_IN_PLACE */
	bool is_late; /* the answer to `late` has not come yet, and nobody waits for it */
	uint32_t late;
	_Atomic uint64_t calls;
	_Atomic uint64_t sent, settled; /* line_sent_behind; line_caught_up */
};

/* --- Records ----------------------------------------------------------------------------------- */

/* The rest of a message whose beginning is in the room. */
static int receive_rest(struct conduit *c, const unsigned char *room, size_t had,
    struct line_record *ret)
{
	uint64_t total, rest;
	struct bytes *block;
	size_t n;
	bool more;
	int r = conduit_peek(c, NULL, 0, &n, &total, &rest);

	if (r)
		return r;
	if (rest > CONDUIT_MESSAGE_MAX)
		return CONDUIT_BROKEN;
	block = bytes_new(had + (size_t)rest);
	if (!block)
		return -ENOMEM;
	memcpy(block->data, room, had);
	r = conduit_read_message(c, block->data + had, (size_t)rest, 0, &n, &more);
	if (!r && (more || n != rest))
		r = CONDUIT_BROKEN;
	if (r) {
		bytes_unref(block);
		return r;
	}
	block->size = (uint32_t)(had + n);
	*ret = (struct line_record){ block->data, had + n, block };
	return 0;
}

int line_receive(struct conduit *c, unsigned char *room, size_t room_size, int64_t deadline,
    struct line_record *ret)
{
	bool more;
	size_t n;
	int r = conduit_read_message(c, room, room_size, deadline, &n, &more);

	if (r)
		return r;
	if (more)
		return receive_rest(c, room, n, ret);
	*ret = (struct line_record){ room, n, NULL };
	return 0;
}

int line_send(struct conduit *c, const struct gather *g, size_t skip, int64_t deadline)
{
	struct iovec pieces[PIECES_MAX];
	size_t n = 0;

	if (g->size - skip > CONDUIT_MESSAGE_MAX || g->end - g->first > PIECES_MAX)
		return -EMSGSIZE;
	for (size_t i = g->first; i < g->end; i++, n++) {
		pieces[n].iov_base = (void *)(uintptr_t)(g->pieces[i].data + skip);
		pieces[n].iov_len = g->pieces[i].len - skip;
		skip = 0;
	}
	return conduit_send(c, pieces, n, deadline);
}

/* --- Asking ------------------------------------------------------------------------------------ */

struct line *line_new(struct channel *channel, const struct channel_target *attach, uint64_t quota,
    unsigned after)
{
	struct line *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	l->channel = channel;
	l->attach = *attach;
	l->quota = quota;
	atomic_init(&l->state, COUNTING);
	atomic_init(&l->to_go, after);
	pthread_mutex_init(&l->lock, NULL);
	return l;
}

/* The next call is another one to the channel. */
static void leave(struct line *l)
{
	if (l->is_entered)
		channel_forget(l->channel, &l->own);
	l->is_entered = false;
}

struct line *line_free(struct line *l)
{
	if (!l)
		return NULL;
	if (atomic_load(&l->state) == ASKED)
		channel_forget(l->channel, &l->call);
	leave(l);
	descriptors_close(&l->parcels.taken);
	conduit_close(l->conduit);
	pthread_mutex_destroy(&l->lock);
	free(l);
	return NULL;
}

/* With the channel's lock held. */
static void answered(struct line *l, enum clnt_stat stat)
{
	descriptors_close(&l->parcels.taken);
	if (stat != RPC_SUCCESS)
		l->conduit = conduit_close(l->conduit);
	atomic_store_explicit(&l->state, stat == RPC_SUCCESS ? OPEN : NONE, memory_order_release);
}

static void on_answer(struct channel_call *call)
{
	struct line *l = (struct line *)(void *)((char *)call - offsetof(struct line, call));

	answered(l, call->stat);
}

/* What answers from now on is on_answer's, unless another thread has read it already. */
static void expect_answer(struct line *l)
{
	const xdrproc_t nothing = (xdrproc_t)(void (*)(void))xdr_void;
	struct bytes *reply;

	channel_lock(l->channel);
	if (l->call.done) {
		channel_leave(l->channel, &l->call);
		reply = l->call.reply;
		answered(l,
		    reply ? reply_decode(reply->data, reply->size, reply, nothing, NULL, &l->error)
			  : RPC_CANTDECODERES);
		bytes_unref(reply);
	} else {
		l->call.xdr = nothing;
		l->call.results = NULL;
		l->call.error = &l->error;
		l->call.fn = on_answer;
	}
	channel_unlock(l->channel);
}

static void ask(struct line *l, int64_t deadline)
{
	int memory, sockets[2], fds[2];

	if (conduit_create(RING_MESSAGES, l->quota, &memory, sockets)) {
		atomic_store(&l->state, NONE);
		return;
	}
	fds[0] = dup(memory);
	fds[1] = sockets[1];
	l->parcels.give = fds;
	l->parcels.n_give = 2;
	if (fds[0] < 0 ||
	    conduit_open(memory, sockets[0], CONDUIT_FIRST, RING_MESSAGES, l->quota, &l->conduit)) {
		close(memory);
		close(sockets[0]);
		l->conduit = NULL;
		atomic_store(&l->state, NONE);
	} else if (channel_send_with(l->channel, &l->call, &l->parcels, &l->attach,
		       (xdrproc_t)(void (*)(void))xdr_void, NULL, deadline,
		       &l->error) != RPC_SUCCESS) {
		l->conduit = conduit_close(l->conduit);
		atomic_store(&l->state, NONE);
	} else {
		expect_answer(l);
	}
	if (fds[0] >= 0)
		close(fds[0]);
	close(fds[1]);
}

/* Counts a call that finds no line. */
static void count(struct line *l, int64_t deadline)
{
	int counting = COUNTING;

	if (atomic_load_explicit(&l->to_go, memory_order_relaxed) &&
	    atomic_fetch_sub_explicit(&l->to_go, 1, memory_order_relaxed) > 1)
		return;
	if (atomic_compare_exchange_strong(&l->state, &counting, ASKED))
		ask(l, deadline);
}

/* --- Calls ------------------------------------------------------------------------------------- */

/* A conduit's result as the errno of a connection. */
static int errno_of(int r)
{
	if (r < 0)
		return -r;
	switch (r) {
	case CONDUIT_BROKEN:
		return EPROTO;
	case CONDUIT_CANCELLED:
		return ECANCELED;
	default:
		return ECONNRESET;
	}
}

static bool is_answer(const struct line_record *record, uint32_t to)
{
	uint32_t xid;

	if (record->size < sizeof(xid))
		return false;
	memcpy(&xid, record->data, sizeof(xid));
	return ntohl(xid) == to;
}

/* Whether the line is in step again: the answer that came late has been taken out. */
static bool has_caught_up(struct line *l)
{
	unsigned char room[REPLY_ROOM];
	struct line_record record;

	if (!l->is_late || line_receive(l->conduit, room, sizeof(room), 0, &record))
		return !l->is_late;
	l->is_late = false;
	if (!is_answer(&record, l->late))
		channel_fail(l->channel, EPROTO);
	bytes_unref(record.owner);
	return true;
}

/* Waits for the answer to a call that has left. */
static enum clnt_stat await(struct line *l, xdrproc_t xdr, void *results, int64_t deadline,
    struct rpc_err *ret_error)
{
	unsigned char room[REPLY_ROOM];
	struct line_record record = { .owner = NULL };
	enum clnt_stat stat;
	int r;

	r = line_receive(l->conduit, room, sizeof(room), deadline, &record);
	if (!r && record.size > channel_reply_max(l->channel))
		r = -EMSGSIZE;
	else if (!r && !is_answer(&record, l->own.xid)) /* nothing else is under way */
		r = -EPROTO;
	else if (!r && record.size == LINE_NOTICE_BYTES) {
		l->is_entered = false;
		return channel_wait(l->channel, &l->own, xdr, results, deadline, ret_error);
	}
	if (r == CONDUIT_TIMEDOUT) {
		l->is_late = true;
		l->late = l->own.xid;
		leave(l);
		return RPC_TIMEDOUT;
	}
	if (r) {
		bytes_unref(record.owner);
		ret_error->re_errno = channel_fail(l->channel, errno_of(r));
		return RPC_CANTRECV;
	}
	stat = reply_decode(record.data, record.size, record.owner, xdr, results, ret_error);
	bytes_unref(record.owner);
	return stat;
}

static bool enter(struct line *l)
{
	if (l->is_entered)
		return true;
	l->own = (struct channel_call){ .stands = true };
	channel_lock(l->channel);
	l->is_entered = !channel_enter(l->channel, &l->own);
	channel_unlock(l->channel);
	return l->is_entered;
}

/* Whether a call of this thread has nothing beside it, nor before it. */
static bool is_alone(const struct line *l)
{
	return channel_is_quiet(l->channel) &&
	    atomic_load_explicit(&l->sent, memory_order_relaxed) ==
	    atomic_load_explicit(&l->settled, memory_order_relaxed);
}

/* As put; -EMSGSIZE: it does not fit, or cannot be encoded. */
static int put_in_place(struct line *l, const struct channel_target *target, xdrproc_t xdr,
    void *args, int64_t deadline)
{
	size_t size;
	void *room;
	int r = conduit_reserve(l->conduit, LINE_IN_PLACE, deadline, &room, &size);

	if (r)
		return r;
	size = channel_encode_at(l->channel, l->own.xid, target, xdr, args, room, size);
	if (!size)
		return -EMSGSIZE;
	return conduit_commit(l->conduit, size);
}

/* Sends it: 0, a conduit_result, or -errno: it is for the connection to send it, or to say why not. */
static int put(struct line *l, const struct channel_target *target, xdrproc_t xdr, void *args,
    int64_t deadline)
{
	BYTES_ON_STACK(block, SMALL_CALL);
	struct gather out;
	int r = -EINVAL;

	if (!l->is_long) {
		r = put_in_place(l, target, xdr, args, deadline);
		if (r != -EMSGSIZE)
			return r;
		r = -EINVAL;
	}
	gather_init(&out);
	gather_lend(&out, block);
	if (channel_encode(l->channel, l->own.xid, target, xdr, args, &out)) {
		l->is_long = out.size - MESSAGE_MARK_SIZE > LINE_IN_PLACE;
		r = line_send(l->conduit, &out, MESSAGE_MARK_SIZE, deadline);
	}
	gather_clear(&out);
	return r;
}

bool line_call(struct line *l, const struct channel_target *target, xdrproc_t xdr_args, void *args,
    xdrproc_t xdr_results, void *results, int64_t deadline, struct rpc_err *ret_error,
    enum clnt_stat *ret_stat)
{
	int state = atomic_load_explicit(&l->state, memory_order_acquire);
	int r = -EBUSY;

	if (state == COUNTING)
		count(l, deadline);
	if (state != OPEN || pthread_mutex_trylock(&l->lock))
		return false;
	if (has_caught_up(l) && is_alone(l) && enter(l))
		r = put(l, target, xdr_args, args, deadline);
	if (!r) {
		atomic_fetch_add_explicit(&l->calls, 1, memory_order_relaxed);
		*ret_stat = await(l, xdr_results, results, deadline, ret_error);
	} else if (r == CONDUIT_TIMEDOUT) {
		*ret_stat = RPC_TIMEDOUT;
	} else if (r > 0) {
		ret_error->re_errno = channel_fail(l->channel, errno_of(r));
		*ret_stat = RPC_CANTSEND;
	}
	pthread_mutex_unlock(&l->lock);
	return r >= 0;
}

/* --- Beside it --------------------------------------------------------------------------------- */

void line_abort(struct line *l)
{
	if (atomic_load_explicit(&l->state, memory_order_acquire) == OPEN)
		conduit_abort(l->conduit);
}

void line_sent_behind(struct line *l)
{
	atomic_fetch_add_explicit(&l->sent, 1, memory_order_relaxed);
}

uint64_t line_behind(struct line *l)
{
	return atomic_load_explicit(&l->sent, memory_order_relaxed);
}

void line_caught_up(struct line *l, uint64_t behind)
{
	uint64_t settled = atomic_load_explicit(&l->settled, memory_order_relaxed);

	while (settled < behind &&
	    !atomic_compare_exchange_weak_explicit(&l->settled, &settled, behind,
		memory_order_relaxed, memory_order_relaxed))
		;
}

bool line_is_open(struct line *l)
{
	return atomic_load_explicit(&l->state, memory_order_acquire) == OPEN;
}

uint64_t line_calls(struct line *l)
{
	return atomic_load_explicit(&l->calls, memory_order_relaxed);
}
