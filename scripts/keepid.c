/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * keepid CMD ARG... - run CMD with the calls that change user and group ids reporting success
 * without doing anything.
 *
 * rpcbind always becomes user _rpc, and ends when it cannot. In a user namespace that maps one id
 * only there is no such user; with this in front rpcbind stays who it is. It is a help for tests,
 * not a sandbox, so the filter does not look at the calling architecture.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* "Error 0" is success: the call is skipped and returns 0. */
#define SUCCEED(nr)                                                                                \
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (nr), 0, 1),                                           \
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 0)

static struct sock_filter filter[] = {
	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	SUCCEED(SYS_setuid),
	SUCCEED(SYS_setgid),
	SUCCEED(SYS_setgroups),
	SUCCEED(SYS_setreuid),
	SUCCEED(SYS_setregid),
	SUCCEED(SYS_setresuid),
	SUCCEED(SYS_setresgid),
#ifdef SYS_setuid32 /* the calls that glibc makes on 32-bit x86 and Arm */
	SUCCEED(SYS_setuid32),
	SUCCEED(SYS_setgid32),
	SUCCEED(SYS_setgroups32),
	SUCCEED(SYS_setreuid32),
	SUCCEED(SYS_setregid32),
	SUCCEED(SYS_setresuid32),
	SUCCEED(SYS_setresgid32),
#endif
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
};

int main(int argc, char **argv)
{
	struct sock_fprog prog = {
		.len = sizeof(filter) / sizeof(filter[0]),
		.filter = filter,
	};

	if (argc < 2) {
		fprintf(stderr, "usage: keepid CMD [ARG...]\n");
		return 2;
	}

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)) {
		perror("keepid: seccomp");
		return 1;
	}

	execvp(argv[1], argv + 1);
	perror(argv[1]);
	return 127;
}
