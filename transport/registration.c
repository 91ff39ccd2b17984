/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * registration.c - see registration.h.
 *
 * `lock` guards stopping and the counts that registration_describe reads; the rest is the thread's own.
 */
#include "transport/registration.h"

#include <errno.h>
#include <pthread.h>
#include <rpc/rpc.h>
#include <rpc/rpcb_prot.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "transport/channel.h"
#include "transport/connect.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"

#define RPCBIND_SOCKET "/run/rpcbind.sock"
#define LOOK_EVERY_MS 5000
#define CALL_DEADLINE_MS 2000
#define PROBE_DEADLINE_MS 300
#define LEAVE_DEADLINE_MS 2000
#define LEAVE_PAUSE_MS 20

struct registration {
	struct registration_entry *entries;
	size_t n;
	const char *socket;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping, logs;
	bool answers;	/* at the last look */
	size_t present; /* our entries found then */
	size_t foreign; /* entries of our programs with another address */
	size_t failed;	/* those that could not be looked after */
	bool told_absent, told_foreign, told_failed;
};

/* How an entry stands after a look. */
enum standing {
	STANDING_OURS,
	STANDING_FOREIGN,
	STANDING_FAILED,
	STANDINGS,
};

/* --- Calls to rpcbind -------------------------------------------------------------------------- */

/* 0; -ENOENT: nobody is there; or -errno of ours. */
static int reach(const struct registration *r, int64_t deadline, CLIENT **ret)
{
	struct address a;
	struct channel *channel;
	int fd, e = address_local(r->socket, &a);

	if (!e)
		e = connect_address(&a, deadline, &fd);
	if (e)
		return e == -ECONNREFUSED ? -ENOENT : e;
	e = channel_new(fd, false, &channel);
	if (e) {
		close(fd);
		return e;
	}
	*ret = channel_client(channel, RPCBPROG, RPCBVERS);
	channel_unref(channel);
	return *ret ? 0 : -ENOMEM;
}

static enum clnt_stat call(CLIENT *client, int64_t deadline, rpcproc_t procedure,
    xdrproc_t xdr_args, void *args, xdrproc_t xdr_results, void *results)
{
	struct timeval unused = { 0 };

	channel_client_deadline(client, deadline);
	return clnt_call(client, procedure, xdr_args, args, xdr_results, results, unused);
}

/* Whether rpcbind answered; *ret_done is what. */
static bool change(CLIENT *client, int64_t deadline, rpcproc_t procedure,
    const struct registration_entry *entry, bool *ret_done)
{
	struct registration_entry e = *entry;
	char owner[] = ""; /* rpcbind puts in who we are */
	struct rpcb wire = { e.program, e.version, e.netid, e.universal, owner };
	bool_t done = FALSE;
	bool answered = call(client, deadline, procedure, (xdrproc_t)xdr_rpcb, &wire,
			    (xdrproc_t)xdr_bool, &done) == RPC_SUCCESS;

	*ret_done = done;
	return answered;
}

static int64_t soon(void)
{
	return clock_deadline_ms(CALL_DEADLINE_MS);
}

/* --- Looking ----------------------------------------------------------------------------------- */

static bool same_place(const struct registration_entry *e, const struct rpcb *listed)
{
	return listed->r_prog == e->program && listed->r_vers == e->version &&
	    strcmp(listed->r_netid, e->netid) == 0;
}

static const struct rpcb *find(const struct registration_entry *e, const struct rpcblist *list)
{
	for (; list; list = list->rpcb_next)
		if (same_place(e, &list->rpcb_map))
			return &list->rpcb_map;
	return NULL;
}

static bool is_ours(const struct registration_entry *e, const struct rpcb *listed)
{
	return listed && strcmp(listed->r_addr, e->universal) == 0;
}

/* Whether it says that somebody is there no less than that nobody is: we lack what it takes to find out. */
static bool is_our_trouble(int e)
{
	return e == -ENOMEM || e == -EMFILE || e == -ENFILE || e == -ENOBUFS;
}

/*
 * Whether somebody accepts connections where an entry says; daemons that died without a word leave theirs
 * behind.  A program's UDP port is taken for served when the TCP port of that number is.  0: yes; -errno.
 */
