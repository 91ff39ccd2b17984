/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idl_decode.c - XDR to JSON by the types of an interface file.
 *
 * Whoever sent the bytes may lie.  What always holds:
 *  1. Memory is taken for what was read, not for what was announced.
 *  2. The number of JSON values is bounded by the bytes read: types of no bytes, in arrays, cost nothing to send.
 *  3. Only IDL_VALUE_DEPTH_MAX functions deep; lists are followed in a loop.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/content.h"
#include "cli/idl_value.h"

#define IDL_GET_PIECE_BYTES 65536
#define IDL_GET_FREE_VALUES 4096 /* that need no bytes */
#define IDL_GET_BYTE_VALUES 16	 /* more for each byte */

struct idl_get {
	XDR *xdrs;
	struct idl_error *error;
	size_t size_bytes; /* read so far */
	size_t n_values;
};

static json_t *idl_get_value(struct idl_get *get, const struct idl_type *type,
    const struct idl_path *path);

/* --- Bytes ------------------------------------------------------------------------------------- */

static json_t *idl_get_no_memory(struct idl_get *get, const struct idl_path *path)
{
	(void)idl_path_fail(path, get->error, "out of memory");
	return NULL;
}

/* Counts bytes that are about to be read. */
static int idl_get_count(struct idl_get *get, size_t size_bytes, const struct idl_path *path)
{
	if (size_bytes > IDL_VALUE_BYTES - get->size_bytes)
		return idl_path_fail(path, get->error, "with this it is longer than %d bytes",
		    IDL_VALUE_BYTES);
	get->size_bytes += size_bytes;
	return 0;
}

static int idl_get_32(struct idl_get *get, uint32_t *ret_number, const struct idl_path *path)
{
	u_int number;

	if (idl_get_count(get, 4, path) < 0)
		return -1;
	if (!xdr_u_int(get->xdrs, &number))
		return idl_path_fail(path, get->error, "the answer ends here");
	*ret_number = number;
	return 0;
}

static int idl_get_64(struct idl_get *get, uint64_t *ret_number, const struct idl_path *path)
{
	uint32_t high, low;

	if (idl_get_32(get, &high, path) < 0 || idl_get_32(get, &low, path) < 0)
		return -1;
	*ret_number = (uint64_t)high << 32 | low;
	return 0;
}

/* Whether an optional value follows. */
static int idl_get_flag(struct idl_get *get, bool *ret_flag, const struct idl_path *path)
{
	uint32_t number;

	if (idl_get_32(get, &number, path) < 0)
		return -1;
	if (number > 1)
		return idl_path_fail(path, get->error,
		    "%" PRIu32 " where 0 or 1 stands for yes or no", number);
	*ret_flag = number == 1;
	return 0;
}

/* Reads size bytes and what fills them up; NULL after saying why not. */
static uint8_t *idl_get_bytes(struct idl_get *get, size_t size, const struct idl_path *path)
{
	uint8_t *bytes = NULL, *more;
	size_t done = 0;

	if (idl_get_count(get, (size + 3) & ~(size_t)3, path) < 0)
		return NULL;
	do {
		size_t piece =
		    size - done > IDL_GET_PIECE_BYTES ? IDL_GET_PIECE_BYTES : size - done;

		more = realloc(bytes, done + piece + 1);
		if (more)
			bytes = more;
		/* A piece that is not the last has a multiple of four, so that nothing fills it up. */
		if (!more ||
		    (piece > 0 && !xdr_opaque(get->xdrs, (char *)bytes + done, (u_int)piece))) {
			free(bytes);
			if (!more)
				(void)idl_get_no_memory(get, path);
			else
				(void)idl_path_fail(path, get->error, "the answer ends here");
			return NULL;
		}
		done += piece;
	} while (done < size);
	return bytes;
}

/* --- What has no parts ------------------------------------------------------------------------- */

static json_t *idl_get_int(struct idl_get *get, const struct idl_type *type,
    const struct idl_path *path)
{
	uint32_t number;

	if (idl_get_32(get, &number, path) < 0)
		return NULL;
	return type->kind == IDL_INT ? json_integer((int32_t)number) : json_integer(number);
}

static json_t *idl_get_hyper(struct idl_get *get, const struct idl_type *type,
    const struct idl_path *path)
{
	uint64_t number;
	char text[24];

	if (idl_get_64(get, &number, path) < 0)
		return NULL;
	if (type->kind == IDL_HYPER || number <= INT64_MAX)
		return json_integer((json_int_t)number);
	(void)snprintf(text, sizeof(text), "%" PRIu64, number);
	return json_string(text);
}

static json_t *idl_get_real(struct idl_get *get, const struct idl_type *type,
    const struct idl_path *path)
{
	uint64_t bits;
	uint32_t single_bits;
	double number;
	float single;

	if (type->kind == IDL_DOUBLE) {
		if (idl_get_64(get, &bits, path) < 0)
			return NULL;
		memcpy(&number, &bits, sizeof(number));
	} else {
		if (idl_get_32(get, &single_bits, path) < 0)
			return NULL;
		memcpy(&single, &single_bits, sizeof(single));
		number = (double)single;
	}
	if (isnan(number))
		return json_string("NaN");
	if (isinf(number))
		return json_string(number > 0 ? "Infinity" : "-Infinity");
	return json_real(number);
}

