/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * dispatch.h - from a call to the row of a table, and from the row to its handler.
 *
 * The order is always the same: find program, version and procedure; who is calling; may they come in; decode
 * the arguments, all of them and nothing beyond; find the object; may they do that to it, or know of it; the handler.
 */
#ifndef SERVER_DISPATCH_H
#define SERVER_DISPATCH_H

#include "rpcgen-out/common.h"
#include "server/access.h"
#include "server/quota.h"
#include "transport/server.h"

struct daemon;
struct service;

#define DISPATCH_ARGS_MAX 1024 /* the largest C struct that arguments decode into */

/* One call and what is known about it.  A parked call uses `object`, `amount` and `place` as its service likes. */
struct request {
	struct call call; /* first: the engine allocates and frees it */
	struct daemon *daemon;
	size_t service; /* index in services */
	void *state;	/* of the service */
	const struct procedure *procedure;
	struct caller caller;
	const struct object
	    *hidden; /* what the call is about, and its caller may not know of: named_find_for */
	void *object;
	uint64_t amount, place;
	call_ended_fn *ended;  /* while it is parked */
	struct charge waiting; /* the same */
};

static inline struct request *request_of(struct call *call)
{
	return (struct request *)(void *)call;
}

/* Neither: the local socket and TCP; over datagrams only procedure 0.  By another way it is PROC_UNAVAIL. */
enum procedure_flags {
	PROCEDURE_LOCAL = 1,	/* local socket only */
	PROCEDURE_DATAGRAM = 2, /* datagrams only, never answered */
};

/*
 * How well the caller has to be known, and the way of the call protected, whatever the rules would say.  Who falls short
 * is refused with AUTH_TOOWEAK, before the rules are asked and before the arguments are decoded.
 */
enum strength {
	STRENGTH_ANY = 0, /* anybody whom the rules let in */
	STRENGTH_IDENTITY, /* a user: told by the kernel, claimed from where claims are trusted, or verified */
	STRENGTH_PRIVACY, /* a user, by a way on which nobody can listen: so far the local socket */
};

struct procedure {
	uint32_t number;
	unsigned flags;		/* by which ways it is served */
	enum strength strength; /* what procedure 0 never asks for */
	enum right right;	/* RIGHT_NONE: answers everybody */
	xdrproc_t args;
	size_t args_size;
	xdrproc_t results;
	/*
	 * Ends the request, or parks its call.  args are freed on return; what is to be kept is taken out
	 * (and set to NULL in there).
	 */
	void (*handle)(struct request *request, void *args);
	/*
	 * The object that the call is about, or NULL when there is none of that name; may be NULL itself.  Who may not even
	 * know of it gets as far as the handler, which finds none (named_find_for) and answers as if there were none.
	 */
	const struct object *(*object)(struct request *request, const void *args);
};

#define XDR_PROC(name) ((xdrproc_t)(void (*)(void))xdr_##name)

/* What every service's table begins with. */
#define PROCEDURE_NULL                                                                             \
	{                                                                                          \
		.number = 0, .args = (xdrproc_t)(void (*)(void))xdr_void,                          \
		.results = (xdrproc_t)(void (*)(void))xdr_void, .handle = dispatch_null            \
	}

/* The number and the types of a row; the rest stands beside it by name. */
#define PROCEDURE(NUMBER, ARGS, RESULTS)                                                           \
	.number = (NUMBER), .args = XDR_PROC(ARGS), .args_size = sizeof(ARGS),                     \
	.results = XDR_PROC(RESULTS)

void dispatch_null(struct request *request, void *args);

/*
 * The policy of a row: whether it is served by the way that a call came; and whether its caller is known well enough and let
 * in by the daemon's rules, or (in why) what decided against it.
 */
bool dispatch_is_served(const struct procedure *procedure, bool local, bool datagram);
bool dispatch_admits(const struct access *access, const struct procedure *procedure,
    const struct caller *caller, char why[ACCESS_WHY_SIZE]);

/* For server_ops; context is the struct daemon. */
void dispatch_call(void *context, struct call *call, const struct message_call *header, XDR *args);

/* Ends a request with the results of its procedure. */
void request_reply(struct request *request, void *results);

/* Ends it with { IPC9_STATUS_OK } where the results are an ipc9_void_res. */
void request_done(struct request *request);

/* Ends it with a status, one sentence, and a value. */
void request_fail(struct request *request, int status, uint64_t value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Ends it with IPC9_STATUS_ACCESS: the caller has no right on an object, because of why; says so in the audit. */
void request_refuse(struct request *request, const struct object *object, enum right right,
    const char *why);

/* The service that a request is for. */
const struct service *request_service(const struct request *request);

/*
 * Ends it because something could not be charged: IPC9_STATUS_QUOTA, which tells the use and the share,
 * or -errno as request_trouble.  who: the caller, or whoever pays for the object that the call is about.
 */
void request_fail_charge(struct request *request, int why, const struct caller *who,
    enum quota_resource resource);
/* The same, and tells how much it was. */
void request_fail_charge_of(struct request *request, int why, const struct caller *who,
    enum quota_resource resource, uint64_t amount);

/*
 * call_park for services: at most IPC9_WAIT_MAX_MS, and charged to the caller until request_unpark or `ended`.  0;
 * IPC9_STATUS_QUOTA or -errno: the call is not parked.
 */
int request_park(struct request *request, struct list *queue, uint32_t wait_ms, size_t held_bytes,
    call_ended_fn *ended);
void request_unpark(struct request *request);

/*
 * Takes so many descriptors that came with the call, which are the caller's to close.  False: fewer came, and the request
 * is ended.  Then give: duplicates of some leave with the answer; 0 or -errno, and the request is still to be ended.
 */
bool request_take_descriptors(struct request *request, unsigned n, int *ret_fds);
int request_give_descriptors(struct request *request, const int *fds, unsigned n);
int request_give_shared(struct request *request, struct shared_descriptor *shared);

/* Ends it as request_reply does and takes its connection over, as call_hand_over. */
int request_hand_over(struct request *request, void *results, int *ret_fd);

/* Ends it with IPC9_STATUS_SYSTEM, and logs what went wrong here. */
void request_trouble(struct request *request, int error);

#endif
