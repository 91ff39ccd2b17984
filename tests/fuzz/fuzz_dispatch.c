/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_dispatch.c - the daemon's services behind the engine, in this process, under any sequence of calls from
 * several clients.
 *
 * Input: steps (enum step), each a byte that says what happens and on which connection, then what it needs.
 * The clients are two local ones of one user, one over the network whose claims are trusted (of that
 * user, another, or root), and one that sends datagrams.  Time is the harness's own, so that waits end without waiting.
 *
 * What is claimed, as long as a client sends well-formed calls only: its connection stays; every call is
 * answered in the end, once, on its own connection (a datagram never); a refusal has the size it must have; a
 * success decodes as the procedure's result, whole; a local procedure does not succeed from elsewhere.  And
 * whoever they are, nothing that is bound to a connection is left when all are gone.
 */
#include "tests/fuzz/fuzz.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/daemon.h"
#include "transport/connection.h"
#include "transport/record.h"
#include "util/clock.h"
#include "util/text.h"
#include "xdr/stream.h"

#define CALLS_MAX 1024
#define ARGS_MAX 2048
#define ROUNDS_MAX 64  /* until every call has ended: 64 leave their queue in each */
#define ROUND_MS 31000 /* longer than IPC9_WAIT_MAX_MS and the engine's own limits */

enum step {
	STEP_CALL,    /* service, procedure, length of the arguments, arguments */
	STEP_PAYLOAD, /* the same, and a payload of that many bytes behind them */
	STEP_RAW,     /* length, bytes of the stream or datagram */
	STEP_PASS,    /* milliseconds / 8 */
	STEP_LEAVE,   /* the client goes, and another comes in its place */
	STEP_CREDENTIAL,
	STEP_GIVE, /* which descriptors go with the next call of a local client */
	STEPS,
};

enum {
	LOCAL,
	OTHER,
	REMOTE,
	DATAGRAM,
	CLIENTS
};

struct client {
	int fd;	   /* our end; -1: closed by the server */
	bool wild; /* has sent bytes that were no call: nothing is claimed any more */
	struct record_reader reader;
	unsigned credential;
	unsigned gives; /* enum gift, of the next call */
};

/* Memory as filemap.x wants it; the same the wrong way round; a file too many; one that is none. */
enum gift {
	GIFT_NONE,
	GIFT_MEMORY,
	GIFT_TURNED,
	GIFT_SURPLUS,
	GIFT_FOLDER,
	GIFTS,
};

struct outstanding {
	const struct procedure *procedure; /* NULL: no such one */
	unsigned client;
	bool open; /* not answered */
};

struct world {
	struct daemon daemon;
	struct access_rule rule;
	struct address_range trusted;
	struct client clients[CLIENTS];
	struct outstanding calls[CALLS_MAX]; /* by xid */
	unsigned n_calls, n_open;
	struct input in;
	struct loop_timer tick;
	unsigned idle;	  /* ticks since the input was used up */
	unsigned reading; /* the client whose records are taken */
	int memory_fd, reader_fd, folder_fd;
};

/* --- Time -------------------------------------------------------------------------------------- */

static int64_t fuzz_now = 1000 * NS_PER_S;

int __real_clock_gettime(clockid_t clock, struct timespec *ret);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret);

/* Every look at the clock takes a microsecond. */
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret)
{
	if (clock != CLOCK_MONOTONIC)
		return __real_clock_gettime(clock, ret);
	fuzz_now += 1000;
	ret->tv_sec = (time_t)(fuzz_now / NS_PER_S);
	ret->tv_nsec = (long)(fuzz_now % NS_PER_S);
	return 0;
}

/* --- Clients ----------------------------------------------------------------------------------- */

