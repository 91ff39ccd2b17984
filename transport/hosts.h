/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hosts.h - how many connections each host has, so that none of them takes all.
 *
 * A host is an IPv4 address, or the 64-bit prefix of an IPv6 one, for whoever has such a prefix has 2^64
 * addresses; but with link-local addresses, which share theirs, it is the whole address and its link.  There is
 * an entry for each host that has a connection, and so never more of them than connections.
 */
#ifndef TRANSPORT_HOSTS_H
#define TRANSPORT_HOSTS_H

#include <stdbool.h>
#include <stdint.h>

#include "transport/address.h"

struct host;

/* Which host it is; without holes, because all its bytes are compared. */
struct host_key {
	uint32_t family, scope;
	unsigned char address[16];
};

/* false, and the key is all zero: not an address of a network. */
bool host_key_of(const struct address *address, struct host_key *ret_key);

/* Starts from all zero, and is that again when everybody has left. */
struct hosts {
	struct host *head;
	unsigned connections; /* of all together */
};

/*
 * Counts one more connection of the address's host.  0; -EUSERS: it has `limit` of them already; -ENOMEM.
 * An address that is neither IPv4 nor IPv6 is not counted, and always 0.
 */
int hosts_enter(struct hosts *hosts, const struct address *address, unsigned limit);

/* What one may have of a total of which the others have so much: half of what they leave, its own included, and rounded up. */
static inline unsigned hosts_half_left(unsigned total, unsigned others)
{
	return total > others ? (total - others + 1) / 2 : 0;
}

/* The same for the address's host. */
unsigned hosts_share(const struct hosts *hosts, const struct address *address, unsigned total);

/* Takes one back that hosts_enter counted. */
void hosts_leave(struct hosts *hosts, const struct address *address);

#endif
