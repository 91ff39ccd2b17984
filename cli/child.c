/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * child.c - commands: finding them, what they are told about a client, and starting them by ipc9_spawn.
 *
 * Descriptors of ours do not reach them: all are close-on-exec but the copies made for them.
 */
#include "cli/child.h"

#include <errno.h>
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

int child_run(const struct child_command *command, struct ipc9_child **ret,
    struct ipc9_error *ret_error)
{
	const struct ipc9_spawn_options options = {
		.program = command->path,
		.signal_mask = &command->signal_mask,
		.keep_descriptors = true, /* those that whoever started us meant for it */
	};

	return ipc9_spawn((const char *const *)command->argv, &options, ret, ret_error);
}

int child_start(const struct child_command *command, const struct ipc9_identity *client,
    struct ipc9_child **ret, struct ipc9_error *ret_error)
{
	_cleanup_(child_environment_freep) struct child_environment environment = { .uid = "" };
	struct ipc9_spawn_options options = {
		.program = command->path,
		.streams = IPC9_CHILD_STDIN | IPC9_CHILD_STDOUT,
		.signal_mask = &command->signal_mask,
		.group = true,
		.keep_descriptors = true,
	};
	int r = child_environment_init(&environment, client);

	if (r) {
		(void)snprintf(ret_error->text, sizeof(ret_error->text), "%s: %s", command->path,
		    strerror(-r));
		return r;
	}
	options.environment = (const char *const *)environment.variables;
	return ipc9_spawn((const char *const *)command->argv, &options, ret, ret_error);
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
