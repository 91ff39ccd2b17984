/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_types.c - every type of every interface: what is accepted means the same after it was encoded and
 * decoded again, and our streams agree with the stock one.
 *
 * Input: two bytes that choose the type (types.inc, made by tests/fuzz/list-types from idl/), one of options,
 * and the encoded value.  The length of a re-encoded value may differ from what was read: xdr_string takes a
 * zero byte inside a string, and ends the string there.
 */
#include "tests/fuzz/fuzz.h"

#include "types.inc"

#include "server/services.h"
#include "util/bytes.h"
#include "xdr/stream.h"

#define VALUE_MAX 1024 /* the largest C struct, as DISPATCH_ARGS_MAX */

struct type {
	const char *name;
	uint16_t id;
	xdrproc_t xdr;
	size_t size;
};

#define TYPE(ID, NAME)                                                                             \
	{                                                                                          \
		.name = #NAME, .id = (ID), .xdr = (xdrproc_t)(void (*)(void))xdr_##NAME,           \
		.size = sizeof(NAME)                                                               \
	}

static const struct type types[] = { TYPES };

#define N_TYPES (sizeof(types) / sizeof(types[0]))

enum option {
	OPTION_OWNED = 1, /* the record has an owner, as one that came in parts */
};

struct value {
	_Alignas(max_align_t) unsigned char c[VALUE_MAX];
};

static bool has_place(xdrproc_t xdr)
{
	if (xdr == (xdrproc_t)(void (*)(void))xdr_void)
		return true;
	for (size_t i = 0; i < N_TYPES; i++)
		if (types[i].xdr == xdr)
			return true;
	return false;
}

/* The list is made from idl/; this holds it against what the daemon really serves. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	for (size_t i = 0; i < N_TYPES; i++)
		CLAIM(types[i].size <= VALUE_MAX);
	for (size_t i = 0; services[i]; i++)
		for (size_t j = 0; j < services[i]->n_procedures; j++) {
			CLAIM(has_place(services[i]->procedures[j].args));
			CLAIM(has_place(services[i]->procedures[j].results));
		}
	return 0;
}

static const struct type *choose(unsigned id)
{
	for (size_t i = 0; i < N_TYPES; i++)
		if (types[i].id == id)
			return &types[i];
	return &types[id % N_TYPES];
}

/* Encodes a value by the gather stream, and checks that the stock stream makes the same of it. */
static unsigned char *encode(const struct type *t, struct value *v, size_t *ret_size)
{
	unsigned char *ours, *stock;
	struct gather out;
	XDR xdrs;

	gather_init(&out);
	xdr_gather_create(&xdrs, &out);
	CLAIM(t->xdr(&xdrs, v->c));
	CLAIM(xdr_getpos(&xdrs) == out.size && out.size % 4 == 0);
	CLAIM(gather_own(&out) == 0);
	ours = flatten(&out);
	stock = malloc(out.size ? out.size : 1);
	CLAIM(stock);
	xdrmem_create(&xdrs, (char *)stock, (u_int)out.size, XDR_ENCODE);
	CLAIM(t->xdr(&xdrs, v->c));
	CLAIM(xdr_getpos(&xdrs) == out.size);
	CLAIM(memcmp(ours, stock, out.size) == 0);
	xdr_destroy(&xdrs);
	free(stock);
	*ret_size = out.size;
	gather_clear(&out);
	return ours;
}

/* What was accepted is encoded, decoded and encoded again: the two encodings are equal. */
static void claim_stable(const struct type *t, const unsigned char *first, size_t size)
{
	struct value v = { { 0 } };
	unsigned char *second;
	size_t second_size;
	XDR xdrs;

	xdr_record_create(&xdrs, first, size, NULL);
	CLAIM(t->xdr(&xdrs, v.c));
	CLAIM(xdr_record_left(&xdrs) == 0);
	second = encode(t, &v, &second_size);
	CLAIM(second_size == size && memcmp(first, second, size) == 0);
	free(second);
	xdr_free(t->xdr, (char *)v.c);
}

/* The stock stream accepts the same, and understands it in the same way. */
static void claim_stock_agrees(const struct type *t, const unsigned char *data, size_t size,
    const unsigned char *expected, size_t expected_size)
{
	struct value v = { { 0 } };
	size_t n;
	XDR xdrs;

	xdrmem_create(&xdrs, (char *)(uintptr_t)data, (u_int)size, XDR_DECODE);
	CLAIM(t->xdr(&xdrs, v.c) == (expected != NULL));
	if (expected) {
		unsigned char *encoded = encode(t, &v, &n);

		CLAIM(n == expected_size && memcmp(encoded, expected, n) == 0);
		free(encoded);
	}
	xdr_destroy(&xdrs);
	xdr_free(t->xdr, (char *)v.c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { data, size };
	const struct type *t = choose(input_short(&in));
	unsigned options = input_byte(&in);
	struct bytes *owner = bytes_new(in.left);
	unsigned char *bare = copy_of(in.at, in.left), *encoded = NULL;
	struct value v = { { 0 } };
	size_t n = 0;
	XDR xdrs;

	CLAIM(owner);
	if (in.left)
		memcpy(owner->data, in.at, in.left);
	owner->size = (uint32_t)in.left;
	if (options & OPTION_OWNED)
		xdr_record_create(&xdrs, owner->data, in.left, owner);
	else
		xdr_record_create(&xdrs, bare, in.left, NULL);
	if (t->xdr(&xdrs, v.c)) {
		CLAIM(xdr_record_left(&xdrs) + xdr_getpos(&xdrs) == in.left);
		encoded = encode(t, &v, &n);
		CLAIM(n <= xdr_getpos(&xdrs));
	}
	xdr_free(t->xdr, (char *)v.c);
	CLAIM(owner->refs == 1);
	if (encoded)
		claim_stable(t, encoded, n);
	claim_stock_agrees(t, bare, in.left, encoded, n);
	free(encoded);
	free(bare);
	bytes_unref(owner);
	return 0;
}
