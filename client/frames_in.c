/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frames_in.c - frames that come in: from the socket into the queue, or straight to whoever reads.
 *
 * A frame is taken apart as its bytes come.  What it announces is compared with the window before anything is set aside for
 * it.  Long payload is received where it is to stay: one receive is laid out as if the frames to come were as long as the
 * last one, heads apart and payload side by side, and only what turns out otherwise is moved.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "client/frames_state.h"
#include "util/clock.h"

#define DIRECT_MIN 8192	  /* payload of so many bytes is received where it is to stay */
#define CHUNK_MIN 16384	  /* small frames of a byte pipe share one */
#define CHUNKS_MAX 65536  /* empty messages cost memory, too */
#define HEAD_MIN 8	  /* mark and kind */
#define DATA_HEAD 12	  /* these, and how many bytes follow */
#define AHEAD_MAX 16	  /* frames that one receive is laid out for */
#define STREAM_RECEIVES 8 /* of long frames in a row are a stream */
#define STREAM_BYTES 262144
#define STREAM_WAIT_US 300 /* longer than this its next bytes are not waited for together */
#define SLICE_MS 1000	   /* a sleeper looks whether the peer is still there */

static uint32_t word_at(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

void frames_in_init(struct frames *f)
{
	list_init(&f->chunks);
	list_init(&f->partial);
	f->head_size = HEAD_MIN;
	bulk_init(&f->bulk, f->fd);
}

static void free_chunks(struct list *chunks)
{
	LIST_FOR_EACH (link, chunks) {
		list_remove(link);
		free(LIST_ENTRY(link, struct chunk, link));
	}
}

void frames_in_clear(struct frames *f)
{
	free_chunks(&f->chunks);
	free_chunks(&f->partial);
	free(f->scratch);
}

void frames_drop(struct frames *f)
{
	/* The one that is being filled stays, in no list, until its frame has ended. */
	if (f->chunk)
		list_remove(&f->chunk->link);
	free_chunks(&f->chunks);
	free_chunks(&f->partial);
	if (f->chunk)
		list_append(&f->partial, &f->chunk->link);
	f->queued = 0;
	f->n_chunks = 0;
	f->partial_bytes = 0;
}

/* --- Taking apart; with lock held -------------------------------------------------------------- */

static bool is_message_pipe(const struct frames *f)
{
	return f->type == IPC9_PIPE_TYPE_MESSAGE;
}

/* A new chunk at the end of where the payload at hand belongs. */
static struct chunk *add_chunk(struct frames *f, size_t capacity)
{
	struct chunk *k = malloc(sizeof(*k) + capacity);

	if (!k)
		return NULL;
	*k = (struct chunk){ .capacity = capacity };
	list_append(is_message_pipe(f) ? &f->partial : &f->chunks, &k->link);
	f->n_chunks += !is_message_pipe(f);
	return k;
}

/* The last chunk, if so many bytes fit behind what it has. */
static struct chunk *chunk_with_room(struct frames *f, size_t size)
{
	struct list *chunks = is_message_pipe(f) ? &f->partial : &f->chunks;
	struct chunk *k = LIST_ENTRY(chunks->prev, struct chunk, link);

	return !list_is_empty(chunks) && k->capacity - k->end >= size ? k : NULL;
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

/* Puts bytes to where they are to stay, unless they were received there. */
static void place(unsigned char *at, const unsigned char *data, size_t n)
{
	if (at != data)
		memmove(at, data, n);
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

/* Many small frames share a chunk, also those of one message; but most messages are one frame. */
static bool has_room_of_its_own(const struct frames *f)
{
	return f->left > CHUNK_MIN || (is_message_pipe(f) && list_is_empty(&f->partial));
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
	k = f->chunk ? f->chunk : chunk_with_room(f, size);
	if (!k)
		k = add_chunk(f, has_room_of_its_own(f) ? f->left : CHUNK_MIN);
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

static int end_message(struct frames *f)
{
	struct chunk *last;

	if (list_is_empty(&f->partial) && !add_chunk(f, 0))
		return -ENOMEM;
	last = LIST_ENTRY(f->partial.prev, struct chunk, link);
	last->ends_message = true;
	f->partial_bytes = 0;
	LIST_FOR_EACH (link, &f->partial) {
		list_remove(link);
		list_append(&f->chunks, link);
		f->queued += LIST_ENTRY(link, struct chunk, link)->end;
		f->n_chunks++;
	}
	return 0;
}

static int take_consumed(struct frames *f)
{
	uint64_t n = (uint64_t)word_at(f->head + 8) << 32 | word_at(f->head + 12);

	if (n < f->taken || n > f->sent)
		return -EPROTO;
	f->taken = n;
	return 0;
}

static void disconnect(struct frames *f)
{
	f->peer = PEER_DISCONNECTED;
	frames_drop(f);
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
		return is_message_pipe(f) && f->peer == PEER_OPEN ? end_message(f) : -EPROTO;
	case IPC9_PIPE_FRAME_CONSUMED:
		return take_consumed(f);
	case IPC9_PIPE_FRAME_END:
		if (f->peer == PEER_OPEN)
			f->peer = PEER_ENDED;
		return 0;
	case IPC9_PIPE_FRAME_CLOSE:
		if (f->peer < PEER_CLOSED)
			f->peer = PEER_CLOSED;
		return 0;
	default: /* DISCONNECT; see head_size_of */
		if (f->server)
			return -EPROTO; /* a client cannot */
		disconnect(f);
		return 0;
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

/* Room for the padding behind so many bytes and a head of which n_head bytes have come. */
static void add_head(struct layout *l, size_t padding, size_t n_head)
{
	add_place(l, l->heads[l->n_heads++], padding + DATA_HEAD - n_head);
}

/* Into the reader's buffer: the payload at hand, and what follows as if it were frames like the last one. */
static void lay_out_direct(const struct frames *f, const struct frames_direct *direct,
    struct layout *l)
{
	size_t room = direct->room - direct->n, len = f->left, padding = f->padding;
	size_t n_head = f->n_head < DATA_HEAD ? f->n_head : 0;
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
		f->chunk = add_chunk(f, f->left);
	if (!f->chunk)
		return; /* and when the scratch's copy finds no memory either, the end comes */
	add_place(l, f->chunk->data + f->chunk->end, f->left);
	add_head(l, f->padding, 0);
}

static void lay_out(struct frames *f, const struct frames_direct *direct, struct layout *l)
{
	l->n = l->n_heads = 0;
	if (is_direct(f, direct) && direct->room - direct->n >= DIRECT_MIN &&
	    f->last_len >= DIRECT_MIN)
		lay_out_direct(f, direct, l);
	else if (f->left >= DIRECT_MIN || f->chunk)
		lay_out_chunk(f, l);
	if (!l->n)
		add_place(l, f->scratch, FRAMES_SCRATCH);
}

/* Whether what was received to there is what that place is for. */
static bool is_as_laid_out(const struct frames *f, const struct frames_direct *direct,
    const struct layout *l, const unsigned char *at)
{
	const unsigned char *heads = l->heads[0];

	if (at >= heads && at < heads + sizeof(l->heads))
		return !f->left;
	return f->left && (!is_direct(f, direct) || at == direct->at + direct->n);
}

/* The rest of a receive, from a place on, where the frames were others: in order, out of the way of what it becomes. */
static int feed_moved(struct frames *f, struct frames_direct *direct, const struct iovec *iov,
    size_t size)
{
	unsigned char *copy = malloc(size), *at = copy;
	size_t left = size;
	int r;

	if (!copy)
		return -ENOMEM;
	for (; left; iov++) {
		size_t n = left < iov->iov_len ? left : iov->iov_len;

		memcpy(at, iov->iov_base, n);
		at += n;
		left -= n;
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

		if (i && !is_as_laid_out(f, direct, l, v->iov_base))
			return feed_moved(f, direct, v, size);
		r = feed(f, direct, v->iov_base, n);
		size -= n;
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
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	pthread_mutex_lock(&f->lock);
	if (n <= 0)
		end_stream(f);
	else if (!is_over(f)) /* which this end may have come to meanwhile */
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
	return 1;
}

/* --- Waiting ----------------------------------------------------------------------------------- */

/* With lock held. */
static bool may_receive(const struct frames *f)
{
	return !f->receiving && f->n_chunks < CHUNKS_MAX && f->peer < PEER_CLOSED;
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
		f->receiving = true;
		pthread_mutex_unlock(&f->lock);
		r = late ? frames_receive(f, direct) : receive_until(f, direct, deadline);
		pthread_mutex_lock(&f->lock);
		f->receiving = false;
		pthread_cond_broadcast(&f->changed);
	} else if (!late) {
		wait_for_others(f, deadline);
	}
	if (r < 0)
		return r;
	return late && !r ? IPC9_E_TIMEDOUT : 0;
}

static void receive_times(struct frames *f, unsigned times)
{
	int r = 1;

	if (!may_receive(f))
		return;
	f->receiving = true;
	while (r > 0 && times-- && f->n_chunks < CHUNKS_MAX && f->peer < PEER_CLOSED) {
		pthread_mutex_unlock(&f->lock);
		r = frames_receive(f, NULL);
		pthread_mutex_lock(&f->lock);
	}
	f->receiving = false;
	pthread_cond_broadcast(&f->changed);
}

void frames_drain(struct frames *f)
{
	receive_times(f, UINT_MAX);
}

void frames_look(struct frames *f)
{
	receive_times(f, 1);
}

bool frames_is_full(const struct frames *f)
{
	return f->n_chunks >= CHUNKS_MAX;
}
