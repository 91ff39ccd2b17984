/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * filemap_sync.c - ipc9 filemap sync: a command under a mutex or a semaphore, and events for scripts.
 *
 * With a command the object is there as long as somebody waits for it or has it.  Without one it has to be there
 * between two commands: then it stays until `rm`.
 */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/child.h"
#include "cli/filemap.h"
#include "cli/io.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "client/ipc9.h"
#include "util/clock.h"

#define EXIT_CANNOT_RUN 126
#define EXIT_NOT_FOUND 127
#define EXIT_SIGNAL 128 /* and the signal's number */

static void sync_closep(struct ipc9_sync **sync)
{
	ipc9_sync_close(*sync);
}

const char filemap_sync_about[] =
    "mutex NAME -- CMD       runs CMD while nobody else has the mutex.  If its last owner was killed, CMD\n"
    "                        runs all the same, after a warning, and with IPC9_ABANDONED=1.\n"
    "semaphore NAME -- CMD   runs CMD while fewer than --count others have the semaphore.\n"
    "semaphore NAME wait     takes one of its count (0 at first); release gives one.\n"
    "event NAME set          sets it; reset resets it; wait waits until it is set and, without --manual,\n"
    "                        resets it.\n"
    "Semaphores and events that are used without CMD stay until `ipc9 filemap rm NAME`.\n"
    "With CMD the exit status is CMD's, 128 and the number of the signal that ended it, 127 when it was\n"
    "not found; 3 when it did not run as --wait was over.\n";

const struct option_row filemap_sync_options[] = {
	{ .name = "count",
	    .kind = OPTION_NUMBER,
	    .value = "N",
	    .minimum = 1,
	    .maximum = INT_MAX,
	    .help = "a new semaphore's maximum (1)" },
	{ .name = "manual", .help = "a new event stays set until it is reset" },
	{ .name = "wait",
	    .kind = OPTION_NUMBER,
	    .value = "MS",
	    .maximum = INT_MAX,
	    .help = "wait at most MS ms, then end with status 3 (for ever); 0 does not wait" },
	{ .name = NULL },
};

/* --- Waiting, with an ear for signals ---------------------------------------------------------- */

static int wait_ms_of(const struct invocation *invocation)
{
	return (int)invocation_number(invocation, "wait", IPC9_FOREVER);
}

/*
 * Waits for it while the signals that end us are blocked: nothing is taken by a process that dies of one.  0 or the
 * exit status.
 */
static int wait_listening(struct ipc9_sync *sync, const struct invocation *invocation,
    int signal_fd, bool *ret_abandoned)
{
	int64_t deadline = clock_deadline_ms(wait_ms_of(invocation));
	struct pollfd fds[2] = { { .fd = signal_fd, .events = POLLIN }, { .events = POLLIN } };
	struct ipc9_error error;
	int r = ipc9_sync_wait(sync, 0, ret_abandoned, &error);

	if (r == IPC9_E_TIMEDOUT && ipc9_sync_fd(sync, &fds[1].fd, &error))
		return output_fail(invocation, &error);
	while (r == IPC9_E_TIMEDOUT && clock_now() < deadline) {
		struct signalfd_siginfo info;

		(void)poll(fds, 2, clock_poll_ms(deadline));
		if (fds[0].revents & POLLIN && read(signal_fd, &info, sizeof(info)) > 0)
			signals_die((int)info.ssi_signo);
		r = ipc9_sync_wait(sync, 0, ret_abandoned, &error);
	}
	if (r == IPC9_E_TIMEDOUT && wait_ms_of(invocation) > 0) /* the last try knows of no time */
		(void)snprintf(error.text, sizeof(error.text), "%s: not free within %d ms",
		    invocation_operand(invocation, 1), wait_ms_of(invocation));
	return r ? output_fail(invocation, &error) : 0;
}

/* --- Running ----------------------------------------------------------------------------------- */

