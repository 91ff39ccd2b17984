/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_filemap.c - mappings as programs use them, against a real daemon.  Files, and what is refused: test_filemap_file.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness.h"
#include "tests/memory.h"
#include "tests/process.h"
#include "util/text.h"

#define SIZE 100000

struct question {
	struct world *w;
	const char *name;
};

static bool is_gone(void *q)
{
	struct question *question = q;

	return memory_open_status(question->w, question->name, IPC9_FILEMAP_ACCESS_READ) ==
	    IPC9_E_NOENT;
}

/* --- Sharing ----------------------------------------------------------------------------------- */

static int write_from_elsewhere(struct process *self, void *socket)
{
	struct ipc9 *ipc9 = memory_context(socket);
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

	memory_begin(&w, "");
	map = memory_create(&w, "frame", SIZE, 0);
	HOLDS(!ipc9_filemap_existed(map));
	EQUAL(ipc9_filemap_owner(map)->uid, geteuid());
	v = memory_view(&w, map, 0);
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
	memory_end(&w);
}

static void test_creating_what_is_there_opens_it_as_it_is(void)
{
	struct ipc9_filemap_options options = { .size_bytes = 5, .flags = IPC9_FILEMAP_CREATE_NEW };
	struct ipc9_filemap *map, *same, *none = NULL;
	struct world w;

	memory_begin(&w, "");
	map = memory_create(&w, "x", SIZE, 0);
	same = memory_create(&w, "x", 5, 0);
	HOLDS(ipc9_filemap_existed(same));
	EQUAL(ipc9_filemap_size_bytes(same), SIZE);
	EQUAL(ipc9_filemap_create(w.ipc9, "x", &options, &none, &w.error), IPC9_E_EXISTS);
	ipc9_filemap_close(same);
	ipc9_filemap_close(map);
	memory_end(&w);
}

static void test_names_are_told_apart_by_case_and_by_kind_alone(void)
{
	struct ipc9_filemap *map, *other;
	struct ipc9_sync *sync = NULL;
	struct world w;

	memory_begin(&w, "");
	map = memory_create(&w, "Frame", SIZE, 0);
	EQUAL(memory_open_status(&w, "frame", IPC9_FILEMAP_ACCESS_READ), IPC9_E_NOENT);
	other = memory_create(&w, "frame", 1, 0);
	EQUAL(ipc9_filemap_size_bytes(other), 1);
	EQUAL(ipc9_sync_create(w.ipc9, "Frame", IPC9_SYNC_MUTEX, NULL, &sync, &w.error),
	    IPC9_E_BADSTATE);
	HOLDS(strstr(w.error.text, "is a mapping, not a mutex"));
	EQUAL(ipc9_sync_create(w.ipc9, "lock", IPC9_SYNC_MUTEX, NULL, &sync, &w.error), 0);
	EQUAL(memory_open_status(&w, "lock", IPC9_FILEMAP_ACCESS_READ), IPC9_E_BADSTATE);
	ipc9_sync_close(sync);
	ipc9_filemap_close(map);
	ipc9_filemap_close(other);
	memory_end(&w);
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

	memory_begin(&w, "");
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
	memory_end(&w);
}

/* --- Life -------------------------------------------------------------------------------------- */

static void test_the_name_goes_with_the_last_handle_or_view(void)
{
	struct ipc9_filemap *map, *second;
	struct ipc9_filemap_view *v;
	struct world w;

	memory_begin(&w, "");
	map = memory_create(&w, "x", SIZE, 0);
	second = memory_create(&w, "x", SIZE, 0);
	ipc9_filemap_close(map);
	v = memory_view(&w, second, 0);
	EQUAL(ipc9_filemap_close(second) == NULL, true);
	EQUAL(memory_open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), 0);
	memset(ipc9_filemap_data(v), 1, SIZE);
	ipc9_filemap_unmap(v);
	EQUAL(memory_open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_NOENT);
	memory_end(&w);
}

static int hold_until_killed(struct process *self, void *socket)
{
	struct ipc9_filemap_options options = { .size_bytes = SIZE };
	struct ipc9 *ipc9 = memory_context(socket);
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

	memory_begin(&w, "");
	process_start(&other, hold_until_killed, &w.daemon);
	EQUAL(process_hear(&other), 'h');
	map = NULL;
	EQUAL(ipc9_filemap_open(w.ipc9, "x", IPC9_FILEMAP_ACCESS_WRITE, &map, &w.error), 0);
	process_kill(&other);
	/* Who opened it has it still. */
	EQUAL(memory_open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), 0);
	ipc9_filemap_close(map);
	HOLDS(wait_until(is_gone, &gone, 20000));
	memory_end(&w);
}

