/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * speed.h - what the parts of tests/bench/speed share.
 *
 * One process measures: it starts a server and a client for each figure, both of them this same program once more,
 * and reads what the client found out.  A client or server that cannot go on says why and exits.
 */
#ifndef BENCH_SPEED_H
#define BENCH_SPEED_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SMALL_BYTES 64
#define DATAGRAM_BYTES 400
#define NEWS_BYTES 4096
#define BULK_BYTES 1048576
#define PIECE_BYTES 65536
#define PLACE_BYTES 65536u /* what is published or given back in place at a time */
#define BATCH_CALLS 64
#define CALLERS 64
#define FOLDER_VARIABLE "IPC9_SPEED_FOLDER" /* where servers may put files */
#define SPIN_NS 50000			    /* of the spinning raw reference */

/* --- Peers: the two sides that are compared ---------------------------------------------------- */

/* What a client asks for; fixed for its life. */
struct work {
	const char *address; /* HOST:PORT, or the path of a local socket */
	bool is_stream;	     /* send and finish; else call and batches */
	bool is_datagram;
	unsigned depth; /* bulk calls in flight; 0: one after another by the stub */
	size_t bytes;	/* of each call or message */
};

struct peer {
	const char *name;
	/* Does not return.  netid: tcp, udp, local; address: HOST, or a path.  Calls tell_port once. */
	void (*serve)(const char *netid, const char *address);

	void *(*open)(const struct work *work);
	void (*call)(void *client); /* sends work.bytes, gets them back */
	/* BATCH_CALLS of these together, when all have ended the next ones, until then; how many calls. */
	uint64_t (*batches)(void *client, int64_t until_ns);
	void (*send)(void *client);	  /* work.bytes one way */
	uint64_t (*finish)(void *client); /* waits for the last; the bytes that the receiver has */
};

extern const struct peer raw_peer, raw_epoll_peer, raw_spin_peer, our_peer, our_shared_peer;
extern const struct peer ring_peer, ring_as_pipe_peer, ring_place_peer, memcpy_peer, slot_spin_peer,
    slot_futex_peer, bare_spin_peer, bare_futex_peer, raw_tuned_peer, pipe_peer, pipe_started_peer,
    pipe_place_peer, pipe_calls_peer;

/* --- Loads: what clients do -------------------------------------------------------------------- */

struct load {
	const struct peer *peer;
	struct work work;
	double seconds;
	unsigned n; /* connections */
	pid_t server;
	const char *protocol; /* of a crowd */
};

/* Each prints one line of KEY=VALUE words. */
void load_latency(const struct load *load);   /* us */
void load_batches(const struct load *load);   /* calls_s */
void load_callers(const struct load *load);   /* calls_s */
void load_bulk(const struct load *load);      /* mb_s cpu_s_gb */
void load_datagrams(const struct load *load); /* calls_s */

/* Of ours only: makes calls, then waits for a reply as idle as can be; cpu_percent of both ends. */
void load_idle(const struct load *load);

/* Of pipes only: us of one open, behind which the other end is asked; mib of n of them with nothing to do. */
void load_opens(const struct load *load);
void load_pipes(const struct load *load);

/* n pipes with nothing to do; prints `answered`, and stays. */
void crowd_pipes(const struct load *load);

/* n connections that have called once and do nothing then; prints `answered`, and stays. */
void crowd_idle(const struct load *load);

/* n connections wait for news; us until the last one has it.  protocol: ours, raw, redis. */
void crowd_news(const struct load *load);

/* The raw server of crowd_news; does not return. */
void crowd_serve(const char *host);

/* --- In place ---------------------------------------------------------------------------------- */

/* What a receiver tells at the end; sum: of what it looked at in place. */
struct total {
	uint64_t bytes, sum;
};

/* Bytes to be sent, on a page of their own; and the sum of all their 64-bit words, so that each was looked at. */
char *memory_for(size_t size);
uint64_t sum_of(const void *data, size_t size);

/* --- Helpers ----------------------------------------------------------------------------------- */

_Noreturn void die(const char *what);
int64_t now_ns(void);
int64_t cpu_ns(pid_t pid);		 /* used so far; 0: this process */
double median(double *values, size_t n); /* sorts them */
void put_all(int fd, const void *data, size_t size);
void get_all(int fd, void *data, size_t size);
int reach(const char *address, int type);
int listen_at(const char *netid, const char *address);
void tell_port(uint16_t port); /* prints it, for whoever started this server */
void no_delay(int fd);
uint16_t free_port(void); /* that nobody has now */

#endif
