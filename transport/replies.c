/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * replies.c - see replies.h.
 *
 * 1. Every entry is in the map.  One that runs is in no list; one that is done is in `done` and in its
 *    host's, both in the order in which they were last asked for.
 * 2. bytes is the sum of the charges of what is in `done`, and a host's that of what is in its own; a host
 *    without any does not exist, and one with more than its share is in `rich`.
 * 3. Entries leave by age; and, over the limit, the one of a rich host that nobody asked for the longest, or where
 *    none is rich, of all hosts.
 */
#include "transport/replies.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "util/clock.h"
#include "util/list.h"
#include "util/map.h"

/* Whose share it is: an IPv4 address, or the 64 bits of an IPv6 one behind which one host has all addresses. */
struct replies_host_key {
	uint32_t family, scope;
	unsigned char address[16];
};

struct replies_host {
	struct replies_host_key key;
	struct list done;
	struct list rich; /* at most REPLIES_SHARES of them are */
	size_t bytes;
	UT_hash_handle hh;
};

struct replies_entry {
	struct replies_key key;
	struct list link, host_link;
	struct replies_host *host; /* NULL while it runs */
	struct bytes *reply;
	int64_t asked;
	uint64_t turn; /* its place in `done` */
	UT_hash_handle hh;
};

struct replies {
	size_t limit, share, bytes;
	int64_t age;
	struct siphash_key key;
	struct replies_entry *entries;
	struct replies_host *hosts;
	struct list done, rich;
	uint64_t turn;
};

_Static_assert(sizeof(struct replies_entry) + sizeof(struct bytes) <= REPLIES_OVERHEAD,
    "an entry is charged for what it takes");
_Static_assert(sizeof(struct replies_key) == 88, "a key has no holes");

int replies_new(size_t limit_bytes, int64_t age_ns, struct replies **ret)
{
	struct replies *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->limit = limit_bytes > REPLIES_BYTES_MIN ? limit_bytes : REPLIES_BYTES_MIN;
	r->share = r->limit / REPLIES_SHARES;
	r->age = age_ns;
	list_init(&r->done);
	list_init(&r->rich);
	/* Never fails for so few bytes once the system has booted; a weak key is better than none. */
	if (getrandom(&r->key, sizeof(r->key), 0) != sizeof(r->key))
		r->key.k0 = (uint64_t)clock_now();
	*ret = r;
	return 0;
}

/* --- Keys -------------------------------------------------------------------------------------- */

void replies_make_key(const struct replies *r, const struct address *from, uint32_t socket,
    const struct message_call *h, const void *arguments, size_t arguments_size,
    struct replies_key *ret)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&from->storage;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&from->storage;

	memset(ret, 0, sizeof(*ret));
	ret->family = from->storage.ss_family;
	if (ret->family == AF_INET) {
		memcpy(ret->address, &in->sin_addr, 4);
	} else if (ret->family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
		ret->family = AF_INET;
		memcpy(ret->address, in6->sin6_addr.s6_addr + 12, 4);
	} else if (ret->family == AF_INET6) {
		memcpy(ret->address, &in6->sin6_addr, 16);
		ret->scope = in6->sin6_scope_id;
	}
	ret->port = address_port(from);
	ret->socket = socket;
	ret->xid = h->xid;
	ret->program = h->program;
	ret->version = h->version;
	ret->procedure = h->procedure;
	ret->flavor = h->credential.flavor;
	ret->credential_len = h->credential.len;
	siphash_128(&r->key, h->credential.body, h->credential.len, ret->credential);
	siphash_128(&r->key, arguments, arguments_size, ret->arguments);
}

static void host_key_of(const struct replies_key *key, struct replies_host_key *ret)
{
	bool link_local = key->address[0] == 0xfe && (key->address[1] & 0xc0) == 0x80;

	memset(ret, 0, sizeof(*ret));
	ret->family = key->family;
	if (key->family == AF_INET6 && !link_local) {
		memcpy(ret->address, key->address, 8);
	} else {
		memcpy(ret->address, key->address, 16);
		ret->scope = key->scope;
	}
}

/* --- Entries ----------------------------------------------------------------------------------- */

static size_t charge_of(const struct replies_entry *e)
{
	return REPLIES_OVERHEAD + (e->reply ? e->reply->size : 0);
}

static void set_rich(struct replies *r, struct replies_host *h)
{
	list_remove(&h->rich);
	if (h->bytes > r->share)
		list_append(&r->rich, &h->rich);
}

