/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clipboard.c - copying to boards, and looking at them, over clipboard.x.  Pasting: clipboard_paste.c.
 *
 * A copy's ticket lives on one connection, which is shared: several copies and other calls may be on it.
 *
 * 1. PUTs go out in order, a few under way at once; each is waited for before PUBLISH.
 * 2. The first thing that goes wrong is the copy's end: `failed` keeps it, every later call says it again,
 *    and nothing is published.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/clipboard.h"
#include "client/error.h"
#include "client/wire.h"
#include "util/clock.h"

#define DISCARD_MS 1000

struct ipc9_copy {
	struct link link;
	ipc9_handle ticket; /* the board's, on link's connection; until over */
	bool over;	    /* published, or given up */
	bool has_format;
	struct link_window puts;
	struct ipc9_error failed; /* code 0: nothing went wrong */
};

LINK_ASSERT_RESULTS(ipc9_clipboard_begin_res);
LINK_ASSERT_RESULTS(ipc9_clipboard_version_res);
LINK_ASSERT_RESULTS(ipc9_clipboard_list_res);

#define NOTHING_PUBLISHED "nothing was published"

static const struct link_procedure begin_procedure = {
	.number = IPC9_CLIPBOARDPROC_BEGIN,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_name_args, ipc9_clipboard_begin_res),
};
static const struct link_procedure add_procedure = {
	.number = IPC9_CLIPBOARDPROC_ADD,
	.loss = LINK_LOSS_LOST,
	.lost = NOTHING_PUBLISHED,
	LINK_TYPES(ipc9_clipboard_add_args, ipc9_void_res),
};
static const struct link_procedure put_procedure = {
	.number = IPC9_CLIPBOARDPROC_PUT,
	.loss = LINK_LOSS_LOST,
	.lost = NOTHING_PUBLISHED,
	LINK_TYPES(ipc9_clipboard_put_args, ipc9_void_res),
};
static const struct link_procedure publish_procedure = {
	.number = IPC9_CLIPBOARDPROC_PUBLISH,
	.loss = LINK_LOSS_UNKNOWN,
	.lost = NOTHING_PUBLISHED,
	LINK_TYPES(ipc9_handle_args, ipc9_clipboard_version_res),
};
static const struct link_procedure discard_procedure = {
	.number = IPC9_CLIPBOARDPROC_DISCARD,
	.loss = LINK_LOSS_LOST,
	LINK_TYPES(ipc9_handle_args, ipc9_void_res),
};
static const struct link_procedure clear_procedure = {
	.number = IPC9_CLIPBOARDPROC_CLEAR,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_name_args, ipc9_clipboard_version_res),
};
const struct link_procedure clipboard_list_procedure = {
	.number = IPC9_CLIPBOARDPROC_LIST,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_name_args, ipc9_clipboard_list_res),
};

/* --- Copy -------------------------------------------------------------------------------------- */

int ipc9_copy_begin(struct ipc9 *ipc9, const char *board, struct ipc9_copy **ret,
    struct ipc9_error *e)
{
	struct ipc9_copy *copy;
	struct target target;
	ipc9_name_args args;
	ipc9_clipboard_begin_res res;
	int r;

	r = target_board(board, &target, e);
	if (r)
		return r;
	copy = calloc(1, sizeof(*copy));
	if (!copy)
		return error_set_own(e, -ENOMEM);
	link_init(&copy->link, ipc9, IPC9_PROG_CLIPBOARD, &target, false);
	args.name = copy->link.target.name.object;
	r = link_call(&copy->link, &begin_procedure, &args, &res, context_deadline(ipc9), e);
	if (r) {
		copy->over = true;
		ipc9_copy_free(copy);
		return r;
	}
	copy->ticket = res.ipc9_clipboard_begin_res_u.ok.ticket;
	*ret = copy;
	return 0;
}

