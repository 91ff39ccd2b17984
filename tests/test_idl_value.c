/* SPDX-License-Identifier: BSD-3-Clause */
/* test_idl_value.c - values of the types of interface files: JSON and XDR, both ways, at and over every bound. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/idl.h"
#include "cli/idl_value.h"
#include "tests/harness.h"

/* The file that a text makes; NULL after saying why not. */
static struct idl *parsed(const char *text)
{
	struct idl_error error;
	struct idl *idl = NULL;

	if (idl_parse("t.x", text, strlen(text), &idl, &error) < 0)
		printf("  %s\n", error.text);
	HOLDS(idl != NULL);
	return idl;
}

/* --- What goes over and what does not --------------------------------------------------------- */

static const char value_types[] =
    "const MAX = 3;\n"
    "typedef int i32; typedef unsigned int u32; typedef char i8; typedef unsigned char u8;\n"
    "typedef short i16; typedef unsigned short u16; typedef hyper i64; typedef unsigned hyper u64;\n"
    "typedef float f; typedef double d; typedef bool b;\n"
    "enum e { RED = 1, BLUE = -2, HIGH = 0x80000000 };\n"
    "typedef string s<MAX>; typedef string ls<>; typedef opaque o<MAX>; typedef opaque lo<100>;\n"
    "typedef opaque fo[3]; typedef int a<2>; typedef int fa[2]; typedef int *p; typedef p *pp;\n"
    "struct st { int x; string y<>; int *z; };\n"
    "struct l { int v; l *next; };\n"
    "typedef struct m *ml; struct m { string n<>; ml next; };\n"
    "union u switch (e c) { case RED: int n; case BLUE: case HIGH: void; };\n"
    "union ud switch (int c) { case 1: int c; default: st other; };\n"
    "union uv switch (int value) { case 1: int value; };\n"
    "union ub switch (bool c) { case TRUE: string t<>; case FALSE: void; };\n"
    "struct deep { deep *inner; }; typedef deep *odd;\n"
    "typedef opaque none[0]; typedef none nones[4000000000];\n"
    "struct all { st st; l *list; u u<>; };\n";

struct value_case {
	const char *type, *json;
	const char *xdr;   /* words in hex; NULL: refused */
	const char *again; /* the JSON that comes back, if it is another; or why it is refused */
};

