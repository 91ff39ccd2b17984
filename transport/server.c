/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.c - listeners and datagrams; connections are in connection.c.  See server.h.
 */
#include "transport/server.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/connection.h"
#include "util/clock.h"
#include "util/log.h"
#include "xdr/stream.h"

#define RECORD_BYTES 1056768
#define DESCRIPTOR_RESERVE 64 /* kept back for files, listeners and local clients */
#define ACCEPTS_PER_EVENT 64
#define DATAGRAMS_PER_EVENT 32
#define DATAGRAM_SIZE 4096 /* longer ones are nobody's we know */
#define RETRY_ACCEPT_MS 200

struct listener {
	struct server *server;
	struct list link;
	struct loop_io io;
	struct loop_timer retry;
	bool local;
};

struct datagram_socket {
	struct server *server;
	struct list link;
	struct loop_io io;
	bool answers;
};

static unsigned descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > 1000000)
		return 1000000;
	return (unsigned)limit.rlim_cur;
}

static void set_defaults(struct server_limits *l)
{
	unsigned fds = descriptors();

	if (!l->record_bytes)
		l->record_bytes = RECORD_BYTES;
	if (!l->record_ms)
		l->record_ms = 10000;
	if (!l->unread_ms)
		l->unread_ms = 30000;
	if (!l->calls)
		l->calls = 64;
	if (!l->held_bytes)
		l->held_bytes = 4u << 20;
	if (!l->unread_bytes)
		l->unread_bytes = 4u << 20;
	if (!l->local_connections)
		l->local_connections = 64;
	if (!l->connections) {
		unsigned reserve = DESCRIPTOR_RESERVE + l->local_connections;

		l->connections = fds > 2 * reserve ? fds - reserve : fds / 2;
	}
}

int server_new(struct loop *loop, const struct server_ops *ops, void *context,
    const struct server_limits *limits, struct server **ret_server)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->ops = ops;
	s->context = context;
	if (limits)
		s->limits = *limits;
	set_defaults(&s->limits);
	list_init(&s->listeners);
	list_init(&s->sockets);
	list_init(&s->connections);
	*ret_server = s;
	return 0;
}

static void socket_free(struct datagram_socket *d)
{
	loop_remove(&d->io);
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

struct server *server_free(struct server *s)
{
	if (!s)
		return NULL;
	LIST_FOR_EACH (link, &s->listeners) {
		struct listener *l = LIST_ENTRY(link, struct listener, link);

		loop_timer_clear(&l->retry);
		loop_remove(&l->io);
		close(l->io.fd);
		list_remove(&l->link);
		free(l);
	}
	while (!list_is_empty(&s->sockets))
		socket_free(LIST_ENTRY(s->sockets.next, struct datagram_socket, link));
	while (!list_is_empty(&s->connections))
		connection_free(LIST_ENTRY(s->connections.next, struct connection, link));
	free(s);
	return NULL;
}

const struct server_stats *server_stats(const struct server *s)
{
	return &s->stats;
}

/* --- Listening --------------------------------------------------------------------------------- */

static bool has_room(const struct listener *l)
{
	const struct server *s = l->server;
	uint64_t limit = s->limits.connections;

	if (l->local)
		limit += s->limits.local_connections;
	return s->stats.connections < limit;
}

static void resume(struct listener *l)
{
	loop_timer_clear(&l->retry);
	loop_change(&l->io, EPOLLIN);
}

static void on_retry(struct loop_timer *timer)
{
	resume(LIST_ENTRY(timer, struct listener, retry));
}

void server_made_room(struct server *s)
{
	LIST_FOR_EACH (link, &s->listeners)
		resume(LIST_ENTRY(link, struct listener, link));
}

/* Clients wait in the backlog until a connection ends or descriptors are there again. */
static void pause_accepting(struct listener *l)
{
	loop_change(&l->io, 0);
	loop_timer_set(l->server->loop, &l->retry, clock_deadline_ms(RETRY_ACCEPT_MS));
}

/* All of the peer's supplementary groups: a rule that denies one must not miss it. */
static bool groups_of(int fd, struct peer *ret)
{
	gid_t few[16], *groups;
	socklen_t len = sizeof(few);
	int r = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, few, &len);

	if (r && errno != ERANGE) /* else len says how much room they take */
		return errno == ENOPROTOOPT;
	if (len == 0)
		return true;
	groups = malloc(len);
	if (!groups)
		return false;
	if (r && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len)) {
		free(groups);
		return false;
	}
	if (!r)
		memcpy(groups, few, len);
	ret->n_groups = (unsigned)(len / sizeof(gid_t));
	ret->groups = groups;
	return true;
}

static bool peer_of(int fd, bool local, struct peer *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (!local)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return false;
	ret->local = true;
	ret->uid = cred.uid;
	ret->gid = cred.gid;
	ret->pid = cred.pid;
	return groups_of(fd, ret);
}

