/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * frames.h - a pipe's data as ipc9_pipe_frame records on a stream socket of its own: the STREAM mode of pipe.x.
 *
 * 1. Either side has at most `window` bytes under way that the other's program has not read: the pipe's quota, within which
 *    writes complete, and one message above it.  So what has come always fits the queue, and is taken from the socket
 *    whenever somebody waits here for anything: two ends that both write much do not lock each other.
 *    What finds no room in the socket is kept, and leaves by itself: of data what fits the quota, whose writes so do not depend on
 *    what the socket holds, and what an operation had begun to send.
 * 2. A message is in the queue when its last byte has come; one of which only a part came is never seen.
 * 3. CONSUMED tells the other end what was read: at once when nothing more has come, nor a part of a frame, or when what is
 *    unread has come to fit the quota; else when a quarter of the quota is to be told.
 * 4. What has come takes memory in proportion to its bytes, which the window limits, however small the messages are; empty
 *    ones in a row take no more than one.
 */
#ifndef CLIENT_FRAMES_H
#define CLIENT_FRAMES_H

#include "client/carrier.h"

/*
 * Takes over a connected stream socket, nonblocking, on success.  server: the end of a named pipe's server, or either of an
 * unnamed pipe, which nobody may disconnect; quota_bytes of each direction, as the daemon told both ends.  0 or -errno.
 */
int frames_new(int fd, bool server, enum ipc9_pipe_type type, uint32_t quota_bytes,
    struct carrier **ret_carrier);

#endif
