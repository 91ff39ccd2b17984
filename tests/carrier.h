/* SPDX-License-Identifier: BSD-3-Clause */
/* carrier.h - what the tests of carriers share. */
#ifndef TESTS_CARRIER_H
#define TESTS_CARRIER_H

#include "client/carrier.h"
#include "util/clock.h"

/* Two ends of one pipe: of 0, the server's, the other is 1. */
struct ends {
	struct carrier *c[2];
};

struct carrier_way {
	const char *name;
	bool (*make)(enum ipc9_pipe_type type, uint32_t quota, struct ends *ret);
};

#define N_CARRIER_WAYS 3
extern const struct carrier_way carrier_ways[N_CARRIER_WAYS];

/* Two ends by one of the ways; ends the program when there are none. */
struct ends carrier_make(size_t way, enum ipc9_pipe_type type, uint32_t quota);

#define SOON clock_deadline_ms(10000)

static inline void shut(struct carrier *c)
{
	if (c)
		c->ops->close(c, SOON);
}

static inline void shut_both(struct ends *e)
{
	shut(e->c[0]);
	shut(e->c[1]);
}

static inline int put(struct carrier *c, const void *data, size_t size)
{
	size_t n;

	return c->ops->write(c, data, size, CARRIER_WHOLE, SOON, &n);
}

/* What a read says: the number of bytes, or minus its code. */
static inline int get(struct carrier *c, void *buffer, size_t size, bool message, int64_t deadline)
{
	size_t n = 0;
	bool more = false;
	int r = c->ops->read(c, buffer, size, message, deadline, &n, &more);

	return r ? -r : more ? 1000000 + (int)n : (int)n;
}

#endif
