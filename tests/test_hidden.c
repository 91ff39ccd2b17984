/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_hidden.c - objects that a caller may not know of: every procedure that takes a name answers as if there were none.
 *
 * The objects belong to the user who runs the tests, and their lists let nobody in.  Answers are compared as a whole: status,
 * value and text.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "rpcgen-out/clipboard.h"
#include "rpcgen-out/control.h"
#include "rpcgen-out/mailslot.h"
#include "rpcgen-out/pipe.h"
#include "tests/daemon.h"
#include "tests/harness.h"
#include "util/text.h"

#define STRANGER 4242 /* may not create */
#define CREATOR 4343
#define ADMITTED 4444 /* one right on each object */

static const char configuration[] =
    "trust_sys = 127.0.0.0/8\ntrust_root = yes\nallow = uid:7007 all\n"
    "allow = uid:4343 create\nallow = host:127.0.0.0/8 read,write\n";

/* Objects of these names are there, and of the others not. */
static char there[] = "there", absent[] = "absent";

#define ANSWER_SIZE 400

/* Makes a call; answer gets "status value: text" of a refusal, or "done". */
static void ask(CLIENT *c, rpcproc_t procedure, xdrproc_t xdr, void *args, char answer[ANSWER_SIZE])
{
	static const struct timeval unused;
	ipc9_void_res res = { 0 };
	const ipc9_refusal *e = &res.ipc9_void_res_u.error;
	enum clnt_stat r;

	daemon_patience(c, 5000);
	r = clnt_call(c, procedure, xdr, (char *)args, (xdrproc_t)xdr_ipc9_void_res, (char *)&res,
	    unused);
	if (r == RPC_CANTDECODERES || (r == RPC_SUCCESS && !res.status))
		text_format(answer, ANSWER_SIZE, "done");
	else if (r == RPC_SUCCESS)
		text_format(answer, ANSWER_SIZE, "%d %llu: %s", e->status,
		    (unsigned long long)e->value, e->detail);
	else
		text_format(answer, ANSWER_SIZE, "%s", clnt_sperrno(r));
	xdr_free((xdrproc_t)xdr_ipc9_void_res, &res);
}

/* --- Every call that names an object ----------------------------------------------------------- */

typedef void ask_fn(CLIENT *c, char *name, char answer[ANSWER_SIZE]);

static void open_with(CLIENT *c, char *name, unsigned flags, char answer[ANSWER_SIZE])
{
	ipc9_pipe_open_args args = { name, flags };

	ask(c, IPC9_PIPEPROC_OPEN, (xdrproc_t)xdr_ipc9_pipe_open_args, &args, answer);
}

static void open_read(CLIENT *c, char *name, char answer[ANSWER_SIZE])
{
	open_with(c, name, IPC9_PIPE_OPEN_READ, answer);
}

static void open_write(CLIENT *c, char *name, char answer[ANSWER_SIZE])
{
	open_with(c, name, IPC9_PIPE_OPEN_WRITE, answer);
}

static void open_stream(CLIENT *c, char *name, char answer[ANSWER_SIZE])
{
	open_with(c, name, IPC9_PIPE_OPEN_READ | IPC9_PIPE_OPEN_STREAM, answer);
}

static void send_aged(CLIENT *c, char *name, unsigned age_ms, char answer[ANSWER_SIZE])
{
	static uint64_t seq;
	ipc9_mailslot_send_args args = { name, { "sender of 16 byt", ++seq }, age_ms,
		{ (const unsigned char *)"letter", 6, NULL } };

	ask(c, IPC9_MAILSLOTPROC_SEND, (xdrproc_t)xdr_ipc9_mailslot_send_args, &args, answer);
}

static void send_new(CLIENT *c, char *name, char answer[ANSWER_SIZE])
{
	send_aged(c, name, 0, answer);
}

static void send_old(CLIENT *c, char *name, char answer[ANSWER_SIZE])
{
	send_aged(c, name, IPC9_DEDUP_WINDOW_MS + 1, answer);
}