static const struct value_case value_cases[] = {
	{ "i32", "-1", "ffffffff", NULL },
	{ "i32", "2147483647", "7fffffff", NULL },
	{ "i32", "-2147483648", "80000000", NULL },
	{ "i32", "2147483648", NULL, "$: out of range; expected -2147483648 to 2147483647" },
	{ "i32", "-2147483649", NULL, "$: out of range; expected -2147483648 to 2147483647" },
	{ "i32", "\"0x10\"", "00000010", "16" },
	{ "i32", "\"-7\"", "fffffff9", "-7" },
	{ "i32", "\"x\"", NULL, "$: a text; expected a whole number" },
	{ "i32", "\"\"", NULL, "$: a text; expected a whole number" },
	{ "i32", "1.5", NULL, "$: a fraction; expected a whole number" },
	{ "i32", "null", NULL, "$: null; expected a whole number" },
	{ "u32", "4294967295", "ffffffff", NULL },
	{ "u32", "4294967296", NULL, "$: out of range; expected 0 to 4294967295" },
	{ "u32", "-1", NULL, "$: out of range; expected 0 to 4294967295" },
	{ "i8", "-128", "ffffff80", NULL },
	{ "i8", "128", NULL, "$: out of range; expected -128 to 127" },
	{ "u8", "255", "000000ff", NULL },
	{ "u8", "256", NULL, "$: out of range; expected 0 to 255" },
	{ "i16", "-32768", "ffff8000", NULL },
	{ "i16", "32768", NULL, "$: out of range; expected -32768 to 32767" },
	{ "u16", "65535", "0000ffff", NULL },
	{ "u16", "65536", NULL, "$: out of range; expected 0 to 65535" },
	{ "i64", "-9223372036854775808", "8000000000000000", NULL },
	{ "i64", "9223372036854775807", "7fffffffffffffff", NULL },
	{ "i64", "\"9007199254740993\"", "0020000000000001", "9007199254740993" },
	{ "i64", "\"9223372036854775808\"", NULL,
	    "$: out of range; expected -9223372036854775808 to 9223372036854775807" },
	{ "u64", "\"18446744073709551615\"", "ffffffffffffffff", NULL },
	{ "u64", "\"18446744073709551616\"", NULL, "$: a text; expected a whole number" },
	{ "u64", "9223372036854775807", "7fffffffffffffff", NULL },
	{ "f", "1.5", "3fc00000", NULL },
	{ "f", "1", "3f800000", "1.0" },
	{ "f", "1e39", NULL, "$: out of the range of a float" },
	{ "f", "\"-Infinity\"", "ff800000", NULL },
	{ "d", "-0.1", "bfb999999999999a", NULL },
	{ "d", "\"NaN\"", "7ff8000000000000", NULL },
	{ "d", "\"Infinity\"", "7ff0000000000000", NULL },
	{ "d", "\"much\"", NULL,
	    "$: a text; expected a number, \"NaN\", \"Infinity\" or \"-Infinity\"" },
	{ "b", "true", "00000001", NULL },
	{ "b", "false", "00000000", NULL },
	{ "b", "1", NULL, "$: a number; expected true or false" },
	{ "e", "\"RED\"", "00000001", NULL },
	{ "e", "\"BLUE\"", "fffffffe", NULL },
	{ "e", "\"HIGH\"", "80000000", NULL },
	{ "e", "1", "00000001", "\"RED\"" },
	{ "e", "7", "00000007", NULL },
	{ "e", "\"red\"", NULL,
	    "$: there is no value \"red\"; expected RED or another of its enum, or a number" },
	{ "s", "\"abc\"", "00000003 61626300", NULL },
	{ "s", "\"\"", "00000000", NULL },
	{ "s", "\"abcd\"", NULL, "$: string longer than 3 bytes" },
	{ "s", "\"\\u00e9\"", "00000002 c3a90000", NULL },
	{ "s", "{\"hex\": \"ff\"}", "00000001 ff000000", NULL },
	{ "s", "{\"hex\": \"616263\"}", "00000003 61626300", "\"abc\"" },
	{ "s", "7", NULL, "$: a number; expected a text" },
	{ "ls", "\"a\\u0000b\"", "00000003 61006200", NULL },
	{ "o", "{\"hex\": \"00ff10\"}", "00000003 00ff1000", NULL },
	{ "o", "{\"hex\": \"\"}", "00000000", NULL },
	{ "o", "{\"base64\": \"AP8Q\"}", "00000003 00ff1000", "{\"hex\": \"00ff10\"}" },
	{ "o", "{\"base64\": \"AP8=\"}", "00000002 00ff0000", "{\"hex\": \"00ff\"}" },
	{ "o", "{\"base64\": \"/w==\"}", "00000001 ff000000", "{\"hex\": \"ff\"}" },
	{ "o", "{\"text\": \"abc\"}", "00000003 61626300", "{\"hex\": \"616263\"}" },
	{ "o", "{\"text\": \"abcd\"}", NULL, "$: opaque longer than 3 bytes" },
	{ "o", "{\"hex\": \"0\"}", NULL, "$: the text is no hex" },
	{ "o", "{\"hex\": \"0g\"}", NULL, "$: the text is no hex" },
	{ "o", "{\"base64\": \"AP8\"}", NULL, "$: the text is no base64" },
	{ "o", "{\"base64\": \"=AP8\"}", NULL, "$: the text is no base64" },
	{ "o", "\"abc\"", NULL,
	    "$: a text; expected {\"hex\": TEXT}, {\"base64\": TEXT} or {\"text\": TEXT}" },
	{ "o", "{\"hex\": \"\", \"text\": \"\"}", NULL,
	    "$: an object; expected {\"hex\": TEXT}, {\"base64\": TEXT} or {\"text\": TEXT}" },
	{ "fo", "{\"hex\": \"010203\"}", "01020300", NULL },
	{ "fo", "{\"hex\": \"0102\"}", NULL, "$: 2 bytes; expected 3" },
	{ "fo", "{\"hex\": \"01020304\"}", NULL, "$: 4 bytes; expected 3" },
	{ "a", "[]", "00000000", NULL },
	{ "a", "[1, 2]", "00000002 00000001 00000002", NULL },
	{ "a", "[1, 2, 3]", NULL, "$: more than 2 elements" },
	{ "a", "[1, true]", NULL, "$[1]: true; expected a whole number" },
	{ "a", "{}", NULL, "$: an object; expected an array" },
	{ "fa", "[1, 2]", "00000001 00000002", NULL },
	{ "fa", "[1]", NULL, "$: 1 elements; expected 2" },
	{ "fa", "[1, 2, 3]", NULL, "$: 3 elements; expected 2" },
	{ "p", "null", "00000000", NULL },
	{ "p", "7", "00000001 00000007", NULL },
	{ "pp", "null", "00000000", NULL },
	{ "pp", "[null]", "00000001 00000000", NULL },
	{ "pp", "[7]", "00000001 00000001 00000007", NULL },
	{ "pp", "7", NULL, "$: a number; expected null, or an array of one" },
	{ "st", "{\"x\": 1, \"y\": \"a\", \"z\": null}", "00000001 00000001 61000000 00000000",
	    NULL },
	{ "st", "{\"x\": 1, \"y\": \"a\"}", "00000001 00000001 61000000 00000000",
	    "{\"x\": 1, \"y\": \"a\", \"z\": null}" },
	{ "st", "{\"x\": 1}", NULL, "$: the member \"y\" is missing" },
	{ "st", "{\"x\": 1, \"y\": \"a\", \"zz\": null}", NULL, "$: there is no member \"zz\"" },
	{ "st", "[]", NULL, "$: an array; expected an object" },
	{ "l", "[{\"v\": 1}]", "00000001 00000000", NULL },
	{ "l", "[{\"v\": 1}, {\"v\": 2}]", "00000001 00000001 00000002 00000000", NULL },
	{ "l", "[]", NULL, "$: this list has at least one element" },
	{ "ml", "[]", "00000000", NULL },
	{ "ml", "null", "00000000", "[]" },
	{ "ml", "[{\"n\": \"a\"}, {\"n\": \"\"}]",
	    "00000001 00000001 61000000 00000001 00000000 00000000", NULL },
	{ "ml", "[{\"n\": \"a\", \"next\": null}]", NULL, "$[0]: there is no member \"next\"" },
	{ "u", "{\"c\": \"RED\", \"n\": 5}", "00000001 00000005", NULL },
	{ "u", "{\"c\": \"BLUE\"}", "fffffffe", NULL },
	{ "u", "{\"c\": \"HIGH\"}", "80000000", NULL },
	{ "u", "{\"c\": \"BLUE\", \"n\": 5}", NULL, "$: there is no member \"n\"" },
	{ "u", "{\"c\": \"RED\"}", NULL, "$: the member \"n\" is missing" },
	{ "u", "{\"c\": 9}", NULL, "$: this \"c\" has no case in the union" },
	{ "u", "{}", NULL, "$: the member \"c\" is missing" },
	{ "ud", "{\"c\": 1, \"value\": 6}", "00000001 00000006", NULL },
	{ "ud", "{\"c\": 2, \"other\": {\"x\": 1, \"y\": \"\", \"z\": 3}}",
	    "00000002 00000001 00000000 00000001 00000003", NULL },
	{ "ud", "{\"c\": 2, \"other\": {\"x\": 1, \"y\": 5}}", NULL,
	    "$.other.y: a number; expected a text" },
	{ "uv", "{\"value\": 1, \"arm\": 6}", "00000001 00000006", NULL },
	{ "ub", "{\"c\": true, \"t\": \"a\"}", "00000001 00000001 61000000", NULL },
	{ "ub", "{\"c\": false}", "00000000", NULL },
	{ "all",
	    "{\"st\": {\"x\": 0, \"y\": \"\", \"z\": null}, \"list\": [{\"v\": 9}], \"u\": [{\"c\": "
	    "\"BLUE\"}, {\"c\": \"RED\", \"n\": 1}]}",
	    "00000000 00000000 00000000 00000001 00000009 00000000 00000002 fffffffe 00000001 00000001",
	    NULL },
	{ "all",
	    "{\"st\": {\"x\": 0, \"y\": \"\", \"z\": null}, \"list\": [{\"v\": 9}], \"u\": [{\"c\": "
	    "\"BLUE\"}, {\"c\": \"RED\", \"n\": \"x\"}]}",
	    NULL, "$.u[1].n: a text; expected a whole number" },
};

