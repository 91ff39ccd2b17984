/* SPDX-License-Identifier: BSD-3-Clause */
/* socket.h - the sockets that both halves of the engine make. */
#ifndef TRANSPORT_SOCKET_H
#define TRANSPORT_SOCKET_H

#include <stdbool.h>
#include <stddef.h>

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
 * For a connection that was tuned and carries a pipe from now on, whose readers may take their time: a window that stays
 * closed does not end it.  Instead whoever waits asks now and then whether the peer has vanished: something of ours is under
 * way, and for the returned number of milliseconds, which is that of the tuning, there was no sign of life.
 */
unsigned socket_tune_pipe(int fd);
bool socket_has_vanished(int fd, unsigned vanished_ms);

/* Whether something that was written to a TCP connection, or its end, has not arrived, and still can. */
bool socket_is_sending(int fd);

/*
 * How a stream socket takes in long records.  In the middle of one it becomes readable when so many of the missing bytes have
 * come as make a receive worth while (SO_RCVLOWAT), and never waits for more than that record.  Where the next record
 * comes without waiting for the answer to this one, fewer and longer receives are faster; within one host the more so.
 */
struct bulk {
	int low_water;	   /* what is set; 1 from the start */
	bool is_local;	   /* a local socket, which does not know it */
	bool is_loopback;  /* both ends are on this host */
	bool is_pipelined; /* the last long record had another right behind it */
};

void bulk_init(struct bulk *bulk, int fd);

/* After each receive: so many bytes of the record at hand are missing, and one of more than BULK_MIN has just ended. */
#define BULK_MIN 65536
void bulk_expect(struct bulk *bulk, int fd, size_t missing, bool ended);

/* A nonblocking listening stream socket; IPv6 ones take IPv6 only.  0 or -errno. */
int socket_listen(const struct address *address, int *ret_fd);

/* A nonblocking datagram socket bound to the address; shared: others may bind it too (groups). */
int socket_receive(const struct address *address, bool shared, int *ret_fd);

#endif
