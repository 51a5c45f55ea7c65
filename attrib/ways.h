/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_WAYS_H
#define WIREWHO_WAYS_H
/*
 * What is known of a flow beyond the watched interface: where a packet came in that only passes through here, what a
 * NAT makes of its tuple, and who owns the other end. Few flows have any of this.
 *
 * The tuples of a translated flow are what the sockets at its ends see, each from its own end (its source): `near` is
 * on this side of the interface. They are place keys, without link and family.
 */
#include <stdbool.h>
#include "hash.h"
#include "index.h"
#include "pool.h"
#include "whos.h"

struct way {
	struct flow_key key; /* the flow's */
	struct flow_key near, far;
	uint32_t ifindex; /* it came in there; 0: not known */
	uint32_t peer;    /* owner of the other end, WHO_NONE: not known */
	uint8_t peer_how; /* enum owner_how */
	bool translated;
	bool doubtful; /* its socket has ended: the NAT may have given the tuple to another since */
};

struct ways {
	struct pool pool;
	struct index by_flow, by_end;
	const struct hash_seed *seed;
	struct whos *whos;
};

void ways__init(struct ways *w, const struct hash_seed *seed, struct whos *whos);
void ways__free(struct ways *w);
size_t ways__bytes(const struct ways *w);

struct way *ways__find(const struct ways *w, const struct flow_key *flow); /* NULL: none */
struct way *ways__make(struct ways *w, const struct flow_key *flow);       /* NULL: no memory */
void ways__drop(struct ways *w, const struct flow_key *flow);
/* Its ends from now on; NULL for both: not translated. 0 or -ENOMEM, and then it is not. */
int ways__translate(struct ways *w, struct way *way, const struct flow_key *near,
		    const struct flow_key *far);

/* The translated ways with an end at this tuple:  i = ways__at_end(w, key); while ((way = ways__next(w, &i, key))) */
struct index_walk ways__at_end(const struct ways *w, const struct flow_key *end);
struct way *ways__next(const struct ways *w, struct index_walk *walk, const struct flow_key *end);
#endif
