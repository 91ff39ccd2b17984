/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_filemap.c - mappings as programs use them, and filemap.x where a client does what the library does not, against a
 * real daemon.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ipc9.h"
#include "rpcgen-out/filemap.h"
#include "tests/daemon.h"
#include "tests/harness.h"
#include "tests/process.h"
#include "transport/channel.h"
#include "transport/descriptors.h"
#include "util/clock.h"
#include "util/text.h"

#define OTHER_UID 65534
#define SIZE 100000

struct world {
	struct daemon_fixture daemon;
	struct ipc9 *ipc9;
	struct ipc9_error error;
	size_t page;
};

static struct ipc9 *context(const struct daemon_fixture *d)
{
	struct ipc9_options options = { .timeout_ms = 5000, .socket = d->socket };
	struct ipc9 *ipc9 = NULL;

	return ipc9_new(&options, &ipc9, NULL) ? NULL : ipc9;
}

static void begin(struct world *w, const char *configuration)
{
	memset(w, 0, sizeof(*w));
	daemon_start(&w->daemon, configuration);
	w->ipc9 = context(&w->daemon);
	w->page = (size_t)sysconf(_SC_PAGESIZE);
	HOLDS(w->ipc9 != NULL);
}

static void end(struct world *w)
{
	ipc9_free(w->ipc9);
	daemon_end(&w->daemon);
}

static struct ipc9_filemap *create(struct world *w, const char *name, uint64_t size, unsigned flags)
{
	struct ipc9_filemap_options options = { .size_bytes = size, .flags = flags };
	struct ipc9_filemap *map = NULL;

	if (!EQUAL(ipc9_filemap_create(w->ipc9, name, &options, &map, &w->error), 0))
		printf("  %s\n", w->error.text);
	return map;
}

static int open_status(struct world *w, const char *name, enum ipc9_filemap_access access)
{
	struct ipc9_filemap *map = NULL;
	int r = ipc9_filemap_open(w->ipc9, name, access, &map, &w->error);

	if (!r)
		ipc9_filemap_close(map);
	return r;
}

static struct ipc9_filemap_view *view(struct world *w, struct ipc9_filemap *map,
    enum ipc9_filemap_access access)
{
	struct ipc9_filemap_view *v = NULL;

	EQUAL(ipc9_filemap_map(map, access, 0, 0, &v, &w->error), 0);
	return v;
}

struct question {
	struct world *w;
	const char *name;
};

static bool is_gone(void *q)
{
	struct question *question = q;

	return open_status(question->w, question->name, IPC9_FILEMAP_ACCESS_READ) == IPC9_E_NOENT;
}

/* --- Sharing ----------------------------------------------------------------------------------- */

static int write_from_elsewhere(struct process *self, void *socket)
{
	struct ipc9 *ipc9 = context(socket);
	struct ipc9_filemap *map;
	struct ipc9_filemap_view *v;

	if (!ipc9 ||
	    ipc9_filemap_open(ipc9, "//./map/frame", IPC9_FILEMAP_ACCESS_WRITE, &map, NULL))
		return 1;
	if (ipc9_filemap_size_bytes(map) != SIZE || !ipc9_filemap_existed(map))
		return 2;
	if (ipc9_filemap_map(map, 0, 0, 0, &v, NULL))
		return 3;
	if (memcmp(ipc9_filemap_data(v), "hello", 6) != 0)
		return 4;
	memset(ipc9_filemap_data(v), 'x', SIZE);
	process_tell(self, 'w');
	ipc9_filemap_unmap(v);
	ipc9_filemap_close(map);
	ipc9_free(ipc9);
	return 0;
}

static void test_two_programs_share_the_bytes(void)
{
	struct ipc9_filemap_view *v;
	struct ipc9_filemap *map;
	struct process other;
	struct world w;

	begin(&w, "");
	map = create(&w, "frame", SIZE, 0);
	HOLDS(!ipc9_filemap_existed(map));
	EQUAL(ipc9_filemap_owner(map)->uid, geteuid());
	v = view(&w, map, 0);
	EQUAL(ipc9_filemap_view_bytes(v), SIZE);
	for (size_t i = 0; i < SIZE; i++)
		if (!EQUAL(((char *)ipc9_filemap_data(v))[i], 0))
			break;
	memcpy(ipc9_filemap_data(v), "hello", 6);
	process_start(&other, write_from_elsewhere, &w.daemon);
	EQUAL(process_hear(&other), 'w');
	process_end(&other);
	EQUAL(((char *)ipc9_filemap_data(v))[SIZE - 1], 'x');
	EQUAL(ipc9_filemap_flush(v, 0, 0, &w.error), 0);
	ipc9_filemap_unmap(v);
	ipc9_filemap_close(map);
	end(&w);
}

static void test_creating_what_is_there_opens_it_as_it_is(void)
{
	struct ipc9_filemap_options options = { .size_bytes = 5, .flags = IPC9_FILEMAP_CREATE_NEW };
	struct ipc9_filemap *map, *same, *none = NULL;
	struct world w;

	begin(&w, "");
	map = create(&w, "x", SIZE, 0);
	same = create(&w, "x", 5, 0);
	HOLDS(ipc9_filemap_existed(same));
	EQUAL(ipc9_filemap_size_bytes(same), SIZE);
	EQUAL(ipc9_filemap_create(w.ipc9, "x", &options, &none, &w.error), IPC9_E_EXISTS);
	ipc9_filemap_close(same);
	ipc9_filemap_close(map);
	end(&w);
}

