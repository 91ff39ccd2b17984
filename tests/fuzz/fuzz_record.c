/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fuzz_record.c - record reassembly: whatever pieces a stream arrives in, the same records come out.
 *
 * Input: the limit, the number of pieces, one byte for each piece (how long, and whether it is received in
 * place as far as the reader offers room), then the stream.  In the stream STRETCH and two bytes stand for so
 * many times the byte behind them, so that a small input reaches beyond RECORD_FIRST_STEP.  The pieces start over until
 * the stream is used up.
 *
 * The model is the plain reading of RFC 5531 section 11 over the stream as a whole.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>

#include "transport/record.h"

#define STRETCH 0x5a
#define STREAM_MAX (384u << 10)
#define PIECES_MAX 2048	   /* the rest comes at once */
#define RECORDS_MAX 512	   /* of one input, compared one by one */
#define FRAGMENTS_MAX 4096 /* as in record.c */

struct records {
	size_t size, n;
	size_t sizes[RECORDS_MAX];
	unsigned char all[STREAM_MAX]; /* one behind the other */
};

static void add_record(void *context, const unsigned char *data, size_t size, struct bytes *owner)
{
	struct records *r = context;

	if (owner)
		CLAIM(data >= owner->data && data + size <= owner->data + owner->size);
	CLAIM(r->size + size <= STREAM_MAX);
	if (size)
		memcpy(r->all + r->size, data, size);
	r->size += size;
	if (r->n < RECORDS_MAX)
		r->sizes[r->n] = size;
	r->n++;
}

static void claim_same(const struct records *a, const struct records *b)
{
	CLAIM(a->n == b->n);
	CLAIM(a->size == b->size);
	CLAIM(memcmp(a->all, b->all, a->size) == 0);
	for (size_t i = 0; i < a->n && i < RECORDS_MAX; i++)
		CLAIM(a->sizes[i] == b->sizes[i]);
}

static int read_by_model(const unsigned char *at, size_t left, size_t limit, struct records *r)
{
	static unsigned char record[STREAM_MAX];
	size_t size = 0, fragments = 0;

	r->size = r->n = 0;
	while (left >= 4) {
		size_t len =
		    (size_t)(at[0] & 0x7f) << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
		bool last = at[0] & 0x80;

		at += 4, left -= 4;
		if (size + len > limit || ++fragments > FRAGMENTS_MAX)
			return -EMSGSIZE;
		if (len > left)
			break;
		if (len)
			memcpy(record + size, at, len);
		size += len, at += len, left -= len;
		if (last) {
			add_record(r, record, size, NULL);
			size = fragments = 0;
		}
	}
	return 0;
}

/* What is set aside: never over the limit, and not over FIRST_STEP before so much has come. */
static void claim_modest(const struct record_reader *r)
{
	if (!r->partial)
		return;
	CLAIM(r->partial->size <= r->partial->capacity);
	CLAIM(r->partial->capacity <= r->limit);
	if (r->partial->size < RECORD_FIRST_STEP)
		CLAIM(r->partial->capacity <= RECORD_FIRST_STEP);
}

static int receive(struct record_reader *r, const unsigned char *data, size_t size, bool in_place,
    struct records *out)
{
	unsigned char *room, *piece;
	size_t direct = in_place ? record_reader_room(r, &room) : 0;
	int e = 0;

	claim_modest(r);
	if (direct > size)
		direct = size;
	if (direct) {
		CLAIM(record_reader_is_inside(r));
		memcpy(room, data, direct);
		record_reader_filled(r, direct, add_record, out);
	}
	if (size > direct) {
		piece = copy_of(data + direct, size - direct);
		e = record_reader_feed(r, piece, size - direct, add_record, out);
		free(piece);
	}
	if (!e)
		claim_modest(r);
	return e;
}

static size_t stretch(struct input *in, unsigned char *stream)
{
	size_t n = 0;

	while (in->left && n < STREAM_MAX) {
		unsigned byte = input_byte(in);
		size_t run = 1;

		if (byte == STRETCH) {
			run = input_short(in);
			byte = input_byte(in);
		}
		if (run > STREAM_MAX - n)
			run = STREAM_MAX - n;
		memset(stream + n, (int)byte, run);
		n += run;
	}
	return n;
}

static int read_in_pieces(const unsigned char *stream, size_t size, size_t limit,
    const uint8_t *pieces, size_t n_pieces, struct records *out)
{
	struct record_reader reader;
	int e = 0;

	out->size = out->n = 0;
	record_reader_init(&reader, limit);
	for (size_t at = 0, i = 0; at < size && !e; i++) {
		uint8_t choice = n_pieces ? pieces[i % n_pieces] : 0;
		size_t n = choice & 0x40 ? (size_t)(choice & 0x3f) * 1024 + 1 : choice & 0x3f;

		if (!n || n > size - at || i == PIECES_MAX)
			n = size - at;
		e = receive(&reader, stream + at, n, choice & 0x80, out);
		at += n;
	}
	record_reader_clear(&reader);
	CLAIM(!record_reader_is_inside(&reader) && !record_reader_announced(&reader));
	return e;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t limits[] = { 1056768, 0, 4, 100, 65535, 65536, 65537, 200000 };
	struct input in = { data, size };
	size_t limit = limits[input_byte(&in) % 8], n_pieces, n;
	const uint8_t *pieces = input_take(&in, input_byte(&in), &n_pieces);
	static unsigned char stream[STREAM_MAX];
	static struct records model, divided;
	int expected;

	n = stretch(&in, stream);
	expected = read_by_model(stream, n, limit, &model);
	CLAIM(read_in_pieces(stream, n, limit, NULL, 0, &divided) == expected);
	claim_same(&model, &divided);
	CLAIM(read_in_pieces(stream, n, limit, pieces, n_pieces, &divided) == expected);
	claim_same(&model, &divided);
	return 0;
}
