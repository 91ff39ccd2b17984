/* SPDX-License-Identifier: BSD-3-Clause */
/* siphash.c - see siphash.h. */
#include "util/siphash.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "util/clock.h"

static uint64_t rotate(uint64_t x, int by)
{
	return x << by | x >> (64 - by);
}

static void rounds(uint64_t v[4], int n)
{
	while (n--) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static uint64_t load_le(const unsigned char *p, size_t n)
{
	uint64_t w = 0;

	for (size_t i = 0; i < n; i++)
		w |= (uint64_t)p[i] << (8 * i);
	return w;
}

static void start(uint64_t v[4], const struct siphash_key *key)
{
	v[0] = key->k0 ^ 0x736f6d6570736575;
	v[1] = key->k1 ^ 0x646f72616e646f6d;
	v[2] = key->k0 ^ 0x6c7967656e657261;
	v[3] = key->k1 ^ 0x7465646279746573;
}

static void compress(uint64_t v[4], const unsigned char *p, size_t len)
{
	uint64_t last = (uint64_t)len << 56;
	uint64_t word;

	for (; len >= 8; p += 8, len -= 8) {
		word = load_le(p, 8);
		v[3] ^= word;
		rounds(v, 2);
		v[0] ^= word;
	}
	last |= load_le(p, len);
	v[3] ^= last;
	rounds(v, 2);
	v[0] ^= last;
}

static uint64_t finish(uint64_t v[4])
{
	rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t siphash(const struct siphash_key *key, const void *data, size_t len)
{
	uint64_t v[4];

	start(v, key);
	compress(v, data, len);
	v[2] ^= 0xff;
	return finish(v);
}

void siphash_128(const struct siphash_key *key, const void *data, size_t len, uint64_t ret[2])
{
	uint64_t v[4];

	start(v, key);
	v[1] ^= 0xee;
	compress(v, data, len);
	v[2] ^= 0xee;
	ret[0] = finish(v);
	v[1] ^= 0xdd;
	ret[1] = finish(v);
}

static struct siphash_key local_key;

static void draw_key(void)
{
	/* Never fails for so few bytes once the system has booted; a weak key is better than none. */
	if (getrandom(&local_key, sizeof(local_key), 0) != sizeof(local_key))
		local_key.k0 = (uint64_t)clock_now();
}

uint64_t siphash_local(const void *data, size_t len)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	pthread_once(&once, draw_key);
	return siphash(&local_key, data, len);
}
