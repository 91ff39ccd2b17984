/* SPDX-License-Identifier: BSD-3-Clause */
/* bench.h - what bench.c and bench_raw.c share. */
#ifndef CLIENT_BENCH_H
#define CLIENT_BENCH_H

#include "client/link.h"
#include "rpcgen-out/bench.h"

/* A raw connection (idl/bench.x); fd -1: none. */
struct bench_raw {
	int fd;
	int kind;	/* IPC9_BENCH_RAW_... */
	uint32_t size;	/* of each piece of an echo */
	int64_t opened; /* on util/clock.h's clock */
	int64_t used;
};

/* The link is dedicated; one thread. */
struct ipc9_bench {
	struct link link;
	struct bench_raw raw;
	unsigned char *data; /* IPC9_BLOB_MAX bytes to be sent */
	unsigned char back[IPC9_BENCH_ECHO_MAX];
};

/* One exchange of size bytes; what came back is what went. */
typedef int bench_exchange_fn(struct ipc9_bench *bench, uint32_t size, struct ipc9_error *error);

/* Sends bytes, a multiple of IPC9_BLOB_MAX, until the other side has counted them all. */
typedef int bench_transfer_fn(struct ipc9_bench *bench, uint64_t bytes, struct ipc9_error *error);

/* Repeats an exchange, or a transfer of the right length, for a time.  The code of the first that failed. */
int bench_measure_calls(struct ipc9_bench *bench, bench_exchange_fn *exchange, uint32_t size,
    int duration_ms, struct ipc9_bench_result *ret_result, struct ipc9_error *ret_error);
int bench_measure_stream(struct ipc9_bench *bench, bench_transfer_fn *transfer, int duration_ms,
    struct ipc9_bench_result *ret_result, struct ipc9_error *ret_error);

/* Fine when there is none. */
void bench_raw_close(struct ipc9_bench *bench);

#endif
