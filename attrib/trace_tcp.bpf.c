// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What TCP connections do. State changes happen in softirq as often as in a process, so `current` is never asked: the
 * owner stands in the socket's storage, where the owner programs have put it.
 *
 * inet_sock_set_state tells of full sockets. It comes too early in two places, where the ends are not known yet (a
 * connecting socket has no port, a child no addresses): such a change is kept in the socket's storage and told with the
 * next one. Two kinds of small sockets have no full one: the request that answers a SYN (told by a sockops hook), and the
 * time-wait socket, which takes over when the full one goes to CLOSE (user space looks after those with the iterator).
 * A sockops hook tells of the same changes, of connections that began since, for where the tracepoint does not.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "core.h"
#include "tracing_sockets.h"
#include "trace_tcp.h"

#define FLAG_DONE (1UL << 1) /* SOCK_DONE: the peer's FIN has been taken in */
#define ALLOW 1

const volatile struct trace_tcp_choice choice = {};

struct tcp_life {
	__u64 since, begun;
	__u8 state;  /* 0: not known yet */
	__u8 untold; /* the state was entered out of this one, and nobody was told */
	__u8 role;
	__u8 reset;    /* enum tcp_reset */
	__u8 sums_due; /* CLOSE was told; a reset may still be sent, so the sums wait for it */
	__u8 synacks;
	__u8 pad[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct tcp_life);
} tcp_lives SEC(".maps");

/*
 * A request has no owner in its storage. Those to where nobody listens, or ever did, who is asked for are left out here; user
 * space looks closer at the rest. The kernel adds new listeners, user space those that are older.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct trace_tcp_place);
	__type(value, __u8);
} tcp_listeners SEC(".maps");

/* There were too many of them: none is left out. */
__u32 all_listen = 0;

static __always_inline bool is_port(__u16 local, __u16 remote)
{
	bool found = !choice.ports;

	for (__u32 i = 0; i < TRACE_TCP_PORTS; i++)
		if (i < choice.ports && (choice.port[i] == local || choice.port[i] == remote))
			found = true;
	return found;
}

static __always_inline bool is_tcp(struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family;

	return (family == AF_INET || family == AF_INET6) && sk->sk_protocol == PARSE_IP_TCP;
}

static __always_inline struct trace_tcp_event *event__begin(struct socket_owner *o, __u8 kind)
{
	struct trace_tcp_event *e = trace__reserve(sizeof(*e));

	if (!e)
		return NULL;
	__builtin_memset(e, 0, sizeof(*e));
	e->kind = kind;
	e->time = bpf_ktime_get_ns();
	if (o)
		e->how = owner__read(o, &e->who);
	return e;
}

static __always_inline void put_life(struct trace_tcp_event *e, const struct tcp_life *life)
{
	e->since = life->since;
	e->begun = life->begun;
	e->role = life->role;
	e->untold = life->untold;
	e->reset = life->reset;
	/* Nobody can have accepted a connection that is not established. */
	if (life->role == TCP_ROLE_ACCEPTED && life->state == STATE_SYN_RECV && e->how)
		e->how = OWNER_LISTENER;
}

/* A socket that is closed has given its port back, and remembers it only as its header's field. */
static __always_inline void put_socket(struct trace_tcp_event *e, struct sock *sk, __u64 cookie)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	key__of_sock((union flow_words *)&e->key, sk);
	if (!e->key.sport && tp)
		e->key.sport = tp->inet_conn.icsk_inet.inet_sport;
	e->cookie = cookie;
	e->netns = sk->__sk_common.skc_net.net->net_cookie;
	e->error = sk->sk_err;
}

/*
 * The full socket goes to CLOSE when a time-wait socket has taken over, and in other cases: after FIN and ACK both ways (then
 * it is in TIME_WAIT), or when its process has let go and the peer's FIN is awaited (FIN_WAIT2).
 */
