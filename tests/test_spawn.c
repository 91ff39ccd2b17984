/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_spawn.c - programs that are started: their streams, their ends, what they are given and what not, and the pipe that they
 * may be offered.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/ipc9.h"
#include "tests/harness.h"
#include "tests/process.h"
#include "tests/spawned.h"

#define LONG_MS 20000
#define MANY 1000000
#define BOTH (IPC9_CHILD_STDIN | IPC9_CHILD_STDOUT)

/* --- Helpers ----------------------------------------------------------------------------------- */

static struct ipc9_child *start(const char *const *argv, const struct ipc9_spawn_options *options)
{
	struct ipc9_child *child = NULL;
	struct ipc9_error e = { .text = "" };

	if (EQUAL(ipc9_spawn(argv, options, &child, &e), 0))
		return child;
	SAME_TEXT(e.text, "");
	abort();
}

#define ARGV(...) ((const char *const[]){ __VA_ARGS__, NULL })
#define SHELL(script) ARGV("sh", "-c", script)
#define OPTIONS(...) (&(const struct ipc9_spawn_options){ __VA_ARGS__ })
#define SELF "/proc/self/exe"

/* Waits for its end, which must be this exit status, and frees it. */
static void ends(struct ipc9_child *child, int want)
{
	int status = -1;

	EQUAL(ipc9_child_wait(child, LONG_MS, &status, NULL), 0);
	HOLDS(WIFEXITED(status));
	EQUAL(WEXITSTATUS(status), want);
	ipc9_child_free(child);
}

/* Reads a stream to its end. */
static void all(struct ipc9_child *child, enum ipc9_child_stream stream, char *text, size_t size)
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

static void put(struct ipc9_child *child, const char *text)
{
	EQUAL(ipc9_child_write(child, text, strlen(text), LONG_MS, NULL, NULL), 0);
}

/* --- Streams ----------------------------------------------------------------------------------- */

static void test_a_million_bytes_go_through_cat(void)
{
	static unsigned char sent[MANY], got[MANY];
	struct ipc9_child *child = start(ARGV("cat"), NULL);
	size_t n_sent = 0, n_got = 0, n = 0;
	int r = 0;

	for (size_t i = 0; i < MANY; i++)
		sent[i] = (unsigned char)(i * 31 + i / 256);
	while (r != IPC9_E_EOF) {
		struct pollfd p[2] = { { ipc9_child_fd(child, IPC9_CHILD_STDIN), POLLOUT, 0 },
			{ ipc9_child_fd(child, IPC9_CHILD_STDOUT), POLLIN, 0 } };

		if (!HOLDS(poll(p, 2, LONG_MS) > 0))
			break;
		if (p[0].revents) {
			r = ipc9_child_write(child, sent + n_sent, MANY - n_sent, 0, &n, NULL);
			HOLDS(r == 0 || r == IPC9_E_TIMEDOUT);
			n_sent += n;
			if (n_sent == MANY)
				ipc9_child_end(child, IPC9_CHILD_STDIN);
		}
		r = ipc9_child_read(child, IPC9_CHILD_STDOUT, got + n_got, MANY - n_got + 1, 0, &n,
		    NULL);
		if (r == 0)
			n_got += n;
		if (n_got > MANY)
			break;
	}
	SAME_BYTES(got, n_got, sent, MANY);
	ends(child, 0);
}

static void test_a_write_waits_until_all_of_it_is_written(void)
{
	static char data[MANY];
	struct ipc9_child *child = start(ARGV("wc", "-c"), NULL);
	char text[32];
	size_t n = 0;

	EQUAL(ipc9_child_write(child, data, MANY, LONG_MS, &n, NULL), 0);
	EQUAL(n, MANY);
	ipc9_child_end(child, IPC9_CHILD_STDIN);
	all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	EQUAL(atoi(text), MANY);
	ends(child, 0);
}

