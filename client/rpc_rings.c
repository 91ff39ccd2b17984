/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc_rings.c - calls by shared memory (idl/rpcring.x): one ring for a connection, one thread for a ring.  See rpc_server.h.
 *
 * The thread takes a call out of the ring and runs its handler itself, when one more may run; so nobody is woken who is
 * not the one that has to do something.  To the rest of the server the call is one of the connection's: who calls, what
 * bounds there are, what becomes of it when the connection goes.  Only the answer goes back into the ring.
 *
 * A ring and its connection end together.  The connection goes first (closed), which ends the thread's wait; and
 * where the thread ends first it dooms the connection, which loses the calls under way before the ring is freed.
 *
 * A client has one call at a time in the ring, so there is room for its answer.  Where there is none the client
 * breaks the rules, and nobody waits for it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/rpc_server.h"
#include "rpcgen-out/rpcring.h"
#include "transport/hosts.h"
#include "transport/line.h"
#include "util/clock.h"

#define RINGS_MAX 64
#define ROOM 4096 /* a call of so many bytes is received on the stack */

#define XDR_NOTHING ((xdrproc_t)(void (*)(void))xdr_void)

struct rpc_ring {
	struct call_line line; /* first */
	struct ipc9_rpc_server *server;
	struct list link;	       /* in the server's */
	uid_t uid;		       /* whose it is */
	struct connection *connection; /* NULL: it has gone */
	struct connection_watch watch;
	struct conduit *conduit;
	struct rpc_call *arrived; /* during connection_receive */
	bool unanswered;	  /* a call is under way */
	bool is_long;		  /* the last answer did not fit LINE_IN_PLACE */
};

static struct rpc_ring *ring_of(struct list *link)
{
	return LIST_ENTRY(link, struct rpc_ring, link);
}

/* --- Calls and answers ------------------------------------------------------------------------- */

/* Says that the answer comes by the connection.  0, or why not. */
static int send_notice(struct rpc_ring *r, const struct call *call)
{
	uint32_t xid = htonl(call->xid);
	struct iovec piece = { &xid, LINE_NOTICE_BYTES };

	return conduit_send(r->conduit, &piece, 1, 0);
}

static bool answer(struct call_line *line, struct call *call, const struct gather *reply)
{
	struct rpc_ring *r = (struct rpc_ring *)(void *)line;
	int why = line_send(r->conduit, reply, 0, 0);
	bool is_too_long = why < 0;

	if (is_too_long)
		why = send_notice(r, call);
	r->is_long = reply->size > LINE_IN_PLACE;
	r->unanswered = false;
	if (!why)
		return !is_too_long;
	connection_doom(r->connection);
	return true;
}

/*
 * The lock guards nothing that this needs: the ring's thread alone writes into the ring while a call that is not deferred is under
 * way, and a ring whose connection has gone takes what nobody will read.
 */
bool rpc_rings_reply(struct rpc_call *c, xdrproc_t xdr, void *results)
{
	struct rpc_ring *r = (struct rpc_ring *)(void *)c->call.line;
	size_t size;
	void *room;
	XDR xdrs;

	if (r->is_long || conduit_reserve(r->conduit, LINE_IN_PLACE, 0, &room, &size))
		return false;
	message_write_success(room, c->call.xid);
	xdrmem_create(&xdrs, (char *)room + MESSAGE_SUCCESS_SIZE,
	    (u_int)(size - MESSAGE_SUCCESS_SIZE), XDR_ENCODE);
	if (!xdr(&xdrs, results))
		return false;
	r->unanswered = false;
	(void)conduit_commit(r->conduit, MESSAGE_SUCCESS_SIZE + XDR_GETPOS(&xdrs));
	return true;
}

void rpc_rings_arrived(struct rpc_call *c)
{
	((struct rpc_ring *)(void *)c->call.line)->arrived = c;
}