static __always_inline __u8 successor(struct sock *sk, const struct tcp_sock *tp, __u8 before,
				      __u8 reset)
{
	if (sk->sk_err || reset)
		return 0;
	if (before == STATE_CLOSING)
		return STATE_TIME_WAIT;
	if (before != STATE_FIN_WAIT2)
		return 0;
	if (sk->__sk_common.skc_flags & FLAG_DONE)
		return STATE_TIME_WAIT;
	return tp->linger2 < 0 ? 0 : STATE_FIN_WAIT2;
}

/* States alone make all lines; a connection that is opened, or not, shows as it leaves the state of opening. */
static __always_inline bool is_line(const struct tcp_life *life, __u8 before)
{
	bool opening = before == STATE_SYN_SENT || before == STATE_SYN_RECV;
	__u32 line = life->role == TCP_ROLE_CONNECTED ? TCP_LINE_CONNECT : TCP_LINE_ACCEPT;

	return choice.lines & TCP_LINE_STATES || (opening && choice.lines & line);
}

/* The kernel counts the peer's FIN as a byte. */
static __always_inline __u64 payload_received(struct sock *sk, const struct tcp_sock *tp)
{
	__u64 bytes = tp->bytes_received;

	return bytes && sk->__sk_common.skc_flags & FLAG_DONE ? bytes - 1 : bytes;
}

static __always_inline void tell_sums(struct sock *sk, __u64 cookie, struct tcp_life *life,
				      __u8 before, __u8 timewait)
{
	struct socket_owner *o = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct trace_tcp_event *e;

	life->sums_due = 0;
	if (!tp || !(choice.lines & TCP_LINE_CLOSE) || !filter__takes_owner(o))
		return;
	e = event__begin(o, TRACE_TCP_SUMS);
	if (!e)
		return;
	put_socket(e, sk, cookie);
	put_life(e, life);
	e->before = before;
	e->after = STATE_CLOSE;
	e->timewait = timewait;
	e->sums = (struct trace_tcp_sums){
		.sent_bytes = tp->bytes_sent,
		.repeated_bytes = tp->bytes_retrans,
		.received_bytes = payload_received(sk, tp),
		.sent_segments = tp->segs_out,
		.received_segments = tp->segs_in,
		.sent_data = tp->data_segs_out,
		.received_data = tp->data_segs_in,
		.repeated = tp->total_retrans,
		.rtt_us = tp->srtt_us >> 3,
		.synacks = life->synacks,
	};
	trace__submit(e);
}

static __always_inline void tell_state(struct sock *sk, __u64 cookie, struct tcp_life *life,
				       __u8 before, __u8 after, __u8 timewait)
{
	struct socket_owner *o = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	struct trace_tcp_event *e;

	if (!is_line(life, before) || !filter__takes_owner(o))
		return;
	e = event__begin(o, TRACE_TCP_STATE);
	if (!e)
		return;
	put_socket(e, sk, cookie);
	put_life(e, life);
	e->before = before;
	e->after = after;
	e->timewait = timewait;
	trace__submit(e);
}

/* The ends are not known yet: told later, as of now. */
static __always_inline bool is_early(__u8 before, __u8 after)
{
	return after == STATE_SYN_SENT || (before == STATE_LISTEN && after == STATE_SYN_RECV);
}

static __always_inline void enter(struct tcp_life *life, __u8 after)
{
	life->state = after;
	life->since = bpf_ktime_get_ns();
	life->untold = 0;
}

static __always_inline void begin(struct tcp_life *life, __u8 before, __u8 after)
{
	__builtin_memset(life, 0, sizeof(*life));
	enter(life, after);
	life->begun = life->since;
	life->untold = before;
	life->role = after == STATE_SYN_SENT ? TCP_ROLE_CONNECTED : TCP_ROLE_ACCEPTED;
}

/* The process lets go of a connection that is still open: the reset goes out after the change, and counts. */
static __always_inline bool is_abort(struct sock *sk, __u8 before)
{
	return !sk->sk_err && (before == STATE_ESTABLISHED || before == STATE_CLOSE_WAIT ||
			       before == STATE_FIN_WAIT1);
}

