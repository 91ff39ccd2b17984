/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_acl.c - access lists of objects: control.x against a real daemon, and reserved names.
 *
 * Objects are made over the local socket by the user who runs the tests, who there is an administrator (the daemon runs
 * as them).  Over TCP the daemon believes what is claimed: there the same user is the owner and no more.
 */
#include "rpcgen-out/control.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rpcgen-out/clipboard.h"
#include "rpcgen-out/mailslot.h"
#include "rpcgen-out/pipe.h"
#include "tests/daemon.h"
#include "tests/harness.h"
#include "util/text.h"

#define STRANGER 4242
#define ADMINISTRATOR 7007

static const char trusting[] = "trust_sys = 127.0.0.0/8\ntrust_root = yes\nallow = uid:7007 all\n"
			       "allow = host:127.0.0.0/8 read,write,create,delete\n";

static char pipe_name[] = "Desk", slot_name[] = "Tray", board_name[] = "Wall";

/* --- The daemon -------------------------------------------------------------------------------- */

struct world {
	struct daemon_fixture daemon;
	CLIENT *local;				   /* of the program that the test is about */
	CLIENT *owner, *stranger, *admin, *nobody; /* over TCP, of the program control */
};

static void begin(struct world *w, const char *configuration, uint32_t program)
{
	daemon_start(&w->daemon, configuration);
	w->local = daemon_client(&w->daemon, true, program);
	w->owner = daemon_client_claiming(&w->daemon, IPC9_PROG_CONTROL, getuid());
	w->stranger = daemon_client_claiming(&w->daemon, IPC9_PROG_CONTROL, STRANGER);
	w->admin = daemon_client_claiming(&w->daemon, IPC9_PROG_CONTROL, ADMINISTRATOR);
	w->nobody = daemon_client_anonymous(&w->daemon, IPC9_PROG_CONTROL);
}

static void end(struct world *w)
{
	CLIENT *all[] = { w->local, w->owner, w->stranger, w->admin, w->nobody };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		daemon_client_end(all[i]);
	daemon_end(&w->daemon);
}

/* A list for a call, ended by NULL. */
#define LINES(...)                                                                                 \
	(char *[])                                                                                 \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static ipc9_rules rules_of(char **lines)
{
	ipc9_rules rules = { { 0, lines } };

	while (lines[rules.lines.lines_len])
		rules.lines.lines_len++;
	return rules;
}

static int create_pipe(CLIENT *c, char *name, char **lines, char detail[256])
{
	ipc9_rules rules = lines ? rules_of(lines) : (ipc9_rules){ { 0, NULL } };
	ipc9_pipe_create_args args = { name, IPC9_PIPE_BYTE, IPC9_PIPE_DUPLEX, 3, 0,
		lines ? &rules : NULL, 0, 0 };
	ipc9_pipe_create_res res = { 0 };
	int status = -1;

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_pipeproc_create_1(&args, &res, c), RPC_SUCCESS)) {
		status = res.status;
		if (status && detail)
			text_format(detail, 256, "%s", res.ipc9_pipe_create_res_u.error.detail);
	}
	xdr_free((xdrproc_t)xdr_ipc9_pipe_create_res, &res);
	return status;
}

static int open_pipe(CLIENT *c, unsigned flags, uint64_t *ret)
{
	ipc9_pipe_open_args args = { pipe_name, flags };
	ipc9_pipe_open_res res = { 0 };
	int status = -1;

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_pipeproc_open_1(&args, &res, c), RPC_SUCCESS)) {
		status = res.status;
		if (!status && ret)
			*ret = res.ipc9_pipe_open_res_u.ok.pipe;
	}
	xdr_free((xdrproc_t)xdr_ipc9_pipe_open_res, &res);
	return status;
}

static int write_pipe(CLIENT *c, uint64_t pipe)
{
	ipc9_pipe_write_args args = { pipe, 0, 0, { (const unsigned char *)"word", 4, NULL } };
	ipc9_pipe_write_res res = { 0 };
	int status = -1;

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_pipeproc_write_1(&args, &res, c), RPC_SUCCESS))
		status = res.status;
	xdr_free((xdrproc_t)xdr_ipc9_pipe_write_res, &res);
	return status;
}

static int create_slot(CLIENT *c, char *name, char **lines)
{
	ipc9_rules rules = lines ? rules_of(lines) : (ipc9_rules){ { 0, NULL } };
	ipc9_mailslot_create_args args = { name, 0, 0, lines ? &rules : NULL };
	ipc9_mailslot_create_res res = { 0 };
	int status = -1;

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_mailslotproc_create_1(&args, &res, c), RPC_SUCCESS))
		status = res.status;
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_create_res, &res);
	return status;
}

