/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench.h - what ipc9 bench has measured, and what becomes of it.
 *
 * A path is a way to a daemon.  On each, two kinds of work are measured, in pairs of runs: ours, then the raw
 * reference.  A figure is the median over the runs; a ratio the median over the pairs, with its least and largest.
 */
#ifndef IPC9_CLI_BENCH_H
#define IPC9_CLI_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "cli/commands.h"
#include "client/ipc9.h"

#define BENCH_CALL_BYTES 64
#define BENCH_PAIRS_MIN 5
#define BENCH_PAIRS_MAX 50
#define BENCH_PATHS_MAX 3

enum bench_kind {
	BENCH_CALLS,
	BENCH_STREAM,
	BENCH_KINDS,
};

struct bench_work {
	size_t n; /* pairs that are complete; where raw failed, runs of ours */
	struct ipc9_bench_result ours[BENCH_PAIRS_MAX], raw[BENCH_PAIRS_MAX];
	bool without_raw; /* raw_error says why */
	struct ipc9_error raw_error;
};

struct bench_path {
	const char *way;   /* "unix", "tcp" */
	char host[320];	   /* "local", or as it was said */
	bool is_remote;	   /* --to */
	bool opened;	   /* it was reached; otherwise skipped or error says why not */
	char skipped[512]; /* why it is not there to be measured, which is no failure; or "" */
	struct ipc9_error error; /* what ended it; code 0: nothing did */
	struct bench_work works[BENCH_KINDS];
};

struct bench_report {
	double time_s; /* of each work */
	bool complete; /* nothing interrupted it */
	size_t n_paths;
	struct bench_path paths[BENCH_PATHS_MAX];
};

/* Print it on standard output.  0 or the exit status. */
int bench_print_text(const struct bench_report *report);
int bench_print_json(const struct bench_report *report);

#endif
