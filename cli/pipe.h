/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe.h - what the files of ipc9 pipe share.
 */
#ifndef IPC9_CLI_PIPE_H
#define IPC9_CLI_PIPE_H

#include <jansson.h>

#include "cli/commands.h"
#include "cli/rules.h"
#include "client/ipc9.h"

/* Options for an instance of the pipe that pipe serve makes; rules stay the caller's. */
struct ipc9_pipe_options pipe_serve_options(const struct invocation *invocation,
    const struct rules *rules);

/* pipe serve NAME -- CMD...: serves until it is ended.  The exit status; it may also not return. */
int pipe_serve_commands(struct ipc9 *ipc9, const struct invocation *invocation,
    const struct rules *rules);

/* The verbs call, wait and info. */
int pipe_call(struct ipc9 *ipc9, const struct invocation *invocation);
int pipe_wait(struct ipc9 *ipc9, const struct invocation *invocation);
int pipe_info(struct ipc9 *ipc9, const struct invocation *invocation);

/* How info and ls tell about a pipe. */
const char *pipe_type_word(enum ipc9_pipe_type type);
const char *pipe_access_word(enum ipc9_pipe_access access);
json_t *pipe_json_info(const struct ipc9_pipe_info *info);

#endif
