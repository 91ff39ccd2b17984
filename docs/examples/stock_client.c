/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * stock_client.c - asks the weather station by libtirpc alone.
 *
 *	stock_client [-u] HOST report PLACE CELSIUS | history PLACE | next PLACE
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "weather_calls.h"

int main(int argc, char **argv)
{
	bool udp = argc > 1 && strcmp(argv[1], "-u") == 0;
	char **words = argv + 1 + udp;
	CLIENT *client;
	int status;

	if (!words[0]) {
		fprintf(stderr, "usage: stock_client [-u] HOST WHAT...\n");
		return 2;
	}
	client = clnt_create(words[0], WEATHER_PROG, WEATHER_VERS, udp ? "udp" : "tcp");
	if (!client) {
		clnt_pcreateerror("stock_client");
		return 1;
	}
	status = weather_call(client, words + 1);
	clnt_destroy(client);
	return status;
}
