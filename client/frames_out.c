/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frames_out.c - frames that go out.
 *
 * Whoever waits to send takes in what comes meanwhile.  A frame that has left in part is completed before anything else
 * leaves: what an operation could not wait for is kept in `rest`, and counts as sent.  So does what has not begun to leave, as
 * far as it is to be kept.  What is kept leaves before anything else, by the next call that comes, or by frames_later.c.
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
#define TELL_PART 4		    /* of the quota */
#define STALLED_NS (10 * NS_PER_MS) /* without room in the socket: the other end does not read */

static void put_word(unsigned char *p, uint32_t w)
{
	p[0] = (unsigned char)(w >> 24);
	p[1] = (unsigned char)(w >> 16);
	p[2] = (unsigned char)(w >> 8);
	p[3] = (unsigned char)w;
}

/* --- The socket; with send_lock held ----------------------------------------------------------- */

/* What an operation comes to that had begun to send. */
static int gone_code(const struct frames *f)
{
	return f->peer == PEER_CLOSED	   ? IPC9_E_EOF
	    : f->peer == PEER_DISCONNECTED ? IPC9_E_NOTCONN
					   : IPC9_E_LOST;
}

/*
 * Nothing leaves any more.  Why, the other end may have said: that has come before, and whoever receives is about to see it.
 * One that takes nothing and says nothing would keep that one waiting, and us: behind what has come is the end, from here on.
 */
