/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe.c - ipc9 pipe: serve, open, ls.  Serving by commands is in pipe_serve.c; call, wait and info in pipe_call.c.
 */
#include "cli/pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/io.h"
#include "cli/output.h"
#include "cli/session.h"

static void pipe_closep(struct ipc9_pipe **pipe)
{
	ipc9_pipe_close(*pipe);
}

static void pipe_listing_freep(struct ipc9_pipe_listing **listing)
{
	ipc9_pipe_listing_free(*listing);
}

/* --- Standard input and output on a pipe ------------------------------------------------------- */

/*
 * Takes standard input and output over: a session closes them as their directions finish, and 0 and 1 must
 * stay taken.  0 or -errno.
 */
static int pipe_take_stdio(int *ret_in_fd, int *ret_out_fd)
{
	_cleanup_(io_closep) int in_fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	_cleanup_(io_closep) int out_fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	_cleanup_(io_closep) int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (in_fd < 0 || out_fd < 0 || null_fd < 0)
		return -errno;
	if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(null_fd, STDOUT_FILENO) < 0)
		return -errno;
	*ret_in_fd = in_fd;
	*ret_out_fd = out_fd;
	in_fd = out_fd = -1;
	return 0;
}

/* What a direction came to, as an exit status; says so. */
static int pipe_report(const struct invocation *invocation, const struct session_result *result)
{
	if (result->error.code == 0)
		return 0;
	if (!result->local)
		return output_fail(invocation, &result->error);
	if (result->local == -EPIPE)
		return OUTPUT_BROKEN;
	output_error("%s", result->error.text);
	return EXIT_FAILED;
}

/* Joins a connected pipe to standard input and output.  The exit status. */
static int pipe_join(const struct invocation *invocation, struct ipc9_pipe *pipe, bool until_closed)
{
	struct session session = {
		.pipe = pipe,
		.in_name = "standard input",
		.out_name = "standard output",
		.until_closed = until_closed,
	};
	int status, r;

	r = pipe_take_stdio(&session.in_fd, &session.out_fd);
	if (r == 0)
		r = session_start(&session);
	if (r) {
		output_error("cannot begin: %s", strerror(-r));
		return EXIT_FAILED;
	}
	if (session_send(&session) != 0) {
		/* The other end must read LOST, and not take a part for the whole: no closing here. */
		(void)pipe_report(invocation, &session.sent);
		_exit(EXIT_FAILED);
	}
	session_stop(&session);
	if (session.received.local && session.received.local != -EPIPE)
		ipc9_pipe_abort(
		    pipe); /* what was received is not all kept: the other end reads LOST */
	status = pipe_report(invocation, &session.received);
	return status ? status : pipe_report(invocation, &session.sent);
}

/* --- Serve ------------------------------------------------------------------------------------- */

struct ipc9_pipe_options pipe_serve_options(const struct invocation *invocation,
    const struct rules *rules)
{
	long long fallback = invocation->command ? IPC9_PIPE_NO_LIMIT : 1;

	return (struct ipc9_pipe_options){
		.type = invocation_flag(invocation, "message") ? IPC9_PIPE_TYPE_MESSAGE
							       : IPC9_PIPE_TYPE_BYTE,
		.access = IPC9_PIPE_ACCESS_DUPLEX,
		.max_instances = (uint32_t)invocation_number(invocation, "instances", fallback),
		.first = invocation_flag(invocation, "first"),
		.local_only = invocation_flag(invocation, "local-only"),
		.rules = (const char *const *)rules->lines,
		.n_rules = rules->n,
	};
}

static int pipe_serve_one(struct ipc9 *ipc9, const struct invocation *invocation,
    const struct rules *rules)
{
	_cleanup_(pipe_closep) struct ipc9_pipe *pipe = NULL;
	struct ipc9_pipe_options options = pipe_serve_options(invocation, rules);
	char client[OUTPUT_IDENTITY_BYTES];
	struct ipc9_error error;
	int r;

	if (ipc9_pipe_create(ipc9, invocation_operand(invocation, 0), &options, &pipe, &error))
		return output_fail(invocation, &error);
	output_note(invocation, "%s is there", invocation_operand(invocation, 0));
	r = ipc9_pipe_accept(pipe, IPC9_FOREVER, NULL, &error);
	if (r == IPC9_E_PEERCLOSED) {
		output_note(invocation, "a client came and went without a word");
		return 0;
	}
	if (r)
		return output_fail(invocation, &error);
	output_identity(ipc9_pipe_peer(pipe), client);
	output_note(invocation, "client: %s", client);
	return pipe_join(invocation, pipe, false);
}

