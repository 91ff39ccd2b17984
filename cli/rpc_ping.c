/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc_ping.c - ipc9 rpc ping: procedure 0, which every program answers, and how long the answers take.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/io.h"
#include "cli/output.h"
#include "cli/rpc.h"
#include "util/clock.h"
#include "util/text.h"

struct rpc_pings {
	int64_t *times; /* ns of those answered */
	size_t n_answered, n_sent;
	int64_t busy; /* ns spent in calls, answered or not */
	int failed;   /* the exit status of what ended it early, or 0 */
};

/* --- Calling ----------------------------------------------------------------------------------- */

static void rpc_ping_pause(long long ms)
{
	struct timespec left = clock_timespec(ms * NS_PER_MS);

	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		continue;
}

static void rpc_ping_calls(const struct invocation *invocation, CLIENT *client,
    const struct rpc_target *target, struct rpc_pings *pings)
{
	long long count = invocation_number(invocation, "count", 10);
	long long interval = invocation_number(invocation, "interval", 100);
	struct timeval timeout = rpc_timeout(invocation);

	while (pings->n_sent < (size_t)count && pings->failed == 0) {
		int64_t start = clock_now(), took;
		enum clnt_stat stat;

		if (pings->n_sent > 0)
			rpc_ping_pause(interval);
		start = clock_now();
		stat = clnt_call(client, NULLPROC, (xdrproc_t)rpc_nothing_xdr, NULL,
		    (xdrproc_t)rpc_nothing_xdr, NULL, timeout);
		took = clock_now() - start;
		pings->n_sent++;
		pings->busy += took;
		if (stat == RPC_SUCCESS) {
			pings->times[pings->n_answered++] = took;
			output_note(invocation, "call %zu: %.1f us", pings->n_sent,
			    (double)took / 1000);
		} else if (stat == RPC_TIMEDOUT) {
			output_note(invocation, "call %zu: no answer", pings->n_sent);
		} else {
			pings->failed = rpc_fail(client, target);
		}
	}
}

/* --- Showing ----------------------------------------------------------------------------------- */

