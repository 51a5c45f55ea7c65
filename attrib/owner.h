/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
#ifndef WIREWHO_OWNER_H
#define WIREWHO_OWNER_H
/*
 * Who owns a socket: the types that the owner programs write and user space reads. A process is identified by
 * (pid, start), so that a reused pid is somebody else.
 */
#include "xdp/flow.h"

/* How an owner became known, best first. A smaller number never gives way to a larger one. */
#define OWNER_HOWS(X) \
	X(NONE, "none", "no owner known") \
	X(EXACT, "exact", \
	  "the process itself connected, accepted, sent or received on the socket") \
	X(BOUND, "bound", "the process created or bound the socket and has not used it yet") \
	X(LISTENER, "listener", "inherited from the listening socket; its accepter has not shown") \
	X(SNAPSHOT, "snapshot", "the process held the socket open when the tool started")

enum owner_how {
#define X(id, name, text) OWNER_##id,
	OWNER_HOWS(X)
#undef X
		OWNER_HOW_N
};

struct who {
	__u32 pid;     /* thread group id, initial pid namespace */
	__u32 uid;     /* effective, initial user namespace */
	__u64 start;   /* ns since boot of the thread group's leader; identity together with pid */
	__u64 cgroup;  /* cgroup v2 id */
	char comm[16]; /* of the thread group's leader; bytes, not text; zero-filled */
};
flow_assert(sizeof(struct who) == 40, "who: no holes");

/* The kernel itself, where it has sockets of its own: pid 0, since its start, by this name. */
#define KERNEL_COMM "[kernel]"

/* Pid 0 is the kernel if it says so; else it is what softirq looks like, and nobody. */
static inline int who__is_somebody(const struct who *w)
{
	return w->pid || w->comm[0] == KERNEL_COMM[0];
}

enum owner_kind {
	OWNER_SOCKET = 1, /* `who` owns socket `cookie`; key is what the socket knows of its ends */
	OWNER_TIE,        /* a frame with this key left through socket `cookie` (tc egress) */
	OWNER_GONE,       /* socket `cookie` is closed */
	OWNER_EXEC,       /* who.pid is now who.comm; no socket */
	OWNER_EXIT,       /* who.pid has ended; no socket */
	OWNER_PASSED, /* a frame with this key left without a socket of this namespace: it came in by another interface */
	OWNER_BLURRED, /* two processes used socket `cookie` at the same moment; `between` says so */
};

/*
 * One change, announced once. The key is seen from the owner: source is the socket's own end, destination its
 * peer; unknown or wildcard parts are zero, link is 0. Times are CLOCK_MONOTONIC ns.
 */
struct owner_event {
	__u64 time;
	__u64 cookie; /* socket cookie; 0 for process events */
	__u64 netns;  /* network namespace cookie */
	struct flow_key key;
	struct who who;
	union {
		__u32 parent;  /* parent's pid: OWNER_EXEC */
		__u32 ifindex; /* OWNER_PASSED */
	};
	__u8 kind; /* enum owner_kind */
	__u8 how;  /* enum owner_how */
	__u8 listening;
	__u8 turn; /* the socket changed hands, and its flow is counted apart since then under this number; 0: no */
	/*
	 * With a turn: packets that were counted before it and after the former owner had used the socket for the last
	 * time, sent and received by the socket. They may be either one's. BETWEEN_ALL: several use the socket by
	 * turns, and what follows (with a turn: under its number) is not told apart.
	 */
	__u32 between[2];
	__u8 only6; /* an IPv6 socket that takes no IPv4 (IPV6_V6ONLY) */
	__u8 pad[7];
};
#define BETWEEN_ALL 0xffffffffu
flow_assert(sizeof(struct owner_event) == 24 + 40 + 40 + 24, "owner_event: no holes");
#endif
