/* SPDX-License-Identifier: BSD-3-Clause */
/* named.c - see named.h. */
#include "server/named.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/audit.h"
#include "server/daemon.h"
#include "server/services.h"
#include "util/name.h"
#include "util/text.h"

#define LINES_FREE 16 /* of a list: the object pays for them */

size_t named_count(const struct named_map *map)
{
	return HASH_COUNT(map->head);
}

static void make_key(const struct named_map *map, const char *name, char key[IPC9_NAME_MAX + 1])
{
	text_format(key, IPC9_NAME_MAX + 1, "%s", name);
	if (!map->exact)
		text_fold(key);
}

struct named *named_find(const struct named_map *map, const char *name)
{
	char key[IPC9_NAME_MAX + 1];
	struct named *n;

	make_key(map, name, key);
	HASH_FIND(hh, map->head, key, strlen(key), n);
	return n;
}

struct named *named_find_for(const struct request *r, const struct named_map *map, const char *name)
{
	struct named *n = named_find(map, name);

	return n && &n->object == r->hidden ? NULL : n;
}

int named_add(struct named_map *map, struct named *n, const struct request *r, const char *name,
    const struct access_list *list, const struct charge *payer)
{
	bool added = false;

	n->key = strdup(name);
	n->name = strdup(name);
	if (n->key && n->name) {
		if (!map->exact)
			text_fold(n->key);
		MAP_ADD_KEY(hh, map->head, n->key, strlen(n->key), n, added);
	}
	if (!added) {
		free(n->key);
		free(n->name);
		return -ENOMEM;
	}
	n->service = request_service(r);
	n->object.rights = n->service->rights;
	access_own(&n->object, &r->caller);
	n->object.defaults = list;
	n->payer = payer;
	return 0;
}

/* How a call is told: IPC9_STATUS_INVALID. */
static int bad_line(const ipc9_rules *rules, u_int line, const char *why, char *ret_why)
{
	text_format(ret_why, ACCESS_WHY_SIZE, "access list, line %u (\"%.100s\"): %s", line + 1,
	    rules->lines.lines_val[line], why);
	return IPC9_STATUS_INVALID;
}

/* What is wrong with the rights of a rule for an object of that service; NULL: nothing. */
static const char *check_rights(const struct service *s, const struct access_rule *rule,
    char text[160])
{
	unsigned alien = rule->rights == RIGHT_ALL ? 0 : rule->rights & ~s->rights;
	char names[ACCESS_RIGHTS_SIZE];

	if (!alien)
		return NULL;
	access_rights(s->rights, names);
	text_format(text, 160, "%s means nothing for a %s; RIGHTS is all, or some of %s",
	    access_right_name((enum right)(alien & -alien)), s->name, names);
	return text;
}

/* 0, -ENOMEM, or IPC9_STATUS_INVALID with ret_why. */
static int read_rules(const struct named *n, const ipc9_rules *rules, struct access_list *ret,
    char *ret_why)
{
	for (u_int i = 0; i < rules->lines.lines_len; i++) {
		const char *why;
		struct access_rule rule;
		char text[160];

		why = access_line_parse(rules->lines.lines_val[i], &rule);
		if (!why)
			why = check_rights(n->service, &rule, text);
		if (why)
			return bad_line(rules, i, why, ret_why);
		if (access_list_add(ret, &rule))
			return -ENOMEM;
	}
	return 0;
}

/* What is charged for a list of n lines: who has no room left must still be able to shut others out of what they fill. */
static uint64_t price_of(size_t n)
{
	return n > LINES_FREE ? (n - LINES_FREE) * sizeof(struct access_rule) : 0;
}

/*
 * Charges what a list takes.  An administrator may have to shut an object whose owner has left nothing of their share, and
 * pays for the list then.
 */
static int pay_rules(struct request *r, struct named *n, uint64_t bytes)
{
	struct charge charge = { 0 };
	int e;

	if (bytes <= n->paid.amount) {
		charge_shrink(&n->paid, n->paid.amount - bytes);
		return 0;
	}
	if (!n->paid.user || charge_is_of(&n->paid, charge_payer(n->payer)))
		e = charge_add(n->payer, QUOTA_BYTES, bytes - n->paid.amount, &n->paid);
	else
		e = charge_add(n->payer, QUOTA_BYTES, bytes, &charge);
	if (e == IPC9_STATUS_QUOTA && !charge_is_of(n->payer, &r->caller))
		e = quota_charge(r->daemon->quota, &r->caller, QUOTA_BYTES, bytes, &charge);
	if (e || !charge.user)
		return e;
	charge_release(&n->paid);
	n->paid = charge;
	return 0;
}

/* 0, -ENOMEM, IPC9_STATUS_QUOTA, or IPC9_STATUS_INVALID with ret_why; on failure the object keeps what it had. */
static int set_rules(struct request *r, struct named *n, const ipc9_rules *rules,
    char ret_why[ACCESS_WHY_SIZE])
{
	struct access_list list = { 0 };
	int e = read_rules(n, rules, &list, ret_why);

	if (!e)
		e = pay_rules(r, n, price_of(list.n));
	if (e) {
		access_list_clear(&list);
		return e;
	}
	access_list_take(&n->object.list, &list);
	n->object.has_list = true;
	return 0;
}