static int lose(struct frames *f)
{
	int r;

	shutdown(f->fd, SHUT_RD);
	pthread_mutex_lock(&f->lock);
	while (f->receiving && f->peer < PEER_CLOSED)
		pthread_cond_wait(&f->changed, &f->lock);
	frames_drain(f);
	if (f->peer < PEER_CLOSED)
		f->peer = PEER_LOST;
	frames_changed(f);
	pthread_cond_broadcast(&f->changed);
	r = gone_code(f);
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

/* --- Frames ------------------------------------------------------------------------------------ */

#define HEAD 8
#define DATA_HEAD 12

static void write_head(unsigned char at[HEAD], int kind, size_t size)
{
	put_word(at, 0x80000000u | (uint32_t)(4 + size));
	put_word(at + 4, (uint32_t)kind);
}

/* Of so many bytes, which follow, and what makes them a multiple of 4. */
static void write_data_head(unsigned char at[DATA_HEAD], size_t size)
{
	write_head(at, IPC9_PIPE_FRAME_DATA, 4 + size + (-size & 3));
	put_word(at + HEAD, (uint32_t)size);
}

static int put_head(struct gather *out, int kind, size_t size)
{
	unsigned char head[HEAD];

	write_head(head, kind, size);
	return gather_copy(out, head, sizeof(head));
}

static int put_data(struct gather *out, const void *data, size_t size)
{
	static const unsigned char zeros[3];
	unsigned char head[DATA_HEAD];
	size_t padding = -size & 3;

	write_data_head(head, size);
	if (gather_copy(out, head, sizeof(head)))
		return -ENOMEM;
	if (size < FRAMES_SHORT ? gather_copy(out, data, size)
				: gather_refer(out, data, size, NULL))
		return -ENOMEM;
	return padding ? gather_copy(out, zeros, padding) : 0;
}

/* --- What is kept; with send_lock held --------------------------------------------------------- */

static bool has_kept(const struct frames *f)
{
	return f->rest.size || f->bytes.size;
}

/* What may begin to leave later. */
static size_t room_to_keep(const struct frames *f)
{
	size_t kept = f->rest.size + f->bytes.size;

	return kept < f->kept_max ? f->kept_max - kept : 0;
}

static void note_kept(struct frames *f)
{
	atomic_store_explicit(&f->kept, has_kept(f), memory_order_seq_cst);
	if (has_kept(f)) {
		atomic_store_explicit(&f->blocked, true, memory_order_relaxed);
		frames_send_later(f);
	}
}

/* The socket has taken something, or nothing. */
static void note_sent(struct frames *f, ssize_t n)
{
	if (n > 0)
		atomic_store_explicit(&f->full_since, 0, memory_order_relaxed);
	else if (n == -EAGAIN && !atomic_load_explicit(&f->full_since, memory_order_relaxed))
		atomic_store_explicit(&f->full_since, clock_now(), memory_order_relaxed);
}

static bool is_stalled(const struct frames *f)
{
	int64_t since = atomic_load_explicit(&f->full_since, memory_order_relaxed);

	return since && clock_now() >= since + STALLED_NS;
}

/* Puts bytes that are in no frame into one. */
static int frame_bytes(struct frames *f)
{
	size_t size = f->bytes.size, padding = -size & 3;
	unsigned char *at;

	if (!size)
		return 0;
	at = gather_reserve(&f->rest, DATA_HEAD + size + padding);
	if (!at) {
		give_up(f); /* they count as sent */
		return -ENOMEM;
	}
	write_data_head(at, size);
	gather_copy_out(&f->bytes, at + DATA_HEAD);
	memset(at + DATA_HEAD + size, 0, padding);
	gather_clear(&f->bytes);
	return 0;
}

/* What is kept and has not begun to leave is void. */
static void drop_kept(struct frames *f)
{
	gather_leave_first(&f->rest);
	gather_clear(&f->bytes);
}

/* Sends of it what the socket takes; as gather_send. */
static ssize_t send_kept(struct frames *f)
{
	ssize_t n = 0, total = 0;
	int r = 0;

	while (has_kept(f) && !r && n >= 0) {
		if (!f->rest.size)
			r = frame_bytes(f);
		n = r ? r : gather_send(&f->rest, f->fd);
		note_sent(f, n);
		total += n > 0 ? n : 0;
		if (f->rest.size)
			break;
	}
	if (!has_kept(f))
		atomic_store_explicit(&f->kept, false, memory_order_seq_cst);
	return total ? total : n;
}

/* Keeps what is not to wait: a copy, as some of it is on the stack, or the caller's.  0; -ENOMEM, and nothing of it is kept. */
static int keep(struct frames *f, const struct gather *out)
{
	struct bytes *copy;
	unsigned char *at;
	int r = frame_bytes(f);

	if (r)
		return r;
	if (out->size < FRAMES_SHORT + HEADS_ON_STACK) { /* many short ones share a block */
		at = gather_reserve(&f->rest, out->size);
		if (at)
			gather_copy_out(out, at);
		r = at ? 0 : -ENOMEM;
	} else {
		copy = gather_flatten(out);
		r = copy ? gather_refer(&f->rest, copy->data, copy->size, copy) : -ENOMEM;
		bytes_unref(copy);
	}
	note_kept(f);
	return r;
}

/* The same for what has begun to leave. */
static int keep_begun(struct frames *f, const struct gather *out)
{
	if (!keep(f, out))
		return 0;
	give_up(f); /* half a frame is worth nothing */
	return IPC9_E_LOST;
}

/* Short pieces of a byte pipe that follow each other become one frame.  False: it is to go another way. */
static bool keep_bytes(struct frames *f, const void *data, size_t size)
{
	if (has_kept(f))
		send_kept(f); /* what is wrong shows to what comes next */
	if (!has_kept(f) || size >= FRAMES_SHORT || size > room_to_keep(f) ||
	    (f->bytes.size + size > IPC9_BLOB_MAX && frame_bytes(f)) ||
	    gather_copy(&f->bytes, data, size))
		return false;
	note_kept(f);
	return true;
}

/* --- Sending ----------------------------------------------------------------------------------- */

/* From when on what has not begun to leave is kept. */
static int64_t kept_from(const struct frames *f, enum frames_keep how, int64_t deadline)
{
	int64_t stalled = atomic_load_explicit(&f->full_since, memory_order_relaxed) + STALLED_NS;

	switch (how) {
	case KEEP_AT_ONCE:
		return 0;
	case KEEP_WHEN_STALLED:
		return deadline && deadline < stalled ? deadline : stalled;
	case KEEP_AT_LAST:
		return deadline;
	default:
		return CLOCK_NEVER;
	}
}

/* One operation's sending. */
struct sending {
	struct gather *out;
	enum frames_keep keep;
	unsigned cancels;
	int64_t deadline;
	bool begun; /* some of its frame has left */
};

/* The socket is full: 0, and *ret_over, when what is left is kept; IPC9_E_TIMEDOUT or another code: nothing has left. */
static int wait_or_keep(struct frames *f, struct sending *s, bool *ret_over)
{
	int64_t now = clock_now(), from = kept_from(f, s->keep, s->deadline);
	int r = now >= s->deadline ? IPC9_E_TIMEDOUT : check(f, s->cancels);

	*ret_over = true;
	if (r == IPC9_E_LOST)
		return r;
	if (r == IPC9_E_NOTCONN) { /* what has begun goes before the word that says so */
		if (s->begun)
			keep_begun(f, s->out);
		return r;
	}
	if (s->begun && r)
		return keep_begun(f, s->out);
	if ((!r || r == IPC9_E_TIMEDOUT) && now >= from && s->out->size <= room_to_keep(f))
		return keep(f, s->out);
	if (r) {
		atomic_store_explicit(&f->blocked, true, memory_order_relaxed);
		return r;
	}
	*ret_over = false;
	wait_to_send(f, now < from && from < s->deadline ? from : s->deadline);
	return 0;
}

/* Sends all of it, or keeps the rest: 0; IPC9_E_TIMEDOUT or another code: nothing has left. */
static int send_all(struct frames *f, struct sending *s)
{
	bool over = false;
	int r = 0;

	while (s->out->size && !over) {
		bool own = !has_kept(f);
		ssize_t n = own ? gather_send(s->out, f->fd) : send_kept(f);

		note_sent(f, n);
		if (n > 0) {
			atomic_store_explicit(&f->blocked, false, memory_order_relaxed);
			s->begun |= own;
			continue;
		}
		if (n != -EAGAIN)
			return lose(f);
		r = wait_or_keep(f, s, &over);
	}
	return r;
}

int frames_finish(struct frames *f, unsigned cancels, int64_t deadline)
{
	int r = 0;

	if (!lock_to_send(f, deadline))
		return IPC9_E_TIMEDOUT;
	while (!r && has_kept(f)) {
		ssize_t n = send_kept(f);

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

int frames_settle(struct frames *f, unsigned cancels)
{
	int r = frames_finish(f, cancels, 0);

	return r == IPC9_E_TIMEDOUT && is_stalled(f) ? 0 : r;
}

bool frames_push(struct frames *f)
{
	ssize_t n = 0;

	if (pthread_mutex_trylock(&f->send_lock))
		return false; /* whoever has it sends that first */
	if (has_kept(f))
		n = send_kept(f);
	if (n < 0 && n != -EAGAIN) { /* what is wrong shows to whoever receives */
		gather_clear(&f->rest);
		gather_clear(&f->bytes);
		atomic_store_explicit(&f->kept, false, memory_order_seq_cst);
	}
	if (!has_kept(f))
		atomic_store_explicit(&f->blocked, false, memory_order_relaxed);
	pthread_mutex_unlock(&f->send_lock);
	frames_tell(f);
	return true;
}

/* send_lock for data: whoever has it lets go of it soon, also for somebody who does not wait. */
static bool lock_for_data(struct frames *f, int64_t deadline)
{
	int64_t soon;

	if (!pthread_mutex_trylock(&f->send_lock))
		return true;
	soon = clock_deadline_ms(LOOK_AGAIN_MS);
	return lock_to_send(f, deadline > soon ? deadline : soon);
}

/* Why nothing may be sent behind what was said, or 0: somebody said it since the operation last looked.  With send_lock held. */
static int check_said(const struct frames *f)
{
	return f->said & 1u << IPC9_PIPE_FRAME_DISCONNECT ? IPC9_E_NOTCONN
	    : f->said					  ? IPC9_E_BADSTATE
							  : 0;
}

int frames_send_data(struct frames *f, const void *data, size_t size, bool message,
    enum frames_keep keep, unsigned cancels, int64_t deadline)
{
	BYTES_ON_STACK(block, FRAMES_SHORT + HEADS_ON_STACK);
	struct gather out;
	struct sending sending = { &out, keep, cancels, deadline, false };
	int r = 0;

	frames_break_stream(f);
	gather_init(&out);
	gather_lend(&out, block);
	if (size || !message)
		r = put_data(&out, data, size);
	if (!r && message)
		r = put_head(&out, IPC9_PIPE_FRAME_MSG_END, 0);
	if (!r && !lock_for_data(f, deadline)) {
		r = IPC9_E_TIMEDOUT;
	} else if (!r) {
		r = check_said(f);
		if (!r && (message || keep != KEEP_AT_ONCE || !keep_bytes(f, data, size)))
			r = send_all(f, &sending);
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
	write_head(t->heads + t->used, kind, size);
	t->used += HEAD;
	t->size += HEAD;
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
		r = keep_begun(f, &part);
	gather_clear(&part);
	return r ? IPC9_E_LOST : 0;
}

/* With send_lock held. */
static int train_send(struct frames *f, struct train *t, size_t *ret_n)
{
	struct msghdr msg = { .msg_iov = t->iov, .msg_iovlen = t->n_iov };
	size_t begun = 0, n = 0, last = 0;
	ssize_t sent = 0;

	if (has_kept(f))
		send_kept(f); /* what is wrong shows to what comes next */
	if (!has_kept(f) && t->size) {
		sent = sendmsg(f->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return lose(f);
		note_sent(f, sent);
		if (sent < (ssize_t)t->size)
			note_sent(f, -EAGAIN);
	}
	if (sent > 0)
		begun = (size_t)sent;
	atomic_store_explicit(&f->blocked, begun < t->size, memory_order_relaxed);
	while (n < *ret_n && t->ends[n] <= begun)
		n++;
	if (n < *ret_n && is_stalled(f) && t->size - begun <= room_to_keep(f))
		last = *ret_n; /* nobody knows when the socket takes the next one */
	else if (n < *ret_n && begun > (n ? t->ends[n - 1] : 0))
		last = n + 1;
	if (last > n) {
		int r = train_keep(f, t, begun, t->ends[last - 1]);

		n = last;

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
	if (!r && has_kept(f))
		n = send_kept(f);
	/* What goes at once takes no memory. */
	if (!r && !has_kept(f) && n >= 0)
		n = gather_send(&out, f->fd);
	if (!r && out.size && (n >= 0 || n == -EAGAIN))
		r = keep_begun(f, &out);
	gather_clear(&out);
	if (r)
		return r;
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
	    (f->words & 1u << IPC9_PIPE_FRAME_CLOSE ||
		f->consumed - f->told >= f->quota / TELL_PART || completes_write(f, 0) ||
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
	/* Somebody who writes and does not read must not make us keep ever more of these. */
	uint64_t n = room_to_keep(f) ? due(f) : 0;
	unsigned words = take_words(f);

	if (n)
		send_word(f, IPC9_PIPE_FRAME_CONSUMED, n);
	f->said |= words;
	if (words & 1u << IPC9_PIPE_FRAME_DISCONNECT)
		drop_kept(f);
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
