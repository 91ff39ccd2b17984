/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_shares.c - what a real daemon makes of server/quota.h: who is charged for what, what happens at a share, and
 * that everything is given back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "rpcgen-out/clipboard.h"
#include "rpcgen-out/control.h"
#include "rpcgen-out/mailslot.h"
#include "rpcgen-out/pipe.h"
#include "tests/daemon.h"
#include "tests/harness.h"
#include "util/clock.h"

#define OTHER_UID 65534
/* What the daemon's own user, who is alone, has of a total: half of what is everybody's, and what is kept back. */
#define OWN_SHARE(total) (((total) - (total) / 16) / 2 + (total) / 16)

/* --- A daemon ---------------------------------------------------------------------------------- */

static CLIENT *client_of_other(const struct daemon_fixture *d, uint32_t program)
{
	return daemon_client_of(d, OTHER_UID, program);
}

static bool ask(CLIENT *c, uint64_t after, ipc9_quota_res *ret)
{
	ipc9_quota_args args = { after };

	daemon_patience(c, 20000);
	memset(ret, 0, sizeof(*ret));
	return EQUAL(ipc9_controlproc_quota_1(&args, ret, c), RPC_SUCCESS) && EQUAL(ret->status, 0);
}

static void forget(ipc9_quota_res *res)
{
	xdr_free((xdrproc_t)xdr_ipc9_quota_res, res);
}

static ipc9_quota_amounts amounts_of_host(const struct daemon_fixture *d)
{
	ipc9_quota_amounts amounts = { 0 };
	CLIENT *c = daemon_client(d, true, IPC9_PROG_CONTROL);
	ipc9_quota_res res;

	if (ask(c, 0, &res))
		amounts = res.ipc9_quota_res_u.ok.host;
	forget(&res);
	clnt_destroy(c);
	return amounts;
}

static bool is_idle(void *context)
{
	ipc9_quota_amounts a = amounts_of_host(context);

	return !a.objects.used && !a.bytes.used && !a.waiting.used && a.connections.used == 1;
}

static void expect_idle(struct daemon_fixture *d)
{
	HOLDS(wait_until(is_idle, d, 20000));
}

static int create_slot(CLIENT *c, const char *name, uint64_t *ret_slot, uint64_t *ret_value)
{
	ipc9_mailslot_create_args args = { .name = (char *)name };
	ipc9_mailslot_create_res res = { 0 };
	int status = -1;

	daemon_patience(c, 20000);
	if (EQUAL(ipc9_mailslotproc_create_1(&args, &res, c), RPC_SUCCESS))
		status = res.status;
	if (status == 0 && ret_slot)
		*ret_slot = res.ipc9_mailslot_create_res_u.ok.slot;
	if (status > 0 && ret_value)
		*ret_value = res.ipc9_mailslot_create_res_u.error.value;
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_create_res, &res);
	return status;
}

static int send_bytes(CLIENT *c, const char *name, uint64_t seq, uint32_t size, uint64_t *ret_value)
{
	static const unsigned char zeros[1048576];
	ipc9_mailslot_send_args args = {
		.name = (char *)name, .id = { .seq = seq }, .data = { zeros, size, NULL }
	};
	ipc9_mailslot_send_res res = { 0 };
	int status = -1;

	memcpy(args.id.sender, "0123456789abcdef", sizeof(args.id.sender));
	daemon_patience(c, 20000);
	if (EQUAL(ipc9_mailslotproc_send_1(&args, &res, c), RPC_SUCCESS))
		status = res.status;
	if (status > 0)
		*ret_value = res.ipc9_mailslot_send_res_u.error.value;
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_send_res, &res);
	return status;
}

