/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * datagram.c - calls that come as datagrams, and their replies.  See server.h.
 *
 * Nobody knows who sent a datagram.  What is none of ours is dropped without an answer, answers are bounded by
 * the limiter, and the calls under way by their number; a client whose datagram was dropped asks again.
 *
 * A call's origin lives from before the handler until the call ends, or is lost with its socket.  Where replies
 * are kept, its entry is running until then or until it is answered.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/connection.h"
#include "transport/limiter.h"
#include "transport/replies.h"
#include "util/clock.h"
#include "xdr/stream.h"

#define DATAGRAMS_PER_EVENT 32
#define RECEIVE_ROOM (1 << 20) /* for bursts; the kernel gives what the machine allows */
#define ANSWER_BYTES (8u << 20)
#define ANSWER_COST_MIN 64 /* headers, and that it is one more */
#define TOTAL_NETWORKS 4   /* the rate in all is that of so many networks */

_Static_assert(CONNECTION_SCRATCH >= SERVER_DATAGRAM_MAX,
    "a datagram is received into the scratch");

struct datagram_socket {
	struct server *server;
	struct list link;
	struct loop_io io;
	struct list calls;
	struct hosts hosts; /* with as many connections as they have calls under way */
	unsigned n_calls;
	uint32_t number;
	bool answers;
};

/* Where a datagram came from and went to, as far as an answer needs it. */
struct route {
	const struct address *to;
	union {
		struct in_pktinfo in;
		struct in6_pktinfo in6;
	} from;
	int family; /* of from; 0: the kernel chooses */
};

struct datagram_origin {
	struct peer peer;
	struct route route;
	size_t call_size;
	struct replies_entry *entry; /* NULL: answered, or no reply is kept */
};

int datagram_fd(const struct datagram_socket *d)
{
	return d->io.fd;
}

/* --- Answers ----------------------------------------------------------------------------------- */

