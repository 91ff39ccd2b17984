/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_offer.c - how a program gets an end of an unnamed pipe from the program that started it (pipe.h).
 *
 * The offer's socket comes down by inheritance, and whatever is in between has it too, before and after: a shell, and all that it
 * starts.  So it serves for nothing but to ask, and nobody's death is told by it.
 *
 * 1. Who wants the pipe makes a socket for the two of them alone, and sends one end of it with TAKE.
 * 2. Who offers it answers there with AGREE, together with the descriptors of the second end, keeps none of these, and closes
 *    the offer.  One gets it; a TAKE that is queued then, or comes later, finds its socket closed.
 * 3. Who waits no longer shuts that socket before it looks for the last time.  Either AGREE is there, or it cannot be said any
 *    more, and the offer goes to the next: both come to the same.
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
#include "client/pipe.h"
#include "transport/descriptors.h"
#include "util/clock.h"

#define SUBJECT "unnamed pipe"
#define TAKE 'T'
#define AGREE 'A'
#define TAKERS_MAX 1024 /* more than the offer's socket holds of those that came and went */

/*
 * "TYPE ACCESS WAY QUOTA FD:INODE".  The number of the file itself tells an offer from one that was taken before or is
 * another program's, of which only the variable has come down.
 */
#define OFFER_FORMAT "%d %d %d %" PRIu32 " %d:%" PRIu64
#define OFFER_SCAN "%d %d %d %" SCNu32 " %d:%" SCNu64 "%n"

/* --- Making ------------------------------------------------------------------------------------ */

int pipe_offer_make(const struct ipc9_pipe_pair_options *options, struct pipe_offer *ret,
    int *ret_fd, struct ipc9_error *e)
{
	struct pipe_offer offer;
	int fds[2], r = ipc9_pipe_pair(options, offer.ends, e);

	if (r)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
		r = -errno;
		ipc9_pipe_loose_close(&offer.ends[0]);
		ipc9_pipe_loose_close(&offer.ends[1]);
		return error_set_own(e, r);
	}
	offer.fd = fds[0];
	*ret = offer;
	*ret_fd = fds[1];
	return 0;
}

void pipe_offer_close(struct pipe_offer *offer)
{
	if (offer->fd >= 0)
		close(offer->fd);
	offer->fd = -1;
	ipc9_pipe_loose_close(&offer->ends[0]);
	ipc9_pipe_loose_close(&offer->ends[1]);
}

/* 0: there is none. */
static uint64_t inode(int fd)
{
	struct stat s;

	return fd >= 0 && fstat(fd, &s) == 0 ? s.st_ino : 0;
}

int pipe_offer_text(const struct pipe_offer *offer, int fd, int number, char text[PIPE_OFFER_SIZE])
{
	const struct ipc9_pipe_loose *end = &offer->ends[1];
	int n = snprintf(text, PIPE_OFFER_SIZE, OFFER_FORMAT, (int)end->type, (int)end->access,
	    (int)end->way, end->quota_bytes, number, inode(fd));

	return n > 0 && n < PIPE_OFFER_SIZE ? 0 : -EOVERFLOW;
}

/* --- What is said ------------------------------------------------------------------------------ */

/* A byte with descriptors, at once: 0, PEERCLOSED, WOULDBLOCK, -errno. */
static int say(int fd, char byte, const int *fds, unsigned n_fds)
{
	struct gather out;
	ssize_t n;
	int r;

	gather_init(&out);
	r = gather_refer(&out, &byte, 1, NULL);
	n = r ? r : gather_send_with(&out, fd, 1, fds, n_fds);
	gather_clear(&out);
	if (n == 1)
		return 0;
	if (n == -EPIPE || n == -ECONNRESET)
		return IPC9_E_PEERCLOSED;
	return n == 0 || n == -EAGAIN ? IPC9_E_WOULDBLOCK : (int)n;
}

/* Waits for the byte with so many descriptors: 0, PEERCLOSED, TIMEDOUT, MISMATCH, -errno. */
static int hear(int fd, char byte, int64_t until, unsigned n_fds, int *ret_fds)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (;;) {
		struct descriptors got = { .n = 0 };
		char heard = 0;
		struct iovec iov = { &heard, 1 };
		ssize_t n = descriptors_receive(&got, fd, &iov, 1, MSG_DONTWAIT, NULL);

		if (n > 0 && heard == byte && got.n == n_fds)
			return descriptors_take(&got, n_fds, ret_fds);
		descriptors_close(&got);
		if (n > 0 || n == -EPROTO)
			return IPC9_E_MISMATCH;
		if (n == 0 || n == -ECONNRESET)
			return IPC9_E_PEERCLOSED;
		if (n != -EAGAIN && n != -EINTR)
			return (int)n;
		if (poll(&p, 1, clock_poll_ms(until)) == 0 && clock_now() >= until)
			return IPC9_E_TIMEDOUT;
	}
}

