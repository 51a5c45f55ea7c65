// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "sockets.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define VERSIONS (3u << 16)

/* So long before it was first used by another, what he found in its queue may have been counted. */
#define UNREAD_NS 200000000

int sockets__open(struct sockets *t, const struct hash_seed *seed, struct whos *whos)
{
	static const struct socket_queue empty = { POOL_NONE, POOL_NONE };

	memset(t, 0, sizeof(*t));
	pool__init(&t->pool, sizeof(struct socket), 10);
	places__init(&t->places, seed);
	t->ending = t->ended = empty;
	t->seed = seed;
	t->whos = whos;
	t->version = calloc(VERSIONS, sizeof(*t->version));
	return t->version ? 0 : -ENOMEM;
}

void sockets__close(struct sockets *t)
{
	pool__free(&t->pool);
	index__free(&t->index);
	places__free(&t->places);
	free(t->version);
}

size_t sockets__bytes(const struct sockets *t)
{
	return pool__bytes(&t->pool) + index__bytes(&t->index) + pool__bytes(&t->places.pool) +
	       index__bytes(&t->places.index) + VERSIONS * sizeof(*t->version);
}

static struct socket *at(const struct sockets *t, uint32_t handle)
{
	return handle == POOL_NONE ? NULL : pool__at(&t->pool, handle);
}

const struct socket *sockets__first(const struct sockets *t, uint32_t place)
{
	return place == POOL_NONE ? NULL : at(t, places__at(&t->places, place)->first);
}

const struct socket *sockets__next(const struct sockets *t, const struct socket *s)
{
	return at(t, s->next);
}

/* ---- places ---- */

static void enter(struct sockets *t, uint32_t place, struct socket *s, uint32_t handle)
{
	struct place *p = places__at(&t->places, place);

	s->place = place;
	s->prev = POOL_NONE;
	s->next = p->first;
	if (s->next != POOL_NONE)
		at(t, s->next)->prev = handle;
	p->first = handle;
}

static void leave(struct sockets *t, struct socket *s)
{
	struct place *p;

	if (s->place == POOL_NONE)
		return;
	p = places__at(&t->places, s->place);
	if (s->next != POOL_NONE)
		at(t, s->next)->prev = s->prev;
	if (s->prev != POOL_NONE)
		at(t, s->prev)->next = s->next;
	else
		p->first = s->next;
	if (p->first == POOL_NONE)
		places__drop(&t->places, s->place);
	s->place = POOL_NONE;
}

/* ---- telling flows to ask again ---- */

/* Without `change` (a socket ends) only those can be concerned who stand below it at its port. */
static void touch(struct sockets *t, const struct socket *s, struct socket_change *change)
{
	const struct place *p;

	++*sockets__tie_version(t, s->cookie);
	if (s->place == POOL_NONE)
		return;
	p = places__at(&t->places, s->place);
	if (p->key.dport && change) {
		change->key[change->n] = p->key;
		change->key[change->n++].family = address__is_mapped(p->key.saddr) ? 4 : 6;
	} else if (!p->key.dport || p->key.proto == IPPROTO_UDP) {
		++*sockets__port_version(t, &p->key);
	}
}

/* ---- sockets ---- */

static uint32_t cookie_hash(const struct sockets *t, uint64_t cookie)
{
	return hash__pair(t->seed, cookie, 0);
}

static uint32_t find_socket(const struct sockets *t, uint64_t cookie)
{
	struct index_walk walk = index__walk(&t->index, cookie_hash(t, cookie));
	uint32_t handle;

	while ((handle = index__next(&walk)) != INDEX_NONE)
		if (at(t, handle)->cookie == cookie)
			break;
	return handle;
}

const struct socket *sockets__find(const struct sockets *t, uint64_t cookie)
{
	return at(t, find_socket(t, cookie));
}

static uint32_t make_socket(struct sockets *t, uint64_t cookie, uint32_t round)
{
	uint32_t handle = find_socket(t, cookie);
	struct socket *s;

	if (handle != POOL_NONE)
		return handle;
	s = pool__take(&t->pool, &handle);
	if (!s)
		return POOL_NONE;
	if (index__add(&t->index, cookie_hash(t, cookie), handle)) {
		pool__give(&t->pool, handle);
		return POOL_NONE;
	}
	*s = (struct socket){ .cookie = cookie,
			      .place = POOL_NONE,
			      .who = WHO_NONE,
			      .since = round,
			      .gone = SOCKET_LIVE };
	return handle;
}

