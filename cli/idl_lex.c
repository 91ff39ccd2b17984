/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idl_lex.c - the tokens of an interface file, and the two ways in: a path, or a text.
 */
#include "cli/idl_lex.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDL_TOKENS_MAX 1000000 /* macros in macros can make many of few bytes */
#define IDL_WORD_BYTES 255

/* --- Characters -------------------------------------------------------------------------------- */

void idl_source_step(struct idl_source *source)
{
	char c = *source->at++;

	if (source->macro)
		return;
	if (c == '\n') {
		source->place.line++;
		source->place.column = 1;
		source->at_start = true;
	} else {
		source->place.column++;
	}
}

static bool idl_is_word_start(char c)
{
	return isalpha((unsigned char)c) || c == '_';
}

static bool idl_is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_';
}

static bool idl_looks_at(const struct idl_source *source, const char *text)
{
	size_t size = strlen(text);

	return (size_t)(source->end - source->at) >= size && memcmp(source->at, text, size) == 0;
}

int idl_comment_skip(struct idl *idl, bool *ret_was)
{
	struct idl_source *source = idl->source;
	struct idl_place place = source->place;

	*ret_was = true;
	if (idl_looks_at(source, "//")) {
		while (source->at < source->end && *source->at != '\n')
			idl_source_step(source);
		return 0;
	}
	if (!idl_looks_at(source, "/*")) {
		*ret_was = false;
		return 0;
	}
	idl_source_step(source);
	idl_source_step(source);
	while (source->at < source->end && !idl_looks_at(source, "*/"))
		idl_source_step(source);
	if (source->at == source->end)
		return idl_fail(idl, &place, "this comment has no end; expected */");
	idl_source_step(source);
	idl_source_step(source);
	return 0;
}

/* --- Tokens ------------------------------------------------------------------------------------ */

/* The text of the source that satisfies `is`, from here on. */
static const char *idl_take(struct idl *idl, bool (*is)(char))
{
	struct idl_source *source = idl->source;
	const char *from = source->at;

	while (source->at < source->end && is(*source->at))
		idl_source_step(source);
	if (source->at - from > IDL_WORD_BYTES) {
		(void)idl_fail(idl, &source->place, "a word of %zu bytes; expected at most %d",
		    (size_t)(source->at - from), IDL_WORD_BYTES);
		return NULL;
	}
	return idl_copy_text(idl, from, (size_t)(source->at - from));
}

/* Digits, possibly after 0x, as C has them. */
static bool idl_read_digits(const char *text, uint64_t *ret_number)
{
	unsigned base = 10;
	uint64_t number = 0;
	bool large = false;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	} else if (text[0] == '0') {
		base = 8;
	}
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++) {
		unsigned digit = (unsigned)(isdigit((unsigned char)*text) ? *text - '0'
			: isxdigit((unsigned char)*text) ? tolower((unsigned char)*text) - 'a' + 10
							 : 99);

		if (digit >= base)
			return false;
		large |= number > ((uint64_t)INT64_MAX - digit) / base;
		number = large ? INT64_MAX : number * base + digit;
	}
	*ret_number = number;
	return true;
}

static int idl_token_number(struct idl *idl, struct idl_token *token)
{
	bool negative = *idl->source->at == '-';
	uint64_t number;

	if (negative)
		idl_source_step(idl->source);
	token->kind = IDL_TOKEN_NUMBER;
	token->text = idl_take(idl, idl_is_word);
	if (!token->text)
		return -1;
	if (!idl_read_digits(token->text, &number))
		return idl_fail(idl, &token->place,
		    "\"%s%.80s\" is no number; expected decimal, 0x... or octal digits",
		    negative ? "-" : "", token->text);
	token->number = negative ? -(int64_t)number : (int64_t)number;
	return 0;
}

static int idl_token_text(struct idl *idl, struct idl_token *token)
{
	struct idl_source *source = idl->source;
	const char *from;

	idl_source_step(source);
	from = source->at;
	while (source->at < source->end && *source->at != '"' && *source->at != '\n')
		idl_source_step(source);
	if (source->at == source->end || *source->at == '\n')
		return idl_fail(idl, &token->place, "this text has no end; expected \"");
	token->kind = IDL_TOKEN_TEXT;
	token->text = idl_copy_text(idl, from, (size_t)(source->at - from));
	idl_source_step(source);
	return token->text ? 0 : -1;
}

static int idl_token_sign(struct idl *idl, struct idl_token *token)
{
	unsigned char c = (unsigned char)*idl->source->at;

	if (c == '\0' || !strchr("{}[]<>()*,;:=", c)) {
		if (c > ' ' && c < 0x7f)
			return idl_fail(idl, &token->place, "\"%c\" has no meaning here", c);
		return idl_fail(idl, &token->place, "the byte 0x%02x has no meaning here", c);
	}
	token->kind = IDL_TOKEN_SIGN;
	token->text = idl_copy_text(idl, idl->source->at, 1);
	idl_source_step(idl->source);
	return token->text ? 0 : -1;
}

/*
 * Goes to where a token begins, through ends of macros and files.  idl->source is NULL when there is none any
 * more.
 */
static int idl_token_seek(struct idl *idl)
{
	while (idl->source) {
		struct idl_source *source = idl->source;
		bool comment;

		if (source->at == source->end) {
			if (idl_source_check_end(idl) < 0)
				return -1;
			idl->end = source->place;
			idl->source = source->outer;
			continue;
		}
		if (source->at_start && !source->macro &&
		    (*source->at == '#' || *source->at == '%')) {
			if (idl_directive(idl) < 0)
				return -1;
			continue;
		}
		if (isspace((unsigned char)*source->at) || idl_looks_at(source, "\\\n")) {
			idl_source_step(source);
			continue;
		}
		if (idl_comment_skip(idl, &comment) < 0)
			return -1;
		if (comment)
			continue;
		source->at_start = false;
		return 0;
	}
	return 0;
}

int idl_token_next(struct idl *idl, struct idl_token *ret_token)
{
	for (;;) {
		const struct idl_macro *macro;
		struct idl_token token;
		char c;

		if (idl_token_seek(idl) < 0)
			return -1;
		if (!idl->source) {
			*ret_token =
			    (struct idl_token){ .text = "the end of the file", .place = idl->end };
			return 0;
		}
		token = (struct idl_token){ .place = idl->source->place };
		if (++idl->n_tokens > IDL_TOKENS_MAX)
			return idl_fail(idl, &token.place, "more than %d words and signs",
			    IDL_TOKENS_MAX);
		c = *idl->source->at;
		*ret_token = token;
		if (c == '"')
			return idl_token_text(idl, ret_token);
		if (isdigit((unsigned char)c) || c == '-')
			return idl_token_number(idl, ret_token);
		if (!idl_is_word_start(c))
			return idl_token_sign(idl, ret_token);
		ret_token->kind = IDL_TOKEN_WORD;
		ret_token->text = idl_take(idl, idl_is_word);
		if (!ret_token->text)
			return -1;
		macro = idl_macro_find(idl, ret_token->text);
		if (!macro)
			return 0;
		if (idl_macro_push(idl, macro, &token.place) < 0)
			return -1;
	}
}
