/* SPDX-License-Identifier: BSD-3-Clause */
/* test_util.c - text, names, gather lists, SipHash, the log. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/harness.h"
#include "util/clock.h"
#include "util/gather.h"
#include "util/log.h"
#include "util/name.h"
#include "util/siphash.h"
#include "util/text.h"

/* --- text -------------------------------------------------------------------------------------- */

static void test_utf8_is_told_from_what_is_not(void)
{
	static const struct {
		const char *text;
		bool good;
	} cases[] = {
		{ "", true },
		{ "plain", true },
		{ "\xc3\xa9", true },
		{ "\xe2\x82\xac", true },
		{ "\xf0\x9f\x98\x80", true },
		{ "\x80", false },
		{ "\xc3", false },
		{ "\xc0\xaf", false },	       /* overlong '/' */
		{ "\xe0\x80\xaf", false },     /* overlong, three bytes */
		{ "\xed\xa0\x80", false },     /* a surrogate */
		{ "\xf4\x90\x80\x80", false }, /* above U+10FFFF */
		{ "\xf5\x80\x80\x80", false },
		{ "a\xe2\x82", false },
		{ "\xc3(", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!EQUAL(text_is_utf8(cases[i].text, strlen(cases[i].text)), cases[i].good))
			printf("  case %zu\n", i);
}

static void test_control_characters_are_found(void)
{
	HOLDS(text_has_control("a\nb", 3));
	HOLDS(text_has_control("\x7f", 1));
	HOLDS(text_has_control("\xc2\x9b", 2)); /* U+009B, a C1 control */
	HOLDS(text_has_control("", 1));
	HOLDS(!text_has_control("\xc2\xa0", 2)); /* U+00A0 is none */
	HOLDS(!text_has_control("plain \xc3\xa9", 8));
}

static void test_quoted_text_has_one_end_and_keeps_every_byte(void)
{
	static const struct {
		const char *text, *quoted;
	} cases[] = {
		{ "", "\"\"" },
		{ "a b=c", "\"a b=c\"" },
		{ "a\"b\\", "\"a\\\"b\\\\\"" },
		{ "\xc3\xa9\n", "\"\xc3\xa9\\x0a\"" },
		{ "\xe2\x80\xae.", "\"\\xe2\\x80\\xae.\"" },
		{ "\xc3\xa9\xff", "\"\\xc3\\xa9\\xff\"" },
	};
	char quoted[TEXT_QUOTED_SIZE(8)];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		text_quote(cases[i].text, quoted, sizeof(quoted));
		SAME_TEXT(quoted, cases[i].quoted);
	}
	text_quote("\n\n\n", quoted, TEXT_QUOTED_SIZE(3));
	SAME_TEXT(quoted, "\"\\x0a\\x0a\\x0a\"");
	text_quote("\n\n\n", quoted, TEXT_QUOTED_SIZE(3) - 1);
	SAME_TEXT(quoted, "\"\\x0a\\x0a\"");
}

SUITE(text, TEST(test_quoted_text_has_one_end_and_keeps_every_byte),
    TEST(test_utf8_is_told_from_what_is_not), TEST(test_control_characters_are_found));

/* --- name -------------------------------------------------------------------------------------- */

static void test_names_parse_into_host_port_and_object(void)
{
	static const struct {
		const char *text;
		enum name_scope scope;
		const char *host;
		int port;
		const char *object;
	} cases[] = {
		{ "x", NAME_LOCAL, "", 0, "x" },
		{ "a/b", NAME_LOCAL, "", 0, "a/b" },
		{ "//./pipe/x", NAME_LOCAL, "", 0, "x" },
		{ "//h2/pipe/x", NAME_HOST, "h2", 0, "x" },
		{ "//h2/PIPE/x", NAME_HOST, "h2", 0, "x" },
		{ "//h2:99/pipe/a/b/c", NAME_HOST, "h2", 99, "a/b/c" },
		{ "//[fe80::1%eth0]:7/pipe/x", NAME_HOST, "fe80::1%eth0", 7, "x" },
		{ "//[::1]", NAME_HOST, "::1", 0, "" },
		{ "//h2", NAME_HOST, "h2", 0, "" },
		{ "//h2/", NAME_HOST, "h2", 0, "" },
		{ "//@/pipe/x", NAME_DOMAIN, "", 0, "x" },
		{ "//*/pipe/x", NAME_DOMAIN, "", 0, "x" },
		{ "//@lab/pipe/x", NAME_DOMAIN, "lab", 0, "x" },
		{ "\\\\h2\\pipe\\a/b\\c", NAME_HOST, "h2", 0, "a/b\\c" },
		{ "\\\\.\\pipe\\x", NAME_LOCAL, "", 0, "x" },
		{ "//h2/pipe/..", NAME_HOST, "h2", 0, ".." },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct name name;
		const char *why = name_parse(cases[i].text, "pipe", &name);

		if (!SAME_TEXT(why, NULL))
			continue;
		EQUAL(name.scope, cases[i].scope);
		SAME_TEXT(name.host, cases[i].host);
		EQUAL(name.port, cases[i].port);
		SAME_TEXT(name.object, cases[i].object);
	}
}

