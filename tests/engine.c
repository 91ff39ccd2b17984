/* SPDX-License-Identifier: BSD-3-Clause */
/* engine.c - see engine.h. */
#include "tests/engine.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "rpcgen-out/common.h"
#include "transport/descriptors.h"
#include "transport/socket.h"
#include "util/clock.h"
#include "util/text.h"
#include "xdr/blob.h"

struct engine {
	struct loop *loop;
	struct server *server;
	pthread_t thread;
	struct list parked;
	atomic_uint gone;
	struct address addresses[ENGINE_TRANSPORTS];
	bool has[ENGINE_TRANSPORTS];
	char folder[64];
	/* engine_stats: the loop's thread copies on request. */
	struct loop_io ask_io;
	int ask[2], answer[2];
};

struct parked_call {
	struct call call;
	struct engine *engine;
	uint32_t number;
};

static void answer_number(struct call *call, uint32_t number)
{
	call_reply(call, (xdrproc_t)xdr_uint32_t, &number);
}

static void on_ended(struct call *call, enum call_end end)
{
	struct parked_call *p = (struct parked_call *)(void *)call;

	if (end == CALL_GONE)
		atomic_fetch_add(&p->engine->gone, 1);
	else
		answer_number(call, p->number);
}

static void echo(struct call *call, XDR *args)
{
	ipc9_blob payload = { 0 };

	if (!xdr_ipc9_blob(args, &payload)) {
		call_refuse(call, MESSAGE_GARBAGE_ARGS, 0, 0);
		return;
	}
	call_reply(call, (xdrproc_t)xdr_ipc9_blob, &payload);
	bytes_unref(payload.owner);
}

static void large(struct call *call, uint32_t size)
{
	struct bytes *b = bytes_new(size);
	ipc9_blob payload = { b->data, size, b };

	memset(b->data, 'x', size);
	call_reply(call, (xdrproc_t)xdr_ipc9_blob, &payload);
	bytes_unref(b);
}

/* Fails when a good part of the reply is there. */
static bool_t xdr_never(XDR *xdrs, uint32_t *number)
{
	for (uint32_t i = 0; i < 1000; i++)
		if (!xdr_uint32_t(xdrs, &i))
			return FALSE;
	errno = (int)*number;
	return FALSE;
}

static void swap(struct call *call, uint32_t n)
{
	int fds[DESCRIPTORS_MAX], back[DESCRIPTORS_MAX];

	if (n > DESCRIPTORS_MAX || call_take_descriptors(call, n, fds)) {
		call_refuse(call, MESSAGE_GARBAGE_ARGS, 0, 0);
		return;
	}
	for (uint32_t i = 0; i < n; i++)
		back[i] = fds[n - 1 - i];
	if (call_give_descriptors(call, back, n))
		call_refuse(call, MESSAGE_SYSTEM_ERR, 0, 0);
	else
		answer_number(call, n);
	for (uint32_t i = 0; i < n; i++)
		close(fds[i]);
}

static void turn(struct call *call, uint32_t number)
{
	int fd;

	if (call_hand_over(call, (xdrproc_t)xdr_uint32_t, &number, &fd))
		return;
	(void)!write(fd, ENGINE_TURNED, strlen(ENGINE_TURNED));
	close(fd);
}

static void on_call(void *context, struct call *call, const struct message_call *header, XDR *args)
{
	struct engine *e = context;
	struct parked_call *p = (struct parked_call *)(void *)call;
	uint32_t number = 0;

	p->engine = e;
	if (header->program != ENGINE_PROGRAM) {
		call_refuse(call, MESSAGE_PROG_UNAVAIL, 0, 0);
		return;
	}
	if (header->procedure >= ENGINE_PARK && !xdr_uint32_t(args, &number)) {
		call_refuse(call, MESSAGE_GARBAGE_ARGS, 0, 0);
		return;
	}
	p->number = number;
	switch (header->procedure) {
	case ENGINE_NULL:
		call_reply(call, (xdrproc_t)(void (*)(void))xdr_void, NULL);
		break;
	case ENGINE_ECHO:
		echo(call, args);
		break;
	case ENGINE_PARK:
	case ENGINE_KEEP:
		if (call_park(call, &e->parked, header->procedure == ENGINE_PARK ? number : 30000,
			0, on_ended))
			call_refuse(call, MESSAGE_SYSTEM_ERR, 0, 0);
		break;
	case ENGINE_LARGE:
		large(call, number);
		break;
	case ENGINE_FAIL:
		call_reply(call, (xdrproc_t)xdr_never, &number);
		break;
	case ENGINE_SWAP:
		swap(call, number);
		break;
	case ENGINE_TURN:
		turn(call, number);
		break;
	default:
		call_refuse(call, MESSAGE_PROC_UNAVAIL, 0, 0);
	}
}

