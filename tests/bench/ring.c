/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * ring.c - the shared memory of two processes: ours, copying and in place, and what it is compared with: one
 * process that copies into memory of the same size, and one slot for a message and one for its echo, waited for by
 * looking again and again or by a futex.
 *
 * The two processes meet by a local socket, by which the server hands over the memory and counts what came.
 */
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/bench/speed.h"
#include "transport/conduit.h"
#include "util/clock.h"

#define QUOTA CONDUIT_QUOTA_MAX
#define PIPE_QUOTA (1u << 20) /* what a pipe has unless it is told otherwise */
#define COPY_BYTES (8u << 20) /* where memcpy goes round */

enum mode {
	MODE_ECHO,
	MODE_STREAM,
	MODE_PLACE,
	MODE_AS_PIPE /* as the pipes of pipe.c: their quota, and read by 1 MiB */
};

struct hello {
	uint32_t mode, bytes;
};

struct client {
	struct work work;
	int fd;
	struct conduit *conduit;
	char *data, *reply;
	uint64_t sent;
};

/* --- Meeting ----------------------------------------------------------------------------------- */

static void give(int fd, const int *fds, size_t n)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = { 0 }, byte = 0;
	struct iovec piece = { &byte, 1 };
	struct msghdr m = { .msg_iov = &piece, .msg_iovlen = 1, .msg_control = control };
	struct cmsghdr *c;

	m.msg_controllen = CMSG_SPACE(n * sizeof(int));
	c = CMSG_FIRSTHDR(&m);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(c), fds, n * sizeof(int));
	if (sendmsg(fd, &m, 0) != 1)
		die("give");
}

static void take(int fd, int *fds, size_t n)
{
	char control[CMSG_SPACE(2 * sizeof(int))], byte;
	struct iovec piece = { &byte, 1 };
	struct msghdr m = { .msg_iov = &piece,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };

	if (recvmsg(fd, &m, 0) != 1 || !CMSG_FIRSTHDR(&m) ||
	    CMSG_FIRSTHDR(&m)->cmsg_len != CMSG_LEN(n * sizeof(int)))
		die("take");
	memcpy(fds, CMSG_DATA(CMSG_FIRSTHDR(&m)), n * sizeof(int));
}

char *memory_for(size_t size)
{
	char *data;

	if (posix_memalign((void **)&data, 4096, size))
		die("memory");
	for (size_t i = 0; i < size; i++)
		data[i] = (char)(i * 7 + 1);
	return data;
}

/* A thread for each client. */
static _Noreturn void serve_by_threads(const char *netid, const char *address,
    void *(*serve)(void *context))
{
	int listener = listen_at(netid, address);

	for (;;) {
		int fd = accept(listener, NULL, NULL);
		pthread_t thread;

		if (fd < 0 || pthread_create(&thread, NULL, serve, (void *)(intptr_t)fd))
			die("thread");
		pthread_detach(thread);
	}
}

/* --- Ours: the receiver ------------------------------------------------------------------------ */

typedef uint64_t lanes __attribute__((vector_size(64)));

/* With the widest words that the CPU has, as the memcpy is that it is compared with. */
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define WIDEST __attribute__((target_clones("arch=x86-64-v4", "avx2", "default")))
#else
#define WIDEST
#endif

/* Of all 64-bit words, so that each byte was looked at. */
WIDEST uint64_t sum_of(const void *data, size_t size)
{
	const unsigned char *p = data;
	lanes sums[4] = { { 0 } }, word = { 0 };
	uint64_t sum = 0, rest;

	for (; size >= sizeof(sums); size -= sizeof(sums), p += sizeof(sums))
		for (int i = 0; i < 4; i++) {
			memcpy(&word, p + (size_t)i * sizeof(word), sizeof(word));
			sums[i] += word;
		}
	sums[0] += sums[1] + sums[2] + sums[3];
	for (int i = 0; i < 8; i++)
		sum += sums[0][i];
	for (; size >= sizeof(rest); size -= sizeof(rest), p += sizeof(rest)) {
		memcpy(&rest, p, sizeof(rest));
		sum += rest;
	}
	return sum;
}

