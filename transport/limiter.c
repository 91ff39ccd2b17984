/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limiter.c - see limiter.h.
 *
 * Each place holds one point in time, until when what was sent has used the rate up: sending moves it on by what
 * the bytes take at the rate, and may be done while it is less than a second ahead.
 */
#include "transport/limiter.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "util/siphash.h"

#define PLACES 4096
#define BURST_NS NS_PER_S

struct limiter {
	uint64_t network_rate, total_rate;
	int64_t total_until;
	int64_t network_until[PLACES];
};

int limiter_new(uint64_t network_bytes, uint64_t total_bytes, struct limiter **ret)
{
	struct limiter *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->network_rate = network_bytes;
	l->total_rate = total_bytes;
	*ret = l;
	return 0;
}

struct limiter *limiter_free(struct limiter *l)
{
	free(l);
	return NULL;
}

/* The place of an address's network. */
static int64_t *place_of(struct limiter *l, const struct address *a)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&a->storage;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&a->storage;
	unsigned char network[8] = { 0 };

	if (a->storage.ss_family == AF_INET6 && !IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		network[0] = 6;
		memcpy(network + 1, in6->sin6_addr.s6_addr, 7);
	} else if (a->storage.ss_family == AF_INET6) {
		memcpy(network + 1, in6->sin6_addr.s6_addr + 12, 3);
	} else if (a->storage.ss_family == AF_INET) {
		memcpy(network + 1, &in->sin_addr, 3);
	}
	return &l->network_until[siphash_local(network, sizeof(network)) % PLACES];
}

static void use(int64_t *until, uint64_t rate, size_t bytes, int64_t now)
{
	if (*until < now)
		*until = now;
	*until += (int64_t)((uint64_t)bytes * (uint64_t)NS_PER_S / rate);
}

bool limiter_take(struct limiter *l, const struct address *to, size_t bytes, int64_t now)
{
	int64_t *network = place_of(l, to);

	if (*network - now >= BURST_NS || l->total_until - now >= BURST_NS)
		return false;
	use(network, l->network_rate, bytes, now);
	use(&l->total_until, l->total_rate, bytes, now);
	return true;
}
