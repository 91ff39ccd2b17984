/* SPDX-License-Identifier: BSD-3-Clause */
/* test_mailslot.c - mailslot.x, promise by promise, by the generated client against a real daemon. */
#include "rpcgen-out/mailslot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/daemon.h"
#include "tests/harness.h"
#include "transport/address.h"
#include "transport/message.h"
#include "xdr/stream.h"

static char slot_name[] = "a/b";

struct world {
	struct daemon_fixture daemon;
	CLIENT *server, *writer;
	uint64_t slot;
};

static int create(CLIENT *c, char *name, uint32_t max, uint64_t *ret)
{
	ipc9_mailslot_create_args args = { name, max, IPC9_WAIT_FOREVER_MS, NULL };
	ipc9_mailslot_create_res res = { 0 };
	int status = -1;

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_mailslotproc_create_1(&args, &res, c), RPC_SUCCESS)) {
		status = res.status;
		if (!status && ret)
			*ret = res.ipc9_mailslot_create_res_u.ok.slot;
	}
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_create_res, &res);
	return status;
}

static void begin(struct world *w, const char *configuration, uint32_t max)
{
	daemon_start(&w->daemon, configuration);
	w->server = daemon_client(&w->daemon, true, IPC9_PROG_MAILSLOT);
	w->writer = daemon_client(&w->daemon, true, IPC9_PROG_MAILSLOT);
	EQUAL(create(w->server, slot_name, max, &w->slot), 0);
}

static void end(struct world *w)
{
	clnt_destroy(w->server);
	clnt_destroy(w->writer);
	daemon_end(&w->daemon);
}

struct sending {
	uint64_t seq;
	unsigned age_ms;
	bool duplicate; /* out */
};

static int send_to(CLIENT *c, char *name, struct sending *s, const void *data, size_t size)
{
	ipc9_mailslot_send_args args = { name, { "sender of 16 byt", s->seq }, s->age_ms,
		{ data, (uint32_t)size, NULL } };
	ipc9_mailslot_send_res res = { 0 };
	int status = -1;

	daemon_patience(c, 5000);
	if (EQUAL(ipc9_mailslotproc_send_1(&args, &res, c), RPC_SUCCESS)) {
		status = res.status;
		s->duplicate = !status && res.ipc9_mailslot_send_res_u.ok.duplicate;
	}
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_send_res, &res);
	return status;
}

static int send_text(CLIENT *c, char *name, uint64_t seq, const char *text)
{
	struct sending s = { .seq = seq };

	return send_to(c, name, &s, text, strlen(text));
}

static int read_slot(struct world *w, uint32_t max, uint32_t wait_ms, ipc9_mailslot_read_res *ret)
{
	ipc9_mailslot_read_args args = { w->slot, max, wait_ms };

	memset(ret, 0, sizeof(*ret));
	daemon_patience(w->server, wait_ms + 5000);
	if (!EQUAL(ipc9_mailslotproc_read_1(&args, ret, w->server), RPC_SUCCESS))
		return -1;
	return ret->status;
}

static void expect_message(struct world *w, const char *want)
{
	ipc9_mailslot_read_res res;
	const ipc9_mailslot_read_ok *ok = &res.ipc9_mailslot_read_res_u.ok;

	if (EQUAL(read_slot(w, IPC9_BLOB_MAX, 2000, &res), 0))
		SAME_BYTES(ok->data.data, ok->data.len, want, strlen(want));
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_read_res, &res);
}

static int read_status(struct world *w, uint32_t max)
{
	ipc9_mailslot_read_res res;
	int status = read_slot(w, max, 0, &res);

	xdr_free((xdrproc_t)xdr_ipc9_mailslot_read_res, &res);
	return status;
}

/* ---------------------------------------------------------------------------------------------- */

