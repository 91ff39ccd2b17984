/* SPDX-License-Identifier: BSD-3-Clause */
/* access.c - see access.h. */
#include "server/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

#define NOBODY 65534

/* --- Rules as text ----------------------------------------------------------------------------- */

static const struct {
	const char *name;
	unsigned right;
} rights[] = {
	{ "all", RIGHT_ALL },
	{ "read", RIGHT_READ },
	{ "write", RIGHT_WRITE },
	{ "create", RIGHT_CREATE },
	{ "delete", RIGHT_DELETE },
	{ "admin", RIGHT_ADMIN },
};

static bool parse_rights(char *text, unsigned *ret)
{
	char *state = NULL;
	unsigned set = 0;

	for (char *word = strtok_r(text, ", \t", &state); word;
	     word = strtok_r(NULL, ", \t", &state)) {
		unsigned found = 0;

		for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++)
			if (strcmp(word, rights[i].name) == 0)
				found = rights[i].right;
		if (!found)
			return false;
		set |= found;
	}
	*ret = set;
	return set != 0;
}

static bool parse_id(const char *text, uint32_t *ret)
{
	unsigned long value;
	char *end;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	value = strtoul(text, &end, 10);
	if (*end || errno || value >= UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

static const char *parse_who(const char *word, struct access_rule *rule)
{
	if (strcmp(word, "anyone") == 0) {
		rule->who = WHO_ANYONE;
	} else if (strcmp(word, "local") == 0) {
		rule->who = WHO_LOCAL;
	} else if (strncmp(word, "uid:", 4) == 0) {
		rule->who = WHO_UID;
		if (!parse_id(word + 4, &rule->id))
			return "uid: takes a number";
	} else if (strncmp(word, "gid:", 4) == 0) {
		rule->who = WHO_GID;
		if (!parse_id(word + 4, &rule->id))
			return "gid: takes a number";
	} else if (strncmp(word, "user:", 5) == 0 && word[5]) {
		rule->who = WHO_USER;
		if (strlen(word + 5) > IPC9_PRINCIPAL_MAX)
			return "user: takes a name of at most 255 bytes";
		text_format(rule->user, sizeof(rule->user), "%s", word + 5);
	} else if (strncmp(word, "host:", 5) == 0) {
		rule->who = WHO_HOST;
		if (address_range_parse(word + 5, &rule->range))
			return "host: takes an address or a range such as 10.0.0.0/8 (no bits set "
			       "beyond the prefix)";
	} else {
		return "WHO is one of anyone, local, uid:N, gid:N, user:PRINCIPAL, host:CIDR";
	}
	return NULL;
}

const char *access_rule_parse(const char *text, bool allow, struct access_rule *ret)
{
	struct access_rule rule = { .allow = allow };
	char copy[1024], *rest, *word;
	const char *why;

	if (strlen(text) >= sizeof(copy))
		return "it is too long";
	text_format(copy, sizeof(copy), "%s", text);
	word = strtok_r(copy, " \t", &rest);
	if (!word)
		return "it takes WHO and RIGHTS";
	why = parse_who(word, &rule);
	if (why)
		return why;
	if (!parse_rights(rest, &rule.rights))
		return "RIGHTS is all, or some of read,write,create,delete,admin";
	*ret = rule;
	return NULL;
}

int access_list_add(struct access_list *list, const struct access_rule *rule)
{
	struct access_rule *more = realloc(list->rules, (list->n + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	list->rules = more;
	list->rules[list->n++] = *rule;
	return 0;
}

void access_list_clear(struct access_list *list)
{
	free(list->rules);
	list->rules = NULL;
	list->n = 0;
}

/* --- Callers ----------------------------------------------------------------------------------- */

static bool is_trusted(const struct access *a, const struct peer *peer)
{
	for (size_t i = 0; i < a->n_trusted; i++)
		if (address_range_has(&a->trusted[i], &peer->address))
			return true;
	return false;
}

/* Takes over a claim that is trusted; what it says of root only with trust_root. */
static void believe(const struct access *a, const struct message_auth_sys *claim, struct caller *c)
{
	if (claim->uid == 0 && !a->trust_root)
		return;
	c->how = IPC9_BY_CLAIM;
	c->uid = claim->uid;
	c->gid = claim->gid == 0 && !a->trust_root ? NOBODY : claim->gid;
	for (uint32_t i = 0; i < claim->n_groups; i++)
		if (claim->groups[i] != 0 || a->trust_root)
			c->claimed[c->n_groups++] = claim->groups[i];
	c->groups = c->claimed;
}

int access_identify(const struct access *a, const struct peer *peer,
    const struct message_auth *credential, struct caller *ret)
{
	struct message_auth_sys claim;

	memset(ret, 0, sizeof(*ret));
	if (credential->flavor == AUTH_SYS) {
		if (message_parse_auth_sys(credential, &claim))
			return -EBADMSG;
	} else if (credential->flavor == AUTH_NONE) {
		if (credential->len)
			return -EBADMSG;
	} else {
		return -ENOTSUP;
	}
	if (peer->local) {
		ret->local = true;
		ret->how = IPC9_BY_KERNEL;
		ret->uid = peer->uid;
		ret->gid = peer->gid;
		ret->pid = (uint32_t)peer->pid;
		ret->n_groups = peer->n_groups;
		ret->groups = peer->groups;
		return 0;
	}
	ret->address = peer->address;
	if (credential->flavor == AUTH_SYS && is_trusted(a, peer))
		believe(a, &claim, ret);
	return 0;
}

struct caller access_keep(const struct caller *c)
{
	struct caller kept = *c;

	kept.n_groups = 0;
	kept.groups = NULL;
	return kept;
}

void access_describe(const struct caller *c, char text[ACCESS_TEXT_SIZE])
{
	char host[ADDRESS_TEXT_SIZE];

	if (c->local) {
		text_format(text, ACCESS_TEXT_SIZE, "uid %u", c->uid);
		return;
	}
	address_host_text(&c->address, host);
	if (c->how == IPC9_BY_NONE)
		text_format(text, ACCESS_TEXT_SIZE, "anonymous from %s", host);
	else
		text_format(text, ACCESS_TEXT_SIZE, "uid %u (claimed) from %s", c->uid, host);
}

void access_tell(const struct caller *c, char buffer[ADDRESS_TEXT_SIZE], struct ipc9_caller *ret)
{
	static char nobody[] = "";

	if (c->local)
		text_format(buffer, ADDRESS_TEXT_SIZE, "local");
	else if (!c->address.len)
		buffer[0] = '\0';
	else
		address_host_text(&c->address, buffer);
	ret->how = c->how;
	ret->uid = c->how == IPC9_BY_NONE ? NOBODY : c->uid;
	ret->gid = c->how == IPC9_BY_NONE ? NOBODY : c->gid;
	ret->pid = c->pid;
	ret->host = buffer;
	ret->principal = nobody;
}

/* --- Decisions --------------------------------------------------------------------------------- */

static bool has_group(const struct caller *c, uint32_t gid)
{
	if (c->gid == gid)
		return true;
	for (uint32_t i = 0; i < c->n_groups; i++)
		if (c->groups[i] == gid)
			return true;
	return false;
}

static bool concerns(const struct access_rule *rule, const struct caller *c)
{
	bool known = c->how != IPC9_BY_NONE;

	switch (rule->who) {
	case WHO_ANYONE:
		return true;
	case WHO_LOCAL:
		return c->local;
	case WHO_UID:
		return known && c->uid == rule->id;
	case WHO_GID:
		return known && has_group(c, rule->id);
	case WHO_USER:
		return false;
	case WHO_HOST:
		return !c->local && address_range_has(&rule->range, &c->address);
	}
	return false;
}

/* 1: allowed, 0: denied, -1: no rule says. */
static int decide(const struct access_list *list, const struct caller *c, unsigned right)
{
	for (size_t i = 0; list && i < list->n; i++)
		if (list->rules[i].rights & right && concerns(&list->rules[i], c))
			return list->rules[i].allow;
	return -1;
}

static bool let_in(const struct access *a, const struct caller *c, unsigned right)
{
	int verdict;

	if (c->local && (c->uid == 0 || c->uid == a->daemon_uid))
		return true;
	verdict = decide(&a->rules, c, right);
	if (verdict >= 0)
		return verdict;
	return c->local && right != RIGHT_ADMIN;
}

bool access_is_owner(const struct caller *c, const struct object *o)
{
	return o->owned && c->how != IPC9_BY_NONE && c->uid == o->owner;
}

void access_own(struct object *o, const struct caller *c)
{
	o->owned = c->how != IPC9_BY_NONE;
	o->owner = c->uid;
}

bool access_allows(const struct access *a, const struct caller *c, enum right right,
    const struct object *o)
{
	if (!let_in(a, c, right))
		return false;
	if (!o || access_is_owner(c, o) || let_in(a, c, RIGHT_ADMIN))
		return true;
	return decide(o->list, c, right) == 1;
}