/* What we are told to end by is told to the command; from a terminal it has it already. */
static void hand_on(int signal_fd, struct ipc9_child *child)
{
	struct signalfd_siginfo info;

	if (read(signal_fd, &info, sizeof(info)) == sizeof(info) && info.ssi_code != SI_KERNEL)
		(void)ipc9_child_kill(child, (int)info.ssi_signo, NULL);
}

static int await(struct ipc9_child *child, int signal_fd)
{
	struct pollfd fds[2] = { { .fd = ipc9_child_ended_fd(child), .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN } };
	int status = 0;

	while (!(fds[0].revents & POLLIN)) {
		(void)poll(fds, 2, -1);
		if (fds[1].revents & POLLIN)
			hand_on(signal_fd, child);
	}
	(void)ipc9_child_wait(child, IPC9_FOREVER, &status, NULL);
	ipc9_child_free(child);
	return WIFSIGNALED(status) ? EXIT_SIGNAL + WTERMSIG(status) : WEXITSTATUS(status);
}

static int run(const struct invocation *invocation, int signal_fd)
{
	struct child_command command;
	struct ipc9_child *child;
	struct ipc9_error error;
	int r = child_command_begin(&command, invocation->command, &invocation->signal_mask);

	if (r) {
		output_error("%s: cannot be run: %s", invocation->command[0], strerror(-r));
		return r == -ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
	}
	r = child_run(&command, &child, &error);
	child_command_end(&command);
	if (r) {
		output_error("%s", error.text);
		return r == IPC9_E_NOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
	}
	return await(child, signal_fd);
}

/* --- A command under an object ----------------------------------------------------------------- */

static int run_under(struct ipc9_sync *sync, const struct invocation *invocation)
{
	_cleanup_(io_closep) int signal_fd = -1;
	struct ipc9_error error;
	bool abandoned = false;
	sigset_t ending;
	int status;

	signals_ending(&ending);
	signal_fd = signalfd(-1, &ending, SFD_CLOEXEC | SFD_NONBLOCK);
	if (signal_fd < 0) {
		output_error("cannot listen to signals: %s", strerror(errno));
		return EXIT_FAILED;
	}
	status = wait_listening(sync, invocation, signal_fd, &abandoned);
	if (status)
		return status;
	if (abandoned) {
		output_warning(invocation,
		    "%s: its last owner ended without releasing it; what it protects may be half done",
		    invocation_operand(invocation, 1));
		(void)setenv("IPC9_ABANDONED", "1", 1);
	} else {
		(void)unsetenv("IPC9_ABANDONED");
	}
	status = run(invocation, signal_fd);
	if (ipc9_sync_release(sync, 1, NULL, &error))
		output_warning(invocation, "%s", error.text);
	return status;
}

/* --- Words ------------------------------------------------------------------------------------- */

enum action {
	ACTION_NONE,
	ACTION_SET,
	ACTION_RESET,
	ACTION_RELEASE,
	ACTION_WAIT,
};

struct request {
	enum ipc9_sync_kind kind;
	enum action action; /* or, with _NONE, a command */
};

static const struct {
	const char *word;
	enum ipc9_sync_kind kind;
	bool command;
	const char *actions;
} kinds[] = {
	{ "mutex", IPC9_SYNC_MUTEX, true, "-- CMD..." },
	{ "semaphore", IPC9_SYNC_SEMAPHORE, true, "-- CMD..., wait or release" },
	{ "event", IPC9_SYNC_EVENT, false, "set, reset or wait" },
};

static const struct {
	const char *word;
	enum action action;
	bool semaphore, event;
} actions[] = {
	{ "set", ACTION_SET, false, true },
	{ "reset", ACTION_RESET, false, true },
	{ "release", ACTION_RELEASE, true, false },
	{ "wait", ACTION_WAIT, true, true },
};

