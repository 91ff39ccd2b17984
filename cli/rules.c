/* SPDX-License-Identifier: BSD-3-Clause */
/* rules.c - see rules.h. */
#include "cli/rules.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/io.h"
#include "cli/output.h"

/* Adds a line, which becomes the list's.  0 or the exit status. */
static int rules_add(struct rules *rules, char *line)
{
	char **more = line ? realloc(rules->lines, (rules->n + 1) * sizeof(*more)) : NULL;

	if (!more) {
		free(line);
		return output_no_memory();
	}
	rules->lines = more;
	rules->lines[rules->n++] = line;
	return 0;
}

int rules_take_options(struct rules *rules, const struct invocation *invocation)
{
	int status = 0;

	for (size_t i = 0; status == 0 && i < invocation->n_options; i++) {
		const struct invocation_option *option = &invocation->options[i];
		char *line = NULL;

		if (strcmp(option->row->name, "allow") != 0 &&
		    strcmp(option->row->name, "deny") != 0)
			continue;
		if (asprintf(&line, "%s %s", option->row->name, option->value) < 0)
			line = NULL;
		status = rules_add(rules, line);
	}
	return status;
}

static int rules_read_lines(struct rules *rules, FILE *file, bool *ret_empty)
{
	_cleanup_(io_freep) char *line = NULL;
	size_t room = 0;
	int status = 0;

	*ret_empty = true;
	while (status == 0 && getline(&line, &room, file) >= 0) {
		*ret_empty = false;
		char *begin = line + strspn(line, " \t");
		size_t size = strlen(begin);

		while (size > 0 && strchr(" \t\r\n", begin[size - 1]))
			begin[--size] = '\0';
		if (size > 0 && *begin != '#')
			status = rules_add(rules, strdup(begin));
	}
	return status;
}

int rules_read(struct rules *rules, const char *path)
{
	bool standard = strcmp(path, "-") == 0, empty;
	FILE *file = standard ? stdin : fopen(path, "re");
	int status;

	if (!file) {
		output_error("cannot open %s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	errno = 0;
	status = rules_read_lines(rules, file, &empty);
	if (status == 0 && ferror(file)) {
		output_error("cannot read %s: %s", standard ? "standard input" : path,
		    strerror(errno));
		status = EXIT_FAILED;
	}
	/* The output of an `acl get` that failed must not empty a list. */
	if (status == 0 && empty) {
		output_error("%s is empty; --none is the list that lets nobody in",
		    standard ? "standard input" : path);
		status = EXIT_USAGE;
	}
	if (!standard)
		(void)fclose(file);
	return status;
}

void rules_clear(struct rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		free(rules->lines[i]);
	free(rules->lines);
	*rules = (struct rules){ .lines = NULL };
}
