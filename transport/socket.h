/* SPDX-License-Identifier: BSD-3-Clause */
/* socket.h - the sockets that both halves of the engine make. */
#ifndef TRANSPORT_SOCKET_H
#define TRANSPORT_SOCKET_H

#include <stdbool.h>

#include "transport/address.h"

/*
 * What every TCP connection of ours has: no delay for small records, and a limit for hosts that vanished: 25 s
 * from the last sign of life, by keep-alive where nothing is under way and by the user timeout where something
 * is.  The latter also ends a connection whose peer has let its window stay closed that long; neither of our
 * halves does that.
 */
void socket_tune(int fd);

/* A nonblocking listening stream socket; IPv6 ones take IPv6 only.  0 or -errno. */
int socket_listen(const struct address *address, int *ret_fd);

/* A nonblocking datagram socket bound to the address; shared: others may bind it too (groups). */
int socket_receive(const struct address *address, bool shared, int *ret_fd);

#endif
