/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * link.h - the way to one daemon: a connection, made when it is needed, and calls over it whose every
 * ending is a code and a sentence.
 *
 * A shared link uses a connection that the context keeps; what a call opens there must not depend on being
 * alone.  A dedicated link has one of its own, and what was opened over it ends with it.
 *
 * A call ends in one of three ways, all of which link_explain turns into a code: with results; with a
 * refusal, in results of which each type begins like ipc9_void_res; or without either, when RPC or the
 * transport failed.
 */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include "client/context.h"
#include "client/target.h"
#include "transport/async.h"
#include "transport/channel.h"

#define LINK_WINDOW 4 /* calls of bulk that are under way at once */

/* What to make of a call whose connection ended before the answer came. */
enum link_loss {
	LINK_LOSS_REPEAT, /* doing it twice does no harm: it is tried once more; then IPC9_E_NODAEMON */
	LINK_LOSS_UNDONE,  /* what it did ended with the connection; IPC9_E_NODAEMON */
	LINK_LOSS_LOST,	   /* so did what it was about; IPC9_E_LOST */
	LINK_LOSS_UNKNOWN, /* so did that, but the call may have been done before; IPC9_E_UNKNOWN */
};

struct link_procedure {
	uint32_t number;
	enum link_loss loss;
	const char *lost; /* ends the sentence then: "nothing was published"; may be NULL */
	xdrproc_t args, results;
	size_t results_size;
};

/* For the last three members of a procedure; the results begin like ipc9_void_res. */
#define LINK_TYPES(args_type, results_type)                                                        \
	.args = (xdrproc_t)xdr_##args_type, .results = (xdrproc_t)xdr_##results_type,              \
	.results_size = sizeof(results_type)