static void drop_socket(struct sockets *t, uint32_t handle)
{
	struct socket *s = at(t, handle);

	whos__set(t->whos, &s->who, WHO_NONE);
	leave(t, s);
	index__remove(&t->index, cookie_hash(t, s->cookie), handle);
	pool__give(&t->pool, handle);
}

/* ---- the queues ---- */

static void queue__put(struct sockets *t, struct socket_queue *q, uint32_t handle)
{
	at(t, handle)->queue = POOL_NONE;
	if (q->last == POOL_NONE)
		q->first = handle;
	else
		at(t, q->last)->queue = handle;
	q->last = handle;
}

static void queue__pop(struct sockets *t, struct socket_queue *q)
{
	q->first = at(t, q->first)->queue;
	if (q->first == POOL_NONE)
		q->last = POOL_NONE;
}

static void may_end(struct sockets *t, uint32_t handle)
{
	struct socket *s = at(t, handle);

	if (!s->queued)
		queue__put(t, &t->ending, handle);
	s->queued = true;
}

/* ---- events ---- */

/*
 * A better claim takes the place of a weaker one, an equal one that of an older one. Two snapshot claims to one socket
 * by two processes are no claim at all: both hold it open, and neither was seen using it.
 */
static bool set_owner(struct sockets *t, struct socket *s, uint32_t who, uint8_t how)
{
	if (who == s->who) {
		if (how >= s->how)
			return false;
		s->how = how;
		return true;
	}
	if (s->how && how > s->how)
		return false;
	if (s->how == OWNER_SNAPSHOT && how == OWNER_SNAPSHOT)
		who = WHO_NONE;
	if (who == s->who && how == s->how)
		return false;
	whos__set(t->whos, &s->who, who);
	s->how = how;
	return true;
}

static int take_owner(struct sockets *t, struct socket *s, const struct owner_event *e,
		      bool *changed)
{
	uint32_t who;

	if (!who__is_somebody(&e->who) || !e->how || e->how >= OWNER_HOW_N)
		return 0;
	who = whos__intern(t->whos, &e->who);
	if (who == WHO_NONE)
		return -ENOMEM;
	*changed |= set_owner(t, s, who, e->how);
	return 0;
}

/* A closed socket that stands elsewhere now was opened anew: connect() after a disconnect keeps the cookie. */
static int move(struct sockets *t, uint32_t handle, const struct owner_event *e, uint32_t round,
		struct socket_change *change)
{
	struct socket *s = at(t, handle);
	struct flow_key key;
	uint32_t place;

	if (!place_key__of_socket(&e->key, &key))
		return 0;
	place = places__make(&t->places, e->netns, &key);
	if (place == POOL_NONE)
		return -ENOMEM;
	if (place == s->place)
		return 0;
	touch(t, s, change);
	leave(t, s);
	enter(t, place, s, handle);
	s->since = round;
	s->gone = SOCKET_LIVE;
	return 1;
}

/* What several did with it by turns is nobody's; with a turn: what this harvest counted after it, too. */
static void blur(const struct sockets *t, struct socket *s, const struct owner_event *e,
		 uint32_t round)
{
	s->blurred[0] = e->turn || e->time < t->counted + UNREAD_NS ? round : round + 1;
	s->blurred[1] = round + BLURRED_ROUNDS;
}

static int on_socket(struct sockets *t, const struct owner_event *e, uint32_t round,
		     struct socket_change *change)
{
	uint32_t handle = make_socket(t, e->cookie, round);
	struct socket *s;
	bool changed;
	int err;

	if (handle == POOL_NONE)
		return -ENOMEM;
	s = at(t, handle);
	err = move(t, handle, e, round, change);
	changed = err > 0 || s->listening != !!e->listening;
	changed |= s->only6 != !!e->only6;
	s->listening = e->listening;
	s->only6 = e->only6;
	s->announced = true;
	s->snapshot = t->snapshot;
	if (err > 0 && e->how == OWNER_SNAPSHOT)
		s->since = 0; /* it was there before we looked */
	if (err >= 0)
		err = take_owner(t, s, e, &changed);
	if (e->between[0] == BETWEEN_ALL) {
		blur(t, s, e, round);
		changed = true;
	}
	if (changed)
		touch(t, s, change);
	return err < 0 ? err : 0;
}

/* Two used it at the same moment: the other one's event says all the rest, before this one or after it. */
static int on_blurred(struct sockets *t, const struct owner_event *e, uint32_t round,
		      struct socket_change *change)
{
	uint32_t handle = make_socket(t, e->cookie, round);

