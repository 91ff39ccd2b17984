/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idl_if.c - the expressions of #if, by precedence; numbers have 64 bits and wrap round.
 *
 * The text of a macro is evaluated as an expression of its own, in which the macro itself is none.
 */
#include "cli/idl_if.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define IDL_IF_STEPS_MAX 10000
#define IDL_IF_DEPTH_MAX 64

struct idl_if {
	struct idl *idl;
	const char *at;
	const struct idl_place *place;
	unsigned depth;
	unsigned *steps;
	const struct idl_if_macro *macros;
};

/* The macros whose text is being evaluated. */
struct idl_if_macro {
	const struct idl_macro *macro;
	const struct idl_if_macro *outer;
};

/* Longer signs first. */
static const struct idl_if_sign {
	char text[3];
	unsigned precedence;
} idl_if_signs[] = {
	{ .text = "||", .precedence = 1 },
	{ .text = "&&", .precedence = 2 },
	{ .text = "==", .precedence = 6 },
	{ .text = "!=", .precedence = 6 },
	{ .text = "<=", .precedence = 7 },
	{ .text = ">=", .precedence = 7 },
	{ .text = "<<", .precedence = 8 },
	{ .text = ">>", .precedence = 8 },
	{ .text = "|", .precedence = 3 },
	{ .text = "^", .precedence = 4 },
	{ .text = "&", .precedence = 5 },
	{ .text = "<", .precedence = 7 },
	{ .text = ">", .precedence = 7 },
	{ .text = "+", .precedence = 9 },
	{ .text = "-", .precedence = 9 },
	{ .text = "*", .precedence = 10 },
	{ .text = "/", .precedence = 10 },
	{ .text = "%", .precedence = 10 },
};

static int idl_if_binary(struct idl_if *expression, unsigned precedence, int64_t *ret_value);

size_t idl_if_word(const char *text)
{
	size_t size = 0;

	while (isalnum((unsigned char)text[size]) || text[size] == '_')
		size++;
	return size;
}

static void idl_if_skip(struct idl_if *expression)
{
	while (isspace((unsigned char)*expression->at))
		expression->at++;
}

static int idl_if_wrong(struct idl_if *expression, const char *what)
{
	return idl_fail(expression->idl, expression->place, "in this condition: %s", what);
}

static const struct idl_macro *idl_if_macro(const struct idl_if *expression, const char *name)
{
	const struct idl_macro *macro = idl_macro_find(expression->idl, name);

	for (const struct idl_if_macro *m = expression->macros; m && macro; m = m->outer)
		if (m->macro == macro)
			return NULL;
	return macro;
}

/* The name at hand, which the caller takes; NULL after idl_fail. */
static char *idl_if_name(struct idl_if *expression)
{
	size_t size = idl_if_word(expression->at);
	char *name;

	if (size == 0 || isdigit((unsigned char)*expression->at)) {
		(void)idl_if_wrong(expression, "expected a name");
		return NULL;
	}
	name = idl_copy_text(expression->idl, expression->at, size);
	expression->at += size;
	return name;
}

static int idl_if_defined(struct idl_if *expression, int64_t *ret_value)
{
	bool enclosed;
	char *name;

	idl_if_skip(expression);
	enclosed = *expression->at == '(';
	expression->at += enclosed;
	idl_if_skip(expression);
	name = idl_if_name(expression);
	if (!name)
		return -1;
	idl_if_skip(expression);
	if (enclosed && *expression->at++ != ')') {
		expression->at--;
		return idl_if_wrong(expression, "expected \")\"");
	}
	*ret_value = idl_macro_find(expression->idl, name) != NULL;
	return 0;
}

static int idl_if_expand(struct idl_if *expression, const char *name, int64_t *ret_value)
{
	const struct idl_macro *macro = idl_if_macro(expression, name);
	struct idl_if_macro inner = { .macro = macro, .outer = expression->macros };
	struct idl_if text = *expression;

	*ret_value = 0;
	if (!macro)
		return 0;
	if (macro->arguments)
		return idl_if_wrong(expression, "macros with arguments are not supported");
	text.at = macro->text;
	text.macros = &inner;
	text.depth++;
	idl_if_skip(&text);
	if (*text.at == '\0')
		return idl_if_wrong(expression, "a macro without text has no value");
	if (idl_if_binary(&text, 1, ret_value) < 0)
		return -1;
	return *text.at == '\0' ? 0 : idl_if_wrong(expression, "a macro's text is no expression");
}

static int idl_if_word_value(struct idl_if *expression, int64_t *ret_value)
{
	char *name;

	if (isdigit((unsigned char)*expression->at)) {
		char *end;

		*ret_value = (int64_t)strtoull(expression->at, &end, 0);
		end += strspn(end, "uUlL");
		expression->at = end;
		return 0;
	}
	name = idl_if_name(expression);
	if (!name)
		return -1;
	if (strcmp(name, "defined") == 0)
		return idl_if_defined(expression, ret_value);
	return idl_if_expand(expression, name, ret_value);
}

