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
static bool keep(struct descriptors *q, const struct cmsghdr *c)
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
		close(fds[i]);
	return false;
}

ssize_t descriptors_receive(struct descriptors *q, int fd, struct iovec *iov, size_t n_iov,
    int flags)
{
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
	struct msghdr msg = {
		.msg_iov = iov,
		.msg_iovlen = n_iov,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(fd, &msg, flags | MSG_CMSG_CLOEXEC);
	bool ok = true;

	if (n < 0)
		return -errno;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
			ok &= keep(q, c);
	/* What was cut off never reached us: neither too many, nor those beyond our own limit. */
	if (ok && !(msg.msg_flags & MSG_CTRUNC))
		return n;
	descriptors_close(q);
	return -EPROTO;
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
	while (q->n)
		close(q->fds[--q->n]);
}

/* --- Out --------------------------------------------------------------------------------------- */

int parcel_new(const int *fds, unsigned n, struct parcel **ret)
{
	struct parcel *p = malloc(sizeof(*p));

	assert(n <= DESCRIPTORS_MAX);
	if (!p)
		return -ENOMEM;
	list_init(&p->link);
	p->ahead = 0;
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

struct parcel *parcel_free(struct parcel *p)
{
	if (!p)
		return NULL;
	while (p->n)
		close(p->fds[--p->n]);
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
