/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * limiter.h - how much we send to senders who may not be who they say: the rate of answers to datagrams.
 *
 * A datagram with another's address in it makes us send to that other.  What we send so is bounded for each
 * network (a /24 of IPv4, a /56 of IPv6) and in all.  The table is fixed: networks share its
 * places by a hash that nobody outside can compute, and share their rate when they meet in one.
 */
#ifndef TRANSPORT_LIMITER_H
#define TRANSPORT_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/address.h"

struct limiter;

/* Bytes per second, and as many at once after a quiet second; both rates above 0.  0 or -ENOMEM. */
int limiter_new(uint64_t network_bytes, uint64_t total_bytes, struct limiter **ret_limiter);
/* Accepts NULL, returns NULL. */
struct limiter *limiter_free(struct limiter *limiter);

/*
 * Whether so many bytes may be sent to the address now; then they are counted.  The last one within
 * a rate may be of any size.
 */
bool limiter_take(struct limiter *limiter, const struct address *to, size_t bytes, int64_t now);

#endif