static void test_a_write_that_does_not_fit_in_time_tells_how_much_was_written(void)
{
	static char data[MANY];
	struct ipc9_child *child = start(SHELL("read line; exec cat >/dev/null"), NULL);
	struct ipc9_error e;
	size_t n = 0;

	EQUAL(ipc9_child_write(child, data, MANY, 0, &n, &e), IPC9_E_TIMEDOUT);
	HOLDS(n > 0 && n < MANY);
	HOLDS(strstr(e.text, "of 1000000 bytes") != NULL);
	put(child, "\n");
	ipc9_child_end(child, IPC9_CHILD_STDIN);
	ends(child, 0);
}

static void test_data_left_when_the_program_has_ended_is_read_and_then_eof(void)
{
	struct ipc9_child *child = start(SHELL("printf left"), NULL);
	size_t n = 9;
	int status;
	char text[8];

	EQUAL(ipc9_child_wait(child, LONG_MS, &status, NULL), 0);
	EQUAL(ipc9_child_peek(child, IPC9_CHILD_STDOUT, &n, NULL), 0);
	EQUAL(n, 4);
	all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	SAME_TEXT(text, "left");
	EQUAL(ipc9_child_peek(child, IPC9_CHILD_STDOUT, &n, NULL), 0);
	EQUAL(n, 0);
	ends(child, 0);
}

static int writes_to_nobody(struct process *self, void *context)
{
	struct ipc9_child *child = start(SHELL("exec <&-; printf x; exec sleep 20"), NULL);
	sigset_t pending, block;
	size_t n = 9;
	char byte;
	int r;

	(void)self;
	(void)context;
	signal(SIGPIPE, SIG_DFL);
	ipc9_child_read(child, IPC9_CHILD_STDOUT, &byte, 1, LONG_MS, &n, NULL);
	r = ipc9_child_write(child, "abc", 3, LONG_MS, &n, NULL);
	if (r != IPC9_E_PEERCLOSED || n != 0)
		return 1;
	/* One that somebody else has raised before stays. */
	sigemptyset(&block);
	sigaddset(&block, SIGPIPE);
	sigprocmask(SIG_BLOCK, &block, NULL);
	sigpending(&pending);
	if (sigismember(&pending, SIGPIPE))
		return 2;
	raise(SIGPIPE);
	ipc9_child_write(child, "abc", 3, LONG_MS, &n, NULL);
	sigpending(&pending);
	ipc9_child_kill(child, SIGKILL, NULL);
	return sigismember(&pending, SIGPIPE) ? 0 : 3;
}

static void test_a_write_to_a_closed_standard_input_is_an_error_and_no_signal(void)
{
	struct process process;

	process_start(&process, writes_to_nobody, NULL);
	process_end(&process);
}

static void test_only_the_streams_asked_for_are_pipes(void)
{
	struct ipc9_child *child =
	    start(SHELL("echo words >&2; exit 3"), OPTIONS(.streams = IPC9_CHILD_STDERR));
	struct ipc9_error e;
	char text[16];
	size_t n;

	EQUAL(ipc9_child_fd(child, IPC9_CHILD_STDIN), -1);
	EQUAL(ipc9_child_fd(child, IPC9_CHILD_STDOUT), -1);
	EQUAL(ipc9_child_write(child, "x", 1, 0, NULL, &e), IPC9_E_INVALID);
	EQUAL(ipc9_child_read(child, IPC9_CHILD_STDOUT, text, 1, 0, &n, &e), IPC9_E_INVALID);
	EQUAL(ipc9_child_read(child, IPC9_CHILD_STDIN, text, 1, 0, &n, &e), IPC9_E_INVALID);
	HOLDS(strncmp(e.text, "sh: ", 4) == 0);
	all(child, IPC9_CHILD_STDERR, text, sizeof(text));
	SAME_TEXT(text, "words\n");
	ends(child, 3);
}

static void test_a_size_hint_sets_the_size_of_the_pipes(void)
{
	struct ipc9_child *child = start(ARGV("cat"), OPTIONS(.streams = BOTH, .stream_bytes = 1));

	EQUAL(fcntl(ipc9_child_fd(child, IPC9_CHILD_STDIN), F_GETPIPE_SZ), sysconf(_SC_PAGESIZE));
	ipc9_child_end(child, IPC9_CHILD_STDIN);
	ends(child, 0);
	child = start(ARGV("cat"), OPTIONS(.streams = BOTH, .stream_bytes = 262144));
	EQUAL(fcntl(ipc9_child_fd(child, IPC9_CHILD_STDOUT), F_GETPIPE_SZ), 262144);
	ipc9_child_end(child, IPC9_CHILD_STDIN);
	ends(child, 0);
}

