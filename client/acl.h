/* SPDX-License-Identifier: BSD-3-Clause */
/* acl.h - access lists as they go with the calls that make objects. */
#ifndef CLIENT_ACL_H
#define CLIENT_ACL_H

#include "client/link.h"

/*
 * The rules of a call over a link; their texts are borrowed.  0, or IPC9_E_INVALID for what cannot be sent; whether each is
 * a rule the daemon says.
 */
int acl_rules(const struct link *link, const char *const *rules, size_t n_rules,
    ipc9_rules *ret_rules, struct ipc9_error *ret_error);

#endif
