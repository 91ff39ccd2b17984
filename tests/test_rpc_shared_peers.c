/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_rpc_shared_peers.c - calls by shared memory when one of the two processes dies, stops, is of another kind, or
 * writes what it must not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/rpc_shared.h"
#include "rpcgen-out/rpcring.h"
#include "tests/daemon.h"
#include "tests/harness.h"
#include "tests/process.h"
#include "tests/rpc.h"
#include "transport/connect.h"
#include "transport/line.h"
#include "util/clock.h"
#include "util/text.h"

enum {
	SAFE_MS = 20000
};

static bool is_unwanted(void)
{
	if (rpc_shared_wish() != RPC_SHARED_NEVER)
		return false;
	skip_test("IPC9_RPC_SHARED=0");
	return true;
}

static CLIENT *connect_shared(const char *path)
{
	const struct ipc9_rpc_options options = { .shared = IPC9_RPC_SHARED_SOON };
	struct ipc9_error e = { 0 };
	CLIENT *c = ipc9_rpc_client(path, RPC_TEST_PROGRAM, RPC_TEST_VERSION, &options, &e);

	SAME_TEXT(e.text, "");
	if (c)
		rpc_expect_echo(c, "first");
	return c;
}

static bool is_shared(CLIENT *c)
{
	struct ipc9_rpc_info info;

	EQUAL(ipc9_rpc_info(c, &info), 0);
	return info.is_shared;
}

/* Whether the server has so many rings, at last. */
static struct expected {
	struct ipc9_rpc_server *server;
	unsigned n;
} expected;

static bool has_rings(void *context)
{
	struct ipc9_rpc_server_stats stats;

	(void)context;
	ipc9_rpc_server_stats(expected.server, &stats);
	return stats.shared == expected.n;
}

static bool await_rings(const struct rpc_fixture *f, unsigned n)
{
	expected = (struct expected){ f->server, n };
	return wait_until(has_rings, NULL, SAFE_MS);
}

struct caller {
	CLIENT *client;
	pthread_t thread;
	enum clnt_stat stat;
};

static void *call_gate(void *context)
{
	const struct timeval limit = { SAFE_MS / 1000, 0 };
	struct caller *c = context;
	unsigned number = 1, result = 0;

	c->stat = clnt_call(c->client, RPC_TEST_GATE, XDR_NUMBER, (caddr_t)&number, XDR_NUMBER,
	    (caddr_t)&result, limit);
	return NULL;
}

/* --- Ends -------------------------------------------------------------------------------------- */

/* Tells its path's folder by its number, and when a handler is at the gate. */
static int serve(struct process *self, void *context)
{
	const struct ipc9_rpc_server_options options = { .no_rpcbind = true };
	struct ipc9_rpc_server *s;
	pthread_t thread;

	if (ipc9_rpc_server_new(&options, &s, NULL) ||
	    ipc9_rpc_server_listen(s, "local", context, NULL) ||
	    ipc9_rpc_server_add(s, RPC_TEST_PROGRAM, RPC_TEST_VERSION, rpc_dispatch, NULL) ||
	    pthread_create(&thread, NULL, (void *(*)(void *))(void (*)(void))ipc9_rpc_server_run,
		s))
		return 1;
	process_tell(self, 'r');
	if (!rpc_await_entered(1))
		return 2;
	process_tell(self, 'g');
	pthread_join(thread, NULL);
	return 0;
}

static void test_a_call_ends_when_its_server_is_killed_and_a_new_one_serves(void)
{
	char folder[] = "/tmp/ipc9-test-XXXXXX", path[64];
	struct process server;
	struct caller c;
	char *result;

	if (is_unwanted())
		return;
	HOLDS(mkdtemp(folder) != NULL);
	text_format(path, sizeof(path), "%s/socket", folder);
	for (unsigned round = 0; round < 2; round++) {
		rpc_state.entered = rpc_state.open = 0;
		process_start(&server, serve, path);
		EQUAL(process_hear(&server), 'r');
		c.client = connect_shared(path);
		HOLDS(is_shared(c.client));
		EQUAL(pthread_create(&c.thread, NULL, call_gate, &c), 0);
		EQUAL(process_hear(&server), 'g');
		process_kill(&server);
		pthread_join(c.thread, NULL);
		EQUAL(c.stat, RPC_CANTRECV);
		HOLDS(rpc_call_text(c.client, RPC_TEST_ECHO, "x", &result) != RPC_SUCCESS);
		clnt_destroy(c.client);
	}
	unlink(path);
	EQUAL(rmdir(folder), 0);
}