static void echo(struct conduit *c, size_t bytes)
{
	char *data = memory_for(bytes);
	bool more;
	size_t n;

	while (!conduit_read_message(c, data, bytes, CLOCK_NEVER, &n, &more)) {
		struct iovec piece = { data, n };

		if (conduit_send(c, &piece, 1, CLOCK_NEVER))
			break;
	}
	free(data);
}

static struct total receive(struct conduit *c, size_t bytes)
{
	struct total total = { 0 };
	char *data = memory_for(bytes);
	size_t n;

	while (!conduit_read(c, data, bytes, CLOCK_NEVER, &n))
		total.bytes += n;
	free(data);
	return total;
}

static struct total receive_in_place(struct conduit *c)
{
	struct total total = { 0 };
	struct iovec pieces[2];
	size_t n;

	while (!conduit_view(c, CLOCK_NEVER, pieces, &n)) {
		n = pieces[0].iov_len < PLACE_BYTES ? pieces[0].iov_len : PLACE_BYTES;
		total.sum += sum_of(pieces[0].iov_base, n);
		total.bytes += n;
		conduit_consume(c, n);
	}
	return total;
}

static void *serve_one(void *context)
{
	int fd = (int)(intptr_t)context, memory, sockets[2], gives[2];
	enum ring_type type;
	struct total total = { 0 };
	struct hello hello;
	struct conduit *c;
	uint64_t quota;

	get_all(fd, &hello, sizeof(hello));
	type = hello.mode == MODE_ECHO ? RING_MESSAGES : RING_BYTES;
	quota = hello.mode == MODE_AS_PIPE ? PIPE_QUOTA : QUOTA;
	if (conduit_create(type, quota, &memory, sockets))
		die("conduit");
	gives[0] = memory;
	gives[1] = sockets[1];
	give(fd, gives, 2);
	close(sockets[1]);
	if (conduit_open(memory, sockets[0], CONDUIT_FIRST, type, quota, &c))
		die("conduit");
	if (hello.mode == MODE_ECHO)
		echo(c, hello.bytes);
	else
		total = hello.mode == MODE_PLACE
		    ? receive_in_place(c)
		    : receive(c, hello.mode == MODE_AS_PIPE ? BULK_BYTES : hello.bytes);
	if (hello.mode != MODE_ECHO)
		put_all(fd, &total, sizeof(total));
	conduit_close(c);
	close(fd);
	return NULL;
}

static void serve_ours(const char *netid, const char *address)
{
	serve_by_threads(netid, address, serve_one);
}

/* --- Ours: the sender -------------------------------------------------------------------------- */

static struct client *open_ours(const struct work *work, enum mode mode)
{
	struct hello hello = { mode, (uint32_t)work->bytes };
	struct client *c = calloc(1, sizeof(*c));
	int fds[2];

	c->work = *work;
	c->data = memory_for(work->bytes);
	c->reply = memory_for(work->bytes);
	c->fd = reach(work->address, SOCK_STREAM);
	put_all(c->fd, &hello, sizeof(hello));
	take(c->fd, fds, 2);
	if (conduit_open(fds[0], fds[1], CONDUIT_SECOND,
		mode == MODE_ECHO ? RING_MESSAGES : RING_BYTES,
		mode == MODE_AS_PIPE ? PIPE_QUOTA : QUOTA, &c->conduit))
		die("conduit");
	return c;
}

static void *open_copying(const struct work *work)
{
	return open_ours(work, work->is_stream ? MODE_STREAM : MODE_ECHO);
}

static void *open_as_pipe(const struct work *work)
{
	return open_ours(work, MODE_AS_PIPE);
}

static void *open_in_place(const struct work *work)
{
	return open_ours(work, MODE_PLACE);
}

static void call_ours(void *client)
{
	struct client *c = client;
	struct iovec piece = { c->data, c->work.bytes };
	bool more;
	size_t n;

	if (conduit_send(c->conduit, &piece, 1, CLOCK_NEVER) ||
	    conduit_read_message(c->conduit, c->reply, c->work.bytes, CLOCK_NEVER, &n, &more) ||
	    n != c->work.bytes)
		die("call");
}