#define LINK_ASSERT_RESULTS(type)                                                                  \
	_Static_assert(offsetof(type, status) == offsetof(ipc9_void_res, status) &&                \
		offsetof(type, type##_u.error) == offsetof(ipc9_void_res, ipc9_void_res_u.error),  \
	    "results begin like ipc9_void_res")

struct link {
	struct ipc9 *ipc9;
	uint32_t program;
	bool dedicated;
	struct target target;
	struct channel *channel; /* NULL: not connected */
	_Atomic bool aborted;	 /* link_abort was called; possibly by another thread */
};

/* How one try of a call went; zero before it. */
struct link_try {
	enum clnt_stat stat;
	struct rpc_err error;
	bool sent; /* something left: the other side may have acted */
};

/* Connects nothing yet. */
void link_init(struct link *link, struct ipc9 *ipc9, uint32_t program, const struct target *target,
    bool dedicated);

/* Connects, unless it is; at most 5 s of the deadline go into that.  0, or a code with a sentence. */
int link_open(struct link *link, int64_t deadline, struct ipc9_error *ret_error);

/* Lets the connection go; a shared one stays with the context. */
void link_close(struct link *link);

/* Ends a dedicated link under whoever has calls on it: IPC9_E_LOST, now and later. */
void link_abort(struct link *link);

/* As link_close, for one that turned out bad: nobody gets it again. */
void link_drop(struct link *link);

/*
 * One exchange, with connecting before and a second try where the procedure allows it.  results are zeroed
 * here.  0: results are the caller's, for xdr_free with procedure->results.  Otherwise a code with a
 * sentence, and nothing is to be freed; of a refusal the status and the value stay in results.
 *
 * A call about a handle (LINK_LOSS_LOST) never connects again, so several threads may make some on one link.
 */
int link_call(struct link *link, const struct link_procedure *procedure, void *args, void *results,
    int64_t deadline, struct ipc9_error *ret_error);

/*
 * As link_call, once, on a dedicated link on which no other call is under way, with descriptors (transport/channel.h).
 * After success parcels->taken is the caller's; otherwise it is empty.
 */
int link_exchange(struct link *link, const struct link_procedure *procedure,
    struct channel_parcels *parcels, void *args, void *results, int64_t deadline,
    struct ipc9_error *ret_error);

/* One try over the connection there is; link_explain tells what came of it. */
void link_try(struct link *link, const struct link_procedure *procedure, void *args, void *results,
    int64_t deadline, struct link_try *ret_try);

/* Whether the try failed because the connection did. */
bool link_was_lost(const struct link_try *try);

/* The code of a try; frees results unless it is 0. */
int link_explain(struct link *link, const struct link_procedure *procedure,
    const struct link_try *try, void *results, struct ipc9_error *ret_error);

/* For calls that only tidy up: a daemon that does not answer must not hold a program's end. */
int64_t link_close_deadline(const struct link *link);

/* --- Listings ---------------------------------------------------------------------------------- */

/* What a page of a listing holds, as its results tell. */
struct link_page {
	size_t n;
	const char *last; /* the name that the next page begins behind; in results */
	bool more;
};

/* Takes a page into listing and says what it held.  0 or -errno. */
typedef int link_page_fn(void *listing, const void *results, struct link_page *ret_page);

/* Asks for one page after another.  results: room for the procedure's. */
int link_list(struct link *link, const struct link_procedure *procedure, void *results,
    link_page_fn *take, void *listing, struct ipc9_error *ret_error);

/* --- Waiting over there ------------------------------------------------------------------------ */

/* 0, or IPC9_E_INVALID for a negative number other than IPC9_FOREVER. */
int link_check_wait(const struct link *link, int wait_ms, struct ipc9_error *ret_error);

/* How long one call may be kept waiting on the way to `until`. */
uint32_t link_wait_ms(int64_t until);

/* When a call that waits so long must have been answered. */
int64_t link_wait_deadline(const struct link *link, uint32_t wait_ms);

/* --- Calls that nobody waits for --------------------------------------------------------------- */

/*
 * Begins one over the connection there is, by an async of that; results are zeroed here.  0; another number is to be given to
 * link_ended as if the call had ended so.
 */
int link_begin(struct link *link, struct async *async, const struct link_procedure *procedure,
    void *args, void *results, int64_t deadline, async_done_fn *done, void *context,
    struct async_call **ret_call);

/* What became of one: done's arguments, or (error NULL) what link_begin returned.  Then link_explain. */
void link_ended(struct link *link, enum clnt_stat stat, const struct rpc_err *error, int begun,
    struct link_try *ret_try);

/* --- Calls whose answer may be late ------------------------------------------------------------ */

/*
 * One call over a dedicated link on which handles are that must not end with it: when its time is over it stays under way, and the
 * answer is taken later.  Must not move while it is.  From all zero.
 */
struct link_late {
	struct channel_call call;
	struct channel_parcels parcels; /* as of link_exchange */
	bool under_way;
};

/* Sends it over the connection there is.  False: *ret_try says why, and it is not under way. */
bool link_late_send(struct link *link, struct link_late *late,
    const struct link_procedure *procedure, void *args, int64_t deadline, struct link_try *ret_try);

/*
 * Waits for it; results are zeroed here.  *ret_try: as of link_try.  False: it is under way still, and *ret_try says that the time
 * was over.
 */
bool link_late_wait(struct link *link, struct link_late *late,
    const struct link_procedure *procedure, void *results, int64_t deadline,
    struct link_try *ret_try);

/* Its answer is dropped when it comes; descriptors that came are closed.  Fine where it is not under way. */
void link_late_forget(struct link *link, struct link_late *late);

/* --- Several calls under way ------------------------------------------------------------------- */

/* Calls in the order sent.  Must not move while n > 0.  All zero is empty. */
struct link_window {
	struct channel_call calls[LINK_WINDOW];
	unsigned first, n;
	struct channel_parcels *parcels; /* of the next call; as of link_exchange */
};

/* Sends one more (there is room); what args refer to may go on return.  False: *ret_try says why. */
bool link_window_send(struct link *link, struct link_window *window,
    const struct link_procedure *procedure, void *args, int64_t deadline, struct link_try *ret_try);

/* Waits for the oldest; results are zeroed here. */
void link_window_wait(struct link *link, struct link_window *window,
    const struct link_procedure *procedure, void *results, int64_t deadline,
    struct link_try *ret_try);

/*
 * Waits until link_window_wait for the oldest would not; false: not by the deadline, and all goes on, on the same connection.
 */
bool link_window_await(struct link *link, struct link_window *window, int64_t deadline);

/* Waits for none of them. */
void link_window_forget(struct link *link, struct link_window *window);

#endif
