/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * pipe_serve.c - ipc9 pipe serve NAME -- CMD...: one command per client, several clients at once.
 *
 * The main thread makes instances and accepts clients; some instances listen ahead, so that a client finds
 * one while another is being taken.  A client's thread runs its command, sends the command's output, and
 * has a second thread to receive (session.c).  One more thread waits for the signals that end us.
 *
 * What always holds:
 *  1. Instances that listen and clients being served are together at most the limit.
 *  2. A child is noted from its start until it is freed, both under `children`, and signals are sent under it.
 *  3. Once an instance was made, a daemon that has no room for the next does not end us: it may be clients who took it.
 *  4. Whichever way we end, the children's process groups get SIGTERM; the clients then read LOST.
 *  5. A command that ends, in whatever way, ends its client's pipe in order, as with socat's EXEC: how it ended is told here, and
 *     what it has to say about it to the client it writes.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/child.h"
#include "cli/io.h"
#include "cli/output.h"
#include "cli/pipe.h"
#include "cli/session.h"
#include "cli/signals.h"

#define SERVE_AHEAD_MAX 16
#define SERVE_RETRY_S 1	     /* others may have given something back, of which nobody tells */
#define SERVE_NAME_BYTES 300 /* //./pipe/ and the longest NAME */

struct serve_client;

struct serve {
	struct ipc9 *ipc9;
	const struct invocation *invocation;
	const struct rules *rules;
	struct child_command command;
	size_t limit;
	struct ipc9_pipe *listening[SERVE_AHEAD_MAX]; /* oldest first; the main thread's */
	size_t n_listening;
	bool begun;	      /* an instance was made: those behind it are not the first */
	bool told;	      /* that there is no room for another */
	pthread_mutex_t lock; /* for the following */
	pthread_cond_t gone;  /* a client is gone */
	struct serve_client *clients;
	size_t n_clients;
	/* For the following, and for the clients' children; taken before `lock`. */
	pthread_mutex_t children;
	bool ending; /* no child may be started any more */
};

struct serve_client {
	struct serve *serve;
	struct serve_client *next;
	struct ipc9_pipe *pipe;		  /* owned */
	char name[OUTPUT_IDENTITY_BYTES]; /* who it is */
	struct ipc9_child *child;	  /* NULL: none */
	bool failed; /* its data was not all moved, and it must not take a part for the whole */
	struct session session;
};

/* --- Children ---------------------------------------------------------------------------------- */

/* Starts the client's command.  0, or a code with a sentence. */
static int serve_client_start(struct serve_client *client, struct ipc9_error *ret_error)
{
	struct serve *serve = client->serve;
	int r = -ECANCELED;

	(void)pthread_mutex_lock(&serve->children);
	if (!serve->ending)
		r = child_start(&serve->command, ipc9_pipe_peer(client->pipe), &client->child,
		    ret_error);
	else
		(void)snprintf(ret_error->text, sizeof(ret_error->text), "%s: it is too late",
		    serve->command.argv[0]);
	(void)pthread_mutex_unlock(&serve->children);
	if (r)
		return r;
	client->session.out_fd = ipc9_child_take_fd(client->child, IPC9_CHILD_STDIN);
	client->session.in_fd = ipc9_child_take_fd(client->child, IPC9_CHILD_STDOUT);
	return 0;
}

/* Waits for the client's child; returns what waitpid tells. */
static int serve_client_wait(struct serve_client *client)
{
	struct serve *serve = client->serve;
	int wait_status = 0;

	(void)ipc9_child_wait(client->child, IPC9_FOREVER, &wait_status, NULL);
	(void)pthread_mutex_lock(&serve->children);
	client->child = ipc9_child_free(client->child);
	(void)pthread_mutex_unlock(&serve->children);
	return wait_status;
}

/* The session's `lost`: the command must not take what it has for everything. */
static void serve_client_lost(void *context)
{
	struct serve_client *client = context;

	(void)pthread_mutex_lock(&client->serve->children);
	if (client->child)
		(void)ipc9_child_kill(client->child, SIGHUP, NULL);
	(void)pthread_mutex_unlock(&client->serve->children);
}

static void serve_end_children(struct serve *serve)
{
	(void)pthread_mutex_lock(&serve->children);
	serve->ending = true;
	(void)pthread_mutex_lock(&serve->lock);
	for (struct serve_client *client = serve->clients; client; client = client->next)
		if (client->child)
			(void)ipc9_child_kill(client->child, SIGTERM, NULL);
	(void)pthread_mutex_unlock(&serve->lock);
	(void)pthread_mutex_unlock(&serve->children);
}

static void *serve_signals(void *argument)
{
	struct serve *serve = argument;
	sigset_t signals;
	int number;

	signals_ending(&signals);
	if (sigwait(&signals, &number) != 0)
		return NULL; /* all are ignored */
	serve_end_children(serve);
	signals_die(number);
}

/* --- One client -------------------------------------------------------------------------------- */

