/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_MATCH_H
#define WIREWHO_MATCH_H
/*
 * A selection (`--match`) as the packet path tests it: a few predicates, each a yes or no about one flow, and a
 * truth table over all their answers. match.c compiles an expression into this; and, or and not cost nothing here
 * because they are worked out in advance. The predicates are constants when the program is loaded, so the
 * verifier removes what is not used.
 */
#include "flow.h"
#include "parse.h"

#define MATCH_PREDICATES 10

enum match_kind {
	MATCH_NOTHING, /* an unused place: always no */
	MATCH_PROTO,   /* lo: IPPROTO_* */
	MATCH_FAMILY,  /* lo: 4 or 6 */
	MATCH_PORT,    /* lo..hi, host order, on `side` */
	MATCH_NET,     /* addr under mask, on `side` */
	MATCH_VLAN,    /* lo: VLAN id, or hi == 0xffff: any tag */
};

enum match_side { MATCH_SRC = 1, MATCH_DST = 2, MATCH_EITHER = 3 };

struct predicate {
	__u8 kind; /* enum match_kind */
	__u8 side; /* enum match_side */
	__u16 lo;
	__u16 hi;
	__u16 pad;
	__u64 addr[2]; /* network order, IPv4 as ::ffff:a.b.c.d, already under mask */
	__u64 mask[2];
};
flow_assert(sizeof(struct predicate) == 40, "predicate: no holes");

/* Bit i of truth[] is the answer when the predicates' answers, read as a number, are i. */
struct match {
	struct predicate predicate[MATCH_PREDICATES];
	__u8 truth[(1 << MATCH_PREDICATES) / 8];
	__u32 active; /* 0: no selection given, everything matches */
	__u32 pad;
};
flow_assert(sizeof(struct match) == 40 * MATCH_PREDICATES + 128 + 8, "match: no holes");

parse_inline int match__in(__u16 port, __u16 lo, __u16 hi)
{
	port = parse_htons(port);
	return port >= lo && port <= hi;
}

parse_inline int match__net(const __u64 *word, const volatile struct predicate *q)
{
	return (word[0] & q->mask[0]) == q->addr[0] && (word[1] & q->mask[1]) == q->addr[1];
}

parse_inline int match__family_net(const struct parsed *p, const volatile struct predicate *q)
{
	if (q->lo && p->flow.key.family != q->lo)
		return 0;
	if ((q->side & MATCH_SRC) && match__net(&p->flow.word[0], q))
		return 1;
	return (q->side & MATCH_DST) && match__net(&p->flow.word[2], q);
}

parse_inline int match__predicate(const struct parsed *p, const volatile struct predicate *q)
{
	switch (q->kind) {
	case MATCH_PROTO:
		return p->flow.key.proto == q->lo;
	case MATCH_FAMILY:
		return p->flow.key.family == q->lo;
	case MATCH_PORT:
		if ((q->side & MATCH_SRC) && match__in(p->flow.key.sport, q->lo, q->hi))
			return 1;
		return (q->side & MATCH_DST) && match__in(p->flow.key.dport, q->lo, q->hi);
	case MATCH_NET:
		return match__family_net(p, q);
	case MATCH_VLAN:
		return q->hi == 0xffff ? p->tags > 0 : p->tags > 0 && p->vlan == q->lo;
	default:
		return 0;
	}
}

/* Does the flow in `p` (REASON_FLOW) belong to the selection? */
parse_inline int match__test(const struct parsed *p, const volatile struct match *m)
{
	__u32 answers = 0;
	int i;

	if (!m->active)
		return 1;
#if defined(__bpf__)
#pragma clang loop unroll(full)
#endif
	for (i = 0; i < MATCH_PREDICATES; i++)
		if (m->predicate[i].kind && match__predicate(p, &m->predicate[i]))
			answers |= 1u << i;
	return m->truth[(answers >> 3) & 127] >> (answers & 7) & 1;
}

#if !defined(__bpf__)
/*
 * Compiles `expr` and ors it into *m (zeroed before the first). Returns 0; -EINVAL with *at set to the offset of
 * the wrong word and a sentence in why[why_size]; -E2BIG when more than MATCH_PREDICATES different tests are
 * asked for. *m is unchanged on failure. The language is described in match.c.
 */
int match__compile(struct match *m, const char *expr, unsigned *at, char *why,
		   unsigned long why_size);

/* Says what match__compile() found wrong: the sentence, the expression, and a caret under the place. */
void match__complain(const char *expr, unsigned at, const char *why);
#endif
#endif
