/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_spawn.c - programs that are started: their streams, their ends, what they are given and what not.  The pipe that they may
 * be offered is in test_offer.c.
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

#define MANY 1000000

/* --- Streams ----------------------------------------------------------------------------------- */

static void test_a_million_bytes_go_through_cat(void)
{
	static unsigned char sent[MANY], got[MANY];
	struct ipc9_child *child = spawned_start(ARGV("cat"), NULL);
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
	spawned_ends(child, 0);
}

static void test_a_write_waits_until_all_of_it_is_written(void)
{
	static char data[MANY];
	struct ipc9_child *child = spawned_start(ARGV("wc", "-c"), NULL);
	char text[32];
	size_t n = 0;

	EQUAL(ipc9_child_write(child, data, MANY, LONG_MS, &n, NULL), 0);
	EQUAL(n, MANY);
	ipc9_child_end(child, IPC9_CHILD_STDIN);
	spawned_read_all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	EQUAL(atoi(text), MANY);
	spawned_ends(child, 0);
}

static void test_a_write_that_does_not_fit_in_time_tells_how_much_was_written(void)
{
	static char data[MANY];
	struct ipc9_child *child = spawned_start(SHELL("read line; exec cat >/dev/null"), NULL);
	struct ipc9_error e;
	size_t n = 0;

	EQUAL(ipc9_child_write(child, data, MANY, 0, &n, &e), IPC9_E_TIMEDOUT);
	HOLDS(n > 0 && n < MANY);
	HOLDS(strstr(e.text, "of 1000000 bytes") != NULL);
	spawned_put(child, "\n");
	ipc9_child_end(child, IPC9_CHILD_STDIN);
	spawned_ends(child, 0);
}

static void test_data_left_when_the_program_has_ended_is_read_and_then_eof(void)
{
	struct ipc9_child *child = spawned_start(SHELL("printf left"), NULL);
	size_t n = 9;
	int status;
	char text[8];

	EQUAL(ipc9_child_wait(child, LONG_MS, &status, NULL), 0);
	EQUAL(ipc9_child_peek(child, IPC9_CHILD_STDOUT, &n, NULL), 0);
	EQUAL(n, 4);
	spawned_read_all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	SAME_TEXT(text, "left");
	EQUAL(ipc9_child_peek(child, IPC9_CHILD_STDOUT, &n, NULL), 0);
	EQUAL(n, 0);
	spawned_ends(child, 0);
}

static int writes_to_nobody(struct process *self, void *context)
{
	struct ipc9_child *child = spawned_start(SHELL("exec <&-; printf x; exec sleep 20"), NULL);
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
	    spawned_start(SHELL("echo words >&2; exit 3"), OPTIONS(.streams = IPC9_CHILD_STDERR));
	struct ipc9_error e;
	char text[16];
	size_t n;

	EQUAL(ipc9_child_fd(child, IPC9_CHILD_STDIN), -1);
	EQUAL(ipc9_child_fd(child, IPC9_CHILD_STDOUT), -1);
	EQUAL(ipc9_child_write(child, "x", 1, 0, NULL, &e), IPC9_E_INVALID);
	EQUAL(ipc9_child_read(child, IPC9_CHILD_STDOUT, text, 1, 0, &n, &e), IPC9_E_INVALID);
	EQUAL(ipc9_child_read(child, IPC9_CHILD_STDIN, text, 1, 0, &n, &e), IPC9_E_INVALID);
	HOLDS(strncmp(e.text, "sh: ", 4) == 0);
	spawned_read_all(child, IPC9_CHILD_STDERR, text, sizeof(text));
	SAME_TEXT(text, "words\n");
	spawned_ends(child, 3);
}

static void test_a_size_hint_sets_the_size_of_the_pipes(void)
{
	struct ipc9_child *child =
	    spawned_start(ARGV("cat"), OPTIONS(.streams = BOTH, .stream_bytes = 1));

	EQUAL(fcntl(ipc9_child_fd(child, IPC9_CHILD_STDIN), F_GETPIPE_SZ), sysconf(_SC_PAGESIZE));
	ipc9_child_end(child, IPC9_CHILD_STDIN);
	spawned_ends(child, 0);
	child = spawned_start(ARGV("cat"), OPTIONS(.streams = BOTH, .stream_bytes = 262144));
	EQUAL(fcntl(ipc9_child_fd(child, IPC9_CHILD_STDOUT), F_GETPIPE_SZ), 262144);
	ipc9_child_end(child, IPC9_CHILD_STDIN);
	spawned_ends(child, 0);
}

