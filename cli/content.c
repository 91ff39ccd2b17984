/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * content.c - what bytes are, without any input or output.
 */
#include "cli/content.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

/* --- UTF-8 ------------------------------------------------------------------------------------- */

size_t content_sequence(const void *data, size_t size_bytes)
{
	for (size_t n = 1; n <= 4 && n <= size_bytes; n++)
		if (text_is_utf8(data, n))
			return n;
	return 0;
}

/* How many bytes at the end begin a sequence that is longer. */
static size_t content_cut_bytes(const uint8_t *bytes, size_t size_bytes)
{
	for (size_t n = 1; n <= 3 && n <= size_bytes; n++) {
		uint8_t byte = bytes[size_bytes - n];
		size_t wants = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2;

		if (byte >= 0xc0)
			return wants > n ? n : 0;
	}
	return 0;
}

bool content_is_text(const void *data, size_t size_bytes, bool more)
{
	size_t cut = more ? content_cut_bytes(data, size_bytes) : 0;

	return (size_bytes == 0 || !memchr(data, 0, size_bytes)) &&
	    text_is_utf8(data, size_bytes - cut);
}

/* --- Types ------------------------------------------------------------------------------------- */

struct content_magic {
	const char *magic;
	size_t size_bytes;
	const char *type;
};

static const struct content_magic content_magic_table[] = {
	{ .magic = "\x89PNG\r\n\x1a\n", .size_bytes = 8, .type = "image/png" },
	{ .magic = "\xff\xd8\xff", .size_bytes = 3, .type = "image/jpeg" },
	{ .magic = "GIF87a", .size_bytes = 6, .type = "image/gif" },
	{ .magic = "GIF89a", .size_bytes = 6, .type = "image/gif" },
	{ .magic = "%PDF-", .size_bytes = 5, .type = "application/pdf" },
};

const char *content_type(const void *data, size_t size_bytes, bool more)
{
	for (size_t i = 0; i < sizeof(content_magic_table) / sizeof(content_magic_table[0]); i++) {
		const struct content_magic *row = &content_magic_table[i];

		if (size_bytes >= row->size_bytes && memcmp(data, row->magic, row->size_bytes) == 0)
			return row->type;
	}
	if (content_is_text(data, size_bytes, more))
		return "text/plain;charset=utf-8";
	return "application/octet-stream";
}

/* Returns what follows the quoted string (RFC 9110 section 5.6.4) that begins at text. */
static const char *content_skip_quoted(const char *text)
{
	for (text++; *text != '\0' && *text != '"'; text++)
		if (*text == '\\' && text[1] != '\0')
			text++;
	return *text == '"' ? text + 1 : text;
}

const char *content_type_file(const char *text)
{
	bool wants_value = false; /* a parameter's name was begun, its '=' is still to come */

	while (*text != '\0') {
		if (*text == ';') {
			wants_value = true;
		} else if (*text == '=') {
			if (!wants_value)
				return text + 1;
			wants_value = false;
			if (text[1] == '"') {
				text = content_skip_quoted(text + 1);
				continue;
			}
		}
		text++;
	}
	return NULL;
}

/* --- Base64 (RFC 4648) ------------------------------------------------------------------------- */

char *content_base64(const void *data, size_t size_bytes)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *bytes = data;
	char *text, *out;

	if (size_bytes > SIZE_MAX / 4 * 3 - 8)
		return NULL;
	text = malloc((size_bytes + 2) / 3 * 4 + 1);
	if (!text)
		return NULL;
	out = text;
	for (size_t i = 0; i < size_bytes; i += 3) {
		size_t left = size_bytes - i;
		uint32_t group = (uint32_t)bytes[i] << 16;

		if (left > 1)
			group |= (uint32_t)bytes[i + 1] << 8;
		if (left > 2)
			group |= bytes[i + 2];
		*out++ = digits[group >> 18];
		*out++ = digits[group >> 12 & 63];
		*out++ = left > 1 ? digits[group >> 6 & 63] : '=';
		*out++ = left > 2 ? digits[group & 63] : '=';
	}
	*out = '\0';
	return text;
}
