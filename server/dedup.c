/* SPDX-License-Identifier: BSD-3-Clause */
/* dedup.c - see dedup.h.  The map's own order is the order of insertion, so its head is the oldest key. */
#include "server/dedup.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "util/map.h"

struct entry {
	UT_hash_handle hh;
	unsigned char key[DEDUP_KEY_SIZE];
	int64_t added;
};

struct dedup {
	struct entry *entries;
	size_t max;
	int64_t window; /* ns */
	int64_t forgot; /* of what was first tried until then nothing is known for sure */
};

int dedup_new(size_t max, unsigned window_ms, struct dedup **ret)
{
	struct dedup *d = calloc(1, sizeof(*d));

	if (!d)
		return -ENOMEM;
	d->max = max;
	d->window = window_ms * NS_PER_MS;
	d->forgot = clock_now(); /* a daemon before us may have seen anything */
	*ret = d;
	return 0;
}

static void drop(struct dedup *d, struct entry *e)
{
	HASH_DEL(d->entries, e);
	free(e);
}

struct dedup *dedup_free(struct dedup *d)
{
	while (d && d->entries)
		drop(d, d->entries);
	free(d);
	return NULL;
}

static void make_room(struct dedup *d, int64_t now)
{
	while (d->entries && d->entries->added + d->window < now)
		drop(d, d->entries);
	while (HASH_COUNT(d->entries) >= d->max) {
		d->forgot = d->entries->added;
		drop(d, d->entries);
	}
}

enum dedup_answer dedup_look(struct dedup *d, const unsigned char key[DEDUP_KEY_SIZE],
    unsigned age_ms)
{
	int64_t now = clock_now(), first = now - age_ms * NS_PER_MS;
	struct entry *e;
	bool added = false;

	HASH_FIND(hh, d->entries, key, DEDUP_KEY_SIZE, e);
	if (e)
		return DEDUP_SEEN;
	/* A first try was never here.  A later one was not either if nothing that young is gone. */
	if (age_ms && (first + d->window < now || first <= d->forgot))
		return DEDUP_UNKNOWN;
	make_room(d, now);
	e = malloc(sizeof(*e));
	if (!e)
		return DEDUP_NO_MEMORY;
	memcpy(e->key, key, DEDUP_KEY_SIZE);
	e->added = now;
	MAP_ADD_KEY(hh, d->entries, e->key, DEDUP_KEY_SIZE, e, added);
	if (!added) {
		free(e);
		return DEDUP_NO_MEMORY;
	}
	return DEDUP_NEW;
}

void dedup_forget(struct dedup *d, const unsigned char key[DEDUP_KEY_SIZE])
{
	struct entry *e;

	HASH_FIND(hh, d->entries, key, DEDUP_KEY_SIZE, e);
	if (e)
		drop(d, e);
}
