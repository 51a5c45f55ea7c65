// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Writes the next flow's number into the frame that the kernel hands us, cuts it, and lets the kernel send it. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "bench/generator_draws.h"

const volatile __u32 place = 0;  /* offset of the source address' last four bytes */
const volatile __u32 first = 0;  /* what stands there in flow 0 */
const volatile __u64 flows = 1;  /* 1 to 2^32 */
const volatile __u64 step = 0;   /* no factor in common with flows: every flow once, then again */
const volatile __u32 action = 0; /* XDP_TX, or XDP_DROP to send nothing */
const volatile __u32 by_draw = 0;
const volatile __u32 mixed = 0;            /* bytes of the smallest frame; 0: one size only */
const volatile __u32 ip_at = 0, l4_at = 0; /* where a length is written; l4_at 0: nowhere there */
const volatile __u32 ip_less = 0; /* what of the frame the length at ip_at does not count */

__u64 made = 0;
__u64 bytes = 0;
__u64 number = 0;
__u32 drawn[DRAWS] = {};

static __always_inline __u32 next_flow(void)
{
	__u64 now = number, next = now + step;

	if (by_draw)
		return drawn[made & (DRAWS - 1)];
	number = next < flows ? next : next - flows;
	return now;
}

static __always_inline int write16(struct xdp_md *ctx, __u32 at, __u32 value)
{
	__u8 *p = (void *)(long)ctx->data + at;

	if ((void *)(p + 2) > (void *)(long)ctx->data_end)
		return -1;
	*(__u16 *)p = bpf_htons(value);
	return 0;
}

/* The frame comes in its largest size. */
static __always_inline int cut(struct xdp_md *ctx)
{
	__u32 turn = made % 12, size = turn < 7 ? mixed : turn < 11 ? MIX_MIDDLE : MIX_LARGE;

	if (size < MIX_LARGE && bpf_xdp_adjust_tail(ctx, (int)size - MIX_LARGE))
		return -1;
	if (write16(ctx, ip_at, size - ip_less))
		return -1;
	return l4_at ? write16(ctx, l4_at, size - (l4_at - 4)) : 0;
}

SEC("xdp")
int bench_generate(struct xdp_md *ctx)
{
	__u8 *at;

	if (mixed && cut(ctx))
		return XDP_ABORTED;
	at = (void *)(long)ctx->data + place;
	if ((void *)(at + 4) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	*(__u32 *)at = bpf_htonl(first + next_flow());
	made++;
	bytes += ctx->data_end - ctx->data;
	return action;
}

char _license[] SEC("license") = "Dual BSD/GPL";
