/* SPDX-License-Identifier: BSD-3-Clause */
/* message.h - the message that a command is to send: an operand, or standard input. */
#ifndef IPC9_CLI_MESSAGE_H
#define IPC9_CLI_MESSAGE_H

#include <stddef.h>

#include "cli/commands.h"

/*
 * Takes operand `number`, or where it is missing all of standard input, and one byte more than a message may have at most: the
 * library sees, and says, that it is too long.  *ret_buffer is the caller's to free.  0; or an exit status, and why was said.
 */
int message_take(const struct invocation *invocation, size_t number, void **ret_buffer,
    const void **ret_message, size_t *ret_size);

#endif
