/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frames_out.c - frames that go out.
 *
 * Whoever waits to send takes in what comes meanwhile.  A frame that has left in part is completed before anything else
 * leaves: what an operation could not wait for is kept in `rest`, and counts as sent.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/frames_state.h"
#include "util/clock.h"

#define HEADS_ON_STACK 64
#define LOOK_AGAIN_MS 20
#define TELL_PART 4 /* of the quota */

static void put_word(unsigned char *p, uint32_t w)
{
	p[0] = (unsigned char)(w >> 24);
	p[1] = (unsigned char)(w >> 16);
	p[2] = (unsigned char)(w >> 8);
	p[3] = (unsigned char)w;
}

/* --- The socket; with send_lock held ----------------------------------------------------------- */

/* What an operation comes to that had begun to send. */
static int cut_off(const struct frames *f)
{
	return f->peer == PEER_CLOSED	   ? IPC9_E_EOF
	    : f->peer == PEER_DISCONNECTED ? IPC9_E_NOTCONN
					   : IPC9_E_LOST;
}

/* Nothing leaves any more.  Why, the other end may have said: that has come before, and whoever receives is about to see it. */
static int lose(struct frames *f)
{
	int r;

	pthread_mutex_lock(&f->lock);
	while (f->receiving && f->peer < PEER_CLOSED)
		pthread_cond_wait(&f->changed, &f->lock);
	frames_drain(f);
	if (f->peer < PEER_CLOSED)
		f->peer = PEER_LOST;
	frames_changed(f);
	pthread_cond_broadcast(&f->changed);
	r = cut_off(f);
	pthread_mutex_unlock(&f->lock);
	return r;
}

/* The same where the other end has vanished, and says nothing. */
static void give_up(struct frames *f)
{
	shutdown(f->fd, SHUT_RDWR);
	lose(f);
}

/* Whether the operation that began with so many cancels may go on. */
static int check(struct frames *f, unsigned cancels)
{
	int r;

	pthread_mutex_lock(&f->lock);
	r = f->n_cancels != cancels	   ? IPC9_E_CANCELLED
	    : f->peer == PEER_DISCONNECTED ? IPC9_E_NOTCONN
	    : f->peer == PEER_LOST	   ? IPC9_E_LOST
					   : 0;
	pthread_mutex_unlock(&f->lock);
	return r;
}

static int check_cancel(struct frames *f, unsigned cancels)
{
	int r = check(f, cancels);

	return r == IPC9_E_CANCELLED || r == IPC9_E_LOST ? r : 0;
}

/* send_lock by the deadline. */
static bool lock_to_send(struct frames *f, int64_t deadline)
{
	struct timespec until = clock_timespec(deadline);

	if (deadline == CLOCK_NEVER)
		return !pthread_mutex_lock(&f->send_lock);
	return !pthread_mutex_trylock(&f->send_lock) ||
	    !pthread_mutex_clocklock(&f->send_lock, CLOCK_MONOTONIC, &until);
}

/* Takes the role of the receiver, if it is free. */
static bool begin_receiving(struct frames *f)
{
	bool mine;

	pthread_mutex_lock(&f->lock);
	mine = !f->receiving && f->peer < PEER_CLOSED;
	if (mine)
		f->receiving = true;
	pthread_mutex_unlock(&f->lock);
	return mine;
}

static void end_receiving(struct frames *f)
{
	pthread_mutex_lock(&f->lock);
	f->receiving = false;
	pthread_cond_broadcast(&f->changed);
	pthread_mutex_unlock(&f->lock);
}

/* The socket is full: waits until it is not, taking in what comes if nobody else does. */
static void wait_to_send(struct frames *f, int64_t deadline)
{
	bool mine = begin_receiving(f);
	int64_t look_again = clock_deadline_ms(mine ? 1000 : LOOK_AGAIN_MS);
	struct pollfd p[2] = { { .fd = f->fd, .events = (short)(POLLOUT | (mine ? POLLIN : 0)) },
		{ .fd = atomic_load_explicit(&f->wake, memory_order_acquire), .events = POLLIN } };
	int n = poll(p, 2, clock_poll_ms(look_again < deadline ? look_again : deadline));

	if (mine && n > 0 && p[0].revents & (POLLIN | POLLHUP | POLLERR))
		frames_receive(f, NULL);
	if (mine)
		end_receiving(f);
	if (n == 0 && f->is_tcp && socket_has_vanished(f->fd, f->vanished_ms))
		give_up(f);
}

/* Keeps what has begun to leave: a copy, as some of it is on the stack, or the caller's. */
static int keep(struct frames *f, const struct gather *out)
{
	struct bytes *copy = gather_flatten(out);
	int r = copy ? gather_refer(&f->rest, copy->data, copy->size, copy) : -ENOMEM;

	bytes_unref(copy);
	if (!r)
		return 0;
	give_up(f); /* half a frame is worth nothing */
	return IPC9_E_LOST;
}

