/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_conduit.c - two ends of a conduit, in one process where nobody has to wait, else in two: what each operation
 * promises.  What happens when the other process stops, dies or lies: test_conduit_peers.c.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include <errno.h>

#include "tests/conduit.h"
#include "tests/harness.h"
#include "transport/conduit_end.h"
#include "util/clock.h"

/* --- Making ------------------------------------------------------------------------------------ */

static void test_ends_that_do_not_agree_are_refused(void)
{
	int memory, sockets[2], ends[2];
	struct conduit *c = NULL;

	EQUAL(conduit_create(RING_BYTES, 0, &memory, sockets), -EINVAL);
	EQUAL(conduit_create(RING_BYTES, UINT64_MAX, &memory, sockets), -EINVAL);
	EQUAL(conduit_create(RING_BYTES, CONDUIT_QUOTA_MAX + 1, &memory, sockets), -EINVAL);
	EQUAL(conduit_create(RING_BYTES, MIB, &memory, sockets), 0);
	EQUAL(conduit_open(memory, sockets[0], CONDUIT_FIRST, RING_BYTES, 4 * MIB, &c), -EPROTO);
	EQUAL(conduit_open(memory, sockets[0], CONDUIT_FIRST, RING_MESSAGES, MIB, &c), -EPROTO);
	EQUAL(conduit_open(sockets[0], sockets[0], CONDUIT_FIRST, RING_BYTES, MIB, &c), -EPROTO);
	EQUAL(conduit_open(memory, memory, CONDUIT_FIRST, RING_BYTES, MIB, &c), -EPROTO);
	EQUAL(pipe(ends), 0);
	EQUAL(conduit_open(memory, ends[0], CONDUIT_FIRST, RING_BYTES, MIB, &c), -EPROTO);
	HOLDS(!c);
	close(ends[0]);
	close(ends[1]);
	close(memory);
	close(sockets[0]);
	close(sockets[1]);
}

/* --- Reading and writing ----------------------------------------------------------------------- */

static void test_bytes_are_read_across_the_boundaries_of_writes(void)
{
	struct pair p = open_pair(RING_BYTES, MIB);
	char buffer[16];
	uint64_t total, first;
	size_t n;

	EQUAL(conduit_write(p.a, "abc", 3, 0, &n), 0);
	EQUAL(n, 3);
	EQUAL(conduit_write(p.b, "other way", 9, 0, &n), 0);
	EQUAL(conduit_read(p.b, buffer, 1, 0, &n), 0);
	EQUAL(conduit_write(p.a, "def", 3, 0, &n), 0);
	EQUAL(conduit_peek(p.b, buffer, 2, &n, &total, &first), 0);
	SAME_BYTES(buffer, n, "bc", 2);
	EQUAL(total, 5);
	check_read(p.b, "bcdef");
	EQUAL(conduit_peek(p.b, buffer, 2, &n, &total, &first), 0);
	EQUAL(n + total + first, 0);
	EQUAL(read_now(p.b), CONDUIT_TIMEDOUT);
	check_read(p.a, "other way");
	EQUAL(send_text(p.a, "x", 0), -EINVAL);
	close_pair(&p);
}

