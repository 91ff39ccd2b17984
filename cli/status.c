/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status.c - ipc9 status: what a daemon tells of itself, and who it takes us for.
 */
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

#include "cli/commands.h"
#include "cli/io.h"
#include "cli/output.h"
#include "client/ipc9.h"

static void status_freep(struct ipc9_status **status)
{
	ipc9_status_free(*status);
}

static json_t *status_json_addresses(const struct ipc9_status *status)
{
	json_t *array = json_array();
	int r = 0;

	for (size_t i = 0; i < status->n_addresses; i++)
		r |= json_array_append_new(array, output_json_text(status->addresses[i]));
	return output_json_built(array, r);
}

static json_t *status_json_counters(const struct ipc9_status *status)
{
	json_t *object = json_object();

	/* A name that is not UTF-8, which cannot be a key, is none of ours. */
	for (size_t i = 0; i < status->n_counters; i++)
		(void)json_object_set_new(object, status->counters[i].name,
		    output_json_number(status->counters[i].value));
	return object;
}

static int status_print_json(const struct ipc9_status *status)
{
	return output_json(json_pack("{s:o, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "release",
	    output_json_text(status->release), "host", output_json_text(status->host), "domain",
	    output_json_text(status->domain), "uptime_ms", output_json_number(status->uptime_ms),
	    "pid", (json_int_t)status->pid, "addresses", status_json_addresses(status), "rpcbind",
	    output_json_text(status->rpcbind), "you", output_json_identity(&status->you),
	    "counters", status_json_counters(status)));
}

static void status_print_line(const char *title, const char *text)
{
	(void)printf("%-10s", title);
	output_text(text);
	(void)putchar('\n');
}

static void status_print_uptime(uint64_t uptime_ms)
{
	uint64_t seconds = uptime_ms / 1000;

	(void)printf("%-10s", "uptime:");
	if (seconds >= 86400)
		(void)printf("%" PRIu64 " d ", seconds / 86400);
	(void)printf("%02" PRIu64 ":%02" PRIu64 ":%02" PRIu64 "\n", seconds / 3600 % 24,
	    seconds / 60 % 60, seconds % 60);
}

static int status_print_text(const struct ipc9_status *status)
{
	char text[OUTPUT_IDENTITY_BYTES];

	status_print_line("host:", status->host);
	status_print_line("release:", status->release);
	status_print_line("domain:", status->domain);
	(void)printf("%-10s%" PRIu32 "\n", "pid:", status->pid);
	status_print_uptime(status->uptime_ms);
	for (size_t i = 0; i < status->n_addresses; i++)
		status_print_line(i == 0 ? "address:" : "", status->addresses[i]);
	status_print_line("rpcbind:", status->rpcbind);
	output_identity(&status->you, text);
	status_print_line("you:", text);
	if (status->n_counters > 0)
		(void)printf("counters:\n");
	for (size_t i = 0; i < status->n_counters; i++) {
		(void)printf("%12" PRIu64 "  ", status->counters[i].value);
		output_text(status->counters[i].name);
		(void)putchar('\n');
	}
	return output_flush();
}

static int status_run(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(status_freep) struct ipc9_status *status = NULL;
	struct ipc9_error error;

	if (ipc9_status(ipc9, invocation_operand(invocation, 0), &status, &error))
		return output_fail(invocation, &error);
	return invocation->json ? status_print_json(status) : status_print_text(status);
}

static const struct verb status_verbs[] = {
	{ .summary = "Shows how the daemon of a host is, and who it takes you for",
	    .operands = "[//HOST]",
	    .max_operands = 1,
	    .json = true,
	    .run = status_run,
	    .about = "Without //HOST the daemon of this host, reached over its local socket.\n" },
	{ .run = NULL },
};

static const struct example status_examples[] = {
	{ .command = "ipc9 status", .what = "is it there?" },
	{ .command = "ipc9 status //alpha", .what = "can alpha be reached, and who am I there?" },
	{ .command = "ipc9 status --json | jq .counters", .what = "numbers for a monitor" },
	{ .command = NULL },
};

const struct noun status_noun = {
	.name = "status",
	.summary = "How a daemon is",
	.verbs = status_verbs,
	.examples = status_examples,
};
