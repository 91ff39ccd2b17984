/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * log.h - the daemon's own words, one line each, on stderr.
 *
 * Under the journal lines carry "<N>" priorities; elsewhere they carry the time.  Control characters that
 * came from outside are escaped.  Only the daemon logs; the library never does.
 */
#ifndef UTIL_LOG_H
#define UTIL_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level {
	LOG_LEVEL_ERROR = 3,
	LOG_LEVEL_WARNING = 4,
	LOG_LEVEL_NOTICE = 5,
	LOG_LEVEL_INFO = 6,
};

void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define LOG_LINES_PER_S 10

/* Lines of one kind that others can cause as often as they like.  Starts from all zero. */
struct log_rate {
	int64_t began; /* the second that is counted, on util/clock.h's clock */
	unsigned lines, held_back;
};

/* Whether one more may be written now; if not, it is counted as held back. */
bool log_rate_allows(struct log_rate *rate, int64_t now);
/* How many were held back since this was asked last, to be told in one line. */
unsigned log_rate_held_back(struct log_rate *rate);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_LEVEL_WARNING, __VA_ARGS__)
#define log_notice(...) log_line(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...) log_line(LOG_LEVEL_INFO, __VA_ARGS__)

#endif
