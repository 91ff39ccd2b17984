/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_bench.c - bench.x promise by promise, and what the library measures with it, against a real daemon; and
 * the histogram that its times come from.
 */
#include "rpcgen-out/bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "client/ipc9.h"
#include "tests/daemon.h"
#include "tests/engine.h"
#include "tests/harness.h"
#include "transport/connect.h"
#include "util/clock.h"
#include "util/histogram.h"
#include "util/text.h"

/* Callers over TCP are let in, too. */
#define OPEN "allow = anyone read,write\n"

/* --- Calls ------------------------------------------------------------------------------------- */

static unsigned char payload[IPC9_BLOB_MAX];

static void fill(void)
{
	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (unsigned char)(i ^ i >> 8);
}

static void test_echo_gives_back_what_it_is_given_up_to_64_KiB(void)
{
	static const uint32_t sizes[] = { 0, 1, 64, 65535, IPC9_BENCH_ECHO_MAX };
	struct daemon_fixture d;

	fill();
	daemon_start(&d, OPEN);
	for (int local = 0; local < 2; local++) {
		CLIENT *c = daemon_client(&d, local, IPC9_PROG_BENCH);

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			ipc9_bench_echo_args args = { { payload, sizes[i], NULL } };
			ipc9_bench_echo_res res = { 0 };
			const ipc9_blob *back = &res.ipc9_bench_echo_res_u.ok.data;

			EQUAL(ipc9_benchproc_echo_1(&args, &res, c), RPC_SUCCESS);
			if (EQUAL(res.status, 0))
				SAME_BYTES(back->data, back->len, payload, sizes[i]);
			xdr_free((xdrproc_t)xdr_ipc9_bench_echo_res, &res);
		}
		clnt_destroy(c);
	}
	daemon_end(&d);
}

static void test_echo_refuses_a_byte_more(void)
{
	ipc9_bench_echo_args args = { { payload, IPC9_BENCH_ECHO_MAX + 1, NULL } };
	ipc9_bench_echo_res res = { 0 };
	struct daemon_fixture d;
	CLIENT *c;

	daemon_start(&d, "");
	c = daemon_client(&d, true, IPC9_PROG_BENCH);
	EQUAL(ipc9_benchproc_echo_1(&args, &res, c), RPC_SUCCESS);
	EQUAL(res.status, IPC9_STATUS_TOOBIG);
	EQUAL(res.ipc9_bench_echo_res_u.error.value, IPC9_BENCH_ECHO_MAX);
	xdr_free((xdrproc_t)xdr_ipc9_bench_echo_res, &res);
	clnt_destroy(c);
	daemon_end(&d);
}

static void test_sink_counts_up_to_a_full_payload(void)
{
	static const uint32_t sizes[] = { 0, 1, IPC9_BLOB_MAX };
	struct daemon_fixture d;
	CLIENT *c;

	daemon_start(&d, "");
	c = daemon_client(&d, true, IPC9_PROG_BENCH);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		ipc9_bench_sink_args args = { { payload, sizes[i], NULL } };
		ipc9_bench_sink_res res = { .status = -1 };

		EQUAL(ipc9_benchproc_sink_1(&args, &res, c), RPC_SUCCESS);
		EQUAL(res.status, 0);
		EQUAL(res.ipc9_bench_sink_res_u.ok.size_bytes, sizes[i]);
	}
	clnt_destroy(c);
	daemon_end(&d);
}

/* --- Raw connections --------------------------------------------------------------------------- */

static int ask(CLIENT *c, int kind, uint32_t size, uint32_t wait_ms, ipc9_bench_raw_res *ret)
{
	ipc9_bench_raw_args args = { kind, size, wait_ms };

	memset(ret, 0, sizeof(*ret));
	daemon_patience(c, 5000);
	EQUAL(ipc9_benchproc_raw_1(&args, ret, c), RPC_SUCCESS);
	return ret->status;
}

static void forget(ipc9_bench_raw_res *res)
{
	xdr_free((xdrproc_t)xdr_ipc9_bench_raw_res, res);
}

