/* SPDX-License-Identifier: BSD-3-Clause */
/* clipboard.h - what clipboard.c and clipboard_paste.c share. */
#ifndef CLIENT_CLIPBOARD_H
#define CLIENT_CLIPBOARD_H

#include "client/link.h"
#include "rpcgen-out/clipboard.h"

/* ipc9_name_args -> ipc9_clipboard_list_res */
extern const struct link_procedure clipboard_list_procedure;

#endif
