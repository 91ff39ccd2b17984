/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * connect.h - from a name to a connected channel, within one deadline: looking the host up, connecting, and,
 * where the port is closed, asking the host's rpcbind for another.
 */
#ifndef TRANSPORT_CONNECT_H
#define TRANSPORT_CONNECT_H

#include <stdint.h>

#include "transport/address.h"
#include "transport/channel.h"

enum connect_step {
	CONNECT_RESOLVE, /* the host's name */
	CONNECT_HOST,	 /* a connection to the port */
	CONNECT_RPCBIND, /* asking rpcbind where the program is */
};

/* Why it did not work. */
struct connect_failure {
	enum connect_step step;
	int error;	      /* -errno of the step; 0 where `text` says it all */
	char text[160];	      /* "Connection refused", "Name or service not known" */
	bool rpcbind_answers; /* it was asked, and does not know the program */
};

/*
 * Finds the addresses of host (a name, or a numeric address).  Runs the resolver on a thread of its own, so
 * that the deadline holds; a look-up that is given up goes on there and cleans up after itself.  At most n;
 * *ret_n >= 1.  0, -ETIMEDOUT, -ENOMEM, or -ENOENT with text set.
 */
int connect_resolve(const char *host, int64_t deadline, struct address *ret_addresses, size_t n,
    size_t *ret_n, char *ret_text, size_t text_size);

/* Notes a step that failed, in words, and returns error. */
int connect_fail(struct connect_failure *failure, enum connect_step step, int error);

/*
 * Looks host up and tries its addresses, each with its part of the time, until one works.  0 or the last -errno, then
 * *ret_failure says more.
 */
typedef int connect_try_fn(struct address *address, bool is_only, int64_t deadline, void *context,
    struct connect_failure *failure);
int connect_each(const char *host, int64_t deadline, connect_try_fn *try_address, void *context,
    struct connect_failure *ret_failure);

/* A nonblocking connected stream socket in *ret_fd; 0 or -errno (-ETIMEDOUT). */
int connect_address(const struct address *address, int64_t deadline, int *ret_fd);

struct connect_target {
	const char *host;
	uint16_t port;	  /* 0: rpcbind's is the only one */
	bool ask_rpcbind; /* where the port is closed: for the port of the program */
	uint32_t program, version;
};

/* A channel to a host.  0 or -errno, then *ret_failure says more. */
int connect_host(const struct connect_target *target, int64_t deadline,
    struct channel **ret_channel, struct connect_failure *ret_failure);

/*
 * Asks the rpcbind that listens at `rpcbind` for the universal address of a program, on the transport of that
 * address.  0, and at most size bytes with NUL in ret_universal, "" where it is not registered; -errno: not answered.
 */
int connect_ask_rpcbind_at(const struct address *rpcbind, uint32_t program, uint32_t version,
    int64_t deadline, char *ret_universal, size_t size);

/*
 * Asks the rpcbind at address (its port is set here) for the port of a program on the transport the address
 * has.  0; -ENOENT: not registered; another -errno: not answered.
 */
int connect_ask_rpcbind(const struct address *address, uint32_t program, uint32_t version,
    int64_t deadline, uint16_t *ret_port);

#endif