static void serve_client_report(const struct serve_client *client, int wait_status)
{
	const struct invocation *invocation = client->serve->invocation;
	const struct session_result *received = &client->session.received;
	const struct session_result *sent = &client->session.sent;
	char text[CHILD_STATUS_BYTES];

	if (received->error.code)
		output_warning(invocation, "client %s: %s", client->name, received->error.text);
	else if (sent->error.code == IPC9_E_PEERCLOSED)
		output_note(invocation, "client %s: %s", client->name, sent->error.text);
	else if (sent->error.code)
		output_warning(invocation, "client %s: %s", client->name, sent->error.text);
	child_status_text(wait_status, text);
	if (text[0] != '\0')
		output_warning(invocation, "client %s: %s ended with %s", client->name,
		    client->serve->command.argv[0], text);
	else
		output_note(invocation, "client %s: done", client->name);
}

/* Runs the command for a client to its end. */
static void serve_client_run(struct serve_client *client)
{
	struct ipc9_error error = { .text = "" };
	int r = serve_client_start(client, &error), wait_status;

	if (r == 0) {
		client->session.pipe = client->pipe;
		r = session_start(&client->session);
		if (r == 0) {
			client->failed = session_send(&client->session) != 0;
			wait_status = serve_client_wait(client);
			session_stop(&client->session);
			client->failed |= client->session.received.local != 0;
			serve_client_report(client, wait_status);
			return;
		}
		(void)snprintf(error.text, sizeof(error.text), "cannot run %s: %s",
		    client->serve->command.argv[0], strerror(-r));
		serve_client_lost(client); /* it was started, and gets nothing */
		(void)serve_client_wait(client);
	}
	client->failed = true;
	output_warning(client->serve->invocation, "client %s: %s", client->name, error.text);
}

static void *serve_client_thread(void *argument)
{
	struct serve_client *client = argument, **link;
	struct serve *serve = client->serve;

	serve_client_run(client);
	if (client->failed)
		ipc9_pipe_abort(client->pipe);
	ipc9_pipe_close(client->pipe); /* before it stops counting */
	(void)pthread_mutex_lock(&serve->lock);
	for (link = &serve->clients; *link != client;)
		link = &(*link)->next;
	*link = client->next;
	serve->n_clients--;
	(void)pthread_cond_signal(&serve->gone);
	(void)pthread_mutex_unlock(&serve->lock);
	free(client);
	return NULL;
}

/* Begins to serve who came over pipe, which it takes.  0 or -errno. */
static int serve_client_new(struct serve *serve, struct ipc9_pipe *pipe)
{
	struct serve_client *client = calloc(1, sizeof(*client));
	pthread_t thread;
	int r;

	if (!client) {
		ipc9_pipe_close(pipe);
		return -ENOMEM;
	}
	client->serve = serve;
	client->pipe = pipe;
	output_identity(ipc9_pipe_peer(pipe), client->name);
	client->session = (struct session){ .child = true,
		.in_name = "the command's output",
		.out_name = "the command",
		.lost = serve_client_lost,
		.context = client };
	output_note(serve->invocation, "client %s: running %s", client->name,
	    serve->command.argv[0]);

	(void)pthread_mutex_lock(&serve->lock);
	r = -pthread_create(&thread, NULL, serve_client_thread, client);
	if (r == 0) {
		(void)pthread_detach(thread);
		client->next = serve->clients;
		serve->clients = client;
		serve->n_clients++;
	}
	(void)pthread_mutex_unlock(&serve->lock);
	if (r) {
		ipc9_pipe_close(pipe);
		free(client);
	}
	return r;
}

/* --- Accepting --------------------------------------------------------------------------------- */

/* How many more instances may listen now. */
static size_t serve_room(struct serve *serve)
{
	size_t ahead = SERVE_AHEAD_MAX - serve->n_listening, left;

	(void)pthread_mutex_lock(&serve->lock);
	left = serve->limit - serve->n_clients - serve->n_listening;
	(void)pthread_mutex_unlock(&serve->lock);
	return ahead < left ? ahead : left;
}

static size_t serve_n_clients(struct serve *serve)
{
	size_t n;

	(void)pthread_mutex_lock(&serve->lock);
	n = serve->n_clients;
	(void)pthread_mutex_unlock(&serve->lock);
	return n;
}

/* Waits until fewer clients are served than n_before, for a while. */
static void serve_wait_gone(struct serve *serve, size_t n_before)
{
	struct timespec until;
	int r = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SERVE_RETRY_S;
	(void)pthread_mutex_lock(&serve->lock);
	while (r == 0 && (n_before == 0 || serve->n_clients >= n_before))
		r = pthread_cond_timedwait(&serve->gone, &serve->lock, &until);
	(void)pthread_mutex_unlock(&serve->lock);
}

/* Says once that clients have to wait, and why. */
static void serve_tell_wait(struct serve *serve, const struct ipc9_error *error)
{
	if (!serve->told)
		output_warning(serve->invocation, "no room for the next client, trying again: %s",
		    error->text);
	serve->told = true;
}

