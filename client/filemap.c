/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * filemap.c - mappings and their views, and telling about named objects of all kinds, over filemap.x.
 *
 * A handle is held by its map and by each view: the name stays as long as any of them.
 */
#include "client/filemap.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/acl.h"
#include "client/error.h"
#include "client/wire.h"
#include "util/clock.h"

#define LEASE_PATIENCE_MS 2000

_Static_assert((int)IPC9_FILEMAP_KIND_MAPPING == IPC9_FILEMAP_MAPPING &&
	(int)IPC9_FILEMAP_KIND_MUTEX == IPC9_FILEMAP_MUTEX &&
	(int)IPC9_FILEMAP_KIND_SEMAPHORE == IPC9_FILEMAP_SEMAPHORE &&
	(int)IPC9_FILEMAP_KIND_EVENT == IPC9_FILEMAP_EVENT,
    "ipc9_filemap.h and filemap.x agree on kinds");
_Static_assert((int)IPC9_FILEMAP_CREATE_NEW == IPC9_FILEMAP_NEW &&
	(int)IPC9_FILEMAP_CREATE_KEEP == IPC9_FILEMAP_KEEP,
    "ipc9_filemap.h and filemap.x agree on flags");

LINK_ASSERT_RESULTS(ipc9_filemap_info_res);
LINK_ASSERT_RESULTS(ipc9_filemap_list_res);

static const struct link_procedure remove_procedure = {
	.number = IPC9_FILEMAPPROC_REMOVE,
	.loss = LINK_LOSS_UNDONE,
	LINK_TYPES(ipc9_name_args, ipc9_void_res),
};
static const struct link_procedure info_procedure = {
	.number = IPC9_FILEMAPPROC_INFO,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_name_args, ipc9_filemap_info_res),
};
static const struct link_procedure list_procedure = {
	.number = IPC9_FILEMAPPROC_LIST,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_list_args, ipc9_filemap_list_res),
};

struct ipc9_filemap {
	_Atomic unsigned refs; /* one of the handle's user, one for each view */
	struct filemap_handle handle;
	enum ipc9_filemap_access access; /* that was asked for; what views may have */
};

struct ipc9_filemap_view {
	struct ipc9_filemap *map; /* a reference */
	void *data;
	size_t size_bytes;
	bool copy;
};

/* --- Access ------------------------------------------------------------------------------------ */

static int check_access(const char *subject, enum ipc9_filemap_access access, struct ipc9_error *e)
{
	if (access == IPC9_FILEMAP_ACCESS_READ || access == IPC9_FILEMAP_ACCESS_WRITE ||
	    access == IPC9_FILEMAP_ACCESS_COPY)
		return 0;
	return error_set(e, IPC9_E_INVALID,
	    "%s: access is %d; there is IPC9_FILEMAP_ACCESS_READ, _WRITE and _COPY", subject,
	    (int)access);
}

static unsigned rights_of(enum ipc9_filemap_access access)
{
	return access == IPC9_FILEMAP_ACCESS_WRITE ? IPC9_FILEMAP_READ | IPC9_FILEMAP_WRITE
						   : IPC9_FILEMAP_READ;
}

/* --- Making and opening ------------------------------------------------------------------------ */

static struct ipc9_filemap *map_new(struct ipc9 *ipc9, const struct target *target,
    enum ipc9_filemap_access access)
{
	struct ipc9_filemap *map = calloc(1, sizeof(*map));

	if (!map)
		return NULL;
	atomic_init(&map->refs, 1);
	filemap_handle_init(&map->handle, ipc9, target);
	map->access = access;
	return map;
}

static void map_unref(struct ipc9_filemap *map)
{
	if (atomic_fetch_sub_explicit(&map->refs, 1, memory_order_acq_rel) > 1)
		return;
	filemap_leave(&map->handle);
	free(map);
}

static int refuse_file(const char *path, int error, const char *what, struct ipc9_error *e)
{
	return error_set(e, error, "%.200s: %s: %s", path, what, strerror(-error));
}

