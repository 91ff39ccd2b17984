/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_hand.c - bringing a pipe's client and server together, so that their data does not pass the daemon.
 *
 * Within the host both get an end of a fresh conduit (transport/conduit.h), or of a pair of sockets where there is no memory for
 * that; from another host the very connection that carried OPEN goes to the server.  The client's share leaves with the answer to
 * OPEN, the server's with the answer to its ACCEPT; until then it is kept with the instance, charged to the client, and what
 * that sends meanwhile waits in the socket or in the memory.  Who has no share for that is served by ordinary calls.
 *
 * The daemon does not see how an accepted client goes: its end is AWAY until the server disconnects or goes.  One that has not
 * been accepted is seen to go by the socket that is kept: where it left something to read its share is kept for that,
 * otherwise it is as one that was served by calls, but that somebody else may open the instance until the server asks for it.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/daemon.h"
#include "server/pipe_instance.h"
#include "transport/conduit.h"

#define FRAME_BYTES 8  /* of one without payload */
#define SEEN_MAX 16384 /* of what a client left, for a look */

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
	loop_remove(&i->gone);
	i->left = 0;
	close_all(i->fds, i->n_fds);
	i->n_fds = 0;
	charge_release(&i->parked);
	charge_release(&i->parked_bytes);
}

/* --- Clients that go before they are accepted -------------------------------------------------- */

static uint32_t word_at(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is_close(const unsigned char frame[FRAME_BYTES])
{
	return word_at(frame) == (0x80000000u | 4) && word_at(frame + 4) == IPC9_PIPE_FRAME_CLOSE;
}

/*
 * Whether there is anything to read in frames that nobody has taken yet, and whether the last one says that this was all; of
 * more than SEEN_MAX bytes that is not known, and taken to be so.
 */
static bool have_frames_left(int fd, bool *ret_closed)
{
	unsigned char seen[SEEN_MAX];
	ssize_t n = recv(fd, seen, sizeof(seen), MSG_PEEK | MSG_DONTWAIT);
	const unsigned char *at = seen;

	*ret_closed =
	    n == (ssize_t)sizeof(seen) || (n >= FRAME_BYTES && is_close(seen + n - FRAME_BYTES));
	/* It may have said that it sends nothing before it closed. */
	while (n >= FRAME_BYTES && word_at(at + 4) == IPC9_PIPE_FRAME_END) {
		at += FRAME_BYTES;
		n -= FRAME_BYTES;
	}
	return n >= FRAME_BYTES &&
	    (word_at(at + 4) == IPC9_PIPE_FRAME_DATA || word_at(at + 4) == IPC9_PIPE_FRAME_MSG_END);
}

/* The client's side of what is kept has been closed. */
static void on_gone(struct loop_io *io, uint32_t events)
{
	struct instance *i = LIST_ENTRY(io, struct instance, gone);
	bool closed, left;

	(void)events;
	loop_remove(io);
	if (i->way == IPC9_PIPE_WAY_SHARED)
		left = conduit_has_left(i->fds[0], CONDUIT_SECOND, &closed);
	else
		left = have_frames_left(i->fds[0], &closed);
	if (left) {
		i->left = closed ? IPC9_PIPE_CLOSING : IPC9_PIPE_LOST;
		return;
	}
	instance_keep_nothing(i);
	i->way = IPC9_PIPE_WAY_CALLS;
	i->client->state = closed ? END_CLOSED : END_LOST;
	i->client->finished = closed;
	instance_offer(i);
	end_wake(&i->server);
}

/* The server takes its share if it waits for one; otherwise that is kept.  Where it cannot be watched ACCEPT finds out. */
static void offer(struct instance *i, struct loop *loop)
{
	end_wake(&i->server);
	if (!i->n_fds)
		return;
	i->gone.fn = on_gone;
	loop_add(loop, &i->gone, i->fds[i->n_fds - 1], EPOLLRDHUP); /* the socket is the last */
}

/* --- Parting ----------------------------------------------------------------------------------- */

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
	struct loop *loop = r->daemon->loop;
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
	offer(i, loop);
	return true;
}

/* Gives the connection itself away.  What goes wrong ends it, and the instance listens on. */
static bool hand_connection(struct instance *i, struct request *r, unsigned flags)
{
	struct loop *loop = r->daemon->loop;
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
	offer(i, loop);
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
