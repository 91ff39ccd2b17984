/* SPDX-License-Identifier: BSD-3-Clause */
/* status.h - the parts of ipc9 status. */
#ifndef IPC9_CLI_STATUS_H
#define IPC9_CLI_STATUS_H

struct invocation;

/* --rpc: the servers of this host that have a local socket.  The exit status. */
int status_rpc_run(const struct invocation *invocation);

#endif
