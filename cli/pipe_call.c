/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_call.c - ipc9 pipe call, wait, info: what is asked of a pipe by its name.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/io.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/pipe.h"

static void pipe_listing_freep(struct ipc9_pipe_listing **listing)
{
	ipc9_pipe_listing_free(*listing);
}

/* --- Call -------------------------------------------------------------------------------------- */

static int pipe_print_reply(const struct invocation *invocation, const void *reply,
    size_t size_bytes)
{
	json_t *object;
	int r;

	if (!invocation->json)
		return output_data(reply, size_bytes);
	object = json_pack("{s:o}", "size_bytes", output_json_number(size_bytes));
	r = output_json_data(object, reply, size_bytes);
	return output_json(output_json_built(object, r));
}

static int pipe_call_with(struct ipc9 *ipc9, const struct invocation *invocation,
    const void *request, size_t size_bytes)
{
	_cleanup_(io_freep) uint8_t *reply = malloc(IPC9_MESSAGE_BYTES);
	int wait_ms = (int)invocation_number(invocation, "timeout", IPC9_FOREVER);
	struct ipc9_error error;
	bool more;
	size_t size;

	if (!reply)
		return output_no_memory();
	if (ipc9_pipe_call(ipc9, invocation_operand(invocation, 0), request, size_bytes, reply,
		IPC9_MESSAGE_BYTES, wait_ms, &size, &more, &error))
		return output_fail(invocation, &error);
	return pipe_print_reply(invocation, reply, size);
}

int pipe_call(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(io_freep) void *buffer = NULL;
	const void *request;
	size_t size;
	int status = message_take(invocation, 1, &buffer, &request, &size);

	return status ? status : pipe_call_with(ipc9, invocation, request, size);
}

/* --- Wait -------------------------------------------------------------------------------------- */

int pipe_wait(struct ipc9 *ipc9, const struct invocation *invocation)
{
	long long usual =
	    invocation_flag(invocation, "default") ? IPC9_PIPE_DEFAULT_WAIT : IPC9_FOREVER;
	struct ipc9_error error;

	if (ipc9_pipe_wait(ipc9, invocation_operand(invocation, 0),
		(int)invocation_number(invocation, "timeout", usual), &error))
		return output_fail(invocation, &error);
	return 0;
}

/* --- Info -------------------------------------------------------------------------------------- */

const char *pipe_type_word(enum ipc9_pipe_type type)
{
	return type == IPC9_PIPE_TYPE_MESSAGE ? "message" : "byte";
}

const char *pipe_access_word(enum ipc9_pipe_access access)
{
	switch (access) {
	case IPC9_PIPE_ACCESS_INBOUND:
		return "inbound";
	case IPC9_PIPE_ACCESS_OUTBOUND:
		return "outbound";
	case IPC9_PIPE_ACCESS_DUPLEX:
		return "duplex";
	}
	return "other";
}

json_t *pipe_json_info(const struct ipc9_pipe_info *info)
{
	json_t *max = info->max_instances == IPC9_PIPE_NO_LIMIT
	    ? json_null()
	    : json_integer((json_int_t)info->max_instances);

	return json_pack("{s:o, s:o, s:s, s:s, s:I, s:o, s:I, s:b, s:I}", "name",
	    output_json_text(info->name), "owner", output_json_identity(&info->owner), "type",
	    pipe_type_word(info->type), "access", pipe_access_word(info->access), "instances",
	    (json_int_t)info->instances, "max_instances", max, "listening",
	    (json_int_t)info->listening, "local_only", (int)info->local_only, "default_wait_ms",
	    (json_int_t)info->default_wait_ms);
}

static int pipe_print_info(const struct ipc9_pipe_info *info)
{
	char owner[OUTPUT_IDENTITY_BYTES];

	output_identity(&info->owner, owner);
	(void)printf("name:         ");
	output_text(info->name);
	(void)printf("\nowner:        ");
	output_text(owner);
	(void)printf("\ntype:         %s, %s\n", pipe_type_word(info->type),
	    pipe_access_word(info->access));
	(void)printf("instances:    %" PRIu32, info->instances);
	if (info->max_instances != IPC9_PIPE_NO_LIMIT)
		(void)printf(" of %" PRIu32, info->max_instances);
	(void)printf(", %" PRIu32 " free\n", info->listening);
	(void)printf("open to:      %s\n", info->local_only ? "this host only" : "all hosts");
	(void)printf("default wait: %" PRIu32 " ms\n", info->default_wait_ms);
	return output_flush();
}

int pipe_info(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(pipe_listing_freep) struct ipc9_pipe_listing *listing = NULL;
	struct ipc9_error error;

	if (ipc9_pipe_info(ipc9, invocation_operand(invocation, 0), &listing, &error))
		return output_fail(invocation, &error);
	if (invocation->json)
		return output_json(pipe_json_info(&listing->pipes[0]));
	return pipe_print_info(&listing->pipes[0]);
}
