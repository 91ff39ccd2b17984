/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * sync.h - objects by which programs wait for each other: their words in shared memory, and what is done to them.
 *
 * The state of an object is one page that all holders map.  Everybody who may write to it may set its words to anything at
 * any time, so that of what stands there nothing is taken for more than a hint whether to wait: no index, no pointer, no
 * bound.  What kind it is and what its maximum is the daemon told.  No sleep is longer than SYNC_SLICE_MS before
 * the words are looked at again, in case that nobody wakes us: a waker was killed, or somebody scribbles.
 *
 * Words, by kind:
 *
 *	mutex		sync_mutex.c; `abandoned`: the next owner is to be told
 *	semaphore	`word` is the count
 *	event, auto	`word` is 1 while it is set
 *	event, manual	`word` is twice the number of times that it was set, and 1 more while it is
 *
 * Who sleeps on a semaphore or auto event counts in `waiters`; a manual event wakes always, as those may sleep on it who
 * cannot write.  One sleeper is woken for each thing that can be taken; a sleeper that is woken and takes another object
 * in its place wakes the next (sync_pass_on).
 */
#ifndef CLIENT_SYNC_H
#define CLIENT_SYNC_H

#include <pthread.h>
#include <stdatomic.h>

#include "client/filemap.h"

#define SYNC_SLICE_MS 1000

/* At the beginning of the page. */
struct sync_state {
	uint32_t version; /* SYNC_VERSION */
	_Atomic uint32_t word, waiters, abandoned;
};
#define SYNC_VERSION 1
_Static_assert(sizeof(_Atomic uint32_t) == 4 && sizeof(struct sync_state) == 16,
    "programs of different builds agree on the words");

/* --- Mutexes (sync_mutex.c) -------------------------------------------------------------------- */

struct sync_thread {
	uint32_t id; /* the kernel's; 0: none */
	uint64_t number;
};

struct sync_mutex {
	bool made;
	pthread_mutex_t guard; /* of this program's own part, held for no longer than a look */
	/* The rest is under guard. */
	struct sync_place *place;  /* NULL: another is to be made */
	struct sync_place *lost;   /* those in some thread's list that are not to be used again */
	struct sync_thread holder; /* the thread of this program that has it by this handle */
	uint32_t depth;		   /* how often */
};

/* Maps the page of fd.  0 or -errno. */
int sync_mutex_init(struct sync_mutex *mutex, int fd);
/* Closing is not releasing: what this thread has is abandoned.  Fine when all zero. */
void sync_mutex_clear(struct sync_mutex *mutex, struct sync_state *state);

/* The futex, for looks and sleeps. */
_Atomic uint32_t *sync_mutex_word(struct sync_state *state);

/* 0: taken; -EBUSY; -EDEADLK: this thread has it by another handle; or -errno.  *ret_abandoned on 0. */
int sync_mutex_try(struct sync_mutex *mutex, int fd, struct sync_state *state, bool *ret_abandoned);

/* Whether this thread has it by this handle; by another one, and would wait for itself. */
bool sync_mutex_is_mine(struct sync_mutex *mutex, struct sync_state *state);
bool sync_mutex_is_mine_elsewhere(struct sync_mutex *mutex, struct sync_state *state);

/* 0, or -EPERM: this thread does not have it (any more). */
int sync_mutex_release(struct sync_mutex *mutex, struct sync_state *state);

bool sync_mutex_is_free(uint32_t word);
/* The word as it is while somebody sleeps on it. */
uint32_t sync_mutex_contended(uint32_t word);

/* --- Objects (sync_object.c) ------------------------------------------------------------------- */

struct sync_watch;

struct ipc9_sync {
	struct filemap_handle handle;
	enum ipc9_sync_kind kind;
	bool manual;
	struct sync_state *state;
	struct sync_mutex mutex;
	struct sync_watch *_Atomic watch; /* NULL until somebody asks for a descriptor */
	_Atomic uint32_t
	    rescued; /* waits that nobody woke, and that found it free after a slice: for tests */
};

/* What one wait knows about one object. */
struct sync_look {
	uint32_t began;	 /* a manual event's word when the wait began */
	bool abandoned;	 /* it was, when it was taken */
	bool slept;	 /* counted as a sleeper */
	uint32_t asleep; /* the value to sleep on */
};

void sync_look_begin(struct ipc9_sync *sync, struct sync_look *look);

/* Takes it.  0; -EBUSY: it is not free; -EDEADLK; -errno.  all: a manual event counts only while it is set. */
int sync_take(struct ipc9_sync *sync, struct sync_look *look, bool all);

/* Puts it back as if it had not been taken. */
void sync_put_back(struct ipc9_sync *sync, const struct sync_look *look);

/* Whether it could be taken now. */
bool sync_is_free(struct ipc9_sync *sync);

/* Whether it is a mutex that this thread has by another handle. */
bool sync_is_own_elsewhere(struct ipc9_sync *sync);

/* Before a sleep and after.  False: it is free, or was just now; look again. */
bool sync_sleep_begin(struct ipc9_sync *sync, struct sync_look *look, bool all);
void sync_sleep_end(struct ipc9_sync *sync, struct sync_look *look);
_Atomic uint32_t *sync_word(struct ipc9_sync *sync);

/* It was taken after a sleep: others may sleep still. */
void sync_taken_late(struct ipc9_sync *sync);

/* Wakes one who sleeps on it, if it is free. */
void sync_pass_on(struct ipc9_sync *sync);

/* --- Sleeping (sync_futex.c) ------------------------------------------------------------------- */

/* Wakes at most n. */
void sync_futex_wake(_Atomic uint32_t *word, int n);

struct sync_futex {
	_Atomic uint32_t *word;
	uint32_t asleep; /* sleep as long as this stands there */
};

/*
 * Sleeps until one of n (up to SYNC_FUTEX_MAX) is woken or has another value, for at most a slice, and not beyond the
 * deadline.  May return early.  False: the time was over.
 */
#define SYNC_FUTEX_MAX (IPC9_SYNC_WAIT_MAX + 1)
bool sync_futex_sleep(const struct sync_futex *futexes, unsigned n, int64_t deadline);

/* --- Descriptors to poll (sync_watch.c) -------------------------------------------------------- */

/* A wait has ended: the descriptor tells anew. */
void sync_watch_rearm(struct ipc9_sync *sync);
/* NULL is fine. */
void sync_watch_free(struct sync_watch *watch);

#endif
