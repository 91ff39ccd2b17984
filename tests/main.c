/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - runs the unit tests: all suites, or those named on the command line.  The last line counts tests:
 * "unit: N passed, N failed, N skipped".
 */
#include <CUnit/CUnit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/harness.h"
#include "tests/spawned.h"
#include "util/clock.h"

/* In the order in which they run. */
#define SUITES(X)                                                                                  \
	X(name)                                                                                    \
	X(text)                                                                                    \
	X(gather)                                                                                  \
	X(siphash)                                                                                 \
	X(log)                                                                                     \
	X(loop)                                                                                    \
	X(record)                                                                                  \
	X(xdr)                                                                                     \
	X(message)                                                                                 \
	X(address)                                                                                 \
	X(stream)                                                                                  \
	X(hostile)                                                                                 \
	X(hosts)                                                                                   \
	X(floods)                                                                                  \
	X(replies)                                                                                 \
	X(datagram)                                                                                \
	X(udp)                                                                                     \
	X(udp_client)                                                                              \
	X(udp_loss)                                                                                \
	X(call_table)                                                                              \
	X(channel)                                                                                 \
	X(connect)                                                                                 \
	X(access)                                                                                  \
	X(config)                                                                                  \
	X(dedup)                                                                                   \
	X(queue)                                                                                   \
	X(quota)                                                                                   \
	X(shares)                                                                                  \
	X(payers)                                                                                  \
	X(content)                                                                                 \
	X(control)                                                                                 \
	X(clipboard)                                                                               \
	X(mailslot)                                                                                \
	X(pipe)                                                                                    \
	X(pipe_accept)                                                                             \
	X(bench)                                                                                   \
	X(library)                                                                                 \
	X(idl)                                                                                     \
	X(idl_file)                                                                                \
	X(idl_value)                                                                               \
	X(rpc)                                                                                     \
	X(rpc_async)                                                                               \
	X(rpc_shared)                                                                              \
	X(rpc_shared_peers)                                                                        \
	X(acl)                                                                                     \
	X(rules)                                                                                   \
	X(rpc_faults)                                                                              \
	X(rpc_faults_async)                                                                        \
	X(policy)                                                                                  \
	X(names)                                                                                   \
	X(closer)                                                                                  \
	X(descriptors)                                                                             \
	X(carrier)                                                                                 \
	X(carrier_ends)                                                                            \
	X(carrier_more)                                                                            \
	X(carrier_quota)                                                                           \
	X(frames)                                                                                  \
	X(frames_lengths)                                                                          \
	X(frames_limits)                                                                           \
	X(ring)                                                                                    \
	X(conduit)                                                                                 \
	X(conduit_peers)                                                                           \
	X(shm)                                                                                     \
	X(hidden)                                                                                  \
	X(registration)                                                                            \
	X(acl_library)                                                                             \
	X(queue_model)                                                                             \
	X(pipe_states)                                                                             \
	X(pipe_rules)                                                                              \
	X(pipe_quota)                                                                              \
	X(pipe_start)                                                                              \
	X(pipe_start_stress)                                                                       \
	X(pipe_start_loop)                                                                         \
	X(pipe_place)                                                                              \
	X(pipe_pair)                                                                               \
	X(spawn)                                                                                   \
	X(offer)                                                                                   \
	X(filemap)                                                                                 \
	X(filemap_file)                                                                            \
	X(sync)                                                                                    \
	X(sync_several)

#define DECLARE(NAME) extern const struct suite suite_##NAME;
#define LIST(NAME) &suite_##NAME,

SUITES(DECLARE)

static const struct suite *const suites[] = { SUITES(LIST) };

/* CUnit calls back without a context, so the tallies have to stand here. */
static unsigned failed, passed, skipped;
static const char *skip_reason;

bool check_true(const char *file, unsigned line, const char *what, bool holds)
{
	CU_assertImplementation(holds, line, what, file, "", CU_FALSE);
	return holds;
}

bool check_int(const char *file, unsigned line, const char *what, long long got, long long want)
{
	char text[512];

	snprintf(text, sizeof(text), "%s is %lld, not %lld", what, got, want);
	return check_true(file, line, text, got == want);
}

bool check_text(const char *file, unsigned line, const char *what, const char *got,
    const char *want)
{
	char text[1024];
	bool same = got && want ? strcmp(got, want) == 0 : got == want;

	snprintf(text, sizeof(text), "%s is \"%.400s\", not \"%.400s\"", what, got ? got : "(null)",
	    want ? want : "(null)");
	return check_true(file, line, text, same);
}

bool check_bytes(const char *file, unsigned line, const char *what, const void *got, size_t n_got,
    const void *want, size_t n_want)
{
	const unsigned char *g = got, *w = want;
	char text[512];
	size_t i = 0;

	while (i < n_got && i < n_want && g[i] == w[i])
		i++;
	snprintf(text, sizeof(text), "%s: %zu bytes, not %zu; first difference at %zu", what, n_got,
	    n_want, i);
	return check_true(file, line, text, n_got == n_want && i == n_got);
}

void skip_test(const char *reason)
{
	skip_reason = reason;
}

bool wait_until(bool (*holds)(void *context), void *context, unsigned ms)
{
	int64_t deadline = clock_deadline_ms(ms);
	const struct timespec pause = { 0, 2000000 };

	while (!holds(context)) {
		if (clock_now() > deadline)
			return holds(context);
		nanosleep(&pause, NULL);
	}
	return true;
}

static void on_complete(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord first)
{
	for (CU_pFailureRecord f = first; f; f = f->pNext)
		printf("  %s:%u: %s\n", f->strFileName, f->uiLineNumber, f->strCondition);
	if (first) {
		failed++;
		printf("FAIL %s: %s\n", suite->pName, test->pName);
	} else if (skip_reason) {
		skipped++;
		printf("SKIP %s: %s: %s\n", suite->pName, test->pName, skip_reason);
	} else {
		passed++;
		if (getenv("VERBOSE"))
			printf("ok   %s: %s\n", suite->pName, test->pName);
	}
	skip_reason = NULL;
	fflush(stdout);
}

static bool is_wanted(const struct suite *s, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], s->name) == 0)
			return true;
	return argc == 1;
}

static bool add_suite(const struct suite *s)
{
	CU_pSuite suite = CU_add_suite(s->name, NULL, NULL);

	for (const struct test *t = s->tests; suite && t->name; t++)
		if (!CU_add_test(suite, t->name, t->run))
			return false;
	return suite != NULL;
}

int main(int argc, char **argv)
{
	/* A socket of a test that is closed under it must show as an error, not end the run. */
	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], SPAWNED) == 0)
		return spawned_main(argv[2]);
	if (CU_initialize_registry() != CUE_SUCCESS)
		return 2;
	for (size_t i = 0; i < sizeof(suites) / sizeof(suites[0]); i++) {
		if (is_wanted(suites[i], argc, argv) && !add_suite(suites[i])) {
			fprintf(stderr, "unit: %s\n", CU_get_error_msg());
			return 2;
		}
	}
	CU_set_test_complete_handler(on_complete);
	CU_run_all_tests();
	CU_cleanup_registry();
	printf("unit: %u passed, %u failed, %u skipped\n", passed, failed, skipped);
	return failed || !passed ? 1 : 0;
}
