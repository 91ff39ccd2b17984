/* SPDX-License-Identifier: BSD-3-Clause */
/* blob.c - see blob.h. */
#include "xdr/blob.h"

#include <errno.h>
#include <string.h>

#include "rpcgen-out/common.h"
#include "xdr/stream.h"

static int copy_out(ipc9_blob *blob)
{
	struct bytes *copy = bytes_new(blob->len);

	if (!copy)
		return -ENOMEM;
	if (blob->len)
		memcpy(copy->data, blob->data, blob->len);
	copy->size = blob->len;
	bytes_unref(blob->owner);
	blob->owner = copy;
	blob->data = copy->data;
	return 0;
}

int blob_keep(ipc9_blob *blob)
{
	if (blob->owner && blob->len >= blob->owner->capacity / 2)
		return 0;
	return copy_out(blob);
}

static bool_t encode(XDR *xdrs, ipc9_blob *blob)
{
	uint32_t len = blob->len;

	if (len > IPC9_BLOB_MAX || !xdr_uint32_t(xdrs, &len))
		return FALSE;
	/* A small part of a large block is copied: replies that nobody reads must not hold the block. */
	if (len >= BLOB_REFER_MIN && xdr_gather_is(xdrs) &&
	    (!blob->owner || len >= blob->owner->capacity / 4))
		return xdr_gather_refer(xdrs, blob->data, len, blob->owner);
	return xdr_opaque(xdrs, (char *)(uintptr_t)blob->data, len);
}

static bool_t decode(XDR *xdrs, ipc9_blob *blob)
{
	uint32_t len;

	if (!xdr_uint32_t(xdrs, &len) || len > IPC9_BLOB_MAX)
		return FALSE;
	blob->len = len;
	if (xdr_record_is(xdrs)) {
		blob->data = xdr_record_take(xdrs, len, &blob->owner);
		return blob->data && (!xdr_record_is_passing(xdrs) || copy_out(blob) == 0);
	}
	blob->owner = bytes_new(len);
	if (!blob->owner)
		return FALSE;
	blob->owner->size = len;
	blob->data = blob->owner->data;
	return xdr_opaque(xdrs, (char *)blob->owner->data, len);
}

bool_t xdr_ipc9_blob(XDR *xdrs, ipc9_blob *blob)
{
	switch (xdrs->x_op) {
	case XDR_ENCODE:
		return encode(xdrs, blob);
	case XDR_DECODE:
		return decode(xdrs, blob);
	case XDR_FREE:
		blob->owner = bytes_unref(blob->owner);
		blob->data = NULL;
		blob->len = 0;
		return TRUE;
	}
	return FALSE;
}
