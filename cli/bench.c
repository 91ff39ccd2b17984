/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench.c - ipc9 bench: how fast calls and bulk are on the ways there are, each beside a raw socket.
 *
 * A thread measures; the main one waits for it, or for a signal.  Then it asks the thread to stop, waits no
 * longer than a run takes, and prints what is there.  What the thread has finished is under the lock.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "cli/bench.h"
#include "cli/io.h"
#include "cli/output.h"
#include "cli/signals.h"

#define TIME_DEFAULT_S 2.0
#define TIME_MIN_S 0.05
#define TIME_MAX_S 600.0
#define PAIR_S 2.0   /* more pairs, rather than longer ones */
#define STOP_MS 1000 /* what a run may still take after a signal */

struct measuring {
	struct ipc9 *ipc9;
	const struct invocation *invocation;
	const char *to; /* or NULL */
	int pairs, run_ms;
	int done_fd; /* eventfd: the thread is at its end */
	bool progress;
	atomic_bool stop;
	pthread_mutex_t lock; /* for the report */
	struct bench_report report;
};

/* --- Paths ------------------------------------------------------------------------------------- */

static struct bench_path *add_path(struct measuring *m, const char *way, const char *host,
    bool is_remote)
{
	struct bench_path *p;

	pthread_mutex_lock(&m->lock);
	p = &m->report.paths[m->report.n_paths++];
	p->way = way;
	p->is_remote = is_remote;
	(void)snprintf(p->host, sizeof(p->host), "%s", host);
	pthread_mutex_unlock(&m->lock);
	return p;
}

static void skip_path(struct measuring *m, struct bench_path *p, const char *why)
{
	pthread_mutex_lock(&m->lock);
	(void)snprintf(p->skipped, sizeof(p->skipped), "%s", why);
	pthread_mutex_unlock(&m->lock);
}

/* "tcp+udp 0.0.0.0:20490" becomes "//127.0.0.1:20490"; false: it is not that kind of line. */
static bool tcp_target(const char *line, char *target, size_t size)
{
	static const struct {
		const char *any, *loopback;
	} anys[] = { { "0.0.0.0:", "127.0.0.1:" }, { "[::]:", "[::1]:" } };

	if (strncmp(line, "tcp", 3) != 0 || !strchr(line, ' '))
		return false;
	line = strchr(line, ' ') + 1;
	for (size_t i = 0; i < sizeof(anys) / sizeof(anys[0]); i++) {
		size_t n = strlen(anys[i].any);

		if (strncmp(line, anys[i].any, n) != 0)
			continue;
		(void)snprintf(target, size, "//%s%s", anys[i].loopback, line + n);
		return true;
	}
	(void)snprintf(target, size, "//%s", line);
	return true;
}

/* Where the local daemon is reached by TCP.  0, a code, or -1: nowhere. */
static int find_tcp(struct ipc9 *ipc9, char *target, size_t size, struct ipc9_error *error)
{
	struct ipc9_status *status;
	int r = ipc9_status(ipc9, NULL, &status, error);
	bool found = false;

	if (r)
		return r;
	for (size_t i = 0; i < status->n_addresses && !found; i++)
		found = tcp_target(status->addresses[i], target, size);
	ipc9_status_free(status);
	return found ? 0 : -1;
}

/* --- One path ---------------------------------------------------------------------------------- */

static int run_ours(struct measuring *m, struct ipc9_bench *bench, enum bench_kind kind,
    struct ipc9_bench_result *ret, struct ipc9_error *error)
{
	return kind == BENCH_CALLS
	    ? ipc9_bench_calls(bench, BENCH_CALL_BYTES, m->run_ms, ret, error)
	    : ipc9_bench_stream(bench, m->run_ms, ret, error);
}

static int run_raw(struct measuring *m, struct ipc9_bench *bench, enum bench_kind kind,
    struct ipc9_bench_result *ret, struct ipc9_error *error)
{
	return kind == BENCH_CALLS
	    ? ipc9_bench_raw_calls(bench, BENCH_CALL_BYTES, m->run_ms, ret, error)
	    : ipc9_bench_raw_stream(bench, m->run_ms, ret, error);
}

/* Calls can be measured where nothing but the daemon's port is let through; then there is no ratio. */
static void give_up_raw(struct measuring *m, struct bench_work *w, const struct ipc9_error *error)
{
	output_warning(m->invocation, "%s; measured without it", error->text);
	pthread_mutex_lock(&m->lock);
	w->without_raw = true;
	w->raw_error = *error;
	pthread_mutex_unlock(&m->lock);
}

static int measure_pair(struct measuring *m, struct ipc9_bench *bench, struct bench_work *w,
    enum bench_kind kind, struct ipc9_error *error)
{
	struct ipc9_bench_result ours, raw = { 0 };
	int r = run_ours(m, bench, kind, &ours, error);

