/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crowd.c - thousands of connections of one process: idle ones, and ones that wait for news.
 *
 * They are plain sockets whichever server is at the other end, so that the client costs the same for each; calls of ours
 * are put together by hand (RFC 5531 section 9).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bench/speed.h"
#include "echo.h"

#define ROUNDS 20
#define WARM_UP_ROUNDS 3
#define WAIT_MS 10000
#define EVENTS 256
#define LAST_FRAGMENT 0x80000000u
#define CALL_BYTES 44  /* without arguments, with its mark */
#define REPLY_BYTES 28 /* without results, with its mark */
#define BUFFER_BYTES 65536

/* How a server is told to wait for news, whether all wait, and to send them. */
struct protocol {
	const char *name;
	char subscribe[64], ask[64], publish[NEWS_BYTES + 128];
	size_t subscribe_size, ask_size, publish_size;
	size_t news_size; /* what each one receives */
	bool again;	  /* each subscription is for one message */
	size_t greeting;  /* answer to subscribe, in bytes */
};

/* --- Calls by hand ----------------------------------------------------------------------------- */

static size_t put_call(char *out, uint32_t procedure, const char *argument, uint32_t size)
{
	uint32_t whole = CALL_BYTES + (argument ? 4 + size : 0);
	uint32_t words[] = { LAST_FRAGMENT | (whole - 4), 1, 0, 2, BENCH_PROG, BENCH_VERS,
		procedure, 0, 0, 0, 0, size };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		words[i] = htonl(words[i]);
	memcpy(out, words, argument ? CALL_BYTES + 4 : CALL_BYTES);
	if (argument)
		memcpy(out + CALL_BYTES + 4, argument, size);
	return whole;
}

static int crowd_member(const char *address)
{
	/* Nothing of thousands of connections is to stay in TIME_WAIT. */
	const struct linger at_once = { 1, 0 };
	int fd = reach(address, SOCK_STREAM);

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	return fd;
}

void crowd_idle(const struct load *load)
{
	char call[CALL_BYTES], reply[REPLY_BYTES];

	put_call(call, BENCH_NULL, NULL, 0);
	for (unsigned i = 0; i < load->n; i++) {
		int fd = crowd_member(load->work.address);

		put_all(fd, call, sizeof(call));
		get_all(fd, reply, sizeof(reply));
	}
	printf("answered=%u\n", load->n);
	fflush(stdout);
	pause();
}

/* --- News -------------------------------------------------------------------------------------- */

static void choose_protocol(const char *name, struct protocol *p)
{
	char news[NEWS_BYTES];

	memset(p, 0, sizeof(*p));
	memset(news, 'n', sizeof(news));
	p->name = name;
	if (strcmp(name, "ours") == 0) {
		p->subscribe_size = put_call(p->subscribe, BENCH_PARK, NULL, 0);
		p->ask_size = put_call(p->ask, BENCH_PARKED, NULL, 0);
		p->publish_size = put_call(p->publish, BENCH_RELEASE, news, NEWS_BYTES);
		p->news_size = REPLY_BYTES + 4 + NEWS_BYTES;
		p->again = true;
	} else if (strcmp(name, "raw") == 0) {
		/* As long as ours, so that connections are as warm. */
		memset(p->subscribe, 'S', p->subscribe_size = CALL_BYTES);
		p->ask[0] = '?';
		p->ask_size = 1;
		memcpy(p->publish, news, p->publish_size = NEWS_BYTES);
		p->news_size = NEWS_BYTES;
		p->again = true;
	} else {
		p->subscribe_size =
		    (size_t)snprintf(p->subscribe, sizeof(p->subscribe), "SUBSCRIBE t\r\n");
		p->publish_size = (size_t)snprintf(p->publish, sizeof(p->publish),
		    "*3\r\n$7\r\nPUBLISH\r\n$1\r\nt\r\n$%d\r\n%.*s\r\n", NEWS_BYTES, NEWS_BYTES,
		    news);
		p->news_size =
		    (size_t)snprintf(NULL, 0, "*3\r\n$7\r\nmessage\r\n$1\r\nt\r\n$%d\r\n%.*s\r\n",
			NEWS_BYTES, NEWS_BYTES, news);
		p->greeting = strlen("*3\r\n$9\r\nsubscribe\r\n$1\r\nt\r\n:1\r\n");
	}
}

struct crowd {
	struct protocol protocol;
	unsigned n;
	int *fds; /* the last one is the publisher */
	size_t *got;
	int epoll;
	char *buffer;
};

