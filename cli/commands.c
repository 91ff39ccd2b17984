/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * commands.c - the list of nouns, the options that all verbs have, and the parser that both drive.
 *
 * The words are read in one pass by getopt_long, which hands over operands in their place: the first is the
 * noun, the second its verb, the others are the verb's.  From the moment the verb is known its options count
 * too.  Everything after the first -- is no option.  Nothing may be abbreviated: a new word must not
 * break a script.
 */
#include "cli/commands.h"

#include <assert.h>
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/suggest.h"

const struct noun *const commands_nouns[] = {
	&clipboard_noun,
	&filemap_noun,
	&mailslot_noun,
	&pipe_noun,
	&rpc_noun,
	&acl_noun,
	&status_noun,
	&bench_noun,
	NULL,
};

const struct option_row commands_options[] = {
	{ .name = "help",
	    .letter = 'h',
	    .help = "show help (-h: short, --help: long, with examples)" },
	{ .name = "json", .help = "write JSON, one object (when following: one per line)" },
	{ .name = "quiet",
	    .letter = 'q',
	    .help = "no warnings; silence when there is nothing (status 3)" },
	{ .name = "timeout",
	    .kind = OPTION_NUMBER,
	    .value = "MS",
	    .maximum = INT_MAX,
	    .help = "wait at most MS ms for each answer of a daemon (10000; 0: for ever)" },
	{ .name = "verbose", .letter = 'v', .help = "say what is being done" },
	{ .name = "version", .letter = 'V', .help = "show the version" },
	{ .name = NULL },
};

/* --- The parser's state ------------------------------------------------------------------------ */

#define PARSER_ROWS_MAX 32
#define PARSER_WHERE_BYTES 64
#define PARSER_LONG_FIRST 256 /* getopt's values of long options: this and the row's index */
#define PARSER_OPERAND 1      /* getopt's value of a word that is no option */

struct parser {
	struct invocation *invocation;
	const struct option_row *rows[PARSER_ROWS_MAX]; /* that count now */
	size_t n_rows;
	struct option longs[PARSER_ROWS_MAX + 1];
	char shorts[2 * PARSER_ROWS_MAX + 3];
};

static void parser_add_rows(struct parser *parser, const struct option_row *rows)
{
	size_t n_before = parser->n_rows;

	for (; rows && rows->name; rows++) {
		size_t i = 0;

		while (i < n_before && strcmp(parser->rows[i]->name, rows->name) != 0)
			i++;
		if (i < n_before)
			continue; /* hidden by the verb's own */
		assert(parser->n_rows < PARSER_ROWS_MAX);
		parser->rows[parser->n_rows++] = rows;
	}
}

/* Makes getopt's tables for the options that count now. */
static void parser_set_options(struct parser *parser)
{
	const struct verb *verb = parser->invocation->verb;
	char *p = parser->shorts;

	parser->n_rows = 0;
	parser_add_rows(parser, verb ? verb->options : NULL);
	parser_add_rows(parser, commands_options);
	*p++ = '-'; /* operands in their place */
	*p++ = ':'; /* we report mistakes */
	for (size_t i = 0; i < parser->n_rows; i++) {
		const struct option_row *row = parser->rows[i];
		bool flag = row->kind == OPTION_FLAG;

		parser->longs[i] = (struct option){ .name = row->name,
			.has_arg = flag ? no_argument : required_argument,
			.val = PARSER_LONG_FIRST + (int)i };
		if (row->letter != 0)
			*p++ = row->letter;
		if (row->letter != 0 && !flag)
			*p++ = ':';
	}
	parser->longs[parser->n_rows] = (struct option){ .name = NULL };
	*p = '\0';
}

static const struct option_row *parser_find_letter(const struct parser *parser, int letter)
{
	for (size_t i = 0; i < parser->n_rows; i++)
		if (parser->rows[i]->letter == letter)
			return parser->rows[i];
	return NULL;
}

