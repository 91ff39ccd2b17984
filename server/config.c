/* SPDX-License-Identifier: BSD-3-Clause */
/* config.c - see config.h. */
#include "server/config.h"

#include <errno.h>
#include <glob.h>
#include <ini.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/services.h"
#include "util/name.h"
#include "util/text.h"

void config_init(struct config *c)
{
	memset(c, 0, sizeof(*c));
	c->port = IPC9_PORT;
	c->rpcbind = true;
	c->limits.record_bytes = IPC9_RECORD_MAX;
	c->quotas[QUOTA_OBJECTS] = 4096;
	c->quotas[QUOTA_BYTES] = (size_t)1 << 30;
	c->quotas[QUOTA_WAITING] = 8192;
	text_format(c->domain, sizeof(c->domain), "ipc9");
}

void config_clear(struct config *c)
{
	free(c->addresses);
	free(c->trusted);
	free(c->socket);
	free(c->state_dir);
	free(c->reserved);
	access_list_clear(&c->rules);
	config_init(c);
}

static int complain(struct config_error *e, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static int complain(struct config_error *e, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	vsnprintf(e->text, sizeof(e->text), format, ap);
	va_end(ap);
	return -EINVAL;
}

/* --- Keys -------------------------------------------------------------------------------------- */

/* Calls fn for each item of a comma list. */
static int each_item(struct config *c, const char *value,
    int (*fn)(struct config *, const char *, struct config_error *), struct config_error *e)
{
	char *copy = strdup(value), *state = NULL;
	int r = copy ? 0 : -ENOMEM;

	for (char *item = copy ? strtok_r(copy, ", \t", &state) : NULL; item && !r;
	     item = strtok_r(NULL, ", \t", &state))
		r = fn(c, item, e);
	free(copy);
	return r;
}

static int add_address(struct config *c, const char *text, struct config_error *e)
{
	struct address *more = realloc(c->addresses, (c->n_addresses + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	c->addresses = more;
	if (address_parse(text, 0, &c->addresses[c->n_addresses]))
		return complain(e, "listen: \"%s\" is neither loopback, any, nor an IP address",
		    text);
	c->n_addresses++;
	return 0;
}

static int set_listen(struct config *c, const char *value, struct config_error *e)
{
	int r;

	c->n_addresses = 0;
	if (strcmp(value, "loopback") == 0) {
		c->listen = LISTEN_LOOPBACK;
		return 0;
	}
	if (strcmp(value, "any") == 0) {
		c->listen = LISTEN_ANY;
		return 0;
	}
	c->listen = LISTEN_ADDRESSES;
	r = each_item(c, value, add_address, e);
	if (!r && !c->n_addresses)
		return complain(e, "listen: takes loopback, any, or addresses");
	return r;
}

static int set_port(struct config *c, const char *value, struct config_error *e)
{
	char *end;
	unsigned long port = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || port < 1 || port > 65535)
		return complain(e, "port: \"%s\" is not a number from 1 to 65535", value);
	c->port = (uint16_t)port;
	return 0;
}

static int set_domain(struct config *c, const char *value, struct config_error *e)
{
	size_t len = strlen(value);

	if (len == 0 || len > IPC9_HOST_MAX || strpbrk(value, "/\\ \t@") ||
	    text_has_control(value, len))
		return complain(e, "domain: \"%s\" is not a name without blanks, '/' and '@'",
		    value);
	text_format(c->domain, sizeof(c->domain), "%s", value);
	return 0;
}

static int add_trusted(struct config *c, const char *text, struct config_error *e)
{
	struct address_range *more = realloc(c->trusted, (c->n_trusted + 1) * sizeof(*more));

	if (!more)
		return -ENOMEM;
	c->trusted = more;
	if (address_range_parse(text, &c->trusted[c->n_trusted]))
		return complain(e,
		    "trust_sys: \"%s\" is not an address or a range such as 10.0.0.0/8 (no bits set "
		    "beyond the prefix)",
		    text);
	c->n_trusted++;
	return 0;
}

static int set_trust_sys(struct config *c, const char *value, struct config_error *e)
{
	c->n_trusted = 0;
	return each_item(c, value, add_trusted, e);
}

static int set_trust_root(struct config *c, const char *value, struct config_error *e)
{
	if (strcmp(value, "yes") == 0)
		c->trust_root = true;
	else if (strcmp(value, "no") == 0)
		c->trust_root = false;
	else
		return complain(e, "trust_root: takes yes or no, not \"%s\"", value);
	return 0;
}

static int add_rule(struct config *c, const char *value, bool allow, struct config_error *e)
{
	struct access_rule rule;
	const char *why = access_rule_parse(value, allow, &rule);

	if (why)
		return complain(e, "%s: \"%s\": %s", allow ? "allow" : "deny", value, why);
	return access_list_add(&c->rules, &rule);
}

static int add_allow(struct config *c, const char *value, struct config_error *e)
{
	return add_rule(c, value, true, e);
}

static int add_deny(struct config *c, const char *value, struct config_error *e)
{
	return add_rule(c, value, false, e);
}

/* Whether nobody of a rule that allows is an administrator by it, because an earlier one denies them that. */
static bool is_denied_before(const struct config *c, size_t line)
{
	char who[ACCESS_WHO_SIZE], other[ACCESS_WHO_SIZE];

	access_who(&c->rules.rules[line], who);
	for (size_t i = 0; i < line; i++) {
		const struct access_rule *rule = &c->rules.rules[i];

		access_who(rule, other);
		if (!rule->allow && rule->rights & RIGHT_ADMIN &&
		    (rule->who == WHO_ANYONE || strcmp(who, other) == 0))
			return true;
	}
	return false;
}

bool config_next_warning(const struct config *c, size_t *at, struct config_error *e)
{
	char line[ACCESS_LINE_SIZE], others[ACCESS_RIGHTS_SIZE];

	for (; *at < c->rules.n; ++*at) {
		const struct access_rule *rule = &c->rules.rules[*at];
		bool names = rule->who == WHO_UID || rule->who == WHO_GID || rule->who == WHO_USER;

		if (!rule->allow || names || !(rule->rights & RIGHT_ADMIN) ||
		    is_denied_before(c, *at))
			continue;
		access_line(rule, line);
		access_rights(rule->rights & ~(unsigned)RIGHT_ADMIN, others);
		complain(e,
		    "\"%s\" makes everybody whom it concerns an administrator of all objects%s%s",
		    line, *others ? "; to let them in and no more, write " : "", others);
		++*at;
		return true;
	}
	return false;
}

/* --- Reserved names ---------------------------------------------------------------------------- */

/* The name of a mechanism with named objects, good for the program's life; or NULL. */
static const char *find_mechanism(const char *text, size_t len)
{
	for (size_t i = 0; services[i]; i++)
		if (services[i]->find && strlen(services[i]->name) == len &&
		    strncmp(text, services[i]->name, len) == 0)
			return services[i]->name;
	return NULL;
}

/* MECHANISM:NAME WHO, where NAME may have blanks inside, and WHO has none. */
static int parse_reservation(const char *value, struct config_reservation *ret,
    struct config_error *e)
{
	const char *colon = strchr(value, ':'), *who = value + strlen(value), *why;
	size_t len;

	while (who > value && who[-1] != ' ' && who[-1] != '\t')
		who--;
	if (!colon || colon >= who)
		return complain(e,
		    "reserve: \"%s\" is not MECHANISM:NAME WHO, such as pipe:printer uid:7", value);
	ret->mechanism = find_mechanism(value, (size_t)(colon - value));
	if (!ret->mechanism)
		return complain(e,
		    "reserve: \"%.*s\" is no mechanism with named objects, such as pipe",
		    (int)(colon - value), value);
	for (len = (size_t)(who - ++colon); len && strchr(" \t", colon[len - 1]);)
		len--;
	if (len >= sizeof(ret->key))
		return complain(e, "reserve: \"%s\": the name is longer than 255 bytes", value);
	memcpy(ret->key, colon, len);
	ret->key[len] = '\0';
	why = name_check_object(ret->key, false);
	if (why)
		return complain(e, "reserve: \"%s\" is not a valid name: %s", ret->key, why);
	text_fold(ret->key);
	why = access_who_parse(who, &ret->who);
	return why ? complain(e, "reserve: \"%s\": %s", who, why) : 0;
}

static int add_reservation(struct config *c, const char *value, struct config_error *e)
{
	struct config_reservation one = { .mechanism = NULL }, *more;
	int r = parse_reservation(value, &one, e);

	if (r)
		return r;
	more = realloc(c->reserved, (c->n_reserved + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	c->reserved = more;
	c->reserved[c->n_reserved++] = one;
	return 0;
}

bool config_may_create(const struct config *c, const char *mechanism, const char *name,
    const struct caller *caller, char *ret_whom, size_t size)
{
	char key[IPC9_NAME_MAX + 1], who[ACCESS_WHO_SIZE];
	size_t n = 0;

	text_format(key, sizeof(key), "%s", name);
	text_fold(key);
	for (size_t i = 0; i < c->n_reserved; i++) {
		const struct config_reservation *one = &c->reserved[i];

		if (strcmp(one->mechanism, mechanism) != 0 || strcmp(one->key, key) != 0)
			continue;
		if (access_concerns(&one->who, caller))
			return true;
		access_who(&one->who, who);
		text_format(ret_whom + n, size - n, "%s%s", n ? ", " : "", who);
		n += strlen(ret_whom + n);
	}
	return n == 0;
}

/* --- All of them ------------------------------------------------------------------------------- */

static const struct {
	const char *name, *variable;
	int (*set)(struct config *config, const char *value, struct config_error *e);
} keys[] = {
	{ "listen", "IPC9_LISTEN", set_listen },
	{ "port", "IPC9_PORT", set_port },
	{ "domain", "IPC9_DOMAIN", set_domain },
	{ "trust_sys", "IPC9_TRUST_SYS", set_trust_sys },
	{ "trust_root", "IPC9_TRUST_ROOT", set_trust_root },
	{ "allow", NULL, add_allow },
	{ "deny", NULL, add_deny },
	{ "reserve", NULL, add_reservation },
};

#define N_KEYS (sizeof(keys) / sizeof(keys[0]))

/*
 * The budgets: whole numbers, in the unit that the name ends with.  Bounds are where a value would be
 * a mistake: no call fits, an ordinary client is cut off, or the protocol has no use for more.
 */
static const struct budget {
	const char *name, *variable;
	size_t offset; /* in struct config */
	bool is_size;  /* a size_t there, else an unsigned */
	unsigned low, high;
} budgets[] = {
#define BYTES(field) offsetof(struct config, limits.field), true
#define NUMBER(field) offsetof(struct config, limits.field), false
#define QUOTA(resource) offsetof(struct config, quotas[resource]), true
	{ "record_bytes", "IPC9_RECORD_BYTES", BYTES(record_bytes), 4096, IPC9_RECORD_MAX },
	{ "record_ms", "IPC9_RECORD_MS", NUMBER(record_ms), 100, 3600000 },
	{ "calls_per_connection", "IPC9_CALLS_PER_CONNECTION", NUMBER(calls), 1, 65536 },
	{ "held_bytes", "IPC9_HELD_BYTES", BYTES(held_bytes), 4096, 1u << 30 },
	{ "unread_bytes", "IPC9_UNREAD_BYTES", BYTES(unread_bytes), 4096, 1u << 30 },
	{ "unread_ms", "IPC9_UNREAD_MS", NUMBER(unread_ms), 100, 3600000 },
	{ "connections", "IPC9_CONNECTIONS", NUMBER(connections), 1, 1000000 },
	{ "connections_per_host", "IPC9_CONNECTIONS_PER_HOST", NUMBER(connections_per_host), 1,
	    1000000 },
	{ "local_connections", "IPC9_LOCAL_CONNECTIONS", NUMBER(local_connections), 1, 100000 },
	{ "vanished_ms", "IPC9_VANISHED_MS", NUMBER(vanished_ms), 2000, 3600000 },
	{ "quota_objects", "IPC9_QUOTA_OBJECTS", QUOTA(QUOTA_OBJECTS), 4, 10000000 },
	{ "quota_bytes", "IPC9_QUOTA_BYTES", QUOTA(QUOTA_BYTES), 65536, UINT32_MAX },
	{ "quota_waiting", "IPC9_QUOTA_WAITING", QUOTA(QUOTA_WAITING), 4, 10000000 },
	{ "quota_connections", "IPC9_QUOTA_CONNECTIONS", QUOTA(QUOTA_CONNECTIONS), 4, 2000000 },
	{ "quota_descriptors", "IPC9_QUOTA_DESCRIPTORS", QUOTA(QUOTA_DESCRIPTORS), 4, 1000000 },
#undef QUOTA
#undef BYTES
#undef NUMBER
};

#define N_BUDGETS (sizeof(budgets) / sizeof(budgets[0]))

static int set_budget(struct config *c, const struct budget *b, const char *value,
    struct config_error *e)
{
	char *end, *field = (char *)c + b->offset;
	unsigned long n = strtoul(value, &end, 10);
	unsigned number = (unsigned)n;
	size_t size = n;

	if (*value < '0' || *value > '9' || *end || n < b->low || n > b->high)
		return complain(e, "%s: \"%s\" is not a number from %u to %u", b->name, value,
		    b->low, b->high);
	if (b->is_size)
		memcpy(field, &size, sizeof(size));
	else
		memcpy(field, &number, sizeof(number));
	return 0;
}

static int unknown_key(const char *key, struct config_error *e)
{
	char known[480];
	size_t n = 0;

	for (size_t i = 0; i < N_KEYS + N_BUDGETS; i++) {
		text_format(known + n, sizeof(known) - n, "%s%s", i ? ", " : "",
		    i < N_KEYS ? keys[i].name : budgets[i - N_KEYS].name);
		n += strlen(known + n);
	}
	return complain(e, "unknown key \"%.64s\"; there are %s", key, known);
}

int config_set(struct config *c, const char *key, const char *value, struct config_error *e)
{
	for (size_t i = 0; i < N_KEYS; i++)
		if (strcmp(keys[i].name, key) == 0)
			return keys[i].set(c, value, e);
	for (size_t i = 0; i < N_BUDGETS; i++)
		if (strcmp(budgets[i].name, key) == 0)
			return set_budget(c, &budgets[i], value, e);
	return unknown_key(key, e);
}

/* A key's environment variable, if both are there. */
static int read_variable(struct config *c, const char *key, const char *variable,
    struct config_error *e)
{
	const char *value = variable ? getenv(variable) : NULL;
	struct config_error inner;
	int r = value ? config_set(c, key, value, &inner) : 0;

	return r == -EINVAL ? complain(e, "environment %s: %.400s", variable, inner.text) : r;
}

int config_read_environment(struct config *c, struct config_error *e)
{
	int r = 0;

	for (size_t i = 0; i < N_KEYS && !r; i++)
		r = read_variable(c, keys[i].name, keys[i].variable, e);
	for (size_t i = 0; i < N_BUDGETS && !r; i++)
		r = read_variable(c, budgets[i].name, budgets[i].variable, e);
	return r;
}

/* --- Files ------------------------------------------------------------------------------------- */

struct reading {
	struct config *config;
	FILE *file;
	bool too_long;		   /* a line did not fit inih's buffer */
	struct config_error first; /* what the first bad line is told */
	int result;
};

/* Ends a value where a comment begins: at a '#' behind a blank. */
static void cut_comment(char *value)
{
	for (char *p = value; *p; p++) {
		if (*p != '#' || p == value || (p[-1] != ' ' && p[-1] != '\t'))
			continue;
		while (p > value && (p[-1] == ' ' || p[-1] == '\t'))
			p--;
		*p = '\0';
		return;
	}
}

/* For inih: 1 is fine; 0 makes ini_parse return the line's number in the end. */
static int on_line(void *context, const char *section, const char *key, const char *value)
{
	struct reading *r = context;
	char copy[1024];

	if (r->result)
		return 1;
	text_format(copy, sizeof(copy), "%s", value);
	cut_comment(copy);
	if (*section)
		r->result = complain(&r->first, "there are no sections such as [%.100s]", section);
	else
		r->result = config_set(r->config, key, copy, &r->first);
	return r->result == 0;
}

/*
 * For inih, which would take the rest of a line that is too long for another line: what stands behind a long
 * comment must not become a rule.
 */
static char *next_line(char *line, int size, void *context)
{
	struct reading *r = context;

	if (r->too_long || !fgets(line, size, r->file))
		return NULL;
	if (!strchr(line, '\n') && !feof(r->file)) {
		r->too_long = true;
		text_format(line, (size_t)size, "a line that is too long\n");
	}
	return line;
}

static int read_lines(struct reading *r, const char *path, struct config_error *e)
{
	int line = ini_parse_stream(next_line, r, on_line, r);

	if (r->result == -ENOMEM)
		return -ENOMEM;
	if (line > 0)
		return complain(e, "%s:%d: %.400s", path, line,
		    r->result	      ? r->first.text
			: r->too_long ? "the line is too long (at most 198 bytes)"
				      : "not a line of the form key = value");
	return line < 0 ? complain(e, "%s: cannot be read", path) : 0;
}

int config_read_file(struct config *c, const char *path, struct config_error *e)
{
	struct reading reading = { .config = c, .file = fopen(path, "re") };
	int r;

	if (!reading.file)
		return complain(e, "%s: %s", path, strerror(errno));
	r = read_lines(&reading, path, e);
	if (!r && ferror(reading.file))
		r = complain(e, "%s: %s", path, strerror(EISDIR));
	fclose(reading.file);
	return r;
}

int config_read_standard(struct config *c, struct config_error *e)
{
	glob_t found = { 0 };
	int r = 0;

	if (access(CONFIG_FILE, F_OK) == 0)
		r = config_read_file(c, CONFIG_FILE, e);
	if (!r && glob(CONFIG_DIR "/*.conf", 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc && !r; i++)
			r = config_read_file(c, found.gl_pathv[i], e);
	globfree(&found);
	return r;
}

/* --- Paths ------------------------------------------------------------------------------------- */

static bool is_host_daemon(void)
{
	struct passwd *p = getpwuid(geteuid());

	return geteuid() == 0 || (p && strcmp(p->pw_name, "ipc9") == 0);
}

/* Makes a path of two parts unless there is one already. */
static int set_path(char **path, const char *folder, const char *rest)
{
	if (*path)
		return 0;
	return asprintf(path, "%s%s", folder, rest) < 0 ? -ENOMEM : 0;
}

int config_finish(struct config *c, struct config_error *e)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	bool host = is_host_daemon() && !c->user;
	int r;

	if (c->user)
		c->listen = LISTEN_NOTHING, c->rpcbind = false;
	if (!c->socket && getenv("IPC9_SOCKET"))
		c->socket = strdup(getenv("IPC9_SOCKET"));
	if (!c->socket && !host && !runtime)
		return complain(e,
		    "XDG_RUNTIME_DIR is not set: say where the socket goes with --socket");
	if (!c->state_dir && !host && !state && !home)
		return complain(e, "neither XDG_STATE_HOME nor HOME is set: say --state-dir");
	r = set_path(&c->socket, host ? "/run" : runtime, "/ipc9/ipc9d.sock");
	if (r)
		return r;
	if (host)
		return set_path(&c->state_dir, "/var/lib", "/ipc9");
	return set_path(&c->state_dir, state ? state : home,
	    state ? "/ipc9" : "/.local/state/ipc9");
}
