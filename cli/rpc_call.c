/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc_call.c - ipc9 rpc call: a procedure of any server, by its interface file, with JSON on both sides.
 *
 * Everything that can be known to be wrong without the server is said before it is asked.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/idl.h"
#include "cli/idl_value.h"
#include "cli/io.h"
#include "cli/output.h"
#include "cli/rpc.h"
#include "util/text.h"

#define RPC_JSON_BYTES (64 * 1024 * 1024)

static void rpc_idl_freep(struct idl **idl)
{
	idl_free(*idl);
}

static void rpc_json_freep(json_t **json)
{
	json_decref(*json);
}

/* --- Choosing ---------------------------------------------------------------------------------- */

/* A procedure, with where it is. */
struct rpc_choice {
	const struct idl_program *program;
	const struct idl_version *version;
	const struct idl_procedure *procedure;
};

/* How well a name that was typed fits: 2 wholly, 1 the part behind a _, 0 not. */
static unsigned rpc_name_fits(const char *name, const char *typed)
{
	size_t size = strlen(name), part = strlen(typed);

	if (strcasecmp(name, typed) == 0)
		return 2;
	return part > 0 && size > part && name[size - part - 1] == '_' &&
	    strcasecmp(name + size - part, typed) == 0;
}

/* As rpc_name_fits, for what has a name and a number; typed NULL: fits. */
static unsigned rpc_fits(const char *name, uint32_t number, const char *typed)
{
	uint32_t wanted;

	if (!typed)
		return 2;
	if (rpc_number_parse(typed, &wanted) == 0)
		return wanted == number ? 2 : 0;
	return rpc_name_fits(name, typed);
}

struct rpc_search {
	const char *program, *version, *procedure; /* as typed; NULL: any */
	uint32_t program_number;		   /* said in HOST; 0: not */
	unsigned fit;				   /* of those found */
	size_t n_found;
	struct rpc_choice found; /* the first */
	char all[400];		 /* those found, in words */
};

static void rpc_search_add(struct rpc_search *search, const struct rpc_choice *choice, unsigned fit)
{
	size_t size;

	if (fit < search->fit || fit == 0)
		return;
	if (fit > search->fit) {
		search->fit = fit;
		search->n_found = 0;
		search->all[0] = '\0';
	}
	if (search->n_found++ == 0)
		search->found = *choice;
	size = strlen(search->all);
	text_format(search->all + size, sizeof(search->all) - size, "%s%.60s of %.60s version %u",
	    size ? ", " : "", choice->procedure->name, choice->program->name,
	    choice->version->number);
}

static void rpc_search_idl(struct rpc_search *search, const struct idl *idl)
{
	for (const struct idl_program *p = idl_programs(idl); p; p = p->next) {
		if (!rpc_fits(p->name, p->number, search->program) ||
		    (search->program_number && search->program_number != p->number))
			continue;
		for (const struct idl_version *v = p->versions; v; v = v->next) {
			if (!rpc_fits(v->name, v->number, search->version))
				continue;
			for (const struct idl_procedure *c = v->procedures; c; c = c->next) {
				const struct rpc_choice choice = { p, v, c };

				rpc_search_add(search, &choice,
				    rpc_fits(c->name, c->number, search->procedure));
			}
		}
	}
}

static int rpc_choose(const struct invocation *invocation, const struct idl *idl,
    uint32_t program_number, struct rpc_choice *ret_choice)
{
	const char *file = invocation_text(invocation, "idl");
	struct rpc_search search = { .program = invocation_text(invocation, "prog"),
		.version = invocation_text(invocation, "vers"),
		.procedure = invocation_operand(invocation, 1),
		.program_number = program_number };

	rpc_search_idl(&search, idl);
	*ret_choice = search.found;
	if (search.n_found == 1)
		return 0;
	if (search.n_found > 1)
		output_error("\"%s\" may be %s; --prog and --vers choose", search.procedure,
		    search.all);
	else
		output_error(
		    "%s has no procedure \"%s\"%s; ipc9 rpc call --idl %s --list shows those "
		    "it has",
		    file, search.procedure,
		    search.program || search.version || program_number
			? " in the program and version asked for"
			: "",
		    file);
	return EXIT_USAGE;
}