static int send_slot(CLIENT *c, uint64_t seq)
{
	ipc9_mailslot_send_args args = { slot_name, { "sender of 16 byt", seq }, 0,
		{ (const unsigned char *)"letter", 6, NULL } };
	ipc9_mailslot_send_res res = { 0 };
	int status = -1;

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_mailslotproc_send_1(&args, &res, c), RPC_SUCCESS))
		status = res.status;
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_send_res, &res);
	return status;
}

/* Copies to a board; what PUBLISH, or the first step that fails, answers. */
static int publish(CLIENT *c, char *name)
{
	static char type[] = "text/plain";
	ipc9_name_args begin_args = { name };
	ipc9_clipboard_begin_res begun = { 0 };
	ipc9_void_res added = { 0 };
	ipc9_clipboard_version_res published = { 0 };
	int status = -1;

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_clipboardproc_begin_1(&begin_args, &begun, c), RPC_SUCCESS))
		status = begun.status;
	if (!status) {
		uint64_t ticket = begun.ipc9_clipboard_begin_res_u.ok.ticket;
		ipc9_clipboard_add_args add_args = { ticket, type };
		ipc9_handle_args publish_args = { ticket };

		EQUAL(ipc9_clipboardproc_add_1(&add_args, &added, c), RPC_SUCCESS);
		EQUAL(ipc9_clipboardproc_publish_1(&publish_args, &published, c), RPC_SUCCESS);
		status = added.status ? added.status : published.status;
	}
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_begin_res, &begun);
	xdr_free((xdrproc_t)xdr_ipc9_void_res, &added);
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_version_res, &published);
	return status;
}

static char mechanisms[][16] = { "pipe", "mailslot", "clipboard" };
enum {
	PIPE,
	MAILSLOT,
	CLIPBOARD
};

static char *name_of(int mechanism)
{
	return mechanism == PIPE ? pipe_name : mechanism == MAILSLOT ? slot_name : board_name;
}

/* want: the lines joined by newlines, behind "owner UID given " or "default ". */
static int get(CLIENT *c, int mechanism, const char *want)
{
	ipc9_acl_get_args args = { mechanisms[mechanism], name_of(mechanism) };
	ipc9_acl_get_res res = { 0 };
	const ipc9_acl_get_ok *ok = &res.ipc9_acl_get_res_u.ok;
	char text[1024];
	int status = -1;

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_controlproc_acl_get_1(&args, &res, c), RPC_SUCCESS))
		status = res.status;
	if (!status && want) {
		HOLDS(ok->owned);
		EQUAL(ok->owner, getuid());
		text_format(text, sizeof(text), "%s", ok->given ? "given" : "default");
		for (u_int i = 0; i < ok->rules.lines.lines_len; i++)
			text_format(text + strlen(text), sizeof(text) - strlen(text), "\n%s",
			    ok->rules.lines.lines_val[i]);
		SAME_TEXT(text, want);
	}
	xdr_free((xdrproc_t)xdr_ipc9_acl_get_res, &res);
	return status;
}

static int set(CLIENT *c, int mechanism, char **lines, char detail[256])
{
	ipc9_acl_set_args args = { mechanisms[mechanism], name_of(mechanism), rules_of(lines) };
	ipc9_void_res res = { 0 };
	int status = -1;

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_controlproc_acl_set_1(&args, &res, c), RPC_SUCCESS)) {
		status = res.status;
		if (status && detail)
			text_format(detail, 256, "%s", res.ipc9_void_res_u.error.detail);
	}
	xdr_free((xdrproc_t)xdr_ipc9_void_res, &res);
	return status;
}

/* The status; why has "yes" or "no" and what decided, or what is wrong. */
static int test(CLIENT *c, char *mechanism, const char *who, const char *right, char why[600])
{
	char who_text[700], right_text[40];
	ipc9_acl_test_args args = { mechanism, pipe_name, who_text, right_text };
	ipc9_acl_test_res res = { 0 };
	int status = -1;

	text_format(who_text, sizeof(who_text), "%s", who);
	text_format(right_text, sizeof(right_text), "%s", right);
	daemon_patience(c, 5000);
	if (EQUAL(ipc9_controlproc_acl_test_1(&args, &res, c), RPC_SUCCESS)) {
		status = res.status;
		if (status)
			text_format(why, 600, "%s", res.ipc9_acl_test_res_u.error.detail);
		else
			text_format(why, 600, "%s: %s",
			    res.ipc9_acl_test_res_u.ok.allowed ? "yes" : "no",
			    res.ipc9_acl_test_res_u.ok.why);
	}
	xdr_free((xdrproc_t)xdr_ipc9_acl_test_res, &res);
	return status;
}

