// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "flows.h"

#include <errno.h>
#include <stdlib.h>

#define FINISHED_MAX 65536u

void flows__init(struct flows *t, const struct hash_seed *seed, struct whos *whos)
{
	*t = (struct flows){ .seed = seed, .whos = whos };
	pool__init(&t->pool, sizeof(struct flow), 12);
}

void flows__free(struct flows *t)
{
	pool__free(&t->pool);
	index__free(&t->index);
	free(t->finished);
}

size_t flows__bytes(const struct flows *t)
{
	return pool__bytes(&t->pool) + index__bytes(&t->index) +
	       t->finished_room * sizeof(*t->finished);
}

struct flow *flows__find(const struct flows *t, const struct flow_key *key, uint32_t *handle)
{
	struct index_walk walk = index__walk(&t->index, hash__tuple(t->seed, key));

	while ((*handle = index__next(&walk)) != INDEX_NONE) {
		struct flow *f = pool__at(&t->pool, *handle);

		if (flow_key__same(&f->key, key))
			return f;
	}
	return NULL;
}

struct flow *flows__make(struct flows *t, const struct flow_key *key, uint32_t *handle)
{
	struct flow *f = pool__take(&t->pool, handle);

	if (!f)
		return NULL;
	if (index__add(&t->index, hash__tuple(t->seed, key), *handle)) {
		pool__give(&t->pool, *handle);
		return NULL;
	}
	f->key = *key;
	f->flags = IS_USED;
	f->who = WHO_NONE;
	return f;
}

void flows__drop(struct flows *t, struct flow *f, uint32_t handle)
{
	whos__set(t->whos, &f->who, WHO_NONE);
	index__remove(&t->index, hash__tuple(t->seed, &f->key), handle);
	pool__give(&t->pool, handle);
}

void flows__trim(struct flows *t)
{
	pool__trim(&t->pool);
	if (t->finished_n)
		return;
	free(t->finished);
	t->finished = NULL;
	t->finished_room = 0;
}

static bool is_tuple(const struct flow_key *a, const struct flow_key *b)
{
	return a->proto == b->proto && a->sport == b->sport && a->dport == b->dport &&
	       !memcmp(a->saddr, b->saddr, sizeof(a->saddr)) &&
	       !memcmp(a->daddr, b->daddr, sizeof(a->daddr));
}

struct index_walk flows__alike(const struct flows *t, const struct flow_key *key)
{
	return index__walk(&t->index, hash__tuple(t->seed, key));
}

struct flow *flows__next(const struct flows *t, struct index_walk *walk, const struct flow_key *key)
{
	struct flow_key back = flow_key__reversed(key);
	uint32_t at;

	while ((at = index__next(walk)) != INDEX_NONE) {
		struct flow *f = pool__at(&t->pool, at);

		if (is_tuple(&f->key, key) || is_tuple(&f->key, &back))
			return f;
	}
	return NULL;
}

/* ---- records ---- */

void flow__count(struct flow *f, int dir, const struct count *n, uint64_t now)
{
	if (!(f->flags & IS_PENDING))
		f->start = now;
	f->flags |= IS_PENDING;
	f->end = now;
	f->pending[dir].packets += n->packets;
	f->pending[dir].bytes += n->bytes;
}

static enum opener opener_of(const uint8_t marks[2])
{
	bool source = (marks[0] & FLOW_SYN) || (marks[1] & FLOW_SYNACK);
	bool destination = (marks[1] & FLOW_SYN) || (marks[0] & FLOW_SYNACK);

	if (source == destination)
		return OPENER_UNKNOWN;
	return source ? OPENER_SOURCE : OPENER_DESTINATION;
}

enum opener flow__opener(const struct flow *f)
{
	return opener_of(f->marks);
}

static void next_record(struct flow *f)
{
	int dir;

	for (dir = 0; dir < 2; dir++) {
		f->reported[dir].packets += f->pending[dir].packets;
		f->reported[dir].bytes += f->pending[dir].bytes;
		f->pending[dir] = (struct count){ 0 };
	}
	f->flags &= ~(IS_PENDING | IS_MIXED);
}

static struct finished *new_finished(struct flows *t)
{
	uint32_t room = t->finished_room ? t->finished_room * 2 : 64;
	struct finished *more;

