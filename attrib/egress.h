/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_EGRESS_H
#define WIREWHO_EGRESS_H
/*
 * What the host sends: a tc egress program an interface, over one shared set of count tables.
 */
#include <stdbool.h>
#include <stdint.h>
#include "xdp/harvest.h"
#include "xdp/match.h"

struct egress;
struct owners;

struct egress_opts {
	struct harvest_size size;
	const struct match *match; /* NULL: none */
	bool match_counts;
	struct owners *owners; /* NULL: count only */
};

int egress__open(struct egress **out, const struct egress_opts *opts);
void egress__close(struct egress *e); /* detaches what is attached; NULL is fine */
/* Loads for `ifname` and attaches, in place of what had this link number. Numbers as the meter's. 0 or -errno (said). */
int egress__add(struct egress *e, const char *ifname, uint16_t link, bool raw);
void egress__detach(struct egress *e);
struct harvest *egress__harvest(struct egress *e);
#endif