static int probe(const struct rpcb *listed)
{
	char host[ADDRESS_TEXT_SIZE];
	struct address a;
	int fd, e;

	if (strcmp(listed->r_netid, "local") == 0) {
		e = address_local(listed->r_addr, &a);
	} else {
		text_format(host, sizeof(host), "%s", listed->r_addr);
		for (int part = 0; part < 2 && strrchr(host, '.'); part++)
			*strrchr(host, '.') = '\0';
		e = address_parse(host, address_universal_port(listed->r_addr), &a);
	}
	if (!e)
		e = connect_address(&a, clock_deadline_ms(PROBE_DEADLINE_MS), &fd);
	if (!e)
		close(fd);
	return e;
}

/* Sees to it that an entry is there for us, if nobody else serves in its place. */
static enum standing claim(CLIENT *client, const struct registration_entry *e,
    const struct rpcblist *list, bool first)
{
	const struct rpcb *listed = find(e, list);
	bool done = true;
	int r;

	if (is_ours(e, listed) && !first)
		return STANDING_OURS;
	if (listed && !is_ours(e, listed)) {
		r = probe(listed);
		if (!r)
			return STANDING_FOREIGN;
		if (is_our_trouble(r))
			return STANDING_FAILED;
	}
	if (listed && !change(client, soon(), RPCBPROC_UNSET, e, &done))
		return STANDING_FAILED;
	if (!change(client, soon(), RPCBPROC_SET, e, &done))
		return STANDING_FAILED;
	return done ? STANDING_OURS : STANDING_FOREIGN;
}

/* The whole of rpcbind's list in *ret, for xdr_free. */
static enum clnt_stat dump(CLIENT *client, int64_t deadline, struct rpcblist **ret)
{
	*ret = NULL;
	return call(client, deadline, RPCBPROC_DUMP, (xdrproc_t)(void (*)(void))xdr_void, NULL,
	    (xdrproc_t)xdr_rpcblist_ptr, ret);
}

static bool is_stopping(struct registration *r)
{
	bool stopping;

	pthread_mutex_lock(&r->lock);
	stopping = r->stopping;
	pthread_mutex_unlock(&r->lock);
	return stopping;
}

/* Sets what is missing; first, whatever a daemon that is gone left there is taken away. */
static void look(struct registration *r, bool first)
{
	struct rpcblist *list = NULL;
	size_t n[STANDINGS] = { 0 };
	CLIENT *client = NULL;
	int e = reach(r, soon(), &client);
	enum clnt_stat stat = e ? RPC_FAILED : dump(client, soon(), &list);
	bool answers = stat == RPC_SUCCESS;
	/* Encoding and decoding fail without memory. */
	bool ours = is_our_trouble(e) || stat == RPC_CANTENCODEARGS || stat == RPC_CANTDECODERES;

	for (size_t i = 0; answers && i < r->n && !is_stopping(r); i++)
		n[claim(client, &r->entries[i], list, first)]++;
	xdr_free((xdrproc_t)xdr_rpcblist_ptr, &list);
	if (client)
		clnt_destroy(client);
	pthread_mutex_lock(&r->lock);
	r->answers = answers || ours;
	r->present = n[STANDING_OURS];
	r->foreign = n[STANDING_FOREIGN];
	r->failed = ours ? r->n : n[STANDING_FAILED];
	pthread_mutex_unlock(&r->lock);
}

/* Removes our entries, and nobody else's.  Whether none of them can be there any more. */
static bool leave(const struct registration *r, int64_t deadline)
{
	struct rpcblist *list = NULL;
	CLIENT *client = NULL;
	bool removed;
	int e = reach(r, deadline, &client);
	bool gone = !e && dump(client, deadline, &list) == RPC_SUCCESS;

	for (size_t i = 0; gone && i < r->n; i++)
		if (is_ours(&r->entries[i], find(&r->entries[i], list)))
			gone = change(client, deadline, RPCBPROC_UNSET, &r->entries[i], &removed);
	xdr_free((xdrproc_t)xdr_rpcblist_ptr, &list);
	if (client)
		clnt_destroy(client);
	return gone || e == -ENOENT; /* entries go with rpcbind */
}