static void ask_by_name(CLIENT *c, rpcproc_t procedure, char *name, char answer[ANSWER_SIZE])
{
	ipc9_name_args args = { name };

	ask(c, procedure, (xdrproc_t)xdr_ipc9_name_args, &args, answer);
}

static void info(CLIENT *c, char *name, char answer[ANSWER_SIZE])
{
	ask_by_name(c, IPC9_MAILSLOTPROC_INFO, name, answer);
}

static void begin_copy(CLIENT *c, char *name, char answer[ANSWER_SIZE])
{
	ask_by_name(c, IPC9_CLIPBOARDPROC_BEGIN, name, answer);
}

static void list(CLIENT *c, char *name, char answer[ANSWER_SIZE])
{
	ask_by_name(c, IPC9_CLIPBOARDPROC_LIST, name, answer);
}

static void clear(CLIENT *c, char *name, char answer[ANSWER_SIZE])
{
	ask_by_name(c, IPC9_CLIPBOARDPROC_CLEAR, name, answer);
}

static void get_wanted(CLIENT *c, char *name, uint64_t seq, char answer[ANSWER_SIZE])
{
	static char type[] = "text/plain";
	ipc9_clipboard_get_args args = { name, type, { 5, seq }, 0, 100 };

	ask(c, IPC9_CLIPBOARDPROC_GET, (xdrproc_t)xdr_ipc9_clipboard_get_args, &args, answer);
}

static void get_any(CLIENT *c, char *name, char answer[ANSWER_SIZE])
{
	get_wanted(c, name, 0, answer);
}

static void get_version(CLIENT *c, char *name, char answer[ANSWER_SIZE])
{
	get_wanted(c, name, 7, answer);
}

static char mechanisms[][16] = { "pipe", "mailslot", "clipboard" };

/* The three calls about a list, for each mechanism. */
#define LIST_CALLS(MECHANISM, AT)                                                                  \
	static void acl_get_##MECHANISM(CLIENT *c, char *name, char answer[ANSWER_SIZE])           \
	{                                                                                          \
		ipc9_acl_get_args args = { mechanisms[AT], name };                                 \
                                                                                                   \
		ask(c, IPC9_CONTROLPROC_ACL_GET, (xdrproc_t)xdr_ipc9_acl_get_args, &args, answer); \
	}                                                                                          \
	static void acl_set_##MECHANISM(CLIENT *c, char *name, char answer[ANSWER_SIZE])           \
	{                                                                                          \
		ipc9_acl_set_args args = { mechanisms[AT], name, { { 0, NULL } } };                \
                                                                                                   \
		ask(c, IPC9_CONTROLPROC_ACL_SET, (xdrproc_t)xdr_ipc9_acl_set_args, &args, answer); \
	}                                                                                          \
	static void acl_test_##MECHANISM(CLIENT *c, char *name, char answer[ANSWER_SIZE])          \
	{                                                                                          \
		static char nobody[] = "", fly[] = "fly";                                          \
		ipc9_acl_test_args args = { mechanisms[AT], name, nobody, fly };                   \
                                                                                                   \
		ask(c, IPC9_CONTROLPROC_ACL_TEST, (xdrproc_t)xdr_ipc9_acl_test_args, &args,        \
		    answer);                                                                       \
	}

LIST_CALLS(pipe, 0)
LIST_CALLS(mailslot, 1)
LIST_CALLS(clipboard, 2)