/* A status, and nothing else of interest. */
static int ask_status(CLIENT *c, int kind, uint32_t size)
{
	ipc9_bench_raw_res res;
	int status = ask(c, kind, size, 0, &res);

	forget(&res);
	return status;
}

/* The place that an answer tells, as the .x says. */
static struct address place_of(const ipc9_bench_raw_res *res, bool local)
{
	struct address a = { 0 };
	struct sockaddr_un *un = (struct sockaddr_un *)&a.storage;

	if (local) {
		un->sun_family = AF_UNIX;
		snprintf(un->sun_path + 1, 6, "%05x", res->ipc9_bench_raw_res_u.ok.port);
		a.len = offsetof(struct sockaddr_un, sun_path) + 6;
	} else {
		address_parse("127.0.0.1", (uint16_t)res->ipc9_bench_raw_res_u.ok.port, &a);
	}
	return a;
}

/* A blocking connection with patience; -1: refused. */
static int reach(const ipc9_bench_raw_res *res, bool local)
{
	const struct timeval patience = { 10, 0 };
	struct address a = place_of(res, local);
	int fd = socket(a.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (connect(fd, (struct sockaddr *)&a.storage, a.len) == 0)
		return fd;
	close(fd);
	return -1;
}

static bool send_key(int fd, const ipc9_bench_raw_res *res)
{
	const char *key = res->ipc9_bench_raw_res_u.ok.key;

	return raw_send(fd, key, IPC9_BENCH_KEY_SIZE);
}

/* Asks, connects, shows the key; checks that all of that works. */
static int open_raw(CLIENT *c, bool local, int kind, uint32_t size, uint32_t wait_ms)
{
	ipc9_bench_raw_res res;
	int fd = -1;

	if (EQUAL(ask(c, kind, size, wait_ms, &res), 0)) {
		fd = reach(&res, local);
		HOLDS(fd >= 0 && send_key(fd, &res));
	}
	forget(&res);
	return fd;
}

static bool is_ended(int fd)
{
	char byte;
	ssize_t n = recv(fd, &byte, 1, 0);

	return n == 0 || (n < 0 && errno == ECONNRESET);
}

static bool echoes(int fd, size_t size)
{
	unsigned char *back = calloc(1, size);
	bool same = raw_send(fd, payload, size) &&
	    recv(fd, back, size, MSG_WAITALL) == (ssize_t)size && memcmp(back, payload, size) == 0;

	free(back);
	return same;
}

static void test_a_raw_echo_gives_pieces_back(void)
{
	static const uint32_t sizes[] = { 1, 64, IPC9_BENCH_ECHO_MAX };
	struct daemon_fixture d;

	fill();
	daemon_start(&d, OPEN);
	for (int local = 0; local < 2; local++) {
		CLIENT *c = daemon_client(&d, local, IPC9_PROG_BENCH);

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			int fd = open_raw(c, local, IPC9_BENCH_RAW_ECHO, sizes[i], 0);

			for (int j = 0; j < 3; j++)
				HOLDS(echoes(fd, sizes[i]));
			shutdown(fd, SHUT_WR);
			HOLDS(is_ended(fd)); /* and with that its place is free */
			close(fd);
		}
		clnt_destroy(c);
	}
	daemon_end(&d);
}

static void test_a_raw_sink_counts_what_is_announced_again_and_again(void)
{
	static const uint64_t sizes[] = { 0, 1, 5 * IPC9_BLOB_MAX + 3 };
	struct daemon_fixture d;

	daemon_start(&d, OPEN);
	for (int local = 0; local < 2; local++) {
		CLIENT *c = daemon_client(&d, local, IPC9_PROG_BENCH);
		int fd = open_raw(c, local, IPC9_BENCH_RAW_SINK, 0, 0);

		for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
			uint64_t left = sizes[i];
			uint32_t number[2] = { htonl((uint32_t)(left >> 32)),
				htonl((uint32_t)left) };

			HOLDS(raw_send(fd, number, 8));
			while (left) {
				size_t n = left < sizeof(payload) ? (size_t)left : sizeof(payload);

				if (!HOLDS(raw_send(fd, payload, n)))
					break;
				left -= n;
			}
			EQUAL(recv(fd, number, 8, MSG_WAITALL), 8);
			EQUAL((uint64_t)ntohl(number[0]) << 32 | ntohl(number[1]), sizes[i]);
		}
		close(fd);
		clnt_destroy(c);
	}
	daemon_end(&d);
}

