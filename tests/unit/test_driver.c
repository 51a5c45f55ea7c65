// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the driver counted while we watched: a range, over several lives of an interface. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include "tools/driver.h"

static struct count n(uint64_t packets)
{
	return (struct count){ packets, packets * 100 };
}

static void begin(struct driver_watch *d, uint64_t before, uint64_t attached)
{
	const struct count b = n(before), a = n(attached);

	driver_watch__begin(d, &b, &a);
}

static void see(struct driver_watch *d, uint64_t packets)
{
	const struct count now = n(packets);

	driver_watch__see(d, &now);
}

static void end(struct driver_watch *d, uint64_t packets)
{
	const struct count now = n(packets);

	driver_watch__end(d, &now);
}

static void check(const struct driver_watch *d, uint64_t least, uint64_t most)
{
	const struct driver_range r = driver_watch__range(d);

	assert_int_equal(r.least.packets, least);
	assert_int_equal(r.least.bytes, least * 100);
	assert_int_equal(r.most.packets, most);
	assert_int_equal(r.most.bytes, most * 100);
}

static void test_range(void **state)
{
	struct driver_watch d = {};

	(void)state;
	begin(&d, 10, 13);
	check(&d, 0, 3);
	see(&d, 50);
	end(&d, 54);
	check(&d, 37, 44);
}

static void test_rest(void **state)
{
	struct driver_watch d = {};

	(void)state;
	begin(&d, 10, 10);
	see(&d, 50);
	end(&d, 50);
	check(&d, 40, 40);
}

/* The last word of a veth on its way out may be less than it said before. */
static void test_lives(void **state)
{
	struct driver_watch d = {};

	(void)state;
	begin(&d, 10, 12);
	see(&d, 50);
	see(&d, 20);
	driver_watch__gone(&d);
	check(&d, 38, 40);
	begin(&d, 0, 1);
	see(&d, 5);
	check(&d, 42, 45);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_range),
					    cmocka_unit_test(test_rest),
					    cmocka_unit_test(test_lives) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