static void test_owner_and_administrators_deal_with_a_list_and_nobody_else(void)
{
	struct world w;
	char why[600];

	begin(&w, trusting, IPC9_PROG_PIPE);
	EQUAL(create_pipe(w.local, pipe_name, NULL, NULL), 0);
	EQUAL(get(w.owner, PIPE, "default"), 0);
	EQUAL(get(w.admin, PIPE, "default"), 0);
	EQUAL(get(w.stranger, PIPE, NULL), IPC9_STATUS_NOENT);
	EQUAL(get(w.nobody, PIPE, NULL), IPC9_STATUS_NOENT);
	EQUAL(set(w.stranger, PIPE, LINES("allow anyone all"), NULL), IPC9_STATUS_NOENT);
	EQUAL(set(w.nobody, PIPE, LINES("allow anyone all"), NULL), IPC9_STATUS_NOENT);
	EQUAL(test(w.stranger, mechanisms[PIPE], "", "read", why), IPC9_STATUS_NOENT);
	EQUAL(get(w.owner, PIPE, "default"), 0);
	EQUAL(set(w.owner, PIPE, LINES("allow uid:4242 read"), NULL), 0);
	EQUAL(get(w.admin, PIPE, "given\nallow uid:4242 read"), 0);
	EQUAL(set(w.admin, PIPE, LINES("deny anyone all", "allow local read,write"), NULL), 0);
	EQUAL(get(w.owner, PIPE, "given\ndeny anyone all\nallow local read,write"), 0);
	/* "all" in an object's list is no right to change that list. */
	EQUAL(set(w.owner, PIPE, LINES("allow uid:4242 all"), NULL), 0);
	EQUAL(set(w.stranger, PIPE, LINES("deny anyone all"), NULL), IPC9_STATUS_ACCESS);
	EQUAL(set(w.owner, PIPE, (char *[]){ NULL }, NULL), 0);
	EQUAL(get(w.owner, PIPE, "given"), 0);
	end(&w);
}

static void test_a_host_that_lets_its_owner_only_read_lets_them_set_nothing(void)
{
	struct world w;
	struct rpc_err error;
	ipc9_acl_set_args args = { mechanisms[PIPE], pipe_name, { { 0, NULL } } };
	ipc9_void_res res = { 0 };

	begin(&w, "trust_sys = 127.0.0.0/8\ntrust_root = yes\nallow = anyone read\n",
	    IPC9_PROG_PIPE);
	EQUAL(create_pipe(w.local, pipe_name, NULL, NULL), 0);
	EQUAL(get(w.owner, PIPE, "default"), 0);
	EQUAL(ipc9_controlproc_acl_set_1(&args, &res, w.owner), RPC_AUTHERROR);
	clnt_geterr(w.owner, &error);
	EQUAL(error.re_why, AUTH_TOOWEAK);
	end(&w);
}

static void test_a_bad_line_is_named_and_the_list_stays(void)
{
	struct world w;
	char detail[256] = "";

	begin(&w, trusting, IPC9_PROG_PIPE);
	EQUAL(create_pipe(w.local, pipe_name, LINES("allow local read"), NULL), 0);
	EQUAL(set(w.owner, PIPE, LINES("deny uid:1 all", "allow uid:x read"), detail),
	    IPC9_STATUS_INVALID);
	SAME_TEXT(detail, "access list, line 2 (\"allow uid:x read\"): uid: takes a number");
	EQUAL(get(w.owner, PIPE, "given\nallow local read"), 0);
	end(&w);
}

