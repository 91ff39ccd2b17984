/* SPDX-License-Identifier: BSD-3-Clause */
/* udp.h - what the tests of calls over UDP share.  E2E_LONG=1 takes the full counts. */
#ifndef TESTS_CONFORMANCE_UDP_H
#define TESTS_CONFORMANCE_UDP_H

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/engine.h"
#include "tests/harness.h"
#include "transport/datagram_client.h"
#include "xdr/blob.h"

#define LONG_ENOUGH_S 20 /* for what has to happen */

/* As applications serve. */
#define CACHING                                                                                    \
	{                                                                                          \
		.reply_cache_bytes = 4u << 20, .datagram_bytes = SERVER_DATAGRAM_MAX               \
	}

static inline bool is_long(void)
{
	const char *value = getenv("E2E_LONG");

	return value && strcmp(value, "1") == 0;
}

/* The next datagram, which has to come. */
static inline bool take(int fd, struct raw *reply)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;

	reply->size = 0;
	if (poll(&p, 1, LONG_ENOUGH_S * 1000) != 1)
		return false;
	n = recv(fd, reply->data, sizeof(reply->data), 0);
	reply->size = n > 0 ? (size_t)n : 0;
	return n > 0;
}

/* A datagram socket on a free port; -1. */
static inline int bind_to(const char *address, struct address *ret)
{
	int fd;

	address_parse(address, 0, ret);
	fd = socket(ret->storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (bind(fd, (struct sockaddr *)&ret->storage, ret->len) ||
	    getsockname(fd, (struct sockaddr *)&ret->storage, &ret->len)) {
		close(fd);
		return -1;
	}
	return fd;
}

static inline CLIENT *client_of(const struct address *a)
{
	int fd = -1;

	EQUAL(datagram_open(a, &fd), 0);
	return datagram_client(fd, ENGINE_PROGRAM, ENGINE_VERSION, false);
}

static inline CLIENT *engine_client(const struct engine *e)
{
	struct address a;

	address_parse("127.0.0.1", engine_port(e), &a);
	return client_of(&a);
}

/* ENGINE_ECHO; results are freed by xdr_free. */
static inline enum clnt_stat echo_blob(CLIENT *client, const unsigned char *data, uint32_t size,
    ipc9_blob *ret)
{
	ipc9_blob blob = { data, size, NULL };

	return clnt_call(client, ENGINE_ECHO, (xdrproc_t)xdr_ipc9_blob, &blob,
	    (xdrproc_t)xdr_ipc9_blob, ret, ((struct timeval){ LONG_ENOUGH_S, 0 }));
}

#endif
