/* SPDX-License-Identifier: BSD-3-Clause */
/* test_frames.c - frames on the socket of a pipe: the bytes that pipe.x says, and others that end it. */
#include <arpa/inet.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/frames.h"
#include "client/frames_state.h"
#include "rpcgen-out/pipe.h"
#include "tests/carrier.h"
#include "tests/harness.h"

/* --- Frames that lie --------------------------------------------------------------------------- */

/* What reading comes to when these bytes come, and then nothing. */
static int after_bytes(enum ipc9_pipe_type type, const void *data, size_t size)
{
	struct carrier *c;
	char buffer[64];
	int fds[2], r;

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	EQUAL(frames_new(fds[0], false, type, 4096, &c), 0);
	EQUAL(write(fds[1], data, size), (ssize_t)size);
	r = get(c, buffer, sizeof(buffer), type == IPC9_PIPE_TYPE_MESSAGE, clock_deadline_ms(20));
	shut(c);
	close(fds[1]);
	return r;
}

#define HALF "\x80\0\0\x0c\0\0\0\x01\0\0\0\x02xy\0\0"
#define AFTER(type, bytes) after_bytes(IPC9_PIPE_TYPE_##type, bytes, sizeof(bytes) - 1)

static void test_what_is_no_frame_ends_the_pipe_as_lost(void)
{
	/* A good one, so that the others are bad for one reason each. */
	EQUAL(AFTER(BYTE, "\x80\0\0\x0c\0\0\0\x01\0\0\0\x02xy\0\0"), 2);
	EQUAL(AFTER(MESSAGE, "\x80\0\0\x0c\0\0\0\x01\0\0\0\x02xy\0\0\x80\0\0\x04\0\0\0\x02"), 2);
	EQUAL(AFTER(MESSAGE, "\x80\0\0\x0c\0\0\0\x01\0\0\0\x02xy\0\0"), -IPC9_E_TIMEDOUT);
	/* A record in several fragments; lengths that disagree; an unknown kind; a kind's wrong size. */
	EQUAL(AFTER(BYTE, "\0\0\0\x0c\0\0\0\x01\0\0\0\x02xy\0\0"), -IPC9_E_LOST);
	EQUAL(AFTER(BYTE, "\x80\0\0\x10\0\0\0\x01\0\0\0\x02xy\0\0"), -IPC9_E_LOST);
	EQUAL(AFTER(BYTE, "\x80\0\0\x04\0\0\0\x09"), -IPC9_E_LOST);
	EQUAL(AFTER(BYTE, "\x80\0\0\x08\0\0\0\x05\0\0\0\0"), -IPC9_E_LOST);
	/* More than the window; the end of a message on a byte pipe; data after END. */
	EQUAL(AFTER(BYTE, "\x80\x10\x10\x08\0\0\0\x01\0\x10\x10\x01"), -IPC9_E_LOST);
	EQUAL(AFTER(BYTE, "\x80\xff\xff\x08\0\0\0\x01\0\xff\xff\0"), -IPC9_E_LOST);
	EQUAL(AFTER(BYTE, "\x80\0\0\x04\0\0\0\x02"), -IPC9_E_LOST);
	EQUAL(AFTER(BYTE, "\x80\0\0\x04\0\0\0\x05\x80\0\0\x0c\0\0\0\x01\0\0\0\x02xy\0\0"),
	    -IPC9_E_LOST);
	/* More read than was sent. */
	EQUAL(AFTER(BYTE, "\x80\0\0\x0c\0\0\0\x04\0\0\0\0\0\0\0\x01"), -IPC9_E_LOST);
	/* What says nothing new: nothing more was read, and END again. */
	EQUAL(AFTER(BYTE, "\x80\0\0\x0c\0\0\0\x04\0\0\0\0\0\0\0\0"), -IPC9_E_LOST);
	EQUAL(AFTER(BYTE, "\x80\0\0\x04\0\0\0\x05"), -IPC9_E_EOF);
	EQUAL(AFTER(BYTE, "\x80\0\0\x04\0\0\0\x05\x80\0\0\x04\0\0\0\x05"), -IPC9_E_LOST);
	/* END and CLOSE within a message; behind bytes they may come. */
	EQUAL(AFTER(MESSAGE, HALF "\x80\0\0\x04\0\0\0\x05"), -IPC9_E_LOST);
	EQUAL(AFTER(MESSAGE, HALF "\x80\0\0\x04\0\0\0\x06"), -IPC9_E_LOST);
	EQUAL(AFTER(BYTE, HALF "\x80\0\0\x04\0\0\0\x06"), 2);
	/* Its end without CLOSE is told apart from CLOSE in the next test. */
}

