/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * record.h - record marking (RFC 5531 section 11), the receiving half, without any socket.
 *
 * Bytes go in as they arrive, records come out.  A record that lies complete in what was fed is handed out in
 * place, without a copy and without an owner; one that arrives in parts is put together in a block that grows
 * with what has arrived, not with what was announced: FIRST_STEP bytes have to come before more than that is
 * set aside.  The announced length is compared with the limit before anything is allocated.
 */
#ifndef TRANSPORT_RECORD_H
#define TRANSPORT_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/shelf.h"

#define RECORD_FIRST_STEP 65536

struct record_reader {
	size_t limit; /* bytes in the longest record taken */
	unsigned char mark[4];
	uint8_t mark_size;	/* bytes of the mark that have arrived */
	bool in_fragment;	/* the mark is complete */
	bool last;		/* of the fragment at hand: it ends the record */
	uint32_t fragment_left; /* bytes of it that have not arrived */
	uint32_t fragments;	/* of the record at hand so far */
	size_t behind;		/* see record_reader_behind */
	struct bytes *partial;	/* what has arrived of the record; NULL: nothing */
	struct shelf *shelf;	/* where large blocks come from and go to; NULL: nowhere */
};

/* Takes one record: size bytes at data; owner is their block, or NULL where they are gone on return. */
typedef void record_fn(void *context, const unsigned char *data, size_t size, struct bytes *owner);

void record_reader_init(struct record_reader *reader, size_t limit);
void record_reader_clear(struct record_reader *reader);

/*
 * Passes size bytes.  0; -EMSGSIZE: a record over the limit, or one in absurdly many fragments; -ENOMEM.
 * After an error the stream is lost: there is no telling where the next record begins.
 */
int record_reader_feed(struct record_reader *reader, const unsigned char *data, size_t size,
    record_fn *fn, void *context);

/*
 * Where the next bytes of the stream belong, so that they can be received there without a copy: *ret_at and
 * the return value's number of bytes; 0 when the reader is not inside a long record.  Then
 * record_reader_filled tells how many came.
 */
size_t record_reader_room(struct record_reader *reader, unsigned char **ret_at);
void record_reader_filled(struct record_reader *reader, size_t size, record_fn *fn, void *context);

/* While a record is handed out: bytes behind it of what was passed to record_reader_feed.  Else 0. */
size_t record_reader_behind(const struct record_reader *reader);

/* A record has begun and has not ended. */
bool record_reader_is_inside(const struct record_reader *reader);

/* Bytes of the fragment at hand that have not come. */
size_t record_reader_missing(const struct record_reader *reader);

/* Bytes that have to come, at least, before a record can be complete; never more than that. */
size_t record_reader_wanted(const struct record_reader *reader);

/* Bytes of the record at hand that have been announced so far. */
size_t record_reader_announced(const struct record_reader *reader);

#endif
