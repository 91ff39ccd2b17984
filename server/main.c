/* SPDX-License-Identifier: BSD-3-Clause */
/* main.c - ipc9d: the command line. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/config.h"
#include "server/daemon.h"

enum {
	EXIT_USAGE = 2,
};

enum {
	OPTION_CHECK = 256,
	OPTION_NO_RPCBIND,
	OPTION_USER,
};

static const struct {
	struct option option;
	const char *argument, *help;
} options[] = {
	{ { "port", required_argument, NULL, 'p' }, "N", "TCP and UDP port (default 20490)" },
	{ { "listen", required_argument, NULL, 'l' }, "WHERE",
	    "loopback (default), any, or addresses separated by commas" },
	{ { "socket", required_argument, NULL, 's' }, "PATH", "local socket" },
	{ { "state-dir", required_argument, NULL, 'd' }, "DIR", "folder for what is kept" },
	{ { "config", required_argument, NULL, 'c' }, "FILE",
	    "read FILE and no other configuration file" },
	{ { "check-config", no_argument, NULL, OPTION_CHECK }, NULL,
	    "read the configuration, say what is wrong or hardly meant, and end" },
	{ { "no-rpcbind", no_argument, NULL, OPTION_NO_RPCBIND }, NULL,
	    "do not register with rpcbind" },
	{ { "user", no_argument, NULL, OPTION_USER }, NULL,
	    "session agent: local socket only, under XDG_RUNTIME_DIR" },
	{ { "help", no_argument, NULL, 'h' }, NULL, "this text" },
	{ { "version", no_argument, NULL, 'V' }, NULL, "the version" },
};

#define N_OPTIONS (sizeof(options) / sizeof(options[0]))

static void print_help(void)
{
	printf("usage: ipc9d [OPTION...]\n"
	       "The daemon of ipc9, in the foreground.  SIGTERM ends it.\n\n");
	for (size_t i = 0; i < N_OPTIONS; i++) {
		char left[40];

		snprintf(left, sizeof(left), "--%s%s%s", options[i].option.name,
		    options[i].argument ? " " : "", options[i].argument ? options[i].argument : "");
		printf("  %-20s %s\n", left, options[i].help);
	}
	printf("\nSee ipc9d(8) and ipc9d.conf(5).\n");
}

static int finish_output(void)
{
	return fflush(stdout) || ferror(stdout) ? 1 : 0;
}

struct arguments {
	const char *file;
	bool check;
};

/* What the command line says is kept until files and environment were read. */
struct setting {
	const char *key, *value;
};

static int replace(char **path, const char *value)
{
	free(*path);
	*path = strdup(value);
	return *path ? 0 : -ENOMEM;
}

/* -1: go on; otherwise the exit status. */
static int parse(int argc, char **argv, struct config *c, struct arguments *a,
    struct setting settings[2])
{
	struct option longs[N_OPTIONS + 1];
	int o, r = 0;

	memset(longs, 0, sizeof(longs));
	for (size_t i = 0; i < N_OPTIONS; i++)
		longs[i] = options[i].option;
	while (!r && (o = getopt_long(argc, argv, "hV", longs, NULL)) != -1) {
		switch (o) {
		case 'p':
			settings[0] = (struct setting){ "port", optarg };
			break;
		case 'l':
			settings[1] = (struct setting){ "listen", optarg };
			break;
		case 's':
			r = replace(&c->socket, optarg);
			break;
		case 'd':
			r = replace(&c->state_dir, optarg);
			break;
		case 'c':
			a->file = optarg;
			break;
		case OPTION_CHECK:
			a->check = true;
			break;
		case OPTION_NO_RPCBIND:
			c->rpcbind = false;
			break;
		case OPTION_USER:
			c->user = true;
			break;
		case 'h':
			print_help();
			return finish_output();
		case 'V':
			printf("ipc9d " IPC9_VERSION "\n");
			return finish_output();
		default:
			fprintf(stderr, "ipc9d: try `ipc9d --help'\n");
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "ipc9d: unexpected argument \"%s\"; try `ipc9d --help'\n",
		    argv[optind]);
		return EXIT_USAGE;
	}
	if (r)
		fprintf(stderr, "ipc9d: %s\n", strerror(-r));
	return r ? 1 : -1;
}

static int read_all(struct config *c, const struct arguments *a, const struct setting settings[2],
    struct config_error *e)
{
	int r = a->file ? config_read_file(c, a->file, e) : config_read_standard(c, e);

	if (!r)
		r = config_read_environment(c, e);
	for (size_t i = 0; i < 2 && !r; i++)
		if (settings[i].key)
			r = config_set(c, settings[i].key, settings[i].value, e);
	return r ? r : config_finish(c, e);
}

static void print_warnings(const struct config *c)
{
	struct config_error warning;

	for (size_t i = 0; config_next_warning(c, &i, &warning);)
		fprintf(stderr, "ipc9d: warning: %s\n", warning.text);
}

int main(int argc, char **argv)
{
	struct setting settings[2] = { { NULL, NULL }, { NULL, NULL } };
	struct arguments arguments = { NULL, false };
	struct config_error error = { "" };
	struct config config;
	int r;

	config_init(&config);
	r = parse(argc, argv, &config, &arguments, settings);
	if (r < 0) {
		r = read_all(&config, &arguments, settings, &error);
		if (r) {
			fprintf(stderr, "ipc9d: %s\n", r == -EINVAL ? error.text : strerror(-r));
			r = EXIT_USAGE;
		} else if (arguments.check) {
			print_warnings(&config);
			printf("configuration is fine\n");
			r = finish_output();
		} else {
			r = daemon_run(&config);
		}
	}
	config_clear(&config);
	return r;
}
