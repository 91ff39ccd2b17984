/* SPDX-License-Identifier: BSD-3-Clause */
/* frames.c - a pipe's end over frames: its states and operations.  See frames.h. */
#include "client/frames.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/frames_state.h"
#include "util/clock.h"

#define LINGER_SLICE_MS 10
#define LINGER_RECEIVES 64
#define END_MS 1000	  /* that the end of writing may wait for room in the socket */
#define MESSAGE_HEADS 23u /* what a message takes at most beside its bytes */

static struct frames *frames_of(struct carrier *c)
{
	return (struct frames *)(void *)c;
}

/* --- An operation's beginning and end; with lock held ------------------------------------------ */

/* What n_cancels is when nobody cancels it. */
static unsigned begin(struct frames *f)
{
	pthread_mutex_lock(&f->lock);
	f->n_active++;
	return f->n_cancels;
}

/* cancels: what begin returned.  Sleepers are woken until the last one that was meant has gone. */
static int finish(struct frames *f, unsigned cancels, int r)
{
	uint64_t n;

	f->n_active--;
	f->n_stale -= cancels != f->n_cancels && f->n_stale;
	if (f->woken && !f->n_stale && f->peer < PEER_CLOSED) {
		(void)!read(atomic_load_explicit(&f->wake, memory_order_relaxed), &n, sizeof(n));
		f->woken = false;
	}
	pthread_mutex_unlock(&f->lock);
	return r;
}

/* --- Reading ----------------------------------------------------------------------------------- */

/* Why nothing can come any more, or 0. */
static int no_more(const struct frames *f)
{
	switch (f->peer) {
	case PEER_OPEN:
		return 0;
	case PEER_ENDED:
	case PEER_CLOSED:
		return IPC9_E_EOF;
	case PEER_DISCONNECTED:
		return IPC9_E_NOTCONN;
	case PEER_LOST:
		return f->no_memory ? -ENOMEM : IPC9_E_LOST;
	}
	return IPC9_E_LOST;
}

/* Whether the message that was read has more. */
static bool take(struct frames *f, void *buffer, size_t size, bool message, size_t *ret_size)
{
	if (message && f->type == IPC9_PIPE_TYPE_MESSAGE)
		return frames_queue_take_message(f, buffer, size, ret_size);
	*ret_size = frames_queue_take(f, buffer, size);
	return false;
}

static int frames_read(struct carrier *c, void *buffer, size_t size, bool message, int64_t deadline,
    size_t *ret_size, bool *ret_more)
{
	struct frames *f = frames_of(c);
	/* Bytes for somebody who asks for some may go straight there. */
	struct frames_direct direct = { buffer, size, 0 };
	bool may_direct = size && f->type == IPC9_PIPE_TYPE_BYTE;
	unsigned cancels = begin(f);
	int r = 0;

	*ret_more = false;
	if (frames_is_readable(f))
		frames_catch_up(f, false);
	while (!frames_is_readable(f) && !direct.n && !r) {
		r = no_more(f);
		if (!r)
			r = frames_wait(f, may_direct ? &direct : NULL, cancels, deadline);
		if (direct.n || frames_is_readable(f))
			frames_catch_up(f, true);
		if (f->peer == PEER_DISCONNECTED)
			direct.n = 0;
	}
	if (direct.n) { /* nothing was queued before it came */
		*ret_size = direct.n;
		f->consumed += direct.n;
		r = 0;
	} else if (frames_is_readable(f)) {
		*ret_more = take(f, buffer, size, message, ret_size);
		r = 0;
	} else if (r == IPC9_E_TIMEDOUT && no_more(f)) {
		r = no_more(f);
	}
	r = finish(f, cancels, r);
	if (!r)
		frames_tell(f);
	return r;
}

static int frames_peek(struct carrier *c, void *buffer, size_t size, struct carrier_waiting *ret)
{
	struct frames *f = frames_of(c);
	unsigned cancels = begin(f);
	int r = 0;

	frames_drain(f);
	frames_queue_peek(f, buffer, size, ret);
	if (!ret->message)
		r = no_more(f);
	return finish(f, cancels, r);
}

static int frames_wait_closed(struct carrier *c, int64_t deadline)
{
	struct frames *f = frames_of(c);
	unsigned cancels = begin(f);
	int r = 0;

	while (f->peer < PEER_CLOSED && !r)
		r = frames_wait(f, NULL, cancels, deadline);
	if (f->peer >= PEER_CLOSED)
		r = f->peer == PEER_CLOSED ? 0 : no_more(f);
	return finish(f, cancels, r);
}

/* --- Writing ----------------------------------------------------------------------------------- */

