/* SPDX-License-Identifier: BSD-3-Clause */
/* audit.c - see audit.h. */
#include "server/audit.h"

#include "server/daemon.h"
#include "server/named.h"
#include "util/clock.h"
#include "util/log.h"

static bool may_write(struct daemon *d)
{
	return log_rate_allows(&d->audits, clock_now());
}

void audit_refusal(struct request *r, const struct named *named, enum right right, const char *why)
{
	char who[ACCESS_TEXT_SIZE];

	r->daemon->refusals++;
	if (!may_write(r->daemon))
		return;
	access_describe(&r->caller, who);
	log_notice("audit: refused: %s: %s procedure %u%s%s: right %s: %s", who,
	    request_service(r)->name, r->procedure->number, named ? " on " : "",
	    named ? named->name : "", access_right_name(right), why);
}

void audit_change(struct request *r, const char *action, const struct named *named)
{
	char who[ACCESS_TEXT_SIZE];

	if (!may_write(r->daemon))
		return;
	access_describe(&r->caller, who);
	log_notice("audit: changed: %s: %s%s%s", who, action, named ? " " : "",
	    named ? named->name : "");
}

void audit_tidy(struct daemon *d)
{
	unsigned n = log_rate_held_back(&d->audits);

	if (n)
		log_notice("audit: %u more lines were not written", n);
}
