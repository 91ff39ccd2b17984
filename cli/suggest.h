/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * suggest.h - the word that somebody probably meant.
 */
#ifndef IPC9_CLI_SUGGEST_H
#define IPC9_CLI_SUGGEST_H

#include <stddef.h>

/* How a search begins: { .typed = WORD }. */
struct suggest {
	const char *typed;
	const char *best; /* NULL: nothing is near */
	size_t best_distance;
};

/* Offers a right word. */
void suggest_offer(struct suggest *suggest, const char *word);

#endif