static void client_enter(struct world *w, unsigned which)
{
	struct client *c = &w->clients[which];
	struct peer peer = { .local = which < REMOTE, .uid = 1000, .gid = 1000 };
	int type = which == DATAGRAM ? SOCK_DGRAM : SOCK_STREAM, fds[2];

	CLAIM(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) == 0);
	if (which == REMOTE)
		CLAIM(address_parse("10.1.2.3", 700, &peer.address) == 0);
	if (which == DATAGRAM)
		CLAIM(server_receive(w->daemon.server, fds[1], true) == 0);
	else
		CLAIM(connection_new(w->daemon.server, fds[1], &peer) == 0);
	c->fd = fds[0];
	c->wild = false;
	c->credential = 0;
	record_reader_init(&c->reader, 4u << 20);
}

static void client_leave(struct world *w, unsigned which)
{
	struct client *c = &w->clients[which];

	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	record_reader_clear(&c->reader);
	for (unsigned i = 0; i < w->n_calls; i++)
		if (w->calls[i].open && w->calls[i].client == which) {
			w->calls[i].open = false;
			w->n_open--;
		}
}

static ssize_t send_with(const struct world *w, const struct client *c, const unsigned char *data,
    size_t size)
{
	const int gifts[GIFTS][3] = {
		[GIFT_MEMORY] = { w->memory_fd, w->reader_fd, -1 },
		[GIFT_TURNED] = { w->reader_fd, w->memory_fd, -1 },
		[GIFT_SURPLUS] = { w->memory_fd, w->reader_fd, w->reader_fd },
		[GIFT_FOLDER] = { w->folder_fd, w->folder_fd, -1 },
	};
	unsigned n = c->gives == GIFT_SURPLUS ? 3 : 2;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(3 * sizeof(int))] = { 0 };
	struct iovec iov = { (void *)(uintptr_t)data, size };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct cmsghdr *header;

	if (c->gives == GIFT_NONE || !size)
		return send(c->fd, data, size, MSG_NOSIGNAL);
	message.msg_control = control;
	message.msg_controllen = CMSG_SPACE(n * sizeof(int));
	header = CMSG_FIRSTHDR(&message);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(n * sizeof(int));
	memcpy(CMSG_DATA(header), gifts[c->gives], n * sizeof(int));
	return sendmsg(c->fd, &message, MSG_NOSIGNAL);
}

static void client_send(struct world *w, unsigned which, const unsigned char *data, size_t size)
{
	struct client *c = &w->clients[which];
	ssize_t n;

	if (c->fd < 0)
		return;
	n = send_with(w, c, data, size);
	c->gives = GIFT_NONE;
	/* What the server does not read now ends this client. */
	if (n != (ssize_t)size && which != DATAGRAM) {
		client_leave(w, which);
		client_enter(w, which);
	}
}

/* --- Answers ----------------------------------------------------------------------------------- */

static void claim_results(const struct procedure *p, const unsigned char *data, size_t size)
{
	_Alignas(max_align_t) unsigned char results[DISPATCH_ARGS_MAX] = { 0 };
	XDR xdrs;

	xdr_record_create(&xdrs, data, size, NULL);
	CLAIM(p->results(&xdrs, results));
	CLAIM(xdr_record_left(&xdrs) == 0);
	xdr_free(p->results, (char *)results);
}

static uint32_t word_at(const unsigned char *data, size_t size, size_t i)
{
	uint32_t word;

	CLAIM(size >= 4 * (i + 1));
	memcpy(&word, data + 4 * i, 4);
	return ntohl(word);
}

static void claim_answer(const struct outstanding *o, const unsigned char *data, size_t size)
{
	const struct procedure *p = o->procedure;
	uint32_t stat;

	CLAIM(word_at(data, size, 1) == REPLY);
	if (word_at(data, size, 2) == MSG_DENIED) {
		CLAIM(word_at(data, size, 3) == AUTH_ERROR && size == 20);
		return;
	}
	CLAIM(word_at(data, size, 2) == MSG_ACCEPTED);
	CLAIM(word_at(data, size, 3) == AUTH_NONE && word_at(data, size, 4) == 0);
	stat = word_at(data, size, 5);
	if (stat == SUCCESS) {
		CLAIM(p);
		CLAIM(!(p->flags & PROCEDURE_LOCAL) || o->client < REMOTE);
		claim_results(p, data + 24, size - 24);
		return;
	}
	CLAIM(stat == PROG_UNAVAIL || stat == PROG_MISMATCH || stat == PROC_UNAVAIL ||
	    stat == GARBAGE_ARGS);
	CLAIM(size == (stat == PROG_MISMATCH ? 32 : 24));
}

