/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idl_parse.c - the grammar: RFC 4506 section 6.3, RFC 5531 section 12.2, and what rpcgen adds (char, short and long,
 * string without bound as argument or result, names of arguments, `struct foo` for foo).
 *
 * The token at hand is parser->token; a function named after a rule begins at the rule's first token and leaves
 * the one behind its last.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/idl_lex.h"

struct idl_parser {
	struct idl *idl;
	struct idl_token token;
	unsigned depth; /* of types written inside others */
};

static int idl_parse_declaration(struct idl_parser *parser, struct idl_member *member,
    bool void_too);

static const char *const idl_words[] = { "bool", "case", "char", "const", "default", "double",
	"enum", "float", "hyper", "int", "long", "opaque", "program", "quadruple", "short",
	"string", "struct", "switch", "typedef", "union", "unsigned", "version", "void" };

/* --- Tokens ------------------------------------------------------------------------------------ */

static int idl_next(struct idl_parser *parser)
{
	return idl_token_next(parser->idl, &parser->token);
}

static bool idl_is(const struct idl_parser *parser, const char *text)
{
	return (parser->token.kind == IDL_TOKEN_WORD || parser->token.kind == IDL_TOKEN_SIGN) &&
	    strcmp(parser->token.text, text) == 0;
}

/* Reports the token at hand. */
static int idl_unexpected(struct idl_parser *parser, const char *expected)
{
	const struct idl_token *token = &parser->token;
	const char *quote = token->kind == IDL_TOKEN_END ? "" : "\"";

	return idl_fail(parser->idl, &token->place, "unexpected %s%.80s%s; expected %s", quote,
	    token->text, quote, expected);
}

/* Takes a word or sign that must come. */
static int idl_take_text(struct idl_parser *parser, const char *text)
{
	char expected[16] = "\"";

	if (idl_is(parser, text))
		return idl_next(parser);
	(void)strncat(expected, text, sizeof(expected) - 3);
	(void)strncat(expected, "\"", 2);
	return idl_unexpected(parser, expected);
}

/* Takes a name; what: "a name for the constant". */
static int idl_take_name(struct idl_parser *parser, const char *what, const char **ret_name)
{
	if (parser->token.kind != IDL_TOKEN_WORD)
		return idl_unexpected(parser, what);
	for (size_t i = 0; i < sizeof(idl_words) / sizeof(idl_words[0]); i++)
		if (idl_is(parser, idl_words[i]))
			return idl_fail(parser->idl, &parser->token.place,
			    "\"%s\" is a word of the language; expected %s", idl_words[i], what);
	*ret_name = parser->token.text;
	return idl_next(parser);
}

/* value: a number or the name of one. */
static int idl_parse_constant(struct idl_parser *parser, struct idl_constant *constant)
{
	*constant = (struct idl_constant){ .place = parser->token.place };
	if (parser->token.kind != IDL_TOKEN_NUMBER)
		return idl_take_name(parser, "a number or the name of a constant", &constant->name);
	constant->number = parser->token.number;
	return idl_next(parser);
}

static int idl_define_value(struct idl_parser *parser, const char *name,
    const struct idl_constant *constant, const struct idl_place *place, bool weak)
{
	struct idl_value_name *value = idl_alloc(parser->idl, sizeof(*value));

	if (!value)
		return -1;
	value->name = name;
	value->constant = *constant;
	value->constant.place = *place;
	value->weak = weak;
	return idl_value_define(parser->idl, value);
}

/* --- Growing arrays ---------------------------------------------------------------------------- */

/* Room for one more element in an array of n; doubles at powers of two. */
static int idl_grow(struct idl *idl, void *array_pointer, size_t n, size_t element_bytes)
{
	void **array = array_pointer, *larger;

	if (n != 0 && (n & (n - 1)) != 0)
		return 0;
	larger = idl_alloc(idl, (n == 0 ? 1 : n * 2) * element_bytes);
	if (!larger)
		return -1;
	if (n > 0)
		memcpy(larger, *array, n * element_bytes);
	*array = larger;
	return 0;
}

static struct idl_type *idl_type_new(struct idl_parser *parser, enum idl_kind kind,
    const struct idl_place *place)
{
	struct idl *idl = parser->idl;
	struct idl_type *type = idl_alloc(idl, sizeof(*type));
	struct idl_type_link *link = idl_alloc(idl, sizeof(*link));

	if (!type || !link)
		return NULL;
	type->kind = kind;
	type->bits = 32;
	type->size = IDL_UNBOUNDED;
	type->place = *place;
	link->type = type;
	*idl->all_types_end = link;
	idl->all_types_end = &link->next;
	return type;
}

