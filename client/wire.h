/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire.h - from what came over the wire to what ipc9.h shows: copies that are the caller's own, with texts
 * that are fit to be shown.
 *
 * A listing is one struct, one array per kind of entry, and one block per text; its _free function takes all
 * of it apart, also when it was only half made.
 */
#ifndef CLIENT_WIRE_H
#define CLIENT_WIRE_H

#include "client/ipc9.h"
#include "rpcgen-out/common.h"

/* Entries in a listing of ours; a daemon that goes on telling more is not listened to. */
#define WIRE_LISTING_MAX 1000000

/* NULL without memory.  Goes back by wire_text_free. */
const char *wire_text(const char *text);
void wire_text_free(const char *text);

void wire_identity(const ipc9_caller *caller, struct ipc9_identity *ret_identity);

/*
 * Makes room for n_more zeroed entries after n, in an array that grows page by page.  *array is changed on
 * success only.  0, -ENOMEM, or -EOVERFLOW beyond WIRE_LISTING_MAX.
 */
int wire_grow(void **array, size_t n, size_t n_more, size_t entry_bytes);

#endif
