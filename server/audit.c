/* SPDX-License-Identifier: BSD-3-Clause */
/* audit.c - see audit.h. */
#include "server/audit.h"

#include "server/daemon.h"
#include "server/named.h"
#include "server/services.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"

#define WHO_SIZE (ADDRESS_TEXT_SIZE + 64)
#define OBJECT_SIZE (TEXT_QUOTED_SIZE(IPC9_NAME_MAX) + 64)

/* Words have neither blanks nor quotation marks; whatever somebody else may have chosen is quoted. */
static void put_who(const struct caller *c, char text[WHO_SIZE])
{
	static const char *const known[] = {
		[IPC9_BY_NONE] = "no",
		[IPC9_BY_KERNEL] = "kernel",
		[IPC9_BY_CLAIM] = "claim",
		[IPC9_BY_KERBEROS] = "kerberos",
		[IPC9_BY_CERTIFICATE] = "certificate",
	};
	char host[ADDRESS_TEXT_SIZE] = "local", user[24] = "anonymous";

	if (!c->local)
		address_host_text(&c->address, host);
	if (c->how != IPC9_BY_NONE)
		text_format(user, sizeof(user), "uid:%u", c->uid);
	text_format(text, WHO_SIZE, "caller=%s known=%s from=%s", user, known[c->how], host);
}

static void put_object(const struct named *n, char text[OBJECT_SIZE])
{
	char name[TEXT_QUOTED_SIZE(IPC9_NAME_MAX)];

	text[0] = '\0';
	if (!n)
		return;
	text_quote(n->name, name, sizeof(name));
	text_format(text, OBJECT_SIZE, " mechanism=%s object=%s", n->service->name, name);
}

void audit_refusal(struct request *r, const struct named *named, enum right right, const char *why)
{
	char who[WHO_SIZE], object[OBJECT_SIZE], by[TEXT_QUOTED_SIZE(ACCESS_WHY_SIZE)];

	r->daemon->refusals++;
	if (!log_rate_allows(&r->daemon->audit_refusals, clock_now()))
		return;
	put_who(&r->caller, who);
	put_object(named, object);
	text_quote(why, by, sizeof(by));
	log_notice("audit: refused %s service=%s procedure=%u right=%s%s by=%s", who,
	    request_service(r)->name, r->procedure->number, access_right_name(right), object, by);
}

void audit_change(struct request *r, const char *what, const struct named *named)
{
	char who[WHO_SIZE], object[OBJECT_SIZE], quoted[TEXT_QUOTED_SIZE(64)];

	if (!log_rate_allows(&r->daemon->audit_changes, clock_now()))
		return;
	put_who(&r->caller, who);
	put_object(named, object);
	text_quote(what, quoted, sizeof(quoted));
	log_notice("audit: changed %s service=%s procedure=%u%s what=%s", who,
	    request_service(r)->name, r->procedure->number, object, quoted);
}

void audit_tidy(struct daemon *d)
{
	unsigned refusals = log_rate_held_back(&d->audit_refusals);
	unsigned changes = log_rate_held_back(&d->audit_changes);

	if (refusals)
		log_notice("audit: refused held_back=%u", refusals);
	if (changes)
		log_notice("audit: changed held_back=%u", changes);
}
