/* SPDX-License-Identifier: BSD-3-Clause */
/* test_names.c - one grammar of names: the same decision by the parser, the library and a daemon that is asked raw. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ipc9.h"
#include "rpcgen-out/clipboard.h"
#include "rpcgen-out/control.h"
#include "rpcgen-out/mailslot.h"
#include "rpcgen-out/pipe.h"
#include "tests/daemon.h"
#include "tests/harness.h"
#include "util/name.h"
#include "util/text.h"
#include "xdr/stream.h"

#define X16 "xxxxxxxxxxxxxxxx"
#define X255 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 X16 "xxxxxxxxxxxxxxx"

/* size: with what stands behind a NUL. */
static const struct sample {
	const char *text;
	size_t size;
	bool good;
	bool nul, board; /* what C takes for another name; what is one's own board */
} samples[] = {
#define SAMPLE(TEXT, GOOD)                                                                         \
	{                                                                                          \
		.text = (TEXT), .size = sizeof(TEXT) - 1, .good = (GOOD)                           \
	}
	SAMPLE("x", true),
	SAMPLE(".", true),
	SAMPLE("..", true),
	SAMPLE("../../etc/passwd", true),
	SAMPLE("/etc/passwd", true),
	SAMPLE("a\\b", true),
	SAMPLE(" ", true),
	SAMPLE("\xc3\xa9", true),
	SAMPLE("a\xe2\x80\xae"
	       "b",
	    true), /* U+202E; listings escape it */
	SAMPLE("x~@", true),
	SAMPLE(X255, true),
	SAMPLE("", false),
	SAMPLE(X255 "x", false),
	SAMPLE("a\nb", false),
	SAMPLE("a\x1b[2Jb", false),
	SAMPLE("\x7f", false),
	SAMPLE("a\xc2\x9b"
	       "b",
	    false), /* U+009B, a C1 control */
	SAMPLE("\xff", false),
	SAMPLE("a\xc3", false),
	SAMPLE("\xc0\xaf", false), /* overlong '/' */
	SAMPLE("\xed\xa0\x80", false),
	SAMPLE("~x", false),
	SAMPLE("@x", false),
	{ .text = "~", .size = 1, .board = true },
	{ .text = "a\0b", .size = 3, .nul = true },
#undef SAMPLE
};

#define N_SAMPLES (sizeof(samples) / sizeof(samples[0]))

static void tell(size_t i, const char *where)
{
	printf("  sample %zu, %s\n", i, where);
}

/* --- The daemon -------------------------------------------------------------------------------- */

/* What the procedures below take beside a name, for XDR that checks nothing. */
struct raw {
	const struct sample *sample;
	enum {
		NAME_ALONE,
		BEHIND_MECHANISM,
		PIPE_CREATE,
		PIPE_OPEN,
		SLOT_CREATE,
		SLOT_SEND
	} shape;
};

static bool_t put_words(XDR *xdrs, unsigned n, const unsigned *words)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned word = words[i];

		if (!xdr_u_int(xdrs, &word))
			return FALSE;
	}
	return TRUE;
}

static bool_t xdr_raw(XDR *xdrs, struct raw *raw)
{
	static const unsigned create[] = { IPC9_PIPE_BYTE, IPC9_PIPE_DUPLEX, 1, 0, 0, 0, 0 },
			      open[] = { IPC9_PIPE_OPEN_READ }, slot[] = { 0, 0, 0 };
	/* A message of its own each. */
	const unsigned send[] = { 1, 2, 3, 4, 0, (unsigned)(raw->sample - samples), 0, 0 };
	char *bytes = (char *)(uintptr_t)raw->sample->text, *mechanism = (char[]){ "pipe" };
	u_int size = (u_int)raw->sample->size;

	if (raw->shape == BEHIND_MECHANISM && !xdr_string(xdrs, &mechanism, 16))
		return FALSE;
	if (!xdr_bytes(xdrs, &bytes, &size, 1024))
		return FALSE;
	switch (raw->shape) {
	case NAME_ALONE:
	case BEHIND_MECHANISM:
		break;
	case PIPE_CREATE:
		return put_words(xdrs, 7, create);
	case PIPE_OPEN:
		return put_words(xdrs, 1, open);
	case SLOT_CREATE:
		return put_words(xdrs, 3, slot);
	case SLOT_SEND:
		return put_words(xdrs, 8, send);
	}
	return TRUE;
}