static void test_a_right_that_an_object_does_not_have_is_refused(void)
{
	static const struct {
		int mechanism;
		char line[40];
		const char *why; /* NULL: it has it */
	} cases[] = {
		{ PIPE, "allow uid:5 read,write", NULL },
		{ PIPE, "allow uid:5 all", NULL },
		{ PIPE, "deny uid:5 read,create",
		    "create means nothing for a pipe; RIGHTS is all, or some of read,write" },
		{ PIPE, "allow uid:5 delete", "delete means nothing for a pipe" },
		{ PIPE, "deny uid:5 admin", "admin means nothing for a pipe" },
		{ MAILSLOT, "allow uid:5 write", NULL },
		{ MAILSLOT, "deny uid:5 all", NULL },
		{ MAILSLOT, "allow uid:5 read,write",
		    "read means nothing for a mailslot; RIGHTS is all, or some of write" },
		{ MAILSLOT, "allow uid:5 create", "create means nothing for a mailslot" },
		{ CLIPBOARD, "allow uid:5 read,write", NULL },
		{ CLIPBOARD, "allow uid:5 write,delete", "delete means nothing for a clipboard" },
	};
	struct world w;
	CLIENT *slots, *boards;

	begin(&w, trusting, IPC9_PROG_PIPE);
	slots = daemon_client(&w.daemon, true, IPC9_PROG_MAILSLOT);
	boards = daemon_client(&w.daemon, true, IPC9_PROG_CLIPBOARD);
	EQUAL(create_pipe(w.local, pipe_name, LINES("allow local read"), NULL), 0);
	EQUAL(create_slot(slots, slot_name, NULL), 0);
	EQUAL(publish(boards, board_name), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char line[40], detail[256] = "";
		int want = cases[i].why ? IPC9_STATUS_INVALID : 0;

		text_format(line, sizeof(line), "%s", cases[i].line);
		EQUAL(set(w.owner, cases[i].mechanism, LINES(line), detail), want);
		if (!HOLDS(!cases[i].why || strstr(detail, cases[i].why)))
			printf("  %s: %s\n", line, detail);
	}
	EQUAL(get(w.owner, PIPE, "given\nallow uid:5 all"), 0);
	clnt_destroy(slots);
	slots = daemon_client(&w.daemon, true, IPC9_PROG_MAILSLOT);
	EQUAL(create_slot(slots, mechanisms[MAILSLOT], LINES("allow local read")),
	    IPC9_STATUS_INVALID);
	daemon_client_end(slots);
	daemon_client_end(boards);
	end(&w);
}

static void test_a_list_of_64_lines_fits_and_one_of_65_is_no_call(void)
{
	static char line[] = "allow uid:1 read,write";
	char *lines[IPC9_RULES_MAX + 2] = { NULL };
	struct world w;

	for (size_t i = 0; i < IPC9_RULES_MAX; i++)
		lines[i] = line;
	begin(&w, trusting, IPC9_PROG_PIPE);
	EQUAL(create_pipe(w.local, pipe_name, lines, NULL), 0);
	EQUAL(set(w.owner, PIPE, lines, NULL), 0);
	lines[IPC9_RULES_MAX] = line;
	{
		ipc9_acl_set_args args = { mechanisms[PIPE], pipe_name, rules_of(lines) };
		ipc9_void_res res = { 0 };

		EQUAL(ipc9_controlproc_acl_set_1(&args, &res, w.owner), RPC_CANTENCODEARGS);
	}
	end(&w);
}

static uint64_t bytes_used(const struct daemon_fixture *d)
{
	CLIENT *c = daemon_client(d, true, IPC9_PROG_CONTROL);
	ipc9_quota_args args = { 0 };
	ipc9_quota_res res = { 0 };
	uint64_t used = UINT64_MAX;

	if (EQUAL(ipc9_controlproc_quota_1(&args, &res, c), RPC_SUCCESS) && EQUAL(res.status, 0))
		used = res.ipc9_quota_res_u.ok.host.bytes.used;
	xdr_free((xdrproc_t)xdr_ipc9_quota_res, &res);
	clnt_destroy(c);
	return used;
}

static bool uses_no_bytes(void *context)
{
	return bytes_used(context) == 0;
}

static void test_a_list_is_charged_to_the_objects_owner_as_long_as_it_is_there(void)
{
	static char line[] = "allow uid:7 read", second[] = "second", third[] = "third";
	char *lines[IPC9_RULES_MAX + 1] = { NULL }, detail[256] = "";
	uint64_t each;
	struct world w;

	for (int i = 0; i < IPC9_RULES_MAX; i++)
		lines[i] = line;
	/* The owner's share: half of 61440 and the 4096 that are kept back. */
	begin(&w, "quota_bytes = 65536\ntrust_sys = 127.0.0.0/8\nallow = uid:7007 all\n",
	    IPC9_PROG_PIPE);
	EQUAL(create_pipe(w.local, pipe_name, &lines[IPC9_RULES_MAX - 17], NULL), 0);
	each = bytes_used(&w.daemon);
	HOLDS(each >= 64);
	EQUAL(set(w.admin, PIPE, &lines[IPC9_RULES_MAX - 16], NULL), 0);
	EQUAL(bytes_used(&w.daemon), 0);
	EQUAL(set(w.admin, PIPE, lines, NULL), 0);
	EQUAL(bytes_used(&w.daemon), (IPC9_RULES_MAX - 16) * each);
	EQUAL(create_pipe(w.local, second, lines, NULL), 0);
	EQUAL(create_pipe(w.local, third, lines, detail), IPC9_STATUS_QUOTA);
	HOLDS(strstr(detail, "bytes: you use ") == detail);
	EQUAL(create_pipe(w.local, third, &lines[IPC9_RULES_MAX - 18], NULL), 0);
	EQUAL(bytes_used(&w.daemon), (2 * (IPC9_RULES_MAX - 16) + 2) * each);
	/* What was there stays when another list is refused. */
	EQUAL(set(w.admin, PIPE, LINES(line, "nonsense"), NULL), IPC9_STATUS_INVALID);
	EQUAL(bytes_used(&w.daemon), (2 * (IPC9_RULES_MAX - 16) + 2) * each);
	EQUAL(set(w.admin, PIPE, &lines[IPC9_RULES_MAX - 17], NULL), 0);
	EQUAL(bytes_used(&w.daemon), (IPC9_RULES_MAX - 16 + 3) * each);
	EQUAL(set(w.admin, PIPE, (char *[]){ NULL }, NULL), 0);
	EQUAL(bytes_used(&w.daemon), (IPC9_RULES_MAX - 16 + 2) * each);
	daemon_client_end(w.local);
	HOLDS(wait_until(uses_no_bytes, &w.daemon, 20000));
	w.local = daemon_client(&w.daemon, true, IPC9_PROG_PIPE);
	end(&w);
}

