/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * codec.h - a golden row as bytes and back, in two ways that know nothing of each other: by the engine (its
 * headers, its gather and record streams) and by libtirpc (xdr_callmsg, xdr_replymsg, xdrmem).
 */
#ifndef TESTS_GOLDEN_CODEC_H
#define TESTS_GOLDEN_CODEC_H

#include <stdbool.h>

#include "tests/golden/golden.h"
#include "tests/golden/hex.h"

enum codec {
	CODEC_ENGINE,
	CODEC_STOCK,
};

/* The row's own values as bytes. */
bool codec_encode(enum codec codec, const struct golden_set *set, const struct golden *row,
    struct hex *ret);

/*
 * Decodes a message of the row's kind and type, all of it, and encodes again what came out; the header's values
 * are those of the message.
 */
bool codec_again(enum codec codec, const struct golden *row, const struct hex *message,
    struct hex *ret);

#endif
