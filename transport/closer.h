/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closer.h - closes descriptors that others sent, where close(2) may keep its caller waiting.
 *
 * Whoever serves a file's system is told of each close(2) of a descriptor of it, and may never answer (FUSE_FLUSH); a socket may
 * linger.  A process whose one thread must not wait has such descriptors closed by other threads: a user's one after the other,
 * users beside each other, CLOSER_THREADS of them at a time.  So a file that is stuck holds up those of the same user, and those of
 * others only when as many users have one.
 *
 * What a user has brought that waits to be taken or closed is counted, and bounded by whoever asks closer_room before more is
 * received.
 */
#ifndef TRANSPORT_CLOSER_H
#define TRANSPORT_CLOSER_H

#include <stdbool.h>
#include <stdint.h>

#define CLOSER_THREADS 16
#define CLOSER_USER_MAX                                                                            \
	64 /* descriptors that a user may have waiting before no more are received of them */

struct closer;

/* Whose descriptors they are.  closer NULL: they are closed in place, and nothing is counted. */
struct closer_account {
	struct closer *closer;
	uint32_t uid;
};

/* Threads are started at first need.  0 or -ENOMEM. */
int closer_new(struct closer **ret_closer);

/*
 * Nobody uses it any more.  What waits is still closed, and nobody waits for that: the end of the process may come first.
 * Accepts NULL, returns NULL.
 */
struct closer *closer_free(struct closer *closer);

/* Whether close(2) does not wait for anybody: ordinary memory or a local socket.  Found out without asking a file system. */
bool closer_is_quick(int fd);

/*
 * Takes fd over and has it closed, at once where that is quick.  account NULL: as with no closer.  Does not block; but without
 * memory for the queue, it is closed in place.
 */
void closer_close(const struct closer_account *account, int fd);

/* How many more descriptors may be received of this user now. */
unsigned closer_room(const struct closer_account *account);

/* So many received ones wait to be taken, where there had been `before`. */
void closer_set_received(const struct closer_account *account, unsigned before, unsigned now);

/* How many wait to be closed, those that are being closed included; of all users. */
unsigned closer_waiting(struct closer *closer);

#endif
