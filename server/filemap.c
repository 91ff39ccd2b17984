/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * filemap.c - named memory, mapped files, and the objects that programs synchronize by, over filemap.x.
 *
 * 1. An object is in the map of names, or was removed; then it has no descriptors any more, and is there for the sake of
 *    its holds alone.
 * 2. An object is there as long as it has a hold, or has its name and KEEP.
 * 3. Memory comes from whoever makes the object: they reserve its pages, which takes time that a daemon of one thread does
 *    not have, and it is their memory in the eyes of the kernel.  The seals are what everybody else relies on: what is here
 *    neither shrinks nor grows, and who gets the descriptor for reading cannot open the memory for writing, as that takes
 *    its owner's rights (0600).
 * 4. An object is charged to whoever made it until its last hold ends, a hold to whoever has it.
 */
#include "rpcgen-out/filemap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "server/daemon.h"
#include "server/named.h"
#include "transport/descriptors.h"
#include "util/clock.h"
#include "util/map.h"
#include "util/name.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)
#define SEALS_MAX                                                                                  \
	(SEALS | F_SEAL_EXEC) /* others would take from writers what they are told they have */
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

#define CREATE_FLAGS                                                                               \
	(IPC9_FILEMAP_NEW | IPC9_FILEMAP_KEEP | IPC9_FILEMAP_FILE | IPC9_FILEMAP_MANUAL)
#define STATE_FLAGS (IPC9_FILEMAP_KEEP | IPC9_FILEMAP_FILE | IPC9_FILEMAP_MANUAL)

/* What an object is made of: for reading and writing (or -1), and for reading alone. */
struct descriptor_pair {
	int write_fd, read_fd;
};

struct shared {
	struct named named;
	struct filemaps *all;
	bool is_named; /* in the map */
	int kind;
	uint32_t flags; /* KEEP, FILE, MANUAL */
	uint64_t size;
	uint32_t maximum;
	struct shared_descriptor *write, *read; /* write may be NULL */
	uint64_t created_us;
	struct caller owner;
	uint32_t n_holds;
	struct charge charge, bytes, descriptors;
};

/* One handle. */
struct hold {
	UT_hash_handle hh;
	uint64_t id;
	struct shared *object;
	struct connection *connection;
	struct connection_watch watch;
	struct charge charge;
};

struct filemaps {
	struct named_map names;
	struct hold *holds;
	uint64_t next_id, n_objects; /* those without a name too */
};

/* --- Descriptors ------------------------------------------------------------------------------- */

/* Whose descriptors these are: closing them may wait for whoever serves their files. */
static struct closer_account account_of(const struct request *r)
{
	return (struct closer_account){ r->daemon->closer, r->caller.uid };
}

static void pair_close(const struct request *r, const struct descriptor_pair *fds)
{
	const struct closer_account account = account_of(r);

	if (fds->write_fd >= 0)
		closer_close(&account, fds->write_fd);
	if (fds->read_fd >= 0)
		closer_close(&account, fds->read_fd);
}

/* Takes what came with the call; ends the request where that is less than was said. */
static bool pair_take(struct request *r, unsigned n, struct descriptor_pair *ret)
{
	int fds[2];

	if (!request_take_descriptors(r, n, fds))
		return false;
	ret->write_fd = n == 2 ? fds[0] : -1;
	ret->read_fd = fds[n - 1];
	return true;
}

static bool has_mode(int fd, int mode)
{
	int flags = fcntl(fd, F_GETFL);

	return flags >= 0 && !(flags & O_PATH) && (flags & O_ACCMODE) == mode;
}

/* What the host knows of it: a server of files, which may be anybody's, is not asked, and so does not keep us waiting. */
static bool look_at(int fd, struct statx *ret)
{
	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_BASIC_STATS, ret) == 0;
}

static bool is_one_file(const struct statx *a, const struct statx *b)
{
	return a->stx_ino == b->stx_ino && a->stx_dev_major == b->stx_dev_major &&
	    a->stx_dev_minor == b->stx_dev_minor;
}

