/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conduit.h - what the tests of conduits share: pairs of ends in one process, and peers that are processes of their own.
 */
#ifndef TESTS_CONDUIT_H
#define TESTS_CONDUIT_H

#include <sys/types.h>

#include "transport/conduit.h"

#define KIB 1024u
#define MIB 1048576u
#define PATIENT_MS 30000 /* never reached where all is well */

/* The deadline of what does come. */
int64_t patient(void);

struct pair {
	struct conduit *a, *b;
};

struct pair open_pair(enum ring_type type, uint64_t quota);
void close_pair(struct pair *p);

/* The same, and one more descriptor of the memory. */
struct pair open_pair_and_memory(enum ring_type type, uint64_t quota, int *ret_memory);

/* A child that runs with the second side; the parent has the first one.  What it returns is its exit code. */
struct conduit *start_peer(enum ring_type type, uint64_t quota, int (*run)(struct conduit *c),
    pid_t *ret_pid);
int exit_code(pid_t pid); /* waits; 1000 + the signal that killed it */
void kill_peer(pid_t pid);

int sleep_for_ever(struct conduit *c);
int send_text(struct conduit *c, const char *text, int64_t deadline);
int write_size(struct conduit *c, size_t size, int64_t deadline, size_t *ret);
void check_read(struct conduit *c, const char *text);

/* One byte, without waiting. */
int read_now(struct conduit *c);
int write_now(struct conduit *c);

/* A stream with the byte of each total, and a peer that reads it to its end: 0 when all was right. */
#define STREAM_BYTES (UINT64_C(40) * MIB)
unsigned char byte_at(uint64_t total);
int read_stream(struct conduit *c);

#endif
