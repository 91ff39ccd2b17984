/* SPDX-License-Identifier: BSD-3-Clause */
/* daemon.c - see daemon.h. */
#include "tests/daemon.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/harness.h"
#include "transport/connect.h"
#include "util/clock.h"
#include "util/text.h"

#define TRIES 5

static void give_up(const char *what)
{
	fprintf(stderr, "tests: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint16_t free_port(void)
{
	struct address a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	address_parse("127.0.0.1", 0, &a);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a.storage, a.len) ||
	    getsockname(fd, (struct sockaddr *)&a.storage, &a.len))
		give_up("no free port");
	close(fd);
	return address_port(&a);
}

static const char *program(void)
{
	static char path[PATH_MAX];
	ssize_t n;
	char *slash;

	if (getenv("IPC9D"))
		return getenv("IPC9D");
	n = readlink("/proc/self/exe", path, sizeof(path) - 16);
	if (n < 0)
		give_up("/proc/self/exe");
	path[n] = '\0';
	slash = strrchr(path, '/'); /* BUILD/tests/unit -> BUILD/ipc9d */
	*slash = '\0';
	slash = strrchr(path, '/');
	memcpy(slash + 1, "ipc9d", 6);
	return path;
}

static bool has_ended(const struct daemon_fixture *d)
{
	siginfo_t info = { .si_pid = 0 };

	return !waitid(P_PID, (id_t)d->pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid;
}

static bool answers(void *context)
{
	const struct daemon_fixture *d = context;
	struct address a;
	int fd;

	if (has_ended(d))
		return true;
	if (address_local(d->socket, &a) || connect_address(&a, clock_deadline_ms(1000), &fd))
		return false;
	close(fd);
	return true;
}

static void run(const struct daemon_fixture *d)
{
	char port[16], state[96];

	text_format(port, sizeof(port), "%u", d->port);
	text_format(state, sizeof(state), "%s/state", d->folder);
	if (!getenv("VERBOSE") && !freopen("/dev/null", "w", stderr))
		_exit(126);
	execl(program(), "ipc9d", "--socket", d->socket, "--state-dir", state, "--port", port,
	    "--config", d->config, "--no-rpcbind", (char *)NULL);
	_exit(127);
}

static void launch(struct daemon_fixture *d)
{
	/* Between us and the daemon somebody else may take the port. */
	for (int i = 0; i < TRIES; i++) {
		d->port = free_port();
		d->pid = fork();
		if (d->pid < 0)
			give_up("fork");
		if (d->pid == 0)
			run(d);
		if (!wait_until(answers, d, 10000))
			give_up("ipc9d does not answer");
		if (!has_ended(d))
			return;
		waitpid(d->pid, NULL, 0);
	}
	errno = 0;
	give_up("ipc9d ended at once");
}

void daemon_start(struct daemon_fixture *d, const char *configuration)
{
	FILE *f;

	memset(d, 0, sizeof(*d));
	text_format(d->folder, sizeof(d->folder), "/tmp/ipc9-daemon-XXXXXX");
	if (!mkdtemp(d->folder))
		give_up("mkdtemp");
	text_format(d->socket, sizeof(d->socket), "%s/run/ipc9d.sock", d->folder);
	text_format(d->config, sizeof(d->config), "%s/config", d->folder);
	f = fopen(d->config, "we");
	if (!f || fputs(configuration, f) < 0 || fclose(f))
		give_up(d->config);
	launch(d);
}

void daemon_restart(struct daemon_fixture *d)
{
	kill(d->pid, SIGKILL);
	waitpid(d->pid, NULL, 0);
	launch(d);
}

static void clean(struct daemon_fixture *d)
{
	static const char *const parts[] = { "run/ipc9d.sock", "run", "state/lock", "state",
		"config" };
	char path[160];

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		text_format(path, sizeof(path), "%s/%s", d->folder, parts[i]);
		remove(path);
	}
	EQUAL(rmdir(d->folder), 0);
}

void daemon_end(struct daemon_fixture *d)
{
	int status = -1;

	kill(d->pid, SIGTERM);
	waitpid(d->pid, &status, 0);
	HOLDS(WIFEXITED(status));
	EQUAL(WEXITSTATUS(status), 0);
	EQUAL(access(d->socket, F_OK), -1);
	clean(d);
}

void daemon_kill(struct daemon_fixture *d)
{
	kill(d->pid, SIGKILL);
	waitpid(d->pid, NULL, 0);
	clean(d);
}

struct channel *daemon_channel(const struct daemon_fixture *d, bool local)
{
	struct address a;
	struct channel *channel = NULL;
	int fd;

	if (local)
		address_local(d->socket, &a);
	else
		address_parse("127.0.0.1", d->port, &a);
	if (connect_address(&a, clock_deadline_ms(5000), &fd) || channel_new(fd, !local, &channel))
		give_up("cannot connect to ipc9d");
	return channel;
}

CLIENT *daemon_client(const struct daemon_fixture *d, bool local, uint32_t prog)
{
	struct channel *channel = daemon_channel(d, local);
	CLIENT *client = channel_client(channel, prog, 1);

	channel_unref(channel);
	daemon_patience(client, 5000);
	return client;
}

CLIENT *daemon_client_claiming(const struct daemon_fixture *d, uint32_t prog, uint32_t uid)
{
	CLIENT *client = daemon_client(d, false, prog);
	char host[] = "elsewhere";

	auth_destroy(client->cl_auth);
	client->cl_auth = authunix_create(host, uid, uid, 0, NULL);
	return client;
}

CLIENT *daemon_client_anonymous(const struct daemon_fixture *d, uint32_t prog)
{
	struct channel *channel = NULL;
	struct address a;
	CLIENT *client;
	int fd = -1;

	address_parse("127.0.0.1", d->port, &a);
	if (connect_address(&a, clock_deadline_ms(5000), &fd) || channel_new(fd, false, &channel))
		give_up("cannot connect to ipc9d");
	client = channel_client(channel, prog, 1);
	channel_unref(channel);
	daemon_patience(client, 5000);
	return client;
}

CLIENT *daemon_client_from(const struct daemon_fixture *d, unsigned n, uint32_t prog)
{
	struct sockaddr_in from = { .sin_family = AF_INET }, to = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct channel *channel = NULL;
	CLIENT *client;

	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + n);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_port = htons(d->port);
	if (fd < 0 || bind(fd, (const struct sockaddr *)&from, sizeof(from)) ||
	    connect(fd, (const struct sockaddr *)&to, sizeof(to)) ||
	    channel_new(fd, false, &channel))
		give_up("cannot connect to ipc9d");
	client = channel_client(channel, prog, 1);
	channel_unref(channel);
	daemon_patience(client, 5000);
	return client;
}

CLIENT *daemon_client_of(const struct daemon_fixture *d, uid_t uid, uint32_t program)
{
	CLIENT *client;

	if (chmod(d->folder, 0711) || seteuid(uid))
		give_up("cannot be another user");
	client = daemon_client(d, true, program);
	if (seteuid(0))
		give_up("cannot be root again");
	return client;
}

void daemon_client_end(CLIENT *client)
{
	if (client->cl_auth->ah_cred.oa_flavor == AUTH_SYS) {
		auth_destroy(client->cl_auth);
		client->cl_auth = authnone_create();
	}
	clnt_destroy(client);
}

void daemon_patience(CLIENT *client, unsigned ms)
{
	channel_client_deadline(client, clock_deadline_ms(ms));
}