/* What is wrong with it as memory, or NULL. */
static const char *memory_check(int fd, const struct statx *file, uint64_t size)
{
	int seals = fcntl(fd, F_GET_SEALS);
	struct statfs system;

	if (seals < 0 || (seals & SEALS) != SEALS || seals & ~SEALS_MAX)
		return "memory is a memfd with the seals SHRINK, GROW and SEAL and no other";
	/* Of those that have seals: large pages are not taken when they are touched, but raise SIGBUS. */
	if (fstatfs(fd, &system) || (unsigned long)system.f_type != TMPFS_MAGIC)
		return "memory is a memfd of ordinary pages";
	if (file->stx_size != size)
		return "the memory has another size";
	return file->stx_mode & 077 ? "the memory's mode has to be 0600" : NULL;
}

/* What is wrong with them, or NULL. */
static const char *pair_check(const struct descriptor_pair *fds, const ipc9_filemap_create_args *a)
{
	struct statx one, other;

	if (!has_mode(fds->read_fd, O_RDONLY) ||
	    (fds->write_fd >= 0 && !has_mode(fds->write_fd, O_RDWR)))
		return "a descriptor is not open in the way it should be";
	if (!look_at(fds->read_fd, &one) || !S_ISREG(one.stx_mode))
		return "it is no regular file";
	if (fds->write_fd >= 0 && (!look_at(fds->write_fd, &other) || !is_one_file(&one, &other)))
		return "the two descriptors are not of one file";
	if (one.stx_size < a->size_bytes)
		return "the file is shorter than what is to be mapped";
	return a->flags & IPC9_FILEMAP_FILE ? NULL
					    : memory_check(fds->read_fd, &one, a->size_bytes);
}

/* --- Objects ----------------------------------------------------------------------------------- */

static struct shared *find_shared(const struct request *r, const char *name)
{
	const struct filemaps *all = r->state;

	return (struct shared *)(void *)named_find_for(r, &all->names, name);
}

static struct named *find_named(struct request *r, void *state, const char *name)
{
	const struct filemaps *all = state;

	(void)r;
	return named_find(&all->names, name);
}

/* The name is free again; who holds the object keeps it. */
static void take_name(struct shared *s)
{
	if (!s->is_named)
		return;
	named_remove(&s->all->names, &s->named);
	s->is_named = false;
	s->write = shared_descriptor_unref(s->write);
	s->read = shared_descriptor_unref(s->read);
	charge_release(&s->descriptors);
}

/* Lets it go unless somebody has it still. */
static void shared_put(struct shared *s)
{
	if (s->n_holds || (s->is_named && s->flags & IPC9_FILEMAP_KEEP))
		return;
	take_name(s);
	s->all->n_objects--;
	charge_release(&s->bytes);
	charge_release(&s->charge);
	free(s);
}

/* 0; or it ends the request. */
static int charge_all(struct request *r, struct shared *s)
{
	const struct {
		enum quota_resource resource;
		uint64_t amount;
		struct charge *charge;
	} needs[] = {
		{ QUOTA_OBJECTS, 1, &s->charge },
		{ QUOTA_BYTES, s->flags & IPC9_FILEMAP_FILE ? 0 : s->size, &s->bytes },
		{ QUOTA_DESCRIPTORS, s->write ? 2 : 1, &s->descriptors },
	};

	for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
		int e = quota_charge(r->daemon->quota, &r->caller, needs[i].resource,
		    needs[i].amount, needs[i].charge);

		if (!e)
			continue;
		request_fail_charge_of(r, e, &r->caller, needs[i].resource, needs[i].amount);
		return e;
	}
	return 0;
}

/* What they share is still the caller's. */
static void shared_free_new(struct shared *s)
{
	free(s->write);
	free(s->read);
	charge_release(&s->charge);
	charge_release(&s->bytes);
	charge_release(&s->descriptors);
	free(s);
}

