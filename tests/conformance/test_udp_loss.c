/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_udp_loss.c - calls over UDP through a proxy that loses, doubles and disorders datagrams, by a generator
 * that always begins the same: each is answered right, and run once.
 */
#include <pthread.h>
#include <stdio.h>
#include <sys/time.h>

#include "tests/conformance/udp.h"
#include "util/clock.h"

#define LINES 8 /* clients at a time, each with its own way through the proxy */
#define HELD_MS 2

struct held {
	unsigned char data[256];
	size_t size;
};

struct line {
	int front, back; /* towards the client, bound and then connected; towards the server */
	struct held held[2];
};

/* What happens to datagrams, in percent; both ways. */
struct weather {
	unsigned lost, twice, late;
};

struct proxy {
	struct weather weather;
	struct line lines[LINES];
	struct address addresses[LINES];
	pthread_t thread;
	uint64_t random;
	_Atomic bool stop;
};

static bool chance(struct proxy *p, unsigned percent)
{
	p->random = p->random * 6364136223846793005u + 1442695040888963407u;
	return (p->random >> 33) % 100 < percent;
}

static void release(struct held *h, int to)
{
	if (h->size)
		(void)!send(to, h->data, h->size, MSG_DONTWAIT);
	h->size = 0;
}

/* One datagram that came goes on, or does not; what was held back goes after it. */
static void pass_on(struct proxy *p, struct held *h, const struct held *came, int to)
{
	if (chance(p, p->weather.lost))
		return;
	if (!h->size && chance(p, p->weather.late)) {
		*h = *came;
		return;
	}
	for (int n = 1 + chance(p, p->weather.twice); n; n--)
		(void)!send(to, came->data, came->size, MSG_DONTWAIT);
	release(h, to);
}

static void forward(struct proxy *p, struct line *l, bool from_client)
{
	struct address from = { .len = sizeof(from.storage) };
	int fd = from_client ? l->front : l->back, to = from_client ? l->back : l->front;
	struct held came;
	ssize_t n = recvfrom(fd, came.data, sizeof(came.data), MSG_DONTWAIT,
	    (struct sockaddr *)&from.storage, &from.len);

	if (n <= 0)
		return;
	came.size = (size_t)n;
	if (from_client)
		(void)!connect(l->front, (struct sockaddr *)&from.storage, from.len);
	pass_on(p, &l->held[from_client], &came, to);
}

static void *proxy_run(void *context)
{
	struct proxy *p = context;
	struct pollfd fds[2 * LINES];

	while (!p->stop) {
		for (int i = 0; i < LINES; i++) {
			fds[2 * i] = (struct pollfd){ p->lines[i].back, POLLIN, 0 };
			fds[2 * i + 1] = (struct pollfd){ p->lines[i].front, POLLIN, 0 };
		}
		if (poll(fds, 2 * LINES, HELD_MS) == 0) {
			for (int i = 0; i < LINES; i++) {
				release(&p->lines[i].held[0], p->lines[i].front);
				release(&p->lines[i].held[1], p->lines[i].back);
			}
		}
		for (int i = 0; i < 2 * LINES; i++)
			if (fds[i].revents)
				forward(p, &p->lines[i / 2], i % 2);
	}
	return NULL;
}

static void proxy_start(struct proxy *p, const struct engine *e, struct weather weather)
{
	struct address server;

	memset(p, 0, sizeof(*p));
	p->weather = weather;
	p->random = 20490;
	address_parse("127.0.0.1", engine_port(e), &server);
	for (int i = 0; i < LINES; i++) {
		p->lines[i].front = bind_to("127.0.0.1", &p->addresses[i]);
		if (p->lines[i].front < 0 || datagram_open(&server, &p->lines[i].back))
			abort();
	}
	if (pthread_create(&p->thread, NULL, proxy_run, p))
		abort();
}

static void proxy_stop(struct proxy *p)
{
	p->stop = true;
	pthread_join(p->thread, NULL);
	for (int i = 0; i < LINES; i++) {
		close(p->lines[i].front);
		close(p->lines[i].back);
	}
}

struct worker {
	pthread_t thread;
	const struct address *address;
	unsigned calls, right;
};

static void *work(void *context)
{
	struct worker *w = context;
	CLIENT *client = client_of(w->address);
	struct timeval retry = { 0, 3000 };
	struct timeval patience = { 300, 0 }; /* of 10000 calls one loses 16 datagrams in a row */

	clnt_control(client, CLSET_RETRY_TIMEOUT, (char *)&retry);
	clnt_control(client, CLSET_TIMEOUT, (char *)&patience);
	for (uint32_t i = 0; i < w->calls; i++) {
		char text[32];
		ipc9_blob blob = { 0 };
		int n = snprintf(text, sizeof(text), "call %u", i);

		if (echo_blob(client, (unsigned char *)text, (uint32_t)n, &blob) == RPC_SUCCESS)
			w->right +=
			    blob.len == (uint32_t)n && memcmp(blob.data, text, blob.len) == 0;
		xdr_free((xdrproc_t)xdr_ipc9_blob, &blob);
	}
	clnt_destroy(client);
	return NULL;
}

static void expect_exactly_once(struct weather weather)
{
	const unsigned n = is_long() ? 10000 : 480;
	struct worker workers[LINES];
	const struct server_limits caching = CACHING;
	struct engine *e = engine_start(&caching);
	struct proxy proxy;
	unsigned right = 0;

	proxy_start(&proxy, e, weather);
	for (int i = 0; i < LINES; i++) {
		workers[i] = (struct worker){ 0, &proxy.addresses[i], n / LINES, 0 };
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			abort();
	}
	for (int i = 0; i < LINES; i++) {
		pthread_join(workers[i].thread, NULL);
		right += workers[i].right;
	}
	proxy_stop(&proxy);
	EQUAL(right, n);
	EQUAL(engine_stats(e).calls, n);
	HOLDS(engine_stats(e).replayed > 0);
	engine_stop(e);
}

static void test_with_a_tenth_lost_each_call_is_run_once(void)
{
	expect_exactly_once((struct weather){ .lost = 10 });
}

static void test_with_a_third_lost_each_call_is_run_once(void)
{
	expect_exactly_once((struct weather){ .lost = 30 });
}

static void test_with_duplicates_each_call_is_run_once(void)
{
	expect_exactly_once((struct weather){ .twice = 10 });
}

static void test_with_loss_duplicates_and_disorder_each_call_is_run_once(void)
{
	expect_exactly_once((struct weather){ .lost = 30, .twice = 10, .late = 20 });
}

SUITE(udp_loss, TEST(test_with_a_tenth_lost_each_call_is_run_once),
    TEST(test_with_a_third_lost_each_call_is_run_once),
    TEST(test_with_duplicates_each_call_is_run_once),
    TEST(test_with_loss_duplicates_and_disorder_each_call_is_run_once));
