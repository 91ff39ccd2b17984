/* SPDX-License-Identifier: BSD-3-Clause */
/* reply.h - a reply as the caller takes it apart. */
#ifndef TRANSPORT_REPLY_H
#define TRANSPORT_REPLY_H

#include <rpc/rpc.h>
#include <stddef.h>

#include "util/bytes.h"

/*
 * Decodes the header of a whole reply of size bytes, and its results if it has any; results start from all zero.
 * owner: the block that holds the reply, to which blobs in the results then refer; NULL: the memory is used again
 * soon.  xdr NULL: whatever the results are, they are not wanted.  Returns what the reply says, also in *ret_error;
 * RPC_CANTDECODERES: it is none, or has not the results that xdr expects; with re_errno ENOMEM there was no memory.
 */
enum clnt_stat reply_decode(const unsigned char *data, size_t size, struct bytes *owner,
    xdrproc_t xdr, void *results, struct rpc_err *ret_error);

#endif
