/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * rpc_list.c - ipc9 rpc ls: what the rpcbind of a host has registered.
 *
 * rpcbind is asked by its version 4 (RFC 1833), else 3; what speaks only version 2 is a port mapper, whose listing
 * has ports and no addresses.
 */
#include <rpc/rpc.h>
#include <rpc/pmap_prot.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/rpc.h"
#include "util/text.h"

#define RPC_IP_TCP 6 /* as the port mapper has it */
#define RPC_IP_UDP 17

/* --- The listing ------------------------------------------------------------------------------- */

/* 0 or -1, without memory. */
static int rpc_listing_add(struct rpc_listing *listing, const struct rpc_registration *from)
{
	struct rpc_registration *row,
	    *rows = reallocarray(listing->rows, listing->n + 1, sizeof(*rows));

	if (!rows)
		return -1;
	listing->rows = rows;
	row = &rows[listing->n++];
	*row = *from;
	row->netid = strdup(from->netid ? from->netid : "");
	row->address = strdup(from->address ? from->address : "");
	row->owner = strdup(from->owner ? from->owner : "");
	return row->netid && row->address && row->owner ? 0 : -1;
}

void rpc_listing_clear(struct rpc_listing *listing)
{
	for (size_t i = 0; i < listing->n; i++) {
		free(listing->rows[i].netid);
		free(listing->rows[i].address);
		free(listing->rows[i].owner);
	}
	free(listing->rows);
	*listing = (struct rpc_listing){ .n = 0 };
}

static int rpc_registration_order(const void *a, const void *b)
{
	const struct rpc_registration *x = a, *y = b;

	if (x->program != y->program)
		return x->program < y->program ? -1 : 1;
	if (x->version != y->version)
		return x->version < y->version ? -1 : 1;
	return strcmp(x->netid, y->netid);
}

/* --- Asking ------------------------------------------------------------------------------------ */

/* Versions 4 and 3.  As clnt_call; *ret_r is not 0 without memory. */
static enum clnt_stat rpc_dump(CLIENT *client, struct timeval timeout, struct rpc_listing *listing,
    int *ret_r)
{
	rpcblist_ptr list = NULL;
	enum clnt_stat stat = clnt_call(client, RPCBPROC_DUMP, (xdrproc_t)rpc_nothing_xdr, NULL,
	    (xdrproc_t)xdr_rpcblist_ptr, (char *)&list, timeout);

	for (rpcblist_ptr entry = stat == RPC_SUCCESS ? list : NULL; entry && *ret_r == 0;
	     entry = entry->rpcb_next) {
		const struct rpc_registration row = { .program = (uint32_t)entry->rpcb_map.r_prog,
			.version = (uint32_t)entry->rpcb_map.r_vers,
			.netid = entry->rpcb_map.r_netid,
			.address = entry->rpcb_map.r_addr,
			.owner = entry->rpcb_map.r_owner };

		*ret_r = rpc_listing_add(listing, &row);
	}
	xdr_free((xdrproc_t)xdr_rpcblist_ptr, (char *)&list);
	return stat;
}

/* Version 2, likewise. */
static enum clnt_stat rpc_dump_ports(CLIENT *client, struct timeval timeout,
    struct rpc_listing *listing, int *ret_r)
{
	struct pmaplist *list = NULL;
	enum clnt_stat stat = clnt_call(client, PMAPPROC_DUMP, (xdrproc_t)rpc_nothing_xdr, NULL,
	    (xdrproc_t)xdr_pmaplist, (char *)&list, timeout);

	for (const struct pmaplist *entry = stat == RPC_SUCCESS ? list : NULL; entry && *ret_r == 0;
	     entry = entry->pml_next) {
		const struct pmap *map = &entry->pml_map;
		struct rpc_registration row = { .program = (uint32_t)map->pm_prog,
			.version = (uint32_t)map->pm_vers };
		char netid[16], address[32];

		text_format(netid, sizeof(netid), "%u", (unsigned)map->pm_prot);
		text_format(address, sizeof(address), "0.0.0.0.%u.%u",
		    (unsigned)map->pm_port >> 8 & 255, (unsigned)map->pm_port & 255);
		row.netid = map->pm_prot == RPC_IP_TCP ? "tcp"
		    : map->pm_prot == RPC_IP_UDP       ? "udp"
						       : netid;
		row.address = address;
		*ret_r = rpc_listing_add(listing, &row);
	}
	xdr_free((xdrproc_t)xdr_pmaplist, (char *)&list);
	return stat;
}

