/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_offer.c - the unnamed pipe that a program is offered by whoever starts it: who gets it, through what, and that both always
 * come to the same.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "client/pipe.h"
#include "tests/harness.h"
#include "tests/process.h"
#include "tests/spawned.h"
#include "util/clock.h"

/* --- Programs ---------------------------------------------------------------------------------- */

static const struct ipc9_pipe_pair_options offers[] = {
	{ .way = IPC9_PIPE_BY_MEMORY },
	{ .way = IPC9_PIPE_BY_SOCKET },
	{ .type = IPC9_PIPE_TYPE_MESSAGE, .way = IPC9_PIPE_BY_MEMORY, .quota_bytes = 1 },
};

#define EACH_OFFER(i) for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++)

/* As "spawned now" says it. */
#define TIMED_OUT "timed out\n"
#define NO_OFFER "no object of that name\n"

struct offered {
	struct ipc9 *ipc9;
	struct ipc9_child *child;
	struct ipc9_pipe *pipe;
};

static struct offered offer_keeping(const char *const *argv,
    const struct ipc9_pipe_pair_options *options, bool keep)
{
	struct offered o = { NULL, NULL, NULL };

	EQUAL(ipc9_new(NULL, &o.ipc9, NULL), 0);
	o.child = spawned_start(argv,
	    OPTIONS(.streams = BOTH, .pipe = options, .keep_descriptors = keep));
	return o;
}

static struct offered offer(const char *const *argv, const struct ipc9_pipe_pair_options *options)
{
	return offer_keeping(argv, options, false);
}

static void offer_end(struct offered *o, int want)
{
	ipc9_pipe_close(o->pipe);
	if (want >= 0)
		spawned_ends(o->child, want);
	else
		ipc9_child_free(o->child);
	ipc9_free(o->ipc9);
}

/* A shell that lives on has what it inherited all the time. */
static struct offered offer_shell(const char *script, const struct ipc9_pipe_pair_options *options)
{
	static char path[4096];
	ssize_t length = readlink(SELF, path, sizeof(path) - 1);

	path[length > 0 ? length : 0] = '\0';
	return offer(ARGV("sh", "-c", script, path), options);
}

/* The next line that it writes. */
static void says(struct ipc9_child *child, const char *want)
{
	char text[128] = "";
	size_t at = 0, n = 0;

	while (at < sizeof(text) - 1 && !strchr(text, '\n') &&
	    EQUAL(ipc9_child_read(child, IPC9_CHILD_STDOUT, text + at, 1, LONG_MS, &n, NULL), 0))
		at += n;
	SAME_TEXT(text, want);
}

/* What is written to the pipe comes back. */
static void echoes(struct ipc9_pipe *pipe)
{
	char buffer[16];
	size_t n = 0;

	EQUAL(ipc9_pipe_write(pipe, "there", 5, LONG_MS, NULL, NULL), 0);
	EQUAL(ipc9_pipe_read(pipe, buffer, sizeof(buffer), LONG_MS, &n, NULL), 0);
	SAME_BYTES(buffer, n, "there", 5);
}

static void test_a_program_that_takes_the_pipe_talks_over_it(void)
{
	for (size_t k = 0; k < 2 * sizeof(offers) / sizeof(offers[0]); k++) {
		size_t i = k / 2;
		struct offered o =
		    offer_keeping(ARGV(SELF, SPAWNED, "echo"), &offers[i], k % 2 == 1);
		struct ipc9_pipe_end_info info = { .way = 0 };

		if (EQUAL(ipc9_child_pipe(o.child, o.ipc9, LONG_MS, &o.pipe, NULL), 0)) {
			EQUAL(ipc9_pipe_info_of(o.pipe, &info, NULL), 0);
			EQUAL(info.way, offers[i].way);
			EQUAL(info.type, offers[i].type);
			echoes(o.pipe);
			o.pipe = ipc9_pipe_close(o.pipe);
		}
		EQUAL(ipc9_child_pipe(o.child, o.ipc9, 0, &o.pipe, NULL), IPC9_E_NOENT);
		offer_end(&o, 0);
	}
}

