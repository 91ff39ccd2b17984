/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mailslot.c - slots, over mailslot.x.
 *
 * 1. A slot has messages or parked readers, never both.
 * 2. A message's id is remembered when it is queued, and only then.  Directed ones are known by who sent
 *    them; broadcasts by their content instead, because one message comes from several addresses, and so that
 *    nobody can silence a sender by using its next number for something else.
 * 3. A slot and what waits in it is charged to whoever made it; its `charge` pays for `kept`, which is its `bytes`.
 */
#include "rpcgen-out/mailslot.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "server/daemon.h"
#include "server/dedup.h"
#include "server/domain.h"
#include "server/named.h"
#include "transport/message.h"
#include "util/clock.h"
#include "util/map.h"
#include "util/name.h"
#include "util/text.h"
#include "xdr/stream.h"

#define IDS_MAX 262144
#define DATAGRAM_MAX 1400 /* name, domain and payload, without fragments on an Ethernet */

struct message {
	struct list link;
	ipc9_blob data;
	struct caller sender;
	bool broadcast;
	uint64_t arrived_us;
};

struct slot {
	struct named named;
	UT_hash_handle by_handle;
	uint64_t id;
	struct mailslots *slots;
	struct connection *connection; /* the server's */
	struct connection_watch watch;
	struct caller owner;
	uint32_t max_message, read_timeout_ms;
	struct list messages, readers;
	uint32_t waiting;
	uint64_t bytes, received, refused;
	struct charge charge, kept;
};

struct mailslots {
	struct named_map names;
	struct slot *by_id;
	struct dedup *directed, *broadcasts;
	uint64_t next_id, bytes;
	uint32_t next_xid;
};

/* Whoever the daemon's rules let in may write. */
static struct access_rule anyone_writes = {
	.allow = true,
	.rights = RIGHT_WRITE,
	.who = WHO_ANYONE,
};
static const struct access_list default_list = { &anyone_writes, 1 };

/* --- Messages ---------------------------------------------------------------------------------- */

static uint64_t charge_of(const struct message *m)
{
	return m->data.len + sizeof(*m);
}

static void message_free(struct message *m)
{
	bytes_unref(m->data.owner);
	free(m);
}

static void unqueue(struct slot *s, struct message *m)
{
	list_remove(&m->link);
	s->waiting--;
	s->bytes -= charge_of(m);
	s->slots->bytes -= charge_of(m);
	charge_shrink(&s->kept, charge_of(m));
}

/* Answers a READ with a message, and frees it. */
static void hand_out(struct request *reader, struct slot *s, struct message *m)
{
	ipc9_mailslot_read_res res = { .status = IPC9_STATUS_OK };
	ipc9_mailslot_read_ok *ok = &res.ipc9_mailslot_read_res_u.ok;
	char from[ADDRESS_TEXT_SIZE];

	access_tell(&m->sender, from, &ok->sender);
	ok->broadcast = m->broadcast;
	ok->arrived_us = m->arrived_us;
	ok->waiting = s->waiting;
	ok->data = m->data;
	request_reply(reader, &res);
	message_free(m);
}

static void tell_too_small(struct request *reader, const struct message *m)
{
	request_fail(reader, IPC9_STATUS_TOOSMALL, m->data.len, "the next message has %u bytes",
	    m->data.len);
}

/* Gives a new message to a parked reader who has room for it; false: none takes it. */
static bool give_to_reader(struct slot *s, struct message *m)
{
	while (!list_is_empty(&s->readers)) {
		struct call *call = LIST_ENTRY(s->readers.next, struct call, parked);
		struct request *reader = request_of(call);

		request_unpark(reader);
		if (m->data.len <= reader->amount) {
			hand_out(reader, s, m);
			return true;
		}
		tell_too_small(reader, m);
	}
	return false;
}

struct arrival {
	const struct caller *sender;
	bool broadcast;
	const ipc9_blob *data;
};

/* Whether the slot itself, whatever its owner's share, holds another message. */
static bool has_room(const struct slot *s, uint32_t len)
{
	return s->bytes + len + sizeof(struct message) <= IPC9_MAILSLOT_QUEUE_MAX;
}