/* Options that would have no effect are refused: whoever writes one expects some.  0, or EXIT_USAGE after saying why. */
static int check_options(const struct invocation *invocation, const struct request *request)
{
	const char *kind = invocation_operand(invocation, 0);
	const char *action = invocation_operand(invocation, 2);

	if (invocation_text(invocation, "count") && request->kind != IPC9_SYNC_SEMAPHORE)
		output_error("sync: --count is for a semaphore; this is \"%s\"", kind);
	else if (invocation_flag(invocation, "manual") && request->kind != IPC9_SYNC_EVENT)
		output_error("sync: --manual is for an event; this is \"%s\"", kind);
	else if (invocation_text(invocation, "wait") && request->action != ACTION_NONE &&
	    request->action != ACTION_WAIT)
		output_error("sync: --wait is for a command and for wait; %s waits for nothing",
		    action);
	else
		return 0;
	return EXIT_USAGE;
}

/* The same. */
static int understand(const struct invocation *invocation, struct request *ret)
{
	const char *kind = invocation_operand(invocation, 0);
	const char *action = invocation_operand(invocation, 2);
	size_t k = 0, a = 0;

	while (k < sizeof(kinds) / sizeof(kinds[0]) && strcmp(kinds[k].word, kind) != 0)
		k++;
	if (k == sizeof(kinds) / sizeof(kinds[0])) {
		output_error("sync: \"%s\" is no kind; there are mutex, semaphore and event", kind);
		return EXIT_USAGE;
	}
	*ret = (struct request){ kinds[k].kind, ACTION_NONE };
	if (!action && invocation->command && kinds[k].command)
		return 0;
	while (action && a < sizeof(actions) / sizeof(actions[0]) &&
	    strcmp(actions[a].word, action) != 0)
		a++;
	if (action && !invocation->command && a < sizeof(actions) / sizeof(actions[0]) &&
	    ((ret->kind == IPC9_SYNC_SEMAPHORE && actions[a].semaphore) ||
		(ret->kind == IPC9_SYNC_EVENT && actions[a].event))) {
		ret->action = actions[a].action;
		return 0;
	}
	output_error("sync: behind %s NAME comes %s", kind, kinds[k].actions);
	return EXIT_USAGE;
}

static int act(struct ipc9_sync *sync, const struct invocation *invocation, enum action action)
{
	struct ipc9_error error;
	int r = 0;

	switch (action) {
	case ACTION_NONE:
		return run_under(sync, invocation);
	case ACTION_SET:
		r = ipc9_sync_set(sync, &error);
		break;
	case ACTION_RESET:
		r = ipc9_sync_reset(sync, &error);
		break;
	case ACTION_RELEASE:
		r = ipc9_sync_release(sync, 1, NULL, &error);
		break;
	case ACTION_WAIT:
		r = ipc9_sync_wait(sync, wait_ms_of(invocation), NULL, &error);
		break;
	}
	return r ? output_fail(invocation, &error) : 0;
}

int filemap_sync(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(sync_closep) struct ipc9_sync *sync = NULL;
	struct ipc9_sync_options options = { .initial = 0 };
	struct ipc9_error error;
	struct request request;
	int status = understand(invocation, &request);

	if (status == 0)
		status = check_options(invocation, &request);
	if (status)
		return status;
	if (request.action != ACTION_NONE)
		options.flags |= IPC9_SYNC_CREATE_KEEP;
	if (request.kind == IPC9_SYNC_EVENT && invocation_flag(invocation, "manual"))
		options.flags |= IPC9_SYNC_CREATE_MANUAL;
	if (request.kind == IPC9_SYNC_SEMAPHORE)
		options.maximum = (uint32_t)invocation_number(invocation, "count", 1);
	if (request.kind == IPC9_SYNC_SEMAPHORE && request.action == ACTION_NONE)
		options.initial = options.maximum;
	if (ipc9_sync_create(ipc9, invocation_operand(invocation, 1), request.kind, &options, &sync,
		&error))
		return output_fail(invocation, &error);
	return act(sync, invocation, request.action);
}
