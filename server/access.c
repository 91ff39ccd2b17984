/* SPDX-License-Identifier: BSD-3-Clause */
/* access.c - see access.h. */
#include "server/access.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/text.h"

#define NOBODY 65534	  /* what is told of who is not known */
#define NO_GID UINT32_MAX /* a group that no rule names: parse_id takes less */

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

unsigned access_right(const char *name)
{
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++)
		if (strcmp(name, rights[i].name) == 0)
			return rights[i].right;
	return 0;
}

const char *access_right_name(enum right right)
{
	for (size_t i = 1; i < sizeof(rights) / sizeof(rights[0]); i++)
		if (rights[i].right == (unsigned)right)
			return rights[i].name;
	return "none";
}

void access_rights(unsigned set, char text[ACCESS_RIGHTS_SIZE])
{
	size_t n = 0;

	text[0] = '\0';
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]) && set; i++) {
		if ((set & rights[i].right) != rights[i].right)
			continue;
		text_format(text + n, ACCESS_RIGHTS_SIZE - n, "%s%s", n ? "," : "", rights[i].name);
		n = strlen(text);
		set &= ~rights[i].right;
	}
}

static bool parse_rights(char *text, unsigned *ret)
{
	char *state = NULL;
	unsigned set = 0;

	for (char *word = strtok_r(text, ", \t", &state); word;
	     word = strtok_r(NULL, ", \t", &state)) {
		unsigned found = access_right(word);

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

/* A name that may stand in a line, and be shown. */
static bool is_principal(const char *text)
{
	size_t len = strlen(text);

	return len <= IPC9_PRINCIPAL_MAX && text_is_utf8(text, len) && !text_has_control(text, len);
}

const char *access_who_parse(const char *word, struct access_rule *rule)
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
		if (!is_principal(word + 5))
			return "user: takes a name of at most 255 bytes, without control characters";
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
	why = access_who_parse(word, &rule);
	if (why)
		return why;
	if (!parse_rights(rest, &rule.rights))
		return "RIGHTS is all, or some of read,write,create,delete,admin";
	*ret = rule;
	return NULL;
}

const char *access_line_parse(const char *line, struct access_rule *ret)
{
	if (strncmp(line, "allow ", 6) == 0)
		return access_rule_parse(line + 6, true, ret);
	if (strncmp(line, "deny ", 5) == 0)
		return access_rule_parse(line + 5, false, ret);
	return "it begins with allow or deny";
}

void access_who(const struct access_rule *rule, char text[ACCESS_WHO_SIZE])
{
	const size_t size = ACCESS_WHO_SIZE;

	switch (rule->who) {
	case WHO_ANYONE:
		text_format(text, size, "anyone");
		return;
	case WHO_LOCAL:
		text_format(text, size, "local");
		return;
	case WHO_UID:
		text_format(text, size, "uid:%u", rule->id);
		return;
	case WHO_GID:
		text_format(text, size, "gid:%u", rule->id);
		return;
	case WHO_USER:
		text_format(text, size, "user:%s", rule->user);
		return;
	case WHO_HOST:
		text_format(text, size, "host:");
		address_range_text(&rule->range, text + 5, size - 5);
		return;
	}
}

void access_line(const struct access_rule *rule, char line[ACCESS_LINE_SIZE])
{
	char who[ACCESS_WHO_SIZE], all[ACCESS_RIGHTS_SIZE];

	access_who(rule, who);
	access_rights(rule->rights, all);
	text_format(line, ACCESS_LINE_SIZE, "%s %s %s", rule->allow ? "allow" : "deny", who, all);
}

void access_list_take(struct access_list *list, struct access_list *from)
{
	access_list_clear(list);
	*list = *from;
	from->rules = NULL;
	from->n = 0;
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

static bool is_trusted(const struct access *a, const struct address *from)
{
	for (size_t i = 0; i < a->n_trusted; i++)
		if (address_range_has(&a->trusted[i], from))
			return true;
	return false;
}

static const char *make_anonymous(struct caller *c, const char *why)
{
	c->how = IPC9_BY_NONE;
	c->uid = c->gid = c->n_groups = 0;
	return why;
}

const char *access_believe(const struct access *a, struct caller *c)
{
	uint32_t n = c->n_groups;
	bool root_group = c->gid == 0;

	if (c->how != IPC9_BY_CLAIM)
		return NULL;
	if (!is_trusted(a, &c->address))
		return make_anonymous(c, "claims from there are not believed (trust_sys)");
	if (a->trust_root)
		return NULL;
	if (c->uid == 0)
		return make_anonymous(c, "a claim of uid 0 is not believed (trust_root)");
	if (root_group)
		c->gid = NO_GID;
	c->n_groups = 0;
	for (uint32_t i = 0; i < n; i++)
		if (c->claimed[i] != 0)
			c->claimed[c->n_groups++] = c->claimed[i];
	return root_group || c->n_groups < n ? "a claimed gid 0 counts for nothing (trust_root)"
					     : NULL;
}

static void take_claim(const struct message_auth_sys *claim, struct caller *c)
{
	c->how = IPC9_BY_CLAIM;
	c->uid = claim->uid;
	c->gid = claim->gid;
	c->n_groups = claim->n_groups;
	for (uint32_t i = 0; i < claim->n_groups; i++)
		c->claimed[i] = claim->groups[i];
	c->groups = c->claimed;
}

int access_identify(const struct access *a, const struct peer *peer,
    const struct message_auth *credential, struct caller *ret)
{
	struct message_auth_sys claim;

	memset(ret, 0, sizeof(*ret));
	if (peer->local) {
		ret->local = true;
		ret->how = IPC9_BY_KERNEL;
		ret->uid = peer->uid;
		ret->gid = peer->gid;
		ret->pid = (uint32_t)peer->pid;
		ret->n_groups = peer->n_groups;
		ret->groups = peer->groups;
	} else {
		ret->address = peer->address;
	}
	if (credential->flavor == AUTH_SYS) {
		if (message_parse_auth_sys(credential, &claim))
			return -EBADMSG;
	} else if (credential->flavor == AUTH_NONE) {
		if (credential->len)
			return -EBADMSG;
	} else {
		return -ENOTSUP;
	}
	/* Anybody can write an address into a datagram. */
	if (!peer->local && !peer->datagram && credential->flavor == AUTH_SYS) {
		take_claim(&claim, ret);
		access_believe(a, ret);
	}
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
	ret->gid = c->how == IPC9_BY_NONE || c->gid == NO_GID ? NOBODY : c->gid;
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

bool access_concerns(const struct access_rule *rule, const struct caller *c)
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

/* The rule that decides; NULL: none does. */
static const struct access_rule *deciding(const struct access_list *list, const struct caller *c,
    unsigned right)
{
	for (size_t i = 0; list && i < list->n; i++)
		if (list->rules[i].rights & right && access_concerns(&list->rules[i], c))
			return &list->rules[i];
	return NULL;
}

/* why may be NULL. */
static void tell(char *why, const struct access_rule *rule, const char *where)
{
	char line[ACCESS_LINE_SIZE];

	if (!why)
		return;
	if (rule) {
		access_line(rule, line);
		text_format(why, ACCESS_WHY_SIZE, "%s (%s)", line, where);
	} else {
		text_format(why, ACCESS_WHY_SIZE, "%s", where);
	}
}

bool access_runs_daemon(const struct caller *c, uint32_t daemon_uid)
{
	return c->local && (c->uid == 0 || c->uid == daemon_uid);
}

static bool let_in(const struct access *a, const struct caller *c, unsigned right, char *why)
{
	const struct access_rule *rule;

	if (access_runs_daemon(c, a->daemon_uid)) {
		tell(why, NULL,
		    c->uid == 0 ? "local root may everything"
				: "the daemon's own user may everything");
		return true;
	}
	rule = deciding(&a->rules, c, right);
	if (rule) {
		tell(why, rule, "configuration");
		return rule->allow;
	}
	if (c->local && right != RIGHT_ADMIN) {
		tell(why, NULL, "allow local read,write,create,delete (built in)");
		return true;
	}
	tell(why, NULL, "no line of the configuration allows it");
	return false;
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

bool access_decide(const struct access *a, const struct caller *c, enum right right,
    const struct object *o, char why[ACCESS_WHY_SIZE])
{
	const struct access_rule *rule;
	bool in = let_in(a, c, right, why);

	if (!in || !o)
		return in;
	if (access_is_owner(c, o)) {
		tell(why, NULL, "the owner may everything");
		return true;
	}
	if (let_in(a, c, RIGHT_ADMIN, NULL)) {
		let_in(a, c, RIGHT_ADMIN, why);
		return true;
	}
	if (!(right & o->rights)) {
		tell(why, NULL, "only its owner and administrators, whatever its list says");
		return false;
	}
	rule = deciding(o->has_list ? &o->list : o->defaults, c, right);
	if (rule)
		tell(why, rule, o->has_list ? "list of the object" : "default of the mechanism");
	else
		tell(why, NULL,
		    o->has_list ? "no line of the object's list allows it"
				: "the object has no list, and only its owner may");
	return rule && rule->allow;
}

bool access_allows(const struct access *a, const struct caller *c, enum right right,
    const struct object *o)
{
	return access_decide(a, c, right, o, NULL);
}

bool access_sees(const struct access *a, const struct caller *c, const struct object *o)
{
	for (unsigned right = 1; right < RIGHT_ALL; right <<= 1)
		if (o->rights & right && access_allows(a, c, (enum right)right, o))
			return true;
	return false;
}

/* --- Callers that are made up ------------------------------------------------------------------ */

static const char *add_group(const char *text, gid_t groups[ACCESS_GROUPS_MAX], struct caller *c)
{
	uint32_t gid;

	if (!parse_id(text, &gid))
		return "gid: takes a number";
	if (c->n_groups == ACCESS_GROUPS_MAX)
		return "it has more than 128 groups";
	groups[c->n_groups++] = gid;
	return NULL;
}

static const char *add_word(const char *word, gid_t groups[ACCESS_GROUPS_MAX], struct caller *c)
{
	if (strncmp(word, "uid:", 4) == 0) {
		if (c->how != IPC9_BY_NONE)
			return "it has two uids";
		c->how = IPC9_BY_KERNEL;
		return parse_id(word + 4, &c->uid) ? NULL : "uid: takes a number";
	}
	if (strncmp(word, "gid:", 4) == 0)
		return add_group(word + 4, groups, c);
	if (strncmp(word, "from:", 5) == 0) {
		if (!c->local)
			return "it has two addresses";
		c->local = false;
		return address_parse(word + 5, 0, &c->address) ? "from: takes an IP address" : NULL;
	}
	return "it is made of uid:N, gid:N and from:ADDRESS, separated by commas";
}

const char *access_caller_parse(const char *text, gid_t groups[ACCESS_GROUPS_MAX],
    struct caller *ret)
{
	struct caller c = { .local = true, .gid = NO_GID };
	char copy[IPC9_WHO_MAX + 1], *state = NULL;
	const char *why = NULL;

	if (strlen(text) >= sizeof(copy))
		return "it is too long";
	text_format(copy, sizeof(copy), "%s", text);
	for (char *word = strtok_r(copy, ", ", &state); word && !why;
	     word = strtok_r(NULL, ", ", &state))
		why = add_word(word, groups, &c);
	if (why)
		return why;
	if (c.how == IPC9_BY_NONE && c.local)
		return "it names neither a user (uid:N) nor where an anonymous caller is (from:ADDRESS)";
	if (c.how == IPC9_BY_NONE && c.n_groups)
		return "a caller without uid:N has no groups";
	if (!c.local && c.n_groups > MESSAGE_GROUPS_MAX)
		return "a caller from another host has at most 16 groups";
	if (c.how != IPC9_BY_NONE && !c.local)
		c.how = IPC9_BY_CLAIM;
	*ret = c;
	ret->groups = groups;
	if (c.local)
		return NULL;
	for (uint32_t i = 0; i < c.n_groups; i++)
		ret->claimed[i] = groups[i];
	ret->groups = ret->claimed;
	return NULL;
}
