/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * child.c - starting a command with its standard input and output on pipe(7)s.
 *
 * Descriptors of ours do not reach it: all are close-on-exec but the copies made for it.  It gets the default
 * action for the signals that we ignore or block, and standard error as we have it.
 */
#include "cli/child.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/io.h"
#include "cli/output.h"

extern char **environ;

/* --- Finding the program ----------------------------------------------------------------------- */

/* 0 if path can be executed, else -errno. */
static int child_check(const char *path)
{
	struct stat stat_buffer;

	if (stat(path, &stat_buffer) < 0)
		return -errno;
	if (!S_ISREG(stat_buffer.st_mode) || access(path, X_OK) < 0)
		return -EACCES;
	return 0;
}

static int child_find(const char *name, char **ret_path)
{
	const char *folders = getenv("PATH");
	int r = -ENOENT;

	if (strchr(name, '/')) {
		r = child_check(name);
		if (r == 0)
			r = (*ret_path = strdup(name)) ? 0 : -ENOMEM;
		return r;
	}
	if (!folders)
		folders = "/usr/local/bin:/usr/bin:/bin";
	for (;;) {
		size_t size = strcspn(folders, ":");
		char *path;
		int check;

		/* An empty folder is the current one. */
		if (asprintf(&path, "%.*s%s%s", (int)size, folders, size ? "/" : "./", name) < 0)
			return -ENOMEM;
		check = child_check(path);
		if (check == 0) {
			*ret_path = path;
			return 0;
		}
		free(path);
		if (check == -EACCES)
			r = check;
		if (folders[size] == '\0')
			return r;
		folders += size + 1;
	}
}

int child_command_begin(struct child_command *command, char **argv, const sigset_t *signal_mask)
{
	*command = (struct child_command){ .argv = argv, .signal_mask = *signal_mask };
	return child_find(argv[0], &command->path);
}

void child_command_end(struct child_command *command)
{
	free(command->path);
}

/* --- Its environment --------------------------------------------------------------------------- */

#define CHILD_VARIABLES 3

struct child_environment {
	char uid[32], host[320], how[32];
	char **variables; /* ours; what it points to is above, or environ's */
};

static void child_environment_freep(struct child_environment *environment)
{
	free(environment->variables);
}

static int child_environment_init(struct child_environment *environment,
    const struct ipc9_identity *client)
{
	size_t n = 0, n_out = 0;

	while (environ && environ[n])
		n++;
	environment->variables = calloc(n + CHILD_VARIABLES + 1, sizeof(char *));
	if (!environment->variables)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		if (strncmp(environ[i], "IPC9_PEER_", 10) != 0)
			environment->variables[n_out++] = environ[i];
	if (client->how == IPC9_HOW_NONE)
		(void)snprintf(environment->uid, sizeof(environment->uid), "IPC9_PEER_UID=");
	else
		(void)snprintf(environment->uid, sizeof(environment->uid), "IPC9_PEER_UID=%u",
		    client->uid);
	(void)snprintf(environment->host, sizeof(environment->host), "IPC9_PEER_HOST=%s",
	    client->host);
	(void)snprintf(environment->how, sizeof(environment->how), "IPC9_PEER_HOW=%s",
	    output_how(client->how));
	environment->variables[n_out++] = environment->uid;
	environment->variables[n_out++] = environment->host;
	environment->variables[n_out++] = environment->how;
	return 0;
}

/* --- Starting ---------------------------------------------------------------------------------- */

/* 0 or -errno. */
static int child_spawn(const struct child_command *command, char **variables, int stdin_fd,
    int stdout_fd, pid_t *ret_pid)
{
	const short flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	sigset_t defaults;
	int r;

	(void)sigemptyset(&defaults);
	(void)sigaddset(&defaults, SIGPIPE); /* main ignores it */
	r = posix_spawnattr_init(&attributes);
	if (r)
		return -r;
	r = posix_spawn_file_actions_init(&actions);
	if (r) {
		(void)posix_spawnattr_destroy(&attributes);
		return -r;
	}
	(void)posix_spawnattr_setflags(&attributes, flags);
	(void)posix_spawnattr_setpgroup(&attributes, 0);
	(void)posix_spawnattr_setsigmask(&attributes, &command->signal_mask);
	(void)posix_spawnattr_setsigdefault(&attributes, &defaults);
	r = posix_spawn_file_actions_adddup2(&actions, stdin_fd, STDIN_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, stdout_fd, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn(ret_pid, command->path, &actions, &attributes, command->argv,
		    variables);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attributes);
	return -r;
}

int child_start(const struct child_command *command, const struct ipc9_identity *client,
    pid_t *ret_pid, int *ret_stdin_fd, int *ret_stdout_fd)
{
	_cleanup_(child_environment_freep) struct child_environment environment = { .uid = "" };
	int to_fds[2] = { -1, -1 }, from_fds[2] = { -1, -1 }, r = 0;

	if (pipe2(to_fds, O_CLOEXEC) < 0 || pipe2(from_fds, O_CLOEXEC) < 0)
		r = -errno;
	if (r == 0)
		r = child_environment_init(&environment, client);
	if (r == 0)
		r = child_spawn(command, environment.variables, to_fds[0], from_fds[1], ret_pid);
	(void)io_close(&to_fds[0]);
	(void)io_close(&from_fds[1]);
	if (r) {
		(void)io_close(&to_fds[1]);
		(void)io_close(&from_fds[0]);
		return r;
	}
	*ret_stdin_fd = to_fds[1];
	*ret_stdout_fd = from_fds[0];
	return 0;
}

void child_status_text(int wait_status, char text[CHILD_STATUS_BYTES])
{
	text[0] = '\0';
	if (WIFSIGNALED(wait_status))
		(void)snprintf(text, CHILD_STATUS_BYTES, "signal %d (%s)", WTERMSIG(wait_status),
		    sigdescr_np(WTERMSIG(wait_status)));
	else if (WEXITSTATUS(wait_status) != 0)
		(void)snprintf(text, CHILD_STATUS_BYTES, "exit status %d",
		    WEXITSTATUS(wait_status));
}