/* 0; or a positive status: the message does not go in; or -ENOMEM. */
static int deliver(struct slot *s, const struct arrival *a)
{
	struct message *m;
	int r;

	if (s->max_message && a->data->len > s->max_message)
		return IPC9_STATUS_TOOBIG;
	if (!has_room(s, a->data->len))
		return IPC9_STATUS_QUOTA;
	m = malloc(sizeof(*m));
	if (!m)
		return -ENOMEM;
	m->data = *a->data;
	bytes_ref(m->data.owner);
	r = blob_keep(&m->data);
	if (r) {
		message_free(m);
		return r;
	}
	m->sender = access_keep(a->sender);
	m->broadcast = a->broadcast;
	m->arrived_us = clock_wall_us();
	if (give_to_reader(s, m)) {
		s->received++;
		return 0;
	}
	r = charge_add(&s->charge, QUOTA_BYTES, charge_of(m), &s->kept);
	if (r) {
		message_free(m);
		return r;
	}
	s->received++;
	list_append(&s->messages, &m->link);
	s->waiting++;
	s->bytes += charge_of(m);
	s->slots->bytes += charge_of(m);
	return 0;
}

/* --- Ids --------------------------------------------------------------------------------------- */

static void begin_key(unsigned char key[DEDUP_KEY_SIZE], const ipc9_id *id, uint64_t rest)
{
	memcpy(key, id->sender, IPC9_SENDER_SIZE);
	memcpy(key + IPC9_SENDER_SIZE, &id->seq, 8);
	memcpy(key + IPC9_SENDER_SIZE + 8, &rest, 8);
}

static void directed_key(unsigned char key[DEDUP_KEY_SIZE], const ipc9_id *id,
    const struct caller *c)
{
	struct {
		int how;
		uint32_t uid;
		char host[ADDRESS_TEXT_SIZE];
	} who;

	memset(&who, 0, sizeof(who));
	who.how = c->how;
	who.uid = c->uid;
	/* An anonymous caller is its address; the port changes when it connects again. */
	if (!c->local)
		address_host_text(&c->address, who.host);
	begin_key(key, id, siphash_local(&who, sizeof(who)));
}

static void broadcast_key(unsigned char key[DEDUP_KEY_SIZE], const ipc9_id *id, const char *name,
    const void *data, uint32_t len)
{
	char content[IPC9_NAME_MAX + 1 + IPC9_BROADCAST_MAX];
	size_t name_size = strlen(name) + 1;

	memcpy(content, name, name_size);
	text_fold(content);
	if (len)
		memcpy(content + name_size, data, len);
	begin_key(key, id, siphash_local(content, name_size + len));
}

/* --- Slots ------------------------------------------------------------------------------------- */

static struct slot *slot_by_name(const struct request *r, const char *name)
{
	const struct mailslots *all = r->state;

	return (struct slot *)(void *)named_find_for(r, &all->names, name);
}

/* The slot of a handle, if this connection is its server; ends the request otherwise. */
static struct slot *slot_by_handle(struct request *r, uint64_t id)
{
	const struct mailslots *all = r->state;
	struct slot *s;

	HASH_FIND(by_handle, all->by_id, &id, sizeof(id), s);
	if (s && s->connection == r->call.connection)
		return s;
	request_fail(r, IPC9_STATUS_NOENT, 0, "no such slot on this connection");
	return NULL;
}

/* Readers that are still parked are of the connection that is going, or end here. */
static void slot_free(struct slot *s)
{
	while (!list_is_empty(&s->readers)) {
		struct call *call = LIST_ENTRY(s->readers.next, struct call, parked);

		request_unpark(request_of(call));
		request_fail(request_of(call), IPC9_STATUS_NOENT, 0, "the slot was closed");
	}
	while (!list_is_empty(&s->messages)) {
		struct message *m = LIST_ENTRY(s->messages.next, struct message, link);

		unqueue(s, m);
		message_free(m);
	}
	list_remove(&s->watch.link);
	named_remove(&s->slots->names, &s->named);
	HASH_DELETE(by_handle, s->slots->by_id, s);
	charge_release(&s->charge);
	free(s);
}

static void on_connection_closed(struct connection_watch *watch)
{
	slot_free(LIST_ENTRY(watch, struct slot, watch));
}