static void send_copying(void *client)
{
	struct client *c = client;
	size_t n;

	if (conduit_write(c->conduit, c->data, c->work.bytes, CLOCK_NEVER, &n) ||
	    conduit_wait_quota(c->conduit, CLOCK_NEVER))
		die("write");
	c->sent++;
}

static void send_in_place(void *client)
{
	struct client *c = client;
	size_t done = 0, n;
	void *room;

	while (done < c->work.bytes) {
		n = c->work.bytes - done < PLACE_BYTES ? c->work.bytes - done : PLACE_BYTES;
		if (conduit_reserve(c->conduit, n, CLOCK_NEVER, &room, &n))
			die("reserve");
		memcpy(room, c->data + done, n);
		conduit_commit(c->conduit, n);
		done += n;
	}
	if (conduit_wait_quota(c->conduit, CLOCK_NEVER))
		die("write");
	c->sent++;
}

static uint64_t finish_ours(void *client)
{
	struct client *c = client;
	struct total total;

	conduit_end(c->conduit);
	get_all(c->fd, &total, sizeof(total));
	if (total.bytes != c->sent * c->work.bytes ||
	    (total.sum && total.sum != c->sent * sum_of(c->data, c->work.bytes)))
		die("not what was sent");
	return total.bytes;
}

const struct peer ring_peer = {
	.name = "ring",
	.serve = serve_ours,
	.open = open_copying,
	.call = call_ours,
	.send = send_copying,
	.finish = finish_ours,
};

const struct peer ring_as_pipe_peer = {
	.name = "ring-as-pipe",
	.serve = serve_ours,
	.open = open_as_pipe,
	.send = send_copying,
	.finish = finish_ours,
};

const struct peer ring_place_peer = {
	.name = "ring-place",
	.serve = serve_ours,
	.open = open_in_place,
	.send = send_in_place,
	.finish = finish_ours,
};

static inline void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#endif
}

/* --- memcpy ------------------------------------------------------------------------------------ */

static void serve_nobody(const char *netid, const char *address)
{
	listen_at(netid, address);
	for (;;)
		pause();
}

struct copier {
	size_t bytes, at;
	char *from, *to;
	uint64_t total;
};

