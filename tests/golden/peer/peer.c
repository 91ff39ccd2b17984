/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * peer.c - one end of an rpcgen program that uses every type, by our engine or by libtirpc's.
 *
 *	peer serve ours|stock			on loopback; prints its ports, "TCP UDP", and serves until SIGTERM
 *	peer call ours|stock tcp|udp PORT	calls, and checks what comes back
 *
 * The server turns every value into its contrary, and the client does the same with what it sent.  Both must
 * have the same bytes then.
 */
#include <arpa/inet.h>
#include <float.h>
#include <netinet/in.h>
#include <rpc/pmap_clnt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/ipc9_rpc.h"
#include "peer.h"

#define ENCODED_MAX (PEER_OPAQUE_MAX + 8192)

void peer_prog_1(struct svc_req *request, SVCXPRT *transport);

/* --- Values ------------------------------------------------------------------------------------ */

static void reverse(void *at, size_t n)
{
	char *a = at, *b = a + n, c;

	while (n && a < --b) {
		c = *a;
		*a++ = *b;
		*b = c;
	}
}

static void turn_point(peer_point *p)
{
	p->x = (short)~p->x;
	p->y = -p->y;
}

static void turn(peer_types *v)
{
	v->number = ~v->number;
	v->bits = ~v->bits;
	v->large = ~v->large;
	v->large_bits = ~v->large_bits;
	v->single = -v->single;
	v->twice = -v->twice;
	v->yes = !v->yes;
	v->color = v->color == PEER_RED ? PEER_BLUE : PEER_RED;
	reverse(v->text, strlen(v->text));
	reverse(v->fixed, sizeof(v->fixed));
	reverse(v->data.data_val, v->data.data_len);
	reverse(v->octets, sizeof(v->octets));
	for (u_int i = 0; i < v->points.points_len; i++)
		turn_point(&v->points.points_val[i]);
	if (v->choice.arm == 1)
		v->choice.peer_choice_u.number = ~v->choice.peer_choice_u.number;
	else if (v->choice.arm == 2)
		reverse(v->choice.peer_choice_u.text, strlen(v->choice.peer_choice_u.text));
	if (v->optional)
		turn_point(v->optional);
}

static const peer_types smallest = { .text = (char *)"" };

static const peer_types extremes = {
	.number = -2147483647 - 1,
	.bits = 0x80000001,
	.large = -9223372036854775807 - 1,
	.large_bits = 0x8000000000000001,
	.single = FLT_MIN,
	.twice = -4.9406564584124654e-324,
	.yes = TRUE,
	.color = PEER_BLUE,
	.text = (char *)"na\xc3\xafve",
	.fixed = "\0\1\2\xfd\xfe\xff",
	.data = { 7, (char *)"\xff\0\xfe\0\1\2\3" },
	.octets = { 0, 127, 255 },
	.points = { 3,
	    (peer_point[]){ { -32768, DBL_MAX }, { 32767, -DBL_MIN }, { -1, 3.141592653589793 } } },
	.choice = { .arm = 1, .peer_choice_u.number = 0x0102030405060708 },
	.optional = &(peer_point){ 258, 1.0 / 3 },
};

static const peer_types plain = {
	.number = 0x01020304,
	.large = -2,
	.large_bits = 0x0102030405060708,
	.single = 1.5f,
	.twice = 1e300,
	.text = (char *)"text",
	.choice = { .arm = 2, .peer_choice_u.text = (char *)"chosen" },
	.data = { 1, (char *)"x" },
};

/* --- The server -------------------------------------------------------------------------------- */

bool_t peer_null_1_svc(void *argument, void *result, struct svc_req *request)
{
	(void)argument, (void)result, (void)request;
	return TRUE;
}

bool_t peer_turn_1_svc(peer_types *argument, peer_types *result, struct svc_req *request)
{
	(void)request;
	*result = *argument;
	memset(argument, 0, sizeof(*argument));
	turn(result);
	return TRUE;
}

int peer_prog_1_freeresult(SVCXPRT *transport, xdrproc_t xdr, caddr_t result)
{
	(void)transport;
	xdr_free(xdr, result);
	return 1;
}

static int tell(unsigned tcp, unsigned udp)
{
	printf("%u %u\n", tcp, udp);
	return fflush(stdout);
}

static struct ipc9_rpc_server *server; /* for the signal handler */

static void stop(int signal_number)
{
	(void)signal_number;
	ipc9_rpc_server_stop(server);
}

static int serve_ours(void)
{
	struct ipc9_rpc_server_options options = { .threads = 2, .no_rpcbind = true };
	struct ipc9_error error;

	if (ipc9_rpc_server_new(&options, &server, &error) ||
	    ipc9_rpc_server_listen(server, "tcp", NULL, &error) ||
	    ipc9_rpc_server_listen(server, "udp", NULL, &error) ||
	    ipc9_rpc_server_add(server, PEER_PROG, PEER_VERS, peer_prog_1, &error)) {
		fprintf(stderr, "peer: %s\n", error.text);
		return 1;
	}
	signal(SIGTERM, stop);
	tell(ipc9_rpc_server_port(server, "tcp"), ipc9_rpc_server_port(server, "udp"));
	ipc9_rpc_server_run(server);
	ipc9_rpc_server_free(server);
	return 0;
}

