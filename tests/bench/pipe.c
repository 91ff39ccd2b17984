/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe.c - a named pipe as programs use it, from library to library: the daemon of the bench gives out the shared memory or
 * the socket, and leaves.
 *
 * A client says first what it wants, as in raw.c; then a stream is counted to its end and the count sent back, or what
 * comes is echoed.  In place, the sum of what was looked at where it lay is sent back with the count.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ipc9.h"
#include "tests/bench/speed.h"

#define READ_BYTES BULK_BYTES
#define START_MS 10000
#define LOOK_US 10000
#define STACK_BYTES 131072
#define NAME "bench"
#define IDLE_NAME "idle" /* whose pipes nobody reads */
#define HOLDERS 2	 /* processes that serve those: each pipe takes two descriptors */
#define AHEAD 8		 /* instances that listen */
#define OPENS_MAX 100000
#define TOGETHER 8 /* writes that are started at a time */
#define PATH_BYTES (PATH_MAX + 16)

enum mode {
	MODE_ECHO,
	MODE_STREAM,
	MODE_PLACE
};

struct hello {
	uint32_t mode, bytes;
};

static void check(int code, const struct ipc9_error *e)
{
	if (!code)
		return;
	fprintf(stderr, "speed: %s\n", e->text);
	_Exit(1);
}

/* --- The daemon -------------------------------------------------------------------------------- */

/* BUILD/tests/speed -> BUILD/ipc9d */
static void daemon_program(char path[PATH_BYTES])
{
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);

	if (n < 0)
		die("/proc/self/exe");
	path[n] = '\0';
	for (int i = 0; i < 2; i++)
		*strrchr(path, '/') = '\0';
	snprintf(path + strlen(path), 8, "/ipc9d");
}

static void write_config(const char *path)
{
	FILE *f = fopen(path, "we");

	if (!f ||
	    fputs("listen = any\n"
		  "trust_sys = 127.0.0.0/8, 10.99.0.0/24\n"
		  "trust_root = yes\n"
		  "allow = anyone read,write,create,delete\n"
		  "connections = 100000\n"
		  "connections_per_host = 50000\n"
		  "quota_objects = 1000000\n"
		  "quota_connections = 1000000\n"
		  "quota_waiting = 1000000\n"
		  "quota_descriptors = 1000\n",
		f) < 0 ||
	    fclose(f))
		die(path);
}

static _Noreturn void become_daemon(const char *socket, const char *folder, unsigned port)
{
	char program[PATH_BYTES], number[16], config[PATH_BYTES];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	daemon_program(program);
	snprintf(number, sizeof(number), "%u", port);
	snprintf(config, sizeof(config), "%s/config", folder);
	write_config(config);
	if (!freopen("/dev/null", "w", stdout) || !freopen("/dev/null", "w", stderr))
		_exit(1);
	execl(program, "ipc9d", "--socket", socket, "--state-dir", folder, "--port", number,
	    "--config", config, "--no-rpcbind", (char *)NULL);
	_exit(1);
}

/* --- Serving ----------------------------------------------------------------------------------- */

static void write_all(struct ipc9_pipe *pipe, const void *data, size_t size)
{
	struct ipc9_error e;

	check(ipc9_pipe_write(pipe, data, size, IPC9_FOREVER, NULL, &e), &e);
}

/* Reads so many bytes; false: the end. */
static bool read_all(struct ipc9_pipe *pipe, void *data, size_t size)
{
	struct ipc9_error e;
	char *p = data;

	while (size) {
		size_t n;
		int r = ipc9_pipe_read(pipe, p, size, IPC9_FOREVER, &n, &e);

		if (r == IPC9_E_EOF || r == IPC9_E_LOST)
			return false;
		check(r, &e);
		p += n;
		size -= n;
	}
	return true;
}

static void count_stream(struct ipc9_pipe *pipe, char *buffer)
{
	struct ipc9_error e;
	uint64_t total = 0;
	size_t n;
	int r;

	while (!(r = ipc9_pipe_read(pipe, buffer, READ_BYTES, IPC9_FOREVER, &n, &e)))
		total += n;
	if (r != IPC9_E_EOF)
		check(r, &e);
	write_all(pipe, &total, sizeof(total));
}

