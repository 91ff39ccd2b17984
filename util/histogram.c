/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * histogram.c - see histogram.h.
 *
 * Values below 64 have a bucket each.  Above, a bucket is the highest bit and the six bits after it: shift s
 * (from 0) covers values from 64 << s, in steps of 1 << s.
 */
#include "util/histogram.h"

#define FINE (UINT64_C(1) << HISTOGRAM_FINE_BITS)

static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < FINE)
		return (unsigned)value;
	if (value >> HISTOGRAM_TOP_BITS)
		return HISTOGRAM_BUCKETS - 1;
	shift = 63 - (unsigned)__builtin_clzll(value) - HISTOGRAM_FINE_BITS;
	return ((shift + 1) << HISTOGRAM_FINE_BITS) + (unsigned)((value >> shift) & (FINE - 1));
}

/* The largest value of a bucket. */
static uint64_t bucket_end(unsigned bucket)
{
	unsigned shift = bucket >> HISTOGRAM_FINE_BITS;

	if (shift <= 1)
		return bucket;
	shift--;
	return ((FINE + (bucket & (FINE - 1)) + 1) << shift) - 1;
}

void histogram_add(struct histogram *h, uint64_t value)
{
	if (h->n == 0 || value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
	h->n++;
	h->buckets[bucket_of(value)]++;
}

uint64_t histogram_percentile(const struct histogram *h, unsigned of_10000)
{
	/* How many must not exceed it: rounded up, so that the median of two is the first. */
	uint64_t wanted = (h->n / 10000) * of_10000 + (h->n % 10000 * of_10000 + 9999) / 10000;
	uint64_t seen = 0, value;
	unsigned i = 0;

	if (h->n == 0)
		return 0;
	for (; i < HISTOGRAM_BUCKETS - 1; i++) {
		seen += h->buckets[i];
		if (seen >= wanted && seen)
			break;
	}
	value = i == HISTOGRAM_BUCKETS - 1 ? h->max : bucket_end(i);
	if (value > h->max)
		value = h->max;
	return value < h->min ? h->min : value;
}
