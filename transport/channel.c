/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * channel.c - see channel.h.
 *
 * Locks: `lock` guards calls, reading, dead; it is never held across a system call that may wait.
 * `send_lock` is held while one call's record is written, so that records do not mix; it may wait for the
 * socket and is taken before `lock`, never after; it guards `rest`.  The reader and the scratch belong to whoever set
 * `reading`.
 */
#include "transport/channel.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "transport/call_table.h"
#include "transport/line.h"
#include "transport/message.h"
#include "transport/record.h"
#include "transport/reply.h"
#include "transport/socket.h"
#include "transport/spin.h"
#include "util/clock.h"
#include "xdr/stream.h"

#define SCRATCH_SIZE 65536
#define LOOK_AGAIN_MS 20
#define REPLY_MAX (16u << 20) /* other people's servers answer with more than ours do */
#define SMALL_CALL 960	      /* a call of so many bytes is encoded on the stack */
#define SLEEP_SLICE_S 1	      /* a receive that waits gives up after that; see receive_until */

struct channel {
	_Atomic unsigned refs;
	int fd;
	unsigned char credential[MESSAGE_AUTH_MAX];
	uint32_t flavor, credential_len;

	pthread_mutex_t send_lock;
	_Atomic bool is_full; /* whoever has send_lock waits for the socket; for a look */
	struct gather rest;   /* of records that left in part and that nobody waits for */
	pthread_mutex_t lock;
	pthread_cond_t
	    changed; /* a reply was handed out, the role of the reader is free, or we are dead */
	struct call_table calls;
	bool reading;
	_Atomic int dead; /* errno of the stream's end; 0 while it lives; changed under lock */

	struct record_reader reader;
	struct channel_parcels *parcels; /* of the call under way that has some; under lock */
	_Atomic bool has_parcels;	 /* the same, for a look */
	_Atomic bool expects_parcels;	 /* such calls come while others wait */
	struct bulk bulk;
	unsigned char *scratch; /* made at the first receive */
	struct spin spin;
	size_t reply_max;
	struct line *line; /* NULL: none was offered */
};

/* --- Life -------------------------------------------------------------------------------------- */

int channel_new(int fd, bool auth_sys, struct channel **ret)
{
	struct channel *c = calloc(1, sizeof(*c));
	pthread_condattr_t monotonic;
	const struct timeval slice = { SLEEP_SLICE_S, 0 };

	if (!c)
		return -ENOMEM;
	atomic_init(&c->refs, 1);
	c->fd = fd;
	/* Receives sleep in the kernel, but not for ever; whatever must not wait says so. */
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof(slice));
	bulk_init(&c->bulk, fd);
	if (auth_sys) {
		c->flavor = AUTH_SYS;
		c->credential_len = (uint32_t)message_make_auth_sys(c->credential);
	}
	pthread_mutex_init(&c->send_lock, NULL);
	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&c->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	/* A forged or late reply must not meet a call by counting from the same start. */
	call_table_init(&c->calls);
	channel_limit_reply(c, REPLY_MAX);
	gather_init(&c->rest);
	*ret = c;
	return 0;
}

void channel_limit_reply(struct channel *c, size_t bytes)
{
	record_reader_init(&c->reader, bytes);
	c->reply_max = bytes;
}

void channel_expect_descriptors(struct channel *c)
{
	atomic_store_explicit(&c->expects_parcels, c->bulk.is_local, memory_order_relaxed);
}

size_t channel_reply_max(const struct channel *c)
{
	return c->reply_max;
}

void channel_offer_line(struct channel *c, const struct channel_target *attach, uint64_t quota,
    unsigned after)
{
	c->line = line_new(c, attach, quota, after);
}

struct line *channel_line(const struct channel *c)
{
	return c->line;
}

void channel_make_anonymous(struct channel *c)
{
	c->flavor = AUTH_NONE;
	c->credential_len = 0;
}

struct channel *channel_ref(struct channel *c)
{
	atomic_fetch_add_explicit(&c->refs, 1, memory_order_relaxed);
	return c;
}

