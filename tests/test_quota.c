/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_quota.c - how much each principal may use: the rule by itself.
 */
#include "server/quota.h"

#include <stdio.h>
#include <string.h>

#include "tests/harness.h"

#define DAEMON_UID 700
#define HUNDRED 106 /* a total of which 100 are for everybody, and 6 kept back */

/* --- The rule ---------------------------------------------------------------------------------- */

static struct caller user(uint32_t uid)
{
	return (struct caller){ .how = IPC9_BY_KERNEL, .uid = uid, .local = true };
}

static struct caller stranger(const char *address)
{
	struct caller c = { .how = IPC9_BY_NONE };

	EQUAL(address_parse(address, 700, &c.address), 0);
	return c;
}

static struct caller claimed(uint32_t uid, const char *address)
{
	struct caller c = stranger(address);

	c.how = IPC9_BY_CLAIM;
	c.uid = uid;
	return c;
}

static struct quota *quota_of(uint64_t total)
{
	const uint64_t totals[QUOTA_RESOURCES] = { total, total, total, total, total, total };

	return quota_new(totals, DAEMON_UID);
}

static void test_nobody_takes_more_than_half_of_what_the_others_leave(void)
{
	struct quota *q = quota_of(HUNDRED);
	const struct caller a = user(1), b = user(2), c = user(3);
	struct charge of_a = { 0 }, of_b = { 0 }, of_c = { 0 };

	EQUAL(quota_charge(q, &a, QUOTA_BYTES, 51, &of_a), IPC9_STATUS_QUOTA);
	EQUAL(quota_charge(q, &a, QUOTA_BYTES, 50, &of_a), 0);
	EQUAL(quota_charge(q, &a, QUOTA_BYTES, 1, &of_a), IPC9_STATUS_QUOTA);
	EQUAL(quota_charge(q, &b, QUOTA_BYTES, 26, &of_b), IPC9_STATUS_QUOTA);
	EQUAL(quota_charge(q, &b, QUOTA_BYTES, 25, &of_b), 0);
	EQUAL(quota_charge(q, &c, QUOTA_BYTES, 13, &of_c), IPC9_STATUS_QUOTA);
	EQUAL(quota_charge(q, &c, QUOTA_BYTES, 12, &of_c), 0);
	EQUAL(quota_share(q, &c, QUOTA_BYTES), 12);
	EQUAL(quota_total_used(q, QUOTA_BYTES), 87);
	/* Who was there first keeps what they have, though it is over their share now, and gets no more. */
	EQUAL(quota_share(q, &a, QUOTA_BYTES), 31);
	charge_shrink(&of_a, 10);
	EQUAL(quota_charge(q, &a, QUOTA_BYTES, 1, &of_a), IPC9_STATUS_QUOTA);
	charge_release(&of_a);
	EQUAL(quota_share(q, &b, QUOTA_BYTES), 44);
	EQUAL(quota_charge(q, &b, QUOTA_BYTES, 19, &of_b), 0);
	charge_release(&of_b);
	charge_release(&of_c);
	EQUAL(quota_total_used(q, QUOTA_BYTES), 0);
	quota_free(q);
}

static void test_resources_do_not_count_for_each_other(void)
{
	struct quota *q = quota_of(10); /* too little to keep some back */
	const struct caller a = user(1);
	struct charge charges[QUOTA_RESOURCES] = { 0 };

	for (int r = 0; r < QUOTA_RESOURCES; r++)
		EQUAL(quota_charge(q, &a, (enum quota_resource)r, 5, &charges[r]), 0);
	for (int r = 0; r < QUOTA_RESOURCES; r++)
		charge_release(&charges[r]);
	quota_free(q);
}

static size_t n_users(const struct quota *q)
{
	struct quota_usage usages[4];

	return quota_list(q, 0, usages, 4);
}

