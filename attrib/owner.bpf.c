// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who owns a socket, learned only where `current` is the process that uses it: connect, bind, send, receive. Softirq
 * hooks (an established child, a closing socket) take the owner out of the socket's storage and never look at current.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "core.h"
#include "announce.h"
#include "ends.h"
#include "recent.h"
#include "who.h"
#include "xdp/parse.h"
#include "xdp/turns.h"

#define SOCK_STREAM 1
#define SOCK_DGRAM 2
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define ALLOW 1

const volatile __u64 watched_cgroup = 0; /* id of the one that a tracer asks for; 0: none does */

static __always_inline void note_cgroup(struct socket_owner *o, struct task_struct *task)
{
	if (watched_cgroup)
		o->watched = task__is_below(task, watched_cgroup);
}

static __always_inline void own(struct socket_owner *o)
{
	who__current(&o->who);
	note_cgroup(o, bpf_get_current_task_btf());
}

/* A process may be moved to another cgroup while it uses a socket. */
static __always_inline void note_move(struct socket_owner *o)
{
	if (watched_cgroup && o->who.cgroup != bpf_get_current_cgroup_id())
		own(o);
}

static __always_inline int is_current(const struct socket_owner *o)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return o->who.pid == (__u32)task->tgid &&
	       o->who.start == task->group_leader->start_boottime;
}

static __always_inline __u8 is_only6(struct sock *sk)
{
	struct sock_common *c = &sk->__sk_common;

	return c->skc_family == AF_INET6 && BPF_CORE_READ_BITFIELD(c, skc_ipv6only);
}

static __always_inline int is_ours(struct sock *sk)
{
	__u16 family = sk->__sk_common.skc_family, proto = sk->sk_protocol;

	return (family == AF_INET || family == AF_INET6) &&
	       (proto == PARSE_IP_TCP || proto == PARSE_IP_UDP);
}

static __always_inline int is_kernel_sock(struct sock *sk)
{
	return BPF_CORE_READ_BITFIELD(sk, sk_kern_sock);
}

static __always_inline void was_told(struct socket_owner *o)
{
	o->announced = 1;
	o->known = 1;
}

/* What a change of hands says beside the new owner: see owner_event. */
struct change {
	__u32 turn, between[2];
};

static __always_inline void tell(struct sock *sk, struct socket_owner *o, int listening,
				 const struct change *c)
{
	struct owner_event *e = announce__begin(OWNER_SOCKET);

	if (!e)
		return;
	e->cookie = bpf_get_socket_cookie(sk);
	e->netns = sk->__sk_common.skc_net.net->net_cookie;
	key__of_sock((union flow_words *)&e->key, sk);
	e->listening = listening;
	e->only6 = is_only6(sk);
	e->who = o->who;
	e->how = o->how;
	e->turn = c->turn;
	e->between[0] = c->between[0];
	e->between[1] = c->between[1];
	announce__end(e);
	was_told(o);
}

/* ---- changing hands: what was counted before is told from what comes after ---- */

/* Turns of one flow between two harvests; each must have a number of its own. */
#define TURNS_OF_ONE 200

/* 0; 1: this is its last turn until the next harvest, all that follows is counted together; -1: no more. */
static __always_inline int turns__put(const struct flow_key *key, __u32 number)
{
	struct turn *is = bpf_map_lookup_elem(&turns, key), first = { number, 1 };

	if (is && is->n <= TURNS_OF_ONE) {
		is->number = number;
		return is->n++ == TURNS_OF_ONE;
	}
	if (is || bpf_map_update_elem(&turns, key, &first, BPF_NOEXIST))
		return -1;
	__sync_fetch_and_add(&turns_n, 1);
	return 0;
}

static __always_inline void turn_around(union flow_words *f)
{
	union flow_words r = *f;

	f->word[0] = r.word[2];
	f->word[1] = r.word[3];
	f->word[2] = r.word[0];
	f->word[3] = r.word[1];
	f->key.sport = r.key.dport;
	f->key.dport = r.key.sport;
}

/* False: this flow cannot be counted apart, because it has no peer yet, or changes hands too often. */
static __always_inline int count_apart(struct sock *sk, struct socket_owner *o, struct change *c)
{
	__u32 turn = o->turn == TURN_LAST ? 1 : o->turn + 1;
	union flow_words f = {};
	int last;

	key__of_sock(&f, sk);
	if (!f.key.dport || turns__put(&f.key, turn) < 0)
		return 0;
	turn_around(&f);
	last = turns__put(&f.key, turn);
	if (last < 0)
		return 0;
	o->turn = c->turn = turn;
	if (last)
		c->between[0] = BETWEEN_ALL;
	return 1;
}

