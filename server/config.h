/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * config.h - what the daemon was told: defaults < files < environment < command line.
 */
#ifndef SERVER_CONFIG_H
#define SERVER_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpcgen-out/common.h"
#include "server/access.h"
#include "server/quota.h"
#include "transport/address.h"
#include "transport/server.h"

#define CONFIG_FILE "/etc/ipc9/ipc9d.conf"
#define CONFIG_DIR "/etc/ipc9/conf.d"

enum config_listen {
	LISTEN_LOOPBACK,
	LISTEN_ANY,
	LISTEN_ADDRESSES,
	LISTEN_NOTHING, /* the session agent */
};

/* A name that only some may create. */
struct config_reservation {
	const char *mechanism;	     /* of services */
	char key[IPC9_NAME_MAX + 1]; /* the name, folded */
	struct access_rule who;	     /* without rights */
};

struct config {
	enum config_listen listen;
	struct address *addresses; /* with LISTEN_ADDRESSES; without port */
	size_t n_addresses;
	uint16_t port;
	char domain[IPC9_HOST_MAX + 1];
	struct address_range *trusted;
	size_t n_trusted;
	bool trust_root;
	struct access_list rules;
	struct config_reservation *reserved; /* a name has one for each WHO */
	size_t n_reserved;
	struct server_limits limits; /* zero: nobody said, and the engine's default counts */
	size_t quotas
	    [QUOTA_RESOURCES]; /* totals; zero of connections: as many as the engine takes; of descriptors: a quarter */

	char *socket;	 /* NULL until config_finish */
	char *state_dir; /* NULL until config_finish */
	bool rpcbind;
	bool user; /* the session agent */
};

/* What is wrong, for a person; "" when nothing is. */
struct config_error {
	char text[512];
};

void config_init(struct config *config);
void config_clear(struct config *config);

/* Sets one key as a file would.  0 or -EINVAL with error->text ("port: ..."), or -ENOMEM. */
int config_set(struct config *config, const char *key, const char *value,
    struct config_error *ret_error);

/* Reads one file; errors say FILE:LINE. */
int config_read_file(struct config *config, const char *path, struct config_error *ret_error);

/* The standard file and directory, as far as they are there. */
int config_read_standard(struct config *config, struct config_error *ret_error);

/* IPC9_LISTEN, IPC9_PORT, ... : each key that takes one value, in capitals. */
int config_read_environment(struct config *config, struct config_error *ret_error);

/*
 * Whether a caller may create an object of that name, as far as `reserve` is asked; if not, ret_whom tells who may:
 * "uid:5, gid:7".
 */
bool config_may_create(const struct config *config, const char *mechanism, const char *name,
    const struct caller *caller, char *ret_whom, size_t size);

/*
 * Goes through what is allowed and yet hardly meant: lines that make administrators of people whom they do not name.  *at
 * is 0 at first.  False: there are no more.
 */
bool config_next_warning(const struct config *config, size_t *at, struct config_error *ret_warning);

/* Fills in the paths that nobody said, by who we are. */
int config_finish(struct config *config, struct config_error *ret_error);

#endif
