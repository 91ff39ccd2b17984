/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_udp_client.c - calls made over UDP: late and forged replies, sending again, timeouts, what fits no
 * datagram.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>

#include "tests/conformance/udp.h"
#include "util/clock.h"

static const struct server_limits caching = CACHING;

/* Takes calls in a thread of its own and hands each to `answer`, until it gets a datagram of one byte. */
struct fake {
	int fd, other; /* other: another port of the same host */
	struct address address, caller;
	pthread_t thread;
	void (*answer)(struct fake *fake, const struct raw *call);
	struct raw last;
	unsigned n;
	int64_t times[64]; /* of arrival, by the kernel's real-time clock */
	_Atomic bool stop;
};

static bool fake_take(struct fake *f, struct raw *call)
{
	_Alignas(struct cmsghdr) char control[256];
	struct iovec iov = { call->data, sizeof(call->data) };
	struct msghdr msg = {
		.msg_name = &f->caller.storage,
		.msg_namelen = sizeof(f->caller.storage),
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct timespec t = { 0, 0 };
	ssize_t n = recvmsg(f->fd, &msg, 0);

	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c))
		if (c->cmsg_type == SCM_TIMESTAMPNS)
			memcpy(&t, CMSG_DATA(c), sizeof(t));
	f->caller.len = msg.msg_namelen;
	if (f->n < 64)
		f->times[f->n] = t.tv_sec * NS_PER_S + t.tv_nsec;
	call->size = n > 0 ? (size_t)n : 0;
	return n > 1;
}

static void *fake_run(void *context)
{
	struct fake *f = context;
	struct raw call;

	while (fake_take(f, &call)) {
		f->n++;
		if (f->answer)
			f->answer(f, &call);
		f->last = call;
	}
	return NULL;
}

static void fake_start(struct fake *f, void (*answer)(struct fake *, const struct raw *))
{
	struct address other;
	int one = 1;

	memset(f, 0, sizeof(*f));
	f->answer = answer;
	f->fd = bind_to("127.0.0.1", &f->address);
	f->other = bind_to("127.0.0.1", &other);
	fcntl(f->fd, F_SETFL, 0);
	setsockopt(f->fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one));
	if (pthread_create(&f->thread, NULL, fake_run, f))
		abort();
}

static void fake_stop(struct fake *f)
{
	f->stop = true;
	sendto(f->other, "", 1, 0, (struct sockaddr *)&f->address.storage, f->address.len);
	pthread_join(f->thread, NULL);
	close(f->fd);
	close(f->other);
}

static void reply_from(struct fake *f, int fd, const struct raw *reply, size_t size)
{
	sendto(fd, reply->data, size, 0, (struct sockaddr *)&f->caller.storage, f->caller.len);
}

static struct raw number_reply(uint32_t xid, uint32_t number)
{
	const uint32_t words[] = { xid, REPLY, MSG_ACCEPTED, AUTH_NONE, 0, SUCCESS, number };
	struct raw r = { .size = 0 };

	for (int i = 0; i < 7; i++)
		raw_word(&r, words[i]);
	return r;
}

/* ENGINE_PARK: a number and after so many ms the same number. */
static enum clnt_stat call_number(CLIENT *client, uint32_t number, uint32_t *ret, int64_t ms)
{
	return clnt_call(client, ENGINE_PARK, (xdrproc_t)xdr_uint32_t, &number,
	    (xdrproc_t)xdr_uint32_t, ret, ((struct timeval){ ms / 1000, ms % 1000 * 1000 }));
}

static int error_of(CLIENT *client)
{
	struct rpc_err error;

	clnt_geterr(client, &error);
	return error.re_errno;
}

