/* SPDX-License-Identifier: BSD-3-Clause */
/* wire.c - see wire.h. */
#include "tests/golden/wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "tests/golden/codec.h"
#include "transport/connect.h"
#include "util/clock.h"

#define PATIENCE_S 20

int wire_connect(const char *address, uint16_t port)
{
	struct timeval patience = { .tv_sec = PATIENCE_S };
	struct address a;
	int fd, r = address_parse(address, port, &a);

	if (!r)
		r = connect_address(&a, clock_deadline_ms(PATIENCE_S * 1000), &fd);
	if (r)
		return r;
	if (fcntl(fd, F_SETFL, 0) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience))) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static bool receive(int fd, struct hex *ret)
{
	uint32_t mark;

	if (recv(fd, &mark, 4, MSG_WAITALL) != 4)
		return false;
	mark = ntohl(mark);
	if (!(mark & 0x80000000u) || (mark & 0x7fffffffu) > HEX_MAX)
		return false;
	ret->size = mark & 0x7fffffffu;
	return recv(fd, ret->data, ret->size, MSG_WAITALL) == (ssize_t)ret->size;
}

static bool survives(enum codec codec, const struct golden *ok, const struct hex *reply)
{
	static struct hex again;

	return codec_again(codec, ok, reply, &again) && again.size == reply->size &&
	    memcmp(again.data, reply->data, again.size) == 0;
}

const char *wire_exchange(int fd, const struct golden *call, const struct golden *ok,
    const struct hex *message)
{
	static struct hex reply;
	uint32_t mark = htonl(0x80000000u | (uint32_t)message->size);
	uint32_t stat;

	if (send(fd, &mark, 4, MSG_NOSIGNAL) != 4 ||
	    send(fd, message->data, message->size, MSG_NOSIGNAL) != (ssize_t)message->size)
		return "it cannot be sent";
	if (!receive(fd, &reply))
		return "no reply comes";
	if (reply.size < 24 || hex_word(&reply, 0) != hex_word(message, 0) ||
	    hex_word(&reply, 1) != REPLY || hex_word(&reply, 2) != MSG_ACCEPTED)
		return "the reply is none that accepts this call";
	stat = hex_word(&reply, 5);
	if (call->local)
		return stat == PROC_UNAVAIL || stat == PROG_UNAVAIL ? NULL
								    : "it is served over TCP";
	if (stat != SUCCESS)
		return stat == GARBAGE_ARGS ? "GARBAGE_ARGS" : "it did not succeed";
	if (!survives(CODEC_ENGINE, ok, &reply))
		return "the engine does not decode the reply";
	if (!survives(CODEC_STOCK, ok, &reply))
		return "libtirpc does not decode the reply";
	return NULL;
}
