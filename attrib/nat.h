/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_NAT_H
#define WIREWHO_NAT_H
/*
 * What this network namespace's NAT makes of a flow: asked of the kernel's connection tracking over netlink
 * (ctnetlink), one flow at a time, and only about flows that nobody here owns. Nothing is asked while it tracks nothing.
 */
#include "xdp/flow.h"

struct nat;

int nat__open(struct nat **out); /* 0 or -ENOMEM */
void nat__close(struct nat *n);

/*
 * The tuples that the sockets at both ends of this flow see, each seen from its own end (its source); near is the
 * flow's source. 1: translated; 0: tracked and not translated; -ENOENT: not tracked; another -errno: cannot be asked
 * (said once).
 */
int nat__ask(struct nat *n, const struct flow_key *key, struct flow_key *near,
	     struct flow_key *far);
#endif