static void test_messages_keep_their_boundaries(void)
{
	struct pair p = open_pair(RING_MESSAGES, MIB);
	struct iovec pieces[3] = { { "ab", 2 }, { NULL, 0 }, { "cd", 2 } };
	uint64_t total, first;
	char buffer[16];
	bool more;
	size_t n;

	EQUAL(conduit_send(p.a, pieces, 3, 0), 0);
	EQUAL(send_text(p.a, "", 0), 0);
	EQUAL(send_text(p.a, "xyz", 0), 0);
	EQUAL(conduit_peek(p.b, buffer, 3, &n, &total, &first), 0);
	EQUAL(n, 3);
	EQUAL(total, 7);
	EQUAL(first, 4);
	EQUAL(conduit_read_message(p.b, buffer, 3, 0, &n, &more), 0);
	SAME_BYTES(buffer, n, "abc", 3);
	HOLDS(more);
	EQUAL(conduit_read_message(p.b, buffer, 3, 0, &n, &more), 0);
	SAME_BYTES(buffer, n, "d", 1);
	HOLDS(!more);
	EQUAL(conduit_read_message(p.b, buffer, 3, 0, &n, &more), 0);
	EQUAL(n, 0);
	HOLDS(!more);
	EQUAL(conduit_read_message(p.b, buffer, 0, 0, &n, &more), 0);
	EQUAL(n, 0);
	HOLDS(more);
	check_read(p.b, "xyz");
	EQUAL(conduit_write(p.a, "x", 1, 0, &n), -EINVAL);
	close_pair(&p);
}

static void test_reading_nothing_waits_for_something_and_takes_nothing(void)
{
	struct pair p = open_pair(RING_BYTES, MIB);
	size_t n = 1;

	EQUAL(conduit_read(p.b, NULL, 0, 0, &n), CONDUIT_TIMEDOUT);
	EQUAL(conduit_write(p.a, "abc", 3, 0, &n), 0);
	EQUAL(conduit_read(p.b, NULL, 0, 0, &n), 0);
	EQUAL(n, 0);
	check_read(p.b, "abc");
	close_pair(&p);
}

static void test_in_place_one_reads_what_was_written_in_place(void)
{
	struct pair p = open_pair(RING_BYTES, MIB);
	struct iovec pieces[2];
	void *room;
	size_t n;

	EQUAL(conduit_reserve(p.a, 100, 0, &room, &n), 0);
	EQUAL(n, 100);
	memcpy(room, "in place", 8);
	EQUAL(conduit_view(p.b, 0, pieces, &n), CONDUIT_TIMEDOUT);
	EQUAL(conduit_commit(p.a, 8), 0);
	EQUAL(conduit_view(p.b, 0, pieces, &n), 0);
	EQUAL(n, 1);
	SAME_BYTES(pieces[0].iov_base, pieces[0].iov_len, "in place", 8);
	EQUAL(conduit_consume(p.b, 3), 0);
	check_read(p.b, "place");
	close_pair(&p);
}

/* With `done` between reserve and commit, and view and consume, of the same end; what these come to. */
static void check_in_place(void (*done)(struct pair *p), int commit, int consume)
{
	struct pair p = open_pair(RING_MESSAGES, MIB);
	struct iovec piece = { (void *)(uintptr_t) "abc", 3 }, pieces[2];
	void *room;
	size_t n;

	EQUAL(conduit_send(p.b, &piece, 1, 0), 0);
	EQUAL(conduit_reserve(p.a, 3, 0, &room, &n), 0);
	EQUAL(conduit_view(p.a, 0, pieces, &n), 0);
	done(&p);
	EQUAL(conduit_commit(p.a, 3), commit);
	EQUAL(conduit_consume(p.a, 3), consume);
	close_pair(&p);
}

static void peer_closes(struct pair *p)
{
	p->b = conduit_close(p->b);
}

static void peer_disconnects(struct pair *p)
{
	conduit_disconnect(p->b);
}

static void end_writing(struct pair *p)
{
	conduit_end(p->a);
}

static void abort_own(struct pair *p)
{
	conduit_abort(p->a);
}

static void test_what_is_in_place_when_the_state_changes_is_refused(void)
{
	check_in_place(peer_closes, CONDUIT_PEERCLOSED, 0);
	check_in_place(peer_disconnects, CONDUIT_DISCONNECTED, CONDUIT_DISCONNECTED);
	check_in_place(end_writing, CONDUIT_ENDED, 0);
	check_in_place(abort_own, CONDUIT_CANCELLED, CONDUIT_CANCELLED);
}

