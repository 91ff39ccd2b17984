/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_filemap_file.c - mapped files, what is refused, and filemap.x where a client does what the library does not.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rpcgen-out/filemap.h"
#include "tests/harness.h"
#include "tests/memory.h"
#include "transport/channel.h"
#include "transport/descriptors.h"
#include "util/clock.h"
#include "util/text.h"

#define SIZE 100000

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

	memory_begin(&w, "");
	file_make(&w, &f, "0123456789");
	EQUAL(map_file(&w, &f, 0, IPC9_FILEMAP_ACCESS_WRITE, &map), 0);
	EQUAL(ipc9_filemap_size_bytes(map), 10);
	v = memory_view(&w, map, 0);
	memcpy(ipc9_filemap_data(v), "abc", 3);
	EQUAL(ipc9_filemap_flush(v, 0, 0, &w.error), 0);
	fd = open(f.path, O_RDONLY | O_CLOEXEC);
	EQUAL(read(fd, got, sizeof(got) - 1), 10);
	SAME_TEXT(got, "abc3456789");
	close(fd);
	ipc9_filemap_unmap(v);
	ipc9_filemap_close(map);
	unlink(f.path);
	memory_end(&w);
}

static void test_a_file_grows_to_the_size_asked_for_and_only_for_writing(void)
{
	struct ipc9_filemap *map = NULL;
	struct world w;
	struct file f;
	struct stat s;

	memory_begin(&w, "");
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
	EQUAL(memory_view_status(&w, map, 0, 0, 0), IPC9_E_INVALID);
	EQUAL(memory_view_status(&w, map, 0, 0, 100), 0);
	ipc9_filemap_close(map);
	/* There is not so much room anywhere. */
	EQUAL(map_file(&w, &f, INT64_MAX, IPC9_FILEMAP_ACCESS_WRITE, &map) < 0, true);
	EQUAL(stat(f.path, &s), 0);
	EQUAL(s.st_size, 100);
	unlink(f.path);
	memory_end(&w);
}

static off_t length_of(const struct file *f)
{
	struct stat s;

	return stat(f->path, &s) ? -1 : s.st_size;
}

static int make_another(struct world *w, int n, struct ipc9_filemap **ret)
{
	struct ipc9_filemap_options options = { .size_bytes = 1 };
	char name[16];

	text_format(name, sizeof(name), "%d", n);
	return ipc9_filemap_create(w->ipc9, name, &options, ret, &w->error);
}

static void test_a_file_is_as_long_as_it_was_where_no_mapping_is_made(void)
{
	static const char *const rules[] = { "allow uid:1 read" };
	struct ipc9_filemap_options options = { .size_bytes = 5000 };
	struct ipc9_filemap *map, *many[20], *none = NULL;
	struct world w;
	struct file f;
	int n = 0, fd;

	memory_begin(&w, "quota_descriptors = 20\n");
	file_make(&w, &f, "abc");
	options.file = f.path;
	map = memory_create(&w, "there", SIZE, 0);
	options.flags = IPC9_FILEMAP_CREATE_NEW;
	EQUAL(ipc9_filemap_create(w.ipc9, "there", &options, &none, &w.error), IPC9_E_EXISTS);
	EQUAL(length_of(&f), 3);
	options.flags = 0;
	EQUAL(ipc9_filemap_create(w.ipc9, "there", &options, &none, &w.error), 0);
	ipc9_filemap_close(none);
	EQUAL(length_of(&f), 3);
	options.rules = rules;
	options.n_rules = 1;
	HOLDS(ipc9_filemap_create(w.ipc9, "there", &options, &none, &w.error) != 0);
	EQUAL(length_of(&f), 3);
	/* What is refused when it is long enough: it is cut again, unless somebody else has it open. */
	options.n_rules = 0;
	options.rules = NULL;
	while (n < 20 && !make_another(&w, n, &many[n]))
		n++;
	HOLDS(n > 0 && n < 20);
	EQUAL(ipc9_filemap_create(w.ipc9, "new", &options, &none, &w.error), IPC9_E_QUOTA);
	HOLDS(!strstr(w.error.text, "longer"));
	EQUAL(length_of(&f), 3);
	fd = open(f.path, O_RDONLY | O_CLOEXEC);
	EQUAL(ipc9_filemap_create(w.ipc9, "new", &options, &none, &w.error), IPC9_E_QUOTA);
	HOLDS(strstr(w.error.text, "stays so"));
	EQUAL(length_of(&f), 5000);
	close(fd);
	while (n-- > 0)
		ipc9_filemap_close(many[n]);
	ipc9_filemap_close(map);
	unlink(f.path);
	memory_end(&w);
}