static int pipe_serve(struct ipc9 *ipc9, const struct invocation *invocation)
{
	struct rules rules = { .lines = NULL };
	int status = rules_take_options(&rules, invocation);

	if (status == 0)
		status = invocation->command ? pipe_serve_commands(ipc9, invocation, &rules)
					     : pipe_serve_one(ipc9, invocation, &rules);
	rules_clear(&rules);
	return status;
}

/* --- Open -------------------------------------------------------------------------------------- */

static int pipe_open(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(pipe_closep) struct ipc9_pipe *pipe = NULL;
	char server[OUTPUT_IDENTITY_BYTES];
	struct ipc9_error error;

	const struct ipc9_pipe_open_options options = {
		.server = invocation_text(invocation, "server"),
	};

	if (ipc9_pipe_open_with(ipc9, invocation_operand(invocation, 0), &options, &pipe, &error))
		return output_fail(invocation, &error);
	output_identity(ipc9_pipe_peer(pipe), server);
	output_note(invocation, "server: %s", server);
	return pipe_join(invocation, pipe, true);
}

/* --- Listing ----------------------------------------------------------------------------------- */

static int pipe_list_json(const struct ipc9_pipe_listing *listing)
{
	json_t *pipes = json_array();
	int r = 0;

	for (size_t i = 0; i < listing->n_pipes; i++)
		r |= json_array_append_new(pipes, pipe_json_info(&listing->pipes[i]));
	return output_json(json_pack("{s:o}", "pipes", output_json_built(pipes, r)));
}

static int pipe_list_table(const struct ipc9_pipe_listing *listing)
{
	static const char *const titles[] = { "INSTANCES", "MAX", "LISTENING", "TYPE", "ACCESS",
		"OWNER", "NAME" };
	const size_t n_columns = sizeof(titles) / sizeof(titles[0]);
	struct output_table *table = output_table_new(titles, n_columns);

	for (size_t i = 0; i < listing->n_pipes; i++) {
		const struct ipc9_pipe_info *info = &listing->pipes[i];
		char owner[OUTPUT_IDENTITY_BYTES];

		output_owner(&info->owner, owner);
		output_table_number(table, info->instances);
		if (info->max_instances == IPC9_PIPE_NO_LIMIT)
			output_table_text(table, "-");
		else
			output_table_number(table, info->max_instances);
		output_table_number(table, info->listening);
		output_table_text(table, pipe_type_word(info->type));
		output_table_text(table, pipe_access_word(info->access));
		output_table_text(table, owner);
		output_table_text(table, info->name);
	}
	return output_table_end(table);
}

static int pipe_list(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(pipe_listing_freep) struct ipc9_pipe_listing *listing = NULL;
	struct ipc9_error error;

	if (ipc9_pipe_list(ipc9, invocation_operand(invocation, 0), &listing, &error))
		return output_fail(invocation, &error);
	return invocation->json ? pipe_list_json(listing) : pipe_list_table(listing);
}

/* --- The noun ---------------------------------------------------------------------------------- */

static const struct option_row pipe_serve_option_rows[] = {
	RULES_OPTION_ROWS,
	{ .name = "first", .help = "fail if the pipe is there already, also if it is one's own" },
	{ .name = "instances",
	    .kind = OPTION_NUMBER,
	    .value = "N",
	    .minimum = 1,
	    .maximum = 255,
	    .help = "allow N instances at once (1; with CMD 255, no limit)" },
	{ .name = "local-only", .help = "admit programs of this host only" },
	{ .name = "message", .help = "make a message pipe: each line is a message" },
	{ .name = NULL },
};

static const struct option_row pipe_open_option_rows[] = {
	{ .name = "server",
	    .kind = OPTION_TEXT,
	    .value = "uid:N",
	    .help = "send nothing unless that user serves the pipe" },
	{ .name = NULL },
};

static const struct option_row pipe_call_option_rows[] = {
	{ .name = "timeout",
	    .kind = OPTION_NUMBER,
	    .value = "MS",
	    .maximum = INT_MAX,
	    .help = "wait at most MS ms in all, then end with status 3 (for ever)" },
	{ .name = NULL },
};

static const struct option_row pipe_wait_option_rows[] = {
	{ .name = "default", .help = "wait as long as the pipe's server said" },
	{ .name = "timeout",
	    .kind = OPTION_NUMBER,
	    .value = "MS",
	    .maximum = INT_MAX,
	    .help = "wait at most MS ms, then end with status 3 (for ever)" },
	{ .name = NULL },
};

