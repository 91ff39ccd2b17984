/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * session.c - a connected pipe joined to two descriptors.
 *
 * Two directions, each with an end of its own:
 *
 *	receiving  pipe -> out_fd   ends at EOF, or when the pipe or out_fd fails; with a command also when
 *				    session_stop says so, otherwise it waits for the other end's closing
 *	sending    in_fd -> pipe    ends at the end of in_fd, which it passes on (ipc9_pipe_end), or when the
 *				    pipe fails, or when the receiver says that the other end is gone
 *
 * What always holds:
 *  1. Only the receiver's thread reads the pipe; only the caller's thread writes and ends it.
 *  2. The sender never blocks in read(2): it polls in_fd together with event_fd.
 *  3. Where the receiver may have to end before the other end does it waits in short turns: after
 *     ipc9_pipe_abort the other end would read LOST, and not the end.  That is on the serving side only, where
 *     the daemon is on the same host, and a turn costs next to nothing.
 *  4. A message pipe's messages are lines here: a line without its newline is a message, a message
 *     received gets a newline.
 */
#include "cli/session.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "cli/io.h"

#define SESSION_CHUNK_BYTES (1024 * 1024)
#define SESSION_PAUSE_MIN_MS 10
#define SESSION_PAUSE_MAX_MS 250
#define SESSION_GRACE_S 1

_Static_assert(SESSION_CHUNK_BYTES >= IPC9_MESSAGE_BYTES, "a message must fit a chunk");

/* Notes that something of our own failed, not the pipe; returns r, a negative errno. */
__attribute__((format(printf, 3, 4))) static int session_fail_local(struct session_result *result,
    int r, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(result->error.text, sizeof(result->error.text), format, arguments);
	va_end(arguments);
	result->local = r;
	return r;
}

/* --- Receiving --------------------------------------------------------------------------------- */

static int session_write_out(struct session *session, const void *data, size_t size_bytes)
{
	int r = io_write_all(session->out_fd, data, size_bytes);

	if (r)
		return session_fail_local(&session->received, r, "cannot write to %s: %s",
		    session->out_name, strerror(-r));
	return 0;
}

/* How long the receiver may wait at a time. */
static int session_wait_ms(const struct session *session, bool stoppable)
{
	return stoppable ? (int)session->pause_ms : IPC9_FOREVER;
}

/* A turn of waiting is over without result. */
static void session_wait_longer(struct session *session)
{
	session->pause_ms *= 2;
	if (session->pause_ms > SESSION_PAUSE_MAX_MS)
		session->pause_ms = SESSION_PAUSE_MAX_MS;
}

/* Receives one piece.  0, or as ipc9_pipe_read; -errno also for out_fd. */
static int session_receive_piece(struct session *session, uint8_t *buffer)
{
	bool message = ipc9_pipe_type(session->pipe) == IPC9_PIPE_TYPE_MESSAGE, more = false;
	int wait_ms = session_wait_ms(session, session->child), r;
	size_t size;

	if (message)
		r = ipc9_pipe_read_message(session->pipe, buffer, SESSION_CHUNK_BYTES, wait_ms,
		    &size, &more, &session->received.error);
	else
		r = ipc9_pipe_read(session->pipe, buffer, SESSION_CHUNK_BYTES, wait_ms, &size,
		    &session->received.error);
	if (r)
		return r;
	session->pause_ms = SESSION_PAUSE_MIN_MS;
	if (message && !more)
		buffer[size++] = '\n';
	return session_write_out(session, buffer, size);
}

/* Everything was received: passes the end on.  0 or -errno. */
static int session_receive_end(struct session *session)
{
	int r = io_close(&session->out_fd);

	if (r)
		return session_fail_local(&session->received, r, "cannot write to %s: %s",
		    session->out_name, strerror(-r));
	return 0;
}

/* Waits for the other end's closing; or, if that is all there is to do, until everything was sent. */
static int session_receive_closing(struct session *session)
{
	for (;;) {
		bool done;
		int r;

		(void)pthread_mutex_lock(&session->lock);
		done = session->sent_end && !session->until_closed;
		(void)pthread_mutex_unlock(&session->lock);
		if (done)
			return 0;
		r = ipc9_pipe_wait_closed(session->pipe,
		    session_wait_ms(session, !session->until_closed), &session->received.error);
		if (r != IPC9_E_TIMEDOUT)
			return r;
		session_wait_longer(session);
	}
}

