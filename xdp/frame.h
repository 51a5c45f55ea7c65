/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_FRAME_H
#define WIREWHO_FRAME_H
/* A frame as an XDP program meets it. */
#include "flow.h"

const volatile __u32 look_inside = 0; /* 1: the kernel has bpf_cast_to_kern_ctx (6.2) */

/* The part of the kernel's own context that says whether a frame lies in several buffers (kernel commit 2e88d4ff0301). */
struct xdp_buff {
	__u32 flags;
} __attribute__((preserve_access_index));
#define XDP_BUFF_HAS_FRAGS 1

extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

struct frame {
	const void *data, *end;
	struct count count;
};

/* Does it lie in one buffer for sure? Nearly all do, and bpf_xdp_get_buff_len() costs a call. */
static __always_inline int frame__is_whole(struct xdp_md *ctx)
{
	return look_inside &&
	       !(((struct xdp_buff *)bpf_cast_to_kern_ctx(ctx))->flags & XDP_BUFF_HAS_FRAGS);
}

static __always_inline __u64 frame__length(struct xdp_md *ctx)
{
	return frame__is_whole(ctx) ? ctx->data_end - ctx->data : bpf_xdp_get_buff_len(ctx);
}

static __always_inline struct frame frame__of(struct xdp_md *ctx)
{
	struct frame f = {
		.data = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
		.count = { .packets = 1, .bytes = frame__length(ctx) },
	};

	return f;
}
#endif
