/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * filemap.c - ipc9 filemap: create, ls, info, put, get, rm.  sync: filemap_sync.c.
 *
 * What create makes stays until rm, as no program of ours would hold it.
 */
#include "cli/filemap.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/io.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/rules.h"
#include "client/ipc9.h"

#define PIECE_BYTES 1048576

static void map_closep(struct ipc9_filemap **map)
{
	ipc9_filemap_close(*map);
}

static void view_unmapp(struct ipc9_filemap_view **view)
{
	ipc9_filemap_unmap(*view);
}

static void listing_freep(struct ipc9_filemap_listing **listing)
{
	ipc9_filemap_listing_free(*listing);
}

/* --- Create ------------------------------------------------------------------------------------ */

static int create_with(struct ipc9 *ipc9, const struct invocation *invocation,
    const struct rules *rules)
{
	_cleanup_(map_closep) struct ipc9_filemap *map = NULL;
	const char *name = invocation_operand(invocation, 0);
	struct ipc9_filemap_options options = {
		.size_bytes = (uint64_t)invocation_number(invocation, "size", 0),
		.file = invocation_text(invocation, "file"),
		.access = invocation_flag(invocation, "read-only") ? IPC9_FILEMAP_ACCESS_READ
								   : IPC9_FILEMAP_ACCESS_WRITE,
		.flags = IPC9_FILEMAP_CREATE_KEEP,
		.rules = (const char *const *)rules->lines,
		.n_rules = rules->n,
	};
	struct ipc9_error error;

	if (!invocation_flag(invocation, "open"))
		options.flags |= IPC9_FILEMAP_CREATE_NEW;
	if (ipc9_filemap_create(ipc9, name, &options, &map, &error))
		return output_fail(invocation, &error);
	output_note(invocation, "%s %s, %" PRIu64 " bytes", name,
	    ipc9_filemap_existed(map) ? "was there" : "is there", ipc9_filemap_size_bytes(map));
	return 0;
}

static int filemap_create(struct ipc9 *ipc9, const struct invocation *invocation)
{
	struct rules rules = { .lines = NULL };
	int status;

	if (!invocation_text(invocation, "size") && !invocation_text(invocation, "file")) {
		output_error(
		    "create: --size N makes memory, --file PATH maps a file: one is needed");
		return EXIT_USAGE;
	}
	if (invocation_flag(invocation, "read-only") && !invocation_text(invocation, "file")) {
		output_error(
		    "create: --read-only is for a file: nobody could put anything into memory");
		return EXIT_USAGE;
	}
	status = rules_take_options(&rules, invocation);
	if (status == 0)
		status = create_with(ipc9, invocation, &rules);
	rules_clear(&rules);
	return status;
}

/* --- Put --------------------------------------------------------------------------------------- */

/* Opens a mapping and maps all of it.  0 or the exit status. */
static int map_all(struct ipc9 *ipc9, const struct invocation *invocation,
    enum ipc9_filemap_access access, struct ipc9_filemap_view **ret_view)
{
	_cleanup_(map_closep) struct ipc9_filemap *map = NULL;
	struct ipc9_error error;

	if (ipc9_filemap_open(ipc9, invocation_operand(invocation, 0), access, &map, &error) ||
	    ipc9_filemap_map(map, 0, 0, 0, ret_view, &error))
		return output_fail(invocation, &error);
	return 0; /* the view holds it */
}

/* Where --offset is; false, and said so, beyond the end. */
static bool find_offset(const struct invocation *invocation, size_t size, size_t *ret)
{
	long long offset = invocation_number(invocation, "offset", 0);

	if ((unsigned long long)offset > size) {
		output_error("%s: offset %lld is beyond its %zu bytes",
		    invocation_operand(invocation, 0), offset, size);
		return false;
	}
	*ret = (size_t)offset;
	return true;
}

static uint64_t bytes_of_input(void)
{
	struct stat s;

	return fstat(STDIN_FILENO, &s) == 0 && S_ISREG(s.st_mode) ? (uint64_t)s.st_size : 0;
}

/* A system call that met a place of the view where there is nothing. */
static int fail_view(const struct invocation *invocation)
{
	output_error("%s: its file was cut, or there is no room on the disk under it",
	    invocation_operand(invocation, 0));
	return EXIT_FAILED;
}

