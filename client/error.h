/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * error.h - filling in a struct ipc9_error.
 *
 * Texts that came from other hosts end up in these sentences, and a person's terminal shows them: what is
 * written here is always one line of UTF-8 without control characters.
 */
#ifndef CLIENT_ERROR_H
#define CLIENT_ERROR_H

#include "client/ipc9.h"

/* Writes code and sentence, unless error is NULL.  Returns code. */
int error_set(struct ipc9_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The sentence for a negative errno of this process's own; returns it. */
int error_set_own(struct ipc9_error *error, int code);

/* Makes a text that came from outside fit to be shown, in place: other bytes become '?'. */
void error_clean(char *text);

#endif