/* Why nothing can be written any more, or 0. */
static int no_write(const struct frames *f)
{
	if (f->peer == PEER_CLOSED)
		return IPC9_E_PEERCLOSED;
	if (f->peer > PEER_CLOSED)
		return no_more(f);
	return f->ended ? IPC9_E_BADSTATE : 0;
}

/* The same for somebody who has begun. */
static int cut_off(const struct frames *f)
{
	return f->peer == PEER_CLOSED ? IPC9_E_EOF : no_write(f);
}

static uint64_t unread(const struct frames *f)
{
	return f->sent - f->taken;
}

/* Waits until no more than so many bytes are unread over there. */
static int wait_unread(struct frames *f, uint64_t bytes, unsigned cancels, int64_t deadline)
{
	int r = 0;

	while (unread(f) > bytes && !r) {
		r = cut_off(f);
		if (!r)
			r = frames_wait(f, NULL, cancels, deadline);
	}
	if (unread(f) <= bytes)
		return 0;
	return r == IPC9_E_TIMEDOUT && cut_off(f) ? cut_off(f) : r;
}

/*
 * A write under way.  Whoever does not wait at all comes again with the same data, deadline 0, unless it is to be taken now or
 * never: that needs no copy of what finds no room in the socket, as long as the other end reads.
 */
struct writing {
	enum carrier_write how;
	unsigned cancels;
	int64_t deadline;
};

/* When what has been counted as sent is kept. */
static enum frames_keep keeping(const struct frames *f, const struct writing *w, size_t size)
{
	if (w->how == CARRIER_FITTING || w->how == CARRIER_PART)
		return KEEP_AT_ONCE;
	if (unread(f) <= f->quota || w->how == CARRIER_QUEUED)
		return w->deadline && size < FRAMES_SHORT ? KEEP_AT_ONCE : KEEP_WHEN_STALLED;
	return w->deadline && f->type == IPC9_PIPE_TYPE_MESSAGE ? KEEP_AT_LAST : KEEP_BEGUN;
}

/* For whoever comes again: it is not over while something is kept that its next call can send. */
static int settle(struct frames *f, const struct writing *w)
{
	int r;

	if (w->deadline || !atomic_load_explicit(&f->kept, memory_order_relaxed))
		return 0;
	pthread_mutex_unlock(&f->lock);
	r = frames_settle(f, w->cancels);
	pthread_mutex_lock(&f->lock);
	return r;
}

/* What had been counted as sent has not left: there is room again, of which nothing that comes tells. */
static void take_back(struct frames *f, size_t size)
{
	f->sent -= size;
	frames_changed(f);
}

/* Sends one frame's worth, which fits the window. */
static int send_piece(struct frames *f, const unsigned char *data, size_t size,
    const struct writing *w, size_t *written)
{
	enum frames_keep keep;
	int r;

	f->sent += size;
	keep = keeping(f, w, size);
	pthread_mutex_unlock(&f->lock);
	r = frames_send_data(f, data, size, f->type == IPC9_PIPE_TYPE_MESSAGE, keep, w->cancels,
	    w->deadline);
	pthread_mutex_lock(&f->lock);
	if (r)
		take_back(f, size);
	else
		*written += size;
	if (r == IPC9_E_TIMEDOUT) /* also when it was another thread that kept it from sending */
		atomic_store_explicit(&f->blocked, true, memory_order_relaxed);
	return r;
}

static int write_bytes(struct frames *f, const unsigned char *data, size_t size,
    const struct writing *w, size_t *written)
{
	int r = 0;

	while (*written < size && !r) {
		size_t piece = size - *written < IPC9_BLOB_MAX ? size - *written : IPC9_BLOB_MAX;

		r = wait_unread(f, f->window - 1, w->cancels, w->deadline);
		if (!r && piece > f->window - unread(f))
			piece = (size_t)(f->window - unread(f));
		/* What fits the quota does not share the fate of what does not, where that is another one. */
		if (!r && w->how != CARRIER_QUEUED && unread(f) < f->quota &&
		    piece > f->quota - unread(f) &&
		    atomic_load_explicit(&f->kept, memory_order_relaxed))
			piece = (size_t)(f->quota - unread(f));
		if (!r)
			r = cut_off(f);
		if (!r)
			r = send_piece(f, data + *written, piece, w, written);
	}
	return r;
}

static int write_message(struct frames *f, const void *data, size_t size, const struct writing *w,
    size_t *written)
{
	int r = wait_unread(f, f->window - size, w->cancels, w->deadline);

	return r ? r : send_piece(f, data, size, w, written);
}

