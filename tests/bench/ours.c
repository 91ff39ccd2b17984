/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ours.c - the same work as in raw.c by a program of echo.x over client/ipc9_rpc.h, with rpcgen's stubs and dispatcher
 * as they are.  Credentials are AUTH_NONE, as the references have none.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/ipc9_rpc.h"
#include "echo.h"
#include "tests/bench/speed.h"

#define PARKED_MAX 4096
#define DATAGRAM_SETTLE_US 100000
#define HOST_CONNECTIONS 15000
#define IDLE_CALLS 1000
#define IDLE_SETTLE_MS 100
#define IDLE_TIMES 5 /* as long as another figure takes */

#define XDR_BYTES ((xdrproc_t)xdr_bench_bytes)
#define XDR_COUNT ((xdrproc_t)xdr_u_int)

void bench_prog_1(struct svc_req *request, SVCXPRT *transport);

/* --- Handlers ---------------------------------------------------------------------------------- */

/* rpcgen's handlers are given nothing of their own; the server has one thread. */
static struct {
	struct ipc9_rpc_deferred *parked[PARKED_MAX];
	u_int n_parked, n_oneway;
} served;

bool_t bench_null_1_svc(void *args, void *result, struct svc_req *request)
{
	(void)args, (void)result, (void)request;
	return TRUE;
}

/* The bytes go from the arguments to the results, where the dispatcher frees them. */
bool_t bench_echo_1_svc(bench_bytes *args, bench_bytes *result, struct svc_req *request)
{
	(void)request;
	*result = *args;
	memset(args, 0, sizeof(*args));
	return TRUE;
}

bool_t bench_sink_1_svc(bench_bytes *args, u_int *result, struct svc_req *request)
{
	(void)request;
	*result = args->bench_bytes_len;
	return TRUE;
}

bool_t bench_oneway_1_svc(bench_bytes *args, void *result, struct svc_req *request)
{
	(void)args, (void)result, (void)request;
	served.n_oneway++;
	return FALSE;
}

bool_t bench_count_1_svc(void *args, u_int *result, struct svc_req *request)
{
	(void)args, (void)request;
	*result = served.n_oneway;
	return TRUE;
}

bool_t bench_park_1_svc(void *args, bench_bytes *result, struct svc_req *request)
{
	(void)args;
	memset(result, 0, sizeof(*result));
	if (served.n_parked == PARKED_MAX)
		return TRUE;
	served.parked[served.n_parked++] = ipc9_rpc_defer(request);
	return FALSE;
}

bool_t bench_parked_1_svc(void *args, u_int *result, struct svc_req *request)
{
	(void)args, (void)request;
	*result = served.n_parked;
	return TRUE;
}

bool_t bench_release_1_svc(bench_bytes *args, u_int *result, struct svc_req *request)
{
	(void)request;
	*result = served.n_parked;
	for (u_int i = 0; i < served.n_parked; i++)
		ipc9_rpc_reply(served.parked[i], XDR_BYTES, args);
	served.n_parked = 0;
	return TRUE;
}

int bench_prog_1_freeresult(SVCXPRT *transport, xdrproc_t xdr, caddr_t result)
{
	(void)transport;
	xdr_free(xdr, result);
	return TRUE;
}

/* --- Serving ----------------------------------------------------------------------------------- */

static void check(int code, const struct ipc9_error *e)
{
	if (!code)
		return;
	fprintf(stderr, "speed: %s\n", e->text);
	exit(1);
}

