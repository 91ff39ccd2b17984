/* SPDX-License-Identifier: BSD-3-Clause */
/* scenario.c - see scenario.h. */
#include "tests/faults/scenario.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util/text.h"

#define TIMEOUT_MS 20000 /* as good as never: who waits so long was forgotten */
#define BIG 150000
#define LITTLE "a little text"
#define TRIES 100 /* of a datagram */
#define TRY_MS 20

/* Does a step, and leaves the function at its first failure. */
#define STEP(s, call)                                                                              \
	do {                                                                                       \
		if (failed(s, call, #call))                                                        \
			goto out;                                                                  \
	} while (0)

/* Notes what a value should have been. */
#define SAME(s, condition)                                                                         \
	do {                                                                                       \
		if (!(condition) && !(s)->wrong[0])                                                \
			text_format((s)->wrong, sizeof((s)->wrong), "%s:%d: not so: %s", __FILE__, \
			    __LINE__, #condition);                                                 \
	} while (0)

static char big[BIG], got[BIG + 1];
static struct ipc9_error error;

static const char *const rules[] = { "allow anyone all", "deny uid:4294967294 write" };

static bool failed(struct scenario *s, int code, const char *step)
{
	if (code && !s->first.code) {
		s->first = error;
		s->first.code = code;
		text_format(s->step, sizeof(s->step), "%s", step);
	}
	return code != 0;
}

/* A wait that nothing ends: to be told so is what should come. */
static int timed_out(int code)
{
	return code == IPC9_E_TIMEDOUT ? 0 : code ? code : IPC9_E_INVALID;
}

static const char *on(const struct scenario *s, bool local, const char *object, char text[128])
{
	if (local)
		text_format(text, 128, "//./%s", object);
	else
		text_format(text, 128, "//127.0.0.1:%u/%s", s->port, object);
	return text;
}

/* --- Access lists ------------------------------------------------------------------------------ */

static void use_lists(struct scenario *s, struct ipc9 *c, const char *object)
{
	struct ipc9_acl_listing *l = NULL;
	struct ipc9_acl_verdict verdict;

	STEP(s, ipc9_acl_set(c, object, rules, 2, &error));
	STEP(s, ipc9_acl_get(c, object, &l, &error));
	SAME(s, l->n_rules == 2);
	STEP(s, ipc9_acl_test(c, object, "uid:5", "write", &verdict, &error));
	SAME(s, verdict.allowed);
out:
	ipc9_acl_listing_free(l);
}

/* --- Clipboard --------------------------------------------------------------------------------- */

static int paste(struct ipc9 *c, const char *board, const char *type, size_t *ret_size)
{
	struct ipc9_paste *p = NULL;
	int r = ipc9_paste_begin(c, board, type, &p, &error);
	size_t n = 1;

	*ret_size = 0;
	while (!r && n) {
		r = ipc9_paste_read(p, got + *ret_size, sizeof(got) - *ret_size, &n, &error);
		*ret_size += r ? 0 : n;
	}
	ipc9_paste_free(p);
	return r;
}

static void use_clipboard(struct scenario *s, struct ipc9 *c, bool local)
{
	struct ipc9_clipboard_listing *l = NULL;
	struct ipc9_copy *copy = NULL, *given_up = NULL;
	char board[128];
	size_t n;

	on(s, local, "clipboard/faults", board);
	STEP(s, ipc9_copy_begin(c, board, &given_up, &error));
	STEP(s, ipc9_copy_begin(c, board, &copy, &error));
	STEP(s, ipc9_copy_format(copy, "text/plain", &error));
	STEP(s, ipc9_copy_write(copy, LITTLE, strlen(LITTLE), &error));
	STEP(s, ipc9_copy_format(copy, "image/png", &error));
	STEP(s, ipc9_copy_write(copy, big, BIG, &error));
	STEP(s, ipc9_copy_publish(copy, NULL, &error));
	STEP(s, ipc9_clipboard_list(c, board, &l, &error));
	SAME(s, l->n_formats == 2 && l->formats[1].size_bytes == BIG);
	STEP(s, paste(c, board, "text/plain", &n));
	SAME(s, n == strlen(LITTLE) && memcmp(got, LITTLE, n) == 0);
	STEP(s, paste(c, board, "image/png", &n));
	SAME(s, n == BIG && memcmp(got, big, n) == 0);
	if (local) /* and with a list it stays */
		use_lists(s, c, board);
	STEP(s, ipc9_clipboard_clear(c, board, NULL, &error));
out:
	ipc9_clipboard_listing_free(l);
	ipc9_copy_free(copy);
	ipc9_copy_free(given_up);
}

/* --- Mailslots --------------------------------------------------------------------------------- */

static void expect_message(struct scenario *s, struct ipc9_mailslot *slot, const void *data,
    size_t size)
{
	struct ipc9_mailslot_message m;

	STEP(s, ipc9_mailslot_read(slot, got, sizeof(got), &m, &error));
	SAME(s, m.size_bytes == size && memcmp(got, data, size) == 0);
out:;
}

static void use_mailslot(struct scenario *s, struct ipc9 *owner, struct ipc9 *remote)
{
	const struct ipc9_mailslot_options options = {
		.read_timeout_ms = 1, .rules = rules, .n_rules = 2
	};
	struct ipc9_mailslot_listing *info = NULL, *list = NULL;
	struct ipc9_mailslot_message m;
	struct ipc9_mailslot *slot = NULL;
	char name[128], host[128];

	on(s, false, "mailslot/faults", name);
	on(s, false, "", host);
	STEP(s, ipc9_mailslot_create(owner, "faults", &options, &slot, &error));
	STEP(s, timed_out(ipc9_mailslot_read(slot, got, sizeof(got), &m, &error)));
	STEP(s, ipc9_mailslot_set_timeout(slot, 2, &error));
	STEP(s, ipc9_mailslot_send(owner, "faults", LITTLE, strlen(LITTLE), &error));
	STEP(s, ipc9_mailslot_send(remote, name, big, BIG, &error));
	STEP(s, ipc9_mailslot_send(remote, name, "", 0, &error));
	STEP(s, ipc9_mailslot_info(owner, "faults", &info, &error));
	SAME(s, info->n_slots == 1 && info->slots[0].waiting == 3);
	STEP(s, ipc9_mailslot_list(remote, host, &list, &error));
	expect_message(s, slot, LITTLE, strlen(LITTLE));
	expect_message(s, slot, big, BIG);
	use_lists(s, owner, "//./mailslot/faults");
	/* That it arrives nobody promises. */
	STEP(s, ipc9_mailslot_send(owner, "//@/mailslot/faults", LITTLE, 5, &error));
	STEP(s, ipc9_mailslot_send(owner, "faults", big, BIG, &error));
out:
	ipc9_mailslot_listing_free(info);
	ipc9_mailslot_listing_free(list);
	ipc9_mailslot_close(slot);
}

/* --- Pipes ------------------------------------------------------------------------------------- */

/* Writes at one end and reads it all at the other. */
static void carry(struct scenario *s, struct ipc9_pipe *from, struct ipc9_pipe *to, size_t size)
{
	size_t have = 0, n = 0;

	STEP(s, ipc9_pipe_write(from, big, size / 2, IPC9_FOREVER, NULL, &error));
	STEP(s, ipc9_pipe_write(from, big + size / 2, size - size / 2, IPC9_FOREVER, NULL, &error));
	while (have < size) {
		STEP(s, ipc9_pipe_read(to, got + have, size - have, TIMEOUT_MS, &n, &error));
		have += n;
	}
	SAME(s, memcmp(got, big, size) == 0);
out:;
}

static void use_pipe(struct scenario *s, struct ipc9 *server, struct ipc9 *client,
    enum ipc9_pipe_type type, bool local)
{
	const struct ipc9_pipe_options options = {
		.type = type, .max_instances = 2, .rules = rules, .n_rules = 2
	};
	struct ipc9_pipe *first = NULL, *second = NULL, *opened = NULL;
	struct ipc9_pipe_listing *list = NULL;
	char name[128];
	size_t n;

	on(s, local, "pipe/faults", name);
	STEP(s, ipc9_pipe_create(server, "faults", &options, &first, &error));
	STEP(s, timed_out(ipc9_pipe_accept(first, 1, NULL, &error)));
	STEP(s, ipc9_pipe_create(server, "faults", &options, &second, &error));
	STEP(s, ipc9_pipe_open(client, name, &opened, &error));
	STEP(s, ipc9_pipe_accept(first, TIMEOUT_MS, NULL, &error));
	STEP(s, timed_out(ipc9_pipe_read(opened, got, 1, 1, &n, &error)));
	carry(s, opened, first, 60);
	carry(s, first, opened, BIG);
	STEP(s, timed_out(ipc9_pipe_wait_closed(opened, 1, &error)));
	STEP(s, ipc9_pipe_list(client, NULL, &list, &error));
	use_lists(s, server, "//./pipe/faults");
	STEP(s, ipc9_pipe_write(opened, LITTLE, strlen(LITTLE), IPC9_FOREVER, NULL, &error));
	STEP(s, ipc9_pipe_end(opened, &error));
out:
	ipc9_pipe_listing_free(list);
	ipc9_pipe_close(opened);
	ipc9_pipe_close(first);
	ipc9_pipe_close(second);
}

/* --- The daemon itself ------------------------------------------------------------------------- */

static void use_control(struct scenario *s, struct ipc9 *c, const char *host)
{
	struct ipc9_status *status = NULL;
	struct ipc9_quota_listing *quota = NULL;

	STEP(s, ipc9_status(c, host, &status, &error));
	STEP(s, ipc9_quota_list(c, host, &quota, &error));
out:
	ipc9_status_free(status);
	ipc9_quota_listing_free(quota);
}

static void use_bench(struct scenario *s, struct ipc9 *c, const char *host)
{
	struct ipc9_bench *b = NULL;
	struct ipc9_bench_result result;

	STEP(s, ipc9_bench_open(c, host, &b, &error));
	STEP(s, ipc9_bench_calls(b, 100, 1, &result, &error));
	STEP(s, ipc9_bench_raw_calls(b, 100, 1, &result, &error));
	STEP(s, ipc9_bench_raw_stream(b, 1, &result, &error));
out:
	ipc9_bench_close(b);
}

/* Another kind of object under a mutex, and a descriptor that tells of it. */
static void use_sync(struct scenario *s, struct ipc9 *c)
{
	const struct ipc9_sync_options count = { .initial = 1, .maximum = 2 };
	struct ipc9_sync *both[2] = { NULL };
	struct pollfd p = { .events = POLLIN };
	size_t index;

	STEP(s, ipc9_sync_create(c, "mutex", IPC9_SYNC_MUTEX, NULL, &both[0], &error));
	STEP(s, ipc9_sync_create(c, "count", IPC9_SYNC_SEMAPHORE, &count, &both[1], &error));
	STEP(s, ipc9_sync_wait(both[0], 0, NULL, &error));
	STEP(s, ipc9_sync_wait_all(both + 1, 1, 0, NULL, &error));
	STEP(s, ipc9_sync_fd(both[1], &p.fd, &error));
	STEP(s, ipc9_sync_release(both[1], 1, NULL, &error));
	SAME(s, poll(&p, 1, TIMEOUT_MS) == 1);
	STEP(s, ipc9_sync_wait_any(both + 1, 1, 0, &index, NULL, &error));
	STEP(s, timed_out(ipc9_sync_wait(both[1], 0, NULL, &error)));
	STEP(s, ipc9_sync_release(both[0], 1, NULL, &error));
out:
	ipc9_sync_close(both[0]);
	ipc9_sync_close(both[1]);
}

static void use_filemap(struct scenario *s, struct ipc9 *c)
{
	const struct ipc9_filemap_options options = {
		.size_bytes = BIG, .flags = IPC9_FILEMAP_CREATE_KEEP, .rules = rules, .n_rules = 1
	};
	struct ipc9_filemap_listing *l = NULL;
	struct ipc9_filemap *map = NULL, *same = NULL;
	struct ipc9_filemap_view *v = NULL, *copy = NULL;

	STEP(s, ipc9_filemap_create(c, "memory", &options, &map, &error));
	STEP(s, ipc9_filemap_open(c, "memory", IPC9_FILEMAP_ACCESS_READ, &same, &error));
	STEP(s, ipc9_filemap_map(map, 0, 0, 0, &v, &error));
	STEP(s, ipc9_filemap_map(same, IPC9_FILEMAP_ACCESS_COPY, 0, 0, &copy, &error));
	memcpy(ipc9_filemap_data(v), big, BIG);
	SAME(s, memcmp(ipc9_filemap_data(copy), big, BIG) == 0);
	STEP(s, ipc9_filemap_list(c, &l, &error));
	SAME(s, l->n_objects == 1 && l->objects[0].holders == 2);
	use_sync(s, c);
out:
	ipc9_filemap_unmap(v);
	ipc9_filemap_unmap(copy);
	ipc9_filemap_close(map);
	ipc9_filemap_close(same);
	ipc9_filemap_listing_free(l);
	ipc9_filemap_remove(c, "memory", NULL);
}

/* The NULL procedure of the clipboard by UDP; what is lost is asked for again. */
static void use_datagrams(struct scenario *s)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons(s->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	uint32_t call[10] = { 0, 0, htonl(2), htonl(0x20490001), htonl(1) }, answer[6];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), tries = 0;
	struct pollfd p = { .fd = fd, .events = POLLIN };

	for (; fd >= 0 && tries < TRIES; tries++) {
		call[0] = (uint32_t)tries;
		sendto(fd, call, sizeof(call), 0, (const struct sockaddr *)&to, sizeof(to));
		if (poll(&p, 1, TRY_MS) > 0 && recv(fd, answer, sizeof(answer), 0) > 0)
			break;
	}
	SAME(s, fd < 0 || tries < TRIES);
	if (fd >= 0)
		close(fd);
}

/* --- All of it --------------------------------------------------------------------------------- */

void scenario_run(struct scenario *s)
{
	const struct ipc9_options options = { .timeout_ms = TIMEOUT_MS, .socket = s->socket };
	struct ipc9 *one = NULL, *other = NULL;
	char host[64];

	memset(&s->first, 0, sizeof(s->first));
	s->step[0] = s->wrong[0] = '\0';
	for (size_t i = 0; i < BIG; i++)
		big[i] = (char)(i * 7 + i / 256);
	text_format(host, sizeof(host), "//127.0.0.1:%u", s->port);
	STEP(s, ipc9_new(&options, &one, &error));
	STEP(s, ipc9_new(&options, &other, &error));
	use_clipboard(s, one, true);
	use_clipboard(s, other, false);
	use_mailslot(s, one, other);
	use_pipe(s, one, one, IPC9_PIPE_TYPE_BYTE, true);
	use_pipe(s, one, other, IPC9_PIPE_TYPE_BYTE, false);
	use_pipe(s, one, other, IPC9_PIPE_TYPE_MESSAGE, true);
	use_pipe(s, one, other, IPC9_PIPE_TYPE_MESSAGE, false);
	use_filemap(s, one);
	use_control(s, one, NULL);
	use_control(s, other, host);
	use_bench(s, one, NULL);
	use_bench(s, other, host);
	use_datagrams(s);
out:
	ipc9_free(one);
	ipc9_free(other);
}

void scenario_clear(const struct scenario *s)
{
	const struct ipc9_options options = { .timeout_ms = TIMEOUT_MS, .socket = s->socket };
	struct ipc9 *c;

	if (ipc9_new(&options, &c, &error))
		return;
	ipc9_clipboard_clear(c, "//./clipboard/faults", NULL, &error);
	ipc9_filemap_remove(c, "memory", &error);
	ipc9_free(c);
}

/* --- What is in use ---------------------------------------------------------------------------- */

static bool is_of_now(const char *counter)
{
	static const char *const kinds[] = { "clipboard.", "mailslot.slots", "mailslot.messages",
		"mailslot.bytes", "pipe.", "bench.", "filemap." };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strncmp(counter, kinds[i], strlen(kinds[i])) == 0)
			return true;
	return false;
}

static void add_use(char *text, size_t size, const char *what, const struct ipc9_quota_use *u)
{
	size_t len = strlen(text);

	text_format(text + len, size - len, "%s %llu\n", what, (unsigned long long)u->used);
}

int scenario_state(const struct scenario *s, char *text, size_t size, struct ipc9_error *e)
{
	const struct ipc9_options options = { .timeout_ms = TIMEOUT_MS, .socket = s->socket };
	struct ipc9_quota_listing *quota = NULL;
	struct ipc9_status *status = NULL;
	struct ipc9 *c = NULL;
	int r = ipc9_new(&options, &c, e);

	text[0] = '\0';
	if (!r)
		r = ipc9_status(c, NULL, &status, e);
	if (!r)
		r = ipc9_quota_list(c, NULL, &quota, e);
	for (size_t i = 0; !r && i < status->n_counters; i++) {
		size_t len = strlen(text);

		if (is_of_now(status->counters[i].name))
			text_format(text + len, size - len, "%s %llu\n", status->counters[i].name,
			    (unsigned long long)status->counters[i].value);
	}
	if (!r) {
		add_use(text, size, "objects", &quota->host.objects);
		add_use(text, size, "payload", &quota->host.bytes);
		add_use(text, size, "calls that wait", &quota->host.waiting);
		add_use(text, size, "connections", &quota->host.connections);
	}
	ipc9_status_free(status);
	ipc9_quota_listing_free(quota);
	ipc9_free(c);
	return r;
}
