/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * faults.h - which call is to fail next: a file that preload.c, in the process whose calls fail, and main.c, which
 * counts and chooses, have mapped both.
 */
#ifndef TESTS_FAULTS_FAULTS_H
#define TESTS_FAULTS_FAULTS_H

#include <stdatomic.h>

#define FAULTS_FILE "FAULTS_FILE" /* the environment variable with its path */

enum fault_call {
	FAULT_NONE,
	FAULT_MEMORY,	  /* malloc, calloc, realloc, strdup: ENOMEM */
	FAULT_OPEN,	  /* open, openat, fopen: EMFILE */
	FAULT_ACCEPT,	  /* accept4: EMFILE */
	FAULT_SOCKET,	  /* socket: EMFILE */
	FAULT_DESCRIPTOR, /* eventfd, signalfd, epoll_create1: EMFILE */
	FAULT_EPOLL,	  /* epoll_ctl, but for taking away: ENOMEM */
	FAULT_MAP,	  /* mmap, memfd_create: ENOMEM */
	FAULT_THREAD,	  /* pthread_create: EAGAIN */
	FAULT_CALLS,
};

struct faults {
	atomic_int call;      /* enum fault_call; FAULT_NONE: nothing fails, nothing is counted */
	atomic_long first, n; /* calls first to first + n - 1 fail, counted from 1 */
	atomic_long seen;     /* calls counted so far */
	atomic_long failed;
};

#endif
