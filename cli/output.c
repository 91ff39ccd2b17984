/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * output.c - talk on standard error, data and text for people on standard output.  JSON is in output_json.c.
 */
#include "cli/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/content.h"
#include "cli/io.h"
#include "util/text.h"

#define OUTPUT_LINE_BYTES 1024

/* --- Escaping ---------------------------------------------------------------------------------- */

/*
 * Shows the next character of text in out as it may be printed; returns how many bytes of text that took.
 * What comes from other hosts must not steer a terminal or make lines of its own.
 */
static size_t output_escape(const char *text, char out[5])
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t n = content_sequence(text, strnlen(text, 4));

	if (n == 0 || text_steering(text, n)) {
		/* The bytes behind the first follow in calls of their own, as no UTF-8. */
		(void)snprintf(out, 5, "\\x%02x", bytes[0]);
		return 1;
	}
	memcpy(out, text, n);
	out[n] = '\0';
	return n;
}

void output_text(const char *text)
{
	char out[5];

	while (*text != '\0') {
		text += output_escape(text, out);
		(void)fputs(out, stdout);
	}
}

/* --- Talk -------------------------------------------------------------------------------------- */

__attribute__((format(printf, 1, 0))) static void output_talk(const char *format, va_list arguments)
{
	char text[OUTPUT_LINE_BYTES], line[OUTPUT_LINE_BYTES * 4 + 8];
	size_t size = 0;

	(void)vsnprintf(text, sizeof(text), format, arguments);
	memcpy(line, "ipc9: ", 6);
	size = 6;
	for (const char *p = text; *p != '\0';) {
		char out[5];

		p += output_escape(p, out);
		memcpy(line + size, out, strlen(out));
		size += strlen(out);
	}
	line[size++] = '\n';
	(void)io_write_all(STDERR_FILENO, line, size);
}

void output_error(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	output_talk(format, arguments);
	va_end(arguments);
}

void output_warning(const struct invocation *invocation, const char *format, ...)
{
	va_list arguments;

	if (invocation->quiet)
		return;
	va_start(arguments, format);
	output_talk(format, arguments);
	va_end(arguments);
}

void output_note(const struct invocation *invocation, const char *format, ...)
{
	va_list arguments;

	if (invocation->verbose == 0)
		return;
	va_start(arguments, format);
	output_talk(format, arguments);
	va_end(arguments);
}

int output_fail(const struct invocation *invocation, const struct ipc9_error *error)
{
	int status = ipc9_exit_status(error->code);

	if (status == 0)
		status = EXIT_FAILED;
	if (status != EXIT_NOTHING || !invocation->quiet)
		output_error("%s",
		    error->text[0] != '\0' ? error->text : ipc9_strerror(error->code));
	return status;
}

int output_no_memory(void)
{
	output_error("out of memory");
	return EXIT_FAILED;
}

/* --- Data -------------------------------------------------------------------------------------- */

int output_failed_write(int r)
{
	if (r == -EPIPE)
		return OUTPUT_BROKEN;
	output_error("cannot write to standard output: %s", strerror(-r));
	return EXIT_FAILED;
}

int output_data(const void *data, size_t size_bytes)
{
	int r = io_write_all(STDOUT_FILENO, data, size_bytes);

	return r ? output_failed_write(r) : 0;
}

int output_flush(void)
{
	errno = 0;
	if (fflush(stdout) == EOF || ferror(stdout))
		return output_failed_write(errno != 0 ? -errno : -EIO);
	return 0;
}

/* --- Tables ------------------------------------------------------------------------------------ */

struct output_table {
	size_t n_columns;
	char **cells; /* row after row, ours */
	size_t n_cells;
	bool failed; /* a cell is missing for lack of memory */
};

struct output_table *output_table_new(const char *const titles[], size_t n_columns)
{
	struct output_table *table = calloc(1, sizeof(*table));

	if (table)
		table->n_columns = n_columns;
	for (size_t i = 0; i < n_columns; i++)
		output_table_text(table, titles[i]);
	return table;
}

