/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * help.c - help, short and long, from the tables of commands.h.  The short form is usage, verbs and options;
 * the long one adds the whole story, the common options, exit status and examples.
 */
#include "cli/help.h"

#include <string.h>

#define HELP_COLUMN 26 /* where explanations begin */

static const char help_exit_status[] =
    "Exit status:\n"
    "  0  done\n"
    "  1  failed\n"
    "  2  the command line is wrong\n"
    "  3  nothing there: no object of that name, no such format, empty, timed out\n"
    "  4  the host or its daemon was not reached\n"
    "  5  access refused\n"
    "  6  the other side speaks another version of the protocol\n"
    "  130 (interrupted), 141 (nobody reads the output): ended by a signal\n";

static const char help_names[] =
    "Names:\n"
    "  //HOST/pipe/NAME  an object of another host, by name or address; //./ is this one\n"
    "  //HOST:PORT/...   a daemon that is not on port 20490; [...] around IPv6 addresses\n"
    "  //@/mailslot/NAME every host of our domain; //@DOMAIN/ of another\n";

static const struct example help_examples[] = {
	{ .command = "ipc9 clipboard copy < picture.png", .what = "copy" },
	{ .command = "ipc9 clipboard paste //alpha > picture.png",
	    .what = "paste what was copied on alpha" },
	{ .command = "ipc9 mailslot send //@/mailslot/news 'lunch is ready'",
	    .what = "tell every host that has the slot" },
	{ .command = "ipc9 pipe serve unpack -- tar x", .what = "and on another host:" },
	{ .command = "tar c . | ipc9 pipe open //alpha/pipe/unpack", .what = "send a tree there" },
	{ .command = NULL },
};

static void help_line(FILE *file, const char *left, const char *right)
{
	if (strlen(left) + 2 > HELP_COLUMN)
		(void)fprintf(file, "%s\n%*s%s\n", left, HELP_COLUMN, "", right);
	else
		(void)fprintf(file, "%-*s%s\n", HELP_COLUMN, left, right);
}

static void help_option(FILE *file, const struct option_row *row)
{
	char left[80], letter[8] = "    ";

	if (row->letter != 0)
		(void)snprintf(letter, sizeof(letter), "-%c, ", row->letter);
	(void)snprintf(left, sizeof(left), "  %s--%s%s%s", letter, row->name, row->value ? " " : "",
	    row->value ? row->value : "");
	help_line(file, left, row->help);
}

static void help_options(FILE *file, const char *title, const struct option_row *rows)
{
	if (!rows || !rows->name)
		return;
	(void)fprintf(file, "\n%s:\n", title);
	for (; rows->name; rows++)
		help_option(file, rows);
}

/* The common options that a verb has; NULL: all. */
static void help_common_options(FILE *file, const struct verb *verb)
{
	(void)fprintf(file, "\nCommon options:\n");
	for (const struct option_row *row = commands_options; row->name; row++) {
		const struct option_row *own = verb ? verb->options : NULL;

		while (own && own->name && strcmp(own->name, row->name) != 0)
			own++;
		if (own && own->name)
			continue;
		if (verb && !verb->json && strcmp(row->name, "json") == 0)
			continue;
		help_option(file, row);
	}
}

static void help_list_examples(FILE *file, const struct example *examples)
{
	(void)fprintf(file, "\nExamples:\n");
	for (; examples->command; examples++)
		(void)fprintf(file, "  %-56s  # %s\n", examples->command, examples->what);
}

static void help_usage(FILE *file, const struct noun *noun, const struct verb *verb)
{
	(void)fprintf(file, "ipc9 %s", noun->name);
	if (verb->name)
		(void)fprintf(file, " %s", verb->name);
	if (verb->operands)
		(void)fprintf(file, " %s", verb->operands);
	for (const struct option_row *row = verb->options; row && row->name; row++) {
		if (row->letter != 0)
			(void)fprintf(file, " [-%c", row->letter);
		else
			(void)fprintf(file, " [--%s", row->name);
		(void)fprintf(file, "%s%s]%s", row->value ? " " : "", row->value ? row->value : "",
		    row->repeatable ? "..." : "");
	}
	if (verb->json)
		(void)fprintf(file, " [--json]");
	if (verb->command)
		(void)fprintf(file, " [-- CMD...]");
	(void)fprintf(file, "\n");
}

static void help_print_verb(FILE *file, const struct noun *noun, const struct verb *verb,
    enum invocation_help form)
{
	(void)fprintf(file, "Usage: ");
	help_usage(file, noun, verb);
	(void)fprintf(file, "\n%s.\n", verb->summary);
	if (form == HELP_LONG && verb->about)
		(void)fprintf(file, "\n%s", verb->about);
	help_options(file, "Options", verb->options);
	if (form == HELP_SHORT) {
		(void)fprintf(file, "\nMore, with examples: ipc9 %s%s%s --help\n", noun->name,
		    verb->name ? " " : "", verb->name ? verb->name : "");
		return;
	}
	help_common_options(file, verb);
	(void)fprintf(file, "\n%s", help_exit_status);
	help_list_examples(file, noun->examples);
}

static void help_print_noun(FILE *file, const struct noun *noun, enum invocation_help form)
{
	if (!noun->verbs[0].name) {
		help_print_verb(file, noun, &noun->verbs[0], form);
		return;
	}
	(void)fprintf(file, "%s", noun->summary);
	if (noun->alias)
		(void)fprintf(file, " (short: %s)", noun->alias);
	(void)fprintf(file, ".\n\nUsage:\n");
	for (const struct verb *verb = noun->verbs; verb->run; verb++) {
		(void)fprintf(file, "  ");
		help_usage(file, noun, verb);
		(void)fprintf(file, "      %s\n", verb->summary);
	}
	if (form == HELP_SHORT) {
		(void)fprintf(file, "\nMore, with examples: ipc9 %s --help\n", noun->name);
		return;
	}
	for (const struct verb *verb = noun->verbs; verb->run; verb++) {
		char title[64];

		(void)snprintf(title, sizeof(title), "Options of %s", verb->name);
		help_options(file, title, verb->options);
	}
	help_common_options(file, NULL);
	(void)fprintf(file, "\n%s\n%s", help_names, help_exit_status);
	help_list_examples(file, noun->examples);
}

static void help_print_all(FILE *file, enum invocation_help form)
{
	(void)fprintf(file,
	    "Usage: ipc9 NOUN VERB ...\n\n"
	    "Interprocess communication on this host and with others.\n\n");
	for (size_t i = 0; commands_nouns[i]; i++) {
		const struct noun *noun = commands_nouns[i];

		for (const struct verb *verb = noun->verbs; verb->run; verb++) {
			char left[80];

			(void)snprintf(left, sizeof(left), "  %s %s", noun->name,
			    verb->name ? verb->name : "");
			help_line(file, left, verb->summary);
		}
	}
	help_line(file, "  help [NOUN [VERB]]", "Shows help");
	if (form == HELP_SHORT) {
		(void)fprintf(file, "\nMore, with examples: ipc9 --help\n");
		return;
	}
	help_common_options(file, NULL);
	(void)fprintf(file, "\n%s\n%s", help_names, help_exit_status);
	help_list_examples(file, help_examples);
}

void help_print(FILE *file, const struct invocation *invocation, enum invocation_help form)
{
	if (!invocation->noun)
		help_print_all(file, form);
	else if (!invocation->verb)
		help_print_noun(file, invocation->noun, form);
	else
		help_print_verb(file, invocation->noun, invocation->verb, form);
}
