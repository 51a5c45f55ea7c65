/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TC_H
#define WIREWHO_TC_H
/*
 * A tc program on an interface: through tcx (kernel 6.6) by a link, which the kernel removes when we die, else as a clsact
 * filter. Other programs stay where they are.
 */
#include <stdbool.h>

enum tc_side { TC_INGRESS, TC_EGRESS };

struct tc_place {
	unsigned ifindex;
	enum tc_side side;
	int tcx; /* BPF link, or -1 */
	bool clsact;
	unsigned handle, priority; /* of the clsact filter */
};

#define TC_PLACE_NONE \
	{ \
		.tcx = -1 \
	}

/*
 * Ours is the first at ingress, as XDP would be, and the last at egress, so that we count what there is to the wire.
 * `ifname` is for what is said: that it had to be clsact, and errors. 0 or -errno (said).
 */
int tc__attach(struct tc_place *t, enum tc_side side, int program, unsigned ifindex,
	       const char *ifname);
void tc__detach(struct tc_place *t); /* fine on one that is not attached */
#endif