static void test_the_pipe_comes_down_through_a_shell(void)
{
	EACH_OFFER(i)
	{
		struct offered o = offer_shell("\"$0\" spawned echo; exit 7", &offers[i]);

		if (EQUAL(ipc9_child_pipe(o.child, o.ipc9, LONG_MS, &o.pipe, NULL), 0))
			echoes(o.pipe);
		offer_end(&o, 7);
	}
}

static void test_a_program_that_waited_no_longer_has_not_taken_the_pipe(void)
{
	EACH_OFFER(i)
	{
		struct offered o = offer_shell("\"$0\" spawned now; read line", &offers[i]);

		says(o.child, TIMED_OUT);
		EQUAL(ipc9_child_pipe(o.child, o.ipc9, 0, &o.pipe, NULL), IPC9_E_TIMEDOUT);
		spawned_put(o.child, "\n");
		offer_end(&o, 0);
	}
}

static void test_what_one_program_waited_for_no_longer_another_takes(void)
{
	EACH_OFFER(i)
	{
		struct offered o = offer_shell("\"$0\" spawned now; \"$0\" spawned now; "
					       "\"$0\" spawned echo; exit 7",
		    &offers[i]);

		says(o.child, TIMED_OUT);
		says(o.child, TIMED_OUT);
		if (EQUAL(ipc9_child_pipe(o.child, o.ipc9, LONG_MS, &o.pipe, NULL), 0))
			echoes(o.pipe);
		offer_end(&o, 7);
	}
}

static void test_a_program_killed_under_a_shell_is_lost(void)
{
	EACH_OFFER(i)
	{
		struct offered o =
		    offer_shell("exec 2>/dev/null; \"$0\" spawned die; echo killed; read line",
			&offers[i]);
		struct ipc9_pipe_end_info info = { .way = 0 };
		char buffer[8];
		size_t n = 0;

		EQUAL(ipc9_child_pipe(o.child, o.ipc9, LONG_MS, &o.pipe, NULL), 0);
		EQUAL(ipc9_pipe_read(o.pipe, buffer, 8, LONG_MS, &n, NULL), 0);
		SAME_BYTES(buffer, n, "here", 4);
		says(o.child, "killed\n");
		EQUAL(ipc9_pipe_read(o.pipe, buffer, 8, LONG_MS, &n, NULL), IPC9_E_LOST);
		EQUAL(ipc9_pipe_info_of(o.pipe, &info, NULL), 0);
		EQUAL(info.state, IPC9_PIPE_STATE_LOST);
		spawned_put(o.child, "\n");
		offer_end(&o, 0);
	}
}

static void test_a_second_program_of_a_shell_does_not_get_the_pipe(void)
{
	EACH_OFFER(i)
	{
		struct offered o =
		    offer_shell("\"$0\" spawned echo & read line; \"$0\" spawned now; wait",
			&offers[i]);

		if (EQUAL(ipc9_child_pipe(o.child, o.ipc9, LONG_MS, &o.pipe, NULL), 0))
			echoes(o.pipe);
		spawned_put(o.child, "\n");
		says(o.child, NO_OFFER);
		echoes(o.pipe);
		offer_end(&o, 0);
	}
}

static void test_of_several_programs_of_a_shell_one_gets_the_pipe(void)
{
	EACH_OFFER(i)
	{
		struct offered o =
		    offer_shell("for i in 1 2 3 4; do \"$0\" spawned echo & done; wait",
			&offers[i]);
		char text[64];

		if (EQUAL(ipc9_child_pipe(o.child, o.ipc9, LONG_MS, &o.pipe, NULL), 0))
			echoes(o.pipe);
		o.pipe = ipc9_pipe_close(o.pipe);
		spawned_read_all(o.child, IPC9_CHILD_STDOUT, text, sizeof(text));
		SAME_TEXT(text, "streams streams streams ");
		offer_end(&o, 0);
	}
}

