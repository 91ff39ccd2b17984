/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_output.c - what ipc9 bench tells, from what it has measured: two tables, or one object.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bench.h"
#include "cli/output.h"

#define BAR_CELLS 16

/* --- Figures ----------------------------------------------------------------------------------- */

/* One number of a run: a rate, a time, a ratio. */
typedef double figure_fn(const struct bench_work *work, size_t i);

struct spread {
	double median, min, max; /* all 0 without runs */
};

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct spread spread_of(const struct bench_work *w, figure_fn *figure)
{
	double values[BENCH_PAIRS_MAX];
	struct spread s = { 0, 0, 0 };
	size_t n = w->n;

	for (size_t i = 0; i < n; i++)
		values[i] = figure(w, i);
	if (n == 0)
		return s;
	qsort(values, n, sizeof(values[0]), compare);
	s.min = values[0];
	s.max = values[n - 1];
	s.median = n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
	return s;
}

static double per_second(uint64_t amount, const struct ipc9_bench_result *r)
{
	return r->elapsed_ns ? (double)amount * 1e9 / (double)r->elapsed_ns : 0;
}

static double divided(double a, double b)
{
	return b > 0 ? a / b : 0;
}

static double calls_rate(const struct bench_work *w, size_t i)
{
	return per_second(w->ours[i].calls, &w->ours[i]);
}

static double raw_calls_rate(const struct bench_work *w, size_t i)
{
	return per_second(w->raw[i].calls, &w->raw[i]);
}

static double calls_ratio(const struct bench_work *w, size_t i)
{
	return divided(calls_rate(w, i), raw_calls_rate(w, i));
}

static double bytes_rate(const struct bench_work *w, size_t i)
{
	return per_second(w->ours[i].bytes, &w->ours[i]);
}

static double raw_bytes_rate(const struct bench_work *w, size_t i)
{
	return per_second(w->raw[i].bytes, &w->raw[i]);
}

static double bytes_ratio(const struct bench_work *w, size_t i)
{
	return divided(bytes_rate(w, i), raw_bytes_rate(w, i));
}

/* Nanoseconds per byte are seconds per GB. */
static double cpu_per_gb(const struct bench_work *w, size_t i)
{
	return divided((double)w->ours[i].cpu_ns, (double)w->ours[i].bytes);
}

static double raw_cpu_per_gb(const struct bench_work *w, size_t i)
{
	return divided((double)w->raw[i].cpu_ns, (double)w->raw[i].bytes);
}

#define FIGURE_OF_RUN(name, member)                                                                \
	static double name(const struct bench_work *w, size_t i)                                   \
	{                                                                                          \
		return (double)w->member;                                                          \
	}
FIGURE_OF_RUN(run_min, ours[i].min_ns)
FIGURE_OF_RUN(run_p50, ours[i].p50_ns)
FIGURE_OF_RUN(run_p90, ours[i].p90_ns)
FIGURE_OF_RUN(run_p99, ours[i].p99_ns)
FIGURE_OF_RUN(run_p999, ours[i].p999_ns)
FIGURE_OF_RUN(run_max, ours[i].max_ns)
FIGURE_OF_RUN(raw_p50, raw[i].p50_ns)
FIGURE_OF_RUN(raw_p99, raw[i].p99_ns)

static double p50_ratio(const struct bench_work *w, size_t i)
{
	return divided(run_p50(w, i), raw_p50(w, i));
}

/* What distinguishes the kinds of work. */
static const struct {
	const char *key;
	uint32_t size_bytes;
	figure_fn *rate, *raw_rate, *ratio;
	const char *rate_key, *raw_rate_key;
} kinds[BENCH_KINDS] = {
	[BENCH_CALLS] = { "calls", BENCH_CALL_BYTES, calls_rate, raw_calls_rate, calls_ratio,
	    "calls_per_second", "raw_calls_per_second" },
	[BENCH_STREAM] = { "stream", IPC9_BENCH_PIECE_BYTES, bytes_rate, raw_bytes_rate,
	    bytes_ratio, "bytes_per_second", "raw_bytes_per_second" },
};

