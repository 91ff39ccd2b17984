/* SPDX-License-Identifier: BSD-3-Clause */
/* address.c - see address.h. */
#include "transport/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "util/text.h"

static const struct sockaddr_in *as_in(const struct address *a)
{
	return (const struct sockaddr_in *)(const void *)&a->storage;
}

static const struct sockaddr_in6 *as_in6(const struct address *a)
{
	return (const struct sockaddr_in6 *)(const void *)&a->storage;
}

static const char *local_path(const struct address *a)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)(const void *)&a->storage;

	if (a->len <= offsetof(struct sockaddr_un, sun_path) || !un->sun_path[0])
		return "local";
	return un->sun_path;
}

static bool is_inet(const struct address *a)
{
	return a->storage.ss_family == AF_INET || a->storage.ss_family == AF_INET6;
}

void address_host_text(const struct address *a, char text[ADDRESS_TEXT_SIZE])
{
	if (!is_inet(a))
		text_format(text, ADDRESS_TEXT_SIZE, "%s", local_path(a));
	else if (getnameinfo((const struct sockaddr *)&a->storage, a->len, text, ADDRESS_TEXT_SIZE,
		     NULL, 0, NI_NUMERICHOST))
		text_format(text, ADDRESS_TEXT_SIZE, "?");
}

void address_text(const struct address *a, char text[ADDRESS_TEXT_SIZE])
{
	char host[ADDRESS_TEXT_SIZE];

	address_host_text(a, host);
	if (!is_inet(a))
		text_format(text, ADDRESS_TEXT_SIZE, "%s", host);
	else
		text_format(text, ADDRESS_TEXT_SIZE,
		    a->storage.ss_family == AF_INET6 ? "[%s]:%u" : "%s:%u", host,
		    (unsigned)address_port(a));
}

void address_universal(const struct address *a, char text[ADDRESS_TEXT_SIZE])
{
	char host[ADDRESS_TEXT_SIZE];
	unsigned port = address_port(a);

	address_host_text(a, host);
	if (is_inet(a))
		text_format(text, ADDRESS_TEXT_SIZE, "%s.%u.%u", host, port >> 8, port & 0xff);
	else
		text_format(text, ADDRESS_TEXT_SIZE, "%s", host);
}

uint16_t address_universal_port(const char *universal)
{
	const char *low = strrchr(universal, '.'), *high = NULL;
	unsigned long h, l;
	char *end;

	for (const char *p = universal; low && p < low; p++)
		if (*p == '.')
			high = p;
	if (!high)
		return 0;
	h = strtoul(high + 1, &end, 10);
	if (end != low || h > 255)
		return 0;
	l = strtoul(low + 1, &end, 10);
	if (*end || end == low + 1 || l > 255)
		return 0;
	return (uint16_t)(h << 8 | l);
}

uint16_t address_port(const struct address *a)
{
	if (a->storage.ss_family == AF_INET)
		return ntohs(as_in(a)->sin_port);
	if (a->storage.ss_family == AF_INET6)
		return ntohs(as_in6(a)->sin6_port);
	return 0;
}

void address_set_port(struct address *a, uint16_t port)
{
	if (a->storage.ss_family == AF_INET)
		((struct sockaddr_in *)(void *)&a->storage)->sin_port = htons(port);
	else if (a->storage.ss_family == AF_INET6)
		((struct sockaddr_in6 *)(void *)&a->storage)->sin6_port = htons(port);
}

int address_parse(const char *text, uint16_t port, struct address *ret)
{
	struct addrinfo hints = { .ai_flags = AI_NUMERICHOST, .ai_socktype = SOCK_STREAM }, *found;

	switch (getaddrinfo(text, NULL, &hints, &found)) {
	case 0:
		break;
	case EAI_MEMORY:
		return -ENOMEM;
	default:
		return -EINVAL;
	}
	memset(ret, 0, sizeof(*ret));
	memcpy(&ret->storage, found->ai_addr, found->ai_addrlen);
	ret->len = found->ai_addrlen;
	freeaddrinfo(found);
	address_set_port(ret, port);
	return 0;
}

int address_local(const char *path, struct address *ret)
{
	struct sockaddr_un *un = (struct sockaddr_un *)(void *)&ret->storage;

	memset(ret, 0, sizeof(*ret));
	if (strlen(path) >= sizeof(un->sun_path))
		return -ENAMETOOLONG;
	un->sun_family = AF_UNIX;
	memcpy(un->sun_path, path, strlen(path) + 1);
	ret->len = (socklen_t)sizeof(*un);
	return 0;
}

/* --- Ranges ------------------------------------------------------------------------------------ */

/* Bit i of an address, from the left. */
static unsigned bit(const unsigned char *bytes, unsigned i)
{
	return bytes[i / 8] >> (7 - i % 8) & 1u;
}

int address_range_parse(const char *text, struct address_range *ret)
{
	struct address_range range = { 0 };
	char host[INET6_ADDRSTRLEN];
	const char *slash = strchrnul(text, '/');
	unsigned width;

	if ((size_t)(slash - text) >= sizeof(host))
		return -EINVAL;
	memcpy(host, text, (size_t)(slash - text));
	host[slash - text] = '\0';
	if (inet_pton(AF_INET, host, range.prefix) == 1)
		range.family = AF_INET;
	else if (inet_pton(AF_INET6, host, range.prefix) == 1)
		range.family = AF_INET6;
	else
		return -EINVAL;
	width = range.family == AF_INET ? 32 : 128;
	range.bits = width;
	if (*slash) {
		char *end;
		unsigned long bits = strtoul(slash + 1, &end, 10);

		if (slash[1] < '0' || slash[1] > '9' || *end || bits > width)
			return -EINVAL;
		range.bits = (unsigned)bits;
	}
	for (unsigned i = range.bits; i < width; i++)
		if (bit(range.prefix, i))
			return -EINVAL;
	/* Addresses of that form count as IPv4 ones, so a rule about them would never be met. */
	if (range.family == AF_INET6 && range.bits >= 96 &&
	    memcmp(range.prefix, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12) == 0)
		return -EINVAL;
	*ret = range;
	return 0;
}

void address_range_text(const struct address_range *range, char *text, size_t size)
{
	char prefix[INET6_ADDRSTRLEN];

	if (!inet_ntop(range->family, range->prefix, prefix, sizeof(prefix)))
		prefix[0] = '\0';
	text_format(text, size, "%s/%u", prefix, range->bits);
}

bool address_range_has(const struct address_range *range, const struct address *a)
{
	const unsigned char *bytes;
	int family = a->storage.ss_family;

	if (family == AF_INET) {
		bytes = (const unsigned char *)&as_in(a)->sin_addr;
	} else if (family == AF_INET6) {
		bytes = as_in6(a)->sin6_addr.s6_addr;
		if (IN6_IS_ADDR_V4MAPPED(&as_in6(a)->sin6_addr)) {
			bytes += 12;
			family = AF_INET;
		}
	} else {
		return false;
	}
	if (family != range->family)
		return false;
	for (unsigned i = 0; i < range->bits; i++)
		if (bit(bytes, i) != bit(range->prefix, i))
			return false;
	return true;
}
