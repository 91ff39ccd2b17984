/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench.c - measuring the way to a daemon, over bench.x: the calls, and what measuring calls and raw
 * sockets have in common.
 *
 * Both sides of a comparison go through the same loops here, so that what the loops cost is in both.
 */
#include "client/bench.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/error.h"
#include "util/clock.h"
#include "util/histogram.h"

#define WARM_UP_PART 8 /* of a run's time is spent on the warm-up */
#define WARM_UP_CALLS 1000
#define SLOWEST_BYTES_PER_MS 32 /* a link on which full windows are still answered in time */

LINK_ASSERT_RESULTS(ipc9_bench_echo_res);
LINK_ASSERT_RESULTS(ipc9_bench_sink_res);

_Static_assert(IPC9_BENCH_CALL_BYTES == IPC9_BENCH_ECHO_MAX &&
	IPC9_BENCH_PIECE_BYTES == IPC9_BLOB_MAX,
    "the limits of ipc9.h are those of bench.x");

static const struct link_procedure echo_procedure = {
	.number = IPC9_BENCHPROC_ECHO,
	.loss = LINK_LOSS_UNDONE,
	LINK_TYPES(ipc9_bench_echo_args, ipc9_bench_echo_res),
};
static const struct link_procedure sink_procedure = {
	.number = IPC9_BENCHPROC_SINK,
	.loss = LINK_LOSS_UNDONE,
	LINK_TYPES(ipc9_bench_sink_args, ipc9_bench_sink_res),
};

/* --- Opening and closing ----------------------------------------------------------------------- */

/* Whether the daemon serves bench.x, and us. */
static int look(struct ipc9_bench *b, struct ipc9_error *e)
{
	int64_t deadline = context_deadline(b->link.ipc9);
	ipc9_bench_echo_args args = { .data = { b->data, 1, NULL } };
	ipc9_bench_echo_res res = { 0 };
	struct link_try try;
	int r = link_open(&b->link, deadline, e);

	if (r)
		return r;
	link_try(&b->link, &echo_procedure, &args, &res, deadline, &try);
	if (try.stat == RPC_PROGUNAVAIL)
		return error_set(e, IPC9_E_UNSUPPORTED,
		    "%s: its ipc9d has nothing to measure with (no program bench); update it",
		    b->link.target.who);
	r = link_explain(&b->link, &echo_procedure, &try, &res, e);
	if (!r)
		xdr_free(echo_procedure.results, &res);
	return r;
}

int ipc9_bench_open(struct ipc9 *ipc9, const char *host, struct ipc9_bench **ret,
    struct ipc9_error *e)
{
	struct ipc9_bench *b;
	struct target target;
	int r = target_host(host, "bench", &target, e);

	if (r)
		return r;
	b = calloc(1, sizeof(*b));
	if (!b)
		return error_set_own(e, -ENOMEM);
	link_init(&b->link, ipc9, IPC9_PROG_BENCH, &target, true);
	b->raw.fd = -1;
	b->data = malloc(IPC9_BLOB_MAX);
	if (!b->data) {
		ipc9_bench_close(b);
		return error_set_own(e, -ENOMEM);
	}
	/* No run of equal bytes, so that what is verified cannot be right by chance. */
	for (uint32_t i = 0; i < IPC9_BLOB_MAX; i++)
		b->data[i] = (unsigned char)(i ^ i >> 8 ^ i >> 16);
	r = look(b, e);
	if (r) {
		ipc9_bench_close(b);
		return r;
	}
	*ret = b;
	return 0;
}

bool ipc9_bench_is_local(const struct ipc9_bench *b)
{
	return b->link.target.local;
}

struct ipc9_bench *ipc9_bench_close(struct ipc9_bench *b)
{
	if (!b)
		return NULL;
	bench_raw_close(b);
	link_close(&b->link);
	free(b->data);
	free(b);
	return NULL;
}

/* --- Measuring --------------------------------------------------------------------------------- */

