/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_closer.c - descriptors whose close(2) waits for somebody keep nobody else waiting.
 *
 * One is made here of a TCP socket that lingers: its last close(2) waits until the other end goes, which the tests decide.  What a
 * server of files does is e2e/filemap's.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rpcgen-out/control.h"
#include "tests/daemon.h"
#include "tests/harness.h"
#include "transport/channel.h"
#include "transport/closer.h"
#include "transport/descriptors.h"
#include "util/clock.h"

#define XDR_VOID ((xdrproc_t)(void (*)(void))xdr_void)
#define LINGER_S 300
#define PATIENCE_MS 20000

/* Closing fd waits until `other` is closed. */
struct sticky {
	int fd, other;
};

static void sticky_make(struct sticky *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	const struct linger linger = { 1, LINGER_S };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), small = 4096;
	socklen_t size = sizeof(a);
	char block[65536] = { 0 };

	EQUAL(setsockopt(listener, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small)), 0);
	EQUAL(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	EQUAL(listen(listener, 1), 0);
	EQUAL(getsockname(listener, (struct sockaddr *)&a, &size), 0);
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	(void)connect(s->fd, (struct sockaddr *)&a, sizeof(a));
	s->other = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	HOLDS(s->other >= 0);
	close(listener);
	while (send(s->fd, block, sizeof(block), MSG_NOSIGNAL) > 0)
		;
	EQUAL(errno, EAGAIN);
	EQUAL(setsockopt(s->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
}

static bool is_idle(void *closer)
{
	return closer_waiting(closer) == 0;
}

static int a_file(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static bool is_closed(void *fd)
{
	return fcntl(*(int *)fd, F_GETFD) < 0;
}

static void test_what_is_quick_is_closed_at_once_and_what_is_not_by_a_thread(void)
{
	int sockets[2], memory = memfd_create("quick", MFD_CLOEXEC | MFD_ALLOW_SEALING), file;
	struct closer_account mine = { NULL, 7 };

	EQUAL(closer_new(&mine.closer), 0);
	EQUAL(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
	file = a_file();
	HOLDS(closer_is_quick(memory));
	HOLDS(closer_is_quick(sockets[0]));
	HOLDS(!closer_is_quick(file));
	closer_close(&mine, memory);
	closer_close(&mine, sockets[0]);
	HOLDS(is_closed(&memory));
	HOLDS(is_closed(&sockets[0]));
	closer_close(&mine, file);
	HOLDS(wait_until(is_idle, mine.closer, PATIENCE_MS));
	HOLDS(is_closed(&file));
	close(sockets[1]);
	closer_free(mine.closer);
}

static void test_without_a_closer_it_is_closed_in_place(void)
{
	const struct closer_account none = { NULL, 7 };
	int one = a_file(), two;

	closer_close(NULL, one);
	HOLDS(is_closed(&one));
	two = a_file();
	closer_close(&none, two);
	HOLDS(is_closed(&two));
	EQUAL(closer_room(NULL), CLOSER_USER_MAX);
}

static bool is_one_left(void *closer)
{
	return closer_waiting(closer) == 1;
}

static void test_a_user_whose_descriptor_is_stuck_holds_up_only_themselves(void)
{
	struct closer_account bad = { NULL, 1 }, good;
	struct sticky s;
	int behind, others[20];

	EQUAL(closer_new(&bad.closer), 0);
	good = (struct closer_account){ bad.closer, 2 };
	sticky_make(&s);
	closer_close(&bad, s.fd);
	for (int i = 0; i < 20; i++)
		closer_close(&good, others[i] = a_file());
	HOLDS(wait_until(is_one_left, bad.closer, PATIENCE_MS));
	for (int i = 0; i < 20; i++)
		HOLDS(is_closed(&others[i]));
	closer_close(&bad, behind = a_file());
	EQUAL(closer_waiting(bad.closer), 2);
	EQUAL(closer_room(&bad), CLOSER_USER_MAX - 2);
	EQUAL(closer_room(&good), CLOSER_USER_MAX);
	HOLDS(!is_closed(&behind));
	close(s.other);
	HOLDS(wait_until(is_idle, bad.closer, PATIENCE_MS));
	HOLDS(is_closed(&behind));
	EQUAL(closer_room(&bad), CLOSER_USER_MAX);
	closer_free(bad.closer);
}

static void test_one_stuck_descriptor_less_than_threads_stops_nobody(void)
{
	struct sticky s[CLOSER_THREADS];
	struct closer_account a = { NULL, 0 };
	int file;

	EQUAL(closer_new(&a.closer), 0);
	for (a.uid = 0; a.uid < CLOSER_THREADS - 1; a.uid++) {
		sticky_make(&s[a.uid]);
		closer_close(&a, s[a.uid].fd);
	}
	file = a_file();
	closer_close(&a, file);
	HOLDS(wait_until(is_closed, &file, PATIENCE_MS));
	for (unsigned i = 0; i < CLOSER_THREADS - 1; i++)
		close(s[i].other);
	HOLDS(wait_until(is_idle, a.closer, PATIENCE_MS));
	closer_free(a.closer);
}

static void test_what_waits_to_be_taken_counts_as_well(void)
{
	struct closer_account a = { NULL, 3 };

	EQUAL(closer_new(&a.closer), 0);
	closer_set_received(&a, 0, 10);
	EQUAL(closer_room(&a), CLOSER_USER_MAX - 10);
	closer_set_received(&a, 0, CLOSER_USER_MAX); /* by another connection */
	EQUAL(closer_room(&a), 0);
	closer_set_received(&a, 10, 0);
	EQUAL(closer_room(&a), 0);
	closer_set_received(&a, CLOSER_USER_MAX, 1);
	EQUAL(closer_room(&a), CLOSER_USER_MAX - 1);
	closer_set_received(&a, 1, 0);
	EQUAL(closer_room(&a), CLOSER_USER_MAX);
	closer_free(a.closer);
}

/* What a stuck one keeps is not waited for; the thread ends when it gets on. */
static void test_freeing_waits_for_nothing(void)
{
	struct closer_account a = { NULL, 3 };
	struct sticky s;
	int behind;

	EQUAL(closer_new(&a.closer), 0);
	sticky_make(&s);
	closer_close(&a, s.fd);
	closer_close(&a, behind = a_file());
	closer_free(a.closer);
	HOLDS(!is_closed(&behind));
	close(s.other);
	HOLDS(wait_until(is_closed, &behind, PATIENCE_MS));
}

/* --- The daemon -------------------------------------------------------------------------------- */

static enum clnt_stat call_null(struct channel *c, const int *fds, unsigned n)
{
	static const struct channel_target target = { IPC9_PROG_CONTROL, IPC9_CONTROL_V1, 0, NULL };
	struct channel_parcels parcels = { .give = fds, .n_give = n };
	int64_t deadline = clock_deadline_ms(PATIENCE_MS);
	struct channel_call call;
	struct rpc_err error;
	enum clnt_stat stat =
	    channel_send_with(c, &call, &parcels, &target, XDR_VOID, NULL, deadline, &error);

	return stat == RPC_SUCCESS ? channel_wait(c, &call, XDR_VOID, NULL, deadline, &error)
				   : stat;
}

/* It comes to be closed by the daemon, which has the last of it; the call is answered first. */
static enum clnt_stat leave_with(const struct daemon_fixture *d, struct channel *c,
    struct sticky *s)
{
	static const struct channel_target target = { IPC9_PROG_CONTROL, IPC9_CONTROL_V1, 0, NULL };
	struct channel_parcels parcels = { .give = &s->fd, .n_give = 1 };
	int64_t deadline = clock_deadline_ms(PATIENCE_MS);
	struct channel_call call;
	struct rpc_err error;
	enum clnt_stat stat;

	kill(d->pid, SIGSTOP);
	stat = channel_send_with(c, &call, &parcels, &target, XDR_VOID, NULL, deadline, &error);
	close(s->fd);
	kill(d->pid, SIGCONT);
	return stat == RPC_SUCCESS ? channel_wait(c, &call, XDR_VOID, NULL, deadline, &error)
				   : stat;
}

static void test_the_daemon_serves_others_while_a_descriptor_is_stuck(void)
{
	struct daemon_fixture d;
	struct channel *bad, *good;
	struct sticky s;

	daemon_start(&d, "");
	bad = daemon_channel(&d, true);
	good = daemon_channel(&d, true);
	sticky_make(&s);
	EQUAL(leave_with(&d, bad, &s), RPC_SUCCESS);
	EQUAL(call_null(good, NULL, 0), RPC_SUCCESS);
	EQUAL(call_null(bad, NULL, 0), RPC_SUCCESS);
	channel_unref(bad);
	EQUAL(call_null(good, NULL, 0), RPC_SUCCESS);
	channel_unref(good);
	close(s.other);
	daemon_end(&d);
}

static enum clnt_stat send_files(const struct daemon_fixture *d, unsigned n)
{
	struct channel *c = daemon_channel(d, true);
	enum clnt_stat stat;
	int fds[DESCRIPTORS_MAX];

	for (unsigned i = 0; i < n; i++)
		fds[i] = a_file();
	stat = call_null(c, fds, n);
	for (unsigned i = 0; i < n; i++)
		close(fds[i]);
	channel_unref(c);
	return stat;
}

static bool takes_a_file(void *d)
{
	return send_files(d, 1) == RPC_SUCCESS;
}

static void test_who_has_too_many_stuck_may_send_no_more_until_they_are_closed(void)
{
	struct daemon_fixture d;
	struct channel *c;
	struct sticky s;

	daemon_start(&d, "");
	c = daemon_channel(&d, true);
	sticky_make(&s);
	EQUAL(leave_with(&d, c, &s), RPC_SUCCESS);
	for (int i = 0; i < 3; i++)
		EQUAL(send_files(&d, 16), RPC_SUCCESS);
	HOLDS(send_files(&d, 16) != RPC_SUCCESS); /* what of these had room has it now */
	HOLDS(send_files(&d, 1) != RPC_SUCCESS);
	EQUAL(send_files(&d, 0), RPC_SUCCESS);
	EQUAL(call_null(c, NULL, 0), RPC_SUCCESS);
	close(s.other);
	HOLDS(wait_until(takes_a_file, &d, PATIENCE_MS));
	channel_unref(c);
	daemon_end(&d);
}

SUITE(closer, TEST(test_what_is_quick_is_closed_at_once_and_what_is_not_by_a_thread),
    TEST(test_without_a_closer_it_is_closed_in_place),
    TEST(test_a_user_whose_descriptor_is_stuck_holds_up_only_themselves),
    TEST(test_one_stuck_descriptor_less_than_threads_stops_nobody),
    TEST(test_what_waits_to_be_taken_counts_as_well), TEST(test_freeing_waits_for_nothing),
    TEST(test_the_daemon_serves_others_while_a_descriptor_is_stuck),
    TEST(test_who_has_too_many_stuck_may_send_no_more_until_they_are_closed));
