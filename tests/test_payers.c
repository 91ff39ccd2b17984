/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_payers.c - who pays for what one keeps and another made: pipes whose server is gone, boards that were cleared, lists;
 * and what is left for others.
 *
 * Two users of the host, the owner and a guest, beside root, as whom the daemon runs; so only root may run these.
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
#include "transport/conduit.h"
#include "transport/ring.h"
#include "util/clock.h"
#include "util/text.h"

#define OWNER 4242
#define GUEST 4343

struct world {
	struct daemon_fixture daemon;
	CLIENT *root; /* of the control program */
	CLIENT *owner, *guest;
	int fds[32]; /* clients' ends */
	unsigned n_fds;
};

/* program: of the owner's and the guest's connections.  False: the test is skipped. */
static bool begin(struct world *w, const char *configuration, uint32_t program)
{
	if (getuid()) {
		skip_test("needs root, to be two users");
		return false;
	}
	w->n_fds = 0;
	daemon_start(&w->daemon, configuration);
	w->root = daemon_client(&w->daemon, true, IPC9_PROG_CONTROL);
	w->owner = daemon_client_of(&w->daemon, OWNER, program);
	w->guest = daemon_client_of(&w->daemon, GUEST, program);
	return true;
}

static void end(struct world *w)
{
	while (w->n_fds)
		close(w->fds[--w->n_fds]);
	clnt_destroy(w->owner);
	clnt_destroy(w->guest);
	clnt_destroy(w->root);
	daemon_end(&w->daemon);
}

/* Makes a call; its status, with results that are not looked at where it is 0. */
static int ask(CLIENT *c, rpcproc_t procedure, xdrproc_t xdr, void *args)
{
	static const struct timeval unused;
	ipc9_void_res res = { 0 };
	enum clnt_stat r;
	int status;

	daemon_patience(c, 20000);
	r = clnt_call(c, procedure, xdr, (char *)args, (xdrproc_t)xdr_ipc9_void_res, (char *)&res,
	    unused);
	status = res.status;
	HOLDS(r == RPC_SUCCESS || (r == RPC_CANTDECODERES && status == 0));
	xdr_free((xdrproc_t)xdr_ipc9_void_res, &res);
	return status;
}

static ipc9_quota_amounts used_by(const struct world *w, uint32_t uid)
{
	ipc9_quota_args args = { 0 };
	ipc9_quota_res res = { 0 };
	ipc9_quota_amounts amounts = { 0 };
	const ipc9_quota_ok *ok = &res.ipc9_quota_res_u.ok;

	daemon_patience(w->root, 20000);
	if (EQUAL(ipc9_controlproc_quota_1(&args, &res, w->root), RPC_SUCCESS) &&
	    EQUAL(res.status, 0))
		for (u_int i = 0; i < ok->lines.lines_len; i++)
			if (ok->lines.lines_val[i].who.uid == uid)
				amounts = ok->lines.lines_val[i].amounts;
	xdr_free((xdrproc_t)xdr_ipc9_quota_res, &res);
	return amounts;
}

/* --- Pipes ------------------------------------------------------------------------------------- */

static char rule_local[] = "allow local read,write";

static uint64_t create_pipe_with(CLIENT *c, unsigned flags)
{
	char name[] = "p", *rule = rule_local;
	ipc9_rules rules = { { 1, &rule } };
	ipc9_pipe_create_args args = { name, IPC9_PIPE_BYTE, IPC9_PIPE_DUPLEX, IPC9_PIPE_UNLIMITED,
		0, &rules, flags, 0 };
	ipc9_pipe_create_res res = { 0 };
	uint64_t pipe = 0;

	daemon_patience(c, 20000);
	if (EQUAL(ipc9_pipeproc_create_1(&args, &res, c), RPC_SUCCESS) && EQUAL(res.status, 0))
		pipe = res.ipc9_pipe_create_res_u.ok.pipe;
	xdr_free((xdrproc_t)xdr_ipc9_pipe_create_res, &res);
	return pipe;
}

static uint64_t create_pipe(CLIENT *c)
{
	return create_pipe_with(c, 0);
}

