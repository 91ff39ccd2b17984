/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_pipe_pair.c - unnamed pipes: what their ends promise, in one process, across fork(), and to those who lie; over memory
 * and over a socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/ipc9.h"
#include "tests/harness.h"
#include "tests/process.h"

#define LONG_MS 20000
#define MANY 1000000

static const enum ipc9_pipe_way ways[] = { IPC9_PIPE_BY_MEMORY, IPC9_PIPE_BY_SOCKET };

#define EACH_WAY(w) for (size_t w = 0; w < sizeof(ways) / sizeof(ways[0]); w++)

/* A pair of which both ends are here. */
struct pair {
	struct ipc9 *ipc9;
	struct ipc9_pipe *end[2];
};

static struct pair make(struct ipc9_pipe_pair_options options, enum ipc9_pipe_way way)
{
	struct ipc9_pipe_loose loose[2];
	struct pair p = { NULL, { NULL, NULL } };

	options.way = way;
	if (!EQUAL(ipc9_new(NULL, &p.ipc9, NULL), 0) ||
	    !EQUAL(ipc9_pipe_pair(&options, loose, NULL), 0))
		abort();
	for (int i = 0; i < 2; i++) {
		EQUAL(loose[i].way, way);
		if (!EQUAL(ipc9_pipe_adopt(p.ipc9, &loose[i], &p.end[i], NULL), 0))
			abort();
		EQUAL(loose[i].fds[0], -1);
		EQUAL(loose[i].fds[1], -1);
	}
	return p;
}

static void end(struct pair *p)
{
	ipc9_pipe_close(p->end[0]);
	ipc9_pipe_close(p->end[1]);
	ipc9_free(p->ipc9);
}

static const struct ipc9_pipe_pair_options bytes, messages = { .type = IPC9_PIPE_TYPE_MESSAGE };

/* What a read says: the number of bytes, or minus its code. */
static int get(struct ipc9_pipe *pipe, void *buffer, size_t size, int wait_ms)
{
	size_t n = 0;
	int r = ipc9_pipe_read(pipe, buffer, size, wait_ms, &n, NULL);

	return r ? -r : (int)n;
}

static int put(struct ipc9_pipe *pipe, const char *text)
{
	return ipc9_pipe_write(pipe, text, strlen(text), LONG_MS, NULL, NULL);
}

/* --- One process ------------------------------------------------------------------------------- */

static void test_what_one_end_writes_the_other_reads_both_ways(void)
{
	EACH_WAY(w)
	{
		struct pair p = make(bytes, ways[w]);
		char buffer[8];

		EQUAL(put(p.end[0], "abc"), 0);
		EQUAL(put(p.end[1], "de"), 0);
		EQUAL(get(p.end[1], buffer, sizeof(buffer), LONG_MS), 3);
		SAME_BYTES(buffer, 3, "abc", 3);
		EQUAL(get(p.end[0], buffer, sizeof(buffer), LONG_MS), 2);
		SAME_BYTES(buffer, 2, "de", 2);
		EQUAL(get(p.end[0], buffer, sizeof(buffer), 0), -IPC9_E_TIMEDOUT);
		end(&p);
	}
}

static void test_data_left_when_the_writer_closed_is_read_and_then_eof(void)
{
	EACH_WAY(w)
	{
		struct pair p = make(bytes, ways[w]);
		char buffer[8];

		EQUAL(put(p.end[0], "left"), 0);
		p.end[0] = ipc9_pipe_close(p.end[0]);
		EQUAL(get(p.end[1], buffer, sizeof(buffer), LONG_MS), 4);
		EQUAL(get(p.end[1], buffer, sizeof(buffer), LONG_MS), -IPC9_E_EOF);
		end(&p);
	}
}

