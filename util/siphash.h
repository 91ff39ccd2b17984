/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * siphash.h - SipHash-2-4 (Aumasson and Bernstein, 2012), the hash of every map whose keys come from
 * others: without the key, which is random per process, nobody can make keys that collide.
 */
#ifndef UTIL_SIPHASH_H
#define UTIL_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

struct siphash_key {
	uint64_t k0, k1;
};

uint64_t siphash(const struct siphash_key *key, const void *data, size_t len);

/* The variant of 128 bits: for digests that stand for the data, where no two may meet by chance. */
void siphash_128(const struct siphash_key *key, const void *data, size_t len, uint64_t ret[2]);

/* Hashes with the process's own key, which is drawn at the first use. */
uint64_t siphash_local(const void *data, size_t len);

#endif
