/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * acl.c - ipc9 acl: get, set, test.
 *
 * What get writes set reads: owner and defaults are comments there.
 */
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/io.h"
#include "cli/output.h"
#include "cli/rules.h"
#include "client/ipc9.h"

#define EXIT_REFUSED 5
#define ACL_GROUPS_MAX 128 /* that a WHO may have */
#define ACL_WHO_BYTES 2048

static void acl_listing_freep(struct ipc9_acl_listing **listing)
{
	ipc9_acl_listing_free(*listing);
}

/* --- Get --------------------------------------------------------------------------------------- */

static json_t *acl_json_rules(const char *const *rules, size_t n)
{
	json_t *array = json_array();
	int r = 0;

	for (size_t i = 0; i < n; i++)
		r |= json_array_append_new(array, output_json_text(rules[i]));
	return output_json_built(array, r);
}

static int acl_print_text(const struct ipc9_acl_listing *listing)
{
	if (listing->owned)
		(void)printf("# owner: uid:%" PRIu32 "\n", listing->owner_uid);
	else
		(void)printf("# owner: none, an anonymous caller made it\n");
	if (!listing->given)
		(void)printf("# nobody gave it a list: %s\n",
		    listing->n_rules > 0 ? "these are the defaults" : "only the owner may use it");
	for (size_t i = 0; i < listing->n_rules; i++) {
		output_text(listing->rules[i]);
		(void)putchar('\n');
	}
	return output_flush();
}

static int acl_get(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(acl_listing_freep) struct ipc9_acl_listing *listing = NULL;
	struct ipc9_error error;

	if (ipc9_acl_get(ipc9, invocation_operand(invocation, 0), &listing, &error))
		return output_fail(invocation, &error);
	if (!invocation->json)
		return acl_print_text(listing);
	return output_json(json_pack("{s:o, s:b, s:o}", "owner_uid",
	    listing->owned ? json_integer((json_int_t)listing->owner_uid) : json_null(), "given",
	    listing->given, "rules", acl_json_rules(listing->rules, listing->n_rules)));
}

/* --- Set --------------------------------------------------------------------------------------- */

/* Takes the list from the one place where it is said.  0 or the exit status. */
static int acl_set_rules(const struct invocation *invocation, struct rules *rules)
{
	const char *file = invocation_text(invocation, "file");
	const char *operand = invocation_operand(invocation, 1);
	bool none = invocation_flag(invocation, "none");
	int status = rules_take_options(rules, invocation);

	if (status)
		return status;
	if (operand && strcmp(operand, "-") != 0) {
		output_error("one word too many: \"%s\"; rules are options, --allow 'WHO RIGHTS', "
			     "or lines on standard input (-)",
		    operand);
		return EXIT_USAGE;
	}
	if ((rules->n > 0) + (file != NULL) + (operand != NULL) + none != 1) {
		output_error("the new list is said in one way: --allow and --deny, --file, - for "
			     "standard input, or --none");
		return EXIT_USAGE;
	}
	if (file || operand)
		return rules_read(rules, file ? file : operand);
	return 0;
}

static int acl_set_to(struct ipc9 *ipc9, const struct invocation *invocation,
    const struct rules *rules)
{
	const char *const *lines = (const char *const *)rules->lines;
	struct ipc9_error error;

	if (ipc9_acl_set(ipc9, invocation_operand(invocation, 0), lines, rules->n, &error))
		return output_fail(invocation, &error);
	output_note(invocation, "%zu lines", rules->n);
	if (!invocation->json)
		return 0;
	return output_json(json_pack("{s:o}", "rules", acl_json_rules(lines, rules->n)));
}

static int acl_set(struct ipc9 *ipc9, const struct invocation *invocation)
{
	struct rules rules = { .lines = NULL };
	int status = acl_set_rules(invocation, &rules);

	if (status == 0)
		status = acl_set_to(ipc9, invocation, &rules);
	rules_clear(&rules);
	return status;
}

/* --- Test -------------------------------------------------------------------------------------- */

static const char *const acl_rights[] = { "read", "write", "create", "delete", "admin" };

#define ACL_RIGHTS (sizeof(acl_rights) / sizeof(acl_rights[0]))

struct acl_verdict {
	const char *right;
	struct ipc9_acl_verdict verdict;
};

/* A user of this host as the daemon wants to hear of them: uid, and groups as far as they fit. */
static int acl_describe_user(const struct invocation *invocation, const char *name,
    char who[ACL_WHO_BYTES])
{
	const struct passwd *user = getpwnam(name);
	gid_t groups[ACL_GROUPS_MAX];
	int n = ACL_GROUPS_MAX, size;

	if (!user) {
		output_error("there is no user \"%s\" on this host; a number is written uid:N",
		    name);
		return EXIT_USAGE;
	}
	if (getgrouplist(name, user->pw_gid, groups, &n) < 0) {
		output_warning(invocation, "%s has %d groups; the first %d are looked at", name, n,
		    ACL_GROUPS_MAX);
		n = ACL_GROUPS_MAX;
	}
	size = snprintf(who, ACL_WHO_BYTES, "uid:%u", (unsigned int)user->pw_uid);
	for (int i = 0; i < n; i++)
		size += snprintf(who + size, ACL_WHO_BYTES - (size_t)size, ",gid:%u",
		    (unsigned int)groups[i]);
	return 0;
}