static int fail_input(const struct invocation *invocation, int r)
{
	if (r == -EFAULT)
		return fail_view(invocation);
	output_error("cannot read standard input: %s", strerror(-r));
	return EXIT_FAILED;
}

/* Reads standard input into room; *ret_done is how much it was.  0 or the exit status. */
static int read_input(const struct invocation *invocation, uint8_t *room, size_t size,
    size_t *ret_done)
{
	struct progress progress;
	size_t done = 0, n = 1;
	uint8_t more;
	int r = 0;

	progress_begin(&progress, invocation, bytes_of_input());
	while (!r && n && done < size) {
		size_t piece = size - done < PIECE_BYTES ? size - done : PIECE_BYTES;

		r = io_read_some(STDIN_FILENO, room + done, piece, &n);
		done += r ? 0 : n;
		progress_tell(&progress, done);
	}
	if (!r && n)
		r = io_read_some(STDIN_FILENO, &more, 1, &n);
	progress_end(&progress);
	*ret_done = done;
	if (r)
		return fail_input(invocation, r);
	if (n) {
		output_error("%s: standard input goes on behind its end; %zu bytes were put",
		    invocation_operand(invocation, 0), done);
		return EXIT_FAILED;
	}
	return 0;
}

static int put(const struct invocation *invocation, struct ipc9_filemap_view *view)
{
	struct ipc9_error error;
	size_t offset, done;
	int status;

	if (!find_offset(invocation, ipc9_filemap_view_bytes(view), &offset))
		return EXIT_FAILED;
	status = read_input(invocation, (uint8_t *)ipc9_filemap_data(view) + offset,
	    ipc9_filemap_view_bytes(view) - offset, &done);
	if (done && ipc9_filemap_flush(view, offset, done, &error))
		return output_fail(invocation, &error);
	if (status == 0)
		output_note(invocation, "%zu bytes put into %s", done,
		    invocation_operand(invocation, 0));
	return status;
}

static int filemap_put(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(view_unmapp) struct ipc9_filemap_view *view = NULL;
	int status = map_all(ipc9, invocation, IPC9_FILEMAP_ACCESS_WRITE, &view);

	return status ? status : put(invocation, view);
}

/* --- Get --------------------------------------------------------------------------------------- */

static int write_output(const struct invocation *invocation, const uint8_t *data, size_t size)
{
	struct progress progress;
	int r = 0;

	progress_begin(&progress, invocation, size);
	for (size_t done = 0; done < size && !r;) {
		size_t piece = size - done < PIECE_BYTES ? size - done : PIECE_BYTES;

		r = io_write_all(STDOUT_FILENO, data + done, piece);
		done += piece;
		progress_tell(&progress, done);
	}
	progress_end(&progress);
	if (r == -EFAULT)
		return fail_view(invocation);
	return r ? output_failed_write(r) : 0;
}

static int filemap_get(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(view_unmapp) struct ipc9_filemap_view *view = NULL;
	int status = map_all(ipc9, invocation, IPC9_FILEMAP_ACCESS_READ, &view);
	size_t offset, size;
	long long count;

	if (status)
		return status;
	if (!find_offset(invocation, ipc9_filemap_view_bytes(view), &offset))
		return EXIT_FAILED;
	size = ipc9_filemap_view_bytes(view) - offset;
	count = invocation_number(invocation, "count", LLONG_MAX);
	if ((unsigned long long)count < size)
		size = (size_t)count;
	return write_output(invocation, (const uint8_t *)ipc9_filemap_data(view) + offset, size);
}

/* --- Remove ------------------------------------------------------------------------------------ */

static int filemap_rm(struct ipc9 *ipc9, const struct invocation *invocation)
{
	int status = 0;

	for (size_t i = 0; i < invocation->n_operands; i++) {
		const char *name = invocation_operand(invocation, i);
		struct ipc9_error error;

		if (ipc9_filemap_remove(ipc9, name, &error))
			status = output_fail(invocation, &error);
		else
			output_note(invocation, "%s is removed", name);
	}
	return status;
}

/* --- Info and listing -------------------------------------------------------------------------- */

