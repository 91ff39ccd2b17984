/* SPDX-License-Identifier: BSD-3-Clause */
/* audit.c - see audit.h. */
#include "server/audit.h"

#include <string.h>

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

/* --- How often --------------------------------------------------------------------------------- */

static bool is_idle(const struct audit_place *p, int64_t now)
{
	return !p->taken || (!p->rate.held_back && now - p->rate.began > NS_PER_S);
}

/* The place of a caller, perhaps one that nobody needs any more. */
static struct audit_place *place_of(struct audit_rates *all, const struct caller *c, int64_t now)
{
	struct audit_place *places = c->local ? all->users : all->hosts, *place = &all->others;
	size_t n = c->local ? AUDIT_USERS : AUDIT_HOSTS;
	uint32_t uid = c->local ? c->uid : 0;
	char host[ADDRESS_TEXT_SIZE];
	struct host_key key;

	(void)host_key_of(&c->address, &key);
	for (size_t i = 0; i < n; i++) {
		struct audit_place *p = &places[i];

		if (p->taken && p->uid == uid && memcmp(&p->host, &key, sizeof(key)) == 0)
			return p;
		if (place == &all->others && is_idle(p, now))
			place = p;
	}
	if (place == &all->others)
		return place;
	*place = (struct audit_place){ .taken = true, .uid = uid, .host = key };
	address_host_text(&c->address, host);
	if (c->local)
		text_format(place->who, sizeof(place->who), " caller=uid:%u from=local", uid);
	else
		text_format(place->who, sizeof(place->who), " from=%s", host);
	return place;
}

static bool may_say(struct audit_rates *all, const struct caller *c)
{
	int64_t now = clock_now();

	return log_rate_allows(&place_of(all, c, now)->rate, now);
}

static void sum_up(struct audit_place *p, const char *kind)
{
	unsigned held_back = log_rate_held_back(&p->rate);

	if (held_back)
		log_notice("audit: %s held_back=%u%s", kind, held_back, p->who);
}

static void sum_all_up(struct audit_rates *all, const char *kind)
{
	for (size_t i = 0; i < AUDIT_USERS; i++)
		sum_up(&all->users[i], kind);
	for (size_t i = 0; i < AUDIT_HOSTS; i++)
		sum_up(&all->hosts[i], kind);
	sum_up(&all->others, kind);
}

/* --- Lines ------------------------------------------------------------------------------------- */

void audit_refusal(struct request *r, const struct named *named, enum right right, const char *why)
{
	char who[WHO_SIZE], object[OBJECT_SIZE], by[TEXT_QUOTED_SIZE(ACCESS_WHY_SIZE)];

	r->daemon->refusals++;
	if (!may_say(&r->daemon->audit_refusals, &r->caller))
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

	if (!may_say(&r->daemon->audit_changes, &r->caller))
		return;
	put_who(&r->caller, who);
	put_object(named, object);
	text_quote(what, quoted, sizeof(quoted));
	log_notice("audit: changed %s service=%s procedure=%u%s what=%s", who,
	    request_service(r)->name, r->procedure->number, object, quoted);
}

void audit_tidy(struct daemon *d)
{
	sum_all_up(&d->audit_refusals, "refused");
	sum_all_up(&d->audit_changes, "changed");
}
