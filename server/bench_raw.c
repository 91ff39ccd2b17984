/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * bench_raw.c - see bench_raw.h.
 *
 * A thread reads of its struct what was set before it began, and writes nothing there.  It tells its end through
 * done_fd; its socket is closed by the loop's thread after that, so that both may use the descriptor until then.
 */
#include "server/bench_raw.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/daemon.h"
#include "transport/socket.h"
#include "util/clock.h"

struct bench_raw {
	struct list link;
	struct bench_raws *all;
	struct loop *loop;
	struct connection_watch watch; /* of the connection that asked */
	struct loop_timer timer; /* LISTENING: nobody came; SERVING: it has lasted long enough */
	struct loop_io listener; /* fd -1 while SERVING */
	struct loop_io done;	 /* the eventfd; fd -1 while LISTENING */
	struct caller caller;
	int kind;
	uint32_t size, wait_ms;
	unsigned char key[IPC9_BENCH_KEY_SIZE];
	int fd; /* of the connection, blocking; -1 while LISTENING */
	struct charge charge;
	pthread_t thread;
	unsigned char *buffer; /* the thread's: of size bytes */
};

/* --- Serving: the thread ----------------------------------------------------------------------- */

static bool receive(const struct bench_raw *b, void *data, size_t size)
{
	return recv(b->fd, data, size, MSG_WAITALL) == (ssize_t)size;
}

static bool put(const struct bench_raw *b, const unsigned char *data, size_t size)
{
	while (size) {
		ssize_t n = send(b->fd, data, size, MSG_NOSIGNAL);

		if (n <= 0)
			return false;
		data += n;
		size -= (size_t)n;
	}
	return true;
}

static void serve_echo(struct bench_raw *b)
{
	while (receive(b, b->buffer, b->size) && put(b, b->buffer, b->size))
		;
}

static uint64_t get_number(const unsigned char bytes[8])
{
	uint64_t n = 0;

	for (int i = 0; i < 8; i++)
		n = n << 8 | bytes[i];
	return n;
}

static void put_number(unsigned char bytes[8], uint64_t n)
{
	for (int i = 0; i < 8; i++)
		bytes[i] = (unsigned char)(n >> (56 - 8 * i));
}

static void serve_sink(struct bench_raw *b)
{
	unsigned char number[8];

	while (receive(b, number, sizeof(number))) {
		uint64_t announced = get_number(number), got = 0;

		while (got < announced) {
			uint64_t left = announced - got;
			ssize_t n =
			    recv(b->fd, b->buffer, left < b->size ? (size_t)left : b->size, 0);

			if (n <= 0)
				return;
			got += (uint64_t)n;
		}
		put_number(number, got);
		if (!put(b, number, sizeof(number)))
			return;
	}
}

static void *serve(void *context)
{
	struct bench_raw *b = context;
	unsigned char key[IPC9_BENCH_KEY_SIZE];
	uint64_t one = 1;

	if (receive(b, key, sizeof(key)) && memcmp(key, b->key, sizeof(key)) == 0) {
		if (b->kind == IPC9_BENCH_RAW_ECHO)
			serve_echo(b);
		else
			serve_sink(b);
	}
	(void)!write(b->done.fd, &one, sizeof(one));
	return NULL;
}

/* --- Ending ------------------------------------------------------------------------------------ */

static void raw_free(struct bench_raw *b)
{
	list_remove(&b->link);
	b->all->n--;
	list_remove(&b->watch.link);
	loop_timer_clear(&b->timer);
	loop_remove(&b->listener);
	loop_remove(&b->done);
	if (b->listener.fd >= 0)
		close(b->listener.fd);
	if (b->done.fd >= 0)
		close(b->done.fd);
	if (b->fd >= 0)
		close(b->fd);
	charge_release(&b->charge);
	free(b->buffer);
	free(b);
}

/* Is over at once when LISTENING; when SERVING soon: the thread sees the end of its connection. */
static void raw_end(struct bench_raw *b)
{
	if (b->fd >= 0)
		shutdown(b->fd, SHUT_RDWR);
	else
		raw_free(b);
}

static void on_time(struct loop_timer *timer)
{
	raw_end(LIST_ENTRY(timer, struct bench_raw, timer));
}

static void on_asker_gone(struct connection_watch *watch)
{
	raw_end(LIST_ENTRY(watch, struct bench_raw, watch));
}

static void on_done(struct loop_io *io, uint32_t events)
{
	struct bench_raw *b = LIST_ENTRY(io, struct bench_raw, done);

	(void)events;
	pthread_join(b->thread, NULL);
	raw_free(b);
}

void bench_raw_end_all(struct bench_raws *all)
{
	LIST_FOR_EACH (link, &all->raws) {
		struct bench_raw *b = LIST_ENTRY(link, struct bench_raw, link);

		if (b->fd >= 0) {
			shutdown(b->fd, SHUT_RDWR);
			pthread_join(b->thread, NULL);
		}
		raw_free(b);
	}
}

/* --- Being connected --------------------------------------------------------------------------- */

/* Whether it is the caller's user, or host, that has come. */
static bool is_caller(const struct bench_raw *b, int fd, const struct address *from)
{
	char want[ADDRESS_TEXT_SIZE], got[ADDRESS_TEXT_SIZE];
	struct ucred who;
	socklen_t len = sizeof(who);

	if (b->caller.local)
		return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
		    who.uid == b->caller.uid;
	address_host_text(&b->caller.address, want);
	address_host_text(from, got);
	return strcmp(want, got) == 0;
}

