/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc_threads.c - who runs handlers.  See rpc_server.h.
 *
 * To hand a call to another thread costs a wake-up across CPUs, which is ten times a short call.  So the thread
 * that received a call runs its handler, and only what goes wrong with that costs anything:
 *
 * 1. One thread, the runner, is in loop_run; it receives, and takes calls from the queue in each turn.
 * 2. While there is work, one idle thread, the monitor, looks every millisecond.  When it finds the runner in the
 *    same handler twice, it becomes the runner, and another idle thread the monitor.
 * 3. When handlers take all of a millisecond and calls still wait, the monitor has helpers take from the queue
 *    too, one more with each look, until the queue is empty.
 * 4. The runner runs handlers only while another thread is idle, so that somebody receives in any case; therefore
 *    threads are one more than the handlers that may run at the same time.  A sole thread does both.
 * 5. Replies to calls that were received together leave in one send, behind the last of their handlers; but before
 *    any handler of a procedure whose handlers have not been short lately.
 * 6. When nothing has happened for a while the monitor sleeps until the next handler begins.
 * 7. Calls by shared memory are run by threads of their own (rpc_rings.c), within the same number of handlers: each
 *    handler needs a slot.  A runner that waits for one is to the monitor as if it were in a handler.  Whoever ends a
 *    handler may run the next one at once, as to wake another thread for each would cost more than most handlers; but
 *    who has waited for a millisecond comes first.
 *
 * Everything here is guarded by the server's lock.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "client/rpc_server.h"
#include "util/clock.h"

#define LOOK_EVERY_NS NS_PER_MS
#define QUIET_LOOKS 100	      /* without any handler, before the monitor sleeps */
#define PATIENCE_NS NS_PER_MS /* of who waits for a slot */
#define FAST_NS INT64_C(100000)
#define FAST_ENOUGH 16 /* handlers of a procedure in a row, before replies may wait for the next */
#define FEW_PER_LOOK                                                                               \
	20 /* handlers between two looks; where more end, a helper would cost more than it brings */

/* --- How long handlers take -------------------------------------------------------------------- */

static struct rpc_pace *pace_of(struct ipc9_rpc_server *s, const struct svc_req *q)
{
	struct rpc_pace *p = &s->paces[(q->rq_prog * 31 + q->rq_proc) % RPC_PACES];

	if (p->program != q->rq_prog || p->version != q->rq_vers || p->procedure != q->rq_proc)
		*p = (struct rpc_pace){ q->rq_prog, q->rq_vers, q->rq_proc, 0 };
	return p;
}

bool rpc_call_is_short(const struct rpc_call *c)
{
	return pace_of(c->server, &c->request)->fast >= FAST_ENOUGH;
}

static struct rpc_call *next_call(struct ipc9_rpc_server *s)
{
	return LIST_ENTRY(s->queue.next, struct rpc_call, queued);
}

static void wait_for_slot(struct ipc9_rpc_server *s, unsigned most)
{
	struct timespec until = clock_timespec(clock_now() + PATIENCE_NS);
	struct rpc_threads *t = &s->threads;
	bool overdue = false;

	t->queuing++;
	while (t->running >= most || (t->overdue && !overdue)) {
		if (overdue) {
			pthread_cond_wait(&t->slot, &s->lock);
		} else if (pthread_cond_timedwait(&t->slot, &s->lock, &until) == ETIMEDOUT) {
			overdue = true;
			t->overdue++;
		}
	}
	t->queuing--;
	if (overdue && --t->overdue == 0) /* others may, if there is room */
		pthread_cond_broadcast(&t->slot);
}

/* Waits until one more handler may run; whether it had to. */
static bool take_slot(struct ipc9_rpc_server *s)
{
	struct rpc_threads *t = &s->threads;
	unsigned most = s->options.threads > 1 ? s->options.threads : 1;
	bool waits = t->running >= most || t->overdue;

	if (waits)
		wait_for_slot(s, most);
	t->running++;
	return waits;
}

