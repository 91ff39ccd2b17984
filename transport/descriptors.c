/* SPDX-License-Identifier: BSD-3-Clause */
/* descriptors.c - see descriptors.h. */
#include "transport/descriptors.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* --- In ---------------------------------------------------------------------------------------- */

/* False: there is no room for all of them, and those are closed. */
static bool keep(struct descriptors *q, const struct cmsghdr *c,
    const struct closer_account *account)
{
	size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
	int fds[DESCRIPTORS_MAX];

	memcpy(fds, CMSG_DATA(c), n * sizeof(int));
	if (q->n + n <= DESCRIPTORS_MAX) {
		memcpy(q->fds + q->n, fds, n * sizeof(int));
		q->n += (unsigned)n;
		return true;
	}
	for (size_t i = 0; i < n; i++)
		closer_close(account, fds[i]);
	return false;
}

/* Why some were cut off: this process can have no more, or the other side sent more than there was room for. */
static int cut_off(int fd)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

	if (copy < 0)
		return -EMFILE; /* the system has other words for it where the limit is 0 */
	close(copy);
	return -EPROTO;
}

ssize_t descriptors_receive(struct descriptors *q, int fd, struct iovec *iov, size_t n_iov,
    int flags, const struct closer_account *account)
{
	unsigned room = closer_room(account);
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = n_iov,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	bool ok = true;
	ssize_t n;

	/* What finds no room the kernel lets go of, without a close(2). */
	if (room < DESCRIPTORS_MAX)
		msg.msg_controllen = room ? CMSG_LEN(room * sizeof(int)) : 0;
	n = recvmsg(fd, &msg, flags | MSG_CMSG_CLOEXEC);
	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			ok &= keep(q, c, account);
	/* What was cut off never reached us: neither too many, nor those beyond our own limit. */
	if (ok && !(msg.msg_flags & MSG_CTRUNC))
		return n;
	descriptors_close_for(q, account);
	return ok ? cut_off(fd) : -EPROTO;
}

int descriptors_take(struct descriptors *q, unsigned n, int *ret_fds)
{
	if (q->n < n)
		return -EPROTO;
	memcpy(ret_fds, q->fds, n * sizeof(int));
	q->n -= n;
	memmove(q->fds, q->fds + n, q->n * sizeof(int));
	return 0;
}

int descriptors_add(struct descriptors *q, struct descriptors *more)
{
	if (q->n + more->n > DESCRIPTORS_MAX) {
		descriptors_close(q);
		descriptors_close(more);
		return -EPROTO;
	}
	memcpy(q->fds + q->n, more->fds, more->n * sizeof(int));
	q->n += more->n;
	more->n = 0;
	return 0;
}

void descriptors_close(struct descriptors *q)
{
	descriptors_close_for(q, NULL);
}

void descriptors_close_for(struct descriptors *q, const struct closer_account *account)
{
	while (q->n)
		closer_close(account, q->fds[--q->n]);
}

/* --- Shared ------------------------------------------------------------------------------------ */

struct shared_descriptor *shared_descriptor_new(int fd, const struct closer_account *account)
{
	struct shared_descriptor *d = malloc(sizeof(*d));

	if (d)
		*d = (struct shared_descriptor){ 1, fd, *account };
	return d;
}

struct shared_descriptor *shared_descriptor_ref(struct shared_descriptor *d)
{
	d->references++;
	return d;
}

struct shared_descriptor *shared_descriptor_unref(struct shared_descriptor *d)
{
	if (!d || --d->references)
		return NULL;
	closer_close(&d->account, d->fd);
	free(d);
	return NULL;
}

/* --- Out --------------------------------------------------------------------------------------- */

int parcel_new(const int *fds, unsigned n, const struct closer_account *account,
    struct parcel **ret)
{
	struct parcel *p = calloc(1, sizeof(*p));

	assert(n <= DESCRIPTORS_MAX);
	if (!p)
		return -ENOMEM;
	list_init(&p->link);
	p->account = *account;
	for (p->n = 0; p->n < n; p->n++) {
		p->fds[p->n] = fcntl(fds[p->n], F_DUPFD_CLOEXEC, 0);
		if (p->fds[p->n] < 0) {
			int r = -errno;

			parcel_free(p);
			return r;
		}
	}
	*ret = p;
	return 0;
}

int parcel_new_shared(struct shared_descriptor *shared, struct parcel **ret)
{
	struct parcel *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	list_init(&p->link);
	p->shared = shared_descriptor_ref(shared);
	p->fds[0] = shared->fd;
	p->n = 1;
	*ret = p;
	return 0;
}

struct parcel *parcel_free(struct parcel *p)
{
	if (!p)
		return NULL;
	while (p->n && !p->shared)
		closer_close(&p->account, p->fds[--p->n]);
	shared_descriptor_unref(p->shared);
	list_remove(&p->link);
	free(p);
	return NULL;
}

/* So many bytes have left. */
static void advance(struct list *parcels, size_t n)
{
	LIST_FOR_EACH (link, parcels)
		LIST_ENTRY(link, struct parcel, link)->ahead -= n;
}

ssize_t parcels_send(struct list *parcels, struct gather *out, int fd)
{
	ssize_t total = 0;

	while (out->size) {
		struct parcel *p =
		    list_is_empty(parcels) ? NULL : LIST_ENTRY(parcels->next, struct parcel, link);
		bool now = p && p->ahead == 0;
		struct parcel *next = !now || p->link.next == parcels
		    ? NULL
		    : LIST_ENTRY(p->link.next, struct parcel, link);
		size_t limit = !p ? SIZE_MAX : !now ? p->ahead : next ? next->ahead : SIZE_MAX;
		ssize_t n = gather_send_with(out, fd, limit, p ? p->fds : NULL, now ? p->n : 0);

		if (n < 0)
			return total ? total : n;
		total += n;
		if (now && n)
			parcel_free(p);
		advance(parcels, (size_t)n);
		if ((size_t)n < limit)
			break;
	}
	return total;
}
