/* SPDX-License-Identifier: BSD-3-Clause */
/* dispatch.c - see dispatch.h. */
#include "server/dispatch.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "server/daemon.h"
#include "server/services.h"
#include "util/clock.h"
#include "util/log.h"
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

/* Whether the way by which the call came is one that the procedure is served on. */
static bool is_served_here(const struct procedure *p, const struct call *call)
{
	bool datagram = !call->connection;

	if (p->flags & PROCEDURE_DATAGRAM)
		return datagram;
	if (p->flags & PROCEDURE_LOCAL)
		return !datagram && call->peer->local;
	return !datagram || p->number == 0;
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
		refuse(r, MESSAGE_AUTH_BADCRED);
		return false;
	default:
		refuse(r, MESSAGE_AUTH_REJECTEDCRED);
		return false;
	}
}

static void run(struct request *r, XDR *xdrs)
{
	_Alignas(max_align_t) unsigned char args[DISPATCH_ARGS_MAX];
	const struct procedure *p = r->procedure;
	const struct object *object;

	assert(p->args_size <= sizeof(args));
	memset(args, 0, p->args_size);
	if (!p->args(xdrs, args) || xdr_record_left(xdrs)) {
		xdr_free(p->args, args);
		refuse(r, MESSAGE_GARBAGE_ARGS);
		return;
	}
	object = p->object ? p->object(r, args) : NULL;
	if (object && !access_allows(&r->daemon->access, &r->caller, p->right, object)) {
		char you[ACCESS_TEXT_SIZE];

		access_describe(&r->caller, you);
		r->daemon->refusals++;
		request_fail(r, IPC9_STATUS_ACCESS, 0,
		    "it belongs to uid %u and does not admit you (%s)", object->owner, you);
	} else {
		p->handle(r, args);
	}
	xdr_free(p->args, args);
}

void dispatch_call(void *context, struct call *call, const struct message_call *header, XDR *xdrs)
{
	struct daemon *d = context;
	struct request *r = request_of(call);
	size_t index = find_service(header);
	const struct service *s = services[index];

	r->daemon = d;
	r->procedure = NULL;
	r->object = NULL;
	r->amount = 0;
	if (!s) {
		refuse(r, MESSAGE_PROG_UNAVAIL);
		return;
	}
	if (header->version != s->version) {
		call_refuse(call, MESSAGE_PROG_MISMATCH, s->version, s->version);
		return;
	}
	r->state = d->states[index];
	r->procedure = find_procedure(s, header->procedure);
	if (!r->procedure || !is_served_here(r->procedure, call)) {
		r->procedure = NULL;
		refuse(r, MESSAGE_PROC_UNAVAIL);
		return;
	}
	if (!identify(r, header))
		return;
	if (r->procedure->right &&
	    !access_allows(&d->access, &r->caller, r->procedure->right, NULL)) {
		d->refusals++;
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

void request_trouble(struct request *r, int error)
{
	if (log_rate_allows(&r->daemon->troubles, clock_now()))
		log_error("%s procedure %u: %s", r->call.peer->local ? "local" : "remote",
		    r->procedure->number, strerror(-error));
	request_fail(r, IPC9_STATUS_SYSTEM, 0, "%s", strerror(-error));
}