static void test_a_write_that_times_out_tells_how_much_was_written(void)
{
	struct pair p = open_pair(RING_BYTES, 70000);
	char *buffer = malloc(MIB);
	size_t n, got, all = 0;

	EQUAL(write_size(p.a, MIB, clock_deadline_ms(20), &n), CONDUIT_TIMEDOUT);
	HOLDS(n >= 70000 && n < MIB);
	while (conduit_read(p.b, buffer, MIB, 0, &got) == 0)
		all += got;
	EQUAL(all, n);
	free(buffer);
	close_pair(&p);
}

static void test_a_message_is_sent_whole_or_not_at_all(void)
{
	struct pair p = open_pair(RING_MESSAGES, 1);
	char *buffer = malloc(MIB);
	struct iovec piece = { buffer, MIB - 100 };
	unsigned sent = 0, read = 0;
	bool more;
	size_t n;
	int r;

	memset(buffer, 1, MIB);
	while (!(r = conduit_send(p.a, &piece, 1, clock_deadline_ms(5))))
		sent++;
	EQUAL(r, CONDUIT_TIMEDOUT);
	HOLDS(sent > 0);
	while (!(r = conduit_read_message(p.b, buffer, MIB, 0, &n, &more))) {
		EQUAL(n, MIB - 100);
		read++;
	}
	EQUAL(r, CONDUIT_TIMEDOUT);
	EQUAL(read, sent);
	piece.iov_len = CONDUIT_MESSAGE_MAX + 1;
	EQUAL(conduit_send(p.a, &piece, 1, 0), -EMSGSIZE);
	free(buffer);
	close_pair(&p);
}

static void test_a_stream_between_processes_arrives_whole(void)
{
	unsigned char *buffer = malloc(300000);
	uint64_t total = 0, random = 3;
	pid_t pid;
	struct conduit *c = start_peer(RING_BYTES, MIB, read_stream, &pid);

	while (total < STREAM_BYTES) {
		size_t n, size;

		random = random * 6364136223846793005u + 1442695040888963407u;
		size = 1 + (random >> 40) % 300000;
		if (size > STREAM_BYTES - total)
			size = STREAM_BYTES - total;
		for (size_t i = 0; i < size; i++)
			buffer[i] = byte_at(total + i);
		if (!EQUAL(conduit_write(c, buffer, size, patient(), &n), 0) ||
		    !EQUAL(conduit_wait_quota(c, patient()), 0))
			break;
		total += n;
	}
	conduit_end(c);
	EQUAL(conduit_write(c, buffer, 1, 0, &(size_t){ 0 }), CONDUIT_ENDED);
	EQUAL(exit_code(pid), 0);
	conduit_close(c);
	free(buffer);
}

/* Sends each message back. */
static int echo(struct conduit *c)
{
	unsigned char *buffer = malloc(CONDUIT_MESSAGE_MAX);
	bool more;
	size_t n;
	int r;

	while (!(r = conduit_read_message(c, buffer, CONDUIT_MESSAGE_MAX, patient(), &n, &more))) {
		struct iovec piece = { buffer, n };

		r = conduit_send(c, &piece, 1, patient());
		if (r)
			break;
	}
	return r == CONDUIT_EOF ? 0 : r;
}

static void test_messages_of_all_sizes_come_back_from_another_process(void)
{
	unsigned char *out = malloc(CONDUIT_MESSAGE_MAX), *in = malloc(CONDUIT_MESSAGE_MAX);
	pid_t pid;
	struct conduit *c = start_peer(RING_MESSAGES, MIB, echo, &pid);
	bool more;
	size_t n;

	for (unsigned i = 0; i < 300; i++) {
		size_t size = i < 100 ? i : i * 7919u % CONDUIT_MESSAGE_MAX;
		struct iovec piece = { out, size };

		memset(out, (int)i, size);
		if (!EQUAL(conduit_send(c, &piece, 1, patient()), 0) ||
		    !EQUAL(conduit_read_message(c, in, CONDUIT_MESSAGE_MAX, patient(), &n, &more),
			0) ||
		    !SAME_BYTES(in, n, out, size))
			break;
	}
	conduit_end(c);
	EQUAL(exit_code(pid), 0);
	conduit_close(c);
	free(out);
	free(in);
}

