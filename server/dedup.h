/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dedup.h - which messages came before.
 *
 * A set of exact keys, oldest forgotten first: after window_ms, or, beyond `max` keys, earlier; the set knows
 * since when it may have forgotten early, so that "not seen" is never said of what was seen within the
 * window.
 */
#ifndef SERVER_DEDUP_H
#define SERVER_DEDUP_H

#include <stddef.h>
#include <stdint.h>

#define DEDUP_KEY_SIZE 32

struct dedup;

enum dedup_answer {
	DEDUP_NEW,     /* was not there, and is now */
	DEDUP_SEEN,    /* was there */
	DEDUP_UNKNOWN, /* is not there, but may have been; not added */
	DEDUP_NO_MEMORY,
};

int dedup_new(size_t max, unsigned window_ms, struct dedup **ret_dedup);
struct dedup *dedup_free(struct dedup *dedup);

/* age_ms: since the key was used first, as its sender says; 0: this is the first time. */
enum dedup_answer dedup_look(struct dedup *dedup, const unsigned char key[DEDUP_KEY_SIZE],
    unsigned age_ms);

/* Takes a key out again that dedup_look added, because nothing came of it. */
void dedup_forget(struct dedup *dedup, const unsigned char key[DEDUP_KEY_SIZE]);

#endif
