/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * child.h - commands that are run: for the clients of a pipe, or under an object.
 */
#ifndef IPC9_CLI_CHILD_H
#define IPC9_CLI_CHILD_H

#include <signal.h>
#include <stddef.h>

#include "client/ipc9.h"

/* How a command is run, each time. */
struct child_command {
	char *path;	      /* of the program; owned */
	char **argv;	      /* borrowed */
	sigset_t signal_mask; /* that they get */
};

/* Looks a program up as execvp(3) does.  0 or -errno; then, and only then, child_command_end. */
int child_command_begin(struct child_command *command, char **argv, const sigset_t *signal_mask);
void child_command_end(struct child_command *command);

/*
 * Starts the command for a client, in a process group of its own, with standard input and output on two pipe(7)s whose other
 * ends the child has.  As ipc9_spawn.
 */
int child_start(const struct child_command *command, const struct ipc9_identity *client,
    struct ipc9_child **ret_child, struct ipc9_error *ret_error);

/* Starts it with the standard streams and the process group that we have. */
int child_run(const struct child_command *command, struct ipc9_child **ret_child,
    struct ipc9_error *ret_error);

#define CHILD_STATUS_BYTES 96

/* "exit status 3" or "signal 15 (Terminated)" for what waitpid told; "" if it was a success. */
void child_status_text(int wait_status, char text[CHILD_STATUS_BYTES]);

#endif
