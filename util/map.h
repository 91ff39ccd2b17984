/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * map.h - uthash, with a hash that others cannot steer, and without its exit() when memory ends.
 *
 * An entry that could not be added for want of memory is not in the map; map users look whether it is
 * (HASH_ADD sets the handle's table to NULL).  MAP_ADD_KEY says so by its `added` flag.
 */
#ifndef UTIL_MAP_H
#define UTIL_MAP_H

#include "util/siphash.h"

#define HASH_FUNCTION(key, len, out) ((out) = (unsigned)siphash_local((key), (len)))
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) ((void)(element), (void)(map_added = false))

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-but-set-variable"
#include <uthash.h>
#pragma GCC diagnostic pop

/* Adds element under the key at pointer key; sets the bool `added`. */
#define MAP_ADD_KEY(hh, head, key, len, element, added)                                            \
	do {                                                                                       \
		bool map_added = true;                                                             \
		HASH_ADD_KEYPTR(hh, head, key, len, element);                                      \
		(added) = map_added;                                                               \
	} while (0)

#endif
