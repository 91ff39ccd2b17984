/* SPDX-License-Identifier: BSD-3-Clause */
/* text.c - see text.h. */
#include "util/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Length of the sequence that starts at p, or 0 when it is not well formed. */
static size_t utf8_sequence(const unsigned char *p, size_t left)
{
	uint32_t c = p[0], least;
	size_t n;

	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		n = 2, least = 0x80, c &= 0x1f;
	else if (c >= 0xe0 && c <= 0xef)
		n = 3, least = 0x800, c &= 0x0f;
	else if (c >= 0xf0 && c <= 0xf4)
		n = 4, least = 0x10000, c &= 0x07;
	else
		return 0;
	if (n > left)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	return n;
}

bool text_is_utf8(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	while (len) {
		size_t n = utf8_sequence(p, len);

		if (!n)
			return false;
		p += n;
		len -= n;
	}
	return true;
}

bool text_has_control(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;

	for (size_t i = 0; i < len; i++) {
		if (p[i] < 0x20 || p[i] == 0x7f)
			return true;
		if (p[i] == 0xc2 && i + 1 < len && p[i + 1] >= 0x80 && p[i + 1] <= 0x9f)
			return true;
	}
	return false;
}

size_t text_steering(const char *text, size_t len)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = { { 0, 0x1f }, { 0x7f, 0x9f }, { 0x61c, 0x61c }, { 0x200e, 0x200f },
		{ 0x2028, 0x202e }, { 0x2066, 0x2069 }, { 0xfeff, 0xfeff } };
	const unsigned char *p = (const unsigned char *)text;
	size_t n = len ? utf8_sequence(p, len) : 0;
	uint32_t c;

	/* Those beyond U+FFFF are all shown. */
	if (n == 0 || n == 4)
		return 0;
	c = n == 1 ? p[0] : n == 2 ? p[0] & 0x1fu : p[0] & 0x0fu;
	for (size_t i = 1; i < n; i++)
		c = c << 6 | (p[i] & 0x3fu);
	for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		if (c >= ranges[i].first && c <= ranges[i].last)
			return n;
	return 0;
}

/* How many of the bytes at p are shown as \xNN. */
static size_t quote_hidden(const char *p, bool utf8)
{
	if (!utf8 && (unsigned char)*p >= 0x80)
		return 1;
	return text_steering(p, strnlen(p, 4));
}

void text_quote(const char *text, char *quoted, size_t size)
{
	bool utf8 = text_is_utf8(text, strlen(text));
	size_t n = 0, hidden = 0;

	quoted[n++] = '"';
	for (; *text && n + 6 <= size; text++) {
		if (!hidden)
			hidden = quote_hidden(text, utf8);
		if (hidden) {
			text_format(quoted + n, 5, "\\x%02x", (unsigned char)*text);
			n += 4;
			hidden--;
			continue;
		}
		if (*text == '"' || *text == '\\')
			quoted[n++] = '\\';
		quoted[n++] = *text;
	}
	quoted[n++] = '"';
	quoted[n] = '\0';
}

void text_fold(char *text)
{
	for (; *text; text++)
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
}

void text_format(char *buffer, size_t size, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	if (vsnprintf(buffer, size, format, ap) < 0 && size)
		buffer[0] = '\0';
	va_end(ap);
}