static void gather_crowd(struct crowd *c, const struct load *load)
{
	c->n = load->n;
	c->fds = calloc(c->n + 1, sizeof(*c->fds));
	c->got = calloc(c->n + 1, sizeof(*c->got));
	c->buffer = malloc(BUFFER_BYTES);
	c->epoll = epoll_create1(0);
	for (unsigned i = 0; i <= c->n; i++) {
		struct epoll_event e = { .events = EPOLLIN, .data.u32 = i };

		c->fds[i] = crowd_member(load->work.address);
		if (i < c->n && !c->protocol.again) {
			put_all(c->fds[i], c->protocol.subscribe, c->protocol.subscribe_size);
			get_all(c->fds[i], c->buffer, c->protocol.greeting);
		}
		if (epoll_ctl(c->epoll, EPOLL_CTL_ADD, c->fds[i], &e))
			die("epoll");
	}
}

/* How many wait, by the server's own count. */
static unsigned ask_waiting(struct crowd *c)
{
	uint32_t words[8];

	put_all(c->fds[c->n], c->protocol.ask, c->protocol.ask_size);
	get_all(c->fds[c->n], words, sizeof(words));
	return ntohl(words[7]);
}

static void subscribe_again(struct crowd *c)
{
	for (unsigned i = 0; i < c->n; i++)
		put_all(c->fds[i], c->protocol.subscribe, c->protocol.subscribe_size);
	while (ask_waiting(c) < c->n)
		;
}

/* Receives from one; whether it has all now. */
static bool receive_news(struct crowd *c, unsigned i)
{
	ssize_t n = recv(c->fds[i], c->buffer, BUFFER_BYTES, MSG_DONTWAIT);
	bool had_all = c->got[i] >= c->protocol.news_size;

	if (n == 0 || (n < 0 && errno != EAGAIN))
		die("news");
	if (n < 0 || i == c->n)
		return false;
	c->got[i] += (size_t)n;
	return !had_all && c->got[i] >= c->protocol.news_size;
}

/* The publisher's own answer, if there is one, must not be there when the next round asks. */
static void drain_publisher(struct crowd *c)
{
	if (strcmp(c->protocol.name, "ours") == 0 && !c->got[c->n])
		get_all(c->fds[c->n], c->buffer, REPLY_BYTES + 4);
}

static double publish(struct crowd *c)
{
	struct epoll_event events[EVENTS];
	int64_t begin = now_ns();
	unsigned done = 0;

	memset(c->got, 0, (c->n + 1) * sizeof(*c->got));
	put_all(c->fds[c->n], c->protocol.publish, c->protocol.publish_size);
	while (done < c->n) {
		int n = epoll_wait(c->epoll, events, EVENTS, WAIT_MS);

		if (n <= 0)
			die("news did not come");
		for (int i = 0; i < n; i++) {
			if (events[i].data.u32 == c->n)
				c->got[c->n] = 1;
			done += receive_news(c, events[i].data.u32);
		}
	}
	return (double)(now_ns() - begin) / 1000;
}

void crowd_news(const struct load *load)
{
	struct crowd c = { 0 };
	double us[ROUNDS];

	choose_protocol(load->protocol, &c.protocol);
	gather_crowd(&c, load);
	for (int i = -WARM_UP_ROUNDS; i < ROUNDS; i++) {
		double took;

		if (c.protocol.again)
			subscribe_again(&c);
		took = publish(&c);
		drain_publisher(&c);
		if (i >= 0)
			us[i] = took;
	}
	printf("us=%.1f\n", median(us, ROUNDS));
}

/* --- The raw server of news -------------------------------------------------------------------- */

struct newsroom {
	int epoll, listener;
	int waiting[EVENTS * 16];
	uint32_t n_waiting;
	char buffer[BUFFER_BYTES];
};

static void serve_member(struct newsroom *room, int fd)
{
	ssize_t n = read(fd, room->buffer, sizeof(room->buffer));
	uint32_t answer[8] = { 0 };

	if (n <= 0) {
		close(fd);
	} else if (room->buffer[0] == 'S') {
		room->waiting[room->n_waiting++ % (EVENTS * 16)] = fd;
	} else if (room->buffer[0] == '?') {
		answer[7] = htonl(room->n_waiting);
		put_all(fd, answer, sizeof(answer));
	} else {
		for (uint32_t i = 0; i < room->n_waiting; i++)
			(void)!send(room->waiting[i], room->buffer, (size_t)n, MSG_NOSIGNAL);
		room->n_waiting = 0;
	}
}

void crowd_serve(const char *host)
{
	static struct newsroom room;
	struct epoll_event events[EVENTS], e = { .events = EPOLLIN };

	room.listener = e.data.fd = listen_at("tcp", host);
	room.epoll = epoll_create1(0);
	epoll_ctl(room.epoll, EPOLL_CTL_ADD, room.listener, &e);
	for (;;) {
		int n = epoll_wait(room.epoll, events, EVENTS, -1);

		for (int i = 0; i < n; i++) {
			int fd = events[i].data.fd;

			if (fd != room.listener) {
				serve_member(&room, fd);
				continue;
			}
			e.data.fd = accept(fd, NULL, NULL);
			no_delay(e.data.fd);
			epoll_ctl(room.epoll, EPOLL_CTL_ADD, e.data.fd, &e);
		}
	}
}
