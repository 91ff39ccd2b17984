/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status_rpc.c - ipc9 status --rpc: which servers of this host have a local socket, and how calls come there.
 *
 * The servers are whoever registered with rpcbind, other users' too, and none is believed: a path is a path and never
 * the name of a host, what an answer takes is bounded, and all are asked at the same time, within ASK_MS, so that who
 * does not answer keeps nobody waiting.
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/io.h"
#include "cli/output.h"
#include "cli/rpc.h"
#include "cli/status.h"
#include "util/clock.h"
#include "util/text.h"

#define ROWS_MAX 256 /* that are looked at */
#define ASK_MS 1000  /* for all together */
#define ANSWER_BYTES 2048
#define ADDRESS_SHOWN 107 /* bytes; a socket's path has no more */

/* What came of asking; the words are in the output. */
enum answer {
	ANSWER_PENDING,
	ANSWER_TOLD,
	ANSWER_OTHER, /* it has no such program */
	ANSWER_SILENT,
	ANSWER_GONE,	 /* nobody listens, or hung up, or too many wait there */
	ANSWER_UNCLEAR,	 /* something else came back */
	ANSWER_NOT_ASKED /* its address is no path */
};

static const char *const answer_words[] = { "-", "ok", "other", "silent", "gone", "unclear",
	"not-asked" };

/* One for each address. */
struct server {
	const char *address; /* the listing's */
	CLIENT *client;
	struct ipc9_rpc_call *call;
	enum answer answer;
	struct ipc9_rpc_sharing told;
};

struct servers {
	struct server *at;
	size_t n;
};

/* --- Asking ------------------------------------------------------------------------------------ */

static void server_on_answer(void *context, enum clnt_stat stat, const struct rpc_err *error)
{
	struct server *server = context;

	(void)error;
	server->call = NULL;
	switch (stat) {
	case RPC_SUCCESS:
		server->answer = ANSWER_TOLD;
		break;
	case RPC_PROGUNAVAIL:
	case RPC_PROGVERSMISMATCH:
	case RPC_PROCUNAVAIL:
		server->answer = ANSWER_OTHER;
		break;
	case RPC_TIMEDOUT:
		server->answer = ANSWER_SILENT;
		break;
	case RPC_CANTSEND:
	case RPC_CANTRECV:
		server->answer = ANSWER_GONE;
		break;
	default:
		server->answer = ANSWER_UNCLEAR;
	}
}

static int ms_until(int64_t deadline)
{
	int64_t left = deadline - clock_now();

	return left > 0 ? (int)(left / NS_PER_MS) + 1 : 1;
}

/* More slashes than one would make a host's name of it. */
static const char *server_path(const char *address)
{
	if (address[0] != '/')
		return NULL;
	while (address[1] == '/')
		address++;
	return address;
}

/* Which never waits, as it is a local socket. */
static void server_connect(struct server *server)
{
	const struct ipc9_rpc_options options = { .timeout_ms = ASK_MS,
		.anonymous = true,
		.reply_bytes = ANSWER_BYTES,
		.shared = IPC9_RPC_SHARED_NEVER };
	const char *path = server_path(server->address);

	if (!path) {
		server->answer = ANSWER_NOT_ASKED;
		return;
	}
	server->client = ipc9_rpc_client(path, IPC9_RPC_SHARING_PROGRAM, IPC9_RPC_SHARING_VERSION,
	    &options, NULL);
	if (!server->client)
		server->answer = ANSWER_GONE;
}

static void server_ask(struct server *server, int64_t deadline)
{
	if (!server->client)
		return;
	if (ipc9_rpc_begin(server->client, IPC9_RPC_SHARING_STATUS, (xdrproc_t)rpc_nothing_xdr,
		NULL, (xdrproc_t)(void (*)(void))ipc9_rpc_xdr_sharing, &server->told,
		ms_until(deadline), server_on_answer, server, &server->call))
		server->answer = ANSWER_GONE;
}

