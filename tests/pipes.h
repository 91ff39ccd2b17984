/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipes.h - what the tests of pipes through the library share: a daemon, pipes in it, and the ways in which a client can
 * reach one.  A test that goes through pipe_makers holds for all of them.
 */
#ifndef TESTS_PIPES_H
#define TESTS_PIPES_H

#include "client/ipc9.h"
#include "tests/daemon.h"
#include "tests/harness.h"

struct pipe_world {
	struct daemon_fixture daemon;
	struct ipc9 *ipc9;
	struct ipc9_error error;
	const struct pipe_maker *maker;
	unsigned n_pipes;
	char name[32]; /* of the pipe at hand, as its server knows it */
	struct ipc9_pipe *server, *client;
};

/* How a client's end is made. */
struct pipe_maker {
	const char *name;
	/* The text by which this way reaches the pipe at hand. */
	void (*address)(const struct pipe_world *world, char *ret_text, size_t size);
	bool remote;		    /* another host, for the daemon */
	enum ipc9_pipe_way way;	    /* at most, as asked for by the client */
	enum ipc9_pipe_way carried; /* what it comes to */
};

/* Ends with one without name. */
extern const struct pipe_maker pipe_makers[];

void pipe_world_begin(struct pipe_world *world, const struct pipe_maker *maker);
void pipe_world_end(struct pipe_world *world);

/* A new name with one instance, which listens.  options may be NULL. */
void pipe_world_create(struct pipe_world *world, const struct ipc9_pipe_options *options);
/* Opens the pipe at hand the maker's way; as ipc9_pipe_open_with. */
int pipe_world_open(struct pipe_world *world, const struct ipc9_pipe_open_options *options,
    struct ipc9_pipe **ret_pipe);
/* Both, and accepts. */
void pipe_world_connect(struct pipe_world *world, const struct ipc9_pipe_options *options);
/* Closes what is open. */
void pipe_world_close(struct pipe_world *world);

/* Once this returns the daemon has whatever was started on the end before. */
void pipe_settle(struct pipe_world *world, struct ipc9_pipe *pipe);

/* Writes a text as one message, without waiting; and reads with a wait of 5 s, and compares. */
int pipe_put(struct ipc9_pipe *pipe, const char *text);
void pipe_expect(struct ipc9_pipe *pipe, const char *text);
/* What a read comes to that does not wait. */
int pipe_look(struct ipc9_pipe *pipe);

bool readable(int fd, int ms);
/* Goes through an event loop's motions: polls, and looks, until the operation is done. */
int finish_by_polling(struct ipc9_pipe *pipe, struct ipc9_pipe_op *op,
    struct ipc9_pipe_result *ret);

extern const struct ipc9_pipe_options pipe_messages; /* a message pipe, for one client */

/* Runs a test's body once for each way. */
#define BY_EVERY_WAY(NAME)                                                                         \
	static void NAME##_by(struct pipe_world *w);                                               \
	static void NAME(void)                                                                     \
	{                                                                                          \
		for (const struct pipe_maker *m = pipe_makers; m->name; m++) {                     \
			struct pipe_world w;                                                       \
                                                                                                   \
			pipe_world_begin(&w, m);                                                   \
			NAME##_by(&w);                                                             \
			pipe_world_end(&w);                                                        \
		}                                                                                  \
	}                                                                                          \
	static void NAME##_by(struct pipe_world *w)

#endif