static void test_a_wrong_key_ends_a_raw_connection(void)
{
	char wrong[IPC9_BENCH_KEY_SIZE] = { 0 };
	ipc9_bench_raw_res res;
	struct daemon_fixture d;
	CLIENT *c;
	int fd;

	daemon_start(&d, "");
	c = daemon_client(&d, true, IPC9_PROG_BENCH);
	EQUAL(ask(c, IPC9_BENCH_RAW_ECHO, 1, 0, &res), 0);
	fd = reach(&res, true);
	memcpy(wrong, res.ipc9_bench_raw_res_u.ok.key, sizeof(wrong));
	wrong[15] ^= 1;
	HOLDS(raw_send(fd, wrong, sizeof(wrong)));
	HOLDS(is_ended(fd));
	close(fd);
	forget(&res);
	clnt_destroy(c);
	daemon_end(&d);
}

static void test_raw_kinds_and_sizes_out_of_range_are_refused(void)
{
	struct daemon_fixture d;
	CLIENT *c;

	daemon_start(&d, "");
	c = daemon_client(&d, true, IPC9_PROG_BENCH);
	EQUAL(ask_status(c, 0, 64), IPC9_STATUS_INVALID);
	EQUAL(ask_status(c, 3, 64), IPC9_STATUS_INVALID);
	EQUAL(ask_status(c, IPC9_BENCH_RAW_ECHO, 0), IPC9_STATUS_INVALID);
	EQUAL(ask_status(c, IPC9_BENCH_RAW_ECHO, IPC9_BENCH_ECHO_MAX + 1), IPC9_STATUS_INVALID);
	EQUAL(ask_status(c, IPC9_BENCH_RAW_ECHO, IPC9_BENCH_ECHO_MAX), IPC9_STATUS_OK);
	clnt_destroy(c);
	daemon_end(&d);
}

static bool has_place(void *client)
{
	return ask_status(client, IPC9_BENCH_RAW_SINK, 0) == IPC9_STATUS_OK;
}

static void test_a_third_raw_connection_is_refused_until_one_is_over(void)
{
	struct daemon_fixture d;
	ipc9_bench_raw_res res;
	CLIENT *a, *b;
	int fd;

	daemon_start(&d, OPEN);
	a = daemon_client(&d, true, IPC9_PROG_BENCH);
	b = daemon_client(&d, false, IPC9_PROG_BENCH);
	fd = open_raw(a, true, IPC9_BENCH_RAW_ECHO, 1, 0);
	EQUAL(ask_status(b, IPC9_BENCH_RAW_SINK, 0), 0); /* listens */
	EQUAL(ask(b, IPC9_BENCH_RAW_SINK, 0, 0, &res), IPC9_STATUS_QUOTA);
	EQUAL(res.ipc9_bench_raw_res_u.error.value, IPC9_BENCH_RAW_MAX);
	forget(&res);
	EQUAL(ask_status(a, IPC9_BENCH_RAW_SINK, 0), IPC9_STATUS_QUOTA);
	/* One that serves: its place is free when its peer sees the end. */
	shutdown(fd, SHUT_WR);
	HOLDS(is_ended(fd));
	close(fd);
	EQUAL(ask_status(a, IPC9_BENCH_RAW_SINK, 0), 0);
	EQUAL(ask_status(a, IPC9_BENCH_RAW_SINK, 0), IPC9_STATUS_QUOTA);
	/* One that listens goes with the connection that asked for it. */
	clnt_destroy(b);
	HOLDS(wait_until(has_place, a, 10000));
	clnt_destroy(a);
	daemon_end(&d);
}

