/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * datagram_client.h - calls over UDP: a standard CLIENT handle on a connected datagram socket.
 *
 * A call is sent, and sent again after 100 ms, 200 ms, ... up to every 3 s, each time give or take a quarter,
 * until its reply is there or its deadline has come.  The server may therefore run it more than once, unless it
 * keeps replies for those who ask again (struct server_limits.reply_cache_bytes).
 *
 * The kernel takes datagrams from the server's address and port only.  Of those, replies with another xid
 * (late ones, forged ones) and what is no reply are skipped; they cost no memory, and no call its deadline.
 *
 * What does not fit a datagram ends with an error and is never cut off: arguments with RPC_CANTSEND, a reply with
 * RPC_CANTDECODERES, both with re_errno EMSGSIZE; results that the server cannot send with RPC_SYSTEMERROR.
 * The remedy is a stream (transport/channel.h).
 */
#ifndef TRANSPORT_DATAGRAM_CLIENT_H
#define TRANSPORT_DATAGRAM_CLIENT_H

#include <rpc/rpc.h>
#include <stdbool.h>
#include <stdint.h>

#include "transport/connect.h"

/* A connected, nonblocking datagram socket in *ret_fd; 0 or -errno.  Does not wait, and sends nothing. */
int datagram_open(const struct address *address, int *ret_fd);

/*
 * From a host to such a socket.  Port 0: the host's rpcbind is asked, over UDP, for the program.  Of several addresses
 * the first is taken whose rpcbind, or whose program by its procedure 0, answers; the only address of a host
 * is taken as it is when the port is known.  0 or -errno, then *ret_failure says more.
 */
int datagram_connect(const struct connect_target *target, int64_t deadline, int *ret_fd,
    struct connect_failure *ret_failure);

/*
 * A handle for rpcgen's stubs over a connected datagram socket, which it takes over, unless it is NULL for want
 * of memory.  auth_sys: an AUTH_SYS credential for this process goes with each call, else AUTH_NONE; a caller who
 * replaces cl_auth decides that himself (AUTH_NONE and AUTH_SYS).  For one thread at a time, one call at a time.
 * clnt_destroy frees it.
 *
 * A call ends within CLSET_TIMEOUT's time or, where none was set, the time passed to it; with RPC_TIMEDOUT.
 * It has been sent once even if that is no time at all.  RPC_CANTRECV with ECONNREFUSED: nobody has the port;
 * that comes at once.
 *
 * clnt_control: CLSET_TIMEOUT, CLGET_TIMEOUT, CLSET_RETRY_TIMEOUT and CLGET_RETRY_TIMEOUT (struct timeval; the first
 * pause between two sendings), CLGET_FD, CLSET_FD_CLOSE, CLSET_FD_NCLOSE, CLGET_SERVER_ADDR (struct sockaddr), CLGET_SVC_ADDR
 * (struct netbuf, which stays the handle's), CLGET_XID (of the last call), CLGET_VERS, CLSET_VERS, CLGET_PROG,
 * CLSET_PROG.
 */
CLIENT *datagram_client(int fd, uint32_t program, uint32_t version, bool auth_sys);

/* Where such a handle's calls go, and whether they carry AUTH_SYS; false: it is another library's handle. */
bool datagram_client_address(const CLIENT *client, struct address *ret_address, bool *ret_auth_sys);

#endif
