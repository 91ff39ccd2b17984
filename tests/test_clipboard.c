/* SPDX-License-Identifier: BSD-3-Clause */
/* test_clipboard.c - clipboard.x, promise by promise, by the generated client against a real daemon. */
#include "rpcgen-out/clipboard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpcgen-out/control.h"
#include "tests/daemon.h"
#include "tests/harness.h"

#define TRUSTING                                                                                   \
	"trust_sys = 127.0.0.0/8\ntrust_root = yes\nallow = host:127.0.0.0/8 read,write,create\n"

static char own[] = "~", plain[] = "text/plain";

static uint64_t begin(CLIENT *c, char *board)
{
	ipc9_name_args args = { board };
	ipc9_clipboard_begin_res res = { 0 };
	uint64_t ticket = 0;

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_clipboardproc_begin_1(&args, &res, c), RPC_SUCCESS) &&
	    EQUAL(res.status, IPC9_STATUS_OK))
		ticket = res.ipc9_clipboard_begin_res_u.ok.ticket;
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_begin_res, &res);
	return ticket;
}

static int add(CLIENT *c, uint64_t ticket, char *type)
{
	ipc9_clipboard_add_args args = { ticket, type };
	ipc9_void_res res = { 0 };
	int status = -1;

	if (EQUAL(ipc9_clipboardproc_add_1(&args, &res, c), RPC_SUCCESS))
		status = res.status;
	xdr_free((xdrproc_t)xdr_ipc9_void_res, &res);
	return status;
}

static int put(CLIENT *c, uint64_t ticket, const void *data, size_t size)
{
	ipc9_clipboard_put_args args = { ticket, { data, (uint32_t)size, NULL } };
	ipc9_void_res res = { 0 };
	int status = -1;

	if (EQUAL(ipc9_clipboardproc_put_1(&args, &res, c), RPC_SUCCESS))
		status = res.status;
	xdr_free((xdrproc_t)xdr_ipc9_void_res, &res);
	return status;
}

static int publish(CLIENT *c, uint64_t ticket, ipc9_board_version *ret)
{
	ipc9_handle_args args = { ticket };
	ipc9_clipboard_version_res res = { 0 };
	int status = -1;

	if (EQUAL(ipc9_clipboardproc_publish_1(&args, &res, c), RPC_SUCCESS)) {
		status = res.status;
		if (!status && ret)
			*ret = res.ipc9_clipboard_version_res_u.current;
	}
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_version_res, &res);
	return status;
}

static ipc9_board_version copy(CLIENT *c, char *board, char *type, const void *data, size_t size)
{
	ipc9_board_version version = { 0, 0 };
	uint64_t ticket = begin(c, board);

	EQUAL(add(c, ticket, type), 0);
	EQUAL(put(c, ticket, data, size), 0);
	EQUAL(publish(c, ticket, &version), 0);
	return version;
}

static int get(CLIENT *c, char *board, char *type, ipc9_board_version version, uint64_t offset,
    ipc9_clipboard_get_res *ret)
{
	ipc9_clipboard_get_args args = { board, type, version, offset, IPC9_BLOB_MAX };

	memset(ret, 0, sizeof(*ret));
	daemon_patience(c, 5000);
	if (!EQUAL(ipc9_clipboardproc_get_1(&args, ret, c), RPC_SUCCESS))
		return -1;
	return ret->status;
}

static void expect_content(CLIENT *c, char *board, char *type, const char *want)
{
	ipc9_clipboard_get_res res;
	const ipc9_clipboard_get_ok *ok = &res.ipc9_clipboard_get_res_u.ok;

	if (EQUAL(get(c, board, type, (ipc9_board_version){ 0, 0 }, 0, &res), 0)) {
		EQUAL(ok->size_bytes, strlen(want));
		SAME_BYTES(ok->data.data, ok->data.len, want, strlen(want));
	}
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_get_res, &res);
}

static int get_status(CLIENT *c, char *board, char *type)
{
	ipc9_clipboard_get_res res;
	int status = get(c, board, type, (ipc9_board_version){ 0, 0 }, 0, &res);

	xdr_free((xdrproc_t)xdr_ipc9_clipboard_get_res, &res);
	return status;
}

/* ---------------------------------------------------------------------------------------------- */