static int writes_to_nobody(struct process *self, void *context)
{
	const enum ipc9_pipe_way *way = context;
	struct pair p = make(bytes, *way);
	int r;

	(void)self;
	signal(SIGPIPE, SIG_DFL);
	p.end[1] = ipc9_pipe_close(p.end[1]);
	r = put(p.end[0], "x");
	/* A socket tells it in the course of the first one. */
	if (r != IPC9_E_PEERCLOSED && (r != IPC9_E_EOF || *way != IPC9_PIPE_BY_SOCKET))
		return 1;
	return put(p.end[0], "x") == IPC9_E_PEERCLOSED ? 0 : 2;
}

static void test_a_write_to_a_closed_reader_is_an_error_and_no_signal(void)
{
	EACH_WAY(w)
	{
		enum ipc9_pipe_way way = ways[w];
		struct process process;

		process_start(&process, writes_to_nobody, &way);
		process_end(&process);
	}
}

static void test_a_one_way_pair_goes_one_way(void)
{
	static const enum ipc9_pipe_access access[] = { IPC9_PIPE_ACCESS_OUTBOUND,
		IPC9_PIPE_ACCESS_INBOUND };

	EACH_WAY(w) for (int from = 0; from < 2; from++)
	{
		struct pair p =
		    make((struct ipc9_pipe_pair_options){ .access = access[from] }, ways[w]);
		struct ipc9_pipe_end_info info;
		char buffer[8];

		EQUAL(put(p.end[from], "abc"), 0);
		EQUAL(get(p.end[!from], buffer, sizeof(buffer), LONG_MS), 3);
		EQUAL(put(p.end[!from], "x"), IPC9_E_ACCESS);
		EQUAL(get(p.end[from], buffer, sizeof(buffer), 0), -IPC9_E_ACCESS);
		EQUAL(ipc9_pipe_info_of(p.end[0], &info, NULL), 0);
		EQUAL(info.access, access[from]);
		end(&p);
	}
}

static void test_a_quota_is_told_as_it_was_given_and_holds_writers_back(void)
{
	EACH_WAY(w)
	{
		struct pair p = make((struct ipc9_pipe_pair_options){ .quota_bytes = 1 }, ways[w]);
		struct ipc9_pipe_end_info info = { .quota_bytes = 0 };
		size_t written = 9;

		EQUAL(ipc9_pipe_info_of(p.end[0], &info, NULL), 0);
		EQUAL(info.quota_bytes, 1);
		EQUAL(ipc9_pipe_info_of(p.end[1], &info, NULL), 0);
		EQUAL(info.quota_bytes, 1);
		EQUAL(ipc9_pipe_write(p.end[0], "ab", 2, 0, &written, NULL), IPC9_E_TIMEDOUT);
		EQUAL(written, 1);
		end(&p);
	}
}

static void test_options_out_of_range_are_refused(void)
{
	static const struct ipc9_pipe_pair_options wrong[] = {
		{ .type = (enum ipc9_pipe_type)2 },
		{ .access = (enum ipc9_pipe_access)4 },
		{ .quota_bytes = IPC9_PIPE_QUOTA_BYTES + 1 },
		{ .way = IPC9_PIPE_BY_CALLS },
		{ .way = (enum ipc9_pipe_way)4 },
	};
	struct ipc9_pipe_pair_options largest = { .quota_bytes = IPC9_PIPE_QUOTA_BYTES };
	struct ipc9_pipe_loose ends[2];
	struct ipc9_error e;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		e.text[0] = '\0';
		EQUAL(ipc9_pipe_pair(&wrong[i], ends, &e), IPC9_E_INVALID);
		HOLDS(strncmp(e.text, "unnamed pipe: ", 14) == 0);
	}
	EQUAL(ipc9_pipe_pair(&largest, ends, NULL), 0);
	EQUAL(ends[1].quota_bytes, IPC9_PIPE_QUOTA_BYTES);
	ipc9_pipe_loose_close(&ends[0]);
	ipc9_pipe_loose_close(&ends[0]);
	ipc9_pipe_loose_close(&ends[1]);
	ipc9_pipe_loose_close(NULL);
}