/*
 * Sends all of out.  begun: some of its frame has left.  0: all has left, or is kept to; IPC9_E_TIMEDOUT or another
 * code: nothing has.
 */
static int send_all(struct frames *f, struct gather *out, unsigned cancels, int64_t deadline)
{
	bool begun = false;

	while (out->size) {
		bool own = !f->rest.size;
		ssize_t n = gather_send(own ? out : &f->rest, f->fd);
		int r;

		if (n > 0) {
			atomic_store_explicit(&f->blocked, false, memory_order_relaxed);
			begun |= own;
			continue;
		}
		if (n != -EAGAIN)
			return lose(f);
		r = clock_now() >= deadline ? IPC9_E_TIMEDOUT : check(f, cancels);
		if (r == IPC9_E_LOST)
			return r;
		if (r == IPC9_E_NOTCONN) { /* what has begun goes before the word that says so */
			if (begun)
				keep(f, out);
			return r;
		}
		if (r) {
			atomic_store_explicit(&f->blocked, true, memory_order_relaxed);
			return begun ? keep(f, out) : r;
		}
		wait_to_send(f, deadline);
	}
	return 0;
}

int frames_finish(struct frames *f, unsigned cancels, int64_t deadline)
{
	int r = 0;

	if (!lock_to_send(f, deadline))
		return IPC9_E_TIMEDOUT;
	while (!r && f->rest.size) {
		ssize_t n = gather_send(&f->rest, f->fd);

		if (n == -EAGAIN)
			r = clock_now() >= deadline ? IPC9_E_TIMEDOUT : check_cancel(f, cancels);
		else if (n < 0)
			r = lose(f);
		if (n == -EAGAIN && !r)
			wait_to_send(f, deadline);
	}
	pthread_mutex_unlock(&f->send_lock);
	frames_tell(f);
	return r;
}

void frames_push(struct frames *f)
{
	if (pthread_mutex_trylock(&f->send_lock))
		return; /* whoever has it sends that first */
	if (f->rest.size)
		gather_send(&f->rest, f->fd); /* what is wrong shows to whoever receives */
	if (!f->rest.size)
		atomic_store_explicit(&f->blocked, false, memory_order_relaxed);
	pthread_mutex_unlock(&f->send_lock);
	frames_tell(f);
}

/* --- Frames ------------------------------------------------------------------------------------ */

static int put_head(struct gather *out, int kind, size_t size)
{
	unsigned char head[8];

	put_word(head, 0x80000000u | (uint32_t)(4 + size));
	put_word(head + 4, (uint32_t)kind);
	return gather_copy(out, head, sizeof(head));
}

static int put_data(struct gather *out, const void *data, size_t size)
{
	static const unsigned char zeros[3];
	size_t padding = -size & 3;
	unsigned char len[4];

	put_word(len, (uint32_t)size);
	if (put_head(out, IPC9_PIPE_FRAME_DATA, 4 + size + padding) ||
	    gather_copy(out, len, sizeof(len)))
		return -ENOMEM;
	if (size < BLOB_REFER_MIN ? gather_copy(out, data, size)
				  : gather_refer(out, data, size, NULL))
		return -ENOMEM;
	return padding ? gather_copy(out, zeros, padding) : 0;
}

/* Why nothing may be sent behind what was said, or 0: somebody said it since the operation last looked.  With send_lock held. */
static int check_said(const struct frames *f)
{
	return f->said & 1u << IPC9_PIPE_FRAME_DISCONNECT ? IPC9_E_NOTCONN
	    : f->said					  ? IPC9_E_BADSTATE
							  : 0;
}

int frames_send_data(struct frames *f, const void *data, size_t size, bool message,
    unsigned cancels, int64_t deadline)
{
	BYTES_ON_STACK(block, BLOB_REFER_MIN + HEADS_ON_STACK);
	struct gather out;
	int r = 0;

	frames_break_stream(f);
	gather_init(&out);
	gather_lend(&out, block);
	if (size || !message)
		r = put_data(&out, data, size);
	if (!r && message)
		r = put_head(&out, IPC9_PIPE_FRAME_MSG_END, 0);
	if (!r && !lock_to_send(f, deadline)) {
		r = IPC9_E_TIMEDOUT;
	} else if (!r) {
		r = check_said(f);
		if (!r)
			r = send_all(f, &out, cancels, deadline);
		pthread_mutex_unlock(&f->send_lock);
		frames_tell(f); /* whoever reads could not, while the lock was held */
	}
	gather_clear(&out);
	return r;
}