static const struct {
	const char *what;
	uint32_t program;
	ask_fn *ask;
} calls[] = {
	{ "OPEN to read", IPC9_PROG_PIPE, open_read },
	{ "OPEN to write", IPC9_PROG_PIPE, open_write },
	{ "OPEN of a stream", IPC9_PROG_PIPE, open_stream },
	{ "SEND", IPC9_PROG_MAILSLOT, send_new },
	{ "SEND of something old", IPC9_PROG_MAILSLOT, send_old },
	{ "INFO", IPC9_PROG_MAILSLOT, info },
	{ "BEGIN", IPC9_PROG_CLIPBOARD, begin_copy },
	{ "LIST", IPC9_PROG_CLIPBOARD, list },
	{ "CLEAR", IPC9_PROG_CLIPBOARD, clear },
	{ "GET", IPC9_PROG_CLIPBOARD, get_any },
	{ "GET of a version", IPC9_PROG_CLIPBOARD, get_version },
	{ "ACL_GET of a pipe", IPC9_PROG_CONTROL, acl_get_pipe },
	{ "ACL_SET of a pipe", IPC9_PROG_CONTROL, acl_set_pipe },
	{ "ACL_TEST of a pipe", IPC9_PROG_CONTROL, acl_test_pipe },
	{ "ACL_GET of a slot", IPC9_PROG_CONTROL, acl_get_mailslot },
	{ "ACL_SET of a slot", IPC9_PROG_CONTROL, acl_set_mailslot },
	{ "ACL_TEST of a slot", IPC9_PROG_CONTROL, acl_test_mailslot },
	{ "ACL_GET of a board", IPC9_PROG_CONTROL, acl_get_clipboard },
	{ "ACL_SET of a board", IPC9_PROG_CONTROL, acl_set_clipboard },
	{ "ACL_TEST of a board", IPC9_PROG_CONTROL, acl_test_clipboard },
};

#define N_CALLS (sizeof(calls) / sizeof(calls[0]))

/* --- The objects ------------------------------------------------------------------------------- */

struct world {
	struct daemon_fixture daemon;
	CLIENT *pipes, *slots, *boards, *control; /* of the owner; what they made lives with them */
};

static void copy_to(CLIENT *c, char *board)
{
	static char type[] = "text/plain";
	ipc9_name_args begin_args = { board };
	ipc9_clipboard_begin_res begun = { 0 };
	ipc9_clipboard_add_args add_args = { 0, type };
	ipc9_handle_args publish_args;
	char answer[ANSWER_SIZE];

	EQUAL(ipc9_clipboardproc_begin_1(&begin_args, &begun, c), RPC_SUCCESS);
	add_args.ticket = publish_args.handle = begun.ipc9_clipboard_begin_res_u.ok.ticket;
	ask(c, IPC9_CLIPBOARDPROC_ADD, (xdrproc_t)xdr_ipc9_clipboard_add_args, &add_args, answer);
	SAME_TEXT(answer, "done");
	ask(c, IPC9_CLIPBOARDPROC_PUBLISH, (xdrproc_t)xdr_ipc9_handle_args, &publish_args, answer);
	SAME_TEXT(answer, "done");
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_begin_res, &begun);
}

static void set_list(CLIENT *control, int mechanism, char *line)
{
	ipc9_acl_set_args args = { mechanisms[mechanism], there, { { 1, &line } } };
	char answer[ANSWER_SIZE];

	ask(control, IPC9_CONTROLPROC_ACL_SET, (xdrproc_t)xdr_ipc9_acl_set_args, &args, answer);
	SAME_TEXT(answer, "done");
}

static void begin(struct world *w)
{
	static char for_pipe[] = "allow uid:4444 write", for_slot[] = "allow uid:4444 write",
		    for_board[] = "allow uid:4444 read", own[] = "~";
	ipc9_pipe_create_args pipe = { there, IPC9_PIPE_BYTE, IPC9_PIPE_DUPLEX, 1, 0, NULL, 0, 0 };
	ipc9_mailslot_create_args slot = { there, 0, 0, NULL };
	char answer[ANSWER_SIZE];

	daemon_start(&w->daemon, configuration);
	w->pipes = daemon_client(&w->daemon, true, IPC9_PROG_PIPE);
	w->slots = daemon_client(&w->daemon, true, IPC9_PROG_MAILSLOT);
	w->boards = daemon_client(&w->daemon, true, IPC9_PROG_CLIPBOARD);
	w->control = daemon_client(&w->daemon, true, IPC9_PROG_CONTROL);
	ask(w->pipes, IPC9_PIPEPROC_CREATE, (xdrproc_t)xdr_ipc9_pipe_create_args, &pipe, answer);
	SAME_TEXT(answer, "done");
	ask(w->slots, IPC9_MAILSLOTPROC_CREATE, (xdrproc_t)xdr_ipc9_mailslot_create_args, &slot,
	    answer);
	SAME_TEXT(answer, "done");
	copy_to(w->boards, there);
	copy_to(w->boards, own);
	set_list(w->control, 0, for_pipe);
	set_list(w->control, 1, for_slot);
	set_list(w->control, 2, for_board);
}

