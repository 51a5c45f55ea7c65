/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_HASH_H
#define WIREWHO_HASH_H
/*
 * Seeded hashing of the few shapes that the join looks up. Whoever sends packets chooses the keys, so each run draws
 * its own seed: without it nobody can choose keys that collide. Multiply-and-fold of two words at a time, as in wyhash.
 */
#include <stdint.h>
#include <string.h>
#include "xdp/flow.h"

struct hash_seed {
	uint64_t word[6];
};

static inline uint64_t hash__fold(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static inline uint32_t hash__pair(const struct hash_seed *s, uint64_t a, uint64_t b)
{
	uint64_t h = hash__fold(a ^ s->word[0], b ^ s->word[1]);

	return hash__fold(h ^ s->word[2], s->word[3]) >> 32;
}

/* A key and one more word that belongs to it: the namespace, or 0. */
static inline uint32_t hash__key(const struct hash_seed *s, const struct flow_key *key,
				 uint64_t more)
{
	uint64_t w[5], h;

	memcpy(w, key, sizeof(w));
	h = hash__fold(w[0] ^ s->word[0], w[1] ^ s->word[1]) ^
	    hash__fold(w[2] ^ s->word[2], w[3] ^ s->word[3]) ^
	    hash__fold(w[4] ^ s->word[4], more ^ s->word[5]);
	return hash__fold(h ^ s->word[1], s->word[4]) >> 32;
}

static inline uint64_t hash__end(const struct hash_seed *s, uint64_t high, uint64_t low,
				 uint64_t port)
{
	return hash__fold(hash__fold(high ^ s->word[0], low ^ s->word[1]) ^ s->word[2],
			  port ^ s->word[3]);
}

/* The same for both orientations of a tuple, and on all links. */
static inline uint32_t hash__tuple(const struct hash_seed *s, const struct flow_key *key)
{
	uint64_t w[5], ends;

	memcpy(w, key, sizeof(w));
	ends = hash__end(s, w[0], w[1], key->sport) + hash__end(s, w[2], w[3], key->dport);
	return hash__fold(ends ^ s->word[4], (key->proto << 8 | key->family) ^ s->word[5]) >> 32;
}
#endif
