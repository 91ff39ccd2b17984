/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - fails calls one by one, in the daemon or in its client, and looks at what is left.
 *
 *	faults PLACE CALL EVERY WIDTH SOCKET PORT DAEMON ARGUMENT...
 *
 * PLACE: "daemon" that runs, "start" of one (a new daemon for each call that fails), or "client".  CALL: a word of
 * calls[] below.  Every EVERY-th call of a run is the first of WIDTH that fail.  SOCKET and PORT are what the words
 * behind them make the daemon listen on.  $FAULTS_AFTER is a command that fails when a daemon that has ended left something.
 * preload.so is beside this program.  Prints how many there were; what was not
 * as it should be goes to standard error, and the exit is 1.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/faults/faults.h"
#include "tests/faults/scenario.h"
#include "util/clock.h"
#include "util/text.h"

#define PATIENCE_MS 10000
#define COMPLAINTS_MAX 8
#define CLEAN_EVERY 4 /* as often a whole run without failures follows */
#define STATE_SIZE 2048

enum place {
	PLACE_DAEMON,
	PLACE_START,
	PLACE_CLIENT,
	PLACES,
};

static const char *const places[PLACES] = { "daemon", "start", "client" };

static const char *const calls[FAULT_CALLS] = {
	[FAULT_MEMORY] = "memory",
	[FAULT_OPEN] = "open",
	[FAULT_ACCEPT] = "accept",
	[FAULT_SOCKET] = "socket",
	[FAULT_DESCRIPTOR] = "descriptor",
	[FAULT_EPOLL] = "epoll",
	[FAULT_MAP] = "map",
	[FAULT_THREAD] = "thread",
};

struct run {
	enum place place;
	enum fault_call call;
	long every, width;
	char **command;
	char preload[PATH_MAX];
	struct faults *faults;
	struct scenario scenario;
	char state[STATE_SIZE]; /* when nothing is under way */
	unsigned descriptors;	/* of the daemon then */
	pid_t daemon;
	int log;
	long n; /* the call that fails */
	unsigned complaints;
};

static void give_up(const char *what)
{
	fprintf(stderr, "faults: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void complain(struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void complain(struct run *r, const char *format, ...)
{
	va_list ap;

	fprintf(stderr, "%s of the %s, call %ld: ", calls[r->call], places[r->place], r->n);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
	if (++r->complaints == COMPLAINTS_MAX)
		exit(1);
}

/* --- Failing ----------------------------------------------------------------------------------- */

static void arm(struct run *r, long first)
{
	atomic_store(&r->faults->seen, 0);
	atomic_store(&r->faults->failed, 0);
	atomic_store(&r->faults->first, first);
	atomic_store(&r->faults->n, r->width);
	atomic_store(&r->faults->call, (int)r->call);
}

static void disarm(struct run *r)
{
	atomic_store(&r->faults->call, FAULT_NONE);
}

/* The file is a descriptor that the daemon, or this program once more, inherits. */
static void map_faults(struct run *r, char **argv)
{
	char path[64];
	const char *given = getenv(FAULTS_FILE);
	int fd;

	if (given) {
		fd = atoi(strrchr(given, '/') + 1);
	} else {
		fd = memfd_create("faults", 0);
		text_format(path, sizeof(path), "/proc/self/fd/%d", fd);
		if (fd < 0 || ftruncate(fd, sizeof(*r->faults)) || setenv(FAULTS_FILE, path, 1))
			give_up("the file of faults");
	}
	if (!given && r->place == PLACE_CLIENT) {
		setenv("LD_PRELOAD", r->preload, 1);
		execv("/proc/self/exe", argv);
		give_up("execv");
	}
	r->faults = mmap(NULL, sizeof(*r->faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r->faults == MAP_FAILED)
		give_up("mmap");
}

/* --- The daemon -------------------------------------------------------------------------------- */

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * NS_PER_MS }, NULL);
}

static void daemon_exec(const struct run *r)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(r->log, STDERR_FILENO);
	unsetenv("LD_PRELOAD");
	if (r->place == PLACE_CLIENT)
		unsetenv(FAULTS_FILE);
	else
		setenv("LD_PRELOAD", r->preload, 1);
	execvp(r->command[0], r->command);
	_exit(127);
}

