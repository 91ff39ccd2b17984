/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * blob.h - payload that is not copied.
 *
 * On the wire an ipc9_blob is opaque<IPC9_BLOB_MAX> (idl/common.x).  Here it refers to memory:
 *
 * - Decoded from a record (xdr/stream.h), data points into the record.  owner is the record's block with a
 *   reference, or NULL where the record lies in memory that is used again when the call returns; then a
 *   blob is good until that return only.  blob_keep makes it last in both cases.
 * - Decoded from any other XDR stream, data points into a block of its own.
 * - Encoded to a gather stream, 2 KiB and more are referred to, if they are a quarter of their block: with owner the stream takes a reference,
 *   without it the memory must stay until the stream was sent or owns it (gather_own).
 *
 * xdr_free drops the reference.
 */
#ifndef XDR_BLOB_H
#define XDR_BLOB_H

#include <rpc/rpc.h>
#include <stdint.h>

#include "util/bytes.h"

#define BLOB_REFER_MIN 2048 /* shorter ones are cheaper to copy than to refer to */

struct ipc9_blob {
	const unsigned char *data;
	uint32_t len;
	struct bytes *owner;
};
typedef struct ipc9_blob ipc9_blob;

bool_t xdr_ipc9_blob(XDR *xdrs, ipc9_blob *blob);

/*
 * Makes the payload last: sets blob's owner, by a reference where the payload is at least half of the
 * block it lies in (a small payload must not hold a large record), else by a copy.  0 or -ENOMEM.
 */
int blob_keep(ipc9_blob *blob);

#endif
