/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_hand.c - bringing a pipe's client and server together, so that their data does not pass the daemon.
 *
 * Within the host both get an end of a fresh conduit (transport/conduit.h), or of a pair of sockets where there is no memory for
 * that; from another host the very connection that carried OPEN goes to the server.  The client's share leaves with the answer to
 * OPEN, the server's with the answer to its ACCEPT; until then it is kept with the instance, charged to the client, and what
 * that sends meanwhile waits in the socket or in the memory.  Who has no share for that is served by ordinary calls.
 *
 * The daemon does not see how the client goes: its end is AWAY until the server disconnects or goes.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/daemon.h"
#include "server/pipe_instance.h"
#include "transport/conduit.h"

/* What the two of a connection get: memory and socket, or a socket alone. */
struct shares {
	int way;
	unsigned n;
	int client[2], server[2];
};

static void close_all(const int *fds, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
}

/* Makes the client pay for what is to be kept; false: they cannot, and nothing has changed. */
static bool charge_client(struct instance *i, const struct request *r, unsigned n, uint64_t bytes)
{
	struct quota *quota = r->daemon->quota;

	if (quota_charge(quota, &r->caller, QUOTA_DESCRIPTORS, n, &i->parked))
		return false;
	if (!quota_charge(quota, &r->caller, QUOTA_BYTES, bytes, &i->parked_bytes))
		return true;
	charge_release(&i->parked);
	return false;
}

static enum ring_type ring_type(const struct instance *i)
{
	return i->type == IPC9_PIPE_MESSAGE ? RING_MESSAGES : RING_BYTES;
}

static bool create_memory(const struct instance *i, struct shares *ret)
{
	int memory, other, sockets[2];

	if (conduit_create(ring_type(i), i->quota, &memory, sockets))
		return false;
	other = fcntl(memory, F_DUPFD_CLOEXEC, 0);
	if (other < 0) {
		close(memory);
		close_all(sockets, 2);
		return false;
	}
	*ret = (struct shares){ IPC9_PIPE_WAY_SHARED, 2, { memory, sockets[0] },
		{ other, sockets[1] } };
	return true;
}

/* The client could fill all of it and go: that would stay for as long as it is kept here, so all of it is charged. */
static bool share_memory(struct instance *i, const struct request *r, struct shares *ret)
{
	if (!charge_client(i, r, 2, conduit_size(ring_type(i), i->quota)))
		return false;
	if (create_memory(i, ret))
		return true;
	instance_keep_nothing(i);
	return false;
}

static bool share_socket(struct instance *i, const struct request *r, struct shares *ret)
{
	int sockets[2];

	if (!charge_client(i, r, 1, 0))
		return false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets)) {
		instance_keep_nothing(i);
		return false;
	}
	*ret = (struct shares){ IPC9_PIPE_WAY_FRAMES, 1, { sockets[0] }, { sockets[1] } };
	return true;
}

void instance_keep_nothing(struct instance *i)
{
	close_all(i->fds, i->n_fds);
	i->n_fds = 0;
	charge_release(&i->parked);
	charge_release(&i->parked_bytes);
}

/* The client has its share. */
static void leave(struct instance *i, struct request *r, unsigned flags, int way, const int *fds,
    unsigned n)
{
	i->client->who = access_keep(&r->caller);
	i->client->reads = flags & IPC9_PIPE_OPEN_READ;
	i->client->writes = flags & IPC9_PIPE_OPEN_WRITE;
	i->client->state = END_AWAY;
	i->way = way;
	i->n_fds = n;
	for (unsigned k = 0; k < n; k++)
		i->fds[k] = fds[k];
	instance_take(i);
}

static void fill(const struct instance *i, int way, char from[ADDRESS_TEXT_SIZE],
    ipc9_pipe_open_res *res)
{
	ipc9_pipe_open_ok *ok = &res->ipc9_pipe_open_res_u.ok;

	memset(res, 0, sizeof(*res));
	res->status = IPC9_STATUS_OK;
	ok->type = i->type;
	ok->quota_bytes = i->quota;
	ok->way = way;
	access_tell(&i->server.who, from, &ok->server);
}

static bool introduce(struct instance *i, struct request *r, unsigned flags)
{
	char from[ADDRESS_TEXT_SIZE];
	ipc9_pipe_open_res res;
	struct shares s;

	if (!(flags & IPC9_PIPE_OPEN_SHARED && i->shares && share_memory(i, r, &s)) &&
	    !share_socket(i, r, &s))
		return false;
	if (request_give_descriptors(r, s.client, s.n)) {
		close_all(s.client, s.n);
		close_all(s.server, s.n);
		instance_keep_nothing(i);
		return false;
	}
	close_all(s.client, s.n);
	leave(i, r, flags, s.way, s.server, s.n);
	fill(i, s.way, from, &res);
	request_reply(r, &res);
	end_wake(&i->server);
	return true;
}

/* Gives the connection itself away.  What goes wrong ends it, and the instance listens on. */
static bool hand_connection(struct instance *i, struct request *r, unsigned flags)
{
	char from[ADDRESS_TEXT_SIZE];
	ipc9_pipe_open_res res;
	int fd;

	if (!charge_client(i, r, 1, 0))
		return false;
	fill(i, IPC9_PIPE_WAY_FRAMES, from, &res);
	leave(i, r, flags, IPC9_PIPE_WAY_FRAMES, NULL, 0);
	if (request_hand_over(r, &res, &fd)) {
		i->way = IPC9_PIPE_WAY_CALLS;
		instance_keep_nothing(i);
		instance_listen(i);
		return true;
	}
	i->fds[0] = fd;
	i->n_fds = 1;
	end_wake(&i->server);
	return true;
}

bool instance_hand_over(struct instance *i, struct request *r, unsigned flags)
{
	if (!(flags & IPC9_PIPE_OPEN_STREAM) || !i->streams)
		return false;
	return r->caller.local ? introduce(i, r, flags) : hand_connection(i, r, flags);
}

int instance_give(struct instance *i, struct request *r)
{
	int e = request_give_descriptors(r, i->fds, i->n_fds);

	if (!e)
		instance_keep_nothing(i);
	return e;
}
