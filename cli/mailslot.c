/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mailslot.c - ipc9 mailslot: read, send, info, ls.
 *
 * read creates the slot and is its server while it runs; what it has not read vanishes with it.
 */
#include <inttypes.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/io.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/rules.h"
#include "client/ipc9.h"

static void mailslot_closep(struct ipc9_mailslot **slot)
{
	ipc9_mailslot_close(*slot);
}

static void mailslot_listing_freep(struct ipc9_mailslot_listing **listing)
{
	ipc9_mailslot_listing_free(*listing);
}

/* --- Read -------------------------------------------------------------------------------------- */

struct mailslot_reader {
	const struct invocation *invocation;
	struct ipc9_mailslot *slot;
	uint8_t *buffer;   /* one byte longer than a message, for the newline */
	size_t size_bytes; /* of the longest message */
	long long left;	   /* messages still to be read; negative: without end */
	bool newlines;	   /* one after each message */
};

static int mailslot_write_json(const struct mailslot_reader *reader,
    const struct ipc9_mailslot_message *message)
{
	json_t *object = json_pack("{s:o, s:o, s:b, s:o, s:I}", "size_bytes",
	    output_json_number(message->size_bytes), "sender",
	    output_json_identity(&message->sender), "broadcast", message->broadcast, "arrived_us",
	    output_json_number(message->arrived_us), "waiting", (json_int_t)message->waiting);
	int r = output_json_data(object, reader->buffer, message->size_bytes);

	return output_json(output_json_built(object, r));
}

static int mailslot_write_message(const struct mailslot_reader *reader,
    const struct ipc9_mailslot_message *message)
{
	size_t size = message->size_bytes;
	char sender[OUTPUT_IDENTITY_BYTES];

	output_identity(&message->sender, sender);
	output_note(reader->invocation, "%zu bytes, %s%s, %" PRIu32 " more waiting", size, sender,
	    message->broadcast ? ", broadcast" : "", message->waiting);
	if (reader->invocation->json)
		return mailslot_write_json(reader, message);
	if (reader->newlines)
		reader->buffer[size++] = '\n';
	return output_data(reader->buffer, size);
}

/* Reads until there were enough messages.  0 or the exit status. */
static int mailslot_read_messages(struct mailslot_reader *reader)
{
	struct ipc9_mailslot_message message;
	struct ipc9_error error;

	while (reader->left != 0) {
		int status;

		if (ipc9_mailslot_read(reader->slot, reader->buffer, reader->size_bytes, &message,
			&error))
			return output_fail(reader->invocation, &error);
		status = mailslot_write_message(reader, &message);
		if (status)
			return status;
		if (reader->left > 0)
			reader->left--;
	}
	return 0;
}

/* Makes the slot and reads from it; what the options say of its access list is in rules. */
static int mailslot_serve(struct ipc9 *ipc9, const struct invocation *invocation,
    const struct rules *rules)
{
	_cleanup_(mailslot_closep) struct ipc9_mailslot *slot = NULL;
	_cleanup_(io_freep) uint8_t *buffer = NULL;
	bool follow = invocation_flag(invocation, "follow");
	long long count = invocation_number(invocation, "count", 1);
	long long size = invocation_number(invocation, "max-message", IPC9_MESSAGE_BYTES);
	struct ipc9_mailslot_options options = {
		.max_message_bytes = (uint32_t)size,
		.read_timeout_ms = (int)invocation_number(invocation, "timeout", IPC9_FOREVER),
		.rules = (const char *const *)rules->lines,
		.n_rules = rules->n,
	};
	struct mailslot_reader reader;
	struct ipc9_error error;

	buffer = malloc((size_t)size + 1);
	if (!buffer)
		return output_no_memory();
	if (ipc9_mailslot_create(ipc9, invocation_operand(invocation, 0), &options, &slot, &error))
		return output_fail(invocation, &error);
	output_note(invocation, "%s is there", invocation_operand(invocation, 0));
	reader = (struct mailslot_reader){
		.invocation = invocation,
		.slot = slot,
		.buffer = buffer,
		.size_bytes = (size_t)size,
		.left = follow ? -1 : count,
		.newlines = follow || count > 1,
	};
	return mailslot_read_messages(&reader);
}