static int create_pipe(CLIENT *c, const char *name, uint64_t *ret_pipe, uint64_t *ret_value)
{
	ipc9_pipe_create_args args = { (char *)name, IPC9_PIPE_MESSAGE, IPC9_PIPE_DUPLEX,
		IPC9_PIPE_UNLIMITED, 0, NULL, 0, 0 };
	ipc9_pipe_create_res res = { 0 };
	int status = -1;

	daemon_patience(c, 20000);
	if (EQUAL(ipc9_pipeproc_create_1(&args, &res, c), RPC_SUCCESS))
		status = res.status;
	if (status == 0 && ret_pipe)
		*ret_pipe = res.ipc9_pipe_create_res_u.ok.pipe;
	if (status > 0 && ret_value)
		*ret_value = res.ipc9_pipe_create_res_u.error.value;
	xdr_free((xdrproc_t)xdr_ipc9_pipe_create_res, &res);
	return status;
}

static uint64_t open_pipe(CLIENT *c, const char *name)
{
	ipc9_pipe_open_args args = { (char *)name, IPC9_PIPE_OPEN_READ | IPC9_PIPE_OPEN_WRITE };
	ipc9_pipe_open_res res = { 0 };
	uint64_t pipe = 0;

	daemon_patience(c, 20000);
	if (EQUAL(ipc9_pipeproc_open_1(&args, &res, c), RPC_SUCCESS) && EQUAL(res.status, 0))
		pipe = res.ipc9_pipe_open_res_u.ok.pipe;
	xdr_free((xdrproc_t)xdr_ipc9_pipe_open_res, &res);
	return pipe;
}

static int write_pipe(CLIENT *c, uint64_t pipe, uint32_t size, uint64_t *ret_value)
{
	static const unsigned char zeros[262144];
	ipc9_pipe_write_args args = { pipe, 0, 0, { zeros, size, NULL } };
	ipc9_pipe_write_res res = { 0 };
	int status = -1;

	daemon_patience(c, 20000);
	if (EQUAL(ipc9_pipeproc_write_1(&args, &res, c), RPC_SUCCESS))
		status = res.status;
	if (status > 0)
		*ret_value = res.ipc9_pipe_write_res_u.error.value;
	xdr_free((xdrproc_t)xdr_ipc9_pipe_write_res, &res);
	return status;
}

/* R1: nobody reads; the hard limits of a slot, of its owner and of all together. */
static void test_slots_that_nobody_reads_fill_their_owners_share_and_nobody_elses(void)
{
	struct daemon_fixture d;
	CLIENT *c, *other;
	uint64_t seq = 0, value = 0;
	char name[16];
	uint64_t refused_by_slot = 0, refused_by_share = 0, sent = 0;

	if (getuid()) {
		skip_test("needs root, to be two users");
		return;
	}
	daemon_start(&d, "quota_bytes = 16777216\n");
	c = daemon_client(&d, true, IPC9_PROG_MAILSLOT);
	for (int i = 0; i < 10; i++) {
		snprintf(name, sizeof(name), "slot%d", i);
		EQUAL(create_slot(c, name, NULL, NULL), 0);
		while (send_bytes(c, name, ++seq, 1000000, &value) == 0)
			sent++;
		refused_by_slot += value == IPC9_MAILSLOT_QUEUE_MAX;
		refused_by_share += value == OWN_SHARE(16777216);
	}
	EQUAL(sent, 8);
	EQUAL(refused_by_slot, 2);
	EQUAL(refused_by_share, 8);
	HOLDS(amounts_of_host(&d).bytes.used <= OWN_SHARE(16777216));
	other = client_of_other(&d, IPC9_PROG_MAILSLOT);
	EQUAL(create_slot(other, "other", NULL, NULL), 0);
	for (int i = 0; i < 3; i++)
		EQUAL(send_bytes(c, "other", ++seq, 1000000, &value), 0);
	clnt_destroy(other);
	clnt_destroy(c);
	expect_idle(&d);
	daemon_end(&d);
}

