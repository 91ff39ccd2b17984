/* SPDX-License-Identifier: BSD-3-Clause */
/* test_server.c - the daemon's parts without a socket: access, configuration, memory of ids, queues, content. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "server/access.h"
#include "server/config.h"
#include "server/content.h"
#include "server/dedup.h"
#include "server/queue.h"
#include "tests/harness.h"

/* --- access ------------------------------------------------------------------------------------ */

static struct caller local_uid(uint32_t uid, uint32_t gid)
{
	return (struct caller){ .how = IPC9_BY_KERNEL, .uid = uid, .gid = gid, .local = true };
}

static struct caller from_host(const char *host)
{
	struct caller c = { .how = IPC9_BY_NONE };

	EQUAL(address_parse(host, 999, &c.address), 0);
	return c;
}

static void add(struct access_list *list, const char *text, bool allow)
{
	struct access_rule rule;

	if (SAME_TEXT(access_rule_parse(text, allow, &rule), NULL))
		EQUAL(access_list_add(list, &rule), 0);
}

static void test_without_rules_local_users_come_in_and_strangers_do_not(void)
{
	const struct access a = { .daemon_uid = 900 };
	struct caller user = local_uid(1000, 1000), stranger = from_host("10.0.0.1");

	HOLDS(access_allows(&a, &user, RIGHT_READ, NULL));
	HOLDS(access_allows(&a, &user, RIGHT_CREATE, NULL));
	HOLDS(!access_allows(&a, &user, RIGHT_ADMIN, NULL));
	for (unsigned right = 1; right <= RIGHT_ADMIN; right <<= 1)
		HOLDS(!access_allows(&a, &stranger, right, NULL));
}

static void test_the_first_rule_that_has_caller_and_right_decides(void)
{
	struct access a = { .daemon_uid = 900 };
	struct caller inside = from_host("10.1.2.3"), outside = from_host("10.2.0.1");
	struct caller user = local_uid(1000, 7);

	add(&a.rules, "host:10.1.2.3 write", false);
	add(&a.rules, "host:10.1.0.0/16 read,write", true);
	add(&a.rules, "gid:7 all", false);
	HOLDS(access_allows(&a, &inside, RIGHT_READ, NULL));
	HOLDS(!access_allows(&a, &inside, RIGHT_WRITE, NULL));
	HOLDS(!access_allows(&a, &inside, RIGHT_CREATE, NULL));
	HOLDS(!access_allows(&a, &outside, RIGHT_READ, NULL));
	HOLDS(!access_allows(&a, &user, RIGHT_READ, NULL));
	user.gid = 8;
	HOLDS(access_allows(&a, &user, RIGHT_READ, NULL));
	access_list_clear(&a.rules);
}

static void test_an_object_serves_owner_list_and_administrators(void)
{
	struct access a = { .daemon_uid = 900 };
	struct access_list list = { NULL, 0 };
	struct object o = {
		.owned = true, .owner = 1000, .rights = RIGHT_READ | RIGHT_WRITE, .defaults = &list
	};
	struct caller owner = local_uid(1000, 1), other = local_uid(1001, 1),
		      root = local_uid(0, 0), daemon = local_uid(900, 900),
		      stranger = from_host("10.0.0.1");

	add(&list, "uid:1001 read", true);
	add(&a.rules, "host:10.0.0.1 all", true);
	HOLDS(access_allows(&a, &owner, RIGHT_DELETE, &o));
	HOLDS(access_allows(&a, &other, RIGHT_READ, &o));
	HOLDS(!access_allows(&a, &other, RIGHT_WRITE, &o));
	HOLDS(access_allows(&a, &root, RIGHT_WRITE, &o));
	HOLDS(access_allows(&a, &daemon, RIGHT_WRITE, &o));
	HOLDS(access_allows(&a, &stranger, RIGHT_WRITE, &o)); /* "all" has admin */
	o.defaults = NULL;
	HOLDS(!access_allows(&a, &other, RIGHT_READ, &o));
	access_list_clear(&a.rules);
	access_list_clear(&list);
}