/* --- Both ways --------------------------------------------------------------------------------- */

static json_t *json_of(const char *text)
{
	return json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

static size_t bytes_of(const char *hex, uint8_t *bytes)
{
	size_t n = 0;
	unsigned byte;

	for (; *hex; hex += 2) {
		hex += *hex == ' ';
		if (sscanf(hex, "%2x", &byte) == 1)
			bytes[n++] = (uint8_t)byte;
	}
	return n;
}

/* What bytes mean; NULL: *error says why nothing. */
static json_t *decoded(const struct idl *idl, const char *type, const uint8_t *bytes, size_t size,
    struct idl_error *error)
{
	struct idl_decoded value = { .type = idl_type_find(idl, type) };
	char *copy = malloc(size + 1);
	XDR xdrs;

	if (!HOLDS(copy != NULL))
		return NULL;
	memcpy(copy, bytes, size);
	xdrmem_create(&xdrs, copy, (u_int)size, XDR_DECODE);
	if (idl_decoded_xdr(&xdrs, &value))
		EQUAL(xdr_getpos(&xdrs), size);
	free(copy);
	*error = value.error;
	return value.json;
}

static void check_decoded(const struct idl *idl, const struct value_case *c, const uint8_t *bytes,
    size_t size)
{
	struct idl_error error;
	json_t *got = decoded(idl, c->type, bytes, size, &error);
	json_t *want = json_of(c->again ? c->again : c->json);
	char *text = json_dumps(got, JSON_ENCODE_ANY);

	if (!HOLDS(got && want && json_equal(got, want)))
		printf("  %s %s came back as %s%s\n", c->type, c->json, text ? text : "",
		    error.text);
	free(text);
	json_decref(got);
	json_decref(want);
	for (size_t cut = 0; cut < size; cut += 4) {
		got = decoded(idl, c->type, bytes, cut, &error);
		if (!HOLDS(!got && strstr(error.text, "the answer ends here")))
			printf("  %s cut at %zu\n", c->json, cut);
		json_decref(got);
	}
}

static void test_values_go_over_and_come_back_and_others_are_refused(void)
{
	struct idl *idl = parsed(value_types);

	for (size_t i = 0; idl && i < sizeof(value_cases) / sizeof(value_cases[0]); i++) {
		const struct value_case *c = &value_cases[i];
		struct idl_encoded encoded = { .size_bytes = 0 };
		struct idl_error error = { "" };
		json_t *json = json_of(c->json);
		uint8_t want[128];
		int r = idl_value_encode(idl_type_find(idl, c->type), json, &encoded, &error);
		bool fine = HOLDS(json != NULL) && EQUAL(r, c->xdr ? 0 : -1) &&
		    SAME_TEXT(error.text, c->xdr ? "" : c->again);

		if (fine && c->xdr) {
			fine = SAME_BYTES(encoded.data, encoded.size_bytes, want,
			    bytes_of(c->xdr, want));
			check_decoded(idl, c, encoded.data, encoded.size_bytes);
		}
		if (!fine)
			printf("  %s: %s\n", c->type, c->json);
		free(encoded.data);
		json_decref(json);
	}
	idl_free(idl);
}

/* --- Bounds ------------------------------------------------------------------------------------ */

static void test_answers_that_break_a_bound_are_refused(void)
{
	static const struct {
		const char *type, *xdr, *why;
	} cases[] = {
		{ "s", "00000004 61626364", "$: 4 bytes; expected at most 3" },
		{ "o", "ffffffff", "$: 4294967295 bytes; expected at most 3" },
		{ "ls", "ffffffff", "$: with this it is longer than 16777216 bytes" },
		{ "ls", "00ffff00 61626364", "$: the answer ends here" },
		{ "a", "00000003 00000001", "$: 3 elements; expected at most 2" },
		{ "p", "00000002 00000001", "$: 2 where 0 or 1 stands for yes or no" },
		{ "b", "00000002", "$: 2 where 0 or 1 stands for yes or no" },
		{ "ub", "00000002", "$.c: 2 where 0 or 1 stands for yes or no" },
		{ "ml", "00000001 00000000 00000005", "$[0]: 5 where 0 or 1 stands for yes or no" },
		{ "u", "00000007", "$: the \"c\" 7 has no case in the union" },
		{ "nones", "", "$[4095]: too many values without content" },
	};
	struct idl *idl = parsed(value_types);

	for (size_t i = 0; idl && i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct idl_error error = { "" };
		uint8_t bytes[64];
		size_t n = bytes_of(cases[i].xdr, bytes);

		HOLDS(decoded(idl, cases[i].type, bytes, n, &error) == NULL);
		SAME_TEXT(error.text, cases[i].why);
	}
	idl_free(idl);
}

static void test_bytes_come_as_hex_up_to_64_and_as_base64_above(void)
{
	struct idl *idl = parsed(value_types);

	for (unsigned n = 64; idl && n <= 65; n++) {
		uint8_t bytes[4 + 68] = { 0, 0, 0, (uint8_t)n };
		struct idl_error error;
		json_t *json = decoded(idl, "lo", bytes, 4 + ((n + 3) & ~3u), &error);
		const char *hex = json_string_value(json_object_get(json, "hex"));
		const char *base64 = json_string_value(json_object_get(json, "base64"));

		EQUAL(hex ? strlen(hex) : 0, n == 64 ? 128 : 0);
		EQUAL(base64 ? strlen(base64) : 0, n == 64 ? 0 : 88);
		json_decref(json);
	}
	idl_free(idl);
}

/* `deep` n structs deep. */
static json_t *nested(unsigned n)
{
	json_t *json = json_null();

	while (n-- > 0)
		json = json_pack("{s:o}", "inner", json);
	return json;
}

static void test_values_deeper_than_200_are_refused_on_both_ways(void)
{
	struct idl *idl = parsed(value_types);
	struct idl_type *type = idl ? idl_type_find(idl, "deep") : NULL;

	/* Each level is a struct and an optional. */
	for (unsigned n = 100; type && n <= 101; n++) {
		struct idl_encoded encoded = { .size_bytes = 0 };
		struct idl_error error = { "" };
		uint8_t bytes[404] = { 0 };
		json_t *json = nested(n);
		int r = idl_value_encode(type, json, &encoded, &error);

		json_decref(json);
		free(encoded.data);
		EQUAL(r, n == 100 ? 0 : -1);
		HOLDS((n == 101) == (strstr(error.text, "more than 200 deep") != NULL));
		for (unsigned i = 0; i + 1 < n; i++)
			bytes[4 * i + 3] = 1;
		json = decoded(idl, "deep", bytes, 4 * (size_t)n, &error);
		HOLDS((json != NULL) == (n == 100));
		json_decref(json);
	}
	idl_free(idl);
}

static void test_answers_201_deep_are_refused(void)
{
	struct idl *idl = parsed(value_types);

	/* An optional, and then a struct and an optional for each 1. */
	for (size_t n = 99; idl && n <= 100; n++) {
		struct idl_error error = { "" };
		uint8_t bytes[404] = { 0 };
		json_t *json;

		for (size_t i = 0; i < n; i++)
			bytes[4 * i + 3] = 1;
		json = decoded(idl, "odd", bytes, 4 * (n + 1), &error);
		HOLDS((json != NULL) == (n == 99));
		HOLDS((n == 100) == (strstr(error.text, "more than 200 deep") != NULL));
		json_decref(json);
	}
	idl_free(idl);
}

static void test_a_list_may_be_longer_than_values_may_be_deep(void)
{
	enum {
		N = 20000
	};
	struct idl *idl = parsed(value_types);
	uint8_t *bytes = calloc(N, 8);
	struct idl_error error = { "" };
	json_t *json;

	for (size_t i = 0; bytes && i + 1 < N; i++)
		bytes[8 * i + 7] = 1;
	json = idl && bytes ? decoded(idl, "l", bytes, 8 * (size_t)N, &error) : NULL;
	EQUAL(json_array_size(json), N);
	SAME_TEXT(error.text, "");
	json_decref(json);
	free(bytes);
	idl_free(idl);
}

static void test_arguments_of_16_mib_pass_and_longer_ones_do_not(void)
{
	struct idl *idl = parsed(value_types);

	for (size_t n = IDL_VALUE_BYTES - 4; idl && n <= IDL_VALUE_BYTES; n += 4) {
		struct idl_encoded encoded = { .size_bytes = 0 };
		struct idl_error error = { "" };
		char *text = malloc(n);
		json_t *json;

		if (!HOLDS(text != NULL))
			break;
		memset(text, 'a', n);
		json = json_stringn(text, n);
		free(text);
		EQUAL(idl_value_encode(idl_type_find(idl, "ls"), json, &encoded, &error),
		    n == IDL_VALUE_BYTES ? -1 : 0);
		SAME_TEXT(error.text,
		    n == IDL_VALUE_BYTES ? "$: with this it is longer than 16777216 bytes" : "");
		json_decref(json);
		free(encoded.data);
	}
	idl_free(idl);
}

static void test_several_arguments_are_an_array_and_none_is_nothing(void)
{
	static const struct {
		const char *json, *why;
		size_t argument, size;
	} cases[] = {
		{ "null", "", 0, 0 },
		{ "[]", "$: an array; expected nothing: the procedure has no argument", 0, 0 },
		{ "5", "", 1, 4 },
		{ "[5]", "$: an array; expected a whole number", 1, 0 },
		{ "[5, \"a\"]", "", 2, 12 },
		{ "[5]", "$: an array; expected an array of 2 arguments", 2, 0 },
		{ "[5, 5]", "$[1]: a number; expected a text", 2, 4 },
	};
	struct idl *idl = parsed("program P { version V { void A(void) = 0; void B(int) = 1;"
				 "void C(int, string) = 2; } = 1; } = 1;");

	for (size_t i = 0; idl && i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct idl_procedure *p = idl_programs(idl)->versions->procedures;
		struct idl_encoded encoded = { .size_bytes = 0 };
		struct idl_error error = { "" };
		json_t *json = json_of(cases[i].json);

		for (size_t n = 0; n < cases[i].argument; n++)
			p = p->next;
		(void)idl_arguments_encode(p, json, &encoded, &error);
		SAME_TEXT(error.text, cases[i].why);
		EQUAL(encoded.size_bytes, cases[i].size);
		json_decref(json);
		free(encoded.data);
	}
	idl_free(idl);
}

SUITE(idl_value, TEST(test_values_go_over_and_come_back_and_others_are_refused),
    TEST(test_answers_that_break_a_bound_are_refused),
    TEST(test_bytes_come_as_hex_up_to_64_and_as_base64_above),
    TEST(test_values_deeper_than_200_are_refused_on_both_ways),
    TEST(test_answers_201_deep_are_refused),
    TEST(test_a_list_may_be_longer_than_values_may_be_deep),
    TEST(test_arguments_of_16_mib_pass_and_longer_ones_do_not),
    TEST(test_several_arguments_are_an_array_and_none_is_nothing));
