/* SPDX-License-Identifier: BSD-3-Clause */
/* link.c - see link.h. */
#include "client/link.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "client/error.h"
#include "client/local.h"
#include "transport/connect.h"
#include "util/clock.h"
#include "util/text.h"
#include "xdr/status.h"

#define VERSION 1 /* of each of our programs */
#define CONNECT_MS 5000
#define CLOSE_MS 2000

LINK_ASSERT_RESULTS(ipc9_void_res);

/* --- Sentences --------------------------------------------------------------------------------- */

/* "10 s", "250 ms", "no limit of time". */
static const char *time_text(int ms, char *text, size_t size)
{
	if (ms < 0)
		text_format(text, size, "no limit of time");
	else if (ms % 1000 == 0)
		text_format(text, size, "%d s", ms / 1000);
	else
		text_format(text, size, "%d ms", ms);
	return text;
}

static const char *the_daemon(const struct link *l)
{
	return l->target.local ? "the local daemon" : l->target.who;
}

static int explain_timeout(const struct link *l, const struct link_procedure *p,
    const struct link_try *try, struct ipc9_error *e)
{
	char time[32];

	time_text(l->ipc9->timeout_ms, time, sizeof(time));
	if (p->loss == LINK_LOSS_UNKNOWN && try->sent)
		return error_set(e, IPC9_E_UNKNOWN,
		    "%s: %s did not answer within %s; it may have been done or not",
		    l->target.subject, the_daemon(l), time);
	if (p->loss == LINK_LOSS_LOST || p->loss == LINK_LOSS_UNKNOWN)
		return error_set(e, IPC9_E_LOST, "%s: given up, as %s did not answer within %s%s%s",
		    l->target.subject, the_daemon(l), time, p->lost ? "; " : "",
		    p->lost ? p->lost : "");
	return error_set(e, IPC9_E_NODAEMON, "%s: connected, but no answer within %s",
	    l->target.who, time);
}

/* Why a connection ended, for a person. */
static const char *end_text(int error)
{
	if (error == ECANCELED) /* note_timeout */
		return "given up before, when it did not answer";
	return strerror(error);
}

static int explain_loss(const struct link *l, const struct link_procedure *p,
    const struct link_try *try, struct ipc9_error *e)
{
	const char *subject = l->target.subject;
	int error = try->error.re_errno;

	if (error == ENOMEM)
		return error_set_own(e, -ENOMEM);
	if (error == EMSGSIZE) /* a record longer than any answer */
		return error_set(e, IPC9_E_MISMATCH,
		    "%s does not speak RPC: is something else than ipc9d on that port?",
		    the_daemon(l));
	if (atomic_load_explicit(&l->aborted, memory_order_relaxed))
		return error_set(e, IPC9_E_LOST, "%s: aborted by this program", subject);
	if (p->loss == LINK_LOSS_REPEAT || p->loss == LINK_LOSS_UNDONE)
		return error_set(e, IPC9_E_NODAEMON,
		    "%s: the connection ended before the answer (%s); was ipc9d stopped, or "
		    "are there too many connections?",
		    l->target.who, end_text(error));
	if (p->loss == LINK_LOSS_UNKNOWN && try->sent)
		return error_set(e, IPC9_E_UNKNOWN,
		    "%s: the connection to %s ended before the answer (%s); it may have been done or not",
		    subject, the_daemon(l), end_text(error));
	return error_set(e, IPC9_E_LOST, "%s: the connection to %s ended (%s)%s%s", subject,
	    the_daemon(l), end_text(error), p->lost ? "; " : "", p->lost ? p->lost : "");
}

static int explain_versions(const struct link *l, const char *what, unsigned own,
    const struct rpc_err *error, struct ipc9_error *e)
{
	unsigned low = error->re_vers.low, high = error->re_vers.high;

	if (low == high)
		return error_set(e, IPC9_E_MISMATCH,
		    "%s speaks version %u of %s, this program version %u; update the older one",
		    the_daemon(l), low, what, own);
	return error_set(e, IPC9_E_MISMATCH,
	    "%s speaks versions %u to %u of %s, this program version %u; update the older one",
	    the_daemon(l), low, high, what, own);
}