static int idl_if_unary(struct idl_if *expression, int64_t *ret_value)
{
	char sign;

	idl_if_skip(expression);
	sign = *expression->at;
	if (++*expression->steps > IDL_IF_STEPS_MAX || expression->depth > IDL_IF_DEPTH_MAX)
		return idl_if_wrong(expression, "it is too long");
	if (sign == '\0' || !strchr("!~-+(", sign))
		return idl_if_word_value(expression, ret_value);
	expression->at++;
	expression->depth++;
	if (sign == '(') {
		if (idl_if_binary(expression, 1, ret_value) < 0)
			return -1;
		if (*expression->at != ')')
			return idl_if_wrong(expression, "expected \")\"");
		expression->at++;
	} else if (idl_if_unary(expression, ret_value) < 0) {
		return -1;
	}
	expression->depth--;
	if (sign == '!')
		*ret_value = !*ret_value;
	else if (sign == '~')
		*ret_value = ~*ret_value;
	else if (sign == '-')
		*ret_value = (int64_t)(0 - (uint64_t)*ret_value);
	return 0;
}

static int idl_if_divide(struct idl_if *expression, char sign, int64_t a, int64_t b,
    int64_t *ret_value)
{
	if (b == 0)
		return idl_if_wrong(expression, "division by zero");
	if (b == -1)
		*ret_value = sign == '/' ? (int64_t)(0 - (uint64_t)a) : 0;
	else
		*ret_value = sign == '/' ? a / b : a % b;
	return 0;
}

static int64_t idl_if_compare(const char *sign, int64_t a, int64_t b)
{
	switch (sign[0]) {
	case '=':
		return a == b;
	case '!':
		return a != b;
	case '<':
		return sign[1] == '=' ? a <= b : a < b;
	default:
		return sign[1] == '=' ? a >= b : a > b;
	}
}

static int idl_if_apply(struct idl_if *expression, const char *sign, int64_t a, int64_t b,
    int64_t *ret_value)
{
	uint64_t x = (uint64_t)a, y = (uint64_t)b;
	bool twice = sign[1] == sign[0];

	switch (sign[0]) {
	case '/':
	case '%':
		return idl_if_divide(expression, sign[0], a, b, ret_value);
	case '|':
		*ret_value = twice ? a || b : a | b;
		return 0;
	case '&':
		*ret_value = twice ? a && b : a & b;
		return 0;
	case '^':
		*ret_value = a ^ b;
		return 0;
	case '+':
		*ret_value = (int64_t)(x + y);
		return 0;
	case '-':
		*ret_value = (int64_t)(x - y);
		return 0;
	case '*':
		*ret_value = (int64_t)(x * y);
		return 0;
	default:
		break;
	}
	if (twice && sign[0] == '<')
		*ret_value = (int64_t)(x << (y & 63));
	else if (twice && sign[0] == '>')
		*ret_value = a >> (y & 63);
	else
		*ret_value = idl_if_compare(sign, a, b);
	return 0;
}

static const struct idl_if_sign *idl_if_sign_at(const char *text)
{
	for (size_t i = 0; i < sizeof(idl_if_signs) / sizeof(idl_if_signs[0]); i++)
		if (strncmp(text, idl_if_signs[i].text, strlen(idl_if_signs[i].text)) == 0)
			return &idl_if_signs[i];
	return NULL;
}

/* Everything that binds at least as closely as precedence says. */
static int idl_if_binary(struct idl_if *expression, unsigned precedence, int64_t *ret_value)
{
	int64_t value, right;

	if (idl_if_unary(expression, &value) < 0)
		return -1;
	for (;;) {
		const struct idl_if_sign *sign;

		idl_if_skip(expression);
		sign = idl_if_sign_at(expression->at);
		if (!sign || sign->precedence < precedence)
			break;
		expression->at += strlen(sign->text);
		expression->depth++;
		if (idl_if_binary(expression, sign->precedence + 1, &right) < 0)
			return -1;
		expression->depth--;
		if (idl_if_apply(expression, sign->text, value, right, &value) < 0)
			return -1;
	}
	*ret_value = value;
	return 0;
}

int idl_if_evaluate(struct idl *idl, const char *text, const struct idl_place *place,
    bool *ret_holds)
{
	unsigned steps = 0;
	struct idl_if expression = { .idl = idl, .at = text, .place = place, .steps = &steps };
	int64_t value;

	if (idl_if_binary(&expression, 1, &value) < 0)
		return -1;
	if (*expression.at != '\0')
		return idl_fail(idl, place, "in this condition: \"%.40s\" has no meaning",
		    expression.at);
	*ret_holds = value != 0;
	return 0;
}