static void test_a_file_mapped_to_be_read_is_written_by_nobody(void)
{
	struct ipc9_filemap_listing *listing = NULL;
	struct ipc9_filemap *map = NULL;
	struct world w;
	struct file f;

	memory_begin(&w, "");
	file_make(&w, &f, "abc");
	EQUAL(map_file(&w, &f, 0, IPC9_FILEMAP_ACCESS_READ, &map), 0);
	EQUAL(memory_open_status(&w, "file", IPC9_FILEMAP_ACCESS_READ), 0);
	EQUAL(memory_open_status(&w, "file", IPC9_FILEMAP_ACCESS_COPY), 0);
	EQUAL(memory_open_status(&w, "file", IPC9_FILEMAP_ACCESS_WRITE), IPC9_E_ACCESS);
	EQUAL(ipc9_filemap_info(w.ipc9, "file", &listing, &w.error), 0);
	HOLDS(listing->objects[0].file);
	HOLDS(!listing->objects[0].writable);
	ipc9_filemap_listing_free(listing);
	ipc9_filemap_close(map);
	unlink(f.path);
	memory_end(&w);
}

static void test_what_is_no_file_or_empty_is_refused(void)
{
	struct ipc9_filemap *map = NULL;
	struct file none = { "/nowhere/at all" }, f;
	struct world w;

	memory_begin(&w, "");
	file_make(&w, &f, "");
	EQUAL(map_file(&w, &f, 0, IPC9_FILEMAP_ACCESS_WRITE, &map), IPC9_E_INVALID);
	HOLDS(strstr(w.error.text, "empty"));
	EQUAL(map_file(&w, &none, 0, IPC9_FILEMAP_ACCESS_WRITE, &map), -ENOENT);
	unlink(f.path);
	EQUAL(mkfifo(f.path, 0600), 0);
	EQUAL(map_file(&w, &f, 0, IPC9_FILEMAP_ACCESS_READ, &map), IPC9_E_INVALID);
	unlink(f.path);
	memory_end(&w);
}

/* --- Refusals ---------------------------------------------------------------------------------- */

