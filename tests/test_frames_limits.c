/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_frames_limits.c - frames that come in any number: they are taken in, what is told back is told in time, what a
 * disconnect threw away is not read, and who sends without end holds nobody up.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client/frames.h"
#include "rpcgen-out/pipe.h"
#include "tests/carrier.h"
#include "tests/harness.h"

/* An end of a pipe, and the socket of the other one. */
struct line {
	struct carrier *c;
	int fd;
};

static struct line connect_line(enum ipc9_pipe_type type, uint32_t quota, bool server)
{
	struct line line = { NULL, -1 };
	int fds[2];

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	EQUAL(frames_new(fds[0], server, type, quota, &line.c), 0);
	line.fd = fds[1];
	return line;
}

static void disconnect_line(struct line *line)
{
	if (line->fd >= 0)
		close(line->fd);
	shut(line->c);
}

static size_t put_word(unsigned char *p, uint32_t w)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(w >> (24 - 8 * i));
	return 4;
}

/* A frame with so many bytes behind its kind's number, of which the first are a length or a number. */
static size_t make_frame(unsigned char *p, uint32_t kind, uint32_t len)
{
	uint32_t size = kind == IPC9_PIPE_FRAME_DATA ? 4 + ((len + 3) & ~3u)
	    : kind == IPC9_PIPE_FRAME_CONSUMED	     ? 8
						     : 0;

	put_word(p, 0x80000000u | (4 + size));
	put_word(p + 4, kind);
	memset(p + 8, 0, size);
	if (kind == IPC9_PIPE_FRAME_DATA)
		put_word(p + 8, len);
	else if (kind == IPC9_PIPE_FRAME_CONSUMED)
		put_word(p + 12, len);
	return 8 + size;
}

/* Sends one, which the socket has room for. */
static bool send_frame(const struct line *line, uint32_t kind, uint32_t len)
{
	unsigned char *p = malloc(len + 64);
	size_t size = make_frame(p, kind, kind == IPC9_PIPE_FRAME_DATA ? len : 0);
	ssize_t n = send(line->fd, p, size, MSG_NOSIGNAL);

	free(p);
	return EQUAL(n, (ssize_t)size);
}

/* What the last CONSUMED says that was told and not looked at, or 0. */
static uint32_t told(const struct line *line)
{
	unsigned char p[16];
	uint32_t n = 0;

	while (recv(line->fd, p, sizeof(p), MSG_DONTWAIT) == sizeof(p)) {
		EQUAL(p[7], IPC9_PIPE_FRAME_CONSUMED);
		n = (uint32_t)p[12] << 24 | (uint32_t)p[13] << 16 | (uint32_t)p[14] << 8 | p[15];
	}
	return n;
}

/* --- Telling ----------------------------------------------------------------------------------- */

/* It need not call anything again: that a part of what is unread is still in the socket is no matter. */
static void test_a_read_that_makes_what_is_unread_fit_the_quota_tells_so(void)
{
	static const struct {
		uint32_t frames[2], quota;
	} cases[] = { { { 70010, 0 }, 70000 }, { { 60000, 10010 }, 70000 },
		{ { 65524, 4486 }, 70000 }, { { 150000, 0 }, 149990 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct line line = connect_line(IPC9_PIPE_TYPE_BYTE, cases[i].quota, true);
		char buffer[20];

		for (int k = 0; k < 2 && cases[i].frames[k]; k++)
			send_frame(&line, IPC9_PIPE_FRAME_DATA, cases[i].frames[k]);
		EQUAL(get(line.c, buffer, 9, false, SOON), 9);
		EQUAL(told(&line), 0);
		EQUAL(get(line.c, buffer, 11, false, SOON), 11);
		EQUAL(told(&line), 20);
		disconnect_line(&line);
	}
}

static int peek(struct carrier *c)
{
	struct carrier_waiting waiting;

	return c->ops->peek(c, NULL, 0, &waiting);
}

static int peer(struct carrier *c)
{
	return c->ops->peer(c);
}

static int wait_closed(struct carrier *c)
{
	return c->ops->wait_closed(c, 0) == IPC9_E_TIMEDOUT ? 0 : -1;
}

static int read_in_vain(struct carrier *c)
{
	char byte;

	return get(c, &byte, 1, true, 0) == -IPC9_E_TIMEDOUT ? 0 : -1;
}

static int events(struct carrier *c)
{
	c->ops->events(c, CARRIER_READABLE);
	return 0;
}

/* What was read before it came. */
static void test_whatever_takes_in_more_tells_that_it_fits_the_quota(void)
{
	static int (*const calls[])(struct carrier *) = { peek, peer, wait_closed, events,
		read_in_vain };

	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct line line = connect_line(IPC9_PIPE_TYPE_MESSAGE, 2000, true);
		char buffer[1000];

		send_frame(&line, IPC9_PIPE_FRAME_DATA, 400);
		send_frame(&line, IPC9_PIPE_FRAME_MSG_END, 0);
		/* The beginning of the next one: not all is read. */
		send_frame(&line, IPC9_PIPE_FRAME_DATA, 1000);
		EQUAL(get(line.c, buffer, sizeof(buffer), true, SOON), 400);
		EQUAL(told(&line), 0);
		send_frame(&line, IPC9_PIPE_FRAME_DATA, 1000);
		EQUAL(calls[i](line.c), 0);
		EQUAL(told(&line), 400);
		disconnect_line(&line);
	}
}

