// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The smallest program of each kind that the probes try to load. None of them is ever attached to anything. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

/* The place another program may take: global, not inlined, and its answer not known to the compiler. */
__attribute__((noinline)) int probe_slot(struct xdp_md *ctx)
{
	volatile int verdict = XDP_PASS;

	if (!ctx)
		return XDP_ABORTED;
	return verdict;
}

SEC("?xdp")
int probe_target(struct xdp_md *ctx)
{
	return probe_slot(ctx);
}

SEC("?freplace/probe_slot")
int probe_replace(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("?freplace/probe_slot")
int probe_change(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_meta(ctx, -4) ? XDP_DROP : XDP_PASS;
}

SEC("?xdp")
int probe_plain(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("?xdp.frags")
int probe_frags(struct xdp_md *ctx)
{
	return XDP_PASS;
}

SEC("?tp_btf/sock_send_length")
int probe_send(void *ctx)
{
	return 0;
}

SEC("?tp_btf/sock_recv_length")
int probe_receive(void *ctx)
{
	return 0;
}

SEC("?fexit/inet_listen")
int probe_function(void *ctx)
{
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