static void test_a_raw_connection_goes_with_the_one_that_asked_for_it(void)
{
	struct daemon_fixture d;

	fill();
	daemon_start(&d, OPEN);
	for (int local = 0; local < 2; local++) {
		CLIENT *c = daemon_client(&d, local, IPC9_PROG_BENCH);
		int fd = open_raw(c, local, IPC9_BENCH_RAW_ECHO, 64, 0);

		HOLDS(echoes(fd, 64));
		clnt_destroy(c);
		HOLDS(is_ended(fd));
		close(fd);
	}
	daemon_end(&d);
}

struct listener {
	const ipc9_bench_raw_res *res;
	bool local;
};

static bool listens_no_more(void *context)
{
	const struct listener *l = context;
	int fd = reach(l->res, l->local);

	if (fd >= 0)
		close(fd);
	return fd < 0;
}

static void test_a_raw_listener_takes_one_connection(void)
{
	struct daemon_fixture d;
	ipc9_bench_raw_res res;

	fill();
	daemon_start(&d, OPEN);
	for (int local = 0; local < 2; local++) {
		CLIENT *c = daemon_client(&d, local, IPC9_PROG_BENCH);
		struct listener l = { &res, local };
		int fd;

		EQUAL(ask(c, IPC9_BENCH_RAW_ECHO, 1, 0, &res), 0);
		fd = reach(&res, local);
		HOLDS(send_key(fd, &res) && echoes(fd, 1));
		HOLDS(listens_no_more(&l));
		HOLDS(echoes(fd, 1));
		close(fd);
		forget(&res);
		clnt_destroy(c);
	}
	daemon_end(&d);
}

static void test_a_raw_listener_to_which_nobody_comes_is_gone_after_its_wait(void)
{
	struct daemon_fixture d;
	ipc9_bench_raw_res res;

	daemon_start(&d, OPEN);
	for (int local = 0; local < 2; local++) {
		CLIENT *c = daemon_client(&d, local, IPC9_PROG_BENCH);

		/* Two leave no place, and the third finds one when they are gone. */
		EQUAL(ask(c, IPC9_BENCH_RAW_ECHO, 1, 100, &res), 0);
		forget(&res);
		EQUAL(ask(c, IPC9_BENCH_RAW_ECHO, 1, 100, &res), 0);
		HOLDS(wait_until(has_place, c, 10000));
		HOLDS(wait_until(listens_no_more, &(struct listener){ &res, local }, 10000));
		forget(&res);
		clnt_destroy(c);
	}
	daemon_end(&d);
}

static void test_an_idle_raw_connection_is_closed_after_its_wait(void)
{
	static const int kinds[] = { IPC9_BENCH_RAW_ECHO, IPC9_BENCH_RAW_SINK };
	struct daemon_fixture d;
	CLIENT *c;

	daemon_start(&d, "");
	c = daemon_client(&d, true, IPC9_PROG_BENCH);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		int fd = open_raw(c, true, kinds[i], 64, 100);

		HOLDS(raw_send(fd, "half", 4));
		HOLDS(is_ended(fd));
		close(fd);
	}
	clnt_destroy(c);
	daemon_end(&d);
}

static void test_a_raw_connection_from_another_host_is_closed_and_the_listener_stays(void)
{
	struct address from, to;
	struct daemon_fixture d;
	ipc9_bench_raw_res res;
	CLIENT *c;
	int stranger, fd;

	fill();
	daemon_start(&d, OPEN);
	c = daemon_client(&d, false, IPC9_PROG_BENCH);
	EQUAL(ask(c, IPC9_BENCH_RAW_ECHO, 1, 0, &res), 0);
	to = place_of(&res, false);
	address_parse("127.0.0.2", 0, &from);
	stranger = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EQUAL(bind(stranger, (struct sockaddr *)&from.storage, from.len), 0);
	EQUAL(connect(stranger, (struct sockaddr *)&to.storage, to.len), 0);
	HOLDS(is_ended(stranger));
	fd = reach(&res, false);
	HOLDS(send_key(fd, &res) && echoes(fd, 1));
	close(stranger);
	close(fd);
	forget(&res);
	clnt_destroy(c);
	daemon_end(&d);
}

