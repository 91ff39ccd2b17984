/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc.c - ipc9 rpc: ls, ping and call, for any server of ONC RPC; and what these share.
 */
#include "cli/rpc.h"

#include <errno.h>
#include <limits.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "util/name.h"
#include "util/text.h"

#define RPC_TIMEOUT_MS 10000
#define RPC_FOREVER_S 100000000 /* the longest that a handle takes */

/* --- Programs ---------------------------------------------------------------------------------- */

static const struct rpc_program_row {
	uint32_t number;
	const char *name;
} rpc_programs[] = {
	{ 0x20490001, "ipc9.clipboard" },
	{ 0x20490002, "ipc9.datacopy" },
	{ 0x20490003, "ipc9.mailslot" },
	{ 0x20490004, "ipc9.pipe" },
	{ 0x20490005, "ipc9.dde" },
	{ 0x20490006, "ipc9.filemap" },
	{ 0x20490007, "ipc9.com" },
	{ 0x20490008, "ipc9.rpc" },
	{ 0x20490009, "ipc9.socket" },
	{ 0x2049000a, "ipc9.control" },
	{ 0x2049000b, "ipc9.bench" },
	{ 100000, "rpcbind" },
	{ 100000, "portmapper" },
	{ 100001, "rstatd" },
	{ 100002, "rusersd" },
	{ 100003, "nfs" },
	{ 100004, "ypserv" },
	{ 100005, "mountd" },
	{ 100007, "ypbind" },
	{ 100008, "walld" },
	{ 100009, "yppasswdd" },
	{ 100011, "rquotad" },
	{ 100012, "sprayd" },
	{ 100017, "rexd" },
	{ 100021, "nlockmgr" },
	{ 100024, "status" },
	{ 100026, "bootparam" },
	{ 100028, "ypupdated" },
	{ 100029, "keyserv" },
	{ 100227, "nfs_acl" },
	{ 100300, "nisd" },
	{ 100303, "nispasswd" },
	{ 150001, "pcnfsd" },
};

#define RPC_PROGRAMS (sizeof(rpc_programs) / sizeof(rpc_programs[0]))

const char *rpc_program_name(uint32_t program)
{
	struct rpcent *entry;

	for (size_t i = 0; i < RPC_PROGRAMS; i++)
		if (rpc_programs[i].number == program)
			return rpc_programs[i].name;
	if (program > INT_MAX)
		return NULL;
	entry = getrpcbynumber((int)program);
	return entry ? entry->r_name : NULL;
}

