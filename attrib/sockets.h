/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_SOCKETS_H
#define WIREWHO_SOCKETS_H
/*
 * Sockets as they were announced: who owns them, and where they stand.
 *
 * Time here is the ROUND, the number of a harvest: an event belongs to the round whose harvest came before it. A closed
 * socket is kept for a while, because the harvest after its end still finds packets of its.
 *
 * Versions tell flows when to ask again, without a list of flows at every socket: each flow watches the counter of its
 * local port, and that of the socket it is tied to. What happens at an exact tuple is handed to the caller instead, who
 * knows the flow; a server's port would be busy with every connection's news otherwise.
 */
#include <stdbool.h>
#include "index.h"
#include "owner.h"
#include "places.h"
#include "pool.h"
#include "whos.h"

#define SOCKET_LIVE UINT32_MAX
#define BLURRED_ROUNDS \
	2 /* the one in which it was seen, and one more: the owner programs do not tell each time */

struct socket {
	uint32_t next, prev; /* at its place */
	uint64_t cookie;
	uint32_t place;    /* POOL_NONE: not known */
	uint32_t who;      /* WHO_NONE: not known */
	uint32_t since;    /* round in which it came to its place */
	uint32_t gone;     /* round in which it was closed, or SOCKET_LIVE */
	uint32_t ties;     /* flows tied to it */
	uint32_t queue;    /* next in the queue it is in */
	uint32_t snapshot; /* the last one in which it was seen */
	uint32_t blurred
		[2]; /* first and last round in which several used it, and nobody knows for what */
	uint8_t how; /* enum owner_how */
	bool listening;
	bool only6;     /* takes no IPv4 */
	bool announced; /* it was announced itself, so its end will be too */
	bool queued;
};

struct socket_queue {
	uint32_t first, last; /* POOL_NONE: empty */
};

struct sockets {
	struct pool pool;
	struct index index; /* by cookie */
	struct places places;
	struct socket_queue ending; /* closed, or known by ties alone */
	struct socket_queue ended;  /* of no use any more but to flows that have not asked since */
	uint32_t snapshot;
	uint64_t
		counted; /* when the latest harvest had all counts: what happened before may be in them */
	uint32_t *version; /* by TCP port, by UDP port, by part of the cookie */
	const struct hash_seed *seed;
	struct whos *whos;
};

int sockets__open(struct sockets *t, const struct hash_seed *seed, struct whos *whos);
void sockets__close(struct sockets *t);

/* Exact tuples whose flows must ask again: keys without link, family as on the wire. */
struct socket_change {
	struct flow_key key[2];
	unsigned n;
};

/* SOCKET, TIE or GONE; others are nothing here. 0 or -ENOMEM: then some of it may have been taken in. */
int sockets__event(struct sockets *t, const struct owner_event *e, uint32_t round,
		   struct socket_change *change);

/* What the harvest of this round found may be anybody's of those who use it. */
static inline bool socket__is_blurred(const struct socket *s, uint32_t round)
{
	return s->blurred[1] && round >= s->blurred[0] && round <= s->blurred[1];
}

const struct socket *sockets__find(const struct sockets *t, uint64_t cookie); /* NULL: unknown */
/* The first at a place, and the one after; NULL at the end. */
const struct socket *sockets__first(const struct sockets *t, uint32_t place);
const struct socket *sockets__next(const struct sockets *t, const struct socket *s);

/* So many more flows are tied to it. A socket known by ties alone lives as long as they. */
void sockets__hold(struct sockets *t, uint64_t cookie, int flows);

/* A new harvest begins. */
void sockets__advance(struct sockets *t, uint32_t round);
/* Drops what has ended. All flows with an old version must have asked before. */
void sockets__forget(struct sockets *t, uint32_t round);

/* What was announced before and not again between these two is closed. */
void sockets__snapshot_begins(struct sockets *t);
void sockets__snapshot_ends(struct sockets *t);
void sockets__saw(struct sockets *t,
		  uint64_t cookie); /* it was among them, whatever is said of it later */
bool sockets__is_there(const struct sockets *t, uint64_t cookie); /* and still is */

size_t sockets__bytes(const struct sockets *t);

static inline uint32_t *sockets__port_version(const struct sockets *t, const struct flow_key *key)
{
	return &t->version[(uint32_t)(key->proto == 17) << 16 | key->sport];
}

static inline uint32_t *sockets__tie_version(const struct sockets *t, uint64_t cookie)
{
	return &t->version[2u << 16 | (uint16_t)(cookie * 0x9e3779b97f4a7c15 >> 48)];
}
#endif
