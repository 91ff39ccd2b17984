/* SPDX-License-Identifier: BSD-3-Clause */
/* filemap.h - what filemap.c has of filemap_sync.c. */
#ifndef IPC9_CLI_FILEMAP_H
#define IPC9_CLI_FILEMAP_H

#include "cli/commands.h"

extern const struct option_row filemap_sync_options[];
extern const char filemap_sync_about[];

int filemap_sync(struct ipc9 *ipc9, const struct invocation *invocation);

#endif
