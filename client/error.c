/* SPDX-License-Identifier: BSD-3-Clause */
/* error.c - see error.h. */
#include "client/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/text.h"

/* A text that was cut may end inside a character. */
static void drop_partial_character(char *text)
{
	size_t len = strlen(text), at = len;

	while (at > 0 && len - at < 3 && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
		at--;
	if (at > 0 && (unsigned char)text[at - 1] >= 0xc0 &&
	    !text_is_utf8(text + at - 1, len - at + 1))
		text[at - 1] = '\0';
}

void error_clean(char *text)
{
	bool ascii_only;

	for (char *p = text; *p; p++)
		if ((unsigned char)*p < 0x20 || *p == 0x7f)
			*p = '?';
	/* What is left are C1 controls and what is not UTF-8; neither deserves to be told apart. */
	ascii_only = !text_is_utf8(text, strlen(text)) || text_has_control(text, strlen(text));
	for (char *p = text; *p && ascii_only; p++)
		if ((unsigned char)*p >= 0x80)
			*p = '?';
}

int error_set(struct ipc9_error *error, int code, const char *format, ...)
{
	va_list ap;

	if (!error)
		return code;
	error->code = code;
	va_start(ap, format);
	if (vsnprintf(error->text, sizeof(error->text), format, ap) < 0)
		error->text[0] = '\0';
	va_end(ap);
	drop_partial_character(error->text);
	error_clean(error->text);
	return code;
}

int error_set_own(struct ipc9_error *error, int code)
{
	return error_set(error, code, "this process is in trouble: %s", strerror(-code));
}
