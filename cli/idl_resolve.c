/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idl_resolve.c - gives the names in an interface file their meaning, once all of it is read: names may be used before
 * they are defined.
 *
 * Every value depends on one other at most, and so does every name of a type, so that chains are followed in
 * loops and not by recursion.  What is not defined becomes IDL_MISSING, and is a mistake when it is used; but
 * what the file itself cannot be understood without is one at once.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/idl_lex.h"

/* --- Values ------------------------------------------------------------------------------------ */

/* What a value depends on; NULL: nothing, or something that is not there, and its state is set. */
static struct idl_value_name *idl_value_depends(const struct idl *idl, struct idl_value_name *value)
{
	const char *name = value->constant.name;
	struct idl_value_name *other;

	if (value->previous)
		return value->previous;
	value->state = IDL_VALUE_DONE;
	if (!name)
		return NULL;
	other = idl_value_find(idl, name);
	if (other) {
		value->state = IDL_VALUE_BUSY;
		return other;
	}
	value->constant.number = strcmp(name, "TRUE") == 0;
	if (strcmp(name, "TRUE") != 0 && strcmp(name, "FALSE") != 0)
		value->state = IDL_VALUE_MISSING;
	return NULL;
}

static int idl_value_resolve(struct idl *idl, struct idl_value_name *value)
{
	struct idl_value_name *waiting = NULL;

	while (value->state == IDL_VALUE_NEW) {
		struct idl_value_name *other;

		value->state = IDL_VALUE_BUSY;
		other = idl_value_depends(idl, value);
		if (!other)
			break;
		value->waiting = waiting;
		waiting = value;
		value = other;
	}
	if (value->state == IDL_VALUE_BUSY)
		return idl_fail(idl, &value->constant.place, "\"%.80s\" is defined by itself",
		    value->name);
	for (; waiting; value = waiting, waiting = waiting->waiting) {
		int64_t number = value->constant.number;

		if (waiting->previous && number != INT64_MAX)
			number++;
		waiting->constant.number = number;
		waiting->state = value->state;
	}
	return 0;
}

/* The number of a constant; *ret_missing: there is none of that name. */
static int idl_constant_resolve(struct idl *idl, struct idl_constant *constant, bool *ret_missing)
{
	struct idl_value_name use = { .name = "this", .constant = *constant };

	*ret_missing = false;
	if (!constant->name)
		return 0;
	if (idl_value_resolve(idl, &use) < 0)
		return -1;
	constant->number = use.constant.number;
	*ret_missing = use.state == IDL_VALUE_MISSING;
	return 0;
}

/* A constant that has to be there, from minimum to UINT32_MAX. */
static int idl_constant_32(struct idl *idl, struct idl_constant *constant, int64_t minimum,
    uint32_t *ret_number)
{
	bool missing;

	if (idl_constant_resolve(idl, constant, &missing) < 0)
		return -1;
	if (missing)
		return idl_fail(idl, &constant->place, "\"%.80s\" is not defined in this file",
		    constant->name);
	if (constant->number < minimum || constant->number > UINT32_MAX)
		return idl_fail(idl, &constant->place,
		    "this number is out of range; expected %lld to 4294967295", (long long)minimum);
	*ret_number = (uint32_t)constant->number;
	return 0;
}

/* --- Types of other headers -------------------------------------------------------------------- */

