/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * commands.h - the registry of the command line: nouns, their verbs, their options.
 *
 * One table holds what a user can type.  Parsing, both forms of help and the suggestions after a mistake come
 * from it, and nothing else knows the words.  A new noun is one file that ends with its struct noun, and one
 * line in commands.c.
 */
#ifndef IPC9_CLI_COMMANDS_H
#define IPC9_CLI_COMMANDS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

struct ipc9;
struct invocation;

/* --- The table --------------------------------------------------------------------------------- */

enum option_kind {
	OPTION_FLAG, /* takes no value */
	OPTION_TEXT,
	OPTION_NUMBER, /* decimal, minimum to maximum */
};

/* Arrays of these end with a row without name. */
struct option_row {
	const char *name; /* without the dashes */
	char letter;	  /* 0: it has only a name */
	enum option_kind kind;
	bool repeatable;
	const char *value; /* what help calls the value */
	long long minimum, maximum;
	const char *help;
};

/* Arrays of these end with a row without command. */
struct example {
	const char *command;
	const char *what;
};

/* Arrays of these end with a row without run. */
struct verb {
	const char *name; /* NULL: the noun has no verbs, and this is what it does */
	const char *summary;
	const char *operands; /* as help shows them, or NULL */
	size_t min_operands, max_operands;
	bool command;			  /* takes -- CMD... */
	bool json;			  /* has --json */
	const struct option_row *options; /* may be NULL; a row hides the global one of its name */
	const char *about; /* more for the long help, lines ended by newlines; or NULL */
	/*
	 * Does it; may block as long as it likes.  Returns the exit status, or OUTPUT_BROKEN, and has
	 * said on standard error what went wrong.
	 */
	int (*run)(struct ipc9 *ipc9, const struct invocation *invocation);
};

struct noun {
	const char *name;
	const char *alias; /* or NULL */
	const char *summary;
	const struct verb *verbs;
	const struct example *examples;
};

extern const struct noun acl_noun, bench_noun, clipboard_noun, filemap_noun, mailslot_noun,
    pipe_noun, rpc_noun, status_noun;

/* All nouns, in the order of the help; ends with NULL. */
extern const struct noun *const commands_nouns[];

/* The options that every verb has; ends with a row without name. */
extern const struct option_row commands_options[];

/* --- What was typed ---------------------------------------------------------------------------- */

enum invocation_help {
	HELP_NONE,
	HELP_SHORT,
	HELP_LONG,
};

struct invocation_option {
	const struct option_row *row;
	const char *value; /* NULL for a flag */
};

struct invocation {
	const struct noun *noun; /* NULL: none was named */
	const struct verb *verb; /* NULL: likewise */
	enum invocation_help help;
	bool version, quiet, json;
	unsigned int verbose;
	struct invocation_option *options; /* in the order given */
	size_t n_options;
	char **operands; /* the words themselves are argv's */
	size_t n_operands;
	/* What follows --, ended by NULL; NULL if the verb takes none or none is there. */
	char **command;
	sigset_t signal_mask; /* as inherited; main fills it in */
};

/*
 * Understands a command line.  0, or EXIT_USAGE after saying on standard error what is wrong with it.  Help
 * and version leave unchecked whether something is missing.  In both cases: invocation_free.
 */
int commands_parse(int argc, char **argv, struct invocation *invocation);
void invocation_free(struct invocation *invocation);

/* The value given last for an option, NULL if none was. */
const char *invocation_text(const struct invocation *invocation, const char *name);
bool invocation_flag(const struct invocation *invocation, const char *name);
/* A number that the table's limits admitted; otherwise what stands in fallback. */
long long invocation_number(const struct invocation *invocation, const char *name,
    long long fallback);
/* The operand at index, NULL if there are fewer. */
const char *invocation_operand(const struct invocation *invocation, size_t index);

#endif