struct channel *channel_unref(struct channel *c)
{
	if (!c || atomic_fetch_sub_explicit(&c->refs, 1, memory_order_acq_rel) != 1)
		return NULL;
	c->line = line_free(c->line);
	assert(!c->calls.n);
	close(c->fd);
	gather_clear(&c->rest);
	record_reader_clear(&c->reader);
	free(c->scratch);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	pthread_mutex_destroy(&c->send_lock);
	free(c);
	return NULL;
}

int channel_fail(struct channel *c, int error)
{
	pthread_mutex_lock(&c->lock);
	if (!c->dead)
		c->dead = error;
	error = c->dead;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	shutdown(c->fd, SHUT_RDWR); /* wakes whoever sleeps on the socket */
	if (c->line)
		line_abort(c->line);
	return error;
}

void channel_abort(struct channel *c)
{
	channel_fail(c, ECANCELED);
}

bool channel_is_alive(struct channel *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN | POLLRDHUP };
	bool alive, idle;
	char byte;

	pthread_mutex_lock(&c->lock);
	alive = !c->dead;
	idle = !c->reading && !c->calls.n;
	pthread_mutex_unlock(&c->lock);
	if (!alive || !idle)
		return alive;
	if (poll(&p, 1, 0) <= 0)
		return true;
	if (p.revents & (POLLERR | POLLHUP | POLLRDHUP | POLLNVAL))
		return false;
	return recv(c->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* --- The table of calls; all under lock ------------------------------------------------------- */

static void set_parcels(struct channel *c, struct channel_parcels *p)
{
	c->parcels = p;
	atomic_store_explicit(&c->has_parcels, p != NULL, memory_order_release);
}

static void unlink_call(struct channel *c, struct channel_call *call)
{
	if (call->parcels && c->parcels == call->parcels)
		set_parcels(c, NULL);
	call_table_remove(&c->calls, call);
}

bool channel_is_quiet(const struct channel *c)
{
	return !atomic_load_explicit(&c->calls.n, memory_order_relaxed) &&
	    !atomic_load_explicit(&c->dead, memory_order_relaxed);
}

void channel_leave(struct channel *c, struct channel_call *call)
{
	unlink_call(c, call);
}

int channel_enter(struct channel *c, struct channel_call *call)
{
	if (c->dead)
		return -c->dead;
	call_table_enter(&c->calls, call);
	return 0;
}

void channel_forget(struct channel *c, struct channel_call *call)
{
	pthread_mutex_lock(&c->lock);
	unlink_call(c, call);
	pthread_mutex_unlock(&c->lock);
	call->reply = bytes_unref(call->reply);
}

/* --- Receiving; by whoever set `reading` ------------------------------------------------------ */

/* Keeps a reply for somebody who has not said yet what to decode it into; without memory that one is told so. */
static void keep_reply(struct channel_call *call, const unsigned char *data, size_t size,
    struct bytes *owner)
{
	call->done = true;
	call->stat = RPC_CANTDECODERES;
	call->reply = owner ? bytes_ref(owner) : bytes_new(size);
	if (call->reply && !owner) {
		memcpy(call->reply->data, data, size);
		call->reply->size = (uint32_t)size;
	}
}

static void take_reply(void *context, const unsigned char *data, size_t size, struct bytes *owner)
{
	struct channel *c = context;
	struct channel_call *call;
	uint32_t xid;

	if (size < sizeof(xid))
		return;
	memcpy(&xid, data, sizeof(xid));
	pthread_mutex_lock(&c->lock);
	call = call_table_find(&c->calls, ntohl(xid));
	if (call && !call->done && !call->xdr) {
		keep_reply(call, data, size, owner);
	} else if (call && !call->done) {
		call->stat = reply_decode(data, size, owner, call->xdr, call->results, call->error);
		call->done = true;
		if (call->fn) {
			unlink_call(c, call);
			call->fn(call);
		}
	}
	pthread_mutex_unlock(&c->lock);
}

static void expect_bulk(struct channel *c, size_t missed)
{
	size_t missing = record_reader_missing(&c->reader);

	bulk_expect(&c->bulk, c->fd, missing, missed >= BULK_MIN && missing < BULK_MIN);
}

/* How a receive goes while a call with descriptors is under way. */
struct receive_mode {
	bool parcels; /* some are waited for */
	bool exact;   /* nothing beyond the record at hand */
};

static struct receive_mode receive_mode(struct channel *c)
{
	struct receive_mode mode = {
		atomic_load_explicit(&c->expects_parcels, memory_order_relaxed), false
	};

	if (!atomic_load_explicit(&c->has_parcels, memory_order_acquire))
		return mode;
	pthread_mutex_lock(&c->lock);
	mode.parcels |= c->parcels && c->bulk.is_local;
	mode.exact = c->parcels && c->parcels->last;
	pthread_mutex_unlock(&c->lock);
	return mode;
}

/* As recvmsg, with descriptors for whoever waits for some; who has gone in the meantime gets none. */
static ssize_t receive_parcels(struct channel *c, struct iovec *iov, size_t n_iov, int flags)
{
	struct descriptors fresh = { .n = 0 };
	ssize_t n = descriptors_receive(&fresh, c->fd, iov, n_iov, flags, NULL);

	pthread_mutex_lock(&c->lock);
	if (c->parcels && descriptors_add(&c->parcels->taken, &fresh))
		n = -EPROTO;
	pthread_mutex_unlock(&c->lock);
	descriptors_close(&fresh);
	if (n < 0)
		errno = (int)-n;
	return n < 0 ? -1 : n;
}

/* Into the record at hand as far as it goes, the rest into the scratch. */
static ssize_t receive_bytes(struct channel *c, unsigned char *room, size_t direct, int flags)
{
	struct receive_mode mode = receive_mode(c);
	struct iovec iov[2] = { { room, direct }, { c->scratch, SCRATCH_SIZE } };
	struct iovec *first = direct ? iov : iov + 1;
	size_t n_iov = direct ? direct >= SCRATCH_SIZE ? 1 : 2 : 1;
	struct msghdr msg = { .msg_iov = first, .msg_iovlen = n_iov };

	if (mode.exact) {
		size_t wanted = record_reader_wanted(&c->reader);

		msg.msg_iovlen = n_iov = 1;
		if (first->iov_len > wanted)
			first->iov_len = wanted;
	}
	if (mode.parcels)
		return receive_parcels(c, first, n_iov, flags);
	if (n_iov == 1)
		return recv(c->fd, first->iov_base, first->iov_len, flags);
	return recvmsg(c->fd, &msg, flags);
}

/* Takes in what is there: 1, or 0 when that is nothing; -errno: the stream is at its end or beyond repair. */
static int receive_with(struct channel *c, int flags)
{
	unsigned char *room = NULL;
	size_t missed, direct;
	ssize_t n;
	int r;

	if (!c->scratch)
		c->scratch = malloc(SCRATCH_SIZE);
	if (!c->scratch)
		return -ENOMEM;
	missed = record_reader_missing(&c->reader);
	direct = record_reader_room(&c->reader, &room);
	n = receive_bytes(c, room, direct, flags);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (n == 0)
		return -ECONNRESET;
	if ((size_t)n <= direct) {
		record_reader_filled(&c->reader, (size_t)n, take_reply, c);
		expect_bulk(c, missed);
		return 1;
	}
	if (direct)
		record_reader_filled(&c->reader, direct, take_reply, c);
	r = record_reader_feed(&c->reader, c->scratch, (size_t)n - direct, take_reply, c);
	expect_bulk(c, missed);
	return r ? r : 1;
}

static int receive(struct channel *c)
{
	return receive_with(c, MSG_DONTWAIT);
}

static bool take_role(struct channel *c)
{
	bool mine;

	pthread_mutex_lock(&c->lock);
	mine = !c->reading && !c->dead;
	if (mine)
		c->reading = true;
	pthread_mutex_unlock(&c->lock);
	return mine;
}

static void give_role(struct channel *c)
{
	pthread_mutex_lock(&c->lock);
	c->reading = false;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
}

/* --- Sending ----------------------------------------------------------------------------------- */

/* The socket is full: waits until it is not, taking replies in if nobody else does. */
static int wait_to_send(struct channel *c, int64_t deadline)
{
	bool mine = take_role(c);
	struct pollfd p = { .fd = c->fd, .events = (short)(POLLOUT | (mine ? POLLIN : 0)) };
	/* The reader may leave while we wait; then the role is ours to take. */
	int64_t look_again = mine ? deadline : clock_deadline_ms(LOOK_AGAIN_MS);
	int r;

	atomic_store_explicit(&c->is_full, true, memory_order_relaxed);
	r = poll(&p, 1, clock_poll_ms(look_again < deadline ? look_again : deadline));
	if (r < 0)
		r = errno == EINTR ? 0 : -errno;
	else if (r == 0)
		r = clock_now() >= deadline ? -ETIMEDOUT : 0;
	else
		r = 0;
	if (mine) {
		if (!r && p.revents & POLLIN) {
			r = receive(c);
			r = r > 0 ? 0 : r;
		}
		give_role(c);
	}
	return r;
}

/* Sends what goes of a record, and the descriptors with its first byte. */
static ssize_t send_record(struct channel *c, struct gather *out, const struct channel_parcels *p,
    bool begun)
{
	if (!p || begun)
		return gather_send(out, c->fd);
	return gather_send_with(out, c->fd, SIZE_MAX, p->give, p->n_give);
}

/* Writes a record; a part of one that stays unwritten kills the channel. */
static int write_record(struct channel *c, struct gather *out, const struct channel_parcels *p,
    int64_t deadline, bool *ret_sent)
{
	struct timespec until = clock_timespec(deadline);
	int r = 0;

	if (deadline == CLOCK_NEVER)
		pthread_mutex_lock(&c->send_lock);
	else if (pthread_mutex_clocklock(&c->send_lock, CLOCK_MONOTONIC, &until))
		return -ETIMEDOUT;
	while (out->size && !r) {
		bool own = !c->rest.size;
		ssize_t n = own ? send_record(c, out, p, *ret_sent) : gather_send(&c->rest, c->fd);

		if (n > 0)
			*ret_sent |= own;
		else if (n == -EAGAIN)
			r = wait_to_send(c, deadline);
		else
			r = (int)n;
	}
	atomic_store_explicit(&c->is_full, false, memory_order_relaxed);
	if (r && (*ret_sent || r != -ETIMEDOUT))
		channel_fail(c, -r);
	pthread_mutex_unlock(&c->send_lock);
	return r;
}

/* send_lock for somebody who does not wait: whoever has it lets go of it at once, unless the socket is full. */
static bool lock_to_flush(struct channel *c)
{
	struct timespec soon;

	if (!pthread_mutex_trylock(&c->send_lock))
		return true;
	if (atomic_load_explicit(&c->is_full, memory_order_relaxed))
		return false;
	soon = clock_timespec(clock_deadline_ms(LOOK_AGAIN_MS));
	return !pthread_mutex_clocklock(&c->send_lock, CLOCK_MONOTONIC, &soon);
}

int channel_flush(struct channel *c, struct gather *out)
{
	ssize_t n = 0;

	if (!lock_to_flush(c))
		return -EAGAIN;
	if (c->rest.size)
		n = gather_send(&c->rest, c->fd);
	if (!c->rest.size && out->size) {
		n = gather_send(out, c->fd);
		/* Others may send before we come back: what is left goes before theirs. */
		if (n >= 0 && out->size)
			n = gather_own(out) ? -ENOMEM : gather_append(&c->rest, out);
	}
	if (n >= 0)
		n = c->rest.size ? -EAGAIN : 0;
	if (n != 0 && n != -EAGAIN)
		channel_fail(c, (int)-n);
	pthread_mutex_unlock(&c->send_lock);
	return (int)n;
}

static struct message_call header_of(const struct channel *c, uint32_t xid,
    const struct channel_target *t)
{
	return (struct message_call){
		.xid = xid,
		.program = t->program,
		.version = t->version,
		.procedure = t->procedure,
		.credential = t->credential
		    ? *t->credential
		    : (struct message_auth){ c->flavor, c->credential_len, c->credential },
	};
}

size_t channel_encode_at(struct channel *c, uint32_t xid, const struct channel_target *t,
    xdrproc_t xdr, void *args, unsigned char *at, size_t room)
{
	const struct message_call header = header_of(c, xid, t);
	size_t size = message_call_size(&header);
	XDR xdrs;

	if (size > room)
		return 0;
	message_write_call(at, &header);
	xdrmem_create(&xdrs, (char *)at + size, (u_int)(room - size), XDR_ENCODE);
	return xdr(&xdrs, args) ? size + XDR_GETPOS(&xdrs) : 0;
}

bool channel_encode(struct channel *c, uint32_t xid, const struct channel_target *t, xdrproc_t xdr,
    void *args, struct gather *out)
{
	const struct message_call header = header_of(c, xid, t);
	struct gather_mark before;
	unsigned char *mark;
	size_t start;
	XDR xdrs;

	gather_mark(out, &before);
	mark = message_begin_record(out);
	start = out->size;
	if (mark && !message_put_call(out, &header)) {
		xdr_gather_create(&xdrs, out);
		if (xdr(&xdrs, args)) {
			message_end_record(mark, out->size - start);
			return true;
		}
	}
	gather_rewind(out, &before);
	return false;
}

enum clnt_stat channel_send(struct channel *c, struct channel_call *call,
    const struct channel_target *target, xdrproc_t xdr, void *args, int64_t deadline,
    struct rpc_err *ret_error)
{
	return channel_send_with(c, call, NULL, target, xdr, args, deadline, ret_error);
}

enum clnt_stat channel_send_with(struct channel *c, struct channel_call *call,
    struct channel_parcels *parcels, const struct channel_target *target, xdrproc_t xdr, void *args,
    int64_t deadline, struct rpc_err *ret_error)
{
	BYTES_ON_STACK(block, SMALL_CALL);
	struct gather out;
	int r;

	memset(call, 0, sizeof(*call));
	gather_init(&out);
	gather_lend(&out, block);
	pthread_mutex_lock(&c->lock);
	r = channel_enter(c, call);
	call->parcels = parcels;
	if (!r && parcels)
		set_parcels(c, parcels);
	pthread_mutex_unlock(&c->lock);
	if (r) {
		ret_error->re_errno = -r;
		return RPC_CANTSEND;
	}
	if (!channel_encode(c, call->xid, target, xdr, args, &out)) {
		gather_clear(&out);
		channel_forget(c, call);
		return RPC_CANTENCODEARGS;
	}
	r = write_record(c, &out, parcels, deadline, &call->sent);
	gather_clear(&out);
	if (!r)
		return RPC_SUCCESS;
	channel_forget(c, call);
	ret_error->re_errno = -r;
	return r == -ETIMEDOUT ? RPC_TIMEDOUT : RPC_CANTSEND;
}

/* --- Waiting ----------------------------------------------------------------------------------- */

static int wait_for_turn(struct channel *c, int64_t deadline)
{
	struct timespec until = clock_timespec(deadline);

	if (deadline == CLOCK_NEVER)
		return pthread_cond_wait(&c->changed, &c->lock);
	return pthread_cond_timedwait(&c->changed, &c->lock, &until);
}

/* As receive, asleep until something comes or the deadline has; -ETIMEDOUT. */
static int receive_asleep(struct channel *c, int64_t deadline)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	int r;

	/* One call into the system instead of two; it gives up after SLEEP_SLICE_S. */
	if (deadline == CLOCK_NEVER || deadline - clock_now() > SLEEP_SLICE_S * NS_PER_S)
		return receive_with(c, 0);
	r = poll(&p, 1, clock_poll_ms(deadline));
	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	if (r == 0)
		return clock_now() >= deadline ? -ETIMEDOUT : 0;
	return receive(c);
}

