/* SPDX-License-Identifier: BSD-3-Clause */
/* message.c - see message.h. */
#include "cli/message.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/io.h"
#include "cli/output.h"
#include "client/ipc9.h"

int message_take(const struct invocation *invocation, size_t number, void **ret_buffer,
    const void **ret_message, size_t *ret_size)
{
	const char *operand = invocation_operand(invocation, number);
	int r;

	if (operand) {
		*ret_message = operand;
		*ret_size = strlen(operand);
		return 0;
	}
	*ret_buffer = malloc(IPC9_MESSAGE_BYTES + 1);
	if (!*ret_buffer)
		return output_no_memory();
	r = io_read_full(STDIN_FILENO, *ret_buffer, IPC9_MESSAGE_BYTES + 1, ret_size);
	if (r) {
		output_error("cannot read standard input: %s", strerror(-r));
		return EXIT_FAILED;
	}
	*ret_message = *ret_buffer;
	return 0;
}
