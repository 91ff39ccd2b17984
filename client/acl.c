/* SPDX-License-Identifier: BSD-3-Clause */
/* acl.c - access lists of objects, over control.x. */
#include "client/acl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/error.h"
#include "client/wire.h"
#include "rpcgen-out/control.h"
#include "util/text.h"

_Static_assert(IPC9_RULE_BYTES == IPC9_RULE_MAX && IPC9_RULES == IPC9_RULES_MAX,
    "ipc9.h and common.x agree");
_Static_assert(sizeof(((struct ipc9_acl_verdict *)NULL)->why) > IPC9_WHY_MAX,
    "ipc9.h and control.x agree");

LINK_ASSERT_RESULTS(ipc9_acl_get_res);
LINK_ASSERT_RESULTS(ipc9_acl_test_res);

static const struct link_procedure get_procedure = {
	.number = IPC9_CONTROLPROC_ACL_GET,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_acl_get_args, ipc9_acl_get_res),
};
static const struct link_procedure set_procedure = {
	.number = IPC9_CONTROLPROC_ACL_SET,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_acl_set_args, ipc9_void_res),
};
static const struct link_procedure test_procedure = {
	.number = IPC9_CONTROLPROC_ACL_TEST,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_acl_test_args, ipc9_acl_test_res),
};

/* For arguments of calls, which are encoded and never changed. */
static char *argument(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* One exchange about the object that target names. */
static int call(struct ipc9 *ipc9, const struct target *target,
    const struct link_procedure *procedure, void *args, void *results, struct ipc9_error *e)
{
	struct link link;
	int r;

	link_init(&link, ipc9, IPC9_PROG_CONTROL, target, false);
	r = link_call(&link, procedure, args, results, context_deadline(ipc9), e);
	link_close(&link);
	return r;
}

/* --- Getting ----------------------------------------------------------------------------------- */

static int copy_rules(const ipc9_rules *rules, struct ipc9_acl_listing *listing)
{
	size_t n = rules->lines.lines_len;

	listing->rules = calloc(n + 1, sizeof(listing->rules[0]));
	if (!listing->rules)
		return -ENOMEM;
	for (; listing->n_rules < n; listing->n_rules++) {
		const char *text = wire_text(rules->lines.lines_val[listing->n_rules]);

		if (!text)
			return -ENOMEM;
		listing->rules[listing->n_rules] = text;
	}
	return 0;
}

int ipc9_acl_get(struct ipc9 *ipc9, const char *name, struct ipc9_acl_listing **ret,
    struct ipc9_error *e)
{
	ipc9_acl_get_args args;
	ipc9_acl_get_res res;
	const ipc9_acl_get_ok *ok = &res.ipc9_acl_get_res_u.ok;
	struct ipc9_acl_listing *listing;
	struct target target;
	const char *mechanism;
	int r = target_named(name, &mechanism, &target, e);

	if (r)
		return r;
	args = (ipc9_acl_get_args){ argument(mechanism), target.name.object };
	r = call(ipc9, &target, &get_procedure, &args, &res, e);
	if (r)
		return r;
	listing = calloc(1, sizeof(*listing));
	if (!listing || copy_rules(&ok->rules, listing)) {
		ipc9_acl_listing_free(listing);
		r = error_set_own(e, -ENOMEM);
	} else {
		listing->owned = ok->owned;
		listing->owner_uid = ok->owner;
		listing->given = ok->given;
		*ret = listing;
	}
	xdr_free(get_procedure.results, &res);
	return r;
}

struct ipc9_acl_listing *ipc9_acl_listing_free(struct ipc9_acl_listing *listing)
{
	if (!listing)
		return NULL;
	for (size_t i = 0; i < listing->n_rules; i++)
		wire_text_free(listing->rules[i]);
	free(listing->rules);
	free(listing);
	return NULL;
}

/* --- Setting ----------------------------------------------------------------------------------- */

static int check_rules(const char *subject, const char *const *rules, size_t n,
    struct ipc9_error *e)
{
	if (n > IPC9_RULES)
		return error_set(e, IPC9_E_INVALID,
		    "%s: an access list of %zu lines; it has at most %d", subject, n, IPC9_RULES);
	for (size_t i = 0; i < n; i++) {
		if (!rules[i] || strlen(rules[i]) > IPC9_RULE_BYTES)
			return error_set(e, IPC9_E_INVALID,
			    "%s: access list, line %zu: a line has at most %d bytes", subject,
			    i + 1, IPC9_RULE_BYTES);
	}
	return 0;
}

int acl_rules(const struct link *link, const char *const *rules, size_t n, ipc9_rules *ret,
    struct ipc9_error *e)
{
	int r = check_rules(link->target.subject, rules, n, e);

	if (r)
		return r;
	ret->lines.lines_len = (u_int)n;
	ret->lines.lines_val = (ipc9_rule *)(uintptr_t)rules;
	return 0;
}

int ipc9_acl_set(struct ipc9 *ipc9, const char *name, const char *const *rules, size_t n_rules,
    struct ipc9_error *e)
{
	ipc9_acl_set_args args;
	ipc9_void_res res;
	struct target target;
	const char *mechanism;
	int r = target_named(name, &mechanism, &target, e);

	if (!r)
		r = check_rules(target.subject, rules, n_rules, e);
	if (r)
		return r;
	args = (ipc9_acl_set_args){ argument(mechanism), target.name.object,
		{ { (u_int)n_rules, (ipc9_rule *)(uintptr_t)rules } } };
	r = call(ipc9, &target, &set_procedure, &args, &res, e);
	if (!r)
		xdr_free(set_procedure.results, &res);
	return r;
}

/* --- Testing ----------------------------------------------------------------------------------- */

static int check_test(const char *subject, const char *who, const char *right, struct ipc9_error *e)
{
	if (strlen(who) > IPC9_WHO_MAX)
		return error_set(e, IPC9_E_INVALID, "%s: WHO is longer than %d bytes", subject,
		    IPC9_WHO_MAX);
	if (strlen(right) > IPC9_MECHANISM_MAX)
		return error_set(e, IPC9_E_INVALID,
		    "%s: the right is one of read, write, create, delete, admin", subject);
	return 0;
}

int ipc9_acl_test(struct ipc9 *ipc9, const char *name, const char *who, const char *right,
    struct ipc9_acl_verdict *ret, struct ipc9_error *e)
{
	ipc9_acl_test_args args;
	ipc9_acl_test_res res;
	struct target target;
	const char *mechanism;
	int r = target_named(name, &mechanism, &target, e);

	if (!r)
		r = check_test(target.subject, who ? who : "", right, e);
	if (r)
		return r;
	args = (ipc9_acl_test_args){ argument(mechanism), target.name.object,
		argument(who ? who : ""), argument(right) };
	r = call(ipc9, &target, &test_procedure, &args, &res, e);
	if (r)
		return r;
	ret->allowed = res.ipc9_acl_test_res_u.ok.allowed;
	text_format(ret->why, sizeof(ret->why), "%s", res.ipc9_acl_test_res_u.ok.why);
	error_clean(ret->why);
	xdr_free(test_procedure.results, &res);
	return 0;
}