static __always_inline void end(struct sock *sk, __u64 cookie, struct tcp_life *life, __u8 before,
				__u8 timewait)
{
	if (before == STATE_LISTEN)
		return;
	if (is_abort(sk, before))
		life->sums_due = before;
	else
		tell_sums(sk, cookie, life, before, timewait);
}

static __always_inline void listener__note(struct sock *sk)
{
	struct trace_tcp_place place = { .netns = sk->__sk_common.skc_net.net->net_cookie,
					 .port = sk->__sk_common.skc_num };
	__u8 yes = 1;

	if (filter__is_any() ||
	    !filter__takes_owner(bpf_sk_storage_get(&socket_owners, sk, NULL, 0)))
		return;
	if (bpf_map_update_elem(&tcp_listeners, &place, &yes, BPF_ANY))
		all_listen = 1;
}

static __always_inline bool is_listener(struct bpf_sock_ops *ops)
{
	struct trace_tcp_place place = { .netns = bpf_get_netns_cookie(ops),
					 .port = ops->local_port };

	return filter__is_any() || all_listen || bpf_map_lookup_elem(&tcp_listeners, &place);
}

static __always_inline void synacks__note(struct sock *sk, struct tcp_life *life)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (tp && life->role == TCP_ROLE_ACCEPTED)
		life->synacks = 1 + tp->total_retrans;
}

/* Whichever hook comes first tells of a change; then it is the state already. */
static __always_inline void change(struct sock *sk, __u64 cookie, __u8 before, __u8 after)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct tcp_life *life = bpf_sk_storage_get(&tcp_lives, sk, NULL,
						   BPF_SK_STORAGE_GET_F_CREATE);
	__u8 timewait = 0;

	if (!life)
		trace__count_lost();
	if (!life || !tp || life->state == after)
		return;
	if (is_early(before, after)) {
		begin(life, before, after);
		return;
	}
	if (!is_port(bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport),
		     bpf_ntohs(sk->__sk_common.skc_dport)))
		return;
	if (before == STATE_SYN_RECV) {
		if (!life->state)
			begin(life, STATE_LISTEN, before);
		synacks__note(sk, life);
	}
	if (after == STATE_LISTEN) {
		life->role = TCP_ROLE_LISTENING;
		listener__note(sk);
	}
	if (after == STATE_CLOSE)
		timewait = successor(sk, tp, before, life->reset);
	tell_state(sk, cookie, life, before, after, timewait);
	if (after == STATE_CLOSE)
		end(sk, cookie, life, before, timewait);
	enter(life, after);
}

SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(tcp_on_state, struct sock *sk, int before, int after)
{
	if (before != after && is_tcp(sk))
		change(sk, bpf_get_socket_cookie(sk), before, after);
	return 0;
}

static __always_inline int sums_if_due(struct sock *sk)
{
	struct tcp_life *life = bpf_sk_storage_get(&tcp_lives, sk, NULL, 0);

	if (life && life->sums_due)
		tell_sums(sk, bpf_get_socket_cookie(sk), life, life->sums_due, 0);
	return 0;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(tcp_on_destroy, struct sock *sk)
{
	return sums_if_due(sk);
}

SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_on_reset_sent, struct sock *sk)
{
	struct tcp_life *life;

	if (!sk)
		return 0;
	life = bpf_sk_storage_get(&tcp_lives, sk, NULL, 0);
	if (life)
		life->reset |= TCP_RESET_SENT;
	return sums_if_due(sk);
}

SEC("tp_btf/tcp_receive_reset")
int BPF_PROG(tcp_on_reset_received, struct sock *sk)
{
	struct tcp_life *life = bpf_sk_storage_get(&tcp_lives, sk, NULL,
						   BPF_SK_STORAGE_GET_F_CREATE);

	if (life)
		life->reset |= TCP_RESET_RECEIVED;
	return 0;
}

/* ---- sockops ---- */

/*
 * A tracepoint's program is not run where it would interrupt itself. And on one kernel (a virtual machine's, 6.18) changes went
 * missing, with no miss counted, in softirqs that had interrupted process 1; this hook saw all of them. So connections that
 * begin now are asked to tell of each here as well.
 */