static void serve(const char *netid, const char *address)
{
	const struct ipc9_rpc_server_options options = { .no_rpcbind = true,
		.connections_per_host = HOST_CONNECTIONS };
	struct ipc9_rpc_server *s;
	struct ipc9_error e;

	check(ipc9_rpc_server_new(&options, &s, &e), &e);
	check(ipc9_rpc_server_listen(s, netid, address, &e), &e);
	/* How many datagrams came is asked over a stream of the same number. */
	if (strcmp(netid, "udp") == 0) {
		char same[64];

		snprintf(same, sizeof(same), "%s:%u", address, ipc9_rpc_server_port(s, "udp"));
		check(ipc9_rpc_server_listen(s, "tcp", same, &e), &e);
	}
	check(ipc9_rpc_server_add(s, BENCH_PROG, BENCH_VERS, bench_prog_1, &e), &e);
	tell_port(ipc9_rpc_server_port(s, netid));
	if (ipc9_rpc_server_run(s))
		die("server");
	exit(0);
}

/* --- Calling ----------------------------------------------------------------------------------- */

struct our_client {
	struct work work;
	CLIENT *client;
	bench_bytes args;
	unsigned under_way;    /* asynchronous calls */
	int64_t until_ns;      /* batches go on */
	uint64_t acknowledged; /* calls of batches, bytes of a stream */
	struct slot {
		struct our_client *owner;
		bench_bytes echoed;
		u_int counted;
		struct slot *next;
	} slots[BATCH_CALLS], *free;
};

static CLIENT *connect_to(const char *address, bool udp, bool shared)
{
	const struct ipc9_rpc_options options = { .anonymous = true,
		.udp = udp,
		.shared = shared ? IPC9_RPC_SHARED_SOON : IPC9_RPC_SHARED_NEVER };
	struct ipc9_error e = { 0 };
	CLIENT *client = ipc9_rpc_client(address, BENCH_PROG, BENCH_VERS, &options, &e);

	if (!client)
		check(-1, &e);
	return client;
}

static void *open_with(const struct work *work, bool shared)
{
	const struct timeval none = { 0 };
	struct our_client *c = calloc(1, sizeof(*c));

	c->work = *work;
	c->client = connect_to(work->address, work->is_datagram, shared);
	if (work->is_datagram)
		clnt_control(c->client, CLSET_TIMEOUT, (char *)(uintptr_t)&none);
	c->args.bench_bytes_len = (u_int)work->bytes;
	if (posix_memalign((void **)&c->args.bench_bytes_val, 4096, work->bytes))
		die("memory");
	memset(c->args.bench_bytes_val, 'x', work->bytes);
	for (unsigned i = 0; i < BATCH_CALLS; i++) {
		c->slots[i].owner = c;
		c->slots[i].next = c->free;
		c->free = &c->slots[i];
	}
	return c;
}

static void *open_client(const struct work *work)
{
	return open_with(work, false);
}

static void *open_shared(const struct work *work)
{
	return open_with(work, true);
}

static void call(void *client)
{
	struct our_client *c = client;
	bench_bytes echoed = { 0 };

	if (bench_echo_1(&c->args, &echoed, c->client) != RPC_SUCCESS ||
	    echoed.bench_bytes_len != c->work.bytes)
		die("call");
	xdr_free(XDR_BYTES, (char *)&echoed);
}

static void begin_batch(struct our_client *c);

static void on_echo(void *context, enum clnt_stat stat, const struct rpc_err *error)
{
	struct slot *slot = context;
	struct our_client *c = slot->owner;

	(void)error;
	if (stat != RPC_SUCCESS || slot->echoed.bench_bytes_len != c->work.bytes)
		die("asynchronous call");
	xdr_free(XDR_BYTES, (char *)&slot->echoed);
	memset(&slot->echoed, 0, sizeof(slot->echoed));
	c->acknowledged++;
	if (--c->under_way == 0 && now_ns() < c->until_ns)
		begin_batch(c);
}

static void begin_echo(struct our_client *c, struct slot *slot)
{
	if (ipc9_rpc_begin(c->client, BENCH_ECHO, XDR_BYTES, &c->args, XDR_BYTES, &slot->echoed,
		IPC9_FOREVER, on_echo, slot, NULL))
		die("begin");
	c->under_way++;
}