/* Ends of a call that need no more than to be said. */
static const struct {
	enum clnt_stat stat;
	int code;
	const char *text;
} rpc_ends[] = {
	{ RPC_AUTHERROR, IPC9_E_ACCESS,
	    "does not let this caller in (its configuration decides; see ipc9d.conf(5))" },
	{ RPC_PROGUNAVAIL, IPC9_E_MISMATCH,
	    "serves no such program: is something else than ipc9d on that port?" },
	{ RPC_PROCUNAVAIL, IPC9_E_UNSUPPORTED,
	    "serves no such procedure to this caller: is its ipc9d older?" },
	{ RPC_CANTDECODEARGS, IPC9_E_MISMATCH,
	    "did not understand the call: is its ipc9d of another release?" },
	{ RPC_CANTDECODERES, IPC9_E_MISMATCH,
	    "gave an answer that makes no sense: is its ipc9d of another release?" },
	{ RPC_SYSTEMERROR, IPC9_E_SYSTEM, "is in trouble of its own; see its log" },
};

static int explain_rpc(const struct link *l, const struct link_try *try, struct ipc9_error *e)
{
	if (try->stat == RPC_PROGVERSMISMATCH)
		return explain_versions(l, "the protocol", VERSION, &try->error, e);
	if (try->stat == RPC_VERSMISMATCH)
		return explain_versions(l, "RPC", RPC_MSG_VERSION, &try->error, e);
	if (try->stat == RPC_CANTENCODEARGS ||
	    (try->stat == RPC_CANTDECODERES && try->error.re_errno == ENOMEM))
		return error_set_own(e, -ENOMEM);
	for (size_t i = 0; i < sizeof(rpc_ends) / sizeof(rpc_ends[0]); i++)
		if (rpc_ends[i].stat == try->stat)
			return error_set(e, rpc_ends[i].code, "%s %s", the_daemon(l),
			    rpc_ends[i].text);
	return error_set(e, IPC9_E_SYSTEM, "%s: the call failed: %s", l->target.who,
	    clnt_sperrno(try->stat));
}

static int explain_refusal(const struct link *l, const ipc9_void_res *results, struct ipc9_error *e)
{
	int code = results->status > 0 ? results->status : IPC9_E_SYSTEM;
	const char *detail = results->ipc9_void_res_u.error.detail;
	const char *text = status_find(code)->text, *subject = l->target.subject;

	if (!detail || !*detail)
		return error_set(e, code, "%s: %s", subject, text);
	if (code == IPC9_E_SYSTEM)
		return error_set(e, code, "%s: %s (%s)", subject, text, detail);
	return error_set(e, code, "%s: %s", subject, detail);
}

int link_explain(struct link *l, const struct link_procedure *p, const struct link_try *try,
    void *results, struct ipc9_error *e)
{
	const ipc9_void_res *common = results;
	int r;

	if (try->stat == RPC_SUCCESS && common->status == IPC9_STATUS_OK)
		return 0;
	if (try->stat == RPC_SUCCESS)
		r = explain_refusal(l, common, e);
	else if (try->stat == RPC_TIMEDOUT)
		r = explain_timeout(l, p, try, e);
	else if (link_was_lost(try))
		r = explain_loss(l, p, try, e);
	else
		r = explain_rpc(l, try, e);
	xdr_free(p->results, results);
	return r;
}

/* --- Connecting -------------------------------------------------------------------------------- */

void link_init(struct link *l, struct ipc9 *ipc9, uint32_t program, const struct target *target,
    bool dedicated)
{
	memset(l, 0, sizeof(*l));
	l->ipc9 = ipc9;
	l->program = program;
	l->dedicated = dedicated;
	l->target = *target;
}

