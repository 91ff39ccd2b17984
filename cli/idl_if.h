/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idl_if.h - the expressions of #if: for idl_*.c only.
 */
#ifndef IPC9_CLI_IDL_IF_H
#define IPC9_CLI_IDL_IF_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/idl_lex.h"

/* The length of the name or number that a text begins with; 0: none. */
size_t idl_if_word(const char *text);

/* Whether an expression holds; a name that is no macro counts as 0.  0, or -1 after idl_fail. */
int idl_if_evaluate(struct idl *idl, const char *text, const struct idl_place *place,
    bool *ret_holds);

#endif