/* Makes the file longer, with room on the disk, or leaves it as it was. */
static int grow(const struct filemap_stuff *stuff, const char *path, uint64_t from, uint64_t to,
    struct ipc9_error *e)
{
	int r;

	if (to > INT64_MAX)
		return refuse_file(path, -EFBIG, "cannot be made so long", e);
	do
		r = posix_fallocate(stuff->write_fd, (off_t)from, (off_t)(to - from));
	while (r == EINTR);
	if (r == 0)
		return 0;
	/* What was written before the disk was full. */
	if (ftruncate(stuff->write_fd, (off_t)from))
		r = errno;
	return refuse_file(path, -r, "cannot be made longer", e);
}

/*
 * A lease is given where nobody else has it open, and makes others wait who open it now, of whom we would be told by a
 * signal: by one that is ignored unless somebody wants it.  The daemon closes what it refused a little after it said so.
 */
static bool take_lease(int fd)
{
	const struct timespec nap = { .tv_nsec = NS_PER_MS };
	int64_t deadline = clock_deadline_ms(LEASE_PATIENCE_MS);

	if (fcntl(fd, F_SETSIG, SIGURG))
		return false;
	while (fcntl(fd, F_SETLEASE, F_WRLCK)) {
		if (errno != EAGAIN || clock_now() >= deadline)
			return false;
		nanosleep(&nap, NULL);
	}
	return true;
}

/*
 * Makes the file as short as it was, unless somebody else has it open: what they mapped, or wrote behind its end, must not go.
 * Whether it did.
 */
static bool shrink(struct filemap_stuff *stuff, uint64_t from, uint64_t to)
{
	int fd = stuff->write_fd;
	struct stat s;
	bool done;

	if (stuff->read_fd >= 0)
		close(stuff->read_fd);
	stuff->read_fd = -1;
	if (!take_lease(fd))
		return false;
	done = !fstat(fd, &s) && (uint64_t)s.st_size == from && !ftruncate(fd, (off_t)to);
	(void)fcntl(fd, F_SETLEASE, F_UNLCK);
	return done;
}

/* Sets the size of args as well, to which the file may have to grow: *ret_there is what it has. */
static int open_file(const struct ipc9_filemap_options *options, enum ipc9_filemap_access access,
    ipc9_filemap_create_args *args, struct filemap_stuff *stuff, uint64_t *ret_there,
    struct ipc9_error *e)
{
	bool writes = access == IPC9_FILEMAP_ACCESS_WRITE;
	/* Without O_NONBLOCK somebody's FIFO would keep us waiting. */
	int fd =
	    open(options->file, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	uint64_t size = options->size_bytes, there;
	struct stat s;

	if (fd < 0)
		return refuse_file(options->file, -errno, "cannot be opened", e);
	*(writes ? &stuff->write_fd : &stuff->read_fd) = fd;
	if (fstat(fd, &s))
		return error_set_own(e, -errno);
	if (!S_ISREG(s.st_mode))
		return error_set(e, IPC9_E_INVALID, "%.200s: only a regular file is mapped",
		    options->file);
	there = (uint64_t)s.st_size;
	args->size_bytes = size ? size : there;
	if (!args->size_bytes)
		return error_set(e, IPC9_E_INVALID,
		    "%.200s: it is empty: there is nothing to map; a size makes it longer",
		    options->file);
	if (size > there && !writes)
		return error_set(e, IPC9_E_INVALID,
		    "%.200s: it has %" PRIu64
		    " bytes; to make it longer it has to be mapped for writing",
		    options->file, there);
	*ret_there = there;
	if (writes) {
		int r = filemap_reopen(stuff);

		return r ? refuse_file(options->file, r, "cannot be opened again for reading", e)
			 : 0;
	}
	return 0;
}

static int remove_name(struct ipc9 *ipc9, const struct target *target, struct ipc9_error *e)
{
	ipc9_name_args args;
	ipc9_void_res res;
	struct link link;
	int r;

	link_init(&link, ipc9, IPC9_PROG_FILEMAP, target, false);
	args.name = link.target.name.object;
	r = link_call(&link, &remove_procedure, &args, &res, context_deadline(ipc9), e);
	link_close(&link);
	if (!r)
		xdr_free(remove_procedure.results, &res);
	return r;
}

/*
 * Pages of what was made and charged: not before, or whoever may not have so much would have taken it for a while
 * all the same.  Who opened it in between has pages when they touch them, as long as there are any.
 */
static int give_pages(struct ipc9_filemap *map, const struct filemap_stuff *stuff,
    struct ipc9_error *e)
{
	struct filemap_handle *h = &map->handle;
	int r = filemap_reserve(h->target.subject, stuff->write_fd, h->size_bytes, e);