static void on_reply(void *context, const unsigned char *data, size_t size, struct bytes *owner)
{
	struct world *w = context;
	struct outstanding *o;
	uint32_t xid;

	(void)owner;
	if (w->clients[w->reading].wild)
		return;
	xid = word_at(data, size, 0);
	CLAIM(xid < w->n_calls);
	o = &w->calls[xid];
	CLAIM(o->open && o->client == w->reading);
	claim_answer(o, data, size);
	o->open = false;
	w->n_open--;
}

static void take_replies(struct world *w, unsigned which)
{
	static unsigned char buffer[65536];
	struct client *c = &w->clients[which];
	ssize_t n = -1;

	w->reading = which;
	while (c->fd >= 0 && (n = recv(c->fd, buffer, sizeof(buffer), 0)) > 0) {
		CLAIM(which != DATAGRAM);
		CLAIM(record_reader_feed(&c->reader, buffer, (size_t)n, on_reply, w) == 0);
	}
	if (c->fd >= 0 && which != DATAGRAM && (n == 0 || errno != EAGAIN)) {
		CLAIM(c->wild);
		client_leave(w, which);
		client_enter(w, which);
	}
}

/* --- Steps ------------------------------------------------------------------------------------- */

static size_t n_services(void)
{
	size_t n = 0;

	while (services[n])
		n++;
	return n;
}

/* One in n + 1 is no service of ours. */
static const struct service *choose(unsigned choice, struct message_call *header)
{
	const struct service *s = services[choice % (n_services() + 1)];

	header->program = s ? s->program : 0x20490002;
	header->version = s ? s->version : 1;
	if (choice & 0x80)
		header->version++;
	return choice & 0x80 ? NULL : s;
}

static void set_credential(struct message_call *header, unsigned choice)
{
	/* stamp, no name, uid, gid, one group */
	static const unsigned char user[24] = {
		[10] = 3, 0xe8, [14] = 3, 0xe9, [19] = 1, [23] = 5
	};
	static const unsigned char another[24] = { [10] = 3, 0xe9, [14] = 3, 0xe9 };
	static const unsigned char root[24] = { [19] = 1 };
	static const struct message_auth credentials[] = {
		{ AUTH_NONE, 0, user },
		{ AUTH_SYS, sizeof(user), user },
		{ AUTH_SYS, 20, another },
		{ AUTH_SYS, sizeof(root), root },
		{ AUTH_SYS, 20, user }, /* a group too few */
		{ AUTH_NONE, 4, user },
		{ RPCSEC_GSS, 8, user },
	};

	header->credential = credentials[choice % (sizeof(credentials) / sizeof(*credentials))];
}

static void note_call(struct world *w, unsigned which, const struct service *s, uint32_t number)
{
	struct outstanding *o = &w->calls[w->n_calls++];

	o->procedure = NULL;
	o->client = which;
	for (size_t i = 0; s && i < s->n_procedures; i++)
		if (s->procedures[i].number == number)
			o->procedure = &s->procedures[i];
	o->open = which != DATAGRAM;
	w->n_open += o->open;
}

