/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * process.h - other programs of a test: forked, talked to by bytes over a socket, and ended by whoever made them.
 *
 * What runs in them returns 0 or the number of what failed; checks of the harness do not count there.
 */
#ifndef TESTS_PROCESS_H
#define TESTS_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

struct process {
	pid_t pid;
	int fd; /* to the other side; in the process itself too */
};

/* Runs in the process, which exits with its result. */
typedef int process_fn(struct process *self, void *context);

void process_start(struct process *process, process_fn *run, void *context);

/* Both sides: sends a byte; waits for one.  0: the other side is gone. */
void process_tell(struct process *process, char byte);
char process_hear(struct process *process);

/* Kills it. */
void process_kill(struct process *process);

/* Waits until it ends by itself, and checks that its result is 0. */
void process_end(struct process *process);

/* How many descriptors this process has open. */
int process_descriptors(void);

#endif
