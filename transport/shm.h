/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm.h - memory that two processes share, such that neither can hurt the other by taking it away.
 *
 * It is an unnamed file in memory (memfd) of a size that nobody can change any more: it is sealed against shrinking,
 * growing and further seals.  So no access to it within that size meets the end of a file.  Pages are reserved
 * before they are used, so that a lack of memory is an error of a call and not a signal; who is given such a file
 * reserves what is used of it again, which costs nothing where it has been done.
 *
 * What stays in the power of a peer: it can write anything at any time, and give pages back (their content is zeroes
 * then).  Users of the memory copy what they check, and check what they copied.
 */
#ifndef TRANSPORT_SHM_H
#define TRANSPORT_SHM_H

#include <stddef.h>
#include <stdint.h>

/* A part of the file; both numbers are multiples of the page's size, or are rounded to one outwards. */
struct shm_range {
	uint64_t offset, size;
};

/*
 * Makes a file of so many bytes, all of them zero, that only the own user can open again (0600), closed on exec,
 * with memory reserved for n ranges and with its seals set.  The descriptor is the caller's.  0 or -errno: the
 * kernel has no such files (-ENOSYS), too many descriptors (-EMFILE, -ENFILE), no memory (-ENOMEM, -ENOSPC); nothing
 * is left then, and the caller may use a socket instead.
 */
int shm_create(uint64_t size, const struct shm_range *ranges, size_t n, int *ret_fd);

/*
 * Maps a file that somebody gave us, for reading and writing, once it is seen to be one as shm_create makes it: a
 * file in memory, of exactly that size, with all three seals, open for both.  Else -EPROTO, before anything is mapped.
 * The descriptor stays the caller's.  To be undone by shm_unmap.
 */
int shm_adopt(int fd, uint64_t size, void **ret_memory);
void shm_unmap(void *memory, uint64_t size);

/* Sees to it that there is memory behind a range.  0 or -errno (-ENOSPC, -ENOMEM); then some of it may be there. */
int shm_reserve(int fd, uint64_t offset, uint64_t size);

/*
 * The same for a part of what is mapped (rounded to pages), which needs no descriptor any more.  -EOPNOTSUPP where the
 * kernel is older than 5.14: then the descriptor has to be kept.
 */
int shm_reserve_mapped(void *memory, uint64_t size);

#endif