static void test_what_is_refused_or_nothing_leaves_no_trace(void)
{
	const uint64_t most = (UINT64_MAX - UINT64_MAX / 16) / 2;
	struct quota *q = quota_of(UINT64_MAX);
	const struct caller a = user(1);
	struct charge charge = { 0 };

	EQUAL(quota_charge(q, &a, QUOTA_BYTES, UINT64_MAX, &charge), IPC9_STATUS_QUOTA);
	EQUAL(quota_charge(q, &a, QUOTA_BYTES, 0, &charge), 0);
	EQUAL(n_users(q), 0);
	HOLDS(!charge.user && !charge.amount);
	EQUAL(quota_charge(q, &a, QUOTA_BYTES, most, &charge), 0);
	EQUAL(quota_charge(q, &a, QUOTA_BYTES, UINT64_MAX, &charge), IPC9_STATUS_QUOTA);
	EQUAL(quota_charge(q, &a, QUOTA_BYTES, UINT64_MAX - most + 1, &charge), IPC9_STATUS_QUOTA);
	HOLDS(charge.amount == most);
	HOLDS(quota_used(q, &a, QUOTA_BYTES) == most);
	charge_release(&charge);
	charge_release(&charge);
	EQUAL(n_users(q), 0);
	quota_free(q);
}

static void test_a_user_is_there_as_long_as_something_is_charged(void)
{
	struct quota *q = quota_of(HUNDRED);
	const struct caller a = user(1);
	struct charge object = { 0 }, bytes = { 0 };

	EQUAL(quota_charge(q, &a, QUOTA_OBJECTS, 1, &object), 0);
	EQUAL(charge_add(&object, QUOTA_BYTES, 7, &bytes), 0);
	EQUAL(charge_add(&object, QUOTA_BYTES, 44, &bytes), IPC9_STATUS_QUOTA);
	HOLDS(charge_is_of(&bytes, &a));
	EQUAL(charge_payer(&bytes)->uid, 1);
	charge_release(&object);
	EQUAL(n_users(q), 1);
	EQUAL(quota_used(q, &a, QUOTA_BYTES), 7);
	charge_shrink(&bytes, 7);
	EQUAL(n_users(q), 0);
	HOLDS(!charge_is_of(&bytes, &a));
	quota_free(q);
}

static void test_a_charge_moves_to_who_has_room_for_it(void)
{
	struct quota *q = quota_of(HUNDRED);
	const struct caller a = user(1), b = user(2);
	struct charge bytes = { 0 }, object = { 0 }, more = { 0 };

	EQUAL(quota_charge(q, &a, QUOTA_BYTES, 50, &bytes), 0);
	EQUAL(quota_charge(q, &b, QUOTA_OBJECTS, 1, &object), 0);
	EQUAL(charge_move(&bytes, &bytes), 0);
	EQUAL(charge_move(&more, &object), 0);
	EQUAL(quota_used(q, &b, QUOTA_BYTES), 0);
	/* What is to come over is not among what the others use. */
	EQUAL(charge_move(&bytes, &object), 0);
	EQUAL(quota_used(q, &a, QUOTA_BYTES), 0);
	EQUAL(quota_used(q, &b, QUOTA_BYTES), 50);
	EQUAL(quota_total_used(q, QUOTA_BYTES), 50);
	EQUAL(n_users(q), 1);
	charge_release(&object);
	EQUAL(quota_charge(q, &a, QUOTA_OBJECTS, 1, &object), 0);
	EQUAL(quota_charge(q, &a, QUOTA_BYTES, 1, &more), 0);
	EQUAL(charge_move(&bytes, &object), IPC9_STATUS_QUOTA);
	EQUAL(quota_used(q, &a, QUOTA_BYTES), 1);
	EQUAL(quota_used(q, &b, QUOTA_BYTES), 50);
	EQUAL(bytes.amount, 50);
	charge_release(&bytes);
	charge_release(&object);
	charge_release(&more);
	EQUAL(quota_total_used(q, QUOTA_BYTES), 0);
	quota_free(q);
}

static bool are_same(const struct caller *a, const struct caller *b)
{
	struct quota *q = quota_of(HUNDRED);
	struct charge charge = { 0 };
	bool same;

	EQUAL(quota_charge(q, a, QUOTA_OBJECTS, 1, &charge), 0);
	same = charge_is_of(&charge, b);
	EQUAL(quota_used(q, b, QUOTA_OBJECTS), same);
	charge_release(&charge);
	quota_free(q);
	return same;
}

