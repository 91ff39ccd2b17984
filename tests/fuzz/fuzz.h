/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz.h - what the fuzz targets share: the entry that libFuzzer calls, claims that must hold, and reading a
 * target's choices from its input.
 *
 * A target is one file fuzz_NAME.c with its seeds in corpus/NAME; tests/fuzz/fuzz.mk builds and runs it.  What
 * is handed to the code under test lies in a block of exactly its size, so that reading beyond it shows.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/gather.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Ends the program, by which libFuzzer knows a defect and keeps the input. */
#define CLAIM(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__,          \
			    #condition);                                                           \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* What has not been used of an input; beyond its end there are zeroes. */
struct input {
	const uint8_t *at;
	size_t left;
};

static inline unsigned input_byte(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static inline unsigned input_short(struct input *in)
{
	unsigned high = input_byte(in);

	return high << 8 | input_byte(in);
}

/* Up to want bytes of the input; how many there are is *ret_size. */
static inline const uint8_t *input_take(struct input *in, size_t want, size_t *ret_size)
{
	const uint8_t *at = in->at;

	*ret_size = want < in->left ? want : in->left;
	in->at += *ret_size;
	in->left -= *ret_size;
	return at;
}

/* A copy in a block of exactly that size (of one byte for none). */
static inline void *copy_of(const void *data, size_t size)
{
	void *copy = malloc(size ? size : 1);

	CLAIM(copy);
	if (size)
		memcpy(copy, data, size);
	return copy;
}

/* The same with an end of string behind; an end of string inside ends it as well. */
static inline char *text_of(const void *data, size_t size)
{
	char *text = malloc(size + 1);

	CLAIM(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	return text;
}

/* All bytes of a gather in one block of exactly their size, which the caller frees. */
static inline unsigned char *flatten(const struct gather *g)
{
	unsigned char *flat = malloc(g->size ? g->size : 1);
	size_t n = 0;

	CLAIM(flat);
	for (size_t i = g->first; i < g->end; i++) {
		CLAIM(g->pieces[i].len > 0);
		memcpy(flat + n, g->pieces[i].data, g->pieces[i].len);
		n += g->pieces[i].len;
	}
	CLAIM(n == g->size);
	return flat;
}

#endif
