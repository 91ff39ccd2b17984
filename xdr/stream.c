/* SPDX-License-Identifier: BSD-3-Clause */
/* stream.c - see stream.h. */
#include "xdr/stream.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define REFER_MIN 16384 /* bytes of a program's own types that are not copied */

static uint32_t padding(uint32_t len)
{
	return (0u - len) & 3u;
}

static bool_t refuse_getlong(XDR *xdrs, long *value)
{
	(void)xdrs, (void)value;
	return FALSE;
}

static bool_t refuse_putlong(XDR *xdrs, const long *value)
{
	(void)xdrs, (void)value;
	return FALSE;
}

static bool_t refuse_getbytes(XDR *xdrs, char *to, u_int len)
{
	(void)xdrs, (void)to, (void)len;
	return FALSE;
}

static bool_t refuse_putbytes(XDR *xdrs, const char *from, u_int len)
{
	(void)xdrs, (void)from, (void)len;
	return FALSE;
}

static bool_t refuse_setpos(XDR *xdrs, u_int position)
{
	(void)xdrs, (void)position;
	return FALSE;
}

static bool_t refuse_control(XDR *xdrs, int request, void *info)
{
	(void)xdrs, (void)request, (void)info;
	return FALSE;
}

static void nothing_to_destroy(XDR *xdrs)
{
	(void)xdrs;
}

/* --- Gather ------------------------------------------------------------------------------------ */

static struct gather *gather_of(const XDR *xdrs)
{
	return (struct gather *)(void *)xdrs->x_private;
}

static bool_t gather_putlong(XDR *xdrs, const long *value)
{
	unsigned char *at = gather_reserve(gather_of(xdrs), 4);
	uint32_t word = htonl((uint32_t)*value);

	if (!at)
		return FALSE;
	memcpy(at, &word, 4);
	return TRUE;
}

static bool_t gather_putbytes(XDR *xdrs, const char *from, u_int len)
{
	/* xdr routines pass what the caller's value points to, which stays until the call was sent or owned. */
	if (len >= REFER_MIN)
		return gather_refer(gather_of(xdrs), from, len, NULL) == 0;
	return gather_copy(gather_of(xdrs), from, len) == 0;
}

static u_int gather_getpos(XDR *xdrs)
{
	return (u_int)gather_of(xdrs)->size;
}

static int32_t *gather_inline(XDR *xdrs, u_int len)
{
	return (int32_t *)(void *)gather_reserve(gather_of(xdrs), len);
}

static const struct xdr_ops gather_ops = {
	.x_getlong = refuse_getlong,
	.x_putlong = gather_putlong,
	.x_getbytes = refuse_getbytes,
	.x_putbytes = gather_putbytes,
	.x_getpostn = gather_getpos,
	.x_setpostn = refuse_setpos,
	.x_inline = gather_inline,
	.x_destroy = nothing_to_destroy,
	.x_control = refuse_control,
};

void xdr_gather_create(XDR *xdrs, struct gather *out)
{
	memset(xdrs, 0, sizeof(*xdrs));
	xdrs->x_op = XDR_ENCODE;
	xdrs->x_ops = &gather_ops;
	xdrs->x_private = out;
}

bool xdr_gather_is(const XDR *xdrs)
{
	return xdrs->x_ops == &gather_ops;
}

bool_t xdr_gather_refer(XDR *xdrs, const void *data, uint32_t len, struct bytes *owner)
{
	static const unsigned char zeroes[4];

	assert(xdr_gather_is(xdrs));
	return gather_refer(gather_of(xdrs), data, len, owner) == 0 &&
	    gather_copy(gather_of(xdrs), zeroes, padding(len)) == 0;
}

/* --- Record ------------------------------------------------------------------------------------ */

/* x_private: where we are; x_handy: bytes left; x_base: the first byte; x_public: the owner, or passing_mark. */

static const char passing_mark;

static const unsigned char *advance(XDR *xdrs, u_int len)
{
	const unsigned char *at = (const unsigned char *)xdrs->x_private;

	if (len > xdrs->x_handy)
		return NULL;
	xdrs->x_private = (char *)xdrs->x_private + len;
	xdrs->x_handy -= len;
	return at;
}

