/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_idl.c - interface files, and values of the types they define.
 *
 * Input: the text of a file up to the first NUL; what follows is taken for XDR, and for JSON, of each of its
 * types.  A value that is understood goes back to the bytes or JSON it came from, as far as it has one form only.
 */
#include "tests/fuzz/fuzz.h"

#include "cli/idl_lex.h"
#include "cli/idl_value.h"

#define TYPES_MAX 16

static json_t *decode(struct idl_type *type, const void *data, size_t size)
{
	struct idl_decoded decoded = { .type = type };
	char *bytes = copy_of(data, size);
	XDR xdrs;
	bool_t ok;

	xdrmem_create(&xdrs, bytes, (u_int)size, XDR_DECODE);
	ok = idl_decoded_xdr(&xdrs, &decoded);
	CLAIM((ok != 0) == (decoded.json != NULL));
	CLAIM((ok != 0) == (decoded.error.text[0] == '\0'));
	CLAIM(xdr_getpos(&xdrs) <= size);
	free(bytes);
	return decoded.json;
}

/* What a value becomes as bytes is understood as the same value.  strict: it has to become some. */
static void try_value(struct idl_type *type, const json_t *json, bool strict)
{
	struct idl_encoded encoded = { .size_bytes = 0 };
	struct idl_error error = { "" };
	int r = idl_value_encode(type, json, &encoded, &error);
	json_t *again, *third;

	CLAIM((r == 0) == (error.text[0] == '\0'));
	CLAIM(r == 0 || error.text[0] == '$');
	/* XDR has four bytes for a char, and a value that does not fit is shown all the same. */
	CLAIM(r == 0 || !strict || strstr(error.text, "out of range"));
	CLAIM(encoded.size_bytes % 4 == 0 && encoded.size_bytes <= IDL_VALUE_BYTES);
	again = r == 0 ? decode(type, encoded.data, encoded.size_bytes) : NULL;
	/* Only what has no bytes may be too much to be shown. */
	CLAIM(r != 0 || again || json_array_size(json) > 1000 || !strict);
	if (again && strict)
		CLAIM(json_equal(again, json));
	if (again && !strict) {
		struct idl_encoded second = { .size_bytes = 0 };

		CLAIM(idl_value_encode(type, again, &second, &error) == 0);
		CLAIM(second.size_bytes == encoded.size_bytes);
		third = decode(type, second.data, second.size_bytes);
		CLAIM(third && json_equal(again, third));
		json_decref(third);
		free(second.data);
	}
	json_decref(again);
	free(encoded.data);
}

static void try_type(struct idl_type *type, const uint8_t *data, size_t size)
{
	struct idl_error error = { "" };
	char text[64];
	json_t *json;

	idl_type_text(type, text, sizeof(text));
	CLAIM(memchr(text, '\0', sizeof(text)));
	if (idl_check(type, &error) < 0) {
		CLAIM(strstr(error.text, "is not defined"));
		return;
	}
	json = decode(type, data, size);
	if (json)
		try_value(type, json, true);
	json_decref(json);
	json = json_loadb((const char *)data, size,
	    JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
	if (json)
		try_value(type, json, false);
	json_decref(json);
}

static void try_programs(const struct idl *idl)
{
	for (const struct idl_program *p = idl_programs(idl); p; p = p->next) {
		CLAIM(p->name && *p->name && p->versions);
		for (const struct idl_version *v = p->versions; v; v = v->next) {
			CLAIM(v->name && *v->name && v->procedures);
			for (const struct idl_procedure *c = v->procedures; c; c = c->next)
				CLAIM(c->name && *c->name && c->result);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
	size_t len = end ? (size_t)(end - data) : size;
	char *text = copy_of(data, len);
	struct idl_error error = { "" };
	struct idl *idl = NULL;
	unsigned n = 0;
	int r = idl_parse("f.x", text, len, &idl, &error);

	free(text);
	CLAIM((r == 0) == (idl != NULL) && (r == 0) == (error.text[0] == '\0'));
	if (r < 0) {
		CLAIM(strncmp(error.text, "f.x:", 4) == 0);
		return 0;
	}
	try_programs(idl);
	for (struct idl_type_link *link = idl->all_types; link && n < TYPES_MAX;
	     link = link->next, n++)
		try_type(link->type, end ? end + 1 : data, end ? size - len - 1 : 0);
	idl_free(idl);
	return 0;
}