/* --- Listing ----------------------------------------------------------------------------------- */

#define RPC_TYPE_BYTES 160

static void rpc_arguments_text(const struct idl_procedure *procedure, char *text, size_t size)
{
	size_t used = 0;

	text_format(text, size, "void");
	for (size_t i = 0; i < procedure->n_arguments && used < size; i++) {
		char type[RPC_TYPE_BYTES];

		idl_type_text(procedure->arguments[i], type, sizeof(type));
		text_format(text + used, size - used, "%s%s", i ? ", " : "", type);
		used = strlen(text);
	}
}

static int rpc_list_text(const struct idl *idl)
{
	for (const struct idl_program *p = idl_programs(idl); p; p = p->next) {
		(void)printf("program %s = %u (0x%x)\n", p->name, p->number, p->number);
		for (const struct idl_version *v = p->versions; v; v = v->next) {
			(void)printf("  version %s = %u\n", v->name, v->number);
			for (const struct idl_procedure *c = v->procedures; c; c = c->next) {
				char result[RPC_TYPE_BYTES], arguments[4 * RPC_TYPE_BYTES];

				idl_type_text(c->result, result, sizeof(result));
				rpc_arguments_text(c, arguments, sizeof(arguments));
				(void)printf("    %s %s(%s) = %u\n", result, c->name, arguments,
				    c->number);
			}
		}
	}
	return output_flush();
}

static json_t *rpc_procedure_json(const struct idl_procedure *procedure)
{
	json_t *arguments = json_array();
	char text[RPC_TYPE_BYTES];
	int r = 0;

	for (size_t i = 0; i < procedure->n_arguments; i++) {
		idl_type_text(procedure->arguments[i], text, sizeof(text));
		r |= json_array_append_new(arguments, json_string(text));
	}
	idl_type_text(procedure->result, text, sizeof(text));
	return json_pack("{s:s, s:I, s:o, s:s}", "name", procedure->name, "number",
	    (json_int_t)procedure->number, "arguments", output_json_built(arguments, r), "result",
	    text);
}

static json_t *rpc_version_json(const struct idl_version *version)
{
	json_t *procedures = json_array();
	int r = 0;

	for (const struct idl_procedure *c = version->procedures; c; c = c->next)
		r |= json_array_append_new(procedures, rpc_procedure_json(c));
	return json_pack("{s:s, s:I, s:o}", "name", version->name, "number",
	    (json_int_t)version->number, "procedures", output_json_built(procedures, r));
}

static int rpc_list_json(const struct idl *idl)
{
	json_t *programs = json_array();
	int r = 0;

	for (const struct idl_program *p = idl_programs(idl); p; p = p->next) {
		json_t *versions = json_array();
		int s = 0;

		for (const struct idl_version *v = p->versions; v; v = v->next)
			s |= json_array_append_new(versions, rpc_version_json(v));
		r |= json_array_append_new(programs,
		    json_pack("{s:s, s:I, s:o}", "name", p->name, "number", (json_int_t)p->number,
			"versions", output_json_built(versions, s)));
	}
	return output_json(json_pack("{s:o}", "programs", output_json_built(programs, r)));
}

/* --- Arguments --------------------------------------------------------------------------------- */

/* Reads a descriptor to its end.  0 or the exit status. */
static int rpc_read_text(int fd, const char *name, char **ret_text, size_t *ret_size)
{
	size_t room = 65536, size = 0, n;
	char *text = NULL, *more;
	int r = 0;

	do {
		room *= 2;
		more = realloc(text, room);
		if (!more) {
			free(text);
			return output_no_memory();
		}
		text = more;
		r = io_read_full(fd, text + size, room - size, &n);
		size += n;
	} while (r == 0 && size == room && size <= RPC_JSON_BYTES);
	if (r == 0 && size <= RPC_JSON_BYTES) {
		*ret_text = text;
		*ret_size = size;
		return 0;
	}
	if (r)
		output_error("cannot read %s: %s", name, strerror(-r));
	else
		output_error("%s is longer than %d bytes", name, RPC_JSON_BYTES);
	free(text);
	return EXIT_FAILED;
}

