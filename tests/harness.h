/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * harness.h - what the unit tests share: suites for CUnit, and assertions that print both values.
 *
 * A test is a function named after what it proves.  Each file ends with its suite, which main.c lists.
 */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct test {
	const char *name;
	void (*run)(void);
};

struct suite {
	const char *name;
	const struct test *tests; /* ends with a NULL name */
};

#define TEST(function)                                                                             \
	{                                                                                          \
#function, function                                                                \
	}

#define SUITE(NAME, ...)                                                                           \
	static const struct test tests_of_##NAME[] = { __VA_ARGS__, { NULL, NULL } };              \
	extern const struct suite suite_##NAME;                                                    \
	const struct suite suite_##NAME = { #NAME, tests_of_##NAME }

/* Each returns whether it held, so that a test can give up where going on makes no sense. */
bool check_int(const char *file, unsigned line, const char *what, long long got, long long want);
bool check_text(const char *file, unsigned line, const char *what, const char *got,
    const char *want);
bool check_bytes(const char *file, unsigned line, const char *what, const void *got, size_t n_got,
    const void *want, size_t n_want);
bool check_true(const char *file, unsigned line, const char *what, bool holds);

#define EQUAL(got, want) check_int(__FILE__, __LINE__, #got, (long long)(got), (long long)(want))
#define SAME_TEXT(got, want) check_text(__FILE__, __LINE__, #got, got, want)
#define SAME_BYTES(got, n_got, want, n_want)                                                       \
	check_bytes(__FILE__, __LINE__, #got, got, n_got, want, n_want)
#define HOLDS(condition) check_true(__FILE__, __LINE__, #condition, condition)

/* Ends the test at hand, which is counted as skipped; the reason is printed. */
void skip_test(const char *reason);

/* Calls holds(context) until it says yes, for at most ms; what it said last. */
bool wait_until(bool (*holds)(void *context), void *context, unsigned ms);

#endif
