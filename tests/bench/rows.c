/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rows.c - the table of what is measured, and how one pair of figures comes about.
 *
 * The servers of both sides run while a row is measured; a client is started for each figure, now of the one side
 * first, now of the other.
 */
#include "tests/bench/rows.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/speed.h"

#define START_SECONDS 10
#define CROWD_SECONDS 60
#define FIGURE_SECONDS 60 /* beside what it measures */
#define SETTLE_SECONDS 0.3
#define CROWD_FDS 400 /* what a process needs beside its crowd */

/* Keep the order of the speed table. */
const struct row rows[] = {
	{ "tcp", "64-byte call, TCP, same CPU", "latency", "us", "us", VIA_TCP, true,
	    .ours = { "ours" }, .raw = { "raw" }, .target = 1.12 },
	{ "unix", "64-byte call, AF_UNIX, same CPU", "latency", "us", "us", VIA_LOCAL, true,
	    .ours = { "ours" }, .raw = { "raw" }, .target = 1.15 },
	{ "split", "64-byte call, TCP, two CPUs, against blocking raw", "latency", "us", "us",
	    VIA_TCP, .ours = { "ours" }, .raw = { "raw" }, .target = 0.25 },
	{ "split-spin", "64-byte call, TCP, two CPUs, against spinning raw", "latency", "us", "us",
	    VIA_TCP, .ours = { "ours" }, .raw = { "raw-spin" }, .target = 1.35 },
	{ "idle-cpu", "CPU use of both ends, waiting", "idle", "cpu_percent", "%", VIA_TCP,
	    .ours = { "ours" }, .target = 0.1 },
	{ "flight", "64 in flight, without spinning", "batches", "calls_s", "/s", VIA_TCP,
	    .ours = { "ours", .no_spin = true }, .raw = { "raw-epoll" }, .target = 0.85,
	    .at_least = true },
	{ "flight-spin", "64 in flight", "batches", "calls_s", "/s", VIA_TCP, .ours = { "ours" },
	    .raw = { "raw-epoll" }, .target = 2.5, .at_least = true },
	{ "flight-both-spin", "64 in flight, against spinning raw", "batches", "calls_s", "/s",
	    VIA_TCP, .ours = { "ours" }, .raw = { "raw-spin" }, .at_least = true },
	{ "callers", "64 clients, one call each at a time, without spinning", "callers", "calls_s",
	    "/s", VIA_TCP, .ours = { "ours", .no_spin = true }, .raw = { "raw-epoll" },
	    .target = 0.95, .at_least = true },
	{ "callers-spin", "64 clients, one call each at a time", "callers", "calls_s", "/s",
	    VIA_TCP, .ours = { "ours" }, .raw = { "raw-epoll" }, .target = 1.2, .at_least = true },
	{ "bulk", "1 MiB calls, loopback, one at a time", "bulk", "mb_s", "MB/s", VIA_TCP,
	    .ours = { "ours" }, .raw = { "raw" }, .target = 1.4, .at_least = true },
	{ "bulk-2", "1 MiB calls, loopback, 2 in flight", "bulk", "mb_s", "MB/s", VIA_TCP,
	    .ours = { "ours", .depth = 2 }, .raw = { "raw" }, .target = 1.4, .at_least = true },
	{ "bulk-8", "1 MiB calls, loopback, 8 in flight", "bulk", "mb_s", "MB/s", VIA_TCP,
	    .ours = { "ours", .depth = 8 }, .raw = { "raw" }, .target = 1.4, .at_least = true },
	{ "bulk-iperf3", "1 MiB calls, loopback, 2 in flight, against iperf3", "bulk", "mb_s",
	    "MB/s", VIA_TCP, .ours = { "ours", .depth = 2 }, .raw = { "iperf3" }, .target = 1,
	    .at_least = true },
	{ "veth", "1 MiB calls, veth, one at a time", "bulk", "mb_s", "MB/s", VIA_VETH,
	    .ours = { "ours" }, .raw = { "raw" }, .target = 1.5, .at_least = true },
	{ "veth-2", "1 MiB calls, veth, 2 in flight", "bulk", "mb_s", "MB/s", VIA_VETH,
	    .ours = { "ours", .depth = 2 }, .raw = { "raw" }, .target = 1.5, .at_least = true },
	{ "veth-8", "1 MiB calls, veth, 8 in flight", "bulk", "mb_s", "MB/s", VIA_VETH,
	    .ours = { "ours", .depth = 8 }, .raw = { "raw" }, .target = 1.5, .at_least = true },
	{ "veth-iperf3", "1 MiB calls, veth, 2 in flight, against iperf3", "bulk", "mb_s", "MB/s",
	    VIA_VETH, .ours = { "ours", .depth = 2 }, .raw = { "iperf3" }, .target = 1,
	    .at_least = true },
	{ "bulk-cpu", "CPU time of 1 MiB calls, loopback, one at a time", "bulk", "cpu_s_gb",
	    "s/GB", VIA_TCP, .ours = { "ours" }, .raw = { "raw" }, .target = 0.85 },
	{ "bulk-cpu-2", "CPU time of 1 MiB calls, loopback, 2 in flight", "bulk", "cpu_s_gb",
	    "s/GB", VIA_TCP, .ours = { "ours", .depth = 2 }, .raw = { "raw" }, .target = 0.85 },
	{ "veth-cpu", "CPU time of 1 MiB calls, veth, one at a time", "bulk", "cpu_s_gb", "s/GB",
	    VIA_VETH, .ours = { "ours" }, .raw = { "raw" }, .target = 0.85 },
	{ "veth-cpu-2", "CPU time of 1 MiB calls, veth, 2 in flight", "bulk", "cpu_s_gb", "s/GB",
	    VIA_VETH, .ours = { "ours", .depth = 2 }, .raw = { "raw" }, .target = 0.85 },
	{ "idle-memory", "server's memory for an idle connection, 10 000 of them", "memory",
	    "answered", "bytes", VIA_TCP, .n = 10000, .ours = { "ours" }, .target = 2048 },
	{ "crowd", "call beside 10 000 idle connections against none, same CPU", "latency", "us",
	    "us", VIA_TCP, true, .ours = { "ours", .idle = 10000 }, .raw = { "ours" },
	    .target = 1.1 },
	{ "crowd-split", "the same, two CPUs", "latency", "us", "us", VIA_TCP,
	    .ours = { "ours", .idle = 10000 }, .raw = { "ours" }, .target = 1.1 },
	{ "oneway", "one-way calls over UDP, 400 bytes, received", "datagrams", "calls_s", "/s",
	    VIA_UDP, .ours = { "ours" }, .raw = { "raw" }, .target = 0.8, .at_least = true },
	{ "news", "1 000 parked calls answered with 4 KiB, the last one", "news", "us", "us",
	    VIA_TCP, .n = 1000, .ours = { "ours" }, .raw = { "news" }, .target = 1.3 },
	{ "news-redis", "1 000 parked calls answered with 4 KiB, against Redis", "news", "us", "us",
	    VIA_TCP, .n = 1000, .ours = { "ours" }, .raw = { "redis" }, .target = 1 },
	{ "ring-64k", "ring, 64 KiB writes, copying, against memcpy", "pieces", "mb_s", "MB/s",
	    VIA_LOCAL, .ours = { "ring" }, .raw = { "memcpy" }, .target = 0.65, .at_least = true },
	{ "ring-1m", "ring, 1 MiB writes, copying, against memcpy", "bulk", "mb_s", "MB/s",
	    VIA_LOCAL, .ours = { "ring" }, .raw = { "memcpy" }, .target = 0.75, .at_least = true },
	{ "ring-place-64k", "ring, 64 KiB writes, in place, every byte checked", "pieces", "mb_s",
	    "MB/s", VIA_LOCAL, .ours = { "ring-place" }, .raw = { "memcpy" }, .target = 0.80,
	    .at_least = true },
	{ "ring-place-1m", "ring, 1 MiB writes, in place, every byte checked", "bulk", "mb_s",
	    "MB/s", VIA_LOCAL, .ours = { "ring-place" }, .raw = { "memcpy" }, .target = 0.90,
	    .at_least = true },
	{ "ring-unix-64k", "ring, 64 KiB writes, copying, against AF_UNIX", "pieces", "mb_s",
	    "MB/s", VIA_LOCAL, .ours = { "ring" }, .raw = { "raw" }, .target = 3.5,
	    .at_least = true },
	{ "ring-unix-1m", "ring, 1 MiB writes, copying, against AF_UNIX", "bulk", "mb_s", "MB/s",
	    VIA_LOCAL, .ours = { "ring" }, .raw = { "raw" }, .target = 3.5, .at_least = true },
	{ "ring-bare-64k", "ring, 64 KiB writes, copying, against a bare ring with futexes",
	    "pieces", "mb_s", "MB/s", VIA_LOCAL, .ours = { "ring" }, .raw = { "bare-futex" },
	    .at_least = true },
	{ "ring-bare-1m", "ring, 1 MiB writes, copying, against a bare ring with futexes", "bulk",
	    "mb_s", "MB/s", VIA_LOCAL, .ours = { "ring" }, .raw = { "bare-futex" },
	    .at_least = true },
	{ "ring-spin-64k", "ring, 64 KiB writes, copying, against a bare spinning ring", "pieces",
	    "mb_s", "MB/s", VIA_LOCAL, .ours = { "ring" }, .raw = { "bare-spin" },
	    .at_least = true },
	{ "ring-spin-1m", "ring, 1 MiB writes, copying, against a bare spinning ring", "bulk",
	    "mb_s", "MB/s", VIA_LOCAL, .ours = { "ring" }, .raw = { "bare-spin" },
	    .at_least = true },
	{ "ring-same-64k", "ring, 64 KiB writes, copying, same CPU", "pieces", "mb_s", "MB/s",
	    VIA_LOCAL, true, .ours = { "ring" }, .target = 10000, .at_least = true },
	{ "ring-same-1m", "ring, 1 MiB writes, copying, same CPU", "bulk", "mb_s", "MB/s",
	    VIA_LOCAL, true, .ours = { "ring" }, .target = 10000, .at_least = true },
	{ "ring-cpu", "CPU time of the ring, 64 KiB writes, against AF_UNIX", "pieces", "cpu_s_gb",
	    "s/GB", VIA_LOCAL, .ours = { "ring" }, .raw = { "raw" } },
	{ "ring-call", "64-byte message and its echo, ring, two CPUs, against spinning slots",
	    "latency", "us", "us", VIA_LOCAL, .ours = { "ring" }, .raw = { "slot-spin" },
	    .target = 1.75 },
	{ "ring-call-same", "the same on one CPU, against slots with futexes", "latency", "us",
	    "us", VIA_LOCAL, true, .ours = { "ring" }, .raw = { "slot-futex" }, .target = 1.15 },
	{ "ring-callers", "4 clients with a message and its echo each, two CPUs, against futexes",
	    "callers", "calls_s", "/s", VIA_LOCAL, .n = 4, .ours = { "ring" },
	    .raw = { "slot-futex" }, .target = 1.3, .at_least = true },
	{ "ring-call-unix", "64-byte message and its echo, ring, two CPUs, against AF_UNIX",
	    "latency", "us", "us", VIA_LOCAL, .ours = { "ring" }, .raw = { "raw" } },
	{ "pipe-64k", "local pipe, 64 KiB writes, against memcpy", "pieces", "mb_s", "MB/s",
	    VIA_LOCAL, .ours = { "pipe" }, .raw = { "memcpy" }, .target = 0.65, .at_least = true },
	{ "pipe-1m", "local pipe, 1 MiB writes, against memcpy", "bulk", "mb_s", "MB/s", VIA_LOCAL,
	    .ours = { "pipe" }, .raw = { "memcpy" }, .target = 0.75, .at_least = true },
	{ "pipe-place-64k", "local pipe, 64 KiB writes, in place, every byte checked", "pieces",
	    "mb_s", "MB/s", VIA_LOCAL, .ours = { "pipe-place" }, .raw = { "memcpy" },
	    .target = 0.80, .at_least = true },
	{ "pipe-place-1m", "local pipe, 1 MiB writes, in place, every byte checked", "bulk", "mb_s",
	    "MB/s", VIA_LOCAL, .ours = { "pipe-place" }, .raw = { "memcpy" }, .target = 0.90,
	    .at_least = true },
	{ "pipe-unix-64k", "local pipe, 64 KiB writes, against AF_UNIX", "pieces", "mb_s", "MB/s",
	    VIA_LOCAL, .ours = { "pipe" }, .raw = { "raw" }, .target = 3.5, .at_least = true },
	{ "pipe-unix-1m", "local pipe, 1 MiB writes, against AF_UNIX", "bulk", "mb_s", "MB/s",
	    VIA_LOCAL, .ours = { "pipe" }, .raw = { "raw" }, .target = 3.5, .at_least = true },
	{ "pipe-ring-64k", "local pipe, 64 KiB writes, against the ring by itself", "pieces",
	    "mb_s", "MB/s", VIA_LOCAL, .ours = { "pipe" }, .raw = { "ring-as-pipe" },
	    .at_least = true },
	{ "pipe-ring-1m", "local pipe, 1 MiB writes, against the ring by itself", "bulk", "mb_s",
	    "MB/s", VIA_LOCAL, .ours = { "pipe" }, .raw = { "ring-as-pipe" }, .at_least = true },
	{ "pipe-ring-same-64k", "the same on one CPU, 64 KiB writes", "pieces", "mb_s", "MB/s",
	    VIA_LOCAL, true, .ours = { "pipe" }, .raw = { "ring-as-pipe" }, .at_least = true },
	{ "pipe-ring-same-1m", "the same on one CPU, 1 MiB writes", "bulk", "mb_s", "MB/s",
	    VIA_LOCAL, true, .ours = { "pipe" }, .raw = { "ring-as-pipe" }, .at_least = true },
	{ "pipe-same-64k", "local pipe, 64 KiB writes, same CPU", "pieces", "mb_s", "MB/s",
	    VIA_LOCAL, true, .ours = { "pipe" }, .target = 10000, .at_least = true },
	{ "pipe-same-1m", "local pipe, 1 MiB writes, same CPU", "bulk", "mb_s", "MB/s", VIA_LOCAL,
	    true, .ours = { "pipe" }, .target = 10000, .at_least = true },
	{ "stream-1m", "remote pipe, 1 MiB writes, loopback", "bulk", "mb_s", "MB/s", VIA_TCP,
	    .ours = { "pipe" }, .raw = { "raw" }, .target = 1.4, .at_least = true },
	{ "stream-tuned", "remote pipe, 1 MiB writes, loopback, against tuned raw", "bulk", "mb_s",
	    "MB/s", VIA_TCP, .ours = { "pipe" }, .raw = { "raw-tuned" }, .target = 0.9,
	    .at_least = true },
	{ "stream-iperf3", "remote pipe, 1 MiB writes, loopback, against iperf3", "bulk", "mb_s",
	    "MB/s", VIA_TCP, .ours = { "pipe" }, .raw = { "iperf3" }, .target = 1,
	    .at_least = true },
	{ "stream-64k", "remote pipe, 64 KiB writes, loopback", "pieces", "mb_s", "MB/s", VIA_TCP,
	    .ours = { "pipe" }, .raw = { "raw" }, .target = 1.5, .at_least = true },
	{ "stream-64k-started", "remote pipe, 64 KiB writes, eight started at a time, loopback",
	    "pieces", "mb_s", "MB/s", VIA_TCP, .ours = { "pipe-started" }, .raw = { "raw" },
	    .target = 1.5, .at_least = true },
	{ "stream-cpu", "CPU time of a remote pipe, 1 MiB writes, loopback", "bulk", "cpu_s_gb",
	    "s/GB", VIA_TCP, .ours = { "pipe" }, .raw = { "raw" }, .target = 0.85 },
	{ "stream-cpu-64k", "CPU time of a remote pipe, 64 KiB writes, loopback", "pieces",
	    "cpu_s_gb", "s/GB", VIA_TCP, .ours = { "pipe" }, .raw = { "raw" } },
	{ "stream-veth-1m", "remote pipe, 1 MiB writes, veth", "bulk", "mb_s", "MB/s", VIA_VETH,
	    .ours = { "pipe" }, .raw = { "raw" }, .target = 1.5, .at_least = true },
	{ "stream-veth-tuned", "remote pipe, 1 MiB writes, veth, against tuned raw", "bulk", "mb_s",
	    "MB/s", VIA_VETH, .ours = { "pipe" }, .raw = { "raw-tuned" }, .target = 0.9,
	    .at_least = true },
	{ "stream-veth-iperf3", "remote pipe, 1 MiB writes, veth, against iperf3", "bulk", "mb_s",
	    "MB/s", VIA_VETH, .ours = { "pipe" }, .raw = { "iperf3" }, .target = 1,
	    .at_least = true },
	{ "stream-veth-64k", "remote pipe, 64 KiB writes, veth", "pieces", "mb_s", "MB/s", VIA_VETH,
	    .ours = { "pipe" }, .raw = { "raw" }, .target = 1.5, .at_least = true },
	{ "stream-veth-64k-started", "remote pipe, 64 KiB writes, eight started at a time, veth",
	    "pieces", "mb_s", "MB/s", VIA_VETH, .ours = { "pipe-started" }, .raw = { "raw" },
	    .target = 1.5, .at_least = true },
	{ "stream-veth-cpu", "CPU time of a remote pipe, 1 MiB writes, veth", "bulk", "cpu_s_gb",
	    "s/GB", VIA_VETH, .ours = { "pipe" }, .raw = { "raw" }, .target = 0.85 },
	{ "stream-veth-cpu-64k", "CPU time of a remote pipe, 64 KiB writes, veth", "pieces",
	    "cpu_s_gb", "s/GB", VIA_VETH, .ours = { "pipe" }, .raw = { "raw" } },
	{ "open", "open of a remote pipe with the hand-over, against without", "opens", "us", "us",
	    VIA_TCP, .ours = { "pipe" }, .raw = { "pipe-calls" }, .target = 1.4 },
	{ "open-local", "open of a local pipe with memory, against without", "opens", "us", "us",
	    VIA_LOCAL, .ours = { "pipe" }, .raw = { "pipe-calls" } },
	{ "pipes-memory", "memory of 10 000 local pipes, all processes", "pipes", "mib", "MiB",
	    VIA_LOCAL, .n = 10000, .ours = { "pipe" }, .target = 2048 },
	{ "pipes-open", "open beside 10 000 local pipes against ten", "opens", "us", "us",
	    VIA_LOCAL, .ours = { "pipe", .idle = 10000 }, .raw = { "pipe", .idle = 10 },
	    .target = 1.2 },
	{ "pipes-message", "64 bytes and their echo beside 10 000 local pipes against ten",
	    "latency", "us", "us", VIA_LOCAL, true, .ours = { "pipe", .idle = 10000 },
	    .raw = { "pipe", .idle = 10 }, .target = 1.2 },
	{ "rpc-ring", "64-byte call, shared memory, two CPUs, against spinning slots", "latency",
	    "us", "us", VIA_LOCAL, .ours = { "ours-shared" }, .raw = { "slot-spin" },
	    .target = 1.75 },
	{ "rpc-ring-same", "the same on one CPU, against slots with futexes", "latency", "us", "us",
	    VIA_LOCAL, true, .ours = { "ours-shared" }, .raw = { "slot-futex" }, .target = 1.15 },
	{ "rpc-ring-callers", "4 clients, one call each at a time, two CPUs, against futexes",
	    "callers", "calls_s", "/s", VIA_LOCAL, .n = 4, .ours = { "ours-shared" },
	    .raw = { "slot-futex" }, .target = 1.3, .at_least = true },
	{ "rpc-ring-unix", "64-byte call, shared memory, two CPUs, against ours over AF_UNIX",
	    "latency", "us", "us", VIA_LOCAL, .ours = { "ours-shared" }, .raw = { "ours" } },
	{ "rpc-ring-ring", "64-byte call, shared memory, two CPUs, against a message and its echo",
	    "latency", "us", "us", VIA_LOCAL, .ours = { "ours-shared" }, .raw = { "ring" } },
	{ "rpc-ring-idle", "CPU use of both ends, waiting, shared memory", "idle", "cpu_percent",
	    "%", VIA_LOCAL, .ours = { "ours-shared" }, .target = 0.1 },
};

