/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * conduit_end.h - what the parts of a conduit's end share: conduit.c makes it and speaks of its life, conduit_wait.c
 * sleeps and wakes, conduit_data.c reads and writes.
 */
#ifndef TRANSPORT_CONDUIT_END_H
#define TRANSPORT_CONDUIT_END_H

#include <stdatomic.h>

#include "transport/conduit.h"
#include "transport/spin.h"

/* How one waits, in the word of who waits. */
enum waiting {
	NOBODY,
	FUTEX,
	BELL /* a byte on the socket */
};

/* Part of the file: mapped there, and reserved by the descriptor where that cannot be done in the mapping (else -1). */
struct backing {
	int fd;
	uint64_t offset;
	unsigned char *mapped;
};

/* One direction of an end, used by one thread at a time but for `cancels`. */
struct half {
	_Atomic uint32_t *waiting;	/* ours: the peer takes it back */
	_Atomic uint32_t *peer_waiting; /* the peer's, in the same ring */
	_Atomic uint32_t *cpu;
	const _Atomic uint32_t *peer_cpu;
	uint32_t told_cpu;
	struct spin spin;
	_Atomic unsigned cancels; /* how many so far */
	int64_t looked;		  /* at the socket, by the coarse clock */
	struct backing backing;
};

struct conduit {
	struct half in, out;
	struct ring_shared *in_shared, *out_shared;
	struct ring_consumer consumer;
	struct ring_producer producer;
	uint64_t timed_out_tail, timed_out_read; /* where the peer was when writing timed out */
	bool timed_out;
	_Atomic bool lost, disconnected, aborted, ended, broken;
	_Atomic uint64_t sleeps, wakes, forgotten;
	enum ring_type type;
	uint64_t quota, size;
	void *memory;
	int memory_fd; /* -1: not needed any more */
	int socket;
};

/* --- Waking ------------------------------------------------------------------------------------ */

/* After something was stored that the peer may wait for, in that word. */
void conduit_wake_peer(struct conduit *c, _Atomic uint32_t *word);

/* After a publication; and after something was given back, for which the producer may not care yet. */
void conduit_told_more(struct conduit *c);
void conduit_gave_back(struct conduit *c);

/* The own thread. */
void conduit_wake_own(struct half *h);

/* --- The peer ---------------------------------------------------------------------------------- */

/* Whether the socket says that it is gone; the second one now and then, for those who do not wait. */
void conduit_look_at_socket(struct conduit *c);
void conduit_look_sometimes(struct conduit *c, struct half *h);

static inline bool conduit_is_lost(const struct conduit *c)
{
	return atomic_load_explicit(&c->lost, memory_order_seq_cst);
}

static inline bool conduit_is_disconnected(const struct conduit *c)
{
	return atomic_load_explicit(&c->disconnected, memory_order_seq_cst);
}

/* --- Waiting ----------------------------------------------------------------------------------- */

/*
 * An operation under way.  An attempt does it, if it can be done, and tells the peer: 0, or a result;
 * RING_AGAIN: not yet.  Before `patience` it may find that too little has come.
 */
struct operation {
	int (*attempt)(struct conduit *c, struct operation *o);
	unsigned char *buffer;
	const unsigned char *data;
	const struct iovec *pieces;
	size_t size, n;
	bool *ret_more;
	void **ret_room;
	struct iovec *ret_pieces;
	bool has_waited;
	int64_t patience;
	uint64_t wants; /* writing: where the tail has to be for an attempt to be worth while */
};

/* Attempts it until there is a result, or the deadline. */
int conduit_run(struct conduit *c, struct half *h, struct operation *o, int64_t deadline);

/* --- For the event loop ------------------------------------------------------------------------ */

/* Whether reading would say something; why writing would fail, or 0. */
bool conduit_is_readable(struct conduit *c);
int conduit_check_writing(struct conduit *c);

#endif