	if (t->finished_n == t->finished_room) {
		more = room <= FINISHED_MAX ? realloc(t->finished, room * sizeof(*more)) : NULL;
		if (!more)
			return NULL;
		t->finished = more;
		t->finished_room = room;
	}
	return &t->finished[t->finished_n++];
}

/* The last of what was counted; bytes by the average, rounded up, because nobody knows which packets they were. */
static struct count last_of(const struct count *n, uint32_t packets)
{
	struct count last = *n;

	if (packets >= n->packets)
		return last;
	last.packets = packets;
	last.bytes = (n->bytes * packets + n->packets - 1) / n->packets;
	return last;
}

/* Takes this part of what was counted out of the flow. */
static bool finish_part(struct flows *t, struct flow *f, const struct count part[2], uint32_t who)
{
	struct finished *done;
	int dir;

	if (!part[0].packets && !part[1].packets)
		return true;
	done = new_finished(t);
	if (!done)
		return false;
	*done = (struct finished){
		.key = f->key,
		.pending = { part[0], part[1] },
		.start = f->start,
		.end = f->end,
		.cookie = who == WHO_NONE ? 0 : f->cookie,
		.who = WHO_NONE,
		.how = who == WHO_NONE ? OWNER_NONE : f->how,
		.marks = { f->marks[0], f->marks[1] },
		.far = who != WHO_NONE && f->far,
	};
	whos__set(t->whos, &done->who, who);
	for (dir = 0; dir < 2; dir++) {
		f->pending[dir].packets -= part[dir].packets;
		f->pending[dir].bytes -= part[dir].bytes;
		f->reported[dir].packets += part[dir].packets;
		f->reported[dir].bytes += part[dir].bytes;
		done->all[dir] = f->reported[dir];
	}
	return true;
}

void flows__finish(struct flows *t, struct flow *f, const uint32_t between[2])
{
	struct count own[2] = { f->pending[0], f->pending[1] }, last[2] = { { 0 } };
	int dir;

	if (!(f->flags & IS_PENDING) || (f->flags & IS_MIXED))
		return;
	for (dir = 0; between && dir < 2; dir++) {
		last[dir] = last_of(&f->pending[dir], between[dir]);
		own[dir].packets -= last[dir].packets;
		own[dir].bytes -= last[dir].bytes;
	}
	if (!finish_part(t, f, own, f->who) || !finish_part(t, f, last, WHO_NONE)) {
		f->flags |= IS_MIXED;
		t->unsplit++;
		return;
	}
	next_record(f);
}

void flows__report(struct flows *t, struct flow *f, join_fn fn, void *to)
{
	bool mixed = f->flags & IS_MIXED;
	struct flow_view v = {
		.key = &f->key,
		.sent = f->pending[0],
		.received = f->pending[1],
		.start = f->start,
		.end = f->end,
		.marks = { f->marks[0], f->marks[1] },
		.opener = opener_of(f->marks),
		.who = mixed ? NULL : whos__at(t->whos, f->who),
		.how = mixed ? OWNER_NONE : f->how,
		.cookie = mixed || f->who == WHO_NONE ? 0 : f->cookie,
		.far = !mixed && f->who != WHO_NONE && f->far,
	};

	next_record(f);
	v.all_sent = f->reported[0];
	v.all_received = f->reported[1];
	fn(to, &v);
}

/* A copy: fn may ask for an owner, which may finish another record and move them all. */
static void report_one(struct flows *t, struct finished done, join_fn fn, void *to)
{
	struct flow_view v = {
		.key = &done.key,
		.sent = done.pending[0],
		.received = done.pending[1],
		.all_sent = done.all[0],
		.all_received = done.all[1],
		.start = done.start,
		.end = done.end,
		.marks = { done.marks[0], done.marks[1] },
		.opener = opener_of(done.marks),
		.who = whos__at(t->whos, done.who),
		.how = done.how,
		.cookie = done.cookie,
		.far = done.far,
	};

	fn(to, &v);
	whos__set(t->whos, &done.who, WHO_NONE);
}

void flows__report_finished(struct flows *t, join_fn fn, void *to)
{
	uint32_t i;

	for (i = 0; i < t->finished_n; i++)
		report_one(t, t->finished[i], fn, to);
	t->finished_n = 0;
}