/* Makes one, which takes the descriptors over; NULL: the request was ended, and they are the caller's. */
static struct shared *shared_new(struct request *r, const ipc9_filemap_create_args *a,
    const struct descriptor_pair *fds)
{
	const struct closer_account account = account_of(r);
	struct filemaps *all = r->state;
	struct shared *s = calloc(1, sizeof(*s));
	int e;

	if (!s) {
		request_trouble(r, -ENOMEM);
		return NULL;
	}
	s->all = all;
	s->kind = a->kind;
	s->flags = a->flags & STATE_FLAGS;
	s->size = a->size_bytes;
	s->maximum = a->maximum;
	s->read = shared_descriptor_new(fds->read_fd, &account);
	s->write = fds->write_fd < 0 ? NULL : shared_descriptor_new(fds->write_fd, &account);
	s->created_us = clock_wall_us();
	s->owner = access_keep(&r->caller);
	e = s->read && (s->write || fds->write_fd < 0) ? 0 : -ENOMEM;
	if (e)
		request_trouble(r, e);
	else
		e = charge_all(r, s);
	if (!e && (e = named_add(&all->names, &s->named, r, a->name, NULL, &s->charge)))
		request_trouble(r, e);
	if (e) {
		shared_free_new(s);
		return NULL;
	}
	if (!named_take_rules(r, &s->named, a->rules)) {
		named_remove(&all->names, &s->named);
		shared_free_new(s);
		return NULL;
	}
	s->is_named = true;
	all->n_objects++;
	return s;
}

/* --- Handles ----------------------------------------------------------------------------------- */

static void hold_free(struct hold *h)
{
	struct shared *s = h->object;

	HASH_DELETE(hh, s->all->holds, h);
	list_remove(&h->watch.link);
	charge_release(&h->charge);
	free(h);
	s->n_holds--;
	shared_put(s);
}

static void on_connection_closed(struct connection_watch *watch)
{
	hold_free(LIST_ENTRY(watch, struct hold, watch));
}

/* 0, IPC9_STATUS_QUOTA, -ENOMEM. */
static int hold_new(struct request *r, struct shared *s, struct hold **ret)
{
	struct filemaps *all = r->state;
	struct hold *h = calloc(1, sizeof(*h));
	bool added = false;
	int e = -ENOMEM;

	if (h)
		e = quota_charge(r->daemon->quota, &r->caller, QUOTA_OBJECTS, 1, &h->charge);
	if (!e) {
		h->id = all->next_id++;
		MAP_ADD_KEY(hh, all->holds, &h->id, sizeof(h->id), h, added);
		e = added ? 0 : -ENOMEM;
	}
	if (e) {
		if (h)
			charge_release(&h->charge);
		free(h);
		return e;
	}
	h->object = s;
	h->connection = r->call.connection;
	h->watch.closed = on_connection_closed;
	list_init(&h->watch.link);
	connection_watch(h->connection, &h->watch);
	s->n_holds++;
	*ret = h;
	return 0;
}

/* from: storage for the owner's host. */
static void describe(const struct shared *s, char from[ADDRESS_TEXT_SIZE], ipc9_filemap_state *ret)
{
	ret->name = s->named.name;
	access_tell(&s->owner, from, &ret->owner);
	ret->kind = s->kind;
	ret->flags = s->flags;
	ret->rights = IPC9_FILEMAP_READ | (s->write ? IPC9_FILEMAP_WRITE : 0);
	ret->size_bytes = s->size;
	ret->maximum = s->maximum;
	ret->holders = s->n_holds;
	ret->created_us = s->created_us;
}

/* Answers with a new handle and its descriptor. */
static void answer_open(struct request *r, struct shared *s, unsigned rights, unsigned flags)
{
	ipc9_filemap_open_res res = { .status = IPC9_STATUS_OK };
	ipc9_filemap_open_ok *ok = &res.ipc9_filemap_open_res_u.ok;
	char from[ADDRESS_TEXT_SIZE];
	struct hold *h;
	int e = hold_new(r, s, &h);

	if (e) {
		request_fail_charge(r, e, &r->caller, QUOTA_OBJECTS);
		shared_put(s);
		return;
	}
	e = request_give_shared(r, rights & IPC9_FILEMAP_WRITE ? s->write : s->read);
	if (e) {
		request_trouble(r, e);
		hold_free(h);
		return;
	}
	ok->handle = h->id;
	ok->flags = flags;
	describe(s, from, &ok->state);
	request_reply(r, &res);
}

