/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * histogram.h - how often which time was seen, in buckets that grow with the value: percentiles are at most 1/64
 * above the truth, least and largest exact, at the cost of a few instructions per value.
 */
#ifndef UTIL_HISTOGRAM_H
#define UTIL_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_FINE_BITS 6 /* 64 buckets for each power of two */
#define HISTOGRAM_TOP_BITS 42 /* values from here on share the last bucket: 73 minutes in ns */
#define HISTOGRAM_BUCKETS ((HISTOGRAM_TOP_BITS - HISTOGRAM_FINE_BITS + 1) << HISTOGRAM_FINE_BITS)

/* All zero is empty. */
struct histogram {
	uint64_t n, min, max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/*
 * The value that so many of 10 000 do not exceed: 5000 is the median, 9990 the 99.9th percentile.  Between min
 * and max; 0 when empty.
 */
uint64_t histogram_percentile(const struct histogram *histogram, unsigned of_10000);

#endif
