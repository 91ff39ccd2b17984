/* SPDX-License-Identifier: BSD-3-Clause */
/* test_rules.c - access rules as text, what a decision says of itself, and callers that are made up to try it. */
#include <stdio.h>
#include <string.h>

#include "server/access.h"
#include "tests/harness.h"
#include "util/text.h"

/* The groups are good until the next call. */
static const char *parse_caller(const char *text, struct caller *ret)
{
	static gid_t groups[ACCESS_GROUPS_MAX];

	return access_caller_parse(text, groups, ret);
}

static void add(struct access_list *list, const char *line)
{
	struct access_rule rule;

	if (SAME_TEXT(access_line_parse(line, &rule), NULL))
		EQUAL(access_list_add(list, &rule), 0);
}

static void decides(const struct access *a, const char *who, enum right right,
    const struct object *o, bool allowed, const char *want)
{
	char why[ACCESS_WHY_SIZE];
	struct caller c;

	SAME_TEXT(parse_caller(who, &c), NULL);
	EQUAL(access_decide(a, &c, right, o, why), allowed);
	SAME_TEXT(why, want);
	EQUAL(access_allows(a, &c, right, o), allowed);
}

static void test_each_decision_says_what_decided(void)
{
	struct access a = { .daemon_uid = 900 };
	struct access_list defaults = { NULL, 0 };
	struct object o = { .owned = true, .owner = 1000, .rights = RIGHT_READ | RIGHT_WRITE };

	add(&defaults, "allow anyone write");
	add(&a.rules, "deny uid:66 all");
	add(&a.rules, "allow uid:77 admin");
	add(&a.rules, "allow host:10.0.0.0/8 read");
	decides(&a, "uid:0", RIGHT_ADMIN, &o, true, "local root may everything");
	decides(&a, "uid:900", RIGHT_ADMIN, NULL, true, "the daemon's own user may everything");
	decides(&a, "uid:66", RIGHT_READ, &o, false, "deny uid:66 all (configuration)");
	decides(&a, "from:10.0.0.1", RIGHT_READ, NULL, true,
	    "allow host:10.0.0.0/8 read (configuration)");
	decides(&a, "from:10.0.0.1", RIGHT_WRITE, &o, false,
	    "no line of the configuration allows it");
	decides(&a, "uid:5", RIGHT_CREATE, NULL, true,
	    "allow local read,write,create,delete (built in)");
	decides(&a, "uid:1000", RIGHT_DELETE, &o, true, "the owner may everything");
	decides(&a, "uid:77", RIGHT_READ, &o, true, "allow uid:77 admin (configuration)");
	decides(&a, "uid:5", RIGHT_WRITE, &o, false,
	    "the object has no list, and only its owner may");
	o.defaults = &defaults;
	decides(&a, "uid:5", RIGHT_WRITE, &o, true,
	    "allow anyone write (default of the mechanism)");
	o.has_list = true;
	decides(&a, "uid:5", RIGHT_WRITE, &o, false, "no line of the object's list allows it");
	add(&o.list, "deny uid:5 write");
	add(&o.list, "allow local all");
	decides(&a, "uid:5", RIGHT_WRITE, &o, false, "deny uid:5 write (list of the object)");
	decides(&a, "uid:5", RIGHT_READ, &o, true, "allow local all (list of the object)");
	/* What the mechanism does not ask of an object, no list gives, also not by "all". */
	decides(&a, "uid:5", RIGHT_CREATE, &o, false,
	    "only its owner and administrators, whatever its list says");
	decides(&a, "uid:1000", RIGHT_CREATE, &o, true, "the owner may everything");
	access_list_clear(&a.rules);
	access_list_clear(&defaults);
	access_list_clear(&o.list);
}