void output_table_text(struct output_table *table, const char *text)
{
	char **cells, *cell = NULL, *end;

	if (!table || table->failed)
		return;
	cells = reallocarray(table->cells, table->n_cells + 1, sizeof(*cells));
	if (cells) {
		table->cells = cells;
		cell = malloc(strlen(text) * 4 + 5);
	}
	if (!cell) {
		table->failed = true;
		return;
	}
	for (end = cell, *end = '\0'; *text != '\0'; end += strlen(end))
		text += output_escape(text, end);
	table->cells[table->n_cells++] = cell;
}

void output_table_number(struct output_table *table, uint64_t number)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	output_table_text(table, text);
}

/* The width of a column, counting characters; a wide one counts as one. */
static size_t output_table_cell_width(const char *cell)
{
	size_t width = 0;

	for (; *cell != '\0'; cell++)
		width += ((unsigned char)*cell & 0xc0) != 0x80;
	return width;
}

static size_t output_table_width(const struct output_table *table, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < table->n_cells; i += table->n_columns) {
		size_t cell_width = output_table_cell_width(table->cells[i]);

		if (cell_width > width)
			width = cell_width;
	}
	return width;
}

static void output_table_print(const struct output_table *table, const size_t *widths)
{
	for (size_t i = 0; i < table->n_cells; i++) {
		const char *cell = table->cells[i];
		size_t column = i % table->n_columns;

		if (column + 1 == table->n_columns)
			(void)printf("%s\n", cell);
		else
			(void)printf("%*s%s  ",
			    (int)(widths[column] - output_table_cell_width(cell)), "", cell);
	}
}

int output_table_end(struct output_table *table)
{
	size_t *widths;
	bool failed;

	if (!table)
		return output_no_memory();
	widths = calloc(table->n_columns, sizeof(*widths));
	failed = table->failed || !widths;
	for (size_t i = 0; !failed && i < table->n_columns; i++)
		widths[i] = output_table_width(table, i);
	if (!failed)
		output_table_print(table, widths);
	free(widths);
	for (size_t i = 0; i < table->n_cells; i++)
		free(table->cells[i]);
	free(table->cells);
	free(table);
	return failed ? output_no_memory() : output_flush();
}

/* --- Identities -------------------------------------------------------------------------------- */

const char *output_how(enum ipc9_how how)
{
	switch (how) {
	case IPC9_HOW_NONE:
		return "none";
	case IPC9_HOW_KERNEL:
		return "kernel";
	case IPC9_HOW_CLAIMED:
		return "claimed";
	case IPC9_HOW_KERBEROS:
		return "kerberos";
	case IPC9_HOW_CERTIFICATE:
		return "certificate";
	}
	return "other";
}

void output_identity(const struct ipc9_identity *identity, char text[OUTPUT_IDENTITY_BYTES])
{
	const char *host = identity->host[0] != '\0' ? identity->host : "an unknown host";

	if (identity->how == IPC9_HOW_NONE)
		(void)snprintf(text, OUTPUT_IDENTITY_BYTES, "anonymous from %s", host);
	else if (identity->principal[0] != '\0')
		(void)snprintf(text, OUTPUT_IDENTITY_BYTES, "%s (%s) from %s", identity->principal,
		    output_how(identity->how), host);
	else
		(void)snprintf(text, OUTPUT_IDENTITY_BYTES, "uid %u%s from %s", identity->uid,
		    identity->how == IPC9_HOW_CLAIMED ? " (claimed)" : "", host);
}

void output_owner(const struct ipc9_identity *identity, char text[OUTPUT_IDENTITY_BYTES])
{
	if (identity->how == IPC9_HOW_NONE)
		(void)snprintf(text, OUTPUT_IDENTITY_BYTES, "anonymous");
	else if (identity->principal[0] != '\0')
		(void)snprintf(text, OUTPUT_IDENTITY_BYTES, "%s", identity->principal);
	else
		(void)snprintf(text, OUTPUT_IDENTITY_BYTES, "uid:%u", identity->uid);
}
