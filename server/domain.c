/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * domain.c - see domain.h.
 *
 * The table of interfaces is read at start and again whenever the kernel says (netlink) that links or addresses
 * changed.  Joining a group twice on an interface is refused by the kernel and ignored here.
 */
#include "server/domain.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/socket.h"
#include "util/log.h"

#define GROUP4 "239.255.73.57"
#define GROUP6 "ff02::4957"

/* One address family on one interface. */
struct path {
	int family;
	unsigned index;
	struct in_addr broadcast; /* IPv4: the directed broadcast address, or 0.0.0.0 */
};

struct domain {
	const struct config *config;
	struct loop *loop;
	struct loop_io netlink_io;
	int send4, send6;	/* -1: the family is not there */
	int receive4, receive6; /* the server's; we join groups on them */
	struct path *paths;
	size_t n_paths;
};

/* --- Interfaces -------------------------------------------------------------------------------- */

static bool listens_on(const struct config *c, const struct sockaddr *sa)
{
	struct address here = { 0 };
	socklen_t len = sa->sa_family == AF_INET ? (socklen_t)sizeof(struct sockaddr_in)
						 : (socklen_t)sizeof(struct sockaddr_in6);
	char a[ADDRESS_TEXT_SIZE], b[ADDRESS_TEXT_SIZE];

	if (c->listen != LISTEN_ADDRESSES)
		return c->listen == LISTEN_ANY;
	memcpy(&here.storage, sa, len);
	here.len = len;
	address_host_text(&here, a);
	for (size_t i = 0; i < c->n_addresses; i++) {
		address_host_text(&c->addresses[i], b);
		if (strcmp(a, b) == 0)
			return true;
	}
	return false;
}

static void join(struct domain *d, const struct path *p)
{
	if (p->family == AF_INET && d->receive4 >= 0) {
		struct ip_mreqn group = { .imr_ifindex = (int)p->index };

		inet_pton(AF_INET, GROUP4, &group.imr_multiaddr);
		setsockopt(d->receive4, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group));
	} else if (p->family == AF_INET6 && d->receive6 >= 0) {
		struct ipv6_mreq group = { .ipv6mr_interface = p->index };

		inet_pton(AF_INET6, GROUP6, &group.ipv6mr_multiaddr);
		setsockopt(d->receive6, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group, sizeof(group));
	}
}

static bool has_path(const struct domain *d, int family, unsigned index)
{
	for (size_t i = 0; i < d->n_paths; i++)
		if (d->paths[i].family == family && d->paths[i].index == index)
			return true;
	return false;
}

static void add_path(struct domain *d, const struct ifaddrs *i)
{
	int family = i->ifa_addr->sa_family;
	struct path path = { .family = family, .index = if_nametoindex(i->ifa_name) };
	struct path *more;

	if (!path.index || has_path(d, family, path.index))
		return;
	if (family == AF_INET && i->ifa_flags & IFF_BROADCAST && i->ifa_broadaddr)
		path.broadcast =
		    ((const struct sockaddr_in *)(const void *)i->ifa_broadaddr)->sin_addr;
	more = realloc(d->paths, (d->n_paths + 1) * sizeof(*more));
	if (!more)
		return;
	d->paths = more;
	d->paths[d->n_paths++] = path;
}

static void read_interfaces(struct domain *d)
{
	struct ifaddrs *all, *i;

	if (getifaddrs(&all))
		return;
	d->n_paths = 0;
	for (i = all; i; i = i->ifa_next) {
		int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;

		if ((family != AF_INET && family != AF_INET6) || !(i->ifa_flags & IFF_UP) ||
		    i->ifa_flags & IFF_LOOPBACK)
			continue;
		add_path(d, i);
		if (listens_on(d->config, i->ifa_addr)) {
			struct path p = { .family = family, .index = if_nametoindex(i->ifa_name) };

			join(d, &p);
		}
	}
	freeifaddrs(all);
}

