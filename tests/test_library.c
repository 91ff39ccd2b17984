/* SPDX-License-Identifier: BSD-3-Clause */
/* test_library.c - libipc9 as a program uses it, against a real daemon. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client/ipc9.h"
#include "tests/daemon.h"
#include "tests/harness.h"
#include "util/clock.h"

struct world {
	struct daemon_fixture daemon;
	struct ipc9 *ipc9;
	struct ipc9_error error;
};

static void begin(struct world *w, const char *configuration)
{
	struct ipc9_options options = { .timeout_ms = 5000 };

	memset(w, 0, sizeof(*w));
	daemon_start(&w->daemon, configuration);
	options.socket = w->daemon.socket;
	EQUAL(ipc9_new(&options, &w->ipc9, &w->error), 0);
}

static void end(struct world *w)
{
	ipc9_free(w->ipc9);
	daemon_end(&w->daemon);
}

/* --- Clipboard --------------------------------------------------------------------------------- */

static void test_a_large_copy_comes_back_byte_for_byte(void)
{
	enum {
		SIZE = 20000001
	};
	unsigned char *sent = malloc(SIZE), *got = malloc(SIZE);
	struct ipc9_paste *paste = NULL;
	struct ipc9_copy *copy = NULL;
	struct world w;
	size_t n = 0, part = 1;

	for (size_t i = 0; i < SIZE; i++)
		sent[i] = (unsigned char)(i ^ i >> 8 ^ i >> 16);
	begin(&w, "");
	EQUAL(ipc9_copy_begin(w.ipc9, NULL, &copy, &w.error), 0);
	EQUAL(ipc9_copy_format(copy, "application/x-test", &w.error), 0);
	/* Writes of all sizes, also above what one call carries. */
	for (size_t at = 0; at < SIZE; at += part) {
		part = part * 3 % 3000017 + 1;
		if (part > SIZE - at)
			part = SIZE - at;
		EQUAL(ipc9_copy_write(copy, sent + at, part, &w.error), 0);
	}
	EQUAL(ipc9_copy_publish(copy, NULL, &w.error), 0);
	ipc9_copy_free(copy);
	EQUAL(ipc9_paste_begin(w.ipc9, NULL, NULL, &paste, &w.error), 0);
	EQUAL(ipc9_paste_size_bytes(paste), SIZE);
	SAME_TEXT(ipc9_paste_type(paste), "application/x-test");
	do {
		if (!EQUAL(ipc9_paste_read(paste, got + n, SIZE - n, &part, &w.error), 0))
			break;
		n += part;
	} while (part && n < SIZE);
	SAME_BYTES(got, n, sent, SIZE);
	ipc9_paste_free(paste);
	end(&w);
	free(sent);
	free(got);
}

static void test_a_type_without_parameters_finds_one_that_has_some(void)
{
	struct ipc9_paste *paste = NULL;
	struct ipc9_copy *copy = NULL;
	struct world w;

	begin(&w, "");
	EQUAL(ipc9_paste_begin(w.ipc9, NULL, NULL, &paste, &w.error), IPC9_E_EMPTY);
	EQUAL(ipc9_copy_begin(w.ipc9, NULL, &copy, &w.error), 0);
	EQUAL(ipc9_copy_format(copy, "text/html", &w.error), 0);
	EQUAL(ipc9_copy_write(copy, "<b>", 3, &w.error), 0);
	EQUAL(ipc9_copy_format(copy, "text/plain;charset=utf-8", &w.error), 0);
	EQUAL(ipc9_copy_publish(copy, NULL, &w.error), 0);
	ipc9_copy_free(copy);
	EQUAL(ipc9_paste_begin(w.ipc9, NULL, "Text/Plain", &paste, &w.error), 0);
	SAME_TEXT(ipc9_paste_type(paste), "text/plain;charset=utf-8");
	EQUAL(ipc9_paste_size_bytes(paste), 0); /* an empty format is one */
	ipc9_paste_free(paste);
	EQUAL(ipc9_paste_begin(w.ipc9, NULL, NULL, &paste, &w.error), 0);
	SAME_TEXT(ipc9_paste_type(paste), "text/plain;charset=utf-8");
	ipc9_paste_free(paste);
	EQUAL(ipc9_paste_begin(w.ipc9, NULL, "image/png", &paste, &w.error), IPC9_E_NOFORMAT);
	HOLDS(strstr(w.error.text, "image/png"));
	end(&w);
}

/* --- Mailslots --------------------------------------------------------------------------------- */

