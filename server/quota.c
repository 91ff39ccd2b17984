/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * quota.c - see quota.h.
 *
 * 1. used[r] of the quota is the sum of its users' used[r], a group's that of its own users, and a user's is the sum
 *    of its charges.
 * 2. No charge takes used[r] over limit_of(r); only quota_count may, and what it counts may bring the limit of
 *    connections below what is used of them.
 * 3. A user exists exactly as long as something is charged to it, and a group as long as it has a user.
 * 4. Ids grow along the map's list, where new users stand at the end.
 * 5. reserve[r] is the part of used[r] that was taken from what is kept back.  Only favoured users have any; they take it
 *    last and give it back first, and all together never take more than is kept back.
 */
#include "server/quota.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "transport/hosts.h"
#include "util/map.h"

#define KEPT_BACK 16 /* this part of each total is */

/* Who it is, without padding: compared as bytes. */
struct quota_key {
	uint32_t how, uid;
	struct host_key host; /* of those who are not local */
};

/* Those who share what one may have: all anonymous hosts, or all who are claimed from one host. */
struct quota_group {
	UT_hash_handle hh;
	struct quota_key key; /* without uid, and without host where all hosts are in it */
	size_t n_users;
	uint64_t used[QUOTA_RESOURCES];
};

struct quota_user {
	UT_hash_handle hh;
	struct quota_key key;
	uint64_t id;
	struct caller who;
	struct quota *quota;
	struct quota_group *group; /* NULL of local ones */
	uint64_t used[QUOTA_RESOURCES], reserve[QUOTA_RESOURCES];
};

struct quota {
	struct quota_user *users;
	struct quota_group *groups;
	uint64_t last_id;
	uint32_t daemon_uid;
	uint64_t totals[QUOTA_RESOURCES], used[QUOTA_RESOURCES], reserve[QUOTA_RESOURCES];
};

static const char *const names[QUOTA_RESOURCES] = {
	[QUOTA_OBJECTS] = "objects",
	[QUOTA_BYTES] = "bytes",
	[QUOTA_WAITING] = "waiting",
	[QUOTA_CONNECTIONS] = "connections",
	[QUOTA_NETWORK] = "connections",
	[QUOTA_DESCRIPTORS] = "descriptors",
};

const char *quota_resource_name(enum quota_resource r)
{
	return names[r];
}

struct quota *quota_new(const uint64_t totals[QUOTA_RESOURCES], uint32_t daemon_uid)
{
	struct quota *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	memcpy(q->totals, totals, sizeof(q->totals));
	q->daemon_uid = daemon_uid;
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
	if (c->how != IPC9_BY_NONE)
		key.uid = c->uid;
	if (!c->local)
		(void)host_key_of(&c->address, &key.host);
	return key;
}

static struct quota_key group_key_of(const struct caller *c)
{
	struct quota_key key = key_of(c);

	key.uid = 0;
	if (c->how == IPC9_BY_NONE)
		memset(&key.host, 0, sizeof(key.host));
	return key;
}

static struct quota_user *find(const struct quota *q, const struct quota_key *key)
{
	struct quota_user *u;

	HASH_FIND(hh, q->users, key, sizeof(*key), u);
	return u;
}

static struct quota_group *find_group(const struct quota *q, const struct caller *c)
{
	struct quota_key key = group_key_of(c);
	struct quota_group *g = NULL;

	if (!c->local)
		HASH_FIND(hh, q->groups, &key, sizeof(key), g);
	return g;
}

static void leave_group(struct quota *q, struct quota_group *g)
{
	if (!g || --g->n_users)
		return;
	HASH_DELETE(hh, q->groups, g);
	free(g);
}

/* Enters the group of one who is not local, which is made when it is not there; NULL without memory. */
static struct quota_group *enter_group(struct quota *q, const struct caller *c)
{
	struct quota_group *g = find_group(q, c);
	bool added = true;

	if (!g) {
		g = calloc(1, sizeof(*g));
		if (!g)
			return NULL;
		g->key = group_key_of(c);
		MAP_ADD_KEY(hh, q->groups, &g->key, sizeof(g->key), g, added);
	}
	if (!added) {
		free(g);
		return NULL;
	}
	g->n_users++;
	return g;
}

static struct quota_user *make(struct quota *q, const struct quota_key *key, const struct caller *c)
{
	struct quota_user *u = calloc(1, sizeof(*u));
	bool added = false;

	if (!u)
		return NULL;
	u->key = *key;
	u->who = access_keep(c);
	u->quota = q;
	if (!c->local)
		u->group = enter_group(q, c);
	if (c->local || u->group)
		MAP_ADD_KEY(hh, q->users, &u->key, sizeof(u->key), u, added);
	if (added) {
		u->id = ++q->last_id;
		return u;
	}
	leave_group(q, u->group);
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
	leave_group(q, u->group);
	free(u);
}

/* --- Shares ------------------------------------------------------------------------------------ */