/* --- Bodies ------------------------------------------------------------------------------------ */

static int idl_parse_enumerator(struct idl_parser *parser, struct idl_type *type,
    struct idl_value_name **previous)
{
	struct idl_value_name *value = idl_alloc(parser->idl, sizeof(*value));
	struct idl_place place = parser->token.place;

	if (!value)
		return -1;
	if (idl_take_name(parser, "the name of a value", &value->name) < 0)
		return -1;
	if (idl_is(parser, "=")) {
		if (idl_next(parser) < 0 || idl_parse_constant(parser, &value->constant) < 0)
			return -1;
	} else {
		value->previous = *previous; /* the first is 0 */
	}
	value->constant.place = place;
	*previous = value;
	if (idl_grow(parser->idl, &type->enumerators, type->n_enumerators,
		sizeof(*type->enumerators)) < 0)
		return -1;
	type->enumerators[type->n_enumerators++] =
	    (struct idl_enumerator){ .name = value->name, .origin = value };
	return idl_value_define(parser->idl, value);
}

static int idl_parse_enum(struct idl_parser *parser, struct idl_type *type)
{
	struct idl_value_name *previous = NULL;

	if (idl_take_text(parser, "{") < 0)
		return -1;
	for (;;) {
		if (idl_parse_enumerator(parser, type, &previous) < 0)
			return -1;
		if (!idl_is(parser, ","))
			break;
		if (idl_next(parser) < 0)
			return -1;
	}
	if (!idl_is(parser, "}"))
		return idl_unexpected(parser, "\",\" or \"}\"");
	return idl_next(parser);
}

/* Adds an empty member to a struct, or arm to a union. */
static struct idl_member *idl_member_new(struct idl_parser *parser, struct idl_type *type)
{
	if (idl_grow(parser->idl, &type->members, type->n_members, sizeof(*type->members)) < 0)
		return NULL;
	return &type->members[type->n_members++];
}

static int idl_parse_struct(struct idl_parser *parser, struct idl_type *type)
{
	if (idl_take_text(parser, "{") < 0)
		return -1;
	do {
		struct idl_member *member = idl_member_new(parser, type);

		if (!member || idl_parse_declaration(parser, member, false) < 0 ||
		    idl_take_text(parser, ";") < 0)
			return -1;
	} while (!idl_is(parser, "}"));
	return idl_next(parser);
}

/* One or several `case VALUE:`; the arm gets its number in the order of arms until idl_resolve. */
static int idl_parse_cases(struct idl_parser *parser, struct idl_type *type)
{
	if (!idl_is(parser, "case"))
		return idl_unexpected(parser, "\"case\", \"default\" or \"}\"");
	while (idl_is(parser, "case")) {
		struct idl_case *row;

		if (idl_grow(parser->idl, &type->cases, type->n_cases, sizeof(*type->cases)) < 0)
			return -1;
		row = &type->cases[type->n_cases++];
		*row = (struct idl_case){ .value = (uint32_t)type->n_members };
		if (idl_next(parser) < 0 || idl_parse_constant(parser, &row->constant) < 0 ||
		    idl_take_text(parser, ":") < 0)
			return -1;
	}
	return 0;
}

static int idl_parse_arm(struct idl_parser *parser, struct idl_type *type)
{
	struct idl_member *member = idl_member_new(parser, type);

	if (!member || idl_parse_declaration(parser, member, true) < 0)
		return -1;
	return idl_take_text(parser, ";");
}

static int idl_parse_union(struct idl_parser *parser, struct idl_type *type)
{
	if (idl_take_text(parser, "switch") < 0 || idl_take_text(parser, "(") < 0 ||
	    idl_parse_declaration(parser, &type->discriminant, false) < 0 ||
	    idl_take_text(parser, ")") < 0 || idl_take_text(parser, "{") < 0)
		return -1;
	if (!idl_is(parser, "case"))
		return idl_unexpected(parser, "\"case\"");
	while (!idl_is(parser, "}") && !idl_is(parser, "default"))
		if (idl_parse_cases(parser, type) < 0 || idl_parse_arm(parser, type) < 0)
			return -1;
	if (idl_is(parser, "default")) {
		static const struct idl_member is_there; /* idl_resolve puts the last arm here */

		type->otherwise = &is_there;
		if (idl_next(parser) < 0 || idl_take_text(parser, ":") < 0 ||
		    idl_parse_arm(parser, type) < 0)
			return -1;
	}
	return idl_take_text(parser, "}");
}

