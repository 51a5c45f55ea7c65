/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_FLOWS_H
#define WIREWHO_FLOWS_H
/*
 * The flows and what was counted for them: found by key, or by handle. And the records of owners who lost their flow,
 * which wait for the next report.
 */
#include <stdbool.h>
#include "hash.h"
#include "index.h"
#include "join.h"
#include "pool.h"
#include "whos.h"

#define FLOWS_AHEAD 16 /* how far ahead in memory a harvest will likely go */

enum {
	IS_USED = 1 << 0,
	IS_PENDING = 1 << 1,  /* counted something since its previous record */
	IS_TIED = 1 << 2,     /* cookie is the socket that was seen sending it */
	IS_DISPUTED = 1 << 3, /* nobody's, because several claim it */
	IS_MIXED = 1 << 4,    /* this record holds packets of several owners */
	IS_BEHIND = 1 << 5,   /* asked as of an earlier round: asks again with the next packets */
	IS_BLURRED = 1 << 6,  /* nobody's, and never will be anybody's: several use the socket */
	IS_AWAY = 1 << 7,     /* more is known of its way: see ways.h */
};

/* What an add touches stands first. */
struct flow {
	struct flow_key key;
	uint32_t version; /* of what the sockets say; see sockets.h */
	uint32_t round;   /* last counted in */
	uint64_t end;     /* last counted at */
	uint32_t who;
	uint8_t how : 7;
	uint8_t far : 1; /* its owner stands at the other end */
	uint8_t flags;
	uint8_t marks[2];
	struct count pending[2]; /* by direction, since its previous record */
	uint64_t start;          /* first counted at, since then */
	uint64_t cookie;
	struct count reported[2];
};
_Static_assert(sizeof(struct flow) == 144, "flow: with at most 12.5 bytes of index below 160");

/* The record of an owner who lost the flow. */
struct finished {
	struct flow_key key;
	struct count pending[2], all[2];
	uint64_t start, end, cookie;
	uint32_t who;
	uint8_t how;
	uint8_t marks[2];
	bool far;
};

struct flows {
	struct pool pool;
	struct index index;
	struct finished *finished;
	uint32_t finished_n, finished_room;
	size_t unsplit; /* records that should have been two */
	const struct hash_seed *seed;
	struct whos *whos;
};

void flows__init(struct flows *t, const struct hash_seed *seed, struct whos *whos);
void flows__free(struct flows *t);
size_t flows__bytes(const struct flows *t);

struct flow *flows__find(const struct flows *t, const struct flow_key *key, uint32_t *handle);
/* One that flows__find() did not find; NULL without memory. */
struct flow *flows__make(struct flows *t, const struct flow_key *key, uint32_t *handle);
void flows__drop(struct flows *t, struct flow *f, uint32_t handle);
/* Returns empty memory to the system. */
void flows__trim(struct flows *t);

void flow__count(struct flow *f, int dir, const struct count *n, uint64_t now);
enum opener flow__opener(const struct flow *f);

/* Those with this tuple, on any link and either way round:  w = flows__alike(t, key); while ((f = flows__next(t, &w, key))) */
struct index_walk flows__alike(const struct flows *t, const struct flow_key *key);
struct flow *flows__next(const struct flows *t, struct index_walk *walk,
			 const struct flow_key *key);

/*
 * What was counted so far becomes a record of its owner's; but the last between[] packets, sent and received, one of
 * nobody's (NULL: none). Without room it stays, and the record will be nobody's.
 */
void flows__finish(struct flows *t, struct flow *f, const uint32_t between[2]);

/* Hands its record to fn, and starts the next one. */
void flows__report(struct flows *t, struct flow *f, join_fn fn, void *to);
/* Hands on the finished records; fn may finish more. */
void flows__report_finished(struct flows *t, join_fn fn, void *to);

static inline bool flow_key__same(const struct flow_key *a, const struct flow_key *b)
{
	uint64_t x[5], y[5];

	memcpy(x, a, sizeof(x));
	memcpy(y, b, sizeof(y));
	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4]));
}

/* A handle may be of a flow that was dropped, and its place may be another's by now: NULL then. */
static inline struct flow *flows__by_handle(const struct flows *t, const struct flow_key *key,
					    uint32_t handle)
{
	struct flow *f = pool__find(&t->pool, handle);

	if (!f)
		return NULL;
	__builtin_prefetch(f + FLOWS_AHEAD, 1);
	__builtin_prefetch((char *)(f + FLOWS_AHEAD) + 64, 1);
	return (f->flags & IS_USED) && flow_key__same(&f->key, key) ? f : NULL;
}
#endif
