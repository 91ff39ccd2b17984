/* SPDX-License-Identifier: BSD-3-Clause */
/* weather_procedures.h - what weather_procedures.c and the two servers share. */
#ifndef WEATHER_PROCEDURES_H
#define WEATHER_PROCEDURES_H

#include "weather.h"

/* Each server has its own: a reading came.  It stays the caller's; called with the station locked. */
void weather_announce(const weather_reading *reading);

/* rpcgen -m makes it, and declares it nowhere. */
void weather_prog_1(struct svc_req *request, SVCXPRT *transport);

#endif
