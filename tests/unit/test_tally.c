// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Sums by key: every key keeps its own row while the table grows, is sorted, and is filled again. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "tools/trace/tally.h"

#define KEYS 5000

struct key {
	uint64_t a;
	uint32_t b, c;
};

static struct key key_of(uint32_t i)
{
	/* Many that differ in few bits. */
	return (struct key){ .a = (uint64_t)i << 32, .b = i % 7, .c = i };
}

static void add_all(struct tally_table *t)
{
	for (uint32_t i = 0; i < KEYS; i++) {
		struct key key = key_of(i);
		struct tally_row *row = tally_table__row(t, &key);

		assert_non_null(row);
		row->sum[0] += i;
		row->sum[1] += 1;
	}
}

static void check(struct tally_table *t, uint64_t times)
{
	const struct tally_row *row;
	size_t n = tally_table__sorted(t, 0, &row), i;

	assert_int_equal(n, KEYS);
	for (i = 0; i < n; i++) {
		struct key want = key_of(KEYS - 1 - i);

		assert_memory_equal(row[i].key, &want, sizeof(want));
		assert_int_equal(row[i].sum[0], times * (KEYS - 1 - i));
		assert_int_equal(row[i].sum[1], times);
	}
}

static void rows_keep_their_keys(void **state)
{
	struct tally_table *t;

	(void)state;
	assert_int_equal(tally_table__open(&t, sizeof(struct key)), 0);
	add_all(t);
	check(t, 1);
	/* Sorting has moved the rows: they must be found where they are now. */
	add_all(t);
	check(t, 2);
	tally_table__close(t);
}

static void an_emptied_table_begins_anew(void **state)
{
	const struct tally_row *row;
	struct tally_table *t;

	(void)state;
	assert_int_equal(tally_table__open(&t, sizeof(struct key)), 0);
	add_all(t);
	tally_table__empty(t);
	assert_int_equal(tally_table__sorted(t, 0, &row), 0);
	add_all(t);
	check(t, 1);
	tally_table__close(t);
	tally_table__close(NULL);
}

static void equal_sums_are_ordered_by_key(void **state)
{
	const struct tally_row *row;
	struct tally_table *t;

	(void)state;
	assert_int_equal(tally_table__open(&t, 1), 0);
	for (const char *k = "cabdb"; *k; k++)
		tally_table__row(t, k)->sum[2] = 7;
	assert_int_equal(tally_table__sorted(t, 2, &row), 4);
	for (int i = 0; i < 4; i++)
		assert_int_equal(row[i].key[0], 'a' + i);
	tally_table__close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rows_keep_their_keys),
		cmocka_unit_test(an_emptied_table_begins_anew),
		cmocka_unit_test(equal_sums_are_ordered_by_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
