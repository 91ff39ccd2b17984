/* SPDX-License-Identifier: BSD-3-Clause */
/* test_control.c - control.x, and what every program does alike, against a real daemon. */
#include "rpcgen-out/control.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpcgen-out/bench.h"
#include "rpcgen-out/clipboard.h"
#include "rpcgen-out/mailslot.h"
#include "rpcgen-out/pipe.h"
#include "tests/daemon.h"
#include "tests/harness.h"

static const uint32_t programs[] = { IPC9_PROG_CONTROL, IPC9_PROG_CLIPBOARD, IPC9_PROG_MAILSLOT,
	IPC9_PROG_PIPE, IPC9_PROG_BENCH };

#define XDR_NOTHING ((xdrproc_t)(void (*)(void))xdr_void)

static void test_status_tells_who_and_where(void)
{
	struct daemon_fixture d;
	ipc9_status_res res = { 0 };
	const ipc9_status_ok *ok = &res.ipc9_status_res_u.ok;
	CLIENT *c;

	daemon_start(&d, "domain = lab\n");
	c = daemon_client(&d, true, IPC9_PROG_CONTROL);
	EQUAL(ipc9_controlproc_status_1(NULL, &res, c), RPC_SUCCESS);
	if (EQUAL(res.status, 0)) {
		SAME_TEXT(ok->domain, "lab");
		SAME_TEXT(ok->rpcbind, "not used");
		EQUAL(ok->pid, d.pid);
		EQUAL(ok->you.uid, getuid());
		HOLDS(ok->addresses.addresses_len >= 2);
		HOLDS(ok->counters.counters_len > 5);
	}
	xdr_free((xdrproc_t)xdr_ipc9_status_res, &res);
	clnt_destroy(c);
	daemon_end(&d);
}

static void test_every_program_answers_null_to_everybody(void)
{
	struct daemon_fixture d;

	daemon_start(&d, "deny = anyone all\n");
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		for (int local = 0; local < 2; local++) {
			CLIENT *c = daemon_client(&d, local, programs[i]);
			const struct timeval unused = { 0 };

			EQUAL(clnt_call(c, 0, XDR_NOTHING, NULL, XDR_NOTHING, NULL, unused),
			    RPC_SUCCESS);
			clnt_destroy(c);
		}
	}
	daemon_end(&d);
}

static void test_versions_procedures_and_arguments_that_do_not_exist(void)
{
	const struct timeval unused = { 0 };
	struct daemon_fixture d;

	daemon_start(&d, "");
	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
		CLIENT *c = daemon_client(&d, true, programs[i]);
		rpcvers_t version = 2;
		struct rpc_err error;
		uint32_t surplus = 1;

		EQUAL(clnt_call(c, 99, XDR_NOTHING, NULL, XDR_NOTHING, NULL, unused),
		    RPC_PROCUNAVAIL);
		EQUAL(clnt_call(c, 0, (xdrproc_t)xdr_uint32_t, &surplus, XDR_NOTHING, NULL, unused),
		    RPC_CANTDECODEARGS);
		HOLDS(clnt_control(c, CLSET_VERS, &version));
		EQUAL(clnt_call(c, 0, XDR_NOTHING, NULL, XDR_NOTHING, NULL, unused),
		    RPC_PROGVERSMISMATCH);
		clnt_geterr(c, &error);
		EQUAL(error.re_vers.low, 1);
		EQUAL(error.re_vers.high, 1);
		clnt_destroy(c);
	}
	daemon_end(&d);
}

/* Words that are put on the wire as they lie. */
struct raw_words {
	uint32_t words[8];
	u_int n;
};

static bool_t xdr_raw_words(XDR *xdrs, struct raw_words *raw)
{
	return xdr_opaque(xdrs, (char *)raw->words, raw->n * 4);
}

