/* SPDX-License-Identifier: BSD-3-Clause */
/* call_table.h - the calls of a channel that have no reply yet, by xid; all of it under the channel's lock. */
#ifndef TRANSPORT_CALL_TABLE_H
#define TRANSPORT_CALL_TABLE_H

#include <stdatomic.h>
#include <stdint.h>

#include "transport/channel.h"

#define CALL_TABLE_BUCKETS 64

struct call_table {
	struct channel_call *calls[CALL_TABLE_BUCKETS]; /* by xid, which counts up */
	_Atomic unsigned n; /* without those that only stand; for a look */
	uint32_t next_xid;
};

/* All zero, but for the first xid: a guess at random, so that replies to an earlier connection's calls are no replies. */
void call_table_init(struct call_table *table);

/* Gives the call an xid that no other one has, and puts it in. */
void call_table_enter(struct call_table *table, struct channel_call *call);

/* NULL: there is none. */
struct channel_call *call_table_find(const struct call_table *table, uint32_t xid);

/* Fine for a call that is not there. */
void call_table_remove(struct call_table *table, struct channel_call *call);

#endif