static void on_netlink(struct loop_io *io, uint32_t events)
{
	struct domain *d = LIST_ENTRY(io, struct domain, netlink_io);
	char buffer[8192];

	(void)events;
	/* What changed does not matter; also an overrun (ENOBUFS) means "look again". */
	while (recv(io->fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
		;
	read_interfaces(d);
}

static int watch_interfaces(struct domain *d)
{
	struct sockaddr_nl address = { .nl_family = AF_NETLINK,
		.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE), r;

	if (fd < 0)
		return -errno;
	r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
	d->netlink_io.fn = on_netlink;
	if (!r)
		r = loop_add(d->loop, &d->netlink_io, fd, EPOLLIN);
	if (r)
		close(fd);
	return r;
}

/* --- Sockets ----------------------------------------------------------------------------------- */

/* A socket to send from; -1 where the host does not have the family. */
static int sender(int family)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, zero = 0;

	if (fd < 0)
		return -1;
	if (family == AF_INET) {
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &zero, sizeof(zero));
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	} else {
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &zero, sizeof(zero));
	}
	return fd;
}

/* The server gets a socket bound to the group itself, so that nothing but the group arrives on it. */
static int receiver(struct domain *d, struct server *server, const char *group, int *ret_fd)
{
	struct address a;
	int fd, r, zero = 0;

	if (address_parse(group, d->config->port, &a))
		return -EINVAL;
	r = socket_receive(&a, true, &fd);
	if (r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL) {
		*ret_fd = -1;
		return 0;
	}
	if (r)
		return r;
	if (a.storage.ss_family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_ALL, &zero, sizeof(zero));
	r = server_receive(server, fd, false);
	if (r) {
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int domain_start(const struct config *config, struct loop *loop, struct server *server,
    struct domain **ret_domain)
{
	struct domain *d = calloc(1, sizeof(*d));
	int r = 0;

	if (!d)
		return -ENOMEM;
	d->config = config;
	d->loop = loop;
	d->receive4 = d->receive6 = -1;
	d->send4 = sender(AF_INET);
	d->send6 = sender(AF_INET6);
	if (config->listen == LISTEN_ANY || config->listen == LISTEN_ADDRESSES) {
		r = receiver(d, server, GROUP4, &d->receive4);
		if (!r)
			r = receiver(d, server, GROUP6, &d->receive6);
	}
	if (!r)
		r = watch_interfaces(d);
	if (r) {
		domain_stop(d);
		return r;
	}
	read_interfaces(d);
	*ret_domain = d;
	return 0;
}

struct domain *domain_stop(struct domain *d)
{
	if (!d)
		return NULL;
	if (d->netlink_io.loop) {
		loop_remove(&d->netlink_io);
		close(d->netlink_io.fd);
	}
	if (d->send4 >= 0)
		close(d->send4);
	if (d->send6 >= 0)
		close(d->send6);
	free(d->paths);
	free(d);
	return NULL;
}

/* --- Sending ----------------------------------------------------------------------------------- */

static bool send4(struct domain *d, const struct path *p, struct in_addr to, struct iovec *iov)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(d->config->port), .sin_addr = to
	};
	struct ip_mreqn out = { .imr_ifindex = (int)p->index };
	struct msghdr msg = { .msg_name = &address,
		.msg_namelen = sizeof(address),
		.msg_iov = iov,
		.msg_iovlen = 1 };

	return setsockopt(d->send4, IPPROTO_IP, IP_MULTICAST_IF, &out, sizeof(out)) == 0 &&
	    sendmsg(d->send4, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static bool send6(struct domain *d, const struct path *p, struct iovec *iov)
{
	struct sockaddr_in6 address = { .sin6_family = AF_INET6,
		.sin6_port = htons(d->config->port),
		.sin6_scope_id = p->index };
	struct msghdr msg = { .msg_name = &address,
		.msg_namelen = sizeof(address),
		.msg_iov = iov,
		.msg_iovlen = 1 };

	inet_pton(AF_INET6, GROUP6, &address.sin6_addr);
	return sendmsg(d->send6, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

unsigned domain_broadcast(struct domain *d, const void *datagram, size_t size)
{
	struct iovec iov = { (void *)(uintptr_t)datagram, size };
	struct in_addr group;
	unsigned sent = 0;

	inet_pton(AF_INET, GROUP4, &group);
	for (size_t i = 0; i < d->n_paths; i++) {
		const struct path *p = &d->paths[i];

		if (p->family == AF_INET6)
			sent += d->send6 >= 0 && send6(d, p, &iov);
		else if (d->send4 >= 0)
			sent += send4(d, p, group, &iov) ||
			    (p->broadcast.s_addr && send4(d, p, p->broadcast, &iov));
	}
	return sent;
}
