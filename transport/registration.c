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

struct registration {
	struct registration_entry *entries;
	size_t n;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	bool stopping, logs;
	bool answers;	/* at the last look */
	size_t present; /* our entries found then */
	size_t foreign; /* entries of our programs with another address */
	bool told_absent, told_foreign;
};

/* --- Calls to rpcbind -------------------------------------------------------------------------- */

static CLIENT *reach(void)
{
	struct address a;
	struct channel *channel;
	CLIENT *client = NULL;
	int fd;

	if (address_local(RPCBIND_SOCKET, &a) ||
	    connect_address(&a, clock_deadline_ms(CALL_DEADLINE_MS), &fd))
		return NULL;
	if (channel_new(fd, false, &channel)) {
		close(fd);
		return NULL;
	}
	client = channel_client(channel, RPCBPROG, RPCBVERS);
	channel_unref(channel);
	return client;
}

static enum clnt_stat call(CLIENT *client, rpcproc_t procedure, xdrproc_t xdr_args, void *args,
    xdrproc_t xdr_results, void *results)
{
	struct timeval unused = { 0 };

	channel_client_deadline(client, clock_deadline_ms(CALL_DEADLINE_MS));
	return clnt_call(client, procedure, xdr_args, args, xdr_results, results, unused);
}

static bool change(CLIENT *client, rpcproc_t procedure, const struct registration_entry *entry)
{
	struct registration_entry e = *entry;
	char owner[] = ""; /* rpcbind puts in who we are */
	struct rpcb wire = { e.program, e.version, e.netid, e.universal, owner };
	bool_t done = FALSE;

	return call(client, procedure, (xdrproc_t)xdr_rpcb, &wire, (xdrproc_t)xdr_bool, &done) ==
	    RPC_SUCCESS &&
	    done;
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

/*
 * Whether somebody accepts connections where an entry says; daemons that died without a word leave theirs
 * behind.  A program's UDP port is taken for served when the TCP port of that number is.
 */
static bool is_served(const struct rpcb *listed)
{
	char host[ADDRESS_TEXT_SIZE];
	struct address a;
	int fd;

	if (strcmp(listed->r_netid, "local") == 0) {
		if (address_local(listed->r_addr, &a))
			return false;
	} else {
		text_format(host, sizeof(host), "%s", listed->r_addr);
		for (int part = 0; part < 2 && strrchr(host, '.'); part++)
			*strrchr(host, '.') = '\0';
		if (address_parse(host, address_universal_port(listed->r_addr), &a))
			return false;
	}
	if (connect_address(&a, clock_deadline_ms(PROBE_DEADLINE_MS), &fd))
		return false;
	close(fd);
	return true;
}

/* Whether an entry is there for us at the end; sets it if nobody else serves in its place. */
static bool claim(CLIENT *client, const struct registration_entry *e, const struct rpcblist *list,
    bool first)
{
	const struct rpcb *listed = find(e, list);

	if (is_ours(e, listed) && !first)
		return true;
	if (listed && !is_ours(e, listed) && is_served(listed))
		return false;
	if (listed)
		change(client, RPCBPROC_UNSET, e);
	return change(client, RPCBPROC_SET, e);
}

/* The whole of rpcbind's list in *ret, for xdr_free; false: it does not answer. */
static bool dump(CLIENT *client, struct rpcblist **ret)
{
	*ret = NULL;
	return client &&
	    call(client, RPCBPROC_DUMP, (xdrproc_t)(void (*)(void))xdr_void, NULL,
		(xdrproc_t)xdr_rpcblist_ptr, ret) == RPC_SUCCESS;
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
static void look(struct registration *r, CLIENT *client, bool first)
{
	struct rpcblist *list;
	size_t present = 0;
	bool answers = dump(client, &list);

	for (size_t i = 0; answers && i < r->n && !is_stopping(r); i++)
		present += claim(client, &r->entries[i], list, first);
	xdr_free((xdrproc_t)xdr_rpcblist_ptr, &list);
	pthread_mutex_lock(&r->lock);
	r->answers = answers;
	r->present = present;
	r->foreign = answers ? r->n - present : 0;
	pthread_mutex_unlock(&r->lock);
}

/* Removes our entries, and nobody else's. */
static void leave(struct registration *r, CLIENT *client)
{
	struct rpcblist *list;

	if (dump(client, &list))
		for (size_t i = 0; i < r->n; i++)
			if (is_ours(&r->entries[i], find(&r->entries[i], list)))
				change(client, RPCBPROC_UNSET, &r->entries[i]);
	xdr_free((xdrproc_t)xdr_rpcblist_ptr, &list);
}

/* Each change of state is said once. */
static void tell(struct registration *r)
{
	if (!r->answers && !r->told_absent)
		log_notice("rpcbind does not answer on " RPCBIND_SOCKET
			   "; clients find us on the fixed port only");
	if (r->answers && r->told_absent)
		log_notice("rpcbind answers again; %zu entries registered", r->present);
	if (r->foreign && !r->told_foreign)
		log_warning("rpcbind: %zu of our %zu entries are taken by another program",
		    r->foreign, r->n);
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
	CLIENT *client;
	bool stop = false;

	for (bool first = true; !stop; first = first && !r->answers) {
		client = reach();
		look(r, client, first);
		if (r->logs && !is_stopping(r))
			tell(r);
		if (client)
			clnt_destroy(client);
		stop = sleep_until_next(r);
	}
	client = reach();
	leave(r, client);
	if (client)
		clnt_destroy(client);
	return NULL;
}

int registration_start(const struct registration_entry *entries, size_t n, bool logs,
    struct registration **ret_registration)
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
	else
		text_format(text, size, "%zu entries registered", r->present);
	pthread_mutex_unlock(&r->lock);
}