static void test_a_descriptor_that_was_taken_is_the_callers(void)
{
	struct ipc9_child *child = start(ARGV("cat"), NULL);
	int in = ipc9_child_take_fd(child, IPC9_CHILD_STDIN),
	    out = ipc9_child_take_fd(child, IPC9_CHILD_STDOUT);
	char byte = 0;

	EQUAL(ipc9_child_take_fd(child, IPC9_CHILD_STDIN), -1);
	EQUAL(ipc9_child_fd(child, IPC9_CHILD_STDOUT), -1);
	EQUAL(fcntl(out, F_GETFL) & O_NONBLOCK, 0);
	EQUAL(fcntl(out, F_GETFD), FD_CLOEXEC);
	EQUAL(write(in, "x", 1), 1);
	close(in);
	ends(child, 0);
	EQUAL(read(out, &byte, 1), 1);
	EQUAL(byte, 'x');
	close(out);
}

/* --- What it is given -------------------------------------------------------------------------- */

static void test_the_environment_and_the_folder_are_those_that_were_said(void)
{
	static const char *const environment[] = { "WORD=said", "IPC9_PIPE=stale", NULL };
	struct ipc9_child *child = start(ARGV("/bin/sh", "-c", "echo $WORD-$IPC9_PIPE; pwd"),
	    OPTIONS(.streams = BOTH, .environment = environment, .folder = "/usr"));
	char text[32];

	all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	SAME_TEXT(text, "said-\n/usr\n");
	ends(child, 0);
}

static void test_a_program_can_have_another_name(void)
{
	struct ipc9_child *child =
	    start(ARGV("another", "-c", "echo $0"), OPTIONS(.streams = BOTH, .program = "/bin/sh"));
	char text[32];

	all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	SAME_TEXT(text, "another\n");
	ends(child, 0);
}

static void test_it_gets_no_descriptor_of_ours_but_its_streams(void)
{
	int open_fd = fcntl(STDOUT_FILENO, F_DUPFD, 100); /* not closed on exec */
	struct ipc9_child *child =
	    start(ARGV(SELF, SPAWNED, "descriptors"), OPTIONS(.streams = BOTH));
	char text[300];

	all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	SAME_TEXT(text, "0 1 2 ");
	ends(child, 0);
	child = start(ARGV(SELF, SPAWNED, "descriptors"),
	    OPTIONS(.streams = BOTH, .keep_descriptors = true));
	all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	HOLDS(strstr(text, " 100 ") != NULL);
	ends(child, 0);
	close(open_fd);
}

static int starts_without_streams(struct process *self, void *context)
{
	struct ipc9_child *child;
	char text[8] = "";
	size_t n = 0;

	(void)context;
	if (self->fd < 3)
		return 1;
	close(0);
	close(1);
	close(2);
	if (ipc9_spawn(ARGV("cat"), NULL, &child, NULL))
		return 2;
	if (ipc9_child_fd(child, IPC9_CHILD_STDIN) < 3 ||
	    ipc9_child_write(child, "abc", 3, LONG_MS, NULL, NULL) ||
	    ipc9_child_read(child, IPC9_CHILD_STDOUT, text, 8, LONG_MS, &n, NULL))
		return 3;
	return n == 3 && memcmp(text, "abc", 3) == 0 ? 0 : 4;
}

static void test_a_process_without_standard_streams_can_start_programs(void)
{
	struct process process;

	process_start(&process, starts_without_streams, NULL);
	process_end(&process);
}

static void test_it_gets_the_default_sigpipe_and_no_blocked_signals(void)
{
	sigset_t block, before;
	struct ipc9_child *child;
	char text[512];

	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &block, &before);
	child = start(ARGV("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"), NULL);
	all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	HOLDS(strstr(text, "SigBlk:\t0000000000000000\n") != NULL);
	HOLDS(strstr(text, "SigIgn:\t") != NULL);
	EQUAL(strtoull(strstr(text, "SigIgn:") + 7, NULL, 16) & 1u << (SIGPIPE - 1), 0);
	ends(child, 0);
	child = start(ARGV("grep", "^SigBlk", "/proc/self/status"),
	    OPTIONS(.streams = BOTH, .signal_mask = &block));
	all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	EQUAL(strtoull(text + 7, NULL, 16), 1u << (SIGUSR1 - 1));
	ends(child, 0);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* --- What cannot be started -------------------------------------------------------------------- */

