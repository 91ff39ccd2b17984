/* SPDX-License-Identifier: BSD-3-Clause */
/* dispatch.c - see dispatch.h. */
#include "server/dispatch.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/audit.h"
#include "server/daemon.h"
#include "server/named.h"
#include "server/services.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/text.h"
#include "xdr/stream.h"

void dispatch_null(struct request *request, void *args)
{
	(void)args;
	request_reply(request, NULL);
}

/* --- Finding the row --------------------------------------------------------------------------- */

static size_t find_service(const struct message_call *header)
{
	size_t i = 0;

	while (services[i] && services[i]->program != header->program)
		i++;
	return i;
}

static const struct procedure *find_procedure(const struct service *s, uint32_t number)
{
	for (size_t i = 0; i < s->n_procedures; i++)
		if (s->procedures[i].number == number)
			return &s->procedures[i];
	return NULL;
}

/* --- Policy ------------------------------------------------------------------------------------ */

bool dispatch_is_served(const struct procedure *p, bool local, bool datagram)
{
	if (p->flags & PROCEDURE_DATAGRAM)
		return datagram;
	if (p->flags & PROCEDURE_LOCAL)
		return local && !datagram;
	return !datagram || p->number == 0;
}

static bool is_strong(const struct procedure *p, const struct caller *c)
{
	switch (p->strength) {
	case STRENGTH_ANY:
		return true;
	case STRENGTH_IDENTITY:
		return c->how != IPC9_BY_NONE;
	case STRENGTH_PRIVACY:
		return c->how != IPC9_BY_NONE && c->local;
	}
	return false;
}

bool dispatch_admits(const struct access *a, const struct procedure *p, const struct caller *c,
    char why[ACCESS_WHY_SIZE])
{
	if (!is_strong(p, c)) {
		text_format(why, ACCESS_WHY_SIZE, "the procedure is for known callers%s",
		    p->strength == STRENGTH_PRIVACY ? " on a private way" : "");
		return false;
	}
	return !p->right || access_decide(a, c, p->right, NULL, why);
}

/* --- The way of a call ------------------------------------------------------------------------- */

static void refuse(struct request *r, enum message_refusal why)
{
	/* Over datagrams a procedure that is never answered is not refused either. */
	if (r->procedure && r->procedure->flags & PROCEDURE_DATAGRAM)
		call_drop(&r->call);
	else
		call_refuse(&r->call, why, 0, 0);
}

static bool identify(struct request *r, const struct message_call *header)
{
	switch (access_identify(&r->daemon->access, r->call.peer, &header->credential,
	    &r->caller)) {
	case 0:
		return true;
	case -EBADMSG:
		audit_refusal(r, NULL, r->procedure->right, "a malformed credential");
		refuse(r, MESSAGE_AUTH_BADCRED);
		return false;
	default:
		audit_refusal(r, NULL, r->procedure->right, "a flavor that is not served");
		refuse(r, MESSAGE_AUTH_REJECTEDCRED);
		return false;
	}
}

static void run(struct request *r, XDR *xdrs)
{
	_Alignas(max_align_t) unsigned char args[DISPATCH_ARGS_MAX];
	const struct procedure *p = r->procedure;
	const struct object *object;
	enum message_refusal why_not;
	char why[ACCESS_WHY_SIZE];

	assert(p->args_size <= sizeof(args));
	memset(args, 0, p->args_size);
	errno = 0; /* xdr routines say no more than that they failed */
	if (!p->args(xdrs, args) || xdr_record_left(xdrs)) {
		why_not = errno == ENOMEM ? MESSAGE_SYSTEM_ERR : MESSAGE_GARBAGE_ARGS;
		xdr_free(p->args, args);
		refuse(r, why_not);
		return;
	}
	object = p->object ? p->object(r, args) : NULL;
	if (object && access_decide(&r->daemon->access, &r->caller, p->right, object, why))
		object = NULL; /* it is as good as any */
	if (object && !access_sees(&r->daemon->access, &r->caller, object)) {
		audit_refusal(r, LIST_ENTRY(object, const struct named, object), p->right, why);
		r->hidden = object;
		object = NULL;
	}
	if (object)
		request_refuse(r, object, p->right, why);
	else
		p->handle(r, args);
	xdr_free(p->args, args);
}

void dispatch_call(void *context, struct call *call, const struct message_call *header, XDR *xdrs)
{
	struct daemon *d = context;
	struct request *r = request_of(call);
	size_t index = find_service(header);
	const struct service *s = services[index];
	char why[ACCESS_WHY_SIZE];

	r->daemon = d;
	r->procedure = NULL;
	r->hidden = NULL;
	r->object = NULL;
	r->amount = r->place = 0;
	r->waiting = (struct charge){ 0 };
	if (!s) {
		refuse(r, MESSAGE_PROG_UNAVAIL);
		return;
	}
	if (header->version != s->version) {
		call_refuse(call, MESSAGE_PROG_MISMATCH, s->version, s->version);
		return;
	}
	r->service = index;
	r->state = d->states[index];
	r->procedure = find_procedure(s, header->procedure);
	if (!r->procedure ||
	    !dispatch_is_served(r->procedure, call->peer->local, !call->connection)) {
		r->procedure = NULL;
		refuse(r, MESSAGE_PROC_UNAVAIL);
		return;
	}
	if (!identify(r, header))
		return;
	if (!dispatch_admits(&d->access, r->procedure, &r->caller, why)) {
		audit_refusal(r, NULL, r->procedure->right, why);
		refuse(r, MESSAGE_AUTH_TOOWEAK);
		return;
	}
	run(r, xdrs);
}