const size_t n_rows = sizeof(rows) / sizeof(rows[0]);

/* A side while its row is measured. */
struct session {
	struct bench *b;
	const struct row *row;
	const struct side *side;
	struct child *server, *crowd;
	char address[64];
	const char *why; /* something failed */
};

static bool fail(struct session *s, const char *why)
{
	s->why = why;
	return false;
}

static const char *program(const struct session *s)
{
	return s->side->no_spin ? s->b->sleeper : s->b->program;
}

static const char *host(const struct row *row)
{
	return row->via == VIA_VETH ? "10.99.0.1" : "127.0.0.1";
}

static int network(const struct session *s, int end)
{
	return s->row->via == VIA_VETH ? s->b->networks[end] : -1;
}

static int client_cpu(const struct row *row)
{
	return row->same ? 0 : 1;
}

/* --- Servers ----------------------------------------------------------------------------------- */

static bool is(const struct session *s, const char *peer)
{
	return strcmp(s->side->peer, peer) == 0;
}

static bool start_redis(struct session *s)
{
	char port[16], line[256];
	const char *words[] = { "redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "",
		"--appendonly", "no", "--maxclients", "15000", "--client-output-buffer-limit",
		"pubsub 0 0 0", "--dir", s->b->folder, NULL };

	snprintf(port, sizeof(port), "%u", free_port());
	snprintf(s->address, sizeof(s->address), "127.0.0.1:%s", port);
	s->server = child_start(s->b, 0, -1, words);
	if (!s->server)
		return fail(s, "no process");
	do {
		if (!child_line(s->b, s->server, line, sizeof(line), START_SECONDS))
			return fail(s, "redis-server does not start");
	} while (!strstr(line, "Ready to accept connections"));
	return true;
}

