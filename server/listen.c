/* SPDX-License-Identifier: BSD-3-Clause */
/* listen.c - see listen.h. */
#include "server/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transport/connect.h"
#include "transport/socket.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"

/* --- Folders ----------------------------------------------------------------------------------- */

static int check_folder(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &st)) {
		int r = -errno;

		log_error("%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return r;
	}
	close(fd);
	if (st.st_uid != geteuid()) {
		log_error("%s belongs to uid %u, not to us (uid %u): choose another place", path,
		    (unsigned)st.st_uid, (unsigned)geteuid());
		return -EPERM;
	}
	if (st.st_mode & (S_IWGRP | S_IWOTH)) {
		log_error("%s may be written to by others (mode %03o): chmod go-w it", path,
		    (unsigned)st.st_mode & 0777u);
		return -EPERM;
	}
	return 0;
}

/* Makes a folder and those above it that are missing. */
static int make_folder(const char *path, mode_t mode)
{
	char part[4096];
	size_t len = strlen(path);

	if (len == 0 || len >= sizeof(part))
		return -ENAMETOOLONG;
	memcpy(part, path, len + 1);
	for (char *p = part + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(part, 0755) && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	if (mkdir(part, mode) && errno != EEXIST)
		return -errno;
	return 0;
}

static int own_folder(const char *path, mode_t mode)
{
	int r = make_folder(path, mode);

	if (r) {
		log_error("cannot make %s: %s", path, strerror(-r));
		return r;
	}
	return check_folder(path);
}

/* Opens the lock file, if it is a file of ours alone: its content is about to go.  A descriptor or -errno. */
static int open_lock(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600), r;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		r = -errno;
		log_error("%s: %s", path, strerror(errno));
	} else if (!S_ISREG(st.st_mode) || st.st_nlink != 1 || st.st_uid != geteuid()) {
		r = -EPERM;
		log_error("%s is not a file of ours alone: remove it", path);
	} else {
		return fd;
	}
	if (fd >= 0)
		close(fd);
	return r;
}

int listen_lock(struct daemon *d)
{
	char path[4096], pid[32] = "";
	int fd, r = own_folder(d->config.state_dir, 0700);

	if (r)
		return r;
	text_format(path, sizeof(path), "%s/lock", d->config.state_dir);
	fd = open_lock(path);
	if (fd < 0)
		return fd;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		r = -errno;
		(void)!read(fd, pid, sizeof(pid) - 1);
		pid[strcspn(pid, "\n")] = '\0';
		log_error("another ipc9d (pid %s) uses %s: end it, or choose another --state-dir",
		    pid, d->config.state_dir);
		close(fd);
		return r;
	}
	text_format(pid, sizeof(pid), "%ld\n", (long)getpid());
	/* The pid is for people; the lock is what counts. */
	if (ftruncate(fd, 0) || write(fd, pid, strlen(pid)) < 0)
		log_warning("%s: %s", path, strerror(errno));
	d->lock_fd = fd;
	return 0;
}

/* --- Sockets ----------------------------------------------------------------------------------- */

static int remember(struct daemon *d, const char *kind, const struct address *a)
{
	char where[ADDRESS_TEXT_SIZE];
	ipc9_text *texts = realloc(d->addresses, (d->n_addresses + 1) * sizeof(*texts));

	if (!texts)
		return -ENOMEM;
	d->addresses = texts;
	address_text(a, where);
	if (asprintf(&texts[d->n_addresses], "%s %s", kind, where) < 0)
		return -ENOMEM;
	d->n_addresses++;
	if (a->storage.ss_family != AF_UNIX) {
		struct address *bound = realloc(d->bound, (d->n_bound + 1) * sizeof(*bound));

		if (!bound)
			return -ENOMEM;
		d->bound = bound;
		d->bound[d->n_bound++] = *a;
	}
	return 0;
}

/* Removes a socket that nobody answers on. */
static int clear_path(const char *path, const struct address *a)
{
	struct stat st;
	int fd, r;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode)) {
		log_error("%s is there and is no socket: remove it, or choose another --socket",
		    path);
		return -EEXIST;
	}
	r = connect_address(a, clock_deadline_ms(1000), &fd);
	if (r == 0)
		close(fd);
	/* A busy one may not answer now; only a refusal tells that nobody listens. */
	if (r != -ECONNREFUSED) {
		log_error("another daemon answers on %s", path);
		return -EADDRINUSE;
	}
	return unlink(path) ? -errno : 0;
}