static void end(struct world *w)
{
	daemon_client_end(w->pipes);
	daemon_client_end(w->slots);
	daemon_client_end(w->boards);
	daemon_client_end(w->control);
	daemon_end(&w->daemon);
}

/* The answer of one call by one caller; uid 0 is nobody. */
static void answer_of(const struct world *w, size_t call, uint32_t uid, char *name,
    char answer[ANSWER_SIZE])
{
	CLIENT *c = uid ? daemon_client_claiming(&w->daemon, calls[call].program, uid)
			: daemon_client_anonymous(&w->daemon, calls[call].program);

	calls[call].ask(c, name, answer);
	daemon_client_end(c);
}

/* --- Tests ------------------------------------------------------------------------------------- */

static void test_who_has_no_right_on_an_object_is_answered_as_if_there_were_none(void)
{
	static const uint32_t callers[] = { STRANGER, 0 };
	char of_there[ANSWER_SIZE], of_absent[ANSWER_SIZE];
	struct world w;

	begin(&w);
	for (size_t i = 0; i < N_CALLS; i++)
		for (size_t k = 0; k < 2; k++) {
			answer_of(&w, i, callers[k], there, of_there);
			answer_of(&w, i, callers[k], absent, of_absent);
			/* Where there is nothing, CLEAR has nothing to do. */
			if (!SAME_TEXT(of_there, of_absent) ||
			    !EQUAL(strcmp(of_there, "done") == 0, calls[i].ask == clear))
				printf("  %s by %u\n", calls[i].what, callers[k]);
		}
	get_any(w.boards, there, of_there);
	SAME_TEXT(of_there, "done"); /* it has what it had */
	end(&w);
}

static void test_who_has_a_right_is_told_that_it_is_there_and_whose(void)
{
	char answer[ANSWER_SIZE], belongs[64];
	struct world w;

	begin(&w);
	text_format(belongs, sizeof(belongs), "3 0: it belongs to uid %u", (unsigned)getuid());
	for (size_t i = 0; i < N_CALLS; i++) {
		answer_of(&w, i, ADMITTED, there, answer);
		if (!HOLDS(strcmp(answer, "done") == 0 || strstr(answer, belongs) == answer ||
			strstr(calls[i].what, " of ")))
			printf("  %s: %s\n", calls[i].what, answer);
		if (strncmp(calls[i].what, "ACL", 3) == 0)
			HOLDS(strstr(answer, belongs) == answer);
	}
	end(&w);
}

static void test_who_may_create_learns_that_a_name_is_taken_and_not_by_whom(void)
{
	static char fresh[] = "fresh";
	char answer[ANSWER_SIZE];
	struct world w;
	CLIENT *c;

	begin(&w);
	c = daemon_client_claiming(&w.daemon, IPC9_PROG_CLIPBOARD, CREATOR);
	begin_copy(c, there, answer);
	SAME_TEXT(answer, "3 0: somebody else has a clipboard of that name");
	begin_copy(c, fresh, answer);
	SAME_TEXT(answer, "done");
	list(c, there, answer);
	HOLDS(strstr(answer, "1 0: no clipboard of that name, or none that admits you") == answer);
	daemon_client_end(c);
	end(&w);
}

