/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weather_client.c - asks the weather station by the engine of ipc9.
 *
 *	weather_client [-u] TARGET report PLACE CELSIUS | history PLACE | next PLACE
 *
 * TARGET: //HOST, HOST:PORT or the path of a local socket; -u: over UDP.
 */
#include <ipc9_rpc.h>
#include <stdio.h>
#include <string.h>

#include "weather_calls.h"

int main(int argc, char **argv)
{
	struct ipc9_rpc_options options = { .udp = argc > 1 && strcmp(argv[1], "-u") == 0 };
	char **words = argv + 1 + options.udp;
	struct ipc9_error error;
	CLIENT *client;
	int status;

	if (!words[0]) {
		fprintf(stderr, "usage: weather_client [-u] TARGET WHAT...\n");
		return 2;
	}
	client = ipc9_rpc_client(words[0], WEATHER_PROG, WEATHER_VERS, &options, &error);
	if (!client) {
		fprintf(stderr, "weather_client: %s\n", error.text);
		return 1;
	}
	status = weather_call(client, words + 1);
	clnt_destroy(client);
	return status;
}
