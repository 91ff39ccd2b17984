/* SPDX-License-Identifier: BSD-3-Clause */
/* rpc_shared.h - what the environment says of shared memory for calls, to compare with and without. */
#ifndef CLIENT_RPC_SHARED_H
#define CLIENT_RPC_SHARED_H

/* By IPC9_RPC_SHARED. */
enum rpc_shared_wish {
	RPC_SHARED_USUAL,
	RPC_SHARED_SOON, /* 1: with the first call */
	RPC_SHARED_NEVER /* 0 */
};

enum rpc_shared_wish rpc_shared_wish(void);

#endif
