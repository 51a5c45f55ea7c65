/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_COUNT_SKB_H
#define WIREWHO_COUNT_SKB_H
/*
 * A packet as tc programs get it, counted as what it is on the wire: by the parser and the table of the XDP program, so
 * that both agree. What the kernel has merged or not cut up yet (GRO, GSO) is counted as its segments.
 */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include "flow.h"
#include "parse.h"
#include "table.h"
#include "match.h"

#define PASS_ON (-1) /* TCX_NEXT, and TC_ACT_UNSPEC of a clsact filter: the next program decides */

const volatile __u16 link_number = 0;
const volatile __u32 link_raw = 0;     /* 1: no Ethernet header (tun, WireGuard) */
const volatile __u32 match_counts = 0; /* 1: what does not match is not counted as a flow */
const volatile struct match match = {};
const volatile __u32 look_inside =
	0; /* 1: the kernel has bpf_cast_to_kern_ctx and bpf_rdonly_cast (6.2) */

extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;
extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;

/* What the kernel knows of a tunnel's packet (CO-RE: the part behind ___ is no part of the name). */
struct sk_buff___tunnel {
	unsigned char *head, *data;
	unsigned int end;
	__u16 inner_transport_header;
	__u8 encapsulation : 1; /* what is inside has its own headers, which are described too */
} __attribute__((preserve_access_index));

struct skb_shared_info___tunnel {
	unsigned int gso_type;
} __attribute__((preserve_access_index));

#define GSO_TCP (1 << 0 | 1 << 4) /* SKB_GSO_TCPV4, SKB_GSO_TCPV6 */

static __always_inline enum reason skb__parse(struct __sk_buff *skb, struct parsed *p)
{
	const void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	int outer = skb->vlan_present ? (int)(skb->vlan_tci & 0x0fff) : -1;

	return link_raw ? parse__raw(data, end, link_number, p)
			: parse__frame(data, end, outer, link_number, p);
}

/* Headers may lie in fragments of the skb: have the first bytes in one piece, and look again. */
static __always_inline enum reason skb__parse_all(struct __sk_buff *skb, struct parsed *p)
{
	enum reason why = skb__parse(skb, p);
	__u32 linear = (__u32)(skb->data_end - skb->data);

	if (!parse__is_short(why) || linear >= skb->len)
		return why;
	if (bpf_skb_pull_data(skb, skb->len < PARSE_REACH ? skb->len : PARSE_REACH))
		return why;
	return skb__parse(skb, p);
}

static __always_inline int is_tunnels(struct __sk_buff *skb)
{
	struct sk_buff___tunnel *whole;

	if (!look_inside)
		return 0;
	whole = bpf_cast_to_kern_ctx(skb);
	return BPF_CORE_READ_BITFIELD(whole, encapsulation);
}

/* A tunnel's packet that is to be cut: its segments repeat the headers inside too. */
static __noinline __u32 skb__tunnel_headers(struct __sk_buff *skb)
{
	struct sk_buff___tunnel *whole = bpf_cast_to_kern_ctx(skb);
	__u32 inner = whole->inner_transport_header - (__u32)(whole->data - whole->head);
	const struct skb_shared_info___tunnel *shared = bpf_rdonly_cast(
		whole->head + whole->end, bpf_core_type_id_kernel(struct skb_shared_info___tunnel));
	__u8 words;

	if (!(shared->gso_type & GSO_TCP))
		return inner + 8;
	return bpf_skb_load_bytes(skb, inner + 12, &words, 1) ? 0 : inner + (words >> 4 << 2);
}

/* How many of its first bytes each segment repeats, 0: not known. */
static __always_inline __u32 skb__headers(struct __sk_buff *skb, enum reason why,
					  const struct parsed *p)
{
	if (is_tunnels(skb))
		return skb__tunnel_headers(skb);
	return why == REASON_FLOW ? p->headers : 0;
}

/*
 * What this skb is on the wire. The stack hands on one skb for many segments; each repeats the headers and carries
 * gso_size bytes. A tag in metadata becomes 4 bytes of each frame.
 */
static __always_inline struct count skb__wire(struct __sk_buff *skb, enum reason why,
					      const struct parsed *p)
{
	__u32 tag = skb->vlan_present ? 4 : 0, headers, segments, size = skb->gso_size;
	struct count n = { .packets = 1, .bytes = skb->len + tag };

	if (!size)
		return n;
	headers = skb__headers(skb, why, p);
	if (headers >= skb->len) /* who made the packet was wrong about what is inside */
		headers = 0;
	segments = skb->gso_segs;
	if (headers)
		segments = (skb->len - headers + size - 1) / size;
	if (segments < 2)
		return n;
	n.packets = segments;
	n.bytes += (__u64)(segments - 1) * (headers + tag);
	return n;
}

/* Into the table, or under the reason why not. 1: it is the first of the flow that *p tells. */
static __always_inline int skb__count(struct __sk_buff *skb, struct parsed *p)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct tally *t = table__tally(cpu, link_number);
	enum reason why;
	struct count n;

	if (!t)
		return 0;
	why = skb__parse_all(skb, p);
	n = skb__wire(skb, why, p);
	count__add(&t->seen, &n);
	if (why == REASON_FLOW && match_counts && !match__test(p, &match))
		why = REASON_UNMATCHED;
	if (why != REASON_FLOW) {
		tally__reason(t, why, &n);
		return 0;
	}
	turn__mark(&p->flow);
	return table__count(t, cpu,
			    &(struct addition){ .flow = &p->flow,
						.count = n,
						.marks = p->marks }) == TABLE_CLAIMED;
}
#endif