static int call_for_ever(struct process *self, void *context)
{
	CLIENT *c = connect_shared(context);
	char *result;

	process_tell(self, 'c');
	while (rpc_call_text(c, RPC_TEST_ECHO, "x", &result) == RPC_SUCCESS)
		free(result);
	return 1;
}

static int call_once(struct process *self, void *context)
{
	struct caller c = { .client = connect_shared(context) };

	process_tell(self, 'c');
	call_gate(&c);
	return 1;
}

static void test_a_server_goes_on_when_clients_are_killed_in_the_middle_of_calls(void)
{
	struct process clients[3];
	struct rpc_fixture f;
	CLIENT *c;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	for (unsigned round = 0; round < rpc_times(5, 200); round++) {
		for (unsigned i = 0; i < 3; i++) {
			process_start(&clients[i], call_for_ever, f.path);
			EQUAL(process_hear(&clients[i]), 'c');
		}
		HOLDS(await_rings(&f, 3));
		for (unsigned i = 0; i < 3; i++)
			process_kill(&clients[i]);
		HOLDS(await_rings(&f, 0));
	}
	process_start(&clients[0], call_once, f.path);
	EQUAL(process_hear(&clients[0]), 'c');
	HOLDS(rpc_await_entered(1));
	process_kill(&clients[0]);
	rpc_open_gate(1);
	HOLDS(await_rings(&f, 0));
	c = connect_shared(f.path);
	rpc_expect_echo(c, "still here");
	clnt_destroy(c);
	rpc_stop(&f);
}

static void test_a_server_that_stops_ends_the_calls_of_its_clients(void)
{
	struct rpc_fixture f;
	struct caller c;
	char *result;
	CLIENT *d;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	c.client = connect_shared(f.path);
	d = connect_shared(f.path);
	EQUAL(pthread_create(&c.thread, NULL, call_gate, &c), 0);
	HOLDS(rpc_await_entered(1));
	ipc9_rpc_server_stop(f.server);
	rpc_open_gate(1);
	rpc_stop(&f);
	pthread_join(c.thread, NULL);
	/* A handler that runs may still answer. */
	HOLDS(c.stat == RPC_SUCCESS || c.stat == RPC_CANTRECV);
	HOLDS(rpc_call_text(d, RPC_TEST_ECHO, "x", &result) != RPC_SUCCESS);
	clnt_destroy(c.client);
	clnt_destroy(d);
}

static void test_a_deferred_call_outlives_its_client_and_its_server(void)
{
	const struct timeval soon = { 0, 20000 };
	struct rpc_fixture f;
	char *result = NULL;
	CLIENT *c;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	c = connect_shared(f.path);
	EQUAL(clnt_call(c, RPC_TEST_LATER, XDR_VOID, NULL, XDR_TEXT, (caddr_t)&result, soon),
	    RPC_TIMEDOUT);
	clnt_destroy(c);
	HOLDS(await_rings(&f, 0));
	HOLDS(ipc9_rpc_is_gone(rpc_state.later[0]));
	c = connect_shared(f.path);
	EQUAL(clnt_call(c, RPC_TEST_LATER, XDR_VOID, NULL, XDR_TEXT, (caddr_t)&result, soon),
	    RPC_TIMEDOUT);
	rpc_stop(&f);
	HOLDS(ipc9_rpc_is_gone(rpc_state.later[1]));
	for (unsigned i = 0; i < 2; i++)
		EQUAL(ipc9_rpc_reply(rpc_state.later[i], XDR_VOID, NULL), IPC9_E_LOST);
	clnt_destroy(c);
}