/* Takes the status and leaves the rest. */
static bool_t xdr_status(XDR *xdrs, int *status)
{
	return xdr_int(xdrs, status);
}

static const struct asked {
	const char *what;
	uint32_t program, procedure;
	int shape;
	bool board;
} asked[] = {
	{ "pipe CREATE", IPC9_PROG_PIPE, IPC9_PIPEPROC_CREATE, PIPE_CREATE, false },
	{ "pipe OPEN", IPC9_PROG_PIPE, IPC9_PIPEPROC_OPEN, PIPE_OPEN, false },
	{ "mailslot CREATE", IPC9_PROG_MAILSLOT, IPC9_MAILSLOTPROC_CREATE, SLOT_CREATE, false },
	{ "mailslot SEND", IPC9_PROG_MAILSLOT, IPC9_MAILSLOTPROC_SEND, SLOT_SEND, false },
	{ "mailslot INFO", IPC9_PROG_MAILSLOT, IPC9_MAILSLOTPROC_INFO, NAME_ALONE, false },
	{ "clipboard BEGIN", IPC9_PROG_CLIPBOARD, IPC9_CLIPBOARDPROC_BEGIN, NAME_ALONE, true },
	{ "clipboard LIST", IPC9_PROG_CLIPBOARD, IPC9_CLIPBOARDPROC_LIST, NAME_ALONE, true },
	{ "clipboard CLEAR", IPC9_PROG_CLIPBOARD, IPC9_CLIPBOARDPROC_CLEAR, NAME_ALONE, true },
	{ "control ACL_GET", IPC9_PROG_CONTROL, IPC9_CONTROLPROC_ACL_GET, BEHIND_MECHANISM, false },
};

static bool daemon_takes(const struct daemon_fixture *d, const struct asked *a,
    const struct sample *sample)
{
	CLIENT *c = daemon_client(d, true, a->program);
	struct raw raw = { .sample = sample, .shape = a->shape };
	const struct timeval unused = { 5, 0 };
	int status = -1;
	enum clnt_stat stat = clnt_call(c, a->procedure, (xdrproc_t)xdr_raw, (char *)&raw,
	    (xdrproc_t)xdr_status, (char *)&status, unused);

	clnt_destroy(c);
	/* What is over the bound or has a NUL is no name in XDR either. */
	if (stat == RPC_CANTDECODEARGS)
		return false;
	EQUAL(stat, RPC_SUCCESS);
	HOLDS(status == 0 || status == IPC9_STATUS_BADNAME || status == IPC9_STATUS_NOENT ||
	    status == IPC9_STATUS_EXISTS);
	return status != IPC9_STATUS_BADNAME;
}

/* --- The library ------------------------------------------------------------------------------- */

static bool library_takes(struct ipc9 *ipc9, const char *mechanism, const char *name)
{
	char full[600];
	struct ipc9_clipboard_listing *board = NULL;
	struct ipc9_mailslot_listing *slots = NULL;
	struct ipc9_acl_listing *list = NULL;
	struct ipc9_pipe *pipe = NULL;
	struct ipc9_error e;
	int r, r_acl;

	text_format(full, sizeof(full), "//./%s/%s", mechanism, name);
	if (*mechanism == 'p')
		r = ipc9_pipe_open(ipc9, full, &pipe, &e);
	else if (*mechanism == 'm')
		r = ipc9_mailslot_info(ipc9, full, &slots, &e);
	else
		r = ipc9_clipboard_list(ipc9, full, &board, &e);
	r_acl = ipc9_acl_get(ipc9, full, &list, &e);
	ipc9_clipboard_listing_free(board);
	ipc9_mailslot_listing_free(slots);
	ipc9_acl_listing_free(list);
	ipc9_pipe_close(pipe);
	EQUAL(r == IPC9_E_BADNAME, r_acl == IPC9_E_BADNAME);
	return r != IPC9_E_BADNAME;
}