static void test_any_other_program_notices_nothing_of_the_offer(void)
{
	struct offered o = offer(ARGV("cat"), &offers[0]);
	struct ipc9_error e;
	char text[8];

	EQUAL(ipc9_child_pipe(o.child, o.ipc9, 20, &o.pipe, &e), IPC9_E_TIMEDOUT);
	HOLDS(strstr(e.text, "cat: it has not taken the pipe in time") != NULL);
	EQUAL(ipc9_child_pipe(o.child, o.ipc9, 20, &o.pipe, &e), IPC9_E_NOENT);
	spawned_put(o.child, "abc");
	ipc9_child_end(o.child, IPC9_CHILD_STDIN);
	spawned_read_all(o.child, IPC9_CHILD_STDOUT, text, sizeof(text));
	SAME_TEXT(text, "abc");
	offer_end(&o, 0);

	o = offer(ARGV("true"), &offers[0]);
	EQUAL(ipc9_child_pipe(o.child, o.ipc9, LONG_MS, &o.pipe, NULL), IPC9_E_PEERCLOSED);
	offer_end(&o, 0);
}

static void test_a_program_that_comes_too_late_keeps_to_its_streams(void)
{
	struct offered o = offer(ARGV(SELF, SPAWNED, "late"), &offers[0]);
	char text[16];

	EQUAL(ipc9_child_pipe(o.child, o.ipc9, 0, &o.pipe, NULL), IPC9_E_TIMEDOUT);
	spawned_put(o.child, ".abc");
	ipc9_child_end(o.child, IPC9_CHILD_STDIN);
	spawned_read_all(o.child, IPC9_CHILD_STDOUT, text, sizeof(text));
	SAME_TEXT(text, "streams abc");
	offer_end(&o, 0);
}

static void test_a_program_without_an_offer_keeps_to_its_streams(void)
{
	struct ipc9_child *child = spawned_start(ARGV(SELF, SPAWNED, "echo"), NULL);
	struct ipc9_pipe *pipe;
	struct ipc9 *ipc9;
	char text[16];

	spawned_put(child, "abc");
	ipc9_child_end(child, IPC9_CHILD_STDIN);
	spawned_read_all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	SAME_TEXT(text, "streams abc");
	EQUAL(ipc9_new(NULL, &ipc9, NULL), 0);
	EQUAL(ipc9_child_pipe(child, ipc9, 0, &pipe, NULL), IPC9_E_NOENT);
	spawned_ends(child, 0);
	ipc9_free(ipc9);
}

static void test_either_end_that_is_killed_is_lost_to_the_other(void)
{
	EACH_OFFER(i)
	{
		struct offered o = offer(ARGV(SELF, SPAWNED, "stay"), &offers[i]);
		char buffer[8];
		int status;
		size_t n = 0;

		EQUAL(ipc9_child_pipe(o.child, o.ipc9, LONG_MS, &o.pipe, NULL), 0);
		EQUAL(ipc9_pipe_wait_closed(o.pipe, 0, NULL), IPC9_E_TIMEDOUT);
		EQUAL(ipc9_pipe_read(o.pipe, buffer, 0, LONG_MS, &n, NULL), 0);
		EQUAL(ipc9_child_kill(o.child, SIGKILL, NULL), 0);
		EQUAL(ipc9_child_wait(o.child, LONG_MS, &status, NULL), 0);
		EQUAL(ipc9_pipe_read(o.pipe, buffer, 8, LONG_MS, &n, NULL), 0);
		SAME_BYTES(buffer, n, "here", 4);
		EQUAL(ipc9_pipe_read(o.pipe, buffer, 8, LONG_MS, &n, NULL), IPC9_E_LOST);
		offer_end(&o, -1);

		o = offer(ARGV(SELF, SPAWNED, "echo"), &offers[i]);
		EQUAL(ipc9_child_pipe(o.child, o.ipc9, LONG_MS, &o.pipe, NULL), 0);
		ipc9_pipe_abort(o.pipe); /* as good as killed */
		offer_end(&o, 15);
	}
}

