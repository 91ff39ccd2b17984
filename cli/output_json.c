/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * output_json.c - what --json writes: one object per line, units in the names of the keys.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/content.h"
#include "cli/io.h"
#include "cli/output.h"

int output_json(json_t *object)
{
	size_t flags = JSON_COMPACT;
	int r;

	if (!object)
		return output_no_memory();
	if (isatty(STDOUT_FILENO))
		flags |= JSON_ENSURE_ASCII; /* no control character reaches the terminal */
	errno = 0;
	r = json_dumpf(object, stdout, flags);
	json_decref(object);
	if (r == 0)
		(void)putchar('\n');
	else if (!ferror(stdout))
		return output_no_memory();
	else
		return output_failed_write(errno != 0 ? -errno : -EIO);
	return output_flush();
}

json_t *output_json_text(const char *text)
{
	size_t size = strlen(text);

	if (content_is_text(text, size, false))
		return json_stringn_nocheck(text, size);
	return json_string("(not UTF-8)");
}

json_t *output_json_number(uint64_t number)
{
	return json_integer(number > INT64_MAX ? INT64_MAX : (json_int_t)number);
}

json_t *output_json_built(json_t *object, int r)
{
	if (r == 0)
		return object;
	json_decref(object);
	return NULL;
}

json_t *output_json_identity(const struct ipc9_identity *identity)
{
	json_t *object = json_object();
	int r = json_object_set_new(object, "how", json_string(output_how(identity->how)));

	if (identity->how != IPC9_HOW_NONE) {
		r |= json_object_set_new(object, "uid", json_integer(identity->uid));
		r |= json_object_set_new(object, "gid", json_integer(identity->gid));
	}
	if (identity->pid != 0)
		r |= json_object_set_new(object, "pid", json_integer(identity->pid));
	r |= json_object_set_new(object, "host", output_json_text(identity->host));
	if (identity->principal[0] != '\0')
		r |=
		    json_object_set_new(object, "principal", output_json_text(identity->principal));
	return output_json_built(object, r);
}

int output_json_data(json_t *object, const void *data, size_t size_bytes)
{
	_cleanup_(io_freep) char *base64 = NULL;

	if (content_is_text(data, size_bytes, false))
		return json_object_set_new_nocheck(object, "data",
		    json_stringn_nocheck(data, size_bytes));
	base64 = content_base64(data, size_bytes);
	if (!base64)
		return -1;
	return json_object_set_new_nocheck(object, "data_base64", json_string_nocheck(base64));
}
