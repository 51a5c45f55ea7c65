// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Programs for bench/cost: the same packet, a different flow each run, counted in different ways. The flow number walks
 * through all of them by a linear congruential generator of full period: one by one while the tables are filled, then in
 * an order that no prefetcher guesses. Were both the same order, a table that hands out its elements one after the other
 * would be read in sequence, as no traffic does.
 */
#include "xdp/meter.bpf.c"

const volatile __u32 flows_mask = 0; /* number of flows - 1, a power of two minus one */

__u32 turn = 0, multiplier = 1, increment = 1;

/* Writes the flow's number into the source address, as if another packet had come: one store, as wide as its load. */
static __always_inline int vary(struct xdp_md *ctx)
{
	__u8 *data = (void *)(long)ctx->data;

	if ((void *)(data + 54) > (void *)(long)ctx->data_end)
		return 0;
	turn = turn * multiplier + increment;
	*(__u32 *)(data + 26) = 10 | (turn & flows_mask) << 8;
	return 1;
}

#define PLAIN_HASH(map_name, kind, map_fl) \
	struct { \
		__uint(type, kind); \
		__uint(map_flags, map_fl); \
		__uint(max_entries, 1 << 20); \
		__type(key, struct flow_key); \
		__type(value, struct hash_count); \
	} map_name SEC(".maps")

PLAIN_HASH(percpu_hash, BPF_MAP_TYPE_PERCPU_HASH, 0);
PLAIN_HASH(lru_hash, BPF_MAP_TYPE_LRU_PERCPU_HASH, 0);

/* The least that any meter on a kernel map does: parse, look up, add. */
static __always_inline int count_in(void *map, struct xdp_md *ctx)
{
	struct frame f = frame__of(ctx);
	struct hash_count *c, first = {};
	struct parsed p;

	if (parse__frame(f.data, f.end, -1, 0, &p) != REASON_FLOW)
		return XDP_PASS;
	c = bpf_map_lookup_elem(map, &p.flow);
	if (c) {
		count__add(&c->count, &f.count);
		return XDP_DROP;
	}
	first.count = f.count;
	bpf_map_update_elem(map, &p.flow, &first, BPF_NOEXIST);
	return XDP_DROP;
}

SEC("xdp")
int cost_empty(struct xdp_md *ctx)
{
	return vary(ctx) ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int cost_parse(struct xdp_md *ctx)
{
	struct frame f = frame__of(ctx);
	struct parsed p;

	if (!vary(ctx))
		return XDP_PASS;
	return parse__frame(f.data, f.end, -1, 0, &p) == REASON_FLOW ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int cost_percpu_hash(struct xdp_md *ctx)
{
	return vary(ctx) ? count_in(&percpu_hash, ctx) : XDP_PASS;
}

SEC("xdp")
int cost_lru_hash(struct xdp_md *ctx)
{
	return vary(ctx) ? count_in(&lru_hash, ctx) : XDP_PASS;
}

SEC("xdp")
int cost_ours(struct xdp_md *ctx)
{
	return vary(ctx) ? meter(ctx) : XDP_PASS;
}
