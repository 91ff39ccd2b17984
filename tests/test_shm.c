/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_shm.c - shared memory: what is made is sealed, private and there; what is not like that is refused.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness.h"
#include "transport/shm.h"

#define MIB 1048576u

static void test_memory_is_sealed_private_and_reserved(void)
{
	const struct shm_range ranges[] = { { 0, 4096 }, { 65536, 8192 } };
	struct stat st;
	void *memory;
	int fd;

	EQUAL(shm_create(MIB, ranges, 2, &fd), 0);
	EQUAL(fstat(fd, &st), 0);
	EQUAL(st.st_mode & 07777, 0600);
	EQUAL(st.st_size, MIB);
	EQUAL(st.st_blocks * 512, 12288);
	EQUAL(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	EQUAL(ftruncate(fd, 4096), -1);
	EQUAL(ftruncate(fd, 2 * MIB), -1);
	EQUAL(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	EQUAL(shm_adopt(fd, MIB, &memory), 0);
	shm_unmap(memory, MIB);
	EQUAL(shm_reserve(fd, 8192, 4096), 0);
	EQUAL(fstat(fd, &st), 0);
	EQUAL(st.st_blocks * 512, 16384);
	close(fd);
}

static int sealed_file(uint64_t size, int seals)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	EQUAL(ftruncate(fd, (off_t)size), 0);
	EQUAL(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static void check_refused(int fd)
{
	void *memory = NULL;

	HOLDS(fd >= 0);
	EQUAL(shm_adopt(fd, 65536, &memory), -EPROTO);
	HOLDS(!memory);
	close(fd);
}

static void test_memory_that_is_not_as_agreed_is_refused(void)
{
	const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
	int fds[2];

	check_refused(sealed_file(65536, F_SEAL_GROW | F_SEAL_SEAL));
	check_refused(sealed_file(65536, F_SEAL_SHRINK | F_SEAL_SEAL));
	check_refused(sealed_file(65536, F_SEAL_SHRINK | F_SEAL_GROW));
	check_refused(sealed_file(65536, seals | F_SEAL_WRITE));
	check_refused(sealed_file(65535, seals));
	check_refused(sealed_file(65536 + 4096, seals));
	check_refused(open("/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600));
	check_refused(open("/dev/zero", O_RDWR | O_CLOEXEC));
	check_refused(open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	EQUAL(pipe2(fds, O_CLOEXEC), 0);
	check_refused(fds[0]);
	check_refused(fds[1]);
	/* Open for reading only. */
	fds[0] = sealed_file(65536, seals);
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fds[0]);
	check_refused(open(path, O_RDONLY | O_CLOEXEC));
	check_refused(open(path, O_PATH | O_CLOEXEC));
	close(fds[0]);
}

SUITE(shm, TEST(test_memory_is_sealed_private_and_reserved),
    TEST(test_memory_that_is_not_as_agreed_is_refused));
