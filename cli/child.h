/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * child.h - commands run for the clients of a pipe.
 */
#ifndef IPC9_CLI_CHILD_H
#define IPC9_CLI_CHILD_H

#include <signal.h>
#include <stddef.h>
#include <sys/types.h>

#include "client/ipc9.h"

/* How all of a server's commands are run. */
struct child_command {
	char *path;	      /* of the program; owned */
	char **argv;	      /* borrowed */
	sigset_t signal_mask; /* that they get */
};

/* Looks a program up as execvp(3) does.  0 or -errno; then, and only then, child_command_end. */
int child_command_begin(struct child_command *command, char **argv, const sigset_t *signal_mask);
void child_command_end(struct child_command *command);

/*
 * Starts the command for a client, in a process group of its own, with standard input and output on two new
 * pipe(7)s whose other ends the caller owns.  0 or -errno.
 */
int child_start(const struct child_command *command, const struct ipc9_identity *client,
    pid_t *ret_pid, int *ret_stdin_fd, int *ret_stdout_fd);

#define CHILD_STATUS_BYTES 96

/* "exit status 3" or "signal 15 (Terminated)" for what waitpid told; "" if it was a success. */
void child_status_text(int wait_status, char text[CHILD_STATUS_BYTES]);

#endif
