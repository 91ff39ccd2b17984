/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * golden.c - the bytes on the wire, for each procedure, as files that every build must make and understand.
 *
 *	golden				checks all, from the root of the tree
 *	golden --write DIR		makes the files anew
 *	golden --to ADDRESS PORT	sends each call to a daemon, and checks its reply
 *
 * A row is right when the engine and libtirpc both make of its values what stands in its file, and both read the
 * file and write again what they read.  Each procedure of idl/ must have its rows, of the right types, each
 * file its row, and each example of docs/protocol.md must be what stands in the file it names.
 */
#include "tests/golden/golden.h"

#include <ctype.h>
#include <errno.h>
#include <glob.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/golden/codec.h"
#include "tests/golden/hex.h"
#include "tests/golden/idl.h"
#include "tests/golden/wire.h"
#include "rpcgen-out/common.h"
#include "util/text.h"

#define FOLDER "tests/golden"
#define DOCUMENT "docs/protocol.md"
#define NAME_MAX_BYTES 96

const struct golden_set golden_sets[] = {
	{ "control", IPC9_PROG_CONTROL, golden_control },
	{ "bench", IPC9_PROG_BENCH, golden_bench },
	{ "clipboard", IPC9_PROG_CLIPBOARD, golden_clipboard },
	{ "filemap", IPC9_PROG_FILEMAP, golden_filemap },
	{ "mailslot", IPC9_PROG_MAILSLOT, golden_mailslot },
	{ "pipe", IPC9_PROG_PIPE, golden_pipe },
	{ "rpc", IPC9_PROG_RPC, golden_rpc },
	{ NULL, 0, NULL },
};

static unsigned passed, failed, skipped;

static void note(const char *name, const char *wrong)
{
	if (wrong) {
		printf("FAIL %s: %s\n", name, wrong);
		failed++;
	} else {
		passed++;
	}
}

/* --- Names ------------------------------------------------------------------------------------- */

static void name_of(const struct golden_set *set, const struct golden *row,
    char name[NAME_MAX_BYTES])
{
	text_format(name, NAME_MAX_BYTES, "%s-%s-%s", set->name, row->procedure, row->variant);
	text_fold(name);
}

static void path_of(const char *folder, const char *name, char path[512])
{
	text_format(path, 512, "%s/%s.hex", folder, name);
}