/* The status; *ret_pipe only where it is 0. */
static int open_pipe(CLIENT *c, uint64_t *ret_pipe)
{
	char name[] = "p";
	ipc9_pipe_open_args args = { name, IPC9_PIPE_OPEN_READ | IPC9_PIPE_OPEN_WRITE };
	ipc9_pipe_open_res res = { 0 };
	int status;

	daemon_patience(c, 20000);
	EQUAL(ipc9_pipeproc_open_1(&args, &res, c), RPC_SUCCESS);
	status = res.status;
	if (status == 0)
		*ret_pipe = res.ipc9_pipe_open_res_u.ok.pipe;
	xdr_free((xdrproc_t)xdr_ipc9_pipe_open_res, &res);
	return status;
}

static void write_pipe(CLIENT *c, uint64_t pipe, uint32_t size)
{
	static const unsigned char zeros[262144];
	ipc9_pipe_write_args args = { pipe, 0, 0, { zeros, size, NULL } };

	EQUAL(ask(c, IPC9_PIPEPROC_WRITE, (xdrproc_t)xdr_ipc9_pipe_write_args, &args), 0);
}

/* The status; *ret_len only where it is 0. */
static int read_pipe(CLIENT *c, uint64_t pipe, uint32_t *ret_len)
{
	ipc9_pipe_read_args args = { pipe, 262144, 0, false };
	ipc9_pipe_read_res res = { 0 };
	int status;

	daemon_patience(c, 20000);
	EQUAL(ipc9_pipeproc_read_1(&args, &res, c), RPC_SUCCESS);
	status = res.status;
	if (status == 0)
		*ret_len = res.ipc9_pipe_read_res_u.ok.data.len;
	xdr_free((xdrproc_t)xdr_ipc9_pipe_read_res, &res);
	return status;
}

static void close_pipe(CLIENT *c, uint64_t pipe)
{
	ipc9_handle_args args = { pipe };

	EQUAL(ask(c, IPC9_PIPEPROC_CLOSE, (xdrproc_t)xdr_ipc9_handle_args, &args), 0);
}

static void test_an_open_end_is_an_object_of_the_client(void)
{
	uint64_t server, client = 0;
	struct world w;

	if (!begin(&w, "", IPC9_PROG_PIPE))
		return;
	server = create_pipe(w.owner);
	EQUAL(open_pipe(w.guest, &client), 0);
	EQUAL(used_by(&w, OWNER).objects.used, 2);
	EQUAL(used_by(&w, GUEST).objects.used, 1);
	close_pipe(w.guest, client);
	EQUAL(used_by(&w, GUEST).objects.used, 0);
	close_pipe(w.owner, server);
	EQUAL(used_by(&w, OWNER).objects.used, 0);
	end(&w);
}

/*
 * Opens the pipe for an exchange that does not pass the daemon; the way that comes of it, or less than 0.  The client's end stays
 * open until end.
 */
static int open_stream(struct world *w, CLIENT *c, unsigned flags)
{
	static const struct channel_target target = { IPC9_PROG_PIPE, 1, IPC9_PIPEPROC_OPEN, NULL };
	struct channel *channel = channel_client_channel(c);
	char name[] = "p";
	ipc9_pipe_open_args args = { name, IPC9_PIPE_OPEN_READ | IPC9_PIPE_OPEN_STREAM | flags };
	struct channel_parcels parcels = { .n_give = 0 };
	ipc9_pipe_open_res res = { 0 };
	struct channel_call call;
	struct rpc_err error;
	int way;

	EQUAL(channel_send_with(channel, &call, &parcels, &target,
		  (xdrproc_t)xdr_ipc9_pipe_open_args, &args, clock_deadline_ms(20000), &error),
	    RPC_SUCCESS);
	EQUAL(channel_wait(channel, &call, (xdrproc_t)xdr_ipc9_pipe_open_res, &res,
		  clock_deadline_ms(20000), &error),
	    RPC_SUCCESS);
	for (unsigned i = 0; i < parcels.taken.n; i++)
		w->fds[w->n_fds++] = parcels.taken.fds[i];
	way = res.status ? -1 : (int)res.ipc9_pipe_open_res_u.ok.way;
	xdr_free((xdrproc_t)xdr_ipc9_pipe_open_res, &res);
	return way;
}

static void accept_pipe(CLIENT *c, uint64_t pipe)
{
	ipc9_pipe_accept_args args = { pipe, 0 };

	EQUAL(ask(c, IPC9_PIPEPROC_ACCEPT, (xdrproc_t)xdr_ipc9_pipe_accept_args, &args), 0);
}