SEC("sockops")
int tcp_on_change(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;
	struct tcp_sock *tp;

	if (!sk || !ops->is_fullsock)
		return ALLOW;
	if (ops->op == BPF_SOCK_OPS_TCP_CONNECT_CB ||
	    ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		bpf_sock_ops_cb_flags_set(ops,
					  ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_STATE_CB_FLAG);
	if (ops->op != BPF_SOCK_OPS_STATE_CB)
		return ALLOW;
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp)
		change((struct sock *)tp, bpf_get_socket_cookie(ops), ops->args[0], ops->args[1]);
	return ALLOW;
}

/* The two below are called where the ends are known. */

static __always_inline void put_ops(struct trace_tcp_event *e, struct bpf_sock_ops *ops)
{
	key__of_ops((union flow_words *)&e->key, ops);
	e->netns = bpf_get_netns_cookie(ops);
}

/* Just before the SYN is sent: the port is chosen. */
SEC("sockops")
int tcp_on_connect(struct bpf_sock_ops *ops)
{
	struct bpf_sock *sk = ops->sk;
	struct trace_tcp_event *e;
	struct socket_owner *o;
	struct tcp_life *life;

	if (ops->op != BPF_SOCK_OPS_TCP_CONNECT_CB || !sk || !(choice.lines & TCP_LINE_STATES))
		return ALLOW;
	life = bpf_sk_storage_get(&tcp_lives, sk, NULL, 0);
	o = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	if (!life || !life->untold || !filter__takes_owner(o) ||
	    !is_port(ops->local_port, bpf_ntohs(ops->remote_port >> 16)))
		return ALLOW;
	e = event__begin(o, TRACE_TCP_STATE);
	if (!e)
		return ALLOW;
	put_ops(e, ops);
	e->cookie = bpf_get_socket_cookie(ops);
	e->time = life->since;
	e->begun = life->begun;
	e->role = life->role;
	e->before = life->untold;
	e->after = STATE_SYN_SENT;
	trace__submit(e);
	life->untold = 0;
	return ALLOW;
}

/* A SYN has come and is being answered by a request. Its listener cannot be asked from here: user space knows it. */
SEC("sockops")
int tcp_on_request(struct bpf_sock_ops *ops)
{
	struct trace_tcp_event *e;

	if (ops->op != BPF_SOCK_OPS_TIMEOUT_INIT || ops->is_fullsock ||
	    !(choice.lines & (TCP_LINE_STATES | TCP_LINE_ACCEPT)) ||
	    !is_port(ops->local_port, bpf_ntohs(ops->remote_port >> 16)) || !is_listener(ops))
		return ALLOW;
	e = event__begin(NULL, TRACE_TCP_REQUEST);
	if (!e)
		return ALLOW;
	put_ops(e, ops);
	e->begun = e->time;
	e->role = TCP_ROLE_ACCEPTED;
	e->before = STATE_LISTEN;
	e->after = STATE_SYN_RECV;
	trace__submit(e);
	return ALLOW;
}

/* ---- requests and time-wait sockets of the reader's network namespace ---- */

SEC("iter/tcp")
int tcp_small_sockets(struct bpf_iter__tcp *ctx)
{
	struct sock_common *c = ctx->sk_common;
	struct tcp_timewait_sock *tw;
	struct trace_tcp_small s = {};

	if (!c || (c->skc_state != STATE_TIME_WAIT && c->skc_state != STATE_REQUEST))
		return 0;
	s.state = c->skc_state;
	tw = s.state == STATE_TIME_WAIT ? bpf_skc_to_tcp_timewait_sock(c) : NULL;
	if (tw)
		s.state = tw->tw_sk.tw_substate;
	key__of_common((union flow_words *)&s.key, c);
	s.key.proto = PARSE_IP_TCP;
	s.netns = c->skc_net.net->net_cookie;
	bpf_seq_write(ctx->meta->seq, &s, sizeof(s));
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
