/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_frames_lengths.c - frames of lengths that differ a little: what is received where it is to stay, as if each frame were
 * as long as the last one, is what was sent also where that guess was wrong.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client/frames.h"
#include "rpcgen-out/pipe.h"
#include "tests/carrier.h"
#include "tests/harness.h"

#define QUOTA 4194304
#define STREAM_MAX 1048576
#define FRAMES_MAX 64

/* What is sent, and what of it is payload. */
struct sent {
	enum ipc9_pipe_type type;
	unsigned char stream[STREAM_MAX], payload[STREAM_MAX];
	size_t n_stream, n_payload;
};

struct line {
	struct carrier *c;
	int fd; /* the other end */
};

static unsigned char next_byte(void)
{
	static uint32_t state = 1;

	state = state * 1103515245u + 12345u;
	return (unsigned char)(state >> 16);
}

static void put_word(struct sent *s, uint32_t w)
{
	for (int shift = 24; shift >= 0; shift -= 8)
		s->stream[s->n_stream++] = (unsigned char)(w >> shift);
}

/* One DATA frame; of a message pipe a message of its own. */
static void put_frame(struct sent *s, uint32_t len)
{
	uint32_t padding = -len & 3;

	put_word(s, 0x80000000u | (8 + len + padding));
	put_word(s, IPC9_PIPE_FRAME_DATA);
	put_word(s, len);
	for (uint32_t i = 0; i < len; i++)
		s->payload[s->n_payload++] = s->stream[s->n_stream++] = next_byte();
	while (padding--)
		s->stream[s->n_stream++] = 0;
	if (s->type != IPC9_PIPE_TYPE_MESSAGE)
		return;
	put_word(s, 0x80000004u);
	put_word(s, IPC9_PIPE_FRAME_MSG_END);
}

static struct line connect_line(enum ipc9_pipe_type type)
{
	struct line line = { NULL, -1 };
	int fds[2];

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	EQUAL(frames_new(fds[0], false, type, QUOTA, &line.c), 0);
	line.fd = fds[1];
	return line;
}

static void disconnect_line(struct line *line)
{
	close(line->fd);
	shut(line->c);
}

/* Sends all in pieces of up to so many bytes, and reads with buffers of up to so many.  Whether it is what was sent. */
static bool goes_through(const struct line *line, const struct sent *s, size_t piece, size_t reads)
{
	static unsigned char got[STREAM_MAX + 1];
	size_t n_sent = 0, n_got = 0;
	unsigned char bin[4096];
	bool message = s->type == IPC9_PIPE_TYPE_MESSAGE;

	while (n_got < s->n_payload || n_sent < s->n_stream) {
		size_t left = s->n_stream - n_sent, room = sizeof(got) - n_got;
		ssize_t n = send(line->fd, s->stream + n_sent, left < piece ? left : piece,
		    MSG_NOSIGNAL | MSG_DONTWAIT);
		int r;

		if (n > 0) {
			n_sent += (size_t)n;
			if (n_sent < s->n_stream && next_byte() % 4)
				continue;
		}
		while ((r = get(line->c, got + n_got, room < reads ? room : reads, message, 0)) >=
		    0) {
			n_got += (size_t)r % 1000000;
			room = sizeof(got) - n_got;
		}
		if (!EQUAL(r, -IPC9_E_TIMEDOUT))
			return false;
		/* What is told back is not looked at. */
		while (recv(line->fd, bin, sizeof(bin), MSG_DONTWAIT) > 0)
			;
	}
	return n_got == s->n_payload && memcmp(got, s->payload, n_got) == 0;
}

static struct sent *nothing_sent(enum ipc9_pipe_type type)
{
	static struct sent sent;

	sent.type = type;
	sent.n_stream = sent.n_payload = 0;
	return &sent;
}

/* Each length modulo 4 before each that differs by up to 16 bytes, and that before each other one. */
static void test_frames_a_little_shorter_or_longer_than_the_last_arrive_as_they_were_sent(void)
{
	static const enum ipc9_pipe_type types[] = { IPC9_PIPE_TYPE_BYTE, IPC9_PIPE_TYPE_MESSAGE };
	int bad = 0;

	for (size_t t = 0; t < 2; t++) {
		struct line line = connect_line(types[t]);

		for (uint32_t len = 8208; len < 8212; len++)
			for (int i = 0; i < 33 * 33; i++) {
				uint32_t one = len - 16 + (uint32_t)i / 33,
					 other = len - 16 + (uint32_t)i % 33;
				struct sent *s = nothing_sent(types[t]);

				put_frame(s, len);
				put_frame(s, len);
				put_frame(s, one);
				put_frame(s, other);
				put_frame(s, len);
				if (goes_through(&line, s, STREAM_MAX, STREAM_MAX))
					continue;
				if (!bad++)
					printf("lengths %u %u %u %u %u\n", len, len, one, other,
					    len);
			}
		disconnect_line(&line);
	}
	EQUAL(bad, 0);
}

static uint32_t any_length(unsigned *seed, uint32_t last)
{
	switch (rand_r(seed) % 8) {
	case 0:
		return (uint32_t)rand_r(seed) % 24;
	case 1:
		return (uint32_t)rand_r(seed) % 30000;
	case 2:
		return 8192 + (uint32_t)rand_r(seed) % 40;
	case 3:
		return last;
	default: /* near the last one */
		return last > 16 ? last - 16 + (uint32_t)rand_r(seed) % 33 : 9000;
	}
}

static void test_frames_of_any_lengths_in_any_pieces_arrive_as_they_were_sent(void)
{
	unsigned first = (unsigned)time(NULL), seed = first;
	int bad = 0;

	for (int i = 0; i < 300 && !bad; i++) {
		enum ipc9_pipe_type type = i % 2 ? IPC9_PIPE_TYPE_MESSAGE : IPC9_PIPE_TYPE_BYTE;
		struct line line = connect_line(type);

		for (int k = 0; k < 3; k++) {
			struct sent *s = nothing_sent(type);
			size_t piece = rand_r(&seed) % 2 ? STREAM_MAX
							 : 1 + (size_t)rand_r(&seed) % 20000,
			       reads = rand_r(&seed) % 2 ? STREAM_MAX
							 : 8000 + (size_t)rand_r(&seed) % 60000;
			uint32_t len = 8192;

			for (int n = 1 + rand_r(&seed) % 20; n > 0; n--)
				put_frame(s, len = any_length(&seed, len));
			bad += !goes_through(&line, s, piece, reads);
		}
		disconnect_line(&line);
	}
	if (!EQUAL(bad, 0))
		printf("seed %u\n", first);
}

SUITE(frames_lengths,
    TEST(test_frames_a_little_shorter_or_longer_than_the_last_arrive_as_they_were_sent),
    TEST(test_frames_of_any_lengths_in_any_pieces_arrive_as_they_were_sent));