static void test_what_is_kept_stays_until_it_is_removed(void)
{
	struct ipc9_filemap *map, *next;
	struct ipc9_filemap_view *v, *of_next;
	struct ipc9_filemap_listing *listing = NULL;
	struct world w;

	memory_begin(&w, "");
	map = memory_create(&w, "x", SIZE, IPC9_FILEMAP_CREATE_KEEP);
	v = memory_view(&w, map, 0);
	memcpy(ipc9_filemap_data(v), "kept", 5);
	ipc9_filemap_unmap(v);
	ipc9_filemap_close(map);
	EQUAL(ipc9_filemap_info(w.ipc9, "x", &listing, &w.error), 0);
	EQUAL(listing->objects[0].holders, 0);
	HOLDS(listing->objects[0].kept);
	ipc9_filemap_listing_free(listing);
	map = memory_create(&w, "x", SIZE, 0);
	v = memory_view(&w, map, 0);
	SAME_TEXT(ipc9_filemap_data(v), "kept");
	EQUAL(ipc9_filemap_remove(w.ipc9, "x", &w.error), 0);
	EQUAL(ipc9_filemap_remove(w.ipc9, "x", &w.error), IPC9_E_NOENT);
	EQUAL(memory_open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_NOENT);
	/* The name is another's now, and who had the first keeps it. */
	next = memory_create(&w, "x", 10, 0);
	HOLDS(!ipc9_filemap_existed(next));
	of_next = memory_view(&w, next, 0);
	SAME_TEXT(ipc9_filemap_data(v), "kept");
	EQUAL(((char *)ipc9_filemap_data(of_next))[0], 0);
	ipc9_filemap_unmap(of_next);
	ipc9_filemap_unmap(v);
	ipc9_filemap_close(map);
	ipc9_filemap_close(next);
	memory_end(&w);
}

