/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * clipboard.c - boards, over clipboard.x.
 *
 * 1. A board's item is replaced as a whole, by PUBLISH or CLEAR, and never changed otherwise; what a ticket
 *    gathers is seen by nobody before that.
 * 2. seq is one counter for all boards, so that a version names one item of one board for the daemon's life, and those
 *    of a name only grow, also when its board was freed in between.
 * 3. A board is charged to whoever made it, a ticket to whoever began it.  The bytes of an item are charged to
 *    whoever copied them, on the board as in the ticket: so nobody fills another's share.
 * 4. A board is empty only while it has a list of its own and somebody else than its owner or an administrator cleared it:
 *    CLEAR frees all others, with their list, or they would be charged for ever.  A user's own board that is not there has the
 *    last version of all boards, because its version can be asked for at any time, and must not begin again.
 * 5. Who copied what a board holds may clear it, whatever its list has become: it is charged to them.
 */
#include "rpcgen-out/clipboard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "server/audit.h"
#include "server/content.h"
#include "server/daemon.h"
#include "server/named.h"
#include "util/clock.h"
#include "util/name.h"
#include "util/text.h"

#define TICKETS_EACH_MAX 16 /* on one connection */

struct format {
	char *type;
	struct content content;
};

struct item {
	struct format *formats;
	unsigned n;
	unsigned current; /* of a ticket: the format last started */
	uint64_t size_bytes;
	struct charge charge; /* of size_bytes */
};

struct board {
	struct named named; /* called "~UID" where it is a user's own */
	struct item item;
	uint64_t seq, changed_us;
	struct caller author;
	struct charge charge;
};

/* A copy under way. */
struct ticket {
	UT_hash_handle hh;
	uint64_t id;
	struct clipboard *clipboard;
	struct connection *connection;
	struct connection_watch watch;
	char *name; /* of the board, as the caller spelled it */
	struct item item;
	struct charge charge; /* pays for the item's */
};

struct clipboard {
	struct named_map boards;
	struct ticket *tickets;
	uint64_t epoch, seq, next_id, bytes;
};

/* Shared boards are open to whoever the daemon's rules let in. */
static struct access_rule anyone = {
	.allow = true,
	.rights = RIGHT_READ | RIGHT_WRITE,
	.who = WHO_ANYONE,
};
static const struct access_list shared_list = { &anyone, 1 };

/* --- Items ------------------------------------------------------------------------------------- */

static void item_clear(struct clipboard *c, struct item *item)
{
	for (unsigned i = 0; i < item->n; i++) {
		free(item->formats[i].type);
		content_clear(&item->formats[i].content);
	}
	free(item->formats);
	c->bytes -= item->size_bytes;
	charge_release(&item->charge);
	memset(item, 0, sizeof(*item));
}

static struct format *item_find(const struct item *item, const char *type)
{
	for (unsigned i = 0; i < item->n; i++)
		if (strcasecmp(item->formats[i].type, type) == 0)
			return &item->formats[i];
	return NULL;
}