static bool session_is_stopped(struct session *session)
{
	bool stop;

	(void)pthread_mutex_lock(&session->lock);
	stop = session->stop;
	(void)pthread_mutex_unlock(&session->lock);
	return stop;
}

static int session_receive_all(struct session *session)
{
	/* One more, for a message's newline. */
	_cleanup_(io_freep) uint8_t *buffer = malloc(SESSION_CHUNK_BYTES + 1);
	int r = buffer ? 0 : session_fail_local(&session->received, -ENOMEM, "out of memory");

	while (r == 0) {
		r = session_receive_piece(session, buffer);
		if (r == IPC9_E_TIMEDOUT) {
			session_wait_longer(session);
			r = 0;
		}
		if (session->child && session_is_stopped(session))
			return 0;
	}
	if (r == IPC9_E_EOF || r == IPC9_E_ACCESS) /* or the pipe does not have this direction */
		r = session_receive_end(session);
	else if (r == -EPIPE && session->child && session->received.local == r)
		r = session->received.local = 0; /* a command need not read everything */
	return r || session->child ? r : session_receive_closing(session);
}

/*
 * Nobody takes what arrives.  The sender notices by itself, unless it waits in ipc9_pipe_write for the other
 * end to read: it gets a moment, so that the pipe can be closed well.
 */
static void session_end_sending(struct session *session)
{
	struct timespec until;
	int r = 0;

	(void)clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += SESSION_GRACE_S;
	(void)pthread_mutex_lock(&session->lock);
	while (!session->sent_over && r == 0)
		r = pthread_cond_timedwait(&session->changed, &session->lock, &until);
	if (!session->sent_over)
		ipc9_pipe_abort(session->pipe);
	(void)pthread_mutex_unlock(&session->lock);
}

static void *session_receive(void *argument)
{
	struct session *session = argument;
	int r = session_receive_all(session);

	session->received.error.code = r;
	if (r && session->lost)
		session->lost(session->context);
	(void)io_close(&session->out_fd);
	if (session->child)
		return NULL; /* the command ends the sending side */
	(void)pthread_mutex_lock(&session->lock);
	session->failed = r != 0;
	(void)pthread_mutex_unlock(&session->lock);
	(void)eventfd_write(session->event_fd, 1);
	if (session->received.local)
		session_end_sending(session);
	return NULL;
}

/* --- Sending ----------------------------------------------------------------------------------- */

enum session_input {
	SESSION_INPUT_READY,
	SESSION_INPUT_STOP,
};

/*
 * Waits for input.  When the other end is closed input that is there is taken all the same: sending it
 * fails, and so it is told that it did not go over.
 */
static enum session_input session_wait_input(struct session *session)
{
	struct pollfd fds[2] = {
		{ .fd = session->in_fd, .events = POLLIN },
		{ .fd = session->event_fd, .events = POLLIN },
	};
	bool failed;

	while (poll(fds, 2, -1) < 0)
		if (errno != EINTR && errno != EAGAIN)
			return SESSION_INPUT_STOP;
	(void)pthread_mutex_lock(&session->lock);
	failed = session->failed;
	(void)pthread_mutex_unlock(&session->lock);
	return fds[0].revents && !failed ? SESSION_INPUT_READY : SESSION_INPUT_STOP;
}

/* What is read of in_fd and not sent yet. */
struct session_buffer {
	uint8_t *data; /* room for SESSION_CHUNK_BYTES + 1 */
	size_t size_bytes;
	bool end;  /* in_fd has ended */
	bool over; /* it has not, but nobody wants more */
};

/* Reads more, up to room_bytes in all.  0 or -errno. */
static int session_fill(struct session *session, struct session_buffer *buffer, size_t room_bytes)
{
	size_t size;
	int r;

	if (session_wait_input(session) == SESSION_INPUT_STOP) {
		buffer->over = true;
		return 0;
	}
	r = io_read_gather(session->in_fd, buffer->data + buffer->size_bytes,
	    room_bytes - buffer->size_bytes, &size, &buffer->end);
	if (r)
		return session_fail_local(&session->sent, r, "cannot read %s: %s", session->in_name,
		    strerror(-r));
	buffer->size_bytes += size;
	return 0;
}

/* As ipc9_pipe_write; whether the other end was closed before or while we waited makes no difference here. */
static int session_write(struct session *session, const void *data, size_t size_bytes)
{
	struct ipc9_error *error = &session->sent.error;
	int r = ipc9_pipe_write(session->pipe, data, size_bytes, IPC9_FOREVER, NULL, error);

	if (r != IPC9_E_EOF)
		return r;
	(void)snprintf(error->text, sizeof(error->text),
	    "the other end was closed before everything was read");
	return IPC9_E_PEERCLOSED;
}