/*
 * Makes the socket beside its place and moves it there when it is ready, so that whoever finds it can connect.
 */
static int make_socket(const char *path, int *ret_fd)
{
	char beside[4096];
	struct address a;
	int r;

	text_format(beside, sizeof(beside), "%s.new", path);
	if (address_local(beside, &a))
		return -ENAMETOOLONG;
	if (unlink(beside) && errno != ENOENT)
		return -errno;
	r = socket_listen(&a, ret_fd);
	if (r)
		return r;
	/* Anybody may connect; who it is the kernel tells. */
	if (chmod(beside, 0666) || rename(beside, path)) {
		r = -errno;
		unlink(beside);
		close(*ret_fd);
	}
	return r;
}

int listen_local(struct daemon *d)
{
	const char *path = d->config.socket;
	char folder[4096];
	struct address a;
	char *slash;
	int fd, r;

	text_format(folder, sizeof(folder), "%s", path);
	slash = strrchr(folder, '/');
	if (!slash || slash == folder || address_local(path, &a)) {
		log_error("%s: not a path for a socket (absolute, in a folder, at most 103 bytes)",
		    path);
		return -EINVAL;
	}
	*slash = '\0';
	/* A session agent is its user's alone. */
	r = own_folder(folder, d->config.user ? 0700 : 0755);
	if (!r)
		r = clear_path(path, &a);
	if (r)
		return r;
	r = make_socket(path, &fd);
	if (r) {
		log_error("cannot listen on %s: %s", path, strerror(-r));
		return r;
	}
	d->has_socket = true;
	r = server_listen(d->server, fd);
	if (r)
		close(fd);
	else
		r = remember(d, "local", &a);
	if (r)
		log_error("cannot listen on %s: %s", path, strerror(-r));
	return r;
}

static int listen_at(struct daemon *d, const struct address *a)
{
	char where[ADDRESS_TEXT_SIZE];
	int fd, r;

	address_text(a, where);
	r = socket_listen(a, &fd);
	if (r) {
		log_error("cannot listen on tcp %s: %s", where, strerror(-r));
		return r;
	}
	r = server_listen(d->server, fd);
	if (r)
		close(fd);
	if (!r)
		r = socket_receive(a, false, &fd);
	if (!r) {
		r = server_receive(d->server, fd, true);
		if (r)
			close(fd);
	}
	if (r) {
		log_error("cannot listen on udp %s: %s", where, strerror(-r));
		return r;
	}
	if (d->config.listen == LISTEN_ANY)
		*(a->storage.ss_family == AF_INET ? &d->all4 : &d->all6) = fd;
	r = remember(d, "tcp+udp", a);
	if (r)
		log_error("cannot listen on %s: %s", where, strerror(-r));
	return r;
}

int listen_network(struct daemon *d)
{
	static const char *const loopback[] = { "127.0.0.1", "::1" },
				 *const any[] = { "0.0.0.0", "::" };
	const struct config *c = &d->config;
	size_t n = c->listen == LISTEN_ADDRESSES ? c->n_addresses : 2;
	int r = 0;

	if (c->listen == LISTEN_NOTHING)
		return 0;
	for (size_t i = 0; i < n && !r; i++) {
		struct address a;

		if (c->listen == LISTEN_ADDRESSES) {
			a = c->addresses[i];
			address_set_port(&a, c->port);
		} else {
			r = address_parse((c->listen == LISTEN_ANY ? any : loopback)[i], c->port,
			    &a);
			if (r == -EINVAL) { /* not a family of this host */
				r = 0;
				continue;
			}
		}
		if (r)
			log_error("cannot listen on the network: %s", strerror(-r));
		else
			r = listen_at(d, &a);
		/* A host without IPv6 is fine as long as nobody asked for it by address. */
		if ((r == -EAFNOSUPPORT || r == -EADDRNOTAVAIL) && c->listen != LISTEN_ADDRESSES &&
		    a.storage.ss_family == AF_INET6)
			r = 0;
	}
	return r;
}
