/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe.c - a pipe's end: how it begins, and what programs call on it, over the table of its way (pipe.h).
 */
#include "client/pipe.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "client/acl.h"
#include "client/error.h"
#include "client/wire.h"
#include "util/clock.h"
#include "util/text.h"

_Static_assert((int)IPC9_PIPE_TYPE_BYTE == IPC9_PIPE_BYTE &&
	(int)IPC9_PIPE_TYPE_MESSAGE == IPC9_PIPE_MESSAGE,
    "ipc9.h and pipe.x agree on types");
_Static_assert((int)IPC9_PIPE_ACCESS_INBOUND == IPC9_PIPE_INBOUND &&
	(int)IPC9_PIPE_ACCESS_OUTBOUND == IPC9_PIPE_OUTBOUND &&
	(int)IPC9_PIPE_ACCESS_DUPLEX == IPC9_PIPE_DUPLEX &&
	IPC9_PIPE_NO_LIMIT == IPC9_PIPE_UNLIMITED,
    "ipc9.h and pipe.x agree on directions");
_Static_assert((int)IPC9_PIPE_STATE_LISTENING == IPC9_PIPE_LISTENING &&
	(int)IPC9_PIPE_STATE_CONNECTED == IPC9_PIPE_CONNECTED &&
	(int)IPC9_PIPE_STATE_CLOSING == IPC9_PIPE_CLOSING &&
	(int)IPC9_PIPE_STATE_LOST == IPC9_PIPE_LOST &&
	(int)IPC9_PIPE_STATE_DISCONNECTED == IPC9_PIPE_DISCONNECTED,
    "ipc9.h and pipe.x agree on states");
_Static_assert(IPC9_PIPE_QUOTA_BYTES == IPC9_PIPE_QUOTA_MAX &&
	IPC9_PIPE_WAIT_MS == IPC9_WAIT_MAX_MS,
    "ipc9.h and pipe.x agree on limits");

#define TAKE_LOOKS 20000 /* at an accept of another thread */
#define TAKE_LOOK_NS 50000
#define MODES ((unsigned)(IPC9_PIPE_MODE_MESSAGES | IPC9_PIPE_MODE_NO_WAIT))

LINK_ASSERT_RESULTS(ipc9_pipe_create_res);
LINK_ASSERT_RESULTS(ipc9_pipe_open_res);

static const struct link_procedure create_procedure = {
	.number = IPC9_PIPEPROC_CREATE,
	.loss = LINK_LOSS_UNDONE,
	LINK_TYPES(ipc9_pipe_create_args, ipc9_pipe_create_res),
};
static const struct link_procedure open_procedure = {
	.number = IPC9_PIPEPROC_OPEN,
	.loss = LINK_LOSS_UNDONE,
	LINK_TYPES(ipc9_pipe_open_args, ipc9_pipe_open_res),
};

/* --- Beginning --------------------------------------------------------------------------------- */

/* What an end is made from: one of both. */
struct beginning {
	const struct ipc9_pipe_options *create;
	const uint32_t *server; /* of an end to open: the uid of who has to serve it, or NULL */
	unsigned mode;		/* of an end to open */
	enum ipc9_pipe_way way; /* the same */
};

static void rules_free(struct ipc9_pipe_options *made)
{
	char **rules = (char **)(uintptr_t)made->rules;

	for (size_t i = 0; rules && i < made->n_rules; i++)
		free(rules[i]);
	free(rules);
}

