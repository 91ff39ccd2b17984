/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * domain.c - see domain.h.
 *
 * The table of paths is read at start and again whenever the kernel says (netlink) that links or addresses
 * changed; joining a group twice on an interface is refused by the kernel and ignored here.
 *
 * A daemon that listens on all addresses joins the groups with the very sockets that it answers calls on.  One
 * that listens on some addresses needs sockets bound to the groups beside them: one for IPv4, and for IPv6,
 * whose group has link scope, one for each interface.  All belong to the server.
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
#include "util/text.h"

#define GROUP4 "239.255.73.57"
#define GROUP6 "ff02::4957"

/* One address family on one interface. */
struct path {
	int family;
	unsigned index;
	struct in_addr broadcast; /* IPv4: the directed broadcast address, or 0.0.0.0 */
	int receive6;		  /* IPv6: the server's socket for the group, or -1 */
};

struct path_table {
	struct path *paths;
	size_t n;
};

struct domain {
	const struct config *config;
	struct loop *loop;
	struct server *server;
	struct loop_io netlink_io;
	int send4, send6; /* -1: the family is not there */
	int all6;	  /* the server's socket on all IPv6 addresses, or -1 */
	int receive4;	  /* the server's socket for the IPv4 group, or -1 */
	struct path_table paths;
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

/* The server's socket for a group, bound to nothing but that; -1 where that is not possible. */
static int receive_group(struct domain *d, const char *group)
{
	struct address a;
	int fd;

	if (address_parse(group, d->config->port, &a) || socket_receive(&a, true, &fd))
		return -1;
	if (server_receive(d->server, fd, false)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void join(int fd, int family, unsigned index)
{
	struct ip_mreqn group4 = { .imr_ifindex = (int)index };
	struct ipv6_mreq group6 = { .ipv6mr_interface = index };

	inet_pton(AF_INET, GROUP4, &group4.imr_multiaddr);
	inet_pton(AF_INET6, GROUP6, &group6.ipv6mr_multiaddr);
	if (family == AF_INET)
		setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group4, sizeof(group4));
	else
		setsockopt(fd, IPPROTO_IPV6, IPV6_JOIN_GROUP, &group6, sizeof(group6));
}

/* Hears the group on a path; on an IPv6 one by the socket of its own that it had, or a new one. */
static void hear(struct domain *d, struct path *p, const char *interface)
{
	char group[sizeof(GROUP6) + 1 + IF_NAMESIZE];

	if (p->family == AF_INET) {
		join(d->receive4, AF_INET, p->index);
	} else if (d->all6 >= 0) {
		join(d->all6, AF_INET6, p->index);
	} else if (p->receive6 < 0) {
		text_format(group, sizeof(group), GROUP6 "%%%s", interface);
		p->receive6 = receive_group(d, group);
		join(p->receive6, AF_INET6, p->index);
	}
}

static struct path *find_path(const struct path_table *t, int family, unsigned index)
{
	for (size_t i = 0; i < t->n; i++)
		if (t->paths[i].family == family && t->paths[i].index == index)
			return &t->paths[i];
	return NULL;
}

/* The path of an interface's address in the new table; NULL without memory. */
static struct path *add_path(struct path_table *t, const struct ifaddrs *i)
{
	int family = i->ifa_addr->sa_family;
	struct path path = { .family = family, .receive6 = -1 }, *more;

	path.index = if_nametoindex(i->ifa_name);
	more = find_path(t, family, path.index);
	if (more)
		return more;
	if (family == AF_INET && i->ifa_flags & IFF_BROADCAST && i->ifa_broadaddr)
		path.broadcast =
		    ((const struct sockaddr_in *)(const void *)i->ifa_broadaddr)->sin_addr;
	more = realloc(t->paths, (t->n + 1) * sizeof(*more));
	if (!more)
		return NULL;
	t->paths = more;
	t->paths[t->n++] = path;
	return &t->paths[t->n - 1];
}

/* False: there was no memory for it. */
static bool read_interface(struct domain *d, struct path_table *t, const struct ifaddrs *i)
{
	int family = i->ifa_addr ? i->ifa_addr->sa_family : AF_UNSPEC;
	struct path *p, *before;

	if ((family != AF_INET && family != AF_INET6) || !(i->ifa_flags & IFF_UP) ||
	    i->ifa_flags & IFF_LOOPBACK)
		return true;
	p = add_path(t, i);
	if (!p)
		return false;
	before = find_path(&d->paths, family, p->index);
	if (before && p->receive6 < 0) {
		p->receive6 = before->receive6;
		before->receive6 = -1;
	}
	if (listens_on(d->config, i->ifa_addr))
		hear(d, p, i->ifa_name);
	return true;
}

static void forget_paths(struct domain *d)
{
	for (size_t i = 0; i < d->paths.n; i++)
		if (d->paths.paths[i].receive6 >= 0)
			server_forget(d->server, d->paths.paths[i].receive6);
	free(d->paths.paths);
	d->paths = (struct path_table){ NULL, 0 };
}

/* 0; or -errno, and the paths are those of before or not all. */
static int read_interfaces(struct domain *d)
{
	struct path_table table = { NULL, 0 };
	struct ifaddrs *all;
	bool ok = true;

	if (getifaddrs(&all))
		return -errno;
	for (struct ifaddrs *i = all; i; i = i->ifa_next)
		ok = read_interface(d, &table, i) && ok;
	freeifaddrs(all);
	forget_paths(d);
	d->paths = table;
	return ok ? 0 : -ENOMEM;
}

static void on_netlink(struct loop_io *io, uint32_t events)
{
	struct domain *d = LIST_ENTRY(io, struct domain, netlink_io);
	char buffer[8192];
	int r;

	(void)events;
	/* What changed does not matter; also an overrun (ENOBUFS) means "look again". */
	while (recv(io->fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0 || errno == ENOBUFS)
		;
	r = read_interfaces(d);
	if (r)
		log_error("broadcasts may not go everywhere until the network changes again: %s",
		    strerror(-r));
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

/* A socket to send from; none where the host does not have the family.  0 or -errno. */
static int sender(int family, int *ret_fd)
{
	int fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), one = 1, zero = 0;

	if (fd < 0)
		return errno == EAFNOSUPPORT ? 0 : -errno;
	if (family == AF_INET) {
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_TTL, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IP, IP_MULTICAST_LOOP, &zero, sizeof(zero));
		setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &one, sizeof(one));
	} else {
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &one, sizeof(one));
		setsockopt(fd, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, &zero, sizeof(zero));
	}
	*ret_fd = fd;
	return 0;
}

int domain_start(const struct domain_place *place, struct domain **ret_domain)
{
	struct domain *d = calloc(1, sizeof(*d));
	int r;

	if (!d)
		return -ENOMEM;
	d->config = place->config;
	d->loop = place->loop;
	d->server = place->server;
	d->receive4 = place->all4;
	d->all6 = place->all6;
	d->send4 = d->send6 = -1;
	r = sender(AF_INET, &d->send4);
	if (!r)
		r = sender(AF_INET6, &d->send6);
	if (d->config->listen == LISTEN_ADDRESSES)
		d->receive4 = receive_group(d, GROUP4);
	if (!r)
		r = watch_interfaces(d);
	if (!r)
		r = read_interfaces(d);
	if (r) {
		domain_stop(d);
		return r;
	}
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
	forget_paths(d);
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
	for (size_t i = 0; i < d->paths.n; i++) {
		const struct path *p = &d->paths.paths[i];

		if (p->family == AF_INET6)
			sent += d->send6 >= 0 && send6(d, p, &iov);
		else if (d->send4 >= 0)
			sent += send4(d, p, group, &iov) ||
			    (p->broadcast.s_addr && send4(d, p, p->broadcast, &iov));
	}
	return sent;
}
