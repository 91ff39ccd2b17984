/* SPDX-License-Identifier: BSD-3-Clause */
/* socket.h - the sockets that both halves of the engine make. */
#ifndef TRANSPORT_SOCKET_H
#define TRANSPORT_SOCKET_H

#include <stdbool.h>

#include "transport/address.h"

#define SOCKET_VANISHED_MS 25000 /* unless somebody says otherwise */

/*
 * What every TCP connection of ours has: no delay for small records, and a limit for hosts that vanished:
 * vanished_ms from the last sign of life, by keep-alive where nothing is under way and by the user timeout where
 * something is.  The latter also ends a connection whose peer has let its window stay closed that long;
 * neither of our halves does that.  The kernel looks every fifth of the time, and at most once a second.
 * Connections accepted from a listening socket have what that was told.
 */
void socket_tune(int fd, unsigned vanished_ms);

/*
 * Has a socket sleep through the middle of a long record: it becomes readable when so many of the missing bytes have
 * come as make a receive worth while (SO_RCVLOWAT), and never waits for more than that.  *current, from 1, is what it
 * was set to.  Local sockets do not know it, and are left alone.
 */
void socket_low_water(int fd, size_t missing, int *current);

/* A nonblocking listening stream socket; IPv6 ones take IPv6 only.  0 or -errno. */
int socket_listen(const struct address *address, int *ret_fd);

/* A nonblocking datagram socket bound to the address; shared: others may bind it too (groups). */
int socket_receive(const struct address *address, bool shared, int *ret_fd);

#endif
