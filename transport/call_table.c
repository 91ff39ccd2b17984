/* SPDX-License-Identifier: BSD-3-Clause */
/* call_table.c - see call_table.h. */
#include "transport/call_table.h"

#include <sys/random.h>

#include "util/clock.h"

static unsigned bucket(uint32_t xid)
{
	return xid % CALL_TABLE_BUCKETS;
}

void call_table_init(struct call_table *t)
{
	*t = (struct call_table){ .next_xid = 0 };
	if (getrandom(&t->next_xid, sizeof(t->next_xid), 0) != sizeof(t->next_xid))
		t->next_xid = (uint32_t)clock_now();
}

struct channel_call *call_table_find(const struct call_table *t, uint32_t xid)
{
	struct channel_call *call = t->calls[bucket(xid)];

	while (call && call->xid != xid)
		call = call->next;
	return call;
}

void call_table_enter(struct call_table *t, struct channel_call *call)
{
	struct channel_call **at;

	while (call_table_find(t,
	    t->next_xid)) /* after 2^32 calls an old one may still be waiting */
		t->next_xid++;
	call->xid = t->next_xid++;
	at = &t->calls[bucket(call->xid)];
	call->next = *at;
	*at = call;
	t->n += !call->stands;
}

void call_table_remove(struct call_table *t, struct channel_call *call)
{
	struct channel_call **at = &t->calls[bucket(call->xid)];

	while (*at && *at != call)
		at = &(*at)->next;
	if (!*at)
		return;
	*at = call->next;
	t->n -= !call->stands;
}