static size_t count_slots(CLIENT *c)
{
	ipc9_list_args args = { (char[IPC9_NAME_MAX + 1]){ "" } };
	bool more = true;
	size_t n = 0;

	while (more) {
		ipc9_mailslot_list_res res = { 0 };
		const ipc9_mailslot_list_ok *ok = &res.ipc9_mailslot_list_res_u.ok;

		daemon_patience(c, 20000);
		more = EQUAL(ipc9_mailslotproc_list_1(&args, &res, c), RPC_SUCCESS) &&
		    EQUAL(res.status, 0) && ok->more;
		if (!res.status) {
			n += ok->slots.slots_len;
			if (more)
				snprintf(args.after, IPC9_NAME_MAX + 1, "%s",
				    ok->slots.slots_val[ok->slots.slots_len - 1].name);
		}
		xdr_free((xdrproc_t)xdr_ipc9_mailslot_list_res, &res);
	}
	return n;
}

static bool has_pipes_only(void *context)
{
	return amounts_of_host(context).objects.used == 1000;
}

/* R3: 10 000 objects by one user. */
static void test_ten_thousand_objects_are_refused_at_the_share_and_listed_in_pages(void)
{
	struct daemon_fixture d;
	CLIENT *slots, *pipes, *other;
	size_t n_slots = 0, n_pipes = 0;
	uint64_t value = 0;
	char name[16];

	daemon_start(&d, "");
	slots = daemon_client(&d, true, IPC9_PROG_MAILSLOT);
	pipes = daemon_client(&d, true, IPC9_PROG_PIPE);
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		n_pipes += i < 500 && create_pipe(pipes, name, NULL, &value) == 0;
		n_slots += create_slot(slots, name, NULL, &value) == 0;
	}
	for (int i = 0; i < 5000; i++) {
		snprintf(name, sizeof(name), "m%d", i);
		n_pipes += create_pipe(pipes, name, NULL, &value) == 0;
	}
	EQUAL(value, OWN_SHARE(4096));
	EQUAL(n_slots + 2 * n_pipes, OWN_SHARE(4096));
	EQUAL(n_pipes, 500);
	EQUAL(count_slots(slots), n_slots);
	if (getuid() == 0) {
		other = client_of_other(&d, IPC9_PROG_MAILSLOT);
		EQUAL(create_slot(other, "other", NULL, NULL), 0);
		clnt_destroy(other);
	}
	clnt_destroy(slots);
	HOLDS(wait_until(has_pipes_only, &d, 20000));
	EQUAL(create_pipe(pipes, "again", NULL, NULL), 0);
	clnt_destroy(pipes);
	expect_idle(&d);
	daemon_end(&d);
}

static void test_what_waits_in_a_pipe_is_its_owners(void)
{
	struct daemon_fixture d;
	CLIENT *server, *client;
	uint64_t pipe, value = 0, used;

	daemon_start(&d, "quota_bytes = 1048576\nallow = anyone read,write\nallow = local all\n");
	server = daemon_client(&d, true, IPC9_PROG_PIPE);
	client = daemon_client(&d, true, IPC9_PROG_PIPE);
	EQUAL(create_pipe(server, "p", NULL, NULL), 0);
	pipe = open_pipe(client, "p");
	EQUAL(write_pipe(client, pipe, 262144, &value), 0);
	used = amounts_of_host(&d).bytes.used;
	HOLDS(used > 262144 && used < 263000);
	EQUAL(write_pipe(client, pipe, 262144, &value), 0);
	EQUAL(write_pipe(client, pipe, 40000, &value), IPC9_STATUS_QUOTA);
	EQUAL(value, OWN_SHARE(1048576));
	EQUAL(write_pipe(client, pipe, 20000, &value), 0);
	clnt_destroy(client);
	clnt_destroy(server);
	expect_idle(&d);
	daemon_end(&d);
}

/* --- Many principals --------------------------------------------------------------------------- */

/* A ticket is the object that every caller may make, from everywhere; how many they got. */
static unsigned begin_copies(CLIENT *c)
{
	char board[] = "board";
	ipc9_name_args args = { board };
	unsigned n = 0;
	int status = 0;

	for (; !status; n += !status) {
		ipc9_clipboard_begin_res res = { 0 };

		daemon_patience(c, 20000);
		if (!EQUAL(ipc9_clipboardproc_begin_1(&args, &res, c), RPC_SUCCESS))
			break;
		status = res.status;
		xdr_free((xdrproc_t)xdr_ipc9_clipboard_begin_res, &res);
	}
	return n;
}

