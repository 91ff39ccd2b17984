/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clipboard.c - ipc9 clipboard: copy, paste, types, clear.
 *
 * Copy and paste move content in pieces and never hold it whole (but --json has to).  A copy that fails
 * half way has no effect.  Nothing is left running: the daemon holds the content.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/content.h"
#include "cli/io.h"
#include "cli/output.h"
#include "cli/rules.h"
#include "client/ipc9.h"

#define CLIPBOARD_CHUNK_BYTES (1024 * 1024)

static void clipboard_copy_freep(struct ipc9_copy **copy)
{
	ipc9_copy_free(*copy);
}

static void clipboard_paste_freep(struct ipc9_paste **paste)
{
	ipc9_paste_free(*paste);
}

static void clipboard_listing_freep(struct ipc9_clipboard_listing **listing)
{
	ipc9_clipboard_listing_free(*listing);
}

static void clipboard_json_decrefp(json_t **json)
{
	json_decref(*json);
}

/* The board's epoch is 64 random bits: more than a number in JSON is sure to keep. */
static json_t *clipboard_json_version(const struct ipc9_clipboard_version *version)
{
	char epoch[20];

	(void)snprintf(epoch, sizeof(epoch), "%016" PRIx64, version->epoch);
	return json_pack("{s:s, s:o}", "epoch", epoch, "seq", output_json_number(version->seq));
}

/* --- Copy -------------------------------------------------------------------------------------- */

struct clipboard_copy {
	const struct invocation *invocation;
	struct ipc9_copy *copy;
	uint8_t *buffer; /* CLIPBOARD_CHUNK_BYTES */
};

/* Sends a file as one format; type NULL means that its beginning tells.  0 or the exit status. */
static int clipboard_copy_file(struct clipboard_copy *copy, const char *type, int fd,
    const char *name)
{
	struct ipc9_error error;
	uint64_t total = 0;
	size_t size;

	do {
		int r = io_read_full(fd, copy->buffer, CLIPBOARD_CHUNK_BYTES, &size);

		if (r) {
			output_error("cannot read %s: %s", name, strerror(-r));
			return EXIT_FAILED;
		}
		if (total == 0) {
			if (!type)
				type =
				    content_type(copy->buffer, size, size == CLIPBOARD_CHUNK_BYTES);
			r = ipc9_copy_format(copy->copy, type, &error);
		}
		if (r == 0 && size > 0)
			r = ipc9_copy_write(copy->copy, copy->buffer, size, &error);
		if (r)
			return output_fail(copy->invocation, &error);
		total += size;
	} while (size == CLIPBOARD_CHUNK_BYTES);
	output_note(copy->invocation, "%s: %s, %" PRIu64 " bytes", name, type, total);
	return 0;
}

/* Sends what one -t names.  0 or the exit status. */
static int clipboard_copy_format(struct clipboard_copy *copy, const char *option)
{
	const char *name = content_type_file(option);
	_cleanup_(io_closep) int fd = -1;
	_cleanup_(io_freep) char *type = NULL;

	if (!name)
		return clipboard_copy_file(copy, option, STDIN_FILENO, "standard input");
	type = strndup(option, (size_t)(name - 1 - option));
	if (!type)
		return output_no_memory();
	fd = open(name, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		output_error("cannot open %s: %s", name, strerror(errno));
		return EXIT_FAILED;
	}
	return clipboard_copy_file(copy, type, fd, name);
}

/* Checks the -t options before anything is begun.  0 or EXIT_USAGE. */
static int clipboard_copy_check(const struct invocation *invocation)
{
	size_t n_stdin = 0;

	for (size_t i = 0; i < invocation->n_options; i++) {
		const char *option = invocation->options[i].value, *name;

		if (strcmp(invocation->options[i].row->name, "type") != 0)
			continue;
		name = content_type_file(option);
		if (name && *name == '\0') {
			output_error("a file is missing after \"%s\"", option);
			return EXIT_USAGE;
		}
		if (!memchr(option, '/', name ? (size_t)(name - option) : strlen(option))) {
			output_error("\"%s\" is no MIME type; they look like image/png", option);
			return EXIT_USAGE;
		}
		n_stdin += !name;
	}
	if (n_stdin > 1) {
		output_error("standard input can be copied as one type only; "
			     "give the others as -t TYPE=FILE");
		return EXIT_USAGE;
	}
	return 0;
}

