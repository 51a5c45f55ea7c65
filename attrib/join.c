// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "join.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include "ask.h"
#include "flows.h"
#include "sockets.h"
#include "ties.h"
#include "whos.h"

struct join {
	struct join_opts opts;
	struct flows flows;
	struct sockets sockets;
	struct ties ties;
	struct whos whos;
	struct hash_seed seed;
	uint64_t now; /* of the latest harvest */
	uint32_t round;
	const uint32_t *between; /* of the event that is being taken in, where hands change */
	bool added;              /* anything, since the last report */
	unsigned links;          /* numbered below this */
	uint64_t netns[LINKS_MAX];
};

/* ---- keys ---- */

struct flow_key flow_key__reversed(const struct flow_key *key)
{
	struct flow_key r = *key;

	memcpy(r.saddr, key->daddr, sizeof(r.saddr));
	memcpy(r.daddr, key->saddr, sizeof(r.daddr));
	r.sport = key->dport;
	r.dport = key->sport;
	return r;
}

bool flow_key__canonical(struct flow_key *key)
{
	int order = memcmp(key->saddr, key->daddr, sizeof(key->saddr));

	if (!order)
		order = memcmp(&key->sport, &key->dport, sizeof(key->sport));
	if (order > 0)
		*key = flow_key__reversed(key);
	return order > 0;
}

/* ---- making and freeing ---- */

int join__open(struct join **out, const struct join_opts *opts)
{
	struct join *j = calloc(1, sizeof(*j));
	int err;

	if (!j)
		return -ENOMEM;
	j->opts = *opts;
	whos__init(&j->whos, &j->seed);
	ties__init(&j->ties, &j->seed);
	flows__init(&j->flows, &j->seed, &j->whos);
	err = getrandom(&j->seed, sizeof(j->seed), 0) == sizeof(j->seed) ? 0 : -errno;
	if (!err)
		err = sockets__open(&j->sockets, &j->seed, &j->whos);
	if (err) {
		free(j);
		return err;
	}
	*out = j;
	return 0;
}

void join__close(struct join *j)
{
	if (!j)
		return;
	sockets__close(&j->sockets);
	flows__free(&j->flows);
	ties__free(&j->ties);
	whos__free(&j->whos);
	free(j);
}

void join__stats(const struct join *j, struct join_stats *out)
{
	*out = (struct join_stats){
		.flows = j->flows.pool.used,
		.sockets = j->sockets.pool.used,
		.owners = j->whos.pool.used,
		.bytes = sizeof(*j) + flows__bytes(&j->flows) + sockets__bytes(&j->sockets) +
			 pool__bytes(&j->ties.pool) + index__bytes(&j->ties.index) +
			 pool__bytes(&j->whos.pool) + index__bytes(&j->whos.index),
		.unsplit = j->flows.unsplit,
		.ties_lost = j->ties.lost,
	};
}

static uint64_t netns_of(const struct join *j, const struct flow_key *key)
{
	return key->link < LINKS_MAX ? j->netns[key->link] : 0;
}

/* ---- whose a flow is ---- */

/*
 * Do the packets counted so far go along to the new owner? A listener's claim says "not yet known who", and a bound
 * one "not used yet": whoever shows up then has had them all. A snapshot's claim does not give way like that: that
 * process held the socket, and may have used it, before it was handed on. Packets that several claimed go only to one
 * who is known by tie or exact tuple, not to the one that is left when others go.
 */
static bool takes_pending(const struct flow *f, const struct answer *a)
{
	if ((f->flags & IS_BLURRED) || a->blurred)
		return (f->flags & IS_BLURRED) && a->blurred;
	if (f->who == a->who)
		return true;
	if (f->who == WHO_NONE)
		return !(f->flags & IS_DISPUTED) || a->sure;
	if (a->who == WHO_NONE)
		return false;
	return f->how == OWNER_LISTENER || (f->how == OWNER_BOUND && a->how == OWNER_EXACT);
}

static void flow__untie(struct join *j, struct flow *f)
{
	if (!(f->flags & IS_TIED))
		return;
	sockets__hold(&j->sockets, f->cookie, -1);
	f->flags &= ~IS_TIED;
	f->cookie = 0;
}