static void test_short_names_of_mechanisms_are_taken_and_others_refused(void)
{
	struct name name;

	HOLDS(!name_parse("//h/clip/x", "clipboard", &name));
	HOLDS(!name_parse("//h/slot/x", "mailslot", &name));
	HOLDS(name_parse("//h/slot/x", "pipe", &name) != NULL);
	HOLDS(name_parse("//h/pip/x", "pipe", &name) != NULL);
}

static void test_a_name_tells_its_mechanism(void)
{
	static const char *const none[] = { "", "x", "//", "//h", "//h/", "//h/pip/x", "//h//x",
		"/h/pipe/x", "//h\\pipe\\x" };

	SAME_TEXT(name_mechanism("//h/pipe/x"), "pipe");
	SAME_TEXT(name_mechanism("\\\\h\\SLOT\\a/b"), "mailslot");
	SAME_TEXT(name_mechanism("//[::1]:5/clip/a/pipe/b"), "clipboard");
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		SAME_TEXT(name_mechanism(none[i]), NULL);
}

static void test_malformed_names_are_refused_with_a_reason(void)
{
	static const char *const bad[] = { "//", "///pipe/x", "//h:/pipe/x", "//h:0/pipe/x",
		"//h:65536/pipe/x", "//h:1x/pipe/x", "//[::1/pipe/x", "//[]/pipe/x",
		"//[::1]x/pipe/x", "//h/pipe", "//h/pipe/", "//h h/pipe/x", "//h\n/pipe/x",
		"//.:5/pipe/x", "//:5/pipe/x" };
	char longer[600];
	struct name name;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		if (!HOLDS(name_parse(bad[i], "pipe", &name) != NULL))
			printf("  %s\n", bad[i]);
	memset(longer, 'x', sizeof(longer));
	longer[255] = '\0';
	HOLDS(!name_parse(longer, "pipe", &name));
	longer[255] = 'x';
	longer[256] = '\0';
	HOLDS(name_parse(longer, "pipe", &name) != NULL);
	memcpy(longer, "//", 2);
	longer[255] = longer[256] = 'x';
	longer[300] = '\0';
	HOLDS(name_parse(longer, "pipe", &name) != NULL);
}

static void test_objects_are_checked(void)
{
	HOLDS(!name_check_object("x", false));
	HOLDS(!name_check_object("..", false));
	HOLDS(!name_check_object("~", true));
	HOLDS(name_check_object("~", false) != NULL);
	HOLDS(name_check_object("@x", false) != NULL);
	HOLDS(name_check_object("", false) != NULL);
	HOLDS(name_check_object("a\tb", false) != NULL);
	HOLDS(name_check_object("\xff", false) != NULL);
}

SUITE(name, TEST(test_names_parse_into_host_port_and_object), TEST(test_a_name_tells_its_mechanism),
    TEST(test_short_names_of_mechanisms_are_taken_and_others_refused),
    TEST(test_malformed_names_are_refused_with_a_reason), TEST(test_objects_are_checked));

/* --- gather ------------------------------------------------------------------------------------ */

