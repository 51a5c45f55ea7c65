// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the host sends: counted with the meter's parser and table, and each new flow tied to its socket. */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "xdp/flow.h"
#include "xdp/parse.h"
#include "xdp/table.h"
#include "xdp/match.h"
#include "announce.h"
#include "who.h"

#define PASS_ON (-1) /* TCX_NEXT, and TC_ACT_UNSPEC of a clsact filter: the next program decides */

const volatile __u16 link_number = 0;
const volatile __u32 link_raw = 0;
const volatile __u32 match_counts = 0;
const volatile __u32 look_inside = 0; /* 1: the kernel has bpf_cast_to_kern_ctx (6.2) */
const volatile __u32 owners_on = 0;   /* 1: tie new flows to their sockets */
const volatile struct match match = {};

extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym __weak;

static __always_inline enum reason parse(struct __sk_buff *skb, struct parsed *p)
{
	const void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	int outer = skb->vlan_present ? (int)(skb->vlan_tci & 0x0fff) : -1;

	return link_raw ? parse__raw(data, end, link_number, p)
			: parse__frame(data, end, outer, link_number, p);
}

/* Headers may lie in fragments of the skb: have the first bytes in one piece, and look again. */
static __always_inline enum reason parse_all(struct __sk_buff *skb, struct parsed *p)
{
	enum reason why = parse(skb, p);
	__u32 linear = (__u32)(skb->data_end - skb->data);

	if (!parse__is_short(why) || linear >= skb->len)
		return why;
	if (bpf_skb_pull_data(skb, skb->len < PARSE_REACH ? skb->len : PARSE_REACH))
		return why;
	return parse(skb, p);
}

/*
 * What this skb is on the wire. The stack hands down one skb for many segments (GSO); each repeats the headers and
 * carries gso_size bytes. A tag in metadata becomes 4 bytes of each frame.
 */
static __always_inline struct count wire(const struct __sk_buff *skb, enum reason why,
					 const struct parsed *p)
{
	__u32 tag = skb->vlan_present ? 4 : 0, headers, segments, size = skb->gso_size;
	struct count n = { .packets = 1, .bytes = skb->len + tag };

	if (!size)
		return n;
	headers = why == REASON_FLOW ? p->headers : 0;
	segments = skb->gso_segs;
	if (why == REASON_FLOW && skb->len > headers)
		segments = (skb->len - headers + size - 1) / size;
	if (segments < 2)
		return n;
	n.packets = segments;
	n.bytes += (__u64)(segments - 1) * (headers + tag);
	return n;
}

/* A new flow without a socket that came in by another interface: there its sender stands. */
static __always_inline void pass(struct __sk_buff *skb, const struct parsed *p)
{
	__u32 from = skb->ingress_ifindex;
	struct owner_event *e;

	if (!from || !bpf_map_lookup_elem(&doors, &from))
		return;
	e = announce__begin(OWNER_PASSED);
	if (!e)
		return;
	e->key = p->flow.key;
	e->ifindex = from;
	announce__end(e);
}

/* A tunnel's outer packet still carries the socket that sent what is inside, and many share the tunnel's flow. */
static __always_inline int is_senders(const struct bpf_sock *sk, const struct flow_key *key)
{
	return sk->protocol == key->proto && bpf_htons(sk->src_port) == key->sport;
}

/* The kernel makes the outer header when it puts a tunnel around what a socket here has sent. */
static __always_inline int is_tunnels(struct __sk_buff *skb, const struct flow_key *key)
{
	struct sk_buff *whole;

	if (!look_inside || key->proto != PARSE_IP_UDP)
		return 0;
	whole = bpf_cast_to_kern_ctx(skb);
	return BPF_CORE_READ_BITFIELD(whole, encapsulation);
}

#define TUNNELS (1ull << 62) /* in a cookie: what the kernel makes of this socket's frames */

static __always_inline void tie_to_kernel(struct __sk_buff *skb, const struct flow_key *key)
{
	struct owner_event *e = announce__begin(OWNER_TIE);

	if (!e)
		return;
	e->cookie = bpf_get_socket_cookie(skb) | TUNNELS;
	e->key = *key;
	who__kernel(&e->who);
	e->how = OWNER_EXACT;
	announce__end(e);
}

/* A new flow: which socket sends it, and who owns that. */
static __always_inline void tie(struct __sk_buff *skb, const struct parsed *p)
{
	struct socket_owner *owner;
	struct owner_event *e;
	struct bpf_sock *sk = skb->sk;
	int ours;

	if (!sk) {
		pass(skb, p);
		return;
	}
	if (is_tunnels(skb, &p->flow.key)) {
		tie_to_kernel(skb, &p->flow.key);
		return;
	}
	sk = bpf_sk_fullsock(sk); /* request and time-wait sockets have no storage */
	if (!sk)
		return;
	ours = is_senders(sk, &p->flow.key);
	owner = ours ? bpf_sk_storage_get(&socket_owners, sk, NULL, 0) : NULL;
	e = announce__begin(OWNER_TIE);
	if (!e)
		return;
	/* Another socket's frame is not that of whoever has the port: it is tied to one that nobody knows. */
	e->cookie = ours ? bpf_get_socket_cookie(skb) : ~bpf_get_socket_cookie(skb);
	e->key = p->flow.key;
	if (owner) {
		e->who = owner->who;
		e->how = owner->how;
	}
	announce__end(e);
}

SEC("tc")
int wirewho_egress(struct __sk_buff *skb)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct tally *t = table__tally(cpu, link_number);
	struct parsed p;
	enum reason why;
	struct count n;

	if (!t)
		return PASS_ON;
	why = parse_all(skb, &p);
	n = wire(skb, why, &p);
	count__add(&t->seen, &n);
	if (why == REASON_FLOW && match_counts && !match__test(&p, &match))
		why = REASON_UNMATCHED;
	if (why != REASON_FLOW) {
		if (why < REASON_N)
			count__add(&t->reason[why], &n);
		return PASS_ON;
	}
	turn__mark(&p.flow);
	if (table__count(t, cpu,
			 &(struct addition){ .flow = &p.flow, .count = n, .marks = p.marks }) ==
		    TABLE_CLAIMED &&
	    owners_on && !(p.flow.key.link >> TURN_SHIFT)) /* its socket is known */
		tie(skb, &p);
	return PASS_ON;
}

char _license[] SEC("license") = "Dual BSD/GPL";