static int64_t cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int check_duration(const struct ipc9_bench *b, int duration_ms, struct ipc9_error *e)
{
	if (duration_ms >= 1 && duration_ms <= IPC9_BENCH_RUN_MS)
		return 0;
	return error_set(e, IPC9_E_INVALID, "%s: a run of %d ms; it must be 1 to %d",
	    b->link.target.subject, duration_ms, IPC9_BENCH_RUN_MS);
}

static int check_calls(const struct ipc9_bench *b, uint32_t size, int duration_ms,
    struct ipc9_error *e)
{
	if (size < 1 || size > IPC9_BENCH_CALL_BYTES)
		return error_set(e, IPC9_E_INVALID, "%s: calls of %u bytes; it must be 1 to %d",
		    b->link.target.subject, size, IPC9_BENCH_CALL_BYTES);
	return check_duration(b, duration_ms, e);
}

static int warm_up_calls(struct ipc9_bench *b, bench_exchange_fn *exchange, uint32_t size,
    int64_t ns, struct ipc9_error *e)
{
	int64_t end = clock_now() + ns;
	int r = 0;

	for (int i = 0; !r && i < WARM_UP_CALLS && clock_now() < end; i++)
		r = exchange(b, size, e);
	return r;
}

static void tell_latency(const struct histogram *h, struct ipc9_bench_result *result)
{
	result->min_ns = h->min;
	result->p50_ns = histogram_percentile(h, 5000);
	result->p90_ns = histogram_percentile(h, 9000);
	result->p99_ns = histogram_percentile(h, 9900);
	result->p999_ns = histogram_percentile(h, 9990);
	result->max_ns = h->max;
}

int bench_measure_calls(struct ipc9_bench *b, bench_exchange_fn *exchange, uint32_t size,
    int duration_ms, struct ipc9_bench_result *ret, struct ipc9_error *e)
{
	int64_t ns = duration_ms * NS_PER_MS, begin, last, now, cpu;
	struct histogram h = { 0 };
	int r = check_calls(b, size, duration_ms, e);

	if (!r)
		r = warm_up_calls(b, exchange, size, ns / WARM_UP_PART, e);
	cpu = cpu_now();
	begin = last = now = clock_now();
	/* One look at the clock for each: a call lasts from the end of the one before. */
	for (; !r && now - begin < ns; last = now) {
		r = exchange(b, size, e);
		now = clock_now();
		histogram_add(&h, (uint64_t)(now - last));
	}
	if (r)
		return r;
	*ret = (struct ipc9_bench_result){
		.calls = h.n,
		.bytes = h.n * size,
		.elapsed_ns = (uint64_t)(now - begin),
		.cpu_ns = (uint64_t)(cpu_now() - cpu),
	};
	tell_latency(&h, ret);
	return 0;
}

/* How much goes in ns, found out by sending more and more. */
static int warm_up_stream(struct ipc9_bench *b, bench_transfer_fn *transfer, int64_t ns,
    uint64_t *ret_bytes, struct ipc9_error *e)
{
	uint64_t pieces = 1;

	for (;;) {
		int64_t begin = clock_now(), took;
		int r = transfer(b, pieces * IPC9_BLOB_MAX, e);

		if (r)
			return r;
		took = clock_now() - begin;
		if (took >= ns / WARM_UP_PART) {
			pieces = (uint64_t)((double)pieces * (double)ns / (double)took);
			*ret_bytes = (pieces ? pieces : 1) * IPC9_BLOB_MAX;
			return 0;
		}
		pieces *= 2;
	}
}

int bench_measure_stream(struct ipc9_bench *b, bench_transfer_fn *transfer, int duration_ms,
    struct ipc9_bench_result *ret, struct ipc9_error *e)
{
	int64_t begin, cpu;
	uint64_t bytes = 0;
	int r = check_duration(b, duration_ms, e);