/* What a gather would send, through a socket pair; size at most what the sockets hold. */
static size_t drain(struct gather *g, unsigned char *to, size_t room)
{
	size_t n = 0;
	int fds[2];

	EQUAL(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	while (g->size) {
		HOLDS(gather_send(g, fds[0]) > 0);
		n += (size_t)read(fds[1], to + n, room - n);
	}
	close(fds[0]);
	while (n < room) {
		ssize_t more = read(fds[1], to + n, room - n);

		if (more <= 0)
			break;
		n += (size_t)more;
	}
	close(fds[1]);
	return n;
}

static void test_pieces_leave_in_order_whether_copied_or_referred_to(void)
{
	struct bytes *block = bytes_new(10000);
	unsigned char want[40000], got[40000];
	struct gather g;
	size_t n = 0;

	gather_init(&g);
	memset(block->data, 'r', 10000);
	for (int i = 0; i < 20; i++) {
		EQUAL(gather_copy(&g, "copied", 6), 0);
		memcpy(want + n, "copied", 6), n += 6;
		EQUAL(gather_refer(&g, block->data + i, 100, block), 0);
		memset(want + n, 'r', 100), n += 100;
	}
	EQUAL(g.size, n);
	SAME_BYTES(got, drain(&g, got, sizeof(got)), want, n);
	EQUAL(block->refs, 1);
	bytes_unref(block);
	gather_clear(&g);
}

static void test_borrowed_memory_may_go_once_it_is_owned(void)
{
	unsigned char lent[100], want[100], got[200];
	struct gather g;

	memset(lent, 'a', sizeof(lent));
	memset(want, 'a', sizeof(want));
	gather_init(&g);
	EQUAL(gather_refer(&g, lent, sizeof(lent), NULL), 0);
	EQUAL(gather_own(&g), 0);
	memset(lent, 'z', sizeof(lent));
	SAME_BYTES(got, drain(&g, got, sizeof(got)), want, sizeof(want));
}

static void test_rewinding_takes_back_what_came_since(void)
{
	struct bytes *block = bytes_new(100);
	struct gather_mark mark;
	unsigned char got[100];
	struct gather g;

	gather_init(&g);
	gather_copy(&g, "kept", 4);
	gather_mark(&g, &mark);
	gather_copy(&g, "not", 3);
	gather_refer(&g, block->data, 50, block);
	gather_copy(&g, "kept", 4);
	gather_rewind(&g, &mark);
	EQUAL(g.size, 4);
	EQUAL(block->refs, 1);
	gather_copy(&g, "!", 1);
	SAME_BYTES(got, drain(&g, got, sizeof(got)), "kept!", 5);
	bytes_unref(block);
}

SUITE(gather, TEST(test_pieces_leave_in_order_whether_copied_or_referred_to),
    TEST(test_borrowed_memory_may_go_once_it_is_owned),
    TEST(test_rewinding_takes_back_what_came_since));

/* --- siphash ----------------------------------------------------------------------------------- */

/* The first and the sixteenth of the reference vectors: key 00..0f, message 00 01 02 ... */
static void test_siphash_gives_the_published_vectors(void)
{
	const struct siphash_key key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };
	unsigned char message[15];

	for (unsigned char i = 0; i < 15; i++)
		message[i] = i;
	EQUAL(siphash(&key, message, 0), 0x726fdb47dd0e0e31);
	EQUAL(siphash(&key, message, 15), (long long)0xa129ca6149be45e5);
}

SUITE(siphash, TEST(test_siphash_gives_the_published_vectors));

/* --- log --------------------------------------------------------------------------------------- */

static void test_ten_lines_a_second_are_allowed_and_the_rest_counted(void)
{
	struct log_rate rate = { 0 };
	unsigned written = 0;

	/* 100 000 of them over 10 seconds. */
	for (int64_t i = 0; i < 100000; i++)
		written += log_rate_allows(&rate, 5 * NS_PER_S + i * NS_PER_S / 10000);
	EQUAL(written, 10 * LOG_LINES_PER_S);
	EQUAL(log_rate_held_back(&rate), 100000 - 10 * LOG_LINES_PER_S);
	EQUAL(log_rate_held_back(&rate), 0);
	HOLDS(log_rate_allows(&rate, 20 * NS_PER_S));
}

SUITE(log, TEST(test_ten_lines_a_second_are_allowed_and_the_rest_counted));
