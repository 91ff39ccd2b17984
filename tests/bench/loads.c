/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * loads.c - what a client does for a while, whichever peer it is of, and what it finds out.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "tests/bench/speed.h"

#define WARM_UP_NS 20000000
#define SAMPLES_MAX 4000000
#define STACK_BYTES (512 * 1024)
#define LOOK_AT_CLOCK 32 /* small one-way messages between two looks */

/* --- Helpers ----------------------------------------------------------------------------------- */

_Noreturn void die(const char *what)
{
	fprintf(stderr, "speed: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int64_t read_clock(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t))
		die("clock");
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

int64_t now_ns(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t cpu_ns(pid_t pid)
{
	clockid_t clock = CLOCK_PROCESS_CPUTIME_ID;

	if (pid && clock_getcpuclockid(pid, &clock))
		die("clock of the server");
	return read_clock(clock);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(double *values, size_t n)
{
	qsort(values, n, sizeof(*values), compare);
	return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

void put_all(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size) {
		ssize_t n = write(fd, p, size);

		if (n <= 0)
			die("send");
		p += n;
		size -= (size_t)n;
	}
}

void get_all(int fd, void *data, size_t size)
{
	char *p = data;

	while (size) {
		ssize_t n = read(fd, p, size);

		if (n <= 0)
			die("receive");
		p += n;
		size -= (size_t)n;
	}
}

void no_delay(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* HOST:PORT, or HOST for any port, or the path of a local socket. */
static socklen_t parse_address(const char *text, struct sockaddr_storage *ret)
{
	struct sockaddr_un *un = (struct sockaddr_un *)(void *)ret;
	struct sockaddr_in *in = (struct sockaddr_in *)(void *)ret;
	char host[64];
	unsigned port = 0;

	memset(ret, 0, sizeof(*ret));
	if (text[0] == '/') {
		un->sun_family = AF_UNIX;
		snprintf(un->sun_path, sizeof(un->sun_path), "%s", text);
		return sizeof(*un);
	}
	if (sscanf(text, "%63[^:]:%u", host, &port) < 1 ||
	    inet_pton(AF_INET, host, &in->sin_addr) != 1)
		die(text);
	in->sin_family = AF_INET;
	in->sin_port = htons((uint16_t)port);
	return sizeof(*in);
}

int reach(const char *address, int type)
{
	struct sockaddr_storage a;
	socklen_t len = parse_address(address, &a);
	int fd = socket(a.ss_family, type, 0);

	if (fd < 0 || connect(fd, (struct sockaddr *)&a, len))
		die(address);
	if (a.ss_family == AF_INET && type == SOCK_STREAM)
		no_delay(fd);
	return fd;
}

int listen_at(const char *netid, const char *address)
{
	bool datagrams = strcmp(netid, "udp") == 0;
	struct sockaddr_storage a;
	socklen_t len = parse_address(address, &a);
	int fd = socket(a.ss_family, datagrams ? SOCK_DGRAM : SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, len) || (!datagrams && listen(fd, 4096)) ||
	    getsockname(fd, (struct sockaddr *)&a, &len))
		die(address);
	tell_port(ntohs(((struct sockaddr_in *)(void *)&a)->sin_port));
	return fd;
}

void tell_port(uint16_t port)
{
	printf("port=%u\n", port);
	fflush(stdout);
}

/* For programs that do not choose one themselves. */
uint16_t free_port(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    getsockname(fd, (struct sockaddr *)&a, &len))
		die("port");
	close(fd);
	return ntohs(a.sin_port);
}

/* --- Small calls ------------------------------------------------------------------------------- */

void load_latency(const struct load *load)
{
	int64_t warm = now_ns() + (int64_t)(load->seconds * 0.15e9) + WARM_UP_NS, end, before;
	double *samples = malloc(SAMPLES_MAX * sizeof(*samples));
	void *client = load->peer->open(&load->work);
	size_t n = 0;

	while (now_ns() < warm)
		load->peer->call(client);
	before = now_ns();
	end = before + (int64_t)(load->seconds * 1e9);
	while (before < end && n < SAMPLES_MAX) {
		int64_t after;

		load->peer->call(client);
		after = now_ns();
		samples[n++] = (double)(after - before) / 1000;
		before = after;
	}
	printf("us=%.3f\n", median(samples, n));
}

void load_batches(const struct load *load)
{
	void *client = load->peer->open(&load->work);
	int64_t begin;
	uint64_t n;

	load->peer->batches(client, now_ns() + WARM_UP_NS);
	begin = now_ns();
	n = load->peer->batches(client, begin + (int64_t)(load->seconds * 1e9));
	printf("calls_s=%.0f\n", (double)n * 1e9 / (double)(now_ns() - begin));
}

struct callers {
	const struct load *load;
	pthread_barrier_t ready;
	atomic_bool stopping;
	_Atomic uint64_t calls;
};

static void *caller(void *context)
{
	struct callers *all = context;
	const struct peer *peer = all->load->peer;
	void *client = peer->open(&all->load->work);
	uint64_t n = 0;

	for (int i = 0; i < 5; i++)
		peer->call(client);
	pthread_barrier_wait(&all->ready);
	for (; !atomic_load_explicit(&all->stopping, memory_order_relaxed); n++)
		peer->call(client);
	atomic_fetch_add(&all->calls, n);
	return NULL;
}

void load_callers(const struct load *load)
{
	struct callers all = { .load = load };
	unsigned n = load->n ? load->n : CALLERS;
	pthread_t threads[CALLERS];
	pthread_attr_t attributes;
	int64_t begin, end;

	pthread_barrier_init(&all.ready, NULL, n + 1);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	for (unsigned i = 0; i < n; i++)
		if (pthread_create(&threads[i], &attributes, caller, &all))
			die("thread");
	pthread_barrier_wait(&all.ready);
	begin = now_ns();
	usleep((useconds_t)(load->seconds * 1e6));
	end = now_ns();
	atomic_store(&all.stopping, true);
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
	printf("calls_s=%.0f\n", (double)all.calls * 1e9 / (double)(end - begin));
}

/* --- One way ----------------------------------------------------------------------------------- */

/* Ends when the receiver has said how much it has, so that bytes in buffers are not counted as there. */
void load_bulk(const struct load *load)
{
	void *client = load->peer->open(&load->work);
	int64_t used = cpu_ns(0) + cpu_ns(load->server), begin = now_ns();
	int64_t end = begin + (int64_t)(load->seconds * 1e9);
	double bytes;

	while (now_ns() < end)
		load->peer->send(client);
	bytes = (double)load->peer->finish(client);
	end = now_ns();
	used = cpu_ns(0) + cpu_ns(load->server) - used;
	printf("mb_s=%.1f cpu_s_gb=%.4f\n", bytes * 1000 / (double)(end - begin),
	    (double)used / bytes);
}

/* What the receiver has, by the time in which it was sent. */
void load_datagrams(const struct load *load)
{
	void *client = load->peer->open(&load->work);
	int64_t begin = now_ns(), end = begin + (int64_t)(load->seconds * 1e9);

	while (now_ns() < end)
		for (int i = 0; i < LOOK_AT_CLOCK; i++)
			load->peer->send(client);
	end = now_ns();
	printf("calls_s=%.0f\n",
	    (double)load->peer->finish(client) / (double)load->work.bytes * 1e9 /
		(double)(end - begin));
}