bool named_take_rules(struct request *r, struct named *n, const ipc9_rules *rules)
{
	char why[ACCESS_WHY_SIZE];
	int e = rules ? set_rules(r, n, rules, why) : 0;
	bool own;

	if (e == IPC9_STATUS_INVALID) {
		request_fail(r, e, 0, "%s", why);
	} else if (e) {
		own = charge_is_of(n->payer, &r->caller);
		request_fail_charge(r, e, own ? &r->caller : charge_payer(n->payer), QUOTA_BYTES);
	}
	return !e;
}

static bool same_list(const struct access_list *a, const struct access_list *b)
{
	char one[ACCESS_LINE_SIZE], other[ACCESS_LINE_SIZE];
	size_t n = b ? b->n : 0;

	for (size_t i = 0; i < a->n && a->n == n; i++) {
		access_line(&a->rules[i], one);
		access_line(&b->rules[i], other);
		if (strcmp(one, other) != 0)
			return false;
	}
	return a->n == n;
}

void named_forget_default(struct named *n)
{
	struct object *o = &n->object;

	if (!o->has_list || !same_list(&o->list, o->defaults))
		return;
	access_list_clear(&o->list);
	charge_release(&n->paid);
	o->has_list = false;
}

bool named_has_rules(struct request *r, const struct named *n, const ipc9_rules *rules)
{
	const struct object *o = &n->object;
	struct access_list list = { 0 };
	char why[ACCESS_WHY_SIZE];
	bool same = true;
	int e = rules ? read_rules(n, rules, &list, why) : 0;

	if (e > 0)
		request_fail(r, e, 0, "%s", why);
	else if (e)
		request_trouble(r, e);
	else if (rules)
		same = same_list(&list, o->has_list ? &o->list : o->defaults);
	if (!same)
		request_fail(r, IPC9_STATUS_INVALID, 0,
		    "it is there with another access list, which ipc9 acl set changes; give that one or none");
	access_list_clear(&list);
	return !e && same;
}

bool named_may_create(struct request *r, const char *name)
{
	char why[ACCESS_WHY_SIZE], you[ACCESS_TEXT_SIZE], whom[128];
	const char *mechanism = request_service(r)->name;

	if (!access_decide(&r->daemon->access, &r->caller, RIGHT_CREATE, NULL, why)) {
		audit_refusal(r, NULL, RIGHT_CREATE, why);
		access_describe(&r->caller, you);
		request_fail(r, IPC9_STATUS_ACCESS, 0,
		    "there is none that admits you (%.100s), and you may not make one (right create)",
		    you);
		return false;
	}
	if (config_may_create(&r->daemon->config, mechanism, name, &r->caller, whom, sizeof(whom)))
		return true;
	text_format(why, sizeof(why), "reserve = %s:%.*s %s (configuration)", mechanism,
	    IPC9_NAME_MAX, name, whom);
	audit_refusal(r, NULL, RIGHT_CREATE, why);
	access_describe(&r->caller, you);
	request_fail(r, IPC9_STATUS_ACCESS, 0,
	    "that name is reserved for %.100s by the configuration (reserve), and you are %.100s",
	    whom, you);
	return false;
}

void named_refuse_taken(struct request *r, const struct named *n, enum right right, const char *why)
{
	if (access_sees(&r->daemon->access, &r->caller, &n->object)) {
		request_refuse(r, &n->object, right, why);
	} else if (named_may_create(r, n->name)) {
		audit_refusal(r, n, right, why);
		request_fail(r, IPC9_STATUS_ACCESS, 0, "somebody else has a %s of that name",
		    n->service->name);
	}
}

void named_fail_absent(struct request *r, const struct service *s, const char *name)
{
	const char *why = name_check_object(name, false);
	char you[ACCESS_TEXT_SIZE];

	access_describe(&r->caller, you);
	if (why)
		request_fail(r, IPC9_STATUS_BADNAME, 0, "%s", why);
	else if (access_allows(&r->daemon->access, &r->caller, RIGHT_ADMIN, NULL))
		request_fail(r, IPC9_STATUS_NOENT, 0, "no %s of that name", s->name);
	else
		request_fail(r, IPC9_STATUS_NOENT, 0,
		    "no %s of that name, or none that admits you (%s)", s->name, you);
}

void named_remove(struct named_map *map, struct named *n)
{
	HASH_DELETE(hh, map->head, n);
	access_list_clear(&n->object.list);
	charge_release(&n->paid);
	free(n->key);
	free(n->name);
}

static int by_key(const void *a, const void *b)
{
	const struct named *const *x = a, *const *y = b;

	return strcmp((*x)->key, (*y)->key);
}

int named_list(const struct named_map *map, const struct request *r, enum right right,
    const char *after, struct named_page *ret)
{
	struct named **found = calloc(named_count(map) + 1, sizeof(struct named *));
	char key[IPC9_NAME_MAX + 1];
	size_t n = 0;

	if (!found)
		return -ENOMEM;
	make_key(map, after, key);
	for (struct named *i = map->head; i; i = i->hh.next)
		if (strcmp(i->key, key) > 0 &&
		    access_allows(&r->daemon->access, &r->caller, right, &i->object))
			found[n++] = i;
	qsort(found, n, sizeof(struct named *), by_key);
	ret->more = n > IPC9_LIST_MAX;
	ret->n = ret->more ? IPC9_LIST_MAX : n;
	memcpy(ret->objects, found, ret->n * sizeof(struct named *));
	free(found);
	return 0;
}
