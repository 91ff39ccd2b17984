/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * address.h - socket addresses as text, as universal addresses (RFC 5665), and against ranges.
 */
#ifndef TRANSPORT_ADDRESS_H
#define TRANSPORT_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct address {
	struct sockaddr_storage storage;
	socklen_t len;
};

/* "10.0.0.1:80", "[fe80::1%eth0]:80", the path of a local socket, "local" for an unnamed one. */
#define ADDRESS_TEXT_SIZE 128
void address_text(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

/* The same without port and brackets. */
void address_host_text(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

/* "10.0.0.1.0.80", "::1.0.80"; a path stays a path. */
void address_universal(const struct address *address, char text[ADDRESS_TEXT_SIZE]);

/* The port of a universal address, or 0 when it has none. */
uint16_t address_universal_port(const char *universal);

uint16_t address_port(const struct address *address);
void address_set_port(struct address *address, uint16_t port);

/* A numeric IPv4 or IPv6 address (%scope allowed); 0 or -EINVAL. */
int address_parse(const char *text, uint16_t port, struct address *ret_address);

/* -ENAMETOOLONG */
int address_local(const char *path, struct address *ret_address);

/* A range of addresses: 10.0.0.0/8, fd00::/8, or a single address. */
struct address_range {
	int family;
	unsigned char prefix[16];
	unsigned bits;
};

/* 0 or -EINVAL; bits beyond the prefix length must be zero. */
int address_range_parse(const char *text, struct address_range *ret_range);

/* "10.0.0.0/8". */
void address_range_text(const struct address_range *range, char *text, size_t size);

/* An IPv4 address inside IPv6 (::ffff:a.b.c.d) counts as IPv4. */
bool address_range_has(const struct address_range *range, const struct address *address);

#endif
