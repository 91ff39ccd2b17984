/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quota.h - how much of the daemon each principal may use.
 *
 * A principal is a local user, a user whom a host claims (and each host's are others), or an anonymous peer's host
 * (transport/hosts.h).  There is a total for each resource, and one rule: nobody takes more than half of what the
 * others leave.  A first greedy user gets half of the total, a second a quarter, and somebody who comes late still
 * gets something.
 *
 * Because principals of networks cost nothing to make, they count together: all anonymous hosts as one, and
 * all whom one host claims as one; and the same rule holds once more for each of them within what these may have.
 *
 * A sixteenth of each total is kept back for local root and the user whom the daemon runs as: they may have it beyond
 * what the rule gives them.
 *
 * What is used is a charge, which lies inside what it pays for and is released with it.  All that lies in one object
 * is paid by the same principal: the object's own charge is the payer of the others.
 */
#ifndef SERVER_QUOTA_H
#define SERVER_QUOTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "server/access.h"

enum quota_resource {
	QUOTA_OBJECTS, /* named things, instances, clients' ends, copies that are being made */
	QUOTA_BYTES,   /* payload that is kept, with what it takes to keep it, and access lists */
	QUOTA_WAITING, /* calls that wait for something */
	QUOTA_CONNECTIONS, /* of local users */
	/*
	 * Connections of networks: limited by the engine, and only counted here.  The total is how many connections there
	 * may be at all: local ones are never given more than is left of that.
	 */
	QUOTA_NETWORK,
	QUOTA_DESCRIPTORS, /* that are kept for somebody */
	QUOTA_RESOURCES
};

struct quota;
struct quota_user;

/* All zero: nothing is charged. */
struct charge {
	struct quota_user *user; /* NULL exactly when amount is 0 */
	enum quota_resource resource;
	uint64_t amount;
};

/* totals: for each resource; copied.  NULL without memory. */
struct quota *quota_new(const uint64_t totals[QUOTA_RESOURCES], uint32_t daemon_uid);
/* All charges have been released. */
struct quota *quota_free(struct quota *quota);

/*
 * Charges so much more to a principal.  charge is all zero, or has been charged to the same one for the same resource.
 * 0; IPC9_STATUS_QUOTA, and nothing has changed; -ENOMEM.
 */
int quota_charge(struct quota *quota, const struct caller *caller, enum quota_resource resource,
    uint64_t amount, struct charge *charge);

/* The same for what something else limits: never IPC9_STATUS_QUOTA, and it may take the sum over the total. */
int quota_count(struct quota *quota, const struct caller *caller, enum quota_resource resource,
    uint64_t amount, struct charge *charge);

/*
 * Charges so much more to whom payer is charged, which is not empty; charge is all zero or has been charged so before.
 * 0; IPC9_STATUS_QUOTA, and nothing has changed.
 */
int charge_add(const struct charge *payer, enum quota_resource resource, uint64_t amount,
    struct charge *charge);

/*
 * Charges what one principal pays for to whom payer is charged, which is not empty; nothing happens where that is the same
 * one.  0; IPC9_STATUS_QUOTA, and nothing has changed.
 */
int charge_move(struct charge *charge, const struct charge *payer);

/* Who pays; good as long as the charge, which is not empty. */
const struct caller *charge_payer(const struct charge *charge);

/* Whether a charge is one of the caller's. */
bool charge_is_of(const struct charge *charge, const struct caller *caller);

/* At most what was charged. */
void charge_shrink(struct charge *charge, uint64_t amount);

/* Gives all of it back; fine when nothing is charged. */
void charge_release(struct charge *charge);

/* What a principal could have of a resource if nothing else changed, its own part included. */
uint64_t quota_share(const struct quota *quota, const struct caller *caller,
    enum quota_resource resource);
uint64_t quota_used(const struct quota *quota, const struct caller *caller,
    enum quota_resource resource);

const char *quota_resource_name(enum quota_resource resource);
uint64_t quota_total(const struct quota *quota, enum quota_resource resource);
/* Of all principals together. */
uint64_t quota_total_used(const struct quota *quota, enum quota_resource resource);

/* One principal's use, for listings. */
struct quota_usage {
	uint64_t
	    id; /* never 0; grows in the order in which principals came, and is new when one comes again */
	struct caller who; /* its ids, or its address */
	uint64_t used[QUOTA_RESOURCES], share[QUOTA_RESOURCES];
};

/* Those who use anything and have an id over `after`, by id, at most max of them; returns how many. */
size_t quota_list(const struct quota *quota, uint64_t after, struct quota_usage *ret_usages,
    size_t max);

/* The caller's own; id 0 and nothing used where they use nothing. */
void quota_own(const struct quota *quota, const struct caller *caller,
    struct quota_usage *ret_usage);

#endif