static void test_an_administrator_may_shut_what_belongs_to_somebody_without_room(void)
{
	static char line[] = "deny uid:7 write";
	char *lines[IPC9_RULES_MAX + 1] = { NULL }, name[16];
	CLIENT *slots;
	struct world w;

	for (int i = 0; i < IPC9_RULES_MAX; i++)
		lines[i] = line;
	begin(&w, "quota_bytes = 65536\ntrust_sys = 127.0.0.0/8\nallow = uid:7007 all\n",
	    IPC9_PROG_PIPE);
	slots = daemon_client(&w.daemon, true, IPC9_PROG_MAILSLOT);
	EQUAL(create_pipe(w.local, pipe_name, NULL, NULL), 0);
	EQUAL(create_slot(slots, slot_name, lines), 0);
	for (int i = 0; i < 100; i++) { /* what is left, line by line */
		text_format(name, sizeof(name), "slot%d", i);
		if (create_slot(slots, name, &lines[IPC9_RULES_MAX - 17]))
			break;
	}
	EQUAL(create_slot(slots, name, &lines[IPC9_RULES_MAX - 17]), IPC9_STATUS_QUOTA);
	EQUAL(set(w.admin, PIPE, &lines[IPC9_RULES_MAX - 17], NULL), 0);
	EQUAL(set(w.admin, PIPE, LINES("deny anyone all"), NULL), 0);
	EQUAL(get(w.admin, PIPE, "given\ndeny anyone all"), 0);
	clnt_destroy(slots);
	daemon_client_end(w.local);
	HOLDS(wait_until(uses_no_bytes, &w.daemon, 20000));
	w.local = daemon_client(&w.daemon, true, IPC9_PROG_PIPE);
	end(&w);
}

static void test_a_list_given_at_creation_counts_from_the_first_moment(void)
{
	struct world w;
	CLIENT *other, *slots, *sender;

	begin(&w, trusting, IPC9_PROG_PIPE);
	other = daemon_client_claiming(&w.daemon, IPC9_PROG_PIPE, STRANGER);
	slots = daemon_client(&w.daemon, true, IPC9_PROG_MAILSLOT);
	sender = daemon_client_claiming(&w.daemon, IPC9_PROG_MAILSLOT, STRANGER);
	EQUAL(create_pipe(w.local, pipe_name, LINES("allow uid:4242 read"), NULL), 0);
	EQUAL(get(w.owner, PIPE, "given\nallow uid:4242 read"), 0);
	EQUAL(open_pipe(other, IPC9_PIPE_OPEN_READ | IPC9_PIPE_OPEN_WRITE, NULL),
	    IPC9_STATUS_ACCESS);
	EQUAL(open_pipe(other, IPC9_PIPE_OPEN_READ, NULL), 0);
	EQUAL(create_slot(slots, slot_name, LINES("deny uid:4242 write", "allow anyone write")), 0);
	EQUAL(send_slot(sender, 1), IPC9_STATUS_NOENT);
	EQUAL(set(w.owner, MAILSLOT, LINES("allow uid:4242 write"), NULL), 0);
	EQUAL(send_slot(sender, 2), 0);
	daemon_client_end(other);
	daemon_client_end(slots);
	daemon_client_end(sender);
	end(&w);
}