/* --- Local against remote ---------------------------------------------------------------------- */

/* The local socket's path and that of --to, if both have been measured; or NULL. */
static const struct bench_path *find_path(const struct bench_report *report, bool is_remote,
    enum bench_kind kind)
{
	for (size_t i = 0; i < report->n_paths; i++) {
		const struct bench_path *p = &report->paths[i];

		if (p->works[kind].n && p->is_remote == is_remote &&
		    (is_remote || strcmp(p->way, "unix") == 0))
			return p;
	}
	return NULL;
}

/* How many times remote local is; false: there is nothing to compare. */
static bool compare_paths(const struct bench_report *report, enum bench_kind kind,
    struct spread *ret)
{
	const struct bench_path *local = find_path(report, false, kind);
	const struct bench_path *remote = find_path(report, true, kind);
	struct spread l, r;

	if (!local || !remote)
		return false;
	l = spread_of(&local->works[kind], kinds[kind].rate);
	r = spread_of(&remote->works[kind], kinds[kind].rate);
	if (r.min <= 0)
		return false;
	ret->median = l.median / r.median;
	ret->min = l.min / r.max;
	ret->max = l.max / r.min;
	return true;
}

/* --- Text -------------------------------------------------------------------------------------- */

#define CELL_BYTES 24

/* "4.1 us" */
static const char *time_text(double ns, char text[CELL_BYTES])
{
	if (ns < 1e3)
		(void)snprintf(text, CELL_BYTES, "%.0f ns", ns);
	else if (ns < 1e6)
		(void)snprintf(text, CELL_BYTES, "%.1f us", ns / 1e3);
	else if (ns < 1e9)
		(void)snprintf(text, CELL_BYTES, "%.1f ms", ns / 1e6);
	else
		(void)snprintf(text, CELL_BYTES, "%.1f s", ns / 1e9);
	return text;
}

static double best_rate(const struct bench_report *report, enum bench_kind kind)
{
	double best = 0;

	for (size_t i = 0; i < report->n_paths; i++) {
		const struct bench_work *w = &report->paths[i].works[kind];
		double rate = spread_of(w, kinds[kind].rate).median;

		if (rate > best)
			best = rate;
	}
	return best;
}

/* " tcp   alpha" */
static int path_text(const struct bench_path *p, char *text, size_t size)
{
	return snprintf(text, size, " %-5s %s", p->way, p->host);
}

static int path_column(const struct bench_report *report)
{
	int column = 0;

	for (size_t i = 0; i < report->n_paths; i++) {
		int n = path_text(&report->paths[i], NULL, 0);

		column = n > column ? n : column;
	}
	return column;
}

static void print_path(const struct bench_path *p, int column)
{
	char text[sizeof(p->host) + 16];
	int n = path_text(p, text, sizeof(text));

	output_text(text);
	(void)printf("%*s ", column - n, "");
}

/* The columns that both tables have. */
static void print_rates(const struct bench_work *w, enum bench_kind kind, double scale, double best)
{
	struct spread ratio = spread_of(w, kinds[kind].ratio);
	double rate = spread_of(w, kinds[kind].rate).median;
	int cells = best > 0 ? (int)(rate / best * BAR_CELLS + 0.5) : 0;
	char range[CELL_BYTES];

	(void)printf("%10.0f %-*.*s ", rate / scale, BAR_CELLS, cells, "################");
	if (w->without_raw) {
		(void)printf("%10s %6s %-12s", "-", "-", "");
		return;
	}
	(void)snprintf(range, sizeof(range), "[%.2f..%.2f]", ratio.min, ratio.max);
	(void)printf("%10.0f %6.2f %-12s", spread_of(w, kinds[kind].raw_rate).median / scale,
	    ratio.median, range);
}

