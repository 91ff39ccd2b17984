/* SPDX-License-Identifier: BSD-3-Clause */
/* carrier.c - see carrier.h. */
#include "tests/carrier.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/frames.h"
#include "client/rings.h"
#include "tests/harness.h"
#include "transport/address.h"
#include "transport/conduit.h"
#include "transport/socket.h"

static bool tcp_pair(int fds[2])
{
	struct address a;
	int listener;

	if (address_parse("127.0.0.1", 0, &a) || socket_listen(&a, &listener))
		return false;
	a.len = sizeof(a.storage);
	getsockname(listener, (struct sockaddr *)&a.storage, &a.len);
	fds[0] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(fds[0], (const struct sockaddr *)&a.storage, a.len))
		return false;
	fcntl(listener, F_SETFL, 0);
	fds[1] = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	close(listener);
	return fds[1] >= 0;
}

static bool make_frames(const int fds[2], enum ipc9_pipe_type type, uint32_t quota,
    struct ends *ret)
{
	for (int i = 0; i < 2; i++) {
		fcntl(fds[i], F_SETFL, O_NONBLOCK);
		if (!EQUAL(frames_new(fds[i], i == 0, type, quota, &ret->c[i]), 0))
			return false;
	}
	return true;
}

static bool make_tcp(enum ipc9_pipe_type type, uint32_t quota, struct ends *ret)
{
	int fds[2];

	return HOLDS(tcp_pair(fds)) && make_frames(fds, type, quota, ret);
}

static bool make_local(enum ipc9_pipe_type type, uint32_t quota, struct ends *ret)
{
	int fds[2];

	return EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0) &&
	    make_frames(fds, type, quota, ret);
}

static bool make_rings(enum ipc9_pipe_type type, uint32_t quota, struct ends *ret)
{
	int memory, sockets[2];

	if (!EQUAL(conduit_create(type == IPC9_PIPE_TYPE_MESSAGE ? RING_MESSAGES : RING_BYTES,
		       quota, &memory, sockets),
		0))
		return false;
	return EQUAL(rings_new(fcntl(memory, F_DUPFD_CLOEXEC, 0), sockets[0], true, type, quota,
			 &ret->c[0]),
		   0) &&
	    EQUAL(rings_new(memory, sockets[1], false, type, quota, &ret->c[1]), 0);
}

const struct carrier_way carrier_ways[N_CARRIER_WAYS] = {
	{ "shared memory", make_rings },
	{ "frames over TCP", make_tcp },
	{ "frames over a local socket", make_local },
};

struct ends carrier_make(size_t way, enum ipc9_pipe_type type, uint32_t quota)
{
	struct ends e = { { NULL, NULL } };

	if (!HOLDS(carrier_ways[way].make(type, quota, &e)))
		abort();
	return e;
}
