/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_config.c - what an administrator writes: access rules, ranges of addresses, keys, whole files; and lines of
 * access lists, and callers to test them with, that come with calls.
 *
 * Input: one byte that chooses which of these, and the text.  What is accepted keeps the bounds that the rest
 * of the daemon relies on, and means the same when it is written out and read again.
 */
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "server/config.h"
#include "util/name.h"
#include "util/text.h"

#define TEXT_SIZE 2048

static void write_range(const struct address_range *r, char text[TEXT_SIZE])
{
	char host[INET6_ADDRSTRLEN];

	CLAIM(inet_ntop(r->family, r->prefix, host, sizeof(host)));
	text_format(text, TEXT_SIZE, "%s/%u", host, r->bits);
}

static void claim_range(const struct address_range *r)
{
	struct address_range again;
	struct address inside;
	char text[TEXT_SIZE];

	CLAIM(r->family == AF_INET || r->family == AF_INET6);
	CLAIM(r->bits <= (r->family == AF_INET ? 32 : 128));
	write_range(r, text);
	CLAIM(address_range_parse(text, &again) == 0);
	CLAIM(memcmp(r, &again, sizeof(again)) == 0);
	*strchr(text, '/') = '\0';
	CLAIM(address_parse(text, 7, &inside) == 0 && address_port(&inside) == 7);
	/* An IPv4 address written as IPv6 counts as IPv4, so that such a range has nothing. */
	if (r->family == AF_INET || strncmp(text, "::ffff:", 7) != 0)
		CLAIM(address_range_has(r, &inside));
}

static void write_rule(const struct access_rule *r, char text[TEXT_SIZE])
{
	static const struct {
		unsigned right;
		const char *name;
	} names[] = { { RIGHT_READ, "read" }, { RIGHT_WRITE, "write" }, { RIGHT_CREATE, "create" },
		{ RIGHT_DELETE, "delete" }, { RIGHT_ADMIN, "admin" } };
	char who[TEXT_SIZE / 2] = "", range[TEXT_SIZE] = "";

	if (r->who == WHO_HOST)
		write_range(&r->range, range);
	switch (r->who) {
	case WHO_ANYONE:
		text_format(who, sizeof(who), "anyone");
		break;
	case WHO_LOCAL:
		text_format(who, sizeof(who), "local");
		break;
	case WHO_UID:
		text_format(who, sizeof(who), "uid:%u", r->id);
		break;
	case WHO_GID:
		text_format(who, sizeof(who), "gid:%u", r->id);
		break;
	case WHO_USER:
		text_format(who, sizeof(who), "user:%s", r->user);
		break;
	case WHO_HOST:
		text_format(who, sizeof(who), "host:%.100s", range);
		break;
	}
	text_format(text, TEXT_SIZE, "%s ", who);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (r->rights & names[i].right)
			text_format(text + strlen(text), TEXT_SIZE - strlen(text), "%s,",
			    names[i].name);
}

static void claim_same(const struct access_rule *a, const struct access_rule *b)
{
	CLAIM(a->rights == b->rights && a->who == b->who && a->id == b->id);
	CLAIM(strcmp(a->user, b->user) == 0);
	CLAIM(memcmp(&a->range, &b->range, sizeof(a->range)) == 0);
}

static void claim_rule(const struct access_rule *r)
{
	struct access_rule again;
	char text[TEXT_SIZE];

	CLAIM(r->rights && !(r->rights & ~(unsigned)RIGHT_ALL));
	CLAIM(r->who >= WHO_ANYONE && r->who <= WHO_HOST);
	CLAIM(memchr(r->user, '\0', sizeof(r->user)));
	CLAIM((r->who == WHO_USER) == (*r->user != '\0'));
	if (r->who == WHO_HOST)
		claim_range(&r->range);
	write_rule(r, text);
	CLAIM(!access_rule_parse(text, r->allow, &again));
	CLAIM(again.allow == r->allow);
	claim_same(&again, r);
}

static void try_rule(const char *text, bool allow)
{
	struct access_rule rule;
	const char *why = access_rule_parse(text, allow, &rule);

	if (why) {
		CLAIM(*why);
		return;
	}
	claim_rule(&rule);
	/* The principal is the whole one. */
	if (rule.who == WHO_USER) {
		const char *user = text + strspn(text, " \t") + 5;

		CLAIM(strcspn(user, " \t") == strlen(rule.user));
	}
}

/* A whole line is what it says, and the line that is made of it says the same. */
static void try_line(const char *text)
{
	struct access_rule rule, again;
	char line[ACCESS_LINE_SIZE];
	const char *why = access_line_parse(text, &rule);

	if (why) {
		CLAIM(*why);
		return;
	}
	CLAIM(rule.allow == (strncmp(text, "allow ", 6) == 0));
	claim_rule(&rule);
	access_line(&rule, line);
	CLAIM(text_is_utf8(line, strlen(line)) && !text_has_control(line, strlen(line)));
	CLAIM(!access_line_parse(line, &again));
	CLAIM(again.allow == rule.allow);
	claim_same(&again, &rule);
}

