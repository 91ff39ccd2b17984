/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * test_registration.c - what transport/registration.h makes of an rpcbind that fails at times: one of the test's own, on a
 * local socket, that takes as many SETs and UNSETs for the end of the connection as a test says.
 */
#include "transport/registration.h"

#include <pthread.h>
#include <rpc/rpc.h>
#include <rpc/rpcb_prot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/engine.h"
#include "tests/harness.h"
#include "util/text.h"

#define PROGRAM 0x20001234u
#define ENTRIES_MAX 4

struct fake {
	char folder[64], path[96];
	int fd;
	pthread_t thread;
	pthread_mutex_t lock; /* for all that follows */
	struct registration_entry entries[ENTRIES_MAX];
	unsigned n, drop_sets, drop_unsets;
};

/* --- The rpcbind ------------------------------------------------------------------------------- */

static struct registration_entry *find(struct fake *f, const struct rpcb *wanted)
{
	for (unsigned i = 0; i < f->n; i++)
		if (f->entries[i].program == wanted->r_prog &&
		    strcmp(f->entries[i].netid, wanted->r_netid) == 0)
			return &f->entries[i];
	return NULL;
}

static bool_t set(struct fake *f, const struct rpcb *wanted)
{
	struct registration_entry *e = &f->entries[f->n];

	if (f->n == ENTRIES_MAX || find(f, wanted))
		return FALSE;
	e->program = (uint32_t)wanted->r_prog;
	e->version = (uint32_t)wanted->r_vers;
	text_format(e->netid, sizeof(e->netid), "%s", wanted->r_netid);
	text_format(e->universal, sizeof(e->universal), "%s", wanted->r_addr);
	f->n++;
	return TRUE;
}

static bool_t unset(struct fake *f, const struct rpcb *wanted)
{
	struct registration_entry *e = find(f, wanted);

	if (!e)
		return FALSE;
	*e = f->entries[--f->n];
	return TRUE;
}

static bool put_list(struct fake *f, XDR *out)
{
	char owner[] = "";
	bool_t more = TRUE, end = FALSE;
	bool ok = true;

	for (unsigned i = 0; i < f->n && ok; i++) {
		struct registration_entry *e = &f->entries[i];
		struct rpcb wire = { e->program, e->version, e->netid, e->universal, owner };

		ok = xdr_bool(out, &more) && xdr_rpcb(out, &wire);
	}
	return ok && xdr_bool(out, &end);
}

/* Whether a call of this procedure is to end the connection. */
static bool drops(struct fake *f, rpcproc_t procedure)
{
	unsigned *left = procedure == RPCBPROC_SET ? &f->drop_sets
	    : procedure == RPCBPROC_UNSET	   ? &f->drop_unsets
						   : NULL;

	return left && *left && (*left)--;
}

/* Answers one call; false: the connection ends instead. */
static bool answer(struct fake *f, struct raw *call, struct raw *reply)
{
	char credential[MAX_AUTH_BYTES], verifier[MAX_AUTH_BYTES];
	struct rpc_msg message = { 0 };
	struct rpcb wanted = { 0 };
	rpcproc_t procedure;
	XDR in, out;
	bool_t done;
	bool ok;

	message.rm_call.cb_cred.oa_base = credential;
	message.rm_call.cb_verf.oa_base = verifier;
	xdrmem_create(&in, (char *)call->data, (u_int)call->size, XDR_DECODE);
	xdrmem_create(&out, (char *)reply->data, sizeof(reply->data), XDR_ENCODE);
	ok = xdr_callmsg(&in, &message);
	procedure = message.rm_call.cb_proc;
	reply->size = 0;
	raw_word(reply, message.rm_xid);
	for (int i = 0; i < 5; i++)
		raw_word(reply, i == 0 ? REPLY : 0);
	XDR_SETPOS(&out, (u_int)reply->size);
	pthread_mutex_lock(&f->lock);
	ok = ok && !drops(f, procedure);
	if (ok && procedure == RPCBPROC_DUMP) {
		ok = put_list(f, &out);
	} else if (ok) {
		ok = xdr_rpcb(&in, &wanted);
		done = ok && (procedure == RPCBPROC_SET ? set(f, &wanted) : unset(f, &wanted));
		ok = ok && xdr_bool(&out, &done);
		xdr_free((xdrproc_t)xdr_rpcb, &wanted);
	}
	pthread_mutex_unlock(&f->lock);
	reply->size = XDR_GETPOS(&out);
	return ok;
}

static void *run(void *context)
{
	struct fake *f = context;
	struct raw call, reply;
	int fd;

	while ((fd = accept(f->fd, NULL, NULL)) >= 0) {
		while (raw_receive_record(fd, &call) && answer(f, &call, &reply) &&
		    raw_send_record(fd, &reply))
			continue;
		close(fd);
	}
	return NULL;
}