static int clipboard_copy_formats(struct clipboard_copy *copy)
{
	const struct invocation *invocation = copy->invocation;
	int status = 0;

	if (!invocation_text(invocation, "type"))
		return clipboard_copy_file(copy, NULL, STDIN_FILENO, "standard input");
	for (size_t i = 0; status == 0 && i < invocation->n_options; i++)
		if (strcmp(invocation->options[i].row->name, "type") == 0)
			status = clipboard_copy_format(copy, invocation->options[i].value);
	return status;
}

static int clipboard_copy_content(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(clipboard_copy_freep) struct ipc9_copy *copy = NULL;
	_cleanup_(io_freep) uint8_t *buffer = NULL;
	struct clipboard_copy state;
	struct ipc9_error error;
	int status;

	buffer = malloc(CLIPBOARD_CHUNK_BYTES);
	if (!buffer)
		return output_no_memory();
	if (ipc9_copy_begin(ipc9, invocation_operand(invocation, 0), &copy, &error))
		return output_fail(invocation, &error);
	state = (struct clipboard_copy){ .invocation = invocation, .copy = copy, .buffer = buffer };
	status = clipboard_copy_formats(&state);
	if (status == 0 && ipc9_copy_publish(copy, NULL, &error))
		status = output_fail(invocation, &error);
	return status;
}

/*
 * Copies, and gives the clipboard an access list.  One that is there gets the list first, so that nobody reads the new
 * content by the old one; one that is made by this copy gets it at once behind.
 */
static int clipboard_copy_listed(struct ipc9 *ipc9, const struct invocation *invocation,
    const char *board, const struct rules *rules)
{
	const char *const *lines = (const char *const *)rules->lines;
	struct ipc9_error error;
	int r = ipc9_acl_set(ipc9, board, lines, rules->n, &error), status;

	if (r && r != IPC9_E_NOENT)
		return output_fail(invocation, &error);
	status = clipboard_copy_content(ipc9, invocation);
	if (status == 0 && r && ipc9_acl_set(ipc9, board, lines, rules->n, &error)) {
		status = output_fail(invocation, &error);
		output_error("it was copied, but the access list is not set");
	}
	return status;
}

static int clipboard_copy_rules(struct ipc9 *ipc9, const struct invocation *invocation,
    const struct rules *rules)
{
	_cleanup_(io_freep) char *board = NULL;
	const char *operand = invocation_operand(invocation, 0);
	bool plain = operand && strncmp(operand, "//", 2) != 0 && strncmp(operand, "\\\\", 2) != 0;

	if (rules->n == 0)
		return clipboard_copy_content(ipc9, invocation);
	if (!operand) {
		output_error("--allow and --deny are for shared clipboards, //HOST/clipboard/NAME; "
			     "your own is yours alone");
		return EXIT_USAGE;
	}
	if (asprintf(&board, "%s%s", plain ? "//./clipboard/" : "", operand) < 0) {
		board = NULL;
		return output_no_memory();
	}
	return clipboard_copy_listed(ipc9, invocation, board, rules);
}

static int clipboard_copy(struct ipc9 *ipc9, const struct invocation *invocation)
{
	struct rules rules = { .lines = NULL };
	int status = clipboard_copy_check(invocation);

	if (status)
		return status;
	status = rules_take_options(&rules, invocation);
	if (status == 0)
		status = clipboard_copy_rules(ipc9, invocation, &rules);
	rules_clear(&rules);
	return status;
}

/* --- Paste ------------------------------------------------------------------------------------- */

/* Sends the content on as it comes.  0 or the exit status. */
static int clipboard_paste_stream(const struct invocation *invocation, struct ipc9_paste *paste)
{
	_cleanup_(io_freep) uint8_t *buffer = malloc(CLIPBOARD_CHUNK_BYTES);
	struct ipc9_error error;
	size_t size;
	int status;

	if (!buffer)
		return output_no_memory();
	for (;;) {
		if (ipc9_paste_read(paste, buffer, CLIPBOARD_CHUNK_BYTES, &size, &error))
			return output_fail(invocation, &error);
		if (size == 0)
			return 0;
		status = output_data(buffer, size);
		if (status)
			return status;
	}
}