static json_t *idl_get_bool(struct idl_get *get, const struct idl_path *path)
{
	bool flag;

	return idl_get_flag(get, &flag, path) < 0 ? NULL : json_boolean(flag);
}

static json_t *idl_get_enum(struct idl_get *get, const struct idl_type *type,
    const struct idl_path *path)
{
	uint32_t number;

	if (idl_get_32(get, &number, path) < 0)
		return NULL;
	for (size_t i = 0; i < type->n_enumerators; i++)
		if (type->enumerators[i].value == number)
			return json_string(type->enumerators[i].name);
	return json_integer((int32_t)number);
}

static json_t *idl_opaque_json(const uint8_t *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char hex[2 * IDL_VALUE_HEX_BYTES + 1], *base64;
	json_t *object = NULL;

	if (size > IDL_VALUE_HEX_BYTES) {
		base64 = content_base64(bytes, size);
		if (base64)
			object = json_pack("{s:s}", "base64", base64);
		free(base64);
		return object;
	}
	for (size_t i = 0; i < size; i++) {
		hex[2 * i] = digits[bytes[i] >> 4];
		hex[2 * i + 1] = digits[bytes[i] & 15];
	}
	hex[2 * size] = '\0';
	return json_pack("{s:s}", "hex", hex);
}

static json_t *idl_get_opaque(struct idl_get *get, const struct idl_type *type,
    const struct idl_path *path)
{
	uint32_t size = type->size;
	uint8_t *bytes;
	json_t *json = NULL;

	if (type->kind != IDL_OPAQUE_FIXED && idl_get_32(get, &size, path) < 0)
		return NULL;
	if (size > type->size) {
		(void)idl_path_fail(path, get->error,
		    "%" PRIu32 " bytes; expected at most %" PRIu32, size, type->size);
		return NULL;
	}
	bytes = idl_get_bytes(get, size, path);
	if (!bytes)
		return NULL;
	if (type->kind == IDL_STRING)
		json = json_stringn((const char *)bytes, size); /* NULL unless it is UTF-8 */
	if (!json)
		json = idl_opaque_json(bytes, size);
	free(bytes);
	return json ? json : idl_get_no_memory(get, path);
}

/* --- What is made of others -------------------------------------------------------------------- */

/* Adds an element that was read (NULL: it was not) to an array. */
static int idl_get_append(struct idl_get *get, json_t *array, json_t *element,
    const struct idl_path *path)
{
	if (!element)
		return -1;
	if (json_array_append_new(array, element) == 0)
		return 0;
	(void)idl_get_no_memory(get, path);
	return -1;
}

static json_t *idl_get_array(struct idl_get *get, const struct idl_type *type,
    const struct idl_path *path)
{
	uint32_t n = type->size;
	json_t *array;
	int r = 0;

	if (type->kind == IDL_ARRAY && idl_get_32(get, &n, path) < 0)
		return NULL;
	if (n > type->size) {
		(void)idl_path_fail(path, get->error,
		    "%" PRIu32 " elements; expected at most %" PRIu32, n, type->size);
		return NULL;
	}
	array = json_array();
	if (!array)
		return idl_get_no_memory(get, path);
	for (uint32_t i = 0; r == 0 && i < n; i++) {
		struct idl_path step = { .outer = path, .index = i, .depth = path->depth };

		r = idl_get_append(get, array, idl_get_value(get, type->of, &step), path);
	}
	if (r == 0)
		return array;
	json_decref(array);
	return NULL;
}

static int idl_get_member(struct idl_get *get, const struct idl_member *member, const char *name,
    json_t *object, const struct idl_path *path)
{
	struct idl_path step = { .outer = path, .name = name, .depth = path->depth };
	json_t *value = idl_get_value(get, member->type, &step);

	if (!value)
		return -1;
	if (json_object_set_new_nocheck(object, name, value) == 0)
		return 0;
	(void)idl_get_no_memory(get, path);
	return -1;
}

/* The first n members of a struct. */
static json_t *idl_get_members(struct idl_get *get, const struct idl_type *type, size_t n,
    const struct idl_path *path)
{
	json_t *object = json_object();
	int r = 0;

	if (!object)
		return idl_get_no_memory(get, path);
	for (size_t i = 0; r == 0 && i < n; i++)
		r = idl_get_member(get, &type->members[i], type->members[i].name, object, path);
	if (r == 0)
		return object;
	json_decref(object);
	return NULL;
}

static int idl_get_count_value(struct idl_get *get, const struct idl_path *path)
{
	if (++get->n_values <= IDL_GET_FREE_VALUES + IDL_GET_BYTE_VALUES * get->size_bytes)
		return 0;
	return idl_path_fail(path, get->error, "too many values without content");
}

