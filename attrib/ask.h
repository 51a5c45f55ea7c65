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
#include "behind.h"
#include "sockets.h"

struct question {
	uint64_t netns;
	const struct flow_key *key; /* oriented */
	uint64_t tied;              /* the socket this flow is tied to, 0: none */
	uint32_t round;             /* in which it was last counted */
	bool may_listen;            /* the peer may have opened it, and nobody better is known */
	bool passes; /* its address is none of this namespace: it is for no socket that is bound to a port alone */
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
	bool far;     /* it is the other end's owner */
};

struct answer ask(const struct sockets *t, const struct question *q);

/*
 * The same of other namespaces, where a flow only passes through here: exact tuples first, then what is bound where its
 * address is held. Only a namespace that is known to stand behind that interface counts; where the interface is not
 * known, only the one namespace that holds the address. Several of them: nobody.
 */
struct question_abroad {
	const struct behind *behind;
	uint64_t home;              /* a namespace that is not asked; 0: all are */
	const struct flow_key *key; /* as the socket sees it: its own end is the source */
	uint32_t ifindex;           /* 0: not known */
	uint32_t round;
	bool may_listen;
};

struct answer ask_abroad(const struct sockets *t, const struct question_abroad *q);
#endif