static const struct server_ops ops = {
	.call_size = sizeof(struct parked_call),
	.takes_descriptors = true,
	.call = on_call,
};

static void on_ask(struct loop_io *io, uint32_t events)
{
	struct engine *e = LIST_ENTRY(io, struct engine, ask_io);
	char byte;

	(void)events;
	if (read(io->fd, &byte, 1) == 1)
		(void)!write(e->answer[1], server_stats(e->server), sizeof(struct server_stats));
}

struct server_stats engine_stats(struct engine *e)
{
	struct server_stats stats = { 0 };

	if (write(e->ask[1], "", 1) != 1 ||
	    read(e->answer[0], &stats, sizeof(stats)) != sizeof(stats))
		abort();
	return stats;
}

unsigned engine_gone(struct engine *e)
{
	return atomic_load(&e->gone);
}

/* A free TCP port whose UDP sibling is free as well, which the system does not see to. */
static bool open_both(struct address *a, int *ret_fd, int *ret_udp)
{
	for (int tries = 0; tries < 20; tries++) {
		if (socket_listen(a, ret_fd))
			return false;
		a->len = sizeof(a->storage);
		getsockname(*ret_fd, (struct sockaddr *)&a->storage, &a->len);
		if (socket_receive(a, false, ret_udp) == 0)
			return true;
		close(*ret_fd);
		address_set_port(a, 0);
	}
	return false;
}

static bool listen_on(struct engine *e, enum engine_transport t)
{
	struct address *a = &e->addresses[t];
	char path[128];
	int fd, udp = -1;

	if (t == ENGINE_LOCAL) {
		text_format(path, sizeof(path), "%s/socket", e->folder);
		address_local(path, a);
	} else {
		address_parse(t == ENGINE_TCP4 ? "127.0.0.1" : "::1", 0, a);
	}
	if (t == ENGINE_TCP4 ? !open_both(a, &fd, &udp) : socket_listen(a, &fd))
		return false;
	a->len = sizeof(a->storage);
	getsockname(fd, (struct sockaddr *)&a->storage, &a->len);
	if (server_listen(e->server, fd))
		abort();
	if (udp >= 0 && server_receive(e->server, udp, true))
		abort();
	return true;
}

static void *run(void *context)
{
	struct engine *e = context;

	loop_run(e->loop);
	return NULL;
}

struct engine *engine_start(const struct server_limits *limits)
{
	struct engine *e = calloc(1, sizeof(*e));

	text_format(e->folder, sizeof(e->folder), "/tmp/ipc9-engine-XXXXXX");
	list_init(&e->parked);
	if (!mkdtemp(e->folder) || loop_new(&e->loop) ||
	    server_new(e->loop, &ops, e, limits, &e->server) || pipe(e->ask) || pipe(e->answer))
		abort();
	for (enum engine_transport t = 0; t < ENGINE_TRANSPORTS; t++)
		e->has[t] = listen_on(e, t);
	e->ask_io.fn = on_ask;
	if (loop_add(e->loop, &e->ask_io, e->ask[0], EPOLLIN) ||
	    pthread_create(&e->thread, NULL, run, e))
		abort();
	return e;
}

void engine_stop(struct engine *e)
{
	char path[128];

	loop_stop(e->loop);
	pthread_join(e->thread, NULL);
	loop_remove(&e->ask_io);
	server_free(e->server);
	loop_free(e->loop);
	for (int i = 0; i < 2; i++)
		close(e->ask[i]), close(e->answer[i]);
	text_format(path, sizeof(path), "%s/socket", e->folder);
	unlink(path);
	rmdir(e->folder);
	free(e);
}

