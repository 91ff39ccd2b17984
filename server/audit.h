/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * audit.h - one line in the log for each refusal and each administrative change.
 *
 * A line says who, from where, what, on which object, and which line of which list decided; never payload.  It is "audit: ",
 * the kind, and key=value as often as need be; a value is a word, or text_quote's: so a name that somebody chose mimics no
 * other value.  The keys are in ipc9d(8), AUDIT.  At most
 * LOG_LINES_PER_S lines of each kind a second are written, so that who is refused hides no changes, and then how many were
 * not (audit_tidy).
 */
#ifndef SERVER_AUDIT_H
#define SERVER_AUDIT_H

#include "server/dispatch.h"

struct named;

/* named: NULL where no object is concerned. */
void audit_refusal(struct request *request, const struct named *named, enum right right,
    const char *why);

/* Somebody changed something that is not payload: "access list, 2 lines" of an object (or NULL). */
void audit_change(struct request *request, const char *what, const struct named *named);

/* Says what was held back, if anything was. */
void audit_tidy(struct daemon *daemon);

#endif
