/* SPDX-License-Identifier: BSD-3-Clause */
/* test_policy.c - what dispatch asks before a handler runs, and what the audit keeps of it. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/audit.h"
#include "server/daemon.h"
#include "server/dispatch.h"
#include "server/named.h"
#include "server/services.h"
#include "tests/daemon.h"
#include "tests/harness.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"

static struct caller caller_of(int how, bool local)
{
	struct caller c = { .how = how, .uid = 1000, .gid = 1000, .local = local };

	if (!local)
		EQUAL(address_parse("10.0.0.1", 999, &c.address), 0);
	return c;
}

/* --- Policy ------------------------------------------------------------------------------------ */

static void test_each_strength_admits_who_is_known_well_enough(void)
{
	static const struct {
		int how;
		bool local, any, identity, privacy;
	} cases[] = {
		{ IPC9_BY_NONE, false, true, false, false },
		{ IPC9_BY_CLAIM, false, true, true, false },
		{ IPC9_BY_KERBEROS, false, true, true, false },
		{ IPC9_BY_CERTIFICATE, false, true, true, false },
		{ IPC9_BY_KERNEL, true, true, true, true },
	};
	struct access a = { .daemon_uid = 900 };
	struct access_rule rule;
	char why[ACCESS_WHY_SIZE];

	SAME_TEXT(access_line_parse("allow anyone all", &rule), NULL);
	EQUAL(access_list_add(&a.rules, &rule), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct caller c = caller_of(cases[i].how, cases[i].local);
		struct procedure p = { .number = 1, .right = RIGHT_READ };

		EQUAL(dispatch_admits(&a, &p, &c, why), cases[i].any);
		p.strength = STRENGTH_IDENTITY;
		EQUAL(dispatch_admits(&a, &p, &c, why), cases[i].identity);
		if (!cases[i].identity)
			SAME_TEXT(why, "the procedure is for known callers");
		p.strength = STRENGTH_PRIVACY;
		EQUAL(dispatch_admits(&a, &p, &c, why), cases[i].privacy);
		if (!cases[i].privacy)
			SAME_TEXT(why, "the procedure is for known callers on a private way");
		/* Also where no right is asked for. */
		p.right = RIGHT_NONE;
		EQUAL(dispatch_admits(&a, &p, &c, why), cases[i].privacy);
	}
	access_list_clear(&a.rules);
}

static void test_who_is_known_still_needs_a_rule(void)
{
	const struct access a = { .daemon_uid = 900 };
	const struct procedure p = {
		.number = 1, .strength = STRENGTH_IDENTITY, .right = RIGHT_READ
	};
	struct caller claimed = caller_of(IPC9_BY_CLAIM, false);
	char why[ACCESS_WHY_SIZE];

	HOLDS(!dispatch_admits(&a, &p, &claimed, why));
	SAME_TEXT(why, "no line of the configuration allows it");
}

