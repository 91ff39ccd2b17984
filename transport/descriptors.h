/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * descriptors.h - open descriptors that travel with records over a local socket (SCM_RIGHTS).
 *
 * They leave with the first byte of their record and so arrive before the record is complete.  The receiving side
 * keeps them in order; the record's contents say how many are theirs.  What nobody took when no record is
 * under way is closed at once: a peer cannot fill our table of descriptors by and by.
 */
#ifndef TRANSPORT_DESCRIPTORS_H
#define TRANSPORT_DESCRIPTORS_H

#include <stdint.h>
#include <sys/uio.h>

#include "transport/closer.h"
#include "util/gather.h"
#include "util/list.h"

#define DESCRIPTORS_MAX GATHER_DESCRIPTORS /* that wait to be taken; more at once are an error */

/* Those that arrived, in order.  From all zero. */
struct descriptors {
	unsigned n;
	int fds[DESCRIPTORS_MAX];
};

/*
 * As recvmsg, into iov, and adds what came with it, close-on-exec.  Bytes; or -errno; -EPROTO: more came than may
 * wait, here or of this account, -EMFILE: than this process can have; all are closed then.  account: see closer_close.
 */
ssize_t descriptors_receive(struct descriptors *queue, int fd, struct iovec *iov, size_t n_iov,
    int flags, const struct closer_account *account);

/* The n oldest, which are the caller's from now on.  0, or -EPROTO: there are fewer, and none is taken. */
int descriptors_take(struct descriptors *queue, unsigned n, int *ret_fds);

/* Adds all of `more`, which is left empty.  0, or -EPROTO: they are too many, and all are closed. */
int descriptors_add(struct descriptors *queue, struct descriptors *more);

/* Closes those that wait; the second one as closer_close. */
void descriptors_close(struct descriptors *queue);
void descriptors_close_for(struct descriptors *queue, const struct closer_account *account);

/*
 * One that several have, each with a reference: so it is closed once, and is whose it is.  A duplicate that is closed would be told
 * to the server of its file as well.  Of one thread.
 */
struct shared_descriptor {
	unsigned references;
	int fd;
	struct closer_account account;
};

/* Takes fd over, with one reference.  NULL without memory, and then fd is still the caller's. */
struct shared_descriptor *shared_descriptor_new(int fd, const struct closer_account *account);
struct shared_descriptor *shared_descriptor_ref(struct shared_descriptor *descriptor);
/* Accepts NULL, returns NULL. */
struct shared_descriptor *shared_descriptor_unref(struct shared_descriptor *descriptor);

/* Some on their way out, with a record that begins so many bytes ahead in what is to be sent. */
struct parcel {
	struct list link; /* in the order of their records */
	size_t ahead;
	unsigned n;
	int fds[DESCRIPTORS_MAX];	  /* duplicates of our own, or that of shared */
	struct shared_descriptor *shared; /* NULL, or what the only one is of */
	struct closer_account account;	  /* that duplicates are closed for */
};

/* Duplicates.  0, or -errno. */
int parcel_new(const int *fds, unsigned n, const struct closer_account *account,
    struct parcel **ret_parcel);
/* Takes a reference of its own.  0, or -ENOMEM. */
int parcel_new_shared(struct shared_descriptor *shared, struct parcel **ret_parcel);
/* Accepts NULL, returns NULL. */
struct parcel *parcel_free(struct parcel *parcel);

/* As gather_send, with each parcel at its place; those that have left are freed. */
ssize_t parcels_send(struct list *parcels, struct gather *out, int fd);

#endif
