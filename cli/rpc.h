/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc.h - what the verbs of ipc9 rpc share: hosts, connections, what went wrong in a call, names of programs.
 */
#ifndef IPC9_CLI_RPC_H
#define IPC9_CLI_RPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/ipc9_rpc.h"

struct invocation;

#define EXIT_UNREACHED 4
#define EXIT_REFUSED 5
#define EXIT_VERSION 6

/* --- Hosts ------------------------------------------------------------------------------------- */

/* A HOST as typed: //HOST, //HOST/rpc/PROG, HOST, HOST:PORT, //HOST:PORT, /PATH. */
struct rpc_host {
	const char *text;  /* for ipc9_rpc_client */
	bool asks_rpcbind; /* neither port nor path were said */
	uint32_t program;  /* of //HOST/rpc/PROG; 0: not said */
	/* Where its rpcbind answers, in the order to try; the second may be "". */
	char rpcbind[2][300];
};

/* Understands a HOST.  0, or the exit status after saying what is wrong with it. */
int rpc_host_parse(const struct invocation *invocation, const char *text,
    struct rpc_host *ret_host);

/* --- Calls ------------------------------------------------------------------------------------- */

/* The time for each call and for connecting, by --timeout and IPC9_TIMEOUT: milliseconds or IPC9_FOREVER. */
int rpc_timeout_ms(const struct invocation *invocation);
/* The same as clnt_call takes it. */
struct timeval rpc_timeout(const struct invocation *invocation);

struct rpc_target {
	const char *text;
	uint32_t program, version;
	bool udp, anonymous;
};

/* Connects.  0, or the exit status after saying why not (unless quiet).  End with clnt_destroy. */
int rpc_connect(const struct invocation *invocation, const struct rpc_target *target, bool quiet,
    CLIENT **ret_client);

/* For clnt_call: no arguments, or no results. */
bool_t rpc_nothing_xdr(XDR *xdrs, void *nothing);

/* Says why a call failed, and returns the exit status for it. */
int rpc_fail(CLIENT *client, const struct rpc_target *target);

/* --- Programs ---------------------------------------------------------------------------------- */

/* The name of a program: of ipc9's own, of well-known ones, or of /etc/rpc; NULL: none.  Good until the next call. */
const char *rpc_program_name(uint32_t program);

/* A number, decimal or 0x, or the name of a program.  0, or -1: it is neither. */
int rpc_program_parse(const char *text, uint32_t *ret_program);

/* A number up to 2^32 - 1, decimal or 0x.  0 or -1. */
int rpc_number_parse(const char *text, uint32_t *ret_number);

/* --- rpcbind ----------------------------------------------------------------------------------- */

struct rpc_registration {
	uint32_t program, version;
	char *netid, *address, *owner; /* the listing's */
};

struct rpc_listing {
	size_t n;
	struct rpc_registration *rows; /* sorted by program, version, netid */
};

/*
 * Asks the rpcbind of a host what is registered there, by its version 4, 3 or 2.  0, or the exit status after
 * saying why not (unless quiet).  Free with rpc_listing_clear in both cases.
 */
int rpc_listing_get(const struct invocation *invocation, const struct rpc_host *host, bool quiet,
    struct rpc_listing *ret_listing);
void rpc_listing_clear(struct rpc_listing *listing);

/* --- Verbs ------------------------------------------------------------------------------------- */

int rpc_run_list(struct ipc9 *ipc9, const struct invocation *invocation);
int rpc_run_ping(struct ipc9 *ipc9, const struct invocation *invocation);
int rpc_run_call(struct ipc9 *ipc9, const struct invocation *invocation);

#endif