static void test_sigterm_ends_the_daemon_while_raw_connections_are_in_use(void)
{
	struct daemon_fixture d;
	CLIENT *c;
	int a, b;

	fill();
	daemon_start(&d, OPEN);
	c = daemon_client(&d, true, IPC9_PROG_BENCH);
	a = open_raw(c, true, IPC9_BENCH_RAW_ECHO, 64, 0);
	b = open_raw(c, true, IPC9_BENCH_RAW_SINK, 0, 0);
	HOLDS(echoes(a, 64));
	HOLDS(raw_send(b, "half", 4));
	daemon_end(&d);
	HOLDS(is_ended(a));
	HOLDS(is_ended(b));
	close(a);
	close(b);
	clnt_destroy(c);
}

/* --- The library ------------------------------------------------------------------------------- */

struct world {
	struct daemon_fixture daemon;
	struct ipc9 *ipc9;
	struct ipc9_error error;
	char tcp[64]; /* the daemon's name by TCP */
};

static void begin(struct world *w, const char *configuration)
{
	struct ipc9_options options = { .timeout_ms = 10000 };

	memset(w, 0, sizeof(*w));
	daemon_start(&w->daemon, configuration);
	text_format(w->tcp, sizeof(w->tcp), "//127.0.0.1:%u", w->daemon.port);
	options.socket = w->daemon.socket;
	EQUAL(ipc9_new(&options, &w->ipc9, &w->error), 0);
}

static void end(struct world *w)
{
	ipc9_free(w->ipc9);
	daemon_end(&w->daemon);
}

static void check_calls(const struct ipc9_bench_result *r, uint32_t size)
{
	HOLDS(r->calls > 0);
	EQUAL(r->bytes, r->calls * size);
	HOLDS(r->elapsed_ns >= 20000000);
	HOLDS(r->cpu_ns > 0);
	HOLDS(r->min_ns > 0 && r->min_ns <= r->p50_ns && r->p50_ns <= r->p90_ns);
	HOLDS(r->p90_ns <= r->p99_ns && r->p99_ns <= r->p999_ns && r->p999_ns <= r->max_ns);
	HOLDS(r->max_ns <= r->elapsed_ns);
}

static void check_stream(const struct ipc9_bench_result *r)
{
	HOLDS(r->calls > 0 && r->elapsed_ns > 0 && r->cpu_ns > 0);
	EQUAL(r->bytes, r->calls * IPC9_BENCH_PIECE_BYTES);
	EQUAL(r->max_ns, 0);
}

static void test_runs_of_calls_and_streams_and_of_their_raw_twins(void)
{
	struct ipc9_bench_result r;
	struct world w;

	begin(&w, OPEN);
	for (int local = 0; local < 2; local++) {
		struct ipc9_bench *b = NULL;

		if (!EQUAL(ipc9_bench_open(w.ipc9, local ? NULL : w.tcp, &b, &w.error), 0))
			break;
		EQUAL(ipc9_bench_is_local(b), local);
		/* Of different sizes, twice, and in turns with the others. */
		for (uint32_t size = 1; size <= IPC9_BENCH_CALL_BYTES; size *= 256) {
			EQUAL(ipc9_bench_calls(b, size, 20, &r, &w.error), 0);
			check_calls(&r, size);
			EQUAL(ipc9_bench_raw_calls(b, size, 20, &r, &w.error), 0);
			check_calls(&r, size);
			EQUAL(ipc9_bench_stream(b, 20, &r, &w.error), 0);
			check_stream(&r);
			EQUAL(ipc9_bench_raw_stream(b, 20, &r, &w.error), 0);
			check_stream(&r);
		}
		ipc9_bench_close(b);
	}
	end(&w);
}

