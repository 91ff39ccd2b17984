/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_raw.h - the raw references of bench.x: listeners for one connection each, and the threads that serve them.
 *
 * A raw reference has one of two states.  LISTENING: the loop waits for the connection.  SERVING: a thread has
 * it, and nothing else in the daemon touches its bytes.  It ends by its timers, by its thread's
 * return, or with the connection of the call that asked for it; its place is free before its peer sees the end.
 */
#ifndef SERVER_BENCH_RAW_H
#define SERVER_BENCH_RAW_H

#include "rpcgen-out/bench.h"
#include "server/dispatch.h"

/* The service's state: all that there are. */
struct bench_raws {
	struct list raws;
	unsigned n;
};

/*
 * Makes one for the connection of a request; args are in their bounds.  0 and the answer; -EDQUOT: all places
 * are taken; IPC9_STATUS_QUOTA: not the caller's share; another -errno.
 */
int bench_raw_new(struct bench_raws *raws, struct request *request, const ipc9_bench_raw_args *args,
    ipc9_bench_raw_ok *ret_ok);

/* Ends all; waits for their threads, which return at once. */
void bench_raw_end_all(struct bench_raws *raws);

#endif
