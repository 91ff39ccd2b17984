/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * audit.h - one line in the log for each refusal and each administrative change.
 *
 * A line says who, from where, what, on which object, and which line of which list decided; never payload.  It is "audit: ",
 * the kind, and key=value as often as need be; a value is a word, or text_quote's: so a name that somebody chose mimics no
 * other value.  The keys are in ipc9d(8), AUDIT.  At most
 * LOG_LINES_PER_S lines of each kind a second are written of each local user, and of each other host with all its users; and
 * then how many were not (audit_tidy): so nobody hides what others did, and who is refused hides no changes.  Those for whom
 * there is no place in the table have one rate together.
 */
#ifndef SERVER_AUDIT_H
#define SERVER_AUDIT_H

#include "server/dispatch.h"
#include "transport/hosts.h"
#include "util/log.h"

struct named;

#define AUDIT_USERS 64
#define AUDIT_HOSTS 16

/* All zero: a place for whoever comes next.  It is that again a second after its last line, once that was summed up. */
struct audit_place {
	struct log_rate rate;
	bool taken;
	uint32_t uid;	      /* of a user */
	struct host_key host; /* of a host */
	char who[ADDRESS_TEXT_SIZE + 32];
};

/* Of one kind of lines.  Users cannot fill the places of hosts, nor hosts those of users. */
struct audit_rates {
	struct audit_place users[AUDIT_USERS], hosts[AUDIT_HOSTS], others;
};

/* named: NULL where no object is concerned. */
void audit_refusal(struct request *request, const struct named *named, enum right right,
    const char *why);

/* Somebody changed something that is not payload: "access list, 2 lines" of an object (or NULL). */
void audit_change(struct request *request, const char *what, const struct named *named);

/* Says what was held back, if anything was. */
void audit_tidy(struct daemon *daemon);

#endif
