/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rows.h - what is measured: one row of the table for each target.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include "tests/bench/children.h"

#define PAIRS_MAX 64

struct row {
	const char *name, *work;
	const char *reference; /* what ours is compared with; NULL: with nothing, ours is the figure */
	const char *unit;
	double target;	 /* 0: none, for information */
	bool at_least;	 /* the target is; else at most */

	/*
	 * One pair.  Latencies and costs, or rates: the ratio is ours / raw.  False: *ret_why says why the row is left
	 * out.
	 */
	bool (*measure)(struct bench *b, const struct row *row, struct pair *ret, const char **ret_why);
	const struct side *ours, *raw;
};

#endif