static void sum_stream(struct ipc9_pipe *pipe)
{
	struct ipc9_error e;
	struct total total = { 0 };
	const void *data;
	size_t n;
	int r;

	while (!(r = ipc9_pipe_view(pipe, IPC9_FOREVER, &data, &n, &e))) {
		n = n < PLACE_BYTES ? n : PLACE_BYTES;
		total.sum += sum_of(data, n);
		total.bytes += n;
		check(ipc9_pipe_consume(pipe, n, &e), &e);
	}
	if (r != IPC9_E_EOF)
		check(r, &e);
	write_all(pipe, &total, sizeof(total));
}

static void *serve_one(void *context)
{
	struct ipc9_pipe *pipe = context;
	struct hello hello;

	if (read_all(pipe, &hello, sizeof(hello))) {
		char *buffer = malloc(hello.mode == MODE_ECHO ? hello.bytes : READ_BYTES);

		if (!buffer)
			die("memory");
		if (hello.mode == MODE_STREAM)
			count_stream(pipe, buffer);
		else if (hello.mode == MODE_PLACE)
			sum_stream(pipe);
		else
			while (read_all(pipe, buffer, hello.bytes))
				write_all(pipe, buffer, hello.bytes);
		free(buffer);
	}
	ipc9_pipe_close(pipe);
	return NULL;
}

static void serve_in_thread(struct ipc9_pipe *pipe)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	if (pthread_create(&thread, &attributes, serve_one, pipe))
		die("thread");
	pthread_detach(thread);
	pthread_attr_destroy(&attributes);
}

static struct ipc9_pipe *make_instance(struct ipc9 *ipc9, const char *name, int64_t until_ns)
{
	const struct ipc9_pipe_options options = { .max_instances = IPC9_PIPE_NO_LIMIT };
	struct ipc9_pipe *pipe = NULL;
	struct ipc9_error e;

	while (ipc9_pipe_create(ipc9, name, &options, &pipe, &e)) {
		if (now_ns() >= until_ns)
			check(-1, &e);
		usleep(LOOK_US);
	}
	return pipe;
}

/* Serves a name for ever; what is idle is only kept. */
static _Noreturn void serve_name(const char *socket, const char *name, bool idle, unsigned port)
{
	const struct ipc9_options options = { .socket = socket };
	int64_t until = now_ns() + START_MS * INT64_C(1000000);
	struct ipc9_pipe *listening[AHEAD];
	struct ipc9_error e;
	struct ipc9 *ipc9;

	check(ipc9_new(&options, &ipc9, &e), &e);
	for (unsigned i = 0; i < AHEAD; i++)
		listening[i] = make_instance(ipc9, name, until);
	if (!idle)
		tell_port((uint16_t)port);
	for (unsigned i = 0;; i = (i + 1) % AHEAD) {
		struct ipc9_pipe *pipe = listening[i];
		int r = ipc9_pipe_accept(pipe, IPC9_FOREVER, NULL, &e);

		if (r != IPC9_E_PEERCLOSED && r != IPC9_E_LOST)
			check(r, &e);
		listening[i] = make_instance(ipc9, name, now_ns());
		if (r)
			ipc9_pipe_close(pipe);
		else if (!idle)
			serve_in_thread(pipe);
	}
}

static void serve_clients(const char *socket, unsigned port)
{
	pid_t self = getpid();

	for (unsigned i = 0; i < HOLDERS; i++)
		if (fork() == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			if (getppid() != self)
				_exit(1);
			serve_name(socket, IDLE_NAME, true, port);
		}
	serve_name(socket, NAME, false, port);
}

/* What the daemon needs is in the bench's folder, which is cleared at the end. */
static void serve(const char *netid, const char *address)
{
	bool local = strcmp(netid, "local") == 0;
	char socket[160], folder[128];
	const char *base = getenv(FOLDER_VARIABLE);
	unsigned port = free_port();

	snprintf(folder, sizeof(folder), "%s/d%d", base ? base : "/tmp", (int)getpid());
	snprintf(socket, sizeof(socket), "%s/socket", folder);
	if (mkdir(folder, 0700))
		die(folder);
	if (fork() == 0)
		become_daemon(local ? address : socket, folder, port);
	serve_clients(local ? address : socket, port);
}