static void test_messages_wait_and_are_read_oldest_first(void)
{
	struct world w;

	begin(&w, "", 0);
	EQUAL(read_status(&w, 100), IPC9_STATUS_TIMEDOUT);
	for (int i = 0; i < 3; i++)
		EQUAL(send_text(w.writer, slot_name, (uint64_t)i,
			  i == 1  ? ""
			      : i ? "two"
				  : "zero"),
		    0);
	expect_message(&w, "zero");
	expect_message(&w, "");
	expect_message(&w, "two");
	EQUAL(read_status(&w, 100), IPC9_STATUS_TIMEDOUT);
	end(&w);
}

static void test_a_short_buffer_leaves_the_message(void)
{
	struct world w;

	begin(&w, "", 0);
	EQUAL(send_text(w.writer, slot_name, 1, "12345"), 0);
	EQUAL(read_status(&w, 4), IPC9_STATUS_TOOSMALL);
	expect_message(&w, "12345");
	end(&w);
}

static void test_the_maximum_size_is_kept_on_both_sides_of_the_limit(void)
{
	struct world w;

	begin(&w, "", 5);
	EQUAL(send_text(w.writer, slot_name, 1, "123456"), IPC9_STATUS_TOOBIG);
	EQUAL(send_text(w.writer, slot_name, 2, "12345"), 0);
	expect_message(&w, "12345");
	end(&w);
}

static void test_a_repeated_id_is_not_queued_again(void)
{
	struct sending s = { .seq = 7 };
	struct world w;

	begin(&w, "", 0);
	EQUAL(send_to(w.writer, slot_name, &s, "x", 1), 0);
	EQUAL(s.duplicate, false);
	s.age_ms = 5;
	EQUAL(send_to(w.writer, slot_name, &s, "x", 1), 0);
	EQUAL(s.duplicate, true);
	expect_message(&w, "x");
	EQUAL(read_status(&w, 100), IPC9_STATUS_TIMEDOUT);
	s.seq = 8;
	s.age_ms = IPC9_DEDUP_WINDOW_MS + 1000;
	EQUAL(send_to(w.writer, slot_name, &s, "x", 1), IPC9_STATUS_UNKNOWN);
	end(&w);
}

static void test_a_full_slot_refuses_until_it_is_read(void)
{
	static unsigned char big[IPC9_BLOB_MAX];
	struct sending s = { .seq = 1 };
	ipc9_mailslot_read_res res;
	struct world w;
	int n = 0;

	begin(&w, "", 0);
	for (; n < 100; n++, s.seq++)
		if (send_to(w.writer, slot_name, &s, big, sizeof(big)))
			break;
	EQUAL(n, 3); /* three of 1 MiB and their overhead fit 4 MiB */
	EQUAL(send_to(w.writer, slot_name, &s, big, sizeof(big)), IPC9_STATUS_QUOTA);
	EQUAL(read_slot(&w, IPC9_BLOB_MAX, 0, &res), 0);
	EQUAL(res.ipc9_mailslot_read_res_u.ok.waiting, 2);
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_read_res, &res);
	/* The refusal did not use the id up. */
	EQUAL(send_to(w.writer, slot_name, &s, big, sizeof(big)), 0);
	EQUAL(s.duplicate, false);
	end(&w);
}

static void test_the_name_goes_with_the_server(void)
{
	static char other_case[] = "A/B";
	struct world w;

	begin(&w, "", 0);
	EQUAL(create(w.writer, other_case, 0, NULL), IPC9_STATUS_EXISTS);
	EQUAL(send_text(w.writer, other_case, 1, "x"), 0);
	clnt_destroy(w.server);
	w.server = daemon_client(&w.daemon, true, IPC9_PROG_MAILSLOT);
	EQUAL(create(w.server, slot_name, 0, &w.slot), 0);
	EQUAL(read_status(&w, 100), IPC9_STATUS_TIMEDOUT); /* its messages went, too */
	end(&w);
}