static void test_what_a_named_pipe_does_an_unnamed_one_does(void)
{
	EACH_WAY(w)
	{
		struct pair p = make(messages, ways[w]);
		struct ipc9_pipe_end_info info;
		struct ipc9_pipe_peeked peeked;
		char buffer[8] = "";
		size_t n = 9;
		bool more = false;

		EQUAL(put(p.end[0], "message"), 0);
		EQUAL(put(p.end[0], ""), 0);
		EQUAL(ipc9_pipe_peek(p.end[1], buffer, 3, &peeked, NULL), 0);
		HOLDS(peeked.waiting);
		EQUAL(peeked.size_bytes, 3);
		EQUAL(peeked.left_bytes, 4);
		EQUAL(ipc9_pipe_read_message(p.end[1], buffer, 5, 0, &n, &more, NULL), 0);
		HOLDS(more && n == 5);
		EQUAL(ipc9_pipe_read_message(p.end[1], buffer, 5, 0, &n, &more, NULL), 0);
		HOLDS(!more && n == 2);
		EQUAL(ipc9_pipe_read_message(p.end[1], buffer, 5, 0, &n, &more, NULL), 0);
		HOLDS(!more && n == 0);
		EQUAL(ipc9_pipe_flush(p.end[0], LONG_MS, NULL), 0);

		EQUAL(put(p.end[1], "reply"), 0);
		EQUAL(ipc9_pipe_transact(p.end[0], "q", 1, buffer, 8, 0, &n, &more, NULL),
		    IPC9_E_BUSY);
		EQUAL(get(p.end[0], buffer, 8, 0), 5);
		EQUAL(ipc9_pipe_transact(p.end[0], "q", 1, buffer, 8, 0, &n, &more, NULL),
		    IPC9_E_TIMEDOUT);
		EQUAL(get(p.end[1], buffer, 8, LONG_MS), 1);

		EQUAL(ipc9_pipe_info_of(p.end[0], &info, NULL), 0);
		HOLDS(info.server);
		EQUAL(info.state, IPC9_PIPE_STATE_CONNECTED);
		EQUAL(info.way, ways[w]);
		EQUAL(info.type, IPC9_PIPE_TYPE_MESSAGE);
		EQUAL(info.access, IPC9_PIPE_ACCESS_DUPLEX);
		EQUAL(info.mode, IPC9_PIPE_MODE_MESSAGES);
		EQUAL(info.peer.pid, getpid());
		EQUAL(info.peer.uid, getuid());
		EQUAL(ipc9_pipe_info_of(p.end[1], &info, NULL), 0);
		HOLDS(!info.server);
		for (int i = 0; i < 2; i++) {
			EQUAL(ipc9_pipe_accept(p.end[i], 0, NULL, NULL), IPC9_E_INVALID);
			EQUAL(ipc9_pipe_disconnect(p.end[i], NULL), IPC9_E_INVALID);
		}
		EQUAL(ipc9_pipe_end(p.end[0], NULL), 0);
		EQUAL(get(p.end[1], buffer, 8, LONG_MS), -IPC9_E_EOF);
		EQUAL(put(p.end[1], "on"), 0);
		EQUAL(get(p.end[0], buffer, 8, LONG_MS), 2);
		p.end[1] = ipc9_pipe_close(p.end[1]);
		EQUAL(ipc9_pipe_wait_closed(p.end[0], LONG_MS, NULL), 0);
		end(&p);
	}
}

