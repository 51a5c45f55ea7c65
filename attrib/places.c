// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "places.h"

#include <netinet/in.h>

void places__init(struct places *p, const struct hash_seed *seed)
{
	memset(p, 0, sizeof(*p));
	pool__init(&p->pool, sizeof(struct place), 10);
	p->seed = seed;
}

void places__free(struct places *p)
{
	pool__free(&p->pool);
	index__free(&p->index);
}

static uint32_t find(const struct places *p, uint64_t netns, const struct flow_key *key,
		     uint32_t hash)
{
	struct index_walk walk = index__walk(&p->index, hash);
	uint32_t at;

	while ((at = index__next(&walk)) != INDEX_NONE) {
		const struct place *place = places__at(p, at);

		if (place->netns == netns && !memcmp(&place->key, key, sizeof(*key)))
			break;
	}
	return at;
}

/* An exact tuple stands in few namespaces, and is looked for in all; a bound port may stand in each of very many. */
static uint32_t hash_of(const struct places *p, uint64_t netns, const struct flow_key *key)
{
	return hash__key(p->seed, key, key->dport ? 0 : netns);
}

uint32_t places__find(const struct places *p, uint64_t netns, const struct flow_key *key)
{
	return find(p, netns, key, hash_of(p, netns, key));
}

struct index_walk places__everywhere(const struct places *p, const struct flow_key *key)
{
	return index__walk(&p->index, hash_of(p, 0, key));
}

uint32_t places__next(const struct places *p, struct index_walk *walk, const struct flow_key *key)
{
	uint32_t at;

	while ((at = index__next(walk)) != INDEX_NONE)
		if (!memcmp(&places__at(p, at)->key, key, sizeof(*key)))
			break;
	return at;
}

uint32_t places__make(struct places *p, uint64_t netns, const struct flow_key *key)
{
	uint32_t hash = hash_of(p, netns, key), at = find(p, netns, key, hash);
	struct place *place;

	if (at != POOL_NONE)
		return at;
	place = pool__take(&p->pool, &at);
	if (!place)
		return POOL_NONE;
	if (index__add(&p->index, hash, at)) {
		pool__give(&p->pool, at);
		return POOL_NONE;
	}
	*place = (struct place){ .key = *key, .netns = netns, .hash = hash, .first = POOL_NONE };
	return at;
}

void places__drop(struct places *p, uint32_t place)
{
	index__remove(&p->index, places__at(p, place)->hash, place);
	pool__give(&p->pool, place);
}

/* ---- keys ---- */

bool address__is_mapped(const __u8 *address)
{
	static const __u8 prefix[12] = { [10] = 0xff, [11] = 0xff };

	return !memcmp(address, prefix, 12);
}

static bool is_wildcard(const __u8 *address)
{
	static const __u8 zero[16];

	return !memcmp(address + 12, zero, 4) &&
	       (address__is_mapped(address) || !memcmp(address, zero, 12));
}

void place_key__forget_peer(struct flow_key *key)
{
	memset(key->daddr, 0, sizeof(key->daddr));
	key->dport = 0;
}

struct flow_key place_key__of_flow(const struct flow_key *key)
{
	struct flow_key k = *key;

	k.family = 0;
	k.link = 0;
	return k;
}

bool place_key__of_socket(const struct flow_key *known, struct flow_key *out)
{
	if (!known->sport || (known->proto != IPPROTO_TCP && known->proto != IPPROTO_UDP))
		return false;
	*out = place_key__of_flow(known);
	if (!known->dport || is_wildcard(known->saddr) || is_wildcard(known->daddr))
		place_key__forget_peer(out);
	return true;
}
