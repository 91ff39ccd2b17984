/* SPDX-License-Identifier: BSD-3-Clause */
/* filemap_handle.c - see filemap.h. */
#include "client/filemap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "client/error.h"
#include "client/wire.h"
#include "transport/descriptors.h"
#include "util/clock.h"
#include "util/text.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U
#endif

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

#define RESERVE_STEP (UINT64_C(64) << 20)

LINK_ASSERT_RESULTS(ipc9_filemap_open_res);

static const struct link_procedure create_procedure = {
	.number = IPC9_FILEMAPPROC_CREATE,
	.loss = LINK_LOSS_UNDONE,
	LINK_TYPES(ipc9_filemap_create_args, ipc9_filemap_open_res),
};
static const struct link_procedure open_procedure = {
	.number = IPC9_FILEMAPPROC_OPEN,
	.loss = LINK_LOSS_UNDONE,
	LINK_TYPES(ipc9_filemap_open_args, ipc9_filemap_open_res),
};
static const struct link_procedure close_procedure = {
	.number = IPC9_FILEMAPPROC_CLOSE,
	.loss = LINK_LOSS_LOST,
	LINK_TYPES(ipc9_handle_args, ipc9_void_res),
};

/* --- The connection ---------------------------------------------------------------------------- */

/*
 * A daemon that is late does not cost the names that others hold by this connection: it is given up only where it is lost,
 * or has no handle.  What is late ends up as if it had been in time and was closed at once.
 */
struct filemap_way {
	_Atomic unsigned refs; /* the context's, each handle's, and those of exchanges under way */
	pthread_mutex_t lock;  /* held for an exchange */
	struct link link;      /* its target is that of the exchange */
	struct link_late exchange, closing; /* CREATE or OPEN; CLOSE */
	ipc9_handle *unsent;		    /* to be closed, as soon as there is room to say so */
	size_t n_unsent;
};

static struct filemap_way *way_new(const struct filemap_handle *h)
{
	struct filemap_way *way = calloc(1, sizeof(*way));

	if (!way)
		return NULL;
	atomic_init(&way->refs, 1);
	pthread_mutex_init(&way->lock, NULL);
	link_init(&way->link, h->ipc9, IPC9_PROG_FILEMAP, &h->target, true);
	return way;
}

static struct filemap_way *way_ref(struct filemap_way *way)
{
	atomic_fetch_add_explicit(&way->refs, 1, memory_order_relaxed);
	return way;
}

void filemap_way_unref(struct filemap_way *way)
{
	if (!way || atomic_fetch_sub_explicit(&way->refs, 1, memory_order_acq_rel) > 1)
		return;
	link_late_forget(&way->link, &way->exchange);
	link_late_forget(&way->link, &way->closing);
	link_close(&way->link);
	pthread_mutex_destroy(&way->lock);
	free(way->unsent);
	free(way);
}

/*
 * The context's, or another in its place where that is `dead`; with a reference.  NULL without memory.
 */
static struct filemap_way *way_get(const struct filemap_handle *h, const struct filemap_way *dead)
{
	struct ipc9 *c = h->ipc9;
	struct filemap_way *way = NULL, *old = NULL;

	pthread_mutex_lock(&c->lock);
	if (!c->filemap || c->filemap == dead) {
		old = c->filemap;
		c->filemap = way_new(h);
	}
	if (c->filemap)
		way = way_ref(c->filemap);
	pthread_mutex_unlock(&c->lock);
	filemap_way_unref(old);
	return way;
}

/* Whether a connection that was there has ended; with its lock held. */
static bool is_dead(const struct filemap_way *way)
{
	return way->link.channel && !channel_is_alive(way->link.channel);
}

/* --- Closing; with the lock of a way that is not dead -------------------------------------------- */

/* Has the daemon close one, and does not wait for it.  False: the connection is full, or was lost. */
static bool send_close(struct filemap_way *way, ipc9_handle id)
{
	ipc9_handle_args args = { id };
	struct link_late close = { .under_way = false };
	struct link_try try;

	if (!link_late_send(&way->link, &close, &close_procedure, &args, clock_now(), &try))
		return false;
	link_late_forget(&way->link, &close);
	return true;
}

