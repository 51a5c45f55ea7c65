/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_TURNS_H
#define WIREWHO_TURNS_H
/*
 * Flows whose socket has just changed hands, as the programs see them. The owner programs put such a flow in, both ways
 * around, with the number of its turn; from then on its packets are counted in slots of their own (the turn
 * stands in the upper half of the key's link), so that a harvest tells what was counted before the change from what
 * came after it. User space takes the flow out when it has heard of the change.
 *
 * Nearly always there is no such flow: that costs a packet one look at a counter.
 */
#include "flow.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, TURNS_MAX * 2);
	__type(key, struct flow_key); /* without link */
	__type(value, struct turn);
} turns SEC(".maps");

__u64 turns_n SEC(".data.turns") = 0; /* how many entries it has */

static __always_inline int turn__any(void)
{
	return *(volatile __u64 *)&turns_n != 0;
}

static __always_inline void turn__mark(union flow_words *f)
{
	__u16 link = f->key.link;
	union flow_words asked;
	struct turn *t;

	if (!turn__any())
		return;
	asked = *f; /* a copy, so that the caller's own can stay in registers */
	asked.key.link = 0;
	t = bpf_map_lookup_elem(&turns, &asked.key);
	asked.key.link = t ? link | t->number << TURN_SHIFT : link;
	f->word[4] = asked.word[4];
}
#endif