/* With the lock held. */
static void handle(struct rpc_ring *r, const struct line_record *record)
{
	struct ipc9_rpc_server *s = r->server;
	struct rpc_call *c;
	uint64_t before;

	if (r->unanswered || record->size > server_limits(s->server)->record_bytes) {
		connection_doom(r->connection);
		return;
	}
	r->unanswered = true;
	before = server_stats(s->server)->calls;
	connection_receive(r->connection, &r->line, record->data, record->size, record->owner);
	s->rings.calls += server_stats(s->server)->calls - before; /* none if it was no call */
	c = r->arrived;
	r->arrived = NULL;
	if (c)
		rpc_threads_run_call(s, c);
}

/* --- The thread -------------------------------------------------------------------------------- */

static bool has_ended(const struct rpc_ring *r)
{
	return !r->connection || loop_is_stopping(r->server->loop);
}

/* With the lock held, which it lets go of. */
static void end(struct rpc_ring *r)
{
	struct ipc9_rpc_server *s = r->server;

	if (r->connection)
		connection_doom(r->connection);
	loop_settle(s->loop);
	list_remove(&r->link);
	list_remove(&r->watch.link);
	conduit_close(r->conduit);
	free(r);
	s->rings.n--;
	pthread_cond_broadcast(&s->rings.gone);
	pthread_mutex_unlock(&s->lock);
}

static void *ring_main(void *context)
{
	struct rpc_ring *r = context;
	struct ipc9_rpc_server *s = r->server;
	_Alignas(8) unsigned char room[ROOM];
	struct line_record record;

	while (!line_receive(r->conduit, room, sizeof(room), CLOCK_NEVER, &record)) {
		pthread_mutex_lock(&s->lock);
		if (!has_ended(r))
			handle(r, &record);
		bytes_unref(record.owner);
		loop_settle(s->loop);
		if (has_ended(r)) {
			end(r);
			return NULL;
		}
		pthread_mutex_unlock(&s->lock);
	}
	pthread_mutex_lock(&s->lock);
	end(r);
	return NULL;
}

/* --- Life -------------------------------------------------------------------------------------- */

static void closed(struct connection_watch *watch)
{
	struct rpc_ring *r = LIST_ENTRY(watch, struct rpc_ring, watch);

	r->connection = NULL;
	conduit_abort(r->conduit);
}

static int start_thread(struct rpc_ring *r)
{
	pthread_attr_t detached;
	sigset_t all, before;
	pthread_t thread;
	int error;

	pthread_attr_init(&detached);
	pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the program's own threads */
	error = pthread_create(&thread, &detached, ring_main, r);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&detached);
	return -error;
}

/* Whoever can end the server anyway: root, and the user who runs it. */
static bool may_have_all(uid_t uid)
{
	return uid == 0 || uid == geteuid();
}

/* 0, or an rpc_rings_refusal. */
static int check_attach(const struct ipc9_rpc_server *s, const struct call *call)
{
	unsigned most = s->options.shared ? s->options.shared : RINGS_MAX, own = 0;
	uid_t uid = call->peer->uid;

	if (s->rings.off || loop_is_stopping(s->loop))
		return RPC_RINGS_OFF;
	LIST_FOR_EACH (link, &s->rings.list) {
		if (ring_of(link)->connection == call->connection)
			return RPC_RINGS_WRONG;
		own += ring_of(link)->uid == uid;
	}
	if (call->line)
		return RPC_RINGS_WRONG;
	if (s->rings.n >= most)
		return RPC_RINGS_LIMIT;
	if (!may_have_all(uid) && own >= hosts_half_left(most, s->rings.n - own))
		return RPC_RINGS_SHARE;
	return 0;
}

static int ring_new(struct ipc9_rpc_server *s, struct call *call, struct rpc_ring **ret)
{
	struct rpc_ring *r;
	int fds[2], error = -ENOMEM;

	if (call_take_descriptors(call, 2, fds))
		return RPC_RINGS_WRONG;
	r = calloc(1, sizeof(*r));
	if (r)
		error = conduit_open(fds[0], fds[1], CONDUIT_SECOND, RING_MESSAGES, IPC9_RPC_QUOTA,
		    &r->conduit);
	if (error) {
		close(fds[0]);
		close(fds[1]);
		free(r);
		return error == -EPROTO ? RPC_RINGS_WRONG : RPC_RINGS_MEMORY;
	}
	r->line.answer = answer;
	r->server = s;
	r->uid = call->peer->uid;
	r->connection = call->connection;
	r->watch.closed = closed;
	list_init(&r->link);
	list_init(&r->watch.link);
	*ret = r;
	return 0;
}

