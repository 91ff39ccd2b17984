/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * weather_procedures.c - what the station does, whichever engine serves it.  The handlers are as rpcgen -M wants them:
 * fill in *result and return TRUE.  They may run in several threads at a time.
 */
#include "weather_procedures.h"

#include <stdlib.h>
#include <string.h>

static struct {
	pthread_mutex_t lock;
	weather_reading kept[1000]; /* a ring; number n is in kept[n % KEPT] */
	u_int reported;
} station = { .lock = PTHREAD_MUTEX_INITIALIZER };

#define KEPT (sizeof(station.kept) / sizeof(station.kept[0]))

bool_t weather_null_1_svc(void *argument, void *result, struct svc_req *request)
{
	(void)argument, (void)result, (void)request;
	return TRUE;
}

bool_t weather_report_1_svc(weather_reading *reading, weather_report_res *result,
    struct svc_req *request)
{
	weather_reading *kept;

	(void)request;
	if (!(reading->celsius >= -273.15)) { /* not a number is no temperature either */
		result->status = WEATHER_REFUSED;
		result->weather_report_res_u.why = strdup("nothing is as cold as that");
		return TRUE;
	}
	pthread_mutex_lock(&station.lock);
	kept = &station.kept[station.reported++ % KEPT];
	xdr_free((xdrproc_t)xdr_weather_reading, (char *)kept);
	*kept = *reading;
	weather_announce(kept);
	result->status = WEATHER_OK;
	result->weather_report_res_u.reported = station.reported;
	pthread_mutex_unlock(&station.lock);
	/* The dispatcher frees arguments: this one was taken. */
	memset(reading, 0, sizeof(*reading));
	return TRUE;
}

bool_t weather_history_1_svc(weather_place *place, weather_readings_res *result,
    struct svc_req *request)
{
	weather_reading *list = calloc(WEATHER_READINGS_MAX, sizeof(*list)), *kept;
	u_int n = 0;

	(void)request;
	pthread_mutex_lock(&station.lock);
	for (u_int i = 1; list && i <= KEPT && i <= station.reported; i++) {
		kept = &station.kept[(station.reported - i) % KEPT];
		if (n == WEATHER_READINGS_MAX || strcmp(kept->place, *place) != 0)
			continue;
		list[n] = *kept;
		list[n++].place = strdup(kept->place);
	}
	pthread_mutex_unlock(&station.lock);
	result->status = WEATHER_OK;
	result->weather_readings_res_u.readings.readings_len = n;
	result->weather_readings_res_u.readings.readings_val = list;
	return TRUE;
}

/* The dispatcher calls it when the reply has left, and also when there was none. */
int weather_prog_1_freeresult(SVCXPRT *transport, xdrproc_t xdr_result, caddr_t result)
{
	(void)transport;
	xdr_free(xdr_result, result);
	return 1;
}
