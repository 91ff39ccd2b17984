/* SPDX-License-Identifier: BSD-3-Clause */
/* local.c - see local.h. */
#include "client/local.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/error.h"
#include "transport/connect.h"
#include "util/clock.h"
#include "util/text.h"

#define DAEMON_USER "ipc9"

/* --- Whose socket ------------------------------------------------------------------------------ */

static bool is_daemon_user(uid_t uid)
{
	struct passwd entry, *found = NULL;
	char buffer[4096];

	return getpwnam_r(DAEMON_USER, &entry, buffer, sizeof(buffer), &found) == 0 && found &&
	    found->pw_uid == uid;
}

static bool is_trusted(uid_t uid)
{
	return uid == 0 || uid == geteuid() || is_daemon_user(uid);
}

/*
 * Who else could have put a socket there?  The folder's owner always; anybody, where it is open to
 * others (/tmp): then the socket's owner counts too.  0; -EPERM: not trusted; -errno.
 */
static int check_folder(const char *folder, const char *file)
{
	int fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC), r = 0;
	struct stat st;

	if (fd < 0)
		return errno == EPERM ? -EACCES : -errno;
	if (fstat(fd, &st))
		r = -errno;
	else if (!is_trusted(st.st_uid))
		r = -EPERM;
	else if (st.st_mode & (S_IWGRP | S_IWOTH) && fstatat(fd, file, &st, AT_SYMLINK_NOFOLLOW))
		r = -errno;
	else if (!is_trusted(st.st_uid))
		r = -EPERM;
	close(fd);
	return r;
}

static int check_socket(const char *path)
{
	char *folder = strdup(path), *file = strdup(path);
	int r = -ENOMEM;

	/* basename(3) of libgen.h and dirname write into what they are given. */
	if (folder && file)
		r = check_folder(dirname(folder), basename(file));
	free(folder);
	free(file);
	return r;
}

/* --- Connecting -------------------------------------------------------------------------------- */

/* A daemon that has not come round to accepting yet shows as EAGAIN. */
static int connect_patiently(const struct address *address, int64_t deadline, int *ret_fd)
{
	const struct timespec pause = { .tv_nsec = 2 * NS_PER_MS };
	int r;

	while ((r = connect_address(address, deadline, ret_fd)) == -EAGAIN) {
		if (clock_now() >= deadline)
			return -ETIMEDOUT;
		nanosleep(&pause, NULL);
	}
	return r;
}

/* Whoever put the socket there: the daemon is who listens on it.  0 or -EPERM. */
static int check_peer(int fd)
{
	struct ucred who;
	socklen_t size = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size))
		return -errno;
	return is_trusted(who.uid) ? 0 : -EPERM;
}

static int connect_socket(const char *path, int64_t deadline, struct channel **ret)
{
	struct address address;
	int fd, r;

	r = address_local(path, &address);
	if (!r)
		r = check_socket(path);
	if (!r)
		r = connect_patiently(&address, deadline, &fd);
	if (r)
		return r;
	r = check_peer(fd);
	if (!r)
		r = channel_new(fd, false, ret);
	if (r)
		close(fd);
	return r;
}

static bool is_own_trouble(int r)
{
	return r == -ENOMEM || r == -EMFILE || r == -ENFILE || r == -ENOBUFS;
}

static const char *reason(int r)
{
	return r == -ETIMEDOUT ? "no answer in time" : strerror(-r);
}

static int refuse(const char *path, int r, struct ipc9_error *e)
{
	if (r == -EPERM)
		return error_set(e, IPC9_E_ACCESS,
		    "local daemon: %s is not used, because its folder, itself or who answers there belongs neither to root "
		    "nor to %s nor to you",
		    path, DAEMON_USER);
	return error_set(e, IPC9_E_ACCESS,
	    "local daemon: you may not connect to %s (%s); ask who runs ipc9d there", path,
	    reason(r));
}

int local_connect(const struct ipc9 *c, int64_t deadline, struct channel **ret,
    struct ipc9_error *e)
{
	int results[CONTEXT_SOCKETS] = { 0 };

	for (size_t i = 0; i < CONTEXT_SOCKETS && c->sockets[i]; i++) {
		int r = connect_socket(c->sockets[i], deadline, ret);

		if (!r)
			return 0;
		if (is_own_trouble(r))
			return error_set_own(e, r);
		if (r == -EPERM || r == -EACCES)
			return refuse(c->sockets[i], r, e);
		results[i] = r;
	}
	if (!c->sockets[1])
		return error_set(e, IPC9_E_NODAEMON,
		    "local daemon: nobody answers on %s (%s); is ipc9d running?", c->sockets[0],
		    reason(results[0]));
	return error_set(e, IPC9_E_NODAEMON,
	    "local daemon: nobody answers on %s (%s) or %s (%s); is ipc9d running?", c->sockets[0],
	    reason(results[0]), c->sockets[1], reason(results[1]));
}
