// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

SEC("xdp")
int other_xdp(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("tc")
int other_tc(struct __sk_buff *skb)
{
	return -1;
}

SEC("classifier")
int other_drop(struct __sk_buff *skb)
{
	return 2;
}

char _license[] SEC("license") = "Dual BSD/GPL";
