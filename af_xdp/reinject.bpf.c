// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Writes the next frame of a batch into the live frame that the kernel hands us, and passes it to the stack. */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "xdp/flow.h"
#include "frames.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FRAMES_BATCH);
	__type(key, __u32);
	__type(value, struct frame_out);
} frames SEC(".maps");

/* Set to 0 by user space before a batch; afterwards the number of frames that were written. */
struct frames_state state SEC(".data.state") = {};

SEC("xdp")
int wirewho_reinject(struct xdp_md *ctx)
{
	__u32 at = state.next, length;
	struct frame_out *f = bpf_map_lookup_elem(&frames, &at);
	__u64 has;

	if (!f)
		return XDP_ABORTED;
	state.next = at + 1;
	length = f->length;
	if (length < 14 || length > FRAMES_MOST)
		return XDP_ABORTED;
	has = (void *)(long)ctx->data_end - (void *)(long)ctx->data;
	asm volatile("" : "+r"(has)); /* else clang subtracts in 32 bits, which pointers may not */
	if (bpf_xdp_adjust_tail(ctx, (int)length - (int)has))
		return XDP_ABORTED;
	if (bpf_xdp_store_bytes(ctx, 0, f->data, length))
		return XDP_ABORTED;
	state.passed++;
	return XDP_PASS;
}

char _license[] SEC("license") = "Dual BSD/GPL";