/* --- Opening ----------------------------------------------------------------------------------- */

static const char *const kind_names[] = {
	[IPC9_FILEMAP_MAPPING] = "mapping",
	[IPC9_FILEMAP_MUTEX] = "mutex",
	[IPC9_FILEMAP_SEMAPHORE] = "semaphore",
	[IPC9_FILEMAP_EVENT] = "event",
};

static const char *article_of(int kind)
{
	return kind == IPC9_FILEMAP_EVENT ? "an" : "a";
}

static bool is_kind(int kind)
{
	return kind >= IPC9_FILEMAP_MAPPING && kind <= IPC9_FILEMAP_EVENT;
}

static bool are_rights(unsigned rights)
{
	return rights == IPC9_FILEMAP_READ || rights == (IPC9_FILEMAP_READ | IPC9_FILEMAP_WRITE);
}

/* Whether the caller may open it so; ends the request if not. */
static bool may_open(struct request *r, const struct shared *s, int kind, unsigned rights)
{
	const struct access *access = &r->daemon->access;
	char why[ACCESS_WHY_SIZE];

	if (!access_decide(access, &r->caller, RIGHT_READ, &s->named.object, why))
		named_refuse_taken(r, &s->named, RIGHT_READ, why);
	else if (s->kind != kind)
		request_fail(r, IPC9_STATUS_BADSTATE, (uint64_t)s->kind,
		    "that name is %s %s, not %s %s; all kinds share one name space",
		    article_of(s->kind), kind_names[s->kind], article_of(kind), kind_names[kind]);
	else if (rights & IPC9_FILEMAP_WRITE && !s->write)
		request_fail(r, IPC9_STATUS_ACCESS, 0, "it was made for reading alone");
	else if (rights & IPC9_FILEMAP_WRITE &&
	    !access_decide(access, &r->caller, RIGHT_WRITE, &s->named.object, why))
		request_refuse(r, &s->named.object, RIGHT_WRITE, why);
	else
		return true;
	return false;
}

/* What is wrong with the arguments, or NULL. */
static const char *check_create(const ipc9_filemap_create_args *a)
{
	bool is_file = a->flags & IPC9_FILEMAP_FILE;

	if (!is_kind(a->kind))
		return "the kind is mapping, mutex, semaphore or event";
	if (a->flags & ~(unsigned)CREATE_FLAGS)
		return "it has a flag that there is not";
	if (!are_rights(a->rights))
		return "the rights are read, or read and write";
	if (is_file && a->kind != IPC9_FILEMAP_MAPPING)
		return "only a mapping is of a file";
	if (a->flags & IPC9_FILEMAP_MANUAL && a->kind != IPC9_FILEMAP_EVENT)
		return "only an event is manual";
	if (a->size_bytes == 0 || a->size_bytes > INT64_MAX)
		return is_file ? "an empty file cannot be mapped" : "memory has a size";
	if (a->kind == IPC9_FILEMAP_SEMAPHORE
		? a->maximum == 0 || a->maximum > IPC9_FILEMAP_COUNT_MAX
		: a->maximum != 0)
		return "a semaphore, and nothing else, has a maximum, of 1 to 2147483647";
	if (a->descriptors != 2 && (a->descriptors != 1 || !is_file))
		return "two descriptors come along; of a file that is only read, one";
	if (a->rights & IPC9_FILEMAP_WRITE && a->descriptors != 2)
		return "to write, a descriptor for writing has to come along";
	return NULL;
}

/* Makes the object of a name that there is not. */
static void create_new(struct request *r, const ipc9_filemap_create_args *a)
{
	struct descriptor_pair fds = { -1, -1 };
	struct shared *s = NULL;
	const char *bad;

	if (!pair_take(r, a->descriptors, &fds))
		return;
	bad = pair_check(&fds, a);
	if (bad)
		request_fail(r, IPC9_STATUS_INVALID, 0, "%s", bad);
	else
		s = shared_new(r, a, &fds);
	if (s)
		answer_open(r, s, a->rights, 0);
	else
		pair_close(r, &fds);
}