static void *open_memcpy(const struct work *work)
{
	struct copier *c = calloc(1, sizeof(*c));

	c->bytes = work->bytes;
	c->from = memory_for(work->bytes);
	c->to = mmap(NULL, COPY_BYTES, PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (c->to == MAP_FAILED)
		die("memory");
	return c;
}

static void send_memcpy(void *client)
{
	struct copier *c = client;

	memcpy(c->to + c->at, c->from, c->bytes);
	c->at = (c->at + c->bytes) % COPY_BYTES;
	c->total += c->bytes;
}

static uint64_t finish_memcpy(void *client)
{
	struct copier *c = client;

	return c->total;
}

const struct peer memcpy_peer = {
	.name = "memcpy",
	.serve = serve_nobody,
	.open = open_memcpy,
	.send = send_memcpy,
	.finish = finish_memcpy,
};

/* --- A bare ring of bytes ---------------------------------------------------------------------- */

/* Two totals, and two words for whoever sleeps. */
struct bare {
	_Alignas(64) _Atomic uint64_t head;
	_Atomic uint32_t head_turn, reader_waits;
	_Alignas(64) _Atomic uint64_t tail;
	_Atomic uint32_t tail_turn, writer_waits;
	_Alignas(4096) char data[COPY_BYTES];
};

#define BARE_PIECE 262144u
#define BARE_END UINT64_MAX

struct bare_client {
	struct bare *ring;
	struct work work;
	int fd;
	bool by_futex;
	char *data;
};

static struct bare *map_bare(int memory)
{
	struct bare *b =
	    mmap(NULL, sizeof(*b), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory, 0);

	if (b == MAP_FAILED)
		die("memory");
	return b;
}

/* Until the total is another one. */
static void bare_wait(_Atomic uint64_t *total, uint64_t old, _Atomic uint32_t *turn,
    _Atomic uint32_t *waits, bool by_futex)
{
	while (atomic_load_explicit(total, memory_order_acquire) == old) {
		uint32_t now = atomic_load(turn);

		if (!by_futex) {
			relax();
			continue;
		}
		atomic_store(waits, 1);
		if (atomic_load(total) == old)
			syscall(SYS_futex, turn, FUTEX_WAIT, now, NULL, NULL, 0);
		atomic_store(waits, 0);
	}
}

static void bare_tell(_Atomic uint32_t *turn, _Atomic uint32_t *waits)
{
	if (!atomic_load(waits))
		return;
	atomic_fetch_add(turn, 1);
	syscall(SYS_futex, turn, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static size_t bare_piece(uint64_t at, uint64_t there)
{
	uint64_t n = there < BARE_PIECE ? there : BARE_PIECE, whole = COPY_BYTES - at % COPY_BYTES;

	return (size_t)(n < whole ? n : whole);
}

static _Noreturn void serve_bare(const char *netid, const char *address, bool by_futex)
{
	int listener = listen_at(netid, address);
	char *buffer = memory_for(BARE_PIECE);

	for (;;) {
		int fd = accept(listener, NULL, NULL), memory = memfd_create("bare", MFD_CLOEXEC);
		struct total total = { 0 };
		struct bare *b;
		uint64_t head;
		char end;

		if (ftruncate(memory, sizeof(*b)))
			die("memory");
		b = map_bare(memory);
		give(fd, &memory, 1);
		for (;;) {
			bare_wait(&b->head, total.bytes, &b->head_turn, &b->reader_waits, by_futex);
			head = atomic_load(&b->head);
			if (head == BARE_END)
				break;
			size_t n = bare_piece(total.bytes, head - total.bytes);

			memcpy(buffer, b->data + total.bytes % COPY_BYTES, n);
			total.bytes += n;
			atomic_store(&b->tail, total.bytes);
			bare_tell(&b->tail_turn, &b->writer_waits);
		}
		put_all(fd, &total, sizeof(total));
		(void)!read(fd, &end, 1);
		munmap(b, sizeof(*b));
		close(memory);
		close(fd);
	}
}

static void serve_bare_spinning(const char *netid, const char *address)
{
	serve_bare(netid, address, false);
}

static void serve_bare_by_futex(const char *netid, const char *address)
{
	serve_bare(netid, address, true);
}

static void *open_bare(const struct work *work, bool by_futex)
{
	struct bare_client *c = calloc(1, sizeof(*c));
	int memory;

	c->work = *work;
	c->by_futex = by_futex;
	c->data = memory_for(work->bytes);
	c->fd = reach(work->address, SOCK_STREAM);
	take(c->fd, &memory, 1);
	c->ring = map_bare(memory);
	return c;
}

static void *open_bare_spinning(const struct work *work)
{
	return open_bare(work, false);
}

static void *open_bare_by_futex(const struct work *work)
{
	return open_bare(work, true);
}

static void send_bare(void *client)
{
	struct bare_client *c = client;
	struct bare *b = c->ring;
	uint64_t head = atomic_load(&b->head), tail;

	for (size_t done = 0, n; done < c->work.bytes; done += n) {
		bare_wait(&b->tail, head - COPY_BYTES, &b->tail_turn, &b->writer_waits,
		    c->by_futex);
		tail = atomic_load(&b->tail);
		n = c->work.bytes - done;
		if (n > COPY_BYTES - (head - tail))
			n = (size_t)(COPY_BYTES - (head - tail));
		n = bare_piece(head, n);
		memcpy(b->data + head % COPY_BYTES, c->data + done, n);
		head += n;
		atomic_store(&b->head, head);
		bare_tell(&b->head_turn, &b->reader_waits);
	}
}

static uint64_t finish_bare(void *client)
{
	struct bare_client *c = client;
	uint64_t head = atomic_load(&c->ring->head);
	struct total total;

	while (atomic_load(&c->ring->tail) != head)
		usleep(20);
	atomic_store(&c->ring->head, BARE_END);
	bare_tell(&c->ring->head_turn, &c->ring->reader_waits);
	get_all(c->fd, &total, sizeof(total));
	return total.bytes;
}

const struct peer bare_spin_peer = {
	.name = "bare-spin",
	.serve = serve_bare_spinning,
	.open = open_bare_spinning,
	.send = send_bare,
	.finish = finish_bare,
};

const struct peer bare_futex_peer = {
	.name = "bare-futex",
	.serve = serve_bare_by_futex,
	.open = open_bare_by_futex,
	.send = send_bare,
	.finish = finish_bare,
};

/* --- One slot each way ------------------------------------------------------------------------- */

struct slots {
	_Alignas(64) _Atomic uint32_t request;
	uint32_t bytes;
	_Alignas(64) _Atomic uint32_t reply;
	_Alignas(4096) char there[65536];
	char back[65536];
};

static bool has_left(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLRDHUP };

	return poll(&p, 1, 0) != 0;
}

/* False: the peer has left, which is looked at when nothing came for long. */
static bool wait_until_not(_Atomic uint32_t *word, uint32_t old, bool by_futex, int fd)
{
	const struct timespec long_time = { .tv_nsec = 20000000 };

	for (unsigned i = 1; atomic_load_explicit(word, memory_order_acquire) == old; i++) {
		if (by_futex && !syscall(SYS_futex, word, FUTEX_WAIT, old, &long_time, NULL, 0))
			continue;
		if (!by_futex)
			relax();
		if ((by_futex || i % 1048576 == 0) && has_left(fd))
			return false;
	}
	return true;
}

static void ring_the_other(_Atomic uint32_t *word, uint32_t value, bool by_futex)
{
	atomic_store_explicit(word, value, memory_order_seq_cst);
	if (by_futex)
		syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

static struct slots *map_slots(int memory)
{
	struct slots *s =
	    mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, memory, 0);

	if (s == MAP_FAILED)
		die("memory");
	return s;
}

/* Each client has slots of its own. */
static void *serve_slots(int fd, bool by_futex)
{
	int memory = memfd_create("slots", MFD_CLOEXEC);
	struct slots *s;
	uint32_t last = 0;

	if (ftruncate(memory, sizeof(*s)))
		die("memory");
	give(fd, &memory, 1);
	s = map_slots(memory);
	while (wait_until_not(&s->request, last, by_futex, fd)) {
		last = atomic_load(&s->request);
		memcpy(s->back, s->there, s->bytes);
		ring_the_other(&s->reply, last, by_futex);
	}
	munmap(s, sizeof(*s));
	close(memory);
	close(fd);
	return NULL;
}

static void *serve_one_spinning(void *context)
{
	return serve_slots((int)(intptr_t)context, false);
}

static void *serve_one_by_futex(void *context)
{
	return serve_slots((int)(intptr_t)context, true);
}

static void serve_spinning(const char *netid, const char *address)
{
	serve_by_threads(netid, address, serve_one_spinning);
}

static void serve_by_futex(const char *netid, const char *address)
{
	serve_by_threads(netid, address, serve_one_by_futex);
}

struct slot_client {
	struct slots *slots;
	int fd;
	bool by_futex;
	size_t bytes;
	char *data, *reply;
	uint32_t calls;
};

static void *open_slots(const struct work *work, bool by_futex)
{
	struct slot_client *c = calloc(1, sizeof(*c));
	int memory;

	c->by_futex = by_futex;
	c->bytes = work->bytes;
	c->data = memory_for(work->bytes);
	c->reply = memory_for(work->bytes);
	c->fd = reach(work->address, SOCK_STREAM);
	take(c->fd, &memory, 1);
	c->slots = map_slots(memory);
	c->slots->bytes = (uint32_t)work->bytes;
	return c;
}

static void *open_spinning(const struct work *work)
{
	return open_slots(work, false);
}

static void *open_by_futex(const struct work *work)
{
	return open_slots(work, true);
}

static void call_slots(void *client)
{
	struct slot_client *c = client;
	uint32_t before = c->calls++;

	memcpy(c->slots->there, c->data, c->bytes);
	ring_the_other(&c->slots->request, c->calls, c->by_futex);
	if (!wait_until_not(&c->slots->reply, before, c->by_futex, c->fd))
		die("the server left");
	memcpy(c->reply, c->slots->back, c->bytes);
}

const struct peer slot_spin_peer = {
	.name = "slot-spin",
	.serve = serve_spinning,
	.open = open_spinning,
	.call = call_slots,
};

const struct peer slot_futex_peer = {
	.name = "slot-futex",
	.serve = serve_by_futex,
	.open = open_by_futex,
	.call = call_slots,
};
