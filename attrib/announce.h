/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_ANNOUNCE_H
#define WIREWHO_ANNOUNCE_H
/*
 * What the owner programs share with the egress program: each socket's owner in the socket's own storage, and the
 * ring buffer in which a change is announced once.
 */
#include "owner.h"

/* In socket storage. Cloned from listener to child, so a connection starts with its listener's owner. */
struct socket_owner {
	struct who who;
	__u8 how;       /* enum owner_how */
	__u8 announced; /* user space was told of exactly this */
	__u8 known;     /* user space was told of this socket at all, so it must hear of its end */
	__u8 turn;      /* how often it changed hands; 1 follows TURN_LAST */
	__u8 only6;     /* takes no IPv4 */
	__u8 watched; /* the owner was in or below the cgroup that this run asks for when it used the socket last */
	__u8 pad[2];
	__u64 blurred; /* when it was told last that nothing can be told apart; CLOCK_MONOTONIC ns */
	__u32 used[2]; /* TCP: segments it had sent and received when its owner used it last */
	__u32 changes; /* odd: somebody is writing `who` now; see owner__take() */
	__u32 pad2;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC | BPF_F_CLONE);
	__type(key, int);
	__type(value, struct socket_owner);
} socket_owners SEC(".maps");

/*
 * Two processes may use a socket at the same moment, on two CPUs. One of them changes the owner, and the other hears that it
 * cannot; who merely looks hears whether what was read is one process's. A child begins with its listener's count, and must
 * have one of its own.
 */
static __always_inline int owner__take(struct socket_owner *o)
{
	return !(__sync_fetch_and_or(&o->changes, 1) & 1);
}

static __always_inline void owner__give(struct socket_owner *o)
{
	__sync_fetch_and_add(&o->changes, 1);
}

/* Loads before it are done before those after it. `word`: any that may be written. */
static __always_inline void order_loads(__u32 *word)
{
#ifdef __TARGET_ARCH_x86
	asm volatile("" ::: "memory");
#else
	__sync_fetch_and_or(word, 0);
#endif
}

/* What is looked at after this was so before anybody could take it. */
static __always_inline int owner__is_taken(struct socket_owner *o)
{
	__u32 seen = *(volatile __u32 *)&o->changes;

	order_loads(&o->pad2);
	return seen & 1;
}

/* For who merely looks: 0 and whatever in `who`, if somebody was writing it meanwhile. Without a branch, for the verifier. */
static __always_inline __u8 owner__read(struct socket_owner *o, struct who *who)
{
	__u32 seen = *(volatile __u32 *)&o->changes, torn;
	__u8 how;

	order_loads(&o->pad2);
	how = o->how;
	*who = o->who;
	order_loads(&o->pad2);
	torn = (seen & 1) | (seen ^ *(volatile __u32 *)&o->changes);
	return how & (__u8)(((torn | -torn) >> 31) - 1);
}

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} owner_events SEC(".maps");

/* Events that found the ring buffer full. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} owner_lost SEC(".maps");

/* Interfaces behind which another network namespace stands: what came in there may belong to somebody inside. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, __u8);
} doors SEC(".maps");

static __always_inline struct owner_event *announce__begin(enum owner_kind kind)
{
	struct owner_event *e = bpf_ringbuf_reserve(&owner_events, sizeof(*e), 0);
	__u32 zero = 0;
	__u64 *lost;

	if (!e) {
		lost = bpf_map_lookup_elem(&owner_lost, &zero);
		if (lost)
			*lost += 1;
		return NULL;
	}
	__builtin_memset(e, 0, sizeof(*e));
	e->time = bpf_ktime_get_ns();
	e->kind = kind;
	return e;
}
/*
 * User space looks by itself ten times a second; only a ring that fills up wakes it, because a wakeup costs the process
 * that happens to send or connect more than all the rest of its event.
 */
static __always_inline void announce__end(struct owner_event *e)
{
	__u64 waiting = bpf_ringbuf_query(&owner_events, BPF_RB_AVAIL_DATA);
	__u64 size = bpf_ringbuf_query(&owner_events, BPF_RB_RING_SIZE);

	bpf_ringbuf_submit(e, waiting > size / 4 ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP);
}
#endif
