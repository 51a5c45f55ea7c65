// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ways.h"

#include <errno.h>

void ways__init(struct ways *w, const struct hash_seed *seed, struct whos *whos)
{
	*w = (struct ways){ .seed = seed, .whos = whos };
	pool__init(&w->pool, sizeof(struct way), 8);
}

void ways__free(struct ways *w)
{
	pool__free(&w->pool);
	index__free(&w->by_flow);
	index__free(&w->by_end);
}

size_t ways__bytes(const struct ways *w)
{
	return pool__bytes(&w->pool) + index__bytes(&w->by_flow) + index__bytes(&w->by_end);
}

static uint32_t find(const struct ways *w, const struct flow_key *flow)
{
	struct index_walk walk = index__walk(&w->by_flow, hash__tuple(w->seed, flow));
	uint32_t at;

	while ((at = index__next(&walk)) != INDEX_NONE) {
		const struct way *way = pool__at(&w->pool, at);

		if (!memcmp(&way->key, flow, sizeof(*flow)))
			break;
	}
	return at;
}

struct way *ways__find(const struct ways *w, const struct flow_key *flow)
{
	uint32_t at = w->pool.used ? find(w, flow) : INDEX_NONE;

	return at == INDEX_NONE ? NULL : pool__at(&w->pool, at);
}

struct way *ways__make(struct ways *w, const struct flow_key *flow)
{
	struct way *way = ways__find(w, flow);
	uint32_t at;

	if (way)
		return way;
	way = pool__take(&w->pool, &at);
	if (!way)
		return NULL;
	if (index__add(&w->by_flow, hash__tuple(w->seed, flow), at)) {
		pool__give(&w->pool, at);
		return NULL;
	}
	*way = (struct way){ .key = *flow, .peer = WHO_NONE };
	return way;
}

static uint32_t hash_of_end(const struct ways *w, const struct flow_key *end)
{
	return hash__key(w->seed, end, 0);
}

static void forget_ends(struct ways *w, struct way *way, uint32_t at)
{
	if (!way->translated)
		return;
	index__remove(&w->by_end, hash_of_end(w, &way->near), at);
	index__remove(&w->by_end, hash_of_end(w, &way->far), at);
	way->translated = false;
}

void ways__drop(struct ways *w, const struct flow_key *flow)
{
	uint32_t at = find(w, flow);
	struct way *way = at == INDEX_NONE ? NULL : pool__at(&w->pool, at);

	if (!way)
		return;
	forget_ends(w, way, at);
	whos__set(w->whos, &way->peer, WHO_NONE);
	index__remove(&w->by_flow, hash__tuple(w->seed, flow), at);
	pool__give(&w->pool, at);
}

int ways__translate(struct ways *w, struct way *way, const struct flow_key *near,
		    const struct flow_key *far)
{
	uint32_t at = find(w, &way->key);

	forget_ends(w, way, at);
	if (!near || !far)
		return 0;
	if (index__add(&w->by_end, hash_of_end(w, near), at))
		return -ENOMEM;
	if (index__add(&w->by_end, hash_of_end(w, far), at)) {
		index__remove(&w->by_end, hash_of_end(w, near), at);
		return -ENOMEM;
	}
	way->near = *near;
	way->far = *far;
	way->translated = true;
	return 0;
}

struct index_walk ways__at_end(const struct ways *w, const struct flow_key *end)
{
	return index__walk(&w->by_end, hash_of_end(w, end));
}

struct way *ways__next(const struct ways *w, struct index_walk *walk, const struct flow_key *end)
{
	uint32_t at;

	while ((at = index__next(walk)) != INDEX_NONE) {
		struct way *way = pool__at(&w->pool, at);

		if (!memcmp(&way->near, end, sizeof(*end)) || !memcmp(&way->far, end, sizeof(*end)))
			return way;
	}
	return NULL;
}
