/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * target.h - what a caller's //HOST/mechanism/NAME stands for: which daemon, which object, and what both are
 * called in sentences.
 */
#ifndef CLIENT_TARGET_H
#define CLIENT_TARGET_H

#include "client/ipc9.h"
#include "util/name.h"

#define TARGET_WHO_SIZE 272
#define TARGET_SUBJECT_SIZE 320

struct target {
	struct name name;
	/*
	 * Reached by the local socket: "." and no host at all, this host's own name when no port was
	 * said, and domains, to which the local daemon sends.
	 */
	bool local;
	char who[TARGET_WHO_SIZE];	   /* the daemon: "local daemon", "host2", "[::1]:99" */
	char subject[TARGET_SUBJECT_SIZE]; /* "//host2/pipe/x"; long names are cut */
};

/* All return 0, or IPC9_E_BADNAME with a sentence. */

/* An object on one host. */
int target_object(const char *text, const char *mechanism, struct target *ret_target,
    struct ipc9_error *ret_error);

/* An object that the caller makes, which can only be on this host. */
int target_own_object(const char *text, const char *mechanism, struct target *ret_target,
    struct ipc9_error *ret_error);

/* An object on one host, or on all hosts of a domain (name.scope tells). */
int target_objects(const char *text, const char *mechanism, struct target *ret_target,
    struct ipc9_error *ret_error);

/* A board: NULL, //HOST alone and a leading '~' are fine; without a name it is "~". */
int target_board(const char *text, struct target *ret_target, struct ipc9_error *ret_error);

/*
 * An object of whichever mechanism its name says, which *ret_mechanism is; good for the program's life.  A board may
 * begin with '~'.
 */
int target_named(const char *text, const char **ret_mechanism, struct target *ret_target,
    struct ipc9_error *ret_error);

/* A host alone; NULL: this one. */
int target_host(const char *text, const char *mechanism, struct target *ret_target,
    struct ipc9_error *ret_error);

#endif
