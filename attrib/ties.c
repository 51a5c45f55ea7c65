// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ties.h"

#include <errno.h>
#include <stdbool.h>

#define TIES_MAX (1u << 20)

struct tie {
	uint32_t next; /* younger */
	uint32_t hash;
	struct flow_key key; /* without link */
	uint64_t netns;
	struct tied to;
	uint64_t time; /* of the event */
	uint64_t round;
	bool again; /* told again since it took its place in the row */
};

void ties__init(struct ties *t, const struct hash_seed *seed)
{
	*t = (struct ties){ .first = POOL_NONE, .last = POOL_NONE, .seed = seed };
	pool__init(&t->pool, sizeof(struct tie), 10);
}

void ties__free(struct ties *t)
{
	pool__free(&t->pool);
	index__free(&t->index);
}

static struct flow_key key_of(const struct flow_key *key)
{
	struct flow_key k = *key;

	k.link = 0;
	return k;
}

static uint32_t find(const struct ties *t, uint64_t netns, const struct flow_key *key,
		     uint32_t hash)
{
	struct index_walk walk = index__walk(&t->index, hash);
	uint32_t at;

	while ((at = index__next(&walk)) != INDEX_NONE) {
		const struct tie *tie = pool__at(&t->pool, at);

		if (tie->netns == netns && !memcmp(&tie->key, key, sizeof(*key)))
			break;
	}
	return at;
}

struct tied ties__find(const struct ties *t, uint64_t netns, const struct flow_key *key)
{
	static const struct tied none;
	struct flow_key k = key_of(key);
	uint32_t at;

	if (!t->pool.used)
		return none;
	at = find(t, netns, &k, hash__key(t->seed, &k, netns));
	return at == INDEX_NONE ? none : ((struct tie *)pool__at(&t->pool, at))->to;
}

static struct tied tied_by(const struct owner_event *e)
{
	struct tied to = { .cookie = e->cookie };

	if (e->kind == OWNER_PASSED)
		to.ifindex = e->ifindex;
	return to;
}

static struct tie *make(struct ties *t, uint32_t hash, uint32_t *at)
{
	struct tie *tie = t->pool.used < TIES_MAX ? pool__take(&t->pool, at) : NULL;

	if (tie && index__add(&t->index, hash, *at)) {
		pool__give(&t->pool, *at);
		tie = NULL;
	}
	return tie;
}

static void append(struct ties *t, struct tie *tie, uint32_t at)
{
	tie->next = POOL_NONE;
	if (t->last == POOL_NONE)
		t->first = at;
	else
		((struct tie *)pool__at(&t->pool, t->last))->next = at;
	t->last = at;
}

int ties__put(struct ties *t, const struct owner_event *e, uint32_t round)
{
	struct flow_key key = key_of(&e->key);
	uint32_t hash = hash__key(t->seed, &key, e->netns), at = find(t, e->netns, &key, hash);
	struct tie *tie;

	if (at != INDEX_NONE) {
		tie = pool__at(&t->pool, at);
		tie->to = tied_by(e);
		tie->time = e->time;
		tie->again = true;
		return 0;
	}
	tie = make(t, hash, &at);
	if (!tie) {
		t->lost++;
		return -ENOMEM;
	}
	*tie = (struct tie){ .hash = hash,
			     .key = key,
			     .netns = e->netns,
			     .to = tied_by(e),
			     .time = e->time,
			     .round = round };
	append(t, tie, at);
	return 0;
}

static void drop(struct ties *t, const struct tie *tie, uint32_t at)
{
	index__remove(&t->index, tie->hash, at);
	pool__give(&t->pool, at);
}

/* One that was told again goes to the end of the row, so that no other waits behind it. */
void ties__advance(struct ties *t, uint32_t round, uint64_t before)
{
	while (t->first != POOL_NONE) {
		struct tie *tie = pool__at(&t->pool, t->first);
		uint32_t at = t->first;

		if (round <= tie->round + 1 || (tie->time >= before && !tie->again))
			return;
		t->first = tie->next;
		if (t->first == POOL_NONE)
			t->last = POOL_NONE;
		if (tie->time < before) {
			drop(t, tie, at);
			continue;
		}
		tie->again = false;
		tie->round = round;
		append(t, tie, at);
	}
}