static void test_each_way_serves_what_the_flags_say(void)
{
	static const struct {
		unsigned number, flags;
		bool local, tcp, udp;
	} cases[] = {
		{ 0, 0, true, true, true },
		{ 1, 0, true, true, false },
		{ 1, PROCEDURE_LOCAL, true, false, false },
		{ 1, PROCEDURE_DATAGRAM, false, false, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct procedure p = { .number = cases[i].number, .flags = cases[i].flags };

		EQUAL(dispatch_is_served(&p, true, false), cases[i].local);
		EQUAL(dispatch_is_served(&p, false, false), cases[i].tcp);
		EQUAL(dispatch_is_served(&p, false, true), cases[i].udp);
	}
}

static void test_of_every_program_only_procedure_0_is_for_everybody(void)
{
	const struct access fresh = { .daemon_uid = 900 };
	struct caller stranger = caller_of(IPC9_BY_NONE, false);
	char why[ACCESS_WHY_SIZE];

	for (size_t i = 0; services[i]; i++)
		for (size_t k = 0; k < services[i]->n_procedures; k++) {
			const struct procedure *p = &services[i]->procedures[k];

			if (!EQUAL(dispatch_admits(&fresh, p, &stranger, why), p->number == 0))
				printf("  %s procedure %u\n", services[i]->name, p->number);
		}
}

static void test_a_list_names_every_right_that_is_asked_of_an_object(void)
{
	for (size_t i = 0; services[i]; i++) {
		const struct service *s = services[i];

		EQUAL(s->rights != 0, s->find != NULL);
		for (size_t k = 0; k < s->n_procedures; k++)
			if (s->procedures[k].object &&
			    !EQUAL(s->procedures[k].right & ~s->rights, 0))
				printf("  %s procedure %u\n", s->name, s->procedures[k].number);
	}
}

/* What comes back over UDP for an empty call; 0: nothing within a second. */
static size_t ask_by_datagram(int fd, uint32_t program, uint32_t procedure, size_t *ret_asked)
{
	const uint32_t call[10] = { htonl(7), 0, htonl(2), htonl(program), htonl(1),
		htonl(procedure) };
	unsigned char reply[2048];
	ssize_t n;

	*ret_asked = sizeof(call);
	EQUAL(send(fd, call, sizeof(call), 0), sizeof(call));
	n = recv(fd, reply, sizeof(reply), 0);
	return n < 0 ? 0 : (size_t)n;
}

static void test_a_datagram_brings_no_more_bytes_than_it_had(void)
{
	const struct timeval second = { 1, 0 };
	struct daemon_fixture d;
	struct address a;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	daemon_start(&d, "");
	address_parse("127.0.0.1", d.port, &a);
	EQUAL(connect(fd, (struct sockaddr *)&a.storage, a.len), 0);
	EQUAL(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof(second)), 0);
	for (size_t i = 0; services[i]; i++)
		for (uint32_t procedure = 0; procedure < 2; procedure++) {
			size_t asked,
			    got = ask_by_datagram(fd, services[i]->program, procedure, &asked);

			HOLDS(got > 0);
			HOLDS(got <= asked);
		}
	close(fd);
	daemon_end(&d);
}

/* --- Audit ------------------------------------------------------------------------------------- */

/* What was logged, after fd 2 was put aside. */
struct capture {
	FILE *file;
	int stderr_fd;
};

static void capture_begin(struct capture *c)
{
	c->file = tmpfile();
	c->stderr_fd = dup(STDERR_FILENO);
	if (HOLDS(c->file != NULL))
		dup2(fileno(c->file), STDERR_FILENO);
}

static void capture_end(struct capture *c)
{
	dup2(c->stderr_fd, STDERR_FILENO);
	close(c->stderr_fd);
	rewind(c->file);
}

#define FLOOD 10000

static void test_ten_thousand_refusals_are_ten_lines_a_second_and_their_number(void)
{
	static const struct procedure procedure = { .number = 3 };
	struct daemon d = { .refusals = 0 };
	struct request r = {
		.daemon = &d, .procedure = &procedure, .caller = caller_of(IPC9_BY_NONE, false)
	};
	int64_t began = clock_now();
	unsigned written = 0, told = 0, changed = 0, n;
	struct capture capture;
	char line[1200];
	const char *at;

	capture_begin(&capture);
	for (size_t i = 0; i < FLOOD; i++)
		audit_refusal(&r, NULL, RIGHT_READ, "no line of the configuration allows it");
	/* What an administrator did then is not lost among them. */
	audit_change(&r, "access list, 1 lines", NULL);
	audit_tidy(&d);
	audit_tidy(&d); /* nothing more to tell */
	capture_end(&capture);
	while (fgets(line, sizeof(line), capture.file)) {
		at = strstr(line, "audit: ");
		if (!HOLDS(at != NULL))
			continue;
		if (sscanf(at, "audit: refused held_back=%u", &n) == 1)
			told += n;
		else if (strstr(at, "audit: changed "))
			changed++;
		else if (HOLDS(strstr(at,
				   "audit: refused caller=anonymous known=no from=10.0.0.1 ") !=
			     NULL))
			written++;
	}
	fclose(capture.file);
	EQUAL(written + told, FLOOD);
	EQUAL(d.refusals, FLOOD);
	EQUAL(changed, 1);
	/* Of every second that was begun. */
	HOLDS(written >= LOG_LINES_PER_S);
	HOLDS(written <= LOG_LINES_PER_S * (unsigned)((clock_now() - began) / NS_PER_S + 2));
}

