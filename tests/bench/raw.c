/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * raw.c - the references: plain sockets that do what a call does, without any protocol.
 *
 * A stream begins with two words, whether it is to be counted and the size of a message; then messages are echoed, or the
 * stream is counted to its end and the count sent back.  Three ways to wait: a blocking thread per connection, one
 * thread with epoll, and that one looking again for SPIN_NS before it sleeps, as its client then does too.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/speed.h"

#define READ_BYTES 65536
#define LOW_WATER 524288 /* of the tuned reference */
#define STACK_BYTES 65536
#define EVENTS 256
#define FDS_MAX 70000
#define DATAGRAM_SETTLE_US 100000
#define DATAGRAM_QUEUE (4 << 20)

struct hello {
	uint32_t is_stream, bytes;
	uint32_t low_water; /* of a stream: wake up for so many bytes of a message; 0: for any */
};

/* --- Serving ----------------------------------------------------------------------------------- */

/* So many bytes of a message that is to be as long as all others are missing. */
static void expect(int fd, const struct hello *hello, uint64_t total)
{
	size_t missing = hello->bytes - (size_t)(total % hello->bytes);
	int wanted = (int)(missing < hello->low_water ? missing : hello->low_water);

	if (hello->low_water)
		setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &wanted, sizeof(wanted));
}

static void *count_stream(void *context, const struct hello *hello)
{
	int fd = (int)(intptr_t)context;
	char *buffer = malloc(BULK_BYTES);
	uint64_t total = 0;
	ssize_t n;

	do {
		expect(fd, hello, total);
		n = read(fd, buffer, BULK_BYTES);
		total += n > 0 ? (uint64_t)n : 0;
	} while (n > 0);
	put_all(fd, &total, sizeof(total));
	close(fd);
	free(buffer);
	return NULL;
}

static void *serve_one(void *context)
{
	int fd = (int)(intptr_t)context;
	struct hello hello;
	char *buffer;
	ssize_t n;

	no_delay(fd);
	get_all(fd, &hello, sizeof(hello));
	if (hello.is_stream)
		return count_stream(context, &hello);
	buffer = malloc(READ_BYTES);
	while ((n = read(fd, buffer, READ_BYTES)) > 0)
		put_all(fd, buffer, (size_t)n);
	close(fd);
	free(buffer);
	return NULL;
}

static void start_thread(void *(*main)(void *), int fd)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_BYTES);
	if (pthread_create(&thread, &attributes, main, (void *)(intptr_t)fd))
		die("thread");
	pthread_detach(thread);
	pthread_attr_destroy(&attributes);
}

/* Counts datagrams; a short one asks for the count and resets it. */
static void serve_datagrams(int fd)
{
	static char buffer[READ_BYTES];
	struct sockaddr_storage from;
	int queue = DATAGRAM_QUEUE;
	uint64_t count = 0;

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &queue, sizeof(queue));
	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(fd, buffer, sizeof(buffer), 0, (struct sockaddr *)&from, &len);

		if (n > 1)
			count++;
		if (n != 1)
			continue;
		sendto(fd, &count, sizeof(count), 0, (struct sockaddr *)&from, len);
		count = 0;
	}
}

static void serve_blocking(const char *netid, const char *address)
{
	int listener = listen_at(netid, address);

	if (strcmp(netid, "udp") == 0)
		serve_datagrams(listener);
	for (;;) {
		int fd = accept(listener, NULL, NULL);

		if (fd >= 0)
			start_thread(serve_one, fd);
	}
}

static int wait_spinning(int epoll, struct epoll_event *events)
{
	int64_t end = now_ns() + SPIN_NS;
	int n;

	while (!(n = epoll_wait(epoll, events, EVENTS, 0)) && now_ns() < end)
		sched_yield();
	return n ? n : epoll_wait(epoll, events, EVENTS, -1);
}

static void watch(int epoll, int fd)
{
	struct epoll_event e = { .events = EPOLLIN, .data.fd = fd };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e))
		die("epoll");
}

/* What the epoll server does about one descriptor. */
static void serve_event(int epoll, int listener, int fd, bool *greeted, char *buffer)
{
	struct hello hello;
	ssize_t n;

	if (fd == listener) {
		fd = accept(listener, NULL, NULL);
		if (fd < 0 || fd >= FDS_MAX)
			die("accept");
		no_delay(fd);
		greeted[fd] = false;
		watch(epoll, fd);
		return;
	}
	if (!greeted[fd]) {
		get_all(fd, &hello, sizeof(hello));
		greeted[fd] = true;
		return;
	}
	n = read(fd, buffer, READ_BYTES);
	if (n > 0)
		put_all(fd, buffer, (size_t)n);
	else
		close(fd);
}