static void try_caller(const char *text)
{
	gid_t groups[ACCESS_GROUPS_MAX];
	struct caller c;
	const char *why = access_caller_parse(text, groups, &c);

	if (why) {
		CLAIM(*why);
		return;
	}
	CLAIM(c.n_groups <= (c.local ? ACCESS_GROUPS_MAX : MESSAGE_GROUPS_MAX));
	CLAIM(c.groups == (c.local ? groups : c.claimed));
	CLAIM(c.local == (c.address.len == 0));
	CLAIM((c.how == IPC9_BY_KERNEL) == c.local);
	CLAIM(c.how != IPC9_BY_NONE || c.n_groups == 0);
}

static void try_range(const char *text)
{
	struct address_range range;
	int r = address_range_parse(text, &range);

	CLAIM(r == 0 || r == -EINVAL);
	if (!r)
		claim_range(&range);
}

static void try_universal(const char *text)
{
	struct address a;
	char out[ADDRESS_TEXT_SIZE];

	(void)address_universal_port(text);
	if (address_parse(text, 0x1234, &a))
		return;
	CLAIM(a.len <= sizeof(a.storage));
	address_text(&a, out);
	address_universal(&a, out);
	CLAIM(address_universal_port(out) == 0x1234);
}

/* --- Configurations ---------------------------------------------------------------------------- */

static void claim_config(const struct config *c)
{
	CLAIM(c->port > 0);
	CLAIM(*c->domain && memchr(c->domain, '\0', sizeof(c->domain)));
	CLAIM(!text_has_control(c->domain, strlen(c->domain)) && !strpbrk(c->domain, "/\\ \t@"));
	CLAIM(c->listen != LISTEN_NOTHING);
	CLAIM(c->listen != LISTEN_ADDRESSES || c->n_addresses > 0);
	CLAIM(c->limits.record_bytes >= 4096 && c->limits.record_bytes <= IPC9_RECORD_MAX);
	CLAIM(c->limits.unread_bytes <= 1u << 30 && c->limits.held_bytes <= 1u << 30);
	CLAIM(c->limits.calls <= 65536 && c->limits.connections <= 1000000);
	CLAIM(!c->limits.vanished_ms || c->limits.vanished_ms >= 2000);
	for (size_t i = 0; i < c->n_addresses; i++) {
		CLAIM(c->addresses[i].len > 0);
		CLAIM(address_port(&c->addresses[i]) == 0);
	}
	for (size_t i = 0; i < c->n_trusted; i++)
		claim_range(&c->trusted[i]);
	for (size_t i = 0; i < c->rules.n; i++)
		claim_rule(&c->rules.rules[i]);
	for (size_t i = 0; i < c->n_reserved; i++) {
		CLAIM(c->reserved[i].mechanism && *c->reserved[i].key);
		CLAIM(!name_check_object(c->reserved[i].key, false));
	}
}

static void claim_complaint(int r, const struct config_error *e)
{
	CLAIM(r == 0 || r == -EINVAL);
	CLAIM(memchr(e->text, '\0', sizeof(e->text)));
	CLAIM((r != 0) == (e->text[0] != '\0'));
}

static void try_key(const char *key, const char *value)
{
	struct config_error error = { "" };
	struct config config;
	int r;

	config_init(&config);
	r = config_set(&config, key, value, &error);
	claim_complaint(r, &error);
	if (!r)
		claim_config(&config);
	/* Once more over itself: lists start anew, rules are added. */
	if (!r)
		CLAIM(config_set(&config, key, value, &error) == 0);
	config_clear(&config);
}

/* Lines that may say something. */
static size_t count_lines(const uint8_t *data, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < size; i++) {
		bool comment = data[i] == '#' || data[i] == ';';

		n += (i == 0 || data[i - 1] == '\n') && !comment;
	}
	return n;
}

static void try_file(const uint8_t *data, size_t size)
{
	struct config_error error = { "" };
	struct config config;
	char path[64];
	int fd = memfd_create("fuzz", MFD_CLOEXEC), r;

	CLAIM(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	text_format(path, sizeof(path), "/proc/self/fd/%d", fd);
	config_init(&config);
	r = config_read_file(&config, path, &error);
	claim_complaint(r, &error);
	if (!r)
		claim_config(&config);
	/* Each rule has a line of its own, which is no comment. */
	CLAIM(config.rules.n + config.n_reserved <= count_lines(data, size));
	config_clear(&config);
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const keys[] = { "listen", "port", "domain", "trust_sys", "trust_root",
		"allow", "deny", "other" };
	struct input in = { data, size };
	unsigned choice = input_byte(&in) % 16;
	char *text = text_of(in.at, in.left);

	if (choice < 8)
		try_key(keys[choice], text);
	else if (choice < 10)
		try_rule(text, choice == 8);
	else if (choice == 10)
		try_range(text);
	else if (choice == 11)
		try_universal(text);
	else if (choice == 13)
		try_key("reserve", text);
	else if (choice == 14)
		try_line(text);
	else if (choice == 15)
		try_caller(text);
	else
		try_file(in.at, in.left);
	free(text);
	return 0;
}