static void test_a_principal_is_a_user_or_the_host_of_strangers(void)
{
	struct caller a = user(1), b = user(1), claim = claimed(1, "10.0.0.1");
	const struct caller six = stranger("2001:db8:1:2::3"), four = stranger("10.0.0.1");
	const struct caller mapped = stranger("::ffff:10.0.0.1");
	const struct caller beside = stranger("2001:db8:1:2:ffff::4"),
			    other6 = stranger("2001:db8:1:3::3");
	const struct caller other4 = stranger("10.0.0.2");
	const struct caller again = claimed(1, "::ffff:10.0.0.1"),
			    elsewhere = claimed(1, "10.0.0.2");

	b.pid = 77, b.gid = 5;
	HOLDS(are_same(&a, &b));
	b.uid = 2;
	HOLDS(!are_same(&a, &b));
	HOLDS(!are_same(&a, &claim));
	HOLDS(are_same(&claim, &again));
	HOLDS(!are_same(&claim, &elsewhere));
	HOLDS(!are_same(&claim, &four));
	HOLDS(are_same(&six, &beside));
	HOLDS(!are_same(&six, &other6));
	HOLDS(are_same(&four, &mapped));
	HOLDS(!are_same(&four, &other4));
	HOLDS(!are_same(&four, &a));
}

/* Takes all that somebody gets; what that was. */
static uint64_t take_all(struct quota *q, const struct caller *c, struct charge *charge)
{
	uint64_t all = 0;

	while (quota_charge(q, c, QUOTA_OBJECTS, 1, charge) == 0)
		all++;
	return all;
}

static void test_all_strangers_together_have_the_share_of_one(void)
{
	struct quota *q = quota_of(4096);
	const struct caller a = user(1);
	struct charge charges[200] = { 0 }, of_a = { 0 };
	uint64_t all = 0;
	char host[32];

	for (int i = 0; i < 200; i++) {
		struct caller c;

		snprintf(host, sizeof(host), "10.%d.0.1", i);
		c = stranger(host);
		all += take_all(q, &c, &charges[i]);
		EQUAL(i || all == 960, 1);
	}
	HOLDS(all <= 1920 && all > 1900);
	HOLDS(take_all(q, &a, &of_a) >= 960);
	charge_release(&of_a);
	for (int i = 0; i < 200; i++)
		charge_release(&charges[i]);
	EQUAL(quota_share(q, &a, QUOTA_OBJECTS), 1920);
	EQUAL(n_users(q), 0);
	quota_free(q);
}

static void test_all_whom_a_host_claims_have_together_the_share_of_one(void)
{
	struct quota *q = quota_of(4096);
	const struct caller elsewhere = claimed(1, "10.0.0.2"), here = user(1);
	struct charge charges[200] = { 0 }, of_elsewhere = { 0 }, of_here = { 0 };
	uint64_t all = 0;

	for (uint32_t i = 0; i < 200; i++) {
		const struct caller c = claimed(i, "10.0.0.1");

		all += take_all(q, &c, &charges[i]);
	}
	HOLDS(all <= 1920 && all > 1900);
	HOLDS(take_all(q, &elsewhere, &of_elsewhere) >= 480);
	HOLDS(take_all(q, &here, &of_here) >= 720);
	charge_release(&of_elsewhere);
	charge_release(&of_here);
	for (uint32_t i = 0; i < 200; i++)
		charge_release(&charges[i]);
	EQUAL(quota_share(q, &elsewhere, QUOTA_OBJECTS), 960);
	quota_free(q);
}