static void answer_nonsense_first(struct fake *f, const struct raw *call)
{
	uint32_t xid = raw_at(call, 0);
	struct raw reply = number_reply(xid + 1, 1);

	reply_from(f, f->fd, &reply, reply.size);
	reply = number_reply(xid - 1, 1);
	reply_from(f, f->fd, &reply, reply.size);
	reply = number_reply(xid, 1);
	reply_from(f, f->fd, &reply, 0);
	reply_from(f, f->fd, &reply, 7);
	reply.data[7] = CALL;
	reply_from(f, f->fd, &reply, reply.size);
	reply = number_reply(xid, 2);
	reply_from(f, f->fd, &reply, reply.size);
}

static void test_replies_with_another_xid_and_what_is_no_reply_are_skipped(void)
{
	struct fake f;
	uint32_t number = 0;
	CLIENT *client;

	fake_start(&f, answer_nonsense_first);
	client = client_of(&f.address);
	for (int i = 0; i < 3; i++) {
		EQUAL(call_number(client, 0, &number, LONG_ENOUGH_S * 1000), RPC_SUCCESS);
		EQUAL(number, 2);
	}
	clnt_destroy(client);
	fake_stop(&f);
}

static void answer_from_elsewhere_first(struct fake *f, const struct raw *call)
{
	struct raw reply = number_reply(raw_at(call, 0), 1);

	reply_from(f, f->other, &reply, reply.size);
	reply = number_reply(raw_at(call, 0), 2);
	reply_from(f, f->fd, &reply, reply.size);
}

static void test_replies_from_another_address_are_skipped(void)
{
	struct fake f;
	uint32_t number = 0;
	CLIENT *client;

	fake_start(&f, answer_from_elsewhere_first);
	client = client_of(&f.address);
	EQUAL(call_number(client, 0, &number, LONG_ENOUGH_S * 1000), RPC_SUCCESS);
	EQUAL(number, 2);
	clnt_destroy(client);
	fake_stop(&f);
}

/* The first call's reply comes when the second call does. */
static void answer_the_one_before_first(struct fake *f, const struct raw *call)
{
	struct raw reply = number_reply(raw_at(&f->last, 0), 1);

	if (f->n == 1)
		return;
	reply_from(f, f->fd, &reply, reply.size);
	reply = number_reply(raw_at(call, 0), 2);
	reply_from(f, f->fd, &reply, reply.size);
}

static void test_a_late_reply_does_not_answer_the_next_call(void)
{
	struct fake f;
	uint32_t number = 0;
	CLIENT *client;

	fake_start(&f, answer_the_one_before_first);
	client = client_of(&f.address);
	EQUAL(call_number(client, 0, &number, 30), RPC_TIMEDOUT);
	EQUAL(call_number(client, 0, &number, LONG_ENOUGH_S * 1000), RPC_SUCCESS);
	EQUAL(number, 2);
	clnt_destroy(client);
	fake_stop(&f);
}

static void flood(struct fake *f, const struct raw *call)
{
	unsigned least = is_long() ? 1000000 : 20000;

	if (f->n > 1)
		return;
	for (unsigned i = 1; i < least || !f->stop; i++) {
		struct raw reply = number_reply(raw_at(call, 0) + 1000 + i % (1u << 24), i);

		reply_from(f, f->fd, &reply, reply.size);
	}
}

