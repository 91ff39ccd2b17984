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

int named_add(struct named_map *map, struct named *n, const char *name,
    const struct caller *creator, const struct access_list *list)
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
	access_own(&n->object, creator);
	n->object.defaults = list;
	return 0;
}

/* 0, -ENOMEM, or IPC9_STATUS_INVALID with *ret_why and *ret_line. */
static int read_rules(const ipc9_rules *rules, struct access_list *ret, u_int *ret_line,
    const char **ret_why)
{
	for (u_int i = 0; i < rules->lines.lines_len; i++) {
		struct access_rule rule;

		*ret_line = i;
		*ret_why = access_line_parse(rules->lines.lines_val[i], &rule);
		if (*ret_why)
			return IPC9_STATUS_INVALID;
		if (access_list_add(ret, &rule))
			return -ENOMEM;
	}
	return 0;
}

int named_set_rules(struct named *n, const ipc9_rules *rules, char *ret_why)
{
	struct access_list list = { 0 };
	const char *why = NULL;
	u_int line = 0;
	int e = read_rules(rules, &list, &line, &why);

	if (e) {
		access_list_clear(&list);
		if (why)
			text_format(ret_why, ACCESS_WHY_SIZE,
			    "access list, line %u (\"%.100s\"): %s", line + 1,
			    rules->lines.lines_val[line], why);
		return e;
	}
	access_list_take(&n->object.list, &list);
	n->object.has_list = true;
	return 0;
}

bool named_take_rules(struct request *r, struct named *n, const ipc9_rules *rules)
{
	char why[ACCESS_WHY_SIZE];
	int e = rules ? named_set_rules(n, rules, why) : 0;

	if (e > 0)
		request_fail(r, e, 0, "%s", why);
	else if (e)
		request_trouble(r, e);
	return !e;
}

bool named_may_create(struct request *r, const char *name)
{
	char why[ACCESS_WHY_SIZE], you[ACCESS_TEXT_SIZE], whom[128];
	const char *mechanism = request_service(r)->name;

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

void named_fail_absent(struct request *r, const char *name)
{
	const char *why = name_check_object(name, false);

	request_fail(r, why ? IPC9_STATUS_BADNAME : IPC9_STATUS_NOENT, 0, "%s", why ? why : "");
}

void named_remove(struct named_map *map, struct named *n)
{
	HASH_DELETE(hh, map->head, n);
	access_list_clear(&n->object.list);
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