static void test_names_are_told_apart_by_case_and_by_kind_alone(void)
{
	struct ipc9_filemap *map, *other;
	struct ipc9_sync *sync = NULL;
	struct world w;

	begin(&w, "");
	map = create(&w, "Frame", SIZE, 0);
	EQUAL(open_status(&w, "frame", IPC9_FILEMAP_ACCESS_READ), IPC9_E_NOENT);
	other = create(&w, "frame", 1, 0);
	EQUAL(ipc9_filemap_size_bytes(other), 1);
	EQUAL(ipc9_sync_create(w.ipc9, "Frame", IPC9_SYNC_MUTEX, NULL, &sync, &w.error),
	    IPC9_E_BADSTATE);
	HOLDS(strstr(w.error.text, "is a mapping, not a mutex"));
	EQUAL(ipc9_sync_create(w.ipc9, "lock", IPC9_SYNC_MUTEX, NULL, &sync, &w.error), 0);
	EQUAL(open_status(&w, "lock", IPC9_FILEMAP_ACCESS_READ), IPC9_E_BADSTATE);
	ipc9_sync_close(sync);
	ipc9_filemap_close(map);
	ipc9_filemap_close(other);
	end(&w);
}

static void test_a_list_given_to_what_is_there_has_to_be_its_own(void)
{
	static const char *const rules[] = { "allow gid:7 read" },
				 *const others[] = { "allow gid:8 read" };
	struct ipc9_filemap_options options = { .size_bytes = 1, .rules = rules, .n_rules = 1 };
	struct ipc9_sync_options sync_options = { .rules = rules, .n_rules = 1 };
	struct ipc9_filemap *map = NULL, *same = NULL, *none = NULL;
	struct ipc9_sync *sync = NULL, *same_sync = NULL;
	struct world w;

	begin(&w, "");
	EQUAL(ipc9_filemap_create(w.ipc9, "x", &options, &map, &w.error), 0);
	EQUAL(ipc9_filemap_create(w.ipc9, "x", &options, &same, &w.error), 0);
	HOLDS(ipc9_filemap_existed(same));
	options.rules = others;
	EQUAL(ipc9_filemap_create(w.ipc9, "x", &options, &none, &w.error), IPC9_E_INVALID);
	HOLDS(strstr(w.error.text, "another access list"));
	EQUAL(ipc9_sync_create(w.ipc9, "m", IPC9_SYNC_MUTEX, &sync_options, &sync, &w.error), 0);
	EQUAL(ipc9_sync_create(w.ipc9, "m", IPC9_SYNC_MUTEX, &sync_options, &same_sync, &w.error),
	    0);
	HOLDS(ipc9_sync_existed(same_sync));
	EQUAL(ipc9_sync_wait(same_sync, 0, NULL, &w.error), 0);
	EQUAL(ipc9_sync_wait(sync, 0, NULL, &w.error), IPC9_E_BADSTATE); /* it is the same */
	ipc9_sync_close(sync);
	ipc9_sync_close(same_sync);
	ipc9_filemap_close(map);
	ipc9_filemap_close(same);
	end(&w);
}

/* --- Life -------------------------------------------------------------------------------------- */

static void test_the_name_goes_with_the_last_handle_or_view(void)
{
	struct ipc9_filemap *map, *second;
	struct ipc9_filemap_view *v;
	struct world w;

	begin(&w, "");
	map = create(&w, "x", SIZE, 0);
	second = create(&w, "x", SIZE, 0);
	ipc9_filemap_close(map);
	v = view(&w, second, 0);
	EQUAL(ipc9_filemap_close(second) == NULL, true);
	EQUAL(open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), 0);
	memset(ipc9_filemap_data(v), 1, SIZE);
	ipc9_filemap_unmap(v);
	EQUAL(open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_NOENT);
	end(&w);
}

static int hold_until_killed(struct process *self, void *socket)
{
	struct ipc9_filemap_options options = { .size_bytes = SIZE };
	struct ipc9 *ipc9 = context(socket);
	struct ipc9_filemap *map;

	if (!ipc9 || ipc9_filemap_create(ipc9, "x", &options, &map, NULL))
		return 1;
	process_tell(self, 'h');
	process_hear(self);
	return 2;
}

static void test_a_killed_program_holds_nothing(void)
{
	struct ipc9_filemap *map;
	struct process other;
	struct world w;
	struct question gone = { &w, "x" };

	begin(&w, "");
	process_start(&other, hold_until_killed, &w.daemon);
	EQUAL(process_hear(&other), 'h');
	map = NULL;
	EQUAL(ipc9_filemap_open(w.ipc9, "x", IPC9_FILEMAP_ACCESS_WRITE, &map, &w.error), 0);
	process_kill(&other);
	/* Who opened it has it still. */
	EQUAL(open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), 0);
	ipc9_filemap_close(map);
	HOLDS(wait_until(is_gone, &gone, 20000));
	end(&w);
}