static void test_a_further_instance_brings_the_list_that_is_there_or_none(void)
{
	struct world w;
	char detail[256] = "";

	begin(&w, trusting, IPC9_PROG_PIPE);
	EQUAL(create_pipe(w.local, pipe_name, LINES("allow uid:4242 read", "deny local all"), NULL),
	    0);
	EQUAL(create_pipe(w.local, pipe_name, LINES("deny anyone all"), detail),
	    IPC9_STATUS_INVALID);
	SAME_TEXT(detail,
	    "it is there with another access list, which ipc9 acl set changes; give that one or none");
	EQUAL(create_pipe(w.local, pipe_name, LINES("allow uid:4242 read"), NULL),
	    IPC9_STATUS_INVALID);
	EQUAL(create_pipe(w.local, pipe_name, LINES("allow me all"), detail), IPC9_STATUS_INVALID);
	HOLDS(strstr(detail, "line 1 (\"allow me all\")") != NULL);
	EQUAL(create_pipe(w.local, pipe_name, (char *[]){ NULL }, NULL), IPC9_STATUS_INVALID);
	EQUAL(get(w.owner, PIPE, "given\nallow uid:4242 read\ndeny local all"), 0);
	EQUAL(create_pipe(w.local, pipe_name, NULL, NULL), 0);
	EQUAL(create_pipe(w.local, pipe_name, LINES("allow  uid:4242 read", "deny local all"),
		  NULL),
	    0);
	end(&w);
	begin(&w, trusting, IPC9_PROG_PIPE);
	EQUAL(create_pipe(w.local, pipe_name, NULL, NULL), 0);
	EQUAL(create_pipe(w.local, pipe_name, LINES("allow anyone read"), NULL),
	    IPC9_STATUS_INVALID);
	EQUAL(create_pipe(w.local, pipe_name, (char *[]){ NULL }, NULL), 0); /* only the owner */
	EQUAL(get(w.owner, PIPE, "default"), 0);
	end(&w);
}

static void test_a_bad_line_at_creation_creates_nothing(void)
{
	struct world w;
	CLIENT *slots;
	char detail[256] = "";

	begin(&w, trusting, IPC9_PROG_PIPE);
	slots = daemon_client(&w.daemon, true, IPC9_PROG_MAILSLOT);
	EQUAL(create_pipe(w.local, pipe_name, LINES("allow me all"), detail), IPC9_STATUS_INVALID);
	HOLDS(strstr(detail, "line 1 (\"allow me all\")") != NULL);
	EQUAL(create_slot(slots, slot_name, LINES("allow local write", "")), IPC9_STATUS_INVALID);
	EQUAL(get(w.owner, PIPE, NULL), IPC9_STATUS_NOENT);
	EQUAL(get(w.owner, MAILSLOT, NULL), IPC9_STATUS_NOENT);
	EQUAL(create_pipe(w.local, pipe_name, NULL, NULL), 0);
	EQUAL(create_slot(slots, slot_name, NULL), 0);
	daemon_client_end(slots);
	end(&w);
}

static void test_new_opens_see_a_changed_list_while_what_is_open_goes_on(void)
{
	struct world w;
	CLIENT *other;
	uint64_t pipe = 0;

	begin(&w, trusting, IPC9_PROG_PIPE);
	other = daemon_client_claiming(&w.daemon, IPC9_PROG_PIPE, STRANGER);
	EQUAL(create_pipe(w.local, pipe_name, LINES("allow uid:4242 read,write"), NULL), 0);
	EQUAL(create_pipe(w.local, pipe_name, NULL, NULL), 0);
	EQUAL(open_pipe(other, IPC9_PIPE_OPEN_READ | IPC9_PIPE_OPEN_WRITE, &pipe), 0);
	EQUAL(set(w.owner, PIPE, LINES("deny anyone all"), NULL), 0);
	EQUAL(write_pipe(other, pipe), 0);
	EQUAL(open_pipe(other, IPC9_PIPE_OPEN_READ, NULL), IPC9_STATUS_NOENT);
	EQUAL(set(w.owner, PIPE, LINES("allow gid:4242 read"), NULL), 0);
	EQUAL(open_pipe(other, IPC9_PIPE_OPEN_READ, NULL), 0);
	daemon_client_end(other);
	end(&w);
}

static void test_objects_without_a_list_show_what_their_mechanism_gives(void)
{
	struct world w;
	CLIENT *slots, *boards;

	begin(&w, trusting, IPC9_PROG_PIPE);
	slots = daemon_client(&w.daemon, true, IPC9_PROG_MAILSLOT);
	boards = daemon_client(&w.daemon, true, IPC9_PROG_CLIPBOARD);
	EQUAL(create_pipe(w.local, pipe_name, NULL, NULL), 0);
	EQUAL(create_slot(slots, slot_name, NULL), 0);
	EQUAL(publish(boards, board_name), 0);
	EQUAL(get(w.owner, PIPE, "default"), 0);
	EQUAL(get(w.owner, MAILSLOT, "default\nallow anyone write"), 0);
	EQUAL(get(w.owner, CLIPBOARD, "default\nallow anyone read,write"), 0);
	daemon_client_end(slots);
	daemon_client_end(boards);
	end(&w);
}