static void flow__own(struct join *j, struct flow *f, const struct answer *a)
{
	if (!takes_pending(f, a))
		flows__finish(&j->flows, f, j->between);
	whos__set(&j->whos, &f->who, a->who);
	f->how = a->how;
	f->flags &= ~(IS_DISPUTED | IS_BLURRED);
	if (a->blurred)
		f->flags |= IS_BLURRED;
	if (a->who == WHO_NONE)
		f->flags |= IS_DISPUTED;
	if (a->cookie != f->cookie && a->who != WHO_NONE) {
		flow__untie(j, f);
		f->cookie = a->cookie;
	}
}

static uint64_t flow__tied_to(const struct flow *f)
{
	return f->flags & IS_TIED ? f->cookie : 0;
}

static void flow__ask(struct join *j, struct flow *f, uint32_t round, uint64_t tied)
{
	struct question q = {
		.netns = netns_of(j, &f->key),
		.key = &f->key,
		.tied = tied,
		.round = round,
		.may_listen = f->who == WHO_NONE && flow__opener(f) != OPENER_SOURCE,
	};
	struct answer a = ask(&j->sockets, &q);

	if (a.found)
		flow__own(j, f, &a);
	if (a.passing)
		f->flags |= IS_BEHIND;
}

static uint32_t flow__version(const struct join *j, const struct flow *f)
{
	uint32_t version = *sockets__port_version(&j->sockets, &f->key);

	return f->flags & IS_TIED ? version + *sockets__tie_version(&j->sockets, f->cookie)
				  : version;
}

/* Asks again: for what was counted, as of then; and for what is to be added, as of `round`. */
static void flow__renew(struct join *j, struct flow *f, uint32_t round)
{
	f->flags &= ~IS_BEHIND;
	flow__ask(j, f, f->round, flow__tied_to(f));
	if (round != f->round)
		flow__ask(j, f, round, flow__tied_to(f));
	f->version = flow__version(j, f);
	if (round != j->round)
		f->flags |= IS_BEHIND;
}

/* Asks before it is tied, while cookie is still the former owner's; and only if the tie is what it goes by. */
static void flow__tie(struct join *j, struct flow *f, uint64_t cookie)
{
	flow__ask(j, f, f->round, cookie);
	if (flow__tied_to(f) != cookie && (f->who == WHO_NONE || f->cookie == cookie)) {
		flow__untie(j, f);
		sockets__hold(&j->sockets, cookie, 1);
		f->flags |= IS_TIED;
		f->cookie = cookie;
	}
	flow__renew(j, f, f->round);
}

static bool flow__is_stale(const struct join *j, const struct flow *f)
{
	return j->opts.live && f->version != flow__version(j, f);
}

/* ---- adding ---- */

static void join__next_round(struct join *j)
{
	j->round++;
	sockets__advance(&j->sockets, j->round);
	ties__advance(&j->ties, j->round);
}

static struct flow *make_flow(struct join *j, const struct flow_key *key, int dir, uint8_t marks,
			      uint32_t *handle)
{
	struct flow *f = NULL;
	uint64_t cookie;

	if (!j->opts.flows_max || j->flows.pool.used < j->opts.flows_max)
		f = flows__make(&j->flows, key, handle);
	if (!f)
		return NULL;
	f->marks[dir] = marks;
	f->round = j->round;
	if (key->link < LINKS_MAX && key->link >= j->links)
		j->links = key->link + 1;
	if (!j->opts.live)
		return f;
	cookie = ties__find(&j->ties, netns_of(j, key), key);
	if (cookie)
		flow__tie(j, f, cookie);
	else
		flow__renew(j, f, j->round);
	return f;
}

int join__add(struct join *j, const struct flow_key *key, int dir, const struct count *n,
	      uint8_t marks, uint64_t now, uint32_t *handle)
{
	struct flow *f = flows__by_handle(&j->flows, key, *handle);
	uint32_t found;

	if (now != j->now || !j->round) {
		j->now = now;
		join__next_round(j);
	}
	j->added = true;
	if (!f) {
		f = flows__find(&j->flows, key, &found);
		if (!f)
			f = make_flow(j, key, dir, marks, &found);
		if (!f)
			return -ENOMEM;
		*handle = found;
	}
	if ((f->flags & IS_BEHIND) || flow__is_stale(j, f))
		flow__renew(j, f, j->round);
	f->round = j->round;
	f->marks[dir] |= marks;
	if (n->packets || n->bytes)
		flow__count(f, dir, n, now);
	return 0;
}

/* ---- events ---- */

void join__set_netns(struct join *j, uint16_t link, uint64_t netns)
{
	struct flow *f;
	uint32_t handle;

	if (link >= LINKS_MAX)
		return;
	if (link < j->links && j->netns[link] == netns)
		return;
	j->netns[link] = netns;
	if (link >= j->links)
		j->links = link + 1;
	for (handle = 0; (f = pool__next(&j->flows.pool, &handle)); handle++)
		if ((f->flags & IS_USED) && f->key.link == link)
			f->version--;
}