static void test_an_operation_can_be_started_and_finished_later(void)
{
	EACH_WAY(w)
	{
		struct pair p = make(bytes, ways[w]);
		struct ipc9_pipe_op *op = NULL;
		struct ipc9_pipe_result result;
		char buffer[8];
		struct pollfd fd = { .fd = ipc9_pipe_fd(p.end[1]), .events = POLLIN };
		int r;

		EQUAL(ipc9_pipe_start_read(p.end[1], buffer, sizeof(buffer), &op, NULL), 0);
		EQUAL(ipc9_pipe_finish(op, 0, &result, NULL), IPC9_E_PENDING);
		EQUAL(put(p.end[0], "later"), 0);
		do
			poll(&fd, 1, LONG_MS);
		while ((r = ipc9_pipe_finish(op, 0, &result, NULL)) == IPC9_E_PENDING);
		EQUAL(r, 0);
		EQUAL(result.size_bytes, 5);
		end(&p);
	}
}

/* --- Two processes ----------------------------------------------------------------------------- */

struct two {
	struct ipc9_pipe_loose loose[2];
};

/* The second end of a pair becomes this process's. */
static struct ipc9_pipe *take(struct two *t, int which, struct ipc9 **ret_ipc9)
{
	struct ipc9_pipe *pipe = NULL;

	ipc9_pipe_loose_close(&t->loose[!which]);
	if (ipc9_new(NULL, ret_ipc9, NULL) ||
	    ipc9_pipe_adopt(*ret_ipc9, &t->loose[which], &pipe, NULL))
		return NULL;
	return pipe;
}

static int sends_back(struct process *self, void *context)
{
	struct ipc9 *ipc9;
	struct ipc9_pipe *pipe = take(context, 1, &ipc9);
	static char buffer[65536];
	int n = 0;

	(void)self;
	while (pipe && (n = get(pipe, buffer, sizeof(buffer), LONG_MS)) > 0)
		if (ipc9_pipe_write(pipe, buffer, (size_t)n, LONG_MS, NULL, NULL))
			return 2;
	ipc9_pipe_close(pipe);
	return n == -IPC9_E_EOF ? 0 : 1;
}

static void test_a_million_bytes_go_to_a_forked_process_and_come_back(void)
{
	static unsigned char sent[MANY], got[MANY];

	for (size_t i = 0; i < MANY; i++)
		sent[i] = (unsigned char)(i * 31 + i / 256);
	EACH_WAY(w)
	{
		struct ipc9_pipe_pair_options options = { .way = ways[w] };
		struct process process;
		struct ipc9 *ipc9;
		struct ipc9_pipe *pipe;
		struct two t;
		size_t n_sent = 0, n_got = 0;

		memset(got, 0, sizeof(got));
		EQUAL(ipc9_pipe_pair(&options, t.loose, NULL), 0);
		process_start(&process, sends_back, &t);
		pipe = take(&t, 0, &ipc9);
		while (n_got < MANY) {
			size_t n = 0;
			int r;

			EQUAL(ipc9_pipe_write(pipe, sent + n_sent,
				  MANY - n_sent < 50000 ? MANY - n_sent : 50000, LONG_MS, &n, NULL),
			    0);
			n_sent += n;
			do {
				r = get(pipe, got + n_got, MANY - n_got,
				    n_got < n_sent ? LONG_MS : 0);
				n_got += r > 0 ? (size_t)r : 0;
			} while (r > 0 && n_got < n_sent);
			if (!HOLDS(r > 0))
				break;
		}
		SAME_BYTES(got, n_got, sent, MANY);
		ipc9_pipe_close(pipe);
		process_end(&process);
		ipc9_free(ipc9);
	}
}

static int writes_and_stays(struct process *self, void *context)
{
	struct ipc9 *ipc9;
	struct ipc9_pipe *pipe = take(context, 1, &ipc9);

	put(pipe, "last words");
	process_tell(self, 'w');
	process_hear(self);
	return 1;
}

