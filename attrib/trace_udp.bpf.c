// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What UDP sockets do. Datagrams are counted where each passes once, with its socket and whole: the cgroup's packet hooks
 * at IP output and in front of the socket's receive queue. A send call may make many of them (UDP_SEGMENT) or a part of
 * one (UDP_CORK), so calls are counted for what only they know: errors, and what was read. All of it stands in the
 * socket's storage, which the kernel lets go of with the socket; one event tells it when the socket is closed.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "core.h"
#include "tracing_sockets.h"
#include "trace_udp.h"

#define ALLOW 1
#define PEEK 2 /* MSG_PEEK */
#define WOULD_BLOCK (-11)

const volatile struct trace_udp_choice choice = {};

struct udp_life {
	struct udp_times times;
	struct udp_counts counts;
	struct udp_counts told; /* at the end of the last interval: the iterator's own */
	union flow_words ends;  /* of the first datagram, the socket's own end as source */
	__u32 error;
	__u8 has_ends;
	__u8 several; /* peers */
	__u8 closed;
	__u8 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct udp_life);
} udp_lives SEC(".maps");

static __always_inline struct udp_life *life__begun(struct udp_life *life)
{
	if (!life)
		trace__count_lost();
	else if (!life->times.begun)
		life->times.begun = bpf_ktime_get_ns();
	return life;
}

static __always_inline bool is_udp(struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	return (family == AF_INET || family == AF_INET6) && sk->sk_protocol == PARSE_IP_UDP;
}

static __always_inline void add(struct count *to, __u64 packets, __u64 bytes)
{
	__sync_fetch_and_add(&to->packets, packets);
	__sync_fetch_and_add(&to->bytes, bytes);
}

static __always_inline void mark(__u64 *first, __u64 *last)
{
	__u64 now = bpf_ktime_get_ns();

	if (!*first)
		*first = now;
	*last = now;
}

/* ---- datagrams ---- */

/* The whole datagram's payload; one that stands for many repeats its headers only on the wire. */
static __always_inline struct count payload(const struct __sk_buff *skb, __u32 headers)
{
	struct count n = { .packets = 1, .bytes = skb->len > headers ? skb->len - headers : 0 };

	if (skb->gso_size && n.bytes)
		n.packets = (n.bytes + skb->gso_size - 1) / skb->gso_size;
	return n;
}

static __always_inline void turn(union flow_words *f)
{
	union flow_words old = *f;

	f->word[0] = old.word[2];
	f->word[1] = old.word[3];
	f->word[2] = old.word[0];
	f->word[3] = old.word[1];
	f->key.sport = old.key.dport;
	f->key.dport = old.key.sport;
}

/* The second half of the address that stands for any. */
static __always_inline __u64 wildcard(__u8 family)
{
	return family == 4 ? PARSE_MAPPED(0) : 0;
}

/* Another peer than the first: none is told. Another address of our own (a server on several): likewise. */
static __always_inline void note_ends(struct udp_life *life, const union flow_words *f)
{
	union flow_words *ends = &life->ends;

	if (!life->has_ends) {
		*ends = *f;
		life->has_ends = 1;
		return;
	}
	if (ends->word[2] != f->word[2] || ends->word[3] != f->word[3] ||
	    ends->key.dport != f->key.dport)
		life->several = 1;
	if (ends->word[0] != f->word[0] || ends->word[1] != f->word[1]) {
		ends->word[0] = 0;
		ends->word[1] = wildcard(f->key.family);
	}
}

static __always_inline struct udp_life *datagram(struct __sk_buff *skb, struct parsed *p)
{
	struct bpf_sock *sk = skb->sk;

	sk = sk ? bpf_sk_fullsock(sk) : NULL;
	if (!sk || sk->protocol != PARSE_IP_UDP)
		return NULL;
	if (parse__raw((void *)(long)skb->data, (void *)(long)skb->data_end, 0, p) != REASON_FLOW)
		return NULL;
	return life__begun(bpf_sk_storage_get(&udp_lives, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE));
}

SEC("cgroup_skb/egress")
int udp_on_output(struct __sk_buff *skb)
{
	struct parsed p;
	struct udp_life *life = datagram(skb, &p);
	struct count n;

	if (!life)
		return ALLOW;
	n = payload(skb, p.headers);
	add(&life->counts.sent, n.packets, n.bytes);
	mark(&life->times.first_sent, &life->times.last_sent);
	note_ends(life, &p.flow);
	return ALLOW;
}

