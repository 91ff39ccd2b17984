/* SPDX-License-Identifier: BSD-3-Clause */
/* weather_calls.c - calls by rpcgen's stubs: it is all the same to them whose CLIENT it is. */
#include "weather_calls.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int report(CLIENT *client, char *place, double celsius)
{
	weather_reading reading = { place, time(NULL), celsius };
	weather_report_res result = { 0 };
	int status = 0;

	if (weather_report_1(&reading, &result, client) != RPC_SUCCESS) {
		clnt_perror(client, "report");
		return 1;
	}
	if (result.status == WEATHER_OK) {
		printf("reading %u\n", result.weather_report_res_u.reported);
	} else {
		fprintf(stderr, "report: %s\n", result.weather_report_res_u.why);
		status = 1;
	}
	xdr_free((xdrproc_t)xdr_weather_report_res, (char *)&result);
	return status;
}

static int ask(CLIENT *client, char *what, char *place,
    enum clnt_stat (*stub)(weather_place *, weather_readings_res *, CLIENT *))
{
	weather_readings_res result = { 0 };
	int status = 0;

	if (stub(&place, &result, client) != RPC_SUCCESS) {
		clnt_perror(client, what);
		return 1;
	}
	if (result.status == WEATHER_OK) {
		u_int n = result.weather_readings_res_u.readings.readings_len;
		weather_reading *r = result.weather_readings_res_u.readings.readings_val;

		for (u_int i = 0; i < n; i++)
			printf("%s %" PRId64 " %.1f\n", r[i].place, (int64_t)r[i].time,
			    r[i].celsius);
	} else {
		fprintf(stderr, "%s: %s\n", what, result.weather_readings_res_u.why);
		status = 1;
	}
	xdr_free((xdrproc_t)xdr_weather_readings_res, (char *)&result);
	return status;
}

int weather_call(CLIENT *client, char **words)
{
	if (words[0] && words[1] && words[2] && strcmp(words[0], "report") == 0)
		return report(client, words[1], strtod(words[2], NULL));
	if (words[0] && words[1] && strcmp(words[0], "history") == 0)
		return ask(client, words[0], words[1], weather_history_1);
	if (words[0] && words[1] && strcmp(words[0], "next") == 0)
		return ask(client, words[0], words[1], weather_next_1);
	fprintf(stderr, "say: report PLACE CELSIUS, history PLACE, or next PLACE\n");
	return 2;
}