/* --- Several frames with one send -------------------------------------------------------------- */

#define PIECE_HEADS (3 + 12 + 8) /* padding of the one before, DATA, MSG_END */

struct train {
	struct iovec iov[2 * CARRIER_TOGETHER + 1];
	size_t n_iov;
	unsigned char heads[CARRIER_TOGETHER * PIECE_HEADS];
	size_t used, told; /* of heads: those before `told` are in iov */
	size_t size;
	size_t ends[CARRIER_TOGETHER]; /* where each piece ends, with all that belongs to it */
};

static void train_head(struct train *t, int kind, size_t size)
{
	put_word(t->heads + t->used, 0x80000000u | (uint32_t)(4 + size));
	put_word(t->heads + t->used + 4, (uint32_t)kind);
	t->used += 8;
	t->size += 8;
}

static void train_flush_heads(struct train *t)
{
	if (t->used > t->told)
		t->iov[t->n_iov++] = (struct iovec){ t->heads + t->told, t->used - t->told };
	t->told = t->used;
}

static void train_data(struct train *t, const struct iovec *piece)
{
	size_t padding = -piece->iov_len & 3;

	train_head(t, IPC9_PIPE_FRAME_DATA, 4 + piece->iov_len + padding);
	put_word(t->heads + t->used, (uint32_t)piece->iov_len);
	t->used += 4;
	train_flush_heads(t);
	t->iov[t->n_iov++] = *piece;
	memset(t->heads + t->used, 0, padding);
	t->used += padding;
	t->size += 4 + piece->iov_len + padding;
}

static void train_lay_out(struct train *t, const struct iovec *pieces, size_t n, bool message)
{
	t->n_iov = t->used = t->told = t->size = 0;
	for (size_t i = 0; i < n; i++) {
		if (pieces[i].iov_len)
			train_data(t, &pieces[i]);
		if (message)
			train_head(t, IPC9_PIPE_FRAME_MSG_END, 0);
		t->ends[i] = t->size;
	}
	train_flush_heads(t);
}

/* Keeps what lies between two places of it: of a piece that left in part.  With send_lock held. */
static int train_keep(struct frames *f, const struct train *t, size_t from, size_t to)
{
	struct gather part;
	size_t at = 0;
	int r = 0;

	gather_init(&part);
	for (size_t i = 0; i < t->n_iov && !r; at += t->iov[i++].iov_len) {
		const unsigned char *data = t->iov[i].iov_base;
		size_t end = at + t->iov[i].iov_len, first = at < from ? from : at,
		       last = end < to ? end : to;

		if (first < last)
			r = gather_refer(&part, data + (first - at), last - first, NULL);
	}
	if (r)
		give_up(f);
	else
		r = keep(f, &part);
	gather_clear(&part);
	return r ? IPC9_E_LOST : 0;
}