static void test_an_anonymous_caller_owns_nothing(void)
{
	const struct access a = { .daemon_uid = 900 };
	struct caller nobody = from_host("10.0.0.1");
	struct object o = { .owned = true };

	access_own(&o, &nobody);
	HOLDS(!access_is_owner(&nobody, &o));
	HOLDS(!access_allows(&a, &nobody, RIGHT_READ, &o));
}

static size_t claim(unsigned char body[64], uint32_t uid, uint32_t gid)
{
	const uint32_t words[] = { htonl(1), 0, htonl(uid), htonl(gid), htonl(2), htonl(0),
		htonl(5) };

	memcpy(body, words, sizeof(words));
	return sizeof(words);
}

/* As a rule would have it. */
static bool is_in_group(const struct caller *c, uint32_t gid)
{
	const struct access_rule rule = { .who = WHO_GID, .id = gid };

	return access_concerns(&rule, c);
}

static void test_claims_count_from_trusted_addresses_only_and_root_with_trust_root(void)
{
	struct address_range trusted;
	struct access a = { .trusted = &trusted, .n_trusted = 1 };
	unsigned char body[64];
	struct message_auth cred = { AUTH_SYS, (uint32_t)claim(body, 1000, 0), body };
	struct peer peer = { .local = false };
	struct caller c;

	address_range_parse("10.77.0.0/16", &trusted);
	address_parse("10.78.0.1", 5, &peer.address);
	EQUAL(access_identify(&a, &peer, &cred, &c), 0);
	EQUAL(c.how, IPC9_BY_NONE);
	address_parse("10.77.0.1", 5, &peer.address);
	EQUAL(access_identify(&a, &peer, &cred, &c), 0);
	EQUAL(c.how, IPC9_BY_CLAIM);
	EQUAL(c.uid, 1000);
	HOLDS(!is_in_group(&c, 0)); /* it is root's */
	HOLDS(!is_in_group(&c, 65534));
	HOLDS(is_in_group(&c, 5));
	EQUAL(c.n_groups, 1);
	EQUAL(c.groups[0], 5);
	/* Anybody can write that address into a datagram. */
	peer.datagram = true;
	EQUAL(access_identify(&a, &peer, &cred, &c), 0);
	EQUAL(c.how, IPC9_BY_NONE);
	peer.datagram = false;
	cred.len = (uint32_t)claim(body, 0, 0);
	EQUAL(access_identify(&a, &peer, &cred, &c), 0);
	EQUAL(c.how, IPC9_BY_NONE);
	a.trust_root = true;
	EQUAL(access_identify(&a, &peer, &cred, &c), 0);
	EQUAL(c.how, IPC9_BY_CLAIM);
	EQUAL(c.uid, 0);
	HOLDS(!c.local);
	cred.len--;
	EQUAL(access_identify(&a, &peer, &cred, &c), -EBADMSG);
	cred.flavor = 6;
	EQUAL(access_identify(&a, &peer, &cred, &c), -ENOTSUP);
}

static void test_over_the_local_socket_the_kernel_decides_and_not_the_claim(void)
{
	const struct access a = { .trust_root = true };
	unsigned char body[64];
	struct message_auth cred = { AUTH_SYS, (uint32_t)claim(body, 0, 0), body };
	struct peer peer = { .local = true, .uid = 1234, .gid = 55, .pid = 99 };
	struct caller c;

	EQUAL(access_identify(&a, &peer, &cred, &c), 0);
	EQUAL(c.how, IPC9_BY_KERNEL);
	EQUAL(c.uid, 1234);
	EQUAL(c.pid, 99);
}