	if (!r)
		r = warm_up_stream(b, transfer, duration_ms * NS_PER_MS, &bytes, e);
	cpu = cpu_now();
	begin = clock_now();
	if (!r)
		r = transfer(b, bytes, e);
	if (r)
		return r;
	*ret = (struct ipc9_bench_result){
		.calls = bytes / IPC9_BLOB_MAX,
		.bytes = bytes,
		.elapsed_ns = (uint64_t)(clock_now() - begin),
		.cpu_ns = (uint64_t)(cpu_now() - cpu),
	};
	return 0;
}

/* --- Calls ------------------------------------------------------------------------------------- */

static int exchange(struct ipc9_bench *b, uint32_t size, struct ipc9_error *e)
{
	ipc9_bench_echo_args args = { .data = { b->data, size, NULL } };
	ipc9_bench_echo_res res;
	const ipc9_blob *back = &res.ipc9_bench_echo_res_u.ok.data;
	int r =
	    link_call(&b->link, &echo_procedure, &args, &res, context_deadline(b->link.ipc9), e);

	if (r)
		return r;
	if (back->len != size || memcmp(back->data, b->data, size) != 0)
		r = error_set(e, IPC9_E_MISMATCH, "%s: what came back is not what was sent",
		    b->link.target.subject);
	xdr_free(echo_procedure.results, &res);
	return r;
}

int ipc9_bench_calls(struct ipc9_bench *b, uint32_t size, int duration_ms,
    struct ipc9_bench_result *ret, struct ipc9_error *e)
{
	return bench_measure_calls(b, exchange, size, duration_ms, ret, e);
}

/* --- Stream ------------------------------------------------------------------------------------ */

/* A full window may take its time on a slow link. */
static int64_t window_deadline(const struct ipc9_bench *b)
{
	return link_wait_deadline(&b->link, LINK_WINDOW * IPC9_BLOB_MAX / SLOWEST_BYTES_PER_MS);
}

static int send_piece(struct ipc9_bench *b, struct link_window *w, struct ipc9_error *e)
{
	ipc9_bench_sink_args args = { .data = { b->data, IPC9_BLOB_MAX, NULL } };
	ipc9_bench_sink_res res = { 0 };
	struct link_try try;

	if (link_window_send(&b->link, w, &sink_procedure, &args, window_deadline(b), &try))
		return 0;
	return link_explain(&b->link, &sink_procedure, &try, &res, e);
}

static int collect_piece(struct ipc9_bench *b, struct link_window *w, uint64_t *counted,
    struct ipc9_error *e)
{
	ipc9_bench_sink_res res;
	struct link_try try;
	int r;

	link_window_wait(&b->link, w, &sink_procedure, &res, window_deadline(b), &try);
	r = link_explain(&b->link, &sink_procedure, &try, &res, e);
	if (r)
		return r;
	*counted += res.ipc9_bench_sink_res_u.ok.size_bytes;
	xdr_free(sink_procedure.results, &res);
	return 0;
}

static int transfer(struct ipc9_bench *b, uint64_t bytes, struct ipc9_error *e)
{
	struct link_window w = { .n = 0 };
	uint64_t sent = 0, counted = 0;
	int r = link_open(&b->link, context_deadline(b->link.ipc9), e);

	while (!r && (sent < bytes || w.n)) {
		if (sent == bytes || w.n == LINK_WINDOW) {
			r = collect_piece(b, &w, &counted, e);
			continue;
		}
		r = send_piece(b, &w, e);
		sent += IPC9_BLOB_MAX;
	}
	if (b->link.channel)
		link_window_forget(&b->link, &w);
	if (!r && counted != bytes)
		r = error_set(e, IPC9_E_MISMATCH,
		    "%s: %llu bytes were sent, and %llu counted over there", b->link.target.subject,
		    (unsigned long long)bytes, (unsigned long long)counted);
	return r;
}

int ipc9_bench_stream(struct ipc9_bench *b, int duration_ms, struct ipc9_bench_result *ret,
    struct ipc9_error *e)
{
	return bench_measure_stream(b, transfer, duration_ms, ret, e);
}