static void on_listener(struct loop_io *io, uint32_t events)
{
	struct listener *l = LIST_ENTRY(io, struct listener, io);

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
		struct peer peer = { .address.len = sizeof(peer.address.storage) };
		int fd;

		if (!has_room(l)) {
			pause_accepting(l);
			return;
		}
		fd = accept4(io->fd, (struct sockaddr *)&peer.address.storage, &peer.address.len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			    errno == ENOBUFS)
				pause_accepting(l);
			return;
		}
		if (!peer_of(fd, l->local, &peer) || connection_new(l->server, fd, &peer)) {
			free(peer.groups);
			close(fd);
		}
	}
}

int server_listen(struct server *s, int fd)
{
	struct listener *l;
	struct address a = { .len = sizeof(a.storage) };
	int r;

	if (getsockname(fd, (struct sockaddr *)&a.storage, &a.len))
		return -errno;
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->server = s;
	l->local = a.storage.ss_family == AF_UNIX;
	l->io.fn = on_listener;
	l->retry.fn = on_retry;
	r = loop_add(s->loop, &l->io, fd, EPOLLIN);
	if (r) {
		free(l);
		return r;
	}
	list_append(&s->listeners, &l->link);
	return 0;
}

/* --- Datagrams --------------------------------------------------------------------------------- */

void server_answer_datagram(struct call *call, struct gather *out)
{
	unsigned char buffer[DATAGRAM_SIZE];
	const struct peer *to = call->peer;
	size_t n = 0;

	if (call->unanswered || out->size > sizeof(buffer)) {
		gather_clear(out);
		return;
	}
	for (size_t i = out->first; i < out->end; i++) {
		memcpy(buffer + n, out->pieces[i].data, out->pieces[i].len);
		n += out->pieces[i].len;
	}
	gather_clear(out);
	/* A reply that does not fit the socket's buffer now is lost, as datagrams may be. */
	(void)!sendto(call->socket->io.fd, buffer, n, MSG_DONTWAIT | MSG_NOSIGNAL,
	    (const struct sockaddr *)&to->address.storage, to->address.len);
}

static void take_datagram(struct datagram_socket *d, const unsigned char *data, size_t size,
    const struct peer *peer, bool unanswered)
{
	struct server *s = d->server;
	struct message_call header;
	struct call *call;
	XDR args;

	s->stats.datagrams++;
	if (message_parse_call(data, size, &header)) {
		s->stats.dropped++;
		return;
	}
	call = call_new(s, NULL, d, peer, header.xid);
	if (!call)
		return;
	call->unanswered = unanswered;
	xdr_record_create(&args, data + header.header_size, size - header.header_size, NULL);
	s->ops->call(s->context, call, &header, &args);
}

/* Whether a datagram was sent to us alone, and not to a group or a broadcast address. */
static bool is_for_us_alone(struct msghdr *msg)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			return info.ipi_addr.s_addr == info.ipi_spec_dst.s_addr;
		}
		if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;

			memcpy(&info, CMSG_DATA(c), sizeof(info));
			return !IN6_IS_ADDR_MULTICAST(&info.ipi6_addr);
		}
	}
	return false;
}

static void on_datagram(struct loop_io *io, uint32_t events)
{
	struct datagram_socket *d = LIST_ENTRY(io, struct datagram_socket, io);
	unsigned char buffer[DATAGRAM_SIZE];

	(void)events;
	for (int i = 0; i < DATAGRAMS_PER_EVENT; i++) {
		_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct in6_pktinfo)) + 64];
		struct peer peer = { .local = false };
		struct iovec iov = { buffer, sizeof(buffer) };
		struct msghdr msg = {
			.msg_name = &peer.address.storage,
			.msg_namelen = sizeof(peer.address.storage),
			.msg_iov = &iov,
			.msg_iovlen = 1,
			.msg_control = control,
			.msg_controllen = sizeof(control),
		};
		ssize_t n = recvmsg(io->fd, &msg, MSG_DONTWAIT | MSG_TRUNC);

		if (n < 0)
			return;
		peer.address.len = msg.msg_namelen;
		if ((size_t)n > sizeof(buffer))
			d->server->stats.dropped++;
		else
			take_datagram(d, buffer, (size_t)n, &peer,
			    !d->answers || !is_for_us_alone(&msg));
	}
}

int server_receive(struct server *s, int fd, bool answers)
{
	struct datagram_socket *d = calloc(1, sizeof(*d));
	int r, one = 1;

	if (!d)
		return -ENOMEM;
	/* One of them is the wrong family's, and fails. */
	setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &one, sizeof(one));
	setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &one, sizeof(one));
	d->server = s;
	d->answers = answers;
	d->io.fn = on_datagram;
	r = loop_add(s->loop, &d->io, fd, EPOLLIN);
	if (r) {
		free(d);
		return r;
	}
	list_append(&s->sockets, &d->link);
	return 0;
}