/* 0, or an rpc_rings_refusal. */
static int attach(struct ipc9_rpc_server *s, struct call *call)
{
	struct rpc_ring *r;
	int why = check_attach(s, call);

	if (!why)
		why = ring_new(s, call, &r);
	if (why)
		return why;
	if (start_thread(r)) { /* it takes the lock before it looks at anything of ours */
		conduit_close(r->conduit);
		free(r);
		return RPC_RINGS_MEMORY;
	}
	connection_watch_end(call->connection, &r->watch);
	list_append(&s->rings.list, &r->link);
	s->rings.n++;
	return 0;
}

/* --- The program ------------------------------------------------------------------------------- */

static void answer_attach(struct ipc9_rpc_server *s, struct call *call)
{
	int why = attach(s, call);

	if (!why) {
		call_reply(call, XDR_NOTHING, NULL);
		return;
	}
	s->rings.refused[why]++;
	call_refuse(call, MESSAGE_SYSTEM_ERR, 0, 0);
}

static bool has_ring(const struct ipc9_rpc_server *s, const struct connection *connection)
{
	LIST_FOR_EACH (link, &s->rings.list)
		if (ring_of(link)->connection == connection)
			return true;
	return false;
}

/* A ring may outlast its connection for a moment, and then is none. */
static uint64_t connections_with_rings(const struct ipc9_rpc_server *s)
{
	uint64_t n = 0;

	LIST_FOR_EACH (link, &s->rings.list)
		n += ring_of(link)->connection != NULL;
	return n;
}

static void answer_status(struct ipc9_rpc_server *s, struct call *call)
{
	const struct server_stats *stats = server_stats(s->server);
	const uint64_t *refused = s->rings.refused, with = connections_with_rings(s);
	ipc9_rpc_rings_res result = {
		.status = IPC9_STATUS_OK,
		.ipc9_rpc_rings_res_u.ok = {
			.connections_ring = with,
			.connections_socket =
			    stats->local - with - !has_ring(s, call->connection),
			.calls_ring = s->rings.calls,
			.calls_socket = stats->local_calls - s->rings.calls - s->rings.own_calls,
			.refused_limit = refused[RPC_RINGS_LIMIT],
			.refused_share = refused[RPC_RINGS_SHARE],
			.refused_off = refused[RPC_RINGS_OFF],
			.refused_memory = refused[RPC_RINGS_MEMORY],
			.refused_wrong = refused[RPC_RINGS_WRONG],
		},
	};

	call_reply(call, (xdrproc_t)(void (*)(void))xdr_ipc9_rpc_rings_res, &result);
}

bool rpc_rings_take(struct ipc9_rpc_server *s, struct call *call, const struct message_call *header)
{
	if (header->program != IPC9_PROG_RPC || !call->connection || !call->peer->local)
		return false;
	s->rings.own_calls += !call->line;
	if (header->version != IPC9_RPC_V1)
		call_refuse(call, MESSAGE_PROG_MISMATCH, IPC9_RPC_V1, IPC9_RPC_V1);
	else if (header->procedure == IPC9_RPCPROC_NULL)
		call_reply(call, XDR_NOTHING, NULL);
	else if (header->procedure == IPC9_RPCPROC_ATTACH)
		answer_attach(s, call);
	else if (header->procedure == IPC9_RPCPROC_STATUS)
		answer_status(s, call);
	else
		call_refuse(call, MESSAGE_PROC_UNAVAIL, 0, 0);
	return true;
}

void rpc_rings_end(struct ipc9_rpc_server *s)
{
	LIST_FOR_EACH (link, &s->rings.list)
		conduit_abort(ring_of(link)->conduit);
	while (s->rings.n)
		pthread_cond_wait(&s->rings.gone, &s->lock);
}