/* WHO as typed: words with a colon are the daemon's to understand, others are names of users. */
static int acl_who(const struct invocation *invocation, char who[ACL_WHO_BYTES])
{
	const char *typed = invocation_operand(invocation, 1);

	who[0] = '\0';
	if (!typed)
		return 0;
	if (!strchr(typed, ':'))
		return acl_describe_user(invocation, typed, who);
	if (strlen(typed) >= ACL_WHO_BYTES) {
		output_error("WHO is longer than %d bytes", ACL_WHO_BYTES - 1);
		return EXIT_USAGE;
	}
	(void)snprintf(who, ACL_WHO_BYTES, "%s", typed);
	return 0;
}

static int acl_print_verdicts(const struct acl_verdict *verdicts, size_t n)
{
	static const char *const titles[] = { "RIGHT", "ALLOWED", "BY" };
	struct output_table *table;

	if (n == 1) {
		(void)printf("%s: ", verdicts->verdict.allowed ? "yes" : "no");
		output_text(verdicts->verdict.why);
		(void)putchar('\n');
		return output_flush();
	}
	table = output_table_new(titles, 3);
	for (size_t i = 0; i < n; i++) {
		output_table_text(table, verdicts[i].right);
		output_table_text(table, verdicts[i].verdict.allowed ? "yes" : "no");
		output_table_text(table, verdicts[i].verdict.why);
	}
	return output_table_end(table);
}

static int acl_json_verdicts(const struct acl_verdict *verdicts, size_t n)
{
	json_t *array = json_array();
	int r = 0;

	for (size_t i = 0; i < n; i++)
		r |= json_array_append_new(array,
		    json_pack("{s:s, s:b, s:o}", "right", verdicts[i].right, "allowed",
			verdicts[i].verdict.allowed, "by",
			output_json_text(verdicts[i].verdict.why)));
	return output_json(json_pack("{s:o}", "rights", output_json_built(array, r)));
}

static int acl_test(struct ipc9 *ipc9, const struct invocation *invocation)
{
	const char *one = invocation_text(invocation, "right");
	struct acl_verdict verdicts[ACL_RIGHTS];
	size_t n = one ? 1 : ACL_RIGHTS;
	char who[ACL_WHO_BYTES];
	struct ipc9_error error;
	bool all = true;
	int status = acl_who(invocation, who);

	for (size_t i = 0; status == 0 && i < n; i++) {
		verdicts[i].right = one ? one : acl_rights[i];
		if (ipc9_acl_test(ipc9, invocation_operand(invocation, 0), who, verdicts[i].right,
			&verdicts[i].verdict, &error))
			status = output_fail(invocation, &error);
		else
			all = all && verdicts[i].verdict.allowed;
	}
	if (status == 0)
		status = invocation->json ? acl_json_verdicts(verdicts, n)
					  : acl_print_verdicts(verdicts, n);
	return status == 0 && !all ? EXIT_REFUSED : status;
}

/* --- The noun ---------------------------------------------------------------------------------- */

static const struct option_row acl_set_options[] = {
	RULES_OPTION_ROWS,
	{ .name = "file",
	    .kind = OPTION_TEXT,
	    .value = "FILE",
	    .help = "take the lines from FILE (-: standard input)" },
	{ .name = "none", .help = "an empty list: only the owner may use it" },
	{ .name = NULL },
};

static const struct option_row acl_test_options[] = {
	{ .name = "right",
	    .kind = OPTION_TEXT,
	    .value = "RIGHT",
	    .help = "read, write, create, delete or admin (all of them)" },
	{ .name = NULL },
};

static const struct verb acl_verbs[] = {
	{ .name = "get",
	    .summary = "Writes an object's access list",
	    .operands = "//HOST/MECHANISM/NAME",
	    .min_operands = 1,
	    .max_operands = 1,
	    .json = true,
	    .run = acl_get,
	    .about =
		"One line each, as set reads them; the owner, and that nobody gave it a list, as comments.\n"
		"The owner may everything and stands in no line.\n" },
	{ .name = "set",
	    .summary = "Gives an object another access list",
	    .operands = "//HOST/MECHANISM/NAME [-]",
	    .min_operands = 1,
	    .max_operands = 2,
	    .json = true,
	    .options = acl_set_options,
	    .run = acl_set,
	    .about =
		"The whole list, in one step: lines in the order of the options, or those of a file.  WHO\n"
		"is anyone, local, uid:N, gid:N, user:PRINCIPAL or host:CIDR; RIGHTS is all, or some of\n"
		"read,write (of a mailslot write).  The first line that has both caller and right decides;\n"
		"behind the last nobody may.  What is open stays open.\n" },
	{ .name = "test",
	    .summary = "Tells whether somebody would be allowed something, and by which line",
	    .operands = "//HOST/MECHANISM/NAME [WHO]",
	    .min_operands = 1,
	    .max_operands = 2,
	    .json = true,
	    .options = acl_test_options,
	    .run = acl_test,
	    .about =
		"WHO is the name of a user of this host; or uid:N with any gid:N, and from:ADDRESS where\n"
		"they call from another host, separated by commas; or from:ADDRESS alone, an anonymous\n"
		"caller; without WHO yourself.  Status 0: allowed (all that was asked), 5: refused.\n" },
	{ .run = NULL },
};

static const struct example acl_examples[] = {
	{ .command = "ipc9 acl get //./pipe/sum", .what = "who may?" },
	{ .command = "ipc9 acl set //./pipe/sum --deny 'uid:1007 all' --allow 'local read,write'",
	    .what = "all users of this host but one" },
	{ .command = "ipc9 acl get //./pipe/sum | ipc9 acl set //./pipe/total -",
	    .what = "the same" },
	{ .command = "ipc9 acl test //./pipe/sum alice --right read", .what = "may alice?" },
	{ .command = NULL },
};

const struct noun acl_noun = {
	.name = "acl",
	.summary = "Who may do what with an object",
	.verbs = acl_verbs,
	.examples = acl_examples,
};
