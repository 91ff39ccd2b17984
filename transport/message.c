/* SPDX-License-Identifier: BSD-3-Clause */
/* message.c - see message.h. */
#include "transport/message.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#define WORD 4u

struct cursor {
	const unsigned char *at, *end;
};

static int get_word(struct cursor *c, uint32_t *ret)
{
	uint32_t word;

	if ((size_t)(c->end - c->at) < WORD)
		return -EBADMSG;
	memcpy(&word, c->at, WORD);
	c->at += WORD;
	*ret = ntohl(word);
	return 0;
}

static int skip(struct cursor *c, uint32_t len)
{
	uint32_t padded = (len + 3u) & ~3u;

	if (padded < len || (size_t)(c->end - c->at) < padded)
		return -EBADMSG;
	c->at += padded;
	return 0;
}

static uint32_t word_at(const unsigned char *at)
{
	uint32_t word;

	memcpy(&word, at, WORD);
	return ntohl(word);
}

static inline int get_auth(struct cursor *c, struct message_auth *ret)
{
	if ((size_t)(c->end - c->at) < 2 * WORD)
		return -EBADMSG;
	ret->flavor = word_at(c->at);
	ret->len = word_at(c->at + WORD);
	ret->body = c->at += 2 * WORD;
	if (ret->len > MESSAGE_AUTH_MAX)
		return -EBADMSG;
	return skip(c, ret->len);
}

int message_parse_auth(const unsigned char *data, size_t size, struct message_auth *ret)
{
	struct cursor c = { data, data + size };

	return get_auth(&c, ret);
}

int message_parse_call(const unsigned char *data, size_t size, struct message_call *ret)
{
	struct cursor c;
	uint32_t type;

	if (size < 2 * WORD)
		return -EBADMSG;
	ret->xid = word_at(data);
	type = word_at(data + WORD);
	if (type == REPLY)
		return -EPROTO;
	if (type != CALL || size < 3 * WORD)
		return -EBADMSG;
	ret->rpc_version = word_at(data + 2 * WORD);
	if (ret->rpc_version != MESSAGE_RPC_VERSION)
		return -EPROTONOSUPPORT;
	if (size < 6 * WORD)
		return -EBADMSG;
	ret->program = word_at(data + 3 * WORD);
	ret->version = word_at(data + 4 * WORD);
	ret->procedure = word_at(data + 5 * WORD);
	c = (struct cursor){ data + 6 * WORD, data + size };
	if (get_auth(&c, &ret->credential) || get_auth(&c, &ret->verifier))
		return -EBADMSG;
	ret->header_size = (size_t)(c.at - data);
	return 0;
}

int message_parse_auth_sys(const struct message_auth *credential, struct message_auth_sys *ret)
{
	struct cursor c = { credential->body, credential->body + credential->len };

	if (get_word(&c, &ret->stamp) || get_word(&c, &ret->machine_len) || ret->machine_len > 255)
		return -EBADMSG;
	ret->machine = c.at;
	if (skip(&c, ret->machine_len))
		return -EBADMSG;
	if (get_word(&c, &ret->uid) || get_word(&c, &ret->gid) || get_word(&c, &ret->n_groups) ||
	    ret->n_groups > MESSAGE_GROUPS_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < ret->n_groups; i++)
		if (get_word(&c, &ret->groups[i]))
			return -EBADMSG;
	return c.at == c.end ? 0 : -EBADMSG;
}

static unsigned char *put_word(unsigned char *at, uint32_t value)
{
	uint32_t word = htonl(value);

	memcpy(at, &word, WORD);
	return at + WORD;
}

