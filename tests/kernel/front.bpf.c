// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Stands in front of the tc program under test and makes of the frame what a test run cannot be given: one that is
 * shorter than the header its type promises, or one whose outer VLAN tag lies beside it, where the stack keeps it.
 */
#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

const volatile __u32 tag_beside = 0;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

/* What the kernel takes out of a frame; 0x9100 it leaves there. */
static __always_inline int is_tag(__be16 type)
{
	return type == bpf_htons(0x8100) || type == bpf_htons(0x88a8);
}

static __always_inline void put_beside(struct __sk_buff *skb)
{
	__u32 length = skb->len;
	__be16 tag[2];

	if (bpf_skb_load_bytes(skb, 12, tag, sizeof(tag)) || !is_tag(tag[0]))
		return;
	bpf_skb_vlan_pop(skb); /* puts the next tag beside the frame ... */
	if (skb->len < length)
		bpf_skb_vlan_push(skb, tag[0], bpf_ntohs(tag[1])); /* ... and this brings it back */
}

/* skb->mark is the frame's length, the rest is filling. */
SEC("tc")
int front(struct __sk_buff *skb)
{
	if (skb->mark == skb->len || !bpf_skb_change_tail(skb, skb->mark, 0)) {
		if (tag_beside)
			put_beside(skb);
		bpf_tail_call(skb, &next, 0);
	}
	return 2; /* TC_ACT_SHOT: what the program under test never says */
}

char _license[] SEC("license") = "Dual BSD/GPL";
