/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * hex.h - golden files: XDR words as text.
 *
 * A line is one word, eight hex digits, and then whatever a person wants to know about it; lines that begin
 * with '#' are for people only.
 */
#ifndef TESTS_GOLDEN_HEX_H
#define TESTS_GOLDEN_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define HEX_MAX 16384

struct hex {
	_Alignas(uint64_t) unsigned char data[HEX_MAX];
	size_t size; /* always a multiple of 4 */
};

uint32_t hex_word(const struct hex *hex, size_t word);

/* Adds the words of a file from where it stands up to its end, or to a line that is "```".  false: no words. */
bool hex_read(FILE *f, struct hex *ret);

/*
 * Writes the words, each with what it is.  layout names them, separated by blanks:
 *
 *	name		an integer		name=TEXT	the same, and what its value means
 *	name:h		an unsigned hyper	name:l		a hyper (signed)
 *	name:s		a string		name:o		opaque<>
 *	name:N		opaque[N]		name[ ... ]	a counted array of what stands between
 *
 * false: the layout and the words do not fit each other.  f NULL: only looks whether they do.
 */
bool hex_write(FILE *f, const struct hex *hex, const char *layout);

#endif
