/* SPDX-License-Identifier: BSD-3-Clause */
/* acl.c - see acl.h. */
#include "server/acl.h"

#include <stdlib.h>
#include <string.h>

#include "rpcgen-out/control.h"
#include "server/audit.h"
#include "server/daemon.h"
#include "server/named.h"
#include "server/services.h"
#include "util/text.h"

static bool is_own_board(const char *mechanism, const char *name)
{
	return strcmp(mechanism, "clipboard") == 0 && strcmp(name, "~") == 0;
}

/* The object, if it is the caller's business; ends the request otherwise. */
static struct named *find(struct request *r, const char *mechanism, const char *name)
{
	static const char only_owner[] =
	    "only its owner and administrators see and change its list";
	struct named *n;
	size_t i = 0;

	while (services[i] && strcmp(services[i]->name, mechanism) != 0)
		i++;
	if (!services[i] || !services[i]->find) {
		request_fail(r, IPC9_STATUS_INVALID, 0, "%.31s: no mechanism with named objects",
		    mechanism);
		return NULL;
	}
	n = services[i]->find(r, r->daemon->states[i], name);
	if (n &&
	    (access_is_owner(&r->caller, &n->object) ||
		access_allows(&r->daemon->access, &r->caller, RIGHT_ADMIN, NULL)))
		return n;
	if (n && access_sees(&r->daemon->access, &r->caller, &n->object)) {
		request_refuse(r, &n->object, RIGHT_ADMIN, only_owner);
		return NULL;
	}
	if (n)
		audit_refusal(r, n, RIGHT_ADMIN, only_owner);
	if (is_own_board(mechanism, name))
		request_fail(r, IPC9_STATUS_NOENT, 0, "you have no clipboard there yet");
	else
		named_fail_absent(r, services[i], name);
	return NULL;
}

void acl_handle_get(struct request *r, void *args)
{
	const ipc9_acl_get_args *a = args;
	ipc9_acl_get_res res = { .status = IPC9_STATUS_OK };
	ipc9_acl_get_ok *ok = &res.ipc9_acl_get_res_u.ok;
	char lines[IPC9_RULES_MAX][ACCESS_LINE_SIZE];
	ipc9_rule texts[IPC9_RULES_MAX];
	const struct access_list *list;
	struct named *n = find(r, a->mechanism, a->name);

	if (!n)
		return;
	list = n->object.has_list ? &n->object.list : n->object.defaults;
	for (size_t i = 0; list && i < list->n; i++) {
		access_line(&list->rules[i], lines[i]);
		texts[i] = lines[i];
	}
	ok->owned = n->object.owned;
	ok->owner = n->object.owner;
	ok->given = n->object.has_list;
	ok->rules.lines.lines_len = list ? (u_int)list->n : 0;
	ok->rules.lines.lines_val = texts;
	request_reply(r, &res);
}

void acl_handle_set(struct request *r, void *args)
{
	const ipc9_acl_set_args *a = args;
	struct named *n = find(r, a->mechanism, a->name);
	char what[64];

	if (!n || !named_take_rules(r, n, &a->rules))
		return;
	text_format(what, sizeof(what), "access list, %u lines", a->rules.lines.lines_len);
	audit_change(r, what, n);
	for (size_t i = 0; services[i]; i++)
		if (services[i] == n->service && n->service->listed) {
			n->service->listed(r->daemon->states[i], n);
			break;
		}
	request_done(r);
}

/* Whom the call asks about; NULL, or what is wrong with it.  *ret_note: what of it would not be believed, or NULL. */
static const char *read_who(struct request *r, const char *text, gid_t groups[ACCESS_GROUPS_MAX],
    struct caller *ret, const char **ret_note)
{
	const char *wrong;

	*ret_note = NULL;
	if (!*text) {
		*ret = r->caller;
		return NULL;
	}
	wrong = access_caller_parse(text, groups, ret);
	if (!wrong)
		*ret_note = access_believe(&r->daemon->access, ret);
	return wrong;
}

/* As access_decide; but a name that is there is made again, or ended, by its owner alone, whoever else may everything. */
static bool decide(struct request *r, const struct caller *who, unsigned right,
    const struct named *n, char why[ACCESS_WHY_SIZE])
{
	bool allowed = access_decide(&r->daemon->access, who, (enum right)right, &n->object, why);

	if (!allowed || !(right & (RIGHT_CREATE | RIGHT_DELETE)) ||
	    access_is_owner(who, &n->object))
		return allowed;
	text_format(why, ACCESS_WHY_SIZE, "only its owner, as it is there already");
	return false;
}

void acl_handle_test(struct request *r, void *args)
{
	const ipc9_acl_test_args *a = args;
	ipc9_acl_test_res res = { .status = IPC9_STATUS_OK };
	ipc9_acl_test_ok *ok = &res.ipc9_acl_test_res_u.ok;
	gid_t groups[ACCESS_GROUPS_MAX];
	struct caller who;
	unsigned right = access_right(a->right);
	char why[ACCESS_WHY_SIZE], text[IPC9_WHY_MAX + 1];
	const char *note, *wrong = read_who(r, a->who, groups, &who, &note);
	struct named *n = find(r, a->mechanism, a->name);

	if (!n)
		return;
	if (wrong) {
		request_fail(r, IPC9_STATUS_INVALID, 0, "WHO: %s", wrong);
		return;
	}
	if (!right || right == RIGHT_ALL) {
		request_fail(r, IPC9_STATUS_INVALID, 0,
		    "the right is one of read, write, create, delete, admin");
		return;
	}
	ok->allowed = decide(r, &who, right, n, why);
	text_format(text, sizeof(text), "%s%s%s", why, note ? "; " : "", note ? note : "");
	ok->why = text;
	request_reply(r, &res);
}
