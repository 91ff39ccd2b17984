/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * signals.c - taking signals, and dying of them all the same.
 */
#include "cli/signals.h"

#include <stddef.h>
#include <unistd.h>

void signals_ending(sigset_t *ret_signals)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };

	(void)sigemptyset(ret_signals);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct sigaction action;

		if (sigaction(numbers[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			(void)sigaddset(ret_signals, numbers[i]);
	}
}

void signals_block(sigset_t *ret_mask)
{
	sigset_t signals;

	signals_ending(&signals);
	(void)pthread_sigmask(SIG_BLOCK, &signals, ret_mask);
}

_Noreturn void signals_die(int signal_number)
{
	sigset_t signals;

	(void)signal(signal_number, SIG_DFL);
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, signal_number);
	(void)pthread_sigmask(SIG_UNBLOCK, &signals, NULL);
	(void)kill(getpid(), signal_number);
	/* The signal is delivered before kill returns, unless somebody changed its meaning. */
	_exit(128 + signal_number);
}