	if (!r)
		return 0;
	if (h->flags & IPC9_FILEMAP_KEEP)
		remove_name(h->ipc9, &h->target, NULL);
	filemap_leave(h);
	return r;
}

static int make_memory(struct ipc9_filemap *map, const struct ipc9_filemap_options *options,
    ipc9_filemap_create_args *args, struct filemap_stuff *stuff, struct ipc9_error *e)
{
	int r = filemap_memory(map->handle.target.subject, options->size_bytes, stuff, e);

	if (!r)
		r = filemap_create(&map->handle, args, stuff, e);
	if (!r && !map->handle.existed)
		r = give_pages(map, stuff, e);
	return r;
}

/*
 * The daemon takes no file that is shorter than what is to be mapped, and says so last: the file is not made longer for a name
 * that is there or refused.
 */
static int make_of_file(struct ipc9_filemap *map, const struct ipc9_filemap_options *options,
    ipc9_filemap_create_args *args, struct filemap_stuff *stuff, struct ipc9_error *e)
{
	uint64_t there = 0;
	int r = open_file(options, map->access, args, stuff, &there, e);

	if (r)
		return r;
	r = filemap_create(&map->handle, args, stuff, e);
	if (r != IPC9_E_INVALID || args->size_bytes <= there)
		return r;
	r = grow(stuff, options->file, there, args->size_bytes, e);
	if (r)
		return r;
	r = filemap_create(&map->handle, args, stuff, e);
	if ((r || map->handle.existed) && !shrink(stuff, args->size_bytes, there) && r && e) {
		struct ipc9_error why = *e;

		error_set(e, r, "%.300s; %.150s has been made longer, and stays so", why.text,
		    options->file);
	}
	return r;
}

static int make(struct ipc9_filemap *map, const struct ipc9_filemap_options *options,
    ipc9_filemap_create_args *args, struct ipc9_error *e)
{
	struct filemap_stuff stuff = { -1, -1 };
	int r = options->file ? make_of_file(map, options, args, &stuff, e)
			      : make_memory(map, options, args, &stuff, e);

	filemap_stuff_close(&stuff);
	return r;
}

static int check_options(const char *subject, const struct ipc9_filemap_options *options,
    struct ipc9_error *e)
{
	const unsigned known = IPC9_FILEMAP_CREATE_NEW | IPC9_FILEMAP_CREATE_KEEP;

	if (options->flags & ~known)
		return error_set(e, IPC9_E_INVALID, "%s: there are no flags 0x%x", subject,
		    options->flags & ~known);
	if (!options->file && !options->size_bytes)
		return error_set(e, IPC9_E_INVALID, "%s: neither a size nor a file was given",
		    subject);
	if (!options->file && options->access == IPC9_FILEMAP_ACCESS_COPY)
		return error_set(e, IPC9_E_INVALID,
		    "%s: new memory of which there are only copies is no use to anybody", subject);
	return options->access ? check_access(subject, options->access, e) : 0;
}

static int create(struct ipc9_filemap *map, const struct ipc9_filemap_options *options,
    struct ipc9_error *e)
{
	ipc9_filemap_create_args args = {
		.kind = IPC9_FILEMAP_MAPPING,
		.flags = options->flags | (options->file ? IPC9_FILEMAP_FILE : 0),
		.rights = rights_of(map->access),
		.size_bytes = options->size_bytes,
	};
	const struct link naming = { .target = map->handle.target };
	ipc9_rules rules;
	int r = acl_rules(&naming, options->rules, options->n_rules, &rules, e);