#define FIELDS_MAX 12

struct field {
	char key[20], value[600];
};

static int hex_at(const char *p)
{
	unsigned byte;

	return sscanf(p, "\\x%2x", &byte) == 1 ? (int)byte : -1;
}

/* Reads a quoted value behind its first mark; what follows it, or NULL. */
static const char *read_quoted(const char *p, char *value)
{
	while (*p && *p != '"') {
		if (*p != '\\') {
			*value++ = *p++;
		} else if (p[1] == '"' || p[1] == '\\') {
			*value++ = p[1];
			p += 2;
		} else if (hex_at(p) >= 0) {
			*value++ = (char)hex_at(p);
			p += 4;
		} else {
			return NULL;
		}
	}
	*value = '\0';
	return *p ? p + 1 : NULL;
}

/* How many lines of the log have a text; from its beginning. */
static unsigned count_lines(FILE *file, const char *text)
{
	char line[1200];
	unsigned n = 0;

	rewind(file);
	while (fgets(line, sizeof(line), file))
		n += strstr(line, text) != NULL;
	return n;
}

static void test_nobody_hides_in_the_audit_what_others_did(void)
{
	static const struct procedure procedure = { .number = 3 };
	struct daemon d = { .refusals = 0 };
	struct request r = { .daemon = &d, .procedure = &procedure };
	struct capture capture;
	char text[80];

	capture_begin(&capture);
	/* More hosts than there are places, and as many users. */
	for (unsigned i = 0; i < 2 * AUDIT_HOSTS; i++) {
		r.caller = (struct caller){ .how = IPC9_BY_NONE };
		text_format(text, sizeof(text), "10.0.1.%u", i);
		EQUAL(address_parse(text, 1, &r.caller.address), 0);
		for (int k = 0; k < 100; k++)
			audit_refusal(&r, NULL, RIGHT_READ, "flood");
	}
	for (uint32_t uid = 1000; uid < 1000 + AUDIT_USERS; uid++) {
		r.caller = (struct caller){ .how = IPC9_BY_KERNEL, .local = true, .uid = uid };
		for (int k = 0; k < 100; k++)
			audit_change(&r, "flood", NULL);
		audit_refusal(&r, NULL, RIGHT_READ, "once");
	}
	audit_tidy(&d);
	capture_end(&capture);
	EQUAL(count_lines(capture.file, "by=\"once\""), AUDIT_USERS);
	HOLDS(count_lines(capture.file, "from=10.0.1.3 service") >= LOG_LINES_PER_S);
	HOLDS(count_lines(capture.file, "what=\"flood\"") >= AUDIT_USERS * LOG_LINES_PER_S);
	EQUAL(count_lines(capture.file, "changed held_back="), AUDIT_USERS);
	EQUAL(count_lines(capture.file, " caller=uid:1063 from=local\n"), 1);
	EQUAL(count_lines(capture.file, "refused held_back="), AUDIT_HOSTS + 1);
	EQUAL(count_lines(capture.file, " from=10.0.1.15\n"), 1);
	HOLDS(count_lines(capture.file, "\n") <
	    2000); /* which is what places there are, and some seconds */
	fclose(capture.file);
	/* Who was summed up makes room for others. */
	capture_begin(&capture);
	r.caller = (struct caller){ .how = IPC9_BY_KERNEL, .local = true, .uid = 5 };
	d.audit_refusals.users[7].rate.began -= 2 * NS_PER_S;
	audit_refusal(&r, NULL, RIGHT_READ, "later");
	capture_end(&capture);
	EQUAL(count_lines(capture.file, "caller=uid:5 "), 1);
	EQUAL(d.audit_refusals.users[7].uid, 5);
	fclose(capture.file);
}

/* Reads the fields of an audit line by the grammar of ipc9d(8) and nothing else; how many, or -1. */
static int read_fields(const char *line, const char *kind, struct field fields[FIELDS_MAX])
{
	const char *p = strstr(line, "audit: ");
	int n = 0, len;

	if (!p || strncmp(p + 7, kind, strlen(kind)) != 0)
		return -1;
	p += 7 + strlen(kind);
	for (; *p == ' ' && n < FIELDS_MAX; n++) {
		if (sscanf(p, " %19[a-z_]=%n", fields[n].key, &len) != 1)
			return -1;
		p += len;
		if (*p == '"') {
			p = read_quoted(p + 1, fields[n].value);
		} else if (sscanf(p, "%599[^ \"\n]%n", fields[n].value, &len) == 1) {
			p += len;
		} else {
			return -1;
		}
		if (!p)
			return -1;
	}
	return strcmp(p, "\n") == 0 ? n : -1;
}