/* For who wants a new one: the name is taken, by whom only those are told who may know of it. */
static void refuse_taken(struct request *r, const struct shared *s)
{
	if (access_sees(&r->daemon->access, &r->caller, &s->named.object))
		request_fail(r, IPC9_STATUS_EXISTS, 0,
		    "%s %s of that name is there; it belongs to uid %u, made by process %u; open it, "
		    "remove it (ipc9 filemap rm), or take another name",
		    article_of(s->kind), kind_names[s->kind], s->owner.uid, s->owner.pid);
	else
		request_fail(r, IPC9_STATUS_EXISTS, 0,
		    "somebody else has an object of that name; take another");
}

static void handle_create(struct request *r, void *args)
{
	const ipc9_filemap_create_args *a = args;
	const char *bad_name = name_check_object(a->name, false), *bad = check_create(a);
	struct shared *s;

	/* What came along and is not taken is closed when this call has ended. */
	if (bad_name || bad) {
		request_fail(r, bad_name ? IPC9_STATUS_BADNAME : IPC9_STATUS_INVALID, 0, "%s",
		    bad_name ? bad_name : bad);
		return;
	}
	s = find_shared(r, a->name);
	if (!s) {
		if (named_may_create(r, a->name))
			create_new(r, a);
	} else if (a->flags & IPC9_FILEMAP_NEW) {
		refuse_taken(r, s);
	} else if (may_open(r, s, a->kind, a->rights) && named_has_rules(r, &s->named, a->rules)) {
		answer_open(r, s, a->rights, IPC9_FILEMAP_EXISTED);
	}
}

static const struct object *object_of_open(struct request *r, const void *args)
{
	const ipc9_filemap_open_args *a = args;
	const struct shared *s = find_shared(r, a->name);

	return s ? &s->named.object : NULL;
}

static void handle_open(struct request *r, void *args)
{
	const ipc9_filemap_open_args *a = args;
	struct shared *s = find_shared(r, a->name);

	if (!is_kind(a->kind) || !are_rights(a->rights))
		request_fail(r, IPC9_STATUS_INVALID, 0, "%s",
		    "the kind is mapping, mutex, semaphore or event, the rights read, or read and write");
	else if (!s)
		named_fail_absent(r, request_service(r), a->name);
	else if (may_open(r, s, a->kind, a->rights))
		answer_open(r, s, a->rights, IPC9_FILEMAP_EXISTED);
}

static void handle_close(struct request *r, void *args)
{
	const ipc9_handle_args *a = args;
	const struct filemaps *all = r->state;
	struct hold *h;

	HASH_FIND(hh, all->holds, &a->handle, sizeof(a->handle), h);
	if (!h || h->connection != r->call.connection) {
		request_fail(r, IPC9_STATUS_NOENT, 0, "no such handle on this connection");
		return;
	}
	hold_free(h);
	request_done(r);
}

static const struct object *object_of_name(struct request *r, const void *args)
{
	const ipc9_name_args *a = args;
	const struct shared *s = find_shared(r, a->name);

	return s ? &s->named.object : NULL;
}

static void handle_remove(struct request *r, void *args)
{
	const ipc9_name_args *a = args;
	struct shared *s = find_shared(r, a->name);

	if (!s) {
		named_fail_absent(r, request_service(r), a->name);
		return;
	}
	take_name(s);
	shared_put(s);
	request_done(r);
}

/* --- Telling ----------------------------------------------------------------------------------- */

static void handle_info(struct request *r, void *args)
{
	const ipc9_name_args *a = args;
	const struct shared *s = find_shared(r, a->name);
	ipc9_filemap_info_res res = { .status = IPC9_STATUS_OK };
	char from[ADDRESS_TEXT_SIZE];

	if (!s) {
		named_fail_absent(r, request_service(r), a->name);
		return;
	}
	describe(s, from, &res.ipc9_filemap_info_res_u.state);
	request_reply(r, &res);
}

