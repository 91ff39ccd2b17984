/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * list.h - a doubly linked ring whose links lie inside the listed structs.
 *
 * A head and a link are the same type.  A link that is in no list points to itself, so list_remove may be
 * called on it any number of times.
 */
#ifndef UTIL_LIST_H
#define UTIL_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct list {
	struct list *next, *prev;
};

#define LIST_ENTRY(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Walks a list; the current entry may be removed, others may not. */
#define LIST_FOR_EACH(link, head)                                                                  \
	for (struct list *link = (head)->next, *link##_next = link->next; link != (head);          \
	     link = link##_next, link##_next = link->next)

static inline void list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_append(struct list *head, struct list *link)
{
	link->prev = head->prev;
	link->next = head;
	head->prev->next = link;
	head->prev = link;
}

/* Moves all that is listed at `from` to `to`, which is empty. */
static inline void list_take_all(struct list *to, struct list *from)
{
	if (list_is_empty(from))
		return;
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	list_init(from);
}

static inline void list_remove(struct list *link)
{
	link->prev->next = link->next;
	link->next->prev = link->prev;
	list_init(link);
}

#endif
