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
	const struct service *service;
	struct object object;
	const struct charge *payer; /* the object's own charge */
	struct charge paid;	    /* of the bytes of its list */
};

/* One map of names; all zero is empty. */
struct named_map {
	struct named *head;
	bool exact; /* names are compared with case: keys are the names as they are */
};

size_t named_count(const struct named_map *map);

struct named *named_find(const struct named_map *map, const char *name);

/*
 * The same for the handler of a request: NULL also where the caller may not know of the object, so that the request goes on
 * as if there were none.
 *
 * The rule for every mechanism: a caller who has no right on an object is answered as if there were none.  By making one of
 * its name they learn that the name is taken (named_refuse_taken), not by whom.
 */
struct named *named_find_for(const struct request *request, const struct named_map *map,
    const char *name);

/*
 * Enters an object of the request's service under a name that is not in the map; the request's caller owns it, list
 * (borrowed, may be NULL) says who else may do what, and to whom payer (borrowed, charged) is charged pays for the list that
 * the object gets.  -ENOMEM: it is not entered.
 */
int named_add(struct named_map *map, struct named *named, const struct request *request,
    const char *name, const struct access_list *list, const struct charge *payer);

/*
 * Gives an object the access list that came with a call (NULL: none did), and charges its bytes.  False: the request was
 * ended with what is wrong (a line, a right that its service does not ask of objects, or the share), the object keeps
 * what it had, and one that the call has made has to go again.
 */
bool named_take_rules(struct request *request, struct named *named, const ipc9_rules *rules);

/* Takes the list of an object back if it is the default that the object would have without. */
void named_forget_default(struct named *named);

/*
 * For a call that joins an object which is there: whether the list that came along (NULL: none did) is the one that it has.
 * False: the request was ended with IPC9_STATUS_INVALID; a list that counts for nothing would be taken for one that does.
 */
bool named_has_rules(struct request *request, const struct named *named, const ipc9_rules *rules);

/*
 * For a call that makes an object of its service: whether its caller may create objects, and the configuration does not
 * reserve the name for others (`reserve`).  False: the request was ended with the refusal, and the audit has it.
 */
bool named_may_create(struct request *request, const char *name);

/*
 * Ends a request that would make an object of a name, or use the one that is there, but has not the right to: with
 * IPC9_STATUS_ACCESS, which tells whose it is only those who may know of it.
 */
void named_refuse_taken(struct request *request, const struct named *named, enum right right,
    const char *why);

/*
 * Ends a request about a name that a service does not have, or not for its caller: IPC9_STATUS_NOENT, or _BADNAME where there
 * cannot be one.
 */
void named_fail_absent(struct request *request, const struct service *service, const char *name);

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