/* --- Writing ----------------------------------------------------------------------------------- */

struct pipe_client {
	struct work work;
	struct ipc9 *ipc9;
	struct ipc9_pipe *pipe;
	char *out, *in;
	uint64_t sent;
};

/* What the pipe `which` at an address is called. */
static struct ipc9 *find_pipe(const char *address, const char *which, char *name, size_t size)
{
	const struct ipc9_options options = { .socket = address[0] == '/' ? address : NULL };
	struct ipc9_error e;
	struct ipc9 *ipc9;

	check(ipc9_new(&options, &ipc9, &e), &e);
	snprintf(name, size, "//%s/pipe/%s", address[0] == '/' ? "." : address, which);
	return ipc9;
}

/* An instance may be about to listen. */
static struct ipc9_pipe *open_pipe(struct ipc9 *ipc9, const char *name, enum ipc9_pipe_way way)
{
	const struct ipc9_pipe_open_options options = { .way = way };
	struct ipc9_pipe *pipe;
	struct ipc9_error e;
	int r;

	while ((r = ipc9_pipe_open_with(ipc9, name, &options, &pipe, &e)) == IPC9_E_BUSY)
		check(ipc9_pipe_wait(ipc9, name, START_MS, &e), &e);
	check(r, &e);
	return pipe;
}

static struct pipe_client *open_in_mode(const struct work *work, enum mode mode)
{
	struct hello hello = { mode, (uint32_t)work->bytes };
	struct pipe_client *c = calloc(1, sizeof(*c));
	char name[128];

	c->work = *work;
	c->ipc9 = find_pipe(work->address, NAME, name, sizeof(name));
	c->pipe = open_pipe(c->ipc9, name, IPC9_PIPE_WAY_ANY);
	c->in = malloc(work->bytes);
	if (posix_memalign((void **)&c->out, 4096, work->bytes))
		die("memory");
	memset(c->out, 'x', work->bytes);
	write_all(c->pipe, &hello, sizeof(hello));
	return c;
}

static void *open_client(const struct work *work)
{
	return open_in_mode(work, work->is_stream ? MODE_STREAM : MODE_ECHO);
}

static void *open_in_place(const struct work *work)
{
	struct pipe_client *c = open_in_mode(work, MODE_PLACE);

	free(c->out);
	c->out = memory_for(work->bytes);
	return c;
}

static void call(void *client)
{
	struct pipe_client *c = client;

	write_all(c->pipe, c->out, c->work.bytes);
	if (!read_all(c->pipe, c->in, c->work.bytes))
		die("echo");
}

static void send_one_way(void *client)
{
	struct pipe_client *c = client;

	write_all(c->pipe, c->out, c->work.bytes);
}

static void send_together(void *client)
{
	struct pipe_client *c = client;
	struct ipc9_pipe_op *ops[TOGETHER];
	struct iovec pieces[TOGETHER];
	struct ipc9_error e;

	for (unsigned i = 0; i < TOGETHER; i++)
		pieces[i] = (struct iovec){ c->out, c->work.bytes };
	check(ipc9_pipe_start_writes(c->pipe, pieces, TOGETHER, ops, &e), &e);
	for (unsigned i = 0; i < TOGETHER; i++)
		check(ipc9_pipe_finish(ops[i], IPC9_FOREVER, NULL, &e), &e);
}

static void send_in_place(void *client)
{
	struct pipe_client *c = client;
	struct ipc9_error e;
	void *room;

	for (size_t done = 0, n; done < c->work.bytes; done += n) {
		n = c->work.bytes - done < PLACE_BYTES ? c->work.bytes - done : PLACE_BYTES;
		check(ipc9_pipe_reserve(c->pipe, n, IPC9_FOREVER, &room, &n, &e), &e);
		memcpy(room, c->out + done, n);
		check(ipc9_pipe_commit(c->pipe, n, IPC9_FOREVER, &e), &e);
	}
	c->sent++;
}

