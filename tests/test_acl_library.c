/* SPDX-License-Identifier: BSD-3-Clause */
/* test_acl_library.c - access lists by ipc9.h, against a real daemon. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/ipc9.h"
#include "tests/daemon.h"
#include "tests/harness.h"

static void test_the_library_sets_gets_and_tests_lists(void)
{
	static const char *const rules[] = { "allow uid:4242 read", "deny anyone all" };
	const struct ipc9_pipe_options options = { .rules = rules, .n_rules = 2 };
	struct daemon_fixture d;
	struct ipc9_options here = { .socket = d.socket };
	struct ipc9_acl_listing *listing = NULL;
	struct ipc9_acl_verdict verdict;
	struct ipc9_pipe *pipe = NULL;
	struct ipc9_error e = { 0 };
	struct ipc9 *ipc9 = NULL;

	daemon_start(&d, "");
	EQUAL(ipc9_new(&here, &ipc9, &e), 0);
	EQUAL(ipc9_pipe_create(ipc9, "Desk", &options, &pipe, &e), 0);
	if (EQUAL(ipc9_acl_get(ipc9, "//./pipe/desk", &listing, &e), 0)) {
		HOLDS(listing->owned && listing->given);
		EQUAL(listing->owner_uid, getuid());
		EQUAL(listing->n_rules, 2);
		SAME_TEXT(listing->rules[1], rules[1]);
		HOLDS(ipc9_acl_listing_free(listing) == NULL);
	}
	EQUAL(ipc9_acl_test(ipc9, "\\\\.\\PIPE\\desk", "uid:4242", "write", &verdict, &e), 0);
	HOLDS(!verdict.allowed);
	SAME_TEXT(verdict.why, "deny anyone all (list of the object)");
	EQUAL(ipc9_acl_set(ipc9, "//./pipe/desk", NULL, 0, &e), 0);
	EQUAL(ipc9_acl_test(ipc9, "//./pipe/desk", "uid:4242", "read", &verdict, &e), 0);
	HOLDS(!verdict.allowed);
	EQUAL(ipc9_acl_test(ipc9, "//./pipe/desk", NULL, "admin", &verdict, &e), 0);
	HOLDS(verdict.allowed);
	ipc9_pipe_close(pipe);
	ipc9_free(ipc9);
	daemon_end(&d);
}

static void test_the_library_explains_what_it_does_not_send(void)
{
	static const char *const names[] = { "", "desk", "//.", "//./pipe", "//./fan/desk",
		"//@/mailslot/x", "//./pipe/~x" };
	static const char *const bad[] = { "allow anyone fly" };
	const char *many[IPC9_RULES + 1], *none[] = { NULL };
	struct ipc9_mailslot_options options = { .rules = bad, .n_rules = 1 };
	struct daemon_fixture d;
	struct ipc9_options here = { .socket = d.socket };
	struct ipc9_acl_listing *listing = NULL;
	struct ipc9_mailslot *slot = NULL;
	struct ipc9_error e = { 0 };
	struct ipc9 *ipc9 = NULL;

	for (size_t i = 0; i <= IPC9_RULES; i++)
		many[i] = "allow anyone read";
	daemon_start(&d, "");
	EQUAL(ipc9_new(&here, &ipc9, &e), 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		EQUAL(ipc9_acl_get(ipc9, names[i], &listing, &e), IPC9_E_BADNAME);
	EQUAL(ipc9_acl_get(ipc9, NULL, &listing, &e), IPC9_E_BADNAME);
	EQUAL(ipc9_acl_get(ipc9, "//./pipe/desk", &listing, &e), IPC9_E_NOENT);
	EQUAL(ipc9_acl_get(ipc9, "//./socket/desk", &listing, &e), IPC9_E_INVALID);
	EQUAL(ipc9_acl_set(ipc9, "//./pipe/desk", many, IPC9_RULES + 1, &e), IPC9_E_INVALID);
	EQUAL(ipc9_acl_set(ipc9, "//./pipe/desk", none, 1, &e), IPC9_E_INVALID);
	EQUAL(ipc9_mailslot_create(ipc9, "Tray", &options, &slot, &e), IPC9_E_INVALID);
	HOLDS(strstr(e.text, "allow anyone fly") != NULL);
	options.rules = many;
	options.n_rules = IPC9_RULES + 1;
	EQUAL(ipc9_mailslot_create(ipc9, "Tray", &options, &slot, &e), IPC9_E_INVALID);
	options.n_rules = 0;
	if (EQUAL(ipc9_mailslot_create(ipc9, "Tray", &options, &slot, &e), 0)) {
		/* A list without lines is a list: the default, that anybody may write, is gone. */
		EQUAL(ipc9_acl_get(ipc9, "//./slot/tray", &listing, &e), 0);
		EQUAL(listing->given, true);
		EQUAL(listing->n_rules, 0);
		ipc9_acl_listing_free(listing);
	}
	ipc9_mailslot_close(slot);
	ipc9_free(ipc9);
	daemon_end(&d);
}

SUITE(acl_library, TEST(test_the_library_sets_gets_and_tests_lists),
    TEST(test_the_library_explains_what_it_does_not_send));