/* The flow with this key on the next link in this namespace, from key->link upwards; NULL: on none. */
static struct flow *next_flow(const struct join *j, uint64_t netns, struct flow_key *key)
{
	struct flow *f;
	uint32_t handle;

	for (; key->link < j->links; key->link++) {
		f = j->netns[key->link] == netns ? flows__find(&j->flows, key, &handle) : NULL;
		if (f)
			return f;
	}
	return NULL;
}

static void ask_again(struct join *j, uint64_t netns, const struct flow_key *tuple)
{
	struct flow_key key = *tuple;
	struct flow *f;

	for (key.link = 0; (f = next_flow(j, netns, &key)); key.link++)
		flow__renew(j, f, f->round);
}

static int tie_flows(struct join *j, const struct owner_event *e)
{
	struct flow_key key = e->key;
	bool found = false;
	struct flow *f;

	for (key.link = 0; (f = next_flow(j, e->netns, &key)); key.link++) {
		found = true;
		flow__tie(j, f, e->cookie);
	}
	return found ? 0 : ties__put(&j->ties, e, j->round);
}

int join__owner(struct join *j, const struct owner_event *e)
{
	struct socket_change change;
	unsigned i;
	int err;

	if (!j->opts.live)
		return 0;
	if (e->kind == OWNER_EXEC)
		whos__renew(&j->whos, &e->who);
	err = sockets__event(&j->sockets, e, j->round, &change);
	j->between = e->turn ? e->between : NULL;
	for (i = 0; i < change.n; i++)
		ask_again(j, e->netns, &change.key[i]);
	j->between = NULL;
	if (!err && e->kind == OWNER_TIE && e->cookie)
		err = tie_flows(j, e);
	return err;
}

void join__snapshot_begins(struct join *j)
{
	sockets__snapshot_begins(&j->sockets);
}

void join__snapshot_ends(struct join *j)
{
	sockets__snapshot_ends(&j->sockets, j->round);
}

const struct who *join__who(struct join *j, const struct flow_key *key, enum owner_how *how)
{
	struct question q = {
		.netns = netns_of(j, key), .key = key, .round = j->round, .may_listen = true
	};
	struct answer a = { .who = WHO_NONE };
	uint32_t handle;
	struct flow *f = flows__find(&j->flows, key, &handle);

	if (f) {
		if (flow__is_stale(j, f))
			flow__renew(j, f, f->round);
		a.who = f->who;
		a.how = f->how;
	} else if (j->opts.live) {
		q.tied = ties__find(&j->ties, q.netns, key);
		a = ask(&j->sockets, &q);
	}
	if (how)
		*how = a.how;
	return whos__at(&j->whos, a.who);
}

/* ---- reporting and forgetting ---- */

void join__report(struct join *j, uint64_t now, join_fn fn, void *to)
{
	struct flow *f;
	uint32_t handle;

	(void)now;
	for (handle = 0; (f = pool__next(&j->flows.pool, &handle)); handle++) {
		if (!(f->flags & IS_PENDING))
			continue;
		if (flow__is_stale(j, f))
			flow__renew(j, f, f->round);
		if (f->flags & IS_PENDING)
			flows__report(&j->flows, f, fn, to);
	}
	flows__report_finished(&j->flows, fn, to);
	/* Where nothing is counted no harvest shows, but sockets come and go all the same. */
	if (!j->added)
		join__next_round(j);
	j->added = false;
}

static bool is_quiet(const struct join *j, const struct flow *f, uint64_t now)
{
	return j->opts.forget_after && !(f->flags & IS_PENDING) && now > f->end &&
	       now - f->end >= j->opts.forget_after;
}

void join__tick(struct join *j, uint64_t now)
{
	struct flow *f;
	uint32_t handle;

	for (handle = 0; (f = pool__next(&j->flows.pool, &handle)); handle++) {
		if (!(f->flags & IS_USED))
			continue;
		if (flow__is_stale(j, f))
			flow__renew(j, f, f->round);
		if (is_quiet(j, f, now)) {
			flow__untie(j, f);
			flows__drop(&j->flows, f, handle);
		}
	}
	flows__trim(&j->flows);
	sockets__forget(&j->sockets, j->round);
	pool__trim(&j->ties.pool);
	whos__forget(&j->whos);
}