static void test_what_is_published_is_read_by_type(void)
{
	static char html[] = "text/html", upper[] = "TEXT/HTML", none[] = "image/png";
	struct daemon_fixture d;
	CLIENT *a, *b;
	uint64_t ticket;

	daemon_start(&d, "");
	a = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	b = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	EQUAL(get_status(b, own, plain), IPC9_STATUS_EMPTY);
	ticket = begin(a, own);
	EQUAL(add(a, ticket, html), 0);
	EQUAL(put(a, ticket, "<b>x</b>", 8), 0);
	EQUAL(add(a, ticket, plain), 0);
	EQUAL(put(a, ticket, "x", 1), 0);
	EQUAL(publish(a, ticket, NULL), 0);
	expect_content(b, own, plain, "x");
	expect_content(b, own, upper, "<b>x</b>");
	EQUAL(get_status(b, own, none), IPC9_STATUS_NOFORMAT);
	clnt_destroy(a);
	clnt_destroy(b);
	daemon_end(&d);
}

static void test_nothing_is_seen_before_publish_nor_after_a_lost_ticket(void)
{
	struct daemon_fixture d;
	CLIENT *a, *b;
	uint64_t ticket;

	daemon_start(&d, "");
	a = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	b = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	copy(b, own, plain, "old", 3);
	ticket = begin(a, own);
	EQUAL(add(a, ticket, plain), 0);
	EQUAL(put(a, ticket, "new", 3), 0);
	expect_content(b, own, plain, "old");
	clnt_destroy(a);
	expect_content(b, own, plain, "old");
	a = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	EQUAL(publish(a, ticket, NULL), IPC9_STATUS_NOENT); /* it went with its connection */
	clnt_destroy(a);
	clnt_destroy(b);
	daemon_end(&d);
}

static void test_a_reader_never_mixes_two_items(void)
{
	struct daemon_fixture d;
	ipc9_board_version first, second;
	ipc9_clipboard_get_res res;
	CLIENT *a;

	daemon_start(&d, "");
	a = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	first = copy(a, own, plain, "first", 5);
	second = copy(a, own, plain, "second", 6);
	HOLDS(second.seq > first.seq);
	EQUAL(second.epoch, first.epoch);
	EQUAL(get(a, own, plain, first, 2, &res), IPC9_STATUS_CHANGED);
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_get_res, &res);
	EQUAL(get(a, own, plain, second, 2, &res), 0);
	SAME_BYTES(res.ipc9_clipboard_get_res_u.ok.data.data,
	    res.ipc9_clipboard_get_res_u.ok.data.len, "cond", 4);
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_get_res, &res);
	clnt_destroy(a);
	daemon_end(&d);
}

static void test_clear_empties_and_is_a_change(void)
{
	struct daemon_fixture d;
	ipc9_clipboard_version_res res = { 0 };
	ipc9_name_args args = { own };
	ipc9_board_version before;
	CLIENT *a;

	daemon_start(&d, "");
	a = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	before = copy(a, own, plain, "x", 1);
	EQUAL(ipc9_clipboardproc_clear_1(&args, &res, a), RPC_SUCCESS);
	EQUAL(res.status, 0);
	HOLDS(res.ipc9_clipboard_version_res_u.current.seq > before.seq);
	EQUAL(get_status(a, own, plain), IPC9_STATUS_EMPTY);
	clnt_destroy(a);
	daemon_end(&d);
}

static ipc9_board_version clear(CLIENT *c, char *board)
{
	ipc9_clipboard_version_res res = { 0 };
	ipc9_board_version version = { 0, 0 };
	ipc9_name_args args = { board };

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_clipboardproc_clear_1(&args, &res, c), RPC_SUCCESS) && EQUAL(res.status, 0))
		version = res.ipc9_clipboard_version_res_u.current;
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_version_res, &res);
	return version;
}

static int list_status(CLIENT *c, char *board)
{
	ipc9_name_args args = { board };
	ipc9_clipboard_list_res res = { 0 };
	int status = -1;

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_clipboardproc_list_1(&args, &res, c), RPC_SUCCESS))
		status = res.status;
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_list_res, &res);
	return status;
}

static void test_a_cleared_shared_board_is_gone_and_its_versions_go_on_growing(void)
{
	static char team[] = "team";
	struct daemon_fixture d;
	ipc9_board_version first, second, third, fourth;
	ipc9_clipboard_get_res res;
	CLIENT *a;

	daemon_start(&d, "");
	a = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	first = copy(a, team, plain, "x", 1);
	second = clear(a, team);
	HOLDS(second.epoch == first.epoch && second.seq > first.seq);
	EQUAL(get_status(a, team, plain), IPC9_STATUS_NOENT);
	EQUAL(list_status(a, team), IPC9_STATUS_NOENT);
	/* Who was reading learns that it is not there any more. */
	EQUAL(get(a, team, plain, first, 1, &res), IPC9_STATUS_CHANGED);
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_get_res, &res);
	third = clear(a, team);
	HOLDS(third.epoch == first.epoch && third.seq > second.seq);
	fourth = copy(a, team, plain, "y", 1);
	HOLDS(fourth.epoch == first.epoch && fourth.seq > third.seq);
	expect_content(a, team, plain, "y");
	EQUAL(get(a, team, plain, first, 0, &res), IPC9_STATUS_CHANGED);
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_get_res, &res);
	clnt_destroy(a);
	daemon_end(&d);
}