#define MANY 20

static void test_a_host_with_many_claims_leaves_half_to_others_and_a_reserve_to_root(void)
{
	struct daemon_fixture d;
	CLIENT *claims[MANY], *own, *other;
	char host[] = "elsewhere";
	unsigned n = 0;

	daemon_start(&d,
	    "quota_objects = 48\ntrust_sys = 127.0.0.0/8\n"
	    "allow = host:127.0.0.0/8 read,write,create\nallow = local all\n");
	for (unsigned i = 0; i < MANY; i++) {
		claims[i] = daemon_client(&d, false, IPC9_PROG_CLIPBOARD);
		auth_destroy(claims[i]->cl_auth);
		claims[i]->cl_auth = authunix_create(host, 1000 + i, 1000 + i, 0, NULL);
		n += begin_copies(claims[i]);
	}
	HOLDS(n >= 20 && n <= 22); /* half of 45 */
	if (getuid() == 0) {
		other = client_of_other(&d, IPC9_PROG_CLIPBOARD);
		HOLDS(begin_copies(other) >= 11);
		clnt_destroy(other);
	}
	own = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	HOLDS(begin_copies(own) >= 11 + 3);
	clnt_destroy(own);
	for (unsigned i = 0; i < MANY; i++) {
		auth_destroy(claims[i]->cl_auth);
		claims[i]->cl_auth = authnone_create();
		clnt_destroy(claims[i]);
	}
	expect_idle(&d);
	daemon_end(&d);
}

/* --- Waiting ----------------------------------------------------------------------------------- */

#define WAITERS 6

static void begin_read(struct channel *channel, struct channel_call *call, uint64_t slot)
{
	const struct channel_target target = { IPC9_PROG_MAILSLOT, 1, IPC9_MAILSLOTPROC_READ,
		NULL };
	ipc9_mailslot_read_args args = { slot, 100, 60000 };
	struct rpc_err error;

	memset(call, 0, sizeof(*call));
	EQUAL(channel_send(channel, call, &target, (xdrproc_t)xdr_ipc9_mailslot_read_args, &args,
		  clock_deadline_ms(10000), &error),
	    RPC_SUCCESS);
}

static int end_read(struct channel *channel, struct channel_call *call, uint64_t *ret_value)
{
	ipc9_mailslot_read_res res = { 0 };
	struct rpc_err error;
	int status = -1;

	if (EQUAL(channel_wait(channel, call, (xdrproc_t)xdr_ipc9_mailslot_read_res, &res,
		      clock_deadline_ms(20000), &error),
		RPC_SUCCESS))
		status = res.status;
	if (status > 0)
		*ret_value = res.ipc9_mailslot_read_res_u.error.value;
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_read_res, &res);
	return status;
}

static void test_calls_wait_up_to_the_share_and_are_given_back_however_they_end(void)
{
	struct daemon_fixture d;
	struct channel *channel;
	struct channel_call calls[WAITERS];
	CLIENT *c;
	uint64_t slot, value = 0;

	daemon_start(&d, "quota_waiting = 8\n");
	channel = daemon_channel(&d, true);
	c = channel_client(channel, IPC9_PROG_MAILSLOT, 1);
	EQUAL(create_slot(c, "s", &slot, NULL), 0);
	for (int i = 0; i < WAITERS; i++)
		begin_read(channel, &calls[i], slot);
	for (int i = 4; i < WAITERS; i++) {
		EQUAL(end_read(channel, &calls[i], &value), IPC9_STATUS_QUOTA);
		EQUAL(value, 4);
	}
	EQUAL(amounts_of_host(&d).waiting.used, 4);
	EQUAL(send_bytes(c, "s", 1, 10, &value), 0);
	EQUAL(end_read(channel, &calls[0], &value), 0);
	EQUAL(amounts_of_host(&d).waiting.used, 3);
	begin_read(channel, &calls[0], slot);
	EQUAL(send_bytes(c, "s", 2, 10, &value), 0);
	EQUAL(end_read(channel, &calls[1], &value), 0);
	/* The others end with the connection. */
	channel_abort(channel);
	for (int i = 0; i < 4; i++)
		if (i != 1)
			channel_forget(channel, &calls[i]);
	clnt_destroy(c);
	channel_unref(channel);
	expect_idle(&d);
	daemon_end(&d);
}

