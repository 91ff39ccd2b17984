/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stock_server.c - serves the same weather station by libtirpc alone: one thread, and NEXT has to refuse, since
 * a handler that waits would keep everybody waiting.
 */
#include <rpc/pmap_clnt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "weather_procedures.h"

bool_t weather_next_1_svc(weather_place *place, weather_readings_res *result,
    struct svc_req *request)
{
	(void)place, (void)request;
	result->status = WEATHER_REFUSED;
	result->weather_readings_res_u.why = strdup("this server cannot wait");
	return TRUE;
}

void weather_announce(const weather_reading *reading)
{
	(void)reading;
}

/* svc_run cannot be told to end, and a signal handler may not call rpcbind: a thread takes the signal. */
static void *stop(void *signals)
{
	int signal_number;

	sigwait(signals, &signal_number);
	svc_unreg(WEATHER_PROG, WEATHER_VERS);
	_exit(0);
}

int main(void)
{
	pthread_t thread;
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
	if (!svc_create(weather_prog_1, WEATHER_PROG, WEATHER_VERS, "tcp") ||
	    !svc_create(weather_prog_1, WEATHER_PROG, WEATHER_VERS, "udp")) {
		fprintf(stderr, "stock_server: cannot serve; does rpcbind run?\n");
		return 1;
	}
	if (pthread_create(&thread, NULL, stop, &signals) == 0)
		svc_run();
	return 1;
}
