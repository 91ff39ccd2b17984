/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_quota.c - how much each principal may use: the rule by itself.
 */
#include "server/quota.h"

#include <stdio.h>
#include <string.h>

#include "tests/harness.h"

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

static struct quota *quota_of(uint64_t total)
{
	const uint64_t totals[QUOTA_RESOURCES] = { total, total, total, total, total };

	return quota_new(totals);
}

static void test_nobody_takes_more_than_half_of_what_the_others_leave(void)
{
	struct quota *q = quota_of(100);
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
	struct quota *q = quota_of(10);
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
	struct quota *q = quota_of(UINT64_MAX);
	const struct caller a = user(1);
	struct charge charge = { 0 };

	EQUAL(quota_charge(q, &a, QUOTA_BYTES, UINT64_MAX, &charge), IPC9_STATUS_QUOTA);
	EQUAL(quota_charge(q, &a, QUOTA_BYTES, 0, &charge), 0);
	EQUAL(n_users(q), 0);
	HOLDS(!charge.user && !charge.amount);
	EQUAL(quota_charge(q, &a, QUOTA_BYTES, UINT64_MAX / 2, &charge), 0);
	EQUAL(quota_charge(q, &a, QUOTA_BYTES, UINT64_MAX, &charge), IPC9_STATUS_QUOTA);
	EQUAL(quota_charge(q, &a, QUOTA_BYTES, UINT64_MAX / 2 + 2, &charge), IPC9_STATUS_QUOTA);
	HOLDS(charge.amount == UINT64_MAX / 2);
	HOLDS(quota_used(q, &a, QUOTA_BYTES) == UINT64_MAX / 2);
	charge_release(&charge);
	charge_release(&charge);
	EQUAL(n_users(q), 0);
	quota_free(q);
}

static void test_a_user_is_there_as_long_as_something_is_charged(void)
{
	struct quota *q = quota_of(100);
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

static bool are_same(const struct caller *a, const struct caller *b)
{
	struct quota *q = quota_of(100);
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
	struct caller a = user(1), b = user(1), claimed = user(1);
	const struct caller six = stranger("2001:db8:1:2::3"), four = stranger("10.0.0.1");
	const struct caller mapped = stranger("::ffff:10.0.0.1");
	const struct caller beside = stranger("2001:db8:1:2:ffff::4"),
			    other6 = stranger("2001:db8:1:3::3");
	const struct caller other4 = stranger("10.0.0.2");

	b.pid = 77, b.gid = 5;
	HOLDS(are_same(&a, &b));
	b.uid = 2;
	HOLDS(!are_same(&a, &b));
	claimed.how = IPC9_BY_CLAIM;
	HOLDS(!are_same(&a, &claimed));
	HOLDS(are_same(&six, &beside));
	HOLDS(!are_same(&six, &other6));
	HOLDS(are_same(&four, &mapped));
	HOLDS(!are_same(&four, &other4));
	HOLDS(!are_same(&four, &a));
}

static void test_what_is_only_counted_goes_over_the_total_and_leaves_the_rest_to_others(void)
{
	struct quota *q = quota_of(100);
	const struct caller host = stranger("10.0.0.1"), a = user(1);
	struct charge counted = { 0 }, charge = { 0 };

	EQUAL(quota_count(q, &host, QUOTA_CONNECTIONS, 90, &counted), 0);
	EQUAL(quota_share(q, &a, QUOTA_CONNECTIONS), 5);
	EQUAL(quota_charge(q, &a, QUOTA_CONNECTIONS, 6, &charge), IPC9_STATUS_QUOTA);
	EQUAL(quota_charge(q, &a, QUOTA_CONNECTIONS, 5, &charge), 0);
	EQUAL(quota_count(q, &host, QUOTA_CONNECTIONS, 20, &counted), 0);
	EQUAL(quota_share(q, &a, QUOTA_CONNECTIONS), 0);
	EQUAL(quota_charge(q, &a, QUOTA_CONNECTIONS, 1, &charge), IPC9_STATUS_QUOTA);
	charge_release(&counted);
	EQUAL(quota_share(q, &a, QUOTA_CONNECTIONS), 50);
	charge_release(&charge);
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

#define MODEL_USERS 5
#define MODEL_CHARGES 6
#define MODEL_TOTAL 1000

struct model {
	struct quota *quota;
	struct charge charges[MODEL_USERS][QUOTA_RESOURCES][MODEL_CHARGES];
	uint64_t amounts[MODEL_USERS][QUOTA_RESOURCES][MODEL_CHARGES];
	uint64_t seed;
};

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

static uint64_t model_all(const struct model *m, int r)
{
	uint64_t used = 0;

	for (uint32_t u = 0; u < MODEL_USERS; u++)
		used += model_used(m, u, r);
	return used;
}

static bool model_agrees(const struct model *m)
{
	size_t n = 0;
	bool good = true;

	for (int r = 0; r < QUOTA_RESOURCES; r++) {
		good &= model_all(m, r) <= MODEL_TOTAL;
		good &= EQUAL(quota_total_used(m->quota, (enum quota_resource)r), model_all(m, r));
	}
	for (uint32_t u = 0; u < MODEL_USERS; u++) {
		const struct caller c = user(u);
		uint64_t any = 0;

		for (int r = 0; r < QUOTA_RESOURCES; r++) {
			uint64_t used = model_used(m, u, r);

			any += used;
			good &= EQUAL(quota_used(m->quota, &c, (enum quota_resource)r), used);
			good &= EQUAL(quota_share(m->quota, &c, (enum quota_resource)r),
			    (MODEL_TOTAL - (model_all(m, r) - used)) / 2);
		}
		n += any > 0;
	}
	return EQUAL(quota_list(m->quota, 0, (struct quota_usage[MODEL_USERS]){ 0 }, MODEL_USERS),
		   n) &&
	    good;
}

static void model_charge(struct model *m, uint32_t u, int r, int i)
{
	uint64_t used = model_used(m, u, r), share = (MODEL_TOTAL - (model_all(m, r) - used)) / 2;
	uint64_t amount = model_random(m, 200);
	const struct caller c = user(u);
	int e = quota_charge(m->quota, &c, (enum quota_resource)r, amount, &m->charges[u][r][i]);

	EQUAL(e, amount && used + amount > share ? IPC9_STATUS_QUOTA : 0);
	if (!e)
		m->amounts[u][r][i] += amount;
}

static void test_any_sequence_keeps_the_sums_and_the_rule(void)
{
	struct model m = { .quota = quota_of(MODEL_TOTAL), .seed = 9 };

	for (int step = 0; step < 20000; step++) {
		uint32_t u = model_random(&m, MODEL_USERS);
		int r = (int)model_random(&m, QUOTA_RESOURCES),
		    i = (int)model_random(&m, MODEL_CHARGES);
		uint32_t what = model_random(&m, 10), part;

		if (what < 5) {
			model_charge(&m, u, r, i);
		} else if (what < 8) {
			charge_release(&m.charges[u][r][i]);
			m.amounts[u][r][i] = 0;
		} else {
			part = model_random(&m, (uint32_t)m.amounts[u][r][i] + 1);
			charge_shrink(&m.charges[u][r][i], part);
			m.amounts[u][r][i] -= part;
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
    TEST(test_a_principal_is_a_user_or_the_host_of_strangers),
    TEST(test_what_is_only_counted_goes_over_the_total_and_leaves_the_rest_to_others),
    TEST(test_a_listing_goes_on_where_the_last_page_ended),
    TEST(test_any_sequence_keeps_the_sums_and_the_rule));