/*
 * A stream that does not stop has packets between the driver and the socket: one poll of the driver takes 64, and a flow
 * that has just changed queues is in two polls.
 */
#define ON_THE_WAY 128

/* One that asks and waits has no more than the peer's last acknowledgement there, and what the new owner was woken by. */
#define ANSWERS 2

/* A datagram longer than this may be several on the wire. */
#define SEGMENT_LEAST 536

static __always_inline void between(struct sock *sk, const struct socket_owner *o, int sent,
				    int length, struct change *c)
{
	if (sk->sk_protocol == PARSE_IP_TCP) {
		segments(sk, c->between);
		c->between[0] -= o->used[0];
		c->between[1] -= o->used[1];
		c->between[1] += c->between[1] > 2 ? ON_THE_WAY : ANSWERS;
	} else {
		c->between[0] = sent ? 1 + (__u32)length / SEGMENT_LEAST : 0;
		c->between[1] = sk->sk_receive_queue.qlen + !sent +
				BPF_CORE_READ((struct udp_sock *)sk, reader_queue.qlen);
	}
}

/* ---- process context: this process uses this socket ---- */

/*
 * A socket of several processes that use it by turns, unconnected or too fast: told now and then, and nobody's for as
 * long as it may go on.
 */
#define BLURRED_NS 20000000

static __always_inline int is_blurred(struct socket_owner *o)
{
	if (bpf_ktime_get_ns() - o->blurred < BLURRED_NS)
		return 1;
	o->blurred = bpf_ktime_get_ns();
	return 0;
}

/* Somebody else takes it on at this very moment: what we did with it is not told from what he did. */
static __always_inline void tell_blurred(struct sock *sk, struct socket_owner *o)
{
	struct owner_event *e = is_blurred(o) ? NULL : announce__begin(OWNER_BLURRED);

	if (!e)
		return;
	e->cookie = bpf_get_socket_cookie(sk);
	e->netns = sk->__sk_common.skc_net.net->net_cookie;
	e->between[0] = BETWEEN_ALL;
	announce__end(e);
}

static __always_inline int changes_hands(struct sock *sk, struct socket_owner *o, int sent,
					 int length, struct change *c)
{
	if (count_apart(sk, o, c)) {
		if (!c->between[0])
			between(sk, o, sent, length, c);
		return 1;
	}
	c->between[0] = BETWEEN_ALL;
	return !is_blurred(o);
}

static __always_inline int is_known(const struct socket_owner *o)
{
	return o->how == OWNER_EXACT && o->announced;
}

static __always_inline int is_owner(struct socket_owner *o)
{
	return !owner__is_taken(o) && is_known(o) && is_current(o);
}

#define PF_KTHREAD 0x00200000

/*
 * The kernel's own TCP sockets may stand below a process's (multipath TCP, SMC), which then uses them by a call of its own: so
 * only a thread of the kernel says that they are the kernel's.
 */
static __always_inline int is_kernels_use(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();

	return sk->sk_protocol == PARSE_IP_UDP || (task->flags & PF_KTHREAD);
}

/* Once more the same owner; the next time it will be seen at once. */
static __always_inline void use_again(struct sock *sk, struct socket_owner *o)
{
	segments(sk, o->used);
	note_move(o);
	recent__put(sk, &o->who);
	if (!is_owner(o))
		recent__forget(sk->__sk_common.skc_cookie.counter);
}

/*
 * Another process than before. The former one's use is seen from when the socket was taken on, so what is counted apart from
 * then on is the new one's alone.
 */
static __always_inline int take_over(struct sock *sk, struct socket_owner *o, int sent, int length,
				     struct change *c)
{
	recent__forget(sk->__sk_common.skc_cookie.counter);
	if (is_known(o)) {
		recent__update(sk, o);
		if (!changes_hands(sk, o, sent, length, c))
			return 0;
	}
	segments(sk, o->used);
	own(o);
	o->how = OWNER_EXACT;
	return 1;
}

static __always_inline int take_for_kernel(struct socket_owner *o)
{
	who__kernel(&o->who);
	o->how = OWNER_EXACT;
	return 1;
}