static const struct golden_set *find_set(const char *name)
{
	for (const struct golden_set *s = golden_sets; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

static const struct golden *find(const struct golden_set *set, const char *procedure,
    const char *variant)
{
	for (const struct golden *row = set ? set->rows : NULL; row && row->procedure; row++)
		if (strcmp(row->procedure, procedure) == 0 && strcmp(row->variant, variant) == 0)
			return row;
	return NULL;
}

/* Whether a row has this name. */
static bool is_known(const char *wanted)
{
	char name[NAME_MAX_BYTES];

	for (const struct golden_set *s = golden_sets; s->name; s++) {
		for (const struct golden *row = s->rows; row->procedure; row++) {
			name_of(s, row, name);
			if (strcmp(name, wanted) == 0)
				return true;
		}
	}
	return false;
}

/* --- Rows -------------------------------------------------------------------------------------- */

static void layout_of(const struct golden_set *set, const struct golden *row, char *layout,
    size_t size)
{
	switch (row->kind) {
	case GOLDEN_CALL:
		text_format(layout, size,
		    "xid msg_type=CALL rpcvers prog=%s vers proc=%s cred.flavor=AUTH_NONE "
		    "cred.length verf.flavor=AUTH_NONE verf.length %s",
		    set->name, row->procedure, row->layout);
		break;
	case GOLDEN_CALL_SYS:
		text_format(layout, size,
		    "xid msg_type=CALL rpcvers prog=%s vers proc=%s cred.flavor=AUTH_SYS "
		    "cred.length cred.stamp cred.machinename:s cred.uid cred.gid cred.gids[ gid ] "
		    "verf.flavor=AUTH_NONE verf.length %s",
		    set->name, row->procedure, row->layout);
		break;
	case GOLDEN_REPLY:
		text_format(layout, size,
		    "xid msg_type=REPLY reply_stat=MSG_ACCEPTED verf.flavor=AUTH_NONE verf.length "
		    "accept_stat=SUCCESS %s",
		    row->layout);
		break;
	case GOLDEN_REFUSAL:
		text_format(layout, size, "xid msg_type=REPLY %s", row->layout);
		break;
	case GOLDEN_BARE:
		text_format(layout, size, "%s", row->layout);
		break;
	}
}

static bool is_same(const struct hex *a, const struct hex *b)
{
	return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static bool read_path(const char *path, struct hex *ret)
{
	FILE *f = fopen(path, "re");
	bool good = f && hex_read(f, ret);

	if (f)
		fclose(f);
	return good;
}

static const char *check_row(const struct golden_set *set, const struct golden *row,
    const char *path)
{
	static struct hex engine, stock, file, again;
	char layout[2048];

	if (!codec_encode(CODEC_ENGINE, set, row, &engine))
		return "the engine does not encode it";
	if (!codec_encode(CODEC_STOCK, set, row, &stock))
		return "libtirpc does not encode it";
	if (!is_same(&engine, &stock))
		return "the engine and libtirpc encode it differently";
	if (!read_path(path, &file))
		return "no such file, or no golden file (golden --write DIR makes it)";
	if (!is_same(&file, &engine))
		return "the file says otherwise";
	if (!codec_again(CODEC_ENGINE, row, &file, &again) || !is_same(&file, &again))
		return "the engine does not read it";
	if (!codec_again(CODEC_STOCK, row, &file, &again) || !is_same(&file, &again))
		return "libtirpc does not read it";
	layout_of(set, row, layout, sizeof(layout));
	return hex_write(NULL, &file, layout) ? NULL : "the layout does not fit";
}

static const char *write_row(const struct golden_set *set, const struct golden *row,
    const char *path)
{
	static struct hex hex;
	char layout[2048];
	bool good;
	FILE *f;

	if (!codec_encode(CODEC_ENGINE, set, row, &hex))
		return "the engine does not encode it";
	layout_of(set, row, layout, sizeof(layout));
	f = fopen(path, "we");
	if (!f)
		return strerror(errno);
	fprintf(f, "# SPDX-License-Identifier: BSD-3-Clause\n# %s %s, %s%s%s\n", set->name,
	    row->procedure, row->variant, row->type ? ": " : "", row->type ? row->type : "");
	good = hex_write(f, &hex, layout);
	good = fclose(f) == 0 && good;
	return good ? NULL : "it cannot be written, or its layout does not fit";
}

static void each_row(const char *folder,
    const char *(*fn)(const struct golden_set *, const struct golden *, const char *))
{
	char name[NAME_MAX_BYTES], path[512];

	for (const struct golden_set *s = golden_sets; s->name; s++) {
		for (const struct golden *row = s->rows; row->procedure; row++) {
			name_of(s, row, name);
			path_of(folder, name, path);
			note(name, fn(s, row, path));
		}
	}
}

/* --- Procedures, files, examples --------------------------------------------------------------- */

static bool is_row_of(const struct golden *row, uint32_t number, const char *type)
{
	return row && row->number == number && strcmp(row->type, type) == 0;
}

static void check_procedure(void *context, const struct idl_procedure *p)
{
	const struct golden_set *set = find_set(p->set);
	char name[NAME_MAX_BYTES];
	size_t len = strlen(p->result);
	bool is_union = len > 4 && strcmp(p->result + len - 4, "_res") == 0;

	(void)context;
	text_format(name, sizeof(name), "%s %s", p->set, p->name);
	if (!is_row_of(find(set, p->name, "call"), p->number, p->argument))
		note(name, "has no golden call of its type and number");
	else if ((is_union || p->number == 0) &&
	    !is_row_of(find(set, p->name, "ok"), p->number, p->result))
		note(name, "has no golden result of its type");
	else if (is_union && !is_row_of(find(set, p->name, "refused"), p->number, p->result))
		note(name, "has no golden refusal of its type");
	else
		note(name, NULL);
}

static void check_files(void)
{
	glob_t found;

	if (glob(FOLDER "/*.hex", 0, NULL, &found)) {
		note(FOLDER, "there are no files");
		return;
	}
	for (size_t i = 0; i < found.gl_pathc; i++) {
		char *name = strrchr(found.gl_pathv[i], '/') + 1;

		name[strlen(name) - strlen(".hex")] = '\0';
		if (!is_known(name))
			note(name, "is in the folder, and nothing checks it");
	}
	globfree(&found);
}

/* The next example is a record: a mark, and what stands in the golden file of that name. */
static const char *check_example(FILE *f, const char *name)
{
	static struct hex record, file;
	char line[512], path[512];

	while (fgets(line, sizeof(line), f) && strncmp(line, "```", 3) != 0)
		;
	path_of(FOLDER, name, path);
	if (!hex_read(f, &record))
		return "the example is not words in hex";
	if (!read_path(path, &file))
		return "the example names no golden file";
	if (hex_word(&record, 0) != (0x80000000u | file.size))
		return "the example's mark is not right";
	record.size -= 4;
	memmove(record.data, record.data + 4, record.size);
	return is_same(&record, &file) ? NULL : "the example is not what the file says";
}

static void check_document(void)
{
	char line[1024], name[NAME_MAX_BYTES], what[NAME_MAX_BYTES + 32];
	unsigned examples = 0;
	FILE *f = fopen(DOCUMENT, "re");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "<!-- golden: %90[a-z0-9_-] -->", name) != 1)
			continue;
		text_format(what, sizeof(what), DOCUMENT " %s", name);
		note(what, check_example(f, name));
		examples++;
	}
	if (f)
		fclose(f);
	if (!examples)
		note(DOCUMENT, "has no example");
}

/* --- A daemon ---------------------------------------------------------------------------------- */

static void send_calls(const char *address, const char *port)
{
	static struct hex hex;
	char name[NAME_MAX_BYTES];
	int fd = wire_connect(address, (uint16_t)strtoul(port, NULL, 10));

	if (fd < 0) {
		note(address, strerror(-fd));
		return;
	}
	for (const struct golden_set *s = golden_sets; s->name; s++) {
		for (const struct golden *row = s->rows; row->procedure; row++) {
			if (row->kind != GOLDEN_CALL && row->kind != GOLDEN_CALL_SYS)
				continue;
			name_of(s, row, name);
			if (!codec_encode(CODEC_ENGINE, s, row, &hex))
				note(name, "the engine does not encode it");
			else
				note(name,
				    wire_exchange(fd, row, find(s, row->procedure, "ok"), &hex));
		}
	}
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc == 1) {
		each_row(FOLDER, check_row);
		if (!idl_each("idl", check_procedure, NULL))
			note("idl", "cannot be read: is this the root of the tree?");
		check_files();
		check_document();
	} else if (argc == 3 && strcmp(argv[1], "--write") == 0) {
		each_row(argv[2], write_row);
	} else if (argc == 4 && strcmp(argv[1], "--to") == 0) {
		send_calls(argv[2], argv[3]);
	} else {
		fprintf(stderr, "usage: golden [--write DIR | --to ADDRESS PORT]\n");
		return 2;
	}
	printf("golden: %u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed || !passed;
}
