// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Writes the next flow's number into the frame that the kernel hands us, and lets the kernel send it. */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 place = 0;  /* offset of the source address' last four bytes */
const volatile __u32 first = 0;  /* what stands there in flow 0 */
const volatile __u64 flows = 1;  /* 1 to 2^32 */
const volatile __u64 step = 0;   /* no factor in common with flows: every flow once, then again */
const volatile __u32 action = 0; /* XDP_TX, or XDP_DROP to send nothing */

__u64 made = 0;
__u64 number = 0;

SEC("xdp")
int bench_generate(struct xdp_md *ctx)
{
	__u8 *at = (void *)(long)ctx->data + place;
	__u64 next = number + step;

	if ((void *)(at + 4) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	*(__u32 *)at = bpf_htonl(first + (__u32)number);
	number = next < flows ? next : next - flows;
	made++;
	return action;
}

char _license[] SEC("license") = "Dual BSD/GPL";