static bool start_server(struct session *s)
{
	static const char *const netids[] = { "tcp", "local", "udp", "tcp" };
	char line[64], path[64];
	const char *words[] = { program(s), "serve", s->side->peer, netids[s->row->via],
		s->row->via == VIA_LOCAL ? path : host(s->row), NULL };
	unsigned port;

	/* Each side has a socket of its own in the folder. */
	snprintf(path, sizeof(path), "%s/%d", s->b->folder, s->side == &s->row->raw);
	unlink(path);
	s->server = child_start(s->b, 0, network(s, 0), words);
	if (!s->server || !child_line(s->b, s->server, line, sizeof(line), START_SECONDS) ||
	    sscanf(line, "port=%u", &port) != 1)
		return fail(s, "the server does not start");
	if (s->row->via == VIA_LOCAL)
		snprintf(s->address, sizeof(s->address), "%s", path);
	else
		snprintf(s->address, sizeof(s->address), "%s:%u", host(s->row), port);
	return true;
}

/* Idle connections to the server, by a process that stays. */
static bool start_crowd(struct session *s, unsigned n)
{
	char number[32], line[64];
	const char *words[] = { s->b->program, "load", is(s, "pipe") ? "crowd-pipes" : "crowd",
		s->side->peer, s->address, number, NULL };

	snprintf(number, sizeof(number), "n=%u", n);
	s->crowd = child_start(s->b, client_cpu(s->row), network(s, 1), words);
	if (!s->crowd || !child_line(s->b, s->crowd, line, sizeof(line), CROWD_SECONDS))
		return fail(s, "the idle connections were not answered");
	bench_pause(s->b, SETTLE_SECONDS);
	return true;
}