static void test_aborting_a_channel_ends_the_call_under_way(void)
{
	struct rpc_fixture f;
	struct caller c;

	if (is_unwanted())
		return;
	rpc_start(&f, NULL);
	c.client = connect_shared(f.path);
	EQUAL(pthread_create(&c.thread, NULL, call_gate, &c), 0);
	HOLDS(rpc_await_entered(1));
	channel_abort(channel_client_channel(c.client));
	pthread_join(c.thread, NULL);
	EQUAL(c.stat, RPC_CANTRECV);
	clnt_destroy(c.client);
	rpc_open_gate(1);
	rpc_stop(&f);
}

/* --- Servers of others ------------------------------------------------------------------------- */

static int serve_stock(struct process *self, void *context)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	SVCXPRT *transport;

	text_format(a.sun_path, sizeof(a.sun_path), "%s", (const char *)context);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) || listen(fd, 8))
		return 1;
	transport = svc_vc_create(fd, 0, 0);
	if (!transport ||
	    !svc_reg(transport, RPC_TEST_PROGRAM, RPC_TEST_VERSION, rpc_dispatch, NULL))
		return 2;
	process_tell(self, 'r');
	svc_run();
	return 3;
}

static void test_calls_to_a_stock_server_stay_with_the_socket(void)
{
	char folder[] = "/tmp/ipc9-test-XXXXXX", path[64];
	struct process server;
	CLIENT *c;

	if (is_unwanted())
		return;
	HOLDS(mkdtemp(folder) != NULL);
	text_format(path, sizeof(path), "%s/socket", folder);
	process_start(&server, serve_stock, path);
	EQUAL(process_hear(&server), 'r');
	c = connect_shared(path);
	for (unsigned i = 0; i < 20; i++)
		rpc_expect_echo(c, "x");
	HOLDS(!is_shared(c));
	clnt_destroy(c);
	process_kill(&server);
	unlink(path);
	EQUAL(rmdir(folder), 0);
}

static void test_calls_to_the_daemon_stay_with_the_socket(void)
{
	const struct ipc9_rpc_options options = { .shared = IPC9_RPC_SHARED_SOON };
	const struct timeval limit = { 20, 0 };
	struct daemon_fixture d;
	CLIENT *c;

	daemon_start(&d, "");
	c = ipc9_rpc_client(d.socket, IPC9_PROG_PIPE, 1, &options, NULL);
	for (unsigned i = 0; HOLDS(c != NULL) && i < 20; i++)
		EQUAL(clnt_call(c, NULLPROC, XDR_VOID, NULL, XDR_VOID, NULL, limit), RPC_SUCCESS);
	HOLDS(!is_shared(c));
	clnt_destroy(c);
	daemon_end(&d);
}

/* --- Clients that do what they must not --------------------------------------------------------- */

struct bad_client {
	struct channel *channel;
	struct conduit *conduit;
	int memory;
};

static enum clnt_stat attach(struct channel *channel, const int *fds, unsigned n)
{
	const struct channel_target target = { IPC9_PROG_RPC, IPC9_RPC_V1, IPC9_RPCPROC_ATTACH,
		NULL };
	struct channel_parcels parcels = { .give = fds, .n_give = n };
	int64_t deadline = clock_deadline_ms(SAFE_MS);
	struct channel_call call;
	struct rpc_err e;

	EQUAL(channel_send_with(channel, &call, &parcels, &target, XDR_VOID, NULL, deadline, &e),
	    RPC_SUCCESS);
	return channel_wait(channel, &call, XDR_VOID, NULL, deadline, &e);
}

static struct channel *open_channel(const struct rpc_fixture *f)
{
	struct channel *channel = NULL;
	struct address a;
	int fd;

	EQUAL(address_local(f->path, &a), 0);
	EQUAL(connect_address(&a, clock_deadline_ms(SAFE_MS), &fd), 0);
	EQUAL(channel_new(fd, false, &channel), 0);
	return channel;
}

static struct bad_client open_bad(const struct rpc_fixture *f)
{
	struct bad_client c = { .channel = open_channel(f) };
	int memory, sockets[2], fds[2];

	EQUAL(conduit_create(RING_MESSAGES, IPC9_RPC_QUOTA, &memory, sockets), 0);
	c.memory = dup(memory);
	fds[0] = memory;
	fds[1] = sockets[1];
	EQUAL(attach(c.channel, fds, 2), RPC_SUCCESS);
	close(sockets[1]);
	EQUAL(conduit_open(memory, sockets[0], CONDUIT_FIRST, RING_MESSAGES, IPC9_RPC_QUOTA,
		  &c.conduit),
	    0);
	return c;
}