static void test_a_killed_end_is_lost_after_what_it_wrote_was_read(void)
{
	EACH_WAY(w)
	{
		struct ipc9_pipe_pair_options options = { .way = ways[w] };
		struct process process;
		struct ipc9 *ipc9;
		struct ipc9_pipe *pipe;
		struct two t;
		char buffer[16];

		EQUAL(ipc9_pipe_pair(&options, t.loose, NULL), 0);
		process_start(&process, writes_and_stays, &t);
		pipe = take(&t, 0, &ipc9);
		EQUAL(process_hear(&process), 'w');
		process_kill(&process);
		EQUAL(get(pipe, buffer, sizeof(buffer), LONG_MS), 10);
		SAME_BYTES(buffer, 10, "last words", 10);
		EQUAL(get(pipe, buffer, sizeof(buffer), LONG_MS), -IPC9_E_LOST);
		EQUAL(put(pipe, "x"), IPC9_E_LOST);
		ipc9_pipe_close(pipe);
		ipc9_free(ipc9);
	}
}

static int reads_until_lost(struct process *self, void *context)
{
	struct ipc9 *ipc9;
	struct ipc9_pipe *pipe = take(context, 0, &ipc9);
	char buffer[16];
	int r;

	process_tell(self, 'r');
	while ((r = get(pipe, buffer, sizeof(buffer), LONG_MS)) > 0)
		;
	process_tell(self, r == -IPC9_E_LOST ? 'l' : 'x');
	ipc9_pipe_close(pipe);
	return 0;
}

static void test_a_reader_that_waits_hears_of_a_killed_writer(void)
{
	EACH_WAY(w)
	{
		struct ipc9_pipe_pair_options options = { .way = ways[w] };
		struct process reader, writer;
		struct two t;

		EQUAL(ipc9_pipe_pair(&options, t.loose, NULL), 0);
		process_start(&reader, reads_until_lost, &t);
		process_start(&writer, writes_and_stays, &t);
		ipc9_pipe_loose_close(&t.loose[0]);
		ipc9_pipe_loose_close(&t.loose[1]);
		EQUAL(process_hear(&reader), 'r');
		EQUAL(process_hear(&writer), 'w');
		process_kill(&writer);
		EQUAL(process_hear(&reader), 'l');
		process_end(&reader);
	}
}

/* --- Who lies ---------------------------------------------------------------------------------- */

/* What is adopted of a loose end after somebody has changed it. */
static void refused(struct ipc9 *ipc9, const char *what, struct ipc9_pipe_loose loose)
{
	struct ipc9_pipe *pipe = NULL;
	struct ipc9_error e = { .code = 0 };
	int before = loose.fds[0];

	if (!EQUAL(ipc9_pipe_adopt(ipc9, &loose, &pipe, &e), IPC9_E_MISMATCH))
		check_text(__FILE__, __LINE__, "the case", "accepted", what);
	EQUAL(loose.fds[0], before);
	ipc9_pipe_close(pipe);
}

static void test_descriptors_that_are_not_of_a_pair_are_refused(void)
{
	struct ipc9_pipe_pair_options larger = { .quota_bytes = IPC9_PIPE_QUOTA_BYTES };
	struct ipc9_pipe_loose ends[2], others[2], l;
	struct ipc9 *ipc9;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), udp = socket(AF_UNIX, SOCK_DGRAM, 0),
	    tcp = socket(AF_INET, SOCK_STREAM, 0);

	EQUAL(ipc9_new(NULL, &ipc9, NULL), 0);
	EQUAL(ipc9_pipe_pair(NULL, ends, NULL), 0);
	EQUAL(ipc9_pipe_pair(&larger, others, NULL), 0);
	l = ends[0];
	l.fds[0] = -1;
	refused(ipc9, "no socket", l);
	l.fds[0] = null;
	refused(ipc9, "a device", l);
	l.fds[0] = udp;
	refused(ipc9, "a socket of datagrams", l);
	l.fds[0] = tcp;
	refused(ipc9, "a socket of the network", l);
	l = ends[0];
	l.fds[1] = -1;
	refused(ipc9, "no memory", l);
	l.fds[1] = null;
	refused(ipc9, "a device as memory", l);
	l.fds[1] = others[0].fds[1];
	refused(ipc9, "larger memory", l);
	l = ends[0];
	l.quota_bytes = 0;
	refused(ipc9, "no quota", l);
	l.quota_bytes = 2 * ends[0].quota_bytes;
	refused(ipc9, "another quota", l);
	l = ends[0];
	l.way = IPC9_PIPE_BY_CALLS;
	refused(ipc9, "another way", l);
	l = ends[0];
	l.type = (enum ipc9_pipe_type)7;
	refused(ipc9, "another type", l);
	for (int i = 0; i < 2; i++) {
		ipc9_pipe_loose_close(&ends[i]);
		ipc9_pipe_loose_close(&others[i]);
	}
	close(null);
	close(udp);
	close(tcp);
	ipc9_free(ipc9);
}

