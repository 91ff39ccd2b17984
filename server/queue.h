/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * queue.h - what one end of a pipe has been sent and has not read, as bytes or as messages.
 *
 * Large payloads are kept as they came (blob_keep); small writes of bytes are gathered in blocks.  A message
 * costs MESSAGE_CHARGE beside its bytes, so that empty ones are not free.
 *
 * What always holds: pushed - taken is the charge of what is in the queue, and charge.amount is the same;
 * pushed_bytes - taken_bytes is its payload.  A point in the queue is a value that one of these totals had: what was pushed
 * before it has been taken once `taken` has come there.
 */
#ifndef SERVER_QUEUE_H
#define SERVER_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

#include "server/quota.h"
#include "util/list.h"
#include "xdr/blob.h"

#define QUEUE_MESSAGE_CHARGE 64

struct queue {
	struct list chunks;
	uint64_t pushed, taken;		    /* charges since the beginning */
	uint64_t pushed_bytes, taken_bytes; /* payload since the beginning */
	uint64_t *total;		    /* charge of all queues together, kept here too */
	const struct charge *payer; /* whoever it is charged to, for what the queue lies in */
	struct charge charge;
};

/* payer is charged before the first push, and until queue_clear. */
void queue_init(struct queue *queue, uint64_t *total, const struct charge *payer);
void queue_clear(struct queue *queue);

/*
 * What is in the queue, and will be, is payer's from now on, who is charged until queue_clear.  0; IPC9_STATUS_QUOTA, and
 * nothing has changed.
 */
int queue_move(struct queue *queue, const struct charge *payer);

static inline bool queue_is_empty(const struct queue *queue)
{
	return list_is_empty(&queue->chunks);
}

/* Charge of what is in the queue. */
static inline uint64_t queue_charge(const struct queue *queue)
{
	return queue->pushed - queue->taken;
}

/* Payload in the queue. */
static inline uint64_t queue_bytes(const struct queue *queue)
{
	return queue->pushed_bytes - queue->taken_bytes;
}

/*
 * Adds bytes, or one message; no bytes are nothing, an empty message is one.  0; IPC9_STATUS_QUOTA: the payer's share
 * does not hold it; -ENOMEM.
 */
int queue_push(struct queue *queue, const ipc9_blob *payload, bool message);

/*
 * Takes at most max bytes from a queue that is not empty: of the first message alone (then *ret_more tells
 * whether it goes on), or across boundaries.  ret_payload gets an owner, for the caller to drop.  0 or -ENOMEM.
 */
int queue_take(struct queue *queue, uint32_t max, bool one_message, ipc9_blob *ret_payload,
    bool *ret_more);

/*
 * The beginning of the queue, at most max bytes, which stay there: of the first message alone, or across boundaries.
 * *ret_left: what the first message has behind that.  ret_payload gets an owner, for the caller to drop.  0 or -ENOMEM.
 */
int queue_peek(const struct queue *queue, uint32_t max, bool one_message, ipc9_blob *ret_payload,
    uint32_t *ret_left);

/* What queue_withdraw took out: all later points move by so much. */
struct queue_cut {
	uint64_t charge, bytes;
};

/*
 * Takes out what has not been taken of one push of len bytes; end is the point behind it, `pushed` then.  Without memory it
 * may stay.
 */
struct queue_cut queue_withdraw(struct queue *queue, uint64_t end, uint32_t len);

#endif