static void test_runs_out_of_range_are_refused(void)
{
	struct ipc9_bench *b = NULL;
	struct ipc9_bench_result r;
	struct world w;

	begin(&w, "");
	EQUAL(ipc9_bench_open(w.ipc9, NULL, &b, &w.error), 0);
	EQUAL(ipc9_bench_calls(b, 0, 1, &r, &w.error), IPC9_E_INVALID);
	EQUAL(ipc9_bench_calls(b, IPC9_BENCH_CALL_BYTES + 1, 1, &r, &w.error), IPC9_E_INVALID);
	EQUAL(ipc9_bench_calls(b, 1, 0, &r, &w.error), IPC9_E_INVALID);
	EQUAL(ipc9_bench_raw_calls(b, IPC9_BENCH_CALL_BYTES + 1, 1, &r, &w.error), IPC9_E_INVALID);
	EQUAL(ipc9_bench_stream(b, IPC9_BENCH_RUN_MS + 1, &r, &w.error), IPC9_E_INVALID);
	EQUAL(ipc9_bench_raw_stream(b, -1, &r, &w.error), IPC9_E_INVALID);
	ipc9_bench_close(b);
	HOLDS(ipc9_bench_close(NULL) == NULL);
	end(&w);
}

static void test_three_who_measure_are_one_too_many_for_the_raw_reference(void)
{
	struct ipc9_bench *b[3] = { NULL };
	struct ipc9_bench_result r;
	struct world w;

	begin(&w, "");
	for (int i = 0; i < 3; i++)
		EQUAL(ipc9_bench_open(w.ipc9, NULL, &b[i], &w.error), 0);
	EQUAL(ipc9_bench_raw_calls(b[0], 64, 1, &r, &w.error), 0);
	EQUAL(ipc9_bench_raw_stream(b[1], 1, &r, &w.error), 0);
	EQUAL(ipc9_bench_raw_calls(b[2], 64, 1, &r, &w.error), IPC9_E_QUOTA);
	EQUAL(ipc9_bench_calls(b[2], 64, 1, &r, &w.error), 0);
	b[0] = ipc9_bench_close(b[0]); /* returns when its place is free */
	EQUAL(ipc9_bench_raw_calls(b[2], 64, 1, &r, &w.error), 0);
	ipc9_bench_close(b[1]);
	ipc9_bench_close(b[2]);
	end(&w);
}

static void test_measuring_needs_the_right_to_write(void)
{
	struct ipc9_bench *b = NULL;
	struct world w;

	begin(&w, "allow = anyone read\ndeny = anyone all\n");
	EQUAL(ipc9_bench_open(w.ipc9, w.tcp, &b, &w.error), IPC9_E_ACCESS);
	end(&w);
}

static void test_a_daemon_without_the_program_is_said_to_have_none(void)
{
	struct engine *engine = engine_start(NULL);
	struct ipc9_bench *b = NULL;
	struct ipc9_error error;
	struct ipc9 *ipc9 = NULL;
	char name[64];

	EQUAL(ipc9_new(NULL, &ipc9, &error), 0);
	text_format(name, sizeof(name), "//127.0.0.1:%u", engine_port(engine));
	EQUAL(ipc9_bench_open(ipc9, name, &b, &error), IPC9_E_UNSUPPORTED);
	HOLDS(strstr(error.text, "bench"));
	ipc9_free(ipc9);
	engine_stop(engine);
}

static void test_a_daemon_that_dies_ends_a_measurement_with_an_error(void)
{
	struct ipc9_bench *b = NULL;
	struct ipc9_bench_result r;
	struct world w;

	begin(&w, "");
	EQUAL(ipc9_bench_open(w.ipc9, NULL, &b, &w.error), 0);
	EQUAL(ipc9_bench_raw_calls(b, 64, 1, &r, &w.error), 0);
	daemon_kill(&w.daemon);
	EQUAL(ipc9_bench_raw_calls(b, 64, 1, &r, &w.error), IPC9_E_LOST);
	EQUAL(ipc9_bench_calls(b, 64, 1, &r, &w.error), IPC9_E_NODAEMON);
	EQUAL(ipc9_bench_stream(b, 1, &r, &w.error), IPC9_E_NODAEMON);
	ipc9_bench_close(b);
	ipc9_free(w.ipc9);
}