static void session_end(struct session *s)
{
	child_end(s->crowd);
	child_end(s->server);
	s->crowd = s->server = NULL;
}

/* Whether each figure has a server of its own: what one once had it may keep. */
static bool has_own_server(const struct row *row)
{
	return strcmp(row->load, "memory") == 0 || strcmp(row->load, "pipes") == 0;
}

static bool session_begin(struct session *s)
{
	if (!s->side->peer || is(s, "iperf3") || has_own_server(s->row))
		return true;
	if (!(is(s, "redis") ? start_redis(s) : start_server(s)))
		return false;
	return !s->side->idle || start_crowd(s, s->side->idle);
}

/* --- Figures ----------------------------------------------------------------------------------- */

static bool find_word(const char *line, const char *key, double *ret)
{
	size_t length = strlen(key);

	for (const char *at = line; (at = strstr(at, key)); at += length)
		if ((at == line || at[-1] == ' ') && at[length] == '=') {
			*ret = atof(at + length + 1);
			return true;
		}
	return false;
}

static bool run_client(struct session *s, double *ret)
{
	char seconds[32], n[32], depth[32], server[32], line[256];
	const struct row *row = s->row;
	const char *words[] = { program(s), "load", row->load, s->side->peer, s->address, seconds,
		n, depth, server, row->via == VIA_UDP ? "datagrams=1" : "datagrams=0", NULL };
	struct child *c;
	bool done;

	snprintf(seconds, sizeof(seconds), "seconds=%g", s->b->seconds);
	snprintf(n, sizeof(n), "n=%u", row->n);
	snprintf(depth, sizeof(depth), "depth=%u", s->side->depth);
	snprintf(server, sizeof(server), "server=%d", (int)s->server->pid);
	c = child_start(s->b, client_cpu(row), network(s, 1), words);
	if (!c)
		return fail(s, "no process");
	done = child_line(s->b, c, line, sizeof(line), s->b->seconds + FIGURE_SECONDS);
	child_end(c);
	return (done && find_word(line, row->key, ret)) || fail(s, "the client failed");
}

