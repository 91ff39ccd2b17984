/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idl_value.c - JSON to XDR by the types of an interface file.
 *
 * Each idl_put_* adds one value of its kind, or says what is wrong with it.
 */
#include "cli/idl_value.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

struct idl_put {
	struct idl_encoded *encoded;
	struct idl_error *error;
};

static int idl_put_value(struct idl_put *put, const struct idl_type *type, const json_t *json,
    const struct idl_path *path);

/* --- Paths ------------------------------------------------------------------------------------- */

#define IDL_PATH_STEPS 24 /* shown at most: the first of them, and the last */

static void idl_path_text(const struct idl_path *path, char *text, size_t size_bytes)
{
	const struct idl_path *steps[IDL_PATH_STEPS];
	size_t n = 0, size;
	bool cut = false;

	for (; path && path->outer; path = path->outer) {
		if (n < IDL_PATH_STEPS)
			steps[n++] = path;
		else
			cut = true;
	}
	text_format(text, size_bytes, "$%s", cut ? "..." : "");
	while (n > 0) {
		const struct idl_path *step = steps[--n];

		size = strlen(text);
		if (step->name)
			text_format(text + size, size_bytes - size, ".%s", step->name);
		else
			text_format(text + size, size_bytes - size, "[%zu]", step->index);
	}
}

int idl_path_fail(const struct idl_path *path, struct idl_error *error, const char *format, ...)
{
	char where[200], what[256];
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	idl_path_text(path, where, sizeof(where));
	text_format(error->text, sizeof(error->text), "%s: %s", where, what);
	return -1;
}

const char *idl_arm_key(const struct idl_type *type, const struct idl_member *arm)
{
	if (strcmp(arm->name, type->discriminant.name) != 0)
		return arm->name;
	return strcmp(arm->name, "value") != 0 ? "value" : "arm";
}

/* --- Bytes ------------------------------------------------------------------------------------- */

/* Room for more bytes, zeroed; NULL after saying why not. */
static uint8_t *idl_put_room(struct idl_put *put, size_t size_bytes, const struct idl_path *path)
{
	struct idl_encoded *encoded = put->encoded;
	uint8_t *data;

	if (size_bytes > IDL_VALUE_BYTES - encoded->size_bytes) {
		(void)idl_path_fail(path, put->error, "with this it is longer than %d bytes",
		    IDL_VALUE_BYTES);
		return NULL;
	}
	if (!encoded->data || encoded->size_bytes + size_bytes > encoded->room_bytes) {
		size_t room = (encoded->size_bytes + size_bytes) * 2 + 16;

		data = realloc(encoded->data, room);
		if (!data) {
			(void)idl_path_fail(path, put->error, "out of memory");
			return NULL;
		}
		encoded->data = data;
		encoded->room_bytes = room;
	}
	data = encoded->data + encoded->size_bytes;
	encoded->size_bytes += size_bytes;
	memset(data, 0, size_bytes);
	return data;
}

static int idl_put_32(struct idl_put *put, uint32_t number, const struct idl_path *path)
{
	uint8_t *data = idl_put_room(put, 4, path);

	for (unsigned i = 0; data && i < 4; i++)
		data[i] = (uint8_t)(number >> (24 - 8 * i));
	return data ? 0 : -1;
}

static int idl_put_64(struct idl_put *put, uint64_t number, const struct idl_path *path)
{
	if (idl_put_32(put, (uint32_t)(number >> 32), path) < 0)
		return -1;
	return idl_put_32(put, (uint32_t)number, path);
}

/* Bytes, after their number if the type has no fixed size, filled up to a multiple of four. */
static int idl_put_bytes(struct idl_put *put, const struct idl_type *type, const void *bytes,
    size_t size_bytes, const struct idl_path *path)
{
	bool fixed = type->kind == IDL_OPAQUE_FIXED;
	const char *what = type->kind == IDL_STRING ? "string" : "opaque";
	uint8_t *data;

	if (fixed && size_bytes != type->size)
		return idl_path_fail(path, put->error, "%zu bytes; expected %u", size_bytes,
		    type->size);
	if (size_bytes > type->size)
		return idl_path_fail(path, put->error, "%s longer than %u bytes", what, type->size);
	if (!fixed && idl_put_32(put, (uint32_t)size_bytes, path) < 0)
		return -1;
	data = idl_put_room(put, (size_bytes + 3) & ~(size_t)3, path);
	if (data && size_bytes > 0)
		memcpy(data, bytes, size_bytes);
	return data ? 0 : -1;
}

