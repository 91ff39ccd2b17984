/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frames_in.c - frames that come in: from the socket into the queue, or straight to whoever reads.
 *
 * A frame is taken apart as its bytes come.  What it announces is compared with the window before anything is set aside for
 * it.  Long payload is received where it is to stay: one receive is laid out as if the frames to come were as long as the
 * last one, heads apart and payload side by side.  What comes is then taken place by place:
 *
 * 1. A head's place is as long as what is left of the padding and of a DATA frame's head, or it is not taken as such.  So no
 *    payload is in it, whatever frames are.
 * 2. From a payload's place that much is taken as is left of the frame at hand, if it stands where that payload goes.  So
 *    nothing of it moves, and nothing is written to a place that has not been taken yet.
 * 3. All else is first copied out of the way of what it becomes.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "client/frames_state.h"
#include "util/clock.h"

#define DIRECT_MIN 8192	  /* payload of so many bytes is received where it is to stay */
#define HEAD_MIN 8	  /* mark and kind */
#define DATA_HEAD 12	  /* these, and how many bytes follow */
#define AHEAD_MAX 16	  /* frames that one receive is laid out for */
#define STREAM_RECEIVES 8 /* of long frames in a row are a stream */
#define STREAM_BYTES 262144
#define STREAM_WAIT_US 300 /* longer than this its next bytes are not waited for together */
#define SLICE_MS 1000	   /* a sleeper looks whether the peer is still there */
#define REST_NS 1000000	   /* whoever does not read for so long is in the middle of nothing */

