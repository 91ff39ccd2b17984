/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * spawn.c - programs started with their standard streams on pipe(7)s, and an unnamed pipe offered to them.
 *
 * 1. Every descriptor made here is closed on exec from the beginning: what the program gets are copies, made after the fork.
 * 2. The program is known by a pidfd.  Its number is used for signals to its group only, and only while it has not been waited
 *    for, under the lock: before that nobody else can get it.
 * 3. Our ends do not block; the program's do, since the two ends of a pipe(7) have flags of their own.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/error.h"
#include "client/pipe.h"
#include "util/clock.h"
#include "util/text.h"

#define STREAMS 3
#define FIRST_FREE (STREAMS + 1) /* descriptors that are copied lie from here on */
#define NAME_SIZE 64
#define SCRIPT_LINE 256 /* of a script's first line, what the system looks at */

extern char **environ;

struct ipc9_child {
	char name[NAME_SIZE]; /* in sentences */
	pid_t pid;
	int pidfd;
	int fds[STREAMS]; /* our ends; -1: none */
	bool group;
	pthread_mutex_t lock; /* for what follows */
	bool ended;	      /* waited for */
	bool unknown;	      /* and somebody else had its status */
	int status;
	struct pipe_offer offer;
};

/* What a start needs, until it has been done. */
struct start {
	const struct ipc9_spawn_options *options;
	const char *const *argv;
	int theirs[STREAMS]; /* -1: ours is theirs */
	int offer_fd;	     /* its side of the offer; -1: none */
	int offer_number;    /* that it has in the program */
	char variable[sizeof(PIPE_OFFER_VARIABLE) + PIPE_OFFER_SIZE];
	char **environment; /* pointers only */
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* --- Starting ---------------------------------------------------------------------------------- */

/* Out of the way of what they are copied to.  0 or -errno. */
static int lift(int *fd)
{
	int high;

	if (*fd < 0 || *fd >= FIRST_FREE)
		return 0;
	high = fcntl(*fd, F_DUPFD_CLOEXEC, FIRST_FREE);
	if (high < 0)
		return -errno;
	close(*fd);
	*fd = high;
	return 0;
}

static int make_stream(struct ipc9_child *c, struct start *s, int number)
{
	bool input = number == STDIN_FILENO;
	int fds[2], r;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	s->theirs[number] = fds[input ? 0 : 1];
	c->fds[number] = fds[input ? 1 : 0];
	/* A hint: the system rounds it, and an ordinary user's total is limited. */
	if (s->options->stream_bytes && s->options->stream_bytes <= INT32_MAX)
		(void)fcntl(c->fds[number], F_SETPIPE_SZ, (int)s->options->stream_bytes);
	r = lift(&s->theirs[number]);
	if (!r)
		r = lift(&c->fds[number]); /* no stream of this process's own, if that was closed */
	if (!r && fcntl(c->fds[number], F_SETFL, O_NONBLOCK))
		r = -errno;
	return r;
}

static int make_offer(struct ipc9_child *c, struct start *s, struct ipc9_error *e)
{
	const size_t length = strlen(PIPE_OFFER_VARIABLE);
	int r;

	if (!s->options->pipe)
		return 0;
	r = pipe_offer_make(s->options->pipe, &c->offer, &s->offer_fd, e);
	if (r)
		return r;
	r = lift(&s->offer_fd);
	s->offer_number = s->options->keep_descriptors ? s->offer_fd : STREAMS;
	memcpy(s->variable, PIPE_OFFER_VARIABLE "=", length + 1);
	if (!r)
		r = pipe_offer_text(&c->offer, s->offer_fd, s->offer_number,
		    s->variable + length + 1);
	return r ? error_set_own(e, r) : 0;
}

/* An offer that this process has got itself is not the program's. */
static int make_environment(struct start *s)
{
	const char *const *given = s->options->environment
	    ? s->options->environment
	    : (const char *const *)(const void *)environ;
	size_t n = 0, n_out = 0;

	while (given && given[n])
		n++;
	s->environment = calloc(n + 2, sizeof(char *));
	if (!s->environment)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (strncmp(given[i], PIPE_OFFER_VARIABLE "=", sizeof(PIPE_OFFER_VARIABLE)) != 0)
			s->environment[n_out++] = (char *)(uintptr_t)given[i];
	if (*s->variable)
		s->environment[n_out] = s->variable;
	return 0;
}

static int fill_actions(struct start *s)
{
	bool offers = s->offer_fd >= 0;
	int r = 0;

	for (int i = 0; i < STREAMS && !r; i++)
		if (s->theirs[i] >= 0)
			r = posix_spawn_file_actions_adddup2(&s->actions, s->theirs[i], i);
	if (!r && offers)
		r = posix_spawn_file_actions_adddup2(&s->actions, s->offer_fd, s->offer_number);
	if (!r && !s->options->keep_descriptors)
		r = posix_spawn_file_actions_addclosefrom_np(&s->actions, STREAMS + offers);
	if (!r && s->options->folder)
		r = posix_spawn_file_actions_addchdir_np(&s->actions, s->options->folder);
	return -r;
}

static void fill_attributes(struct start *s)
{
	sigset_t none, defaults;
	short flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;

	sigemptyset(&none);
	sigemptyset(&defaults);
	sigaddset(&defaults,
	    SIGPIPE); /* whoever writes to pipes ignores it, and so would the program */
	if (s->options->group)
		flags |= POSIX_SPAWN_SETPGROUP;
	posix_spawnattr_setflags(&s->attributes, flags);
	posix_spawnattr_setpgroup(&s->attributes, 0);
	posix_spawnattr_setsigdefault(&s->attributes, &defaults);
	posix_spawnattr_setsigmask(&s->attributes,
	    s->options->signal_mask ? s->options->signal_mask : &none);
}

/* 0 or -errno. */
static int run(struct start *s, pid_t *ret_pid)
{
	char *const *argv = (char *const *)(uintptr_t)s->argv;
	int r = -posix_spawn_file_actions_init(&s->actions);

	if (r)
		return r;
	r = -posix_spawnattr_init(&s->attributes);
	if (!r) {
		fill_attributes(s);
		r = fill_actions(s);
		if (!r && s->options->program)
			r = -posix_spawn(ret_pid, s->options->program, &s->actions, &s->attributes,
			    argv, s->environment);
		else if (!r)
			r = -posix_spawnp(ret_pid, argv[0], &s->actions, &s->attributes, argv,
			    s->environment);
		posix_spawnattr_destroy(&s->attributes);
	}
	posix_spawn_file_actions_destroy(&s->actions);
	return r;
}

/* What the first line of a script names to run it; empty: nothing, or it cannot be read. */
static void read_interpreter(int folder, const char *path, char name[PATH_MAX])
{
	int fd = openat(folder, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	char line[SCRIPT_LINE + 1];
	ssize_t n = fd < 0 ? -1 : read(fd, line, SCRIPT_LINE);

	close_fd(&fd);
	line[n > 0 ? n : 0] = '\0';
	*name = '\0';
	if (strncmp(line, "#!", 2) == 0) {
		const char *start = line + 2 + strspn(line + 2, " \t");

		text_format(name, PATH_MAX, "%.*s", (int)strcspn(start, " \t\n"), start);
	}
}

/* Finds the file that the name stands for, as posix_spawnp does. */
static bool find_in_path(int folder, const char *name, char path[PATH_MAX])
{
	const char *at = getenv("PATH");

	for (at = at ? at : "/bin:/usr/bin";; at++) {
		int n = (int)strcspn(at, ":");

		text_format(path, PATH_MAX, "%.*s%s%s", n, at, n ? "/" : "", name);
		if (faccessat(folder, path, X_OK, 0) == 0)
			return true;
		at += n;
		if (!*at)
			return false;
	}
}

/* The system says the same of a program that there is not and of one that lacks what is to run it. */
static int explain_missing(const struct ipc9_child *c, const struct start *s, struct ipc9_error *e)
{
	const char *name = s->options->program ? s->options->program : s->argv[0];
	bool searched = !s->options->program && !strchr(name, '/');
	char path[PATH_MAX], interpreter[PATH_MAX] = "";
	int folder = AT_FDCWD;
	bool is_there;

	if (s->options->folder)
		folder = open(s->options->folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	text_format(path, sizeof(path), "%s", name);
	is_there =
	    searched ? find_in_path(folder, name, path) : faccessat(folder, path, X_OK, 0) == 0;
	if (is_there)
		read_interpreter(folder, path, interpreter);
	if (*interpreter && faccessat(folder, interpreter, F_OK, 0) == 0)
		*interpreter = '\0';
	if (folder >= 0)
		close(folder);
	if (*interpreter)
		return error_set(e, IPC9_E_NOENT, "%s: its interpreter %.200s is missing", c->name,
		    interpreter);
	if (is_there)
		return error_set(e, IPC9_E_NOENT,
		    "%s: it is there, but an interpreter that it needs is missing", c->name);
	return error_set(e, IPC9_E_NOENT, "%s: there is no such program%s", c->name,
	    searched ? " in PATH" : "");
}

/* Why a program could not be started. */
static int explain_start(const struct ipc9_child *c, const struct start *s, int r,
    struct ipc9_error *e)
{
	const struct ipc9_spawn_options *o = s->options;

	if (o->folder && access(o->folder, X_OK)) {
		r = errno == ENOENT ? IPC9_E_NOENT : IPC9_E_ACCESS;
		return error_set(e, r, "%s: cannot be run in %.200s: %s", c->name, o->folder,
		    strerror(errno));
	}
	switch (r) {
	case -ENOENT:
	case -ENOTDIR:
		return explain_missing(c, s, e);
	case -EACCES:
	case -EPERM:
	case -ENOEXEC:
		return error_set(e, IPC9_E_ACCESS, "%s: it cannot be run: %s", c->name,
		    strerror(-r));
	case -E2BIG:
		return error_set(e, IPC9_E_TOOBIG, "%s: its arguments and environment are too long",
		    c->name);
	default:
		return error_set_own(e, r);
	}
}

static int check_options(const char *const *argv, const struct ipc9_spawn_options *o,
    struct ipc9_error *e)
{
	const char *name = argv && argv[0] ? argv[0] : "";

	if (!*name)
		return error_set(e, IPC9_E_INVALID, "no program to start: argv is empty");
	if (!o->program && (strncmp(name, "//", 2) == 0 || strncmp(name, "\\\\", 2) == 0))
		return error_set(e, IPC9_E_BADNAME,
		    "%.200s: programs are started on this host only; %s", name,
		    "a named pipe reaches those of other hosts");
	if (o->streams & ~(unsigned)(IPC9_CHILD_STDIN | IPC9_CHILD_STDOUT | IPC9_CHILD_STDERR))
		return error_set(e, IPC9_E_INVALID, "%.200s: there are no streams %#x", name,
		    o->streams);
	return 0;
}

/* 0, or a code with a sentence; what was made is in c and s. */
static int start(struct ipc9_child *c, struct start *s, struct ipc9_error *e)
{
	int r = 0;

	for (int i = 0; i < STREAMS && !r; i++)
		if (s->options->streams & 1u << i)
			r = make_stream(c, s, i);
	if (r)
		return error_set_own(e, r);
	r = make_offer(c, s, e);
	if (r)
		return r;
	r = make_environment(s);
	if (r)
		return error_set_own(e, r);
	r = run(s, &c->pid);
	if (r)
		return explain_start(c, s, r, e);
	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	if (c->pidfd >= 0)
		return 0;
	r = -errno;
	if (r == -ESRCH) /* whoever has its number now is another one */
		return error_set(e, IPC9_E_UNKNOWN,
		    "%s: it has ended at once, and its status was taken elsewhere (is SIGCHLD ignored?)",
		    c->name);
	/* It cannot be waited for as promised. */
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	return error_set_own(e, r);
}

int ipc9_spawn(const char *const *argv, const struct ipc9_spawn_options *options,
    struct ipc9_child **ret, struct ipc9_error *e)
{
	static const struct ipc9_spawn_options usual = { .streams =
							     IPC9_CHILD_STDIN | IPC9_CHILD_STDOUT };
	struct start s = { .options = options ? options : &usual,
		.argv = argv,
		.theirs = { -1, -1, -1 },
		.offer_fd = -1 };
	struct ipc9_child *c;
	int r = check_options(argv, s.options, e);

	if (r)
		return r;
	c = calloc(1, sizeof(*c));
	if (!c)
		return error_set_own(e, -ENOMEM);
	text_format(c->name, sizeof(c->name), "%.*s", NAME_SIZE - 1,
	    s.options->program ? s.options->program : argv[0]);
	c->pidfd = c->fds[0] = c->fds[1] = c->fds[2] = -1;
	c->offer = (struct pipe_offer)PIPE_OFFER_NONE;
	c->group = s.options->group;
	pthread_mutex_init(&c->lock, NULL);
	r = start(c, &s, e);
	for (int i = 0; i < STREAMS; i++)
		close_fd(&s.theirs[i]);
	close_fd(&s.offer_fd);
	free(s.environment);
	if (r)
		ipc9_child_free(c);
	else
		*ret = c;
	return r;
}

/* --- Streams ----------------------------------------------------------------------------------- */

/* The descriptor's place; NULL: there is no such stream. */
static int *stream(const struct ipc9_child *c, enum ipc9_child_stream which)
{
	struct ipc9_child *child = (struct ipc9_child *)(uintptr_t)c;

	switch (which) {
	case IPC9_CHILD_STDIN:
		return &child->fds[STDIN_FILENO];
	case IPC9_CHILD_STDOUT:
		return &child->fds[STDOUT_FILENO];
	case IPC9_CHILD_STDERR:
		return &child->fds[STDERR_FILENO];
	}
	return NULL;
}

pid_t ipc9_child_pid(const struct ipc9_child *c)
{
	return c->pid;
}

int ipc9_child_fd(const struct ipc9_child *c, enum ipc9_child_stream which)
{
	const int *fd = stream(c, which);

	return fd ? *fd : -1;
}

int ipc9_child_take_fd(struct ipc9_child *c, enum ipc9_child_stream which)
{
	int *place = stream(c, which), fd = place ? *place : -1;

	if (fd < 0)
		return -1;
	(void)fcntl(fd, F_SETFL, 0);
	*place = -1;
	return fd;
}

void ipc9_child_end(struct ipc9_child *c, enum ipc9_child_stream which)
{
	int *fd = stream(c, which);

	if (fd)
		close_fd(fd);
}

static int check_wait(const struct ipc9_child *c, int wait_ms, struct ipc9_error *e)
{
	if (wait_ms >= IPC9_FOREVER)
		return 0;
	return error_set(e, IPC9_E_INVALID,
	    "%s: a wait of %d ms; it must be IPC9_FOREVER or not negative", c->name, wait_ms);
}

static int refuse_stream(const struct ipc9_child *c, const char *what, struct ipc9_error *e)
{
	return error_set(e, IPC9_E_INVALID, "%s: there is no pipe %s, or it was closed or taken",
	    c->name, what);
}

/* A stream to read, or -1. */
static int reading_fd(const struct ipc9_child *c, enum ipc9_child_stream which)
{
	return which == IPC9_CHILD_STDIN ? -1 : ipc9_child_fd(c, which);
}

/* Until poll says something; 0, IPC9_E_TIMEDOUT, -errno. */
static int wait_fd(int fd, short events, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = events };

	for (;;) {
		int n = poll(&p, 1, clock_poll_ms(until));

		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (clock_now() >= until)
			return IPC9_E_TIMEDOUT;
	}
}

int ipc9_child_read(struct ipc9_child *c, enum ipc9_child_stream which, void *buffer, size_t size,
    int wait_ms, size_t *ret_size, struct ipc9_error *e)
{
	int64_t until = clock_deadline_ms(wait_ms);
	int fd = reading_fd(c, which), r = check_wait(c, wait_ms, e);
	ssize_t n;

	if (r)
		return r;
	if (fd < 0)
		return refuse_stream(c, "to read", e);
	if (!size) { /* a read of nothing tells nothing */
		*ret_size = 0;
		return 0;
	}
	while ((n = read(fd, buffer, size)) < 0) {
		if (errno != EAGAIN && errno != EINTR)
			return error_set_own(e, -errno);
		r = wait_fd(fd, POLLIN, until);
		if (r < 0)
			return error_set_own(e, r);
		if (r)
			return error_set(e, r, "%s: it wrote nothing in time", c->name);
	}
	if (n == 0)
		return error_set(e, IPC9_E_EOF, "%s: %s", c->name, ipc9_strerror(IPC9_E_EOF));
	*ret_size = (size_t)n;
	return 0;
}

int ipc9_child_peek(struct ipc9_child *c, enum ipc9_child_stream which, size_t *ret,
    struct ipc9_error *e)
{
	int fd = reading_fd(c, which), n;

	if (fd < 0)
		return refuse_stream(c, "to read", e);
	if (ioctl(fd, FIONREAD, &n))
		return error_set_own(e, -errno);
	*ret = (size_t)n;
	return 0;
}

/* As write(2), with EPIPE and without its signal, of which one that was there before is left. */
static ssize_t write_quietly(int fd, const void *data, size_t size)
{
	const struct timespec now = { 0, 0 };
	sigset_t set, before, pending;
	bool was_pending;
	ssize_t n;
	int error;

	sigemptyset(&set);
	sigaddset(&set, SIGPIPE);
	sigemptyset(&pending);
	sigpending(&pending);
	was_pending = sigismember(&pending, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &set, &before);
	n = write(fd, data, size);
	error = errno;
	if (n < 0 && error == EPIPE && !was_pending)
		while (sigtimedwait(&set, NULL, &now) < 0 && errno == EINTR)
			;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return n;
}

static int write_all(int fd, const unsigned char *data, size_t size, int64_t until, size_t *ret)
{
	while (*ret < size) {
		ssize_t n = write_quietly(fd, data + *ret, size - *ret);
		int r;

		if (n > 0) {
			*ret += (size_t)n;
			continue;
		}
		if (errno == EPIPE)
			return IPC9_E_PEERCLOSED;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		r = wait_fd(fd, POLLOUT, until);
		if (r)
			return r;
	}
	return 0;
}

int ipc9_child_write(struct ipc9_child *c, const void *data, size_t size, int wait_ms,
    size_t *ret_written, struct ipc9_error *e)
{
	int64_t until = clock_deadline_ms(wait_ms);
	int fd = ipc9_child_fd(c, IPC9_CHILD_STDIN), r = check_wait(c, wait_ms, e);
	size_t written = 0;

	if (!r && fd < 0)
		r = refuse_stream(c, "to write", e);
	else if (!r) {
		r = write_all(fd, data, size, until, &written);
		if (r < 0)
			error_set_own(e, r);
		else if (r == IPC9_E_TIMEDOUT)
			error_set(e, r,
			    "%s: in time %zu of %zu bytes were written, as it does not read",
			    c->name, written, size);
		else if (r)
			error_set(e, r, "%s: it does not read its standard input any more",
			    c->name);
	}
	if (ret_written)
		*ret_written = written;
	return r;
}

/* --- The pipe that it was offered -------------------------------------------------------------- */

/* Adopts the first end before anybody is agreed with: what this process cannot do must not look like a pipe over there. */
static int hand_over(struct ipc9_child *c, struct pipe_offer *offer, struct ipc9 *ipc9,
    int64_t until, struct ipc9_pipe **ret, struct ipc9_error *e)
{
	struct ipc9_pipe *pipe;
	int r = ipc9_pipe_adopt(ipc9, &offer->ends[0], &pipe, e);

	if (r)
		return r;
	r = pipe_offer_agree(offer, until);
	if (!r) {
		*ret = pipe;
		return 0;
	}
	ipc9_pipe_close(pipe);
	if (r < 0)
		return error_set_own(e, r);
	return error_set(e, r, "%s: it %s; the offer is withdrawn", c->name,
	    r == IPC9_E_TIMEDOUT	 ? "has not taken the pipe in time"
		: r == IPC9_E_PEERCLOSED ? "has ended, or given up, and not taken the pipe"
					 : "does not take the pipe as it should");
}

int ipc9_child_pipe(struct ipc9_child *c, struct ipc9 *ipc9, int wait_ms, struct ipc9_pipe **ret,
    struct ipc9_error *e)
{
	const struct pipe_offer none = PIPE_OFFER_NONE;
	int64_t until = clock_deadline_ms(wait_ms);
	struct pipe_offer offer;
	int r = check_wait(c, wait_ms, e);

	if (r)
		return r;
	pthread_mutex_lock(&c->lock);
	offer = c->offer;
	c->offer = none;
	pthread_mutex_unlock(&c->lock);
	if (offer.fd < 0)
		return error_set(e, IPC9_E_NOENT, "%s: no pipe is offered to it, or no longer",
		    c->name);
	r = hand_over(c, &offer, ipc9, until, ret, e);
	pipe_offer_close(&offer);
	return r;
}

/* --- Its end ----------------------------------------------------------------------------------- */

int ipc9_child_ended_fd(const struct ipc9_child *c)
{
	return c->pidfd;
}

int ipc9_child_wait(struct ipc9_child *c, int wait_ms, int *ret_status, struct ipc9_error *e)
{
	int64_t until = clock_deadline_ms(wait_ms);
	int r = check_wait(c, wait_ms, e);

	if (r)
		return r;
	r = wait_fd(c->pidfd, POLLIN, until);
	if (r < 0)
		return error_set_own(e, r);
	if (r)
		return error_set(e, r, "%s: it has not ended in time", c->name);
	pthread_mutex_lock(&c->lock);
	if (!c->ended) {
		pid_t pid;

		do
			pid = waitpid(c->pid, &c->status, 0);
		while (pid < 0 && errno == EINTR);
		c->ended = true;
		c->unknown = pid < 0;
	}
	r = c->unknown ? IPC9_E_UNKNOWN : 0;
	pthread_mutex_unlock(&c->lock);
	if (r)
		return error_set(e, r, "%s: it has ended, and its status was taken elsewhere",
		    c->name);
	*ret_status = c->status;
	return 0;
}

int ipc9_child_kill(struct ipc9_child *c, int number, struct ipc9_error *e)
{
	int r = 0;

	pthread_mutex_lock(&c->lock);
	if (c->ended)
		r = -ESRCH;
	else if (c->group ? kill(-c->pid, number)
			  : (int)syscall(SYS_pidfd_send_signal, c->pidfd, number, NULL, 0))
		r = -errno;
	pthread_mutex_unlock(&c->lock);
	if (r == -ESRCH)
		return error_set(e, IPC9_E_NOENT, "%s: it has ended", c->name);
	if (r == -EINVAL)
		return error_set(e, IPC9_E_INVALID, "%s: there is no signal %d", c->name, number);
	return r ? error_set_own(e, r) : 0;
}

struct ipc9_child *ipc9_child_free(struct ipc9_child *c)
{
	if (!c)
		return NULL;
	for (int i = 0; i < STREAMS; i++)
		close_fd(&c->fds[i]);
	close_fd(&c->pidfd);
	pipe_offer_close(&c->offer);
	pthread_mutex_destroy(&c->lock);
	free(c);
	return NULL;
}