/* --- The offer itself -------------------------------------------------------------------------- */

/* An offer of which both sides are here. */
struct sides {
	struct pipe_offer offer;
	int fd; /* the side of those who take it */
};

static struct sides make_sides(const struct ipc9_pipe_pair_options *options)
{
	struct sides s = { PIPE_OFFER_NONE, -1 };

	if (!EQUAL(pipe_offer_make(options, &s.offer, &s.fd, NULL), 0))
		abort();
	return s;
}

/* Says that the offer is here by this number, which ipc9_pipe_inherit closes. */
static void announce(const struct sides *s, int number)
{
	char text[PIPE_OFFER_SIZE];

	EQUAL(pipe_offer_text(&s->offer, number, number, text), 0);
	setenv(PIPE_OFFER_VARIABLE, text, 1);
}

static void end_sides(struct sides *s)
{
	pipe_offer_close(&s->offer);
	close(s->fd);
	unsetenv(PIPE_OFFER_VARIABLE);
}

/* Tells whether it got the pipe. */
static int takes(struct process *self, void *context)
{
	struct sides *s = context;
	struct ipc9_pipe *pipe = NULL;
	struct ipc9 *ipc9;
	int r;

	pipe_offer_close(&s->offer);
	if (ipc9_new(NULL, &ipc9, NULL))
		return 1;
	r = ipc9_pipe_inherit(ipc9, LONG_MS, &pipe, NULL);
	process_tell(self, r == 0 ? 'y' : r == IPC9_E_NOENT ? 'n' : '?');
	process_hear(self);
	ipc9_pipe_close(pipe);
	ipc9_free(ipc9);
	return 0;
}

static bool three_have_asked(void *context)
{
	const struct sides *s = context;
	int n = 0;

	return ioctl(s->offer.fd, FIONREAD, &n) == 0 && n == 3;
}

static void test_of_several_that_have_asked_one_gets_the_pipe(void)
{
	EACH_OFFER(i)
	{
		struct sides s = make_sides(&offers[i]);
		struct process takers[3];
		int n[256] = { 0 };

		announce(&s, s.fd);
		for (int k = 0; k < 3; k++)
			process_start(&takers[k], takes, &s);
		HOLDS(wait_until(three_have_asked, &s, LONG_MS));
		EQUAL(pipe_offer_agree(&s.offer, 0), 0);
		EQUAL(s.offer.ends[1].fds[0], -1); /* nobody else has it */
		pipe_offer_close(&s.offer);
		for (int k = 0; k < 3; k++)
			n[(unsigned char)process_hear(&takers[k])]++;
		EQUAL(n['y'], 1);
		EQUAL(n['n'], 2);
		for (int k = 0; k < 3; k++) {
			process_tell(&takers[k], '.');
			process_end(&takers[k]);
		}
		end_sides(&s);
	}
}

/* An attempt that is not waited for. */
static void take_at_once(struct ipc9 *ipc9, const struct sides *s, int want)
{
	struct ipc9_pipe *pipe;

	announce(s, fcntl(s->fd, F_DUPFD_CLOEXEC, 0));
	EQUAL(ipc9_pipe_inherit(ipc9, 0, &pipe, NULL), want);
}

static void test_any_number_of_attempts_leaves_the_offer_as_it_is(void)
{
	struct sides s = make_sides(&offers[0]);
	int before = process_descriptors();
	struct process taker;
	struct ipc9 *ipc9;

	EQUAL(ipc9_new(NULL, &ipc9, NULL), 0);
	for (int i = 0; i < 1000; i++) /* more than its socket holds */
		take_at_once(ipc9, &s, IPC9_E_TIMEDOUT);
	announce(&s, s.fd);
	process_start(&taker, takes, &s);
	EQUAL(pipe_offer_agree(&s.offer, clock_deadline_ms(LONG_MS)), 0);
	EQUAL(process_hear(&taker), 'y');
	process_tell(&taker, '.');
	process_end(&taker);
	pipe_offer_close(&s.offer);
	take_at_once(ipc9, &s, IPC9_E_NOENT);
	end_sides(&s);
	ipc9_free(ipc9);
	HOLDS(process_descriptors() < before);
}