static int mailslot_read(struct ipc9 *ipc9, const struct invocation *invocation)
{
	struct rules rules = { .lines = NULL };
	int status;

	if (invocation_flag(invocation, "follow") && invocation_text(invocation, "count")) {
		output_error("--follow and --count exclude each other");
		return EXIT_USAGE;
	}
	status = rules_take_options(&rules, invocation);
	if (status == 0)
		status = mailslot_serve(ipc9, invocation, &rules);
	rules_clear(&rules);
	return status;
}

/* --- Send -------------------------------------------------------------------------------------- */

static int mailslot_send_bytes(struct ipc9 *ipc9, const struct invocation *invocation,
    const void *data, size_t size_bytes)
{
	const char *name = invocation_operand(invocation, 0);
	struct ipc9_error error;

	if (ipc9_mailslot_send(ipc9, name, data, size_bytes, &error))
		return output_fail(invocation, &error);
	output_note(invocation, "%zu bytes sent to %s", size_bytes, name);
	return 0;
}

static int mailslot_send(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(io_freep) void *buffer = NULL;
	const void *message;
	size_t size;
	int status = message_take(invocation, 1, &buffer, &message, &size);

	return status ? status : mailslot_send_bytes(ipc9, invocation, message, size);
}

/* --- Info and listing -------------------------------------------------------------------------- */

/* A server that set no limit of its own has the common one. */
static uint32_t mailslot_max_bytes(const struct ipc9_mailslot_info *info)
{
	return info->max_message_bytes != 0 ? info->max_message_bytes : IPC9_MESSAGE_BYTES;
}

static json_t *mailslot_json_info(const struct ipc9_mailslot_info *info)
{
	json_t *timeout =
	    info->read_timeout_ms < 0 ? json_null() : json_integer(info->read_timeout_ms);

	return json_pack("{s:o, s:o, s:I, s:o, s:I, s:o, s:I, s:o, s:o}", "name",
	    output_json_text(info->name), "owner", output_json_identity(&info->owner),
	    "max_message_bytes", (json_int_t)mailslot_max_bytes(info), "read_timeout_ms", timeout,
	    "waiting", (json_int_t)info->waiting, "waiting_bytes",
	    output_json_number(info->waiting_bytes), "next_bytes", (json_int_t)info->next_bytes,
	    "received", output_json_number(info->received), "refused",
	    output_json_number(info->refused));
}

static int mailslot_print_info(const struct ipc9_mailslot_info *info)
{
	char owner[OUTPUT_IDENTITY_BYTES];

	output_identity(&info->owner, owner);
	(void)printf("name:            ");
	output_text(info->name);
	(void)printf("\nowner:           ");
	output_text(owner);
	(void)printf("\nmaximum message: %" PRIu32 " bytes\n", mailslot_max_bytes(info));
	if (info->read_timeout_ms < 0)
		(void)printf("read timeout:    none\n");
	else
		(void)printf("read timeout:    %d ms\n", info->read_timeout_ms);
	(void)printf("waiting:         %" PRIu32 " messages, %" PRIu64 " bytes\n", info->waiting,
	    info->waiting_bytes);
	if (info->waiting > 0)
		(void)printf("next message:    %" PRIu32 " bytes\n", info->next_bytes);
	(void)printf("received:        %" PRIu64 "\n", info->received);
	(void)printf("refused:         %" PRIu64 "\n", info->refused);
	return output_flush();
}

static int mailslot_info(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(mailslot_listing_freep) struct ipc9_mailslot_listing *listing = NULL;
	struct ipc9_error error;

	if (ipc9_mailslot_info(ipc9, invocation_operand(invocation, 0), &listing, &error))
		return output_fail(invocation, &error);
	if (listing->n_slots == 0)
		return EXIT_NOTHING; /* the contract says one */
	if (invocation->json)
		return output_json(mailslot_json_info(&listing->slots[0]));
	return mailslot_print_info(&listing->slots[0]);
}

static int mailslot_list_json(const struct ipc9_mailslot_listing *listing)
{
	json_t *slots = json_array();
	int r = 0;

	for (size_t i = 0; i < listing->n_slots; i++)
		r |= json_array_append_new(slots, mailslot_json_info(&listing->slots[i]));
	return output_json(json_pack("{s:o}", "slots", output_json_built(slots, r)));
}