static void destination_of(const struct link *l, struct destination *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->local = l->target.local;
	if (ret->local)
		return;
	ret->port = l->target.name.port;
	text_format(ret->host, sizeof(ret->host), "%s", l->target.name.host);
}

static int explain_connect(const struct link *l, const struct connect_target *t,
    const struct connect_failure *f, struct ipc9_error *e)
{
	int ms = l->ipc9->timeout_ms;
	const char *who = l->target.who;
	char text[256];

	if (f->error == -ENOMEM || f->error == -EMFILE || f->error == -ENFILE)
		return error_set_own(e, f->error);
	if (f->step == CONNECT_RESOLVE)
		return error_set(e, IPC9_E_NOPATH, "%s: name not found (%s)", who, f->text);
	if (f->error == -ETIMEDOUT)
		return error_set(e, IPC9_E_NOPATH,
		    "%s: no answer on port %u within %s; is the host up, and does a firewall let this "
		    "through?",
		    who, t->port,
		    time_text(ms < 0 || ms > CONNECT_MS ? CONNECT_MS : ms, text, sizeof(text)));
	if (f->error != -ECONNREFUSED)
		return error_set(e, IPC9_E_NOPATH, "%s: not reached on port %u (%s)", who, t->port,
		    f->text);
	text[0] = '\0';
	if (t->ask_rpcbind)
		text_format(text, sizeof(text), ", and %s",
		    f->rpcbind_answers ? "rpcbind there knows no other"
				       : "no rpcbind answers there that might know another");
	return error_set(e, IPC9_E_NODAEMON,
	    "%s: no ipc9d on port %u (connection refused)%s; is it running, and does it listen beyond "
	    "loopback?",
	    who, t->port, text);
}

static int connect_remote(struct link *l, int64_t deadline, struct ipc9_error *e)
{
	const struct name *name = &l->target.name;
	struct connect_target t = {
		.host = name->host,
		.port = name->port ? name->port : IPC9_PORT,
		.ask_rpcbind = name->port == 0,
		.program = l->program,
		.version = VERSION,
	};
	struct connect_failure failure;

	if (connect_host(&t, deadline, &l->channel, &failure))
		return explain_connect(l, &t, &failure, e);
	return 0;
}

int link_open(struct link *l, int64_t deadline, struct ipc9_error *e)
{
	int64_t until = clock_deadline_ms(CONNECT_MS);
	struct destination destination;
	int r;

	if (l->channel)
		return 0;
	destination_of(l, &destination);
	if (!l->dedicated)
		l->channel = context_take(l->ipc9, &destination);
	if (l->channel)
		return 0;
	if (until > deadline)
		until = deadline;
	r = l->target.local ? local_connect(l->ipc9, until, &l->channel, e)
			    : connect_remote(l, until, e);
	if (!r && !l->dedicated)
		context_keep(l->ipc9, &destination, l->channel);
	return r;
}

void link_close(struct link *l)
{
	l->channel = channel_unref(l->channel);
}

void link_abort(struct link *l)
{
	atomic_store_explicit(&l->aborted, true, memory_order_seq_cst);
	if (l->channel)
		channel_abort(l->channel);
}

void link_drop(struct link *l)
{
	if (l->channel && !l->dedicated)
		context_drop(l->ipc9, l->channel);
	link_close(l);
}

/* --- Calls ------------------------------------------------------------------------------------- */

bool link_was_lost(const struct link_try *try)
{
	return try->stat == RPC_CANTSEND || try->stat == RPC_CANTRECV;
}

/*
 * A connection on which a call was given up cannot be relied on: the host may be gone, and an answer that
 * comes late may carry what nobody gets any more.
 */
static void note_timeout(struct link *l, const struct link_try *try)
{
	if (try->stat != RPC_TIMEDOUT)
		return;
	if (l->dedicated)
		channel_abort(l->channel);
	else
		context_drop(l->ipc9, l->channel);
}

static bool send_only(const struct link *l, struct channel_call *call,
    struct channel_parcels *parcels, const struct link_procedure *p, void *args, int64_t deadline,
    struct link_try *ret)
{
	const struct channel_target target = { l->program, VERSION, p->number, NULL };

