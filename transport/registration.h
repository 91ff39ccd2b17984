/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * registration.h - a server's entries with the host's rpcbind.
 *
 * A thread of its own sets them at start, looks every 5 s whether they are still there and ours, puts back
 * what is missing (rpcbind was restarted), and removes them at the end.  Everything goes over rpcbind's local
 * socket by our own calls with a deadline, so that the server never waits for it.  Being registered is a way to
 * be found, not a condition.  What fails for a want of memory or descriptors here is tried again, and not taken for an
 * answer of rpcbind.
 */
#ifndef TRANSPORT_REGISTRATION_H
#define TRANSPORT_REGISTRATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/address.h"

struct registration;

struct registration_entry {
	uint32_t program, version;
	char netid[8]; /* tcp, udp, tcp6, udp6, local */
	char universal[ADDRESS_TEXT_SIZE];
};

/*
 * Copies the entries.  socket: rpcbind's, which has to live as long; NULL: where it always is.  logs: changes of state
 * go to util/log.h.  0 or -errno.
 */
int registration_start(const struct registration_entry *entries, size_t n, const char *socket,
    bool logs, struct registration **ret_registration);

/* Removes the entries, trying for at most 2 s; NULL is fine. */
struct registration *registration_stop(struct registration *registration);

/* The state in one sentence. */
void registration_describe(struct registration *registration, char *text, size_t size);

#endif
