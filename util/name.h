/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * name.h - //HOST/mechanism/NAME, in one parser for command, library and daemon.
 *
 *	//HOST/mechanism/NAME	HOST: a name, an IPv4 address, [IPv6], or "." for this host
 *	//HOST:PORT/...		the port, where it is not the default
 *	//HOST			the host alone
 *	//@/mechanism/NAME	every host of our domain; //@DOMAIN/ of another ('*' for '@' is our own)
 *	\\HOST\mechanism\NAME	the same, when the whole begins with \\ (and then '/' is part of NAME)
 *	NAME			this host, where the mechanism is known
 *
 * The mechanism is compared without case, and the short names clip, slot, map and sock are taken too.
 */
#ifndef UTIL_NAME_H
#define UTIL_NAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NAME_TEXT_MAX 255 /* as IPC9_NAME_MAX and IPC9_HOST_MAX in idl/common.x */

enum name_scope {
	NAME_LOCAL,  /* this host */
	NAME_HOST,   /* one host, by name or address */
	NAME_DOMAIN, /* every host of a domain */
};

struct name {
	enum name_scope scope;
	char host[NAME_TEXT_MAX + 1]; /* host or domain; "" for this host and for our own domain */
	uint16_t port;		      /* 0: the default */
	char object[NAME_TEXT_MAX + 1]; /* "" where the host alone was given */
};

/*
 * Parses text.  mechanism: what the caller deals with; a text that names another is refused.  Returns NULL,
 * or why it is refused: a phrase such as "it has no name after the host", good for the program's life.
 */
const char *name_parse(const char *text, const char *mechanism, struct name *ret);

/* The mechanism that a text with // names, not by its short name; NULL: none that there is, or none at all. */
const char *name_mechanism(const char *text);

/*
 * Checks the NAME part alone: NULL, or why it is refused.  reserved: whether a leading '~' or '@' is
 * fine with the mechanism.
 */
const char *name_check_object(const char *object, bool reserved);

#endif