/* Two frames of one message that are too long together. */
static void test_a_message_over_the_limit_ends_the_pipe_as_lost(void)
{
	static unsigned char frame[12 + IPC9_MESSAGE_BYTES / 2 + 4] = { 0x80, 0x08, 0, 0x0c, 0, 0,
		0, 1, 0, 0x08, 0, 4 };
	struct carrier *c;
	char byte;
	int fds[2], sent = 0, r = -IPC9_E_TIMEDOUT;

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	EQUAL(frames_new(fds[0], false, IPC9_PIPE_TYPE_MESSAGE, 4194304, &c), 0);
	while (sent < 2 * (int)sizeof(frame) && r == -IPC9_E_TIMEDOUT) {
		int at = sent % (int)sizeof(frame);
		ssize_t n = send(fds[1], frame + at, sizeof(frame) - (size_t)at, MSG_NOSIGNAL);

		sent += n > 0 ? (int)n : 0;
		r = get(c, &byte, 1, true, 0);
	}
	EQUAL(r, -IPC9_E_LOST);
	shut(c);
	close(fds[1]);
}

/* Appends a frame as rpcgen's code has it. */
static void encode(struct ipc9_pipe_frame frame, unsigned char *record, size_t *size)
{
	XDR xdrs;
	uint32_t mark;

	xdrmem_create(&xdrs, (char *)record + *size + 4, 256, XDR_ENCODE);
	HOLDS(xdr_ipc9_pipe_frame(&xdrs, &frame));
	mark = htonl(0x80000000u | XDR_GETPOS(&xdrs));
	memcpy(record + *size, &mark, sizeof(mark));
	*size += 4 + XDR_GETPOS(&xdrs);
}

static void test_frames_are_what_the_protocol_says(void)
{
	unsigned char want[1024], got[1024];
	size_t n_want = 0, n_got = 0;
	struct ipc9_pipe_frame data = { .kind = IPC9_PIPE_FRAME_DATA }, consumed = data;
	struct carrier *c;
	char buffer[8];
	ssize_t n;
	int fds[2];

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	EQUAL(frames_new(fds[0], false, IPC9_PIPE_TYPE_MESSAGE, 4096, &c), 0);
	data.ipc9_pipe_frame_u.data = (ipc9_blob){ (const unsigned char *)"message", 7, NULL };
	encode(data, want, &n_want);
	encode((struct ipc9_pipe_frame){ .kind = IPC9_PIPE_FRAME_MSG_END }, want, &n_want);
	encode((struct ipc9_pipe_frame){ .kind = IPC9_PIPE_FRAME_MSG_END }, want, &n_want);
	EQUAL(put(c, "message", 7), 0);
	EQUAL(put(c, "", 0), 0);
	/* And what comes in the same way; that it was read is told. */
	EQUAL(write(fds[1], want, n_want), (ssize_t)n_want);
	EQUAL(get(c, buffer, 8, true, SOON), 7);
	consumed.kind = IPC9_PIPE_FRAME_CONSUMED;
	consumed.ipc9_pipe_frame_u.consumed_bytes = 7;
	encode(consumed, want, &n_want);
	encode((struct ipc9_pipe_frame){ .kind = IPC9_PIPE_FRAME_END }, want, &n_want);
	encode((struct ipc9_pipe_frame){ .kind = IPC9_PIPE_FRAME_CLOSE }, want, &n_want);
	EQUAL(c->ops->end(c), 0);
	shut(c);
	while ((n = read(fds[1], got + n_got, sizeof(got) - n_got)) > 0)
		n_got += (size_t)n;
	SAME_BYTES(got, n_got, want, n_want);
	close(fds[1]);
}

