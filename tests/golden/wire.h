/* SPDX-License-Identifier: BSD-3-Clause */
/* wire.h - golden calls sent to a daemon that runs. */
#ifndef TESTS_GOLDEN_WIRE_H
#define TESTS_GOLDEN_WIRE_H

#include <stdint.h>

#include "tests/golden/golden.h"
#include "tests/golden/hex.h"

/* A blocking connection over TCP to a numeric address, or -errno. */
int wire_connect(const char *address, uint16_t port);

/*
 * Sends one call as one record and receives its reply, and checks it: the header says what it should, and the
 * results are whole and right by both codecs.  NULL, or what is wrong.
 */
const char *wire_exchange(int fd, const struct golden *call, const struct golden *ok,
    const struct hex *message);

#endif