static void close_bad(struct bad_client *c)
{
	conduit_close(c->conduit);
	channel_unref(c->channel);
	close(c->memory);
}

static void put_words(struct conduit *c, const uint32_t *words, size_t n)
{
	uint32_t wire[16];
	struct iovec piece = { wire, n * sizeof(*wire) };

	for (size_t i = 0; i < n; i++)
		wire[i] = htonl(words[i]);
	EQUAL(conduit_send(c, &piece, 1, clock_deadline_ms(SAFE_MS)), 0);
}

/* The connection and the ring are closed, and others are served on. */
static void expect_end(const struct rpc_fixture *f, struct bad_client *c)
{
	unsigned char rest[64];
	size_t n;
	int r;

	do {
		bool more;

		r = conduit_read_message(c->conduit, rest, sizeof(rest), clock_deadline_ms(SAFE_MS),
		    &n, &more);
	} while (!r);
	HOLDS(r != CONDUIT_TIMEDOUT);
	HOLDS(await_rings(f, 0));
	HOLDS(!channel_is_alive(c->channel));
	close_bad(c);
}

static const uint32_t echo_call[] = { 7, 0, 2, RPC_TEST_PROGRAM, RPC_TEST_VERSION, NULLPROC, 0, 0,
	0, 0 };

static void test_a_client_that_breaks_the_rules_of_the_ring_loses_its_connection(void)
{
	static const uint32_t garbage[] = { 1, 2, 3 };
	const uint32_t later[] = { 8, 0, 2, RPC_TEST_PROGRAM, RPC_TEST_VERSION, RPC_TEST_LATER, 0,
		0, 0, 0 };
	struct rpc_fixture f;
	struct bad_client c;

	rpc_start(&f, NULL);
	if (is_unwanted()) {
		rpc_stop(&f);
		return;
	}
	/* What is no call. */
	c = open_bad(&f);
	put_words(c.conduit, garbage, 3);
	expect_end(&f, &c);
	c = open_bad(&f);
	put_words(c.conduit, garbage, 0);
	expect_end(&f, &c);
	/* Two calls at a time. */
	c = open_bad(&f);
	put_words(c.conduit, later, 10);
	put_words(c.conduit, echo_call, 10);
	expect_end(&f, &c);
	HOLDS(ipc9_rpc_is_gone(rpc_state.later[0]));
	ipc9_rpc_refuse(rpc_state.later[0], SYSTEM_ERR);
	/* A ring that it closes; the words of the memory overwritten. */
	c = open_bad(&f);
	conduit_end(c.conduit);
	expect_end(&f, &c);
	c = open_bad(&f);
	for (unsigned at = 0; at < 4096; at += 8) {
		const uint64_t word = UINT64_MAX / 3;

		EQUAL(pwrite(c.memory, &word, sizeof(word), at), sizeof(word));
	}
	close_bad(&c);
	HOLDS(await_rings(&f, 0));
	c.channel = open_channel(&f);
	channel_unref(c.channel);
	rpc_stop(&f);
}

static void test_a_client_that_never_takes_its_replies_costs_no_more_than_the_ring(void)
{
	uint32_t wire[10];
	struct iovec call = { wire, sizeof(wire) };
	struct rpc_fixture f;
	struct bad_client c;
	int r = 0;

	rpc_start(&f, NULL);
	if (is_unwanted()) {
		rpc_stop(&f);
		return;
	}
	for (size_t i = 0; i < 10; i++)
		wire[i] = htonl(echo_call[i]);
	c = open_bad(&f);
	/* Each is answered before the server takes the next one. */
	for (unsigned i = 0; i < 1000000 && !r; i++)
		r = conduit_send(c.conduit, &call, 1, clock_deadline_ms(SAFE_MS));
	HOLDS(r != 0);
	expect_end(&f, &c);
	rpc_stop(&f);
}

