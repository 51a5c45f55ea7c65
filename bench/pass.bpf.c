// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* For the benches: what native XDP costs a veth when its program does nothing, and a path that ends at once. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int bench_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("xdp")
int bench_drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