static void test_what_is_kept_stays_until_it_is_removed(void)
{
	struct ipc9_filemap *map, *next;
	struct ipc9_filemap_view *v, *of_next;
	struct ipc9_filemap_listing *listing = NULL;
	struct world w;

	begin(&w, "");
	map = create(&w, "x", SIZE, IPC9_FILEMAP_CREATE_KEEP);
	v = view(&w, map, 0);
	memcpy(ipc9_filemap_data(v), "kept", 5);
	ipc9_filemap_unmap(v);
	ipc9_filemap_close(map);
	EQUAL(ipc9_filemap_info(w.ipc9, "x", &listing, &w.error), 0);
	EQUAL(listing->objects[0].holders, 0);
	HOLDS(listing->objects[0].kept);
	ipc9_filemap_listing_free(listing);
	map = create(&w, "x", SIZE, 0);
	v = view(&w, map, 0);
	SAME_TEXT(ipc9_filemap_data(v), "kept");
	EQUAL(ipc9_filemap_remove(w.ipc9, "x", &w.error), 0);
	EQUAL(ipc9_filemap_remove(w.ipc9, "x", &w.error), IPC9_E_NOENT);
	EQUAL(open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_NOENT);
	/* The name is another's now, and who had the first keeps it. */
	next = create(&w, "x", 10, 0);
	HOLDS(!ipc9_filemap_existed(next));
	of_next = view(&w, next, 0);
	SAME_TEXT(ipc9_filemap_data(v), "kept");
	EQUAL(((char *)ipc9_filemap_data(of_next))[0], 0);
	ipc9_filemap_unmap(of_next);
	ipc9_filemap_unmap(v);
	ipc9_filemap_close(map);
	ipc9_filemap_close(next);
	end(&w);
}

static void test_what_is_open_goes_on_without_the_daemon(void)
{
	struct ipc9_filemap_view *v;
	struct ipc9_filemap *map;
	struct world w;

	begin(&w, "");
	map = create(&w, "x", SIZE, 0);
	v = view(&w, map, 0);
	daemon_kill(&w.daemon);
	memset(ipc9_filemap_data(v), 'x', SIZE);
	ipc9_filemap_unmap(v);
	v = view(&w, map, IPC9_FILEMAP_ACCESS_READ);
	EQUAL(((char *)ipc9_filemap_data(v))[SIZE - 1], 'x');
	ipc9_filemap_unmap(v);
	EQUAL(open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_NODAEMON);
	ipc9_filemap_close(map);
	ipc9_free(w.ipc9);
}

static void test_a_program_may_have_more_objects_than_connections(void)
{
	enum {
		N = 200
	};
	struct ipc9_filemap *maps[N];
	struct ipc9_filemap_listing *listing = NULL;
	struct world w;
	char name[16];

	begin(&w, "local_connections = 8\n");
	for (int i = 0; i < N; i++) {
		text_format(name, sizeof(name), "map %03d", i);
		maps[i] = create(&w, name, 1, 0);
	}
	EQUAL(ipc9_filemap_list(w.ipc9, &listing, &w.error), 0);
	if (EQUAL(listing->n_objects, N)) {
		SAME_TEXT(listing->objects[N - 1].name, "map 199");
		EQUAL(listing->objects[N - 1].holders, 1);
	}
	ipc9_filemap_listing_free(listing);
	for (int i = 0; i < N; i++)
		ipc9_filemap_close(maps[i]);
	EQUAL(ipc9_filemap_list(w.ipc9, &listing, &w.error), 0);
	EQUAL(listing->n_objects, 0);
	ipc9_filemap_listing_free(listing);
	end(&w);
}

/* --- Views ------------------------------------------------------------------------------------- */

static int view_status(struct world *w, struct ipc9_filemap *map, enum ipc9_filemap_access access,
    uint64_t offset, size_t size)
{
	struct ipc9_filemap_view *v = NULL;
	int r = ipc9_filemap_map(map, access, offset, size, &v, &w->error);

	if (!r)
		ipc9_filemap_unmap(v);
	return r;
}

static void test_a_view_begins_at_a_page_and_ends_within(void)
{
	struct ipc9_filemap_view *v = NULL;
	struct ipc9_filemap *map;
	struct world w;
	size_t size;

	begin(&w, "");
	size = 3 * w.page + 10;
	map = create(&w, "x", size, 0);
	EQUAL(view_status(&w, map, 0, 1, 1), IPC9_E_INVALID);
	EQUAL(view_status(&w, map, 0, 0, size), 0);
	EQUAL(view_status(&w, map, 0, 0, size + 1), IPC9_E_INVALID);
	EQUAL(view_status(&w, map, 0, w.page, size - w.page + 1), IPC9_E_INVALID);
	EQUAL(view_status(&w, map, 0, 3 * w.page, 10), 0);
	EQUAL(view_status(&w, map, 0, 3 * w.page, 11), IPC9_E_INVALID);
	EQUAL(view_status(&w, map, 0, 4 * w.page, 0), IPC9_E_INVALID);
	EQUAL(view_status(&w, map, 0, UINT64_MAX - w.page + 1, 1), IPC9_E_INVALID);
	EQUAL(view_status(&w, map, (enum ipc9_filemap_access)7, 0, 0), IPC9_E_INVALID);
	EQUAL(ipc9_filemap_map(map, 0, 3 * w.page, 0, &v, &w.error), 0);
	EQUAL(ipc9_filemap_view_bytes(v), 10);
	EQUAL(ipc9_filemap_flush(v, 10, 0, &w.error), 0);
	EQUAL(ipc9_filemap_flush(v, 3, 7, &w.error), 0);
	EQUAL(ipc9_filemap_flush(v, 3, 8, &w.error), IPC9_E_INVALID);
	EQUAL(ipc9_filemap_flush(v, 11, 0, &w.error), IPC9_E_INVALID);
	ipc9_filemap_unmap(v);
	ipc9_filemap_close(map);
	end(&w);
}

