/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_pair.c - unnamed pipes: two loose ends, of which each becomes an end like those of named pipes (pipe_stream.c), over
 * the same carriers; and how a program gets one from the program that started it (pipe.h, "An offer").
 *
 * A loose end's members may have come from anywhere: what it claims to be is compared with its descriptors, and what the other
 * end claims does not count (carrier.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/error.h"
#include "client/frames.h"
#include "client/pipe.h"
#include "client/rings.h"
#include "transport/conduit.h"
#include "util/clock.h"
#include "util/text.h"

#define SUBJECT "unnamed pipe"
#define QUOTA_USUAL 1048576u

enum {
	SOCKET,
	MEMORY
}; /* in a loose end's fds */

/* --- Making ------------------------------------------------------------------------------------ */

/* What is wrong with a kind of pipe, or NULL. */
static const char *wrong(enum ipc9_pipe_type type, enum ipc9_pipe_access access,
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
	const char *why = wrong(end.type, end.access, end.way, end.quota_bytes);
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

static bool is_local_stream(int fd)
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

	if (flags < 0 || !is_local_stream(fd) ||
	    wrong(loose->type, loose->access, loose->way, loose->quota_bytes))
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

/* --- Offers ------------------------------------------------------------------------------------ */

#define TAKE 'T'
#define AGREE 'A'

/*
 * "TYPE ACCESS WAY QUOTA SECOND FD:INODE FD:INODE".  The numbers of the files themselves tell an offer from one that was taken
 * before or is another program's, of which only the variable has come down.
 */
#define OFFER_FORMAT "%d %d %d %" PRIu32 " %d %d:%" PRIu64 " %d:%" PRIu64
#define OFFER_SCAN "%d %d %d %" SCNu32 " %d %d:%" SCNu64 " %d:%" SCNu64 "%n"

/* 0: there is none. */
static uint64_t inode(int fd)
{
	struct stat s;

	return fd >= 0 && fstat(fd, &s) == 0 ? s.st_ino : 0;
}

int pipe_offer_text(const struct ipc9_pipe_loose *loose, const int numbers[2],
    char text[PIPE_OFFER_SIZE])
{
	int n = snprintf(text, PIPE_OFFER_SIZE, OFFER_FORMAT, (int)loose->type, (int)loose->access,
	    (int)loose->way, loose->quota_bytes, (int)loose->second, numbers[SOCKET],
	    inode(loose->fds[SOCKET]), numbers[MEMORY], inode(loose->fds[MEMORY]));

	return n > 0 && n < PIPE_OFFER_SIZE ? 0 : -EOVERFLOW;
}

/* Reads the text.  0; NOENT: those files are not open here; MISMATCH. */
static int read_offer(const char *text, struct ipc9_pipe_loose *ret)
{
	uint64_t inodes[2] = { 0, 0 };
	int type, access, way, second, end = 0;

	if (sscanf(text, OFFER_SCAN, &type, &access, &way, &ret->quota_bytes, &second,
		&ret->fds[SOCKET], &inodes[SOCKET], &ret->fds[MEMORY], &inodes[MEMORY],
		&end) != 9 ||
	    text[end])
		return IPC9_E_MISMATCH;
	ret->type = (enum ipc9_pipe_type)type;
	ret->access = (enum ipc9_pipe_access)access;
	ret->way = (enum ipc9_pipe_way)way;
	ret->second = second;
	if (wrong(ret->type, ret->access, ret->way, ret->quota_bytes))
		return IPC9_E_MISMATCH;
	for (int i = 0; i <= (ret->way == IPC9_PIPE_BY_MEMORY ? MEMORY : SOCKET); i++)
		if (inode(ret->fds[i]) != inodes[i] || !inodes[i])
			return IPC9_E_NOENT;
	return 0;
}

/*
 * Moves the descriptors to other numbers, such that the text is good for nothing from then on: nobody takes the offer twice.
 * 0 or -errno.
 */
static int claim(struct ipc9_pipe_loose *loose)
{
	int moved[2] = { -1, -1 };

	for (int i = 0; i < 2 && loose->fds[i] >= 0; i++) {
		moved[i] = fcntl(loose->fds[i], F_DUPFD_CLOEXEC, 3);
		if (moved[i] < 0) {
			int r = -errno;

			if (i)
				close(moved[0]);
			return r;
		}
	}
	ipc9_pipe_loose_close(loose);
	memcpy(loose->fds, moved, sizeof(moved));
	return 0;
}

static int say(int fd, char byte)
{
	if (send(fd, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1)
		return 0;
	return errno == EPIPE || errno == ECONNRESET ? IPC9_E_PEERCLOSED : -errno;
}

/* Waits for the byte; what comes behind it is the carrier's. */
static int hear(int fd, char byte, int64_t until)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char heard;
	ssize_t n;

	for (;;) {
		n = recv(fd, &heard, 1, MSG_DONTWAIT);
		if (n > 0)
			return heard == byte ? 0 : IPC9_E_MISMATCH;
		if (n == 0 || errno == ECONNRESET)
			return IPC9_E_PEERCLOSED;
		if (errno != EAGAIN && errno != EINTR)
			return -errno;
		if (poll(&p, 1, clock_poll_ms(until)) == 0 && clock_now() >= until)
			return IPC9_E_TIMEDOUT;
	}
}

int pipe_offer_agree(const struct ipc9_pipe_loose *loose, int64_t until)
{
	int r = hear(loose->fds[SOCKET], TAKE, until);

	return r ? r : say(loose->fds[SOCKET], AGREE);
}

/* The sentence for what an offer came to. */
static int explain_offer(int code, struct ipc9_error *e)
{
	switch (code) {
	case IPC9_E_NOENT:
		return error_set(e, code,
		    SUBJECT ": none was offered to this program (%s), or it was taken before",
		    PIPE_OFFER_VARIABLE);
	case IPC9_E_PEERCLOSED: /* whoever offered it goes on without */
		return error_set(e, IPC9_E_NOENT, SUBJECT ": the offer was withdrawn");
	case IPC9_E_TIMEDOUT:
		return error_set(e, code, SUBJECT ": who offered it did not agree in time");
	case IPC9_E_MISMATCH:
		return error_set(e, code,
		    SUBJECT ": what %s says is not as ipc9_spawn of this version writes it",
		    PIPE_OFFER_VARIABLE);
	default:
		return error_set_own(e, code);
	}
}

int ipc9_pipe_inherit(struct ipc9 *ipc9, int wait_ms, struct ipc9_pipe **ret, struct ipc9_error *e)
{
	const char *text = secure_getenv(PIPE_OFFER_VARIABLE);
	struct ipc9_pipe_loose loose;
	int64_t until = clock_deadline_ms(wait_ms);
	int r;

	if (wait_ms < IPC9_FOREVER)
		return error_set(e, IPC9_E_INVALID, SUBJECT ": a wait of %d ms", wait_ms);
	r = text && *text ? read_offer(text, &loose) : IPC9_E_NOENT;
	if (!r)
		r = claim(&loose);
	if (r)
		return explain_offer(r, e);
	r = is_local_stream(loose.fds[SOCKET]) ? say(loose.fds[SOCKET], TAKE) : IPC9_E_MISMATCH;
	if (!r)
		r = hear(loose.fds[SOCKET], AGREE, until);
	r = r ? explain_offer(r, e) : ipc9_pipe_adopt(ipc9, &loose, ret, e);
	ipc9_pipe_loose_close(&loose);
	return r;
}