static _Noreturn void serve_by_epoll(const char *netid, const char *address, bool spinning)
{
	static bool greeted[FDS_MAX];
	static char buffer[READ_BYTES];
	struct epoll_event events[EVENTS];
	int listener = listen_at(netid, address), epoll = epoll_create1(0);

	watch(epoll, listener);
	for (;;) {
		int n =
		    spinning ? wait_spinning(epoll, events) : epoll_wait(epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++)
			serve_event(epoll, listener, events[i].data.fd, greeted, buffer);
	}
}

static void serve_epoll(const char *netid, const char *address)
{
	serve_by_epoll(netid, address, false);
}

static void serve_spinning(const char *netid, const char *address)
{
	serve_by_epoll(netid, address, true);
}

/* --- Calling ----------------------------------------------------------------------------------- */

struct raw_client {
	struct work work;
	int fd;
	bool spinning;
	char *out, *in;
};

static struct raw_client *open_client(const struct work *work, bool spinning, uint32_t low_water)
{
	struct raw_client *c = calloc(1, sizeof(*c));
	struct hello hello = { work->is_stream, (uint32_t)work->bytes, low_water };
	int queue = DATAGRAM_QUEUE;
	size_t room = work->is_stream ? work->bytes : work->bytes * BATCH_CALLS;

	c->work = *work;
	c->spinning = spinning;
	c->fd = reach(work->address, work->is_datagram ? SOCK_DGRAM : SOCK_STREAM);
	if (work->is_datagram)
		setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &queue, sizeof(queue));
	c->in = malloc(room);
	if (posix_memalign((void **)&c->out, 4096, room))
		die("memory");
	memset(c->out, 'x', room);
	if (!work->is_datagram)
		put_all(c->fd, &hello, sizeof(hello));
	return c;
}

static void *open_blocking(const struct work *work)
{
	return open_client(work, false, 0);
}

static void *open_spinning(const struct work *work)
{
	return open_client(work, true, 0);
}

static void *open_tuned(const struct work *work)
{
	return open_client(work, false, LOW_WATER);
}

static void get_spinning(int fd, char *data, size_t size)
{
	while (size) {
		int64_t end = now_ns() + SPIN_NS;
		ssize_t n;

		while ((n = recv(fd, data, size, MSG_DONTWAIT)) < 0 && now_ns() < end)
			sched_yield();
		if (n < 0)
			n = recv(fd, data, size, 0);
		if (n <= 0)
			die("receive");
		data += n;
		size -= (size_t)n;
	}
}

static void exchange(struct raw_client *c, size_t size)
{
	put_all(c->fd, c->out, size);
	if (c->spinning)
		get_spinning(c->fd, c->in, size);
	else
		get_all(c->fd, c->in, size);
}

static void call(void *client)
{
	struct raw_client *c = client;

	exchange(c, c->work.bytes);
}

static uint64_t batches(void *client, int64_t until_ns)
{
	struct raw_client *c = client;
	uint64_t n = 0;

	while (now_ns() < until_ns) {
		exchange(c, c->work.bytes * BATCH_CALLS);
		n += BATCH_CALLS;
	}
	return n;
}

static void send_one_way(void *client)
{
	struct raw_client *c = client;

	if (!c->work.is_datagram)
		put_all(c->fd, c->out, c->work.bytes);
	else
		(void)!send(c->fd, c->out, c->work.bytes, 0);
}

static uint64_t finish(void *client)
{
	struct raw_client *c = client;
	uint64_t total = 0;

	if (c->work.is_datagram) {
		usleep(DATAGRAM_SETTLE_US);
		put_all(c->fd, "?", 1);
	} else {
		shutdown(c->fd, SHUT_WR);
	}
	get_all(c->fd, &total, sizeof(total));
	return c->work.is_datagram ? total * c->work.bytes : total;
}

const struct peer raw_peer = {
	.name = "raw",
	.serve = serve_blocking,
	.open = open_blocking,
	.call = call,
	.batches = batches,
	.send = send_one_way,
	.finish = finish,
};

const struct peer raw_epoll_peer = {
	.name = "raw-epoll",
	.serve = serve_epoll,
	.open = open_blocking,
	.call = call,
	.batches = batches,
};

const struct peer raw_spin_peer = {
	.name = "raw-spin",
	.serve = serve_spinning,
	.open = open_spinning,
	.call = call,
	.batches = batches,
};

/* Streams only: receives that are worth their while. */
const struct peer raw_tuned_peer = {
	.name = "raw-tuned",
	.serve = serve_blocking,
	.open = open_tuned,
	.send = send_one_way,
	.finish = finish,
};
