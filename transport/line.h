/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * line.h - shared memory beside a channel's connection to the same host: a conduit that carries records.
 *
 * A call that is alone goes by it: nothing else of the channel is under way, neither waited for nor asynchronous, and
 * what was sent without waiting has been answered for.  All others go by the connection, as they did before.  So the
 * order of one thread's calls stays what it was, and an answer that takes long keeps nobody else waiting.
 *
 * The other side is asked once, when some calls have been made one at a time, and nobody waits for its answer.  If
 * it does not know what is asked for, calls stay with the connection.  A line that fails takes the
 * connection with it, because the other side is gone or wrong.
 */
#ifndef TRANSPORT_LINE_H
#define TRANSPORT_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/channel.h"
#include "transport/conduit.h"
#include "util/bytes.h"
#include "util/gather.h"

/* --- Records in a conduit of messages; for both ends ------------------------------------------- */

#define LINE_NOTICE_BYTES 4 /* a message that is only an xid: the answer comes by the connection */

/*
 * A message of so many bytes is encoded where it lies in the ring, and one that turns out longer anew, elsewhere.  The
 * other side may change what is there meanwhile, but nothing of it is read.  Received are messages into own memory alone.
 */
#define LINE_IN_PLACE 1024

/* What was received: in the caller's room, or in a block of its own. */
struct line_record {
	const unsigned char *data;
	size_t size;
	struct bytes *owner; /* NULL: it is in the room; else the caller's to unref */
};

/*
 * Takes one message out; one that is longer than the room gets a block.  0, a conduit_result, or -ENOMEM, after
 * which the conduit is of no use.
 */
int line_receive(struct conduit *conduit, unsigned char *room, size_t room_size, int64_t deadline,
    struct line_record *ret);

/* Puts in what lies behind the first `skip` bytes, which are in one piece.  As conduit_send; -EMSGSIZE: too long, or in too many pieces. */
int line_send(struct conduit *conduit, const struct gather *record, size_t skip, int64_t deadline);

/* --- The calling side -------------------------------------------------------------------------- */

struct line;

/*
 * What is to be asked for on a channel, with which procedure, when `after` calls have been made.  The other side of
 * the conduit's quota is known to it.  NULL without memory.
 */
struct line *line_new(struct channel *channel, const struct channel_target *attach, uint64_t quota,
    unsigned after);
/* No call is under way; part of the channel's end.  Accepts NULL, returns NULL. */
struct line *line_free(struct line *line);

/* Ends the call under way, and all later ones. */
void line_abort(struct line *line);

/*
 * A call from its beginning to its end.  False: it is not for the line, and nothing has left; else *ret_stat is what
 * channel_send or channel_wait would have returned.
 */
bool line_call(struct line *line, const struct channel_target *target, xdrproc_t xdr_args,
    void *args, xdrproc_t xdr_results, void *results, int64_t deadline, struct rpc_err *ret_error,
    enum clnt_stat *ret_stat);

/*
 * For calls by the connection: something was sent whose end nobody waits for; how much of that there is, before a call is
 * sent; and that this call has been answered, so that the server has begun no later than that with all before it.
 */
void line_sent_behind(struct line *line);
uint64_t line_behind(struct line *line);
void line_caught_up(struct line *line, uint64_t behind);

/* Whether it is open, and how many calls have gone by it. */
bool line_is_open(struct line *line);
uint64_t line_calls(struct line *line);

#endif