/* The row of an option as getopt names it. */
static const struct option_row *parser_find(const struct parser *parser, int c)
{
	if (c < PARSER_LONG_FIRST)
		return parser_find_letter(parser, c);
	return parser->rows[c - PARSER_LONG_FIRST];
}

/* --- Mistakes ---------------------------------------------------------------------------------- */

/* "clipboard copy ", "clipboard " or "": what of the invocation is known, to be followed by a word. */
static const char *parser_where(const struct parser *parser, char text[PARSER_WHERE_BYTES])
{
	const struct noun *noun = parser->invocation->noun;
	const struct verb *verb = parser->invocation->verb;
	bool named = verb && verb->name;

	text[0] = '\0';
	if (noun)
		(void)snprintf(text, PARSER_WHERE_BYTES, "%s %s%s", noun->name,
		    named ? verb->name : "", named ? " " : "");
	return text;
}

static int parser_unknown_noun(const char *word)
{
	struct suggest suggest = { .typed = word };
	char phrase[SUGGEST_PHRASE_BYTES];

	for (size_t i = 0; commands_nouns[i]; i++)
		suggest_offer(&suggest, commands_nouns[i]->name);
	for (size_t i = 0; commands_nouns[i]; i++)
		if (commands_nouns[i]->alias)
			suggest_offer(&suggest, commands_nouns[i]->alias);
	suggest_offer(&suggest, "help");
	suggest_phrase(&suggest, phrase);
	output_error("there is no command \"%s\"; %s (ipc9 -h says more)", word, phrase);
	return EXIT_USAGE;
}

static int parser_unknown_verb(const struct parser *parser, const char *word)
{
	const struct noun *noun = parser->invocation->noun;
	struct suggest suggest = { .typed = word };
	char phrase[SUGGEST_PHRASE_BYTES];

	for (const struct verb *verb = noun->verbs; verb->run; verb++)
		suggest_offer(&suggest, verb->name);
	suggest_phrase(&suggest, phrase);
	output_error("%s has no verb \"%s\"; %s (ipc9 %s -h says more)", noun->name, word, phrase,
	    noun->name);
	return EXIT_USAGE;
}

static int parser_unknown_option(const struct parser *parser, const char *word)
{
	char where[PARSER_WHERE_BYTES], phrase[SUGGEST_PHRASE_BYTES];
	char typed[64], names[PARSER_ROWS_MAX][32];
	struct suggest suggest = { .typed = typed };

	(void)snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(word, "="), word);
	for (size_t i = 0; i < parser->n_rows; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "--%s", parser->rows[i]->name);
		suggest_offer(&suggest, names[i]);
	}
	suggest_phrase(&suggest, phrase);
	output_error("there is no option \"%s\"; %s (ipc9 %s-h says more)", typed, phrase,
	    parser_where(parser, where));
	return EXIT_USAGE;
}

/* A letter has no near ones; the word may have been meant as an operand, or lack a dash. */
static int parser_unknown_letter(const struct parser *parser, int letter, char **words)
{
	char where[PARSER_WHERE_BYTES];

	/* getopt is at the word's next letter or, after its last, at the next word. */
	for (int i = -1; i <= 0 && words[i]; i++)
		for (size_t j = 0; j < parser->n_rows; j++)
			if (words[i][0] == '-' &&
			    strcmp(words[i] + 1, parser->rows[j]->name) == 0) {
				output_error("there is no option \"%s\"; did you mean \"-%s\"?",
				    words[i], words[i]);
				return EXIT_USAGE;
			}
	output_error(
	    "there is no option \"-%c\" (ipc9 %s-h says more; what follows -- is no option)",
	    letter, parser_where(parser, where));
	return EXIT_USAGE;
}