/* How much of a write is taken that does not wait. */
static size_t fitting(const struct frames *f, size_t size, enum carrier_write how)
{
	uint64_t room = unread(f) < f->quota ? f->quota - unread(f) : 0;

	if (size <= room)
		return size;
	return how == CARRIER_PART && f->type == IPC9_PIPE_TYPE_BYTE ? (size_t)room : 0;
}

static int frames_write(struct carrier *c, const void *data, size_t size, enum carrier_write how,
    int64_t deadline, size_t *ret_written)
{
	struct frames *f = frames_of(c);
	bool message = f->type == IPC9_PIPE_TYPE_MESSAGE;
	bool now = how == CARRIER_FITTING || how == CARRIER_PART;
	struct writing w = { how, begin(f), now ? 0 : deadline };
	int r;

	*ret_written = 0;
	if (now)
		frames_drain(f); /* what was read over there, as far as we were told */
	r = no_write(f);
	if (!r && now) {
		bool whole = fitting(f, size, how) == size;

		size = fitting(f, size, how);
		if (!whole && (message || !size))
			return finish(f, w.cancels, IPC9_E_WOULDBLOCK);
	}
	if (!r)
		r = message ? write_message(f, data, size, &w, ret_written)
			    : write_bytes(f, data, size, &w, ret_written);
	if (now && r == IPC9_E_TIMEDOUT &&
	    !*ret_written) /* that no bytes were taken says nothing */
		r = size ? IPC9_E_WOULDBLOCK : IPC9_E_QUOTA;
	if (!r && how == CARRIER_WHOLE && size) { /* an empty message does not wait */
		r = settle(f, &w);
		if (!r)
			r = wait_unread(f, f->quota, w.cancels, w.deadline);
	}
	return finish(f, w.cancels, r);
}

/* How many of n pieces fit the quota, and their bytes. */
static size_t fitting_together(const struct frames *f, const struct iovec *pieces, size_t n,
    size_t *ret_bytes)
{
	uint64_t room = unread(f) < f->quota ? f->quota - unread(f) : 0;
	size_t bytes = 0, k = 0;

	while (k < n && pieces[k].iov_len <= room - bytes)
		bytes += pieces[k++].iov_len;
	*ret_bytes = bytes;
	return k;
}

static int frames_write_together(struct carrier *c, const struct iovec *pieces, size_t n,
    size_t *ret_n)
{
	struct frames *f = frames_of(c);
	unsigned cancels = begin(f);
	size_t bytes, k, taken = 0;
	int r;

	*ret_n = 0;
	if (fitting_together(f, pieces, n, &bytes) < n)
		frames_drain(f); /* what was read over there, as far as we were told */
	k = fitting_together(f, pieces, n, &bytes);
	r = no_write(f);
	if (!r && !k)
		r = IPC9_E_TIMEDOUT;
	if (r)
		return finish(f, cancels, r);
	f->sent += bytes;
	pthread_mutex_unlock(&f->lock);
	r = frames_send_together(f, pieces, k, f->type == IPC9_PIPE_TYPE_MESSAGE, &taken);
	if (r == IPC9_E_TIMEDOUT)
		atomic_store_explicit(&f->blocked, true, memory_order_relaxed);
	pthread_mutex_lock(&f->lock);
	for (size_t i = taken; i < k; i++)
		take_back(f, pieces[i].iov_len);
	*ret_n = taken;
	return finish(f, cancels, r);
}

static int frames_room(struct carrier *c, bool quota, int64_t deadline)
{
	struct frames *f = frames_of(c);
	const struct writing w = { CARRIER_WHOLE, begin(f), deadline };
	int r = settle(f, &w);

	return finish(f, w.cancels,
	    r || !quota ? r : wait_unread(f, f->quota, w.cancels, deadline));
}

static int frames_flush(struct carrier *c, int64_t deadline)
{
	struct frames *f = frames_of(c);
	unsigned cancels = begin(f);
	int r = 0;

	frames_drain(f);
	if (f->peer == PEER_DISCONNECTED || f->peer == PEER_LOST)
		r = no_more(f);
	else if (f->peer != PEER_CLOSED)
		r = wait_unread(f, 0, cancels, deadline);
	return finish(f, cancels, r);
}

static int frames_end(struct carrier *c)
{
	struct frames *f = frames_of(c);
	unsigned cancels;
	int r;

	cancels = begin(f);
	r = no_write(f);
	if (!r)
		f->ended = true;
	finish(f, cancels, 0);
	if (!r)
		frames_send_word(f, IPC9_PIPE_FRAME_END);
	/* To say it twice does no harm, nor to say it to somebody who has closed. */
	if (r)
		return r == IPC9_E_BADSTATE || r == IPC9_E_PEERCLOSED ? 0 : r;
	return frames_finish(f, cancels, 0) == IPC9_E_LOST ? IPC9_E_LOST : 0;
}