/* Either end is one of a pipe without a server. */
static void test_neither_end_is_thrown_out_by_the_other(void)
{
	static const unsigned char word[8] = { 0x80, 0, 0, 4, 0, 0, 0, 7 };

	for (int i = 0; i < 2; i++) {
		struct ipc9_pipe_pair_options options = { .way = IPC9_PIPE_BY_SOCKET };
		struct ipc9_pipe_loose loose[2];
		struct ipc9_pipe *pipe = NULL;
		struct ipc9 *ipc9 = NULL;
		char byte;

		EQUAL(ipc9_new(NULL, &ipc9, NULL), 0);
		EQUAL(ipc9_pipe_pair(&options, loose, NULL), 0);
		EQUAL(ipc9_pipe_adopt(ipc9, &loose[i], &pipe, NULL), 0);
		EQUAL(send(loose[!i].fds[0], word, sizeof(word), MSG_NOSIGNAL), sizeof(word));
		EQUAL(get(pipe, &byte, 1, LONG_MS), -IPC9_E_LOST);
		ipc9_pipe_close(pipe);
		ipc9_pipe_loose_close(&loose[!i]);
		ipc9_free(ipc9);
	}
}

static void test_pairs_leave_no_descriptors_behind_and_none_is_inherited(void)
{
	int before = process_descriptors();

	EACH_WAY(w)
	{
		struct ipc9_pipe_pair_options options = { .way = ways[w] };
		struct ipc9_pipe_loose ends[2];
		struct pair p;

		EQUAL(ipc9_pipe_pair(&options, ends, NULL), 0);
		for (int i = 0; i < 2; i++) {
			for (int k = 0; k < 2; k++)
				if (ends[i].fds[k] >= 0)
					EQUAL(fcntl(ends[i].fds[k], F_GETFD), FD_CLOEXEC);
			ipc9_pipe_loose_close(&ends[i]);
		}
		EQUAL(process_descriptors(), before);
		p = make(bytes, ways[w]);
		end(&p);
		EQUAL(process_descriptors(), before);
	}
}

SUITE(pipe_pair, TEST(test_what_one_end_writes_the_other_reads_both_ways),
    TEST(test_data_left_when_the_writer_closed_is_read_and_then_eof),
    TEST(test_a_write_to_a_closed_reader_is_an_error_and_no_signal),
    TEST(test_a_one_way_pair_goes_one_way),
    TEST(test_a_quota_is_told_as_it_was_given_and_holds_writers_back),
    TEST(test_options_out_of_range_are_refused),
    TEST(test_what_a_named_pipe_does_an_unnamed_one_does),
    TEST(test_an_operation_can_be_started_and_finished_later),
    TEST(test_a_million_bytes_go_to_a_forked_process_and_come_back),
    TEST(test_a_killed_end_is_lost_after_what_it_wrote_was_read),
    TEST(test_a_reader_that_waits_hears_of_a_killed_writer),
    TEST(test_descriptors_that_are_not_of_a_pair_are_refused),
    TEST(test_neither_end_is_thrown_out_by_the_other),
    TEST(test_pairs_leave_no_descriptors_behind_and_none_is_inherited));
