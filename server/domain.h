/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * domain.h - reaching the other hosts of a domain.
 *
 * The default, here: one LAN.  A broadcast goes as a multicast datagram to 239.255.73.57 and ff02::4957, TTL 1,
 * on every interface that is up, each address family once; where multicast fails, as a directed broadcast.  It
 * does not come back to this host.  Interfaces that come and go are followed.
 */
#ifndef SERVER_DOMAIN_H
#define SERVER_DOMAIN_H

#include <stddef.h>

#include "server/config.h"
#include "transport/loop.h"
#include "transport/server.h"

struct domain;

struct domain_place {
	const struct config *config;
	struct loop *loop;
	struct server *server;
	int all4, all6; /* the server's UDP sockets on all addresses; -1 where there are none */
};

/* Joins the groups where the configuration listens.  0 or -errno, logged. */
int domain_start(const struct domain_place *place, struct domain **ret_domain);
struct domain *domain_stop(struct domain *domain);

/* Sends one datagram to all; number of copies that left without an error.  Never waits. */
unsigned domain_broadcast(struct domain *domain, const void *datagram, size_t size);

#endif
