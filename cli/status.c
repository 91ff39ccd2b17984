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
#include "cli/status.h"
#include "client/ipc9.h"
#include "util/text.h"

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

/* --- Quotas ------------------------------------------------------------------------------------ */

static void quota_listing_freep(struct ipc9_quota_listing **listing)
{
	ipc9_quota_listing_free(*listing);
}

static json_t *quota_json_use(const struct ipc9_quota_use *use, const char *share)
{
	return json_pack("{s:o, s:o}", "used", output_json_number(use->used), share,
	    output_json_number(use->share));
}

static json_t *quota_json_info(const struct ipc9_quota_info *info, const char *share)
{
	return json_pack("{s:o, s:o, s:o, s:o}", "objects", quota_json_use(&info->objects, share),
	    "bytes", quota_json_use(&info->bytes, share), "waiting",
	    quota_json_use(&info->waiting, share), "connections",
	    quota_json_use(&info->connections, share));
}

static int quota_print_json(const struct ipc9_quota_listing *listing)
{
	json_t *users = json_array();
	int r = 0;

	for (size_t i = 0; i < listing->n_users; i++) {
		json_t *user = quota_json_info(&listing->users[i], "share");

		r |= json_object_set_new(user, "who", output_json_identity(&listing->users[i].who));
		r |= json_array_append_new(users, user);
	}
	return output_json(json_pack("{s:o, s:o}", "host", quota_json_info(&listing->host, "total"),
	    "users", output_json_built(users, r)));
}

static void quota_add_use(struct output_table *table, const struct ipc9_quota_use *use)
{
	char text[48];

	text_format(text, sizeof(text), "%" PRIu64 "/%" PRIu64, use->used, use->share);
	output_table_text(table, text);
}

static void quota_add_row(struct output_table *table, const struct ipc9_quota_info *info,
    const char *who)
{
	quota_add_use(table, &info->objects);
	quota_add_use(table, &info->bytes);
	quota_add_use(table, &info->waiting);
	quota_add_use(table, &info->connections);
	output_table_text(table, who);
}

static int quota_print_table(const struct ipc9_quota_listing *listing)
{
	static const char *const titles[] = { "OBJECTS", "BYTES", "WAITING", "CONNECTIONS", "WHO" };
	const size_t n_columns = sizeof(titles) / sizeof(titles[0]);
	struct output_table *table = output_table_new(titles, n_columns);

	for (size_t i = 0; i < listing->n_users; i++) {
		char who[OUTPUT_IDENTITY_BYTES];

		output_identity(&listing->users[i].who, who);
		quota_add_row(table, &listing->users[i], who);
	}
	quota_add_row(table, &listing->host, "all, of the total");
	return output_table_end(table);
}

static int quota_run(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(quota_listing_freep) struct ipc9_quota_listing *listing = NULL;
	struct ipc9_error error;

	if (ipc9_quota_list(ipc9, invocation_operand(invocation, 0), &listing, &error))
		return output_fail(invocation, &error);
	return invocation->json ? quota_print_json(listing) : quota_print_table(listing);
}

/* --- The noun ---------------------------------------------------------------------------------- */

static int status_run(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(status_freep) struct ipc9_status *status = NULL;
	struct ipc9_error error;

	if (invocation_flag(invocation, "rpc"))
		return status_rpc_run(invocation);
	if (invocation_flag(invocation, "quota"))
		return quota_run(ipc9, invocation);
	if (ipc9_status(ipc9, invocation_operand(invocation, 0), &status, &error))
		return output_fail(invocation, &error);
	return invocation->json ? status_print_json(status) : status_print_text(status);
}

static const struct option_row status_option_rows[] = {
	{ .name = "quota", .help = "show who uses how much, and what their shares are" },
	{ .name = "rpc", .help = "show which RPC servers of this host get calls by shared memory" },
	{ .name = NULL },
};

static const struct verb status_verbs[] = {
	{ .summary = "Shows how the daemon of a host is, and who it takes you for",
	    .operands = "[//HOST]",
	    .max_operands = 1,
	    .json = true,
	    .options = status_option_rows,
	    .run = status_run,
	    .about =
		"Without //HOST the daemon of this host, reached over its local socket.\n"
		"\n"
		"--quota shows, as USED/SHARE, what you use; to those with the right admin, what each\n"
		"user and each anonymous host uses. A share is what they may have now, at most half\n"
		"of what the others leave (ipc9d.conf(5)).\n"
		"\n"
		"--rpc asks no daemon but the programs that rpcbind here has with netid local: how many\n"
		"connections and calls come by shared memory and how many by the socket, and how many clients\n"
		"were refused memory and why. Columns and words: ipc9-control(1).\n" },
	{ .run = NULL },
};

static const struct example status_examples[] = {
	{ .command = "ipc9 status", .what = "is it there?" },
	{ .command = "ipc9 status //alpha", .what = "can alpha be reached, and who am I there?" },
	{ .command = "ipc9 status --quota", .what = "how much of it do I use?" },
	{ .command = "ipc9 status --rpc", .what = "do calls here go by shared memory?" },
	{ .command = "ipc9 status --json | jq .counters", .what = "numbers for a monitor" },
	{ .command = NULL },
};

const struct noun status_noun = {
	.name = "status",
	.summary = "How a daemon is",
	.verbs = status_verbs,
	.examples = status_examples,
};