/* --- Telling ----------------------------------------------------------------------------------- */

/* Whether a send that could not wait found no room in the socket, and there still is none. */
static bool is_full(struct frames *f)
{
	struct pollfd p = { .fd = f->fd, .events = POLLOUT };
	bool full = true;

	if (!atomic_load_explicit(&f->blocked, memory_order_relaxed))
		return false;
	/* What does not wait needs not be cancelled. */
	if (frames_finish(f, 0, 0) == IPC9_E_TIMEDOUT || pthread_mutex_trylock(&f->send_lock))
		return true;
	/* Under the lock nobody keeps anything meanwhile. */
	full = atomic_load_explicit(&f->kept, memory_order_relaxed) || poll(&p, 1, 0) == 0;
	if (!full)
		atomic_store_explicit(&f->blocked, false, memory_order_relaxed);
	pthread_mutex_unlock(&f->send_lock);
	frames_tell(f);
	return full;
}

/* With lock held. */
static unsigned events_now(const struct frames *f)
{
	unsigned events = 0;

	if (frames_is_readable(f) || no_more(f))
		events |= CARRIER_READABLE;
	/* A write that was taken is complete as soon as the quota is kept, be it to the last byte. */
	if (unread(f) <= f->quota || no_write(f))
		events |= CARRIER_WRITABLE;
	if (f->peer >= PEER_CLOSED)
		events |= CARRIER_CLOSED;
	return events;
}

void frames_changed(struct frames *f)
{
	if (!f->armed || !(events_now(f) & f->armed))
		return;
	f->armed = 0;
	if (f->carrier.changed)
		f->carrier.changed(f->carrier.context);
}

static unsigned frames_events(struct carrier *c, unsigned wanted)
{
	struct frames *f = frames_of(c);
	bool full = wanted && is_full(f);
	unsigned cancels = begin(f), events = 0;

	f->armed = 0;
	/* Also where another thread finds room from now on: then the socket says so at once. */
	atomic_store_explicit(&f->awaits_room, full, memory_order_relaxed);
	if (wanted) {
		frames_drain(f);
		bulk_expect(&f->bulk, f->fd, 0, false);
		events = events_now(f);
		if (full && !no_write(f))
			events &= ~(unsigned)CARRIER_WRITABLE;
	}
	/* What others take in, they tell; that the socket has room again shows there. */
	if (!(events & wanted))
		f->armed = wanted;
	finish(f, cancels, 0);
	return events;
}

static int frames_peer(struct carrier *c)
{
	struct frames *f = frames_of(c);
	unsigned cancels;

	cancels = begin(f);
	frames_drain(f);
	return finish(f, cancels,
	    f->peer == PEER_CLOSED	? IPC9_E_PEERCLOSED
		: f->peer > PEER_CLOSED ? no_more(f)
					: 0);
}

static uint64_t frames_unread(struct carrier *c)
{
	struct frames *f = frames_of(c);
	unsigned cancels;
	uint64_t n;

	cancels = begin(f);
	frames_drain(f);
	n = unread(f);
	finish(f, cancels, 0);
	return n;
}

static int frames_fd(const struct carrier *c, short *ret_poll)
{
	const struct frames *f = (const struct frames *)(const void *)c;

	*ret_poll = (short)(POLLIN |
	    (atomic_load_explicit(&f->blocked, memory_order_relaxed) ||
			atomic_load_explicit(&f->awaits_room, memory_order_relaxed)
		    ? POLLOUT
		    : 0));
	return f->fd;
}

/* --- Ending ------------------------------------------------------------------------------------ */

static void frames_cancel(struct carrier *c)
{
	struct frames *f = frames_of(c);

	pthread_mutex_lock(&f->lock);
	f->n_cancels++;
	f->n_stale = f->n_active;
	if (f->n_active)
		frames_wake(f);
	pthread_mutex_unlock(&f->lock);
}

static void frames_disconnect(struct carrier *c)
{
	struct frames *f = frames_of(c);
	bool tell;

	/* The state first: whatever the other end does when it hears of it is too late. */
	pthread_mutex_lock(&f->lock);
	tell = f->peer < PEER_CLOSED;
	if (f->peer != PEER_LOST)
		f->peer = PEER_DISCONNECTED;
	frames_drop(f);
	frames_wake(f);
	pthread_mutex_unlock(&f->lock);
	if (tell)
		frames_send_word(f, IPC9_PIPE_FRAME_DISCONNECT);
}

