/* SPDX-License-Identifier: BSD-3-Clause */
/* test_queue.c - the queue of a pipe's end beside a model of it: what is pushed, looked at, taken, and taken back. */
#include <stdlib.h>
#include <string.h>

#include "server/queue.h"
#include "tests/harness.h"

#define PUSHES 400
#define LONGEST 20000 /* some are gathered, some are kept as they come */

static const uint64_t totals[QUOTA_RESOURCES] = { 10, 1u << 30, 0, 0 };
static const struct caller owner = { .how = IPC9_BY_KERNEL, .uid = 1000 };

struct pushed {
	uint64_t end;
	uint32_t len, left; /* left is what has not been taken */
	bool gone;
};

struct model {
	bool message;
	struct quota *quota;
	struct charge charge;
	uint64_t total;
	struct queue queue;
	struct pushed pushes[PUSHES];
	unsigned n, first; /* first: not taken */
	unsigned seed;
};

static unsigned chance(struct model *m, unsigned n)
{
	m->seed = m->seed * 1103515245 + 12345;
	return (m->seed >> 8) % n;
}

static void model_begin(struct model *m, bool message, unsigned seed)
{
	memset(m, 0, sizeof(*m));
	m->message = message;
	m->seed = seed;
	m->quota = quota_new(totals, 0);
	EQUAL(quota_charge(m->quota, &owner, QUOTA_OBJECTS, 1, &m->charge), 0);
	queue_init(&m->queue, &m->total, &m->charge);
}

static void model_end(struct model *m)
{
	queue_clear(&m->queue);
	EQUAL(m->total, 0);
	EQUAL(quota_used(m->quota, &owner, QUOTA_BYTES), 0);
	charge_release(&m->charge);
	quota_free(m->quota);
}

/* A push's bytes tell which one it was, and where in it they stood. */
static unsigned char byte_of(unsigned push, uint32_t at)
{
	return (unsigned char)(push * 31 + at);
}

static void push(struct model *m)
{
	unsigned char data[LONGEST];
	struct pushed *p = &m->pushes[m->n];
	uint32_t len = chance(m, 4) ? chance(m, 50) : chance(m, LONGEST);
	const ipc9_blob blob = { data, len, NULL };

	for (uint32_t i = 0; i < len; i++)
		data[i] = byte_of(m->n, i);
	EQUAL(queue_push(&m->queue, &blob, m->message), 0);
	*p = (struct pushed){
		.end = m->queue.pushed, .len = len, .left = len, .gone = len == 0 && !m->message
	};
	m->n++;
}

static void skip_gone(struct model *m)
{
	while (m->first < m->n && m->pushes[m->first].gone)
		m->first++;
}

/* Compares the beginning of the queue with got; takes it, in the model, if told so. */
static bool compare(struct model *m, const ipc9_blob *got, bool take)
{
	uint32_t at = 0;
	bool same = true;

	for (unsigned i = m->first; i < m->n && same && at < got->len; i++) {
		struct pushed *p = &m->pushes[i];
		uint32_t part = got->len - at < p->left ? got->len - at : p->left;

		for (uint32_t k = 0; k < part && same; k++)
			same = got->data[at + k] == byte_of(i, p->len - p->left + k);
		at += part;
		if (take)
			p->left -= part;
		if (take && p->left == 0)
			p->gone = true;
	}
	return HOLDS(same && at == got->len);
}

static bool look_and_take(struct model *m)
{
	uint32_t max = chance(m, 2) ? chance(m, 60) : chance(m, 3 * LONGEST);
	struct pushed *p;
	ipc9_blob got;
	uint32_t left;
	bool more, ok;

	skip_gone(m);
	if (m->first == m->n)
		return HOLDS(queue_is_empty(&m->queue));
	p = &m->pushes[m->first];
	EQUAL(queue_peek(&m->queue, max, m->message, &got, &left), 0);
	ok = compare(m, &got, false);
	if (m->message)
		ok &= EQUAL(left, p->left - got.len);
	bytes_unref(got.owner);
	EQUAL(queue_take(&m->queue, max, m->message, &got, &more), 0);
	ok &= compare(m, &got, true);
	if (m->message)
		p->gone = !more;
	bytes_unref(got.owner);
	return ok;
}

/* Takes one push back, and moves the points behind it. */
static bool withdraw(struct model *m)
{
	unsigned i = m->n ? chance(m, m->n) : 0;
	struct pushed *p = &m->pushes[i];
	struct queue_cut cut;

	if (!m->n || (p->gone && !p->len))
		return true;
	cut = queue_withdraw(&m->queue, p->end, p->len);
	if (!EQUAL(cut.bytes, p->gone ? 0 : p->left) ||
	    !EQUAL(cut.charge, p->gone ? 0 : p->left + (m->message ? QUEUE_MESSAGE_CHARGE : 0)))
		return false;
	for (unsigned k = i + 1; k < m->n; k++)
		m->pushes[k].end -= cut.charge;
	p->left = 0;
	p->len = 0;
	p->gone = true;
	return true;
}

static void run(bool message, unsigned seed)
{
	struct model *m = malloc(sizeof(*m));
	bool ok = true;

	model_begin(m, message, seed);
	while (ok && m->n < PUSHES) {
		switch (chance(m, 5)) {
		case 0:
		case 1:
			push(m);
			break;
		case 2:
		case 3:
			ok = look_and_take(m);
			break;
		default:
			ok = withdraw(m);
		}
	}
	model_end(m);
	free(m);
}

static void test_what_is_taken_back_is_gone_and_nothing_else(void)
{
	for (unsigned seed = 1; seed <= 30; seed++) {
		run(false, seed);
		run(true, seed);
	}
}

SUITE(queue_model, TEST(test_what_is_taken_back_is_gone_and_nothing_else));
