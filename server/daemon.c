/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon.c - see daemon.h. */
#include "server/daemon.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "server/audit.h"
#include "server/domain.h"
#include "server/listen.h"
#include "transport/closer.h"
#include "transport/registration.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"

#define TIDY_MS 5000

static const struct server_ops server_ops = {
	.call_size = sizeof(struct request),
	.takes_descriptors = true,
	.call = dispatch_call,
	.admit = daemon_admit,
};

/* --- Signals ----------------------------------------------------------------------------------- */

static void on_signal(struct loop_io *io, uint32_t events)
{
	struct signalfd_siginfo info;

	(void)events;
	if (read(io->fd, &info, sizeof(info)) == sizeof(info)) {
		log_notice("ending (%s)", strsignal((int)info.ssi_signo));
		loop_stop(io->loop);
	}
}

static int take_signals(struct daemon *d)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	d->signal_io.fn = on_signal;
	return loop_add(d->loop, &d->signal_io, fd, EPOLLIN);
}

/* --- Tidying up -------------------------------------------------------------------------------- */

static void on_tidy(struct loop_timer *timer)
{
	struct daemon *d = LIST_ENTRY(timer, struct daemon, tidy_timer);
	const struct server_stats *s = server_stats(d->server);
	uint64_t work = s->calls + s->accepted;
	unsigned held_back = log_rate_held_back(&d->troubles);

	if (held_back)
		log_error("%u more calls failed by a trouble of ours", held_back);
	audit_tidy(d);
	/* What a burst of payload took, the allocator would keep for ever. */
	if (work != d->trimmed_at)
		malloc_trim(0);
	d->trimmed_at = work;
	loop_timer_set(d->loop, timer, clock_deadline_ms(TIDY_MS));
}

/* --- Registration ------------------------------------------------------------------------------ */

static size_t add_entries(struct registration_entry *to, uint32_t program, uint32_t version,
    const struct address *a)
{
	static const char *const netids[2][2] = { { "tcp", "udp" }, { "tcp6", "udp6" } };
	const char *const *pair = netids[a->storage.ss_family == AF_INET6];

	for (size_t i = 0; i < 2; i++) {
		to[i].program = program;
		to[i].version = version;
		text_format(to[i].netid, sizeof(to[i].netid), "%s", pair[i]);
		address_universal(a, to[i].universal);
	}
	return 2;
}

