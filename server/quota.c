/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quota.c - see quota.h.
 *
 * 1. used[r] of the quota is the sum of its users' used[r], and a user's is the sum of its charges.
 * 2. No charge takes used[r] over totals[r]; only quota_count may.
 * 3. A user exists exactly as long as something is charged to it.
 * 4. Ids grow along the map's list, where new users stand at the end.
 */
#include "server/quota.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transport/hosts.h"
#include "util/map.h"

/* Who it is, without padding: compared as bytes. */
struct quota_key {
	uint32_t how, uid;
	struct host_key host; /* of anonymous ones */
};

struct quota_user {
	UT_hash_handle hh;
	struct quota_key key;
	uint64_t id;
	struct caller who;
	struct quota *quota;
	uint64_t used[QUOTA_RESOURCES];
};

struct quota {
	struct quota_user *users;
	uint64_t last_id;
	uint64_t totals[QUOTA_RESOURCES], used[QUOTA_RESOURCES];
};

static const char *const names[QUOTA_RESOURCES] = {
	[QUOTA_OBJECTS] = "objects",
	[QUOTA_BYTES] = "bytes",
	[QUOTA_WAITING] = "waiting",
	[QUOTA_CONNECTIONS] = "connections",
	[QUOTA_DESCRIPTORS] = "descriptors",
};

const char *quota_resource_name(enum quota_resource r)
{
	return names[r];
}

struct quota *quota_new(const uint64_t totals[QUOTA_RESOURCES])
{
	struct quota *q = calloc(1, sizeof(*q));

	if (q)
		memcpy(q->totals, totals, sizeof(q->totals));
	return q;
}

struct quota *quota_free(struct quota *q)
{
	assert(!q || !q->users);
	free(q);
	return NULL;
}

uint64_t quota_total(const struct quota *q, enum quota_resource r)
{
	return q->totals[r];
}

uint64_t quota_total_used(const struct quota *q, enum quota_resource r)
{
	return q->used[r];
}

/* --- Users ------------------------------------------------------------------------------------- */

static struct quota_key key_of(const struct caller *c)
{
	struct quota_key key;

	memset(&key, 0, sizeof(key));
	key.how = (uint32_t)c->how;
	if (c->how == IPC9_BY_NONE)
		(void)host_key_of(&c->address, &key.host);
	else
		key.uid = c->uid;
	return key;
}

static struct quota_user *find(const struct quota *q, const struct quota_key *key)
{
	struct quota_user *u;

	HASH_FIND(hh, q->users, key, sizeof(*key), u);
	return u;
}

static struct quota_user *make(struct quota *q, const struct quota_key *key, const struct caller *c)
{
	struct quota_user *u = calloc(1, sizeof(*u));
	bool added;

	if (!u)
		return NULL;
	u->key = *key;
	u->id = ++q->last_id;
	u->who = access_keep(c);
	u->quota = q;
	MAP_ADD_KEY(hh, q->users, &u->key, sizeof(u->key), u, added);
	if (added)
		return u;
	free(u);
	return NULL;
}

static void free_if_unused(struct quota_user *u)
{
	struct quota *q = u->quota;

	for (size_t r = 0; r < QUOTA_RESOURCES; r++)
		if (u->used[r])
			return;
	HASH_DELETE(hh, q->users, u);
	free(u);
}

/* --- Charges ----------------------------------------------------------------------------------- */

/* Half of what the others leave. */
static uint64_t share_of(const struct quota *q, const struct quota_user *u, enum quota_resource r)
{
	uint64_t others = q->used[r] - (u ? u->used[r] : 0);

	return others < q->totals[r] ? (q->totals[r] - others) / 2 : 0;
}

static void take(struct quota_user *u, enum quota_resource r, uint64_t amount,
    struct charge *charge)
{
	u->used[r] += amount;
	u->quota->used[r] += amount;
	charge->user = u;
	charge->resource = r;
	charge->amount += amount;
}

static bool fits(const struct quota_user *u, enum quota_resource r, uint64_t amount)
{
	uint64_t share = share_of(u->quota, u, r);

	return amount <= share && u->used[r] <= share - amount;
}

static int charge_caller(struct quota *q, const struct caller *c, enum quota_resource r,
    uint64_t amount, bool limited, struct charge *charge)
{
	struct quota_key key = key_of(c);
	struct quota_user *u = find(q, &key);

	assert(!charge->user || (charge->user == u && charge->resource == r));
	if (!amount)
		return 0;
	if (!u)
		u = make(q, &key, c);
	if (!u)
		return -ENOMEM;
	if (limited && !fits(u, r, amount)) {
		free_if_unused(u);
		return IPC9_STATUS_QUOTA;
	}
	take(u, r, amount, charge);
	return 0;
}

int quota_charge(struct quota *q, const struct caller *c, enum quota_resource r, uint64_t amount,
    struct charge *charge)
{
	return charge_caller(q, c, r, amount, true, charge);
}

int quota_count(struct quota *q, const struct caller *c, enum quota_resource r, uint64_t amount,
    struct charge *charge)
{
	return charge_caller(q, c, r, amount, false, charge);
}

int charge_add(const struct charge *payer, enum quota_resource r, uint64_t amount,
    struct charge *charge)
{
	assert(payer->user);
	assert(!charge->user || (charge->user == payer->user && charge->resource == r));
	if (!amount)
		return 0;
	if (!fits(payer->user, r, amount))
		return IPC9_STATUS_QUOTA;
	take(payer->user, r, amount, charge);
	return 0;
}

const struct caller *charge_payer(const struct charge *charge)
{
	return &charge->user->who;
}

bool charge_is_of(const struct charge *charge, const struct caller *c)
{
	struct quota_key key = key_of(c);

	return charge->user && memcmp(&charge->user->key, &key, sizeof(key)) == 0;
}

void charge_shrink(struct charge *charge, uint64_t amount)
{
	struct quota_user *u = charge->user;

	assert(amount <= charge->amount);
	if (!u)
		return;
	charge->amount -= amount;
	u->used[charge->resource] -= amount;
	u->quota->used[charge->resource] -= amount;
	if (!charge->amount)
		charge->user = NULL;
	free_if_unused(u);
}

void charge_release(struct charge *charge)
{
	charge_shrink(charge, charge->amount);
}

/* --- Telling ----------------------------------------------------------------------------------- */

uint64_t quota_share(const struct quota *q, const struct caller *c, enum quota_resource r)
{
	struct quota_key key = key_of(c);

	return share_of(q, find(q, &key), r);
}

uint64_t quota_used(const struct quota *q, const struct caller *c, enum quota_resource r)
{
	struct quota_key key = key_of(c);
	const struct quota_user *u = find(q, &key);

	return u ? u->used[r] : 0;
}

static void tell(const struct quota *q, const struct quota_user *u, struct quota_usage *ret)
{
	for (size_t r = 0; r < QUOTA_RESOURCES; r++) {
		ret->used[r] = u ? u->used[r] : 0;
		ret->share[r] = share_of(q, u, (enum quota_resource)r);
	}
	ret->id = u ? u->id : 0;
}

size_t quota_list(const struct quota *q, uint64_t after, struct quota_usage *ret, size_t max)
{
	size_t n = 0;

	for (const struct quota_user *u = q->users; u && n < max; u = u->hh.next) {
		if (u->id <= after)
			continue;
		ret[n].who = u->who;
		tell(q, u, &ret[n++]);
	}
	return n;
}

void quota_own(const struct quota *q, const struct caller *c, struct quota_usage *ret)
{
	struct quota_key key = key_of(c);

	ret->who = access_keep(c);
	tell(q, find(q, &key), ret);
}
