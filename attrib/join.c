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
#include "ways.h"
#include "whos.h"

#define STRANGERS_MAX 16384 /* flows between two harvests that a NAT is asked about */
#define STRANGER_TRIES 3    /* it may hear of a flow after the card has */

/* A flow that nobody here owns. */
struct stranger {
	struct flow_key key;
	unsigned tries;
};

struct join {
	struct join_opts opts;
	struct flows flows;
	struct sockets sockets;
	struct ties ties;
	struct ways ways;
	struct whos whos;
	struct behind behind;
	struct stranger *stranger;
	size_t strangers;
	struct hash_seed seed;
	uint64_t now; /* of the latest harvest */
	uint32_t round;
	const uint32_t *between; /* of the event that is being taken in, where hands change */
	uint32_t reported;       /* round of the latest report */
	bool doubt;              /* events were lost */
	uint32_t doubted;        /* what was counted since that round is doubtful */
	bool added;              /* anything, since the last harvest ended */
	bool counted;            /* a harvest has ended since the last report */
	unsigned links;          /* numbered below this */
	uint64_t netns[LINKS_MAX];
	uint32_t ifindex[LINKS_MAX];
	unsigned level[LINKS_MAX];
	uint32_t bond[LINKS_MAX];
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
	ways__init(&j->ways, &j->seed, &j->whos);
	flows__init(&j->flows, &j->seed, &j->whos);
	if (opts->nat)
		j->stranger = calloc(STRANGERS_MAX, sizeof(*j->stranger));
	err = getrandom(&j->seed, sizeof(j->seed), 0) == sizeof(j->seed) ? 0 : -errno;
	if (opts->nat && !j->stranger)
		err = -ENOMEM;
	if (!err)
		err = sockets__open(&j->sockets, &j->seed, &j->whos);
	if (err) {
		free(j->stranger);
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
	ways__free(&j->ways);
	whos__free(&j->whos);
	behind__free(&j->behind);
	free(j->stranger);
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
			 ways__bytes(&j->ways) + behind__bytes(&j->behind) +
			 (j->stranger ? STRANGERS_MAX * sizeof(*j->stranger) : 0) +
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
	if (f->far && !a->far) /* both are right: the near end comes first */
		return true;
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

static const uint32_t anybodys[2] = { BETWEEN_ALL, BETWEEN_ALL };

/* Of what was counted so far, and is not the new owner's: how much may be either's. */
static const uint32_t *between_owners(const struct join *j)
{
	return j->doubt ? anybodys : j->between;
}

/* `mixed`: what was counted so far is partly of the time since then, too. */
static void flow__own(struct join *j, struct flow *f, const struct answer *a, bool mixed)
{
	if (!takes_pending(f, a))
		flows__finish(&j->flows, f, mixed ? anybodys : between_owners(j));
	whos__set(&j->whos, &f->who, a->who);
	f->how = a->how;
	f->flags &= ~(IS_DISPUTED | IS_BLURRED);
	if (a->blurred)
		f->flags |= IS_BLURRED;
	if (a->who == WHO_NONE)
		f->flags |= IS_DISPUTED;
	f->far = a->far && a->who != WHO_NONE;
	if (a->cookie != f->cookie && a->who != WHO_NONE) {
		flow__untie(j, f);
		f->cookie = a->cookie;
	}
}

static uint64_t flow__tied_to(const struct flow *f)
{
	return f->flags & IS_TIED ? f->cookie : 0;
}

/* ---- beyond this namespace ---- */

static struct way *flow__way(const struct join *j, const struct flow *f)
{
	return f->flags & IS_AWAY ? ways__find(&j->ways, &f->key) : NULL;
}

static struct way *flow__make_way(struct join *j, struct flow *f)
{
	struct way *way = ways__make(&j->ways, &f->key);

	if (way)
		f->flags |= IS_AWAY;
	return way;
}

static void flow__came_by(struct join *j, struct flow *f, uint32_t ifindex)
{
	struct way *way = flow__make_way(j, f);

	if (way)
		way->ifindex = ifindex;
}

static uint32_t link_ifindex(const struct join *j, const struct flow_key *key)
{
	return key->link < LINKS_MAX ? j->ifindex[key->link] : 0;
}

/*
 * A flow that passes through: its near end stands behind where it came in, its far end behind the watched interface. An
 * end that has one of this namespace's own addresses stands here and nowhere else, unless a NAT gave it that.
 */
static struct answer ask_beyond(const struct join *j, const struct flow *f, const struct way *way,
				uint32_t round)
{
	struct flow_key far = way && way->translated ? way->far : flow_key__reversed(&f->key);
	enum opener opener = flow__opener(f);
	bool may_listen = f->who == WHO_NONE;
	struct question_abroad q = {
		.behind = &j->behind,
		.home = netns_of(j, &f->key),
		.key = way && way->translated ? &way->near : &f->key,
		.ifindex = way ? way->ifindex : 0,
		.round = round,
		.may_listen = may_listen && opener != OPENER_SOURCE,
	};
	bool is_here = behind__holds(&j->behind, q.home, f->key.saddr);
	struct answer a = { .who = WHO_NONE };

	if (!is_here || (way && way->translated))
		a = ask_abroad(&j->sockets, &q);
	q.ifindex = link_ifindex(j, &f->key);
	if (a.found || is_here || !q.ifindex)
		return a;
	q.key = &far;
	q.may_listen = may_listen && opener != OPENER_DESTINATION;
	a = ask_abroad(&j->sockets, &q);
	a.far = a.found;
	return a;
}

/* The owner of the other end, where that is on this host too. */
static void flow__find_peer(struct join *j, struct flow *f)
{
	struct way *way = flow__way(j, f);
	struct flow_key far = way && way->translated ? way->far : flow_key__reversed(&f->key);
	struct question_abroad q = { .behind = &j->behind,
				     .key = &far,
				     .ifindex = link_ifindex(j, &f->key),
				     .round = f->round };
	struct answer a;

	if (!j->behind.links || f->far || !q.ifindex)
		return;
	a = ask_abroad(&j->sockets, &q);
	if (!a.found || (!way && a.who == WHO_NONE))
		return;
	way = way ? way : flow__make_way(j, f);
	if (!way)
		return;
	whos__set(&j->whos, &way->peer, a.who);
	way->peer_how = a.how;
}

/* Nobody here is known for sure to own its near end. */
static bool is_stranger(const struct flow *f)
{
	return f->who == WHO_NONE || f->far || f->how == OWNER_LISTENER;
}

static void ask_nat_about(struct join *j, const struct flow *f)
{
	if (j->stranger && j->strangers < STRANGERS_MAX)
		j->stranger[j->strangers++] = (struct stranger){ .key = f->key };
}

/* ---- asking ---- */

static struct answer flow__answer(const struct join *j, const struct flow *f, uint32_t round,
				  uint64_t tied)
{
	struct question q = {
		.netns = netns_of(j, &f->key),
		.key = &f->key,
		.tied = tied,
		.round = round,
		.may_listen = f->who == WHO_NONE && flow__opener(f) != OPENER_SOURCE,
		.passes = !behind__reaches(&j->behind, netns_of(j, &f->key), f->key.saddr),
	};
	struct answer a = ask(&j->sockets, &q);
	const struct way *way;

	if (a.found || (!j->behind.links && !(f->flags & IS_AWAY)))
		return a;
	way = flow__way(j, f);
	if (way && way->translated) {
		q.key = &way->near;
		q.passes = !behind__reaches(&j->behind, q.netns, way->near.saddr);
		a = ask(&j->sockets, &q);
	}
	return a.found ? a : ask_beyond(j, f, way, round);
}

static void flow__ask(struct join *j, struct flow *f, uint32_t round, uint64_t tied)
{
	struct answer a = flow__answer(j, f, round, tied);

	if (a.found)
		flow__own(j, f, &a, a.blurred && round == f->round && !j->between);
	if (a.passing)
		f->flags |= IS_BEHIND;
}

static uint32_t port_version(const struct join *j, uint8_t proto, __be16 port)
{
	return *sockets__port_version(&j->sockets,
				      &(struct flow_key){ .proto = proto, .sport = port });
}

/* Where it is not this namespace's alone: also what its owner's socket does, and the ports of its other ends. */
static uint32_t flow__version_beyond(const struct join *j, const struct flow *f)
{
	const struct way *way = flow__way(j, f);
	uint32_t version = *sockets__tie_version(&j->sockets, f->cookie);

	if (way && way->translated)
		return version + port_version(j, f->key.proto, way->near.sport) +
		       port_version(j, f->key.proto, way->far.sport);
	return version + port_version(j, f->key.proto, f->key.dport);
}

static uint32_t flow__version(const struct join *j, const struct flow *f)
{
	uint32_t version = *sockets__port_version(&j->sockets, &f->key);

	if ((f->flags & IS_AWAY) || f->far)
		version += flow__version_beyond(j, f);
	return f->flags & IS_TIED ? version + *sockets__tie_version(&j->sockets, f->cookie)
				  : version;
}

/* What a NAT said holds as long as the socket it led to: another one may get the same tuple outside. */
static void flow__doubt(struct join *j, struct flow *f)
{
	struct way *way = flow__way(j, f);
	const struct socket *s;

	if (!way || !way->translated || way->doubtful || f->who == WHO_NONE)
		return;
	s = f->cookie ? sockets__find(&j->sockets, f->cookie) : NULL;
	if (s && (s->gone == SOCKET_LIVE || j->round <= s->gone + 1))
		return;
	flows__finish(&j->flows, f, NULL);
	way->doubtful = true;
	ask_nat_about(j, f);
}

/* Asks again: for what was counted, as of then; and for what is to be added, as of `round`. */
static void flow__renew(struct join *j, struct flow *f, uint32_t round)
{
	f->flags &= ~IS_BEHIND;
	flow__ask(j, f, f->round, flow__tied_to(f));
	if (round != f->round)
		flow__ask(j, f, round, flow__tied_to(f));
	flow__find_peer(j, f);
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

static void join__next_round(struct join *j, uint64_t now)
{
	uint64_t keep = j->opts.keep_ties;

	j->round++;
	sockets__advance(&j->sockets, j->round);
	ties__advance(&j->ties, j->round, !keep ? UINT64_MAX : now > keep ? now - keep : 0);
}

static struct flow *make_flow(struct join *j, const struct flow_key *key, int dir, uint8_t marks,
			      uint32_t *handle)
{
	struct flow *f = NULL;
	struct tied tied;

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
	tied = ties__find(&j->ties, netns_of(j, key), key);
	if (tied.ifindex)
		flow__came_by(j, f, tied.ifindex);
	if (tied.cookie)
		flow__tie(j, f, tied.cookie);
	else
		flow__renew(j, f, j->round);
	if (is_stranger(f))
		ask_nat_about(j, f);
	return f;
}

int join__add(struct join *j, const struct flow_key *key, int dir, const struct count *n,
	      uint8_t marks, uint64_t now, uint32_t *handle)
{
	struct flow *f = flows__by_handle(&j->flows, key, *handle);
	uint32_t found;

	if (now != j->now || !j->round) {
		j->now = now;
		join__next_round(j, now);
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
	if ((f->flags & IS_BEHIND) || flow__is_stale(j, f)) {
		flow__renew(j, f, j->round);
		flow__doubt(j, f);
	}
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

static void ask_all_again(struct join *j)
{
	struct flow *f;
	uint32_t handle;

	for (handle = 0; (f = pool__next(&j->flows.pool, &handle)); handle++)
		if (f->flags & IS_USED)
			f->version--;
}

void join__set_ifindex(struct join *j, uint16_t link, uint32_t ifindex)
{
	if (link >= LINKS_MAX || j->ifindex[link] == ifindex)
		return;
	j->ifindex[link] = ifindex;
	ask_all_again(j);
}

void join__set_level(struct join *j, uint16_t link, unsigned level, uint32_t bond)
{
	if (link >= LINKS_MAX)
		return;
	j->level[link] = level;
	j->bond[link] = bond;
}

int join__set_behind(struct join *j, const struct behind_link *link, size_t links,
		     const struct behind_address *address, size_t addresses)
{
	int changed = behind__set(&j->behind, link, links, address, addresses);

	if (changed > 0)
		ask_all_again(j);
	return changed < 0 ? changed : 0;
}

bool join__is_ambiguous(const struct join *j)
{
	return behind__is_ambiguous(&j->behind);
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

static struct flow_key with_family(const struct flow_key *tuple)
{
	struct flow_key key = *tuple;

	key.family = address__is_mapped(key.saddr) ? 4 : 6;
	return key;
}

/* The other way round what the socket sent was received; and what a NAT hides was not counted apart: all may be either's. */
static void ask_turned(struct join *j, struct flow *f, const struct flow_key *tuple)
{
	const uint32_t *between = j->between;
	uint32_t turned[2] = { UINT32_MAX, UINT32_MAX };

	if (between && f->key.sport == tuple->dport &&
	    !memcmp(f->key.saddr, tuple->daddr, sizeof(f->key.saddr))) {
		turned[0] = between[1];
		turned[1] = between[0];
	}
	if (between && (f->key.sport != tuple->sport ||
			memcmp(f->key.saddr, tuple->saddr, sizeof(f->key.saddr))))
		j->between = turned;
	flow__renew(j, f, f->round);
	j->between = between;
}

static void ask_beyond_again(struct join *j, const struct flow_key *tuple)
{
	struct flow_key end = place_key__of_flow(tuple);
	struct index_walk walk = flows__alike(&j->flows, tuple);
	struct way *way;
	struct flow *f;
	uint32_t handle;

	while ((f = flows__next(&j->flows, &walk, tuple)))
		ask_turned(j, f, tuple);
	if (!j->ways.pool.used)
		return;
	walk = ways__at_end(&j->ways, &end);
	while ((way = ways__next(&j->ways, &walk, &end))) {
		f = flows__find(&j->flows, &way->key, &handle);
		if (f)
			ask_turned(j, f, tuple);
	}
}

static void ask_again(struct join *j, uint64_t netns, const struct flow_key *tuple)
{
	struct flow_key key = *tuple;
	struct flow *f;

	if (j->behind.links) {
		ask_beyond_again(j, tuple);
		return;
	}
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

static int passed_flows(struct join *j, const struct owner_event *e)
{
	struct flow_key key = e->key;
	bool found = false;
	struct flow *f;

	for (key.link = 0; (f = next_flow(j, e->netns, &key)); key.link++) {
		found = true;
		flow__came_by(j, f, e->ifindex);
		flow__renew(j, f, f->round);
	}
	return found ? 0 : ties__put(&j->ties, e, j->round);
}

void join__counted(struct join *j, uint64_t time)
{
	j->sockets.counted = time;
	if (!j->added)
		join__next_round(j, time);
	j->added = false;
	j->counted = true;
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
	if (e->kind == OWNER_PASSED)
		err = passed_flows(j, e);
	return err;
}

/* ---- what a NAT knows ---- */

/* The packets since it was in doubt belong to whoever is found now. */
static void flow__disown(struct join *j, struct flow *f)
{
	flow__untie(j, f);
	whos__set(&j->whos, &f->who, WHO_NONE);
	f->cookie = 0;
	f->how = OWNER_NONE;
	f->flags &= ~(IS_DISPUTED | IS_BLURRED);
	f->far = false;
}

static bool is_same_end(const struct flow_key *a, const struct flow_key *b)
{
	return !memcmp(a, b, sizeof(*a));
}

static void flow__translate(struct join *j, struct flow *f, const struct flow_key *near,
			    const struct flow_key *far)
{
	struct way *way = near ? flow__make_way(j, f) : flow__way(j, f);
	bool same;

	if (!way)
		return;
	same = near && way->translated && is_same_end(&way->near, near) &&
	       is_same_end(&way->far, far);
	if (way->doubtful && !same)
		flow__disown(j, f);
	if (way->doubtful && same)
		f->flags |= IS_BEHIND; /* its socket is closed: the next packets may be another's */
	way->doubtful = false;
	if (same)
		return;
	ways__translate(&j->ways, way, near, far);
	flow__renew(j, f, f->round);
}

/* True: there is nothing more to ask. */
static bool answer_stranger(struct join *j, struct stranger *s, join_nat_fn fn, void *to)
{
	struct flow_key near, far;
	uint32_t handle;
	struct flow *f = flows__find(&j->flows, &s->key, &handle);
	const struct way *way = f ? flow__way(j, f) : NULL;
	bool doubtful = way && way->doubtful;
	int known;

	if (!f || (!is_stranger(f) && !doubtful))
		return true;
	known = fn(to, &s->key, &near, &far);
	if (known < 0 && !doubtful)
		return ++s->tries == STRANGER_TRIES;
	if (known > 0) {
		near = place_key__of_flow(&near);
		far = place_key__of_flow(&far);
	}
	flow__translate(j, f, known > 0 ? &near : NULL, known > 0 ? &far : NULL);
	return true;
}

void join__ask_nat(struct join *j, join_nat_fn fn, void *to)
{
	size_t i, n = j->strangers, kept = 0;

	for (i = 0; i < n; i++)
		if (!answer_stranger(j, &j->stranger[i], fn, to))
			j->stranger[kept++] = j->stranger[i];
	j->strangers = kept;
}

/* ---- what was lost ---- */

void join__doubt(struct join *j)
{
	if (j->doubt)
		return;
	j->doubt = true;
	j->doubted = j->round;
}

void join__snapshot_begins(struct join *j)
{
	sockets__snapshot_begins(&j->sockets);
}

void join__saw(struct join *j, const struct owner_event *e)
{
	if (e->kind == OWNER_SOCKET)
		sockets__saw(&j->sockets, e->cookie);
}

/* Its socket may have been closed, and another have had its tuple, without a word. */
static bool is_doubtful(const struct join *j, const struct flow *f)
{
	return (f->flags & IS_USED) && f->who != WHO_NONE &&
	       !sockets__is_there(&j->sockets, f->cookie);
}

void join__snapshot_ends(struct join *j)
{
	struct flow *f;
	uint32_t handle;

	sockets__snapshot_ends(&j->sockets);
	for (handle = 0; j->doubt && (f = pool__next(&j->flows.pool, &handle)); handle++) {
		if (!is_doubtful(j, f))
			continue;
		flows__finish(&j->flows, f, f->round >= j->doubted ? between_owners(j) : NULL);
		flow__disown(j, f);
	}
	j->doubt = false;
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
		q.tied = ties__find(&j->ties, q.netns, key).cookie;
		a = ask(&j->sockets, &q);
	}
	if (how)
		*how = a.how;
	return whos__at(&j->whos, a.who);
}

/* ---- reporting and forgetting ---- */

struct report {
	struct join *j;
	join_fn fn;
	void *to;
};

/* Of two links that count the same packets, whose records are those for totals? */
static bool comes_first(const struct join *j, uint16_t a, uint16_t b)
{
	return j->level[a] != j->level[b] ? j->level[a] < j->level[b] : a < b;
}

static bool share_a_bond(const struct join *j, uint16_t a, uint16_t b)
{
	return j->bond[a] && j->bond[a] == j->bond[b];
}

/* Two ends, and who has them; NULL: nobody known. */
struct parties {
	const struct who *who, *peer;
};

static struct parties parties__of_flow(const struct join *j, const struct flow *f)
{
	const struct way *way = ways__find(&j->ways, &f->key);

	return (struct parties){ whos__at(&j->whos, f->who),
				 way && !f->far ? whos__at(&j->whos, way->peer) : NULL };
}

/* What stands on one side of an interface stands on the other side of the next. */
static bool are_crossed(const struct parties *a, const struct parties *b)
{
	return (a->who && a->who == b->peer) || (b->who && b->who == a->peer);
}

/* Seen from the same side twice, it is one of two stacked interfaces, and then of the same socket. */
static bool is_stacked(const struct join *j, const struct flow_view *v, const struct flow *f)
{
	return !share_a_bond(j, f->key.link, v->key->link) && v->cookie == f->cookie && v->cookie &&
	       v->how != OWNER_LISTENER;
}

/*
 * What comes in by one interface and leaves by another is seen from both sides. From the same side it may be a container
 * with the same addresses as another. A packet that passes through while a harvest runs may be counted on one side by
 * this one, on the other by the next.
 */
static enum repeated is_counted_there(const struct join *j, const struct flow_view *v,
				      const struct flow *f)
{
	struct parties of_view = { v->who, v->peer }, of_flow;
	bool same_side;

	if (!f || !comes_first(j, f->key.link, v->key->link) || f->round + 1 < j->reported ||
	    j->netns[f->key.link] != j->netns[v->key->link])
		return REPEATED_NOT;
	of_flow = parties__of_flow(j, f);
	same_side = f->key.sport == v->key->sport && f->key.dport == v->key->dport &&
		    !memcmp(f->key.saddr, v->key->saddr, sizeof(f->key.saddr));
	if (of_flow.who == of_view.who)
		return !same_side || is_stacked(j, v, f) ? REPEATED_OWNER : REPEATED_NOT;
	if (same_side || !are_crossed(&of_view, &of_flow))
		return REPEATED_NOT;
	return v->who ? REPEATED_PEER : REPEATED_OWNER;
}

static enum repeated most(enum repeated a, enum repeated b)
{
	return a > b ? a : b;
}

static enum repeated is_counted_at(const struct join *j, const struct flow_view *v,
				   const struct flow_key *tuple)
{
	struct flow_key key = with_family(tuple), end = place_key__of_flow(tuple);
	struct index_walk walk = flows__alike(&j->flows, &key);
	enum repeated found = REPEATED_NOT;
	const struct flow *f;
	const struct way *way;
	uint32_t handle;

	while ((f = flows__next(&j->flows, &walk, &key)))
		found = most(found, is_counted_there(j, v, f));
	walk = ways__at_end(&j->ways, &end);
	while ((way = ways__next(&j->ways, &walk, &end))) {
		f = flows__find(&j->flows, &way->key, &handle);
		found = most(found, is_counted_there(j, v, f));
	}
	return found;
}

/* Of the links that counted the same flow, the first one's records are those for totals. */
static enum repeated is_repeated(const struct join *j, const struct flow_view *v,
				 const struct way *way)
{
	struct flow_key back = flow_key__reversed(v->key);
	enum repeated found;

	if (j->links < 2)
		return REPEATED_NOT;
	found = most(is_counted_at(j, v, v->key), is_counted_at(j, v, &back));
	if (!way || !way->translated)
		return found;
	found = most(found, is_counted_at(j, v, &way->near));
	return most(found, is_counted_at(j, v, &way->far));
}

static void on_view(void *to, const struct flow_view *view)
{
	const struct report *r = to;
	const struct way *way = ways__find(&r->j->ways, view->key);
	struct flow_view v = *view;

	if (way && !v.far && way->peer != WHO_NONE) {
		v.peer = whos__at(&r->j->whos, way->peer);
		v.peer_how = way->peer_how;
	}
	v.repeated = is_repeated(r->j, &v, way);
	r->fn(r->to, &v);
}

/* Flows on several links are compared by their owners, so that all of these must be known before the first record. */
static void renew_pending(struct join *j)
{
	struct flow *f;
	uint32_t handle;

	for (handle = 0; (f = pool__next(&j->flows.pool, &handle)); handle++)
		if ((f->flags & IS_PENDING) && flow__is_stale(j, f))
			flow__renew(j, f, f->round);
}

void join__report(struct join *j, uint64_t now, join_fn fn, void *to)
{
	struct report run = { .j = j, .fn = fn, .to = to };
	struct flow *f;
	uint32_t handle;

	if (j->links > 1)
		renew_pending(j);
	for (handle = 0; (f = pool__next(&j->flows.pool, &handle)); handle++) {
		if (!(f->flags & IS_PENDING))
			continue;
		if (flow__is_stale(j, f))
			flow__renew(j, f, f->round);
		if (f->flags & IS_PENDING)
			flows__report(&j->flows, f, on_view, &run);
	}
	flows__report_finished(&j->flows, on_view, &run);
	/* Where nobody harvests sockets come and go all the same. */
	if (!j->added && !j->counted)
		join__next_round(j, now);
	j->added = j->counted = false;
	j->reported = j->round;
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
			if (f->flags & IS_AWAY)
				ways__drop(&j->ways, &f->key);
			flows__drop(&j->flows, f, handle);
		}
	}
	flows__trim(&j->flows);
	sockets__forget(&j->sockets, j->round);
	pool__trim(&j->ties.pool);
	pool__trim(&j->ways.pool);
	whos__forget(&j->whos);
}