static void test_a_board_keeps_to_its_list(void)
{
	struct world w;
	CLIENT *other;

	begin(&w, trusting, IPC9_PROG_CLIPBOARD);
	other = daemon_client_claiming(&w.daemon, IPC9_PROG_CLIPBOARD, STRANGER);
	EQUAL(publish(w.local, board_name), 0);
	EQUAL(publish(other, board_name), 0);
	EQUAL(set(w.owner, CLIPBOARD, LINES("allow anyone read"), NULL), 0);
	EQUAL(publish(other, board_name), IPC9_STATUS_ACCESS);
	EQUAL(set(w.stranger, CLIPBOARD, LINES("allow anyone all"), NULL), IPC9_STATUS_ACCESS);
	daemon_client_end(other);
	end(&w);
}

static void test_testing_answers_as_the_decision_would_and_says_why(void)
{
	static const struct {
		const char *who, *right, *says;
	} cases[] = {
		{ "uid:5", "read", "no: no line of the object's list allows it" },
		{ "uid:5,gid:9", "write", "yes: allow gid:9 read,write (list of the object)" },
		{ "uid:4242,from:127.0.0.1", "write",
		    "no: deny uid:4242 write (list of the object)" },
		{ "uid:4242,from:127.0.0.1", "read",
		    "yes: allow host:127.0.0.0/8 read,write (list of the object)" },
		{ "uid:7007,from:127.0.0.1", "admin", "yes: allow uid:7007 all (configuration)" },
		{ "uid:7007,from:127.0.0.1", "create",
		    "no: only its owner, as it is there already" },
		{ "uid:7007,from:127.0.0.1", "delete",
		    "no: only its owner, as it is there already" },
		{ "uid:5", "admin", "no: no line of the configuration allows it" },
		{ "from:127.0.0.1", "read",
		    "yes: allow host:127.0.0.0/8 read,write (list of the object)" },
		{ "from:10.9.9.9", "read", "no: no line of the configuration allows it" },
		{ "uid:7007,from:10.9.9.9", "read",
		    "no: no line of the configuration allows it; "
		    "claims from there are not believed (trust_sys)" },
	};
	struct world w;
	char why[600];

	begin(&w, trusting, IPC9_PROG_PIPE);
	EQUAL(create_pipe(w.local, pipe_name,
		  LINES("deny uid:4242 write", "allow gid:9 read,write",
		      "allow host:127.0.0.0/8 read,write"),
		  NULL),
	    0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EQUAL(test(w.owner, mechanisms[PIPE], cases[i].who, cases[i].right, why), 0);
		if (!SAME_TEXT(why, cases[i].says))
			printf("  %s %s\n", cases[i].who, cases[i].right);
	}
	EQUAL(test(w.owner, mechanisms[PIPE], "", "delete", why), 0);
	SAME_TEXT(why, "yes: the owner may everything");
	end(&w);
}

static void test_testing_believes_a_claim_as_far_as_the_transport_does(void)
{
	static const struct {
		const char *who, *says;
	} cases[] = {
		{ "uid:0,from:127.0.0.1",
		    "no: no line of the object's list allows it; "
		    "a claim of uid 0 is not believed (trust_root)" },
		{ "uid:5,gid:0,from:127.0.0.1",
		    "no: no line of the object's list allows it; "
		    "a claimed gid 0 counts for nothing (trust_root)" },
		{ "uid:5,from:127.0.0.1", "no: no line of the object's list allows it" },
		{ "uid:5", "no: no line of the object's list allows it" },
		{ "uid:5,gid:0", "yes: allow gid:0 read (list of the object)" },
	};
	struct world w;
	char why[600];
	CLIENT *control;

	begin(&w, "trust_sys = 127.0.0.0/8\nallow = host:127.0.0.0/8 read\n", IPC9_PROG_PIPE);
	control = daemon_client(&w.daemon, true, IPC9_PROG_CONTROL);
	EQUAL(create_pipe(w.local, pipe_name,
		  LINES("allow uid:0 read", "allow gid:0 read", "allow gid:65534 read"), NULL),
	    0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		EQUAL(test(control, mechanisms[PIPE], cases[i].who, "read", why), 0);
		if (!SAME_TEXT(why, cases[i].says))
			printf("  %s\n", cases[i].who);
	}
	daemon_client_end(control);
	end(&w);
}

