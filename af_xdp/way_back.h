/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_WAY_BACK_H
#define WIREWHO_WAY_BACK_H
/*
 * Inline: the way of one queue's frames back into the stack, and the credit that keeps the kernel from handing over more
 * than has room.
 *
 *   limit = frames whose memory the kernel has back + room
 *
 * The program redirects while used < limit, so no ring is ever full and no fill ring ever empty. Credit ends by itself
 * after CREDIT_NS: when the reader is stopped or starved, packets pass from then on, and TCP repeats those that wait in
 * the ring.
 *
 * Order: frames come back in the order in which they were redirected. One that passes for want of credit may overtake them.
 */
#include <stdbool.h>
#include <stdint.h>
#include "xdp/flow.h"

struct reinject;

#define CREDIT_NS 250000000ull
#define CREDIT_RENEW_MS 50 /* how often it must be granted, be there frames or not */

struct way_back {
	struct reinject *reinject;
	struct credit *credit;
	char ifname[16];
	unsigned ifindex, queue;
	unsigned waiting; /* frames of the batch */
	uint64_t room;    /* frames the queue holds */
	uint64_t taken;   /* of credit->used, those whose memory went back */
	uint64_t used;    /* credit->used when nothing came any more */
	uint64_t since;   /* since when nothing came, monotonic ns; 0: not so */
	bool ended;       /* no credit any more */
	uint64_t put_back;
	uint64_t failed;
	uint64_t recovered; /* credit of frames that never came */
};

/* Grants nothing yet. 0 or -errno (said). */
int way_back__open(struct way_back *w, struct credit *credit, const char *ifname, unsigned queue);
void way_back__close(struct way_back *w); /* fine on zeros */

/* Copies a frame for the way back, its checksum completed; at most REINJECT_BATCH before way_back__send(). */
void way_back__add(struct way_back *w, const uint8_t *data, uint32_t length);
/* Puts the added frames back into the stack. */
void way_back__send(struct way_back *w);
/* The kernel has the memory of all added frames back. `now` is CLOCK_MONOTONIC. */
void way_back__grant(struct way_back *w, uint64_t now);

/*
 * To be asked when the queue is empty: is something still on its way? A frame that was redirected and has not come after
 * 100 ms will never come (the kernel dropped it, and counted it): its credit is recovered.
 */
bool way_back__expects(struct way_back *w, uint64_t now);

/* Grants no more: packets pass. When it returns, whatever was redirected before is in the queue. */
void way_back__end(struct way_back *w);
#endif
