/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connection.c - one accepted stream: records in, replies out.
 *
 * 1. A connection is freed only from its deferred flush or by server_free, never while its own records are
 *    being handed out; until then it is doomed, and doomed connections read and send nothing.
 * 2. We read unless a bound is reached or there is a backlog (may_read).  What one receive brought beyond a bound
 *    waits in the backlog, which holds one receive at most, and is handed out from a timer, so that other
 *    connections have their turn in between.
 * 3. record_timer is set exactly while we read and a record is incomplete; it counts from the record's first
 *    byte, or from when we began to read again, never from its last byte.
 * 4. A peer that closes its side is leaving: what waits, and what was to go with the connection, ends at once.  What it
 *    had sent before is still received, done and answered; then the connection is freed (is_finished).
 */
#include "transport/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "transport/socket.h"
#include "util/clock.h"
#include "xdr/stream.h"

#define SLOWEST_BYTES_PER_S 32768 /* a record at this speed is in time */

void connection_doom(struct connection *c)
{
	c->doomed = true;
	connection_stir(c);
}

static bool is_within_bounds(const struct connection *c)
{
	const struct server_limits *l = &c->server->limits;

	return c->n_calls < l->calls && c->held < l->held_bytes && c->out.size < l->unread_bytes;
}

static bool may_read(const struct connection *c)
{
	return !c->ended && is_within_bounds(c) && list_is_empty(&c->backlog);
}

static void set_record_timer(struct connection *c, bool reading, bool began)
{
	int64_t allowed;

	if (!reading || !record_reader_is_inside(&c->reader)) {
		loop_timer_clear(&c->record_timer);
		return;
	}
	if (began || !c->record_timer.slot)
		c->record_began = clock_now();
	allowed = (int64_t)c->server->limits.record_ms * NS_PER_MS +
	    (int64_t)record_reader_announced(&c->reader) * NS_PER_S / SLOWEST_BYTES_PER_S;
	loop_timer_set(c->server->loop, &c->record_timer, c->record_began + allowed);
}

static void update_interest(struct connection *c)
{
	bool reading = may_read(c);
	uint32_t events = (reading ? EPOLLIN : 0u) | (c->leaving ? 0u : EPOLLRDHUP) |
	    (c->out.size ? EPOLLOUT : 0u);
	int r = 0;

	if (c->io.loop)
		r = loop_change(&c->io, events);
	else if (events)
		r = loop_add(c->server->loop, &c->io, c->io.fd, events);
	set_record_timer(c, reading, false);
	if (!r && !list_is_empty(&c->backlog) && is_within_bounds(c))
		r = loop_timer_set(c->server->loop, &c->backlog_timer, clock_now());
	if (r) /* nothing would ever wake it again */
		connection_doom(c);
}

/* --- In ---------------------------------------------------------------------------------------- */

static void refuse_version(struct connection *c, struct call_line *line, uint32_t xid)
{
	struct call *call = call_new(c->server, c, NULL, &c->peer, xid);

	if (!call)
		return;
	call->line = line;
	call_refuse(call, MESSAGE_RPC_MISMATCH, 0, 0);
}

static void handle_record(struct connection *c, struct call_line *line, const unsigned char *data,
    size_t size, struct bytes *owner)
{
	struct server *s = c->server;
	struct message_call header;
	struct call *call;
	XDR args;

	switch (message_parse_call(data, size, &header)) {
	case 0:
		break;
	case -EPROTO: /* a reply: we asked nothing, and answer nothing */
		s->stats.dropped++;
		return;
	case -EPROTONOSUPPORT:
		refuse_version(c, line, header.xid);
		return;
	default:
		s->stats.closed_garbage++;
		connection_doom(c);
		return;
	}
	call = call_new(s, c, NULL, &c->peer, header.xid);
	if (!call) {
		connection_doom(c);
		return;
	}
	call->line = line;
	xdr_record_create(&args, data + header.header_size, size - header.header_size, owner);
	s->ops->call(s->context, call, &header, &args);
}

struct waiting_record {
	struct list link;
	struct bytes *bytes;
};

static void keep_record(struct connection *c, const unsigned char *data, size_t size,
    struct bytes *owner)
{
	struct waiting_record *w = malloc(sizeof(*w));

