/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * suggest.c - the word that somebody probably meant: one that they began, else the one at the smallest edit distance, counting a
 * letter too many, one too few, one wrong, and two exchanged neighbours as one each.  ASCII case does not
 * count.
 */
#include "cli/suggest.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define SUGGEST_WORD_MAX 64

static int suggest_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

static size_t suggest_min(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Both words are at most SUGGEST_WORD_MAX bytes long. */
static size_t suggest_distance(const char *a, const char *b)
{
	size_t rows[3]
		   [SUGGEST_WORD_MAX + 1]; /* distances of a's first i letters from b's first j */
	size_t a_size = strlen(a), b_size = strlen(b);

	for (size_t j = 0; j <= b_size; j++)
		rows[0][j] = j;
	for (size_t i = 1; i <= a_size; i++) {
		size_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *above2 = rows[(i + 1) % 3];

		row[0] = i;
		for (size_t j = 1; j <= b_size; j++) {
			int ca = suggest_lower(a[i - 1]), cb = suggest_lower(b[j - 1]);

			row[j] = suggest_min(above[j], row[j - 1]) + 1;
			row[j] = suggest_min(row[j], above[j - 1] + (ca != cb));
			if (i > 1 && j > 1 && ca == suggest_lower(b[j - 2]) &&
			    cb == suggest_lower(a[i - 2]))
				row[j] = suggest_min(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a_size % 3][b_size];
}

void suggest_offer(struct suggest *suggest, const char *word)
{
	size_t typed_size = strlen(suggest->typed), all_size = strlen(suggest->all);
	size_t distance;

	(void)snprintf(suggest->all + all_size, sizeof(suggest->all) - all_size, "%s%s",
	    all_size > 0 ? ", " : "", word);
	if (typed_size == 0 || typed_size > SUGGEST_WORD_MAX || strlen(word) > SUGGEST_WORD_MAX)
		return;
	distance = suggest_distance(suggest->typed, word);
	if (distance > 0 && strncasecmp(word, suggest->typed, typed_size) == 0)
		distance = 1;
	if (!suggest->best || distance < suggest->best_distance) {
		suggest->best = word;
		suggest->best_distance = distance;
	}
}

void suggest_phrase(const struct suggest *suggest, char phrase[SUGGEST_PHRASE_BYTES])
{
	size_t typed_size = strlen(suggest->typed);

	/* Beyond half of the letters a guess would be a random word. */
	if (suggest->best && suggest->best_distance <= (typed_size + 1) / 2)
		(void)snprintf(phrase, SUGGEST_PHRASE_BYTES, "did you mean \"%s\"?", suggest->best);
	else
		(void)snprintf(phrase, SUGGEST_PHRASE_BYTES, "there are %s", suggest->all);
}