static void test_what_is_kept_for_a_client_until_it_is_accepted_is_the_clients(void)
{
	const unsigned flags = IPC9_PIPE_CREATE_STREAM | IPC9_PIPE_CREATE_SHARED;
	uint64_t servers[8];
	struct world w;

	/* Of ten, five for each of two. */
	if (!begin(&w, "quota_descriptors = 10\n", IPC9_PROG_PIPE))
		return;
	for (size_t i = 0; i < 8; i++)
		servers[i] = create_pipe_with(w.owner, flags);
	EQUAL(open_stream(&w, w.guest, IPC9_PIPE_OPEN_SHARED), IPC9_PIPE_WAY_SHARED);
	HOLDS(used_by(&w, GUEST).bytes.used >= 2 * RING_FIRST_BYTES);
	EQUAL(open_stream(&w, w.guest, IPC9_PIPE_OPEN_SHARED), IPC9_PIPE_WAY_SHARED);
	EQUAL(open_stream(&w, w.guest, IPC9_PIPE_OPEN_SHARED), IPC9_PIPE_WAY_FRAMES);
	EQUAL(open_stream(&w, w.guest, IPC9_PIPE_OPEN_SHARED), IPC9_PIPE_WAY_CALLS);
	EQUAL(used_by(&w, GUEST).objects.used, 1);
	accept_pipe(w.owner, servers[0]);
	EQUAL(open_stream(&w, w.guest, IPC9_PIPE_OPEN_SHARED), IPC9_PIPE_WAY_SHARED);
	accept_pipe(w.owner, servers[1]);
	accept_pipe(w.owner, servers[2]);
	/* What the server does not take goes with its end. */
	close_pipe(w.owner, servers[4]);
	EQUAL(used_by(&w, GUEST).bytes.used, 0);
	EQUAL(open_stream(&w, w.guest, IPC9_PIPE_OPEN_SHARED), IPC9_PIPE_WAY_SHARED);
	EQUAL(open_stream(&w, w.guest, IPC9_PIPE_OPEN_SHARED), IPC9_PIPE_WAY_SHARED);
	end(&w);
}

static void test_memory_that_a_client_could_fill_is_charged_until_it_is_accepted(void)
{
	const unsigned flags = IPC9_PIPE_CREATE_STREAM | IPC9_PIPE_CREATE_SHARED;
	uint64_t servers[2], size = conduit_size(RING_BYTES, IPC9_PIPE_QUOTA_DEFAULT);
	struct world w;

	/* The guest's half of what is not kept back holds one and not two. */
	if (!begin(&w, "quota_bytes = 16777216\n", IPC9_PROG_PIPE))
		return;
	for (size_t i = 0; i < 2; i++)
		servers[i] = create_pipe_with(w.owner, flags);
	HOLDS(size >= 2 * (uint64_t)IPC9_PIPE_QUOTA_DEFAULT);
	EQUAL(open_stream(&w, w.guest, IPC9_PIPE_OPEN_SHARED), IPC9_PIPE_WAY_SHARED);
	EQUAL(used_by(&w, GUEST).bytes.used, size);
	EQUAL(open_stream(&w, w.guest, IPC9_PIPE_OPEN_SHARED), IPC9_PIPE_WAY_FRAMES);
	EQUAL(used_by(&w, GUEST).bytes.used, size);
	accept_pipe(w.owner, servers[0]);
	EQUAL(used_by(&w, GUEST).bytes.used, 0);
	close_pipe(w.owner, servers[1]);
	end(&w);
}

static void test_a_connection_that_waits_to_be_accepted_is_the_clients(void)
{
	uint64_t servers[3];
	CLIENT *remote[3];
	struct world w;

	if (!begin(&w, "quota_descriptors = 4\nallow = anyone all\n", IPC9_PROG_PIPE))
		return;
	for (size_t i = 0; i < 3; i++) {
		servers[i] = create_pipe_with(w.owner, IPC9_PIPE_CREATE_STREAM);
		remote[i] = daemon_client_anonymous(&w.daemon, IPC9_PROG_PIPE);
	}
	EQUAL(open_stream(&w, remote[0], 0), IPC9_PIPE_WAY_FRAMES);
	EQUAL(open_stream(&w, remote[1], 0), IPC9_PIPE_WAY_CALLS);
	accept_pipe(w.owner, servers[0]);
	EQUAL(open_stream(&w, remote[2], 0), IPC9_PIPE_WAY_FRAMES);
	for (size_t i = 0; i < 3; i++)
		clnt_destroy(remote[i]);
	end(&w);
}