static void test_only_the_server_reads_and_only_locally_is_one_made(void)
{
	ipc9_mailslot_create_args args = { slot_name, 0, 0, NULL };
	ipc9_mailslot_create_res created = { 0 };
	ipc9_mailslot_read_res res = { 0 };
	struct world w;
	CLIENT *remote;

	begin(&w, "allow = host:127.0.0.0/8 all\n", 0);
	ipc9_mailslot_read_args read = { w.slot, 100, 0 };
	EQUAL(ipc9_mailslotproc_read_1(&read, &res, w.writer), RPC_SUCCESS);
	EQUAL(res.status, IPC9_STATUS_NOENT);
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_read_res, &res);
	remote = daemon_client(&w.daemon, false, IPC9_PROG_MAILSLOT);
	EQUAL(ipc9_mailslotproc_create_1(&args, &created, remote), RPC_PROCUNAVAIL);
	EQUAL(send_text(remote, slot_name, 1, "from afar"), 0);
	expect_message(&w, "from afar");
	clnt_destroy(remote);
	end(&w);
}

static void test_the_sender_is_told_by_the_daemon(void)
{
	ipc9_mailslot_read_res res;
	const ipc9_mailslot_read_ok *ok = &res.ipc9_mailslot_read_res_u.ok;
	struct world w;
	CLIENT *remote;

	begin(&w, "allow = host:127.0.0.0/8 write\n", 0);
	remote = daemon_client(&w.daemon, false, IPC9_PROG_MAILSLOT);
	EQUAL(send_text(w.writer, slot_name, 1, "local"), 0);
	EQUAL(send_text(remote, slot_name, 1, "remote"), 0); /* the same id, another principal */
	EQUAL(read_slot(&w, 100, 1000, &res), 0);
	EQUAL(ok->sender.how, IPC9_BY_KERNEL);
	EQUAL(ok->sender.uid, getuid());
	EQUAL(ok->sender.pid, getpid());
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_read_res, &res);
	EQUAL(read_slot(&w, 100, 1000, &res), 0);
	EQUAL(ok->sender.how, IPC9_BY_NONE);
	SAME_TEXT(ok->sender.host, "127.0.0.1");
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_read_res, &res);
	clnt_destroy(remote);
	end(&w);
}

/* --- Broadcast --------------------------------------------------------------------------------- */

static size_t make_broadcast(unsigned char *to, const char *domain, uint64_t seq, size_t size)
{
	static char payload[1024] = "news";
	const struct message_call header = { .xid = 1,
		.program = IPC9_PROG_MAILSLOT,
		.version = 1,
		.procedure = IPC9_MAILSLOTPROC_BROADCAST };
	ipc9_mailslot_broadcast_args args = { slot_name, (char *)(uintptr_t)domain,
		{ "sender of 16 byt", seq }, { (u_int)size, payload } };
	struct gather out;
	size_t n = 0;
	XDR xdrs;

	gather_init(&out);
	message_put_call(&out, &header);
	xdr_gather_create(&xdrs, &out);
	/* The bound is the receiver's to hold: write what the routine would refuse to. */
	HOLDS(xdr_string(&xdrs, &args.name, 255) && xdr_string(&xdrs, &args.domain, 255) &&
	    xdr_ipc9_id(&xdrs, &args.id) &&
	    xdr_bytes(&xdrs, &args.data.data_val, &args.data.data_len, sizeof(payload)));
	for (size_t i = out.first; i < out.end; i++) {
		memcpy(to + n, out.pieces[i].data, out.pieces[i].len);
		n += out.pieces[i].len;
	}
	gather_clear(&out);
	return n;
}

static int open_udp(const struct world *w)
{
	struct address a;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	address_parse("127.0.0.1", w->daemon.port, &a);
	EQUAL(connect(fd, (struct sockaddr *)&a.storage, a.len), 0);
	return fd;
}