/* Creates an instance with the list that the pipe has now. */
static int serve_create_with_its_list(struct serve *serve, struct ipc9_pipe_options options,
    struct ipc9_pipe **ret, struct ipc9_error *ret_error)
{
	const char *name = invocation_operand(serve->invocation, 0);
	struct ipc9_acl_listing *listing = NULL;
	char full[SERVE_NAME_BYTES];
	int r;

	if (strncmp(name, "//", 2) != 0 && strncmp(name, "\\\\", 2) != 0) {
		(void)snprintf(full, sizeof(full), "//./pipe/%s", name);
		name = full;
	}
	r = ipc9_acl_get(serve->ipc9, name, &listing, ret_error);
	if (r)
		return r;
	options.rules = listing->rules;
	options.n_rules = listing->n_rules;
	r = ipc9_pipe_create(serve->ipc9, name, &options, ret, ret_error);
	ipc9_acl_listing_free(listing);
	return r;
}

/* As ipc9_pipe_create; a list that somebody gave the pipe meanwhile (ipc9 acl set) stays. */
static int serve_create(struct serve *serve, const struct ipc9_pipe_options *options,
    struct ipc9_pipe **ret, struct ipc9_error *ret_error)
{
	const char *name = invocation_operand(serve->invocation, 0);
	int r = ipc9_pipe_create(serve->ipc9, name, options, ret, ret_error);

	if (r != IPC9_E_INVALID || !serve->begun || !options->rules)
		return r;
	r = serve_create_with_its_list(serve, *options, ret, ret_error);
	return r == IPC9_E_NOENT ? ipc9_pipe_create(serve->ipc9, name, options, ret, ret_error) : r;
}

/* Sees to it that an instance listens, and others behind it.  0, or the code for *ret_error. */
static int serve_listen(struct serve *serve, struct ipc9_error *ret_error)
{
	struct ipc9_pipe_options options = pipe_serve_options(serve->invocation, serve->rules);

	for (;;) {
		size_t n_clients = serve_n_clients(serve);
		int r = 0;

		while (r == 0 && serve_room(serve) > 0) {
			options.first &= !serve->begun;
			r = serve_create(serve, &options, &serve->listening[serve->n_listening],
			    ret_error);
			serve->n_listening += r == 0;
			serve->begun |= r == 0;
		}
		if (r && r != IPC9_E_BUSY && r != IPC9_E_QUOTA)
			return r;
		if (serve->n_listening > 0)
			return 0; /* one behind it failed: no matter yet */
		if (r && !serve->begun)
			return r;
		if (r)
			serve_tell_wait(serve, ret_error);
		serve_wait_gone(serve, n_clients);
	}
}

/* The oldest instance listens no more; returns it. */
static struct ipc9_pipe *serve_take(struct serve *serve)
{
	struct ipc9_pipe *pipe = serve->listening[0];

	serve->n_listening--;
	memmove(serve->listening, serve->listening + 1,
	    serve->n_listening * sizeof(serve->listening[0]));
	return pipe;
}

/* Accepts clients until something is wrong.  The exit status. */
static int serve_accept(struct serve *serve)
{
	const struct invocation *invocation = serve->invocation;
	struct ipc9_error error;

	for (;;) {
		int r = serve_listen(serve, &error);

		if (r == 0)
			r = ipc9_pipe_accept(serve->listening[0], IPC9_FOREVER, NULL, &error);
		if (r == IPC9_E_PEERCLOSED || r == IPC9_E_LOST) {
			/* A client that came and went; or the daemon, as the next instance tells. */
			output_note(invocation, "%s", error.text);
			ipc9_pipe_close(serve_take(serve));
			continue;
		}
		if (r)
			return output_fail(invocation, &error);
		r = serve_client_new(serve, serve_take(serve));
		if (r)
			output_warning(invocation, "cannot serve a client: %s", strerror(-r));
	}
}

int pipe_serve_commands(struct ipc9 *ipc9, const struct invocation *invocation,
    const struct rules *rules)
{
	struct ipc9_pipe_options options = pipe_serve_options(invocation, rules);
	struct serve serve = {
		.ipc9 = ipc9,
		.invocation = invocation,
		.rules = rules,
		.limit =
		    options.max_instances == IPC9_PIPE_NO_LIMIT ? INT_MAX : options.max_instances,
		.lock = PTHREAD_MUTEX_INITIALIZER,
		.gone = PTHREAD_COND_INITIALIZER,
		.children = PTHREAD_MUTEX_INITIALIZER,
	};
	pthread_t thread;
	int status, r;

	r = child_command_begin(&serve.command, invocation->command, &invocation->signal_mask);
	if (r) {
		output_error("cannot run %s: %s", invocation->command[0], strerror(-r));
		return EXIT_FAILED;
	}
	r = -pthread_create(&thread, NULL, serve_signals, &serve);
	if (r) {
		child_command_end(&serve.command);
		output_error("cannot begin: %s", strerror(-r));
		return EXIT_FAILED;
	}
	status = serve_accept(&serve);
	/* The threads still use all of this: only the end of the process ends them. */
	serve_end_children(&serve);
	_exit(status);
}