/* --- Ending ------------------------------------------------------------------------------------ */

void request_reply(struct request *r, void *results)
{
	call_reply(&r->call, r->procedure->results, results);
}

void request_done(struct request *r)
{
	ipc9_void_res done = { .status = IPC9_STATUS_OK };

	assert(r->procedure->results == XDR_PROC(ipc9_void_res));
	request_reply(r, &done);
}

void request_fail(struct request *r, int status, uint64_t value, const char *format, ...)
{
	char detail[IPC9_DETAIL_MAX + 1];
	/* Every result union has this shape in its other arms. */
	ipc9_void_res failed = { .status = status };
	va_list ap;

	va_start(ap, format);
	vsnprintf(detail, sizeof(detail), format, ap);
	va_end(ap);
	failed.ipc9_void_res_u.error.status = status;
	failed.ipc9_void_res_u.error.detail = detail;
	failed.ipc9_void_res_u.error.value = value;
	if (r->procedure->flags & PROCEDURE_DATAGRAM)
		call_drop(&r->call);
	else
		call_reply(&r->call, XDR_PROC(ipc9_void_res), &failed);
}

void request_refuse(struct request *r, const struct object *o, enum right right, const char *why)
{
	char you[ACCESS_TEXT_SIZE];

	audit_refusal(r, LIST_ENTRY(o, const struct named, object), right, why);
	access_describe(&r->caller, you);
	if (o->owned)
		request_fail(r, IPC9_STATUS_ACCESS, 0,
		    "it belongs to uid %u and does not admit you (%s)", o->owner, you);
	else
		request_fail(r, IPC9_STATUS_ACCESS, 0, "it does not admit you (%s)", you);
}

const struct service *request_service(const struct request *r)
{
	return services[r->service];
}

bool request_take_descriptors(struct request *r, unsigned n, int *ret_fds)
{
	if (!call_take_descriptors(&r->call, n, ret_fds))
		return true;
	request_fail(r, IPC9_STATUS_INVALID, n,
	    "%u descriptor%s should have come with the call, over the local socket", n,
	    n == 1 ? "" : "s");
	return false;
}

int request_hand_over(struct request *r, void *results, int *ret_fd)
{
	return call_hand_over(&r->call, r->procedure->results, results, ret_fd);
}

int request_give_descriptors(struct request *r, const int *fds, unsigned n)
{
	return call_give_descriptors(&r->call, fds, n);
}

int request_give_shared(struct request *r, struct shared_descriptor *shared)
{
	return call_give_shared(&r->call, shared);
}

void request_trouble(struct request *r, int error)
{
	if (log_rate_allows(&r->daemon->troubles, clock_now()))
		log_error("%s procedure %u: %s", r->call.peer->local ? "local" : "remote",
		    r->procedure->number, strerror(-error));
	request_fail(r, IPC9_STATUS_SYSTEM, 0, "%s", strerror(-error));
}

void request_fail_charge(struct request *r, int why, const struct caller *who,
    enum quota_resource resource)
{
	request_fail_charge_of(r, why, who, resource, 0);
}

void request_fail_charge_of(struct request *r, int why, const struct caller *who,
    enum quota_resource resource, uint64_t amount)
{
	static const char *const cures[QUOTA_RESOURCES] = {
		[QUOTA_OBJECTS] = "close or clear some first",
		[QUOTA_BYTES] = "what is kept has to be read or cleared first",
		[QUOTA_WAITING] = "fewer calls have to wait at a time",
		[QUOTA_CONNECTIONS] = "close some first",
		[QUOTA_NETWORK] = "close some first",
		[QUOTA_DESCRIPTORS] = "remove some objects first",
	};
	const struct quota *q = r->daemon->quota;
	uint64_t share = quota_share(q, who, resource);
	char asked[64] = "";

	if (why < 0) {
		request_trouble(r, why);
		return;
	}
	if (amount > 1)
		text_format(asked, sizeof(asked), "; this takes %" PRIu64 " more", amount);
	request_fail(r, why, share,
	    "%s: %s %" PRIu64 " of at most %" PRIu64
	    ", which is what others leave%s; %s (ipc9 status --quota)",
	    quota_resource_name(resource), who == &r->caller ? "you use" : "its owner uses",
	    quota_used(q, who, resource), share, asked, cures[resource]);
}

/* --- Waiting ----------------------------------------------------------------------------------- */

static void on_wait_ended(struct call *call, enum call_end end)
{
	struct request *r = request_of(call);

	charge_release(&r->waiting);
	r->ended(call, end);
}

int request_park(struct request *r, struct list *queue, uint32_t wait_ms, size_t held_bytes,
    call_ended_fn *ended)
{
	int e = quota_charge(r->daemon->quota, &r->caller, QUOTA_WAITING, 1, &r->waiting);

	if (e)
		return e;
	r->ended = ended;
	e = call_park(&r->call, queue, wait_ms < IPC9_WAIT_MAX_MS ? wait_ms : IPC9_WAIT_MAX_MS,
	    held_bytes, on_wait_ended);
	if (e)
		charge_release(&r->waiting);
	return e;
}

void request_unpark(struct request *r)
{
	call_unpark(&r->call);
	charge_release(&r->waiting);
}