static void test_a_copy_is_the_views_own(void)
{
	struct ipc9_filemap_view *v, *copy;
	struct ipc9_filemap *map;
	struct world w;

	begin(&w, "");
	map = create(&w, "x", SIZE, 0);
	v = view(&w, map, 0);
	copy = view(&w, map, IPC9_FILEMAP_ACCESS_COPY);
	memset(ipc9_filemap_data(v), 'a', SIZE);
	EQUAL(((char *)ipc9_filemap_data(copy))[5], 'a');
	((char *)ipc9_filemap_data(copy))[5] = 'b';
	EQUAL(((char *)ipc9_filemap_data(v))[5], 'a');
	EQUAL(ipc9_filemap_flush(copy, 0, 0, &w.error), IPC9_E_BADSTATE);
	ipc9_filemap_unmap(copy);
	ipc9_filemap_unmap(v);
	ipc9_filemap_close(map);
	end(&w);
}

/* --- Rights ------------------------------------------------------------------------------------ */

static void test_who_opened_to_read_cannot_write(void)
{
	struct ipc9_filemap *map, *reader = NULL;
	struct world w;
	void *data;
	int fd;

	begin(&w, "");
	map = create(&w, "x", SIZE, 0);
	EQUAL(ipc9_filemap_open(w.ipc9, "x", IPC9_FILEMAP_ACCESS_READ, &reader, &w.error), 0);
	EQUAL(view_status(&w, reader, IPC9_FILEMAP_ACCESS_WRITE, 0, 0), IPC9_E_ACCESS);
	EQUAL(view_status(&w, reader, IPC9_FILEMAP_ACCESS_READ, 0, 0), 0);
	EQUAL(view_status(&w, reader, IPC9_FILEMAP_ACCESS_COPY, 0, 0), 0);
	/* It is not the library that keeps one from it. */
	fd = ipc9_filemap_fd(reader);
	data = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	HOLDS(data == MAP_FAILED && errno == EACCES);
	data = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	HOLDS(data != MAP_FAILED);
	EQUAL(mprotect(data, SIZE, PROT_READ | PROT_WRITE), -1);
	munmap(data, SIZE);
	EQUAL(write(fd, "x", 1), -1);
	ipc9_filemap_close(reader);
	ipc9_filemap_close(map);
	end(&w);
}

