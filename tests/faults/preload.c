/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * preload.c - a library for LD_PRELOAD whose allocations, descriptors and threads fail when faults.h says so.
 *
 * Without the file of faults.h nothing fails.  What it calls instead is whatever comes next: the C library, or the
 * runtime of a sanitizer.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/faults/faults.h"

#define EXPORT __attribute__((visibility("default")))

/* Calls the next definition of a function, found once. */
#define NEXT(name)                                                                                 \
	static __typeof__(&name) next_##name;                                                      \
	if (!next_##name)                                                                          \
	*(void **)(void *)&next_##name = dlsym(RTLD_NEXT, #name)

static struct faults *faults;
static _Thread_local bool inside; /* the C library, where it does not survive a failure itself */

static void __attribute__((constructor)) begin(void)
{
	const char *path = getenv(FAULTS_FILE);
	long fd = path ? syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	long at;

	if (fd < 0)
		return;
	at = syscall(SYS_mmap, NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (at != -1)
		faults = (struct faults *)at;
	syscall(SYS_close, fd);
}

/* Counts a call; whether it is one that fails. */
static bool fails(enum fault_call call, int error)
{
	long first, nth;

	if (!faults || inside || atomic_load(&faults->call) != (int)call)
		return false;
	nth = atomic_fetch_add(&faults->seen, 1) + 1;
	first = atomic_load(&faults->first);
	if (nth < first || nth >= first + atomic_load(&faults->n))
		return false;
	atomic_fetch_add(&faults->failed, 1);
	errno = error;
	return true;
}

/* --- Memory ------------------------------------------------------------------------------------ */

EXPORT void *malloc(size_t size)
{
	NEXT(malloc);
	return fails(FAULT_MEMORY, ENOMEM) ? NULL : next_malloc(size);
}

EXPORT void *calloc(size_t n, size_t size)
{
	NEXT(calloc);
	return fails(FAULT_MEMORY, ENOMEM) ? NULL : next_calloc(n, size);
}

EXPORT void *realloc(void *old, size_t size)
{
	NEXT(realloc);
	return fails(FAULT_MEMORY, ENOMEM) ? NULL : next_realloc(old, size);
}

EXPORT char *strdup(const char *text)
{
	NEXT(strdup);
	return fails(FAULT_MEMORY, ENOMEM) ? NULL : next_strdup(text);
}

EXPORT void *mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	NEXT(mmap);
	return fails(FAULT_MAP, ENOMEM) ? MAP_FAILED
					: next_mmap(at, size, protection, flags, fd, offset);
}

EXPORT int memfd_create(const char *name, unsigned flags)
{
	NEXT(memfd_create);
	return fails(FAULT_MAP, ENOMEM) ? -1 : next_memfd_create(name, flags);
}

/* glibc's name service asserts that it has memory, or follows a null pointer. */
EXPORT struct passwd *getpwuid(uid_t uid)
{
	struct passwd *found;

	NEXT(getpwuid);
	inside = true;
	found = next_getpwuid(uid);
	inside = false;
	return found;
}

/* A thread that begins asks for this in the runtime of a sanitizer, which ends the process without it. */
EXPORT int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
	int r;

	NEXT(pthread_getattr_np);
	inside = true;
	r = next_pthread_getattr_np(thread, attributes);
	inside = false;
	return r;
}

/* --- Descriptors ------------------------------------------------------------------------------- */

EXPORT int open(const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	NEXT(open);
	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return fails(FAULT_OPEN, EMFILE) ? -1 : next_open(path, flags, mode);
}

EXPORT int openat(int folder, const char *path, int flags, ...)
{
	mode_t mode;
	va_list ap;

	NEXT(openat);
	va_start(ap, flags);
	mode = flags & O_CREAT ? va_arg(ap, mode_t) : 0;
	va_end(ap);
	return fails(FAULT_OPEN, EMFILE) ? -1 : next_openat(folder, path, flags, mode);
}

EXPORT FILE *fopen(const char *path, const char *mode)
{
	NEXT(fopen);
	return fails(FAULT_OPEN, EMFILE) ? NULL : next_fopen(path, mode);
}

EXPORT int accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	NEXT(accept4);
	return fails(FAULT_ACCEPT, EMFILE) ? -1 : next_accept4(fd, address, len, flags);
}

EXPORT int socket(int family, int type, int protocol)
{
	NEXT(socket);
	return fails(FAULT_SOCKET, EMFILE) ? -1 : next_socket(family, type, protocol);
}

EXPORT int eventfd(unsigned value, int flags)
{
	NEXT(eventfd);
	return fails(FAULT_DESCRIPTOR, EMFILE) ? -1 : next_eventfd(value, flags);
}

EXPORT int signalfd(int fd, const sigset_t *set, int flags)
{
	NEXT(signalfd);
	return fails(FAULT_DESCRIPTOR, EMFILE) ? -1 : next_signalfd(fd, set, flags);
}

EXPORT int epoll_create1(int flags)
{
	NEXT(epoll_create1);
	return fails(FAULT_DESCRIPTOR, EMFILE) ? -1 : next_epoll_create1(flags);
}

EXPORT int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event)
{
	NEXT(epoll_ctl);
	if (operation != EPOLL_CTL_DEL && fails(FAULT_EPOLL, ENOMEM))
		return -1;
	return next_epoll_ctl(epoll, operation, fd, event);
}

/* --- Threads ----------------------------------------------------------------------------------- */

EXPORT int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *),
    void *context)
{
	NEXT(pthread_create);
	return fails(FAULT_THREAD, EAGAIN) ? EAGAIN
					   : next_pthread_create(thread, attributes, fn, context);
}