	if (r)
		return r;
	if (options->rules)
		args.rules = &rules;
	/* Memory is not made, nor a file made longer, for a name that is there; but a list has to be compared. */
	if (!(options->flags & IPC9_FILEMAP_CREATE_NEW) && !options->rules) {
		r = filemap_open(&map->handle, IPC9_FILEMAP_MAPPING, args.rights, e);
		if (r != IPC9_E_NOENT)
			return r;
	}
	return make(map, options, &args, e);
}

static int finish(struct ipc9_filemap *map, int r, struct ipc9_filemap **ret)
{
	if (r)
		map_unref(map);
	else
		*ret = map;
	return r;
}

int ipc9_filemap_create(struct ipc9 *ipc9, const char *name,
    const struct ipc9_filemap_options *options, struct ipc9_filemap **ret, struct ipc9_error *e)
{
	static const struct ipc9_filemap_options usual = { .size_bytes = 0 };
	struct ipc9_filemap *map;
	struct target target;
	int r = filemap_target(name, &target, e);

	if (!options)
		options = &usual;
	if (!r)
		r = check_options(target.subject, options, e);
	if (r)
		return r;
	map = map_new(ipc9, &target, options->access ? options->access : IPC9_FILEMAP_ACCESS_WRITE);
	if (!map)
		return error_set_own(e, -ENOMEM);
	return finish(map, create(map, options, e), ret);
}

int ipc9_filemap_open(struct ipc9 *ipc9, const char *name, enum ipc9_filemap_access access,
    struct ipc9_filemap **ret, struct ipc9_error *e)
{
	struct ipc9_filemap *map;
	struct target target;
	int r = filemap_target(name, &target, e);

	if (!r)
		r = check_access(target.subject, access, e);
	if (r)
		return r;
	map = map_new(ipc9, &target, access);
	if (!map)
		return error_set_own(e, -ENOMEM);
	return finish(map, filemap_open(&map->handle, IPC9_FILEMAP_MAPPING, rights_of(access), e),
	    ret);
}

bool ipc9_filemap_existed(const struct ipc9_filemap *map)
{
	return map->handle.existed;
}

uint64_t ipc9_filemap_size_bytes(const struct ipc9_filemap *map)
{
	return map->handle.size_bytes;
}

const struct ipc9_identity *ipc9_filemap_owner(const struct ipc9_filemap *map)
{
	return &map->handle.owner;
}

int ipc9_filemap_fd(const struct ipc9_filemap *map)
{
	return map->handle.fd;
}

struct ipc9_filemap *ipc9_filemap_close(struct ipc9_filemap *map)
{
	if (map)
		map_unref(map);
	return NULL;
}

/* --- Views ------------------------------------------------------------------------------------- */

/* What is left of the map behind offset, if a view may begin there. */
static int check_range(const struct ipc9_filemap *map, uint64_t offset, size_t size,
    size_t *ret_size, struct ipc9_error *e)
{
	const struct filemap_handle *h = &map->handle;
	const char *subject = h->target.subject;
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), length;
	struct stat s;

	if (offset % page)
		return error_set(e, IPC9_E_INVALID,
		    "%s: offset %" PRIu64 " is not a multiple of the page size, %" PRIu64, subject,
		    offset, page);
	if (offset >= h->size_bytes || size > h->size_bytes - offset)
		return error_set(e, IPC9_E_INVALID,
		    "%s: %zu bytes at offset %" PRIu64 " reach beyond its %" PRIu64, subject, size,
		    offset, h->size_bytes);
	length = size ? size : h->size_bytes - offset;
	if (length > PTRDIFF_MAX)
		return error_set(e, IPC9_E_TOOBIG, "%s: so much does not fit this program",
		    subject);
	/* Touching what is not there any more would raise SIGBUS. */
	if (h->flags & IPC9_FILEMAP_FILE &&
	    (fstat(h->fd, &s) || (uint64_t)s.st_size < offset + length))
		return error_set(e, IPC9_E_INVALID,
		    "%s: its file was cut, and does not reach so far any more", subject);
	*ret_size = (size_t)length;
	return 0;
}

