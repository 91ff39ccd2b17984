/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idl.c - what an interface file became: its memory, its names, and questions about its types.
 */
#include "cli/idl.h"

#include <search.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/idl_lex.h"
#include "util/text.h"

#define IDL_BLOCK_BYTES 65536

struct idl_block {
	struct idl_block *next;
	size_t size_bytes;
	_Alignas(max_align_t) unsigned char data[];
};

/* --- Memory and mistakes ----------------------------------------------------------------------- */

void *idl_alloc(struct idl *idl, size_t size_bytes)
{
	size_t size = (size_bytes + 15) & ~(size_t)15;
	struct idl_block *block = idl->blocks;
	void *data;

	if (!block || block->size_bytes - idl->used_bytes < size) {
		size_t room = size > IDL_BLOCK_BYTES ? size : IDL_BLOCK_BYTES;

		block = calloc(1, sizeof(*block) + room);
		if (!block) {
			(void)idl_fail(idl, NULL, "out of memory");
			return NULL;
		}
		block->size_bytes = room;
		block->next = idl->blocks;
		idl->blocks = block;
		idl->used_bytes = 0;
	}
	data = block->data + idl->used_bytes;
	idl->used_bytes += size;
	return data;
}

char *idl_copy_text(struct idl *idl, const char *text, size_t size_bytes)
{
	char *copy = idl_alloc(idl, size_bytes + 1);

	if (copy)
		memcpy(copy, text, size_bytes);
	return copy;
}

int idl_fail(struct idl *idl, const struct idl_place *place, const char *format, ...)
{
	char what[384];
	va_list arguments;

	if (idl->error.text[0] != '\0')
		return -1;
	va_start(arguments, format);
	(void)vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	if (place)
		text_format(idl->error.text, sizeof(idl->error.text), "%.100s:%u:%u: %s",
		    place->file, place->line, place->column, what);
	else
		text_format(idl->error.text, sizeof(idl->error.text), "%s", what);
	return -1;
}

static void idl_keep(void *pointer)
{
	(void)pointer;
}

struct idl *idl_free(struct idl *idl)
{
	if (!idl)
		return NULL;
	tdestroy(idl->types, idl_keep);
	tdestroy(idl->values, idl_keep);
	tdestroy(idl->macros, idl_keep);
	tdestroy(idl->files, idl_keep);
	while (idl->blocks) {
		struct idl_block *next = idl->blocks->next;

		free(idl->blocks);
		idl->blocks = next;
	}
	free(idl);
	return NULL;
}

/* --- Names ------------------------------------------------------------------------------------- */

