/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc_call.c - one call as rpcgen's dispatcher sees it: a SVCXPRT of its own, so that replies can leave in any
 * order and on any thread.  See rpc_server.h.
 *
 * A call is held by its dispatcher, from arrival until that returns, and by whoever deferred it, until it is ended; the last
 * of them lets go of it.  What a handler can reach lies in the call itself, as the connection may end under it.
 */
#include <stdlib.h>
#include <string.h>

#include "client/rpc_server.h"
#include "util/gather.h"
#include "util/text.h"
#include "xdr/stream.h"

#define SMALL_REPLY 960 /* a reply of so many bytes is encoded on the stack */

static struct rpc_call *call_of(const SVCXPRT *transport)
{
	return transport->xp_p1;
}

/* --- The transport's table --------------------------------------------------------------------- */

static bool_t no_recv(SVCXPRT *transport, struct rpc_msg *msg)
{
	(void)transport, (void)msg;
	return FALSE;
}

static enum xprt_stat stat_idle(SVCXPRT *transport)
{
	(void)transport;
	return XPRT_IDLE;
}

static bool_t get_args(SVCXPRT *transport, xdrproc_t xdr, void *args)
{
	struct rpc_call *c = call_of(transport);
	XDR xdrs;

	xdr_record_create(&xdrs, c->args, c->args_size, c->record);
	if (xdr(&xdrs, args))
		return TRUE;
	/* The dispatcher leaves at once, and what was decoded before the fault would be lost. */
	xdr_free(xdr, args);
	return FALSE;
}

static bool_t free_args(SVCXPRT *transport, xdrproc_t xdr, void *args)
{
	(void)transport;
	xdr_free(xdr, args);
	return TRUE;
}

static enum message_refusal refusal_of(const struct rejected_reply *r)
{
	if (r->rj_stat == RPC_MISMATCH)
		return MESSAGE_RPC_MISMATCH;
	switch (r->rj_why) {
	case AUTH_BADCRED:
		return MESSAGE_AUTH_BADCRED;
	case AUTH_REJECTEDCRED:
		return MESSAGE_AUTH_REJECTEDCRED;
	default:
		return MESSAGE_AUTH_TOOWEAK;
	}
}

/* Encodes results without the lock; false: they cannot be. */
static bool encode(struct rpc_call *c, const struct accepted_reply *a, struct gather *out)
{
	XDR xdrs;

	if (message_put_success(out, c->call.xid))
		return false;
	xdr_gather_create(&xdrs, out);
	return a->ar_results.proc(&xdrs, a->ar_results.where) && !gather_own(out);
}

/* With the lock held; results: NULL where the reply has none. */
static void answer(struct rpc_call *c, const struct rpc_msg *msg, struct gather *results)
{
	const struct accepted_reply *a = &msg->acpted_rply;

	if (results)
		call_answer_encoded(&c->call, results);
	else if (msg->rm_reply.rp_stat != MSG_ACCEPTED)
		call_answer_refusal(&c->call, refusal_of(&msg->rjcted_rply), 0, 0);
	else
		call_answer_refusal(&c->call,
		    a->ar_stat == SUCCESS ? MESSAGE_SYSTEM_ERR : (enum message_refusal)a->ar_stat,
		    (uint32_t)a->ar_vers.low, (uint32_t)a->ar_vers.high);
}

/*
 * Lets go of the lock.  Replies to calls that came together leave together, if the thread that answers is the one that
 * goes on with the others, and all of them are short; else now.
 */
static void leave(struct rpc_call *c)
{
	struct ipc9_rpc_server *s = c->server;

	if (!c->call.line && !list_is_empty(&s->queue) && c->run == loop_runs(s->loop) &&
	    rpc_call_is_short(c))
		pthread_mutex_unlock(&s->lock);
	else
		loop_leave(s->loop);
}

