/* SPDX-License-Identifier: BSD-3-Clause */
/* pipe.h - what pipe.c and pipe_data.c share. */
#ifndef CLIENT_PIPE_H
#define CLIENT_PIPE_H

#include "client/link.h"
#include "rpcgen-out/pipe.h"

/*
 * One end.  Its connection is its own and is never replaced, so the end lives as long as that; calls on it are
 * made by a reading and a writing thread, which share nothing else here.
 */
struct ipc9_pipe {
	struct link link;
	ipc9_handle handle;
	enum ipc9_pipe_type type;
	bool connected;		   /* there is, or was, another end; the writing thread looks */
	struct ipc9_identity peer; /* all zero: not known */
};

#define PIPE_LOST "data may be missing"

/*
 * Waits on until an answer other than IPC9_E_TIMEDOUT comes or wait_ms are over.  events: IPC9_PIPE_...;
 * ret_events may be NULL.
 */
int pipe_poll(struct ipc9_pipe *pipe, unsigned events, int wait_ms, unsigned *ret_events,
    struct ipc9_error *ret_error);

#endif
