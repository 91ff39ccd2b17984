/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_frames.c - the STREAM mode of pipes: whatever comes over the socket, in whatever pieces, what is read is what the frames
 * say up to the first that is none.
 *
 * Input: what kind of input it is (KIND_...), the size of the reads, the size of the pieces, then the stream, or of DATA frames
 * a byte each from which they are made.
 */
#include "tests/fuzz/fuzz.h"

#include <sys/socket.h>
#include <unistd.h>

#include "client/frames.h"
#include "rpcgen-out/pipe.h"

#define STREAM_MAX 65536
#define QUOTA 4096
#define LONG_QUOTA 1048576

enum {
	KIND_MESSAGES = 1, /* a message pipe, read in messages */
	KIND_LONG =
	    2, /* frames of nearly the same length, long enough to be received where they are to stay */
};

/* What was read, or is to be: bytes, and behind the end of each message a mark. */
struct content {
	size_t n;
	bool disconnected;
	uint16_t at[2 * STREAM_MAX]; /* a byte, or MESSAGE_END */
};

#define MESSAGE_END 0x100
#define READ_MAX 65536
#define FIRST_PIECE 8300

static void put(struct content *c, uint16_t what)
{
	if (c->n < 2 * STREAM_MAX)
		c->at[c->n++] = what;
}

static uint32_t word(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Payload of a frame: of a byte pipe each byte counts as it comes, of a message pipe all of it once its end has come. */
static bool take_data(const unsigned char *p, size_t left, uint32_t size, bool messages,
    struct content *part, size_t *ret_used)
{
	uint32_t len;

	if (left < 12)
		return false;
	len = word(p + 8);
	if (len > IPC9_BLOB_MAX || size != 8 + ((len + 3) & ~3u))
		return false;
	for (size_t i = 0; i < len && 12 + i < left; i++)
		put(part, p[12 + i]);
	*ret_used = 4 + (size_t)size;
	(void)messages;
	return 12 + (size_t)len <= left;
}

/* The plain reading of pipe.x over the stream as a whole. */
static void model(const unsigned char *p, size_t left, bool messages, struct content *all)
{
	static struct content part;
	bool open = true;

	part.n = 0;
	while (left >= 8) {
		uint32_t size = word(p) & 0x7fffffffu, kind = word(p + 4);
		size_t used = 8;

		if (!(word(p) & 0x80000000u))
			return;
		if (kind == IPC9_PIPE_FRAME_DATA) {
			bool whole;

			if (!open || size < 8)
				return;
			whole = take_data(p, left, size, messages, messages ? &part : all, &used);
			if (!whole)
				return;
		} else if (kind == IPC9_PIPE_FRAME_CONSUMED) {
			return; /* nothing was sent that could have been read */
		} else if (size != 4) {
			return;
		} else if (kind == IPC9_PIPE_FRAME_MSG_END && messages && open) {
			for (size_t i = 0; i < part.n; i++)
				put(all, part.at[i]);
			put(all, MESSAGE_END);
			part.n = 0;
		} else if (kind == IPC9_PIPE_FRAME_END) {
			if (!open || part.n)
				return;
			open = false;
		} else {
			all->disconnected = kind == IPC9_PIPE_FRAME_DISCONNECT;
			return;
		}
		if (used > left)
			return;
		p += used;
		left -= used;
	}
}

/* Reads until it would wait, or there is no more. */
static void drain(struct carrier *c, bool messages, size_t size, struct content *got)
{
	static unsigned char buffer[READ_MAX];
	bool more;
	size_t n;

	while (c->ops->read(c, buffer, size, messages, 0, &n, &more) == 0) {
		CLAIM(n <= size && (n || messages));
		for (size_t i = 0; i < n; i++)
			put(got, buffer[i]);
		if (messages && !more)
			put(got, MESSAGE_END);
	}
}

/* A frame for each byte, of a length about the same; of a message pipe a message.  How long the stream is. */
static size_t make_long(const uint8_t *data, size_t size, bool messages, unsigned char *stream)
{
	size_t at = 0;

	for (size_t i = 0; i < size; i++) {
		uint32_t len = (data[i] & 0x40 ? 0 : 8192) + (data[i] & 0x3f);
		uint32_t padded = (len + 3) & ~3u;
		const uint32_t head[] = { 0x80000000u | (8 + padded), IPC9_PIPE_FRAME_DATA, len };
		const uint32_t end[] = { 0x80000004u, IPC9_PIPE_FRAME_MSG_END };

		if (at + padded + 20 > STREAM_MAX)
			break;
		for (int k = 0; k < 12; k++)
			stream[at++] = (unsigned char)(head[k / 4] >> (24 - 8 * (k % 4)));
		for (uint32_t k = 0; k < padded; k++)
			stream[at++] = k < len ? (unsigned char)(k * 167 + i * 31 + (k >> 8)) : 0;
		for (int k = 0; messages && k < 8; k++)
			stream[at++] = (unsigned char)(end[k / 4] >> (24 - 8 * (k % 4)));
	}
	return at;
}

/* Sends it in pieces, and reads. */
static void run(const unsigned char *stream, size_t size, uint8_t kind, size_t reads, size_t step)
{
	static struct content want, got;
	bool messages = kind & KIND_MESSAGES;
	struct carrier *c;
	int fds[2];

	want.n = got.n = 0;
	want.disconnected = false;
	CLAIM(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) == 0);
	CLAIM(frames_new(fds[0], false, messages ? IPC9_PIPE_TYPE_MESSAGE : IPC9_PIPE_TYPE_BYTE,
		  kind & KIND_LONG ? LONG_QUOTA : QUOTA, &c) == 0);
	model(stream, size, messages, &want);
	for (size_t at = 0, n; at < size; at += n) {
		/* So that it is known how long frames are before many of them come at once. */
		n = at == 0 && kind & KIND_LONG ? FIRST_PIECE : step;
		n = size - at < n ? size - at : n;
		if (send(fds[1], stream + at, n, MSG_NOSIGNAL) != (ssize_t)n)
			break; /* given up over there */
		drain(c, messages, reads, &got);
	}
	CLAIM(got.n <= want.n && memcmp(got.at, want.at, got.n * sizeof(got.at[0])) == 0);
	CLAIM(got.n == want.n || want.disconnected);
	c->ops->close(c, 0);
	close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static unsigned char stream[STREAM_MAX];
	size_t step, reads;

	if (size < 3 || size > STREAM_MAX)
		return 0;
	reads = 1 + data[1];
	step = 1 + (size_t)data[2] * 16;
	if (!(data[0] & KIND_LONG)) {
		run(data + 3, size - 3, data[0], reads, step);
		return 0;
	}
	reads = 1 + (size_t)data[1] * 256;
	step = 1 + (size_t)data[2] * 256;
	if (step < 256) /* one byte at a time takes too long */
		step = 256;
	size = make_long(data + 3, size - 3, data[0] & KIND_MESSAGES, stream);
	run(stream, size, data[0], reads, step);
	return 0;
}
