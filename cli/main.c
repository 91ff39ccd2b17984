/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * main.c - the command ipc9: understands the command line, makes the context, runs one verb.
 *
 * SIGPIPE is ignored while a verb runs, so that it can close what it has open when nobody reads its output
 * any more; then the process ends by SIGPIPE after all, as other tools do.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/io.h"
#include "cli/output.h"
#include "cli/signals.h"
#include "client/ipc9.h"

/* The common --timeout; a verb's own option of that name means something else. */
static int main_timeout(const struct invocation *invocation)
{
	const struct option_row *row = invocation->verb->options;
	int timeout_ms;

	for (; row && row->name; row++)
		if (strcmp(row->name, "timeout") == 0)
			return 0;
	if (!invocation_text(invocation, "timeout"))
		return 0;
	timeout_ms = (int)invocation_number(invocation, "timeout", 0);
	return timeout_ms == 0 ? IPC9_FOREVER : timeout_ms;
}

static int main_run_verb(struct invocation *invocation)
{
	struct ipc9_options options = { .timeout_ms = main_timeout(invocation) };
	struct ipc9_error error;
	struct ipc9 *ipc9;
	int status;

	/* Before the library may make threads: who runs commands takes the signals itself and ends them. */
	if (invocation->command)
		signals_block(&invocation->signal_mask);
	if (ipc9_new(&options, &ipc9, &error))
		return output_fail(invocation, &error);
	status = invocation->verb->run(ipc9, invocation);
	ipc9_free(ipc9);
	return status;
}

static int main_run(struct invocation *invocation)
{
	if (invocation->version) {
		(void)printf("ipc9 %s\n", ipc9_version());
		return output_flush();
	}
	if (invocation->help != HELP_NONE) {
		help_print(stdout, invocation, invocation->help);
		return output_flush();
	}
	if (!invocation->verb) {
		help_print(stderr, invocation, HELP_SHORT);
		return EXIT_USAGE;
	}
	return main_run_verb(invocation);
}

/* A write that was put off, or a full disk, may show only now. */
static int main_close_stdout(void)
{
	int fd = STDOUT_FILENO, r;

	r = io_close(&fd);
	return r ? output_failed_write(r) : 0;
}

int main(int argc, char **argv)
{
	struct invocation invocation;
	int status, close_status;

	io_take_standard();
	(void)signal(SIGPIPE, SIG_IGN);
	status = commands_parse(argc, argv, &invocation);
	if (status == 0)
		status = main_run(&invocation);
	invocation_free(&invocation);
	close_status = main_close_stdout();
	if (status == 0)
		status = close_status;
	if (status == OUTPUT_BROKEN)
		signals_die(SIGPIPE);
	return status;
}
