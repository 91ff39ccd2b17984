/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * named.h - what all named objects have in common: a name that is compared without ASCII case (where the map does not say
 * otherwise) and reported as first spelled, an owner and an access list, a place in a map, and listing in pages.
 */
#ifndef SERVER_NAMED_H
#define SERVER_NAMED_H

#include <stdbool.h>
#include <stddef.h>

#include "server/access.h"
#include "server/dispatch.h"
#include "util/map.h"

/* The first member of each mechanism's own struct. */
struct named {
	UT_hash_handle hh;
	char *key;  /* folded, unless the map is exact */
	char *name; /* as first spelled */
	struct object object;
};

/* One map of names; all zero is empty. */
struct named_map {
	struct named *head;
	bool exact; /* names are compared with case: keys are the names as they are */
};

size_t named_count(const struct named_map *map);

struct named *named_find(const struct named_map *map, const char *name);

/*
 * Enters an object under a name that is not in the map; its creator owns it and list (borrowed, may be NULL)
 * says who else may do what.  -ENOMEM: it is not entered.
 */
int named_add(struct named_map *map, struct named *named, const char *name,
    const struct caller *creator, const struct access_list *list);

/*
 * Gives an object the access list that came with a call.  0; IPC9_STATUS_INVALID: a line is none, which ret_why (of
 * ACCESS_WHY_SIZE bytes) names, and the object keeps what it had; -ENOMEM.
 */
int named_set_rules(struct named *named, const ipc9_rules *rules, char *ret_why);

/*
 * For a call that makes an object: gives it the list that came along (NULL: none did).  False: the request was ended with
 * the fault, and the object has to go again.
 */
bool named_take_rules(struct request *request, struct named *named, const ipc9_rules *rules);

/*
 * For a call that makes an object of its service: whether the configuration reserves the name for others (`reserve`).
 * False: the request was ended with the refusal, and the audit has it.
 */
bool named_may_create(struct request *request, const char *name);

/* Ends a request about a name that there is not: IPC9_STATUS_NOENT, or _BADNAME where there cannot be one. */
void named_fail_absent(struct request *request, const char *name);

/* Takes it out, and frees its list and the strings; the struct is the caller's. */
void named_remove(struct named_map *map, struct named *named);

/* One page of a listing. */
struct named_page {
	struct named *objects[IPC9_LIST_MAX];
	size_t n;
	bool more; /* there are others behind these */
};

/*
 * The first objects with names behind `after`, sorted, on which the request's caller has a right.  0 or
 * -ENOMEM.
 */
int named_list(const struct named_map *map, const struct request *request, enum right right,
    const char *after, struct named_page *ret_page);

#endif