static void test_an_audit_line_is_read_in_one_way_whatever_a_name_says(void)
{
	static const char *const keys[] = { "caller", "known", "from", "service", "procedure",
		"right", "mechanism", "object", "by" };
	static const struct procedure procedure = { .number = 3 };
	char longest[2][256];
	const char *const hostile[] = { "plain", "x result=allowed", "a\" right=none object=\"b",
		"\\", "\\\"", "\"\\", "tail\\", "\"", " ", "a=b", "\\x22", "\xe2\x80\xae",
		"x\" by=\"the owner may everything\" caller=\"uid:0", "\xff\xfe", longest[0],
		longest[1] };
	struct daemon d = { .refusals = 0 };
	struct request r = {
		.daemon = &d, .procedure = &procedure, .caller = caller_of(IPC9_BY_CLAIM, false)
	};
	struct named named = { .service = services[0] };
	struct field fields[FIELDS_MAX];
	struct capture capture;
	char line[4000];

	for (size_t i = 0; i < 255; i++) {
		longest[0][i] = '"';
		longest[1][i] = "\xe2\x80\xa8"[i % 3];
	}
	longest[0][255] = longest[1][255] = '\0';
	for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++) {
		char name[256], why[ACCESS_WHY_SIZE];

		d.audit_refusals = (struct audit_rates){ 0 };
		text_format(name, sizeof(name), "%s", hostile[i]);
		text_format(why, sizeof(why), "deny user:%s all (list of the object)", hostile[i]);
		named.name = name;
		capture_begin(&capture);
		audit_refusal(&r, &named, RIGHT_WRITE, why);
		capture_end(&capture);
		if (!HOLDS(fgets(line, sizeof(line), capture.file) != NULL) ||
		    !EQUAL(read_fields(line, "refused", fields), sizeof(keys) / sizeof(keys[0]))) {
			printf("  %s\n", line);
			fclose(capture.file);
			continue;
		}
		HOLDS(!fgets(line, sizeof(line), capture.file));
		fclose(capture.file);
		for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
			SAME_TEXT(fields[k].key, keys[k]);
		SAME_TEXT(fields[0].value, "uid:1000");
		SAME_TEXT(fields[1].value, "claim");
		SAME_TEXT(fields[2].value, "10.0.0.1");
		SAME_TEXT(fields[5].value, "write");
		SAME_TEXT(fields[7].value, name);
		SAME_TEXT(fields[8].value, why);
	}
}

static void test_a_name_in_the_log_steers_no_terminal(void)
{
	struct capture capture;
	char line[400];

	capture_begin(&capture);
	log_notice("audit: pipe a\xe2\x80\xae"
		   "b\xc2\x9b"
		   "c\nd \xc3\xa9");
	capture_end(&capture);
	if (HOLDS(fgets(line, sizeof(line), capture.file) != NULL))
		HOLDS(strstr(line, "pipe a\\xe2\\x80\\xaeb\\xc2\\x9bc\\x0ad \xc3\xa9\n") != NULL);
	fclose(capture.file);
}

SUITE(policy, TEST(test_each_strength_admits_who_is_known_well_enough),
    TEST(test_who_is_known_still_needs_a_rule), TEST(test_each_way_serves_what_the_flags_say),
    TEST(test_of_every_program_only_procedure_0_is_for_everybody),
    TEST(test_a_list_names_every_right_that_is_asked_of_an_object),
    TEST(test_a_datagram_brings_no_more_bytes_than_it_had),
    TEST(test_ten_thousand_refusals_are_ten_lines_a_second_and_their_number),
    TEST(test_nobody_hides_in_the_audit_what_others_did),
    TEST(test_an_audit_line_is_read_in_one_way_whatever_a_name_says),
    TEST(test_a_name_in_the_log_steers_no_terminal));
