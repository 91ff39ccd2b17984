/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * speed.c - calls of an rpcgen program by our engine, each figure beside plain sockets that do the same.
 *
 *	speed [--only ROW[,ROW...]] [--pairs N] [--time S] [--json] [--list]
 *
 * N (5) interleaved pairs of S (0.4) seconds for each row; the median of their ratios with the smallest and the
 * largest.  Exit 0: all was measured, reached or not; 1: a row failed; 2: wrong usage.
 *
 * `speed serve PEER NETID ADDRESS` and `speed load LOAD PEER ADDRESS KEY=VALUE...` are the processes that it starts.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/rows.h"
#include "tests/bench/speed.h"

#define PAIRS 5
#define SECONDS 0.4

/* --- Servers and clients ----------------------------------------------------------------------- */

static const struct peer *const peers[] = { &our_peer, &our_shared_peer, &raw_peer, &raw_epoll_peer,
	&raw_spin_peer, &ring_peer, &ring_as_pipe_peer, &ring_place_peer, &memcpy_peer,
	&slot_spin_peer, &slot_futex_peer, &bare_spin_peer, &bare_futex_peer, &raw_tuned_peer,
	&pipe_peer, &pipe_started_peer, &pipe_place_peer, &pipe_calls_peer };

static const struct peer *find_peer(const char *name)
{
	for (size_t i = 0; i < sizeof(peers) / sizeof(peers[0]); i++)
		if (strcmp(peers[i]->name, name) == 0)
			return peers[i];
	return NULL;
}

static int serve(char **argv)
{
	const struct peer *peer = find_peer(argv[0]);

	if (strcmp(argv[0], "news") == 0)
		crowd_serve(argv[2]);
	if (!peer)
		return 2;
	peer->serve(argv[1], argv[2]);
	return 0;
}

static const struct {
	const char *name;
	void (*run)(const struct load *load);
	size_t bytes;
	bool is_stream;
} loads[] = {
	{ "latency", load_latency, SMALL_BYTES, false },
	{ "idle", load_idle, SMALL_BYTES, false },
	{ "batches", load_batches, SMALL_BYTES, false },
	{ "callers", load_callers, SMALL_BYTES, false },
	{ "bulk", load_bulk, BULK_BYTES, true },
	{ "pieces", load_bulk, PIECE_BYTES, true },
	{ "datagrams", load_datagrams, DATAGRAM_BYTES, true },
	{ "crowd", crowd_idle, 0, false },
	{ "crowd-pipes", crowd_pipes, 0, false },
	{ "opens", load_opens, 0, false },
	{ "pipes", load_pipes, 0, false },
	{ "news", crowd_news, 0, false },
};

static void take_word(struct load *load, const char *word)
{
	unsigned datagrams = 0;
	int server = 0;

	(void)(sscanf(word, "seconds=%lf", &load->seconds) == 1 ||
	    sscanf(word, "n=%u", &load->n) == 1 ||
	    sscanf(word, "depth=%u", &load->work.depth) == 1 ||
	    sscanf(word, "server=%d", &server) == 1 ||
	    sscanf(word, "datagrams=%u", &datagrams) == 1);
	if (server)
		load->server = server;
	if (datagrams)
		load->work.is_datagram = true;
}

static int run_load(int argc, char **argv)
{
	struct load load = { .peer = find_peer(argv[1]), .work = { .address = argv[2] } };

	/* The raw side of news is a server of its own. */
	load.protocol = strcmp(argv[1], "news") == 0 ? "raw" : argv[1];
	for (int i = 3; i < argc; i++)
		take_word(&load, argv[i]);
	for (size_t i = 0; i < sizeof(loads) / sizeof(loads[0]); i++) {
		if (strcmp(loads[i].name, argv[0]) != 0)
			continue;
		load.work.bytes = loads[i].bytes;
		load.work.is_stream = loads[i].is_stream;
		loads[i].run(&load);
		fflush(stdout);
		_Exit(0); /* as it stands, whatever its threads do */
	}
	return 2;
}

/* --- The table --------------------------------------------------------------------------------- */

struct options {
	const char *only;
	bool json;
};

/* Whether the list begins with this name. */
static bool is_first(const char *list, const char *name)
{
	return strcspn(list, ",") == strlen(name) && strncmp(list, name, strlen(name)) == 0;
}

static const char *next_name(const char *list)
{
	const char *comma = strchr(list, ',');

	return comma ? comma + 1 : NULL;
}

static bool is_wanted(const struct options *o, const char *name)
{
	for (const char *at = o->only; at; at = next_name(at))
		if (is_first(at, name))
			return true;
	return !o->only;
}

/* NULL: each name is a row's. */
static const char *unknown_row(const struct options *o)
{
	for (const char *at = o->only; at; at = next_name(at)) {
		size_t i = 0;

		while (i < n_rows && !is_first(at, rows[i].name))
			i++;
		if (i == n_rows)
			return at;
	}
	return NULL;
}

static bool is_reached(const struct row *row, double ratio)
{
	return row->at_least ? ratio >= row->target : ratio <= row->target;
}

static const char *verdict(const struct row *row, double ratio)
{
	if (!row->target)
		return "-";
	return is_reached(row, ratio) ? "yes" : "no";
}