static int mailslot_list_table(const struct ipc9_mailslot_listing *listing)
{
	static const char *const titles[] = { "WAITING", "WAITING_BYTES", "MAX_BYTES", "RECEIVED",
		"REFUSED", "OWNER", "NAME" };
	const size_t n_columns = sizeof(titles) / sizeof(titles[0]);
	struct output_table *table = output_table_new(titles, n_columns);

	for (size_t i = 0; i < listing->n_slots; i++) {
		const struct ipc9_mailslot_info *info = &listing->slots[i];
		char owner[OUTPUT_IDENTITY_BYTES];

		output_owner(&info->owner, owner);
		output_table_number(table, info->waiting);
		output_table_number(table, info->waiting_bytes);
		output_table_number(table, mailslot_max_bytes(info));
		output_table_number(table, info->received);
		output_table_number(table, info->refused);
		output_table_text(table, owner);
		output_table_text(table, info->name);
	}
	return output_table_end(table);
}

static int mailslot_list(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(mailslot_listing_freep) struct ipc9_mailslot_listing *listing = NULL;
	struct ipc9_error error;

	if (ipc9_mailslot_list(ipc9, invocation_operand(invocation, 0), &listing, &error))
		return output_fail(invocation, &error);
	return invocation->json ? mailslot_list_json(listing) : mailslot_list_table(listing);
}

/* --- The noun ---------------------------------------------------------------------------------- */

static const struct option_row mailslot_read_options[] = {
	RULES_OPTION_ROWS,
	{ .name = "count",
	    .kind = OPTION_NUMBER,
	    .value = "N",
	    .minimum = 1,
	    .maximum = INT_MAX,
	    .help = "read N messages (1)" },
	{ .name = "follow", .help = "read messages without end" },
	{ .name = "max-message",
	    .kind = OPTION_NUMBER,
	    .value = "N",
	    .minimum = 1,
	    .maximum = IPC9_MESSAGE_BYTES,
	    .help = "refuse messages longer than N bytes (1048576)" },
	{ .name = "timeout",
	    .kind = OPTION_NUMBER,
	    .value = "MS",
	    .maximum = INT_MAX,
	    .help = "wait at most MS ms for each message, then end with status 3 (for ever)" },
	{ .name = NULL },
};

static const struct verb mailslot_verbs[] = {
	{ .name = "read",
	    .summary = "Creates a mailslot on this host and writes out what arrives",
	    .operands = "NAME",
	    .min_operands = 1,
	    .max_operands = 1,
	    .json = true,
	    .options = mailslot_read_options,
	    .run = mailslot_read,
	    .about =
		"The message's bytes and nothing else; with --count above 1, or --follow, a newline after\n"
		"each.  With --json one object per message: size_bytes, sender, broadcast, arrived_us,\n"
		"waiting, and data, or data_base64 if it is not UTF-8.  The slot, and what waits in it,\n"
		"vanishes when the command ends.\n" },
	{ .name = "send",
	    .summary = "Sends a message to a mailslot of a host, or of all hosts",
	    .operands = "//HOST/mailslot/NAME [MESSAGE]",
	    .min_operands = 1,
	    .max_operands = 2,
	    .run = mailslot_send,
	    .about =
		"Without MESSAGE all of standard input is the message.  To one host: status 0 means that it\n"
		"is in the slot, at most 1048576 bytes.  To //@/mailslot/NAME, every host of our domain: at\n"
		"most 400 bytes, and status 0 means that it was sent.\n" },
	{ .name = "info",
	    .summary = "Tells about one mailslot",
	    .operands = "//HOST/mailslot/NAME",
	    .min_operands = 1,
	    .max_operands = 1,
	    .json = true,
	    .run = mailslot_info },
	{ .name = "ls",
	    .summary = "Lists the mailslots of a host",
	    .operands = "[//HOST]",
	    .max_operands = 1,
	    .json = true,
	    .run = mailslot_list },
	{ .run = NULL },
};

static const struct example mailslot_examples[] = {
	{ .command = "ipc9 mailslot read news --follow", .what = "be a slot until interrupted" },
	{ .command = "ipc9 mailslot send //alpha/mailslot/news 'hello'", .what = "to one host" },
	{ .command = "ipc9 mailslot send //@/mailslot/news 'hello, all'", .what = "to every host" },
	{ .command = "ipc9 slot read jobs --timeout 5000 || echo none",
	    .what = "wait five seconds" },
	{ .command = "ipc9 slot read news --follow --json | jq -r .data", .what = "for programs" },
	{ .command = "ipc9 slot ls //alpha", .what = "what is there" },
	{ .command = NULL },
};

const struct noun mailslot_noun = {
	.name = "mailslot",
	.alias = "slot",
	.summary = "One-way messages to a named slot, on one host or on all",
	.verbs = mailslot_verbs,
	.examples = mailslot_examples,
};
