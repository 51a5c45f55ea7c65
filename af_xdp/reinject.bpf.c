// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* Writes the next frame of a batch into the packet that the kernel hands us, and gives the stack a clone of it. */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include "xdp/flow.h"
#include "frames.h"

#define MALFORMED -22 /* EINVAL */

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, FRAMES_BATCH);
	__type(key, __u32);
	__type(value, struct frame_out);
} frames SEC(".maps");

/* Set by user space before a batch. */
struct frames_state state SEC(".data.state") = {};

static __always_inline int put_back(struct __sk_buff *skb, const struct frame_out *f)
{
	__u32 length = f->length;

	if (length < 14 || length > FRAMES_MOST)
		return MALFORMED;
	if (bpf_skb_change_tail(skb, length, 0))
		return MALFORMED;
	if (bpf_skb_store_bytes(skb, 0, f->data, length, 0))
		return MALFORMED;
	return bpf_clone_redirect(skb, skb->ifindex, BPF_F_INGRESS);
}

/* After one that was refused all others wait: they would overtake it. */
SEC("tc")
int wirewho_reinject(struct __sk_buff *skb)
{
	__u32 at = state.next;
	const struct frame_out *f = bpf_map_lookup_elem(&frames, &at);

	if (!f || state.error)
		return TC_ACT_SHOT;
	state.error = put_back(skb, f);
	if (!state.error)
		state.next = at + 1;
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "Dual BSD/GPL";
