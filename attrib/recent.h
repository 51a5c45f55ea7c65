/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_RECENT_H
#define WIREWHO_RECENT_H
/*
 * Sockets that their owner uses again and again: that nothing has changed is seen here without asking for the socket's
 * storage, which is most of what a send or receive would cost.
 *
 * An entry says: this process is the socket's owner, and was announced. It never says so wrongly:
 * - A socket is meant by its cookie, which the kernel gives out once, and a process by its pid and start. Cookies that leave
 *   no room for a pid beside them have no entry.
 * - Whoever changes the owner in the storage takes the entry away after that; whoever makes an entry looks at the storage
 *   again after that. So of two who meet, the one that comes second sees what the first has done.
 * - Start and identity are two words. Who makes an entry takes the identity away first, writes it last, and who looks
 *   reads it last: a start that is another entry's has no identity beside it.
 * An entry may be lost at any time, to a socket whose cookie falls on the same place: then the storage is asked.
 */
#include "announce.h"
#include "ends.h"

#define RECENTS 4096
#define RECENT_COOKIE_BITS 42 /* the other 22 of a word hold any pid */

struct recent {
	__u64 id;    /* cookie, and above it the pid; 0: no entry */
	__u64 start; /* of that process: see struct who */
	__u64 used; /* segments that the socket had sent and received then, 24 bits each, below 16 of its cookie */
	__u64 pad[5]; /* a cache line each, so that sockets on several CPUs do not meet */
};
flow_assert(sizeof(struct recent) == 64, "recent: a cache line");

static struct recent recents[RECENTS];

const volatile __u32 look_inside = 0; /* 1: the kernel has bpf_rdonly_cast (6.2) */

extern void *bpf_rdonly_cast(const void *object, __u32 type) __ksym __weak;

static __always_inline void segments(struct sock *sk, __u32 n[2])
{
	struct tcp_sock *tcp;

	n[0] = n[1] = 0;
	if (sk->sk_protocol != PARSE_IP_TCP)
		return;
	if (look_inside)
		tcp = bpf_rdonly_cast(sk, bpf_core_type_id_kernel(struct tcp_sock));
	else
		tcp = bpf_skc_to_tcp_sock(sk);
	if (!tcp)
		return;
	n[0] = tcp->segs_out;
	n[1] = tcp->segs_in;
}

#define RECENT_COUNT 0xffffffu

static __always_inline __u64 recent__tag(__u64 cookie)
{
	return cookie / RECENTS << 48;
}

static __always_inline __u64 recent__segments(struct sock *sk, __u64 cookie)
{
	__u32 n[2];

	segments(sk, n);
	return recent__tag(cookie) | (__u64)(n[0] & RECENT_COUNT) << 24 | (n[1] & RECENT_COUNT);
}

static __always_inline struct recent *recent__at(__u64 cookie)
{
	return &recents[cookie % RECENTS];
}

static __always_inline __u64 recent__id(__u64 cookie, __u32 pid)
{
	return cookie | (__u64)pid << RECENT_COOKIE_BITS;
}

/* This process is the socket's owner as before: nothing is to be done. */
static __always_inline int recent__is_owner(struct sock *sk)
{
	struct task_struct *task = bpf_get_current_task_btf();
	__u64 cookie = sk->__sk_common.skc_cookie.counter;
	struct recent *r = recent__at(cookie);

	if (cookie >> RECENT_COOKIE_BITS || r->start != task->group_leader->start_boottime)
		return 0;
	order_loads((__u32 *)&r->pad[0]);
	if (*(volatile __u64 *)&r->id != recent__id(cookie, task->tgid))
		return 0;
	if (sk->sk_protocol == PARSE_IP_TCP)
		r->used = recent__segments(sk, cookie);
	return 1;
}

/* The owner may have used it since it was noted in the storage. */
static __always_inline void recent__update(struct sock *sk, struct socket_owner *o)
{
	__u64 cookie = sk->__sk_common.skc_cookie.counter;
	__u64 used = recent__at(cookie)->used;
	__u32 now[2];

	if (!cookie || used >> 48 << 48 != recent__tag(cookie))
		return;
	segments(sk, now);
	o->used[0] = now[0] - ((now[0] - (__u32)(used >> 24)) & RECENT_COUNT);
	o->used[1] = now[1] - ((now[1] - (__u32)used) & RECENT_COUNT);
}

/* After the storage was changed. */
static __always_inline void recent__forget(__u64 cookie)
{
	__sync_lock_test_and_set(&recent__at(cookie)->id, 0);
}

/* Before the storage is looked at for the last time: see above. */
static __always_inline void recent__put(struct sock *sk, const struct who *who)
{
	__u64 cookie = sk->__sk_common.skc_cookie.counter;
	struct recent *r = recent__at(cookie);

	if (!cookie || cookie >> RECENT_COOKIE_BITS)
		return;
	recent__forget(cookie);
	r->start = who->start;
	r->used = recent__segments(sk, cookie);
	__sync_lock_test_and_set(&r->id, recent__id(cookie, who->pid));
}
#endif
