/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conduit.c - see conduit.h.
 */
#include "transport/conduit.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/conduit_end.h"
#include "transport/shm.h"

#define HEADER_BYTES 4096u

_Static_assert(2 * sizeof(struct ring_shared) <= HEADER_BYTES,
    "both rings' words are in the header");
_Static_assert(CONDUIT_QUOTA_MAX + 2 * (RING_MESSAGE_MAX + RING_RECORD) <= RING_BYTES_MAX,
    "the largest ring is large enough");

/* --- Making and freeing ------------------------------------------------------------------------ */

static uint64_t file_size(uint64_t ring)
{
	return HEADER_BYTES + 2 * ring;
}

static int check_geometry(enum ring_type type, uint64_t quota)
{
	if ((type != RING_BYTES && type != RING_MESSAGES) || !quota || quota > CONDUIT_QUOTA_MAX)
		return -EINVAL;
	return ATOMIC_LLONG_LOCK_FREE == 2 && ATOMIC_INT_LOCK_FREE == 2 ? 0 : -EOPNOTSUPP;
}

uint64_t conduit_size(enum ring_type type, uint64_t quota)
{
	return file_size(ring_size_for(type, quota));
}

int conduit_create(enum ring_type type, uint64_t quota, int *ret_memory, int ret_sockets[2])
{
	int r = check_geometry(type, quota), memory;
	struct shm_range ranges[2] = { { 0, HEADER_BYTES + RING_FIRST_BYTES } };
	uint64_t ring;

	if (r)
		return r;
	ring = ring_size_for(type, quota);
	ranges[1] = (struct shm_range){ HEADER_BYTES + ring, RING_FIRST_BYTES };
	r = shm_create(file_size(ring), ranges, 2, &memory);
	if (r)
		return r;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret_sockets)) {
		r = -errno;
		close(memory);
		return r;
	}
	*ret_memory = memory;
	return 0;
}

bool conduit_has_left(int memory, enum conduit_side side, bool *ret_closed)
{
	off_t words = side == CONDUIT_SECOND ? sizeof(struct ring_shared) : 0;
	uint32_t state = RING_OPEN;
	uint64_t head = 0;

	if (pread(memory, &state, sizeof(state),
		words + (off_t)offsetof(struct ring_shared, producer_state)) != sizeof(state) ||
	    pread(memory, &head, sizeof(head), words + (off_t)offsetof(struct ring_shared, head)) !=
		sizeof(head))
		head = 0;
	*ret_closed = state == RING_CLOSED;
	return head > 0;
}

static int reserve_part(void *context, uint64_t offset, uint64_t size)
{
	const struct backing *b = context;

	if (b->fd < 0)
		return shm_reserve_mapped(b->mapped + offset, size);
	return shm_reserve(b->fd, b->offset + offset, size);
}

static bool is_local_socket(int fd)
{
	int domain, type;
	socklen_t size = sizeof(int);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) && domain == AF_UNIX &&
	    !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) && type == SOCK_STREAM;
}

static void init_halves(struct conduit *c, enum conduit_side side, uint64_t ring)
{
	unsigned own = side == CONDUIT_SECOND, other = !own;
	struct ring_shared *words = c->memory;
	unsigned char *data = (unsigned char *)c->memory + HEADER_BYTES;
	struct ring_memory m = { .type = c->type, .size = ring, .reserve = reserve_part };

	c->out_shared = &words[own];
	c->in_shared = &words[other];
	c->out.backing =
	    (struct backing){ c->memory_fd, HEADER_BYTES + own * ring, data + own * ring };
	c->in.backing =
	    (struct backing){ c->memory_fd, HEADER_BYTES + other * ring, data + other * ring };
	c->out.waiting = &c->out_shared->producer_waiting;
	c->out.peer_waiting = &c->out_shared->consumer_waiting;
	c->out.cpu = &c->out_shared->producer_cpu;
	c->out.peer_cpu = &c->out_shared->consumer_cpu;
	c->in.waiting = &c->in_shared->consumer_waiting;
	c->in.peer_waiting = &c->in_shared->producer_waiting;
	c->in.cpu = &c->in_shared->consumer_cpu;
	c->in.peer_cpu = &c->in_shared->producer_cpu;
	c->in.spin.budget = c->out.spin.budget = SPIN_LOOKS;
	m.shared = c->out_shared;
	m.data = data + own * ring;
	m.context = &c->out.backing;
	ring_producer_init(&c->producer, &m);
	m.shared = c->in_shared;
	m.data = data + other * ring;
	m.context = &c->in.backing;
	ring_consumer_init(&c->consumer, &m);
}

/*
 * Whoever gave the file says that this was done.  By the descriptor it costs little where that is true.  Finds out, too,
 * whether the descriptor is needed later.
 */
static int reserve_first(struct conduit *c, uint64_t ring)
{
	int r = shm_reserve(c->memory_fd, 0, HEADER_BYTES + RING_FIRST_BYTES);

	if (!r)
		r = shm_reserve(c->memory_fd, HEADER_BYTES + ring, RING_FIRST_BYTES);
	if (!r && shm_reserve_mapped(c->memory, HEADER_BYTES) == 0)
		c->memory_fd = -1;
	return r;
}

int conduit_open(int memory, int socket, enum conduit_side side, enum ring_type type,
    uint64_t quota, struct conduit **ret)
{
	int r = check_geometry(type, quota);
	struct conduit *c;
	uint64_t ring;

	if (r)
		return r;
	if (!is_local_socket(socket))
		return -EPROTO;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -ENOMEM;
	ring = ring_size_for(type, quota);
	c->type = type;
	c->quota = quota;
	c->size = file_size(ring);
	c->memory_fd = memory;
	c->socket = socket;
	r = shm_adopt(memory, c->size, &c->memory);
	if (r) {
		free(c);
		return r;
	}
	r = reserve_first(c, ring);
	if (r) {
		shm_unmap(c->memory, c->size);
		free(c);
		return r;
	}
	init_halves(c, side, ring);
	if (c->memory_fd < 0)
		close(memory);
	*ret = c;
	return 0;
}