/* The body of the type whose kind says what it is. */
static int idl_parse_body(struct idl_parser *parser, struct idl_type *type)
{
	int r;

	if (++parser->depth > IDL_DEPTH_MAX)
		return idl_fail(parser->idl, &type->place,
		    "types are more than %d deep in each other", IDL_DEPTH_MAX);
	if (type->kind == IDL_ENUM)
		r = idl_parse_enum(parser, type);
	else if (type->kind == IDL_STRUCT)
		r = idl_parse_struct(parser, type);
	else
		r = idl_parse_union(parser, type);
	parser->depth--;
	return r;
}

/* --- Type specifiers --------------------------------------------------------------------------- */

static const struct idl_word_type {
	const char *word;
	enum idl_kind kind;
	unsigned bits;
	enum idl_kind with_unsigned; /* IDL_VOID: it cannot be */
} idl_word_types[] = {
	{ .word = "char", .kind = IDL_INT, .bits = 8, .with_unsigned = IDL_UNSIGNED },
	{ .word = "short", .kind = IDL_INT, .bits = 16, .with_unsigned = IDL_UNSIGNED },
	{ .word = "int", .kind = IDL_INT, .bits = 32, .with_unsigned = IDL_UNSIGNED },
	{ .word = "long", .kind = IDL_INT, .bits = 32, .with_unsigned = IDL_UNSIGNED },
	{ .word = "hyper", .kind = IDL_HYPER, .bits = 64, .with_unsigned = IDL_UNSIGNED_HYPER },
	{ .word = "float", .kind = IDL_FLOAT },
	{ .word = "double", .kind = IDL_DOUBLE },
	{ .word = "bool", .kind = IDL_BOOL },
	{ .word = "string", .kind = IDL_STRING },
	{ .word = "opaque", .kind = IDL_OPAQUE },
	{ .word = "void", .kind = IDL_VOID },
};

static const struct idl_word_type *idl_word_type(const struct idl_parser *parser)
{
	for (size_t i = 0; i < sizeof(idl_word_types) / sizeof(idl_word_types[0]); i++)
		if (idl_is(parser, idl_word_types[i].word))
			return &idl_word_types[i];
	return NULL;
}

static int idl_parse_unsigned(struct idl_parser *parser, struct idl_type *type)
{
	const struct idl_word_type *row;

	if (idl_next(parser) < 0)
		return -1;
	row = idl_word_type(parser);
	type->kind = IDL_UNSIGNED;
	if (!row || row->with_unsigned == IDL_VOID)
		return 0; /* `unsigned x` */
	type->kind = row->with_unsigned;
	type->bits = row->bits;
	return idl_next(parser);
}

/* struct, union or enum: a body without a name, or a name. */
static int idl_parse_compound(struct idl_parser *parser, struct idl_type *type)
{
	type->kind = idl_is(parser, "enum") ? IDL_ENUM
	    : idl_is(parser, "struct")	    ? IDL_STRUCT
					    : IDL_UNION;
	if (idl_next(parser) < 0)
		return -1;
	if (idl_is(parser, "{") || idl_is(parser, "switch"))
		return idl_parse_body(parser, type);
	type->kind = IDL_NAME;
	return idl_take_name(parser, "the name of a type", &type->name);
}

static int idl_parse_specifier(struct idl_parser *parser, struct idl_type **ret_type)
{
	const struct idl_word_type *row = idl_word_type(parser);
	struct idl_type *type = idl_type_new(parser, IDL_NAME, &parser->token.place);

	if (!type)
		return -1;
	*ret_type = type;
	if (row) {
		type->kind = row->kind;
		type->bits = row->bits;
		return idl_next(parser);
	}
	if (idl_is(parser, "quadruple"))
		return idl_fail(parser->idl, &type->place,
		    "quadruple is not supported; expected another type");
	if (idl_is(parser, "unsigned"))
		return idl_parse_unsigned(parser, type);
	if (idl_is(parser, "enum") || idl_is(parser, "struct") || idl_is(parser, "union"))
		return idl_parse_compound(parser, type);
	return idl_take_name(parser, "a type", &type->name);
}