/* The text of the argument; the caller frees it. */
static int rpc_argument_text(const char *operand, const char **ret_name, char **ret_text,
    size_t *ret_size)
{
	_cleanup_(io_closep) int fd = -1;

	*ret_name = "the argument";
	if (strcmp(operand, "-") == 0) {
		*ret_name = "standard input";
		return rpc_read_text(STDIN_FILENO, *ret_name, ret_text, ret_size);
	}
	if (operand[0] == '@') {
		*ret_name = operand + 1;
		fd = open(operand + 1, O_RDONLY | O_CLOEXEC);
		if (fd < 0) {
			output_error("cannot open %s: %s", operand + 1, strerror(errno));
			return EXIT_FAILED;
		}
		return rpc_read_text(fd, *ret_name, ret_text, ret_size);
	}
	*ret_text = strdup(operand);
	*ret_size = strlen(operand);
	return *ret_text ? 0 : output_no_memory();
}

/* What the operand says; NULL if there is none. */
static int rpc_argument_json(const struct invocation *invocation, json_t **ret_json)
{
	const char *operand = invocation_operand(invocation, 2), *name;
	_cleanup_(io_freep) char *text = NULL;
	json_error_t error;
	size_t size;
	int status;

	*ret_json = NULL;
	if (!operand)
		return 0;
	status = rpc_argument_text(operand, &name, &text, &size);
	if (status)
		return status;
	*ret_json = json_loadb(text, size,
	    JSON_DECODE_ANY | JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
	if (*ret_json)
		return 0;
	output_error("%s:%d:%d: not JSON: %s%s", name, error.line, error.column, error.text,
	    strstr(error.text, "too big integer") ? "; write it as a text, \"...\"" : "");
	return EXIT_USAGE;
}

static int rpc_encode(const struct invocation *invocation, const struct rpc_choice *choice,
    struct idl_encoded *encoded)
{
	_cleanup_(rpc_json_freep) json_t *json = NULL;
	struct idl_procedure const *procedure = choice->procedure;
	struct idl_error error;
	int status, r = idl_check(procedure->result, &error);

	for (size_t i = 0; r == 0 && i < procedure->n_arguments; i++)
		r = idl_check(procedure->arguments[i], &error);
	if (r < 0) {
		output_error("%s", error.text);
		return EXIT_FAILED;
	}
	status = rpc_argument_json(invocation, &json);
	if (status)
		return status;
	if (idl_arguments_encode(procedure, json, encoded, &error) < 0) {
		output_error("%s: %s", procedure->name, error.text);
		return EXIT_USAGE;
	}
	return 0;
}

/* --- Calling ----------------------------------------------------------------------------------- */

static int rpc_print(const struct invocation *invocation, const json_t *json)
{
	size_t flags = JSON_ENCODE_ANY | (invocation->json ? JSON_COMPACT : JSON_INDENT(2));
	char *text;
	int status;

	if (isatty(STDOUT_FILENO))
		flags |= JSON_ENSURE_ASCII;
	text = json_dumps(json, flags);
	if (!text)
		return output_no_memory();
	status = output_data(text, strlen(text));
	free(text);
	return status ? status : output_data("\n", 1);
}

static int rpc_call_client(const struct invocation *invocation, CLIENT *client,
    const struct rpc_target *target, const struct idl_procedure *procedure,
    struct idl_encoded *encoded)
{
	struct idl_decoded decoded = { .type = procedure->result };
	enum clnt_stat stat = clnt_call(client, procedure->number, (xdrproc_t)idl_encoded_xdr,
	    (char *)encoded, (xdrproc_t)idl_decoded_xdr, (char *)&decoded, rpc_timeout(invocation));
	int status;

	if (stat == RPC_SUCCESS && decoded.json) {
		status = rpc_print(invocation, decoded.json);
	} else if (stat == RPC_CANTDECODERES && decoded.error.text[0] != '\0') {
		output_error("%.200s: the answer is not what the file says: %s", target->text,
		    decoded.error.text);
		status = EXIT_FAILED;
	} else {
		status = rpc_fail(client, target);
	}
	json_decref(decoded.json);
	return status;
}

/* Replaces the handle's own credential, if one was asked for that it does not send by itself. */
static int rpc_set_auth(const struct invocation *invocation, CLIENT *client, AUTH **ret_auth)
{
	const char *flavor = invocation_text(invocation, "auth");

	*ret_auth = NULL;
	if (!flavor || strcmp(flavor, "sys") != 0)
		return 0;
	*ret_auth = authunix_create_default();
	if (!*ret_auth)
		return output_no_memory();
	client->cl_auth = *ret_auth;
	return 0;
}

static int rpc_call_choice(const struct invocation *invocation, const struct rpc_host *host,
    const struct rpc_choice *choice, struct idl_encoded *encoded)
{
	const char *flavor = invocation_text(invocation, "auth");
	const struct rpc_target target = { .text = host->text,
		.program = choice->program->number,
		.version = choice->version->number,
		.udp = invocation_flag(invocation, "udp"),
		.anonymous = flavor && strcmp(flavor, "none") == 0 };
	CLIENT *client = NULL;
	AUTH *auth = NULL;
	int status = rpc_connect(invocation, &target, false, &client);

	if (status)
		return status;
	status = rpc_set_auth(invocation, client, &auth);
	if (status == 0)
		status = rpc_call_client(invocation, client, &target, choice->procedure, encoded);
	clnt_destroy(client);
	if (auth)
		auth_destroy(auth);
	return status;
}

/* Whether the command line makes sense.  0 or EXIT_USAGE. */
static int rpc_call_check(const struct invocation *invocation)
{
	const char *flavor = invocation_text(invocation, "auth");

	if (!invocation_text(invocation, "idl")) {
		output_error("something is missing: --idl FILE.x (ipc9 rpc call -h says more)");
		return EXIT_USAGE;
	}
	if (flavor && strcmp(flavor, "sys") != 0 && strcmp(flavor, "none") != 0) {
		output_error("--auth takes sys or none, not \"%s\"", flavor);
		return EXIT_USAGE;
	}
	if (!invocation_flag(invocation, "list") && !invocation_operand(invocation, 1)) {
		output_error(
		    "something is missing: ipc9 rpc call HOST --idl FILE.x PROC [JSON] (ipc9 "
		    "rpc call -h says more)");
		return EXIT_USAGE;
	}
	return 0;
}

int rpc_run_call(struct ipc9 *ipc9, const struct invocation *invocation)
{
	_cleanup_(rpc_idl_freep) struct idl *idl = NULL;
	struct idl_encoded encoded = { .size_bytes = 0 };
	struct rpc_choice choice;
	struct idl_error error;
	struct rpc_host host;
	int status = rpc_call_check(invocation);

	(void)ipc9;
	if (status)
		return status;
	if (idl_read(invocation_text(invocation, "idl"), &idl, &error) < 0) {
		output_error("%s", error.text);
		return EXIT_FAILED;
	}
	if (invocation_flag(invocation, "list"))
		return invocation->json ? rpc_list_json(idl) : rpc_list_text(idl);
	status = rpc_host_parse(invocation, invocation_operand(invocation, 0), &host);
	if (status == 0)
		status = rpc_choose(invocation, idl, host.program, &choice);
	if (status == 0)
		status = rpc_encode(invocation, &choice, &encoded);
	if (status == 0)
		status = rpc_call_choice(invocation, &host, &choice, &encoded);
	free(encoded.data);
	return status;
}
