/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_ENDS_H
#define WIREWHO_ENDS_H
/*
 * A socket's two ends as a flow key, out of whatever a BPF program has of the socket. The socket's own end is the source;
 * a wildcard address or an unknown port is zero.
 */
#include "core.h"
#include "xdp/parse.h"

#define AF_INET 2
#define AF_INET6 10

static __always_inline int is_mapped(__u64 high, __u64 low)
{
	return !high && (__u32)low == (__u32)PARSE_MAPPED(0);
}

/* An IPv6 socket with a mapped address speaks IPv4 on the wire. */
static __always_inline __u8 wire_family(const union flow_words *f)
{
	if (f->word[2] | f->word[3])
		return is_mapped(f->word[2], f->word[3]) ? 4 : 6;
	return is_mapped(f->word[0], f->word[1]) ? 4 : 6;
}

/* Context fields must be read one by one: without the barrier clang makes one wide load of two. */
static __always_inline __u64 word__of(__u32 first, __u32 second)
{
	union {
		__u32 half[2];
		__u64 whole;
	} w;

	asm volatile("" : "+r"(first), "+r"(second));
	w.half[0] = first;
	w.half[1] = second;
	return w.whole;
}

static __always_inline void key__of_in6(__u64 *word, const struct in6_addr *a)
{
	word[0] = word__of(a->in6_u.u6_addr32[0], a->in6_u.u6_addr32[1]);
	word[1] = word__of(a->in6_u.u6_addr32[2], a->in6_u.u6_addr32[3]);
}

/* Of any kind of socket: full, request or time-wait. */
static __always_inline void key__of_common(union flow_words *f, struct sock_common *c)
{
	if (c->skc_family == AF_INET) {
		f->word[1] = PARSE_MAPPED(c->skc_rcv_saddr);
		f->word[3] = PARSE_MAPPED(c->skc_daddr);
		f->key.family = 4;
	} else {
		key__of_in6(&f->word[0], &c->skc_v6_rcv_saddr);
		key__of_in6(&f->word[2], &c->skc_v6_daddr);
		f->key.family = wire_family(f);
	}
	f->key.sport = bpf_htons(c->skc_num);
	f->key.dport = c->skc_dport;
}

static __always_inline void key__of_sock(union flow_words *f, struct sock *sk)
{
	key__of_common(f, &sk->__sk_common);
	f->key.proto = sk->sk_protocol;
}

static __always_inline void key__of_ops(union flow_words *f, struct bpf_sock_ops *ops)
{
	if (ops->family == AF_INET) {
		f->word[1] = PARSE_MAPPED(ops->local_ip4);
		f->word[3] = PARSE_MAPPED(ops->remote_ip4);
		f->key.family = 4;
	} else {
		f->word[0] = word__of(ops->local_ip6[0], ops->local_ip6[1]);
		f->word[1] = word__of(ops->local_ip6[2], ops->local_ip6[3]);
		f->word[2] = word__of(ops->remote_ip6[0], ops->remote_ip6[1]);
		f->word[3] = word__of(ops->remote_ip6[2], ops->remote_ip6[3]);
		f->key.family = wire_family(f);
	}
	f->key.sport = bpf_htons(ops->local_port);
	f->key.dport = ops->remote_port >>
		       16; /* network order, in the upper half (kernel: sock_ops ctx) */
	f->key.proto = PARSE_IP_TCP;
}
#endif