/*
 * Whoever waits no longer shuts a socket: what the other side says just before that, and just behind it.  This takes the place of
 * the system's in the whole test program.
 */
static _Thread_local struct {
	struct pipe_offer *offer; /* NULL: nothing is said */
	bool before;
	int said;
} at_the_last;

int shutdown(int fd, int how)
{
	struct pipe_offer *offer = at_the_last.offer;
	int r;

	at_the_last.offer = NULL;
	if (offer && at_the_last.before)
		at_the_last.said = pipe_offer_agree(offer, 0);
	r = (int)syscall(SYS_shutdown, fd, how);
	if (offer && !at_the_last.before)
		at_the_last.said = pipe_offer_agree(offer, 0);
	return r;
}

static void test_an_agreement_comes_in_time_or_not_at_all(void)
{
	struct ipc9 *ipc9;

	EQUAL(ipc9_new(NULL, &ipc9, NULL), 0);
	for (size_t i = 0; i < 6; i++) {
		struct sides s = make_sides(&offers[i / 2]);
		struct ipc9_pipe *pipe = NULL;
		bool before = i % 2 == 0;

		announce(&s, fcntl(s.fd, F_DUPFD_CLOEXEC, 0));
		at_the_last.before = before;
		at_the_last.said = -1;
		at_the_last.offer = &s.offer;
		EQUAL(ipc9_pipe_inherit(ipc9, 0, &pipe, NULL), before ? 0 : IPC9_E_TIMEDOUT);
		EQUAL(at_the_last.said, before ? 0 : IPC9_E_TIMEDOUT);
		at_the_last.offer = NULL;
		ipc9_pipe_close(pipe);
		end_sides(&s);
	}
	ipc9_free(ipc9);
}

struct attempt {
	struct ipc9 *ipc9;
	struct ipc9_pipe *pipe;
	int wait_ms, result;
};

static void *attempt(void *context)
{
	struct attempt *a = context;

	a->result = ipc9_pipe_inherit(a->ipc9, a->wait_ms, &a->pipe, NULL);
	return NULL;
}

static void test_both_come_to_the_same_however_short_they_wait(void)
{
	struct ipc9 *ipc9;

	EQUAL(ipc9_new(NULL, &ipc9, NULL), 0);
	for (int i = 0; i < 300; i++) {
		struct sides s = make_sides(&offers[i % 3]);
		struct attempt a = { ipc9, NULL, i / 3 % 2, -1 };
		struct ipc9_pipe *pipe = NULL;
		pthread_t thread;
		int r;

		EQUAL(ipc9_pipe_adopt(ipc9, &s.offer.ends[0], &pipe, NULL), 0);
		announce(&s, s.fd);
		pthread_create(&thread, NULL, attempt, &a);
		r = pipe_offer_agree(&s.offer, clock_deadline_ms(i / 6 % 3));
		pipe_offer_close(&s.offer);
		pthread_join(thread, NULL);
		if (!EQUAL(a.result == 0, r == 0))
			printf("\t%d here, %d there\n", r, a.result);
		if (a.pipe)
			EQUAL(ipc9_pipe_write(a.pipe, "x", 1, LONG_MS, NULL, NULL), 0);
		ipc9_pipe_close(a.pipe);
		ipc9_pipe_close(pipe);
		unsetenv(PIPE_OFFER_VARIABLE);
	}
	ipc9_free(ipc9);
}

/* Sends a byte with n copies of a descriptor. */
static void send_with(int to, char byte, int fd, size_t n)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (n) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(n * sizeof(int));
		for (size_t i = 0; i < n; i++)
			memcpy(CMSG_DATA(c) + i * sizeof(int), &fd, sizeof(int));
	}
	EQUAL(sendmsg(to, &msg, MSG_NOSIGNAL), 1);
}