/* Takes the answers as they come, so that none has to be in time behind one that does not.  Calls end at their deadline. */
static void servers_hear(const struct servers *servers, int64_t deadline)
{
	struct server *pending[ROWS_MAX];
	struct pollfd fds[ROWS_MAX];
	nfds_t n;

	do {
		n = 0;
		for (size_t i = 0; i < servers->n; i++) {
			struct server *server = &servers->at[i];

			if (server->answer != ANSWER_PENDING)
				continue;
			fds[n] =
			    (struct pollfd){ .fd = ipc9_rpc_fd(server->client), .events = POLLIN };
			pending[n++] = server;
		}
		if (n > 0)
			(void)poll(fds, n, ms_until(deadline));
		for (nfds_t i = 0; i < n; i++)
			(void)ipc9_rpc_process(pending[i]->client, 0);
	} while (n > 0);
}

static void servers_ask(struct servers *servers, const struct invocation *invocation)
{
	int timeout = rpc_timeout_ms(invocation);
	int ms = timeout != IPC9_FOREVER && timeout < ASK_MS ? timeout : ASK_MS;
	int64_t deadline;

	for (size_t i = 0; i < servers->n; i++)
		server_connect(&servers->at[i]);
	deadline = clock_deadline_ms(ms);
	for (size_t i = 0; i < servers->n; i++)
		server_ask(&servers->at[i], deadline);
	servers_hear(servers, deadline);
}

/* --- Which ------------------------------------------------------------------------------------- */

static struct server *servers_find(const struct servers *servers, const char *address)
{
	for (size_t i = 0; i < servers->n; i++)
		if (strcmp(servers->at[i].address, address) == 0)
			return &servers->at[i];
	return NULL;
}

/* Keeps the rows of local sockets alone, and not more than ROWS_MAX; how many more there were. */
static size_t listing_keep_local(struct rpc_listing *listing)
{
	size_t n = 0, more = 0;

	for (size_t i = 0; i < listing->n; i++) {
		struct rpc_registration row = listing->rows[i];

		if (strcmp(row.netid, "local") != 0)
			continue;
		if (n == ROWS_MAX) {
			more++;
			continue;
		}
		listing->rows[i] = listing->rows[n];
		listing->rows[n++] = row;
	}
	for (size_t i = n; i < listing->n; i++) {
		free(listing->rows[i].netid);
		free(listing->rows[i].address);
		free(listing->rows[i].owner);
	}
	listing->n = n;
	return more;
}

/* 0 or -1, without memory. */
static int servers_collect(struct servers *servers, const struct rpc_listing *listing)
{
	*servers = (struct servers){ .at = calloc(listing->n + 1, sizeof(*servers->at)) };
	if (!servers->at)
		return -1;
	for (size_t i = 0; i < listing->n; i++)
		if (!servers_find(servers, listing->rows[i].address))
			servers->at[servers->n++].address = listing->rows[i].address;
	return 0;
}

static void servers_clear(struct servers *servers)
{
	for (size_t i = 0; i < servers->n; i++)
		if (servers->at[i].client)
			clnt_destroy(servers->at[i].client);
	free(servers->at);
}

/* --- Showing ----------------------------------------------------------------------------------- */

#define REFUSALS 5

static void sharing_refusals(const struct ipc9_rpc_sharing *told, const char *names[REFUSALS],
    uint64_t counts[REFUSALS])
{
	static const char *const words[REFUSALS] = { "limit", "share", "off", "memory", "wrong" };
	const uint64_t values[REFUSALS] = { told->refused_limit, told->refused_share,
		told->refused_off, told->refused_memory, told->refused_wrong };

	memcpy(names, words, sizeof(words));
	memcpy(counts, values, sizeof(values));
}

static json_t *server_json_told(const struct ipc9_rpc_sharing *told)
{
	const char *names[REFUSALS];
	json_t *refused = json_object();
	uint64_t counts[REFUSALS];
	int r = 0;

	sharing_refusals(told, names, counts);
	for (size_t i = 0; i < REFUSALS; i++)
		r |= json_object_set_new(refused, names[i], output_json_number(counts[i]));
	return json_pack("{s:{s:o, s:o}, s:{s:o, s:o}, s:o}", "connections", "shared",
	    output_json_number(told->connections_shared), "socket",
	    output_json_number(told->connections_socket), "calls", "shared",
	    output_json_number(told->calls_shared), "socket",
	    output_json_number(told->calls_socket), "refused", output_json_built(refused, r));
}