static void step_call(struct world *w, unsigned which, bool payload)
{
	struct message_call header = { .xid = w->n_calls };
	const struct service *s = choose(input_byte(&w->in), &header);
	size_t len, n, start;
	unsigned char *mark = NULL, *flat;
	const uint8_t *args;
	struct gather out;

	header.procedure = input_byte(&w->in);
	len = input_short(&w->in);
	args = input_take(&w->in, payload ? input_byte(&w->in) : len % ARGS_MAX, &n);
	if (w->n_calls == CALLS_MAX)
		return;
	set_credential(&header, w->clients[which].credential);
	gather_init(&out);
	if (which != DATAGRAM)
		mark = message_begin_record(&out);
	start = out.size;
	CLAIM(message_put_call(&out, &header) == 0 && gather_copy(&out, args, n) == 0);
	if (payload) {
		const uint32_t word = htonl((uint32_t)len);
		size_t padded = (len + 3) & ~(size_t)3;
		unsigned char *at;

		CLAIM(gather_copy(&out, &word, 4) == 0);
		at = padded ? gather_reserve(&out, padded) : NULL;
		if (at)
			memset(at, 'p', padded);
	}
	if (mark)
		message_end_record(mark, out.size - start);
	flat = flatten(&out);
	note_call(w, which, s, header.procedure);
	client_send(w, which, flat, out.size);
	free(flat);
	gather_clear(&out);
}

static void step_raw(struct world *w, unsigned which)
{
	size_t n;
	const uint8_t *bytes = input_take(&w->in, input_short(&w->in) % ARGS_MAX, &n);

	w->clients[which].wild = true;
	if (n)
		client_send(w, which, bytes, n);
}

static void step(struct world *w)
{
	unsigned first = input_byte(&w->in), which = (first >> 3) % CLIENTS;

	switch (first % 8 % STEPS) {
	case STEP_CALL:
	case STEP_PAYLOAD:
		step_call(w, which, first % 8 % STEPS == STEP_PAYLOAD);
		break;
	case STEP_RAW:
		step_raw(w, which);
		break;
	case STEP_PASS:
		fuzz_now += (int64_t)input_short(&w->in) * 8 * NS_PER_MS;
		break;
	case STEP_LEAVE:
		if (which == DATAGRAM)
			break;
		client_leave(w, which);
		client_enter(w, which);
		break;
	case STEP_CREDENTIAL:
		w->clients[which].credential = input_byte(&w->in);
		break;
	case STEP_GIVE:
		w->clients[which].gives = input_byte(&w->in) % GIFTS;
		if (which >= REMOTE)
			w->clients[which].gives = GIFT_NONE;
		break;
	}
}

/* Whether a client that has kept to the protocol still waits for an answer. */
static bool is_waiting(const struct world *w)
{
	for (unsigned i = 0; w->n_open && i < w->n_calls; i++)
		if (w->calls[i].open && !w->clients[w->calls[i].client].wild)
			return true;
	return false;
}

static void on_tick(struct loop_timer *timer)
{
	struct world *w = LIST_ENTRY(timer, struct world, tick);

	for (unsigned i = 0; i < CLIENTS; i++)
		take_replies(w, i);
	if (w->in.left) {
		step(w);
	} else {
		/* Two ticks for what lies in the sockets; then the waits end. */
		if (++w->idle > 3 && w->idle % 4 == 0)
			fuzz_now += ROUND_MS * NS_PER_MS;
		if (w->idle > 8 && !is_waiting(w)) {
			loop_stop(w->daemon.loop);
			return;
		}
		CLAIM(w->idle < 8 + 4 * ROUNDS_MAX);
	}
	CLAIM(loop_timer_set(w->daemon.loop, timer, clock_now()) == 0);
}