/* Collects the content; it grows with what arrives, whatever size was announced.  0 or the exit status. */
static int clipboard_paste_whole(const struct invocation *invocation, struct ipc9_paste *paste,
    uint8_t **ret_data, size_t *ret_size_bytes)
{
	_cleanup_(io_freep) uint8_t *data = NULL;
	size_t size = 0, room = 0, n;
	struct ipc9_error error;

	do {
		if (room - size < CLIPBOARD_CHUNK_BYTES) {
			uint8_t *larger;

			room = room * 2 + CLIPBOARD_CHUNK_BYTES;
			larger = realloc(data, room);
			if (!larger)
				return output_no_memory();
			data = larger;
		}
		if (ipc9_paste_read(paste, data + size, CLIPBOARD_CHUNK_BYTES, &n, &error))
			return output_fail(invocation, &error);
		size += n;
	} while (n > 0);
	*ret_data = data;
	*ret_size_bytes = size;
	data = NULL;
	return 0;
}

static int clipboard_paste_json(const struct invocation *invocation, struct ipc9_paste *paste)
{
	_cleanup_(clipboard_json_decrefp) json_t *object = NULL;
	_cleanup_(io_freep) uint8_t *data = NULL;
	size_t size = 0;
	int status = clipboard_paste_whole(invocation, paste, &data, &size);

	if (status)
		return status;
	object = json_pack("{s:o, s:o}", "type", output_json_text(ipc9_paste_type(paste)),
	    "size_bytes", output_json_number(size));
	if (!object || output_json_data(object, data, size) != 0)
		return output_no_memory();
	return output_json(json_incref(object));
}

/* Checks the -t option before anything is asked for.  0 or EXIT_USAGE. */
static int clipboard_paste_check(const struct invocation *invocation)
{
	const char *type = invocation_text(invocation, "type");
	size_t n = 0;

	for (size_t i = 0; i < invocation->n_options; i++)
		n += strcmp(invocation->options[i].row->name, "type") == 0;
	if (n > 1) {
		output_error("one type at a time can be pasted, not %zu", n);
		return EXIT_USAGE;
	}
	if (type && !strchr(type, '/')) {
		output_error("\"%s\" is no MIME type; they look like image/png", type);
		return EXIT_USAGE;
	}
	return 0;
}

static int clipboard_paste(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(clipboard_paste_freep) struct ipc9_paste *paste = NULL;
	struct ipc9_error error;
	int status = clipboard_paste_check(invocation);

	if (status)
		return status;
	if (ipc9_paste_begin(ipc9, invocation_operand(invocation, 0),
		invocation_text(invocation, "type"), &paste, &error))
		return output_fail(invocation, &error);
	output_note(invocation, "%s, %" PRIu64 " bytes", ipc9_paste_type(paste),
	    ipc9_paste_size_bytes(paste));
	if (invocation->json)
		return clipboard_paste_json(invocation, paste);
	return clipboard_paste_stream(invocation, paste);
}

/* --- Types and clear --------------------------------------------------------------------------- */

static json_t *clipboard_json_formats(const struct ipc9_clipboard_listing *listing)
{
	json_t *formats = json_array();
	int r = 0;

	for (size_t i = 0; i < listing->n_formats; i++)
		r |= json_array_append_new(formats,
		    json_pack("{s:o, s:o}", "type", output_json_text(listing->formats[i].type),
			"size_bytes", output_json_number(listing->formats[i].size_bytes)));
	return output_json_built(formats, r);
}

static int clipboard_types_json(const struct ipc9_clipboard_listing *listing)
{
	json_t *object = json_pack("{s:o, s:o}", "version",
	    clipboard_json_version(&listing->version), "formats", clipboard_json_formats(listing));
	int r = 0;

	/* A board that nobody ever wrote has neither time nor author. */
	if (listing->changed_us != 0) {
		r |= json_object_set_new(object, "changed_us",
		    output_json_number(listing->changed_us));
		r |= json_object_set_new(object, "author", output_json_identity(&listing->author));
	}
	return output_json(output_json_built(object, r));
}

