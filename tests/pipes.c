/* SPDX-License-Identifier: BSD-3-Clause */
/* pipes.c - see pipes.h. */
#include "tests/pipes.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "util/text.h"

const struct ipc9_pipe_options pipe_messages = { .type = IPC9_PIPE_TYPE_MESSAGE };

/* --- Ways -------------------------------------------------------------------------------------- */

static void local_address(const struct pipe_world *w, char *text, size_t size)
{
	text_format(text, size, "//./pipe/%s", w->name);
}

static void remote_address(const struct pipe_world *w, char *text, size_t size)
{
	text_format(text, size, "//127.0.0.1:%u/pipe/%s", w->daemon.port, w->name);
}

const struct pipe_maker pipe_makers[] = {
	{ "local, by ordinary calls", local_address, false, IPC9_PIPE_BY_CALLS,
	    IPC9_PIPE_BY_CALLS },
	{ "remote, by ordinary calls", remote_address, true, IPC9_PIPE_BY_CALLS,
	    IPC9_PIPE_BY_CALLS },
	{ "local, through memory", local_address, false, IPC9_PIPE_WAY_ANY, IPC9_PIPE_BY_MEMORY },
	{ "local, over a socket", local_address, false, IPC9_PIPE_BY_SOCKET, IPC9_PIPE_BY_SOCKET },
	{ "remote, over its connection", remote_address, true, IPC9_PIPE_WAY_ANY,
	    IPC9_PIPE_BY_SOCKET },
	{ NULL, NULL, false, IPC9_PIPE_WAY_ANY, IPC9_PIPE_WAY_ANY },
};

/* --- The world --------------------------------------------------------------------------------- */

void pipe_world_begin(struct pipe_world *w, const struct pipe_maker *maker)
{
	struct ipc9_options options = { .timeout_ms = 20000 };

	memset(w, 0, sizeof(*w));
	w->maker = maker;
	daemon_start(&w->daemon,
	    "trust_sys = 127.0.0.0/8\ntrust_root = yes\n"
	    "allow = host:127.0.0.0/8 read,write\n");
	options.socket = w->daemon.socket;
	EQUAL(ipc9_new(&options, &w->ipc9, &w->error), 0);
}

void pipe_world_close(struct pipe_world *w)
{
	w->client = ipc9_pipe_close(w->client);
	w->server = ipc9_pipe_close(w->server);
}

void pipe_world_end(struct pipe_world *w)
{
	pipe_world_close(w);
	ipc9_free(w->ipc9);
	daemon_end(&w->daemon);
}

void pipe_world_create(struct pipe_world *w, const struct ipc9_pipe_options *options)
{
	text_format(w->name, sizeof(w->name), "p%u", ++w->n_pipes);
	EQUAL(ipc9_pipe_create(w->ipc9, w->name, options, &w->server, &w->error), 0);
}

int pipe_world_open(struct pipe_world *w, const struct ipc9_pipe_open_options *options,
    struct ipc9_pipe **ret)
{
	char text[128];

	struct ipc9_pipe_open_options with = { .way = w->maker->way };

	if (options) {
		with = *options;
		with.way = w->maker->way;
	}
	w->maker->address(w, text, sizeof(text));
	return ipc9_pipe_open_with(w->ipc9, text, &with, ret, &w->error);
}

void pipe_world_connect(struct pipe_world *w, const struct ipc9_pipe_options *options)
{
	pipe_world_create(w, options);
	EQUAL(pipe_world_open(w, NULL, &w->client), 0);
	EQUAL(ipc9_pipe_accept(w->server, 5000, NULL, &w->error), 0);
}

void pipe_settle(struct pipe_world *w, struct ipc9_pipe *pipe)
{
	struct ipc9_pipe_end_info info;

	EQUAL(ipc9_pipe_info_of(pipe, &info, &w->error), 0);
}

/* --- Data -------------------------------------------------------------------------------------- */

int pipe_put(struct ipc9_pipe *pipe, const char *text)
{
	return ipc9_pipe_write(pipe, text, strlen(text), 0, NULL, NULL);
}

void pipe_expect(struct ipc9_pipe *pipe, const char *text)
{
	struct ipc9_error error;
	char got[256];
	size_t n = 0;
	bool more = false;
	int r = ipc9_pipe_type(pipe) == IPC9_PIPE_TYPE_MESSAGE
	    ? ipc9_pipe_read_message(pipe, got, sizeof(got), 5000, &n, &more, &error)
	    : ipc9_pipe_read(pipe, got, sizeof(got), 5000, &n, &error);

	if (EQUAL(r, 0)) {
		SAME_BYTES(got, n, text, strlen(text));
		EQUAL(more, false);
	}
}

int pipe_look(struct ipc9_pipe *pipe)
{
	char got[256];
	size_t n;

	return ipc9_pipe_read(pipe, got, sizeof(got), 0, &n, NULL);
}

/* --- Started operations ------------------------------------------------------------------------ */

bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1 && p.revents & POLLIN;
}

int finish_by_polling(struct ipc9_pipe *pipe, struct ipc9_pipe_op *op, struct ipc9_pipe_result *ret)
{
	for (;;) {
		int r = ipc9_pipe_finish(op, 0, ret, NULL);

		if (r != IPC9_E_PENDING)
			return r;
		if (!HOLDS(readable(ipc9_pipe_fd(pipe), 20000)))
			return -1;
	}
}