static int start_registration(struct daemon *d)
{
	struct registration_entry *entries;
	size_t n = 0, n_services = 0;
	int r;

	while (services[n_services])
		n_services++;
	entries = calloc(n_services * (2 * d->n_bound + 1), sizeof(*entries));
	if (!entries) {
		log_error("registration: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_services; i++) {
		for (unsigned b = 0; b < d->n_bound && !services[i]->local; b++)
			n += add_entries(&entries[n], services[i]->program, services[i]->version,
			    &d->bound[b]);
		entries[n].program = services[i]->program;
		entries[n].version = services[i]->version;
		text_format(entries[n].netid, sizeof(entries[n].netid), "local");
		text_format(entries[n].universal, sizeof(entries[n].universal), "%s",
		    d->config.socket);
		n++;
	}
	r = registration_start(entries, n, NULL, true, &d->registration);
	if (r)
		log_error("registration: %s", strerror(-r));
	free(entries);
	return r;
}

/* --- Who may connect --------------------------------------------------------------------------- */

/* What a connection takes; freed with it. */
struct admission {
	struct connection_watch watch;
	struct charge charge;
};

static void on_admitted_closed(struct connection_watch *watch)
{
	struct admission *a = LIST_ENTRY(watch, struct admission, watch);

	charge_release(&a->charge);
	free(a);
}

/*
 * The engine limits what hosts have (transport/hosts.h), so theirs are only counted: local users share their own total, but
 * never more than there is besides.  However many network connections there are, that is half of local_connections beyond
 * what local users have: the next one gets something as well, and of what is kept back root.
 */
bool daemon_admit(void *context, struct connection *connection, const struct peer *peer)
{
	const struct daemon *d = context;
	struct admission *a = calloc(1, sizeof(*a));
	const struct caller who = {
		.how = peer->local ? IPC9_BY_KERNEL : IPC9_BY_NONE,
		.uid = peer->uid,
		.local = peer->local,
		.address = peer->address,
	};

	if (!a)
		return false;
	if (peer->local ? quota_charge(d->quota, &who, QUOTA_CONNECTIONS, 1, &a->charge)
			: quota_count(d->quota, &who, QUOTA_NETWORK, 1, &a->charge)) {
		free(a);
		return false;
	}
	list_init(&a->watch.link);
	a->watch.closed = on_admitted_closed;
	connection_watch_end(connection, &a->watch);
	return true;
}

/* --- Life -------------------------------------------------------------------------------------- */

static void take_over_access(struct daemon *d)
{
	struct config *c = &d->config;

	d->access.rules = c->rules;
	d->access.trusted = c->trusted;
	d->access.n_trusted = c->n_trusted;
	d->access.trust_root = c->trust_root;
	d->access.daemon_uid = geteuid();
}

static void warn_of_rules(const struct daemon *d)
{
	struct config_error warning;

	for (size_t i = 0; config_next_warning(&d->config, &i, &warning);)
		log_warning("configuration: %s", warning.text);
}

static int start_services(struct daemon *d)
{
	for (size_t i = 0; services[i]; i++) {
		int r = services[i]->start ? services[i]->start(d, &d->states[i]) : 0;

		if (r) {
			log_error("%s: %s", services[i]->name, strerror(-r));
			return r;
		}
	}
	return 0;
}

static int start_domain(struct daemon *d)
{
	const struct domain_place place = { &d->config, d->loop, d->server, d->all4, d->all6 };
	int r = domain_start(&place, &d->domain);

	if (r)
		log_error("cannot watch the network's interfaces: %s", strerror(-r));
	return r;
}

static void warn_if_lowered(const struct daemon *d)
{
	const struct server_limits *asked = &d->config.limits, *got = server_limits(d->server);

	if (got->connections < asked->connections)
		log_warning(
		    "connections = %u is more than the limit of open files allows: taking %u",
		    asked->connections, got->connections);
	if (got->local_connections < asked->local_connections)
		log_warning(
		    "local_connections = %u is more than the limit of open files allows: taking %u",
		    asked->local_connections, got->local_connections);
}

static int start_quota(struct daemon *d)
{
	const struct server_limits *l = server_limits(d->server);
	uint64_t totals[QUOTA_RESOURCES];

	for (size_t i = 0; i < QUOTA_RESOURCES; i++)
		totals[i] = d->config.quotas[i];
	totals[QUOTA_DESCRIPTORS] = l->other_descriptors;
	totals[QUOTA_NETWORK] = (uint64_t)l->connections + l->local_connections;
	if (!totals[QUOTA_CONNECTIONS]) {
		/* However many they are, local users leave networks a quarter, which leave them half of theirs in turn. */
		totals[QUOTA_CONNECTIONS] = totals[QUOTA_NETWORK];
		if (d->config.listen != LISTEN_NOTHING)
			totals[QUOTA_CONNECTIONS] -=
			    l->connections / 4 + l->local_connections - l->local_connections / 2;
	}
	d->quota = quota_new(totals, d->access.daemon_uid);
	return d->quota ? 0 : -ENOMEM;
}

/* How many descriptors may be kept for clients: a quarter of all unless said. */
static unsigned other_descriptors(const struct daemon *d)
{
	size_t said = d->config.quotas[QUOTA_DESCRIPTORS];
	struct rlimit limit;

	if (said || getrlimit(RLIMIT_NOFILE, &limit))
		return (unsigned)said;
	return limit.rlim_cur < 1000000 ? (unsigned)limit.rlim_cur / 4 : 250000;
}

static int start_engine(struct daemon *d)
{
	struct server_limits limits = d->config.limits;
	int r = loop_new(&d->loop);

	limits.other_descriptors = other_descriptors(d);
	if (!r)
		r = take_signals(d);
	if (!r)
		r = closer_new(&d->closer);
	if (!r)
		r = server_new(d->loop, &server_ops, d, &limits, &d->server);
	if (!r)
		server_set_closer(d->server, d->closer);
	if (!r)
		r = start_quota(d);
	d->tidy_timer.fn = on_tidy;
	if (!r)
		r = loop_timer_set(d->loop, &d->tidy_timer, clock_deadline_ms(TIDY_MS));
	if (r)
		log_error("event loop: %s", strerror(-r));
	else
		warn_if_lowered(d);
	return r;
}

/* Each step says by itself why it failed. */
static int start(struct daemon *d)
{
	int r = listen_lock(d);

	if (!r)
		r = start_engine(d);
	if (!r)
		r = start_services(d);
	if (!r)
		r = listen_network(d);
	if (!r && d->config.listen != LISTEN_NOTHING)
		r = start_domain(d);
	/* Last, because clients on this host take its appearance for "ready". */
	if (!r)
		r = listen_local(d);
	if (!r && d->config.rpcbind)
		r = start_registration(d);
	return r;
}

static void stop(struct daemon *d)
{
	registration_stop(d->registration);
	if (d->has_socket)
		unlink(d->config.socket);
	domain_stop(d->domain);
	loop_timer_clear(&d->tidy_timer);
	server_free(d->server);
	audit_tidy(d);
	for (size_t i = 0; services[i]; i++)
		if (services[i]->stop && d->states[i])
			services[i]->stop(d->states[i]);
	d->closer = closer_free(d->closer);
	d->quota = quota_free(d->quota);
	if (d->signal_io.loop) {
		loop_remove(&d->signal_io);
		close(d->signal_io.fd);
	}
	loop_free(d->loop);
	for (unsigned i = 0; i < d->n_addresses; i++)
		free(d->addresses[i]);
	free(d->addresses);
	free(d->bound);
	if (d->lock_fd >= 0)
		close(d->lock_fd);
}

int daemon_run(struct config *config)
{
	struct daemon d = {
		.config = *config, .lock_fd = -1, .all4 = -1, .all6 = -1, .started = clock_now()
	};
	int r;

	config_init(config);
	take_over_access(&d);
	warn_of_rules(&d);
	gethostname(d.host, sizeof(d.host) - 1);
	r = start(&d);
	if (!r) {
		log_notice("ready: ipc9d " IPC9_VERSION ", pid %ld", (long)getpid());
		for (unsigned i = 0; i < d.n_addresses; i++)
			log_notice("listening on %s", d.addresses[i]);
		r = loop_run(d.loop);
		if (r)
			log_error("event loop: %s", strerror(-r));
	}
	stop(&d);
	config_clear(&d.config);
	return r ? 1 : 0;
}
