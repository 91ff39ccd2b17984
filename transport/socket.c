/* SPDX-License-Identifier: BSD-3-Clause */
/* socket.c - see socket.h. */
#include "transport/socket.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 4096
#define BULK_SINGLE 262144
#define BULK_NETWORK 262144
#define BULK_LOOPBACK 1048576
#define KEEPALIVE_S_MAX 32767
#define KEEPALIVE_COUNT 3
#define PROBES_UNANSWERED 2

/* Seconds, as the kernel takes them. */
static int seconds(unsigned ms)
{
	unsigned s = ms / 1000;

	return (int)(s < 1 ? 1 : s > KEEPALIVE_S_MAX ? KEEPALIVE_S_MAX : s);
}

void socket_tune(int fd, unsigned vanished_ms)
{
	/* Two fifths of the time silent, and then three times one fifth without an answer. */
	const struct {
		int level, option, value;
	} options[] = {
		{ IPPROTO_TCP, TCP_NODELAY, 1 },
		{ SOL_SOCKET, SO_KEEPALIVE, 1 },
		{ IPPROTO_TCP, TCP_KEEPIDLE, seconds(vanished_ms / 5 * 2) },
		{ IPPROTO_TCP, TCP_KEEPINTVL, seconds(vanished_ms / 5) },
		{ IPPROTO_TCP, TCP_KEEPCNT, KEEPALIVE_COUNT },
		{ IPPROTO_TCP, TCP_USER_TIMEOUT, (int)vanished_ms },
	};

	/* None of these fails on a TCP socket, and we can do without each of them. */
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		setsockopt(fd, options[i].level, options[i].option, &options[i].value,
		    sizeof(options[i].value));
}

unsigned socket_tune_pipe(int fd)
{
	int none = 0, one = 1, idle = 0, interval = 0;
	socklen_t len = sizeof(idle);

	setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &none, sizeof(none));
	setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &one, sizeof(one));
	if (getsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, &len) ||
	    getsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, &len))
		return SOCKET_VANISHED_MS;
	return (unsigned)(idle + KEEPALIVE_COUNT * interval) * 1000;
}

bool socket_has_vanished(int fd, unsigned vanished_ms)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return false;
	/* A closed window is probed, and each probe is answered while the peer lives. */
	return (info.tcpi_unacked > 0 || info.tcpi_probes > PROBES_UNANSWERED) &&
	    info.tcpi_last_ack_recv > vanished_ms;
}

bool socket_is_sending(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len))
		return false;
	return info.tcpi_state != TCP_CLOSE && info.tcpi_state != TCP_FIN_WAIT2 &&
	    info.tcpi_state != TCP_TIME_WAIT;
}

/* --- Bulk -------------------------------------------------------------------------------------- */

static bool same_host(const struct address *a, const struct address *b)
{
	char one[ADDRESS_TEXT_SIZE], other[ADDRESS_TEXT_SIZE];

	address_host_text(a, one);
	address_host_text(b, other);
	return strcmp(one, other) == 0;
}

void bulk_init(struct bulk *b, int fd)
{
	struct address own = { .len = sizeof(own.storage) }, peer = { .len = sizeof(peer.storage) };

	memset(b, 0, sizeof(*b));
	b->low_water = 1;
	b->is_local = getsockname(fd, (struct sockaddr *)&own.storage, &own.len) ||
	    own.storage.ss_family == AF_UNIX;
	b->is_loopback = !b->is_local &&
	    !getpeername(fd, (struct sockaddr *)&peer.storage, &peer.len) && same_host(&own, &peer);
}

static size_t worth_while(const struct bulk *b)
{
	if (!b->is_pipelined)
		return BULK_SINGLE;
	return b->is_loopback ? BULK_LOOPBACK : BULK_NETWORK;
}

void bulk_expect(struct bulk *b, int fd, size_t missing, bool ended)
{
	int waiting = 0, wanted = 1;

	if (b->is_local)
		return;
	if (ended)
		b->is_pipelined = !ioctl(fd, FIONREAD, &waiting) && waiting > 0;
	if (missing >= BULK_MIN)
		wanted = (int)(missing < worth_while(b) ? missing : worth_while(b));
	if (wanted != b->low_water &&
	    !setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof(wanted)))
		b->low_water = wanted;
}

/* --- Making ------------------------------------------------------------------------------------ */

static int make(const struct address *a, int type, bool reuse, int *ret_fd)
{
	int fd = socket(a->storage.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int one = 1, r;

	if (fd < 0)
		return -errno;
	if (reuse)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->storage.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(fd, (const struct sockaddr *)&a->storage, a->len)) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int socket_listen(const struct address *a, int *ret_fd)
{
	int fd, r = make(a, SOCK_STREAM, a->storage.ss_family != AF_UNIX, &fd);

	if (r)
		return r;
	if (listen(fd, BACKLOG)) {
		r = -errno;
		close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

int socket_receive(const struct address *a, bool shared, int *ret_fd)
{
	int zero = 0, r = make(a, SOCK_DGRAM, shared, ret_fd);

	if (r)
		return r;
	/* Groups that other sockets of the host joined are none of ours. */
	if (a->storage.ss_family == AF_INET)
		setsockopt(*ret_fd, IPPROTO_IP, IP_MULTICAST_ALL, &zero, sizeof(zero));
	else
		setsockopt(*ret_fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, &zero, sizeof(zero));
	return 0;
}
