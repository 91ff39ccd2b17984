/* SPDX-License-Identifier: BSD-3-Clause */
/* listen.h - the places where the daemon can be reached: folders, lock, local socket, ports. */
#ifndef SERVER_LISTEN_H
#define SERVER_LISTEN_H

#include "server/daemon.h"

/*
 * Makes the state directory, and locks it against a second daemon.  Both this and listen_local refuse a
 * folder that belongs to somebody else or that others may write to.  0 or -errno, logged.
 */
int listen_lock(struct daemon *daemon);

/* The local socket; a stale one is replaced, one that somebody answers on is not. */
int listen_local(struct daemon *daemon);

/* TCP and UDP, as the configuration says. */
int listen_network(struct daemon *daemon);

#endif