/* --- Many -------------------------------------------------------------------------------------- */

static void test_control_frames_are_seen_behind_any_number_of_small_messages(void)
{
	const int many = 200000;
	struct line line = connect_line(IPC9_PIPE_TYPE_MESSAGE, 1048576, true);
	unsigned char frames[24 + 8 + 8], byte;
	int good = 0;

	EQUAL(put(line.c, "ten bytes!", 10), 0);
	for (int i = 0; i < many; i++) {
		make_frame(frames, IPC9_PIPE_FRAME_DATA, 1);
		frames[12] = (unsigned char)i;
		make_frame(frames + 16, IPC9_PIPE_FRAME_MSG_END, 0);
		/* And two empty ones in a row behind every other one. */
		make_frame(frames + 24, IPC9_PIPE_FRAME_MSG_END, 0);
		make_frame(frames + 32, IPC9_PIPE_FRAME_MSG_END, 0);
		if (i % 256 == 0)
			EQUAL(peek(line.c), 0);
		if (send(line.fd, frames, i % 2 ? 40 : 24, MSG_NOSIGNAL) < 24)
			break;
	}
	{
		size_t n = make_frame(frames, IPC9_PIPE_FRAME_CONSUMED, 10);

		EQUAL(peek(line.c), 0);
		EQUAL(line.c->ops->unread(line.c), 10);
		EQUAL(send(line.fd, frames, n, MSG_NOSIGNAL), (ssize_t)n);
		EQUAL(line.c->ops->unread(line.c), 0);
	}
	for (int i = 0; i < many; i++) {
		good += get(line.c, &byte, 1, true, SOON) == 1 && byte == (unsigned char)i;
		if (i % 2)
			good -= get(line.c, &byte, 1, true, SOON) != 0 ||
			    get(line.c, &byte, 1, true, SOON) != 0;
	}
	EQUAL(good, many);
	EQUAL(get(line.c, &byte, 1, true, 0), -IPC9_E_TIMEDOUT);
	disconnect_line(&line);
}

/* --- Thrown away ------------------------------------------------------------------------------- */

static void read_before(const struct line *line, size_t reads)
{
	static char buffer[16384];

	for (size_t i = 0; i < reads; i++) {
		send_frame(line, IPC9_PIPE_FRAME_DATA, 16384);
		EQUAL(get(line->c, buffer, sizeof(buffer), false, SOON), sizeof(buffer));
	}
}