/* --- The end ----------------------------------------------------------------------------------- */

static void test_what_was_written_before_the_end_is_read_first(void)
{
	enum ring_type types[] = { RING_BYTES, RING_MESSAGES };

	for (int i = 0; i < 2; i++) {
		struct pair p = open_pair(types[i], MIB);

		EQUAL(write_now(p.a), 0);
		conduit_end(p.a);
		EQUAL(write_now(p.a), CONDUIT_ENDED);
		EQUAL(conduit_peer(p.b), 0);
		check_read(p.b, "x");
		EQUAL(read_now(p.b), CONDUIT_EOF);
		/* The other way goes on. */
		EQUAL(write_now(p.b), 0);
		check_read(p.a, "x");
		EQUAL(write_now(p.b), 0);
		p.b = conduit_close(p.b);
		check_read(p.a, "x");
		EQUAL(read_now(p.a), CONDUIT_EOF);
		EQUAL(conduit_peer(p.a), CONDUIT_PEERCLOSED);
		close_pair(&p);
	}
}

static void test_writing_to_an_end_that_closed_or_reads_no_more_fails(void)
{
	struct pair p = open_pair(RING_BYTES, MIB);

	conduit_stop_reading(p.b);
	EQUAL(write_now(p.a), CONDUIT_PEERCLOSED);
	EQUAL(write_now(p.b), 0);
	check_read(p.a, "x");
	close_pair(&p);
	p = open_pair(RING_MESSAGES, MIB);
	p.b = conduit_close(p.b);
	EQUAL(write_now(p.a), CONDUIT_PEERCLOSED);
	EQUAL(read_now(p.a), CONDUIT_EOF);
	close_pair(&p);
}

static void test_disconnecting_voids_what_is_queued_both_ways(void)
{
	enum ring_type types[] = { RING_BYTES, RING_MESSAGES };

	for (int i = 0; i < 2; i++) {
		struct pair p = open_pair(types[i], MIB);
		uint64_t total, first;
		char byte;
		size_t n;

		EQUAL(write_now(p.a), 0);
		EQUAL(write_now(p.b), 0);
		conduit_disconnect(p.a);
		EQUAL(read_now(p.a), CONDUIT_DISCONNECTED);
		EQUAL(read_now(p.b), CONDUIT_DISCONNECTED);
		EQUAL(write_now(p.a), CONDUIT_DISCONNECTED);
		EQUAL(write_now(p.b), CONDUIT_DISCONNECTED);
		EQUAL(conduit_peek(p.b, &byte, 1, &n, &total, &first), CONDUIT_DISCONNECTED);
		EQUAL(conduit_flush(p.b, 0), CONDUIT_DISCONNECTED);
		EQUAL(conduit_wait_closed(p.b, 0), CONDUIT_DISCONNECTED);
		EQUAL(conduit_peer(p.b), CONDUIT_DISCONNECTED);
		p.a = conduit_close(p.a);
		EQUAL(read_now(p.b), CONDUIT_DISCONNECTED);
		close_pair(&p);
	}
}

static void test_a_byte_stream_ends_for_a_reader_that_was_gone_meanwhile(void)
{
	struct pair p = open_pair(RING_BYTES, MIB);

	EQUAL(conduit_wait_closed(p.a, 0), CONDUIT_TIMEDOUT);
	EQUAL(conduit_flush(p.a, 0), 0);
	EQUAL(write_now(p.a), 0);
	EQUAL(conduit_flush(p.a, 0), CONDUIT_TIMEDOUT);
	check_read(p.b, "x");
	p.b = conduit_close(p.b);
	/* It had read all. */
	EQUAL(conduit_flush(p.a, 0), 0);
	EQUAL(conduit_wait_closed(p.a, 0), CONDUIT_EOF);
	close_pair(&p);
	p = open_pair(RING_BYTES, MIB);
	EQUAL(write_now(p.a), 0);
	p.b = conduit_close(p.b);
	EQUAL(conduit_flush(p.a, 0), CONDUIT_PEERCLOSED);
	close_pair(&p);
}