static void test_a_broadcast_is_queued_once_however_often_it_comes(void)
{
	static char data[400] = "news";
	unsigned char datagram[2048];
	ipc9_mailslot_read_res res;
	struct world w;
	int one, two;

	begin(&w, "allow = host:127.0.0.0/8 write\n", 0);
	one = open_udp(&w);
	two = open_udp(&w); /* another source, as over a second interface */
	for (uint64_t seq = 1; seq <= 2; seq++) {
		size_t n = make_broadcast(datagram, "ipc9", seq, sizeof(data));

		EQUAL(send(one, datagram, n, 0), n);
		EQUAL(send(two, datagram, n, 0), n);
		EQUAL(send(one, datagram, n, 0), n);
	}
	for (int i = 0; i < 2; i++) {
		EQUAL(read_slot(&w, 1000, 2000, &res), 0);
		SAME_BYTES(res.ipc9_mailslot_read_res_u.ok.data.data,
		    res.ipc9_mailslot_read_res_u.ok.data.len, data, sizeof(data));
		EQUAL(res.ipc9_mailslot_read_res_u.ok.broadcast, TRUE);
		xdr_free((xdrproc_t)xdr_ipc9_mailslot_read_res, &res);
	}
	/* What comes now is the third message and no copy. */
	EQUAL(send_text(w.writer, slot_name, 9, "end"), 0);
	expect_message(&w, "end");
	close(one);
	close(two);
	end(&w);
}

static void test_a_forged_number_does_not_silence_a_sender(void)
{
	unsigned char datagram[2048];
	struct world w;
	size_t n;
	int fd;

	begin(&w, "allow = host:127.0.0.0/8 write\n", 0);
	fd = open_udp(&w);
	n = make_broadcast(datagram, "ipc9", 5, 3); /* "new" under the number of what comes next */
	EQUAL(send(fd, datagram, n, 0), n);
	n = make_broadcast(datagram, "ipc9", 5, 4);
	EQUAL(send(fd, datagram, n, 0), n);
	expect_message(&w, "new");
	expect_message(&w, "news");
	close(fd);
	end(&w);
}

static void test_broadcasts_of_401_bytes_of_other_domains_or_of_strangers_are_dropped(void)
{
	unsigned char datagram[2048];
	struct world w;
	size_t n;
	int fd;

	begin(&w, "allow = host:127.0.0.0/8 write\n", 0);
	fd = open_udp(&w);
	n = make_broadcast(datagram, "ipc9", 1, 401);
	EQUAL(send(fd, datagram, n, 0), n);
	n = make_broadcast(datagram, "elsewhere", 2, 4);
	EQUAL(send(fd, datagram, n, 0), n);
	n = make_broadcast(datagram, "IPC9", 3, 4);
	EQUAL(send(fd, datagram, n, 0), n);
	expect_message(&w, "news");
	EQUAL(read_status(&w, 1000), IPC9_STATUS_TIMEDOUT);
	close(fd);
	end(&w);

	begin(&w, "", 0);
	fd = open_udp(&w);
	EQUAL(send(fd, datagram, n, 0), n);
	/* The datagram is behind us when a NULL over the same socket is answered. */
	struct message_call header = { .xid = 3, .program = IPC9_PROG_MAILSLOT, .version = 1 };
	struct gather out;
	gather_init(&out);
	message_put_call(&out, &header);
	EQUAL(send(fd, out.pieces[0].data, out.size, 0), out.size);
	EQUAL(recv(fd, datagram, sizeof(datagram), 0), 24);
	gather_clear(&out);
	EQUAL(read_status(&w, 1000), IPC9_STATUS_TIMEDOUT);
	close(fd);
	end(&w);
}

