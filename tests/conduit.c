/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conduit.c - see conduit.h.
 */
#include "tests/conduit.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness.h"
#include "util/clock.h"

int64_t patient(void)
{
	return clock_deadline_ms(PATIENT_MS);
}

static struct conduit *open_side(int memory, int socket, enum conduit_side side,
    enum ring_type type, uint64_t quota)
{
	struct conduit *c = NULL;

	EQUAL(conduit_open(memory, socket, side, type, quota, &c), 0);
	return c;
}

struct pair open_pair_and_memory(enum ring_type type, uint64_t quota, int *ret_memory)
{
	struct pair p = { 0 };
	int sockets[2];

	if (!EQUAL(conduit_create(type, quota, ret_memory, sockets), 0))
		exit(1);
	p.a = open_side(dup(*ret_memory), sockets[0], CONDUIT_FIRST, type, quota);
	p.b = open_side(dup(*ret_memory), sockets[1], CONDUIT_SECOND, type, quota);
	return p;
}

struct pair open_pair(enum ring_type type, uint64_t quota)
{
	int memory;
	struct pair p = open_pair_and_memory(type, quota, &memory);

	close(memory);
	return p;
}

void close_pair(struct pair *p)
{
	p->a = conduit_close(p->a);
	p->b = conduit_close(p->b);
}

struct conduit *start_peer(enum ring_type type, uint64_t quota, int (*run)(struct conduit *c),
    pid_t *ret_pid)
{
	int memory, sockets[2];

	if (!EQUAL(conduit_create(type, quota, &memory, sockets), 0))
		exit(1);
	fflush(NULL);
	*ret_pid = fork();
	if (*ret_pid == 0) {
		struct conduit *c;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(sockets[0]);
		if (conduit_open(memory, sockets[1], CONDUIT_SECOND, type, quota, &c))
			_exit(99);
		_exit(run(c));
	}
	close(sockets[1]);
	return open_side(memory, sockets[0], CONDUIT_FIRST, type, quota);
}

int exit_code(pid_t pid)
{
	int status = 0;

	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

void kill_peer(pid_t pid)
{
	kill(pid, SIGKILL);
	EQUAL(exit_code(pid), 1000 + SIGKILL);
}

int sleep_for_ever(struct conduit *c)
{
	while (c)
		pause();
	return 0;
}

int send_text(struct conduit *c, const char *text, int64_t deadline)
{
	struct iovec piece = { (void *)(uintptr_t)text, strlen(text) };

	return conduit_send(c, &piece, 1, deadline);
}

int write_size(struct conduit *c, size_t size, int64_t deadline, size_t *ret)
{
	unsigned char *data = calloc(1, size);
	int r = conduit_write(c, data, size, deadline, ret);

	free(data);
	return r;
}

void check_read(struct conduit *c, const char *text)
{
	char buffer[256];
	size_t n = 0;

	EQUAL(conduit_read(c, buffer, sizeof(buffer), patient(), &n), 0);
	SAME_BYTES(buffer, n, text, strlen(text));
}

int read_now(struct conduit *c)
{
	char byte;
	size_t n;

	return conduit_read(c, &byte, 1, 0, &n);
}

int write_now(struct conduit *c)
{
	size_t n;

	return conduit_type(c) == RING_BYTES ? conduit_write(c, "x", 1, 0, &n)
					     : send_text(c, "x", 0);
}

unsigned char byte_at(uint64_t total)
{
	return (unsigned char)((total * 0x9e3779b97f4a7c15u) >> 56);
}

int read_stream(struct conduit *c)
{
	unsigned char *buffer = malloc(300000);
	uint64_t total = 0, random = 7;
	size_t n;
	int r;

	for (;;) {
		random = random * 6364136223846793005u + 1442695040888963407u;
		r = conduit_read(c, buffer, 1 + (random >> 40) % 300000, patient(), &n);
		if (r)
			break;
		for (size_t i = 0; i < n; i++)
			if (buffer[i] != byte_at(total + i))
				return 1;
		total += n;
	}
	return r == CONDUIT_EOF && total == STREAM_BYTES ? 0 : 2;
}