/* Also when it stands far behind what is asked for, or in the middle of a stream of long frames. */
static void test_within_a_host_nothing_is_read_that_a_disconnect_threw_away(void)
{
	static const struct {
		uint32_t frames[2];
		size_t first, reads, streak;
	} cases[] = { { { 150000, 0 }, 0, 50000, 0 }, { { 150000, 0 }, 0, 10, 0 },
		{ { 75000, 75000 }, 0, 75000, 0 }, { { 75000, 75000 }, 0, 200000, 0 },
		{ { 150000, 0 }, 10, 10, 0 }, { { 150000, 0 }, 10, 100000, 0 },
		{ { 16384, 16384 }, 0, 16384, 20 }, { { 150000, 0 }, 100000, 10000, 20 } };
	const struct timespec pause = { 0, 2000000 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct line line = connect_line(IPC9_PIPE_TYPE_BYTE, 1048576, false);
		char *buffer = malloc(200000);

		read_before(&line, cases[i].streak);
		for (int k = 0; k < 2 && cases[i].frames[k]; k++)
			send_frame(&line, IPC9_PIPE_FRAME_DATA, cases[i].frames[k]);
		if (cases[i].first)
			EQUAL(get(line.c, buffer, cases[i].first, false, SOON), cases[i].first);
		send_frame(&line, IPC9_PIPE_FRAME_DISCONNECT, 0);
		close(line.fd);
		line.fd = -1;
		nanosleep(&pause, NULL); /* see REST_NS of frames_in.c */
		EQUAL(get(line.c, buffer, cases[i].reads, false, SOON), -IPC9_E_NOTCONN);
		free(buffer);
		disconnect_line(&line);
	}
}

/* --- Without end ------------------------------------------------------------------------------- */

struct storm {
	int fd;
	uint32_t kind;
	_Atomic bool stop;
};

static void *send_without_end(void *arg)
{
	struct storm *s = arg;
	unsigned char frames[8192];
	size_t size = 0;

	while (size + 64 < sizeof(frames))
		size += make_frame(frames + size, s->kind, 0);
	for (size_t at = 0; !atomic_load(&s->stop);) {
		ssize_t n = send(s->fd, frames + at, size - at, MSG_NOSIGNAL);

		at = n > 0 ? (at + (size_t)n) % size : at;
	}
	return NULL;
}

static int in_time(int64_t begun, int r)
{
	HOLDS(clock_now() - begun < 5000000000);
	return r;
}

/* Frames that say nothing: the limits of time are those of whoever calls. */
static void test_frames_without_end_hold_nobody_up(void)
{
	static const uint32_t kinds[] = { IPC9_PIPE_FRAME_DATA, IPC9_PIPE_FRAME_MSG_END };

	for (int i = 0; i < 2; i++) {
		struct line line =
		    connect_line(i ? IPC9_PIPE_TYPE_MESSAGE : IPC9_PIPE_TYPE_BYTE, 4096, true);
		struct storm storm = { line.fd, kinds[i], false };
		int64_t begun = clock_now();
		char buffer[8];
		pthread_t t;
		size_t n;

		pthread_create(&t, NULL, send_without_end, &storm);
		for (int k = 0; k < 20; k++) {
			EQUAL(in_time(begun, peek(line.c)), 0);
			EQUAL(in_time(begun,
				  get(line.c, buffer, 8, false, clock_deadline_ms(i ? 5000 : 5))),
			    i ? 0 : -IPC9_E_TIMEDOUT);
			EQUAL(in_time(begun,
				  line.c->ops->wait_closed(line.c, clock_deadline_ms(5))),
			    IPC9_E_TIMEDOUT);
		}
		EQUAL(line.c->ops->write(line.c, "text", 4, CARRIER_QUEUED, 0, &n), 0);
		EQUAL(in_time(begun, line.c->ops->flush(line.c, clock_deadline_ms(5))),
		    IPC9_E_TIMEDOUT);
		atomic_store(&storm.stop, true);
		pthread_join(t, NULL);
		disconnect_line(&line);
	}
}

SUITE(frames_limits, TEST(test_a_read_that_makes_what_is_unread_fit_the_quota_tells_so),
    TEST(test_whatever_takes_in_more_tells_that_it_fits_the_quota),
    TEST(test_control_frames_are_seen_behind_any_number_of_small_messages),
    TEST(test_within_a_host_nothing_is_read_that_a_disconnect_threw_away),
    TEST(test_frames_without_end_hold_nobody_up));