/* 0, IPC9_STATUS_QUOTA, -ENOMEM. */
static int slot_new(struct request *r, const ipc9_mailslot_create_args *a, struct slot **ret)
{
	struct mailslots *all = r->state;
	struct slot *s = calloc(1, sizeof(*s));
	bool added;
	int e;

	if (!s)
		return -ENOMEM;
	e = quota_charge(r->daemon->quota, &r->caller, QUOTA_OBJECTS, 1, &s->charge);
	if (e) {
		free(s);
		return e;
	}
	s->id = all->next_id++;
	s->slots = all;
	s->connection = r->call.connection;
	s->watch.closed = on_connection_closed;
	s->owner = access_keep(&r->caller);
	s->max_message = a->max_message_bytes;
	s->read_timeout_ms = a->read_timeout_ms;
	list_init(&s->messages);
	list_init(&s->readers);
	list_init(&s->watch.link);
	MAP_ADD_KEY(by_handle, all->by_id, &s->id, sizeof(s->id), s, added);
	if (!added || named_add(&all->names, &s->named, r, a->name, &default_list, &s->charge)) {
		if (added)
			HASH_DELETE(by_handle, all->by_id, s);
		charge_release(&s->charge);
		free(s);
		return -ENOMEM;
	}
	connection_watch(s->connection, &s->watch);
	*ret = s;
	return 0;
}

static struct named *find_slot(struct request *r, void *state, const char *name)
{
	const struct mailslots *all = state;

	(void)r;
	return named_find(&all->names, name);
}

static void handle_create(struct request *r, void *args)
{
	const ipc9_mailslot_create_args *a = args;
	const char *why = name_check_object(a->name, false);
	ipc9_mailslot_create_res res = { .status = IPC9_STATUS_OK };
	struct slot *s;
	int e;

	if (why) {
		request_fail(r, IPC9_STATUS_BADNAME, 0, "%s", why);
		return;
	}
	if (!named_may_create(r, a->name))
		return;
	s = slot_by_name(r, a->name);
	if (s && access_sees(&r->daemon->access, &r->caller, &s->named.object)) {
		request_fail(r, IPC9_STATUS_EXISTS, 0, "it belongs to uid %u, process %u",
		    s->owner.uid, s->owner.pid);
		return;
	}
	if (s) {
		request_fail(r, IPC9_STATUS_EXISTS, 0, "somebody else has a mailslot of that name");
		return;
	}
	e = slot_new(r, a, &s);
	if (e) {
		request_fail_charge(r, e, &r->caller, QUOTA_OBJECTS);
		return;
	}
	if (!named_take_rules(r, &s->named, a->rules)) {
		slot_free(s);
		return;
	}
	res.ipc9_mailslot_create_res_u.ok.slot = s->id;
	request_reply(r, &res);
}

static void handle_close(struct request *r, void *args)
{
	const ipc9_handle_args *a = args;
	struct slot *s = slot_by_handle(r, a->handle);

	if (!s)
		return;
	slot_free(s);
	request_done(r);
}

static void handle_settimeout(struct request *r, void *args)
{
	const ipc9_mailslot_timeout_args *a = args;
	struct slot *s = slot_by_handle(r, a->slot);

	if (!s)
		return;
	s->read_timeout_ms = a->read_timeout_ms;
	request_done(r);
}

/* --- Reading ----------------------------------------------------------------------------------- */

static void on_read_ended(struct call *call, enum call_end end)
{
	if (end == CALL_EXPIRED)
		request_fail(request_of(call), IPC9_STATUS_TIMEDOUT, 0, "no message came");
}

static void handle_read(struct request *r, void *args)
{
	const ipc9_mailslot_read_args *a = args;
	struct slot *s = slot_by_handle(r, a->slot);
	struct message *m;
	int e;

	if (!s)
		return;
	if (!list_is_empty(&s->messages)) {
		m = LIST_ENTRY(s->messages.next, struct message, link);
		if (m->data.len > a->max_bytes) {
			tell_too_small(r, m);
			return;
		}
		unqueue(s, m);
		hand_out(r, s, m);
		return;
	}
	r->amount = a->max_bytes;
	if (a->wait_ms == 0) {
		on_read_ended(&r->call, CALL_EXPIRED);
		return;
	}
	e = request_park(r, &s->readers, a->wait_ms, 0, on_read_ended);
	if (e)
		request_fail_charge(r, e, &r->caller, QUOTA_WAITING);
}

/* --- Sending ----------------------------------------------------------------------------------- */