static void test_a_line_is_written_as_it_was_read(void)
{
	static const struct {
		const char *line, *again;
	} cases[] = {
		{ "allow anyone all", "allow anyone all" },
		{ "deny local read", "deny local read" },
		{ "allow uid:0 write, read", "allow uid:0 read,write" },
		{ "allow uid:4294967294 admin", "allow uid:4294967294 admin" },
		{ "deny gid:100 create,delete", "deny gid:100 create,delete" },
		{ "allow user:alice@LAB.TEST read", "allow user:alice@LAB.TEST read" },
		{ "allow host:10.0.0.0/8 read", "allow host:10.0.0.0/8 read" },
		{ "allow host:192.0.2.1 read", "allow host:192.0.2.1/32 read" },
		{ "deny host:fd77:0:0::/48 all", "deny host:fd77::/48 all" },
		{ "allow  anyone\tread,write,create,delete,admin", "allow anyone all" },
	};
	char line[ACCESS_LINE_SIZE], longest[ACCESS_LINE_SIZE];
	struct access_rule rule;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		SAME_TEXT(access_line_parse(cases[i].line, &rule), NULL);
		access_line(&rule, line);
		SAME_TEXT(line, cases[i].again);
	}
	text_format(longest, sizeof(longest), "allow user:%0255d read,write,create,delete", 0);
	SAME_TEXT(access_line_parse(longest, &rule), NULL);
	access_line(&rule, line);
	SAME_TEXT(line, longest);
}

static void test_lines_that_are_none_are_refused_with_a_reason(void)
{
	static const char *const bad[] = { "", "allow", "allow ", "anyone all", "Allow anyone all",
		"deny anyone", "permit uid:1 read", "allow uid:x read", "allow user:a\033b read",
		"allow user:\xff read" };
	struct access_rule rule;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!HOLDS(access_line_parse(bad[i], &rule) != NULL))
			printf("  %s\n", bad[i]);
}

static void test_callers_are_made_up_from_words(void)
{
	struct caller c;

	SAME_TEXT(parse_caller("uid:5,gid:7, gid:8", &c), NULL);
	EQUAL(c.how, IPC9_BY_KERNEL);
	HOLDS(c.local);
	EQUAL(c.uid, 5);
	EQUAL(c.n_groups, 2);
	EQUAL(c.groups[1], 8);
	SAME_TEXT(parse_caller("from:fd77::1,uid:5", &c), NULL);
	EQUAL(c.how, IPC9_BY_CLAIM);
	HOLDS(!c.local);
	SAME_TEXT(parse_caller("from:10.0.0.1", &c), NULL);
	EQUAL(c.how, IPC9_BY_NONE);
}

static void test_a_made_up_caller_is_in_the_groups_that_are_named_and_no_other(void)
{
	static const char *const callers[] = { "uid:5", "uid:5,gid:7", "uid:5,from:10.0.0.1" };
	struct access_rule rule = { .who = WHO_GID };
	struct caller c;

	for (size_t i = 0; i < sizeof(callers) / sizeof(callers[0]); i++) {
		SAME_TEXT(parse_caller(callers[i], &c), NULL);
		rule.id = 65534;
		HOLDS(!access_concerns(&rule, &c));
		rule.id = 0;
		HOLDS(!access_concerns(&rule, &c));
		rule.id = 7;
		EQUAL(access_concerns(&rule, &c), i == 1);
	}
}

/* A process may have so many; only a claim has no room for more than 16. */
static void test_a_made_up_local_user_may_be_in_128_groups(void)
{
	const struct access_rule last = { .who = WHO_GID, .id = 1127 };
	char text[IPC9_WHO_MAX + 1] = "uid:5", more[IPC9_WHO_MAX + 32];
	struct caller c;
	size_t len;

	for (unsigned i = 0; i < ACCESS_GROUPS_MAX; i++) {
		len = strlen(text);
		text_format(text + len, sizeof(text) - len, ",gid:%u", 1000 + i);
	}
	SAME_TEXT(parse_caller(text, &c), NULL);
	EQUAL(c.n_groups, ACCESS_GROUPS_MAX);
	HOLDS(access_concerns(&last, &c));
	text_format(more, sizeof(more), "%s,gid:7", text);
	SAME_TEXT(parse_caller(more, &c), "it has more than 128 groups");
}