static void test_a_sixteenth_is_left_to_root_and_the_daemon_whoever_takes_the_rest(void)
{
	const struct caller root = user(0), own = user(DAEMON_UID), claim = claimed(0, "10.0.0.1");
	struct quota *q = quota_of(4096);
	struct charge charges[100] = { 0 }, of_root = { 0 }, of_own = { 0 }, of_claim = { 0 };

	/* Alone they have half of what is everybody's as well. */
	EQUAL(quota_share(q, &root, QUOTA_OBJECTS), 1920 + 256);
	EQUAL(quota_charge(q, &root, QUOTA_OBJECTS, 1000, &of_root), 0);
	for (uint32_t i = 0; i < 100; i++) {
		const struct caller c = user(1000 + i);

		take_all(q, &c, &charges[i]);
	}
	HOLDS(quota_total_used(q, QUOTA_OBJECTS) >= 3839);
	HOLDS(quota_total_used(q, QUOTA_OBJECTS) <= 3840);
	EQUAL(take_all(q, &claim, &of_claim), 0);
	EQUAL(take_all(q, &own, &of_own), 256);
	EQUAL(take_all(q, &root, &of_root), 0);
	charge_shrink(&of_own, 100);
	EQUAL(quota_share(q, &root, QUOTA_OBJECTS), 1100);
	EQUAL(take_all(q, &root, &of_root), 100);
	/* What they give back is kept back again first. */
	charge_shrink(&of_root, 100);
	for (uint32_t i = 0; i < 100; i++) {
		const struct caller c = user(1000 + i);

		EQUAL(take_all(q, &c, &charges[i]), 0);
	}
	EQUAL(take_all(q, &root, &of_root), 100);
	for (uint32_t i = 0; i < 100; i++)
		charge_release(&charges[i]);
	charge_release(&of_root);
	charge_release(&of_own);
	EQUAL(quota_share(q, &own, QUOTA_OBJECTS), 1920 + 256);
	EQUAL(n_users(q), 0);
	quota_free(q);
}

static void test_connections_of_networks_leave_local_users_theirs_as_long_as_there_are_any(void)
{
	const uint64_t totals[QUOTA_RESOURCES] = {
		[QUOTA_CONNECTIONS] = HUNDRED, [QUOTA_NETWORK] = 200
	};
	struct quota *q = quota_new(totals, DAEMON_UID);
	const struct caller host = stranger("10.0.0.1"), a = user(1), root = user(0);
	struct charge counted = { 0 }, charge = { 0 }, of_root = { 0 };

	EQUAL(quota_count(q, &host, QUOTA_NETWORK, 200 - HUNDRED, &counted), 0);
	EQUAL(quota_share(q, &a, QUOTA_CONNECTIONS), 50);
	EQUAL(quota_total_used(q, QUOTA_CONNECTIONS), 0);
	EQUAL(quota_charge(q, &a, QUOTA_CONNECTIONS, 20, &charge), 0);
	EQUAL(quota_count(q, &host, QUOTA_NETWORK, HUNDRED - 16, &counted), 0);
	EQUAL(quota_share(q, &a, QUOTA_CONNECTIONS), 7);
	EQUAL(quota_charge(q, &a, QUOTA_CONNECTIONS, 1, &charge), IPC9_STATUS_QUOTA);
	EQUAL(quota_charge(q, &root, QUOTA_CONNECTIONS, 2, &of_root), IPC9_STATUS_QUOTA);
	EQUAL(quota_charge(q, &root, QUOTA_CONNECTIONS, 1, &of_root), 0);
	EQUAL(quota_count(q, &host, QUOTA_NETWORK, 20, &counted), 0); /* over the total */
	EQUAL(quota_share(q, &a, QUOTA_CONNECTIONS), 0);
	charge_release(&counted);
	EQUAL(quota_share(q, &a, QUOTA_CONNECTIONS), 50);
	charge_release(&charge);
	charge_release(&of_root);
	EQUAL(n_users(q), 0);
	quota_free(q);
}

static void test_a_listing_goes_on_where_the_last_page_ended(void)
{
	struct quota *q = quota_of(100000);
	struct charge charges[50] = { 0 };
	struct quota_usage page[8];
	uint64_t after = 0;
	uint32_t want = 0;
	size_t n;

	for (uint32_t i = 0; i < 50; i++) {
		const struct caller c = user(i);

		EQUAL(quota_charge(q, &c, QUOTA_OBJECTS, i + 1, &charges[i]), 0);
	}
	while ((n = quota_list(q, after, page, 8)) > 0) {
		for (size_t i = 0; i < n; i++) {
			HOLDS(page[i].id > after);
			EQUAL(page[i].who.uid, want);
			EQUAL(page[i].used[QUOTA_OBJECTS], want + 1);
			after = page[i].id;
			want += want == 16 ? 2 : 1;
		}
		charge_release(&charges[17]); /* between two pages */
	}
	EQUAL(want, 50);
	for (size_t i = 0; i < 50; i++)
		charge_release(&charges[i]);
	quota_free(q);
}

