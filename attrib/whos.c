// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "whos.h"

struct entry {
	struct who who;
	uint32_t hash;
	uint32_t refs;
	uint64_t used;
};

void whos__init(struct whos *w, const struct hash_seed *seed)
{
	pool__init(&w->pool, sizeof(struct entry), 8);
	w->seed = seed;
}

void whos__free(struct whos *w)
{
	pool__free(&w->pool);
	index__free(&w->index);
}

static uint32_t find(const struct whos *w, const struct who *who, uint32_t hash)
{
	struct index_walk walk = index__walk(&w->index, hash);
	uint32_t at;

	while ((at = index__next(&walk)) != INDEX_NONE) {
		const struct entry *e = pool__at(&w->pool, at);

		if (e->who.pid == who->pid && e->who.start == who->start)
			break;
	}
	return at;
}

uint32_t whos__intern(struct whos *w, const struct who *who)
{
	uint32_t hash = hash__pair(w->seed, who->pid, who->start), at = find(w, who, hash);
	struct entry *e;

	if (at != INDEX_NONE)
		return at;
	e = pool__take(&w->pool, &at);
	if (!e)
		return WHO_NONE;
	if (index__add(&w->index, hash, at)) {
		pool__give(&w->pool, at);
		return WHO_NONE;
	}
	*e = (struct entry){ .who = *who, .hash = hash, .used = 1 };
	return at;
}

void whos__set(struct whos *w, uint32_t *slot, uint32_t who)
{
	if (who != WHO_NONE)
		((struct entry *)pool__at(&w->pool, who))->refs++;
	if (*slot != WHO_NONE)
		((struct entry *)pool__at(&w->pool, *slot))->refs--;
	*slot = who;
}

void whos__renew(struct whos *w, const struct who *who)
{
	uint32_t at = find(w, who, hash__pair(w->seed, who->pid, who->start));

	if (at != INDEX_NONE)
		((struct entry *)pool__at(&w->pool, at))->who = *who;
}

void whos__forget(struct whos *w)
{
	struct entry *e;
	uint32_t at;

	for (at = 0; (e = pool__next(&w->pool, &at)); at++) {
		if (!e->used || e->refs)
			continue;
		index__remove(&w->index, e->hash, at);
		pool__give(&w->pool, at);
	}
	pool__trim(&w->pool);
}

const struct who *whos__at(const struct whos *w, uint32_t who)
{
	return who == WHO_NONE ? NULL : &((struct entry *)pool__at(&w->pool, who))->who;
}