static int map_view(struct ipc9_filemap *map, struct ipc9_filemap_view *view,
    enum ipc9_filemap_access access, uint64_t offset, struct ipc9_error *e)
{
	const struct filemap_handle *h = &map->handle;
	bool writes = access == IPC9_FILEMAP_ACCESS_WRITE;

	view->copy = access == IPC9_FILEMAP_ACCESS_COPY;
	view->data =
	    mmap(NULL, view->size_bytes, PROT_READ | (writes || view->copy ? PROT_WRITE : 0),
		view->copy ? MAP_PRIVATE : MAP_SHARED, h->fd, (off_t)offset);
	if (view->data == MAP_FAILED) {
		int r = -errno;

		return error_set(e, r, "%s: cannot map %zu bytes: %s", h->target.subject,
		    view->size_bytes, strerror(-r));
	}
	view->map = map;
	atomic_fetch_add_explicit(&map->refs, 1, memory_order_relaxed);
	return 0;
}

int ipc9_filemap_map(struct ipc9_filemap *map, enum ipc9_filemap_access access, uint64_t offset,
    size_t size_bytes, struct ipc9_filemap_view **ret, struct ipc9_error *e)
{
	const char *subject = map->handle.target.subject;
	struct ipc9_filemap_view *view;
	size_t size = 0;
	int r;

	if (!access)
		access = map->access;
	r = check_access(subject, access, e);
	if (!r && access == IPC9_FILEMAP_ACCESS_WRITE && !map->handle.writable)
		r = error_set(e, IPC9_E_ACCESS, "%s: it was not opened for writing", subject);
	if (!r)
		r = check_range(map, offset, size_bytes, &size, e);
	if (r)
		return r;
	view = calloc(1, sizeof(*view));
	if (!view)
		return error_set_own(e, -ENOMEM);
	view->size_bytes = size;
	r = map_view(map, view, access, offset, e);
	if (r)
		free(view);
	else
		*ret = view;
	return r;
}

void *ipc9_filemap_data(const struct ipc9_filemap_view *view)
{
	return view->data;
}

size_t ipc9_filemap_view_bytes(const struct ipc9_filemap_view *view)
{
	return view->size_bytes;
}

int ipc9_filemap_flush(struct ipc9_filemap_view *view, size_t offset, size_t size,
    struct ipc9_error *e)
{
	const char *subject = view->map->handle.target.subject;
	size_t begin = offset - offset % (size_t)sysconf(_SC_PAGESIZE);

	if (view->copy)
		return error_set(e, IPC9_E_BADSTATE,
		    "%s: the view is a copy: what is written there is nobody else's", subject);
	if (offset > view->size_bytes || size > view->size_bytes - offset)
		return error_set(e, IPC9_E_INVALID,
		    "%s: %zu bytes at %zu reach beyond the view's %zu", subject, size, offset,
		    view->size_bytes);
	if (!size)
		size = view->size_bytes - offset;
	if (msync((char *)view->data + begin, offset - begin + size, MS_SYNC)) {
		int r = -errno;

		return error_set(e, r, "%s: not written to the disk: %s", subject, strerror(-r));
	}
	return 0;
}

struct ipc9_filemap_view *ipc9_filemap_unmap(struct ipc9_filemap_view *view)
{
	if (!view)
		return NULL;
	(void)munmap(view->data, view->size_bytes);
	map_unref(view->map);
	free(view);
	return NULL;
}

/* --- Telling and removing ---------------------------------------------------------------------- */

int ipc9_filemap_remove(struct ipc9 *ipc9, const char *name, struct ipc9_error *e)
{
	struct target target;
	int r = filemap_target(name, &target, e);

	return r ? r : remove_name(ipc9, &target, e);
}

