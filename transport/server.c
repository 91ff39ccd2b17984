/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.c - listeners; connections are in connection.c, datagrams in datagram.c.  See server.h.
 */
#include "transport/server.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/connection.h"
#include "transport/socket.h"
#include "util/clock.h"
#include "util/log.h"

#define RECORD_BYTES 1056768
#define DESCRIPTOR_RESERVE 64 /* kept back for files, listeners and local clients */
#define ACCEPTS_PER_EVENT 64
#define RETRY_ACCEPT_MS 200

struct listener {
	struct server *server;
	struct list link;
	struct loop_io io;
	struct loop_timer retry;
	bool local;
};

static unsigned descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) || limit.rlim_cur > 1000000)
		return 1000000;
	return (unsigned)limit.rlim_cur;
}

static void set_defaults(struct server_limits *l)
{
	unsigned fds = descriptors(), reserve, room;

	if (!l->record_bytes)
		l->record_bytes = RECORD_BYTES;
	if (!l->record_ms)
		l->record_ms = 10000;
	if (!l->unread_ms)
		l->unread_ms = 30000;
	if (!l->calls)
		l->calls = 64;
	if (!l->held_bytes)
		l->held_bytes = 4u << 20;
	if (!l->unread_bytes)
		l->unread_bytes = 4u << 20;
	if (!l->local_connections)
		l->local_connections = 64;
	if (!l->vanished_ms)
		l->vanished_ms = SOCKET_VANISHED_MS;
	if (l->local_connections > fds / 4)
		l->local_connections = fds / 4;
	if (l->other_descriptors > fds / 2)
		l->other_descriptors = fds / 2;
	fds -= l->other_descriptors;
	reserve = DESCRIPTOR_RESERVE + l->local_connections;
	room = fds > 2 * reserve ? fds - reserve : fds / 2;
	if (!l->connections || l->connections > room)
		l->connections = room;
	if (!l->connections_per_host)
		l->connections_per_host = (l->connections + 1) / 2;
}

int server_new(struct loop *loop, const struct server_ops *ops, void *context,
    const struct server_limits *limits, struct server **ret_server)
{
	struct server *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->loop = loop;
	s->ops = ops;
	s->context = context;
	if (limits)
		s->limits = *limits;
	set_defaults(&s->limits);
	list_init(&s->listeners);
	list_init(&s->sockets);
	list_init(&s->connections);
	list_init(&s->free_calls);
	*ret_server = s;
	return 0;
}

void server_set_closer(struct server *s, struct closer *closer)
{
	s->closer = closer;
}

struct server *server_free(struct server *s)
{
	if (!s)
		return NULL;
	LIST_FOR_EACH (link, &s->listeners) {
		struct listener *l = LIST_ENTRY(link, struct listener, link);

		loop_timer_clear(&l->retry);
		loop_remove(&l->io);
		close(l->io.fd);
		list_remove(&l->link);
		free(l);
	}
	server_forget_all(s);
	while (!list_is_empty(&s->connections))
		connection_free(LIST_ENTRY(s->connections.next, struct connection, link));
	call_free_all(s);
	shelf_clear(&s->shelf);
	gather_pool_clear(&s->pool);
	free(s);
	return NULL;
}

const struct server_stats *server_stats(const struct server *s)
{
	return &s->stats;
}

const struct server_limits *server_limits(const struct server *s)
{
	return &s->limits;
}

/* --- Listening --------------------------------------------------------------------------------- */

/*
 * What networks may have now.  Of what is there beside their connections, local clients take local_connections first; the more
 * of them there are, the less networks may take of the rest, so that half of local_connections stays for further ones.
 */
static unsigned network_room(const struct server *s)
{
	uint64_t half = s->limits.local_connections / 2;
	uint64_t beyond = s->stats.local > half ? s->stats.local - half : 0;

	return s->limits.connections > beyond ? s->limits.connections - (unsigned)beyond : 0;
}

static bool has_room(const struct listener *l)
{
	const struct server *s = l->server;

	if (l->local)
		return s->stats.connections <
		    (uint64_t)s->limits.connections + s->limits.local_connections;
	return s->stats.connections - s->stats.local < network_room(s);
}

