/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon.h - a real ipc9d for one test: own socket, state directory and free port, no rpcbind.
 *
 * The program is $IPC9D, or ipc9d beside the test program's folder.
 */
#ifndef TESTS_DAEMON_H
#define TESTS_DAEMON_H

#include <rpc/rpc.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "transport/channel.h"

struct daemon_fixture {
	pid_t pid;
	uint16_t port;
	char folder[64], socket[96], config[96];
};

/* configuration: lines of a file, may be "". Ends the program when the daemon does not come up. */
void daemon_start(struct daemon_fixture *daemon, const char *configuration);

/* Ends it by SIGTERM; checks that it ends well (a sanitizer's complaint shows here), and cleans up. */
void daemon_end(struct daemon_fixture *daemon);
void daemon_kill(struct daemon_fixture *daemon);
/* Kills it, and starts another one in its place. */
void daemon_restart(struct daemon_fixture *daemon);

/* A connection of its own for a program: over the local socket, or over TCP on loopback. */
CLIENT *daemon_client(const struct daemon_fixture *daemon, bool local, uint32_t program);

/* The same over TCP, claiming to be uid (AUTH_SYS), or nobody. */
CLIENT *daemon_client_claiming(const struct daemon_fixture *daemon, uint32_t program, uint32_t uid);
CLIENT *daemon_client_anonymous(const struct daemon_fixture *daemon, uint32_t program);

/* Over TCP from 127.0.0.n, which is a host of its own for the daemon. */
CLIENT *daemon_client_from(const struct daemon_fixture *daemon, unsigned n, uint32_t program);

/* Over the local socket as another user of this host, whom the fixture's folder lets in from now on; only root may. */
CLIENT *daemon_client_of(const struct daemon_fixture *daemon, uid_t uid, uint32_t program);

/* clnt_destroy for all of these. */
void daemon_client_end(CLIENT *client);

/* The same as a bare channel, with one reference, for calls that overlap. */
struct channel *daemon_channel(const struct daemon_fixture *daemon, bool local);

/* Milliseconds for each call of a handle from now on (for one that waits: longer). */
void daemon_patience(CLIENT *client, unsigned ms);

#endif
