/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * content.h - what bytes are: valid UTF-8 or not, which MIME type, how they look in base64; and the form of
 * the -t option, TYPE or TYPE=FILE.
 */
#ifndef IPC9_CLI_CONTENT_H
#define IPC9_CLI_CONTENT_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Whether the bytes are UTF-8 without NUL.  more: other bytes follow, so a sequence that the end of these
 * cuts is no fault.
 */
bool content_is_text(const void *data, size_t size_bytes, bool more);

/* The length of the well-formed UTF-8 sequence that data begins with; 0 if none, or if it is cut off. */
size_t content_sequence(const void *data, size_t size_bytes);

/* The MIME type of content that begins with these bytes: text, else by magic number. */
const char *content_type(const void *data, size_t size_bytes, bool more);

/* The bytes in base64, to be freed; NULL without memory. */
char *content_base64(const void *data, size_t size_bytes);

/*
 * Finds the FILE of TYPE=FILE: what follows the first '=' that belongs to no parameter; NULL if there is
 * none.  A parameter is ;name=value or ;name="value" and has the first '=' after its ';':
 * text/plain;charset=utf-8 is a type, and text/plain;charset=utf-8=notes.txt a type and a file.
 */
const char *content_type_file(const char *text);

#endif