	if (r)
		return r;
	if (!w->without_raw) {
		r = run_raw(m, bench, kind, &raw, error);
		/* Where it worked before, it is the way that broke, and ours will tell. */
		if (r && w->n)
			return r;
		if (r)
			give_up_raw(m, w, error);
	}
	pthread_mutex_lock(&m->lock);
	w->ours[w->n] = ours;
	w->raw[w->n++] = raw;
	pthread_mutex_unlock(&m->lock);
	return 0;
}

static void tell_progress(const struct measuring *m, const struct bench_path *p,
    enum bench_kind kind, int pair)
{
	char line[sizeof(p->host) + 64];

	if (!m->progress)
		return;
	(void)snprintf(line, sizeof(line), "\r\033[K%s %s: %s %d/%d", p->way, p->host,
	    kind == BENCH_CALLS ? "calls" : "stream", pair + 1, m->pairs);
	(void)io_write_all(STDERR_FILENO, line, strlen(line));
}

static void end_progress(const struct measuring *m)
{
	if (m->progress)
		(void)io_write_all(STDERR_FILENO, "\r\033[K", 4);
}

static void note_error(struct measuring *m, struct bench_path *p, const struct ipc9_error *error)
{
	pthread_mutex_lock(&m->lock);
	p->error = *error;
	pthread_mutex_unlock(&m->lock);
}

static int measure_path(struct measuring *m, struct bench_path *p, struct ipc9_bench *bench,
    struct ipc9_error *error)
{
	int r = 0;

	for (int kind = 0; !r && kind < BENCH_KINDS; kind++) {
		for (int i = 0; !r && i < m->pairs && !atomic_load(&m->stop); i++) {
			tell_progress(m, p, kind, i);
			r = measure_pair(m, bench, &p->works[kind], kind, error);
		}
	}
	return r;
}

/* target NULL: the local socket. */
static void open_and_measure(struct measuring *m, struct bench_path *p, const char *target)
{
	struct ipc9_bench *bench;
	struct ipc9_error error;
	int r;

	if (atomic_load(&m->stop))
		return;
	r = ipc9_bench_open(m->ipc9, target, &bench, &error);
	if (r == IPC9_E_ACCESS && target && !p->is_remote) {
		skip_path(m, p,
		    "the local daemon lets nobody in by TCP on this host (allow and trust_sys in its "
		    "configuration)");
		return;
	}
	if (r == 0) {
		if (ipc9_bench_is_local(bench))
			p->way = "unix"; /* --to named this host */
		r = measure_path(m, p, bench, &error);
		ipc9_bench_close(bench);
	}
	if (r)
		note_error(m, p, &error);
}

static void measure_tcp(struct measuring *m)
{
	struct bench_path *p = add_path(m, "tcp", "local", false);
	struct ipc9_error error;
	char target[320];
	int r;

	if (atomic_load(&m->stop))
		return;
	r = find_tcp(m->ipc9, target, sizeof(target), &error);
	if (r < 0)
		skip_path(m, p, "the local daemon does not listen on TCP");
	else if (r > 0)
		skip_path(m, p, error.text);
	else
		open_and_measure(m, p, target);
}

static void measure_remote(struct measuring *m)
{
	bool whole = m->to[0] == '/' || m->to[0] == '\\';
	struct bench_path *p = add_path(m, "tcp", whole ? m->to + 2 : m->to, true);
	char target[320];

	(void)snprintf(target, sizeof(target), "%s%s", whole ? "" : "//", m->to);
	open_and_measure(m, p, target);
}

static void *measure(void *context)
{
	struct measuring *m = context;
	uint64_t one = 1;

	open_and_measure(m, add_path(m, "unix", "local", false), NULL);
	/* Without a local daemon there is nothing to be said about it a second time. */
	if (m->report.paths[0].error.code == 0)
		measure_tcp(m);
	if (m->to)
		measure_remote(m);
	(void)!write(m->done_fd, &one, sizeof(one));
	return NULL;
}

/* --- Waiting ----------------------------------------------------------------------------------- */

