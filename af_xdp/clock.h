/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_CLOCK_H
#define WIREWHO_CLOCK_H
/* From CLOCK_MONOTONIC, which XDP programs read, to CLOCK_REALTIME, which files hold. Zeros are a good start. */
#include <stdint.h>

struct clock {
	uint64_t now;    /* monotonic ns, at the last update */
	uint64_t offset; /* to add; may wrap */
	uint64_t renew;  /* when to measure again */
};

void clock__update(struct clock *c); /* once a batch */

static inline uint64_t clock__real(const struct clock *c, uint64_t monotonic)
{
	return monotonic + c->offset;
}
#endif