static void test_401_bytes_are_refused_before_anything_is_sent(void)
{
	const struct ipc9_mailslot_options options = { .read_timeout_ms = 0 };
	struct ipc9_mailslot *slot = NULL;
	struct ipc9_mailslot_message m;
	static char data[401], got[500];
	struct world w;

	begin(&w, "");
	EQUAL(ipc9_mailslot_create(w.ipc9, "s", &options, &slot, &w.error), 0);
	EQUAL(ipc9_mailslot_send(w.ipc9, "//@/mailslot/s", data, 401, &w.error), IPC9_E_TOOBIG);
	HOLDS(strstr(w.error.text, "400"));
	EQUAL(ipc9_mailslot_read(slot, got, sizeof(got), &m, &w.error), IPC9_E_TIMEDOUT);
	EQUAL(ipc9_mailslot_send(w.ipc9, "//@/mailslot/s", data, 400, &w.error), 0);
	EQUAL(ipc9_mailslot_read(slot, got, sizeof(got), &m, &w.error), 0);
	EQUAL(m.size_bytes, 400);
	EQUAL(m.broadcast, true);
	ipc9_mailslot_close(slot);
	EQUAL(ipc9_mailslot_send(w.ipc9, "s", data, 4, &w.error), IPC9_E_NOENT);
	end(&w);
}

static void test_a_read_waits_as_long_as_it_was_told(void)
{
	const struct ipc9_mailslot_options options = { .read_timeout_ms = 120 };
	struct ipc9_mailslot *slot = NULL;
	struct ipc9_mailslot_message m;
	struct world w;
	int64_t began;
	char got[10];

	begin(&w, "");
	EQUAL(ipc9_mailslot_create(w.ipc9, "s", &options, &slot, &w.error), 0);
	began = clock_now();
	EQUAL(ipc9_mailslot_read(slot, got, sizeof(got), &m, &w.error), IPC9_E_TIMEDOUT);
	HOLDS(clock_now() - began >= 120 * NS_PER_MS);
	EQUAL(ipc9_mailslot_send(w.ipc9, "//./mailslot/S", "01234567890", 11, &w.error), 0);
	EQUAL(ipc9_mailslot_read(slot, got, sizeof(got), &m, &w.error), IPC9_E_TOOSMALL);
	EQUAL(m.size_bytes, 11);
	ipc9_mailslot_close(slot);
	end(&w);
}

/* --- Pipes ------------------------------------------------------------------------------------- */

struct pump {
	struct ipc9_pipe *pipe;
	size_t total;
	unsigned sum;
	int result;
};

static void *write_all(void *context)
{
	static unsigned char data[300000];
	struct pump *p = context;
	struct ipc9_error e;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 13);
	while (p->total < 20000000 && !p->result) {
		p->result = ipc9_pipe_write(p->pipe, data, sizeof(data), IPC9_FOREVER, NULL, &e);
		p->total += sizeof(data);
		for (size_t i = 0; i < sizeof(data); i++)
			p->sum += data[i];
	}
	if (!p->result)
		p->result = ipc9_pipe_end(p->pipe, &e);
	return NULL;
}

static void read_all(struct pump *p)
{
	static unsigned char data[700000];
	struct ipc9_error e;
	size_t n;

	while ((p->result = ipc9_pipe_read(p->pipe, data, sizeof(data), 5000, &n, &e)) == 0) {
		p->total += n;
		for (size_t i = 0; i < n; i++)
			p->sum += data[i];
	}
}

static void test_both_directions_flow_at_the_same_time(void)
{
	struct ipc9_pipe *server = NULL, *client = NULL;
	struct pump pumps[4] = { { 0 } };
	pthread_t threads[2];
	struct world w;

	begin(&w, "");
	EQUAL(ipc9_pipe_create(w.ipc9, "p", NULL, &server, &w.error), 0);
	EQUAL(ipc9_pipe_open(w.ipc9, "p", &client, &w.error), 0);
	EQUAL(ipc9_pipe_accept(server, 1000, NULL, &w.error), 0);
	pumps[0].pipe = pumps[1].pipe = server;
	pumps[2].pipe = pumps[3].pipe = client;
	EQUAL(pthread_create(&threads[0], NULL, write_all, &pumps[0]), 0);
	read_all(&pumps[3]);
	EQUAL(pthread_create(&threads[1], NULL, write_all, &pumps[2]), 0);
	read_all(&pumps[1]);
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	for (int i = 0; i < 4; i++)
		EQUAL(pumps[i].result, i % 2 ? IPC9_E_EOF : 0);
	EQUAL(pumps[3].total, pumps[0].total);
	EQUAL(pumps[3].sum, pumps[0].sum);
	EQUAL(pumps[1].sum, pumps[2].sum);
	ipc9_pipe_close(client);
	EQUAL(ipc9_pipe_wait_closed(server, 2000, &w.error), 0);
	ipc9_pipe_close(server);
	end(&w);
}