/* As the thread wants it: blocking, but not for ever. */
static void tune(const struct bench_raw *b, int fd)
{
	const struct timeval patience = { .tv_sec = b->wait_ms / 1000,
		.tv_usec = (suseconds_t)(b->wait_ms % 1000) * 1000 };
	int one = 1, zero = 0;

	ioctl(fd, FIONBIO, &zero);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (!b->caller.local)
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* From LISTENING to SERVING.  0 or -errno; takes fd over in both cases. */
static int begin_serving(struct bench_raw *b, int fd)
{
	int r, done_fd;

	loop_remove(&b->listener);
	close(b->listener.fd);
	b->listener.fd = -1;
	b->fd = fd;
	tune(b, fd);
	done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (done_fd < 0)
		return -errno;
	b->done.fn = on_done;
	r = loop_add(b->loop, &b->done, done_fd, EPOLLIN);
	b->done.fd = done_fd;
	if (!r)
		r = loop_timer_set(b->loop, &b->timer, clock_deadline_ms(IPC9_BENCH_RAW_TOTAL_MS));
	return r ? r : -pthread_create(&b->thread, NULL, serve, b);
}

static void on_connection(struct loop_io *io, uint32_t events)
{
	struct bench_raw *b = LIST_ENTRY(io, struct bench_raw, listener);
	struct address from = { .len = sizeof(from.storage) };
	int fd = accept4(io->fd, (struct sockaddr *)&from.storage, &from.len, SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (!is_caller(b, fd, &from))
		close(fd); /* goes on listening: a stranger must not end it */
	else if (begin_serving(b, fd))
		raw_free(b); /* the peer sees the connection end */
}

/* --- Making ------------------------------------------------------------------------------------ */

/* The number of the abstract address that the kernel chose: a zero byte and five digits. */
static int local_number(const struct address *a, u_int *ret)
{
	const struct sockaddr_un *un = (const struct sockaddr_un *)&a->storage;
	char digits[6] = "", *end;

	if (a->len != offsetof(struct sockaddr_un, sun_path) + 6 || un->sun_path[0])
		return -EADDRNOTAVAIL;
	memcpy(digits, un->sun_path + 1, 5);
	*ret = (u_int)strtoul(digits, &end, 16);
	return *end ? -EADDRNOTAVAIL : 0;
}

/* Listens where the call came in. */
static int raw_listen(struct bench_raw *b, const struct call *call, u_int *ret_port)
{
	struct address a = { .len = sizeof(a.storage) };
	int fd, r;

	if (getsockname(call_fd(call), (struct sockaddr *)&a.storage, &a.len))
		return -errno;
	if (b->caller.local != (a.storage.ss_family == AF_UNIX))
		return -EAFNOSUPPORT;
	if (b->caller.local)
		a.len = sizeof(sa_family_t); /* unix(7): the kernel chooses an abstract address */
	else
		address_set_port(&a, 0);
	r = socket_listen(&a, &fd);
	if (r)
		return r;
	a.len = sizeof(a.storage);
	if (getsockname(fd, (struct sockaddr *)&a.storage, &a.len))
		r = -errno;
	else if (b->caller.local)
		r = local_number(&a, ret_port);
	else
		*ret_port = address_port(&a);
	b->listener.fn = on_connection;
	if (!r)
		r = loop_add(b->loop, &b->listener, fd, EPOLLIN);
	b->listener.fd = fd;
	return r;
}

int bench_raw_new(struct bench_raws *all, struct request *request, const ipc9_bench_raw_args *args,
    ipc9_bench_raw_ok *ret)
{
	struct bench_raw *b;
	int r;

	if (all->n >= IPC9_BENCH_RAW_MAX)
		return -EDQUOT;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	r = quota_charge(request->daemon->quota, &request->caller, QUOTA_OBJECTS, 1, &b->charge);
	if (r) {
		free(b);
		return r;
	}
	b->all = all;
	b->loop = request->daemon->loop;
	b->caller = access_keep(&request->caller);
	b->listener.fd = b->done.fd = b->fd = -1;
	b->kind = args->kind;
	b->size = args->kind == IPC9_BENCH_RAW_ECHO ? args->size_bytes : IPC9_BLOB_MAX;
	b->wait_ms = args->wait_ms && args->wait_ms < IPC9_BENCH_RAW_WAIT_MS
	    ? args->wait_ms
	    : IPC9_BENCH_RAW_WAIT_MS;
	b->timer.fn = on_time;
	b->watch.closed = on_asker_gone;
	list_append(&all->raws, &b->link);
	all->n++;
	list_init(&b->watch.link);
	b->buffer = malloc(b->size);
	if (!b->buffer)
		r = -ENOMEM;
	else if (getrandom(b->key, sizeof(b->key), 0) != sizeof(b->key))
		r = -errno;
	if (!r)
		r = raw_listen(b, &request->call, &ret->port);
	if (!r)
		r = loop_timer_set(b->loop, &b->timer, clock_deadline_ms(b->wait_ms));
	if (r) {
		raw_free(b);
		return r;
	}
	connection_watch(request->call.connection, &b->watch);
	memcpy(ret->key, b->key, sizeof(ret->key));
	return 0;
}