/* getopt has refused a word: words[-1], or words[0] when it is a cluster of letters. */
static int parser_refused(const struct parser *parser, char **words)
{
	if (optopt >= PARSER_LONG_FIRST) {
		output_error("--%s takes no value", parser_find(parser, optopt)->name);
		return EXIT_USAGE;
	}
	if (optopt > 0)
		return parser_unknown_letter(parser, optopt, words);
	return parser_unknown_option(parser, words[-1]);
}

static int parser_value_missing(const struct parser *parser)
{
	const struct option_row *row = parser_find(parser, optopt);

	if (optopt < PARSER_LONG_FIRST)
		output_error("-%c needs a value: %s", optopt, row->value);
	else
		output_error("--%s needs a value: %s", row->name, row->value);
	return EXIT_USAGE;
}

/* --- Words ------------------------------------------------------------------------------------- */

static int parser_check_number(const struct option_row *row, const char *text)
{
	long long number;
	char *end;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 &&
	    number >= row->minimum && number <= row->maximum)
		return 0;
	output_error("--%s takes a number from %lld to %lld, not \"%s\"", row->name, row->minimum,
	    row->maximum, text);
	return EXIT_USAGE;
}

/* getopt has understood an option. */
static int parser_option(struct parser *parser, int c, char **argv)
{
	struct invocation *invocation = parser->invocation;
	const struct option_row *row = parser_find(parser, c);
	const char *word = argv[optind - 1];
	size_t size = strlen(row->name);

	if (optarg && optarg == word)
		word = argv[optind - 2];
	if (c >= PARSER_LONG_FIRST &&
	    (strncmp(word + 2, row->name, size) != 0 ||
		(word[2 + size] != '\0' && word[2 + size] != '=')))
		return parser_unknown_option(parser, word); /* abbreviated */
	if (row->kind == OPTION_NUMBER && parser_check_number(row, optarg) != 0)
		return EXIT_USAGE;
	if (strcmp(row->name, "help") == 0)
		invocation->help = c < PARSER_LONG_FIRST ? HELP_SHORT : HELP_LONG;
	else if (strcmp(row->name, "version") == 0)
		invocation->version = true;
	else if (strcmp(row->name, "quiet") == 0)
		invocation->quiet = true;
	else if (strcmp(row->name, "verbose") == 0)
		invocation->verbose++;
	else if (strcmp(row->name, "json") == 0)
		invocation->json = true;
	else
		invocation->options[invocation->n_options++] =
		    (struct invocation_option){ .row = row, .value = optarg };
	return 0;
}

static int parser_noun(struct parser *parser, const char *word)
{
	struct invocation *invocation = parser->invocation;

	if (strcmp(word, "help") == 0) {
		invocation->help = HELP_LONG;
		return 0;
	}
	for (size_t i = 0; commands_nouns[i]; i++) {
		const struct noun *noun = commands_nouns[i];

		if (strcmp(word, noun->name) == 0 ||
		    (noun->alias && strcmp(word, noun->alias) == 0)) {
			invocation->noun = noun;
			if (!noun->verbs[0].name)
				invocation->verb = &noun->verbs[0];
			parser_set_options(parser);
			return 0;
		}
	}
	return parser_unknown_noun(word);
}

static int parser_verb(struct parser *parser, const char *word)
{
	struct invocation *invocation = parser->invocation;

	for (const struct verb *verb = invocation->noun->verbs; verb->run; verb++)
		if (strcmp(word, verb->name) == 0) {
			invocation->verb = verb;
			parser_set_options(parser);
			return 0;
		}
	return parser_unknown_verb(parser, word);
}

static int parser_word(struct parser *parser, char *word)
{
	struct invocation *invocation = parser->invocation;

	if (!invocation->noun)
		return parser_noun(parser, word);
	if (!invocation->verb)
		return parser_verb(parser, word);
	invocation->operands[invocation->n_operands++] = word;
	return 0;
}