static double resident_bytes(pid_t pid)
{
	char path[64], line[256];
	double kilobytes = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "VmRSS: %lf", &kilobytes) == 1)
			break;
	if (f)
		fclose(f);
	return kilobytes * 1024;
}

static bool measure_memory(struct session *s, double *ret)
{
	double before;

	if (!start_server(s))
		return false;
	if (!start_crowd(s, 1))
		return false;
	child_end(s->crowd);
	before = resident_bytes(s->server->pid);
	if (!start_crowd(s, s->row->n))
		return false;
	*ret = (resident_bytes(s->server->pid) - before) / s->row->n;
	session_end(s);
	return true;
}

static bool measure_pipes(struct session *s, double *ret)
{
	bool done = start_server(s) && run_client(s, ret);

	session_end(s);
	return done;
}

static bool run_iperf3(struct session *s, double *ret)
{
	static char text[262144];
	char port[16], seconds[16], line[256];
	const char *serve[] = { "iperf3", "-s", "-1", "-p", port, "--forceflush", NULL };
	const char *send[] = { "iperf3", "-c", host(s->row), "-p", port, "-l", "1M", "-J", "-t",
		seconds, NULL };
	struct child *client;
	const char *at;
	bool done;

	snprintf(port, sizeof(port), "%u", free_port());
	snprintf(seconds, sizeof(seconds), "%d", (int)(s->b->seconds + 0.999));
	s->server = child_start(s->b, 0, network(s, 0), serve);
	/* The second line says that it listens. */
	for (int i = 0; i < 2; i++)
		if (!s->server || !child_line(s->b, s->server, line, sizeof(line), START_SECONDS))
			return fail(s, "iperf3 does not start");
	client = child_start(s->b, client_cpu(s->row), network(s, 1), send);
	done =
	    client && child_text(s->b, client, text, sizeof(text), s->b->seconds + FIGURE_SECONDS);
	child_end(client);
	session_end(s);
	at = done ? strstr(text, "\"sum_received\"") : NULL;
	at = at ? strstr(at, "\"bits_per_second\":") : NULL;
	if (!at)
		return fail(s, "iperf3 failed");
	*ret = atof(at + strlen("\"bits_per_second\":")) / 8e6;
	return true;
}