/* --- Completion -------------------------------------------------------------------------------- */

static void test_a_write_completes_at_the_quota_and_not_above(void)
{
	enum ring_type types[] = { RING_BYTES, RING_MESSAGES };
	char *data = calloc(1, 200000);
	size_t n;

	for (int i = 0; i < 2; i++) {
		struct pair p = open_pair(types[i], 100000);
		struct iovec pieces[] = { { data, 100000 }, { data, 1 } };

		for (int j = 0; j < 2; j++) {
			EQUAL(types[i] == RING_BYTES
				? conduit_write(p.a, data, pieces[j].iov_len, 0, &n)
				: conduit_send(p.a, &pieces[j], 1, 0),
			    0);
			EQUAL(conduit_room(p.a), 0);
			EQUAL(conduit_wait_quota(p.a, 0), j ? CONDUIT_TIMEDOUT : 0);
		}
		EQUAL(conduit_read(p.b, data, 1, 0, &n), 0);
		EQUAL(conduit_wait_quota(p.a, 0), 0);
		EQUAL(conduit_wait_quota(p.a, patient()), 0);
		EQUAL(conduit_read(p.b, data, 1000, 0, &n), 0);
		EQUAL(conduit_room(p.a), 1000);
		close_pair(&p);
	}
	free(data);
}

static void test_a_flush_waits_for_empty_messages_too(void)
{
	struct pair p = open_pair(RING_MESSAGES, MIB);
	bool more;
	size_t n;

	EQUAL(send_text(p.a, "", 0), 0);
	EQUAL(conduit_flush(p.a, 0), CONDUIT_TIMEDOUT);
	EQUAL(conduit_read_message(p.b, NULL, 0, 0, &n, &more), 0);
	EQUAL(conduit_flush(p.a, 0), 0);
	close_pair(&p);
}

/* Reads byte after byte, slowly, so that whoever waits for any of them sleeps. */
static int read_slowly(struct conduit *c)
{
	char buffer[1000];
	size_t n;

	for (int i = 0; i < 100; i++) {
		usleep(500);
		if (conduit_read(c, buffer, sizeof(buffer), patient(), &n))
			return 1;
	}
	return sleep_for_ever(c);
}

static void test_waiting_for_completion_and_flush_ends_when_enough_was_read(void)
{
	enum ring_type types[] = { RING_BYTES, RING_MESSAGES };
	char *data = calloc(1, 100000);
	struct conduit_counters counters;
	size_t n;
	pid_t pid;

	for (int i = 0; i < 2; i++) {
		struct conduit *c = start_peer(types[i], 70000, read_slowly, &pid);
		struct iovec piece = { data, 100000 };

		EQUAL(types[i] == RING_BYTES ? conduit_write(c, data, 100000, patient(), &n)
					     : conduit_send(c, &piece, 1, patient()),
		    0);
		EQUAL(conduit_wait_quota(c, patient()), 0);
		HOLDS(conduit_room(c) < 70000);
		EQUAL(conduit_flush(c, patient()), 0);
		EQUAL(conduit_room(c), 70000);
		conduit_count(c, &counters);
		HOLDS(counters.sleeps > 0);
		EQUAL(counters.forgotten, 0);
		kill_peer(pid);
		conduit_close(c);
	}
	free(data);
}

/* --- Cancelling -------------------------------------------------------------------------------- */

/* A thread that waits in an operation. */
struct waiter {
	struct conduit *c;
	int (*run)(struct conduit *c);
	pthread_t thread;
	int result;
};

static void *wait_in(void *context)
{
	struct waiter *w = context;

	w->result = w->run(w->c);
	return NULL;
}