/* --- Declarations ------------------------------------------------------------------------------ */

static int idl_wrap(struct idl_parser *parser, enum idl_kind kind, struct idl_type **type)
{
	struct idl_type *outer = idl_type_new(parser, kind, &(*type)->place);

	if (!outer)
		return -1;
	outer->of = *type;
	*type = outer;
	return 0;
}

/* [SIZE] or <BOUND>, if it comes.  Of string and opaque it makes a type, of others an array. */
static int idl_parse_bound(struct idl_parser *parser, struct idl_type **type)
{
	bool fixed = idl_is(parser, "[");
	enum idl_kind kind = (*type)->kind;

	if (!fixed && !idl_is(parser, "<"))
		return 0;
	if (kind == IDL_STRING && fixed)
		return idl_unexpected(parser, "\"<\"");
	if (kind == IDL_OPAQUE)
		(*type)->kind = fixed ? IDL_OPAQUE_FIXED : IDL_OPAQUE;
	else if (kind != IDL_STRING &&
	    idl_wrap(parser, fixed ? IDL_ARRAY_FIXED : IDL_ARRAY, type) < 0)
		return -1;
	if (idl_next(parser) < 0)
		return -1;
	if (!fixed && idl_is(parser, ">"))
		return idl_next(parser);
	(*type)->size = 0; /* until idl_resolve */
	if (idl_parse_constant(parser, &(*type)->bound) < 0)
		return -1;
	return idl_take_text(parser, fixed ? "]" : ">");
}

/* Behind the specifier: `*`, a name, a bound. */
static int idl_parse_declarator(struct idl_parser *parser, struct idl_member *member)
{
	enum idl_kind kind = member->type->kind;
	bool bytes = kind == IDL_STRING || kind == IDL_OPAQUE;
	bool optional = idl_is(parser, "*") && !bytes;

	if (optional && (idl_next(parser) < 0 || idl_wrap(parser, IDL_OPTIONAL, &member->type) < 0))
		return -1;
	member->place = parser->token.place;
	if (idl_take_name(parser, "a name", &member->name) < 0)
		return -1;
	if (bytes && !idl_is(parser, "<") && (kind == IDL_STRING || !idl_is(parser, "[")))
		return idl_unexpected(parser,
		    kind == IDL_STRING ? "\"<\": a string has a bound, or <>"
				       : "\"[\" or \"<\": opaque has a size or a bound");
	return optional ? 0 : idl_parse_bound(parser, &member->type);
}

static int idl_parse_declaration(struct idl_parser *parser, struct idl_member *member,
    bool void_too)
{
	struct idl_member declared = { .name = NULL };
	struct idl_place place = parser->token.place;

	if (idl_parse_specifier(parser, &declared.type) < 0)
		return -1;
	declared.place = place;
	if (declared.type->kind != IDL_VOID) {
		if (idl_parse_declarator(parser, &declared) < 0)
			return -1;
	} else if (!void_too) {
		return idl_fail(parser->idl, &place, "unexpected \"void\"; expected a type");
	}
	*member = declared;
	return 0;
}

/* --- Programs ---------------------------------------------------------------------------------- */

/* A type of a result, or of an argument, which may have a name. */
static int idl_parse_loose(struct idl_parser *parser, bool argument, struct idl_type **ret_type)
{
	const char *name;
	bool optional;

	if (idl_parse_specifier(parser, ret_type) < 0)
		return -1;
	optional = idl_is(parser, "*") && (*ret_type)->kind != IDL_VOID;
	if (optional && (idl_next(parser) < 0 || idl_wrap(parser, IDL_OPTIONAL, ret_type) < 0))
		return -1;
	if (argument && parser->token.kind == IDL_TOKEN_WORD &&
	    idl_take_name(parser, "the name of an argument, \",\" or \")\"", &name) < 0)
		return -1;
	if (optional || (*ret_type)->kind == IDL_VOID)
		return 0;
	return idl_parse_bound(parser, ret_type);
}

