/* SPDX-License-Identifier: BSD-3-Clause */
/* services.h - what a mechanism looks like to the daemon, and the list of them. */
#ifndef SERVER_SERVICES_H
#define SERVER_SERVICES_H

#include "rpcgen-out/control.h"
#include "server/dispatch.h"

/* Collects numbers for `ipc9 status`; names are literals. */
struct tally {
	ipc9_number *numbers;
	unsigned n, max;
};
void tally_add(struct tally *tally, const char *name, uint64_t value);

struct named;

struct service {
	const char *name;
	uint32_t program, version;
	const struct procedure *procedures;
	size_t n_procedures;
	/* Both may be NULL where a service has no state.  0 or -errno. */
	int (*start)(struct daemon *daemon, void **ret_state);
	/* Called when all connections are closed. */
	void (*stop)(void *state);
	void (*count)(const void *state, struct tally *tally);
	/*
	 * The rights that its procedures ask of an object, beside being its owner; a line of an object's list names no
	 * others.  It is the table in ipc9-acl(1).
	 */
	unsigned rights;
	bool
	    local; /* beyond this host there is only procedure 0: registered for the local socket alone */
	/* The object of a name, as the request's caller means it; NULL: there is none.  NULL: no named objects. */
	struct named *(*find)(struct request *request, void *state, const char *name);
	/* May be NULL.  An object, which is gone perhaps on return, was given another list. */
	void (*listed)(void *state, struct named *named);
};

/* Ends with NULL. */
extern const struct service *const services[];
#define SERVICES_MAX 16

#endif