static void refused(const char *const *argv, const struct ipc9_spawn_options *options, int code,
    const char *about)
{
	struct ipc9_child *child = NULL;
	struct ipc9_error e = { .text = "" };

	EQUAL(ipc9_spawn(argv, options, &child, &e), code);
	EQUAL(e.code, code);
	if (!HOLDS(strstr(e.text, about) != NULL))
		SAME_TEXT(e.text, about);
	HOLDS(child == NULL);
}

static int n_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void test_what_cannot_be_started_is_explained_and_leaves_nothing(void)
{
	struct ipc9_pipe_pair_options wrong = { .quota_bytes = UINT32_MAX }, right = { .way = 0 };
	static char huge[3 << 20];
	int before = n_descriptors();

	memset(huge, 'x', sizeof(huge) - 1);
	refused(NULL, NULL, IPC9_E_INVALID, "argv is empty");
	refused(ARGV(NULL), NULL, IPC9_E_INVALID, "argv is empty");
	refused(ARGV(""), NULL, IPC9_E_INVALID, "argv is empty");
	refused(ARGV("no-such-program"), NULL, IPC9_E_NOENT,
	    "no-such-program: there is no such program in PATH");
	refused(ARGV("/no/such/program"), OPTIONS(.streams = BOTH, .pipe = &right), IPC9_E_NOENT,
	    "/no/such/program: there is no such program");
	refused(ARGV("/etc/passwd"), NULL, IPC9_E_ACCESS, "/etc/passwd: it cannot be run");
	refused(ARGV("cat"), OPTIONS(.folder = "/no/such"), IPC9_E_NOENT, "in /no/such");
	refused(ARGV("cat"), OPTIONS(.folder = "/etc/passwd"), IPC9_E_ACCESS, "in /etc/passwd");
	refused(ARGV("cat"), OPTIONS(.streams = 8), IPC9_E_INVALID,
	    "cat: there are no streams 0x8");
	refused(ARGV("cat"), OPTIONS(.pipe = &wrong), IPC9_E_INVALID, "unnamed pipe: the quota");
	refused(ARGV("cat", huge), NULL, IPC9_E_TOOBIG, "cat: its arguments");
	EQUAL(n_descriptors(), before);
}

static void test_a_name_on_another_host_is_refused(void)
{
	refused(ARGV("//host2/pipe/x"), NULL, IPC9_E_BADNAME, "on this host only");
	refused(ARGV("\\\\host2\\pipe\\x"), NULL, IPC9_E_BADNAME, "a named pipe reaches");
}

/* --- Its end ----------------------------------------------------------------------------------- */

static void test_waiting_for_its_end_takes_no_longer_than_was_said(void)
{
	struct ipc9_child *child = start(ARGV("cat"), NULL);
	struct pollfd p = { .fd = ipc9_child_ended_fd(child), .events = POLLIN };
	int status = 0;

	EQUAL(ipc9_child_wait(child, 0, &status, NULL), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_child_wait(child, 20, &status, NULL), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_child_wait(child, -3, &status, NULL), IPC9_E_INVALID);
	EQUAL(poll(&p, 1, 0), 0);
	ipc9_child_end(child, IPC9_CHILD_STDIN);
	EQUAL(poll(&p, 1, LONG_MS), 1);
	EQUAL(ipc9_child_wait(child, 0, &status, NULL), 0);
	ends(child, 0); /* told again */
}