static void print_calls(const struct bench_work *w)
{
	static figure_fn *const figures[] = { run_p50, run_p99, run_p999 };
	char cell[CELL_BYTES];

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		(void)printf(" %9s", time_text(spread_of(w, figures[i]).median, cell));
	(void)printf(" %9s\n", time_text(spread_of(w, run_max).max, cell));
}

static void print_stream(const struct bench_work *w)
{
	(void)printf(" %9.3f", spread_of(w, cpu_per_gb).median);
	if (w->without_raw)
		(void)printf(" %9s\n", "-");
	else
		(void)printf(" %9.3f\n", spread_of(w, raw_cpu_per_gb).median);
}

static void print_table(const struct bench_report *report, enum bench_kind kind)
{
	double best = best_rate(report, kind);
	int column = path_column(report);

	if (best <= 0)
		return;
	if (kind == BENCH_CALLS) {
		(void)printf("Calls of %d bytes and as many back, one at a time:\n",
		    BENCH_CALL_BYTES);
		(void)printf("%-*s %10s %-*s %10s %6s %-12s %9s %9s %9s %9s\n", column, " path",
		    "calls/s", BAR_CELLS, "", "raw/s", "x raw", "[min..max]", "p50", "p99", "p99.9",
		    "max");
	} else {
		(void)printf("Stream, calls of 1 MiB, several under way, counted over there:\n");
		(void)printf("%-*s %10s %-*s %10s %6s %-12s %9s %9s\n", column, " path", "MB/s",
		    BAR_CELLS, "", "raw MB/s", "x raw", "[min..max]", "cpu s/GB", "raw");
	}
	for (size_t i = 0; i < report->n_paths; i++) {
		const struct bench_path *p = &report->paths[i];
		const struct bench_work *w = &p->works[kind];

		if (w->n == 0)
			continue;
		print_path(p, column);
		print_rates(w, kind, kind == BENCH_CALLS ? 1 : 1e6, best);
		if (kind == BENCH_CALLS)
			print_calls(w);
		else
			print_stream(w);
	}
}

static void print_comparison(const struct bench_report *report)
{
	static const char *const in_words[BENCH_KINDS] = { "calls", "the stream" };
	const char *before = "local is ";
	struct spread s;

	for (int kind = 0; kind < BENCH_KINDS; kind++) {
		if (!compare_paths(report, kind, &s))
			continue;
		(void)printf("%s%.2f x remote in %s [%.2f..%.2f]", before, s.median, in_words[kind],
		    s.min, s.max);
		before = ", ";
	}
	if (*before == ',')
		(void)printf("\n");
}

int bench_print_text(const struct bench_report *report)
{
	size_t n = 0;

	for (size_t i = 0; i < report->n_paths; i++)
		n += report->paths[i].works[BENCH_CALLS].n + report->paths[i].works[BENCH_STREAM].n;
	if (n == 0)
		return output_flush();
	(void)printf(
	    "ipc9 bench %s: %g s for each line, in pairs of ours and a raw socket; medians; "
	    "MB = 10^6 bytes%s\n",
	    ipc9_version(), report->time_s, report->complete ? "" : "; interrupted");
	for (int kind = 0; kind < BENCH_KINDS; kind++)
		print_table(report, kind);
	print_comparison(report);
	return output_flush();
}

/* --- JSON -------------------------------------------------------------------------------------- */

static json_t *number(double value)
{
	return json_real(value);
}

static json_t *whole(double value)
{
	return output_json_number((uint64_t)(value + 0.5));
}

