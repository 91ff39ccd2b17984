/* SPDX-License-Identifier: BSD-3-Clause */
/* idl.h - the procedures that idl/ describes. */
#ifndef TESTS_GOLDEN_IDL_H
#define TESTS_GOLDEN_IDL_H

#include <stdbool.h>
#include <stdint.h>

struct idl_procedure {
	char set[32];  /* "clipboard" */
	char name[32]; /* "LIST" */
	char result[64], argument[64];
	uint32_t number;
};

/* Calls fn for each procedure of each .x file of a folder.  false: a file cannot be read, or there is none. */
bool idl_each(const char *folder, void (*fn)(void *context, const struct idl_procedure *procedure),
    void *context);

#endif