static void test_a_signal_ends_it_and_is_refused_after_that(void)
{
	struct ipc9_child *child = start(ARGV("cat"), NULL);
	char byte;
	size_t n;
	int status = 0;

	HOLDS(ipc9_child_pid(child) > 0);
	EQUAL(ipc9_child_kill(child, 0, NULL), 0);
	EQUAL(ipc9_child_kill(child, SIGKILL, NULL), 0);
	EQUAL(ipc9_child_wait(child, LONG_MS, &status, NULL), 0);
	HOLDS(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	EQUAL(ipc9_child_kill(child, SIGTERM, NULL), IPC9_E_NOENT);
	EQUAL(ipc9_child_read(child, IPC9_CHILD_STDOUT, &byte, 1, LONG_MS, &n, NULL), IPC9_E_EOF);
	EQUAL(ipc9_child_write(child, "x", 1, LONG_MS, &n, NULL), IPC9_E_PEERCLOSED);
	ipc9_child_free(child);
}

static void test_a_group_gets_the_signal_as_a_whole(void)
{
	struct ipc9_child *child =
	    start(SHELL("sleep 20 & printf x; wait"), OPTIONS(.streams = BOTH, .group = true));
	char text[4];
	int status = 0;
	size_t n;

	EQUAL(ipc9_child_read(child, IPC9_CHILD_STDOUT, text, 1, LONG_MS, &n, NULL), 0);
	EQUAL(ipc9_child_kill(child, SIGTERM, NULL), 0);
	EQUAL(ipc9_child_wait(child, LONG_MS, &status, NULL), 0);
	HOLDS(WIFSIGNALED(status));
	all(child, IPC9_CHILD_STDOUT, text, sizeof(text)); /* it had that, too */
	ipc9_child_free(child);
}

static void test_a_status_that_was_taken_elsewhere_is_told(void)
{
	struct ipc9_child *child = start(ARGV("true"), NULL);
	int status;

	waitpid(ipc9_child_pid(child), &status, 0);
	EQUAL(ipc9_child_wait(child, LONG_MS, &status, NULL), IPC9_E_UNKNOWN);
	EQUAL(ipc9_child_wait(child, LONG_MS, &status, NULL), IPC9_E_UNKNOWN);
	ipc9_child_free(child);
}

static int ignores_children(struct process *self, void *context)
{
	struct ipc9_child *child;
	int status, r;

	(void)self;
	(void)context;
	signal(SIGCHLD, SIG_IGN);
	for (int i = 0; i < 20; i++) {
		r = ipc9_spawn(ARGV("true"), NULL, &child, NULL);
		if (!r) {
			r = ipc9_child_wait(child, LONG_MS, &status, NULL);
			ipc9_child_free(child);
		}
		if (r != IPC9_E_UNKNOWN)
			return 1;
	}
	return 0;
}

static void test_a_process_that_ignores_its_children_does_not_learn_their_status(void)
{
	struct process process;

	process_start(&process, ignores_children, NULL);
	process_end(&process);
}

static int is_killed(struct process *self, void *context)
{
	struct ipc9_child *child =
	    start(SHELL("cat >/dev/null; printf x >&2"), OPTIONS(.streams = IPC9_CHILD_STDIN));

	(void)context;
	(void)child;
	process_tell(self, 's');
	process_hear(self);
	return 1;
}

static void test_a_parent_that_is_killed_closes_the_programs_streams(void)
{
	struct process process;
	int err[2], before = dup(STDERR_FILENO);
	char byte = 0;

	EQUAL(pipe2(err, O_CLOEXEC), 0);
	dup2(err[1], STDERR_FILENO);
	process_start(&process, is_killed, NULL);
	dup2(before, STDERR_FILENO);
	close(before);
	close(err[1]);
	EQUAL(process_hear(&process), 's');
	process_kill(&process);
	EQUAL(read(err[0], &byte, 1), 1); /* cat has come to the end */
	close(err[0]);
}

/* --- The pipe that it is offered --------------------------------------------------------------- */

static const struct ipc9_pipe_pair_options offers[] = {
	{ .way = IPC9_PIPE_BY_MEMORY },
	{ .way = IPC9_PIPE_BY_SOCKET },
	{ .type = IPC9_PIPE_TYPE_MESSAGE, .way = IPC9_PIPE_BY_MEMORY, .quota_bytes = 1 },
};

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
	o.child = start(argv, OPTIONS(.streams = BOTH, .pipe = options, .keep_descriptors = keep));
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
		ends(o->child, want);
	else
		ipc9_child_free(o->child);
	ipc9_free(o->ipc9);
}

