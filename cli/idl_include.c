/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idl_include.c - the lines of an interface file that begin with '#' or '%': conditions, macros, other files.
 *
 * What always holds:
 *  1. The conditions of a source are closed in that source.
 *  2. No file is read a second time, so that files which include each other end.
 *  3. A macro is not followed inside its own text; sources are at most IDL_DEPTH_MAX deep.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/idl_lex.h"
#include "cli/idl_if.h"
#include "cli/io.h"

#define IDL_CONDITIONS_MAX 64

/* --- Sources ----------------------------------------------------------------------------------- */

static struct idl_source *idl_source_new(struct idl *idl, const char *text, size_t size_bytes,
    const struct idl_place *place)
{
	unsigned depth = idl->source ? idl->source->depth + 1 : 1;
	struct idl_source *source;

	if (depth > IDL_DEPTH_MAX) {
		(void)idl_fail(idl, place, "files or macros are more than %d deep in each other",
		    IDL_DEPTH_MAX);
		return NULL;
	}
	source = idl_alloc(idl, sizeof(*source));
	if (!source)
		return NULL;
	source->at = text;
	source->end = text + size_bytes;
	source->depth = depth;
	source->outer = idl->source;
	return source;
}

int idl_source_push(struct idl *idl, const char *name, const char *folder, const char *text,
    size_t size_bytes)
{
	const struct idl_place *place = idl->source ? &idl->source->place : NULL;
	struct idl_source *source = idl_source_new(idl, text, size_bytes, place);

	if (!source)
		return -1;
	source->place = (struct idl_place){ .file = name, .line = 1, .column = 1 };
	source->at_start = true;
	source->folder = folder;
	idl->source = source;
	return 0;
}

int idl_macro_push(struct idl *idl, const struct idl_macro *macro, const struct idl_place *place)
{
	struct idl_source *source;

	if (macro->arguments)
		return idl_fail(idl, place,
		    "\"%.80s\" is a macro with arguments, which are not supported here",
		    macro->name);
	source = idl_source_new(idl, macro->text, strlen(macro->text), place);
	if (!source)
		return -1;
	source->place = *place;
	source->macro = macro;
	source->folder = idl->source->folder;
	idl->source = source;
	return 0;
}

int idl_source_check_end(struct idl *idl)
{
	const struct idl_condition *condition = idl->source->conditions;

	if (!condition)
		return 0;
	return idl_fail(idl, &condition->place, "this condition is not closed; expected #endif");
}

/* --- Macros ------------------------------------------------------------------------------------ */

static int idl_macro_compare(const void *a, const void *b)
{
	const struct idl_macro *x = a, *y = b;

	return strcmp(x->name, y->name);
}

const struct idl_macro *idl_macro_find(const struct idl *idl, const char *name)
{
	struct idl_macro key = { .name = name };
	struct idl_macro **node = tfind(&key, &idl->macros, idl_macro_compare);

	if (!node || (*node)->undefined)
		return NULL;
	for (const struct idl_source *source = idl->source; source; source = source->outer)
		if (source->macro == *node)
			return NULL;
	return *node;
}

/* `rest` is what follows #define. */
static int idl_macro_define(struct idl *idl, const char *rest, const struct idl_place *place)
{
	size_t size = idl_if_word(rest);
	struct idl_macro *macro = idl_alloc(idl, sizeof(*macro)), **node;

	if (size == 0)
		return idl_fail(idl, place, "#define names nothing; expected a name");
	if (!macro)
		return -1;
	macro->name = idl_copy_text(idl, rest, size);
	macro->arguments = rest[size] == '(';
	macro->text = idl_copy_text(idl, rest + size, strlen(rest + size));
	if (!macro->name || !macro->text)
		return -1;
	node = tsearch(macro, &idl->macros, idl_macro_compare);
	if (!node)
		return idl_fail(idl, NULL, "out of memory");
	*node = macro;
	return 0;
}

static int idl_macro_undefine(struct idl *idl, const char *rest, const struct idl_place *place)
{
	char *name = idl_copy_text(idl, rest, idl_if_word(rest));
	struct idl_macro key = { .name = name }, **node;

	if (!name)
		return -1;
	if (*name == '\0')
		return idl_fail(idl, place, "#undef names nothing; expected a name");
	node = tfind(&key, &idl->macros, idl_macro_compare);
	if (node)
		(*node)->undefined = true;
	return 0;
}

/* --- Files ------------------------------------------------------------------------------------- */

struct idl_file {
	dev_t device;
	ino_t number;
};