static __always_inline int use(struct sock *sk, int sent, int length)
{
	struct change c = {};
	struct socket_owner *o;
	int kernels;

	if (!watched_cgroup && recent__is_owner(sk))
		return 0;
	if (!sk || !is_ours(sk))
		return 0;
	kernels = is_kernel_sock(sk);
	if (kernels && !is_kernels_use(sk))
		return 0;
	o = bpf_sk_storage_get(&socket_owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!o)
		return 0;
	if (kernels ? is_known(o) : is_owner(o)) {
		if (!kernels)
			use_again(sk, o);
		return 0;
	}
	if (!owner__take(o)) {
		tell_blurred(sk, o);
		return 0;
	}
	if (kernels ? take_for_kernel(o) : take_over(sk, o, sent, length, &c))
		tell(sk, o, sk->__sk_common.skc_state == TCP_LISTEN, &c);
	owner__give(o);
	return 0;
}

SEC("tp_btf/sock_send_length")
int BPF_PROG(on_send, struct sock *sk, int length, int flags)
{
	return use(sk, 1, length);
}

SEC("tp_btf/sock_recv_length")
int BPF_PROG(on_receive, struct sock *sk, int length, int flags)
{
	return use(sk, 0, length);
}

/*
 * Before those tracepoints: the ways that lead to them, told apart by address family, at their ends, when the socket
 * knows its own port. User space loads those that the kernel has, and only where the tracepoints are missing.
 */
SEC("?fexit/inet_sendmsg")
int BPF_PROG(sent_inet, struct socket *socket, struct msghdr *message, __u64 size, int length)
{
	return use(socket->sk, 1, length);
}

SEC("?fexit/inet6_sendmsg")
int BPF_PROG(sent_inet6, struct socket *socket, struct msghdr *message, __u64 size, int length)
{
	return use(socket->sk, 1, length);
}

SEC("?fexit/inet_sendpage")
int BPF_PROG(sent_page, struct socket *socket, struct page *page, int offset, __u64 size, int flags,
	     int length)
{
	return use(socket->sk, 1, length);
}

SEC("?fexit/inet_recvmsg")
int BPF_PROG(received_inet, struct socket *socket, struct msghdr *message, __u64 size, int flags,
	     int length)
{
	return use(socket->sk, 0, length);
}

SEC("?fexit/inet6_recvmsg")
int BPF_PROG(received_inet6, struct socket *socket, struct msghdr *message, __u64 size, int flags,
	     int length)
{
	return use(socket->sk, 0, length);
}

/*
 * The kernel's own socket, as a tunnel's: whoever made the tunnel does not own what goes through. The verifier lets nobody
 * look beside struct bpf_sock, so its address is taken as a number.
 */
static __always_inline int is_kernels(struct bpf_sock *sk)
{
	struct sock *full;

	bpf_probe_read_kernel(&full, sizeof(full), &sk);
	return BPF_CORE_READ_BITFIELD_PROBED(full, sk_kern_sock);
}

/*
 * Remember in storage, announce later: at connect and sendmsg the socket's own end may not be known yet. `ctx` is the
 * program's, by which alone the cookie can be asked for.
 */
static __always_inline int claim(void *ctx, struct bpf_sock *sk, enum owner_how how)
{
	struct socket_owner *o;

	if (!sk || is_kernels(sk))
		return ALLOW;
	o = bpf_sk_storage_get(&socket_owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!o || (o->how == how && is_current(o)) || !owner__take(o))
		return ALLOW;
	own(o);
	o->how = how;
	o->announced = 0;
	recent__forget(bpf_get_socket_cookie(ctx));
	owner__give(o);
	return ALLOW;
}

SEC("cgroup/connect4")
int on_connect4(struct bpf_sock_addr *ctx)
{
	return claim(ctx, ctx->sk, OWNER_EXACT);
}

SEC("cgroup/connect6")
int on_connect6(struct bpf_sock_addr *ctx)
{
	return claim(ctx, ctx->sk, OWNER_EXACT);
}

/* One that had an owner changes hands: on_send tells. */
static __always_inline int claim_to_send(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct socket_owner *o = sk ? bpf_sk_storage_get(&socket_owners, sk, NULL, 0) : NULL;

	return o && o->how == OWNER_EXACT && o->announced ? ALLOW : claim(ctx, sk, OWNER_EXACT);
}

SEC("cgroup/sendmsg4")
int on_sendmsg4(struct bpf_sock_addr *ctx)
{
	return claim_to_send(ctx);
}

SEC("cgroup/sendmsg6")
int on_sendmsg6(struct bpf_sock_addr *ctx)
{
	return claim_to_send(ctx);
}