/* What the transport would make of the same claim is in test_server.c; both ask access_believe. */
static void test_a_made_up_claim_is_believed_as_far_as_a_real_one(void)
{
	static const struct {
		const char *who, *taken;
		int how;
		bool trust_root, in_0;
	} cases[] = {
		{ "uid:5", NULL, IPC9_BY_KERNEL, false, false },
		{ "uid:0,gid:0", NULL, IPC9_BY_KERNEL, false, true },
		{ "uid:5,from:10.77.0.1", NULL, IPC9_BY_CLAIM, false, false },
		{ "uid:5,from:10.78.0.1", "claims from there are not believed (trust_sys)",
		    IPC9_BY_NONE, true, false },
		{ "uid:0,from:10.77.0.1", "a claim of uid 0 is not believed (trust_root)",
		    IPC9_BY_NONE, false, false },
		{ "uid:0,gid:0,from:10.77.0.1", NULL, IPC9_BY_CLAIM, true, true },
		{ "uid:5,gid:0,from:10.77.0.1", "a claimed gid 0 counts for nothing (trust_root)",
		    IPC9_BY_CLAIM, false, false },
		{ "uid:5,gid:0,from:10.77.0.1", NULL, IPC9_BY_CLAIM, true, true },
		{ "from:10.77.0.1", NULL, IPC9_BY_NONE, false, false },
	};
	const struct access_rule root_group = { .who = WHO_GID, .id = 0 };
	struct address_range trusted;
	struct access a = { .trusted = &trusted, .n_trusted = 1 };
	struct caller c;

	EQUAL(address_range_parse("10.77.0.0/16", &trusted), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		a.trust_root = cases[i].trust_root;
		SAME_TEXT(parse_caller(cases[i].who, &c), NULL);
		SAME_TEXT(access_believe(&a, &c), cases[i].taken);
		if (!EQUAL(c.how, cases[i].how) ||
		    !EQUAL(access_concerns(&root_group, &c), cases[i].in_0))
			printf("  %s\n", cases[i].who);
	}
}

static void test_callers_that_are_none_are_refused_with_a_reason(void)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "", "names neither" },
		{ "gid:7", "names neither" },
		{ "gid:7,from:10.0.0.1", "has no groups" },
		{ "alice", "is made of" },
		{ "uid:", "takes a number" },
		{ "uid:4294967295", "takes a number" },
		{ "uid:5,uid:6", "two uids" },
		{ "uid:5,gid:x", "gid: takes" },
		{ "uid:5,from:nowhere", "an IP address" },
		{ "from:10.0.0.1,from:10.0.0.2", "two addresses" },
		{ "uid:5,gid:1,gid:1,gid:1,gid:1,gid:1,gid:1,gid:1,gid:1,gid:1,gid:1,gid:1,gid:1,gid:1,"
		  "gid:1,gid:1,gid:1,gid:1,from:10.0.0.1",
		    "at most 16" },
	};
	struct caller c;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		const char *why = parse_caller(bad[i].text, &c);

		if (!HOLDS(why && strstr(why, bad[i].why)))
			printf("  %s: %s\n", bad[i].text, why ? why : "accepted");
	}
}

SUITE(rules, TEST(test_each_decision_says_what_decided),
    TEST(test_a_line_is_written_as_it_was_read),
    TEST(test_lines_that_are_none_are_refused_with_a_reason),
    TEST(test_callers_are_made_up_from_words),
    TEST(test_a_made_up_caller_is_in_the_groups_that_are_named_and_no_other),
    TEST(test_a_made_up_local_user_may_be_in_128_groups),
    TEST(test_a_made_up_claim_is_believed_as_far_as_a_real_one),
    TEST(test_callers_that_are_none_are_refused_with_a_reason));
