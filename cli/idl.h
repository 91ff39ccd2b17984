/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idl.h - interface files in the language of RFC 4506 and RFC 5531, as rpcgen takes them.
 *
 * A file becomes a tree of types and programs that stays as it is until idl_free.  Lines that begin with '%' are
 * C's and skipped, except that %#include "foo.h" takes in foo.x where there is one, and that %#define of a
 * number is a constant.  The preprocessor's conditions, object-like macros and includes work; no macro is
 * defined at the start, as with none of rpcgen's passes.
 *
 * A type or constant may be missing, since rpcgen leaves those to C: idl_check says so before such a type is
 * used.  The names of <rpc/types.h> are known.
 */
#ifndef IPC9_CLI_IDL_H
#define IPC9_CLI_IDL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define IDL_FILE_BYTES (4 * 1024 * 1024) /* the longest file */
#define IDL_FILES_MAX 64		 /* that one file may take in, itself counted */
#define IDL_DEPTH_MAX                                                                              \
	32 /* of includes and macros inside each other, and of types written inside others */
#define IDL_UNBOUNDED UINT32_MAX

/* What is wrong, with FILE:LINE:COLUMN or the path inside a value before it; one line, UTF-8 as far as the file is. */
struct idl_error {
	char text[512];
};

/* Where something was written; columns count bytes, from 1. */
struct idl_place {
	const char *file;
	unsigned line, column;
};

enum idl_kind {
	IDL_VOID,
	IDL_INT,      /* bits: 8, 16 or 32 of the four bytes mean something */
	IDL_UNSIGNED, /* likewise */
	IDL_HYPER,
	IDL_UNSIGNED_HYPER,
	IDL_FLOAT,
	IDL_DOUBLE,
	IDL_BOOL,
	IDL_ENUM,
	IDL_OPAQUE_FIXED, /* size bytes */
	IDL_OPAQUE,	  /* up to size bytes */
	IDL_STRING,	  /* likewise */
	IDL_ARRAY_FIXED,  /* size elements `of` */
	IDL_ARRAY,	  /* up to size */
	IDL_OPTIONAL,	  /* of */
	IDL_STRUCT,
	IDL_UNION,
	IDL_NAME,    /* another type by its name: `of`, which is none of this kind */
	IDL_MISSING, /* not defined in the file */
};

/* A number, or the name of one. */
struct idl_constant {
	const char *name; /* NULL: it is a number */
	int64_t number;	  /* INT64_MAX also stands for what is greater; right from idl_parse on */
	struct idl_place place;
};

struct idl_member {
	const char *name; /* NULL: void */
	struct idl_type *type;
	struct idl_place place;
};

struct idl_enumerator {
	const char *name;
	uint32_t value;			     /* as on the wire */
	const struct idl_value_name *origin; /* the parser's */
};

struct idl_case {
	uint32_t value; /* as on the wire */
	const struct idl_member *member;
	struct idl_constant constant;
};

struct idl_type {
	enum idl_kind kind;
	unsigned bits;
	uint32_t size; /* IDL_UNBOUNDED: no bound */
	/*
	 * Of a struct: its last member is an optional one of the same struct, and it has others.  A chain of
	 * these is a list.
	 */
	bool list;
	bool checked, fine; /* idl_check's */
	const char *name;   /* as defined, or of what is referred to; NULL: it has none */
	struct idl_place place;
	struct idl_constant
	    bound; /* what size is made of; of IDL_MISSING: what is missing, where */
	struct idl_type *of;
	struct idl_member *members; /* of a struct; of a union: the arms, in the order written */
	size_t n_members;
	struct idl_enumerator *enumerators;
	size_t n_enumerators;
	struct idl_member discriminant;
	struct idl_case *cases; /* of a union, sorted by value */
	size_t n_cases;
	const struct idl_member *otherwise; /* the default arm, or NULL */
};

struct idl_procedure {
	const char *name;
	uint32_t number;
	struct idl_type *result;
	struct idl_type **arguments; /* none: void */
	size_t n_arguments;
	struct idl_constant constant;
	struct idl_procedure *next;
};

struct idl_version {
	const char *name;
	uint32_t number;
	struct idl_procedure *procedures; /* in the order written */
	struct idl_constant constant;
	struct idl_version *next;
};

struct idl_program {
	const char *name;
	uint32_t number;
	struct idl_version *versions;
	struct idl_constant constant;
	struct idl_program *next;
};

struct idl;

/* Reads a file, with those it includes.  0, or -1: *ret_error says why not.  Blocks as reading files does. */
int idl_read(const char *path, struct idl **ret_idl, struct idl_error *ret_error);

/* The same with the text at hand, which needs to stay only during the call; it cannot include files. */
int idl_parse(const char *name, const char *text, size_t size_bytes, struct idl **ret_idl,
    struct idl_error *ret_error);

/* NULL is fine; returns NULL.  Everything that was found in it goes too. */
struct idl *idl_free(struct idl *idl);

/* The first program, in the order written; NULL: there is none. */
const struct idl_program *idl_programs(const struct idl *idl);

/* A type by its name; NULL if the file defines none. */
struct idl_type *idl_type_find(const struct idl *idl, const char *name);

/* The type behind a name. */
static inline const struct idl_type *idl_type_real(const struct idl_type *type)
{
	return type->kind == IDL_NAME ? type->of : type;
}

/* The arm of a union that belongs to a value; its name is NULL for void.  NULL: there is none. */
const struct idl_member *idl_union_arm(const struct idl_type *type, uint32_t value);

/* Whether everything that a type is made of is there.  0, or -1. */
int idl_check(struct idl_type *type, struct idl_error *ret_error);

/* A type in a few words: its name, or what it is made of.  Cut off where it does not fit. */
void idl_type_text(const struct idl_type *type, char *text, size_t size_bytes);

#endif