/* Results that cannot be encoded become SYSTEM_ERR; the dispatcher must not send that again. */
static bool_t reply(SVCXPRT *transport, struct rpc_msg *msg)
{
	struct rpc_call *c = call_of(transport);
	BYTES_ON_STACK(block, SMALL_REPLY);
	struct gather out;
	bool has_results;

	if (c->is_answered)
		return TRUE;
	c->is_answered = true;
	has_results = msg->rm_reply.rp_stat == MSG_ACCEPTED && msg->acpted_rply.ar_stat == SUCCESS;
	if (has_results && c->call.line &&
	    rpc_rings_reply(c, msg->acpted_rply.ar_results.proc, msg->acpted_rply.ar_results.where))
		return TRUE;
	gather_init(&out);
	gather_lend(&out, block);
	has_results = has_results && encode(c, &msg->acpted_rply, &out);
	pthread_mutex_lock(&c->server->lock);
	answer(c, msg, has_results ? &out : NULL);
	leave(c);
	gather_clear(&out);
	return TRUE;
}

static void destroy(SVCXPRT *transport)
{
	(void)transport;
}

static bool_t no_control(SVCXPRT *transport, const u_int request, void *info)
{
	(void)transport, (void)request, (void)info;
	return FALSE;
}

/* --- Who calls --------------------------------------------------------------------------------- */

/* The kernel's answer in the form that handlers know. */
static void take_kernel_identity(struct rpc_call *c, const struct peer *p)
{
	unsigned n = p->n_groups < NGRPS ? p->n_groups : NGRPS;

	c->sys.aup_uid = p->uid;
	c->sys.aup_gid = p->gid;
	c->sys.aup_len = n;
	if (n)
		memcpy(c->groups, p->groups, n * sizeof(gid_t));
	c->machine[0] = '\0';
}

static bool take_claimed_identity(struct rpc_call *c, const struct message_auth *credential)
{
	struct message_auth_sys claimed;

	if (message_parse_auth_sys(credential, &claimed))
		return false;
	c->sys.aup_time = claimed.stamp;
	c->sys.aup_uid = claimed.uid;
	c->sys.aup_gid = claimed.gid;
	c->sys.aup_len = claimed.n_groups;
	memcpy(c->groups, claimed.groups, claimed.n_groups * sizeof(gid_t));
	memcpy(c->machine, claimed.machine, claimed.machine_len);
	c->machine[claimed.machine_len] = '\0';
	return true;
}

/* False: the credential is not one. */
static bool identify(struct rpc_call *c, const struct message_auth *credential)
{
	const struct peer *p = c->call.peer;
	struct opaque_auth *cred = &c->request.rq_cred;

	memcpy(c->credential, credential->body, credential->len);
	*cred = (struct opaque_auth){ (enum_t)credential->flavor, c->credential, credential->len };
	c->address.len = p->address.len;
	memcpy(&c->address.storage, &p->address.storage, p->address.len);
	c->is_local = p->local;
	c->pid = p->pid;
	c->sys.aup_time = 0;
	c->request.rq_clntcred = &c->sys;
	if (p->local) {
		take_kernel_identity(c, p);
		cred->oa_flavor = AUTH_SYS;
		return true;
	}
	c->request.rq_clntcred = credential->flavor == AUTH_SYS ? &c->sys : NULL;
	return credential->flavor != AUTH_SYS || take_claimed_identity(c, credential);
}

void ipc9_rpc_caller(const struct svc_req *request, struct ipc9_identity *ret)
{
	const struct rpc_call *c = call_of(request->rq_xprt);
	char host[ADDRESS_TEXT_SIZE];

	memset(ret, 0, sizeof(*ret));
	if (request->rq_clntcred) {
		ret->how = c->is_local ? IPC9_HOW_KERNEL : IPC9_HOW_CLAIMED;
		ret->uid = (uint32_t)c->sys.aup_uid;
		ret->gid = (uint32_t)c->sys.aup_gid;
	}
	ret->pid = c->is_local ? (uint32_t)c->pid : 0;
	address_host_text(&c->address, host);
	text_format(ret->host, sizeof(ret->host), "%s", c->is_local ? "local" : host);
}

