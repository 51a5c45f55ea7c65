/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_FLOW_COUNTS_H
#define WIREWHO_FLOW_COUNTS_H
/*
 * Counts by flow in user space: of a tap, whose frames end here, the thread that receives them counts them too, by the parser
 * that the kernel's programs have. One table a thread, so no lock; it grows with the flows up to a limit, above which packets
 * count as `no_room`.
 *
 * A frame is parsed when it is shown, and counted a batch later, when its slot has come from memory.
 */
#include <stdbool.h>
#include <stdint.h>
#include "xdp/flow.h"

struct flow_counts;

struct flow_sums {
	uint64_t flows;
	struct count in_flows;         /* of all flows together */
	struct count reason[REASON_N]; /* of frames that are of no flow; that of REASON_FLOW is 0 */
	struct count no_room;
};

int flow_counts__open(struct flow_counts **out, uint32_t most, uint16_t link,
		      bool raw);                /* 0 or -errno */
void flow_counts__close(struct flow_counts *f); /* NULL is fine */

/* The bytes at `data` are looked at now. */
void flow_counts__show(struct flow_counts *f, const uint8_t *data, uint32_t caplen,
		       uint32_t length);
void flow_counts__settle(struct flow_counts *f); /* counts what is shown */

/* Adds to *sums: for several threads. What is not settled is not in it. */
void flow_counts__add_up(const struct flow_counts *f, struct flow_sums *sums);
/* A flow's packets and bytes, for a test; zeros where there is none. */
struct count flow_counts__of(const struct flow_counts *f, const struct flow_key *key);
#endif
