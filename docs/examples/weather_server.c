/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weather_server.c - serves the weather station by the engine of ipc9: four threads, and NEXT really waits.
 *
 *	weather_server [SOCKET]		TCP and UDP, known to rpcbind; SOCKET: a local socket too
 */
#include <ipc9_rpc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weather_procedures.h"

/* Calls of NEXT that wait.  None holds a thread: a wait costs what is in here. */
struct waiter {
	struct waiter *next;
	weather_place place;
	struct ipc9_rpc_deferred *call;
};

static struct {
	pthread_mutex_t lock;
	struct waiter *first;
} waiting = { .lock = PTHREAD_MUTEX_INITIALIZER };

static struct ipc9_rpc_server *server; /* for the signal handler */

/* Ends the calls that wait for this place, and those that nobody waits for any more. */
static void answer_waiters(const char *place, weather_readings_res *result)
{
	struct waiter **at = &waiting.first, *w;

	pthread_mutex_lock(&waiting.lock);
	while ((w = *at)) {
		if (strcmp(w->place, place) != 0 && !ipc9_rpc_is_gone(w->call)) {
			at = &w->next;
			continue;
		}
		ipc9_rpc_reply(w->call, (xdrproc_t)xdr_weather_readings_res, result);
		*at = w->next;
		free(w->place);
		free(w);
	}
	pthread_mutex_unlock(&waiting.lock);
}

bool_t weather_next_1_svc(weather_place *place, weather_readings_res *result,
    struct svc_req *request)
{
	struct waiter *w = malloc(sizeof(*w));

	memset(result, 0, sizeof(*result)); /* the dispatcher frees it, sent or not */
	if (!w || !(w->call = ipc9_rpc_defer(request))) {
		free(w);
		result->status = WEATHER_REFUSED;
		result->weather_readings_res_u.why = strdup("no memory");
		return TRUE;
	}
	w->place = *place;
	*place = NULL; /* it frees the argument, too: this one was taken */
	pthread_mutex_lock(&waiting.lock);
	w->next = waiting.first;
	waiting.first = w;
	pthread_mutex_unlock(&waiting.lock);
	return FALSE; /* no reply now */
}

void weather_announce(const weather_reading *reading)
{
	weather_reading copy = *reading;
	weather_readings_res result = {
		.status = WEATHER_OK,
		.weather_readings_res_u.readings = { .readings_len = 1, .readings_val = &copy },
	};

	answer_waiters(reading->place, &result);
}

static void stop(int signal_number)
{
	(void)signal_number;
	ipc9_rpc_server_stop(server);
}

int main(int argc, char **argv)
{
	struct ipc9_rpc_server_options options = { .threads = 4 };
	struct ipc9_error error;

	if (ipc9_rpc_server_new(&options, &server, &error) ||
	    ipc9_rpc_server_listen(server, "tcp", "any", &error) ||
	    ipc9_rpc_server_listen(server, "udp", "any", &error) ||
	    (argc > 1 && ipc9_rpc_server_listen(server, "local", argv[1], &error)) ||
	    ipc9_rpc_server_add(server, WEATHER_PROG, WEATHER_VERS, weather_prog_1, &error)) {
		fprintf(stderr, "weather_server: %s\n", error.text);
		return 1;
	}
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	ipc9_rpc_server_run(server);
	ipc9_rpc_server_free(server);
	return 0;
}