static void give_slot(struct ipc9_rpc_server *s)
{
	s->threads.running--;
	if (s->threads.overdue) /* one of which we do not know which */
		pthread_cond_broadcast(&s->threads.slot);
	else if (s->threads.queuing)
		pthread_cond_signal(&s->threads.slot);
}

void rpc_threads_run_call(struct ipc9_rpc_server *s, struct rpc_call *c)
{
	take_slot(s);
	rpc_call_run(c);
	give_slot(s);
}

/* Runs the next call's handler, which began at *now; *now is when it ended. */
static void run_one(struct ipc9_rpc_server *s, int64_t *now)
{
	struct rpc_call *c = next_call(s);
	struct svc_req what = c->request; /* the call may be gone when its handler returns */
	struct rpc_pace *pace;
	int64_t began = *now;

	list_remove(&c->queued);
	if (take_slot(s))
		began = clock_now();
	rpc_call_run(c);
	give_slot(s);
	s->threads.handled++;
	*now = clock_now();
	pace = pace_of(s, &what);
	pace->fast = *now - began > FAST_NS ? 0 : pace->fast + 1;
}

static bool has_work(const struct ipc9_rpc_server *s)
{
	return !list_is_empty(&s->queue) && !loop_is_stopping(s->loop);
}

/* --- The runner -------------------------------------------------------------------------------- */

static bool may_serve(const struct rpc_threads *t)
{
	return t->n_others == 0 || t->idle > 0;
}

static void serve_queue(void *context)
{
	struct ipc9_rpc_server *s = context;
	struct rpc_threads *t = &s->threads;
	uint64_t run = loop_runs(s->loop);
	int64_t now = 0;

	t->is_serving = true;
	if (has_work(s))
		now = clock_now();
	while (has_work(s) && may_serve(t)) {
		if (t->monitor_sleeps)
			pthread_cond_signal(&t->look);
		/* Nobody's reply waits for a handler of which we do not know that it is short. */
		if (!rpc_call_is_short(next_call(s)))
			loop_settle(s->loop);
		if (!has_work(s)) /* settling may have ended the connection it came by */
			break;
		run_one(s, &now);
		if (loop_runs(s->loop) != run)
			return; /* another thread is the runner now, and is_serving is about that one */
	}
	t->is_serving = false;
}

static int run_loop(struct ipc9_rpc_server *s)
{
	struct rpc_threads *t = &s->threads;
	uint64_t run = loop_runs(s->loop) + 1;
	int r;

	t->has_runner = true;
	r = loop_run(s->loop);
	if (r)
		loop_stop(s->loop);
	if (loop_runs(s->loop) == run)
		t->has_runner = false;
	if (loop_is_stopping(s->loop)) {
		pthread_cond_broadcast(&t->work);
		pthread_cond_broadcast(&t->look);
	}
	return r;
}

/* --- The monitor ------------------------------------------------------------------------------- */

/* What the last look saw. */
struct sight {
	uint64_t run, handled;
	bool was_serving;
	unsigned quiet; /* looks without a handler */
};

/* Whether the runner is still in the handler of the last look. */
static bool is_stuck(const struct ipc9_rpc_server *s, const struct sight *last)
{
	const struct rpc_threads *t = &s->threads;

	return t->is_serving && last->was_serving && last->run == loop_runs(s->loop) &&
	    last->handled == t->handled;
}

static void look(struct ipc9_rpc_server *s, struct sight *last)
{
	struct rpc_threads *t = &s->threads;
	uint64_t handled = t->handled - last->handled;
	bool busy = t->is_serving && last->was_serving && !list_is_empty(&s->queue);

	if (busy && handled < FEW_PER_LOOK * (uint64_t)(t->helpers + 1) &&
	    t->helpers_wanted + 1 < t->n_others) {
		t->helpers_wanted++;
		pthread_cond_signal(&t->work);
	}
	if (!t->helpers && list_is_empty(&s->queue))
		t->helpers_wanted = 0;
	last->quiet = handled || t->is_serving ? 0 : last->quiet + 1;
	last->run = loop_runs(s->loop);
	last->handled = t->handled;
	last->was_serving = t->is_serving;
}