static const struct idl_known {
	const char *name;
	enum idl_kind kind;
	unsigned bits;
	uint32_t size;
} idl_known[] = {
	{ .name = "bool_t", .kind = IDL_BOOL },
	{ .name = "char_t", .kind = IDL_INT, .bits = 8 },
	{ .name = "des_block", .kind = IDL_OPAQUE_FIXED, .size = 8 },
	{ .name = "enum_t", .kind = IDL_INT, .bits = 32 },
	{ .name = "int16_t", .kind = IDL_INT, .bits = 16 },
	{ .name = "int32_t", .kind = IDL_INT, .bits = 32 },
	{ .name = "int64_t", .kind = IDL_HYPER },
	{ .name = "int8_t", .kind = IDL_INT, .bits = 8 },
	{ .name = "long_t", .kind = IDL_INT, .bits = 32 },
	{ .name = "longlong_t", .kind = IDL_HYPER },
	{ .name = "netobj", .kind = IDL_OPAQUE, .size = 1024 },
	{ .name = "quad_t", .kind = IDL_HYPER },
	{ .name = "rpcport_t", .kind = IDL_UNSIGNED, .bits = 32 },
	{ .name = "rpcproc_t", .kind = IDL_UNSIGNED, .bits = 32 },
	{ .name = "rpcprog_t", .kind = IDL_UNSIGNED, .bits = 32 },
	{ .name = "rpcprot_t", .kind = IDL_UNSIGNED, .bits = 32 },
	{ .name = "rpcvers_t", .kind = IDL_UNSIGNED, .bits = 32 },
	{ .name = "u_char", .kind = IDL_UNSIGNED, .bits = 8 },
	{ .name = "u_int", .kind = IDL_UNSIGNED, .bits = 32 },
	{ .name = "u_int16_t", .kind = IDL_UNSIGNED, .bits = 16 },
	{ .name = "u_int32_t", .kind = IDL_UNSIGNED, .bits = 32 },
	{ .name = "u_int64_t", .kind = IDL_UNSIGNED_HYPER },
	{ .name = "u_int8_t", .kind = IDL_UNSIGNED, .bits = 8 },
	{ .name = "u_long", .kind = IDL_UNSIGNED, .bits = 32 },
	{ .name = "u_longlong_t", .kind = IDL_UNSIGNED_HYPER },
	{ .name = "u_quad_t", .kind = IDL_UNSIGNED_HYPER },
	{ .name = "u_short", .kind = IDL_UNSIGNED, .bits = 16 },
	{ .name = "uint16_t", .kind = IDL_UNSIGNED, .bits = 16 },
	{ .name = "uint32_t", .kind = IDL_UNSIGNED, .bits = 32 },
	{ .name = "uint64_t", .kind = IDL_UNSIGNED_HYPER },
	{ .name = "uint8_t", .kind = IDL_UNSIGNED, .bits = 8 },
};

static struct idl_type *idl_known_new(struct idl *idl, const char *name, enum idl_kind kind)
{
	struct idl_type *type = idl_alloc(idl, sizeof(*type));

	if (!type)
		return NULL;
	type->name = name;
	type->kind = kind;
	type->bits = 32;
	type->size = IDL_UNBOUNDED;
	return type;
}

/* struct netbuf, as libtirpc's xdr_netbuf has it. */
static struct idl_type *idl_known_netbuf(struct idl *idl)
{
	struct idl_type *type = idl_known_new(idl, "netbuf", IDL_STRUCT);
	struct idl_member *members = idl_alloc(idl, 2 * sizeof(*members));

	if (!type || !members)
		return NULL;
	members[0].name = "maxlen";
	members[0].type = idl_known_new(idl, NULL, IDL_UNSIGNED);
	members[1].name = "buf";
	members[1].type = idl_known_new(idl, NULL, IDL_OPAQUE);
	type->members = members;
	type->n_members = 2;
	return members[0].type && members[1].type ? type : NULL;
}

/* What a name means: a type of the file, or of C's headers.  0 and NULL: nothing. */
static int idl_name_find(struct idl *idl, const char *name, struct idl_type **ret_type)
{
	struct idl_type *type = idl_type_find(idl, name);

	*ret_type = type;
	if (type)
		return 0;
	for (size_t i = 0; i < sizeof(idl_known) / sizeof(idl_known[0]) && !type; i++) {
		const struct idl_known *row = &idl_known[i];

		if (strcmp(row->name, name) != 0)
			continue;
		type = idl_known_new(idl, row->name, row->kind);
		if (!type)
			return -1;
		type->bits = row->bits;
		type->size = row->size;
	}
	if (!type && strcmp(name, "netbuf") == 0) {
		type = idl_known_netbuf(idl);
		if (!type)
			return -1;
	}
	if (type && idl_type_define(idl, type) < 0)
		return -1;
	*ret_type = type;
	return 0;
}

