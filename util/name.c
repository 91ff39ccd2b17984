/* SPDX-License-Identifier: BSD-3-Clause */
/* name.c - see name.h. */
#include "util/name.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "util/text.h"

static const struct {
	const char *alias, *mechanism;
} aliases[] = {
	{ "clip", "clipboard" },
	{ "slot", "mailslot" },
	{ "map", "filemap" },
	{ "sock", "socket" },
};

const char *name_check_object(const char *object, bool reserved)
{
	size_t len = strlen(object);

	if (len == 0)
		return "it is empty";
	if (len > NAME_TEXT_MAX)
		return "it is longer than 255 bytes";
	if (!text_is_utf8(object, len))
		return "it is not UTF-8";
	if (text_has_control(object, len))
		return "it contains control characters";
	if (!reserved && (object[0] == '~' || object[0] == '@'))
		return "a leading '~' or '@' is reserved";
	return NULL;
}

static const char *check_host(const char *host, size_t len)
{
	if (len > NAME_TEXT_MAX)
		return "its host is longer than 255 bytes";
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)host[i] <= 0x20 || (unsigned char)host[i] >= 0x7f)
			return "its host contains blanks, control or non-ASCII characters";
	return NULL;
}

static const char *parse_port(const char *text, size_t len, uint16_t *ret)
{
	unsigned long port = 0;

	if (len == 0 || len > 5)
		return "its port is not a number from 1 to 65535";
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return "its port is not a number from 1 to 65535";
		port = port * 10 + (unsigned long)(text[i] - '0');
	}
	if (port == 0 || port > 65535)
		return "its port is not a number from 1 to 65535";
	*ret = (uint16_t)port;
	return NULL;
}

/* The part between // and the next separator, without either. */
static const char *parse_authority(const char *text, size_t len, struct name *name)
{
	const char *end = text + len, *colon, *why;
	size_t host_len;

	if (len == 0)
		return "it has no host (\".\" is this one)";
	if (*text == '@' || (len == 1 && *text == '*')) {
		name->scope = NAME_DOMAIN;
		why = check_host(text + 1, len - 1);
		if (!why)
			memcpy(name->host, text + 1, len - 1);
		return why;
	}
	name->scope = NAME_HOST;
	if (*text == '[') {
		const char *close = memchr(text, ']', len);

		if (!close || close == text + 1)
			return "its IPv6 address is not closed by ']'";
		text++;
		host_len = (size_t)(close - text);
		colon = close + 1;
		if (colon < end && *colon != ':')
			return "']' is not followed by a port or a separator";
	} else {
		colon = memchr(text, ':', len);
		host_len = colon ? (size_t)(colon - text) : len;
		if (!colon)
			colon = end;
	}
	if (host_len == 0)
		return "it has no host (\".\" is this one)";
	why = check_host(text, host_len);
	if (!why && colon < end)
		why = parse_port(colon + 1, (size_t)(end - colon - 1), &name->port);
	if (why)
		return why;
	memcpy(name->host, text, host_len);
	if (strcmp(name->host, ".") == 0) {
		if (name->port)
			return "\".\" is reached by its local socket, which has no port";
		name->scope = NAME_LOCAL;
		name->host[0] = '\0';
	}
	return NULL;
}

static bool is_mechanism(const char *text, size_t len, const char *mechanism)
{
	if (strlen(mechanism) == len && strncasecmp(text, mechanism, len) == 0)
		return true;
	for (size_t i = 0; i < sizeof(aliases) / sizeof(aliases[0]); i++)
		if (strcmp(aliases[i].mechanism, mechanism) == 0 &&
		    strlen(aliases[i].alias) == len &&
		    strncasecmp(text, aliases[i].alias, len) == 0)
			return true;
	return false;
}

const char *name_mechanism(const char *text)
{
	static const char *const mechanisms[] = { "clipboard", "com", "datacopy", "dde", "filemap",
		"mailslot", "pipe", "rpc", "socket" };
	const char *end;

	if (strncmp(text, "//", 2) != 0 && strncmp(text, "\\\\", 2) != 0)
		return NULL;
	end = strchrnul(text + 2, *text);
	if (!*end)
		return NULL;
	text = end + 1;
	end = strchrnul(text, *(text - 1));
	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
		if (is_mechanism(text, (size_t)(end - text), mechanisms[i]))
			return mechanisms[i];
	return NULL;
}

const char *name_parse(const char *text, const char *mechanism, struct name *ret)
{
	struct name name;
	const char *why, *end;
	char separator;

	memset(&name, 0, sizeof(name));
	if (strncmp(text, "//", 2) != 0 && strncmp(text, "\\\\", 2) != 0) {
		if (strlen(text) > NAME_TEXT_MAX)
			return "it is longer than 255 bytes";
		strncpy(name.object, text, NAME_TEXT_MAX);
		*ret = name;
		return NULL;
	}
	separator = *text;
	text += 2;
	end = strchrnul(text, separator);
	why = parse_authority(text, (size_t)(end - text), &name);
	if (why)
		return why;
	if (*end && end[1]) {
		text = end + 1;
		end = strchrnul(text, separator);
		if (!is_mechanism(text, (size_t)(end - text), mechanism))
			return "it names another mechanism than this call's";
		if (!*end || !end[1])
			return "it has no name after the mechanism";
		if (strlen(end + 1) > NAME_TEXT_MAX)
			return "its last part is longer than 255 bytes";
		strncpy(name.object, end + 1, NAME_TEXT_MAX);
	}
	*ret = name;
	return NULL;
}
