// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Programs for bench/path: what stands at the receiving end of a veth. All end in XDP_DROP, so that only they differ. */
#include "bench/cost.bpf.c"

SEC("xdp.frags")
int path_drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp.frags")
int path_percpu_hash(struct xdp_md *ctx)
{
	return count_in(&percpu_hash, ctx);
}

SEC("xdp.frags")
int path_ours(struct xdp_md *ctx)
{
	return meter(ctx) == XDP_PASS ? XDP_DROP : XDP_ABORTED;
}