const char *engine_transport_name(enum engine_transport t)
{
	static const char *const names[] = { "tcp", "tcp6", "local" };

	return names[t];
}

uint16_t engine_port(const struct engine *e)
{
	return address_port(&e->addresses[ENGINE_TCP4]);
}

static int open_socket(const struct address *a, int type)
{
	const struct timeval limit = { 5, 0 };
	int fd = socket(a->storage.ss_family, type | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)&a->storage, a->len) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit))) {
		close(fd);
		return -1;
	}
	return fd;
}

int engine_connect(const struct engine *e, enum engine_transport t)
{
	return e->has[t] ? open_socket(&e->addresses[t], SOCK_STREAM) : -1;
}

int engine_datagram(const struct engine *e)
{
	return open_socket(&e->addresses[ENGINE_TCP4], SOCK_DGRAM);
}

/* --- Raw messages ------------------------------------------------------------------------------ */

void raw_word(struct raw *r, uint32_t word)
{
	word = htonl(word);
	memcpy(r->data + r->size, &word, 4);
	r->size += 4;
}

void raw_bytes(struct raw *r, const void *data, size_t size)
{
	memcpy(r->data + r->size, data, size);
	memset(r->data + r->size + size, 0, (4 - size % 4) % 4);
	r->size += (size + 3) & ~(size_t)3;
}

struct raw raw_call(uint32_t xid, uint32_t procedure, const uint32_t *argument)
{
	const uint32_t words[] = { xid, 0, 2, ENGINE_PROGRAM, ENGINE_VERSION, procedure, 0, 0, 0,
		0 };
	struct raw r = { .size = 0 };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		raw_word(&r, words[i]);
	if (argument)
		raw_word(&r, *argument);
	return r;
}

bool raw_send(int fd, const void *data, size_t size)
{
	const char *p = data;

	while (size) {
		ssize_t n = send(fd, p, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		p += n;
		size -= (size_t)n;
	}
	return true;
}

bool raw_send_record(int fd, const struct raw *message)
{
	struct raw r = { .size = 0 };

	raw_word(&r, 0x80000000u | (uint32_t)message->size);
	memcpy(r.data + 4, message->data, message->size);
	return raw_send(fd, r.data, message->size + 4);
}

static bool receive_all(int fd, unsigned char *data, size_t size)
{
	while (size) {
		ssize_t n = recv(fd, data, size, 0);

		if (n <= 0)
			return false;
		data += n;
		size -= (size_t)n;
	}
	return true;
}

bool raw_receive_record(int fd, struct raw *reply)
{
	unsigned char mark[4];

	if (!receive_all(fd, mark, 4) || !(mark[0] & 0x80))
		return false;
	reply->size =
	    (size_t)(mark[0] & 0x7f) << 24 | (size_t)mark[1] << 16 | (size_t)mark[2] << 8 | mark[3];
	return reply->size <= sizeof(reply->data) && receive_all(fd, reply->data, reply->size);
}

uint32_t raw_at(const struct raw *r, size_t word)
{
	uint32_t value = 0;

	if (word * 4 + 4 <= r->size)
		memcpy(&value, r->data + word * 4, 4);
	return ntohl(value);
}

bool raw_is_closed(int fd, unsigned ms)
{
	int64_t deadline = clock_deadline_ms(ms);
	char skipped[65536];

	for (;;) {
		struct pollfd p = { .fd = fd, .events = POLLIN };

		if (poll(&p, 1, clock_poll_ms(deadline)) <= 0)
			return false;
		if (recv(fd, skipped, sizeof(skipped), 0) <= 0)
			return true;
	}
}

bool raw_null_answers(int fd, uint32_t xid)
{
	struct raw call = raw_call(xid, ENGINE_NULL, NULL), reply;

	return raw_send_record(fd, &call) && raw_receive_record(fd, &reply) &&
	    raw_at(&reply, 0) == xid && raw_at(&reply, 1) == 1 && raw_at(&reply, 2) == 0 &&
	    raw_at(&reply, 5) == 0 && reply.size == 24;
}