static const char *kind_name(const struct ipc9_filemap_info *info)
{
	switch (info->kind) {
	case IPC9_FILEMAP_KIND_MAPPING:
		return info->file ? "file" : "memory";
	case IPC9_FILEMAP_KIND_MUTEX:
		return "mutex";
	case IPC9_FILEMAP_KIND_SEMAPHORE:
		return "semaphore";
	case IPC9_FILEMAP_KIND_EVENT:
		return info->manual ? "manual-event" : "event";
	}
	return "unknown";
}

static json_t *json_info(const struct ipc9_filemap_info *info)
{
	return json_pack("{s:o, s:o, s:s, s:o, s:I, s:I, s:b, s:b, s:o}", "name",
	    output_json_text(info->name), "owner", output_json_identity(&info->owner), "kind",
	    kind_name(info), "size_bytes", output_json_number(info->size_bytes), "maximum",
	    (json_int_t)info->maximum, "holders", (json_int_t)info->holders, "kept", info->kept,
	    "writable", info->writable, "created_us", output_json_number(info->created_us));
}

static int print_info(const struct ipc9_filemap_info *info)
{
	char owner[OUTPUT_IDENTITY_BYTES];

	output_identity(&info->owner, owner);
	(void)printf("name:     ");
	output_text(info->name);
	(void)printf("\nkind:     %s\nowner:    ", kind_name(info));
	output_text(owner);
	if (info->kind == IPC9_FILEMAP_KIND_MAPPING)
		(void)printf("\nsize:     %" PRIu64 " bytes%s", info->size_bytes,
		    info->writable ? "" : ", read only");
	if (info->kind == IPC9_FILEMAP_KIND_SEMAPHORE)
		(void)printf("\nmaximum:  %" PRIu32, info->maximum);
	(void)printf("\nholders:  %" PRIu32 "\nkept:     %s\n", info->holders,
	    info->kept ? "yes, until it is removed" : "no");
	return output_flush();
}

static int filemap_info(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(listing_freep) struct ipc9_filemap_listing *listing = NULL;
	struct ipc9_error error;

	if (ipc9_filemap_info(ipc9, invocation_operand(invocation, 0), &listing, &error))
		return output_fail(invocation, &error);
	if (listing->n_objects == 0)
		return EXIT_NOTHING; /* the contract says one */
	if (invocation->json)
		return output_json(json_info(&listing->objects[0]));
	return print_info(&listing->objects[0]);
}

static int list_json(const struct ipc9_filemap_listing *listing)
{
	json_t *objects = json_array();
	int r = 0;

	for (size_t i = 0; i < listing->n_objects; i++)
		r |= json_array_append_new(objects, json_info(&listing->objects[i]));
	return output_json(json_pack("{s:o}", "objects", output_json_built(objects, r)));
}

static int list_table(const struct ipc9_filemap_listing *listing)
{
	static const char *const titles[] = { "SIZE_BYTES", "KIND", "HOLDERS", "KEPT", "OWNER",
		"NAME" };
	const size_t n_columns = sizeof(titles) / sizeof(titles[0]);
	struct output_table *table = output_table_new(titles, n_columns);

	for (size_t i = 0; i < listing->n_objects; i++) {
		const struct ipc9_filemap_info *info = &listing->objects[i];
		char owner[OUTPUT_IDENTITY_BYTES];

		output_owner(&info->owner, owner);
		output_table_number(table, info->size_bytes);
		output_table_text(table, kind_name(info));
		output_table_number(table, info->holders);
		output_table_text(table, info->kept ? "yes" : "no");
		output_table_text(table, owner);
		output_table_text(table, info->name);
	}
	return output_table_end(table);
}

static int filemap_list(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(listing_freep) struct ipc9_filemap_listing *listing = NULL;
	struct ipc9_error error;

	if (ipc9_filemap_list(ipc9, &listing, &error))
		return output_fail(invocation, &error);
	return invocation->json ? list_json(listing) : list_table(listing);
}

/* --- The noun ---------------------------------------------------------------------------------- */

#define OFFSET_ROW                                                                                 \
	{                                                                                          \
		.name = "offset", .kind = OPTION_NUMBER, .value = "N", .maximum = LLONG_MAX,       \
		.help = "begin at byte N (0)"                                                      \
	}