/* --- Against a model --------------------------------------------------------------------------- */

#define MODEL_USERS 9
#define MODEL_CHARGES 4
#define MODEL_TOTAL 1000
#define MODEL_KEPT 62

struct model {
	struct quota *quota;
	struct caller who[MODEL_USERS];
	int groups[MODEL_USERS]; /* those with the same number; 0: none */
	bool favored[MODEL_USERS];
	struct charge charges[MODEL_USERS][QUOTA_RESOURCES][MODEL_CHARGES];
	uint64_t amounts[MODEL_USERS][QUOTA_RESOURCES][MODEL_CHARGES];
	uint64_t reserve[MODEL_USERS][QUOTA_RESOURCES];
	uint64_t seed;
};

static void model_begin(struct model *m)
{
	const struct caller who[MODEL_USERS] = { user(1), user(2), user(0), user(DAEMON_UID),
		stranger("10.0.0.1"), stranger("10.0.0.2"), claimed(1, "10.0.0.1"),
		claimed(2, "10.0.0.1"), claimed(1, "10.0.0.2") };
	const int groups[MODEL_USERS] = { 0, 0, 0, 0, 1, 1, 2, 2, 3 };

	memset(m, 0, sizeof(*m));
	memcpy(m->who, who, sizeof(who));
	memcpy(m->groups, groups, sizeof(groups));
	m->favored[2] = m->favored[3] = true;
	m->quota = quota_of(MODEL_TOTAL);
	m->seed = 9;
}

static uint32_t model_random(struct model *m, uint32_t below)
{
	m->seed = m->seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(m->seed >> 33) % below;
}

static uint64_t model_used(const struct model *m, uint32_t u, int r)
{
	uint64_t used = 0;

	for (int i = 0; i < MODEL_CHARGES; i++)
		used += m->amounts[u][r][i];
	return used;
}

/* What all have who are in a group, or in any; without what was kept back. */
static uint64_t model_open(const struct model *m, int group, int r)
{
	uint64_t used = 0;

	for (uint32_t u = 0; u < MODEL_USERS; u++)
		if (group < 0 || m->groups[u] == group)
			used += model_used(m, u, r) - m->reserve[u][r];
	return used;
}

static uint64_t model_reserve(const struct model *m, int r)
{
	uint64_t used = 0;

	for (uint32_t u = 0; u < MODEL_USERS; u++)
		used += m->reserve[u][r];
	return used;
}

static uint64_t model_open_share(const struct model *m, uint32_t u, int r)
{
	uint64_t own = model_used(m, u, r) - m->reserve[u][r], all = model_open(m, -1, r);
	uint64_t total = MODEL_TOTAL - MODEL_KEPT, group;

	if (!m->groups[u])
		return (total - (all - own)) / 2;
	group = model_open(m, m->groups[u], r);
	total = (total - (all - group)) / 2;
	return total > group - own ? (total - (group - own)) / 2 : 0;
}

static uint64_t model_share(const struct model *m, uint32_t u, int r)
{
	uint64_t own = model_used(m, u, r) - m->reserve[u][r], share = model_open_share(m, u, r);

	if (m->favored[u])
		return (own > share ? own : share) + MODEL_KEPT -
		    (model_reserve(m, r) - m->reserve[u][r]);
	return share;
}