static void frames_abort(struct carrier *c)
{
	struct frames *f = frames_of(c);

	pthread_mutex_lock(&f->lock);
	f->peer = PEER_LOST;
	frames_drop(f);
	frames_wake(f);
	pthread_mutex_unlock(&f->lock);
	shutdown(f->fd, SHUT_RDWR);
}

void frames_free(struct frames *f)
{
	int wake = atomic_load_explicit(&f->wake, memory_order_relaxed);

	close(f->fd);
	if (wake >= 0)
		close(wake);
	frames_in_clear(f);
	gather_clear(&f->rest);
	gather_clear(&f->bytes);
	pthread_cond_destroy(&f->changed);
	pthread_mutex_destroy(&f->lock);
	pthread_mutex_destroy(&f->send_lock);
	free(f);
}

bool frames_has_vanished(const struct frames *f)
{
	return f->is_tcp && socket_has_vanished(f->fd, f->vanished_ms);
}

/*
 * Data that has not left this host yet is lost if something arrives after the socket was closed (a reset says so, and takes it
 * along).  So what comes is thrown away until all of ours has arrived.
 */
bool frames_leave(struct frames *f, bool *ret_more)
{
	unsigned char bin[4096];
	int r = frames_finish(f, f->n_cancels, 0);
	ssize_t n;

	if (r && r != IPC9_E_TIMEDOUT)
		return true;
	if (!r)
		shutdown(f->fd, SHUT_WR);
	for (int i = 0; i < LINGER_RECEIVES; i++) {
		n = recv(f->fd, bin, sizeof(bin), MSG_DONTWAIT);
		if (n <= 0)
			break;
	}
	*ret_more =
	    n != 0; /* else the other end has gone as well, and the socket is readable for ever */
	return !r && !(f->is_tcp && socket_is_sending(f->fd));
}

/* Whether all has left by the deadline. */
static bool linger(struct frames *f, int64_t deadline)
{
	bool is_over, more;

	/* Nobody else uses it any more. */
	frames_finish(f, f->n_cancels, deadline);
	while (!(is_over = frames_leave(f, &more)) && clock_now() < deadline) {
		struct pollfd p = { .fd = f->fd, .events = POLLIN };

		poll(&p, more, more ? LINGER_SLICE_MS : 1);
	}
	return is_over;
}

static void frames_close(struct carrier *c, int64_t deadline)
{
	struct frames *f = frames_of(c);
	enum frames_peer peer;

	pthread_mutex_lock(&f->lock);
	f->armed = 0;
	peer = f->peer;
	pthread_mutex_unlock(&f->lock);
	if (peer < PEER_CLOSED)
		frames_send_word(f, IPC9_PIPE_FRAME_CLOSE);
	frames_forget(f);
	/* A reader that takes its time has what was written to it as long as this process lives. */
	if (peer == PEER_CLOSED || peer == PEER_LOST || linger(f, deadline) || !frames_linger(f))
		frames_free(f);
}

/* --- Life -------------------------------------------------------------------------------------- */

static const struct carrier_ops ops = {
	.name = "frames",
	.read = frames_read,
	.write = frames_write,
	.write_together = frames_write_together,
	.peek = frames_peek,
	.flush = frames_flush,
	.room = frames_room,
	.end = frames_end,
	.wait_closed = frames_wait_closed,
	.events = frames_events,
	.peer = frames_peer,
	.unread = frames_unread,
	.fd = frames_fd,
	.disconnect = frames_disconnect,
	.cancel = frames_cancel,
	.abort = frames_abort,
	.close = frames_close,
};

int frames_new(int fd, bool server, enum ipc9_pipe_type type, uint32_t quota, struct carrier **ret)
{
	struct frames *f = calloc(1, sizeof(*f));
	pthread_condattr_t monotonic;

	if (!f)
		return -ENOMEM;
	f->carrier.ops = &ops;
	f->fd = fd;
	atomic_init(&f->wake, -1);
	f->may_be_thrown_out = !server;
	f->type = type;
	f->quota = quota;
	f->window = (uint64_t)quota + IPC9_BLOB_MAX;
	f->kept_max = (size_t)f->window + CARRIER_MESSAGES * MESSAGE_HEADS;
	gather_init(&f->rest);
	gather_init(&f->bytes);
	frames_in_init(f);
	f->is_tcp = !f->bulk.is_local;
	if (f->is_tcp)
		f->vanished_ms = socket_tune_pipe(fd);
	pthread_mutex_init(&f->send_lock, NULL);
	pthread_mutex_init(&f->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&f->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	*ret = &f->carrier;
	return 0;
}