static void fake_start(struct fake *f)
{
	struct address a;

	memset(f, 0, sizeof(*f));
	pthread_mutex_init(&f->lock, NULL);
	text_format(f->folder, sizeof(f->folder), "/tmp/ipc9-rpcbind-XXXXXX");
	HOLDS(mkdtemp(f->folder) != NULL);
	text_format(f->path, sizeof(f->path), "%s/socket", f->folder);
	EQUAL(address_local(f->path, &a), 0);
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	EQUAL(bind(f->fd, (struct sockaddr *)&a.storage, a.len), 0);
	EQUAL(listen(f->fd, 10), 0);
	EQUAL(pthread_create(&f->thread, NULL, run, f), 0);
}

static void fake_end(struct fake *f)
{
	shutdown(f->fd, SHUT_RDWR);
	pthread_join(f->thread, NULL);
	close(f->fd);
	unlink(f->path);
	rmdir(f->folder);
	pthread_mutex_destroy(&f->lock);
}

static unsigned n_entries(struct fake *f)
{
	unsigned n;

	pthread_mutex_lock(&f->lock);
	n = f->n;
	pthread_mutex_unlock(&f->lock);
	return n;
}

static void drop(struct fake *f, unsigned sets, unsigned unsets)
{
	pthread_mutex_lock(&f->lock);
	f->drop_sets = sets;
	f->drop_unsets = unsets;
	pthread_mutex_unlock(&f->lock);
}

/* --- Tests ------------------------------------------------------------------------------------- */

static const struct registration_entry ours[] = {
	{ PROGRAM, 1, "tcp", "127.0.0.1.0.9" },
	{ PROGRAM + 1, 1, "tcp", "127.0.0.1.0.9" },
};

struct expected {
	struct registration *registration;
	const char *text;
	char got[256];
};

static bool is_described(void *context)
{
	struct expected *e = context;

	registration_describe(e->registration, e->got, sizeof(e->got));
	return strcmp(e->got, e->text) == 0;
}

static void expect(struct registration *r, const char *text)
{
	struct expected e = { r, text, "" };

	wait_until(is_described, &e, 5000);
	SAME_TEXT(e.got, text);
}

static void test_entries_are_there_until_the_end(void)
{
	struct registration *r = NULL;
	struct fake f;

	fake_start(&f);
	EQUAL(registration_start(ours, 2, f.path, false, &r), 0);
	expect(r, "2 entries registered");
	EQUAL(n_entries(&f), 2);
	registration_stop(r);
	EQUAL(n_entries(&f), 0);
	fake_end(&f);
}

static void test_a_call_that_fails_is_not_another_programs_entry(void)
{
	struct registration *r = NULL;
	struct fake f;

	fake_start(&f);
	drop(&f, 1, 0);
	EQUAL(registration_start(ours, 2, f.path, false, &r), 0);
	expect(r, "0 of 2 entries registered, 2 could not be set yet");
	registration_stop(r);
	fake_end(&f);
}

static void test_what_another_program_serves_is_left_to_it(void)
{
	struct registration_entry theirs = { PROGRAM, 1, "local", "" },
				  mine[2] = { theirs, ours[1] };
	struct registration *r = NULL;
	struct fake f;

	fake_start(&f);
	text_format(theirs.universal, sizeof(theirs.universal), "%s",
	    f.path); /* somebody listens */
	text_format(mine[0].universal, sizeof(mine[0].universal), "/tmp/ipc9-nobody");
	pthread_mutex_lock(&f.lock);
	f.entries[f.n++] = theirs;
	pthread_mutex_unlock(&f.lock);
	EQUAL(registration_start(mine, 2, f.path, false, &r), 0);
	expect(r, "1 of 2 entries registered, 1 taken by another program");
	registration_stop(r);
	EQUAL(n_entries(&f), 1);
	fake_end(&f);
	SAME_TEXT(f.entries[0].universal, f.path);
}

static void test_entries_are_removed_when_the_first_try_fails(void)
{
	struct registration *r = NULL;
	struct fake f;

	fake_start(&f);
	EQUAL(registration_start(ours, 2, f.path, false, &r), 0);
	expect(r, "2 entries registered");
	drop(&f, 0, 2);
	registration_stop(r);
	EQUAL(n_entries(&f), 0);
	fake_end(&f);
}

static void test_without_rpcbind_that_is_said(void)
{
	struct registration *r = NULL;

	EQUAL(registration_start(ours, 2, "/tmp/ipc9-no-such-rpcbind", false, &r), 0);
	expect(r, "does not answer");
	registration_stop(r);
}

SUITE(registration, TEST(test_entries_are_there_until_the_end),
    TEST(test_a_call_that_fails_is_not_another_programs_entry),
    TEST(test_what_another_program_serves_is_left_to_it),
    TEST(test_entries_are_removed_when_the_first_try_fails),
    TEST(test_without_rpcbind_that_is_said));
