/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stream.h - the two XDR streams of ours: one that encodes onto a gather, one that decodes a record.
 *
 * Both are ordinary XDR handles; xdr_* routines and what rpcgen makes work on them unchanged.  What the
 * record stream adds is that no read passes the record's end, and that an ipc9_blob is not copied; what the
 * gather stream adds is that large payloads are referred to: what is encoded has to stay until the gather owns it.
 */
#ifndef XDR_STREAM_H
#define XDR_STREAM_H

#include <rpc/rpc.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/gather.h"

/* Encodes at the end of out.  Needs no xdr_destroy. */
void xdr_gather_create(XDR *xdrs, struct gather *out);
bool xdr_gather_is(const XDR *xdrs);

/* Adds len bytes and their padding by reference (gather_refer). */
bool_t xdr_gather_refer(XDR *xdrs, const void *data, uint32_t len, struct bytes *owner);

/*
 * Decodes size bytes at data.  owner: the block that holds them, or NULL where the memory is used
 * again soon.  Needs no xdr_destroy.
 */
void xdr_record_create(XDR *xdrs, const unsigned char *data, size_t size, struct bytes *owner);
bool xdr_record_is(const XDR *xdrs);

/*
 * The same for memory that is gone when decoding is done, where the results have to outlast it: an
 * ipc9_blob gets a block of its own.
 */
void xdr_record_create_passing(XDR *xdrs, const unsigned char *data, size_t size);
bool xdr_record_is_passing(const XDR *xdrs);

/*
 * Passes len bytes and their padding and tells where they lie; *ret_owner is a new reference, or NULL as
 * the record has none.  NULL: they are not there.
 */
const unsigned char *xdr_record_take(XDR *xdrs, uint32_t len, struct bytes **ret_owner);

/* Passes len bytes that are there. */
void xdr_record_skip(XDR *xdrs, uint32_t len);

/* How much of the record has not been decoded. */
size_t xdr_record_left(const XDR *xdrs);

/*
 * As xdr_string, but a string with a NUL byte inside does not decode: a C string could only hold its
 * beginning, which is another name.
 */
bool_t xdr_text(XDR *xdrs, char **text, u_int max_len);

#endif