/* --- Boards ------------------------------------------------------------------------------------ */

static uint64_t begin_copy(CLIENT *c, const char *board)
{
	ipc9_name_args args = { (char *)board };
	ipc9_clipboard_begin_res res = { 0 };
	uint64_t ticket = 0;

	daemon_patience(c, 20000);
	if (EQUAL(ipc9_clipboardproc_begin_1(&args, &res, c), RPC_SUCCESS) && EQUAL(res.status, 0))
		ticket = res.ipc9_clipboard_begin_res_u.ok.ticket;
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_begin_res, &res);
	return ticket;
}

static int put_bytes(CLIENT *c, uint64_t ticket, uint32_t size)
{
	static const unsigned char zeros[262144];
	ipc9_clipboard_add_args add = { ticket, (char[]){ "text/plain" } };
	ipc9_clipboard_put_args put = { ticket, { zeros, size, NULL } };
	ipc9_void_res res = { 0 };
	int status = -1;

	daemon_patience(c, 20000);
	if (EQUAL(ipc9_clipboardproc_add_1(&add, &res, c), RPC_SUCCESS))
		EQUAL(res.status, 0);
	xdr_free((xdrproc_t)xdr_ipc9_void_res, &res);
	memset(&res, 0, sizeof(res));
	daemon_patience(c, 20000);
	if (EQUAL(ipc9_clipboardproc_put_1(&put, &res, c), RPC_SUCCESS))
		status = res.status;
	xdr_free((xdrproc_t)xdr_ipc9_void_res, &res);
	return status;
}

static void publish(CLIENT *c, uint64_t ticket)
{
	ipc9_handle_args args = { ticket };
	ipc9_clipboard_version_res res = { 0 };

	daemon_patience(c, 20000);
	if (EQUAL(ipc9_clipboardproc_publish_1(&args, &res, c), RPC_SUCCESS))
		EQUAL(res.status, 0);
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_version_res, &res);
}

static void clear_board(CLIENT *c, const char *board)
{
	ipc9_name_args args = { (char *)board };
	ipc9_clipboard_version_res res = { 0 };

	daemon_patience(c, 20000);
	if (EQUAL(ipc9_clipboardproc_clear_1(&args, &res, c), RPC_SUCCESS))
		EQUAL(res.status, 0);
	xdr_free((xdrproc_t)xdr_ipc9_clipboard_version_res, &res);
}

static void test_a_board_is_its_makers_and_what_it_holds_the_copiers(void)
{
	struct daemon_fixture d;
	CLIENT *c, *remote, *control;
	ipc9_quota_amounts a;
	ipc9_quota_res res;
	const ipc9_quota_ok *ok = &res.ipc9_quota_res_u.ok;
	uint64_t ticket;

	daemon_start(&d,
	    "quota_bytes = 1048576\nallow = anyone read,write,create\nallow = local all\n");
	c = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	remote = daemon_client(&d, false, IPC9_PROG_CLIPBOARD);
	ticket = begin_copy(c, "team");
	EQUAL(put_bytes(c, ticket, 262144), 0);
	a = amounts_of_host(&d);
	EQUAL(a.objects.used, 1);
	EQUAL(a.bytes.used, 262144);
	EQUAL(put_bytes(c, ticket, 200000), 0); /* the format starts again */
	EQUAL(amounts_of_host(&d).bytes.used, 200000);
	publish(c, ticket);
	/* Somebody else's copy to it is somebody else's. */
	ticket = begin_copy(remote, "team");
	EQUAL(put_bytes(remote, ticket, 100000), 0);
	publish(remote, ticket);
	control = daemon_client(&d, false, IPC9_PROG_CONTROL);
	if (ask(control, 0, &res) && EQUAL(ok->lines.lines_len, 1)) {
		EQUAL(ok->host.objects.used, 1);
		EQUAL(ok->host.bytes.used, 100000);
		EQUAL(ok->lines.lines_val[0].who.how, IPC9_BY_NONE);
		EQUAL(ok->lines.lines_val[0].amounts.bytes.used, 100000);
		EQUAL(ok->lines.lines_val[0].amounts.objects.used, 0);
	}
	forget(&res);
	clnt_destroy(control);
	clear_board(c, "team");
	/* A copy that is never published goes with its connection. */
	ticket = begin_copy(remote, "other");
	EQUAL(put_bytes(remote, ticket, 100000), 0);
	EQUAL(amounts_of_host(&d).bytes.used, 100000);
	clnt_destroy(remote);
	clnt_destroy(c);
	expect_idle(&d);
	daemon_end(&d);
}