	if (w)
		w->bytes = owner ? bytes_ref(owner) : bytes_new(size);
	if (!w || !w->bytes) {
		free(w);
		connection_doom(c);
		return;
	}
	if (!owner && size)
		memcpy(w->bytes->data, data, size);
	w->bytes->size = (uint32_t)size;
	list_append(&c->backlog, &w->link);
}

static struct bytes *next_record(struct connection *c)
{
	struct waiting_record *w = LIST_ENTRY(c->backlog.next, struct waiting_record, link);
	struct bytes *bytes = w->bytes;

	list_remove(&w->link);
	free(w);
	return bytes;
}

static void take_record(void *context, const unsigned char *data, size_t size, struct bytes *owner)
{
	struct connection *c = context;

	if (c->doomed)
		return;
	if (may_read(c))
		handle_record(c, NULL, data, size, owner);
	else
		keep_record(c, data, size, owner);
}

void connection_receive(struct connection *c, struct call_line *line, const unsigned char *data,
    size_t size, struct bytes *owner)
{
	if (!c->doomed)
		handle_record(c, line, data, size, owner);
}

void connection_count_received(struct connection *c)
{
	unsigned now = c->received ? c->received->n : 0;

	closer_set_received(&c->account, c->n_counted, now);
	c->n_counted = now;
}

/* Closes those that nobody took: no record is under way that they could belong to. */
static void drop_parcels(struct connection *c)
{
	if (!c->received || !c->received->n || record_reader_is_inside(&c->reader) ||
	    !list_is_empty(&c->backlog))
		return;
	c->server->stats.surplus_descriptors += c->received->n;
	descriptors_close_for(c->received, &c->account);
	connection_count_received(c);
}

static void on_backlog(struct loop_timer *timer)
{
	struct connection *c = LIST_ENTRY(timer, struct connection, backlog_timer);

	while (!c->doomed && !list_is_empty(&c->backlog) && is_within_bounds(c)) {
		struct bytes *record = next_record(c);

		handle_record(c, NULL, record->data, record->size, record);
		bytes_unref(record);
	}
	if (!c->doomed)
		drop_parcels(c);
	connection_stir(c);
}

/* --- The peer's end ---------------------------------------------------------------------------- */

/* A call that nobody works on. */
static struct call *waiting_call(struct connection *c)
{
	LIST_FOR_EACH (link, &c->calls) {
		struct call *call = LIST_ENTRY(link, struct call, link);

		if (!call->kept || call->idle)
			return call;
	}
	return NULL;
}

static void close_watches(struct list *watches)
{
	while (!list_is_empty(watches)) {
		struct connection_watch *w =
		    LIST_ENTRY(watches->next, struct connection_watch, link);

		list_remove(&w->link);
		w->closed(w);
	}
}

/* Ends what waits for something, and what was to go with the connection. */
static void drop_waiting(struct connection *c)
{
	struct call *call;

	while ((call = waiting_call(c))) {
		if (call->kept) {
			call_lose(call);
			continue;
		}
		call_unpark(call);
		call->ended(call, CALL_GONE);
		call_drop(call);
	}
	close_watches(&c->watches);
}

/*
 * The peer has closed its side.  It may have closed both, and died, so nothing is kept waiting for it; what it asked
 * for before is still done and answered.
 */
static void peer_leaves(struct connection *c)
{
	c->leaving = true;
	drop_waiting(c);
}

static bool is_finished(const struct connection *c)
{
	return c->ended && !c->n_busy && !c->out.size && list_is_empty(&c->backlog);
}

/* --- In ---------------------------------------------------------------------------------------- */

/* As readv, with the descriptors that came. */
static ssize_t receive_parcels(struct connection *c, struct iovec *iov, size_t n_iov)
{
	struct descriptors fresh = { .n = 0 };
	ssize_t n = descriptors_receive(c->received ? c->received : &fresh, c->io.fd, iov, n_iov,
	    MSG_DONTWAIT, &c->account);

	if (fresh.n) {
		c->received = malloc(sizeof(fresh));
		if (c->received) {
			*c->received = fresh;
		} else {
			descriptors_close_for(&fresh, &c->account);
			n = -ENOMEM;
		}
	}
	connection_count_received(c);
	if (n < 0)
		errno = (int)-n;
	return n < 0 ? -1 : n;
}