struct conduit *conduit_forget(struct conduit *c)
{
	if (!c)
		return NULL;
	shm_unmap(c->memory, c->size);
	if (c->memory_fd >= 0)
		close(c->memory_fd);
	close(c->socket);
	free(c);
	return NULL;
}

/* --- Telling the peer -------------------------------------------------------------------------- */

static void wake_all(struct conduit *c)
{
	conduit_wake_peer(c, c->out.peer_waiting);
	conduit_wake_peer(c, c->in.peer_waiting);
}

void conduit_end(struct conduit *c)
{
	atomic_store_explicit(&c->ended, true, memory_order_relaxed);
	ring_set_producer_state(c->out_shared, RING_END);
	conduit_wake_peer(c, c->out.peer_waiting);
}

void conduit_stop_reading(struct conduit *c)
{
	ring_set_consumer_state(c->in_shared, RING_READS_NO_MORE);
	conduit_wake_peer(c, c->in.peer_waiting);
}

void conduit_disconnect(struct conduit *c)
{
	/* First: the peer may close as soon as it sees the others, and that must not show here as EOF. */
	atomic_store_explicit(&c->disconnected, true, memory_order_seq_cst);
	ring_set_producer_state(c->out_shared, RING_DISCONNECTED);
	ring_set_consumer_state(c->in_shared, RING_READER_DISCONNECTED);
	wake_all(c);
	conduit_wake_own(&c->in);
	conduit_wake_own(&c->out);
}

struct conduit *conduit_close(struct conduit *c)
{
	if (!c)
		return NULL;
	ring_set_producer_state(c->out_shared, RING_CLOSED);
	ring_set_consumer_state(c->in_shared, RING_READS_NO_MORE);
	wake_all(c);
	return conduit_forget(c);
}

void conduit_cancel(struct conduit *c, unsigned which)
{
	struct half *halves[] = { which & CONDUIT_READING ? &c->in : NULL,
		which & CONDUIT_WRITING ? &c->out : NULL };

	for (size_t i = 0; i < 2; i++) {
		if (!halves[i])
			continue;
		atomic_fetch_add_explicit(&halves[i]->cancels, 1, memory_order_seq_cst);
		conduit_wake_own(halves[i]);
	}
}

void conduit_abort(struct conduit *c)
{
	atomic_store_explicit(&c->aborted, true, memory_order_seq_cst);
	conduit_wake_own(&c->in);
	conduit_wake_own(&c->out);
}

/* --- The peer ---------------------------------------------------------------------------------- */

int conduit_known_peer(struct conduit *c)
{
	bool lost = conduit_is_lost(c);
	enum ring_producer_state state = ring_producer_state(c->in_shared);

	if (atomic_load_explicit(&c->broken, memory_order_relaxed))
		return CONDUIT_BROKEN;
	if (state == RING_DISCONNECTED || conduit_is_disconnected(c))
		return CONDUIT_DISCONNECTED;
	if (state == RING_CLOSED)
		return CONDUIT_PEERCLOSED;
	return lost ? CONDUIT_LOST : 0;
}

int conduit_peer(struct conduit *c)
{
	conduit_look_at_socket(c);
	return conduit_known_peer(c);
}

/* --- In an event loop -------------------------------------------------------------------------- */

int conduit_fd(const struct conduit *c)
{
	return c->socket;
}

void conduit_answer(struct conduit *c)
{
	char bells[64];

	/* There are two at most, unless the peer plays with them. */
	for (int i = 0; i < 16; i++)
		if (recv(c->socket, bells, sizeof(bells), MSG_DONTWAIT) < (ssize_t)sizeof(bells))
			break;
}

static bool is_writable(struct conduit *c)
{
	return conduit_check_writing(c) || ring_producer_look(&c->producer) || !c->timed_out ||
	    c->producer.tail != c->timed_out_tail || c->producer.read != c->timed_out_read;
}

static bool arm(struct conduit *c, struct half *h, bool (*is_true)(struct conduit *c))
{
	atomic_store_explicit(h->waiting, BELL, memory_order_seq_cst);
	if (!is_true(c))
		return true;
	atomic_store_explicit(h->waiting, NOBODY, memory_order_relaxed);
	return false;
}

unsigned conduit_arm(struct conduit *c, unsigned interest)
{
	unsigned already = 0;

	if (atomic_load_explicit(&c->aborted, memory_order_relaxed))
		return interest;
	if (interest & CONDUIT_READING && !arm(c, &c->in, conduit_is_readable))
		already |= CONDUIT_READING;
	if (interest & CONDUIT_WRITING) {
		atomic_store_explicit(&c->out_shared->producer_wants, 0, memory_order_seq_cst);
		if (!arm(c, &c->out, is_writable))
			already |= CONDUIT_WRITING;
	}
	return already;
}

/* --- Asking ------------------------------------------------------------------------------------ */

enum ring_type conduit_type(const struct conduit *c)
{
	return c->type;
}

void conduit_count(const struct conduit *c, struct conduit_counters *ret)
{
	ret->broken = atomic_load_explicit(&c->broken, memory_order_relaxed);
	ret->sleeps = atomic_load_explicit(&c->sleeps, memory_order_relaxed);
	ret->forgotten = atomic_load_explicit(&c->forgotten, memory_order_relaxed);
	ret->wakes = atomic_load_explicit(&c->wakes, memory_order_relaxed);
}