static void give_list(const struct daemon_fixture *d, char *board)
{
	char line[] = "allow local read";
	ipc9_rule rule = line;
	ipc9_acl_set_args args = { (char[]){ "clipboard" }, board, { { 1, &rule } } };
	CLIENT *c = daemon_client(d, true, IPC9_PROG_CONTROL);
	ipc9_void_res res = { 0 };

	EQUAL(ipc9_controlproc_acl_set_1(&args, &res, c), RPC_SUCCESS);
	EQUAL(res.status, 0);
	xdr_free((xdrproc_t)xdr_ipc9_void_res, &res);
	clnt_destroy(c);
}

static void test_a_board_goes_with_its_list_when_its_owner_clears_it(void)
{
	static char team[] = "team";
	struct daemon_fixture d;
	CLIENT *a;

	daemon_start(&d, "");
	a = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	copy(a, team, plain, "x", 1);
	give_list(&d, team);
	clear(a, team);
	EQUAL(get_status(a, team, plain), IPC9_STATUS_NOENT);
	EQUAL(list_status(a, team), IPC9_STATUS_NOENT);
	clnt_destroy(a);
	daemon_end(&d);
}

/* The own board is not kept for that. */
static void test_the_versions_of_the_own_board_never_go_back(void)
{
	ipc9_name_args args = { own };
	ipc9_clipboard_list_res res = { 0 };
	const ipc9_board_version *now = &res.ipc9_clipboard_list_res_u.ok.current;
	struct daemon_fixture d;
	ipc9_board_version version;
	CLIENT *a;

	daemon_start(&d, "");
	a = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	copy(a, own, plain, "x", 1);
	version = clear(a, own);
	EQUAL(ipc9_clipboardproc_list_1(&args, &res, a), RPC_SUCCESS);
	HOLDS(now->epoch == version.epoch && now->seq >= version.seq);
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_list_res, &res);
	HOLDS(copy(a, own, plain, "y", 1).seq > version.seq);
	clnt_destroy(a);
	daemon_end(&d);
}

static void test_formats_keep_their_order_and_a_repeated_one_its_place(void)
{
	static char types[3][16] = { "text/html", "text/plain", "image/png" };
	static char board[] = "Team";
	struct daemon_fixture d;
	ipc9_name_args args = { board };
	ipc9_clipboard_list_res res = { 0 };
	const ipc9_clipboard_list_ok *ok = &res.ipc9_clipboard_list_res_u.ok;
	CLIENT *a;
	uint64_t ticket;

	daemon_start(&d, "");
	a = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	ticket = begin(a, board);
	for (int i = 0; i < 3; i++) {
		EQUAL(add(a, ticket, types[i]), 0);
		EQUAL(put(a, ticket, "old", 3), 0);
	}
	EQUAL(add(a, ticket, types[0]), 0);
	EQUAL(put(a, ticket, "newer", 5), 0);
	EQUAL(publish(a, ticket, NULL), 0);
	memcpy(board, "tEAM", 4);
	EQUAL(ipc9_clipboardproc_list_1(&args, &res, a), RPC_SUCCESS);
	if (EQUAL(res.status, 0) && EQUAL(ok->formats.formats_len, 3)) {
		for (int i = 0; i < 3; i++)
			SAME_TEXT(ok->formats.formats_val[i].type, types[i]);
		EQUAL(ok->formats.formats_val[0].size_bytes, 5);
		EQUAL(ok->author.uid, getuid());
		EQUAL(ok->author.how, IPC9_BY_KERNEL);
	}
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_list_res, &res);
	clnt_destroy(a);
	daemon_end(&d);
}

static void test_out_of_range_is_refused(void)
{
	static char bad_type[] = "no type", slash[] = "/x";
	struct daemon_fixture d;
	CLIENT *a;
	uint64_t ticket;

	daemon_start(&d, "");
	a = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	ticket = begin(a, own);
	EQUAL(put(a, ticket, "x", 1), IPC9_STATUS_BADSTATE);
	EQUAL(publish(a, ticket, NULL), IPC9_STATUS_BADSTATE);
	EQUAL(add(a, ticket, bad_type), IPC9_STATUS_INVALID);
	EQUAL(add(a, ticket, slash), IPC9_STATUS_INVALID);
	EQUAL(add(a, ticket + 1, plain), IPC9_STATUS_NOENT);
	for (int i = 0; i < IPC9_FORMAT_LIST_MAX; i++) {
		char type[32];

		snprintf(type, sizeof(type), "x/%d", i);
		if (!EQUAL(add(a, ticket, type), 0))
			break;
	}
	EQUAL(add(a, ticket, plain), IPC9_STATUS_INVALID);
	clnt_destroy(a);
	daemon_end(&d);
}