/* What the socket has now: into the record at hand as far as it goes, the rest into the scratch. */
static ssize_t receive_bytes(struct connection *c, unsigned char *room, size_t direct)
{
	struct iovec iov[2] = { { room, direct },
		{ c->server->scratch, sizeof(c->server->scratch) } };

	if (c->bulk.is_local && c->server->ops->takes_descriptors)
		return direct ? receive_parcels(c, iov, 2) : receive_parcels(c, iov + 1, 1);
	if (direct >= sizeof(c->server->scratch))
		return recv(c->io.fd, room, direct, MSG_DONTWAIT);
	return direct
	    ? readv(c->io.fd, iov, 2)
	    : recv(c->io.fd, c->server->scratch, sizeof(c->server->scratch), MSG_DONTWAIT);
}

static void expect_bulk(struct connection *c, size_t missed)
{
	size_t missing = record_reader_missing(&c->reader);

	c->io.is_bulk = missing >= BULK_MIN;
	bulk_expect(&c->bulk, c->io.fd, missing, missed >= BULK_MIN && missing < BULK_MIN);
}

/* One receive; whether anything came, be it the end. */
static bool receive(struct connection *c)
{
	unsigned char *room = NULL;
	size_t missed = record_reader_missing(&c->reader);
	size_t direct = record_reader_room(&c->reader, &room);
	int r = 0;
	bool was_inside = record_reader_is_inside(&c->reader);
	uint64_t calls = c->server->stats.calls;
	ssize_t n;

	n = receive_bytes(c, room, direct);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0) { /* a reset: it wants nothing of this any more */
		connection_doom(c);
		return true;
	}
	if (n == 0) {
		c->ended = true;
		peer_leaves(c);
		return true;
	}
	if ((size_t)n <= direct) {
		record_reader_filled(&c->reader, (size_t)n, take_record, c);
	} else {
		c->beyond = (size_t)n - direct;
		if (direct)
			record_reader_filled(&c->reader, direct, take_record, c);
		c->beyond = 0;
		r = record_reader_feed(&c->reader, c->server->scratch, (size_t)n - direct,
		    take_record, c);
	}
	if (r) {
		c->server->stats.closed_oversize += r == -EMSGSIZE;
		connection_doom(c);
		return true;
	}
	if (c->doomed)
		return true;
	drop_parcels(c);
	set_record_timer(c, true, !was_inside || c->server->stats.calls != calls);
	expect_bulk(c, missed);
	return true;
}

static bool look_at_stream(struct loop_io *io)
{
	struct connection *c = LIST_ENTRY(io, struct connection, io);

	if (c->doomed || !(io->events & EPOLLIN) || !receive(c))
		return false;
	connection_stir(c);
	return true;
}

static void on_stream(struct loop_io *io, uint32_t events)
{
	struct connection *c = LIST_ENTRY(io, struct connection, io);

	if (c->doomed)
		return;
	if (io->events & EPOLLIN) {
		if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
			receive(c);
	} else if (events & EPOLLERR) {
		connection_doom(c);
	} else if (events & (EPOLLRDHUP | EPOLLHUP)) {
		/* What it has sent is still to be read, when the bounds allow. */
		peer_leaves(c);
		if (events & EPOLLHUP) /* which cannot be ignored otherwise */
			loop_remove(&c->io);
	}
	connection_stir(c);
}

static void on_slow_record(struct loop_timer *timer)
{
	struct connection *c = LIST_ENTRY(timer, struct connection, record_timer);

	c->server->stats.closed_slow_record++;
	connection_doom(c);
}

/* --- Out --------------------------------------------------------------------------------------- */

ssize_t connection_send(struct connection *c)
{
	return list_is_empty(&c->parcels) ? gather_send(&c->out, c->io.fd)
					  : parcels_send(&c->parcels, &c->out, c->io.fd);
}

static void on_unread(struct loop_timer *timer)
{
	struct connection *c = LIST_ENTRY(timer, struct connection, unread_timer);

	/* We may be the late ones: a handler kept us from sending. */
	if (!c->leaving && connection_send(c) > 0) {
		loop_timer_set(c->server->loop, &c->unread_timer,
		    clock_deadline_ms(c->server->limits.unread_ms));
		connection_stir(c);
		return;
	}
	c->server->stats.closed_unread++;
	connection_doom(c);
}

