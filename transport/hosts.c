/* SPDX-License-Identifier: BSD-3-Clause */
/* hosts.c - see hosts.h. */
#include "transport/hosts.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "util/map.h"

struct host {
	struct host_key key;
	unsigned connections; /* never 0 */
	UT_hash_handle hh;
};

bool host_key_of(const struct address *a, struct host_key *ret)
{
	const struct sockaddr_in *in = (const struct sockaddr_in *)(const void *)&a->storage;
	const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)(const void *)&a->storage;
	const struct in6_addr *six = &in6->sin6_addr;

	memset(ret, 0, sizeof(*ret));
	ret->family = AF_INET;
	if (a->storage.ss_family == AF_INET) {
		memcpy(ret->address, &in->sin_addr, 4);
	} else if (a->storage.ss_family != AF_INET6) {
		ret->family = 0;
		return false;
	} else if (IN6_IS_ADDR_V4MAPPED(six)) {
		memcpy(ret->address, six->s6_addr + 12, 4);
	} else {
		bool whole = IN6_IS_ADDR_LINKLOCAL(six);

		ret->family = AF_INET6;
		ret->scope = whole ? in6->sin6_scope_id : 0;
		memcpy(ret->address, six->s6_addr, whole ? 16 : 8);
	}
	return true;
}

static struct host *find(const struct hosts *hosts, const struct host_key *key)
{
	struct host *h;

	HASH_FIND(hh, hosts->head, key, sizeof(*key), h);
	return h;
}

int hosts_enter(struct hosts *hosts, const struct address *a, unsigned limit)
{
	struct host_key key;
	struct host *h;
	bool added;

	if (!host_key_of(a, &key))
		return 0;
	h = find(hosts, &key);
	if (h && h->connections >= limit)
		return -EUSERS;
	if (h) {
		h->connections++;
		hosts->connections++;
		return 0;
	}
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->key = key;
	h->connections = 1;
	MAP_ADD_KEY(hh, hosts->head, &h->key, sizeof(h->key), h, added);
	if (!added) {
		free(h);
		return -ENOMEM;
	}
	hosts->connections++;
	return 0;
}

unsigned hosts_share(const struct hosts *hosts, const struct address *a, unsigned total)
{
	unsigned others = hosts->connections;
	struct host_key key;
	const struct host *h;

	h = host_key_of(a, &key) ? find(hosts, &key) : NULL;
	if (h)
		others -= h->connections;
	return hosts_half_left(total, others);
}

void hosts_leave(struct hosts *hosts, const struct address *a)
{
	struct host_key key;
	struct host *h;

	if (!host_key_of(a, &key))
		return;
	h = find(hosts, &key);
	assert(h);
	hosts->connections--;
	if (--h->connections)
		return;
	HASH_DELETE(hh, hosts->head, h);
	free(h);
}