static bool is_this_host(const struct address *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&a->storage;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&a->storage;

	/* Such a source address cannot be forged from outside. */
	if (a->storage.ss_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	return a->storage.ss_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

static bool may_answer(struct server *s, const struct address *to, size_t call_size, size_t size)
{
	size_t cost = size > call_size ? size - call_size : 0;

	if (!s->limiter || (!s->limits.answer_bytes && is_this_host(to)))
		return true;
	return limiter_take(s->limiter, to, cost < ANSWER_COST_MIN ? ANSWER_COST_MIN : cost,
	    clock_now());
}

/* Has the answer leave from the address that was called. */
static void put_source(struct msghdr *msg, const struct route *route)
{
	bool four = route->family == AF_INET;
	size_t size = four ? sizeof(route->from.in) : sizeof(route->from.in6);
	struct cmsghdr *c;

	if (!route->family) {
		msg->msg_control = NULL;
		msg->msg_controllen = 0;
		return;
	}
	msg->msg_controllen = CMSG_SPACE(size);
	memset(msg->msg_control, 0, msg->msg_controllen);
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = four ? IPPROTO_IP : IPPROTO_IPV6;
	c->cmsg_type = four ? IP_PKTINFO : IPV6_PKTINFO;
	c->cmsg_len = CMSG_LEN(size);
	memcpy(CMSG_DATA(c), &route->from, size);
}

/* 0 or -errno; only -EMSGSIZE matters, for what the socket does not take now is lost, as datagrams may be. */
static int send_answer(struct datagram_socket *d, const struct route *route, size_t call_size,
    const struct bytes *answer)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo))];
	struct iovec iov = { (void *)(uintptr_t)answer->data, answer->size };
	struct msghdr msg = {
		.msg_name = (void *)(uintptr_t)&route->to->storage,
		.msg_namelen = route->to->len,
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
	};

	if (!may_answer(d->server, route->to, call_size, answer->size)) {
		d->server->stats.answers_limited++;
		return 0;
	}
	put_source(&msg, route);
	return sendmsg(d->io.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* What is sent in the place of an answer that fits no datagram. */
static struct bytes *too_long(struct call *call)
{
	struct bytes *answer = NULL;
	struct gather out;

	call->server->stats.answers_too_long++;
	gather_init(&out);
	if (!message_put_refusal(&out, call->xid, MESSAGE_SYSTEM_ERR, 0, 0))
		answer = gather_flatten(&out);
	gather_clear(&out);
	return answer;
}

void server_answer_datagram(struct call *call, struct gather *out)
{
	struct datagram_origin *o = call->origin;
	struct bytes *answer = NULL;

	/* Nothing is in out when there was no memory for it. */
	if (out->size && !call->unanswered)
		answer = out->size > SERVER_DATAGRAM_MAX ? too_long(call) : gather_flatten(out);
	gather_clear(out);
	if (answer && send_answer(call->socket, &o->route, o->call_size, answer) == -EMSGSIZE) {
		bytes_unref(answer);
		answer = too_long(call);
		if (answer)
			send_answer(call->socket, &o->route, o->call_size, answer);
	}
	if (o->entry)
		replies_done(call->server->replies, o->entry, answer, clock_now());
	o->entry = NULL;
	bytes_unref(answer);
}

/* --- Calls ------------------------------------------------------------------------------------- */

void server_end_datagram(struct call *call)
{
	struct datagram_socket *d = call->socket;
	struct datagram_origin *o = call->origin;

	list_remove(&call->link);
	d->n_calls--;
	hosts_leave(&d->hosts, &o->peer.address);
	if (o->entry) /* it was run, and its repeats are not to run */
		replies_done(d->server->replies, o->entry, NULL, clock_now());
	call->origin = NULL;
	free(o);
}

/* Whether a call is one that came before; then it is seen to. */
static bool is_repeat(struct datagram_socket *d, const struct replies_key *key,
    const struct route *route, size_t size)
{
	const struct bytes *reply = NULL;
	enum replies_state state = replies_find(d->server->replies, key, clock_now(), &reply);

	if (state == REPLIES_NEW)
		return false;
	d->server->stats.replayed++;
	if (state == REPLIES_DONE && reply)
		send_answer(d, route, size, reply);
	return true;
}

static struct call *begin_call(struct datagram_socket *d, const struct message_call *header,
    const struct route *route, size_t size, const struct replies_key *key)
{
	struct server *s = d->server;
	struct datagram_origin *o = calloc(1, sizeof(*o));
	struct call *call;

	if (!o)
		return NULL;
	o->peer.address = *route->to;
	o->peer.datagram = true;
	o->route = *route;
	o->route.to = &o->peer.address;
	o->call_size = size;
	call = call_new(s, NULL, d, &o->peer, header->xid);
	if (call && key && replies_begin(s->replies, key, &o->entry)) {
		call->socket = NULL;
		call_drop(call);
		call = NULL;
	}
	if (!call) {
		free(o);
		return NULL;
	}
	call->origin = o;
	list_append(&d->calls, &call->link);
	d->n_calls++;
	return call;
}

static void take_datagram(struct datagram_socket *d, const unsigned char *data, size_t size,
    const struct route *route, bool unanswered)
{
	struct server *s = d->server;
	struct message_call header;
	struct replies_key key;
	struct call *call = NULL;
	XDR args;

	s->stats.datagrams++;
	if (message_parse_call(data, size, &header)) {
		s->stats.dropped++;
		return;
	}
	if (s->replies) {
		/* What a group was asked is not what we are asked. */
		replies_make_key(s->replies, route->to, d->number << 1 | unanswered, &header,
		    data + header.header_size, size - header.header_size, &key);
		if (is_repeat(d, &key, route, size))
			return;
	}
	if (d->n_calls >= s->limits.calls_datagram ||
	    hosts_enter(&d->hosts, route->to, s->limits.calls_datagram_host)) {
		s->stats.dropped_over++;
		s->stats.dropped++;
		return;
	}
	call = begin_call(d, &header, route, size, s->replies ? &key : NULL);
	if (!call) {
		hosts_leave(&d->hosts, route->to);
		s->stats.dropped++;
		return;
	}
	call->unanswered = unanswered;
	xdr_record_create(&args, data + header.header_size, size - header.header_size, NULL);
	s->ops->call(s->context, call, &header, &args);
}

/* --- Receiving --------------------------------------------------------------------------------- */

/*
 * Whether a datagram was sent to us alone, and not to a group or a broadcast address; then *ret says by which
 * address of ours.
 */
static bool is_for_us_alone(struct msghdr *msg, struct route *ret)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			ret->family = AF_INET;
			ret->from.in = (struct in_pktinfo){ .ipi_spec_dst = info.ipi_spec_dst };
			return info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			ret->family = AF_INET6;
			ret->from.in6 = info;
			/* Other addresses may be answered by another way than they came. */
			if (!IN6_IS_ADDR_LINKLOCAL(&info.ipi6_addr))
				ret->from.in6.ipi6_ifindex = 0;
			/* An IPv4 address in it does not show whether it is a broadcast address. */
			return !IN6_IS_ADDR_MULTICAST(&info.ipi6_addr) &&
			    !IN6_IS_ADDR_V4MAPPED(&info.ipi6_addr);
		}
	}
	return false;
}