static void test_an_attach_without_a_conduit_is_refused_and_calls_go_on(void)
{
	struct ipc9_rpc_server_stats stats;
	struct rpc_fixture f;
	struct channel *channel;
	struct bad_client c;
	int fds[2];

	rpc_start(&f, NULL);
	if (is_unwanted()) {
		rpc_stop(&f);
		return;
	}
	channel = open_channel(&f);
	EQUAL(attach(channel, NULL, 0), RPC_SYSTEMERROR);
	EQUAL(pipe(fds), 0);
	EQUAL(attach(channel, fds, 2), RPC_SYSTEMERROR);
	EQUAL(attach(channel, fds, 1), RPC_SYSTEMERROR);
	channel_unref(channel);
	c = open_bad(&f);
	EQUAL(attach(c.channel, fds, 2), RPC_SYSTEMERROR); /* it has one */
	ipc9_rpc_server_stats(f.server, &stats);
	EQUAL(stats.shared_refused_wrong, 4);
	put_words(c.conduit, echo_call, 10);
	HOLDS(await_rings(&f, 1));
	close_bad(&c);
	close(fds[0]);
	close(fds[1]);
	HOLDS(await_rings(&f, 0));
	rpc_stop(&f);
}

/* --- Shares and what is told of them ------------------------------------------------------------ */

/* A client of another user.  Of this thread alone, as the server is in this process. */
static CLIENT *connect_as(const struct rpc_fixture *f, uid_t uid)
{
	CLIENT *c;

	EQUAL(syscall(SYS_setresuid, -1, uid, -1), 0);
	c = connect_shared(f->path);
	EQUAL(syscall(SYS_setresuid, -1, 0, -1), 0);
	return c;
}

static void test_no_user_has_more_than_half_of_the_rings_that_others_leave(void)
{
	static const struct {
		uid_t uid;
		bool gets_one;
	} comes[] = { { 65534, true }, { 65534, true }, { 65534, false }, { 65533, true },
		{ 65533, false }, { 0, true }, { 0, false } };
	enum {
		N = sizeof(comes) / sizeof(comes[0])
	};
	const struct ipc9_rpc_server_options four = { .shared = 4 };
	struct ipc9_rpc_server_stats stats;
	struct rpc_fixture f;
	CLIENT *c[N];

	if (is_unwanted())
		return;
	if (geteuid() != 0) {
		skip_test("needs root, to be several users");
		return;
	}
	rpc_start(&f, &four);
	EQUAL(chmod(f.folder, 0711), 0);
	EQUAL(chmod(f.path, 0777), 0);
	for (size_t i = 0; i < N; i++) {
		c[i] = connect_as(&f, comes[i].uid);
		rpc_expect_echo(c[i], "either way");
		EQUAL(is_shared(c[i]), comes[i].gets_one);
	}
	ipc9_rpc_server_stats(f.server, &stats);
	EQUAL(stats.shared, 4);
	EQUAL(stats.shared_refused_share, 2);
	EQUAL(stats.shared_refused_limit, 1);
	clnt_destroy(
	    c[5]); /* what is given back may be taken again, but no share is more for that */
	HOLDS(await_rings(&f, 3));
	clnt_destroy(c[2]);
	c[2] = connect_as(&f, comes[2].uid);
	HOLDS(!is_shared(c[2]));
	c[5] = connect_as(&f, 65532);
	HOLDS(is_shared(c[5]));
	for (size_t i = 0; i < N; i++)
		clnt_destroy(c[i]);
	HOLDS(await_rings(&f, 0));
	rpc_stop(&f);
}

/* What a server tells on its local socket. */
static ipc9_rpc_rings ask_rings(CLIENT *client)
{
	const struct timeval limit = { SAFE_MS / 1000, 0 };
	CLIENT *c = ipc9_rpc_share(client, IPC9_PROG_RPC, IPC9_RPC_V1);
	ipc9_rpc_rings_res result = { .status = -1 };

	EQUAL(clnt_call(c, IPC9_RPCPROC_STATUS, XDR_VOID, NULL,
		  (xdrproc_t)(void (*)(void))xdr_ipc9_rpc_rings_res, (caddr_t)&result, limit),
	    RPC_SUCCESS);
	EQUAL(result.status, IPC9_STATUS_OK);
	clnt_destroy(c);
	return result.ipc9_rpc_rings_res_u.ok;
}

