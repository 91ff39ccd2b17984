/* SPDX-License-Identifier: BSD-3-Clause */
/* weather_calls.h - what a client of the station can be told to do. */
#ifndef WEATHER_CALLS_H
#define WEATHER_CALLS_H

#include "weather.h"

/*
 * Does what words say, and prints: "report" PLACE CELSIUS, "history" PLACE, "next" PLACE.  Ends with NULL, as
 * argv does.  Returns an exit status.
 */
int weather_call(CLIENT *client, char **words);

#endif
