/* SPDX-License-Identifier: BSD-3-Clause */
/* local.h - finding the daemon of this host by its socket. */
#ifndef CLIENT_LOCAL_H
#define CLIENT_LOCAL_H

#include "client/context.h"

/*
 * Connects to the first of the context's sockets where somebody answers.  A socket in a folder that belongs
 * to none of root, ipc9 and the caller is not touched, and nothing is sent where the kernel says that another user listens.  0; IPC9_E_NODAEMON; IPC9_E_ACCESS; -errno; each
 * with a sentence.
 */
int local_connect(const struct ipc9 *ipc9, int64_t deadline, struct channel **ret_channel,
    struct ipc9_error *ret_error);

#endif
