/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crash.h - numbered places where a test kills the process, or holds it up: between any two stores that another process
 * can see.
 *
 * They exist in the program of tests/crash/crash.c only, which defines IPC9_CRASH_POINTS and crash_point().
 */
#ifndef TRANSPORT_CRASH_H
#define TRANSPORT_CRASH_H

/* Each number stands in one place; the last one is CRASH_POINTS - 1. */
enum crash_number {
	CRASH_RESERVED,	      /* producer: room is found, maybe grown */
	CRASH_HEADER,	      /* the header of a message is written, not its bytes counted */
	CRASH_JUMP_OFFSET,    /* half of a jump is */
	CRASH_JUMP,	      /* all of it */
	CRASH_WRITTEN,	      /* the users' total is */
	CRASH_HEAD,	      /* published, nobody woken */
	CRASH_PRODUCER_STATE, /* the producer's state is told */
	CRASH_EMPTY,	      /* consumer: nothing was there */
	CRASH_VIEWED,	      /* consumer: something was seen */
	CRASH_READ,	      /* the users' total is told */
	CRASH_TAIL,	      /* given back, nobody woken */
	CRASH_CONSUMER_STATE, /* the consumer's state is told */
	CRASH_SLEEPY,	      /* found nothing, is about to say that it sleeps */
	CRASH_WAITING,	      /* says that it sleeps, does not yet */
	CRASH_WOKEN,	      /* slept, still says so */
	CRASH_WAKE_TAKEN,     /* took the sleeper's word back, did not wake it */
	CRASH_POINTS
};

#ifdef IPC9_CRASH_POINTS
void crash_point(enum crash_number number);
#define CRASH_POINT(number) crash_point(number)
#else
#define CRASH_POINT(number) ((void)0)
#endif

#endif
