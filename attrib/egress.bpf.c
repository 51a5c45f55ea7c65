// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* What the host sends: counted with the meter's parser and table, and each new flow tied to its socket. */
#include <linux/bpf.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "xdp/count_skb.h"
#include "announce.h"
#include "who.h"

const volatile __u32 owners_on = 0; /* 1: tie new flows to their sockets */

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
	/* The kernel makes the outer header when it puts a tunnel around what a socket here has sent. */
	if (p->flow.key.proto == PARSE_IP_UDP && is_tunnels(skb)) {
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
	if (owner)
		e->how = owner__read(owner, &e->who);
	announce__end(e);
}

SEC("tc")
int wirewho_egress(struct __sk_buff *skb)
{
	struct parsed p;

	if (skb__count(skb, &p) && owners_on &&
	    !(p.flow.key.link >> TURN_SHIFT)) /* else its socket is known */
		tie(skb, &p);
	return PASS_ON;
}

char _license[] SEC("license") = "Dual BSD/GPL";