/* --- Arriving ---------------------------------------------------------------------------------- */

/* Keeps the arguments beyond the receive; false: no memory. */
static bool take_args(struct rpc_call *c, XDR *args)
{
	struct bytes *owner;

	c->args_size = xdr_record_left(args);
	c->args = xdr_record_take(args, (uint32_t)(c->args_size & ~(size_t)3u), &owner);
	c->record = owner;
	if (owner || c->call.line) /* whose thread keeps them until the handler has returned */
		return true;
	if (c->args_size <= RPC_CALL_SMALL) {
		memcpy(c->small, c->args, c->args_size);
		c->args = c->small;
		return true;
	}
	c->record = bytes_new(c->args_size);
	if (!c->record)
		return false;
	memcpy(c->record->data, c->args, c->args_size);
	c->record->size = (uint32_t)c->args_size;
	c->args = c->record->data;
	return true;
}

/* What is the same for every call that this object serves for. */
void rpc_call_init(struct call *call)
{
	static const struct xp_ops ops = { no_recv, stat_idle, get_args, reply, free_args,
		destroy };
	static const struct xp_ops2 ops2 = { no_control };
	struct rpc_call *c = (struct rpc_call *)(void *)call;
	SVCXPRT *t = &c->transport;

	memset(t, 0, sizeof(*t));
	memset(&c->extension, 0, sizeof(c->extension));
	memset(&c->request, 0, sizeof(c->request));
	t->xp_ops = &ops;
	t->xp_ops2 = &ops2;
	t->xp_p1 = c;
	t->xp_p3 = &c->extension;
	t->xp_rtaddr.buf = &c->address.storage;
	c->request.rq_xprt = t;
	c->sys.aup_machname = c->machine;
	c->sys.aup_gids = c->groups;
	list_init(&c->queued);
}

static void make_transport(struct rpc_call *c, const struct message_call *header)
{
	SVCXPRT *t = &c->transport;

	t->xp_fd = call_fd(&c->call);
	t->xp_rtaddr.len = t->xp_rtaddr.maxlen = c->address.len;
	t->xp_addrlen = (int)c->address.len;
	if (c->address.len <= sizeof(t->xp_raddr))
		memcpy(&t->xp_raddr, &c->address.storage, c->address.len);
	memset(&t->xp_verf, 0, sizeof(t->xp_verf)); /* a handler may have set it */
	c->request.rq_prog = header->program;
	c->request.rq_vers = header->version;
	c->request.rq_proc = header->procedure;
}

/* Why a call is not taken, with the range of versions for PROG_MISMATCH; 0: it is, by *ret_program. */
static int choose(const struct ipc9_rpc_server *s, const struct message_call *header,
    const struct rpc_program **ret_program, uint32_t *low, uint32_t *high)
{
	bool known = false;

	for (size_t i = 0; i < s->n_programs; i++) {
		const struct rpc_program *p = &s->programs[i];

		if (p->number != header->program)
			continue;
		if (p->version == header->version) {
			*ret_program = p;
			if (header->credential.flavor != AUTH_NONE &&
			    header->credential.flavor != AUTH_SYS)
				return MESSAGE_AUTH_REJECTEDCRED;
			return 0;
		}
		*low = !known || p->version < *low ? p->version : *low;
		*high = !known || p->version > *high ? p->version : *high;
		known = true;
	}
	return known ? MESSAGE_PROG_MISMATCH : MESSAGE_PROG_UNAVAIL;
}