static void make_gifts(struct world *w)
{
	char path[64];

	w->memory_fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CLAIM(w->memory_fd >= 0 && fchmod(w->memory_fd, 0600) == 0);
	CLAIM(ftruncate(w->memory_fd, 4096) == 0);
	CLAIM(fcntl(w->memory_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0);
	text_format(path, sizeof(path), "/proc/self/fd/%d", w->memory_fd);
	w->reader_fd = open(path, O_RDONLY | O_CLOEXEC);
	w->folder_fd = open("/", O_RDONLY | O_CLOEXEC | O_DIRECTORY);
	CLAIM(w->reader_fd >= 0 && w->folder_fd >= 0);
}

/* --- The daemon -------------------------------------------------------------------------------- */

static void start(struct world *w)
{
	static const struct server_ops ops = {
		.call_size = sizeof(struct request),
		.call = dispatch_call,
		.admit = daemon_admit,
		.takes_descriptors = true,
	};
	/* Little enough that inputs come to the shares. */
	static const uint64_t totals[QUOTA_RESOURCES] = {
		[QUOTA_OBJECTS] = 12,
		[QUOTA_BYTES] = 300000,
		[QUOTA_WAITING] = 12,
		[QUOTA_CONNECTIONS] = 100,
		[QUOTA_NETWORK] = 100,
		[QUOTA_DESCRIPTORS] = 12,
	};
	static const struct server_limits limits = { .record_bytes = IPC9_RECORD_MAX };
	struct daemon *d = &w->daemon;

	config_init(&d->config);
	d->config.listen = LISTEN_NOTHING;
	text_format(d->host, sizeof(d->host), "fuzz");
	d->lock_fd = d->all4 = d->all6 = -1;
	d->started = clock_now();
	CLAIM(!access_rule_parse("anyone read,write,create,delete", true, &w->rule));
	CLAIM(address_range_parse("10.0.0.0/8", &w->trusted) == 0);
	d->access = (struct access){
		.rules = { &w->rule, 1 }, .trusted = &w->trusted, .n_trusted = 1, .daemon_uid = 4242
	};
	CLAIM(loop_new(&d->loop) == 0);
	CLAIM(server_new(d->loop, &ops, d, &limits, &d->server) == 0);
	d->quota = quota_new(totals, 0);
	CLAIM(d->quota);
	for (size_t i = 0; services[i]; i++)
		CLAIM(!services[i]->start || services[i]->start(d, &d->states[i]) == 0);
	make_gifts(w);
	for (unsigned i = 0; i < CLIENTS; i++)
		client_enter(w, i);
}

/* What lives only as long as its connection is gone with the last one. */
static void claim_nothing_left(const struct daemon *d)
{
	static const char *const passing[] = { "pipe.names", "pipe.instances", "mailslot.slots",
		"mailslot.bytes", "clipboard.copies", "bench.raw", "filemap.handles" };
	ipc9_number numbers[IPC9_NUMBER_LIST_MAX];
	struct tally tally = { numbers, 0, IPC9_NUMBER_LIST_MAX };

	for (size_t i = 0; services[i]; i++)
		if (services[i]->count)
			services[i]->count(d->states[i], &tally);
	for (unsigned i = 0; i < tally.n; i++)
		for (size_t j = 0; j < sizeof(passing) / sizeof(passing[0]); j++)
			if (strcmp(numbers[i].name, passing[j]) == 0)
				CLAIM(numbers[i].value == 0);
}

static void stop(struct world *w)
{
	struct daemon *d = &w->daemon;

	for (unsigned i = 0; i < CLIENTS; i++)
		client_leave(w, i);
	loop_timer_clear(&w->tick);
	d->server = server_free(d->server);
	close(w->memory_fd);
	close(w->reader_fd);
	close(w->folder_fd);
	claim_nothing_left(d);
	for (size_t i = 0; services[i]; i++)
		if (services[i]->stop && d->states[i])
			services[i]->stop(d->states[i]);
	for (int i = 0; i < QUOTA_RESOURCES; i++)
		CLAIM(quota_total_used(d->quota, (enum quota_resource)i) == 0);
	d->quota = quota_free(d->quota);
	d->loop = loop_free(d->loop);
	config_clear(&d->config);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct world *w = calloc(1, sizeof(*w));

	CLAIM(w);
	fuzz_now = 1000 * NS_PER_S;
	w->in = (struct input){ data, size };
	w->tick.fn = on_tick;
	start(w);
	CLAIM(loop_timer_set(w->daemon.loop, &w->tick, clock_now()) == 0);
	CLAIM(loop_run(w->daemon.loop) == 0);
	stop(w);
	free(w);
	return 0;
}