static void wait_for_look(struct ipc9_rpc_server *s, struct sight *last)
{
	struct rpc_threads *t = &s->threads;
	struct timespec until = clock_timespec(clock_now() + LOOK_EVERY_NS);

	if (last->quiet < QUIET_LOOKS) {
		pthread_cond_timedwait(&t->look, &s->lock, &until);
		return;
	}
	t->monitor_sleeps = true;
	pthread_cond_wait(&t->look, &s->lock);
	t->monitor_sleeps = false;
	last->quiet = 0;
}

static void monitor(struct ipc9_rpc_server *s)
{
	struct rpc_threads *t = &s->threads;
	struct sight last = { 0 };

	t->has_monitor = true;
	t->idle++;
	while (!loop_is_stopping(s->loop) && t->has_runner && !is_stuck(s, &last)) {
		look(s, &last);
		wait_for_look(s, &last);
	}
	t->idle--;
	t->has_monitor = false;
	if (loop_is_stopping(s->loop))
		return;
	pthread_cond_signal(&t->work); /* somebody else is to look now */
	run_loop(s);
}

/* --- Threads ----------------------------------------------------------------------------------- */

static bool may_help(const struct ipc9_rpc_server *s, unsigned helpers)
{
	const struct rpc_threads *t = &s->threads;

	return has_work(s) && (helpers <= t->helpers_wanted || !t->is_serving);
}

static void help(struct ipc9_rpc_server *s)
{
	struct rpc_threads *t = &s->threads;
	int64_t now = clock_now();

	t->helpers++;
	while (may_help(s, t->helpers)) {
		run_one(s, &now);
		loop_settle(s->loop);
	}
	t->helpers--;
	if (list_is_empty(&s->queue))
		t->helpers_wanted = 0;
}

static void idle(struct ipc9_rpc_server *s)
{
	s->threads.idle++;
	pthread_cond_wait(&s->threads.work, &s->lock);
	s->threads.idle--;
}

/* With the lock held.  0, or why the loop ended. */
static int serve(struct ipc9_rpc_server *s)
{
	struct rpc_threads *t = &s->threads;
	int r = 0;

	while (!r && !loop_is_stopping(s->loop)) {
		if (!t->has_runner)
			r = run_loop(s);
		else if (!t->has_monitor && t->is_serving)
			monitor(s);
		else if (may_help(s, t->helpers + 1))
			help(s);
		else if (!t->has_monitor)
			monitor(s);
		else
			idle(s);
	}
	return r;
}

static void *thread_main(void *context)
{
	struct ipc9_rpc_server *s = context;

	pthread_mutex_lock(&s->lock);
	serve(s);
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

/* Signals are for the program's own threads. */
static int start(struct ipc9_rpc_server *s, unsigned n)
{
	struct rpc_threads *t = &s->threads;
	sigset_t all, before;
	int r = 0;

	t->others = calloc(n, sizeof(*t->others));
	if (n && !t->others)
		return -ENOMEM;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (!r && t->n_others < n) {
		r = -pthread_create(&t->others[t->n_others], NULL, thread_main, s);
		if (!r)
			t->n_others++;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int rpc_threads_run(struct ipc9_rpc_server *s)
{
	struct rpc_threads *t = &s->threads;
	unsigned n = s->options.threads > 1 ? s->options.threads : 0;
	int r;

	loop_each_turn(s->loop, serve_queue, s);
	pthread_mutex_lock(&s->lock);
	r = start(s, n);
	if (r)
		loop_stop(s->loop);
	else
		r = serve(s);
	pthread_cond_broadcast(&t->work);
	pthread_cond_broadcast(&t->look);
	n = t->n_others;
	pthread_mutex_unlock(&s->lock);
	for (unsigned i = 0; i < n; i++)
		pthread_join(t->others[i], NULL);
	pthread_mutex_lock(&s->lock); /* nobody makes a ring any more */
	rpc_rings_end(s);
	pthread_mutex_unlock(&s->lock);
	free(t->others);
	t->others = NULL;
	t->n_others = 0;
	return r;
}
