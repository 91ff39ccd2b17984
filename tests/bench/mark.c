/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mark.c - the two ends of a pipe between hosts; tests/bench/mark runs them beside a raw stream.
 *
 *	mark pipe-stream //HOST/pipe/NAME MIB	1 MiB a write; counted by the server of the pipe
 *	mark pipe-sink NAME			serves one client of a pipe: prints MB/s of what it read
 *
 * MB = 10^6 bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/ipc9.h"
#include "util/clock.h"

#define MIB 1048576

static double seconds_since(int64_t begin)
{
	return (double)(clock_now() - begin) / (double)NS_PER_S;
}

static void check(int code, const struct ipc9_error *e)
{
	if (code) {
		fprintf(stderr, "mark: %s\n", e->text);
		exit(1);
	}
}

static int pipe_stream(char **argv)
{
	struct ipc9_error e;
	struct ipc9 *ipc9;
	struct ipc9_pipe *pipe;
	long mib = atol(argv[1]);
	char *data = calloc(1, MIB);

	check(ipc9_new(NULL, &ipc9, &e), &e);
	check(ipc9_pipe_open(ipc9, argv[0], &pipe, &e), &e);
	for (long i = 0; i < mib; i++)
		check(ipc9_pipe_write(pipe, data, MIB, IPC9_FOREVER, NULL, &e), &e);
	ipc9_pipe_close(pipe);
	ipc9_free(ipc9);
	free(data);
	return 0;
}

static int pipe_sink(char **argv)
{
	struct ipc9_error e;
	struct ipc9 *ipc9;
	struct ipc9_pipe *pipe;
	char *data = malloc(MIB);
	uint64_t total = 0;
	int64_t begin = 0;
	size_t n;
	int r;

	check(ipc9_new(NULL, &ipc9, &e), &e);
	check(ipc9_pipe_create(ipc9, argv[0], NULL, &pipe, &e), &e);
	check(ipc9_pipe_accept(pipe, IPC9_FOREVER, NULL, &e), &e);
	begin = clock_now();
	while ((r = ipc9_pipe_read(pipe, data, MIB, IPC9_FOREVER, &n, &e)) == 0)
		total += n;
	if (r != IPC9_E_EOF)
		check(r, &e);
	printf("%.0f\n", (double)total / 1e6 / seconds_since(begin));
	ipc9_pipe_close(pipe);
	ipc9_free(ipc9);
	free(data);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "pipe-stream") == 0)
		return pipe_stream(argv + 2);
	if (argc == 3 && strcmp(argv[1], "pipe-sink") == 0)
		return pipe_sink(argv + 2);
	fprintf(stderr, "mark: see the beginning of tests/bench/mark.c\n");
	return 2;
}