int rpc_number_parse(const char *text, uint32_t *ret_number)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = text + (hex ? 2 : 0);
	unsigned long long number;
	char *end;

	if (*digits == '\0' ||
	    digits[strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789")] != '\0')
		return -1;
	errno = 0;
	number = strtoull(digits, &end, hex ? 16 : 10);
	if (errno != 0 || number > UINT32_MAX)
		return -1;
	*ret_number = (uint32_t)number;
	return 0;
}

int rpc_program_parse(const char *text, uint32_t *ret_program)
{
	struct rpcent *entry;

	if (rpc_number_parse(text, ret_program) == 0)
		return 0;
	for (size_t i = 0; i < RPC_PROGRAMS; i++)
		if (strcasecmp(text, rpc_programs[i].name) == 0) {
			*ret_program = rpc_programs[i].number;
			return 0;
		}
	entry = getrpcbyname(text);
	if (!entry || entry->r_number < 0)
		return -1;
	*ret_program = (uint32_t)entry->r_number;
	return 0;
}

/* --- Hosts ------------------------------------------------------------------------------------- */

static int rpc_host_refuse(const struct invocation *invocation, const char *text, const char *why)
{
	struct ipc9_error error = { .code = IPC9_E_BADNAME };

	text_format(error.text, sizeof(error.text), "%.200s: not a valid host: %s", text, why);
	return output_fail(invocation, &error);
}

int rpc_host_parse(const struct invocation *invocation, const char *text, struct rpc_host *ret_host)
{
	struct rpc_host host = { .text = text };
	char with_slashes[NAME_TEXT_MAX + 16];
	const char *why, *brackets[2];
	struct name name;

	if (text[0] == '/' && text[1] != '/') {
		text_format(host.rpcbind[0], sizeof(host.rpcbind[0]), "%s", text);
		*ret_host = host;
		return 0;
	}
	if (strncmp(text, "//", 2) != 0 && strncmp(text, "\\\\", 2) != 0) {
		text_format(with_slashes, sizeof(with_slashes), "//%s", text);
		text = with_slashes;
	}
	why = name_parse(text, "rpc", &name);
	if (!why && name.scope == NAME_DOMAIN)
		why = "it stands for every host of a domain";
	if (!why && name.object[0] != '\0' && rpc_number_parse(name.object, &host.program) < 0)
		why = "the part behind rpc/ is a program's number";
	if (why)
		return rpc_host_refuse(invocation, host.text, why);
	brackets[0] = strchr(name.host, ':') ? "[" : "";
	brackets[1] = strchr(name.host, ':') ? "]" : "";
	host.asks_rpcbind = name.port == 0;
	if (name.scope == NAME_LOCAL) {
		text_format(host.rpcbind[0], sizeof(host.rpcbind[0]), "/run/rpcbind.sock");
		text_format(host.rpcbind[1], sizeof(host.rpcbind[1]), "127.0.0.1:111");
	} else {
		text_format(host.rpcbind[0], sizeof(host.rpcbind[0]), "%s%s%s:%u", brackets[0],
		    name.host, brackets[1], name.port ? name.port : 111);
	}
	*ret_host = host;
	return 0;
}

/* --- Calls ------------------------------------------------------------------------------------- */

int rpc_timeout_ms(const struct invocation *invocation)
{
	const char *text = invocation_text(invocation, "timeout");
	uint32_t number;

	if (!text)
		text = getenv("IPC9_TIMEOUT");
	if (!text || rpc_number_parse(text, &number) < 0 || number > INT_MAX)
		return RPC_TIMEOUT_MS;
	return number == 0 ? IPC9_FOREVER : (int)number;
}

struct timeval rpc_timeout(const struct invocation *invocation)
{
	int ms = rpc_timeout_ms(invocation);

	if (ms == IPC9_FOREVER)
		return (struct timeval){ .tv_sec = RPC_FOREVER_S };
	return (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
}

int rpc_connect(const struct invocation *invocation, const struct rpc_target *target, bool quiet,
    CLIENT **ret_client)
{
	struct ipc9_rpc_options options = { .timeout_ms = rpc_timeout_ms(invocation),
		.udp = target->udp,
		.anonymous = target->anonymous };
	struct ipc9_error error = { .code = IPC9_E_SYSTEM };
	CLIENT *client =
	    ipc9_rpc_client(target->text, target->program, target->version, &options, &error);

	if (!client)
		return quiet ? EXIT_FAILED : output_fail(invocation, &error);
	output_note(invocation, "%s: connected", target->text);
	*ret_client = client;
	return 0;
}

bool_t rpc_nothing_xdr(XDR *xdrs, void *nothing)
{
	(void)xdrs, (void)nothing;
	return TRUE;
}

/* Why, in words, and the exit status. */
static int rpc_reason(const struct rpc_err *error, char *text, size_t size)
{
	switch (error->re_status) {
	case RPC_CANTSEND:
	case RPC_CANTRECV:
		text_format(text, size, "the connection is lost: %s",
		    error->re_errno ? strerror(error->re_errno) : "closed by the server");
		return EXIT_UNREACHED;
	case RPC_TIMEDOUT:
		text_format(text, size, "no answer in time; --timeout says how long to wait");
		return EXIT_UNREACHED;
	case RPC_VERSMISMATCH:
		text_format(text, size, "the server speaks another version of RPC");
		return EXIT_VERSION;
	case RPC_PROGUNAVAIL:
		text_format(text, size, "the server does not have this program");
		return EXIT_VERSION;
	case RPC_PROGVERSMISMATCH:
		text_format(text, size, "the server has versions %u to %u of this program",
		    (unsigned)error->re_vers.low, (unsigned)error->re_vers.high);
		return EXIT_VERSION;
	case RPC_PROCUNAVAIL:
		text_format(text, size, "the server does not have this procedure");
		return EXIT_VERSION;
	case RPC_AUTHERROR:
		text_format(text, size, "the server refuses the credential (%s)",
		    error->re_why == AUTH_TOOWEAK ? "too weak; --auth sys says who calls"
			: error->re_why == AUTH_REJECTEDCRED || error->re_why == AUTH_BADCRED
			? "it is not taken there"
			: "see the server's log");
		return EXIT_REFUSED;
	case RPC_CANTDECODEARGS:
		text_format(text, size, "the server does not understand the arguments");
		return EXIT_FAILED;
	case RPC_SYSTEMERROR:
		text_format(text, size, "the server is in trouble of its own; see its log");
		return EXIT_FAILED;
	default:
		text_format(text, size, "%s", clnt_sperrno(error->re_status));
		return EXIT_FAILED;
	}
}

int rpc_fail(CLIENT *client, const struct rpc_target *target)
{
	struct rpc_err error = { .re_status = RPC_FAILED };
	char why[200];
	int status;

	clnt_geterr(client, &error);
	status = rpc_reason(&error, why, sizeof(why));
	output_error("%.200s: program %u version %u: %s", target->text, target->program,
	    target->version, why);
	return status;
}

/* --- The noun ---------------------------------------------------------------------------------- */

static const struct option_row rpc_ping_options[] = {
	{ .name = "count",
	    .kind = OPTION_NUMBER,
	    .value = "N",
	    .minimum = 1,
	    .maximum = 1000000,
	    .help = "call N times (10)" },
	{ .name = "interval",
	    .kind = OPTION_NUMBER,
	    .value = "MS",
	    .maximum = INT_MAX,
	    .help = "wait MS ms after each call (100)" },
	{ .name = "udp", .help = "use datagrams instead of a connection" },
	{ .name = NULL },
};

static const struct option_row rpc_call_options[] = {
	{ .name = "auth",
	    .kind = OPTION_TEXT,
	    .value = "FLAVOR",
	    .help = "say who calls: sys, or none (sys; on a local socket none)" },
	{ .name = "idl",
	    .kind = OPTION_TEXT,
	    .value = "FILE.x",
	    .help = "the interface, in the language of rpcgen; always needed" },
	{ .name = "list", .help = "show the procedures of FILE.x and call none" },
	{ .name = "prog",
	    .kind = OPTION_TEXT,
	    .value = "PROG",
	    .help = "the program, by name or number, if FILE.x has several" },
	{ .name = "udp", .help = "use datagrams instead of a connection" },
	{ .name = "vers",
	    .kind = OPTION_TEXT,
	    .value = "VERS",
	    .help = "its version, by name or number, if FILE.x has several" },
	{ .name = NULL },
};

static const struct verb rpc_verbs[] = {
	{ .name = "ls",
	    .summary = "Lists what is registered with the rpcbind of a host",
	    .operands = "[HOST]",
	    .max_operands = 1,
	    .json = true,
	    .run = rpc_run_list,
	    .about =
		"HOST is //HOST, HOST:PORT (of an rpcbind that is not on port 111) or the path of rpcbind's\n"
		"socket; without it, this host.\n" },
	{ .name = "ping",
	    .summary = "Calls procedure 0 of a program and tells how long the answers take",
	    .operands = "HOST PROG [VERS]",
	    .min_operands = 2,
	    .max_operands = 3,
	    .json = true,
	    .options = rpc_ping_options,
	    .run = rpc_run_ping,
	    .about =
		"HOST is //HOST (rpcbind there tells the port), HOST:PORT or the path of a socket.  PROG is a\n"
		"number or a name that ls shows.  Without VERS the lowest version registered, else 1.\n" },
	{ .name = "call",
	    .summary =
		"Calls a procedure of any server: JSON in, JSON out, by the server's .x file",
	    .operands = "HOST PROC [JSON]",
	    .max_operands = 3,
	    .json = true,
	    .options = rpc_call_options,
	    .run = rpc_run_call,
	    .about =
		"PROC is the procedure's name, the part of it behind a _, or its number.  JSON is its\n"
		"argument: the text itself, - for standard input, or @FILE; an array if there are several\n"
		"arguments.  With --json the result is one line.  Types and JSON: ipc9-rpc(1).\n" },
	{ .run = NULL },
};

static const struct example rpc_examples[] = {
	{ .command = "ipc9 rpc ls //alpha", .what = "what does alpha serve?" },
	{ .command = "ipc9 rpc ping //alpha nfs 3 --count 100 --interval 0", .what = "how fast?" },
	{ .command = "ipc9 rpc call --idl mount.x --list", .what = "what could be called" },
	{ .command = "ipc9 rpc call //alpha --idl mount.x EXPORT", .what = "call it" },
	{ .command = "ipc9 rpc call h:700 --idl sum.x ADD '{\"a\": 1, \"b\": 2}'",
	    .what = "with arguments" },
	{ .command = NULL },
};

const struct noun rpc_noun = {
	.name = "rpc",
	.summary = "Any server of ONC RPC: find it, time it, call it",
	.verbs = rpc_verbs,
	.examples = rpc_examples,
};