static CLIENT *connect_by_socket(const struct rpc_fixture *f)
{
	const struct ipc9_rpc_options options = { .shared = IPC9_RPC_SHARED_NEVER };

	return ipc9_rpc_client(f->path, RPC_TEST_PROGRAM, RPC_TEST_VERSION, &options, NULL);
}

static void test_a_server_tells_how_calls_come_without_those_that_ask(void)
{
	const struct ipc9_rpc_server_options one = { .shared = 1 };
	CLIENT *asks, *shared, *refused, *plain;
	struct rpc_fixture f;
	ipc9_rpc_rings told;

	rpc_start(&f, &one);
	if (is_unwanted()) {
		rpc_stop(&f);
		return;
	}
	asks = connect_by_socket(&f);
	for (unsigned i = 0; i < 2; i++) {
		told = ask_rings(asks);
		EQUAL(told.connections_ring + told.connections_socket, 0);
		EQUAL(told.calls_ring + told.calls_socket, 0);
	}
	shared = connect_shared(f.path);
	refused = connect_shared(f.path);
	plain = connect_by_socket(&f);
	rpc_expect_echo(shared, "by the ring");
	rpc_expect_echo(shared, "by the ring");
	rpc_expect_echo(refused, "by the socket");
	rpc_expect_echo(plain, "by the socket");
	told = ask_rings(asks);
	EQUAL(told.connections_ring, 1);
	EQUAL(told.connections_socket, 2);
	EQUAL(told.calls_ring, 2);
	EQUAL(told.calls_socket, 4);
	EQUAL(told.refused_limit, 1);
	EQUAL(told.refused_share + told.refused_off + told.refused_memory + told.refused_wrong, 0);
	told = ask_rings(shared); /* by the ring itself */
	EQUAL(told.connections_ring, 1);
	EQUAL(told.connections_socket, 3);
	clnt_destroy(shared);
	clnt_destroy(refused);
	clnt_destroy(plain);
	HOLDS(await_rings(&f, 0));
	clnt_destroy(asks);
	rpc_stop(&f);
}

static void test_a_server_without_rings_tells_that(void)
{
	const struct ipc9_rpc_server_options none = { .no_shared = true };
	struct rpc_fixture f;
	ipc9_rpc_rings told;
	CLIENT *c, *d;

	if (is_unwanted())
		return;
	rpc_start(&f, &none);
	c = connect_shared(f.path);
	rpc_expect_echo(c, "by the socket");
	HOLDS(!is_shared(c));
	told = ask_rings(c);
	EQUAL(told.refused_off, 1);
	EQUAL(told.connections_ring, 0);
	d = ipc9_rpc_client(f.tcp, IPC9_PROG_RPC, IPC9_RPC_V1, NULL, NULL);
	EQUAL(clnt_call(d, IPC9_RPCPROC_STATUS, XDR_VOID, NULL, XDR_VOID, NULL,
		  ((struct timeval){ SAFE_MS / 1000, 0 })),
	    RPC_PROGUNAVAIL);
	clnt_destroy(c);
	clnt_destroy(d);
	rpc_stop(&f);
}

SUITE(rpc_shared_peers, TEST(test_a_call_ends_when_its_server_is_killed_and_a_new_one_serves),
    TEST(test_a_server_goes_on_when_clients_are_killed_in_the_middle_of_calls),
    TEST(test_a_server_that_stops_ends_the_calls_of_its_clients),
    TEST(test_a_deferred_call_outlives_its_client_and_its_server),
    TEST(test_aborting_a_channel_ends_the_call_under_way),
    TEST(test_calls_to_a_stock_server_stay_with_the_socket),
    TEST(test_calls_to_the_daemon_stay_with_the_socket),
    TEST(test_a_client_that_breaks_the_rules_of_the_ring_loses_its_connection),
    TEST(test_a_client_that_never_takes_its_replies_costs_no_more_than_the_ring),
    TEST(test_an_attach_without_a_conduit_is_refused_and_calls_go_on),
    TEST(test_no_user_has_more_than_half_of_the_rings_that_others_leave),
    TEST(test_a_server_tells_how_calls_come_without_those_that_ask),
    TEST(test_a_server_without_rings_tells_that));
