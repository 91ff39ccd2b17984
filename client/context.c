/* SPDX-License-Identifier: BSD-3-Clause */
/* context.c - see context.h; also what ipc9.h says of codes and versions. */
#include "client/context.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>

#include "client/error.h"
#include "client/filemap.h"
#include "util/clock.h"
#include "xdr/status.h"

#define DEFAULT_TIMEOUT_MS 10000
#define SOCKET_FILE "/ipc9/ipc9d.sock"

/* --- Codes ------------------------------------------------------------------------------------- */

/* enum ipc9_code is the protocol's list of statuses. */
_Static_assert(IPC9_E_NOENT == IPC9_STATUS_NOENT && IPC9_E_BADNAME == IPC9_STATUS_BADNAME &&
	IPC9_E_ACCESS == IPC9_STATUS_ACCESS && IPC9_E_EXISTS == IPC9_STATUS_EXISTS &&
	IPC9_E_BUSY == IPC9_STATUS_BUSY && IPC9_E_LISTENING == IPC9_STATUS_LISTENING &&
	IPC9_E_NOTCONN == IPC9_STATUS_NOTCONN && IPC9_E_PEERCLOSED == IPC9_STATUS_PEERCLOSED &&
	IPC9_E_EOF == IPC9_STATUS_EOF && IPC9_E_LOST == IPC9_STATUS_LOST &&
	IPC9_E_BADSTATE == IPC9_STATUS_BADSTATE && IPC9_E_TOOSMALL == IPC9_STATUS_TOOSMALL &&
	IPC9_E_TIMEDOUT == IPC9_STATUS_TIMEDOUT,
    "the numbers of ipc9.h are those of common.x");
_Static_assert(IPC9_E_TOOBIG == IPC9_STATUS_TOOBIG && IPC9_E_UNKNOWN == IPC9_STATUS_UNKNOWN &&
	IPC9_E_CHANGED == IPC9_STATUS_CHANGED && IPC9_E_NOFORMAT == IPC9_STATUS_NOFORMAT &&
	IPC9_E_EMPTY == IPC9_STATUS_EMPTY && IPC9_E_QUOTA == IPC9_STATUS_QUOTA &&
	IPC9_E_INVALID == IPC9_STATUS_INVALID && IPC9_E_UNSUPPORTED == IPC9_STATUS_UNSUPPORTED &&
	IPC9_E_NOPATH == IPC9_STATUS_NOPATH && IPC9_E_NODAEMON == IPC9_STATUS_NODAEMON &&
	IPC9_E_MISMATCH == IPC9_STATUS_MISMATCH && IPC9_E_SYSTEM == IPC9_STATUS_SYSTEM &&
	IPC9_E_CANCELLED == IPC9_STATUS_CANCELLED && IPC9_E_PENDING == IPC9_STATUS_PENDING &&
	IPC9_E_WOULDBLOCK == IPC9_STATUS_WOULDBLOCK,
    "the numbers of ipc9.h are those of common.x");

const char *ipc9_strerror(int code)
{
	return code < 0 ? strerror(-code) : status_find(code)->text;
}

int ipc9_errno(int code)
{
	return code < 0 ? -code : status_find(code)->error;
}

int ipc9_exit_status(int code)
{
	return code < 0 ? 1 : status_find(code)->exit_status;
}

const char *ipc9_version(void)
{
	return IPC9_VERSION;
}

/* --- Making one -------------------------------------------------------------------------------- */

/* The variable, or NULL where it is not set, empty, or not to be trusted (setuid). */
static const char *environment(const char *variable)
{
	const char *value = secure_getenv(variable);

	return value && *value ? value : NULL;
}

static int read_timeout(struct ipc9 *c, struct ipc9_error *e)
{
	const char *text = environment("IPC9_TIMEOUT");
	char *end;
	long ms;

	c->timeout_ms = DEFAULT_TIMEOUT_MS;
	if (!text)
		return 0;
	errno = 0;
	ms = strtol(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || ms > INT_MAX)
		return error_set(e, IPC9_E_INVALID,
		    "IPC9_TIMEOUT is \"%.60s\", not a number of milliseconds", text);
	c->timeout_ms = ms == 0 ? IPC9_FOREVER : (int)ms;
	return 0;
}

