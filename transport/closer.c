/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * closer.c - see closer.h.
 *
 * `lock` guards everything; n_users is looked at without it, by the thread that makes users: 0 is what it finds before each receive
 * when there is nothing to count.
 *
 * 1. A user is there as long as something of theirs is counted.
 * 2. A user is in `ready` exactly while they have something in their queue and no thread closes anything of theirs.
 * 3. The struct is freed by whoever gives back the last reference: its owner has one, and each thread.
 */
#include "transport/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/list.h"

#define STACK_BYTES (256u << 10)

struct user {
	struct list link;  /* in users */
	struct list ready; /* in the closer's ready */
	struct list queue;
	uint32_t uid;
	unsigned received, waiting;
	bool busy; /* a thread closes one of theirs */
};

struct item {
	struct list link;
	int fd;
};

struct closer {
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list users, ready;
	_Atomic unsigned n_users;
	unsigned references, threads, idle, n_ready, waiting;
	bool stopping;
};

/* --- Users ------------------------------------------------------------------------------------- */

static struct user *find_user(struct closer *c, uint32_t uid)
{
	LIST_FOR_EACH (link, &c->users) {
		struct user *u = LIST_ENTRY(link, struct user, link);

		if (u->uid == uid)
			return u;
	}
	return NULL;
}

/* NULL without memory. */
static struct user *need_user(struct closer *c, uint32_t uid)
{
	struct user *u = find_user(c, uid);

	if (u)
		return u;
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->uid = uid;
	list_init(&u->ready);
	list_init(&u->queue);
	list_append(&c->users, &u->link);
	atomic_fetch_add_explicit(&c->n_users, 1, memory_order_relaxed);
	return u;
}

static void put_user(struct closer *c, struct user *u)
{
	if (u->received || u->waiting)
		return;
	list_remove(&u->link);
	atomic_fetch_sub_explicit(&c->n_users, 1, memory_order_relaxed);
	free(u);
}

static void set_ready(struct closer *c, struct user *u)
{
	if (u->busy || list_is_empty(&u->queue) || !list_is_empty(&u->ready))
		return;
	list_append(&c->ready, &u->ready);
	c->n_ready++;
}

/* --- Threads ----------------------------------------------------------------------------------- */

/* Unlocks. */
static void put_reference(struct closer *c)
{
	bool last = --c->references == 0;

	pthread_mutex_unlock(&c->lock);
	if (!last)
		return;
	/* Only where no thread could be started: what is left ends with the process. */
	LIST_FOR_EACH (link, &c->users) {
		struct user *u = LIST_ENTRY(link, struct user, link);

		LIST_FOR_EACH (waiting, &u->queue)
			free(LIST_ENTRY(waiting, struct item, link));
		free(u);
	}
	pthread_cond_destroy(&c->wake);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

static void close_one(struct closer *c)
{
	struct user *u = LIST_ENTRY(c->ready.next, struct user, ready);
	struct item *item = LIST_ENTRY(u->queue.next, struct item, link);

	list_remove(&u->ready);
	c->n_ready--;
	list_remove(&item->link);
	u->busy = true;
	pthread_mutex_unlock(&c->lock);
	close(item->fd);
	free(item);
	pthread_mutex_lock(&c->lock);
	u->busy = false;
	u->waiting--;
	c->waiting--;
	set_ready(c, u);
	put_user(c, u);
}

static void *run(void *context)
{
	struct closer *c = context;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		if (!list_is_empty(&c->ready)) {
			close_one(c);
			continue;
		}
		if (c->stopping)
			break;
		c->idle++;
		pthread_cond_wait(&c->wake, &c->lock);
		c->idle--;
	}
	c->threads--;
	put_reference(c);
	return NULL;
}

/* Without one, what waits is closed by those that there are, or when one can be started. */
static void start_thread(struct closer *c)
{
	sigset_t all, before;
	pthread_attr_t attributes;
	pthread_t thread;

	if (pthread_attr_init(&attributes))
		return;
	(void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	(void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	if (!pthread_create(&thread, &attributes, run, c)) {
		c->threads++;
		c->references++;
	}
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	(void)pthread_attr_destroy(&attributes);
}

static void rouse(struct closer *c)
{
	if (c->n_ready > c->idle && c->threads < CLOSER_THREADS)
		start_thread(c);
	pthread_cond_signal(&c->wake);
}

/* --- Use --------------------------------------------------------------------------------------- */

int closer_new(struct closer **ret)
{
	struct closer *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->wake, NULL);
	list_init(&c->users);
	list_init(&c->ready);
	c->references = 1;
	*ret = c;
	return 0;
}

struct closer *closer_free(struct closer *c)
{
	if (!c)
		return NULL;
	pthread_mutex_lock(&c->lock);
	c->stopping = true;
	pthread_cond_broadcast(&c->wake);
	put_reference(c);
	return NULL;
}

bool closer_is_quick(int fd)
{
	int domain;
	socklen_t size = sizeof(domain);

	if (fcntl(fd, F_GET_SEALS) >= 0)
		return true;
	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &size) && domain == AF_UNIX;
}

static bool enqueue(struct closer *c, uint32_t uid, int fd)
{
	struct item *item = malloc(sizeof(*item));
	struct user *u;

	if (!item)
		return false;
	item->fd = fd;
	pthread_mutex_lock(&c->lock);
	u = need_user(c, uid);
	if (u) {
		list_append(&u->queue, &item->link);
		u->waiting++;
		c->waiting++;
		set_ready(c, u);
		rouse(c);
	}
	pthread_mutex_unlock(&c->lock);
	if (!u)
		free(item);
	return u != NULL;
}

void closer_close(const struct closer_account *a, int fd)
{
	if (!a || !a->closer || closer_is_quick(fd) || !enqueue(a->closer, a->uid, fd))
		close(fd);
}

unsigned closer_room(const struct closer_account *a)
{
	const struct user *u;
	unsigned used = 0;

	if (!a || !a->closer || !atomic_load_explicit(&a->closer->n_users, memory_order_relaxed))
		return CLOSER_USER_MAX;
	pthread_mutex_lock(&a->closer->lock);
	u = find_user(a->closer, a->uid);
	if (u)
		used = u->received + u->waiting;
	pthread_mutex_unlock(&a->closer->lock);
	return used < CLOSER_USER_MAX ? CLOSER_USER_MAX - used : 0;
}

void closer_set_received(const struct closer_account *a, unsigned before, unsigned now)
{
	struct user *u;

	if (!a || !a->closer || before == now)
		return;
	pthread_mutex_lock(&a->closer->lock);
	u = need_user(a->closer, a->uid);
	if (u) {
		/* Those that came while there was no memory for it were not counted. */
		u->received = u->received + now > before ? u->received + now - before : 0;
		put_user(a->closer, u);
	}
	pthread_mutex_unlock(&a->closer->lock);
}

unsigned closer_waiting(struct closer *c)
{
	unsigned n;

	pthread_mutex_lock(&c->lock);
	n = c->waiting;
	pthread_mutex_unlock(&c->lock);
	return n;
}
