// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* For bench/service: what native XDP costs a veth when its program does nothing. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp.frags")
int bench_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