/* --- The histogram ----------------------------------------------------------------------------- */

static void test_percentiles_are_at_most_a_64th_above_the_truth(void)
{
	static const unsigned percentiles[] = { 1, 5000, 9000, 9900, 9990, 9999, 10000 };

	/* So scaled that all sizes of buckets are met; sorted as they come. */
	for (uint64_t scale = 1; scale < UINT64_C(1) << 30; scale *= 37) {
		struct histogram h = { 0 };

		for (uint64_t i = 1; i <= 20000; i++)
			histogram_add(&h, i * scale);
		for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++) {
			uint64_t truth = 2 * percentiles[i] * scale;
			uint64_t got = histogram_percentile(&h, percentiles[i]);

			HOLDS(got >= truth);
			HOLDS(got <= truth + truth / 64);
		}
		EQUAL(h.min, scale);
		EQUAL(h.max, 20000 * scale);
		EQUAL(h.n, 20000);
	}
}

static void test_percentiles_of_few_values_are_among_them(void)
{
	struct histogram h = { 0 };

	EQUAL(histogram_percentile(&h, 5000), 0);
	histogram_add(&h, 1000003);
	EQUAL(histogram_percentile(&h, 0), 1000003);
	EQUAL(histogram_percentile(&h, 5000), 1000003);
	EQUAL(histogram_percentile(&h, 9990), 1000003);
	histogram_add(&h, UINT64_MAX); /* beyond the last bucket */
	histogram_add(&h, 0);
	EQUAL(histogram_percentile(&h, 1), 0);
	HOLDS(histogram_percentile(&h, 10000) == UINT64_MAX);
	/* A third of three is one of them, and any more than that is two. */
	EQUAL(histogram_percentile(&h, 3333), 0);
	EQUAL(histogram_percentile(&h, 3334), histogram_percentile(&h, 6666));
	HOLDS(histogram_percentile(&h, 3334) >= 1000003);
}

SUITE(bench, TEST(test_echo_gives_back_what_it_is_given_up_to_64_KiB),
    TEST(test_echo_refuses_a_byte_more), TEST(test_sink_counts_up_to_a_full_payload),
    TEST(test_a_raw_echo_gives_pieces_back),
    TEST(test_a_raw_sink_counts_what_is_announced_again_and_again),
    TEST(test_a_wrong_key_ends_a_raw_connection),
    TEST(test_raw_kinds_and_sizes_out_of_range_are_refused),
    TEST(test_a_third_raw_connection_is_refused_until_one_is_over),
    TEST(test_a_raw_connection_goes_with_the_one_that_asked_for_it),
    TEST(test_a_raw_listener_takes_one_connection),
    TEST(test_a_raw_listener_to_which_nobody_comes_is_gone_after_its_wait),
    TEST(test_an_idle_raw_connection_is_closed_after_its_wait),
    TEST(test_a_raw_connection_from_another_host_is_closed_and_the_listener_stays),
    TEST(test_sigterm_ends_the_daemon_while_raw_connections_are_in_use),
    TEST(test_runs_of_calls_and_streams_and_of_their_raw_twins),
    TEST(test_runs_out_of_range_are_refused),
    TEST(test_three_who_measure_are_one_too_many_for_the_raw_reference),
    TEST(test_measuring_needs_the_right_to_write),
    TEST(test_a_daemon_without_the_program_is_said_to_have_none),
    TEST(test_a_daemon_that_dies_ends_a_measurement_with_an_error),
    TEST(test_percentiles_are_at_most_a_64th_above_the_truth),
    TEST(test_percentiles_of_few_values_are_among_them));
