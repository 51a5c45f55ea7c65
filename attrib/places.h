/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_PLACES_H
#define WIREWHO_PLACES_H
/*
 * Where sockets stand: a network namespace, and what a socket knows of its ends. With both ends known the place is an
 * exact tuple; without a peer it is a bound address and port, or just a port where the address is a wildcard. A place's
 * key has no link and no family: a socket stands the same on all interfaces, and addresses tell the family.
 */
#include <stdbool.h>
#include "hash.h"
#include "index.h"
#include "pool.h"
#include "xdp/flow.h"

struct place {
	struct flow_key key; /* dport 0: bound only */
	uint64_t netns;
	uint32_t hash;
	uint32_t first; /* of its sockets, the newest first */
};

struct places {
	struct pool pool;
	struct index index;
	const struct hash_seed *seed;
};

void places__init(struct places *p, const struct hash_seed *seed);
void places__free(struct places *p);
/* POOL_NONE: nobody stands there; for make: no memory. */
uint32_t places__find(const struct places *p, uint64_t netns, const struct flow_key *key);
uint32_t places__make(struct places *p, uint64_t netns, const struct flow_key *key);
void places__drop(struct places *p, uint32_t place);
/* An exact tuple's places in all namespaces:  w = places__everywhere(p, key); while ((place = places__next(p, &w, key)) != POOL_NONE) */
struct index_walk places__everywhere(const struct places *p, const struct flow_key *key);
uint32_t places__next(const struct places *p, struct index_walk *walk, const struct flow_key *key);

static inline struct place *places__at(const struct places *p, uint32_t place)
{
	return pool__at(&p->pool, place);
}

/* The place of a socket that knows this much; false: not even its own port. */
bool place_key__of_socket(const struct flow_key *known, struct flow_key *out);
struct flow_key place_key__of_flow(const struct flow_key *key);
void place_key__forget_peer(struct flow_key *key);

bool address__is_mapped(const __u8 *address); /* IPv4, as ::ffff:a.b.c.d */
#endif
