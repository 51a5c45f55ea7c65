/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_ASK_H
#define WIREWHO_ASK_H
/*
 * Whose socket does a flow belong to? It asks first for its tie (the socket that the kernel saw sending it), then for
 * its exact tuple, then for what is bound at its local port: the address, then 0.0.0.0, then :: (which takes IPv4 too;
 * the kernel prefers them in this order). TCP asks bound places for listening sockets only.
 *
 * Whoever is merely bound counts only if its life overlaps the round in which the flow was last counted, so a closed
 * socket still owns what the next harvest finds, and nothing after. Where several processes hold equally good
 * candidates, the answer is nobody: a wrong owner is worse than none.
 */
#include <stdbool.h>
#include "sockets.h"

struct question {
	uint64_t netns;
	const struct flow_key *key; /* oriented */
	uint64_t tied;              /* the socket this flow is tied to, 0: none */
	uint32_t round;             /* in which it was last counted */
	bool may_listen;            /* the peer may have opened it, and nobody better is known */
};

struct answer {
	uint64_t cookie; /* 0: several sockets of one process */
	uint32_t
		who; /* WHO_NONE though `found`: several claim it, or the socket's owner is not known */
	uint8_t how; /* enum owner_how */
	bool found; /* false: no socket at all, so there is no reason to take the flow from its owner */
	bool sure; /* by tie or exact tuple */
	bool blurred; /* nobody's, because several processes use the socket and nothing tells their packets apart */
	bool passing; /* it is blurred now, or about to be: ask again at the next harvest */
};

struct answer ask(const struct sockets *t, const struct question *q);
#endif
