// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Checksums of frames that never were on a wire, against a reference that adds two bytes at a time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "af_xdp/checksum.h"

#define PAYLOAD_MOST 3000
#define ROUNDS 20000

struct made {
	uint8_t frame[4096];
	uint32_t length;
	uint8_t *ip, *l4, *field;
	uint32_t l4_size;
	uint16_t right, partial; /* big-endian values of the field */
	int proto, ip4;
};

/* Big-endian words, as RFC 1071 says it. */
static uint32_t add(const uint8_t *at, size_t size, uint32_t sum)
{
	size_t i;

	for (i = 0; i < size; i++)
		sum += i % 2 ? at[i] : (uint32_t)at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void put16(uint8_t *at, uint16_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static void fill(uint8_t *at, size_t size)
{
	while (size--)
		*at++ = rand() >> 7;
}

static uint8_t *put_tags(uint8_t *at, int tags, int ip4)
{
	fill(at, 12);
	for (at += 12; tags--; at += 4) {
		put16(at, tags ? 0x88a8 : 0x8100);
		put16(at + 2, rand() & 0xfff);
	}
	put16(at, ip4 ? 0x0800 : 0x86dd);
	return at + 2;
}

/* Options in IPv4, a hop-by-hop and an unfragmented fragment header in IPv6, or neither. */
static void put_ip(struct made *m, int more)
{
	uint32_t head = m->ip4 ? 20 + more * 4 : 40 + more * 16;

	fill(m->ip, head);
	m->l4 = m->ip + head;
	if (m->ip4) {
		m->ip[0] = 0x40 | head / 4;
		put16(m->ip + 2, head + m->l4_size);
		put16(m->ip + 6, 0x4000);
		m->ip[9] = m->proto;
		return;
	}
	m->ip[0] = 0x60;
	put16(m->ip + 4, head - 40 + m->l4_size);
	m->ip[6] = more ? 0 : m->proto;
	if (!more)
		return;
	m->ip[40] = 44;
	m->ip[41] = 0;
	m->ip[48] = m->proto;
	put16(m->ip + 50, 0);
}

static void sum_up(struct made *m)
{
	const uint8_t tail[4] = { 0, m->proto, m->l4_size >> 8, m->l4_size };
	uint32_t sum = m->ip4 ? add(m->ip + 12, 8, 0) : add(m->ip + 8, 32, 0);

	m->partial = add(tail, 4, sum);
	put16(m->field, 0);
	m->right = ~add(m->l4, m->l4_size, m->partial);
	if (!m->right && m->proto == 17)
		m->right = 0xffff;
	put16(m->field, m->right);
}

static void make(struct made *m, int ip4, int proto, int tags, int more, uint32_t payload,
		 uint32_t padding)
{
	memset(m, 0, sizeof(*m));
	m->ip4 = ip4;
	m->proto = proto;
	m->l4_size = (proto == 6 ? 20 : 8) + payload;
	m->ip = put_tags(m->frame, tags, ip4);
	put_ip(m, more);
	fill(m->l4, m->l4_size + padding);
	m->field = m->l4 + (proto == 6 ? 16 : 6);
	if (proto == 6)
		m->l4[12] = 0x50;
	else
		put16(m->l4 + 4, m->l4_size);
	sum_up(m);
	m->length = m->l4 + m->l4_size + padding - m->frame;
}

static void make_random(struct made *m)
{
	make(m, rand() % 2, rand() % 2 ? 6 : 17, rand() % 3, rand() % 2, rand() % PAYLOAD_MOST,
	     rand() % 4 ? 0 : rand() % 64);
}

/* Completing leaves the frame as it is. */
static void stays(struct made *m)
{
	struct made before = *m;

	assert_false(checksum__complete(m->frame, m->length));
	assert_memory_equal(m->frame, before.frame, sizeof(before.frame));
}

/* The partial sum becomes the right one, and nothing else changes. */
static void becomes_right(struct made *m)
{
	uint8_t right[sizeof(m->frame)];

	put16(m->field, m->right);
	memcpy(right, m->frame, sizeof(right));
	put16(m->field, m->partial);
	assert_int_equal(checksum__complete(m->frame, m->length), m->partial != m->right);
	assert_memory_equal(m->frame, right, sizeof(right));
}

static void test_sum(void **state)
{
	/* RFC 1071, 3 */
	static const uint8_t vector[] = { 0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7 };
	uint8_t data[256], got[2];
	uint32_t offset, size;
	uint16_t sum = checksum__sum(vector, sizeof(vector), 0);

	(void)state;
	memcpy(got, &sum, 2);
	assert_int_equal(got[0] << 8 | got[1], 0xddf2);
	fill(data, sizeof(data));
	for (offset = 0; offset < 8; offset++)
		for (size = 0; size < 200; size++) {
			sum = checksum__sum(data + offset, size, 0);
			memcpy(got, &sum, 2);
			assert_int_equal(got[0] << 8 | got[1], add(data + offset, size, 0));
		}
	memset(data, 0xff, sizeof(data));
	assert_int_equal(checksum__sum(data, sizeof(data), 0xffffffffffffffff), 0xffff);
}

static void test_completes(void **state)
{
	struct made m;
	int i;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		make_random(&m);
		becomes_right(&m);
	}
}

static void test_right_and_wrong_stay(void **state)
{
	struct made m;
	int i;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		uint16_t wrong = rand();

		make_random(&m);
		stays(&m);
		if (wrong == m.partial)
			continue;
		put16(m.field, wrong);
		stays(&m);
	}
}