	if (handle == POOL_NONE)
		return -ENOMEM;
	if (!at(t, handle)->announced)
		may_end(t, handle);
	blur(t, at(t, handle), e, round);
	touch(t, at(t, handle), change);
	return 0;
}

/* Nothing announced this socket yet, or nothing ever will: the tie alone says that it exists. */
static int on_tie(struct sockets *t, const struct owner_event *e, uint32_t round,
		  struct socket_change *change)
{
	uint32_t handle = make_socket(t, e->cookie, round);
	bool changed = false;
	struct socket *s;
	int err;

	if (handle == POOL_NONE)
		return -ENOMEM;
	s = at(t, handle);
	if (!s->announced)
		may_end(t, handle);
	err = take_owner(t, s, e, &changed);
	if (changed)
		touch(t, s, change);
	return err;
}

/* Nothing changes yet: what the next harvest finds may still be its own. */
static void close_socket(struct sockets *t, uint32_t handle, uint32_t round)
{
	struct socket *s = at(t, handle);

	if (!s || s->gone != SOCKET_LIVE)
		return;
	s->gone = round;
	may_end(t, handle);
}

int sockets__event(struct sockets *t, const struct owner_event *e, uint32_t round,
		   struct socket_change *change)
{
	change->n = 0;
	if (!e->cookie)
		return 0;
	switch (e->kind) {
	case OWNER_SOCKET:
		return on_socket(t, e, round, change);
	case OWNER_TIE:
		return on_tie(t, e, round, change);
	case OWNER_BLURRED:
		return on_blurred(t, e, round, change);
	case OWNER_GONE:
		close_socket(t, find_socket(t, e->cookie), round);
		return 0;
	default:
		return 0;
	}
}

void sockets__snapshot_begins(struct sockets *t)
{
	t->snapshot++;
}

void sockets__saw(struct sockets *t, uint64_t cookie)
{
	struct socket *s = at(t, find_socket(t, cookie));

	if (s)
		s->snapshot = t->snapshot;
}

bool sockets__is_there(const struct sockets *t, uint64_t cookie)
{
	const struct socket *s = cookie ? sockets__find(t, cookie) : NULL;

	return s && s->gone == SOCKET_LIVE && s->snapshot == t->snapshot;
}

/* Closed long ago for all we know: whoever has come to its place since was not heard. */
void sockets__snapshot_ends(struct sockets *t)
{
	struct socket *s;
	uint32_t handle;

	for (handle = 0; (s = pool__next(&t->pool, &handle)); handle++) {
		if (!s->cookie || !s->announced || s->snapshot == t->snapshot)
			continue;
		close_socket(t, handle, 0);
		s->gone = 0;
	}
}

void sockets__hold(struct sockets *t, uint64_t cookie, int flows)
{
	struct socket *s = at(t, find_socket(t, cookie));

	if (s)
		s->ties += flows;
}

/* ---- the end ---- */

/* Closed for more than a harvest, or known by ties that nobody uses any more. */
static bool has_ended(const struct socket *s, uint32_t round)
{
	if (s->gone != SOCKET_LIVE)
		return round > s->gone + 1;
	return !s->announced && !s->ties && round > s->since + 1;
}

/* Each socket that was queued when the harvest began is looked at once; what may end later queues again. */
static void end_sockets(struct sockets *t, uint32_t round)
{
	uint32_t last = t->ending.last, handle = POOL_NONE;

	while (handle != last) {
		struct socket *s = at(t, handle = t->ending.first);

		queue__pop(t, &t->ending);
		if (has_ended(s, round)) {
			touch(t, s, NULL); /* others at its port may own alone from now on */
			queue__put(t, &t->ended, handle);
		} else if (s->gone != SOCKET_LIVE || !s->announced) {
			queue__put(t, &t->ending, handle);
		} else {
			s->queued = false;
		}
	}
}

void sockets__advance(struct sockets *t, uint32_t round)
{
	if (t->ending.first != POOL_NONE)
		end_sockets(t, round);
}

void sockets__forget(struct sockets *t, uint32_t round)
{
	while (t->ended.first != POOL_NONE) {
		uint32_t handle = t->ended.first;

		queue__pop(t, &t->ended);
		at(t, handle)->queued = false;
		if (has_ended(at(t, handle), round))
			drop_socket(t, handle);
		else /* opened anew, or tied again, since it was found ended */
			may_end(t, handle);
	}
	pool__trim(&t->pool);
	pool__trim(&t->places.pool);
}
