/* SPDX-License-Identifier: BSD-3-Clause */
/* process.c - see process.h. */
#include "tests/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness.h"

void process_start(struct process *p, process_fn *run, void *context)
{
	int fds[2];

	fflush(NULL);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) || (p->pid = fork()) < 0) {
		perror("tests: fork");
		exit(2);
	}
	p->fd = fds[0];
	if (p->pid == 0) {
		struct process self = { getppid(), fds[1] };

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		_exit(run(&self, context));
	}
	close(fds[1]);
}

void process_tell(struct process *p, char byte)
{
	while (send(p->fd, &byte, 1, MSG_NOSIGNAL) < 0 && errno == EINTR)
		;
}

char process_hear(struct process *p)
{
	char byte = 0;

	while (recv(p->fd, &byte, 1, 0) < 0 && errno == EINTR)
		;
	return byte;
}

void process_kill(struct process *p)
{
	kill(p->pid, SIGKILL);
	waitpid(p->pid, NULL, 0);
	close(p->fd);
}

void process_end(struct process *p)
{
	int status = -1;

	waitpid(p->pid, &status, 0);
	HOLDS(WIFEXITED(status));
	EQUAL(WEXITSTATUS(status), 0);
	close(p->fd);
}

int process_descriptors(void)
{
	int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}