static void on_flush(struct loop_deferred *deferred)
{
	struct connection *c = LIST_ENTRY(deferred, struct connection, flush);
	ssize_t n;

	if (c->doomed) {
		connection_free(c);
		return;
	}
	n = c->out.size ? connection_send(c) : 0;
	if (n < 0 && n != -EAGAIN) {
		connection_free(c);
		return;
	}
	if (!c->out.size)
		loop_timer_clear(&c->unread_timer);
	else if ((n > 0 && !c->leaving) || !c->unread_timer.slot) /* one that leaves has it once */
		loop_timer_set(c->server->loop, &c->unread_timer,
		    clock_deadline_ms(c->server->limits.unread_ms));
	if (c->leaving)
		drop_waiting(c); /* what came in the meantime */
	if (is_finished(c))
		connection_free(c);
	else
		update_interest(c);
}

void connection_stir(struct connection *c)
{
	loop_defer(c->server->loop, &c->flush);
}

/* --- Life -------------------------------------------------------------------------------------- */

int connection_new(struct server *s, int fd, const struct peer *peer)
{
	struct connection *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->server = s;
	c->peer = *peer;
	c->account = (struct closer_account){ peer->local ? s->closer : NULL, peer->uid };
	c->io.fn = on_stream;
	c->io.look = look_at_stream;
	c->record_timer.fn = on_slow_record;
	c->unread_timer.fn = on_unread;
	c->backlog_timer.fn = on_backlog;
	c->flush.fn = on_flush;
	list_init(&c->flush.link);
	list_init(&c->calls);
	list_init(&c->watches);
	list_init(&c->enders);
	list_init(&c->backlog);
	gather_init(&c->out);
	list_init(&c->parcels);
	gather_use_pool(&c->out, &s->pool);
	record_reader_init(&c->reader, s->limits.record_bytes);
	c->reader.shelf = &s->shelf;
	bulk_init(&c->bulk, fd);
	r = server_enter(s, peer);
	if (r) {
		free(c);
		return r;
	}
	r = loop_add(s->loop, &c->io, fd, EPOLLIN | EPOLLRDHUP);
	if (r) {
		server_leave(s, peer);
		free(c);
		return r;
	}
	if (s->ops->admit && !s->ops->admit(s->context, c, &c->peer)) {
		loop_remove(&c->io);
		server_leave(s, peer);
		free(c);
		return -EDQUOT;
	}
	list_append(&s->connections, &c->link);
	return 0;
}

void connection_free(struct connection *c)
{
	struct server *s = c->server;

	c->doomed = true;
	drop_waiting(c);
	while (!list_is_empty(&c->calls))
		call_lose(LIST_ENTRY(c->calls.next, struct call, link));
	close_watches(&c->enders);
	loop_timer_clear(&c->record_timer);
	loop_timer_clear(&c->unread_timer);
	loop_timer_clear(&c->backlog_timer);
	while (!list_is_empty(&c->backlog))
		bytes_unref(next_record(c));
	loop_undefer(&c->flush);
	if (c->io.fd >= 0) {
		loop_remove(&c->io);
		close(c->io.fd);
	}
	while (!list_is_empty(&c->parcels))
		parcel_free(LIST_ENTRY(c->parcels.next, struct parcel, link));
	if (c->received)
		descriptors_close_for(c->received, &c->account);
	connection_count_received(c);
	free(c->received);
	gather_clear(&c->out);
	record_reader_clear(&c->reader);
	list_remove(&c->link);
	free(c->peer.groups);
	server_leave(s, &c->peer);
	free(c);
}

int connection_steal(struct connection *c)
{
	int fd = c->io.fd;

	/* Out of the loop first: it would go on telling about a number that may be another descriptor by then. */
	loop_remove(&c->io);
	c->io.fd = -1;
	connection_doom(c);
	return fd;
}

void connection_watch(struct connection *c, struct connection_watch *w)
{
	list_append(&c->watches, &w->link);
}

void connection_watch_end(struct connection *c, struct connection_watch *w)
{
	list_append(&c->enders, &w->link);
}
