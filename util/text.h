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

/* ASCII capitals become small letters, in place; other bytes stay. */
void text_fold(char *text);

/* printf into a buffer that is always ended; what does not fit is cut off. */
void text_format(char *buffer, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