static uint64_t minus(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static uint64_t limit_of(const struct quota *q, enum quota_resource r)
{
	uint64_t left = minus(q->totals[QUOTA_NETWORK], q->used[QUOTA_NETWORK]);

	return r == QUOTA_CONNECTIONS && left < q->totals[r] ? left : q->totals[r];
}

static uint64_t kept_back_of(const struct quota *q, enum quota_resource r)
{
	return limit_of(q, r) / KEPT_BACK;
}

/* Half of what the others leave of so much. */
static uint64_t half_left(uint64_t total, uint64_t used, uint64_t own)
{
	return minus(total, used - own) / 2;
}

/* What anybody may have who is not in a group, without what is kept back; own: what they have of it. */
static uint64_t open_share(const struct quota *q, enum quota_resource r, uint64_t own)
{
	return half_left(limit_of(q, r) - kept_back_of(q, r), q->used[r] - q->reserve[r], own);
}

/* u: the caller's, NULL while nothing is charged to them. */
static uint64_t share_of(const struct quota *q, const struct caller *c, const struct quota_user *u,
    enum quota_resource r)
{
	uint64_t own = u ? u->used[r] - u->reserve[r] : 0, reserve = u ? u->reserve[r] : 0, share;

	if (!c->local) {
		const struct quota_group *g = u ? u->group : find_group(q, c);
		uint64_t together = g ? g->used[r] : 0;

		return half_left(open_share(q, r, together), together, own);
	}
	share = open_share(q, r, own);
	if (!access_runs_daemon(c, q->daemon_uid))
		return share;
	/* Beyond what there was for everybody, also when that has become less than they have. */
	return (share > own ? share : own) + minus(kept_back_of(q, r), q->reserve[r] - reserve);
}

/* --- Charges ----------------------------------------------------------------------------------- */

static bool fits(const struct quota_user *u, enum quota_resource r, uint64_t amount)
{
	uint64_t share = share_of(u->quota, &u->who, u, r);

	return amount <= share && u->used[r] <= share - amount;
}

/* Of an amount that fits: what comes from that which is kept back. */
static uint64_t reserve_in(const struct quota_user *u, enum quota_resource r, uint64_t amount)
{
	uint64_t own = u->used[r] - u->reserve[r];

	if (!access_runs_daemon(&u->who, u->quota->daemon_uid))
		return 0;
	return minus(amount, minus(open_share(u->quota, r, own), own));
}

static void take(struct quota_user *u, enum quota_resource r, uint64_t amount, uint64_t reserve,
    struct charge *charge)
{
	u->used[r] += amount;
	u->reserve[r] += reserve;
	if (u->group)
		u->group->used[r] += amount;
	u->quota->used[r] += amount;
	u->quota->reserve[r] += reserve;
	charge->user = u;
	charge->resource = r;
	charge->amount += amount;
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
	take(u, r, amount, limited ? reserve_in(u, r, amount) : 0, charge);
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
	take(payer->user, r, amount, reserve_in(payer->user, r, amount), charge);
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

/* Of what was charged; the user stays, also without any use.  Returns what went back to that which is kept back. */
static uint64_t give_back(struct quota_user *u, enum quota_resource r, uint64_t amount)
{
	uint64_t reserve = amount < u->reserve[r] ? amount : u->reserve[r];

	u->used[r] -= amount;
	u->reserve[r] -= reserve;
	if (u->group)
		u->group->used[r] -= amount;
	u->quota->used[r] -= amount;
	u->quota->reserve[r] -= reserve;
	return reserve;
}

void charge_shrink(struct charge *charge, uint64_t amount)
{
	struct quota_user *u = charge->user;

	assert(amount <= charge->amount);
	if (!u)
		return;
	give_back(u, charge->resource, amount);
	charge->amount -= amount;
	if (!charge->amount)
		charge->user = NULL;
	free_if_unused(u);
}

int charge_move(struct charge *charge, const struct charge *payer)
{
	const enum quota_resource r = charge->resource;
	struct quota_user *from = charge->user, *to = payer->user;
	const uint64_t amount = charge->amount;
	uint64_t reserve;

	assert(to);
	if (!from || from == to)
		return 0;
	reserve = give_back(from, r, amount);
	charge->amount = 0;
	if (!fits(to, r, amount)) {
		take(from, r, amount, reserve, charge);
		return IPC9_STATUS_QUOTA;
	}
	take(to, r, amount, reserve_in(to, r, amount), charge);
	free_if_unused(from);
	return 0;
}

void charge_release(struct charge *charge)
{
	charge_shrink(charge, charge->amount);
}

/* --- Telling ----------------------------------------------------------------------------------- */

uint64_t quota_share(const struct quota *q, const struct caller *c, enum quota_resource r)
{
	struct quota_key key = key_of(c);

	return share_of(q, c, find(q, &key), r);
}

uint64_t quota_used(const struct quota *q, const struct caller *c, enum quota_resource r)
{
	struct quota_key key = key_of(c);
	const struct quota_user *u = find(q, &key);

	return u ? u->used[r] : 0;
}

static void tell(const struct quota *q, const struct caller *c, const struct quota_user *u,
    struct quota_usage *ret)
{
	ret->who = access_keep(c);
	for (size_t r = 0; r < QUOTA_RESOURCES; r++) {
		ret->used[r] = u ? u->used[r] : 0;
		ret->share[r] = share_of(q, c, u, (enum quota_resource)r);
	}
	ret->id = u ? u->id : 0;
}

size_t quota_list(const struct quota *q, uint64_t after, struct quota_usage *ret, size_t max)
{
	size_t n = 0;

	for (const struct quota_user *u = q->users; u && n < max; u = u->hh.next) {
		if (u->id > after)
			tell(q, &u->who, u, &ret[n++]);
	}
	return n;
}

void quota_own(const struct quota *q, const struct caller *c, struct quota_usage *ret)
{
	struct quota_key key = key_of(c);

	tell(q, c, find(q, &key), ret);
}