static int choose_timeout(struct ipc9 *c, const struct ipc9_options *options, struct ipc9_error *e)
{
	if (!options || options->timeout_ms == 0)
		return read_timeout(c, e);
	if (options->timeout_ms < IPC9_FOREVER)
		return error_set(e, IPC9_E_INVALID, "timeout_ms is %d", options->timeout_ms);
	c->timeout_ms = options->timeout_ms;
	return 0;
}

/* 0 or -ENOMEM. */
static int choose_sockets(struct ipc9 *c, const struct ipc9_options *options)
{
	const char *said =
	    options && options->socket ? options->socket : environment("IPC9_SOCKET");
	const char *runtime = environment("XDG_RUNTIME_DIR");
	size_t n = 0;

	if (said) {
		c->sockets[0] = strdup(said);
		return c->sockets[0] ? 0 : -ENOMEM;
	}
	if (runtime && asprintf(&c->sockets[n++], "%s" SOCKET_FILE, runtime) < 0) {
		c->sockets[0] = NULL;
		return -ENOMEM;
	}
	c->sockets[n] = strdup("/run" SOCKET_FILE);
	return c->sockets[n] ? 0 : -ENOMEM;
}

int ipc9_new(const struct ipc9_options *options, struct ipc9 **ret_ipc9,
    struct ipc9_error *ret_error)
{
	struct ipc9 *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return error_set_own(ret_error, -ENOMEM);
	pthread_mutex_init(&c->lock, NULL);
	atomic_init(&c->next_seq, 1);
	r = choose_timeout(c, options, ret_error);
	if (!r && choose_sockets(c, options))
		r = error_set_own(ret_error, -ENOMEM);
	if (!r && getrandom(c->sender, sizeof(c->sender), 0) != sizeof(c->sender))
		r = error_set_own(ret_error, -errno);
	if (r) {
		ipc9_free(c);
		return r;
	}
	*ret_ipc9 = c;
	return 0;
}

struct ipc9 *ipc9_free(struct ipc9 *c)
{
	if (!c)
		return NULL;
	filemap_way_unref(c->filemap);
	for (size_t i = 0; i < CONTEXT_CONNECTIONS; i++)
		channel_unref(c->kept[i].channel);
	for (size_t i = 0; i < CONTEXT_SOCKETS; i++)
		free(c->sockets[i]);
	pthread_mutex_destroy(&c->lock);
	free(c);
	return NULL;
}

int64_t context_deadline(const struct ipc9 *c)
{
	return clock_deadline_ms(c->timeout_ms);
}

void context_new_id(struct ipc9 *c, ipc9_id *ret)
{
	memcpy(ret->sender, c->sender, sizeof(ret->sender));
	ret->seq = atomic_fetch_add_explicit(&c->next_seq, 1, memory_order_relaxed);
}

/* --- Connections ------------------------------------------------------------------------------- */

static bool is_same(const struct destination *a, const struct destination *b)
{
	return a->local == b->local && a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

struct channel *context_take(struct ipc9 *c, const struct destination *destination)
{
	struct channel *channel = NULL;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < CONTEXT_CONNECTIONS && !channel; i++) {
		struct kept *k = &c->kept[i];

		if (!k->channel || !is_same(&k->destination, destination))
			continue;
		channel = channel_ref(k->channel);
		k->used = ++c->uses;
	}
	pthread_mutex_unlock(&c->lock);
	if (channel && !channel_is_alive(channel)) {
		context_drop(c, channel);
		channel = channel_unref(channel);
	}
	return channel;
}

void context_keep(struct ipc9 *c, const struct destination *destination, struct channel *channel)
{
	struct kept *place = &c->kept[0];
	struct channel *before;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < CONTEXT_CONNECTIONS; i++) {
		struct kept *k = &c->kept[i];

		if (k->channel && is_same(&k->destination, destination)) {
			place = k;
			break;
		}
		if (place->channel && (!k->channel || k->used < place->used))
			place = k;
	}
	before = place->channel;
	*place = (struct kept){ *destination, channel_ref(channel), ++c->uses };
	pthread_mutex_unlock(&c->lock);
	channel_unref(before);
}

void context_drop(struct ipc9 *c, const struct channel *channel)
{
	struct channel *dropped = NULL;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < CONTEXT_CONNECTIONS; i++) {
		if (c->kept[i].channel == channel) {
			dropped = c->kept[i].channel;
			c->kept[i].channel = NULL;
		}
	}
	pthread_mutex_unlock(&c->lock);
	channel_unref(dropped);
}
