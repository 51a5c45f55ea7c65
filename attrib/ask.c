// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "ask.h"

#include <netinet/in.h>
#include <string.h>

#define CANDIDATES_MAX 1024 /* more sockets at one place than can be told apart in time */

/* The last two: of those at ::, who take IPv4, too. */
enum pick { PICK_LIVE, PICK_GONE, PICK_BOUND, PICK_LISTENING, PICK_BOUND4, PICK_LISTENING4 };

static bool was_there(const struct socket *s, uint32_t round)
{
	return s->gone == SOCKET_LIVE || round <= s->gone + 1;
}

static bool fits(const struct socket *s, enum pick pick, uint32_t round)
{
	switch (pick) {
	case PICK_LIVE:
		return s->gone == SOCKET_LIVE;
	case PICK_GONE:
		return was_there(s, round);
	case PICK_LISTENING:
	case PICK_LISTENING4:
		if (!s->listening)
			return false;
		/* fall through */
	default:
		if (s->only6 && pick >= PICK_BOUND4)
			return false;
		return s->since <= round && was_there(s, round);
	}
}

static struct answer answer__one(const struct socket *s, uint32_t round)
{
	bool blurred = socket__is_blurred(s, round), nobodys = blurred || s->who == WHO_NONE;

	return (struct answer){ .cookie = nobodys ? 0 : s->cookie,
				.who = nobodys ? WHO_NONE : s->who,
				.how = nobodys ? OWNER_NONE : s->how,
				.found = true,
				.blurred = blurred,
				.passing = round <= s->blurred[1] };
}

static const struct answer nobody = { .who = WHO_NONE };
static const struct answer disputed = { .who = WHO_NONE, .found = true };

/* All that fit must be of one process; of their claims, the weakest counts. */
static struct answer judge(const struct sockets *t, uint32_t place, enum pick pick, uint32_t round)
{
	struct answer a = nobody;
	const struct socket *s;
	unsigned seen = 0;

	for (s = sockets__first(t, place); s; s = sockets__next(t, s)) {
		if (++seen > CANDIDATES_MAX)
			return disputed;
		if (!fits(s, pick, round))
			continue;
		if (!a.found) {
			a = answer__one(s, round);
			continue;
		}
		if (a.who != s->who || a.who == WHO_NONE)
			return disputed;
		a.cookie = 0;
		if (s->how > a.how)
			a.how = s->how;
	}
	return a;
}

/* Two TCP sockets cannot share a tuple: of several, only the newest can still be there. */
static struct answer newest(const struct sockets *t, uint32_t place, enum pick pick, uint32_t round)
{
	const struct socket *s;

	for (s = sockets__first(t, place); s; s = sockets__next(t, s))
		if (fits(s, pick, round))
			return answer__one(s, round);
	return nobody;
}

static struct answer at_tuple(const struct sockets *t, uint32_t place, uint8_t proto,
			      enum pick pick, uint32_t round)
{
	return proto == IPPROTO_TCP ? newest(t, place, pick, round) : judge(t, place, pick, round);
}

/* Bound places have no peer, so a peer with port 0 would be mistaken for none. */
static struct answer ask_exact(const struct sockets *t, const struct question *q,
			       const struct flow_key *key, enum pick pick)
{
	uint32_t place = key->dport ? places__find(&t->places, q->netns, key) : POOL_NONE;

	return at_tuple(t, place, key->proto, pick, q->round);
}

static struct answer ask_at(const struct sockets *t, const struct question *q,
			    const struct flow_key *key, enum pick pick)
{
	return judge(t, places__find(&t->places, q->netns, key), pick, q->round);
}

static struct answer ask_bound(const struct sockets *t, const struct question *q,
			       const struct flow_key *full)
{
	enum pick pick = full->proto == IPPROTO_TCP ? PICK_LISTENING : PICK_BOUND;
	bool mapped = address__is_mapped(full->saddr);
	struct flow_key key = *full;
	struct answer a;

	place_key__forget_peer(&key);
	a = ask_at(t, q, &key, pick);
	memset(key.saddr + 12, 0, 4);
	if (!a.found && mapped && !q->passes)
		a = ask_at(t, q, &key, pick);
	memset(key.saddr, 0, sizeof(key.saddr));
	if (mapped)
		pick = pick == PICK_BOUND ? PICK_BOUND4 : PICK_LISTENING4;
	if (!a.found && !q->passes)
		a = ask_at(t, q, &key, pick);
	if (a.found && a.who != WHO_NONE && full->proto == IPPROTO_TCP)
		a.how = OWNER_LISTENER;
	return a;
}

