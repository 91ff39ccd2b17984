/* SPDX-License-Identifier: BSD-3-Clause */
/* log.c - see log.h. */
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"
#include "util/text.h"

#define LINE_SIZE                                                                                  \
	3072 /* an audit line with the longest name, all of it escaped, and the longest rule */

/* Copies text, with what a terminal or a log reader could act on as \xNN. */
static size_t escape(char *to, size_t room, const char *from)
{
	size_t n = 0, steering = 0;

	for (; *from && n + 5 < room; from++) {
		if (!steering)
			steering = text_steering(from, strnlen(from, 4));
		if (steering) {
			n += (size_t)snprintf(to + n, room - n, "\\x%02x", (unsigned char)*from);
			steering--;
		} else {
			to[n++] = *from;
		}
	}
	return n;
}

void log_line(enum log_level level, const char *format, ...)
{
	char text[LINE_SIZE], line[LINE_SIZE + 64];
	size_t n;
	va_list ap;

	va_start(ap, format);
	vsnprintf(text, sizeof(text), format, ap);
	va_end(ap);

	if (getenv("JOURNAL_STREAM")) {
		n = (size_t)snprintf(line, sizeof(line), "<%d>", (int)level);
	} else {
		time_t now = time(NULL);
		struct tm tm;

		n = strftime(line, sizeof(line), "%H:%M:%S ipc9d: ", localtime_r(&now, &tm));
	}
	n += escape(line + n, sizeof(line) - n - 1, text);
	line[n++] = '\n';
	/* One write, so that lines of several threads do not mix; nobody is left to tell if it fails. */
	(void)!write(STDERR_FILENO, line, n);
}

unsigned log_rate_held_back(struct log_rate *rate)
{
	unsigned held_back = rate->held_back;

	rate->held_back = 0;
	return held_back;
}

bool log_rate_allows(struct log_rate *rate, int64_t now)
{
	if (now - rate->began >= NS_PER_S) {
		rate->began = now;
		rate->lines = 0;
	}
	if (rate->lines >= LOG_LINES_PER_S) {
		rate->held_back++;
		return false;
	}
	rate->lines++;
	return true;
}