static int idl_file_compare(const void *a, const void *b)
{
	const struct idl_file *x = a, *y = b;

	if (x->device != y->device)
		return x->device < y->device ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

/* Whether the file was read before; notes that it is now.  1, 0, or -1. */
static int idl_file_seen(struct idl *idl, int fd)
{
	struct idl_file *file = idl_alloc(idl, sizeof(*file)), **node;
	struct stat status;

	if (!file)
		return -1;
	if (fstat(fd, &status) < 0)
		return idl_fail(idl, NULL, "fstat: %s", strerror(errno));
	file->device = status.st_dev;
	file->number = status.st_ino;
	node = tsearch(file, &idl->files, idl_file_compare);
	if (!node)
		return idl_fail(idl, NULL, "out of memory");
	return *node != file;
}

/* Reads the whole file into memory that stays as long as the idl. */
static int idl_file_read(struct idl *idl, const char *path, int fd, char **ret_text,
    size_t *ret_size_bytes)
{
	_cleanup_(io_freep) char *buffer = malloc(IDL_FILE_BYTES + 1);
	size_t size;
	int r;

	if (!buffer)
		return idl_fail(idl, NULL, "out of memory");
	r = io_read_full(fd, buffer, IDL_FILE_BYTES + 1, &size);
	if (r)
		return idl_fail(idl, NULL, "cannot read %.200s: %s", path, strerror(-r));
	if (size > IDL_FILE_BYTES)
		return idl_fail(idl, NULL, "%.200s is longer than %d bytes", path, IDL_FILE_BYTES);
	*ret_text = idl_copy_text(idl, buffer, size);
	*ret_size_bytes = size;
	return *ret_text ? 0 : -1;
}

int idl_source_open(struct idl *idl, const char *path, bool *ret_found)
{
	_cleanup_(io_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	const struct idl_place *place = idl->source ? &idl->source->place : NULL;
	const char *slash = strrchr(path, '/');
	char *name, *folder, *text = NULL;
	size_t size = 0;
	int r;

	*ret_found = fd >= 0;
	if (fd < 0 && errno == ENOENT)
		return 0;
	if (fd < 0)
		return idl_fail(idl, place, "cannot open %.200s: %s", path, strerror(errno));
	r = idl_file_seen(idl, fd);
	if (r != 0)
		return r < 0 ? -1 : 0;
	if (++idl->n_files > IDL_FILES_MAX)
		return idl_fail(idl, place, "more than %d files", IDL_FILES_MAX);
	if (idl_file_read(idl, path, fd, &text, &size) < 0)
		return -1;
	name = idl_copy_text(idl, path, strlen(path));
	folder = idl_copy_text(idl, path, slash ? (size_t)(slash + 1 - path) : 0);
	if (!name || !folder)
		return -1;
	return idl_source_push(idl, name, folder, text, size);
}

/* --- Includes ---------------------------------------------------------------------------------- */

/* Takes in what stands beside the including file under NAME, with its last letter, h, as an x if as_x. */
static int idl_include_try(struct idl *idl, const char *name, size_t size, bool as_x,
    bool *ret_found)
{
	const char *folder = name[0] == '/' ? "" : idl->source->folder;
	char path[4096];
	int n;

	*ret_found = false;
	n = snprintf(path, sizeof(path), "%s%.*s", folder, (int)size, name);
	if (n < 1 || (size_t)n >= sizeof(path) || memchr(name, '\0', size))
		return 0;
	if (as_x)
		path[n - 1] = 'x';
	return idl_source_open(idl, path, ret_found);
}

/*
 * `rest` is what follows #include.  passed: it stood behind '%', so what is not there is C's.  A header "foo.h" is
 * what rpcgen made of foo.x.
 */
static int idl_include(struct idl *idl, const char *rest, bool passed,
    const struct idl_place *place)
{
	char close = *rest == '<' ? '>' : '"';
	const char *end = *rest == '<' || *rest == '"' ? strchr(rest + 1, close) : NULL;
	bool found = false, header;
	size_t size;

	if (!end && passed)
		return 0;
	if (!end)
		return idl_fail(idl, place, "#include names no file; expected \"FILE.x\"");
	size = (size_t)(end - ++rest);
	header = size > 2 && rest[size - 2] == '.' && rest[size - 1] == 'h';
	if (close == '>' && (passed || header))
		return 0; /* the system's, for C */
	if (!idl->files_allowed)
		return passed ? 0 : idl_fail(idl, place, "this text cannot include files");
	if (header && idl_include_try(idl, rest, size, true, &found) < 0)
		return -1;
	if (!found && !passed && idl_include_try(idl, rest, size, false, &found) < 0)
		return -1;
	if (!found && !passed)
		return idl_fail(idl, place, "there is no file %.100s%.*s",
		    rest[0] == '/' ? "" : idl->source->folder, size < 200 ? (int)size : 200, rest);
	return 0;
}

/* --- Conditions -------------------------------------------------------------------------------- */

static int idl_condition_open(struct idl *idl, bool holds, const struct idl_place *place)
{
	struct idl_source *source = idl->source;
	struct idl_condition *condition = idl_alloc(idl, sizeof(*condition));
	unsigned depth = 1;

	for (const struct idl_condition *c = source->conditions; c; c = c->outer)
		depth++;
	if (depth > IDL_CONDITIONS_MAX)
		return idl_fail(idl, place, "more than %d conditions in each other",
		    IDL_CONDITIONS_MAX);
	if (!condition)
		return -1;
	condition->enclosed = source->conditions && !source->conditions->active;
	condition->active = holds && !condition->enclosed;
	condition->taken = condition->active;
	condition->place = *place;
	condition->outer = source->conditions;
	source->conditions = condition;
	return 0;
}

static bool idl_is_active(const struct idl *idl)
{
	return !idl->source->conditions || idl->source->conditions->active;
}

static int idl_condition_if(struct idl *idl, const char *word, const char *rest,
    const struct idl_place *place)
{
	bool holds = false;

	if (!idl_is_active(idl))
		return idl_condition_open(idl, false, place);
	if (strcmp(word, "if") == 0) {
		if (idl_if_evaluate(idl, rest, place, &holds) < 0)
			return -1;
	} else {
		char *name = idl_copy_text(idl, rest, idl_if_word(rest));

		if (!name)
			return -1;
		if (*name == '\0')
			return idl_fail(idl, place, "#%s names nothing; expected a name", word);
		holds = (idl_macro_find(idl, name) != NULL) == (strcmp(word, "ifdef") == 0);
	}
	return idl_condition_open(idl, holds, place);
}

/* #else, #elif, #endif. */
static int idl_condition_turn(struct idl *idl, const char *word, const char *rest,
    const struct idl_place *place)
{
	struct idl_condition *condition = idl->source->conditions;
	bool holds = true;

	if (!condition)
		return idl_fail(idl, place, "#%s without #if", word);
	if (strcmp(word, "endif") == 0) {
		idl->source->conditions = condition->outer;
		return 0;
	}
	if (condition->otherwise)
		return idl_fail(idl, place, "#%s after #else; expected #endif", word);
	condition->otherwise = strcmp(word, "else") == 0;
	condition->active = false;
	if (condition->enclosed || condition->taken)
		return 0;
	if (!condition->otherwise && idl_if_evaluate(idl, rest, place, &holds) < 0)
		return -1;
	condition->active = condition->taken = holds;
	return 0;
}

/* --- Lines ------------------------------------------------------------------------------------- */

/*
 * Goes to the line's end, and writes to line, unless it is NULL, what is met; a comment counts as a blank and may
 * go on behind the line's end, as may the line behind a backslash.
 */
static int idl_line_walk(struct idl *idl, char *line, size_t *ret_size_bytes)
{
	struct idl_source *source = idl->source;
	size_t size = 0;

	while (source->at < source->end && *source->at != '\n') {
		bool continued =
		    *source->at == '\\' && source->at + 1 < source->end && source->at[1] == '\n';
		char c = *source->at;
		bool comment;

		if (idl_comment_skip(idl, &comment) < 0)
			return -1;
		if (continued)
			idl_source_step(source);
		if (comment || continued || c == '\0')
			c = ' ';
		if (!comment)
			idl_source_step(source);
		if (line)
			line[size] = c;
		size++;
	}
	*ret_size_bytes = size;
	return 0;
}

/* Takes the rest of the line.  NULL after idl_fail. */
static char *idl_line_take(struct idl *idl)
{
	struct idl_source before = *idl->source;
	char *line;
	size_t size;

	if (idl_line_walk(idl, NULL, &size) < 0)
		return NULL;
	line = idl_alloc(idl, size + 1);
	*idl->source = before;
	if (!line || idl_line_walk(idl, line, &size) < 0)
		return NULL;
	return line;
}

/* Leaves a line as it is. */
static void idl_line_skip(struct idl_source *source)
{
	while (source->at < source->end && *source->at != '\n')
		idl_source_step(source);
}

/* Lines that do not count, up to one that begins with '#'. */
static int idl_lines_skip(struct idl *idl)
{
	struct idl_source *source = idl->source;

	while (source->at < source->end) {
		bool comment;

		if (source->at_start && *source->at == '#')
			return 0;
		if (source->at_start && *source->at == '%') {
			idl_line_skip(source);
			continue;
		}
		if (idl_comment_skip(idl, &comment) < 0)
			return -1;
		if (comment)
			continue;
		if (*source->at != ' ' && *source->at != '\t')
			source->at_start = false;
		idl_source_step(source); /* sets at_start again behind a line's end */
	}
	return 0;
}

/* What `line` holds behind its first word. */
static const char *idl_line_rest(const char *line)
{
	line += idl_if_word(line);
	while (isspace((unsigned char)*line))
		line++;
	return line;
}

static bool idl_is_word_of(const char *line, const char *word)
{
	return idl_if_word(line) == strlen(word) && strncmp(line, word, strlen(word)) == 0;
}

/* A line of C: an include or a number may matter here too. */
static int idl_line_passed(struct idl *idl, const struct idl_place *place)
{
	struct idl_source *source = idl->source;
	const char *from = source->at, *line, *rest;
	struct idl_token token = { .kind = IDL_TOKEN_END };
	struct idl_value_name *value;
	char *copy, *end;

	idl_line_skip(source);
	copy = idl_copy_text(idl, from, (size_t)(source->at - from));
	if (!copy)
		return -1;
	line = copy + strspn(copy, "% \t");
	if (*line != '#')
		return 0;
	line += 1 + strspn(line + 1, " \t");
	rest = idl_line_rest(line);
	if (idl_is_word_of(line, "include"))
		return idl_include(idl, rest, true, place);
	if (!idl_is_word_of(line, "define") || idl_if_word(rest) == 0)
		return 0;
	value = idl_alloc(idl, sizeof(*value));
	token.text = idl_line_rest(rest);
	if (!value || !isdigit((unsigned char)*token.text))
		return value ? 0 : -1;
	value->name = idl_copy_text(idl, rest, idl_if_word(rest));
	errno = 0;
	value->constant =
	    (struct idl_constant){ .number = strtoll(token.text, &end, 0), .place = *place };
	end += strspn(end, " \t\r");
	if (!value->name || errno != 0 || (*end != '\0' && *end != '/'))
		return value->name ? 0 : -1;
	value->weak = true;
	return idl_value_define(idl, value);
}

static int idl_line_directive(struct idl *idl, const struct idl_place *place)
{
	const char *line, *rest;

	idl_source_step(idl->source);
	line = idl_line_take(idl);
	if (!line)
		return -1;
	line += strspn(line, " \t");
	rest = idl_line_rest(line);
	if (idl_is_word_of(line, "if") || idl_is_word_of(line, "ifdef") ||
	    idl_is_word_of(line, "ifndef")) {
		const char *word = idl_copy_text(idl, line, idl_if_word(line));

		return word ? idl_condition_if(idl, word, rest, place) : -1;
	}
	if (idl_is_word_of(line, "elif"))
		return idl_condition_turn(idl, "elif", rest, place);
	if (idl_is_word_of(line, "else"))
		return idl_condition_turn(idl, "else", rest, place);
	if (idl_is_word_of(line, "endif"))
		return idl_condition_turn(idl, "endif", rest, place);
	if (!idl_is_active(idl))
		return 0;
	if (idl_is_word_of(line, "define"))
		return idl_macro_define(idl, rest, place);
	if (idl_is_word_of(line, "undef"))
		return idl_macro_undefine(idl, rest, place);
	if (idl_is_word_of(line, "include"))
		return idl_include(idl, rest, false, place);
	if (idl_is_word_of(line, "error"))
		return idl_fail(idl, place, "#error %.200s", rest);
	if (*line == '\0' || isdigit((unsigned char)*line) || idl_is_word_of(line, "pragma") ||
	    idl_is_word_of(line, "ident") || idl_is_word_of(line, "line") ||
	    idl_is_word_of(line, "warning"))
		return 0;
	return idl_fail(idl, place, "there is no directive \"#%.40s\"", line);
}

int idl_directive(struct idl *idl)
{
	struct idl_place place = idl->source->place;
	struct idl_source *source = idl->source;

	if (*source->at == '%')
		return idl_line_passed(idl, &place);
	if (idl_line_directive(idl, &place) < 0)
		return -1;
	return idl->source == source && !idl_is_active(idl) ? idl_lines_skip(idl) : 0;
}
