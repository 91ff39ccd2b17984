/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * help.h - what -h and --help show, made from the tables of commands.h.
 */
#ifndef IPC9_CLI_HELP_H
#define IPC9_CLI_HELP_H

#include <stdio.h>

#include "cli/commands.h"

/* Prints the help for as much as the invocation names: everything, a noun, or a verb. */
void help_print(FILE *file, const struct invocation *invocation, enum invocation_help form);

#endif