static void send_unsent(struct filemap_way *way)
{
	while (way->n_unsent && send_close(way, way->unsent[way->n_unsent - 1]))
		way->n_unsent--;
}

/* Without memory it stays open as long as the connection. */
static void close_later(struct filemap_way *way, ipc9_handle id)
{
	ipc9_handle *ids;

	if (send_close(way, id))
		return;
	ids = realloc(way->unsent, (way->n_unsent + 1) * sizeof(*ids));
	if (!ids)
		return;
	way->unsent = ids;
	way->unsent[way->n_unsent++] = id;
}

static void close_handle(struct filemap_way *way, ipc9_handle id)
{
	int64_t deadline = link_close_deadline(&way->link);
	struct link_late *late = &way->closing;
	ipc9_handle_args args = { id };
	ipc9_void_res res;
	struct link_try try;

	/* A daemon that does not answer costs that time once, and not for each of many handles. */
	if (late->under_way) {
		if (!link_late_wait(&way->link, late, &close_procedure, &res, clock_now(), &try)) {
			close_later(way, id);
			return;
		}
		xdr_free(close_procedure.results, &res);
	}
	send_unsent(way);
	/* The name must be free when we return, if it was ours alone. */
	if (!link_late_send(&way->link, late, &close_procedure, &args, deadline, &try))
		close_later(way, id);
	else if (link_late_wait(&way->link, late, &close_procedure, &res, deadline, &try))
		xdr_free(close_procedure.results, &res);
}

/* --- Exchanges --------------------------------------------------------------------------------- */

static int take_answer(struct filemap_handle *h, const ipc9_filemap_open_ok *ok,
    const struct descriptors *taken, struct ipc9_error *e)
{
	if (taken->n != 1)
		return error_set(e, IPC9_E_MISMATCH, "%s: %s sent %u descriptors instead of one",
		    h->target.subject, h->target.who, taken->n);
	h->id = ok->handle;
	h->existed = ok->flags & IPC9_FILEMAP_EXISTED;
	h->flags = ok->state.flags;
	h->maximum = ok->state.maximum;
	h->size_bytes = ok->state.size_bytes;
	h->fd = taken->fds[0];
	h->writable = (fcntl(h->fd, F_GETFL) & O_ACCMODE) == O_RDWR;
	wire_identity(&ok->state.owner, &h->owner);
	return 0;
}

/* Descriptors that go with a call. */
struct filemap_gift {
	const int *fds;
	unsigned n;
};

/* Takes in the answer of the exchange before, if that was late, and gives back what it brought.  False: it is late still. */
static bool settle(struct filemap_way *way, int64_t deadline, struct link_try *ret)
{
	struct link_late *late = &way->exchange;
	ipc9_filemap_open_res res;

	if (late->under_way) {
		if (!link_late_wait(&way->link, late, &open_procedure, &res, deadline, ret))
			return false;
		descriptors_close(&late->parcels.taken);
		if (ret->stat == RPC_SUCCESS && res.status == IPC9_STATUS_OK)
			close_later(way, res.ipc9_filemap_open_res_u.ok.handle);
		xdr_free(open_procedure.results, &res);
	}
	send_unsent(way);
	return true;
}

static void try_exchange(struct filemap_way *way, const struct link_procedure *p, void *args,
    const struct filemap_gift *gift, int64_t deadline, ipc9_filemap_open_res *res,
    struct link_try *ret)
{
	struct link_late *late = &way->exchange;

	memset(res, 0, sizeof(*res));
	if (!settle(way, deadline, ret))
		return;
	late->parcels.give = gift->fds;
	late->parcels.n_give = gift->n;
	if (!link_late_send(&way->link, late, p, args, deadline, ret) ||
	    link_late_wait(&way->link, late, p, res, deadline, ret))
		return;
	/* Nobody holds anything by it: what was asked for is undone with the connection. */
	if (atomic_load_explicit(&way->refs, memory_order_relaxed) <= 2)
		channel_abort(way->link.channel);
}

