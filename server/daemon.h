/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * daemon.h - the daemon as a whole: what its parts hang from.
 */
#ifndef SERVER_DAEMON_H
#define SERVER_DAEMON_H

#include "server/access.h"
#include "server/audit.h"
#include "server/config.h"
#include "server/quota.h"
#include "server/services.h"
#include "transport/loop.h"
#include "transport/server.h"
#include "util/log.h"

struct domain;
struct registration;

struct daemon {
	struct config config;
	struct access access;
	struct loop *loop;
	struct server *server;
	struct closer *closer;		   /* from before the server until after the services */
	struct quota *quota;		   /* from before the services until after them */
	struct domain *domain;		   /* NULL while there is none */
	struct registration *registration; /* NULL without rpcbind */
	void *states[SERVICES_MAX];	   /* of services[i] */
	int64_t started;
	uint64_t refusals; /* by rules and lists */
	struct log_rate troubles;
	struct audit_rates audit_refusals, audit_changes;
	char host[IPC9_HOST_MAX + 1];
	int lock_fd;
	bool has_socket; /* the local socket is ours to remove */
	struct loop_io signal_io;
	struct loop_timer tidy_timer;
	uint64_t
	    trimmed_at; /* calls and connections that there had been when memory was given back last */
	ipc9_text *addresses; /* what we listen on, as text */
	unsigned n_addresses;
	struct address *bound; /* the same, those of networks */
	unsigned n_bound;
	int all4, all6; /* UDP sockets on all addresses, the server's; -1 without */
};

/*
 * Makes everything ready and serves until a signal ends it.  Exit status: 0 ended by SIGTERM or SIGINT,
 * 1 could not start (logged).  Takes the config over.
 */
int daemon_run(struct config *config);

/* For server_ops: charges a connection; context is the struct daemon. */
bool daemon_admit(void *context, struct connection *connection, const struct peer *peer);

#endif
