// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "clock.h"

#include <time.h>

#define SECOND 1000000000ull

static uint64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static uint64_t measure_offset(void)
{
	uint64_t best = UINT64_MAX, offset = 0;
	int i;

	for (i = 0; i < 5; i++) {
		uint64_t before = read_clock(CLOCK_MONOTONIC);
		uint64_t real = read_clock(CLOCK_REALTIME);
		uint64_t spent = read_clock(CLOCK_MONOTONIC) - before;

		if (spent >= best)
			continue;
		best = spent;
		offset = real - before - spent / 2;
	}
	return offset;
}

void clock__update(struct clock *c)
{
	uint64_t offset;

	c->now = read_clock(CLOCK_MONOTONIC);
	if (c->now < c->renew)
		return;
	/* The two clocks only part when one is set: less is noise, and would put frames out of order. */
	offset = measure_offset();
	if (!c->renew || offset - c->offset + 1000 > 2000)
		c->offset = offset;
	c->renew = c->now + SECOND;
}