static void test_a_cleared_board_costs_nothing_whoever_clears_it(void)
{
	struct daemon_fixture d;
	char name[16];
	CLIENT *c, *remote;

	daemon_start(&d, "quota_objects = 8\nallow = anyone read,write\nallow = local all\n");
	c = daemon_client(&d, true, IPC9_PROG_CLIPBOARD);
	remote = daemon_client(&d, false, IPC9_PROG_CLIPBOARD);
	for (int i = 0; i < 20; i++) {
		uint64_t ticket;

		snprintf(name, sizeof(name), "board%d", i);
		ticket = begin_copy(c, name);
		EQUAL(put_bytes(c, ticket, 10), 0);
		publish(c, ticket);
		EQUAL(amounts_of_host(&d).objects.used, 1);
		clear_board(i % 2 ? c : remote, name);
		EQUAL(amounts_of_host(&d).objects.used, 0);
	}
	clnt_destroy(remote);
	clnt_destroy(c);
	expect_idle(&d);
	daemon_end(&d);
}

/* --- Connections ------------------------------------------------------------------------------- */

static bool answers_null(CLIENT *c)
{
	const struct timeval unused = { 0 };

	return clnt_call(c, 0, (xdrproc_t)(void (*)(void))xdr_void, NULL,
		   (xdrproc_t)(void (*)(void))xdr_void, NULL, unused) == RPC_SUCCESS;
}

/* Asks over a connection that is there, because another one might be over the share. */
static bool is_alone(void *context)
{
	ipc9_quota_res res;
	bool alone;

	alone = ask(context, 0, &res) && res.ipc9_quota_res_u.ok.host.connections.used == 1;
	forget(&res);
	return alone;
}

static void test_a_local_user_leaves_connections_to_others(void)
{
	struct daemon_fixture d;
	CLIENT *c[6], *remote, *other;

	daemon_start(&d, "quota_connections = 9\n");
	expect_idle(&d); /* the fixture's own is closed */
	for (int i = 0; i < 6; i++) {
		c[i] = daemon_client(&d, true, IPC9_PROG_CONTROL);
		EQUAL(answers_null(c[i]), i < 4);
	}
	remote = daemon_client(&d, false, IPC9_PROG_CONTROL);
	HOLDS(answers_null(remote));
	if (getuid() == 0) {
		other = client_of_other(&d, IPC9_PROG_CONTROL);
		HOLDS(answers_null(other));
		clnt_destroy(other);
	}
	clnt_destroy(remote);
	for (int i = 1; i < 6; i++)
		clnt_destroy(c[i]);
	HOLDS(wait_until(is_alone, c[0], 20000));
	clnt_destroy(c[0]);
	daemon_end(&d);
}