SEC("cgroup_skb/ingress")
int udp_on_input(struct __sk_buff *skb)
{
	struct parsed p;
	struct udp_life *life = datagram(skb, &p);
	struct count n;

	if (!life)
		return ALLOW;
	n = payload(skb, p.headers);
	add(&life->counts.received, n.packets, n.bytes);
	mark(&life->times.first_received, &life->times.last_received);
	turn(&p.flow);
	note_ends(life, &p.flow);
	return ALLOW;
}

/* ---- calls, and what goes wrong ---- */

static __always_inline void note_error(struct udp_life *life, __u64 *errors, int error)
{
	__sync_fetch_and_add(errors, 1);
	life->error = -error;
}

static __always_inline int sent(struct sock *sk, int length)
{
	struct udp_life *life;

	if (!sk || length >= 0 || length == WOULD_BLOCK || !is_udp(sk))
		return 0;
	life = life__begun(bpf_sk_storage_get(&udp_lives, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE));
	if (life)
		note_error(life, &life->counts.send_errors, length);
	return 0;
}

static __always_inline int received(struct sock *sk, int length, int flags)
{
	struct udp_life *life;

	if (!sk || length == WOULD_BLOCK || (flags & PEEK && length >= 0) || !is_udp(sk))
		return 0;
	life = life__begun(bpf_sk_storage_get(&udp_lives, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE));
	if (!life)
		return 0;
	if (length < 0)
		note_error(life, &life->counts.receive_errors, length);
	else
		add(&life->counts.read, 1, length);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(udp_on_send, struct sock *sk, int length, int flags)
{
	return sent(sk, length);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(udp_on_receive, struct sock *sk, int length, int flags)
{
	return received(sk, length, flags);
}

/* Before Linux 6.3: the functions that those tracepoints stand behind. */
SEC("fexit/inet_sendmsg")
int BPF_PROG(udp_sent_inet, struct socket *socket, struct msghdr *message, __u64 size, int length)
{
	return sent(socket->sk, length);
}

SEC("fexit/inet6_sendmsg")
int BPF_PROG(udp_sent_inet6, struct socket *socket, struct msghdr *message, __u64 size, int length)
{
	return sent(socket->sk, length);
}

SEC("fexit/inet_recvmsg")
int BPF_PROG(udp_received_inet, struct socket *socket, struct msghdr *message, __u64 size,
	     int flags, int length)
{
	return received(socket->sk, length, flags);
}

SEC("fexit/inet6_recvmsg")
int BPF_PROG(udp_received_inet6, struct socket *socket, struct msghdr *message, __u64 size,
	     int flags, int length)
{
	return received(socket->sk, length, flags);
}

SEC("tp_btf/udp_fail_queue_rcv_skb")
int BPF_PROG(udp_on_full, int error, struct sock *sk)
{
	struct udp_life *life = bpf_sk_storage_get(&udp_lives, sk, NULL, 0);

	if (life)
		__sync_fetch_and_add(&life->counts.dropped, 1);
	return 0;
}

static __always_inline struct udp_life *connected(struct bpf_sock *sk)
{
	struct udp_life *life;

	if (!sk || sk->protocol != PARSE_IP_UDP)
		return NULL;
	life = life__begun(bpf_sk_storage_get(&udp_lives, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE));
	if (life)
		life->times.connected = bpf_ktime_get_ns();
	return life && !life->has_ends ? life : NULL;
}

SEC("cgroup/connect4")
int udp_on_connect4(struct bpf_sock_addr *ctx)
{
	struct udp_life *life = connected(ctx->sk);

	if (!life)
		return ALLOW;
	life->ends.word[1] = PARSE_MAPPED(0);
	life->ends.word[3] = PARSE_MAPPED(ctx->user_ip4);
	life->ends.key.dport = ctx->user_port;
	life->ends.key.family = 4;
	return ALLOW;
}

SEC("cgroup/connect6")
int udp_on_connect6(struct bpf_sock_addr *ctx)
{
	struct udp_life *life = connected(ctx->sk);

	if (!life)
		return ALLOW;
	life->ends.word[2] = word__of(ctx->user_ip6[0], ctx->user_ip6[1]);
	life->ends.word[3] = word__of(ctx->user_ip6[2], ctx->user_ip6[3]);
	life->ends.key.dport = ctx->user_port;
	life->ends.key.family = wire_family(&life->ends);
	return ALLOW;
}

/* ---- telling ---- */

static __always_inline bool is_port(const struct flow_key *key)
{
	bool found = !choice.ports;

	for (__u32 i = 0; i < TRACE_UDP_PORTS; i++)
		if (i < choice.ports && (choice.port[i] == bpf_ntohs(key->sport) ||
					 choice.port[i] == bpf_ntohs(key->dport)))
			found = true;
	return found;
}

static __always_inline void forget_peer(union flow_words *f)
{
	f->word[2] = 0;
	f->word[3] = wildcard(f->key.family);
	f->key.dport = 0;
}

static __always_inline void put(struct trace_udp_event *e, const struct udp_life *life,
				struct socket_owner *o)
{
	e->time = bpf_ktime_get_ns();
	if (o)
		e->how = owner__read(o, &e->who);
	e->several = life->several;
	e->error = life->error;
	e->times = life->times;
	e->counts = life->counts;
	e->key = life->ends.key;
	e->key.proto = PARSE_IP_UDP;
	if (life->several)
		forget_peer((union flow_words *)&e->key);
}

SEC("cgroup/sock_release")
int udp_on_release(struct bpf_sock *sk)
{
	struct udp_life *life = bpf_sk_storage_get(&udp_lives, sk, NULL, 0);
	struct socket_owner *o;
	struct trace_udp_event *e;

	if (!life)
		return ALLOW;
	life->closed = 1;
	o = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	if (!filter__takes_owner(o))
		return ALLOW;
	e = trace__reserve(sizeof(*e));
	if (!e)
		return ALLOW;
	__builtin_memset(e, 0, sizeof(*e));
	e->kind = UDP_CLOSED;
	e->cookie = bpf_get_socket_cookie(sk);
	e->netns = bpf_get_netns_cookie(sk);
	put(e, life, o);
	if (is_port(&e->key))
		trace__submit(e);
	else
		bpf_ringbuf_discard(e, BPF_RB_NO_WAKEUP);
	return ALLOW;
}

static __always_inline void subtract(struct udp_counts *n, const struct udp_counts *less)
{
	n->sent.packets -= less->sent.packets;
	n->sent.bytes -= less->sent.bytes;
	n->received.packets -= less->received.packets;
	n->received.bytes -= less->received.bytes;
	n->read.packets -= less->read.packets;
	n->read.bytes -= less->read.bytes;
	n->dropped -= less->dropped;
	n->send_errors -= less->send_errors;
	n->receive_errors -= less->receive_errors;
}

static __always_inline bool is_empty(const struct udp_counts *n)
{
	return !(n->sent.packets | n->received.packets | n->read.packets | n->dropped |
		 n->send_errors | n->receive_errors);
}

/* Every socket that has a life. Two programs of one text, so that each knows its kind as a constant. */
static __always_inline int walk(struct bpf_iter__bpf_sk_storage_map *ctx, __u8 kind)
{
	struct udp_life *life = ctx->value;
	struct trace_udp_event e = {};
	struct sock *sk = ctx->sk;
	struct socket_owner *o;
	struct udp_counts now;

	if (!sk || !life || life->closed) /* a closed socket is there for a grace period still */
		return 0;
	o = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	if (!filter__takes_owner(o))
		return 0;
	e.kind = kind;
	e.cookie = bpf_get_socket_cookie(sk);
	e.netns = sk->__sk_common.skc_net.net->net_cookie;
	put(&e, life, o);
	if (kind == UDP_INTERVAL) {
		now = e.counts;
		subtract(&e.counts, &life->told);
		life->told = now;
		if (is_empty(&e.counts))
			return 0;
	}
	if (is_port(&e.key))
		bpf_seq_write(ctx->meta->seq, &e, sizeof(e));
	return 0;
}

SEC("iter/bpf_sk_storage_map")
int udp_open(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	return walk(ctx, UDP_OPEN);
}

SEC("iter/bpf_sk_storage_map")
int udp_interval(struct bpf_iter__bpf_sk_storage_map *ctx)
{
	return walk(ctx, UDP_INTERVAL);
}

char _license[] SEC("license") = "Dual BSD/GPL";