static void number(char text[32], double value)
{
	snprintf(text, 32, "%.*f", value >= 1000 ? 0 : value >= 10 ? 1 : 3, value);
}

static void print_text(const struct row *row, struct figures *f)
{
	double middle = median(f->ratio, f->pairs);
	char ours[32], raw[32] = "", ratio[32], low[32], high[32], range[112], target[32] = "-";

	number(ours, median(f->ours, f->pairs));
	if (row->raw.peer)
		number(raw, median(f->raw, f->pairs));
	number(ratio, middle);
	number(low, f->ratio[0]);
	number(high, f->ratio[f->pairs - 1]);
	snprintf(range, sizeof(range), "%s [%s..%s]", ratio, low, high);
	if (row->target)
		snprintf(target, sizeof(target), "%s %g", row->at_least ? ">=" : "<=", row->target);
	printf("%-17s %-58s %9s %9s %-5s %-23s %-9s %s\n", row->name, row->work, ours, raw,
	    row->unit, range, target, verdict(row, middle));
}

static void print_json(const struct row *row, struct figures *f)
{
	double middle = median(f->ratio, f->pairs);

	printf("{\"row\":\"%s\",\"work\":\"%s\",\"unit\":\"%s\",\"ours\":%.6g", row->name,
	    row->work, row->unit, median(f->ours, f->pairs));
	if (row->raw.peer)
		printf(",\"raw\":%.6g", median(f->raw, f->pairs));
	printf(",\"ratio\":%.4f,\"ratio_min\":%.4f,\"ratio_max\":%.4f,\"pairs\":%u", middle,
	    f->ratio[0], f->ratio[f->pairs - 1], f->pairs);
	if (row->target)
		printf(",\"target\":%g,\"target_is\":\"%s\",\"reached\":%s", row->target,
		    row->at_least ? "at least" : "at most",
		    is_reached(row, middle) ? "true" : "false");
	printf("}\n");
}

static void print_left_out(const struct options *o, const struct row *row, const char *why,
    bool failed)
{
	if (o->json)
		printf("{\"row\":\"%s\",\"work\":\"%s\",\"%s\":\"%s\"}\n", row->name, row->work,
		    failed ? "failed" : "skipped", why);
	else
		printf("%-17s %-58s %s: %s\n", row->name, row->work, failed ? "FAIL" : "SKIP", why);
}

static int run_rows(struct bench *b, const struct options *o)
{
	bool failed, any_failed = false;
	struct figures figures;

	if (!o->json)
		printf("%-17s %-58s %9s %9s %-5s %-23s %-9s %s\n", "row", "work", "ours", "raw",
		    "unit", "ratio", "target", "reached");
	for (size_t i = 0; i < n_rows; i++) {
		const char *why;

		if (!is_wanted(o, rows[i].name))
			continue;
		why = row_measure(b, &rows[i], &figures, &failed);
		any_failed |= failed;
		if (why)
			print_left_out(o, &rows[i], why, failed);
		else if (o->json)
			print_json(&rows[i], &figures);
		else
			print_text(&rows[i], &figures);
		fflush(stdout);
	}
	return any_failed;
}

static int usage(void)
{
	fprintf(stderr,
	    "usage: speed [--only ROW[,ROW...]] [--pairs 1..%d] [--time SECONDS] [--json] "
	    "[--list]\n",
	    PAIRS_MAX);
	return 2;
}

static int list(void)
{
	for (size_t i = 0; i < n_rows; i++)
		printf("%-17s %s\n", rows[i].name, rows[i].work);
	return 0;
}

/* -1: go on; else the exit code. */
static int parse(int argc, char **argv, struct bench *b, struct options *o)
{
	static const struct option known[] = {
		{ "only", required_argument, NULL, 'o' },
		{ "pairs", required_argument, NULL, 'p' },
		{ "time", required_argument, NULL, 't' },
		{ "json", no_argument, NULL, 'j' },
		{ "list", no_argument, NULL, 'l' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", known, NULL)) != -1) {
		if (c == 'o')
			o->only = optarg;
		else if (c == 'p')
			b->pairs = (unsigned)atoi(optarg);
		else if (c == 't')
			b->seconds = atof(optarg);
		else if (c == 'j')
			o->json = true;
		else
			return c == 'l' ? list() : usage();
	}
	if (optind < argc || b->pairs < 1 || b->pairs > PAIRS_MAX || !(b->seconds > 0))
		return usage();
	if (!unknown_row(o))
		return -1;
	fprintf(stderr, "speed: %s: no such row; --list shows them\n", unknown_row(o));
	return 2;
}

int main(int argc, char **argv)
{
	struct bench b = { .seconds = SECONDS, .pairs = PAIRS };
	struct options o = { 0 };
	const char *why;
	int r;

	signal(SIGPIPE, SIG_IGN);
	if (argc == 5 && strcmp(argv[1], "serve") == 0)
		return serve(argv + 2);
	if (argc >= 5 && strcmp(argv[1], "load") == 0)
		return run_load(argc - 2, argv + 2);
	r = parse(argc, argv, &b, &o);
	if (r >= 0)
		return r;
	if (!bench_begin(&b, &why)) {
		fprintf(stderr, "speed: %s\n", why);
		return 1;
	}
	r = run_rows(&b, &o);
	bench_end(&b);
	return r;
}
