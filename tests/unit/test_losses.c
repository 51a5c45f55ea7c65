// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the end of a capture file says of its losses: every packet that matched and is in no file of ours was dropped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "tools/capture/capture.h"

static uint64_t u64(const uint8_t *at)
{
	uint64_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* The value of an option of a statistics block: type, length, interface and time stand in front of them. */
static uint64_t option(const uint8_t *block, uint16_t code)
{
	const uint8_t *at = block + 20;
	uint16_t head[2];

	for (;; at += 4 + (head[1] + 3) / 4 * 4) {
		memcpy(head, at, sizeof(head));
		if (head[0] == code)
			return u64(at + 4);
		assert_int_not_equal(head[0], 0);
	}
}

static void check_drops(enum sample_mode sample, uint64_t copy_lost, struct engine_stats stats,
			uint64_t dropped)
{
	struct capture_losses l = { .sample = sample, .links = 2 };
	struct capture_link_losses *k = &l.link[1];
	uint8_t *second;
	void *blocks;

	k->stats = stats;
	k->tally.seen.packets = 1000;
	k->tally.reason[REASON_UNMATCHED].packets = 100;
	k->tally.sample[SAMPLE_COPY_LOST].packets = copy_lost;
	assert_true(capture_sink__statistics(&l, 1, 2, &blocks) > 0);
	second = (uint8_t *)blocks + pcapng__block_size(blocks);
	assert_int_equal(option(blocks, PCAPNG_ISB_OSDROP), 0);
	assert_int_equal(option(second, PCAPNG_ISB_IFRECV), 1000);
	assert_int_equal(option(second, PCAPNG_ISB_FILTERACCEPT), 900);
	assert_int_equal(option(second, PCAPNG_ISB_OSDROP), dropped);
	assert_int_equal(option(second, PCAPNG_ISB_USRDELIV), stats.delivered);
	free(blocks);
}

static void test_osdrop(void **state)
{
	const struct engine_stats tap = { .delivered = 888, .rx_dropped = 5, .rx_ring_full = 7 };
	const struct engine_stats copy = { .delivered = 889 };

	(void)state;
	check_drops(SAMPLE_MODE_TAP, 0, tap, 12);
	check_drops(SAMPLE_MODE_COPY, 11, copy, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_osdrop) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
