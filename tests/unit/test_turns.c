// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Changes of hands and what was counted around them come out in the order in which they happened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>
#include "attrib/turns.h"

static struct turns *t;
static char story[256]; /* what was handed on: "e5 c3 " is the event of pid 5, then 3 packets */

static void on_count(void *to, const struct turned *c)
{
	(void)to;
	snprintf(story + strlen(story), sizeof(story) - strlen(story), "c%llu ",
		 (unsigned long long)c->count.packets);
}

static void on_event(void *to, const struct owner_event *e)
{
	(void)to;
	snprintf(story + strlen(story), sizeof(story) - strlen(story), "e%u ", e->who.pid);
}

static const char *settled(uint64_t begun)
{
	static const struct turns_out out = { on_count, on_event, NULL };

	*story = 0;
	turns__settle(t, begun, &out);
	return story;
}

static struct flow_key flow(int port)
{
	return (struct flow_key){ .sport = port, .dport = 9, .proto = 6, .family = 4 };
}

/* Socket `cookie`, at the port of the same number. */
static bool changes(uint64_t cookie, uint32_t pid, uint8_t turn, uint64_t time)
{
	struct owner_event e = { .kind = OWNER_SOCKET,
				 .cookie = cookie,
				 .key = flow(cookie),
				 .who = { .pid = pid },
				 .turn = turn,
				 .time = time };

	return turns__take(t, &e);
}

static void counts(int port, uint8_t turn, uint64_t packets)
{
	struct turned c = { .key = flow(port), .turn = turn, .count = { packets, packets } };

	assert_int_equal(turns__count(t, &c), 0);
}

static int setup(void **state)
{
	(void)state;
	return turns__open(&t);
}

static int teardown(void **state)
{
	(void)state;
	turns__close(t);
	return 0;
}

static void lets_others_pass(void **state)
{
	(void)state;
	assert_false(changes(1, 5, 0, 10));
	assert_true(changes(2, 5, 1, 10));
	assert_false(changes(1, 6, 0, 11));
	assert_true(changes(2, 6, 0, 11)); /* not before the one that waits */
}

/* The change first, then what came after it. */
static void in_order(void **state)
{
	(void)state;
	counts(1, 1, 3);
	assert_true(changes(1, 5, 1, 10));
	assert_string_equal(settled(20), "e5 c3 ");
	assert_string_equal(settled(30), "");
}

/* A harvest that began before the change has not brought in all from before it. */
static void waits_for_its_harvest(void **state)
{
	(void)state;
	assert_true(changes(1, 5, 1, 25));
	counts(1, 1, 3);
	assert_string_equal(settled(20), "");
	counts(1, 1, 4);
	assert_string_equal(settled(30), "e5 c3 c4 ");
}

/* Counted apart still, though its change was taken in before. */
static void nothing_to_wait_for(void **state)
{
	(void)state;
	counts(1, 7, 3);
	assert_string_equal(settled(20), "c3 ");
}

static void several_turns(void **state)
{
	(void)state;
	counts(1, 3, 30);
	counts(1, 2, 20);
	counts(1, 1, 10);
	assert_true(changes(1, 5, 2, 11));
	assert_true(changes(1, 6, 3, 12));
	assert_string_equal(settled(20), "c10 e5 c20 e6 c30 ");
}

static void second_turn_waits_longer(void **state)
{
	(void)state;
	assert_true(changes(1, 5, 1, 11));
	assert_true(changes(1, 6, 2, 21));
	counts(1, 1, 10);
	counts(1, 2, 20);
	assert_string_equal(settled(20), "e5 c10 ");
	counts(1, 1, 11); /* the rest of before, found later */
	assert_string_equal(settled(30), "c11 e6 c20 ");
}

static void sockets_do_not_wait_for_each_other(void **state)
{
	(void)state;
	assert_true(changes(1, 5, 1, 25));
	assert_true(changes(2, 6, 1, 10));
	counts(1, 1, 10);
	counts(2, 1, 20);
	assert_string_equal(settled(20), "e6 c20 ");
	assert_string_equal(settled(30), "e5 c10 ");
}

static void later_event_waits_for_the_earlier(void **state)
{
	(void)state;
	assert_true(changes(1, 5, 1, 25));
	assert_true(changes(1, 6, 0, 26));
	assert_string_equal(settled(20), "");
	assert_string_equal(settled(30), "e5 e6 ");
}

/* At the end of a run nothing goes on waiting. */
static void all_at_the_end(void **state)
{
	(void)state;
	assert_true(changes(1, 5, 1, 1000));
	counts(1, 1, 3);
	assert_string_equal(settled(UINT64_MAX), "e5 c3 ");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lets_others_pass),
		TEST(in_order),
		TEST(waits_for_its_harvest),
		TEST(nothing_to_wait_for),
		TEST(several_turns),
		TEST(second_turn_waits_longer),
		TEST(sockets_do_not_wait_for_each_other),
		TEST(later_event_waits_for_the_earlier),
		TEST(all_at_the_end),
	};

	return cmocka_run_group_tests_name("turns", tests, NULL, NULL);
}
