/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_CONSTANTS_H
#define WIREWHO_CONSTANTS_H
/*
 * What each program that counts is told of its interface before it is loaded: the constants of meter.bpf.c and
 * count_skb.h. Each skeleton has a type of its own for them, so this is a macro.
 */
#include <stdbool.h>
#include <stdint.h>
#include "match.h"
#include "probe.h"

struct constants {
	uint16_t link;
	bool raw;                  /* no Ethernet header */
	bool match_counts;         /* what does not match is not counted as a flow */
	const struct match *match; /* NULL: none */
};

#define constants__set(rodata, c) \
	do { \
		(rodata)->link_number = (c)->link; \
		(rodata)->link_raw = (c)->raw; \
		(rodata)->match_counts = (c)->match_counts; \
		(rodata)->look_inside = !probe__kernel_context(); \
		if ((c)->match) \
			(rodata)->match = *(c)->match; \
	} while (0)
#endif