static void test_what_is_open_goes_on_without_the_daemon(void)
{
	struct ipc9_filemap_view *v;
	struct ipc9_filemap *map;
	struct world w;

	memory_begin(&w, "");
	map = memory_create(&w, "x", SIZE, 0);
	v = memory_view(&w, map, 0);
	daemon_kill(&w.daemon);
	memset(ipc9_filemap_data(v), 'x', SIZE);
	ipc9_filemap_unmap(v);
	v = memory_view(&w, map, IPC9_FILEMAP_ACCESS_READ);
	EQUAL(((char *)ipc9_filemap_data(v))[SIZE - 1], 'x');
	ipc9_filemap_unmap(v);
	EQUAL(memory_open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_NODAEMON);
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

	memory_begin(&w, "local_connections = 8\n");
	for (int i = 0; i < N; i++) {
		text_format(name, sizeof(name), "map %03d", i);
		maps[i] = memory_create(&w, name, 1, 0);
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
	memory_end(&w);
}

/* --- Views ------------------------------------------------------------------------------------- */

static void test_a_view_begins_at_a_page_and_ends_within(void)
{
	struct ipc9_filemap_view *v = NULL;
	struct ipc9_filemap *map;
	struct world w;
	size_t size;

	memory_begin(&w, "");
	size = 3 * w.page + 10;
	map = memory_create(&w, "x", size, 0);
	EQUAL(memory_view_status(&w, map, 0, 1, 1), IPC9_E_INVALID);
	EQUAL(memory_view_status(&w, map, 0, 0, size), 0);
	EQUAL(memory_view_status(&w, map, 0, 0, size + 1), IPC9_E_INVALID);
	EQUAL(memory_view_status(&w, map, 0, w.page, size - w.page + 1), IPC9_E_INVALID);
	EQUAL(memory_view_status(&w, map, 0, 3 * w.page, 10), 0);
	EQUAL(memory_view_status(&w, map, 0, 3 * w.page, 11), IPC9_E_INVALID);
	EQUAL(memory_view_status(&w, map, 0, 4 * w.page, 0), IPC9_E_INVALID);
	EQUAL(memory_view_status(&w, map, 0, UINT64_MAX - w.page + 1, 1), IPC9_E_INVALID);
	EQUAL(memory_view_status(&w, map, (enum ipc9_filemap_access)7, 0, 0), IPC9_E_INVALID);
	EQUAL(ipc9_filemap_map(map, 0, 3 * w.page, 0, &v, &w.error), 0);
	EQUAL(ipc9_filemap_view_bytes(v), 10);
	EQUAL(ipc9_filemap_flush(v, 10, 0, &w.error), 0);
	EQUAL(ipc9_filemap_flush(v, 3, 7, &w.error), 0);
	EQUAL(ipc9_filemap_flush(v, 3, 8, &w.error), IPC9_E_INVALID);
	EQUAL(ipc9_filemap_flush(v, 11, 0, &w.error), IPC9_E_INVALID);
	ipc9_filemap_unmap(v);
	ipc9_filemap_close(map);
	memory_end(&w);
}

static void test_a_copy_is_the_views_own(void)
{
	struct ipc9_filemap_view *v, *copy;
	struct ipc9_filemap *map;
	struct world w;

	memory_begin(&w, "");
	map = memory_create(&w, "x", SIZE, 0);
	v = memory_view(&w, map, 0);
	copy = memory_view(&w, map, IPC9_FILEMAP_ACCESS_COPY);
	memset(ipc9_filemap_data(v), 'a', SIZE);
	EQUAL(((char *)ipc9_filemap_data(copy))[5], 'a');
	((char *)ipc9_filemap_data(copy))[5] = 'b';
	EQUAL(((char *)ipc9_filemap_data(v))[5], 'a');
	EQUAL(ipc9_filemap_flush(copy, 0, 0, &w.error), IPC9_E_BADSTATE);
	ipc9_filemap_unmap(copy);
	ipc9_filemap_unmap(v);
	ipc9_filemap_close(map);
	memory_end(&w);
}

/* --- A daemon that is late --------------------------------------------------------------------- */

#define PATIENCE_MS 50

static struct ipc9 *impatient(const struct world *w)
{
	struct ipc9_options options = { .timeout_ms = PATIENCE_MS, .socket = w->daemon.socket };
	struct ipc9 *ipc9 = NULL;

	EQUAL(ipc9_new(&options, &ipc9, NULL), 0);
	return ipc9;
}

/* How many hold a name; 0: there is none. */
static uint32_t holders(struct world *w, const char *name)
{
	struct ipc9_filemap_listing *listing;
	uint32_t n;

	if (ipc9_filemap_info(w->ipc9, name, &listing, &w->error))
		return 0;
	n = listing->objects[0].holders;
	ipc9_filemap_listing_free(listing);
	return n;
}

static bool is_held_by_nobody(void *q)
{
	struct question *question = q;

	return holders(question->w, question->name) == 0;
}

static void test_a_late_daemon_costs_no_name_that_is_held(void)
{
	enum {
		MANY = 400 /* more than its socket takes while nobody reads */
	};
	struct ipc9_filemap_options options = { .size_bytes = 10 };
	struct ipc9_filemap *held = NULL, *late = NULL, *closed[MANY];
	struct ipc9 *ipc9;
	struct world w;

	memory_begin(&w, "quota_objects = 2000\nquota_descriptors = 2000\n");
	ipc9 = impatient(&w);
	EQUAL(ipc9_filemap_create(ipc9, "held", &options, &held, &w.error), 0);
	EQUAL(ipc9_filemap_create(ipc9, "closed", &options, &closed[0], &w.error), 0);
	for (int i = 1; i < MANY; i++)
		EQUAL(ipc9_filemap_open(ipc9, "closed", IPC9_FILEMAP_ACCESS_READ, &closed[i],
			  &w.error),
		    0);
	EQUAL(kill(w.daemon.pid, SIGSTOP), 0);
	for (int i = 0; i < MANY; i++)
		ipc9_filemap_close(closed[i]);
	for (int i = 0; i < 2; i++)
		EQUAL(ipc9_filemap_create(ipc9, "late", &options, &late, &w.error),
		    IPC9_E_NODAEMON);
	EQUAL(kill(w.daemon.pid, SIGCONT), 0);
	/* What answers late is undone by the next exchange, and what was closed is, too. */
	EQUAL(ipc9_filemap_create(ipc9, "next", &options, &late, &w.error), 0);
	EQUAL(holders(&w, "held"), 1);
	EQUAL(holders(&w, "next"), 1);
	HOLDS(wait_until(is_held_by_nobody, &(struct question){ &w, "closed" }, LONG_MS));
	HOLDS(wait_until(is_held_by_nobody, &(struct question){ &w, "late" }, LONG_MS));
	ipc9_filemap_close(late);
	EQUAL(holders(&w, "next"), 0);
	ipc9_filemap_close(held);
	EQUAL(holders(&w, "held"), 0);
	ipc9_free(ipc9);
	memory_end(&w);
}

static void test_what_a_late_daemon_makes_for_who_holds_nothing_is_undone_at_once(void)
{
	struct ipc9_filemap_options options = { .size_bytes = 10 };
	struct ipc9_filemap *late = NULL;
	struct ipc9 *ipc9;
	struct world w;

	memory_begin(&w, "");
	ipc9 = impatient(&w);
	EQUAL(ipc9_filemap_create(ipc9, "first", &options, &late, &w.error), 0);
	ipc9_filemap_close(late);
	EQUAL(kill(w.daemon.pid, SIGSTOP), 0);
	EQUAL(ipc9_filemap_create(ipc9, "late", &options, &late, &w.error), IPC9_E_NODAEMON);
	EQUAL(kill(w.daemon.pid, SIGCONT), 0);
	HOLDS(wait_until(is_held_by_nobody, &(struct question){ &w, "late" }, LONG_MS));
	EQUAL(ipc9_filemap_create(ipc9, "late", &options, &late, &w.error), 0);
	HOLDS(!ipc9_filemap_existed(late));
	ipc9_filemap_close(late);
	ipc9_free(ipc9);
	memory_end(&w);
}

/* --- Rights ------------------------------------------------------------------------------------ */

static void test_who_opened_to_read_cannot_write(void)
{
	struct ipc9_filemap *map, *reader = NULL;
	struct world w;
	void *data;
	int fd;

	memory_begin(&w, "");
	map = memory_create(&w, "x", SIZE, 0);
	EQUAL(ipc9_filemap_open(w.ipc9, "x", IPC9_FILEMAP_ACCESS_READ, &reader, &w.error), 0);
	EQUAL(memory_view_status(&w, reader, IPC9_FILEMAP_ACCESS_WRITE, 0, 0), IPC9_E_ACCESS);
	EQUAL(memory_view_status(&w, reader, IPC9_FILEMAP_ACCESS_READ, 0, 0), 0);
	EQUAL(memory_view_status(&w, reader, IPC9_FILEMAP_ACCESS_COPY, 0, 0), 0);
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
	memory_end(&w);
}

static void test_memory_neither_shrinks_nor_grows(void)
{
	struct ipc9_filemap *map;
	struct world w;

	memory_begin(&w, "");
	map = memory_create(&w, "x", SIZE, 0);
	EQUAL(ftruncate(ipc9_filemap_fd(map), SIZE - 1), -1);
	EQUAL(ftruncate(ipc9_filemap_fd(map), SIZE + 1), -1);
	EQUAL(fcntl(ipc9_filemap_fd(map), F_ADD_SEALS, F_SEAL_FUTURE_WRITE), -1);
	ipc9_filemap_close(map);
	memory_end(&w);
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
	ipc9 = memory_context(socket);
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
	memory_begin(&w, "");
	EQUAL(chmod(w.daemon.folder, 0711), 0);
	closed = memory_create(&w, "closed", SIZE, 0);
	options.rules = rules;
	options.n_rules = 1;
	EQUAL(ipc9_filemap_create(w.ipc9, "open", &options, &map, &w.error), 0);
	process_start(&other, try_as_other, &w.daemon);
	process_end(&other);
	ipc9_filemap_close(map);
	ipc9_filemap_close(closed);
	memory_end(&w);
}

SUITE(filemap, TEST(test_two_programs_share_the_bytes),
    TEST(test_creating_what_is_there_opens_it_as_it_is),
    TEST(test_names_are_told_apart_by_case_and_by_kind_alone),
    TEST(test_a_list_given_to_what_is_there_has_to_be_its_own),
    TEST(test_the_name_goes_with_the_last_handle_or_view),
    TEST(test_a_killed_program_holds_nothing), TEST(test_what_is_kept_stays_until_it_is_removed),
    TEST(test_what_is_open_goes_on_without_the_daemon),
    TEST(test_a_program_may_have_more_objects_than_connections),
    TEST(test_a_late_daemon_costs_no_name_that_is_held),
    TEST(test_what_a_late_daemon_makes_for_who_holds_nothing_is_undone_at_once),
    TEST(test_a_view_begins_at_a_page_and_ends_within), TEST(test_a_copy_is_the_views_own),
    TEST(test_who_opened_to_read_cannot_write), TEST(test_memory_neither_shrinks_nor_grows),
    TEST(test_another_user_reads_what_the_list_admits_and_cannot_make_it_writable));