static long resident_kib(void)
{
	FILE *file = fopen("/proc/self/statm", "r");
	long total = 0, resident = 0;

	if (file) {
		if (fscanf(file, "%ld %ld", &total, &resident) != 2)
			resident = 0;
		fclose(file);
	}
	return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

static void test_a_flood_of_forged_replies_costs_neither_memory_nor_the_deadline(void)
{
	const int64_t ms = is_long() ? 10000 : 300;
	struct fake f;
	uint32_t number;
	CLIENT *client;
	long before;
	int64_t began;

	fake_start(&f, flood);
	client = client_of(&f.address);
	EQUAL(call_number(client, 0, &number, 10), RPC_TIMEDOUT);
	before = resident_kib();
	began = clock_now();
	EQUAL(call_number(client, 0, &number, ms), RPC_TIMEDOUT);
	HOLDS(clock_now() - began >= ms * NS_PER_MS);
	HOLDS(clock_now() - began < (ms + LONG_ENOUGH_S * 1000) * NS_PER_MS);
#ifndef __SANITIZE_THREAD__ /* which remembers all accesses */
	HOLDS(resident_kib() - before < 512);
#else
	(void)before;
#endif
	clnt_destroy(client);
	fake_stop(&f);
}

static void test_a_call_is_sent_again_after_pauses_that_double(void)
{
	struct timeval first = { 0, 20000 };
	int64_t least = 15 * NS_PER_MS; /* a quarter less */
	struct fake f;
	uint32_t number;
	CLIENT *client;

	fake_start(&f, NULL);
	client = client_of(&f.address);
	HOLDS(clnt_control(client, CLSET_RETRY_TIMEOUT, (char *)&first));
	EQUAL(call_number(client, 0, &number, 1000), RPC_TIMEDOUT);
	clnt_destroy(client);
	fake_stop(&f);
	/* The pauses, a quarter less: 15, 30, 60, 120, 240, 480; with the next one over a second. */
	HOLDS(f.n >= 2 && f.n <= 7);
	for (unsigned i = 1; i < f.n; i++, least *= 2)
		HOLDS(f.times[i] - f.times[i - 1] >= least);
}

static void test_a_port_that_nobody_has_is_reported_at_once(void)
{
	struct address a;
	uint32_t number;
	CLIENT *client;

	close(bind_to("127.0.0.1", &a));
	client = client_of(&a);
	for (int i = 0; i < 3; i++) {
		EQUAL(call_number(client, 0, &number, 3600000), RPC_CANTRECV);
		EQUAL(error_of(client), ECONNREFUSED);
	}
	clnt_destroy(client);
}

static void answer_at_once(struct fake *f, const struct raw *call)
{
	struct raw reply = number_reply(raw_at(call, 0), 2);

	reply_from(f, f->fd, &reply, reply.size);
}

/* The socket keeps what became of the first call until it is used again. */
static void test_that_an_earlier_call_was_refused_does_not_end_the_next(void)
{
	struct address nobody;
	struct fake f;
	uint32_t number = 0;
	CLIENT *client;
	int fd = -1;

	close(bind_to("127.0.0.1", &nobody));
	fake_start(&f, answer_at_once);
	client = client_of(&nobody);
	EQUAL(call_number(client, 0, &number, 0), RPC_TIMEDOUT);
	clnt_control(client, CLGET_FD, (char *)&fd);
	EQUAL(connect(fd, (struct sockaddr *)&f.address.storage, f.address.len), 0);
	EQUAL(call_number(client, 0, &number, LONG_ENOUGH_S * 1000), RPC_SUCCESS);
	EQUAL(number, 2);
	clnt_destroy(client);
	fake_stop(&f);
}

static void test_the_handles_timeout_takes_the_place_of_the_calls(void)
{
	struct timeval brief = { 0, 20000 }, bad = { -1, 0 }, got = { 0, 0 };
	struct fake f;
	uint32_t number;
	CLIENT *client;

	fake_start(&f, NULL);
	client = client_of(&f.address);
	HOLDS(!clnt_control(client, CLGET_TIMEOUT, (char *)&got));
	HOLDS(!clnt_control(client, CLSET_TIMEOUT, (char *)&bad));
	HOLDS(clnt_control(client, CLSET_TIMEOUT, (char *)&brief));
	HOLDS(clnt_control(client, CLGET_TIMEOUT, (char *)&got));
	EQUAL(got.tv_usec, 20000);
	EQUAL(call_number(client, 0, &number, 3600000), RPC_TIMEDOUT);
	clnt_destroy(client);
	fake_stop(&f);
}

static void test_a_call_without_time_is_sent_and_not_waited_for(void)
{
	struct fake f;
	uint32_t number;
	CLIENT *client;

	fake_start(&f, NULL);
	client = client_of(&f.address);
	EQUAL(call_number(client, 0, &number, 0), RPC_TIMEDOUT);
	EQUAL(clnt_call(client, ENGINE_NULL, (xdrproc_t)(void (*)(void))xdr_void, NULL, NULL, NULL,
		  ((struct timeval){ 0, 0 })),
	    RPC_SUCCESS);
	clnt_destroy(client);
	fake_stop(&f);
	EQUAL(f.n, 2);
}

static void test_the_handle_tells_and_takes_its_parameters(void)
{
	struct fake f;
	struct sockaddr_storage server;
	struct netbuf buffer;
	struct timeval retry;
	rpcvers_t version = 9;
	rpcprog_t program = 8;
	uint32_t number, xid = 0;
	CLIENT *client;

	fake_start(&f, NULL);
	client = client_of(&f.address);
	HOLDS(clnt_control(client, CLGET_SERVER_ADDR, (char *)&server));
	SAME_BYTES(&server, f.address.len, &f.address.storage, f.address.len);
	HOLDS(clnt_control(client, CLGET_SVC_ADDR, (char *)&buffer));
	SAME_BYTES(buffer.buf, buffer.len, &f.address.storage, f.address.len);
	HOLDS(clnt_control(client, CLGET_RETRY_TIMEOUT, (char *)&retry));
	EQUAL(retry.tv_usec, 100000);
	HOLDS(clnt_control(client, CLSET_PROG, (char *)&program));
	HOLDS(clnt_control(client, CLSET_VERS, (char *)&version));
	EQUAL(call_number(client, 0, &number, 1), RPC_TIMEDOUT);
	HOLDS(clnt_control(client, CLGET_XID, (char *)&xid));
	clnt_destroy(client);
	fake_stop(&f);
	EQUAL(raw_at(&f.last, 0), xid);
	EQUAL(raw_at(&f.last, 3), 8);
	EQUAL(raw_at(&f.last, 4), 9);
	EQUAL(raw_at(&f.last, 6), AUTH_NONE);
}

static void test_a_credential_of_the_callers_own_is_sent(void)
{
	char host[] = "x";
	struct fake f;
	uint32_t number;
	CLIENT *client;
	int fd = -1;

	fake_start(&f, NULL);
	EQUAL(datagram_open(&f.address, &fd), 0);
	client = datagram_client(fd, ENGINE_PROGRAM, ENGINE_VERSION, true);
	EQUAL(call_number(client, 0, &number, 1), RPC_TIMEDOUT);
	client->cl_auth = authunix_create(host, 4242, 17, 0, NULL);
	EQUAL(call_number(client, 0, &number, 1), RPC_TIMEDOUT);
	auth_destroy(client->cl_auth);
	clnt_destroy(client);
	fake_stop(&f);
	EQUAL(raw_at(&f.last, 6), AUTH_SYS);
	EQUAL(raw_at(&f.last, 11), 4242);
}

static void test_arguments_are_carried_whole_or_not_at_all(void)
{
	static unsigned char data[1 << 17];
	const uint32_t header = 44, most = (SERVER_DATAGRAM_MAX - header) & ~3u;
	struct engine *e = engine_start(&caching);
	CLIENT *client = engine_client(e);
	ipc9_blob blob = { 0 };

	memset(data, 'd', sizeof(data));
	EQUAL(echo_blob(client, data, most, &blob), RPC_SUCCESS);
	SAME_BYTES(blob.data, blob.len, data, most);
	xdr_free((xdrproc_t)xdr_ipc9_blob, &blob);
	EQUAL(echo_blob(client, data, most + 1, &blob), RPC_CANTSEND);
	EQUAL(error_of(client), EMSGSIZE);
	EQUAL(echo_blob(client, data, sizeof(data), &blob), RPC_CANTSEND);
	EQUAL(error_of(client), EMSGSIZE);
	EQUAL(engine_stats(e).datagrams, 1);
	clnt_destroy(client);
	engine_stop(e);
}

static void test_results_too_long_for_a_datagram_are_a_system_error(void)
{
	struct engine *e = engine_start(&caching);
	CLIENT *client = engine_client(e);
	uint32_t size = 1 << 16;
	ipc9_blob blob = { 0 };

	EQUAL(clnt_call(client, ENGINE_LARGE, (xdrproc_t)xdr_uint32_t, &size,
		  (xdrproc_t)xdr_ipc9_blob, &blob, ((struct timeval){ LONG_ENOUGH_S, 0 })),
	    RPC_SYSTEMERROR);
	clnt_destroy(client);
	engine_stop(e);
}

static void *answer_at_length(void *context)
{
	static unsigned char reply[100000];
	int fd = *(int *)context;
	struct raw call;

	if (take(fd, &call)) {
		struct raw header = number_reply(raw_at(&call, 0), 90000);

		memcpy(reply, header.data, header.size);
		(void)!send(fd, reply, sizeof(reply), 0);
	}
	return NULL;
}

/* Over UDP there is none so long; a local datagram socket shows that it would not be cut off. */
static void test_a_reply_longer_than_the_buffer_is_an_error(void)
{
	pthread_t thread;
	CLIENT *client;
	ipc9_blob blob = { 0 };
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) ||
	    pthread_create(&thread, NULL, answer_at_length, &pair[1]))
		abort();
	client = datagram_client(pair[0], ENGINE_PROGRAM, ENGINE_VERSION, false);
	EQUAL(echo_blob(client, (const unsigned char *)"x", 1, &blob), RPC_CANTDECODERES);
	EQUAL(error_of(client), EMSGSIZE);
	HOLDS(!blob.data);
	pthread_join(thread, NULL);
	close(pair[1]);
	clnt_destroy(client);
}