static void test_a_claimed_root_is_no_local_root(void)
{
	struct access a = { .daemon_uid = 900, .trust_root = true };
	struct caller c = from_host("10.0.0.1");

	c.how = IPC9_BY_CLAIM;
	c.uid = 0;
	HOLDS(!access_allows(&a, &c, RIGHT_READ, NULL));
	add(&a.rules, "uid:0 read", true);
	HOLDS(access_allows(&a, &c, RIGHT_READ, NULL));
	HOLDS(!access_allows(&a, &c, RIGHT_ADMIN, NULL));
	access_list_clear(&a.rules);
}

static void test_rules_that_are_none_are_refused_with_a_reason(void)
{
	static const char *const bad[] = { "", "anyone", "anyone fly", "nobody read", "uid:x read",
		"uid:-1 read", "uid: read", "host:10.0.0.1/8 read", "host: read", "user: read",
		"uid:4294967295 read", "anyone read,,fly" };
	struct access_rule rule;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!HOLDS(access_rule_parse(bad[i], true, &rule) != NULL))
			printf("  %s\n", bad[i]);
}

SUITE(access, TEST(test_without_rules_local_users_come_in_and_strangers_do_not),
    TEST(test_the_first_rule_that_has_caller_and_right_decides),
    TEST(test_an_object_serves_owner_list_and_administrators),
    TEST(test_an_anonymous_caller_owns_nothing),
    TEST(test_claims_count_from_trusted_addresses_only_and_root_with_trust_root),
    TEST(test_over_the_local_socket_the_kernel_decides_and_not_the_claim),
    TEST(test_a_claimed_root_is_no_local_root),
    TEST(test_rules_that_are_none_are_refused_with_a_reason));

/* --- config ------------------------------------------------------------------------------------ */

