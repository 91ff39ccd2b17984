/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clipboard_paste.c - reading a format of a board.
 *
 * LIST tells what there is and its version; GETs name that version, so that they can be asked ahead, again,
 * and over another connection without ever mixing two items.
 *
 * 1. `offset` is where the next piece begins that was not taken from an answer; the GETs in the window are
 *    the pieces from there on, each PIECE bytes but for the format's last.
 * 2. What is more than one piece is read over a connection of its own: a reader who pauses leaves
 *    answers unread, and the daemon ends such a connection after a while.  It is then made anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "client/clipboard.h"
#include "client/error.h"
#include "client/wire.h"
#include "util/text.h"

#define PIECE IPC9_BLOB_MAX
#define PLAIN "text/plain"

struct ipc9_paste {
	struct link link;
	const char *type;
	ipc9_board_version version;
	uint64_t size_bytes;

	uint64_t offset;
	struct link_window asked;
	ipc9_clipboard_get_res piece; /* the answer at hand */
	uint32_t taken;		      /* bytes of it that the caller has */
};

LINK_ASSERT_RESULTS(ipc9_clipboard_get_res);

static const struct link_procedure get_procedure = {
	.number = IPC9_CLIPBOARDPROC_GET,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_clipboard_get_args, ipc9_clipboard_get_res),
};

/* --- Which format ------------------------------------------------------------------------------ */

/* Length of a type without its parameters. */
static size_t bare_length(const char *type)
{
	size_t n = strcspn(type, ";");

	while (n > 0 && type[n - 1] == ' ')
		n--;
	return n;
}

static const ipc9_board_format *find_format(const ipc9_clipboard_list_ok *list, const char *type)
{
	size_t len = bare_length(type);

	for (u_int i = 0; i < list->formats.formats_len; i++)
		if (strcasecmp(list->formats.formats_val[i].type, type) == 0)
			return &list->formats.formats_val[i];
	if (type[len])
		return NULL;
	for (u_int i = 0; i < list->formats.formats_len; i++) {
		const ipc9_board_format *format = &list->formats.formats_val[i];

		if (bare_length(format->type) == len && strncasecmp(format->type, type, len) == 0)
			return format;
	}
	return NULL;
}

static const ipc9_board_format *choose_format(const ipc9_clipboard_list_ok *list, const char *type)
{
	const ipc9_board_format *plain;

	if (list->formats.formats_len == 0)
		return NULL;
	if (type)
		return find_format(list, type);
	plain = find_format(list, PLAIN);
	return plain ? plain : &list->formats.formats_val[0];
}

/* There are formats, but not this one: says what there is. */
static int refuse_format(const struct target *target, const ipc9_clipboard_list_ok *list,
    const char *type, struct ipc9_error *e)
{
	char there[256] = "";

	for (u_int i = 0; i < list->formats.formats_len; i++) {
		size_t n = strlen(there);

		text_format(there + n, sizeof(there) - n, "%s%s", i ? ", " : "",
		    list->formats.formats_val[i].type);
	}
	return error_set(e, IPC9_E_NOFORMAT, "%s: it has no %.100s, but %s", target->subject, type,
	    there);
}

/* --- Beginning --------------------------------------------------------------------------------- */

static int paste_new(const struct link *link, const ipc9_clipboard_list_ok *list, const char *type,
    struct ipc9_paste **ret, struct ipc9_error *e)
{
	const ipc9_board_format *format = choose_format(list, type);
	struct ipc9_paste *paste;

	if (!format && list->formats.formats_len)
		return refuse_format(&link->target, list, type, e);
	if (!format)
		return error_set(e, IPC9_E_EMPTY, "%s: %s", link->target.subject,
		    ipc9_strerror(IPC9_E_EMPTY));
	paste = calloc(1, sizeof(*paste));
	if (paste)
		paste->type = wire_text(format->type);
	if (!paste || !paste->type) {
		free(paste);
		return error_set_own(e, -ENOMEM);
	}
	paste->version = list->current;
	paste->size_bytes = format->size_bytes;
	link_init(&paste->link, link->ipc9, link->program, &link->target,
	    paste->size_bytes > PIECE);
	*ret = paste;
	return 0;
}

int ipc9_paste_begin(struct ipc9 *ipc9, const char *board, const char *type,
    struct ipc9_paste **ret, struct ipc9_error *e)
{
	ipc9_clipboard_list_res list;
	ipc9_name_args args;
	struct target target;
	struct link link;
	int r;

	r = target_board(board, &target, e);
	if (r)
		return r;
	if (type && strlen(type) > IPC9_FORMAT_TYPE_MAX)
		return error_set(e, IPC9_E_INVALID, "%s: a format's type has at most %d bytes",
		    target.subject, IPC9_FORMAT_TYPE_MAX);
	link_init(&link, ipc9, IPC9_PROG_CLIPBOARD, &target, false);
	args.name = link.target.name.object;
	r = link_call(&link, &clipboard_list_procedure, &args, &list, context_deadline(ipc9), e);
	link_close(&link);
	if (r)
		return r;
	r = paste_new(&link, &list.ipc9_clipboard_list_res_u.ok, type, ret, e);
	xdr_free(clipboard_list_procedure.results, &list);
	return r;
}