/* What only calls have. */
static int add_latency(json_t *object, const struct bench_work *w)
{
	static const struct {
		const char *key;
		figure_fn *figure;
	} rows[] = {
		{ "p50_ns", run_p50 },
		{ "p90_ns", run_p90 },
		{ "p99_ns", run_p99 },
		{ "p999_ns", run_p999 },
	};
	int r = json_object_set_new(object, "min_ns", whole(spread_of(w, run_min).min));

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		r |= json_object_set_new(object, rows[i].key,
		    whole(spread_of(w, rows[i].figure).median));
	r |= json_object_set_new(object, "max_ns", whole(spread_of(w, run_max).max));
	if (w->without_raw)
		return r;
	r |= json_object_set_new(object, "raw_p50_ns", whole(spread_of(w, raw_p50).median));
	r |= json_object_set_new(object, "raw_p99_ns", whole(spread_of(w, raw_p99).median));
	return r | json_object_set_new(object, "p50_ratio", number(spread_of(w, p50_ratio).median));
}

static json_t *work_json(const struct bench_work *w, enum bench_kind kind)
{
	struct spread ratio = spread_of(w, kinds[kind].ratio);
	bool raw = !w->without_raw;
	json_t *object;
	int r = 0;

	if (w->n == 0)
		return json_null();
	object = json_object();
	r |= json_object_set_new(object, "size_bytes", output_json_number(kinds[kind].size_bytes));
	r |= json_object_set_new(object, "rounds", output_json_number(w->n));
	r |= json_object_set_new(object, kinds[kind].rate_key,
	    number(spread_of(w, kinds[kind].rate).median));
	r |= json_object_set_new(object, kinds[kind].raw_rate_key,
	    raw ? number(spread_of(w, kinds[kind].raw_rate).median) : json_null());
	r |= json_object_set_new(object, "ratio", raw ? number(ratio.median) : json_null());
	r |= json_object_set_new(object, "ratio_min", raw ? number(ratio.min) : json_null());
	r |= json_object_set_new(object, "ratio_max", raw ? number(ratio.max) : json_null());
	if (kind == BENCH_CALLS)
		r |= add_latency(object, w);
	r |= json_object_set_new(object, "cpu_seconds_per_gb",
	    number(spread_of(w, cpu_per_gb).median));
	r |= json_object_set_new(object, "raw_cpu_seconds_per_gb",
	    raw ? number(spread_of(w, raw_cpu_per_gb).median) : json_null());
	if (!raw)
		r |= json_object_set_new(object, "raw_error", output_json_text(w->raw_error.text));
	return output_json_built(object, r);
}

static json_t *path_json(const struct bench_path *p)
{
	json_t *object = json_object();
	int r = json_object_set_new(object, "way", json_string(p->way));

	r |= json_object_set_new(object, "host", output_json_text(p->host));
	r |= json_object_set_new(object, "remote", json_boolean(p->is_remote));
	for (int kind = 0; kind < BENCH_KINDS; kind++)
		r |= json_object_set_new(object, kinds[kind].key, work_json(&p->works[kind], kind));
	if (p->skipped[0])
		r |= json_object_set_new(object, "skipped", output_json_text(p->skipped));
	if (p->error.code)
		r |= json_object_set_new(object, "error", output_json_text(p->error.text));
	return output_json_built(object, r);
}

static json_t *comparison_json(const struct bench_report *report)
{
	json_t *object = json_object();
	struct spread s;
	int r = 0;

	for (int kind = 0; kind < BENCH_KINDS; kind++) {
		json_t *inner = json_null();

		if (compare_paths(report, kind, &s))
			inner = json_pack("{s:f, s:f, s:f}", "ratio", s.median, "ratio_min", s.min,
			    "ratio_max", s.max);
		r |= json_object_set_new(object, kinds[kind].key, inner);
	}
	return output_json_built(object, r);
}

int bench_print_json(const struct bench_report *report)
{
	json_t *paths = json_array();
	int r = 0;

	for (size_t i = 0; i < report->n_paths; i++)
		r |= json_array_append_new(paths, path_json(&report->paths[i]));
	return output_json(json_pack("{s:s, s:s, s:f, s:b, s:o, s:o}", "schema", "ipc9.bench/1",
	    "release", ipc9_version(), "time_s", report->time_s, "complete", report->complete,
	    "paths", output_json_built(paths, r), "local_to_remote", comparison_json(report)));
}