/* --- What JSON has for it ---------------------------------------------------------------------- */

static const char *idl_json_what(const json_t *json)
{
	static const char *const names[] = { [JSON_OBJECT] = "an object",
		[JSON_ARRAY] = "an array",
		[JSON_STRING] = "a text",
		[JSON_INTEGER] = "a number",
		[JSON_REAL] = "a fraction",
		[JSON_TRUE] = "true",
		[JSON_FALSE] = "false",
		[JSON_NULL] = "null" };

	return json ? names[json_typeof(json)] : "nothing";
}

static int idl_put_expected(struct idl_put *put, const json_t *json, const char *expected,
    const struct idl_path *path)
{
	return idl_path_fail(path, put->error, "%s; expected %s", idl_json_what(json), expected);
}

/* Digits in a text, decimal or 0x.  0, or -1: it is none or has more than 64 bits. */
static int idl_text_number(const json_t *json, bool *ret_negative, uint64_t *ret_magnitude)
{
	const char *text = json_string_value(json);
	bool hex;
	char *end;

	*ret_negative = *text == '-';
	text += *ret_negative;
	hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	text += hex ? 2 : 0;
	if (*text == '\0' || text[strspn(text, hex ? "0123456789abcdefABCDEF" : "0123456789")] ||
	    strlen(json_string_value(json)) != json_string_length(json))
		return -1;
	errno = 0;
	*ret_magnitude = strtoull(text, &end, hex ? 16 : 10);
	return errno == 0 ? 0 : -1;
}

/* An integer from minimum (not above 0) to maximum, as two's complement. */
static int idl_put_integer(struct idl_put *put, const json_t *json, int64_t minimum,
    uint64_t maximum, const struct idl_path *path, uint64_t *ret_number)
{
	bool negative = false;
	uint64_t magnitude;

	if (json_is_integer(json)) {
		json_int_t number = json_integer_value(json);

		negative = number < 0;
		magnitude = negative ? 0 - (uint64_t)number : (uint64_t)number;
	} else if (!json_is_string(json) || idl_text_number(json, &negative, &magnitude) < 0) {
		return idl_put_expected(put, json, "a whole number", path);
	}
	if (negative ? magnitude > 0 - (uint64_t)minimum : magnitude > maximum)
		return idl_path_fail(path, put->error, "out of range; expected %lld to %llu",
		    (long long)minimum, (unsigned long long)maximum);
	*ret_number = negative ? 0 - magnitude : magnitude;
	return 0;
}

static int idl_put_int(struct idl_put *put, const struct idl_type *type, const json_t *json,
    const struct idl_path *path)
{
	bool is_unsigned = type->kind == IDL_UNSIGNED;
	uint64_t span = UINT64_C(1) << type->bits, number;

	if (idl_put_integer(put, json, is_unsigned ? 0 : -(int64_t)(span / 2),
		is_unsigned ? span - 1 : span / 2 - 1, path, &number) < 0)
		return -1;
	return idl_put_32(put, (uint32_t)number, path);
}

static int idl_put_hyper(struct idl_put *put, const struct idl_type *type, const json_t *json,
    const struct idl_path *path)
{
	bool is_unsigned = type->kind == IDL_UNSIGNED_HYPER;
	uint64_t number;

	if (idl_put_integer(put, json, is_unsigned ? 0 : INT64_MIN,
		is_unsigned ? UINT64_MAX : INT64_MAX, path, &number) < 0)
		return -1;
	return idl_put_64(put, number, path);
}

static int idl_put_real(struct idl_put *put, const struct idl_type *type, const json_t *json,
    const struct idl_path *path)
{
	const char *text = json_is_string(json) ? json_string_value(json) : "";
	double number;
	uint64_t bits;
	float single;
	uint32_t single_bits;

	if (json_is_number(json))
		number = json_number_value(json);
	else if (strcmp(text, "NaN") == 0)
		number = NAN;
	else if (strcmp(text, "Infinity") == 0)
		number = INFINITY;
	else if (strcmp(text, "-Infinity") == 0)
		number = -INFINITY;
	else
		return idl_put_expected(put, json,
		    "a number, \"NaN\", \"Infinity\" or \"-Infinity\"", path);
	if (type->kind == IDL_DOUBLE) {
		memcpy(&bits, &number, sizeof(bits));
		return idl_put_64(put, bits, path);
	}
	if (isfinite(number) && (number > (double)FLT_MAX || number < -(double)FLT_MAX))
		return idl_path_fail(path, put->error, "out of the range of a float");
	single = (float)number;
	memcpy(&single_bits, &single, sizeof(single_bits));
	return idl_put_32(put, single_bits, path);
}

