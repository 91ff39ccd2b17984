/* SPDX-License-Identifier: BSD-3-Clause */
/* target.c - see target.h. */
#include "client/target.h"

#include <limits.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "client/error.h"
#include "util/text.h"

#define SHOWN 100 /* bytes of a name that sentences show */

static bool is_own_host(const char *host)
{
	char own[HOST_NAME_MAX + 1] = "";

	if (strcasecmp(host, "localhost") == 0)
		return true;
	return gethostname(own, sizeof(own) - 1) == 0 && own[0] && strcasecmp(host, own) == 0;
}

/* The host as it stands in a name: "host2", "host2:99", "[::1]:99", ".", "@domain". */
static void host_text(const struct name *name, char *text, size_t size)
{
	bool v6 = strchr(name->host, ':') != NULL;

	if (name->scope == NAME_LOCAL)
		text_format(text, size, ".");
	else if (name->scope == NAME_DOMAIN)
		text_format(text, size, "@%s", name->host);
	else if (name->port)
		text_format(text, size, "%s%s%s:%u", v6 ? "[" : "", name->host, v6 ? "]" : "",
		    name->port);
	else
		text_format(text, size, "%s%s%s", v6 ? "[" : "", name->host, v6 ? "]" : "");
}

static void describe(struct target *t, const char *mechanism)
{
	const char *object = t->name.object;
	char host[TARGET_WHO_SIZE];

	host_text(&t->name, host, sizeof(host));
	text_format(t->who, sizeof(t->who), "%s", t->local ? "local daemon" : host);
	if (!*object)
		text_format(t->subject, sizeof(t->subject), "//%.*s", SHOWN, host);
	else
		text_format(t->subject, sizeof(t->subject), "//%.*s/%s/%.*s%s", SHOWN, host,
		    mechanism, SHOWN, object, strlen(object) > SHOWN ? "..." : "");
}

static int refuse(const char *text, const char *why, struct ipc9_error *e)
{
	return error_set(e, IPC9_E_BADNAME, "%.*s%s: not a valid name: %s", 2 * SHOWN,
	    *text ? text : "\"\"", strlen(text) > 2 * SHOWN ? "..." : "", why);
}

static int parse(const char *text, const char *mechanism, struct target *t, struct ipc9_error *e)
{
	const char *why;

	memset(t, 0, sizeof(*t));
	why = text ? name_parse(text, mechanism, &t->name) : NULL;
	if (why)
		return refuse(text, why, e);
	/* What goes to a domain is sent by this host's daemon. */
	t->local = t->name.scope != NAME_HOST || (!t->name.port && is_own_host(t->name.host));
	describe(t, mechanism);
	return 0;
}

static int refuse_domain(const char *text, const struct target *t, struct ipc9_error *e)
{
	if (t->name.scope != NAME_DOMAIN)
		return 0;
	return refuse(text,
	    "it stands for every host of a domain, and only mailslot messages go there", e);
}

int target_objects(const char *text, const char *mechanism, struct target *ret,
    struct ipc9_error *e)
{
	const char *why;
	int r = parse(text, mechanism, ret, e);

	if (r)
		return r;
	why = *ret->name.object || text[0] != text[1] || (*text != '/' && *text != '\\')
	    ? name_check_object(ret->name.object, false)
	    : "it has no name after the host";
	return why ? refuse(text, why, e) : 0;
}

int target_object(const char *text, const char *mechanism, struct target *ret, struct ipc9_error *e)
{
	int r = target_objects(text, mechanism, ret, e);

	return r ? r : refuse_domain(text, ret, e);
}

int target_own_object(const char *text, const char *mechanism, struct target *ret,
    struct ipc9_error *e)
{
	int r = target_object(text, mechanism, ret, e);

	if (r || ret->local)
		return r;
	return refuse(text, "it can only be made on its server's own host, which is called \".\"",
	    e);
}

/* One's own board, that of a user, which the daemon knows as ~UID, or a shared one. */
static const char *check_board(const char *object)
{
	bool digits = object[0] == '~' && strspn(object + 1, "0123456789") == strlen(object + 1);

	return name_check_object(object, digits);
}

int target_board(const char *text, struct target *ret, struct ipc9_error *e)
{
	const char *why;
	int r = parse(text, "clipboard", ret, e);

	if (!r)
		r = refuse_domain(text, ret, e);
	if (r)
		return r;
	if (!*ret->name.object && (!text || *text)) {
		text_format(ret->name.object, sizeof(ret->name.object), "~");
		describe(ret, "clipboard");
	}
	why = check_board(ret->name.object);
	return why ? refuse(text, why, e) : 0;
}

int target_named(const char *text, const char **ret_mechanism, struct target *ret,
    struct ipc9_error *e)
{
	const char *mechanism = text ? name_mechanism(text) : NULL, *why;
	int r;

	if (!mechanism)
		return refuse(text ? text : "",
		    "an object with its mechanism is meant here, such as //./pipe/NAME", e);
	r = parse(text, mechanism, ret, e);
	if (!r)
		r = refuse_domain(text, ret, e);
	if (r)
		return r;
	why = strcmp(mechanism, "clipboard") == 0 ? check_board(ret->name.object)
						  : name_check_object(ret->name.object, false);
	if (why)
		return refuse(text, why, e);
	*ret_mechanism = mechanism;
	return 0;
}

int target_host(const char *text, const char *mechanism, struct target *ret, struct ipc9_error *e)
{
	int r = parse(text, mechanism, ret, e);

	if (!r)
		r = refuse_domain(text, ret, e);
	if (r || !text)
		return r;
	if (*ret->name.object || !*text)
		return refuse(text, "a host is meant here, such as //host2", e);
	return 0;
}