/* A tunnel's, or its like: the process that has it made does not own it. */
static __always_inline void claim_for_kernel(struct bpf_sock *sk)
{
	struct socket_owner *o = bpf_sk_storage_get(&socket_owners, sk, NULL,
						    BPF_SK_STORAGE_GET_F_CREATE);

	if (!o)
		return;
	who__kernel(&o->who);
	o->how = OWNER_BOUND;
}

/* A bound socket may receive before its process ever uses it: its port is announced at once. */
static __always_inline int bound(struct bpf_sock *sk, const union flow_words *own)
{
	struct socket_owner *o;
	struct owner_event *e;

	if (sk->protocol != PARSE_IP_TCP && sk->protocol != PARSE_IP_UDP)
		return ALLOW;
	if (!is_kernels(sk))
		claim(sk, sk, OWNER_BOUND);
	else if (sk->protocol == PARSE_IP_UDP)
		claim_for_kernel(sk);
	else
		return ALLOW;
	o = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	e = announce__begin(OWNER_SOCKET);
	if (!e)
		return ALLOW;
	e->cookie = bpf_get_socket_cookie(sk);
	e->netns = bpf_get_netns_cookie(sk);
	e->key = own->key;
	e->how = OWNER_BOUND;
	if (o) {
		if (!owner__read(o, &e->who))
			e->how = OWNER_NONE;
		e->only6 = o->only6;
		was_told(o);
	}
	announce__end(e);
	return ALLOW;
}