size_t message_make_auth_sys(unsigned char body[MESSAGE_AUTH_MAX])
{
	gid_t groups[MESSAGE_GROUPS_MAX];
	char host[256] = "";
	unsigned char *at = body;
	int n = getgroups(MESSAGE_GROUPS_MAX, groups);
	size_t len;

	/* With more than 16 groups the call fails; the first 16 are then as good as none. */
	if (n < 0)
		n = 0;
	gethostname(host, sizeof(host) - 1);
	len = strnlen(host, 255);
	memset(body, 0, MESSAGE_AUTH_MAX);
	at = put_word(at, 0);
	at = put_word(at, (uint32_t)len);
	memcpy(at, host, len);
	at += (len + 3u) & ~(size_t)3u;
	at = put_word(at, geteuid());
	at = put_word(at, getegid());
	at = put_word(at, (uint32_t)n);
	for (int i = 0; i < n; i++)
		at = put_word(at, groups[i]);
	return (size_t)(at - body);
}

static size_t padded_credential(const struct message_call *c)
{
	return (c->credential.len + 3u) & ~(size_t)3u;
}

size_t message_call_size(const struct message_call *c)
{
	return 10 * WORD + padded_credential(c);
}

void message_write_call(unsigned char *at, const struct message_call *c)
{
	const uint32_t words[] = { c->xid, CALL, MESSAGE_RPC_VERSION, c->program, c->version,
		c->procedure, c->credential.flavor, c->credential.len };
	size_t padded = padded_credential(c);

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		at = put_word(at, words[i]);
	if (padded) {
		memset(at, 0, padded);
		memcpy(at, c->credential.body, c->credential.len);
	}
	at = put_word(at + padded, AUTH_NONE);
	put_word(at, 0);
}

int message_put_call(struct gather *out, const struct message_call *c)
{
	unsigned char *at = gather_reserve(out, message_call_size(c));

	if (!at)
		return -ENOMEM;
	message_write_call(at, c);
	return 0;
}

/* --- Replies ----------------------------------------------------------------------------------- */

static int put_words(struct gather *out, const uint32_t *words, size_t n)
{
	unsigned char *at = gather_reserve(out, n * WORD);

	if (!at)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		at = put_word(at, words[i]);
	return 0;
}

void message_write_success(unsigned char at[MESSAGE_SUCCESS_SIZE], uint32_t xid)
{
	static const unsigned char accepted[MESSAGE_SUCCESS_SIZE - WORD] = { 0, 0, 0, REPLY };

	memcpy(put_word(at, xid), accepted, sizeof(accepted)); /* no verifier; SUCCESS */
}

int message_put_success(struct gather *out, uint32_t xid)
{
	unsigned char *at = gather_reserve(out, MESSAGE_SUCCESS_SIZE);

	if (!at)
		return -ENOMEM;
	message_write_success(at, xid);
	return 0;
}

unsigned char *message_begin_success(struct gather *out, uint32_t xid)
{
	unsigned char *mark = gather_reserve(out, WORD + MESSAGE_SUCCESS_SIZE);

	if (mark)
		message_write_success(mark + WORD, xid);
	return mark;
}

int message_put_refusal(struct gather *out, uint32_t xid, enum message_refusal why, uint32_t low,
    uint32_t high)
{
	if (why == MESSAGE_RPC_MISMATCH) {
		const uint32_t words[] = { xid, REPLY, MSG_DENIED, RPC_MISMATCH,
			MESSAGE_RPC_VERSION, MESSAGE_RPC_VERSION };

		return put_words(out, words, 6);
	}
	if (why > MESSAGE_RPC_MISMATCH) {
		uint32_t stat = why == MESSAGE_AUTH_BADCRED ? AUTH_BADCRED
		    : why == MESSAGE_AUTH_REJECTEDCRED	    ? AUTH_REJECTEDCRED
							    : AUTH_TOOWEAK;
		const uint32_t words[] = { xid, REPLY, MSG_DENIED, AUTH_ERROR, stat };

		return put_words(out, words, 5);
	} else {
		const uint32_t words[] = { xid, REPLY, MSG_ACCEPTED, AUTH_NONE, 0, (uint32_t)why,
			low, high };

		return put_words(out, words, why == MESSAGE_PROG_MISMATCH ? 8 : 6);
	}
}

unsigned char *message_begin_record(struct gather *out)
{
	return gather_reserve(out, WORD);
}

void message_end_record(unsigned char *mark, size_t record_size)
{
	put_word(mark, 0x80000000u | (uint32_t)record_size);
}