static void test_what_a_server_that_is_gone_left_unread_is_the_clients(void)
{
	uint64_t server, client = 0;
	uint32_t len = 0;
	struct world w;

	if (!begin(&w, "", IPC9_PROG_PIPE))
		return;
	server = create_pipe(w.owner);
	EQUAL(open_pipe(w.guest, &client), 0);
	write_pipe(w.owner, server, 100000);
	write_pipe(w.guest, client, 5000); /* nobody will read it */
	HOLDS(used_by(&w, OWNER).bytes.used >= 105000);
	EQUAL(used_by(&w, GUEST).bytes.used, 0);
	close_pipe(w.owner, server);
	EQUAL(used_by(&w, OWNER).objects.used, 0);
	EQUAL(used_by(&w, OWNER).bytes.used, 0);
	EQUAL(used_by(&w, GUEST).objects.used, 1);
	EQUAL(used_by(&w, GUEST).bytes.used, 100000);
	EQUAL(read_pipe(w.guest, client, &len), 0);
	EQUAL(len, 100000);
	EQUAL(used_by(&w, GUEST).bytes.used, 0);
	EQUAL(read_pipe(w.guest, client, &len), IPC9_STATUS_EOF);
	close_pipe(w.guest, client);
	EQUAL(used_by(&w, GUEST).objects.used, 0);
	end(&w);
}

static void test_a_client_whose_share_does_not_hold_what_is_unread_loses_it(void)
{
	uint64_t server[2], client[2] = { 0 };
	ipc9_handle_args ended;
	uint32_t len = 0;
	struct world w;

	if (!begin(&w, "quota_bytes = 1048576\n", IPC9_PROG_PIPE))
		return;
	for (int i = 0; i < 2; i++) {
		server[i] = create_pipe(w.owner);
		EQUAL(open_pipe(w.guest, &client[i]), 0);
		write_pipe(w.owner, server[i], 200000);
	}
	close_pipe(w.owner, server[0]);
	EQUAL(used_by(&w, GUEST).bytes.used, 200000);
	server[0] = create_pipe(w.owner);
	EQUAL(open_pipe(w.guest, &client[0]), 0);
	write_pipe(w.owner, server[0], 100000);
	/* Also where it was said that this is all. */
	ended.handle = server[0];
	EQUAL(ask(w.owner, IPC9_PIPEPROC_END, (xdrproc_t)xdr_ipc9_handle_args, &ended), 0);
	close_pipe(w.owner, server[1]);
	EQUAL(used_by(&w, GUEST).bytes.used, 400000);
	close_pipe(w.owner, server[0]);
	EQUAL(used_by(&w, OWNER).bytes.used, 0);
	EQUAL(used_by(&w, GUEST).bytes.used, 400000);
	EQUAL(read_pipe(w.guest, client[0], &len), IPC9_STATUS_LOST);
	EQUAL(read_pipe(w.guest, client[1], &len), 0);
	EQUAL(len, 200000);
	end(&w);
}

static void test_clients_who_keep_their_ends_use_up_their_own_share(void)
{
	int status = 0, n = 0;
	uint64_t client;
	struct world w;

	if (!begin(&w, "quota_objects = 64\n", IPC9_PROG_PIPE))
		return;
	while (status == 0 && n < 100) {
		uint64_t server = create_pipe(w.owner);

		status = open_pipe(w.guest, &client);
		n += status == 0;
		close_pipe(w.owner, server);
	}
	EQUAL(status, IPC9_STATUS_QUOTA);
	EQUAL(n, 29);
	EQUAL(used_by(&w, OWNER).objects.used, 0);
	EQUAL(used_by(&w, GUEST).objects.used, 29);
	end(&w);
}

/* --- Lists ------------------------------------------------------------------------------------- */

#define LINES_FREE 16