static const struct option_row create_options[] = {
	RULES_OPTION_ROWS,
	{ .name = "file",
	    .kind = OPTION_TEXT,
	    .value = "PATH",
	    .help = "map this file, rather than memory" },
	{ .name = "open", .help = "no failure if the name is there: it stays as it is" },
	{ .name = "read-only", .help = "nobody gets the file for writing by this name" },
	{ .name = "size",
	    .kind = OPTION_NUMBER,
	    .value = "N",
	    .minimum = 1,
	    .maximum = LLONG_MAX,
	    .help = "N bytes; of a file: so much of it, or make it so long" },
	{ .name = NULL },
};

static const struct option_row put_options[] = {
	OFFSET_ROW,
	{ .name = NULL },
};

static const struct option_row get_options[] = {
	{ .name = "count",
	    .kind = OPTION_NUMBER,
	    .value = "N",
	    .maximum = LLONG_MAX,
	    .help = "write N bytes (all)" },
	OFFSET_ROW,
	{ .name = NULL },
};

static const struct verb filemap_verbs[] = {
	{ .name = "create",
	    .summary = "Makes memory, or maps a file, under a name of this host",
	    .operands = "NAME",
	    .min_operands = 1,
	    .max_operands = 1,
	    .options = create_options,
	    .run = filemap_create,
	    .about =
		"It stays until `rm`, or until the daemon ends.  Without --allow only its owner may\n"
		"open it.\n" },
	{ .name = "ls",
	    .summary = "Lists mappings, mutexes, semaphores and events of this host",
	    .json = true,
	    .run = filemap_list },
	{ .name = "info",
	    .summary = "Tells about one of them",
	    .operands = "NAME",
	    .min_operands = 1,
	    .max_operands = 1,
	    .json = true,
	    .run = filemap_info },
	{ .name = "put",
	    .summary = "Writes standard input into a mapping",
	    .operands = "NAME",
	    .min_operands = 1,
	    .max_operands = 1,
	    .options = put_options,
	    .run = filemap_put,
	    .about =
		"What comes has to fit; what is behind it stays as it is.  Status 0 for a file means that\n"
		"it is on the disk.\n" },
	{ .name = "get",
	    .summary = "Writes a mapping to standard output",
	    .operands = "NAME",
	    .min_operands = 1,
	    .max_operands = 1,
	    .options = get_options,
	    .run = filemap_get },
	{ .name = "rm",
	    .summary = "Takes names away; who holds the objects keeps them",
	    .operands = "NAME...",
	    .min_operands = 1,
	    .max_operands = SIZE_MAX,
	    .run = filemap_rm },
	{ .name = "sync",
	    .summary = "Runs a command under a mutex or semaphore; sets and waits for events",
	    .operands = "mutex|semaphore|event NAME [set|reset|release|wait] [-- CMD...]",
	    .min_operands = 2,
	    .max_operands = 3,
	    .command = true,
	    .options = filemap_sync_options,
	    .run = filemap_sync,
	    .about = filemap_sync_about },
	{ .run = NULL },
};

static const struct example filemap_examples[] = {
	{ .command = "ipc9 filemap create frame --size 8294400 --allow 'gid:100 read'",
	    .what = "memory that group 100 may read" },
	{ .command = "ipc9 map put frame <frame.raw", .what = "fill it" },
	{ .command = "ipc9 map get frame --count 64 | xxd", .what = "look at it" },
	{ .command = "ipc9 map create table --file table.db --read-only",
	    .what = "a file, for reading" },
	{ .command = "ipc9 map sync mutex backup -- rsync -a /srv /mnt",
	    .what = "one at a time on this host" },
	{ .command = "ipc9 map sync semaphore cc --count 4 -- make", .what = "four at a time" },
	{ .command = "ipc9 map sync event ready wait --wait 5000 && echo go",
	    .what = "until somebody says: ipc9 map sync event ready set" },
	{ .command = NULL },
};

const struct noun filemap_noun = {
	.name = "filemap",
	.alias = "map",
	.summary = "Memory by name, and mutexes, semaphores and events, on this host",
	.verbs = filemap_verbs,
	.examples = filemap_examples,
};