static void on_datagram(struct loop_io *io, uint32_t events)
{
	struct datagram_socket *d = LIST_ENTRY(io, struct datagram_socket, io);
	struct server *s = d->server;

	(void)events;
	for (int i = 0; i < DATAGRAMS_PER_EVENT; i++) {
		_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo)) + 64];
		struct address from = { .len = 0 };
		struct route route = { .to = &from };
		struct iovec iov = { s->scratch, s->limits.datagram_bytes };
		struct msghdr msg = {
			.msg_name = &from.storage,
			.msg_namelen = sizeof(from.storage),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(io->fd, &msg, MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0)
			return;
		from.len = msg.msg_namelen;
		if ((size_t)n > s->limits.datagram_bytes)
			s->stats.dropped++;
		else
			take_datagram(d, s->scratch, (size_t)n, &route,
			    !is_for_us_alone(&msg, &route) || !d->answers);
	}
}

/* --- Life -------------------------------------------------------------------------------------- */

static void set_defaults(struct server_limits *l)
{
	if (!l->datagram_bytes)
		l->datagram_bytes = 4096;
	if (l->datagram_bytes > SERVER_DATAGRAM_MAX)
		l->datagram_bytes = SERVER_DATAGRAM_MAX;
	if (!l->calls_datagram)
		l->calls_datagram = 1024;
	if (!l->calls_datagram_host)
		l->calls_datagram_host = 64;
	if (!l->reply_cache_ms)
		l->reply_cache_ms = 60000;
}

/* What all datagram sockets of a server share.  0 or -ENOMEM. */
static int prepare(struct server *s)
{
	const struct server_limits *l = &s->limits;
	size_t rate = l->answer_bytes ? l->answer_bytes : ANSWER_BYTES;
	int r = 0;

	set_defaults(&s->limits);
	if (!s->limiter)
		r = limiter_new(rate, (uint64_t)rate * TOTAL_NETWORKS, &s->limiter);
	if (!r && !s->replies && l->reply_cache_bytes)
		r = replies_new(l->reply_cache_bytes, (int64_t)l->reply_cache_ms * NS_PER_MS,
		    &s->replies);
	return r;
}

int server_receive(struct server *s, int fd, bool answers)
{
	struct datagram_socket *d;
	int r = prepare(s), one = 1, room = RECEIVE_ROOM;

	if (r)
		return r;
	d = calloc(1, sizeof(*d));
	if (!d)
		return -ENOMEM;
	/* One of them is the wrong family's, and fails. */
	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	d->server = s;
	d->answers = answers;
	d->number = s->n_sockets++;
	d->io.fn = on_datagram;
	list_init(&d->calls);
	r = loop_add(s->loop, &d->io, fd, EPOLLIN);
	if (r) {
		free(d);
		return r;
	}
	list_append(&s->sockets, &d->link);
	return 0;
}

static void end_calls(struct datagram_socket *d)
{
	while (!list_is_empty(&d->calls)) {
		struct call *call = LIST_ENTRY(d->calls.next, struct call, link);

		if (call->kept) {
			server_end_datagram(call);
			call_lose(call);
			continue;
		}
		call_unpark(call);
		call->ended(call, CALL_GONE);
		call_drop(call);
	}
}

static void socket_free(struct datagram_socket *d)
{
	loop_remove(&d->io);
	end_calls(d);
	close(d->io.fd);
	list_remove(&d->link);
	free(d);
}

void server_forget(struct server *s, int fd)
{
	LIST_FOR_EACH (link, &s->sockets) {
		struct datagram_socket *d = LIST_ENTRY(link, struct datagram_socket, link);

		if (d->io.fd == fd)
			socket_free(d);
	}
}

void server_forget_all(struct server *s)
{
	while (!list_is_empty(&s->sockets))
		socket_free(LIST_ENTRY(s->sockets.next, struct datagram_socket, link));
	s->replies = replies_free(s->replies);
	s->limiter = limiter_free(s->limiter);
}