const char *ipc9_paste_type(const struct ipc9_paste *paste)
{
	return paste->type;
}

uint64_t ipc9_paste_size_bytes(const struct ipc9_paste *paste)
{
	return paste->size_bytes;
}

/* --- Reading ----------------------------------------------------------------------------------- */

static uint32_t piece_bytes(const struct ipc9_paste *paste, uint64_t offset)
{
	uint64_t left = paste->size_bytes - offset;

	return left < PIECE ? (uint32_t)left : PIECE;
}

/* Asks ahead as far as the window goes.  False: *ret_try says why not. */
static bool ask_ahead(struct ipc9_paste *paste, struct link_try *ret_try)
{
	uint64_t offset = paste->offset + (uint64_t)paste->asked.n * PIECE;

	while (paste->asked.n < LINK_WINDOW && offset < paste->size_bytes) {
		ipc9_clipboard_get_args args = {
			.board = paste->link.target.name.object,
			.type = (char *)(uintptr_t)paste->type,
			.wanted = paste->version,
			.offset = offset,
			.max_bytes = piece_bytes(paste, offset),
		};

		if (!link_window_send(&paste->link, &paste->asked, &get_procedure, &args,
			context_deadline(paste->link.ipc9), ret_try))
			return false;
		offset += PIECE;
	}
	return true;
}

static void drop_piece(struct ipc9_paste *paste)
{
	xdr_free(get_procedure.results, &paste->piece);
	memset(&paste->piece, 0, sizeof(paste->piece));
	paste->taken = 0;
}

/* Whether the piece at hand is what was asked for; moves on to the next. */
static int accept_piece(struct ipc9_paste *paste, struct ipc9_error *e)
{
	const ipc9_clipboard_get_ok *ok = &paste->piece.ipc9_clipboard_get_res_u.ok;
	uint32_t wanted = piece_bytes(paste, paste->offset);

	if (ok->current.epoch != paste->version.epoch || ok->current.seq != paste->version.seq ||
	    ok->size_bytes != paste->size_bytes || ok->data.len > wanted || ok->data.len == 0) {
		link_window_forget(&paste->link, &paste->asked);
		drop_piece(paste);
		return error_set(e, IPC9_E_MISMATCH, "%s: %s sent another piece than was asked for",
		    paste->link.target.subject, paste->link.target.who);
	}
	/* A shorter piece is allowed; what was asked ahead does not fit on to it. */
	if (ok->data.len != wanted)
		link_window_forget(&paste->link, &paste->asked);
	paste->offset += ok->data.len;
	return 0;
}

static int next_piece(struct ipc9_paste *paste, struct ipc9_error *e)
{
	struct link_try try;
	int r;

	drop_piece(paste);
	for (int tries = 0; tries < 2; tries++) {
		r = link_open(&paste->link, context_deadline(paste->link.ipc9), e);
		if (r)
			return r;
		if (ask_ahead(paste, &try))
			link_window_wait(&paste->link, &paste->asked, &get_procedure, &paste->piece,
			    context_deadline(paste->link.ipc9), &try);
		if (!link_was_lost(&try))
			break;
		link_window_forget(&paste->link, &paste->asked);
		link_drop(&paste->link);
	}
	r = link_explain(&paste->link, &get_procedure, &try, &paste->piece, e);
	if (!r)
		return accept_piece(paste, e);
	memset(&paste->piece, 0, sizeof(paste->piece));
	link_window_forget(&paste->link, &paste->asked);
	if (try.stat == RPC_TIMEDOUT)
		link_drop(&paste->link);
	return r;
}

int ipc9_paste_read(struct ipc9_paste *paste, void *buffer, size_t size, size_t *ret_size,
    struct ipc9_error *e)
{
	const ipc9_blob *data = &paste->piece.ipc9_clipboard_get_res_u.ok.data;
	size_t n;
	int r;

	if (size == 0)
		return error_set(e, IPC9_E_INVALID, "%s: a buffer of no bytes",
		    paste->link.target.subject);
	if (paste->taken == data->len && paste->offset < paste->size_bytes) {
		r = next_piece(paste, e);
		if (r)
			return r;
	}
	n = data->len - paste->taken;
	if (n > size)
		n = size;
	if (n)
		memcpy(buffer, data->data + paste->taken, n);
	paste->taken += (uint32_t)n;
	*ret_size = n;
	return 0;
}

struct ipc9_paste *ipc9_paste_free(struct ipc9_paste *paste)
{
	if (!paste)
		return NULL;
	drop_piece(paste);
	link_window_forget(&paste->link, &paste->asked);
	link_close(&paste->link);
	wire_text_free(paste->type);
	free(paste);
	return NULL;
}
