/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_name.c - //HOST/mechanism/NAME: what is accepted keeps its bounds, and means the same when it is
 * written out in full and parsed again.
 */
#include "tests/fuzz/fuzz.h"

#include "util/name.h"
#include "util/text.h"

static const char *const mechanisms[] = { "clipboard", "com", "datacopy", "dde", "filemap",
	"mailslot", "pipe", "rpc", "socket" };

#define FULL_SIZE (2 * NAME_TEXT_MAX + 64)

/* Written from RFC 3629 and ISO 6429, apart from util/text.c. */
static bool is_printable_utf8(const unsigned char *p)
{
	while (*p) {
		unsigned more = *p < 0x80 ? 0 : *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : 1;
		uint32_t c = more == 0 ? *p : *p & (0x3fu >> more);
		static const uint32_t least[] = { 0x20, 0xa0, 0x800, 0x10000 };

		if (*p >= 0x80 && (*p < 0xc2 || *p > 0xf4))
			return false;
		p++;
		for (unsigned i = 0; i < more; i++, p++) {
			if (*p < 0x80 || *p > 0xbf)
				return false;
			c = c << 6 | (*p & 0x3f);
		}
		if (c < least[more] || c == 0x7f || c > 0x10ffff || (c >> 11) == 0x1b)
			return false;
	}
	return true;
}

static void check_object(const char *object)
{
	bool plain = !name_check_object(object, false), special = !name_check_object(object, true);
	size_t len = strlen(object);
	bool form =
	    len >= 1 && len <= NAME_TEXT_MAX && is_printable_utf8((const unsigned char *)object);
	char *folded;

	CLAIM(special == form);
	CLAIM(plain == (form && *object != '~' && *object != '@'));
	/* Names are compared folded, and a folded name is a name. */
	folded = text_of(object, len);
	text_fold(folded);
	CLAIM(strlen(folded) == len && !name_check_object(folded, true) == special);
	free(folded);
}

static void write_in_full(const struct name *n, const char *mechanism, char full[FULL_SIZE])
{
	/* A host may contain one of the separators, if the name was written with the other. */
	char s = strchr(n->host, '/') ? '\\' : '/', port[8] = "";
	bool brackets = n->scope == NAME_HOST &&
	    (strchr(n->host, ':') || *n->host == '@' || *n->host == '[' ||
		strcmp(n->host, "*") == 0);
	const char *host = n->scope == NAME_LOCAL ? "." : n->host;

	CLAIM(!strchr(n->host, s));
	if (n->port)
		text_format(port, sizeof(port), ":%u", n->port);
	text_format(full, FULL_SIZE, "%c%c%s%s%s%s", s, s, n->scope == NAME_DOMAIN ? "@" : "",
	    brackets ? "[" : "", host, brackets ? "]" : "");
	text_format(full + strlen(full), FULL_SIZE - strlen(full), "%s", port);
	if (*n->object)
		text_format(full + strlen(full), FULL_SIZE - strlen(full), "%c%s%c%s", s, mechanism,
		    s, n->object);
}

static void check_name(const struct name *n, const char *mechanism)
{
	char full[FULL_SIZE];
	struct name again;

	CLAIM(memchr(n->host, '\0', sizeof(n->host)) && memchr(n->object, '\0', sizeof(n->object)));
	CLAIM(n->scope == NAME_HOST || n->port == 0);
	CLAIM((n->scope != NAME_LOCAL || !*n->host) && (n->scope != NAME_HOST || *n->host));
	for (const char *p = n->host; *p; p++)
		CLAIM(*p > ' ' && *p < 0x7f);
	write_in_full(n, mechanism, full);
	CLAIM(!name_parse(full, mechanism, &again));
	CLAIM(again.scope == n->scope && again.port == n->port);
	CLAIM(strcmp(again.host, n->host) == 0);
	CLAIM(strcmp(again.object, n->object) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = text_of(data, size);

	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++) {
		struct name name;
		const char *why = name_parse(text, mechanisms[i], &name);

		if (why) {
			CLAIM(*why);
			continue;
		}
		check_name(&name, mechanisms[i]);
		check_object(name.object);
		/* The mechanism can be told from a name that has one. */
		if (*name.object && (!strncmp(text, "//", 2) || !strncmp(text, "\\\\", 2)))
			CLAIM(name_mechanism(text) &&
			    strcmp(name_mechanism(text), mechanisms[i]) == 0);
		else
			CLAIM(!name_mechanism(text));
	}
	check_object(text);
	free(text);
	return 0;
}