static bool measure(struct session *s, double *ret)
{
	if (!s->side->peer)
		return true;
	if (is(s, "iperf3"))
		return run_iperf3(s, ret);
	if (strcmp(s->row->load, "memory") == 0)
		return measure_memory(s, ret);
	if (has_own_server(s->row))
		return measure_pipes(s, ret);
	return run_client(s, ret);
}

/* --- Rows -------------------------------------------------------------------------------------- */

static bool is_installed(const char *program)
{
	const char *path = getenv("PATH");
	char file[256];

	for (const char *at = path ? path : "/usr/bin"; at; at = strchr(at, ':')) {
		at += *at == ':';
		snprintf(file, sizeof(file), "%.*s/%s", (int)strcspn(at, ":"), at, program);
		if (access(file, X_OK) == 0)
			return true;
	}
	return false;
}

static const char *missing(struct bench *b, const struct row *row)
{
	unsigned n = row->n > row->ours.idle ? row->n : row->ours.idle;
	struct rlimit files = { 0 };
	const char *why;

	if (row->raw.peer && strcmp(row->raw.peer, "iperf3") == 0 && !is_installed("iperf3"))
		return "iperf3 is not installed";
	if (row->raw.peer && strcmp(row->raw.peer, "redis") == 0 && !is_installed("redis-server"))
		return "redis-server is not installed";
	getrlimit(RLIMIT_NOFILE, &files);
	if (n && files.rlim_cur < n + CROWD_FDS)
		return "the limit of open files is too low (ulimit -Hn)";
	if (row->via == VIA_VETH && !bench_join_networks(b, &why))
		return why;
	if (!row->same && sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return "there is one CPU";
	return NULL;
}

const char *row_measure(struct bench *b, const struct row *row, struct figures *ret,
    bool *ret_failed)
{
	struct session ours = { .b = b, .row = row, .side = &row->ours };
	struct session raw = { .b = b, .row = row, .side = &row->raw };
	const char *why = missing(b, row);
	bool good;

	*ret_failed = false;
	ret->pairs = 0;
	if (why)
		return why;
	good = session_begin(&ours) && session_begin(&raw);
	for (unsigned i = 0; good && i < b->pairs; i++) {
		struct session *first = i % 2 ? &raw : &ours, *second = i % 2 ? &ours : &raw;

		good = measure(first, first == &ours ? &ret->ours[i] : &ret->raw[i]) &&
		    measure(second, second == &ours ? &ret->ours[i] : &ret->raw[i]);
		ret->ratio[i] = row->raw.peer ? ret->ours[i] / ret->raw[i] : ret->ours[i];
		ret->pairs++;
	}
	session_end(&ours);
	session_end(&raw);
	*ret_failed = !good;
	return good ? NULL : ours.why ? ours.why : raw.why;
}