static struct answer ask_sure(const struct sockets *t, const struct question *q,
			      const struct flow_key *full)
{
	const struct socket *tied = q->tied ? sockets__find(t, q->tied) : NULL;
	bool tcp = full->proto == IPPROTO_TCP;
	struct answer a;

	/* The kernel's own TCP socket sends resets for everybody: a tie to an unknown owner says little there. */
	if (tied && tied->who == WHO_NONE && tcp)
		tied = NULL;
	if (tied && tied->gone == SOCKET_LIVE)
		return answer__one(tied, q->round);
	a = ask_exact(t, q, full, PICK_LIVE);
	if (a.found)
		return a;
	if (tied && was_there(tied, q->round))
		return answer__one(tied, q->round);
	return ask_exact(t, q, full, PICK_GONE);
}

struct answer ask(const struct sockets *t, const struct question *q)
{
	struct flow_key full = place_key__of_flow(q->key);
	struct answer a;

	/* No socket speaks mapped addresses as IPv6 on the wire: whoever sends that, it is not for an IPv4 socket. */
	if (q->key->family == 6 &&
	    (address__is_mapped(full.saddr) || address__is_mapped(full.daddr)))
		return nobody;
	a = ask_sure(t, q, &full);
	a.sure = a.found;
	if (!a.found && (full.proto != IPPROTO_TCP || q->may_listen))
		a = ask_bound(t, q, &full);
	return a;
}

/* ---- other namespaces ---- */

static struct answer either(struct answer a, struct answer b)
{
	if (!a.found)
		return b;
	if (b.found && (a.who != b.who || a.who == WHO_NONE))
		return disputed;
	return a;
}

static bool is_meant(const struct question_abroad *q, uint64_t holder, uint64_t netns)
{
	if (netns == q->home)
		return false;
	return q->ifindex ? behind__has(q->behind, q->ifindex, netns) : netns == holder;
}

static struct answer exact_abroad(const struct sockets *t, const struct question_abroad *q,
				  uint64_t holder, const struct flow_key *key, enum pick pick)
{
	struct index_walk walk = places__everywhere(&t->places, key);
	struct answer a = nobody;
	uint32_t place;

	while ((place = places__next(&t->places, &walk, key)) != POOL_NONE)
		if (is_meant(q, holder, places__at(&t->places, place)->netns))
			a = either(a, at_tuple(t, place, key->proto, pick, q->round));
	a.sure = a.found;
	return a;
}

static struct answer bound_at(const struct sockets *t, const struct question_abroad *q,
			      uint64_t netns, const struct flow_key *key)
{
	struct question there = { .netns = netns, .key = key, .round = q->round };

	if (!netns || netns == q->home || !behind__holds(q->behind, netns, key->saddr))
		return nobody;
	return ask_bound(t, &there, key);
}

static struct answer bound_abroad(const struct sockets *t, const struct question_abroad *q,
				  uint64_t holder, const struct flow_key *key)
{
	struct answer a = nobody;
	size_t i;

	if (!q->ifindex)
		return bound_at(t, q, holder, key);
	for (i = behind__first(q->behind, q->ifindex); behind__is(q->behind, i, q->ifindex); i++)
		a = either(a, bound_at(t, q, q->behind->link[i].netns, key));
	return a;
}

/* What a closed socket leaves, unless another has bound its port since: then it may be either's. */
static struct answer exact_gone_abroad(const struct sockets *t, const struct question_abroad *q,
				       uint64_t holder, const struct flow_key *key)
{
	struct answer a = exact_abroad(t, q, holder, key, PICK_GONE), b = nobody;

	if (a.found && key->proto == IPPROTO_UDP)
		b = bound_abroad(t, q, holder, key);
	return b.found && b.who != a.who ? disputed : a;
}

struct answer ask_abroad(const struct sockets *t, const struct question_abroad *q)
{
	struct flow_key key = place_key__of_flow(q->key);
	uint64_t holder = q->ifindex ? 0 : behind__holder(q->behind, key.saddr);
	struct answer a = nobody;

	if (key.dport)
		a = exact_abroad(t, q, holder, &key, PICK_LIVE);
	if (!a.found && key.dport)
		a = exact_gone_abroad(t, q, holder, &key);
	if (!a.found && (key.proto != IPPROTO_TCP || q->may_listen))
		a = bound_abroad(t, q, holder, &key);
	return a;
}