/* n lines that let in nobody whom the owner does not; the status. */
static int set_lines(CLIENT *c, const char *mechanism, const char *name, unsigned n)
{
	static char line[] = "deny uid:7 write";
	char *lines[IPC9_RULES_MAX];
	ipc9_acl_set_args args = { (char *)mechanism, (char *)name, { { n, lines } } };

	for (unsigned i = 0; i < n; i++)
		lines[i] = line;
	return ask(c, IPC9_CONTROLPROC_ACL_SET, (xdrproc_t)xdr_ipc9_acl_set_args, &args);
}

static int create_slot(CLIENT *c, const char *name, const char *rule)
{
	ipc9_rules rules = { { 1, (char **)&rule } };
	ipc9_mailslot_create_args args = { .name = (char *)name, .rules = &rules };

	return ask(c, IPC9_MAILSLOTPROC_CREATE, (xdrproc_t)xdr_ipc9_mailslot_create_args, &args);
}

static int send_bytes(CLIENT *c, const char *name, uint32_t size)
{
	static const unsigned char zeros[65536];
	static uint64_t seq;
	ipc9_mailslot_send_args args = { (char *)name, { "sender of 16 byt", ++seq }, 0,
		{ zeros, size, NULL } };

	return ask(c, IPC9_MAILSLOTPROC_SEND, (xdrproc_t)xdr_ipc9_mailslot_send_args, &args);
}

static void test_an_owner_whose_share_others_filled_can_shut_them_out(void)
{
	CLIENT *control;
	struct world w;

	if (!begin(&w, "quota_bytes = 1048576\n", IPC9_PROG_MAILSLOT))
		return;
	control = daemon_client_of(&w.daemon, OWNER, IPC9_PROG_CONTROL);
	EQUAL(create_slot(w.owner, "s", "allow local write"), 0);
	while (send_bytes(w.guest, "s", 65536) == 0)
		;
	while (send_bytes(w.guest, "s", 0) == 0)
		;
	EQUAL(set_lines(control, "mailslot", "s", LINES_FREE + 1), IPC9_STATUS_QUOTA);
	EQUAL(set_lines(control, "mailslot", "s", LINES_FREE), 0);
	EQUAL(send_bytes(w.guest, "s", 0), IPC9_STATUS_NOENT);
	clnt_destroy(control);
	end(&w);
}

static void test_a_longer_list_takes_room_for_what_it_is_longer(void)
{
	CLIENT *control;
	struct world w;

	if (!begin(&w, "quota_bytes = 65536\n", IPC9_PROG_MAILSLOT))
		return;
	control = daemon_client_of(&w.daemon, OWNER, IPC9_PROG_CONTROL);
	EQUAL(create_slot(w.owner, "s", "allow local write"), 0);
	EQUAL(send_bytes(w.guest, "s", 15000), 0);
	/* There is room for these, and not for as many and those together. */
	EQUAL(set_lines(control, "mailslot", "s", 40), 0);
	EQUAL(set_lines(control, "mailslot", "s", 50), 0);
	EQUAL(set_lines(control, "mailslot", "s", 51), 0);
	EQUAL(set_lines(control, "mailslot", "s", 20), 0);
	clnt_destroy(control);
	end(&w);
}

/* --- Boards ------------------------------------------------------------------------------------ */

static int copy(CLIENT *c, const char *board, uint32_t size)
{
	static const unsigned char zeros[65536];
	static char type[] = "text/plain";
	ipc9_name_args args = { (char *)board };
	ipc9_clipboard_begin_res res = { 0 };
	ipc9_clipboard_add_args add = { 0, type };
	ipc9_clipboard_put_args put = { 0, { zeros, size, NULL } };
	ipc9_handle_args publish = { 0 };
	int status;

	daemon_patience(c, 20000);
	EQUAL(ipc9_clipboardproc_begin_1(&args, &res, c), RPC_SUCCESS);
	status = res.status;
	add.ticket = put.ticket = publish.handle = res.ipc9_clipboard_begin_res_u.ok.ticket;
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_begin_res, &res);
	if (!status)
		status =
		    ask(c, IPC9_CLIPBOARDPROC_ADD, (xdrproc_t)xdr_ipc9_clipboard_add_args, &add);
	if (!status)
		status =
		    ask(c, IPC9_CLIPBOARDPROC_PUT, (xdrproc_t)xdr_ipc9_clipboard_put_args, &put);
	return status
	    ? status
	    : ask(c, IPC9_CLIPBOARDPROC_PUBLISH, (xdrproc_t)xdr_ipc9_handle_args, &publish);
}