static void test_of_several_addresses_the_one_that_answers_is_taken(void)
{
	struct address addresses[8];
	char text[160];
	size_t n = 0;
	struct engine *e = engine_start(NULL);
	const struct connect_target target = { "localhost", engine_port(e), false, ENGINE_PROGRAM,
		ENGINE_VERSION };
	struct connect_failure failure;
	int64_t deadline = clock_deadline_ms(LONG_ENOUGH_S * 1000);
	uint32_t number = 0;
	CLIENT *client;
	int fd = -1;

	if (connect_resolve("localhost", deadline, addresses, 8, &n, text, sizeof(text)) || n < 2) {
		skip_test("localhost has not several addresses");
	} else if (EQUAL(datagram_connect(&target, deadline, &fd, &failure), 0)) {
		client = datagram_client(fd, ENGINE_PROGRAM, ENGINE_VERSION, false);
		EQUAL(call_number(client, 3, &number, LONG_ENOUGH_S * 1000), RPC_SUCCESS);
		EQUAL(number, 3);
		clnt_destroy(client);
	}
	engine_stop(e);
}

SUITE(udp_client, TEST(test_replies_with_another_xid_and_what_is_no_reply_are_skipped),
    TEST(test_replies_from_another_address_are_skipped),
    TEST(test_a_late_reply_does_not_answer_the_next_call),
    TEST(test_a_flood_of_forged_replies_costs_neither_memory_nor_the_deadline),
    TEST(test_a_call_is_sent_again_after_pauses_that_double),
    TEST(test_a_port_that_nobody_has_is_reported_at_once),
    TEST(test_that_an_earlier_call_was_refused_does_not_end_the_next),
    TEST(test_the_handles_timeout_takes_the_place_of_the_calls),
    TEST(test_a_call_without_time_is_sent_and_not_waited_for),
    TEST(test_the_handle_tells_and_takes_its_parameters),
    TEST(test_a_credential_of_the_callers_own_is_sent),
    TEST(test_arguments_are_carried_whole_or_not_at_all),
    TEST(test_results_too_long_for_a_datagram_are_a_system_error),
    TEST(test_a_reply_longer_than_the_buffer_is_an_error),
    TEST(test_of_several_addresses_the_one_that_answers_is_taken));