static void test_a_descriptor_that_was_taken_is_the_callers(void)
{
	struct ipc9_child *child = spawned_start(ARGV("cat"), NULL);
	int in = ipc9_child_take_fd(child, IPC9_CHILD_STDIN),
	    out = ipc9_child_take_fd(child, IPC9_CHILD_STDOUT);
	char byte = 0;

	EQUAL(ipc9_child_take_fd(child, IPC9_CHILD_STDIN), -1);
	EQUAL(ipc9_child_fd(child, IPC9_CHILD_STDOUT), -1);
	EQUAL(fcntl(out, F_GETFL) & O_NONBLOCK, 0);
	EQUAL(fcntl(out, F_GETFD), FD_CLOEXEC);
	EQUAL(write(in, "x", 1), 1);
	close(in);
	spawned_ends(child, 0);
	EQUAL(read(out, &byte, 1), 1);
	EQUAL(byte, 'x');
	close(out);
}

/* --- What it is given -------------------------------------------------------------------------- */

static void test_the_environment_and_the_folder_are_those_that_were_said(void)
{
	static const char *const environment[] = { "WORD=said", "IPC9_PIPE=stale", NULL };
	struct ipc9_child *child =
	    spawned_start(ARGV("/bin/sh", "-c", "echo $WORD-$IPC9_PIPE; pwd"),
		OPTIONS(.streams = BOTH, .environment = environment, .folder = "/usr"));
	char text[32];

	spawned_read_all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	SAME_TEXT(text, "said-\n/usr\n");
	spawned_ends(child, 0);
}

static void test_a_program_can_have_another_name(void)
{
	struct ipc9_child *child = spawned_start(ARGV("another", "-c", "echo $0"),
	    OPTIONS(.streams = BOTH, .program = "/bin/sh"));
	char text[32];

	spawned_read_all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	SAME_TEXT(text, "another\n");
	spawned_ends(child, 0);
}

static void test_it_gets_no_descriptor_of_ours_but_its_streams(void)
{
	int open_fd = fcntl(STDOUT_FILENO, F_DUPFD, 100); /* not closed on exec */
	struct ipc9_child *child =
	    spawned_start(ARGV(SELF, SPAWNED, "descriptors"), OPTIONS(.streams = BOTH));
	char text[300];

	spawned_read_all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	SAME_TEXT(text, "0 1 2 ");
	spawned_ends(child, 0);
	child = spawned_start(ARGV(SELF, SPAWNED, "descriptors"),
	    OPTIONS(.streams = BOTH, .keep_descriptors = true));
	spawned_read_all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	HOLDS(strstr(text, " 100 ") != NULL);
	spawned_ends(child, 0);
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
	child = spawned_start(ARGV("grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"), NULL);
	spawned_read_all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	HOLDS(strstr(text, "SigBlk:\t0000000000000000\n") != NULL);
	HOLDS(strstr(text, "SigIgn:\t") != NULL);
	EQUAL(strtoull(strstr(text, "SigIgn:") + 7, NULL, 16) & 1u << (SIGPIPE - 1), 0);
	spawned_ends(child, 0);
	child = spawned_start(ARGV("grep", "^SigBlk", "/proc/self/status"),
	    OPTIONS(.streams = BOTH, .signal_mask = &block));
	spawned_read_all(child, IPC9_CHILD_STDOUT, text, sizeof(text));
	EQUAL(strtoull(text + 7, NULL, 16), 1u << (SIGUSR1 - 1));
	spawned_ends(child, 0);
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

static void test_what_cannot_be_started_is_explained_and_leaves_nothing(void)
{
	struct ipc9_pipe_pair_options wrong = { .quota_bytes = UINT32_MAX }, right = { .way = 0 };
	static char huge[3 << 20];
	int before = process_descriptors();

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
	EQUAL(process_descriptors(), before);
}

static void make_script(const char *path, const char *first_line)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

	EQUAL(write(fd, first_line, strlen(first_line)), (ssize_t)strlen(first_line));
	close(fd);
}