static int wait_reading(struct conduit *c)
{
	return conduit_read(c, NULL, 0, patient(), &(size_t){ 0 });
}

static int wait_writing(struct conduit *c)
{
	return write_size(c, MIB, patient(), &(size_t){ 0 });
}

static int wait_flushing(struct conduit *c)
{
	return conduit_flush(c, patient());
}

static bool is_asleep(void *context)
{
	struct waiter *w = context;
	struct conduit_counters counters;

	conduit_count(w->c, &counters);
	return counters.sleeps > 0;
}

static void start_waiter(struct waiter *w, struct conduit *c, int (*run)(struct conduit *c))
{
	w->c = c;
	w->run = run;
	pthread_create(&w->thread, NULL, wait_in, w);
	HOLDS(wait_until(is_asleep, w, PATIENT_MS));
}

static int waiter_result(struct waiter *w)
{
	pthread_join(w->thread, NULL);
	return w->result;
}

static void test_a_cancelled_operation_returns_and_the_end_goes_on(void)
{
	struct pair p = open_pair(RING_BYTES, 70000);
	struct waiter w;
	char *buffer = malloc(MIB);
	size_t n;

	/* Without an operation it has no effect. */
	conduit_cancel(p.a, CONDUIT_READING | CONDUIT_WRITING);
	start_waiter(&w, p.a, wait_reading);
	conduit_cancel(p.a, CONDUIT_WRITING);
	conduit_cancel(p.a, CONDUIT_READING);
	EQUAL(waiter_result(&w), CONDUIT_CANCELLED);
	EQUAL(write_now(p.b), 0);
	check_read(p.a, "x");
	close_pair(&p);
	p = open_pair(RING_BYTES, 70000);
	start_waiter(&w, p.a, wait_writing);
	conduit_cancel(p.a, CONDUIT_WRITING);
	EQUAL(waiter_result(&w), CONDUIT_CANCELLED);
	EQUAL(conduit_read(p.b, buffer, MIB, 0, &n), 0);
	EQUAL(write_now(p.a), 0);
	close_pair(&p);
	free(buffer);
}

static void test_after_an_abort_nothing_waits(void)
{
	struct pair p = open_pair(RING_BYTES, 70000);
	struct waiter w;
	size_t n;

	EQUAL(write_now(p.a), 0);
	start_waiter(&w, p.a, wait_flushing);
	conduit_abort(p.a);
	EQUAL(waiter_result(&w), CONDUIT_CANCELLED);
	EQUAL(conduit_flush(p.a, patient()), CONDUIT_CANCELLED);
	EQUAL(conduit_read(p.a, NULL, 0, patient(), &n), CONDUIT_CANCELLED);
	close_pair(&p);
}

static void test_operations_under_way_end_when_one_end_disconnects_or_closes(void)
{
	int (*runs[])(struct conduit *) = { wait_reading, wait_writing };
	int closed[] = { CONDUIT_EOF, CONDUIT_PEERCLOSED };

	for (int i = 0; i < 2; i++) {
		struct pair p = open_pair(RING_BYTES, 70000);
		struct waiter w;

		start_waiter(&w, p.a, runs[i]);
		conduit_disconnect(p.b);
		EQUAL(waiter_result(&w), CONDUIT_DISCONNECTED);
		close_pair(&p);
		p = open_pair(RING_BYTES, 70000);
		start_waiter(&w, p.a, runs[i]);
		conduit_disconnect(p.a);
		EQUAL(waiter_result(&w), CONDUIT_DISCONNECTED);
		close_pair(&p);
		p = open_pair(RING_BYTES, 70000);
		start_waiter(&w, p.a, runs[i]);
		p.b = conduit_close(p.b);
		EQUAL(waiter_result(&w), closed[i]);
		close_pair(&p);
	}
}

/* --- In an event loop -------------------------------------------------------------------------- */