static int idl_put_enum(struct idl_put *put, const struct idl_type *type, const json_t *json,
    const struct idl_path *path)
{
	const char *text = json_is_string(json) ? json_string_value(json) : NULL;
	uint64_t number;

	for (size_t i = 0; text && i < type->n_enumerators; i++)
		if (strcmp(text, type->enumerators[i].name) == 0)
			return idl_put_32(put, type->enumerators[i].value, path);
	if (text)
		return idl_path_fail(path, put->error,
		    "there is no value \"%.80s\"; expected %.60s or another of its enum, or a number",
		    text, type->enumerators[0].name);
	if (!json_is_integer(json))
		return idl_put_expected(put, json, "the name of a value, or a number", path);
	if (idl_put_integer(put, json, INT32_MIN, INT32_MAX, path, &number) < 0)
		return -1;
	return idl_put_32(put, (uint32_t)number, path);
}

/* --- Opaque ------------------------------------------------------------------------------------ */

static int idl_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* Returns the number of bytes, or -1: the text is no hex. */
static ssize_t idl_hex_decode(const char *text, size_t size, uint8_t *bytes)
{
	if (size % 2 != 0)
		return -1;
	for (size_t i = 0; i < size; i += 2) {
		int high = idl_hex_digit(text[i]), low = idl_hex_digit(text[i + 1]);

		if (high < 0 || low < 0)
			return -1;
		bytes[i / 2] = (uint8_t)(high << 4 | low);
	}
	return (ssize_t)(size / 2);
}

static int idl_base64_digit(char c)
{
	static const char digits[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *p = c != '\0' ? strchr(digits, c) : NULL;

	return p ? (int)(p - digits) : -1;
}

/* Likewise (RFC 4648 section 4, with its filling). */
static ssize_t idl_base64_decode(const char *text, size_t size, uint8_t *bytes)
{
	uint32_t group = 0;
	size_t n = 0, filled = 0;

	if (size % 4 != 0)
		return -1;
	while (filled < 2 && filled < size && text[size - 1 - filled] == '=')
		filled++;
	for (size_t i = 0; i < size; i++) {
		int digit = i < size - filled ? idl_base64_digit(text[i]) : 0;

		if (digit < 0)
			return -1;
		group = group << 6 | (uint32_t)digit;
		if (i % 4 != 3)
			continue;
		bytes[n++] = (uint8_t)(group >> 16);
		bytes[n++] = (uint8_t)(group >> 8);
		bytes[n++] = (uint8_t)group;
	}
	return (ssize_t)(n - filled);
}

static int idl_put_opaque(struct idl_put *put, const struct idl_type *type, const json_t *json,
    const struct idl_path *path)
{
	static const char expected[] = "{\"hex\": TEXT}, {\"base64\": TEXT} or {\"text\": TEXT}";
	const char *key = NULL, *text;
	const json_t *value = NULL;
	uint8_t *bytes;
	ssize_t n;
	int r;

	if (json_is_object(json) && json_object_size(json) == 1) {
		key = json_object_iter_key(json_object_iter((json_t *)json));
		value = json_object_get(json, key);
	}
	if (!json_is_string(value) ||
	    (strcmp(key, "hex") != 0 && strcmp(key, "base64") != 0 && strcmp(key, "text") != 0))
		return idl_put_expected(put, json, expected, path);
	text = json_string_value(value);
	n = (ssize_t)json_string_length(value);
	if (strcmp(key, "text") == 0)
		return idl_put_bytes(put, type, text, (size_t)n, path);
	bytes = malloc((size_t)n + 1);
	if (!bytes)
		return idl_path_fail(path, put->error, "out of memory");
	n = strcmp(key, "hex") == 0 ? idl_hex_decode(text, (size_t)n, bytes)
				    : idl_base64_decode(text, (size_t)n, bytes);
	r = n < 0 ? idl_path_fail(path, put->error, "the text is no %s", key)
		  : idl_put_bytes(put, type, bytes, (size_t)n, path);
	free(bytes);
	return r;
}

static int idl_put_string(struct idl_put *put, const struct idl_type *type, const json_t *json,
    const struct idl_path *path)
{
	if (json_is_object(json))
		return idl_put_opaque(put, type, json, path);
	if (!json_is_string(json))
		return idl_put_expected(put, json, "a text", path);
	return idl_put_bytes(put, type, json_string_value(json), json_string_length(json), path);
}

/* --- What is made of others -------------------------------------------------------------------- */

static int idl_put_array(struct idl_put *put, const struct idl_type *type, const json_t *json,
    const struct idl_path *path)
{
	bool fixed = type->kind == IDL_ARRAY_FIXED;
	size_t n = json_array_size(json);

	if (!json_is_array(json))
		return idl_put_expected(put, json, "an array", path);
	if (fixed && n != type->size)
		return idl_path_fail(path, put->error, "%zu elements; expected %u", n, type->size);
	if (n > type->size)
		return idl_path_fail(path, put->error, "more than %u elements", type->size);
	if (!fixed && idl_put_32(put, (uint32_t)n, path) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct idl_path step = { .outer = path, .index = i, .depth = path->depth };

		if (idl_put_value(put, type->of, json_array_get(json, i), &step) < 0)
			return -1;
	}
	return 0;
}

/* Says which key of an object has no meaning. */
static int idl_put_check_keys(struct idl_put *put, const json_t *json, const char *const *names,
    size_t n_names, const struct idl_path *path)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)json, key, value)
	{
		size_t i = 0;

		while (i < n_names && strcmp(names[i], key) != 0)
			i++;
		if (i == n_names)
			return idl_path_fail(path, put->error, "there is no member \"%.80s\"", key);
	}
	return 0;
}

