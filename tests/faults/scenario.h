/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * scenario.h - every procedure of every service once, in a few milliseconds, whether or not calls fail meanwhile.
 *
 * What comes back is always compared: a failure may be an error, and never a wrong answer.
 */
#ifndef TESTS_FAULTS_SCENARIO_H
#define TESTS_FAULTS_SCENARIO_H

#include <stdint.h>

#include "client/ipc9.h"

struct scenario {
	const char *socket;
	uint16_t port;		 /* of the same daemon on 127.0.0.1 */
	struct ipc9_error first; /* what the first step that failed was told; code 0: none did */
	char step[256];		 /* which one that was */
	char wrong[512];	 /* "", or what came back that is not what it should be */
};

/* Runs all of it.  Nothing of it is left afterwards but the board //./clipboard/faults, empty. */
void scenario_run(struct scenario *scenario);

/* Empties the board where a run that failed did not come to it. */
void scenario_clear(const struct scenario *scenario);

/* What the daemon has in use, for comparing: its quotas and those counters that are to be as before. */
int scenario_state(const struct scenario *scenario, char *text, size_t size,
    struct ipc9_error *ret_error);

#endif
