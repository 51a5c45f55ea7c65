/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TIES_H
#define WIREWHO_TIES_H
/*
 * Ties that came before their flow was counted: which socket sent the first frame with this key, or by which interface
 * it came in that left by another. The harvest after it finds the flow; what has waited longer than that, and was not told
 * since `before`, is dropped.
 */
#include "hash.h"
#include "index.h"
#include "owner.h"
#include "pool.h"

struct ties {
	struct pool pool;
	struct index index;
	uint32_t first, last; /* oldest, newest; POOL_NONE: none */
	const struct hash_seed *seed;
	size_t lost; /* ties that found no room */
};

void ties__init(struct ties *t, const struct hash_seed *seed);
void ties__free(struct ties *t);
struct tied {
	uint64_t cookie;  /* of the socket that sends what has this key; 0: none known */
	uint32_t ifindex; /* it came in there; 0: not known */
};

/* A newer tie replaces an older one. 0 or -ENOMEM: too many wait already, or no memory. */
int ties__put(struct ties *t, const struct owner_event *e, uint32_t round);
struct tied ties__find(const struct ties *t, uint64_t netns, const struct flow_key *key);
void ties__advance(struct ties *t, uint32_t round, uint64_t before);
#endif