static void test_names_are_checked(void)
{
	static char bad[][8] = { "", "a\nb", "\xff", "@x", "~bob" };
	static char none[] = "none";
	struct daemon_fixture d;
	CLIENT *a;

	daemon_start(&d, "");
	a = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		EQUAL(get_status(a, bad[i], plain), IPC9_STATUS_BADNAME);
	EQUAL(get_status(a, none, plain), IPC9_STATUS_NOENT);
	clnt_destroy(a);
	daemon_end(&d);
}

static void test_a_ticket_belongs_to_its_connection(void)
{
	struct daemon_fixture d;
	CLIENT *a, *b;
	uint64_t ticket;

	daemon_start(&d, "");
	a = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	b = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	ticket = begin(a, own);
	EQUAL(add(b, ticket, plain), IPC9_STATUS_NOENT);
	EQUAL(publish(b, ticket, NULL), IPC9_STATUS_NOENT);
	clnt_destroy(a);
	clnt_destroy(b);
	daemon_end(&d);
}

static void test_a_trusted_claim_reaches_the_own_board_and_an_untrusted_one_none(void)
{
	struct daemon_fixture d;
	CLIENT *local, *remote;

	daemon_start(&d, TRUSTING);
	local = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	remote = daemon_client(&d, false, IPC9_PROG_CLIPBOARD);
	copy(remote, own, plain, "claimed", 7);
	expect_content(local, own, plain, "claimed");
	clnt_destroy(remote);
	clnt_destroy(local);
	daemon_end(&d);

	daemon_start(&d, "allow = host:127.0.0.0/8 read,write,create\n");
	remote = daemon_client(&d, false, IPC9_PROG_CLIPBOARD);
	EQUAL(get_status(remote, own, plain), IPC9_STATUS_ACCESS);
	clnt_destroy(remote);
	daemon_end(&d);
}

static void test_a_fresh_daemon_answers_strangers_null_and_nothing_else(void)
{
	struct daemon_fixture d;
	ipc9_clipboard_get_args args = { own, plain, { 0, 0 }, 0, 1 };
	ipc9_clipboard_get_res res = { 0 };
	CLIENT *remote;
	struct rpc_err error;

	daemon_start(&d, "");
	remote = daemon_client(&d, false, IPC9_PROG_CLIPBOARD);
	EQUAL(ipc9_clipboardproc_null_1(NULL, NULL, remote), RPC_SUCCESS);
	EQUAL(ipc9_clipboardproc_get_1(&args, &res, remote), RPC_AUTHERROR);
	clnt_geterr(remote, &error);
	EQUAL(error.re_why, AUTH_TOOWEAK);
	clnt_destroy(remote);
	daemon_end(&d);
}

static void test_one_connection_cannot_use_up_all_tickets(void)
{
	struct daemon_fixture d;
	ipc9_name_args args = { own };
	ipc9_clipboard_begin_res res = { 0 };
	CLIENT *greedy, *other;

	daemon_start(&d, "");
	greedy = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	other = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	for (int i = 0; i < 16; i++)
		begin(greedy, own);
	EQUAL(ipc9_clipboardproc_begin_1(&args, &res, greedy), RPC_SUCCESS);
	EQUAL(res.status, IPC9_STATUS_QUOTA);
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_begin_res, &res);
	HOLDS(begin(other, own) != 0);
	clnt_destroy(greedy);
	clnt_destroy(other);
	daemon_end(&d);
}

SUITE(clipboard, TEST(test_one_connection_cannot_use_up_all_tickets),
    TEST(test_what_is_published_is_read_by_type),
    TEST(test_nothing_is_seen_before_publish_nor_after_a_lost_ticket),
    TEST(test_a_reader_never_mixes_two_items), TEST(test_clear_empties_and_is_a_change),
    TEST(test_a_cleared_shared_board_is_gone_and_its_versions_go_on_growing),
    TEST(test_a_board_goes_with_its_list_when_its_owner_clears_it),
    TEST(test_the_versions_of_the_own_board_never_go_back),
    TEST(test_formats_keep_their_order_and_a_repeated_one_its_place),
    TEST(test_out_of_range_is_refused), TEST(test_names_are_checked),
    TEST(test_a_ticket_belongs_to_its_connection),
    TEST(test_a_trusted_claim_reaches_the_own_board_and_an_untrusted_one_none),
    TEST(test_a_fresh_daemon_answers_strangers_null_and_nothing_else));