static int idl_put_member(struct idl_put *put, const struct idl_member *member, const char *name,
    const json_t *json, const struct idl_path *path)
{
	struct idl_path step = { .outer = path, .name = name, .depth = path->depth };
	const json_t *value = json_object_get(json, name);

	if (!value && idl_type_real(member->type)->kind != IDL_OPTIONAL)
		return idl_path_fail(path, put->error, "the member \"%.80s\" is missing", name);
	return idl_put_value(put, member->type, value, &step);
}

/* The first n members of a struct. */
static int idl_put_members(struct idl_put *put, const struct idl_type *type, size_t n,
    const json_t *json, const struct idl_path *path)
{
	const char **names;
	int r;

	if (!json_is_object(json))
		return idl_put_expected(put, json, "an object", path);
	names = calloc(n, sizeof(*names));
	if (!names)
		return idl_path_fail(path, put->error, "out of memory");
	for (size_t i = 0; i < n; i++)
		names[i] = type->members[i].name;
	r = idl_put_check_keys(put, json, names, n, path);
	free(names);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = idl_put_member(put, &type->members[i], type->members[i].name, json, path);
	return r;
}

/* A list of structs; optional: it begins with whether there is one. */
static int idl_put_list(struct idl_put *put, const struct idl_type *type, const json_t *json,
    bool optional, const struct idl_path *path)
{
	size_t n = json_array_size(json);

	if (!json_is_array(json) && !(optional && (!json || json_is_null(json))))
		return idl_put_expected(put, json, "an array: it is a list", path);
	if (n == 0 && !optional)
		return idl_path_fail(path, put->error, "this list has at least one element");
	if (optional && idl_put_32(put, n > 0, path) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		struct idl_path step = { .outer = path, .index = i, .depth = path->depth };

		if (idl_put_members(put, type, type->n_members - 1, json_array_get(json, i),
			&step) < 0 ||
		    idl_put_32(put, i + 1 < n, &step) < 0)
			return -1;
	}
	return 0;
}

static int idl_put_optional(struct idl_put *put, const struct idl_type *type, const json_t *json,
    const struct idl_path *path)
{
	const struct idl_type *of = idl_type_real(type->of);

	if (of->kind == IDL_STRUCT && of->list)
		return idl_put_list(put, of, json, true, path);
	if (!json || json_is_null(json))
		return idl_put_32(put, 0, path);
	if (idl_put_32(put, 1, path) < 0)
		return -1;
	if (of->kind != IDL_OPTIONAL)
		return idl_put_value(put, of, json, path);
	if (!json_is_array(json) || json_array_size(json) != 1)
		return idl_put_expected(put, json, "null, or an array of one", path);
	return idl_put_value(put, of, json_array_get(json, 0), path);
}

