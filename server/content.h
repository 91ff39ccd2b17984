/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * content.h - a long run of bytes that came in payloads, kept without copying the large ones.
 */
#ifndef SERVER_CONTENT_H
#define SERVER_CONTENT_H

#include <stddef.h>
#include <stdint.h>

#include "xdr/blob.h"

struct content {
	ipc9_blob *pieces; /* each with an owner */
	size_t n, capacity;
	uint64_t size_bytes;
};

/* Appends a payload (blob_keep; short ones are gathered in blocks).  0 or -ENOMEM. */
int content_append(struct content *content, const ipc9_blob *payload);

/*
 * The bytes from an offset on, at most max, as far as they lie in one piece: a view without a reference of
 * its own, good while the content stays.  Empty only at the end.
 */
ipc9_blob content_view(const struct content *content, uint64_t offset, size_t max);

void content_clear(struct content *content);

#endif
