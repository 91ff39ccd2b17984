/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idl.c - see idl.h.
 *
 * Finds the lines "RESULT IPC9_PROGRAMPROC_NAME(ARGUMENT) = NUMBER;", which is how procedures are written in
 * this tree (scripts/check-shape), and whatever else looks like the beginning of one is a fault.
 */
#include "tests/golden/idl.h"

#include <ctype.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/text.h"

/* 1: a procedure, 0: none, -1: looks like one and is none. */
static int parse(char *line, struct idl_procedure *p)
{
	char name[96];
	char *proc;

	if (!strstr(line, "PROC_") || !strchr(line, '('))
		return 0;
	if (sscanf(line, " %63[a-z0-9_] IPC9_%95[A-Z0-9_](%63[a-z0-9_]) = %" SCNu32 ";", p->result,
		name, p->argument, &p->number) != 4)
		return -1;
	proc = strstr(name, "PROC_");
	if (!proc)
		return -1;
	*proc = '\0';
	text_fold(name);
	text_format(p->set, sizeof(p->set), "%s", name);
	text_format(p->name, sizeof(p->name), "%s", proc + strlen("PROC_"));
	return 1;
}

static bool read_file(const char *path, void (*fn)(void *, const struct idl_procedure *),
    void *context)
{
	struct idl_procedure p;
	char line[512];
	bool good = true;
	FILE *f = fopen(path, "re");

	if (!f)
		return false;
	while (fgets(line, sizeof(line), f)) {
		int r = isspace((unsigned char)line[0]) ? parse(line, &p) : 0;

		if (r < 0)
			fprintf(stderr, "golden: %s: not understood: %s", path, line);
		good = good && r >= 0;
		if (r > 0)
			fn(context, &p);
	}
	fclose(f);
	return good;
}

bool idl_each(const char *folder, void (*fn)(void *, const struct idl_procedure *), void *context)
{
	char pattern[512];
	bool good = true;
	glob_t found;

	text_format(pattern, sizeof(pattern), "%s/*.x", folder);
	if (glob(pattern, 0, NULL, &found))
		return false;
	for (size_t i = 0; i < found.gl_pathc; i++)
		good = read_file(found.gl_pathv[i], fn, context) && good;
	globfree(&found);
	return good;
}