/* Receives what is there, or comes within a spin, or before the deadline; as receive, or -ETIMEDOUT. */
static int receive_until(struct channel *c, int64_t deadline)
{
	/* Bulk comes when it comes: to sleep until more of it is there costs less. */
	bool bulk = record_reader_is_inside(&c->reader);
	struct spin_run spin = { 0 };
	int64_t slept_from;
	int r = 0;

	if (!bulk)
		spin_begin(&c->spin, &spin);

	while (!r && spin_again(&spin, deadline))
		r = receive(c);
	if (r) {
		spin_hit(&c->spin, &spin);
		return r;
	}
	if (!bulk)
		spin_missed(&c->spin, &spin);
	slept_from = clock_now();
	r = receive_asleep(c, deadline);
	if (r > 0)
		spin_slept(&c->spin, slept_from);
	return r;
}

/* One turn in the role of the reader; called with lock held, returns with it held. */
static int read_once(struct channel *c, int64_t deadline)
{
	int r;

	c->reading = true;
	pthread_mutex_unlock(&c->lock);
	r = receive_until(c, deadline);
	pthread_mutex_lock(&c->lock);
	c->reading = false;
	if (r < 0 && r != -ETIMEDOUT && !c->dead)
		c->dead = -r;
	pthread_cond_broadcast(&c->changed);
	return r == -ETIMEDOUT ? r : 0;
}

