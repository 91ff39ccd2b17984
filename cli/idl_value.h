/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * idl_value.h - values of the types of an interface file: JSON to XDR and back.
 *
 *	integers	numbers, or texts of decimal or 0x digits; unsigned hyper above 2^63 - 1 comes as a text
 *	enum		the name of a value, or its number; a number comes where there is no name
 *	bool		true, false
 *	float, double	numbers, or "NaN", "Infinity", "-Infinity"
 *	string		text; bytes that are not UTF-8 as for opaque
 *	opaque		{"hex": ...}, {"base64": ...} or {"text": ...}; comes as hex up to 64 bytes, above as base64
 *	array		array
 *	struct		object, with all members but optional ones that are not there
 *	union		object: the discriminant by its name, and the arm by its name unless it is void (if
 *			the two have one name, as "value", or "arm" where that name is "value")
 *	optional	null, or the value; an optional of an optional: null, or an array of one
 *	list		array: of a struct whose last member is an optional one of itself; without that member
 *	void		null
 *
 * Mistakes are told with the path to the value, "$.entries[3].name: ...".
 */
#ifndef IPC9_CLI_IDL_VALUE_H
#define IPC9_CLI_IDL_VALUE_H

#include <rpc/rpc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "cli/idl.h"

#define IDL_VALUE_BYTES (16 * 1024 * 1024) /* the longest value, as XDR */
#define IDL_VALUE_DEPTH_MAX 200		   /* of values in each other; a list counts once */
#define IDL_VALUE_HEX_BYTES 64		   /* longer opaque values come in base64 */

/* Where a value is: a member of `outer`, or its element `index` when name is NULL. */
struct idl_path {
	const struct idl_path *outer; /* NULL: this is the whole */
	const char *name;
	size_t index;
	unsigned depth;
};

/* Notes what is wrong with the value at a path; returns -1. */
int idl_path_fail(const struct idl_path *path, struct idl_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The key of a union's arm that is not void: its name, or another where that is the discriminant's. */
const char *idl_arm_key(const struct idl_type *type, const struct idl_member *arm);

/* --- JSON to XDR ------------------------------------------------------------------------------- */

/* Arguments as they go over the wire.  All zero at first; data is the holder's, to be freed. */
struct idl_encoded {
	uint8_t *data;
	size_t size_bytes, room_bytes;
};

/*
 * Adds a value, which must be of the type; json NULL is null.  0, or -1: *ret_error says what is wrong where, and
 * what was added until then stays.  The type has passed idl_check.
 */
int idl_value_encode(const struct idl_type *type, const json_t *json, struct idl_encoded *encoded,
    struct idl_error *ret_error);

/* The same for all arguments of a procedure: null for none, the value of one, an array of several. */
int idl_arguments_encode(const struct idl_procedure *procedure, const json_t *json,
    struct idl_encoded *encoded, struct idl_error *ret_error);

/* For clnt_call: writes a struct idl_encoded, as often as asked. */
bool_t idl_encoded_xdr(XDR *xdrs, void *encoded);

/* --- XDR to JSON ------------------------------------------------------------------------------- */

struct idl_decoded {
	const struct idl_type *type; /* filled in by the caller, and checked */
	json_t *json;		     /* the holder's; NULL: nothing came */
	struct idl_error error;	     /* why */
};

/*
 * For clnt_call: reads a struct idl_decoded.  Takes nothing that a bound forbids, and no more memory than
 * what came deserves.  FALSE: error says why.
 */
bool_t idl_decoded_xdr(XDR *xdrs, void *decoded);

#endif