static int loopback_socket(int type)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, type, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) ||
	    (type == SOCK_STREAM && listen(fd, 8))) {
		perror("peer: socket");
		exit(1);
	}
	return fd;
}

static void stop_stock(int signal_number)
{
	(void)signal_number;
	_exit(0);
}

static int serve_stock(void)
{
	SVCXPRT *tcp = svctcp_create(loopback_socket(SOCK_STREAM), 0, 0);
	SVCXPRT *udp = svcudp_create(loopback_socket(SOCK_DGRAM));

	/* Protocol 0: rpcbind is not told. */
	if (!tcp || !udp || !svc_register(tcp, PEER_PROG, PEER_VERS, peer_prog_1, 0)) {
		fprintf(stderr, "peer: libtirpc does not serve\n");
		return 1;
	}
	signal(SIGTERM, stop_stock);
	tell(tcp->xp_port, udp->xp_port);
	svc_run();
	return 1;
}

/* --- The client -------------------------------------------------------------------------------- */

static char *encode(const peer_types *v, u_int *ret_size)
{
	char *to = malloc(ENCODED_MAX);
	peer_types copy = *v; /* xdr_u_char writes to what it encodes */
	XDR xdrs;

	if (!to)
		abort();
	xdrmem_create(&xdrs, to, ENCODED_MAX, XDR_ENCODE);
	if (!xdr_peer_types(&xdrs, &copy))
		abort();
	*ret_size = xdr_getpos(&xdrs);
	return to;
}

/* What the server must answer: decoded from what we send, so that it may be changed. */
static char *contrary(const peer_types *v, u_int *ret_size)
{
	char *bytes = encode(v, ret_size), *expected;
	peer_types copy = { 0 };
	XDR xdrs;

	xdrmem_create(&xdrs, bytes, *ret_size, XDR_DECODE);
	if (!xdr_peer_types(&xdrs, &copy))
		abort();
	turn(&copy);
	expected = encode(&copy, ret_size);
	xdr_free((xdrproc_t)xdr_peer_types, (char *)&copy);
	free(bytes);
	return expected;
}

static bool call(CLIENT *client, const char *name, const peer_types *v)
{
	u_int n_expected, n_got;
	char *expected = contrary(v, &n_expected), *got;
	peer_types copy = *v, result = { 0 };
	bool same;

	if (peer_turn_1(&copy, &result, client) != RPC_SUCCESS) {
		clnt_perror(client, name);
		free(expected);
		return false;
	}
	got = encode(&result, &n_got);
	same = n_got == n_expected && memcmp(got, expected, n_got) == 0;
	if (!same)
		fprintf(stderr, "peer: %s: the answer is not the contrary\n", name);
	xdr_free((xdrproc_t)xdr_peer_types, (char *)&result);
	free(expected);
	free(got);
	return same;
}

static CLIENT *connect_ours(bool udp, const char *port)
{
	struct ipc9_rpc_options options = { .udp = udp };
	struct ipc9_error error;
	char target[32];
	CLIENT *client;

	snprintf(target, sizeof(target), "127.0.0.1:%s", port);
	client = ipc9_rpc_client(target, PEER_PROG, PEER_VERS, &options, &error);
	if (!client)
		fprintf(stderr, "peer: %s\n", error.text);
	return client;
}

static CLIENT *connect_stock(bool udp, const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = RPC_ANYSOCK;
	CLIENT *client;

	a.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	if (udp)
		client = clntudp_create(&a, PEER_PROG, PEER_VERS, (struct timeval){ 1, 0 }, &fd);
	else
		client = clnttcp_create(&a, PEER_PROG, PEER_VERS, &fd, 0, 0);
	if (!client)
		clnt_pcreateerror("peer");
	return client;
}

static int call_all(bool stock, bool udp, const char *port)
{
	CLIENT *client = stock ? connect_stock(udp, port) : connect_ours(udp, port);
	peer_types big = plain;
	bool good;

	if (!client)
		return 1;
	big.data.data_len = udp ? 6000 : PEER_OPAQUE_MAX;
	big.data.data_val = malloc(big.data.data_len);
	if (!big.data.data_val)
		abort();
	for (u_int i = 0; i < big.data.data_len; i++)
		big.data.data_val[i] = (char)(i * 31 >> 4);
	good = peer_null_1(NULL, &(char){ 0 }, client) == RPC_SUCCESS;
	good = call(client, "smallest", &smallest) && good;
	good = call(client, "extremes", &extremes) && good;
	good = call(client, "plain", &plain) && good;
	good = call(client, "big", &big) && good;
	free(big.data.data_val);
	clnt_destroy(client);
	return good ? 0 : 1;
}

int main(int argc, char **argv)
{
	bool stock = argc > 2 && strcmp(argv[2], "stock") == 0;

	if (argc == 3 && strcmp(argv[1], "serve") == 0)
		return stock ? serve_stock() : serve_ours();
	if (argc == 5 && strcmp(argv[1], "call") == 0)
		return call_all(stock, strcmp(argv[3], "udp") == 0, argv[4]);
	fprintf(stderr, "usage: peer serve ours|stock, peer call ours|stock tcp|udp PORT\n");
	return 2;
}