/* After the bind there is no looking at the socket itself: what it will take is noted before. */
SEC("cgroup/bind6")
int before_bind6(struct bpf_sock_addr *ctx)
{
	struct bpf_sock *sk = ctx->sk;
	struct socket_owner *o;
	struct sock *full;

	if (!sk)
		return ALLOW;
	full = ctx->protocol == PARSE_IP_TCP ? (struct sock *)bpf_skc_to_tcp6_sock(sk)
					     : (struct sock *)bpf_skc_to_udp6_sock(sk);
	if (!full)
		return ALLOW;
	o = bpf_sk_storage_get(&socket_owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (o)
		o->only6 = is_only6(full);
	return ALLOW;
}

SEC("cgroup/post_bind4")
int on_bind4(struct bpf_sock *sk)
{
	union flow_words own = {};

	own.word[1] = PARSE_MAPPED(sk->src_ip4);
	own.word[3] = PARSE_MAPPED(0);
	own.word[4] = PARSE_TAIL(bpf_htons(sk->src_port), sk->protocol, 4, 0);
	return bound(sk, &own);
}

SEC("cgroup/post_bind6")
int on_bind6(struct bpf_sock *sk)
{
	union flow_words own = {};

	own.word[0] = word__of(sk->src_ip6[0], sk->src_ip6[1]);
	own.word[1] = word__of(sk->src_ip6[2], sk->src_ip6[3]);
	own.word[4] = PARSE_TAIL(bpf_htons(sk->src_port), sk->protocol, 6, 0);
	return bound(sk, &own);
}

SEC("cgroup/sock_release")
int on_release(struct bpf_sock *sk)
{
	struct socket_owner *o = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	struct owner_event *e;

	if (!o || !o->known)
		return ALLOW;
	e = announce__begin(OWNER_GONE);
	if (!e)
		return ALLOW;
	e->cookie = bpf_get_socket_cookie(sk);
	e->who = o->who;
	e->how = o->how;
	announce__end(e);
	return ALLOW;
}

/* ---- TCP's own moments ---- */

static __always_inline void tell_ops(struct bpf_sock_ops *ops, struct socket_owner *o)
{
	struct owner_event *e = announce__begin(OWNER_SOCKET);

	if (!e)
		return;
	e->cookie = bpf_get_socket_cookie(ops);
	e->netns = bpf_get_netns_cookie(ops);
	key__of_ops((union flow_words *)&e->key, ops);
	e->how = owner__read(o, &e->who);
	announce__end(e);
	was_told(o);
}

/* Connecting: process context, both ends known, the SYN not yet sent. A child: softirq, the listener's owner. */
SEC("sockops")
int on_tcp(struct bpf_sock_ops *ops)
{
	struct socket_owner *o;
	struct bpf_sock *sk = ops->sk;

	if (ops->op != BPF_SOCK_OPS_TCP_CONNECT_CB &&
	    ops->op != BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB)
		return ALLOW;
	if (!sk)
		return ALLOW;
	o = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	if (!o || !o->how)
		return ALLOW;
	if (ops->op == BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB) {
		o->how = OWNER_LISTENER;
		o->changes = 0; /* its own; nobody has it yet */
	}
	tell_ops(ops, o);
	return ALLOW;
}

/* Of the kernel's own sockets nothing else tells the end. */
static __always_inline int closed_by_kernel(struct sock *sk)
{
	struct socket_owner *o = bpf_sk_storage_get(&socket_owners, sk, NULL, 0);
	struct owner_event *e;

	if (!o || !o->known)
		return 0;
	e = announce__begin(OWNER_GONE);
	if (!e)
		return 0;
	e->cookie = bpf_get_socket_cookie(sk);
	e->who = o->who;
	e->how = o->how;
	announce__end(e);
	return 0;
}

/* listen(2), in process context: from here on the port's new connections are this socket's. */
SEC("tp_btf/inet_sock_set_state")
int BPF_PROG(on_state, struct sock *sk, int before, int after)
{
	struct socket_owner *o;

	if (!is_ours(sk))
		return 0;
	if (is_kernel_sock(sk))
		return after == TCP_CLOSE ? closed_by_kernel(sk) : 0;
	if (after != TCP_LISTEN)
		return 0;
	o = bpf_sk_storage_get(&socket_owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!o || !owner__take(o))
		return 0;
	own(o);
	o->how = OWNER_BOUND;
	recent__forget(sk->__sk_common.skc_cookie.counter);
	tell(sk, o, 1, &(struct change){});
	owner__give(o);
	return 0;
}

/* ---- processes ---- */

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task)
{
	struct owner_event *e = announce__begin(OWNER_EXEC);

	if (!e)
		return 0;
	who__current(&e->who);
	e->parent = task->real_parent->tgid;
	announce__end(e);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(on_exit, struct task_struct *task)
{
	struct owner_event *e;

	if (task->pid != task->tgid)
		return 0;
	e = announce__begin(OWNER_EXIT);
	if (!e)
		return 0;
	who__current(&e->who);
	announce__end(e);
	return 0;
}

/* ---- everything older than us: every open socket of every task, and the kernel's own ---- */

static __always_inline void write_socket(struct owner_event *e, struct sock *sk)
{
	e->kind = OWNER_SOCKET;
	e->time = bpf_ktime_get_ns();
	e->cookie = bpf_get_socket_cookie(sk);
	e->netns = sk->__sk_common.skc_net.net->net_cookie;
	key__of_sock((union flow_words *)&e->key, sk);
	e->listening = sk->__sk_common.skc_state == TCP_LISTEN;
	e->only6 = is_only6(sk);
}

/* Who used it is known. Those who merely hold it speak for themselves: of several, nobody has it. */
static __always_inline void write_owner(struct owner_event *e, struct socket_owner *o)
{
	e->how = o->how;
	if (o->how != OWNER_SNAPSHOT)
		e->who = o->who;
	was_told(o);
}

SEC("iter/task_file")
int snapshot(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	struct owner_event e = {};
	struct socket_owner *o;
	struct socket *socket;
	struct sock *sk;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk || !is_ours(sk))
		return 0;
	o = bpf_sk_storage_get(&socket_owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!o)
		return 0;
	who__of(&e.who, task);
	if (owner__take(o)) { /* else somebody uses it at this moment, and tells */
		if (!o->how) {
			o->who = e.who;
			note_cgroup(o, task);
			o->how = OWNER_SNAPSHOT;
		}
		write_owner(&e, o);
		owner__give(o);
	}
	write_socket(&e, sk);
	bpf_seq_write(ctx->meta->seq, &e, sizeof(e));
	return 0;
}

/* No process holds these. UDP's of one network namespace. */
SEC("iter/udp")
int snapshot_kernel(struct bpf_iter__udp *ctx)
{
	struct sock *sk = (struct sock *)ctx->udp_sk;
	struct owner_event e = {};
	struct socket_owner *o;

	if (!sk || !is_kernel_sock(sk))
		return 0;
	o = bpf_sk_storage_get(&socket_owners, sk, NULL, BPF_SK_STORAGE_GET_F_CREATE);
	if (!o)
		return 0;
	who__kernel(&e.who);
	if (!o->how) {
		o->who = e.who;
		o->how = OWNER_SNAPSHOT;
	}
	write_owner(&e, o);
	write_socket(&e, sk);
	bpf_seq_write(ctx->meta->seq, &e, sizeof(e));
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
