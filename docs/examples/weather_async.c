/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weather_async.c - waits for the next reading of many places at once, on one connection and in one thread.
 *
 *	weather_async TARGET PLACE...		prints them as they come, and ends with the last
 */
#include <ipc9_rpc.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "weather.h"

struct watch {
	weather_place place;
	weather_readings_res result; /* all zero until the reply is decoded into it */
};

static void on_reading(void *context, enum clnt_stat stat, const struct rpc_err *error)
{
	struct watch *w = context;

	(void)error;
	if (stat != RPC_SUCCESS)
		printf("%s: %s\n", w->place, clnt_sperrno(stat));
	else if (w->result.status != WEATHER_OK)
		printf("%s: %s\n", w->place, w->result.weather_readings_res_u.why);
	else if (w->result.weather_readings_res_u.readings.readings_len == 1)
		printf("%s is at %.1f degrees\n", w->place,
		    w->result.weather_readings_res_u.readings.readings_val->celsius);
	fflush(stdout);
	xdr_free((xdrproc_t)xdr_weather_readings_res, (char *)&w->result);
}

int main(int argc, char **argv)
{
	struct ipc9_error error = { 0, "usage: weather_async TARGET PLACE..." };
	struct watch *watches = calloc((size_t)argc, sizeof(*watches));
	CLIENT *client = NULL;
	struct pollfd poll_for;
	int open = argc - 2;

	if (watches && argc > 2)
		client = ipc9_rpc_client(argv[1], WEATHER_PROG, WEATHER_VERS, NULL, &error);
	if (!client) {
		fprintf(stderr, "weather_async: %s\n", error.text);
		return 1;
	}
	for (int i = 2; i < argc; i++) {
		watches[i].place = argv[i];
		if (ipc9_rpc_begin(client, WEATHER_NEXT, (xdrproc_t)xdr_weather_place,
			&watches[i].place, (xdrproc_t)xdr_weather_readings_res, &watches[i].result,
			IPC9_FOREVER, on_reading, &watches[i], NULL))
			return 1;
	}
	/* A program with an event loop of its own watches this descriptor there. */
	poll_for = (struct pollfd){ .fd = ipc9_rpc_fd(client), .events = POLLIN };
	while ((open -= ipc9_rpc_process(client, 0)) > 0)
		poll(&poll_for, 1, -1);
	clnt_destroy(client);
	free(watches);
	return 0;
}
