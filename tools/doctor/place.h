/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_DOCTOR_PLACE_H
#define WIREWHO_DOCTOR_PLACE_H
/* Where an interface stands among others: a bond and its ports, a VLAN and its parent; and which of them to watch. */
#include <net/if.h>
#include "doctor.h"

struct place {
	unsigned ifindex;
	char kind[32];            /* "bond", "vlan", ...; "" for a card */
	char master[IF_NAMESIZE]; /* the bond or bridge it is a port of, or "" */
	char master_kind[32];
	char parent[IF_NAMESIZE]; /* what it stands on, or "" */
	char queue[32];           /* its queueing discipline */
	unsigned vlan;            /* a VLAN's id */
	char ports[256];          /* " -i NAME" for each of its own */
};

void place__ask(struct place *p, unsigned ifindex);
void place__check(struct doctor *d, const char *ifname, const struct place *p);
#endif