/* Starts a format: at the end, or in the place of an earlier one of its type, which is emptied. */
static int item_start(struct clipboard *c, struct item *item, const char *type)
{
	struct format *f = item_find(item, type), *more;

	if (f) {
		item->current = (unsigned)(f - item->formats);
		item->size_bytes -= f->content.size_bytes;
		c->bytes -= f->content.size_bytes;
		charge_shrink(&item->charge, f->content.size_bytes);
		content_clear(&f->content);
		return 0;
	}
	more = realloc(item->formats, (item->n + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	item->formats = more;
	memset(&more[item->n], 0, sizeof(*more));
	more[item->n].type = strdup(type);
	if (!more[item->n].type)
		return -ENOMEM;
	item->current = item->n++;
	return 0;
}

/* --- Boards ------------------------------------------------------------------------------------ */

static bool is_own(const char *name)
{
	return strcmp(name, "~") == 0;
}

/*
 * The name that a board is kept under; false for a caller without a board of their own, and for the name that somebody's own
 * is kept under: it is none to them.
 */
static bool board_key(const struct request *r, const char *name, char key[IPC9_NAME_MAX + 1])
{
	if (!is_own(name) && name[0] == '~')
		return false;
	if (!is_own(name))
		text_format(key, IPC9_NAME_MAX + 1, "%s", name);
	else if (r->caller.how != IPC9_BY_NONE)
		text_format(key, IPC9_NAME_MAX + 1, "~%u", r->caller.uid);
	else
		return false;
	return true;
}

static struct board *board_find(const struct request *r, const char *name)
{
	const struct clipboard *c = r->state;
	char key[IPC9_NAME_MAX + 1];

	if (!board_key(r, name, key))
		return NULL;
	return (struct board *)(void *)named_find_for(r, &c->boards, key);
}

static struct named *find_board(struct request *r, void *state, const char *name)
{
	const struct clipboard *c = state;
	char key[IPC9_NAME_MAX + 1];
	struct named *n = NULL;

	if (board_key(r, name, key))
		return named_find(&c->boards, key);
	/* Administrators, and its owner, may call it what it is kept under. */
	if (name[0] == '~')
		n = named_find(&c->boards, name);
	if (n && !access_is_owner(&r->caller, &n->object) &&
	    !access_allows(&r->daemon->access, &r->caller, RIGHT_ADMIN, NULL))
		n = NULL;
	return n;
}

static void board_free(struct clipboard *c, struct board *b)
{
	named_remove(&c->boards, &b->named);
	item_clear(c, &b->item);
	charge_release(&b->charge);
	free(b);
}

static int board_new(const struct request *r, const char *name, struct board **ret)
{
	struct clipboard *c = r->state;
	char key[IPC9_NAME_MAX + 1];
	struct board *b;
	int e;

	if (!board_key(r, name, key))
		return -EACCES;
	b = calloc(1, sizeof(*b));
	if (!b)
		return -ENOMEM;
	e = quota_charge(r->daemon->quota, &r->caller, QUOTA_OBJECTS, 1, &b->charge);
	if (!e)
		e = named_add(&c->boards, &b->named, r, key, is_own(name) ? NULL : &shared_list,
		    &b->charge);
	if (e) {
		charge_release(&b->charge);
		free(b);
		return e;
	}
	*ret = b;
	return 0;
}

/* Whether the name is one; ends the request if not. */
static bool check_name(struct request *r, const char *name)
{
	const char *why = is_own(name) ? NULL : name_check_object(name, false);

	if (why) {
		request_fail(r, IPC9_STATUS_BADNAME, 0, "%s", why);
		return false;
	}
	if (is_own(name) && r->caller.how == IPC9_BY_NONE) {
		char you[ACCESS_TEXT_SIZE];

		access_describe(&r->caller, you);
		audit_refusal(r, NULL, r->procedure->right,
		    "anonymous callers have no board of their own");
		request_fail(r, IPC9_STATUS_ACCESS, 0,
		    "that host takes you for %.100s, who has no board of their own; name a shared one, as in "
		    "//HOST/clipboard/NAME, or see trust_sys",
		    you);
		return false;
	}
	return true;
}

static const struct object *object_of_name(struct request *r, const void *args)
{
	const ipc9_name_args *a = args;
	struct board *b = board_find(r, a->name);

	return b ? &b->named.object : NULL;
}

static const struct object *object_of_get(struct request *r, const void *args)
{
	const ipc9_clipboard_get_args *a = args;
	struct board *b = board_find(r, a->board);

	return b ? &b->named.object : NULL;
}

/* As object_of_name, but nobody when the caller pays for what is there. */
static const struct object *object_of_clear(struct request *r, const void *args)
{
	const ipc9_name_args *a = args;
	struct board *b = board_find(r, a->name);

	return b && !charge_is_of(&b->item.charge, &r->caller) ? &b->named.object : NULL;
}

/* name: b's, which is not there where it is NULL. */
static ipc9_board_version version_of(const struct clipboard *c, const struct board *b,
    const char *name)
{
	uint64_t absent = is_own(name) ? c->seq : 0;

	return (ipc9_board_version){ c->epoch, b ? b->seq : absent };
}

/* Tells the version that a change has just made. */
static void reply_changed(struct request *r)
{
	const struct clipboard *c = r->state;
	ipc9_clipboard_version_res res = { .status = IPC9_STATUS_OK };

	res.ipc9_clipboard_version_res_u.current = (ipc9_board_version){ c->epoch, c->seq };
	request_reply(r, &res);
}

static void replace_item(struct clipboard *c, struct board *b, struct item *item,
    const struct caller *author)
{
	item_clear(c, &b->item);
	if (item) {
		b->item = *item;
		memset(item, 0, sizeof(*item));
	}
	b->seq = ++c->seq;
	b->changed_us = clock_wall_us();
	b->author = access_keep(author);
}

/* --- Tickets ----------------------------------------------------------------------------------- */

static void ticket_free(struct ticket *t)
{
	struct clipboard *c = t->clipboard;

	list_remove(&t->watch.link);
	HASH_DEL(c->tickets, t);
	item_clear(c, &t->item);
	charge_release(&t->charge);
	free(t->name);
	free(t);
}

static void on_connection_closed(struct connection_watch *watch)
{
	ticket_free(LIST_ENTRY(watch, struct ticket, watch));
}

/* The caller's own ticket; ends the request when it is not. */
static struct ticket *ticket_find(struct request *r, uint64_t id)
{
	struct clipboard *c = r->state;
	struct ticket *t;

	HASH_FIND(hh, c->tickets, &id, sizeof(id), t);
	if (t && t->connection == r->call.connection)
		return t;
	request_fail(r, IPC9_STATUS_NOENT, 0, "no such ticket on this connection");
	return NULL;
}

static int ticket_new(struct request *r, const char *name, struct ticket **ret)
{
	struct clipboard *c = r->state;
	struct ticket *t = calloc(1, sizeof(*t));
	bool added = false;
	int e;

	if (!t)
		return -ENOMEM;
	e = quota_charge(r->daemon->quota, &r->caller, QUOTA_OBJECTS, 1, &t->charge);
	if (e) {
		free(t);
		return e;
	}
	t->clipboard = c;
	t->connection = r->call.connection;
	t->id = c->next_id++;
	t->name = strdup(name);
	list_init(&t->watch.link);
	t->watch.closed = on_connection_closed;
	if (t->name)
		MAP_ADD_KEY(hh, c->tickets, &t->id, sizeof(t->id), t, added);
	if (!added) {
		charge_release(&t->charge);
		free(t->name);
		free(t);
		return -ENOMEM;
	}
	connection_watch(t->connection, &t->watch);
	*ret = t;
	return 0;
}

static unsigned tickets_of(const struct clipboard *c, const struct connection *connection)
{
	unsigned n = 0;

	for (const struct ticket *t = c->tickets; t; t = t->hh.next)
		n += t->connection == connection;
	return n;
}

/* Whether the caller may replace a board's item; ends the request if not. */
static bool may_write(struct request *r, const struct board *b)
{
	char why[ACCESS_WHY_SIZE];

	if (access_decide(&r->daemon->access, &r->caller, RIGHT_WRITE, &b->named.object, why))
		return true;
	named_refuse_taken(r, &b->named, RIGHT_WRITE, why);
	return false;
}

static void handle_begin(struct request *r, void *args)
{
	const ipc9_name_args *a = args;
	struct clipboard *c = r->state;
	ipc9_clipboard_begin_res res = { .status = IPC9_STATUS_OK };
	const struct board *b;
	struct ticket *t;
	int e;

	if (!check_name(r, a->name))
		return;
	/* PUBLISH asks again; whoever may not need not send the content first. */
	b = board_find(r, a->name);
	if (b ? !may_write(r, b) : !named_may_create(r, a->name))
		return;
	if (tickets_of(c, r->call.connection) >= TICKETS_EACH_MAX) {
		request_fail(r, IPC9_STATUS_QUOTA, TICKETS_EACH_MAX,
		    "too many copies are under way");
		return;
	}
	e = ticket_new(r, a->name, &t);
	if (e) {
		request_fail_charge(r, e, &r->caller, QUOTA_OBJECTS);
		return;
	}
	res.ipc9_clipboard_begin_res_u.ok.ticket = t->id;
	request_reply(r, &res);
}

/* Printable ASCII with a '/' inside and no blank at either end. */
static bool is_type(const char *type)
{
	size_t len = strlen(type);

	for (size_t i = 0; i < len; i++)
		if (type[i] < ' ' || type[i] > '~')
			return false;
	return len > 2 && type[0] != ' ' && type[len - 1] != ' ' && type[0] != '/' &&
	    strchr(type, '/');
}

static void handle_add(struct request *r, void *args)
{
	const ipc9_clipboard_add_args *a = args;
	struct ticket *t = ticket_find(r, a->ticket);
	int e;

	if (!t)
		return;
	if (!is_type(a->type)) {
		request_fail(r, IPC9_STATUS_INVALID, 0,
		    "a type looks like text/plain or image/png");
		return;
	}
	if (t->item.n == IPC9_FORMAT_LIST_MAX && !item_find(&t->item, a->type)) {
		request_fail(r, IPC9_STATUS_INVALID, IPC9_FORMAT_LIST_MAX, "at most %d formats",
		    IPC9_FORMAT_LIST_MAX);
		return;
	}
	e = item_start(r->state, &t->item, a->type);
	if (e)
		request_trouble(r, e);
	else
		request_done(r);
}

static void handle_put(struct request *r, void *args)
{
	const ipc9_clipboard_put_args *a = args;
	struct clipboard *c = r->state;
	struct ticket *t = ticket_find(r, a->ticket);
	int e;

	if (!t)
		return;
	if (t->item.n == 0) {
		request_fail(r, IPC9_STATUS_BADSTATE, 0, "no format was started");
		return;
	}
	if (t->item.size_bytes + a->data.len > IPC9_CLIPBOARD_ITEM_MAX) {
		request_fail(r, IPC9_STATUS_TOOBIG, IPC9_CLIPBOARD_ITEM_MAX,
		    "all formats together may have %d bytes", IPC9_CLIPBOARD_ITEM_MAX);
		return;
	}
	e = charge_add(&t->charge, QUOTA_BYTES, a->data.len, &t->item.charge);
	if (e) {
		request_fail_charge(r, e, &r->caller, QUOTA_BYTES);
		return;
	}
	e = content_append(&t->item.formats[t->item.current].content, &a->data);
	if (e) {
		charge_shrink(&t->item.charge, a->data.len);
		request_trouble(r, e);
		return;
	}
	t->item.size_bytes += a->data.len;
	c->bytes += a->data.len;
	request_done(r);
}

/* Makes the ticket's board; ends the request when the caller may not. */
static struct board *board_to_make(struct request *r, const char *name)
{
	struct board *b = NULL;
	int e;

	if (!named_may_create(r, name))
		return NULL;
	e = board_new(r, name, &b);
	if (e == -EACCES)
		request_fail(r, IPC9_STATUS_ACCESS, 0, "you have no board of your own here");
	else if (e)
		request_fail_charge(r, e, &r->caller, QUOTA_OBJECTS);
	return e ? NULL : b;
}

/* Finds or makes the ticket's board; ends the request when the caller may not. */
static struct board *board_to_write(struct request *r, const char *name)
{
	struct board *b = board_find(r, name);

	if (!b)
		return board_to_make(r, name);
	return may_write(r, b) ? b : NULL;
}

static void handle_publish(struct request *r, void *args)
{
	const ipc9_handle_args *a = args;
	struct ticket *t = ticket_find(r, a->handle);
	struct board *b;

	if (!t)
		return;
	if (t->item.n == 0) {
		request_fail(r, IPC9_STATUS_BADSTATE, 0, "no format was started");
		return;
	}
	b = board_to_write(r, t->name);
	if (!b)
		return;
	replace_item(r->state, b, &t->item, &r->caller);
	ticket_free(t);
	reply_changed(r);
}

static void handle_discard(struct request *r, void *args)
{
	const ipc9_handle_args *a = args;
	struct ticket *t = ticket_find(r, a->handle);

	if (!t)
		return;
	ticket_free(t);
	request_done(r);
}

/* --- Paste ------------------------------------------------------------------------------------- */

static void handle_get(struct request *r, void *args)
{
	const ipc9_clipboard_get_args *a = args;
	const struct clipboard *c = r->state;
	ipc9_clipboard_get_res res = { .status = IPC9_STATUS_OK };
	ipc9_clipboard_get_ok *ok = &res.ipc9_clipboard_get_res_u.ok;
	const struct board *b;
	const struct format *f;

	if (!check_name(r, a->board))
		return;
	b = board_find(r, a->board);
	ok->current = version_of(c, b, a->board);
	if (a->wanted.seq && (a->wanted.seq != ok->current.seq || a->wanted.epoch != c->epoch)) {
		request_fail(r, IPC9_STATUS_CHANGED, 0, "somebody copied to it meanwhile");
		return;
	}
	if (!b && !is_own(a->board)) {
		named_fail_absent(r, request_service(r), a->board);
		return;
	}
	if (!b || b->item.n == 0) {
		request_fail(r, IPC9_STATUS_EMPTY, 0, "%s", "");
		return;
	}
	f = item_find(&b->item, a->type);
	if (!f) {
		request_fail(r, IPC9_STATUS_NOFORMAT, 0, "it has no %.200s", a->type);
		return;
	}
	if (a->offset > f->content.size_bytes) {
		request_fail(r, IPC9_STATUS_INVALID, f->content.size_bytes,
		    "offset beyond the end");
		return;
	}
	ok->size_bytes = f->content.size_bytes;
	ok->data = content_view(&f->content, a->offset,
	    a->max_bytes < IPC9_BLOB_MAX ? a->max_bytes : IPC9_BLOB_MAX);
	request_reply(r, &res);
}

static void handle_list(struct request *r, void *args)
{
	const ipc9_name_args *a = args;
	ipc9_clipboard_list_res res = { .status = IPC9_STATUS_OK };
	ipc9_clipboard_list_ok *ok = &res.ipc9_clipboard_list_res_u.ok;
	ipc9_board_format formats[IPC9_FORMAT_LIST_MAX];
	static const struct caller nobody;
	char from[ADDRESS_TEXT_SIZE];
	const struct board *b;

	if (!check_name(r, a->name))
		return;
	b = board_find(r, a->name);
	if (!b && !is_own(a->name)) {
		named_fail_absent(r, request_service(r), a->name);
		return;
	}
	ok->current = version_of(r->state, b, a->name);
	ok->changed_us = b ? b->changed_us : 0;
	access_tell(b ? &b->author : &nobody, from, &ok->author);
	for (unsigned i = 0; b && i < b->item.n; i++)
		formats[i] = (ipc9_board_format){ b->item.formats[i].type,
			b->item.formats[i].content.size_bytes };
	ok->formats.formats_len = b ? b->item.n : 0;
	ok->formats.formats_val = formats;
	request_reply(r, &res);
}

/* The board of a name, also of what another user's own is kept under, which only find_board tells. */
static struct board *board_to_clear(struct request *r, const char *name)
{
	if (is_own(name) || name[0] != '~')
		return board_find(r, name);
	return (struct board *)(void *)find_board(r, r->state, name);
}

/* Whether it is a name to clear; ends the request if not.  Administrators may clear what is not there as often as what is. */
static bool check_clear(struct request *r, const char *name)
{
	size_t len = strlen(name);
	bool users = name[0] == '~' && len > 1 && strspn(name + 1, "0123456789") == len - 1;

	return (users && access_allows(&r->daemon->access, &r->caller, RIGHT_ADMIN, NULL)) ||
	    check_name(r, name);
}

/* Its list goes with it: who clears what is theirs gives up the name. */
static void board_clear(struct request *r, struct board *b)
{
	struct clipboard *c = r->state;
	const struct object *o = &b->named.object;
	bool manages = access_is_owner(&r->caller, o) ||
	    access_allows(&r->daemon->access, &r->caller, RIGHT_ADMIN, NULL);

	replace_item(c, b, NULL, &r->caller);
	if (o->has_list && !manages)
		return;
	if (o->has_list)
		audit_change(r, "cleared, and its access list with it", &b->named);
	board_free(c, b);
}

static void handle_clear(struct request *r, void *args)
{
	const ipc9_name_args *a = args;
	struct clipboard *c = r->state;
	struct board *b = board_to_clear(r, a->name);

	if (!b && !check_clear(r, a->name))
		return;
	if (b)
		board_clear(r, b);
	else
		c->seq++; /* it is empty, perhaps by a call of which this is a repeat */
	reply_changed(r);
}

/* Somebody has set its list: one that is the default is none, and a board that is empty and has none goes. */
static void on_listed(void *state, struct named *n)
{
	struct board *b = (struct board *)(void *)n;

	named_forget_default(n);
	if (!n->object.has_list && b->item.n == 0)
		board_free(state, b);
}

/* --- Service ----------------------------------------------------------------------------------- */

static int start(struct daemon *d, void **ret_state)
{
	struct clipboard *c = calloc(1, sizeof(*c));

	(void)d;
	if (!c)
		return -ENOMEM;
	c->next_id = 1;
	if (getrandom(&c->epoch, sizeof(c->epoch), 0) != sizeof(c->epoch))
		c->epoch = clock_wall_us();
	*ret_state = c;
	return 0;
}

static void stop(void *state)
{
	struct clipboard *c = state;

	while (c->boards.head)
		board_free(c, (struct board *)(void *)c->boards.head);
	free(c);
}

static void count(const void *state, struct tally *t)
{
	const struct clipboard *c = state;

	tally_add(t, "clipboard.boards", named_count(&c->boards));
	tally_add(t, "clipboard.bytes", c->bytes);
	tally_add(t, "clipboard.copying", HASH_COUNT(c->tickets));
}

static const struct procedure procedures[] = {
	PROCEDURE_NULL,
	{
	    PROCEDURE(IPC9_CLIPBOARDPROC_BEGIN, ipc9_name_args, ipc9_clipboard_begin_res),
	    .right = RIGHT_WRITE,
	    .handle = handle_begin, /* it may make the board, and looks by itself */
	},
	{
	    PROCEDURE(IPC9_CLIPBOARDPROC_ADD, ipc9_clipboard_add_args, ipc9_void_res),
	    .right = RIGHT_WRITE,
	    .handle = handle_add,
	},
	{
	    PROCEDURE(IPC9_CLIPBOARDPROC_PUT, ipc9_clipboard_put_args, ipc9_void_res),
	    .right = RIGHT_WRITE,
	    .handle = handle_put,
	},
	{
	    PROCEDURE(IPC9_CLIPBOARDPROC_PUBLISH, ipc9_handle_args, ipc9_clipboard_version_res),
	    .right = RIGHT_WRITE,
	    .handle = handle_publish,
	},
	{
	    PROCEDURE(IPC9_CLIPBOARDPROC_DISCARD, ipc9_handle_args, ipc9_void_res),
	    .right = RIGHT_WRITE,
	    .handle = handle_discard,
	},
	{
	    PROCEDURE(IPC9_CLIPBOARDPROC_GET, ipc9_clipboard_get_args, ipc9_clipboard_get_res),
	    .right = RIGHT_READ,
	    .handle = handle_get,
	    .object = object_of_get,
	},
	{
	    PROCEDURE(IPC9_CLIPBOARDPROC_LIST, ipc9_name_args, ipc9_clipboard_list_res),
	    .right = RIGHT_READ,
	    .handle = handle_list,
	    .object = object_of_name,
	},
	{
	    PROCEDURE(IPC9_CLIPBOARDPROC_CLEAR, ipc9_name_args, ipc9_clipboard_version_res),
	    .right = RIGHT_WRITE,
	    .handle = handle_clear,
	    .object = object_of_clear,
	},
};

extern const struct service service_clipboard;
const struct service service_clipboard = {
	.name = "clipboard",
	.program = IPC9_PROG_CLIPBOARD,
	.version = IPC9_CLIPBOARD_V1,
	.procedures = procedures,
	.n_procedures = sizeof(procedures) / sizeof(procedures[0]),
	.start = start,
	.stop = stop,
	.count = count,
	.rights = RIGHT_READ | RIGHT_WRITE,
	.find = find_board,
	.listed = on_listed,
};