static void test_names_of_other_hosts_are_refused_as_local_only(void)
{
	struct ipc9_filemap_options options = { .size_bytes = 1 };
	struct ipc9_filemap_listing *listing = NULL;
	struct ipc9_filemap *map = NULL;
	struct ipc9_sync *sync = NULL;
	struct world w;

	memory_begin(&w, "");
	EQUAL(ipc9_filemap_create(w.ipc9, "//h2/filemap/x", &options, &map, &w.error),
	    IPC9_E_UNSUPPORTED);
	HOLDS(strstr(w.error.text, "local only"));
	EQUAL(memory_open_status(&w, "//127.0.0.1/map/x", IPC9_FILEMAP_ACCESS_READ),
	    IPC9_E_UNSUPPORTED);
	EQUAL(ipc9_filemap_remove(w.ipc9, "//h2/map/x", &w.error), IPC9_E_UNSUPPORTED);
	EQUAL(ipc9_filemap_info(w.ipc9, "//h2/map/x", &listing, &w.error), IPC9_E_UNSUPPORTED);
	EQUAL(ipc9_sync_open(w.ipc9, "//h2/map/x", IPC9_SYNC_MUTEX, &sync, &w.error),
	    IPC9_E_UNSUPPORTED);
	EQUAL(memory_open_status(&w, "//@/map/x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_BADNAME);
	EQUAL(memory_open_status(&w, "//./pipe/x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_BADNAME);
	memory_end(&w);
}

static void test_nothing_is_served_over_tcp(void)
{
	ipc9_list_args args = { (char[]){ "" } };
	ipc9_filemap_list_res res = { 0 };
	struct world w;
	CLIENT *c;

	memory_begin(&w, "allow = anyone all\n");
	c = daemon_client(&w.daemon, false, IPC9_PROG_FILEMAP);
	EQUAL(ipc9_filemapproc_list_1(&args, &res, c), RPC_PROCUNAVAIL);
	EQUAL(ipc9_filemapproc_null_1(NULL, NULL, c), RPC_SUCCESS);
	clnt_destroy(c);
	memory_end(&w);
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

	memory_begin(&w, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (!EQUAL(ipc9_filemap_create(w.ipc9, "x", &cases[i].options, &map, &w.error),
			IPC9_E_INVALID))
			printf("  case %zu\n", i);
	EQUAL(memory_open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_NOENT);
	memory_end(&w);
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

	memory_begin(&w, "");
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
	memory_end(&w);
}

/* Touched where the host has none left they raise SIGBUS. */
static void test_memory_of_large_pages_is_refused(void)
{
	const off_t size = 64 << 20; /* of pages of any size; none is taken */
	int fd = memfd_create("large", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB);
	ipc9_filemap_create_args args = usual_args();
	int fds[2] = { fd, -1 };
	struct world w;

	if (fd < 0 || fchmod(fd, 0600) || ftruncate(fd, size) || fcntl(fd, F_ADD_SEALS, SEALS) ||
	    (fds[1] = reader_of(fd)) < 0) {
		close(fd);
		skip_test("the kernel has no memory of large pages");
		return;
	}
	memory_begin(&w, "");
	args.size_bytes = (uint64_t)size;
	EQUAL(create_by_hand(&w, &args, fds, 2), IPC9_STATUS_INVALID);
	close(fds[0]);
	close(fds[1]);
	memory_end(&w);
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

	memory_begin(&w, "");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ipc9_filemap_create_args args = { by_hand, cases[i].kind, cases[i].flags,
			cases[i].rights, cases[i].size, cases[i].maximum, cases[i].descriptors,
			NULL };

		if (!EQUAL(create_by_hand(&w, &args, fds, 2), IPC9_STATUS_INVALID))
			printf("  case %zu\n", i);
	}
	close(fds[0]);
	close(fds[1]);
	memory_end(&w);
}

static void test_handles_are_good_on_their_own_connection(void)
{
	ipc9_handle_args args = { 1 };
	struct ipc9_filemap *map;
	ipc9_void_res res = { 0 };
	struct world w;
	CLIENT *c;

	memory_begin(&w, "");
	map = memory_create(&w, "x", 1, 0);
	c = daemon_client(&w.daemon, true, IPC9_PROG_FILEMAP);
	EQUAL(ipc9_filemapproc_close_1(&args, &res, c), RPC_SUCCESS);
	EQUAL(res.status, IPC9_STATUS_NOENT);
	xdr_free((xdrproc_t)xdr_ipc9_void_res, &res);
	clnt_destroy(c);
	EQUAL(memory_open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), 0);
	ipc9_filemap_close(map);
	memory_end(&w);
}

/* --- How much ---------------------------------------------------------------------------------- */

static void test_memory_over_the_share_is_refused_and_nothing_of_it_stays(void)
{
	struct ipc9_filemap_options options = { .size_bytes = 600000 };
	struct ipc9_filemap *map = NULL, *half;
	struct world w;

	memory_begin(&w, "quota_bytes = 1000000\n");
	EQUAL(ipc9_filemap_create(w.ipc9, "x", &options, &map, &w.error), IPC9_E_QUOTA);
	HOLDS(strstr(w.error.text, "bytes"));
	HOLDS(strstr(w.error.text, "600000 more"));
	EQUAL(memory_open_status(&w, "x", IPC9_FILEMAP_ACCESS_READ), IPC9_E_NOENT);
	half = memory_create(&w, "x", 400000, 0);
	EQUAL(ipc9_filemap_create(w.ipc9, "y", &options, &map, &w.error), IPC9_E_QUOTA);
	ipc9_filemap_close(half);
	half = memory_create(&w, "y", 400000, 0);
	ipc9_filemap_close(half);
	memory_end(&w);
}

static void test_the_daemons_descriptors_have_a_bound(void)
{
	struct ipc9_filemap_options options = { .size_bytes = 1 };
	struct ipc9_filemap *maps[8] = { NULL };
	struct world w;
	char name[8];
	int r = 0, n = 0;

	memory_begin(&w, "quota_descriptors = 10\n");
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
	ipc9_filemap_close(memory_create(&w, "again", 1, 0));
	memory_end(&w);
}

SUITE(filemap_file, TEST(test_a_file_is_written_through_its_mapping),
    TEST(test_a_file_grows_to_the_size_asked_for_and_only_for_writing),
    TEST(test_a_file_is_as_long_as_it_was_where_no_mapping_is_made),
    TEST(test_a_file_mapped_to_be_read_is_written_by_nobody),
    TEST(test_what_is_no_file_or_empty_is_refused),
    TEST(test_names_of_other_hosts_are_refused_as_local_only),
    TEST(test_nothing_is_served_over_tcp), TEST(test_what_makes_no_sense_is_refused_by_the_library),
    TEST(test_descriptors_that_are_not_what_they_should_be_are_refused),
    TEST(test_memory_of_large_pages_is_refused),
    TEST(test_arguments_that_do_not_go_together_are_refused),
    TEST(test_handles_are_good_on_their_own_connection),
    TEST(test_memory_over_the_share_is_refused_and_nothing_of_it_stays),
    TEST(test_the_daemons_descriptors_have_a_bound));