/* --- Types ------------------------------------------------------------------------------------- */

/* A type that cannot be understood without a name which is not there. */
static void idl_type_lose(struct idl_type *type, const char *name, const struct idl_place *at)
{
	struct idl_place place = *at; /* may be the type's own */

	*type = (struct idl_type){ .kind = IDL_MISSING,
		.name = type->name, /* by which it is found */
		.place = type->place,
		.bound = { .name = name, .place = place } };
}

static int idl_bound_resolve(struct idl *idl, struct idl_type *type)
{
	bool missing;

	if (!type->bound.place.file)
		return 0; /* it has none */
	if (idl_constant_resolve(idl, &type->bound, &missing) < 0)
		return -1;
	if (missing) {
		idl_type_lose(type, type->bound.name, &type->bound.place);
		return 0;
	}
	return idl_constant_32(idl, &type->bound, 0, &type->size);
}

static int idl_enum_resolve(struct idl *idl, struct idl_type *type)
{
	for (size_t i = 0; i < type->n_enumerators; i++) {
		struct idl_enumerator *row = &type->enumerators[i];
		struct idl_constant constant = row->origin->constant;
		const char *name = constant.name;

		if (row->origin->state == IDL_VALUE_MISSING)
			return idl_fail(idl, &constant.place,
			    "\"%.80s\" is not defined in this file", name ? name : row->name);
		constant.name = NULL;
		if (idl_constant_32(idl, &constant, INT32_MIN, &row->value) < 0)
			return -1;
	}
	return 0;
}

static int idl_case_order(const void *a, const void *b)
{
	const struct idl_case *x = a, *y = b;

	return (x->value > y->value) - (x->value < y->value);
}

static int idl_union_resolve(struct idl *idl, struct idl_type *type)
{
	for (size_t i = 0; i < type->n_cases; i++) {
		struct idl_case *row = &type->cases[i];
		bool missing;

		if (idl_constant_resolve(idl, &row->constant, &missing) < 0)
			return -1;
		if (missing) {
			idl_type_lose(type, row->constant.name, &row->constant.place);
			return 0;
		}
		row->member = &type->members[row->value];
		if (idl_constant_32(idl, &row->constant, INT32_MIN, &row->value) < 0)
			return -1;
	}
	if (type->otherwise)
		type->otherwise = &type->members[type->n_members - 1];
	qsort(type->cases, type->n_cases, sizeof(type->cases[0]), idl_case_order);
	for (size_t i = 1; i < type->n_cases; i++)
		if (type->cases[i].value == type->cases[i - 1].value)
			return idl_fail(idl, &type->cases[i].constant.place,
			    "this case is there already, at %u:%u",
			    type->cases[i - 1].constant.place.line,
			    type->cases[i - 1].constant.place.column);
	return 0;
}

static int idl_name_resolve(struct idl *idl, struct idl_type *type)
{
	if (type->of)
		return 0; /* a typedef, whose own name it is */
	if (idl_name_find(idl, type->name, &type->of) < 0)
		return -1;
	if (!type->of)
		idl_type_lose(type, type->name, &type->place);
	return 0;
}

static int idl_type_resolve(struct idl *idl, struct idl_type *type)
{
	switch (type->kind) {
	case IDL_NAME:
		return idl_name_resolve(idl, type);
	case IDL_ENUM:
		return idl_enum_resolve(idl, type);
	case IDL_UNION:
		return idl_union_resolve(idl, type);
	default:
		return idl_bound_resolve(idl, type);
	}
}