/* Notes what went wrong first, and says it. */
static int copy_fail(struct ipc9_copy *copy, int code, struct ipc9_error *e)
{
	if (!copy->failed.code)
		error_set(&copy->failed, code, "%s: %s; " NOTHING_PUBLISHED,
		    copy->link.target.subject, ipc9_strerror(code));
	return error_set(e, copy->failed.code, "%s", copy->failed.text);
}

static int check_usable(struct ipc9_copy *copy, struct ipc9_error *e)
{
	if (copy->failed.code)
		return copy_fail(copy, copy->failed.code, e);
	if (copy->over)
		return error_set(e, IPC9_E_BADSTATE, "%s: this copy was published already",
		    copy->link.target.subject);
	return 0;
}

/* Waits for the oldest PUT under way. */
static int collect_put(struct ipc9_copy *copy, struct ipc9_error *e)
{
	struct link_try try;
	ipc9_void_res res;
	int r;

	link_window_wait(&copy->link, &copy->puts, &put_procedure, &res,
	    context_deadline(copy->link.ipc9), &try);
	r = link_explain(&copy->link, &put_procedure, &try, &res, &copy->failed);
	return r ? copy_fail(copy, r, e) : 0;
}

static int send_put(struct ipc9_copy *copy, const unsigned char *data, uint32_t size,
    struct ipc9_error *e)
{
	ipc9_clipboard_put_args args = { copy->ticket, { .data = data, .len = size } };
	ipc9_void_res res = { 0 };
	struct link_try try;
	int r;

	if (link_window_send(&copy->link, &copy->puts, &put_procedure, &args,
		context_deadline(copy->link.ipc9), &try))
		return 0;
	r = link_explain(&copy->link, &put_procedure, &try, &res, &copy->failed);
	return copy_fail(copy, r, e);
}

int ipc9_copy_format(struct ipc9_copy *copy, const char *type, struct ipc9_error *e)
{
	ipc9_clipboard_add_args args = { copy->ticket, (char *)(uintptr_t)type };
	ipc9_void_res res;
	int r = check_usable(copy, e);

	if (r)
		return r;
	if (strlen(type) > IPC9_FORMAT_TYPE_MAX)
		return error_set(e, IPC9_E_INVALID, "%s: a format's type has at most %d bytes",
		    copy->link.target.subject, IPC9_FORMAT_TYPE_MAX);
	r = link_call(&copy->link, &add_procedure, &args, &res, context_deadline(copy->link.ipc9),
	    &copy->failed);
	if (r)
		return copy_fail(copy, r, e);
	copy->has_format = true;
	return 0;
}

int ipc9_copy_write(struct ipc9_copy *copy, const void *data, size_t size, struct ipc9_error *e)
{
	const unsigned char *at = data;
	int r = check_usable(copy, e);

	if (!r && !copy->has_format)
		r = error_set(e, IPC9_E_BADSTATE, "%s: no format was started",
		    copy->link.target.subject);
	while (!r && size) {
		uint32_t piece = size < IPC9_BLOB_MAX ? (uint32_t)size : IPC9_BLOB_MAX;

		if (copy->puts.n == LINK_WINDOW)
			r = collect_put(copy, e);
		if (!r)
			r = send_put(copy, at, piece, e);
		at += piece;
		size -= piece;
	}
	return r;
}

static void tell_version(const ipc9_board_version *version,
    struct ipc9_clipboard_version *ret_version)
{
	if (ret_version)
		*ret_version = (struct ipc9_clipboard_version){ version->epoch, version->seq };
}

int ipc9_copy_publish(struct ipc9_copy *copy, struct ipc9_clipboard_version *ret_version,
    struct ipc9_error *e)
{
	ipc9_handle_args args = { copy->ticket };
	ipc9_clipboard_version_res res;
	int r = check_usable(copy, e);

	while (!r && copy->puts.n)
		r = collect_put(copy, e);
	if (r)
		return r;
	r = link_call(&copy->link, &publish_procedure, &args, &res,
	    context_deadline(copy->link.ipc9), &copy->failed);
	if (r)
		return copy_fail(copy, r, e);
	copy->over = true;
	tell_version(&res.ipc9_clipboard_version_res_u.current, ret_version);
	return 0;
}

