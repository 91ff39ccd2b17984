/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * no_spin.h - takes the spinning out of the engine, for measurements only: the Makefile has the compiler include
 * this before each file of a second library.  Without looks there is no spin.
 */
#ifndef BENCH_NO_SPIN_H
#define BENCH_NO_SPIN_H

#include "transport/spin.h"

#define spin_begin(spin, run) no_spin_begin(run)

static inline bool no_spin_begin(struct spin_run *run)
{
	run->looks = 0;
	run->hogged = false;
	return false;
}

#endif