/* 0: it is done; -ETIMEDOUT; or the channel is dead.  With lock held, but for while it waits. */
static int await(struct channel *c, const struct channel_call *call, int64_t deadline)
{
	int r = 0;

	while (!call->done && !c->dead && !r) {
		if (!c->reading)
			r = read_once(c, deadline);
		else if (wait_for_turn(c, deadline) == ETIMEDOUT)
			r = -ETIMEDOUT;
	}
	return call->done ? 0 : c->dead ? -c->dead : r;
}

bool channel_await(struct channel *c, struct channel_call *call, int64_t deadline)
{
	int r;

	pthread_mutex_lock(&c->lock);
	r = await(c, call, deadline);
	pthread_mutex_unlock(&c->lock);
	return r != -ETIMEDOUT;
}

enum clnt_stat channel_wait(struct channel *c, struct channel_call *call, xdrproc_t xdr,
    void *results, int64_t deadline, struct rpc_err *ret_error)
{
	enum clnt_stat stat;
	bool early;
	int r;

	pthread_mutex_lock(&c->lock);
	early = call->done;
	if (!early) {
		call->xdr = xdr;
		call->results = results;
		call->error = ret_error;
	}
	r = await(c, call, deadline);
	unlink_call(c, call);
	pthread_mutex_unlock(&c->lock);
	if (r == -ETIMEDOUT)
		return RPC_TIMEDOUT;
	if (r) {
		ret_error->re_errno = -r;
		return RPC_CANTRECV;
	}
	if (!call->reply) {
		if (early)
			ret_error->re_errno = ENOMEM;
		return call->stat;
	}
	stat = reply_decode(call->reply->data, call->reply->size, call->reply, xdr, results,
	    ret_error);
	call->reply = bytes_unref(call->reply);
	return stat;
}