static void test_sendall_reaches_the_own_host_without_any_network(void)
{
	ipc9_mailslot_sendall_args args = { slot_name, (char[]){ "" }, { "sender of 16 byt", 3 },
		{ 5, (char[]){ "hello" } } };
	ipc9_mailslot_sendall_res res = { 0 };
	struct world w;

	begin(&w, "", 0);
	EQUAL(ipc9_mailslotproc_sendall_1(&args, &res, w.writer), RPC_SUCCESS);
	EQUAL(res.status, 0);
	EQUAL(res.ipc9_mailslot_sendall_res_u.ok.here, TRUE);
	expect_message(&w, "hello");
	end(&w);
}

/* --- Telling ----------------------------------------------------------------------------------- */

static void test_info_tells_what_waits(void)
{
	ipc9_name_args args = { slot_name };
	ipc9_mailslot_info_res res = { 0 };
	const ipc9_mailslot_state *s = &res.ipc9_mailslot_info_res_u.state;
	struct world w;

	begin(&w, "", 100);
	send_text(w.writer, slot_name, 1, "123");
	send_text(w.writer, slot_name, 2, "4567");
	EQUAL(ipc9_mailslotproc_info_1(&args, &res, w.writer), RPC_SUCCESS);
	if (EQUAL(res.status, 0)) {
		EQUAL(s->waiting, 2);
		EQUAL(s->waiting_bytes, 7);
		EQUAL(s->next_bytes, 3);
		EQUAL(s->max_message_bytes, 100);
		EQUAL(s->read_timeout_ms, IPC9_WAIT_FOREVER_MS);
		SAME_TEXT(s->name, "a/b");
	}
	xdr_free((xdrproc_t)xdr_ipc9_mailslot_info_res, &res);
	end(&w);
}

static void test_a_listing_comes_in_pages_without_gaps(void)
{
	enum {
		N = 300
	};
	char name[16] = "", after[16] = "";
	ipc9_list_args args = { after };
	struct world w;
	bool more = true;
	int n = 0;

	begin(&w, "", 0);
	for (int i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "Slot%03d", (i * 7) % N);
		EQUAL(create(w.server, name, 0, NULL), 0);
	}
	while (more) {
		ipc9_mailslot_list_res res = { 0 };
		const ipc9_mailslot_list_ok *ok = &res.ipc9_mailslot_list_res_u.ok;

		if (!EQUAL(ipc9_mailslotproc_list_1(&args, &res, w.writer), RPC_SUCCESS) ||
		    !EQUAL(res.status, 0))
			break;
		HOLDS(ok->slots.slots_len <= IPC9_LIST_MAX);
		for (u_int i = 0; i < ok->slots.slots_len; i++, n++) {
			snprintf(name, sizeof(name), "Slot%03d", n - 1);
			SAME_TEXT(ok->slots.slots_val[i].name, n ? name : "a/b");
			snprintf(after, sizeof(after), "%s", ok->slots.slots_val[i].name);
		}
		more = ok->more;
		xdr_free((xdrproc_t)xdr_ipc9_mailslot_list_res, &res);
	}
	EQUAL(n, N + 1);
	end(&w);
}

SUITE(mailslot, TEST(test_messages_wait_and_are_read_oldest_first),
    TEST(test_a_short_buffer_leaves_the_message),
    TEST(test_the_maximum_size_is_kept_on_both_sides_of_the_limit),
    TEST(test_a_repeated_id_is_not_queued_again), TEST(test_a_full_slot_refuses_until_it_is_read),
    TEST(test_the_name_goes_with_the_server),
    TEST(test_only_the_server_reads_and_only_locally_is_one_made),
    TEST(test_the_sender_is_told_by_the_daemon),
    TEST(test_a_broadcast_is_queued_once_however_often_it_comes),
    TEST(test_a_forged_number_does_not_silence_a_sender),
    TEST(test_broadcasts_of_401_bytes_of_other_domains_or_of_strangers_are_dropped),
    TEST(test_sendall_reaches_the_own_host_without_any_network), TEST(test_info_tells_what_waits),
    TEST(test_a_listing_comes_in_pages_without_gaps));