static void test_a_connection_that_ends_without_close_is_lost(void)
{
	for (int with_close = 0; with_close < 2; with_close++) {
		struct carrier *c;
		char buffer[8];
		int fds[2];

		EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
		EQUAL(frames_new(fds[0], false, IPC9_PIPE_TYPE_BYTE, 4096, &c), 0);
		EQUAL(write(fds[1], "\x80\0\0\x0c\0\0\0\x01\0\0\0\x02xy\0\0", 16), 16);
		if (with_close)
			EQUAL(write(fds[1], "\x80\0\0\x04\0\0\0\x06", 8), 8);
		close(fds[1]);
		EQUAL(get(c, buffer, 8, false, SOON), 2);
		EQUAL(get(c, buffer, 8, false, SOON), with_close ? -IPC9_E_EOF : -IPC9_E_LOST);
		shut(c);
	}
}

/* --- Words and data that pass each other ------------------------------------------------------- */

/* A server that writes while it disconnects, or whose socket still had data behind that word. */
static void test_what_follows_a_disconnect_is_not_looked_at(void)
{
	EQUAL(AFTER(BYTE, "\x80\0\0\x04\0\0\0\x07\x80\0\0\x0c\0\0\0\x01\0\0\0\x02xy\0\0"),
	    -IPC9_E_NOTCONN);
	EQUAL(AFTER(BYTE, "\x80\0\0\x04\0\0\0\x07no frame at all"), -IPC9_E_NOTCONN);
}

/* Empty messages cost no window, and so may be any number; all of them are taken in, and the word behind them. */
static void test_a_write_that_fails_gives_up_no_message_that_came(void)
{
	static const unsigned char end[8] = { 0x80, 0, 0, 4, 0, 0, 0, 2 },
				   closed[8] = { 0x80, 0, 0, 4, 0, 0, 0, 6 };
	const int want = 66000;
	struct carrier_waiting waiting;
	struct carrier *c;
	char byte;
	int fds[2], sent = 0, got = 0;

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	EQUAL(frames_new(fds[0], false, IPC9_PIPE_TYPE_MESSAGE, 4096, &c), 0);
	while (sent < want) {
		unsigned char many[100 * sizeof(end)];

		for (int i = 0; i < 100; i++)
			memcpy(many + (size_t)i * sizeof(end), end, sizeof(end));
		EQUAL(c->ops->peek(c, NULL, 0, &waiting), 0);
		if (!EQUAL(write(fds[1], many, sizeof(many)), (ssize_t)sizeof(many)))
			break;
		sent += 100;
	}
	EQUAL(write(fds[1], closed, sizeof(closed)), (ssize_t)sizeof(closed));
	close(fds[1]);
	EQUAL(put(c, "x", 1), IPC9_E_EOF);
	while (get(c, &byte, 1, true, SOON) == 0)
		got++;
	EQUAL(got, want);
	EQUAL(get(c, &byte, 1, true, SOON), -IPC9_E_EOF);
	EQUAL(put(c, "x", 1), IPC9_E_PEERCLOSED);
	shut(c);
}