/* Whether an older version may be there. */
static bool rpc_is_version_fault(enum clnt_stat stat)
{
	return stat == RPC_PROGVERSMISMATCH || stat == RPC_PROGUNAVAIL || stat == RPC_PROCUNAVAIL;
}

static int rpc_ask(const struct invocation *invocation, struct rpc_target *target, CLIENT *client,
    bool quiet, struct rpc_listing *listing)
{
	struct timeval timeout = rpc_timeout(invocation);
	enum clnt_stat stat = RPC_PROGVERSMISMATCH;
	int r = 0;

	for (rpcvers_t version = RPCBVERS4; version >= PMAPVERS && rpc_is_version_fault(stat);
	     version--) {
		target->version = (uint32_t)version;
		(void)clnt_control(client, CLSET_VERS, (char *)&version);
		stat = version > PMAPVERS ? rpc_dump(client, timeout, listing, &r)
					  : rpc_dump_ports(client, timeout, listing, &r);
	}
	if (stat != RPC_SUCCESS)
		return quiet ? EXIT_FAILED : rpc_fail(client, target);
	output_note(invocation, "%s: rpcbind version %u", target->text, target->version);
	if (r < 0)
		return output_no_memory();
	if (listing->n > 0)
		qsort(listing->rows, listing->n, sizeof(*listing->rows), rpc_registration_order);
	return 0;
}

int rpc_listing_get(const struct invocation *invocation, const struct rpc_host *host, bool quiet,
    struct rpc_listing *ret_listing)
{
	struct rpc_target target = { .text = host->rpcbind[0],
		.program = RPCBPROG,
		.version = RPCBVERS4,
		.anonymous = true };
	bool second = host->rpcbind[1][0] != '\0';
	CLIENT *client = NULL;
	int status;

	*ret_listing = (struct rpc_listing){ .n = 0 };
	status = rpc_connect(invocation, &target, quiet || second, &client);
	if (status && second) {
		target.text = host->rpcbind[1];
		status = rpc_connect(invocation, &target, quiet, &client);
	}
	if (status)
		return status;
	status = rpc_ask(invocation, &target, client, quiet, ret_listing);
	clnt_destroy(client);
	return status;
}

/* --- Showing ----------------------------------------------------------------------------------- */

static int rpc_list_json(const struct rpc_listing *listing)
{
	json_t *rows = json_array();
	int r = 0;

	for (size_t i = 0; i < listing->n; i++) {
		const struct rpc_registration *row = &listing->rows[i];
		const char *name = rpc_program_name(row->program);

		r |= json_array_append_new(rows,
		    json_pack("{s:I, s:I, s:o, s:o, s:o, s:o}", "program", (json_int_t)row->program,
			"version", (json_int_t)row->version, "netid", output_json_text(row->netid),
			"address", output_json_text(row->address), "owner",
			output_json_text(row->owner), "name",
			name ? output_json_text(name) : json_null()));
	}
	return output_json(json_pack("{s:o}", "registrations", output_json_built(rows, r)));
}

static int rpc_list_table(const struct rpc_listing *listing)
{
	static const char *const titles[] = { "PROGRAM", "VERSION", "NETID", "ADDRESS", "OWNER",
		"NAME" };
	const size_t n_columns = sizeof(titles) / sizeof(titles[0]);
	struct output_table *table = output_table_new(titles, n_columns);

	for (size_t i = 0; i < listing->n; i++) {
		const struct rpc_registration *row = &listing->rows[i];
		const char *name = rpc_program_name(row->program);

		output_table_number(table, row->program);
		output_table_number(table, row->version);
		output_table_text(table, row->netid);
		output_table_text(table, row->address);
		output_table_text(table, row->owner[0] != '\0' ? row->owner : "-");
		output_table_text(table, name ? name : "-");
	}
	return output_table_end(table);
}

int rpc_run_list(struct ipc9 *ipc9, const struct invocation *invocation)
{
	const char *text = invocation_operand(invocation, 0);
	struct rpc_listing listing;
	struct rpc_host host;
	int status = rpc_host_parse(invocation, text ? text : "//.", &host);

	(void)ipc9;
	if (status)
		return status;
	status = rpc_listing_get(invocation, &host, false, &listing);
	if (status == 0)
		status = invocation->json ? rpc_list_json(&listing) : rpc_list_table(&listing);
	rpc_listing_clear(&listing);
	return status;
}
