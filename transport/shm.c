/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * shm.c - see shm.h.
 */
#include "transport/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define POPULATE_WRITE 23 /* MADV_POPULATE_WRITE, which older headers do not know */
#define SEAL_EXEC 0x20	  /* F_SEAL_EXEC of newer kernels, which may set it by themselves */

int shm_reserve(int fd, uint64_t offset, uint64_t size)
{
	int r;

	do
		r = fallocate(fd, 0, (off_t)offset, (off_t)size);
	while (r && errno == EINTR);
	return r ? -errno : 0;
}

int shm_reserve_mapped(void *memory, uint64_t size)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)memory & ~(page - 1);
	int r;

	do
		r = madvise((void *)at, (size_t)((uintptr_t)memory + size - at), POPULATE_WRITE);
	while (r && errno == EINTR);
	if (!r)
		return 0;
	/* EFAULT: what would have been a signal. */
	return errno == EINVAL ? -EOPNOTSUPP : errno == EFAULT ? -ENOMEM : -errno;
}

static int fill(int fd, uint64_t size, const struct shm_range *ranges, size_t n)
{
	/* Made with mode 0777: another user could open it again by /proc. */
	if (fchmod(fd, 0600) || ftruncate(fd, (off_t)size))
		return -errno;
	for (size_t i = 0; i < n; i++) {
		int r = shm_reserve(fd, ranges[i].offset, ranges[i].size);

		if (r)
			return r;
	}
	return fcntl(fd, F_ADD_SEALS, SEALS) ? -errno : 0;
}

int shm_create(uint64_t size, const struct shm_range *ranges, size_t n, int *ret_fd)
{
	int fd = memfd_create("ipc9", MFD_CLOEXEC | MFD_ALLOW_SEALING), r;

	if (fd < 0)
		return -errno;
	r = fill(fd, size, ranges, n);
	if (r)
		close(fd);
	else
		*ret_fd = fd;
	return r;
}

/* Seals are only known of files in memory; those against writing would make it useless. */
static bool is_ours(int fd, uint64_t size)
{
	struct statfs system;
	struct stat st;
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && (flags & (O_ACCMODE | O_PATH)) == O_RDWR && fstat(fd, &st) == 0 &&
	    S_ISREG(st.st_mode) && st.st_size >= 0 && (uint64_t)st.st_size == size &&
	    fstatfs(fd, &system) == 0 && (unsigned long)system.f_type == TMPFS_MAGIC &&
	    (fcntl(fd, F_GET_SEALS) & ~SEAL_EXEC) == SEALS;
}

int shm_adopt(int fd, uint64_t size, void **ret_memory)
{
	void *memory;

	if (!is_ours(fd, size) || size > SIZE_MAX)
		return -EPROTO;
	memory = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		return -errno;
	*ret_memory = memory;
	return 0;
}

void shm_unmap(void *memory, uint64_t size)
{
	munmap(memory, (size_t)size);
}