static bool_t record_getlong(XDR *xdrs, long *value)
{
	const unsigned char *at = advance(xdrs, 4);
	uint32_t word;

	if (!at)
		return FALSE;
	memcpy(&word, at, 4);
	*value = (int32_t)ntohl(word);
	return TRUE;
}

static bool_t record_getbytes(XDR *xdrs, char *to, u_int len)
{
	const unsigned char *at = advance(xdrs, len);

	if (!at)
		return FALSE;
	if (len)
		memcpy(to, at, len);
	return TRUE;
}

static u_int record_getpos(XDR *xdrs)
{
	return (u_int)((char *)xdrs->x_private - (char *)xdrs->x_base);
}

static int32_t *record_inline(XDR *xdrs, u_int len)
{
	/* Callers read words in place; a record that is not aligned is read word by word instead. */
	if ((uintptr_t)xdrs->x_private % sizeof(int32_t))
		return NULL;
	return (int32_t *)(uintptr_t)advance(xdrs, len);
}

static const struct xdr_ops record_ops = {
	.x_getlong = record_getlong,
	.x_putlong = refuse_putlong,
	.x_getbytes = record_getbytes,
	.x_putbytes = refuse_putbytes,
	.x_getpostn = record_getpos,
	.x_setpostn = refuse_setpos,
	.x_inline = record_inline,
	.x_destroy = nothing_to_destroy,
	.x_control = refuse_control,
};

void xdr_record_create(XDR *xdrs, const unsigned char *data, size_t size, struct bytes *owner)
{
	assert(size <= UINT32_MAX);
	memset(xdrs, 0, sizeof(*xdrs));
	xdrs->x_op = XDR_DECODE;
	xdrs->x_ops = &record_ops;
	xdrs->x_private = xdrs->x_base = (void *)(uintptr_t)data;
	xdrs->x_handy = (u_int)size;
	xdrs->x_public = (char *)owner;
}

bool xdr_record_is(const XDR *xdrs)
{
	return xdrs->x_ops == &record_ops;
}

void xdr_record_create_passing(XDR *xdrs, const unsigned char *data, size_t size)
{
	xdr_record_create(xdrs, data, size, NULL);
	xdrs->x_public = (char *)(uintptr_t)&passing_mark;
}

bool xdr_record_is_passing(const XDR *xdrs)
{
	return xdr_record_is(xdrs) && xdrs->x_public == &passing_mark;
}

const unsigned char *xdr_record_take(XDR *xdrs, uint32_t len, struct bytes **ret_owner)
{
	const unsigned char *at;

	assert(xdr_record_is(xdrs));
	/* Compared before the padding is added: a length near 2^32 must not wrap. */
	if (len > xdrs->x_handy || padding(len) > xdrs->x_handy - len)
		return NULL;
	at = advance(xdrs, len + padding(len));
	*ret_owner =
	    xdr_record_is_passing(xdrs) ? NULL : bytes_ref((struct bytes *)(void *)xdrs->x_public);
	return at;
}

void xdr_record_skip(XDR *xdrs, uint32_t len)
{
	assert(xdr_record_is(xdrs) && len <= xdrs->x_handy);
	advance(xdrs, len);
}

size_t xdr_record_left(const XDR *xdrs)
{
	assert(xdr_record_is(xdrs));
	return xdrs->x_handy;
}

/* --- Strings ----------------------------------------------------------------------------------- */

static bool_t decode_text(XDR *xdrs, char **text, u_int max_len)
{
	uint32_t len;
	char *copy;

	if (!xdr_uint32_t(xdrs, &len) || len > max_len)
		return FALSE;
	copy = malloc((size_t)len + 1);
	if (!copy)
		return FALSE;
	if (!xdr_opaque(xdrs, copy, len) || memchr(copy, '\0', len)) {
		free(copy);
		return FALSE;
	}
	copy[len] = '\0';
	*text = copy;
	return TRUE;
}

bool_t xdr_text(XDR *xdrs, char **text, u_int max_len)
{
	return xdrs->x_op == XDR_DECODE ? decode_text(xdrs, text, max_len)
					: xdr_string(xdrs, text, max_len);
}
