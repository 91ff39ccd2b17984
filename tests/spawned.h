/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spawned.h - programs that tests start: what is done with them, and the test program as one of them: "unit spawned WHAT" does
 * what spawned.c says of WHAT, and no tests.
 */
#ifndef TESTS_SPAWNED_H
#define TESTS_SPAWNED_H

#include <stddef.h>

#include "client/ipc9.h"

#define LONG_MS 20000

/* --- In the test ------------------------------------------------------------------------------- */

#define SPAWNED "spawned"
#define SELF "/proc/self/exe"
#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SHELL(script) ARGV("sh", "-c", script)
#define OPTIONS(...) (&(const struct ipc9_spawn_options){ __VA_ARGS__ })
#define BOTH (IPC9_CHILD_STDIN | IPC9_CHILD_STDOUT)

/* It has to start. */
struct ipc9_child *spawned_start(const char *const *argv, const struct ipc9_spawn_options *options);

/* Waits for its end, which must be this exit status, and frees it. */
void spawned_ends(struct ipc9_child *child, int want);

/* Reads a stream to its end. */
void spawned_read_all(struct ipc9_child *child, enum ipc9_child_stream stream, char *text,
    size_t size);

/* Writes to its standard input. */
void spawned_put(struct ipc9_child *child, const char *text);

/* --- In the program ---------------------------------------------------------------------------- */

/* The exit status. */
int spawned_main(const char *what);

#endif
