/* SPDX-License-Identifier: BSD-3-Clause */
/* progress.h - how far a long transfer is, for the person at the terminal. */
#ifndef IPC9_CLI_PROGRESS_H
#define IPC9_CLI_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/commands.h"

struct progress {
	bool wanted; /* standard error is a terminal, and -q was not said */
	bool shown;
	uint64_t total; /* bytes; 0: not known */
	int64_t next;	/* when it is shown next */
};

/* Nothing is shown in the first second. */
void progress_begin(struct progress *progress, const struct invocation *invocation, uint64_t total);

/* So many bytes are done. */
void progress_tell(struct progress *progress, uint64_t done);

/* Takes the line away again. */
void progress_end(struct progress *progress);

#endif
