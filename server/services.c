/* SPDX-License-Identifier: BSD-3-Clause */
/* services.c - the registry: one line for each mechanism. */
#include "server/services.h"

extern const struct service service_control;
extern const struct service service_bench;
extern const struct service service_clipboard;
extern const struct service service_filemap;
extern const struct service service_mailslot;
extern const struct service service_pipe;

const struct service *const services[] = {
	&service_control,
	&service_clipboard,
	&service_mailslot,
	&service_pipe,
	&service_bench,
	&service_filemap,
	NULL,
};

_Static_assert(sizeof(services) / sizeof(services[0]) <= SERVICES_MAX,
    "daemon.h has room for these");

void tally_add(struct tally *t, const char *name, uint64_t value)
{
	if (t->n == t->max)
		return;
	t->numbers[t->n].name = (char *)(uintptr_t)name;
	t->numbers[t->n++].value = value;
}
