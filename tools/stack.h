/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_STACK_H
#define WIREWHO_STACK_H
/* Which interfaces of the current network namespace stand on others: VLANs on cards, bonds and bridges on their ports. */
#include <stdint.h>

struct stack_place {
	unsigned level; /* how many stand below it, one on the other */
	uint32_t bond;  /* the bond (or team) whose port it is, by ifindex; 0: of none */
};

/* The places of n interfaces. 0 or -errno, and then nothing is written. */
int stack__find(const uint32_t *ifindex, unsigned n, struct stack_place *out);
/* Their numbers, from the lowest level on. */
void stack__order(const struct stack_place *place, unsigned n, unsigned *order);
#endif
