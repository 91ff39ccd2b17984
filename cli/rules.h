/* SPDX-License-Identifier: BSD-3-Clause */
/* rules.h - access lists on the command line: --allow and --deny, in the order given. */
#ifndef IPC9_CLI_RULES_H
#define IPC9_CLI_RULES_H

#include "cli/commands.h"

/* For the options of verbs that take a list. */
#define RULES_OPTION_ROWS                                                                          \
	{ .name = "allow",                                                                         \
		.kind = OPTION_TEXT,                                                               \
		.repeatable = true,                                                                \
		.value = "'WHO RIGHTS'",                                                           \
		.help = "an access list: let WHO do RIGHTS (ipc9 acl --help)" },                   \
	{                                                                                          \
		.name = "deny", .kind = OPTION_TEXT, .repeatable = true, .value = "'WHO RIGHTS'",  \
		.help = "the same: refuse WHO"                                                     \
	}

/* Lines in their order; all zero is empty. */
struct rules {
	char **lines; /* NULL: no list was given */
	size_t n;
};

/* Takes --allow and --deny.  0 or the exit status; in both cases rules_clear. */
int rules_take_options(struct rules *rules, const struct invocation *invocation);

/* Reads lines from a file ("-": standard input) as `acl get` writes them; blank ones and # comments count for nothing. */
int rules_read(struct rules *rules, const char *path);

void rules_clear(struct rules *rules);

#endif
