/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * children.c - see children.h.
 */
#include "tests/bench/children.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/bench/speed.h"

#define PRIORITY (-15) /* where we may */
#define IP_SECONDS 10
#define FILES_MAX 8 /* open at once */

/* --- The bench --------------------------------------------------------------------------------- */

static void watched_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGINT);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGHUP);
}

bool bench_begin(struct bench *b, const char **ret_why)
{
	struct rlimit files;
	sigset_t set;
	ssize_t n = readlink("/proc/self/exe", b->program, sizeof(b->program) - 16);

	*ret_why = strerror(errno);
	if (n < 0)
		return false;
	b->program[n] = '\0';
	snprintf(b->sleeper, sizeof(b->sleeper), "%.*s-no-spin", (int)n, b->program);
	b->networks[0] = b->networks[1] = -1;
	watched_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	b->signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (!getrlimit(RLIMIT_NOFILE, &files)) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
	snprintf(b->folder, sizeof(b->folder), "/tmp/ipc9-speed-XXXXXX");
	if (b->signals >= 0 && mkdtemp(b->folder) && !setenv(FOLDER_VARIABLE, b->folder, 1))
		return true;
	*ret_why = strerror(errno);
	return false;
}

static int remove_entry(const char *path, const struct stat *status, int flag, struct FTW *where)
{
	(void)status, (void)flag, (void)where;
	return remove(path);
}

void bench_end(struct bench *b)
{
	for (int i = 0; i < CHILDREN_MAX; i++)
		child_end(&b->children[i]);
	/* A server that is killed leaves its files. */
	nftw(b->folder, remove_entry, FILES_MAX, FTW_DEPTH | FTW_PHYS);
	for (int i = 0; i < 2; i++)
		if (b->networks[i] >= 0)
			close(b->networks[i]);
	close(b->signals);
}

/* Waits for a descriptor (-1: for time); 1 readable, 0 not.  Does not return after a signal. */
static int wait_for(struct bench *b, int fd, int64_t until_ns)
{
	for (;;) {
		struct pollfd p[2] = { { .fd = b->signals, .events = POLLIN },
			{ .fd = fd, .events = POLLIN } };
		int64_t left = until_ns - now_ns();
		int r = poll(p, 2, left > 0 ? (int)(left / 1000000) + 1 : 0);

		if (r > 0 && p[0].revents) {
			bench_end(b);
			_exit(130);
		}
		if (r > 0)
			return 1;
		if (r < 0 ? errno != EINTR : now_ns() >= until_ns)
			return 0;
	}
}

void bench_pause(struct bench *b, double seconds)
{
	wait_for(b, -1, now_ns() + (int64_t)(seconds * 1e9));
}

/* --- Children ---------------------------------------------------------------------------------- */

static _Noreturn void become(int cpu, int network, int output, pid_t parent,
    const char *const words[])
{
	cpu_set_t cpus;
	sigset_t set;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	watched_signals(&set);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	CPU_ZERO(&cpus);
	CPU_SET((size_t)cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus))
		die("CPU");
	setpriority(PRIO_PROCESS, 0, PRIORITY);
	if (network >= 0 && setns(network, CLONE_NEWNET))
		die("network");
	dup2(output, STDOUT_FILENO);
	execvp(words[0], (char *const *)(uintptr_t)words);
	die(words[0]);
}

struct child *child_start(struct bench *b, int cpu, int network, const char *const words[])
{
	pid_t self = getpid();
	struct child *c = NULL;
	int ends[2];

	for (int i = 0; i < CHILDREN_MAX && !c; i++)
		if (!b->children[i].pid)
			c = &b->children[i];
	if (!c || pipe2(ends, O_CLOEXEC))
		return NULL;
	c->pid = fork();
	if (c->pid == 0)
		become(cpu, network, ends[1], self, words);
	close(ends[1]);
	c->output = ends[0];
	if (c->pid > 0)
		return c;
	close(ends[0]);
	c->pid = 0;
	return NULL;
}

bool child_line(struct bench *b, struct child *c, char *line, size_t size, double seconds)
{
	int64_t until = now_ns() + (int64_t)(seconds * 1e9);
	size_t n = 0;

	while (n < size - 1) {
		if (!wait_for(b, c->output, until) || read(c->output, line + n, 1) != 1)
			return false;
		if (line[n] == '\n')
			break;
		n++;
	}
	line[n] = '\0';
	return true;
}

bool child_text(struct bench *b, struct child *c, char *text, size_t size, double seconds)
{
	int64_t until = now_ns() + (int64_t)(seconds * 1e9);
	size_t used = 0;
	ssize_t n = 1;

	while (n > 0 && used < size - 1) {
		if (!wait_for(b, c->output, until))
			return false;
		n = read(c->output, text + used, size - 1 - used);
		used += n > 0 ? (size_t)n : 0;
	}
	text[used] = '\0';
	return n == 0;
}

void child_end(struct child *c)
{
	if (!c || !c->pid)
		return;
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->output);
	c->pid = 0;
}

/* --- Networks ---------------------------------------------------------------------------------- */

static bool make_network(int *ret)
{
	if (unshare(CLONE_NEWNET))
		return false;
	*ret = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	return *ret >= 0;
}

static bool make_networks(struct bench *b)
{
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	bool made = own >= 0 && make_network(&b->networks[0]) && make_network(&b->networks[1]);

	if (own >= 0 && setns(own, CLONE_NEWNET))
		die("network");
	close(own);
	return made;
}

static bool run_ip(struct bench *b, int network, const char *command)
{
	const char *words[] = { "sh", "-c", command, NULL };
	struct child *c = child_start(b, 0, network, words);
	char text[256];
	bool done;

	if (!c)
		return false;
	done = child_text(b, c, text, sizeof(text), IP_SECONDS) && strstr(text, "done");
	child_end(c);
	return done;
}

bool bench_join_networks(struct bench *b, const char **ret_why)
{
	char command[512];

	if (b->networks[1] >= 0)
		return true;
	*ret_why = "root is needed for network namespaces";
	if (!make_networks(b))
		return false;
	snprintf(command, sizeof(command),
	    "PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && "
	    "ip link add v0 type veth peer name v0 netns /proc/%d/fd/%d && "
	    "ip addr add 10.99.0.1/24 dev v0 && ip link set v0 up && echo done",
	    (int)getpid(), b->networks[1]);
	*ret_why = "no veth pair (ip of iproute2, root)";
	return run_ip(b, b->networks[0], command) &&
	    run_ip(b, b->networks[1],
		"PATH=$PATH:/usr/sbin:/sbin; ip link set lo up && "
		"ip addr add 10.99.0.2/24 dev v0 && ip link set v0 up && echo done");
}