void rpc_call_arrived(void *context, struct call *call, const struct message_call *header,
    XDR *args)
{
	struct ipc9_rpc_server *s = context;
	struct rpc_call *c = (struct rpc_call *)(void *)call;
	const struct rpc_program *program;
	uint32_t low = 0, high = 0;
	int why;

	if (rpc_rings_take(s, call, header))
		return;
	why = choose(s, header, &program, &low, &high);
	if (!why && !identify(c, &header->credential))
		why = MESSAGE_AUTH_BADCRED;
	if (why) {
		call_refuse(call, (enum message_refusal)why, low, high);
		return;
	}
	if (!take_args(c, args)) {
		call_refuse(call, MESSAGE_SYSTEM_ERR, 0, 0);
		return;
	}
	c->server = s;
	c->dispatch = program->dispatch;
	c->holds = 1;
	c->is_answered = false;
	make_transport(c, header);
	call_keep(call);
	call_hold(call, c->args_size);
	if (call->line)
		rpc_rings_arrived(c);
	else
		list_append(&s->queue, &c->queued);
}

/* --- Running and ending ------------------------------------------------------------------------ */

/* With the lock held. */
static void let_go(struct rpc_call *c)
{
	if (--c->holds)
		return;
	call_give_back(&c->call, c->record);
	call_drop(&c->call);
}

/* Nobody wants the answer, and no thread has begun: it is not run. */
void rpc_call_lost(struct call *call)
{
	struct rpc_call *c = (struct rpc_call *)(void *)call;

	if (list_is_empty(&c->queued))
		return;
	list_remove(&c->queued);
	let_go(c);
}

void rpc_call_run(struct rpc_call *c)
{
	struct ipc9_rpc_server *s = c->server;

	c->run = loop_runs(s->loop);
	pthread_mutex_unlock(&s->lock);
	c->dispatch(&c->request, &c->transport);
	pthread_mutex_lock(&s->lock);
	let_go(c);
}

/* struct ipc9_rpc_deferred is struct rpc_call under its public name. */

struct ipc9_rpc_deferred *ipc9_rpc_defer(struct svc_req *request)
{
	struct rpc_call *c = call_of(request->rq_xprt);

	if (c->is_answered)
		return NULL;
	loop_enter(c->server->loop);
	c->holds++;
	c->is_answered = true; /* the dispatcher has nothing more to say */
	c->server->n_deferred++;
	call_defer(&c->call);
	loop_leave(c->server->loop);
	return (struct ipc9_rpc_deferred *)c;
}

/* Lets go of the lock, and of the server if it only waited for this. */
static void end_deferred(struct rpc_call *c)
{
	struct ipc9_rpc_server *s = c->server;
	bool last;

	let_go(c);
	last = --s->n_deferred == 0 && s->is_freed;
	if (s->is_freed)
		pthread_mutex_unlock(&s->lock);
	else
		loop_leave(s->loop);
	if (last)
		rpc_server_release(s);
}

int ipc9_rpc_reply(struct ipc9_rpc_deferred *deferred, xdrproc_t xdr_results, void *results)
{
	struct rpc_call *c = (struct rpc_call *)deferred;
	bool gone;

	pthread_mutex_lock(&c->server->lock);
	gone = c->call.gone;
	call_answer(&c->call, xdr_results, results);
	end_deferred(c);
	return gone ? IPC9_E_LOST : 0;
}

void ipc9_rpc_refuse(struct ipc9_rpc_deferred *deferred, enum accept_stat why)
{
	struct rpc_call *c = (struct rpc_call *)deferred;

	pthread_mutex_lock(&c->server->lock);
	call_answer_refusal(&c->call, (enum message_refusal)why, 0, 0);
	end_deferred(c);
}

bool ipc9_rpc_is_gone(struct ipc9_rpc_deferred *deferred)
{
	struct rpc_call *c = (struct rpc_call *)deferred;
	bool gone;

	pthread_mutex_lock(&c->server->lock);
	gone = c->call.gone;
	pthread_mutex_unlock(&c->server->lock);
	return gone;
}