	memset(ret, 0, sizeof(*ret));
	ret->stat = channel_send_with(l->channel, call, parcels, &target, p->args, args, deadline,
	    &ret->error);
	ret->sent = call->sent;
	return ret->stat == RPC_SUCCESS;
}

static bool send_call(struct link *l, struct channel_call *call, struct channel_parcels *parcels,
    const struct link_procedure *p, void *args, int64_t deadline, struct link_try *ret)
{
	bool sent = send_only(l, call, parcels, p, args, deadline, ret);

	note_timeout(l, ret);
	return sent;
}

static void wait_call(struct link *l, struct channel_call *call, const struct link_procedure *p,
    void *results, int64_t deadline, struct link_try *ret)
{
	memset(ret, 0, sizeof(*ret));
	memset(results, 0, p->results_size);
	ret->sent = true;
	ret->stat = channel_wait(l->channel, call, p->results, results, deadline, &ret->error);
	note_timeout(l, ret);
}

void link_try(struct link *l, const struct link_procedure *p, void *args, void *results,
    int64_t deadline, struct link_try *ret)
{
	struct channel_call call;

	memset(results, 0, p->results_size);
	if (send_call(l, &call, NULL, p, args, deadline, ret))
		wait_call(l, &call, p, results, deadline, ret);
}

int link_call(struct link *l, const struct link_procedure *p, void *args, void *results,
    int64_t deadline, struct ipc9_error *e)
{
	struct link_try try;

	for (int tries = 0;; tries++) {
		int r = link_open(l, deadline, e);

		if (r)
			return r;
		link_try(l, p, args, results, deadline, &try);
		if (p->loss != LINK_LOSS_REPEAT || !link_was_lost(&try))
			break;
		link_drop(l);
		if (tries > 0)
			break;
		xdr_free(p->results, results);
	}
	return link_explain(l, p, &try, results, e);
}

int link_exchange(struct link *l, const struct link_procedure *p, struct channel_parcels *parcels,
    void *args, void *results, int64_t deadline, struct ipc9_error *e)
{
	struct channel_call call;
	struct link_try try;
	int r = link_open(l, deadline, e);

	if (r)
		return r;
	memset(results, 0, p->results_size);
	parcels->taken.n = 0;
	if (send_call(l, &call, parcels, p, args, deadline, &try))
		wait_call(l, &call, p, results, deadline, &try);
	r = link_explain(l, p, &try, results, e);
	if (r)
		descriptors_close(&parcels->taken);
	return r;
}

int64_t link_close_deadline(const struct link *l)
{
	int64_t deadline = context_deadline(l->ipc9), until = clock_deadline_ms(CLOSE_MS);

	return until < deadline ? until : deadline;
}

/* --- Waiting over there ------------------------------------------------------------------------ */

int link_check_wait(const struct link *l, int wait_ms, struct ipc9_error *e)
{
	if (wait_ms >= IPC9_FOREVER)
		return 0;
	return error_set(e, IPC9_E_INVALID,
	    "%s: a wait of %d ms; it must be IPC9_FOREVER or not negative", l->target.subject,
	    wait_ms);
}

uint32_t link_wait_ms(int64_t until)
{
	int left = clock_poll_ms(until);

	return left < 0 || left > IPC9_WAIT_MAX_MS ? IPC9_WAIT_MAX_MS : (uint32_t)left;
}

int64_t link_wait_deadline(const struct link *l, uint32_t wait_ms)
{
	int timeout_ms = l->ipc9->timeout_ms;

	return timeout_ms == IPC9_FOREVER ? CLOCK_NEVER
					  : clock_deadline_ms((int64_t)timeout_ms + wait_ms);
}

/* --- Calls that nobody waits for --------------------------------------------------------------- */