static const struct object *object_of_send(struct request *r, const void *args)
{
	const ipc9_mailslot_send_args *a = args;
	struct slot *s = slot_by_name(r, a->name);

	return s ? &s->named.object : NULL;
}

static void refuse_delivery(struct request *r, struct slot *s, uint32_t len, int why)
{
	if (why == IPC9_STATUS_TOOBIG)
		request_fail(r, why, s->max_message, "the slot takes messages of at most %u bytes",
		    s->max_message);
	else if (why == IPC9_STATUS_QUOTA && !has_room(s, len))
		request_fail(r, why, IPC9_MAILSLOT_QUEUE_MAX,
		    "the slot is full until its server reads (%u messages wait)", s->waiting);
	else
		request_fail_charge(r, why, charge_payer(&s->charge), QUOTA_BYTES);
}

static void handle_send(struct request *r, void *args)
{
	const ipc9_mailslot_send_args *a = args;
	struct mailslots *all = r->state;
	struct slot *s = slot_by_name(r, a->name);
	const struct arrival arrival = { &r->caller, false, &a->data };
	ipc9_mailslot_send_res res = { .status = IPC9_STATUS_OK };
	unsigned char key[DEDUP_KEY_SIZE];
	enum dedup_answer before;
	int e;

	directed_key(key, &a->id, &r->caller);
	before = dedup_look(all->directed, key, a->age_ms);
	if (before == DEDUP_UNKNOWN) {
		request_fail(r, IPC9_STATUS_UNKNOWN, 0, "it may have been queued before");
		return;
	}
	if (before != DEDUP_SEEN && !s) {
		dedup_forget(all->directed, key);
		named_fail_absent(r, request_service(r), a->name);
		return;
	}
	if (before != DEDUP_SEEN) {
		e = before == DEDUP_NO_MEMORY ? -ENOMEM : deliver(s, &arrival);
		if (e) {
			dedup_forget(all->directed, key);
			s->refused++;
			refuse_delivery(r, s, a->data.len, e);
			return;
		}
	}
	res.ipc9_mailslot_send_res_u.ok.duplicate = before == DEDUP_SEEN;
	request_reply(r, &res);
}

/* --- Broadcast --------------------------------------------------------------------------------- */

static bool is_our_domain(const struct daemon *d, const char *domain)
{
	return strcasecmp(domain, d->config.domain) == 0;
}

/* Queues a broadcast here unless it is here already.  Nobody is told when it does not go in. */
static bool take_broadcast(const struct request *r, const ipc9_mailslot_broadcast_args *a)
{
	struct mailslots *all = r->state;
	const ipc9_blob data = { .data = (const unsigned char *)a->data.data_val,
		.len = a->data.data_len };
	const struct arrival arrival = { &r->caller, true, &data };
	struct slot *s = slot_by_name(r, a->name);
	unsigned char key[DEDUP_KEY_SIZE];

	if (!s)
		return false;
	broadcast_key(key, &a->id, a->name, data.data, data.len);
	if (dedup_look(all->broadcasts, key, 0) != DEDUP_NEW)
		return false;
	if (deliver(s, &arrival)) {
		dedup_forget(all->broadcasts, key);
		s->refused++;
		return false;
	}
	return true;
}

static void handle_broadcast(struct request *r, void *args)
{
	const ipc9_mailslot_broadcast_args *a = args;

	if (is_our_domain(r->daemon, a->domain))
		take_broadcast(r, a);
	call_drop(&r->call);
}

static const struct object *object_of_broadcast(struct request *r, const void *args)
{
	const ipc9_mailslot_broadcast_args *a = args;
	struct slot *s = slot_by_name(r, a->name);

	return s ? &s->named.object : NULL;
}

/* One datagram: an ordinary call that nobody answers.  Its size, 0 when it does not fit, or -ENOMEM. */
static ssize_t make_datagram(struct mailslots *all, ipc9_mailslot_broadcast_args *args,
    unsigned char datagram[DATAGRAM_MAX])
{
	const struct message_call header = {
		.xid = all->next_xid++,
		.program = IPC9_PROG_MAILSLOT,
		.version = IPC9_MAILSLOT_V1,
		.procedure = IPC9_MAILSLOTPROC_BROADCAST,
	};
	struct gather out;
	ssize_t n = -ENOMEM;
	XDR xdrs;

	gather_init(&out);
	xdr_gather_create(&xdrs, &out);
	if (!message_put_call(&out, &header) && xdr_ipc9_mailslot_broadcast_args(&xdrs, args))
		n = 0;
	if (!n && out.size <= DATAGRAM_MAX) {
		for (size_t i = out.first; i < out.end; i++) {
			memcpy(datagram + n, out.pieces[i].data, out.pieces[i].len);
			n += (ssize_t)out.pieces[i].len;
		}
	}
	gather_clear(&out);
	return n;
}

