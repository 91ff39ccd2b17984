/* SPDX-License-Identifier: BSD-3-Clause */
/* spawned.c - see spawned.h. */
#include "tests/spawned.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness.h"

/* --- In the test ------------------------------------------------------------------------------- */

struct ipc9_child *spawned_start(const char *const *argv, const struct ipc9_spawn_options *options)
{
	struct ipc9_child *child = NULL;
	struct ipc9_error e = { .text = "" };

	if (EQUAL(ipc9_spawn(argv, options, &child, &e), 0))
		return child;
	SAME_TEXT(e.text, "");
	abort();
}

void spawned_ends(struct ipc9_child *child, int want)
{
	int status = -1;

	EQUAL(ipc9_child_wait(child, LONG_MS, &status, NULL), 0);
	HOLDS(WIFEXITED(status));
	EQUAL(WEXITSTATUS(status), want);
	ipc9_child_free(child);
}

void spawned_read_all(struct ipc9_child *child, enum ipc9_child_stream stream, char *text,
    size_t size)
{
	size_t at = 0, n = 0;
	int r;

	while ((r = ipc9_child_read(child, stream, text + at, size - 1 - at, LONG_MS, &n, NULL)) ==
		0 &&
	    at < size - 1)
		at += n;
	text[at] = '\0';
	EQUAL(r, IPC9_E_EOF);
}

void spawned_put(struct ipc9_child *child, const char *text)
{
	EQUAL(ipc9_child_write(child, text, strlen(text), LONG_MS, NULL, NULL), 0);
}

/* --- In the program ---------------------------------------------------------------------------- */

/* Sends back what comes over the pipe; without one, what comes on standard input, with a word in front. */
static int spawned_echo(int wait_ms)
{
	static char buffer[65536];
	struct ipc9 *ipc9;
	struct ipc9_pipe *pipe, *again;
	size_t n = 0;
	int r;

	if (ipc9_new(NULL, &ipc9, NULL))
		return 10;
	r = ipc9_pipe_inherit(ipc9, wait_ms, &pipe, NULL);
	if (r == IPC9_E_NOENT) {
		ssize_t got = read(STDIN_FILENO, buffer, sizeof(buffer));

		ipc9_free(ipc9);
		return write(STDOUT_FILENO, "streams ", 8) == 8 &&
			write(STDOUT_FILENO, buffer, (size_t)got) == got
		    ? 0
		    : 11;
	}
	if (r)
		return 12;
	if (ipc9_pipe_inherit(ipc9, wait_ms, &again, NULL) != IPC9_E_NOENT)
		return 13;
	while (!(r = ipc9_pipe_read(pipe, buffer, sizeof(buffer), IPC9_FOREVER, &n, NULL)))
		if (ipc9_pipe_write(pipe, buffer, n, IPC9_FOREVER, NULL, NULL))
			return 14;
	ipc9_pipe_close(pipe);
	ipc9_free(ipc9);
	return r == IPC9_E_EOF ? 0 : r == IPC9_E_LOST ? 15 : 16;
}

/* Says something over the pipe, and stays; or is killed. */
static int spawned_stay(bool dies)
{
	struct ipc9 *ipc9;
	struct ipc9_pipe *pipe;

	if (ipc9_new(NULL, &ipc9, NULL) || ipc9_pipe_inherit(ipc9, LONG_MS, &pipe, NULL) ||
	    ipc9_pipe_write(pipe, "here", 4, LONG_MS, NULL, NULL))
		return 10;
	if (dies)
		raise(SIGKILL);
	for (;;)
		pause();
}

/* Looks whether the pipe can be had at once, and says so. */
static int spawned_now(void)
{
	struct ipc9 *ipc9;
	struct ipc9_pipe *pipe = NULL;

	if (ipc9_new(NULL, &ipc9, NULL))
		return 10;
	printf("%s\n", ipc9_strerror(ipc9_pipe_inherit(ipc9, 0, &pipe, NULL)));
	ipc9_pipe_close(pipe);
	ipc9_free(ipc9);
	return 0;
}

/* Waits for a byte on standard input before it takes the pipe. */
static int spawned_late(void)
{
	char byte;

	return read(STDIN_FILENO, &byte, 1) == 1 ? spawned_echo(LONG_MS) : 17;
}

/* Tells which descriptors there are. */
static int spawned_descriptors(void)
{
	char text[256] = "";

	for (int fd = 0; fd < 256 && strlen(text) < 240; fd++)
		if (fcntl(fd, F_GETFD) >= 0)
			(void)snprintf(text + strlen(text), 8, "%d ", fd);
	return write(STDOUT_FILENO, text, strlen(text)) < 0;
}

int spawned_main(const char *what)
{
	if (strcmp(what, "echo") == 0)
		return spawned_echo(LONG_MS);
	if (strcmp(what, "stay") == 0)
		return spawned_stay(false);
	if (strcmp(what, "die") == 0)
		return spawned_stay(true);
	if (strcmp(what, "now") == 0)
		return spawned_now();
	if (strcmp(what, "late") == 0)
		return spawned_late();
	if (strcmp(what, "descriptors") == 0)
		return spawned_descriptors();
	return 99;
}