int link_begin(struct link *l, struct async *async, const struct link_procedure *p, void *args,
    void *results, int64_t deadline, async_done_fn *done, void *context, struct async_call **ret)
{
	const struct async_request request = {
		.target = { l->program, VERSION, p->number, NULL },
		.xdr_args = p->args,
		.xdr_results = p->results,
		.args = args,
		.results = results,
		.deadline = deadline,
		.done = done,
		.context = context,
	};

	memset(results, 0, p->results_size);
	return async_begin(async, &request, ret);
}

void link_ended(struct link *l, enum clnt_stat stat, const struct rpc_err *error, int begun,
    struct link_try *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->sent = error != NULL;
	ret->stat = error ? stat : begun == -EINVAL ? RPC_CANTENCODEARGS : RPC_CANTSEND;
	if (error)
		ret->error = *error;
	else
		ret->error.re_errno = -begun;
	note_timeout(l, ret);
}

/* --- Calls whose answer may be late ------------------------------------------------------------ */

bool link_late_send(struct link *l, struct link_late *late, const struct link_procedure *p,
    void *args, int64_t deadline, struct link_try *ret)
{
	late->parcels.taken.n = 0;
	late->under_way = send_only(l, &late->call, &late->parcels, p, args, deadline, ret);
	if (!late->under_way)
		descriptors_close(&late->parcels.taken);
	return late->under_way;
}

bool link_late_wait(struct link *l, struct link_late *late, const struct link_procedure *p,
    void *results, int64_t deadline, struct link_try *ret)
{
	memset(ret, 0, sizeof(*ret));
	memset(results, 0, p->results_size);
	ret->sent = true;
	if (!channel_await(l->channel, &late->call, deadline)) {
		ret->stat = RPC_TIMEDOUT;
		return false;
	}
	late->under_way = false;
	ret->stat =
	    channel_wait(l->channel, &late->call, p->results, results, deadline, &ret->error);
	return true;
}

void link_late_forget(struct link *l, struct link_late *late)
{
	if (!late->under_way)
		return;
	late->under_way = false;
	channel_forget(l->channel, &late->call);
	descriptors_close(&late->parcels.taken);
}

/* --- Several calls under way ------------------------------------------------------------------- */

bool link_window_send(struct link *l, struct link_window *w, const struct link_procedure *p,
    void *args, int64_t deadline, struct link_try *ret)
{
	struct channel_parcels *parcels = w->parcels;

	w->parcels = NULL;
	if (!send_call(l, &w->calls[(w->first + w->n) % LINK_WINDOW], parcels, p, args, deadline,
		ret))
		return false;
	w->n++;
	return true;
}

void link_window_wait(struct link *l, struct link_window *w, const struct link_procedure *p,
    void *results, int64_t deadline, struct link_try *ret)
{
	wait_call(l, &w->calls[w->first], p, results, deadline, ret);
	w->first = (w->first + 1) % LINK_WINDOW;
	w->n--;
}

bool link_window_await(struct link *l, struct link_window *w, int64_t deadline)
{
	return channel_await(l->channel, &w->calls[w->first], deadline);
}

void link_window_forget(struct link *l, struct link_window *w)
{
	for (; w->n; w->n--) {
		channel_forget(l->channel, &w->calls[w->first]);
		w->first = (w->first + 1) % LINK_WINDOW;
	}
}

/* --- Listings ---------------------------------------------------------------------------------- */

int link_list(struct link *l, const struct link_procedure *p, void *results, link_page_fn *take,
    void *listing, struct ipc9_error *e)
{
	int64_t deadline = context_deadline(l->ipc9);
	char after[NAME_TEXT_MAX + 1] = "";
	ipc9_list_args args = { .after = after };
	struct link_page page = { .more = true };

	while (page.more) {
		int r = link_call(l, p, &args, results, deadline, e);

		if (r)
			return r;
		r = take(listing, results, &page);
		page.more =
		    page.more && page.n; /* an empty page would be asked for again and again */
		if (page.more)
			text_format(after, sizeof(after), "%s", page.last);
		xdr_free(p->results, results);
		if (r)
			return error_set_own(e, r);
	}
	return 0;
}