static void handle_sendall(struct request *r, void *args)
{
	ipc9_mailslot_sendall_args *a = args;
	ipc9_mailslot_sendall_res res = { .status = IPC9_STATUS_OK };
	ipc9_mailslot_sendall_ok *ok = &res.ipc9_mailslot_sendall_res_u.ok;
	const char *why = name_check_object(a->name, false);
	ipc9_mailslot_broadcast_args b = { .name = a->name, .id = a->id };
	unsigned char datagram[DATAGRAM_MAX];
	struct slot *s;
	ssize_t size;

	if (why) {
		request_fail(r, IPC9_STATUS_BADNAME, 0, "%s", why);
		return;
	}
	b.domain = *a->domain ? a->domain : r->daemon->config.domain;
	b.data.data_len = a->data.data_len;
	b.data.data_val = a->data.data_val;
	size = make_datagram(r->state, &b, datagram);
	if (size < 0) {
		request_trouble(r, (int)size);
		return;
	}
	if (!size) {
		request_fail(r, IPC9_STATUS_TOOBIG, IPC9_BROADCAST_MAX,
		    "name, domain and message do not fit one datagram");
		return;
	}
	ok->datagrams =
	    r->daemon->domain ? domain_broadcast(r->daemon->domain, datagram, (size_t)size) : 0;
	s = slot_by_name(r, a->name);
	if (s && is_our_domain(r->daemon, b.domain) &&
	    access_allows(&r->daemon->access, &r->caller, RIGHT_WRITE, &s->named.object))
		ok->here = take_broadcast(r, &b);
	request_reply(r, &res);
}

/* --- Telling ----------------------------------------------------------------------------------- */

/* from: storage for the owner's host. */
static void describe(const struct slot *s, char from[ADDRESS_TEXT_SIZE], ipc9_mailslot_state *ret)
{
	ret->name = s->named.name;
	access_tell(&s->owner, from, &ret->owner);
	ret->max_message_bytes = s->max_message;
	ret->read_timeout_ms = s->read_timeout_ms;
	ret->waiting = s->waiting;
	ret->waiting_bytes = s->bytes - s->waiting * sizeof(struct message);
	ret->next_bytes =
	    s->waiting ? LIST_ENTRY(s->messages.next, struct message, link)->data.len : 0;
	ret->received = s->received;
	ret->refused = s->refused;
}

static const struct object *object_of_info(struct request *r, const void *args)
{
	const ipc9_name_args *a = args;
	struct slot *s = slot_by_name(r, a->name);

	return s ? &s->named.object : NULL;
}

static void handle_info(struct request *r, void *args)
{
	const ipc9_name_args *a = args;
	const struct slot *s = slot_by_name(r, a->name);
	ipc9_mailslot_info_res res = { .status = IPC9_STATUS_OK };
	char from[ADDRESS_TEXT_SIZE];

	if (!s) {
		named_fail_absent(r, request_service(r), a->name);
		return;
	}
	describe(s, from, &res.ipc9_mailslot_info_res_u.state);
	request_reply(r, &res);
}

static void handle_list(struct request *r, void *args)
{
	const ipc9_list_args *a = args;
	const struct mailslots *all = r->state;
	ipc9_mailslot_list_res res = { .status = IPC9_STATUS_OK };
	ipc9_mailslot_list_ok *ok = &res.ipc9_mailslot_list_res_u.ok;
	ipc9_mailslot_state states[IPC9_LIST_MAX];
	char from[IPC9_LIST_MAX][ADDRESS_TEXT_SIZE];
	struct named_page page;
	int e = named_list(&all->names, r, RIGHT_WRITE, a->after, &page);

	if (e) {
		request_trouble(r, e);
		return;
	}
	for (size_t i = 0; i < page.n; i++)
		describe((const struct slot *)(const void *)page.objects[i], from[i], &states[i]);
	ok->more = page.more;
	ok->slots.slots_len = (u_int)page.n;
	ok->slots.slots_val = states;
	request_reply(r, &res);
}

