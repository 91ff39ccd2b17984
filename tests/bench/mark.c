/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mark.c - small measurements and their raw references; tests/bench/mark runs them in pairs.
 *
 *	mark raw-server PORT			echoes 28 bytes for 44; counts a stream
 *	mark raw-calls HOST PORT SECONDS	44 bytes there, 28 back, one at a time, blocking: calls a second
 *	mark null-calls HOST PORT SECONDS	the same as NULL procedure of a daemon
 *	mark raw-stream HOST PORT MIB		1 MiB a send, counted by the receiver: MB/s
 *	mark pipe-stream //HOST/pipe/NAME MIB	1 MiB a write; counted by the server of the pipe
 *	mark pipe-sink NAME			serves one client of a pipe: prints MB/s of what it read
 *
 * 44 and 28 bytes are a NULL call and its answer on the wire, with their record marks.  MB = 10^6 bytes.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/ipc9.h"
#include "rpcgen-out/common.h"
#include "transport/channel.h"
#include "transport/connect.h"
#include "transport/socket.h"
#include "util/clock.h"

#define MIB 1048576

static void die(const char *what)
{
	fprintf(stderr, "mark: %s: %s\n", what, strerror(errno));
	exit(1);
}

static double seconds_since(int64_t begin)
{
	return (double)(clock_now() - begin) / (double)NS_PER_S;
}

static void transfer(ssize_t (*step)(int, void *, size_t), int fd, void *data, size_t size)
{
	char *p = data;

	while (size) {
		ssize_t n = step(fd, p, size);

		if (n <= 0)
			die("connection");
		p += n;
		size -= (size_t)n;
	}
}

static ssize_t put(int fd, void *data, size_t size)
{
	return write(fd, data, size);
}

/* --- Raw --------------------------------------------------------------------------------------- */

static void *serve_raw(void *context)
{
	int fd = (int)(intptr_t)context;
	char *buffer = malloc(MIB);
	uint64_t total = 0;
	ssize_t n;
	char mode;

	transfer(read, fd, &mode, 1);
	if (mode == 'e') {
		while ((n = recv(fd, buffer, 44, MSG_WAITALL)) == 44)
			transfer(put, fd, buffer, 28);
	} else {
		while ((n = read(fd, buffer, MIB)) > 0)
			total += (uint64_t)n;
		transfer(put, fd, &total, sizeof(total));
	}
	close(fd);
	free(buffer);
	return NULL;
}

static _Noreturn void raw_server(const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)) };
	int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (bind(listener, (struct sockaddr *)&a, sizeof(a)) || listen(listener, 16))
		die("listen");
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0)
			die("accept");
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (pthread_create(&thread, NULL, serve_raw, (void *)(intptr_t)fd))
			die("thread");
		pthread_detach(thread);
	}
}

/* A connected socket; blocking as the reference has it. */
static int reach(const char *host, const char *port, bool blocking)
{
	struct address a[8];
	char text[160] = "";
	size_t n;
	int fd;

	if (connect_resolve(host, clock_deadline_ms(5000), a, 8, &n, text, sizeof(text)))
		die(host);
	address_set_port(&a[0], (uint16_t)atoi(port));
	if (connect_address(&a[0], clock_deadline_ms(5000), &fd))
		die("connect");
	if (blocking) {
		int flags = 0;

		if (ioctl(fd, FIONBIO, &flags))
			die("blocking");
	}
	return fd;
}

static int raw_calls(char **argv)
{
	int fd = reach(argv[0], argv[1], true);
	double limit = atof(argv[2]);
	int64_t begin;
	char call[44] = { 0 }, mode = 'e';
	unsigned long n = 0;

	transfer(put, fd, &mode, 1);
	begin = clock_now();
	for (; n % 64 || seconds_since(begin) < limit; n++) {
		transfer(put, fd, call, 44);
		transfer(read, fd, call, 28);
	}
	printf("%.0f\n", (double)n / seconds_since(begin));
	return 0;
}

static int raw_stream(char **argv)
{
	int fd = reach(argv[0], argv[1], true);
	long mib = atol(argv[2]);
	char *data = calloc(1, MIB), mode = 's';
	int64_t begin = clock_now();
	uint64_t total;

	transfer(put, fd, &mode, 1);
	for (long i = 0; i < mib; i++)
		transfer(put, fd, data, MIB);
	shutdown(fd, SHUT_WR);
	transfer(read, fd, &total, sizeof(total));
	printf("%.0f\n", (double)total / 1e6 / seconds_since(begin));
	free(data);
	return 0;
}

/* --- Ours -------------------------------------------------------------------------------------- */

static int null_calls(char **argv)
{
	const struct timeval unused = { 0 };
	const xdrproc_t nothing = (xdrproc_t)(void (*)(void))xdr_void;
	struct channel *channel;
	CLIENT *client;
	double limit = atof(argv[2]);
	unsigned long n = 0;
	int64_t begin;

	if (channel_new(reach(argv[0], argv[1], false), false, &channel))
		die("channel");
	client = channel_client(channel, IPC9_PROG_CONTROL, 1);
	channel_client_deadline(client, CLOCK_NEVER);
	begin = clock_now();
	for (; n % 64 || seconds_since(begin) < limit; n++)
		if (clnt_call(client, 0, nothing, NULL, nothing, NULL, unused) != RPC_SUCCESS)
			die("call");
	printf("%.0f\n", (double)n / seconds_since(begin));
	clnt_destroy(client);
	channel_unref(channel);
	return 0;
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
		check(ipc9_pipe_write(pipe, data, MIB, &e), &e);
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
	if (argc == 3 && strcmp(argv[1], "raw-server") == 0)
		raw_server(argv[2]);
	if (argc == 5 && strcmp(argv[1], "raw-calls") == 0)
		return raw_calls(argv + 2);
	if (argc == 5 && strcmp(argv[1], "null-calls") == 0)
		return null_calls(argv + 2);
	if (argc == 5 && strcmp(argv[1], "raw-stream") == 0)
		return raw_stream(argv + 2);
	if (argc == 4 && strcmp(argv[1], "pipe-stream") == 0)
		return pipe_stream(argv + 2);
	if (argc == 3 && strcmp(argv[1], "pipe-sink") == 0)
		return pipe_sink(argv + 2);
	fprintf(stderr, "mark: see the beginning of tests/bench/mark.c\n");
	return 2;
}