static int idl_parse_arguments(struct idl_parser *parser, struct idl_procedure *procedure)
{
	if (idl_take_text(parser, "(") < 0)
		return -1;
	for (;;) {
		struct idl_place place = parser->token.place;
		struct idl_type *type;

		if (idl_parse_loose(parser, true, &type) < 0)
			return -1;
		if (type->kind == IDL_VOID && procedure->n_arguments > 0)
			return idl_fail(parser->idl, &place,
			    "unexpected \"void\"; expected a type");
		if (type->kind == IDL_VOID)
			break;
		if (idl_grow(parser->idl, &procedure->arguments, procedure->n_arguments,
			sizeof(struct idl_type *)) < 0)
			return -1;
		procedure->arguments[procedure->n_arguments++] = type;
		if (!idl_is(parser, ","))
			break;
		if (idl_next(parser) < 0)
			return -1;
	}
	if (!idl_is(parser, ")"))
		return idl_unexpected(parser, procedure->n_arguments ? "\",\" or \")\"" : "\")\"");
	return idl_next(parser);
}

/* `= NUMBER;`, and the name that means it from here on. */
static int idl_parse_number(struct idl_parser *parser, const char *name,
    const struct idl_place *place, struct idl_constant *constant)
{
	if (idl_take_text(parser, "=") < 0 || idl_parse_constant(parser, constant) < 0 ||
	    idl_take_text(parser, ";") < 0)
		return -1;
	return idl_define_value(parser, name, constant, place, true);
}

static int idl_parse_procedure(struct idl_parser *parser, struct idl_procedure **ret_procedure)
{
	struct idl_procedure *procedure = idl_alloc(parser->idl, sizeof(*procedure));
	struct idl_place place;

	if (!procedure || idl_parse_loose(parser, false, &procedure->result) < 0)
		return -1;
	place = parser->token.place;
	if (idl_take_name(parser, "the name of a procedure", &procedure->name) < 0 ||
	    idl_parse_arguments(parser, procedure) < 0)
		return -1;
	*ret_procedure = procedure;
	return idl_parse_number(parser, procedure->name, &place, &procedure->constant);
}

static int idl_parse_version(struct idl_parser *parser, struct idl_version **ret_version)
{
	struct idl_version *version = idl_alloc(parser->idl, sizeof(*version));
	struct idl_procedure **end = version ? &version->procedures : NULL;
	struct idl_place place;

	if (!version || idl_take_text(parser, "version") < 0)
		return -1;
	place = parser->token.place;
	if (idl_take_name(parser, "the name of a version", &version->name) < 0 ||
	    idl_take_text(parser, "{") < 0)
		return -1;
	do {
		if (idl_parse_procedure(parser, end) < 0)
			return -1;
		end = &(*end)->next;
	} while (!idl_is(parser, "}"));
	*ret_version = version;
	if (idl_next(parser) < 0)
		return -1;
	return idl_parse_number(parser, version->name, &place, &version->constant);
}

static int idl_parse_program(struct idl_parser *parser, struct idl_program ***end_of_programs)
{
	struct idl_program *program = idl_alloc(parser->idl, sizeof(*program));
	struct idl_version **end = program ? &program->versions : NULL;
	struct idl_place place;

	if (!program || idl_next(parser) < 0)
		return -1;
	place = parser->token.place;
	if (idl_take_name(parser, "the name of a program", &program->name) < 0 ||
	    idl_take_text(parser, "{") < 0)
		return -1;
	do {
		if (idl_parse_version(parser, end) < 0)
			return -1;
		end = &(*end)->next;
	} while (!idl_is(parser, "}"));
	**end_of_programs = program;
	*end_of_programs = &program->next;
	if (idl_next(parser) < 0)
		return -1;
	return idl_parse_number(parser, program->name, &place, &program->constant);
}

/* --- Definitions ------------------------------------------------------------------------------- */

static int idl_parse_const(struct idl_parser *parser)
{
	struct idl_constant constant = { .name = NULL };
	struct idl_place place;
	const char *name;

	if (idl_next(parser) < 0)
		return -1;
	place = parser->token.place;
	if (idl_take_name(parser, "a name for the constant", &name) < 0 ||
	    idl_take_text(parser, "=") < 0)
		return -1;
	if (parser->token.kind == IDL_TOKEN_TEXT)
		return idl_next(parser); /* rpcgen's; nothing here can use it */
	if (idl_parse_constant(parser, &constant) < 0)
		return -1;
	return idl_define_value(parser, name, &constant, &place, false);
}