/* With send_lock held. */
static int train_send(struct frames *f, struct train *t, size_t *ret_n)
{
	struct msghdr msg = { .msg_iov = t->iov, .msg_iovlen = t->n_iov };
	size_t begun = 0, n = 0;
	ssize_t sent = 0;

	if (f->rest.size)
		gather_send(&f->rest, f->fd); /* what is wrong shows to what comes next */
	if (!f->rest.size && t->size)
		sent = sendmsg(f->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (sent < 0 && errno != EAGAIN && errno != EINTR)
		return lose(f);
	if (sent > 0)
		begun = (size_t)sent;
	atomic_store_explicit(&f->blocked, begun < t->size, memory_order_relaxed);
	while (n < *ret_n && t->ends[n] <= begun)
		n++;
	if (n < *ret_n && begun > (n ? t->ends[n - 1] : 0)) {
		int r = train_keep(f, t, begun, t->ends[n++]);

		if (r)
			return r;
	}
	if (n < *ret_n) {
		*ret_n = n;
		return IPC9_E_TIMEDOUT;
	}
	return 0;
}

int frames_send_together(struct frames *f, const struct iovec *pieces, size_t n, bool message,
    size_t *ret_n)
{
	struct train train;
	size_t taken = n;
	int r;

	*ret_n = 0;
	frames_break_stream(f);
	train_lay_out(&train, pieces, n, message);
	if (pthread_mutex_trylock(&f->send_lock))
		return IPC9_E_TIMEDOUT;
	r = train_send(f, &train, &taken);
	pthread_mutex_unlock(&f->send_lock);
	frames_tell(f); /* whoever reads could not, while the lock was held */
	if (!r || r == IPC9_E_TIMEDOUT)
		*ret_n = taken;
	return r;
}

/* --- Words ------------------------------------------------------------------------------------- */

/* With send_lock held. */
static int send_word(struct frames *f, int kind, uint64_t number)
{
	BYTES_ON_STACK(block, HEADS_ON_STACK);
	unsigned char bytes[8];
	struct gather out;
	ssize_t n = 0;
	int r;

	gather_init(&out);
	gather_lend(&out, block);
	put_word(bytes, (uint32_t)(number >> 32));
	put_word(bytes + 4, (uint32_t)number);
	r = put_head(&out, kind, kind == IPC9_PIPE_FRAME_CONSUMED ? sizeof(bytes) : 0);
	if (!r && kind == IPC9_PIPE_FRAME_CONSUMED)
		r = gather_copy(&out, bytes, sizeof(bytes));
	/* What goes at once takes no memory. */
	if (!r && !f->rest.size)
		n = gather_send(&out, f->fd);
	if (!r && out.size && (n >= 0 || n == -EAGAIN))
		r = keep(f, &out);
	gather_clear(&out);
	if (r)
		return r;
	if (f->rest.size)
		n = gather_send(&f->rest, f->fd);
	if (f->rest.size)
		atomic_store_explicit(&f->blocked, true, memory_order_relaxed);
	return n < 0 && n != -EAGAIN ? lose(f) : 0;
}

void frames_send_word(struct frames *f, int kind)
{
	pthread_mutex_lock(&f->lock);
	f->words |= 1u << kind;
	pthread_mutex_unlock(&f->lock);
	frames_tell(f);
}

/* Whether what was read since the last time made what is unread fit the quota; it counts what is in the socket behind. */
static bool completes_write(const struct frames *f, uint64_t behind)
{
	uint64_t coming = f->arrived + (f->left > behind ? f->left : behind);

	return coming - f->told > f->quota && coming - f->consumed <= f->quota;
}

/*
 * Whether to tell because nothing more has come, as far as it is worth a look: in a stream more is there most of the time,
 * and told later unless somebody may wait.
 */
static bool is_all_read(const struct frames *f)
{
	int more = 0;

	if (f->consumed != f->arrived || f->left)
		return false;
	return !frames_is_stream(f) || ioctl(f->fd, FIONREAD, &more) || more < BULK_MIN ||
	    completes_write(f, (uint64_t)more);
}

/* Whether there is anything to tell, and somebody to tell it to. */
static bool has_news(const struct frames *f)
{
	return f->peer < PEER_CLOSED && f->consumed > f->told;
}

/* What is to be told now, or 0. */
static uint64_t due(struct frames *f)
{
	uint64_t n = 0;

	pthread_mutex_lock(&f->lock);
	if (has_news(f) &&
	    (f->consumed - f->told >= f->quota / TELL_PART || completes_write(f, 0) ||
		is_all_read(f))) {
		n = f->consumed;
		f->told = n;
	}
	pthread_mutex_unlock(&f->lock);
	return n;
}

static unsigned take_words(struct frames *f)
{
	unsigned words;

	pthread_mutex_lock(&f->lock);
	words = f->words;
	f->words = 0;
	pthread_mutex_unlock(&f->lock);
	return words;
}

/* With send_lock held.  What was read is told before this end says that it goes. */
static void send_what_waits(struct frames *f)
{
	uint64_t n = due(f);
	unsigned words = take_words(f);

	if (n)
		send_word(f, IPC9_PIPE_FRAME_CONSUMED, n);
	f->said |= words;
	for (int kind = IPC9_PIPE_FRAME_END; kind <= IPC9_PIPE_FRAME_DISCONNECT; kind++)
		if (words & 1u << kind)
			send_word(f, kind, 0);
}

void frames_tell(struct frames *f)
{
	/*
	 * Whoever sends at the moment comes here when it has let go.  If it is here already, and has looked, it sees that it was
	 * asked to look again.
	 */
	atomic_store_explicit(&f->asked, true, memory_order_seq_cst);
	while (atomic_load_explicit(&f->asked, memory_order_seq_cst) &&
	    !pthread_mutex_trylock(&f->send_lock)) {
		atomic_store_explicit(&f->asked, false, memory_order_seq_cst);
		send_what_waits(f);
		pthread_mutex_unlock(&f->send_lock);
	}
}

void frames_tell_writer(struct frames *f)
{
	if (!has_news(f) || !completes_write(f, 0))
		return;
	pthread_mutex_unlock(&f->lock);
	frames_tell(f);
	pthread_mutex_lock(&f->lock);
}

void frames_wake(struct frames *f)
{
	const uint64_t one = 1;

	if (atomic_load_explicit(&f->wake, memory_order_relaxed) >= 0 && !f->woken)
		f->woken = write(f->wake, &one, sizeof(one)) == sizeof(one);
	pthread_cond_broadcast(&f->changed);
}