/* The descriptors of an end: how many there are. */
static unsigned n_fds_of(const struct ipc9_pipe_loose *end)
{
	return end->way == IPC9_PIPE_BY_MEMORY ? 2 : 1;
}

/* --- Offering ---------------------------------------------------------------------------------- */

int pipe_offer_agree(struct pipe_offer *offer, int64_t until)
{
	struct ipc9_pipe_loose *end = &offer->ends[1];

	for (int n = 0; n < TAKERS_MAX || clock_now() < until; n++) {
		int taker, r = hear(offer->fd, TAKE, until, 1, &taker);

		if (r)
			return r;
		r = pipe_pair_is_socket(taker) ? say(taker, AGREE, end->fds, n_fds_of(end))
					       : IPC9_E_MISMATCH;
		close(taker);
		if (r == IPC9_E_PEERCLOSED) /* it waits no longer, or has ended */
			continue;
		ipc9_pipe_loose_close(end);
		return r == IPC9_E_WOULDBLOCK ? IPC9_E_MISMATCH : r;
	}
	return IPC9_E_TIMEDOUT;
}

/* --- Taking ------------------------------------------------------------------------------------ */

/* Reads the text.  0; NOENT: that file is not open here; MISMATCH.  Nothing is touched but what it was written about. */
static int read_offer(const char *text, struct ipc9_pipe_loose *ret, int *ret_fd)
{
	struct sockaddr peer;
	socklen_t size = sizeof(peer);
	uint64_t number = 0;
	int type, access, way, fd = -1, end = 0;

	if (sscanf(text, OFFER_SCAN, &type, &access, &way, &ret->quota_bytes, &fd, &number, &end) !=
		6 ||
	    text[end])
		return IPC9_E_MISMATCH;
	ret->type = (enum ipc9_pipe_type)type;
	ret->access = (enum ipc9_pipe_access)access;
	ret->way = (enum ipc9_pipe_way)way;
	ret->second = true;
	ret->fds[0] = ret->fds[1] = -1;
	if (pipe_pair_wrong(ret->type, ret->access, ret->way, ret->quota_bytes))
		return IPC9_E_MISMATCH;
	if (inode(fd) != number || !number)
		return IPC9_E_NOENT;
	if (!pipe_pair_is_socket(fd) || getpeername(fd, &peer, &size))
		return IPC9_E_MISMATCH;
	*ret_fd = fd;
	return 0;
}

/* Says TAKE as soon as there is room among those that came before.  0, PEERCLOSED, TIMEDOUT, -errno. */
static int ask(int offer, int taker, int64_t until)
{
	struct pollfd p = { .fd = offer, .events = POLLOUT };

	for (;;) {
		int r = say(offer, TAKE, &taker, 1);

		if (r != IPC9_E_WOULDBLOCK)
			return r;
		if (poll(&p, 1, clock_poll_ms(until)) == 0 && clock_now() >= until)
			return IPC9_E_TIMEDOUT;
	}
}

/* Fills in the descriptors of the end.  Takes over the offer's, which so can be taken once by a process.  As hear. */
static int take(int offer, struct ipc9_pipe_loose *end, int64_t until)
{
	int fds[2], r, last;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds)) {
		r = -errno;
		close(offer);
		return r;
	}
	r = ask(offer, fds[1], until);
	close(fds[1]);
	close(offer); /* there is room for two descriptors now, whatever this process's limit */
	if (!r) {
		r = hear(fds[0], AGREE, until, n_fds_of(end), end->fds);
		if (r == IPC9_E_TIMEDOUT) {
			shutdown(fds[0], SHUT_RD);
			last = hear(fds[0], AGREE, 0, n_fds_of(end), end->fds);
			r = last == IPC9_E_PEERCLOSED ? r : last;
		}
	}
	close(fds[0]);
	return r;
}

/* The sentence for what an offer came to. */
static int explain(int code, struct ipc9_error *e)
{
	switch (code) {
	case IPC9_E_NOENT:
		return error_set(e, code,
		    SUBJECT ": none was offered to this program (%s), or it was taken before",
		    PIPE_OFFER_VARIABLE);
	case IPC9_E_PEERCLOSED: /* whoever offered it goes on without */
		return error_set(e, IPC9_E_NOENT,
		    SUBJECT ": the offer was withdrawn, or another program has taken it");
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
	int64_t until = clock_deadline_ms(wait_ms);
	struct ipc9_pipe_loose loose;
	int fd, r;

	if (wait_ms < IPC9_FOREVER)
		return error_set(e, IPC9_E_INVALID, SUBJECT ": a wait of %d ms", wait_ms);
	r = text && *text ? read_offer(text, &loose, &fd) : IPC9_E_NOENT;
	if (!r)
		r = take(fd, &loose, until);
	if (r)
		return explain(r, e);
	r = ipc9_pipe_adopt(ipc9, &loose, ret, e);
	ipc9_pipe_loose_close(&loose);
	return r;
}