/* One exchange over a connection that is not known to be dead; *ret_dead: it was. */
static int exchange_once(struct filemap_handle *h, struct filemap_way *way,
    const struct link_procedure *p, void *args, const struct filemap_gift *gift, bool *ret_dead,
    struct ipc9_error *e)
{
	int64_t deadline = context_deadline(h->ipc9);
	ipc9_filemap_open_res res;
	struct link_try try;
	bool used;
	int r;

	pthread_mutex_lock(&way->lock);
	used = way->link.channel != NULL;
	*ret_dead = is_dead(way);
	way->link.target = h->target;
	r = *ret_dead ? IPC9_E_NODAEMON : link_open(&way->link, deadline, e);
	if (!r) {
		try_exchange(way, p, args, gift, deadline, &res, &try);
		*ret_dead = used && link_was_lost(&try);
		r = link_explain(&way->link, p, &try, &res, e);
	}
	if (!r) {
		r = take_answer(h, &res.ipc9_filemap_open_res_u.ok, &way->exchange.parcels.taken,
		    e);
		xdr_free(p->results, &res);
	}
	if (r && !way->exchange.under_way)
		descriptors_close(&way->exchange.parcels.taken);
	pthread_mutex_unlock(&way->lock);
	return r;
}

/* A second try goes over a new connection: what was done over one that is lost was undone with it. */
static int exchange(struct filemap_handle *h, const struct link_procedure *p, void *args,
    const struct filemap_gift *gift, struct ipc9_error *e)
{
	struct filemap_way *way = way_get(h, NULL);
	bool dead;
	int r;

	if (!way)
		return error_set_own(e, -ENOMEM);
	r = exchange_once(h, way, p, args, gift, &dead, e);
	if (dead) {
		struct filemap_way *next = way_get(h, way);

		filemap_way_unref(way);
		way = next;
		r = way ? exchange_once(h, way, p, args, gift, &dead, e)
			: error_set_own(e, -ENOMEM);
	}
	if (r)
		filemap_way_unref(way);
	else
		h->way = way;
	return r;
}

/* What everybody relies on who uses memory that came from others. */
static int check_memory(struct filemap_handle *h, struct ipc9_error *e)
{
	struct statfs system;
	struct stat s;
	int seals;

	if (h->flags & IPC9_FILEMAP_FILE)
		return 0;
	seals = fcntl(h->fd, F_GET_SEALS);
	/* Large pages may raise SIGBUS. */
	if (!fstat(h->fd, &s) && (uint64_t)s.st_size == h->size_bytes && seals >= 0 &&
	    (seals & SEALS) == SEALS && !fstatfs(h->fd, &system) &&
	    (unsigned long)system.f_type == TMPFS_MAGIC)
		return 0;
	filemap_leave(h);
	return error_set(e, IPC9_E_MISMATCH,
	    "%s: %s sent memory that is not sealed, or of another size", h->target.subject,
	    h->target.who);
}

int filemap_create(struct filemap_handle *h, ipc9_filemap_create_args *args,
    const struct filemap_stuff *stuff, struct ipc9_error *e)
{
	const int fds[2] = { stuff->write_fd, stuff->read_fd };
	bool both = stuff->write_fd >= 0;
	const struct filemap_gift gift = { both ? fds : fds + 1, both ? 2 : 1 };
	int r;

	args->name = h->target.name.object;
	args->descriptors = gift.n;
	r = exchange(h, &create_procedure, args, &gift, e);
	return r ? r : check_memory(h, e);
}

int filemap_open(struct filemap_handle *h, int kind, unsigned rights, struct ipc9_error *e)
{
	ipc9_filemap_open_args args = { h->target.name.object, kind, rights };
	const struct filemap_gift none = { NULL, 0 };
	int r = exchange(h, &open_procedure, &args, &none, e);

	return r ? r : check_memory(h, e);
}

void filemap_leave(struct filemap_handle *h)
{
	if (h->way) {
		pthread_mutex_lock(&h->way->lock);
		if (!is_dead(h->way))
			close_handle(h->way, h->id);
		pthread_mutex_unlock(&h->way->lock);
	}
	filemap_way_unref(h->way);
	h->way = NULL;
	if (h->fd >= 0)
		close(h->fd);
	h->fd = -1;
}

/* --- Names ------------------------------------------------------------------------------------- */

