/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * status.h - the one table of statuses: number, text, nearest errno, exit status of the command.
 */
#ifndef XDR_STATUS_H
#define XDR_STATUS_H

struct status {
	int number;	  /* IPC9_STATUS_... */
	const char *text; /* a few words, to follow "cannot ...: " */
	int error;	  /* nearest errno */
	int exit_status;  /* of ipc9(1) */
};

/* Never NULL: numbers that are not in the table share one entry. */
const struct status *status_find(int number);

#endif
