/* SPDX-License-Identifier: BSD-3-Clause */
/* progress.c - see progress.h. */
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "util/clock.h"

#define FIRST_MS 1000
#define NEXT_MS 250
#define MIB 1048576

void progress_begin(struct progress *progress, const struct invocation *invocation, uint64_t total)
{
	*progress = (struct progress){
		.wanted = !invocation->quiet && isatty(STDERR_FILENO) == 1,
		.total = total,
		.next = clock_deadline_ms(FIRST_MS),
	};
}

void progress_tell(struct progress *progress, uint64_t done)
{
	if (!progress->wanted || clock_now() < progress->next)
		return;
	progress->next = clock_deadline_ms(NEXT_MS);
	progress->shown = true;
	if (progress->total)
		(void)fprintf(stderr, "\ripc9: %" PRIu64 " of %" PRIu64 " MiB ", done / MIB,
		    progress->total / MIB);
	else
		(void)fprintf(stderr, "\ripc9: %" PRIu64 " MiB ", done / MIB);
	(void)fflush(stderr);
}

void progress_end(struct progress *progress)
{
	if (progress->shown)
		(void)fputs("\r\033[K", stderr);
	progress->shown = false;
}