static void test_a_script_whose_interpreter_is_missing_is_told_as_such(void)
{
	char folder[] = "/tmp/ipc9-spawn-XXXXXX", *path = strdup(getenv("PATH"));
	char script[64], second[64], line[80];
	struct ipc9_pipe_pair_options pipe = { .way = 0 };
	int before;

	HOLDS(mkdtemp(folder) != NULL);
	(void)snprintf(script, sizeof(script), "%s/of-nobody", folder);
	(void)snprintf(second, sizeof(second), "%s/of-the-first", folder);
	(void)snprintf(line, sizeof(line), "#!%s\nwords\n", script);
	make_script(script, "#! \t/no/such/interpreter -x\nwords\n");
	make_script(second, line);
	setenv("PATH", "/no/such:", 1); /* the folder it is run in, too */
	before = process_descriptors();
	refused(ARGV(script), OPTIONS(.pipe = &pipe), IPC9_E_NOENT,
	    "/of-nobody: its interpreter /no/such/interpreter is missing");
	refused(ARGV("./of-nobody"), OPTIONS(.folder = folder), IPC9_E_NOENT,
	    "./of-nobody: its interpreter /no/such/interpreter is missing");
	refused(ARGV("x"), OPTIONS(.program = script), IPC9_E_NOENT,
	    "its interpreter /no/such/interpreter is missing");
	refused(ARGV("of-nobody"), OPTIONS(.folder = folder), IPC9_E_NOENT,
	    "of-nobody: its interpreter /no/such/interpreter is missing");
	refused(ARGV("of-nobody"), NULL, IPC9_E_NOENT,
	    "of-nobody: there is no such program in PATH");
	refused(ARGV(second), NULL, IPC9_E_NOENT,
	    "/of-the-first: it is there, but an interpreter that it needs is missing");
	EQUAL(process_descriptors(), before);
	setenv("PATH", path, 1);
	free(path);
	unlink(script);
	unlink(second);
	rmdir(folder);
}

static void test_a_name_on_another_host_is_refused(void)
{
	refused(ARGV("//host2/pipe/x"), NULL, IPC9_E_BADNAME, "on this host only");
	refused(ARGV("\\\\host2\\pipe\\x"), NULL, IPC9_E_BADNAME, "a named pipe reaches");
}

/* --- Its end ----------------------------------------------------------------------------------- */

static void test_waiting_for_its_end_takes_no_longer_than_was_said(void)
{
	struct ipc9_child *child = spawned_start(ARGV("cat"), NULL);
	struct pollfd p = { .fd = ipc9_child_ended_fd(child), .events = POLLIN };
	int status = 0;

	EQUAL(ipc9_child_wait(child, 0, &status, NULL), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_child_wait(child, 20, &status, NULL), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_child_wait(child, -3, &status, NULL), IPC9_E_INVALID);
	EQUAL(poll(&p, 1, 0), 0);
	ipc9_child_end(child, IPC9_CHILD_STDIN);
	EQUAL(poll(&p, 1, LONG_MS), 1);
	EQUAL(ipc9_child_wait(child, 0, &status, NULL), 0);
	spawned_ends(child, 0); /* told again */
}

static void test_a_signal_ends_it_and_is_refused_after_that(void)
{
	struct ipc9_child *child = spawned_start(ARGV("cat"), NULL);
	struct ipc9_error e = { .text = "" };
	char byte;
	size_t n;
	int status = 0;

	HOLDS(ipc9_child_pid(child) > 0);
	EQUAL(ipc9_child_kill(child, 0, NULL), 0);
	EQUAL(ipc9_child_kill(child, 1000, &e), IPC9_E_INVALID);
	SAME_TEXT(e.text, "cat: there is no signal 1000");
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
	struct ipc9_child *child = spawned_start(SHELL("sleep 20 & printf x; wait"),
	    OPTIONS(.streams = BOTH, .group = true));
	char text[4];
	int status = 0;
	size_t n;

	EQUAL(ipc9_child_read(child, IPC9_CHILD_STDOUT, text, 1, LONG_MS, &n, NULL), 0);
	EQUAL(ipc9_child_kill(child, SIGTERM, NULL), 0);
	EQUAL(ipc9_child_wait(child, LONG_MS, &status, NULL), 0);
	HOLDS(WIFSIGNALED(status));
	spawned_read_all(child, IPC9_CHILD_STDOUT, text, sizeof(text)); /* it had that, too */
	ipc9_child_free(child);
}

static void test_a_status_that_was_taken_elsewhere_is_told(void)
{
	struct ipc9_child *child = spawned_start(ARGV("true"), NULL);
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
	struct ipc9_child *child = spawned_start(SHELL("cat >/dev/null; printf x >&2"),
	    OPTIONS(.streams = IPC9_CHILD_STDIN));

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
    TEST(test_a_script_whose_interpreter_is_missing_is_told_as_such),
    TEST(test_a_name_on_another_host_is_refused),
    TEST(test_waiting_for_its_end_takes_no_longer_than_was_said),
    TEST(test_a_signal_ends_it_and_is_refused_after_that),
    TEST(test_a_group_gets_the_signal_as_a_whole),
    TEST(test_a_status_that_was_taken_elsewhere_is_told),
    TEST(test_a_process_that_ignores_its_children_does_not_learn_their_status),
    TEST(test_a_parent_that_is_killed_closes_the_programs_streams));