static bool is_of_boards(size_t call)
{
	return calls[call].program == IPC9_PROG_CLIPBOARD || strstr(calls[call].what, "board");
}

static void test_the_own_board_of_another_user_is_no_name(void)
{
	char theirs[16], nobodys[] = "~123456", of_there[ANSWER_SIZE], of_absent[ANSWER_SIZE];
	static const uint32_t callers[] = { STRANGER, CREATOR, 0 };
	struct world w;

	begin(&w);
	text_format(theirs, sizeof(theirs), "~%u", (unsigned)getuid());
	for (size_t i = 0; i < N_CALLS; i++)
		for (size_t k = 0; k < 3 && is_of_boards(i); k++) {
			answer_of(&w, i, callers[k], theirs, of_there);
			answer_of(&w, i, callers[k], nobodys, of_absent);
			if (!SAME_TEXT(of_there, of_absent) ||
			    !HOLDS(strncmp(of_there, "2 0: ", 5) == 0))
				printf("  %s by %u\n", calls[i].what, callers[k]);
		}
	acl_get_clipboard(w.control, theirs, of_there); /* an administrator's, and its owner's */
	SAME_TEXT(of_there, "done");
	end(&w);
}

static void test_listings_leave_out_what_is_hidden(void)
{
	static char nothing[] = "";
	ipc9_list_args args = { nothing };
	ipc9_pipe_list_res pipes = { 0 };
	ipc9_mailslot_list_res slots = { 0 };
	struct world w;
	CLIENT *c;

	begin(&w);
	c = daemon_client_claiming(&w.daemon, IPC9_PROG_PIPE, STRANGER);
	EQUAL(ipc9_pipeproc_list_1(&args, &pipes, c), RPC_SUCCESS);
	EQUAL(pipes.ipc9_pipe_list_res_u.ok.pipes.pipes_len, 0);
	daemon_client_end(c);
	c = daemon_client_claiming(&w.daemon, IPC9_PROG_MAILSLOT, STRANGER);
	EQUAL(ipc9_mailslotproc_list_1(&args, &slots, c), RPC_SUCCESS);
	EQUAL(slots.ipc9_mailslot_list_res_u.ok.slots.slots_len, 0);
	daemon_client_end(c);
	xdr_free((xdrproc_t)xdr_ipc9_pipe_list_res, &pipes);
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_list_res, &slots);
	end(&w);
}

static bool tells_refusals(CLIENT *c)
{
	ipc9_status_res res = { 0 };
	const ipc9_status_ok *ok = &res.ipc9_status_res_u.ok;
	bool found = false;

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_controlproc_status_1(NULL, &res, c), RPC_SUCCESS) && EQUAL(res.status, 0))
		for (u_int i = 0; i < ok->counters.counters_len; i++)
			found |= strcmp(ok->counters.counters_val[i].name, "access.refused") == 0;
	xdr_free((xdrproc_t)xdr_ipc9_status_res, &res);
	return found;
}

/* A call for what is hidden is a refusal, and one for what is not there is none. */
static void test_only_administrators_are_told_how_many_were_refused(void)
{
	CLIENT *stranger;
	struct world w;

	begin(&w);
	stranger = daemon_client_claiming(&w.daemon, IPC9_PROG_CONTROL, STRANGER);
	HOLDS(!tells_refusals(stranger));
	HOLDS(tells_refusals(w.control));
	daemon_client_end(stranger);
	end(&w);
}

SUITE(hidden, TEST(test_who_has_no_right_on_an_object_is_answered_as_if_there_were_none),
    TEST(test_who_has_a_right_is_told_that_it_is_there_and_whose),
    TEST(test_who_may_create_learns_that_a_name_is_taken_and_not_by_whom),
    TEST(test_the_own_board_of_another_user_is_no_name),
    TEST(test_listings_leave_out_what_is_hidden),
    TEST(test_only_administrators_are_told_how_many_were_refused));