static int poll_now(struct conduit *c)
{
	struct pollfd p = { .fd = conduit_fd(c), .events = POLLIN };

	EQUAL(poll(&p, 1, 0) >= 0, 1);
	return p.revents;
}

static int bells(struct conduit *c)
{
	char buffer[64];
	ssize_t n = recv(conduit_fd(c), buffer, sizeof(buffer), MSG_DONTWAIT);

	return n < 0 ? 0 : (int)n;
}

static void test_the_descriptor_rings_once_for_what_was_armed(void)
{
	struct pair p = open_pair(RING_MESSAGES, MIB);

	EQUAL(write_now(p.a), 0);
	EQUAL(poll_now(p.b), 0);
	EQUAL(conduit_arm(p.b, CONDUIT_READING), CONDUIT_READING);
	check_read(p.b, "x");
	EQUAL(conduit_arm(p.b, CONDUIT_READING), 0);
	EQUAL(poll_now(p.b), 0);
	for (int i = 0; i < 5; i++)
		EQUAL(write_now(p.a), 0);
	EQUAL(poll_now(p.b), POLLIN);
	EQUAL(bells(p.b), 1);
	check_read(p.b, "xxxxx");
	/* The end of the stream is something too. */
	EQUAL(conduit_arm(p.b, CONDUIT_READING), 0);
	conduit_end(p.a);
	EQUAL(poll_now(p.b), POLLIN);
	conduit_answer(p.b);
	EQUAL(poll_now(p.b), 0);
	EQUAL(read_now(p.b), CONDUIT_EOF);
	EQUAL(conduit_arm(p.b, CONDUIT_READING), CONDUIT_READING);
	close_pair(&p);
}

static void test_the_descriptor_rings_when_there_is_room_or_all_was_read(void)
{
	struct pair p = open_pair(RING_BYTES, 100000);
	size_t n;

	EQUAL(conduit_arm(p.a, CONDUIT_WRITING), CONDUIT_WRITING);
	EQUAL(write_size(p.a, 100001, 0, &n), 0);
	EQUAL(conduit_wait_quota(p.a, 0), CONDUIT_TIMEDOUT);
	EQUAL(conduit_arm(p.a, CONDUIT_WRITING), 0);
	EQUAL(read_now(p.b), 0);
	EQUAL(poll_now(p.a), POLLIN);
	conduit_answer(p.a);
	EQUAL(conduit_wait_quota(p.a, 0), 0);
	EQUAL(conduit_flush(p.a, 0), CONDUIT_TIMEDOUT);
	EQUAL(conduit_arm(p.a, CONDUIT_WRITING | CONDUIT_READING), 0);
	EQUAL(read_now(p.b), 0);
	EQUAL(bells(p.a), 1);
	EQUAL(conduit_arm(p.a, CONDUIT_WRITING), CONDUIT_WRITING);
	EQUAL(conduit_flush(p.a, 0), CONDUIT_TIMEDOUT);
	EQUAL(conduit_arm(p.a, CONDUIT_WRITING), 0);
	conduit_disconnect(p.b);
	HOLDS(poll_now(p.a) & POLLIN);
	EQUAL(conduit_arm(p.a, CONDUIT_WRITING), CONDUIT_WRITING);
	close_pair(&p);
}

static void test_the_descriptor_hangs_up_when_the_peer_dies(void)
{
	pid_t pid;
	struct conduit *c = start_peer(RING_BYTES, MIB, sleep_for_ever, &pid);
	struct pollfd p = { .fd = conduit_fd(c), .events = POLLIN };

	EQUAL(conduit_arm(c, CONDUIT_READING), 0);
	EQUAL(poll_now(c), 0);
	kill_peer(pid);
	EQUAL(poll(&p, 1, PATIENT_MS), 1);
	HOLDS(p.revents & POLLHUP);
	EQUAL(conduit_peer(c), CONDUIT_LOST);
	EQUAL(read_now(c), CONDUIT_LOST);
	conduit_close(c);
}

