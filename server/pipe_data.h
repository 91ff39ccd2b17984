/* SPDX-License-Identifier: BSD-3-Clause */
/* pipe_data.h - the procedures of pipe.x that move data or wait for it, as rows of pipe.c's table name them. */
#ifndef SERVER_PIPE_DATA_H
#define SERVER_PIPE_DATA_H

#include "server/pipe_instance.h"

void pipe_handle_read(struct request *request, void *args);
void pipe_handle_write(struct request *request, void *args);
void pipe_handle_poll(struct request *request, void *args);
void pipe_handle_end(struct request *request, void *args);
void pipe_handle_peek(struct request *request, void *args);
void pipe_handle_flush(struct request *request, void *args);
void pipe_handle_transact(struct request *request, void *args);
void pipe_handle_cancel(struct request *request, void *args);

/* Leaves a call waiting that ends with IPC9_STATUS_TIMEDOUT; or ends it, because it may not wait. */
void pipe_park(struct request *request, struct list *queue, uint32_t wait_ms);

#endif