int filemap_target(const char *name, struct target *ret, struct ipc9_error *e)
{
	int r = target_object(name, "filemap", ret, e);

	if (r || ret->local)
		return r;
	return error_set(e, IPC9_E_UNSUPPORTED,
	    "%s: memory is local only: two hosts do not share any; copy it there, by a pipe for example",
	    ret->subject);
}

void filemap_handle_init(struct filemap_handle *h, struct ipc9 *ipc9, const struct target *target)
{
	memset(h, 0, sizeof(*h));
	h->ipc9 = ipc9;
	h->target = *target;
	h->fd = -1;
}

/* --- Memory ------------------------------------------------------------------------------------ */

void filemap_stuff_close(struct filemap_stuff *stuff)
{
	if (stuff->write_fd >= 0)
		close(stuff->write_fd);
	if (stuff->read_fd >= 0)
		close(stuff->read_fd);
	*stuff = (struct filemap_stuff){ -1, -1 };
}

int filemap_reopen(struct filemap_stuff *stuff)
{
	char path[64];

	text_format(path, sizeof(path), "/proc/self/fd/%d", stuff->write_fd);
	stuff->read_fd = open(path, O_RDONLY | O_CLOEXEC);
	return stuff->read_fd < 0 ? -errno : 0;
}

int filemap_memory(const char *subject, uint64_t size_bytes, struct filemap_stuff *ret,
    struct ipc9_error *e)
{
	struct filemap_stuff stuff = { -1, -1 };
	const unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int r = size_bytes > INT64_MAX ? -EFBIG : 0;

	if (!r) {
		stuff.write_fd = memfd_create("ipc9", flags | MFD_NOEXEC_SEAL);
		if (stuff.write_fd < 0 && errno == EINVAL) /* an older kernel */
			stuff.write_fd = memfd_create("ipc9", flags);
		/*
		 * Others get no descriptor but ours, and whoever gets one for reading cannot open it for writing.  Its
		 * length alone takes no memory.
		 */
		if (stuff.write_fd < 0 || fchmod(stuff.write_fd, 0600) ||
		    ftruncate(stuff.write_fd, (off_t)size_bytes) ||
		    fcntl(stuff.write_fd, F_ADD_SEALS, SEALS))
			r = -errno;
	}
	if (!r)
		r = filemap_reopen(&stuff);
	if (r) {
		filemap_stuff_close(&stuff);
		return error_set(e, r, "%s: cannot make memory of %" PRIu64 " bytes: %s", subject,
		    size_bytes, strerror(-r));
	}
	*ret = stuff;
	return 0;
}

/* The number behind a word of /proc/meminfo, which is in KiB; 0: it is not there. */
static uint64_t number_of(const char *text, const char *word)
{
	const char *at = strstr(text, word);

	return at ? strtoull(at + strlen(word), NULL, 10) * 1024 : 0;
}

/* How much memory, with room for it on disk, the host has; UINT64_MAX where it does not tell. */
static uint64_t available_bytes(void)
{
	char text[4096];
	int fd = open("/proc/meminfo", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	if (!strstr(text, "MemAvailable:"))
		return UINT64_MAX;
	return number_of(text, "MemAvailable:") + number_of(text, "SwapFree:");
}

int filemap_reserve(const char *subject, int fd, uint64_t size, struct ipc9_error *e)
{
	/* In steps, because the kernel never refuses: it kills, when several do this at a time. */
	for (uint64_t done = 0, step; done < size; done += step) {
		uint64_t left = size - done, available = available_bytes();
		int r;

		if (left > available)
			return error_set(e, -ENOMEM,
			    "%s: cannot reserve %" PRIu64
			    " bytes of memory: this host has only %" PRIu64 " to spare",
			    subject, size, done + available);
		step = left < RESERVE_STEP ? left : RESERVE_STEP;
		do
			r = fallocate(fd, 0, (off_t)done, (off_t)step) ? -errno : 0;
		while (r == -EINTR);
		if (r)
			return error_set(e, r, "%s: cannot reserve %" PRIu64 " bytes of memory: %s",
			    subject, size, strerror(-r));
	}
	return 0;
}