static int clipboard_types(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(clipboard_listing_freep) struct ipc9_clipboard_listing *listing = NULL;
	struct ipc9_error error;
	int status = 0;

	if (ipc9_clipboard_list(ipc9, invocation_operand(invocation, 0), &listing, &error))
		return output_fail(invocation, &error);
	if (invocation->json)
		status = clipboard_types_json(listing);
	for (size_t i = 0; !invocation->json && i < listing->n_formats; i++) {
		output_text(listing->formats[i].type);
		(void)putchar('\n');
	}
	if (status == 0)
		status = output_flush();
	if (status == 0 && listing->n_formats == 0) {
		output_warning(invocation, "the clipboard is empty");
		status = EXIT_NOTHING;
	}
	return status;
}

static int clipboard_clear(struct ipc9 *ipc9, const struct invocation *invocation)
{
	struct ipc9_error error;

	if (ipc9_clipboard_clear(ipc9, invocation_operand(invocation, 0), NULL, &error))
		return output_fail(invocation, &error);
	return 0;
}

/* --- The noun ---------------------------------------------------------------------------------- */

static const struct option_row clipboard_copy_options[] = {
	{ .name = "type",
	    .letter = 't',
	    .kind = OPTION_TEXT,
	    .repeatable = true,
	    .value = "TYPE[=FILE]",
	    .help = "copy standard input, or FILE, as this MIME type" },
	RULES_OPTION_ROWS,
	{ .name = NULL },
};

static const struct option_row clipboard_paste_options[] = {
	{ .name = "type",
	    .letter = 't',
	    .kind = OPTION_TEXT,
	    .value = "TYPE",
	    .help = "paste this MIME type; default: text if there is some, else the first" },
	{ .name = NULL },
};

static const struct verb clipboard_verbs[] = {
	{ .name = "copy",
	    .summary = "Copies standard input or files to a clipboard",
	    .operands = "[//HOST[/clipboard/NAME]]",
	    .max_operands = 1,
	    .options = clipboard_copy_options,
	    .run = clipboard_copy,
	    .about =
		"Standard input is read unless every -t names a FILE.  Without -t its type is found out:\n"
		"text/plain;charset=utf-8 if it begins with UTF-8 text, image/png, image/jpeg, image/gif,\n"
		"application/pdf, else application/octet-stream.  FILE is what follows the first = that is\n"
		"not part of a ;name=value.  All types replace the old content in one step, best first; a\n"
		"copy that fails changes nothing.\n" },
	{ .name = "paste",
	    .summary = "Writes what a clipboard holds to standard output",
	    .operands = "[//HOST[/clipboard/NAME]]",
	    .max_operands = 1,
	    .json = true,
	    .options = clipboard_paste_options,
	    .run = clipboard_paste,
	    .about =
		"The bytes and nothing else.  A TYPE without parameters also finds one that has some.  With\n"
		"--json: type, size_bytes, and data, or data_base64 if it is not UTF-8.\n" },
	{ .name = "types",
	    .summary = "Lists the types that a clipboard holds, one per line",
	    .operands = "[//HOST[/clipboard/NAME]]",
	    .max_operands = 1,
	    .json = true,
	    .run = clipboard_types,
	    .about = "In the order copied.  With --json also sizes, version, time and author.\n" },
	{ .name = "clear",
	    .summary = "Empties a clipboard",
	    .operands = "[//HOST[/clipboard/NAME]]",
	    .max_operands = 1,
	    .run = clipboard_clear },
	{ .run = NULL },
};

static const struct example clipboard_examples[] = {
	{ .command = "ipc9 clipboard copy < picture.png", .what = "to my clipboard on this host" },
	{ .command = "ipc9 clipboard paste //alpha > picture.png",
	    .what = "mine on alpha, from here" },
	{ .command = "date | ipc9 clip copy //alpha/clipboard/team",
	    .what = "to a shared clipboard" },
	{ .command = "ipc9 clip copy -t text/html=a.html -t text/plain=a.txt",
	    .what = "two types at once" },
	{ .command = "ipc9 clip paste -t text/html", .what = "one of them" },
	{ .command = "ipc9 clip types --json | jq .formats", .what = "types and sizes" },
	{ .command = NULL },
};

const struct noun clipboard_noun = {
	.name = "clipboard",
	.alias = "clip",
	.summary = "Copy on one host, paste on another",
	.verbs = clipboard_verbs,
	.examples = clipboard_examples,
};