/* Sends the lines that are whole, and at the end of the input also one without newline. */
static int session_send_lines(struct session *session, struct session_buffer *buffer)
{
	size_t done = 0;
	int r = 0;

	while (r == 0 && done < buffer->size_bytes) {
		const uint8_t *line = buffer->data + done;
		size_t left = buffer->size_bytes - done;
		const uint8_t *newline = memchr(line, '\n', left);

		if (!newline && !buffer->end)
			break;
		r = session_write(session, line, newline ? (size_t)(newline - line) : left);
		done += newline ? (size_t)(newline - line) + 1 : left;
	}
	buffer->size_bytes -= done;
	memmove(buffer->data, buffer->data + done, buffer->size_bytes);
	if (r == 0 && buffer->size_bytes > IPC9_MESSAGE_BYTES)
		return session_fail_local(&session->sent, -EMSGSIZE,
		    "a line of %s is longer than a message may be (%d bytes)", session->in_name,
		    IPC9_MESSAGE_BYTES);
	return r;
}

static int session_send_bytes(struct session *session, struct session_buffer *buffer)
{
	int r = 0;

	if (buffer->size_bytes > 0)
		r = session_write(session, buffer->data, buffer->size_bytes);
	buffer->size_bytes = 0;
	return r;
}

/* Sends everything and ends it.  0 also when the session is over before; else as ipc9_pipe_write. */
static int session_send_all(struct session *session)
{
	bool message = ipc9_pipe_type(session->pipe) == IPC9_PIPE_TYPE_MESSAGE;
	size_t room = message ? IPC9_MESSAGE_BYTES + 1 : SESSION_CHUNK_BYTES;
	_cleanup_(io_freep) uint8_t *data = malloc(room);
	struct session_buffer buffer = { .data = data };
	int r = data ? 0 : session_fail_local(&session->sent, -ENOMEM, "out of memory");

	while (r == 0 && !buffer.end) {
		r = session_fill(session, &buffer, room);
		if (buffer.over)
			return 0;
		if (r == 0)
			r = message ? session_send_lines(session, &buffer)
				    : session_send_bytes(session, &buffer);
	}
	if (r)
		return r;
	r = ipc9_pipe_end(session->pipe, &session->sent.error);
	/* The other end has all it wanted; or the pipe does not have this direction. */
	return r == IPC9_E_PEERCLOSED || r == IPC9_E_ACCESS ? 0 : r;
}

int session_send(struct session *session)
{
	int r = session_send_all(session);

	session->sent.error.code = r;
	(void)io_close(&session->in_fd);
	(void)pthread_mutex_lock(&session->lock);
	session->sent_end = r == 0;
	session->sent_over = true;
	(void)pthread_cond_signal(&session->changed);
	(void)pthread_mutex_unlock(&session->lock);
	return session->sent.local;
}

/* --- The session ------------------------------------------------------------------------------- */

int session_start(struct session *session)
{
	int r = 0;

	session->received = session->sent = (struct session_result){ .local = 0 };
	session->sent_end = session->sent_over = session->stop = session->failed = false;
	session->pause_ms = SESSION_PAUSE_MIN_MS;
	io_widen(session->in_fd);
	io_widen(session->out_fd);
	(void)pthread_mutex_init(&session->lock, NULL);
	(void)pthread_cond_init(&session->changed, NULL);
	session->event_fd = eventfd(0, EFD_CLOEXEC);
	if (session->event_fd < 0)
		r = -errno;
	if (r == 0)
		r = -pthread_create(&session->thread, NULL, session_receive, session);
	if (r) {
		(void)io_close(&session->event_fd);
		(void)io_close(&session->in_fd);
		(void)io_close(&session->out_fd);
		(void)pthread_cond_destroy(&session->changed);
		(void)pthread_mutex_destroy(&session->lock);
	}
	return r;
}

void session_stop(struct session *session)
{
	(void)pthread_mutex_lock(&session->lock);
	session->stop = true;
	(void)pthread_mutex_unlock(&session->lock);
	(void)pthread_join(session->thread, NULL);
	(void)io_close(&session->event_fd);
	(void)io_close(&session->in_fd);
	(void)pthread_cond_destroy(&session->changed);
	(void)pthread_mutex_destroy(&session->lock);
}
