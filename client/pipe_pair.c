/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_pair.c - unnamed pipes: two loose ends, of which each becomes an end like those of named pipes (pipe_stream.c), over
 * the same carriers.
 *
 * A loose end's members may have come from anywhere: what it claims to be is compared with its descriptors, and what the other
 * end claims does not count (carrier.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/error.h"
#include "client/frames.h"
#include "client/pipe.h"
#include "client/rings.h"
#include "transport/conduit.h"
#include "util/text.h"

#define SUBJECT "unnamed pipe"
#define QUOTA_USUAL 1048576u

enum {
	SOCKET,
	MEMORY
}; /* in a loose end's fds */

/* --- Making ------------------------------------------------------------------------------------ */

const char *pipe_pair_wrong(enum ipc9_pipe_type type, enum ipc9_pipe_access access,
    enum ipc9_pipe_way way, uint32_t quota)
{
	if (type != IPC9_PIPE_TYPE_BYTE && type != IPC9_PIPE_TYPE_MESSAGE)
		return "there is no such type";
	if (access < IPC9_PIPE_ACCESS_INBOUND || access > IPC9_PIPE_ACCESS_DUPLEX)
		return "there is no such direction";
	if (way != IPC9_PIPE_BY_SOCKET && way != IPC9_PIPE_BY_MEMORY)
		return "its way can be a socket or memory";
	if (!quota || quota > IPC9_PIPE_QUOTA_BYTES)
		return "the quota is 1 to 4194304 bytes";
	return NULL;
}

/* Sockets, and memory where it is wanted and there is such; *way says which it came to.  0 or -errno. */
static int make_fds(const struct ipc9_pipe_loose *end, enum ipc9_pipe_way *way, int sockets[2],
    int memory[2])
{
	enum ring_type type = end->type == IPC9_PIPE_TYPE_MESSAGE ? RING_MESSAGES : RING_BYTES;
	int r;

	memory[0] = memory[1] = -1;
	if (*way == IPC9_PIPE_BY_MEMORY) {
		r = conduit_create(type, end->quota_bytes, &memory[0], sockets);
		if (r == -EMFILE || r == -ENFILE)
			return r;
		if (!r) {
			memory[1] = fcntl(memory[0], F_DUPFD_CLOEXEC, 0);
			if (memory[1] >= 0)
				return 0;
			r = -errno;
			close(memory[0]);
			close(sockets[0]);
			close(sockets[1]);
			return r;
		}
	}
	*way = IPC9_PIPE_BY_SOCKET;
	return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, sockets) ? -errno
											   : 0;
}

int ipc9_pipe_pair(const struct ipc9_pipe_pair_options *options, struct ipc9_pipe_loose ret[2],
    struct ipc9_error *e)
{
	static const struct ipc9_pipe_pair_options usual;
	const struct ipc9_pipe_pair_options *o = options ? options : &usual;
	struct ipc9_pipe_loose end = {
		.type = o->type,
		.access = o->access ? o->access : IPC9_PIPE_ACCESS_DUPLEX,
		.way = o->way ? o->way : IPC9_PIPE_BY_MEMORY,
		.quota_bytes = o->quota_bytes ? o->quota_bytes : QUOTA_USUAL,
	};
	const char *why = pipe_pair_wrong(end.type, end.access, end.way, end.quota_bytes);
	int sockets[2], memory[2], r;

	if (why)
		return error_set(e, IPC9_E_INVALID, SUBJECT ": %s", why);
	r = make_fds(&end, &end.way, sockets, memory);
	if (r)
		return error_set_own(e, r);
	for (int i = 0; i < 2; i++) {
		ret[i] = end;
		ret[i].fds[SOCKET] = sockets[i];
		ret[i].fds[MEMORY] = memory[i];
		ret[i].second = i == 1;
	}
	return 0;
}

void ipc9_pipe_loose_close(struct ipc9_pipe_loose *loose)
{
	for (int i = 0; loose && i < 2; i++) {
		if (loose->fds[i] >= 0)
			close(loose->fds[i]);
		loose->fds[i] = -1;
	}
}

/* --- Adopting ---------------------------------------------------------------------------------- */

bool pipe_pair_is_socket(int fd)
{
	int domain, type;
	socklen_t size = sizeof(int);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) && domain == AF_UNIX &&
	    !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) && type == SOCK_STREAM;
}

/* 0, -EPROTO, -errno. */
static int make_carrier(const struct ipc9_pipe_loose *loose, struct carrier **ret)
{
	int fd = loose->fds[SOCKET], flags = fd < 0 ? -1 : fcntl(fd, F_GETFL);

	if (flags < 0 || !pipe_pair_is_socket(fd) ||
	    pipe_pair_wrong(loose->type, loose->access, loose->way, loose->quota_bytes))
		return -EPROTO;
	/* Whoever was given it by inheritance has not got it closed on exec. */
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC))
		return -errno;
	if (loose->way == IPC9_PIPE_BY_SOCKET)
		return frames_new(fd, true, loose->type, loose->quota_bytes, ret);
	if (loose->fds[MEMORY] < 0 || fcntl(loose->fds[MEMORY], F_SETFD, FD_CLOEXEC))
		return -EPROTO;
	return rings_new(loose->fds[MEMORY], fd, !loose->second, loose->type, loose->quota_bytes,
	    ret);
}

/* Who made the pair. */
static void tell_maker(int fd, struct ipc9_identity *ret)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size))
		return;
	ret->how = IPC9_HOW_KERNEL;
	ret->uid = who.uid;
	ret->gid = who.gid;
	ret->pid = (uint32_t)who.pid;
	text_format(ret->host, sizeof(ret->host), "local");
}

static void make_target(struct target *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->local = true;
	text_format(ret->subject, sizeof(ret->subject), SUBJECT);
	text_format(ret->who, sizeof(ret->who), "its maker");
}

int ipc9_pipe_adopt(struct ipc9 *ipc9, struct ipc9_pipe_loose *loose, struct ipc9_pipe **ret,
    struct ipc9_error *e)
{
	unsigned writes = loose->second ? IPC9_PIPE_ACCESS_INBOUND : IPC9_PIPE_ACCESS_OUTBOUND;
	unsigned reads = loose->second ? IPC9_PIPE_ACCESS_OUTBOUND : IPC9_PIPE_ACCESS_INBOUND;
	struct ipc9_pipe *pipe;
	struct carrier *carrier = NULL;
	struct target target;
	int r;

	make_target(&target);
	pipe = pipe_alloc(ipc9, &target);
	if (!pipe)
		return error_set_own(e, -ENOMEM);
	tell_maker(loose->fds[SOCKET], &pipe->peer);
	r = make_carrier(loose, &carrier);
	if (r) {
		pipe_free(pipe);
		if (r == -EPROTO)
			return error_set(e, IPC9_E_MISMATCH,
			    SUBJECT ": its descriptors are not those of such an end");
		return error_set_own(e, r);
	}
	pipe->type = loose->type;
	pipe->quota_bytes = loose->quota_bytes;
	pipe->mode = loose->type == IPC9_PIPE_TYPE_MESSAGE ? IPC9_PIPE_MODE_MESSAGES : 0;
	pipe->connected = true;
	pipe->pair = loose->access;
	pipe->first = !loose->second;
	pipe->reads = pipe->peer_writes = loose->access & reads;
	pipe->writes = loose->access & writes;
	pipe_use_carrier(pipe, carrier, loose->way);
	loose->fds[SOCKET] = loose->fds[MEMORY] = -1;
	*ret = pipe;
	return 0;
}
