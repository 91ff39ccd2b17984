/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * output.h - everything the command says: data on standard output, talk on standard error.
 *
 * Talk is one line, `ipc9: ...`, written at once, so that lines of several threads do not mix; control
 * characters in it are shown, not sent.  Text for people goes to stdout through stdio, data past it
 * (output_data); a verb does not mix the two.
 */
#ifndef IPC9_CLI_OUTPUT_H
#define IPC9_CLI_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cli/commands.h"
#include "client/ipc9.h"

#define EXIT_FAILED 1
#define EXIT_USAGE 2
#define EXIT_NOTHING 3
/*
 * Nobody reads standard output any more: said by nobody, and main ends the process by SIGPIPE, as other
 * tools end, once everything is closed.
 */
#define OUTPUT_BROKEN 141

/* --- Talk -------------------------------------------------------------------------------------- */

void output_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* What a person should know though it is no failure; not with -q. */
void output_warning(const struct invocation *invocation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* What is being done; only with -v. */
void output_note(const struct invocation *invocation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/*
 * Reports what the library answered and returns the exit status for it.  With -q it keeps silent about
 * EXIT_NOTHING.
 */
int output_fail(const struct invocation *invocation, const struct ipc9_error *error);
/* Reports a lack of memory; returns EXIT_FAILED. */
int output_no_memory(void);

/* --- Data -------------------------------------------------------------------------------------- */

/* Reports that standard output took a write badly, -errno; returns the exit status. */
int output_failed_write(int r);
/* Writes bytes.  0 or the exit status. */
int output_data(const void *data, size_t size_bytes);
/* Sends on what stdio holds.  0 or the exit status. */
int output_flush(void);
/* Writes a line of JSON and lets it go; NULL is a lack of memory.  0 or the exit status. */
int output_json(json_t *object);

/* --- Text for people --------------------------------------------------------------------------- */

/* Prints text; what a terminal acts on (text_steering), and bytes that are no UTF-8, as \xNN, wherever it goes. */
void output_text(const char *text);

/* A table: rows of the same number of cells, the last column at the left, all others at the right. */
struct output_table;

/* With a first row of titles.  NULL without memory, which the functions below take. */
struct output_table *output_table_new(const char *const titles[], size_t n_columns);
/* Adds a cell; a lack of memory is remembered for output_table_end. */
void output_table_text(struct output_table *table, const char *text);
void output_table_number(struct output_table *table, uint64_t number);
/* Prints the table and frees it; NULL is a lack of memory.  0 or the exit status. */
int output_table_end(struct output_table *table);

/* --- Identities -------------------------------------------------------------------------------- */

#define OUTPUT_IDENTITY_BYTES 640

const char *output_how(enum ipc9_how how);
/* "uid 1000 from local", "alice@REALM from 10.0.0.2", "uid 5 (claimed) from ...", "anonymous from ...". */
void output_identity(const struct ipc9_identity *identity, char text[OUTPUT_IDENTITY_BYTES]);
/* The same, in one word for a table, without where from: "uid:1000". */
void output_owner(const struct ipc9_identity *identity, char text[OUTPUT_IDENTITY_BYTES]);

/* --- Pieces of JSON; NULL without memory ------------------------------------------------------- */

json_t *output_json_text(const char *text);
json_t *output_json_number(uint64_t number);
json_t *output_json_identity(const struct ipc9_identity *identity);
/* Gives object back, or, if building it failed (r is not 0), lets it go and returns NULL. */
json_t *output_json_built(json_t *object, int r);
/* Adds "data" when the bytes are UTF-8 without NUL, otherwise "data_base64".  0, or -1 without memory. */
int output_json_data(json_t *object, const void *data, size_t size_bytes);

#endif