static int read_text(struct config *c, const char *text, struct config_error *e)
{
	char path[] = "/tmp/ipc9-config-XXXXXX";
	int fd = mkstemp(path), r;

	EQUAL(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	r = config_read_file(c, path, e);
	unlink(path);
	return r;
}

static void test_who_becomes_an_administrator_without_being_named_is_warned_of(void)
{
	static const struct {
		const char *deny, *allow, *warning;
	} cases[] = {
		{ NULL, "anyone all",
		    "\"allow anyone all\" makes everybody whom it concerns an administrator of all "
		    "objects; to let them in and no more, write read,write,create,delete" },
		{ NULL, "local admin",
		    "\"allow local admin\" makes everybody whom it concerns an administrator of all "
		    "objects" },
		{ NULL, "host:10.0.0.0/8 read,admin",
		    "\"allow host:10.0.0.0/8 read,admin\" makes everybody whom it concerns an "
		    "administrator of all objects; to let them in and no more, write read" },
		{ NULL, "anyone read,write,create,delete", NULL },
		{ NULL, "uid:5 all", NULL },
		{ NULL, "gid:5 admin", NULL },
		{ NULL, "user:alice@LAB all", NULL },
		{ "anyone admin", "anyone all", NULL },
		{ "anyone all", "local all", NULL },
		{ "local admin", "local all", NULL },
		{ "local read", "local all", "\"allow local all\" makes everybody" },
		{ "local admin", "anyone all", "\"allow anyone all\" makes everybody" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config_error e = { "" };
		struct config c;
		size_t at = 0;
		bool warned;

		config_init(&c);
		if (cases[i].deny)
			EQUAL(config_set(&c, "deny", cases[i].deny, &e), 0);
		EQUAL(config_set(&c, "allow", cases[i].allow, &e), 0);
		warned = config_next_warning(&c, &at, &e);
		if (!EQUAL(warned, cases[i].warning != NULL))
			printf("  %s\n", cases[i].allow);
		if (warned && cases[i].warning) {
			if (!HOLDS(strstr(e.text, cases[i].warning) == e.text))
				printf("  %s\n", e.text);
			HOLDS(!config_next_warning(&c, &at, &e));
		}
		config_clear(&c);
	}
}

static void test_a_configuration_file_is_read(void)
{
	struct config_error e = { "" };
	struct config c;

	config_init(&c);
	EQUAL(c.port, 20490);
	EQUAL(
	    read_text(&c,
		"# a comment\nlisten = 10.0.0.1, fd77::1\t# trailing\nport = 99 # too\n\ndomain = lab\n"
		"trust_sys = 10.0.0.0/8, fd00::/8\ntrust_root = yes\nallow = anyone read\n"
		"deny = uid:5 all\n",
		&e),
	    0);
	EQUAL(c.listen, LISTEN_ADDRESSES);
	EQUAL(c.n_addresses, 2);
	EQUAL(c.port, 99);
	SAME_TEXT(c.domain, "lab");
	EQUAL(c.n_trusted, 2);
	EQUAL(c.trust_root, true);
	EQUAL(c.rules.n, 2);
	EQUAL(c.rules.rules[0].allow, true);
	EQUAL(c.rules.rules[1].allow, false);
	config_clear(&c);
}

static void test_errors_name_file_line_and_word(void)
{
	static const struct {
		const char *text, *says;
		int line;
	} cases[] = {
		{ "port = 1\nprot = 2\n", "unknown key \"prot\"", 2 },
		{ "port = 0\n", "\"0\" is not a number from 1 to 65535", 1 },
		{ "\n\nlisten = nowhere\n", "\"nowhere\"", 3 },
		{ "trust_root = maybe\n", "\"maybe\"", 1 },
		{ "allow = anyone\n", "RIGHTS", 1 },
		{ "trust_sys = 10.0.0.1/8\n", "\"10.0.0.1/8\"", 1 },
		{ "domain = a/b\n", "\"a/b\"", 1 },
		{ "[section]\nport = 5\n", "sections", 2 },
		{ "nonsense\n", "key = value", 1 },
		{ "port = 5\nlisten = ,\n", "listen", 2 },
		{ "port = 5\nreserve = pipe:printer\n",
		    "reserve: \"pipe:printer\" is not MECHANISM:NAME WHO", 2 },
		{ "reserve = fan:x uid:5\n", "\"fan\" is no mechanism with named objects", 1 },
		{ "reserve = pipe:@x uid:5\n", "\"@x\" is not a valid name", 1 },
		{ "reserve = pipe:x uid:no\n", "\"uid:no\": uid: takes a number", 1 },
		{ "unread_ms = soon\n", "unread_ms: \"soon\" is not a number from 100 to 3600000",
		    1 },
		{ "port = 5\nconnections = -1\n", "connections: \"-1\"", 2 },
		{ "held_bytes = 4k\n", "held_bytes: \"4k\"", 1 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct config_error e = { "" };
		struct config c;
		char line[16];

		config_init(&c);
		EQUAL(read_text(&c, cases[i].text, &e), -EINVAL);
		snprintf(line, sizeof(line), ":%d: ", cases[i].line);
		if (!HOLDS(strstr(e.text, line)) || !HOLDS(strstr(e.text, cases[i].says)))
			printf("  %s\n", e.text);
		config_clear(&c);
	}
}

static void test_a_long_comment_grants_nothing(void)
{
	for (size_t n = 150; n < 450; n++) {
		struct config_error e = { "" };
		struct config c;
		char text[600];

		memset(text, '#', n);
		snprintf(text + n, sizeof(text) - n, "allow = anyone all\n");
		config_init(&c);
		read_text(&c, text, &e); /* fine, or too long */
		EQUAL(c.rules.n, 0);
		config_clear(&c);
	}
}

#define LIMIT(field)                                                                               \
	offsetof(struct config, limits.field), sizeof(((struct config *)0)->limits.field)
#define TOTAL(resource) offsetof(struct config, quotas[resource]), sizeof(size_t)

static void test_each_budget_is_taken_from_bound_to_bound(void)
{
	static const struct {
		const char *key;
		size_t offset, size;
		uint64_t low, high;
	} cases[] = {
		{ "record_bytes", LIMIT(record_bytes), 4096, IPC9_RECORD_MAX },
		{ "record_ms", LIMIT(record_ms), 100, 3600000 },
		{ "calls_per_connection", LIMIT(calls), 1, 65536 },
		{ "held_bytes", LIMIT(held_bytes), 4096, 1073741824 },
		{ "unread_bytes", LIMIT(unread_bytes), 4096, 1073741824 },
		{ "unread_ms", LIMIT(unread_ms), 100, 3600000 },
		{ "connections", LIMIT(connections), 1, 1000000 },
		{ "connections_per_host", LIMIT(connections_per_host), 1, 1000000 },
		{ "local_connections", LIMIT(local_connections), 1, 100000 },
		{ "vanished_ms", LIMIT(vanished_ms), 2000, 3600000 },
		{ "quota_objects", TOTAL(QUOTA_OBJECTS), 4, 10000000 },
		{ "quota_bytes", TOTAL(QUOTA_BYTES), 65536, UINT32_MAX },
		{ "quota_waiting", TOTAL(QUOTA_WAITING), 4, 10000000 },
		{ "quota_connections", TOTAL(QUOTA_CONNECTIONS), 4, 2000000 },
		{ "quota_descriptors", TOTAL(QUOTA_DESCRIPTORS), 4, 1000000 },
	};
	struct config c;

	config_init(&c);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const uint64_t tries[] = { cases[i].low, cases[i].low - 1, cases[i].high,
			cases[i].high + 1 };

		for (size_t t = 0; t < 4; t++) {
			struct config_error e = { "" };
			uint64_t got = 0;
			char text[32];

			snprintf(text, sizeof(text), "%llu", (unsigned long long)tries[t]);
			EQUAL(config_set(&c, cases[i].key, text, &e), t % 2 ? -EINVAL : 0);
			EQUAL(e.text[0] != '\0', t % 2);
			memcpy(&got, (const char *)&c + cases[i].offset, cases[i].size);
			if (!EQUAL(got, tries[t - t % 2]))
				printf("  %s = %s\n", cases[i].key, text);
		}
	}
	config_clear(&c);
}

static void test_each_budget_has_its_variable(void)
{
	struct config_error e = { "" };
	struct config c;

	config_init(&c);
	setenv("IPC9_CALLS_PER_CONNECTION", "7", 1);
	EQUAL(config_read_environment(&c, &e), 0);
	EQUAL(c.limits.calls, 7);
	setenv("IPC9_CALLS_PER_CONNECTION", "none", 1);
	EQUAL(config_read_environment(&c, &e), -EINVAL);
	HOLDS(strstr(e.text, "environment IPC9_CALLS_PER_CONNECTION: ") != NULL);
	unsetenv("IPC9_CALLS_PER_CONNECTION");
	config_clear(&c);
}

SUITE(config, TEST(test_a_long_comment_grants_nothing),
    TEST(test_who_becomes_an_administrator_without_being_named_is_warned_of),
    TEST(test_a_configuration_file_is_read), TEST(test_errors_name_file_line_and_word),
    TEST(test_each_budget_is_taken_from_bound_to_bound), TEST(test_each_budget_has_its_variable));

/* --- dedup ------------------------------------------------------------------------------------- */

static enum dedup_answer look(struct dedup *d, unsigned n, unsigned age_ms)
{
	unsigned char key[DEDUP_KEY_SIZE] = { 0 };

	memcpy(key, &n, sizeof(n));
	return dedup_look(d, key, age_ms);
}

static void test_a_key_is_new_once(void)
{
	unsigned char key[DEDUP_KEY_SIZE] = { 5 };
	struct dedup *d;

	EQUAL(dedup_new(100, 60000, &d), 0);
	EQUAL(look(d, 5, 0), DEDUP_NEW);
	EQUAL(look(d, 5, 0), DEDUP_SEEN);
	EQUAL(look(d, 7, 60000 - 1), DEDUP_UNKNOWN); /* first tried before we were there */
	nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
	EQUAL(look(d, 6, 3), DEDUP_NEW); /* a second try of something that never came */
	dedup_forget(d, key);
	EQUAL(look(d, 5, 0), DEDUP_NEW);
	dedup_free(d);
}

static void test_what_may_have_been_forgotten_is_unknown_and_never_new(void)
{
	struct dedup *d;

	EQUAL(dedup_new(10, 60000, &d), 0);
	for (unsigned i = 0; i < 15; i++)
		EQUAL(look(d, i, 0), DEDUP_NEW);
	EQUAL(look(d, 0, 5000), DEDUP_UNKNOWN); /* was pushed out: may have been seen */
	EQUAL(look(d, 14, 5000), DEDUP_SEEN);
	EQUAL(look(d, 99, 60001), DEDUP_UNKNOWN); /* older than the window */
	EQUAL(look(d, 0, 0), DEDUP_NEW);	  /* says it is the first time */
	dedup_free(d);
}

SUITE(dedup, TEST(test_a_key_is_new_once),
    TEST(test_what_may_have_been_forgotten_is_unknown_and_never_new));

/* --- queue ------------------------------------------------------------------------------------- */

static int push(struct queue *q, const char *text, bool message)
{
	const ipc9_blob b = { (const unsigned char *)text, (uint32_t)strlen(text), NULL };

	return queue_push(q, &b, message);
}

static void expect_take(struct queue *q, uint32_t max, bool message, const char *want,
    bool want_more)
{
	ipc9_blob got;
	bool more;

	EQUAL(queue_take(q, max, message, &got, &more), 0);
	SAME_BYTES(got.data, got.len, want, strlen(want));
	EQUAL(more, want_more);
	bytes_unref(got.owner);
}

static const uint64_t queue_totals[QUOTA_RESOURCES] = { 10, 4000000, 0, 0 };
static const struct caller queue_owner = { .how = IPC9_BY_KERNEL, .uid = 1000, .local = true };

static void test_bytes_are_joined_and_messages_are_not(void)
{
	struct quota *quota = quota_new(queue_totals, 0);
	struct charge owner = { 0 };
	uint64_t total = 0;
	struct queue q;

	EQUAL(quota_charge(quota, &queue_owner, QUOTA_OBJECTS, 1, &owner), 0);
	queue_init(&q, &total, &owner);
	push(&q, "ab", false);
	push(&q, "cd", false);
	expect_take(&q, 3, false, "abc", false);
	push(&q, "ef", false);
	expect_take(&q, 100, false, "def", false);
	HOLDS(queue_is_empty(&q));
	push(&q, "ab", true);
	push(&q, "", true);
	push(&q, "cd", true);
	EQUAL(queue_charge(&q), 4 + 3 * QUEUE_MESSAGE_CHARGE);
	EQUAL(quota_used(quota, &queue_owner, QUOTA_BYTES), queue_charge(&q));
	expect_take(&q, 1, true, "a", true);
	expect_take(&q, 100, true, "b", false);
	expect_take(&q, 100, true, "", false);
	expect_take(&q, 100, true, "cd", false);
	HOLDS(queue_is_empty(&q));
	EQUAL(queue_charge(&q), 0);
	EQUAL(queue_bytes(&q), 0);
	EQUAL(total, 0);
	queue_clear(&q);
	EQUAL(quota_used(quota, &queue_owner, QUOTA_BYTES), 0);
	charge_release(&owner);
	quota_free(quota);
}

static void test_a_queue_takes_nothing_beyond_its_owners_share(void)
{
	/* Without what is kept back 200, of which half. */
	static const uint64_t totals[QUOTA_RESOURCES] = { 10, 213, 0, 0 };
	struct quota *quota = quota_new(totals, 0);
	struct charge owner = { 0 };
	uint64_t total = 0;
	struct queue q;

	EQUAL(quota_charge(quota, &queue_owner, QUOTA_OBJECTS, 1, &owner), 0);
	queue_init(&q, &total, &owner);
	EQUAL(push(&q, "abc", true), 0);
	EQUAL(push(&q, "abc", true), IPC9_STATUS_QUOTA);
	EQUAL(total, 3 + QUEUE_MESSAGE_CHARGE);
	EQUAL(push(&q, "0123456789012345678901234567890123", false), IPC9_STATUS_QUOTA);
	EQUAL(push(&q, "012345678901234567890123456789012", false), 0);
	EQUAL(push(&q, "", false), 0);
	EQUAL(push(&q, "x", false), IPC9_STATUS_QUOTA);
	expect_take(&q, 100, true, "abc", false);
	EQUAL(push(&q, "x", false), 0);
	queue_clear(&q);
	EQUAL(quota_total_used(quota, QUOTA_BYTES), 0);
	charge_release(&owner);
	quota_free(quota);
}

static void test_a_large_payload_passes_without_a_copy(void)
{
	struct bytes *block = bytes_new(500000);
	const ipc9_blob in = { block->data, 500000, block };
	struct queue q;
	ipc9_blob out;
	struct quota *quota = quota_new(queue_totals, 0);
	struct charge owner = { 0 };
	uint64_t total = 0;
	bool more;

	EQUAL(quota_charge(quota, &queue_owner, QUOTA_OBJECTS, 1, &owner), 0);
	queue_init(&q, &total, &owner);
	memset(block->data, 'q', 500000);
	EQUAL(queue_push(&q, &in, false), 0);
	EQUAL(queue_take(&q, 200000, false, &out, &more), 0);
	HOLDS(out.data == block->data);
	EQUAL(out.len, 200000);
	bytes_unref(out.owner);
	EQUAL(queue_take(&q, 1000000, false, &out, &more), 0);
	HOLDS(out.data == block->data + 200000);
	bytes_unref(out.owner);
	EQUAL(block->refs, 1);
	/* But a small rest does not hold the block. */
	EQUAL(queue_push(&q, &in, false), 0);
	EQUAL(queue_take(&q, 499000, false, &out, &more), 0);
	bytes_unref(out.owner);
	EQUAL(block->refs, 1);
	EQUAL(queue_take(&q, 1000, false, &out, &more), 0);
	EQUAL(out.len, 1000);
	EQUAL(out.data[999], 'q');
	bytes_unref(out.owner);
	bytes_unref(block);
	queue_clear(&q);
	charge_release(&owner);
	quota_free(quota);
}

SUITE(queue, TEST(test_bytes_are_joined_and_messages_are_not),
    TEST(test_a_queue_takes_nothing_beyond_its_owners_share),
    TEST(test_a_large_payload_passes_without_a_copy));

/* --- content ----------------------------------------------------------------------------------- */

static void test_content_reads_back_from_any_offset(void)
{
	static unsigned char want[300000];
	struct content c = { 0 };
	size_t n = 0, step = 1;

	for (size_t i = 0; i < sizeof(want); i++)
		want[i] = (unsigned char)(i * 7 + i / 256);
	for (; n < sizeof(want); n += step, step = step * 2 % 70001 + 1) {
		ipc9_blob part = { want + n,
			(uint32_t)(step < sizeof(want) - n ? step : sizeof(want) - n), NULL };

		step = part.len;
		EQUAL(content_append(&c, &part), 0);
	}
	EQUAL(c.size_bytes, sizeof(want));
	for (size_t offset = 0; offset < sizeof(want); offset += 9973) {
		size_t at = offset;

		while (at < sizeof(want)) {
			ipc9_blob view = content_view(&c, at, 100000);

			if (!HOLDS(view.len > 0) || memcmp(view.data, want + at, view.len) != 0)
				break;
			at += view.len;
		}
		EQUAL(at, sizeof(want));
	}
	EQUAL(content_view(&c, sizeof(want), 10).len, 0);
	content_clear(&c);
}

SUITE(content, TEST(test_content_reads_back_from_any_offset));