/* Nothing that the other end would have to call a lie. */
static void test_no_data_follows_the_word_that_none_will(void)
{
	unsigned char bytes[256];
	struct carrier *c;
	int fds[2];

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	EQUAL(frames_new(fds[0], true, IPC9_PIPE_TYPE_BYTE, 4096, &c), 0);
	frames_send_word((struct frames *)(void *)c, IPC9_PIPE_FRAME_END);
	EQUAL(put(c, "x", 1), IPC9_E_BADSTATE);
	frames_send_word((struct frames *)(void *)c, IPC9_PIPE_FRAME_DISCONNECT);
	EQUAL(put(c, "x", 1), IPC9_E_NOTCONN);
	EQUAL(read(fds[1], bytes, sizeof(bytes)), 16);
	shut(c);
	close(fds[1]);
}

/* --- What is kept ------------------------------------------------------------------------------ */

enum {
	SIZE = 1000000,
	LOCAL = 2 /* of carrier_ways */
};

/* Two ends; some of a message is kept of the first one, as its socket is full. */
static struct ends with_kept(void)
{
	struct ends e = carrier_make(LOCAL, IPC9_PIPE_TYPE_MESSAGE, 1048576);
	char *data = calloc(1, SIZE);
	size_t n = 0;

	EQUAL(e.c[0]->ops->write(e.c[0], data, SIZE, CARRIER_FITTING, 0, &n), 0);
	EQUAL(n, SIZE);
	free(data);
	return e;
}

static int get_kept(struct ends *e)
{
	char *data = malloc(SIZE);
	int r = get(e->c[1], data, SIZE, true, SOON);

	free(data);
	return r;
}

/* The threads of a process have names. */
static bool has_name(const char *task)
{
	char path[64], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/task/%.20s/comm", task);
	file = fopen(path, "r");
	if (file) {
		(void)!fgets(name, sizeof(name), file);
		fclose(file);
	}
	return strcmp(name, "ipc9-pipes\n") == 0;
}

static bool is_running(void)
{
	DIR *tasks = opendir("/proc/self/task");
	const struct dirent *task;
	bool found = false;

	while (HOLDS(tasks) && !found && (task = readdir(tasks)))
		found = has_name(task->d_name);
	closedir(tasks);
	return found;
}

static bool has_begun(void *unused)
{
	(void)unused;
	return is_running();
}

static bool has_ended(void *unused)
{
	(void)unused;
	return !is_running();
}

static void test_the_thread_that_sends_what_is_kept_ends_with_it(void)
{
	for (int i = 0; i < 2; i++) {
		struct ends e = with_kept();

		HOLDS(wait_until(has_begun, NULL, 10000));
		EQUAL(get_kept(&e), SIZE);
		HOLDS(wait_until(has_ended, NULL, 10000));
		/* Also that of an end that is closed before. */
		shut(e.c[0]);
		shut(e.c[1]);
		e = with_kept();
		e.c[0]->ops->close(e.c[0], 0);
		EQUAL(get_kept(&e), SIZE);
		EQUAL(e.c[1]->ops->wait_closed(e.c[1], SOON), 0);
		HOLDS(wait_until(has_ended, NULL, 10000));
		shut(e.c[1]);
	}
}

static void test_a_child_after_fork_sends_what_its_own_ends_keep(void)
{
	struct ends e;
	int status = -1;
	pid_t child;

#ifdef __SANITIZE_THREAD__
	skip_test("the thread sanitizer lets no child have threads");
	return;
#endif
	e = with_kept();
	child = fork();
	if (child == 0) {
		struct ends own = with_kept();
		bool good = get_kept(&own) == SIZE;

		shut(own.c[0]);
		shut(own.c[1]);
		_exit(good ? 0 : 1);
	}
	EQUAL(waitpid(child, &status, 0), child);
	EQUAL(status, 0);
	EQUAL(get_kept(&e), SIZE);
	shut(e.c[0]);
	shut(e.c[1]);
}