static void test_memory_neither_shrinks_nor_grows(void)
{
	struct ipc9_filemap *map;
	struct world w;

	begin(&w, "");
	map = create(&w, "x", SIZE, 0);
	EQUAL(ftruncate(ipc9_filemap_fd(map), SIZE - 1), -1);
	EQUAL(ftruncate(ipc9_filemap_fd(map), SIZE + 1), -1);
	EQUAL(fcntl(ipc9_filemap_fd(map), F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
	ipc9_filemap_close(map);
	end(&w);
}

/* As another user: what may be done with a name that lets it read, and with one that does not. */
static int try_as_other(struct process *self, void *socket)
{
	struct ipc9_filemap_options options = { .size_bytes = 1 };
	struct ipc9_filemap_listing *listing;
	struct ipc9_filemap *map;
	struct ipc9_error error;
	struct ipc9 *ipc9;
	char path[64];

	(void)self;
	if (setresgid(OTHER_UID, OTHER_UID, OTHER_UID) ||
	    setresuid(OTHER_UID, OTHER_UID, OTHER_UID))
		return 1;
	ipc9 = context(socket);
	/* One that does not admit them is as if there were none, but that its name is taken. */
	if (!ipc9 ||
	    ipc9_filemap_open(ipc9, "closed", IPC9_FILEMAP_ACCESS_READ, &map, NULL) != IPC9_E_NOENT)
		return 2;
	if (ipc9_filemap_create(ipc9, "closed", &options, &map, NULL) != IPC9_E_ACCESS)
		return 9;
	options.flags = IPC9_FILEMAP_CREATE_NEW;
	if (ipc9_filemap_create(ipc9, "closed", &options, &map, &error) != IPC9_E_EXISTS ||
	    strstr(error.text, "uid"))
		return 10;
	if (ipc9_filemap_open(ipc9, "open", IPC9_FILEMAP_ACCESS_WRITE, &map, NULL) != IPC9_E_ACCESS)
		return 3;
	if (ipc9_filemap_open(ipc9, "open", IPC9_FILEMAP_ACCESS_READ, &map, NULL))
		return 4;
	text_format(path, sizeof(path), "/proc/self/fd/%d", ipc9_filemap_fd(map));
	if (open(path, O_RDWR | O_CLOEXEC) >= 0 || errno != EACCES)
		return 5;
	if (fchmod(ipc9_filemap_fd(map), 0666) == 0)
		return 6;
	if (ipc9_filemap_list(ipc9, &listing, NULL) || listing->n_objects != 1 ||
	    strcmp(listing->objects[0].name, "open") != 0)
		return 7;
	if (ipc9_filemap_remove(ipc9, "open", NULL) != IPC9_E_ACCESS)
		return 8;
	ipc9_filemap_listing_free(listing);
	ipc9_filemap_close(map);
	ipc9_free(ipc9);
	return 0;
}

static void test_another_user_reads_what_the_list_admits_and_cannot_make_it_writable(void)
{
	static const char *const rules[] = { "allow uid:65534 read" };
	struct ipc9_filemap_options options = { .size_bytes = SIZE };
	struct ipc9_filemap *map = NULL, *closed;
	struct process other;
	struct world w;

	if (geteuid() != 0) {
		skip_test("needs root, to be two users");
		return;
	}
	begin(&w, "");
	EQUAL(chmod(w.daemon.folder, 0711), 0);
	closed = create(&w, "closed", SIZE, 0);
	options.rules = rules;
	options.n_rules = 1;
	EQUAL(ipc9_filemap_create(w.ipc9, "open", &options, &map, &w.error), 0);
	process_start(&other, try_as_other, &w.daemon);
	process_end(&other);
	ipc9_filemap_close(map);
	ipc9_filemap_close(closed);
	end(&w);
}

/* --- Files ------------------------------------------------------------------------------------- */

struct file {
	char path[96];
};

static void file_make(const struct world *w, struct file *f, const char *content)
{
	int fd;

	text_format(f->path, sizeof(f->path), "%s/file", w->daemon.folder);
	fd = open(f->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	EQUAL(write(fd, content, strlen(content)), strlen(content));
	close(fd);
}

static int map_file(struct world *w, const struct file *f, uint64_t size,
    enum ipc9_filemap_access access, struct ipc9_filemap **ret)
{
	struct ipc9_filemap_options options = {
		.size_bytes = size, .file = f->path, .access = access
	};

	return ipc9_filemap_create(w->ipc9, "file", &options, ret, &w->error);
}

static void test_a_file_is_written_through_its_mapping(void)
{
	struct ipc9_filemap *map = NULL;
	struct ipc9_filemap_view *v;
	char got[16] = "";
	struct world w;
	struct file f;
	int fd;

	begin(&w, "");
	file_make(&w, &f, "0123456789");
	EQUAL(map_file(&w, &f, 0, IPC9_FILEMAP_ACCESS_WRITE, &map), 0);
	EQUAL(ipc9_filemap_size_bytes(map), 10);
	v = view(&w, map, 0);
	memcpy(ipc9_filemap_data(v), "abc", 3);
	EQUAL(ipc9_filemap_flush(v, 0, 0, &w.error), 0);
	fd = open(f.path, O_RDONLY | O_CLOEXEC);
	EQUAL(read(fd, got, sizeof(got) - 1), 10);
	SAME_TEXT(got, "abc3456789");
	close(fd);
	ipc9_filemap_unmap(v);
	ipc9_filemap_close(map);
	unlink(f.path);
	end(&w);
}

static void test_a_file_grows_to_the_size_asked_for_and_only_for_writing(void)
{
	struct ipc9_filemap *map = NULL;
	struct world w;
	struct file f;
	struct stat s;

	begin(&w, "");
	file_make(&w, &f, "abc");
	EQUAL(map_file(&w, &f, 5000, IPC9_FILEMAP_ACCESS_READ, &map), IPC9_E_INVALID);
	EQUAL(stat(f.path, &s), 0);
	EQUAL(s.st_size, 3);
	EQUAL(map_file(&w, &f, 5000, IPC9_FILEMAP_ACCESS_WRITE, &map), 0);
	EQUAL(ipc9_filemap_size_bytes(map), 5000);
	EQUAL(stat(f.path, &s), 0);
	EQUAL(s.st_size, 5000);
	/* Cut again by somebody, it is not touched where it is not. */
	EQUAL(truncate(f.path, 100), 0);
	EQUAL(view_status(&w, map, 0, 0, 0), IPC9_E_INVALID);
	EQUAL(view_status(&w, map, 0, 0, 100), 0);
	ipc9_filemap_close(map);
	/* There is not so much room anywhere. */
	EQUAL(map_file(&w, &f, INT64_MAX, IPC9_FILEMAP_ACCESS_WRITE, &map) < 0, true);
	EQUAL(stat(f.path, &s), 0);
	EQUAL(s.st_size, 100);
	unlink(f.path);
	end(&w);
}

static void test_a_file_mapped_to_be_read_is_written_by_nobody(void)
{
	struct ipc9_filemap_listing *listing = NULL;
	struct ipc9_filemap *map = NULL;
	struct world w;
	struct file f;

	begin(&w, "");
	file_make(&w, &f, "abc");
	EQUAL(map_file(&w, &f, 0, IPC9_FILEMAP_ACCESS_READ, &map), 0);
	EQUAL(open_status(&w, "file", IPC9_FILEMAP_ACCESS_READ), 0);
	EQUAL(open_status(&w, "file", IPC9_FILEMAP_ACCESS_COPY), 0);
	EQUAL(open_status(&w, "file", IPC9_FILEMAP_ACCESS_WRITE), IPC9_E_ACCESS);
	EQUAL(ipc9_filemap_info(w.ipc9, "file", &listing, &w.error), 0);
	HOLDS(listing->objects[0].file);
	HOLDS(!listing->objects[0].writable);
	ipc9_filemap_listing_free(listing);
	ipc9_filemap_close(map);
	unlink(f.path);
	end(&w);
}

static void test_what_is_no_file_or_empty_is_refused(void)
{
	struct ipc9_filemap *map = NULL;
	struct file none = { "/nowhere/at all" }, f;
	struct world w;

	begin(&w, "");
	file_make(&w, &f, "");
	EQUAL(map_file(&w, &f, 0, IPC9_FILEMAP_ACCESS_WRITE, &map), IPC9_E_INVALID);
	HOLDS(strstr(w.error.text, "empty"));
	EQUAL(map_file(&w, &none, 0, IPC9_FILEMAP_ACCESS_WRITE, &map), -ENOENT);
	unlink(f.path);
	EQUAL(mkfifo(f.path, 0600), 0);
	EQUAL(map_file(&w, &f, 0, IPC9_FILEMAP_ACCESS_READ, &map), IPC9_E_INVALID);
	unlink(f.path);
	end(&w);
}

/* --- Refusals ---------------------------------------------------------------------------------- */

static void test_names_of_other_hosts_are_refused_as_local_only(void)
{
	struct ipc9_filemap_options options = { .size_bytes = 1 };
	struct ipc9_filemap_listing *listing = NULL;
	struct ipc9_filemap *map = NULL;
	struct ipc9_sync *sync = NULL;
	struct world w;

	begin(&w, "");
	EQUAL(ipc9_filemap_create(w.ipc9, "//h2/filemap/x", &options, &map, &w.error),
	    IPC9_E_UNSUPPORTED);
	HOLDS(strstr(w.error.text, "local only"));
	EQUAL(open_status(&w, "//127.0.0.1/map/x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_UNSUPPORTED);
	EQUAL(ipc9_filemap_remove(w.ipc9, "//h2/map/x", &w.error), IPC9_E_UNSUPPORTED);
	EQUAL(ipc9_filemap_info(w.ipc9, "//h2/map/x", &listing, &w.error), IPC9_E_UNSUPPORTED);
	EQUAL(ipc9_sync_open(w.ipc9, "//h2/map/x", IPC9_SYNC_MUTEX, &sync, &w.error),
	    IPC9_E_UNSUPPORTED);
	EQUAL(open_status(&w, "//@/map/x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_BADNAME);
	EQUAL(open_status(&w, "//./pipe/x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_BADNAME);
	end(&w);
}

static void test_nothing_is_served_over_tcp(void)
{
	ipc9_list_args args = { (char[]){ "" } };
	ipc9_filemap_list_res res = { 0 };
	struct world w;
	CLIENT *c;

	begin(&w, "allow = anyone all\n");
	c = daemon_client(&w.daemon, false, IPC9_PROG_FILEMAP);
	EQUAL(ipc9_filemapproc_list_1(&args, &res, c), RPC_PROCUNAVAIL);
	EQUAL(ipc9_filemapproc_null_1(NULL, NULL, c), RPC_SUCCESS);
	clnt_destroy(c);
	end(&w);
}

static void test_what_makes_no_sense_is_refused_by_the_library(void)
{
	static const char *const nonsense[] = { "allow nonsense" };
	static const struct {
		struct ipc9_filemap_options options;
	} cases[] = {
		{ { .size_bytes = 0 } },
		{ { .size_bytes = 1, .flags = 4 } },
		{ { .size_bytes = 1, .access = (enum ipc9_filemap_access)2 } },
		{ { .size_bytes = 1, .access = IPC9_FILEMAP_ACCESS_COPY } },
		{ { .size_bytes = 1, .rules = nonsense, .n_rules = 1 } },
	};
	struct ipc9_filemap *map = NULL;
	struct world w;

	begin(&w, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!EQUAL(ipc9_filemap_create(w.ipc9, "x", &cases[i].options, &map, &w.error),
			IPC9_E_INVALID))
			printf("  case %zu\n", i);
	EQUAL(open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_NOENT);
	end(&w);
}

/* --- Clients that are not the library ---------------------------------------------------------- */

static const struct channel_target create_target = { IPC9_PROG_FILEMAP, 1, IPC9_FILEMAPPROC_CREATE,
	NULL };

static int memory(unsigned seals, off_t size)
{
	int fd = memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	EQUAL(fchmod(fd, 0600), 0);
	EQUAL(ftruncate(fd, size), 0);
	EQUAL(fcntl(fd, F_ADD_SEALS, seals), 0);
	return fd;
}

static int reader_of(int fd)
{
	char path[64];

	text_format(path, sizeof(path), "/proc/self/fd/%d", fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The status of a CREATE with those descriptors; what comes back is closed. */
static int create_by_hand(const struct world *w, ipc9_filemap_create_args *args, const int *give,
    unsigned n_give)
{
	struct channel *c = daemon_channel(&w->daemon, true);
	struct channel_parcels parcels = { .give = give, .n_give = n_give };
	ipc9_filemap_open_res res = { 0 };
	struct channel_call call;
	struct rpc_err error;
	int64_t deadline = clock_deadline_ms(10000);
	enum clnt_stat stat = channel_send_with(c, &call, &parcels, &create_target,
	    (xdrproc_t)xdr_ipc9_filemap_create_args, args, deadline, &error);
	int status;

	if (stat == RPC_SUCCESS)
		stat = channel_wait(c, &call, (xdrproc_t)xdr_ipc9_filemap_open_res, &res, deadline,
		    &error);
	EQUAL(stat, RPC_SUCCESS);
	status = res.status;
	EQUAL(parcels.taken.n, status ? 0 : 1);
	descriptors_close(&parcels.taken);
	xdr_free((xdrproc_t)xdr_ipc9_filemap_open_res, &res);
	channel_unref(c);
	return status;
}

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

static char by_hand[] = "by hand";

static ipc9_filemap_create_args usual_args(void)
{
	ipc9_filemap_create_args args = { by_hand, IPC9_FILEMAP_MAPPING, 0, 3, SIZE, 0, 2, NULL };

	return args;
}

static void test_descriptors_that_are_not_what_they_should_be_are_refused(void)
{
	int good = memory(SEALS, SIZE), other = memory(SEALS, SIZE);
	int open_end = memory(F_SEAL_SHRINK | F_SEAL_SEAL, SIZE);
	int no_writes = memory(SEALS | F_SEAL_FUTURE_WRITE, SIZE), longer = memory(SEALS, SIZE + 1);
	int folder = open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	int good_reader = reader_of(good), path = open("/", O_PATH | O_CLOEXEC);
	const struct {
		int fds[2];
		unsigned n;
		int status;
	} cases[] = {
		{ { good, good_reader }, 2, 0 },
		{ { good, good_reader }, 1, IPC9_STATUS_INVALID },
		{ { good, good_reader }, 0, IPC9_STATUS_INVALID },
		{ { good_reader, good }, 2, IPC9_STATUS_INVALID },
		{ { good, good }, 2, IPC9_STATUS_INVALID },
		{ { good, reader_of(other) }, 2, IPC9_STATUS_INVALID },
		{ { open_end, reader_of(open_end) }, 2, IPC9_STATUS_INVALID },
		{ { no_writes, reader_of(no_writes) }, 2, IPC9_STATUS_INVALID },
		{ { longer, reader_of(longer) }, 2, IPC9_STATUS_INVALID },
		{ { good, folder }, 2, IPC9_STATUS_INVALID },
		{ { good, path }, 2, IPC9_STATUS_INVALID },
		{ { folder, folder }, 2, IPC9_STATUS_INVALID },
	};
	ipc9_filemap_create_args args = usual_args();
	struct world w;

	begin(&w, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!EQUAL(create_by_hand(&w, &args, cases[i].fds, cases[i].n), cases[i].status))
			printf("  case %zu\n", i);
	EQUAL(fchmod(good, 0644), 0);
	EQUAL(create_by_hand(&w, &args, cases[0].fds, 2), IPC9_STATUS_INVALID);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		close(cases[i].fds[1]);
	close(good);
	close(other);
	close(open_end);
	close(no_writes);
	close(longer);
	end(&w);
}

static void test_arguments_that_do_not_go_together_are_refused(void)
{
	static const struct {
		int kind;
		unsigned flags, rights;
		uint64_t size;
		unsigned maximum, descriptors;
	} cases[] = {
		{ 0, 0, 3, SIZE, 0, 2 },
		{ 5, 0, 3, SIZE, 0, 2 },
		{ IPC9_FILEMAP_MAPPING, 16, 3, SIZE, 0, 2 },
		{ IPC9_FILEMAP_MAPPING, IPC9_FILEMAP_EXISTED, 3, SIZE, 0, 2 },
		{ IPC9_FILEMAP_MAPPING, IPC9_FILEMAP_MANUAL, 3, SIZE, 0, 2 },
		{ IPC9_FILEMAP_MUTEX, IPC9_FILEMAP_FILE, 3, SIZE, 0, 2 },
		{ IPC9_FILEMAP_MAPPING, 0, 2, SIZE, 0, 2 },
		{ IPC9_FILEMAP_MAPPING, 0, 0, SIZE, 0, 2 },
		{ IPC9_FILEMAP_MAPPING, 0, 3, 0, 0, 2 },
		{ IPC9_FILEMAP_MAPPING, 0, 3, UINT64_MAX, 0, 2 },
		{ IPC9_FILEMAP_MAPPING, 0, 3, SIZE, 1, 2 },
		{ IPC9_FILEMAP_SEMAPHORE, 0, 3, SIZE, 0, 2 },
		{ IPC9_FILEMAP_SEMAPHORE, 0, 3, SIZE, 0x80000000, 2 },
		{ IPC9_FILEMAP_MAPPING, 0, 1, SIZE, 0, 1 },
		{ IPC9_FILEMAP_MAPPING, IPC9_FILEMAP_FILE, 3, SIZE, 0, 1 },
		{ IPC9_FILEMAP_MAPPING, 0, 3, SIZE, 0, 3 },
		{ IPC9_FILEMAP_MAPPING, 0, 3, SIZE, 0, 0 },
	};
	int good = memory(SEALS, SIZE), fds[2] = { good, reader_of(good) };
	struct world w;

	begin(&w, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ipc9_filemap_create_args args = { by_hand, cases[i].kind, cases[i].flags,
			cases[i].rights, cases[i].size, cases[i].maximum, cases[i].descriptors,
			NULL };

		if (!EQUAL(create_by_hand(&w, &args, fds, 2), IPC9_STATUS_INVALID))
			printf("  case %zu\n", i);
	}
	close(fds[0]);
	close(fds[1]);
	end(&w);
}

static void test_handles_are_good_on_their_own_connection(void)
{
	ipc9_handle_args args = { 1 };
	struct ipc9_filemap *map;
	ipc9_void_res res = { 0 };
	struct world w;
	CLIENT *c;

	begin(&w, "");
	map = create(&w, "x", 1, 0);
	c = daemon_client(&w.daemon, true, IPC9_PROG_FILEMAP);
	EQUAL(ipc9_filemapproc_close_1(&args, &res, c), RPC_SUCCESS);
	EQUAL(res.status, IPC9_STATUS_NOENT);
	xdr_free((xdrproc_t)xdr_ipc9_void_res, &res);
	clnt_destroy(c);
	EQUAL(open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), 0);
	ipc9_filemap_close(map);
	end(&w);
}

/* --- How much ---------------------------------------------------------------------------------- */

static void test_memory_over_the_share_is_refused_and_nothing_of_it_stays(void)
{
	struct ipc9_filemap_options options = { .size_bytes = 600000 };
	struct ipc9_filemap *map = NULL, *half;
	struct world w;

	begin(&w, "quota_bytes = 1000000\n");
	EQUAL(ipc9_filemap_create(w.ipc9, "x", &options, &map, &w.error), IPC9_E_QUOTA);
	HOLDS(strstr(w.error.text, "bytes"));
	EQUAL(open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_NOENT);
	half = create(&w, "x", 400000, 0);
	EQUAL(ipc9_filemap_create(w.ipc9, "y", &options, &map, &w.error), IPC9_E_QUOTA);
	ipc9_filemap_close(half);
	half = create(&w, "y", 400000, 0);
	ipc9_filemap_close(half);
	end(&w);
}

static void test_the_daemons_descriptors_have_a_bound(void)
{
	struct ipc9_filemap_options options = { .size_bytes = 1 };
	struct ipc9_filemap *maps[8] = { NULL };
	struct world w;
	char name[8];
	int r = 0, n = 0;

	begin(&w, "quota_descriptors = 10\n");
	while (!r && n < 8) {
		text_format(name, sizeof(name), "%d", n);
		r = ipc9_filemap_create(w.ipc9, name, &options, &maps[n], &w.error);
		n += !r;
	}
	EQUAL(r, IPC9_E_QUOTA);
	HOLDS(strstr(w.error.text, "descriptors"));
	HOLDS(n >= 2 && n <= 5);
	while (n-- > 0)
		ipc9_filemap_close(maps[n]);
	ipc9_filemap_close(create(&w, "again", 1, 0));
	end(&w);
}

SUITE(filemap, TEST(test_two_programs_share_the_bytes),
    TEST(test_creating_what_is_there_opens_it_as_it_is),
    TEST(test_names_are_told_apart_by_case_and_by_kind_alone),
    TEST(test_a_list_given_to_what_is_there_has_to_be_its_own),
    TEST(test_the_name_goes_with_the_last_handle_or_view),
    TEST(test_a_killed_program_holds_nothing), TEST(test_what_is_kept_stays_until_it_is_removed),
    TEST(test_what_is_open_goes_on_without_the_daemon),
    TEST(test_a_program_may_have_more_objects_than_connections),
    TEST(test_a_view_begins_at_a_page_and_ends_within), TEST(test_a_copy_is_the_views_own),
    TEST(test_who_opened_to_read_cannot_write), TEST(test_memory_neither_shrinks_nor_grows),
    TEST(test_another_user_reads_what_the_list_admits_and_cannot_make_it_writable),
    TEST(test_a_file_is_written_through_its_mapping),
    TEST(test_a_file_grows_to_the_size_asked_for_and_only_for_writing),
    TEST(test_a_file_mapped_to_be_read_is_written_by_nobody),
    TEST(test_what_is_no_file_or_empty_is_refused),
    TEST(test_names_of_other_hosts_are_refused_as_local_only),
    TEST(test_nothing_is_served_over_tcp), TEST(test_what_makes_no_sense_is_refused_by_the_library),
    TEST(test_descriptors_that_are_not_what_they_should_be_are_refused),
    TEST(test_arguments_that_do_not_go_together_are_refused),
    TEST(test_handles_are_good_on_their_own_connection),
    TEST(test_memory_over_the_share_is_refused_and_nothing_of_it_stays),
    TEST(test_the_daemons_descriptors_have_a_bound));