/*
 * Begun inside ipc9_rpc_process calls leave together, as a batch of the reference does; begun outside each leaves by
 * itself.  So one call from outside gets the batches going.
 */
static void begin_batch(struct our_client *c)
{
	for (unsigned i = 0; i < BATCH_CALLS; i++)
		begin_echo(c, &c->slots[i]);
}

static void process(struct our_client *c)
{
	if (ipc9_rpc_process(c->client, IPC9_FOREVER) <= 0)
		die("process");
}

static uint64_t batches(void *client, int64_t until_ns)
{
	struct our_client *c = client;
	uint64_t before = c->acknowledged;

	c->until_ns = until_ns;
	begin_echo(c, &c->slots[0]);
	while (c->under_way)
		process(c);
	return c->acknowledged - before;
}

static void on_sunk(void *context, enum clnt_stat stat, const struct rpc_err *error)
{
	struct slot *slot = context;
	struct our_client *c = slot->owner;

	(void)error;
	if (stat != RPC_SUCCESS)
		die("asynchronous call");
	c->acknowledged += slot->counted;
	c->under_way--;
	slot->next = c->free;
	c->free = slot;
}

static void send_in_flight(struct our_client *c)
{
	struct slot *slot;

	while (c->under_way >= c->work.depth)
		process(c);
	slot = c->free;
	c->free = slot->next;
	if (ipc9_rpc_begin(c->client, BENCH_SINK, XDR_BYTES, &c->args, XDR_COUNT, &slot->counted,
		IPC9_FOREVER, on_sunk, slot, NULL))
		die("begin");
	c->under_way++;
}

static void send_one_way(void *client)
{
	struct our_client *c = client;
	u_int counted = 0;

	if (c->work.is_datagram) {
		/* With a timeout of zero the stub has no reply to speak of. */
		bench_oneway_1(&c->args, NULL, c->client);
	} else if (c->work.depth) {
		send_in_flight(c);
	} else {
		if (bench_sink_1(&c->args, &counted, c->client) != RPC_SUCCESS)
			die("call");
		c->acknowledged += counted;
	}
}

static uint64_t finish(void *client)
{
	struct our_client *c = client;
	u_int count = 0;

	if (!c->work.is_datagram) {
		while (c->under_way)
			process(c);
		return c->acknowledged;
	}
	usleep(DATAGRAM_SETTLE_US);
	if (bench_count_1(NULL, &count, connect_to(c->work.address, false, false)) != RPC_SUCCESS)
		die("count");
	return count * (uint64_t)c->work.bytes;
}

void load_idle(const struct load *load)
{
	struct our_client *c = load->peer->open(&load->work);
	int64_t begin, used;

	for (int i = 0; i < IDLE_CALLS; i++)
		call(c);
	if (ipc9_rpc_begin(c->client, BENCH_PARK, (xdrproc_t)(void (*)(void))xdr_void, NULL,
		XDR_BYTES, &c->slots[0].echoed, IPC9_FOREVER, on_echo, &c->slots[0], NULL))
		die("begin");
	/* The last spins are over after this. */
	ipc9_rpc_process(c->client, IDLE_SETTLE_MS);
	begin = now_ns();
	used = cpu_ns(0) + cpu_ns(load->server);
	ipc9_rpc_process(c->client, (int)(load->seconds * 1000 * IDLE_TIMES));
	used = cpu_ns(0) + cpu_ns(load->server) - used;
	printf("cpu_percent=%.4f\n", (double)used * 100 / (double)(now_ns() - begin));
}

const struct peer our_peer = {
	.name = "ours",
	.serve = serve,
	.open = open_client,
	.call = call,
	.batches = batches,
	.send = send_one_way,
	.finish = finish,
};

/* Over a local socket, by shared memory. */
const struct peer our_shared_peer = {
	.name = "ours-shared",
	.serve = serve,
	.open = open_shared,
	.call = call,
	.send = send_one_way,
	.finish = finish,
};