static void handle_list(struct request *r, void *args)
{
	const ipc9_list_args *a = args;
	const struct filemaps *all = r->state;
	ipc9_filemap_list_res res = { .status = IPC9_STATUS_OK };
	ipc9_filemap_list_ok *ok = &res.ipc9_filemap_list_res_u.ok;
	ipc9_filemap_state states[IPC9_LIST_MAX];
	char from[IPC9_LIST_MAX][ADDRESS_TEXT_SIZE];
	struct named_page page;
	int e = named_list(&all->names, r, RIGHT_READ, a->after, &page);

	if (e) {
		request_trouble(r, e);
		return;
	}
	for (size_t i = 0; i < page.n; i++)
		describe((const struct shared *)(const void *)page.objects[i], from[i], &states[i]);
	ok->more = page.more;
	ok->objects.objects_len = (u_int)page.n;
	ok->objects.objects_val = states;
	request_reply(r, &res);
}

/* --- Service ----------------------------------------------------------------------------------- */

static int start(struct daemon *d, void **ret_state)
{
	struct filemaps *all = calloc(1, sizeof(*all));

	(void)d;
	if (!all)
		return -ENOMEM;
	all->names.exact = true;
	all->next_id = 1;
	*ret_state = all;
	return 0;
}

/* All handles are gone; what is kept is let go. */
static void stop(void *state)
{
	struct filemaps *all = state;

	while (all->names.head) {
		struct shared *s = (struct shared *)(void *)all->names.head;

		take_name(s);
		shared_put(s);
	}
	free(all);
}

static void count(const void *state, struct tally *t)
{
	const struct filemaps *all = state;

	tally_add(t, "filemap.names", named_count(&all->names));
	tally_add(t, "filemap.objects", all->n_objects);
	tally_add(t, "filemap.handles", HASH_COUNT(all->holds));
}

static const struct procedure procedures[] = {
	PROCEDURE_NULL,
	{
	    PROCEDURE(IPC9_FILEMAPPROC_CREATE, ipc9_filemap_create_args, ipc9_filemap_open_res),
	    .flags = PROCEDURE_LOCAL,
	    .strength = STRENGTH_IDENTITY, /* it has an owner, who pays */
	    .right = RIGHT_CREATE,
	    .handle = handle_create,
	},
	{
	    PROCEDURE(IPC9_FILEMAPPROC_OPEN, ipc9_filemap_open_args, ipc9_filemap_open_res),
	    .flags = PROCEDURE_LOCAL,
	    .right = RIGHT_READ,
	    .handle = handle_open,
	    .object = object_of_open,
	},
	{
	    PROCEDURE(IPC9_FILEMAPPROC_CLOSE, ipc9_handle_args, ipc9_void_res),
	    .flags = PROCEDURE_LOCAL,
	    .right = RIGHT_READ,
	    .handle = handle_close,
	},
	{
	    PROCEDURE(IPC9_FILEMAPPROC_REMOVE, ipc9_name_args, ipc9_void_res),
	    .flags = PROCEDURE_LOCAL,
	    .right = RIGHT_DELETE,
	    .handle = handle_remove,
	    .object = object_of_name,
	},
	{
	    PROCEDURE(IPC9_FILEMAPPROC_INFO, ipc9_name_args, ipc9_filemap_info_res),
	    .flags = PROCEDURE_LOCAL,
	    .right = RIGHT_READ,
	    .handle = handle_info,
	    .object = object_of_name,
	},
	{
	    PROCEDURE(IPC9_FILEMAPPROC_LIST, ipc9_list_args, ipc9_filemap_list_res),
	    .flags = PROCEDURE_LOCAL,
	    .right = RIGHT_READ,
	    .handle = handle_list,
	},
};

extern const struct service service_filemap;
const struct service service_filemap = {
	.name = "filemap",
	.program = IPC9_PROG_FILEMAP,
	.version = IPC9_FILEMAP_V1,
	.procedures = procedures,
	.n_procedures = sizeof(procedures) / sizeof(procedures[0]),
	.start = start,
	.stop = stop,
	.count = count,
	.rights = RIGHT_READ | RIGHT_WRITE | RIGHT_DELETE,
	.local = true,
	.find = find_named,
};
