/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idl_lex.h - an interface file as a row of tokens: for idl_*.c only.
 *
 * idl_lex.c makes tokens, idl_include.c follows the lines that begin with '#' or '%', idl_parse.c asks for
 * tokens, and idl_resolve.c gives names their meaning when all is read.  Memory is taken from the idl and goes
 * with it.  Each function that may fail returns 0, or -1 after idl_fail.
 */
#ifndef IPC9_CLI_IDL_LEX_H
#define IPC9_CLI_IDL_LEX_H

#include "cli/idl.h"

/* --- What an idl holds ------------------------------------------------------------------------- */

/* Something that has a value: constant, enumerator, procedure, version, program. */
struct idl_value_name {
	const char *name;
	struct idl_constant constant;	 /* what it is, unless it continues another */
	struct idl_value_name *previous; /* the enumerator whose successor it is, or NULL */
	bool weak; /* others of that name may follow, and a stronger one replaces it */
	enum {
		IDL_VALUE_NEW,
		IDL_VALUE_BUSY,
		IDL_VALUE_DONE,
		IDL_VALUE_MISSING
	} state;
	struct idl_value_name *next;	/* all of them */
	struct idl_value_name *waiting; /* idl_resolve.c's */
};

/* All types that are written anywhere, in the order met. */
struct idl_type_link {
	struct idl_type *type;
	struct idl_type_link *next;
};

struct idl {
	struct idl_block *blocks; /* memory */
	size_t used_bytes;	  /* of the first block */
	struct idl_error error;
	void *types;  /* by name, for tsearch */
	void *values; /* likewise */
	struct idl_type_link *all_types, **all_types_end;
	struct idl_value_name *all_values, **all_values_end;
	struct idl_program *programs;
	/* While it is read. */
	struct idl_source *source; /* the innermost; NULL at the end */
	struct idl_place end;	   /* of the file itself, once it was reached */
	void *macros;		   /* by name, for tsearch */
	void *files;		   /* those read, by device and number */
	unsigned n_files;
	bool files_allowed;
	size_t n_tokens;
};

/* Zeroed memory; NULL without memory, and then idl_fail was called. */
void *idl_alloc(struct idl *idl, size_t size_bytes);
char *idl_copy_text(struct idl *idl, const char *text, size_t size_bytes);

/* Notes what is wrong, unless something is already; returns -1. */
int idl_fail(struct idl *idl, const struct idl_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* --- Sources ----------------------------------------------------------------------------------- */

/* An #if that is open. */
struct idl_condition {
	bool active;   /* its lines count */
	bool taken;    /* some branch of it was active */
	bool enclosed; /* a condition around it is not met */
	bool otherwise;
	struct idl_place place;
	struct idl_condition *outer;
};

/* A text that is being read: a file, or what a macro stands for. */
struct idl_source {
	const char *at, *end;
	struct idl_place place; /* of `at`; of the use, throughout, if it is a macro's text */
	bool at_start;		/* nothing but blanks in this line so far */
	const struct idl_macro *macro;
	struct idl_condition *conditions;
	const char *folder; /* with a slash at its end, or "" */
	unsigned depth;
	struct idl_source *outer;
};

struct idl_macro {
	const char *name;
	const char *text;
	bool arguments; /* it takes some */
	bool undefined; /* again */
};

/* Moves on by a byte. */
void idl_source_step(struct idl_source *source);

/* Begins to read a text that stays as long as the idl. */
int idl_source_push(struct idl *idl, const char *name, const char *folder, const char *text,
    size_t size_bytes);
/* Begins to read what a macro stands for, where it is used. */
int idl_macro_push(struct idl *idl, const struct idl_macro *macro, const struct idl_place *place);
/* The macro that a name stands for here; NULL: none. */
const struct idl_macro *idl_macro_find(const struct idl *idl, const char *name);

/* The source stands at a '#' or '%' that begins a line: takes that line, and what it switches off. */
int idl_directive(struct idl *idl);
/* The source is at its end: whether its conditions are closed. */
int idl_source_check_end(struct idl *idl);
/* Reads a file and begins with it, unless it was read before; *ret_found: whether it is there. */
int idl_source_open(struct idl *idl, const char *path, bool *ret_found);

/* Passes over a comment that the source may stand at; *ret_was: whether there was one. */
int idl_comment_skip(struct idl *idl, bool *ret_was);

/* --- Tokens ------------------------------------------------------------------------------------ */

enum idl_token_kind {
	IDL_TOKEN_END,
	IDL_TOKEN_WORD,
	IDL_TOKEN_NUMBER,
	IDL_TOKEN_TEXT, /* "..." */
	IDL_TOKEN_SIGN, /* one of {}[]<>()*,;:= */
};

struct idl_token {
	enum idl_token_kind kind;
	const char *text; /* as written; without the quotes */
	int64_t number;	  /* INT64_MAX also stands for what is greater */
	struct idl_place place;
};

int idl_token_next(struct idl *idl, struct idl_token *ret_token);

/* --- Names ------------------------------------------------------------------------------------- */

/* Notes a type under its name. */
int idl_type_define(struct idl *idl, struct idl_type *type);
/* Notes what has a value; value->name and the rest are filled in. */
int idl_value_define(struct idl *idl, struct idl_value_name *value);
struct idl_value_name *idl_value_find(const struct idl *idl, const char *name);
/* After everything was read: gives names their meaning, and checks what depends on it. */
int idl_resolve(struct idl *idl);

#endif