static bool model_agrees(const struct model *m)
{
	struct quota_usage usages[MODEL_USERS];
	bool good = true;
	size_t n = 0;

	for (int r = 0; r < QUOTA_RESOURCES; r++) {
		uint64_t all = model_open(m, -1, r);

		good &= all <= MODEL_TOTAL - MODEL_KEPT && model_reserve(m, r) <= MODEL_KEPT;
		good &= EQUAL(quota_total_used(m->quota, (enum quota_resource)r),
		    all + model_reserve(m, r));
	}
	for (uint32_t u = 0; u < MODEL_USERS; u++) {
		const struct caller *c = &m->who[u];
		uint64_t any = 0;

		for (int r = 0; r < QUOTA_RESOURCES; r++) {
			uint64_t used = model_used(m, u, r);

			any += used;
			good &= EQUAL(quota_used(m->quota, c, (enum quota_resource)r), used);
			good &= EQUAL(quota_share(m->quota, c, (enum quota_resource)r),
			    model_share(m, u, r));
		}
		n += any > 0;
	}
	return EQUAL(quota_list(m->quota, 0, usages, MODEL_USERS), n) && good;
}

static void model_charge(struct model *m, uint32_t u, int r, int i)
{
	uint64_t used = model_used(m, u, r), own = used - m->reserve[u][r];
	uint64_t open = model_open_share(m, u, r), share = model_share(m, u, r);
	uint64_t amount = model_random(m, 200);
	int e = quota_charge(m->quota, &m->who[u], (enum quota_resource)r, amount,
	    &m->charges[u][r][i]);

	EQUAL(e, amount && used + amount > share ? IPC9_STATUS_QUOTA : 0);
	if (e)
		return;
	m->amounts[u][r][i] += amount;
	if (m->favored[u]) /* what is everybody's first */
		m->reserve[u][r] += own + amount <= open ? 0
		    : own < open			 ? own + amount - open
							 : amount;
}

static void model_give_back(struct model *m, uint32_t u, int r, int i, uint64_t amount)
{
	m->amounts[u][r][i] -= amount;
	m->reserve[u][r] -= amount < m->reserve[u][r] ? amount : m->reserve[u][r];
}

static void test_any_sequence_keeps_the_sums_and_the_rule(void)
{
	struct model m;

	model_begin(&m);
	for (int step = 0; step < 20000; step++) {
		uint32_t u = model_random(&m, MODEL_USERS);
		int r = (int)model_random(&m,
			QUOTA_NETWORK), /* which would change another's limit */
		    i = (int)model_random(&m, MODEL_CHARGES);
		uint32_t what = model_random(&m, 10), part;

		if (what < 6) {
			model_charge(&m, u, r, i);
		} else if (what < 8) {
			charge_release(&m.charges[u][r][i]);
			model_give_back(&m, u, r, i, m.amounts[u][r][i]);
		} else {
			part = model_random(&m, (uint32_t)m.amounts[u][r][i] + 1);
			charge_shrink(&m.charges[u][r][i], part);
			model_give_back(&m, u, r, i, part);
		}
		if (!model_agrees(&m)) {
			printf("  step %d\n", step);
			break;
		}
	}
	for (uint32_t u = 0; u < MODEL_USERS; u++)
		for (int r = 0; r < QUOTA_RESOURCES; r++)
			for (int i = 0; i < MODEL_CHARGES; i++)
				charge_release(&m.charges[u][r][i]);
	EQUAL(n_users(m.quota), 0);
	quota_free(m.quota);
}

SUITE(quota, TEST(test_nobody_takes_more_than_half_of_what_the_others_leave),
    TEST(test_resources_do_not_count_for_each_other),
    TEST(test_what_is_refused_or_nothing_leaves_no_trace),
    TEST(test_a_user_is_there_as_long_as_something_is_charged),
    TEST(test_a_charge_moves_to_who_has_room_for_it),
    TEST(test_a_principal_is_a_user_or_the_host_of_strangers),
    TEST(test_all_strangers_together_have_the_share_of_one),
    TEST(test_all_whom_a_host_claims_have_together_the_share_of_one),
    TEST(test_a_sixteenth_is_left_to_root_and_the_daemon_whoever_takes_the_rest),
    TEST(test_connections_of_networks_leave_local_users_theirs_as_long_as_there_are_any),
    TEST(test_a_listing_goes_on_where_the_last_page_ended),
    TEST(test_any_sequence_keeps_the_sums_and_the_rule));