/* Takes the words before the first --. */
static int parser_options(struct parser *parser, int argc, char **argv)
{
	int c, r = 0;

	optind = 0; /* glibc: begin anew */
	opterr = 0;
	while (r == 0 && (c = getopt_long(argc, argv, parser->shorts, parser->longs, NULL)) != -1) {
		if (c == '?') {
			r = parser_refused(parser, argv + optind);
		} else if (c == ':') {
			r = parser_value_missing(parser);
		} else if (c == PARSER_OPERAND) {
			r = parser_word(parser, optarg);
		} else {
			r = parser_option(parser, c, argv);
		}
	}
	return r;
}

/* --- The whole --------------------------------------------------------------------------------- */

static int parser_check_operands(const struct parser *parser)
{
	const struct invocation *invocation = parser->invocation;
	const struct verb *verb = invocation->verb;
	char where[PARSER_WHERE_BYTES];

	(void)parser_where(parser, where);
	if (invocation->n_operands < verb->min_operands) {
		output_error("something is missing: ipc9 %s%s (ipc9 %s-h says more)", where,
		    verb->operands, where);
		return EXIT_USAGE;
	}
	if (invocation->n_operands > verb->max_operands) {
		const char *word = invocation->operands[verb->max_operands];

		output_error("one word too many: \"%s\"%s (ipc9 %s-h says more)", word,
		    verb->command ? "; a command stands after --" : "", where);
		return EXIT_USAGE;
	}
	if (invocation->json && !verb->json) {
		where[strlen(where) - 1] = '\0';
		output_error("\"%s\" has no --json", where);
		return EXIT_USAGE;
	}
	return 0;
}

/* Takes the words after the first --. */
static int parser_rest(struct parser *parser, char **words)
{
	struct invocation *invocation = parser->invocation;
	int r = 0;

	if (invocation->verb && invocation->verb->command) {
		if (!words[0] && invocation->help == HELP_NONE) {
			output_error("a command is missing after --");
			return EXIT_USAGE;
		}
		invocation->command = words;
		return 0;
	}
	for (; r == 0 && *words; words++)
		r = parser_word(parser, *words);
	return r;
}

int commands_parse(int argc, char **argv, struct invocation *invocation)
{
	struct parser parser = { .invocation = invocation };
	int end = 1, r;

	*invocation = (struct invocation){ .noun = NULL };
	invocation->options = calloc((size_t)argc + 1, sizeof(*invocation->options));
	invocation->operands = calloc((size_t)argc + 1, sizeof(*invocation->operands));
	if (!invocation->options || !invocation->operands)
		return output_no_memory();
	while (end < argc && strcmp(argv[end], "--") != 0)
		end++;
	parser_set_options(&parser);
	if (argc > 1) {
		char *cut = argv[end];

		argv[end] = NULL;
		r = parser_options(&parser, end, argv);
		argv[end] = cut;
		if (r == 0 && cut)
			r = parser_rest(&parser, argv + end + 1);
		if (r)
			return r;
	}
	if (!invocation->verb || invocation->help != HELP_NONE || invocation->version)
		return 0;
	return parser_check_operands(&parser);
}

void invocation_free(struct invocation *invocation)
{
	free(invocation->options);
	free(invocation->operands);
}

const char *invocation_text(const struct invocation *invocation, const char *name)
{
	for (size_t i = invocation->n_options; i > 0; i--)
		if (strcmp(invocation->options[i - 1].row->name, name) == 0)
			return invocation->options[i - 1].value;
	return NULL;
}

bool invocation_flag(const struct invocation *invocation, const char *name)
{
	for (size_t i = 0; i < invocation->n_options; i++)
		if (strcmp(invocation->options[i].row->name, name) == 0)
			return true;
	return false;
}

long long invocation_number(const struct invocation *invocation, const char *name,
    long long fallback)
{
	const char *text = invocation_text(invocation, name);

	return text ? strtoll(text, NULL, 10) : fallback;
}

const char *invocation_operand(const struct invocation *invocation, size_t index)
{
	return index < invocation->n_operands ? invocation->operands[index] : NULL;
}