static void test_who_asks_as_nobody_asks_gets_nothing(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC), pair[2], before;
	const struct {
		char byte;
		int fd;
		size_t n;
	} asked[] = {
		{ 'T', -1, 0 },
		{ 'T', null, 1 },
		{ 'X', null, 1 },
		{ 'T', null, 3 },
	};
	struct sides s;

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	before = process_descriptors();
	for (size_t i = 0; i < sizeof(asked) / sizeof(asked[0]); i++) {
		s = make_sides(&offers[0]);
		send_with(s.fd, asked[i].byte, asked[i].fd, asked[i].n);
		EQUAL(pipe_offer_agree(&s.offer, clock_deadline_ms(LONG_MS)), IPC9_E_MISMATCH);
		end_sides(&s);
		EQUAL(process_descriptors(), before);
	}
	/* Who has gone is nobody. */
	EQUAL(close(pair[0]), 0);
	s = make_sides(&offers[0]);
	send_with(s.fd, 'T', pair[1], 1);
	EQUAL(pipe_offer_agree(&s.offer, 0), IPC9_E_TIMEDOUT);
	end_sides(&s);
	EQUAL(process_descriptors(), before - 1);
	close(pair[1]);
	close(null);
}

static int agrees_without_room(struct process *self, void *context)
{
	struct sides *s = context;
	const struct rlimit none = { 0, 0 };

	(void)self;
	setrlimit(RLIMIT_NOFILE, &none);
	return pipe_offer_agree(&s->offer, 0) == -EMFILE ? 0 : 1;
}

static void test_descriptors_that_run_out_are_told_as_ones_own_trouble(void)
{
	struct sides s = make_sides(&offers[0]);
	struct process process;
	int pair[2];

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	send_with(s.fd, 'T', pair[1], 1);
	process_start(&process, agrees_without_room, &s);
	process_end(&process);
	close(pair[0]);
	close(pair[1]);
	end_sides(&s);
}