static int copy_info(const ipc9_filemap_state *state, struct ipc9_filemap_info *info)
{
	info->name = wire_text(state->name);
	if (!info->name)
		return -ENOMEM;
	wire_identity(&state->owner, &info->owner);
	info->kind = (enum ipc9_filemap_kind)state->kind;
	info->file = state->flags & IPC9_FILEMAP_FILE;
	info->kept = state->flags & IPC9_FILEMAP_KEEP;
	info->manual = state->flags & IPC9_FILEMAP_MANUAL;
	info->writable = state->rights & IPC9_FILEMAP_WRITE;
	info->size_bytes = state->size_bytes;
	info->maximum = state->maximum;
	info->holders = state->holders;
	info->created_us = state->created_us;
	return 0;
}

static int add_objects(struct ipc9_filemap_listing *listing, const ipc9_filemap_state *states,
    size_t n)
{
	void *array = listing->objects;
	int r = wire_grow(&array, listing->n_objects, n, sizeof(listing->objects[0]));

	if (r)
		return r;
	listing->objects = array;
	for (size_t i = 0; i < n && !r; i++)
		r = copy_info(&states[i], &listing->objects[listing->n_objects++]);
	return r;
}

static int take_page(void *listing, const void *results, struct link_page *ret)
{
	const ipc9_filemap_list_res *res = results;
	const ipc9_filemap_list_ok *ok = &res->ipc9_filemap_list_res_u.ok;

	ret->n = ok->objects.objects_len;
	ret->more = ok->more;
	ret->last = ret->n ? ok->objects.objects_val[ret->n - 1].name : NULL;
	return add_objects(listing, ok->objects.objects_val, ret->n);
}

static int list_all(struct link *link, struct ipc9_filemap_listing *listing, struct ipc9_error *e)
{
	ipc9_filemap_list_res res;

	return link_list(link, &list_procedure, &res, take_page, listing, e);
}

static int tell_one(struct link *link, struct ipc9_filemap_listing *listing, struct ipc9_error *e)
{
	ipc9_name_args args = { .name = link->target.name.object };
	ipc9_filemap_info_res res;
	int r = link_call(link, &info_procedure, &args, &res, context_deadline(link->ipc9), e);

	if (r)
		return r;
	r = add_objects(listing, &res.ipc9_filemap_info_res_u.state, 1);
	xdr_free(info_procedure.results, &res);
	return r ? error_set_own(e, r) : 0;
}

static int tell(struct ipc9 *ipc9, const struct target *target,
    int (*ask)(struct link *, struct ipc9_filemap_listing *, struct ipc9_error *),
    struct ipc9_filemap_listing **ret, struct ipc9_error *e)
{
	struct ipc9_filemap_listing *listing = calloc(1, sizeof(*listing));
	struct link link;
	int r;

	if (!listing)
		return error_set_own(e, -ENOMEM);
	link_init(&link, ipc9, IPC9_PROG_FILEMAP, target, false);
	r = ask(&link, listing, e);
	link_close(&link);
	if (r) {
		ipc9_filemap_listing_free(listing);
		return r;
	}
	*ret = listing;
	return 0;
}

int ipc9_filemap_info(struct ipc9 *ipc9, const char *name, struct ipc9_filemap_listing **ret,
    struct ipc9_error *e)
{
	struct target target;
	int r = filemap_target(name, &target, e);

	return r ? r : tell(ipc9, &target, tell_one, ret, e);
}

int ipc9_filemap_list(struct ipc9 *ipc9, struct ipc9_filemap_listing **ret, struct ipc9_error *e)
{
	struct target target;
	int r = target_host(NULL, "filemap", &target, e);

	return r ? r : tell(ipc9, &target, list_all, ret, e);
}

struct ipc9_filemap_listing *ipc9_filemap_listing_free(struct ipc9_filemap_listing *listing)
{
	if (!listing)
		return NULL;
	for (size_t i = 0; i < listing->n_objects; i++)
		wire_text_free(listing->objects[i].name);
	free(listing->objects);
	free(listing);
	return NULL;
}