unsigned server_host_share(const struct server *s, const struct address *a)
{
	unsigned most = s->limits.connections_per_host;
	unsigned share = hosts_share(&s->hosts, a, network_room(s));

	/* Whoever set it to more than half means that one host may take the others' part. */
	return most > (s->limits.connections + 1) / 2 || most < share ? most : share;
}

static void retry_later(struct listener *l)
{
	loop_timer_set(l->server->loop, &l->retry, clock_deadline_ms(RETRY_ACCEPT_MS));
}

static void resume(struct listener *l)
{
	if (loop_change(&l->io, EPOLLIN))
		retry_later(l);
	else
		loop_timer_clear(&l->retry);
}

static void on_retry(struct loop_timer *timer)
{
	resume(LIST_ENTRY(timer, struct listener, retry));
}

int server_enter(struct server *s, const struct peer *peer)
{
	int r = 0;

	if (!peer->local)
		r = hosts_enter(&s->hosts, &peer->address, server_host_share(s, &peer->address));
	if (r)
		return r;
	s->stats.local += peer->local;
	s->stats.connections++;
	s->stats.accepted++;
	return 0;
}

void server_leave(struct server *s, const struct peer *peer)
{
	if (!peer->local)
		hosts_leave(&s->hosts, &peer->address);
	s->stats.local -= peer->local;
	s->stats.connections--;
	LIST_FOR_EACH (link, &s->listeners)
		resume(LIST_ENTRY(link, struct listener, link));
}

/* Clients wait in the backlog until a connection ends or descriptors are there again. */
static void pause_accepting(struct listener *l)
{
	loop_change(&l->io, 0);
	retry_later(l);
}

/* All of the peer's supplementary groups: a rule that denies one must not miss it. */
static bool groups_of(int fd, struct peer *ret)
{
	gid_t few[16], *groups;
	socklen_t len = sizeof(few);
	int r = getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, few, &len);

	if (r && errno != ERANGE) /* else len says how much room they take */
		return errno == ENOPROTOOPT;
	if (len == 0)
		return true;
	groups = malloc(len);
	if (!groups)
		return false;
	if (r && getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len)) {
		free(groups);
		return false;
	}
	if (!r)
		memcpy(groups, few, len);
	ret->n_groups = (unsigned)(len / sizeof(gid_t));
	ret->groups = groups;
	return true;
}

static bool peer_of(int fd, bool local, struct peer *ret)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (!local)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len))
		return false;
	ret->local = true;
	ret->uid = cred.uid;
	ret->gid = cred.gid;
	ret->pid = cred.pid;
	return groups_of(fd, ret);
}

static void on_listener(struct loop_io *io, uint32_t events)
{
	struct listener *l = LIST_ENTRY(io, struct listener, io);

	(void)events;
	for (int i = 0; i < ACCEPTS_PER_EVENT; i++) {
		struct peer peer = { .address.len = sizeof(peer.address.storage) };
		int fd, r;

		if (!has_room(l)) {
			pause_accepting(l);
			return;
		}
		fd = accept4(io->fd, (struct sockaddr *)&peer.address.storage, &peer.address.len,
		    SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0) {
			if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
			    errno == ENOBUFS)
				pause_accepting(l);
			return;
		}
		r = peer_of(fd, l->local, &peer) ? connection_new(l->server, fd, &peer) : -EACCES;
		if (r) {
			/* Closed at once, so that it does not keep others in the backlog waiting. */
			l->server->stats.refused_host += r == -EUSERS;
			l->server->stats.refused_user += r == -EDQUOT;
			free(peer.groups);
			close(fd);
		}
	}
}

int server_listen(struct server *s, int fd)
{
	struct listener *l;
	struct address a = { .len = sizeof(a.storage) };
	int r;

	if (getsockname(fd, (struct sockaddr *)&a.storage, &a.len))
		return -errno;
	if (a.storage.ss_family != AF_UNIX)
		socket_tune(fd, s->limits.vanished_ms);
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->server = s;
	l->local = a.storage.ss_family == AF_UNIX;
	l->io.fn = on_listener;
	l->retry.fn = on_retry;
	r = loop_add(s->loop, &l->io, fd, EPOLLIN);
	if (r) {
		free(l);
		return r;
	}
	list_append(&s->listeners, &l->link);
	return 0;
}