static uint64_t finish_in_place(void *client)
{
	struct pipe_client *c = client;
	struct ipc9_error e;
	struct total total;

	check(ipc9_pipe_end(c->pipe, &e), &e);
	if (!read_all(c->pipe, &total, sizeof(total)) || total.bytes != c->sent * c->work.bytes ||
	    total.sum != c->sent * sum_of(c->out, c->work.bytes))
		die("not what was sent");
	ipc9_pipe_close(c->pipe);
	return total.bytes;
}

static uint64_t finish(void *client)
{
	struct pipe_client *c = client;
	struct ipc9_error e;
	uint64_t total = 0;

	check(ipc9_pipe_end(c->pipe, &e), &e);
	if (!read_all(c->pipe, &total, sizeof(total)))
		die("count");
	ipc9_pipe_close(c->pipe);
	return total;
}

const struct peer pipe_peer = {
	.name = "pipe",
	.serve = serve,
	.open = open_client,
	.call = call,
	.send = send_one_way,
	.finish = finish,
};

const struct peer pipe_started_peer = {
	.name = "pipe-started",
	.serve = serve,
	.open = open_client,
	.send = send_together,
	.finish = finish,
};

const struct peer pipe_place_peer = {
	.name = "pipe-place",
	.serve = serve,
	.open = open_in_place,
	.send = send_in_place,
	.finish = finish_in_place,
};

/* Without the hand-over: by calls.  For load_opens only. */
const struct peer pipe_calls_peer = {
	.name = "pipe-calls",
	.serve = serve,
};

/* --- Opening ----------------------------------------------------------------------------------- */

/* Whether the other end is there and reads. */
static void probe(struct ipc9_pipe *pipe)
{
	const struct hello hello = { MODE_ECHO, SMALL_BYTES };
	char data[SMALL_BYTES] = "probe", echo[SMALL_BYTES];

	write_all(pipe, &hello, sizeof(hello));
	write_all(pipe, data, sizeof(data));
	if (!read_all(pipe, echo, sizeof(echo)) || memcmp(data, echo, sizeof(data)) != 0)
		die("echo");
}

void load_opens(const struct load *load)
{
	bool calls = load->peer == &pipe_calls_peer;
	double *samples = malloc(OPENS_MAX * sizeof(*samples));
	char name[128];
	struct ipc9 *ipc9 = find_pipe(load->work.address, NAME, name, sizeof(name));
	int64_t end = now_ns() + (int64_t)(load->seconds * 1e9);
	size_t n = 0;

	while (now_ns() < end && n < OPENS_MAX) {
		int64_t before = now_ns();
		struct ipc9_pipe *pipe =
		    open_pipe(ipc9, name, calls ? IPC9_PIPE_BY_CALLS : IPC9_PIPE_WAY_ANY);

		samples[n++] = (double)(now_ns() - before) / 1000;
		probe(pipe);
		ipc9_pipe_close(pipe);
	}
	printf("us=%.3f n=%zu\n", median(samples, n), n);
}

static void open_idle(const struct load *load)
{
	char name[128];
	struct ipc9 *ipc9 = find_pipe(load->work.address, IDLE_NAME, name, sizeof(name));

	for (unsigned i = 0; i < load->n; i++)
		open_pipe(ipc9, name, IPC9_PIPE_WAY_ANY);
}

void crowd_pipes(const struct load *load)
{
	open_idle(load);
	printf("answered=%u\n", load->n);
	fflush(stdout);
	pause();
}

/* What a process has, and its share of what it shares. */
static double proportional_bytes(pid_t pid)
{
	char path[64], line[256];
	double kilobytes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "Pss: %lf", &kilobytes) == 1)
			break;
	if (f)
		fclose(f);
	return kilobytes * 1024;
}

/* Of the server, its daemon and its holders, and of ourselves. */
static double all_bytes(pid_t server)
{
	double sum = proportional_bytes(server) + proportional_bytes(getpid());
	char path[64];
	int child;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)server, (int)server);
	f = fopen(path, "re");
	while (f && fscanf(f, "%d", &child) == 1)
		sum += proportional_bytes(child);
	if (f)
		fclose(f);
	return sum;
}

void load_pipes(const struct load *load)
{
	double before = all_bytes(load->server);

	open_idle(load);
	printf("mib=%.1f\n", (all_bytes(load->server) - before) / (1 << 20));
}