static uint32_t word_at(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void frames_in_init(struct frames *f)
{
	frames_queue_init(f);
	f->head_size = HEAD_MIN;
	bulk_init(&f->bulk, f->fd);
}

void frames_in_clear(struct frames *f)
{
	frames_queue_clear(f);
	free(f->scratch);
}

/* --- Taking apart; with lock held -------------------------------------------------------------- */

static bool is_message_pipe(const struct frames *f)
{
	return f->type == IPC9_PIPE_TYPE_MESSAGE;
}

static void count_payload(struct frames *f, size_t n)
{
	f->left -= (uint32_t)n;
	f->arrived += n;
}

/* Whether payload goes straight to the reader now. */
static bool is_direct(const struct frames *f, const struct frames_direct *direct)
{
	return direct && direct->n < direct->room && !f->chunk && list_is_empty(&f->chunks);
}

/* Puts bytes to where they are to stay, unless they were received there; they never overlap that in part. */
static void place(unsigned char *at, const unsigned char *data, size_t n)
{
	if (at != data)
		memcpy(at, data, n);
}

static size_t take_direct(struct frames *f, struct frames_direct *direct, const unsigned char *data,
    size_t size)
{
	size_t n = direct->room - direct->n < size ? direct->room - direct->n : size;

	place(direct->at + direct->n, data, n);
	direct->n += n;
	count_payload(f, n);
	return n;
}

/* Payload that was received to wherever.  0 or -ENOMEM. */
static int take_payload(struct frames *f, struct frames_direct *direct, const unsigned char *data,
    size_t size, size_t *ret_n)
{
	struct chunk *k;

	if (is_direct(f, direct)) {
		*ret_n = take_direct(f, direct, data, size);
		return 0;
	}
	k = frames_chunk_for(f, size);
	if (!k)
		return -ENOMEM;
	place(k->data + k->end, data, size);
	k->end += size;
	if (!is_message_pipe(f))
		f->queued += size;
	count_payload(f, size);
	if (k == f->chunk && !f->left)
		f->chunk = NULL;
	*ret_n = size;
	return 0;
}

static int take_consumed(struct frames *f)
{
	uint64_t n = (uint64_t)word_at(f->head + 8) << 32 | word_at(f->head + 12);

	if (n <= f->taken || n > f->sent) /* it says something new */
		return -EPROTO;
	f->taken = n;
	return 0;
}

/* Nothing of a message may be missing, then. */
static int end_by(struct frames *f, enum frames_peer word)
{
	if (f->partial_bytes && is_message_pipe(f))
		return -EPROTO;
	f->peer = word;
	return 0;
}

static int disconnect(struct frames *f)
{
	if (!f->may_be_thrown_out)
		return -EPROTO;
	f->peer = PEER_DISCONNECTED;
	frames_drop(f);
	return 0;
}

/* Whether nothing that comes counts any more: the server has disconnected, or this end was aborted. */
static bool is_over(const struct frames *f)
{
	return f->peer >= PEER_DISCONNECTED;
}

/* The head says a number that the mark must agree with, and the window. */
static int begin_payload(struct frames *f)
{
	uint32_t len = word_at(f->head + 8), size = word_at(f->head) & 0x7fffffffu;

	if (len > IPC9_BLOB_MAX || size != 8 + ((len + 3) & ~3u) || f->peer != PEER_OPEN ||
	    f->arrived + len > f->consumed + f->window ||
	    (is_message_pipe(f) && f->partial_bytes + len > IPC9_MESSAGE_BYTES))
		return -EPROTO;
	f->partial_bytes += len;
	f->left = f->last_len = len;
	f->padding = -len & 3;
	return 0;
}

/* The head of a frame is there; what follows a DATA frame's is not. */
static int take_head(struct frames *f)
{
	switch (word_at(f->head + 4)) {
	case IPC9_PIPE_FRAME_DATA:
		return begin_payload(f);
	case IPC9_PIPE_FRAME_MSG_END:
		return is_message_pipe(f) && f->peer == PEER_OPEN ? frames_queue_end_message(f)
								  : -EPROTO;
	case IPC9_PIPE_FRAME_CONSUMED:
		return take_consumed(f);
	case IPC9_PIPE_FRAME_END:
		return f->peer == PEER_OPEN ? end_by(f, PEER_ENDED) : -EPROTO;
	case IPC9_PIPE_FRAME_CLOSE:
		return f->peer < PEER_CLOSED ? end_by(f, PEER_CLOSED) : 0;
	default: /* DISCONNECT; see head_size_of */
		return disconnect(f);
	}
}

/* How long a head is whose first bytes are there; 0: it is none. */
static size_t head_size_of(const unsigned char head[HEAD_MIN])
{
	uint32_t mark = word_at(head), kind = word_at(head + 4), size = mark & 0x7fffffffu;

	if (!(mark & 0x80000000u))
		return 0;
	if (kind == IPC9_PIPE_FRAME_DATA)
		return size >= 8 ? 12 : 0;
	if (kind == IPC9_PIPE_FRAME_CONSUMED)
		return size == 12 ? 16 : 0;
	if (kind == IPC9_PIPE_FRAME_MSG_END || kind == IPC9_PIPE_FRAME_END ||
	    kind == IPC9_PIPE_FRAME_CLOSE || kind == IPC9_PIPE_FRAME_DISCONNECT)
		return size == 4 ? HEAD_MIN : 0;
	return 0;
}

/* Takes some of a head; *ret_n: how many bytes. */
static int feed_head(struct frames *f, const unsigned char *data, size_t size, size_t *ret_n)
{
	size_t n = f->head_size - f->n_head < size ? f->head_size - f->n_head : size;
	int r = 0;

	memcpy(f->head + f->n_head, data, n);
	f->n_head += n;
	*ret_n = n;
	if (f->n_head < f->head_size)
		return 0;
	if (f->head_size == HEAD_MIN) {
		f->head_size = head_size_of(f->head);
		if (!f->head_size)
			return -EPROTO;
		if (f->head_size > HEAD_MIN)
			return 0;
	}
	r = take_head(f);
	f->n_head = 0;
	f->head_size = HEAD_MIN;
	return r;
}

/* 0; -EPROTO: what came is no frame, or one that cannot come now; -ENOMEM. */
static int feed(struct frames *f, struct frames_direct *direct, const unsigned char *data,
    size_t size)
{
	int r = 0;

	/* A server that writes while it disconnects may have sent data behind that word. */
	while (size && !r && !is_over(f)) {
		size_t n = 0;

		if (f->left) {
			n = f->left < size ? f->left : size;
			r = take_payload(f, direct, data, n, &n);
		} else if (f->padding) {
			n = f->padding < size ? f->padding : size;
			f->padding -= (uint32_t)n;
		} else {
			r = feed_head(f, data, size, &n);
		}
		data += n;
		size -= n;
	}
	return r;
}

/* --- Receiving; by whoever set `receiving` ----------------------------------------------------- */

/* Where one receive puts what comes: payload and, between, room for padding and a head. */
struct layout {
	struct iovec iov[2 * AHEAD_MAX + 1];
	size_t n;
	unsigned char heads[AHEAD_MAX][3 + FRAME_HEAD_MAX];
	unsigned n_heads;
};

static void add_place(struct layout *l, unsigned char *at, size_t size)
{
	if (size)
		l->iov[l->n++] = (struct iovec){ at, size };
}

/* How much is to come of the padding behind a payload and a head of which n_head bytes have come. */
static size_t head_missing(size_t padding, size_t n_head)
{
	return padding + DATA_HEAD - n_head;
}

static void add_head(struct layout *l, size_t padding, size_t n_head)
{
	add_place(l, l->heads[l->n_heads++], head_missing(padding, n_head));
}

/* Into the reader's buffer: the payload at hand, and what follows as if it were frames like the last one. */
static void lay_out_direct(const struct frames *f, const struct frames_direct *direct,
    struct layout *l)
{
	size_t room = direct->room - direct->n, len = f->left, padding = f->padding;
	size_t n_head = f->n_head;
	unsigned char *at = direct->at + direct->n;

	while (len <= room) {
		add_place(l, at, len);
		at += len;
		room -= len;
		if (!room || l->n_heads == AHEAD_MAX)
			return;
		add_head(l, padding, n_head);
		len = f->last_len;
		padding = -len & 3;
		n_head = 0;
	}
	add_place(l, at, room);
}

/* Into memory of its own, with the head that follows. */
static void lay_out_chunk(struct frames *f, struct layout *l)
{
	if (!f->chunk)
		f->chunk = frames_chunk_add(f, f->left);
	if (!f->chunk)
		return; /* and when the scratch's copy finds no memory either, the end comes */
	add_place(l, f->chunk->data + f->chunk->end, f->left);
	add_head(l, f->padding, 0);
}

static void lay_out(struct frames *f, const struct frames_direct *direct, struct layout *l)
{
	l->n = l->n_heads = 0;
	if (is_direct(f, direct) && direct->room - direct->n >= DIRECT_MIN &&
	    f->last_len >= DIRECT_MIN && f->n_head < DATA_HEAD)
		lay_out_direct(f, direct, l);
	else if (f->left >= DIRECT_MIN || f->chunk)
		lay_out_chunk(f, l);
	if (!l->n)
		add_place(l, f->scratch, FRAMES_SCRATCH);
}

static bool is_head_place(const struct layout *l, const unsigned char *at)
{
	const unsigned char *heads = l->heads[0];

	return at >= heads && at < heads + sizeof(l->heads);
}

/* Where the next byte of payload goes that is received where it is to stay; NULL: none is. */
static const unsigned char *payload_goes(const struct frames *f, const struct frames_direct *direct)
{
	if (is_direct(f, direct))
		return direct->at + direct->n;
	return f->chunk ? f->chunk->data + f->chunk->end : NULL;
}

/* How many of the n bytes that were received to a place are to be taken where they are: 1 and 2 above. */
static size_t as_laid_out(const struct frames *f, const struct frames_direct *direct,
    const struct layout *l, const struct iovec *place, size_t n)
{
	if (place->iov_base == f->scratch)
		return n;
	if (is_head_place(l, place->iov_base))
		return !f->left && f->n_head < DATA_HEAD &&
			place->iov_len == head_missing(f->padding, f->n_head)
		    ? n
		    : 0;
	if (!f->left || place->iov_base != payload_goes(f, direct))
		return 0;
	return n < f->left ? n : f->left;
}

/* The rest of a receive, from so many bytes of a place on, where the frames were others. */
static int feed_moved(struct frames *f, struct frames_direct *direct, const struct iovec *iov,
    size_t skip, size_t size)
{
	unsigned char *copy = malloc(size), *at = copy;
	size_t left = size;
	int r;

	if (!copy)
		return -ENOMEM;
	for (; left; iov++) {
		size_t n = left < iov->iov_len - skip ? left : iov->iov_len - skip;

		memcpy(at, (const unsigned char *)iov->iov_base + skip, n);
		at += n;
		left -= n;
		skip = 0;
	}
	r = feed(f, direct, copy, size);
	free(copy);
	return r;
}

static int feed_all(struct frames *f, struct frames_direct *direct, const struct layout *l,
    size_t size)
{
	int r = 0;

	for (size_t i = 0; size && !r; i++) {
		const struct iovec *v = &l->iov[i];
		size_t n = size < v->iov_len ? size : v->iov_len;
		size_t fit = as_laid_out(f, direct, l, v, n);

		if (fit)
			r = feed(f, direct, v->iov_base, fit);
		size -= fit;
		if (fit < n && !r)
			return feed_moved(f, direct, v, fit, size);
	}
	return r;
}

/* The stream has ended, by what errno or the absence of one says. */
static void end_stream(struct frames *f)
{
	if (f->peer < PEER_CLOSED)
		f->peer = PEER_LOST;
}

static void count_receive(struct frames *f)
{
	unsigned n = atomic_load_explicit(&f->streak, memory_order_relaxed);

	n = f->last_len < DIRECT_MIN ? 0 : n < STREAM_RECEIVES ? n + 1 : n;
	atomic_store_explicit(&f->streak, n, memory_order_relaxed);
}

bool frames_is_stream(const struct frames *f)
{
	return atomic_load_explicit(&f->streak, memory_order_relaxed) >= STREAM_RECEIVES;
}

void frames_break_stream(struct frames *f)
{
	if (frames_is_stream(f))
		atomic_store_explicit(&f->streak, 0, memory_order_relaxed);
}

/* After each receive that brought something; with lock held. */
static void note_receive(struct frames *f, const struct layout *l, size_t n)
{
	int64_t now = clock_now();
	size_t room = 0;

	for (size_t i = 0; i < l->n; i++)
		room += l->iov[i].iov_len;
	f->filled = n == room;
	f->rested = now - f->received_at >= REST_NS;
	f->received_at = now;
}

/* Only whoever receives changes it, and others look with lock held. */
static void note_nothing(struct frames *f)
{
	if (!f->filled)
		return;
	pthread_mutex_lock(&f->lock);
	f->filled = false;
	pthread_mutex_unlock(&f->lock);
}

int frames_receive(struct frames *f, struct frames_direct *direct)
{
	struct layout l;
	size_t missed;
	ssize_t n;
	int r = 0;

	if (!f->scratch)
		f->scratch = malloc(FRAMES_SCRATCH);
	if (!f->scratch)
		return -ENOMEM;
	pthread_mutex_lock(&f->lock);
	missed = f->left;
	lay_out(f, direct, &l);
	pthread_mutex_unlock(&f->lock);
	n = recvmsg(f->fd, &(struct msghdr){ .msg_iov = l.iov, .msg_iovlen = l.n }, MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
		note_nothing(f);
		return 0;
	}
	pthread_mutex_lock(&f->lock);
	if (n > 0)
		note_receive(f, &l, (size_t)n);
	if (n <= 0)
		end_stream(f);
	else if (f->peer < PEER_CLOSED) /* else this end was disconnected or aborted meanwhile */
		r = feed_all(f, direct, &l, (size_t)n);
	if (r) { /* neither a peer that breaks the rules nor one that we have no memory for can be gone on with */
		f->peer = PEER_LOST;
		f->no_memory = r == -ENOMEM;
		shutdown(f->fd, SHUT_RDWR);
	}
	if (direct && f->peer == PEER_DISCONNECTED)
		direct->n = 0; /* what came before it is thrown away, too */
	frames_changed(f);
	pthread_mutex_unlock(&f->lock);
	bulk_expect(&f->bulk, f->fd, f->left, missed >= BULK_MIN && f->left < BULK_MIN);
	count_receive(f);
	return n > 0 ? (int)n : 1;
}

/* --- Waiting ----------------------------------------------------------------------------------- */

/* With lock held. */
static bool may_receive(const struct frames *f)
{
	return !f->receiving && f->peer < PEER_CLOSED;
}

/*
 * Whether a reader is to wait for more together than the first bytes: for the rest of a long frame, or, within a host,
 * where that is faster, for several short ones; in a stream only, so that nothing goes the other way that CONSUMED is
 * waited for.
 */
static bool may_take_several(const struct frames *f, const struct frames_direct *direct)
{
	return direct && frames_is_stream(f) && !f->bulk.is_local &&
	    (f->left >= BULK_MIN || f->bulk.is_loopback);
}

/* Sleeps until several frames of a stream have come, but not for long: nobody promised them. */
static void sleep_for_several(struct frames *f)
{
	const struct timespec wait = { 0, STREAM_WAIT_US * 1000 };
	struct pollfd p[2] = { { .fd = f->fd, .events = POLLIN },
		{ .fd = atomic_load_explicit(&f->wake, memory_order_acquire), .events = POLLIN } };
	size_t several = f->quota / 4 < STREAM_BYTES ? (size_t)f->quota / 4 : STREAM_BYTES;

	if (f->left < BULK_MIN)
		bulk_expect(&f->bulk, f->fd, several, false);
	if (ppoll(p, 2, &wait, NULL) == 0)
		frames_break_stream(f);
	bulk_expect(&f->bulk, f->fd, f->left, false);
}

static void sleep_on_socket(struct frames *f, int64_t deadline)
{
	int64_t slice = clock_deadline_ms(SLICE_MS);
	bool blocked = atomic_load_explicit(&f->blocked, memory_order_relaxed);
	struct pollfd p[2] = { { .fd = f->fd, .events = (short)(POLLIN | (blocked ? POLLOUT : 0)) },
		{ .fd = atomic_load_explicit(&f->wake, memory_order_acquire), .events = POLLIN } };
	int64_t slept_from = clock_now();

	if (poll(p, 2, clock_poll_ms(slice < deadline ? slice : deadline)) > 0)
		spin_slept(&f->spin, slept_from);
	else if (f->is_tcp && socket_has_vanished(f->fd, f->vanished_ms))
		shutdown(f->fd, SHUT_RDWR);
	if (p[0].revents & POLLOUT)
		frames_push(f);
}

/* 1: something came; 0; -errno. */
static int receive_until(struct frames *f, struct frames_direct *direct, int64_t deadline)
{
	bool bulk = f->left >= DIRECT_MIN;
	struct spin_run spin = { 0 };
	int r = 0;

	if (f->left < BULK_MIN || !may_take_several(f, direct))
		r = frames_receive(f, direct);
	if (!r && may_take_several(f, direct)) {
		sleep_for_several(f);
		return frames_receive(f, direct);
	}
	if (r)
		return r;
	if (!bulk)
		spin_begin(&f->spin, &spin);
	while (!r && spin_again(&spin, deadline))
		r = frames_receive(f, direct);
	if (r) {
		spin_hit(&f->spin, &spin);
		return r;
	}
	if (!bulk)
		spin_missed(&f->spin, &spin);
	sleep_on_socket(f, deadline);
	return frames_receive(f, direct);
}

static int wait_for_others(struct frames *f, int64_t deadline)
{
	struct timespec until = clock_timespec(deadline);

	if (deadline == CLOCK_NEVER)
		return pthread_cond_wait(&f->changed, &f->lock);
	return pthread_cond_timedwait(&f->changed, &f->lock, &until);
}

static size_t in_socket(const struct frames *f)
{
	int n = 0;

	return ioctl(f->fd, FIONREAD, &n) || n < 0 ? 0 : (size_t)n;
}

/*
 * What has come by now, and no more: who sends without end holds nobody up.  With direct, or `first`, only until there is
 * something to read that was not before.  By whoever set `receiving`, with lock held but for meanwhile.  As frames_receive.
 */
static int receive_what_came(struct frames *f, struct frames_direct *direct, bool first)
{
	bool was_readable = frames_is_readable(f), counted = false;
	size_t more = 0;
	int r, ret = 0;

	do {
		pthread_mutex_unlock(&f->lock);
		r = frames_receive(f, direct);
		pthread_mutex_lock(&f->lock);
		if (r <= 0 || f->peer >= PEER_CLOSED ||
		    (first && ((direct && direct->n) || (!was_readable && frames_is_readable(f)))))
			return r < 0 ? r : ret + r;
		ret = 1;
		/* One more than there are bytes: whether the stream has ended. */
		more -= more < (size_t)r ? more : (size_t)r;
		if (!counted)
			more = (f->filled ? in_socket(f) : 0) + 1;
		counted = true;
	} while (more);
	return ret;
}

static void begin_receiving(struct frames *f)
{
	f->receiving = true;
}

static void end_receiving(struct frames *f)
{
	f->receiving = false;
	pthread_cond_broadcast(&f->changed);
	frames_tell_writer(f);
}

int frames_wait(struct frames *f, struct frames_direct *direct, unsigned cancels, int64_t deadline)
{
	bool late = clock_now() >= deadline;
	int r = 0;

	if (f->n_cancels != cancels)
		return IPC9_E_CANCELLED;
	if (atomic_load_explicit(&f->wake, memory_order_relaxed) < 0)
		atomic_store_explicit(&f->wake, eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		    memory_order_release);
	if (may_receive(f)) {
		begin_receiving(f);
		if (late) {
			r = receive_what_came(f, direct, true);
		} else {
			pthread_mutex_unlock(&f->lock);
			r = receive_until(f, direct, deadline);
			pthread_mutex_lock(&f->lock);
		}
		end_receiving(f);
	} else if (!late) {
		wait_for_others(f, deadline);
	}
	if (r < 0)
		return r;
	return late ? IPC9_E_TIMEDOUT : 0;
}

void frames_drain(struct frames *f)
{
	if (!may_receive(f))
		return;
	begin_receiving(f);
	receive_what_came(f, NULL, false);
	end_receiving(f);
}

static void look_once(struct frames *f)
{
	if (!may_receive(f))
		return;
	begin_receiving(f);
	pthread_mutex_unlock(&f->lock);
	frames_receive(f, NULL);
	pthread_mutex_lock(&f->lock);
	end_receiving(f);
}

/* Whether whoever is there has sent all that there will be. */
static bool has_hung_up(const struct frames *f)
{
	struct pollfd p = { .fd = f->fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) > 0;
}

void frames_catch_up(struct frames *f, bool came)
{
	bool in_stream;

	if (!came && (!f->left || clock_now() - f->received_at >= REST_NS))
		look_once(f);
	in_stream = frames_is_stream(f) && !f->rested;
	if (!f->filled || in_stream)
		return;
	/*
	 * Who disconnects within a host has hung up when it has done so, and its word may stand behind what has not been taken
	 * in; so may what somebody waits to see read as far as the quota.
	 */
	if ((f->bulk.is_local && has_hung_up(f)) || f->arrived + in_socket(f) > f->told + f->quota)
		frames_drain(f);
}
