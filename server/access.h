/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * access.h - who is calling, and what they may do.  The one evaluator for all mechanisms.
 *
 * A caller is made from what the transport and the verified credential say, never from arguments:
 *
 *	local socket	the kernel's peer credential
 *	AUTH_SYS, TCP	anonymous, unless trust_sys has the address; then the claim, shown as "claimed"; a
 *			claim of uid 0 is anonymous all the same without trust_root
 *	anything else	anonymous
 *
 * A right is granted in two steps.  First the daemon's own rules: the first `allow` or `deny` that has the
 * caller and the right decides; after the configured ones comes `allow local read,write,create,delete`, and
 * then nobody.  Then, where an object is concerned: its owner may everything; otherwise its list decides in
 * the same way.  Callers to whom the daemon's rules grant `admin` skip the second step; local root and the
 * user whom the daemon runs as always have it.
 */
#ifndef SERVER_ACCESS_H
#define SERVER_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rpcgen-out/common.h"
#include "transport/address.h"
#include "transport/message.h"
#include "transport/server.h"

enum right {
	RIGHT_NONE = 0,
	RIGHT_READ = 1,
	RIGHT_WRITE = 2,
	RIGHT_CREATE = 4,
	RIGHT_DELETE = 8,
	RIGHT_ADMIN = 16,
	RIGHT_ALL = 31,
};

struct caller {
	int how; /* IPC9_BY_... ; with IPC9_BY_NONE there are no ids */
	uint32_t uid, gid, pid;
	uint32_t n_groups;
	const gid_t *groups; /* of a local caller: the connection's; else claimed */
	gid_t claimed[MESSAGE_GROUPS_MAX];
	bool local;
	struct address address; /* of a local caller: not set */
};

enum access_who {
	WHO_ANYONE,
	WHO_LOCAL, /* came over the local socket */
	WHO_UID,
	WHO_GID,
	WHO_USER, /* an authenticated principal; none is made yet */
	WHO_HOST,
};

struct access_rule {
	bool allow;
	unsigned rights;
	enum access_who who;
	uint32_t id;
	char user[IPC9_PRINCIPAL_MAX + 1];
	struct address_range range;
};

/* Reads "WHO RIGHTS".  NULL, or what is wrong with it. */
const char *access_rule_parse(const char *text, bool allow, struct access_rule *ret_rule);

/* The WHO alone: reads one word into who, id, user and range; and the word of a rule. */
#define ACCESS_WHO_SIZE (IPC9_PRINCIPAL_MAX + 8)
const char *access_who_parse(const char *word, struct access_rule *rule);
void access_who(const struct access_rule *rule, char word[ACCESS_WHO_SIZE]);

/* Whether a caller is one of those whom a rule is about. */
bool access_concerns(const struct access_rule *rule, const struct caller *caller);

/* The same for a whole line, "allow WHO RIGHTS" or "deny WHO RIGHTS"; and the line of a rule. */
#define ACCESS_LINE_SIZE (IPC9_RULE_MAX + 1)
const char *access_line_parse(const char *line, struct access_rule *ret_rule);
void access_line(const struct access_rule *rule, char line[ACCESS_LINE_SIZE]);

struct access_list {
	struct access_rule *rules;
	size_t n;
};

/* 0 or -ENOMEM. */
int access_list_add(struct access_list *list, const struct access_rule *rule);
void access_list_clear(struct access_list *list);

/* Moves the rules of another list into this one, whose own are dropped. */
void access_list_take(struct access_list *list, struct access_list *from);

/* What a named object carries. */
struct object {
	bool owned;
	uint32_t owner; /* uid */
	unsigned
	    rights; /* those that a list speaks of; all others are the owner's and administrators' alone */
	bool
	    has_list; /* somebody gave it a list; it may be empty, and then only the owner may anything */
	struct access_list list;
	const struct access_list
	    *defaults; /* who else may what where nobody gave a list; NULL: nobody */
};

struct access {
	struct access_list rules; /* configured ones */
	struct address_range *trusted;
	size_t n_trusted;
	bool trust_root;
	uint32_t daemon_uid;
};

/*
 * Makes the caller of a message; -EBADMSG: a malformed credential, -ENOTSUP: a flavor we do not know.  Then too it is who the
 * transport says, for the audit.
 */
int access_identify(const struct access *access, const struct peer *peer,
    const struct message_auth *credential, struct caller *ret_caller);

/* A copy that outlives the request, for telling who it was: without groups, which go with the connection. */
struct caller access_keep(const struct caller *caller);

/* Whether it is local root or the user whom the daemon runs as: who could as well end it. */
bool access_runs_daemon(const struct caller *caller, uint32_t daemon_uid);

/* object may be NULL: the daemon's rules alone. */
bool access_allows(const struct access *access, const struct caller *caller, enum right right,
    const struct object *object);

/*
 * Whether a caller may know that an object is there: its owner, administrators, and who has any of the rights that are asked
 * of it.
 */
bool access_sees(const struct access *access, const struct caller *caller,
    const struct object *object);

/* As access_allows, and what decided, for a person: "deny uid:5 write (list of the object)". */
#define ACCESS_WHY_SIZE (ACCESS_LINE_SIZE + 64)
bool access_decide(const struct access *access, const struct caller *caller, enum right right,
    const struct object *object, char why[ACCESS_WHY_SIZE]);

/*
 * Makes up a caller from words separated by commas: "uid:5,gid:7" is a local user, with "from:10.0.0.1" one who claims
 * to be that from there, "from:10.0.0.1" alone is anonymous.  A local user's groups point into groups, a claim's, which are no
 * more than AUTH_SYS holds, into the caller itself.  NULL, or what is wrong.
 */
#define ACCESS_GROUPS_MAX 128
const char *access_caller_parse(const char *text, gid_t groups[ACCESS_GROUPS_MAX],
    struct caller *ret_caller);

/*
 * Takes from a caller who claims to be somebody (IPC9_BY_CLAIM) what trust_sys and trust_root do not believe; it is then
 * anonymous, or without root's group.  NULL, or what was taken.
 */
const char *access_believe(const struct access *access, struct caller *caller);

const char *access_right_name(enum right right);
/* Several of them: "read,write". */
#define ACCESS_RIGHTS_SIZE 48
void access_rights(unsigned rights, char text[ACCESS_RIGHTS_SIZE]);
/* RIGHT_READ for "read", ...; 0: no such right. */
unsigned access_right(const char *name);

/* Whether both are the same user or, for anonymous ones, never. */
bool access_is_owner(const struct caller *caller, const struct object *object);

/* Makes the caller the object's owner; anonymous callers own nothing. */
void access_own(struct object *object, const struct caller *caller);

/* For a person: "uid 5 (claimed) from 10.0.0.1", "anonymous from ::1", "uid 5". */
#define ACCESS_TEXT_SIZE (ADDRESS_TEXT_SIZE + 48)
void access_describe(const struct caller *caller, char text[ACCESS_TEXT_SIZE]);

/* For the wire: the strings point into buffer, which must live as long. */
void access_tell(const struct caller *caller, char buffer[ADDRESS_TEXT_SIZE],
    struct ipc9_caller *ret_wire);

#endif
