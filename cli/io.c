/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io.c - whole reads and writes on descriptors.
 *
 * Standard input and output are shared with whoever started us, so they may be non-blocking without our
 * doing: EAGAIN waits in poll and tries again.  Nothing here prints.
 */
#include "cli/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define IO_PIPE_BYTES (1024 * 1024)

void io_freep(void *pointer)
{
	void **p = (void **)pointer;

	free(*p);
}

void io_closep(int *fd)
{
	io_close(fd);
}

int io_close(int *fd)
{
	int r = 0;

	if (*fd >= 0 && close(*fd) < 0 && errno != EINTR)
		r = -errno;
	*fd = -1;
	return r;
}

void io_take_standard(void)
{
	/* The wrong way round on purpose: using one that was closed still fails, with EBADF. */
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) < 0)
			abort();
}

/* Returns when fd is ready for events, or in error, which the next read or write tells. */
static void io_wait(int fd, short events)
{
	struct pollfd pollfd = { .fd = fd, .events = events };

	(void)poll(&pollfd, 1, -1);
}

int io_read_some(int fd, void *buffer, size_t size_bytes, size_t *ret_size_bytes)
{
	for (;;) {
		ssize_t n = read(fd, buffer, size_bytes);

		if (n >= 0) {
			*ret_size_bytes = (size_t)n;
			return 0;
		}
		if (errno == EAGAIN)
			io_wait(fd, POLLIN);
		else if (errno != EINTR)
			return -errno;
	}
}

int io_read_full(int fd, void *buffer, size_t size_bytes, size_t *ret_size_bytes)
{
	size_t done = 0;

	while (done < size_bytes) {
		size_t n;
		int r = io_read_some(fd, (uint8_t *)buffer + done, size_bytes - done, &n);

		if (r)
			return r;
		if (n == 0)
			break;
		done += n;
	}
	*ret_size_bytes = done;
	return 0;
}

int io_read_gather(int fd, void *buffer, size_t size_bytes, size_t *ret_size_bytes, bool *ret_end)
{
	struct pollfd pollfd = { .fd = fd, .events = POLLIN };
	size_t done = 0;
	bool end = false;

	do {
		size_t n;
		int r = io_read_some(fd, (uint8_t *)buffer + done, size_bytes - done, &n);

		if (r && done == 0)
			return r;
		if (r)
			break; /* it comes again after what is here */
		done += n;
		end = n == 0;
	} while (!end && done < size_bytes && poll(&pollfd, 1, 0) == 1);
	*ret_size_bytes = done;
	*ret_end = end;
	return 0;
}

int io_write_all(int fd, const void *data, size_t size_bytes)
{
	size_t done = 0;

	while (done < size_bytes) {
		ssize_t n = write(fd, (const uint8_t *)data + done, size_bytes - done);

		if (n >= 0)
			done += (size_t)n;
		else if (errno == EAGAIN)
			io_wait(fd, POLLOUT);
		else if (errno != EINTR)
			return -errno;
	}
	return 0;
}

void io_widen(int fd)
{
	if (fcntl(fd, F_GETPIPE_SZ) > 0)
		(void)fcntl(fd, F_SETPIPE_SZ, IO_PIPE_BYTES);
}