static int rpc_ping_order(const void *a, const void *b)
{
	const int64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/* The time, in us, that so many of a hundred calls did not exceed: the smallest such. */
static double rpc_ping_percentile(const struct rpc_pings *pings, unsigned percent)
{
	size_t rank = (pings->n_answered * percent + 99) / 100;

	return (double)pings->times[rank > 0 ? rank - 1 : 0] / 1000;
}

static double rpc_ping_rate(const struct rpc_pings *pings)
{
	return (double)pings->n_answered * (double)NS_PER_S /
	    (double)(pings->busy > 0 ? pings->busy : 1);
}

static int rpc_ping_json(const struct rpc_target *target, const struct rpc_pings *pings)
{
	json_t *object = json_pack("{s:o, s:I, s:I, s:b, s:I, s:I, s:I}", "host",
	    output_json_text(target->text), "program", (json_int_t)target->program, "version",
	    (json_int_t)target->version, "udp", target->udp, "sent", (json_int_t)pings->n_sent,
	    "answered", (json_int_t)pings->n_answered, "lost",
	    (json_int_t)(pings->n_sent - pings->n_answered));
	static const struct {
		const char *key;
		unsigned percent;
	} rows[] = { { "min_us", 0 }, { "p50_us", 50 }, { "p90_us", 90 }, { "p99_us", 99 },
		{ "max_us", 100 } };
	int r = 0;

	for (size_t i = 0; pings->n_answered > 0 && i < sizeof(rows) / sizeof(rows[0]); i++)
		r |= json_object_set_new(object, rows[i].key,
		    json_real(rpc_ping_percentile(pings, rows[i].percent)));
	if (pings->n_answered > 0)
		r |= json_object_set_new(object, "calls_per_s", json_real(rpc_ping_rate(pings)));
	return output_json(output_json_built(object, r));
}

static int rpc_ping_text(const struct rpc_target *target, const struct rpc_pings *pings)
{
	const char *name = rpc_program_name(target->program);

	output_text(target->text);
	(void)printf(": program %u", target->program);
	if (name) {
		(void)printf(" (");
		output_text(name);
		(void)printf(")");
	}
	(void)printf(" version %u%s: %zu sent, %zu answered, %zu lost\n", target->version,
	    target->udp ? " over UDP" : "", pings->n_sent, pings->n_answered,
	    pings->n_sent - pings->n_answered);
	if (pings->n_answered > 0)
		(void)printf("us: min %.1f, p50 %.1f, p90 %.1f, p99 %.1f, max %.1f; %.0f calls/s\n",
		    rpc_ping_percentile(pings, 0), rpc_ping_percentile(pings, 50),
		    rpc_ping_percentile(pings, 90), rpc_ping_percentile(pings, 99),
		    rpc_ping_percentile(pings, 100), rpc_ping_rate(pings));
	return output_flush();
}

/* --- The verb ---------------------------------------------------------------------------------- */

/* The lowest version of a program that is registered; 1 if there is none, or nobody to ask. */
static uint32_t rpc_ping_version(const struct invocation *invocation, const struct rpc_host *host,
    uint32_t program)
{
	struct rpc_listing listing = { .n = 0 };
	uint32_t version = 1;

	if (!host->asks_rpcbind)
		return version;
	if (rpc_listing_get(invocation, host, true, &listing) == 0)
		for (size_t i = listing.n; i > 0; i--)
			if (listing.rows[i - 1].program == program)
				version = listing.rows[i - 1].version; /* they are sorted */
	rpc_listing_clear(&listing);
	return version;
}

static int rpc_ping_target(const struct invocation *invocation, struct rpc_target *target)
{
	const char *program = invocation_operand(invocation, 1);
	const char *version = invocation_operand(invocation, 2);
	struct rpc_host host;
	int status = rpc_host_parse(invocation, invocation_operand(invocation, 0), &host);

	if (status)
		return status;
	*target =
	    (struct rpc_target){ .text = host.text, .udp = invocation_flag(invocation, "udp") };
	if (rpc_program_parse(program, &target->program) < 0) {
		output_error(
		    "there is no program \"%s\"; a number is fine too, and ipc9 rpc ls shows "
		    "what a host has",
		    program);
		return EXIT_USAGE;
	}
	if (version && rpc_number_parse(version, &target->version) < 0) {
		output_error("\"%s\" is no version; it is a number up to 4294967295", version);
		return EXIT_USAGE;
	}
	if (!version)
		target->version = rpc_ping_version(invocation, &host, target->program);
	return 0;
}

/* All were lost, or something else ended it: the exit status, the first already explained. */
static int rpc_ping_outcome(const struct rpc_target *target, const struct rpc_pings *pings)
{
	if (pings->failed)
		return pings->failed;
	if (pings->n_answered > 0)
		return 0;
	output_error("%.200s: program %u version %u: no answer in time; --timeout says how long to "
		     "wait",
	    target->text, target->program, target->version);
	return EXIT_UNREACHED;
}

int rpc_run_ping(struct ipc9 *ipc9, const struct invocation *invocation)
{
	size_t count = (size_t)invocation_number(invocation, "count", 10);
	_cleanup_(io_freep) int64_t *times = calloc(count, sizeof(*times));
	struct rpc_pings pings = { .times = times };
	struct rpc_target target;
	CLIENT *client = NULL;
	int status = rpc_ping_target(invocation, &target), shown = 0;

	(void)ipc9;
	if (!times)
		return output_no_memory();
	if (status == 0)
		status = rpc_connect(invocation, &target, false, &client);
	if (status)
		return status;
	rpc_ping_calls(invocation, client, &target, &pings);
	clnt_destroy(client);
	if (pings.n_answered > 0)
		qsort(times, pings.n_answered, sizeof(*times), rpc_ping_order);
	if (pings.failed == 0 || pings.n_answered > 0)
		shown = invocation->json ? rpc_ping_json(&target, &pings)
					 : rpc_ping_text(&target, &pings);
	status = rpc_ping_outcome(&target, &pings);
	return status ? status : shown;
}