static const struct verb pipe_verbs[] = {
	{ .name = "serve",
	    .summary = "Creates a pipe on this host and serves its clients",
	    .operands = "NAME",
	    .min_operands = 1,
	    .max_operands = 1,
	    .command = true,
	    .options = pipe_serve_option_rows,
	    .run = pipe_serve,
	    .about =
		"Without CMD: one client, on standard input and output.  The end of standard input ends\n"
		"that direction only.  It is over when the client has closed, or both directions have\n"
		"ended.\n"
		"\n"
		"With CMD: every client gets a CMD of its own with its standard input and output on the\n"
		"pipe, at most N at once, until interrupted.  CMD finds who the client is in\n"
		"IPC9_PEER_UID, IPC9_PEER_HOST and IPC9_PEER_HOW (none, kernel, claimed, kerberos,\n"
		"certificate).  A client that is lost while it sends: CMD gets SIGHUP.\n"
		"\n"
		"With --message a line without its newline is one message, and a message received is\n"
		"written with a newline after it.\n" },
	{ .name = "open",
	    .summary = "Connects standard input and output to a pipe",
	    .operands = "//HOST/pipe/NAME",
	    .min_operands = 1,
	    .max_operands = 1,
	    .options = pipe_open_option_rows,
	    .run = pipe_open,
	    .about =
		"The end of standard input ends that direction; it is over when the server has closed.  On\n"
		"a message pipe each line is a message.  A server that vanishes, or closes before it was\n"
		"sent everything, is an error, status 1.\n" },
	{ .name = "call",
	    .summary = "Sends one message to a message pipe and writes out the reply",
	    .operands = "//HOST/pipe/NAME [REQUEST]",
	    .min_operands = 1,
	    .max_operands = 2,
	    .json = true,
	    .options = pipe_call_option_rows,
	    .run = pipe_call,
	    .about =
		"Without REQUEST all of standard input is the request, at most 1048576 bytes.  Waits for a\n"
		"free instance if need be, and closes the pipe after one reply, whose bytes are written and\n"
		"nothing else; with --json as size_bytes, and data, or data_base64 if it is not UTF-8.  The\n"
		"request is never sent twice: where the server is lost before its reply status 1 says that\n"
		"it may have been read or not.\n" },
	{ .name = "wait",
	    .summary = "Waits until a pipe has a free instance",
	    .operands = "//HOST/pipe/NAME",
	    .min_operands = 1,
	    .max_operands = 1,
	    .options = pipe_wait_option_rows,
	    .run = pipe_wait,
	    .about =
		"Status 0 reserves nothing: somebody else may be faster.  A pipe that has no instance at all\n"
		"is status 3 at once.\n" },
	{ .name = "info",
	    .summary = "Tells about one pipe",
	    .operands = "//HOST/pipe/NAME",
	    .min_operands = 1,
	    .max_operands = 1,
	    .json = true,
	    .run = pipe_info },
	{ .name = "ls",
	    .summary = "Lists the pipes of a host",
	    .operands = "[//HOST]",
	    .max_operands = 1,
	    .json = true,
	    .run = pipe_list },
	{ .run = NULL },
};

static const struct example pipe_examples[] = {
	{ .command = "ipc9 pipe serve unpack -- tar x", .what = "on alpha: unpack what comes" },
	{ .command = "tar c . | ipc9 pipe open //alpha/pipe/unpack", .what = "send it a tree" },
	{ .command =
		"ipc9 pipe serve sum --instances 4 -- awk '{s+=$1} END{printf \"%.0f\\n\", s}'",
	    .what = "at most four at once" },
	{ .command = "seq 1000000 | ipc9 pipe open //alpha/pipe/sum", .what = "prints the sum" },
	{ .command = "ipc9 pipe serve talk", .what = "talk to one client from here" },
	{ .command = "ipc9 pipe serve calc --message --local-only -- bc -l",
	    .what = "one line, one message" },
	{ .command = "ipc9 pipe call //./pipe/calc 6*7", .what = "a question and its answer" },
	{ .command = "ipc9 pipe wait //alpha/pipe/sum --timeout 5000",
	    .what = "until an instance is free" },
	{ .command = "ipc9 pipe ls //alpha", .what = "what is there" },
	{ .command = NULL },
};

const struct noun pipe_noun = {
	.name = "pipe",
	.summary = "Two-way connections to a named server, of bytes or messages",
	.verbs = pipe_verbs,
	.examples = pipe_examples,
};
