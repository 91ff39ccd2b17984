/* SPDX-License-Identifier: BSD-3-Clause */
/* audit.c - see audit.h. */
#include "server/audit.h"

#include "server/daemon.h"
#include "server/named.h"
#include "util/clock.h"
#include "util/log.h"

void audit_refusal(struct request *r, const struct named *named, enum right right, const char *why)
{
	char who[ACCESS_TEXT_SIZE];

	r->daemon->refusals++;
	if (!log_rate_allows(&r->daemon->audit_refusals, clock_now()))
		return;
	access_describe(&r->caller, who);
	log_notice("audit: refused: %s: %s procedure %u%s%s: right %s: %s", who,
	    request_service(r)->name, r->procedure->number, named ? " on " : "",
	    named ? named->name : "", access_right_name(right), why);
}

void audit_change(struct request *r, const char *action, const struct named *named)
{
	char who[ACCESS_TEXT_SIZE];

	if (!log_rate_allows(&r->daemon->audit_changes, clock_now()))
		return;
	access_describe(&r->caller, who);
	log_notice("audit: changed: %s: %s%s%s", who, action, named ? " " : "",
	    named ? named->name : "");
}

void audit_tidy(struct daemon *d)
{
	unsigned refusals = log_rate_held_back(&d->audit_refusals);
	unsigned changes = log_rate_held_back(&d->audit_changes);

	if (refusals)
		log_notice("audit: refused: %u more lines were not written", refusals);
	if (changes)
		log_notice("audit: changed: %u more lines were not written", changes);
}
