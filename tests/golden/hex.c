/* SPDX-License-Identifier: BSD-3-Clause */
/* hex.c - see hex.h. */
#include "tests/golden/hex.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

/* --- Reading ----------------------------------------------------------------------------------- */

uint32_t hex_word(const struct hex *h, size_t word)
{
	const unsigned char *at = h->data + 4 * word;

	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static bool add_word(struct hex *h, const char *line)
{
	char digits[9] = "";
	uint32_t word;

	for (size_t i = 0; i < 8; i++) {
		if (!isxdigit((unsigned char)line[i]))
			return false;
		digits[i] = line[i];
	}
	if (line[8] && !isspace((unsigned char)line[8]))
		return false;
	if (h->size + 4 > HEX_MAX)
		return false;
	word = (uint32_t)strtoul(digits, NULL, 16);
	for (int shift = 24; shift >= 0; shift -= 8)
		h->data[h->size++] = (unsigned char)(word >> shift);
	return true;
}

bool hex_read(FILE *f, struct hex *h)
{
	char line[256];

	h->size = 0;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "```", 3) == 0)
			break;
		if (line[0] != '#' && line[0] != '\n' && !add_word(h, line))
			return false;
	}
	return h->size > 0;
}

/* --- Writing ----------------------------------------------------------------------------------- */

struct writer {
	FILE *f;
	const struct hex *hex;
	size_t word;
};

#define TOKEN_MAX 64

static bool has_words(const struct writer *w, size_t n)
{
	return w->word + n <= w->hex->size / 4;
}

static void put(struct writer *w, const char *what)
{
	if (w->f)
		fprintf(w->f, "%08" PRIx32 "  %s\n", hex_word(w->hex, w->word), what);
	w->word++;
}

static bool put_hyper(struct writer *w, const char *name, bool is_signed)
{
	char what[TOKEN_MAX + 48];
	uint64_t value;

	if (!has_words(w, 2))
		return false;
	value = (uint64_t)hex_word(w->hex, w->word) << 32 | hex_word(w->hex, w->word + 1);
	text_format(what, sizeof(what), "%s, upper half", name);
	put(w, what);
	if (is_signed)
		text_format(what, sizeof(what), "%s: %" PRId64, name, (int64_t)value);
	else
		text_format(what, sizeof(what), "%s: %" PRIu64, name, value);
	put(w, what);
	return true;
}

/* len bytes and their padding; as text where they are. */
static bool put_bytes(struct writer *w, const char *name, size_t len)
{
	size_t n_words = (len + 3) / 4;

	if (!has_words(w, n_words))
		return false;
	for (size_t i = 0; i < n_words; i++) {
		const unsigned char *at = w->hex->data + 4 * w->word;
		size_t n = len - 4 * i < 4 ? len - 4 * i : 4;
		char what[TOKEN_MAX + 48], text[5] = "";

		for (size_t j = 0; j < n; j++)
			text[j] = isprint(at[j]) ? (char)at[j] : '.';
		text_format(what, sizeof(what), "%s, \"%s\"%s", i ? "  ..." : name, text,
		    n < 4 ? " and padding" : "");
		put(w, what);
	}
	return true;
}

static bool put_counted(struct writer *w, const char *name, bool with_bytes)
{
	char what[TOKEN_MAX + 48];
	uint32_t n;

	if (!has_words(w, 1))
		return false;
	n = hex_word(w->hex, w->word);
	text_format(what, sizeof(what), "%s: %" PRIu32 " %s", name, n,
	    with_bytes ? "bytes" : "elements");
	put(w, what);
	return !with_bytes || (n <= HEX_MAX && put_bytes(w, name, n));
}

static bool put_integer(struct writer *w, const char *name)
{
	char what[TOKEN_MAX + 48];
	const char *means = strchr(name, '=');

	if (!has_words(w, 1))
		return false;
	if (means)
		text_format(what, sizeof(what), "%.*s: %s", (int)(means - name), name, means + 1);
	else
		text_format(what, sizeof(what), "%s: %" PRIu32, name, hex_word(w->hex, w->word));
	put(w, what);
	return true;
}

/* One word of the layout that is no bracket. */
static bool put_token(struct writer *w, char *token)
{
	char *kind = strchr(token, ':');

	if (!kind)
		return put_integer(w, token);
	*kind++ = '\0';
	switch (*kind) {
	case 'h':
	case 'l':
		return put_hyper(w, token, *kind == 'l');
	case 's':
	case 'o':
		return put_counted(w, token, true);
	default:
		return put_bytes(w, token, strtoul(kind, NULL, 10));
	}
}

static const char *next_token(const char *layout, char token[TOKEN_MAX])
{
	size_t n;

	layout += strspn(layout, " ");
	n = strcspn(layout, " ");
	text_format(token, TOKEN_MAX, "%.*s", (int)n, layout);
	return layout + n;
}

/*
 * Arrays do not nest: where one begins is remembered, and its end goes back there as often as it has
 * elements.  An array without elements is passed over.
 */
static bool put_layout(struct writer *w, const char *layout)
{
	const char *inside = NULL;
	uint32_t left = 0;
	char token[TOKEN_MAX];

	for (;;) {
		size_t len;

		layout = next_token(layout, token);
		len = strlen(token);
		if (!len)
			return !inside;
		if (strcmp(token, "]") == 0) {
			if (!inside)
				return false;
			layout = --left ? inside : layout;
			inside = left ? inside : NULL;
		} else if (token[len - 1] == '[') {
			token[len - 1] = '\0';
			if (inside || !put_counted(w, token, false))
				return false;
			left = hex_word(w->hex, w->word - 1);
			inside = left ? layout : NULL;
			if (!left)
				layout = strchr(layout, ']') + 1;
		} else if (!put_token(w, token)) {
			return false;
		}
	}
}

bool hex_write(FILE *f, const struct hex *hex, const char *layout)
{
	struct writer w = { f, hex, 0 };

	return put_layout(&w, layout) && w.word == hex->size / 4;
}