/* Lets a chain of names lead to its end at once. */
static int idl_name_shorten(struct idl *idl, struct idl_type *type)
{
	struct idl_type *end = type, *slow = type, *next;
	bool move = false;

	/* In a ring the slow one is met by the other. */
	while (end->kind == IDL_NAME) {
		end = end->of;
		slow = move ? slow->of : slow;
		move = !move;
		if (end == slow && end->kind == IDL_NAME)
			return idl_fail(idl, &type->place,
			    "the type \"%.80s\" is defined by itself", type->name);
	}
	for (; type->kind == IDL_NAME; type = next) {
		next = type->of;
		type->of = end;
	}
	return 0;
}

/* --- What follows from it ---------------------------------------------------------------------- */

static int idl_member_order(const void *a, const void *b)
{
	const struct idl_member *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

static int idl_struct_check(struct idl *idl, struct idl_type *type)
{
	const struct idl_member **sorted =
	    idl_alloc(idl, type->n_members * sizeof(struct idl_member *));
	const struct idl_type *last = idl_type_real(type->members[type->n_members - 1].type);

	if (!sorted)
		return -1;
	for (size_t i = 0; i < type->n_members; i++)
		sorted[i] = &type->members[i];
	qsort(sorted, type->n_members, sizeof(struct idl_member *), idl_member_order);
	for (size_t i = 1; i < type->n_members; i++)
		if (strcmp(sorted[i]->name, sorted[i - 1]->name) == 0) {
			/* The later one is to blame. */
			const struct idl_member *later =
			    sorted[i] > sorted[i - 1] ? sorted[i] : sorted[i - 1];

			return idl_fail(idl, &later->place, "there is a member \"%.80s\" already",
			    later->name);
		}
	type->list =
	    last->kind == IDL_OPTIONAL && idl_type_real(last->of) == type && type->n_members > 1;
	return 0;
}

static int idl_union_check(struct idl *idl, struct idl_type *type)
{
	const struct idl_type *of = idl_type_real(type->discriminant.type);

	switch (of->kind) {
	case IDL_INT:
	case IDL_UNSIGNED:
	case IDL_ENUM:
	case IDL_BOOL:
	case IDL_MISSING:
		return 0;
	default:
		return idl_fail(idl, &type->discriminant.place,
		    "the discriminant \"%.80s\" is neither int, unsigned int, bool nor enum",
		    type->discriminant.name);
	}
}

static int idl_programs_resolve(struct idl *idl)
{
	for (struct idl_program *p = idl->programs; p; p = p->next) {
		if (idl_constant_32(idl, &p->constant, 0, &p->number) < 0)
			return -1;
		for (struct idl_version *v = p->versions; v; v = v->next) {
			if (idl_constant_32(idl, &v->constant, 0, &v->number) < 0)
				return -1;
			for (struct idl_procedure *c = v->procedures; c; c = c->next)
				if (idl_constant_32(idl, &c->constant, 0, &c->number) < 0)
					return -1;
		}
	}
	return 0;
}

int idl_resolve(struct idl *idl)
{
	for (struct idl_value_name *value = idl->all_values; value; value = value->next)
		if (idl_value_resolve(idl, value) < 0)
			return -1;
	for (struct idl_type_link *link = idl->all_types; link; link = link->next)
		if (idl_type_resolve(idl, link->type) < 0)
			return -1;
	for (struct idl_type_link *link = idl->all_types; link; link = link->next)
		if (link->type->kind == IDL_NAME && idl_name_shorten(idl, link->type) < 0)
			return -1;
	for (struct idl_type_link *link = idl->all_types; link; link = link->next) {
		struct idl_type *type = link->type;

		if (type->kind == IDL_STRUCT && idl_struct_check(idl, type) < 0)
			return -1;
		if (type->kind == IDL_UNION && idl_union_check(idl, type) < 0)
			return -1;
	}
	return idl_programs_resolve(idl);
}