static bool is_done(const struct measuring *m, int ms)
{
	struct pollfd p = { .fd = m->done_fd, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

/* Waits for the end of the thread or for a signal, which it returns; 0: none came. */
static int wait_for_end(const struct measuring *m, int signal_fd)
{
	struct pollfd p[2] = { { .fd = m->done_fd, .events = POLLIN },
		{ .fd = signal_fd, .events = POLLIN } };
	struct signalfd_siginfo info;

	for (;;) {
		if (poll(p, 2, -1) < 0)
			continue;
		if (p[1].revents && read(signal_fd, &info, sizeof(info)) == sizeof(info))
			return (int)info.ssi_signo;
		if (p[0].revents)
			return 0;
	}
}

/* Runs the thread.  0, -1, or the signal that ended it; then the thread may still be there, in a call. */
static int measure_until_signal(struct measuring *m, int signal_fd, bool *ret_joined)
{
	pthread_t thread;
	int signal_number;

	*ret_joined = true;
	if (pthread_create(&thread, NULL, measure, m)) {
		(void)output_no_memory();
		return -1;
	}
	signal_number = wait_for_end(m, signal_fd);
	atomic_store(&m->stop, true);
	if (signal_number && !is_done(m, STOP_MS)) {
		*ret_joined = false;
		return signal_number;
	}
	pthread_join(thread, NULL);
	return signal_number;
}

/* --- The command ------------------------------------------------------------------------------- */

/* Says what went wrong, and gives the exit status: that of the first failure. */
static int report_failures(const struct measuring *m)
{
	int status = 0;

	for (size_t i = 0; i < m->report.n_paths; i++) {
		const struct bench_path *p = &m->report.paths[i];

		if (p->skipped[0])
			output_warning(m->invocation, "tcp on this host is not measured: %s",
			    p->skipped);
		if (p->error.code) {
			int s = output_fail(m->invocation, &p->error);

			status = status ? status : s;
		}
	}
	return status;
}

static int finish(struct measuring *m, int signal_number)
{
	int status, printed;

	pthread_mutex_lock(&m->lock);
	end_progress(m);
	m->report.complete = signal_number == 0;
	status = report_failures(m);
	printed = m->invocation->json ? bench_print_json(&m->report) : bench_print_text(&m->report);
	pthread_mutex_unlock(&m->lock);
	return printed ? printed : status;
}

static int parse_time(const struct invocation *invocation, double *ret)
{
	const char *text = invocation_text(invocation, "time");
	char *end;

	*ret = TIME_DEFAULT_S;
	if (!text)
		return 0;
	*ret = strtod(text, &end);
	if (*text >= '0' && *text <= '9' && *end == '\0' && *ret >= TIME_MIN_S &&
	    *ret <= TIME_MAX_S)
		return 0;
	output_error("--time takes seconds from %g to %g, not \"%s\"", TIME_MIN_S, TIME_MAX_S,
	    text);
	return EXIT_USAGE;
}

static void plan(struct measuring *m)
{
	m->pairs = (int)(m->report.time_s / PAIR_S + 0.999);
	if (m->pairs < BENCH_PAIRS_MIN)
		m->pairs = BENCH_PAIRS_MIN;
	if (m->pairs > BENCH_PAIRS_MAX)
		m->pairs = BENCH_PAIRS_MAX;
	m->run_ms = (int)(m->report.time_s * 1000 / m->pairs / 2);
	if (m->run_ms < 1)
		m->run_ms = 1;
}

static void measuring_freep(struct measuring **m)
{
	free(*m);
}

static int bench_run(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(measuring_freep) struct measuring *m = calloc(1, sizeof(*m));
	_cleanup_(io_closep) int signal_fd = -1, done_fd = -1;
	int signal_number, status;
	sigset_t signals;
	bool joined;

	if (!m)
		return output_no_memory();
	if (parse_time(invocation, &m->report.time_s))
		return EXIT_USAGE;
	plan(m);
	m->ipc9 = ipc9;
	m->invocation = invocation;
	m->to = invocation_text(invocation, "to");
	m->progress = !invocation->quiet && isatty(STDERR_FILENO);
	pthread_mutex_init(&m->lock, NULL);
	signals_ending(&signals);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
	signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	m->done_fd = done_fd = eventfd(0, EFD_CLOEXEC);
	if (signal_fd < 0 || done_fd < 0) {
		output_error("cannot wait for signals: %s", strerror(errno));
		return EXIT_FAILED;
	}
	signal_number = measure_until_signal(m, signal_fd, &joined);
	if (signal_number < 0)
		return EXIT_FAILED;
	status = finish(m, signal_number);
	if (signal_number && !joined)
		signals_die(signal_number); /* the thread still uses all of this */
	pthread_mutex_destroy(&m->lock);
	if (signal_number)
		signals_die(signal_number);
	return status;
}

static const struct option_row bench_options[] = {
	{ .name = "to",
	    .kind = OPTION_TEXT,
	    .value = "HOST",
	    .help = "also the way to the daemon of HOST" },
	{ .name = "time",
	    .kind = OPTION_TEXT,
	    .value = "S",
	    .help = "seconds for each kind of work on each way (2; decimals are fine)" },
	{ .name = NULL },
};

static const struct verb bench_verbs[] = {
	{ .summary = "Measures calls and bulk on this host and to another, beside raw sockets",
	    .json = true,
	    .options = bench_options,
	    .run = bench_run,
	    .about =
		"On each way - the local socket, TCP on this host, TCP to HOST - calls and a stream are\n"
		"measured in turns with a plain socket to the same daemon, so that the ratio says what\n"
		"RPC costs whatever else the machines do.  More than 1 is faster than raw.\n" },
	{ .run = NULL },
};

static const struct example bench_examples[] = {
	{ .command = "ipc9 bench", .what = "this host" },
	{ .command = "ipc9 bench --to alpha --time 5", .what = "and the way to alpha" },
	{ .command = "ipc9 bench --json | jq '.paths[].stream.ratio'", .what = "for a script" },
	{ .command = NULL },
};

const struct noun bench_noun = {
	.name = "bench",
	.summary = "How fast it is",
	.verbs = bench_verbs,
	.examples = bench_examples,
};