/* The connection is others' too and goes on: the daemon is told, and not waited for. */
static void discard(struct ipc9_copy *copy)
{
	ipc9_handle_args args = { copy->ticket };
	struct link_window window = { .n = 0 };
	struct link_try try;

	link_window_forget(&copy->link, &copy->puts);
	if (copy->over)
		return;
	link_window_send(&copy->link, &window, &discard_procedure, &args,
	    clock_deadline_ms(DISCARD_MS), &try);
	link_window_forget(&copy->link, &window);
}

struct ipc9_copy *ipc9_copy_free(struct ipc9_copy *copy)
{
	if (!copy)
		return NULL;
	discard(copy);
	link_close(&copy->link);
	free(copy);
	return NULL;
}

/* --- Looking ----------------------------------------------------------------------------------- */

static int copy_listing(const ipc9_clipboard_list_ok *ok, struct ipc9_clipboard_listing *listing)
{
	size_t n = ok->formats.formats_len;

	tell_version(&ok->current, &listing->version);
	listing->changed_us = ok->changed_us;
	wire_identity(&ok->author, &listing->author);
	listing->formats = calloc(n + 1, sizeof(listing->formats[0]));
	if (!listing->formats)
		return -ENOMEM;
	for (; listing->n_formats < n; listing->n_formats++) {
		const ipc9_board_format *format = &ok->formats.formats_val[listing->n_formats];
		const char *type = wire_text(format->type);

		if (!type)
			return -ENOMEM;
		listing->formats[listing->n_formats] =
		    (struct ipc9_clipboard_format){ type, format->size_bytes };
	}
	return 0;
}

int ipc9_clipboard_list(struct ipc9 *ipc9, const char *board, struct ipc9_clipboard_listing **ret,
    struct ipc9_error *e)
{
	struct ipc9_clipboard_listing *listing;
	ipc9_clipboard_list_res res;
	ipc9_name_args args;
	struct target target;
	struct link link;
	int r;

	r = target_board(board, &target, e);
	if (r)
		return r;
	link_init(&link, ipc9, IPC9_PROG_CLIPBOARD, &target, false);
	args.name = link.target.name.object;
	r = link_call(&link, &clipboard_list_procedure, &args, &res, context_deadline(ipc9), e);
	link_close(&link);
	if (r)
		return r;
	listing = calloc(1, sizeof(*listing));
	if (!listing || copy_listing(&res.ipc9_clipboard_list_res_u.ok, listing)) {
		ipc9_clipboard_listing_free(listing);
		r = error_set_own(e, -ENOMEM);
	} else {
		*ret = listing;
	}
	xdr_free(clipboard_list_procedure.results, &res);
	return r;
}

struct ipc9_clipboard_listing *ipc9_clipboard_listing_free(struct ipc9_clipboard_listing *listing)
{
	if (!listing)
		return NULL;
	for (size_t i = 0; i < listing->n_formats; i++)
		wire_text_free(listing->formats[i].type);
	free(listing->formats);
	free(listing);
	return NULL;
}

int ipc9_clipboard_clear(struct ipc9 *ipc9, const char *board,
    struct ipc9_clipboard_version *ret_version, struct ipc9_error *e)
{
	ipc9_clipboard_version_res res;
	ipc9_name_args args;
	struct target target;
	struct link link;
	int r;

	r = target_board(board, &target, e);
	if (r)
		return r;
	link_init(&link, ipc9, IPC9_PROG_CLIPBOARD, &target, false);
	args.name = link.target.name.object;
	r = link_call(&link, &clear_procedure, &args, &res, context_deadline(ipc9), e);
	link_close(&link);
	if (!r)
		tell_version(&res.ipc9_clipboard_version_res_u.current, ret_version);
	return r;
}
