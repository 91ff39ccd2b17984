/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spawned.h - the test program as a child of its own tests: "unit spawned WHAT" does what spawned.c says of WHAT, and no
 * tests.
 */
#ifndef TESTS_SPAWNED_H
#define TESTS_SPAWNED_H

#define SPAWNED "spawned"

/* The exit status. */
int spawned_main(const char *what);

#endif
