/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * no_spin.h - takes the spinning out of the engine, for measurements only: the Makefile has the compiler include
 * this before each file of a second library.  Without an end in the future there is no spin.
 */
#ifndef BENCH_NO_SPIN_H
#define BENCH_NO_SPIN_H

#include "transport/spin.h"

#define spin_end(spin) ((void)(spin), INT64_C(0))

#endif