/* Puts an entry that is done at the end of the lists. */
static void enlist(struct replies *r, struct replies_entry *e, struct replies_host *h, int64_t now)
{
	e->host = h;
	e->asked = now;
	e->turn = r->turn++;
	list_append(&r->done, &e->link);
	list_append(&h->done, &e->host_link);
	h->bytes += charge_of(e);
	r->bytes += charge_of(e);
	set_rich(r, h);
}

/* Takes it out of them, and its host with it if it was the last. */
static void unlist(struct replies *r, struct replies_entry *e)
{
	struct replies_host *h = e->host;

	if (!h)
		return;
	list_remove(&e->link);
	list_remove(&e->host_link);
	h->bytes -= charge_of(e);
	r->bytes -= charge_of(e);
	e->host = NULL;
	set_rich(r, h);
	if (list_is_empty(&h->done)) {
		HASH_DELETE(hh, r->hosts, h);
		free(h);
	}
}

static void forget(struct replies *r, struct replies_entry *e)
{
	unlist(r, e);
	HASH_DELETE(hh, r->entries, e);
	bytes_unref(e->reply);
	free(e);
}

static void forget_old(struct replies *r, int64_t now)
{
	while (!list_is_empty(&r->done)) {
		struct replies_entry *e = LIST_ENTRY(r->done.next, struct replies_entry, link);

		if (now - e->asked <= r->age)
			return;
		forget(r, e);
	}
}

enum replies_state replies_find(struct replies *r, const struct replies_key *key, int64_t now,
    const struct bytes **ret_reply)
{
	struct replies_entry *e;

	forget_old(r, now);
	HASH_FIND(hh, r->entries, key, sizeof(*key), e);
	if (!e)
		return REPLIES_NEW;
	if (!e->host)
		return REPLIES_RUNNING;
	e->asked = now;
	e->turn = r->turn++;
	list_remove(&e->link);
	list_append(&r->done, &e->link);
	list_remove(&e->host_link);
	list_append(&e->host->done, &e->host_link);
	*ret_reply = e->reply;
	return REPLIES_DONE;
}

int replies_begin(struct replies *r, const struct replies_key *key, struct replies_entry **ret)
{
	struct replies_entry *e = calloc(1, sizeof(*e));
	bool added;

	if (!e)
		return -ENOMEM;
	e->key = *key;
	list_init(&e->link);
	list_init(&e->host_link);
	MAP_ADD_KEY(hh, r->entries, &e->key, sizeof(e->key), e, added);
	if (!added) {
		free(e);
		return -ENOMEM;
	}
	*ret = e;
	return 0;
}

static struct replies_host *host_of(struct replies *r, const struct replies_key *key)
{
	struct replies_host_key host_key;
	struct replies_host *h;
	bool added;

	host_key_of(key, &host_key);
	HASH_FIND(hh, r->hosts, &host_key, sizeof(host_key), h);
	if (h)
		return h;
	h = calloc(1, sizeof(*h));
	if (!h)
		return NULL;
	h->key = host_key;
	list_init(&h->done);
	list_init(&h->rich);
	MAP_ADD_KEY(hh, r->hosts, &h->key, sizeof(h->key), h, added);
	if (added)
		return h;
	free(h);
	return NULL;
}

static struct replies_entry *next_to_go(struct replies *r)
{
	struct replies_entry *go = NULL;

	LIST_FOR_EACH (link, &r->rich) {
		struct replies_host *h = LIST_ENTRY(link, struct replies_host, rich);
		struct replies_entry *e = LIST_ENTRY(h->done.next, struct replies_entry, host_link);

		if (!go || e->turn < go->turn)
			go = e;
	}
	return go ? go : LIST_ENTRY(r->done.next, struct replies_entry, link);
}

void replies_done(struct replies *r, struct replies_entry *e, struct bytes *reply, int64_t now)
{
	struct replies_host *h;

	assert(!e->host);
	forget_old(r, now);
	h = host_of(r, &e->key);
	if (!h) { /* no memory: as good as forgotten soon */
		forget(r, e);
		return;
	}
	if (reply && reply->size + REPLIES_OVERHEAD <= r->share)
		e->reply = bytes_ref(reply);
	enlist(r, e, h, now);
	/* Never the one just added: it is the last of its host, and alone within any share. */
	while (r->bytes > r->limit)
		forget(r, next_to_go(r));
}

size_t replies_bytes(const struct replies *r)
{
	return r->bytes;
}

struct replies *replies_free(struct replies *r)
{
	if (!r)
		return NULL;
	while (!list_is_empty(&r->done))
		forget(r, LIST_ENTRY(r->done.next, struct replies_entry, link));
	assert(!r->entries && !r->hosts);
	free(r);
	return NULL;
}
