/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * datagram.c - calls that come as datagrams, and their replies.  See server.h.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/connection.h"
#include "xdr/stream.h"

#define DATAGRAMS_PER_EVENT 32
#define DATAGRAM_SIZE 4096 /* longer ones are nobody's we know */

struct datagram_socket {
	struct server *server;
	struct list link;
	struct loop_io io;
	bool answers;
};

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

void server_forget_all(struct server *s)
{
	while (!list_is_empty(&s->sockets))
		socket_free(LIST_ENTRY(s->sockets.next, struct datagram_socket, link));
}
