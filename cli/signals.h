/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signals.h - the signals that end a command which has children: it must end those first.
 */
#ifndef IPC9_CLI_SIGNALS_H
#define IPC9_CLI_SIGNALS_H

#include <signal.h>

/* SIGINT, SIGTERM and SIGHUP, but those that were ignored when we were started. */
void signals_ending(sigset_t *ret_signals);

/* Blocks them for this thread and those it makes; *ret_mask is what was blocked before. */
void signals_block(sigset_t *ret_mask);

/* Ends the process as if the signal had not been caught. */
_Noreturn void signals_die(int signal_number);

#endif
