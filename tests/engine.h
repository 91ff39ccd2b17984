/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * engine.h - the engine's serving half in a thread of the test, with a small program of its own, over TCP
 * (IPv4 and IPv6), a local socket and UDP; and raw clients that send exactly the bytes a test says.
 */
#ifndef TESTS_ENGINE_H
#define TESTS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/server.h"

#define ENGINE_PROGRAM 0x2fff0001u
#define ENGINE_VERSION 1u

enum engine_procedure {
	ENGINE_NULL = 0,
	ENGINE_ECHO = 1,  /* payload in, the same out */
	ENGINE_PARK = 2,  /* a number: answers after so many ms with it */
	ENGINE_LARGE = 3, /* a number: answers with a payload of so many bytes */
	ENGINE_KEEP = 4,  /* never ends by itself (30 s) */
	ENGINE_SWAP =
	    5, /* a number: takes so many descriptors and answers with them, last one first */
	ENGINE_TURN =
	    6, /* a number: answers with it, and hands the connection over; then it carries ENGINE_TURNED */
	ENGINE_FAIL = 7, /* a number: its results cannot be encoded, with that errno */
};

#define ENGINE_TURNED "no record" /* and then its end */

enum engine_transport {
	ENGINE_TCP4,
	ENGINE_TCP6,
	ENGINE_LOCAL,
	ENGINE_TRANSPORTS,
};

struct engine;

struct engine *engine_start(const struct server_limits *limits);
/* Stops the thread and frees all; true when nothing was left parked that should not be. */
void engine_stop(struct engine *engine);

const char *engine_transport_name(enum engine_transport transport);
/* A connected, blocking socket with a receive limit of 5 s; -1 where the machine lacks the transport. */
int engine_connect(const struct engine *engine, enum engine_transport transport);
int engine_datagram(const struct engine *engine); /* connected UDP socket, IPv4 */
uint16_t engine_port(const struct engine *engine);

/* Numbers as the loop's thread has them; read by asking it. */
struct server_stats engine_stats(struct engine *engine);
/* Parked calls that ended because their connection went. */
unsigned engine_gone(struct engine *engine);

/* --- Raw messages ------------------------------------------------------------------------------ */

struct raw {
	unsigned char data[4096];
	size_t size;
};

void raw_word(struct raw *raw, uint32_t word);
void raw_bytes(struct raw *raw, const void *data, size_t size); /* padded to 4 */
/* A call with AUTH_NONE and one word of arguments where argument is not NULL; no mark. */
struct raw raw_call(uint32_t xid, uint32_t procedure, const uint32_t *argument);
/* Sends mark and message. */
bool raw_send_record(int fd, const struct raw *message);
bool raw_send(int fd, const void *data, size_t size);
/* Receives one record into reply; false: none came (closed, or 5 s passed). */
bool raw_receive_record(int fd, struct raw *reply);
uint32_t raw_at(const struct raw *raw, size_t word);
/* Whether the other side closes within ms (what it sends before is skipped). */
bool raw_is_closed(int fd, unsigned ms);
/* Makes a NULL call and checks its answer. */
bool raw_null_answers(int fd, uint32_t xid);

#endif