static void test_what_cannot_be_tested_is_said(void)
{
	struct world w;
	char why[600], socket_word[] = "socket", nothing[] = "nonsense";

	begin(&w, trusting, IPC9_PROG_PIPE);
	EQUAL(test(w.admin, mechanisms[PIPE], "", "read", why), IPC9_STATUS_NOENT);
	SAME_TEXT(why, "no pipe of that name");
	EQUAL(test(w.stranger, mechanisms[PIPE], "", "read", why), IPC9_STATUS_NOENT);
	SAME_TEXT(why,
	    "no pipe of that name, or none that admits you (uid 4242 (claimed) from 127.0.0.1)");
	EQUAL(test(w.owner, socket_word, "", "read", why), IPC9_STATUS_INVALID);
	EQUAL(test(w.owner, nothing, "", "read", why), IPC9_STATUS_INVALID);
	SAME_TEXT(why, "nonsense: no mechanism with named objects");
	EQUAL(create_pipe(w.local, pipe_name, NULL, NULL), 0);
	EQUAL(test(w.owner, mechanisms[PIPE], "alice", "read", why), IPC9_STATUS_INVALID);
	HOLDS(strstr(why, "WHO: it is made of") != NULL);
	EQUAL(test(w.owner, mechanisms[PIPE], "", "fly", why), IPC9_STATUS_INVALID);
	EQUAL(test(w.owner, mechanisms[PIPE], "", "all", why), IPC9_STATUS_INVALID);
	end(&w);
}

/* --- Reserved names ---------------------------------------------------------------------------- */

static void test_reserved_names_are_made_only_by_those_they_are_reserved_for(void)
{
	char configuration[600], detail[256] = "", printer[] = "PRINTER", own[] = "own",
				 both[] = "a b";
	unsigned me = getuid();
	struct world w;
	CLIENT *slots, *boards, *other;

	text_format(configuration, sizeof(configuration),
	    "%sreserve = pipe:Printer uid:4242\nreserve = pipe:own uid:%u\n"
	    "reserve = pipe:a b uid:4242\nreserve = pipe:a b\tlocal\nreserve = clipboard:wall uid:4242\n"
	    "reserve = mailslot:Printer uid:4242\n",
	    trusting, me);
	begin(&w, configuration, IPC9_PROG_PIPE);
	slots = daemon_client(&w.daemon, true, IPC9_PROG_MAILSLOT);
	boards = daemon_client(&w.daemon, true, IPC9_PROG_CLIPBOARD);
	other = daemon_client_claiming(&w.daemon, IPC9_PROG_CLIPBOARD, STRANGER);
	EQUAL(create_pipe(w.local, printer, NULL, detail), IPC9_STATUS_ACCESS);
	text_format(configuration, sizeof(configuration),
	    "that name is reserved for uid:4242 by the configuration (reserve), and you are uid %u",
	    me);
	SAME_TEXT(detail, configuration);
	EQUAL(create_slot(slots, printer, NULL), IPC9_STATUS_ACCESS);
	EQUAL(create_pipe(w.local, own, NULL, NULL), 0);
	EQUAL(create_slot(slots, own, NULL), 0); /* another mechanism's name is another name */
	EQUAL(create_pipe(w.local, both, NULL, NULL), 0);
	EQUAL(publish(boards, board_name), IPC9_STATUS_ACCESS);
	EQUAL(publish(other, board_name), 0);
	EQUAL(publish(boards, board_name), 0); /* it is made now, and anybody may write */
	daemon_client_end(slots);
	daemon_client_end(boards);
	daemon_client_end(other);
	end(&w);
}

SUITE(acl,

    TEST(test_owner_and_administrators_deal_with_a_list_and_nobody_else),
    TEST(test_a_host_that_lets_its_owner_only_read_lets_them_set_nothing),
    TEST(test_a_bad_line_is_named_and_the_list_stays),
    TEST(test_a_right_that_an_object_does_not_have_is_refused),
    TEST(test_a_list_of_64_lines_fits_and_one_of_65_is_no_call),
    TEST(test_a_list_is_charged_to_the_objects_owner_as_long_as_it_is_there),
    TEST(test_an_administrator_may_shut_what_belongs_to_somebody_without_room),
    TEST(test_a_list_given_at_creation_counts_from_the_first_moment),
    TEST(test_a_further_instance_brings_the_list_that_is_there_or_none),
    TEST(test_a_bad_line_at_creation_creates_nothing),
    TEST(test_new_opens_see_a_changed_list_while_what_is_open_goes_on),
    TEST(test_objects_without_a_list_show_what_their_mechanism_gives),
    TEST(test_a_board_keeps_to_its_list),
    TEST(test_testing_answers_as_the_decision_would_and_says_why),
    TEST(test_testing_believes_a_claim_as_far_as_the_transport_does),
    TEST(test_what_cannot_be_tested_is_said),
    TEST(test_reserved_names_are_made_only_by_those_they_are_reserved_for));
