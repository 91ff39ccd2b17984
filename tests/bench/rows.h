/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rows.h - what is measured: a row of the table for each target.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "tests/bench/children.h"

#define PAIRS_MAX 64

enum via {
	VIA_TCP,
	VIA_LOCAL,
	VIA_UDP,
	VIA_VETH
};

/* One of the two things that a row compares. */
struct side {
	const char *peer; /* of speed.h, or news, iperf3, redis; NULL: there is no such side */
	unsigned depth;	  /* bulk calls in flight */
	bool no_spin;	  /* by the program without spinning */
	unsigned idle;	  /* connections that do nothing meanwhile */
};

struct row {
	const char *name, *work;
	const char *load; /* of loads.c or crowd.c, or memory */
	const char *key;  /* which of the client's words */
	const char *unit;
	enum via via;
	bool same;  /* both processes on CPU 0; else the client on CPU 1 */
	unsigned n; /* connections of a crowd */
	struct side ours, raw;
	double
	    target; /* of ours / raw, or of ours where there is no raw; 0: none, for information */
	bool at_least; /* else at most */
};

extern const struct row rows[];
extern const size_t n_rows;

/* What came out of a row; a figure for each pair. */
struct figures {
	unsigned pairs;
	double ours[PAIRS_MAX], raw[PAIRS_MAX], ratio[PAIRS_MAX];
};

/* Measures b->pairs pairs by turns.  NULL, or why the row is left out; *ret_failed: that is a fault. */
const char *row_measure(struct bench *b, const struct row *row, struct figures *ret,
    bool *ret_failed);

#endif