/* A claim of 2 GiB in each procedure's first variable-length field, and every truncation of a word. */
static void test_no_claimed_length_is_believed(void)
{
	static const struct {
		uint32_t program, procedure, words_before;
	} fields[] = {
		{ IPC9_PROG_CONTROL, IPC9_CONTROLPROC_ACL_GET, 0 },
		{ IPC9_PROG_CONTROL, IPC9_CONTROLPROC_ACL_SET, 0 },
		{ IPC9_PROG_CONTROL, IPC9_CONTROLPROC_ACL_SET,
		    2 }, /* the list, behind two empty names */
		{ IPC9_PROG_CONTROL, IPC9_CONTROLPROC_ACL_TEST, 0 },
		{ IPC9_PROG_CLIPBOARD, IPC9_CLIPBOARDPROC_BEGIN, 0 },
		{ IPC9_PROG_CLIPBOARD, IPC9_CLIPBOARDPROC_ADD, 2 },
		{ IPC9_PROG_CLIPBOARD, IPC9_CLIPBOARDPROC_PUT, 2 },
		{ IPC9_PROG_CLIPBOARD, IPC9_CLIPBOARDPROC_GET, 0 },
		{ IPC9_PROG_CLIPBOARD, IPC9_CLIPBOARDPROC_LIST, 0 },
		{ IPC9_PROG_CLIPBOARD, IPC9_CLIPBOARDPROC_CLEAR, 0 },
		{ IPC9_PROG_MAILSLOT, IPC9_MAILSLOTPROC_CREATE, 0 },
		{ IPC9_PROG_MAILSLOT, IPC9_MAILSLOTPROC_SEND, 0 },
		{ IPC9_PROG_MAILSLOT, IPC9_MAILSLOTPROC_SENDALL, 0 },
		{ IPC9_PROG_MAILSLOT, IPC9_MAILSLOTPROC_INFO, 0 },
		{ IPC9_PROG_MAILSLOT, IPC9_MAILSLOTPROC_LIST, 0 },
		{ IPC9_PROG_PIPE, IPC9_PIPEPROC_CREATE, 0 },
		{ IPC9_PROG_PIPE, IPC9_PIPEPROC_OPEN, 0 },
		{ IPC9_PROG_PIPE, IPC9_PIPEPROC_WRITE, 3 },
		{ IPC9_PROG_PIPE, IPC9_PIPEPROC_LIST, 0 },
		{ IPC9_PROG_BENCH, IPC9_BENCHPROC_ECHO, 0 },
		{ IPC9_PROG_BENCH, IPC9_BENCHPROC_SINK, 0 },
	};
	const struct timeval unused = { 0 };
	struct daemon_fixture d;

	daemon_start(&d, "");
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		CLIENT *c = daemon_client(&d, true, fields[i].program);

		for (uint32_t words = 0; words <= fields[i].words_before + 1; words++) {
			struct raw_words raw = { .n = words };

			raw.words[fields[i].words_before] = htonl(0x7ffffff0);
			if (!EQUAL(clnt_call(c, fields[i].procedure, (xdrproc_t)xdr_raw_words, &raw,
				       XDR_NOTHING, NULL, unused),
				RPC_CANTDECODEARGS))
				printf("  program %x procedure %u words %u\n", fields[i].program,
				    fields[i].procedure, words);
			daemon_patience(c, 5000);
		}
		clnt_destroy(c);
	}
	daemon_end(&d);
}

static void test_sigterm_ends_it_while_clients_wait(void)
{
	struct daemon_fixture d;
	CLIENT *c[20];

	daemon_start(&d, "");
	for (int i = 0; i < 20; i++)
		c[i] = daemon_client(&d, i % 2, IPC9_PROG_CONTROL);
	daemon_end(&d);
	for (int i = 0; i < 20; i++)
		clnt_destroy(c[i]);
}

SUITE(control, TEST(test_status_tells_who_and_where),
    TEST(test_every_program_answers_null_to_everybody),
    TEST(test_versions_procedures_and_arguments_that_do_not_exist),
    TEST(test_no_claimed_length_is_believed), TEST(test_sigterm_ends_it_while_clients_wait));