static int idl_put_union(struct idl_put *put, const struct idl_type *type, const json_t *json,
    const struct idl_path *path)
{
	const char *names[2] = { type->discriminant.name, NULL };
	const struct idl_member *arm;
	const uint8_t *data;
	size_t n = 1;

	if (!json_is_object(json))
		return idl_put_expected(put, json, "an object", path);
	if (idl_put_member(put, &type->discriminant, names[0], json, path) < 0)
		return -1;
	data = put->encoded->data + put->encoded->size_bytes - 4;
	arm = idl_union_arm(type,
	    (uint32_t)data[0] << 24 | (uint32_t)data[1] << 16 | (uint32_t)data[2] << 8 | data[3]);
	if (!arm)
		return idl_path_fail(path, put->error, "this \"%.80s\" has no case in the union",
		    names[0]);
	if (arm->name)
		names[n++] = idl_arm_key(type, arm);
	if (idl_put_check_keys(put, json, names, n, path) < 0)
		return -1;
	return arm->name ? idl_put_member(put, arm, names[1], json, path) : 0;
}

static int idl_put_bool(struct idl_put *put, const json_t *json, const struct idl_path *path)
{
	if (!json_is_boolean(json))
		return idl_put_expected(put, json, "true or false", path);
	return idl_put_32(put, json_is_true(json), path);
}

static int idl_put_kind(struct idl_put *put, const struct idl_type *type, const json_t *json,
    const struct idl_path *path)
{
	switch (type->kind) {
	case IDL_INT:
	case IDL_UNSIGNED:
		return idl_put_int(put, type, json, path);
	case IDL_HYPER:
	case IDL_UNSIGNED_HYPER:
		return idl_put_hyper(put, type, json, path);
	case IDL_FLOAT:
	case IDL_DOUBLE:
		return idl_put_real(put, type, json, path);
	case IDL_BOOL:
		return idl_put_bool(put, json, path);
	case IDL_ENUM:
		return idl_put_enum(put, type, json, path);
	case IDL_OPAQUE_FIXED:
	case IDL_OPAQUE:
		return idl_put_opaque(put, type, json, path);
	case IDL_STRING:
		return idl_put_string(put, type, json, path);
	case IDL_ARRAY_FIXED:
	case IDL_ARRAY:
		return idl_put_array(put, type, json, path);
	case IDL_OPTIONAL:
		return idl_put_optional(put, type, json, path);
	case IDL_STRUCT:
		if (type->list)
			return idl_put_list(put, type, json, false, path);
		return idl_put_members(put, type, type->n_members, json, path);
	case IDL_UNION:
		return idl_put_union(put, type, json, path);
	default:
		if (json && !json_is_null(json))
			return idl_put_expected(put, json, "null, for void", path);
		return 0;
	}
}

static int idl_put_value(struct idl_put *put, const struct idl_type *type, const json_t *json,
    const struct idl_path *path)
{
	struct idl_path deeper = *path;

	if (++deeper.depth > IDL_VALUE_DEPTH_MAX)
		return idl_path_fail(path, put->error, "values are more than %d deep in each other",
		    IDL_VALUE_DEPTH_MAX);
	return idl_put_kind(put, idl_type_real(type), json, &deeper);
}

/* --- The whole --------------------------------------------------------------------------------- */

int idl_value_encode(const struct idl_type *type, const json_t *json, struct idl_encoded *encoded,
    struct idl_error *ret_error)
{
	struct idl_put put = { .encoded = encoded, .error = ret_error };
	struct idl_path path = { .depth = 0 };

	return idl_put_value(&put, type, json, &path);
}

int idl_arguments_encode(const struct idl_procedure *procedure, const json_t *json,
    struct idl_encoded *encoded, struct idl_error *ret_error)
{
	struct idl_put put = { .encoded = encoded, .error = ret_error };
	struct idl_path path = { .depth = 0 };
	size_t n = procedure->n_arguments;

	if (n == 0 && json && !json_is_null(json))
		return idl_put_expected(&put, json, "nothing: the procedure has no argument",
		    &path);
	if (n == 1)
		return idl_put_value(&put, procedure->arguments[0], json, &path);
	if (n > 1 && (!json_is_array(json) || json_array_size(json) != n))
		return idl_path_fail(&path, ret_error, "%s; expected an array of %zu arguments",
		    idl_json_what(json), n);
	for (size_t i = 0; i < n; i++) {
		struct idl_path step = { .outer = &path, .index = i };

		if (idl_put_value(&put, procedure->arguments[i], json_array_get(json, i), &step) <
		    0)
			return -1;
	}
	return 0;
}

bool_t idl_encoded_xdr(XDR *xdrs, void *encoded)
{
	const struct idl_encoded *bytes = encoded;

	if (xdrs->x_op != XDR_ENCODE || bytes->size_bytes == 0)
		return xdrs->x_op != XDR_DECODE;
	return xdr_opaque(xdrs, (char *)bytes->data, (u_int)bytes->size_bytes);
}