static int idl_parse_typedef(struct idl_parser *parser)
{
	struct idl_member member = { .name = NULL };
	struct idl_type *type;

	if (idl_next(parser) < 0 || idl_parse_declaration(parser, &member, false) < 0)
		return -1;
	type = member.type;
	if (type->kind == IDL_NAME && strcmp(type->name, member.name) == 0)
		return 0; /* `typedef struct foo foo`, for C */
	/* A type that has a name keeps it. */
	if (type->name && idl_wrap(parser, IDL_NAME, &type) < 0)
		return -1;
	type->name = member.name;
	type->place = member.place;
	return idl_type_define(parser->idl, type);
}

static int idl_parse_named(struct idl_parser *parser, enum idl_kind kind)
{
	struct idl_type *type;

	if (idl_next(parser) < 0)
		return -1;
	type = idl_type_new(parser, kind, &parser->token.place);
	if (!type || idl_take_name(parser, "a name for the type", &type->name) < 0 ||
	    idl_parse_body(parser, type) < 0)
		return -1;
	return idl_type_define(parser->idl, type);
}

static int idl_parse_definition(struct idl_parser *parser, struct idl_program ***end)
{
	if (idl_is(parser, "program"))
		return idl_parse_program(parser, end); /* with its ';' */
	if (idl_is(parser, "const")) {
		if (idl_parse_const(parser) < 0)
			return -1;
	} else if (idl_is(parser, "typedef")) {
		if (idl_parse_typedef(parser) < 0)
			return -1;
	} else if (idl_is(parser, "enum")) {
		if (idl_parse_named(parser, IDL_ENUM) < 0)
			return -1;
	} else if (idl_is(parser, "struct")) {
		if (idl_parse_named(parser, IDL_STRUCT) < 0)
			return -1;
	} else if (idl_is(parser, "union")) {
		if (idl_parse_named(parser, IDL_UNION) < 0)
			return -1;
	} else {
		return idl_unexpected(parser,
		    "\"const\", \"enum\", \"struct\", \"union\", \"typedef\" or \"program\"");
	}
	return idl_take_text(parser, ";");
}

static int idl_parse_all(struct idl *idl)
{
	struct idl_parser parser = { .idl = idl };
	struct idl_program **end = &idl->programs;

	if (idl_next(&parser) < 0)
		return -1;
	while (parser.token.kind != IDL_TOKEN_END)
		if (idl_parse_definition(&parser, &end) < 0)
			return -1;
	return idl_resolve(idl);
}

/* --- The ways in ------------------------------------------------------------------------------- */

static struct idl *idl_new(struct idl_error *error)
{
	struct idl *idl = calloc(1, sizeof(*idl));

	if (!idl) {
		*error = (struct idl_error){ .text = "out of memory" };
		return NULL;
	}
	idl->all_types_end = &idl->all_types;
	idl->all_values_end = &idl->all_values;
	return idl;
}

/* What is read was begun with, or failed (r). */
static int idl_finish(struct idl *idl, int r, struct idl **ret_idl, struct idl_error *ret_error)
{
	if (r == 0)
		r = idl_parse_all(idl);
	if (r < 0) {
		*ret_error = idl->error;
		idl_free(idl);
		return -1;
	}
	*ret_idl = idl;
	return 0;
}

int idl_read(const char *path, struct idl **ret_idl, struct idl_error *ret_error)
{
	struct idl *idl = idl_new(ret_error);
	bool found;
	int r;

	if (!idl)
		return -1;
	idl->files_allowed = true;
	r = idl_source_open(idl, path, &found);
	if (r == 0 && !found)
		r = idl_fail(idl, NULL, "there is no file %.200s", path);
	return idl_finish(idl, r, ret_idl, ret_error);
}

int idl_parse(const char *name, const char *text, size_t size_bytes, struct idl **ret_idl,
    struct idl_error *ret_error)
{
	struct idl *idl = idl_new(ret_error);
	const char *file, *copy;
	int r = -1;

	if (!idl)
		return -1;
	file = idl_copy_text(idl, name, strlen(name));
	copy = idl_copy_text(idl, text, size_bytes);
	if (size_bytes > IDL_FILE_BYTES)
		r = idl_fail(idl, NULL, "%.200s is longer than %d bytes", name, IDL_FILE_BYTES);
	else if (file && copy)
		r = idl_source_push(idl, file, "", copy, size_bytes);
	return idl_finish(idl, r, ret_idl, ret_error);
}
