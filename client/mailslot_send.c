/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mailslot_send.c - sending a message to one slot, once, whatever connections do; and to a whole domain.
 *
 * A directed message keeps its id however often it is sent, and the daemon queues an id once.  So after a
 * broken connection it is simply sent again, until the time is over; only what then was sent without ever
 * being answered is IPC9_E_UNKNOWN.  A daemon that was never reached is reported at once.
 */
#include "rpcgen-out/mailslot.h"

#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "client/error.h"
#include "client/link.h"
#include "util/clock.h"

#define BACKOFF_FIRST (10 * NS_PER_MS)
#define BACKOFF_LAST NS_PER_S

LINK_ASSERT_RESULTS(ipc9_mailslot_send_res);
LINK_ASSERT_RESULTS(ipc9_mailslot_sendall_res);

static const struct link_procedure send_procedure = {
	.number = IPC9_MAILSLOTPROC_SEND,
	.loss = LINK_LOSS_UNKNOWN,
	.lost = "the message was not sent",
	LINK_TYPES(ipc9_mailslot_send_args, ipc9_mailslot_send_res),
};
/* Receivers know a broadcast that they got before. */
static const struct link_procedure sendall_procedure = {
	.number = IPC9_MAILSLOTPROC_SENDALL,
	.loss = LINK_LOSS_REPEAT,
	LINK_TYPES(ipc9_mailslot_sendall_args, ipc9_mailslot_sendall_res),
};

static int check_size(const struct target *target, size_t size, size_t max, const char *what,
    struct ipc9_error *e)
{
	if (size <= max)
		return 0;
	return error_set(e, IPC9_E_TOOBIG,
	    "%s: the message has %zu bytes, %s at most %zu; nothing was sent", target->subject,
	    size, what, max);
}

/* --- To one slot ------------------------------------------------------------------------------- */

struct sending {
	struct link link;
	int64_t deadline;
	int64_t first_sent; /* when the id left for the first time; 0: not yet */
	int64_t backoff;    /* before the next try */
	ipc9_mailslot_send_args args;
};

/* Waits a while, each time longer, and not as long as others do who lost the same host. */
static void back_off(struct sending *s)
{
	int64_t now = clock_now(), left = s->deadline - now, pause = s->backoff;
	uint32_t dice = 0;
	struct timespec t;

	if (s->backoff == 0) {
		s->backoff = BACKOFF_FIRST;
		return;
	}
	if (getrandom(&dice, sizeof(dice), GRND_NONBLOCK) == sizeof(dice))
		pause = pause / 2 + (int64_t)(dice % (uint64_t)pause);
	if (pause > left)
		pause = left;
	if (s->backoff < BACKOFF_LAST)
		s->backoff *= 2;
	if (pause <= 0)
		return;
	t = clock_timespec(pause);
	nanosleep(&t, NULL);
}

static int say_unknown(const struct sending *s, struct ipc9_error *e)
{
	return error_set(e, IPC9_E_UNKNOWN,
	    "%s: the connection to %s was lost before the answer and could not be restored in time; the "
	    "message may be in the slot or not",
	    s->link.target.subject, s->link.target.who);
}

/* One try.  True: it is over, with *ret_code. */
static bool send_once(struct sending *s, int *ret_code, struct ipc9_error *e)
{
	ipc9_mailslot_send_res res;
	struct link_try try;
	int64_t began;
	int r = link_open(&s->link, s->deadline, e);

	if (r) {
		*ret_code = s->first_sent ? say_unknown(s, e) : r;
		return !s->first_sent || clock_now() >= s->deadline;
	}
	began = clock_now();
	if (s->first_sent)
		s->args.age_ms = (u_int)((began - s->first_sent) / NS_PER_MS) + 1;
	link_try(&s->link, &send_procedure, &s->args, &res, s->deadline, &try);
	if (try.sent && !s->first_sent)
		s->first_sent = began;
	if (link_was_lost(&try) && clock_now() < s->deadline) {
		link_drop(&s->link);
		return false;
	}
	if (s->first_sent && (link_was_lost(&try) || try.stat == RPC_TIMEDOUT))
		try.sent = true;
	*ret_code = link_explain(&s->link, &send_procedure, &try, &res, e);
	if (!*ret_code)
		xdr_free(send_procedure.results, &res);
	return true;
}

static int send_to_one(struct ipc9 *ipc9, const struct target *target, const void *data,
    size_t size, struct ipc9_error *e)
{
	struct sending s = { .deadline = context_deadline(ipc9) };
	int r = check_size(target, size, IPC9_MESSAGE_BYTES, "and may have", e);

	if (r)
		return r;
	/* Beyond this the daemon would not know the id any more. */
	if (s.deadline == CLOCK_NEVER)
		s.deadline = clock_deadline_ms(IPC9_DEDUP_WINDOW_MS);
	link_init(&s.link, ipc9, IPC9_PROG_MAILSLOT, target, false);
	s.args.name = s.link.target.name.object;
	s.args.data = (ipc9_blob){ .data = data, .len = (uint32_t)size };
	context_new_id(ipc9, &s.args.id);
	while (!send_once(&s, &r, e))
		back_off(&s);
	link_close(&s.link);
	return r;
}

/* --- To all ------------------------------------------------------------------------------------ */

static int send_to_all(struct ipc9 *ipc9, const struct target *target, const void *data,
    size_t size, struct ipc9_error *e)
{
	ipc9_mailslot_sendall_args args = { 0 };
	ipc9_mailslot_sendall_res res;
	struct link link;
	int r = check_size(target, size, IPC9_BROADCAST_BYTES, "a broadcast may have", e);

	if (r)
		return r;
	link_init(&link, ipc9, IPC9_PROG_MAILSLOT, target, false);
	args.name = link.target.name.object;
	args.domain = link.target.name.host;
	args.data.data_len = (u_int)size;
	args.data.data_val = (char *)(uintptr_t)data;
	context_new_id(ipc9, &args.id);
	r = link_call(&link, &sendall_procedure, &args, &res, context_deadline(ipc9), e);
	if (!r)
		xdr_free(sendall_procedure.results, &res);
	link_close(&link);
	return r;
}

int ipc9_mailslot_send(struct ipc9 *ipc9, const char *name, const void *data, size_t size,
    struct ipc9_error *e)
{
	struct target target;
	int r = target_objects(name, "mailslot", &target, e);

	if (r)
		return r;
	return target.name.scope == NAME_DOMAIN ? send_to_all(ipc9, &target, data, size, e)
						: send_to_one(ipc9, &target, data, size, e);
}