/* Notes how an end is made, to make it again when its daemon was restarted.  0 or -ENOMEM. */
static int keep_options(struct ipc9_pipe *pipe, const struct ipc9_pipe_options *options)
{
	struct ipc9_pipe_options *made = &pipe->made;
	char **rules;

	*made = *options;
	made->first = false; /* the second time it is not news */
	made->rules = NULL;
	if (!options->rules)
		return 0;
	rules = calloc(options->n_rules + 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	made->rules = (const char *const *)rules;
	for (size_t i = 0; i < options->n_rules; i++) {
		rules[i] = strdup(options->rules[i]);
		if (!rules[i])
			return -ENOMEM;
	}
	return 0;
}

struct ipc9_pipe *pipe_free(struct ipc9_pipe *pipe)
{
	pipe_ops_free(pipe);
	rules_free(&pipe->made);
	link_close(&pipe->link);
	pthread_mutex_destroy(&pipe->watching);
	pthread_mutex_destroy(&pipe->taking);
	pthread_mutex_destroy(&pipe->sending);
	free(pipe);
	return NULL;
}

struct ipc9_pipe *pipe_alloc(struct ipc9 *ipc9, const struct target *target)
{
	struct ipc9_pipe *pipe = calloc(1, sizeof(*pipe));

	if (!pipe)
		return NULL;
	link_init(&pipe->link, ipc9, IPC9_PROG_PIPE, target, true);
	pipe->way = &pipe_calls_way;
	pthread_mutex_init(&pipe->sending, NULL);
	pthread_mutex_init(&pipe->taking, NULL);
	list_init(&pipe->ops);
	pthread_mutex_init(&pipe->watching, NULL);
	pipe->epoll_fd = pipe->way_fd = pipe->done_fd = pipe->wake_fd = -1;
	pipe->reads = pipe->writes = pipe->peer_writes = true;
	return pipe;
}

static int pipe_new(struct ipc9 *ipc9, const struct target *target,
    int (*begin)(struct ipc9_pipe *, const struct beginning *, struct ipc9_error *),
    const struct beginning *beginning, struct ipc9_pipe **ret, struct ipc9_error *e)
{
	struct ipc9_pipe *pipe = pipe_alloc(ipc9, target);
	int r;

	if (!pipe)
		return error_set_own(e, -ENOMEM);
	r = begin(pipe, beginning, e);
	if (r)
		pipe_free(pipe);
	else
		*ret = pipe;
	return r;
}

/* Whether an end that wants this way at most would take that one. */
static bool offers(enum ipc9_pipe_way most, enum ipc9_pipe_way way)
{
	return most == IPC9_PIPE_WAY_ANY || most >= way;
}

static int check_way(const struct ipc9_pipe *pipe, enum ipc9_pipe_way way, struct ipc9_error *e)
{
	if (way >= IPC9_PIPE_WAY_ANY && way <= IPC9_PIPE_BY_MEMORY)
		return 0;
	return error_set(e, IPC9_E_INVALID, "%s: there is no way %d", pipe->link.target.subject,
	    (int)way);
}

static int create(struct ipc9_pipe *pipe, const struct beginning *beginning, struct ipc9_error *e)
{
	static const struct ipc9_pipe_options usual;
	const struct ipc9_pipe_options *o = beginning->create ? beginning->create : &usual;
	ipc9_pipe_create_args args = {
		.name = pipe->link.target.name.object,
		.type = (int)o->type,
		.direction = o->access ? (int)o->access : IPC9_PIPE_DUPLEX,
		.max_instances = o->max_instances ? o->max_instances : 1,
		.quota_bytes = o->quota_bytes,
		.flags = (o->first ? IPC9_PIPE_CREATE_FIRST : 0u) |
		    (o->local_only ? IPC9_PIPE_CREATE_LOCAL_ONLY : 0u) |
		    (offers(o->way, IPC9_PIPE_BY_SOCKET) ? IPC9_PIPE_CREATE_STREAM : 0u) |
		    (offers(o->way, IPC9_PIPE_BY_MEMORY) ? IPC9_PIPE_CREATE_SHARED : 0u),
		.default_wait_ms = o->default_wait_ms,
	};
	ipc9_pipe_create_res res;
	const ipc9_pipe_create_ok *ok = &res.ipc9_pipe_create_res_u.ok;
	ipc9_rules rules;
	int r = check_way(pipe, o->way, e);

	if (!r && o != &pipe->made && keep_options(pipe, o))
		r = error_set_own(e, -ENOMEM);
	if (!r)
		r = acl_rules(&pipe->link, o->rules, o->n_rules, &rules, e);
	if (!r && o->rules)
		args.rules = &rules;
	if (!r)
		r = link_call(&pipe->link, &create_procedure, &args, &res,
		    context_deadline(pipe->link.ipc9), e);
	if (r)
		return r;
	channel_expect_descriptors(
	    pipe->link.channel); /* ACCEPT's; another thread may be waiting */
	pipe->server = true;
	pipe->most = o->way;
	pipe->reads = args.direction & IPC9_PIPE_INBOUND;
	pipe->writes = args.direction & IPC9_PIPE_OUTBOUND;
	pipe->handle = ok->pipe;
	pipe->type = (enum ipc9_pipe_type)ok->type;
	pipe->quota_bytes = ok->quota_bytes;
	pipe->mode = pipe->type == IPC9_PIPE_TYPE_MESSAGE ? IPC9_PIPE_MODE_MESSAGES : 0;
	return 0;
}

int ipc9_pipe_create(struct ipc9 *ipc9, const char *name, const struct ipc9_pipe_options *options,
    struct ipc9_pipe **ret, struct ipc9_error *e)
{
	const struct beginning beginning = { .create = options };
	struct target target;
	int r = target_own_object(name, "pipe", &target, e);

	return r ? r : pipe_new(ipc9, &target, create, &beginning, ret, e);
}

/* Whether uid serves the other end; before anything is written to it. */
static int check_server(const struct ipc9_pipe *pipe, uint32_t uid, struct ipc9_error *e)
{
	const struct ipc9_identity *who = &pipe->peer;

	if (who->how != IPC9_HOW_NONE && who->uid == uid)
		return 0;
	if (who->how == IPC9_HOW_NONE)
		return error_set(e, IPC9_E_ACCESS,
		    "%s: its server is not known, and uid %u was demanded; nothing was sent",
		    pipe->link.target.subject, uid);
	return error_set(e, IPC9_E_ACCESS,
	    "%s: uid %u serves it, and uid %u was demanded; nothing was sent",
	    pipe->link.target.subject, who->uid, uid);
}

/* Goes over to what the daemon made of the offer.  A connection that carried OPEN itself is taken from the link. */
static int open_carrier(struct ipc9_pipe *pipe, int way, struct descriptors *fds,
    struct ipc9_error *e)
{
	if (way == IPC9_PIPE_WAY_FRAMES && !pipe->link.target.local) {
		int fd = channel_take_socket(pipe->link.channel);

		if (fd < 0)
			return error_set_own(e, fd);
		fds->fds[fds->n++] = fd;
	}
	link_close(&pipe->link);
	return pipe_carry(pipe, way, fds, e);
}

static int open_in(struct ipc9_pipe *pipe, unsigned flags, int64_t deadline, struct ipc9_error *e)
{
	ipc9_pipe_open_args args = {
		.name = pipe->link.target.name.object,
		.flags = flags |
		    (offers(pipe->most, IPC9_PIPE_BY_SOCKET) ? IPC9_PIPE_OPEN_STREAM : 0u) |
		    (offers(pipe->most, IPC9_PIPE_BY_MEMORY) ? IPC9_PIPE_OPEN_SHARED : 0u),
	};
	struct channel_parcels parcels = { .last = true };
	ipc9_pipe_open_res res;
	const ipc9_pipe_open_ok *ok = &res.ipc9_pipe_open_res_u.ok;
	int r = link_exchange(&pipe->link, &open_procedure, &parcels, &args, &res, deadline, e);

	if (r)
		return r;
	pipe->reads = flags & IPC9_PIPE_OPEN_READ;
	pipe->writes = flags & IPC9_PIPE_OPEN_WRITE;
	pipe->handle = ok->pipe;
	pipe->type = (enum ipc9_pipe_type)ok->type;
	pipe->quota_bytes = ok->quota_bytes;
	pipe->connected = true;
	wire_identity(&ok->server, &pipe->peer);
	if (ok->way != IPC9_PIPE_WAY_CALLS)
		r = open_carrier(pipe, ok->way, &parcels.taken, e);
	descriptors_close(&parcels.taken);
	xdr_free(open_procedure.results, &res);
	return r;
}

static int check_mode(const struct ipc9_pipe *pipe, unsigned mode, struct ipc9_error *e)
{
	if (mode & ~MODES)
		return error_set(e, IPC9_E_INVALID, "%s: there is no mode %#x",
		    pipe->link.target.subject, mode & ~MODES);
	if (mode & IPC9_PIPE_MODE_MESSAGES && pipe->type != IPC9_PIPE_TYPE_MESSAGE)
		return error_set(e, IPC9_E_INVALID, "%s: a byte pipe cannot be read in messages",
		    pipe->link.target.subject);
	return 0;
}

/* The caller does not say which directions it wants: all that there are and that it may use. */
static int open_any(struct ipc9_pipe *pipe, const struct beginning *beginning, struct ipc9_error *e)
{
	static const unsigned choices[] = { IPC9_PIPE_OPEN_READ, IPC9_PIPE_OPEN_WRITE };
	int64_t deadline = context_deadline(pipe->link.ipc9);
	int r = check_way(pipe, beginning->way, e);

	pipe->most = beginning->way;
	if (!r)
		r = open_in(pipe, IPC9_PIPE_OPEN_READ | IPC9_PIPE_OPEN_WRITE, deadline, e);

	for (size_t i = 0; i < 2 && r == IPC9_E_ACCESS && pipe->link.channel; i++) {
		struct ipc9_error again;
		int r_again = open_in(pipe, choices[i], deadline, &again);

		if (r_again == IPC9_E_ACCESS)
			continue; /* the sentence about both is the better one */
		if (r_again)
			error_set(e, r_again, "%s", again.text);
		r = r_again;
	}
	if (r)
		return r;
	if (beginning->server)
		r = check_server(pipe, *beginning->server, e);
	if (!r)
		r = check_mode(pipe, beginning->mode, e);
	pipe->mode = beginning->mode;
	if (r)
		pipe->way->close(pipe);
	return r;
}

/* Reads who has to serve a pipe; NULL: anybody. */
static int read_server(const char *text, struct beginning *beginning, uint32_t *uid,
    struct ipc9_error *e)
{
	unsigned long value;
	char *end;

	if (!text)
		return 0;
	errno = 0;
	value = strncmp(text, "uid:", 4) == 0 && text[4] >= '0' && text[4] <= '9'
	    ? strtoul(text + 4, &end, 10)
	    : ULONG_MAX;
	if (value >= UINT32_MAX || errno || *end)
		return error_set(e, IPC9_E_INVALID, "the server \"%.60s\" is not of the form uid:N",
		    text);
	*uid = (uint32_t)value;
	beginning->server = uid;
	return 0;
}

int ipc9_pipe_open_with(struct ipc9 *ipc9, const char *name,
    const struct ipc9_pipe_open_options *options, struct ipc9_pipe **ret, struct ipc9_error *e)
{
	struct beginning beginning = { .mode = options ? options->mode : 0,
		.way = options ? options->way : IPC9_PIPE_WAY_ANY };
	struct target target;
	uint32_t uid;
	int r = target_object(name, "pipe", &target, e);

	if (!r && options)
		r = read_server(options->server, &beginning, &uid, e);
	return r ? r : pipe_new(ipc9, &target, open_any, &beginning, ret, e);
}

int ipc9_pipe_open(struct ipc9 *ipc9, const char *name, struct ipc9_pipe **ret,
    struct ipc9_error *e)
{
	return ipc9_pipe_open_with(ipc9, name, NULL, ret, e);
}

/* --- While it is there ------------------------------------------------------------------------- */

/*
 * A client that nobody has accepted may have come with a carrier, which the daemon keeps for this end: what is about to be done
 * with the end is done there.  What goes wrong shows in that.
 */
void pipe_take_client(struct ipc9_pipe *pipe)
{
	struct ipc9_pipe_end_info info;
	const struct timespec look = { 0, TAKE_LOOK_NS };

	if (!pipe->server || pipe->connected || !offers(pipe->most, IPC9_PIPE_BY_SOCKET))
		return;
	pthread_mutex_lock(&pipe->taking);
	if (!pipe->connected && !pipe->way->info(pipe, &info, NULL) &&
	    info.way > IPC9_PIPE_BY_CALLS) {
		/* An accept that another thread is in has been answered, or is about to be. */
		for (int i = 0; i < TAKE_LOOKS && pipe->accepting && !pipe->connected; i++)
			nanosleep(&look, NULL);
		if (!pipe->accepting && !pipe->connected)
			calls_accept_now(pipe, NULL);
	}
	pthread_mutex_unlock(&pipe->taking);
}

static bool no_wait(const struct ipc9_pipe *pipe)
{
	return pipe->mode & IPC9_PIPE_MODE_NO_WAIT;
}

int pipe_wait_until(const struct ipc9_pipe *pipe, int wait_ms, int64_t *ret_until,
    struct ipc9_error *e)
{
	int r = link_check_wait(&pipe->link, wait_ms, e);

	if (!r)
		*ret_until = clock_deadline_ms(no_wait(pipe) ? 0 : wait_ms);
	return r;
}

int pipe_without_wait(const struct ipc9_pipe *pipe, int code, int instead, struct ipc9_error *e)
{
	if (code != IPC9_E_TIMEDOUT || !no_wait(pipe))
		return code;
	return error_set(e, instead, "%s: %s", pipe->link.target.subject, ipc9_strerror(instead));
}

int pipe_cancelled(const struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	return error_set(e, IPC9_E_CANCELLED, "%s: %s", pipe->link.target.subject,
	    ipc9_strerror(IPC9_E_CANCELLED));
}

/* For what only servers do. */
static int check_is_server(const struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	return pipe->server
	    ? 0
	    : error_set(e, IPC9_E_INVALID, "%s: this is %s", pipe->link.target.subject,
		  pipe->pair ? "no server's end" : "a client's end");
}

/* What an operation of a server's end came to; that its daemon is gone is told once. */
static int note_lost(struct ipc9_pipe *pipe, int r)
{
	pipe->lost = r == IPC9_E_LOST && pipe->way == &pipe_calls_way && pipe->link.channel &&
	    !pipe->link.aborted && !channel_is_alive(pipe->link.channel);
	return r;
}

/* The daemon was lost, and the program knows: the next one there gets the instance anew. */
static int create_again(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	const struct beginning beginning = { .create = &pipe->made };
	unsigned mode = pipe->mode;
	int r;

	if (!pipe->lost)
		return 0;
	calls_accept_free(pipe);
	calls_started_free(pipe);
	atomic_fetch_add_explicit(&pipe->sessions, 1, memory_order_seq_cst);
	pipe_watch(pipe, -1, 0);
	link_close(&pipe->link);
	r = create(pipe, &beginning, e);
	if (r)
		return r;
	pipe->lost = pipe->connected = pipe->ended = false;
	pipe->mode = mode;
	return 0;
}

int ipc9_pipe_accept(struct ipc9_pipe *pipe, int wait_ms, struct ipc9_identity *ret_client,
    struct ipc9_error *e)
{
	int64_t until;
	int r = check_is_server(pipe, e);

	if (!r)
		r = pipe_wait_until(pipe, wait_ms, &until, e);
	if (!r)
		r = create_again(pipe, e);
	if (!r) {
		pthread_mutex_lock(&pipe->taking);
		pipe->accepting = true;
		pthread_mutex_unlock(&pipe->taking);
		r = pipe_without_wait(pipe, note_lost(pipe, pipe->way->accept(pipe, until, e)),
		    IPC9_E_LISTENING, e);
		pipe->accepting = false;
	}
	if (!r && ret_client)
		*ret_client = pipe->peer;
	return r;
}

bool ipc9_pipe_was_connected(const struct ipc9_pipe *pipe)
{
	return pipe->was_connected;
}

enum ipc9_pipe_type ipc9_pipe_type(const struct ipc9_pipe *pipe)
{
	return pipe->type;
}

const struct ipc9_identity *ipc9_pipe_peer(const struct ipc9_pipe *pipe)
{
	return &pipe->peer;
}

int ipc9_pipe_info_of(struct ipc9_pipe *pipe, struct ipc9_pipe_end_info *ret, struct ipc9_error *e)
{
	int r;

	pipe_take_client(pipe);
	r = pipe->way->info(pipe, ret, e);
	if (!r)
		ret->mode = pipe->mode;
	return r;
}

int ipc9_pipe_set_mode(struct ipc9_pipe *pipe, unsigned mode, struct ipc9_error *e)
{
	struct ipc9_pipe_end_info info;
	int r = check_mode(pipe, mode, e);

	/* Of an end that was disconnected nothing can be set any more. */
	if (!r)
		r = pipe->way->info(pipe, &info, e);
	if (!r)
		pipe->mode = mode;
	return r;
}

/* --- Data -------------------------------------------------------------------------------------- */

static int read_piece(struct ipc9_pipe *pipe, struct pipe_reading *reading, int wait_ms,
    struct ipc9_error *e)
{
	int64_t until;
	int r = pipe_check_unviewed(pipe, e);

	if (!r)
		r = pipe_wait_until(pipe, wait_ms, &until, e);
	pipe_take_client(pipe);
	return r ? r
		 : pipe_without_wait(pipe, pipe->way->read(pipe, reading, until, e),
		       IPC9_E_WOULDBLOCK, e);
}

int ipc9_pipe_read(struct ipc9_pipe *pipe, void *buffer, size_t size, int wait_ms, size_t *ret_size,
    struct ipc9_error *e)
{
	struct pipe_reading reading = { .buffer = buffer, .size = size };
	int r = read_piece(pipe, &reading, wait_ms, e);

	if (!r)
		*ret_size = reading.n;
	return r;
}

int ipc9_pipe_read_message(struct ipc9_pipe *pipe, void *buffer, size_t size, int wait_ms,
    size_t *ret_size, bool *ret_more, struct ipc9_error *e)
{
	struct pipe_reading reading = { .message = true, .buffer = buffer, .size = size };
	int r;

	if (pipe->type != IPC9_PIPE_TYPE_MESSAGE)
		return error_set(e, IPC9_E_BADSTATE, "%s: a byte pipe has no messages",
		    pipe->link.target.subject);
	r = read_piece(pipe, &reading, wait_ms, e);
	if (!r) {
		*ret_size = reading.n;
		*ret_more = reading.more;
	}
	return r;
}

int ipc9_pipe_peek(struct ipc9_pipe *pipe, void *buffer, size_t size, struct ipc9_pipe_peeked *ret,
    struct ipc9_error *e)
{
	pipe_take_client(pipe);
	return pipe->way->peek(pipe, buffer, size, ret, e);
}

int pipe_check_message(const struct ipc9_pipe *pipe, size_t size, struct ipc9_error *e)
{
	if (pipe->type != IPC9_PIPE_TYPE_MESSAGE || size <= IPC9_MESSAGE_BYTES)
		return 0;
	return error_set(e, IPC9_E_TOOBIG,
	    "%s: the message has %zu bytes and may have at most %d; nothing was sent",
	    pipe->link.target.subject, size, IPC9_MESSAGE_BYTES);
}

int ipc9_pipe_write(struct ipc9_pipe *pipe, const void *data, size_t size, int wait_ms,
    size_t *ret_written, struct ipc9_error *e)
{
	struct pipe_writing writing = {
		.data = data,
		.size = size,
		.fitting = wait_ms == 0 || no_wait(pipe),
		.part = wait_ms == 0 && !no_wait(pipe),
	};
	int64_t until;
	int r = pipe_check_unreserved(pipe, e);

	if (!r)
		r = pipe_check_message(pipe, size, e);
	pipe_take_client(pipe);
	if (!r)
		r = pipe_wait_until(pipe, wait_ms, &until, e);
	if (!r)
		r = pipe->way->write(pipe, &writing, until, e);
	if (ret_written)
		*ret_written = writing.n;
	return r;
}

int pipe_check_transaction(const struct ipc9_pipe *pipe, size_t request_size, struct ipc9_error *e)
{
	int r;

	if (!(pipe->mode & IPC9_PIPE_MODE_MESSAGES))
		return error_set(e, IPC9_E_BADSTATE,
		    "%s: a transaction takes an end that reads messages (ipc9_pipe_set_mode)",
		    pipe->link.target.subject);
	r = pipe_check_unreserved(pipe, e);
	if (!r)
		r = pipe_check_unviewed(pipe, e);
	return r ? r : pipe_check_message(pipe, request_size, e);
}

int ipc9_pipe_transact(struct ipc9_pipe *pipe, const void *request, size_t request_size,
    void *buffer, size_t size, int wait_ms, size_t *ret_size, bool *ret_more, struct ipc9_error *e)
{
	struct pipe_transacting t = {
		.request = request,
		.request_size = request_size,
		.reply = { .message = true, .buffer = buffer, .size = size },
	};
	int r = link_check_wait(&pipe->link, wait_ms, e);

	pipe_take_client(pipe);
	if (!r)
		r = pipe_check_transaction(pipe, request_size, e);
	/* It is a wait in itself: the mode has no say. */
	if (!r)
		r = pipe->way->transact(pipe, &t, clock_deadline_ms(wait_ms), e);
	if (!r) {
		*ret_size = t.reply.n;
		*ret_more = t.reply.more;
	}
	return r;
}

int ipc9_pipe_flush(struct ipc9_pipe *pipe, int wait_ms, struct ipc9_error *e)
{
	int r = link_check_wait(&pipe->link, wait_ms, e);

	pipe_take_client(pipe);
	return r ? r : pipe->way->flush(pipe, clock_deadline_ms(wait_ms), e);
}

int ipc9_pipe_disconnect(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	int r = check_is_server(pipe, e);

	pipe_take_client(pipe);
	if (r)
		return r;
	/* What is in place before, and what another thread begins meanwhile, is not the next client's. */
	atomic_fetch_add_explicit(&pipe->sessions, 1, memory_order_seq_cst);
	r = note_lost(pipe, pipe->way->disconnect(pipe, e));
	atomic_fetch_add_explicit(&pipe->sessions, 1, memory_order_seq_cst);
	if (!r)
		pipe->ended = false;
	return r;
}

int ipc9_pipe_end(struct ipc9_pipe *pipe, struct ipc9_error *e)
{
	int r;

	pipe_take_client(pipe);
	r = pipe->way->end(pipe, e);
	if (!r)
		pipe->ended = true;
	return r;
}

int ipc9_pipe_wait_closed(struct ipc9_pipe *pipe, int wait_ms, struct ipc9_error *e)
{
	int r = link_check_wait(&pipe->link, wait_ms, e);

	pipe_take_client(pipe);
	return r ? r : pipe->way->wait_closed(pipe, clock_deadline_ms(wait_ms), e);
}

/* --- Ending ------------------------------------------------------------------------------------ */

void ipc9_pipe_abort(struct ipc9_pipe *pipe)
{
	pipe->way->abort(pipe);
}

struct ipc9_pipe *ipc9_pipe_close(struct ipc9_pipe *pipe)
{
	if (!pipe)
		return NULL;
	pipe_places_free(pipe);
	pipe->way->close(pipe);
	return pipe_free(pipe);
}