/* Agrees with too little, or with what is no pipe. */
static int agrees_wrongly(struct process *self, void *context)
{
	struct sides *s = context;
	size_t n = (size_t)(unsigned char)process_hear(self) - '0';
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
	char byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	int taker, null = open("/dev/null", O_RDWR | O_CLOEXEC);

	close(s->fd);
	if (recvmsg(s->offer.fd, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		return 1;
	memcpy(&taker, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(int));
	send_with(taker, 'A', null, n);
	process_hear(self);
	return 0;
}

static void test_an_agreement_without_a_pipe_is_refused(void)
{
	struct ipc9_error e;
	struct ipc9 *ipc9;
	int before;

	EQUAL(ipc9_new(NULL, &ipc9, NULL), 0);
	before = process_descriptors();
	for (char n = '0'; n <= '3'; n++) {
		struct sides s = make_sides(&offers[0]);
		struct ipc9_pipe *pipe = NULL;
		struct process process;

		process_start(&process, agrees_wrongly, &s);
		process_tell(&process, n);
		announce(&s, fcntl(s.fd, F_DUPFD_CLOEXEC, 0));
		EQUAL(ipc9_pipe_inherit(ipc9, LONG_MS, &pipe, &e), IPC9_E_MISMATCH);
		process_tell(&process, '.');
		process_end(&process);
		end_sides(&s);
		EQUAL(process_descriptors(), before);
	}
	ipc9_free(ipc9);
}

static void test_an_offer_that_is_none_is_not_taken(void)
{
	static const struct {
		const char *text;
		int code;
	} offered[] = {
		{ "", IPC9_E_NOENT },
		{ "words", IPC9_E_MISMATCH },
		{ "0 3 3 1048576 3:1 more", IPC9_E_MISMATCH },
		{ "0 3 1 1048576 3:1", IPC9_E_MISMATCH },
		{ "0 3 3 0 3:1", IPC9_E_MISMATCH },
		{ "9 3 3 1048576 3:1", IPC9_E_MISMATCH },
		{ "0 3 3 1048576 0:1", IPC9_E_NOENT },
		{ "0 3 3 1048576 900:0", IPC9_E_NOENT },
		{ "0 3 2 1048576 -1:0", IPC9_E_NOENT },
	};
	struct ipc9_pipe *pipe;
	struct ipc9_error e;
	struct ipc9 *ipc9;

	EQUAL(ipc9_new(NULL, &ipc9, NULL), 0);
	for (size_t i = 0; i < sizeof(offered) / sizeof(offered[0]); i++) {
		setenv("IPC9_PIPE", offered[i].text, 1);
		if (!EQUAL(ipc9_pipe_inherit(ipc9, 0, &pipe, &e), offered[i].code))
			SAME_TEXT(e.text, offered[i].text);
		HOLDS(strstr(e.text, "IPC9_PIPE") != NULL);
	}
	unsetenv("IPC9_PIPE");
	EQUAL(ipc9_pipe_inherit(ipc9, 0, &pipe, &e), IPC9_E_NOENT);
	EQUAL(ipc9_pipe_inherit(ipc9, -2, &pipe, &e), IPC9_E_INVALID);
	ipc9_free(ipc9);
}

static void test_files_that_are_no_offer_are_left_alone(void)
{
	int fds[] = { open("/dev/null", O_RDWR | O_CLOEXEC),
		socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0),
		socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) };
	/* As it is written, and as versions before did, with other files behind it. */
	static const char *const written[][2] = { { "0 3 2 1048576", "" },
		{ "0 3 2 1048576 1", " -1:0" }, { "0 3 2 1048576 1", " 0:77777" } };
	int before = process_descriptors();
	struct ipc9_pipe *pipe;
	struct ipc9_error e;
	struct ipc9 *ipc9;
	struct stat s;
	char text[64];

	EQUAL(ipc9_new(NULL, &ipc9, NULL), 0);
	for (size_t i = 0; i < 9; i++) {
		EQUAL(fstat(fds[i / 3], &s), 0);
		(void)snprintf(text, sizeof(text), "%s %d:%ju%s", written[i % 3][0], fds[i / 3],
		    (uintmax_t)s.st_ino, written[i % 3][1]);
		setenv("IPC9_PIPE", text, 1);
		if (!EQUAL(ipc9_pipe_inherit(ipc9, 0, &pipe, &e), IPC9_E_MISMATCH))
			SAME_TEXT(e.text, text);
		EQUAL(process_descriptors(), before);
	}
	unsetenv("IPC9_PIPE");
	ipc9_free(ipc9);
	for (size_t i = 0; i < 3; i++)
		close(fds[i]);
}

SUITE(offer, TEST(test_a_program_that_takes_the_pipe_talks_over_it),
    TEST(test_the_pipe_comes_down_through_a_shell),
    TEST(test_a_program_that_waited_no_longer_has_not_taken_the_pipe),
    TEST(test_what_one_program_waited_for_no_longer_another_takes),
    TEST(test_a_program_killed_under_a_shell_is_lost),
    TEST(test_a_second_program_of_a_shell_does_not_get_the_pipe),
    TEST(test_of_several_programs_of_a_shell_one_gets_the_pipe),
    TEST(test_any_other_program_notices_nothing_of_the_offer),
    TEST(test_a_program_that_comes_too_late_keeps_to_its_streams),
    TEST(test_a_program_without_an_offer_keeps_to_its_streams),
    TEST(test_either_end_that_is_killed_is_lost_to_the_other),
    TEST(test_of_several_that_have_asked_one_gets_the_pipe),
    TEST(test_any_number_of_attempts_leaves_the_offer_as_it_is),
    TEST(test_an_agreement_comes_in_time_or_not_at_all),
    TEST(test_both_come_to_the_same_however_short_they_wait),
    TEST(test_who_asks_as_nobody_asks_gets_nothing),
    TEST(test_descriptors_that_run_out_are_told_as_ones_own_trouble),
    TEST(test_an_agreement_without_a_pipe_is_refused),
    TEST(test_an_offer_that_is_none_is_not_taken),
    TEST(test_files_that_are_no_offer_are_left_alone));