/* Tries until nothing is left of us, or it takes too long. */
static void leave_at_last(struct registration *r)
{
	const struct timespec pause = { .tv_nsec = LEAVE_PAUSE_MS * NS_PER_MS };
	int64_t deadline = clock_deadline_ms(LEAVE_DEADLINE_MS);

	while (!leave(r, deadline)) {
		if (clock_now() >= deadline) {
			if (r->logs)
				log_warning("rpcbind: entries of ours may be left there");
			return;
		}
		nanosleep(&pause, NULL);
	}
}

/* Each change of state is said once. */
static void tell(struct registration *r)
{
	if (!r->answers && !r->told_absent)
		log_notice("rpcbind does not answer on %s; clients find us on the fixed port only",
		    r->socket);
	if (r->answers && r->told_absent)
		log_notice("rpcbind answers again; %zu entries registered", r->present);
	if (r->foreign && !r->told_foreign)
		log_warning("rpcbind: %zu of our %zu entries are taken by another program",
		    r->foreign, r->n);
	if (r->failed && !r->told_failed)
		log_warning("rpcbind: %zu of our %zu entries could not be set; trying again",
		    r->failed, r->n);
	r->told_failed = r->failed > 0;
	r->told_absent = !r->answers;
	r->told_foreign = r->foreign > 0;
}

/* --- The thread -------------------------------------------------------------------------------- */

/* Waits for the time of the next look; true: to stop. */
static bool sleep_until_next(struct registration *r)
{
	int64_t deadline = clock_deadline_ms(LOOK_EVERY_MS);
	struct timespec until = clock_timespec(deadline);
	int e = 0;
	bool stop;

	pthread_mutex_lock(&r->lock);
	while (!r->stopping && !e)
		e = pthread_cond_timedwait(&r->wake, &r->lock, &until);
	stop = r->stopping;
	pthread_mutex_unlock(&r->lock);
	return stop;
}

static void *run(void *context)
{
	struct registration *r = context;
	bool stop = false;

	/* Until all could be looked after, what is there may be a dead daemon's. */
	for (bool first = true; !stop; first = first && (!r->answers || r->failed)) {
		look(r, first);
		if (r->logs && !is_stopping(r))
			tell(r);
		stop = sleep_until_next(r);
	}
	leave_at_last(r);
	return NULL;
}

int registration_start(const struct registration_entry *entries, size_t n, const char *socket,
    bool logs, struct registration **ret_registration)
{
	struct registration *r = calloc(1, sizeof(*r));
	pthread_condattr_t monotonic;
	int e;

	if (!r)
		return -ENOMEM;
	r->entries = calloc(n ? n : 1, sizeof(*entries));
	if (!r->entries) {
		free(r);
		return -ENOMEM;
	}
	memcpy(r->entries, entries, n * sizeof(*entries));
	r->n = n;
	r->socket = socket ? socket : RPCBIND_SOCKET;
	r->logs = logs;
	pthread_mutex_init(&r->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&r->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	e = pthread_create(&r->thread, NULL, run, r);
	if (e) {
		free(r->entries);
		free(r);
		return -e;
	}
	*ret_registration = r;
	return 0;
}

struct registration *registration_stop(struct registration *r)
{
	if (!r)
		return NULL;
	pthread_mutex_lock(&r->lock);
	r->stopping = true;
	pthread_cond_signal(&r->wake);
	pthread_mutex_unlock(&r->lock);
	pthread_join(r->thread, NULL);
	pthread_cond_destroy(&r->wake);
	pthread_mutex_destroy(&r->lock);
	free(r->entries);
	free(r);
	return NULL;
}

void registration_describe(struct registration *r, char *text, size_t size)
{
	if (!r) {
		text_format(text, size, "not used");
		return;
	}
	pthread_mutex_lock(&r->lock);
	if (!r->answers)
		text_format(text, size, "does not answer");
	else if (r->foreign)
		text_format(text, size,
		    "%zu of %zu entries registered, %zu taken by another program", r->present, r->n,
		    r->foreign);
	else if (r->failed)
		text_format(text, size, "%zu of %zu entries registered, %zu could not be set yet",
		    r->present, r->n, r->failed);
	else
		text_format(text, size, "%zu entries registered", r->present);
	pthread_mutex_unlock(&r->lock);
}
