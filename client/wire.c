/* SPDX-License-Identifier: BSD-3-Clause */
/* wire.c - see wire.h. */
#include "client/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/error.h"
#include "util/text.h"

_Static_assert(IPC9_HOW_NONE == IPC9_BY_NONE && IPC9_HOW_KERNEL == IPC9_BY_KERNEL &&
	IPC9_HOW_CLAIMED == IPC9_BY_CLAIM && IPC9_HOW_KERBEROS == IPC9_BY_KERBEROS &&
	IPC9_HOW_CERTIFICATE == IPC9_BY_CERTIFICATE,
    "the numbers of ipc9.h are those of common.x");

const char *wire_text(const char *text)
{
	char *copy = strdup(text ? text : "");

	if (copy)
		error_clean(copy);
	return copy;
}

void wire_text_free(const char *text)
{
	free((char *)(uintptr_t)text);
}

void wire_identity(const ipc9_caller *caller, struct ipc9_identity *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->how = (enum ipc9_how)caller->how;
	ret->uid = caller->uid;
	ret->gid = caller->gid;
	ret->pid = caller->pid;
	text_format(ret->host, sizeof(ret->host), "%s", caller->host ? caller->host : "");
	text_format(ret->principal, sizeof(ret->principal), "%s",
	    caller->principal ? caller->principal : "");
	error_clean(ret->host);
	error_clean(ret->principal);
}

int wire_grow(void **array, size_t n, size_t n_more, size_t entry_bytes)
{
	char *grown;

	if (n + n_more > WIRE_LISTING_MAX)
		return -EOVERFLOW;
	/* Of a listing without entries there is an array too, so that callers need not ask. */
	grown = realloc(*array, (n + n_more + 1) * entry_bytes);
	if (!grown)
		return -ENOMEM;
	memset(grown + n * entry_bytes, 0, (n_more + 1) * entry_bytes);
	*array = grown;
	return 0;
}