static void test_bells_without_end_do_not_hold_up_an_answer(void)
{
	struct pair p = open_pair(RING_BYTES, MIB);
	char many[4096] = { 0 };

	while (send(conduit_fd(p.a), many, sizeof(many), MSG_DONTWAIT) > 0)
		;
	conduit_answer(p.b);
	EQUAL(conduit_arm(p.b, CONDUIT_READING), 0);
	/* No room for one more bell is no trouble. */
	EQUAL(write_now(p.a), 0);
	HOLDS(poll_now(p.b) & POLLIN);
	check_read(p.b, "x");
	close_pair(&p);
}

static void test_its_memory_is_as_large_as_is_said_and_nobody_makes_it_larger(void)
{
	static const uint64_t quotas[] = { 1, 65536, MIB, CONDUIT_QUOTA_MAX };

	for (size_t i = 0; i < 2 * sizeof(quotas) / sizeof(quotas[0]); i++) {
		enum ring_type type = i % 2 ? RING_MESSAGES : RING_BYTES;
		uint64_t size = conduit_size(type, quotas[i / 2]);
		int memory, sockets[2];
		struct stat st;

		if (!EQUAL(conduit_create(type, quotas[i / 2], &memory, sockets), 0))
			continue;
		HOLDS(size <= 2 * (uint64_t)RING_BYTES_MAX + 4096);
		EQUAL(fallocate(memory, 0, (off_t)size, 4096), -1);
		EQUAL(fallocate(memory, FALLOC_FL_KEEP_SIZE, (off_t)size, 4096), -1);
		EQUAL(pwrite(memory, "x", 1, (off_t)size), -1);
		EQUAL(ftruncate(memory, (off_t)size + 4096), -1);
		EQUAL(fallocate(memory, 0, 0, (off_t)size), 0);
		EQUAL(fstat(memory, &st), 0);
		EQUAL(st.st_size, size);
		HOLDS((uint64_t)st.st_blocks * 512 <= size);
		close(memory);
		close(sockets[0]);
		close(sockets[1]);
	}
}

SUITE(conduit, TEST(test_ends_that_do_not_agree_are_refused),
    TEST(test_bytes_are_read_across_the_boundaries_of_writes),
    TEST(test_messages_keep_their_boundaries),
    TEST(test_reading_nothing_waits_for_something_and_takes_nothing),
    TEST(test_in_place_one_reads_what_was_written_in_place),
    TEST(test_what_is_in_place_when_the_state_changes_is_refused),
    TEST(test_a_write_that_times_out_tells_how_much_was_written),
    TEST(test_a_message_is_sent_whole_or_not_at_all),
    TEST(test_a_stream_between_processes_arrives_whole),
    TEST(test_messages_of_all_sizes_come_back_from_another_process),
    TEST(test_what_was_written_before_the_end_is_read_first),
    TEST(test_writing_to_an_end_that_closed_or_reads_no_more_fails),
    TEST(test_disconnecting_voids_what_is_queued_both_ways),
    TEST(test_a_byte_stream_ends_for_a_reader_that_was_gone_meanwhile),
    TEST(test_a_write_completes_at_the_quota_and_not_above),
    TEST(test_a_flush_waits_for_empty_messages_too),
    TEST(test_waiting_for_completion_and_flush_ends_when_enough_was_read),
    TEST(test_a_cancelled_operation_returns_and_the_end_goes_on),
    TEST(test_after_an_abort_nothing_waits),
    TEST(test_operations_under_way_end_when_one_end_disconnects_or_closes),
    TEST(test_the_descriptor_rings_once_for_what_was_armed),
    TEST(test_the_descriptor_rings_when_there_is_room_or_all_was_read),
    TEST(test_the_descriptor_hangs_up_when_the_peer_dies),
    TEST(test_bells_without_end_do_not_hold_up_an_answer),
    TEST(test_its_memory_is_as_large_as_is_said_and_nobody_makes_it_larger));