static void test_strangers_leave_local_users_their_connections(void)
{
	CLIENT *remote[12], *local[6];
	struct daemon_fixture d;

	daemon_start(&d, "quota_connections = 9\n");
	expect_idle(&d);
	for (int i = 0; i < 12; i++) {
		remote[i] = daemon_client(&d, false, IPC9_PROG_CONTROL);
		HOLDS(answers_null(remote[i]));
	}
	for (int i = 0; i < 6; i++) {
		local[i] = daemon_client(&d, true, IPC9_PROG_CONTROL);
		EQUAL(answers_null(local[i]), i < 4);
	}
	for (int i = 0; i < 12; i++)
		clnt_destroy(remote[i]);
	for (int i = 0; i < 6; i++)
		clnt_destroy(local[i]);
	daemon_end(&d);
}

static void test_local_users_however_many_leave_connections_to_networks(void)
{
	CLIENT *local[20][8], *remote[4];
	struct daemon_fixture d;
	int n = 0;

	if (getuid()) {
		skip_test("needs root, to be many users");
		return;
	}
	daemon_start(&d, "connections = 16\nlocal_connections = 4\n");
	expect_idle(&d);
	for (uid_t u = 0; u < 20; u++)
		for (int i = 0; i < 8; i++) {
			local[u][i] = daemon_client_of(&d, 1000 + u, IPC9_PROG_CONTROL);
			n += answers_null(local[u][i]);
		}
	HOLDS(n >= 12 && n <= 14);
	for (int i = 0; i < 4; i++) {
		remote[i] = daemon_client_from(&d, 2 + (unsigned)i, IPC9_PROG_CONTROL);
		daemon_patience(remote[i], 20000);
		HOLDS(answers_null(remote[i]));
	}
	for (int i = 0; i < 4; i++)
		clnt_destroy(remote[i]);
	for (uid_t u = 0; u < 20; u++)
		for (int i = 0; i < 8; i++)
			clnt_destroy(local[u][i]);
	daemon_end(&d);
}

static bool has_two_connections(void *context)
{
	ipc9_quota_res res;
	bool two;

	two = ask(context, 0, &res) && res.ipc9_quota_res_u.ok.host.connections.used == 2;
	forget(&res);
	return two;
}

/* Closing one's side of a connection whose answers one does not read gives nothing back. */
static void test_a_connection_counts_until_it_is_closed(void)
{
	static const struct channel_target status = { IPC9_PROG_CONTROL, 1, IPC9_CONTROLPROC_STATUS,
		NULL };
	struct daemon_fixture d;
	struct gather calls;
	struct channel *c;
	CLIENT *asker;
	int fd;

	daemon_start(&d, "unread_bytes = 67108864\n");
	expect_idle(&d);
	asker = daemon_client(&d, true, IPC9_PROG_CONTROL);
	c = daemon_channel(&d, true);
	fd = channel_fd(c);
	gather_init(&calls);
	for (uint32_t i = 0; i < 3000; i++)
		HOLDS(channel_encode(c, i, &status, (xdrproc_t)(void (*)(void))xdr_void, NULL,
		    &calls));
	while (calls.size && gather_send(&calls, fd) > 0)
		;
	EQUAL(shutdown(fd, SHUT_WR), 0);
	HOLDS(wait_until(has_two_connections, asker, 5000));
	HOLDS(answers_null(asker));
	HOLDS(has_two_connections(asker));
	gather_clear(&calls);
	channel_unref(c);
	HOLDS(wait_until(is_alone, asker, 20000));
	clnt_destroy(asker);
	daemon_end(&d);
}