static void test_no_checksum(void **state)
{
	struct made m;

	(void)state;
	make(&m, 1, 17, 0, 0, 100, 0);
	put16(m.field, 0);
	stays(&m);
}

/* A sum of zero: UDP writes all ones, because zero says that there is none. */
static void test_zero(void **state)
{
	struct made m;
	int proto;

	(void)state;
	for (proto = 6; proto <= 17; proto += 11) {
		make(&m, 1, proto, 0, 0, 100, 0);
		put16(m.l4 + 40, 0);
		sum_up(&m);
		put16(m.l4 + 40, m.right);
		sum_up(&m);
		assert_int_equal(m.right, proto == 17 ? 0xffff : 0);
		becomes_right(&m);
	}
}

static void test_fragments(void **state)
{
	struct made m;

	(void)state;
	make(&m, 1, 17, 0, 0, 100, 0);
	put16(m.field, m.partial);
	put16(m.ip + 6, 0x2000); /* the first of several */
	stays(&m);
	put16(m.ip + 6, 0x0010); /* the last */
	stays(&m);
	make(&m, 0, 17, 1, 1, 100, 0);
	put16(m.field, m.partial);
	put16(m.ip + 50, 0x0001);
	stays(&m);
	put16(m.ip + 50, 0x0008);
	stays(&m);
}

static void test_cut(void **state)
{
	struct made m;
	uint32_t length;
	int i;

	(void)state;
	for (i = 0; i < 200; i++) {
		make(&m, i % 2, i % 4 < 2 ? 6 : 17, i % 3, i % 5 == 0, i, 0);
		put16(m.field, m.partial);
		for (length = m.length; m.length--;) {
			uint8_t *exact = malloc(m.length); /* so that a read past the end is seen */

			memcpy(exact, m.frame, m.length);
			assert_false(checksum__complete(exact, m.length));
			assert_memory_equal(exact, m.frame, m.length);
			free(exact);
		}
		assert_true(length > 40);
	}
}

static void test_lengths_that_disagree(void **state)
{
	struct made m;

	(void)state;
	make(&m, 1, 17, 0, 0, 100, 0);
	put16(m.field, m.partial);
	put16(m.l4 + 4, m.l4_size - 1); /* UDP's own */
	stays(&m);
	make(&m, 1, 6, 0, 0, 0, 0);
	put16(m.field, m.partial);
	put16(m.ip + 2, 39); /* less than the headers */
	stays(&m);
	put16(m.ip + 2, 0);
	stays(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sum),
		cmocka_unit_test(test_completes),
		cmocka_unit_test(test_right_and_wrong_stay),
		cmocka_unit_test(test_no_checksum),
		cmocka_unit_test(test_zero),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_lengths_that_disagree),
	};

	srand(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