static int idl_type_compare(const void *a, const void *b)
{
	const struct idl_type *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int idl_value_compare(const void *a, const void *b)
{
	const struct idl_value_name *x = a, *y = b;

	return strcmp(x->name, y->name);
}

int idl_type_define(struct idl *idl, struct idl_type *type)
{
	struct idl_type **node = tsearch(type, &idl->types, idl_type_compare);

	if (!node)
		return idl_fail(idl, NULL, "out of memory");
	if (*node != type)
		return idl_fail(idl, &type->place,
		    "the type \"%.80s\" is defined a second time; the first is at %.100s:%u:%u",
		    type->name, (*node)->place.file, (*node)->place.line, (*node)->place.column);
	return 0;
}

struct idl_type *idl_type_find(const struct idl *idl, const char *name)
{
	struct idl_type key = { .name = name };
	struct idl_type **node = tfind(&key, &idl->types, idl_type_compare);

	return node ? *node : NULL;
}

int idl_value_define(struct idl *idl, struct idl_value_name *value)
{
	struct idl_value_name **node = tsearch(value, &idl->values, idl_value_compare);
	const struct idl_place *place = &value->constant.place;

	if (!node)
		return idl_fail(idl, NULL, "out of memory");
	*idl->all_values_end = value;
	idl->all_values_end = &value->next;
	if (*node != value && (*node)->weak && !value->weak)
		*node = value;
	if (*node == value || value->weak)
		return 0;
	return idl_fail(idl, place,
	    "\"%.80s\" is defined a second time; the first is at %.100s:%u:%u", value->name,
	    (*node)->constant.place.file, (*node)->constant.place.line,
	    (*node)->constant.place.column);
}

struct idl_value_name *idl_value_find(const struct idl *idl, const char *name)
{
	struct idl_value_name key = { .name = name };
	struct idl_value_name **node = tfind(&key, &idl->values, idl_value_compare);

	return node ? *node : NULL;
}

/* --- Questions --------------------------------------------------------------------------------- */

const struct idl_program *idl_programs(const struct idl *idl)
{
	return idl->programs;
}

static int idl_case_compare(const void *key, const void *element)
{
	const uint32_t *value = key;
	const struct idl_case *row = element;

	return (*value > row->value) - (*value < row->value);
}

const struct idl_member *idl_union_arm(const struct idl_type *type, uint32_t value)
{
	const struct idl_case *row = NULL;

	if (type->n_cases > 0)
		row = bsearch(&value, type->cases, type->n_cases, sizeof(type->cases[0]),
		    idl_case_compare);
	return row ? row->member : type->otherwise;
}

/* The types that are still to be checked; each is there once at most. */
struct idl_check {
	struct idl_type **types;
	size_t n, room;
	bool failed;
};

static void idl_check_add(struct idl_check *check, struct idl_type *type)
{
	if (!type || type->checked || check->failed)
		return;
	if (check->n == check->room) {
		size_t room = check->room * 2 + 32;
		struct idl_type **types = reallocarray(check->types, room, sizeof(*check->types));

		if (!types) {
			check->failed = true;
			return;
		}
		check->types = types;
		check->room = room;
	}
	type->checked = true;
	check->types[check->n++] = type;
}

static bool idl_check_one(struct idl_check *check, struct idl_type *type, struct idl_error *error)
{
	const struct idl_place *place = &type->bound.place;

	if (type->kind == IDL_MISSING) {
		text_format(error->text, sizeof(error->text),
		    "%.100s:%u:%u: \"%.80s\" is not defined in this file", place->file, place->line,
		    place->column, type->bound.name);
		return false;
	}
	idl_check_add(check, type->of);
	idl_check_add(check, type->discriminant.type);
	for (size_t i = 0; i < type->n_members; i++)
		idl_check_add(check, type->members[i].type);
	return true;
}

int idl_check(struct idl_type *type, struct idl_error *ret_error)
{
	struct idl_check check = { .n = 0 };
	bool fine = true;

	if (type->fine)
		return 0;
	idl_check_add(&check, type);
	for (size_t i = 0; fine && i < check.n; i++)
		fine = idl_check_one(&check, check.types[i], ret_error);
	for (size_t i = 0; i < check.n; i++)
		check.types[i]->checked = false;
	if (check.failed) {
		text_format(ret_error->text, sizeof(ret_error->text), "out of memory");
		fine = false;
	}
	free(check.types);
	type->fine = fine;
	return fine ? 0 : -1;
}

/* --- Types in words ---------------------------------------------------------------------------- */

static const char *idl_type_word(const struct idl_type *type)
{
	bool is_unsigned = type->kind == IDL_UNSIGNED;

	switch (type->kind) {
	case IDL_INT:
	case IDL_UNSIGNED:
		if (type->bits == 8)
			return is_unsigned ? "unsigned char" : "char";
		if (type->bits == 16)
			return is_unsigned ? "unsigned short" : "short";
		return is_unsigned ? "unsigned int" : "int";
	case IDL_VOID:
		return "void";
	case IDL_HYPER:
		return "hyper";
	case IDL_UNSIGNED_HYPER:
		return "unsigned hyper";
	case IDL_FLOAT:
		return "float";
	case IDL_DOUBLE:
		return "double";
	case IDL_BOOL:
		return "bool";
	case IDL_OPAQUE_FIXED:
	case IDL_OPAQUE:
		return "opaque";
	case IDL_STRING:
		return "string";
	case IDL_ENUM:
		return "enum";
	case IDL_STRUCT:
		return "struct";
	case IDL_UNION:
		return "union";
	default:
		return "";
	}
}

void idl_type_text(const struct idl_type *type, char *text, size_t size_bytes)
{
	char element[128], size[24] = "";

	if (type->name) {
		text_format(text, size_bytes, "%s", type->name);
		return;
	}
	element[0] = '\0';
	if (type->of)
		idl_type_text(type->of, element, sizeof(element));
	else
		text_format(element, sizeof(element), "%s", idl_type_word(type));
	if (type->size != IDL_UNBOUNDED)
		text_format(size, sizeof(size), "%u", type->size);
	switch (type->kind) {
	case IDL_OPAQUE:
	case IDL_STRING:
	case IDL_ARRAY:
		text_format(text, size_bytes, "%s<%s>", element, size);
		break;
	case IDL_OPAQUE_FIXED:
	case IDL_ARRAY_FIXED:
		text_format(text, size_bytes, "%s[%s]", element, size);
		break;
	case IDL_OPTIONAL:
		text_format(text, size_bytes, "%s *", element);
		break;
	default:
		text_format(text, size_bytes, "%s", element);
		break;
	}
}
