/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * suggest.h - what to say after a word that is not known: the one that was probably meant.
 */
#ifndef IPC9_CLI_SUGGEST_H
#define IPC9_CLI_SUGGEST_H

#include <stddef.h>

#define SUGGEST_PHRASE_BYTES 256

/* How a search begins: { .typed = WORD }. */
struct suggest {
	const char *typed;
	const char *best; /* the nearest of those offered, NULL if there is none */
	size_t best_distance;
	char all[SUGGEST_PHRASE_BYTES - 16]; /* those offered, with commas */
};

/* Offers a right word. */
void suggest_offer(struct suggest *suggest, const char *word);

/* `did you mean "copy"?`, or, when nothing is near, `there are copy, paste`. */
void suggest_phrase(const struct suggest *suggest, char phrase[SUGGEST_PHRASE_BYTES]);

#endif
