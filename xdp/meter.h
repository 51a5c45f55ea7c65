/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_METER_H
#define WIREWHO_METER_H
/*
 * The meter: one program an interface over one shared set of count tables, XDP or (RECEIVE_TC) at tc ingress. Open, add
 * interfaces, attach, harvest, detach. With sampling it is another program, that selects frames and counts no flows: the
 * tallies alone say what became of each frame.
 */
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include "attach.h"
#include "flow.h"
#include "harvest.h"
#include "match.h"

struct bpf_object;

struct meter_opts {
	enum receive_mode mode;
	struct chain chain;
	struct harvest_size size;
	const struct match *match; /* NULL: none */
	bool match_counts; /* what does not match is not counted as a flow; of sampling: not taken */
	struct sampling sampling; /* mode 0: none; by XDP only */
	uint32_t
		slice_ring; /* copy: bytes of ring buffer a CPU, a power of two of pages; 0: 1 MiB */
	/* NULL, or gives the caller's maps to each program before it is loaded; 0 or -errno */
	int (*lend)(void *to, struct bpf_object *obj);
	void *lend_to;
};

struct meter;

int meter__open(struct meter **out, const struct meter_opts *opts);
void meter__close(struct meter *m); /* detaches what is attached; NULL is fine */

/*
 * Loads a program for `ifname` in the current network namespace and gives it the next link number (0, 1, ...).
 * Nothing is attached yet, so that sockets can be placed first. Returns the link number or -errno; the reason was said.
 */
int meter__add(struct meter *m, const char *ifname);
int meter__attach(struct meter *m, uint16_t link);
/* The interface was deleted and made again: a new program in the old place; counts go on. 0 or -errno (said). */
int meter__renew(struct meter *m, uint16_t link, const char *ifname);
void meter__detach(struct meter *m); /* all of them; counting has stopped when it returns */

/* The XSKMAP of a link (one entry a receive queue): for af_xdp's sockets. */
int meter__sockets_fd(const struct meter *m, uint16_t link);
unsigned meter__queues(const struct meter *m, uint16_t link);

/* Tap and inline, once attached: ARRIVALS times for each queue (flow.h); NULL where they stand in front of the frames. */
const uint64_t *meter__arrivals(const struct meter *m, uint16_t link);

/* Inline: the credit of each receive queue of a link. Copy: the ring buffer of a CPU, shared by all links. */
struct credit *meter__credits(const struct meter *m, uint16_t link);
int meter__slices_fd(const struct meter *m, int cpu);

struct harvest *meter__harvest(struct meter *m);
const struct attachment *meter__attachment(const struct meter *m, uint16_t link);
#endif
