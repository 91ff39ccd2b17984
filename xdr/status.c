/* SPDX-License-Identifier: BSD-3-Clause */
/* status.c - see status.h. */
#include "xdr/status.h"

#include <errno.h>
#include <stddef.h>

#include "rpcgen-out/common.h"

enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,
	EXIT_NOTHING = 3,
	EXIT_UNREACHED = 4,
	EXIT_REFUSED = 5,
	EXIT_MISMATCH = 6,
};

static const struct status statuses[] = {
	{ IPC9_STATUS_OK, "success", 0, EXIT_OK },
	{ IPC9_STATUS_NOENT, "no object of that name", ENOENT, EXIT_NOTHING },
	{ IPC9_STATUS_BADNAME, "not a valid name", EINVAL, EXIT_FAILED },
	{ IPC9_STATUS_ACCESS, "access refused", EACCES, EXIT_REFUSED },
	{ IPC9_STATUS_EXISTS, "an object of that name exists already", EEXIST, EXIT_FAILED },
	{ IPC9_STATUS_BUSY, "no free instance", EBUSY, EXIT_FAILED },
	{ IPC9_STATUS_LISTENING, "no client is connected yet", ENOTCONN, EXIT_FAILED },
	{ IPC9_STATUS_NOTCONN, "disconnected by the server", ENOTCONN, EXIT_FAILED },
	{ IPC9_STATUS_PEERCLOSED, "the other end is closed", EPIPE, EXIT_FAILED },
	{ IPC9_STATUS_EOF, "end of data", EPIPE, EXIT_NOTHING },
	{ IPC9_STATUS_LOST, "the other end was lost", ECONNRESET, EXIT_FAILED },
	{ IPC9_STATUS_BADSTATE, "not possible in this state", EPROTO, EXIT_FAILED },
	{ IPC9_STATUS_TOOSMALL, "the message does not fit the buffer", EMSGSIZE, EXIT_FAILED },
	{ IPC9_STATUS_TIMEDOUT, "timed out", ETIMEDOUT, EXIT_NOTHING },
	{ IPC9_STATUS_TOOBIG, "too big", EMSGSIZE, EXIT_FAILED },
	{ IPC9_STATUS_UNKNOWN, "connection lost; it may or may not have been done", ECONNRESET,
	    EXIT_FAILED },
	{ IPC9_STATUS_CHANGED, "changed while it was read", ESTALE, EXIT_FAILED },
	{ IPC9_STATUS_NOFORMAT, "no such format", ENOENT, EXIT_NOTHING },
	{ IPC9_STATUS_EMPTY, "empty", ENODATA, EXIT_NOTHING },
	{ IPC9_STATUS_QUOTA, "no room left", EDQUOT, EXIT_FAILED },
	{ IPC9_STATUS_INVALID, "argument out of range", EINVAL, EXIT_FAILED },
	{ IPC9_STATUS_UNSUPPORTED, "not supported", EOPNOTSUPP, EXIT_FAILED },
	{ IPC9_STATUS_NOPATH, "host not reached", EHOSTUNREACH, EXIT_UNREACHED },
	{ IPC9_STATUS_NODAEMON, "no daemon answers", ECONNREFUSED, EXIT_UNREACHED },
	{ IPC9_STATUS_MISMATCH, "other versions of the protocol", EPROTONOSUPPORT, EXIT_MISMATCH },
	{ IPC9_STATUS_SYSTEM, "trouble on the other side; see its log", EIO, EXIT_FAILED },
	{ IPC9_STATUS_CANCELLED, "cancelled", ECANCELED, EXIT_FAILED },
	{ IPC9_STATUS_PENDING, "still under way", EINPROGRESS, EXIT_FAILED },
	{ IPC9_STATUS_WOULDBLOCK, "nothing there now", EAGAIN, EXIT_NOTHING },
};

const struct status *status_find(int number)
{
	static const struct status unknown = { -1, "a status this version does not know", EIO,
		EXIT_FAILED };

	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
		if (statuses[i].number == number)
			return &statuses[i];
	return &unknown;
}
