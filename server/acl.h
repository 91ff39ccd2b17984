/* SPDX-License-Identifier: BSD-3-Clause */
/* acl.h - reading, changing and testing the access lists of named objects, whichever mechanism has them. */
#ifndef SERVER_ACL_H
#define SERVER_ACL_H

#include "server/dispatch.h"

/* Handlers of IPC9_CONTROLPROC_ACL_GET, _SET and _TEST. */
void acl_handle_get(struct request *request, void *args);
void acl_handle_set(struct request *request, void *args);
void acl_handle_test(struct request *request, void *args);

#endif
