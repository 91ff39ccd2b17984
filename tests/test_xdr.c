/* SPDX-License-Identifier: BSD-3-Clause */
/* test_xdr.c - the two XDR streams and the payload type. */
#include <stdlib.h>
#include <string.h>

#include "rpcgen-out/pipe.h"
#include "tests/harness.h"
#include "xdr/status.h"
#include "xdr/stream.h"

static size_t flatten(struct gather *g, unsigned char *to)
{
	size_t n = 0;

	for (size_t i = g->first; i < g->end; i++) {
		memcpy(to + n, g->pieces[i].data, g->pieces[i].len);
		n += g->pieces[i].len;
	}
	return n;
}

static void test_both_streams_agree_with_the_stock_one(void)
{
	static unsigned char payload[5001], ours[8192], stock[8192];
	char name[] = "name", detail[] = "";
	ipc9_pipe_write_args args = { 0x123456789abcdef0, 77, 0,
		{ payload, sizeof(payload), NULL } };
	ipc9_void_res failed = { .status = 9 };
	ipc9_name_args named = { name };
	struct gather g;
	XDR a, b;
	size_t n;

	memset(payload, 'p', sizeof(payload));
	failed.ipc9_void_res_u.error.detail = detail;
	failed.ipc9_void_res_u.error.status = 9;
	gather_init(&g);
	xdr_gather_create(&a, &g);
	xdrmem_create(&b, (char *)stock, sizeof(stock), XDR_ENCODE);
	HOLDS(xdr_ipc9_pipe_write_args(&a, &args) && xdr_ipc9_pipe_write_args(&b, &args));
	HOLDS(xdr_ipc9_void_res(&a, &failed) && xdr_ipc9_void_res(&b, &failed));
	HOLDS(xdr_ipc9_name_args(&a, &named) && xdr_ipc9_name_args(&b, &named));
	n = flatten(&g, ours);
	SAME_BYTES(ours, n, stock, xdr_getpos(&b));
	gather_clear(&g);
}

static void test_a_large_payload_is_referred_to_both_ways(void)
{
	struct bytes *block = bytes_new(100000), *record;
	ipc9_blob out = { block->data, 65536, block }, in = { 0 };
	struct gather g;
	bool referred = false;
	XDR xdrs;

	memset(block->data, 'x', 100000);
	gather_init(&g);
	xdr_gather_create(&xdrs, &g);
	HOLDS(xdr_ipc9_blob(&xdrs, &out));
	for (size_t i = g.first; i < g.end; i++)
		referred = referred || g.pieces[i].data == block->data;
	HOLDS(referred);
	record = bytes_new(g.size);
	record->size = (uint32_t)flatten(&g, record->data);
	gather_clear(&g);
	EQUAL(block->refs, 1);
	xdr_record_create(&xdrs, record->data, record->size, record);
	HOLDS(xdr_ipc9_blob(&xdrs, &in));
	HOLDS(in.data == record->data + 4);
	EQUAL(record->refs, 2);
	xdr_free((xdrproc_t)xdr_ipc9_blob, &in);
	EQUAL(record->refs, 1);
	bytes_unref(record);
	bytes_unref(block);
}

static void test_no_length_reads_beyond_the_record(void)
{
	static const uint32_t lengths[] = { 5, 0x7ffffff0, 0xffffffff, 0xfffffffd, 1048577 };
	unsigned char record[8] = { 0 };

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		ipc9_blob in = { 0 };
		char *text = NULL;
		XDR xdrs;

		for (int j = 0; j < 4; j++)
			record[j] = (unsigned char)(lengths[i] >> (24 - 8 * j));
		xdr_record_create(&xdrs, record, sizeof(record), NULL);
		HOLDS(!xdr_ipc9_blob(&xdrs, &in));
		xdr_record_create(&xdrs, record, sizeof(record), NULL);
		HOLDS(!xdr_string(&xdrs, &text, IPC9_NAME_MAX));
		free(text);
	}
}

static void test_a_name_with_a_nul_inside_does_not_decode(void)
{
	unsigned char record[8] = { 0, 0, 0, 3, 'a', '\0', 'b', 0 };
	ipc9_name_args args = { 0 };
	XDR xdrs;

	xdr_record_create(&xdrs, record, sizeof(record), NULL);
	HOLDS(!xdr_ipc9_name_args(&xdrs, &args));
	record[5] = 'x';
	xdr_record_create(&xdrs, record, sizeof(record), NULL);
	if (HOLDS(xdr_ipc9_name_args(&xdrs, &args)))
		SAME_TEXT(args.name, "axb");
	xdr_free((xdrproc_t)xdr_ipc9_name_args, &args);
}

static void test_a_payload_in_passing_memory_is_copied_to_be_kept(void)
{
	unsigned char passing[8] = { 0, 0, 0, 4, 'k', 'e', 'e', 'p' };
	ipc9_blob in = { 0 };
	XDR xdrs;

	xdr_record_create(&xdrs, passing, sizeof(passing), NULL);
	HOLDS(xdr_ipc9_blob(&xdrs, &in));
	HOLDS(in.owner == NULL);
	EQUAL(blob_keep(&in), 0);
	memset(passing, 'z', sizeof(passing));
	SAME_BYTES(in.data, in.len, "keep", 4);
	xdr_free((xdrproc_t)xdr_ipc9_blob, &in);
}

static void test_a_small_payload_does_not_hold_a_large_record(void)
{
	struct bytes *record = bytes_new(100000);
	ipc9_blob small = { record->data, 100, bytes_ref(record) };
	ipc9_blob large = { record->data, 60000, bytes_ref(record) };

	EQUAL(blob_keep(&small), 0);
	EQUAL(blob_keep(&large), 0);
	HOLDS(small.owner != record);
	HOLDS(large.owner == record);
	bytes_unref(small.owner);
	bytes_unref(large.owner);
	EQUAL(record->refs, 1);
	bytes_unref(record);
}

static void test_every_status_has_a_text_and_an_exit_status(void)
{
	for (int i = IPC9_STATUS_OK; i <= IPC9_STATUS_WOULDBLOCK; i++) {
		EQUAL(status_find(i)->number, i);
		HOLDS(status_find(i)->text[0] != '\0');
	}
	EQUAL(status_find(9999)->number, -1);
	EQUAL(status_find(IPC9_STATUS_NOENT)->exit_status, 3);
	EQUAL(status_find(IPC9_STATUS_ACCESS)->exit_status, 5);
	EQUAL(status_find(IPC9_STATUS_NOPATH)->exit_status, 4);
	EQUAL(status_find(IPC9_STATUS_MISMATCH)->exit_status, 6);
}

SUITE(xdr, TEST(test_both_streams_agree_with_the_stock_one),
    TEST(test_a_large_payload_is_referred_to_both_ways),
    TEST(test_no_length_reads_beyond_the_record),
    TEST(test_a_name_with_a_nul_inside_does_not_decode),
    TEST(test_a_payload_in_passing_memory_is_copied_to_be_kept),
    TEST(test_a_small_payload_does_not_hold_a_large_record),
    TEST(test_every_status_has_a_text_and_an_exit_status));