/* --- For calls that nobody waits for ----------------------------------------------------------- */

/* Waits until the socket can be read, or written; 0, -ETIMEDOUT, -errno. */
static int wait_for_either(struct channel *c, int64_t deadline)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN | POLLOUT };
	int r = poll(&p, 1, clock_poll_ms(deadline));

	if (r < 0)
		return errno == EINTR ? 0 : -errno;
	return r == 0 && clock_now() >= deadline ? -ETIMEDOUT : 0;
}

int channel_read(struct channel *c, int64_t deadline, bool full)
{
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (c->dead) {
		r = -c->dead;
	} else if (c->reading) {
		r = wait_for_turn(c, deadline) == ETIMEDOUT ? -EAGAIN : 0;
	} else {
		c->reading = true;
		pthread_mutex_unlock(&c->lock);
		if (full)
			r = wait_for_either(c, deadline);
		if (!r)
			r = full ? receive(c) : receive_until(c, deadline);
		pthread_mutex_lock(&c->lock);
		c->reading = false;
		if (r < 0 && r != -ETIMEDOUT && !c->dead)
			c->dead = -r;
		pthread_cond_broadcast(&c->changed);
	}
	pthread_mutex_unlock(&c->lock);
	return r > 0 ? 0 : r;
}

void channel_lock(struct channel *c)
{
	pthread_mutex_lock(&c->lock);
}

void channel_unlock(struct channel *c)
{
	pthread_mutex_unlock(&c->lock);
}

int channel_fd(const struct channel *c)
{
	return c->fd;
}

int channel_take_socket(struct channel *c)
{
	const struct timeval none = { 0, 0 };
	int one = 1, fd = fcntl(c->fd, F_DUPFD_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &none, sizeof(none));
	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
	pthread_mutex_lock(&c->lock);
	if (!c->dead)
		c->dead = ECANCELED;
	pthread_mutex_unlock(&c->lock);
	return fd;
}