static int status_rpc_json(const struct rpc_listing *listing, const struct servers *servers,
    size_t more)
{
	json_t *rows = json_array();
	int r = 0;

	for (size_t i = 0; i < listing->n; i++) {
		const struct rpc_registration *row = &listing->rows[i];
		const struct server *server = servers_find(servers, row->address);
		const char *name = rpc_program_name(row->program);
		json_t *object = json_pack("{s:I, s:I, s:o, s:o, s:o, s:s}", "program",
		    (json_int_t)row->program, "version", (json_int_t)row->version, "name",
		    name ? output_json_text(name) : json_null(), "owner",
		    output_json_text(row->owner), "address", output_json_text(row->address),
		    "answer", answer_words[server->answer]);

		if (server->answer == ANSWER_TOLD)
			r |= json_object_set_new(object, "shared", server_json_told(&server->told));
		r |= json_array_append_new(rows, object);
	}
	return output_json(json_pack("{s:o, s:o}", "rpc", output_json_built(rows, r), "more",
	    output_json_number(more)));
}

static void table_add_refusals(struct output_table *table, const struct ipc9_rpc_sharing *told)
{
	char text[REFUSALS * 32] = "";
	const char *names[REFUSALS];
	uint64_t counts[REFUSALS];
	size_t n = 0;

	sharing_refusals(told, names, counts);
	for (size_t i = 0; i < REFUSALS; i++) {
		if (counts[i] == 0)
			continue;
		text_format(text + n, sizeof(text) - n, "%s%s:%" PRIu64, n > 0 ? "," : "", names[i],
		    counts[i]);
		n = strlen(text);
	}
	output_table_text(table, n > 0 ? text : "0");
}

static void table_add_server(struct output_table *table, const struct server *server)
{
	const struct ipc9_rpc_sharing *told = &server->told;

	if (server->answer != ANSWER_TOLD) {
		for (unsigned i = 0; i < 5; i++)
			output_table_text(table, "-");
		return;
	}
	output_table_number(table, told->connections_shared);
	output_table_number(table, told->connections_socket);
	output_table_number(table, told->calls_shared);
	output_table_number(table, told->calls_socket);
	table_add_refusals(table, told);
}

static int status_rpc_table(const struct rpc_listing *listing, const struct servers *servers)
{
	static const char *const titles[] = { "PROGRAM", "VERSION", "OWNER", "SHARED", "SOCKET",
		"SHARED-CALLS", "SOCKET-CALLS", "REFUSED", "ANSWER", "ADDRESS" };
	const size_t n_columns = sizeof(titles) / sizeof(titles[0]);
	struct output_table *table = output_table_new(titles, n_columns);

	for (size_t i = 0; i < listing->n; i++) {
		const struct rpc_registration *row = &listing->rows[i];
		const struct server *server = servers_find(servers, row->address);
		char owner[32], address[ADDRESS_SHOWN + 1];

		text_format(owner, sizeof(owner), "%s", row->owner[0] != '\0' ? row->owner : "-");
		text_format(address, sizeof(address), "%s", row->address);
		output_table_number(table, row->program);
		output_table_number(table, row->version);
		output_table_text(table, owner);
		table_add_server(table, server);
		output_table_text(table, answer_words[server->answer]);
		output_table_text(table, address);
	}
	return output_table_end(table);
}

/* --- All of it --------------------------------------------------------------------------------- */

int status_rpc_run(const struct invocation *invocation)
{
	struct servers servers = { .n = 0 };
	struct rpc_listing listing;
	struct rpc_host host;
	int status = rpc_host_parse(invocation, "//.", &host);
	size_t more;

	if (invocation_operand(invocation, 0) || invocation_flag(invocation, "quota")) {
		output_error("--rpc is about the servers of this host, without %s",
		    invocation_operand(invocation, 0) ? "//HOST" : "--quota");
		return EXIT_USAGE;
	}
	if (status)
		return status;
	status = rpc_listing_get(invocation, &host, false, &listing);
	more = listing_keep_local(&listing);
	if (more > 0)
		output_warning(invocation, "%zu further registrations are not shown", more);
	if (status == 0 && servers_collect(&servers, &listing) < 0)
		status = output_no_memory();
	if (status == 0) {
		servers_ask(&servers, invocation);
		status = invocation->json ? status_rpc_json(&listing, &servers, more)
					  : status_rpc_table(&listing, &servers);
	}
	servers_clear(&servers);
	rpc_listing_clear(&listing);
	return status;
}