static void test_a_program_that_takes_the_pipe_talks_over_it(void)
{
	for (size_t k = 0; k < 2 * sizeof(offers) / sizeof(offers[0]); k++) {
		size_t i = k / 2;
		struct offered o =
		    offer_keeping(ARGV(SELF, SPAWNED, "echo"), &offers[i], k % 2 == 1);
		struct ipc9_pipe_end_info info = { .way = 0 };
		char buffer[16];
		size_t n = 0;

		if (EQUAL(ipc9_child_pipe(o.child, o.ipc9, LONG_MS, &o.pipe, NULL), 0)) {
			EQUAL(ipc9_pipe_info_of(o.pipe, &info, NULL), 0);
			EQUAL(info.way, offers[i].way);
			EQUAL(info.type, offers[i].type);
			EQUAL(ipc9_pipe_write(o.pipe, "there", 5, LONG_MS, NULL, NULL), 0);
			EQUAL(ipc9_pipe_read(o.pipe, buffer, 16, LONG_MS, &n, NULL), 0);
			SAME_BYTES(buffer, n, "there", 5);
			o.pipe = ipc9_pipe_close(o.pipe);
		}
		EQUAL(ipc9_child_pipe(o.child, o.ipc9, 0, &o.pipe, NULL), IPC9_E_NOENT);
		offer_end(&o, 0);
	}
}

static void test_the_pipe_comes_down_through_a_shell(void)
{
	char script[64], path[4096];
	struct offered o;
	ssize_t length = readlink(SELF, path, sizeof(path) - 1);

	path[length > 0 ? length : 0] = '\0';
	(void)snprintf(script, sizeof(script), "\"$0\" %s echo", SPAWNED);
	o = offer(ARGV("sh", "-c", script, path), &offers[0]);
	EQUAL(ipc9_child_pipe(o.child, o.ipc9, LONG_MS, &o.pipe, NULL), 0);
	offer_end(&o, 0);
}

static void test_any_other_program_notices_nothing_of_the_offer(void)
{
	struct offered o = offer(ARGV("cat"), &offers[0]);
	struct ipc9_error e;
	char text[8];

	EQUAL(ipc9_child_pipe(o.child, o.ipc9, 20, &o.pipe, &e), IPC9_E_TIMEDOUT);
	HOLDS(strstr(e.text, "cat: it has not taken the pipe in time") != NULL);
	EQUAL(ipc9_child_pipe(o.child, o.ipc9, 20, &o.pipe, &e), IPC9_E_NOENT);
	put(o.child, "abc");
	ipc9_child_end(o.child, IPC9_CHILD_STDIN);
	all(o.child, IPC9_CHILD_STDOUT, text, sizeof(text));
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
	put(o.child, ".abc");
	ipc9_child_end(o.child, IPC9_CHILD_STDIN);
	all(o.child, IPC9_CHILD_STDOUT, text, sizeof(text));
	SAME_TEXT(text, "streams abc");
	offer_end(&o, 0);
}

static void test_a_program_without_an_offer_keeps_to_its_streams(void)
{
	struct ipc9_child *child = start(ARGV(SELF, SPAWNED, "echo"), NULL);
	struct ipc9_pipe *pipe;
	struct ipc9 *ipc9;
	char text[16];

	put(child, "abc");
	ipc9_child_end(child, IPC9_CHILD_STDIN);
	all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	SAME_TEXT(text, "streams abc");
	EQUAL(ipc9_new(NULL, &ipc9, NULL), 0);
	EQUAL(ipc9_child_pipe(child, ipc9, 0, &pipe, NULL), IPC9_E_NOENT);
	ends(child, 0);
	ipc9_free(ipc9);
}