/* R6: many clients, each with a pipe and data in it, go at once. */
static void test_many_clients_that_go_at_once_leave_nothing(void)
{
	int n = getenv("E2E_LONG") ? 2000 : 200;
	struct rlimit files;
	struct daemon_fixture d;
	CLIENT **servers = calloc((size_t)n, sizeof(*servers)),
	       **clients = calloc((size_t)n, sizeof(*clients));
	uint64_t value;
	char name[16];

	getrlimit(RLIMIT_NOFILE, &files);
	/* Two connections each; and users on both sides of the rule, so that one is not in the other's way. */
	if (files.rlim_cur < (rlim_t)n * 5 + 200) {
		n = (int)(files.rlim_cur - 200) / 5;
		printf("  %d clients: more take more open files\n", n);
	}
	daemon_start(&d, "quota_objects = 20000\nallow = anyone all\n");
	for (int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), "pipe%d", i);
		servers[i] = daemon_client(&d, true, IPC9_PROG_PIPE);
		EQUAL(create_pipe(servers[i], name, NULL, NULL), 0);
	}
	for (int i = 0; i < n; i++) {
		clients[i] = daemon_client(&d, true, IPC9_PROG_PIPE);
		snprintf(name, sizeof(name), "pipe%d", i);
		EQUAL(write_pipe(clients[i], open_pipe(clients[i], name), 1000, &value), 0);
	}
	EQUAL(amounts_of_host(&d).objects.used, 3 * n);
	for (int i = 0; i < n; i++)
		channel_abort(channel_client_channel(i % 2 ? servers[i] : clients[i]));
	for (int i = 0; i < n; i++) {
		clnt_destroy(servers[i]);
		clnt_destroy(clients[i]);
	}
	expect_idle(&d);
	daemon_end(&d);
	free(servers);
	free(clients);
}

/* --- Telling ----------------------------------------------------------------------------------- */

static void test_others_see_themselves_and_administrators_all(void)
{
	struct daemon_fixture d;
	CLIENT *slots, *c, *other;
	ipc9_quota_res res;
	const ipc9_quota_ok *ok = &res.ipc9_quota_res_u.ok;

	if (getuid()) {
		skip_test("needs root, to be two users");
		return;
	}
	daemon_start(&d, "");
	slots = daemon_client(&d, true, IPC9_PROG_MAILSLOT);
	EQUAL(create_slot(slots, "s", NULL, NULL), 0);
	c = daemon_client(&d, true, IPC9_PROG_CONTROL);
	other = client_of_other(&d, IPC9_PROG_CONTROL);
	if (ask(other, 0, &res) && EQUAL(ok->lines.lines_len, 1)) {
		EQUAL(ok->lines.lines_val[0].who.uid, OTHER_UID);
		EQUAL(ok->lines.lines_val[0].amounts.objects.used, 0);
		EQUAL(ok->lines.lines_val[0].amounts.objects.share, (4096 - 256 - 1) / 2);
		EQUAL(ok->lines.lines_val[0].amounts.connections.used, 1);
		EQUAL(ok->host.objects.used, 1);
		EQUAL(ok->host.objects.share, 4096);
	}
	forget(&res);
	if (ask(c, 0, &res) && EQUAL(ok->lines.lines_len, 2)) {
		EQUAL(ok->lines.lines_val[0].who.uid, 0);
		EQUAL(ok->lines.lines_val[0].amounts.objects.used, 1);
		EQUAL(ok->lines.lines_val[1].who.uid, OTHER_UID);
	}
	forget(&res);
	clnt_destroy(other);
	clnt_destroy(c);
	clnt_destroy(slots);
	daemon_end(&d);
}

SUITE(shares, TEST(test_slots_that_nobody_reads_fill_their_owners_share_and_nobody_elses),
    TEST(test_ten_thousand_objects_are_refused_at_the_share_and_listed_in_pages),
    TEST(test_what_waits_in_a_pipe_is_its_owners),
    TEST(test_a_host_with_many_claims_leaves_half_to_others_and_a_reserve_to_root),
    TEST(test_calls_wait_up_to_the_share_and_are_given_back_however_they_end),
    TEST(test_a_board_is_its_makers_and_what_it_holds_the_copiers),
    TEST(test_a_cleared_board_costs_nothing_whoever_clears_it),
    TEST(test_a_local_user_leaves_connections_to_others),
    TEST(test_strangers_leave_local_users_their_connections),
    TEST(test_local_users_however_many_leave_connections_to_networks),
    TEST(test_a_connection_counts_until_it_is_closed),
    TEST(test_many_clients_that_go_at_once_leave_nothing),
    TEST(test_others_see_themselves_and_administrators_all));