static int clear(CLIENT *c, const char *board)
{
	ipc9_name_args args = { (char *)board };

	return ask(c, IPC9_CLIPBOARDPROC_CLEAR, (xdrproc_t)xdr_ipc9_name_args, &args);
}

static void test_an_own_board_costs_nothing_when_it_is_cleared(void)
{
	char theirs[16];
	CLIENT *root;
	struct world w;

	if (!begin(&w, "", IPC9_PROG_CLIPBOARD))
		return;
	root = daemon_client(&w.daemon, true, IPC9_PROG_CLIPBOARD);
	text_format(theirs, sizeof(theirs), "~%d", OWNER);
	EQUAL(clear(w.owner, "~"), 0);
	EQUAL(used_by(&w, OWNER).objects.used, 0);
	EQUAL(copy(w.owner, "~", 100), 0);
	EQUAL(used_by(&w, OWNER).objects.used, 1);
	EQUAL(clear(w.owner, "~"), 0);
	EQUAL(used_by(&w, OWNER).objects.used, 0);
	/* Administrators clear what others left, and nobody else. */
	EQUAL(copy(w.owner, "~", 100), 0);
	EQUAL(clear(w.guest, theirs), IPC9_STATUS_BADNAME);
	EQUAL(used_by(&w, OWNER).bytes.used, 100);
	EQUAL(clear(root, theirs), 0);
	EQUAL(used_by(&w, OWNER).objects.used, 0);
	EQUAL(used_by(&w, OWNER).bytes.used, 0);
	EQUAL(clear(root, theirs), 0);
	clnt_destroy(root);
	end(&w);
}

static void test_a_board_with_a_list_becomes_free_again(void)
{
	static char line[] = "allow local read,write", usual[] = "allow anyone read,write";
	char *rule = line;
	ipc9_acl_set_args args = { (char[]){ "clipboard" }, (char[]){ "b" }, { { 1, &rule } } };
	CLIENT *root, *control;
	struct world w;

	if (!begin(&w, "", IPC9_PROG_CLIPBOARD))
		return;
	root = daemon_client(&w.daemon, true, IPC9_PROG_CLIPBOARD);
	control = daemon_client_of(&w.daemon, OWNER, IPC9_PROG_CONTROL);
	for (int by_root = 0; by_root < 2; by_root++) {
		EQUAL(copy(w.owner, "b", 100), 0);
		EQUAL(set_lines(control, "clipboard", "b", 1), 0);
		EQUAL(clear(by_root ? root : w.owner, "b"), 0);
		EQUAL(used_by(&w, OWNER).objects.used, 0);
	}
	/* Whom the list lets write takes nothing from its owner by clearing. */
	EQUAL(copy(w.owner, "b", 100), 0);
	EQUAL(ask(control, IPC9_CONTROLPROC_ACL_SET, (xdrproc_t)xdr_ipc9_acl_set_args, &args), 0);
	EQUAL(clear(w.guest, "b"), 0);
	EQUAL(used_by(&w, OWNER).objects.used, 1);
	EQUAL(used_by(&w, OWNER).bytes.used, 0);
	/* The list that it would have without one is none. */
	rule = usual;
	EQUAL(ask(control, IPC9_CONTROLPROC_ACL_SET, (xdrproc_t)xdr_ipc9_acl_set_args, &args), 0);
	EQUAL(used_by(&w, OWNER).objects.used, 0);
	EQUAL(copy(w.guest, "b", 100), 0);
	EQUAL(used_by(&w, GUEST).objects.used, 1);
	clnt_destroy(control);
	clnt_destroy(root);
	end(&w);
}

static void test_who_copied_what_a_board_holds_can_clear_it_when_they_are_shut_out(void)
{
	CLIENT *control;
	struct world w;

	if (!begin(&w, "", IPC9_PROG_CLIPBOARD))
		return;
	control = daemon_client_of(&w.daemon, OWNER, IPC9_PROG_CONTROL);
	EQUAL(copy(w.owner, "b", 100), 0);
	EQUAL(copy(w.guest, "b", 5000), 0);
	EQUAL(set_lines(control, "clipboard", "b", 0), 0);
	EQUAL(used_by(&w, GUEST).bytes.used, 5000);
	EQUAL(clear(w.guest, "b"), 0);
	EQUAL(used_by(&w, GUEST).bytes.used, 0);
	EQUAL(used_by(&w, OWNER).objects.used, 1);
	/* That was all: what is not theirs they clear no more. */
	EQUAL(copy(w.owner, "b", 100), 0);
	EQUAL(clear(w.guest, "b"), 0);
	EQUAL(used_by(&w, OWNER).bytes.used, 100);
	clnt_destroy(control);
	end(&w);
}

