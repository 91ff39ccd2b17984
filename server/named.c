/* SPDX-License-Identifier: BSD-3-Clause */
/* named.c - see named.h. */
#include "server/named.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "server/daemon.h"
#include "util/text.h"

size_t named_count(const struct named_map *map)
{
	return HASH_COUNT(map->head);
}

struct named *named_find(const struct named_map *map, const char *name)
{
	char key[IPC9_NAME_MAX + 1];
	struct named *n;

	text_format(key, sizeof(key), "%s", name);
	text_fold(key);
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
		text_fold(n->key);
		MAP_ADD_KEY(hh, map->head, n->key, strlen(n->key), n, added);
	}
	if (!added) {
		free(n->key);
		free(n->name);
		return -ENOMEM;
	}
	access_own(&n->object, creator);
	n->object.list = list;
	return 0;
}

void named_remove(struct named_map *map, struct named *n)
{
	HASH_DELETE(hh, map->head, n);
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
	text_format(key, sizeof(key), "%s", after);
	text_fold(key);
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
