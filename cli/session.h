/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session.h - a connected pipe joined to two descriptors: one is read and sent, what is received is written
 * to the other.
 *
 * A session has a thread of its own that receives; the caller's thread sends.  A direction that is done closes
 * its descriptor, so that a producer and a consumer beyond them notice.
 */
#ifndef IPC9_CLI_SESSION_H
#define IPC9_CLI_SESSION_H

#include <pthread.h>
#include <stdbool.h>

#include "client/ipc9.h"

/* How a direction came out. */
struct session_result {
	struct ipc9_error error; /* code 0: well */
	int local;		 /* -errno of our descriptor's failure; error tells it in words */
};

struct session {
	/* Filled in by the caller before session_start. */
	struct ipc9_pipe *pipe;		/* borrowed */
	int in_fd, out_fd;		/* the session's from session_start on */
	const char *in_name, *out_name; /* for error texts */
	/* Not over when both directions are: wait until the other end is closed. */
	bool until_closed;
	/* The descriptors lead to a command: it ends the session, not the other end. */
	bool child;
	/* Called before out_fd is closed with data missing; or NULL. */
	void (*lost)(void *context);
	void *context;

	/* Outcome, for the caller after session_stop. */
	struct session_result received, sent;

	/* The session's own. */
	pthread_t thread;
	int event_fd;	       /* readable: the receiving side is over */
	unsigned int pause_ms; /* how long the receiver waits next before it looks at `stop` */
	pthread_mutex_t lock;  /* for the following */
	pthread_cond_t changed;
	bool sent_end;	/* everything was sent */
	bool sent_over; /* session_send has ended, in whatever way */
	bool stop;	/* the receiver is to return */
	bool failed;	/* the receiver has returned, and sending makes no sense any more */
};

/* Begins to receive.  0 or -errno, and then the descriptors are closed. */
int session_start(struct session *session);

/*
 * Sends until the input ends, sending fails, or the other end is gone.  Returns 0, or -errno if the input could
 * not be read to its end: whoever closes the pipe now passes off a part as the whole.
 */
int session_send(struct session *session);

/*
 * Waits until receiving is over; with a command (child) it is made to end soon.  Then nothing of the session is
 * left, and the pipe may be closed.
 */
void session_stop(struct session *session);

#endif