/* Whether it has ended; then *ret_status is how. */
static bool daemon_has_ended(struct run *r, int *ret_status)
{
	if (!r->daemon || waitpid(r->daemon, ret_status, WNOHANG) != r->daemon)
		return false;
	r->daemon = 0;
	return true;
}

static const char *daemon_log(const struct run *r)
{
	static char text[4096];
	ssize_t n = pread(r->log, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

/* Starts it, and waits until it is ready; false: it ended, with *ret_status. */
static bool daemon_begin(struct run *r, int *ret_status)
{
	int64_t until = clock_deadline_ms(PATIENCE_MS);

	if (ftruncate(r->log, 0) || lseek(r->log, 0, SEEK_SET))
		give_up("the log");
	r->daemon = fork();
	if (r->daemon < 0)
		give_up("fork");
	if (r->daemon == 0)
		daemon_exec(r);
	while (!strstr(daemon_log(r), "ready: ")) {
		if (daemon_has_ended(r, ret_status))
			return false;
		if (clock_now() > until)
			give_up("the daemon does not become ready");
		pause_ms(1);
	}
	return true;
}

static void check_exit(struct run *r, int status, int expected)
{
	if (WIFSIGNALED(status) || WEXITSTATUS(status) != expected)
		complain(r, "the daemon ended with %s %d, not %d:\n%s",
		    WIFSIGNALED(status) ? "signal" : "exit",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), expected,
		    daemon_log(r));
}

static void daemon_end(struct run *r)
{
	int64_t until = clock_deadline_ms(PATIENCE_MS);
	int status;

	if (!r->daemon)
		return;
	kill(r->daemon, SIGTERM);
	while (!daemon_has_ended(r, &status)) {
		if (clock_now() > until) {
			complain(r, "the daemon does not end");
			kill(r->daemon, SIGKILL);
			until = CLOCK_NEVER;
		}
		pause_ms(1);
	}
	check_exit(r, status, 0);
}

static unsigned daemon_descriptors(const struct run *r)
{
	char path[64];
	unsigned n = 0;
	DIR *d;

	text_format(path, sizeof(path), "/proc/%ld/fd", (long)r->daemon);
	d = opendir(path);
	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

/* --- Looking ----------------------------------------------------------------------------------- */

/* An error that is none of the trouble that was made, or came from waiting in vain. */
static bool is_fit(const struct run *r, const struct ipc9_error *e)
{
	static const int own[] = { -ENOMEM, -EMFILE, -EAGAIN };
	static const int theirs[] = { IPC9_E_SYSTEM, IPC9_E_LOST, IPC9_E_UNKNOWN, IPC9_E_NODAEMON };
	bool client = r->place == PLACE_CLIENT;
	const int *codes = client ? own : theirs;
	size_t n = client ? sizeof(own) / sizeof(own[0]) : sizeof(theirs) / sizeof(theirs[0]);

	if (strstr(e->text, "answer within"))
		return false;
	for (size_t i = 0; i < n; i++)
		if (e->code == codes[i])
			return true;
	return false;
}

static void check_scenario(struct run *r, bool clean)
{
	const struct scenario *s = &r->scenario;

	if (s->wrong[0])
		complain(r, "%s", s->wrong);
	if (s->first.code && (clean || !is_fit(r, &s->first)))
		complain(r, "%s%s: %d (%s)", clean ? "afterwards: " : "", s->step, s->first.code,
		    s->first.text);
}

static void clean_run(struct run *r)
{
	scenario_run(&r->scenario);
	check_scenario(r, true);
}

/* Whether all is as before; the ends of connections may still be on their way. */
static void check_state(struct run *r)
{
	int64_t until = clock_deadline_ms(PATIENCE_MS);
	char state[STATE_SIZE];
	struct ipc9_error e;
	unsigned n;
	int code;

	scenario_clear(&r->scenario);
	for (;;) {
		code = scenario_state(&r->scenario, state, sizeof(state), &e);
		n = daemon_descriptors(r);
		if (!code && strcmp(state, r->state) == 0 && n <= r->descriptors)
			return;
		if (clock_now() > until)
			break;
		pause_ms(1);
	}
	if (code)
		complain(r, "its state afterwards: %d (%s)", code, e.text);
	else
		complain(r, "left behind:\n%s%u descriptors, and before:\n%s%u descriptors", state,
		    n, r->state, r->descriptors);
}

/* What there is when nothing fails. */
static void learn(struct run *r)
{
	struct ipc9_error e;
	unsigned before;

	clean_run(r);
	clean_run(r);
	/* Until the ends of all connections have arrived. */
	for (before = 0; before != r->descriptors || !before; pause_ms(20)) {
		before = r->descriptors;
		if (scenario_state(&r->scenario, r->state, sizeof(r->state), &e))
			complain(r, "its state: %s", e.text);
		r->descriptors = daemon_descriptors(r);
	}
	if (r->complaints)
		exit(1);
}

/* --- Runs -------------------------------------------------------------------------------------- */

/* A daemon, or a client, of which call n and those behind it fail while it runs. */
static bool fail_running(struct run *r)
{
	int status;

	arm(r, r->n);
	scenario_run(&r->scenario);
	disarm(r);
	if (daemon_has_ended(r, &status)) {
		check_exit(r, status, -1);
		exit(1);
	}
	check_scenario(r, false);
	if (r->n / r->every % CLEAN_EVERY == 0)
		clean_run(r);
	check_state(r);
	return atomic_load(&r->faults->failed) > 0;
}

/* A daemon of which call n fails some time between its first moment and its last. */
static bool fail_starting(struct run *r)
{
	const char *after = getenv("FAULTS_AFTER");
	struct stat st;
	int status;

	arm(r, r->n);
	if (daemon_begin(r, &status)) {
		scenario_run(&r->scenario);
		check_scenario(r, false);
		daemon_end(r);
	} else {
		if (!WIFEXITED(status) || WEXITSTATUS(status) == 0 || WEXITSTATUS(status) > 2)
			check_exit(r, status, 1);
		if (!strstr(daemon_log(r), "ipc9d: "))
			complain(r, "it did not start, and did not say why: \"%s\"", daemon_log(r));
	}
	disarm(r);
	if (after && system(after) != 0)
		complain(r, "left behind, says %s; its log:\n%s", after, daemon_log(r));
	if (stat(r->scenario.socket, &st) == 0) {
		complain(r, "it left its socket");
		unlink(r->scenario.socket);
	}
	return atomic_load(&r->faults->failed) > 0;
}

static long run_all(struct run *r)
{
	bool (*fail)(struct run *) = r->place == PLACE_START ? fail_starting : fail_running;
	bool failed = true;
	long n = 0;

	/* One call more or less is made from run to run; the end is where no call was left to fail. */
	for (r->n = 1; failed; r->n += r->every) {
		failed = fail(r);
		n += failed;
	}
	return n;
}

static int find(const char *word, const char *const words[], int n)
{
	for (int i = 0; i < n; i++)
		if (words[i] && strcmp(word, words[i]) == 0)
			return i;
	fprintf(stderr, "faults: what is %s?\n", word);
	exit(2);
}

int main(int argc, char **argv)
{
	static struct run r;
	int status;
	ssize_t len;

	if (argc < 8) {
		fprintf(stderr,
		    "usage: faults PLACE CALL EVERY WIDTH SOCKET PORT DAEMON ARGUMENT...\n");
		return 2;
	}
	r.place = (enum place)find(argv[1], places, PLACES);
	r.call = (enum fault_call)find(argv[2], calls, FAULT_CALLS);
	r.every = atol(argv[3]);
	r.width = atol(argv[4]);
	r.scenario.socket = argv[5];
	r.scenario.port = (uint16_t)atol(argv[6]);
	r.command = &argv[7];
	len = readlink("/proc/self/exe", r.preload, sizeof(r.preload) - 16);
	r.preload[len > 0 ? len : 0] = '\0';
	text_format(strrchr(r.preload, '/'), 16, "/preload.so");
	map_faults(&r, argv);
	r.log = memfd_create("log", MFD_CLOEXEC);
	if (r.place != PLACE_START) {
		if (!daemon_begin(&r, &status))
			check_exit(&r, status, -1);
		learn(&r);
	}
	printf("%s of the %s: %ld made to fail\n", calls[r.call], places[r.place], run_all(&r));
	r.n = 0;
	if (r.place != PLACE_START)
		clean_run(&r);
	daemon_end(&r);
	return r.complaints ? 1 : 0;
}
