/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * children.h - the processes whose work is measured, and where they run.
 *
 * 1. Each child dies with its parent, whatever ends that, and is pinned to one CPU.
 * 2. While anything is waited for a signal ends the measuring: children are killed, the folder is removed.
 * 3. The two networks have no names: they are gone with the last process that has them open.
 */
#ifndef BENCH_CHILDREN_H
#define BENCH_CHILDREN_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define CHILDREN_MAX 8
#define WORDS_MAX 32

struct child {
	pid_t pid; /* 0: none */
	int output;
};

struct bench {
	double seconds; /* of each figure */
	unsigned pairs;
	char program[PATH_MAX]; /* this one */
	char sleeper[PATH_MAX]; /* the same without spinning */
	char folder[32];	/* for local sockets */
	int signals;		/* descriptor */
	struct child children[CHILDREN_MAX];
	int networks[2]; /* descriptors; -1: not made */
};

/* False: *ret_why says why the bench cannot run. */
bool bench_begin(struct bench *b, const char **ret_why);
void bench_end(struct bench *b);

/* Makes the two networks, joined by a veth pair: 10.99.0.1 on the first one, 10.99.0.2 on the second. */
bool bench_join_networks(struct bench *b, const char **ret_why);

/*
 * Starts words[0] on a CPU, in a network (-1: this one).  NULL when there are too many.  What it prints is read by
 * child_line, and it is ended by child_end.
 */
struct child *child_start(struct bench *b, int cpu, int network, const char *const words[]);

/* Reads a line; false: it ended, or said nothing for that long. */
bool child_line(struct bench *b, struct child *c, char *line, size_t size, double seconds);

/* Reads all that comes until the end. */
bool child_text(struct bench *b, struct child *c, char *text, size_t size, double seconds);

void child_end(struct child *c);

/* Sleeps, but for signals. */
void bench_pause(struct bench *b, double seconds);

#endif