static void test_messages_over_the_limit_are_refused_before_anything_is_sent(void)
{
	const struct ipc9_pipe_options options = { .type = IPC9_PIPE_TYPE_MESSAGE };
	static char big[IPC9_MESSAGE_BYTES + 1], got[100];
	struct ipc9_pipe *server = NULL, *client = NULL;
	struct world w;
	size_t n = 1;
	bool more;

	begin(&w, "");
	EQUAL(ipc9_pipe_create(w.ipc9, "p", &options, &server, &w.error), 0);
	EQUAL(ipc9_pipe_open(w.ipc9, "//./pipe/p", &client, &w.error), 0);
	EQUAL(ipc9_pipe_type(client), IPC9_PIPE_TYPE_MESSAGE);
	EQUAL(ipc9_pipe_write(client, big, sizeof(big), IPC9_FOREVER, NULL, &w.error),
	    IPC9_E_TOOBIG);
	EQUAL(ipc9_pipe_write(client, "", 0, IPC9_FOREVER, NULL, &w.error), 0);
	EQUAL(ipc9_pipe_accept(server, 1000, NULL, &w.error), 0);
	EQUAL(ipc9_pipe_read_message(server, got, sizeof(got), 1000, &n, &more, &w.error), 0);
	EQUAL(n, 0);
	EQUAL(ipc9_pipe_read_message(server, got, sizeof(got), 0, &n, &more, &w.error),
	    IPC9_E_TIMEDOUT);
	ipc9_pipe_close(client);
	EQUAL(ipc9_pipe_read_message(server, got, sizeof(got), 0, &n, &more, &w.error), IPC9_E_EOF);
	ipc9_pipe_close(server);
	end(&w);
}

static void *abort_soon(void *context)
{
	struct pollfd nothing = { .fd = -1 };

	poll(&nothing, 1, 50);
	ipc9_pipe_abort(context);
	return NULL;
}

static void test_abort_makes_a_waiting_read_return(void)
{
	struct ipc9_pipe *server = NULL, *client = NULL;
	struct world w;
	pthread_t thread;
	char got[10];
	size_t n;

	begin(&w, "");
	EQUAL(ipc9_pipe_create(w.ipc9, "p", NULL, &server, &w.error), 0);
	EQUAL(ipc9_pipe_open(w.ipc9, "p", &client, &w.error), 0);
	EQUAL(pthread_create(&thread, NULL, abort_soon, client), 0);
	EQUAL(ipc9_pipe_read(client, got, sizeof(got), IPC9_FOREVER, &n, &w.error), IPC9_E_LOST);
	pthread_join(thread, NULL);
	ipc9_pipe_close(client);
	EQUAL(ipc9_pipe_wait_closed(server, 2000, &w.error), IPC9_E_LOST);
	ipc9_pipe_close(server);
	end(&w);
}

/* --- Reaching a daemon ------------------------------------------------------------------------- */

static void test_a_dead_socket_is_named_and_nothing_else_is_tried(void)
{
	const struct ipc9_options options = { .socket = "/tmp/ipc9-no-such-folder/ipc9d.sock" };
	struct ipc9_status *status = NULL;
	struct ipc9_error error;
	struct ipc9 *ipc9 = NULL;

	EQUAL(ipc9_new(&options, &ipc9, &error), 0);
	EQUAL(ipc9_status(ipc9, NULL, &status, &error), IPC9_E_NODAEMON);
	HOLDS(strstr(error.text, options.socket));
	EQUAL(ipc9_exit_status(IPC9_E_NODAEMON), 4);
	ipc9_free(ipc9);
}

static void test_a_daemon_that_dies_ends_what_waits_and_is_found_again(void)
{
	struct ipc9_mailslot *slot = NULL;
	struct ipc9_mailslot_message m;
	struct ipc9_status *status = NULL;
	struct world w;
	char got[10];
	int r;

	begin(&w, "");
	EQUAL(ipc9_mailslot_create(w.ipc9, "s", NULL, &slot, &w.error), 0);
	EQUAL(ipc9_status(w.ipc9, NULL, &status, &w.error), 0);
	ipc9_status_free(status);
	daemon_kill(&w.daemon);
	r = ipc9_mailslot_read(slot, got, sizeof(got), &m, &w.error);
	HOLDS(r == IPC9_E_LOST || r == IPC9_E_NODAEMON);
	EQUAL(ipc9_status(w.ipc9, NULL, &status, &w.error), IPC9_E_NODAEMON);
	ipc9_mailslot_close(slot);
	ipc9_free(w.ipc9);
}