/* A list of structs, of which more says whether there is a first. */
static json_t *idl_get_list(struct idl_get *get, const struct idl_type *type, bool more,
    const struct idl_path *path)
{
	json_t *array = json_array();
	int r = 0;

	if (!array)
		return idl_get_no_memory(get, path);
	for (size_t i = 0; r == 0 && more; i++) {
		struct idl_path step = { .outer = path, .index = i, .depth = path->depth };

		r = idl_get_count_value(get, &step);
		if (r == 0)
			r = idl_get_append(get, array,
			    idl_get_members(get, type, type->n_members - 1, &step), path);
		if (r == 0)
			r = idl_get_flag(get, &more, &step);
	}
	if (r == 0)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *idl_get_optional(struct idl_get *get, const struct idl_type *type,
    const struct idl_path *path)
{
	const struct idl_type *of = idl_type_real(type->of);
	json_t *value, *array;
	bool there = false;

	if (idl_get_flag(get, &there, path) < 0)
		return NULL;
	if (of->kind == IDL_STRUCT && of->list)
		return idl_get_list(get, of, there, path);
	if (!there)
		return json_null();
	value = idl_get_value(get, of, path);
	if (!value || of->kind != IDL_OPTIONAL)
		return value;
	array = json_pack("[o]", value);
	return array ? array : idl_get_no_memory(get, path);
}

static json_t *idl_get_union(struct idl_get *get, const struct idl_type *type,
    const struct idl_path *path)
{
	const struct idl_type *of = idl_type_real(type->discriminant.type);
	const char *name = type->discriminant.name;
	const struct idl_member *arm;
	json_t *object = json_object(), *value = NULL;
	uint32_t number = 0;
	int r;

	if (!object)
		return idl_get_no_memory(get, path);
	r = idl_get_32(get, &number, path);
	if (r == 0) {
		char bytes[4] = { (char)(number >> 24), (char)(number >> 16), (char)(number >> 8),
			(char)number };
		struct idl_path step = { .outer = path, .name = name, .depth = path->depth };
		struct idl_get again = { .error = get->error };
		XDR xdrs;

		xdrmem_create(&xdrs, bytes, 4, XDR_DECODE);
		again.xdrs = &xdrs;
		value = idl_get_value(&again, of, &step);
		r = value ? json_object_set_new_nocheck(object, name, value) : -1;
	}
	arm = r == 0 ? idl_union_arm(type, number) : NULL;
	if (r == 0 && !arm)
		r = idl_path_fail(path, get->error,
		    "the \"%.80s\" %" PRIu32 " has no case in the union", name, number);
	if (r == 0 && arm->name)
		r = idl_get_member(get, arm, idl_arm_key(type, arm), object, path);
	if (r == 0)
		return object;
	json_decref(object);
	return NULL;
}

static json_t *idl_get_kind(struct idl_get *get, const struct idl_type *type,
    const struct idl_path *path)
{
	switch (type->kind) {
	case IDL_INT:
	case IDL_UNSIGNED:
		return idl_get_int(get, type, path);
	case IDL_HYPER:
	case IDL_UNSIGNED_HYPER:
		return idl_get_hyper(get, type, path);
	case IDL_FLOAT:
	case IDL_DOUBLE:
		return idl_get_real(get, type, path);
	case IDL_BOOL:
		return idl_get_bool(get, path);
	case IDL_ENUM:
		return idl_get_enum(get, type, path);
	case IDL_OPAQUE_FIXED:
	case IDL_OPAQUE:
	case IDL_STRING:
		return idl_get_opaque(get, type, path);
	case IDL_ARRAY_FIXED:
	case IDL_ARRAY:
		return idl_get_array(get, type, path);
	case IDL_OPTIONAL:
		return idl_get_optional(get, type, path);
	case IDL_STRUCT:
		if (type->list)
			return idl_get_list(get, type, true, path);
		return idl_get_members(get, type, type->n_members, path);
	case IDL_UNION:
		return idl_get_union(get, type, path);
	default:
		return json_null();
	}
}

static json_t *idl_get_value(struct idl_get *get, const struct idl_type *type,
    const struct idl_path *path)
{
	struct idl_path deeper = *path;

	if (++deeper.depth > IDL_VALUE_DEPTH_MAX) {
		(void)idl_path_fail(path, get->error, "values are more than %d deep in each other",
		    IDL_VALUE_DEPTH_MAX);
		return NULL;
	}
	if (idl_get_count_value(get, path) < 0)
		return NULL;
	return idl_get_kind(get, idl_type_real(type), &deeper);
}

bool_t idl_decoded_xdr(XDR *xdrs, void *decoded)
{
	struct idl_decoded *value = decoded;
	struct idl_path path = { .depth = 0 };
	struct idl_get get = { .xdrs = xdrs, .error = &value->error };

	if (xdrs->x_op != XDR_DECODE)
		return xdrs->x_op == XDR_FREE;
	json_decref(value->json);
	value->error.text[0] = '\0';
	value->json = idl_get_value(&get, value->type, &path);
	if (!value->json && value->error.text[0] == '\0')
		(void)idl_get_no_memory(&get, &path);
	return value->json != NULL;
}