static void test_parser_library_and_daemon_decide_alike(void)
{
	static const char *const mechanisms[] = { "pipe", "mailslot", "clipboard" };
	struct ipc9_options options = { .timeout_ms = 5000 };
	struct daemon_fixture d;
	struct ipc9 *ipc9 = NULL;
	struct ipc9_error e;

	daemon_start(&d, "");
	options.socket = d.socket;
	EQUAL(ipc9_new(&options, &ipc9, &e), 0);
	for (size_t i = 0; i < N_SAMPLES; i++) {
		const struct sample *s = &samples[i];

		if (!s->nul && !EQUAL(!name_check_object(s->text, false), s->good))
			tell(i, "the parser");
		for (size_t k = 0; k < sizeof(asked) / sizeof(asked[0]); k++)
			if (!EQUAL(daemon_takes(&d, &asked[k], s),
				s->good || (s->board && asked[k].board)))
				tell(i, asked[k].what);
		for (size_t k = 0; k < 3 && !s->nul; k++)
			if (!EQUAL(library_takes(ipc9, mechanisms[k], s->text),
				s->good || (s->board && k == 2)))
				tell(i, mechanisms[k]);
	}
	ipc9_free(ipc9);
	daemon_end(&d); /* which fails where a name left a file */
}

static void test_what_steers_a_terminal_is_found(void)
{
	static const struct {
		const char *text;
		size_t size;
	} cases[] = {
		{ "a", 0 }, { "\n", 1 }, { "\x1b[2J", 1 }, { "\x7f", 1 },
		{ "\xc2\x80", 2 },	   /* U+0080, the first C1 control */
		{ "\xc2\x9f", 2 },	   /* U+009F, the last */
		{ "\xc2\xa0", 0 },	   /* U+00A0 */
		{ "\xd8\x9b", 0 },	   /* U+061B */
		{ "\xd8\x9c", 2 },	   /* U+061C */
		{ "\xe2\x80\x8d", 0 },	   /* U+200D, of which emoji are made */
		{ "\xe2\x80\x8e", 3 },	   /* U+200E */
		{ "\xe2\x80\x8f", 3 },	   /* U+200F */
		{ "\xe2\x80\xa7", 0 },	   /* U+2027 */
		{ "\xe2\x80\xa8", 3 },	   /* U+2028 */
		{ "\xe2\x80\xaa", 3 },	   /* U+202A */
		{ "\xe2\x80\xae", 3 },	   /* U+202E */
		{ "\xe2\x80\xaf", 0 },	   /* U+202F */
		{ "\xe2\x81\xa5", 0 },	   /* U+2065 */
		{ "\xe2\x81\xa6", 3 },	   /* U+2066 */
		{ "\xe2\x81\xa9", 3 },	   /* U+2069 */
		{ "\xe2\x81\xaa", 0 },	   /* U+206A */
		{ "\xef\xbb\xbf", 3 },	   /* U+FEFF */
		{ "\xf0\x9f\x98\x80", 0 }, /* U+1F600 */
		{ "\x80", 0 },		   /* no UTF-8 */
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!EQUAL(text_steering(cases[i].text, strlen(cases[i].text)), cases[i].size))
			printf("  case %zu\n", i);
	EQUAL(text_steering("\xe2\x80\xae", 2), 0);
	EQUAL(text_steering("", 0), 0);
}

SUITE(names, TEST(test_parser_library_and_daemon_decide_alike),
    TEST(test_what_steers_a_terminal_is_found));