static void test_a_quota_listing_tells_use_shares_and_totals(void)
{
	struct ipc9_quota_listing *listing = NULL;
	struct ipc9_mailslot *slot = NULL;
	struct world w;

	begin(&w, "quota_objects = 10\n");
	EQUAL(ipc9_mailslot_create(w.ipc9, "s", NULL, &slot, &w.error), 0);
	EQUAL(ipc9_mailslot_send(w.ipc9, "//./mailslot/s", "12345", 5, &w.error), 0);
	if (EQUAL(ipc9_quota_list(w.ipc9, NULL, &listing, &w.error), 0) &&
	    EQUAL(listing->n_users, 1)) {
		const struct ipc9_quota_info *me = &listing->users[0];

		EQUAL(me->who.uid, getuid());
		EQUAL(me->objects.used, 1);
		EQUAL(me->objects.share, 5);
		HOLDS(me->bytes.used > 5 && me->bytes.used == listing->host.bytes.used);
		HOLDS(me->connections.used > 0);
		EQUAL(listing->host.objects.used, 1);
		EQUAL(listing->host.objects.share, 10);
	}
	ipc9_quota_listing_free(listing);
	ipc9_mailslot_close(slot);
	listing = NULL;
	if (EQUAL(ipc9_quota_list(w.ipc9, NULL, &listing, &w.error), 0)) {
		EQUAL(listing->host.objects.used, 0);
		EQUAL(listing->host.bytes.used, 0);
	}
	ipc9_quota_listing_free(listing);
	EQUAL(ipc9_quota_list(w.ipc9, "//a/pipe/b", &listing, &w.error), IPC9_E_BADNAME);
	end(&w);
}

static void test_a_folder_of_somebody_else_is_not_trusted(void)
{
	struct ipc9_options options = { 0 };
	struct ipc9_status *status = NULL;
	struct ipc9 *ipc9 = NULL;
	struct world w;

	if (getuid() != 0) {
		skip_test("only root can give a folder away");
		return;
	}
	begin(&w, "");
	options.socket = w.daemon.socket;
	*strrchr(w.daemon.socket, '/') = '\0';
	EQUAL(chown(w.daemon.socket, 65534, 65534), 0);
	w.daemon.socket[strlen(w.daemon.socket)] = '/';
	EQUAL(ipc9_new(&options, &ipc9, &w.error), 0);
	EQUAL(ipc9_status(ipc9, NULL, &status, &w.error), IPC9_E_ACCESS);
	ipc9_free(ipc9);
	end(&w);
}

static void test_codes_have_texts_and_numbers(void)
{
	SAME_TEXT(ipc9_strerror(0), "success");
	HOLDS(ipc9_strerror(IPC9_E_NOENT)[0] != '\0');
	HOLDS(ipc9_strerror(-ENOMEM)[0] != '\0');
	HOLDS(ipc9_strerror(9999)[0] != '\0');
	EQUAL(ipc9_errno(IPC9_E_NOENT), ENOENT);
	EQUAL(ipc9_errno(-EPERM), EPERM);
	EQUAL(ipc9_errno(0), 0);
	EQUAL(ipc9_exit_status(0), 0);
	EQUAL(ipc9_exit_status(-ENOMEM), 1);
	EQUAL(ipc9_exit_status(IPC9_E_TIMEDOUT), 3);
	EQUAL(ipc9_exit_status(IPC9_E_MISMATCH), 6);
}

SUITE(library, TEST(test_a_large_copy_comes_back_byte_for_byte),
    TEST(test_a_type_without_parameters_finds_one_that_has_some),
    TEST(test_401_bytes_are_refused_before_anything_is_sent),
    TEST(test_a_read_waits_as_long_as_it_was_told),
    TEST(test_both_directions_flow_at_the_same_time),
    TEST(test_messages_over_the_limit_are_refused_before_anything_is_sent),
    TEST(test_abort_makes_a_waiting_read_return),
    TEST(test_a_dead_socket_is_named_and_nothing_else_is_tried),
    TEST(test_a_daemon_that_dies_ends_what_waits_and_is_found_again),
    TEST(test_a_quota_listing_tells_use_shares_and_totals),
    TEST(test_a_folder_of_somebody_else_is_not_trusted), TEST(test_codes_have_texts_and_numbers));
