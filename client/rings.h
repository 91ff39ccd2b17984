/* SPDX-License-Identifier: BSD-3-Clause */
/* rings.h - a pipe's data in memory that both processes share (transport/conduit.h). */
#ifndef CLIENT_RINGS_H
#define CLIENT_RINGS_H

#include "client/carrier.h"

/*
 * Takes over, on success, what the daemon gave this end: the memory and its socket.  server: which of the two ends it is.  0;
 * -EPROTO: the memory is not what it should be; -errno.
 */
int rings_new(int memory, int socket, bool server, enum ipc9_pipe_type type, uint32_t quota_bytes,
    struct carrier **ret_carrier);

#endif
