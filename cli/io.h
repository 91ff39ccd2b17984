/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * io.h - whole reads and writes on descriptors that may be interrupted or non-blocking, and the cleanup
 * helpers that every file of the command uses.
 */
#ifndef IPC9_CLI_IO_H
#define IPC9_CLI_IO_H

#include <stdbool.h>
#include <stddef.h>

#ifndef _cleanup_
#define _cleanup_(function) __attribute__((cleanup(function)))
#endif

/* Frees what a local `char *` or `void *` points to when it goes out of scope. */
void io_freep(void *pointer);
/* Closes a local descriptor, unless it is negative, when it goes out of scope. */
void io_closep(int *fd);

/* Closes *fd and makes it -1; fine when it is.  0, or the errno of a close that failed, negative. */
int io_close(int *fd);

/* Sees to it that descriptors 0, 1 and 2 are taken, so that no socket gets one of them. */
void io_take_standard(void);

/* Reads what is there, waiting for something; *ret_size_bytes is 0 at the end.  0 or -errno. */
int io_read_some(int fd, void *buffer, size_t size_bytes, size_t *ret_size_bytes);

/* Reads until the buffer is full or the input ends.  0 or -errno. */
int io_read_full(int fd, void *buffer, size_t size_bytes, size_t *ret_size_bytes);

/*
 * Reads what is there, waiting for something, and goes on while more is there at once and fits; *ret_end is
 * set when the input ended, which a terminal says only once.  0 or -errno.
 */
int io_read_gather(int fd, void *buffer, size_t size_bytes, size_t *ret_size_bytes, bool *ret_end);

/* Writes all of it.  0 or -errno. */
int io_write_all(int fd, const void *data, size_t size_bytes);

/* Makes a pipe(7) hold 1 MiB if it may, so that bulk moves in large pieces; others are left alone. */
void io_widen(int fd);

#endif
