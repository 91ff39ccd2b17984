/* SPDX-License-Identifier: BSD-3-Clause */
/* test_carrier_more.c - what only some carriers have: writes that leave together, and data in place. */
#include <string.h>
#include <sys/uio.h>

#include "tests/carrier.h"
#include "tests/harness.h"

#define QUOTA 65536

static void test_writes_that_leave_together_are_as_those_one_by_one(void)
{
	static unsigned char data[CARRIER_TOGETHER][40000], got[40000];
	struct iovec pieces[CARRIER_TOGETHER];

	for (size_t i = 0; i < CARRIER_TOGETHER; i++) {
		pieces[i] = (struct iovec){ data[i], i % 7 ? i * 613 : 0 };
		memset(data[i], (int)i + 1, sizeof(data[i]));
	}
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = carrier_make(w, IPC9_PIPE_TYPE_MESSAGE, 512 << 10);
		struct carrier *c = e.c[0];
		size_t put = 0, taken = 0, n;
		int r;

		/* Neither the quota nor the socket takes all at once. */
		while (c->ops->write_together && put < CARRIER_TOGETHER) {
			r = c->ops->write_together(c, pieces + put, CARRIER_TOGETHER - put, &n);
			HOLDS(r == 0 ? n > 0 : EQUAL(r, IPC9_E_TIMEDOUT));
			put += n;
			r = c->ops->room(c, true, 0);
			for (int size; (size = get(e.c[1], got, sizeof(got), true, 0)) >= 0;
			     taken++)
				SAME_BYTES(got, (size_t)size, data[taken], pieces[taken].iov_len);
		}
		EQUAL(put, c->ops->write_together ? CARRIER_TOGETHER : 0);
		while (taken < put) {
			EQUAL(c->ops->room(c, true, 0) == IPC9_E_LOST, false);
			n = pieces[taken].iov_len;
			EQUAL(get(e.c[1], got, sizeof(got), true, SOON), n);
			SAME_BYTES(got, n, data[taken], n);
			taken++;
		}
		/* Once the other end has gone none is taken. */
		shut(e.c[1]);
		EQUAL(c->ops->wait_closed(c, SOON), 0);
		if (c->ops->write_together) {
			EQUAL(c->ops->write_together(c, pieces, 3, &n), IPC9_E_PEERCLOSED);
			EQUAL(n, 0);
		}
		shut(c);
	}
}

/* Where a carrier has memory for it; elsewhere what is in place is copied (tests/test_pipe_place.c). */
static void test_in_place_is_as_copying(void)
{
	for (size_t w = 0; w < N_CARRIER_WAYS; w++) {
		struct ends e = carrier_make(w, IPC9_PIPE_TYPE_MESSAGE, QUOTA);
		struct carrier *from = e.c[0], *to = e.c[1];
		char buffer[QUOTA];
		const void *data;
		void *room;
		size_t n = 0;

		if (!from->ops->reserve) {
			HOLDS(!from->ops->commit && !from->ops->view && !from->ops->consume);
			shut_both(&e);
			continue;
		}
		EQUAL(from->ops->reserve(from, 5, false, SOON, &room, &n), 0);
		EQUAL(n, 5);
		memcpy(room, "place", 5);
		EQUAL(from->ops->commit(from, 5), 0);
		EQUAL(put(from, "copy", 4), 0);
		EQUAL(to->ops->view(to, SOON, &data, &n), 0);
		SAME_BYTES(data, n, "place", 5);
		EQUAL(to->ops->consume(to, 2), 0);
		EQUAL(get(to, buffer, sizeof(buffer), true, SOON), 3);
		EQUAL(to->ops->view(to, SOON, &data, &n), 0);
		SAME_BYTES(data, n, "copy", 4);
		EQUAL(to->ops->consume(to, 4), 0);
		EQUAL(to->ops->view(to, 0, &data, &n), IPC9_E_TIMEDOUT);
		/* What does not fit the quota, and what may exceed it once. */
		EQUAL(from->ops->reserve(from, QUOTA + 1, true, 0, &room, &n), IPC9_E_TIMEDOUT);
		EQUAL(from->ops->reserve(from, QUOTA + 1, false, SOON, &room, &n), 0);
		EQUAL(from->ops->commit(from, QUOTA + 1), 0);
		EQUAL(from->ops->reserve(from, 1, false, clock_deadline_ms(10), &room, &n),
		    IPC9_E_TIMEDOUT);
		EQUAL(from->ops->reserve(from, 0, true, 0, &room, &n), 0);
		EQUAL(from->ops->commit(from, 0), 0);
		shut(to);
		e.c[1] = NULL;
		EQUAL(from->ops->reserve(from, 1, false, SOON, &room, &n), IPC9_E_PEERCLOSED);
		EQUAL(from->ops->end(from), 0);
		EQUAL(from->ops->reserve(from, 1, false, SOON, &room, &n), IPC9_E_PEERCLOSED);
		shut_both(&e);
	}
}

SUITE(carrier_more, TEST(test_writes_that_leave_together_are_as_those_one_by_one),
    TEST(test_in_place_is_as_copying));
