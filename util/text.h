/* SPDX-License-Identifier: BSD-3-Clause */
/* text.h - questions about strings that came from outside. */
#ifndef UTIL_TEXT_H
#define UTIL_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Well-formed UTF-8 without surrogates, overlong forms, or anything above U+10FFFF. */
bool text_is_utf8(const char *text, size_t len);

/* Any byte below 0x20, 0x7f, or a C1 control (U+0080 to U+009F) in UTF-8. */
bool text_has_control(const char *text, size_t len);

/*
 * How many bytes of text, from its beginning on, are a character that a terminal or a reader of logs may act on instead of
 * showing it: controls, line and paragraph separators, the byte order mark, and what changes the direction of writing
 * (U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069).  0: none of these.
 */
size_t text_steering(const char *text, size_t len);

/*
 * Text between quotation marks, so that whoever reads it finds its end and gets back every byte: '"' and '\' have a '\'
 * before them, and the bytes of text_steering, or those of 0x80 and above where text is not UTF-8, are \xNN.  size:
 * TEXT_QUOTED_SIZE(length) holds any text; with less it is cut off, within the marks and never within what stands for a byte.
 */
#define TEXT_QUOTED_SIZE(length) (4 * (length) + 3)
void text_quote(const char *text, char *quoted, size_t size);

/* ASCII capitals become small letters, in place; other bytes stay. */
void text_fold(char *text);

/* printf into a buffer that is always ended; what does not fit is cut off. */
void text_format(char *buffer, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