/* --- Connections ------------------------------------------------------------------------------- */

static bool answers_null(CLIENT *c)
{
	static const struct timeval unused;

	return clnt_call(c, 0, (xdrproc_t)(void (*)(void))xdr_void, NULL,
		   (xdrproc_t)(void (*)(void))xdr_void, NULL, unused) == RPC_SUCCESS;
}

/* Local users first, then strangers, all they get: root is still heard, and one more user. */
static void test_nobody_keeps_root_and_further_users_out(void)
{
	CLIENT *greedy[64], *remote[64], *one[2];
	struct daemon_fixture d;
	int n = 0;

	if (getuid()) {
		skip_test("needs root, to be two users");
		return;
	}
	daemon_start(&d, "connections = 64\nlocal_connections = 16\n");
	for (int i = 0; i < 64; i++) {
		greedy[i] = daemon_client_of(&d, GUEST, IPC9_PROG_CONTROL);
		n += answers_null(greedy[i]);
	}
	HOLDS(n >= 24 && n <= 32);
	for (int i = 0; i < 64; i++) {
		remote[i] = daemon_client_from(&d, 2 + (unsigned)i, IPC9_PROG_CONTROL);
		daemon_patience(remote[i], 50);
		n += answers_null(remote[i]);
	}
	HOLDS(n <= 64 + 16 - 8);
	one[0] = daemon_client(&d, true, IPC9_PROG_CONTROL);
	one[1] = daemon_client_of(&d, OWNER, IPC9_PROG_CONTROL);
	for (int i = 0; i < 2; i++) {
		daemon_patience(one[i], 20000);
		HOLDS(answers_null(one[i]));
		clnt_destroy(one[i]);
	}
	for (int i = 0; i < 64; i++) {
		clnt_destroy(greedy[i]);
		clnt_destroy(remote[i]);
	}
	daemon_end(&d);
}

static void test_the_sum_of_connections_has_those_of_networks(void)
{
	ipc9_quota_args args = { 0 };
	ipc9_quota_res res = { 0 };
	const ipc9_quota_amount *all = &res.ipc9_quota_res_u.ok.host.connections;
	CLIENT *remote;
	struct world w;

	if (!begin(&w, "connections = 40\nlocal_connections = 16\n", IPC9_PROG_CONTROL))
		return;
	remote = daemon_client_anonymous(&w.daemon, IPC9_PROG_CONTROL);
	HOLDS(answers_null(remote));
	daemon_patience(w.root, 20000);
	EQUAL(ipc9_controlproc_quota_1(&args, &res, w.root), RPC_SUCCESS);
	HOLDS(all->used >= 4);
	EQUAL(all->share, 56);
	xdr_free((xdrproc_t)xdr_ipc9_quota_res, &res);
	clnt_destroy(remote);
	end(&w);
}

SUITE(payers, TEST(test_an_open_end_is_an_object_of_the_client),
    TEST(test_what_is_kept_for_a_client_until_it_is_accepted_is_the_clients),
    TEST(test_memory_that_a_client_could_fill_is_charged_until_it_is_accepted),
    TEST(test_a_connection_that_waits_to_be_accepted_is_the_clients),
    TEST(test_what_a_server_that_is_gone_left_unread_is_the_clients),
    TEST(test_a_client_whose_share_does_not_hold_what_is_unread_loses_it),
    TEST(test_clients_who_keep_their_ends_use_up_their_own_share),
    TEST(test_an_owner_whose_share_others_filled_can_shut_them_out),
    TEST(test_a_longer_list_takes_room_for_what_it_is_longer),
    TEST(test_an_own_board_costs_nothing_when_it_is_cleared),
    TEST(test_a_board_with_a_list_becomes_free_again),
    TEST(test_who_copied_what_a_board_holds_can_clear_it_when_they_are_shut_out),
    TEST(test_nobody_keeps_root_and_further_users_out),
    TEST(test_the_sum_of_connections_has_those_of_networks));