static void test_disconnect_throws_away_what_is_kept(void)
{
	struct ends e = carrier_make(LOCAL, IPC9_PIPE_TYPE_MESSAGE, 1048576);
	struct carrier *c = e.c[0];
	char data[1000] = "";
	int sent = 0, n, got = 0;
	size_t written;

	while (!c->ops->write(c, data, sizeof(data), CARRIER_FITTING, 0, &written))
		sent++;
	EQUAL(sent, 1048576 / 1000);
	c->ops->disconnect(c);
	while ((n = get(e.c[1], data, sizeof(data), true, SOON)) > 0)
		got++;
	EQUAL(n, -IPC9_E_NOTCONN);
	HOLDS(got < sent / 2); /* which had left, or begun to */
	shut(e.c[0]);
	shut(e.c[1]);
}

/* At all moments of what the thread does. */
static void test_ends_may_go_while_what_they_keep_leaves(void)
{
	char *data = malloc(SIZE);

	for (int i = 0; i < 300; i++) {
		struct ends e = with_kept();

		for (int reads = 0; reads < i % 100; reads++)
			e.c[1]->ops->peek(e.c[1], data, SIZE, &(struct carrier_waiting){ 0 });
		if (i % 3 == 0)
			e.c[0]->ops->abort(e.c[0]);
		else if (i % 3 == 1)
			e.c[0]->ops->disconnect(e.c[0]);
		e.c[i % 2]->ops->close(e.c[i % 2], 0);
		e.c[!(i % 2)]->ops->close(e.c[!(i % 2)], 0);
	}
	free(data);
}

static void *read_until_it_ends(void *carrier)
{
	char byte;

	while (get(carrier, &byte, 1, true, CLOCK_NEVER) >= 0)
		;
	return NULL;
}

static bool is_receiving(void *frames)
{
	struct frames *f = frames;
	bool yes;

	pthread_mutex_lock(&f->lock);
	yes = f->receiving;
	pthread_mutex_unlock(&f->lock);
	return yes;
}

/* The socket says so to whoever writes; whoever waits for something to read hears nothing of it. */
static void test_a_peer_that_takes_nothing_and_says_nothing_holds_nobody(void)
{
	struct carrier *c;
	pthread_t reader;
	int fds[2];

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds), 0);
	EQUAL(frames_new(fds[0], false, IPC9_PIPE_TYPE_MESSAGE, 4096, &c), 0);
	EQUAL(pthread_create(&reader, NULL, read_until_it_ends, c), 0);
	HOLDS(wait_until(is_receiving, c, 10000));
	EQUAL(shutdown(fds[1], SHUT_RD), 0);
	EQUAL(put(c, "x", 1), IPC9_E_LOST);
	pthread_join(reader, NULL);
	shut(c);
	close(fds[1]);
}

/* It takes nothing any more, and nothing that it could read counts: it costs this process nothing for long. */
static void test_who_is_thrown_out_and_does_not_read_is_soon_forgotten(void)
{
	struct ends e = with_kept();

	HOLDS(wait_until(has_begun, NULL, 10000));
	e.c[0]->ops->disconnect(e.c[0]);
	e.c[0]->ops->close(e.c[0], 0);
	HOLDS(wait_until(has_ended, NULL, 10000));
	shut(e.c[1]);
}

SUITE(frames, TEST(test_what_is_no_frame_ends_the_pipe_as_lost),
    TEST(test_a_message_over_the_limit_ends_the_pipe_as_lost),
    TEST(test_frames_are_what_the_protocol_says),
    TEST(test_a_connection_that_ends_without_close_is_lost),
    TEST(test_what_follows_a_disconnect_is_not_looked_at),
    TEST(test_a_write_that_fails_gives_up_no_message_that_came),
    TEST(test_no_data_follows_the_word_that_none_will),
    TEST(test_the_thread_that_sends_what_is_kept_ends_with_it),
    TEST(test_a_peer_that_takes_nothing_and_says_nothing_holds_nobody),
    TEST(test_who_is_thrown_out_and_does_not_read_is_soon_forgotten),
    TEST(test_a_child_after_fork_sends_what_its_own_ends_keep),
    TEST(test_disconnect_throws_away_what_is_kept),
    TEST(test_ends_may_go_while_what_they_keep_leaves));