/* --- Service ----------------------------------------------------------------------------------- */

static int start(struct daemon *d, void **ret_state)
{
	struct mailslots *all = calloc(1, sizeof(*all));
	int r;

	(void)d;
	if (!all)
		return -ENOMEM;
	all->next_id = 1;
	r = dedup_new(IDS_MAX, IPC9_DEDUP_WINDOW_MS, &all->directed);
	if (!r)
		r = dedup_new(IDS_MAX, IPC9_DEDUP_WINDOW_MS, &all->broadcasts);
	if (r) {
		dedup_free(all->directed);
		free(all);
		return r;
	}
	*ret_state = all;
	return 0;
}

static void stop(void *state)
{
	struct mailslots *all = state;

	dedup_free(all->directed);
	dedup_free(all->broadcasts);
	free(all);
}

static void count(const void *state, struct tally *t)
{
	const struct mailslots *all = state;

	tally_add(t, "mailslot.slots", named_count(&all->names));
	tally_add(t, "mailslot.bytes", all->bytes);
}

static const struct procedure procedures[] = {
	PROCEDURE_NULL,
	{
	    PROCEDURE(IPC9_MAILSLOTPROC_CREATE, ipc9_mailslot_create_args,
		ipc9_mailslot_create_res),
	    .flags = PROCEDURE_LOCAL,
	    .strength = STRENGTH_IDENTITY, /* it has an owner, who pays */
	    .right = RIGHT_CREATE,
	    .handle = handle_create,
	},
	{
	    PROCEDURE(IPC9_MAILSLOTPROC_READ, ipc9_mailslot_read_args, ipc9_mailslot_read_res),
	    .right = RIGHT_CREATE,
	    .handle = handle_read,
	},
	{
	    PROCEDURE(IPC9_MAILSLOTPROC_SETTIMEOUT, ipc9_mailslot_timeout_args, ipc9_void_res),
	    .right = RIGHT_CREATE,
	    .handle = handle_settimeout,
	},
	{
	    PROCEDURE(IPC9_MAILSLOTPROC_CLOSE, ipc9_handle_args, ipc9_void_res),
	    .right = RIGHT_CREATE,
	    .handle = handle_close,
	},
	{
	    PROCEDURE(IPC9_MAILSLOTPROC_SEND, ipc9_mailslot_send_args, ipc9_mailslot_send_res),
	    .right = RIGHT_WRITE,
	    .handle = handle_send,
	    .object = object_of_send,
	},
	{
	    PROCEDURE(IPC9_MAILSLOTPROC_SENDALL, ipc9_mailslot_sendall_args,
		ipc9_mailslot_sendall_res),
	    .flags = PROCEDURE_LOCAL,
	    .right = RIGHT_WRITE,
	    .handle = handle_sendall,
	},
	{
	    PROCEDURE(IPC9_MAILSLOTPROC_INFO, ipc9_name_args, ipc9_mailslot_info_res),
	    .right = RIGHT_WRITE,
	    .handle = handle_info,
	    .object = object_of_info,
	},
	{
	    PROCEDURE(IPC9_MAILSLOTPROC_LIST, ipc9_list_args, ipc9_mailslot_list_res),
	    .right = RIGHT_WRITE,
	    .handle = handle_list,
	},
	{
	    .number = IPC9_MAILSLOTPROC_BROADCAST,
	    .args = XDR_PROC(ipc9_mailslot_broadcast_args),
	    .args_size = sizeof(ipc9_mailslot_broadcast_args),
	    .results = XDR_PROC(void),
	    .flags = PROCEDURE_DATAGRAM,
	    .right = RIGHT_WRITE,
	    .handle = handle_broadcast,
	    .object = object_of_broadcast,
	},
};

extern const struct service service_mailslot;
const struct service service_mailslot = {
	.name = "mailslot",
	.program = IPC9_PROG_MAILSLOT,
	.version = IPC9_MAILSLOT_V1,
	.procedures = procedures,
	.n_procedures = sizeof(procedures) / sizeof(procedures[0]),
	.start = start,
	.stop = stop,
	.count = count,
	.rights = RIGHT_WRITE,
	.find = find_slot,
};