static void test_either_end_that_is_killed_is_lost_to_the_other(void)
{
	for (size_t i = 0; i < sizeof(offers) / sizeof(offers[0]); i++) {
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

static void test_an_offer_that_is_none_is_not_taken(void)
{
	static const struct {
		const char *text;
		int code;
	} offered[] = {
		{ "", IPC9_E_NOENT },
		{ "words", IPC9_E_MISMATCH },
		{ "0 3 3 1048576 1 3:1 4:1 more", IPC9_E_MISMATCH },
		{ "0 3 1 1048576 1 3:1 4:1", IPC9_E_MISMATCH },
		{ "0 3 3 0 1 3:1 4:1", IPC9_E_MISMATCH },
		{ "9 3 3 1048576 1 3:1 4:1", IPC9_E_MISMATCH },
		{ "0 3 3 1048576 1 0:1 1:1", IPC9_E_NOENT },
		{ "0 3 3 1048576 1 900:0 901:0", IPC9_E_NOENT },
		{ "0 3 2 1048576 1 -1:0 -1:0", IPC9_E_NOENT },
	};
	struct ipc9_pipe *pipe;
	struct ipc9_error e;
	struct ipc9 *ipc9;
	struct stat s;
	char own[64];
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	EQUAL(ipc9_new(NULL, &ipc9, NULL), 0);
	for (size_t i = 0; i < sizeof(offered) / sizeof(offered[0]); i++) {
		setenv("IPC9_PIPE", offered[i].text, 1);
		if (!EQUAL(ipc9_pipe_inherit(ipc9, 0, &pipe, &e), offered[i].code))
			SAME_TEXT(e.text, offered[i].text);
		HOLDS(strstr(e.text, "IPC9_PIPE") != NULL);
	}
	/* The file that it says, which is no socket. */
	fstat(null, &s);
	(void)snprintf(own, sizeof(own), "0 3 2 1048576 1 %d:%ju -1:0", null, (uintmax_t)s.st_ino);
	setenv("IPC9_PIPE", own, 1);
	EQUAL(ipc9_pipe_inherit(ipc9, 0, &pipe, &e), IPC9_E_MISMATCH);
	unsetenv("IPC9_PIPE");
	EQUAL(ipc9_pipe_inherit(ipc9, 0, &pipe, &e), IPC9_E_NOENT);
	EQUAL(ipc9_pipe_inherit(ipc9, -2, &pipe, &e), IPC9_E_INVALID);
	ipc9_free(ipc9);
}

SUITE(spawn, TEST(test_a_million_bytes_go_through_cat),
    TEST(test_a_write_waits_until_all_of_it_is_written),
    TEST(test_a_write_that_does_not_fit_in_time_tells_how_much_was_written),
    TEST(test_data_left_when_the_program_has_ended_is_read_and_then_eof),
    TEST(test_a_write_to_a_closed_standard_input_is_an_error_and_no_signal),
    TEST(test_only_the_streams_asked_for_are_pipes),
    TEST(test_a_size_hint_sets_the_size_of_the_pipes),
    TEST(test_a_descriptor_that_was_taken_is_the_callers),
    TEST(test_the_environment_and_the_folder_are_those_that_were_said),
    TEST(test_a_program_can_have_another_name),
    TEST(test_it_gets_no_descriptor_of_ours_but_its_streams),
    TEST(test_a_process_without_standard_streams_can_start_programs),
    TEST(test_it_gets_the_default_sigpipe_and_no_blocked_signals),
    TEST(test_what_cannot_be_started_is_explained_and_leaves_nothing),
    TEST(test_a_name_on_another_host_is_refused),
    TEST(test_waiting_for_its_end_takes_no_longer_than_was_said),
    TEST(test_a_signal_ends_it_and_is_refused_after_that),
    TEST(test_a_group_gets_the_signal_as_a_whole),
    TEST(test_a_status_that_was_taken_elsewhere_is_told),
    TEST(test_a_process_that_ignores_its_children_does_not_learn_their_status),
    TEST(test_a_parent_that_is_killed_closes_the_programs_streams),
    TEST(test_a_program_that_takes_the_pipe_talks_over_it),
    TEST(test_the_pipe_comes_down_through_a_shell),
    TEST(test_any_other_program_notices_nothing_of_the_offer),
    TEST(test_a_program_that_comes_too_late_keeps_to_its_streams),
    TEST(test_a_program_without_an_offer_keeps_to_its_streams),
    TEST(test_either_end_that_is_killed_is_lost_to_the_other),
    TEST(test_an_offer_that_is_none_is_not_taken));
